/* SPDX-License-Identifier: Apache-2.0 */
/* For: the writer's half of every sink, the plain kinds of sink, and pump().
 * Relies on: base/io.h for every write; struct outfile for atomic files.
 * Promises: nothing is committed unless sink_finish() succeeded.
 */
#include "flow/sink.h"

#include <assert.h>
#include <fcntl.h>

#include "base/cancel.h"
#include "base/io.h"
#include "base/mem.h"

static int sink_failed(struct sink *k)
{
	k->failed = true;
	return -1;
}

int sink_write(struct sink *k, struct span bytes, dray_error **err)
{
	assert(!k->failed && !k->finished);
	if (bytes.len == 0)
		return 0;
	if (cancel_check(err) < 0 || k->ops->write(k, bytes, err) < 0)
		return sink_failed(k);
	k->pos += (int64_t)bytes.len;
	return 0;
}

static int splice_by_reading(struct sink *k, int fd, int64_t off, int64_t len, dray_error **err)
{
	cleanup_source struct source *s = source_from_extent(fd, off, len, err);

	return !s || pump(s, k, err) < 0 ? -1 : 0;
}

int sink_splice(struct sink *k, int fd, int64_t off, int64_t len, dray_error **err)
{
	assert(!k->failed && !k->finished);
	if (len == 0)
		return 0;
	if (!k->ops->splice)
		return splice_by_reading(k, fd, off, len, err);
	if (cancel_check(err) < 0 || k->ops->splice(k, fd, off, len, err) < 0)
		return sink_failed(k);
	k->pos += len;
	return 0;
}

int sink_finish(struct sink *k, dray_error **err)
{
	assert(!k->failed && !k->finished);
	k->finished = true;
	if (cancel_check(err) < 0 || (k->ops->finish && k->ops->finish(k, err) < 0))
		return sink_failed(k);
	return 0;
}

void sink_free(struct sink *k)
{
	if (k)
		k->ops->free(k);
}

int64_t pump(struct source *s, struct sink *k, dray_error **err)
{
	int64_t moved = 0;

	for (;;) {
		struct span got;

		if (source_peek(s, 1, &got, err) < 0)
			return -1;
		if (got.len == 0)
			return moved;
		if (sink_write(k, got, err) < 0)
			return -1;
		source_consume(s, got.len);
		moved += (int64_t)got.len;
	}
}

static void *sink_new(size_t size, const struct sink_ops *ops, dray_error **err)
{
	struct sink *k = mem_zalloc(size);

	if (k)
		k->ops = ops;
	else
		err_nomem(err);
	return k;
}

static void plain_free(struct sink *k)
{
	mem_free(k);
}

/* ---- memory ---- */

struct buf_sink {
	struct sink base;
	struct buf *buf; /* lent */
};

static int buf_sink_write(struct sink *k, struct span bytes, dray_error **err)
{
	return buf_add(((struct buf_sink *)k)->buf, bytes, err);
}

static const struct sink_ops buf_sink_ops = {
	.write = buf_sink_write,
	.free = plain_free,
};

struct sink *sink_to_buf(struct buf *b, dray_error **err)
{
	struct buf_sink *k = sink_new(sizeof(*k), &buf_sink_ops, err);

	if (!k)
		return NULL;
	k->buf = b;
	return &k->base;
}

/* ---- nowhere ---- */

static int null_write(struct sink *k, struct span bytes, dray_error **err)
{
	(void)k;
	(void)bytes;
	(void)err;
	return 0;
}

static const struct sink_ops null_ops = {
	.write = null_write,
	.free = plain_free,
};

struct sink *sink_null(dray_error **err)
{
	return sink_new(sizeof(struct sink), &null_ops, err);
}

/* ---- a descriptor ---- */

/* Extents are copied in steps of this many bytes, so that an interrupt is seen. */
#define SPLICE_STEP (int64_t)(64 * 1024 * 1024)

/* @n bytes went into @k's file. */
static void write_back(struct sink *k, int fd, int64_t n)
{
	if (k->lasting)
		io_writeback(fd, &k->begun, k->pos + n);
}

static int splice_to_fd(struct sink *k, int in, int64_t off, int64_t len, int out, dray_error **err)
{
	int64_t from = off;

	while (len > 0) {
		int64_t step = len < SPLICE_STEP ? len : SPLICE_STEP;

		if (cancel_check(err) < 0 || io_copy_range(in, off, step, out, err) < 0)
			return -1;
		off += step;
		len -= step;
		write_back(k, out, off - from);
	}
	return 0;
}

static int write_to_fd(struct sink *k, struct span bytes, int out, dray_error **err)
{
	if (io_write_all(out, bytes, err) < 0)
		return -1;
	write_back(k, out, (int64_t)bytes.len);
	return 0;
}

struct fd_sink {
	struct sink base;
	int fd;
	bool own;
};

static int fd_sink_write(struct sink *k, struct span bytes, dray_error **err)
{
	return write_to_fd(k, bytes, ((struct fd_sink *)k)->fd, err);
}

static int fd_sink_splice(struct sink *k, int fd, int64_t off, int64_t len, dray_error **err)
{
	return splice_to_fd(k, fd, off, len, ((struct fd_sink *)k)->fd, err);
}

static int fd_sink_finish(struct sink *k, dray_error **err)
{
	struct fd_sink *f = (struct fd_sink *)k;

	return f->own ? io_close(steal_fd(&f->fd), err) : 0;
}

static void fd_sink_free(struct sink *k)
{
	struct fd_sink *f = (struct fd_sink *)k;

	if (f->own)
		cleanup_fd_fn(&f->fd);
	mem_free(f);
}

static const struct sink_ops fd_sink_ops = {
	.write = fd_sink_write,
	.finish = fd_sink_finish,
	.splice = fd_sink_splice,
	.free = fd_sink_free,
};

struct sink *sink_to_fd(int fd, bool own, dray_error **err)
{
	struct fd_sink *k = sink_new(sizeof(*k), &fd_sink_ops, err);

	if (!k) {
		if (own)
			cleanup_fd_fn(&fd);
		return NULL;
	}
	k->fd = fd;
	k->own = own;
	return &k->base;
}

/* ---- an extent of a file ---- */

struct extent_sink {
	struct sink base;
	int fd;
	int64_t off, max;
};

static int extent_write(struct sink *k, struct span bytes, dray_error **err)
{
	struct extent_sink *e = (struct extent_sink *)k;

	if ((uint64_t)(e->max - k->pos) < bytes.len)
		return err_set(err, DRAY_ERR_LIMIT, "more than %lld bytes", (long long)e->max);
	if (io_pwrite_all(e->fd, bytes, e->off + k->pos, err) < 0)
		return -1;
	write_back(k, e->fd, e->off + (int64_t)bytes.len);
	return 0;
}

static const struct sink_ops extent_sink_ops = {
	.write = extent_write,
	.free = plain_free,
};

struct sink *sink_to_extent(int fd, int64_t off, int64_t max, dray_error **err)
{
	struct extent_sink *k = sink_new(sizeof(*k), &extent_sink_ops, err);
	int64_t end;

	if (!k)
		return NULL;
	assert(off >= 0 && max >= 0 && !__builtin_add_overflow(off, max, &end));
	k->fd = fd;
	k->off = off;
	k->max = max;
	return &k->base;
}

/* ---- a file that appears whole ---- */

struct file_sink {
	struct sink base;
	struct outfile out;
};

static int file_sink_write(struct sink *k, struct span bytes, dray_error **err)
{
	return write_to_fd(k, bytes, ((struct file_sink *)k)->out.fd, err);
}

static int file_sink_splice(struct sink *k, int fd, int64_t off, int64_t len, dray_error **err)
{
	return splice_to_fd(k, fd, off, len, ((struct file_sink *)k)->out.fd, err);
}

static int file_sink_finish(struct sink *k, dray_error **err)
{
	return outfile_commit(&((struct file_sink *)k)->out, err);
}

static void file_sink_free(struct sink *k)
{
	outfile_clear(&((struct file_sink *)k)->out);
	mem_free(k);
}

static const struct sink_ops file_sink_ops = {
	.write = file_sink_write,
	.finish = file_sink_finish,
	.splice = file_sink_splice,
	.free = file_sink_free,
};

struct sink *sink_to_file(int dirfd, const char *path, bool no_clobber, dray_error **err)
{
	struct file_sink *k = sink_new(sizeof(*k), &file_sink_ops, err);

	if (!k)
		return NULL;
	k->out = OUTFILE_INIT;
	k->base.lasting = true;
	if (outfile_begin(&k->out, dirfd, path, no_clobber, err) < 0) {
		file_sink_free(&k->base);
		return NULL;
	}
	outfile_tidy(&k->out);
	return &k->base;
}

/* ---- once more from the start ---- */

static int file_of(const struct sink *k)
{
	if (k->ops == &file_sink_ops)
		return ((const struct file_sink *)k)->out.fd;
	return k->ops == &fd_sink_ops ? ((const struct fd_sink *)k)->fd : -1;
}

bool sink_can_restart(struct sink *k)
{
	assert(k->pos == 0);
	return file_of(k) >= 0 && io_at_end(file_of(k), &k->start);
}

int sink_restart(struct sink *k, dray_error **err)
{
	assert(!k->failed && !k->finished);
	if (io_restart(file_of(k), k->start, err) < 0)
		return sink_failed(k);
	k->pos = 0;
	k->begun = 0;
	return 0;
}
