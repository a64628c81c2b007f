/* SPDX-License-Identifier: Apache-2.0
 *
 * The tar of a merged tree, written while one of the layers is read for the first time, so
 * that this one is decoded once and not twice. What will be in the tree cannot be known before
 * that layer was read; it is foreseen, and held against the tree afterwards.
 */
#pragma once

#include "flow/sink.h"
#include "layer/write.h"

struct once_plan {
	/* All layers, bottom first; the one that passes has no entries yet. Lent. */
	const struct layer_index *const *index;
	size_t n;
	uint32_t passing;
	/* The finished tree of the others, in which that layer counts as an empty one. Lent. */
	struct tree *others;
	struct layer_feed feed; /* of the others, for layer_tar_source() of that tree */
	struct sink *out;	/* lent */
	bool contents;		/* compute layer_entry.content of the one that passes */
};

struct once;
/** @p p is copied. */
struct once *once_new(const struct once_plan *p, dray_error **err);
/**
 * Write the tar while @p in (lent), the layer's, is read to its end. 1 = all is written, and
 * *ret is what the layer holds, the caller's; 0 = what it holds is not in the order of the tree, is
 * tangled with other layers, or cannot be read: what was written is worth nothing, and the
 * layer is to be read in the ordinary way, which also says what is wrong with it. -1 = the sink
 * or the feed fails, NOMEM, CANCELLED.
 */
int once_write(struct once *o, struct source *in, struct layer_index **ret,
	       dray_error **err) MUST_CHECK;
/** After that: are the bytes exactly those of layer_tar_source() of @p l? 1, 0, -1. */
int once_holds(const struct once *o, const struct record_list *l, dray_error **err) MUST_CHECK;
void once_free(struct once *o);
DEFINE_CLEANUP(struct once, cleanup_once_fn, once_free)
#define cleanup_once CLEANUP(cleanup_once_fn)
