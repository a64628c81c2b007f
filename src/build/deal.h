/* SPDX-License-Identifier: Apache-2.0
 *
 * The merged tree as layers: what the base lacks, who goes where, what is written of each.
 */
#pragma once

#include "build/inputs.h"
#include "build/layering.h"
#include "build/closure.h"
#include "build/rules.h"
#include "build/spec.h"
#include "layer/tree.h"

#define DEAL_SAME 1 /* inode.mark: the base has it, to the same effect */

/** A closure that a source is. */
struct deal_closure {
	struct closure closure;
	uint32_t source;
};
struct deal_input {
	const struct spec *spec;
	const struct tree *tree; /* finished; base's layers first */
	const struct tree *lower; /* the base's own files; NULL = none. What is gone of them is removed */
	struct rules *rules;
	uint32_t n_base;
	const uint32_t *source_of; /* of each layer of the tree above these; UINT32_MAX = none */
	const struct deal_closure *closures;
	size_t n_closures;
	struct spec_time mtime;	   /* of folders that nobody described */
	size_t base_layers;	   /* of the image that is built upon */
	const struct layering_old *previous; /* the plan that is kept where it can be */
	size_t n_previous;
};
/** One name of a layer: kept small. */
struct dealt {
	const struct node *node;
	bool gone; /* a whiteout */
};
struct deal_layer {
	const char *name;    /* of a group, or of what it holds */
	const char **units;  /* what it holds */
	const char **components; /* the same, as layering.components */
	size_t n_units;
	struct dealt *list; /* what is written, in order */
	size_t n, cap;
	int64_t bytes; /* of files */
};
struct deal {
	struct arena arena;
	struct deal_layer *layers; /* bottom first */
	size_t n;
	struct layering plan;
	struct unit *units;
	size_t n_units, cap_units;
};
/** @p ret is to be cleared, after failure too. USAGE, LIMIT as layering_plan(). */
int deal_make(const struct deal_input *in, struct deal *ret, dray_error **err) MUST_CHECK;
void deal_clear(struct deal *d);
#define cleanup_deal CLEANUP(deal_clear)
/** Lent from @p l. */
struct record_list deal_records(const struct deal_layer *l);
