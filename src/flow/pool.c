/* SPDX-License-Identifier: Apache-2.0 */
/* For: the worker pool, run_parallel() and locks.
 * Relies on: pthreads.
 * Promises: jobs run once each; workers take no signals, so an interrupt reaches
 * the main thread; nobody waits while a job is queued that they could run.
 */
#include "flow/pool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "base/mem.h"
#include "flow/spares.h"
#include "flow/thread_priv.h"

#define POOL_MAX 256
#define CREDITS_PER_THREAD 3	   /* three users keep all workers busy, the rest take turns */
#define CREDITS_MORE 8		   /* where workers are few one user has them all */
#define WORKER_STACK (1024 * 1024) /* bytes; the name resolver inside libcurl wants most of it */

int thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int rc = pthread_attr_init(&attr);

	if (rc != 0)
		return rc;
	sigfillset(&all);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(ret, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

/* ---- the pool ---- */

struct pool {
	pthread_mutex_t mutex; /* guards all below and every job's next and done */
	pthread_cond_t queued; /* for workers: a job, or stop */
	pthread_cond_t done;   /* for job_wait() */
	struct job *head, **tail;
	bool stop;
	int credits; /* not taken */
	int threads;
	struct spares *spares;
	pthread_t thread[];
};

/* Take the oldest job; NULL = none. With the mutex held. */
static struct job *pool_pop(struct pool *p)
{
	struct job *job = p->head;

	if (!job)
		return NULL;
	p->head = job->next;
	if (!p->head)
		p->tail = &p->head;
	return job;
}

/* Run @job with the mutex dropped. */
static void pool_run(struct pool *p, struct job *job)
{
	pthread_mutex_unlock(&p->mutex);
	job->run(job);
	pthread_mutex_lock(&p->mutex);
	job->done = true;
	pthread_cond_broadcast(&p->done);
}

static void *pool_worker(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->mutex);
	for (;;) {
		struct job *job = pool_pop(p);

		if (job)
			pool_run(p, job);
		else if (p->stop)
			break;
		else
			pthread_cond_wait(&p->queued, &p->mutex);
	}
	pthread_mutex_unlock(&p->mutex);
	return NULL;
}

struct pool *pool_new(int threads, dray_error **err)
{
	assert(threads >= 1);
	if (threads > POOL_MAX)
		threads = POOL_MAX;

	struct pool *p = mem_zalloc(sizeof(*p) + (size_t)threads * sizeof(p->thread[0]));

	if (!p) {
		err_nomem(err);
		return NULL;
	}
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->queued, NULL);
	pthread_cond_init(&p->done, NULL);
	p->tail = &p->head;
	p->spares = spares_new();
	if (!p->spares) {
		pool_free(p);
		err_nomem(err);
		return NULL;
	}
	for (; p->threads < threads; p->threads++) {
		int rc = thread_start(&p->thread[p->threads], pool_worker, p);

		/* Where the system limits threads, one worker still does all the work. */
		if (rc != 0 && p->threads == 0) {
			pool_free(p);
			err_sys(err, rc, "cannot start a thread");
			return NULL;
		}
		if (rc != 0)
			break;
	}
	pool_give_credits(p, CREDITS_PER_THREAD * p->threads + CREDITS_MORE);
	return p;
}

int pool_threads(const struct pool *p)
{
	return p->threads;
}

struct spares *pool_spares(struct pool *p)
{
	return p->spares;
}

void pool_free(struct pool *p)
{
	int keep_errno = errno;

	if (!p)
		return;
	pthread_mutex_lock(&p->mutex);
	p->stop = true;
	pthread_cond_broadcast(&p->queued);
	pthread_mutex_unlock(&p->mutex);
	for (int i = 0; i < p->threads; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->queued);
	pthread_mutex_destroy(&p->mutex);
	spares_free(p->spares);
	mem_free(p);
	errno = keep_errno;
}

void pool_submit(struct pool *p, struct job *job)
{
	pthread_mutex_lock(&p->mutex);
	job->next = NULL;
	job->done = false;
	*p->tail = job;
	p->tail = &job->next;
	pthread_cond_signal(&p->queued);
	pthread_mutex_unlock(&p->mutex);
}

void job_wait(struct pool *p, struct job *job)
{
	pthread_mutex_lock(&p->mutex);
	while (!job->done) {
		struct job *other = pool_pop(p);

		if (other)
			pool_run(p, other);
		else
			pthread_cond_wait(&p->done, &p->mutex);
	}
	pthread_mutex_unlock(&p->mutex);
}

int pool_take_credits(struct pool *p, int most)
{
	pthread_mutex_lock(&p->mutex);
	int n = most < p->credits ? most : p->credits;

	p->credits -= n;
	pthread_mutex_unlock(&p->mutex);
	return n;
}

void pool_give_credits(struct pool *p, int n)
{
	pthread_mutex_lock(&p->mutex);
	p->credits += n;
	pthread_mutex_unlock(&p->mutex);
}

/* ---- run_parallel ---- */

struct parallel {
	pthread_mutex_t mutex; /* guards next, failed and error */
	size_t next, n;
	size_t failed;	   /* lowest index that failed; n = none */
	dray_error *error; /* of that index */
	int (*fn)(void *arg, size_t index, dray_error **err);
	void *arg;
};

/* The next index to work on; false = no more. */
static bool parallel_next(struct parallel *p, size_t *ret)
{
	pthread_mutex_lock(&p->mutex);
	bool more = p->next < p->n && p->failed == p->n;

	if (more)
		*ret = p->next++;
	pthread_mutex_unlock(&p->mutex);
	return more;
}

/* Keep @error if no lower index failed; consumes it. */
static void parallel_fail(struct parallel *p, size_t index, dray_error *error)
{
	pthread_mutex_lock(&p->mutex);
	if (index < p->failed) {
		dray_error *old = p->error;

		p->failed = index;
		p->error = error;
		error = old;
	}
	pthread_mutex_unlock(&p->mutex);
	dray_error_free(error);
}

static void *parallel_work(void *arg)
{
	struct parallel *p = arg;
	size_t index;

	while (parallel_next(p, &index)) {
		dray_error *error = NULL;

		if (p->fn(p->arg, index, &error) < 0)
			parallel_fail(p, index, error);
	}
	return NULL;
}

int run_parallel(int threads, size_t n, int (*fn)(void *arg, size_t index, dray_error **err),
		 void *arg, dray_error **err)
{
	struct parallel p = { .n = n, .failed = n, .fn = fn, .arg = arg };
	pthread_t helper[POOL_MAX];
	int helpers = 0;

	assert(threads >= 1);
	pthread_mutex_init(&p.mutex, NULL);
	/* This thread works as well, so that it all happens even when none can be started. */
	while (helpers < POOL_MAX && helpers + 1 < threads && (size_t)helpers + 1 < n &&
	       thread_start(&helper[helpers], parallel_work, &p) == 0)
		helpers++;
	parallel_work(&p);
	for (int i = 0; i < helpers; i++)
		pthread_join(helper[i], NULL);
	pthread_mutex_destroy(&p.mutex);
	if (p.failed == n)
		return 0;
	if (err)
		*err = p.error;
	else
		dray_error_free(p.error);
	return -1;
}

/* ---- locks ---- */

struct lock {
	pthread_mutex_t mutex;
	pthread_cond_t woken;
};

struct lock *lock_new(dray_error **err)
{
	struct lock *l = mem_zalloc(sizeof(*l));

	if (!l) {
		err_nomem(err);
		return NULL;
	}
	pthread_mutex_init(&l->mutex, NULL);
	pthread_cond_init(&l->woken, NULL);
	return l;
}

void lock_free(struct lock *l)
{
	if (!l)
		return;
	pthread_cond_destroy(&l->woken);
	pthread_mutex_destroy(&l->mutex);
	mem_free(l);
}

void lock_take(struct lock *l)
{
	pthread_mutex_lock(&l->mutex);
}

void lock_drop(struct lock *l)
{
	pthread_mutex_unlock(&l->mutex);
}

void lock_wait(struct lock *l)
{
	pthread_cond_wait(&l->woken, &l->mutex);
}

void lock_wake(struct lock *l)
{
	pthread_cond_broadcast(&l->woken);
}

int cpu_count(void)
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	else /* more CPUs than a cpu_set_t holds */
		n = (int)sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? n : 1;
}
