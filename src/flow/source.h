/* SPDX-License-Identifier: Apache-2.0
 *
 * Pulling bytes. A source lends what it has; the reader consumes what it used.
 * End is final, failure is sticky. Functions that take a source consume it on
 * success and failure, and pass NULL through with the first error intact, so a
 * pipeline is one statement per stage.
 */
#pragma once

#include "base/span.h"
#include "digest/digest.h"

#define SOURCE_PEEK_MAX (128 * 1024)	/* bytes: the most a reader may ask for at once */

struct source;
struct spares;

/** What a kind of source does. Not called again after a failure; peek not after the end. */
struct source_ops {
	/**
	 * Lend at least @p min bytes (1..SOURCE_PEEK_MAX), fewer only at the end,
	 * more when they are at hand. Repeated calls without consume see the same bytes.
	 */
	int (*peek)(struct source *s, size_t min, struct span *ret, dray_error **err);
	/** Advance by @p n, at most what the last peek lent. */
	void (*consume)(struct source *s, size_t n);
	/** Optional: advance by @p n without reading; how far (less only at the end), -1. */
	int64_t (*skip)(struct source *s, int64_t n, dray_error **err);
	/** Optional: start again at byte @p off of the same stream. A refusal changes nothing. */
	int (*rewind)(struct source *s, int64_t off, dray_error **err);
	/** Optional: see source_own_extent(); nothing was taken yet. */
	int (*own_extent)(struct source *s, int *ret_fd, int64_t *ret_off, int64_t *ret_len,
			  dray_error **err);
	/** Free the private part; the struct itself too. */
	void (*free)(struct source *s);
};

/** First member of every concrete source. */
struct source {
	const struct source_ops *ops;
	int64_t pos;	/* bytes consumed so far */
	bool ended;	/* peek has reported the end with nothing left */
	bool failed;
	size_t lent;	/* bytes of the current loan that are not consumed */
};

/** See source_ops.peek. A loan lasts until the next call on @p s. */
int source_peek(struct source *s, size_t min, struct span *ret, dray_error **err) MUST_CHECK;
void source_consume(struct source *s, size_t n);
/** Copy out what is at hand, up to @p len; returns the count, 0 = end, -1. */
int64_t source_read(struct source *s, void *data, size_t len, dray_error **err) MUST_CHECK;
/** Exactly @p len bytes or FORMAT "truncated at byte N". */
int source_read_exact(struct source *s, void *data, size_t len, dray_error **err) MUST_CHECK;
/** Skip up to @p n; how far, -1. By ops.skip where there is one: watching stages have none. */
int64_t source_skip(struct source *s, int64_t n, dray_error **err) MUST_CHECK;
/** Read to the end, throwing the bytes away. */
int source_drain(struct source *s, dray_error **err) MUST_CHECK;
/** All bytes into @p ret (its max applies). */
int source_slurp(struct source *s, struct buf *ret, dray_error **err) MUST_CHECK;
bool source_can_rewind(const struct source *s);
/** Start again at @p off; UNSUPPORTED, and nothing changed, when it cannot. Not after a failure. */
int source_rewind(struct source *s, int64_t off, dray_error **err) MUST_CHECK;
void source_free(struct source *s);

static inline void cleanup_source_fn(struct source **s)
{
	source_free(*s);
}
#define cleanup_source CLEANUP(cleanup_source_fn)

/* ---- where bytes come from ---- */

/** Lent memory, which must outlive the source. */
struct source *source_from_span(struct span bytes, dray_error **err);
/** A descriptor read forward with read(2); closed on free when @p own. Not seekable. */
struct source *source_from_fd(int fd, bool own, dray_error **err);
/**
 * @p len bytes at @p off of a regular file, with pread(2): many may share one fd, which
 * is lent. Skips and rewinds; a skip does not look whether the bytes are there. Ending
 * early is CORRUPT "file changed or truncated".
 */
struct source *source_from_extent(int fd, int64_t off, int64_t len, dray_error **err);
/** The first @p len bytes of @p fd in the same way, which is taken over, also on failure. */
struct source *source_from_file(int fd, int64_t len, dray_error **err);

/**
 * Where @p s reads from, if it is a source_from_extent() from which nothing was taken yet:
 * who wants to go back to the bytes need not copy them. False leaves the rest alone.
 */
bool source_extent(const struct source *s, int *ret_fd, int64_t *ret_off, int64_t *ret_len);
/**
 * The same with a descriptor of the caller's own, so also of files that are closed with their source
 * and of sources that are opened when they are read: 1, 0 = it is none, -1.
 */
int source_own_extent(struct source *s, int *ret_fd, int64_t *ret_off, int64_t *ret_len,
		      dray_error **err) MUST_CHECK;

/* ---- stages: each consumes @p in ---- */

/** The next @p len bytes of @p in, *lent*, which stays behind them. Ending early is FORMAT. */
struct source *source_limit(struct source *in, int64_t len, dray_error **err);

/** All of @p in, which is *lent*: freeing the stage leaves @p in where reading stopped. */
struct source *source_lend(struct source *in, dray_error **err);

/** Something that watches bytes go by. Called once for each consumed byte, in order. */
struct tap {
	void (*see)(void *arg, struct span bytes);
	void *arg;
};
/** Every byte that leaves @p in is shown to @p tap (lent). Skips become reads. */
struct source *source_watch(struct source *in, struct tap tap, dray_error **err);
/** Hash what passes into @p h (lent). */
struct source *source_hash(struct source *in, struct hash *h, dray_error **err);
/**
 * Check digest and size (-1 = unknown) of what passes; a mismatch is reported in
 * place of the end, so a reader that saw the end holds proven bytes.
 * @p what names it in the error ("blob digest").
 *
 * Exactly: a loan that reaches the end (it is shorter than asked for) or the
 * expected size is compared before it is lent, and a byte too many fails at once.
 */
struct source *source_verified(struct source *in, const struct digest *expect, int64_t size,
			       const char *what, dray_error **err);
/** The same for the rest of a stream whose beginning @p seen (taken over, left empty) has hashed. */
struct source *source_verified_rest(struct source *in, struct hash *seen,
				    const struct digest *expect, int64_t size, const char *what,
				    dray_error **err);
/**
 * Keep the last @p window bytes that passed, so that rewind works that far back
 * on a stream that cannot be opened again (pipes).
 */
struct source *source_replayable(struct source *in, size_t window, dray_error **err);
/** The same; what it keeps bytes in comes from @p spares, lent, and goes there again. */
struct source *source_replayable_from(struct spares *spares, struct source *in, size_t window,
				      dray_error **err);
/**
 * A source that can be opened again: @p open makes a fresh one at the first read and
 * after each rewind, and what was read before is skipped. @p arg is freed with
 * @p free_arg (may be NULL), also on failure.
 */
struct source *source_reopenable(struct source *(*open)(void *arg, dray_error **err), void *arg,
				 void (*free_arg)(void *arg), dray_error **err);
/** The same with an @p open whose source begins at byte @p off: nothing is read to be skipped. */
struct source *source_reopenable_at(struct source *(*open)(void *arg, int64_t off,
							   dray_error **err),
				    void *arg, void (*free_arg)(void *arg), dray_error **err);
/**
 * Move the reading of @p in to a thread of its own, up to @p ahead bytes ahead.
 * Taps inside @p in run on that thread; what they collected may be read once the
 * end was seen. Freeing breaks off what @p in waits for where it looks at the cancel flag
 * (cancel.h), but waits for a read(2) in progress: on a pipe whose writer stays silent that
 * is as long as the silence.
 */
struct source *source_readahead(struct source *in, size_t ahead, dray_error **err);
typedef int branch_fn(void *arg, struct source *copy, dray_error **err);
/**
 * Let @p read see all that passes, too, as @p copy (lent) on a thread of its own. It may lag
 * behind a little; in place of the end the stage waits for it, and its error comes there
 * at the latest. A stage that is freed before shows it CANCELLED.
 */
struct source *source_branch(struct source *in, branch_fn *read, void *arg, dray_error **err);
/**
 * For tests: lend fewer than @p piece (>= 1) bytes more than asked for, so that who
 * asks for 1 gets pieces of that size; and fail once the reader asks to see past
 * byte @p fail_at (-1 = never; the length = in place of the end).
 */
struct source *source_torn(struct source *in, size_t piece, int64_t fail_at, dray_error **err);
