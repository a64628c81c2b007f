/* SPDX-License-Identifier: Apache-2.0
 *
 * Two things side by side in the order of the tree: the entries of the layer that passes, and the
 * nodes of all other layers.
 * Relies on write.c for what the others' nodes become.
 * Promises nothing about the tree: what is foreseen here may be wrong, so it may be simple.
 */
#include "base/mem.h"
#include "layer/once_priv.h"

/* What layers above do to a name of the layer that passes, and all below it. */
enum hides { HIDES_NOTHING, HIDES_BELOW, HIDES_ALL };

/* ---- paths ---- */

static int rank(unsigned char c)
{
	return c == '/' ? 1 : c == 0 ? 0 : c + 1;
}

int once_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return rank((unsigned char)*a) - rank((unsigned char)*b);
}

/* The map keeps a copy of @p path. */
static int put_path(struct once *o, struct map *m, struct span path, void *value, dray_error **err)
{
	path = arena_dup(&o->arena, path);
	return path.data ? map_put(m, path, value, err) : err_nomem(err);
}

/* ---- what layers above hide ---- */

static int hide(struct once *o, const struct layer_entry *e, struct buf *room, dray_error **err)
{
	const char *name = NULL;
	enum whiteout kind = whiteout_of(e->path, &name);
	enum hides how = kind == WHITEOUT_OPAQUE ? HIDES_BELOW : HIDES_ALL;
	struct span target = span_str(e->path);

	if (kind == WHITEOUT_AUFS || (kind == WHITEOUT_NONE && !is_overlay_whiteout(e)))
		return 0;
	if (kind != WHITEOUT_NONE) {
		if (whiteout_target(e->path, name, room, err) < 0)
			return -1;
		target = span_buf(room);
	}
	if ((uintptr_t)map_get(&o->hidden, target) >= how)
		return 0;
	return put_path(o, &o->hidden, target, (void *)(uintptr_t)how, err);
}

static int hide_all(struct once *o, dray_error **err)
{
	cleanup_buf struct buf room = BUF_INIT(LIMIT_PATH + 1);

	for (size_t i = o->p.passing + 1; i < o->p.n; i++)
		for (size_t k = 0; k < o->p.index[i]->n; k++)
			if (hide(o, &o->p.index[i]->list[k], &room, err) < 0)
				return -1;
	return 0;
}

/* ---- the nodes of the others ---- */

static const struct node *next_node(const struct once *o)
{
	return o->next.node;
}

static const char *next_path(const struct once *o)
{
	return (const char *)o->next_path.data;
}

/* Look at the node behind the cursor. A root that nobody described is none. */
static int look_ahead(struct once *o, dray_error **err)
{
	do {
		if (!o->list.next(&o->list, &o->others.at, &o->next)) {
			o->next = (struct record){ 0 };
			return 0;
		}
		if (next_node(o)->parent || next_node(o)->inode->data)
			return node_path(next_node(o), &o->next_path, err);
		o->others.at = o->next;
	} while (true);
}

/* What is at hand of @p r, or some of it read into @p room. */
static int take_some(const struct layer_feed *f, const struct run *r, struct room room,
		     struct span *ret, dray_error **err)
{
	int64_t n;

	*ret = (struct span){ 0 };
	if (f->lend && f->lend(f->arg, r->layer, r->off, ret, err) < 0)
		return -1;
	if (ret->len == 0) {
		if ((uint64_t)r->left < room.len)
			room.len = (size_t)r->left;
		n = f->read(f->arg, r->layer, r->off, room.data, room.len, err);
		*ret = span_of(room.data, n > 0 ? (size_t)n : 0);
		return n < 0 ? -1 : 0;
	}
	*ret = span_head(*ret, (uint64_t)r->left < ret->len ? (size_t)r->left : ret->len);
	return 0;
}

/* A feed foresees in which order all pieces are read: those that are not wanted, too. */
static int pass_run(struct once *o, struct run r, bool wanted, dray_error **err)
{
	uint8_t room[64 * 1024];
	struct span s;

	while (r.left > 0) {
		if (take_some(&o->p.feed, &r, (struct room){ room, sizeof(room) }, &s, err) < 0 ||
		    (wanted && once_put(o, r.layer, r.off, s, err) < 0))
			return -1;
		r.off += (int64_t)s.len;
		r.left -= (int64_t)s.len;
	}
	return 0;
}

/* Leave the next node out. */
static int step_over(struct once *o, dray_error **err)
{
	struct piece p;

	if (next_piece(&o->others, &p, err) < 0 || pass_run(o, p.run, false, err) < 0)
		return -1;
	return look_ahead(o, err);
}

/* All nodes below @p path, which must be of layers below: 1, 0 = they are not, -1. */
static int step_over_below(struct once *o, const char *path, dray_error **err)
{
	while (next_node(o) && path_is_below(next_path(o), path)) {
		if (next_node(o)->layer > o->p.passing)
			return 0;
		if (step_over(o, err) < 0)
			return -1;
	}
	return 1;
}

/* 1, 0 = it would need another header, and is not foreseen; -1. */
static int write_other(struct once *o, dray_error **err)
{
	struct piece p;
	int rc = next_piece(&o->others, &p, err);

	if (rc <= 0 || p.made)
		return rc < 0 ? -1 : 0;
	rc = once_begin(o, p.run.layer, next_node(o)->entry, err);
	if (rc <= 0)
		return rc;
	if (pass_run(o, p.run, true, err) < 0 || look_ahead(o, err) < 0)
		return -1;
	return 1;
}

/* A node whose place has come: 1, 0, -1. */
static int pass_other(struct once *o, dray_error **err)
{
	const char *path;

	if (next_node(o)->layer > o->p.passing || !map_find(&o->cut, span_str(next_path(o))))
		return write_other(o, err);
	path = arena_strndup(&o->arena, next_path(o), o->next_path.len);
	if (!path)
		return err_nomem(err);
	return step_over(o, err) < 0 ? -1 : step_over_below(o, path, err);
}

static int pass_others_before(struct once *o, const char *path, dray_error **err)
{
	int rc = 1;

	while (rc > 0 && next_node(o) && once_compare(next_path(o), path) < 0)
		rc = pass_other(o, err);
	return rc;
}

/* ---- the entries of the layer ---- */

/* What it removes from the layers below must not have been written already. */
int once_whiteout(struct once *o, const struct layer_entry *e, enum whiteout kind, const char *name,
		  dray_error **err)
{
	cleanup_buf struct buf room = BUF_INIT(LIMIT_PATH + 1);
	const char *target;
	const struct node *n;

	if (o->p.passing == 0)
		return 1;
	if (kind != WHITEOUT_NAME)
		return 0;
	if (whiteout_target(e->path, name, &room, err) < 0)
		return -1;
	target = (const char *)room.data;
	n = tree_find(o->p.others, target);
	if (!n || n->layer > o->p.passing)
		return 1;
	if (!next_node(o) || once_compare(next_path(o), target) > 0)
		return 0;
	return put_path(o, &o->cut, span_buf(&room), o, err) < 0 ? -1 : 1;
}

/* The others have the name, too: who is above? */
static int meet(struct once *o, const struct layer_entry *e, bool *ret_wanted, dray_error **err)
{
	const struct node *n = next_node(o);

	if (n->entry && n->layer > o->p.passing) {
		*ret_wanted = false;
		if (e->type == TAR_DIR && !node_is_dir(n))
			o->veil = e->path;
		return write_other(o, err);
	}
	if (step_over(o, err) < 0)
		return -1;
	return e->type == TAR_DIR ? 1 : step_over_below(o, e->path, err);
}

int once_judge(struct once *o, const struct layer_entry *e, bool *ret_wanted, dray_error **err)
{
	enum hides how;
	int rc;

	*ret_wanted = false;
	if (o->last && once_compare(e->path, o->last) <= 0)
		return 0;
	o->last = e->path;
	rc = pass_others_before(o, e->path, err);
	if (rc <= 0)
		return rc;
	if (o->veil && path_is_below(e->path, o->veil))
		return 1;
	how = (enum hides)(uintptr_t)map_get(&o->hidden, span_str(e->path));
	o->veil = how == HIDES_NOTHING ? NULL : e->path;
	if (how == HIDES_ALL)
		return 1;
	*ret_wanted = true;
	if (next_node(o) && strcmp(next_path(o), e->path) == 0)
		return meet(o, e, ret_wanted, err);
	return 1;
}

/* ---- beginning and end ---- */

int once_merge_begin(struct once *o, dray_error **err)
{
	o->list = (struct record_list){ tree_record_next, o->p.others };
	o->others = cursor_of(&o->list);
	o->next_path = BUF_INIT(2 * LIMIT_PATH);
	return hide_all(o, err) < 0 ? -1 : look_ahead(o, err);
}

int once_merge_end(struct once *o, dray_error **err)
{
	int rc = 1;

	while (rc > 0 && next_node(o))
		rc = pass_other(o, err);
	return rc;
}
