/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what the JSON scanner takes and refuses.
 * Relies on: support.h, torture.h.
 * Promises: every refused text has an accepted twin next to it.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "json/json.h"
#include "torture.h"

static int parse(struct span text, dray_error **err)
{
	cleanup_json struct json_doc *d = NULL;

	return json_parse(text, &d, err);
}

static void accept(const char *text)
{
	dray_error *err = NULL;

	assert_ok(parse(span_str(text), &err), err);
}

static void refuse(const char *text, enum dray_err_kind kind, const char *part)
{
	dray_error *err = NULL;

	assert_int_equal(parse(span_str(text), &err), -1);
	assert_err(err, kind, part);
}

struct pair {
	const char *good, *bad, *says;
};

static void check_pairs(const struct pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		accept(pairs[i].good);
		refuse(pairs[i].bad, DRAY_ERR_FORMAT, pairs[i].says);
	}
}

static void test_M10_grammar(void **state)
{
	static const struct pair pairs[] = {
		{ "0", "", "byte 0: text ends, expected a value" },
		{ " 1 ", "   ", "byte 3: text ends" },
		{ "null", "nul", "'n', expected a value" },
		{ "true", "True", "'T', expected a value" },
		{ "false", "falsy", "expected a value" },
		{ "[null]", "[nulll]", "'l', expected ',' or ']'" },
		{ "[]", "[", "text ends, expected a value" },
		{ "[1]", "[1,]", "']', expected a value" },
		{ "[1,2]", "[1 2]", "'2', expected ',' or ']'" },
		{ "[[]]", "[[}]", "'}', expected a value" },
		{ "{}", "{", "text ends, expected a member name" },
		{ "{\"a\":1}", "{\"a\":1,}", "'}', expected a member name" },
		{ "{\"a\":1}", "{\"a\" 1}", "'1', expected ':'" },
		{ "{\"a\":1}", "{\"a\":}", "'}', expected a value" },
		{ "{\"a\":1}", "{\"a\":1", "text ends, expected ',' or '}'" },
		{ "{\"a\":1}", "{\"a\":1]", "']', expected ',' or '}'" },
		{ "{\"a\":1}", "{a:1}", "'a', expected a member name" },
		{ "{\"a\":1}", "{'a':1}", "expected a member name" },
		{ "[1]", "[1}", "'}', expected ',' or ']'" },
		{ "{} \n\t\r", "{} x", "byte 3: data after the value" },
		{ "{}", "{}{}", "byte 2: data after the value" },
		{ "{}", "{}]", "data after the value" },
		{ "{}", "\xef\xbb\xbf{}", "byte order mark" },
		{ "{}", "\f{}", "byte 0x0c, expected a value" },
		{ "1", "1 // one", "data after the value" },
		{ "1",
		  "\xc2\xa0"
		  "1",
		  "byte 0xc2, expected a value" },
	};
	(void)state;
	check_pairs(pairs, ROWS(pairs));
}

static void test_M10_numbers(void **state)
{
	static const struct pair pairs[] = {
		{ "0", "00", "leading zero" },
		{ "-0", "-01", "leading zero" },
		{ "-1", "-", "expected a digit" },
		{ "1", "+1", "'+', expected a value" },
		{ "1.0", "1.", "expected a digit" },
		{ "0.5", ".5", "'.', expected a value" },
		{ "1e5", "1e", "expected a digit" },
		{ "1E+5", "1E+", "expected a digit" },
		{ "1.5e-5", "1.e5", "expected a digit" },
		{ "10", "0x10", "data after the value" },
		{ "1", "1.5.5", "data after the value" },
		{ "99999999999999999999", "NaN", "expected a value" },
		{ "1e999", "Infinity", "expected a value" },
		{ "-1", "-Infinity", "expected a digit" },
	};
	(void)state;
	check_pairs(pairs, ROWS(pairs));
}

static void test_M10_strings(void **state)
{
	static const struct pair pairs[] = {
		{ "\"a\"", "\"a", "text ends inside a string" },
		{ "\"\\\"\"", "\"\\\"", "text ends inside a string" },
		{ "\"\\\\\"", "\"\\", "malformed escape" },
		{ "\"\\/\\b\\f\\n\\r\\t\"", "\"\\a\"", "unknown escape" },
		{ "\"\\u00e9\"", "\"\\u00g9\"", "malformed escape" },
		{ "\"\\uABCD\"", "\"\\uABC\"", "malformed escape" },
		{ "\"\\u0000\"", "\"\\x00\"", "unknown escape" },
		{ "\"\\u001f\"", "\"\x1f\"", "control byte" },
		{ "\"\\n\"", "\"\n\"", "control byte" },
		{ "\"\x7f\"", "\"\t\"", "control byte" },
		{ "\"\\ud83d\\ude00\"", "\"\\ud83d\"", "lone surrogate" },
		{ "\"\\ud83d\\ude00\"", "\"\\ud83dx\"", "lone surrogate" },
		{ "\"\\ud83d\\ude00\"", "\"\\ud83d\\ud83d\"", "lone surrogate" },
		{ "\"\\uffff\"", "\"\\ude00\"", "lone surrogate" },
		{ "\"\\ud7ff\"", "\"\\udfff\"", "lone surrogate" },
		{ "\"\xc3\xa9\"", "\"\xc3\"", "invalid UTF-8" },
		{ "\"\xc2\x80\"", "\"\xc1\xbf\"", "invalid UTF-8" },
		{ "\"\xe0\xa0\x80\"", "\"\xe0\x9f\xbf\"", "invalid UTF-8" },
		{ "\"\xed\x9f\xbf\"", "\"\xed\xa0\x80\"", "invalid UTF-8" },
		{ "\"\xf4\x8f\xbf\xbf\"", "\"\xf4\x90\x80\x80\"", "invalid UTF-8" },
		{ "\"\xf0\x90\x80\x80\"", "\"\xf0\x8f\xbf\xbf\"", "invalid UTF-8" },
		{ "\"\xef\xbf\xbd\"", "\"\xff\"", "invalid UTF-8" },
		{ "{\"\\u0001\":1}", "{\"\\u0000\":1}", "NUL in a member name" },
		{ "{\"\xc3\xa9\":1}", "{\"\xe9\":1}", "invalid UTF-8" },
		{ "{\"\":1}", "{\"\\q\":1}", "unknown escape" },
	};
	(void)state;
	check_pairs(pairs, ROWS(pairs));
}

static void test_M10_raw_nul(void **state)
{
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(parse(SPAN_LIT("\"a\0b\""), &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "control byte");
	assert_int_equal(parse(SPAN_LIT("{}\0"), &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "data after the value");
	assert_int_equal(parse(SPAN_LIT("\0"), &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "byte 0x00, expected a value");
	assert_ok(parse(SPAN_LIT("\"a b\""), &err), err);
}

#define MANY "\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1,\"7\":1,\"8\":1,\"9\":1,"

static void test_M10_twins(void **state)
{
	static const struct pair pairs[] = {
		{ "{\"a\":1,\"b\":2}", "{\"a\":1,\"a\":2}",
		  "byte 7: member \"a\" appears twice, first at byte 1" },
		{ "{\"a\":1,\"\\u0062\":2}", "{\"a\":1,\"\\u0061\":2}", "\\u0061\" appears twice" },
		{ "{\"a/\":1,\"a\":2}", "{\"a/\":1,\"a\\/\":2}", "appears twice" },
		{ "{\"a\":1,\"A\":2,\"b\":3}", "{\"a\":1,\"A\":2,\"A\":3}", "appears twice" },
		{ "{" MANY "\"a\":1,\"A\":2}", "{" MANY "\"a\":1,\"A\":2,\"A\":3}",
		  "appears twice" },
		{ "{\"\xc3\xa9\":1,\"\xc3\x89\":2}", "{\"\xc3\xa9\":1,\"\\u00e9\":2}",
		  "appears twice" },
		{ "{" MANY "\"10\":1}", "{" MANY "\"1\":1}",
		  "\"1\" appears twice, first at byte 1" },
		{ "[{\"a\":1},{\"a\":1}]", "[{\"a\":1,\"a\":1}]", "appears twice" },
		{ "{\"a\":{\"a\":{}}}", "{\"b\":{\"a\":1,\"a\":{}}}", "appears twice" },
		{ "{\"\":1,\"a\":1}", "{\"\":1,\"\":1}", "appears twice" },
	};
	(void)state;
	check_pairs(pairs, ROWS(pairs));
}

/* Fields whose names only case tells apart are refused, labels and paths are not. */
static void test_M10_case_twins(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "{\"layers\":1,\"Layers\":2}",
		  "\"Layers\" differs only in case from \"layers\" at byte 1" },
		{ "{\"k\":1,\"\\u004b\":2}", "differs only in case" },
		{ "{\"s\":1,\"\xc5\xbf\":2}", "differs only in case" },
		{ "{\"k\":1,\"\\u212a\":2}", "differs only in case" },
		{ "{" MANY "\"a\":1,\"A\":1}", "differs only in case" },
		{ "{\"layers\":1,\"layer\":2}", NULL },
		{ "{\"k\":1,\"\\u006a\":2}", NULL },
		{ "{\"s\":1,\"\xc5\xbe\":2}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_json struct json_doc *doc = NULL;
		cleanup_error dray_error *err = NULL;

		assert_int_equal(json_parse(span_str(rows[i].text), &doc, NULL), 0);
		assert_int_equal(json_want_map(json_root(doc), false, "labels", NULL), 0);
		assert_int_equal(json_want(json_root(doc), JSON_OBJECT, false, "config", &err),
				 rows[i].message ? -1 : 0);
		if (!rows[i].message)
			continue;
		assert_int_equal(dray_error_kind(err), DRAY_ERR_FORMAT);
		assert_non_null(strstr(dray_error_message(err), rows[i].message));
	}
}

/* A text of @p n times @p unit between @p head and @p tail; the caller frees. */
static char *repeat(const char *head, const char *unit, size_t n, const char *tail)
{
	struct buf b = BUF_INIT(SIZE_MAX / 2);

	assert_int_equal(buf_add_str(&b, head, NULL), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf_add_str(&b, unit, NULL), 0);
	assert_int_equal(buf_add_str(&b, tail, NULL), 0);
	return buf_steal_str(&b, NULL);
}

static void test_M11_depth(void **state)
{
	static const struct {
		const char *open, *close;
	} kinds[] = { { "[", "]" }, { "{\"a\":", "}" } };
	(void)state;
	for (size_t i = 0; i < ROWS(kinds); i++) {
		cleanup_free char *tail = repeat("1", kinds[i].close, LIMIT_JSON_DEPTH, "");
		cleanup_free char *at = repeat("", kinds[i].open, LIMIT_JSON_DEPTH, tail);
		cleanup_free char *over = repeat(kinds[i].open, at, 1, kinds[i].close);
		accept(at);
		refuse(over, DRAY_ERR_LIMIT, "LIMIT_JSON_DEPTH");
	}
	cleanup_free char *bomb = repeat("", "[", 100000, "");
	refuse(bomb, DRAY_ERR_LIMIT, "deeper than 64 levels");
	cleanup_free char *wide = repeat("[", "[[[]]],", 10000, "1]");
	accept(wide);
}

static void test_M11_nodes(void **state)
{
	(void)state;
	cleanup_free char *at = repeat("[", "0,", LIMIT_JSON_NODES - 2, "0]");
	cleanup_free char *over = repeat("[", "0,", LIMIT_JSON_NODES - 1, "0]");
	accept(at);
	refuse(over, DRAY_ERR_LIMIT, "LIMIT_JSON_NODES");
}

/* An object of @p n members, the last one called @p last. */
static char *wide_object(int n, const char *last)
{
	struct buf b = BUF_INIT(SIZE_MAX / 2);

	assert_int_equal(buf_add_byte(&b, '{', NULL), 0);
	for (int i = 1; i < n; i++)
		assert_int_equal(buf_printf(&b, NULL, "\"n%d\":%d,", i, i), 0);
	assert_int_equal(buf_printf(&b, NULL, "\"%s\":0}", last), 0);
	return buf_steal_str(&b, NULL);
}

static void test_M11_names(void **state)
{
	cleanup_free char *at = wide_object(LIMIT_JSON_NAMES, "z");
	cleanup_free char *twin = wide_object(LIMIT_JSON_NAMES, "n1");
	cleanup_free char *over = wide_object(LIMIT_JSON_NAMES + 1, "z");
	int64_t start = io_now_ms();

	(void)state;
	accept(at);
	refuse(twin, DRAY_ERR_FORMAT, "\"n1\" appears twice");
	refuse(over, DRAY_ERR_LIMIT, "LIMIT_JSON_NAMES");
	/* Comparing all pairs would take minutes. */
	assert_true(io_now_ms() - start < 20000);
}

static int parse_arg(void *arg, dray_error **err)
{
	return parse(span_str(arg), err);
}

static void test_G17_torture(void **state)
{
	static char text[] = "{" MANY "\"o\":{\"\\u0061\":[1,2,{\"b\":null}],\"c\":\"\"},"
			     "\"p\":[[],[],[],[],[],[],[]]}";
	(void)state;
	torture_alloc(parse_arg, text);
}

static int parse_twins(void *arg, dray_error **err)
{
	dray_error *failure = NULL;

	if (parse(span_str(arg), &failure) == 0)
		fail_msg("twins accepted");
	if (dray_error_kind(failure) == DRAY_ERR_FORMAT) {
		err_clear(&failure);
		return 0;
	}
	*err = failure;
	return -1;
}

static void test_G17_torture_twins(void **state)
{
	static char few[] = "{\"a\":1,\"A\":2,\"A\":1}", odd[] = "{\"a\":1,\"\\u0061\":1}";

	(void)state;
	torture_alloc(parse_twins, few);
	torture_alloc(parse_twins, odd);
}

/* No prefix of a document is a document, and none reads past its end (ASan watches). */
static void test_M10_every_prefix(void **state)
{
	static const char text[] = "{\"a\":[1.5e+3,true,null,\"\\ud83d\\ude00\xc3\xa9\"],\"b\":{}}";

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		cleanup_free uint8_t *copy = mem_dup(text, n);
		dray_error *err = NULL;
		assert_int_equal(parse(span_of(copy, n), &err), -1);
		assert_err_kind(err, DRAY_ERR_FORMAT);
	}
	accept(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_M10_grammar),	 cmocka_unit_test(test_M10_numbers),
		cmocka_unit_test(test_M10_strings),	 cmocka_unit_test(test_M10_raw_nul),
		cmocka_unit_test(test_M10_twins),	 cmocka_unit_test(test_M10_case_twins),
		cmocka_unit_test(test_M10_every_prefix), cmocka_unit_test(test_M11_depth),
		cmocka_unit_test(test_M11_nodes),	 cmocka_unit_test(test_M11_names),
		cmocka_unit_test(test_G17_torture),	 cmocka_unit_test(test_G17_torture_twins),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
