/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders and files of the host as entries.
 */
#pragma once

#include "build/inputs.h"
#include "build/match.h"
#include "build/policy.h"

/** All is lent; @p in keeps descriptors and strings. */
struct walk {
	struct inputs *in;
	const char *root;	/* of the host */
	const char *to;		/* cleaned path in the image; "" = its root */
	struct match_list include, exclude; /* below root */
	const struct spec_list *xattrs;	    /* names, or beginnings with a '*' behind; not set = defaults */
	const struct policy *policy;
	struct pool *pool; /* for walk_dir() and walk_names(): who looks ahead; NULL = nobody */
};

/**
 * All that the folder holds, appended to @p ret; the folder itself too, as the first entry, unless it
 * becomes the root. Symbolic links are entries. UNSUPPORTED for sockets; USAGE for what is no folder.
 */
int walk_dir(const struct walk *w, struct layer_index *ret, dray_error **err) MUST_CHECK;
/**
 * Only these names of the root: folders with all they hold, links as such. The root itself is not
 * described, nothing else in it is looked at.
 */
int walk_names(const struct walk *w, const char *const *names, size_t n, struct layer_index *ret,
	       dray_error **err) MUST_CHECK;
struct mtree;
/**
 * What @p m lists: names and contents lie below the root, no link is followed; what it tells of a
 * file counts more than the policy, but for times, which are 'now' where nothing tells them.
 * @p apart: names of one file are files of their own. @p meant gets, by path, the enum vague that
 * is left of @p vague, and one. CORRUPT for a file that is not as it tells.
 */
int walk_listed(const struct walk *w, const struct mtree *m, int64_t now, bool apart,
		unsigned vague, struct map *meant, struct layer_index *ret,
		dray_error **err) MUST_CHECK;
/** The one file, at path to; a symbolic link that is named is followed. */
int walk_file(const struct walk *w, struct layer_index *ret, dray_error **err) MUST_CHECK;
