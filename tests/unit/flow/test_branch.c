/* SPDX-License-Identifier: Apache-2.0 */
/* For: a second reader of what passes.
 * Relies on: stream.h for pieces.
 * Promises: both see the same bytes, either one's failure ends the stage, nobody waits for ever.
 */
#include "stream.h"
#include "torture.h"

/* A second reader, and what it does. */
struct second {
	struct buf got;
	int64_t most;		/* leaves after so many bytes; -1 = reads to the end */
	bool fail;		/* ... with an error */
	enum dray_err_kind saw; /* of the error that it was shown */
};

static int second_read(void *arg, struct source *copy, dray_error **err)
{
	struct second *t = arg;
	dray_error *mine = NULL;

	if (t->most >= 0) {
		if (source_skip(copy, t->most, err) < 0)
			return -1;
		return t->fail ? err_set(err, DRAY_ERR_FORMAT, "not what I want") : 0;
	}
	if (source_slurp(copy, &t->got, &mine) == 0)
		return 0;
	t->saw = dray_error_kind(mine);
	if (err)
		*err = mine;
	return -1;
}

static struct second second_of(int64_t most, bool fail)
{
	return (struct second){ .got = BUF_INIT(4000000), .most = most, .fail = fail };
}

static void both_see_all(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(3000000, 21);

	(void)state;
	for (size_t i = 0; i < ROWS(stream_pieces); i++) {
		size_t len = stream_pieces[i] == 1 ? 20000 : bytes.len;
		struct second t = second_of(-1, false);
		cleanup_buf struct buf b = BUF_INIT(4000000);
		dray_error *err = NULL;

		assert_ok(slurp(source_branch(torn_span(span_of(bytes.data, len), stream_pieces[i],
							-1, &err),
					      second_read, &t, &err),
				&b, &err),
			  err);
		assert_int_equal(b.len, len);
		assert_memory_equal(b.data, bytes.data, len);
		assert_int_equal(t.got.len, len);
		assert_memory_equal(t.got.data, bytes.data, len);
		buf_clear(&t.got);
	}
}

static void its_error_is_the_stages(void **state)
{
	static const int64_t places[] = { 0, 1, 262144, 2999999, 3000000 };
	cleanup_buf struct buf bytes = make_bytes(3000000, 22);

	(void)state;
	for (size_t i = 0; i < ROWS(places); i++) {
		struct second t = second_of(places[i], true);
		cleanup_buf struct buf b = BUF_INIT(4000000);
		dray_error *err = NULL;

		assert_int_equal(slurp(source_branch(torn_span(span_buf(&bytes), 4093, -1, &err),
						     second_read, &t, &err),
				       &b, &err),
				 -1);
		assert_err(err, DRAY_ERR_FORMAT, "not what I want");
	}
}

static void it_may_leave_early(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(3000000, 23);
	struct second t = second_of(5, false);
	cleanup_buf struct buf b = BUF_INIT(4000000);
	dray_error *err = NULL;

	(void)state;
	assert_ok(slurp(source_branch(torn_span(span_buf(&bytes), 4093, -1, &err), second_read, &t,
				      &err),
			&b, &err),
		  err);
	assert_int_equal(b.len, bytes.len);
}

static void a_broken_source_breaks_it(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(300000, 24);
	struct second t = second_of(-1, false);
	cleanup_buf struct buf b = BUF_INIT(400000);
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(slurp(source_branch(torn_span(span_buf(&bytes), 4093, 200000, &err),
					     second_read, &t, &err),
			       &b, &err),
			 -1);
	assert_err(err, DRAY_ERR_SYSTEM, "injected");
	assert_int_equal(t.saw, DRAY_ERR_CANCELLED);
	buf_clear(&t.got);
}

static void may_be_freed_at_any_time_Z04(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(3000000, 25);

	(void)state;
	for (int i = 0; i < 60; i++) {
		struct second t = second_of(i % 3 ? -1 : 100, i % 2);
		dray_error *err = NULL;
		cleanup_source struct source *s = source_branch(
			torn_span(span_buf(&bytes), 4093, -1, &err), second_read, &t, &err);

		/* One that fails may have done so by now. */
		if (i % 2 && source_skip(s, 4000 * i, &err) < 0)
			assert_err(err, DRAY_ERR_FORMAT, "not what I want");
		source_free(steal_pointer(&s));
		buf_clear(&t.got);
	}
}

static int run(void *arg, dray_error **err)
{
	struct second t = second_of(-1, false);
	cleanup_source struct source *s = source_branch(source_from_span(*(struct span *)arg, err),
							second_read, &t, err);
	int rc = s ? source_drain(s, err) : -1;

	source_free(steal_pointer(&s));
	buf_clear(&t.got);
	return rc;
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
		cmocka_unit_test(both_see_all),
		cmocka_unit_test(its_error_is_the_stages),
		cmocka_unit_test(it_may_leave_early),
		cmocka_unit_test(a_broken_source_breaks_it),
		cmocka_unit_test(may_be_freed_at_any_time_Z04),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
