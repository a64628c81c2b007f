/* SPDX-License-Identifier: Apache-2.0
 *
 * For: allocation, arenas, buffers, maps.
 * Relies on: support.h, torture.h.
 * Promises: each is tried at its limits and with every allocation failing.
 */
#include "base/arena.h"
#include "base/map.h"
#include "base/mem.h"
#include "torture.h"

static void test_sizes_do_not_wrap(void **state)
{
	/* Out of the compiler's sight, or it would see the overflow itself. */
	volatile size_t huge = SIZE_MAX / 2 + 1;

	(void)state;
	assert_null(mem_alloc_array(huge, 2));
	assert_null(mem_realloc_array(NULL, 2, huge));
	void *empty = mem_alloc(0);
	assert_non_null(empty);
	mem_free(empty);
	empty = mem_dup(NULL, 0);
	assert_non_null(empty);
	mem_free(empty);
	mem_free(NULL);
}

static void test_texts(void **state)
{
	(void)state;
	cleanup_free char *a = mem_strdup("abc");
	cleanup_free char *b = mem_strndup("abcdef", 3);
	cleanup_free char *c = mem_strndup("abc", 100);
	cleanup_free char *d = mem_printf("a%cc%s", 'b', "");
	assert_string_equal(a, "abc");
	assert_string_equal(b, "abc");
	assert_string_equal(c, "abc");
	assert_string_equal(d, "abc");
}

static void test_arena(void **state)
{
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < 3000; i++) {
		size_t size = i % 7 == 0 ? i * 3 : i % 40;
		uint8_t *p = arena_alloc(&a, size);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t j = 0; j < size; j++)
			assert_int_equal(p[j], 0);
		memset(p, 0xa5, size);
	}
	assert_string_equal(arena_strdup(&a, "x"), "x");
	assert_string_equal(arena_strndup(&a, "xyz", 2), "xy");
	assert_string_equal(arena_printf(&a, "%d-%s", 7, "q"), "7-q");
	assert_span_is(arena_dup(&a, SPAN_LIT("bytes")), "bytes");
	assert_non_null(arena_dup(&a, span_of(NULL, 0)).data);
	volatile size_t huge = SIZE_MAX;
	assert_null(arena_alloc(&a, huge));
	assert_null(arena_alloc(&a, huge - 20));
	assert_null(arena_array(&a, huge / 2, 3));
	arena_clear(&a);
	assert_null(a.blocks);
	arena_clear(&a);
}

static void test_spans(void **state)
{
	(void)state;
	assert_true(span_eq(span_of(NULL, 0), SPAN_LIT("")));
	assert_false(span_eq(SPAN_LIT("a"), SPAN_LIT("b")));
	assert_true(span_is(SPAN_LIT("ab"), "ab"));
	assert_false(span_is(SPAN_LIT("ab"), "abc"));
	assert_true(span_starts(SPAN_LIT("abc"), "ab"));
	assert_false(span_starts(SPAN_LIT("a"), "ab"));
	assert_true(span_ends(SPAN_LIT("abc"), "bc"));
	assert_false(span_ends(SPAN_LIT("c"), "bc"));
	assert_true(span_ends(SPAN_LIT("abc"), ""));
	assert_int_equal(span_find(SPAN_LIT("abcb"), 'b'), 1);
	assert_int_equal(span_find(SPAN_LIT("abc"), 'x'), -1);
	assert_int_equal(span_find(span_of(NULL, 0), 'x'), -1);
}

static void test_buf_limit(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(5);
	dray_error *err = NULL;

	(void)state;
	assert_ok(buf_add_str(&b, "abcd", &err), err);
	assert_int_equal(buf_add_str(&b, "ef", &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "limit of 5 bytes");
	assert_span_is(span_buf(&b), "abcd");
	assert_ok(buf_add_byte(&b, 'e', &err), err);
	assert_int_equal(buf_add_byte(&b, 'f', &err), -1);
	assert_err_kind(err, DRAY_ERR_LIMIT);
	volatile size_t huge = SIZE_MAX;
	assert_int_equal(buf_reserve(&b, huge, &err), -1);
	assert_err_kind(err, DRAY_ERR_LIMIT);
	/* The NUL is no content: a full buffer can still be handed over. */
	cleanup_free char *text = buf_steal_str(&b, &err);
	assert_string_equal(text, "abcde");
	assert_int_equal(b.len, 0);
	assert_int_equal(b.max, 5);
	assert_ok(buf_printf(&b, &err, "%d", 12345), err);
	buf_reset(&b);
	assert_ok(buf_add_str(&b, "xy", &err), err);
	assert_span_is(span_buf(&b), "xy");
	cleanup_buf struct buf none = BUF_INIT(0);
	assert_ok(buf_add(&none, span_of(NULL, 0), &err), err);
	cleanup_free char *empty = buf_steal_str(&none, &err);
	assert_string_equal(empty, "");
}

static void test_grow(void **state)
{
	cleanup_free int *v = NULL;
	size_t cap = 0;

	(void)state;
	for (size_t n = 0; n < 1000; n++) {
		assert_int_equal(mem_grow(&v, n, &cap, sizeof(*v)), 0);
		v[n] = (int)n;
	}
	for (size_t n = 0; n < 1000; n++)
		assert_int_equal(v[n], n);
	size_t full = SIZE_MAX / 2 + 1;
	assert_int_equal(mem_grow(&v, full, &full, 1), -1);
}

static void test_map_keeps_order(void **state)
{
	static char names[5000][8];
	struct map m = { 0 };
	dray_error *err = NULL;

	(void)state;
	assert_null(map_find(&m, SPAN_LIT("x")));
	for (size_t i = 0; i < ROWS(names); i++) {
		snprintf(names[i], sizeof(names[i]), "n%zu", i);
		assert_ok(map_put(&m, span_str(names[i]), names[i], &err), err);
	}
	assert_ok(map_put(&m, SPAN_LIT("n7"), names[8], &err), err);
	assert_ok(map_put(&m, span_of(NULL, 0), names[9], &err), err);
	assert_int_equal(m.len, ROWS(names) + 1);
	for (size_t i = 0; i < ROWS(names); i++) {
		assert_span_is(m.slots[i].key, names[i]);
		assert_ptr_equal(map_get(&m, span_str(names[i])), names[i == 7 ? 8 : i]);
	}
	assert_ptr_equal(map_get(&m, SPAN_LIT("")), names[9]);
	assert_null(map_get(&m, SPAN_LIT("n")));
	assert_null(map_get(&m, SPAN_LIT("n5000")));
	map_clear(&m);
	assert_null(map_get(&m, SPAN_LIT("n1")));
}

static int use_all(void *arg, dray_error **err)
{
	struct map m = { 0 };
	struct arena a = { 0 };
	cleanup_buf struct buf b = BUF_INIT(4096);
	int rc = 0;

	(void)arg;
	for (int i = 0; rc == 0 && i < 40; i++) {
		char *key = arena_printf(&a, "%d%0*d", i, i * 20, 0);
		rc = key ? map_put(&m, span_str(key), key, err) : err_nomem(err);
		if (rc == 0)
			rc = buf_add_str(&b, "0123456789", err);
	}
	if (rc == 0)
		rc = buf_printf(&b, err, "%d", 1);
	cleanup_free char *text = rc == 0 ? buf_steal_str(&b, err) : NULL;
	map_clear(&m);
	arena_clear(&a);
	return text ? 0 : -1;
}

static void test_G17_torture(void **state)
{
	(void)state;
	torture_alloc(use_all, NULL);
}

static void test_fault_counts(void **state)
{
	(void)state;
	fault_arm(FAULT_ALLOC, 2, 0);
	cleanup_free void *first = mem_alloc(1);
	cleanup_free void *second = mem_alloc(1);
	cleanup_free void *third = mem_alloc(1);
	assert_non_null(first);
	assert_null(second);
	assert_non_null(third);
	fault_arm(FAULT_ALLOC, 0, 0);
	cleanup_free void *fourth = mem_alloc(1);
	assert_non_null(fourth);
	assert_int_equal(fault_count(FAULT_ALLOC), 3);
	setenv("DRAY_FAULT", "alloc:1", 1);
	fault_arm_from_env();
	cleanup_free void *fifth = mem_alloc(1);
	fault_arm(FAULT_ALLOC, 0, 0);
	assert_null(fifth);
	setenv("DRAY_FAULT", "alloc:x", 1);
	fault_arm_from_env();
	cleanup_free void *sixth = mem_alloc(1);
	assert_non_null(sixth);
	unsetenv("DRAY_FAULT");
	fault_arm_from_env();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_do_not_wrap),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_buf_limit),
		cmocka_unit_test(test_grow),
		cmocka_unit_test(test_map_keeps_order),
		cmocka_unit_test(test_G17_torture),
		cmocka_unit_test(test_fault_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
