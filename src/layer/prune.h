/* SPDX-License-Identifier: Apache-2.0
 *
 * Paths that are to leave an image, by patterns: which layers hold them, and the tree without
 * them. Names are taken as they are: no symbolic link is followed.
 */
#pragma once

#include "layer/tree.h"

struct prune_pattern;
struct prune_set {
	struct arena arena;
	struct prune_pattern *list;
	size_t n, cap;
	struct buf path;    /* the one that is looked at, cut at its slashes */
	const char **parts; /* of it */
	size_t cap_parts;
};
/**
 * @p text: a path from the root of the image, all that is below it included; in each of its
 * names what base/glob.h knows, and "**" for any number of folders: "a/ **" without the blank is
 * all below a. USAGE says what is wrong with it.
 */
int prune_set_add(struct prune_set *s, const char *text, dray_error **err) MUST_CHECK;
void prune_set_clear(struct prune_set *s);
#define cleanup_prune_set CLEANUP(prune_set_clear)

/** Does a pattern fit cleaned @p path or a folder above it? 1, 0, -1. All that fit count it. */
int prune_holds(struct prune_set *s, const char *path, dray_error **err) MUST_CHECK;
/** The first pattern that nothing was counted for, as it was given; NULL = none. */
const char *prune_unused(const struct prune_set *s);

/**
 * Must this layer be made anew: has it such a path, a whiteout of one, or a hard link to one?
 * 1, 0, -1.
 */
int prune_concerns(struct prune_set *s, const struct layer_index *ix, dray_error **err) MUST_CHECK;
/** Take them out of finished @p t, and finish it again. */
int prune_tree(struct prune_set *s, struct tree *t, dray_error **err) MUST_CHECK;
/**
 * The other way round: finished @p t becomes a root that nobody described, and in it, with all
 * that they hold, the names that fit and lie in none that does. tree_find() is no more for it.
 * How many; USAGE when two have the same last name; -1.
 */
int64_t prune_pick(struct prune_set *s, struct tree *t, dray_error **err) MUST_CHECK;
