/* SPDX-License-Identifier: Apache-2.0
 *
 * Level file: recipes of layers, and the base layers that they speak of.
 */
#pragma once

#include "delta/recipe.h"
#include "ops/delta_save.h"

/** The layers of bases as recipes know them: by their place in the description's list. */
struct delta_olds {
	struct recipe_base *list;
	struct delta_where *where; /* of each; stack NULL = not at hand, and not needed */
	bool *used;		   /* was read from */
	size_t n;
};
/** What a recipe is written against and made from; lent from @p o. */
struct recipe_bases delta_recipe_bases(struct delta_olds *o);
/** Room for @p n, in @p a. */
int delta_olds_init(struct delta_olds *o, size_t n, struct arena *a, dray_error **err) MUST_CHECK;
/** Read the layers at hand, side by side, so that any of their bytes can be had. */
int delta_olds_load(struct delta_olds *o, dray_context *ctx, dray_error **err) MUST_CHECK;

/** Open the bases' layers for a run of save: into its olds, and into its description. */
int delta_files_open(struct delta_save *v, const char *const *places, size_t n,
		     dray_error **err) MUST_CHECK;
/**
 * Layer @p i as a recipe, proven by making the layer of it. 1 = it is in the archive and @p l says
 * so; 0 = its blob is no bigger.
 */
int delta_files_put(struct delta_save *v, size_t i, struct delta_layer *l,
		    dray_error **err) MUST_CHECK;
/** Note which base layers the recipes that were put need. */
void delta_files_finish(struct delta_save *v);
