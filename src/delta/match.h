/* SPDX-License-Identifier: Apache-2.0
 *
 * Where in the bases a file of a new layer is, or something alike.
 * Spec: docs/delta-recipe.md "Finding the old file".
 */
#pragma once

#include "delta/recipe.h"

/** An entry of a base. */
struct old {
	const struct layer_entry *e;
	size_t base;
	int64_t end_off; /* behind its padding, where the next header or the end marker stands */
	uint64_t path_key, name_key; /* of what the path and the name are without their numbers */
	struct old *next_alike;	     /* another with the same name_key, an older one; or NULL */
};

struct match;
struct match *match_new(const struct recipe_bases *b, dray_error **err);
void match_free(struct match *m);
DEFINE_CLEANUP(struct match, cleanup_match_fn, match_free)
#define cleanup_match CLEANUP(cleanup_match_fn)

/** What has this path, in the last base that has it; NULL = none. */
const struct old *match_path(const struct match *m, const char *path);
/**
 * A file with the same stored bytes, whose digest @p e has; @p at_path (may be NULL) if it is one.
 */
const struct old *match_content(const struct match *m, const struct layer_entry *e,
				const struct old *at_path);
/** The file that @p e, a file, is most likely made of, whose path is another; NULL = none. */
const struct old *match_alike(const struct match *m, const struct layer_entry *e);
