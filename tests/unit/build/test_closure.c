/* SPDX-License-Identifier: Apache-2.0
 *
 * Closures: what each text comes to, and what is refused.
 * Relies on nothing but the reader.
 * Promises that each refused text stands beside one that is taken.
 */
#include "base/limits.h"
#include "build/closure.h"
#include "torture.h"

/* "NAME=SIZE:REFS" each, '^' behind roots; the store is left away. */
static char *show(const struct closure *c)
{
	struct buf ret = BUF_INIT(MIB);
	dray_error *err = NULL;

	for (size_t i = 0; i < c->n; i++) {
		const struct closure_unit *u = &c->units[i];

		assert_ok(buf_printf(&ret, &err, "%s%s=%lld", i ? " " : "",
				     strrchr(u->path, '/') + 1, (long long)u->nar_size),
			  err);
		for (size_t k = 0; k < u->n_refs; k++)
			assert_ok(buf_printf(&ret, &err, "%s%s", k ? "," : ":",
					     strrchr(c->units[u->refs[k]].path, '/') + 1),
				  err);
		if (u->root)
			assert_ok(buf_add_byte(&ret, '^', &err), err);
		assert_true(closure_find(c, u->path) == u);
	}
	return buf_steal_str(&ret, &err);
}

#define NODE(name, size, refs) \
	"{\"path\":\"/s/" name "\",\"narSize\":" size ",\"references\":[" refs "]}"
#define REF(name) "\"/s/" name "\""
#define GRAPH "[" NODE("b", "2", REF("b")) "," NODE("a", "1", REF("a") "," REF("b")) "]"

static const struct closure_options plain = { .store = "/s" };
static const struct closure_options lenient = { .store = "/s/", .ignore_missing = true };
static const struct closure_options keyed = { .store = "/s", .key = "graph" };
static const struct closure_options rooted = { .store = "/s",
					       .roots = (const char *const[]){ "/s/b" },
					       .n_roots = 1 };
static const struct closure_options nix = { 0 };

static const struct {
	const char *name, *text;
	const struct closure_options *o;
	const char *want; /* NULL = refused */
	enum dray_err_kind kind;
	const char *message;
} rows[] = {
	{ "array", GRAPH, &plain, "a=1:b^ b=2", 0, NULL },
	{ "array, nothing", "[]", &plain, "", 0, NULL },
	{ "array, blank first", " \n[]", &plain, "", 0, NULL },
	{ "array, no size", "[{\"path\":\"/s/a\"}]", &plain, "a=-1^", 0, NULL },
	{ "array, size null", "[{\"path\":\"/s/a\",\"narSize\":null,\"references\":null}]", &plain,
	  "a=-1^", 0, NULL },
	{ "array, size negative", "[" NODE("a", "-1", "") "]", &plain, NULL, DRAY_ERR_FORMAT,
	  "entry 1: narSize: a negative number" },
	{ "array, size a text", "[" NODE("a", "\"1\"", "") "]", &plain, NULL, DRAY_ERR_FORMAT,
	  "entry 1: narSize" },
	{ "array, members unknown", "[{\"path\":\"/s/a\",\"ca\":[{}],\"deriver\":1}]", &plain,
	  "a=-1^", 0, NULL },
	{ "array, no path", "[" NODE("a", "1", "") ",{}]", &plain, NULL, DRAY_ERR_FORMAT,
	  "entry 2: path" },
	{ "array, a number", "[1]", &plain, NULL, DRAY_ERR_FORMAT,
	  "entry 1: a path's description" },
	{ "array, references no list", "[{\"path\":\"/s/a\",\"references\":\"/s/a\"}]", &plain,
	  NULL, DRAY_ERR_FORMAT, "entry 1: references" },
	{ "not in the store", "[{\"path\":\"/t/a\"}]", &plain, NULL, DRAY_ERR_FORMAT,
	  "\"/t/a\" is no path directly in /s" },
	{ "below a path", "[{\"path\":\"/s/a/b\"}]", &plain, NULL, DRAY_ERR_FORMAT, "directly in" },
	{ "the store", "[{\"path\":\"/s/\"}]", &plain, NULL, DRAY_ERR_FORMAT, "directly in" },
	{ "upwards", "[{\"path\":\"/s/..\"}]", &plain, NULL, DRAY_ERR_FORMAT, "directly in" },
	{ "upwards, almost", "[{\"path\":\"/s/...\"}]", &plain, "...=-1^", 0, NULL },
	{ "a base name", "[{\"path\":\"a\"}]", &plain, NULL, DRAY_ERR_FORMAT, "directly in" },
	{ "NUL", "[{\"path\":\"/s/a\\u0000\"}]", &plain, NULL, DRAY_ERR_FORMAT, "directly in" },
	{ "unsafe bytes", "[{\"path\":\"/t/\\u001b[2J\"}]", &plain, NULL, DRAY_ERR_FORMAT,
	  "\"/t/\\x1b[2J\"" },
	{ "twins alike", "[" NODE("a", "1", "") "," NODE("a", "1", REF("a")) "]", &plain, "a=1^", 0,
	  NULL },
	{ "twins of other sizes", "[" NODE("a", "1", "") "," NODE("a", "2", "") "]", &plain, NULL,
	  DRAY_ERR_FORMAT, "/s/a is described twice" },
	{ "twins of other references",
	  "[" NODE("b", "1", "") "," NODE("a", "1", "") "," NODE("a", "1", REF("b")) "]", &plain,
	  NULL, DRAY_ERR_FORMAT, "/s/a is described twice" },
	{ "a reference to nothing", "[" NODE("a", "1", REF("b")) "]", &plain, NULL, DRAY_ERR_FORMAT,
	  "/s/a refers to /s/b, which is not described" },
	{ "a reference to nothing, let pass", "[" NODE("a", "1", REF("b")) "]", &lenient, "a=1^", 0,
	  NULL },
	{ "a reference elsewhere", "[" NODE("a", "1", "\"/t/b\"") "]", &lenient, NULL,
	  DRAY_ERR_FORMAT, "reference: \"/t/b\"" },
	{ "itself", "[" NODE("a", "1", REF("a")) "]", &plain, "a=1^", 0, NULL },
	{ "a cycle", "[" NODE("a", "1", REF("b")) "," NODE("b", "1", REF("a")) "]", &plain, NULL,
	  DRAY_ERR_FORMAT, "a cycle of references leads from /s/" },
	{ "a cycle above others",
	  "[" NODE("a", "1", REF("b")) "," NODE("b", "1", REF("a") "," REF("c")) "," NODE("c", "1",
											  "") "]",
	  &plain, NULL, DRAY_ERR_FORMAT, "a cycle of references leads from /s/a to /s/b and back" },
	{ "roots", GRAPH, &rooted, "b=2^", 0, NULL },
	{ "roots that are not there", "[" NODE("a", "1", "") "]", &rooted, NULL, DRAY_ERR_NOT_FOUND,
	  "the root /s/b is not in the closure" },
	/* .attrs.json */
	{ "a key", "{\"x\":1,\"graph\":" GRAPH ",\"more\":" GRAPH "}", &keyed, "a=1:b^ b=2", 0,
	  NULL },
	{ "a key that is not there", "{\"x\":1}", &keyed, NULL, DRAY_ERR_NOT_FOUND,
	  "no member \"graph\"" },
	{ "a key of something else", "{\"graph\":1}", &keyed, NULL, DRAY_ERR_FORMAT,
	  "\"graph\" is no graph" },
	{ "no key needed", "{\"x\":[1],\"y\":[],\"graph\":" GRAPH "}", &plain, "a=1:b^ b=2", 0,
	  NULL },
	{ "a key needed", "{\"x\":" GRAPH ",\"graph\":" GRAPH "}", &plain, NULL, DRAY_ERR_USAGE,
	  "holds 2 graphs" },
	{ "no graph", "{\"x\":1}", &plain, NULL, DRAY_ERR_FORMAT, "holds no graph" },
	/* nix path-info --json */
	{ "by path",
	  "{\"/s/a\":{\"narSize\":1,\"references\":[\"/s/b\"]},\"/s/b\":{\"narSize\":2}}", &plain,
	  "a=1:b^ b=2", 0, NULL },
	{ "by path, nothing", "{}", &plain, "", 0, NULL },
	{ "by path, not in the store", "{\"/s/a\":null}", &plain, NULL, DRAY_ERR_FORMAT, "/s/a: " },
	{ "by path, invalid", "{\"/s/a\":{\"valid\":false}}", &plain, NULL, DRAY_ERR_FORMAT,
	  "/s/a: Nix says" },
	{ "array, invalid", "[{\"path\":\"/s/a\",\"valid\":false}]", &plain, NULL, DRAY_ERR_FORMAT,
	  "entry 1: Nix says" },
	{ "array, valid", "[{\"path\":\"/s/a\",\"valid\":true}]", &plain, "a=-1^", 0, NULL },
	{ "info",
	  "{\"version\":2,\"storeDir\":\"/gnu/store\",\"info\":{\"a\":{\"narSize\":1,"
	  "\"references\":[\"b\",\"a\"],\"narHash\":{}},\"b\":{\"narSize\":2}}}",
	  &nix, "a=1:b^ b=2", 0, NULL },
	{ "info, full paths", "{\"info\":{\"/nix/store/a\":{}}}", &nix, "a=-1^", 0, NULL },
	{ "info, another store than is said",
	  "{\"storeDir\":\"/s\",\"info\":{\"/nix/store/a\":{}}}", &nix, NULL, DRAY_ERR_FORMAT,
	  "directly in /s" },
	{ "broken", "[", &plain, NULL, DRAY_ERR_FORMAT, "JSON at byte 1" },
	/* registrations */
	{ "registration", "/s/a\nsha256:x\n1\n/s/a.drv\n2\n/s/a\n/s/b\n/s/b\nsha256:y\n2\n\n0\n",
	  &plain, "a=1:b^ b=2", 0, NULL },
	{ "registration, hash without its name", "/s/a\n0123\n1\n\n0\n", &plain, "a=1^", 0, NULL },
	{ "registration, no newline at the end", "/s/a\nsha256:x\n1\n\n0", &plain, "a=1^", 0,
	  NULL },
	{ "registration, cut", "/s/a\nsha256:x\n1\n\n2\n/s/a\n", &plain, NULL, DRAY_ERR_FORMAT,
	  "line 6: the text ends before all references" },
	{ "registration, no count", "/s/a\nsha256:x\n1\n\n/s/a\n", &plain, NULL, DRAY_ERR_FORMAT,
	  "line 5: the number of references should be here" },
	{ "registration, a negative count", "/s/a\nsha256:x\n1\n\n-1\n", &plain, NULL,
	  DRAY_ERR_FORMAT, "line 5" },
	{ "registration, another follows", "/s/a\nsha256:x\n1\n\n0\nno\nx\n1\n", &plain, NULL,
	  DRAY_ERR_FORMAT, "line 8: \"no\"" },
	{ "old text", "/s/a\n/s/a.drv\n1\n/s/b\n/s/b\n\n0\n", &plain, "a=-1:b^ b=-1", 0, NULL },
	{ "old text, no deriver", "/s/b\n\n0\n/s/a\n\n1\n/s/b\n", &plain, "a=-1:b^ b=-1", 0, NULL },
	{ "old text, a huge count", "/s/a\n\n9223372036854775807\n", &plain, NULL, DRAY_ERR_FORMAT,
	  "line 3: the text ends" },
	/* lists */
	{ "nothing", "", &plain, "", 0, NULL },
	{ "list", "/s/b\n/s/a\n/s/c\n", &plain, "a=-1 b=-1 c=-1", 0, NULL },
	{ "list, twice", "/s/a\n/s/a\n", &plain, "a=-1", 0, NULL },
	{ "list, empty lines", "\n/s/a\n\n", &plain, "a=-1", 0, NULL },
	{ "list, roots", "/s/a\n/s/b\n/s/c\n", &rooted, "a=-1 b=-1^ c=-1", 0, NULL },
	{ "list, something else", "/s/a\nhello\n/s/b", &plain, NULL, DRAY_ERR_FORMAT,
	  "line 2: \"hello\"" },
	{ "prose", "hello", &plain, NULL, DRAY_ERR_FORMAT, "line 1: \"hello\"" },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_closure struct closure c = { 0 };
		dray_error *err = NULL;
		int rc = closure_read(span_str(rows[i].text), rows[i].o, &c, &err);
		char *got;

		if (!rows[i].want) {
			if (rc == 0)
				fail_msg("%s: taken", rows[i].name);
			if (!strstr(dray_error_message(err), rows[i].message))
				fail_msg("%s: %s", rows[i].name, dray_error_message(err));
			assert_err(err, rows[i].kind, rows[i].message);
			continue;
		}
		if (rc < 0)
			fail_msg("%s: %s", rows[i].name, dray_error_message(err));
		got = show(&c);
		if (strcmp(got, rows[i].want) != 0)
			fail_msg("%s: %s", rows[i].name, got);
		free(got);
	}
}

static void test_nul_list(void **state)
{
	static const struct {
		struct span text;
		const char *want;
	} lists[] = {
		{ { (const uint8_t *)"/s/a\0/s/b", 10 }, "a=-1 b=-1" },
		{ { (const uint8_t *)"/s/b\nb\0\0/s/a", 12 }, "a=-1 b\nb=-1" },
		{ { (const uint8_t *)"\0", 1 }, "" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(lists); i++) {
		cleanup_closure struct closure c = { 0 };
		dray_error *err = NULL;
		char *got;

		assert_ok(closure_read(lists[i].text, &plain, &c, &err), err);
		got = show(&c);
		assert_string_equal(got, lists[i].want);
		free(got);
	}
	cleanup_closure struct closure c = { 0 };
	dray_error *err = NULL;
	assert_int_equal(closure_read(span_of("/s/a\0x", 6), &plain, &c, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "path 2: \"x\"");
}

static void test_limits(void **state)
{
	struct buf text = BUF_INIT(64 * MIB);
	dray_error *err = NULL;

	(void)state;
	for (int i = 0; i < LIMIT_UNITS; i++)
		assert_ok(buf_printf(&text, &err, "/s/%d\n", i), err);
	cleanup_closure struct closure c = { 0 }, more = { 0 };
	assert_ok(closure_read(span_buf(&text), &plain, &c, &err), err);
	assert_int_equal(c.n, LIMIT_UNITS);
	assert_ok(buf_add_str(&text, "/s/x", &err), err);
	assert_int_equal(closure_read(span_buf(&text), &plain, &more, &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "LIMIT_UNITS");
	buf_clear(&text);
}

static int read_text(void *arg, dray_error **err)
{
	const char *const *text = arg;
	cleanup_closure struct closure c = { 0 };

	return closure_read(span_str(*text), &lenient, &c, err);
}

static void test_memory(void **state)
{
	static const char *const texts[] = {
		GRAPH,
		"{\"x\":1,\"graph\":" GRAPH "}",
		"{\"/s/a\":{\"narSize\":1,\"references\":[\"/s/b\",\"/s/x\"]},\"/s/b\":{}}",
		"{\"info\":{\"a\":{\"references\":[\"b\"]},\"b\":{}}}",
		"/s/a\nsha256:x\n1\n\n1\n/s/b\n/s/b\nsha256:y\n2\n\n0\n",
		"/s/a\n/s/b\n",
	};

	(void)state;
	for (size_t i = 0; i < ROWS(texts); i++)
		torture_alloc(read_text, (void *)(uintptr_t)&texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_nul_list),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
