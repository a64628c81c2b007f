/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns for paths, held against entries and trees.
 * Relies on layer/pattern for what fits.
 * Promises that every pattern that fits is counted.
 */
#include "layer/prune.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "layer/pattern.h"

#define NAME_SHOWN_MAX 300 /* bytes of a name that an error shows */

struct prune_pattern {
	const char *text; /* as it was given */
	struct path_pattern path;
	bool used;
};

void prune_set_clear(struct prune_set *s)
{
	mem_free(s->list);
	mem_free(s->parts);
	buf_clear(&s->path);
	arena_clear(&s->arena);
	*s = (struct prune_set){ 0 };
}

/* The next part of a path, cut out of it; NULL at its end. */
static char *next_part(char **at)
{
	char *part = *at + strspn(*at, "/");
	size_t len = strcspn(part, "/");

	*at = part + len + (part[len] == '/');
	part[len] = 0;
	return len > 0 ? part : NULL;
}

/* ---- from text ---- */

int prune_set_add(struct prune_set *s, const char *text, dray_error **err)
{
	struct prune_pattern p = { .text = arena_strdup(&s->arena, text) };

	s->path.max = LIMIT_PATH + 1;
	if (!p.text || mem_grow(&s->list, s->n, &s->cap, sizeof(p)) < 0)
		return err_nomem(err);
	if (path_pattern_parse(&s->arena, text, &p.path, err) < 0)
		return -1;
	s->list[s->n++] = p;
	return 0;
}

const char *prune_unused(const struct prune_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!s->list[i].used)
			return s->list[i].text;
	return NULL;
}

/* ---- matching ---- */

static int split_path(struct prune_set *s, const char *path, size_t *ret_n, dray_error **err)
{
	char *text;

	*ret_n = 0;
	buf_reset(&s->path);
	if (buf_add(&s->path, span_of(path, strlen(path) + 1), err) < 0)
		return -1;
	text = (char *)s->path.data;
	for (char *part; (part = next_part(&text));) {
		if (mem_grow(&s->parts, *ret_n, &s->cap_parts, sizeof(*s->parts)) < 0)
			return err_nomem(err);
		s->parts[(*ret_n)++] = part;
	}
	return 0;
}

int prune_holds(struct prune_set *s, const char *path, dray_error **err)
{
	int held = 0;
	size_t n;

	if (split_path(s, path, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		if (!path_pattern_holds(&s->list[i].path, s->parts, n))
			continue;
		s->list[i].used = true;
		held = 1;
	}
	return held;
}

/* ---- layers ---- */

/* An opaque whiteout is a name of its folder: it goes with what the folder is in. */
static int concerns_entry(struct prune_set *s, const struct layer_entry *e, struct buf *path,
			  dray_error **err)
{
	const char *name = NULL;
	enum whiteout kind = whiteout_of(e->path, &name);
	int held;

	if (kind == WHITEOUT_AUFS)
		return 0;
	if (kind == WHITEOUT_NAME)
		return whiteout_target(e->path, name, path, err) < 0
			       ? -1
			       : prune_holds(s, (const char *)path->data, err);
	held = prune_holds(s, e->path, err);
	if (held == 0 && e->type == TAR_HARDLINK)
		held = prune_holds(s, e->link, err);
	return held;
}

int prune_concerns(struct prune_set *s, const struct layer_index *ix, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(LIMIT_PATH + 1);
	int any = 0;

	for (size_t i = 0; i < ix->n; i++) {
		int held = concerns_entry(s, &ix->list[i], &path, err);

		if (held < 0)
			return -1;
		any = any || held;
	}
	return any;
}

/* ---- trees ---- */

/* prune_holds() of the path of @p n, which is made in @p room. */
static int holds_node(struct prune_set *s, const struct node *n, struct buf *room, dray_error **err)
{
	return node_path(n, room, err) < 0 ? -1 : prune_holds(s, (const char *)room->data, err);
}

int prune_tree(struct prune_set *s, struct tree *t, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);
	struct node *n = tree_next(tree_root(t));

	while (n) {
		int held = holds_node(s, n, &path, err);

		if (held < 0)
			return -1;
		if (held)
			tree_remove(n);
		n = held ? tree_skip(n) : tree_next(n);
	}
	tree_finish(t);
	return 0;
}

/* ---- what fits, by its last name ---- */

struct picked {
	struct node **list;
	size_t n, cap;
};

static int pick(struct prune_set *s, struct tree *t, struct picked *p, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);
	struct node *n = tree_next(tree_root(t));

	while (n) {
		int held = holds_node(s, n, &path, err);

		if (held < 0)
			return -1;
		if (held && mem_grow(&p->list, p->n, &p->cap, sizeof(struct node *)) < 0)
			return err_nomem(err);
		if (held)
			p->list[p->n++] = n;
		n = held ? tree_skip(n) : tree_next(n);
	}
	return 0;
}

static int check_names(const struct tree *t, dray_error **err)
{
	cleanup_free char *shown = NULL;

	for (const struct node *n = tree_root(t)->child; n && n->next; n = n->next) {
		if (strcmp(n->name, n->next->name) != 0)
			continue;
		shown = text_safe(span_str(n->name), NAME_SHOWN_MAX);
		return err_set(err, DRAY_ERR_USAGE, "%s: several that fit have this name",
			       shown ? shown : "?");
	}
	return 0;
}

int64_t prune_pick(struct prune_set *s, struct tree *t, dray_error **err)
{
	struct node *root = tree_root(t);
	struct picked p = { 0 };
	int rc = pick(s, t, &p, err);

	if (rc == 0) {
		root->child = NULL;
		root->inode->data = root->inode->attrs = NULL;
		for (size_t i = 0; i < p.n; i++) {
			p.list[i]->parent = root;
			p.list[i]->next = root->child;
			root->child = p.list[i];
		}
		tree_finish(t);
		rc = check_names(t, err);
	}
	mem_free(p.list);
	return rc < 0 ? -1 : (int64_t)p.n;
}
