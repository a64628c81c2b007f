/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules of a spec on the merged tree.
 * Relies on rules_read.c for what they say, build/policy for what owners and times mean.
 * Promises that a rule acts where the file lives: nothing is stored twice for its sake.
 */
#include "build/rules.h"

#include "base/limits.h"
#include "base/text.h"
#include "build/policy.h"
#include "build/spec_priv.h"

bool rule_is_for(const struct spec_rule *rule, enum tar_type t)
{
	switch (rule->types ? rule->types[0] : '*') {
	case 'f':
		return t == TAR_FILE || t == TAR_SPARSE;
	case 'd':
		return t == TAR_DIR;
	case 'l':
		return t == TAR_SYMLINK;
	default:
		return true;
	}
}

static bool changes(const struct spec_rule *rule)
{
	return rule->mode || rule->owner.set || rule->mtime.kind != SPEC_TIME_UNSET ||
	       rule->xattr.n > 0;
}

static int look_at(struct rules *r, const struct node *n, dray_error **err)
{
	if (node_path(n, &r->text, err) < 0)
		return -1;
	return match_path_set(&r->path, (const char *)r->text.data, err);
}

static int fits(struct rules *r, size_t i, const struct node *n, dray_error **err)
{
	return rules_fit(r, i, &r->path, (const char *)r->text.data, node_type(n), err);
}

static bool is_for_base(const struct spec_rule *rule)
{
	return rule->of_base == SPEC_YES;
}

/* Does one of those rules that @p is_asked fit the name? 1, 0, -1. */
static int any_fits(struct rules *r, bool (*is_asked)(const struct spec_rule *rule),
		    const struct node *n, dray_error **err)
{
	if (look_at(r, n, err) < 0)
		return -1;
	for (size_t i = 0; i < r->spec->n_rules; i++) {
		int rc = is_asked(&r->spec->rules[i]) ? fits(r, i, n, err) : 0;

		if (rc != 0)
			return rc;
	}
	return 0;
}

int rules_concern(struct rules *r, const struct node *n, dray_error **err)
{
	return any_fits(r, changes, n, err);
}

/* ---- what a rule changes ---- */

static const struct tar_xattr *find_xattr(const struct layer_xattrs *x, struct span name)
{
	for (size_t i = 0; x && i < x->n; i++)
		if (span_eq(x->list[i].name, name))
			return &x->list[i];
	return NULL;
}

/* Those of the rule in place of the same ones; what has no value goes. */
static int change_xattrs(struct rules *r, const struct layer_xattrs *rule, struct layer_entry *e,
			 dray_error **err)
{
	size_t max = rule->n + (e->xattrs ? e->xattrs->n : 0);
	struct layer_xattrs *x = arena_alloc(&r->arena, sizeof(*x) + max * sizeof(x->list[0]));

	if (!x)
		return err_nomem(err);
	for (size_t i = 0; e->xattrs && i < e->xattrs->n; i++)
		if (!find_xattr(rule, e->xattrs->list[i].name))
			x->list[x->n++] = e->xattrs->list[i];
	for (size_t i = 0; i < rule->n; i++)
		if (rule->list[i].value.data)
			x->list[x->n++] = rule->list[i];
	e->xattrs = x->n ? x : NULL;
	return 0;
}

static int change(struct rules *r, size_t i, struct node *n, dray_error **err)
{
	const struct spec_rule *rule = &r->spec->rules[i];
	struct layer_entry *e = arena_alloc(&r->arena, sizeof(*e));
	uint32_t mode;

	if (!e)
		return err_nomem(err);
	*e = *node_attributes(n);
	if (!n->inode->attrs) {
		e->path = "";
		e->mtime = r->folder_mtime;
	}
	if (!e->uname)
		e->uname = e->gname = "";
	if (rule->mode && node_type(n) != TAR_SYMLINK && spec_mode_text(rule->mode, &mode))
		e->mode = mode;
	if (rule->owner.set &&
	    owner_of(&rule->owner, &e->uid, &e->gid, &e->uname, &e->gname, err) < 0)
		return -1;
	if (rule->mtime.kind != SPEC_TIME_UNSET)
		mtime_apply(&rule->mtime, e);
	if (r->list[i].xattrs && node_type(n) != TAR_SYMLINK &&
	    change_xattrs(r, r->list[i].xattrs, e, err) < 0)
		return -1;
	n->inode->attrs = e;
	return 0;
}

static int refuse(struct rules *r, size_t i, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_buf(&r->text), 4096);

	err_set(err, DRAY_ERR_USAGE, "rule %zu: /%s is of the base, which stays as it is", i + 1,
		shown ? shown : "");
	spec_ctx(r->spec, r->spec->rules[i].at, err);
	return err_hint(err, "\"base\": true in a rule deletes what the base has");
}

/* Did a rule delete it, or a folder above, of the base? */
static bool is_gone(const struct rules *r)
{
	const char *path = (const char *)r->text.data;

	for (size_t len = strcspn(path, "/");; len += 1 + strcspn(path + len + 1, "/")) {
		if (map_get(&r->gone, span_of(path, len)))
			return true;
		if (!path[len])
			return false;
	}
}

/* What a source puts in the place of the base's is no less the base's when it goes. */
static bool is_of_base(const struct rules *r, const struct node *n, uint32_t n_base)
{
	return n->layer < n_base ||
	       (r->lower && !is_gone(r) && tree_find(r->lower, (const char *)r->text.data));
}

/* Names of one file are met in the order of paths, but rules count in theirs: these wait. */
struct linked {
	struct node *n; /* one of its names */
	uint8_t fits[]; /* a bit for each rule that fits one of them */
};
struct pass {
	struct rules *r;
	uint32_t n_base;
	size_t *fitting; /* rules that change the name at hand, in their order */
	size_t n;
	struct map linked; /* address of an inode with several names -> struct linked */
};

static int change_by(struct rules *r, size_t i, struct node *n, dray_error **err)
{
	if (change(r, i, n, err) == 0)
		return 0;
	err_ctx(err, "rule %zu", i + 1);
	return spec_ctx(r->spec, r->spec->rules[i].at, err);
}

/* Which rules change the name. *ret_gone: the one that deletes it, from 1 on; 0 = it stays. */
static int look_up(struct pass *p, const struct node *n, size_t *ret_gone, dray_error **err)
{
	struct rules *r = p->r;

	p->n = *ret_gone = 0;
	if (look_at(r, n, err) < 0)
		return -1;
	for (size_t i = 0; i < r->spec->n_rules; i++) {
		const struct spec_rule *rule = &r->spec->rules[i];
		int rc = is_for_base(rule) ? 0 : fits(r, i, n, err);

		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		if (rule->remove != SPEC_UNSET)
			*ret_gone = rule->remove == SPEC_YES ? i + 1 : 0;
		if (changes(rule))
			p->fitting[p->n++] = i;
	}
	return 0;
}

static int put_off(struct pass *p, struct node *n, dray_error **err)
{
	struct span key = span_of(&n->inode, sizeof(n->inode));
	struct linked *l = map_get(&p->linked, key);

	if (!l) {
		l = arena_alloc(&p->r->arena, sizeof(*l) + p->r->spec->n_rules / 8 + 1);
		if (!l)
			return err_nomem(err);
		l->n = n;
		if (map_put(&p->linked, key, l, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < p->n; i++)
		l->fits[p->fitting[i] / 8] |= (uint8_t)(1u << (p->fitting[i] % 8));
	return 0;
}

/* 1 = the name is gone. */
static int apply_all(struct pass *p, struct node *n, dray_error **err)
{
	size_t gone;

	if (look_up(p, n, &gone, err) < 0)
		return -1;
	if (gone) {
		if (is_of_base(p->r, n, p->n_base))
			return refuse(p->r, gone - 1, err);
		tree_remove(n);
		return 1;
	}
	if (n->layer < p->n_base || p->n == 0)
		return 0;
	if (n->inode->n_names > 1)
		return put_off(p, n, err);
	for (size_t i = 0; i < p->n; i++)
		if (change_by(p->r, p->fitting[i], n, err) < 0)
			return -1;
	return 0;
}

static int apply_linked(const struct pass *p, dray_error **err)
{
	for (size_t k = 0; k < p->linked.len; k++) {
		const struct linked *l = p->linked.slots[k].value;

		for (size_t i = 0; i < p->r->spec->n_rules; i++)
			if ((l->fits[i / 8] & (1u << (i % 8))) != 0 &&
			    change_by(p->r, i, l->n, err) < 0)
				return -1;
	}
	return 0;
}

static int apply_tree(struct pass *p, struct tree *t, dray_error **err)
{
	struct node *next;

	for (struct node *n = tree_next(tree_root(t)); n; n = next) {
		int rc = apply_all(p, n, err);

		if (rc < 0)
			return -1;
		next = rc > 0 ? tree_skip(n) : tree_next(n);
	}
	return apply_linked(p, err);
}

int rules_apply(struct rules *r, struct tree *t, uint32_t n_base, dray_error **err)
{
	struct pass p = { .r = r, .n_base = n_base };
	int rc;

	if (r->spec->n_rules == 0)
		return 0;
	p.fitting = arena_array(&r->arena, r->spec->n_rules, sizeof(*p.fitting));
	if (!p.fitting)
		return err_nomem(err);
	rc = apply_tree(&p, t, err);
	map_clear(&p.linked);
	if (rc == 0)
		tree_finish(t);
	return rc;
}

/* ---- what the base has ---- */

static bool any_for_base(const struct spec *s)
{
	for (size_t i = 0; i < s->n_rules; i++)
		if (is_for_base(&s->rules[i]))
			return true;
	return false;
}

static int remove_base(struct rules *r, struct node *n, dray_error **err)
{
	const char *path = arena_strdup(&r->arena, (const char *)r->text.data);

	if (!path)
		return err_nomem(err);
	tree_remove(n);
	return map_put(&r->gone, span_str(path), r, err);
}

int rules_delete_base(struct rules *r, struct tree *t, dray_error **err)
{
	struct node *next;

	if (!any_for_base(r->spec))
		return 0;
	for (struct node *n = tree_next(tree_root(t)); n; n = next) {
		int rc = any_fits(r, is_for_base, n, err);

		if (rc < 0)
			return -1;
		next = rc > 0 ? tree_skip(n) : tree_next(n);
		if (rc > 0 && remove_base(r, n, err) < 0)
			return -1;
	}
	tree_finish(t);
	return 0;
}
