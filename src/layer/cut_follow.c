/* SPDX-License-Identifier: Apache-2.0
 *
 * A cut that keeps to an earlier one: what was in a layer stays there.
 * Relies on nothing but which layer of the earlier image holds which path.
 * Promises to move no path that was there; so a layer changes only with what it holds.
 */
#include "layer/cut_priv.h"

#include "base/limits.h"
#include "base/mem.h"

struct follow {
	struct cut_parts *parts;
	const struct tree *old;
	uint32_t base;	/* layers that are kept */
	uint32_t first; /* part of the lowest old layer */
	uint32_t n;	/* old layers */
	struct buf path;
};

/* Where the file of @p n lay: its part in *ret, or false. */
static int old_part(struct follow *f, const struct node *n, bool *ret_there, uint32_t *ret,
		    dray_error **err)
{
	const struct node *o;
	uint32_t layer;

	*ret_there = false;
	if (node_path(n, &f->path, err) < 0)
		return -1;
	o = tree_find(f->old, (const char *)f->path.data);
	if (!o)
		return 0;
	layer = node_is_dir(o) ? o->layer : o->inode->data_layer;
	*ret_there = layer >= f->base;
	*ret = *ret_there ? f->first + layer - f->base : 0;
	return 0;
}

/* A majority by one pass: bin is the candidate, layer how far it leads. */
static void vote(struct cut_part *unit, uint32_t part)
{
	if (unit->layer == 0)
		unit->bin = part;
	unit->layer += unit->bin == part ? 1 : -1U;
}

static bool is_unit(const struct follow *f, const struct node *n)
{
	return n->inode->mark >= f->parts->n_rules && n->inode->mark < f->first;
}

static int count_votes(struct follow *f, const struct record_list *l, dray_error **err)
{
	struct leaves w = { .list = l };
	const struct node *n;
	uint32_t part;
	bool there;

	for (size_t i = f->parts->n_rules; i < f->first; i++) {
		f->parts->list[i].bin = f->first + f->n - 1; /* the top, unless there is one vote */
		f->parts->list[i].layer = 0;
	}
	while (leaves_next(&w, &n)) {
		if (!is_unit(f, n))
			continue;
		if (old_part(f, n, &there, &part, err) < 0)
			return -1;
		if (there)
			vote(&f->parts->list[n->inode->mark], part);
	}
	return 0;
}

static int move_all(struct follow *f, const struct record_list *l, dray_error **err)
{
	struct leaves w = { .list = l };
	const struct node *n;
	uint32_t part;
	bool there;

	while (leaves_next(&w, &n)) {
		if (!is_unit(f, n))
			continue;
		if (old_part(f, n, &there, &part, err) < 0)
			return -1;
		n->inode->mark = there ? part : f->parts->list[n->inode->mark].bin;
	}
	return 0;
}

static int add_old_parts(struct follow *f, dray_error **err)
{
	char name[48];
	uint32_t index;

	for (uint32_t i = 0; i < f->n; i++) {
		snprintf(name, sizeof(name), "layer %u", f->base + i + 1);
		if (cut_part_add(f->parts, name, CUT_OLD, &index, err) < 0)
			return -1;
		f->parts->list[index].bin = i;
	}
	return 0;
}

/* ---- times of folders ---- */

static uint32_t leaf_layer(const struct node *n)
{
	return node_is_dir(n) ? n->layer : n->inode->data_layer;
}

/* Mark the folders on the way to @p n that its own layer describes last. */
static void mark_way(const struct node *n)
{
	for (const struct node *d = n->parent; d; d = d->parent)
		if (d->layer == leaf_layer(n))
			d->inode->mark = 1;
}

/* The highest layer that describes a folder of which it has nothing: it is there for the times. */
static bool find_times(const struct tree *old, uint32_t *ret)
{
	bool found = false;

	for (const struct node *n = tree_root(old); n; n = tree_next(n))
		n->inode->mark = 0;
	for (const struct node *n = tree_root(old); n; n = tree_next(n))
		if (!n->child)
			mark_way(n);
	for (const struct node *n = tree_root(old); n; n = tree_next(n)) {
		if (!n->child || !n->entry || n->inode->mark || (found && n->layer <= *ret))
			continue;
		found = true;
		*ret = n->layer;
	}
	return found;
}

int cut_follow(struct cut_parts *p, const struct record_list *l, const struct tree *old,
	       uint32_t base, uint32_t *ret_times, dray_error **err)
{
	struct follow f = { p, old, base, (uint32_t)p->n, 1, BUF_INIT(2 * LIMIT_PATH) };
	uint32_t times = 0;
	int rc;

	if (tree_layers(old) > CUT_LAYERS_FORCED)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "the image that is kept to has %u layers, more than %d",
			       tree_layers(old), CUT_LAYERS_FORCED);
	if (tree_layers(old) > base)
		f.n = tree_layers(old) - base;
	rc = add_old_parts(&f, err);
	if (rc == 0)
		rc = count_votes(&f, l, err);
	if (rc == 0)
		rc = move_all(&f, l, err);
	buf_clear(&f.path);
	*ret_times = UINT32_MAX;
	if (find_times(old, &times) && times >= base)
		*ret_times = f.first + times - base;
	return rc;
}
