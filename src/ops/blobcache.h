/* SPDX-License-Identifier: Apache-2.0
 *
 * What we learnt about blobs: which compressed blob a DiffID became, and where
 * it was seen. SQLite below XDG_CACHE_HOME; a hint only, harmless to delete,
 * safe under concurrent use; any failure of it is silence.
 */
#pragma once

#include "codec/codec.h"
#include "digest/digest.h"

struct blobcache;
struct blobcache_entry {
	struct digest blob_digest;
	int64_t blob_size;
	enum compression compression;
	char encoder[96];	/* encode_params_text, or "" when we only saw it */
	char repository[512];	/* "host/path" where it was last seen */
};
/** NULL when the cache cannot be had; every call takes NULL. */
struct blobcache *blobcache_open(void);
void blobcache_close(struct blobcache *c);
/**
 * We have proven that @p e->blob_digest decodes to @p diff_id, and it is at e->repository
 * ("" = nowhere in particular). As the two below thread-safe.
 */
void blobcache_add(struct blobcache *c, const struct digest *diff_id,
		   const struct blobcache_entry *e);
/** Entries for @p diff_id, those seen at @p host first, then newest; up to @p max. The count. */
size_t blobcache_find(struct blobcache *c, const struct digest *diff_id, const char *host,
		      struct blobcache_entry *ret, size_t max);
/** Is anything known of @p host? */
bool blobcache_any(struct blobcache *c, const char *host);
/** It was not there after all. */
void blobcache_forget(struct blobcache *c, const struct digest *blob_digest,
		      const char *repository);
