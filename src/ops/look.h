/* SPDX-License-Identifier: Apache-2.0
 *
 * One path in a stack, asked of the layers from the top one down: those below the answer
 * are not read.
 */
#pragma once

#include "layer/removal.h"
#include "ops/stack.h"

struct look {
	struct stack *s;      /* lent; lazy */
	struct tree **layers; /* of each layer alone; NULL = not asked yet */
	struct removals *gone; /* likewise */
};

int look_init(struct look *l, struct stack *s, dray_error **err) MUST_CHECK;
void look_clear(struct look *l);
#define cleanup_look CLEANUP(look_clear)

/** What one layer says about a path. */
enum seen {
	SEEN_NOTHING, /* the layers below decide */
	SEEN_HERE,    /* it is there, whatever the layers below have */
	SEEN_GONE,    /* it is not there, whatever the layers below have */
};
/** Of layer @p i and cleaned @p path; *ret_node is set for SEEN_HERE. */
int look_layer(struct look *l, size_t i, const char *path, enum seen *ret,
	       const struct node **ret_node, dray_error **err) MUST_CHECK;
/** Does layer @p i, which was looked at, take away by name what the layers below have there? */
int look_whited_out(struct look *l, size_t i, const char *path, bool *ret,
		    dray_error **err) MUST_CHECK;

/** What lies at a path: node of the tree of one layer; NULL = nothing. */
struct found {
	const struct node *node;
	size_t layer;
};
/**
 * The file at cleaned @p path of the lowest @p n layers. Hard links are gone down to the layer
 * that has the bytes, symbolic links are not followed.
 */
int look_at(struct look *l, size_t n, const char *path, struct found *ret,
	    dray_error **err) MUST_CHECK;

/**
 * The lowest layer that matters for what lies at cleaned @p path and below: a merged tree of it and
 * those above it, which were all read then, has there what that of all layers has. 1, 0 = nothing
 * lies there, -1. Newest first and no further than it takes; a folder of an image that is no
 * registry's is told by all layers, read side by side.
 */
int look_lowest(struct look *l, const char *path, size_t *ret, dray_error **err) MUST_CHECK;

/**
 * Where @p path, as a user types it, leads inside the image, as chroot(2) would have it: "..",
 * symbolic links on the way, and the last one too if @p follow or a '/' behind it says so.
 * @p ret becomes the cleaned path with a NUL that is not counted; the last name need not be
 * there, its folder must. NOT_FOUND.
 */
int look_resolve(struct look *l, const char *path, bool follow, struct buf *ret,
		 dray_error **err) MUST_CHECK;
