/* SPDX-License-Identifier: Apache-2.0
 *
 * Closures as units: which path lies in which, and what they need.
 * Relies on build/closure to read the rows.
 * Promises that neighbours by name are told apart.
 */
#include "build/units.h"
#include "torture.h"

static void read_list(struct closure *c, const char *text)
{
	const struct closure_options o = { .store = "/s/t" };
	dray_error *err = NULL;

	assert_ok(closure_read(span_str(text), &o, c, &err), err);
}

static void test_owner(void **state)
{
	static const struct {
		const char *path, *want;
	} rows[] = {
		{ "s/t/a", "/s/t/a" },
		{ "s/t/a/b/c", "/s/t/a" },
		{ "s/t/ab", "/s/t/ab" },
		{ "s/t/ab/a", "/s/t/ab" },
		{ "s/t/b", "/s/t/b" },
		{ "s/t/b/", "/s/t/b" },
		{ "s/t/aba", NULL },
		{ "s/t/c", NULL },
		{ "s/t", NULL },
		{ "s/t/", NULL },
		{ "s/ta", NULL },
		{ "t/a", NULL },
		{ "", NULL },
		{ "s/t//a", NULL },
	};
	cleanup_closure struct closure c = { 0 }, none = { 0 };

	(void)state;
	read_list(&c, "/s/t/ab\n/s/t/b\n/s/t/a\n");
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct closure_unit *u = units_owner(&c, rows[i].path);

		if (!u != !rows[i].want || (u && strcmp(u->path, rows[i].want) != 0))
			fail_msg("%s lies in %s", rows[i].path, u ? u->path : "none");
	}
	assert_null(units_owner(&none, "s/t/a"));
}

static void test_refs(void **state)
{
	static const char text[] = "/s/t/1-a-1\n\n2\n/s/t/2-b-2-bin\n/s/t/3-c\n"
				   "/s/t/2-b-2-bin\n\n1\n/s/t/3-c\n/s/t/3-c\n\n0\n";
	/* The image lacks the last; its units stand the other way round, behind another. */
	static const uint32_t place[] = { 2, 1, LAYERING_NONE };
	struct unit units[3] = { { .name = "other" } };
	struct arena a = { 0 };
	cleanup_closure struct closure c = { 0 };
	dray_error *err = NULL;

	(void)state;
	read_list(&c, text);
	assert_int_equal(c.n, 3);
	for (size_t i = 0; i < 2; i++)
		assert_ok(units_describe(&a, &c.units[i], &units[place[i]], &err), err);
	assert_ok(units_refs(&a, &c, place, units, &err), err);
	assert_string_equal(units[2].component, "a");
	assert_string_equal(units[1].component, "b-bin");
	assert_string_equal(units[1].origin, "b");
	assert_true(units[2].root && !units[1].root);
	assert_int_equal(units[2].n_refs, 1);
	assert_int_equal(units[2].refs[0], 1);
	assert_int_equal(units[1].n_refs, 0);
	assert_int_equal(units[0].n_refs, 0);
	arena_clear(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_refs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
