/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what a path is, from as few layers as it takes.
 * Relies on: layer/ for what one layer means by itself, on ops/stack to read it.
 * Promises: the same answer as the merged tree; links of an image never touch the host.
 */
#include "ops/look.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define PATH_SHOWN_MAX 300 /* bytes of a path that an error shows */

/* The NUL behind a buffer is not counted. */
static int terminate(struct buf *b, dray_error **err)
{
	if (buf_add_byte(b, 0, err) < 0)
		return -1;
	b->len--;
	return 0;
}

static int set_text(struct buf *b, const char *first, const char *second, dray_error **err)
{
	cleanup_buf struct buf made = BUF_INIT(b->max);

	if (buf_add_str(&made, first, err) < 0 ||
	    (second[0] &&
	     (buf_add_byte(&made, '/', err) < 0 || buf_add_str(&made, second, err) < 0)) ||
	    terminate(&made, err) < 0)
		return -1;
	buf_clear(b);
	*b = made;
	made = (struct buf){ 0 };
	return 0;
}

int look_init(struct look *l, struct stack *s, dray_error **err)
{
	*l = (struct look){ .s = s };
	l->layers = mem_zalloc((s->n + 1) * sizeof(struct tree *));
	l->gone = mem_zalloc((s->n + 1) * sizeof(*l->gone));
	return l->layers && l->gone ? 0 : err_nomem(err);
}

void look_clear(struct look *l)
{
	for (size_t i = 0; l->layers && i < l->s->n; i++)
		tree_free(l->layers[i]);
	for (size_t i = 0; l->gone && i < l->s->n; i++)
		removals_clear(&l->gone[i]);
	mem_free(l->layers);
	mem_free(l->gone);
	l->layers = NULL;
	l->gone = NULL;
}

/* ---- one layer ---- */

/* The layer as a tree of its own. */
static struct tree *layer_tree(struct look *l, size_t i, dray_error **err)
{
	cleanup_tree struct tree *t = NULL;

	if (l->layers[i])
		return l->layers[i];
	if (stack_load(l->s, i, err) < 0)
		return NULL;
	t = tree_new(NULL, NULL, err);
	if (!t)
		return NULL;
	tree_set_partial(t);
	if (tree_apply(t, l->s->index[i], err) < 0) {
		err_ctx(err, "%s", l->s->im->where);
		return NULL;
	}
	l->layers[i] = steal_pointer(&t);
	return l->layers[i];
}

/* What the layer, whose tree is there, takes away; asked for as rarely as can be. */
static struct removals *layer_removals(struct look *l, size_t i, dray_error **err)
{
	struct removals *r = &l->gone[i];

	if (!r->ready && removals_init(r, l->s->index[i], l->layers[i], err) < 0)
		return NULL;
	return r;
}

int look_layer(struct look *l, size_t i, const char *path, enum seen *ret,
	       const struct node **ret_node, dray_error **err)
{
	const struct tree *t = layer_tree(l, i, err);
	const struct removals *r;

	*ret_node = t ? tree_find(t, path) : NULL;
	*ret = *ret_node ? SEEN_HERE : SEEN_NOTHING;
	if (!t || *ret_node)
		return t ? 0 : -1;
	r = layer_removals(l, i, err);
	if (!r)
		return -1;
	if (removals_hold(r, path, REMOVED_BY_WHITEOUT | REMOVED_BY_FILE))
		*ret = SEEN_GONE;
	return 0;
}

int look_whited_out(struct look *l, size_t i, const char *path, bool *ret, dray_error **err)
{
	const struct removals *r = layer_removals(l, i, err);

	*ret = r && removals_hold(r, path, REMOVED_BY_WHITEOUT);
	return r ? 0 : -1;
}

/* ---- all of them ---- */

static int look_down(struct look *l, size_t n, const char *path, struct found *ret,
		     dray_error **err)
{
	enum seen seen = SEEN_NOTHING;

	*ret = (struct found){ 0 };
	while (n-- > 0 && seen == SEEN_NOTHING) {
		if (look_layer(l, n, path, &seen, &ret->node, err) < 0)
			return -1;
		ret->layer = n;
	}
	return 0;
}

int look_at(struct look *l, size_t n, const char *path, struct found *ret, dray_error **err)
{
	if (look_down(l, n, path, ret, err) < 0)
		return -1;
	/* Each step leads to a lower layer. */
	while (ret->node && node_type(ret->node) == TAR_HARDLINK) {
		size_t from = ret->layer;
		const char *target = ret->node->inode->data->link;
		const struct removals *r = layer_removals(l, from, err);

		/* What else the layer has there came behind the link: whiteouts alone come first. */
		*ret = (struct found){ 0 };
		if (!r)
			return -1;
		if (!removals_hold(r, target, REMOVED_BY_WHITEOUT) &&
		    look_down(l, from, target, ret, err) < 0)
			return -1;
		if (!ret->node || node_is_dir(ret->node))
			return err_set(err, DRAY_ERR_FORMAT,
				       "%s: layer %zu: a hard link leads to what is no file",
				       l->s->im->where, from + 1);
	}
	return 0;
}

/* ---- what is below ---- */

#define OPAQUE ".wh..wh..opq" /* no layer has a file of this name: only its folder speaks of it */

/* A folder, as the layers that were asked so far have it. */
struct folder {
	const char *path;
	struct buf inside; /* OPAQUE in it */
	bool described;	   /* it has its attributes */
	bool emptied;	   /* it shows nothing of the layers below */
};

/* Do the layers below layer @p i, which is asked now, not matter any more? */
static int ask_folder(struct look *l, size_t i, struct folder *f, bool *ret, dray_error **err)
{
	const struct removals *r;
	const struct node *n;
	enum seen seen;

	if (look_layer(l, i, f->path, &seen, &n, err) < 0)
		return -1;
	r = layer_removals(l, i, err);
	if (!r)
		return -1;
	f->described = f->described || (n && n->entry);
	f->emptied = f->emptied ||
		     removals_hold(r, (const char *)f->inside.data, REMOVED_BY_WHITEOUT);
	*ret = (f->described && f->emptied) ||
	       removals_hold(r, f->path, REMOVED_BY_WHITEOUT | REMOVED_BY_FILE);
	return 0;
}

/* A hard link of layer @p i brings along the layer with the bytes of its file. */
static int bring_file(struct look *l, size_t i, const struct layer_entry *e, size_t *ret,
		      dray_error **err)
{
	const struct node *n = tree_find(l->layers[i], e->path);
	struct found f;

	if (!n || node_type(n) != TAR_HARDLINK)
		return 0;
	if (look_at(l, l->s->n, e->path, &f, err) < 0)
		return -1;
	if (f.node && f.layer < *ret)
		*ret = f.layer;
	return 0;
}

static int bring_files(struct look *l, const char *path, size_t *ret, dray_error **err)
{
	for (size_t i = *ret; i < l->s->n; i++) {
		const struct layer_index *ix = l->s->index[i];

		for (size_t k = 0; k < ix->n; k++)
			if (ix->list[k].type == TAR_HARDLINK &&
			    path_is_below(ix->list[k].path, path) &&
			    bring_file(l, i, &ix->list[k], ret, err) < 0)
				return -1;
	}
	return 0;
}

static int lowest_of_folder(struct look *l, struct folder *f, size_t *ret, dray_error **err)
{
	size_t i = l->s->n;
	bool done = false;

	while (i > 0 && !done)
		if (ask_folder(l, --i, f, &done, err) < 0)
			return -1;
	*ret = i;
	return bring_files(l, f->path, ret, err);
}

int look_lowest(struct look *l, const char *path, size_t *ret, dray_error **err)
{
	struct folder f = { .path = path, .inside = BUF_INIT(2 * LIMIT_PATH) };
	struct found found;
	int rc;

	if (look_at(l, l->s->n, path, &found, err) < 0)
		return -1;
	*ret = found.layer;
	if (path[0] && (!found.node || !node_is_dir(found.node)))
		return found.node != NULL;
	*ret = 0;
	if (l->s->report->store->kind != STORE_REGISTRY)
		return stack_load_all(l->s, err) < 0 ? -1 : 1;
	rc = path[0] ? set_text(&f.inside, path, OPAQUE, err)
		     : set_text(&f.inside, OPAQUE, "", err);
	if (rc == 0)
		rc = lowest_of_folder(l, &f, ret, err);
	buf_clear(&f.inside);
	return rc < 0 ? -1 : 1;
}

/* ---- paths as typed ---- */

struct walk {
	struct look *l;
	const char *typed;
	struct buf at;	 /* the folder reached so far, NUL behind it */
	struct buf rest; /* what is still to go, NUL behind it */
	unsigned hops;
	bool follow;
};

static int refuse(const struct walk *w, const char *why, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_str(w->typed), PATH_SHOWN_MAX);

	return err_set(err, DRAY_ERR_NOT_FOUND, "%s: %s: %s", w->l->s->im->where,
		       shown ? shown : "?", why);
}

/* "a/b" becomes "a"; the root stays. */
static int go_up(struct walk *w, dray_error **err)
{
	const char *slash = w->at.len ? memrchr(w->at.data, '/', w->at.len) : NULL;

	w->at.len = slash ? (size_t)((const uint8_t *)slash - w->at.data) : 0;
	return terminate(&w->at, err);
}

static int follow_link(struct walk *w, const char *text, const char *rest, dray_error **err)
{
	if (++w->hops > LIMIT_SYMLINK_HOPS)
		return refuse(w, "too many symbolic links on the way (LIMIT_SYMLINK_HOPS)", err);
	if (!text[0])
		return refuse(w, "an empty symbolic link on the way", err);
	if (text[0] == '/')
		w->at.len = 0;
	/* The rest may have a '/' of its own or be one, which asks to follow too. */
	return terminate(&w->at, err) < 0 ? -1 : set_text(&w->rest, text, rest, err);
}

/* Into @p name, of @p len bytes, behind which @p rest stands. */
static int step(struct walk *w, const char *name, size_t len, const char *rest, dray_error **err)
{
	bool last = !rest[strspn(rest, "/")];
	size_t before = w->at.len;
	struct found f;

	if (len == 1 && name[0] == '.')
		return set_text(&w->rest, "", rest, err);
	if (len == 2 && name[0] == '.' && name[1] == '.')
		return go_up(w, err) < 0 ? -1 : set_text(&w->rest, "", rest, err);
	if ((before && buf_add_byte(&w->at, '/', err) < 0) ||
	    buf_add(&w->at, span_of(name, len), err) < 0 || terminate(&w->at, err) < 0 ||
	    look_at(w->l, w->l->s->n, (const char *)w->at.data, &f, err) < 0)
		return -1;
	if (last && !rest[0] && !w->follow) {
		w->rest.len = 0;
		return terminate(&w->rest, err);
	}
	if (f.node && node_type(f.node) == TAR_SYMLINK) {
		w->at.len = before;
		return follow_link(w, f.node->inode->data->link, rest, err);
	}
	if (rest[0] && !f.node && !last)
		return refuse(w, "no such file in the image", err);
	if (rest[0] && f.node && !node_is_dir(f.node))
		return refuse(w, "what stands before a '/' is no folder", err);
	return set_text(&w->rest, "", rest, err);
}

static int walk(struct walk *w, dray_error **err)
{
	for (;;) {
		cleanup_free char *rest = mem_strdup((const char *)w->rest.data);
		const char *name = rest;
		size_t len;

		if (!rest)
			return err_nomem(err);
		name += strspn(name, "/");
		len = strcspn(name, "/");
		if (len == 0)
			return 0;
		if (step(w, name, len, name + len, err) < 0)
			return -1;
	}
}

int look_resolve(struct look *l, const char *path, bool follow, struct buf *ret, dray_error **err)
{
	struct walk w = { .l = l, .typed = path, .follow = follow };
	int rc;

	w.at = w.rest = BUF_INIT(2 * LIMIT_PATH);
	rc = terminate(&w.at, err);
	if (rc == 0)
		rc = set_text(&w.rest, path, "", err);
	if (rc == 0)
		rc = walk(&w, err);
	buf_clear(&w.rest);
	if (rc < 0) {
		buf_clear(&w.at);
		return -1;
	}
	buf_clear(ret);
	*ret = w.at;
	return 0;
}
