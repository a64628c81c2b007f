/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files that know Docker's v1 images; not for other rooms.
 */
#pragma once

#include "base/limits.h"
#include "image/goconfig_priv.h"

/** Go's escapes make six bytes of one: a whole config of '<' still fits. */
#define V1_TEXT_MAX (6 * LIMIT_CONFIG + MIB)

/** @p root through Docker's V1Image struct: known members only, a full container_config. */
int v1_image_text(struct json root, const struct v1_params *p, struct buf *ret,
		  dray_error **err) MUST_CHECK;

/** v1 images, bottom first. */
struct v1_history {
	const struct span *jsons;
	const bool *empty; /* which made no layer; NULL = none */
	size_t n;
};
/** config_from_v1() where the history has entries without a layer. @p diff_ids one per layer. */
int v1_config(const struct v1_history *h, const struct digest *diff_ids, size_t n_layers,
	      struct buf *ret, dray_error **err) MUST_CHECK;

/** v1_ids_docker() from ChainIDs that somebody knows already. */
int v1_ids_of_chain(const struct config *c, const struct digest *chain, size_t n,
		    const struct v1_params *p, v1_id *ret, dray_error **err) MUST_CHECK;
