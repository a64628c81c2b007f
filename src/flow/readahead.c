/* SPDX-License-Identifier: Apache-2.0 */
/* For: reading a source on a thread of its own, so that two stages overlap.
 * Relies on: flow/lane.c to hand over the bytes.
 * Promises: the reader sees the same bytes and the same error at the same place.
 */
#include "flow/source.h"

#include "base/cancel.h"
#include "base/mem.h"
#include "flow/lane_priv.h"
#include "flow/thread_priv.h"

struct readahead {
	struct lane lane;
	struct source *in; /* the thread's while it runs */
	pthread_t thread;
	bool started;
	atomic_bool abandoned; /* the thread need not finish what it is at */
};

static void *producer(void *arg)
{
	struct readahead *r = arg;

	cancel_follow(&r->abandoned);
	for (;;) {
		dray_error *error = NULL;
		struct span got = { 0 };
		size_t n;

		if (source_peek(r->in, 1, &got, &error) < 0 || got.len == 0) {
			lane_finish(&r->lane, r->in->failed, error);
			return NULL;
		}
		n = lane_write(&r->lane, got);
		if (n == 0)
			return NULL;
		source_consume(r->in, n);
	}
}

static void readahead_free(struct source *s)
{
	struct readahead *r = (struct readahead *)s;

	if (r->started) {
		atomic_store_explicit(&r->abandoned, true, memory_order_relaxed);
		lane_stop(&r->lane);
		pthread_join(r->thread, NULL);
	}
	lane_clear(&r->lane);
	source_free(r->in);
	mem_free(r);
}

static const struct source_ops readahead_ops = {
	.peek = lane_peek,
	.consume = lane_consume,
	.free = readahead_free,
};

struct source *source_readahead(struct source *in, size_t ahead, dray_error **err)
{
	struct readahead *r;
	int rc;

	if (!in)
		return NULL;
	r = mem_zalloc(sizeof(*r));
	if (!r) {
		source_free(in);
		err_nomem(err);
		return NULL;
	}
	r->lane.base.ops = &readahead_ops;
	r->in = in;
	if (lane_init(&r->lane, ahead, err) < 0) {
		readahead_free(&r->lane.base);
		return NULL;
	}
	rc = thread_start(&r->thread, producer, r);
	if (rc != 0) {
		err_sys(err, rc, "cannot start a thread");
		readahead_free(&r->lane.base);
		return NULL;
	}
	r->started = true;
	return &r->lane.base;
}
