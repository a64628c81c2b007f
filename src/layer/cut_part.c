/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of a cut: what belongs together, by owner, folder or size.
 * Relies on marks by cut_mark().
 * Promises parts in the order in which a tree names them, whatever the hash.
 */
#include "layer/cut_priv.h"

#include "base/limits.h"
#include "base/mem.h"

#define BIG MIB /* a folder of nobody's, or a file, that may be a part of its own */

void cut_parts_clear(struct cut_parts *p)
{
	map_clear(&p->by_name);
	mem_free(p->list);
	arena_clear(&p->arena);
	*p = (struct cut_parts){ 0 };
}

/* ---- records that belong to a part ---- */

bool is_leaf(const struct record *r, const struct record *next)
{
	return r->kind == RECORD_NODE &&
	       (!node_is_dir(r->node) || !next->node || next->node->parent != r->node);
}

bool leaves_next(struct leaves *w, const struct node **ret)
{
	struct record r;

	if (!w->begun) {
		struct record first = { 0 };

		w->begun = true;
		if (!w->list->next(w->list, &first, &w->ahead))
			w->ahead.node = NULL;
	}
	do {
		r = w->ahead;
		if (!r.node)
			return false;
		if (!w->list->next(w->list, &r, &w->ahead))
			w->ahead.node = NULL;
	} while (!is_leaf(&r, &w->ahead));
	*ret = r.node;
	return true;
}

int64_t leaf_bytes(const struct node *n)
{
	const struct layer_entry *data = n->inode->data;
	int64_t size = data ? data->size + (int64_t)tar_padding(data->size) : 0;

	return TAR_BLOCK + (n->inode->n_names > 1 ? size / n->inode->n_names : size);
}

/* ---- parts ---- */

int cut_part_add(struct cut_parts *p, const char *name, enum cut_kind kind, uint32_t *ret,
		 dray_error **err)
{
	const char *copy = arena_strdup(&p->arena, name);

	if (!copy || mem_grow(&p->list, p->n, &p->cap, sizeof(*p->list)) < 0)
		return err_nomem(err);
	*ret = (uint32_t)p->n;
	p->list[p->n++] = (struct cut_part){ .name = copy, .kind = kind };
	return 0;
}

int cut_parts_rules(struct cut_parts *p, const char *const *names, size_t n, dray_error **err)
{
	uint32_t index;

	for (size_t i = 0; i < n; i++)
		if (cut_part_add(p, names[i], CUT_RULE, &index, err) < 0)
			return -1;
	p->n_rules = n;
	return 0;
}

int cut_part_get(struct cut_parts *p, const char *name, enum cut_kind kind, uint32_t *ret,
		 dray_error **err)
{
	const struct map_slot *s = map_find(&p->by_name, span_str(name));

	if (s) {
		*ret = (uint32_t)(uintptr_t)s->value;
		return 0;
	}
	if (cut_part_add(p, name, kind, ret, err) < 0)
		return -1;
	return map_put(&p->by_name, span_str(p->list[*ret].name), (void *)(uintptr_t)*ret, err);
}

int cut_part_path(struct cut_parts *p, struct buf *path, size_t len, uint32_t *ret,
		  dray_error **err)
{
	if (buf_reserve(path, 2, err) < 0)
		return -1;
	memmove(path->data + 1, path->data, len);
	path->data[0] = '/';
	path->data[len + 1] = '\0';
	return cut_part_get(p, (const char *)path->data, CUT_UNIT, ret, err);
}

void cut_tally(struct cut_parts *p, const struct record_list *l)
{
	struct leaves w = { .list = l };
	const struct node *n;

	for (size_t i = 0; i < p->n; i++) {
		p->list[i].entries = 0;
		p->list[i].bytes = 0;
		p->list[i].newest = INT64_MIN;
	}
	while (leaves_next(&w, &n)) {
		const struct layer_entry *a = n->inode->attrs;
		struct cut_part *part;

		if (n->inode->mark == CUT_REST)
			continue;
		part = &p->list[n->inode->mark];
		part->entries++;
		part->bytes += leaf_bytes(n);
		/* Folders have the time of the last change in them, be it of another part. */
		if (!node_is_dir(n) && a && a->mtime > part->newest)
			part->newest = a->mtime;
	}
}

/* ---- the rest in parts ---- */

/* How the rest is named. */
struct naming {
	struct cut_parts *parts;
	cut_owner_fn *owner; /* may be NULL */
	void *arg;
	int64_t share; /* bytes of a file that is a part alone */
	struct buf path;
};

/* Length of the folder that @p path belongs to: at the top, below some the second. */
static size_t folder_len(const char *path)
{
	static const char *const divided[] = { "usr/", "opt/", "srv/", "home/" };
	const char *slash = strchr(path, '/');

	if (!slash)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(divided); i++) {
		const char *second;

		if (strncmp(path, divided[i], strlen(divided[i])) != 0)
			continue;
		second = strchr(slash + 1, '/');
		return (size_t)((second ? second : slash) - path);
	}
	return (size_t)(slash - path);
}

static int find_part(struct naming *nm, const struct node *n, uint32_t *ret, dray_error **err)
{
	const char *path, *owner;

	if (node_path(n, &nm->path, err) < 0)
		return -1;
	path = (const char *)nm->path.data;
	owner = nm->owner ? nm->owner(nm->arg, path) : NULL;
	if (owner)
		return cut_part_get(nm->parts, owner, CUT_UNIT, ret, err);
	return cut_part_path(nm->parts, &nm->path,
			     leaf_bytes(n) > nm->share ? nm->path.len : folder_len(path), ret, err);
}

static int name_rest(struct naming *nm, const struct record_list *l, dray_error **err)
{
	struct leaves w = { .list = l };
	const struct node *n;

	/* The first name of a file decides for all. */
	while (leaves_next(&w, &n))
		if (n->inode->mark == CUT_REST && find_part(nm, n, &n->inode->mark, err) < 0)
			return -1;
	return 0;
}

static int part_names(struct naming *nm, const struct record_list *l, dray_error **err)
{
	int rc;

	nm->path = BUF_INIT(2 * LIMIT_PATH);
	rc = name_rest(nm, l, err);
	buf_clear(&nm->path);
	return rc;
}

static const char *whole_owner(void *arg, const char *path)
{
	(void)path;
	return arg;
}

int cut_rest_whole(struct cut_parts *p, const struct record_list *l, dray_error **err)
{
	static char rest[] = "rest";
	struct naming nm = { .parts = p, .owner = whole_owner, .arg = rest, .share = INT64_MAX };

	return part_names(&nm, l, err);
}

int cut_rest_by_folder(struct cut_parts *p, const struct record_list *l, int64_t share,
		       dray_error **err)
{
	struct naming nm = { .parts = p, .share = share > BIG ? share : BIG };

	return part_names(&nm, l, err);
}

/* What nobody owns was made or brought by the image's author, unless there is much of it. */
static void mark_volatile(struct cut_parts *p, const struct record_list *l)
{
	cut_tally(p, l);
	for (size_t i = p->n_rules; i < p->n; i++)
		if (p->list[i].name[0] == '/' && p->list[i].bytes < BIG)
			p->list[i].kind = CUT_VOLATILE;
}

int cut_rest_by_owner(struct cut_parts *p, const struct record_list *l, cut_owner_fn *owner,
		      void *arg, dray_error **err)
{
	struct naming nm = { .parts = p, .owner = owner, .arg = arg, .share = INT64_MAX };

	if (part_names(&nm, l, err) < 0)
		return -1;
	mark_volatile(p, l);
	return 0;
}
