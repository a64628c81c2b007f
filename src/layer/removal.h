/* SPDX-License-Identifier: Apache-2.0
 *
 * What one layer takes away from those below: whiteouts, and what is no folder, which stands in
 * for all that was at its path. A layer may have a million of them and a path many folders, so
 * this is a lookup for each folder on the way.
 */
#pragma once

#include "base/map.h"
#include "layer/tree.h"

struct removals {
	const struct tree *tree; /* of the layer alone; lent */
	struct map gone;	 /* path -> what the layer says of it */
	struct arena arena;
	bool ready;
};
/** @p t is the partial tree of @p ix alone; both are lent until removals_clear(). */
int removals_init(struct removals *r, const struct layer_index *ix, const struct tree *t,
		  dray_error **err) MUST_CHECK;
void removals_clear(struct removals *r);

/** What takes a path away. */
enum removal {
	REMOVED_BY_WHITEOUT = 1,
	REMOVED_BY_FILE = 2, /* at the path or above it; also one that the layer removed again */
};
/** Does one of @p by (their sum) take away what the layers below have at cleaned @p path? */
bool removals_hold(const struct removals *r, const char *path, unsigned by);
