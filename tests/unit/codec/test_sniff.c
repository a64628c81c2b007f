/* SPDX-License-Identifier: Apache-2.0 */
/* For: telling compressions apart.
 * Relies on: the formats' magic numbers.
 * Promises: Z-07: content decides; short and look-alike heads are not compressed.
 */
#include "codec/codec.h"
#include "stream.h"

static void sniffs_content_Z07(void **state)
{
	static const struct {
		struct span head;
		enum compression want;
	} rows[] = {
		{ SPAN_LIT(""), COMPRESSION_NONE },
		{ SPAN_LIT("\x1f\x8b"), COMPRESSION_NONE },
		{ SPAN_LIT("\x1f\x8b\x08"), COMPRESSION_GZIP },
		{ SPAN_LIT("\x1f\x8b\x07zzzzz"), COMPRESSION_NONE },
		{ SPAN_LIT("\x28\xb5\x2f\xfd\x24\0\0\0"), COMPRESSION_ZSTD },
		{ SPAN_LIT("\x50\x2a\x4d\x18\0\0\0\0"), COMPRESSION_ZSTD },
		{ SPAN_LIT("\x5f\x2a\x4d\x18\0\0\0\0"), COMPRESSION_ZSTD },
		{ SPAN_LIT("\x60\x2a\x4d\x18\0\0\0\0"), COMPRESSION_NONE },
		{ SPAN_LIT("\xfd"
			   "7zXZ\0\0\4"),
		  COMPRESSION_XZ },
		{ SPAN_LIT("\xfd"
			   "7zXZ"),
		  COMPRESSION_NONE },
		{ SPAN_LIT("BZh91AY&"), COMPRESSION_BZIP2 },
		{ SPAN_LIT("BZh1\x17rE8"), COMPRESSION_BZIP2 },
		{ SPAN_LIT("BZh01AY&"), COMPRESSION_NONE },
		{ SPAN_LIT("BZh9 is a name"), COMPRESSION_NONE },
		{ SPAN_LIT("manifest.json"), COMPRESSION_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		if (compression_sniff(rows[i].head) != rows[i].want)
			fail_msg("row %zu: %s", i,
				 compression_name(compression_sniff(rows[i].head)));
}

static void plain_bytes_pass_through(void **state)
{
	dray_error *err = NULL;
	cleanup_buf struct buf b = BUF_INIT(100);
	enum compression c = COMPRESSION_XZ;

	(void)state;
	assert_ok(slurp(source_decode_auto(torn_span(SPAN_LIT("plain"), 1, -1, &err), &c, &err), &b,
			&err),
		  err);
	assert_int_equal(c, COMPRESSION_NONE);
	assert_span_is(span_buf(&b), "plain");
	assert_null(source_decode_auto(torn_span(SPAN_LIT("plain"), 1, 0, &err), &c, &err));
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	assert_null(source_decode_auto(NULL, &c, NULL));
	assert_null(source_decode(NULL, COMPRESSION_GZIP, NULL, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sniffs_content_Z07),
		cmocka_unit_test(plain_bytes_pass_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
