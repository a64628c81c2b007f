/* SPDX-License-Identifier: Apache-2.0 */
/* For: xz and bzip2, which only outer archives use.
 * Relies on: liblzma and libbz2 to make streams.
 * Promises: several streams decode, torn and padded ones behave as with gzip.
 */
#include <bzlib.h>
#include <lzma.h>

#include "codec/codec.h"
#include "stream.h"
#include "torture.h"

#define MOST (4 << 20)

static void add_stream(struct buf *to, enum compression c, struct span bytes)
{
	size_t bound = bytes.len + bytes.len / 50 + 2000, at = to->len;

	assert_int_equal(buf_reserve(to, bound, NULL), 0);
	if (c == COMPRESSION_XZ) {
		assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, bytes.data,
							 bytes.len, to->data, &at, at + bound),
				 LZMA_OK);
	} else {
		unsigned n = (unsigned)bound;
		char *in;

		memcpy(&in, &bytes.data, sizeof(in));
		assert_int_equal(BZ2_bzBuffToBuffCompress((char *)to->data + at, &n, in,
							  (unsigned)bytes.len, 1, 0, 0),
				 BZ_OK);
		at += n;
	}
	to->len = at;
}

static const enum compression kinds[] = { COMPRESSION_XZ, COMPRESSION_BZIP2 };

static struct source *decoded(enum compression c, struct span bytes, size_t piece, dray_error **err)
{
	return source_decode(torn_span(bytes, piece, -1, err), c, NULL, err);
}

static void expect_refused(enum compression c, struct span bytes, const char *message)
{
	for (size_t i = 0; i < ROWS(stream_pieces); i++) {
		dray_error *err = NULL;
		cleanup_buf struct buf b = BUF_INIT(MOST);

		assert_int_equal(slurp(decoded(c, bytes, stream_pieces[i], &err), &b, &err), -1);
		assert_err(err, DRAY_ERR_FORMAT, message);
	}
}

static void decodes_all_streams_Z01(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(300000, 40);

	(void)state;
	for (size_t i = 0; i < ROWS(kinds) * ROWS(stream_pieces); i++) {
		dray_error *err = NULL;
		enum compression c = kinds[i % ROWS(kinds)];
		cleanup_buf struct buf packed = BUF_INIT(MOST), b = BUF_INIT(MOST);
		enum compression found = COMPRESSION_NONE;

		add_stream(&packed, c, span_of(bytes.data, 200000));
		add_stream(&packed, c, span_of(bytes.data, 0));
		add_stream(&packed, c, span_of(bytes.data + 200000, 100000));
		/* Padding: xz wants multiples of four. */
		for (int k = 0; k < 8; k++)
			assert_ok(buf_add_byte(&packed, 0, &err), err);
		assert_ok(slurp(source_decode_auto(torn_span(span_buf(&packed),
							     stream_pieces[i / ROWS(kinds)], -1,
							     &err),
						   &found, &err),
				&b, &err),
			  err);
		assert_int_equal(found, c);
		assert_true(span_eq(span_buf(&b), span_buf(&bytes)));
	}
}

static void truncation_and_junk_are_refused_Z02(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(700, 41);

	(void)state;
	for (size_t i = 0; i < ROWS(kinds); i++) {
		cleanup_buf struct buf packed = BUF_INIT(MOST);

		add_stream(&packed, kinds[i], span_buf(&bytes));
		for (size_t len = 0; len < packed.len; len++)
			expect_refused(kinds[i], span_of(packed.data, len), "truncated");
		assert_int_equal(buf_add(&packed, SPAN_LIT("junk"), NULL), 0);
		expect_refused(kinds[i], span_buf(&packed), " at byte ");
		packed.data[packed.len / 2] ^= 4;
		expect_refused(kinds[i], span_buf(&packed), " at byte ");
	}
}

static void early_close_leaks_nothing_Z04(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(300000, 42);

	(void)state;
	for (size_t i = 0; i < ROWS(kinds); i++) {
		dray_error *err = NULL;
		cleanup_buf struct buf packed = BUF_INIT(MOST);
		struct span got;

		add_stream(&packed, kinds[i], span_buf(&bytes));

		cleanup_source struct source *s = decoded(kinds[i], span_buf(&packed), 513, &err);

		assert_ok(source_peek(s, 5, &got, &err), err);
	}
}

struct decoding {
	enum compression c;
	struct span bytes;
};

static int decode(void *arg, dray_error **err)
{
	struct decoding *d = arg;
	struct source *in = source_from_span(d->bytes, err);
	cleanup_source struct source *s = in ? source_decode(in, d->c, NULL, err) : NULL;

	return !s ? -1 : source_drain(s, err);
}

static void allocations_fail_cleanly_G17(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(kinds); i++) {
		cleanup_buf struct buf packed = BUF_INIT(MOST);

		add_stream(&packed, kinds[i], SPAN_LIT("some bytes"));
		torture_alloc(decode, &(struct decoding){ kinds[i], span_buf(&packed) });
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_all_streams_Z01),
		cmocka_unit_test(truncation_and_junk_are_refused_Z02),
		cmocka_unit_test(early_close_leaks_nothing_Z04),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
