/* SPDX-License-Identifier: Apache-2.0 */
/* For: sinks and pump().
 * Relies on: a temporary folder.
 * Promises: what is not finished leaves nothing behind (G-01).
 */
#include "flow/sink.h"

#include <errno.h>

#include "stream.h"
#include "torture.h"

static void pumps_into_memory(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(300000, 11);

	(void)state;
	for (size_t i = 0; i < ROWS(stream_pieces); i++) {
		dray_error *err = NULL;
		cleanup_buf struct buf b = BUF_INIT(300000);
		cleanup_source struct source *s = torn_span(span_buf(&bytes), stream_pieces[i], -1,
							    &err);
		cleanup_sink struct sink *k = sink_to_buf(&b, &err);

		assert_ok(pump(s, k, &err), err);
		assert_int_equal(k->pos, 300000);
		assert_ok(sink_finish(k, &err), err);
		assert_span(span_buf(&b), span_buf(&bytes));
	}
}

static void null_counts(void **state)
{
	dray_error *err = NULL;
	cleanup_source struct source *s = source_from_span(SPAN_LIT("12345"), &err);
	cleanup_sink struct sink *k = sink_null(&err);

	(void)state;
	assert_int_equal(pump(s, k, &err), 5);
	assert_int_equal(k->pos, 5);
	assert_ok(sink_finish(k, &err), err);
}

static void a_file_appears_on_finish_G01(void **state)
{
	dray_error *err = NULL;
	int dir;
	char *path = temp_dir_make(&dir);
	struct sink *k = sink_to_file(dir, "out", false, &err);

	(void)state;
	assert_ok(k ? 0 : -1, err);
	assert_ok(sink_write(k, SPAN_LIT("half"), &err), err);
	assert_int_equal(faccessat(dir, "out", F_OK, 0), -1);
	sink_free(k);
	assert_int_equal(dir_count(dir), 0);

	k = sink_to_file(dir, "out", false, &err);
	assert_ok(k ? 0 : -1, err);
	assert_ok(sink_write(k, SPAN_LIT("who"), &err), err);
	assert_ok(sink_write(k, SPAN_LIT("le"), &err), err);
	assert_ok(sink_finish(k, &err), err);
	sink_free(k);
	assert_file_is(dir, "out", "whole");
	assert_int_equal(dir_count(dir), 1);
	temp_dir_remove(path, dir);
}

static void splices_extents(void **state)
{
	dray_error *err = NULL;
	int dir;
	char *path = temp_dir_make(&dir);
	cleanup_buf struct buf b = BUF_INIT(100);

	(void)state;
	put_file(dir, "in", SPAN_LIT("0123456789"));

	cleanup_fd int in = openat(dir, "in", O_RDONLY | O_CLOEXEC);
	struct sink *k = sink_to_file(dir, "out", false, &err);

	assert_ok(k ? 0 : -1, err);
	assert_ok(sink_write(k, SPAN_LIT("<"), &err), err);
	assert_ok(sink_splice(k, in, 2, 5, &err), err);
	assert_ok(sink_write(k, SPAN_LIT(">"), &err), err);
	assert_int_equal(k->pos, 7);
	assert_ok(sink_finish(k, &err), err);
	sink_free(k);
	assert_file_is(dir, "out", "<23456>");

	k = sink_to_buf(&b, &err);
	assert_ok(sink_splice(k, in, 2, 5, &err), err);
	assert_span_is(span_buf(&b), "23456");
	assert_int_equal(sink_splice(k, in, 8, 5, &err), -1);
	assert_err_kind(err, DRAY_ERR_CORRUPT);
	sink_free(k);
	temp_dir_remove(path, dir);
}

static void a_pipe_takes_bytes(void **state)
{
	dray_error *err = NULL;
	int fds[2];
	char data[10];

	(void)state;
	assert_int_equal(pipe(fds), 0);

	cleanup_sink struct sink *k = sink_to_fd(fds[1], true, &err);

	assert_ok(sink_write(k, SPAN_LIT("abc"), &err), err);
	assert_ok(sink_finish(k, &err), err);
	assert_int_equal(read(fds[0], data, sizeof(data)), 3);
	assert_int_equal(read(fds[0], data, sizeof(data)), 0);
	close(fds[0]);
}

static void source_failure_stops_the_pump(void **state)
{
	dray_error *err = NULL;
	cleanup_buf struct buf b = BUF_INIT(100);
	cleanup_source struct source *s = torn_span(SPAN_LIT("abcdef"), 1, 4, &err);
	cleanup_sink struct sink *k = sink_to_buf(&b, &err);

	(void)state;
	assert_int_equal(pump(s, k, &err), -1);
	assert_err(err, DRAY_ERR_SYSTEM, "injected failure at byte 4");
	assert_span_is(span_buf(&b), "abcd");
}

struct writing {
	int dir;
};

static int write_file(void *arg, dray_error **err)
{
	struct writing *w = arg;

	unlinkat(w->dir, "out", 0);
	cleanup_sink struct sink *k = sink_to_file(w->dir, "out", false, err);

	if (!k || sink_write(k, SPAN_LIT("whole"), err) < 0)
		return -1;
	return sink_finish(k, err);
}

/* Either nothing or all of it, and never a leftover. */
static void check_folder(void *arg, bool failed)
{
	struct writing *w = arg;
	bool there = faccessat(w->dir, "out", F_OK, 0) == 0;

	assert_true(there || failed);
	assert_true(dir_count(w->dir) <= 1);
	if (there)
		assert_file_is(w->dir, "out", "whole");
}

static void faults_leave_all_or_nothing_G01(void **state)
{
	struct writing w;
	char *path = temp_dir_make(&w.dir);

	(void)state;
	torture_alloc(write_file, &w);
	torture_io(write_file, &w, ENOSPC, check_folder);
	temp_dir_remove(path, w.dir);
}

/* Half of it is taken back, and what was there before stays. */
static void check_restart(struct sink *k, const char *want, int dir)
{
	cleanup_buf struct buf got = BUF_INIT(100);
	dray_error *err = NULL;

	assert_true(sink_can_restart(k));
	assert_ok(sink_write(k, SPAN_LIT("more than there will be"), &err), err);
	assert_ok(sink_restart(k, &err), err);
	assert_int_equal(k->pos, 0);
	assert_ok(sink_write(k, SPAN_LIT("new"), &err), err);
	assert_ok(sink_finish(k, &err), err);
	sink_free(k);
	assert_ok(slurp(source_from_fd(openat(dir, "out", O_RDONLY), true, &err), &got, &err), err);
	assert_span_is(span_buf(&got), want);
}

static void files_may_start_again(void **state)
{
	int dir, fds[2];
	char *path = temp_dir_make(&dir);
	dray_error *err = NULL;
	struct sink *k;
	int fd;

	(void)state;
	check_restart(sink_to_file(dir, "out", false, &err), "new", dir);
	fd = openat(dir, "out", O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "old ", 4), 4);
	check_restart(sink_to_fd(fd, true, &err), "old new", dir);
	/* Somebody's bytes lie behind, somebody else writes, it cannot be taken back. */
	assert_int_equal(pipe(fds), 0);
	const int no[] = { openat(dir, "out", O_WRONLY), openat(dir, "out", O_WRONLY | O_APPEND),
			   fds[1], open("/dev/null", O_WRONLY) };
	for (size_t i = 0; i < ROWS(no); i++) {
		k = sink_to_fd(no[i], true, &err);
		assert_false(sink_can_restart(k));
		sink_free(k);
	}
	k = sink_null(&err);
	assert_false(sink_can_restart(k));
	sink_free(k);
	close(fds[0]);
	temp_dir_remove(path, dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pumps_into_memory),
		cmocka_unit_test(null_counts),
		cmocka_unit_test(files_may_start_again),
		cmocka_unit_test(a_file_appears_on_finish_G01),
		cmocka_unit_test(splices_extents),
		cmocka_unit_test(a_pipe_takes_bytes),
		cmocka_unit_test(source_failure_stops_the_pump),
		cmocka_unit_test(faults_leave_all_or_nothing_G01),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
