/* SPDX-License-Identifier: Apache-2.0 */
/* For: the encoders.
 * Relies on: our decoders and the zlib twin to read back.
 * Promises: bytes depend on input, parameters and library versions only (G-15).
 */
#include "codec/codec_priv.h"
#include "stream.h"
#include "torture.h"

#define SIZE (5 << 20)

static const struct encode_params all_params[] = {
	{ ENCODING_NONE, 0 }, { ENCODING_GZIP, 0 }, { ENCODING_GZIP, 1 },
	{ ENCODING_GZIP, 6 }, { ENCODING_ZSTD, 0 }, { ENCODING_GZIP_SINGLE, 0 },
};

static struct digest digest_for(struct span bytes)
{
	struct digest d;
	dray_error *err = NULL;

	assert_ok(digest_of(bytes, &d, &err), err);
	return d;
}

static void encode(struct source *in, const struct encode_params *p, struct pool *pool,
		   struct buf *ret)
{
	dray_error *err = NULL;

	assert_ok(slurp(source_encode(in, p, pool, &err), ret, &err), err);
}

/*
 * The golden digests hold for the library versions in their text; others may
 * compress differently, and then only the comparison across threads counts.
 */
static void same_bytes_for_any_threads_and_pieces_G15(void **state)
{
	static const struct {
		struct encode_params params;
		const char *text;
		const char *digest;
	} rows[] = {
		{ { ENCODING_GZIP, 0 },
		  "gzip-blocked/1;dray-deflate=1",
		  "sha256:aff9d1d89313d26f9f05647f923c62d446a72b7a02494605470b5098e0e10c0f" },
		{ { ENCODING_GZIP, 2 },
		  "gzip-blocked/1;level=2;libdeflate=1.14",
		  "sha256:290c2b2ae4607d686377d12fe1343d69749afb41db39a2689f33ef21f35df81f" },
		{ { ENCODING_GZIP_SINGLE, 6 },
		  "gzip-single/1;level=6;zlib=1.2.13",
		  "sha256:b5cb753b22fb248be8378b8e25318376404e513fe03896384a30a0ec87058a48" },
		{ { ENCODING_ZSTD, 3 },
		  "zstd-blocked/1;level=3;libzstd=1.5.4",
		  "sha256:b64ef29b558e8394832668a51938638ecb01e14a4899ee53f60eaeacff1a7c89" },
	};
	static const int threads[] = { 0, 1, 2, 5 };
	cleanup_buf struct buf bytes = make_bytes(SIZE, 50);

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		dray_error *err = NULL;
		cleanup_buf struct buf text = BUF_INIT(100), first = BUF_INIT(2 * SIZE);

		assert_ok(encode_params_text(&rows[i].params, &text, &err), err);
		encode(source_from_span(span_buf(&bytes), &err), &rows[i].params, NULL, &first);
		if (span_is(span_buf(&text), rows[i].text))
			assert_string_equal(digest_for(span_buf(&first)).text, rows[i].digest);
		for (size_t k = 0; k < ROWS(threads) * ROWS(stream_pieces); k++) {
			int n = threads[k % ROWS(threads)];
			struct pool *pool = n > 0 ? pool_new(n, &err) : NULL;
			cleanup_buf struct buf b = BUF_INIT(2 * SIZE);

			/* Single bytes are slow: one run of them is enough. */
			if (k < ROWS(threads) && n != 2) {
				pool_free(pool);
				continue;
			}
			encode(torn_span(span_buf(&bytes), stream_pieces[k / ROWS(threads)], -1,
					 &err),
			       &rows[i].params, pool, &b);
			pool_free(pool);
			assert_true(span_eq(span_buf(&b), span_buf(&first)));
		}
	}
}

static void reads_back(void **state)
{
	static const size_t sizes[] = {
		0, 1, ENCODE_BLOCK - 1, ENCODE_BLOCK, ENCODE_BLOCK + 1, 2 * ENCODE_BLOCK, SIZE / 2
	};
	cleanup_buf struct buf bytes = make_bytes(SIZE, 51);
	dray_error *err = NULL;
	struct pool *pool = pool_new(2, &err);

	(void)state;
	for (size_t i = 0; i < ROWS(sizes) * ROWS(all_params); i++) {
		const struct encode_params *p = &all_params[i % ROWS(all_params)];
		struct span in = span_of(bytes.data, sizes[i / ROWS(all_params)]);
		cleanup_buf struct buf packed = BUF_INIT(2 * SIZE), b = BUF_INIT(SIZE);
		struct decode_notes notes = { 0 };
		int64_t blocks = in.len > ENCODE_BLOCK
					 ? (int64_t)((in.len + ENCODE_BLOCK - 1) / ENCODE_BLOCK)
					 : 1;

		encode(source_from_span(in, &err), p, pool, &packed);
		assert_ok(slurp(source_decode(source_from_span(span_buf(&packed), &err),
					      encoding_compression(p->encoding), &notes, &err),
				&b, &err),
			  err);
		assert_true(span_eq(span_buf(&b), in));
		if (p->encoding == ENCODING_GZIP || p->encoding == ENCODING_ZSTD)
			assert_int_equal(notes.members, blocks);
		if (encoding_compression(p->encoding) != COMPRESSION_GZIP)
			continue;
		buf_reset(&b);
		assert_ok(slurp(source_filtered(source_from_span(span_buf(&packed), &err),
						decode_gzip_zlib(NULL, &err), &err),
				&b, &err),
			  err);
		assert_true(span_eq(span_buf(&b), in));
	}
	pool_free(pool);
}

/* Encoders and buffers go from one blob to the next: to one of the same kind, and as good as new. */
static void bytes_do_not_depend_on_who_came_before_G15(void **state)
{
	static const struct {
		struct encode_params params;
		size_t size;
	} rows[] = {
		{ { ENCODING_GZIP, 0 }, SIZE },	    { { ENCODING_ZSTD, 0 }, SIZE },
		{ { ENCODING_GZIP, 0 }, 5 },	    { { ENCODING_GZIP, 6 }, SIZE / 2 },
		{ { ENCODING_ZSTD, 7 }, SIZE / 2 }, { { ENCODING_GZIP, 0 }, 0 },
		{ { ENCODING_GZIP, 6 }, 100000 },   { { ENCODING_ZSTD, 0 }, 1 },
	};
	cleanup_buf struct buf bytes = make_bytes(SIZE, 53);
	dray_error *err = NULL;
	struct pool *pool = pool_new(2, &err);

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span in = span_of(bytes.data + SIZE - rows[i].size, rows[i].size);
		cleanup_buf struct buf alone = BUF_INIT(2 * SIZE), b = BUF_INIT(2 * SIZE);

		encode(source_from_span(in, &err), &rows[i].params, NULL, &alone);
		encode(source_from_span(in, &err), &rows[i].params, pool, &b);
		assert_true(span_eq(span_buf(&b), span_buf(&alone)));
	}
	pool_free(pool);
}

static void members_say_their_length(void **state)
{
	static const uint8_t head[] = {
		0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, 'D', 'r', 4, 0
	};
	cleanup_buf struct buf bytes = make_bytes(SIZE, 52);
	cleanup_buf struct buf packed = BUF_INIT(2 * SIZE);
	dray_error *err = NULL;
	size_t at = 0, members = 0;

	(void)state;
	encode(source_from_span(span_buf(&bytes), &err),
	       &(struct encode_params){ .encoding = ENCODING_GZIP }, NULL, &packed);
	while (at < packed.len) {
		const uint8_t *p = packed.data + at;

		assert_true(packed.len - at >= 28);
		assert_memory_equal(p, head, sizeof(head));
		at += p[16] | (size_t)p[17] << 8 | (size_t)p[18] << 16 | (size_t)p[19] << 24;
		members++;
	}
	assert_int_equal(at, packed.len);
	assert_int_equal(members, 5);
}

/* A block that does not shrink is stored, its neighbours are not: two of noise around one of text. */
static void check_noise_and_text(const struct encode_params *p)
{
	const size_t len = 3 * ENCODE_BLOCK;
	cleanup_buf struct buf bytes = BUF_INIT(SIZE), packed = BUF_INIT(2 * SIZE);
	cleanup_buf struct buf pooled = BUF_INIT(2 * SIZE), back = BUF_INIT(SIZE);
	dray_error *err = NULL;
	struct pool *pool = pool_new(2, &err);
	uint64_t x = 88172645463325252U;

	for (size_t i = 0; i < len; i++) {
		bool text = i / ENCODE_BLOCK == 1;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		assert_ok(buf_add_byte(&bytes, text ? (uint8_t)('a' + (x & 3)) : (uint8_t)(x >> 32),
				       &err),
			  err);
	}
	encode(source_from_span(span_buf(&bytes), &err), p, NULL, &packed);
	encode(source_from_span(span_buf(&bytes), &err), p, pool, &pooled);
	pool_free(pool);
	assert_true(span_eq(span_buf(&packed), span_buf(&pooled)));
	/* Stored blocks cost 5 bytes for each 64 KiB, and two bits hold a letter of four. */
	assert_in_range(packed.len, 2 * ENCODE_BLOCK, 2 * ENCODE_BLOCK + ENCODE_BLOCK / 3);
	assert_ok(slurp(source_decode(source_from_span(span_buf(&packed), &err), COMPRESSION_GZIP,
				      NULL, &err),
			&back, &err),
		  err);
	assert_true(span_eq(span_buf(&back), span_buf(&bytes)));
}

static void noise_is_stored_text_is_not(void **state)
{
	(void)state;
	for (int level = 0; level <= 3; level++)
		check_noise_and_text(&(struct encode_params){ ENCODING_GZIP, level });
}

static void single_member_header(void **state)
{
	static const uint8_t head[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255 };
	cleanup_buf struct buf packed = BUF_INIT(100);
	dray_error *err = NULL;

	(void)state;
	encode(source_from_span(SPAN_LIT("x"), &err),
	       &(struct encode_params){ .encoding = ENCODING_GZIP_SINGLE }, NULL, &packed);
	assert_memory_equal(packed.data, head, sizeof(head));
}

static void levels_are_checked(void **state)
{
	static const struct {
		struct encode_params params;
		bool good;
	} rows[] = {
		{ { ENCODING_NONE, 0 }, true },	       { { ENCODING_NONE, 1 }, false },
		{ { ENCODING_GZIP, 0 }, true },	       { { ENCODING_GZIP, 12 }, true },
		{ { ENCODING_GZIP, 13 }, false },      { { ENCODING_GZIP, -1 }, false },
		{ { ENCODING_ZSTD, 19 }, true },       { { ENCODING_ZSTD, 20 }, false },
		{ { ENCODING_GZIP_SINGLE, 9 }, true }, { { ENCODING_GZIP_SINGLE, 10 }, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		dray_error *err = NULL;
		int rc = encode_params_check(&rows[i].params, &err);

		assert_int_equal(rc == 0, rows[i].good);
		if (rc == 0)
			continue;
		assert_err_kind(err, DRAY_ERR_USAGE);
		assert_null(source_encode(source_from_span(SPAN_LIT("x"), &err), &rows[i].params,
					  NULL, &err));
		assert_err_kind(err, DRAY_ERR_USAGE);
	}
}

/* Failures and early closes while blocks are in flight: nothing hangs or leaks. */
static void stops_anywhere_Z04(void **state)
{
	static const int64_t places[] = { 0, 1, ENCODE_BLOCK, ENCODE_BLOCK + 1, 3000000, SIZE };
	cleanup_buf struct buf bytes = make_bytes(SIZE, 53);
	dray_error *err = NULL;
	struct pool *pool = pool_new(2, &err);

	(void)state;
	for (size_t i = 0; i < ROWS(places) * ROWS(all_params); i++) {
		const struct encode_params *p = &all_params[i % ROWS(all_params)];
		int64_t at = places[i / ROWS(all_params)];
		struct source *in = torn_span(span_buf(&bytes), 65536, at, &err);
		cleanup_buf struct buf b = BUF_INIT(2 * SIZE);

		assert_int_equal(slurp(source_encode(in, p, pool, &err), &b, &err), -1);
		assert_err(err, DRAY_ERR_SYSTEM, "injected");

		in = source_from_span(span_buf(&bytes), &err);
		cleanup_source struct source *s = source_encode(in, p, pool, &err);
		struct span got;

		assert_ok(source_peek(s, 1, &got, &err), err);
		source_consume(s, got.len / 2);
		assert_ok(source_peek(s, SOURCE_PEEK_MAX, &got, &err), err);
	}
	pool_free(pool);
}

/* Many at once on one pool: the credits run out, the bytes stay the same, and all come back. */
static void many_share_a_pool_G15(void **state)
{
	const struct encode_params p = { ENCODING_GZIP, 1 };
	cleanup_buf struct buf bytes = make_bytes(SIZE / 2, 54), first = BUF_INIT(2 * SIZE);
	dray_error *err = NULL;
	struct pool *pool = pool_new(3, &err);
	struct source *s[10];

	(void)state;
	encode(source_from_span(span_buf(&bytes), &err), &p, NULL, &first);
	for (size_t i = 0; i < ROWS(s); i++) {
		s[i] = source_encode(source_from_span(span_buf(&bytes), &err), &p, pool, &err);
		assert_ok(s[i] ? 0 : -1, err);
	}
	assert_int_equal(pool_take_credits(pool, 1), 0);
	for (size_t i = 0; i < ROWS(s); i++) {
		cleanup_buf struct buf b = BUF_INIT(2 * SIZE);

		assert_ok(slurp(s[i], &b, &err), err);
		assert_true(span_eq(span_buf(&b), span_buf(&first)));
	}
	assert_int_equal(pool_take_credits(pool, 100), 17);
	pool_free(pool);
}

static int pack(void *arg, dray_error **err)
{
	struct source *in = source_from_span(SPAN_LIT("some bytes"), err);
	struct pool *pool = in ? pool_new(2, err) : NULL;
	struct source *s = NULL;
	int rc = -1;

	if (pool)
		s = source_encode(in, arg, pool, err);
	else
		source_free(in);
	if (s)
		rc = source_drain(s, err);
	source_free(s);
	pool_free(pool);
	return rc;
}

static void allocations_fail_cleanly_G17(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(all_params); i++) {
		struct encode_params p = all_params[i];

		torture_alloc(pack, &p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_bytes_for_any_threads_and_pieces_G15),
		cmocka_unit_test(reads_back),
		cmocka_unit_test(bytes_do_not_depend_on_who_came_before_G15),
		cmocka_unit_test(members_say_their_length),
		cmocka_unit_test(noise_is_stored_text_is_not),
		cmocka_unit_test(single_member_header),
		cmocka_unit_test(levels_are_checked),
		cmocka_unit_test(stops_anywhere_Z04),
		cmocka_unit_test(many_share_a_pool_G15),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
