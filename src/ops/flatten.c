/* SPDX-License-Identifier: Apache-2.0
 *
 * flatten: all files of an image in one layer.
 * Relies on ops/merged for the layer and on ops/relayer for the rest.
 * Promises the same rootfs id, times included.
 */
#include "ops/merged.h"
#include "ops/relayer.h"

struct flattening {
	struct merged merged;
	struct remake_layer layer;
};

static int write_once(void *arg, struct sink *const *out, dray_error **err)
{
	struct flattening *f = arg;

	return merged_write_once(&f->merged, out[0], err);
}

static int plan_layer(void *arg, const struct remake_layer **ret, size_t *ret_n, dray_error **err)
{
	struct flattening *f = arg;

	if (merged_load(&f->merged, err) < 0)
		return -1;
	f->layer.list = (struct record_list){ tree_record_next, f->merged.tree };
	*ret = &f->layer;
	*ret_n = 1;
	return 0;
}

static void flattening_clear(struct flattening *f)
{
	merged_clear(&f->merged);
}

int dray_flatten(dray_context *ctx, const char *image, const struct dray_select *sel,
		 const char *dst, const struct dray_copy_options *o, dray_relayered **ret,
		 dray_error **err)
{
	static const char *const step[] = { "dray flatten" };
	const struct stack_options so = { .contents = true, .lazy = true };
	cleanup_stack struct stack *s = NULL;
	struct flattening f CLEANUP(flattening_clear) = { .layer.keep = -1 };
	const struct together together = { write_once, plan_layer, &f };
	struct relayer_plan plan = {
		.image = image, .layers = &f.layer, .n = 1, .together = &together, .same_tree = true
	};

	if (stack_open(ctx, image, sel, &so, &s, err) < 0 ||
	    relayer_history(s, 0, step, 1, &plan, err) < 0)
		return -1;
	f.layer.stack = plan.stack = f.merged.stack = s;
	return relayer_run(&plan, dst, o, ret, err);
}
