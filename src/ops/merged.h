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
 * Then, once: write the tar, or the @p n that @p cut makes of it (lent; NULL = one), while that layer
 * is read for the first time. 0 = nothing could be foreseen, and what @p out got is worth nothing;
 * 1 = all layers are loaded, and merged_holds() says what it is worth; -1.
 */
int merged_pass(struct merged *m, struct sink *const *out, size_t n, const struct once_cut *cut,
		dray_error **err) MUST_CHECK;
/** After that: is tar number @p tar what @p l would be? 1, 0, -1. */
int merged_holds(const struct merged *m, size_t tar, const struct record_list *l,
		 dray_error **err) MUST_CHECK;
/** All of that for one tar of all files: 1, 0 = it is to be written in two passes, -1. */
int merged_write_once(struct merged *m, struct sink *k, dray_error **err) MUST_CHECK;

/** The tree, all layers loaded for it. */
int merged_load(struct merged *m, dray_error **err) MUST_CHECK;
/** The tar in two passes, after merged_load(). */
int merged_write(struct merged *m, struct sink *k, dray_error **err) MUST_CHECK;
