/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes from one thread to another. For flow/ alone.
 */
#pragma once

#include <pthread.h>

#include "flow/source.h"

struct lane_chunk;

/** One writer, one reader. The reader is a source: it sees what was written, then the last word. */
struct lane {
	struct source base;
	struct lane_chunk *current; /* the reader's */

	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t filled; /* for the reader: a chunk, or the end */
	pthread_cond_t freed;  /* for the writer: a free chunk, or stop */
	struct lane_chunk *free;
	struct lane_chunk *held; /* not full; the writer takes it back to add bytes */
	struct lane_chunk *queue, **tail;
	size_t want; /* bytes that the reader lacks */
	bool stop;   /* the reader wants no more */
	bool done;   /* the writer said its last word */
	bool failed; /* ... which was error, and comes after the queue */
	dray_error *error;
};

/** Room for @p ahead bytes that the writer may be ahead; @p l zeroed. lane_clear() also on failure. */
int lane_init(struct lane *l, size_t ahead, dray_error **err) MUST_CHECK;
void lane_clear(struct lane *l);

/** Some of @p bytes, waiting for room; how many, 0 = the reader wants no more. The writer's. */
size_t lane_write(struct lane *l, struct span bytes);
/** The end, or @p error (taken over) in its place when @p failed. The writer's, once. */
void lane_finish(struct lane *l, bool failed, dray_error *error);
/** Whoever reads will not go on; a writer that waits returns. */
void lane_stop(struct lane *l);

/* The reader's, as source_ops. */
int lane_peek(struct source *s, size_t min, struct span *ret, dray_error **err);
void lane_consume(struct source *s, size_t n);
