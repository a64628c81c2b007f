/* SPDX-License-Identifier: Apache-2.0
 *
 * Changing what an image says of itself; its layers stay as they are.
 */
#pragma once

#include <dray/copy.h>
#include <dray/diff.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What is changed. */
enum dray_edit_field {
	DRAY_EDIT_ENV = 1,	/**< name, value */
	DRAY_EDIT_LABEL,	/**< name, value */
	DRAY_EDIT_VOLUME,	/**< name: a path */
	DRAY_EDIT_EXPOSE,	/**< name: PORT[-PORT][/PROTO], tcp when not told; a range is its ports */
	DRAY_EDIT_ONBUILD,	/**< name: an instruction */
	DRAY_EDIT_ENTRYPOINT,	/**< value: a JSON list of strings, or words with blanks between */
	DRAY_EDIT_CMD,		/**< likewise */
	DRAY_EDIT_SHELL,	/**< likewise */
	DRAY_EDIT_HEALTHCHECK,	/**< value: "none", or the JSON object of the config */
	DRAY_EDIT_USER,		/**< value */
	DRAY_EDIT_WORKDIR,	/**< value */
	DRAY_EDIT_STOP_SIGNAL,	/**< value */
	DRAY_EDIT_HOSTNAME,	/**< value */
	DRAY_EDIT_DOMAINNAME,	/**< value */
	DRAY_EDIT_AUTHOR,	/**< value */
	DRAY_EDIT_CREATED,	/**< value: RFC 3339, or seconds since 1970 */
	DRAY_EDIT_PLATFORM,	/**< value: OS/ARCH[/VARIANT] */
	DRAY_EDIT_ARCHITECTURE,	/**< value: the middle one of these alone */
	DRAY_EDIT_HISTORY,	/**< to be cleared only */
	DRAY_EDIT_ANNOTATION,	/**< name, value; of OCI manifests */
};
enum dray_edit_action {
	DRAY_EDIT_SET = 1,	/**< or add */
	DRAY_EDIT_REMOVE,	/**< what @p name fits; '*', '?' and '[a-z]' stand for others */
	DRAY_EDIT_CLEAR,	/**< the whole field */
};
/** One change. Strings are lent for the call. */
struct dray_edit_step {
	enum dray_edit_field field;
	enum dray_edit_action action;
	const char *name, *value;	/**< as the field says; else NULL */
};

/** Begin with DRAY_EDIT_OPTIONS_INIT. */
struct dray_edit_options {
	size_t size;
	const struct dray_edit_step *steps;	/**< in their order */
	size_t n_steps;
	/** The tags of the result in place of the old ones; NULL = those. Of one image. */
	const char *const *tags;
	size_t n_tags;
};
#define DRAY_EDIT_OPTIONS_INIT { .size = sizeof(struct dray_edit_options) }

/**
 * Copy an image with another config. What no step names keeps its bytes; steps that change
 * nothing give the same image.
 *
 * Of an index all images are changed, or those of the context's platforms; the others, and the
 * index around them, come along.
 *
 * @param image  a reference as dray(1) spells them
 * @param dst    as in dray_copy(); may be @p image itself
 * @param e      what to change
 * @param o      as in dray_copy(), NULL = defaults; canonical and referrers have no meaning here
 * @return  0; -1, as dray_copy()
 *
 * Owns:    *ret is the caller's: dray_copy_free()
 * Errors:  as dray_copy(); USAGE a step that says nothing sensible; FORMAT a config whose
 *          fields have other types than they should; UNSUPPORTED annotations where no
 *          manifest has them
 * Threads: see dray_context_new()
 * Spec:    OCI image-spec config.md; dray-edit(1)
 * Since:   0.1
 */
DRAY_API int dray_edit(dray_context *ctx, const char *image, const char *dst,
		       const struct dray_edit_options *e, const struct dray_copy_options *o,
		       dray_copy_result **ret, dray_error **err);
/**
 * Edit an image where it lies.
 *
 * In an archive only its documents change: new ones go behind the old, and one write of a block
 * lets them count, so that readers find the image as it was or as it is to be, whenever the
 * process ends. No layer is read or written, unless layers lie behind the documents: then the
 * archive is copied into a new file that takes its place, and a change of the result says so.
 * The bytes of old configs and documents are overwritten with zeros. Edits that change nothing
 * write nothing. Images of the archive that were not chosen stay.
 *
 * Everywhere else it is dray_edit() of @p image into @p image.
 *
 * @param image  a file, or a place with a tag; no digest, for that never changes
 * @param e      what to change; tags only in archives
 * @param o      image and all choose, as in dray_copy(); the rest has no meaning for archives
 * @return  0; -1
 *
 * Owns:    *ret is the caller's: dray_copy_free()
 * Errors:  as dray_edit(); UNSUPPORTED for archives that are compressed as a whole or older than
 *          manifest.json, and for places that are only read; USAGE for pipes and digests, and
 *          where another image of the archive has the tag; SYSTEM
 * Threads: see dray_context_new(); processes take turns by a lock on the file
 * Since:   0.1
 */
DRAY_API int dray_edit_in_place(dray_context *ctx, const char *image,
				const struct dray_edit_options *e,
				const struct dray_copy_options *o, dray_copy_result **ret,
				dray_error **err);
/**
 * Gets what would change in the config of one image. @p image is a name of it, or its ID, where
 * there are several to tell apart, else NULL; @p platform is that of an index's image, NULL for
 * one that stands alone; @p d is lent for the call.
 * 0 = go on; else dray_edit_preview() stops and returns that.
 */
typedef int dray_edit_preview_fn(void *arg, const char *image, const char *platform,
				 dray_diff *d);
/**
 * What dray_edit() would change in configs: @p each gets the images that are meant, in the order
 * of the place. Nothing is written.
 *
 * @param dst  where the result would go, which says what its tags may be; NULL = @p image itself
 * @param o    image and all choose, as in dray_copy(); NULL = defaults
 * @param arg  handed to each untouched
 * @return  0; what @p each returned to stop; -1
 *
 * Owns:    nothing changes hands
 * Errors:  as dray_edit()
 * Threads: see dray_context_new()
 * Since:   0.1
 */
DRAY_API int dray_edit_preview(dray_context *ctx, const char *image, const char *dst,
			       const struct dray_edit_options *e,
			       const struct dray_copy_options *o, dray_edit_preview_fn *each,
			       void *arg, dray_error **err);

#ifdef __cplusplus
}
#endif
