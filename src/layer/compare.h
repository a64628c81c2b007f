/* SPDX-License-Identifier: Apache-2.0
 *
 * Two merged trees side by side: which names differ, and in what.
 */
#pragma once

#include "base/map.h"
#include "layer/tree.h"

/** What differs between two files of one path. */
enum tree_difference {
	TREE_TYPE = 1,
	TREE_CONTENT = 2,
	TREE_SIZE = 4,
	TREE_MODE = 8, /* of a symbolic link nobody sets it */
	TREE_OWNER = 16,
	TREE_MTIME = 32,
	TREE_LINK = 64,	  /* text of a symbolic link */
	TREE_DEVICE = 128,
	TREE_XATTRS = 256, /* but for the notes of overlayfs */
	/* Of the names that both trees have, others share the file. */
	TREE_HARDLINK = 512,
};

struct tree_change {
	const struct node *a, *b; /* NULL = not there */
	unsigned what;		  /* enum tree_difference; 0 when one is not there */
};

/** A walk over both trees, in the order of tree_next(). All fields are its own. */
struct tree_compare {
	const struct node *dir_a, *dir_b; /* folders of one path */
	const struct node *a, *b;	  /* the next names in them */
	/* A tree of which the other has nothing: what comes next and what ends it. */
	const struct node *only, *only_end;
	bool only_in_a, started, mtime;
	/* Address of a shared inode -> the first name of the pairs in which it came. */
	struct map firsts_a, firsts_b;
};

/** Both are finished, their indexes were read with contents, and they outlive the walk. */
void tree_compare_init(struct tree_compare *c, const struct tree *a, const struct tree *b,
		       bool mtime);
void tree_compare_clear(struct tree_compare *c);
#define cleanup_tree_compare CLEANUP(tree_compare_clear)
/** 1 = *ret differs, 0 = end, -1. */
int tree_compare_next(struct tree_compare *c, struct tree_change *ret,
		      dray_error **err) MUST_CHECK;
