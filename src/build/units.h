/* SPDX-License-Identifier: Apache-2.0
 *
 * A closure's paths as units of a plan.
 */
#pragma once

#include "build/closure.h"
#include "build/layering.h"

/** The unit of @p c that a path of the image lies in (cleaned, no '/' in front), or is; NULL. */
const struct closure_unit *units_owner(const struct closure *c, const char *path);
/**
 * What the closure tells of @p from: component, origin, whether it is a root. Its files tell the
 * rest, units_refs() what it needs.
 */
int units_describe(struct arena *a, const struct closure_unit *from, struct unit *ret,
		   dray_error **err) MUST_CHECK;
/** References of all units of @p c that are in @p units, each at @p place, or at LAYERING_NONE. */
int units_refs(struct arena *a, const struct closure *c, const uint32_t *place, struct unit *units,
	       dray_error **err) MUST_CHECK;
