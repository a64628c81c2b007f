/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of a tar, written one behind the other; blobs whose name is not known yet.
 * Relies on a file that can be written at any place, or on spool files for a pipe.
 * Promises that a member which fails leaves no trace in a file, and stops a stream.
 */
#include "store/tar_out.h"

#include <assert.h>
#include <stdio.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "store/legacy.h"
#include "tar/tar.h"

/* ---- writing at a place ---- */

/* A sink into a regular file, at an offset of its own. */
struct at_sink {
	struct sink base;
	struct tar_out *t;
	int64_t off;
};

static int at_write(struct sink *k, struct span bytes, dray_error **err)
{
	struct at_sink *a = (struct at_sink *)k;
	int64_t end = a->off + k->pos + (int64_t)bytes.len;

	if (a->t->reached < end)
		a->t->reached = end;
	if (io_pwrite_all(a->t->fd, bytes, end - (int64_t)bytes.len, err) < 0)
		return -1;
	io_writeback(a->t->fd, &a->t->begun, end);
	return 0;
}

static void at_free(struct sink *k)
{
	(void)k;
}

static const struct sink_ops at_ops = { .write = at_write, .free = at_free };

/* Bytes at the end of a member or at its head; a stream only knows its end. */
int tar_out_at(struct tar_out *t, struct span bytes, int64_t off, dray_error **err)
{
	int rc = t->stream ? sink_write(t->stream, bytes, err)
			   : io_pwrite_all(t->fd, bytes, off, err);

	if (rc < 0 && t->stream)
		t->failed = true;
	if (t->reached < off + (int64_t)bytes.len)
		t->reached = off + (int64_t)bytes.len;
	return rc;
}

static int put_padding(struct tar_out *t, int64_t off, int64_t size, dray_error **err)
{
	static const uint8_t zeros[TAR_BLOCK];

	return tar_out_at(t, span_of(zeros, tar_padding(size)), off, err);
}

/* @p late: the header has its length before the size is known. */
static int make_header(const char *name, int64_t size, bool late, struct buf *ret, dray_error **err)
{
	struct tar_member m = { .type = TAR_FILE,
				.name = span_str(name),
				.size = size,
				.mode = 0644,
				.always_size = late };

	return tar_header_write(&m, ret, err);
}

/* A whole member of bytes at hand. */
int tar_out_member(struct tar_out *t, const char *name, struct span bytes, dray_error **err)
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);
	int64_t size = (int64_t)bytes.len, data;

	if (make_header(name, size, false, &head, err) < 0)
		return -1;
	data = t->pos + (int64_t)head.len;
	if (tar_out_at(t, span_buf(&head), t->pos, err) < 0 ||
	    tar_out_at(t, bytes, data, err) < 0 || put_padding(t, data + size, size, err) < 0)
		return -1;
	t->pos = data + size + (int64_t)tar_padding(size);
	return 0;
}

int tar_out_entry(struct tar_out *t, const struct tar_member *m, dray_error **err)
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);

	if (tar_header_write(m, &head, err) < 0 || tar_out_at(t, span_buf(&head), t->pos, err) < 0)
		return -1;
	t->pos += (int64_t)head.len;
	return 0;
}

/* ---- blobs ---- */

const struct dest_entry *tar_out_seen(const struct tar_out *t, const struct digest *d)
{
	return map_get(&t->seen, span_str(d->text));
}

int tar_out_note(struct tar_out *t, const struct digest *d, int64_t size, dray_error **err)
{
	struct dest_entry *e = arena_alloc(&t->arena, sizeof(*e));

	if (!e)
		return err_nomem(err);
	e->digest = *d;
	e->size = size;
	return map_put(&t->seen, span_str(e->digest.text), e, err);
}

static char *blob_name(const struct tar_out *t, const struct digest *d)
{
	return t->legacy ? legacy_layer_name(d) : dest_blob_path(d);
}

/* A name as long as any, for a header that comes later; lent. */
static const struct digest *digest_like(const struct digest *known, struct digest *room)
{
	if (digest_set(known))
		return known;
	*room = (struct digest){ .algo = DIGEST_SHA256 };
	snprintf(room->text, sizeof(room->text), "sha256:%064d", 0);
	return room;
}

/*
 * Into a file: data first, its header after, since digest and size are only
 * proven then. A member that fails or turns out to be a twin is written over.
 */
static int blob_to_file(struct tar_out *t, const struct blob_put *put, struct source *data,
			struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);
	bool late = put->desc.size < 0;
	struct digest room;
	cleanup_free char *name = blob_name(t, digest_like(&put->desc.digest, &room));

	if (!name || make_header(name, late ? 0 : put->desc.size, late, &head, err) < 0) {
		source_free(data);
		return name ? -1 : err_nomem(err);
	}
	struct at_sink k = { .base = { .ops = &at_ops },
			     .t = t,
			     .off = t->pos + (int64_t)head.len };
	size_t reserved = head.len;
	struct blob_put aside = *put;

	aside.beside = true;
	if (dest_copy(&aside, data, &k.base, ret_digest, ret_size, err) < 0)
		return -1;
	if (tar_out_seen(t, ret_digest))
		return 0;
	mem_free(name);
	name = blob_name(t, ret_digest);
	buf_reset(&head);
	if (!name)
		return err_nomem(err);
	if (make_header(name, *ret_size, late, &head, err) < 0)
		return -1;
	assert(head.len == reserved);
	if (put_padding(t, k.off + *ret_size, *ret_size, err) < 0 ||
	    tar_out_at(t, span_buf(&head), t->pos, err) < 0)
		return -1;
	t->pos = k.off + *ret_size + (int64_t)tar_padding(*ret_size);
	return tar_out_note(t, ret_digest, *ret_size, err);
}

/* Name and size must come before the data: let it wait in a file until they are known. */
static int blob_spooled(struct tar_out *t, const struct blob_put *put, struct source *data,
			struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);
	cleanup_fd int spool = io_tempfile(t->tmpdir, err);
	cleanup_sink struct sink *k = spool < 0 ? NULL : sink_to_fd(spool, false, err);

	if (!k) {
		source_free(data);
		return -1;
	}
	if (dest_copy(put, data, k, ret_digest, ret_size, err) < 0)
		return -1;
	if (tar_out_seen(t, ret_digest))
		return 0;
	cleanup_free char *name = blob_name(t, ret_digest);
	if (!name)
		return err_nomem(err);
	if (make_header(name, *ret_size, false, &head, err) < 0)
		return -1;
	t->failed = true; /* until the member is whole */
	if (sink_write(t->stream, span_buf(&head), err) < 0 ||
	    sink_splice(t->stream, spool, 0, *ret_size, err) < 0 ||
	    put_padding(t, 0, *ret_size, err) < 0)
		return -1;
	t->failed = false;
	return tar_out_note(t, ret_digest, *ret_size, err);
}

/* Digest and size are told beforehand: straight through, checked on the way. */
static int blob_through(struct tar_out *t, const struct blob_put *put, struct source *data,
			struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PAX);
	cleanup_free char *name = blob_name(t, &put->desc.digest);

	if (!name || make_header(name, put->desc.size, false, &head, err) < 0) {
		source_free(data);
		return name ? -1 : err_nomem(err);
	}
	t->failed = true; /* what went out cannot be taken back */
	if (sink_write(t->stream, span_buf(&head), err) < 0) {
		source_free(data);
		return -1;
	}
	if (dest_copy(put, data, t->stream, ret_digest, ret_size, err) < 0 ||
	    put_padding(t, 0, *ret_size, err) < 0)
		return -1;
	t->failed = false;
	return tar_out_note(t, ret_digest, *ret_size, err);
}

/* It is in already: read all the same, whoever watches the data counts on its end. */
static int blob_again(const struct blob_put *put, struct source *data, struct digest *ret_digest,
		      int64_t *ret_size, dray_error **err)
{
	cleanup_sink struct sink *null = sink_null(err);

	if (!null) {
		source_free(data);
		return -1;
	}
	return dest_copy(put, data, null, ret_digest, ret_size, err);
}

int tar_out_blob(struct tar_out *t, const struct blob_put *put, struct source *data,
		 struct digest *ret_digest, int64_t *ret_size, dray_error **err)
{
	if (t->failed) {
		source_free(data);
		return err_set(err, DRAY_ERR_USAGE, "the archive broke off at an earlier blob");
	}
	if (digest_set(&put->desc.digest) && tar_out_seen(t, &put->desc.digest))
		return blob_again(put, data, ret_digest, ret_size, err);
	if (!t->stream)
		return blob_to_file(t, put, data, ret_digest, ret_size, err);
	if (digest_set(&put->desc.digest) && put->desc.size >= 0)
		return blob_through(t, put, data, ret_digest, ret_size, err);
	return blob_spooled(t, put, data, ret_digest, ret_size, err);
}

int tar_out_end(struct tar_out *t, dray_error **err)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	if (tar_out_at(t, span_of(zeros, sizeof(zeros)), t->pos, err) < 0)
		return -1;
	t->pos += (int64_t)sizeof(zeros);
	/* Failed members and twins may have reached further. */
	if (!t->stream && t->reached > t->pos)
		return io_ftruncate(t->fd, t->pos, err);
	return t->stream ? sink_finish(t->stream, err) : 0;
}

void tar_out_clear(struct tar_out *t)
{
	map_clear(&t->seen);
	arena_clear(&t->arena);
	sink_free(t->stream);
	mem_free(t->tmpdir);
}
