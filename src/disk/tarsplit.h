/* SPDX-License-Identifier: Apache-2.0
 *
 * tar-split: what an engine keeps of a layer's tar besides its files, so that the very same
 * bytes can be put together again (formats.md 7.1). JSON objects, one a line: pieces of the
 * tar, and between them the names of files whose content belongs there.
 */
#pragma once

#include "base/arena.h"
#include "flow/source.h"

enum tarsplit_type {
	TARSPLIT_FILE = 1,
	TARSPLIT_BYTES = 2,
};

/** One line. Spans are valid until the next. */
struct tarsplit_entry {
	enum tarsplit_type type;
	struct span name;  /* FILE: as in the tar, any bytes */
	int64_t size;	   /* FILE: bytes of content that follow; 0 = none, and no file is read */
	uint64_t crc;	   /* FILE with a size: CRC-64 of them */
	bool unchecked;	   /* FILE: nobody knows the CRC-64 */
	struct span bytes; /* BYTES */
};

/** Reading the lines alone. */
struct tarsplit_reader {
	struct source *lines; /* decoded; owned */
	struct buf line, bytes;
	struct arena arena;
	int64_t n; /* lines read: the next one's position */
	bool ended;
};
/** @p lines are consumed, also on failure; NULL passes. */
int tarsplit_reader_init(struct tarsplit_reader *r, struct source *lines,
			 dray_error **err) MUST_CHECK;
/** 1 = *ret, 0 = end, -1: FORMAT says which line; LIMIT over LIMIT_TARSPLIT_LINE. */
int tarsplit_next(struct tarsplit_reader *r, struct tarsplit_entry *ret,
		  dray_error **err) MUST_CHECK;
void tarsplit_reader_clear(struct tarsplit_reader *r);
#define cleanup_tarsplit CLEANUP(tarsplit_reader_clear)

/** Bytes of the tar that @p lines (consumed) make; no file is looked at. */
int tarsplit_size(struct source *lines, int64_t *ret, dray_error **err) MUST_CHECK;

/** Where the content of files comes from. */
struct tarsplit_files {
	/**
	 * The regular file that the tar calls @p name (not cleaned), open for reading; *ret_size
	 * what it has now. -1 with the reason; NOT_FOUND when there is none.
	 */
	int (*open)(void *arg, struct span name, int64_t *ret_size, dray_error **err);
	void (*free)(void *arg); /* may be NULL */
	void *arg;
};
/** What a tar is put together of, piece by piece, where that is no tar-split. */
struct tarsplit_pieces {
	/** 1 = *ret, 0 = end, -1. */
	int (*next)(void *arg, struct tarsplit_entry *ret, dray_error **err);
	void (*free)(void *arg); /* may be NULL */
	void *arg;
	const char *hint; /* of errors about the bytes; NULL */
};
/** Both are consumed, also on failure. */
struct source *tarsplit_assemble_pieces(const struct tarsplit_pieces *pieces,
					const struct tarsplit_files *files, dray_error **err);
/**
 * The tar, put together of @p lines and @p files (both consumed, also on failure). A file that is
 * missing, of another size or of another CRC-64 is CORRUPT and named. Whether it is the layer
 * that it should be, only its DiffID proves.
 */
struct source *tarsplit_assemble(struct source *lines, const struct tarsplit_files *files,
				 dray_error **err);
