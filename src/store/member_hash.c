/* SPDX-License-Identifier: Apache-2.0 */

/* What can be learnt from a blob in one pass: both digests and both sizes; and its decoded bytes, kept.
 * Relies on taps seeing consumed bytes only, so that a hash can go on behind a decoder that gave up.
 * Promises the blob digest even of bytes that do not decode. */

#include "store/store.h"

#include "base/limits.h"

/* The tap of source_hash() ends with its source; this one goes on. */
static void see(void *arg, struct span bytes)
{
	hash_update(arg, bytes);
}

static struct source *watched(struct source *data, int64_t len, struct hash *blob, dray_error **err)
{
	struct source *s = source_limit(data, len, err);

	return source_watch(s, (struct tap){ see, blob }, err);
}

/* All of @s to @to, or to nobody. */
static int drain(struct source *s, struct sink *to, dray_error **err)
{
	return !to ? source_drain(s, err) : pump(s, to, err) < 0 ? -1 : 0;
}

/* 1 = decoded to the end, 0 = these bytes do not decode, -1. @s reads from @data. */
static int decode(struct source *s, const struct source *data, enum compression c, struct hash *tar,
		  struct sink *to, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	cleanup_source struct source *d = source_decode(s, c, NULL, &e);

	d = source_hash(d, tar, &e);
	if (d && drain(d, to, &e) == 0)
		return 1;
	enum dray_err_kind kind = dray_error_kind(e);
	/* Where reading itself failed there is no rest to hash. */
	if (!data->failed && !(to && to->failed) &&
	    (kind == DRAY_ERR_FORMAT || kind == DRAY_ERR_LIMIT || kind == DRAY_ERR_UNSUPPORTED))
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static int hash_encoded(struct source *data, int64_t size, struct hash *blob, struct sink *to,
			struct blob_facts *ret, dray_error **err)
{
	cleanup_hash struct hash tar = { 0 };
	int64_t start = data->pos;

	if (hash_init(&tar, DIGEST_SHA256, err) < 0)
		return -1;
	struct source *s = watched(data, size, blob, err);
	if (!s)
		return -1;
	int whole = decode(s, data, ret->compression, &tar, to, err);
	if (whole < 0)
		return -1;
	/* The blob digest covers every byte, those behind a decoder's end or failure too. */
	cleanup_source struct source *rest = watched(data, size - (data->pos - start), blob, err);
	if (!rest || source_drain(rest, err) < 0)
		return -1;
	if (!whole)
		return 0;
	ret->size = tar.size;
	return hash_finish(&tar, &ret->diff_id, err);
}

static int hash_plain(struct source *data, int64_t size, struct hash *blob, struct sink *to,
		      dray_error **err)
{
	cleanup_source struct source *s = watched(data, size, blob, err);

	return s ? drain(s, to, err) : -1;
}

int member_hash(void *arg, const char *name, struct source *data, int64_t size,
		struct blob_facts *ret, dray_error **err)
{
	(void)arg;
	return member_hash_into(NULL, name, data, size, ret, err);
}

int member_hash_into(struct sink *to, const char *name, struct source *data, int64_t size,
		     struct blob_facts *ret, dray_error **err)
{
	cleanup_hash struct hash blob = { 0 };
	struct span head;

	*ret = (struct blob_facts){ .size = -1 };
	if (source_peek(data, COMPRESSION_SNIFF, &head, err) < 0 ||
	    hash_init(&blob, DIGEST_SHA256, err) < 0)
		return err_ctx(err, "%s", name);
	ret->compression = compression_sniff(span_head(head, (size_t)size));
	int rc = ret->compression == COMPRESSION_NONE
			 ? hash_plain(data, size, &blob, to, err)
			 : hash_encoded(data, size, &blob, to, ret, err);
	if (rc < 0)
		return err_ctx(err, "%s", name);
	ret->blob_size = blob.size;
	if (hash_finish(&blob, &ret->blob_digest, err) < 0)
		return -1;
	if (ret->compression == COMPRESSION_NONE) {
		ret->diff_id = ret->blob_digest;
		ret->size = ret->blob_size;
	}
	return 0;
}
