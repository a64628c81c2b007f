/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the lines that progress is made of, and the books behind them.
 * Relies on: support.h; the test owns the clock.
 * Promises: no line is wider than the terminal; what ended is counted once.
 */
#include "../support.h"
#include "cli/progress.h"

static void test_eta(void **state)
{
	static const struct {
		int64_t seconds;
		const char *want;
	} rows[] = {
		{ -1, "-:--" },	     { 0, "0:00" },	     { 59, "0:59" },	 { 61, "1:01" },
		{ 3661, "1:01:01" }, { 359999, "99:59:59" }, { 360000, "-:--" },
	};
	char text[HUMAN_ETA];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_string_equal(human_eta(rows[i].seconds, text), rows[i].want);
}

static void event(struct progress *p, enum dray_progress_state state, uint64_t id, int64_t done,
		  int64_t total, int64_t now)
{
	const struct dray_progress e = { state, id,    "layer 1/2 sha256:0123456789ab",
					 done,	total, NULL };

	progress_event(p, &e, now);
}

static void check_line(const struct progress *p, int64_t now, const char *want)
{
	cleanup_buf struct buf b = BUF_INIT(1000);

	assert_int_equal(progress_line(p, NULL, now, &b), 0);
	assert_span_is(span_buf(&b), want);
}

static void test_totals(void **state)
{
	struct progress p = { .style = PROGRESS_PLAIN, .columns = 80, .rows = 4 };

	(void)state;
	event(&p, DRAY_PROGRESS_BEGIN, 1, 0, 4000000, 1000);
	event(&p, DRAY_PROGRESS_BEGIN, 2, 0, 4000000, 1000);
	check_line(&p, 1000, "2 in flight, 0 done, 0 already there: 0 B of 8.0 MB");
	event(&p, DRAY_PROGRESS_BYTES, 1, 2000000, 4000000, 2000);
	check_line(&p, 2000,
		   "2 in flight, 0 done, 0 already there: "
		   "2.0 MB of 8.0 MB, 2.0 MB/s, 0:03 left");
	event(&p, DRAY_PROGRESS_DONE, 1, 4000000, 4000000, 3000);
	check_line(&p, 3000,
		   "1 in flight, 1 done, 0 already there: "
		   "4.0 MB of 8.0 MB, 2.0 MB/s, 0:02 left");
	event(&p, DRAY_PROGRESS_SKIPPED, 3, 0, 500, 3000);
	event(&p, DRAY_PROGRESS_FAILED, 2, 7, 4000000, 3000);
	check_line(&p, 3000,
		   "0 in flight, 1 done, 1 already there: "
		   "4.0 MB of 4.0 MB, 2.0 MB/s, 0:00 left");
	progress_clear(&p);
}

static void test_unknown_total(void **state)
{
	struct progress p = { .style = PROGRESS_PLAIN, .columns = 80, .rows = 4 };

	(void)state;
	event(&p, DRAY_PROGRESS_BEGIN, 1, 0, -1, 1000);
	event(&p, DRAY_PROGRESS_BYTES, 1, 1500, -1, 2000);
	check_line(&p, 2000, "1 in flight, 0 done, 0 already there: 1.5 kB, 1.0 kB/s");
	progress_clear(&p);
}

static void test_width(void **state)
{
	(void)state;
	for (size_t columns = 1; columns < 200; columns++) {
		struct progress p = { .style = PROGRESS_BARS, .columns = columns };
		cleanup_buf struct buf b = BUF_INIT(1000);

		p.begun_ms = 1;
		p.bytes_finished = 123456789000;
		p.len = 0;
		assert_int_equal(progress_line(&p, NULL, 100000, &b), 0);
		assert_true(b.len < columns || b.len == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eta),
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_unknown_total),
		cmocka_unit_test(test_width),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
