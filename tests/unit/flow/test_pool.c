/* SPDX-License-Identifier: Apache-2.0 */
/* For: the pool, run_parallel() and locks.
 * Relies on: counting what ran.
 * Promises: each job and index runs once; the lowest failing index is reported.
 */
#include "flow/pool.h"
#include "flow/spares.h"

#include <signal.h>

#include "torture.h"

#define JOBS 500

struct counted {
	struct job job;
	int ran;
	bool signals_blocked;
};

static void count(struct job *job)
{
	struct counted *c = (struct counted *)job;
	sigset_t set;

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	c->signals_blocked = sigismember(&set, SIGINT) == 1;
	c->ran++;
}

static void each_job_runs_once(void **state)
{
	static const int threads[] = { 1, 2, 5 };

	(void)state;
	for (size_t i = 0; i < ROWS(threads); i++) {
		dray_error *err = NULL;
		struct pool *p = pool_new(threads[i], &err);
		struct counted *jobs = calloc(JOBS, sizeof(*jobs));

		assert_ok(p ? 0 : -1, err);
		assert_int_equal(pool_threads(p), threads[i]);
		for (int k = 0; k < JOBS; k++) {
			jobs[k].job.run = count;
			pool_submit(p, &jobs[k].job);
		}
		for (int k = JOBS - 1; k >= 0; k--) {
			job_wait(p, &jobs[k].job);
			assert_int_equal(jobs[k].ran, 1);
		}
		/* A job may be used again. */
		pool_submit(p, &jobs[0].job);
		job_wait(p, &jobs[0].job);
		assert_int_equal(jobs[0].ran, 2);
		pool_free(p);
		free(jobs);
	}
}

static void freeing_waits_for_the_queue(void **state)
{
	dray_error *err = NULL;
	struct pool *p = pool_new(2, &err);
	struct counted *jobs = calloc(JOBS, sizeof(*jobs));

	(void)state;
	for (int k = 0; k < JOBS; k++) {
		jobs[k].job.run = count;
		pool_submit(p, &jobs[k].job);
	}
	pool_free(p);
	for (int k = 0; k < JOBS; k++) {
		assert_int_equal(jobs[k].ran, 1);
		assert_true(jobs[k].signals_blocked);
	}
	free(jobs);
	pool_free(NULL);
}

static void credits_are_shared(void **state)
{
	dray_error *err = NULL;
	struct pool *p = pool_new(3, &err);

	(void)state;
	assert_ok(p ? 0 : -1, err);
	assert_int_equal(pool_take_credits(p, 0), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pool_take_credits(p, 2), 2);
	assert_int_equal(pool_take_credits(p, 2), 1);
	assert_int_equal(pool_take_credits(p, 2), 0);
	pool_give_credits(p, 1);
	assert_int_equal(pool_take_credits(p, 2), 1);
	pool_free(p);
}

struct indices {
	struct lock *lock;
	int ran[100];
	size_t fails[2]; /* indices that fail; 100 = none */
	bool silent;	 /* fail without an error object */
};

static int visit(void *arg, size_t index, dray_error **err)
{
	struct indices *x = arg;

	lock_take(x->lock);
	x->ran[index]++;
	lock_drop(x->lock);
	if (index != x->fails[0] && index != x->fails[1])
		return 0;
	return x->silent ? -1 : err_set(err, DRAY_ERR_FORMAT, "index %zu", index);
}

static void each_index_runs_once(void **state)
{
	static const int threads[] = { 1, 2, 7, 300 };

	(void)state;
	for (size_t i = 0; i < ROWS(threads); i++) {
		for (size_t n = 0; n <= 100; n += 50) {
			dray_error *err = NULL;
			struct indices x = { .lock = lock_new(&err), .fails = { 100, 100 } };

			assert_ok(run_parallel(threads[i], n, visit, &x, &err), err);
			for (size_t k = 0; k < 100; k++)
				assert_int_equal(x.ran[k], k < n);
			lock_free(x.lock);
		}
	}
}

static void first_failure_is_kept(void **state)
{
	(void)state;
	for (int threads = 1; threads <= 4; threads++) {
		dray_error *err = NULL;
		struct indices x = { .lock = lock_new(&err), .fails = { 40, 41 } };
		int after = 0;

		assert_int_equal(run_parallel(threads, 100, visit, &x, &err), -1);
		/* 41 may fail first, but 40 was started before it. */
		assert_err(err, DRAY_ERR_FORMAT, "index 40");
		for (size_t k = 41; k < 100; k++)
			after += x.ran[k];
		assert_true(threads > 1 || after == 0);
		assert_int_equal(run_parallel(threads, 100, visit, &x, NULL), -1);
		x.silent = true;
		assert_int_equal(run_parallel(threads, 100, visit, &x, &err), -1);
		assert_null(err);
		lock_free(x.lock);
	}
}

struct kept {
	struct spare spare;
	int *freed;
};

static void free_kept(struct spare *s)
{
	++*((struct kept *)s)->freed;
}

static void free_other(struct spare *s)
{
	free_kept(s);
}

static void spares_are_given_to_their_kind(void **state)
{
	int freed = 0;
	struct kept a = { { NULL, 1, free_kept }, &freed };
	struct kept b = { { NULL, 2, free_kept }, &freed };
	struct kept c = { { NULL, 1, free_other }, &freed };
	dray_error *err = NULL;
	struct pool *pool = pool_new(1, &err);
	struct spares *s = pool_spares(pool);

	(void)state;
	assert_null(spares_take(s, 1, free_kept));
	spares_give(s, NULL);
	spares_give(s, &a.spare);
	spares_give(s, &b.spare);
	spares_give(s, &c.spare);
	assert_null(spares_take(s, 2, free_other));
	assert_ptr_equal(spares_take(s, 1, free_kept), &a.spare);
	assert_null(spares_take(s, 1, free_kept));
	assert_ptr_equal(spares_take(s, 1, free_other), &c.spare);
	spares_give(s, &a.spare);
	assert_int_equal(freed, 0);
	pool_free(pool); /* with what it holds, and no more */
	assert_int_equal(freed, 2);
}

static void there_is_a_cpu(void **state)
{
	(void)state;
	assert_true(cpu_count() >= 1);
}

static int make_both(void *arg, dray_error **err)
{
	struct lock *l = lock_new(err);
	struct pool *p = l ? pool_new(2, err) : NULL;

	(void)arg;
	lock_free(l);
	pool_free(p);
	return p ? 0 : -1;
}

static void allocations_fail_cleanly_G17(void **state)
{
	(void)state;
	torture_alloc(make_both, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_job_runs_once),
		cmocka_unit_test(freeing_waits_for_the_queue),
		cmocka_unit_test(credits_are_shared),
		cmocka_unit_test(each_index_runs_once),
		cmocka_unit_test(first_failure_is_kept),
		cmocka_unit_test(spares_are_given_to_their_kind),
		cmocka_unit_test(there_is_a_cpu),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
