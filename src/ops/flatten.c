/* SPDX-License-Identifier: Apache-2.0
 *
 * flatten: all files of an image in one layer.
 * Relies on ops/merged for the layer and on ops/relayer for the rest.
 * Promises the same rootfs id, times included.
 */
#include "ops/merged.h"
#include "ops/relayer.h"

int dray_flatten(dray_context *ctx, const char *image, const struct dray_select *sel,
		 const char *dst, const struct dray_copy_options *o, dray_relayered **ret,
		 dray_error **err)
{
	static const char *const step[] = { "dray flatten" };
	const struct stack_options so = { .contents = true, .lazy = true };
	cleanup_stack struct stack *s = NULL;
	cleanup_merged struct merged m = { 0 };
	struct relayer_plan plan = { .image = image, .n = 1, .same_tree = true };
	struct remake_layer layer = { .keep = -1, .merged = &m };

	if (stack_open(ctx, image, sel, &so, &s, err) < 0 ||
	    relayer_history(s, 0, step, 1, &plan, err) < 0)
		return -1;
	layer.stack = plan.stack = m.stack = s;
	plan.layers = &layer;
	return relayer_run(&plan, dst, o, ret, err);
}
