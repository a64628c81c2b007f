/* SPDX-License-Identifier: Apache-2.0 */

/* Documents of an OCI layout by digest.
 * Relies on descriptors whose digests were parsed: their text cannot leave blobs/.
 * Promises that bytes returned with success have the digest and size they were asked by. */

#include "store/store_priv.h"

char *blob_path(struct arena *a, const struct digest *d)
{
	const char *hex = digest_hex(d);
	int algo = (int)(hex - d->text - 1);

	return arena_printf(a, "blobs/%.*s/%s", algo, d->text, hex);
}

int blob_fetch(struct archive *a, const struct descriptor *d, size_t max, struct buf *ret,
	       const char **ret_code, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	struct arena names = { 0 };
	const char *path = blob_path(&names, &d->digest);
	int rc = path ? members_document(a->members, path, max, ret, &e) : err_nomem(&e);

	arena_clear(&names);
	if (rc == 0)
		return 0;
	*ret_code = dray_error_kind(e) == DRAY_ERR_NOT_FOUND ? "blob-missing" : "blob-unreadable";
	if (err)
		*err = steal_pointer(&e);
	return -1;
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
