/* SPDX-License-Identifier: Apache-2.0
 *
 * Expressions of rules: what they fit, and what is refused before regcomp(3) sees it.
 * Relies on nothing but text.
 * Promises that a row which is wrong is named.
 */
#include "base/mem.h"
#include "build/rules.h"
#include "torture.h"

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct {
	const char *regex, *path;
	int fits;
} rows[] = {
	{ "/a|/b", "b", 1 },
	{ "/a|/b", "b/c", 0 },
	{ "/(a|b)+", "ab", 1 },
	{ "/a\\)b", "a)b", 1 },
	{ "/a[)]b", "a)b", 1 },
	{ "/a[]+{]*", "a+]{", 1 },
	{ "/[^])(]+", "a(", 0 },
	{ "/[[:alpha:])]+", "a)b", 1 },
	{ "/[[.).]x]+", "x)", 1 },
	{ "/[\\]+\\+", "\\+", 1 },
	{ "a|/ab|/b", "ab", 1 },
	{ "a|/ab|b", "xab", 0 },
	{ "b", "ab", 0 },
	{ "(/a|/ab)(c|bcd)", "abcd", 1 },
	{ "((((((((((((((((((((((((a)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*)*/aa", "aa", 1 },
	{ "/(a*|b*|c*)*(a*|b*|c*)*(a*|b*|c*)*(a*|b*|c*)*(a*|b*|c*)*(a*|b*|c*)*(a*|b*|c*)*", "abc",
	  1 },
	/* bounds as names of files need them */
	{ "/store/[0-9a-z]{4}-[^/]{1,200}(/[^/]{1,255}){0,5}", "store/ab01-x/y", 1 },
	{ "/[0-9a-f]{64}-[0-9a-f]{64}", "a", 0 },
	{ "/a{0}b", "b", 1 },
	/* the ends of all of it, which say nothing */
	{ "^/a$", "a", 1 },
	{ "^/a$", "ab", 0 },
	{ "^/a|/b$|^/c$", "b", 1 },
	{ "^(/a|/b)$", "b", 1 },
	{ "^/(a*|b*|c*)*(a*|b*|c*)*(a*|b*|c*)*(a*|b*|c*)*(a*|b*|c*)*(a*|b*|c*)*$", "abc", 1 },
	{ "^", "a", 0 },
	{ "/[$^]\\^\\$\\|", "^^$|", 1 },
	{ "/a{1998}", "a", 0 },
	{ "/" HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED, "a", 0 },
};

static const struct {
	const char *regex, *message;
} refused[] = {
	{ "/a)|/q", "a ')' that closes nothing" },
	{ "a)(b)", "a ')' that closes nothing" },
	{ "(a))", "a ')' that closes nothing" },
	{ "a)(b))", "a ')' that closes nothing" },
	{ ")", "a ')' that closes nothing" },
	{ "(", "Unmatched ( or" },
	{ "[a", "Unmatched [" },
	{ "[[:alpha:", "Unmatched [" },
	{ ".*{10,}{10,}{10,}{10,}{10,}", "more than 2000 characters" },
	{ "((a{1,250}){1,250}){1,250}", "more than 2000 characters" },
	{ "((a{1,250}){1,250}){1,250}(", "more than 2000 characters" },
	{ "((a{250,}|b)[]){}]){250}", "more than 2000 characters" },
	{ "a{1,32767}", "more than 2000 characters" },
	{ "a{99999999999999999999999}", "more than 2000 characters" },
	{ "a{2001}", "more than 2000 characters" },
	{ "a{,2001}", "more than 2000 characters" },
	{ "a{0,1000}b{0,1000}c{0,1000}", "more than 2000 characters" },
	/* '+' is written out too */
	{ "a++++++++++++++++++++++++++++++++++++++++", "more than 2000 characters" },
	{ "((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+)+", "more than 2000 characters" },
	{ "(a)\\1", "back references" },
	/* each of them takes twice as long as the one before */
	{ "(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)*(^)"
	  "*",
	  "'^' and '$' are known in front" },
	{ "(^/a)", "'^' and '$' are known in front" },
	{ "(/a$)", "'^' and '$' are known in front" },
	{ "/a^", "'^' and '$' are known in front" },
	{ "\\|^/a", "'^' and '$' are known in front" },
	{ "$/a", "'^' and '$' are known in front" },
	{ "^^/a", "'^' and '$' are known in front" },
	{ "^*/a", "'^' and '$' are known in front" },
	{ "/a$*", "'^' and '$' are known in front" },
	{ "/\\ba", "'^' and '$' are known in front" },
	{ "*{a", "Invalid" },
};

struct one {
	struct spec_rule rule;
	struct spec spec;
};

static struct spec *spec_of(struct one *o, const char *regex)
{
	*o = (struct one){ .rule = { .regex = regex } };
	o->spec = (struct spec){ .rules = &o->rule, .n_rules = 1 };
	return &o->spec;
}

static void test_fits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_rules struct rules r = { 0 };
		dray_error *err = NULL;
		struct one o;
		int rc = rules_init(&r, spec_of(&o, rows[i].regex), &err);

		if (rc < 0)
			fail_msg("\"%s\": %s", rows[i].regex, dray_error_message(err));
		if (rules_fit(&r, 0, NULL, rows[i].path, TAR_FILE, &err) != rows[i].fits)
			fail_msg("\"%s\" and /%s", rows[i].regex, rows[i].path);
	}
}

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(refused); i++) {
		cleanup_rules struct rules r = { 0 };
		dray_error *err = NULL;
		struct one o;

		if (rules_init(&r, spec_of(&o, refused[i].regex), &err) == 0)
			fail_msg("\"%s\" is taken", refused[i].regex);
		assert_err(err, DRAY_ERR_USAGE, refused[i].message);
	}
}

/* One by one they are fine, and all of them fit into no memory. */
static void test_sum(void **state)
{
	struct spec_rule rules[27];
	struct spec spec = { .rules = rules, .n_rules = 25 };
	dray_error *err = NULL;

	(void)state;
	for (size_t i = 0; i < ROWS(rules); i++)
		rules[i] = (struct spec_rule){ .regex = "(.{0,60}){32}" };
	assert_ok(rules_check(&spec, &err), err);
	spec.n_rules = 27;
	assert_int_equal(rules_check(&spec, &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "rule 26: \"regex\": with those before it");
}

static int init(void *arg, dray_error **err)
{
	cleanup_rules struct rules r = { 0 };
	struct one o;

	return rules_init(&r, spec_of(&o, arg), err);
}

static void test_memory(void **state)
{
	static char regex[] = "/a(b|[c)]{2,3})+";

	(void)state;
	torture_alloc(init, regex);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fits),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
