/* SPDX-License-Identifier: Apache-2.0
 *
 * The merged tree as a digest.
 * Relies on ops/stack for proven layers, on layer/ for what they mean.
 */
#include "layer/rootfs.h"

#include "ops/stack.h"

int dray_rootfs_id(dray_context *ctx, const char *image, const struct dray_select *sel, bool mtime,
		   char ret[DRAY_DIGEST_SIZE], dray_error **err)
{
	const struct stack_options o = { .contents = true };
	cleanup_stack struct stack *s = NULL;
	cleanup_tree struct tree *t = NULL;
	struct digest id;

	if (stack_open(ctx, image, sel, &o, &s, err) < 0 || stack_tree(s, s->n, &t, err) < 0 ||
	    rootfs_id(t, mtime, &id, err) < 0)
		return -1;
	snprintf(ret, DRAY_DIGEST_SIZE, "%s", id.text);
	return 0;
}
