/* SPDX-License-Identifier: Apache-2.0
 *
 * For: system calls with errors in our terms.
 * Relies on: support.h, torture.h, a temporary directory.
 * Promises: every failure of every call is seen, short counts and signals are survived.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "torture.h"

struct place {
	char *path;
	int fd;
};

static int make_place(void **state)
{
	static struct place p;

	p.path = temp_dir_make(&p.fd);
	*state = &p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;

	fault_arm(FAULT_IO, 0, 0);
	fault_arm(FAULT_SHORT, 0, 0);
	temp_dir_remove(p->path, p->fd);
	return 0;
}

static void test_open_kinds(void **state)
{
	struct place *p = *state;
	dray_error *err = NULL;

	put_file(p->fd, "file", SPAN_LIT("x"));
	assert_int_equal(io_openat(p->fd, "nothing\x1b", O_RDONLY, 0, &err), -1);
	assert_err(err, DRAY_ERR_NOT_FOUND, "open nothing\\x1b: No such file");
	assert_int_equal(io_openat(p->fd, "file/x", O_RDONLY, 0, &err), -1);
	assert_err_kind(err, DRAY_ERR_NOT_FOUND);
	assert_int_equal(io_openat(p->fd, "file", O_CREAT | O_EXCL | O_WRONLY, 0600, &err), -1);
	assert_int_equal(dray_error_errno(err), EEXIST);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	int fd = io_openat(p->fd, "file", O_RDONLY, 0, &err);
	assert_ok(fd, err);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void test_short_counts(void **state)
{
	struct place *p = *state;
	dray_error *err = NULL;
	char text[8] = "";

	fault_arm(FAULT_SHORT, 1, 0);
	int fd = io_openat(p->fd, "file", O_RDWR | O_CREAT, 0600, &err);
	assert_ok(io_write_all(fd, SPAN_LIT("abcdef"), &err), err);
	assert_ok(io_pwrite_all(fd, SPAN_LIT("XY"), 1, &err), err);
	assert_int_equal(io_pread(fd, text, 6, 0, &err), 1);
	fault_arm(FAULT_SHORT, 0, 0);
	assert_int_equal(io_pread(fd, text, 8, 0, &err), 6);
	assert_string_equal(text, "aXYdef");
	assert_ok(io_close(fd, &err), err);
}

static void test_G04_disk_full(void **state)
{
	dray_error *err = NULL;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	if (fd < 0)
		skip();
	assert_int_equal(io_write_all(fd, SPAN_LIT("x"), &err), -1);
	assert_int_equal(dray_error_errno(err), ENOSPC);
	assert_err(err, DRAY_ERR_SYSTEM, "No space left");
	close(fd);
}

static void test_broken_pipe(void **state)
{
	dray_error *err = NULL;
	int fds[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	assert_int_equal(io_write_all(fds[1], SPAN_LIT("x"), &err), -1);
	assert_int_equal(dray_error_errno(err), EPIPE);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	close(fds[1]);
}

/* A pipe that someone made non-blocking: more than it holds still gets through. */
static void test_nonblocking_pipe(void **state)
{
	enum { SIZE = 300000 };
	cleanup_free uint8_t *data = mem_zalloc(SIZE);
	dray_error *err = NULL;
	int fds[2], status;

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	pid_t pid = fork();
	if (pid == 0) {
		size_t total = 0;
		close(fds[1]);
		for (int64_t n; (n = io_read(fds[0], data, 4096, NULL)) > 0;)
			total += (size_t)n;
		_exit(total == SIZE ? 0 : 1);
	}
	close(fds[0]);
	assert_ok(io_write_all(fds[1], span_of(data, SIZE), &err), err);
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_G03_fsync_and_close(void **state)
{
	struct place *p = *state;
	dray_error *err = NULL;
	int fd = io_openat(p->fd, "file", O_RDWR | O_CREAT, 0600, &err);

	assert_ok(fd, err);
	fault_arm(FAULT_IO, 1, EIO);
	assert_int_equal(io_fsync(fd, &err), -1);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	assert_ok(io_fsync(fd, &err), err);
	fault_arm(FAULT_IO, 1, EDQUOT);
	assert_int_equal(io_close(fd, &err), -1);
	fault_arm(FAULT_IO, 0, 0);
	assert_int_equal(dray_error_errno(err), EDQUOT);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	/* Gone nevertheless: a second close would hit someone else's descriptor. */
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	assert_ok(io_fsync(fds[1], &err), err);
	assert_ok(io_close(fds[1], &err), err);
	assert_ok(io_close(fds[0], &err), err);
}

static void test_copy_range(void **state)
{
	static const int errors[] = { 0, EXDEV, EINVAL, ENOSYS, EOPNOTSUPP };
	struct place *p = *state;
	dray_error *err = NULL;

	put_file(p->fd, "in", SPAN_LIT("0123456789"));
	cleanup_fd int in = io_openat(p->fd, "in", O_RDONLY, 0, &err);
	for (size_t i = 0; i < ROWS(errors); i++) {
		for (int flags = 0; flags <= O_APPEND; flags += O_APPEND) {
			int out = io_openat(p->fd, "out", O_WRONLY | O_CREAT | O_TRUNC | flags,
					    0600, &err);
			fault_arm(FAULT_IO, errors[i] ? 1 : 0, errors[i]);
			assert_ok(io_copy_range(in, 2, 5, out, &err), err);
			assert_ok(io_copy_range(in, 0, 0, out, &err), err);
			assert_ok(io_copy_range(in, 9, 1, out, &err), err);
			fault_arm(FAULT_IO, 0, 0);
			assert_ok(io_close(out, &err), err);
			assert_file_is(p->fd, "out", "234569");
		}
	}
	cleanup_fd int out = io_openat(p->fd, "out", O_WRONLY, 0, &err);
	assert_int_equal(io_copy_range(in, 8, 3, out, &err), -1);
	assert_err(err, DRAY_ERR_CORRUPT, "ends at byte 10, 1 bytes early");
	fault_arm(FAULT_IO, 1, ENOSPC);
	assert_int_equal(io_copy_range(in, 0, 3, out, &err), -1);
	fault_arm(FAULT_IO, 0, 0);
	assert_int_equal(dray_error_errno(err), ENOSPC);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
}

static void test_read_file(void **state)
{
	struct place *p = *state;
	cleanup_buf struct buf b = BUF_INIT(0);
	dray_error *err = NULL;

	put_file(p->fd, "file", SPAN_LIT("12345"));
	assert_ok(io_read_file(p->fd, "file", 5, &b, &err), err);
	assert_span_is(span_buf(&b), "12345");
	assert_int_equal(io_read_file(p->fd, "file", 4, &b, &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "file: over the limit of 4 bytes");
	assert_span_is(span_buf(&b), "12345");
	fault_arm(FAULT_SHORT, 1, 0);
	assert_ok(io_read_file(p->fd, "file", 100, &b, &err), err);
	fault_arm(FAULT_SHORT, 0, 0);
	assert_span_is(span_buf(&b), "12345");
	put_file(p->fd, "file", SPAN_LIT(""));
	assert_ok(io_read_file(p->fd, "file", 0, &b, &err), err);
	assert_int_equal(b.len, 0);
	assert_ok(io_read_file(AT_FDCWD, "/proc/self/status", 65536, &b, &err), err);
	assert_true(b.len > 100);
	assert_int_equal(io_read_file(p->fd, ".", 10, &b, &err), -1);
	assert_int_equal(dray_error_errno(err), EISDIR);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
}

/* A fifo in an image folder must not hang the reader. */
static void test_A03_fifo_does_not_hang(void **state)
{
	struct place *p = *state;
	cleanup_buf struct buf b = BUF_INIT(0);
	dray_error *err = NULL;

	assert_int_equal(mkfifoat(p->fd, "fifo", 0600), 0);
	alarm(20);
	assert_ok(io_read_file(p->fd, "fifo", 10, &b, &err), err);
	alarm(0);
	assert_int_equal(b.len, 0);
}

static void test_names(void **state)
{
	struct place *p = *state;
	dray_error *err = NULL;

	assert_ok(io_mkdirat(p->fd, "dir", 0755, false, &err), err);
	assert_int_equal(io_mkdirat(p->fd, "dir", 0755, false, &err), -1);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	assert_ok(io_mkdirat(p->fd, "dir", 0755, true, &err), err);
	put_file(p->fd, "a", SPAN_LIT("a"));
	put_file(p->fd, "b", SPAN_LIT("b"));
	assert_int_equal(io_renameat(p->fd, "a", "b", true, &err), -1);
	assert_int_equal(dray_error_errno(err), EEXIST);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	/* Where the kernel lacks the flag, link and unlink refuse as well. */
	fault_arm(FAULT_IO, 1, EINVAL);
	assert_int_equal(io_renameat(p->fd, "a", "b", true, &err), -1);
	assert_int_equal(dray_error_errno(err), EEXIST);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	fault_arm(FAULT_IO, 1, ENOSYS);
	assert_ok(io_renameat(p->fd, "a", "c", true, &err), err);
	fault_arm(FAULT_IO, 0, 0);
	assert_file_is(p->fd, "c", "a");
	assert_ok(io_renameat(p->fd, "c", "b", false, &err), err);
	assert_file_is(p->fd, "b", "a");
	assert_ok(io_unlinkat(p->fd, "b", &err), err);
	assert_ok(io_unlinkat(p->fd, "b", &err), err);
	assert_int_equal(io_unlinkat(p->fd, "dir", &err), -1);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	struct stat st;
	assert_int_equal(io_fstatat(p->fd, "b", 0, &st, &err), -1);
	assert_err_kind(err, DRAY_ERR_NOT_FOUND);
}

static int use_all(void *arg, dray_error **err)
{
	struct place *p = arg;
	cleanup_buf struct buf b = BUF_INIT(0);
	uint8_t random[16];
	struct stat st;

	cleanup_fd int fd = io_openat(p->fd, "t", O_RDWR | O_CREAT | O_TRUNC, 0600, err);
	if (fd < 0 || io_random(random, sizeof(random), err) < 0 ||
	    io_write_all(fd, span_of(random, sizeof(random)), err) < 0 ||
	    io_fchmod(fd, 0640, err) < 0 || io_fstat(fd, &st, err) < 0 || io_fsync(fd, err) < 0 ||
	    io_close(steal_fd(&fd), err) < 0 || io_renameat(p->fd, "t", "u", false, err) < 0 ||
	    io_read_file(p->fd, "u", 100, &b, err) < 0 || io_unlinkat(p->fd, "u", err) < 0)
		return -1;
	assert_span(span_buf(&b), span_of(random, sizeof(random)));
	return 0;
}

static void test_G17_torture(void **state)
{
	torture_io(use_all, *state, EIO, NULL);
	torture_alloc(use_all, *state);
}

static void test_crash(void **state)
{
	struct place *p = *state;
	int status;

	pid_t pid = fork();
	if (pid == 0) {
		fault_arm(FAULT_CRASH, 2, 0);
		use_all(p, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 99);
}

static void on_alarm(int sig)
{
	(void)sig;
	cancel_request();
}

/* A read that waits is left when a signal handler asks to stop (G-18). */
static void test_G18_cancel(void **state)
{
	int fds[2], status;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(cancel_check(NULL), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct sigaction action = { .sa_handler = on_alarm };
		dray_error *err = NULL;
		char c;
		sigaction(SIGALRM, &action, NULL);
		ualarm(50000, 0);
		int64_t n = io_read(fds[0], &c, 1, &err);
		bool ok = n == -1 && dray_error_kind(err) == DRAY_ERR_CANCELLED &&
			  cancel_requested() && cancel_check(NULL) == -1;
		dray_error_free(err);
		_exit(ok ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fds[0]);
	close(fds[1]);
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(test_open_kinds),
		WITH_PLACE(test_short_counts),
		cmocka_unit_test(test_G04_disk_full),
		cmocka_unit_test(test_broken_pipe),
		cmocka_unit_test(test_nonblocking_pipe),
		WITH_PLACE(test_G03_fsync_and_close),
		WITH_PLACE(test_copy_range),
		WITH_PLACE(test_read_file),
		WITH_PLACE(test_A03_fifo_does_not_hang),
		WITH_PLACE(test_names),
		WITH_PLACE(test_G17_torture),
		WITH_PLACE(test_crash),
		cmocka_unit_test(test_G18_cancel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
