/* SPDX-License-Identifier: Apache-2.0 */
/* For: the zstd decoder.
 * Relies on: libzstd to make frames.
 * Promises: Z-01, Z-02, Z-05 and Z-06 for zstd.
 */
#include <zstd.h>

#include "base/limits.h"
#include "codec/codec.h"
#include "stream.h"
#include "torture.h"

#define MOST (4 << 20)

static void add_frame(struct buf *to, struct span bytes)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	size_t bound = ZSTD_compressBound(bytes.len);

	ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
	assert_int_equal(buf_reserve(to, bound, NULL), 0);

	size_t n = ZSTD_compress2(ctx, to->data + to->len, bound, bytes.data, bytes.len);

	assert_false(ZSTD_isError(n));
	to->len += n;
	ZSTD_freeCCtx(ctx);
}

static void add_skippable(struct buf *to, uint8_t nibble, uint8_t len)
{
	uint8_t head[] = { (uint8_t)(0x50 | nibble), 0x2a, 0x4d, 0x18, len, 0, 0, 0 };

	assert_int_equal(buf_add(to, span_of(head, sizeof(head)), NULL), 0);
	for (int i = 0; i < len; i++)
		assert_int_equal(buf_add_byte(to, 0xee, NULL), 0);
}

static struct source *unzstd(struct span bytes, size_t piece, struct decode_notes *notes,
			     dray_error **err)
{
	return source_decode(torn_span(bytes, piece, -1, err), COMPRESSION_ZSTD, notes, err);
}

static void expect_decoded(struct span zst, struct span want, int64_t frames, int64_t zeros)
{
	for (size_t i = 0; i < ROWS(stream_pieces); i++) {
		dray_error *err = NULL;
		struct decode_notes notes;
		cleanup_buf struct buf b = BUF_INIT(MOST);

		assert_ok(slurp(unzstd(zst, stream_pieces[i], &notes, &err), &b, &err), err);
		assert_true(span_eq(span_buf(&b), want));
		assert_int_equal(notes.members, frames);
		assert_int_equal(notes.trailing_zeros, zeros);
	}
}

static void expect_refused(struct span zst, enum dray_err_kind kind, const char *message)
{
	for (size_t i = 0; i < ROWS(stream_pieces); i++) {
		dray_error *err = NULL;
		cleanup_buf struct buf b = BUF_INIT(MOST);

		assert_int_equal(slurp(unzstd(zst, stream_pieces[i], NULL, &err), &b, &err), -1);
		assert_err(err, kind, message);
	}
}

static void decodes_all_frames_Z01(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(500000, 30);
	cleanup_buf struct buf zst = BUF_INIT(MOST);

	(void)state;
	add_skippable(&zst, 0, 9);
	add_frame(&zst, span_of(bytes.data, 300000));
	add_frame(&zst, span_of(bytes.data, 0));
	add_skippable(&zst, 15, 0);
	add_frame(&zst, span_of(bytes.data + 300000, 200000));
	add_skippable(&zst, 13, 100);
	expect_decoded(span_buf(&zst), span_buf(&bytes), 3, 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(buf_add_byte(&zst, 0, NULL), 0);
	expect_decoded(span_buf(&zst), span_buf(&bytes), 3, 20);
	assert_int_equal(buf_add_byte(&zst, 'x', NULL), 0);
	expect_refused(span_buf(&zst), DRAY_ERR_FORMAT, "follow");
}

static void truncation_is_found_at_every_byte(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(2000, 31);
	cleanup_buf struct buf zst = BUF_INIT(MOST);
	size_t ends[3];

	(void)state;
	add_frame(&zst, span_buf(&bytes));
	ends[0] = zst.len;
	add_skippable(&zst, 1, 20);
	ends[1] = zst.len;
	add_frame(&zst, span_buf(&bytes));
	for (size_t len = 0; len < zst.len; len++)
		if (len != ends[0] && len != ends[1])
			expect_refused(span_of(zst.data, len), DRAY_ERR_FORMAT, "truncated");
}

static void flips_never_pass(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(2000, 32);
	cleanup_buf struct buf zst = BUF_INIT(MOST);

	(void)state;
	add_frame(&zst, span_buf(&bytes));
	for (size_t bit = 0; bit < zst.len * 8; bit++) {
		dray_error *err = NULL;
		cleanup_buf struct buf b = BUF_INIT(MOST);

		zst.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		/* The checksum flag itself may be what flipped; then stray bytes follow. */
		int rc = slurp(unzstd(span_buf(&zst), 513, NULL, &err), &b, &err);
		zst.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		if (rc == 0 && !span_eq(span_buf(&b), span_buf(&bytes)))
			fail_msg("flipped bit %zu passed", bit);
		err_clear(&err);
	}
}

static void window_is_limited_Z06(void **state)
{
	/* Magic, no single segment, a window of 2^27 and of 2^28, then one empty last block. */
	static const uint8_t fits[] = { 0x28, 0xb5, 0x2f, 0xfd, 0, (27 - 10) << 3, 1, 0, 0 };
	static const uint8_t over[] = { 0x28, 0xb5, 0x2f, 0xfd, 0, (28 - 10) << 3, 1, 0, 0 };
	static const uint8_t bit[] = { 0x28, 0xb5, 0x2f, 0xfd, 0, ((27 - 10) << 3) + 1, 1, 0, 0 };

	(void)state;
	assert_int_equal(LIMIT_ZSTD_WINDOW_LOG, 27);
	expect_decoded(span_of(fits, sizeof(fits)), SPAN_LIT(""), 1, 0);
	expect_refused(span_of(over, sizeof(over)), DRAY_ERR_LIMIT, "window of 268435456 bytes");
	expect_refused(span_of(bit, sizeof(bit)), DRAY_ERR_LIMIT, "window of 150994944 bytes");
}

static void dictionaries_are_unsupported(void **state)
{
	static const uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 1, 0x50, 7, 1, 0, 0 };

	(void)state;
	expect_refused(span_of(frame, sizeof(frame)), DRAY_ERR_UNSUPPORTED, "dictionary");
}

static void high_ratios_stream_Z05(void **state)
{
	cleanup_buf struct buf zst = BUF_INIT(128 << 20);
	uint8_t *zeros = calloc(1, 64 << 20);
	dray_error *err = NULL;

	(void)state;
	add_frame(&zst, span_of(zeros, 64 << 20));
	free(zeros);

	cleanup_source struct source *s = unzstd(span_buf(&zst), SIZE_MAX, NULL, &err);

	assert_ok(source_drain(s, &err), err);
	assert_int_equal(s->pos, 64 << 20);
}

static int decode(void *arg, dray_error **err)
{
	struct source *in = source_from_span(*(struct span *)arg, err);
	cleanup_source struct source *s = in ? source_decode(in, COMPRESSION_ZSTD, NULL, err)
					     : NULL;

	return !s ? -1 : source_drain(s, err);
}

static void allocations_fail_cleanly_G17(void **state)
{
	cleanup_buf struct buf zst = BUF_INIT(MOST);
	struct span lent;

	(void)state;
	add_frame(&zst, SPAN_LIT("some bytes"));
	lent = span_buf(&zst);
	torture_alloc(decode, &lent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_all_frames_Z01),
		cmocka_unit_test(truncation_is_found_at_every_byte),
		cmocka_unit_test(flips_never_pass),
		cmocka_unit_test(window_is_limited_Z06),
		cmocka_unit_test(dictionaries_are_unsupported),
		cmocka_unit_test(high_ratios_stream_Z05),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
