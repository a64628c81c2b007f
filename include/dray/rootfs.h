/* SPDX-License-Identifier: Apache-2.0
 *
 * The merged file system of an image: what its layers add up to, without unpacking.
 */
#pragma once

#include <dray/report.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DRAY_DIGEST_SIZE 256	/**< bytes of the longest "algo:hex", with its NUL */

/**
 * The digest of the merged tree: the same for every way to cut it into layers.
 *
 * @param sel    NULL = the only image
 * @param mtime  modification times count too
 * @param ret    "sha256:..."
 * @return  0; -1
 *
 * Errors:  as dray_explain(); CORRUPT bytes against their digest; FORMAT layers that are no tar
 *          or that readers disagree about; UNSUPPORTED artifacts; LIMIT sparse files of over 1 TiB
 * Threads: see dray_context_new()
 * Spec:    docs/rootfs-id.md
 * Since:   0.1
 */
DRAY_API int dray_rootfs_id(dray_context *ctx, const char *image, const struct dray_select *sel,
			    bool mtime, char ret[DRAY_DIGEST_SIZE], dray_error **err);

/**
 * Write the merged tree as one tar: paths sorted by their bytes, folders before what they
 * hold, entries with the headers that their layers gave them.
 *
 * @param output      a path, "-" = standard output; a file appears whole or not at all
 * @param no_clobber  an existing file is USAGE
 * @param ret_size    bytes written; may be NULL
 * @return  0; -1
 *
 * Units:   bytes
 * Errors:  as dray_rootfs_id(), but sparse files of any size are written as they are; SYSTEM
 * Threads: see dray_context_new()
 * Spec:    docs/layers.md
 * Since:   0.1
 */
DRAY_API int dray_export(dray_context *ctx, const char *image, const struct dray_select *sel,
			 const char *output, bool no_clobber, int64_t *ret_size,
			 dray_error **err);

/** An extended attribute; its name as the kernel has it ("security.capability"). */
struct dray_xattr {
	const char *name;
	size_t name_size;
	const void *value;
	size_t value_size;
};

/** One name of a tree. Paths and texts of links are bytes: UTF-8 only mostly. */
struct dray_file {
	const char *path;		/**< without '/' in front or behind; "" = the root */
	/**
	 * "file", "dir", "symlink", "hardlink", "char", "block" or "fifo"; of one layer also
	 * "whiteout" (path is gone) and "opaque" (path shows nothing of the layers below).
	 */
	const char *type;
	uint32_t mode;			/**< permission bits, setuid, setgid, sticky */
	uint32_t uid, gid;
	int64_t size;			/**< bytes, holes of sparse files included; else 0 */
	int64_t mtime;			/**< Unix seconds */
	uint32_t mtime_nsec;
	const char *link;		/**< text of a symlink; path that a hardlink shares; NULL */
	int64_t layer;			/**< that put the name there; 0 = bottom */
	const char *digest;		/**< sha256 of the content, holes as zeros; NULL: not asked, no file */
	uint32_t dev_major, dev_minor;	/**< of char and block */
	const struct dray_xattr *xattrs;
	size_t n_xattrs;
};
/** @p f lives during the call. 0 = go on; else dray_files() stops and returns that. */
typedef int dray_file_fn(void *arg, const struct dray_file *f);

/** Begin with DRAY_FILES_OPTIONS_INIT. */
struct dray_files_options {
	size_t size;
	const char *path;	/**< it and what is below it; NULL = all but the root itself */
	int64_t layer;		/**< entries of this layer alone, whiteouts too; -1 = merged */
	bool digests;		/**< of contents */
};
#define DRAY_FILES_OPTIONS_INIT { .size = sizeof(struct dray_files_options), .layer = -1 }

/**
 * The names of the merged tree, sorted by their bytes, a folder before what it holds; or those
 * of one layer, in the order of its tar, of which only that layer is read.
 *
 * A file's first name is a "file", its others are "hardlink" with the same attributes. Links in
 * o->path are followed inside the image, a last one only with a '/' behind it.
 *
 * @param o    NULL = defaults
 * @param fn   called once per name, when all that is needed was read and proven
 * @param arg  handed to fn untouched
 * @return  0; what @p fn returned to stop; -1
 *
 * Units:   bytes, seconds
 * Owns:    nothing changes hands
 * Errors:  as dray_export(); NOT_FOUND o->path; USAGE a layer that the image does not have
 * Threads: see dray_context_new(); @p fn on the caller's
 * Spec:    docs/layers.md
 * Since:   0.1
 */
DRAY_API int dray_files(dray_context *ctx, const char *image, const struct dray_select *sel,
			const struct dray_files_options *o, dray_file_fn *fn, void *arg,
			dray_error **err);

/** Begin with DRAY_CAT_OPTIONS_INIT. */
struct dray_cat_options {
	size_t size;
	const char *output;	/**< a file, which appears whole or not at all; NULL = @p write */
	bool no_clobber;	/**< an output that is there already is USAGE */
	/** Gets the bytes in order; not 0 = stop, with CANCELLED. */
	int (*write)(void *arg, const void *data, size_t n);
	void *arg;
};
#define DRAY_CAT_OPTIONS_INIT { .size = sizeof(struct dray_cat_options) }
/**
 * The content of one file. Symbolic links are followed inside the image.
 *
 * Layers are read from the top one down, and those below the answer are not read.
 *
 * @param path      in the image, with or without a '/' in front
 * @param o         output or write is set
 * @param ret_size  bytes; may be NULL
 * @return  0; -1
 *
 * Units:   bytes
 * Owns:    nothing changes hands
 * Errors:  as dray_export(); NOT_FOUND no such file, more than 40 links; USAGE a folder;
 *          UNSUPPORTED devices; LIMIT a sparse file of over 1 TiB
 * Threads: see dray_context_new(); o->write on the caller's
 * Spec:    docs/layers.md
 * Since:   0.1
 */
DRAY_API int dray_cat(dray_context *ctx, const char *image, const struct dray_select *sel,
		      const char *path, const struct dray_cat_options *o, int64_t *ret_size,
		      dray_error **err);

/** Begin with DRAY_UNPACK_OPTIONS_INIT. */
struct dray_unpack_options {
	size_t size;
	bool force;		/**< a folder that is not empty, or a name that is there, will do */
	bool no_same_owner;	/**< all belongs to the caller; so it does unless root calls */
	bool no_xattrs;		/**< no extended attributes: capabilities, ACLs, labels, user's */
	bool sync;		/**< all of it is on the disk before it has its name */
};
#define DRAY_UNPACK_OPTIONS_INIT { .size = sizeof(struct dray_unpack_options) }

/** Begin with DRAY_UNPACK_RESULT_INIT. */
struct dray_unpack_result {
	size_t size;
	int64_t names;		/**< made, that of the root counted */
	int64_t bytes;		/**< of the files' contents */
	/* What rights or the file system did not allow; each kind is also one warning. */
	int64_t left_owners;	/**< names that belong to the caller instead */
	int64_t left_setid;	/**< files that lost setuid or setgid with their owner */
	int64_t left_devices;	/**< not made, with their hard links */
	int64_t left_xattrs;	/**< extended attributes */
};
#define DRAY_UNPACK_RESULT_INIT { .size = sizeof(struct dray_unpack_result) }

/**
 * Write the merged tree into a folder: files with their owners, modes, times, extended
 * attributes, hard links and devices, as far as the caller may.
 *
 * Nothing outside @p dir is touched, whatever the image holds. A folder that is not there appears
 * whole or not at all; one that is there gets its contents when all of them were written and
 * proven, and after a failure it is as it was. With o->force folders are merged, other names
 * that the image has are replaced, and what it does not have stays.
 *
 * @param dir  made unless it is there; its folder must be there
 * @param o    NULL = defaults
 * @param ret  may be NULL
 * @return  0; -1
 *
 * Units:   bytes
 * Owns:    nothing changes hands
 * Errors:  as dray_export(); USAGE a folder that is not empty; SYSTEM
 * Threads: see dray_context_new()
 * Spec:    docs/layers.md
 * Since:   0.1
 */
DRAY_API int dray_unpack(dray_context *ctx, const char *image, const struct dray_select *sel,
			 const char *dir, const struct dray_unpack_options *o,
			 struct dray_unpack_result *ret, dray_error **err);

/**
 * Write one file, or a folder and all below it, into a folder, under its own last name, in the
 * same way. Symbolic links in @p path are followed inside the image, but for a last one that leads to
 * nothing; the root's contents go into @p dir themselves. For a file layers are read from the top one down, and those below it are
 * not read. A path that is not there may be a pattern: '*', '?' and "[...]" within a name, "**" for
 * any number of folders. All that fit is written, each under its own last name.
 *
 * @param path  in the image, with or without a '/' in front
 * @param dir   made unless it is there; what else is in it stays
 * @param o     NULL = defaults
 * @param ret   may be NULL
 * @return  0; -1
 *
 * Units:   bytes
 * Owns:    nothing changes hands
 * Errors:  as dray_export(); NOT_FOUND @p path; USAGE a name that is there, or two that fit and have
 *          one name; SYSTEM
 * Threads: see dray_context_new()
 * Spec:    docs/layers.md
 * Since:   0.1
 */
DRAY_API int dray_extract(dray_context *ctx, const char *image, const struct dray_select *sel,
			  const char *path, const char *dir, const struct dray_unpack_options *o,
			  struct dray_unpack_result *ret, dray_error **err);

/** What one layer did to a path. */
struct dray_blame_step {
	const char *path;		/**< links on the way resolved, if a layer has that */
	int64_t layer;
	const char *diff_id;		/**< NULL unknown */
	const char *created_by;		/**< of the layer's line of the history; NULL */
	/** "added"; "changed", also by new attributes alone; "deleted". */
	const char *change;
	const struct dray_file *file;	/**< as the layer's entry has it, a hard link as its file; NULL when deleted */
};
typedef void dray_blame_fn(void *arg, const struct dray_blame_step *s);
/**
 * Every layer that brought, changed or deleted a path, from the bottom one up. All layers are
 * read. Links on the way are followed in the image, a last one only with a '/' behind it.
 *
 * @param fn   called once per layer that did something, at least once when 0 or 1 returns
 * @param arg  handed to fn untouched
 * @return  1 = the path is there; 0 = it was, and was deleted; -1
 *
 * Owns:    nothing changes hands; a step lives during its call
 * Errors:  as dray_export(); NOT_FOUND no layer ever had it
 * Threads: see dray_context_new(); @p fn on the caller's
 * Spec:    docs/layers.md
 * Since:   0.1
 */
DRAY_API int dray_blame(dray_context *ctx, const char *image, const struct dray_select *sel,
			const char *path, dray_blame_fn *fn, void *arg, dray_error **err);

#ifdef __cplusplus
}
#endif
