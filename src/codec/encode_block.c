/* SPDX-License-Identifier: Apache-2.0 */
/* For: compressing one block into one gzip member or one zstd frame.
 * Relies on: deflate.h, libdeflate and libzstd, whose bytes do not depend on the CPU.
 * Promises: the result depends on bytes, level and library version alone.
 */
#include "codec/codec_priv.h"

#include <assert.h>
#include <libdeflate.h>
#include <zstd.h>

#include "base/mem.h"
#include "codec/deflate.h"

#define MEMBER_HEADER 20
#define MEMBER_TRAILER 8

/*
 * Data that is compressed already costs libdeflate the most time and gains nothing: a
 * block whose taste, a few pieces spread over it, does not shrink is stored. Only the
 * bytes decide, so the same block always ends the same.
 */
#define TASTE_PIECES 4
#define TASTE_PIECE (8 * 1024)
#define TASTE (TASTE_PIECES * TASTE_PIECE)
#define TASTE_GAIN 100 /* one part in so many has to be gained */

/* One of the three is there. */
struct block_encoder {
	struct deflate *own;
	struct libdeflate_compressor *deflate;
	struct libdeflate_compressor *store; /* level 0 */
	uint8_t taste[TASTE];
	ZSTD_CCtx *zstd;
};

static ZSTD_CCtx *zstd_new(int level)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();

	if (!ctx)
		return NULL;
	if (ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1))) {
		ZSTD_freeCCtx(ctx);
		return NULL;
	}
	return ctx;
}

struct block_encoder *block_encoder_new(enum encoding encoding, int level)
{
	struct block_encoder *b = mem_zalloc(sizeof(*b));

	if (!b)
		return NULL;
	if (encoding == ENCODING_GZIP && level == GZIP_OWN_LEVEL) {
		b->own = deflate_new();
	} else if (encoding == ENCODING_GZIP) {
		b->deflate = libdeflate_alloc_compressor(level);
		b->store = libdeflate_alloc_compressor(0);
	} else {
		b->zstd = zstd_new(level);
	}
	if (!b->own && !b->zstd && (!b->deflate || !b->store)) {
		block_encoder_free(b);
		return NULL;
	}
	return b;
}

size_t block_encoder_bound(struct block_encoder *b)
{
	if (b->zstd)
		return ZSTD_compressBound(ENCODE_BLOCK);
	if (b->own)
		return MEMBER_HEADER + MEMBER_TRAILER + deflate_bound(ENCODE_BLOCK);

	size_t shrunk = libdeflate_deflate_compress_bound(b->deflate, ENCODE_BLOCK);
	size_t stored = libdeflate_deflate_compress_bound(b->store, ENCODE_BLOCK);

	return MEMBER_HEADER + MEMBER_TRAILER + (shrunk > stored ? shrunk : stored);
}

/* The compressor for this block; @p out is room to taste in. */
static struct libdeflate_compressor *choose(struct block_encoder *b, struct span in,
					    struct room out)
{
	size_t step = in.len / TASTE_PIECES, size;

	if (in.len < 2 * TASTE || out.len < TASTE)
		return b->deflate;
	for (size_t i = 0; i < TASTE_PIECES; i++)
		memcpy(b->taste + i * TASTE_PIECE, in.data + i * step, TASTE_PIECE);
	/* No room for more than what is worth it: 0 says that it would not fit. */
	size = libdeflate_deflate_compress(b->deflate, b->taste, TASTE, out.data,
					   TASTE - TASTE / TASTE_GAIN);
	return size ? b->deflate : b->store;
}

static void put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

/* The compressed data of a member; 0 = failed. */
static size_t gzip_body(struct block_encoder *b, struct span in, struct room out)
{
	if (b->own)
		return deflate_run(b->own, in, out);
	return libdeflate_deflate_compress(choose(b, in, out), in.data, in.len, out.data, out.len);
}

/* See codec.h for the layout. */
static size_t gzip_member(struct block_encoder *b, struct span in, struct room out)
{
	static const uint8_t header[MEMBER_HEADER] = {
		0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, GZIP_FIELD_1, GZIP_FIELD_2, 4, 0,
	};

	assert(out.len > MEMBER_HEADER + MEMBER_TRAILER);

	struct room middle = { out.data + MEMBER_HEADER, out.len - MEMBER_HEADER - MEMBER_TRAILER };
	size_t body = gzip_body(b, in, middle);
	size_t size = MEMBER_HEADER + body + MEMBER_TRAILER;

	if (body == 0)
		return 0;
	memcpy(out.data, header, MEMBER_HEADER);
	put_le32(out.data + MEMBER_HEADER - 4, (uint32_t)size);
	put_le32(out.data + size - 8, libdeflate_crc32(0, in.data, in.len));
	put_le32(out.data + size - 4, (uint32_t)in.len);
	return size;
}

size_t block_encoder_run(struct block_encoder *b, struct span in, struct room out)
{
	if (!b->zstd)
		return gzip_member(b, in, out);

	size_t size = ZSTD_compress2(b->zstd, out.data, out.len, in.data, in.len);

	return ZSTD_isError(size) ? 0 : size;
}

void block_encoder_free(struct block_encoder *b)
{
	if (!b)
		return;
	deflate_free(b->own);
	libdeflate_free_compressor(b->deflate);
	libdeflate_free_compressor(b->store);
	ZSTD_freeCCtx(b->zstd);
	mem_free(b);
}
