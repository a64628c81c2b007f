/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the tar of what is left of a layer.
 * Relies on: remnant_walk() for entries; folder_files() for opening them below the layer.
 * Promises: the same folder gives the same bytes; the size is known before the first of them.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "disk/disk_priv.h"
#include "disk/remnant.h"

#define HEAD_MAX (2 * LIMIT_PAX + TAR_BLOCK)
#define END_BYTES (2 * TAR_BLOCK)

static const uint8_t zeros[END_BYTES];

/* ---- headers ---- */

static int write_header(const struct remnant_entry *e, struct buf *ret, dray_error **err)
{
	/* A folder's name ends in '/', as every tar has it. */
	cleanup_free char *name = e->type == TAR_DIR ? mem_printf("%s/", e->path) : NULL;
	const struct tar_member m = {
		.type = e->type,
		.name = span_str(name ? name : e->path),
		.link = span_str(e->link),
		.size = e->size,
		.mode = e->mode,
		.uid = e->uid,
		.gid = e->gid,
		.mtime = e->mtime,
		.dev_major = e->dev_major,
		.dev_minor = e->dev_minor,
		.xattrs = e->xattrs,
		.n_xattrs = e->n_xattrs,
	};

	if (e->type == TAR_DIR && !name)
		return err_nomem(err);
	return tar_header_write(&m, ret, err);
}

static int measure(struct remnant *r, dray_error **err)
{
	cleanup_buf struct buf head = BUF_INIT(HEAD_MAX);

	r->size = END_BYTES;
	for (size_t i = 0; i < r->n; i++) {
		const struct remnant_entry *e = &r->list[i];

		buf_reset(&head);
		if (write_header(e, &head, err) < 0)
			return -1;
		if (__builtin_add_overflow(r->size, (int64_t)head.len, &r->size) ||
		    __builtin_add_overflow(r->size, e->size, &r->size) ||
		    __builtin_add_overflow(r->size, (int64_t)tar_padding(e->size), &r->size))
			return err_set(err, DRAY_ERR_FORMAT, "a layer of more than 2^63 bytes");
	}
	return 0;
}

/* ---- pieces ---- */

enum step { STEP_HEADER, STEP_FILE, STEP_PADDING, STEP_DONE };

struct pieces {
	const struct remnant *r;
	size_t at;
	enum step step;
	struct buf head;
};

static int next_header(struct pieces *p, struct tarsplit_entry *ret, dray_error **err)
{
	buf_reset(&p->head);
	if (write_header(&p->r->list[p->at], &p->head, err) < 0)
		return -1;
	ret->type = TARSPLIT_BYTES;
	ret->bytes = span_buf(&p->head);
	p->step = STEP_FILE;
	return 1;
}

static int next(void *arg, struct tarsplit_entry *ret, dray_error **err)
{
	struct pieces *p = arg;
	const struct remnant_entry *e = p->at < p->r->n ? &p->r->list[p->at] : NULL;

	*ret = (struct tarsplit_entry){ .type = TARSPLIT_BYTES };
	switch (p->step) {
	case STEP_HEADER:
		if (e)
			return next_header(p, ret, err);
		p->step = STEP_DONE;
		ret->bytes = span_of(zeros, END_BYTES);
		return 1;
	case STEP_FILE:
		ret->type = TARSPLIT_FILE;
		ret->name = span_str(e->path);
		ret->size = e->size;
		ret->unchecked = true;
		p->step = STEP_PADDING;
		return 1;
	case STEP_PADDING:
		ret->bytes = span_of(zeros, tar_padding(e->size));
		p->step = STEP_HEADER;
		p->at++;
		return 1;
	default:
		return 0;
	}
}

static void pieces_free(void *arg)
{
	struct pieces *p = arg;

	buf_clear(&p->head);
	mem_free(p);
}

static struct source *open_tar(void *arg, dray_error **err)
{
	const struct remnant *r = arg;
	struct pieces *p = mem_zalloc(sizeof(*p));
	struct tarsplit_files files;

	if (!p) {
		err_nomem(err);
		return NULL;
	}
	*p = (struct pieces){ .r = r, .head = BUF_INIT(HEAD_MAX) };
	if (folder_files(r->from.root, r->from.files, &files, err) < 0) {
		pieces_free(p);
		return NULL;
	}
	const struct tarsplit_pieces pieces = { .next = next, .free = pieces_free, .arg = p };
	return tarsplit_assemble_pieces(&pieces, &files, err);
}

struct source *remnant_open(const struct remnant *r, dray_error **err)
{
	/* A lost layer has no folder: its tar is the end marker alone. */
	if (!r->from.files)
		return source_from_span(span_of(zeros, END_BYTES), err);
	return source_reopenable(open_tar, (void *)(uintptr_t)r, NULL, err);
}

/* ---- reading ---- */

int remnant_read(struct arena *a, const struct remnant_from *from, struct remnant *ret,
		 dray_error **err)
{
	*ret = (struct remnant){ .from = *from, .size = END_BYTES };
	if (from->files && (remnant_walk(a, ret, err) < 0 || measure(ret, err) < 0)) {
		remnant_clear(ret);
		return from->files[0] ? err_ctx(err, "%s", from->files) : -1;
	}
	return 0;
}

void remnant_clear(struct remnant *r)
{
	mem_free(r->list);
	*r = (struct remnant){ 0 };
}
