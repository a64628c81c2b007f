/* SPDX-License-Identifier: Apache-2.0 */

/* Documents of an OCI layout or a "dir:" by digest.
 * Relies on descriptors whose digests were parsed: their text cannot leave the folder.
 * Promises that bytes returned with success have the digest and size they were asked by. */

#include "store/store_priv.h"

#include "base/jsonw.h"
#include "base/limits.h"

/* "dir:" has manifest.json, HEX.manifest.json for the manifests of an index, and HEX. */
static const char *flat_path(struct archive *a, const struct digest *d, struct arena *arena,
			     dray_error **err)
{
	bool manifest;
	char *path;

	if (digest_eq(d, &a->flat))
		return "manifest.json";
	path = arena_printf(arena, "%s.manifest.json", digest_hex(d));
	if (!path) {
		err_nomem(err);
		return NULL;
	}
	if (members_has(a->members, path, &manifest, err) < 0)
		return NULL;
	if (!manifest)
		path[strlen(digest_hex(d))] = '\0';
	return path;
}

int blob_path(struct archive *a, const struct digest *d, struct arena *arena, const char **ret,
	      dray_error **err)
{
	const char *hex = digest_hex(d);
	int algo = (int)(hex - d->text - 1);

	if (a->store.kind == STORE_DIR) {
		*ret = flat_path(a, d, arena, err);
		return *ret ? 0 : -1;
	}
	*ret = arena_printf(arena, "blobs/%.*s/%s", algo, d->text, hex);
	return *ret ? 0 : err_nomem(err);
}

/* What a forward walk has passed, since it does not begin as documents do, was hashed on the way. */
static int check_passed(struct archive *a, const char *path, const struct digest *want, size_t max,
			dray_error **err)
{
	cleanup_error dray_error *odd = NULL;
	struct member *m = NULL;

	if (members_resolve(a->members, span_str(path), &m, NULL, &odd) < 0 || !m || !m->facts ||
	    m->facts->blob_size > (int64_t)max || m->facts->blob_digest.algo != want->algo)
		return 0;
	return digest_expect(want, &m->facts->blob_digest, "blob digest", err);
}

int blob_fetch(struct archive *a, const struct descriptor *d, size_t max, struct buf *ret,
	       const char **ret_code, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	struct arena names = { 0 };
	const char *path;
	int rc = blob_path(a, &d->digest, &names, &path, &e);
	bool differs = false;

	if (rc == 0) {
		rc = members_document(a->members, path, max, ret, &e);
		differs = rc < 0 && check_passed(a, path, &d->digest, max, err) < 0;
	}
	arena_clear(&names);
	if (rc == 0)
		return 0;
	if (differs) {
		*ret_code = "blob-digest-differs";
		return -1;
	}
	*ret_code = dray_error_kind(e) == DRAY_ERR_NOT_FOUND ? "blob-missing" : "blob-unreadable";
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

/* What stands for manifest.json in the place of index.json: one entry and no name. */
static int write_flat_index(const struct manifest *m, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schemaVersion", 2);
	jsonw_key(&w, "manifests");
	jsonw_array(&w);
	jsonw_object(&w);
	jsonw_kstring(&w, "mediaType", m->media_type);
	jsonw_kstring(&w, "digest", m->digest.text);
	jsonw_kint(&w, "size", (int64_t)m->raw.len);
	jsonw_end_object(&w);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

int flat_index(struct archive *a, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	cleanup_manifest struct manifest *m = NULL;

	if (members_document(a->members, "manifest.json", LIMIT_MANIFEST, &raw, err) < 0 ||
	    manifest_parse(&raw, NULL, &m, err) < 0)
		return err_ctx(err, "manifest.json");
	a->flat = m->digest;
	return write_flat_index(m, ret, err);
}

int blob_check_size(const struct descriptor *d, struct span bytes, dray_error **err)
{
	char want[32], have[32];

	if (d->size < 0 || (uint64_t)d->size == bytes.len)
		return 0;
	snprintf(want, sizeof(want), "%lld", (long long)d->size);
	snprintf(have, sizeof(have), "%zu", bytes.len);
	return err_mismatch(err, want, have, "size of blob %s", d->digest.text);
}

int blob_read(struct archive *a, const struct descriptor *d, size_t max, struct buf *ret,
	      const char **ret_code, dray_error **err)
{
	if (blob_fetch(a, d, max, ret, ret_code, err) < 0)
		return -1;
	*ret_code = "blob-digest-differs";
	if (bytes_check_digest(&d->digest, span_buf(ret), err) < 0)
		return -1;
	*ret_code = "blob-size-differs";
	return blob_check_size(d, span_buf(ret), err);
}
