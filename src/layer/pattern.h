/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns of paths as they are typed, part by part. Who walks a tree and who reads names match
 * them each in their own way.
 */
#pragma once

#include "base/arena.h"
#include "base/span.h"

/** Parts are globs (base/glob.h), or "**" for any number of parts. */
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
