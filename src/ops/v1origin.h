/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a legacy v1 ID comes from: which writer, which era, which time zone.
 */
#pragma once

#include "ops/ops.h"

/**
 * For each of @p layers (those of @p im): keep the v1 ID found in the archive, or
 * derive the one that docker save of 17.04 and later writes on a UTC host; and name
 * the rule that makes it. formats.md section 2.
 */
int v1_origins(const struct image *im, struct arena *a, struct dray_layer_info *layers,
	       dray_error **err) MUST_CHECK;
