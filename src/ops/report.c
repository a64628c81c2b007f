/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports: the images of a place in public form. Relies on stores for the
 * documents and borrows their strings for as long as the report lives.
 * Promises that what is not known is NULL or -1, never made up.
 */
#include "ops/report.h"

#include "base/map.h"
#include "base/mem.h"
#include "ops/transfer.h"
#include "ops/v1origin.h"

/* ---- findings ---- */

static int copy_text(struct arena *a, const char *text, const char **ret, dray_error **err)
{
	*ret = NULL;
	if (!text)
		return 0;
	*ret = arena_strdup(a, text);
	return *ret ? 0 : err_nomem(err);
}

static int add_finding(struct arena *a, struct dray_finding **list, size_t *n, size_t *cap,
		       const struct dray_finding *from, dray_error **err)
{
	struct dray_finding f;

	if (mem_grow(list, *n, cap, sizeof(**list)) < 0)
		return err_nomem(err);
	if (copy_text(a, from->code, &f.code, err) < 0 ||
	    copy_text(a, from->where, &f.where, err) < 0 ||
	    copy_text(a, from->expected, &f.expected, err) < 0 ||
	    copy_text(a, from->actual, &f.actual, err) < 0 ||
	    copy_text(a, from->message, &f.message, err) < 0)
		return -1;
	(*list)[(*n)++] = f;
	return 0;
}

int report_problem(dray_report *r, const char *code, const char *where, const char *expected,
		   const char *actual, const char *message, dray_error **err)
{
	const struct dray_finding f = { code, where, expected, actual, message };

	return add_finding(&r->arena, &r->problems, &r->n_problems, &r->cap_problems, &f, err);
}

int report_warning(dray_report *r, const char *code, const char *where, const char *message,
		   dray_error **err)
{
	const struct dray_finding f = { .code = code, .where = where, .message = message };

	return add_finding(&r->arena, &r->warnings, &r->n_warnings, &r->cap_warnings, &f, err);
}

static int take_notes(dray_report *r, const struct notes *notes, bool strict, dray_error **err)
{
	for (size_t i = 0; i < notes->n; i++) {
		const struct note *n = &notes->list[i];

		if ((strict && n->problem
			     ? report_problem(r, n->code, n->where, n->expected, n->actual,
					      n->message, err)
			     : report_warning(r, n->code, n->where, n->message, err)) < 0)
			return -1;
	}
	return 0;
}

int report_notes(dray_report *r, bool strict, dray_error **err)
{
	if (take_notes(r, &r->store->notes, strict, err) < 0)
		return -1;
	for (size_t i = 0; i < r->n_images; i++)
		if (take_notes(r, &r->images[i]->notes, strict, err) < 0)
			return -1;
	return 0;
}

/* ---- opening ---- */

static bool means_all(const dray_report *r, const struct dray_select *sel, enum report_scope scope)
{
	bool chosen = r->place.tag || r->place.has_at || digest_set(&r->place.digest) ||
		      (sel && sel->image);

	if (sel && sel->all)
		return true;
	if (scope != SCOPE_ALL && r->place.kind == PLACE_REGISTRY)
		return false;
	return scope != SCOPE_ONE && !chosen;
}

/* Engines fetch one platform of an index, and registries are asked for one. */
static bool means_every(const dray_context *ctx, const struct place *p)
{
	return !ctx->platform.os && p->kind != PLACE_REGISTRY && p->kind != PLACE_DOCKER_ROOT &&
	       p->kind != PLACE_CONTAINERS;
}

int report_open(dray_context *ctx, const char *place, const struct dray_select *sel,
		enum report_scope scope, const struct place_options *po, dray_report **ret,
		dray_error **err)
{
	cleanup_report dray_report *r = mem_zalloc(sizeof(*r));
	const char *image = sel ? sel->image : NULL;
	struct selector choice;

	if (!r)
		return err_nomem(err);
	if (place_parse(place, PLACE_READ, &r->place, err) < 0 ||
	    place_open(ctx, &r->place, po, &r->store, err) < 0)
		return -1;
	if (place_selector(ctx, &r->place, image, means_all(r, sel, scope), &r->arena, &choice,
			   err) < 0)
		return -1;
	choice.every = scope == SCOPE_EVERY && means_every(ctx, &r->place);
	if (store_images(r->store, &choice, &r->images, &r->n_images, err) < 0)
		return -1;
	*ret = steal_pointer(&r);
	return 0;
}

/* ---- one image ---- */

static int fill_chain(dray_report *r, const struct image *im, struct dray_layer_info *out,
		      dray_error **err)
{
	size_t n = im->config ? im->config->n_diff_ids : 0;
	cleanup_free struct digest *chain = mem_alloc_array(n + 1, sizeof(*chain));

	if (!chain)
		return err_nomem(err);
	if (n == 0 || n != im->n_layers)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (im->config->diff_ids[i].algo == DIGEST_OTHER)
			return 0; /* we cannot hash what we cannot read */
	if (chain_ids(im->config->diff_ids, n, chain, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		out[i].chain_id = arena_strdup(&r->arena, chain[i].text);
		if (!out[i].chain_id)
			return err_nomem(err);
	}
	return 0;
}

static const char *digest_or_null(const struct digest *d)
{
	return digest_set(d) ? d->text : NULL;
}

static int own(struct arena *a, const struct digest *d, const char **ret, dray_error **err)
{
	return *ret ? 0 : copy_text(a, digest_or_null(d), ret, err);
}

/* What was read outranks what is declared, and an uncompressed layer is its own blob. */
static int fill_bytes(dray_report *r, const struct layer *l, const struct blob_facts *facts,
		      struct dray_layer_info *out, dray_error **err)
{
	out->diff_id = digest_or_null(&l->diff_id);
	out->blob_digest = digest_or_null(&l->blob.digest);
	out->blob_size = l->blob.size;
	out->size = -1;
	if (l->has_compression)
		out->compression = compression_name(l->compression);
	else if (mediatype_is_layer(l->blob.media_type))
		out->compression = compression_name(compression_declared(l->blob.media_type));
	if (l->has_compression && l->compression == COMPRESSION_NONE) {
		out->size = l->blob.size;
		if (!out->blob_digest)
			out->blob_digest = out->diff_id;
	}
	if (!facts)
		return 0;
	out->compression = compression_name(facts->compression);
	out->size = facts->size;
	out->blob_size = facts->blob_size;
	/* The facts may go before the report does. */
	if (own(&r->arena, &facts->diff_id, &out->diff_id, err) < 0)
		return -1;
	return own(&r->arena, &facts->blob_digest, &out->blob_digest, err);
}

static int64_t first_with_diff_id(struct map *seen, const struct layer *l, size_t i,
				  dray_error **err)
{
	struct map_slot *slot;

	if (!digest_set(&l->diff_id))
		return -1;
	slot = map_find(seen, span_str(l->diff_id.text));
	if (slot)
		return (int64_t)(uintptr_t)slot->value;
	return map_put(seen, span_str(l->diff_id.text), (void *)(uintptr_t)i, err) < 0 ? -2 : -1;
}

/* A config that v1 IDs cannot be made of, with a "created" that is no time say, has none. */
static int fill_v1(dray_report *r, const struct image *im, struct dray_layer_info *out,
		   dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	if (im->listed) /* v1 IDs hash the whole config */
		return 0;
	if (v1_origins(im, &r->arena, out, &e) == 0)
		return 0;
	if (dray_error_kind(e) == DRAY_ERR_FORMAT)
		return report_warning(r, "v1-id-underivable", im->where, dray_error_message(e),
				      err);
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int fill_layers(dray_report *r, const struct image *im,
		       const struct blob_facts *const *facts, struct dray_image_info *info,
		       dray_error **err)
{
	struct dray_layer_info *out = arena_array(&r->arena, im->n_layers + 1, sizeof(*out));
	struct map seen = { 0 };
	int failed = -1;

	if (!out)
		return err_nomem(err);
	for (size_t i = 0; i < im->n_layers; i++) {
		const struct layer *l = &im->layers[i];
		int64_t h = im->config ? config_history_of_layer(im->config, i) : -1;

		out[i].index = (int64_t)i;
		out[i].media_type = im->manifest ? l->blob.media_type : NULL;
		out[i].path = l->path;
		out[i].link_target = l->link_target;
		out[i].v1_id = l->v1_id;
		out[i].v1_id_found = l->v1_id != NULL;
		out[i].created_by = h >= 0 ? im->config->history[h].created_by : NULL;
		out[i].missing = l->missing;
		if (fill_bytes(r, l, facts && facts[i] ? facts[i] : l->facts, &out[i], err) < 0)
			goto done;
		out[i].same_as = first_with_diff_id(&seen, l, i, err);
		if (out[i].same_as == -2)
			goto done;
	}
	info->layers = out;
	info->n_layers = im->n_layers;
	if (fill_chain(r, im, out, err) < 0 || fill_v1(r, im, out, err) < 0)
		goto done;
	failed = 0;
done:
	map_clear(&seen);
	return failed;
}

static int fill_history(dray_report *r, const struct config *c, struct dray_image_info *info,
			dray_error **err)
{
	struct dray_history_info *out = arena_array(&r->arena, c->n_history + 1, sizeof(*out));
	int64_t layer = 0;

	if (!out)
		return err_nomem(err);
	for (size_t i = 0; i < c->n_history; i++) {
		const struct history *h = &c->history[i];
		bool has_layer = !h->empty_layer && (size_t)layer < c->n_diff_ids;

		out[i] = (struct dray_history_info){
			.created_by = h->created_by,
			.created = h->created,
			.comment = h->comment,
			.author = h->author,
			.empty_layer = h->empty_layer,
			.layer = has_layer ? layer : -1,
		};
		layer += !h->empty_layer;
	}
	info->history = out;
	info->n_history = c->n_history;
	return 0;
}

/* Config and each distinct layer once, as stored. */
static int64_t stored_size(const struct dray_image_info *info)
{
	int64_t sum = (int64_t)info->config_size;

	for (size_t i = 0; i < info->n_layers; i++)
		if (info->layers[i].same_as < 0 && info->layers[i].blob_size > 0 &&
		    __builtin_add_overflow(sum, info->layers[i].blob_size, &sum))
			return -1;
	return sum;
}

static int fill_config(dray_report *r, const struct image *im, struct dray_image_info *info,
		       dray_error **err)
{
	const struct config *c = im->config;
	const struct digest *id = image_id(im);
	struct json inner = json_get(json_root(c->doc), "config");
	struct json author = json_get(json_root(c->doc), "author");
	cleanup_free char *platform = platform_text(&c->platform);

	if (!platform)
		return err_nomem(err);
	info->image_id = id ? id->text : NULL;
	info->created = c->created;
	info->platform = arena_strdup(&r->arena, platform);
	if (im->listed) /* a list has no config */
		return info->platform ? 0 : err_nomem(err);
	info->config_raw = c->raw.data;
	info->config_size = c->raw.len;
	if (json_type(author) == JSON_STRING &&
	    json_string(author, "author", &r->arena, &info->author, err) < 0)
		return -1;
	if (json_present(inner)) {
		struct span raw = json_raw(inner);

		info->config_json = arena_strndup(&r->arena, (const char *)raw.data, raw.len);
		if (!info->config_json)
			return err_nomem(err);
	}
	return info->platform ? fill_history(r, c, info, err) : err_nomem(err);
}

/* Of what is not here, what the index says. */
static int fill_hole(dray_report *r, const struct image *im, struct dray_image_info *info,
		     dray_error **err)
{
	if (!im->index_platform || im->artifact || im->attestation)
		return 0;
	cleanup_free char *platform = platform_text(im->index_platform);
	if (!platform)
		return err_nomem(err);
	info->platform = arena_strdup(&r->arena, platform);
	return info->platform ? 0 : err_nomem(err);
}

static int fill_image(dray_report *r, const struct image *im, const struct blob_facts *const *facts,
		      struct dray_image_info *info, dray_error **err)
{
	info->tags = im->tags;
	info->n_tags = im->n_tags;
	info->where = im->where;
	info->kind = im->manifest && manifest_is_artifact(im->manifest) ? "artifact" : "image";
	info->index_digest = digest_or_null(&im->index_digest);
	info->config_path = im->config_path;
	if (im->listed)
		info->manifest_digest = digest_or_null(&im->wanted);
	if (im->manifest) {
		info->manifest_digest = im->manifest->digest.text;
		info->media_type = im->manifest->media_type;
		info->manifest_raw = im->manifest->raw.data;
		info->manifest_size = im->manifest->raw.len;
	}
	if ((im->config ? fill_config : fill_hole)(r, im, info, err) < 0)
		return -1;
	if (fill_layers(r, im, facts, info, err) < 0)
		return -1;
	info->size = im->listed ? im->listed_size : stored_size(info);
	info->disk = im->disk;
	if (im->disk && im->disk->size >= 0)
		info->size = im->disk->size;
	return 0;
}

int report_fill(dray_report *r, const struct blob_facts *const *const *facts, dray_error **err)
{
	r->infos = arena_array(&r->arena, r->n_images + 1, sizeof(*r->infos));
	if (!r->infos)
		return err_nomem(err);
	for (size_t i = 0; i < r->n_images; i++)
		if (fill_image(r, r->images[i], facts ? facts[i] : NULL, &r->infos[i], err) < 0)
			return -1;
	return 0;
}

/* ---- doors ---- */

static int look(dray_context *ctx, const char *place, const struct dray_select *sel,
		enum report_scope scope, dray_report **ret, dray_error **err)
{
	const struct place_options po = { .listing = scope == SCOPE_ALL };
	cleanup_report dray_report *r = NULL;

	if (report_open(ctx, place, sel, scope, &po, &r, err) < 0 ||
	    report_fill(r, NULL, err) < 0 || report_notes(r, false, err) < 0)
		return -1;
	*ret = steal_pointer(&r);
	return 0;
}

int dray_images(dray_context *ctx, const char *place, const struct dray_select *sel,
		dray_report **ret, dray_error **err)
{
	return look(ctx, place, sel, SCOPE_ALL, ret, err);
}

/* An image that was asked for must be whole; among all of a place the sound ones still count. */
int dray_explain(dray_context *ctx, const char *image, const struct dray_select *sel,
		 dray_report **ret, dray_error **err)
{
	cleanup_report dray_report *r = NULL;

	if (look(ctx, image, sel, SCOPE_ONE, &r, err) < 0)
		return -1;
	for (size_t i = 0; !(sel && sel->all) && i < r->n_images; i++)
		if (place_require_whole(r->store, r->images[i], err) < 0)
			return -1;
	*ret = steal_pointer(&r);
	return 0;
}

size_t dray_report_images(const dray_report *r)
{
	return r->n_images;
}

const struct dray_image_info *dray_report_image(const dray_report *r, size_t i)
{
	return i < r->n_images ? &r->infos[i] : NULL;
}

size_t dray_report_problems(const dray_report *r)
{
	return r->n_problems;
}

const struct dray_finding *dray_report_problem(const dray_report *r, size_t i)
{
	return i < r->n_problems ? &r->problems[i] : NULL;
}

size_t dray_report_warnings(const dray_report *r)
{
	return r->n_warnings;
}

const struct dray_finding *dray_report_warning(const dray_report *r, size_t i)
{
	return i < r->n_warnings ? &r->warnings[i] : NULL;
}

const char *dray_report_store(const dray_report *r)
{
	static const char *const names[] = {
		[STORE_DOCKER_ARCHIVE] = "docker-archive",
		[STORE_DOCKER_V1] = "docker-v1",
		[STORE_OCI_LAYOUT] = "oci",
		[STORE_DIR] = "dir",
		[STORE_REGISTRY] = "registry",
		[STORE_MEMORY] = "memory",
	};

	if (r->store->name)
		return r->store->name;
	return r->place.kind == PLACE_DAEMON ? "docker-daemon" : names[r->store->kind];
}

void dray_report_free(dray_report *r)
{
	if (!r)
		return;
	images_free(r->images, r->n_images);
	store_free(r->store);
	place_clear(&r->place);
	mem_free(r->problems);
	mem_free(r->warnings);
	arena_clear(&r->arena);
	mem_free(r);
}
