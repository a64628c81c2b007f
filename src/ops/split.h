/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan of split: which record goes to which new layer.
 */
#pragma once

#include <dray/split.h>
#include "layer/change.h"
#include "layer/cut.h"
#include "ops/merged.h"

/** All that the new layers' records are lent from. */
struct dray_split_plan {
	struct stack *stack;
	struct tree *tree;
	struct change *change; /* over the kept layers; NULL = none are kept */
	struct record_list list; /* what is cut */
	struct cut_parts parts;
	struct cut_layers cut; /* the new layers */
	size_t kept;
	bool write; /* else it is only shown */
	struct dray_split_layer *layers; /* kept and new */
	size_t n;
	const struct digest *previous; /* DiffIDs of the image that is kept to */
	size_t n_previous;
	struct arena arena;
};
DEFINE_CLEANUP(struct dray_split_plan, cleanup_split_plan_fn, dray_split_plan_free)
#define cleanup_split_plan CLEANUP(cleanup_split_plan_fn)

enum split_use {
	SPLIT_SHOWN,
	SPLIT_WRITTEN,	/* what is compressed is decoded into files once */
	SPLIT_FORESEEN, /* by split_once_write(), perhaps: nothing is loaded yet */
};
/** The image, for a plan by @p o. */
int split_open(dray_context *ctx, const char *image, const struct dray_select *sel,
	       const struct dray_split_options *o, enum split_use use, struct dray_split_plan **ret,
	       dray_error **err) MUST_CHECK;
/** The plan, once all layers are loaded. */
int split_make(struct dray_split_plan *p, const struct dray_split_options *o,
	       dray_error **err) MUST_CHECK;
/** The rules of @p o. */
int split_rules(const struct dray_split_options *o, struct cut_rules *r,
	       dray_error **err) MUST_CHECK;

/** A cut by rules, of which the layers are written before it is known. Zeroed; p and o are lent. */
struct split_once {
	struct dray_split_plan *p;
	const struct dray_split_options *o;
	struct cut_rules rules;
	struct cut_foresight foresight;
	struct merged merged;
};
/** Is it likely that the layers of @p o will be one for the rest and one for each rule, as foreseen? */
int split_once_begin(struct split_once *s, bool *ret_likely, dray_error **err) MUST_CHECK;
/** How many that are. */
size_t split_once_layers(const struct split_once *s);
/**
 * Write these layers into @p out. 1 = they are what the plan says, which is made; 0 = they are not, or
 * nothing could be foreseen, and the plan may not be made yet; -1.
 */
int split_once_write(struct split_once *s, struct sink *const *out, dray_error **err) MUST_CHECK;
void split_once_clear(struct split_once *s);

/** Keep the DiffIDs of @p previous for split_compare(). */
int split_keep_ids(struct dray_split_plan *p, const struct image *previous,
		   dray_error **err) MUST_CHECK;
/** Tell of each layer whether that image has it; of a plan that was told, with tars kept. */
int split_compare(struct dray_split_plan *p, dray_error **err) MUST_CHECK;
