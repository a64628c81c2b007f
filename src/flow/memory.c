/* SPDX-License-Identifier: Apache-2.0 */
/* For: sources over bytes that already lie in memory.
 * Relies on: nothing outside base.
 * Promises: nothing is copied; skips and rewinds are free.
 */
#include "flow/source.h"

#include "base/mem.h"

struct memory_source {
	struct source base;
	struct span all;
	size_t off;
};

static int memory_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct memory_source *m = (struct memory_source *)s;

	(void)min;
	(void)err;
	if (m->off < m->all.len)
		*ret = span_from(m->all, m->off);
	return 0;
}

static void memory_consume(struct source *s, size_t n)
{
	((struct memory_source *)s)->off += n;
}

static int64_t memory_skip(struct source *s, int64_t n, dray_error **err)
{
	struct memory_source *m = (struct memory_source *)s;
	size_t left = m->all.len - m->off;
	size_t step = (uint64_t)n < left ? (size_t)n : left;

	(void)err;
	m->off += step;
	return (int64_t)step;
}

static int memory_rewind(struct source *s, int64_t off, dray_error **err)
{
	struct memory_source *m = (struct memory_source *)s;

	if ((uint64_t)off > m->all.len)
		return err_set(err, DRAY_ERR_UNSUPPORTED, "cannot rewind past the end");
	m->off = (size_t)off;
	return 0;
}

static void memory_free(struct source *s)
{
	mem_free((struct memory_source *)s);
}

static const struct source_ops memory_ops = {
	.peek = memory_peek,
	.consume = memory_consume,
	.skip = memory_skip,
	.rewind = memory_rewind,
	.free = memory_free,
};

struct source *source_from_span(struct span bytes, dray_error **err)
{
	struct memory_source *m = mem_zalloc(sizeof(*m));

	if (!m) {
		err_nomem(err);
		return NULL;
	}
	m->base.ops = &memory_ops;
	m->all = bytes;
	return &m->base;
}
