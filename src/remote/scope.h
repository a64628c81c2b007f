/* SPDX-License-Identifier: Apache-2.0
 *
 * What a token is for. Spec: distribution token scope; formats.md 5.3.
 */
#pragma once

#include "base/span.h"

/** One resource ("repository:library/x") and its actions ("pull,push"). */
struct scope {
	char *resource;
	char *actions;
};

/** A set; order is that of first mention, since some servers only read the first. Zero is empty. */
struct scopes {
	struct scope *list;
	size_t n, cap;
};

/** Unite with @p text: "TYPE:NAME:ACTION,ACTION", several parted by spaces. FORMAT, LIMIT. */
int scopes_add(struct scopes *s, struct span text, dray_error **err) MUST_CHECK;
int scopes_add_all(struct scopes *s, const struct scopes *more, dray_error **err) MUST_CHECK;
/** Does @p have allow everything that @p want names? */
bool scopes_cover(const struct scopes *have, const struct scopes *want);
void scopes_clear(struct scopes *s);
#define cleanup_scopes CLEANUP(scopes_clear)
