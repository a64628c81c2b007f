/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this room share: one decoded header block, one decoded pax
 * block, and how oddities leave.
 */
#pragma once

#include "base/limits.h"
#include "tar/tar.h"

/* ---- oddities ---- */

/** Where reports go, and the header they are about. */
struct tar_report {
	tar_oddity_fn *fn;	/* may be NULL */
	void *arg;
	int64_t off;
};
void tar_report(const struct tar_report *r, const char *code, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* ---- header.c: one block ---- */

/* Place and width of every field; bytes. POSIX.1-2017 pax "ustar Header Block". */
enum {
	TAR_NAME_AT = 0, TAR_NAME_LEN = 100,
	TAR_MODE_AT = 100, TAR_UID_AT = 108, TAR_GID_AT = 116, TAR_SHORT_LEN = 8,
	TAR_SIZE_AT = 124, TAR_MTIME_AT = 136, TAR_LONG_LEN = 12,
	TAR_SUM_AT = 148,
	TAR_TYPE_AT = 156,
	TAR_LINK_AT = 157, TAR_LINK_LEN = 100,
	TAR_MAGIC_AT = 257, TAR_MAGIC_LEN = 6, TAR_VERSION_AT = 263,
	TAR_UNAME_AT = 265, TAR_GNAME_AT = 297, TAR_OWNER_LEN = 32,
	TAR_MAJOR_AT = 329, TAR_MINOR_AT = 337,
	TAR_PREFIX_AT = 345, TAR_PREFIX_LEN = 155,
	/* GNU only: the old sparse format keeps its map where ustar has the prefix. */
	TAR_GNU_ATIME_AT = 345, TAR_GNU_CTIME_AT = 357, TAR_GNU_OFFSET_AT = 369,
	TAR_GNU_MAP_AT = 386, TAR_GNU_MAP_PAIRS = 4, TAR_GNU_MORE_AT = 482,
	TAR_GNU_REALSIZE_AT = 483,
	/* GNU sparse extension block */
	TAR_GNU_EXT_PAIRS = 21, TAR_GNU_EXT_MORE_AT = 504,
};
#define TAR_OCTAL_MAX 077777777777LL	/* what eleven octal digits can say: 8 GiB - 1 */
#define TAR_OCTAL_FULL 0777777777777LL	/* twelve, by writers that leave out the NUL */

enum tar_magic {
	TAR_MAGIC_V7,
	TAR_MAGIC_USTAR,
	TAR_MAGIC_GNU,
};

/** A header block, decoded. Spans point into the block. */
struct tar_header {
	enum tar_magic magic;
	uint8_t type;
	bool signed_sum;	/* the checksum only fits when bytes are signed */
	struct span name, prefix, link, uname, gname;	/* prefix: ustar only */
	int64_t mode, uid, gid, size, mtime;
	int64_t dev_major, dev_minor;	/* devices only */
};

bool tar_block_is_zero(const uint8_t *block);
/** FORMAT says which field; the caller adds where. */
int tar_header_parse(const uint8_t block[TAR_BLOCK], struct tar_header *ret,
		     dray_error **err) MUST_CHECK;
/** Sum of the block with its checksum field taken as blanks. */
unsigned tar_checksum(const uint8_t block[TAR_BLOCK]);

/** A number field. False when it is neither octal, blank nor base-256 in range. */
bool tar_number(const uint8_t *field, size_t len, int64_t *ret);

/* ---- sparse.c: where the bytes of sparse files belong ---- */

/** Pieces in the order in which they are given; zero-initialise. */
struct tar_map {
	struct tar_extent *list;
	size_t n, cap;
};
int tar_map_add(struct tar_map *m, int64_t off, int64_t size, dray_error **err) MUST_CHECK;
void tar_map_clear(struct tar_map *m);

/* ---- pax.c: one block of records ---- */

enum tar_pax_key {
	PAX_PATH, PAX_LINKPATH, PAX_SIZE, PAX_UID, PAX_GID, PAX_UNAME, PAX_GNAME, PAX_MTIME,
	PAX_SPARSE_NAME, PAX_SPARSE_MAJOR, PAX_SPARSE_MINOR, PAX_SPARSE_SIZE, PAX_SPARSE_REALSIZE,
	PAX_SPARSE_BLOCKS, PAX_SPARSE_MAP, PAX_KEYS
};

/** What an 'x' block says. Spans point into the block; zero-initialise, clear once at the end. */
struct tar_pax {
	bool has[PAX_KEYS];
	struct span text[PAX_KEYS];	/* path, linkpath, uname, gname, sparse name and map */
	int64_t number[PAX_KEYS];	/* size, uid, gid, mtime, other sparse ones */
	int32_t mtime_nsec;
	bool sparse;		/* any GNU.sparse record */
	struct tar_map map;	/* of GNU.sparse.offset and .numbytes; others are read into it later */
	bool half;		/* the last piece lacks its size */
	struct tar_xattr *xattrs;
	size_t n_xattrs, cap_xattrs;
	bool windows;		/* any of TAR_WINDOWS */
	struct span created;	/* TAR_WINDOWS_CREATED; data NULL = not given */
};
/** Forget the last block; memory is kept. */
void tar_pax_reset(struct tar_pax *p);
void tar_pax_clear(struct tar_pax *p);
int tar_pax_parse(struct span block, struct tar_pax *ret, const struct tar_report *report,
		  dray_error **err) MUST_CHECK;
/** A global block: nothing of it is applied, what would change entries is refused (T-10). */
int tar_pax_check_global(struct span block, const struct tar_report *report,
			 dray_error **err) MUST_CHECK;

/* ---- reader.c gathers headers, entry.c makes the entry ---- */

struct tar_reader {
	struct source *in;
	struct tar_report report;
	int64_t start;		/* where the archive begins in @p in */
	bool ended, failed;
	struct tar_entry entry;
	uint8_t block[TAR_BLOCK];	/* the last header; head and the entry point into it */
	struct tar_header head;
	int64_t head_off;

	/* extensions gathered for the entry that follows */
	int n_ext;
	bool has_pax, has_name, has_link;
	int64_t first_off;	/* of the first of them; -1 = none */
	struct tar_pax pax;
	struct buf pax_block, gnu_name, gnu_link;
	struct buf joined;	/* prefix + "/" + name */
};

/**
 * The map of r->entry, an old sparse entry or one whose pax block tells of a map: sets type,
 * real_size and extents; of what pax 1.0 stores before the data nothing is left in size.
 */
int tar_sparse_read(struct tar_reader *r, struct tar_entry *e, dray_error **err) MUST_CHECK;
/** USAGE unless the extents of @p m are in order, within the file and m->size bytes in all. */
int tar_sparse_check(const struct tar_member *m, dray_error **err) MUST_CHECK;
/** Append its map as pax 1.0 has it before the data, padded. */
int tar_sparse_map(const struct tar_member *m, struct buf *ret, dray_error **err) MUST_CHECK;

/** FORMAT, with the place of the header in r->head. Returns -1. */
int tar_refuse(const struct tar_reader *r, const char *why, dray_error **err);
/** Fill r->entry from r->head and the extensions; the stream is left at the data. */
int tar_make_entry(struct tar_reader *r, dray_error **err) MUST_CHECK;
