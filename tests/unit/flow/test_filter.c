/* SPDX-License-Identifier: Apache-2.0 */
/* For: a filter wrapped as a stage.
 * Relies on: a filter of the test's own that writes each byte three times.
 * Promises: any pieces in, any room out, same bytes; bad filters are caught.
 */
#include "flow/filter.h"

#include "base/mem.h"
#include "stream.h"
#include "torture.h"

struct triple {
	struct filter base;
	int written; /* of the byte at the front of the input */
	bool stalls;
};

static int freed;

static enum filter_state triple_step(struct filter *f, struct span *in, struct room *out, bool end,
				     dray_error **err)
{
	struct triple *t = (struct triple *)f;

	while (in->len > 0 && out->len > 0 && !t->stalls) {
		if (in->data[0] == '!') {
			err_set(err, DRAY_ERR_FORMAT, "no shouting");
			return FILTER_FAILED;
		}
		*out->data++ = in->data[0];
		out->len--;
		if (++t->written == 3) {
			t->written = 0;
			*in = span_from(*in, 1);
		}
	}
	return end && in->len == 0 ? FILTER_END : FILTER_MORE;
}

static void triple_free(struct filter *f)
{
	freed++;
	mem_free(f);
}

static const struct filter_ops triple_ops = { .step = triple_step, .free = triple_free };

static struct filter *triple_new(bool stalls, dray_error **err)
{
	struct triple *t = mem_zalloc(sizeof(*t));

	if (!t) {
		err_nomem(err);
		return NULL;
	}
	t->base.ops = &triple_ops;
	t->stalls = stalls;
	return &t->base;
}

static struct source *tripled(struct span bytes, size_t piece, int64_t fail_at, dray_error **err)
{
	struct source *s = torn_span(bytes, piece, fail_at, err);

	return s ? source_filtered(s, triple_new(false, err), err) : NULL;
}

static void any_pieces_any_room(void **state)
{
	static const size_t mins[] = { 1, 511, 65537, SOURCE_PEEK_MAX };
	cleanup_buf struct buf bytes = make_bytes(300000, 10);

	(void)state;
	for (size_t i = 0; i < bytes.len; i++)
		if (bytes.data[i] == '!')
			bytes.data[i] = '?';
	for (size_t i = 0; i < ROWS(stream_pieces) * ROWS(mins); i++) {
		dray_error *err = NULL;
		size_t min = mins[i % ROWS(mins)];
		cleanup_source struct source *s = tripled(span_buf(&bytes),
							  stream_pieces[i / ROWS(mins)], -1, &err);
		struct span got;

		do {
			assert_ok(source_peek(s, min, &got, &err), err);
			for (size_t k = 0; k < got.len; k++)
				if (got.data[k] != bytes.data[((size_t)s->pos + k) / 3])
					fail_msg("byte %zu differs", (size_t)s->pos + k);
			assert_true(got.len >= min || s->pos + (int64_t)got.len == 900000);
			source_consume(s, got.len > min ? got.len - min / 2 : got.len);
		} while (got.len > 0);
		assert_int_equal(s->pos, 900000);
	}
}

static void failures_pass_in_order(void **state)
{
	dray_error *err = NULL;
	cleanup_buf struct buf b = BUF_INIT(100);

	(void)state;
	freed = 0;
	assert_int_equal(slurp(tripled(SPAN_LIT("abcdef"), 1, 2, &err), &b, &err), -1);
	assert_err(err, DRAY_ERR_SYSTEM, "injected");
	assert_span_is(span_buf(&b), "aaabbb");
	assert_int_equal(slurp(tripled(SPAN_LIT("a!"), 1, -1, &err), &b, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "no shouting");
	assert_int_equal(freed, 2);
}

static void a_stalling_filter_is_an_error(void **state)
{
	dray_error *err = NULL;
	cleanup_buf struct buf b = BUF_INIT(100);

	(void)state;
	assert_int_equal(slurp(source_filtered(source_from_span(SPAN_LIT("a"), &err),
					       triple_new(true, &err), &err),
			       &b, &err),
			 -1);
	assert_err(err, DRAY_ERR_FORMAT, "no progress");
}

static void consumes_both_on_failure(void **state)
{
	dray_error *err = NULL;

	(void)state;
	freed = 0;
	assert_null(source_filtered(NULL, triple_new(false, &err), &err));
	assert_null(source_filtered(source_from_span(SPAN_LIT("a"), &err), NULL, &err));
	assert_null(err);
	assert_int_equal(freed, 1);
}

static int run(void *arg, dray_error **err)
{
	cleanup_source struct source *s = tripled(*(struct span *)arg, 1, -1, err);

	return !s ? -1 : source_drain(s, err);
}

static void allocations_fail_cleanly_G17(void **state)
{
	struct span bytes = SPAN_LIT("abc");

	(void)state;
	torture_alloc(run, &bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_pieces_any_room),
		cmocka_unit_test(failures_pass_in_order),
		cmocka_unit_test(a_stalling_filter_is_an_error),
		cmocka_unit_test(consumes_both_on_failure),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
