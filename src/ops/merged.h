/* SPDX-License-Identifier: Apache-2.0
 *
 * All files of an image as one tar: in two passes, what is where and then the bytes, or in one
 * where the biggest layer can be decoded once only. The bytes are the same.
 */
#pragma once

#include "layer/once.h"
#include "ops/stack.h"

/** Zeroed but for the stack, which is lent and lazy. */
struct merged {
	struct stack *stack;
	struct tree *tree; /* of all layers; NULL = not yet */
	/* From merged_foresee() until it is written: */
	size_t passing;
	struct tree *others;
	struct once *once;
};
void merged_clear(struct merged *m);
#define cleanup_merged CLEANUP(merged_clear)

/**
 * Load all layers but the biggest, so that the tar can be foreseen. 0 = there is none that is
 * worth it, and the tar is to be written in two passes; 1; -1.
 */
int merged_foresee(struct merged *m, dray_error **err) MUST_CHECK;
/**
 * Then, once: write the tar while that layer is read for the first time. 0 = it was not foreseen, and
 * what @p k got is worth nothing; 1 = all layers are loaded; -1.
 */
int merged_write_once(struct merged *m, struct sink *k, dray_error **err) MUST_CHECK;

/** The tree, all layers loaded for it. */
int merged_load(struct merged *m, dray_error **err) MUST_CHECK;
/** The tar in two passes, after merged_load(). */
int merged_write(struct merged *m, struct sink *k, dray_error **err) MUST_CHECK;
