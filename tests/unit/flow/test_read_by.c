/* SPDX-License-Identifier: Apache-2.0 */
/* For: writing what another thread reads.
 * Relies on: stream.h for bytes.
 * Promises: same bytes, the reader's answer at the end, no deadlock at any early end.
 */
#include "base/cancel.h"
#include "flow/sink.h"
#include "stream.h"
#include "torture.h"

#define TOTAL 1500000

/* A reader, and what became of it. */
struct reader {
	struct buf got;
	int64_t stop_at; /* -1 = never: then it wants no more */
	bool fails;	 /* ... and fails instead */
	bool through;
	bool cancelled;
};

static void reader_clear(struct reader *r)
{
	buf_clear(&r->got);
}
#define cleanup_reader CLEANUP(reader_clear)

static struct reader reader_of(int64_t stop_at, bool fails)
{
	return (struct reader){ .got = BUF_INIT(TOTAL), .stop_at = stop_at, .fails = fails };
}

static int stop(const struct reader *r, dray_error **err)
{
	return r->fails ? err_set(err, DRAY_ERR_FORMAT, "not what it should be") : 0;
}

static int read_all(void *arg, struct source *copy, dray_error **err)
{
	struct reader *r = arg;
	struct span s;

	while (r->stop_at < 0 || copy->pos < r->stop_at) {
		if (source_peek(copy, 1, &s, err) < 0) {
			r->cancelled = cancel_requested();
			return -1;
		}
		if (s.len == 0) {
			r->through = true;
			return 0;
		}
		if (buf_add(&r->got, s, err) < 0)
			return -1;
		source_consume(copy, s.len);
	}
	return stop(r, err);
}

static int write_pieces(struct sink *k, struct span bytes, size_t piece, dray_error **err)
{
	while (bytes.len > 0) {
		if (sink_write(k, span_head(bytes, piece), err) < 0)
			return -1;
		bytes = span_from(bytes, piece < bytes.len ? piece : bytes.len);
	}
	return 0;
}

static int write_all(struct reader *r, struct span bytes, size_t piece, size_t ahead,
		     dray_error **err)
{
	cleanup_sink struct sink *k = sink_read_by(read_all, r, ahead, err);

	if (!k || write_pieces(k, bytes, piece, err) < 0)
		return -1;
	return sink_finish(k, err);
}

static void same_bytes(void **state)
{
	static const size_t aheads[] = { 0, 1 << 20 };
	cleanup_buf struct buf bytes = make_bytes(TOTAL, 31);

	(void)state;
	for (size_t i = 0; i < ROWS(stream_pieces) * ROWS(aheads); i++) {
		size_t piece = stream_pieces[i % ROWS(stream_pieces)];
		struct span want = span_of(bytes.data, piece == 1 ? 20000 : TOTAL);
		struct reader r cleanup_reader = reader_of(-1, false);
		dray_error *err = NULL;

		assert_ok(write_all(&r, want, piece, aheads[i / ROWS(stream_pieces)], &err), err);
		assert_true(r.through);
		assert_span(span_buf(&r.got), want);
	}
}

static void nothing_is_an_end(void **state)
{
	struct reader r cleanup_reader = reader_of(-1, false);
	dray_error *err = NULL;

	(void)state;
	assert_ok(write_all(&r, (struct span){ 0 }, 1, 0, &err), err);
	assert_true(r.through);
	assert_int_equal(r.got.len, 0);
}

/* At the next write or at the end, whenever it comes. */
static void its_error_reaches_the_writer(void **state)
{
	static const int64_t places[] = { 0, 1, 4093, 262144, TOTAL };
	cleanup_buf struct buf bytes = make_bytes(TOTAL, 32);

	(void)state;
	for (size_t i = 0; i < ROWS(places); i++) {
		struct reader r cleanup_reader = reader_of(places[i], true);
		dray_error *err = NULL;

		assert_int_equal(write_all(&r, span_buf(&bytes), 4093, 100000, &err), -1);
		assert_err(err, DRAY_ERR_FORMAT, "not what it should be");
		assert_true((int64_t)r.got.len >= places[i]);
	}
}

static void who_has_enough_takes_no_more(void **state)
{
	static const int64_t places[] = { 0, 1, 262144, TOTAL };
	cleanup_buf struct buf bytes = make_bytes(TOTAL, 33);

	(void)state;
	for (size_t i = 0; i < ROWS(places); i++) {
		struct reader r cleanup_reader = reader_of(places[i], false);
		dray_error *err = NULL;

		assert_ok(write_all(&r, span_buf(&bytes), 4093, 100000, &err), err);
		assert_false(r.through);
	}
}

/* The reader may be waiting for bytes, be done, or have failed with nobody to hear it. */
static void may_be_freed_at_any_time_Z04(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(TOTAL, 34);

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct reader r cleanup_reader = reader_of(i % 3 ? -1 : 100000, i % 2);
		dray_error *err = NULL;
		cleanup_sink struct sink *k = sink_read_by(read_all, &r, 100000, &err);

		assert_non_null(k);
		if (i % 4 &&
		    write_pieces(k, span_head(span_buf(&bytes), 1000 * (size_t)i), 4093, &err) < 0)
			assert_err(err, DRAY_ERR_FORMAT, "not what it should be");
		sink_free(steal_pointer(&k));
		assert_false(r.through);
		assert_true(r.cancelled || r.stop_at >= 0);
	}
}

static int run(void *arg, dray_error **err)
{
	struct reader r cleanup_reader = reader_of(-1, false);

	return write_all(&r, *(struct span *)arg, 1, 1000000, err);
}

static void allocations_fail_cleanly_G17(void **state)
{
	struct span bytes = SPAN_LIT("abc");

	(void)state;
	torture_alloc(run, &bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_bytes),
		cmocka_unit_test(nothing_is_an_end),
		cmocka_unit_test(its_error_reaches_the_writer),
		cmocka_unit_test(who_has_enough_takes_no_more),
		cmocka_unit_test(may_be_freed_at_any_time_Z04),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
