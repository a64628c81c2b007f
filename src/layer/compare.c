/* SPDX-License-Identifier: Apache-2.0
 *
 * Two sorted trees walked in step.
 * Relies on tree_finish() for the order, on contents hashed while the layers were read.
 * Promises memory for names of hard links only, and one look at each name.
 */
#include "layer/compare.h"

#include <assert.h>

#include "base/mem.h"

/* ---- one pair ---- */

/* A sparse file is a file that is stored in another form. */
static enum tar_type kind(const struct node *n)
{
	return node_type(n) == TAR_SPARSE ? TAR_FILE : node_type(n);
}

static unsigned compare_files(const struct layer_entry *x, const struct layer_entry *y)
{
	unsigned what = layer_entry_size(x) != layer_entry_size(y) ? TREE_SIZE : 0;

	assert(x->content && y->content);
	return memcmp(x->content, y->content, CONTENT_DIGEST_LEN) == 0 ? what : what | TREE_CONTENT;
}

static unsigned compare_data(const struct node *a, const struct node *b)
{
	const struct layer_entry *x = a->inode->data, *y = b->inode->data;

	/* Layers that both images have were read once. */
	if (x == y)
		return 0;
	if (kind(a) != kind(b))
		return TREE_TYPE;
	switch (kind(a)) {
	case TAR_FILE:
		return compare_files(x, y);
	case TAR_SYMLINK:
		return strcmp(x->link, y->link) != 0 ? TREE_LINK : 0;
	case TAR_CHAR:
	case TAR_BLOCK_DEV:
		return x->dev_major != y->dev_major || x->dev_minor != y->dev_minor ? TREE_DEVICE
										    : 0;
	default:
		return 0;
	}
}

static bool same_list(const struct tar_xattr *x, const struct tar_xattr *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!span_eq(x[i].name, y[i].name) || !span_eq(x[i].value, y[i].value))
			return false;
	return true;
}

static int compare_xattrs(const struct layer_xattrs *x, const struct layer_xattrs *y,
			  unsigned *what, dray_error **err)
{
	cleanup_free struct tar_xattr *a = NULL;
	cleanup_free struct tar_xattr *b = NULL;
	size_t n, m;

	if (x == y)
		return 0;
	if (layer_xattrs_sorted(x, &a, &n, err) < 0 || layer_xattrs_sorted(y, &b, &m, err) < 0)
		return -1;
	if (n != m || !same_list(a, b, n))
		*what |= TREE_XATTRS;
	return 0;
}

static int compare_attributes(const struct tree_compare *c, const struct node *a,
			      const struct node *b, unsigned *what, dray_error **err)
{
	const struct layer_entry *x = node_attributes(a), *y = node_attributes(b);

	if (x == y)
		return 0;
	if (x->mode != y->mode && node_type(a) != TAR_SYMLINK && node_type(b) != TAR_SYMLINK)
		*what |= TREE_MODE;
	if (x->uid != y->uid || x->gid != y->gid)
		*what |= TREE_OWNER;
	if (c->mtime && (x->mtime != y->mtime || x->mtime_nsec != y->mtime_nsec))
		*what |= TREE_MTIME;
	return compare_xattrs(x->xattrs, y->xattrs, what, err);
}

/* ---- names that share a file ---- */

/* The first of the pairs in which the inode of @p n came, by its name in A; this one if none. */
static int first_pair(struct map *firsts, const struct node *n, const struct node *in_a,
		      const struct node **ret, dray_error **err)
{
	/* The key is the pointer in the node itself, which outlives the map. */
	struct span key = span_of(&n->inode, sizeof(n->inode));

	*ret = n->inode->n_names < 2 ? in_a : map_get(firsts, key);
	if (*ret)
		return 0;
	*ret = in_a;
	return map_put(firsts, key, (void *)(uintptr_t)in_a, err);
}

static int compare_links(struct tree_compare *c, const struct node *a, const struct node *b,
			 unsigned *what, dray_error **err)
{
	const struct node *first_a, *first_b;

	if (first_pair(&c->firsts_a, a, a, &first_a, err) < 0 ||
	    first_pair(&c->firsts_b, b, a, &first_b, err) < 0)
		return -1;
	if (first_a != first_b)
		*what |= TREE_HARDLINK;
	return 0;
}

static int compare_pair(struct tree_compare *c, const struct node *a, const struct node *b,
			unsigned *what, dray_error **err)
{
	*what = compare_data(a, b);
	if (compare_attributes(c, a, b, what, err) < 0)
		return -1;
	if (node_is_dir(a) || (*what & TREE_TYPE))
		return 0;
	return compare_links(c, a, b, what, err);
}

/* ---- the walk ---- */

void tree_compare_init(struct tree_compare *c, const struct tree *a, const struct tree *b,
		       bool mtime)
{
	*c = (struct tree_compare){ .dir_a = tree_root(a), .dir_b = tree_root(b), .mtime = mtime };
	c->a = c->dir_a->child;
	c->b = c->dir_b->child;
}

void tree_compare_clear(struct tree_compare *c)
{
	map_clear(&c->firsts_a);
	map_clear(&c->firsts_b);
}

/* What @p top holds is on one side only. */
static void only_below(struct tree_compare *c, const struct node *top, bool in_a)
{
	c->only = top->child;
	c->only_end = tree_skip(top);
	c->only_in_a = in_a;
}

static void tell_only(const struct node *n, bool in_a, struct tree_change *ret)
{
	*ret = (struct tree_change){ .a = in_a ? n : NULL, .b = in_a ? NULL : n };
}

/* The next name of a tree that is on one side only. */
static void next_only(struct tree_compare *c, struct tree_change *ret)
{
	tell_only(c->only, c->only_in_a, ret);
	c->only = tree_next(c->only);
	if (c->only == c->only_end)
		c->only = NULL;
}

/* The names that come first, of one folder or of both; they are passed. */
static void take(struct tree_compare *c, const struct node **ret_a, const struct node **ret_b)
{
	int order = !c->a ? 1 : !c->b ? -1 : strcmp(c->a->name, c->b->name);

	*ret_a = order <= 0 ? c->a : NULL;
	*ret_b = order >= 0 ? c->b : NULL;
	if (*ret_a)
		c->a = c->a->next;
	if (*ret_b)
		c->b = c->b->next;
}

static void enter(struct tree_compare *c, const struct node *a, const struct node *b)
{
	if (node_is_dir(a) && node_is_dir(b)) {
		c->dir_a = a;
		c->dir_b = b;
		c->a = a->child;
		c->b = b->child;
	} else if (a->child || b->child) {
		only_below(c, a->child ? a : b, a->child);
	}
}

/* Out of folders that are through; false at the end. */
static bool climb(struct tree_compare *c)
{
	while (!c->a && !c->b) {
		if (!c->dir_a->parent)
			return false;
		c->a = c->dir_a->next;
		c->b = c->dir_b->next;
		c->dir_a = c->dir_a->parent;
		c->dir_b = c->dir_b->parent;
	}
	return true;
}

static int step(struct tree_compare *c, struct tree_change *ret, dray_error **err)
{
	const struct node *a, *b;

	take(c, &a, &b);
	if (a && b) {
		*ret = (struct tree_change){ a, b, 0 };
		if (compare_pair(c, a, b, &ret->what, err) < 0)
			return -1;
		enter(c, a, b);
		return ret->what != 0;
	}
	tell_only(a ? a : b, a, ret);
	if ((a ? a : b)->child)
		only_below(c, a ? a : b, a);
	return 1;
}

static int compare_roots(struct tree_compare *c, struct tree_change *ret, dray_error **err)
{
	c->started = true;
	*ret = (struct tree_change){ c->dir_a, c->dir_b, 0 };
	if (compare_pair(c, c->dir_a, c->dir_b, &ret->what, err) < 0)
		return -1;
	return ret->what != 0;
}

int tree_compare_next(struct tree_compare *c, struct tree_change *ret, dray_error **err)
{
	int rc = c->started ? 0 : compare_roots(c, ret, err);

	while (rc == 0) {
		if (c->only) {
			next_only(c, ret);
			return 1;
		}
		if (!climb(c))
			return 0;
		rc = step(c, ret, err);
	}
	return rc;
}
