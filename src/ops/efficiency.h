/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes of layers that later layers hide.
 */
#pragma once

#include <dray/inspect.h>

#include "layer/tree.h"

/**
 * Count what the finished tree @p t of @p n layers shows of their files. All that @p ret points to
 * lives in @p a; the layers are lent for as long.
 */
int efficiency_count(const struct layer_index *const *layers, size_t n, const struct tree *t,
		     struct arena *a, struct dray_efficiency *ret, dray_error **err) MUST_CHECK;

#define MILLION 1000000
/** part / whole in millionths, rounded down; 0 <= part <= whole, and all of nothing. */
int64_t millionths(int64_t part, int64_t whole);
