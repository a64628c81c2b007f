/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the loop that walks option tables, and its "did you mean".
 * Relies on: support.h.
 * Promises: every kind and spelling of an option; each mistake is USAGE and says which.
 */
#include "../support.h"
#include "cli/options.h"

struct vars {
	bool flag, shared, verify;
	int count, number;
	const char *text, *choice;
	struct option_list list;
};

#define V(field) offsetof(struct vars, field)

static const struct option table[] = {
	{ "flag", 'f', OPT_FLAG, V(flag), .help = "" },
	{ "verify", 0, OPT_BOOL, V(verify), .arg = "true|false", .help = "" },
	{ "count", 'v', OPT_COUNT, V(count), .help = "" },
	{ "number", 'n', OPT_INT, V(number), .arg = "N", .help = "", .lo = 1, .hi = 256 },
	{ "text", 't', OPT_STRING, V(text), .arg = "TEXT", .help = "" },
	{ "choice", 0, OPT_CHOICE, V(choice), .arg = "C", .help = "", .choices = "one|two" },
	{ "list", 'l', OPT_LIST, V(list), .arg = "WORD", .help = "" },
	{ "shared", 's', OPT_FLAG, V(shared), .help = "", .needs = 4 },
	{ 0 },
};

/* All words into @p words (room for 8), options into @p vars. */
static int parse(const char *const *argv, struct vars *vars, const char **words, dray_error **err)
{
	struct option_parser p = { .argv = argv, .sets = { { table, vars, 1 } } };
	int rc;

	while ((rc = options_next(&p, words, err)) > 0)
		words++;
	return rc;
}

static void test_accepts(void **state)
{
	static const struct {
		const char *argv[6];
		struct vars want;
		const char *words[4];
	} rows[] = {
		{ { NULL }, { 0 }, { NULL } },
		{ { "a", "b" }, { 0 }, { "a", "b" } },
		{ { "a", "--flag", "b" }, { .flag = true }, { "a", "b" } },
		{ { "-f", "-" }, { .flag = true }, { "-" } },
		{ { "-vfv" }, { .flag = true, .count = 2 }, { NULL } },
		{ { "--count", "--count" }, { .count = 2 }, { NULL } },
		{ { "--verify" }, { .verify = true }, { NULL } },
		{ { "--verify=true" }, { .verify = true }, { NULL } },
		{ { "--verify", "--verify=false", "x" }, { .verify = false }, { "x" } },
		{ { "--number", "7" }, { .number = 7 }, { NULL } },
		{ { "--number=256" }, { .number = 256 }, { NULL } },
		{ { "-n7", "-n", "1" }, { .number = 1 }, { NULL } },
		{ { "-fn12" }, { .flag = true, .number = 12 }, { NULL } },
		{ { "--text=" }, { .text = "" }, { NULL } },
		{ { "--text", "--flag" }, { .text = "--flag" }, { NULL } },
		{ { "-t", "x", "--text=a=b" }, { .text = "a=b" }, { NULL } },
		{ { "--choice", "two" }, { .choice = "two" }, { NULL } },
		{ { "--list", "a", "-lb", "--list=c" },
		  { .list = { { "a", "b", "c" }, 3 } },
		  { NULL } },
		{ { "--", "--flag", "-", "--" }, { 0 }, { "--flag", "-", "--" } },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct vars got = { 0 };
		const char *words[8] = { NULL };
		dray_error *err = NULL;

		assert_ok(parse(rows[i].argv, &got, words, &err), err);
		assert_int_equal(got.flag, rows[i].want.flag);
		assert_int_equal(got.verify, rows[i].want.verify);
		assert_int_equal(got.count, rows[i].want.count);
		assert_int_equal(got.number, rows[i].want.number);
		assert_int_equal(got.list.n, rows[i].want.list.n);
		for (size_t k = 0; k < got.list.n; k++)
			assert_string_equal(got.list.list[k], rows[i].want.list.list[k]);
		assert_span_is(span_str(got.text), rows[i].want.text ? rows[i].want.text : "");
		assert_span_is(span_str(got.choice),
			       rows[i].want.choice ? rows[i].want.choice : "");
		for (size_t k = 0; k < 4; k++)
			assert_span_is(span_str(words[k]),
				       rows[i].words[k] ? rows[i].words[k] : "");
	}
}

static void test_refuses(void **state)
{
	static const struct {
		const char *argv[4];
		const char *message, *hint;
	} rows[] = {
		{ { "--flg" }, "unknown option '--flg'", "did you mean '--flag'?" },
		{ { "--xyzzy" }, "unknown option '--xyzzy'", NULL },
		{ { "--\033[31m" }, "unknown option '--\\x1b[31m'", NULL },
		{ { "-x" }, "unknown option '-x'", NULL },
		{ { "--flag=1" }, "option '--flag' takes no value", NULL },
		{ { "--verify=maybe" }, "'--verify': expected true or false, got 'maybe'", NULL },
		{ { "--text" }, "option '--text' needs a value (TEXT)", NULL },
		{ { "-t" }, "option '--text' needs a value (TEXT)", NULL },
		{ { "--number", "0" }, "expected a number from 1 to 256, got '0'", NULL },
		{ { "--number", "257" }, "got '257'", NULL },
		{ { "--number", "-1" }, "got '-1'", NULL },
		{ { "--number", "99999999999999999999" }, "got '9999", NULL },
		{ { "--number=" }, "got ''", NULL },
		{ { "-n", "1x" }, "got '1x'", NULL },
		{ { "--choice", "on" }, "expected one|two, got 'on'", NULL },
		{ { "--choice", "one|two" }, "got 'one|two'", NULL },
		/* A feature that this set lacks. */
		{ { "--shared" }, "unknown option '--shared'", NULL },
		{ { "-s" }, "unknown option '-s'", NULL },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct vars got = { 0 };
		const char *words[8];
		dray_error *err = NULL;

		assert_int_equal(parse(rows[i].argv, &got, words, &err), -1);
		if (rows[i].hint)
			assert_string_equal(dray_error_hint(err), rows[i].hint);
		else
			assert_null(dray_error_hint(err));
		assert_err(err, DRAY_ERR_USAGE, rows[i].message);
	}
}

static void test_goes_together(void **state)
{
	static const struct option pairs[] = {
		{ "flag", 0, OPT_FLAG, V(flag), .help = "", .with = "text|list" },
		{ "number", 0, OPT_INT, V(number), .arg = "N", .help = "", .lo = 1, .hi = 9,
		  .with = "flag" },
		{ "text", 0, OPT_STRING, V(text), .arg = "T", .help = "" },
		{ "list", 0, OPT_LIST, V(list), .arg = "T", .help = "", .against = "text|count" },
		{ "count", 0, OPT_COUNT, V(count), .help = "" },
		{ 0 },
	};
	static const struct {
		const char *argv[6];
		const char *message; /* NULL = they do */
	} rows[] = {
		{ { NULL }, NULL },
		{ { "--text=" }, NULL },
		{ { "--list=a", "--flag" }, NULL },
		{ { "--text=a", "--flag", "--number=1" }, NULL },
		{ { "--text=a", "--count" }, NULL },
		{ { "--flag" }, "--flag needs --text or --list" },
		{ { "--number=1", "--text=a" }, "--number needs --flag" },
		{ { "--list=a", "--text=b" }, "--list and --text do not go together" },
		{ { "--count", "--list=a" }, "--list and --count do not go together" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct vars got = { 0 };
		const struct option_set set = { pairs, &got, 0 };
		struct option_parser p = { .argv = rows[i].argv, .sets = { set } };
		const char *word;
		dray_error *err = NULL;

		assert_ok(options_next(&p, &word, &err), err);
		if (rows[i].message) {
			assert_int_equal(options_check(&set, &err), -1);
			assert_err(err, DRAY_ERR_USAGE, rows[i].message);
		} else {
			assert_ok(options_check(&set, &err), err);
		}
	}
}

static void test_nearest(void **state)
{
	static const struct {
		const char *typed, *want;
	} rows[] = {
		{ "imges", "images" },
		{ "iamges", "images" },
		{ "img", NULL },
		{ "verfy", "verify" },
		{ "pusk", "push" },
		{ "x", NULL },
		{ "copyy", "copy" },
		{ "whz", "why" },
		{ "", NULL },
		{ "a-very-long-name-that-is-longer-than-what-is-compared", NULL },
	};
	static const char *const names[] = { "images", "verify", "push", "copy", "why" };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct nearest n = { .typed = rows[i].typed };

		for (size_t k = 0; k < ROWS(names); k++)
			nearest_offer(&n, names[k]);
		if (rows[i].want)
			assert_string_equal(nearest_get(&n), rows[i].want);
		else
			assert_null(nearest_get(&n));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_goes_together),
		cmocka_unit_test(test_nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
