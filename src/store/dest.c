/* SPDX-License-Identifier: Apache-2.0
 *
 * Calling destinations, and the one copy that checks what it writes.
 * Relies on the kinds of destination for struct dest_ops.
 * Promises that a source handed in is freed whatever happens.
 */
#include <stdio.h>
#include "base/mem.h"
#include "store/dest_priv.h"

#define BESIDE_MIN (8 * 1024 * 1024)   /* a thread is worth it from here on */
#define BESIDE_AHEAD (2 * 1024 * 1024) /* what waits between the two stays in the cache */

void dest_free(struct dest *d)
{
	if (d)
		d->ops->free(d);
}

int dest_has_blob(struct dest *d, const struct descriptor *desc, dray_error **err)
{
	return d->ops->has_blob(d, desc, err);
}

int dest_put_blob(struct dest *d, const struct blob_put *put, struct source *data,
		  struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	if (!data)
		return -1;
	return d->ops->put_blob(d, put, data, ret_digest, ret_size, err);
}

int dest_put_bytes(struct dest *d, const struct descriptor *desc, struct span bytes,
		   dray_error **err)
{
	struct blob_put put = { .desc = *desc };
	struct digest digest;
	int64_t size;

	return dest_put_blob(d, &put, source_from_span(bytes, err), &digest, &size, err);
}

int dest_put_manifest(struct dest *d, const struct manifest *m, const char *tag, dray_error **err)
{
	return d->ops->put_manifest(d, m, tag, err);
}

int dest_finish(struct dest *d, dray_error **err)
{
	return d->ops->finish(d, err);
}

char *dest_blob_path(const struct digest *d)
{
	const char *hex = digest_hex(d);

	return mem_printf("blobs/%.*s/%s", (int)(hex - d->text - 1), d->text, hex);
}

int dest_gone(int rc, dray_error **err)
{
	if (rc < 0 && err && dray_error_kind(*err) == DRAY_ERR_NOT_FOUND)
		err_rekind(err, DRAY_ERR_SYSTEM);
	return rc;
}

static int check_size(int64_t want, int64_t have, dray_error **err)
{
	char expected[24], actual[24];

	if (want < 0 || want == have)
		return 0;
	snprintf(expected, sizeof(expected), "%lld", (long long)want);
	snprintf(actual, sizeof(actual), "%lld", (long long)have);
	return err_mismatch(err, expected, actual, "blob size");
}

/* Hashing and writing take about as long: on two cores they need not wait for each other. */
static struct source *beside(struct source *s, const struct blob_put *put, dray_error **err)
{
	return put->beside && put->desc.size >= BESIDE_MIN ? source_readahead(s, BESIDE_AHEAD, err)
							   : s;
}

static int copy_verified(const struct blob_put *put, struct source *data, struct sink *k,
			 int64_t *ret_size, dray_error **err)
{
	const struct descriptor *desc = &put->desc;
	cleanup_source struct source *s = beside(
		source_verified(data, &desc->digest, desc->size, "blob digest", err), put, err);

	*ret_size = s ? pump(s, k, err) : -1;
	return *ret_size < 0 ? -1 : 0;
}

static int copy_learning(const struct blob_put *put, struct source *data, struct sink *k,
			 struct digest *ret, int64_t *ret_size, dray_error **err)
{
	cleanup_hash struct hash h = { 0 };

	if (hash_init(&h, DIGEST_SHA256, err) < 0) {
		source_free(data);
		return -1;
	}
	cleanup_source struct source *s = beside(source_hash(data, &h, err), put, err);
	*ret_size = s ? pump(s, k, err) : -1;
	if (*ret_size < 0 || check_size(put->desc.size, *ret_size, err) < 0)
		return -1;
	return hash_finish(&h, ret, err);
}

int dest_copy(const struct blob_put *put, struct source *data, struct sink *k,
	      struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	struct digest learnt;
	int64_t size;
	int rc;

	if (put->progress.see)
		data = source_watch(data, put->progress, err);
	if (!data)
		return -1;
	if (digest_set(&put->desc.digest))
		rc = copy_verified(put, data, k, &size, err);
	else
		rc = copy_learning(put, data, k, &learnt, &size, err);
	if (rc < 0)
		return put->label ? err_ctx(err, "%s", put->label) : -1;
	*ret_digest = digest_set(&put->desc.digest) ? put->desc.digest : learnt;
	*ret_size = size;
	return 0;
}
