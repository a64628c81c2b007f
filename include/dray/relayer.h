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

/** Begin with DRAY_SQUASH_OPTIONS_INIT; one of both says where the new layer begins. */
struct dray_squash_options {
	size_t size;
	int64_t last;		/**< so many layers, counted from the top; at least 1 */
	/** The lowest one: its number from 0, its DiffID, or at least 12 hex digits of that; NULL = by last. */
	const char *from;
};
#define DRAY_SQUASH_OPTIONS_INIT { .size = sizeof(struct dray_squash_options) }

/**
 * The upper layers of an image in one; the lower ones keep their bytes.
 *
 * What only the upper layers held and hid is gone. Whiteouts stay where they hide something of
 * the lower layers. The history of dray_flatten(), for the squashed layers alone.
 *
 * @param image  a reference as dray(1) spells them
 * @param sel    NULL = the only image
 * @param dst    where the new image goes, as in dray_copy(); may be @p image itself
 * @param so     which layers
 * @param o      as in dray_flatten()
 * @return  0; -1, as dray_flatten()
 *
 * Units:   layers
 * Owns:    *ret is the caller's: dray_relayered_free()
 * Errors:  as dray_flatten(); USAGE more layers than there are; NOT_FOUND no such DiffID
 * Threads: see dray_context_new()
 * Spec:    docs/layers.md "Writing a difference"
 * Since:   0.1
 */
DRAY_API int dray_squash(dray_context *ctx, const char *image, const struct dray_select *sel,
			 const char *dst, const struct dray_squash_options *so,
			 const struct dray_copy_options *o, dray_relayered **ret,
			 dray_error **err);

/** Begin with DRAY_STRIP_OPTIONS_INIT; all is lent for the call. */
struct dray_strip_options {
	size_t size;
	/**
	 * From the root of the image, each with all below it: "*" and "?" within a name, "[a-c]",
	 * "**" for any number of folders, a backslash before a byte that is meant itself. Links
	 * are not followed.
	 */
	const char *const *paths;
	size_t n_paths;
	bool ignore_missing;	/**< go on though no layer holds one of them */
};
#define DRAY_STRIP_OPTIONS_INIT { .size = sizeof(struct dray_strip_options) }

/**
 * The image without some paths: gone from every layer, not hidden by one more.
 *
 * Layers that hold such a path, a whiteout of one, or a hard link to one are made anew: each says
 * what changes from the layers below to itself once the paths are gone. One that then says nothing
 * is left out. The others stay byte for byte. Of hard links that stay the first has the data.
 * The new layers are read back: nothing appears unless they give the old files less the paths.
 *
 * @param image  a reference as dray(1) spells them
 * @param sel    NULL = the only image
 * @param dst    where the new image goes, as in dray_copy(); may be @p image itself
 * @param so     which paths
 * @param o      as in dray_flatten()
 * @return  0; -1, as dray_flatten()
 *
 * Owns:    *ret is the caller's: dray_relayered_free()
 * Errors:  as dray_flatten(); NOT_FOUND a path that no layer holds; USAGE what is no pattern
 * Threads: see dray_context_new()
 * Spec:    docs/layers.md "Writing a difference"
 * Since:   0.1
 */
DRAY_API int dray_strip(dray_context *ctx, const char *image, const struct dray_select *sel,
			const char *dst, const struct dray_strip_options *so,
			const struct dray_copy_options *o, dray_relayered **ret,
			dray_error **err);

/** Begin with DRAY_APPEND_OPTIONS_INIT; all is lent for the call. */
struct dray_append_options {
	size_t size;
	const char *const *tars;/**< files, the lowest layer first; "-" is standard input */
	size_t n_tars;
	const char *created_by;	/**< of the new history entries; NULL = "dray append" */
	const char *comment;	/**< likewise; NULL = none */
	/**
	 * Read no layer that stays, but to send it: the rootfs ids are not known then. From a
	 * registry to itself nothing is fetched. What is sent is held against its digest all the
	 * same.
	 */
	bool no_rootfs_id;
};
#define DRAY_APPEND_OPTIONS_INIT { .size = sizeof(struct dray_append_options) }

/**
 * An image with more layers on top.
 *
 * Each tar, compressed as layers may be or not, is a layer with exactly its (decoded) bytes.
 * It is read to its end before anything is written.
 *
 * @param image  a reference as dray(1) spells them
 * @param sel    NULL = the only image
 * @param dst    where the new image goes, as in dray_copy(); may be @p image itself
 * @param ao     which tars
 * @param o      as in dray_flatten()
 * @return  0; -1, as dray_flatten()
 *
 * Owns:    *ret is the caller's: dray_relayered_free()
 * Errors:  as dray_flatten(); FORMAT what is no layer on top of this image
 * Threads: see dray_context_new()
 * Spec:    docs/layers.md; OCI image-spec layer.md
 * Since:   0.1
 */
DRAY_API int dray_append(dray_context *ctx, const char *image, const struct dray_select *sel,
			 const char *dst, const struct dray_append_options *ao,
			 const struct dray_copy_options *o, dray_relayered **ret,
			 dray_error **err);

/** Begin with DRAY_REBASE_OPTIONS_INIT; all is lent for the call. */
struct dray_rebase_options {
	size_t size;
	/**
	 * The image whose layers are the lowest ones now, as dray(1) spells references. NULL = by
	 * the annotations org.opencontainers.image.base.name and .digest of the image.
	 */
	const char *old_base;
	/** The one whose layers take their place. NULL = what base.name names today. */
	const char *new_base;
	bool no_rootfs_id;	/**< as in struct dray_append_options */
};
#define DRAY_REBASE_OPTIONS_INIT { .size = sizeof(struct dray_rebase_options) }

/**
 * An image on another base: the layers of the old one replaced by those of the new one.
 *
 * Blobs of both stay as they are stored. The config stays, but for the history: that of the new
 * base, then the image's own. Where the configs of the bases differ in something that an image
 * inherits, a warning says so. The annotations that name the base name the new one.
 *
 * @param image  a reference as dray(1) spells them
 * @param sel    NULL = the only image; the bases are chosen by the platform alone
 * @param dst    where the new image goes, as in dray_copy(); may be @p image itself
 * @param ro     the bases
 * @param o      as in dray_flatten()
 * @return  0; -1, as dray_flatten()
 *
 * Owns:    *ret is the caller's: dray_relayered_free()
 * Errors:  as dray_flatten(); USAGE an image that does not stand on the old base, a new base for
 *          another platform, no base told
 * Threads: see dray_context_new()
 * Spec:    OCI image-spec annotations.md, config.md "Layer DiffID"
 * Since:   0.1
 */
DRAY_API int dray_rebase(dray_context *ctx, const char *image, const struct dray_select *sel,
			 const char *dst, const struct dray_rebase_options *ro,
			 const struct dray_copy_options *o, dray_relayered **ret,
			 dray_error **err);

/** What was made; borrowed from @p r. Since: 0.1 */
DRAY_API const struct dray_relayer_info *dray_relayered_info(const dray_relayered *r);
/** Free @p r; NULL is fine. Since: 0.1 */
DRAY_API void dray_relayered_free(dray_relayered *r);

#ifdef __cplusplus
}
#endif
