/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ways to go through a folder share.
 */
#pragma once

#include "build/walk.h"

/* Folders that are still to be listed, relative to the root. */
struct todo {
	const char **list;
	size_t n, cap;
};

struct walker {
	const struct walk *w;
	struct layer_index *ix;
	int root; /* kept by the inputs */
	bool apart; /* each name is a file by itself, whatever it shares */
	struct todo todo;
	struct map links; /* device and inode -> path in the image */
	struct match_path path;
};
void walker_clear(struct walker *k);
#define cleanup_walker CLEANUP(walker_clear)

/** The root of @p w, kept open by its inputs; what it is. */
int walk_open(const struct walk *w, struct stat *ret, dray_error **err) MUST_CHECK;
/** "a" and "b" as "a/b", in @p a; either may be empty. */
int walk_join(struct arena *a, const char *dir, const char *name, const char **ret,
	      dray_error **err) MUST_CHECK;
/**
 * One entry at @p path of the image: what lies at @p rel below the root, where @p dir and @p base
 * lead too; @p base NULL = the root itself.
 */
int walk_add(struct walker *k, const char *path, const char *rel, int dir, const char *base,
	     const struct stat *st, dray_error **err) MUST_CHECK;
/** Put where on the host an error happened before its text: -1. */
int walk_at(const struct walk *w, const char *path, dray_error **err);
