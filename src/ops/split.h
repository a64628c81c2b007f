/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan of split: which record goes to which new layer.
 */
#pragma once

#include <dray/split.h>
#include "layer/change.h"
#include "layer/cut.h"
#include "ops/stack.h"

/** All that the new layers' records are lent from. */
struct dray_split_plan {
	struct stack *stack;
	struct tree *tree;
	struct change *change; /* over the kept layers; NULL = none are kept */
	struct record_list list; /* what is cut */
	struct cut_parts parts;
	struct cut_layers cut; /* the new layers */
	size_t kept;
	struct dray_split_layer *layers; /* kept and new */
	size_t n;
	const struct digest *previous; /* DiffIDs of the image that is kept to */
	size_t n_previous;
	struct arena arena;
};
DEFINE_CLEANUP(struct dray_split_plan, cleanup_split_plan_fn, dray_split_plan_free)
#define cleanup_split_plan CLEANUP(cleanup_split_plan_fn)

/** @p write: the layers will be written, so what is compressed is decoded into files once. */
int split_plan(dray_context *ctx, const char *image, const struct dray_select *sel,
	       const struct dray_split_options *o, bool write, struct dray_split_plan **ret,
	       dray_error **err) MUST_CHECK;

/** Keep the DiffIDs of @p previous for split_compare(). */
int split_keep_ids(struct dray_split_plan *p, const struct image *previous,
		   dray_error **err) MUST_CHECK;
/** Tell of each layer whether that image has it; of a plan that was told, with tars kept. */
int split_compare(struct dray_split_plan *p, dray_error **err) MUST_CHECK;
