/* SPDX-License-Identifier: Apache-2.0
 *
 * Names that a file system which folds case could not tell apart.
 */
#pragma once

#include "layer/tree.h"

struct case_twins {
	size_t n; /* names that have an earlier twin */
	const struct node *a, *b; /* the first two; NULL */
};
/**
 * Names of one folder that differ in the case of ASCII letters alone, where layer @p from or a
 * later one has put one of the two. Of a finished tree.
 */
int case_twins_find(const struct tree *t, uint32_t from, struct case_twins *ret,
		    dray_error **err) MUST_CHECK;
