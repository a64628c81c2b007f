/* SPDX-License-Identifier: Apache-2.0
 *
 * The tar of a merged tree, or several into which it is cut, written while one of the layers is read
 * for the first time, so that this one is decoded once and not twice. What will be in the tree
 * cannot be known before that layer was read; it is foreseen, and held against the tree afterwards.
 */
#pragma once

#include "flow/sink.h"
#include "layer/write.h"

/** Into which of several tars what lies where goes. A folder is in each that has something of it, as it is. */
struct once_cut {
	/** The number of the tar for @p path; of a folder: where it goes when nothing lies in it. */
	size_t (*tar_of)(void *arg, const char *path);
	void *arg;
};

#define ONCE_TARS_MAX 8

struct once_plan {
	/* All layers, bottom first; the one that passes has no entries yet. Lent. */
	const struct layer_index *const *index;
	size_t n;
	uint32_t passing;
	/* The finished tree of the others, in which that layer counts as an empty one. Lent. */
	struct tree *others;
	struct layer_feed feed; /* of the others, for layer_tar_source() of that tree */
	struct sink *const *out; /* all lent */
	size_t n_out;		 /* up to ONCE_TARS_MAX */
	const struct once_cut *cut; /* lent; NULL = there is one tar */
	bool contents;		/* compute layer_entry.content of the one that passes */
};

struct once;
/** @p p is copied, what it points to is not. */
struct once *once_new(const struct once_plan *p, dray_error **err);
/**
 * Write the tars while @p in (lent), the layer's, is read to its end. 1 = all is written, and
 * *ret is what the layer holds, the caller's; 0 = what it holds is not in the order of the tree, is
 * tangled with other layers, or cannot be read, or a tar got nothing: what was written is worth
 * nothing, and the layer is to be read in the ordinary way, which also says what is wrong with it.
 * -1 = a sink or the feed fails, NOMEM, CANCELLED.
 */
int once_write(struct once *o, struct source *in, struct layer_index **ret,
	       dray_error **err) MUST_CHECK;
/** After that: are the bytes of tar @p tar exactly those of layer_tar_source() of @p l? 1, 0, -1. */
int once_holds(const struct once *o, size_t tar, const struct record_list *l,
	       dray_error **err) MUST_CHECK;
void once_free(struct once *o);
DEFINE_CLEANUP(struct once, cleanup_once_fn, once_free)
#define cleanup_once CLEANUP(cleanup_once_fn)
