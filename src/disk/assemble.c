/* SPDX-License-Identifier: Apache-2.0
 *
 * For: a layer's tar as a source, put together of its tar-split, or of pieces, and its files.
 * Relies on: tarsplit_next() for the order; whoever opens files for staying below the layer.
 * Promises: a file of another size or checksum is named before the byte behind it is lent.
 */
#include <inttypes.h>
#include "base/io.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "disk/crc64.h"
#include "disk/disk_priv.h"

#define ROOM (2 * SOURCE_PEEK_MAX)  /* what a reader may ask for, behind what it left */
#define AHEAD (SOURCE_PEEK_MAX / 2) /* gathered at a time: most pieces have 512 bytes */
#define NAME_SHOWN 200

struct assembly {
	struct source base;
	struct tarsplit_pieces pieces;
	struct tarsplit_files files;
	bool ended; /* of the pieces */
	struct crc64_tables crc_tables;
	uint8_t *data; /* ROOM bytes, of which data[start .. start+len) are to be lent */
	size_t start, len;
	struct span bytes; /* of the piece that was read, and is not copied yet */
	/* The file that is being read; fd -1 = none. */
	int fd;
	int64_t size, off;
	uint64_t crc, crc_expected;
	bool unchecked;
	struct buf name; /* of that file */
};

/* ---- a file ---- */

static int about_file(const struct assembly *a, dray_error **err)
{
	cleanup_free char *safe = text_safe(span_buf(&a->name), NAME_SHOWN);

	return err_ctx(err, "file \"%s\"", safe ? safe : "?");
}

static int begin_file(struct assembly *a, const struct tarsplit_entry *e, dray_error **err)
{
	int64_t size = 0;

	buf_reset(&a->name);
	if (buf_add(&a->name, e->name, err) < 0)
		return -1;
	a->fd = a->files.open(a->files.arg, e->name, &size, err);
	if (a->fd < 0) {
		if (err && dray_error_kind(*err) == DRAY_ERR_NOT_FOUND) {
			err_clear(err);
			err_set(err, DRAY_ERR_CORRUPT, "it is missing");
		}
		return about_file(a, err);
	}
	if (size != e->size) {
		err_set(err, DRAY_ERR_CORRUPT, "it has %" PRId64 " bytes, its layer had %" PRId64,
			size, e->size);
		return about_file(a, err);
	}
	a->size = e->size;
	a->off = 0;
	a->crc = 0;
	a->crc_expected = e->crc;
	a->unchecked = e->unchecked;
	return 0;
}

static int end_file(struct assembly *a, dray_error **err)
{
	char want[17], have[17];

	cleanup_fd_fn(&a->fd);
	a->fd = -1;
	if (a->unchecked || a->crc == a->crc_expected)
		return 0;
	snprintf(want, sizeof(want), "%016" PRIx64, a->crc_expected);
	snprintf(have, sizeof(have), "%016" PRIx64, a->crc);
	err_mismatch(err, want, have, "its content has changed: CRC-64");
	return about_file(a, err);
}

static int more_of_file(struct assembly *a, struct room room, dray_error **err)
{
	int64_t left = a->size - a->off;

	if ((uint64_t)left < room.len)
		room.len = (size_t)left;
	int64_t n = io_pread(a->fd, room.data, room.len, a->off, err);
	if (n == 0)
		err_set(err, DRAY_ERR_CORRUPT, "it ends at byte %" PRId64 ", %" PRId64 " early",
			a->off, left);
	if (n <= 0)
		return about_file(a, err);
	if (!a->unchecked)
		a->crc = crc64_update(&a->crc_tables, a->crc, span_of(room.data, (size_t)n));
	a->off += n;
	a->len += (size_t)n;
	return a->off == a->size ? end_file(a, err) : 0;
}

/* ---- the stream ---- */

static void more_of_bytes(struct assembly *a, struct room room)
{
	struct span piece = span_head(a->bytes, room.len);

	memcpy(room.data, piece.data, piece.len);
	a->bytes = span_from(a->bytes, piece.len);
	a->len += piece.len;
}

static int next_piece(struct assembly *a, dray_error **err)
{
	struct tarsplit_entry e;
	int rc = a->pieces.next(a->pieces.arg, &e, err);

	a->ended = rc == 0;
	if (rc <= 0)
		return rc;
	if (e.type == TARSPLIT_BYTES)
		a->bytes = e.bytes;
	else if (e.size)
		return begin_file(a, &e, err);
	return 0;
}

/* Free space behind what is to be lent, at least as much as may be missing. */
static struct room free_room(struct assembly *a)
{
	if (a->start && (!a->len || a->start + SOURCE_PEEK_MAX > ROOM)) {
		memmove(a->data, a->data + a->start, a->len);
		a->start = 0;
	}
	size_t end = a->start + a->len;

	return (struct room){ a->data + end, ROOM - end };
}

static int gather(struct assembly *a, size_t want, dray_error **err)
{
	while (a->len < want) {
		if (a->fd >= 0) {
			if (more_of_file(a, free_room(a), err) < 0)
				return -1;
		} else if (a->bytes.len) {
			more_of_bytes(a, free_room(a));
		} else if (a->ended) {
			break;
		} else if (next_piece(a, err) < 0) {
			return -1;
		}
	}
	return 0;
}

static int assembly_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct assembly *a = (struct assembly *)s;

	if (gather(a, min > AHEAD ? min : AHEAD, err) < 0) {
		if (a->pieces.hint && err && error_about_bytes(*err))
			err_hint(err, "%s", a->pieces.hint);
		return -1;
	}
	*ret = span_of(a->data + a->start, a->len);
	return 0;
}

static void assembly_consume(struct source *s, size_t n)
{
	struct assembly *a = (struct assembly *)s;

	a->start += n;
	a->len -= n;
}

static void assembly_free(struct source *s)
{
	struct assembly *a = (struct assembly *)s;

	cleanup_fd_fn(&a->fd);
	if (a->pieces.free)
		a->pieces.free(a->pieces.arg);
	if (a->files.free)
		a->files.free(a->files.arg);
	buf_clear(&a->name);
	mem_free(a->data);
	mem_free(a);
}

static const struct source_ops assembly_ops = {
	.peek = assembly_peek,
	.consume = assembly_consume,
	.free = assembly_free,
};

struct source *tarsplit_assemble_pieces(const struct tarsplit_pieces *pieces,
					const struct tarsplit_files *files, dray_error **err)
{
	struct assembly *a = mem_zalloc(sizeof(*a));

	if (!a) {
		if (pieces->free)
			pieces->free(pieces->arg);
		if (files->free)
			files->free(files->arg);
		err_nomem(err);
		return NULL;
	}
	a->base.ops = &assembly_ops;
	a->pieces = *pieces;
	a->files = *files;
	a->fd = -1;
	a->name = BUF_INIT(LIMIT_TARSPLIT_LINE);
	crc64_init(&a->crc_tables);
	a->data = mem_alloc(ROOM);
	if (!a->data) {
		assembly_free(&a->base);
		err_nomem(err);
		return NULL;
	}
	return &a->base;
}

/* ---- of a tar-split ---- */

static int next_line(void *arg, struct tarsplit_entry *ret, dray_error **err)
{
	return tarsplit_next(arg, ret, err);
}

static void free_reader(void *arg)
{
	tarsplit_reader_clear(arg);
	mem_free(arg);
}

struct source *tarsplit_assemble(struct source *lines, const struct tarsplit_files *files,
				 dray_error **err)
{
	struct tarsplit_reader *r = lines ? mem_alloc(sizeof(*r)) : NULL;

	if (lines && !r) {
		source_free(lines);
		err_nomem(err);
	}
	if (!r || tarsplit_reader_init(r, lines, err) < 0) {
		mem_free(r);
		if (files->free)
			files->free(files->arg);
		return NULL;
	}
	const struct tarsplit_pieces pieces = { next_line, free_reader, r, SALVAGE_HINT };
	return tarsplit_assemble_pieces(&pieces, files, err);
}
