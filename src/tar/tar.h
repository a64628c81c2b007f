/* SPDX-License-Identifier: Apache-2.0
 *
 * Tar, raw-preserving: entries with the place of every byte, and a strict eye
 * for what readers disagree about (reliability 2.4, rows T-01..T-21).
 * Spec: POSIX.1-2017 pax, GNU tar manual "Standard"; formats.md section 6.1.
 */
#pragma once

#include <sys/types.h>
#include "base/arena.h"
#include "flow/sink.h"
#include "flow/source.h"

#define TAR_BLOCK 512

enum tar_type {
	TAR_FILE, TAR_HARDLINK, TAR_SYMLINK, TAR_CHAR, TAR_BLOCK_DEV, TAR_DIR, TAR_FIFO,
	TAR_SPARSE,	/* GNU 'S' or pax sparse: data is what its extents hold */
	TAR_OTHER,	/* typeflag kept in raw_type */
};
/** Of a file of the host, by its st_mode; sockets are TAR_OTHER. */
enum tar_type tar_type_of_mode(mode_t mode);

/**
 * An extended attribute. What Windows keeps of a file are attributes too, by the names of their
 * pax records: those that begin with TAR_WINDOWS, and TAR_WINDOWS_CREATED where there are such.
 */
struct tar_xattr {
	struct span name, value;
};
#define TAR_WINDOWS "MSWINDOWS."
#define TAR_WINDOWS_CREATED "LIBARCHIVE.creationtime"
bool tar_xattr_is_windows(struct span name);

/** A piece of a sparse file; what lies between the pieces is zeros. */
struct tar_extent {
	int64_t off, size;	/* in the file as it is unpacked */
};

/** One entry. Spans live until the next tar_next(). */
struct tar_entry {
	enum tar_type type;
	uint8_t raw_type;
	struct span name;	/* bytes as stored, extensions applied */
	struct span link;	/* target of links, else empty */
	int64_t size;		/* data bytes that follow in the stream */
	int64_t mode, uid, gid;
	int64_t mtime;		/* Unix seconds */
	int32_t mtime_nsec;
	int64_t dev_major, dev_minor;
	struct span uname, gname;
	struct tar_xattr *xattrs;
	size_t n_xattrs;
	/*
	 * Of TAR_SPARSE: the file has real_size bytes, and its data are those of the extents one
	 * after the other; they are in order, apart, not empty, and size bytes together. Else size.
	 */
	int64_t real_size;
	const struct tar_extent *extents;
	size_t n_extents;
	int64_t header_off;	/* first extension header of this entry */
	int64_t data_off;	/* first data byte; behind the map of a sparse file */
	int64_t end_off;	/* behind the padding */
	bool has_pax, has_gnu;
};

/** What a strict reader wants to tell about the stream: reported, or made an error. */
struct tar_oddity {
	const char *code;	/* stable, one of the list below */
	int64_t off;
	const char *message;	/* lives for the call */
};
typedef void tar_oddity_fn(void *arg, const struct tar_oddity *o);
/*
 * Codes: tar-after-end, tar-checksum-signed, tar-data-ignored, tar-empty, tar-empty-link,
 * tar-empty-name, tar-file-slash, tar-global-xattr, tar-gnu-name-tail, tar-no-end,
 * tar-one-end-block, tar-pax-charset, tar-pax-empty-value, tar-pax-size-differs, tar-pax-twin,
 * tar-unknown-type.
 */

struct tar_reader;
/**
 * Read @p in (lent, positioned at a header). Ambiguities that change which
 * entries a reader sees are errors; harmless ones go to @p on_odd (may be NULL).
 * All offsets are those of @p in. Memory does not grow with the number of entries,
 * so LIMIT_MEMBERS is left to those who keep them.
 */
struct tar_reader *tar_reader_new(struct source *in, tar_oddity_fn *on_odd, void *arg,
				  dray_error **err);
/** 1 = *ret is the next entry, 0 = end of archive, -1. Skips the rest of the last one's data. */
int tar_next(struct tar_reader *r, const struct tar_entry **ret, dray_error **err) MUST_CHECK;
/** Data of the current entry, entry->size bytes; the caller's, to be freed before tar_next(). */
struct source *tar_data(struct tar_reader *r, dray_error **err);
/** After tar_next() returned 0: read and judge what follows the end marker, to the end of @p in. */
int tar_tail(struct tar_reader *r, dray_error **err) MUST_CHECK;
void tar_reader_free(struct tar_reader *r);
DEFINE_CLEANUP(struct tar_reader, cleanup_tar_reader_fn, tar_reader_free)
#define cleanup_tar_reader CLEANUP(cleanup_tar_reader_fn)

/**
 * One canonical form of a member name: "./a", "a/", "/a", "a//b" become "a", "a", "a", "a/b".
 * FORMAT when ".." leaves the root. Appended to @p ret; nothing = the root itself.
 */
int tar_name_clean(struct span name, struct buf *ret, dray_error **err) MUST_CHECK;
/** What of a name is not canonical; 0 = tar_name_clean() would change nothing (T-21). */
enum tar_name_quirk {
	TAR_NAME_ABSOLUTE = 1,		/* "/a" */
	TAR_NAME_TRAILING_SLASH = 2,	/* "a/" */
	TAR_NAME_DOT = 4,		/* "./a" */
	TAR_NAME_EMPTY_PART = 8,	/* "a//b" */
	TAR_NAME_DOTDOT = 16,		/* "a/../b" */
};
unsigned tar_name_quirks(struct span name);
/**
 * Where a symlink at member @p from with text @p target points inside the archive;
 * absolute targets start at the root. FORMAT when it leaves. Appended to @p ret.
 */
int tar_link_resolve(struct span from, struct span target, struct buf *ret,
		     dray_error **err) MUST_CHECK;

/* ---- writing: deterministic members ---- */

/**
 * An entry to be written as ustar, with a pax header only for what ustar cannot say. What is
 * zero or empty is written so: owner root without names, mtime 0, no attributes.
 */
struct tar_member {
	enum tar_type type;	/* not TAR_OTHER */
	struct span name;
	struct span link;
	int64_t size;
	int64_t mode, uid, gid;
	int64_t mtime;
	int32_t mtime_nsec;
	int64_t dev_major, dev_minor;
	struct span uname, gname;
	const struct tar_xattr *xattrs;	/* written in this order */
	size_t n_xattrs;
	/* Of TAR_SPARSE, as in tar_entry; written in pax format 1.0, the map in the header. */
	int64_t real_size;
	const struct tar_extent *extents;
	size_t n_extents;
	/* A pax size record even if the field would do: so the header's length is known before. */
	bool always_size;
};
/** Append its header, whole blocks. USAGE, UNSUPPORTED or LIMIT for what is never written. */
int tar_header_write(const struct tar_member *m, struct buf *ret, dray_error **err) MUST_CHECK;
/** Bytes of padding behind @p size data bytes. */
static inline size_t tar_padding(int64_t size)
{
	return (size_t)((TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK);
}
