/* SPDX-License-Identifier: Apache-2.0
 *
 * Recipes from anything: two bytes of size, then the recipe, applied to two bases.
 * Relies on libFuzzer, or on the plain driver that runs the corpus as a test.
 * Promises: reads stay within the bases; what comes out is of the size that was asked for, or an error.
 */
#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "delta/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE_0 4096 /* bytes */
#define BASE_1 600
#define HEAD 2

static uint8_t byte_of(size_t base, int64_t off)
{
	return base == 0 ? (uint8_t)(off >> 4) : (uint8_t)(off * 7);
}

static int64_t read_base(void *arg, size_t i, int64_t off, void *data, size_t len, dray_error **err)
{
	const struct recipe_base *list = arg;
	uint8_t *to = data;

	(void)err;
	assert(i < 2 && off >= 0 && len <= (uint64_t)(list[i].size - off));
	for (size_t n = 0; n < len; n++)
		to[n] = byte_of(i, off + (int64_t)n);
	return (int64_t)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recipe_base list[] = { { .size = BASE_0 }, { .size = BASE_1 } };
	const struct recipe_bases bases = { list, 2, read_base, list };
	cleanup_error dray_error *err = NULL;
	cleanup_buf struct buf out = BUF_INIT(UINT16_MAX);
	struct source *s;
	int64_t want;

	if (size < HEAD)
		return 0;
	want = data[0] | data[1] << 8;
	s = source_from_span(span_of(data + HEAD, size - HEAD), &err);
	s = recipe_open(s, &bases, want, &err);
	if (s && source_slurp(s, &out, &err) == 0)
		assert(out.len == (uint64_t)want);
	assert(out.len <= (uint64_t)want);
	source_free(s);
	return 0;
}
