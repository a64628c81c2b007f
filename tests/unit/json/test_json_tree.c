/* SPDX-License-Identifier: Apache-2.0
 *
 * For: walking a document, typed values, compaction.
 * Relies on: support.h, torture.h.
 * Promises: each getter is tried on every type of value.
 */
#include "base/limits.h"
#include "json/json.h"
#include "torture.h"

static struct json_doc *must_parse(const char *text)
{
	struct json_doc *d = NULL;
	dray_error *err = NULL;

	assert_ok(json_parse(span_str(text), &d, &err), err);
	return d;
}

static const char sample[] = " { \"a\" : [ 1 , [2], {\"x\":3} , \"s\" ] , \"\\u0062c\":{ } "
			     ",\"Camel\":true, \"n\":null } ";

static void test_walk(void **state)
{
	cleanup_json struct json_doc *d = must_parse(sample);
	struct json root = json_root(d);
	struct json a = json_get(root, "a");

	(void)state;
	assert_int_equal(json_type(root), JSON_OBJECT);
	assert_int_equal(json_len(root), 4);
	assert_int_equal(json_len(a), 4);
	assert_span_is(json_raw(a), "[ 1 , [2], {\"x\":3} , \"s\" ]");
	static const char *const elements[] = { "1", "[2]", "{\"x\":3}", "\"s\"" };
	size_t i = 0;
	for (struct json it = json_first(a); json_node(it); it = json_next(it))
		assert_span_is(json_raw(it), elements[i++]);
	assert_int_equal(i, 4);
	assert_span_is(json_raw(root),
		       "{ \"a\" : [ 1 , [2], {\"x\":3} , \"s\" ] , \"\\u0062c\":{ } "
		       ",\"Camel\":true, \"n\":null }");
}

static void test_get(void **state)
{
	cleanup_json struct json_doc *d = must_parse(sample);
	struct json root = json_root(d);

	(void)state;
	assert_int_equal(json_type(json_get(root, "bc")), JSON_OBJECT);
	assert_int_equal(json_type(json_get(root, "BC")), JSON_MISSING);
	assert_int_equal(json_type(json_get(root, "b")), JSON_MISSING);
	assert_int_equal(json_type(json_get(root, "bcd")), JSON_MISSING);
	assert_int_equal(json_type(json_get(root, "camel")), JSON_MISSING);
	assert_int_equal(json_type(json_get_fold(root, "camel")), JSON_TRUE);
	assert_int_equal(json_type(json_get_fold(root, "Camel")), JSON_TRUE);
	assert_int_equal(json_type(json_get_fold(root, "BC")), JSON_OBJECT);
	assert_int_equal(json_type(json_get_fold(root, "camels")), JSON_MISSING);
	assert_false(json_present(json_get(root, "n")));
	assert_int_equal(json_type(json_get(root, "n")), JSON_NULL);
	/* Asking on from what is not there stays quiet. */
	struct json nothing = json_get(json_get(json_get(root, "x"), "y"), "z");
	assert_int_equal(json_type(nothing), JSON_MISSING);
	assert_int_equal(json_len(nothing), 0);
	assert_int_equal(json_raw(nothing).len, 0);
	assert_false(json_node(json_first(nothing)));
	assert_false(json_node(json_next(nothing)));
	assert_int_equal(json_type(json_get(json_get(root, "a"), "0")), JSON_MISSING);
}

static void test_names(void **state)
{
	cleanup_json struct json_doc *d = must_parse(sample);
	struct json second = json_next(json_first(json_root(d)));
	struct arena a = { 0 };
	dray_error *err = NULL;
	const char *name = NULL;

	(void)state;
	assert_span_is(json_name_raw(second), "\\u0062c");
	assert_ok(json_name(second, &a, &name, &err), err);
	assert_string_equal(name, "bc");
	arena_clear(&a);
}

static void test_M10_integers(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
		const char *says; /* NULL = accepted */
	} rows[] = {
		{ "0", 0, NULL },
		{ "-0", 0, NULL },
		{ "9223372036854775807", INT64_MAX, NULL },
		{ "9223372036854775808", 0, "out of range" },
		{ "-9223372036854775808", INT64_MIN, NULL },
		{ "-9223372036854775809", 0, "out of range" },
		{ "18446744073709551616", 0, "out of range" },
		{ "1.0", 0, "not a whole number" },
		{ "1e3", 0, "not a whole number" },
		{ "1E3", 0, "not a whole number" },
		{ "\"1\"", 0, "size: string, expected integer" },
		{ "null", 0, "size: null, expected integer" },
		{ "true", 0, "size: true, expected integer" },
		{ "[]", 0, "size: array, expected integer" },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_json struct json_doc *d = must_parse(rows[i].text);
		dray_error *err = NULL;
		int64_t v = 77;
		int rc = json_int(json_root(d), "size", &v, &err);
		if (rows[i].says) {
			assert_int_equal(rc, -1);
			assert_err(err, DRAY_ERR_FORMAT, rows[i].says);
		} else {
			assert_ok(rc, err);
			assert_true(v == rows[i].value);
		}
	}
}

static void test_missing_integer(void **state)
{
	cleanup_json struct json_doc *d = must_parse("{}");
	dray_error *err = NULL;
	int64_t v;

	(void)state;
	assert_int_equal(json_int(json_get(json_root(d), "size"), "layer: size", &v, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "layer: size: missing, expected integer");
}

static void test_bool(void **state)
{
	cleanup_json struct json_doc *d = must_parse(
		"{\"t\":true,\"f\":false,\"n\":null,\"s\":\"\"}");
	struct json root = json_root(d);
	dray_error *err = NULL;
	bool v = false;

	(void)state;
	assert_ok(json_bool(json_get(root, "t"), "t", false, &v, &err), err);
	assert_true(v);
	assert_ok(json_bool(json_get(root, "f"), "f", true, &v, &err), err);
	assert_false(v);
	assert_ok(json_bool(json_get(root, "n"), "n", true, &v, &err), err);
	assert_true(v);
	assert_ok(json_bool(json_get(root, "x"), "x", false, &v, &err), err);
	assert_false(v);
	assert_int_equal(json_bool(json_get(root, "s"), "s", true, &v, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "s: string, expected true or false");
}

static void test_want(void **state)
{
	cleanup_json struct json_doc *d = must_parse("{\"a\":[],\"n\":null}");
	struct json root = json_root(d);
	dray_error *err = NULL;

	(void)state;
	assert_ok(json_want(json_get(root, "a"), JSON_ARRAY, false, "a", &err), err);
	assert_ok(json_want(json_get(root, "n"), JSON_ARRAY, true, "n", &err), err);
	assert_ok(json_want(json_get(root, "x"), JSON_ARRAY, true, "x", &err), err);
	assert_int_equal(json_want(json_get(root, "n"), JSON_ARRAY, false, "n", &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "n: null, expected array");
	assert_int_equal(json_want(json_get(root, "x"), JSON_ARRAY, false, "x", &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "x: missing, expected array");
	assert_int_equal(json_want(json_get(root, "a"), JSON_OBJECT, true, "a", &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "a: array, expected object");
}

static void test_strings(void **state)
{
	static const struct {
		const char *text;
		struct span value;
	} rows[] = {
		{ "\"\"", SPAN_LIT("") },
		{ "\"abc\"", SPAN_LIT("abc") },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", SPAN_LIT("\"\\/\b\f\n\r\t") },
		{ "\"\\u0041\\u00e9\\u20AC\\uffff\"",
		  SPAN_LIT("A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf") },
		{ "\"\\ud83d\\ude00\\uD800\\uDC00\\udbff\\udfff\"",
		  SPAN_LIT("\xf0\x9f\x98\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf") },
		{ "\"\xc3\xa9\\u0000x\"", SPAN_LIT("\xc3\xa9\0x") },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_json struct json_doc *d = must_parse(rows[i].text);
		struct arena a = { 0 };
		dray_error *err = NULL;
		struct span got;
		assert_ok(json_string_bytes(json_root(d), "s", &a, &got, &err), err);
		assert_span(got, rows[i].value);
		arena_clear(&a);
	}
}

static void test_M10_string_values(void **state)
{
	cleanup_json struct json_doc *d = must_parse(
		"{\"a\":\"x y\",\"z\":\"x\\u0000y\",\"n\":null,\"i\":1}");
	struct json root = json_root(d);
	struct arena a = { 0 };
	dray_error *err = NULL;
	const char *s = "before";

	(void)state;
	assert_ok(json_string(json_get(root, "a"), "a", &a, &s, &err), err);
	assert_string_equal(s, "x y");
	assert_int_equal(json_string(json_get(root, "z"), "z", &a, &s, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "z: NUL in a string");
	assert_int_equal(json_string(json_get(root, "i"), "i", &a, &s, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "i: number, expected string");
	assert_string_equal(s, "x y");
	assert_ok(json_string(json_get(root, "n"), "n", &a, &s, &err), err);
	assert_null(s);
	assert_ok(json_string(json_get(root, "q"), "q", &a, &s, &err), err);
	assert_null(s);
	arena_clear(&a);
}

static void test_compact(void **state)
{
	static const struct {
		const char *text, *compact;
	} rows[] = {
		{ " 1 ", "1" },
		{ "[ 1 ,\n\t2\r]", "[1,2]" },
		{ "{ \"a b\" : \" c \" }", "{\"a b\":\" c \"}" },
		{ "\"a<b>&c\"", "\"a\\u003cb\\u003e\\u0026c\"" },
		{ "{\"<\" : 1}", "{\"\\u003c\":1}" },
		{ "\"\xe2\x80\xa8|\xe2\x80\xa9|\xe2\x80\xa7|\xe2\x81\xa8\"",
		  "\"\\u2028|\\u2029|\xe2\x80\xa7|\xe2\x81\xa8\"" },
		{ "\"\\u003C\\/\\u00e9\xc3\xa9\\\" \\\\\"",
		  "\"\\u003C\\/\\u00e9\xc3\xa9\\\" \\\\\"" },
		{ "[1.50e+07 , true,null ]", "[1.50e+07,true,null]" },
		{ "[ ]", "[]" },
		{ "{ }", "{}" },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_json struct json_doc *d = must_parse(rows[i].text);
		cleanup_buf struct buf b = BUF_INIT(LIMIT_CONFIG);
		dray_error *err = NULL;
		assert_ok(json_compact(json_root(d), &b, &err), err);
		assert_span_is(span_buf(&b), rows[i].compact);
	}
}

static void test_compact_limit(void **state)
{
	cleanup_json struct json_doc *d = must_parse("\"<\"");
	cleanup_buf struct buf fits = BUF_INIT(8), tight = BUF_INIT(7);
	dray_error *err = NULL;

	(void)state;
	assert_ok(json_compact(json_root(d), &fits, &err), err);
	assert_int_equal(json_compact(json_root(d), &tight, &err), -1);
	assert_err_kind(err, DRAY_ERR_LIMIT);
}

static int read_all(void *arg, dray_error **err)
{
	cleanup_json struct json_doc *d = NULL;
	cleanup_buf struct buf b = BUF_INIT(LIMIT_CONFIG);
	struct arena a = { 0 };
	const char *s;

	if (json_parse(span_str(arg), &d, err) < 0)
		return -1;
	int rc = json_string(json_get(json_root(d), "s"), "s", &a, &s, err);
	if (rc == 0)
		rc = json_name(json_first(json_root(d)), &a, &s, err);
	if (rc == 0)
		rc = json_compact(json_root(d), &b, err);
	arena_clear(&a);
	return rc;
}

static void test_G17_torture(void **state)
{
	static char text[] = "{\"a\": [1, 2], \"s\": \"text & more\\n\"}";

	(void)state;
	torture_alloc(read_all, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_M10_integers),
		cmocka_unit_test(test_missing_integer),
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_want),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_M10_string_values),
		cmocka_unit_test(test_compact),
		cmocka_unit_test(test_compact_limit),
		cmocka_unit_test(test_G17_torture),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
