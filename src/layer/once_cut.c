/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries in the order of the tree dealt out to tars, each with the folders that it lies in.
 * Relies on once_cut for what goes where, on write.c for a folder without its time.
 * Promises nothing about the tree, as once_merge.c; folders that are open have bounded room.
 */
#include "base/mem.h"
#include "layer/once_priv.h"

#define HEADERS_MAX (4 * MIB) /* bytes of the folders on the way */
#define OURS_MAX (4 * MIB)    /* bytes of all headers of ours */

void once_cut_begin(struct once *o)
{
	o->headers = BUF_INIT(HEADERS_MAX);
	o->made = BUF_INIT(HEAD_MAX);
	o->ours = BUF_INIT(OURS_MAX);
}

void once_cut_clear(struct once *o)
{
	mem_free(o->folders);
	buf_clear(&o->headers);
	buf_clear(&o->made);
}

static size_t tar_of(const struct once *o, const char *path)
{
	return o->p.cut->tar_of(o->p.cut->arg, path);
}

/* ---- folders ---- */

static size_t header_len(const struct layer_entry *e)
{
	return (size_t)(e->data_off - e->header_off);
}

static int write_stored(struct once *o, struct once_folder *f, size_t tar, dray_error **err)
{
	struct span header = span_of(o->headers.data + f->begin, header_len(&f->e));

	o->to = &o->tars[tar];
	f->tars |= 1U << tar;
	return once_put(o, f->layer, f->e.header_off, header, err) < 0 ? -1 : 1;
}

static int write_without_time(struct once *o, struct once_folder *f, size_t tar, dray_error **err)
{
	if (parent_header(&o->others, &f->e, &o->made, err) < 0)
		return -1;
	if (o->made.len > o->ours.max - o->ours.len)
		return 0;
	o->to = &o->tars[tar];
	f->tars |= 1U << tar;
	return once_put_ours(o, span_buf(&o->made), err) < 0 ? -1 : 1;
}

/* The outermost @p n folders into @p tar, unless it has them. */
static int write_folders(struct once *o, size_t n, size_t tar, dray_error **err)
{
	size_t i = n;
	int rc = 1;

	while (i > 0 && !(o->folders[i - 1].tars >> tar & 1))
		i--;
	for (; rc > 0 && i < n; i++) {
		struct once_folder *f = &o->folders[i];

		rc = o->p.cut->above(o->p.cut->arg, f->e.path, tar)
			     ? write_without_time(o, f, tar, err)
			     : write_stored(o, f, tar, err);
	}
	return rc;
}

/* Out of the innermost folder. What is in no tar by now has no contents. */
static int leave(struct once *o, dray_error **err)
{
	struct once_folder *f = &o->folders[o->n_folders - 1];
	size_t tar = f->tars ? 0 : tar_of(o, f->e.path);
	int rc = f->tars ? 1 : write_folders(o, o->n_folders - 1, tar, err);

	if (rc > 0 && !f->tars)
		rc = write_stored(o, f, tar, err);
	o->headers.len = f->begin;
	o->n_folders--;
	return rc;
}

static int enter(struct once *o, uint32_t layer, const struct layer_entry *e, dray_error **err)
{
	if (e->size > 0 || header_len(e) > o->headers.max - o->headers.len)
		return 0;
	if (mem_grow(&o->folders, o->n_folders, &o->cap_folders, sizeof(*o->folders)) < 0)
		return err_nomem(err);
	o->folders[o->n_folders++] = (struct once_folder){ .e = *e,
							   .layer = layer,
							   .begin = o->headers.len };
	o->to = NULL;
	return 1;
}

/* ---- entries ---- */

int once_begin(struct once *o, uint32_t layer, const struct layer_entry *e, dray_error **err)
{
	size_t tar;
	int rc = 1;

	o->to = &o->tars[0];
	if (!o->p.cut)
		return 1;
	while (rc > 0 && o->n_folders &&
	       !path_is_below(e->path, o->folders[o->n_folders - 1].e.path))
		rc = leave(o, err);
	if (rc <= 0)
		return rc;
	if (e->type == TAR_DIR)
		return enter(o, layer, e, err);
	tar = tar_of(o, e->path);
	if (e->type == TAR_HARDLINK && tar_of(o, e->link) != tar)
		return 0; /* the names of a file stay together */
	rc = write_folders(o, o->n_folders, tar, err);
	o->to = &o->tars[tar];
	return rc;
}

int once_cut_end(struct once *o, dray_error **err)
{
	int rc = 1;

	while (rc > 0 && o->n_folders)
		rc = leave(o, err);
	return rc;
}
