/* SPDX-License-Identifier: Apache-2.0 */

/* OCI image layouts: each manifest that index.json leads to becomes an image.
 * Relies on oci_tree.c for the way there, on blob_read() for proof.
 * Promises that damaged or absent documents cost their own image only. */

#include "store/store_priv.h"

#include "base/limits.h"
#include "base/mem.h"

/* 1 = it states the version that we know, 0 = it does not, -1. */
static int read_layout_file(struct archive *a, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	cleanup_json struct json_doc *doc = NULL;
	cleanup_error dray_error *e = NULL;
	const char *version = NULL;

	if (members_document(a->members, "oci-layout", LIMIT_MANIFEST, &raw, &e) == 0 &&
	    json_parse(span_buf(&raw), &doc, &e) == 0 &&
	    json_string(json_get(json_root(doc), "imageLayoutVersion"), "imageLayoutVersion",
			&a->store.arena, &version, &e) == 0)
		return version && strcmp(version, "1.0.0") == 0;
	if (error_about_bytes(e))
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int check_layout_file(struct archive *a, dray_error **err)
{
	bool there;

	if (a->store.kind == STORE_DIR || a->index.len)
		return 0;
	if (members_has(a->members, "oci-layout", &there, err) < 0)
		return -1;
	if (!there)
		return notes_add(&a->store.notes, true, "oci-layout-missing", a->label, NULL, NULL,
				 err, "the file oci-layout is not there");
	int rc = read_layout_file(a, err);
	if (rc)
		return rc < 0 ? -1 : 0;
	return notes_add(&a->store.notes, true, "oci-layout-bad", a->label, "1.0.0", NULL, err,
			 "the file oci-layout does not state version 1.0.0");
}

/* "x.tar sha256:0123456789ab (name:tag)" */
static char *image_where(struct arena *arena, const struct archive *a, const struct oci_leaf *leaf)
{
	const struct digest *d = &leaf->desc->digest;
	const char *tag = leaf->root->tags ? safe_text(arena, span_str(leaf->root->tags->text))
					   : NULL;

	return arena_printf(arena, "%s %.19s%s%s%s", a->label, d->text, tag ? " (" : "",
			    tag ? tag : "", tag ? ")" : "");
}

static int add_tags(struct image *im, const struct oci_root *root, dray_error **err)
{
	for (const struct oci_tag *t = root->tags; t; t = t->next)
		if (image_add_tag(im, t->text, t->ref_name, err) < 0)
			return -1;
	return 0;
}

static int bind_layers(struct archive *a, struct image *im, dray_error **err)
{
	for (size_t i = 0; i < im->n_layers; i++) {
		struct layer *layer = &im->layers[i];

		layer->handle = 0;
		if (blob_path(a, &layer->blob.digest, &im->arena, &layer->path, err) < 0 ||
		    archive_bind_layer(a, im, i, err) < 0)
			return -1;
	}
	return 0;
}

/* What is wrong with the documents of an image that does not exist yet. */
struct damage {
	struct {
		const char *code;
		dray_error *error;
	} list[3]; /* digest, size, JSON */
	size_t n;
};

static dray_error **damage_slot(struct damage *d, const char *code)
{
	d->list[d->n].code = code;
	return &d->list[d->n++].error;
}

static void damage_clear(struct damage *d)
{
	for (size_t i = 0; i < d->n; i++)
		dray_error_free(d->list[i].error);
}
#define cleanup_damage CLEANUP(damage_clear)

static int note_damage(struct image *im, struct damage *d, const char *where, dray_error **err)
{
	for (size_t i = 0; i < d->n; i++) {
		dray_error **e = &d->list[i].error;
		int rc = *e ? image_trouble(im, d->list[i].code, where, e) : 0;

		if (rc == 0)
			continue;
		if (err && *e)
			*err = steal_pointer(e);
		return -1;
	}
	return 0;
}

/* The manifest behind @p leaf, unproven bytes too; *ret stays NULL when there is none to be had. */
static void read_manifest(struct archive *a, const struct descriptor *desc, struct manifest **ret,
			  struct damage *d)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	const char *code;
	dray_error *e = NULL;

	if (blob_fetch(a, desc, LIMIT_MANIFEST, &raw, &code, &e) < 0) {
		*damage_slot(d, code) = e;
		return;
	}
	if (bytes_check_digest(&desc->digest, span_buf(&raw), &e) < 0)
		*damage_slot(d, dray_error_kind(e) == DRAY_ERR_CORRUPT ? "blob-digest-differs"
								       : "blob-unsupported") = e;
	e = NULL;
	if (blob_check_size(desc, span_buf(&raw), &e) < 0)
		*damage_slot(d, "blob-size-differs") = e;
	e = NULL;
	if (manifest_parse(&raw, desc->media_type, ret, &e) < 0)
		*damage_slot(d, "manifest-bad-json") = e;
}

static int whole_image(struct archive *a, const char *where, struct manifest *m, struct image **ret,
		       dray_error **err)
{
	cleanup_buf struct buf config = BUF_INIT(LIMIT_CONFIG);
	cleanup_damage struct damage d = { 0 };
	const char *code;
	dray_error *e = NULL;

	bool here = blob_fetch(a, &m->config, LIMIT_CONFIG, &config, &code, &e) == 0;
	if (!here)
		*damage_slot(&d, code) = e;
	if (image_from_manifest(m, here ? &config : NULL, where, ret, err) < 0)
		return -1;
	struct image *im = *ret;
	if (blob_path(a, &im->manifest->config.digest, &im->arena, &im->config_path, err) < 0)
		return -1;
	return note_damage(im, &d, im->config_path, err);
}

static int no_image(const char *where, const struct manifest *m, struct image **ret,
		    dray_error **err)
{
	if (image_new(where, ret, err) < 0)
		return -1;
	(*ret)->broken = true;
	if (!m)
		return 0;
	return notes_add(&(*ret)->notes, true, "manifest-unsupported", where, NULL, NULL, err,
			 "a manifest of schema 1, or an index where a manifest was announced");
}

static int make_image(struct archive *a, const struct oci_leaf *leaf, const char *where,
		      struct image **ret, dray_error **err)
{
	cleanup_damage struct damage d = { 0 };
	struct manifest *m = NULL;
	int rc;

	read_manifest(a, leaf->desc, &m, &d);
	if (m && m->kind == MANIFEST_IMAGE) {
		rc = whole_image(a, where, m, ret, err);
	} else {
		rc = no_image(where, m, ret, err);
		manifest_free(m);
	}
	return rc < 0 ? -1 : note_damage(*ret, &d, leaf->desc->digest.text, err);
}

int oci_leaf_image(struct archive *a, const struct oci_leaf *leaf, struct image **ret,
		   dray_error **err)
{
	cleanup_image struct image *im = NULL;
	struct arena names = { 0 };
	const char *where = image_where(&names, a, leaf);
	int rc = where ? make_image(a, leaf, where, &im, err) : err_nomem(err);

	arena_clear(&names);
	if (rc < 0 || add_tags(im, leaf->root, err) < 0 || bind_layers(a, im, err) < 0)
		return -1;
	im->at = leaf->root->at;
	im->family = leaf->root->family;
	im->attestation = descriptor_is_attestation(leaf->desc);
	im->wanted = leaf->desc->digest;
	if (leaf->index) {
		im->index_digest = *leaf->index;
		im->root = leaf->root->desc->digest;
	}
	/* Side by side in index.json images speak for themselves, if they are here. */
	if ((leaf->index || !im->config) && image_set_index_platform(im, leaf->desc, err) < 0)
		return -1;
	*ret = steal_pointer(&im);
	return 0;
}

int oci_layout_images(struct archive *a, struct image_list *ret, dray_error **err)
{
	cleanup_oci_tree struct oci_tree t = { 0 };

	if (check_layout_file(a, err) < 0 || oci_tree_load(a, &t, err) < 0)
		return err_ctx(err, "%s", a->label);
	if (!t.n_roots)
		return notes_add(&a->store.notes, true, "index-no-manifests", a->label, NULL, NULL,
				 err, "index.json lists nothing");
	for (size_t i = 0; i < t.n_leaves; i++) {
		struct image *im;

		if (oci_leaf_image(a, &t.leaves[i], &im, err) < 0 ||
		    image_list_add(ret, im, err) < 0)
			return -1;
	}
	return 0;
}
