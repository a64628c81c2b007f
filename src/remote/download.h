/* SPDX-License-Identifier: Apache-2.0
 *
 * A blob as a pull source over libcurl's multi interface.
 */
#pragma once

#include "base/limits.h"
#include "flow/source.h"
#include "remote/client.h"

/**
 * The bytes from @p off on. Opens at once: "not found" is known early. @p size of the whole
 * blob, -1 = unknown. @p c outlives the source.
 */
struct source *download_open(struct client *c, const struct url *url, int64_t size, int64_t off,
			     dray_error **err);
/** Of a source of download_open(): the size of the whole blob, as told or as first announced; -1. */
int64_t download_size(const struct source *s);
