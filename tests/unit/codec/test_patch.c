/* SPDX-License-Identifier: Apache-2.0 */
/* For: zstd with a prefix: there and back, small where both are alike, and frames that lie.
 * Relies on: stream.h for bytes.
 * Promises: nothing is left.
 */
#include "codec/patch.h"
#include "stream.h"

static size_t encode(int level, struct span prefix, struct span in, struct buf *ret)
{
	struct patch_encoder *p = patch_encoder_new();
	size_t n;

	assert_non_null(p);
	*ret = (struct buf){ .max = SIZE_MAX };
	assert_int_equal(buf_reserve(ret, patch_bound(in.len), NULL), 0);
	n = patch_encode(p, level, prefix, in, (struct room){ ret->data, patch_bound(in.len) });
	patch_encoder_free(p);
	ret->len = n;
	return n;
}

static int decode(struct span prefix, struct span frame, size_t len, struct buf *ret,
		  dray_error **err)
{
	struct patch_decoder *p = patch_decoder_new(err);
	int rc;

	assert_non_null(p);
	*ret = (struct buf){ .max = SIZE_MAX };
	assert_int_equal(buf_reserve(ret, len, NULL), 0);
	ret->len = len;
	rc = patch_decode(p, prefix, frame, (struct room){ ret->data, len }, err);
	patch_decoder_free(p);
	return rc;
}

static const struct {
	size_t prefix, cut,
		len; /* of the prefix; what is left out of it at the front; of the input */
	size_t most; /* bytes of the frame, 0 = any */
} cases[] = {
	{ 0, 0, 1, 0 },
	{ 0, 0, 100000, 0 },
	{ 100000, 0, 100000, 100 },
	{ 100000, 777, 99000, 100 },
	{ 3000000, 1, 2000000, 600 },
	{ 3000000, 2000000, 1000, 100 },
};

static void test_there_and_back(void **state)
{
	static const int levels[] = { 1, 3, 9, 12, PATCH_LEVEL_MAX };

	(void)state;
	for (size_t i = 0; i < ROWS(cases) * ROWS(levels); i++) {
		size_t n = i / ROWS(levels);
		int level = levels[i % ROWS(levels)];
		cleanup_buf struct buf all = make_bytes(cases[n].cut + cases[n].len, 3);
		cleanup_buf struct buf prefix = make_bytes(cases[n].prefix, 3), frame, again, back;
		struct span in = span_from(span_buf(&all), cases[n].cut);
		dray_error *err = NULL;

		assert_true(encode(level, span_buf(&prefix), in, &frame) > 0);
		if (cases[n].most && frame.len > cases[n].most)
			fail_msg("row %zu at level %d: %zu bytes", n, level, frame.len);
		encode(level, span_buf(&prefix), in, &again);
		assert_true(span_eq(span_buf(&frame), span_buf(&again)));
		assert_ok(decode(span_buf(&prefix), span_buf(&frame), in.len, &back, &err), err);
		assert_true(span_eq(span_buf(&back), in));
	}
}

static void test_no_room(void **state)
{
	struct patch_encoder *p = patch_encoder_new();
	uint8_t out[4];

	(void)state;
	assert_int_equal(patch_encode(p, 1, (struct span){ 0 }, SPAN_LIT("incompressible"),
				      (struct room){ out, sizeof(out) }),
			 0);
	patch_encoder_free(p);
}

static void refused(struct span frame, size_t len, const char *says)
{
	cleanup_buf struct buf back;
	dray_error *err = NULL;

	assert_int_equal(decode((struct span){ 0 }, frame, len, &back, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, says);
}

static void test_lies(void **state)
{
	cleanup_buf struct buf in = make_bytes(5000, 1), frame, back;
	dray_error *err = NULL;
	struct span f;

	(void)state;
	encode(3, (struct span){ 0 }, span_buf(&in), &frame);
	f = span_buf(&frame);
	assert_ok(decode((struct span){ 0 }, f, 5000, &back, &err), err);
	refused(f, 4999, "unzstd");
	refused(f, 5001, "5000 bytes where 5001 were announced");
	refused(span_head(f, f.len - 1), 5000, "unzstd");
	refused((struct span){ 0 }, 5000, "unzstd");
	assert_int_equal(buf_add(&frame, SPAN_LIT("x"), NULL), 0);
	refused(span_buf(&frame), 5000, "bytes behind the frame");
	refused(SPAN_LIT("no zstd at all"), 5000, "unzstd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
