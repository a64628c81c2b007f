/* SPDX-License-Identifier: Apache-2.0
 *
 * What an image's layers hold, counted: bytes that later layers hide, packages.
 */
#pragma once

#include <dray/report.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A path of which layers carry bytes that nobody sees. */
struct dray_waste {
	const char *path;		/**< cleaned; bytes: UTF-8 only mostly */
	int64_t bytes;			/**< hidden, of all its copies */
	const int64_t *layers;		/**< of each hidden copy, bottom first */
	size_t n_copies;
	bool visible;			/**< one more copy is seen; false: it was deleted in the end */
};
/** One layer's share. */
struct dray_layer_use {
	int64_t file_bytes;		/**< of its files' contents, as stored */
	int64_t wasted_bytes;		/**< of those, hidden by later layers */
};
/** Sizes count the contents of files, neither headers nor compression. */
struct dray_efficiency {
	int64_t file_bytes, wasted_bytes; /**< of all layers */
	int64_t wasted_ppm;		/**< of file_bytes, in millionths, rounded down */
	/**
	 * In millionths, rounded down: the sum over all paths of the smallest copy, 0 where none is
	 * seen, divided by the sum of all copies. An image without bytes has 1000000.
	 */
	int64_t score_ppm;
	const struct dray_layer_use *layers;
	size_t n_layers;
	const struct dray_waste *files;	/**< most bytes first, then by path */
	size_t n_files;
};

/** An installed package. Strings are never NULL; "" = not told. */
struct dray_package {
	const char *manager;		/**< "apk", "dpkg", "rpm" */
	const char *name;
	const char *version;		/**< as its manager prints it */
	const char *arch;
	const char *source;		/**< what it was built from */
	int64_t files;			/**< names in the merged tree that are its, folders not counted */
	int64_t bytes;			/**< of the files among them; a hard-linked one counts once */
};

/** Begin with DRAY_INSPECT_OPTIONS_INIT. */
struct dray_inspect_options {
	size_t size;
	bool efficiency, packages;	/**< what is wanted */
	/* Over or under these is a problem of the report, which asks for efficiency; -1 = no limit. */
	int64_t max_wasted_bytes;	/**< "wasted-bytes" */
	int64_t max_wasted_ppm;		/**< "wasted-share": millionths of all file bytes */
	int64_t min_score_ppm;		/**< "low-efficiency" */
};
#define DRAY_INSPECT_OPTIONS_INIT \
	{ .size = sizeof(struct dray_inspect_options), .max_wasted_bytes = -1, \
	  .max_wasted_ppm = -1, .min_score_ppm = -1 }

typedef struct dray_inspection dray_inspection;
/**
 * Read all layers of one image and count what was asked for.
 *
 * @param sel  NULL = the only image
 * @param ret  free with dray_inspection_free()
 * @return  0, also when limits are passed: see the report; -1
 *
 * Units:   bytes, millionths
 * Owns:    what the getters hand out lives as long as the inspection
 * Errors:  as dray_export() (dray/rootfs.h); packages: FORMAT a database that is none, LIMIT
 * Threads: see dray_context_new()
 * Spec:    docs/layers.md
 * Since:   0.1
 */
DRAY_API int dray_inspect(dray_context *ctx, const char *image, const struct dray_select *sel,
			  const struct dray_inspect_options *o, dray_inspection **ret,
			  dray_error **err);
DRAY_API void dray_inspection_free(dray_inspection *i);
/** Of the one image, as dray_explain() makes it; limits that were passed are its problems. */
DRAY_API const dray_report *dray_inspection_report(const dray_inspection *i);
/** NULL = not asked for. */
DRAY_API const struct dray_efficiency *dray_inspection_efficiency(const dray_inspection *i);
/** Sorted by manager, name, arch, version. */
DRAY_API size_t dray_inspection_packages(const dray_inspection *i);
DRAY_API const struct dray_package *dray_inspection_package(const dray_inspection *i, size_t n);
/** Files that no package has, without a name; NULL = not asked for. */
DRAY_API const struct dray_package *dray_inspection_unpackaged(const dray_inspection *i);

#ifdef __cplusplus
}
#endif
