/* SPDX-License-Identifier: Apache-2.0
 *
 * Sparse files as those who read them see them.
 */
#pragma once

#include "layer/index.h"

/**
 * The file of which @p packed (consumed) has the pieces, one after the other: holes are zeros.
 * @p map is lent. The end is told when @p packed has told its own.
 */
struct source *sparse_expand(struct source *packed, const struct layer_sparse *map,
			     dray_error **err);
