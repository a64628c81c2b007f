/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of a tree: siblings by the bytes of their names, folders before contents.
 * Relies on tree.c for what lives.
 * Promises no recursion, however deep the tree is.
 */
#include "layer/tree_priv.h"

#include "base/limits.h"

/* ---- walking ---- */

struct node *tree_skip(const struct node *n)
{
	while (n && !n->next)
		n = n->parent;
	return n ? n->next : NULL;
}

struct node *tree_next(const struct node *n)
{
	return n->child ? n->child : tree_skip(n);
}

/* ---- sorting ---- */

static struct node *merge(struct node *a, struct node *b)
{
	struct node *head = NULL, **tail = &head;

	while (a && b) {
		struct node **least = strcmp(a->name, b->name) <= 0 ? &a : &b;

		*tail = *least;
		tail = &(*least)->next;
		*least = (*least)->next;
	}
	*tail = a ? a : b;
	return head;
}

#define RUNS 48 /* of 2^i nodes each: more than memory has */

static struct node *sort(struct node *list)
{
	struct node *runs[RUNS] = { NULL };
	struct node *all = NULL;

	while (list) {
		struct node *run = list;
		size_t i = 0;

		list = list->next;
		run->next = NULL;
		for (; runs[i]; i++) {
			run = merge(runs[i], run);
			runs[i] = NULL;
		}
		runs[i] = run;
	}
	for (size_t i = 0; i < RUNS; i++)
		all = merge(runs[i], all);
	return all;
}

static void drop_gone(struct node *dir)
{
	struct node **at = &dir->child;

	while (*at) {
		if ((*at)->gone)
			*at = (*at)->next;
		else
			at = &(*at)->next;
	}
}

void tree_finish(struct tree *t)
{
	t->count = 0;
	for (int pass = 0; pass < 2; pass++) {
		for (struct node *n = t->root; n; n = tree_next(n)) {
			if (pass == 1) {
				n->inode->n_names++;
				t->count++;
				continue;
			}
			drop_gone(n);
			n->child = sort(n->child);
			n->inode->n_names = 0;
		}
	}
	t->count--; /* the root */
}

/* ---- names of one file ---- */

void first_names_clear(struct first_names *f)
{
	map_clear(&f->map);
}

int first_name(struct first_names *f, const struct node *n, const struct node **ret,
	       dray_error **err)
{
	struct span key = span_of(&n->inode, sizeof(n->inode));

	*ret = NULL;
	if (n->inode->n_names < 2 || node_is_dir(n))
		return 0;
	*ret = map_get(&f->map, key);
	return *ret ? 0 : map_put(&f->map, key, (void *)(uintptr_t)n, err);
}

/* ---- paths ---- */

int node_path(const struct node *n, struct buf *ret, dray_error **err)
{
	size_t len = 0;

	for (const struct node *p = n; p->parent; p = p->parent)
		len += strlen(p->name) + 1;
	buf_reset(ret);
	if (buf_reserve(ret, len + 1, err) < 0)
		return -1;
	ret->data[len ? len - 1 : 0] = 0;
	ret->len = len ? len - 1 : 0;
	for (size_t end = ret->len; n->parent; n = n->parent) {
		size_t part = strlen(n->name);

		memcpy(ret->data + end - part, n->name, part);
		end -= part;
		if (end)
			ret->data[--end] = '/';
	}
	return 0;
}
