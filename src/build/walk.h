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
/** The one file, at path to; a symbolic link that is named is followed. */
int walk_file(const struct walk *w, struct layer_index *ret, dray_error **err) MUST_CHECK;
