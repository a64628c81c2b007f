/* SPDX-License-Identifier: Apache-2.0
 *
 * A blob as a pull source over libcurl's multi interface.
 */
#pragma once

#include "base/limits.h"
#include "flow/source.h"
#include "remote/client.h"

/** Opens at once: "not found" is known early. @p size -1 = unknown. @p c outlives the source. */
struct source *download_open(struct client *c, const struct url *url, int64_t size,
			     dray_error **err);
