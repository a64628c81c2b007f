/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of an image cut into other layers: by rules, by what belongs together, or as an
 * earlier image was cut.
 */
#pragma once

#include <dray/relayer.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DRAY_SPLIT_MAX 64		/**< layers in all, unless told */
#define DRAY_SPLIT_LAYERS_MAX 125	/**< engines refuse longer chains */
#define DRAY_SPLIT_LAYERS_FORCED 500	/**< what dray_split_options.force allows */
#define DRAY_SPLIT_MIN_SIZE 100000	/**< bytes of a layer that nobody asked for */

/** Begin with DRAY_SPLIT_OPTIONS_INIT; strings are lent for the call. */
struct dray_split_options {
	size_t size;
	/**
	 * Globs divided by commas, a layer for each, the first at the bottom; the first that
	 * fits a path or a folder above it wins. What none fits lies below them.
	 */
	const char *const *rules;
	size_t n_rules;
	/**
	 * How the rest is cut: "none" (one layer), "package", "dir", "size", "auto" (package
	 * where there are any, else dir) or "keep" (as it is, less what rules take). NULL = none with rules, auto without or with @p previous.
	 */
	const char *by;
	/** An image that was cut before: what it has stays in its layer. NULL = none. */
	const char *previous;
	/**
	 * Layers in all, at most; 0 = DRAY_SPLIT_MAX, or what was asked for needs. More than
	 * DRAY_SPLIT_LAYERS_MAX mean that many, unless @p force.
	 */
	int max;
	int64_t min_size;	/**< bytes; of layers that are no rule's, while there is another */
	size_t keep_base;	/**< layers that stay as they are stored, from the bottom */
	/**
	 * Bytes of tar; 0 = any. Layers of the rest are cut further to have no more; one file that
	 * has more is in a layer alone. Not with @p previous or by "keep".
	 */
	int64_t max_size;
	/** More than DRAY_SPLIT_LAYERS_MAX layers, which are refused else, are meant. Since: 0.1 */
	bool force;
};
#define DRAY_SPLIT_OPTIONS_INIT \
	{ .size = sizeof(struct dray_split_options), .min_size = DRAY_SPLIT_MIN_SIZE }

/** One layer of a plan, bottom first. Read only, lives as long as its plan. */
struct dray_split_layer {
	const char *rule;		/**< as given; NULL of a layer of the rest */
	/**
	 * What a layer of the rest holds: packages' sources, folders ("/usr/lib"), "rest"; of one
	 * that was kept to, what its step in that history says, else "layer 3".
	 */
	const char *const *parts;
	size_t n_parts;
	bool kept;			/**< stays as it is stored; rule and parts say nothing */
	int64_t entries;		/**< folders on the way counted */
	int64_t bytes;			/**< of the tar, uncompressed */
	/** With dray_split_options.previous: that image has no layer of this DiffID. Since: 0.1 */
	bool resent;
};
typedef struct dray_split_plan dray_split_plan;

/**
 * How dray_split() would cut an image. Nothing is written, but with a previous image the layers
 * are made and hashed.
 *
 * The same image and options give the same plan on every machine. A rule that nothing falls
 * under is told as a warning, and makes no layer. Names of one file (hard links) stay together,
 * where the first rule that fits any of them says. A folder is in every layer that has something
 * of it; one without contents where a rule puts it.
 *
 * @param image  a reference as dray(1) spells them
 * @param sel    NULL = the only image
 * @param o      NULL = defaults
 * @return  0; -1
 *
 * Units:   bytes
 * Owns:    *ret is the caller's: dray_split_plan_free()
 * Errors:  as dray_export(); USAGE a rule that is none, more layers than o->max or than the
 *          image has below; UNSUPPORTED a previous image of more than
 *          DRAY_SPLIT_LAYERS_FORCED
 * Threads: see dray_context_new()
 * Spec:    docs/layers.md "Splitting"
 * Since:   0.1
 */
DRAY_API int dray_split_plan_make(dray_context *ctx, const char *image,
				  const struct dray_select *sel,
				  const struct dray_split_options *o, dray_split_plan **ret,
				  dray_error **err);
/** Its layers, bottom first. Since: 0.1 */
DRAY_API const struct dray_split_layer *dray_split_plan_layers(const dray_split_plan *p,
								size_t *ret_n);
/** Free @p p; NULL is fine. Since: 0.1 */
DRAY_API void dray_split_plan_free(dray_split_plan *p);

/**
 * The same files and the same config in other layers.
 *
 * The history stays, and says of its steps whose layers are gone that they made none; new steps
 * made the new layers.
 *
 * @param image  a reference as dray(1) spells them
 * @param sel    NULL = the only image
 * @param so     NULL = defaults
 * @param dst    where the new image goes, as in dray_copy()
 * @param o      as in dray_flatten()
 * @param ret    the caller's: dray_relayered_free()
 * @return  0; -1: a file is as before, a registry may keep blobs
 *
 * Owns:    nothing else changes hands
 * Errors:  as dray_split_plan_make() and dray_copy(); CORRUPT when the layers read back do not
 *          give the same rootfs id
 * Threads: see dray_context_new()
 * Spec:    docs/layers.md "Splitting"
 * Since:   0.1
 */
DRAY_API int dray_split(dray_context *ctx, const char *image, const struct dray_select *sel,
			const struct dray_split_options *so, const char *dst,
			const struct dray_copy_options *o, dray_relayered **ret,
			dray_error **err);

#ifdef __cplusplus
}
#endif
