/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the set of images of a canonical archive, and where each of its bytes lies.
 * Relies on: canonical_docs.c for documents, tar/ for headers.
 * Promises: a pure function of configs, DiffIDs, sizes and names; order of arrival is forgotten.
 */
#include "store/canonical.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "store/canonical_priv.h"
#include "tar/tar.h"

#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"

/* ---- the set ---- */

/* Layers that are one by their DiffID: any of the places serves, the first one that has the bytes. */
static int add_layer(struct canonical_set *s, struct store *st, const struct image *im, size_t at,
		     struct canonical_layer **ret, dray_error **err)
{
	const struct digest *id = &im->config->diff_ids[at];
	struct canonical_layer *l = map_get(&s->by_diff_id, span_str(id->text));

	if (l) {
		if (l->image->layers[l->at].missing && !im->layers[at].missing) {
			l->store = st;
			l->image = im;
			l->at = at;
		}
		*ret = l;
		return 0;
	}
	l = arena_alloc(&s->arena, sizeof(*l));
	if (!l ||
	    mem_grow(&s->layers, s->n_layers, &s->cap_layers, sizeof(struct canonical_layer *)) < 0)
		return err_nomem(err);
	*l = (struct canonical_layer){ .diff_id = *id,
				       .size = -1,
				       .off = -1,
				       .number = s->n_layers,
				       .store = st,
				       .image = im,
				       .at = at };
	s->layers[s->n_layers++] = l;
	*ret = l;
	return map_put(&s->by_diff_id, span_str(l->diff_id.text), l, err);
}

static int check_config(const struct image *im, dray_error **err)
{
	const struct config *c = im->config;

	if (!c)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "%s is no image: it has no image config",
			       im->where);
	if (!c->has_diff_ids)
		return err_set(err, DRAY_ERR_FORMAT,
			       "%s: the config has no rootfs.diff_ids, so nothing says what its "
			       "layers must be",
			       im->where);
	if (c->n_diff_ids != im->n_layers)
		return err_set(err, DRAY_ERR_FORMAT, "%s: %zu diff_ids and %zu layers", im->where,
			       c->n_diff_ids, im->n_layers);
	for (size_t i = 0; i < c->n_diff_ids; i++)
		if (c->diff_ids[i].algo != DIGEST_SHA256)
			return err_set(err, DRAY_ERR_UNSUPPORTED,
				       "%s: diff_ids[%zu] is no sha256 digest; a canonical archive "
				       "holds only those",
				       im->where, i);
	return 0;
}

int canonical_add(struct canonical_set *s, struct store *st, const struct image *im,
		  struct canonical_image **ret, dray_error **err)
{
	struct canonical_image *c;

	if (check_config(im, err) < 0)
		return -1;
	c = map_get(&s->by_id, span_str(im->config->digest.text));
	if (!c) {
		c = arena_alloc(&s->arena, sizeof(*c));
		if (!c || mem_grow(&s->images, s->n_images, &s->cap_images,
				   sizeof(struct canonical_image *)) < 0)
			return err_nomem(err);
		c->config = im->config;
		c->manifest.max = LIMIT_MANIFEST;
		c->layers = arena_array(&s->arena, im->n_layers + 1,
					sizeof(struct canonical_layer *));
		if (!c->layers)
			return err_nomem(err);
		s->images[s->n_images++] = c;
		if (map_put(&s->by_id, span_str(im->config->digest.text), c, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < im->n_layers; i++)
		if (add_layer(s, st, im, i, &c->layers[i], err) < 0)
			return -1;
	*ret = c;
	return 0;
}

int canonical_add_name(struct canonical_set *s, struct canonical_image *im, const char *stored,
		       dray_error **err)
{
	cleanup_reference struct reference ref = { 0 };
	cleanup_error dray_error *e = NULL;

	if (reference_parse(span_str(stored), &ref, &e) < 0)
		return dray_error_kind(e) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
	if (!ref.tag)
		return 0;
	ref.digest = (struct digest){ 0 };
	cleanup_free char *full = reference_text(&ref);
	const char *name = full ? arena_strdup(&s->arena, full) : NULL;

	if (!name || mem_grow(&im->names, im->n_names, &im->cap_names, sizeof(const char *)) < 0)
		return err_nomem(err);
	im->names[im->n_names++] = name;
	return 1;
}

void canonical_clear(struct canonical_set *s)
{
	for (size_t i = 0; i < s->n_images; i++) {
		mem_free(s->images[i]->names);
		buf_clear(&s->images[i]->manifest);
	}
	mem_free(s->images);
	mem_free(s->layers);
	map_clear(&s->by_id);
	map_clear(&s->by_diff_id);
	arena_clear(&s->arena);
	*s = (struct canonical_set){ 0 };
}

/* ---- sorting: bytes, never a locale ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_id(const void *a, const void *b)
{
	const struct canonical_image *const *x = a, *const *y = b;

	return strcmp((*x)->config->digest.text, (*y)->config->digest.text);
}

static void sort_names(struct canonical_image *im)
{
	size_t n = 0;

	if (im->n_names == 0)
		return;
	qsort(im->names, im->n_names, sizeof(*im->names), by_name);
	for (size_t i = 0; i < im->n_names; i++)
		if (n == 0 || strcmp(im->names[n - 1], im->names[i]) != 0)
			im->names[n++] = im->names[i];
	im->n_names = n;
}

static void sort_set(struct canonical_set *s)
{
	if (s->n_images > 0)
		qsort(s->images, s->n_images, sizeof(struct canonical_image *), by_id);
	for (size_t i = 0; i < s->n_images; i++)
		sort_names(s->images[i]);
	for (size_t i = 0; i < s->n_layers; i++)
		s->layers[i]->off = -1;
}

/* ---- places ---- */

struct laying {
	struct canonical_layout *out;
	struct map placed; /* digest text -> anything: each blob once */
};

static int add_member(struct laying *l, const char *name, struct span bytes,
		      struct canonical_layer *layer, dray_error **err)
{
	struct canonical_layout *out = l->out;
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);
	struct tar_member m = { .type = TAR_FILE,
				.name = span_str(name),
				.size = layer ? layer->size : (int64_t)bytes.len,
				.mode = 0644 };
	int64_t end;

	if (tar_header_write(&m, &head, err) < 0)
		return -1;
	struct span kept = arena_dup(&out->arena, span_buf(&head));
	if (!kept.data ||
	    mem_grow(&out->members, out->n_members, &out->cap_members, sizeof(*out->members)) < 0)
		return err_nomem(err);
	if (__builtin_add_overflow(out->size, (int64_t)kept.len, &end) ||
	    __builtin_add_overflow(end, m.size, &end) ||
	    __builtin_add_overflow(end, (int64_t)tar_padding(m.size), &end))
		return err_set(err, DRAY_ERR_LIMIT, "the archive would be longer than a file can");
	out->members[out->n_members++] = (struct canonical_member){
		.head = kept, .bytes = bytes, .layer = layer, .off = out->size, .size = m.size
	};
	if (layer)
		layer->off = out->size + (int64_t)kept.len;
	out->size = end;
	return 0;
}

/* Unless a blob of this digest has its place already. */
static int add_blob(struct laying *l, const struct digest *d, struct span bytes,
		    struct canonical_layer *layer, dray_error **err)
{
	char name[sizeof("blobs/sha256/") + DIGEST_HEX_SHA256];

	if (map_find(&l->placed, span_str(d->text)))
		return 0;
	snprintf(name, sizeof(name), "blobs/sha256/%.64s", digest_hex(d));
	if (map_put(&l->placed, span_str(d->text), l, err) < 0)
		return -1;
	return add_member(l, name, bytes, layer, err);
}

static int add_image(struct laying *l, const struct canonical_image *im, dray_error **err)
{
	if (add_blob(l, &im->manifest_digest, span_buf(&im->manifest), NULL, err) < 0 ||
	    add_blob(l, &im->config->digest, span_buf(&im->config->raw), NULL, err) < 0)
		return -1;
	for (size_t i = 0; i < im->config->n_diff_ids; i++)
		if (add_blob(l, &im->layers[i]->diff_id, (struct span){ 0 }, im->layers[i], err) <
		    0)
			return -1;
	return 0;
}

static int write_documents(struct canonical_set *s, struct canonical_layout *ret, dray_error **err)
{
	struct canonical_repo_tags tags = { 0 };
	int rc = canonical_names(s, &tags, err);

	for (size_t i = 0; i < s->n_images && rc == 0; i++)
		rc = canonical_write_manifest(s->images[i], err);
	if (rc == 0)
		rc = canonical_write_index(s, &ret->index, err);
	if (rc == 0)
		rc = canonical_write_manifest_json(s, &tags, &ret->manifest_json, err);
	map_clear(&tags.owner);
	return rc;
}

static int place_all(const struct canonical_set *s, struct laying *l, dray_error **err)
{
	if (add_member(l, "oci-layout", SPAN_LIT(LAYOUT_TEXT), NULL, err) < 0 ||
	    add_member(l, "index.json", span_buf(&l->out->index), NULL, err) < 0 ||
	    add_member(l, "manifest.json", span_buf(&l->out->manifest_json), NULL, err) < 0)
		return -1;
	for (size_t i = 0; i < s->n_images; i++)
		if (add_image(l, s->images[i], err) < 0)
			return -1;
	if (__builtin_add_overflow(l->out->size, CANONICAL_END, &l->out->size))
		return err_set(err, DRAY_ERR_LIMIT, "the archive would be longer than a file can");
	return 0;
}

int canonical_lay_out(struct canonical_set *s, struct canonical_layout *ret, dray_error **err)
{
	struct laying l = { .out = ret };
	int rc;

	*ret = (struct canonical_layout){ .index = BUF_INIT(LIMIT_MANIFEST),
					  .manifest_json = BUF_INIT(LIMIT_MANIFEST_JSON) };
	sort_set(s);
	rc = write_documents(s, ret, err) < 0 ? -1 : place_all(s, &l, err);
	map_clear(&l.placed);
	if (rc < 0)
		canonical_layout_clear(ret);
	return rc;
}

void canonical_layout_clear(struct canonical_layout *l)
{
	mem_free(l->members);
	buf_clear(&l->index);
	buf_clear(&l->manifest_json);
	arena_clear(&l->arena);
	*l = (struct canonical_layout){ 0 };
}
