/* SPDX-License-Identifier: Apache-2.0
 *
 * Images from their documents: what every place does once it has the bytes.
 * Damage is noted on the image, so that verify and images can go on.
 */
#pragma once

#include "store/store.h"

/** An empty image with its notes ready; @p where is copied. */
int image_new(const char *where, struct image **ret, dray_error **err) MUST_CHECK;
DEFINE_CLEANUP(struct image, cleanup_image_fn, image_free)
#define cleanup_image CLEANUP(cleanup_image_fn)

/**
 * Keep config bytes (taken over, left empty). Bytes that are no image config are kept raw,
 * and but for an artifact noted "config-bad-json", which breaks the image. @p expect is
 * NULL or what the manifest says: a difference is noted and breaks it too.
 */
int image_set_config(struct image *im, struct buf *raw, const struct descriptor *expect,
		     dray_error **err) MUST_CHECK;
/** Make room for @p n layers, all unset. LIMIT over LIMIT_LAYERS. */
int image_set_layers(struct image *im, size_t n, dray_error **err) MUST_CHECK;
/** Give layers the DiffIDs of the config; notes "layer-count-differs", "config-no-diff-ids". */
int image_set_diff_ids(struct image *im, dray_error **err) MUST_CHECK;
/** Keep what the index's entry @p d says of the platform, if it does. */
int image_set_index_platform(struct image *im, const struct descriptor *d,
			     dray_error **err) MUST_CHECK;
int image_add_tag(struct image *im, const char *tag, const char *ref_name,
		  dray_error **err) MUST_CHECK;

/**
 * An image from its manifest (taken over, verified by the caller) and config bytes
 * (taken over; NULL when they are not here). Layers have their descriptor, DiffID and
 * their index as handle; paths and missing marks are the store's.
 */
int image_from_manifest(struct manifest *m, struct buf *config, const char *where,
			struct image **ret, dray_error **err) MUST_CHECK;

/** The error speaks of bytes from outside, not of this machine: a note may stand for it. */
bool error_about_bytes(const dray_error *e);
/**
 * *err as a problem of @p im: noted under @p code, the image is broken, 0. Errors that
 * are about us and not about the bytes (SYSTEM, NOMEM, CANCELLED, NETWORK, DENIED) stay: -1.
 */
int image_trouble(struct image *im, const char *code, const char *where,
		  dray_error **err) MUST_CHECK;

/** CORRUPT unless @p bytes have this digest; UNSUPPORTED if we cannot compute it (M-06). */
int bytes_check_digest(const struct digest *want, struct span bytes,
		       dray_error **err) MUST_CHECK;

/** A growing list that owns its images. */
struct image_list {
	struct image **list;
	size_t n, cap;
	int64_t memory; /* of all that was added, roughly; at most LIMIT_IMAGES_TOTAL */
};
/** Bytes of memory, roughly: many images may share documents in a place, not in memory. */
int64_t image_cost(const struct image *im);
int64_t manifest_cost(const struct manifest *m);
/** Count against LIMIT_IMAGES_TOTAL what was not there yet when its image was added. */
int image_list_account(struct image_list *l, int64_t bytes, dray_error **err) MUST_CHECK;
/** @p im is taken over, and counted as it is now. */
int image_list_add(struct image_list *l, struct image *im, dray_error **err) MUST_CHECK;
void image_list_clear(struct image_list *l);
#define cleanup_image_list CLEANUP(image_list_clear)

/** Reduce @p l to what @p sel chooses; errors name what is in @p place. */
int image_list_select(struct image_list *l, const struct selector *sel, const char *place,
		      dray_error **err) MUST_CHECK;
