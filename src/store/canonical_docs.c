/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the JSON of a canonical archive: OCI manifests, index.json, manifest.json.
 * Relies on: base/jsonw.h for compact text with Go's escaping; a sorted set.
 * Promises: the text that docs/canonical-archive.md spells out, byte for byte.
 */
#include "store/canonical_priv.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define NAME_CONTAINERD "io.containerd.image.name"
#define NAME_SHOWN 256 /* bytes of a name that an error shows */
#define NAME_OCI "org.opencontainers.image.ref.name"

/* ---- who has a name in manifest.json ---- */

/* The platform as one text, which orders images that share a name. NULL = no memory. */
static char *platform_key(const struct canonical_image *im)
{
	const struct platform *p = &im->config->platform;

	return mem_printf("%s/%s/%s/%s", p->os ? p->os : "", p->arch ? p->arch : "",
			  p->variant ? p->variant : "", p->os_version ? p->os_version : "");
}

static int refuse_twins(const char *name, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(name), NAME_SHOWN);

	err_set(err, DRAY_ERR_FORMAT, "two images of one platform have the name %s",
		shown ? shown : "?");
	return err_hint(err, "choose one with --image, or leave names out with --untagged");
}

/* 1 = @a has the name, 0 = @b has it, -1. linux/amd64 is what readers without platforms expect. */
static int goes_first(const struct canonical_image *a, const struct canonical_image *b,
		      const char *name, dray_error **err)
{
	static const char usual[] = "linux/amd64//";
	cleanup_free char *key_a = platform_key(a);
	cleanup_free char *key_b = platform_key(b);

	if (!key_a || !key_b)
		return err_nomem(err);
	int order = strcmp(key_a, key_b);
	if (order == 0)
		return refuse_twins(name, err);
	if (strcmp(key_a, usual) == 0 || strcmp(key_b, usual) == 0)
		return strcmp(key_a, usual) == 0;
	return order < 0;
}

static int claim_name(struct canonical_repo_tags *t, struct canonical_image *im, const char *name,
		      dray_error **err)
{
	const struct canonical_image *other = map_get(&t->owner, span_str(name));
	int mine = !other || other == im ? 1 : goes_first(im, other, name, err);

	if (mine < 0)
		return -1;
	return mine && other != im ? map_put(&t->owner, span_str(name), im, err) : 0;
}

int canonical_names(const struct canonical_set *s, struct canonical_repo_tags *ret,
		    dray_error **err)
{
	for (size_t i = 0; i < s->n_images; i++) {
		struct canonical_image *im = s->images[i];

		for (size_t k = 0; k < im->n_names; k++)
			if (claim_name(ret, im, im->names[k], err) < 0)
				return -1;
	}
	return 0;
}

/* ---- the documents ---- */

int canonical_write_manifest(struct canonical_image *im, dray_error **err)
{
	size_t n = im->config->n_diff_ids;
	const struct descriptor config = {
		.media_type = MT_OCI_CONFIG,
		.digest = im->config->digest,
		.size = (int64_t)im->config->raw.len,
	};
	cleanup_free struct descriptor *layers = mem_alloc_array(n + 1, sizeof(*layers));

	if (!layers)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		layers[i] = (struct descriptor){
			.media_type = MT_OCI_LAYER,
			.digest = im->layers[i]->diff_id,
			.size = im->layers[i]->size,
		};
	buf_reset(&im->manifest);
	if (manifest_write(false, &config, layers, n, NULL, &im->manifest, err) < 0)
		return err_ctx(err, "OCI manifest");
	return digest_of(span_buf(&im->manifest), &im->manifest_digest, err);
}

/* @name NULL: the image has none. */
static void write_entry(struct jsonw *w, const struct canonical_image *im, const char *name)
{
	jsonw_object(w);
	jsonw_kstring(w, "mediaType", MT_OCI_MANIFEST);
	jsonw_kstring(w, "digest", im->manifest_digest.text);
	jsonw_kint(w, "size", (int64_t)im->manifest.len);
	if (name) {
		jsonw_key(w, "annotations");
		jsonw_object(w);
		jsonw_kstring(w, NAME_CONTAINERD, name);
		jsonw_kstring(w, NAME_OCI, name);
		jsonw_end_object(w);
	}
	platform_write(w, &im->config->platform);
	jsonw_end_object(w);
}

int canonical_write_index(const struct canonical_set *s, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schemaVersion", 2);
	jsonw_kstring(&w, "mediaType", MT_OCI_INDEX);
	jsonw_key(&w, "manifests");
	jsonw_array(&w);
	for (size_t i = 0; i < s->n_images; i++) {
		const struct canonical_image *im = s->images[i];

		if (im->n_names == 0)
			write_entry(&w, im, NULL);
		for (size_t k = 0; k < im->n_names; k++)
			write_entry(&w, im, im->names[k]);
	}
	jsonw_end_array(&w);
	jsonw_key(&w, "annotations");
	jsonw_object(&w);
	jsonw_kstring(&w, CANONICAL_KEY, CANONICAL_VERSION);
	jsonw_end_object(&w);
	jsonw_end_object(&w);
	return jsonw_finish(&w) < 0 ? err_ctx(err, "index.json") : 0;
}

static void write_path(struct jsonw *w, const struct digest *d)
{
	char path[sizeof("blobs/sha256/") + DIGEST_HEX_SHA256];

	snprintf(path, sizeof(path), "blobs/sha256/%.64s", digest_hex(d));
	jsonw_string(w, path);
}

static void write_element(struct jsonw *w, const struct canonical_image *im,
			  const struct canonical_repo_tags *tags)
{
	jsonw_object(w);
	jsonw_key(w, "Config");
	write_path(w, &im->config->digest);
	jsonw_key(w, "RepoTags");
	jsonw_array(w);
	for (size_t i = 0; i < im->n_names; i++)
		if (map_get(&tags->owner, span_str(im->names[i])) == im)
			jsonw_string(w, im->names[i]);
	jsonw_end_array(w);
	jsonw_key(w, "Layers");
	jsonw_array(w);
	for (size_t i = 0; i < im->config->n_diff_ids; i++)
		write_path(w, &im->layers[i]->diff_id);
	jsonw_end_array(w);
	jsonw_end_object(w);
}

int canonical_write_manifest_json(const struct canonical_set *s,
				  const struct canonical_repo_tags *tags, struct buf *ret,
				  dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_array(&w);
	for (size_t i = 0; i < s->n_images; i++)
		write_element(&w, s->images[i], tags);
	jsonw_end_array(&w);
	return jsonw_finish(&w) < 0 ? err_ctx(err, "manifest.json") : 0;
}
