/* SPDX-License-Identifier: Apache-2.0
 *
 * Garbage collection in the folder of a registry.
 */
#pragma once

#include <dray/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Begin with DRAY_GC_OPTIONS_INIT. */
struct dray_gc_options {
	size_t size;
	/** Seconds since a blob was pushed, mounted, asked for or let go of; unless 0, up to 60 more. */
	int64_t grace;
	bool untagged;	/**< also manifests that no tag, no index and no subject leads to */
	bool dry_run;	/**< count, remove nothing */
};
#define DRAY_GC_OPTIONS_INIT { .size = sizeof(struct dray_gc_options), .grace = 3600 }

/** What was removed or, in a dry run, would be. */
struct dray_gc_result {
	int64_t manifests;
	int64_t blobs, bytes;		/**< that no manifest needs, and nobody asked for in time */
	int64_t strays, stray_bytes;	/**< files that pushes which were killed have left */
	int64_t kept, kept_bytes;	/**< blobs that stay */
};

/**
 * Remove from the folder of a registry (dray_serve() with a root) what nothing needs.
 *
 * Only while no server has the folder: a server collects by itself.
 *
 * @param dir  the folder
 * @param o    NULL = defaults
 * @param ret  set on success
 * @return  0; -1
 *
 * Units:   seconds, bytes as stored
 * Owns:    nothing changes hands
 * Errors:  NOT_FOUND no folder; USAGE it is none of a registry, or a negative grace; SYSTEM, also
 *          EBUSY where a server has it; CORRUPT its database; UNSUPPORTED it is of a later dray
 * Threads: see dray_context_new()
 * Spec:    docs/serve.md
 * Since:   0.1
 */
DRAY_API int dray_gc(dray_context *ctx, const char *dir, const struct dray_gc_options *o,
		     struct dray_gc_result *ret, dray_error **err);

#ifdef __cplusplus
}
#endif
