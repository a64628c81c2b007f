/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns of paths as they are typed, part by part, and the names that they fit.
 */
#pragma once

#include "base/arena.h"
#include "base/span.h"

/**
 * Parts are globs (base/glob.h), or "**" for any number of names, at the end for one at least:
 * "a/ **" without the blank is all below a, not a itself.
 */
struct path_pattern {
	const char **parts;
	size_t n;
};
/**
 * @p text cut at its slashes, in @p a; empty parts and dots say nothing. USAGE for "..", for a
 * glob that is none, and when nothing is left.
 */
int path_pattern_parse(struct arena *a, const char *text, struct path_pattern *ret,
		       dray_error **err) MUST_CHECK;
/** Do these names, from the top, make a path that it fits? At most parts times names globs. */
bool path_pattern_fits(const struct path_pattern *p, const char *const *names, size_t n);
/** That path, or one of a folder above it? */
bool path_pattern_holds(const struct path_pattern *p, const char *const *names, size_t n);
