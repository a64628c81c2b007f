/* SPDX-License-Identifier: Apache-2.0 */

/* Members of a folder, looked up as they are asked for.
 * Relies on openat(2) with O_NOFOLLOW for every component: the kernel never follows a link for us.
 * Promises that nothing outside the folder is opened and that no FIFO or device makes us wait. */

#include "store/members.h"

#include <fcntl.h>
#include <limits.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"

struct dir_members {
	struct members members;
	int fd;
};

/* Open cleaned name @p name below @p fd, component by component. */
static int open_below(int fd, struct span name, int flags, dray_error **err)
{
	cleanup_fd int folder = -1;
	char part[NAME_MAX + 1];

	for (;;) {
		int64_t slash = span_find(name, '/');
		size_t len = slash < 0 ? name.len : (size_t)slash;

		if (len > NAME_MAX)
			return err_set(err, DRAY_ERR_NOT_FOUND, "a name of %zu bytes", len);
		memcpy(part, name.data, len);
		part[len] = '\0';
		if (slash < 0)
			return io_openat(folder < 0 ? fd : folder, part, flags | O_NOFOLLOW, 0,
					 err);
		int next = io_openat(folder < 0 ? fd : folder, part,
				     O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, err);
		if (next < 0)
			return -1;
		cleanup_fd_fn(&folder);
		folder = next;
		name = span_from(name, len + 1);
	}
}

/* 1 = open in *ret_fd, 0 = no such name, -1. */
static int open_if_there(int fd, struct span name, int *ret_fd, dray_error **err)
{
	cleanup_error dray_error *e = NULL;

	*ret_fd = open_below(fd, name, O_PATH, &e);
	if (*ret_fd >= 0)
		return 1;
	if (dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = steal_pointer(&e);
	return -1;
}

static enum member_type type_of_mode(mode_t mode)
{
	if (S_ISREG(mode))
		return MEMBER_FILE;
	return S_ISLNK(mode) ? MEMBER_SYMLINK : MEMBER_OTHER;
}

static int dir_find(struct members *m, struct span name, struct member **ret, dray_error **err)
{
	const struct dir_members *d = (const struct dir_members *)m;
	cleanup_buf struct buf link = BUF_INIT(LIMIT_PATH);
	struct stat st;

	*ret = NULL;
	if (!name.len)
		return 0;
	cleanup_fd int fd = -1;
	int there = open_if_there(d->fd, name, &fd, err);
	if (there <= 0)
		return there;
	if (io_fstat(fd, &st, err) < 0)
		return -1;
	if (S_ISLNK(st.st_mode) && io_readlinkat(fd, "", &link, err) < 0)
		return -1;
	if (members_add(m, name, span_buf(&link), ret, err) < 0)
		return -1;
	if (*ret) {
		(*ret)->type = type_of_mode(st.st_mode);
		(*ret)->size = st.st_size;
	}
	return 0;
}

struct dir_file {
	const struct dir_members *dir;
	struct span name;
};

static struct source *open_file(void *arg, dray_error **err)
{
	const struct dir_file *f = arg;
	struct stat st;

	cleanup_fd int fd = open_below(f->dir->fd, f->name, O_RDONLY | O_NONBLOCK | O_NOCTTY, err);
	if (fd < 0 || io_fstat(fd, &st, err) < 0)
		return NULL;
	if (!S_ISREG(st.st_mode)) {
		err_set(err, DRAY_ERR_FORMAT, "no regular file any more");
		return NULL;
	}
	int owned = fd;
	fd = -1;
	return source_from_file(owned, st.st_size, err);
}

static struct source *dir_open(const struct members *m, const struct member *e, dray_error **err)
{
	struct dir_file *f = mem_alloc(sizeof(*f));

	if (!f) {
		err_nomem(err);
		return NULL;
	}
	*f = (struct dir_file){ (const struct dir_members *)m, e->name };
	return source_reopenable(open_file, f, mem_free, err);
}

static void dir_free(struct members *m)
{
	struct dir_members *d = (struct dir_members *)m;

	members_clear(m);
	cleanup_fd_fn(&d->fd);
	mem_free(d);
}

static const struct members_ops dir_ops = { .find = dir_find, .open = dir_open, .free = dir_free };

int members_open_dir(const char *path, struct notes *notes, struct members **ret, dray_error **err)
{
	cleanup_fd int fd = io_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return -1;
	struct dir_members *d = mem_zalloc(sizeof(*d));
	if (!d)
		return err_nomem(err);
	members_init(&d->members, &dir_ops, notes);
	d->fd = fd;
	fd = -1;
	*ret = &d->members;
	return 0;
}
