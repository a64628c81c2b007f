/* SPDX-License-Identifier: Apache-2.0 */
/* For: limit, watch, hash, verified, torn.
 * Relies on: stream.h for pieces.
 * Promises: in any pieces each byte is seen once, and no unproven end is reported.
 */
#include "stream.h"
#include "torture.h"

#include <inttypes.h>

static struct digest digest_for(struct span bytes)
{
	struct digest d;
	dray_error *err = NULL;

	assert_ok(digest_of(bytes, &d, &err), err);
	return d;
}

static void limit_stays_behind_its_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(stream_pieces); i++) {
		dray_error *err = NULL;
		cleanup_source struct source *in = torn_span(SPAN_LIT("headbodytail"),
							     stream_pieces[i], -1, &err);
		cleanup_buf struct buf b = BUF_INIT(100);

		assert_int_equal(source_skip(in, 4, &err), 4);
		assert_ok(slurp(source_limit(in, 4, &err), &b, &err), err);
		assert_span_is(span_buf(&b), "body");
		assert_int_equal(in->pos, 8);
		buf_reset(&b);
		assert_ok(slurp(source_limit(in, 0, &err), &b, &err), err);
		assert_int_equal(b.len, 0);
		assert_int_equal(slurp(source_limit(in, 5, &err), &b, &err), -1);
		assert_err(err, DRAY_ERR_FORMAT, "truncated at byte 12, 1 bytes early");
	}
}

static void limit_skips(void **state)
{
	dray_error *err = NULL;
	cleanup_source struct source *in = source_from_span(SPAN_LIT("0123456789"), &err);
	cleanup_source struct source *s = source_limit(in, 8, &err);
	cleanup_source struct source *t = NULL;

	(void)state;
	assert_int_equal(source_skip(s, 5, &err), 5);
	assert_int_equal(source_skip(s, 5, &err), 3);
	t = source_limit(in, 8, &err);
	assert_int_equal(source_skip(t, 5, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "truncated at byte 10, 6 bytes early");
}

static void see_buf(void *arg, struct span bytes)
{
	assert_int_equal(buf_add(arg, bytes, NULL), 0);
}

static void watch_shows_each_byte_once(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(10000, 4);

	(void)state;
	for (size_t i = 0; i < ROWS(stream_pieces); i++) {
		dray_error *err = NULL;
		cleanup_buf struct buf seen = BUF_INIT(20000);
		cleanup_source struct source *s = source_watch(
			torn_span(span_buf(&bytes), stream_pieces[i], -1, &err),
			(struct tap){ .see = see_buf, .arg = &seen }, &err);
		struct span got;

		assert_ok(source_peek(s, 900, &got, &err), err);
		assert_ok(source_peek(s, 1000, &got, &err), err);
		assert_int_equal(seen.len, 0);
		source_consume(s, 300);
		source_consume(s, 300);
		assert_int_equal(seen.len, 600);
		assert_int_equal(source_skip(s, 1000, &err), 1000);
		assert_ok(source_drain(s, &err), err);
		assert_span(span_buf(&seen), span_buf(&bytes));
	}
}

static void verified_passes_what_is_right(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(20000, 5);
	struct digest d = digest_for(span_buf(&bytes));

	(void)state;
	for (size_t i = 0; i < 2 * ROWS(stream_pieces); i++) {
		dray_error *err = NULL;
		cleanup_buf struct buf b = BUF_INIT(20000);
		struct source *s = torn_span(span_buf(&bytes), stream_pieces[i / 2], -1, &err);

		s = source_verified(s, &d, i % 2 ? 20000 : -1, "blob digest", &err);
		assert_ok(slurp(s, &b, &err), err);
		assert_span(span_buf(&b), span_buf(&bytes));
	}
}

/* No flipped bit, no missing and no added byte gets to a reported end. */
static void verified_never_ends_wrong_G05(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(1500, 6);
	struct digest d = digest_for(span_of(bytes.data, 1400));
	static const struct {
		size_t len;
		int flip;
		int64_t size;
		const char *message;
	} rows[] = {
		{ 1400, 0, -1, "blob digest" },	  { 1400, 1399, 1400, "blob digest" },
		{ 1399, -1, -1, "blob digest" },  { 1401, -1, -1, "blob digest" },
		{ 1399, -1, 1400, "1399 bytes" }, { 1401, -1, 1400, "at least" },
		{ 0, -1, -1, "blob digest" },	  { 0, -1, 1400, "0 bytes" },
		{ 1500, -1, 1400, "at least" },	  { 1400, -1, 1399, "blob digest" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows) * ROWS(stream_pieces); i++) {
		size_t row = i % ROWS(rows);
		dray_error *err = NULL;
		cleanup_buf struct buf copy = BUF_INIT(1500), b = BUF_INIT(1500);

		assert_ok(buf_add(&copy, span_of(bytes.data, rows[row].len), &err), err);
		if (rows[row].flip >= 0)
			copy.data[rows[row].flip] ^= 1;

		struct source *s = torn_span(span_buf(&copy), stream_pieces[i / ROWS(rows)], -1,
					     &err);

		s = source_verified(s, &d, rows[row].size, "blob digest", &err);
		assert_int_equal(slurp(s, &b, &err), -1);
		assert_err(err, DRAY_ERR_CORRUPT, rows[row].message);
	}
}

/* The rest of a stream, its beginning hashed by somebody else. */
static void verified_rest(void **state)
{
	struct digest d = digest_for(SPAN_LIT("right"));

	(void)state;
	for (size_t i = 0; i <= 5; i++) {
		for (int wrong = 0; wrong < 2; wrong++) {
			cleanup_hash struct hash h = { 0 };
			cleanup_buf struct buf b = BUF_INIT(10);
			dray_error *err = NULL;

			assert_ok(hash_init(&h, DIGEST_SHA256, &err), err);
			hash_update(&h,
				    span_head(wrong ? SPAN_LIT("rigth") : SPAN_LIT("right"), i));
			struct source *s = source_from_span(span_from(SPAN_LIT("right"), i), &err);
			s = source_verified_rest(s, &h, &d, 5, "blob digest", &err);
			assert_null(h.ctx);
			if (wrong && i > 3) {
				assert_int_equal(slurp(s, &b, &err), -1);
				assert_err(err, DRAY_ERR_CORRUPT, "blob digest");
			} else {
				assert_ok(slurp(s, &b, &err), err);
				assert_int_equal(b.len, 5 - i);
			}
		}
	}
}

/* A short loan shows the end, so it has to be proven before it is lent. */
static void verified_proves_short_loans(void **state)
{
	struct digest d = digest_for(SPAN_LIT("right"));
	dray_error *err = NULL;
	cleanup_source struct source *bad = source_verified(
		source_from_span(SPAN_LIT("wrong"), &err), &d, -1, "x", &err);
	cleanup_source struct source *good = source_verified(
		source_from_span(SPAN_LIT("right"), &err), &d, -1, "x", &err);
	struct span got;

	(void)state;
	assert_int_equal(source_peek(bad, 6, &got, &err), -1);
	assert_err_kind(err, DRAY_ERR_CORRUPT);
	assert_ok(source_peek(good, 6, &got, &err), err);
	assert_span_is(got, "right");
	source_consume(good, 2);
	assert_ok(source_peek(good, 6, &got, &err), err);
	assert_span_is(got, "ght");
	assert_ok(source_drain(good, &err), err);
}

static void verified_refuses_what_it_cannot_compute_M06(void **state)
{
	struct digest d;
	dray_error *err = NULL;

	(void)state;
	assert_ok(digest_parse(SPAN_LIT("sha384:abc"), &d, &err), err);
	assert_null(source_verified(source_from_span(SPAN_LIT("x"), &err), &d, -1, "x", &err));
	assert_err_kind(err, DRAY_ERR_UNSUPPORTED);
}

static void torn_fails_where_told(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(600, 7);

	(void)state;
	for (size_t i = 0; i < ROWS(stream_pieces); i++) {
		for (int64_t at = 0; at <= 600; at++) {
			dray_error *err = NULL;
			cleanup_buf struct buf b = BUF_INIT(600);

			assert_int_equal(
				slurp(torn_span(span_buf(&bytes), stream_pieces[i], at, &err), &b,
				      &err),
				-1);
			assert_int_equal(b.len, at);
			assert_err(err, DRAY_ERR_SYSTEM, "injected");
		}
	}
}

static void null_passes_through(void **state)
{
	struct digest d = digest_for(SPAN_LIT("x"));
	struct hash h = { 0 };

	(void)state;
	assert_null(source_limit(NULL, 1, NULL));
	assert_null(source_watch(NULL, (struct tap){ 0 }, NULL));
	assert_null(source_hash(NULL, &h, NULL));
	assert_null(source_verified(NULL, &d, 1, "x", NULL));
	assert_null(source_replayable(NULL, 1, NULL));
	assert_null(source_readahead(NULL, 1, NULL));
	assert_null(source_torn(NULL, 1, -1, NULL));
	source_free(NULL);
}

static int whole_pipeline(void *arg, dray_error **err)
{
	cleanup_hash struct hash h = { 0 };
	struct source *s = source_from_span(SPAN_LIT("right"), err);

	s = source_verified(s, arg, 5, "blob digest", err);
	s = source_torn(s, 1, -1, err);
	if (!s)
		return -1;
	if (hash_init(&h, DIGEST_SHA256, err) < 0) {
		source_free(s);
		return -1;
	}
	cleanup_source struct source *hashed = source_hash(s, &h, err);
	cleanup_source struct source *part = hashed ? source_limit(hashed, 5, err) : NULL;

	return !part ? -1 : source_drain(part, err);
}

static void allocations_fail_cleanly_G17(void **state)
{
	struct digest d = digest_for(SPAN_LIT("right"));

	(void)state;
	torture_alloc(whole_pipeline, &d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limit_stays_behind_its_bytes),
		cmocka_unit_test(limit_skips),
		cmocka_unit_test(watch_shows_each_byte_once),
		cmocka_unit_test(verified_passes_what_is_right),
		cmocka_unit_test(verified_never_ends_wrong_G05),
		cmocka_unit_test(verified_rest),
		cmocka_unit_test(verified_proves_short_loans),
		cmocka_unit_test(verified_refuses_what_it_cannot_compute_M06),
		cmocka_unit_test(torn_fails_where_told),
		cmocka_unit_test(null_passes_through),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
