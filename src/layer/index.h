/* SPDX-License-Identifier: Apache-2.0
 *
 * One layer tar as a list of entries: what each is, and where its bytes lie in
 * the uncompressed stream. No content is kept. Spec: OCI image-spec layer.md;
 * formats.md section 6.
 */
#pragma once

#include "base/arena.h"
#include "tar/tar.h"

#define CONTENT_DIGEST_LEN 32 /* bytes of a sha256 */

/** Extended attributes of one entry, in the order of the tar. */
struct layer_xattrs {
	size_t n;
	struct tar_xattr list[];
};

/** Where the bytes of a sparse file belong: they are stored one piece after the other. */
struct layer_sparse {
	int64_t size; /* of the file; what no piece covers is zeros */
	size_t n;
	struct tar_extent list[]; /* in order, apart, none empty, within size */
};

/**
 * Those of @p x (NULL = none) that are of the tree, sorted by the bytes of their names; not what
 * overlayfs notes for itself (formats.md 6.2). *ret is the caller's: mem_free(); its spans are lent.
 */
int layer_xattrs_sorted(const struct layer_xattrs *x, struct tar_xattr **ret, size_t *ret_n,
			dray_error **err) MUST_CHECK;

/** Does overlayfs keep its books in this one? No tree has it, and no tar that we write. */
bool xattr_is_overlay(struct span name);
/** Has @p x (NULL = none) such a one? */
bool layer_xattrs_overlay(const struct layer_xattrs *x);

/** In whatever order, but for those of overlayfs; no name comes twice. NULL = none. */
bool layer_xattrs_same(const struct layer_xattrs *a, const struct layer_xattrs *b);

/** One entry. Strings live in the index; offsets are those of the uncompressed tar. */
struct layer_entry {
	const char *path;   /* cleaned: no leading or trailing '/', no "."; "" = the root */
	const char *link;   /* symbolic link: its text; hard link: cleaned path; else NULL */
	const struct layer_xattrs *xattrs; /* NULL = none */
	const struct layer_sparse *sparse; /* of TAR_SPARSE, else NULL */
	const uint8_t *content; /* sha256 of a file's bytes, CONTENT_DIGEST_LEN; NULL = not asked */
	const char *uname, *gname; /* shared by neighbours */
	int64_t header_off; /* first extension header */
	int64_t data_off;
	int64_t size;	    /* data bytes at data_off; of a sparse file those of its pieces */
	int64_t mtime;	    /* Unix seconds */
	uint32_t mtime_nsec;
	uint32_t mode;	    /* permission bits and setuid, setgid, sticky: 07777 */
	uint32_t uid, gid;
	uint32_t dev_major, dev_minor;
	uint8_t type;	    /* enum tar_type */
	/* The name as stored differs from path in more than a slash behind it: "./a", "/a". */
	bool odd_name;
	/* Readers take the name or the hard link's target differently ("a/../b", "file/"). */
	bool ambiguous;
};

/** Bytes of the file that @p e unpacks to. */
static inline int64_t layer_entry_size(const struct layer_entry *e)
{
	return e->sparse ? e->sparse->size : e->size;
}

struct layer_index {
	struct arena arena;
	struct layer_entry *list; /* in the order of the tar */
	size_t n, cap;
	int64_t size; /* bytes of the tar, what follows its end marker included */
	size_t n_extents; /* pieces of all sparse files */
	size_t text; /* bytes of names, links, owners, attributes and pieces as the tar has them */
	int64_t expanded; /* bytes of the sparse files that were hashed */
};

/**
 * Would layer_index_read() and the tree take this entry, as far as one entry alone can tell? FORMAT
 * and LIMIT say why not. Nothing is kept but its cleaned name, which @p room holds on success.
 */
int layer_entry_check(const struct tar_entry *t, struct buf *room, dray_error **err) MUST_CHECK;

struct layer_index_options {
	bool contents;	      /* compute layer_entry.content */
	/* ... of files that are not sparse, as the caller reads them by layer_indexer_data(). */
	bool lends;
	size_t max_entries;    /* 0 = LIMIT_LAYER_ENTRIES */
	size_t max_text;       /* bytes of layer_index.text; 0 = no matter */
	tar_oddity_fn *on_odd; /* may be NULL */
	void *arg;
	/**
	 * May be NULL: gets each file as it passes, @p e complete but not in the index yet; then
	 * no contents are computed. @p data is lent.
	 */
	int (*file)(void *arg, const struct layer_entry *e, struct source *data, dray_error **err);
	void *file_arg;
};

/**
 * Read the uncompressed tar @p in (lent) to its end. FORMAT for what readers disagree
 * about, for names and hard links that leave the root, for whiteouts that name nothing
 * for numbers out of range; LIMIT_LAYER_ENTRIES, LIMIT_SPARSE_...; UNSUPPORTED for entries of
 * unknown type.
 */
int layer_index_read(struct source *in, const struct layer_index_options *o,
		     struct layer_index **ret, dray_error **err) MUST_CHECK;
void layer_index_free(struct layer_index *ix);
DEFINE_CLEANUP(struct layer_index, cleanup_layer_index_fn, layer_index_free)
#define cleanup_layer_index CLEANUP(cleanup_layer_index_fn)

/** The same one entry at a time, for who wants the bytes while they pass. */
struct layer_indexer;
/** @p in is lent; @p o is copied. */
struct layer_indexer *layer_indexer_new(struct source *in, const struct layer_index_options *o,
					dray_error **err);
/**
 * 1 = *ret is the next entry, lent until the next call, which skips what is left of its data;
 * 0 = all of @p in was read; -1 = as layer_index_read().
 */
int layer_indexer_next(struct layer_indexer *x, const struct layer_entry **ret,
		       dray_error **err) MUST_CHECK;
/**
 * The data of the entry as they are stored, to be freed before the next one; once for each, without
 * options.file, and with contents only if it lends.
 */
struct source *layer_indexer_data(struct layer_indexer *x, dray_error **err);
/** All entries, the caller's; once, after layer_indexer_next() returned 0. */
struct layer_index *layer_indexer_finish(struct layer_indexer *x);
void layer_indexer_free(struct layer_indexer *x);
DEFINE_CLEANUP(struct layer_indexer, cleanup_layer_indexer_fn, layer_indexer_free)
#define cleanup_layer_indexer CLEANUP(cleanup_layer_indexer_fn)

/** What a path means in a layer (layer.md "Whiteouts"). */
enum whiteout {
	WHITEOUT_NONE,
	WHITEOUT_NAME,	 /* ".wh.NAME": NAME of the layers below is gone */
	WHITEOUT_OPAQUE, /* ".wh..wh..opq": the folder shows nothing of the layers below */
	/* Other ".wh..wh.", and all below: what aufs left behind; no part of the tree. */
	WHITEOUT_AUFS,
};
/** @p ret_name (may be NULL) is the NAME of WHITEOUT_NAME, within @p path. */
enum whiteout whiteout_of(const char *path, const char **ret_name);
/**
 * The cleaned path that the whiteout @p path speaks of: what is gone, or the folder of an opaque
 * one. Into @p ret (emptied first), with a NUL that is not counted. @p name: as whiteout_of() told
 * it; NULL of an opaque one.
 */
int whiteout_target(const char *path, const char *name, struct buf *ret,
		    dray_error **err) MUST_CHECK;
/** Does any part of cleaned @p path begin as whiteouts do? */
bool whiteout_within(const char *path);
/** A character device 0:0, which is what overlayfs takes for a whiteout. */
static inline bool is_overlay_whiteout(const struct layer_entry *e)
{
	return e->type == TAR_CHAR && e->dev_major == 0 && e->dev_minor == 0;
}
#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_OPAQUE_NAME ".wh..wh..opq"

/** Does cleaned @p path lie in cleaned @p folder, however deep? No path lies in itself. */
bool path_is_below(const char *path, const char *folder);
