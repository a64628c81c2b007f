/* SPDX-License-Identifier: Apache-2.0
 *
 * What unpack and extract share: a tree on its way to the disk.
 */
#pragma once

#include <dray/rootfs.h>

#include "base/outdir.h"
#include "layer/disk.h"
#include "ops/stack.h"

struct unpacking {
	dray_context *ctx;
	struct dray_unpack_options o;
	struct outdir out;
	struct disk *disk;
	struct stack *s;
	struct tree *tree;
	uint32_t *homes; /* of each layer of the tree: its distinct layer */
};
#define UNPACKING_INIT ((struct unpacking){ .out = OUTDIR_INIT })

/** Begin the folder @p dir; @p filled_ok: it may hold other things. @p o NULL = defaults. */
int unpacking_begin(struct unpacking *u, dray_context *ctx, const char *dir, bool filled_ok,
		    const struct dray_unpack_options *o, dray_error **err) MUST_CHECK;
void unpacking_clear(struct unpacking *u);
#define cleanup_unpacking CLEANUP(unpacking_clear)

/** A place for the contents of each distinct layer of u->s. */
int unpacking_add_layers(struct unpacking *u, dray_error **err) MUST_CHECK;
/** A stack_file_fn: keeps the content; @p arg is the struct unpacking. */
int unpacking_put(void *arg, size_t read, const struct layer_entry *e, struct source *data,
		  dray_error **err) MUST_CHECK;
/** Merge the layers from @p from on into u->tree. */
int unpacking_merge(struct unpacking *u, size_t from, dray_error **err) MUST_CHECK;
/** Build @p top under @p name (see disk_build()), give it its place, tell what was left out. */
int unpacking_finish(struct unpacking *u, const struct node *top, const char *name,
		     struct dray_unpack_result *ret, dray_error **err) MUST_CHECK;
