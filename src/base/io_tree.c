/* SPDX-License-Identifier: Apache-2.0
 *
 * For: trees of folders that may hold anything: going down into them, listing and removing them.
 * Relies on: openat2(2), or without it on O_NOFOLLOW part by part.
 * Promises: no symbolic link on the way is followed, no depth costs memory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/io_priv.h"
#include "base/mem.h"

#define FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
#define MOVED "dray-removed-" /* what io_remove_tree() calls folders that it took out of others */
#define MOVED_MAX (sizeof(MOVED) + 20)

/* ---- down ---- */

/* One piece of a path, under PATH_MAX; -1 sets errno. */
static int open_piece(int dirfd, const char *piece)
{
	struct open_how how = {
		.flags = FOLDER | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	do {
		fd = io_refused() ? -1 : syscall(SYS_openat2, dirfd, piece, &how, sizeof(how));
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return (int)fd;
}

/* The kernel is older than Linux 5.6, or a jail does not know the call. */
static bool declined(int errnum)
{
	return errnum == ENOSYS || errnum == EPERM;
}

/* Where the next piece of @p path ends: whole parts, as many as fit, or with @p one a single one. */
static size_t piece_len(const char *path, bool one)
{
	size_t len = strcspn(path, "/");

	while (!one && path[len]) {
		size_t next = len + 1 + strcspn(path + len + 1, "/");

		if (next >= PATH_MAX)
			break;
		len = next;
	}
	return len;
}

/* No part is empty, "." or "..": with and without openat2() the same paths are taken. */
static bool is_clean(const char *path)
{
	while (path[0]) {
		size_t len = strcspn(path, "/");

		if (len == 0 || (len <= 2 && strspn(path, ".") >= len))
			return false;
		path += len + (path[len] == '/');
	}
	return true;
}

static int step(int dirfd, const char *piece, bool one, dray_error **err)
{
	int fd;

	if (one)
		return io_openat(dirfd, piece, FOLDER, 0, err);
	fd = open_piece(dirfd, piece);
	return fd < 0 && !declined(errno) ? io_path_failed(errno, "open", piece, err) : fd;
}

/* All of @p path at once, which is what nearly all paths take: -1 = no, and nothing is told. */
static int open_whole(int dirfd, const char *path)
{
	return path[0] && strlen(path) < PATH_MAX ? open_piece(dirfd, path) : -1;
}

int io_open_beneath(int dirfd, const char *path, dray_error **err)
{
	cleanup_fd int fd = -1;
	bool one = false;

	if (!is_clean(path))
		return err_set(err, DRAY_ERR_FORMAT, "a path that is not clean");
	fd = open_whole(dirfd, path);
	if (fd >= 0)
		return steal_fd(&fd);
	fd = io_openat(dirfd, ".", FOLDER, 0, err);
	while (fd >= 0 && path[0]) {
		size_t len = piece_len(path, one);
		cleanup_free char *piece = mem_strndup(path, len);
		cleanup_fd int from = fd;

		fd = -1;
		if (!piece)
			return err_nomem(err);
		fd = step(from, piece, one, err);
		if (fd < 0 && !one && (!err || !*err)) {
			one = true;
			fd = steal_fd(&from);
			continue;
		}
		path += len + (path[len] == '/');
	}
	return steal_fd(&fd);
}

/* ---- away ---- */

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static DIR *list(int fd, dray_error **err)
{
	cleanup_fd int again = io_openat(fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
	DIR *d = NULL;

	if (again < 0)
		return NULL;
	d = io_refused() ? NULL : fdopendir(again);
	if (d)
		again = -1; /* the stream's now */
	else
		err_sys(err, errno, "list folder");
	return d;
}

int io_each_name(int dirfd, int (*each)(void *arg, const char *name, dray_error **err), void *arg,
		 dray_error **err)
{
	DIR *d = list(dirfd, err);
	const struct dirent *e;
	int rc = 0;

	if (!d)
		return -1;
	errno = 0;
	while (rc == 0 && (e = readdir(d)) != NULL) {
		if (!is_dots(e->d_name))
			rc = each(arg, e->d_name, err);
		errno = 0;
	}
	if (rc == 0 && errno)
		rc = err_sys(err, errno, "list folder");
	closedir(d);
	return rc;
}

struct removal {
	int top;	/* where folders are taken to */
	uint64_t moved; /* so far */
};

static int is_folder(int fd, const struct dirent *e, bool *ret, dray_error **err)
{
	struct stat st;

	*ret = e->d_type == DT_DIR;
	if (e->d_type != DT_UNKNOWN)
		return 0;
	if (io_fstatat(fd, e->d_name, AT_SYMLINK_NOFOLLOW, &st, err) < 0)
		return -1;
	*ret = S_ISDIR(st.st_mode);
	return 0;
}

/* A user has to be allowed into folders and to move them, whatever mode they have. */
static int unlock_folder(int fd, const char *name, dray_error **err)
{
	return geteuid() == 0 ? 0 : io_chmodat(fd, name, 0700, err);
}

/* Unlink a file, take a folder to the top. */
static int take_out(struct removal *r, int fd, const struct dirent *e, dray_error **err)
{
	char name[MOVED_MAX];
	bool folder;

	if (is_folder(fd, e, &folder, err) < 0)
		return -1;
	if (!folder)
		return io_unlinkat(fd, e->d_name, err);
	if (unlock_folder(fd, e->d_name, err) < 0)
		return -1;
	snprintf(name, sizeof(name), MOVED "%llu", (unsigned long long)r->moved++);
	return io_moveat(fd, e->d_name, r->top, name, true, err);
}

/* Empty the folder @p name of the top, and remove it. */
static int remove_flat(struct removal *r, const char *name, dray_error **err)
{
	cleanup_fd int fd = -1;
	const struct dirent *e;
	DIR *d = NULL;
	int rc = 0;

	if (unlock_folder(r->top, name, err) < 0)
		return -1;
	fd = io_openat(r->top, name, FOLDER, 0, err);
	d = fd < 0 ? NULL : list(fd, err);
	if (!d)
		return -1;
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (!is_dots(e->d_name))
			rc = take_out(r, fd, e, err);
	closedir(d);
	return rc < 0 ? -1 : io_rmdirat(r->top, name, err);
}

/* One round over the top: 1 = something was there, 0 = nothing, -1. */
static int remove_round(struct removal *r, dray_error **err)
{
	DIR *d = list(r->top, err);
	const struct dirent *e;
	bool folder;
	int rc = 0, any = 0;

	if (!d)
		return -1;
	while (rc == 0 && (e = readdir(d)) != NULL) {
		if (is_dots(e->d_name))
			continue;
		any = 1;
		rc = is_folder(r->top, e, &folder, err);
		if (rc == 0)
			rc = folder ? remove_flat(r, e->d_name, err)
				    : io_unlinkat(r->top, e->d_name, err);
	}
	closedir(d);
	return rc < 0 ? -1 : any;
}

int io_remove_tree(int dirfd, const char *name, dray_error **err)
{
	struct removal r = { .top = -1 };
	cleanup_error dray_error *e = NULL;
	cleanup_fd int top = io_openat(dirfd, name, FOLDER, 0, &e);
	int rc;

	if (top < 0 && dray_error_kind(e) == DRAY_ERR_NOT_FOUND)
		return 0;
	if (top < 0) {
		if (err)
			*err = steal_pointer(&e);
		return -1;
	}
	r.top = top;
	do {
		rc = remove_round(&r, err);
	} while (rc > 0);
	return rc < 0 ? -1 : io_rmdirat(dirfd, name, err);
}
