/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules of a cut: globs over paths, and which rule each file of a tree falls under.
 * Relies on layer/pattern for what fits.
 * Promises the same answer for every order of the names, and no recursion.
 */
#include "layer/cut_priv.h"

#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"

#define CUT_UNSEEN (UINT32_MAX - 1) /* inode.mark: none of its names was met */

void cut_rules_clear(struct cut_rules *r)
{
	for (size_t i = 0; i < r->n; i++)
		mem_free(r->list[i].patterns);
	mem_free(r->list);
	arena_clear(&r->arena);
	*r = (struct cut_rules){ 0 };
}

/* ---- from text ---- */

static int add_pattern(struct arena *a, struct cut_rule *r, const char *glob, dray_error **err)
{
	struct path_pattern p;

	if (r->n >= LIMIT_CUT_PATTERNS)
		return err_set(err, DRAY_ERR_USAGE, "more than %d globs (LIMIT_CUT_PATTERNS)",
			       LIMIT_CUT_PATTERNS);
	if (path_pattern_parse(a, glob, &p, err) < 0)
		return -1;
	if (mem_grow(&r->patterns, r->n, &r->cap, sizeof(p)) < 0)
		return err_nomem(err);
	r->patterns[r->n++] = p;
	return 0;
}

/* The first byte of @p set that no '\' stands before, or the end. */
static const char *find_plain(const char *s, const char *set)
{
	for (; *s; s++) {
		if (strchr(set, *s))
			return s;
		if (*s == '\\' && s[1])
			s++;
	}
	return s;
}

struct globs {
	char **list;
	size_t n, cap;
};

static void globs_clear(struct globs *g)
{
	mem_free(g->list);
}

static int push_glob(struct globs *g, char *text, dray_error **err)
{
	if (!text || mem_grow(&g->list, g->n, &g->cap, sizeof(*g->list)) < 0)
		return err_nomem(err);
	g->list[g->n++] = text;
	return 0;
}

/* Each alternative of the braces at @p open takes their place. */
static int push_alternatives(struct arena *a, struct globs *g, const char *glob, const char *open,
			     dray_error **err)
{
	const char *close = find_plain(open + 1, "{}");
	const char *at = open + 1;

	if (*close != '}')
		return err_set(err, DRAY_ERR_USAGE,
			       *close ? "braces inside braces" : "a '{' without its '}'");
	for (; at <= close; at++) {
		const char *end = find_plain(at, ",}");

		if (push_glob(g,
			      arena_printf(a, "%.*s%.*s%s", (int)(open - glob), glob,
					   (int)(end - at), at, close + 1),
			      err) < 0)
			return -1;
		at = end;
	}
	return 0;
}

static int expand(struct arena *a, struct cut_rule *r, struct globs *g, dray_error **err)
{
	while (g->n > 0) {
		char *glob = g->list[--g->n];
		const char *open = find_plain(glob, "{");

		if (g->n + r->n > LIMIT_CUT_PATTERNS)
			return err_set(err, DRAY_ERR_USAGE,
				       "more than %d globs (LIMIT_CUT_PATTERNS)",
				       LIMIT_CUT_PATTERNS);
		if ((*open ? push_alternatives(a, g, glob, open, err)
			   : add_pattern(a, r, glob, err)) < 0)
			return -1;
	}
	return 0;
}

/* The comma or NUL that ends the glob at @p s: commas in braces divide what is in them. */
static const char *glob_end(const char *s)
{
	const char *end = find_plain(s, ",{");

	while (*end == '{') {
		end = find_plain(end, "}");
		end = find_plain(end, ",{");
	}
	return end;
}

static int parse(struct arena *a, struct cut_rule *r, const char *text, dray_error **err)
{
	struct globs g CLEANUP(globs_clear) = { 0 };

	for (;; text++) {
		const char *end = glob_end(text);

		if (push_glob(&g, arena_strndup(a, text, (size_t)(end - text)), err) < 0 ||
		    expand(a, r, &g, err) < 0)
			return -1;
		text = end;
		if (!*text)
			return 0;
	}
}

int cut_rules_add(struct cut_rules *r, const char *text, dray_error **err)
{
	if (mem_grow(&r->list, r->n, &r->cap, sizeof(*r->list)) < 0)
		return err_nomem(err);
	r->list[r->n] = (struct cut_rule){ 0 };
	return parse(&r->arena, &r->list[r->n++], text, err);
}

/* ---- matching ---- */

/* The names on the way to a node, and the rule that the folders among them fall under. */
struct level {
	const struct node *node;
	uint32_t rule;
};

struct way {
	struct level *levels;
	const char **names; /* of the levels */
	size_t n, cap, cap_names;
};

static void way_clear(struct way *w)
{
	mem_free(w->levels);
	mem_free(w->names);
}
#define cleanup_way CLEANUP(way_clear)

static bool rule_fits(const struct cut_rule *r, const struct way *w)
{
	for (size_t i = 0; i < r->n; i++)
		if (path_pattern_fits(&r->patterns[i], w->names, w->n))
			return true;
	return false;
}

/* The first rule that fits the way, or that of the folder it is in. */
static uint32_t rule_of(const struct cut_rules *r, const struct way *w)
{
	uint32_t above = w->n > 1 ? w->levels[w->n - 2].rule : CUT_REST;

	for (uint32_t i = 0; i < r->n && i < above; i++)
		if (rule_fits(&r->list[i], w))
			return i;
	return above;
}

static int step(struct way *w, const struct node *n, const struct cut_rules *r, dray_error **err)
{
	struct level *at;

	while (w->n > 0 && w->levels[w->n - 1].node != n->parent)
		w->n--;
	if (mem_grow(&w->levels, w->n, &w->cap, sizeof(*w->levels)) < 0 ||
	    mem_grow(&w->names, w->n, &w->cap_names, sizeof(*w->names)) < 0)
		return err_nomem(err);
	w->names[w->n] = n->name;
	at = &w->levels[w->n++];
	at->node = n;
	at->rule = rule_of(r, w);
	return 0;
}

int cut_mark(const struct tree *t, const struct cut_rules *r, size_t *ret_torn, dray_error **err)
{
	cleanup_way struct way w = { 0 };
	const struct node *root = tree_root(t);

	*ret_torn = 0;
	for (const struct node *n = root; n; n = tree_next(n))
		n->inode->mark = CUT_UNSEEN;
	root->inode->mark = CUT_REST;
	for (const struct node *n = tree_next(root); n; n = tree_next(n)) {
		struct inode *i = n->inode;
		uint32_t rule;

		if (step(&w, n, r, err) < 0)
			return -1;
		rule = w.levels[w.n - 1].rule;
		if (i->mark != CUT_UNSEEN && i->mark != rule)
			++*ret_torn;
		if (i->mark == CUT_UNSEEN || rule < i->mark)
			i->mark = rule;
	}
	return 0;
}
