/* SPDX-License-Identifier: Apache-2.0
 *
 * Only the difference: what another machine has is named, what it lacks is sent. docs/delta.md
 */
#pragma once

#include <dray/copy.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How much a delta leaves out. */
enum dray_delta_level {
	DRAY_DELTA_LAYER = 1, /**< whole layers that a base has; "docker load" reads the rest */
	DRAY_DELTA_FILE,      /**< also files, and parts of files, inside the others */
};

/** How the other side gets a layer. */
enum dray_delta_from {
	DRAY_DELTA_BASE = 1, /**< a base has it */
	DRAY_DELTA_BLOB,     /**< it is in the delta */
	DRAY_DELTA_RECIPE,   /**< it is made from a recipe in the delta and layers of bases */
};

struct dray_delta_layer {
	const char *diff_id;
	int64_t size;		/**< of its tar; -1 = was not read */
	int64_t blob_size;	/**< as the image's manifest has it; -1 = there is none */
	enum dray_delta_from from;
	const char *digest;	/**< of what the delta holds of it; NULL = nothing */
	int64_t stored;		/**< bytes of that; 0 */
};

/** An image that the other side is expected to have, or a have-list. */
struct dray_delta_base {
	const char *image_id;	/**< NULL = a have-list */
	const char *const *tags;
	size_t n_tags;
	const char *const *diff_ids; /**< of the layers that are needed from it */
	size_t n_diff_ids;
};

struct dray_delta_info {
	enum dray_delta_level level;
	const char *image_id;
	const char *manifest_digest; /**< of the image's own manifest; NULL = it had none */
	const char *platform;
	const char *const *tags;
	size_t n_tags;
	/** The blobs of all layers that a delta brings are made again byte for byte. */
	bool keeps_blobs;
	const struct dray_delta_base *bases;
	size_t n_bases;
	const struct dray_delta_layer *layers; /**< bottom first */
	size_t n_layers;
	int64_t stored;		/**< bytes of all blobs of the delta */
	int64_t image_size;	/**< bytes of the whole image's blobs, -1 = unknown */
	const char *artifact_digest; /**< of the manifest that makes the delta an OCI artifact */
};

typedef struct dray_delta dray_delta;
/** What is known of a delta; lives as long as @p d. Since: 0.1 */
DRAY_API const struct dray_delta_info *dray_delta_get(const dray_delta *d);
/** Free @p d; NULL is fine. Since: 0.1 */
DRAY_API void dray_delta_free(dray_delta *d);

/** Begin with DRAY_DELTA_OPTIONS_INIT; strings are lent for the call. */
struct dray_delta_options {
	size_t size;
	const char *image;		/**< choose one image of the place, as --image */
	enum dray_delta_level level;	/**< 0 = DRAY_DELTA_LAYER */
	/** Of DRAY_DELTA_FILE: bytes of old files that are compared at once; 0 = chosen. */
	int64_t window;
	bool no_clobber;
};
#define DRAY_DELTA_OPTIONS_INIT { .size = sizeof(struct dray_delta_options) }

/**
 * Write what an image has and its bases lack into an archive.
 *
 * Every layer that the archive holds was read and proven against its DiffID.
 *
 * @param image   a reference as dray(1) spells them
 * @param bases   @p n of them, at least one: references, whose images all count, or files that
 *                dray_have() wrote
 * @param output  a file that appears whole, "-" = standard output
 * @param o       NULL = defaults
 * @param ret     what was written; may be NULL
 * @return  0; -1
 *
 * Units:   window in bytes
 * Owns:    *ret is the caller's: dray_delta_free()
 * Errors:  as dray_explain(); USAGE no base, a have-list for DRAY_DELTA_FILE; CORRUPT bytes
 *          against their digests; FORMAT a have-list that is none; SYSTEM
 * Threads: see dray_context_new()
 * Spec:    docs/delta.md; OCI image-spec manifest.md "Guidelines for Artifact Usage"
 * Since:   0.1
 */
DRAY_API int dray_delta_save(dray_context *ctx, const char *image, const char *const *bases,
			     size_t n, const char *output, const struct dray_delta_options *o,
			     dray_delta **ret, dray_error **err);
/**
 * Make the image of a delta again, wherever dray_copy() writes to.
 *
 * Nothing appears in a file or layout unless every layer has its DiffID.
 *
 * @param delta  a reference: the archive, or where it was copied to
 * @param bases  places that have the layers which the delta leaves out; none = @p dst has them
 * @param dst    as in dray_copy()
 * @param o      as in dray_copy(), NULL = defaults; canonical and referrers have no meaning here
 * @return  0; -1, as dray_copy()
 *
 * Owns:    *ret is the caller's: dray_copy_free()
 * Errors:  as dray_copy(); NOT_FOUND layers that no base has, all of them named; FORMAT no
 *          delta, or one that contradicts itself; UNSUPPORTED a later version of the format
 * Threads: see dray_context_new()
 * Spec:    docs/delta.md
 * Since:   0.1
 */
DRAY_API int dray_delta_load(dray_context *ctx, const char *delta, const char *const *bases,
			     size_t n, const char *dst, const struct dray_copy_options *o,
			     dray_copy_result **ret, dray_error **err);
/**
 * What a delta brings and what it needs; reads its documents only.
 *
 * @return  0; -1
 *
 * Owns:    *ret is the caller's: dray_delta_free()
 * Errors:  as dray_explain(); FORMAT, UNSUPPORTED as dray_delta_load()
 * Threads: see dray_context_new()
 * Spec:    docs/delta.md
 * Since:   0.1
 */
DRAY_API int dray_delta_inspect(dray_context *ctx, const char *delta, dray_delta **ret,
				dray_error **err);

/** The layers of all images of a place: sorted texts "sha256:HEX", each once. */
struct dray_have_info {
	const char *const *chain_ids;
	size_t n_chain_ids;
	const char *const *diff_ids;
	size_t n_diff_ids;
	size_t n_images;
	const char *text; /**< the have-list, docs/delta.md "Have-lists" */
};
typedef struct dray_have_list dray_have_list;
/**
 * List the layers that a place has, as a base for dray_delta_save() elsewhere.
 *
 * @param place  a reference; all of its images unless it names one
 * @param sel    NULL = all images
 * @return  0; -1
 *
 * Owns:    *ret is the caller's: dray_have_free()
 * Errors:  as dray_images()
 * Threads: see dray_context_new()
 * Spec:    docs/delta.md "Have-lists"; OCI image-spec config.md "Layer ChainID"
 * Since:   0.1
 */
DRAY_API int dray_have(dray_context *ctx, const char *place, const struct dray_select *sel,
		       dray_have_list **ret, dray_error **err);
/** Borrowed from @p h. Since: 0.1 */
DRAY_API const struct dray_have_info *dray_have_get(const dray_have_list *h);
/** Free @p h; NULL is fine. Since: 0.1 */
DRAY_API void dray_have_free(dray_have_list *h);

#ifdef __cplusplus
}
#endif
