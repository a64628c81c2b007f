/* SPDX-License-Identifier: Apache-2.0
 *
 * Merged trees written while one of the layers passes, and stacks by chance to try that with.
 * Relies on tars and trees of layers.h.
 */
#pragma once

#include "layers.h"

#include "layer/cut.h"

struct attempt {
	struct built *b;
	uint32_t passing;
	size_t piece;	 /* of the passing tar, see source_torn() */
	int64_t fail_at; /* likewise */
	bool contents;
	const struct once_cut *cut;	 /* NULL = one tar of all */
	const struct cut_layers *layers; /* what it should make */
	size_t n;			 /* tars */
	struct buf tar[ONCE_TARS_MAX];
	int written, holds;
};

/*
 * Feeds know in which order the tar of the others is read, and may be asked in no other: each piece
 * once, whether it is wanted or not.
 */
struct strict {
	struct built *b;
	struct layer_part parts[256]; /* with bytes */
	size_t n, at;
	int64_t read; /* of the part */
};

static inline int add_part(void *arg, const struct layer_part *p, dray_error **err)
{
	struct strict *s = arg;

	(void)err;
	if (p->size == 0)
		return 0;
	assert_true(s->n < ROWS(s->parts));
	s->parts[s->n++] = *p;
	return 0;
}

static inline int64_t read_strictly(void *arg, uint32_t layer, int64_t off, void *data, size_t len,
				    dray_error **err)
{
	struct strict *s = arg;
	struct layer_part *p = &s->parts[s->at];
	int64_t n;

	assert_true(s->at < s->n);
	assert_int_equal(layer, p->layer);
	assert_int_equal(off, p->off + s->read);
	n = read_tars(s->b, layer, off, data, len, err);
	s->read += n;
	assert_true(s->read <= p->size);
	if (s->read == p->size) {
		s->at++;
		s->read = 0;
	}
	return n;
}

static inline void attempt_clear(struct attempt *a)
{
	for (size_t i = 0; i < ONCE_TARS_MAX; i++)
		buf_clear(&a->tar[i]);
}
#define cleanup_attempt CLEANUP(attempt_clear)

static inline int tree_of_others(const struct attempt *a, const struct layer_index *const *index,
				 struct tree **ret, dray_error **err)
{
	cleanup_tree struct tree *t = tree_new(NULL, NULL, err);

	if (!t)
		return -1;
	tree_set_partial(t);
	for (size_t i = 0; i < a->b->n; i++)
		if (tree_apply(t, index[i], err) < 0)
			return -1;
	tree_finish(t);
	*ret = steal_pointer(&t);
	return 0;
}

/* The layer was read as it always is. */
static inline void check_passed(const struct attempt *a, const struct layer_index *passed)
{
	const struct layer_index *want = a->b->index[a->passing];

	assert_int_equal(passed->n, want->n);
	assert_int_equal(passed->size, want->size);
	for (size_t i = 0; i < want->n; i++) {
		const uint8_t *got = passed->list[i].content;

		assert_string_equal(passed->list[i].path, want->list[i].path);
		assert_true((got != NULL) == (a->contents && want->list[i].content));
		if (got)
			assert_memory_equal(got, want->list[i].content, CONTENT_DIGEST_LEN);
	}
}

struct outputs {
	struct sink *to[ONCE_TARS_MAX];
	size_t n;
};

static inline void outputs_clear(struct outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		sink_free(o->to[i]);
}

static inline int open_outputs(struct attempt *a, struct outputs *o, dray_error **err)
{
	for (size_t i = 0; i < a->n; i++) {
		buf_reset(&a->tar[i]);
		o->to[i] = sink_to_buf(&a->tar[i], err);
		if (!o->to[i])
			return -1;
	}
	return 0;
}

static inline int holds(const struct attempt *a, const struct once *o, dray_error **err)
{
	const struct record_list all = { tree_record_next, a->b->tree };
	int rc = !a->cut || a->layers->n == a->n;

	for (size_t i = 0; rc > 0 && i < a->n; i++) {
		const struct record_list l = a->cut ? cut_records(&a->layers->list[i]) : all;

		rc = once_holds(o, i, &l, err);
	}
	return rc;
}

/* Of a built stack. What it could not do is no failure. */
static inline int attempt(void *arg, dray_error **err)
{
	static const struct layer_index none;
	struct attempt *a = arg;
	const struct layer_index *index[STACK_MAX];
	cleanup_layer_index struct layer_index *passed = NULL;
	cleanup_tree struct tree *others = NULL;

	for (size_t i = 0; i < a->b->n; i++)
		index[i] = i == a->passing ? &none : a->b->index[i];
	if (tree_of_others(a, index, &others, err) < 0)
		return -1;
	struct outputs o CLEANUP(outputs_clear) = { .n = a->n };
	if (open_outputs(a, &o, err) < 0)
		return -1;
	cleanup_source struct source *in = torn_span(span_buf(&a->b->tar[a->passing]), a->piece,
						     a->fail_at, err);
	const struct record_list rest = { tree_record_next, others };
	struct strict strict = { .b = a->b };

	if (layer_tar_walk(&rest, add_part, &strict, err) < 0)
		return -1;
	const struct once_plan plan = { .index = index,
					.n = a->b->n,
					.passing = a->passing,
					.others = others,
					.feed = { .read = read_strictly, .arg = &strict },
					.out = o.to,
					.n_out = a->n,
					.cut = a->cut,
					.contents = a->contents };
	cleanup_once struct once *once = in ? once_new(&plan, err) : NULL;

	a->holds = 0;
	a->written = once ? once_write(once, in, &passed, err) : -1;
	if (a->written <= 0)
		return a->written;
	assert_int_equal(strict.at, strict.n);
	check_passed(a, passed);
	a->holds = holds(a, once, err);
	return a->holds < 0 ? -1 : 0;
}

static inline struct attempt attempt_of(struct built *b, uint32_t passing)
{
	struct attempt a = { .b = b, .passing = passing, .piece = SIZE_MAX, .fail_at = -1, .n = 1 };

	for (size_t i = 0; i < ONCE_TARS_MAX; i++)
		a.tar[i] = tb_new();
	return a;
}

/* ---- chance ---- */

static uint32_t seed;

static inline uint32_t chance(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static inline void random_name(struct buf *ret, bool whiteouts)
{
	static const char *const parts[] = { "a", "b", "c", "a.x" };

	for (uint32_t depth = chance(3) + 1; depth > 0; depth--)
		tell(ret, "%s%s%s", ret->len ? "/" : "",
		     whiteouts && depth == 1 && chance(6) == 0 ? ".wh." : "", parts[chance(4)]);
}

static inline void random_line(struct buf *stack, bool whiteouts)
{
	cleanup_buf struct buf name = tb_new(), link = tb_new();

	random_name(&name, whiteouts);
	random_name(&link, false);
	switch (chance(5)) {
	case 0:
	case 1:
		tell(stack, "f %.*s =%u\n", (int)name.len, (const char *)name.data, chance(100));
		break;
	case 2:
		tell(stack, "h %.*s >%.*s\n", (int)name.len, (const char *)name.data, (int)link.len,
		     (const char *)link.data);
		break;
	case 3:
		tell(stack, "l %.*s >%.*s\n", (int)name.len, (const char *)name.data, (int)link.len,
		     (const char *)link.data);
		break;
	default:
		tell(stack, "d %.*s @0%u:0:0:%u\n", (int)name.len, (const char *)name.data,
		     chance(2) ? 755 : 700, chance(2));
	}
}

/* A base with all folders, so that most of it is plain; then up to three layers of anything. */
static inline void random_stack(struct buf *stack)
{
	tell(stack, "d ./\nd a\nd a/a\nf a/a/c =1\nh a/b >a/a/c\nd b\nd b/a\nf b/b =2\nf c =3\n");
	for (uint32_t layers = chance(3) + 1; layers > 0; layers--) {
		tell(stack, "--\n");
		for (uint32_t lines = chance(5); lines > 0; lines--)
			random_line(stack, true);
	}
	assert_int_equal(buf_add_byte(stack, 0, NULL), 0);
}
