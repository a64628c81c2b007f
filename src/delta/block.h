/* SPDX-License-Identifier: Apache-2.0
 *
 * The blocks of a recipe on their way out: gathered, compressed side by side, written in order.
 */
#pragma once

#include "delta/recipe_priv.h"

/** What is gathered: operations, the data they take, the prefix that these are compressed beside. */
struct block {
	struct buf ops;
	uint8_t *data, *prefix; /* of one window and of RECIPE_PREFIX_WINDOWS */
	size_t data_len, prefix_len;
	const struct recipe_bases *bases; /* lent */
	struct recipe_cursor at;
	/* Not written yet, for the next may belong to it: a COPY, or a REF and then data. */
	struct {
		enum recipe_op_kind kind;
		size_t base;
		int64_t off;
		uint64_t n; /* 0 = none */
	} pending;
	uint64_t taken;
	bool dense; /* its data are known not to shrink much */
};

/** An operation; with those of its kind before it told as one where they meet. */
int block_take(struct block *b, size_t n, dray_error **err) MUST_CHECK;
int block_copy(struct block *b, size_t base, int64_t off, int64_t n, dray_error **err) MUST_CHECK;
int block_ref(struct block *b, size_t base, int64_t off, int64_t n, dray_error **err) MUST_CHECK;

struct queue;
/** @p o is complete; @p b and @p out are lent. */
struct queue *queue_new(const struct recipe_options *o, const struct recipe_bases *b,
			struct sink *out, dray_error **err);
/** The block that is gathered. */
struct block *queue_now(struct queue *b);
/** It is complete: the next one, empty, takes its place. Nothing happens to an empty one. */
int queue_cut(struct queue *b, dray_error **err) MUST_CHECK;
/** Cut, and write all that was gathered. */
int queue_finish(struct queue *b, dray_error **err) MUST_CHECK;
/** Waits for what is in the works. */
void queue_free(struct queue *b);
DEFINE_CLEANUP(struct queue, cleanup_queue_fn, queue_free)
#define cleanup_queue CLEANUP(cleanup_queue_fn)
