/* SPDX-License-Identifier: Apache-2.0
 *
 * A stage that reads through a source it does not own.
 * Relies on flow/source.c for the rules of reading.
 * Promises that freeing it leaves the lent source where reading stopped.
 */
#include "flow/source.h"

#include "base/mem.h"

struct lend {
	struct source base;
	struct source *in;
};

static int lend_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	return source_peek(((struct lend *)s)->in, min, ret, err);
}

static void lend_consume(struct source *s, size_t n)
{
	source_consume(((struct lend *)s)->in, n);
}

static int64_t lend_skip(struct source *s, int64_t n, dray_error **err)
{
	return source_skip(((struct lend *)s)->in, n, err);
}

static void lend_free(struct source *s)
{
	mem_free(s);
}

static const struct source_ops lend_ops = {
	.peek = lend_peek,
	.consume = lend_consume,
	.skip = lend_skip,
	.free = lend_free,
};

struct source *source_lend(struct source *in, dray_error **err)
{
	struct lend *l;

	if (!in)
		return NULL;
	l = mem_zalloc(sizeof(*l));
	if (!l) {
		err_nomem(err);
		return NULL;
	}
	l->base.ops = &lend_ops;
	l->in = in;
	return &l->base;
}
