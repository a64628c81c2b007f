/* SPDX-License-Identifier: Apache-2.0
 *
 * One change of a config: all text that it does not name stays byte for byte.
 */
#pragma once

#include <dray/edit.h>
#include "base/span.h"

/**
 * @p config with @p s done, appended to @p ret. USAGE when the step says nothing sensible, FORMAT
 * when the config is not as a config should be. DRAY_EDIT_ANNOTATION is for a manifest in its place.
 */
int config_step(struct span config, const struct dray_edit_step *s, struct buf *ret,
		dray_error **err) MUST_CHECK;
