/* SPDX-License-Identifier: Apache-2.0
 *
 * For: system calls that make names of every kind and set what they carry.
 * Relies on: io.c for the counted door; /proc for attributes of what cannot be opened.
 * Promises: the last part of a path is never followed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "base/io_priv.h"

#define PROC_FD "/proc/self/fd/"
#define PROC_FD_MAX (sizeof(PROC_FD) + 12)

int io_symlinkat(const char *text, int dirfd, const char *path, dray_error **err)
{
	if ((io_refused() ? -1 : symlinkat(text, dirfd, path)) < 0)
		return io_path_failed(errno, "symlink", path, err);
	return 0;
}

int io_linkat(int from_dir, const char *from, int to_dir, const char *to, dray_error **err)
{
	if ((io_refused() ? -1 : linkat(from_dir, from, to_dir, to, 0)) < 0)
		return io_path_failed(errno, "link", to, err);
	return 0;
}

int io_mknodat(int dirfd, const char *path, mode_t mode, unsigned major_nr, unsigned minor_nr,
	       dray_error **err)
{
	if ((io_refused() ? -1 : mknodat(dirfd, path, mode, makedev(major_nr, minor_nr))) < 0)
		return io_path_failed(errno, "mknod", path, err);
	return 0;
}

int io_chownat(int dirfd, const char *path, uid_t uid, gid_t gid, dray_error **err)
{
	const int flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;

	if ((io_refused() ? -1 : fchownat(dirfd, path, uid, gid, flags)) < 0)
		return err_sys(err, errno, "chown to %u:%u", uid, gid);
	return 0;
}

int io_chmodat(int dirfd, const char *path, mode_t mode, dray_error **err)
{
	if (!path[0])
		return io_fchmod(dirfd, mode, err);
	if ((io_refused() ? -1 : fchmodat(dirfd, path, mode, AT_SYMLINK_NOFOLLOW)) < 0)
		return err_sys(err, errno, "chmod");
	return 0;
}

int io_utimeat(int dirfd, const char *path, int64_t mtime, uint32_t nsec, dray_error **err)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
					   { .tv_sec = mtime, .tv_nsec = nsec } };
	int rc;

	if (io_refused())
		rc = -1;
	else if (path[0])
		rc = utimensat(dirfd, path, times, AT_SYMLINK_NOFOLLOW);
	else
		rc = futimens(dirfd, times);
	return rc < 0 ? err_sys(err, errno, "set times") : 0;
}

/* "/proc/self/fd/3/name": the link in the middle is the kernel's, the name is not followed. */
static int set_by_proc(int dirfd, const char *path, const char *name, struct span value)
{
	char full[PROC_FD_MAX + NAME_MAX + 2];
	int n = snprintf(full, sizeof(full), PROC_FD "%d/%s", dirfd, path);

	if (n < 0 || (size_t)n >= sizeof(full)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return lsetxattr(full, name, value.data, value.len, 0);
}

int io_setxattrat(int dirfd, const char *path, const char *name, struct span value,
		  dray_error **err)
{
	int rc;

	if (io_refused())
		rc = -1;
	else if (path[0])
		rc = set_by_proc(dirfd, path, name, value);
	else
		rc = fsetxattr(dirfd, name, value.data, value.len, 0);
	return rc < 0 ? io_path_failed(errno, "set attribute", name, err) : 0;
}

/* For file systems that do not know RENAME_NOREPLACE; -1 sets errno. */
static int look_and_rename(int from_dir, const char *from, int to_dir, const char *to)
{
	struct stat st;

	if (fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return errno == ENOENT ? renameat(from_dir, from, to_dir, to) : -1;
}

int io_moveat(int from_dir, const char *from, int to_dir, const char *to, bool no_replace,
	      dray_error **err)
{
	unsigned flags = no_replace ? RENAME_NOREPLACE : 0;
	int rc = io_refused() ? -1 : renameat2(from_dir, from, to_dir, to, flags);

	if (rc < 0 && no_replace && (errno == EINVAL || errno == ENOSYS))
		rc = look_and_rename(from_dir, from, to_dir, to);
	return rc < 0 ? io_path_failed(errno, "rename to", to, err) : 0;
}
