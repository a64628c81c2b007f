/* SPDX-License-Identifier: Apache-2.0
 *
 * Small helpers for every unit test. Include it instead of cmocka.h.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "base/io.h"
#include "base/span.h"

/** Number of rows of a table of cases. */
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/** Fail unless *err is of @p kind; frees it and empties the slot. */
static inline void take_err_kind(dray_error **err, enum dray_err_kind kind)
{
	if (!*err)
		fail_msg("no error, expected kind %d", (int)kind);
	if (dray_error_kind(*err) != kind)
		fail_msg("error of kind %d (%s), expected kind %d", (int)dray_error_kind(*err),
			 dray_error_message(*err), (int)kind);
	err_clear(err);
}

/** @p err is the variable itself: checked, freed and set to NULL. */
#define assert_err_kind(err, kind) take_err_kind(&(err), kind)

/** Also that the message holds @p part. */
#define assert_err(err, kind, part)                                                        \
	do {                                                                               \
		assert_non_null(err);                                                      \
		if (!strstr(dray_error_message(err), part))                                \
			fail_msg("'%s' does not say '%s'", dray_error_message(err), part); \
		take_err_kind(&(err), kind);                                               \
	} while (0)

/** A call that has to work: prints the message when it did not. */
#define assert_ok(rc, err)                                                      \
	do {                                                                    \
		long long rc_ = (long long)(rc);                                \
		if (rc_ < 0 || (err))                                           \
			fail_msg("%s: %lld, %s", #rc, rc_,                      \
				 (err) ? dray_error_message(err) : "no error"); \
	} while (0)

static inline void check_span(struct span got, struct span want, const char *file, int line)
{
	if (span_eq(got, want))
		return;
	print_error("got  %zu bytes '%.*s'\nwant %zu bytes '%.*s'\n", got.len, (int)got.len,
		    (const char *)got.data, want.len, (int)want.len, (const char *)want.data);
	_fail(file, line);
}

/** Spans with the same bytes. */
#define assert_span(got, want) check_span(got, want, __FILE__, __LINE__)
/** A span that holds exactly @p text. */
#define assert_span_is(got, text) check_span(got, span_str(text), __FILE__, __LINE__)

/** An empty directory; *ret_fd is open on it. End with temp_dir_remove(). */
static inline char *temp_dir_make(int *ret_fd)
{
	const char *base = getenv("TMPDIR");
	char *path = NULL;

	assert_true(asprintf(&path, "%s/dray-test-XXXXXX", base ? base : "/tmp") > 0);
	assert_non_null(mkdtemp(path));
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(*ret_fd >= 0);
	return path;
}

/** Remove what is directly inside, then the directory; closes @p fd, frees @p path. */
static inline void temp_dir_remove(char *path, int fd)
{
	DIR *d = fdopendir(fd);

	assert_non_null(d);
	rewinddir(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    unlinkat(dirfd(d), e->d_name, 0) < 0)
			unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	}
	closedir(d);
	assert_int_equal(rmdir(path), 0);
	free(path);
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/** Remove @p path with all that is below it; it need not be there. */
static inline void remove_tree(const char *path)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		assert_int_equal(errno, ENOENT);
}

/** Entries directly inside @p fd, "." and ".." not counted. */
static inline size_t dir_count(int fd)
{
	DIR *d = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

/** Write a whole file below @p dirfd. */
static inline void put_file(int dirfd, const char *name, struct span bytes)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes.data, bytes.len), bytes.len);
	close(fd);
}

/** Fail unless the file below @p dirfd holds exactly @p text. */
static inline void assert_file_is(int dirfd, const char *name, const char *text)
{
	cleanup_buf struct buf b = BUF_INIT(0);
	dray_error *err = NULL;

	assert_ok(io_read_file(dirfd, name, SIZE_MAX / 2, &b, &err), err);
	assert_span_is(span_buf(&b), text);
}
