/* SPDX-License-Identifier: Apache-2.0
 *
 * For: a blob whose first bytes a killed run left behind (G-06).
 * Relies on: a source that can begin anywhere, and on nobody for what lies on the disk: it is hashed again.
 * Promises: success means that all of the file is the blob; a bad beginning costs one fetch, not the copy.
 */
#include "base/io.h"
#include "base/mem.h"
#include "store/dest_priv.h"

static int hash_kept(int fd, int64_t have, struct hash *h, dray_error **err)
{
	cleanup_source struct source *s = source_hash(source_from_extent(fd, 0, have, err), h, err);

	return s ? source_drain(s, err) : -1;
}

static int prove(struct hash *h, const struct digest *expect, dray_error **err)
{
	struct digest actual;

	if (hash_finish(h, &actual, err) < 0)
		return -1;
	return digest_expect(expect, &actual, "blob digest", err);
}

/* @p data is lent, and stands at its start. */
static int go_on(const struct blob_put *put, struct source *data, int fd, int64_t have,
		 dray_error **err)
{
	const struct descriptor *desc = &put->desc;
	cleanup_hash struct hash h = { 0 };
	cleanup_source struct source *s = NULL;

	if (hash_init(&h, desc->digest.algo, err) < 0 || hash_kept(fd, have, &h, err) < 0)
		return -1;
	if (have == desc->size)
		return prove(&h, &desc->digest, err);
	if (have > 0 && source_rewind(data, have, err) < 0)
		return -1;
	s = source_lend(data, err);
	if (put->progress.see)
		s = source_watch(s, put->progress, err);
	s = source_verified_rest(s, &h, &desc->digest, desc->size, "blob digest", err);
	cleanup_sink struct sink *k = s ? sink_to_fd(fd, false, err) : NULL;
	if (!k)
		return -1;
	k->lasting = true;
	return pump(s, k, err) < 0 ? -1 : 0;
}

static int go_on_or_begin(const struct blob_put *put, struct source *data, int fd, int64_t have,
			  dray_error **err)
{
	cleanup_error dray_error *why = NULL;

	/* Longer than the blob: not even its beginning. */
	if (have > put->desc.size) {
		if (io_ftruncate(fd, 0, err) < 0)
			return -1;
		have = 0;
	}
	if (go_on(put, data, fd, have, &why) == 0)
		return 0;
	if (have == 0 || dray_error_kind(why) != DRAY_ERR_CORRUPT || data->failed) {
		if (err)
			*err = steal_pointer(&why);
		return -1;
	}
	if (io_ftruncate(fd, 0, err) < 0 || source_rewind(data, 0, err) < 0)
		return -1;
	return go_on(put, data, fd, 0, err);
}

int dest_copy_rest(const struct blob_put *put, struct source *data, int fd, int64_t have,
		   struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	cleanup_source struct source *own = data;

	if (!own)
		return -1;
	if (go_on_or_begin(put, own, fd, have, err) < 0)
		return put->label ? err_ctx(err, "%s", put->label) : -1;
	*ret_digest = put->desc.digest;
	*ret_size = put->desc.size;
	return 0;
}
