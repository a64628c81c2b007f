/* SPDX-License-Identifier: Apache-2.0 */
/* For: prefix codes of limited length.
 * Relies on: nothing.
 * Promises: complete codes of at least two symbols; the same for the same counts.
 */
#include "codec/deflate_priv.h"

/* A symbol below its count, so that sorting moves both. */
#define SYMBOL_BITS 9
#define SYMBOL_MASK ((1U << SYMBOL_BITS) - 1)

_Static_assert(DEFLATE_INPUT_MAX < 1 << (32 - SYMBOL_BITS), "counts fit beside a symbol");

/* Sort by count, then by symbol; a byte at a time, as far as counts go. */
static uint32_t *sort(uint32_t *a, uint32_t *spare, unsigned n, uint32_t greatest)
{
	for (unsigned shift = SYMBOL_BITS; shift < 32 && greatest >> shift; shift += 8) {
		uint32_t place[257] = { 0 };
		uint32_t *sorted = spare;

		for (unsigned i = 0; i < n; i++)
			place[(a[i] >> shift & 255) + 1]++;
		for (unsigned i = 0; i < 255; i++)
			place[i + 1] += place[i];
		for (unsigned i = 0; i < n; i++)
			sorted[place[a[i] >> shift & 255]++] = a[i];
		spare = a;
		a = sorted;
	}
	return a;
}

/*
 * The tree over @n sorted counts, in place (Moffat and Katajainen, 1995): afterwards
 * a[i] is the depth of inner node i, the root being the last, a[n - 2] = 0.
 */
static void tree_depths(uint32_t *a, unsigned n)
{
	unsigned inner = 0, leaf = 0;

	for (unsigned next = 0; next < n - 1; next++) {
		uint32_t sum = 0;

		for (int child = 0; child < 2; child++) {
			if (leaf >= n || (inner < next && a[inner] < a[leaf])) {
				sum += a[inner];
				a[inner++] = next; /* its parent */
			} else {
				sum += a[leaf++];
			}
		}
		a[next] = sum;
	}
	a[n - 2] = 0;
	for (unsigned i = n - 2; i-- > 0;)
		a[i] = a[a[i]] + 1;
}

/* How many leaves have each depth; those beyond @limit are put there. */
static void leaves_by_depth(const uint32_t *a, unsigned n, unsigned limit, unsigned *count)
{
	unsigned here = 1, left = n - 1;

	for (unsigned depth = 0; here > 0; depth++) {
		unsigned inner = 0;

		while (left > 0 && a[left - 1] == depth) {
			left--;
			inner++;
		}
		count[depth < limit ? depth : limit] += here - inner;
		here = 2 * inner;
	}
}

/* Give up deepest leaves and split higher ones until the code is one again. */
static void make_room(unsigned *count, unsigned limit)
{
	uint32_t used = 0;

	for (unsigned i = 1; i <= limit; i++)
		used += (uint32_t)count[i] << (limit - i);
	for (; used > 1U << limit; used--) {
		unsigned i = limit - 1;

		while (count[i] == 0)
			i--;
		count[i]--;
		count[i + 1] += 2;
		count[limit]--;
	}
}

static uint16_t reversed(unsigned code, unsigned n)
{
	code = (code & 0x5555) << 1 | (code >> 1 & 0x5555);
	code = (code & 0x3333) << 2 | (code >> 2 & 0x3333);
	code = (code & 0x0f0f) << 4 | (code >> 4 & 0x0f0f);
	code = (code & 0x00ff) << 8 | code >> 8;
	return (uint16_t)(code >> (16 - n));
}

void huffman_codes(const uint8_t *lengths, unsigned n, uint16_t *ret_codes)
{
	unsigned count[16] = { 0 }, next[16] = { 0 };

	for (unsigned i = 0; i < n; i++)
		count[lengths[i]]++;
	count[0] = 0;
	for (unsigned i = 1; i < 16; i++)
		next[i] = (next[i - 1] + count[i - 1]) << 1;
	for (unsigned i = 0; i < n; i++)
		ret_codes[i] = lengths[i] ? reversed(next[lengths[i]]++, lengths[i]) : 0;
}

/* Lengths for @n >= 2 sorted symbols. */
static void set_lengths(const uint32_t *sorted, unsigned n, unsigned limit, uint8_t *ret_lengths)
{
	uint32_t a[SYMBOLS_MAX];
	unsigned count[16] = { 0 }, done = 0;

	for (unsigned i = 0; i < n; i++)
		a[i] = sorted[i] >> SYMBOL_BITS;
	tree_depths(a, n);
	leaves_by_depth(a, n, limit, count);
	make_room(count, limit);
	/* The rarest get the longest. */
	for (unsigned length = limit; length > 0; length--)
		for (unsigned i = 0; i < count[length]; i++)
			ret_lengths[sorted[done++] & SYMBOL_MASK] = (uint8_t)length;
}

void huffman_make(const uint32_t *freq, unsigned n, unsigned limit, uint8_t *ret_lengths,
		  uint16_t *ret_codes)
{
	uint32_t a[SYMBOLS_MAX], spare[SYMBOLS_MAX], greatest = 0;
	unsigned used = 0;

	memset(ret_lengths, 0, n);
	for (unsigned i = 0; i < n; i++) {
		if (freq[i] == 0)
			continue;
		a[used] = freq[i] << SYMBOL_BITS | i;
		greatest = a[used] > greatest ? a[used] : greatest;
		used++;
	}
	if (used >= 2) {
		set_lengths(sort(a, spare, used, greatest), used, limit, ret_lengths);
	} else {
		unsigned only = used ? a[0] & SYMBOL_MASK : 0;

		ret_lengths[only] = 1;
		ret_lengths[only ? 0 : 1] = 1;
	}
	huffman_codes(ret_lengths, n, ret_codes);
}
