/* SPDX-License-Identifier: Apache-2.0
 *
 * The merged file system of an image: what its layers add up to, without unpacking.
 */
#pragma once

#include <dray/report.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DRAY_DIGEST_SIZE 256	/**< bytes of the longest "algo:hex", with its NUL */

/**
 * The digest of the merged tree: the same for every way to cut it into layers.
 *
 * @param sel    NULL = the only image
 * @param mtime  modification times count too
 * @param ret    "sha256:..."
 * @return  0; -1
 *
 * Errors:  as dray_explain(); CORRUPT bytes against their digest; FORMAT layers that are no tar
 *          or that readers disagree about; UNSUPPORTED artifacts, sparse files
 * Threads: see dray_context_new()
 * Spec:    docs/rootfs-id.md
 * Since:   0.1
 */
DRAY_API int dray_rootfs_id(dray_context *ctx, const char *image, const struct dray_select *sel,
			    bool mtime, char ret[DRAY_DIGEST_SIZE], dray_error **err);

/**
 * Write the merged tree as one tar: paths sorted by their bytes, folders before what they
 * hold, entries with the headers that their layers gave them.
 *
 * @param output      a path, "-" = standard output; a file appears whole or not at all
 * @param no_clobber  an existing file is USAGE
 * @param ret_size    bytes written; may be NULL
 * @return  0; -1
 *
 * Units:   bytes
 * Errors:  as dray_rootfs_id(), but sparse files are written as they are; SYSTEM
 * Threads: see dray_context_new()
 * Spec:    docs/layers.md
 * Since:   0.1
 */
DRAY_API int dray_export(dray_context *ctx, const char *image, const struct dray_select *sel,
			 const char *output, bool no_clobber, int64_t *ret_size,
			 dray_error **err);

#ifdef __cplusplus
}
#endif
