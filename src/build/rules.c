/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules of a spec on the merged tree.
 * Relies on build/match for globs, build/policy for what owners and times mean.
 * Promises that a rule acts where the file lives: nothing is stored twice for its sake.
 */
#include "build/rules.h"

#include "base/limits.h"
#include "base/text.h"
#include "build/policy.h"
#include "build/spec_priv.h"

int rules_init(struct rules *r, const struct spec *s, dray_error **err)
{
	*r = (struct rules){ .spec = s, .text = BUF_INIT(2 * LIMIT_PATH) };
	r->list = arena_array(&r->arena, s->n_rules + 1, sizeof(*r->list));
	if (!r->list)
		return err_nomem(err);
	for (size_t i = 0; i < s->n_rules; i++)
		if (match_parse(&r->arena, s->rules[i].match, &r->list[i], err) < 0)
			return err_ctx(err, "rule %zu", i + 1);
	return 0;
}

void rules_clear(struct rules *r)
{
	match_path_clear(&r->path);
	buf_clear(&r->text);
	arena_clear(&r->arena);
}

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
	return rule->mode || rule->owner.set || rule->mtime.kind != SPEC_TIME_UNSET;
}

static int look_at(struct rules *r, const struct node *n, dray_error **err)
{
	if (node_path(n, &r->text, err) < 0)
		return -1;
	return match_path_set(&r->path, (const char *)r->text.data, err);
}

static bool fits(const struct rules *r, size_t i, const struct node *n)
{
	return rule_is_for(&r->spec->rules[i], node_type(n)) &&
	       match_fits(&r->list[i], &r->path, node_is_dir(n));
}

int rules_concern(struct rules *r, const struct node *n, dray_error **err)
{
	if (look_at(r, n, err) < 0)
		return -1;
	for (size_t i = 0; i < r->spec->n_rules; i++)
		if (changes(&r->spec->rules[i]) && fits(r, i, n))
			return 1;
	return 0;
}

static int change(struct rules *r, const struct spec_rule *rule, struct node *n, dray_error **err)
{
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
	n->inode->attrs = e;
	return 0;
}

static int refuse(struct rules *r, size_t i, dray_error **err)
{
	cleanup_free char *shown = text_safe(span_buf(&r->text), 4096);

	return err_set(err, DRAY_ERR_USAGE, "rule %zu: /%s is of the base, which stays as it is",
		       i + 1, shown ? shown : "");
}

/* What a source puts in the place of the base's is no less the base's when it goes. */
static bool is_of_base(const struct rules *r, const struct node *n, uint32_t n_base)
{
	return n->layer < n_base || (r->lower && tree_find(r->lower, (const char *)r->text.data));
}

/* 1 = the name is gone. */
static int apply_all(struct rules *r, struct node *n, uint32_t n_base, dray_error **err)
{
	bool is_new = n->layer >= n_base;

	if (look_at(r, n, err) < 0)
		return -1;
	for (size_t i = 0; i < r->spec->n_rules; i++) {
		const struct spec_rule *rule = &r->spec->rules[i];

		if (!fits(r, i, n))
			continue;
		if (rule->remove == SPEC_YES) {
			if (is_of_base(r, n, n_base))
				return refuse(r, i, err);
			tree_remove(n);
			return 1;
		}
		if (is_new && changes(rule) && change(r, rule, n, err) < 0)
			return err_ctx(err, "rule %zu", i + 1);
	}
	return 0;
}

int rules_apply(struct rules *r, struct tree *t, uint32_t n_base, dray_error **err)
{
	struct node *next;

	if (r->spec->n_rules == 0)
		return 0;
	for (struct node *n = tree_next(tree_root(t)); n; n = next) {
		int rc = apply_all(r, n, n_base, err);

		if (rc < 0)
			return -1;
		next = rc > 0 ? tree_skip(n) : tree_next(n);
	}
	tree_finish(t);
	return 0;
}
