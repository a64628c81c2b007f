/* SPDX-License-Identifier: Apache-2.0 */
/* For: our own DEFLATE writer.
 * Relies on: three readers that share nothing: zlib, libdeflate, ISA-L.
 * Promises: what is written reads back everywhere, fits its bound, and never changes (G-15).
 */
#include <isa-l.h>
#include <libdeflate.h>
#include <zlib.h>

#include "codec/codec_priv.h"
#include "codec/deflate_priv.h"
#include "stream.h"
#include "torture.h"

#define NOISE_SEED UINT64_C(88172645463325252)

static uint8_t noise(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (uint8_t)(*x >> 32);
}

/* ---- inputs: each fills @len bytes as @arg says ---- */

static void fill_same(uint8_t *p, size_t len, unsigned arg)
{
	memset(p, (int)arg, len);
}

static void fill_noise(uint8_t *p, size_t len, unsigned arg)
{
	uint64_t x = NOISE_SEED + arg;

	for (size_t i = 0; i < len; i++)
		p[i] = noise(&x);
}

static void fill_period(uint8_t *p, size_t len, unsigned arg)
{
	fill_noise(p, len < arg ? len : arg, arg);
	for (size_t i = arg; i < len; i++)
		p[i] = p[i - arg];
}

/* A word of 40 letters comes back after exactly @arg bytes of noise and itself. */
static void fill_distance(uint8_t *p, size_t len, unsigned arg)
{
	fill_noise(p, len, 7);
	for (size_t at = 100; at + arg + 40 <= len; at += arg + 1000)
		memcpy(p + at + arg, p + at, 40);
}

/* Noise of @arg values only: codes shorter than a byte, seldom a match. */
static void fill_letters(uint8_t *p, size_t len, unsigned arg)
{
	uint64_t x = NOISE_SEED;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)('a' + noise(&x) % arg);
}

/* Literals whose counts are Fibonacci numbers, the worst for the depth of a tree. */
static void fill_fibonacci(uint8_t *p, size_t len, unsigned arg)
{
	uint64_t x = NOISE_SEED + arg;
	uint32_t a = 1, b = 1, symbol = 0;

	for (size_t i = 0, left = 1; i < len; i++, left--) {
		if (left == 0) {
			uint32_t sum = a + b;

			a = b;
			b = sum;
			left = a;
			symbol++;
		}
		p[i] = (uint8_t)symbol;
	}
	for (size_t i = len; i > 1; i--) {
		size_t k = (noise(&x) | (size_t)noise(&x) << 8 | (size_t)noise(&x) << 16) % i;
		uint8_t swap = p[i - 1];

		p[i - 1] = p[k];
		p[k] = swap;
	}
}

/* Kinds that change every @arg bytes: noise, text, zeros. */
static void fill_mixed(uint8_t *p, size_t len, unsigned arg)
{
	uint64_t x = NOISE_SEED;

	for (size_t i = 0; i < len; i++) {
		uint8_t n = noise(&x);

		switch (i / arg % 3) {
		case 0:
			p[i] = n;
			break;
		case 1:
			p[i] = (uint8_t)("/usr/lib/x86_64-linux-gnu/lib"[(i + (n == 0)) % 29]);
			break;
		default:
			p[i] = n < 3 ? n : 0;
		}
	}
}

/* As a layer might be: runs, text, noise in short pieces. */
static void fill_layer(uint8_t *p, size_t len, unsigned arg)
{
	cleanup_buf struct buf b = make_bytes(len, arg);

	memcpy(p, b.data, len);
}

/* ---- three readers ---- */

static void read_zlib(struct span packed, uint8_t *out, size_t len)
{
	z_stream z = { 0 };
	uint8_t none;

	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	z.next_in = (uint8_t *)(uintptr_t)packed.data;
	z.avail_in = (uInt)packed.len;
	z.next_out = len ? out : &none;
	z.avail_out = (uInt)(len ? len : 1);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, len);
	assert_int_equal(z.avail_in, 0);
	inflateEnd(&z);
}

static void read_libdeflate(struct span packed, uint8_t *out, size_t len)
{
	struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
	size_t taken = 0;

	assert_non_null(d);
	assert_int_equal(libdeflate_deflate_decompress_ex(d, packed.data, packed.len, out, len,
							  &taken, NULL),
			 LIBDEFLATE_SUCCESS);
	assert_int_equal(taken, packed.len);
	libdeflate_free_decompressor(d);
}

static void read_isal(struct span packed, uint8_t *out, size_t len)
{
	struct inflate_state s;

	isal_inflate_init(&s);
	s.next_in = (uint8_t *)(uintptr_t)packed.data;
	s.avail_in = (uint32_t)packed.len;
	s.next_out = out;
	s.avail_out = (uint32_t)len;
	assert_int_equal(isal_inflate(&s), ISAL_DECOMP_OK);
	assert_int_equal(s.total_out, len);
	assert_int_equal(s.block_state, ISAL_BLOCK_FINISH);
}

/* @in and @out are as large as they must be and no larger: a sanitizer watches the ends. */
static struct buf pack(struct deflate *d, struct span in)
{
	size_t bound = deflate_bound(in.len);
	struct buf b = { .data = malloc(bound), .cap = bound, .max = bound };

	assert_non_null(b.data);
	b.len = deflate_run(d, in, (struct room){ b.data, bound });
	assert_in_range(b.len, 1, bound);
	return b;
}

static size_t round_trip(struct deflate *d, struct span in)
{
	static void (*const readers[])(struct span packed, uint8_t * out,
				       size_t len) = { read_zlib, read_libdeflate, read_isal };
	cleanup_buf struct buf packed = pack(d, in);

	for (size_t i = 0; i < ROWS(readers); i++) {
		cleanup_free uint8_t *out = malloc(in.len + 1);

		assert_non_null(out);
		out[in.len] = 0xa5;
		readers[i](span_buf(&packed), out, in.len);
		assert_true(span_eq(span_of(out, in.len), in));
		assert_int_equal(out[in.len], 0xa5);
	}
	return packed.len;
}

static size_t trip(struct deflate *d, void (*fill)(uint8_t *, size_t, unsigned), unsigned arg,
		   size_t len)
{
	cleanup_free uint8_t *in = malloc(len ? len : 1);

	assert_non_null(in);
	fill(in, len, arg);
	return round_trip(d, span_of(in, len));
}

/* ---- round trips ---- */

static const struct {
	const char *name;
	void (*fill)(uint8_t *p, size_t len, unsigned arg);
	unsigned arg;
	unsigned most; /* percent that a mebibyte may become, rounded up */
} kinds[] = {
	{ "zeros", fill_same, 0, 1 },
	{ "ones", fill_same, 255, 1 },
	{ "noise", fill_noise, 0, 101 },
	{ "two letters", fill_letters, 2, 17 },
	{ "four letters", fill_letters, 4, 29 },
	{ "twenty letters", fill_letters, 20, 57 },
	{ "literals only", fill_letters, 200, 97 },
	{ "fibonacci", fill_fibonacci, 0, 38 },
	{ "period 32768", fill_period, 32768, 5 },
	{ "period 32769", fill_period, 32769, 101 },
	{ "distance 32768", fill_distance, 32768, 101 },
	{ "mixed slowly", fill_mixed, 100000, 43 },
	{ "mixed fast", fill_mixed, 3000, 40 },
	{ "layer", fill_layer, 60, 31 },
};

static void every_kind_reads_back(void **state)
{
	static const size_t around[] = {
		4096, 8192, 32768, 65535, 65536, 131072, DEFLATE_INPUT_MAX - 1
	};
	struct deflate *d = deflate_new();

	(void)state;
	assert_non_null(d);
	for (size_t i = 0; i < ROWS(kinds); i++) {
		for (size_t len = 0; len <= 300; len++)
			trip(d, kinds[i].fill, kinds[i].arg, len);
		for (size_t k = 0; k < 3 * ROWS(around); k++)
			trip(d, kinds[i].fill, kinds[i].arg, around[k / 3] + k % 3 - 1);

		size_t size = trip(d, kinds[i].fill, kinds[i].arg, DEFLATE_INPUT_MAX);

		if (size > DEFLATE_INPUT_MAX / 100 * kinds[i].most)
			fail_msg("%s: %zu bytes", kinds[i].name, size);
	}
	deflate_free(d);
}

static void every_period_reads_back(void **state)
{
	struct deflate *d = deflate_new();

	(void)state;
	assert_non_null(d);
	for (unsigned period = 1; period <= 300; period++) {
		/* Matches of 258 after the first period, and little else. */
		assert_in_range(trip(d, fill_period, period, 20000), 1, period + 500);
		trip(d, fill_period, period, period + 258 + period % 7);
	}
	deflate_free(d);
}

/* 40 bytes that come back at the edge of the window are found, beyond it not. */
static void window_is_used_to_its_end(void **state)
{
	const size_t len = 200000;
	struct deflate *d = deflate_new();

	(void)state;
	assert_non_null(d);
	assert_in_range(trip(d, fill_distance, 32768, len), 1, len - 1);
	assert_in_range(trip(d, fill_distance, 32769, len), len, deflate_bound(len));
	assert_in_range(trip(d, fill_distance, 65536, len), len, deflate_bound(len));
	deflate_free(d);
}

/* Noise at first does not hide the text behind it. */
static void noise_then_text(void **state)
{
	const size_t half = DEFLATE_INPUT_MAX / 2;
	cleanup_free uint8_t *in = malloc(2 * half);
	struct deflate *d = deflate_new();

	(void)state;
	assert_non_null(in);
	assert_non_null(d);
	fill_noise(in, half, 1);
	fill_letters(in + half, half, 4);
	assert_in_range(round_trip(d, span_of(in, 2 * half)), half, half + half / 3);
	deflate_free(d);
}

/* What was there before leaves no trace. */
static void no_memory_of_the_last_input_G15(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(DEFLATE_INPUT_MAX, 61);
	struct deflate *used = deflate_new(), *fresh = deflate_new();

	(void)state;
	assert_non_null(used);
	assert_non_null(fresh);
	for (size_t len = 1; len <= bytes.len; len *= 4) {
		struct span in = span_head(span_buf(&bytes), len);
		cleanup_buf struct buf other = pack(used, span_buf(&bytes));
		cleanup_buf struct buf a = pack(used, in), b = pack(fresh, in);

		assert_true(other.len > 0 && span_eq(span_buf(&a), span_buf(&b)));
		deflate_free(fresh);
		fresh = deflate_new();
		assert_non_null(fresh);
	}
	deflate_free(used);
	deflate_free(fresh);
}

/*
 * Whoever changes one of these changes blob digests: then DEFLATE_VERSION goes up. Compiler,
 * optimisation and CPU must not change them.
 */
static void golden_G15(void **state)
{
	static const char *const digests[] = {
		"sha256:aa75002f559814b774c053c8acc2681946774ee802d071460298d3960ed745f7",
		"sha256:e60a957112132969fc78df2207d97cbed0e5bbedef7bfd2daa8588db063ec337",
		"sha256:3cd726b47b07be56af9a8a2aab109004bd7d4f6a6f7899bd7dc4118e4bc0f382",
		"sha256:16f384f078c162a42b5c22b308aa9e1476bbb6436aa4902cc4127215856d0c27",
		"sha256:5d0e524d782dc03d17c15a0e6d5887204306fd2cc11532f1de34749401832538",
		"sha256:ce57edafb6aae221cff49364df72f9601b1c4d336507cf76ca8583d716df420b",
		"sha256:3bc42c9cc5479c1a08f9b8be9eb5cad069c21404fc0fa0a96839d95cfb29f022",
		"sha256:bec44fafa6149d76738685f4921507f654b791bc247bea5fff8540ba9254feb5",
		"sha256:0af64a7347fb1a91e5db725a5911068171c614e16ff111737a1c81ba67871e84",
		"sha256:833fde6dc0b0331e6651f9d3576bbcb9a2e5211a6fc2c6f8bf1bbd8f98554907",
		"sha256:49de73d7f9490cd3d7c66e3366b490388919806aaa358633591df623e66b7e7a",
		"sha256:904ecbaa3d183c2d76cb15a4492dd368d8b06845dd9e1b972826c2f2fabed3d6",
		"sha256:347c3ff6a765f6e3a2a2afd45f221c9f98de30ac7a55284746e3480f8ef46d8a",
		"sha256:5a02b3c0adea7ea67f031ea72c3e63d1c05e66652f7d77ca8747a223f38cf5b1",
	};
	struct deflate *d = deflate_new();

	(void)state;
	assert_non_null(d);
	assert_string_equal(DEFLATE_VERSION, "1");
	assert_int_equal(ROWS(digests), ROWS(kinds));
	for (size_t i = 0; i < ROWS(kinds); i++) {
		cleanup_free uint8_t *in = malloc(DEFLATE_INPUT_MAX);
		struct digest got;

		assert_non_null(in);
		kinds[i].fill(in, DEFLATE_INPUT_MAX, kinds[i].arg);
		cleanup_buf struct buf packed = pack(d, span_of(in, DEFLATE_INPUT_MAX));
		assert_int_equal(digest_of(span_buf(&packed), &got, NULL), 0);
		if (strcmp(got.text, digests[i]) != 0)
			fail_msg("%s: %s", kinds[i].name, got.text);
	}
	deflate_free(d);
}

/* ---- codes ---- */

static void check_code(const uint32_t *freq, unsigned n, unsigned limit)
{
	uint8_t length[SYMBOLS_MAX];
	uint16_t code[SYMBOLS_MAX];
	uint32_t kraft = 0;

	huffman_make(freq, n, limit, length, code);
	for (unsigned i = 0; i < n; i++) {
		assert_true(length[i] <= limit);
		assert_true(freq[i] == 0 || length[i] > 0);
		kraft += length[i] ? 1U << (limit - length[i]) : 0;
		/* A rarer symbol never has the shorter code. */
		for (unsigned k = 0; k < n; k++)
			assert_true(freq[i] == 0 || freq[k] >= freq[i] || freq[k] == 0 ||
				    length[k] >= length[i]);
		/* No code begins another; they are reversed, so the low bits come first. */
		for (unsigned k = 0; k < i; k++) {
			unsigned least = length[i] < length[k] ? length[i] : length[k];

			assert_true(least == 0 || (code[i] ^ code[k]) & ((1U << least) - 1));
		}
	}
	assert_int_equal(kraft, 1U << limit);
}

static void codes_are_complete_and_limited(void **state)
{
	static const struct {
		unsigned n, limit;
	} alphabets[] = { { LITLEN_SYMBOLS, LITLEN_LIMIT },
			  { DISTANCE_SYMBOLS, DISTANCE_LIMIT },
			  { PRECODE_SYMBOLS, PRECODE_LIMIT } };
	uint64_t x = NOISE_SEED;

	(void)state;
	for (size_t a = 0; a < ROWS(alphabets); a++) {
		unsigned n = alphabets[a].n, limit = alphabets[a].limit;
		uint32_t freq[SYMBOLS_MAX] = { 0 };

		check_code(freq, n, limit); /* none */
		for (unsigned i = 0; i < n; i++) {
			memset(freq, 0, sizeof(freq));
			freq[i] = 1 + i * 1000;
			check_code(freq, n, limit); /* one */
			freq[n - 1 - i] = 5;
			check_code(freq, n, limit); /* two, or one */
		}
		/* Fibonacci counts, as far as they go: the deepest tree there is. */
		memset(freq, 0, sizeof(freq));
		for (unsigned i = 0; i < n && i < 29; i++) {
			freq[i] = i < 2 ? 1 : freq[i - 1] + freq[i - 2];
			check_code(freq, n, limit);
		}
		for (unsigned i = 0; i < n; i++)
			freq[i] = 1;
		check_code(freq, n, limit);
		for (unsigned round = 0; round < 50; round++) {
			for (unsigned i = 0; i < n; i++)
				freq[i] = (uint32_t)noise(&x) >> round % 8 << noise(&x) % 12;
			check_code(freq, n, limit);
		}
	}
}

static int make_one(void *arg, dray_error **err)
{
	struct deflate *d = deflate_new();

	(void)arg;
	if (!d)
		return err_nomem(err);
	deflate_free(d);
	return 0;
}

static void allocations_fail_cleanly_G17(void **state)
{
	(void)state;
	torture_alloc(make_one, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_reads_back),
		cmocka_unit_test(every_period_reads_back),
		cmocka_unit_test(window_is_used_to_its_end),
		cmocka_unit_test(noise_then_text),
		cmocka_unit_test(no_memory_of_the_last_input_G15),
		cmocka_unit_test(golden_G15),
		cmocka_unit_test(codes_are_complete_and_limited),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
