/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs that answer, stay silent, leave early or never leave.
 */
#include "torture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/process.h"

/* @p script with @p fds; its wait status. */
static int run_sh(const char *script, const struct process_fds *fds, int64_t ms)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	cleanup_process struct process p = PROCESS_INIT;
	dray_error *err = NULL;

	assert_ok(process_start(&p, argv, fds, &err), err);
	return process_end(&p, ms == INT64_MAX ? ms : io_now_ms() + ms);
}

static const struct process_fds nothing = { .in = -1, .out = -1, .errors = -1 };

static void process_status(void **state)
{
	(void)state;
	assert_int_equal(WEXITSTATUS(run_sh("exit 7", &nothing, INT64_MAX)), 7);
	assert_true(WIFSIGNALED(run_sh("exec sleep 100", &nothing, 50)));
	/* Standard input is empty, the outputs take what comes. */
	assert_int_equal(run_sh("cat; echo x; echo y >&2", &nothing, INT64_MAX), 0);
}

/* Ours are ignored here; theirs are not. */
static void process_signals(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(WTERMSIG(run_sh("kill -PIPE $$", &nothing, INT64_MAX)), SIGPIPE);
}

/* Under valgrind a child is never a vfork, so that its failure to start comes as status 127. */
static bool under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

static void process_missing(void **state)
{
	const char *const argv[] = { "no-such-program-of-dray", NULL };
	cleanup_process struct process p = PROCESS_INIT;
	dray_error *err = NULL;

	(void)state;
	if (under_valgrind())
		skip();
	assert_int_equal(process_start(&p, argv, &nothing, &err), -1);
	assert_int_equal(dray_error_errno(err), ENOENT);
	assert_err(err, DRAY_ERR_SYSTEM, "no-such-program-of-dray");
	assert_int_equal(process_end(&p, 0), -1);
}

/* Data through a socket, the answer through a pipe; more than either holds. */
static int talk(void *arg, dray_error **err)
{
	const char *const argv[] = { "wc", "-c", NULL };
	static const uint8_t piece[65536];
	cleanup_process struct process p = PROCESS_INIT;
	cleanup_buf struct buf answer = BUF_INIT(64);
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	int64_t left = *(int *)arg;
	bool gone = false;
	int rc = -1;

	if (process_socket(in, err) < 0 || process_pipe(out, err) < 0 ||
	    process_start(&p, argv,
			  &(struct process_fds){ .in = in[0], .out = out[1], .errors = -1 },
			  err) < 0)
		goto out;
	cleanup_fd_fn(&in[0]);
	cleanup_fd_fn(&out[1]);
	in[0] = out[1] = -1;
	while (left > 0) {
		struct pollfd f = { .fd = in[1], .events = POLLOUT };
		size_t n = left < (int64_t)sizeof(piece) ? (size_t)left : sizeof(piece);
		int64_t sent;

		if (process_poll(&f, 1, 1000, err) < 0)
			goto out;
		sent = process_feed(in[1], span_of(piece, n), &gone, err);
		if (sent < 0)
			goto out;
		left -= sent;
	}
	cleanup_fd_fn(&in[1]);
	in[1] = -1;
	while ((rc = process_gather(out[0], &answer, err)) > 0)
		;
	if (rc == 0 && process_end(&p, INT64_MAX) != 0)
		rc = err_set(err, DRAY_ERR_SYSTEM, "wc failed");
	if (rc == 0 && strtol((char *)answer.data, NULL, 10) != *(int *)arg)
		rc = err_set(err, DRAY_ERR_CORRUPT, "bytes lost");
out:
	for (int i = 0; i < 2; i++) {
		cleanup_fd_fn(&in[i]);
		cleanup_fd_fn(&out[i]);
	}
	return rc;
}

static void process_talk(void **state)
{
	int big = 3 * 1024 * 1024 + 1, small = 10;
	dray_error *err = NULL;

	(void)state;
	assert_ok(talk(&big, &err), err);
	torture_io(talk, &small, EIO, NULL);
	torture_alloc(talk, &small);
}

/* A reader that left is no signal and no error, but it is told. */
static void process_gone(void **state)
{
	int pair[2];
	bool gone = false;
	dray_error *err = NULL;

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	assert_ok(process_socket(pair, &err), err);
	assert_int_equal(process_feed(pair[1], SPAN_LIT("x"), &gone, &err), 1);
	assert_false(gone);
	close(pair[0]);
	assert_int_equal(process_feed(pair[1], SPAN_LIT("x"), &gone, &err), 0);
	assert_true(gone);
	close(pair[1]);
}

/* What does not fit is read all the same, or the writer would wait for ever. */
static void process_bounded(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(3);
	int pipe[2];
	dray_error *err = NULL;

	(void)state;
	assert_ok(process_pipe(pipe, &err), err);
	assert_true(pipe[0] >= 3 && pipe[1] >= 3);
	assert_ok(io_write_all(pipe[1], SPAN_LIT("hello"), &err), err);
	close(pipe[1]);
	assert_int_equal(process_gather(pipe[0], &b, &err), 1);
	assert_true(span_is(span_buf(&b), "hel"));
	assert_int_equal(process_gather(pipe[0], &b, &err), 0);
	close(pipe[0]);
}

/* Only what was handed over is open there, and it is a file that begins at its start. */
static void process_descriptors(void **state)
{
	char script[200];
	dray_error *err = NULL;

	(void)state;
	cleanup_fd int kept = process_memory(SPAN_LIT("kept"), &err);
	cleanup_fd int other = process_memory(SPAN_LIT("other"), &err);
	assert_true(kept >= 3 && other >= 3);
	snprintf(script, sizeof(script),
		 "test \"$(cat /proc/self/fd/%d)\" = kept && test \"$(cat <&%d)\" = kept && "
		 "! test -e /proc/self/fd/%d",
		 kept, kept, other);
	assert_int_equal(
		run_sh(script,
		       &(struct process_fds){
			       .in = -1, .out = -1, .errors = -1, .keep = &kept, .n_keep = 1 },
		       INT64_MAX),
		0);
}

/* A host of the library may run without standard descriptors. */
static void process_low_descriptors(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		int small = 10;

		close(0);
		close(1);
		_exit(talk(&small, NULL) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(process_status),      cmocka_unit_test(process_signals),
		cmocka_unit_test(process_missing),     cmocka_unit_test(process_talk),
		cmocka_unit_test(process_gone),	       cmocka_unit_test(process_bounded),
		cmocka_unit_test(process_descriptors), cmocka_unit_test(process_low_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
