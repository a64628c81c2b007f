/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens a delta, wherever it is: an artifact whose config describes it.
 * Relies on the store to prove manifest and config, on delta_doc.c for the description.
 * Promises that description, manifest and config of the image, and what the delta holds, agree.
 */
#include "ops/delta_priv.h"

#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"

/* ---- what passes on a pipe ---- */

/* Stored bytes that wait in a temporary file. */
struct kept_blob {
	int fd;
	int64_t size;
};

struct tee {
	struct sink *to;
	dray_error *failed;
};

static void tee_see(void *arg, struct span bytes)
{
	struct tee *t = arg;

	if (!t->failed && sink_write(t->to, bytes, &t->failed) < 0)
		return; /* told when the member is through */
}

static int keep_blob(struct delta *d, int fd, const struct blob_facts *f, dray_error **err)
{
	cleanup_fd int owned = fd;
	struct kept_blob *k = arena_alloc(&d->arena, sizeof(*k));
	const char *key = arena_strdup(&d->arena, f->blob_digest.text);

	if (!k || !key)
		return err_nomem(err);
	if (map_find(&d->kept, span_str(key)))
		return 0;
	if (map_put(&d->kept, span_str(key), k, err) < 0)
		return -1;
	*k = (struct kept_blob){ steal_fd(&owned), f->blob_size };
	return 0;
}

static int on_member(void *arg, const char *name, struct source *data, int64_t size,
		     struct blob_facts *ret, dray_error **err)
{
	struct delta *d = arg;
	cleanup_fd int fd = io_tempfile(d->ctx->tmpdir, err);
	cleanup_sink struct sink *k = fd < 0 ? NULL : sink_to_fd(fd, false, err);
	struct tee t = { .to = k };
	cleanup_source struct source *watched = NULL;
	int rc;

	if (!k)
		return -1;
	watched = source_watch(source_lend(data, err), (struct tap){ tee_see, &t }, err);
	rc = watched ? member_hash(NULL, name, watched, size, ret, err) : -1;
	if (rc == 0 && t.failed) {
		if (err)
			*err = steal_pointer(&t.failed);
		rc = -1;
	}
	dray_error_free(t.failed);
	return rc < 0 ? -1 : keep_blob(d, steal_fd(&fd), ret, err);
}

/* ---- blobs ---- */

struct source *delta_blob(const struct delta *d, const struct digest *digest, dray_error **err)
{
	const struct kept_blob *k = map_get(&d->kept, span_str(digest->text));
	size_t i = (size_t)(uintptr_t)map_get(&d->blobs, span_str(digest->text));
	struct source *s;

	if (i == 0) {
		err_set(err, DRAY_ERR_FORMAT, "%s is no blob of the delta", digest->text);
		return NULL;
	}
	s = k ? source_from_extent(k->fd, 0, k->size, err)
	      : store_open_layer(d->store, d->im, i - 1, err);
	if (!s)
		place_absent(d->store, err);
	return source_verified(s, digest, d->im->layers[i - 1].blob.size, "blob digest", err);
}

static int read_blob(const struct delta *d, const struct digest *digest, size_t max,
		     struct buf *ret, dray_error **err)
{
	cleanup_source struct source *s = delta_blob(d, digest, err);

	*ret = BUF_INIT(max);
	return s ? source_slurp(s, ret, err) : -1;
}

/* ---- the artifact ---- */

static int refuse_kind(const struct delta *d, const struct image *im, dray_error **err)
{
	const char *type = im->manifest ? im->manifest->artifact_type : NULL;

	if (type && span_starts(span_str(type), MT_DELTA_FAMILY))
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "%s: a delta of another version (expected " MT_DELTA ")",
			       d->place.text);
	err_set(err, DRAY_ERR_FORMAT, "%s is no delta: %s", d->place.text,
		im->artifact ? "an artifact of another kind" : "an image");
	return im->artifact ? -1 : err_hint(err, "dray copy moves whole images");
}

static int open_artifact(struct delta *d, const char *place, dray_error **err)
{
	const struct place_options po = { .on_member = on_member, .arg = d };
	struct selector sel;

	if (place_parse(place, PLACE_READ, &d->place, err) < 0 ||
	    place_open(d->ctx, &d->place, &po, &d->store, err) < 0 ||
	    place_selector(d->ctx, &d->place, NULL, false, &d->arena, &sel, err) < 0 ||
	    store_images(d->store, &sel, &d->images, &d->n_images, err) < 0)
		return -1;
	if (d->n_images != 1)
		return err_set(err, DRAY_ERR_FORMAT, "%s holds %zu images and is no delta",
			       d->place.text, d->n_images);
	d->im = d->images[0];
	if (place_require_whole(d->store, d->im, err) < 0)
		return -1;
	if (!d->im->manifest || !d->im->manifest->artifact_type ||
	    strcmp(d->im->manifest->artifact_type, MT_DELTA) != 0)
		return refuse_kind(d, d->im, err);
	return 0;
}

static int list_blobs(struct delta *d, dray_error **err)
{
	for (size_t i = 0; i < d->im->n_layers; i++)
		if (map_put(&d->blobs, span_str(d->im->layers[i].blob.digest.text),
			    (void *)(uintptr_t)(i + 1), err) < 0)
			return -1;
	return 0;
}

/* ---- what says the same ---- */

/* The blob @p digest is listed as @p media_type; @p size -1 = of any size. */
static int check_blob(const struct delta *d, const struct digest *digest, const char *media_type,
		      int64_t size, dray_error **err)
{
	size_t i = (size_t)(uintptr_t)map_get(&d->blobs, span_str(digest->text));
	const struct descriptor *e = i ? &d->im->layers[i - 1].blob : NULL;

	if (!e || !e->media_type || strcmp(e->media_type, media_type) != 0)
		return err_set(err, DRAY_ERR_FORMAT,
			       "the delta names %s and does not list it as %s", digest->text,
			       media_type);
	if (size >= 0 && e->size != size)
		return err_set(err, DRAY_ERR_FORMAT,
			       "two sizes of %s (%lld in the description, %lld in the manifest)",
			       digest->text, (long long)size, (long long)e->size);
	return 0;
}

static bool is_old(const struct delta_doc *doc, const struct digest *diff_id)
{
	for (size_t i = 0; i < doc->n_bases; i++)
		for (size_t k = 0; k < doc->bases[i].n; k++)
			if (digest_eq(&doc->bases[i].diff_ids[k], diff_id))
				return true;
	return false;
}

static int check_layers(const struct delta *d, dray_error **err)
{
	for (size_t i = 0; i < d->doc.n_layers; i++) {
		const struct delta_layer *l = &d->doc.layers[i];
		const char *type = l->from == DRAY_DELTA_BLOB ? MT_DELTA_LAYER : MT_DELTA_RECIPE;

		if (l->from == DRAY_DELTA_BASE && !is_old(&d->doc, &l->diff_id))
			return err_set(
				err, DRAY_ERR_FORMAT,
				"layer %zu comes from a base, and no base is told to have it",
				i + 1);
		if (l->from != DRAY_DELTA_BASE &&
		    check_blob(d, &l->digest, type, l->stored, err) < 0)
			return err_ctx(err, "layer %zu", i + 1);
	}
	return 0;
}

static int check_config(struct delta *d, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);
	cleanup_config struct config *c = NULL;

	if (check_blob(d, &d->doc.image_id, MT_DELTA_IMAGE_CONFIG, -1, err) < 0 ||
	    read_blob(d, &d->doc.image_id, LIMIT_CONFIG, &d->config, err) < 0 ||
	    buf_add(&raw, span_buf(&d->config), err) < 0 || config_parse(&raw, &c, err) < 0)
		return err_ctx(err, "config of the image");
	if (c->n_diff_ids != d->doc.n_layers)
		return err_set(err, DRAY_ERR_FORMAT,
			       "the delta describes %zu layers, the image has %zu", d->doc.n_layers,
			       c->n_diff_ids);
	for (size_t i = 0; i < c->n_diff_ids; i++)
		if (!digest_eq(&c->diff_ids[i], &d->doc.layers[i].diff_id))
			return err_set(err, DRAY_ERR_FORMAT,
				       "layer %zu: the delta and the image name two DiffIDs",
				       i + 1);
	return 0;
}

static int check_manifest(struct delta *d, dray_error **err)
{
	cleanup_buf struct buf raw = { 0 };

	if (!digest_set(&d->doc.manifest))
		return 0;
	if (check_blob(d, &d->doc.manifest, MT_DELTA_IMAGE_MANIFEST, -1, err) < 0 ||
	    read_blob(d, &d->doc.manifest, LIMIT_MANIFEST, &raw, err) < 0 ||
	    manifest_parse(&raw, NULL, &d->manifest, err) < 0)
		return err_ctx(err, "manifest of the image");
	if (d->manifest->kind != MANIFEST_IMAGE || manifest_is_artifact(d->manifest) ||
	    d->manifest->n_entries != d->doc.n_layers ||
	    !digest_eq(&d->manifest->config.digest, &d->doc.image_id))
		return err_set(err, DRAY_ERR_FORMAT,
			       "the manifest of the image is that of another one");
	return 0;
}

int delta_open(dray_context *ctx, const char *place, struct delta **ret, dray_error **err)
{
	cleanup_delta struct delta *d = mem_zalloc(sizeof(*d));

	if (!d)
		return err_nomem(err);
	d->ctx = ctx;
	if (open_artifact(d, place, err) < 0)
		return -1;
	if (delta_doc_parse(span_buf(&d->im->raw_config), &d->doc, err) < 0 ||
	    list_blobs(d, err) < 0 || check_layers(d, err) < 0 || check_config(d, err) < 0 ||
	    check_manifest(d, err) < 0)
		return err_ctx(err, "%s", d->place.text);
	*ret = steal_pointer(&d);
	return 0;
}

void delta_free(struct delta *d)
{
	if (!d)
		return;
	delta_doc_clear(&d->doc);
	manifest_free(d->manifest);
	buf_clear(&d->config);
	images_free(d->images, d->n_images);
	store_free(d->store);
	place_clear(&d->place);
	for (size_t i = 0; i < d->kept.len; i++) {
		struct kept_blob *k = d->kept.slots[i].value;

		close(k->fd);
	}
	map_clear(&d->kept);
	map_clear(&d->blobs);
	arena_clear(&d->arena);
	mem_free(d);
}
