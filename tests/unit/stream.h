/* SPDX-License-Identifier: Apache-2.0
 *
 * What every test of a stream needs: pieces of awkward sizes, bytes to feed.
 */
#pragma once

#include "flow/source.h"
#include "support.h"

/** Sizes that no block, record or buffer divides, around those that do, and whole. */
static const size_t stream_pieces[] = { 1, 511, 512, 513, 4093, SIZE_MAX };

/** @p bytes in pieces, failing at @p fail_at (-1 = never). */
static inline struct source *torn_span(struct span bytes, size_t piece, int64_t fail_at,
				       dray_error **err)
{
	return source_torn(source_from_span(bytes, err), piece, fail_at, err);
}

/** Read @p s (consumed, may be NULL) to its end into @p ret. */
static inline int slurp(struct source *s, struct buf *ret, dray_error **err)
{
	int rc = s ? source_slurp(s, ret, err) : -1;

	source_free(s);
	return rc;
}

/** The same bytes on every machine: some runs, some text, some noise. Free with buf_clear(). */
static inline struct buf make_bytes(size_t len, uint32_t seed)
{
	struct buf b = { .data = malloc(len > 0 ? len : 1), .len = len, .cap = len, .max = len };
	uint32_t x = seed * 2654435761u + 1;

	assert_non_null(b.data);
	for (size_t i = 0; i < len; i++) {
		if (i % 64 == 0)
			x = x * 1664525u + 1013904223u;
		switch (x >> 30) {
		case 0:
			b.data[i] = (uint8_t)(x >> 16);
			break;
		case 1:
			b.data[i] = (uint8_t)("usr/share/doc/lib"[i % 17] + (i % 64 == 9));
			break;
		case 2:
			b.data[i] = (uint8_t)((i * (x | 1)) >> 11);
			break;
		default:
			b.data[i] = i % 3 ? 0 : (uint8_t)(x >> 8);
		}
	}
	return b;
}
