/* SPDX-License-Identifier: Apache-2.0 */
/* For: reading again: the window and the second opening.
 * Relies on: stream.h for pieces.
 * Promises: after any rewind the same bytes follow.
 */
#include "stream.h"
#include "torture.h"

#include "base/mem.h"
#include "flow/spares.h"

#define SIZE 900000
#define WINDOW 200000

/* Read @len bytes at the reader's position and compare. */
static void expect_bytes(struct source *s, const struct buf *bytes, size_t len)
{
	dray_error *err = NULL;
	uint8_t *data = malloc(len);

	assert_ok(source_read_exact(s, data, len, &err), err);
	assert_memory_equal(data, bytes->data + s->pos - (int64_t)len, len);
	free(data);
}

static void replays_any_byte_of_the_window(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(SIZE, 8);
	static const int64_t backs[] = { 0, 1, 511, 65536, 131073, WINDOW - 1, WINDOW };

	(void)state;
	for (size_t i = 1; i < ROWS(stream_pieces); i++) {
		dray_error *err = NULL;
		struct source *in = torn_span(span_buf(&bytes), stream_pieces[i], -1, &err);
		cleanup_source struct source *s = source_replayable(in, WINDOW, &err);

		expect_bytes(s, &bytes, 250000);
		for (size_t k = 0; k < ROWS(backs); k++) {
			struct span got;

			assert_ok(source_rewind(s, s->pos - backs[k], &err), err);
			/* Over the seam between what is kept and what is new. */
			assert_ok(source_peek(s, SOURCE_PEEK_MAX, &got, &err), err);
			assert_true(got.len >= SOURCE_PEEK_MAX);
			assert_memory_equal(got.data, bytes.data + s->pos, got.len);
			source_consume(s, 100);
			expect_bytes(s, &bytes, (size_t)backs[k] + 50000);
		}
		assert_ok(source_drain(s, &err), err);
		assert_ok(source_rewind(s, SIZE - 1000, &err), err);
		expect_bytes(s, &bytes, 1000);
		assert_ok(source_drain(s, &err), err);
	}
}

static void says_how_far_back_it_can_go(void **state)
{
	cleanup_buf struct buf bytes = make_bytes(5000, 9);
	dray_error *err = NULL;
	cleanup_source struct source *s = source_replayable(
		source_from_span(span_buf(&bytes), &err), 1000, &err);

	(void)state;
	expect_bytes(s, &bytes, 3000);
	assert_int_equal(source_rewind(s, 1999, &err), -1);
	assert_err(err, DRAY_ERR_UNSUPPORTED, "bytes 2000 to 3000 are kept");
	assert_int_equal(source_rewind(s, 3001, &err), -1);
	assert_err_kind(err, DRAY_ERR_UNSUPPORTED);
	assert_ok(source_rewind(s, 2000, &err), err);
	/* The window counts from the furthest byte, not from the reader. */
	assert_int_equal(source_rewind(s, 1500, &err), -1);
	assert_err_kind(err, DRAY_ERR_UNSUPPORTED);
	expect_bytes(s, &bytes, 3000);
}

/* One after the other, and two at once: what is kept is nobody else's. */
static void windows_go_to_the_next(void **state)
{
	cleanup_buf struct buf a = make_bytes(SIZE, 10), b = make_bytes(SIZE, 11);
	struct spares *spares = spares_new();
	dray_error *err = NULL;

	(void)state;
	assert_non_null(spares);
	for (size_t i = 0; i < 3; i++) {
		cleanup_source struct source *s = source_replayable_from(
			spares, source_from_span(span_buf(&a), &err), WINDOW, &err);
		cleanup_source struct source *t = source_replayable_from(
			spares, source_from_span(span_buf(&b), &err), i ? WINDOW : 1000, &err);

		expect_bytes(s, &a, 300000 + i);
		expect_bytes(t, &b, 300000);
		assert_int_equal(source_rewind(s, 0, &err), -1);
		assert_err_kind(err, DRAY_ERR_UNSUPPORTED);
		assert_ok(source_rewind(s, s->pos - WINDOW, &err), err);
		assert_ok(source_rewind(t, t->pos - 1000, &err), err);
		expect_bytes(s, &a, WINDOW + 1000);
		expect_bytes(t, &b, 5000);
	}
	spares_free(spares);
}

static void window_of_nothing(void **state)
{
	dray_error *err = NULL;
	cleanup_buf struct buf b = BUF_INIT(10);

	(void)state;
	assert_ok(slurp(source_replayable(source_from_span(SPAN_LIT("abc"), &err), 0, &err), &b,
			&err),
		  err);
	assert_span_is(span_buf(&b), "abc");
}

struct opener {
	int opened;
	size_t len; /* what a later opening offers */
};

static struct source *open_again(void *arg, dray_error **err)
{
	struct opener *o = arg;

	o->opened++;
	return source_from_span(span_head(SPAN_LIT("0123456789"), o->len), err);
}

static void reopens(void **state)
{
	struct opener o = { .len = 10 };
	dray_error *err = NULL;
	cleanup_source struct source *s = source_reopenable(open_again, &o, NULL, &err);
	char data[4];

	(void)state;
	assert_int_equal(o.opened, 0);
	assert_ok(source_read_exact(s, data, 4, &err), err);
	assert_ok(source_rewind(s, 2, &err), err);
	assert_ok(source_read_exact(s, data, 4, &err), err);
	assert_memory_equal(data, "2345", 4);
	assert_int_equal(source_skip(s, 100, &err), 4);
	assert_int_equal(o.opened, 2);
}

static void reopened_stream_may_not_shrink(void **state)
{
	struct opener o = { .len = 10 };
	dray_error *err = NULL;
	cleanup_source struct source *s = source_reopenable(open_again, &o, NULL, &err);
	struct span got;

	(void)state;
	assert_int_equal(source_skip(s, 8, &err), 8);
	o.len = 5;
	assert_ok(source_rewind(s, 7, &err), err);
	assert_int_equal(source_peek(s, 1, &got, &err), -1);
	assert_err(err, DRAY_ERR_CORRUPT, "ends at byte 5");
}

static struct source *open_again_at(void *arg, int64_t off, dray_error **err)
{
	struct opener *o = arg;

	o->opened++;
	return source_from_span(span_from(SPAN_LIT("0123456789"), (size_t)off), err);
}

/* Who rewinds before the first read never opens what comes before. */
static void reopens_in_the_middle(void **state)
{
	struct opener o = { 0 };
	dray_error *err = NULL;
	cleanup_source struct source *s = source_reopenable_at(open_again_at, &o, NULL, &err);
	char data[3];

	(void)state;
	assert_ok(source_rewind(s, 7, &err), err);
	assert_int_equal(o.opened, 0);
	assert_ok(source_read_exact(s, data, 3, &err), err);
	assert_memory_equal(data, "789", 3);
	assert_int_equal(source_read(s, data, 1, &err), 0);
	assert_ok(source_rewind(s, 1, &err), err);
	assert_ok(source_read_exact(s, data, 3, &err), err);
	assert_memory_equal(data, "123", 3);
	assert_int_equal(o.opened, 2);
}

static int both_kinds(void *arg, dray_error **err)
{
	struct opener o = { .len = 10 };
	void *owned = mem_alloc(10);

	(void)arg;
	if (!owned)
		return err_nomem(err);

	cleanup_source struct source *a = source_reopenable(open_again, &o, NULL, err);

	if (!a || source_drain(a, err) < 0) {
		mem_free(owned);
		return -1;
	}
	/* Never opened: only that the argument is freed. */
	cleanup_source struct source *b = source_reopenable(open_again, owned, mem_free, err);
	cleanup_source struct source *c = b ? source_replayable(open_again(&o, err), 10, err)
					    : NULL;

	return !c ? -1 : source_drain(c, err);
}

static void allocations_fail_cleanly_G17(void **state)
{
	(void)state;
	torture_alloc(both_kinds, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replays_any_byte_of_the_window),
		cmocka_unit_test(says_how_far_back_it_can_go),
		cmocka_unit_test(windows_go_to_the_next),
		cmocka_unit_test(window_of_nothing),
		cmocka_unit_test(reopens),
		cmocka_unit_test(reopens_in_the_middle),
		cmocka_unit_test(reopened_stream_may_not_shrink),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
