/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of diff share.
 */
#pragma once

#include <dray/diff.h>

#include "layer/compare.h"
#include "ops/look_priv.h"
#include "ops/stack.h"

struct dray_diff {
	struct arena arena;
	unsigned parts;
	bool semantic;
	const char **ignore; /* patterns as paths are written: no '/' in front */
	size_t n_ignore;
	struct stack *a, *b;
	struct tree *tree_a, *tree_b; /* NULL = the layers say that they are the same */
	struct dray_diff_member *members;
	size_t n_members, cap_members;
	struct dray_diff_layer *layers;
	size_t n_layers, layers_same;
	struct dray_diff_counts counts;
	bool databases_differ; /* files that may be package databases do */
	bool packages_asked;   /* by name */
	struct dray_diff_package *packages;
	size_t n_packages, cap_packages;
};

DEFINE_CLEANUP(dray_diff, cleanup_diff_fn, dray_diff_free)
#define cleanup_diff CLEANUP(cleanup_diff_fn)

/** Fill members. */
int diff_config(struct dray_diff *d, dray_error **err) MUST_CHECK;
/** Read what has to be read, make the trees, and count what differs if it was asked for. */
int diff_files(struct dray_diff *d, dray_error **err) MUST_CHECK;
/** Fill packages; after diff_files(). */
int diff_packages(struct dray_diff *d, dray_error **err) MUST_CHECK;
/** All DiffIDs are known and the same. */
bool diff_same_layers(const struct dray_diff *d);
