/* SPDX-License-Identifier: Apache-2.0
 *
 * Two trees walked side by side: first to judge the files that have several names, then to
 * note what differs.
 * Relies on finished trees: names of a folder in one order.
 * Promises records that need neither tree, and nothing of a folder that did not change.
 */
#include "layer/change.h"

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"

/*
 * The records are copies of nodes, chained by next; those that are gone are whiteouts. Of a node
 * they have what layer/write.h reads: name, parent, inode, entry and layer.
 */
struct change {
	struct arena arena;
	struct node *first, *last;
};

/* ---- two trees side by side ---- */

/* One name; NULL where a tree does not have it. */
struct pair {
	const struct node *upper, *lower;
};

/* A folder of the upper tree that the walk is in. */
struct frame {
	struct pair at; /* the next names in it */
	const struct node *dir;
	struct node *copy; /* of dir, once it is a record */
};

struct walk {
	struct frame *frames;
	size_t n, cap;
};

static void walk_clear(struct walk *w)
{
	mem_free(w->frames);
}
#define cleanup_walk CLEANUP(walk_clear)

/* Into the folder p->upper. What is no folder below has no names. */
static int walk_enter(struct walk *w, const struct pair *p, struct node *copy, dray_error **err)
{
	bool below = p->lower && node_is_dir(p->lower);

	if (mem_grow(&w->frames, w->n, &w->cap, sizeof(*w->frames)) < 0)
		return err_nomem(err);
	w->frames[w->n++] = (struct frame){
		.at = { p->upper->child, below ? p->lower->child : NULL },
		.dir = p->upper,
		.copy = copy,
	};
	return 0;
}

/* The lesser of the next two names, or both of them. */
static struct pair take(struct pair *at)
{
	struct pair ret = *at;
	int order = 0;

	if (!at->upper || !at->lower)
		order = at->upper ? -1 : 1;
	else
		order = strcmp(at->upper->name, at->lower->name);
	if (order > 0)
		ret.upper = NULL;
	if (order < 0)
		ret.lower = NULL;
	if (ret.upper)
		at->upper = at->upper->next;
	if (ret.lower)
		at->lower = at->lower->next;
	return ret;
}

/* The next pair; folders are entered by who asks. */
static bool walk_next(struct walk *w, struct pair *ret)
{
	for (; w->n > 0; w->n--) {
		struct frame *f = &w->frames[w->n - 1];

		if (!f->at.upper && !f->at.lower)
			continue;
		*ret = take(&f->at);
		return true;
	}
	return false;
}

/* ---- files with several names ---- */

/*
 * A file whose names are hard links, here or below. Engines break a file of the layers below
 * away from its other names when a layer touches one; so either all of its names stay below, or
 * all of them are written.
 */
struct group {
	const struct inode *upper;
	const struct inode *lower; /* that all its names lead to below, unless changed */
	bool changed;
};

struct finder {
	struct change *c;
	struct arena arena;
	struct map groups;  /* upper inode -> group */
	struct map claimed; /* lower inode -> the group that stays it */
	struct map copies;  /* upper inode -> its copy among the records */
};

static bool is_shared(const struct pair *p)
{
	return p->upper && !node_is_dir(p->upper) &&
	       (p->upper->inode->n_names > 1 || (p->lower && p->lower->inode->n_names > 1));
}

static struct span inode_key(const struct node *n)
{
	return span_of(&n->inode, sizeof(n->inode));
}

static bool is_other(const struct pair *p)
{
	return !p->lower || !inode_same(p->upper->inode, p->lower->inode);
}

static int judge_name(struct finder *f, const struct pair *p, dray_error **err)
{
	const struct inode *lower = p->lower ? p->lower->inode : NULL;
	struct group *g = map_get(&f->groups, inode_key(p->upper));

	if (g) {
		g->changed = g->changed || g->lower != lower;
		return 0;
	}
	g = arena_alloc(&f->arena, sizeof(*g));
	if (!g)
		return err_nomem(err);
	*g = (struct group){ p->upper->inode, lower, is_other(p) };
	return map_put(&f->groups, inode_key(p->upper), g, err);
}

/* Only one file can stay what a file below was; the others were names of it and part from it. */
static int claim(struct finder *f, struct group *g, dray_error **err)
{
	struct span key = span_of(&g->lower, sizeof(g->lower));
	const struct group *owner = map_get(&f->claimed, key);

	if (!owner)
		return map_put(&f->claimed, key, g, err);
	g->changed = owner != g;
	return 0;
}

/* First those whose bytes are still the same entry's, so that as little as may be is written. */
static int claim_all(struct finder *f, dray_error **err)
{
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < f->groups.len; i++) {
			struct group *g = f->groups.slots[i].value;

			if (g->changed || (pass == 0 && g->upper->data != g->lower->data))
				continue;
			if (claim(f, g, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int judge(struct finder *f, const struct pair *roots, dray_error **err)
{
	cleanup_walk struct walk w = { 0 };
	struct pair p;

	if (walk_enter(&w, roots, NULL, err) < 0)
		return -1;
	while (walk_next(&w, &p)) {
		if (p.upper && node_is_dir(p.upper) && walk_enter(&w, &p, NULL, err) < 0)
			return -1;
		if (is_shared(&p) && judge_name(f, &p, err) < 0)
			return -1;
	}
	return claim_all(f, err);
}

static bool is_changed(const struct finder *f, const struct pair *p)
{
	const struct group *g = is_shared(p) ? map_get(&f->groups, inode_key(p->upper)) : NULL;

	return g ? g->changed : is_other(p);
}

/* ---- records ---- */

/* Attributes that are no entry of a layer are the tree's own, and so is their list. */
static const struct layer_entry *copy_attributes(struct change *c, const struct inode *from)
{
	struct layer_entry *e;

	if (from->attrs == from->data)
		return from->attrs;
	e = arena_alloc(&c->arena, sizeof(*e));
	if (!e)
		return NULL;
	*e = *from->attrs;
	if (e->xattrs) {
		size_t size = sizeof(*e->xattrs) + e->xattrs->n * sizeof(e->xattrs->list[0]);
		struct layer_xattrs *x = arena_alloc(&c->arena, size);

		if (!x)
			return NULL;
		memcpy(x, e->xattrs, size);
		e->xattrs = x;
	}
	return e;
}

static struct inode *new_copy(struct change *c, const struct inode *from, dray_error **err)
{
	struct inode *i = arena_alloc(&c->arena, sizeof(*i));

	if (!i) {
		err_nomem(err);
		return NULL;
	}
	*i = *from;
	i->attrs = copy_attributes(c, from);
	if (from->attrs && !i->attrs) {
		err_nomem(err);
		return NULL;
	}
	return i;
}

/* Names that share an inode share its copy. */
static struct inode *copy_inode(struct finder *f, const struct node *n, dray_error **err)
{
	bool shared = n->inode->n_names > 1 && !node_is_dir(n);
	struct inode *i = shared ? map_get(&f->copies, inode_key(n)) : NULL;

	if (i)
		return i;
	i = new_copy(f->c, n->inode, err);
	if (i && shared && map_put(&f->copies, inode_key(n), i, err) < 0)
		return NULL;
	return i;
}

static struct node *add_record(struct finder *f, const struct node *n, struct node *parent,
			       bool gone, dray_error **err)
{
	struct change *c = f->c;
	struct node *copy = arena_alloc(&c->arena, sizeof(*copy));
	const char *name = arena_strdup(&c->arena, n->name);

	if (!copy || !name) {
		err_nomem(err);
		return NULL;
	}
	*copy = (struct node){ .parent = parent,
			       .name = name,
			       .inode = copy_inode(f, n, err),
			       .entry = n->entry,
			       .layer = n->layer,
			       .gone = gone };
	if (!copy->inode)
		return NULL;
	if (c->last)
		c->last->next = copy;
	else
		c->first = copy;
	c->last = copy;
	return copy;
}

/* The folders on the way, with their attributes: engines unpack a layer beside the others. */
static struct node *add_parents(struct finder *f, struct walk *w, dray_error **err)
{
	size_t i = w->n;

	while (i > 0 && !w->frames[i - 1].copy)
		i--;
	for (; i < w->n; i++) {
		struct node *above = i > 0 ? w->frames[i - 1].copy : NULL;

		w->frames[i].copy = add_record(f, w->frames[i].dir, above, false, err);
		if (!w->frames[i].copy)
			return NULL;
	}
	return w->frames[w->n - 1].copy;
}

/* The record of this name, if it needs one, with those of its folders. */
static int note(struct finder *f, struct walk *w, const struct pair *p, struct node **ret,
		dray_error **err)
{
	struct node *parent;

	*ret = NULL;
	if (p->upper && !is_changed(f, p))
		return 0;
	parent = add_parents(f, w, err);
	if (parent)
		*ret = add_record(f, p->upper ? p->upper : p->lower, parent, !p->upper, err);
	return *ret ? 0 : -1;
}

/* What is gone from the folder that was entered last, before all else in it (formats.md 6.2). */
static int note_gone(struct finder *f, struct walk *w, dray_error **err)
{
	struct pair at = w->frames[w->n - 1].at;
	struct node *copy;

	while (at.upper || at.lower) {
		const struct pair p = take(&at);

		if (!p.upper && note(f, w, &p, &copy, err) < 0)
			return -1;
	}
	return 0;
}

/* The record of a name that is there, and the whiteouts of a folder. */
static int note_here(struct finder *f, struct walk *w, const struct pair *p, dray_error **err)
{
	struct node *copy;

	if (note(f, w, p, &copy, err) < 0)
		return -1;
	if (!node_is_dir(p->upper))
		return 0;
	return walk_enter(w, p, copy, err) < 0 ? -1 : note_gone(f, w, err);
}

static int note_all(struct finder *f, const struct pair *roots, dray_error **err)
{
	cleanup_walk struct walk w = { 0 };
	struct pair p;

	if (walk_enter(&w, roots, NULL, err) < 0 || (is_other(roots) && !add_parents(f, &w, err)) ||
	    note_gone(f, &w, err) < 0)
		return -1;
	while (walk_next(&w, &p))
		if (p.upper && note_here(f, &w, &p, err) < 0)
			return -1;
	return 0;
}

/* ---- the door ---- */

void change_free(struct change *c)
{
	if (!c)
		return;
	arena_clear(&c->arena);
	mem_free(c);
}

static void finder_clear(struct finder *f)
{
	map_clear(&f->groups);
	map_clear(&f->claimed);
	map_clear(&f->copies);
	arena_clear(&f->arena);
}
#define cleanup_finder CLEANUP(finder_clear)

int change_find(const struct tree *lower, const struct tree *upper, struct change **ret,
		dray_error **err)
{
	const struct pair roots = { tree_root(upper), tree_root(lower) };
	cleanup_change struct change *c = mem_zalloc(sizeof(*c));
	cleanup_finder struct finder f = { .c = c };

	if (!c)
		return err_nomem(err);
	if (judge(&f, &roots, err) < 0 || note_all(&f, &roots, err) < 0)
		return -1;
	*ret = steal_pointer(&c);
	return 0;
}

bool change_is_empty(const struct change *c)
{
	return !c->first;
}

static bool change_record_next(const struct record_list *l, const struct record *at,
			       struct record *ret)
{
	const struct change *c = l->arg;
	const struct node *n = at->node ? at->node->next : c->first;

	if (!n)
		return false;
	*ret = (struct record){ .kind = n->gone ? RECORD_WHITEOUT : RECORD_NODE, .node = n };
	return true;
}

struct record_list change_records(const struct change *c)
{
	return (struct record_list){ change_record_next, c };
}
