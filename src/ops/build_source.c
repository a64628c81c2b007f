/* SPDX-License-Identifier: Apache-2.0
 *
 * The sources of a build, each made entries and put into the tree.
 * Relies on build/walk for folders, on build_tar.c for tars, on build/merge for the tree.
 * Promises that a source which is not what it should be is named in the error.
 */
#include "ops/build.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "build/accounts.h"
#include "build/walk.h"

int build_keep_index(struct build *b, struct layer_index *ix, dray_error **err)
{
	if (mem_grow(&b->indexes, b->n_indexes, &b->cap_indexes, sizeof(*b->indexes)) < 0) {
		layer_index_free(ix);
		return err_nomem(err);
	}
	b->indexes[b->n_indexes++] = ix;
	return 0;
}

/* ---- paths ---- */

int build_clean(struct build *b, const char *what, const char *path, const char **ret,
		dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_PATH);

	if (tar_name_quirks(span_str(path)) & TAR_NAME_DOTDOT)
		return err_set(err, DRAY_ERR_USAGE, "\"%s\": \"..\" leads nowhere in an image",
			       what);
	if (tar_name_clean(span_str(path), &text, err) < 0)
		return -1;
	*ret = text.len ? arena_strndup(&b->arena, (const char *)text.data, text.len) : "";
	if (!*ret)
		return err_nomem(err);
	if (whiteout_within(*ret))
		return err_set(err, DRAY_ERR_USAGE,
			       "\"%s\": a name that begins with \".wh.\" would remove files", what);
	return 0;
}

/* One that is not the root. */
static int clean_name(struct build *b, const char *path, const char **ret, dray_error **err)
{
	if (build_clean(b, "path", path, ret, err) < 0)
		return -1;
	return (*ret)[0] ? 0 : err_set(err, DRAY_ERR_USAGE, "\"path\": it is the root");
}

/* ---- folders ---- */

struct pool *build_lookers(struct build *b)
{
	return b->ctx->threads > 1 ? context_pool(b->ctx, NULL) : NULL;
}

int build_walk_of(struct build *b, const struct spec_source *s, const struct policy *p,
		  struct walk *ret, dray_error **err)
{
	*ret = (struct walk){ .in = &b->in, .root = s->from, .xattrs = &s->xattrs, .policy = p };
	ret->pool = build_lookers(b);
	if (build_clean(b, "to", s->to ? s->to : "/", &ret->to, err) < 0 ||
	    match_parse_all(&b->arena, s->include.list, s->include.n, &ret->include, err) < 0)
		return -1;
	return match_parse_all(&b->arena, s->exclude.list, s->exclude.n, &ret->exclude, err);
}

static int take_dir(struct build *b, const struct spec_source *s, const struct policy *p,
		    struct layer_index *ret, dray_error **err)
{
	struct walk w;

	return build_walk_of(b, s, p, &w, err) < 0 ? -1 : walk_dir(&w, ret, err);
}

/* What is no folder becomes a link to its own absolute path. */
static int link_to_itself(struct build *b, const struct walk *w, struct layer_entry *e,
			  dray_error **err)
{
	size_t skip = w->to[0] ? strlen(w->to) + 1 : 0;

	if (e->type == TAR_DIR)
		return 0;
	e->type = TAR_SYMLINK;
	e->mode = 0777;
	e->size = 0;
	e->xattrs = NULL;
	e->link = arena_printf(&b->arena, "%s/%s", w->root, e->path + skip);
	return e->link ? 0 : err_nomem(err);
}

static int take_tree(struct build *b, const struct spec_source *s, const struct policy *p,
		     const char *tree, struct layer_index *ret, dray_error **err)
{
	struct walk w;

	if (tree[0] != '/')
		return err_set(err, DRAY_ERR_USAGE, "\"from\": expected absolute paths");
	if (build_walk_of(b, s, p, &w, err) < 0)
		return -1;
	w.root = tree;
	if (walk_dir(&w, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < ret->n; i++)
		if (link_to_itself(b, &w, &ret->list[i], err) < 0)
			return -1;
	return 0;
}

/* ---- single names ---- */

int build_add_bytes(struct build *b, const char *path, struct span bytes, const struct policy *p,
		    struct layer_index *ret, dray_error **err)
{
	struct layer_entry *e = entries_add(ret, path, TAR_FILE, err);
	const struct content c = { .kind = CONTENT_BYTES,
				   .size = (int64_t)bytes.len,
				   .bytes = bytes.data };

	if (!e)
		return -1;
	e->mode = 0644;
	e->size = c.size;
	e->mtime = b->now;
	policy_apply(p, e);
	return inputs_add(&b->in, &c, &e->data_off, err);
}

static int take_file(struct build *b, const struct spec_source *s, const struct policy *p,
		     struct layer_index *ret, dray_error **err)
{
	cleanup_buf struct buf data = BUF_INIT(LIMIT_SPEC);
	struct walk w = { .in = &b->in, .root = s->from, .policy = p };
	struct span bytes;

	if (clean_name(b, s->path, &w.to, err) < 0)
		return -1;
	if (s->from)
		return walk_file(&w, ret, err);
	if (s->data_base64 && base64_decode(span_str(s->data_base64), &data, err) < 0)
		return err_rekind(err, DRAY_ERR_USAGE), err_ctx(err, "\"data_base64\"");
	bytes = s->text ? span_str(s->text) : span_buf(&data);
	if (bytes.len) {
		bytes = arena_dup(&b->arena, bytes);
		if (!bytes.data)
			return err_nomem(err);
	}
	return build_add_bytes(b, w.to, bytes, p, ret, err);
}

static int take_mkdir(struct build *b, const struct spec_source *s, const struct policy *p,
		      struct layer_index *ret, dray_error **err)
{
	struct layer_entry *e;
	const char *path;

	if (clean_name(b, s->path, &path, err) < 0)
		return -1;
	e = entries_add(ret, path, TAR_DIR, err);
	if (!e)
		return -1;
	e->mode = 0755;
	e->mtime = b->now;
	policy_apply(p, e);
	return 0;
}

static int take_symlink(struct build *b, const struct spec_source *s, const struct policy *p,
			struct layer_index *ret, dray_error **err)
{
	struct layer_entry *e;
	const char *path;

	if (clean_name(b, s->path, &path, err) < 0)
		return -1;
	e = entries_add(ret, path, TAR_SYMLINK, err);
	if (!e)
		return -1;
	e->link = s->target;
	e->mtime = b->now;
	policy_apply(p, e);
	return 0;
}

/* ---- all of them ---- */

int build_note_applied(struct build *b, uint32_t source, dray_error **err)
{
	if (mem_grow(&b->source_of, b->n_applied, &b->cap_applied, sizeof(*b->source_of)) < 0)
		return err_nomem(err);
	b->source_of[b->n_applied++] = source;
	return 0;
}

typedef int take_fn(struct build *b, const struct spec_source *s, const struct policy *p,
		    struct layer_index *ret, dray_error **err);

unsigned build_vague(const struct spec *spec, const struct spec_source *s, const struct policy *p)
{
	unsigned ret = 0;

	if ((p->normalize && !p->has_mode) || s->type == SPEC_LINKS)
		ret |= VAGUE_MODE;
	if (!p->keep_owner && !s->owner.set && !spec->owner.set)
		ret |= VAGUE_OWNER;
	return ret;
}

int build_apply(struct build *b, const struct merge_source *m, uint32_t source, dray_error **err)
{
	return merge_apply(&b->merge, m, err) < 0 ? -1 : build_note_applied(b, source, err);
}

static int describe(struct build *b, const struct spec_source *s, struct merge_source *ret,
		    struct policy *ret_policy, dray_error **err)
{
	*ret = (struct merge_source){ .ix = entries_new(err),
				      .replace = s->replace == SPEC_YES,
				      .is_mkdir = s->type == SPEC_MKDIR,
				      .vague_of = &b->meant };
	map_clear(&b->meant);
	if (!ret->ix || build_keep_index(b, ret->ix, err) < 0 ||
	    policy_of(b->spec, s, ret_policy, err) < 0)
		return -1;
	ret->vague = build_vague(b->spec, s, ret_policy);
	if (s->type != SPEC_DIR && s->type != SPEC_LINKS)
		return 0;
	return build_clean(b, "to", s->to ? s->to : "/", &ret->weak, err);
}

/* Trees as links: each is a source by itself, so that two with one name are told. */
static int take_links(struct build *b, size_t i, dray_error **err)
{
	const struct spec_source *s = &b->spec->sources[i];

	for (size_t k = 0; k < s->trees.n; k++) {
		struct merge_source m;
		struct policy p;

		if (describe(b, s, &m, &p, err) < 0)
			return -1;
		if (take_tree(b, s, &p, s->trees.list[k], m.ix, err) < 0 ||
		    build_apply(b, &m, (uint32_t)i, err) < 0)
			return err_ctx(err, "tree %zu", k + 1);
	}
	return 0;
}

static int take_source(struct build *b, size_t i, dray_error **err)
{
	static take_fn *const take[SPEC_TYPES] = {
		[SPEC_DIR] = take_dir,	       [SPEC_TAR] = build_take_tar,
		[SPEC_FILE] = take_file,       [SPEC_IMAGE] = build_take_image,
		[SPEC_MKDIR] = take_mkdir,     [SPEC_CLOSURE] = build_take_closure,
		[SPEC_SYMLINK] = take_symlink, [SPEC_LISTED] = build_take_listed,
	};
	const struct spec_source *s = &b->spec->sources[i];
	struct merge_source m;
	struct policy p;

	if (s->type == SPEC_LINKS)
		return take_links(b, i, err);
	if (!take[s->type]) /* users: when all files are there */
		return 0;
	if (describe(b, s, &m, &p, err) < 0 || take[s->type](b, s, &p, m.ix, err) < 0)
		return -1;
	return build_apply(b, &m, (uint32_t)i, err);
}

/* What rules change of the base has to be stored once more. */
static int take_base(struct build *b, dray_error **err)
{
	struct merge_source m = { .ix = entries_new(err) };

	if (!m.ix || build_keep_index(b, m.ix, err) < 0 || build_take_base(b, m.ix, err) < 0)
		return -1;
	return build_apply(b, &m, UINT32_MAX, err);
}

static void on_moved(void *arg, const char *from, const char *to)
{
	context_log(arg, DRAY_LOG_INFO, "/%s is /%s in the base", from, to);
}

int build_take_sources(struct build *b, dray_error **err)
{
	b->merge = (struct merge){ .in = &b->in,
				   .tree = b->tree,
				   .n_base = b->n_base,
				   .conflict = b->spec->conflict ? b->spec->conflict : "error",
				   .follow = b->spec->base.follow_base_links != SPEC_NO,
				   .on_moved = on_moved,
				   .arg = b->ctx };
	if (rules_init(&b->rules, b->spec, err) < 0)
		return -1;
	b->rules.lower = b->lower;
	b->rules.folder_mtime = build_folder_mtime(b);
	tree_finish(b->tree);
	if (rules_delete_base(&b->rules, b->tree, err) < 0)
		return -1;
	for (size_t i = 0; i < b->spec->n_sources; i++)
		if (take_source(b, i, err) < 0)
			return err_ctx(err, "source %zu (%s)", i + 1,
				       spec_type_names[b->spec->sources[i].type]),
			       spec_ctx(b->spec, b->spec->sources[i].at, err);
	if (accounts_any(b->spec) && build_take_users(b, err) < 0)
		return -1;
	tree_finish(b->tree);
	if (b->lower && b->spec->n_rules && take_base(b, err) < 0)
		return -1;
	tree_finish(b->tree);
	return rules_apply(&b->rules, b->tree, b->n_base, err);
}
