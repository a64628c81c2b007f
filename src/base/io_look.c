/* SPDX-License-Identifier: Apache-2.0
 *
 * For: system calls that look at trees: what a folder holds, what attributes a name has.
 * Relies on: io.c for the counted door; /proc for attributes of what is not opened.
 * Promises: the last part of a path is never followed; names come in one order everywhere.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include "base/io_priv.h"
#include "base/limits.h"
#include "base/mem.h"

#define PROC_FD "/proc/self/fd/"
#define PROC_FD_MAX (sizeof(PROC_FD) + 12)

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_name(struct io_names *l, const char *name, dray_error **err)
{
	const char *own = arena_strdup(&l->arena, name);

	if (!own || mem_grow(&l->list, l->n, &l->cap, sizeof(*l->list)) < 0)
		return err_nomem(err);
	l->list[l->n++] = own;
	return 0;
}

static int read_names(DIR *d, struct io_names *ret, dray_error **err)
{
	const struct dirent *e;

	while (true) {
		errno = 0;
		e = io_refused() ? NULL : readdir(d);
		if (!e)
			return errno ? err_sys(err, errno, "list folder") : 0;
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    add_name(ret, e->d_name, err) < 0)
			return -1;
	}
}

int io_list(int dirfd, struct io_names *ret, dray_error **err)
{
	cleanup_fd int again = io_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0, err);
	DIR *d;
	int rc;

	if (again < 0)
		return -1;
	d = io_refused() ? NULL : fdopendir(again);
	if (!d)
		return err_sys(err, errno, "list folder");
	again = -1; /* the stream's now */
	rc = read_names(d, ret, err);
	closedir(d);
	if (rc == 0 && ret->n)
		qsort(ret->list, ret->n, sizeof(*ret->list), by_bytes);
	return rc;
}

void io_names_clear(struct io_names *l)
{
	mem_free(l->list);
	arena_clear(&l->arena);
	*l = (struct io_names){ 0 };
}

/* ---- attributes ---- */

/* "/proc/self/fd/3/name": the link in the middle is the kernel's, the name is not followed. */
static int proc_path(int dirfd, const char *path, char *full, size_t size, dray_error **err)
{
	int n = snprintf(full, size, PROC_FD "%d/%s", dirfd, path);

	return n > 0 && (size_t)n < size ? 0 : err_sys(err, ENAMETOOLONG, "look at attributes");
}

static bool none_here(int errnum)
{
	return errnum == ENOTSUP || errnum == ENODATA;
}

int io_list_xattrs(int dirfd, const char *path, struct buf *ret, dray_error **err)
{
	char full[PROC_FD_MAX + NAME_MAX + 2];
	ssize_t n;

	if (proc_path(dirfd, path, full, sizeof(full), err) < 0)
		return -1;
	n = io_refused() ? -1 : llistxattr(full, NULL, 0);
	if (n == 0 || (n < 0 && none_here(errno)))
		return 0;
	if (n < 0 || buf_reserve(ret, (size_t)n, err) < 0)
		return n < 0 ? err_sys(err, errno, "list attributes") : -1;
	n = io_refused() ? -1 : llistxattr(full, (char *)ret->data + ret->len, (size_t)n);
	if (n < 0)
		return err_sys(err, errno, "list attributes");
	ret->len += (size_t)n;
	return 0;
}

int io_get_xattr(int dirfd, const char *path, const char *name, struct buf *ret, dray_error **err)
{
	char full[PROC_FD_MAX + NAME_MAX + 2];
	ssize_t n;

	if (proc_path(dirfd, path, full, sizeof(full), err) < 0)
		return -1;
	n = io_refused() ? -1 : lgetxattr(full, name, NULL, 0);
	if (n < 0)
		return none_here(errno) ? 0 : err_sys(err, errno, "read attribute");
	if (buf_reserve(ret, (size_t)n + 1, err) < 0)
		return -1;
	n = io_refused() ? -1 : lgetxattr(full, name, ret->data + ret->len, (size_t)n);
	if (n < 0)
		return err_sys(err, errno, "read attribute");
	ret->len += (size_t)n;
	return 1;
}
