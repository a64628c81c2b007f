/* SPDX-License-Identifier: Apache-2.0
 *
 * The canonical archive: the same bytes for the same images, whoever made the
 * input. docs/canonical-archive.md is the format.
 */
#pragma once

#include <dray/report.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Begin with DRAY_NORMALIZE_OPTIONS_INIT; strings are lent for the call. */
struct dray_normalize_options {
	size_t size;
	const char *image;	/**< choose one image of the source, as --image */
	/**
	 * Every image of the source; so it is anyway where nothing chooses one, except in a
	 * registry. Of an index the image for one platform, unless the context takes all.
	 */
	bool all;
	bool untagged;		/**< no names: the form that a signature covers */
	const char *const *tags; /**< names in place of those that the source has */
	size_t n_tags;
	bool no_clobber;	/**< a file that is there already is USAGE */
	bool digest;		/**< compute the sha256 of the archive too */
};
#define DRAY_NORMALIZE_OPTIONS_INIT { .size = sizeof(struct dray_normalize_options) }

typedef struct dray_normalize_result dray_normalize_result;
/** One image of the archive. Read only, lives as long as its result. */
struct dray_normalized {
	const char *reference;		/**< "FILE@sha256:IMAGE-ID" */
	const char *image_id;
	const char *manifest_digest;	/**< of the OCI manifest that the archive holds */
	const char *const *names;	/**< sorted, "docker.io/library/app:1" */
	size_t n_names;
};

/**
 * Write the canonical archive of images of any readable place.
 *
 * Configs keep their bytes, layers are stored uncompressed; nothing but images and names
 * decides what is written. Every layer is proven against its DiffID. Layers of a pipe, and
 * compressed ones whose size cannot be told beforehand, wait in unlinked files in tmpdir.
 *
 * @param in   a reference as dray(1) spells them
 * @param out  a file, replaced when it is whole; "-" is standard output
 * @param o    NULL = defaults
 * @return  0; -1: the file is as before, standard output may hold part of an archive
 *
 * Units:   sizes in bytes
 * Owns:    *ret is the caller's: dray_normalize_free()
 * Errors:  USAGE reference, options, or choice of images; NOT_FOUND place, image or blob;
 *          CORRUPT a layer or blob against its digest; FORMAT damaged documents or layers,
 *          configs without DiffIDs, two images of one platform with one name; UNSUPPORTED
 *          artifacts, DiffIDs that are no sha256; LIMIT; DENIED, NETWORK from registries;
 *          SYSTEM; NOMEM; CANCELLED
 * Threads: see dray_context_new()
 * Spec:    docs/canonical-archive.md, version 1
 * Since:   0.1
 */
DRAY_API int dray_normalize(dray_context *ctx, const char *in, const char *out,
			    const struct dray_normalize_options *o, dray_normalize_result **ret,
			    dray_error **err);
/** Images of the archive, in its order. Since: 0.1 */
DRAY_API size_t dray_normalize_count(const dray_normalize_result *r);
/** The @p i-th, borrowed from @p r; NULL past the end. Since: 0.1 */
DRAY_API const struct dray_normalized *dray_normalize_get(const dray_normalize_result *r,
							  size_t i);
/** "sha256:..." of the whole archive, borrowed; NULL unless asked for. Since: 0.1 */
DRAY_API const char *dray_normalize_digest(const dray_normalize_result *r);
/** Bytes of the archive; those that waited in temporary files in *ret_spooled (may be NULL). Since: 0.1 */
DRAY_API int64_t dray_normalize_size(const dray_normalize_result *r, int64_t *ret_spooled);
/** Free @p r; NULL is fine. Since: 0.1 */
DRAY_API void dray_normalize_free(dray_normalize_result *r);

#ifdef __cplusplus
}
#endif
