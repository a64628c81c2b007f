/* SPDX-License-Identifier: Apache-2.0
 *
 * Changing archives where they lie: lock, end, and members that give way.
 * Relies on a write of one aligned 512-byte block being whole or not at all.
 * Promises that whoever has the lock has that of the file which the name leads to.
 */
#include "store/superseded.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#include "base/limits.h"
#include "codec/codec.h"

/* The lock is of use only while the name still leads to the file that has it. */
int superseded_open(const char *path, struct stat *ret, dray_error **err)
{
	for (;;) {
		cleanup_fd int fd = io_openat(AT_FDCWD, path, O_RDWR | O_NOCTTY | O_NONBLOCK, 0,
					      err);
		struct stat named;

		if (fd < 0 || io_fstat(fd, ret, err) < 0)
			return -1;
		if (!S_ISREG(ret->st_mode))
			return err_set(err, DRAY_ERR_USAGE,
				       "only a regular file is changed where it lies");
		if (io_flock(fd, LOCK_EX, err) < 0 || io_fstat(fd, ret, err) < 0 ||
		    io_fstatat(AT_FDCWD, path, 0, &named, err) < 0)
			return -1;
		if (named.st_ino == ret->st_ino && named.st_dev == ret->st_dev)
			return steal_fd(&fd);
	}
}

int superseded_check_plain(int fd, int64_t size, dray_error **err)
{
	cleanup_source struct source *s = source_from_extent(fd, 0, size, err);
	struct span head;

	if (!s || source_peek(s, COMPRESSION_SNIFF, &head, err) < 0)
		return -1;
	if (compression_sniff(head) == COMPRESSION_NONE)
		return 0;
	return err_set(err, DRAY_ERR_UNSUPPORTED,
		       "the archive is compressed as a whole: it cannot be changed where it lies");
}

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

int superseded_check_end(int fd, int64_t end, dray_error **err)
{
	uint8_t b[3 * TAR_BLOCK] = { 0 };
	const uint8_t *next = b + END_BLOCKS;
	int64_t got = io_pread(fd, b, sizeof(b), end, err);

	if (got < 0)
		return -1;
	if (!is_zero(b, END_BLOCKS))
		return err_set(err, DRAY_ERR_UNSUPPORTED, "no end marker behind the last member");
	if (is_zero(next, TAR_BLOCK) || memcmp(next + 257, "ustar", 5) == 0)
		return 0;
	return err_set(err, DRAY_ERR_UNSUPPORTED,
		       "there is data behind the end of the archive, at byte %lld",
		       (long long)end + END_BLOCKS);
}

int superseded_write(int fd, int64_t off, int64_t end, dray_error **err)
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);
	char name[40];
	struct tar_member m = { .type = TAR_FILE, .mode = 0644, .size = end - off - TAR_BLOCK };

	snprintf(name, sizeof(name), SUPERSEDED_PREFIX "%llx", (unsigned long long)off);
	m.name = span_str(name);
	if (tar_header_write(&m, &head, err) < 0)
		return -1;
	/* One block or it would not be one write: documents are far smaller than 8 GiB. */
	if (head.len != TAR_BLOCK)
		return err_set(err, DRAY_ERR_LIMIT, "the old documents are too far apart");
	return io_pwrite_all(fd, span_buf(&head), off, err);
}
