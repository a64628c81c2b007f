/* SPDX-License-Identifier: Apache-2.0 */
/* For: runs are really there, apart and in order, and long ones are found.
 * Relies on: nothing outside delta/runs.h.
 * Promises: nothing is left.
 */
#include "delta/runs.h"
#include "stream.h"

/* Every run holds what it says; how many bytes they come to. */
static size_t check_runs(const struct runs *r, struct span old, struct span new)
{
	size_t done = 0, sum = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct run *run = &r->list[i];

		assert_true(run->len > 0 && run->at >= done);
		assert_true(run->at + run->len <= new.len && run->old + run->len <= old.len);
		assert_memory_equal(new.data + run->at, old.data + run->old, run->len);
		done = run->at + run->len;
		sum += run->len;
	}
	return sum;
}

/* What becomes of 100000 bytes: some cut out at the front, some put in, the halves swapped. */
static const struct {
	const char *name;
	size_t cut, inserted;
	bool swapped;
	size_t least; /* bytes in runs */
} cases[] = {
	{ "equal", 0, 0, false, 100000 },	   { "cut by one", 1, 0, false, 99999 },
	{ "cut by many", 31337, 0, false, 68600 }, { "inserted", 0, 7, false, 100000 },
	{ "swapped", 0, 0, true, 99000 },	   { "swapped and cut", 3, 5, true, 99000 },
};

static struct buf change(struct span old, size_t i)
{
	struct span in = span_from(old, cases[i].cut);
	size_t half = in.len / 2;
	struct buf b = BUF_INIT(1 << 20);

	assert_int_equal(buf_add(&b, span_of("xxxxxxx", cases[i].inserted), NULL), 0);
	if (cases[i].swapped) {
		assert_int_equal(buf_add(&b, span_from(in, half), NULL), 0);
		in.len = half;
	}
	assert_int_equal(buf_add(&b, in, NULL), 0);
	return b;
}

/* No repeats, so that only the right place is right. */
static struct buf noise(size_t len)
{
	struct buf b = make_bytes(len, 3);
	uint64_t x = 1;

	for (size_t i = 0; i < len; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
		b.data[i] = (uint8_t)(x >> 56);
	}
	return b;
}

static void test_cases(void **state)
{
	cleanup_buf struct buf old = noise(100000);
	struct runs r = { 0 };

	(void)state;
	for (size_t i = 0; i < ROWS(cases); i++) {
		cleanup_buf struct buf new = change(span_buf(&old), i);
		dray_error *err = NULL;

		assert_ok(runs_find(&r, span_buf(&old), span_buf(&new), &err), err);
		if (check_runs(&r, span_buf(&old), span_buf(&new)) < cases[i].least)
			fail_msg("%s: not enough is found", cases[i].name);
	}
	runs_clear(&r);
}

/* Lengths around that of a block, zeros, and things that have nothing in common. */
static void test_edges(void **state)
{
	cleanup_buf struct buf old = make_bytes(5000, 1), other = make_bytes(5000, 2);
	struct runs r = { 0 };
	dray_error *err = NULL;

	(void)state;
	for (size_t n = 0; n < 100; n++) {
		struct span a = span_of(old.data, n), b = span_of(old.data, 99 - n);

		assert_ok(runs_find(&r, a, b, &err), err);
		check_runs(&r, a, b);
	}
	assert_ok(runs_find(&r, span_buf(&old), span_buf(&other), &err), err);
	check_runs(&r, span_buf(&old), span_buf(&other));
	memset(old.data, 0, old.len);
	memset(other.data, 0, 4000);
	assert_ok(runs_find(&r, span_buf(&old), span_buf(&other), &err), err);
	assert_true(check_runs(&r, span_buf(&old), span_buf(&other)) >= 4000);
	runs_clear(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
