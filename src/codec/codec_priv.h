/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of codec/ share.
 */
#pragma once

#include "codec/codec.h"
#include "flow/filter.h"

/* The libraries count in 32 bits: they never see more than this at once. */
#define CODEC_PIECE_MAX (1U << 30)

static inline uint32_t codec_piece(size_t len)
{
	return len < CODEC_PIECE_MAX ? (uint32_t)len : CODEC_PIECE_MAX;
}

/** What every decoder keeps; first member of each. */
struct decoder {
	struct filter base;
	const char *verb;		/* "gunzip", for errors */
	struct decode_notes *notes;	/* never NULL */
	struct decode_notes own;	/* where notes point when the caller has none */
	int64_t at;			/* compressed bytes taken */
};

void decoder_init(struct decoder *d, const struct filter_ops *ops, const char *verb,
		  struct decode_notes *notes);
/** "VERB at byte N: ..."; returns FILTER_FAILED. */
enum filter_state decoder_fail(const struct decoder *d, dray_error **err, enum dray_err_kind kind,
			       const char *fmt, ...) PRINTF_LIKE(4, 5);
/** Take @p n bytes of @p in. */
void decoder_take(struct decoder *d, struct span *in, size_t n);
/** After a complete member: zero bytes up to the end are tolerated and counted (Z-02). */
enum filter_state decoder_padding(struct decoder *d, struct span *in, bool end, dray_error **err);

/* One filter per format; NULL on failure. */
struct filter *decode_gzip(struct decode_notes *notes, dray_error **err);
/** In the middle: @p at bytes and @p members sound members came before. */
struct filter *decode_gzip_rest(int64_t at, int64_t members, dray_error **err);
/** Bytes at the head of a member of ENCODING_GZIP that tell its length. */
#define GZIP_MEMBER_HEADER 20
/** The length that a member tells, 0 = it is none of ENCODING_GZIP, or a lie. */
size_t decode_member_length(struct span head);
/** As decode_gzip() of @p in (consumed): members of ENCODING_GZIP side by side. */
struct source *decode_members(struct source *in, struct pool *pool, dray_error **err);
/** The same job by zlib, three times slower: the twin that tests compare with. */
struct filter *decode_gzip_zlib(struct decode_notes *notes, dray_error **err);
struct filter *decode_zstd(struct decode_notes *notes, dray_error **err);
struct filter *decode_xz(struct decode_notes *notes, dray_error **err);
struct filter *decode_bzip2(struct decode_notes *notes, dray_error **err);

/** One gzip member by zlib. */
struct filter *encode_gzip_single(int level, dray_error **err);

/** Compresses whole blocks; one per slot, used by one thread at a time. */
struct block_encoder;
/** The level of ENCODING_GZIP that is no libdeflate level but our own writer, deflate.h. */
#define GZIP_OWN_LEVEL 0
/** NULL = no memory. */
struct block_encoder *block_encoder_new(enum encoding encoding, int level);
/** Output bytes that ENCODE_BLOCK may need. */
size_t block_encoder_bound(struct block_encoder *b);
/** One member or frame; returns its size, 0 = failed. */
size_t block_encoder_run(struct block_encoder *b, struct span in, struct room out);
void block_encoder_free(struct block_encoder *b);

/* Allocators in the shapes that the libraries want; all lead to base/mem.h. */
void *codec_alloc_items(void *opaque, uint32_t items, uint32_t size);
void codec_free(void *opaque, void *p);
