/* SPDX-License-Identifier: Apache-2.0
 *
 * Why do two images differ? Documents are compared, from what makes an image
 * (layers, config) to what only carries it (compression, manifest, tags).
 * Relies on verified documents from any two stores. Promises that the first
 * cause told is the deepest one found.
 */
#include "ops/report.h"

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "json/members.h"

#define NAMES_MAX 12	 /* config keys or layers told by name */
#define NAME_MAX_TOLD 80 /* bytes of one of them */
#define MESSAGE_MAX 4096 /* bytes */
#define SHORT_DIGEST 19	 /* "sha256:" and 12 digits */

struct dray_why_result {
	struct arena arena;
	bool same, same_image_id;
	int same_rootfs;
	struct dray_cause *causes;
	size_t n, cap;
};

struct pair {
	struct dray_why_result *w;
	const struct image *a, *b;
	const struct dray_image_info *ia, *ib;
	struct store *sa, *sb;
};

/* A message holds names and commands of images, so it is made safe to show. */
static int add(struct dray_why_result *w, const char *code, const char *message, dray_error **err)
{
	cleanup_free char *safe = message ? text_safe(span_str(message), MESSAGE_MAX) : NULL;
	const char *kept = safe ? arena_strdup(&w->arena, safe) : NULL;

	if (!kept || mem_grow(&w->causes, w->n, &w->cap, sizeof(*w->causes)) < 0)
		return err_nomem(err);
	w->causes[w->n++] = (struct dray_cause){ code, kept };
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* ---- layers ---- */

static size_t first_difference(const struct config *a, const struct config *b)
{
	size_t n = a->n_diff_ids < b->n_diff_ids ? a->n_diff_ids : b->n_diff_ids;
	size_t i = 0;

	while (i < n && digest_eq(&a->diff_ids[i], &b->diff_ids[i]))
		i++;
	return i;
}

/* The same set in another order? Quadratic, so only for stacks that engines could run. */
static bool only_order(const struct config *a, const struct config *b)
{
	if (a->n_diff_ids != b->n_diff_ids || a->n_diff_ids > 256)
		return false;
	for (size_t i = 0; i < a->n_diff_ids; i++) {
		size_t in_a = 0, in_b = 0;

		for (size_t k = 0; k < a->n_diff_ids; k++) {
			in_a += digest_eq(&a->diff_ids[i], &a->diff_ids[k]);
			in_b += digest_eq(&a->diff_ids[i], &b->diff_ids[k]);
		}
		if (in_a != in_b)
			return false;
	}
	return true;
}

static const char *made_by(const struct config *c, size_t layer)
{
	int64_t h = config_history_of_layer(c, layer);

	return h >= 0 && c->history[h].created_by ? c->history[h].created_by : "(no history)";
}

/* What the config leaves out the bytes tell. */
static int find_diff_id(struct store *st, const struct image *im, size_t i, struct digest *ret,
			dray_error **err)
{
	const struct layer *l = &im->layers[i];
	cleanup_hash struct hash h = { 0 };
	cleanup_source struct source *tar = NULL;
	enum compression c;

	*ret = l->facts ? l->facts->diff_id : l->diff_id;
	if (digest_set(ret))
		return 0;
	if (hash_init(&h, DIGEST_SHA256, err) < 0)
		return -1;
	tar = store_open_layer(st, im, i, err);
	if (digest_set(&l->blob.digest))
		tar = source_verified(steal_pointer(&tar), &l->blob.digest, l->blob.size,
				      "blob digest", err);
	tar = source_decode_auto(steal_pointer(&tar), &c, err);
	tar = source_hash(steal_pointer(&tar), &h, err);
	if (!tar || source_drain(tar, err) < 0)
		return err_ctx(err, "%s: layer %zu", im->where, i);
	return hash_finish(&h, ret, err);
}

/* Does the config name the layers, so that the image ID stands for them? */
static bool names_layers(const struct image *im)
{
	return im->config->n_diff_ids >= im->n_layers;
}

/* Layers that not both configs name: which they are has to be read. */
static int compare_unnamed(struct pair *p, dray_error **err)
{
	struct arena *m = &p->w->arena;
	size_t n = p->a->n_layers;

	if (n != p->b->n_layers)
		return add(p->w, "layer-count",
			   arena_printf(m, "A has %zu layers, B %zu", n, p->b->n_layers), err);
	for (size_t i = 0; i < n; i++) {
		const struct digest *blob = &p->a->layers[i].blob.digest;
		struct digest a, b;

		if (digest_set(blob) && digest_eq(blob, &p->b->layers[i].blob.digest))
			continue;
		if (find_diff_id(p->sa, p->a, i, &a, err) < 0 ||
		    find_diff_id(p->sb, p->b, i, &b, err) < 0)
			return -1;
		if (!digest_eq(&a, &b))
			return add(p->w, "layers",
				   arena_printf(m,
						"not both configs name their layers; layer %zu is "
						"the first that differs: %.*s in A, %.*s in B",
						i, SHORT_DIGEST, a.text, SHORT_DIGEST, b.text),
				   err);
	}
	p->w->same_rootfs = 1;
	return 0;
}

static int compare_named(struct pair *p, dray_error **err)
{
	const struct config *a = p->a->config, *b = p->b->config;
	struct arena *m = &p->w->arena;
	size_t i = first_difference(a, b);
	bool a_ends = i == a->n_diff_ids, b_ends = i == b->n_diff_ids;

	if (a_ends && b_ends) {
		p->w->same_rootfs = 1;
		return 0;
	}
	if (a_ends || b_ends)
		return add(p->w, "layer-count",
			   arena_printf(m,
					"%s has %zu layers on top of the %zu that both share; "
					"the first is made by: %.200s",
					a_ends ? "B" : "A",
					(a_ends ? b->n_diff_ids : a->n_diff_ids) - i, i,
					made_by(a_ends ? b : a, i)),
			   err);
	if (only_order(a, b))
		return add(
			p->w, "layer-order",
			arena_printf(
				m, "both have the same layers in another order, from layer %zu", i),
			err);
	return add(p->w, "layers",
		   arena_printf(m,
				"layer %zu is the first that differs: %.*s in A, %.*s in B; made "
				"by %.160s in A, %.160s in B",
				i, SHORT_DIGEST, a->diff_ids[i].text, SHORT_DIGEST,
				b->diff_ids[i].text, made_by(a, i), made_by(b, i)),
		   err);
}

static int compare_layers(struct pair *p, dray_error **err)
{
	return names_layers(p->a) && names_layers(p->b) ? compare_named(p, err)
							: compare_unnamed(p, err);
}

/* ---- config ---- */

struct names {
	struct buf text;
	size_t n;
	bool only_in_a, only_in_b, changed;
};

static int name_difference(struct names *out, const char *prefix, struct span name,
			   const char *kind, dray_error **err)
{
	if (out->n++ >= NAMES_MAX)
		return 0;
	name = span_head(name, name.len < NAME_MAX_TOLD ? name.len : NAME_MAX_TOLD);
	return buf_printf(&out->text, err, "%s%s%.*s%s", out->text.len ? ", " : "", prefix,
			  (int)name.len, (const char *)name.data, kind);
}

static int same_value(struct json a, struct json b, bool *ret, dray_error **err)
{
	cleanup_buf struct buf x = BUF_INIT(LIMIT_CONFIG * 8);
	cleanup_buf struct buf y = BUF_INIT(LIMIT_CONFIG * 8);

	if (json_compact(a, &x, err) < 0 || json_compact(b, &y, err) < 0)
		return -1;
	*ret = span_eq(span_buf(&x), span_buf(&y));
	return 0;
}

/* rootfs is compared as layers where both have it, config member by member. */
static bool compared_elsewhere(const char *prefix, struct span name, bool in_both)
{
	return !*prefix && (span_is(name, "config") || (span_is(name, "rootfs") && in_both));
}

/* Members of A that B lacks, and members of both that differ. */
static int compare_from_a(struct names *out, const struct json_members *a,
			  const struct json_members *b, const char *prefix, dray_error **err)
{
	for (size_t i = 0; i < a->map.len; i++) {
		struct span name = a->map.slots[i].key;
		struct json other = json_members_get(b, name);
		bool same = false;

		if (compared_elsewhere(prefix, name, json_node(other)))
			continue;
		if (json_node(other) &&
		    same_value(json_members_get(a, name), other, &same, err) < 0)
			return -1;
		if (same)
			continue;
		out->changed = out->changed || json_node(other);
		out->only_in_a = out->only_in_a || !json_node(other);
		if (name_difference(out, prefix, name, json_node(other) ? "" : " (only in A)",
				    err) < 0)
			return -1;
	}
	return 0;
}

static int compare_from_b(struct names *out, const struct json_members *a,
			  const struct json_members *b, const char *prefix, dray_error **err)
{
	for (size_t i = 0; i < b->map.len; i++) {
		struct span name = b->map.slots[i].key;

		if (compared_elsewhere(prefix, name, false) || json_node(json_members_get(a, name)))
			continue;
		out->only_in_b = true;
		if (name_difference(out, prefix, name, " (only in B)", err) < 0)
			return -1;
	}
	return 0;
}

static int compare_members(struct names *out, struct json a, struct json b, const char *prefix,
			   dray_error **err)
{
	struct json_members in_a = { 0 }, in_b = { 0 };
	int rc = json_members_init(&in_a, a, err) < 0 || json_members_init(&in_b, b, err) < 0 ? -1
											      : 0;

	if (rc == 0 && (compare_from_a(out, &in_a, &in_b, prefix, err) < 0 ||
			compare_from_b(out, &in_a, &in_b, prefix, err) < 0))
		rc = -1;
	json_members_clear(&in_a);
	json_members_clear(&in_b);
	return rc;
}

static int tell_config(struct pair *p, const struct names *d, dray_error **err)
{
	struct arena *m = &p->w->arena;
	const char *advice = "";

	if (d->n == 0 && p->w->n > 0)
		return 0; /* the layers explain it */
	if (d->n == 0)
		return add(
			p->w, "config",
			"the config documents say the same in other bytes (white space, order of "
			"keys or escapes): another image ID",
			err);
	if (!d->changed && (d->only_in_a != d->only_in_b))
		advice = "; skopeo and podman drop Docker's own keys when they convert a config to "
			 "OCI";
	return add(p->w, "config",
		   arena_printf(m, "the config differs in %zu %s: %.*s%s%s", d->n,
				d->n == 1 ? "key" : "keys", (int)d->text.len,
				(const char *)d->text.data, d->n > NAMES_MAX ? ", ..." : "",
				advice),
		   err);
}

static int compare_configs(struct pair *p, dray_error **err)
{
	struct names d = { .text = BUF_INIT(64 * KIB) };
	struct json a = json_root(p->a->config->doc), b = json_root(p->b->config->doc);
	int failed = -1;

	if (compare_members(&d, json_get(a, "config"), json_get(b, "config"), "config.", err) ==
		    0 &&
	    compare_members(&d, a, b, "", err) == 0)
		failed = tell_config(p, &d, err);
	buf_clear(&d.text);
	return failed;
}

static int compare_platforms(struct pair *p, dray_error **err)
{
	if (same_text(p->ia->platform, p->ib->platform))
		return 0;
	return add(p->w, "platform",
		   arena_printf(&p->w->arena, "A is for %s, B for %s", p->ia->platform,
				p->ib->platform),
		   err);
}

/* ---- what carries the same image ---- */

static const char *stored_as(const struct dray_layer_info *l)
{
	return l->compression ? l->compression : "an unknown compression";
}

/* Stored in other bytes, as far as both places tell. */
static bool stored_otherwise(const struct dray_layer_info *a, const struct dray_layer_info *b)
{
	if (a->blob_digest && b->blob_digest)
		return strcmp(a->blob_digest, b->blob_digest) != 0;
	return a->compression && b->compression && strcmp(a->compression, b->compression) != 0;
}

static const char *blob_words(struct arena *m, const struct dray_layer_info *l)
{
	if (!l->blob_digest)
		return stored_as(l);
	return arena_printf(m, "%.19s (%s)", l->blob_digest, stored_as(l));
}

static int compare_blobs(struct pair *p, dray_error **err)
{
	size_t differ = 0, first = 0;
	const char *in_a, *in_b;

	for (size_t i = 0; i < p->ia->n_layers && i < p->ib->n_layers; i++) {
		if (!stored_otherwise(&p->ia->layers[i], &p->ib->layers[i]))
			continue;
		first = differ++ ? first : i;
	}
	if (differ == 0)
		return 0;
	in_a = blob_words(&p->w->arena, &p->ia->layers[first]);
	in_b = blob_words(&p->w->arena, &p->ib->layers[first]);
	if (!in_a || !in_b)
		return err_nomem(err);
	return add(
		p->w, "compression",
		arena_printf(&p->w->arena,
			     "%zu of %zu layers are compressed otherwise: layer %zu is %s in A and "
			     "%s in B",
			     differ, p->ia->n_layers, first, in_a, in_b),
		err);
}

static int compare_manifests(struct pair *p, dray_error **err)
{
	const struct manifest *a = p->a->manifest, *b = p->b->manifest;
	struct arena *m = &p->w->arena;

	if (!same_text(a->media_type, b->media_type))
		return add(p->w, "manifest-type",
			   arena_printf(m, "the manifest is of type %s in A and %s in B",
					a->media_type, b->media_type),
			   err);
	if (p->w->n > 0)
		return 0;
	return add(p->w, "manifest-bytes",
		   "the manifests name the same blobs in other bytes (white space, annotations or "
		   "order of keys)",
		   err);
}

static const char *join_tags(struct arena *a, const struct dray_image_info *info)
{
	const char *text = info->n_tags ? info->tags[0] : "none";

	for (size_t i = 1; text && i < info->n_tags && i < NAMES_MAX; i++)
		text = arena_printf(a, "%s, %s", text, info->tags[i]);
	return text;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One name has several spellings: "app:1" is "docker.io/library/app:1". NULL = no memory. */
static const char *spelled_out(struct arena *a, const char *tag)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_error dray_error *odd = NULL;
	cleanup_free char *full = NULL;

	/* The tag of a layout need not be a name. */
	if (reference_parse(span_str(tag), &ref, &odd) < 0 || reference_default_tag(&ref, &odd) < 0)
		return dray_error_kind(odd) == DRAY_ERR_NOMEM ? NULL : arena_strdup(a, tag);
	full = reference_text(&ref);
	return full ? arena_strdup(a, full) : NULL;
}

/* The names spelled out, sorted, each once; NULL = no memory. */
static const char **names_of(struct arena *a, const struct dray_image_info *info, size_t *ret_n)
{
	const char **names = arena_array(a, info->n_tags, sizeof(*names));
	size_t n = 0;

	for (size_t i = 0; names && i < info->n_tags; i++) {
		names[i] = spelled_out(a, info->tags[i]);
		if (!names[i])
			return NULL;
	}
	if (!names)
		return NULL;
	qsort(names, info->n_tags, sizeof(*names), by_text);
	for (size_t i = 0; i < info->n_tags; i++)
		if (n == 0 || strcmp(names[n - 1], names[i]) != 0)
			names[n++] = names[i];
	*ret_n = n;
	return names;
}

/* 1, 0, -1. Neither is without. */
static int same_names(struct pair *p, dray_error **err)
{
	size_t n, m;
	const char **a = names_of(&p->w->arena, p->ia, &n);
	const char **b = a ? names_of(&p->w->arena, p->ib, &m) : NULL;

	if (!b)
		return err_nomem(err);
	for (size_t i = 0; n == m && i < n; i++)
		if (strcmp(a[i], b[i]) != 0)
			return 0;
	return n == m;
}

static int compare_tags(struct pair *p, dray_error **err)
{
	const char *a, *b;
	int same = p->ia->n_tags && p->ib->n_tags ? same_names(p, err) : 1;

	if (same != 0)
		return same < 0 ? -1 : 0;
	a = join_tags(&p->w->arena, p->ia);
	b = join_tags(&p->w->arena, p->ib);
	if (!a || !b)
		return err_nomem(err);
	return add(p->w, "tag",
		   arena_printf(&p->w->arena, "the same image under other tags: %s in A, %s in B",
				a, b),
		   err);
}

/* One image ID: is it the same manifest too, where both sides have one? */
static int compare_carriers(struct pair *p, dray_error **err)
{
	const struct manifest *a = p->a->manifest, *b = p->b->manifest;

	/* The image ID stands for layers that the config names. */
	if (compare_layers(p, err) < 0)
		return -1;
	if (p->w->same_rootfs != 1)
		return 0;
	p->w->same = !a || !b || digest_eq(&a->digest, &b->digest);
	if (p->w->same && a && b)
		return compare_tags(p, err);
	/* A place without a manifest leaves nothing to differ, but how it stores the layers is worth a word. */
	if (compare_blobs(p, err) < 0)
		return -1;
	return p->w->same ? compare_tags(p, err) : compare_manifests(p, err);
}

/* ---- the verb ---- */

static int compare(struct pair *p, dray_error **err)
{
	p->w->same_rootfs = -1;
	p->w->same_image_id = digest_eq(&p->a->config->digest, &p->b->config->digest);
	if (p->w->same_image_id)
		return compare_carriers(p, err);
	if (compare_layers(p, err) < 0 || compare_platforms(p, err) < 0)
		return -1;
	return compare_configs(p, err);
}

static int open_side(dray_context *ctx, const char *place, dray_report **ret, dray_error **err)
{
	if (report_open(ctx, place, NULL, SCOPE_ONE, NULL, ret, err) < 0 ||
	    report_fill(*ret, NULL, err) < 0)
		return -1;
	if ((*ret)->n_images != 1)
		return err_set(err, DRAY_ERR_USAGE, "%s: choose one image", (*ret)->place.text);
	if (place_require_whole((*ret)->store, (*ret)->images[0], err) < 0)
		return -1;
	if (!(*ret)->images[0]->config)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "%s is an artifact, not an image",
			       (*ret)->images[0]->where);
	return 0;
}

int dray_why(dray_context *ctx, const char *a, const char *b, dray_why_result **ret,
	     dray_error **err)
{
	cleanup_report dray_report *ra = NULL;
	cleanup_report dray_report *rb = NULL;
	struct pair p;

	if (place_check_creds(ctx, a, b, err) < 0 || open_side(ctx, a, &ra, err) < 0 ||
	    open_side(ctx, b, &rb, err) < 0)
		return -1;
	p = (struct pair){ mem_zalloc(sizeof(*p.w)),
			   ra->images[0],
			   rb->images[0],
			   &ra->infos[0],
			   &rb->infos[0],
			   ra->store,
			   rb->store };
	if (!p.w)
		return err_nomem(err);
	if (compare(&p, err) < 0) {
		dray_why_free(p.w);
		return -1;
	}
	*ret = p.w;
	return 0;
}

bool dray_why_same(const dray_why_result *w)
{
	return w->same;
}

bool dray_why_same_image_id(const dray_why_result *w)
{
	return w->same_image_id;
}

int dray_why_same_rootfs(const dray_why_result *w)
{
	return w->same_rootfs;
}

size_t dray_why_causes(const dray_why_result *w)
{
	return w->n;
}

const struct dray_cause *dray_why_cause(const dray_why_result *w, size_t i)
{
	return i < w->n ? &w->causes[i] : NULL;
}

void dray_why_free(dray_why_result *w)
{
	if (!w)
		return;
	mem_free(w->causes);
	arena_clear(&w->arena);
	mem_free(w);
}
