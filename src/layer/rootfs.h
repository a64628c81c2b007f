/* SPDX-License-Identifier: Apache-2.0
 *
 * The rootfs id: one digest for a merged tree, whatever layers it came in.
 * Spec: docs/rootfs-id.md.
 */
#pragma once

#include "layer/tree.h"

/**
 * @p t is finished, and its indexes were read with contents. @p mtime: times count too.
 */
int rootfs_id(const struct tree *t, bool mtime, struct digest *ret, dray_error **err) MUST_CHECK;
