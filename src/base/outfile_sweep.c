/* SPDX-License-Identifier: Apache-2.0
 *
 * For: temps that a killed run left behind.
 * Relies on: the lock that outfile.c holds on each of its temps while it lives.
 * Promises: nothing is removed that a living process writes or that we did not name.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
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

static void remove_if_dead(int folder, const char *name)
{
	cleanup_fd int fd = io_openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, NULL);
	struct stat st;

	if (fd < 0 || io_fstat(fd, &st, NULL) < 0 || !S_ISREG(st.st_mode))
		return;
	if (io_flock(fd, LOCK_EX | LOCK_NB, NULL) > 0)
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
		if (is_temp(e->d_name))
			remove_if_dead(fd, e->d_name);
	closedir(d);
	fd = -1; /* went with the stream */
}
