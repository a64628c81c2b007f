/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      registries.conf: rules, what is refused, which rule a reference meets.
 * Relies on: proto/registries.h.
 * Promises: the cases that containers-registries.conf(5) tells, one a row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/registries.h"
#include "torture.h"

#define R "[[registry]]\n"
#define M "[[registry.mirror]]\n"

static void test_matching(void **state)
{
	static const char conf[] = R
		"location = 'h.example'\n" R
		"prefix = 'h.example/ns'\nlocation = 'other.example/x/'\n" R
		"prefix = 'h.example/ns/app:1'\nlocation = 'pinned.example/app:2'\n" R
		"prefix = '*.example'\nblocked = true\n" R
		"prefix = '*.deep.example/p'\ninsecure = true\n" R "location = '[::1]:5000'\n";
	static const struct {
		const char *ref, *prefix;
		size_t matched;
	} rows[] = {
		{ "h.example/a:1", "h.example", 9 },
		{ "h.example", "h.example", 9 },
		{ "h.example:5000/a", "h.example", 9 },
		{ "h.example/ns/a:1", "h.example/ns", 12 },
		{ "h.example/nsx/a:1", "h.example", 9 },
		{ "h.example/ns@sha256:00", "h.example/ns", 12 },
		{ "h.example/ns/app:1", "h.example/ns/app:1", 18 },
		{ "h.example/ns/app:12", "h.example/ns", 12 },
		{ "x.y.example/a", "*.example", 11 },
		{ "x.example.example/a", "*.example", 17 },
		{ "x.examples/a", NULL, 0 },
		{ "example/a", NULL, 0 },
		{ "a.deep.example/p/q", "*.deep.example/p", 16 },
		{ "a.deep.example/r", "*.example", 14 },
		{ "q.io/x.example/a", NULL, 0 },
		{ "[::1]:5000/x", "[::1]:5000", 10 },
		{ "docker.io/library/x:latest", NULL, 0 },
	};
	cleanup_registries struct registries r = { 0 };
	dray_error *err = NULL;

	(void)state;
	assert_ok(registries_add(&r, span_str(conf), "f", &err), err);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t matched = 0;
		const struct registry_rule *rule = registries_find(&r, rows[i].ref, &matched);

		if (!rule != !rows[i].prefix)
			fail_msg("row %zu: %s", i, rule ? rule->prefix : "no rule");
		if (!rule)
			continue;
		assert_string_equal(rule->prefix, rows[i].prefix);
		assert_int_equal(matched, rows[i].matched);
	}
	assert_string_equal(registries_find(&r, "h.example/ns/a", &(size_t){ 0 })->location,
			    "other.example/x");
	assert_null(registries_find(&r, "x.y.example/a", &(size_t){ 0 })->location);
}

static void test_mirrors(void **state)
{
	static const char conf[] = R "location = 'h.example'\ninsecure = true\n" M
				     "location = 'm1.example/c'\n" M
				     "location = 'm2.example'\ninsecure = true\n"
				     "pull-from-mirror = 'digest-only'\n" M
				     "location = 'm3.example'\npull-from-mirror = 'tag-only'\n" R
				     "location = 'd.example'\nmirror-by-digest-only = true\n"
				     "mirror = [{location = 'm.example'}]\n";
	cleanup_registries struct registries r = { 0 };
	dray_error *err = NULL;
	size_t matched;

	(void)state;
	assert_ok(registries_add(&r, span_str(conf), "f", &err), err);
	const struct registry_rule *rule = registries_find(&r, "h.example/x", &matched);
	assert_true(rule->insecure && !rule->blocked);
	assert_int_equal(rule->n_mirrors, 3);
	assert_string_equal(rule->mirrors[0].location, "m1.example/c");
	assert_true(!rule->mirrors[0].insecure && rule->mirrors[0].use == MIRROR_ALWAYS);
	assert_true(rule->mirrors[1].insecure && rule->mirrors[1].use == MIRROR_DIGESTS);
	assert_true(rule->mirrors[2].use == MIRROR_TAGS);
	rule = registries_find(&r, "d.example/x", &matched);
	assert_int_equal(rule->n_mirrors, 1);
	assert_true(rule->mirrors[0].use == MIRROR_DIGESTS);
}

static void test_later_files(void **state)
{
	cleanup_registries struct registries r = { 0 };
	size_t matched;

	(void)state;
	assert_ok(registries_add(&r, SPAN_LIT(R "location = 'a.b'\n" R "location = 'c.d'\n"), "1",
				 NULL),
		  NULL);
	assert_ok(registries_add(&r,
				 SPAN_LIT(R "prefix = 'a.b'\nlocation = 'x.y'\nblocked = true\n"),
				 "2", NULL),
		  NULL);
	assert_int_equal(r.n, 2);
	assert_true(registries_find(&r, "a.b/q", &matched)->blocked);
	assert_string_equal(registries_find(&r, "a.b/q", &matched)->file, "2");
	assert_string_equal(registries_find(&r, "c.d/q", &matched)->file, "1");
}

static void test_refuses(void **state)
{
	static const struct {
		const char *text;
		enum dray_err_kind kind;
		const char *says;
	} rows[] = {
		{ R, DRAY_ERR_FORMAT, "line 1: a registry without prefix and location" },
		{ R "prefix = 'a.b'\n", DRAY_ERR_FORMAT, "without a location" },
		{ R "prefix = '*'\nlocation = 'a.b'\n", DRAY_ERR_FORMAT, "'*'" },
		{ R "prefix = 'a.*.b'\nlocation = 'a.b'\n", DRAY_ERR_FORMAT, "'*'" },
		{ R "location = 'http://a.b'\n", DRAY_ERR_FORMAT, "scheme" },
		{ R "location = 'a b'\n", DRAY_ERR_FORMAT, "odd" },
		{ R "location = 7\n", DRAY_ERR_FORMAT, "line 2: location is not a string" },
		{ R "location = 'a.b'\ninsecure = 1\n", DRAY_ERR_FORMAT, "line 3" },
		{ R "location = 'a.b'\n" M, DRAY_ERR_FORMAT, "line 3: a mirror without" },
		{ R "location = 'a.b'\n" M "location = 'c'\npull-from-mirror = 'x'\n",
		  DRAY_ERR_FORMAT, "pull-from-mirror is" },
		{ R "location = 'a.b'\nmirror-by-digest-only = true\n" M
		    "location = 'c'\npull-from-mirror = 'all'\n",
		  DRAY_ERR_FORMAT, "one of both" },
		{ R "location = 'a.b'\nmirror = ['c']\n", DRAY_ERR_FORMAT, "array of tables" },
		{ "registry = 1\n", DRAY_ERR_FORMAT, "array of tables" },
		{ R "location = 'a.b'\n" R "location = 'a.b'\nblocked = true\n", DRAY_ERR_FORMAT,
		  "disagree" },
		{ "[registries.search]\nregistries = []\n", DRAY_ERR_UNSUPPORTED, "version 1" },
		{ "[registries]\n", DRAY_ERR_UNSUPPORTED, "version 1" },
		{ "x", DRAY_ERR_FORMAT, "line 1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_registries struct registries r = { 0 };
		dray_error *err = NULL;

		if (registries_add(&r, span_str(rows[i].text), "f", &err) == 0)
			fail_msg("row %zu was taken", i);
		if (!strstr(dray_error_message(err), rows[i].says))
			fail_msg("row %zu: %s", i, dray_error_message(err));
		assert_err_kind(err, rows[i].kind);
	}
}

static int add(void *arg, dray_error **err)
{
	cleanup_registries struct registries r = { 0 };

	return registries_add(&r, span_str(arg), "f", err);
}

static void test_torture(void **state)
{
	char text[] = R "location = 'a.b'\n" M "location = 'c.d'\n" R "prefix = '*.x.y'\n";

	(void)state;
	torture_alloc(add, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matching),    cmocka_unit_test(test_mirrors),
		cmocka_unit_test(test_later_files), cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
