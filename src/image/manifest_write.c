/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing new image manifests: Docker's schema 2 or OCI, compact.
 * Relies on base/jsonw.h for Go's escaping; the caller knows every digest and size.
 * Promises the same bytes for the same parts: member order is fixed per family.
 */
#include "image/manifest.h"

#include <assert.h>

#include "base/jsonw.h"
#include "base/limits.h"

/* A value of another document, compacted. */
static int write_copy(struct jsonw *w, const char *key, struct json v, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_MANIFEST);

	if (!json_node(v) || json_len(v) == 0)
		return 0;
	if (w->failed || json_compact(v, &text, err) < 0)
		return -1;
	jsonw_key(w, key);
	jsonw_raw(w, span_buf(&text));
	return 0;
}

/* Docker's clients write the size before the digest, OCI's after it. */
static int write_descriptor(struct jsonw *w, bool docker, const struct descriptor *d,
			    dray_error **err)
{
	assert(digest_set(&d->digest) && d->size >= 0);
	jsonw_object(w);
	jsonw_kstring(w, "mediaType", d->media_type ? d->media_type : "");
	if (docker)
		jsonw_kint(w, "size", d->size);
	jsonw_kstring(w, "digest", d->digest.text);
	if (!docker)
		jsonw_kint(w, "size", d->size);
	if (write_copy(w, "urls", d->urls, err) < 0)
		return -1;
	if (!docker && write_copy(w, "annotations", d->annotations, err) < 0)
		return -1;
	jsonw_end_object(w);
	return 0;
}

int manifest_write(bool docker, const struct descriptor *config, const struct descriptor *layers,
		   size_t n_layers, struct json annotations, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schemaVersion", 2);
	jsonw_kstring(&w, "mediaType", docker ? MT_DOCKER_MANIFEST : MT_OCI_MANIFEST);
	jsonw_key(&w, "config");
	if (write_descriptor(&w, docker, config, err) < 0)
		return -1;
	jsonw_key(&w, "layers");
	jsonw_array(&w);
	for (size_t i = 0; i < n_layers; i++)
		if (write_descriptor(&w, docker, &layers[i], err) < 0)
			return -1;
	jsonw_end_array(&w);
	if (!docker && write_copy(&w, "annotations", annotations, err) < 0)
		return -1;
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}
