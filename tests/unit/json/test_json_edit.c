/* SPDX-License-Identifier: Apache-2.0
 *
 * For: documents changed by cutting their text.
 * Relies on: support.h, torture.h.
 * Promises: every edit alone and beside others, in compact and in spacious texts.
 */
#include "base/limits.h"
#include "json/edit.h"
#include "torture.h"

enum act { END, SET, REMOVE, APPEND };

/* A path of member names, "/"-separated; numbers count elements. */
struct step {
	enum act act;
	const char *path, *name, *text;
};

static const struct {
	const char *text, *want;
	struct step steps[5];
} cases[] = {
	{ "{}", "{}", { { END, NULL, NULL, NULL } } },
	{ "{}", "{\"a\":1}", { { SET, "", "a", "1" } } },
	{ "{ }", "{\"a\":1 }", { { SET, "", "a", "1" } } },
	{ "{}", "{\"a\":1,\"b\":2}", { { SET, "", "a", "1" }, { SET, "", "b", "2" } } },
	{ "{\"a\":1}", "{\"a\":2}", { { SET, "", "a", "2" } } },
	{ "{\"a\":1}", "{\"a\":3}", { { SET, "", "a", "2" }, { SET, "", "a", "3" } } },
	{ "{\"a\": 1, \"b\": 2}", "{\"a\": 1, \"b\": 2, \"c\": 3}", { { SET, "", "c", "3" } } },
	{ "{\n  \"a\": 1,\n  \"b\": 2\n}\n",
	  "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n",
	  { { SET, "", "c", "3" } } },
	{ "{\"a\":1}", "{}", { { REMOVE, "a", NULL, NULL } } },
	{ "{ \"a\":1 }", "{  }", { { REMOVE, "a", NULL, NULL } } },
	{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"b\":2,\"c\":3}", { { REMOVE, "a", NULL, NULL } } },
	{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":1,\"c\":3}", { { REMOVE, "b", NULL, NULL } } },
	{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":1,\"b\":2}", { { REMOVE, "c", NULL, NULL } } },
	{ "{\"a\":1,\"b\":2,\"c\":3}",
	  "{\"c\":3}",
	  { { REMOVE, "a", NULL, NULL }, { REMOVE, "b", NULL, NULL } } },
	{ "{\"a\":1,\"b\":2,\"c\":3}",
	  "{\"b\":2}",
	  { { REMOVE, "a", NULL, NULL }, { REMOVE, "c", NULL, NULL } } },
	{ "{\"a\":1,\"b\":2,\"c\":3}",
	  "{\"a\":1}",
	  { { REMOVE, "b", NULL, NULL }, { REMOVE, "c", NULL, NULL } } },
	{ "{\"a\":1, \"b\":2}",
	  "{\"c\":3}",
	  { { REMOVE, "a", NULL, NULL }, { REMOVE, "b", NULL, NULL }, { SET, "", "c", "3" } } },
	{ "{\"a\":1, \"b\":2}",
	  "{\"a\":1, \"c\":3}",
	  { { REMOVE, "b", NULL, NULL }, { SET, "", "c", "3" } } },
	{ "{\"a\":{\"x\":[1]},\"b\":2}",
	  "{\"b\":2}",
	  { { REMOVE, "a", NULL, NULL }, { APPEND, "a/x", NULL, "7" }, { SET, "a", "y", "1" } } },
	{ "{\"a\":{\"x\":[1]},\"b\":2}",
	  "{\"a\":0,\"b\":2}",
	  { { SET, "", "a", "0" }, { APPEND, "a/x", NULL, "7" } } },
	{ "{\"a\":{\"x\":[1]},\"b\":2}",
	  "{\"a\":{\"x\":[1,7],\"y\":true},\"b\":2}",
	  { { APPEND, "a/x", NULL, "7" }, { SET, "a", "y", "true" } } },
	{ "[]", "[1,2]", { { APPEND, "", NULL, "1" }, { APPEND, "", NULL, "2" } } },
	{ "[1, 2, 3]", "[1, 3, 4]", { { REMOVE, "1", NULL, NULL }, { APPEND, "", NULL, "4" } } },
	{ "[[1],[2]]",
	  "[[1,9],[]]",
	  { { APPEND, "0", NULL, "9" }, { REMOVE, "1/0", NULL, NULL } } },
	{ "{\"n\":1.50e+3,\"s\":\"\\u0041\"}",
	  "{\"n\":1.50e+3,\"s\":\"\\u0041\",\"\\u003c\":0}",
	  { { SET, "", "<", "0" } } },
};

static struct json reach(struct json v, const char *path)
{
	while (path && *path) {
		size_t len = strcspn(path, "/");
		char part[16] = { 0 };

		memcpy(part, path, len);
		if (json_type(v) == JSON_ARRAY) {
			struct json at = json_first(v);

			for (int i = part[0] - '0'; i > 0; i--)
				at = json_next(at);
			v = at;
		} else {
			v = json_get(v, part);
		}
		path += len + (path[len] == '/');
	}
	assert_true(json_node(v));
	return v;
}

static int act(struct json_edit *e, struct json root, const struct step *s, dray_error **err)
{
	struct json v = reach(root, s->path);

	switch (s->act) {
	case SET:
		return json_edit_set(e, v, s->name, span_str(s->text), err);
	case APPEND:
		return json_edit_append(e, v, span_str(s->text), err);
	case REMOVE:
		json_edit_remove(e, v);
		break;
	case END:
		break;
	}
	return 0;
}

static int edit(size_t i, struct buf *ret, dray_error **err)
{
	cleanup_json struct json_doc *d = NULL;
	cleanup_json_edit struct json_edit *e = NULL;

	if (json_parse(span_str(cases[i].text), &d, err) < 0 || json_edit_new(d, &e, err) < 0)
		return -1;
	for (const struct step *s = cases[i].steps; s->act != END; s++)
		if (act(e, json_root(d), s, err) < 0)
			return -1;
	return json_edit_apply(e, ret, err);
}

static void test_edits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_buf struct buf out = BUF_INIT(4096);
		cleanup_json struct json_doc *again = NULL;
		dray_error *err = NULL;

		assert_ok(edit(i, &out, &err), err);
		assert_span_is(span_buf(&out), cases[i].want);
		assert_ok(json_parse(span_buf(&out), &again, &err), err);
	}
}

static int edit_all(void *arg, dray_error **err)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_buf struct buf out = BUF_INIT(4096);

		if (edit(i, &out, err) < 0)
			return -1;
	}
	return 0;
}

/* As many edits as values: what looks at each edit for each value does not come to an end here. */
static void test_many(void **state)
{
	enum { MANY = 150000 };
	cleanup_buf struct buf text = BUF_INIT(16 * MIB), got = BUF_INIT(16 * MIB),
			       want = BUF_INIT(16 * MIB);
	cleanup_json struct json_doc *doc = NULL;
	cleanup_json_edit struct json_edit *e = NULL;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(buf_printf(&text, NULL, "%s{\"a\":1}", i ? "," : "["), 0);
		assert_int_equal(buf_printf(&want, NULL, "%s{\"a\":2,\"b\":3}", i ? "," : "["), 0);
	}
	assert_int_equal(buf_add_str(&text, "]", NULL), 0);
	assert_int_equal(buf_add_str(&want, "]", NULL), 0);
	assert_int_equal(json_parse(span_buf(&text), &doc, NULL), 0);
	assert_int_equal(json_edit_new(doc, &e, NULL), 0);
	for (struct json v = json_first(json_root(doc)); json_node(v); v = json_next(v)) {
		assert_int_equal(json_edit_set(e, v, "a", SPAN_LIT("2"), NULL), 0);
		assert_int_equal(json_edit_set(e, v, "b", SPAN_LIT("3"), NULL), 0);
	}
	assert_int_equal(json_edit_apply(e, &got, NULL), 0);
	assert_true(span_eq(span_buf(&got), span_buf(&want)));
}

static void test_torture(void **state)
{
	(void)state;
	torture_alloc(edit_all, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
