/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a legacy v1 ID comes from: which writer, which era, which time zone.
 */
#pragma once

#include "ops/ops.h"

/* Offsets that zones had in January 1970, in steps of a quarter of an hour. */
#define ZONE_MIN (-12 * 60)
#define ZONE_MAX (14 * 60)
#define ZONE_STEP 15
/* Engines stop at 125; more are a hostile image's, and each zone hashes them all. */
#define ZONE_LAYERS_MAX 256

/**
 * For each of @p layers (those of @p im): keep the v1 ID found in the archive, or
 * derive the one that docker save of 17.04 and later writes on a UTC host; and name
 * the rule that makes it. formats.md section 2.
 */
int v1_origins(const struct image *im, struct arena *a, struct dray_layer_info *layers,
	       dray_error **err) MUST_CHECK;
