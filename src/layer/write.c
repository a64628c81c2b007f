/* SPDX-License-Identifier: Apache-2.0
 *
 * From records to pieces: a header of ours, bytes of a layer, padding.
 * Relies on tar/ to write headers.
 * Promises that what layer_tar_order() foresees is what layer_tar_source() reads, and that no header
 * has what overlayfs notes for itself.
 */
#include "layer/write_priv.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"

void cursor_clear(struct cursor *c)
{
	first_names_clear(&c->firsts);
	buf_clear(&c->path);
	mem_free(c->xattrs);
}

struct cursor cursor_of(const struct record_list *l)
{
	return (struct cursor){ .list = l, .path = BUF_INIT(2 * LIMIT_PATH) };
}

/* ---- planning ---- */

static int64_t raw_end(const struct layer_entry *e)
{
	return e->data_off + e->size + (int64_t)tar_padding(e->size);
}

static struct piece raw_piece(const struct node *n)
{
	const struct layer_entry *e = n->entry;

	return (struct piece){ .run = { n->layer, e->header_off, raw_end(e) - e->header_off } };
}

static struct piece made_piece(const struct node *n, const struct node *link)
{
	const struct layer_entry *data = n->inode->data;
	struct piece p = { .made = true, .link = link };

	if (link || !data || data->size == 0)
		return p;
	p.run = (struct run){ n->inode->data_layer, data->data_off, data->size };
	p.padding = tar_padding(data->size);
	return p;
}

/* May the header of @p e be in a layer as it stands? */
static bool is_sound(const struct layer_entry *e)
{
	return !e->ambiguous && !layer_xattrs_overlay(e->xattrs);
}

/* Does the entry that put @p n there say all of it: name, attributes and data, and no more? */
static bool says_all(const struct node *n)
{
	return n->entry && n->inode->data == n->entry && n->inode->attrs == n->entry &&
	       is_sound(n->entry);
}

/* A hard link as stored still says it all when its target carries the data under that name. */
static int link_stands(struct cursor *c, const struct node *n, const struct node *first, bool *ret,
		       dray_error **err)
{
	*ret = false;
	if (n->entry->type != TAR_HARDLINK || !is_sound(n->entry) ||
	    !link_keeps_attributes(n->inode, n->entry))
		return 0;
	if (node_path(first, &c->path, err) < 0)
		return -1;
	*ret = span_is(span_buf(&c->path), n->entry->link);
	return 0;
}

static int plan_node(struct cursor *c, const struct record *rec, struct piece *ret,
		     dray_error **err)
{
	const struct node *n = rec->node, *first = rec->link;
	bool stands;

	if (rec->kind == RECORD_PARENT) {
		*ret = made_piece(n, NULL);
		return 0;
	}
	if (!first && first_name(&c->firsts, n, &first, err) < 0)
		return -1;
	if (rec->kind == RECORD_MADE) {
		*ret = made_piece(n, first);
		return 0;
	}
	if (!first) {
		*ret = says_all(n) ? raw_piece(n) : made_piece(n, NULL);
		return 0;
	}
	if (link_stands(c, n, first, &stands, err) < 0)
		return -1;
	*ret = stands ? raw_piece(n) : made_piece(n, first);
	return 0;
}

int next_piece(struct cursor *c, struct piece *ret, dray_error **err)
{
	struct record rec = { 0 };

	do {
		if (!c->list->next(c->list, &c->at, &rec))
			return 0;
		c->at = rec;
		/* A root that only its contents imply has nothing to say. */
	} while (!rec.node->parent && !rec.node->inode->data);
	if (rec.kind == RECORD_WHITEOUT) {
		*ret = (struct piece){ .made = true };
		return 1;
	}
	return plan_node(c, &rec, ret, err) < 0 ? -1 : 1;
}

static int add_late(struct layer_order *o, const struct run *run, dray_error **err)
{
	if (mem_grow(&o->late, o->n_late, &o->cap_late, sizeof(*o->late)) < 0)
		return err_nomem(err);
	o->late[o->n_late++] = (struct late){ run->off, run->left, 0 };
	o->late_bytes += run->left;
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct late *x = a, *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

static void sort_late(struct layer_order *o)
{
	int64_t before = 0;

	if (o->n_late)
		qsort(o->late, o->n_late, sizeof(struct late), by_offset);
	for (size_t i = 0; i < o->n_late; i++) {
		o->late[i].before = before;
		before += o->late[i].size;
	}
}

static int find_late(const struct record_list *l, struct layer_order *orders, int64_t *reached,
		     dray_error **err)
{
	cleanup_cursor struct cursor c = cursor_of(l);
	struct piece p;
	int rc;

	while ((rc = next_piece(&c, &p, err)) > 0) {
		if (p.run.left == 0)
			continue;
		if (p.run.off >= reached[p.run.layer])
			reached[p.run.layer] = p.run.off + p.run.left;
		else if (add_late(&orders[p.run.layer], &p.run, err) < 0)
			return -1;
	}
	return rc;
}

int layer_tar_order(const struct record_list *l, struct layer_order *ret, size_t n_layers,
		    dray_error **err)
{
	cleanup_free int64_t *reached = mem_zalloc((n_layers + 1) * sizeof(*reached));

	if (!reached)
		return err_nomem(err);
	if (find_late(l, ret, reached, err) < 0)
		return -1;
	for (size_t i = 0; i < n_layers; i++)
		sort_late(&ret[i]);
	return 0;
}

void layer_orders_clear(struct layer_order *o, size_t n_layers)
{
	for (size_t i = 0; o && i < n_layers; i++) {
		mem_free(o[i].late);
		o[i] = (struct layer_order){ 0 };
	}
}

/* ---- headers ---- */

static int whiteout_header(struct cursor *c, struct buf *ret, dray_error **err)
{
	const struct node *n = c->at.node;
	struct tar_member m = { .type = TAR_FILE };

	if (node_path(n->parent, &c->path, err) < 0 ||
	    (c->path.len && buf_add_byte(&c->path, '/', err) < 0) ||
	    buf_add_str(&c->path, WHITEOUT_PREFIX, err) < 0 ||
	    buf_add_str(&c->path, n->name, err) < 0)
		return -1;
	m.name = span_buf(&c->path);
	return tar_header_write(&m, ret, err);
}

/* All but what overlayfs notes for itself (formats.md 6.2). */
static int set_xattrs(struct cursor *c, struct tar_member *m, const struct layer_xattrs *x,
		      dray_error **err)
{
	c->n_xattrs = 0;
	for (size_t i = 0; x && i < x->n; i++) {
		if (xattr_is_overlay(x->list[i].name))
			continue;
		if (mem_grow(&c->xattrs, c->n_xattrs, &c->cap_xattrs, sizeof(*c->xattrs)) < 0)
			return err_nomem(err);
		c->xattrs[c->n_xattrs++] = x->list[i];
	}
	m->xattrs = c->xattrs;
	m->n_xattrs = c->n_xattrs;
	return 0;
}

static int set_attributes(struct cursor *c, struct tar_member *m, const struct layer_entry *a,
			  dray_error **err)
{
	m->mode = a->mode;
	m->uid = a->uid;
	m->gid = a->gid;
	m->uname = span_str(a->uname);
	m->gname = span_str(a->gname);
	m->mtime = a->mtime;
	m->mtime_nsec = (int32_t)a->mtime_nsec;
	return set_xattrs(c, m, a->xattrs, err);
}

static void set_data(struct tar_member *m, const struct layer_entry *d)
{
	m->type = (enum tar_type)d->type;
	m->size = d->size;
	if (d->sparse) {
		m->real_size = d->sparse->size;
		m->extents = d->sparse->list;
		m->n_extents = d->sparse->n;
	}
	m->dev_major = d->dev_major;
	m->dev_minor = d->dev_minor;
	if (m->type == TAR_SYMLINK)
		m->link = span_str(d->link);
}

static int add_dir_slash(struct buf *path, dray_error **err)
{
	return path->len ? buf_add_byte(path, '/', err) : buf_add_str(path, "./", err);
}

/* A new header: the node's name, the attributes of its inode, or a hard link. */
static int node_header(struct cursor *c, const struct node *link, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf target = BUF_INIT(2 * LIMIT_PATH);
	const struct node *n = c->at.node;
	struct tar_member m = { .type = TAR_DIR, .mode = 0755 };

	if (node_path(n, &c->path, err) < 0 ||
	    (node_is_dir(n) && add_dir_slash(&c->path, err) < 0) ||
	    (link && node_path(link, &target, err) < 0))
		return -1;
	m.name = span_buf(&c->path);
	if (n->inode->attrs && set_attributes(c, &m, n->inode->attrs, err) < 0)
		return -1;
	if (c->at.kind == RECORD_PARENT) {
		m.mtime = 0;
		m.mtime_nsec = 0;
	}
	if (n->inode->data && !link)
		set_data(&m, n->inode->data);
	if (link) {
		m.type = TAR_HARDLINK;
		m.link = span_buf(&target);
	}
	return tar_header_write(&m, ret, err);
}

int piece_header(struct cursor *c, const struct piece *p, struct buf *ret, dray_error **err)
{
	buf_reset(ret);
	return c->at.kind == RECORD_WHITEOUT ? whiteout_header(c, ret, err)
					     : node_header(c, p->link, ret, err);
}

int layer_tar_size(const struct record_list *l, int64_t *ret, dray_error **err)
{
	cleanup_cursor struct cursor c = cursor_of(l);
	cleanup_buf struct buf head = BUF_INIT(HEAD_MAX);
	int64_t size = 2 * TAR_BLOCK;
	struct piece p;
	int rc;

	while ((rc = next_piece(&c, &p, err)) > 0) {
		if (p.made && piece_header(&c, &p, &head, err) < 0)
			return -1;
		size += p.run.left + (int64_t)p.padding + (p.made ? (int64_t)head.len : 0);
	}
	*ret = size;
	return rc;
}

int layer_tar_walk(const struct record_list *l,
		   int (*fn)(void *arg, const struct layer_part *p, dray_error **err), void *arg,
		   dray_error **err)
{
	cleanup_cursor struct cursor c = cursor_of(l);
	cleanup_buf struct buf head = BUF_INIT(HEAD_MAX);
	struct piece p;
	int rc;

	while ((rc = next_piece(&c, &p, err)) > 0) {
		struct layer_part part = { .layer = p.run.layer,
					   .off = p.run.off,
					   .size = p.run.left };

		if (p.made && piece_header(&c, &p, &head, err) < 0)
			return -1;
		if (p.made)
			part.head = span_buf(&head);
		rc = fn(arg, &part, err);
		if (rc != 0)
			return rc;
	}
	return rc;
}

bool tree_record_next(const struct record_list *l, const struct record *at, struct record *ret)
{
	const struct node *n = at->node ? tree_next(at->node) : tree_root(l->arg);

	*ret = (struct record){ .kind = RECORD_NODE, .node = n };
	return n != NULL;
}
