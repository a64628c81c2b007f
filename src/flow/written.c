/* SPDX-License-Identifier: Apache-2.0 */
/* For: reading what somebody else pushes into a sink.
 * Relies on: flow/lane.c to hand over the bytes.
 * Promises: the reader sees what was written; the end only if the writer was content.
 */
#include "flow/sink.h"

#include "base/cancel.h"
#include "base/mem.h"
#include "flow/lane_priv.h"
#include "flow/thread_priv.h"

struct written {
	struct lane lane;
	write_fn *write;
	void *arg;
	struct sink sink; /* the thread's while it runs, as is all of the sink */
	pthread_t thread;
	bool started;
	atomic_bool abandoned; /* the thread need not finish what it is at */
};

static int write_lane(struct sink *k, struct span bytes, dray_error **err)
{
	struct written *w = (struct written *)((char *)k - offsetof(struct written, sink));

	while (bytes.len > 0) {
		size_t n = lane_write(&w->lane, bytes);

		if (n == 0)
			return err_set(err, DRAY_ERR_CANCELLED, "cancelled");
		bytes = span_from(bytes, n);
	}
	return 0;
}

static const struct sink_ops sink_ops = { .write = write_lane };

static void *writer(void *arg)
{
	struct written *w = arg;
	dray_error *error = NULL;
	int rc;

	cancel_follow(&w->abandoned);
	rc = w->write(w->arg, &w->sink, &error);
	lane_finish(&w->lane, rc < 0, error);
	return NULL;
}

static void written_free(struct source *s)
{
	struct written *w = (struct written *)s;

	if (w->started) {
		atomic_store_explicit(&w->abandoned, true, memory_order_relaxed);
		lane_stop(&w->lane);
		pthread_join(w->thread, NULL);
	}
	lane_clear(&w->lane);
	mem_free(w);
}

static const struct source_ops written_ops = {
	.peek = lane_peek,
	.consume = lane_consume,
	.free = written_free,
};

struct source *source_written(write_fn *write, void *arg, size_t ahead, dray_error **err)
{
	struct written *w = mem_zalloc(sizeof(*w));
	int rc;

	if (!w) {
		err_nomem(err);
		return NULL;
	}
	w->lane.base.ops = &written_ops;
	w->sink.ops = &sink_ops;
	w->write = write;
	w->arg = arg;
	if (lane_init(&w->lane, ahead, err) < 0) {
		written_free(&w->lane.base);
		return NULL;
	}
	rc = thread_start(&w->thread, writer, w);
	if (rc != 0) {
		err_sys(err, rc, "cannot start a thread");
		written_free(&w->lane.base);
		return NULL;
	}
	w->started = true;
	return &w->lane.base;
}
