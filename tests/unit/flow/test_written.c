/* SPDX-License-Identifier: Apache-2.0 */
/* For: reading what another thread writes.
 * Relies on: stream.h for bytes.
 * Promises: same bytes, the writer's error in place of the end, no deadlock at any early end.
 */
#include "base/cancel.h"
#include "flow/sink.h"
#include "stream.h"
#include "torture.h"

#define TOTAL 1500000

/* A writer, and what became of it. */
struct writer {
	struct span bytes;
	size_t piece;
	int64_t fail_at; /* -1 = never */
	bool through;
	bool cancelled;
};

static struct writer writer_of(struct span bytes, size_t piece, int64_t fail_at)
{
	return (struct writer){ .bytes = bytes, .piece = piece, .fail_at = fail_at };
}

static int write_pieces(void *arg, struct sink *k, dray_error **err)
{
	struct writer *w = arg;
	struct span left = w->bytes;

	while (left.len > 0) {
		if (w->fail_at >= 0 && k->pos >= w->fail_at)
			return err_set(err, DRAY_ERR_FORMAT, "no more to tell");
		if (sink_write(k, span_head(left, w->piece), err) < 0) {
			w->cancelled = cancel_requested();
			return -1;
		}
		left = span_from(left, w->piece < left.len ? w->piece : left.len);
	}
	if (w->fail_at >= 0)
		return err_set(err, DRAY_ERR_FORMAT, "no more to tell");
	w->through = true;
	return 0;
}

static void same_bytes(void **state)
{
	static const size_t aheads[] = { 0, 1 << 20 };
	cleanup_buf struct buf bytes = make_bytes(TOTAL, 31);

	(void)state;
	for (size_t i = 0; i < ROWS(stream_pieces) * ROWS(aheads); i++) {
		size_t piece = stream_pieces[i % ROWS(stream_pieces)];
		size_t len = piece == 1 ? 20000 : TOTAL;
		struct writer w = writer_of(span_of(bytes.data, len), piece, -1);
		cleanup_buf struct buf got = BUF_INIT(TOTAL);
		dray_error *err = NULL;

		assert_ok(slurp(source_written(write_pieces, &w, aheads[i / ROWS(stream_pieces)],
					       &err),
				&got, &err),
			  err);
		assert_true(w.through);
		assert_span(span_buf(&got), w.bytes);
	}
}

static void nothing_is_an_end(void **state)
{
	struct writer w = writer_of((struct span){ 0 }, 1, -1);
	cleanup_buf struct buf got = BUF_INIT(TOTAL);
	dray_error *err = NULL;

	(void)state;
	assert_ok(slurp(source_written(write_pieces, &w, 0, &err), &got, &err), err);
	assert_int_equal(got.len, 0);
}

static void its_error_comes_in_place_of_the_end(void **state)
{
	static const int64_t places[] = { 0, 4093, 262144, TOTAL };
	cleanup_buf struct buf bytes = make_bytes(TOTAL, 32);

	(void)state;
	for (size_t i = 0; i < ROWS(places); i++) {
		struct writer w = writer_of(span_buf(&bytes), 4093, places[i]);
		cleanup_buf struct buf got = BUF_INIT(TOTAL);
		dray_error *err = NULL;

		assert_int_equal(slurp(source_written(write_pieces, &w, 100000, &err), &got, &err),
				 -1);
		assert_err(err, DRAY_ERR_FORMAT, "no more to tell");
		assert_true((int64_t)got.len >= places[i] && (int64_t)got.len < places[i] + 4093);
	}
}

/* The writer may be waiting for room, be done, or have failed with nobody to hear it. */
static void may_be_freed_at_any_time_Z04(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(TOTAL, 33);

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct writer w = writer_of(span_buf(&bytes), 4093, i % 3 ? -1 : 100000);
		dray_error *err = NULL;
		cleanup_source struct source *s = source_written(write_pieces, &w, 100000, &err);
		struct span got;

		assert_non_null(s);
		if (i % 2)
			assert_ok(source_peek(s, 1, &got, &err), err);
		if (i % 4 == 3)
			source_consume(s, got.len);
		source_free(steal_pointer(&s));
		assert_false(w.through);
		assert_true(w.cancelled || w.fail_at >= 0);
	}
}

static int run(void *arg, dray_error **err)
{
	struct writer w = writer_of(*(struct span *)arg, 1, -1);
	cleanup_source struct source *s = source_written(write_pieces, &w, 1000000, err);

	return !s ? -1 : source_drain(s, err);
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
		cmocka_unit_test(its_error_comes_in_place_of_the_end),
		cmocka_unit_test(may_be_freed_at_any_time_Z04),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
