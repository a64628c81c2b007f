/* SPDX-License-Identifier: Apache-2.0 */
/* For: pushing bytes to somebody who pulls them.
 * Relies on: flow/lane.c to hand over the bytes.
 * Promises: the reader sees what was written, and its end only when that was finished.
 */
#include "flow/sink.h"

#include "base/cancel.h"
#include "base/mem.h"
#include "flow/lane_priv.h"
#include "flow/thread_priv.h"

struct read_by {
	struct sink base;
	struct lane lane;
	branch_fn *read;
	void *arg;
	pthread_t thread;
	bool running;
	atomic_bool abandoned; /* the thread need not finish what it is at */
	int rc;		       /* the thread's until it is joined */
	dray_error *error;     /* likewise */
};

static void lane_keep(struct source *s)
{
	(void)s; /* part of its sink */
}

static const struct source_ops lane_ops = {
	.peek = lane_peek,
	.consume = lane_consume,
	.free = lane_keep,
};

static void *reader(void *arg)
{
	struct read_by *r = arg;

	cancel_follow(&r->abandoned);
	r->rc = r->read(r->arg, &r->lane.base, &r->error);
	lane_stop(&r->lane);
	return NULL;
}

static void join(struct read_by *r)
{
	if (r->running)
		pthread_join(r->thread, NULL);
	r->running = false;
}

/* The reader's answer, once it has given it. */
static int settle(struct read_by *r, dray_error **err)
{
	join(r);
	if (r->rc == 0)
		return 0;
	if (err)
		*err = steal_pointer(&r->error);
	return -1;
}

/* A reader that has enough need not take the rest. */
static int read_by_write(struct sink *k, struct span bytes, dray_error **err)
{
	struct read_by *r = (struct read_by *)k;

	while (bytes.len > 0) {
		size_t n = lane_write(&r->lane, bytes);

		if (n == 0)
			return settle(r, err);
		bytes = span_from(bytes, n);
	}
	return 0;
}

static int read_by_finish(struct sink *k, dray_error **err)
{
	struct read_by *r = (struct read_by *)k;

	if (r->running)
		lane_finish(&r->lane, false, NULL);
	return settle(r, err);
}

static void break_off(struct read_by *r)
{
	dray_error *cancelled = NULL;

	err_set(&cancelled, DRAY_ERR_CANCELLED, "cancelled");
	atomic_store_explicit(&r->abandoned, true, memory_order_relaxed);
	lane_finish(&r->lane, true, cancelled);
	join(r);
}

static void read_by_free(struct sink *k)
{
	struct read_by *r = (struct read_by *)k;

	if (r->running)
		break_off(r);
	lane_clear(&r->lane);
	dray_error_free(r->error);
	mem_free(r);
}

static const struct sink_ops read_by_ops = {
	.write = read_by_write,
	.finish = read_by_finish,
	.free = read_by_free,
};

struct sink *sink_read_by(branch_fn *read, void *arg, size_t ahead, dray_error **err)
{
	struct read_by *r = mem_zalloc(sizeof(*r));
	int rc;

	if (!r) {
		err_nomem(err);
		return NULL;
	}
	r->base.ops = &read_by_ops;
	r->lane.base.ops = &lane_ops;
	r->read = read;
	r->arg = arg;
	if (lane_init(&r->lane, ahead, err) < 0) {
		read_by_free(&r->base);
		return NULL;
	}
	rc = thread_start(&r->thread, reader, r);
	if (rc != 0) {
		err_sys(err, rc, "cannot start a thread");
		read_by_free(&r->base);
		return NULL;
	}
	r->running = true;
	return &r->base;
}
