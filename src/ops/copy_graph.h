/* SPDX-License-Identifier: Apache-2.0
 *
 * An index as a graph of documents: what is in it, what of that is copied, and in which
 * order. copy_graph.c decides, copy_index.c copies.
 */
#pragma once

#include "ops/copy_priv.h"

#define HOLES_NAMED_MAX 20 /* holes that a message names */

enum node_kind {
	NODE_INDEX,
	NODE_IMAGE,		/* also artifacts */
	NODE_ATTESTATION,
	NODE_HOLE,		/* an index names it, the source does not have it */
	NODE_OTHER,		/* of a platform that was not asked for */
};

/** One document below a root, or the root. */
struct node {
	enum node_kind kind;
	const struct descriptor *entry;	/* that named it first; NULL: the root */
	struct manifest *index;		/* NODE_INDEX; owned */
	struct image *im;		/* NODE_IMAGE, NODE_ATTESTATION */
	/* what became of it at the destination; before the copy: kept */
	struct entry_change change;
};

struct graph {
	struct arena arena;
	struct store *store;		/* lent, as the next two */
	const struct root *root;
	const struct selector *sel;
	struct map images;		/* text of a manifest digest -> struct image */
	struct map nodes;		/* text of a digest -> struct node */
	struct node **order;		/* what is to be copied, children before parents; the root is last */
	size_t n_order, cap_order;
	size_t n_images, n_chosen;	/* no attestations: all that are named; those to be copied */
	struct buf holes;		/* their names, for people */
	size_t n_holes;
};

/** Read the indexes from the root down and decide about each entry. NOT_FOUND, LIMIT, FORMAT. */
int graph_plan(struct graph *g, struct store *st, const struct root *root,
	       const struct selector *sel, dray_error **err) MUST_CHECK;
/** The node of an entry; never NULL for entries of indexes in g->order. */
struct node *graph_node(const struct graph *g, const struct digest *d);
void graph_clear(struct graph *g);
#define cleanup_graph CLEANUP(graph_clear)
