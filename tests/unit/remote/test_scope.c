/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      token scopes: union and cover.
 * Relies:   on nothing outside remote/scope.h.
 * Promises: one row per rule.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "remote/scope.h"

static char *text_of(const struct scopes *s)
{
	struct buf b = BUF_INIT(4096);

	for (size_t i = 0; i < s->n; i++)
		assert_int_equal(buf_printf(&b, NULL, "%s%s:%s", i ? " " : "", s->list[i].resource,
					    s->list[i].actions),
				 0);
	return buf_steal_str(&b, NULL);
}

static void test_union(void **state)
{
	static const struct {
		const char *a, *b, *want; /* want NULL = refused */
	} rows[] = {
		{ "repository:a:pull", "repository:a:push", "repository:a:pull,push" },
		{ "repository:a:pull,push", "repository:a:pull", "repository:a:pull,push" },
		{ "repository:a:pull,push", "repository:b:pull",
		  "repository:a:pull,push repository:b:pull" },
		{ "repository:a:pull repository:b:pull", "repository:a:delete",
		  "repository:a:pull,delete repository:b:pull" },
		{ "repository:h:5000/x:pull", "repository:h:5000/x:push",
		  "repository:h:5000/x:pull,push" },
		{ "registry:catalog:*", "", "registry:catalog:*" },
		{ "", "  repository:a:pull  ", "repository:a:pull" },
		{ "repository:a:pull", "repository:a:,,", "repository:a:pull" },
		{ "", "repository:a", NULL },
		{ "", "pull", NULL },
		{ "", "repository:a\r\n:pull", NULL },
		{ "", "repository:\"a:pull", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_scopes struct scopes s = { 0 };
		cleanup_free char *text = NULL;

		assert_int_equal(scopes_add(&s, span_str(rows[i].a), NULL), 0);
		assert_int_equal(scopes_add(&s, span_str(rows[i].b), NULL), rows[i].want ? 0 : -1);
		if (!rows[i].want)
			continue;
		text = text_of(&s);
		assert_string_equal(text, rows[i].want);
	}
}

static void test_cover(void **state)
{
	static const struct {
		const char *have, *want;
		bool covers;
	} rows[] = {
		{ "repository:a:pull,push", "repository:a:pull", true },
		{ "repository:a:pull,push", "repository:a:push,pull", true },
		{ "repository:a:pull", "repository:a:pull,push", false },
		{ "repository:a:pull", "repository:ab:pull", false },
		{ "repository:a:pull,push repository:b:pull", "repository:b:pull", true },
		{ "", "repository:b:pull", false },
		{ "repository:a:pull", "", true },
		{ "repository:a:pullx", "repository:a:pull", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_scopes struct scopes have = { 0 }, want = { 0 };

		assert_int_equal(scopes_add(&have, span_str(rows[i].have), NULL), 0);
		assert_int_equal(scopes_add(&want, span_str(rows[i].want), NULL), 0);
		assert_int_equal(scopes_cover(&have, &want), rows[i].covers);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_union),
		cmocka_unit_test(test_cover),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
