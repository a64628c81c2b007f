/* SPDX-License-Identifier: Apache-2.0
 *
 * For: small files and lists of names below an engine's folder.
 * Relies on: io_open_beneath() for the way down, O_NOFOLLOW for the last part.
 * Promises: nothing outside is opened, a fifo or a device is refused before it is read.
 */
#include "disk/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "flow/source.h"

#define SHOWN_MAX 300
#define LINE_MAX_BYTES (4 * KIB) /* digests, times, IDs: under 100 */

void names_clear(struct names *n)
{
	mem_free(n->list);
	*n = (struct names){ 0 };
}

static int in_path(const char *path, dray_error **err)
{
	cleanup_free char *safe = text_safe(span_str(path), SHOWN_MAX);

	if (safe)
		return err_ctx(err, "%s", safe);
	err_clear(err);
	return err_nomem(err);
}

int beneath_failed(dray_error **err)
{
	int errnum = err && *err ? dray_error_errno(*err) : 0;

	if (errnum != ELOOP && errnum != ENXIO)
		return -1;
	err_clear(err);
	if (errnum == ENXIO) /* a socket, or a device that nothing drives */
		return err_set(err, DRAY_ERR_FORMAT, "no regular file");
	return err_set(err, DRAY_ERR_FORMAT, "a symbolic link is in its place or on the way to it");
}

/* The folder that the last part of @p path is in; *ret_name points to that part. */
static int open_parent(int root, const char *path, const char **ret_name, dray_error **err)
{
	const char *slash = strrchr(path, '/');

	*ret_name = slash ? slash + 1 : path;
	cleanup_free char *parent = mem_strndup(path, slash ? (size_t)(slash - path) : 0);
	if (!parent)
		return err_nomem(err);
	return io_open_beneath(root, parent, err);
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* ---- lists ---- */

struct listing {
	struct arena *a;
	struct names *names;
};

static int add_name(void *arg, const char *name, dray_error **err)
{
	struct listing *l = arg;

	if (l->names->n >= LIMIT_DISK_NAMES)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d names (LIMIT_DISK_NAMES)",
			       LIMIT_DISK_NAMES);
	if (mem_grow(&l->names->list, l->names->n, &l->names->cap, sizeof(*l->names->list)) < 0)
		return err_nomem(err);
	const char *copy = arena_strdup(l->a, name);
	if (!copy)
		return err_nomem(err);
	l->names->list[l->names->n++] = copy;
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* 1 = *ret_fd is the folder, 0 = it is not there, -1. */
static int open_if_there(int root, const char *path, int *ret_fd, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	*ret_fd = io_open_beneath(root, path, &e);
	if (*ret_fd >= 0)
		return 1;
	if (dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
		return 0;
	beneath_failed(&e);
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

int beneath_list(int root, const char *path, struct arena *a, struct names *ret, dray_error **err)
{
	struct listing l = { .a = a, .names = ret };
	cleanup_fd int fd = -1;
	int there = open_if_there(root, path, &fd, err);

	if (there < 0)
		return in_path(path, err);
	if (!there)
		return 0;
	if (io_each_name(fd, add_name, &l, err) < 0)
		return in_path(path, err);
	if (ret->n)
		qsort(ret->list, ret->n, sizeof(*ret->list), by_bytes);
	return 0;
}

/* ---- files ---- */

int beneath_stat(int root, const char *path, struct stat *ret, dray_error **err)
{
	cleanup_error dray_error *e = NULL;
	const char *name;

	cleanup_fd int parent = open_parent(root, path, &name, &e);
	if (parent >= 0 && !is_dots(name) &&
	    io_fstatat(parent, name, AT_SYMLINK_NOFOLLOW, ret, &e) == 0)
		return 1;
	if (e && dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
		return 0;
	if (!e)
		return err_set(err, DRAY_ERR_FORMAT, "a path that is not clean");
	beneath_failed(&e);
	if (err)
		*err = steal_pointer(&e);
	return in_path(path, err);
}

int beneath_is_dir(int root, const char *path, dray_error **err)
{
	struct stat st;
	int there = beneath_stat(root, path, &st, err);

	return there > 0 ? S_ISDIR(st.st_mode) : there;
}

static int open_file(int root, const char *path, struct stat *ret, dray_error **err)
{
	const char *name;

	cleanup_fd int parent = open_parent(root, path, &name, err);
	if (parent < 0)
		return -1;
	if (!name[0] || is_dots(name))
		return err_set(err, DRAY_ERR_FORMAT, "a path that is not clean");
	/* O_NONBLOCK: opening a fifo must not wait for somebody to write to it. */
	cleanup_fd int fd = io_openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
				      0, err);
	if (fd < 0 || io_fstat(fd, ret, err) < 0)
		return -1;
	if (!S_ISREG(ret->st_mode))
		return err_set(err, DRAY_ERR_FORMAT, "no regular file");
	return steal_fd(&fd);
}

int beneath_open(int root, const char *path, struct stat *ret, dray_error **err)
{
	int fd = open_file(root, path, ret, err);

	if (fd >= 0)
		return fd;
	/* Files that may be absent are asked for all the time; the error has the name already. */
	if (err && dray_error_kind(*err) == DRAY_ERR_NOT_FOUND)
		return -1;
	beneath_failed(err);
	return in_path(path, err);
}

int beneath_read(int root, const char *path, struct buf *ret, struct timespec *ret_mtime,
		 dray_error **err)
{
	struct stat st;
	int fd = beneath_open(root, path, &st, err);

	if (fd < 0)
		return -1;
	if (ret_mtime)
		*ret_mtime = st.st_mtim;
	cleanup_source struct source *s = source_from_file(fd, st.st_size, err);
	return s && source_slurp(s, ret, err) == 0 ? 0 : in_path(path, err);
}

int beneath_line(int root, const char *path, struct arena *a, const char **ret, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LINE_MAX_BYTES);
	cleanup_error dray_error *e = NULL;

	*ret = NULL;
	if (beneath_read(root, path, &text, NULL, &e) < 0) {
		if (dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
			return 0;
		if (err)
			*err = steal_pointer(&e);
		return -1;
	}
	while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.len--;
	if (text.len && memchr(text.data, '\0', text.len)) {
		err_set(err, DRAY_ERR_FORMAT, "a NUL byte in it");
		return in_path(path, err);
	}
	*ret = arena_strndup(a, text.len ? (const char *)text.data : "", text.len);
	return *ret ? 0 : err_nomem(err);
}
