/* SPDX-License-Identifier: Apache-2.0
 *
 * Recipes of small stacks: the last layer is told by those below it.
 */
#pragma once

#include "../layer/layers.h"
#include "delta/recipe.h"

#define SMALL_WINDOW (64 * KIB)

/** A stack as bases and new layer; lent from @p b, which must stay where it is. */
struct rig {
	struct built *b;
	struct recipe_base list[STACK_MAX];
	struct recipe_bases bases;
	struct recipe_new new;
};

static inline int64_t read_base(void *arg, size_t i, int64_t off, void *data, size_t len,
				dray_error **err)
{
	const struct built *b = arg;

	assert_true(i < b->n && off >= 0);
	if ((size_t)off >= b->tar[i].len || len == 0)
		return 0;
	/* In pieces, as a reader of pipes would. */
	if (len > 2000)
		len = 1000 + len / 2;
	return read_tars(arg, (uint32_t)i, off, data, len, err);
}

static inline int64_t read_new(void *arg, size_t i, int64_t off, void *data, size_t len,
			       dray_error **err)
{
	assert_int_equal(i, 0);
	return read_base(arg, ((struct built *)arg)->n - 1, off, data, len, err);
}

/** Indexes all tars of @p b. */
static inline int rig_make(struct rig *r, struct built *b, dray_error **err)
{
	*r = (struct rig){ .b = b };
	for (size_t i = 0; i < b->n; i++)
		if (read_index(span_buf(&b->tar[i]), SIZE_MAX, &b->index[i], err) < 0)
			return -1;
	for (size_t i = 0; i + 1 < b->n; i++)
		r->list[i] = (struct recipe_base){ .index = b->index[i], .size = b->index[i]->size };
	r->bases = (struct recipe_bases){ r->list, b->n - 1, read_base, b };
	r->new = (struct recipe_new){ b->index[b->n - 1], read_new, b };
	return 0;
}

static inline int rig_write(struct rig *r, const struct recipe_options *o, struct buf *ret,
			    struct recipe_stats *stats, dray_error **err)
{
	cleanup_sink struct sink *out = sink_to_buf(ret, err);

	if (!out || recipe_write(&r->new, &r->bases, o, out, stats, err) < 0)
		return -1;
	return sink_finish(out, err);
}

/** Rebuild from @p recipe in pieces. */
static inline int rig_apply(struct rig *r, struct span recipe, size_t piece, struct buf *ret,
			    dray_error **err)
{
	int64_t size = r->b->index[r->b->n - 1]->size;
	struct source *s = recipe_open(torn_span(recipe, piece, -1, err), &r->bases, size, err);

	return slurp(s, ret, err);
}

/** There and back; free *ret with buf_clear(). */
static inline struct recipe_stats round_trip(struct built *b, const struct recipe_options *o,
					     struct buf *ret)
{
	cleanup_buf struct buf tar = tb_new();
	struct recipe_stats s;
	dray_error *err = NULL;
	struct rig r;

	*ret = tb_new();
	assert_ok(rig_make(&r, b, &err), err);
	assert_ok(rig_write(&r, o, ret, &s, &err), err);
	assert_ok(rig_apply(&r, span_buf(ret), SIZE_MAX, &tar, &err), err);
	assert_true(span_eq(span_buf(&tar), span_buf(&b->tar[b->n - 1])));
	assert_int_equal(s.tar, tar.len);
	assert_int_equal(s.stored, ret->len);
	assert_int_equal(s.referenced + s.patched + s.literal, s.tar);
	return s;
}
