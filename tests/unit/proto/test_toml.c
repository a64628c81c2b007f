/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      the TOML reader: what it takes, what it refuses and on which line.
 * Relies on: nothing outside proto/toml.h.
 * Promises: one row per rule of TOML 1.0 that container tools can meet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/limits.h"
#include "proto/toml.h"
#include "torture.h"

/* The tree as text: {k=v,...}, [v,...], "string", numbers, true, ? for what is not understood. */
static void show(const struct toml *v, struct buf *b)
{
	const char *open = v->type == TOML_TABLE ? "{" : v->type == TOML_ARRAY ? "[" : "";

	if (v->key)
		assert_ok(buf_printf(b, NULL, "%s=", v->key), NULL);
	switch (v->type) {
	case TOML_STRING:
		assert_ok(buf_printf(b, NULL, "\"%s\"", v->string), NULL);
		return;
	case TOML_BOOL:
		assert_ok(buf_add_str(b, v->boolean ? "true" : "false", NULL), NULL);
		return;
	case TOML_INT:
		assert_ok(buf_printf(b, NULL, "%lld", (long long)v->integer), NULL);
		return;
	case TOML_OTHER:
		assert_ok(buf_add_str(b, "?", NULL), NULL);
		return;
	case TOML_ARRAY:
	case TOML_TABLE:
		break;
	}
	assert_ok(buf_add_str(b, open, NULL), NULL);
	for (const struct toml *c = v->first; c; c = c->next) {
		show(c, b);
		if (c->next)
			assert_ok(buf_add_str(b, ",", NULL), NULL);
	}
	assert_ok(buf_add_str(b, *open == '{' ? "}" : "]", NULL), NULL);
}

static void test_accepts(void **state)
{
	static const struct {
		const char *text, *tree;
	} rows[] = {
		{ "", "{}" },
		{ "\n# nothing\n\t\r\n", "{}" },
		{ "a = 1", "{a=1}" },
		{ "a = 1 # c\nb=\"x\"\n", "{a=1,b=\"x\"}" },
		{ "a-b_C9 = true\r\nb = false\r\n", "{a-b_C9=true,b=false}" },
		{ "\"q k\" = ''\n'l' = \"\"", "{q k=\"\",l=\"\"}" },
		{ "a.b.c = 1\na.d = 2", "{a={b={c=1},d=2}}" },
		{ "a . \"b.c\" = 1", "{a={b.c=1}}" },
		{ "s = \"\\t\\\"\\\\\\u00e9\\U0001F600\"",
		  "{s=\"\t\"\\\xc3\xa9\xf0\x9f\x98\x80\"}" },
		{ "s = 'C:\\x'", "{s=\"C:\\x\"}" },
		{ "s = \"\"\"\nab\ncd\"\"\"", "{s=\"ab\ncd\"}" },
		{ "s = \"\"\"a \\\n   b\\\n\n c\"\"\"", "{s=\"a bc\"}" },
		{ "s = '''a''b'''", "{s=\"a''b\"}" },
		{ "s = \"\"\"a\"\"\"\"\"", "{s=\"a\"\"\"}" },
		{ "s = \"\"\"a\r\nb\"\"\"", "{s=\"a\nb\"}" },
		{ "n = -7\np = +3\nh = 0xff\nf = 1.5e3\nd = 1979-05-27T07:32:00Z\ni = inf",
		  "{n=-7,p=?,h=?,f=?,d=?,i=?}" },
		{ "a = []\nb = [ 1, 2, ]\nc = [\n 'x', # one\n 'y'\n]",
		  "{a=[],b=[1,2],c=[\"x\",\"y\"]}" },
		{ "a = [[1],[]]", "{a=[[1],[]]}" },
		{ "t = {}\nu = { a = 1, b.c = [2] }", "{t={},u={a=1,b={c=[2]}}}" },
		{ "[a]\nx = 1\n[b]\n[a.c]\ny = 2", "{a={x=1,c={y=2}},b={}}" },
		{ "[a.b]\nx = 1\n[a]\ny = 2", "{a={b={x=1},y=2}}" },
		{ "[[r]]\nl = 'a'\n[[r.m]]\nl = 'b'\n[[r.m]]\n[[r]]\n[[r.m]]\nl = 'c'",
		  "{r=[{l=\"a\",m=[{l=\"b\"},{}]},{m=[{l=\"c\"}]}]}" },
		{ "[ a . 'b' ]\nx=1", "{a={b={x=1}}}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT(LIMIT_PATH);
		struct arena a = { 0 };
		struct toml *root;
		dray_error *err = NULL;

		if (toml_parse(span_str(rows[i].text), &a, &root, &err) < 0)
			fail_msg("row %zu: %s", i, dray_error_message(err));
		show(root, &b);
		if (!span_is(span_buf(&b), rows[i].tree))
			fail_msg("row %zu: %.*s", i, (int)b.len, (const char *)b.data);
		arena_clear(&a);
	}
}

static void test_refuses(void **state)
{
	static const struct {
		const char *text;
		int line;
	} rows[] = {
		{ "a", 1 },
		{ "a =", 1 },
		{ "\n\na = ", 3 },
		{ "= 1", 1 },
		{ "a = x", 1 },
		{ "a = 1 b = 2", 1 },
		{ "a = 1\na = 2", 2 },
		{ "a.b = 1\na.b = 2", 2 },
		{ "a = 1\na.b = 2", 2 },
		{ "[a]\n[a]", 2 },
		{ "[a]\nb = 1\n[a.b]", 3 },
		{ "a = {}\n[a.b]", 2 },
		{ "a = []\n[[a]]", 2 },
		{ "[[a]]\n[a]", 2 },
		{ "[a]\n[[a]]", 2 },
		{ "a.b = 1\n[a]", 2 },
		{ "[a", 1 },
		{ "[[a]", 1 },
		{ "[]", 1 },
		{ "[a] x = 1", 1 },
		{ "s = \"a", 1 },
		{ "s = \"a\nb\"", 1 },
		{ "s = 'a", 1 },
		{ "s = \"\"\"a\n\n", 3 },
		{ "s = \"\\x\"", 1 },
		{ "s = \"\\u12\"", 1 },
		{ "s = \"\\u0000\"", 1 },
		{ "s = \"\\ud800\"", 1 },
		{ "s = \"\\U00110000\"", 1 },
		{ "s = \"a\x01\"", 1 },
		{ "# c\x7f\n", 1 },
		{ "\"\"\"a\"\"\" = 1", 1 },
		{ "a = [1", 1 },
		{ "a = [1 2]", 1 },
		{ "a = [,]", 1 },
		{ "a = {b = 1,}", 1 },
		{ "a = {b = 1\n}", 1 },
		{ "a = {b = 1, b = 2}", 1 },
		{ "a = {b = 1}\na.c = 2", 2 },
		{ "a = [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena a = { 0 };
		struct toml *root;
		dray_error *err = NULL;
		char want[32];

		if (toml_parse(span_str(rows[i].text), &a, &root, &err) == 0)
			fail_msg("row %zu was taken", i);
		snprintf(want, sizeof(want), "line %d: ", rows[i].line);
		if (strncmp(dray_error_message(err), want, strlen(want)) != 0)
			fail_msg("row %zu: %s", i, dray_error_message(err));
		assert_err_kind(err, DRAY_ERR_FORMAT);
		arena_clear(&a);
	}
}

static void test_bounds(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_REGISTRIES_CONF);
	struct arena a = { 0 };
	struct toml *root;
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(toml_parse(SPAN_LIT("a = '\xff'"), &a, &root, &err), -1);
	assert_err_kind(err, DRAY_ERR_FORMAT);
	err = NULL;
	assert_ok(buf_add_str(&b, "a = [", NULL), NULL);
	for (int i = 0; i < LIMIT_TOML_VALUES; i++)
		assert_ok(buf_add_str(&b, "1,", NULL), NULL);
	assert_int_equal(toml_parse(span_buf(&b), &a, &root, &err), -1);
	assert_err_kind(err, DRAY_ERR_LIMIT);
	arena_clear(&a);
}

static int parse_all(void *arg, dray_error **err)
{
	struct arena a = { 0 };
	struct toml *root;
	int rc = toml_parse(span_str(arg), &a, &root, err);

	arena_clear(&a);
	return rc;
}

static void test_torture(void **state)
{
	char text[] = "a.b = \"x\\u00e9\"\n[[r]]\nl = ['y', {z = true}]\n[q.'w']\nn = 3\n";

	(void)state;
	torture_alloc(parse_all, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
