/* SPDX-License-Identifier: Apache-2.0 */
/* For: finding what repeats in a block, fast.
 * Relies on: deflate_block.c for everything that follows from it.
 * Promises: reads only the input; the same sequences on every machine.
 *
 * Two tables remember where some 4 and some 8 bytes were seen last. Most of the time
 * goes into wrong guesses of the CPU, not into work: so candidates are measured with
 * as few branches as can be, both of them and those of the next position at once.
 */
#include "codec/deflate_priv.h"

#include <assert.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/mem.h"

/*
 * 16-bit positions, 32 and 64 KiB: both tables stay in a second-level cache. More of
 * either gains little (0.1 % for twice the second), half of either costs 0.3 %.
 */
#define SHORT_BITS 14
#define LONG_BITS 15

#define MEASURE 16 /* bytes that a candidate is measured by at first */

/* The last bytes are literals: nothing reads past the end, nothing asks whether it would. */
#define TAIL 40

/* After each so many bytes without a match the steps become longer by one. */
#define STEP_SHIFT 8

/* Matches from less far are cheap enough at any length. */
#define NEAR 32

struct deflate {
	uint16_t by4[1 << SHORT_BITS];
	uint16_t by8[1 << LONG_BITS];
	struct blocks blocks;
};

struct deflate *deflate_new(void)
{
	struct deflate *d = mem_zalloc(sizeof(*d));

	if (d)
		deflate_tables_init(&d->blocks.tables);
	return d;
}

void deflate_free(struct deflate *d)
{
	mem_free(d);
}

/* ---- candidates ---- */

/*
 * Where the bytes at a position were seen last, as distance - 1. Positions are kept
 * modulo 64 Ki, so an old entry may stand for another place than it was made for: what
 * lies there is compared like anything else. From 32 Ki on there is no candidate, and
 * that is also what the entry of the position itself would be. An empty entry says 0,
 * and there is a byte at 0.
 */
struct candidates {
	uint32_t by4, by8;
};

static inline uint16_t *slot4(struct deflate *d, uint64_t bytes)
{
	return &d->by4[(uint32_t)bytes * UINT32_C(0x9E3779B1) >> (32 - SHORT_BITS)];
}

static inline uint16_t *slot8(struct deflate *d, uint64_t bytes)
{
	return &d->by8[bytes * UINT64_C(0x9E3779B97F4A7C15) >> (64 - LONG_BITS)];
}

static inline void remember(struct deflate *d, const uint8_t *in, uint32_t pos)
{
	uint64_t bytes = load64(in + pos);

	*slot4(d, bytes) = (uint16_t)pos;
	*slot8(d, bytes) = (uint16_t)pos;
}

/* The candidates for @pos, which takes their place. */
static inline struct candidates look_up(struct deflate *d, const uint8_t *in, uint32_t pos)
{
	uint64_t bytes = load64(in + pos);
	uint16_t *by4 = slot4(d, bytes), *by8 = slot8(d, bytes);
	struct candidates c = { (uint16_t)(pos - 1 - *by4), (uint16_t)(pos - 1 - *by8) };

	*by4 = (uint16_t)pos;
	*by8 = (uint16_t)pos;
	return c;
}

/* All ones if @back can be a distance - 1, else 0. */
static inline uint32_t in_window(uint32_t back)
{
	return (back >> 15) - 1;
}

/* 0 if the candidate matches in 4 bytes at least, else 1. */
static inline uint32_t differs(const uint8_t *p, uint32_t back)
{
	uint32_t mask = in_window(back);

	return (~mask | (load32(p) ^ load32(p - 1 - (back & mask)))) != 0;
}

/* Equal bytes at @a and @b, 16 at most. The two ways have one result. */
static inline uint32_t measure(const uint8_t *a, const uint8_t *b)
{
#ifdef __SSE2__
	__m128i x = _mm_loadu_si128((const __m128i *)a), y = _mm_loadu_si128((const __m128i *)b);

	return (uint32_t)__builtin_ctz(~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)));
#else
	uint64_t x = load64(a) ^ load64(b), y = load64(a + 8) ^ load64(b + 8);

	if (x)
		return (uint32_t)__builtin_ctzll(x) >> 3;
	return y ? 8 + ((uint32_t)__builtin_ctzll(y) >> 3) : MEASURE;
#endif
}

/* ---- matches ---- */

/* Length above, 0xffff - back below: the greater is the longer, of equals the nearer. */
static inline uint32_t match_key(const uint8_t *p, uint32_t back)
{
	uint32_t mask = in_window(back);

	return (measure(p, p - 1 - (back & mask)) & mask) << 16 | (back ^ 0xffff);
}

static inline uint32_t best_key(const uint8_t *p, struct candidates c)
{
	uint32_t a = match_key(p, c.by4), b = match_key(p, c.by8);

	return a > b ? a : b;
}

struct match {
	uint32_t pos;
	uint32_t length;
	uint32_t back;
};

/* The match at @pos, or at the next two positions if one more byte matches each time. */
static inline struct match choose(struct deflate *d, const uint8_t *in, uint32_t pos,
				  struct candidates c)
{
	uint32_t key = best_key(in + pos, c);

	for (int i = 0; i < 2; i++) {
		uint32_t next = best_key(in + pos + 1, look_up(d, in, pos + 1));
		uint32_t better = next > (key | 0xffff);

		key = better ? next : key;
		pos += better;
		if (!better)
			break;
	}
	return (struct match){ pos, key >> 16, ~key & 0xffff };
}

/* Equal bytes at @a and @b, of which the first @n are known, @max at most. */
static inline uint32_t extend(const uint8_t *a, const uint8_t *b, uint32_t n, uint32_t max)
{
	while (n + 8 <= max) {
		uint64_t x = load64(a + n) ^ load64(b + n);

		if (x)
			return n + ((uint32_t)__builtin_ctzll(x) >> 3);
		n += 8;
	}
	while (n < max && a[n] == b[n])
		n++;
	return n;
}

/* Grow @m to its whole length: backwards over literals since @anchor too. */
static inline void grow(struct match *m, const uint8_t *in, uint32_t len, uint32_t anchor)
{
	uint32_t end = m->pos + m->length;
	uint32_t most = len - m->pos < MATCH_MAX ? len - m->pos : MATCH_MAX;

	if (m->length == MEASURE) {
		const uint8_t *p = in + m->pos;

		end = m->pos + extend(p, p - 1 - m->back, MEASURE, most);
	}
	while (m->pos > anchor && m->pos > m->back + 1 && end - m->pos < MATCH_MAX &&
	       in[m->pos - 1] == in[m->pos - 2 - m->back])
		m->pos--;
	m->length = end - m->pos;
}

/* ---- the walk ---- */

/* Finds the sequences of @in; returns where the literals begin that no match follows. */
static uint32_t walk(struct deflate *d, const uint8_t *in, uint32_t len)
{
	/* Position 0 is what empty entries mean. */
	uint32_t pos = 1, anchor = 0, limit = len > TAIL ? len - TAIL : 0;

	while (pos < limit) {
		const uint8_t *p = in + pos;
		struct candidates c = look_up(d, in, pos);

		/* One branch, not two: which of them it is cannot be guessed. */
		if (differs(p, c.by4) & differs(p, c.by8)) {
			pos += 1 + ((pos - anchor) >> STEP_SHIFT);
			if (pos - anchor >= CHUNK_LITERALS && pos < limit) {
				blocks_cut(&d->blocks, in + anchor, pos - anchor);
				anchor = pos;
			}
			continue;
		}

		struct match m = choose(d, in, pos, c);

		grow(&m, in, len, anchor);
		if (m.length < d->blocks.worth_it && m.back >= NEAR) {
			pos++;
			continue;
		}
		blocks_put(&d->blocks, in + anchor, m.pos - anchor, m.length, m.back);
		pos = anchor = m.pos + m.length;
		/* Every third byte of it: all of them would gain 0.8 % and cost 8 % of the time. */
		for (uint32_t i = m.pos + 2; i < pos && i < limit; i += 3)
			remember(d, in, i);
	}
	return anchor;
}

size_t deflate_bound(size_t len)
{
	/*
	 * A block is never larger than stored: 5 bytes for each 65,535, and up to one to
	 * get there. Chunks, so blocks, hold at least 512 matches of 4 bytes or 8,192
	 * literals, but for the last. 8 bytes are what the last flush may touch.
	 */
	return len + len / 256 + 64;
}

size_t deflate_run(struct deflate *d, struct span in, struct room out)
{
	assert(in.len <= DEFLATE_INPUT_MAX && out.len >= deflate_bound(in.len));
	memset(d->by4, 0, sizeof(d->by4));
	memset(d->by8, 0, sizeof(d->by8));
	blocks_begin(&d->blocks, in.data, out.data);

	uint32_t rest = walk(d, in.data, (uint32_t)in.len);
	const uint8_t *tail = in.len > 0 ? in.data + rest : NULL;

	return (size_t)(blocks_end(&d->blocks, tail, (uint32_t)in.len - rest) - out.data);
}
