/* SPDX-License-Identifier: Apache-2.0
 *
 * For: system calls about folders, locks and whole file systems.
 * Relies on: io.c for the counted door.
 * Promises: a wait for a lock ends when a signal asked to stop.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/cancel.h"
#include "base/io_priv.h"

int io_ftruncate(int fd, int64_t size, dray_error **err)
{
	int rc;

	do {
		rc = io_refused() ? -1 : ftruncate(fd, size);
	} while (rc < 0 && errno == EINTR && !cancel_requested());
	return rc < 0 ? err_sys(err, errno, "truncate") : 0;
}

int io_rmdirat(int dirfd, const char *path, dray_error **err)
{
	if ((io_refused() ? -1 : unlinkat(dirfd, path, AT_REMOVEDIR)) == 0 || errno == ENOENT)
		return 0;
	return err_sys(err, errno, "rmdir");
}

int io_dir_empty(int dirfd, bool *ret, dray_error **err)
{
	const struct dirent *e;
	DIR *d = NULL;

	cleanup_fd int fd = io_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return -1;
	d = io_refused() ? NULL : fdopendir(fd);
	if (!d)
		return err_sys(err, errno, "list folder");
	fd = -1; /* the stream's now */
	*ret = true;
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			*ret = false;
	closedir(d);
	return 0;
}

int io_flock(int fd, int operation, dray_error **err)
{
	for (;;) {
		if ((io_refused() ? -1 : flock(fd, operation)) == 0)
			return 1;
		if (errno == EWOULDBLOCK)
			return 0;
		if (errno != EINTR)
			return err_sys(err, errno, "lock");
		if (cancel_check(err) < 0)
			return -1;
	}
}

int io_syncfs(int fd, dray_error **err)
{
	if ((io_refused() ? -1 : syncfs(fd)) < 0)
		return err_sys(err, errno, "sync file system");
	return 0;
}

int io_space(int fd, int64_t *ret, dray_error **err)
{
	struct statvfs st;

	if ((io_refused() ? -1 : fstatvfs(fd, &st)) < 0)
		return err_sys(err, errno, "space of file system");
	/* One without blocks is some program's. */
	if (!st.f_blocks || __builtin_mul_overflow(st.f_bavail, st.f_frsize, ret))
		*ret = INT64_MAX;
	return 0;
}
