/* SPDX-License-Identifier: Apache-2.0 */
/* For: a second reader of bytes that pass, on a thread of its own.
 * Relies on: sink_read_by() to hand it the same bytes.
 * Promises: who sees the end of the stage knows that the second reader was content.
 */
#include "flow/sink.h"

#include "base/mem.h"

#define BEHIND (2 * 1024 * 1024) /* bytes that the second reader may be behind */

struct branch {
	struct source base;
	struct source *in;
	struct sink *copy; /* the second reader's; NULL = it has seen the end, and was content */
	bool refused;	   /* it has failed */
	struct span loan;  /* what the last peek lent */
	dray_error *error; /* its, until somebody asks */
};

static int branch_refuse(struct branch *b, dray_error **err)
{
	if (err)
		*err = steal_pointer(&b->error);
	return -1;
}

/* The second reader's answer, once it has all bytes. */
static int branch_settle(struct branch *b, dray_error **err)
{
	if (!b->copy)
		return 0;
	if (sink_finish(b->copy, err) < 0)
		return -1;
	sink_free(steal_pointer(&b->copy));
	return 0;
}

static int branch_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct branch *b = (struct branch *)s;

	if (b->refused)
		return branch_refuse(b, err);
	if (source_peek(b->in, min, ret, err) < 0)
		return -1;
	b->loan = *ret;
	return ret->len == 0 ? branch_settle(b, err) : 0;
}

static void branch_consume(struct source *s, size_t n)
{
	struct branch *b = (struct branch *)s;

	if (b->copy && !b->refused)
		b->refused = sink_write(b->copy, span_head(b->loan, n), &b->error) < 0;
	b->loan = span_from(b->loan, n);
	source_consume(b->in, n);
}

static void branch_free(struct source *s)
{
	struct branch *b = (struct branch *)s;

	sink_free(b->copy);
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

	if (!in)
		return NULL;
	b = mem_zalloc(sizeof(*b));
	if (!b) {
		source_free(in);
		err_nomem(err);
		return NULL;
	}
	b->base.ops = &branch_ops;
	b->in = in;
	b->copy = sink_read_by(read, arg, BEHIND, err);
	if (b->copy)
		return &b->base;
	branch_free(&b->base);
	return NULL;
}
