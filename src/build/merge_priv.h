/* SPDX-License-Identifier: Apache-2.0
 *
 * What the halves of the merge share.
 */
#pragma once

#include "build/merge.h"

/* What a source has under a name of its own, whether or not the tree takes it. */
struct own {
	struct layer_entry e; /* no hard link */
	const char *at;	      /* the last of its names that the tree takes; NULL = none */
};

/**
 * Does @p e, which is at its place and no hard link, go into the tree? 1, 0, -1. @p path is what it
 * was called by its source. Changed where it is vague.
 */
int merge_settle(struct merge *m, const struct merge_source *s, const char *path,
		 struct layer_entry *e, dray_error **err);
/** An error about @p path: -1. */
int merge_say(const char *path, const char *what, enum dray_err_kind kind, dray_error **err);
