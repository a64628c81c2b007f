/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the DEFLATE writer share. Data flows one way:
 *
 *   deflate.c          finds matches        -> literals and sequences
 *   deflate_block.c    cuts them in blocks  -> a run of sequences with its counts
 *   deflate_write.c    writes a block       -> bits
 *   deflate_huffman.c  makes its codes
 */
#pragma once

#include <stdbool.h>

#include "codec/deflate.h"

#define MATCH_MIN 3	/* what the format can say */
#define MATCH_MAX 258
#define WINDOW 32768

#define LITLEN_SYMBOLS 286
#define DISTANCE_SYMBOLS 30
#define PRECODE_SYMBOLS 19
#define SYMBOLS_MAX 288
#define END_OF_BLOCK 256
#define LENGTH_SYMBOL 257	/* the first of 29 */
#define LENGTH_SYMBOLS 29

/* 14, not 15: four literals then fit the bit buffer between two flushes. */
#define LITLEN_LIMIT 14
#define DISTANCE_LIMIT 15
#define PRECODE_LIMIT 7

/* ---- memory, little-endian on every machine ---- */

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static inline uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	return v;
}

static inline void store64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	memcpy(p, &v, sizeof(v));
}

/* ---- bits ---- */

/** Bits leave from the low end; after a flush fewer than 8 are held, so 56 may be added. */
struct bits {
	uint8_t *to;	/* 8 bytes here are always writable */
	uint64_t held;
	unsigned n;
};

static inline void bits_add(struct bits *b, uint64_t value, unsigned n)
{
	b->held |= value << b->n;
	b->n += n;
}

static inline void bits_flush(struct bits *b)
{
	store64(b->to, b->held);
	b->to += b->n >> 3;
	b->held >>= b->n & ~7U;
	b->n &= 7;
}

/* ---- sequences ---- */

/** Some literals, then a match. */
struct sequence {
	uint32_t literals;
	uint16_t length;
	uint16_t back;	/* distance - 1 */
};

/** How often each symbol occurs: what decides the codes. */
struct counts {
	uint32_t litlen[SYMBOLS_MAX];
	uint32_t distance[DISTANCE_SYMBOLS];
	uint32_t bytes;	/* of input */
};

/*
 * A chunk is the unit of which blocks are made: small, since in a tar one file of a
 * kind follows another, and yet large enough for its counts to mean something.
 */
#define CHUNK_SEQUENCES 512
#define CHUNK_LITERALS 8192	/* a longer run is cut, so that noise gets blocks of its own */
#define BLOCK_SEQUENCES 32768	/* bounds memory; blocks are seldom that long */

/* Costs below this many come from a table. */
#define COST_TABLE 1024

/** Constant once made. */
struct deflate_tables {
	uint8_t length_symbol[256];	/* of length - 3, counted from LENGTH_SYMBOL */
	uint8_t near_symbol[256];	/* of distance - 1, up to 256 */
	uint8_t far_symbol[256];	/* of (distance - 1) / 128, beyond */
	uint32_t cost[COST_TABLE];	/* n * log2(n), see deflate_block.c */
};

void deflate_tables_init(struct deflate_tables *t);

static inline unsigned distance_symbol(const struct deflate_tables *t, unsigned back)
{
	return back < 256 ? t->near_symbol[back] : t->far_symbol[back >> 7];
}

extern const uint8_t deflate_length_extra[LENGTH_SYMBOLS];	/* bits */
extern const uint16_t deflate_length_base[LENGTH_SYMBOLS];
extern const uint8_t deflate_distance_extra[DISTANCE_SYMBOLS];
extern const uint16_t deflate_distance_base[DISTANCE_SYMBOLS];

/** The block that grows, and after it the chunk that is being filled. */
struct blocks {
	struct deflate_tables tables;
	struct bits bits;
	const uint8_t *in;		/* where the block begins in the input */

	struct counts block;		/* without the chunk */
	uint64_t block_cost;
	uint32_t block_sequences;
	uint32_t block_tail;		/* literals after its last sequence */
	uint8_t *block_end;		/* its literals end here, the chunk's begin */

	struct counts chunk;		/* its literals are counted when it ends */
	uint32_t n;			/* sequences of both */
	uint32_t worth_it;		/* literals of this block that cost what a match may cost */
	uint8_t *literals_end;		/* literals of both */

	struct sequence sequences[BLOCK_SEQUENCES + CHUNK_SEQUENCES];
	uint8_t literals[DEFLATE_INPUT_MAX + 16];
};

void blocks_begin(struct blocks *b, const uint8_t *in, uint8_t *out);
/** The chunk ends, with @p tail literals that no match follows yet. */
void blocks_cut(struct blocks *b, const uint8_t *tail, uint32_t len);
/** The same, and the stream ends too; returns where. */
uint8_t *blocks_end(struct blocks *b, const uint8_t *tail, uint32_t len);

/**
 * @p n literals at @p from, of which 16 bytes must be readable however few they are, and a match.
 * Copying 16 costs less than asking how many.
 */
static inline void blocks_put(struct blocks *b, const uint8_t *from, uint32_t n, uint32_t length,
			      uint32_t back)
{
	uint8_t *to = b->literals_end;

	b->sequences[b->n++] = (struct sequence){ n, (uint16_t)length, (uint16_t)back };
	b->chunk.litlen[LENGTH_SYMBOL + b->tables.length_symbol[length - MATCH_MIN]]++;
	b->chunk.distance[distance_symbol(&b->tables, back)]++;
	b->chunk.bytes += n + length;
	memcpy(to, from, 16);
	if (n > 16)
		memcpy(to + 16, from + 16, n - 16);
	b->literals_end = to + n;
	if (b->n - b->block_sequences == CHUNK_SEQUENCES)
		blocks_cut(b, NULL, 0);
}

/* ---- writing ---- */

/** One block as it is to be written. */
struct block {
	const struct deflate_tables *tables;
	const struct counts *counts;
	const uint8_t *in;		/* what it stands for, counts->bytes long */
	const uint8_t *literals;
	const struct sequence *sequences;
	uint32_t n;
	uint32_t tail;			/* literals after the last sequence */
	bool last;
};

/** As dynamic, fixed or stored, whichever is least. */
void block_write(struct bits *bits, const struct block *b);

/**
 * Lengths of a complete prefix code for @p n symbols that occur @p freq times, none
 * longer than @p limit, and its codes, reversed as they are written. There are always
 * at least two codes: some readers refuse one alone.
 */
void huffman_make(const uint32_t *freq, unsigned n, unsigned limit, uint8_t *ret_lengths,
		  uint16_t *ret_codes);
/** The codes alone; lengths are at most 15. */
void huffman_codes(const uint8_t *lengths, unsigned n, uint16_t *ret_codes);
