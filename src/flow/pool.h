/* SPDX-License-Identifier: Apache-2.0
 *
 * Workers. One pool compresses blocks, run_parallel() moves whole blobs. Besides
 * this only flow/readahead.c starts threads; other rooms lock with struct lock.
 */
#pragma once

#include <stdbool.h>
#include "base/error.h"

struct pool;
struct spares;

/** @p threads >= 1; over 256, or where the system has none left, there are fewer. */
struct pool *pool_new(int threads, dray_error **err);
int pool_threads(const struct pool *p);
void pool_free(struct pool *p);	/* waits for what is queued */
/** What its users leave for the next of them; lent, see flow/spares.h. */
struct spares *pool_spares(struct pool *p);

/** One unit of work that someone will wait for. Embed it. */
struct job {
	void (*run)(struct job *job);
	struct job *next;	/* pool's */
	bool done;		/* pool's; read through job_wait() */
};
/** Queue; never blocks, never fails. The job must live until job_wait() returned. */
void pool_submit(struct pool *p, struct job *job);
/** Until @p job is done, working on others meanwhile. */
void job_wait(struct pool *p, struct job *job);

/**
 * Up to @p most credits, each for one job that a user of the pool may have in flight beyond
 * what it cannot do without: the memory of all users together stays bounded however many
 * there are. Never blocks; returns how many it got, perhaps 0, to be given back.
 */
int pool_take_credits(struct pool *p, int most);
void pool_give_credits(struct pool *p, int n);

/**
 * Call @p fn for 0..n-1 on up to @p threads threads, indices handed out in
 * order. The first error (lowest index) is kept; after a failure no new index
 * is started. Returns 0 or -1.
 */
int run_parallel(int threads, size_t n, int (*fn)(void *arg, size_t index, dray_error **err),
		 void *arg, dray_error **err) MUST_CHECK;

/** A mutex with names of our own, so that the rooms above need no pthread.h. */
struct lock;
struct lock *lock_new(dray_error **err);
void lock_free(struct lock *l);
void lock_take(struct lock *l);
void lock_drop(struct lock *l);
/** Drop @p l until somebody calls lock_wake(), and take it again; now and then for no reason. */
void lock_wait(struct lock *l);
/** Everybody who waits with @p l, which the caller has taken. */
void lock_wake(struct lock *l);

/** Number of usable CPUs (sched_getaffinity), at least 1. */
int cpu_count(void);
