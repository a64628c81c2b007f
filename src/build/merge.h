/* SPDX-License-Identifier: Apache-2.0
 *
 * One source after the other into one tree, above what the base has.
 */
#pragma once

#include "build/inputs.h"
#include "layer/tree.h"

struct merge {
	struct inputs *in;
	struct tree *tree; /* the base's layers are in it */
	uint32_t n_base;
	const char *conflict; /* "error", "first", "last" */
	bool follow;	      /* folders on the way are looked up through symbolic links */
	struct arena arena;
	/* May be NULL: @p from is not where it seems to be. Cleaned paths. */
	void (*on_moved)(void *arg, const char *from, const char *to);
	void *arg;
	/*
	 * Of the source that is being merged: folder -> where it really is; which of these were
	 * told; symbolic links, "" = one of the tree that is no more; name -> struct own.
	 */
	struct map real, moved, links, own;
	bool has_hardlinks;
	struct map told;  /* folders that a mkdir described */
	struct map vague; /* folders whose attributes may be told better: enum vague */
	/* Names of the base that sources took over, a folder for a folder, or neither for neither. */
	struct map over;
};
void merge_clear(struct merge *m);
#define cleanup_merge CLEANUP(merge_clear)

/** What a folder's entry says by accident; it yields to what the base or another source says. */
enum vague {
	VAGUE_MODE = 1,
	VAGUE_OWNER = 2,
	VAGUE_XATTRS = 4,
};

struct merge_source {
	struct layer_index *ix; /* lent, changed; must outlive the tree */
	bool replace;	/* a folder of the base may make room for something else */
	bool is_mkdir;	/* what it says of folders counts more than what others say */
	const char *weak; /* all that it says of this folder is vague; cleaned; NULL, "" = none */
	unsigned vague;	  /* enum vague, of its folders */
	/* May be NULL: by the path that the source gives a folder, enum vague and one, in place of it. */
	const struct map *vague_of;
};
/**
 * The next layer of the tree. USAGE for what two sources say differently, and for a file where the
 * base has a folder or below one of its files; FORMAT for links that lead in circles, for hard
 * links to what the source itself does not have, for whiteouts.
 */
int merge_apply(struct merge *m, const struct merge_source *s, dray_error **err) MUST_CHECK;
/** Where cleaned @p path really is: all of its parts, @p last too, looked up. In m->arena. */
int merge_resolve(struct merge *m, const char *path, const char **ret, dray_error **err) MUST_CHECK;
