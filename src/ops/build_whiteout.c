/* SPDX-License-Identifier: Apache-2.0
 *
 * Whiteouts of a tar that is a layer: what they take away of the base and of sources before it.
 * Relies on layer/tree for what a whiteout does, on build/deal to say it again in the new image.
 * Promises that they come before all entries of their tar.
 */
#include "ops/build.h"

#include "base/limits.h"

/* @p path with its folder as it really is. */
static int real_place(struct build *b, const char *path, const char **ret, dray_error **err)
{
	const char *slash = strrchr(path, '/'), *folder;

	*ret = path;
	if (!slash || !b->merge.follow)
		return 0;
	folder = arena_strndup(&b->arena, path, (size_t)(slash - path));
	if (!folder)
		return err_nomem(err);
	if (merge_resolve(&b->merge, folder, &folder, err) < 0)
		return -1;
	*ret = arena_printf(&b->arena, "%s%s%s", folder, folder[0] ? "/" : "", slash + 1);
	return *ret ? 0 : err_nomem(err);
}

/* Rules that delete ask what the base still has. */
static int note_gone(struct build *b, const char *path, dray_error **err)
{
	cleanup_buf struct buf target = BUF_INIT(2 * LIMIT_PATH);
	const char *name;
	struct span gone;

	if (whiteout_of(path, &name) != WHITEOUT_NAME)
		return 0;
	if (whiteout_target(path, name, &target, err) < 0)
		return -1;
	gone = arena_dup(&b->arena, span_buf(&target));
	return gone.data ? map_put(&b->rules.gone, gone, b, err) : err_nomem(err);
}

int build_is_folder(struct build *b, const char *path, bool *ret, dray_error **err)
{
	const struct node *n;
	const char *real;

	if (real_place(b, path, &real, err) < 0)
		return -1;
	n = tree_find(b->tree, real);
	*ret = n && node_is_dir(n);
	return 0;
}

int build_add_whiteout(struct build *b, struct layer_index **ix, const char *path, dray_error **err)
{
	struct layer_entry *e;
	const char *real;

	if (real_place(b, path, &real, err) < 0)
		return -1;
	if (!*ix) {
		*ix = entries_new(err);
		if (!*ix || build_keep_index(b, *ix, err) < 0)
			return -1;
	}
	e = entries_add(*ix, real, TAR_FILE, err);
	return e ? note_gone(b, real, err) : -1;
}

/* ---- folders that are left with nothing ---- */

static bool holds_any(const struct node *n)
{
	for (const struct node *c = n->child; c; c = c->next)
		if (!c->gone)
			return true;
	return false;
}

/* The folder of the whiteout @p path, if it is there and nobody but its contents told of it. */
static int add_folder(struct build *b, struct map *seen, const char *path, struct layer_index *ix,
		      dray_error **err)
{
	const char *slash = strrchr(path, '/');
	struct span folder = span_of(path, slash ? (size_t)(slash - path) : 0);
	struct layer_entry *e;
	const struct node *n;
	const char *name;

	if (!slash || map_get(seen, folder))
		return 0;
	name = arena_strndup(&b->arena, path, folder.len);
	if (!name)
		return err_nomem(err);
	if (map_put(seen, folder, b, err) < 0)
		return -1;
	n = tree_find(b->tree, name);
	if (!n || n->entry || n->layer < b->n_base || !node_is_dir(n) || holds_any(n))
		return 0;
	e = entries_add(ix, name, TAR_DIR, err);
	if (!e)
		return -1;
	e->mode = 0755;
	e->mtime = build_folder_mtime(b);
	e->uname = e->gname = "";
	return 0;
}

/*
 * What is left of a folder that a source before implied has no entry that would make it: it gets
 * one, of which each source that describes the folder knows better.
 */
static int keep_folders(struct build *b, const struct layer_index *whiteouts, uint32_t source,
			dray_error **err)
{
	struct merge_source m = { .ix = entries_new(err),
				  .vague = VAGUE_MODE | VAGUE_OWNER | VAGUE_XATTRS };
	struct map seen = { 0 };
	int rc = m.ix ? build_keep_index(b, m.ix, err) : -1;

	for (size_t i = 0; rc == 0 && i < whiteouts->n; i++)
		rc = add_folder(b, &seen, whiteouts->list[i].path, m.ix, err);
	map_clear(&seen);
	return rc < 0 || m.ix->n == 0 ? rc : build_apply(b, &m, source, err);
}

int build_apply_whiteouts(struct build *b, const struct layer_index *ix, uint32_t source,
			  dray_error **err)
{
	if (!ix)
		return 0;
	if (tree_apply(b->tree, ix, err) < 0 || build_note_applied(b, source, err) < 0)
		return -1;
	return keep_folders(b, ix, source, err);
}
