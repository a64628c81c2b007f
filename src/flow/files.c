/* SPDX-License-Identifier: Apache-2.0 */
/* For: sources over file descriptors: streams, and extents of regular files.
 * Relies on: base/io.h for every read.
 * Promises: one copy per byte; an extent never moves the file position of its fd.
 */
#include "flow/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "base/io.h"
#include "base/mem.h"

/* Twice what a reader may ask for, so that moving a tail to the front is rare;
 * larger reads were not faster (a page-cache copy is bound by memory). */
#define READ_BUFFER (2 * SOURCE_PEEK_MAX)

/* Bytes read and not yet consumed: data[start .. start+len). */
struct read_buffer {
	uint8_t *data;
	size_t cap;
	size_t start;
	size_t len;
};

struct file_source {
	struct source base;
	struct read_buffer buf;
	int fd;
	bool own;
	bool eof;	 /* a stream's read(2) returned 0 */
	int64_t first;	 /* extent: where it begins in the file */
	int64_t total;	 /* extent: its length */
	int64_t fetched; /* extent: how far it was read or skipped */
};

static struct span buffered(const struct read_buffer *b)
{
	return span_of(b->data + b->start, b->len);
}

/* Free space behind the bytes, at least enough to hold @min in one piece. */
static struct room read_room(struct read_buffer *b, size_t min)
{
	if (b->len == 0) {
		b->start = 0;
	} else if (b->start + min > b->cap) {
		memmove(b->data, b->data + b->start, b->len);
		b->start = 0;
	}
	size_t end = b->start + b->len;

	return (struct room){ b->data + end, b->cap - end };
}

static void file_consume(struct source *s, size_t n)
{
	struct read_buffer *b = &((struct file_source *)s)->buf;

	b->start += n;
	b->len -= n;
}

static void file_free(struct source *s)
{
	struct file_source *f = (struct file_source *)s;

	if (f->own)
		cleanup_fd_fn(&f->fd);
	mem_free(f->buf.data);
	mem_free(f);
}

static struct file_source *file_new(const struct source_ops *ops, int fd, size_t cap,
				    dray_error **err)
{
	struct file_source *f = mem_zalloc(sizeof(*f));

	if (!f) {
		err_nomem(err);
		return NULL;
	}
	f->base.ops = ops;
	f->fd = fd;
	f->buf.cap = cap;
	f->buf.data = mem_alloc(cap);
	if (!f->buf.data) {
		file_free(&f->base);
		err_nomem(err);
		return NULL;
	}
	return f;
}

/* ---- a stream ---- */

static int stream_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct file_source *f = (struct file_source *)s;

	while (f->buf.len < min && !f->eof) {
		struct room room = read_room(&f->buf, min);
		int64_t n = io_read(f->fd, room.data, room.len, err);

		if (n < 0)
			return -1;
		f->eof = n == 0;
		f->buf.len += (size_t)n;
	}
	*ret = buffered(&f->buf);
	return 0;
}

static const struct source_ops stream_ops = {
	.peek = stream_peek,
	.consume = file_consume,
	.free = file_free,
};

struct source *source_from_fd(int fd, bool own, dray_error **err)
{
	struct file_source *f = file_new(&stream_ops, fd, READ_BUFFER, err);

	if (!f) {
		if (own)
			cleanup_fd_fn(&fd);
		return NULL;
	}
	f->own = own;
	return &f->base;
}

/* ---- an extent ---- */

static int extent_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct file_source *f = (struct file_source *)s;

	while (f->buf.len < min && f->fetched < f->total) {
		struct room room = read_room(&f->buf, min);
		int64_t left = f->total - f->fetched;

		if ((uint64_t)left < room.len)
			room.len = (size_t)left;

		int64_t n = io_pread(f->fd, room.data, room.len, f->first + f->fetched, err);

		if (n < 0)
			return -1;
		if (n == 0)
			return err_set(err, DRAY_ERR_CORRUPT,
				       "file changed or truncated: it ends at byte %" PRId64
				       ", %" PRId64 " bytes early",
				       f->first + f->fetched, left);
		f->buf.len += (size_t)n;
		f->fetched += n;
	}
	*ret = buffered(&f->buf);
	return 0;
}

/* Continue at @off of the extent, which may be ahead or behind. */
static void extent_seek(struct file_source *f, int64_t off)
{
	int64_t ahead = off - (f->fetched - (int64_t)f->buf.len);

	if (ahead >= 0 && (uint64_t)ahead <= f->buf.len) {
		f->buf.start += (size_t)ahead;
		f->buf.len -= (size_t)ahead;
		return;
	}
	f->buf.start = 0;
	f->buf.len = 0;
	f->fetched = off;
}

static int64_t extent_skip(struct source *s, int64_t n, dray_error **err)
{
	struct file_source *f = (struct file_source *)s;
	int64_t at = f->fetched - (int64_t)f->buf.len;
	int64_t step = n < f->total - at ? n : f->total - at;

	(void)err;
	extent_seek(f, at + step);
	return step;
}

static int extent_rewind(struct source *s, int64_t off, dray_error **err)
{
	struct file_source *f = (struct file_source *)s;

	if (off > f->total)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "cannot rewind past the end");
	extent_seek(f, off);
	return 0;
}

static int extent_own(struct source *s, int *ret_fd, int64_t *ret_off, int64_t *ret_len,
		      dray_error **err)
{
	const struct file_source *f = (const struct file_source *)s;
	int fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(err, errno, "dup");
	*ret_fd = fd;
	*ret_off = f->first;
	*ret_len = f->total;
	return 1;
}

static const struct source_ops extent_ops = {
	.peek = extent_peek,
	.consume = file_consume,
	.skip = extent_skip,
	.rewind = extent_rewind,
	.own_extent = extent_own,
	.free = file_free,
};

struct source *source_from_extent(int fd, int64_t off, int64_t len, dray_error **err)
{
	int64_t end;

	if (off < 0 || len < 0 || __builtin_add_overflow(off, len, &end)) {
		err_set(err, DRAY_ERR_FORMAT, "extent out of range");
		return NULL;
	}
	size_t cap = len < READ_BUFFER ? (size_t)len : READ_BUFFER;
	struct file_source *f = file_new(&extent_ops, fd, cap > 0 ? cap : 1, err);

	if (!f)
		return NULL;
	f->first = off;
	f->total = len;
	return &f->base;
}

struct source *source_from_file(int fd, int64_t len, dray_error **err)
{
	struct source *s = source_from_extent(fd, 0, len, err);

	if (s)
		((struct file_source *)s)->own = true;
	else
		cleanup_fd_fn(&fd);
	return s;
}

bool source_extent(const struct source *s, int *ret_fd, int64_t *ret_off, int64_t *ret_len)
{
	const struct file_source *f = (const struct file_source *)s;

	if (s->ops != &extent_ops || s->pos > 0)
		return false;
	*ret_fd = f->fd;
	*ret_off = f->first;
	*ret_len = f->total;
	return true;
}
