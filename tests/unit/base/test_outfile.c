/* SPDX-License-Identifier: Apache-2.0
 *
 * For: output files that appear whole or not at all (G-01, G-02, G-03).
 * Relies on: support.h, torture.h, a temporary directory.
 * Promises: after every failing call, and after a crash at every call, the target
 * holds the old bytes or the new ones.
 */
#include <errno.h>
#include <sys/wait.h>
#include <time.h>
#include "base/mem.h"
#include "torture.h"

struct place {
	char *path;
	int fd;
	bool no_clobber;
};

static int make_place(void **state)
{
	static struct place p;

	p = (struct place){ 0 };
	p.path = temp_dir_make(&p.fd);
	umask(022);
	*state = &p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;

	fault_arm(FAULT_IO, 0, 0);
	temp_dir_remove(p->path, p->fd);
	return 0;
}

static int write_new(void *arg, dray_error **err)
{
	struct place *p = arg;
	cleanup_outfile struct outfile o = OUTFILE_INIT;

	if (outfile_begin(&o, p->fd, "target", p->no_clobber, err) < 0 ||
	    io_write_all(o.fd, SPAN_LIT("new"), err) < 0)
		return -1;
	return outfile_commit(&o, err);
}

static mode_t mode_of(int dirfd, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dirfd, name, &st, 0), 0);
	return st.st_mode & 07777;
}

static void test_commit(void **state)
{
	struct place *p = *state;
	dray_error *err = NULL;

	assert_ok(write_new(p, &err), err);
	assert_file_is(p->fd, "target", "new");
	assert_int_equal(mode_of(p->fd, "target"), 0644);
	assert_int_equal(dir_count(p->fd), 1);
	umask(077);
	assert_int_equal(unlinkat(p->fd, "target", 0), 0);
	assert_ok(write_new(p, &err), err);
	assert_int_equal(mode_of(p->fd, "target"), 0600);
}

static void test_replaces_and_keeps_mode(void **state)
{
	struct place *p = *state;
	dray_error *err = NULL;

	put_file(p->fd, "target", SPAN_LIT("old and longer"));
	assert_int_equal(fchmodat(p->fd, "target", 0640, 0), 0);
	assert_ok(write_new(p, &err), err);
	assert_file_is(p->fd, "target", "new");
	assert_int_equal(mode_of(p->fd, "target"), 0640);
}

static void test_G01_nothing_before_commit(void **state)
{
	struct place *p = *state;
	struct outfile o = OUTFILE_INIT;
	dray_error *err = NULL;

	put_file(p->fd, "target", SPAN_LIT("old"));
	assert_ok(outfile_begin(&o, p->fd, "target", false, &err), err);
	assert_ok(io_write_all(o.fd, SPAN_LIT("new"), &err), err);
	assert_int_equal(dir_count(p->fd), 2);
	assert_int_equal(mode_of(p->fd, o.temp), 0600);
	assert_true(span_starts(span_str(o.temp), ".target.dray-"));
	assert_file_is(p->fd, "target", "old");
	errno = 77;
	outfile_clear(&o);
	assert_int_equal(errno, 77);
	assert_file_is(p->fd, "target", "old");
	assert_int_equal(dir_count(p->fd), 1);
	outfile_clear(&o);
	outfile_clear(NULL);
}

static void check_old_or_new(void *arg, bool failed)
{
	struct place *p = arg;
	cleanup_buf struct buf b = BUF_INIT(0);

	assert_int_equal(io_read_file(p->fd, "target", 10, &b, NULL), 0);
	assert_true(span_is(span_buf(&b), "new") || (failed && span_is(span_buf(&b), "old")));
	assert_int_equal(dir_count(p->fd), 1);
	put_file(p->fd, "target", SPAN_LIT("old"));
}

static void test_G01_torture(void **state)
{
	static const int errors[] = { EIO, ENOSPC, EACCES };
	struct place *p = *state;

	put_file(p->fd, "target", SPAN_LIT("old"));
	for (size_t i = 0; i < ROWS(errors); i++)
		torture_io(write_new, p, errors[i], check_old_or_new);
	torture_alloc(write_new, p);
	assert_int_equal(dir_count(p->fd), 1);
}

/* Killed at the n-th call: old or new, for every n. */
static void test_G02_crash_sweep(void **state)
{
	struct place *p = *state;
	int status = 99 << 8;

	for (uint64_t nth = 1; WEXITSTATUS(status) == 99; nth++) {
		put_file(p->fd, "target", SPAN_LIT("old"));
		pid_t pid = fork();
		if (pid == 0) {
			fault_arm(FAULT_CRASH, nth, 0);
			_exit(write_new(p, NULL) < 0 ? 1 : 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		cleanup_buf struct buf b = BUF_INIT(0);
		assert_int_equal(io_read_file(p->fd, "target", 10, &b, NULL), 0);
		assert_true(span_is(span_buf(&b), "new") || span_is(span_buf(&b), "old"));
		assert_true(nth < 100);
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_file_is(p->fd, "target", "new");
}

static void test_no_clobber(void **state)
{
	struct place *p = *state;
	struct outfile o = OUTFILE_INIT;
	dray_error *err = NULL;

	p->no_clobber = true;
	assert_ok(write_new(p, &err), err);
	assert_int_equal(write_new(p, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "target: the file exists already");
	assert_int_equal(unlinkat(p->fd, "target", 0), 0);
	/* Someone else is faster. */
	assert_ok(outfile_begin(&o, p->fd, "target", true, &err), err);
	put_file(p->fd, "target", SPAN_LIT("theirs"));
	assert_int_equal(outfile_commit(&o, &err), -1);
	assert_err(err, DRAY_ERR_USAGE, "File exists");
	outfile_clear(&o);
	assert_file_is(p->fd, "target", "theirs");
	assert_int_equal(dir_count(p->fd), 1);
}

static void test_special_targets(void **state)
{
	struct place *p = *state;
	struct outfile o = OUTFILE_INIT;
	dray_error *err = NULL;

	assert_ok(outfile_begin(&o, AT_FDCWD, "/dev/null", true, &err), err);
	assert_null(o.temp);
	assert_ok(io_write_all(o.fd, SPAN_LIT("x"), &err), err);
	assert_ok(outfile_commit(&o, &err), err);
	outfile_clear(&o);
	assert_ok(outfile_begin(&o, AT_FDCWD, "/dev/full", false, &err), err);
	assert_int_equal(io_write_all(o.fd, SPAN_LIT("x"), &err), -1);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	outfile_clear(&o);
	/* A descriptor's name is written through, even when it is a regular file. */
	put_file(p->fd, "plain", SPAN_LIT(""));
	cleanup_fd int fd = openat(p->fd, "plain", O_WRONLY | O_CLOEXEC);
	cleanup_free char *name = mem_printf("/proc/self/fd/%d", fd);
	assert_ok(outfile_begin(&o, AT_FDCWD, name, false, &err), err);
	assert_ok(io_write_all(o.fd, SPAN_LIT("through"), &err), err);
	assert_ok(outfile_commit(&o, &err), err);
	outfile_clear(&o);
	assert_file_is(p->fd, "plain", "through");
}

static void test_symlinks(void **state)
{
	struct place *p = *state;
	struct stat st;
	dray_error *err = NULL;

	put_file(p->fd, "real", SPAN_LIT("kept"));
	assert_int_equal(symlinkat("real", p->fd, "target"), 0);
	assert_ok(write_new(p, &err), err);
	assert_int_equal(fstatat(p->fd, "target", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_file_is(p->fd, "real", "kept");
	assert_int_equal(unlinkat(p->fd, "target", 0), 0);
	assert_int_equal(symlinkat("/dev/null", p->fd, "target"), 0);
	assert_ok(write_new(p, &err), err);
	assert_int_equal(fstatat(p->fd, "target", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void test_bad_targets(void **state)
{
	static const struct {
		const char *path;
		enum dray_err_kind kind;
	} rows[] = {
		{ "", DRAY_ERR_USAGE },	       { "new/", DRAY_ERR_USAGE },
		{ ".", DRAY_ERR_SYSTEM },      { "..", DRAY_ERR_SYSTEM },
		{ "dir", DRAY_ERR_SYSTEM },    { "dir/", DRAY_ERR_SYSTEM },
		{ "none/x", DRAY_ERR_SYSTEM }, { "file/x", DRAY_ERR_SYSTEM },
	};
	struct place *p = *state;

	assert_int_equal(mkdirat(p->fd, "dir", 0755), 0);
	put_file(p->fd, "file", SPAN_LIT("x"));
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct outfile o = OUTFILE_INIT;
		dray_error *err = NULL;
		assert_int_equal(outfile_begin(&o, p->fd, rows[i].path, false, &err), -1);
		assert_err_kind(err, rows[i].kind);
		assert_int_equal(o.fd, -1);
	}
	assert_int_equal(dir_count(p->fd), 2);
}

static void test_long_names(void **state)
{
	struct place *p = *state;
	char name[258] = "";
	dray_error *err = NULL;

	for (size_t len = 230; len <= 256; len++) {
		struct outfile o = OUTFILE_INIT;
		memset(name, 'n', len);
		name[len] = '\0';
		int rc = outfile_begin(&o, p->fd, name, false, &err);
		if (len > 255) {
			assert_int_equal(rc, -1);
			assert_err_kind(err, DRAY_ERR_SYSTEM);
			continue;
		}
		assert_ok(rc, err);
		assert_true(strlen(o.temp) <= 255);
		assert_ok(outfile_commit(&o, &err), err);
		outfile_clear(&o);
		assert_int_equal(unlinkat(p->fd, name, 0), 0);
	}
	assert_int_equal(dir_count(p->fd), 0);
}

/* More open files than the table holds; those in it go, the others end as always. */
static void test_G18_unlink_all(void **state)
{
	enum { FILES = 70 };
	struct place *p = *state;
	static struct outfile o[FILES];
	dray_error *err = NULL;
	char name[16];

	for (int i = 0; i < FILES; i++) {
		o[i] = OUTFILE_INIT;
		snprintf(name, sizeof(name), "f%d", i);
		assert_ok(outfile_begin(&o[i], p->fd, name, false, &err), err);
	}
	assert_int_equal(dir_count(p->fd), FILES);
	outfile_unlink_all();
	assert_int_equal(dir_count(p->fd), FILES - 64);
	for (int i = 0; i < FILES; i++)
		outfile_clear(&o[i]);
	assert_int_equal(dir_count(p->fd), 0);
	assert_ok(outfile_begin(&o[0], p->fd, "again", false, &err), err);
	outfile_unlink_all();
	assert_int_equal(dir_count(p->fd), 0);
	outfile_clear(&o[0]);
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

/* G-02: what a killed run left goes; what a living one writes stays, and so does what we did not name. */
static void test_G02_sweep(void **state)
{
	struct place *p = *state;
	struct outfile alive = OUTFILE_INIT;

	put_file(p->fd, ".x.dray-0123abcd", SPAN_LIT("left by a killed run"));
	put_file(p->fd, ".x.dray-0123abcX", SPAN_LIT("not ours"));
	put_file(p->fd, "x.dray-0123abcd", SPAN_LIT("not ours either"));
	assert_int_equal(outfile_begin(&alive, p->fd, "x", false, NULL), 0);
	outfile_sweep(p->fd, ".");
	assert_int_not_equal(faccessat(p->fd, ".x.dray-0123abcd", F_OK, 0), 0);
	assert_int_equal(faccessat(p->fd, ".x.dray-0123abcX", F_OK, 0), 0);
	assert_int_equal(faccessat(p->fd, "x.dray-0123abcd", F_OK, 0), 0);
	assert_int_equal(faccessat(p->fd, alive.temp, F_OK, 0), 0);
	assert_int_equal(outfile_commit(&alive, NULL), 0);
	outfile_clear(&alive);
}

static void set_age(const struct place *p, const char *name, int days)
{
	struct timespec now, t[2];

	clock_gettime(CLOCK_REALTIME, &now);
	t[0] = t[1] = (struct timespec){ now.tv_sec - days * 24LL * 60 * 60, 0 };
	assert_int_equal(utimensat(p->fd, name, t, 0), 0);
}

/* What a killed run wrote is found again; one process at a time has it. */
static void test_partial(void **state)
{
	struct place *p = *state;
	struct outfile o = OUTFILE_INIT, second = OUTFILE_INIT;
	dray_error *err = NULL;
	int64_t have = -1;

	assert_int_equal(outfile_begin_partial(&o, p->fd, "x", &have, &err), 1);
	assert_int_equal(have, 0);
	assert_ok(io_write_all(o.fd, SPAN_LIT("begun"), &err), err);
	assert_int_equal(outfile_begin_partial(&second, p->fd, "x", &have, &err), 0);
	outfile_keep(&o);
	outfile_clear(&o);
	assert_file_is(p->fd, ".x.dray-partial", "begun");
	assert_int_equal(outfile_begin_partial(&o, p->fd, "x", &have, &err), 1);
	assert_int_equal(have, 5);
	assert_ok(io_write_all(o.fd, SPAN_LIT(" and ended"), &err), err);
	assert_ok(outfile_commit(&o, &err), err);
	outfile_clear(&o);
	assert_file_is(p->fd, "x", "begun and ended");
	assert_int_equal(mode_of(p->fd, "x"), 0644);
	assert_int_equal(dir_count(p->fd), 1);
	/* Unless it is kept, it goes. */
	assert_int_equal(outfile_begin_partial(&o, p->fd, "y", &have, &err), 1);
	outfile_clear(&o);
	assert_int_equal(dir_count(p->fd), 1);
}

static void test_partial_of_others(void **state)
{
	struct place *p = *state;
	struct outfile o = OUTFILE_INIT;
	int64_t have;

	put_file(p->fd, "precious", SPAN_LIT("precious"));
	for (int i = 0; i < 4; i++) {
		assert_int_equal(i == 0	  ? symlinkat("precious", p->fd, ".x.dray-partial")
				 : i == 1 ? linkat(p->fd, "precious", p->fd, ".x.dray-partial", 0)
				 : i == 2 ? mkfifoat(p->fd, ".x.dray-partial", 0600)
					  : mkdirat(p->fd, ".x.dray-partial", 0700),
				 0);
		assert_int_equal(outfile_begin_partial(&o, p->fd, "x", &have, NULL), 0);
		assert_int_equal(dir_count(p->fd), 2);
		assert_int_equal(unlinkat(p->fd, ".x.dray-partial", i == 3 ? AT_REMOVEDIR : 0), 0);
	}
	assert_file_is(p->fd, "precious", "precious");
	assert_int_equal(outfile_begin_partial(&o, p->fd, "none/x", &have, NULL), 0);
}

static void test_partial_sweep(void **state)
{
	static const struct {
		int days;
		bool final, stays;
	} rows[] = {
		{ 0, false, true }, { 6, false, true }, { 8, false, false }, { 0, true, false }
	};
	struct place *p = *state;
	struct outfile o = OUTFILE_INIT;
	int64_t have;

	for (size_t i = 0; i < ROWS(rows); i++) {
		put_file(p->fd, ".x.dray-partial", SPAN_LIT("begun"));
		set_age(p, ".x.dray-partial", rows[i].days);
		if (rows[i].final)
			put_file(p->fd, "x", SPAN_LIT("whole"));
		/* Not while somebody writes it. */
		assert_int_equal(outfile_begin_partial(&o, p->fd, "x", &have, NULL), 1);
		outfile_sweep(p->fd, ".");
		assert_int_equal(faccessat(p->fd, ".x.dray-partial", F_OK, 0), 0);
		outfile_keep(&o);
		outfile_clear(&o);
		outfile_sweep(p->fd, ".");
		assert_int_equal(faccessat(p->fd, ".x.dray-partial", F_OK, 0) == 0, rows[i].stays);
	}
	put_file(p->fd, ".dray-partial", SPAN_LIT("has no name"));
	set_age(p, ".dray-partial", 99);
	outfile_sweep(p->fd, ".");
	assert_int_equal(faccessat(p->fd, ".dray-partial", F_OK, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(test_commit),
		WITH_PLACE(test_replaces_and_keeps_mode),
		WITH_PLACE(test_G01_nothing_before_commit),
		WITH_PLACE(test_G01_torture),
		WITH_PLACE(test_G02_crash_sweep),
		WITH_PLACE(test_G02_sweep),
		WITH_PLACE(test_partial),
		WITH_PLACE(test_partial_of_others),
		WITH_PLACE(test_partial_sweep),
		WITH_PLACE(test_no_clobber),
		WITH_PLACE(test_special_targets),
		WITH_PLACE(test_symlinks),
		WITH_PLACE(test_bad_targets),
		WITH_PLACE(test_long_names),
		WITH_PLACE(test_G18_unlink_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
