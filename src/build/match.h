/* SPDX-License-Identifier: Apache-2.0
 *
 * The globs of a spec: "*", "?" and "[..]" within a name, "**" any number of folders. One
 * without a slash fits a name at any depth, any other begins at the root. A slash at the end:
 * folders only. "a/ **" without the blank is all below a, not a itself.
 */
#pragma once

#include "layer/pattern.h"

struct match {
	struct path_pattern path;
	bool dirs_only, floats;
};
struct match_list {
	struct match *list;
	size_t n;
};

/** USAGE says what is wrong with @p text. All is in @p a. */
int match_parse(struct arena *a, const char *text, struct match *ret, dray_error **err) MUST_CHECK;
int match_parse_all(struct arena *a, const char *const *texts, size_t n, struct match_list *ret,
		    dray_error **err) MUST_CHECK;

/** A cleaned path in its parts. Zeroed is empty. */
struct match_path {
	struct buf text;
	const char **parts;
	size_t n, cap;
};
int match_path_set(struct match_path *p, const char *path, dray_error **err) MUST_CHECK;
void match_path_clear(struct match_path *p);
#define cleanup_match_path CLEANUP(match_path_clear)

/** Does it fit the path itself? */
bool match_fits(const struct match *m, const struct match_path *p, bool is_dir);
/** Or a folder above it? */
bool match_holds(const struct match *m, const struct match_path *p, bool is_dir);
bool match_any(const struct match_list *l, const struct match_path *p, bool is_dir);
bool match_any_holds(const struct match_list *l, const struct match_path *p, bool is_dir);
