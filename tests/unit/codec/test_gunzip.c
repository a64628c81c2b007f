/* SPDX-License-Identifier: Apache-2.0 */
/* For: both gzip decoders, side by side.
 * Relies on: zlib's deflate to make members.
 * Promises: Z-01 to Z-04; the twins agree on every input here, good or bad.
 */
#include <zlib.h>

#include "codec/codec_priv.h"
#include "stream.h"
#include "torture.h"

#define MOST (4 << 20)

static struct source *gunzipped(bool twin, struct source *in, struct decode_notes *notes,
				dray_error **err)
{
	if (!twin)
		return source_decode(in, COMPRESSION_GZIP, notes, err);
	return source_filtered(in, decode_gzip_zlib(notes, err), err);
}

/* Append one member; @header may ask for every optional field. */
static void add_member(struct buf *to, struct span bytes, int level, gz_header *header)
{
	z_stream z = { 0 };
	size_t bound = bytes.len + bytes.len / 1000 + 2000;

	assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	if (header)
		deflateSetHeader(&z, header);
	assert_int_equal(buf_reserve(to, bound, NULL), 0);
	memcpy(&z.next_in, &bytes.data, sizeof(z.next_in));
	z.avail_in = (uInt)bytes.len;
	z.next_out = to->data + to->len;
	z.avail_out = (uInt)bound;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	to->len += z.total_out;
	deflateEnd(&z);
}

/* Both twins, all pieces: the same bytes and notes. */
static void expect_decoded(struct span gz, struct span want, int64_t members, int64_t zeros)
{
	for (size_t i = 0; i < 2 * ROWS(stream_pieces); i++) {
		dray_error *err = NULL;
		struct decode_notes notes;
		cleanup_buf struct buf b = BUF_INIT(MOST);
		struct source *s = torn_span(gz, stream_pieces[i / 2], -1, &err);

		assert_ok(slurp(gunzipped(i % 2, s, &notes, &err), &b, &err), err);
		assert_int_equal(b.len, want.len);
		assert_true(span_eq(span_buf(&b), want));
		assert_int_equal(notes.members, members);
		assert_int_equal(notes.trailing_zeros, zeros);
	}
}

static void expect_refused(struct span gz, const char *message)
{
	for (size_t i = 0; i < 2 * ROWS(stream_pieces); i++) {
		dray_error *err = NULL;
		cleanup_buf struct buf b = BUF_INIT(MOST);
		struct source *s = torn_span(gz, stream_pieces[i / 2], -1, &err);

		assert_int_equal(slurp(gunzipped(i % 2, s, NULL, &err), &b, &err), -1);
		/* The words are ours in one of them only. */
		if (i % 2 == 0)
			assert_err(err, DRAY_ERR_FORMAT, message);
		else
			assert_err(err, DRAY_ERR_FORMAT, "gunzip at byte");
	}
}

static void decodes_every_level_and_kind_of_block(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(300000, 20);

	(void)state;
	for (int level = 0; level <= 9; level++) {
		cleanup_buf struct buf gz = BUF_INIT(MOST);

		add_member(&gz, span_buf(&bytes), level, NULL);
		expect_decoded(span_buf(&gz), span_buf(&bytes), 1, 0);
	}
}

static void decodes_all_members_Z01(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(200000, 21);
	cleanup_buf struct buf gz = BUF_INIT(MOST);
	static const size_t cuts[] = { 0, 0, 1, 2, 100, 65536, 65537, 65537, 199999, 200000 };

	(void)state;
	for (size_t i = 1; i < ROWS(cuts); i++)
		add_member(&gz, span_of(bytes.data + cuts[i - 1], cuts[i] - cuts[i - 1]),
			   (int)i % 10, NULL);
	expect_decoded(span_buf(&gz), span_buf(&bytes), ROWS(cuts) - 1, 0);
}

static void reads_every_header_field(void **state)
{
	Bytef extra[300] = "Dr", name[] = "a name", comment[] = "a comment";

	(void)state;
	for (int bits = 0; bits < 16; bits++) {
		cleanup_buf struct buf gz = BUF_INIT(MOST);
		gz_header h = { .time = 1, .os = 3 };

		h.extra = bits & 1 ? extra : NULL;
		h.extra_len = bits & 1 ? sizeof(extra) : 0;
		h.name = bits & 2 ? name : NULL;
		h.comment = bits & 4 ? comment : NULL;
		h.hcrc = bits & 8 ? 1 : 0;
		add_member(&gz, SPAN_LIT("some bytes"), 6, &h);
		add_member(&gz, SPAN_LIT(" and more"), 6, &h);
		expect_decoded(span_buf(&gz), SPAN_LIT("some bytes and more"), 2, 0);
		if (!(bits & 8))
			continue;
		gz.data[4] ^= 1;
		expect_refused(span_buf(&gz), "bad header checksum");
	}
}

static void zeros_may_follow_Z02(void **state)
{
	cleanup_buf struct buf gz = BUF_INIT(MOST);

	(void)state;
	add_member(&gz, SPAN_LIT("x"), 6, NULL);
	for (int i = 1; i <= 600; i++) {
		assert_int_equal(buf_add_byte(&gz, 0, NULL), 0);
		if (i == 1 || i == 511 || i == 600)
			expect_decoded(span_buf(&gz), SPAN_LIT("x"), 1, i);
	}
}

static void junk_may_not_follow_Z02(void **state)
{
	static const struct {
		struct span junk;
		const char *message;
	} rows[] = {
		{ SPAN_LIT("x"), "follow" },
		{ SPAN_LIT("\0\0x"), "follow" },
		{ SPAN_LIT("\n"), "follow" },
		{ SPAN_LIT("\x1f"), "truncated" },
		{ SPAN_LIT("\x1f\x8b\x08"), "truncated" },
		{ SPAN_LIT("\x1f\x8c\x08\0\0\0\0\0\0\0"), "no gzip header" },
		{ SPAN_LIT("\x1f\x8b\x07\0\0\0\0\0\0\0"), "unknown gzip method" },
		{ SPAN_LIT("\x1f\x8b\x08\x20\0\0\0\0\0\0"), "unknown gzip method" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf gz = BUF_INIT(MOST);

		expect_refused(rows[i].junk.data[0] == 0x1f ? rows[i].junk : SPAN_LIT("junk"), "");
		add_member(&gz, SPAN_LIT("x"), 6, NULL);
		assert_int_equal(buf_add(&gz, rows[i].junk, NULL), 0);
		expect_refused(span_buf(&gz), rows[i].message);
	}
	expect_refused(SPAN_LIT(""), "truncated");
	expect_refused(SPAN_LIT("\0"), "no gzip header");
}

static void trailer_is_checked(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(1000, 22);
	cleanup_buf struct buf gz = BUF_INIT(MOST);

	(void)state;
	add_member(&gz, span_buf(&bytes), 6, NULL);

	size_t first = gz.len;

	add_member(&gz, SPAN_LIT("x"), 6, NULL);
	for (size_t i = 1; i <= 8; i++) {
		gz.data[first - i] ^= 0x10;
		expect_refused(span_buf(&gz), i <= 4 ? "bad length" : "bad CRC-32");
		gz.data[first - i] ^= 0x10;
	}
}

static void truncation_is_found_at_every_byte(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(150, 23);
	cleanup_buf struct buf gz = BUF_INIT(MOST);
	Bytef extra[5] = "Dr", name[] = "a name";
	gz_header h = { .extra = extra, .extra_len = 5, .name = name, .hcrc = 1 };

	(void)state;
	add_member(&gz, span_buf(&bytes), 6, &h);

	size_t first = gz.len;

	add_member(&gz, span_buf(&bytes), 0, NULL);
	for (size_t len = 0; len < gz.len; len++)
		if (len != first)
			expect_refused(span_of(gz.data, len), "truncated");
}

static void failures_of_the_input_pass(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(700, 24);
	cleanup_buf struct buf gz = BUF_INIT(MOST);

	(void)state;
	add_member(&gz, span_buf(&bytes), 6, NULL);
	for (size_t at = 0; at <= gz.len; at++) {
		for (size_t twin = 0; twin < 2; twin++) {
			dray_error *err = NULL;
			cleanup_buf struct buf b = BUF_INIT(MOST);
			size_t piece = stream_pieces[at % ROWS(stream_pieces)];
			struct source *s = torn_span(span_buf(&gz), piece, (int64_t)at, &err);

			assert_int_equal(slurp(gunzipped(twin, s, NULL, &err), &b, &err), -1);
			assert_err(err, DRAY_ERR_SYSTEM, "injected");
			assert_true(b.len <= bytes.len);
			assert_memory_equal(b.data ? b.data : bytes.data, bytes.data, b.len);
		}
	}
}

/* One flipped bit anywhere: the twins agree whether it matters, and on the bytes. */
static void twins_agree_on_flips(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(400, 25);
	cleanup_buf struct buf gz = BUF_INIT(MOST);

	(void)state;
	add_member(&gz, span_buf(&bytes), 6, NULL);
	add_member(&gz, SPAN_LIT(""), 6, NULL);
	for (size_t bit = 0; bit < gz.len * 8; bit++) {
		struct buf out[2] = { BUF_INIT(MOST), BUF_INIT(MOST) };
		int rc[2];

		gz.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		for (int twin = 0; twin < 2; twin++)
			rc[twin] = slurp(gunzipped(twin, torn_span(span_buf(&gz), 513, -1, NULL),
						   NULL, NULL),
					 &out[twin], NULL);
		gz.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		if (rc[0] != rc[1])
			fail_msg("bit %zu: %d and %d", bit, rc[0], rc[1]);
		if (rc[0] == 0)
			assert_true(span_eq(span_buf(&out[0]), span_buf(&out[1])));
		buf_clear(&out[0]);
		buf_clear(&out[1]);
	}
}

static void a_million_empty_members_Z03(void **state)
{
	cleanup_buf struct buf one = BUF_INIT(MOST);
	cleanup_buf struct buf gz = BUF_INIT(64 << 20);

	(void)state;
	add_member(&one, SPAN_LIT(""), 6, NULL);
	for (int i = 0; i < 1000000; i++)
		assert_int_equal(buf_add(&gz, span_buf(&one), NULL), 0);
	for (int twin = 0; twin < 2; twin++) {
		dray_error *err = NULL;
		struct decode_notes notes;
		cleanup_buf struct buf b = BUF_INIT(0);

		assert_ok(
			slurp(gunzipped(twin, source_from_span(span_buf(&gz), &err), &notes, &err),
			      &b, &err),
			err);
		assert_int_equal(b.len, 0);
		assert_int_equal(notes.members, 1000000);
	}
}

/* 64 MiB of zeros from a few KiB: memory stays that of the buffers, bytes are counted. */
static void high_ratios_stream_Z05(void **state)
{
	cleanup_buf struct buf gz = BUF_INIT(128 << 20);
	uint8_t *zeros = calloc(1, 64 << 20);

	(void)state;
	add_member(&gz, span_of(zeros, 64 << 20), 9, NULL);
	for (int twin = 0; twin < 2; twin++) {
		dray_error *err = NULL;
		cleanup_source struct source *s = gunzipped(
			twin, source_from_span(span_buf(&gz), &err), NULL, &err);

		assert_ok(source_drain(s, &err), err);
		assert_int_equal(s->pos, 64 << 20);
	}
	free(zeros);
}

static void early_close_leaks_nothing_Z04(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(300000, 26);
	cleanup_buf struct buf gz = BUF_INIT(MOST);

	(void)state;
	add_member(&gz, span_buf(&bytes), 6, NULL);
	for (int i = 0; i < 20; i++) {
		dray_error *err = NULL;
		cleanup_source struct source *s = gunzipped(
			i % 2, torn_span(span_buf(&gz), 4093, -1, &err), NULL, &err);
		struct span got;

		assert_int_equal(source_skip(s, i * 10000, &err), i * 10000);
		assert_ok(source_peek(s, 5, &got, &err), err);
	}
}

struct decoding {
	bool twin;
	struct span gz;
};

static int decode(void *arg, dray_error **err)
{
	struct decoding *d = arg;
	struct source *in = source_from_span(d->gz, err);
	cleanup_source struct source *s = in ? gunzipped(d->twin, in, NULL, err) : NULL;

	return !s ? -1 : source_drain(s, err);
}

static void allocations_fail_cleanly_G17(void **state)
{
	cleanup_buf struct buf gz = BUF_INIT(MOST);

	(void)state;
	add_member(&gz, SPAN_LIT("some bytes"), 6, NULL);
	for (int twin = 0; twin < 2; twin++)
		torture_alloc(decode, &(struct decoding){ twin, span_buf(&gz) });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_every_level_and_kind_of_block),
		cmocka_unit_test(decodes_all_members_Z01),
		cmocka_unit_test(reads_every_header_field),
		cmocka_unit_test(zeros_may_follow_Z02),
		cmocka_unit_test(junk_may_not_follow_Z02),
		cmocka_unit_test(trailer_is_checked),
		cmocka_unit_test(truncation_is_found_at_every_byte),
		cmocka_unit_test(failures_of_the_input_pass),
		cmocka_unit_test(twins_agree_on_flips),
		cmocka_unit_test(a_million_empty_members_Z03),
		cmocka_unit_test(high_ratios_stream_Z05),
		cmocka_unit_test(early_close_leaks_nothing_Z04),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
