/* SPDX-License-Identifier: Apache-2.0 */
/* For: the numbers of a recipe, and reading what both sides have.
 * Relies on: nothing.
 * Promises: each number has one spelling; a read is whole or an error.
 */
#include "delta/recipe_priv.h"

size_t varint_put(uint8_t to[VARINT_MAX], uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		to[n++] = (uint8_t)(v | 0x80);
	to[n++] = (uint8_t)v;
	return n;
}

bool varint_take(struct span *in, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t n = 0; n < VARINT_MAX && n < in->len; n++) {
		uint8_t b = in->data[n];

		/* The tenth holds the last of 64 bits. */
		if (n == VARINT_MAX - 1 && b > 1)
			return false;
		v |= (uint64_t)(b & 0x7f) << (7 * n);
		if (b & 0x80)
			continue;
		*in = span_from(*in, n + 1);
		*ret = v;
		return b != 0 || n == 0;
	}
	return false;
}

int recipe_read_exact(recipe_read_fn *read, void *arg, size_t i, int64_t off, void *data,
		      size_t len, dray_error **err)
{
	uint8_t *to = data;

	for (size_t have = 0; have < len;) {
		int64_t n = read(arg, i, off + (int64_t)have, to + have, len - have, err);

		if (n < 0)
			return -1;
		if (n == 0)
			return err_set(err, DRAY_ERR_CORRUPT,
				       "it ends at byte %lld, before its size",
				       (long long)off + (long long)have);
		have += (size_t)n;
	}
	return 0;
}
