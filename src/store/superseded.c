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
static int still_named(const char *path, const struct stat *st, dray_error **err)
{
	struct stat named;

	if (io_fstatat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &named, err) < 0)
		return -1;
	return named.st_ino == st->st_ino && named.st_dev == st->st_dev;
}

int superseded_open(const char *path, struct stat *ret, char **ret_path, dray_error **err)
{
	for (;;) {
		cleanup_fd int fd = io_openat(AT_FDCWD, path, O_RDWR | O_NOCTTY | O_NONBLOCK, 0,
					      err);
		cleanup_free char *real = NULL;
		int named;

		if (fd < 0 || io_fstat(fd, ret, err) < 0)
			return -1;
		if (!S_ISREG(ret->st_mode))
			return err_set(err, DRAY_ERR_USAGE,
				       "only a regular file is changed where it lies");
		if (io_flock(fd, LOCK_EX, err) < 0 || io_fstat(fd, ret, err) < 0)
			return -1;
		real = io_realpath(path, err);
		named = real ? still_named(real, ret, err) : -1;
		if (named < 0)
			return -1;
		if (named) {
			*ret_path = steal_pointer(&real);
			return steal_fd(&fd);
		}
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

/* The header of SUPERSEDED_PENDING: one block, the same in every archive. */
static int pending_header(struct buf *ret, dray_error **err)
{
	const struct tar_member m = { .type = TAR_FILE,
				      .mode = 0644,
				      .name = SPAN_LIT(SUPERSEDED_PENDING) };

	return tar_header_write(&m, ret, err);
}

static int is_pending(int fd, int64_t at, bool *ret, dray_error **err)
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);
	uint8_t b[TAR_BLOCK];
	int64_t got = io_pread(fd, b, sizeof(b), at, err);

	if (got < 0 || pending_header(&head, err) < 0)
		return -1;
	*ret = span_eq(span_of(b, (size_t)got), span_buf(&head));
	return 0;
}

/* Where from @p at on the first byte lies that is not zero; -1 with *err set, or at the end. */
static int64_t find_data(int fd, int64_t at, dray_error **err)
{
	uint8_t b[16 * KIB];

	for (;;) {
		int64_t got = io_pread(fd, b, sizeof(b), at, err);

		if (got <= 0)
			return -1;
		for (int64_t i = 0; i < got; i++)
			if (b[i])
				return at + i;
		at += got;
	}
}

int superseded_check_end(int fd, int64_t end, dray_error **err)
{
	cleanup_error dray_error *failure = NULL;
	int64_t at = find_data(fd, end, &failure);
	bool ours = false;

	if (failure) {
		if (err)
			*err = steal_pointer(&failure);
		return -1;
	}
	if (at < 0)
		return 0;
	if (at < end + END_BLOCKS)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "no end marker behind the last member");
	if (at == end + END_BLOCKS && is_pending(fd, at, &ours, err) < 0)
		return -1;
	if (ours)
		return 0;
	return err_set(err, DRAY_ERR_UNSUPPORTED,
		       "there is data behind the end of the archive, at byte %lld", (long long)at);
}

int superseded_pend(int fd, int64_t at, dray_error **err)
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);

	return pending_header(&head, err) < 0 ? -1 : io_pwrite_all(fd, span_buf(&head), at, err);
}

int superseded_begin(int fd, int64_t size, int64_t end, dray_error **err)
{
	static const uint8_t zeros[END_BLOCKS];

	if ((size < end + END_BLOCKS &&
	     io_pwrite_all(fd, span_of(zeros, sizeof(zeros)), end, err) < 0) ||
	    superseded_pend(fd, end + END_BLOCKS, err) < 0)
		return -1;
	/* Before any member: what a power cut leaves must be known by it. */
	return io_fsync(fd, err);
}

void superseded_name(int64_t off, char ret[SUPERSEDED_NAME])
{
	snprintf(ret, SUPERSEDED_NAME, SUPERSEDED_PREFIX "%llx", (unsigned long long)off);
}

int superseded_write(int fd, int64_t off, int64_t end, dray_error **err)
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);
	char name[SUPERSEDED_NAME];
	struct tar_member m = { .type = TAR_FILE, .mode = 0644, .size = end - off - TAR_BLOCK };

	superseded_name(off, name);
	m.name = span_str(name);
	if (tar_header_write(&m, &head, err) < 0)
		return -1;
	/* One block or it would not be one write: documents are far smaller than 8 GiB. */
	if (head.len != TAR_BLOCK)
		return err_set(err, DRAY_ERR_LIMIT, "the old documents are too far apart");
	return io_pwrite_all(fd, span_buf(&head), off, err);
}
