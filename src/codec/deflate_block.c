/* SPDX-License-Identifier: Apache-2.0 */
/* For: cutting the sequences into blocks where their kind changes.
 * Relies on: deflate_write.c to write one.
 * Promises: blocks in input order that cover the input; bounded memory.
 *
 * A chunk joins the block before it unless two blocks, each with codes of its own, are
 * expected to be smaller than one. What is expected is the entropy, in integers.
 */
#include "codec/deflate_priv.h"

#include <assert.h>

/* ---- tables, RFC 1951 section 3.2.5 ---- */

const uint8_t deflate_length_extra[LENGTH_SYMBOLS] = {
	0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
};
const uint16_t deflate_length_base[LENGTH_SYMBOLS] = {
	3,  4,	5,  6,	7,  8,	9,  10, 11,  13,  15,  17,  19,	 23,  27,
	31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
};
const uint8_t deflate_distance_extra[DISTANCE_SYMBOLS] = {
	0, 0, 0, 0, 1, 1, 2, 2,	 3,  3,	 4,  4,	 5,  5,	 6,
	6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
};
const uint16_t deflate_distance_base[DISTANCE_SYMBOLS] = {
	1,   2,	  3,   4,   5,	 7,    9,    13,   17,	 25,   33,   49,   65,	  97,	 129,
	193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
};

/* Costs are in bits / 256. */
#define COST_SHIFT 8
/* What a block costs besides its content: mostly the description of its codes. By trial. */
#define HEADER_COST (700 << COST_SHIFT)
/* Bits of a match from afar, more or less: a length, a distance and its extra bits. */
#define MATCH_COST 24
/* No block is so plain that a longer match is not worth it. */
#define WORTH_IT_MAX 12

/* The logarithm to the base of 2, times 256, cut off: the same on every machine. */
static uint32_t log2_256(uint32_t n)
{
	uint32_t whole = 31 - (uint32_t)__builtin_clz(n), log = whole;
	uint64_t x = (uint64_t)n << (31 - whole); /* n as 1.x, 31 bits behind the point */

	for (int i = 0; i < COST_SHIFT; i++) {
		x = x * x >> 31;
		log = log << 1 | (uint32_t)(x >> 32);
		x >>= x >> 32;
	}
	return log;
}

void deflate_tables_init(struct deflate_tables *t)
{
	for (unsigned i = 0; i < LENGTH_SYMBOLS; i++) {
		unsigned from = deflate_length_base[i] - MATCH_MIN;

		for (unsigned k = from; k < 256 && k < from + (1U << deflate_length_extra[i]); k++)
			t->length_symbol[k] = (uint8_t)i;
	}
	for (unsigned i = 0; i < DISTANCE_SYMBOLS; i++) {
		unsigned from = deflate_distance_base[i] - 1U;
		unsigned end = from + (1U << deflate_distance_extra[i]);

		for (unsigned k = from; k < end && k < 256; k++)
			t->near_symbol[k] = (uint8_t)i;
		for (unsigned k = from >> 7; k < end >> 7; k++)
			t->far_symbol[k] = (uint8_t)i;
	}
	t->cost[0] = 0;
	for (uint32_t n = 1; n < COST_TABLE; n++)
		t->cost[n] = n * log2_256(n);
}

/* ---- what a block would cost ---- */

static inline uint64_t n_log_n(const struct deflate_tables *t, uint32_t n)
{
	return n < COST_TABLE ? t->cost[n] : (uint64_t)n * log2_256(n);
}

/* Bits / 256 of one alphabet's symbols under a perfect code. */
static uint64_t alphabet_cost(const struct deflate_tables *t, const uint32_t *counts, unsigned n)
{
	uint64_t parts = 0;
	uint32_t all = 0;

	for (unsigned i = 0; i < n; i++) {
		parts += n_log_n(t, counts[i]);
		all += counts[i];
	}
	return n_log_n(t, all) - parts;
}

/* Extra bits are left out: they cost the same in any block. */
static uint64_t counts_cost(const struct deflate_tables *t, const struct counts *c)
{
	return alphabet_cost(t, c->litlen, LITLEN_SYMBOLS) +
	       alphabet_cost(t, c->distance, DISTANCE_SYMBOLS);
}

static void counts_add(struct counts *a, const struct counts *b)
{
	for (unsigned i = 0; i < SYMBOLS_MAX; i++)
		a->litlen[i] += b->litlen[i];
	for (unsigned i = 0; i < DISTANCE_SYMBOLS; i++)
		a->distance[i] += b->distance[i];
	a->bytes += b->bytes;
}

/* Two sets of counters: adding to one twice in a row would wait for itself. */
static void count_literals(struct counts *c, const uint8_t *p, const uint8_t *end)
{
	uint32_t odd[256] = { 0 };

	for (; end - p >= 4; p += 4) {
		c->litlen[p[0]]++;
		odd[p[1]]++;
		c->litlen[p[2]]++;
		odd[p[3]]++;
	}
	for (; p < end; p++)
		odd[*p]++;
	for (unsigned i = 0; i < 256; i++)
		c->litlen[i] += odd[i];
}

/* ---- blocks ---- */

void blocks_begin(struct blocks *b, const uint8_t *in, uint8_t *out)
{
	b->bits = (struct bits){ .to = out };
	b->in = in;
	memset(&b->block, 0, sizeof(b->block));
	memset(&b->chunk, 0, sizeof(b->chunk));
	b->block_cost = 0;
	b->worth_it = 0;
	b->block_sequences = b->block_tail = b->n = 0;
	b->block_end = b->literals_end = b->literals;
}

static void write_block(struct blocks *b, bool last)
{
	const struct block block = {
		.tables = &b->tables,
		.counts = &b->block,
		.in = b->in,
		.literals = b->literals,
		.sequences = b->sequences,
		.n = b->block_sequences,
		.tail = b->block_tail,
		.last = last,
	};

	block_write(&b->bits, &block);
}

/* Write the block and move the chunk to its place. */
static void chunk_starts_block(struct blocks *b)
{
	size_t literals = (size_t)(b->literals_end - b->block_end);

	write_block(b, false);
	b->in += b->block.bytes;
	b->n -= b->block_sequences;
	memmove(b->sequences, b->sequences + b->block_sequences, b->n * sizeof(b->sequences[0]));
	memmove(b->literals, b->block_end, literals);
	b->literals_end = b->literals + literals;
	b->block = b->chunk;
	b->block_tail = 0;
}

/* The literals that ended the block come before the chunk's first match. */
static void chunk_joins_block(struct blocks *b)
{
	if (b->n == b->block_sequences)
		return;
	b->sequences[b->block_sequences].literals += b->block_tail;
	b->block_tail = 0;
}

/*
 * Where literals are cheap, as in hex digits or genomes, short matches that are found
 * everywhere by chance cost more than what they stand for.
 */
static uint32_t worth_it(const struct blocks *b)
{
	uint64_t cost = alphabet_cost(&b->tables, b->block.litlen, 256);
	uint64_t literals = (uint64_t)(b->literals_end - b->literals);
	uint64_t n = cost > 0 ? (literals * MATCH_COST << COST_SHIFT) / cost : 0;

	return (uint32_t)(n < WORTH_IT_MAX ? n : WORTH_IT_MAX);
}

void blocks_cut(struct blocks *b, const uint8_t *tail, uint32_t len)
{
	struct counts both = b->block;

	if (len > 0)
		memcpy(b->literals_end, tail, len);
	b->literals_end += len;
	b->chunk.bytes += len;
	count_literals(&b->chunk, b->block_end, b->literals_end);
	counts_add(&both, &b->chunk);

	uint64_t alone = counts_cost(&b->tables, &b->chunk);
	uint64_t together = counts_cost(&b->tables, &both);

	if (b->block.bytes > 0 &&
	    (together > b->block_cost + alone + HEADER_COST || b->n > BLOCK_SEQUENCES)) {
		chunk_starts_block(b);
		b->block_cost = alone;
	} else {
		chunk_joins_block(b);
		b->block = both;
		b->block_cost = together;
	}
	b->block_tail += len;
	b->block_sequences = b->n;
	b->block_end = b->literals_end;
	b->worth_it = worth_it(b);
	memset(&b->chunk, 0, sizeof(b->chunk));
}

uint8_t *blocks_end(struct blocks *b, const uint8_t *tail, uint32_t len)
{
	blocks_cut(b, tail, len);
	write_block(b, true);
	/* To the next whole byte. */
	bits_add(&b->bits, 0, -b->bits.n & 7);
	bits_flush(&b->bits);
	return b->bits.to;
}
