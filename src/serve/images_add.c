/* SPDX-License-Identifier: Apache-2.0
 *
 * For: from the images of a place to repositories with tags, documents and blobs.
 * Relies on stores for proven documents; on store/canonical.h for manifests that a place lacks.
 * Promises: what cannot be served is told and left out; what was first keeps its name.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "serve/head.h"
#include "serve/images_priv.h"
#include "store/assemble.h"
#include "store/canonical.h"

/* One image made ready: its document and what that names. */
struct ready {
	const struct image *im;
	struct doc *doc;
	struct held *blobs;
	size_t n_blobs;
	bool placed;
};

struct adding {
	struct images_shelf *s;
	struct store *store;
	const char *name; /* repository of what has no name */
	images_note_fn *note;
	void *arg;
	struct ready *list;
	size_t n;
};

static void tell(const struct adding *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void tell(const struct adding *a, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	cleanup_free char *raw = mem_vprintf(fmt, args);
	va_end(args);
	cleanup_free char *safe = raw ? text_safe(span_str(raw), 2048) : NULL;
	if (safe && a->note)
		a->note(a->arg, safe);
}

/* ---- documents ---- */

static struct doc *doc_new(struct images_shelf *s, const struct digest *digest, const char *type,
			   struct span bytes, dray_error **err)
{
	struct doc *d = map_get(&s->docs, span_str(digest->text));

	if (d)
		return d;
	d = arena_alloc(&s->arena, sizeof(*d));
	if (!d) {
		err_nomem(err);
		return NULL;
	}
	d->digest = *digest;
	d->media_type = type;
	d->bytes = bytes;
	return map_put(&s->docs, span_str(d->digest.text), d, err) < 0 ? NULL : d;
}

/* A type that cannot stand in a header field is told as nothing in particular. */
static const char *clean_type(const char *type, struct arena *a)
{
	struct span s = head_media_type(type);

	return s.len ? arena_strndup(a, (const char *)s.data, s.len) : "application/octet-stream";
}

/* What referrers are told by. */
static bool describe_doc(struct images_shelf *s, struct doc *d, const struct manifest *m)
{
	const char *type = m->artifact_type ? m->artifact_type : m->config.media_type;
	bool annotated = json_present(m->annotations);

	d->subject = m->subject.digest;
	d->artifact_type = type ? arena_strdup(&s->arena, type) : NULL;
	if (annotated)
		d->annotations = arena_dup(&s->arena, json_raw(m->annotations));
	return (!type || d->artifact_type) && (!annotated || d->annotations.data);
}

/* The document of @p m, whose bytes are copied. */
static struct doc *doc_of(struct images_shelf *s, const struct manifest *m, dray_error **err)
{
	struct span bytes = arena_dup(&s->arena, span_buf(&m->raw));
	const char *type = clean_type(m->media_type, &s->arena);
	struct doc *d = bytes.data && type ? doc_new(s, &m->digest, type, bytes, err) : NULL;

	if (!d) {
		if (!bytes.data || !type)
			err_nomem(err);
		return NULL;
	}
	if (d->bytes.data != bytes.data)
		return d; /* another image has it, too */
	if (describe_doc(s, d, m))
		return d;
	err_nomem(err);
	return NULL;
}

/* ---- an image whose manifest the place has ---- */

static struct span config_bytes(const struct image *im)
{
	const struct descriptor *d = &im->manifest->config;

	if (im->config)
		return span_buf(&im->config->raw);
	return im->raw_config.len > 0 || !d->has_data ? span_buf(&im->raw_config) : d->data;
}

static int ready_stored(struct adding *a, struct ready *r, dray_error **err)
{
	const struct image *im = r->im;
	struct span config = config_bytes(im);

	r->doc = doc_of(a->s, im->manifest, err);
	r->blobs = r->doc ? arena_array(&a->s->arena, im->n_layers + 1, sizeof(*r->blobs)) : NULL;
	if (!r->blobs)
		return r->doc ? err_nomem(err) : -1;
	if ((int64_t)config.len == im->manifest->config.size)
		r->blobs[r->n_blobs++] = (struct held){ .digest = im->manifest->config.digest,
							.size = (int64_t)config.len,
							.bytes = config };
	for (size_t i = 0; i < im->n_layers; i++) {
		const struct layer *l = &im->layers[i];

		if (!l->missing && digest_set(&l->blob.digest) && l->blob.size >= 0)
			r->blobs[r->n_blobs++] = (struct held){ .digest = l->blob.digest,
								.size = l->blob.size,
								.store = a->store,
								.image = im,
								.layer = i };
	}
	return 0;
}

/* ---- an image without one: that of the canonical archive ---- */

static bool is_compressed(const struct layer *l)
{
	return l->has_compression && l->compression != COMPRESSION_NONE;
}

/* Bytes of the layer's tar; those of a compressed one are counted by decoding it. */
static int measure(struct store *st, const struct image *im, size_t i, int64_t *ret,
		   dray_error **err)
{
	const struct layer *l = &im->layers[i];
	cleanup_source struct source *data = NULL;
	int64_t off;
	int fd;

	if (!is_compressed(l) && l->blob.size >= 0) {
		*ret = l->blob.size;
		return 0;
	}
	data = store_open_layer(st, im, i, err);
	if (data && !is_compressed(l) && source_extent(data, &fd, &off, ret))
		return 0;
	if (data && is_compressed(l))
		data = source_decode_auto(steal_pointer(&data), NULL, err);
	if (!data || source_drain(data, err) < 0)
		return -1;
	*ret = data->pos;
	return 0;
}

static int hold_canonical(struct adding *a, struct ready *r, const struct canonical_set *set,
			  dray_error **err)
{
	const struct config *config = r->im->config;

	r->blobs = arena_array(&a->s->arena, set->n_layers + 1, sizeof(*r->blobs));
	if (!r->blobs)
		return err_nomem(err);
	r->blobs[r->n_blobs++] = (struct held){ .digest = config->digest,
						.size = (int64_t)config->raw.len,
						.bytes = span_buf(&config->raw) };
	for (size_t i = 0; i < set->n_layers; i++) {
		const struct canonical_layer *l = set->layers[i];

		r->blobs[r->n_blobs++] = (struct held){ .digest = l->diff_id,
							.size = l->size,
							.store = l->store,
							.image = l->image,
							.layer = l->at,
							.decode = is_compressed(
								&l->image->layers[l->at]) };
	}
	return 0;
}

static int ready_canonical(struct adding *a, struct ready *r, dray_error **err)
{
	cleanup_canonical struct canonical_set set = { 0 };
	cleanup_canonical_layout struct canonical_layout layout = { 0 };
	struct canonical_image *ci;
	struct span bytes;

	if (canonical_add(&set, a->store, r->im, &ci, err) < 0)
		return -1;
	for (size_t i = 0; i < set.n_layers; i++) {
		struct canonical_layer *l = set.layers[i];

		if (measure(l->store, l->image, l->at, &l->size, err) < 0)
			return -1;
	}
	if (canonical_lay_out(&set, &layout, err) < 0)
		return -1;
	bytes = arena_dup(&a->s->arena, span_buf(&ci->manifest));
	if (!bytes.data)
		return err_nomem(err);
	r->doc = doc_new(a->s, &ci->manifest_digest, MT_OCI_MANIFEST, bytes, err);
	return r->doc ? hold_canonical(a, r, &set, err) : -1;
}

static bool has_manifest(const struct adding *a, const struct image *im)
{
	return im->manifest && (a->store->kind != STORE_DOCKER_ARCHIVE || im->manifest_trusted);
}

static int make_ready(struct adding *a, struct ready *r, dray_error **err)
{
	int rc;

	if (image_require_whole(r->im, err) < 0)
		return -1;
	rc = has_manifest(a, r->im) ? ready_stored(a, r, err) : ready_canonical(a, r, err);
	if (rc == 0 && r->im->config && !r->im->artifact)
		r->doc->config = r->im->config;
	return rc;
}

/* What is wrong with bytes concerns one image; what is wrong with us ends the start. */
static int try_ready(struct adding *a, struct ready *r, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	if (image_is_hole(r->im) || make_ready(a, r, &e) == 0)
		return 0;
	if (!error_about_bytes(e) && dray_error_kind(e) != DRAY_ERR_UNSUPPORTED) {
		*err = steal_pointer(&e);
		return -1;
	}
	r->doc = NULL;
	if (span_starts(span_str(dray_error_message(e)), r->im->where))
		tell(a, "not served: %s", dray_error_message(e));
	else
		tell(a, "not served: %s: %s", r->im->where, dray_error_message(e));
	return 0;
}

/* ---- into repositories ---- */

int images_get_repo(struct images_shelf *s, const char *name, struct repo **ret, dray_error **err)
{
	*ret = map_get(&s->repos, span_str(name));
	if (*ret)
		return 0;
	*ret = arena_alloc(&s->arena, sizeof(**ret));
	if (!*ret)
		return err_nomem(err);
	(*ret)->name = arena_strdup(&s->arena, name);
	if (!(*ret)->name)
		return err_nomem(err);
	return map_put(&s->repos, span_str((*ret)->name), *ret, err);
}

static int put_doc(struct repo *r, struct doc *d, dray_error **err)
{
	return map_put(&r->docs, span_str(d->digest.text), d, err);
}

static int put_image(struct repo *repo, struct ready *r, dray_error **err)
{
	r->placed = true;
	for (size_t i = 0; i < r->n_blobs; i++) {
		struct span key = span_str(r->blobs[i].digest.text);

		if (!map_get(&repo->blobs, key) &&
		    map_put(&repo->blobs, key, &r->blobs[i], err) < 0)
			return -1;
	}
	return put_doc(repo, r->doc, err);
}

/* Indexes that are still to be put. */
struct todo {
	const struct digest **list;
	size_t n, cap;
};

static int push_todo(struct todo *t, const struct digest *d, dray_error **err)
{
	if (mem_grow(&t->list, t->n, &t->cap, sizeof(struct digest *)) < 0)
		return err_nomem(err);
	t->list[t->n++] = d;
	return 0;
}

static int push_entries(struct adding *a, struct todo *t, const struct manifest *m,
			dray_error **err)
{
	for (size_t i = 0; i < m->n_entries; i++) {
		struct digest *copy;

		if (!mediatype_is_index(m->entries[i].media_type))
			continue;
		copy = arena_alloc(&a->s->arena, sizeof(*copy));
		if (!copy)
			return err_nomem(err);
		*copy = m->entries[i].digest;
		if (push_todo(t, copy, err) < 0)
			return -1;
	}
	return 0;
}

/* One that cannot be read is told, as the place's own listing told it, and left out. */
static int put_index(struct adding *a, struct repo *repo, const struct digest *digest,
		     struct todo *t, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;
	cleanup_error dray_error *e = NULL;
	struct doc *d;

	if (map_get(&repo->docs, span_str(digest->text)))
		return 0;
	if (store_index(a->store, digest, &m, &e) < 0) {
		if (dray_error_kind(e) == DRAY_ERR_NOMEM)
			return err_nomem(err);
		tell(a, "not served: %s", dray_error_message(e));
		return 0;
	}
	d = doc_of(a->s, m, err);
	return !d || put_doc(repo, d, err) < 0 ? -1 : push_entries(a, t, m, err);
}

/* The index @p digest and those below it; *ret is its own document, NULL where it is gone. */
static int put_indexes(struct adding *a, struct repo *repo, const struct digest *digest,
		       struct doc **ret, dray_error **err)
{
	struct todo t = { 0 };
	int rc = push_todo(&t, digest, err);

	/* Each is put once, and LIMIT_INDEX_NODES bounds what the place let through. */
	while (rc == 0 && t.n > 0)
		rc = put_index(a, repo, t.list[--t.n], &t, err);
	mem_free(t.list);
	*ret = map_get(&repo->docs, span_str(digest->text));
	return rc;
}

static int join_tag(struct named *t, struct doc *d, dray_error **err)
{
	if (mem_grow(&t->docs, t->n, &t->cap, sizeof(struct doc *)) < 0)
		return err_nomem(err);
	t->docs[t->n++] = d;
	return 0;
}

static int put_tag(struct adding *a, struct repo *repo, const char *tag, struct doc *d,
		   uint64_t family, dray_error **err)
{
	struct named *t = map_get(&repo->tags, span_str(tag));

	for (size_t i = 0; t && i < t->n; i++)
		if (t->docs[i] == d)
			return 0;
	if (t && (!family || t->family != family || !d->config)) {
		tell(a, "%s:%s names another image already; this one is found by its digest %s",
		     repo->name, tag, d->digest.text);
		return 0;
	}
	if (!t) {
		t = arena_alloc(&a->s->arena, sizeof(*t));
		if (!t)
			return err_nomem(err);
		t->tag = tag;
		t->family = family;
		if (map_put(&repo->tags, span_str(tag), t, err) < 0)
			return -1;
	}
	return join_tag(t, d, err);
}

/* @p r in repository @p name; @p tag NULL = by digest only. */
static int place_image(struct adding *a, struct ready *r, const char *name, const char *tag,
		       dray_error **err)
{
	struct doc *named = r->doc;
	uint64_t family = r->im->family;
	struct repo *repo;

	if (images_get_repo(a->s, name, &repo, err) < 0 || put_image(repo, r, err) < 0)
		return -1;
	if (digest_set(&r->im->root)) {
		struct doc *root;

		if (put_indexes(a, repo, &r->im->root, &root, err) < 0)
			return -1;
		named = root ? root : named;
		family = 0;
	}
	return tag ? put_tag(a, repo, tag, named, family, err) : 0;
}

static int place_named(struct adding *a, struct ready *r, dray_error **err)
{
	const char *repo, *tag;

	for (size_t i = 0; i < r->im->n_tags; i++) {
		if (images_split_name(r->im->tags[i], &a->s->arena, &repo, &tag, err) < 0)
			return -1;
		if (!tag)
			tell(a, "%s: \"%s\" is no name that a registry can have", r->im->where,
			     r->im->tags[i]);
		else if (place_image(a, r, repo ? repo : a->name, tag, err) < 0)
			return -1;
	}
	return 0;
}

/* A signature or an SBOM without a name belongs to where its subject is; *ret = it moved. */
static int place_beside_subject(struct adding *a, struct ready *r, bool *ret, dray_error **err)
{
	for (size_t i = 0; i < a->s->repos.len; i++) {
		struct repo *repo = a->s->repos.slots[i].value;

		if (!map_get(&repo->docs, span_str(r->doc->subject.text)))
			continue;
		if (put_image(repo, r, err) < 0)
			return -1;
		*ret = true;
	}
	return 0;
}

static int place_referrers(struct adding *a, dray_error **err)
{
	bool moved = true;

	/* Each round places one more level: a signature of an SBOM of an image. */
	while (moved) {
		moved = false;
		for (size_t i = 0; i < a->n; i++) {
			struct ready *r = &a->list[i];

			if (r->doc && !r->placed && digest_set(&r->doc->subject) &&
			    place_beside_subject(a, r, &moved, err) < 0)
				return -1;
		}
	}
	return 0;
}

/* Two entries of one index are one nameless thing; signatures are none. */
static bool same_nameless(const struct ready *x, const struct ready *y)
{
	return digest_set(&x->im->root) ? digest_eq(&x->im->root, &y->im->root) : x->doc == y->doc;
}

/*
 * Images without a name go where the place's name says. One alone, as "dir:" always has it, is
 * "latest" there, for nobody could ask for it otherwise but by its digest.
 */
static int place_nameless(struct adding *a, dray_error **err)
{
	struct ready *first = NULL;
	bool alone = true;

	for (size_t i = 0; i < a->n; i++) {
		struct ready *r = &a->list[i];

		if (!r->doc || r->placed || digest_set(&r->doc->subject))
			continue;
		first = first ? first : r;
		alone = alone && same_nameless(first, r);
	}
	alone = alone && !map_get(&a->s->repos, span_str(a->name));
	for (size_t i = 0; i < a->n; i++) {
		struct ready *r = &a->list[i];

		if (r->doc && !r->placed && !digest_set(&r->doc->subject) &&
		    place_image(a, r, a->name, alone ? "latest" : NULL, err) < 0)
			return -1;
	}
	return 0;
}

/* What refers to nothing that is here. */
static int place_rest(struct adding *a, dray_error **err)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i].doc && !a->list[i].placed &&
		    place_image(a, &a->list[i], a->name, NULL, err) < 0)
			return -1;
	return 0;
}

static int place_all(struct adding *a, dray_error **err)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i].doc && place_named(a, &a->list[i], err) < 0)
			return -1;
	if (place_referrers(a, err) < 0 || place_nameless(a, err) < 0 ||
	    place_referrers(a, err) < 0)
		return -1;
	return place_rest(a, err);
}

/* The place belongs to the shelf from here on, whatever happens. */
static int take_place(struct images_shelf *s, struct store *st, struct image **images, size_t n,
		      dray_error **err)
{
	struct images_place *p = arena_alloc(&s->arena, sizeof(*p));

	if (!p) {
		images_free(images, n);
		store_free(st);
		return err_nomem(err);
	}
	*p = (struct images_place){ s->places, st, images, n };
	s->places = p;
	return 0;
}

int images_shelf_add(struct images_shelf *s, struct store *st, struct image **images, size_t n,
		     const char *name, images_note_fn *note, void *arg, dray_error **err)
{
	struct adding a = { .s = s, .store = st, .note = note, .arg = arg, .n = n };

	if (take_place(s, st, images, n, err) < 0)
		return -1;
	a.name = images_place_name(name, &s->arena);
	a.list = arena_array(&s->arena, n + 1, sizeof(*a.list));
	if (!a.name || !a.list)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		a.list[i].im = images[i];
		if (try_ready(&a, &a.list[i], err) < 0)
			return -1;
	}
	return place_all(&a, err);
}
