/* SPDX-License-Identifier: Apache-2.0
 *
 * Images out of folders, files, tars and other images: no daemon, no root, nothing unpacked, and
 * the same bytes each time.
 */
#pragma once

#include <dray/copy.h>

#ifdef __cplusplus
extern "C" {
#endif

/** "--dir app:/srv/app" is { "dir", "app:/srv/app" }; "--define A=B" is { "define", "A=B" }. */
struct dray_build_word {
	const char *name, *value;
};

/** Begin with DRAY_BUILD_OPTIONS_INIT; all is lent for the call. */
struct dray_build_options {
	size_t size;
	const char *spec;	/**< a file, "-" is standard input; NULL = words alone */
	const struct dray_build_word *words;	/**< flags of dray-build(1), in their order */
	size_t n_words;
	/** What the environment has under SOURCE_DATE_EPOCH; NULL = nothing. */
	const char *source_date_epoch;
	/**
	 * A folder that remembers what the last build read; NULL = none. Files that stat(2) finds as
	 * they were are not read again where the destination has their layer. Made if it is not there.
	 */
	const char *cache;
	/**
	 * Of dray_build_plan() alone: an image; what an update from it would move is told. NULL =
	 * nobody asks.
	 */
	const char *against;
	/** What "now" means, in seconds since 1970: one time for several calls. 0 = the clock's. */
	int64_t now;
	/**
	 * Of dray_build() alone: places that calls after this one will write the same image to, as
	 * @p dst. Before anything is written the folders they go to have to be there, and what could
	 * not be read once more is USAGE: standard input, pipes.
	 */
	const char *const *also;
	size_t n_also;
};
#define DRAY_BUILD_OPTIONS_INIT { .size = sizeof(struct dray_build_options) }

typedef struct dray_built dray_built;

/** One layer of what was, or would be, made. */
struct dray_build_layer {
	bool kept;	/**< of the base: all else but diff_id is 0 then */
	const char *name;	/**< of its group, or of what it holds; NULL */
	const char *const *parts;	/**< what it holds: folders, big files */
	size_t n_parts;
	int64_t entries;
	int64_t bytes;	/**< of the uncompressed tar */
	const char *diff_id;	/**< NULL in a plan, unless that was made against an image */
	bool there;	/**< against an image: it has the layer; then bytes of kept ones are told too */
};
/** What of a planned image whoever has another one gets. */
struct dray_build_update {
	const char *image;	/**< the other one, as it was named */
	size_t layers;	/**< that it does not have, by their DiffIDs */
	int64_t bytes;	/**< of their uncompressed tars: exact; compressed they are fewer */
};
/** What was made. Read only, lives as long as its result. */
struct dray_build_info {
	const struct dray_copied *copied;	/**< NULL in a plan */
	const char *const *tags;		/**< what it is called there: "NAME:TAG" */
	size_t n_tags;
	const struct dray_build_layer *layers;	/**< bottom first */
	size_t n_layers;
	const char *spec;	/**< all that was asked for, as one spec */
	size_t known;	/**< new layers that the cache knew and the destination had: nothing of them was read */
	const struct dray_build_update *update;	/**< NULL unless asked for */
	size_t same;	/**< names that the base has to the same effect, and that were left out */
};

/**
 * Make an image.
 *
 * Layers of a base are kept byte for byte and come first. New ones hold what differs from it, with
 * all folders above, in canonical headers: equal inputs give equal bytes, whoever builds them,
 * wherever, whenever.
 *
 * @param b    what to make
 * @param dst  where it goes, as in dray_copy()
 * @param o    as in dray_copy(), NULL = defaults; image, all, append, referrers, canonical have no
 *             meaning here. What the spec says of compression counts unless this says something
 * @return  0; -1: nothing appeared, a registry may keep blobs
 *
 * Owns:    *ret is the caller's: dray_built_free()
 * Errors:  USAGE the spec, with line and column, and sources that contradict each other; NOT_FOUND
 *          a source that is not there; CORRUPT one that changed while it was read; UNSUPPORTED a
 *          socket; LIMIT more layers than allowed; as dray_copy()
 * Threads: see dray_context_new()
 * Spec:    docs/build.md
 * Since:   0.1
 */
DRAY_API int dray_build(dray_context *ctx, const struct dray_build_options *b, const char *dst,
			const struct dray_copy_options *o, dray_built **ret, dray_error **err);
/**
 * What dray_build() would make: which layers, and what is in them. No file's content is read but
 * where a base has one of the same name and size; against an image all are read, since DiffIDs tell
 * which layers it has.
 *
 * @param b  what to make
 * @return  0; -1, as dray_build()
 *
 * Owns:    *ret is the caller's: dray_built_free()
 * Errors:  as dray_build()
 * Threads: see dray_context_new()
 * Spec:    docs/build.md
 * Since:   0.1
 */
DRAY_API int dray_build_plan(dray_context *ctx, const struct dray_build_options *b,
			     dray_built **ret, dray_error **err);
/**
 * The spec that file and words amount to, as JSON that is always written in the same way.
 *
 * @param b  what to make
 * @return  0; -1
 *
 * Owns:    *ret is the caller's: dray_built_free(); only spec is in it
 * Errors:  USAGE with line and column; NOT_FOUND, SYSTEM for the file
 * Threads: any
 * Spec:    docs/build.md
 * Since:   0.1
 */
DRAY_API int dray_build_spec(const struct dray_build_options *b, dray_built **ret,
			     dray_error **err);

/** What was made; borrowed from @p r. Since: 0.1 */
DRAY_API const struct dray_build_info *dray_built_info(const dray_built *r);
/** Free @p r; NULL is fine. Since: 0.1 */
DRAY_API void dray_built_free(dray_built *r);

#ifdef __cplusplus
}
#endif
