/* SPDX-License-Identifier: Apache-2.0
 *
 * What differs between two images: config, layers, files, packages.
 */
#pragma once

#include <dray/rootfs.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dray_diff dray_diff;

/** What is compared. */
enum dray_diff_part {
	DRAY_DIFF_CONFIG = 1,
	DRAY_DIFF_LAYERS = 2,	/**< by their DiffIDs */
	DRAY_DIFF_FILES = 4,	/**< of the merged trees */
	DRAY_DIFF_PACKAGES = 8,	/**< as the databases of dpkg, apk and rpm tell them */
};

/** Begin with DRAY_DIFF_OPTIONS_INIT. */
struct dray_diff_options {
	size_t size;
	unsigned parts;		/**< enum dray_diff_part, or-ed; 0 = all */
	/** Not what another build of the same changes: dray-diff(1) "SEMANTIC". */
	bool semantic;
	/**
	 * Paths of files that do not count, nor what is below them: '*' stands for any bytes,
	 * '?' for one, '[a-z]' for one of a set.
	 */
	const char *const *ignore;
	size_t n_ignore;
};
#define DRAY_DIFF_OPTIONS_INIT { .size = sizeof(struct dray_diff_options) }

/**
 * Compare two images. Of layers that both have one is read, and none when all are the same:
 * what a config says of its layers is believed of those that are not read (dray_verify()).
 *
 * How the layers are compressed, the manifest, tags and annotations do not count: dray_why().
 *
 * @param a  a reference as dray(1) spells them, of one image
 * @param b  likewise
 * @param o  NULL = defaults
 * @return  0, whether they differ or not; -1
 *
 * Owns:    *ret is the caller's: dray_diff_free()
 * Errors:  as dray_export(); CORRUPT a layer is not what the config says; LIMIT configs that
 *          differ in too much; USAGE a pattern
 * Threads: see dray_context_new()
 * Spec:    docs/layers.md for what the trees are
 * Since:   0.1
 */
DRAY_API int dray_diff_open(dray_context *ctx, const char *a, const char *b,
			    const struct dray_diff_options *o, dray_diff **ret,
			    dray_error **err);
/** Nothing of what was compared differs. Since: 0.1 */
DRAY_API bool dray_diff_same(const dray_diff *d);
/** The config bytes are the same, whatever was compared. Since: 0.1 */
DRAY_API bool dray_diff_same_image_id(const dray_diff *d);

/** A member of the config that differs; one object of each image is entered, lists are not. */
struct dray_diff_member {
	const char *path;	/**< JSON Pointer (RFC 6901): "/config/Env" */
	const char *a, *b;	/**< JSON, compact; NULL = not there */
	/** Where both are lists: elements that only one of them has, as JSON. */
	const char *const *only_a;
	size_t n_only_a;
	const char *const *only_b;
	size_t n_only_b;
};
/** Members that differ. Since: 0.1 */
DRAY_API size_t dray_diff_members(const dray_diff *d);
/** The @p i-th, borrowed from @p d; NULL past the end. Since: 0.1 */
DRAY_API const struct dray_diff_member *dray_diff_member(const dray_diff *d, size_t i);

/** A layer of one image. */
struct dray_diff_layer_side {
	int64_t index;		/**< 0 = bottom; -1 = this image has none here */
	const char *diff_id;	/**< NULL unknown */
	const char *created_by;	/**< NULL */
};
/** A place in the stacks at which they differ. */
struct dray_diff_layer {
	const char *change;	/**< "added", "removed" or "different"; static */
	struct dray_diff_layer_side a, b;
};
/** Layers that differ. Since: 0.1 */
DRAY_API size_t dray_diff_layers(const dray_diff *d);
/** The @p i-th from the bottom, borrowed from @p d; NULL past the end. Since: 0.1 */
DRAY_API const struct dray_diff_layer *dray_diff_layer(const dray_diff *d, size_t i);
/** Layers that both have, below and above those that differ. Since: 0.1 */
DRAY_API size_t dray_diff_layers_same(const dray_diff *d);

/** A package that one image has, or both in other versions. */
struct dray_diff_package {
	const char *manager;	/**< "dpkg", "apk" or "rpm" */
	const char *name, *arch;	/**< arch "" = not told */
	const char *a, *b;	/**< versions; NULL = not there */
};
/**
 * Packages that differ. Of databases that can't be read there is a warning, unless packages
 * were asked for by name: then it is an error. Since: 0.1
 */
DRAY_API size_t dray_diff_packages(const dray_diff *d);
/** The @p i-th by manager and name, borrowed from @p d; NULL past the end. Since: 0.1 */
DRAY_API const struct dray_diff_package *dray_diff_package(const dray_diff *d, size_t i);

/** What differs between two files of one path. */
enum dray_diff_what {
	DRAY_DIFF_TYPE = 1,
	DRAY_DIFF_CONTENT = 2,
	DRAY_DIFF_SIZE = 4,
	DRAY_DIFF_MODE = 8,	/**< not of symbolic links */
	DRAY_DIFF_OWNER = 16,
	DRAY_DIFF_MTIME = 32,	/**< never when semantic */
	DRAY_DIFF_LINK = 64,	/**< where a symbolic link leads */
	DRAY_DIFF_DEVICE = 128,
	DRAY_DIFF_XATTRS = 256,
	/** The path shares its file with other names, of those that both images have. */
	DRAY_DIFF_HARDLINK = 512,
};
struct dray_diff_file {
	const char *path;	/**< as in struct dray_file */
	/** NULL = not there. Each name of a hard-linked file is a "file" here. */
	const struct dray_file *a, *b;
	unsigned what;		/**< enum dray_diff_what, or-ed; 0 when one is not there */
};
/** @p f lives during the call. 0 = go on; else dray_diff_files() stops and returns that. */
typedef int dray_diff_file_fn(void *arg, const struct dray_diff_file *f);
/** How many of them there are. */
struct dray_diff_counts {
	int64_t added, removed, changed;
	int64_t only_times;	/**< of the changed ones: nothing but DRAY_DIFF_MTIME */
};
/** Counted when the images were compared. Since: 0.1 */
DRAY_API struct dray_diff_counts dray_diff_file_counts(const dray_diff *d);
/**
 * The files that differ, sorted as dray_files() does; what lies in a folder that only one image
 * has is told one by one. May be called again.
 *
 * @param fn   called once per path
 * @param arg  handed to fn untouched
 * @return  0; what @p fn returned to stop; -1
 *
 * Units:   bytes, seconds
 * Owns:    nothing changes hands
 * Errors:  NOMEM, CANCELLED
 * Threads: @p d on one thread at a time
 * Since:   0.1
 */
DRAY_API int dray_diff_files(dray_diff *d, dray_diff_file_fn *fn, void *arg, dray_error **err);

/** Free @p d and all that was borrowed from it; NULL is fine. Since: 0.1 */
DRAY_API void dray_diff_free(dray_diff *d);

#ifdef __cplusplus
}
#endif
