/* SPDX-License-Identifier: Apache-2.0
 *
 * What a layer takes away from those below, by path.
 * Relies on the tree of the layer for what is there in the end; only what it does not show is
 * kept beside it.
 * Promises as many lookups as a path has folders, whatever the layer holds.
 */
#include "layer/removal.h"

#include "base/limits.h"

/* What is said of a path: the sum of some. */
#define SAYS_NAME 1U  /* it is whited out, with all below it */
#define SAYS_BELOW 2U /* an opaque folder: all below it */
#define SAYS_FILE 4U  /* what is no folder was there */

static unsigned said(const struct map_slot *s)
{
	return s ? (unsigned)(uintptr_t)s->value : 0;
}

static int say(struct removals *r, struct span path, unsigned what, dray_error **err)
{
	const struct map_slot *s = map_find(&r->gone, path);
	struct span key = s ? s->key : arena_dup(&r->arena, path);
	unsigned all = said(s) | what;

	return key.data ? map_put(&r->gone, key, (void *)(uintptr_t)all, err) : err_nomem(err);
}

/* The tree shows a file, unless something came over it or took it away again. */
static int say_file(struct removals *r, const struct layer_entry *e, dray_error **err)
{
	const struct node *n = e->type == TAR_DIR ? NULL : tree_find(r->tree, e->path);

	if (e->type == TAR_DIR || (n && !node_is_dir(n)))
		return 0;
	return say(r, span_str(e->path), SAYS_FILE, err);
}

static int say_entry(struct removals *r, const struct layer_entry *e, struct buf *room,
		     dray_error **err)
{
	const char *name = NULL;
	enum whiteout kind = whiteout_of(e->path, &name);

	if (kind == WHITEOUT_AUFS)
		return 0;
	if (kind == WHITEOUT_NONE)
		return say_file(r, e, err);
	if (whiteout_target(e->path, name, room, err) < 0)
		return -1;
	return say(r, span_buf(room), kind == WHITEOUT_NAME ? SAYS_NAME : SAYS_BELOW, err);
}

int removals_init(struct removals *r, const struct layer_index *ix, const struct tree *t,
		  dray_error **err)
{
	cleanup_buf struct buf room = BUF_INIT(LIMIT_PATH + 1);

	*r = (struct removals){ .tree = t };
	for (size_t i = 0; i < ix->n; i++) {
		if (say_entry(r, &ix->list[i], &room, err) == 0)
			continue;
		removals_clear(r);
		return -1;
	}
	r->ready = true;
	return 0;
}

void removals_clear(struct removals *r)
{
	map_clear(&r->gone);
	arena_clear(&r->arena);
	*r = (struct removals){ 0 };
}

/* What is said of the first @p len bytes of @p path, "" being the root; @p is_all: of all of it. */
static bool holds(const struct removals *r, const char *path, size_t len, bool is_all, unsigned by)
{
	unsigned what = said(map_find(&r->gone, span_of(path, len)));

	if ((by & REMOVED_BY_WHITEOUT) && ((what & SAYS_NAME) || (!is_all && (what & SAYS_BELOW))))
		return true;
	return (by & REMOVED_BY_FILE) && (what & SAYS_FILE);
}

/* A file of the tree on the way to @p path, or at its end. */
static bool meets_file(const struct removals *r, const char *path)
{
	const struct node *at = tree_root(r->tree);

	while (at && node_is_dir(at) && *path) {
		size_t len = strcspn(path, "/");

		at = tree_child(r->tree, at, path, len);
		path += len + (path[len] == '/');
	}
	return at && !node_is_dir(at);
}

bool removals_hold(const struct removals *r, const char *path, unsigned by)
{
	size_t len = strlen(path);

	for (size_t i = 0; i <= len; i++)
		if ((path[i] == '/' || path[i] == '\0' || i == 0) &&
		    holds(r, path, i, i == len, by))
			return true;
	return (by & REMOVED_BY_FILE) && meets_file(r, path);
}
