/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries in the order of the tree dealt out to tars, each with the folders that it lies in.
 * Relies on once_cut for what goes where.
 * Promises nothing about the tree, as once_merge.c; folders that are open have bounded room.
 */
#include "base/mem.h"
#include "layer/once_priv.h"

#define HEADERS_MAX (4 * MIB) /* bytes of the folders on the way */

void once_cut_begin(struct once *o)
{
	o->headers = BUF_INIT(HEADERS_MAX);
}

void once_cut_clear(struct once *o)
{
	mem_free(o->folders);
	buf_clear(&o->headers);
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

static int write_folder(struct once *o, struct once_folder *f, size_t tar, dray_error **err)
{
	struct span header = span_of(o->headers.data + f->begin, header_len(&f->e));

	o->to = &o->tars[tar];
	f->tars |= 1U << tar;
	return once_put(o, f->layer, f->e.header_off, header, err);
}

/* Those that are open into @p tar, unless it has them. */
static int write_folders(struct once *o, size_t tar, dray_error **err)
{
	size_t i = o->n_folders;

	while (i > 0 && !(o->folders[i - 1].tars >> tar & 1))
		i--;
	for (; i < o->n_folders; i++)
		if (write_folder(o, &o->folders[i], tar, err) < 0)
			return -1;
	return 0;
}

/* Out of the innermost folder. What is in no tar by now has no contents. */
static int leave(struct once *o, dray_error **err)
{
	struct once_folder *f = &o->folders[o->n_folders - 1];
	int rc = f->tars ? 0 : write_folders(o, tar_of(o, f->e.path), err);

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

	o->to = &o->tars[0];
	if (!o->p.cut)
		return 1;
	while (o->n_folders && !path_is_below(e->path, o->folders[o->n_folders - 1].e.path))
		if (leave(o, err) < 0)
			return -1;
	if (e->type == TAR_DIR)
		return enter(o, layer, e, err);
	tar = tar_of(o, e->path);
	if (e->type == TAR_HARDLINK && tar_of(o, e->link) != tar)
		return 0; /* the names of a file stay together */
	if (write_folders(o, tar, err) < 0)
		return -1;
	o->to = &o->tars[tar];
	return 1;
}

int once_cut_end(struct once *o, dray_error **err)
{
	while (o->n_folders)
		if (leave(o, err) < 0)
			return -1;
	return 0;
}
