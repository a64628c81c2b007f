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

	if (w->failed || json_compact(v, &text, err) < 0)
		return -1;
	jsonw_key(w, key);
	jsonw_raw(w, span_buf(&text));
	return 0;
}

/* The same for an object or an array, which is left out when it is empty. */
static int write_some(struct jsonw *w, const char *key, struct json v, dray_error **err)
{
	return json_node(v) && json_len(v) > 0 ? write_copy(w, key, v, err) : 0;
}

/* What lazy pullers note of a blob, as where in it its table of contents is. */
static bool speaks_of_bytes(const char *key)
{
	static const char *const families[] = {
		"containerd.io/snapshot/", /* stargz, nydus, overlaybd */
		"io.containers.estargz.",  /* sizes, for podman's store */
		"io.github.containers.zstd-chunked.",
		"io.containers.zstd-chunked.", /* before 2022 */
	};

	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		if (span_starts(span_str(key), families[i]))
			return true;
	return false;
}

/* Those of @p annotations that hold for other bytes, too. */
static int write_lasting(struct jsonw *w, struct json annotations, dray_error **err)
{
	struct arena names = { 0 };
	size_t n = 0;
	int rc = 0;

	for (struct json it = json_first(annotations); rc == 0 && json_node(it);
	     it = json_next(it)) {
		const char *key;

		rc = json_name(it, &names, &key, err);
		if (rc < 0 || speaks_of_bytes(key))
			continue;
		if (n++ == 0) {
			jsonw_key(w, "annotations");
			jsonw_object(w);
		}
		rc = write_copy(w, key, it, err);
	}
	if (n > 0)
		jsonw_end_object(w);
	arena_clear(&names);
	return rc;
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
	if (!d->recoded && write_some(w, "urls", d->urls, err) < 0)
		return -1;
	if (!docker && (d->recoded ? write_lasting(w, d->annotations, err)
				   : write_some(w, "annotations", d->annotations, err)) < 0)
		return -1;
	jsonw_end_object(w);
	return 0;
}

static int write_beside(struct jsonw *w, const struct manifest *like, dray_error **err)
{
	if (digest_set(&like->subject.digest) &&
	    write_copy(w, "subject", json_get(json_root(like->doc), "subject"), err) < 0)
		return -1;
	return write_some(w, "annotations", like->annotations, err);
}

int manifest_write(bool docker, const struct descriptor *config, const struct descriptor *layers,
		   size_t n_layers, const struct manifest *like, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schemaVersion", 2);
	jsonw_kstring(&w, "mediaType", docker ? MT_DOCKER_MANIFEST : MT_OCI_MANIFEST);
	if (!docker && like && like->artifact_type)
		jsonw_kstring(&w, "artifactType", like->artifact_type);
	jsonw_key(&w, "config");
	if (write_descriptor(&w, docker, config, err) < 0)
		return -1;
	jsonw_key(&w, "layers");
	jsonw_array(&w);
	for (size_t i = 0; i < n_layers; i++)
		if (write_descriptor(&w, docker, &layers[i], err) < 0)
			return -1;
	jsonw_end_array(&w);
	if (!docker && like && write_beside(&w, like, err) < 0)
		return -1;
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}
