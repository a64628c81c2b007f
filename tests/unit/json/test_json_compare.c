/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what two documents say differently.
 * Relies on: support.h, torture.h.
 * Promises: each row is tried both ways round.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "json/compare.h"
#include "torture.h"

static struct json_doc *must_parse(const char *text)
{
	struct json_doc *d = NULL;
	dray_error *err = NULL;

	assert_ok(json_parse(span_str(text), &d, &err), err);
	return d;
}

static void test_same(void **state)
{
	static const struct {
		const char *a, *b;
		int same;
	} rows[] = {
		{ "null", "null", 1 },
		{ "null", "false", 0 },
		{ "true", "false", 0 },
		{ "{}", "[]", 0 },
		{ "{}", "null", 0 },
		{ "\"a\"", "\"\\u0061\"", 1 },
		{ "\"a\"", "\"A\"", 0 },
		{ "\"\"", "\"\\u0000\"", 0 },
		{ "\"<\"", "\"\\u003c\"", 1 },
		{ "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"", 1 },
		{ "{\"a\":1,\"b\":2}", " { \"b\" : 2 , \"\\u0061\" : 1 } ", 1 },
		{ "{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", 0 },
		{ "{\"a\":1}", "{\"a\":1,\"b\":null}", 0 },
		{ "{\"a\":{\"b\":[{\"c\":1,\"d\":2}]}}", "{\"a\":{\"b\":[{\"d\":2,\"c\":1}]}}", 1 },
		{ "{\"a\":{\"b\":[{\"c\":1}]}}", "{\"a\":{\"b\":[{\"c\":2}]}}", 0 },
		{ "[1,2]", "[2,1]", 0 },
		{ "[1]", "[1,1]", 0 },
		{ "[]", "[ ]", 1 },
		{ "0", "-0", 1 },
		{ "0", "0.000e55", 1 },
		{ "0", "0e99999999999999999999", 1 },
		{ "1", "1.0", 1 },
		{ "1", "-1", 0 },
		{ "1", "10", 0 },
		{ "100", "1e2", 1 },
		{ "100", "1E+2", 1 },
		{ "0.01", "1e-2", 1 },
		{ "12.5", "1.25e1", 1 },
		{ "12.5", "125", 0 },
		{ "12.5", "1.25e2", 0 },
		{ "1200.50", "120050e-2", 1 },
		{ "12345678901234567890123", "12345678901234567890124", 0 },
		{ "12345678901234567890123", "12345678901234567890123.0", 1 },
		{ "1e99999999999999999999", "1e99999999999999999998", 0 },
		{ "1e99999999999999999999", "1e99999999999999999999", 1 },
		{ "1e9223372036854775807", "1e-9223372036854775807", 0 },
		{ "101", "11", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_json struct json_doc *a = must_parse(rows[i].a);
		cleanup_json struct json_doc *b = must_parse(rows[i].b);
		dray_error *err = NULL;

		if (json_same(json_root(a), json_root(b), &err) != rows[i].same ||
		    json_same(json_root(b), json_root(a), &err) != rows[i].same)
			fail_msg("%s and %s: not %d", rows[i].a, rows[i].b, rows[i].same);
		assert_null(err);
	}
}

static int show(void *arg, const char *path, struct json a, struct json b, dray_error **err)
{
	struct buf *out = arg;
	struct span x = json_raw(a), y = json_raw(b);

	return buf_printf(out, err, "%s %.*s|%.*s\n", path, (int)x.len,
			  x.len ? (const char *)x.data : "", (int)y.len,
			  y.len ? (const char *)y.data : "");
}

static void test_diff(void **state)
{
	static const struct {
		const char *a, *b, *want;
	} rows[] = {
		{ "{}", "{}", "" },
		{ "{}", "[]", " {}|[]\n" },
		{ "{\"a\":1,\"b\":2}", "{\"b\":2.0,\"a\":1}", "" },
		{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":4,\"d\":5,\"a\":1}",
		  "/b 2|\n/c 3|4\n/d |5\n" },
		{ "{\"config\":{\"Env\":[\"A\"],\"User\":\"x\"}}",
		  "{\"config\":{\"Env\":[\"B\"],\"User\":\"x\"}}",
		  "/config/Env [\"A\"]|[\"B\"]\n" },
		/* Names with what a pointer escapes. */
		{ "{\"a/b\":{\"~\":1}}", "{\"a/b\":{\"~\":2}}", "/a~1b/~0 1|2\n" },
		{ "{\"80\\/tcp\":{}}", "{}", "/80~1tcp {}|\n" },
		/* Entered also where the other side has nothing or null. */
		{ "{\"L\":{\"x\":\"1\",\"y\":\"2\"}}", "{}", "/L/x \"1\"|\n/L/y \"2\"|\n" },
		{ "{\"L\":null}", "{\"L\":{\"x\":\"1\"}}", "/L/x |\"1\"\n" },
		{ "{\"L\":null}", "{\"L\":{}}", "/L null|{}\n" },
		{ "{\"L\":null}", "{}", "/L null|\n" },
		{ "{\"L\":{\"x\":1}}", "{\"L\":[1]}", "/L {\"x\":1}|[1]\n" },
		/* Lists of objects, as long as one another. */
		{ "{\"h\":[{\"a\":1},{\"a\":2}]}", "{\"h\":[{\"a\":1},{\"a\":3,\"b\":0}]}",
		  "/h/1/a 2|3\n/h/1/b |0\n" },
		{ "{\"h\":[{\"a\":1}]}", "{\"h\":[{\"a\":1},{\"a\":1}]}",
		  "/h [{\"a\":1}]|[{\"a\":1},{\"a\":1}]\n" },
		{ "{\"h\":[{\"a\":1},2]}", "{\"h\":[{\"a\":2},2]}",
		  "/h [{\"a\":1},2]|[{\"a\":2},2]\n" },
		{ "[{\"a\":1}]", "[{\"a\":2}]", "/0/a 1|2\n" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_json struct json_doc *a = must_parse(rows[i].a);
		cleanup_json struct json_doc *b = must_parse(rows[i].b);
		cleanup_buf struct buf out = BUF_INIT(4096);
		dray_error *err = NULL;

		assert_ok(json_diff(json_root(a), json_root(b), show, &out, &err), err);
		assert_span_is(span_buf(&out), rows[i].want);
	}
}

/* "{\"a\":{\"a\":...VALUE...}}" as deep as the scanner allows. */
static char *deep(const char *value)
{
	char *text = mem_strdup(value);

	for (int i = 1; i < LIMIT_JSON_DEPTH; i++) {
		char *more = mem_printf("{\"a\":%s}", text);

		assert_non_null(more);
		mem_free(text);
		text = more;
	}
	return text;
}

static void test_deepest(void **state)
{
	cleanup_free char *x = deep("{\"z\":1}");
	cleanup_free char *y = deep("{\"z\":2}");
	cleanup_json struct json_doc *a = must_parse(x);
	cleanup_json struct json_doc *b = must_parse(y);
	cleanup_buf struct buf out = BUF_INIT(4096);
	dray_error *err = NULL;

	(void)state;
	assert_ok(json_diff(json_root(a), json_root(b), show, &out, &err), err);
	assert_int_equal(out.len, 2 * (LIMIT_JSON_DEPTH - 1) + strlen("/z 1|2\n"));
	assert_int_equal(json_same(json_root(a), json_root(b), &err), 0);
}

static int count_one(void *arg, const char *path, struct json a, struct json b, dray_error **err)
{
	(void)path, (void)a, (void)b, (void)err;
	++*(size_t *)arg;
	return 0;
}

/* {"LONG":{"0":0,"1":0,...}}: every member's path has the long name in it. */
static void long_paths(struct buf *out, size_t name, size_t members)
{
	dray_error *err = NULL;

	assert_ok(buf_add_str(out, "{\"", &err), err);
	for (size_t i = 0; i < name; i++)
		assert_ok(buf_add_byte(out, 'x', &err), err);
	assert_ok(buf_add_str(out, "\":{", &err), err);
	for (size_t i = 0; i < members; i++)
		assert_ok(buf_printf(out, &err, "%s\"%zu\":0", i ? "," : "", i), err);
	assert_ok(buf_add_str(out, "}}", &err), err);
}

static void test_limit(void **state)
{
	cleanup_json struct json_doc *none = must_parse("{}");
	size_t n = 0;

	(void)state;
	for (int over = 0; over < 2; over++) {
		cleanup_buf struct buf text = BUF_INIT(4 << 20);
		struct json_doc *d = NULL;
		dray_error *err = NULL;
		int rc;

		long_paths(&text, 1 << 20, over ? 64 : 63);
		assert_ok(json_parse(span_buf(&text), &d, &err), err);
		rc = json_diff(json_root(d), json_root(none), count_one, &n, &err);
		json_doc_free(d);
		if (over) {
			assert_int_equal(rc, -1);
			assert_err(err, DRAY_ERR_LIMIT, "LIMIT_JSON_DIFF");
		} else {
			assert_ok(rc, err);
			assert_int_equal(n, 63);
		}
	}
}

static int stop(void *arg, const char *path, struct json a, struct json b, dray_error **err)
{
	(void)arg, (void)a, (void)b;
	return err_set(err, DRAY_ERR_CANCELLED, "at %s", path);
}

static void test_stops(void **state)
{
	cleanup_json struct json_doc *a = must_parse("{\"a\":{\"b\":1,\"c\":2}}");
	cleanup_json struct json_doc *b = must_parse("{\"a\":{\"b\":3,\"c\":4}}");
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(json_diff(json_root(a), json_root(b), stop, NULL, &err), -1);
	assert_err(err, DRAY_ERR_CANCELLED, "at /a/b");
}

static int diff_again(void *arg, dray_error **err)
{
	struct json_doc **docs = arg;
	size_t n = 0;

	return json_diff(json_root(docs[0]), json_root(docs[1]), count_one, &n, err);
}

static void test_torture(void **state)
{
	cleanup_json struct json_doc *a = must_parse(
		"{\"a\":{\"b\":[1,\"\\u0061\",{\"x\":{\"y\":1}}],\"c\":2},\"h\":[{\"a\":1}]}");
	cleanup_json struct json_doc *b = must_parse(
		"{\"a\":{\"b\":[1,\"a\",{\"x\":{\"y\":2}}],\"d\":2},\"h\":[{\"a\":2}]}");
	struct json_doc *docs[] = { a, b };

	(void)state;
	torture_alloc(diff_again, docs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),	cmocka_unit_test(test_diff),
		cmocka_unit_test(test_deepest), cmocka_unit_test(test_limit),
		cmocka_unit_test(test_stops),	cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
