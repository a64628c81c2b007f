/* SPDX-License-Identifier: Apache-2.0
 *
 * Verify: read every layer once, recompute every digest, look at every tar
 * header, and hold all of it against what the documents say. Relies on stores for
 * checked documents and on run_parallel() for one layer per core.
 * Promises that a problem is a finding and that -1 means we could not look.
 */
#include "ops/report.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "ops/transfer.h"
#include "ops/verify_entries.h"
#include "tar/tar.h"

#define ODDITIES_MAX 64	 /* told per layer; the rest are counted */
#define DAMAGES_MAX 1000 /* the same of files that are damaged */
/*
 * Names and hard links kept of all layers, 8 and 16 bytes each: 4 million files, 32 MiB. Where
 * there are more, hard links are not looked at; nor when that would take longer than reading did.
 */
#define KEPT_MAX (4 * 1024 * 1024)
#define LINK_LOOKS_MAX (1024LL * 1024 * 1024)

/* What reading one layer brought to light, apart from its facts. */
struct oddity {
	const char *code;
	char *message;
};
struct probe {
	struct blob_facts facts;
	dray_error *unreadable; /* the stored bytes do not decode */
	dray_error *malformed;	/* the tar cannot be read to its end */
	struct oddity *odd;	/* ODDITIES_MAX of them, once there is one */
	size_t n_odd, n_more;
	struct oddity *damage; /* all that keeps it from being read, where the place knows */
	size_t n_damage, cap_damage, n_more_damage;
	struct entry_names names;
	bool read;
};

static void probe_clear(struct probe *p)
{
	dray_error_free(p->unreadable);
	dray_error_free(p->malformed);
	for (size_t i = 0; i < p->n_odd; i++)
		mem_free(p->odd[i].message);
	mem_free(p->odd);
	for (size_t i = 0; i < p->n_damage; i++)
		mem_free(p->damage[i].message);
	mem_free(p->damage);
	entry_names_clear(&p->names);
	*p = (struct probe){ 0 };
}

static void on_odd(void *arg, const struct tar_oddity *o)
{
	struct probe *p = arg;

	if (!p->odd)
		p->odd = mem_alloc_array(ODDITIES_MAX, sizeof(*p->odd));
	if (!p->odd || p->n_odd == ODDITIES_MAX) {
		p->n_more++;
		return;
	}
	p->odd[p->n_odd].code = o->code;
	p->odd[p->n_odd].message = mem_printf("%s at byte %lld", o->message, (long long)o->off);
	if (p->odd[p->n_odd].message)
		p->n_odd++;
}

/* A failure that speaks of the image's bytes; anything else stops the verb. */
static bool is_finding(const dray_error *e)
{
	enum dray_err_kind kind = dray_error_kind(e);

	return kind == DRAY_ERR_FORMAT || kind == DRAY_ERR_CORRUPT || kind == DRAY_ERR_LIMIT ||
	       kind == DRAY_ERR_UNSUPPORTED;
}

/* Walk the entries; a tar that cannot be read is kept aside, its bytes still count. */
static int walk_tar(struct probe *p, struct source *tar, dray_error **err)
{
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(tar, on_odd, p, err);
	cleanup_entries struct entries seen = { 0 };
	const struct tar_entry *e;
	dray_error *bad = NULL;
	int more;

	if (!r)
		return -1;
	while ((more = tar_next(r, &e, &bad)) > 0)
		if (entries_look(&seen, e, on_odd, p, err) < 0)
			return -1;
	if (more == 0 && tar_tail(r, &bad) == 0)
		return entries_keep(&seen, &p->names, err);
	if (tar->failed || !is_finding(bad)) {
		if (err)
			*err = bad;
		return -1;
	}
	p->malformed = bad;
	return 0;
}

static int hash_decoded(struct probe *p, struct source *stored, bool plain, struct hash *diff,
			dray_error **err)
{
	cleanup_source struct source *s = stored;

	if (!plain) {
		s = source_decode(steal_pointer(&s), p->facts.compression, NULL, err);
		s = source_hash(s, diff, err);
	}
	if (!s || walk_tar(p, s, err) < 0 || source_drain(s, err) < 0)
		return -1;
	p->facts.size = s->pos;
	return 0;
}

/* An uncompressed layer is its own blob: one hash serves for both. */
static int probe_bytes(struct probe *p, struct source *data, dray_error **err)
{
	cleanup_hash struct hash blob = { 0 };
	cleanup_hash struct hash diff = { 0 };
	struct source *s;
	struct span head;
	bool plain;

	if (source_peek(data, COMPRESSION_SNIFF, &head, err) < 0)
		return -1;
	p->facts.compression = compression_sniff(head);
	plain = p->facts.compression == COMPRESSION_NONE;
	if (hash_init(&blob, DIGEST_SHA256, err) < 0 || hash_init(&diff, DIGEST_SHA256, err) < 0)
		return -1;
	s = source_hash(source_lend(data, err), &blob, err);
	if (!s)
		return -1;
	if (hash_decoded(p, s, plain, &diff, &p->unreadable) < 0) {
		if (data->failed || !is_finding(p->unreadable)) {
			if (err)
				*err = steal_pointer(&p->unreadable);
			return -1;
		}
		/* What did not decode is still a blob with a digest. */
		s = source_hash(source_lend(data, err), &blob, err);
		if (!s)
			return -1;
		if (source_drain(s, err) < 0) {
			source_free(s);
			return -1;
		}
		source_free(s);
	}
	p->facts.blob_size = blob.size;
	p->read = true;
	if (hash_finish(&blob, &p->facts.blob_digest, err) < 0)
		return -1;
	if (p->unreadable)
		return 0;
	if (plain) {
		p->facts.diff_id = p->facts.blob_digest;
		return 0;
	}
	return hash_finish(&diff, &p->facts.diff_id, err);
}

/* ---- the work: each stored layer once ---- */

struct verify {
	dray_context *ctx;
	dray_report *r;
	struct probe *probes; /* random access, and what a walk kept in memory */
	size_t n;
	struct at {
		size_t image, layer;
	} * at;		    /* probe -> where its bytes come from first */
	size_t **of;	    /* image, layer -> probe */
	struct map passing; /* forward walks: blob digest -> probe */
	struct arena arena;
	int64_t kept;  /* of KEPT_MAX; layers are read side by side */
	int64_t looks; /* of LINK_LOOKS_MAX */
};

/* The names of a layer that was read. Whatever the order, there is room for all or for none. */
static void keep_names(struct verify *v, struct probe *p)
{
	int64_t n = (int64_t)(p->names.n + 2 * p->names.n_links);

	if (__atomic_add_fetch(&v->kept, n, __ATOMIC_RELAXED) > KEPT_MAX)
		entry_names_clear(&p->names);
}

/* The probe of a layer that went by; what a walk kept in memory has none and is opened. */
static const struct probe *passed(const struct verify *v, const struct layer *l)
{
	return l->facts ? map_get(&v->passing, span_str(l->facts->blob_digest.text)) : NULL;
}

static int add_damage(void *arg, const char *code, const char *message, dray_error **err)
{
	struct probe *p = arg;

	if (p->n_damage == DAMAGES_MAX) {
		p->n_more_damage++;
		return 0;
	}
	if (mem_grow(&p->damage, p->n_damage, &p->cap_damage, sizeof(*p->damage)) < 0)
		return err_nomem(err);
	p->damage[p->n_damage] = (struct oddity){ code, mem_strdup(message) };
	return p->damage[p->n_damage++].message ? 0 : err_nomem(err);
}

static int list_damage(struct verify *v, size_t i, dray_error **err)
{
	struct store *st = v->r->store;
	const struct image *im = v->r->images[v->at[i].image];

	return st->ops->damage(st, im, v->at[i].layer, add_damage, &v->probes[i], err);
}

static int probe_layer(void *arg, size_t i, dray_error **err)
{
	struct verify *v = arg;
	struct image *im = v->r->images[v->at[i].image];
	const struct layer *l = &im->layers[v->at[i].layer];
	cleanup_source struct source *s = NULL;
	cleanup_error dray_error *why = NULL;

	if (l->missing || passed(v, l))
		return 0;
	s = store_open_layer(v->r->store, im, v->at[i].layer, &why);
	if (s && probe_bytes(&v->probes[i], s, &why) == 0) {
		keep_names(v, &v->probes[i]);
		return 0;
	}
	/* It went by without news: the store has kept what there is to know. */
	if (!s && l->facts && dray_error_kind(why) == DRAY_ERR_UNSUPPORTED) {
		v->probes[i].facts = *l->facts;
		v->probes[i].read = true;
		return 0;
	}
	/* Only now does a registry learn that it lacks a blob: judged as layer-missing. */
	if (dray_error_kind(why) == DRAY_ERR_NOT_FOUND)
		return 0;
	/* Put together of many files: one that is wrong is what verify is asked for. */
	if (v->r->store->ops->damage && is_finding(why)) {
		v->probes[i].unreadable = steal_pointer(&why);
		return list_damage(v, i, err);
	}
	if (err)
		*err = steal_pointer(&why);
	return err_ctx(err, "%s layer %zu of %zu", im->where, v->at[i].layer + 1, im->n_layers);
}

static bool has_news(const struct probe *p)
{
	return p->unreadable || p->malformed || p->n_odd || p->n_more || p->names.whole;
}

/* The member_fn of a forward walk: the same look, as the layer passes. */
static int probe_passing(void *arg, const char *name, struct source *data, int64_t size,
			 struct blob_facts *ret, dray_error **err)
{
	struct verify *v = arg;
	struct probe look = { 0 };
	struct probe *kept;

	(void)name, (void)size;
	if (probe_bytes(&look, data, err) < 0) {
		probe_clear(&look);
		return -1;
	}
	*ret = look.facts;
	/* The store keeps the facts; only what else there is to tell is kept here, once per content. */
	if (!has_news(&look) || map_get(&v->passing, span_str(look.facts.blob_digest.text))) {
		probe_clear(&look);
		return 0;
	}
	keep_names(v, &look);
	kept = arena_alloc(&v->arena, sizeof(*kept));
	if (!kept) {
		probe_clear(&look);
		return err_nomem(err);
	}
	*kept = look;
	if (map_put(&v->passing, span_str(kept->facts.blob_digest.text), kept, err) < 0) {
		probe_clear(kept);
		return -1;
	}
	return 0;
}

/* What tells two places of bytes apart: a member of a file, or a blob of a registry. */
static char *place_of_bytes(struct verify *v, const struct layer *l)
{
	enum store_kind kind = v->r->store->kind;

	if (kind == STORE_REGISTRY || kind == STORE_MEMORY)
		return arena_strdup(&v->arena, l->blob.digest.text);
	return arena_printf(&v->arena, "%llu", (unsigned long long)l->handle);
}

/* One probe per distinct place of bytes. */
static int plan(struct verify *v, dray_error **err)
{
	struct map seen = { 0 };
	size_t total = 0;
	int failed = -1;

	for (size_t i = 0; i < v->r->n_images; i++)
		total += v->r->images[i]->n_layers;
	v->probes = arena_array(&v->arena, total + 1, sizeof(*v->probes));
	v->at = arena_array(&v->arena, total + 1, sizeof(*v->at));
	v->of = arena_array(&v->arena, v->r->n_images + 1, sizeof(*v->of));
	if (!v->probes || !v->at || !v->of)
		return err_nomem(err);
	for (size_t i = 0; i < v->r->n_images; i++) {
		const struct image *im = v->r->images[i];

		v->of[i] = arena_array(&v->arena, im->n_layers + 1, sizeof(**v->of));
		if (!v->of[i]) {
			err_nomem(err);
			goto out;
		}
		for (size_t k = 0; k < im->n_layers; k++) {
			char *key = place_of_bytes(v, &im->layers[k]);
			struct map_slot *slot;

			if (!key) {
				err_nomem(err);
				goto out;
			}
			slot = map_find(&seen, span_str(key));
			v->of[i][k] = slot ? (size_t)(uintptr_t)slot->value : v->n;
			if (slot)
				continue;
			v->at[v->n] = (struct at){ i, k };
			if (map_put(&seen, span_str(key), (void *)(uintptr_t)v->n++, err) < 0)
				goto out;
		}
	}
	failed = 0;
out:
	map_clear(&seen);
	return failed;
}

static const struct probe *probe_of(const struct verify *v, size_t image, size_t layer)
{
	const struct probe *p = passed(v, &v->r->images[image]->layers[layer]);

	return p ? p : &v->probes[v->of[image][layer]];
}

/* ---- judging ---- */

struct judge {
	struct verify *v;
	const struct image *im;
	const struct layer *l;
	const struct probe *p;
	const char *where;
};

static int mismatch(const struct judge *j, const char *code, const char *what, const char *expected,
		    const char *actual, dray_error **err)
{
	char *text = arena_printf(&j->v->arena, "%s: expected %s, got %s", what, expected, actual);

	if (!text)
		return err_nomem(err);
	return report_problem(j->v->r, code, j->where, expected, actual, text, err);
}

/* Artifacts and signatures keep what they like in their blobs: only the bytes count. */
static bool is_layer(const struct judge *j)
{
	if (!j->im->manifest)
		return true;
	return !manifest_is_artifact(j->im->manifest) &&
	       (!j->l->blob.media_type || mediatype_is_layer(j->l->blob.media_type));
}

static int judge_size(const struct judge *j, dray_error **err)
{
	char *expected, *actual;

	if (!j->im->manifest || !digest_set(&j->l->blob.digest) || j->l->blob.size < 0 ||
	    j->l->blob.size == j->p->facts.blob_size)
		return 0;
	expected = arena_printf(&j->v->arena, "%lld", (long long)j->l->blob.size);
	actual = arena_printf(&j->v->arena, "%lld", (long long)j->p->facts.blob_size);
	if (!expected || !actual)
		return err_nomem(err);
	return mismatch(j, "blob-size-mismatch", "blob size", expected, actual, err);
}

/* What was not computed was not proven: a digest of another algorithm is never ok. */
static int unchecked(const struct judge *j, const struct digest *d, const char *what,
		     dray_error **err)
{
	char *text;

	if (!digest_set(d) || d->algo == DIGEST_SHA256)
		return 0;
	text = arena_printf(&j->v->arena, "the %s is of an algorithm that is not checked", what);
	if (!text)
		return err_nomem(err);
	return report_problem(j->v->r, "digest-unchecked", j->where, d->text, NULL, text, err);
}

static int judge_digests(const struct judge *j, dray_error **err)
{
	const struct layer *l = j->l;
	const struct blob_facts *f = &j->p->facts;

	if (unchecked(j, &l->blob.digest, "blob digest", err) < 0 ||
	    (is_layer(j) && unchecked(j, &l->diff_id, "DiffID", err) < 0))
		return -1;
	if (l->blob.digest.algo == DIGEST_SHA256 && !digest_eq(&l->blob.digest, &f->blob_digest) &&
	    mismatch(j, "blob-digest-mismatch", "blob digest", l->blob.digest.text,
		     f->blob_digest.text, err) < 0)
		return -1;
	if (is_layer(j) && !j->p->unreadable && l->diff_id.algo == DIGEST_SHA256 &&
	    !digest_eq(&l->diff_id, &f->diff_id))
		return mismatch(j, "diff-id-mismatch", "DiffID", l->diff_id.text, f->diff_id.text,
				err);
	return 0;
}

/* Z-07: what the media type says against what the bytes are. */
static int judge_media_type(const struct judge *j, dray_error **err)
{
	const char *mt = j->l->blob.media_type;
	const char *said, *is = compression_name(j->p->facts.compression);

	if (!j->im->manifest || !mt || !mediatype_is_layer(mt) || mediatype_is_foreign(mt))
		return 0;
	said = compression_name(compression_declared(mt));
	if (strcmp(said, is) == 0)
		return 0;
	/* podman and skopeo label uncompressed layers as gzip there, so nobody believes it. */
	if (j->v->r->store->kind == STORE_DIR)
		return report_warning(j->v->r, "media-type-compression-differs", j->where,
				      "the media type says another compression than the bytes "
				      "have, as podman writes it",
				      err);
	return mismatch(j, "media-type-compression-differs", "compression by media type", said, is,
			err);
}

static int judge_damage(const struct judge *j, dray_error **err)
{
	const struct probe *p = j->p;

	for (size_t i = 0; i < p->n_damage; i++)
		if (report_problem(j->v->r, p->damage[i].code, j->where, NULL, NULL,
				   p->damage[i].message, err) < 0)
			return -1;
	if (p->n_more_damage == 0)
		return 0;
	return report_problem(j->v->r, "layer-damage-more", j->where, NULL, NULL,
			      "further damage of this layer is not listed", err);
}

static int judge_tar(const struct judge *j, dray_error **err)
{
	const struct probe *p = j->p;

	if (p->n_damage)
		return judge_damage(j, err);
	if (p->unreadable && report_problem(j->v->r, "layer-unreadable", j->where, NULL, NULL,
					    dray_error_message(p->unreadable), err) < 0)
		return -1;
	if (p->malformed && report_problem(j->v->r, "layer-tar-malformed", j->where, NULL, NULL,
					   dray_error_message(p->malformed), err) < 0)
		return -1;
	for (size_t i = 0; i < p->n_odd; i++)
		if (report_warning(j->v->r, p->odd[i].code, j->where, p->odd[i].message, err) < 0)
			return -1;
	if (p->n_more > 0)
		return report_warning(j->v->r, "tar-more", j->where,
				      "further oddities of this layer are not listed", err);
	return 0;
}

/* The layers below, bottom first; false = not all of them is known. */
static bool layers_below(const struct verify *v, size_t image, size_t layer,
			 const struct entry_names **ret, int64_t *ret_names)
{
	*ret_names = 0;
	for (size_t i = 0; i < layer; i++) {
		const struct probe *p = probe_of(v, image, i);

		if (!p || !p->names.whole)
			return false;
		ret[i] = &p->names;
		*ret_names += (int64_t)p->names.n;
	}
	return true;
}

static int tell_links(const struct judge *j, const bool *lost, dray_error **err)
{
	const struct entry_names *own = &j->p->names;
	size_t told = 0;

	for (size_t i = 0; i < own->n_links; i++) {
		char *text;

		if (!lost[i])
			continue;
		if (told++ == ODDITIES_MAX)
			return report_warning(j->v->r, "tar-more", j->where,
					      "further oddities of this layer are not listed", err);
		text = arena_printf(&j->v->arena,
				    "a hard link to what neither its layer before it nor one below "
				    "has at byte %lld",
				    (long long)own->links[i].off);
		if (!text)
			return err_nomem(err);
		if (report_warning(j->v->r, "layer-hardlink-dangling", j->where, text, err) < 0)
			return -1;
	}
	return 0;
}

static int judge_links(const struct judge *j, size_t image, size_t layer, dray_error **err)
{
	struct verify *v = j->v;
	const struct entry_names *own = &j->p->names;
	cleanup_free const struct entry_names **below = NULL;
	cleanup_free bool *lost = NULL;
	int64_t looks;

	if (!own->whole || own->n_links == 0 || v->kept > KEPT_MAX)
		return 0;
	below = mem_alloc_array(layer + 1, sizeof(*below));
	lost = mem_alloc_array(own->n_links, sizeof(*lost));
	if (!below || !lost)
		return err_nomem(err);
	if (!layers_below(v, image, layer, below, &looks))
		return 0;
	looks += (int64_t)own->n_links;
	if (looks > LINK_LOOKS_MAX - v->looks)
		return 0;
	v->looks += looks;
	if (entry_links_lost(own, below, layer, lost, err) < 0)
		return -1;
	return tell_links(j, lost, err);
}

static int judge_layer(struct verify *v, size_t image, size_t layer, dray_error **err)
{
	const struct image *im = v->r->images[image];
	const struct layer *l = &im->layers[layer];
	struct judge j = {
		.v = v,
		.im = im,
		.l = l,
		.p = probe_of(v, image, layer),
		.where = arena_printf(&v->arena, "%s layer %zu%s%s", im->where, layer,
				      l->path ? " " : "", l->path ? l->path : ""),
	};

	if (!j.where)
		return err_nomem(err);
	if ((l->missing || !j.p || !j.p->read) && mediatype_is_foreign(l->blob.media_type))
		return report_warning(v->r, "layer-foreign", j.where,
				      "a foreign layer is not stored here", err);
	if (j.p && !j.p->read && j.p->unreadable)
		return judge_tar(&j, err);
	if (l->missing || !j.p || !j.p->read)
		return report_problem(v->r, "layer-missing", j.where, NULL, NULL,
				      "the layer is not here", err);
	if (judge_size(&j, err) < 0 || judge_digests(&j, err) < 0)
		return -1;
	if (!is_layer(&j))
		return 0;
	if (judge_media_type(&j, err) < 0 || judge_tar(&j, err) < 0)
		return -1;
	return judge_links(&j, image, layer, err);
}

/* More entries with a layer than layers is an error for engines; fewer is an import. */
static int judge_history(struct verify *v, const struct image *im, dray_error **err)
{
	size_t with_layer = 0;
	char *expected, *actual;

	if (!im->config || im->config->n_history == 0)
		return 0;
	for (size_t i = 0; i < im->config->n_history; i++)
		with_layer += !im->config->history[i].empty_layer;
	if (with_layer == im->config->n_diff_ids)
		return 0;
	if (with_layer < im->config->n_diff_ids)
		return report_warning(v->r, "history-short", im->where,
				      "history describes fewer layers than there are", err);
	expected = arena_printf(&v->arena, "%zu", im->config->n_diff_ids);
	actual = arena_printf(&v->arena, "%zu", with_layer);
	if (!expected || !actual)
		return err_nomem(err);
	return report_problem(v->r, "history-count-differs", im->where, expected, actual,
			      "history describes more layers than there are", err);
}

static int judge_all(struct verify *v, dray_error **err)
{
	for (size_t i = 0; i < v->r->n_images; i++) {
		for (size_t k = 0; k < v->r->images[i]->n_layers; k++)
			if (judge_layer(v, i, k, err) < 0)
				return -1;
		if (judge_history(v, v->r->images[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the verb ---- */

static int publish(struct verify *v, dray_error **err)
{
	const struct blob_facts ***facts = arena_array(&v->arena, v->r->n_images + 1,
						       sizeof(*facts));

	if (!facts)
		return err_nomem(err);
	for (size_t i = 0; i < v->r->n_images; i++) {
		size_t n = v->r->images[i]->n_layers;

		facts[i] = arena_array(&v->arena, n + 1, sizeof(**facts));
		if (!facts[i])
			return err_nomem(err);
		for (size_t k = 0; k < n; k++) {
			const struct probe *p = probe_of(v, i, k);

			facts[i][k] = p && p->read && !p->unreadable ? &p->facts : NULL;
		}
	}
	return report_fill(v->r, (const struct blob_facts *const *const *)facts, err);
}

static void verify_clear(struct verify *v)
{
	for (size_t i = 0; i < v->n; i++)
		probe_clear(&v->probes[i]);
	for (size_t i = 0; i < v->passing.len; i++)
		probe_clear(v->passing.slots[i].value);
	map_clear(&v->passing);
	dray_report_free(v->r);
	arena_clear(&v->arena);
}

int dray_verify(dray_context *ctx, const char *image, const struct dray_select *sel,
		dray_report **ret, dray_error **err)
{
	__attribute__((cleanup(verify_clear))) struct verify v = { .ctx = ctx };
	const struct place_options po = { .on_member = probe_passing, .arg = &v };

	if (report_open(ctx, image, sel, SCOPE_EVERY, &po, &v.r, err) < 0)
		return -1;
	if (v.r->n_images == 0 && v.r->store->notes.n == 0)
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s holds no image", v.r->place.text);
	if (plan(&v, err) < 0 || run_parallel(ctx->threads, v.n, probe_layer, &v, err) < 0)
		return -1;
	if (report_notes(v.r, true, err) < 0 || judge_all(&v, err) < 0 || publish(&v, err) < 0)
		return -1;
	*ret = steal_pointer(&v.r);
	return 0;
}
