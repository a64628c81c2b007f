/* SPDX-License-Identifier: Apache-2.0 */
/* For: a second reader of bytes that pass, on a thread of its own.
 * Relies on: flow/lane.c to hand it the same bytes.
 * Promises: who sees the end of the stage knows that the second reader was content.
 */
#include "flow/source.h"

#include "base/mem.h"
#include "flow/lane_priv.h"
#include "flow/thread_priv.h"

#define BEHIND (2 * 1024 * 1024) /* bytes that the second reader may be behind */

struct branch {
	struct source base;
	struct source *in;
	struct lane lane;
	branch_fn *read;
	void *arg;
	pthread_t thread;
	bool running;
	bool refused;	   /* the second reader has failed or wants no more */
	struct span loan;  /* what the last peek lent */
	int rc;		   /* the thread's until it is joined */
	dray_error *error; /* likewise */
};

static void lane_keep(struct source *s)
{
	(void)s; /* part of its branch */
}

static const struct source_ops lane_ops = {
	.peek = lane_peek,
	.consume = lane_consume,
	.free = lane_keep,
};

static void *second_reader(void *arg)
{
	struct branch *b = arg;

	b->rc = b->read(b->arg, &b->lane.base, &b->error);
	lane_stop(&b->lane);
	return NULL;
}

static void branch_join(struct branch *b)
{
	if (b->running)
		pthread_join(b->thread, NULL);
	b->running = false;
}

/* The second reader's answer, once it has all bytes. */
static int branch_settle(struct branch *b, dray_error **err)
{
	if (b->running) {
		if (!b->refused)
			lane_finish(&b->lane, false, NULL);
		branch_join(b);
	}
	if (b->rc == 0)
		return 0;
	if (err)
		*err = steal_pointer(&b->error);
	return -1;
}

static int branch_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct branch *b = (struct branch *)s;

	if (b->refused && branch_settle(b, err) < 0)
		return -1;
	if (source_peek(b->in, min, ret, err) < 0)
		return -1;
	b->loan = *ret;
	return ret->len == 0 ? branch_settle(b, err) : 0;
}

static void branch_consume(struct source *s, size_t n)
{
	struct branch *b = (struct branch *)s;
	struct span got = span_head(b->loan, n);

	while (got.len > 0 && !b->refused) {
		size_t taken = lane_write(&b->lane, got);

		b->refused = taken == 0;
		got = span_from(got, taken);
	}
	b->loan = span_from(b->loan, n);
	source_consume(b->in, n);
}

static void branch_free(struct source *s)
{
	struct branch *b = (struct branch *)s;

	if (b->running && !b->refused) {
		dray_error *cut = NULL;

		err_set(&cut, DRAY_ERR_CANCELLED, "nobody reads on");
		lane_finish(&b->lane, true, cut);
	}
	branch_join(b);
	lane_clear(&b->lane);
	source_free(b->in);
	dray_error_free(b->error);
	mem_free(b);
}

static const struct source_ops branch_ops = {
	.peek = branch_peek,
	.consume = branch_consume,
	.free = branch_free,
};

struct source *source_branch(struct source *in, branch_fn *read, void *arg, dray_error **err)
{
	struct branch *b;
	int rc;

	if (!in)
		return NULL;
	b = mem_zalloc(sizeof(*b));
	if (!b) {
		source_free(in);
		err_nomem(err);
		return NULL;
	}
	*b = (struct branch){ .base.ops = &branch_ops, .in = in, .read = read, .arg = arg };
	b->lane.base.ops = &lane_ops;
	if (lane_init(&b->lane, BEHIND, err) < 0) {
		branch_free(&b->base);
		return NULL;
	}
	rc = thread_start(&b->thread, second_reader, b);
	if (rc != 0) {
		err_sys(err, rc, "cannot start a thread");
		branch_free(&b->base);
		return NULL;
	}
	b->running = true;
	return &b->base;
}
