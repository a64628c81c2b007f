/* SPDX-License-Identifier: Apache-2.0
 *
 * Mirroring: a list of images and tag patterns, copied to where the list says.
 */
#pragma once

#include <dray/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Begin with DRAY_SYNC_OPTIONS_INIT. */
struct dray_sync_options {
	size_t size;
	bool dry_run;	/**< ask for tags and digests, write nothing */
	/**
	 * Of @p shards parts of the list only this one, by hash; shards 0 = everything. From 0;
	 * shard == shards means 0 as well, so that counting from 1 works too.
	 */
	uint32_t shard, shards;
};
#define DRAY_SYNC_OPTIONS_INIT { .size = sizeof(struct dray_sync_options) }

enum dray_sync_status {
	DRAY_SYNC_COPIED,
	DRAY_SYNC_UNCHANGED,	/**< the destination has it under this name already */
	DRAY_SYNC_PLANNED,	/**< dry run: would be copied */
	DRAY_SYNC_FAILED,
};

typedef struct dray_sync_result dray_sync_result;
/** One image of the list. Read only, lives as long as its result; not for a terminal as it is. */
struct dray_synced {
	enum dray_sync_status status;
	const char *source;		/**< "docker://HOST/NAME:TAG" */
	/** "docker://HOST/NAME:TAG", "oci:DIR:TAG"...; NULL: the tags of @p source are not to be had */
	const char *destination;
	const char *reference;		/**< COPIED: "HOST/NAME@sha256:..."; else NULL */
	const char *manifest_digest;	/**< NULL where it is not known */
	int64_t blobs_sent, blobs_skipped, bytes_sent;	/**< of layers */
	const dray_error *error;	/**< FAILED: why; else NULL */
};

/**
 * Copy every image of the list @p path that is not at its destination yet.
 *
 * The list is checked as a whole before anything is asked, and all tags are asked for before
 * anything is copied. A failure of one image or one listing is a result, and the others go on.
 *
 * @param path  a file as dray-sync(1) describes it
 * @param o     NULL = defaults
 * @return  0 also when images failed; -1: the list is unusable, or the work was stopped
 *
 * Units:   bytes_sent counts bytes as stored at the destination
 * Owns:    *ret is the caller's: dray_sync_free()
 * Errors:  USAGE the list, or shards; NOT_FOUND no such file; LIMIT; SYSTEM; NOMEM; CANCELLED
 * Threads: see dray_context_new()
 * Spec:    OCI distribution-spec "Listing Tags"
 * Since:   0.1
 */
DRAY_API int dray_sync(dray_context *ctx, const char *path, const struct dray_sync_options *o,
		       dray_sync_result **ret, dray_error **err);
/** Images of this shard, in the list's order, tags from the oldest version up. Since: 0.1 */
DRAY_API size_t dray_sync_count(const dray_sync_result *r);
/** The @p i-th, borrowed from @p r; NULL past the end. Since: 0.1 */
DRAY_API const struct dray_synced *dray_sync_get(const dray_sync_result *r, size_t i);
/** Free @p r; NULL is fine. Since: 0.1 */
DRAY_API void dray_sync_free(dray_sync_result *r);

#ifdef __cplusplus
}
#endif
