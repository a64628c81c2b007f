/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns: what fits, what is none, and what it costs.
 * Relies on tables.
 * Promises that a wrong answer names its row.
 */
#include "support.h"

#include "base/glob.h"

static void test_glob(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} rows[] = {
		{ "latest", "latest", true }, { "latest", "latest1", false },
		{ "latest", "lates", false }, { "*", "", true },
		{ "*", "anything", true },    { "**", "x", true },
		{ "1.*", "1.", true },	      { "1.*", "1.36", true },
		{ "1.*", "11.36", false },    { "*-rc*", "1.0-rc1", true },
		{ "*-rc*", "1.0-r", false },  { "*.36", "1.36.36", true },
		{ "a*b*c", "aXbYbZc", true }, { "a*b*c", "aXbYbZ", false },
		{ "?", "x", true },	      { "?", "", false },
		{ "??", "x", false },	      { "v[0-9]", "v7", true },
		{ "v[0-9]", "vx", false },    { "v[!0-9]", "vx", true },
		{ "v[!0-9]", "v7", false },   { "[abc-]", "-", true },
		{ "[]x]", "]", true },	      { "[!]x]", "]", false },
		{ "[!]x]", "y", true },	      { "3.[0-9]*", "3.18", true },
		{ "*[0-9]", "a1b", false },   { "*[0-9]b", "a1b", true },
		{ "[a-c][d-f]", "be", true }, { "[c-a]", "b", false },
		{ "[^a-c]", "d", true },      { "[^a-c]", "b", false },
		{ "\\*", "*", true },	      { "\\*", "a", false },
		{ "a\\[b", "a[b", true },     { "*\\?", "ab?", true },
		{ "[\\]x", "\\x", true },     { "\\\\", "\\", true },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_null(glob_problem(rows[i].pattern));
		if (glob_match(rows[i].pattern, rows[i].text) != rows[i].matches)
			fail_msg("\"%s\" and \"%s\"", rows[i].pattern, rows[i].text);
	}
	assert_non_null(glob_problem(""));
	assert_non_null(glob_problem("["));
	assert_non_null(glob_problem("[!"));
	assert_non_null(glob_problem("a[]"));
	assert_non_null(glob_problem("a[b]c[d"));
	assert_non_null(glob_problem("a\\"));
	assert_non_null(glob_problem("\\\\["));
	assert_true(glob_is_pattern("a?"));
	assert_false(glob_is_pattern("1.2-x_y"));
}

/* What costs other matchers years. */
static void test_glob_bounded(void **state)
{
	char text[1001], pattern[1001];

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		text[i] = 'a';
		pattern[i] = i % 2 ? 'a' : '*';
	}
	text[1000] = '\0';
	pattern[999] = 'b';
	pattern[1000] = '\0';
	assert_false(glob_match(pattern, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glob),
		cmocka_unit_test(test_glob_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
