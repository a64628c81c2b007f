/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the files of two images that differ.
 * Relies on: layer/compare for the walk, on both stacks for proven layers.
 * Promises: memory per entry; nothing is told before every byte it rests on was proven.
 */
#include "base/cancel.h"
#include "base/limits.h"
#include "ops/diff_priv.h"
#include "ops/syncfile.h"

_Static_assert((int)DRAY_DIFF_TYPE == (int)TREE_TYPE &&
		       (int)DRAY_DIFF_CONTENT == (int)TREE_CONTENT &&
		       (int)DRAY_DIFF_SIZE == (int)TREE_SIZE &&
		       (int)DRAY_DIFF_MODE == (int)TREE_MODE &&
		       (int)DRAY_DIFF_OWNER == (int)TREE_OWNER &&
		       (int)DRAY_DIFF_MTIME == (int)TREE_MTIME &&
		       (int)DRAY_DIFF_LINK == (int)TREE_LINK &&
		       (int)DRAY_DIFF_DEVICE == (int)TREE_DEVICE &&
		       (int)DRAY_DIFF_XATTRS == (int)TREE_XATTRS &&
		       (int)DRAY_DIFF_HARDLINK == (int)TREE_HARDLINK,
	       "the public names of what differs");

struct telling {
	struct dray_diff *d;
	dray_diff_file_fn *fn;
	void *arg;
	struct buf path, head;
	struct teller a, b;
};

/* ---- what does not count ---- */

/* @p path has a NUL that is not counted; what lies below an ignored folder is ignored too. */
static int is_ignored(struct telling *t, bool *ret, dray_error **err)
{
	const struct dray_diff *d = t->d;
	size_t end = 0;

	*ret = false;
	if (!d->n_ignore)
		return 0;
	buf_reset(&t->head);
	if (buf_add(&t->head, span_of(t->path.data, t->path.len + 1), err) < 0)
		return -1;
	do {
		char *head = (char *)t->head.data;

		end += strcspn(head + end, "/");
		head[end] = 0;
		for (size_t i = 0; i < d->n_ignore && !*ret; i++)
			*ret = glob_match(d->ignore[i], head);
		head[end] = '/';
	} while (!*ret && end++ < t->path.len);
	return 0;
}

/* ---- the walk ---- */

static void count(struct dray_diff_counts *n, const struct tree_change *c)
{
	if (!c->a)
		n->added++;
	else if (!c->b)
		n->removed++;
	else
		n->changed++;
	n->only_times += c->what == TREE_MTIME;
}

/* dpkg/status, apk/db/installed, rpm/rpmdb.sqlite, wherever links lead to them. */
static bool is_database(const char *path)
{
	return strstr(path, "dpkg/") || strstr(path, "apk/") || strstr(path, "rpm/");
}

static int fill(struct teller *t, const struct node *n, const char *path, dray_error **err)
{
	if (teller_set(t, n->inode->data, n->inode->attrs, err) < 0)
		return -1;
	t->file.path = path;
	t->file.layer = n->layer;
	return 0;
}

static int tell(struct telling *t, const struct tree_change *c, dray_error **err)
{
	struct dray_diff_file f = { .path = (const char *)t->path.data, .what = c->what };

	if (c->a) {
		if (fill(&t->a, c->a, f.path, err) < 0)
			return -1;
		f.a = &t->a.file;
	}
	if (c->b) {
		if (fill(&t->b, c->b, f.path, err) < 0)
			return -1;
		f.b = &t->b.file;
	}
	return t->fn(t->arg, &f);
}

static int walk(struct telling *t, dray_error **err)
{
	cleanup_tree_compare struct tree_compare c;
	struct tree_change change;
	bool ignored;
	int rc;

	tree_compare_init(&c, t->d->tree_a, t->d->tree_b, !t->d->semantic);
	while ((rc = tree_compare_next(&c, &change, err)) > 0) {
		if (node_path(change.a ? change.a : change.b, &t->path, err) < 0 ||
		    is_ignored(t, &ignored, err) < 0 || cancel_check(err) < 0)
			return -1;
		t->d->databases_differ |= is_database((const char *)t->path.data);
		if (ignored || !(t->d->parts & DRAY_DIFF_FILES))
			continue;
		if (!t->fn)
			count(&t->d->counts, &change);
		else if ((rc = tell(t, &change, err)) != 0)
			return rc;
	}
	return rc;
}

static int run(struct dray_diff *d, dray_diff_file_fn *fn, void *arg, dray_error **err)
{
	struct telling t = { .d = d, .fn = fn, .arg = arg };
	int rc;

	t.path = t.head = BUF_INIT(2 * LIMIT_PATH);
	rc = walk(&t, err);
	teller_clear(&t.a);
	teller_clear(&t.b);
	buf_clear(&t.path);
	buf_clear(&t.head);
	return rc;
}

int dray_diff_files(dray_diff *d, dray_diff_file_fn *fn, void *arg, dray_error **err)
{
	return d->tree_a ? run(d, fn, arg, err) : 0;
}

static bool is_far(const struct stack *s)
{
	return s->report->store->kind == STORE_REGISTRY;
}

/* What both have is read where it is nearer. */
static int read_layers(struct dray_diff *d, dray_error **err)
{
	bool b_first = is_far(d->a) && !is_far(d->b);
	struct stack *first = b_first ? d->b : d->a, *second = b_first ? d->a : d->b;

	if (stack_load_all(first, err) < 0 || stack_share(second, first, err) < 0)
		return -1;
	return stack_load_all(second, err);
}

int diff_files(struct dray_diff *d, dray_error **err)
{
	if (diff_same_layers(d))
		return 0;
	if (read_layers(d, err) < 0 || stack_tree(d->a, d->a->n, &d->tree_a, err) < 0 ||
	    stack_tree(d->b, d->b->n, &d->tree_b, err) < 0)
		return -1;
	return run(d, NULL, NULL, err);
}
