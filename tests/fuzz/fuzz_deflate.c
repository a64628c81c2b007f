/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes through our DEFLATE writer: zlib reads them back, and the bound holds. The
 * first two bytes say how often the rest is repeated and how far apart, so that a short
 * input reaches long matches, far distances and several blocks.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "codec/deflate.h"

#define MOST (256 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input that @data stands for; its length in *ret_len. */
static uint8_t *unfold(const uint8_t *data, size_t size, size_t *ret_len)
{
	size_t times = size > 2 ? 1 + data[0] % 16 : 1, gap = size > 2 ? data[1] * 200U : 0;
	size_t from = size > 2 ? 2 : 0, n = size - from;
	uint8_t *in = malloc(times * (n + gap) + 1), *p = in;
	uint32_t x = 1;

	assert(in);
	for (size_t i = 0; i < times; i++) {
		if (n > 0)
			memcpy(p, data + from, n);
		p += n;
		for (size_t k = 0; k < gap; k++) {
			x = x * 1664525u + 1013904223u;
			*p++ = (uint8_t)(x >> 24);
		}
	}
	*ret_len = (size_t)(p - in) < MOST ? (size_t)(p - in) : MOST;
	return in;
}

static void check_inflate(struct span packed, const uint8_t *in, size_t len)
{
	uint8_t *back = malloc(len + 1);
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)packed.data,
		       .avail_in = (uInt)packed.len,
		       .next_out = back,
		       .avail_out = (uInt)len + 1 };

	assert(back);
	assert(inflateInit2(&z, -15) == Z_OK);
	assert(inflate(&z, Z_FINISH) == Z_STREAM_END);
	assert(z.total_out == len && z.avail_in == 0);
	assert(memcmp(back, in, len) == 0);
	inflateEnd(&z);
	free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len;
	uint8_t *all = unfold(data, size, &len);
	/* Exactly as large as they may be: a sanitizer watches the ends. */
	uint8_t *in = malloc(len ? len : 1), *out = malloc(deflate_bound(len));
	struct deflate *d = deflate_new();

	assert(in && out && d);
	memcpy(in, all, len);
	size_t n = deflate_run(d, span_of(in, len), (struct room){ out, deflate_bound(len) });
	check_inflate(span_of(out, n), in, len);
	deflate_free(d);
	free(out);
	free(in);
	free(all);
	return 0;
}
