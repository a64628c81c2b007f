/* SPDX-License-Identifier: Apache-2.0 */
/* For: reading on another thread.
 * Relies on: stream.h for pieces.
 * Promises: same bytes, same error at the same place, no deadlock at any early end.
 */
#include "stream.h"
#include "torture.h"

static struct source *ahead_of(struct span bytes, size_t piece, int64_t fail_at, size_t ahead,
			       dray_error **err)
{
	return source_readahead(torn_span(bytes, piece, fail_at, err), ahead, err);
}

static void same_bytes(void **state)
{
	static const size_t mins[] = { 1, 513, SOURCE_PEEK_MAX };
	static const size_t aheads[] = { 0, 1 << 20 };
	cleanup_buf struct buf bytes = make_bytes(1500000, 12);

	(void)state;
	for (size_t i = 1; i < ROWS(stream_pieces) * ROWS(mins) * ROWS(aheads); i++) {
		dray_error *err = NULL;

		if (stream_pieces[i % ROWS(stream_pieces)] == 1)
			continue;
		size_t min = mins[i / ROWS(stream_pieces) % ROWS(mins)];
		cleanup_source struct source *s = ahead_of(
			span_buf(&bytes), stream_pieces[i % ROWS(stream_pieces)], -1,
			aheads[i / ROWS(stream_pieces) / ROWS(mins)], &err);
		struct span got;

		do {
			assert_ok(source_peek(s, min, &got, &err), err);
			assert_memory_equal(got.data, bytes.data + s->pos, got.len);
			assert_true(got.len >= min || s->pos + (int64_t)got.len == 1500000);
			source_consume(s, got.len > min ? got.len - min / 2 : got.len);
		} while (got.len > 0);
		assert_int_equal(s->pos, 1500000);
	}
}

static void errors_come_in_order(void **state)
{
	static const int64_t places[] = { 0, 1, 5000, 262143, 262144, 262145, 300000 };
	cleanup_buf struct buf bytes = make_bytes(300000, 13);

	(void)state;
	for (size_t i = 0; i < ROWS(places) * ROWS(stream_pieces); i++) {
		dray_error *err = NULL;
		cleanup_buf struct buf b = BUF_INIT(300000);
		int64_t at = places[i % ROWS(places)];

		/* Single bytes change hands one by one: a few are enough. */
		if (stream_pieces[i / ROWS(places)] == 1 && at > 5000)
			continue;

		assert_int_equal(slurp(ahead_of(span_buf(&bytes), stream_pieces[i / ROWS(places)],
						at, 300000, &err),
				       &b, &err),
				 -1);
		assert_int_equal(b.len, at);
		assert_err(err, DRAY_ERR_SYSTEM, "injected");
	}
}

/* The producer may be waiting for room, be done, or hold an error nobody took. */
static void may_be_freed_at_any_time_Z04(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(2000000, 14);

	(void)state;
	for (int i = 0; i < 100; i++) {
		dray_error *err = NULL;
		cleanup_source struct source *s = ahead_of(span_buf(&bytes), 4093,
							   i % 3 ? -1 : 100000, 100000, &err);
		struct span got;

		if (i % 2)
			assert_ok(source_peek(s, 1, &got, &err), err);
		if (i % 4 == 3)
			source_consume(s, got.len);
	}
}

static void a_slow_pipe_is_not_held_back(void **state)
{
	dray_error *err = NULL;
	int fds[2];
	struct span got;

	(void)state;
	assert_int_equal(pipe(fds), 0);

	cleanup_source struct source *s = source_readahead(source_from_fd(fds[0], true, &err),
							   1 << 20, &err);

	/* Each piece arrives although more may follow. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(write(fds[1], "abc", 3), 3);
		assert_ok(source_peek(s, 3, &got, &err), err);
		assert_span_is(got, "abc");
		source_consume(s, 3);
	}
	close(fds[1]);
	assert_ok(source_peek(s, 1, &got, &err), err);
	assert_int_equal(got.len, 0);
}

static int run(void *arg, dray_error **err)
{
	cleanup_source struct source *s = ahead_of(*(struct span *)arg, 1, -1, 1000000, err);

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
		cmocka_unit_test(errors_come_in_order),
		cmocka_unit_test(may_be_freed_at_any_time_Z04),
		cmocka_unit_test(a_slow_pipe_is_not_held_back),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
