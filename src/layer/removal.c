/* SPDX-License-Identifier: Apache-2.0
 *
 * What a layer takes away from those below, by path.
 * Relies on the tree of the layer for what is there in the end; only what it does not show is
 * kept beside it.
 * Promises as many lookups as a path has folders, whatever the layer holds.
 */
#include "layer/removal.h"

#include "base/mem.h"

/* What is said of a path: the sum of some. */
#define SAYS_NAME 1U  /* it is whited out, with all below it */
#define SAYS_BELOW 2U /* an opaque folder: all below it */
#define SAYS_FILE 4U  /* what is no folder was there */

static unsigned said(const struct map_slot *s)
{
	return s ? (unsigned)(uintptr_t)s->value : 0;
}

static int say(struct removals *r, const char *path, size_t len, unsigned what, dray_error **err)
{
	struct span key = span_of(path, len);
	const struct map_slot *s = map_find(&r->gone, key);
	unsigned all = said(s) | what;

	if (!s) {
		key = arena_dup(&r->arena, key);
		if (!key.data)
			return err_nomem(err);
	}
	return map_put(&r->gone, s ? s->key : key, (void *)(uintptr_t)all, err);
}

/* ".wh.NAME" removes NAME beside it. */
static int say_name(struct removals *r, const char *path, const char *name, dray_error **err)
{
	size_t folder = (size_t)(name - path) - strlen(WHITEOUT_PREFIX), len = strlen(name);
	cleanup_free char *target = mem_alloc(folder + len + 1);

	if (!target)
		return err_nomem(err);
	memcpy(target, path, folder);
	memcpy(target + folder, name, len);
	return say(r, target, folder + len, SAYS_NAME, err);
}

static int say_below(struct removals *r, const char *path, dray_error **err)
{
	const char *slash = strrchr(path, '/');

	return say(r, path, slash ? (size_t)(slash - path) : 0, SAYS_BELOW, err);
}

/* The tree shows a file, unless something came over it or took it away again. */
static int say_file(struct removals *r, const struct layer_entry *e, dray_error **err)
{
	const struct node *n = e->type == TAR_DIR ? NULL : tree_find(r->tree, e->path);

	if (e->type == TAR_DIR || (n && !node_is_dir(n)))
		return 0;
	return say(r, e->path, strlen(e->path), SAYS_FILE, err);
}

static int say_entry(struct removals *r, const struct layer_entry *e, dray_error **err)
{
	const char *name = NULL;

	switch (whiteout_of(e->path, &name)) {
	case WHITEOUT_NAME:
		return say_name(r, e->path, name, err);
	case WHITEOUT_OPAQUE:
		return say_below(r, e->path, err);
	case WHITEOUT_NONE:
		return say_file(r, e, err);
	default:
		return 0;
	}
}

int removals_init(struct removals *r, const struct layer_index *ix, const struct tree *t,
		  dray_error **err)
{
	*r = (struct removals){ .tree = t };
	for (size_t i = 0; i < ix->n; i++) {
		if (say_entry(r, &ix->list[i], err) == 0)
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
