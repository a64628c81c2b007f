/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      images that a registry keeps as manifests of schema 1.
 * Relies:   on image/schema1.h for the chain and the config, on member_hash() to know a layer.
 * Promises: the image ID is the one that docker pull makes; every layer has its digest before it counts; a blob
 *           that is listed twice is read once.
 */
#include "base/limits.h"
#include "image/schema1.h"
#include "remote/remote_priv.h"
#include "store/assemble.h"

/* What the layer with this blob is, if an earlier one has it too. */
static const struct layer *known_layer(const struct image *im, size_t n, const struct digest *blob)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(im->layers[i].blob.digest.text, blob->text) == 0)
			return &im->layers[i];
	}
	return NULL;
}

static int read_layer(struct remote *r, struct image *im, struct layer *l, dray_error **err)
{
	struct blob_facts *facts = arena_alloc(&im->arena, sizeof(*facts));
	cleanup_source struct source *s = NULL;
	int rc;

	if (!facts)
		return err_nomem(err);
	rc = remote_has_blob(r, &l->blob.digest, &l->blob.size, err);
	if (rc <= 0)
		return rc < 0 ? -1
			      : err_set(err, DRAY_ERR_NOT_FOUND, "blob %s is not there",
					l->blob.digest.text);
	if (l->blob.size < 0)
		return err_set(err, DRAY_ERR_NETWORK,
			       "the registry does not say how long blob %s is",
			       l->blob.digest.text);
	s = remote_open_blob(r, &l->blob, err);
	s = source_verified(s, &l->blob.digest, l->blob.size, "blob digest", err);
	if (!s || member_hash(NULL, l->blob.digest.text, s, l->blob.size, facts, err) < 0)
		return -1;
	if (!digest_set(&facts->diff_id))
		return err_set(err, DRAY_ERR_FORMAT, "blob %s does not decode",
			       l->blob.digest.text);
	l->facts = facts;
	l->diff_id = facts->diff_id;
	return 0;
}

static int fill_layers(struct remote *r, struct image *im, const struct schema1 *s1,
		       dray_error **err)
{
	size_t n = 0;

	if (image_set_layers(im, s1->n_layers, err) < 0)
		return -1;
	for (size_t i = 0; i < s1->n; i++) {
		const struct layer *twin = known_layer(im, n, &s1->entries[i].blob);
		struct layer *l;

		if (s1->entries[i].throwaway)
			continue;
		l = &im->layers[n];
		if (twin)
			*l = *twin;
		else
			l->blob = (struct descriptor){ .digest = s1->entries[i].blob, .size = -1 };
		l->handle = n++;
		if (!twin && read_layer(r, im, l, err) < 0)
			return -1;
	}
	return 0;
}

static int fill_config(struct image *im, const struct schema1 *s1, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);
	struct digest *ids = arena_array(&im->arena, im->n_layers + 1, sizeof(*ids));

	if (!ids)
		return err_nomem(err);
	for (size_t i = 0; i < im->n_layers; i++)
		ids[i] = im->layers[i].diff_id;
	return schema1_config(s1, ids, &raw, err) < 0 ? -1 : image_set_config(im, &raw, NULL, err);
}

int remote_schema1_image(struct remote *r, struct manifest *m, const char *where,
			 struct image **ret, dray_error **err)
{
	cleanup_manifest struct manifest *own = m;
	cleanup_schema1 struct schema1 s1 = { 0 };
	cleanup_image struct image *im = NULL;

	if (schema1_read(m, &s1, err) < 0 || image_new(where, &im, err) < 0)
		return err_ctx(err, "%s", where);
	if (fill_layers(r, im, &s1, err) < 0 || fill_config(im, &s1, err) < 0)
		return err_ctx(err, "%s", where);
	im->manifest = steal_pointer(&own);
	im->manifest_trusted = true;
	*ret = steal_pointer(&im);
	return 0;
}
