/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree from inside.
 */
#pragma once

#include "layer/tree.h"

struct tree {
	struct arena arena;
	struct node *root;
	struct node **table; /* open addressing by parent and name; NULL = free */
	size_t table_len, used;
	uint32_t n_layers;
	uint32_t below; /* see tree_set_below() */
	size_t n_applied; /* entries of all layers */
	size_t count;
	bool partial; /* hard links may lead to layers that were not applied */
	tree_oddity_fn *on_odd;
	void *arg;
};
