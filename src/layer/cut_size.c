/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts of bounded size: folders, and what they hold where they are too big.
 * Relies on lists that name folders before their contents.
 * Promises names that do not change when something else grows.
 */
#include "layer/cut_priv.h"

#include "base/limits.h"
#include "base/mem.h"

/* A folder with contents; its inode's mark is its place among them. */
struct sum {
	int64_t bytes; /* of the rest, below it */
	uint32_t parent;
	/* When it is divided: the first of the files in it that are a part together, their bytes. */
	const struct node *first;
	int64_t gathered;
};

struct sums {
	struct sum *list;
	size_t n, cap;
};

static int add_folder(struct sums *s, const struct node *n, dray_error **err)
{
	if (mem_grow(&s->list, s->n, &s->cap, sizeof(*s->list)) < 0)
		return err_nomem(err);
	n->inode->mark = (uint32_t)s->n;
	s->list[s->n++] = (struct sum){ .parent = n->parent ? n->parent->inode->mark : 0 };
	return 0;
}

static int sum_up(struct sums *s, const struct record_list *l, dray_error **err)
{
	struct record r = { 0 }, next = { 0 };

	for (bool more = l->next(l, &r, &next); more;) {
		r = next;
		more = l->next(l, &r, &next);
		if (!more)
			next.node = NULL;
		if (is_leaf(&r, &next)) {
			if (r.node->inode->mark == CUT_REST && r.node->parent)
				s->list[r.node->parent->inode->mark].bytes += leaf_bytes(r.node);
		} else if (r.kind == RECORD_NODE && add_folder(s, r.node, err) < 0) {
			return -1;
		}
	}
	/* Those inside come later. */
	for (size_t i = s->n; i-- > 1;)
		s->list[s->list[i].parent].bytes += s->list[i].bytes;
	return 0;
}

/* Files of a divided folder are gathered in their order, to some share of a layer. */
static const struct node *gather(struct sum *s, const struct node *n, int64_t share)
{
	int64_t bytes = leaf_bytes(n);

	if (bytes > share)
		return n;
	if (!s->first || s->gathered + bytes > share / 4) {
		s->first = n;
		s->gathered = 0;
	}
	s->gathered += bytes;
	return s->first;
}

/* The node that gives the part of leaf @p n its name. */
static const struct node *namer(const struct sums *s, const struct node *n, int64_t share)
{
	const struct node *at = n->parent;

	if (!at)
		return n;
	if (s->list[at->inode->mark].bytes > share || !at->parent)
		return gather(&s->list[at->inode->mark], n, share);
	while (at->parent->parent && s->list[at->parent->inode->mark].bytes <= share)
		at = at->parent;
	return at;
}

static int name_all(struct cut_parts *p, const struct sums *s, const struct record_list *l,
		    int64_t share, struct buf *path, dray_error **err)
{
	struct leaves w = { .list = l };
	const struct node *n;

	while (leaves_next(&w, &n)) {
		if (n->inode->mark != CUT_REST)
			continue;
		if (node_path(namer(s, n, share), path, err) < 0 ||
		    cut_part_path(p, path, path->len, &n->inode->mark, err) < 0)
			return -1;
	}
	return 0;
}

int cut_rest_by_size(struct cut_parts *p, const struct record_list *l, int64_t share,
		     dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);
	struct sums s = { 0 };
	int rc = sum_up(&s, l, err);

	if (rc == 0)
		rc = name_all(p, &s, l, share, &path, err);
	mem_free(s.list);
	return rc;
}

/* ---- no more than so much ---- */

int cut_divide(struct cut_parts *p, const struct record_list *l, int64_t most, dray_error **err)
{
	struct leaves w = { .list = l };
	const struct node *n;
	bool any = false;

	while (leaves_next(&w, &n)) {
		uint32_t part = n->inode->mark; /* CUT_REST: another name of it was seen */

		if (part == CUT_REST || part < p->n_rules || p->list[part].bytes <= most)
			continue;
		n->inode->mark = CUT_REST;
		any = true;
	}
	return any ? cut_rest_by_size(p, l, most, err) : 0;
}
