/* SPDX-License-Identifier: Apache-2.0
 *
 * For: temps that a killed run left behind.
 * Relies on: the lock that outfile.c holds on each of its temps while it lives.
 * Promises: nothing is removed that a living process writes or that we did not name.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/number.h"

#define TEMP_MARK ".dray-"
#define TEMP_HEX 8

/* ".NAME.dray-0123abcd" */
static bool is_temp(const char *name)
{
	struct span s = span_str(name);
	size_t tail = strlen(TEMP_MARK) + TEMP_HEX;

	if (name[0] != '.' || s.len < 2 + tail)
		return false;
	return span_starts(span_from(s, s.len - tail), TEMP_MARK) &&
	       hex_is_lower(span_from(s, s.len - TEMP_HEX), TEMP_HEX);
}

/* ".NAME.dray-partial" */
static bool is_partial(const char *name)
{
	return name[0] == '.' && span_ends(span_str(name), OUTFILE_PARTIAL_MARK) &&
	       strlen(name) > sizeof(OUTFILE_PARTIAL_MARK);
}

/* Of no more use: the file that it was to become is there, or nobody came back for it. */
static bool is_stale(int folder, const char *name, const struct stat *partial)
{
	size_t len = strlen(name) - sizeof(OUTFILE_PARTIAL_MARK);
	char final[NAME_MAX + 1];
	struct timespec now;
	struct stat st;

	if (len > NAME_MAX)
		return false;
	memcpy(final, name + 1, len);
	final[len] = '\0';
	if (io_fstatat(folder, final, AT_SYMLINK_NOFOLLOW, &st, NULL) == 0)
		return true;
	return clock_gettime(CLOCK_REALTIME, &now) == 0 &&
	       now.tv_sec - partial->st_mtime > OUTFILE_PARTIAL_DAYS * 24 * 60 * 60;
}

/* A name that can be used again may lead elsewhere by the time we hold the lock. */
static bool same_file(int folder, const char *name, const struct stat *st)
{
	struct stat named;

	return io_fstatat(folder, name, AT_SYMLINK_NOFOLLOW, &named, NULL) == 0 &&
	       named.st_dev == st->st_dev && named.st_ino == st->st_ino;
}

static void remove_if_dead(int folder, const char *name)
{
	cleanup_fd int fd = io_openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, NULL);
	struct stat st;

	if (fd < 0 || io_fstat(fd, &st, NULL) < 0 || !S_ISREG(st.st_mode) ||
	    (is_partial(name) && !is_stale(folder, name, &st)))
		return;
	if (io_flock(fd, LOCK_EX | LOCK_NB, NULL) > 0 && same_file(folder, name, &st))
		(void)!io_unlinkat(folder, name, NULL);
}

void outfile_sweep(int dirfd, const char *folder)
{
	cleanup_fd int fd = io_openat(dirfd, folder, O_RDONLY | O_DIRECTORY, 0, NULL);
	const struct dirent *e;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		return;
	while ((e = readdir(d)) != NULL)
		if (is_temp(e->d_name) || is_partial(e->d_name))
			remove_if_dead(fd, e->d_name);
	closedir(d);
	fd = -1; /* went with the stream */
}

void outfile_tidy(const struct outfile *o)
{
	/* Without a lock of our own the sweep would take our temp for a dead one. */
	if (o->temp && o->hold >= 0)
		outfile_sweep(o->dirfd, ".");
}
