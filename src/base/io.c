/* SPDX-License-Identifier: Apache-2.0
 *
 * For: system calls with errors in our terms.
 * Relies on: fault.h for its counted door, cancel.h to leave a wait that a signal broke.
 * Promises: reads and writes survive EINTR, EAGAIN and short counts.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/cancel.h"
#include "base/fault.h"
#include "base/io_priv.h"
#include "base/mem.h"
#include "base/text.h"

#define COPY_STEP ((int64_t)16 * 1024 * 1024) /* bytes between two looks at the cancel flag */
#define COPY_BUFFER ((size_t)256 * 1024)
#define WRITEBACK_STEP ((int64_t)8 * 1024 * 1024)
#define LET_GO_MIN ((int64_t)32 * 1024)
#define PAGE ((int64_t)4096)
#define SHOWN_PATH 512 /* bytes of a path that an error shows */
#define LINK_TEXT_MAX 8192

bool io_refused(void)
{
	if (fault_hit(FAULT_CRASH))
		_exit(99);
	if (!fault_hit(FAULT_IO))
		return false;
	errno = fault_errno();
	return true;
}

static size_t step_len(size_t len)
{
	return len > 1 && fault_hit(FAULT_SHORT) ? 1 : len;
}

/*
 * After a call on @p fd failed: 0 when it is worth calling again, else -1 with
 * the error set. A signal that asked to stop is the end of waiting (G-18).
 */
static int again(int fd, short events, const char *verb, dray_error **err)
{
	int errnum = errno;

	if (errnum == EINTR)
		return cancel_check(err);
	if (errnum != EAGAIN)
		return err_sys(err, errnum, "%s", verb);
	struct pollfd wait = { .fd = fd, .events = events };
	if (poll(&wait, 1, -1) < 0 && errno != EINTR)
		return err_sys(err, errno, "poll");
	return cancel_check(err);
}

int io_path_failed(int errnum, const char *verb, const char *path, dray_error **err)
{
	if (!err)
		return -1;
	cleanup_free char *shown = text_safe(span_str(path), SHOWN_PATH);
	if (!shown)
		return err_nomem(err);
	err_sys(err, errnum, "%s %s", verb, shown);
	if (errnum == ENOENT || errnum == ENOTDIR)
		err_rekind(err, DRAY_ERR_NOT_FOUND);
	return -1;
}

int io_openat(int dirfd, const char *path, int flags, mode_t mode, dray_error **err)
{
	int fd;

	do {
		fd = io_refused() ? -1 : openat(dirfd, path, flags | O_CLOEXEC, mode);
	} while (fd < 0 && errno == EINTR && !cancel_requested());
	return fd < 0 ? io_path_failed(errno, "open", path, err) : fd;
}

int64_t io_read(int fd, void *data, size_t len, dray_error **err)
{
	for (;;) {
		ssize_t n = io_refused() ? -1 : read(fd, data, step_len(len));
		if (n >= 0)
			return n;
		if (again(fd, POLLIN, "read", err) < 0)
			return -1;
	}
}

int64_t io_pread(int fd, void *data, size_t len, int64_t off, dray_error **err)
{
	for (;;) {
		ssize_t n = io_refused() ? -1 : pread(fd, data, step_len(len), off);
		if (n >= 0)
			return n;
		if (again(fd, POLLIN, "read", err) < 0)
			return -1;
	}
}

int io_write_all(int fd, struct span bytes, dray_error **err)
{
	while (bytes.len) {
		ssize_t n = io_refused() ? -1 : write(fd, bytes.data, step_len(bytes.len));
		if (n >= 0)
			bytes = span_from(bytes, (size_t)n);
		else if (again(fd, POLLOUT, "write", err) < 0)
			return -1;
	}
	return 0;
}

int io_pwrite_all(int fd, struct span bytes, int64_t off, dray_error **err)
{
	while (bytes.len) {
		ssize_t n = io_refused() ? -1 : pwrite(fd, bytes.data, step_len(bytes.len), off);
		if (n >= 0) {
			bytes = span_from(bytes, (size_t)n);
			off += n;
		} else if (again(fd, POLLOUT, "write", err) < 0) {
			return -1;
		}
	}
	return 0;
}

/* True when the kernel declined this pair of files and plain calls may still work. */
static bool copy_declined(int errnum)
{
	/* EBADF is what it says of an output opened with O_APPEND, EPERM what a jail says. */
	return errnum == EXDEV || errnum == EINVAL || errnum == ENOSYS || errnum == EOPNOTSUPP ||
	       errnum == EBADF || errnum == EPERM;
}

static int copy_by_hand(int in, int64_t off, int64_t len, int out, dray_error **err)
{
	cleanup_free uint8_t *buffer = mem_alloc(COPY_BUFFER);

	if (!buffer)
		return err_nomem(err);
	while (len > 0) {
		size_t want = len < (int64_t)COPY_BUFFER ? (size_t)len : COPY_BUFFER;
		if (cancel_check(err) < 0)
			return -1;
		int64_t n = io_pread(in, buffer, want, off, err);
		if (n < 0)
			return -1;
		if (n == 0)
			return err_set(err, DRAY_ERR_CORRUPT,
				       "file ends at byte %lld, %lld bytes early", (long long)off,
				       (long long)len);
		if (io_write_all(out, span_of(buffer, (size_t)n), err) < 0)
			return -1;
		off += n;
		len -= n;
	}
	return 0;
}

int io_copy_range(int in, int64_t off, int64_t len, int out, dray_error **err)
{
	while (len > 0) {
		size_t want = (size_t)(len < COPY_STEP ? len : COPY_STEP);
		off64_t at = off;

		if (cancel_check(err) < 0)
			return -1;
		ssize_t n = io_refused() ? -1 : copy_file_range(in, &at, out, NULL, want, 0);
		/* 0 is the end of the file, or a file system that cannot say so: reading tells. */
		if (n == 0 || (n < 0 && copy_declined(errno)))
			return copy_by_hand(in, off, len, out, err);
		if (n < 0 && again(out, POLLOUT, "copy", err) < 0)
			return -1;
		if (n > 0) {
			off += n;
			len -= n;
		}
	}
	return 0;
}

void io_writeback(int fd, int64_t *begun, int64_t end)
{
	if (end - *begun < WRITEBACK_STEP || io_refused())
		return;
	/* 0 = to the end. Without the flags that wait, errors stay where fsync(2) finds them. */
	(void)sync_file_range(fd, *begun, 0, SYNC_FILE_RANGE_WRITE);
	*begun = end;
}

void io_let_go(int fd, int64_t off, int64_t end)
{
	off = (off + PAGE - 1) / PAGE * PAGE;
	end = end / PAGE * PAGE;
	if (end - off < LET_GO_MIN || io_refused())
		return;
	(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, end - off);
}

int io_fsync(int fd, dray_error **err)
{
	if ((io_refused() ? -1 : fsync(fd)) == 0 || errno == EINVAL || errno == EROFS)
		return 0;
	/* No second try: the kernel may have dropped the pages, and would then say yes. */
	return err_sys(err, errno, "fsync");
}

int io_close(int fd, dray_error **err)
{
	bool fail = io_refused();
	int injected = errno;

	/* On Linux the descriptor is gone whatever close() says, EINTR included. */
	if (close(fd) < 0 && errno != EINTR)
		return err_sys(err, errno, "close");
	return fail ? err_sys(err, injected, "close") : 0;
}

int io_fstat(int fd, struct stat *ret, dray_error **err)
{
	if ((io_refused() ? -1 : fstat(fd, ret)) < 0)
		return err_sys(err, errno, "stat");
	return 0;
}

int io_fstatat(int dirfd, const char *path, int flags, struct stat *ret, dray_error **err)
{
	if ((io_refused() ? -1 : fstatat(dirfd, path, ret, flags)) < 0)
		return io_path_failed(errno, "stat", path, err);
	return 0;
}

int io_readlinkat(int dirfd, const char *path, struct buf *ret, dray_error **err)
{
	/* Linux has no longer link text than a page; a full buffer would mean a cut one. */
	char text[LINK_TEXT_MAX];
	ssize_t n = io_refused() ? -1 : readlinkat(dirfd, path, text, sizeof(text));

	if (n < 0)
		return io_path_failed(errno, "readlink", path, err);
	if ((size_t)n == sizeof(text))
		return err_set(err, DRAY_ERR_LIMIT, "a link of %zu bytes or more", sizeof(text));
	return buf_add(ret, span_of(text, (size_t)n), err);
}

char *io_realpath(const char *path, dray_error **err)
{
	char *real = io_refused() ? NULL : realpath(path, NULL);

	if (!real)
		io_path_failed(errno, "resolve", path, err);
	return real;
}

bool io_at_start(int fd)
{
	return !io_refused() && lseek(fd, 0, SEEK_CUR) == 0;
}

bool io_at_end(int fd, int64_t *ret)
{
	int flags = io_refused() ? -1 : fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || (flags & O_APPEND) || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	*ret = lseek(fd, 0, SEEK_CUR);
	return *ret == st.st_size;
}

int io_restart(int fd, int64_t pos, dray_error **err)
{
	if (io_ftruncate(fd, pos, err) < 0)
		return -1;
	if ((io_refused() ? -1 : lseek(fd, pos, SEEK_SET)) < 0)
		return err_sys(err, errno, "seek");
	return 0;
}

int io_fchmod(int fd, mode_t mode, dray_error **err)
{
	if ((io_refused() ? -1 : fchmod(fd, mode)) < 0)
		return err_sys(err, errno, "chmod");
	return 0;
}

int io_mkdirat(int dirfd, const char *path, mode_t mode, bool exist_ok, dray_error **err)
{
	if ((io_refused() ? -1 : mkdirat(dirfd, path, mode)) == 0)
		return 0;
	if (exist_ok && errno == EEXIST)
		return 0;
	return io_path_failed(errno, "mkdir", path, err);
}

/* For file systems without RENAME_NOREPLACE: link(2) refuses an existing name too. */
static int link_and_unlink(int dirfd, const char *from, const char *to)
{
	if (io_refused() || linkat(dirfd, from, dirfd, to, 0) < 0)
		return -1;
	return io_refused() ? -1 : unlinkat(dirfd, from, 0);
}

int io_renameat(int dirfd, const char *from, const char *to, bool no_replace, dray_error **err)
{
	unsigned flags = no_replace ? RENAME_NOREPLACE : 0;
	int rc = io_refused() ? -1 : renameat2(dirfd, from, dirfd, to, flags);

	if (rc < 0 && no_replace && (errno == EINVAL || errno == ENOSYS))
		rc = link_and_unlink(dirfd, from, to);
	return rc < 0 ? io_path_failed(errno, "rename to", to, err) : 0;
}

int io_exchangeat(int dirfd, const char *a, const char *b, dray_error **err)
{
	if ((io_refused() ? -1 : renameat2(dirfd, a, dirfd, b, RENAME_EXCHANGE)) == 0)
		return 0;
	return io_path_failed(errno, "exchange for", b, err);
}

int io_unlinkat(int dirfd, const char *path, dray_error **err)
{
	if ((io_refused() ? -1 : unlinkat(dirfd, path, 0)) == 0 || errno == ENOENT)
		return 0;
	return io_path_failed(errno, "unlink", path, err);
}

/* Read to the end of @p fd; one byte past max tells a file that fits from one that does not. */
static int read_to_end(int fd, struct buf *b, dray_error **err)
{
	for (;;) {
		uint8_t past_end;
		if (b->len < b->max && b->len == b->cap && buf_reserve(b, 1, err) < 0)
			return -1;
		bool full = b->len == b->max;
		int64_t n = io_read(fd, full ? &past_end : b->data + b->len,
				    full ? 1 : b->cap - b->len, err);
		if (n <= 0)
			return (int)n;
		if (full)
			return err_set(err, DRAY_ERR_LIMIT, "over the limit of %zu bytes", b->max);
		b->len += (size_t)n;
	}
}

int io_read_file(int dirfd, const char *path, size_t max, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf b = BUF_INIT(max);
	struct stat st;

	cleanup_fd int fd = io_openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, err);
	if (fd < 0 || io_fstat(fd, &st, err) < 0)
		return -1;
	/* The size is a hint only: files in /proc have none, others grow. */
	size_t hint = st.st_size > 0 && (uint64_t)st.st_size < max ? (size_t)st.st_size + 1 : 0;
	if (buf_reserve(&b, hint, err) < 0)
		return -1;
	if (read_to_end(fd, &b, err) < 0) {
		cleanup_free char *shown = text_safe(span_str(path), SHOWN_PATH);
		return err_ctx(err, "%s", shown ? shown : "file");
	}
	mem_free(ret->data);
	*ret = b;
	b = BUF_INIT(0);
	return 0;
}

int64_t io_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int io_random(void *data, size_t len, dray_error **err)
{
	uint8_t *at = data;

	while (len) {
		ssize_t n = io_refused() ? -1 : getrandom(at, len, 0);
		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "getrandom");
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

void io_unpace(int fd)
{
	static const char reno[] = "reno";

	(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, reno, sizeof(reno) - 1);
}

void cleanup_fd_fn(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}
