/* SPDX-License-Identifier: Apache-2.0
 *
 * Other layers, the same image: its files cut anew, and its config kept but for what
 * names the layers.
 */
#pragma once

#include <dray/copy.h>
#include <dray/rootfs.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dray_relayered dray_relayered;

/** What was made. Read only, lives as long as its result. */
struct dray_relayer_info {
	const struct dray_copied *copied;	/**< the new image at its destination */
	const char *image_id_before;
	/** Of the merged tree, "sha256:..."; NULL where layers were not read. */
	const char *rootfs_id_before, *rootfs_id_after;
	size_t layers_before, layers_after;
	size_t layers_kept;		/**< of these, those whose stored bytes stayed */
};

/**
 * One layer that holds all files of an image, and its config.
 *
 * The layer has the entries that dray_export() writes. The history stays, and says of each of
 * its steps that it made no layer; a new last step made the one there is.
 *
 * @param image  a reference as dray(1) spells them
 * @param sel    NULL = the only image
 * @param dst    where the new image goes, as in dray_copy(); may be @p image itself
 * @param o      NULL = defaults; image, all, append, referrers, canonical have no meaning here
 * @return  0; -1: a file is as before, a registry may keep blobs
 *
 * Owns:    *ret is the caller's: dray_relayered_free()
 * Errors:  as dray_copy() and dray_export(); CORRUPT when the layer read back does not give the
 *          same rootfs id
 * Threads: see dray_context_new()
 * Spec:    docs/layers.md
 * Since:   0.1
 */
DRAY_API int dray_flatten(dray_context *ctx, const char *image, const struct dray_select *sel,
			  const char *dst, const struct dray_copy_options *o,
			  dray_relayered **ret, dray_error **err);

/** What was made; borrowed from @p r. Since: 0.1 */
DRAY_API const struct dray_relayer_info *dray_relayered_info(const dray_relayered *r);
/** Free @p r; NULL is fine. Since: 0.1 */
DRAY_API void dray_relayered_free(dray_relayered *r);

#ifdef __cplusplus
}
#endif
