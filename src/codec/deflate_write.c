/* SPDX-License-Identifier: Apache-2.0 */
/* For: writing one DEFLATE block in the smallest of the three ways.
 * Relies on: deflate_huffman.c for codes; RFC 1951 section 3.2 for the format.
 * Promises: exactly the bits that were counted, so never more than stored.
 */
#include "codec/deflate_priv.h"

#define STORED_MAX 65535

enum { STORED, FIXED, DYNAMIC }; /* BTYPE */

struct codes {
	uint8_t litlen_length[SYMBOLS_MAX];
	uint16_t litlen[SYMBOLS_MAX];
	uint8_t distance_length[32];
	uint16_t distance[32];
};

/* ---- how codes are described ---- */

/* Run-length codes of the description, and the bits that follow them. */
enum { REPEAT = 16, ZEROS = 17, MORE_ZEROS = 18 };

static const uint8_t precode_extra[PRECODE_SYMBOLS] = {
	[REPEAT] = 2, [ZEROS] = 3, [MORE_ZEROS] = 7
};
static const uint8_t precode_order[PRECODE_SYMBOLS] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
							11, 4,	12, 3, 13, 2, 14, 1, 15 };

struct description {
	unsigned litlens, distances, precodes; /* lengths that are written */
	unsigned n;
	struct {
		uint8_t symbol, extra;
	} items[LITLEN_SYMBOLS + DISTANCE_SYMBOLS];
	uint32_t freq[PRECODE_SYMBOLS];
	uint8_t length[PRECODE_SYMBOLS];
	uint16_t code[PRECODE_SYMBOLS];
};

static void describe(struct description *d, unsigned symbol, unsigned extra)
{
	d->items[d->n].symbol = (uint8_t)symbol;
	d->items[d->n++].extra = (uint8_t)extra;
	d->freq[symbol]++;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* @run times @length. */
static void describe_run(struct description *d, unsigned length, unsigned run)
{
	for (; length == 0 && run >= 11; run -= least(run, 138))
		describe(d, MORE_ZEROS, least(run, 138) - 11);
	if (length == 0 && run >= 3) {
		describe(d, ZEROS, run - 3);
		run = 0;
	}
	if (length != 0 && run >= 4) {
		describe(d, length, 0);
		for (run--; run >= 3; run -= least(run, 6))
			describe(d, REPEAT, least(run, 6) - 3);
	}
	while (run-- > 0)
		describe(d, length, 0);
}

static unsigned without_zeros(const uint8_t *lengths, unsigned n, unsigned at_least)
{
	while (n > at_least && lengths[n - 1] == 0)
		n--;
	return n;
}

static void describe_codes(struct description *d, const struct codes *c)
{
	uint8_t all[LITLEN_SYMBOLS + DISTANCE_SYMBOLS];

	memset(d, 0, sizeof(*d));
	d->litlens = without_zeros(c->litlen_length, LITLEN_SYMBOLS, LENGTH_SYMBOL);
	d->distances = without_zeros(c->distance_length, DISTANCE_SYMBOLS, 1);
	memcpy(all, c->litlen_length, d->litlens);
	memcpy(all + d->litlens, c->distance_length, d->distances);
	for (unsigned i = 0, n = d->litlens + d->distances, run; i < n; i += run) {
		for (run = 1; i + run < n && all[i + run] == all[i];)
			run++;
		describe_run(d, all[i], run);
	}
	huffman_make(d->freq, PRECODE_SYMBOLS, PRECODE_LIMIT, d->length, d->code);
	for (d->precodes = PRECODE_SYMBOLS; d->precodes > 4; d->precodes--)
		if (d->length[precode_order[d->precodes - 1]] != 0)
			break;
}

static uint64_t description_size(const struct description *d)
{
	uint64_t bits = 5 + 5 + 4 + 3 * d->precodes;

	for (unsigned i = 0; i < PRECODE_SYMBOLS; i++)
		bits += (uint64_t)d->freq[i] * (d->length[i] + precode_extra[i]);
	return bits;
}

static void write_description(struct bits *bits, const struct description *d)
{
	bits_add(bits, d->litlens - LENGTH_SYMBOL, 5);
	bits_add(bits, d->distances - 1, 5);
	bits_add(bits, d->precodes - 4, 4);
	bits_flush(bits);
	for (unsigned i = 0; i < d->precodes; i++) {
		bits_add(bits, d->length[precode_order[i]], 3);
		bits_flush(bits);
	}
	for (unsigned i = 0; i < d->n; i++) {
		unsigned symbol = d->items[i].symbol;

		bits_add(bits, d->code[symbol], d->length[symbol]);
		bits_add(bits, d->items[i].extra, precode_extra[symbol]);
		bits_flush(bits);
	}
}

/* ---- sizes ---- */

/* Bits of the symbols, extra bits included. */
static uint64_t content_size(const struct counts *c, const struct codes *codes)
{
	uint64_t bits = codes->litlen_length[END_OF_BLOCK];

	for (unsigned i = 0; i < LITLEN_SYMBOLS; i++)
		bits += (uint64_t)c->litlen[i] * codes->litlen_length[i];
	for (unsigned i = 0; i < LENGTH_SYMBOLS; i++)
		bits += (uint64_t)c->litlen[LENGTH_SYMBOL + i] * deflate_length_extra[i];
	for (unsigned i = 0; i < DISTANCE_SYMBOLS; i++)
		bits += (uint64_t)c->distance[i] *
			(codes->distance_length[i] + deflate_distance_extra[i]);
	return bits;
}

/* Counted as a whole: what stands before the first byte is at most one more. */
static uint64_t stored_size(uint32_t bytes)
{
	return 8 * (bytes + 5 * (bytes / STORED_MAX + 1ULL));
}

static void fixed_lengths(struct codes *c)
{
	for (unsigned i = 0; i < SYMBOLS_MAX; i++)
		c->litlen_length[i] = (uint8_t)(i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8);
	memset(c->distance_length, 5, sizeof(c->distance_length));
}

static void fixed_codes(struct codes *c)
{
	huffman_codes(c->litlen_length, SYMBOLS_MAX, c->litlen);
	huffman_codes(c->distance_length, 32, c->distance);
}

static void dynamic_codes(struct codes *c, const struct counts *counts)
{
	uint32_t litlen[LITLEN_SYMBOLS];

	memcpy(litlen, counts->litlen, sizeof(litlen));
	litlen[END_OF_BLOCK] = 1;
	huffman_make(litlen, LITLEN_SYMBOLS, LITLEN_LIMIT, c->litlen_length, c->litlen);
	huffman_make(counts->distance, DISTANCE_SYMBOLS, DISTANCE_LIMIT, c->distance_length,
		     c->distance);
}

/* ---- content ---- */

/* A code, extra bits behind it, and how many bits that is: in one word, so in one load. */
#define WORD(bits, n) ((uint32_t)(bits) << 8 | (n))

struct words {
	uint32_t literal[256];
	uint32_t length[256];		     /* of length - 3 */
	uint32_t distance[DISTANCE_SYMBOLS]; /* without extra bits */
	uint32_t end;
};

static void words_make(struct words *w, const struct codes *c, const struct deflate_tables *t)
{
	for (unsigned i = 0; i < 256; i++)
		w->literal[i] = WORD(c->litlen[i], c->litlen_length[i]);
	for (unsigned i = 0; i < 256; i++) {
		unsigned s = t->length_symbol[i], n = c->litlen_length[LENGTH_SYMBOL + s];
		unsigned extra = i + MATCH_MIN - deflate_length_base[s];

		w->length[i] = WORD(c->litlen[LENGTH_SYMBOL + s] | extra << n,
				    n + deflate_length_extra[s]);
	}
	for (unsigned i = 0; i < DISTANCE_SYMBOLS; i++)
		w->distance[i] = WORD(c->distance[i], c->distance_length[i]);
	w->end = WORD(c->litlen[END_OF_BLOCK], c->litlen_length[END_OF_BLOCK]);
}

static inline void add_word(struct bits *bits, uint32_t word)
{
	bits_add(bits, word >> 8, word & 255);
}

static inline void write_literals(struct bits *bits, const struct words *w, const uint8_t *p,
				  uint32_t n)
{
	for (; n >= 4; n -= 4, p += 4) {
		add_word(bits, w->literal[p[0]]);
		add_word(bits, w->literal[p[1]]);
		add_word(bits, w->literal[p[2]]);
		add_word(bits, w->literal[p[3]]);
		bits_flush(bits);
	}
	for (; n > 0; n--)
		add_word(bits, w->literal[*p++]);
	bits_flush(bits);
}

static void write_content(struct bits *ret, const struct block *b, const struct words *w)
{
	struct bits bits = *ret; /* a copy that nothing else can point to stays in registers */
	const uint8_t *literals = b->literals;

	for (uint32_t i = 0; i < b->n; i++) {
		const struct sequence *s = &b->sequences[i];
		unsigned d = distance_symbol(b->tables, s->back);

		write_literals(&bits, w, literals, s->literals);
		literals += s->literals;
		add_word(&bits, w->length[s->length - MATCH_MIN]);
		add_word(&bits, w->distance[d]);
		bits_add(&bits, s->back + 1U - deflate_distance_base[d], deflate_distance_extra[d]);
		bits_flush(&bits);
	}
	write_literals(&bits, w, literals, b->tail);
	add_word(&bits, w->end);
	bits_flush(&bits);
	*ret = bits;
}

/* ---- blocks ---- */

static void write_coded(struct bits *bits, const struct block *b, const struct codes *c)
{
	struct words words;

	words_make(&words, c, b->tables);
	write_content(bits, b, &words);
}

static void write_stored(struct bits *bits, const struct block *b)
{
	const uint8_t *in = b->in;
	uint32_t left = b->counts->bytes;

	do {
		uint32_t n = least(left, STORED_MAX);

		left -= n;
		bits_add(bits, b->last && left == 0, 1);
		bits_add(bits, STORED, 2);
		bits_add(bits, 0, -bits->n & 7);
		bits_flush(bits);
		bits_add(bits, n | (uint64_t)(n ^ 0xffff) << 16, 32);
		bits_flush(bits);
		if (n > 0)
			memcpy(bits->to, in, n);
		bits->to += n;
		in += n;
	} while (left > 0);
}

void block_write(struct bits *bits, const struct block *b)
{
	struct codes dynamic, fixed;
	struct description description;

	dynamic_codes(&dynamic, b->counts);
	describe_codes(&description, &dynamic);
	fixed_lengths(&fixed);

	uint64_t dynamic_size = description_size(&description) + content_size(b->counts, &dynamic);
	uint64_t fixed_size = content_size(b->counts, &fixed);
	bool is_fixed = fixed_size <= dynamic_size;

	if (stored_size(b->counts->bytes) <= 3 + (is_fixed ? fixed_size : dynamic_size)) {
		write_stored(bits, b);
		return;
	}
	bits_add(bits, b->last, 1);
	bits_add(bits, is_fixed ? FIXED : DYNAMIC, 2);
	bits_flush(bits);
	if (is_fixed)
		fixed_codes(&fixed);
	else
		write_description(bits, &description);
	write_coded(bits, b, is_fixed ? &fixed : &dynamic);
}
