/* SPDX-License-Identifier: Apache-2.0
 *
 * GNU tar as the oracle: archives it makes in every format are listed alike by
 * both, and it lists what we write. Skipped where there is no GNU tar.
 */
#include "support.h"
#include <sys/wait.h>
#include "base/limits.h"
#include "base/mem.h"
#include "tar/tar.h"
#include "tar_build.h"

/* Run tar in the folder @p dir; its standard output is appended to @p ret. Exit status. */
static int run_tar(const char *dir, const char *const argv[], struct buf *ret)
{
	int fds[2], status;

	assert_int_equal(pipe(fds), 0);
	pid_t child = fork();
	if (child == 0) {
		setenv("LC_ALL", "C", 1);
		if (chdir(dir) < 0 || dup2(fds[1], 1) < 0)
			_exit(126);
		close(fds[0]);
		execvp("tar", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(fds[1]);
	cleanup_source struct source *out = source_from_fd(fds[0], true, NULL);
	assert_int_equal(source_slurp(out, ret, NULL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static bool have_gnu_tar(void)
{
	const char *const argv[] = { "tar", "--version", NULL };
	cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG);

	return run_tar("/", argv, &out) == 0 && span_starts(span_buf(&out), "tar (GNU tar)");
}

static void no_oddity(void *arg, const struct tar_oddity *o)
{
	/* GNU tar's own sparse and directory headers are nothing to report. */
	fail_msg("%s: %s: %s", (const char *)arg, o->code, o->message);
}

/* As "tar -t --quoting-style=literal": a name on each line. */
static void list_names(struct span bytes, char *what, struct buf *ret)
{
	dray_error *err = NULL;
	const struct tar_entry *e;
	int rc;

	cleanup_source struct source *in = source_from_span(bytes, NULL);
	cleanup_tar_reader struct tar_reader *r = tar_reader_new(in, no_oddity, what, NULL);
	while ((rc = tar_next(r, &e, &err)) > 0) {
		assert_int_equal(buf_add(ret, e->name, NULL), 0);
		assert_int_equal(buf_add_byte(ret, '\n', NULL), 0);
	}
	assert_ok(rc, err);
	assert_ok(tar_tail(r, &err), err);
}

/* Names of every length around the edges of the fields, links, a sparse file. */
static void fill(int dir)
{
	static const size_t lengths[] = { 1, 99, 100, 101, 155, 200 };
	char name[256], deep[600];
	int fd;

	for (size_t i = 0; i < ROWS(lengths); i++) {
		memset(name, 'n', lengths[i]);
		name[lengths[i]] = 0;
		put_file(dir, name, SPAN_LIT("content"));
	}
	assert_int_equal(symlinkat("../elsewhere", dir, "link"), 0);
	assert_int_equal(linkat(dir, "n", dir, "hard", 0), 0);
	assert_int_equal(mkdirat(dir, "d", 0755), 0);
	memset(name, 'd', 90);
	name[90] = 0;
	snprintf(deep, sizeof(deep), "d/%s", name);
	assert_int_equal(mkdirat(dir, deep, 0755), 0);
	snprintf(deep, sizeof(deep), "d/%s/\xff%.60s", name, name);
	put_file(dir, deep, SPAN_LIT("x"));
	fd = openat(dir, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	for (int i = 1; i <= 8; i++)
		assert_int_equal(pwrite(fd, "x", 1, i * 65536), 1);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
}

static void test_read(void **state)
{
	static const char *const formats[] = { "gnu", "oldgnu", "posix", "ustar", "v7" };
	char *dir;
	int fd;

	(void)state;
	if (!have_gnu_tar())
		skip();
	dir = temp_dir_make(&fd);
	fill(fd);
	for (size_t i = 0; i < ROWS(formats); i++) {
		cleanup_free char *format = mem_printf("--format=%s", formats[i]);
		cleanup_free char *archive = mem_printf("%s.%s.tar", dir, formats[i]);
		const char *const create[] = { "tar",	format, i < 3 ? "-Scf" : "-cf",
					       archive, ".",	NULL };
		const char *const list[] = { "tar", "--quoting-style=literal", "-tf", archive,
					     NULL };
		cleanup_buf struct buf ours = BUF_INIT(LIMIT_CONFIG),
				       theirs = BUF_INIT(LIMIT_CONFIG);
		cleanup_buf struct buf bytes = BUF_INIT(0), none = BUF_INIT(LIMIT_CONFIG);
		dray_error *err = NULL;

		/* v7 and ustar leave out what they cannot name, and say so. */
		assert_true(run_tar(dir, create, &none) <= 2);
		assert_int_equal(run_tar(dir, list, &theirs), 0);
		assert_ok(io_read_file(AT_FDCWD, archive, SIZE_MAX / 2, &bytes, &err), err);
		list_names(span_buf(&bytes), format, &ours);
		assert_span(span_buf(&ours), span_buf(&theirs));
		unlink(archive);
	}
	close(fd);
	remove_tree(dir);
	free(dir);
}

static void test_write(void **state)
{
	cleanup_buf struct buf b = tb_new(), ours = BUF_INIT(LIMIT_CONFIG),
			       theirs = BUF_INIT(LIMIT_CONFIG);
	char name[300];
	char *dir;
	int fd;

	(void)state;
	if (!have_gnu_tar())
		skip();
	for (size_t len = 1; len < sizeof(name); len += 7) {
		struct tar_member m = { .type = len % 2 ? TAR_FILE : TAR_DIR, .mode = 0755 };

		memset(name, 'a', len);
		for (size_t at = 50; at + 1 < len; at += 50)
			name[at] = '/';
		if (m.type == TAR_DIR)
			name[len - 1] = '/';
		m.name = span_of(name, len);
		assert_int_equal(tar_header_write(&m, &b, NULL), 0);
	}
	tb_end(&b);
	dir = temp_dir_make(&fd);
	put_file(fd, "x.tar", span_buf(&b));
	const char *const list[] = { "tar", "-tf", "x.tar", NULL };
	assert_int_equal(run_tar(dir, list, &theirs), 0);
	list_names(span_buf(&b), dir, &ours);
	assert_span(span_buf(&ours), span_buf(&theirs));
	temp_dir_remove(dir, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
