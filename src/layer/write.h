/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes as a tar again. What nobody changed keeps its raw header, data and padding
 * byte for byte; the rest gets a new header and the old data.
 */
#pragma once

#include "layer/tree.h"

enum record_kind {
	RECORD_NODE,
	RECORD_WHITEOUT, /* of the node, which the layers below have and this one has not */
	/* As NODE, but its header is ours even where it is in a layer as it should be. */
	RECORD_MADE,
	/* A folder on the way, which a layer above describes in full: all but its time, which is 0. */
	RECORD_PARENT,
};
/** One entry to be written. */
struct record {
	enum record_kind kind;
	const struct node *node;
	/* A name of the same inode that the reader of this tar has already; NULL = none. */
	const struct node *link;
	size_t place; /* the list's own */
};
/**
 * What to write, in order: folders before what they hold, and nothing twice. @p at is the last
 * record handed out, its node NULL before the first; false = end. Walked more than once.
 */
struct record_list {
	bool (*next)(const struct record_list *l, const struct record *at, struct record *ret);
	const void *arg;
};

/** Hands out every node of a finished tree (arg) in its order. */
bool tree_record_next(const struct record_list *l, const struct record *at,
		      struct record *ret);

/** Bytes of the uncompressed tar of a layer. */
struct layer_feed {
	/** Up to @p len bytes at @p off of layer @p layer into @p data; at least one, else -1. */
	int64_t (*read)(void *arg, uint32_t layer, int64_t off, void *data, size_t len,
			dray_error **err);
	void *arg;
	/**
	 * May be NULL: lends what is at hand at @p off, until the next call, for who need not copy
	 * it. Nothing = it is to be read. That more is not read is no failure.
	 */
	int (*lend)(void *arg, uint32_t layer, int64_t off, struct span *ret, dray_error **err);
};

/** A piece of a layer that is wanted after bytes that lie behind it. */
struct late {
	int64_t off, size;
	int64_t before; /* bytes of the pieces with lower offsets */
};
/** How writing a list reads one layer: forward, but for these pieces. */
struct layer_order {
	struct late *late; /* in the order of their offsets */
	size_t n_late, cap_late;
	int64_t late_bytes;
};
/** @p ret has @p n_layers zeroed elements, to be cleared also on failure. */
int layer_tar_order(const struct record_list *l, struct layer_order *ret, size_t n_layers,
		    dray_error **err) MUST_CHECK;
void layer_orders_clear(struct layer_order *o, size_t n_layers);
/** Bytes of the tar that layer_tar_source() makes. */
int layer_tar_size(const struct record_list *l, int64_t *ret, dray_error **err) MUST_CHECK;
/** One entry of that tar. */
struct layer_part {
	struct span head;   /* lent for the call; empty: one of ours is not made, the stored one stays */
	uint32_t layer;	    /* whose bytes follow: so many, from there */
	int64_t off, size;
};
/**
 * Everything that layer_tar_source() depends on but the bytes themselves. What @p fn returns other
 * than 0 ends the walk and is returned.
 */
int layer_tar_walk(const struct record_list *l,
		   int (*fn)(void *arg, const struct layer_part *p, dray_error **err), void *arg,
		   dray_error **err) MUST_CHECK;
/**
 * The tar as a source: entries as @p l names them, then two zero blocks. The first name of
 * an inode carries its data, the others become hard links to it. All is lent.
 */
struct source *layer_tar_source(const struct record_list *l, const struct layer_feed *feed,
				dray_error **err);
