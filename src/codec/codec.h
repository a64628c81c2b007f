/* SPDX-License-Identifier: Apache-2.0
 *
 * Compression: sniffed by content, never by name or media type. The only room
 * with zlib, ISA-L, libdeflate, libzstd, liblzma and libbz2.
 */
#pragma once

#include "flow/pool.h"
#include "flow/source.h"

enum compression {
	COMPRESSION_NONE,
	COMPRESSION_GZIP,
	COMPRESSION_ZSTD,
	COMPRESSION_XZ,		/* read, never written: outer archives, odd layers */
	COMPRESSION_BZIP2,	/* the same */
};

#define COMPRESSION_SNIFF 8	/* bytes needed to tell */

enum compression compression_sniff(struct span head);
const char *compression_name(enum compression c);	/* "none", "gzip", ... */

/** What the decoder met besides data; lent to source_decode(), filled as it runs. */
struct decode_notes {
	int64_t members;	/* gzip members or zstd frames */
	int64_t trailing_zeros;	/* zero bytes after the last one: tolerated, reported (Z-02) */
};

/**
 * Decode @p in (consumed) as @p c; NONE passes it through. All gzip members and
 * zstd frames, skippable ones too (Z-01). Truncation, bad CRC, bad length and
 * junk after the end are FORMAT with the compressed offset. zstd windows over
 * LIMIT_ZSTD_WINDOW_LOG are LIMIT and name the window needed (Z-06).
 */
struct source *source_decode(struct source *in, enum compression c, struct decode_notes *notes,
			     dray_error **err);
/** Sniff, then decode; *ret_c is what was found (may be NULL). */
struct source *source_decode_auto(struct source *in, enum compression *ret_c, dray_error **err);

/**
 * The same, with the members of ENCODING_GZIP decoded side by side on @p pool (lent; NULL = in
 * place), a few ahead of the reader, about 2.2 MiB each. What is read is what source_decode()
 * reads; a failure of @p in may be told earlier. With @p ahead a thread of its own is that many
 * bytes ahead too: it reads @p in where the pool decodes, else it decodes.
 */
struct source *source_decode_pool(struct source *in, struct pool *pool, size_t ahead,
				  enum compression *ret_c, dray_error **err);

struct filter;
/**
 * The decoder alone, for a reader that pushes: the copied bytes go on untouched
 * while their DiffID is computed beside them. Not for NONE.
 */
struct filter *decode_filter(enum compression c, struct decode_notes *notes, dray_error **err);

/** Libraries of this room, for `version`: name by index and *ret_version; NULL past the end. */
const char *codec_library(size_t index, const char **ret_version);

enum encoding {
	ENCODING_NONE,
	ENCODING_GZIP,		/* blocked: one member per ENCODE_BLOCK of input */
	ENCODING_GZIP_SINGLE,	/* one member, by zlib */
	ENCODING_ZSTD,		/* one frame per block, with checksum and content size */
};

struct encode_params {
	enum encoding encoding;
	int level;		/* 0 = the default of that encoding; for blocked gzip our own writer,
				 * while 1 to 12 are levels of libdeflate */
};

#define ENCODE_BLOCK (1024 * 1024)	/* bytes of input per member or frame */

/*
 * A member of ENCODING_GZIP, integers little-endian:
 *
 *   1f 8b 08 04 00000000 00 ff   deflate, FEXTRA, no time, XFL 0, OS unknown
 *   08 00                        XLEN
 *   'D' 'r' 04 00 LENGTH:4       LENGTH = bytes of the whole member, 1f to ISIZE
 *   ... deflate data, CRC-32:4, ISIZE:4
 *
 * Every member but the last holds ENCODE_BLOCK bytes; the last holds the rest, so
 * it is never empty unless the whole input is. A reader that knows the field hops
 * from member to member and may decode them in parallel.
 */
#define GZIP_FIELD_1 'D'
#define GZIP_FIELD_2 'r'

/** Check level range; USAGE. */
int encode_params_check(const struct encode_params *p, dray_error **err) MUST_CHECK;
/** What identifies the encoder's bytes, for the blob cache: "gzip-blocked/1;dray-deflate=1". */
int encode_params_text(const struct encode_params *p, struct buf *ret, dray_error **err) MUST_CHECK;
enum compression encoding_compression(enum encoding e);

/**
 * Encode @p in (consumed). Output depends on the bytes, the params and the
 * library versions only: not on threads, CPU or read sizes. Blocks are
 * compressed on @p pool (lent; NULL = in place), at most pool_threads+1 in flight,
 * about 3.6 MiB each. Empty input gives one empty member or frame.
 */
struct source *source_encode(struct source *in, const struct encode_params *p, struct pool *pool,
			     dray_error **err);
