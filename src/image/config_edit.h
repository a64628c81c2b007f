/* SPDX-License-Identifier: Apache-2.0
 *
 * A config with other layers: everything else keeps its bytes.
 */
#pragma once

#include "image/config.h"

/**
 * @p c with these DiffIDs and this history (JSON objects, bottom first), appended to @p ret.
 * FORMAT when the entries that are no empty_layer are not as many as the layers.
 */
int config_relayer(const struct config *c, const struct digest *diff_ids, size_t n_diff_ids,
		   const struct span *history, size_t n_history, struct buf *ret,
		   dray_error **err) MUST_CHECK;
/** @p c with these DiffIDs, as many as it has, and nothing else changed. Appended. */
int config_set_diff_ids(const struct config *c, const struct digest *diff_ids, struct buf *ret,
			dray_error **err) MUST_CHECK;
/** Entry @p i of the history as it is, but saying whether it made a layer. Appended. */
int config_history_entry(const struct config *c, size_t i, bool empty_layer, struct buf *ret,
			 dray_error **err) MUST_CHECK;
/** A new entry: "created" as the config says it, and what made the layer. Appended. */
int config_history_new(const struct config *c, const char *created_by, const char *comment,
		       bool empty_layer, struct buf *ret, dray_error **err) MUST_CHECK;
