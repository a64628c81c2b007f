/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      logins going into and out of config.json and auth.json.
 * Relies on: remote/authfile.h; what is made is read back with credentials_in_text().
 * Promises: exact bytes, one file a row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "remote/authfile.h"
#include "remote/credentials.h"
#include "torture.h"

#define UP "dTpw" /* u:p */

static void test_set(void **state)
{
	static const struct {
		const char *before, *key, *auth, *after;
	} rows[] = {
		{ "", "h:5000", UP,
		  "{\n\t\"auths\": {\n\t\t\"h:5000\": {\n\t\t\t\"auth\": "
		  "\"dTpw\"\n\t\t}\n\t}\n}\n" },
		{ "{}", "h", UP,
		  "{\n\t\"auths\": {\n\t\t\"h\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t}\n\t}\n}" },
		{ "{\"x\":1}", "h", UP, "{\"x\":1,\"auths\": {\"h\": {\"auth\": \"dTpw\"}}}" },
		{ "{\n  \"x\" : 1.0\n}\n", "h", NULL,
		  "{\n  \"x\" : 1.0,\n  \"auths\": {\n  \t\"h\": {}\n  }\n}\n" },
		{ "{\"auths\":{}}", "h", UP, "{\"auths\":{\"h\": {\"auth\": \"dTpw\"}}}" },
		{ "{\"auths\":{\"a\":{\"auth\":\"x\"}},\"z\":[]}", "h", UP,
		  "{\"auths\":{\"a\":{\"auth\":\"x\"},\"h\": {\"auth\": \"dTpw\"}},\"z\":[]}" },
		{ "{\n\t\"auths\": {\n\t\t\"a\": {}\n\t}\n}", "h", UP,
		  "{\n\t\"auths\": {\n\t\t\"a\": {},\n\t\t\"h\": {\n\t\t\t\"auth\": "
		  "\"dTpw\"\n\t\t}\n\t}\n}" },
		/* what was there for this registry goes, under every spelling */
		{ "{\"auths\":{\"h\":{\"auth\":\"old\",\"email\":\"e\"}, \"b\":{}}}", "h", UP,
		  "{\"auths\":{\"h\":{\"auth\": \"dTpw\"}, \"b\":{}}}" },
		{ "{\"auths\":{\"https://h/v1/\":{\"auth\":\"old\"},\"b\":{}}}", "h", UP,
		  "{\"auths\":{\"b\":{},\"h\": {\"auth\": \"dTpw\"}}}" },
		{ "{\"auths\":{\"docker.io\":{}}}", "https://index.docker.io/v1/", UP,
		  "{\"auths\":{\"https://index.docker.io/v1/\": {\"auth\": \"dTpw\"}}}" },
		/* a path below the registry is another entry */
		{ "{\"auths\":{\"h/ns\":{}}}", "h", UP,
		  "{\"auths\":{\"h/ns\":{},\"h\": {\"auth\": \"dTpw\"}}}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT(LIMIT_CREDENTIALS);
		dray_error *err = NULL;

		if (authfile_set(span_str(rows[i].before), rows[i].key, rows[i].auth, &b, &err) < 0)
			fail_msg("row %zu: %s", i, dray_error_message(err));
		if (!span_is(span_buf(&b), rows[i].after))
			fail_msg("row %zu: %.*s", i, (int)b.len, (const char *)b.data);
	}
}

static void test_remove(void **state)
{
	static const struct {
		const char *before;
		int rc;
		const char *after;
	} rows[] = {
		{ "{\"auths\":{\"h\":{}}}", 1, "{\"auths\":{}}" },
		{ "{\"auths\":{ \"h\" : {} , \"b\":{}}}", 1, "{\"auths\":{ \"b\":{}}}" },
		{ "{\"auths\":{\"a\":{} , \"h\":{\"auth\":\"x\"} , \"b\":{}}}", 1,
		  "{\"auths\":{\"a\":{} , \"b\":{}}}" },
		{ "{\"auths\":{\"a\":{},\n\"h\":{}\n}}", 1, "{\"auths\":{\"a\":{}\n}}" },
		{ "{\"auths\":{\"h\":{},\"https://h\":{},\"http://h/v2/\":{},\"c\":{}}}", 1,
		  "{\"auths\":{\"c\":{}}}" },
		{ "{\"auths\":{\"h:1\":{},\"h/x\":{}}}", 0, "{\"auths\":{\"h:1\":{},\"h/x\":{}}}" },
		{ "{}", 0, "{}" },
		{ "", 0, "{}\n" },
		{ "[]", -1, NULL },
		{ "{\"auths\":1}", -1, NULL },
		{ "{\"auths\":{\"h\":{},\"h\":{}}}", -1, NULL },
		{ "{", -1, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT(LIMIT_CREDENTIALS);
		dray_error *err = NULL;
		int rc = authfile_remove(span_str(rows[i].before), "h", &b, &err);

		if (rc != rows[i].rc)
			fail_msg("row %zu: %d", i, rc);
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_FORMAT);
		else if (!span_is(span_buf(&b), rows[i].after))
			fail_msg("row %zu: %.*s", i, (int)b.len, (const char *)b.data);
	}
}

static void test_look(void **state)
{
	static const struct {
		const char *text, *helper;
		bool known;
	} rows[] = {
		{ "", NULL, false },
		{ "{\"auths\":{\"https://h/v2/\":{}}}", NULL, true },
		{ "{\"credsStore\":\"s\"}", "s", false },
		{ "{\"credsStore\":\"s\",\"credHelpers\":{\"h\":\"t\"}}", "t", true },
		{ "{\"credHelpers\":{\"other\":\"t\"}}", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct authfile_place p;

		assert_ok(authfile_look(span_str(rows[i].text), "h", &p, NULL), NULL);
		assert_int_equal(p.known, rows[i].known);
		if (rows[i].helper)
			assert_string_equal(p.helper, rows[i].helper);
		else
			assert_null(p.helper);
		mem_free(p.helper);
	}
}

static int round_trip(void *arg, dray_error **err)
{
	cleanup_buf struct buf in = BUF_INIT(LIMIT_CREDENTIALS), out = BUF_INIT(LIMIT_CREDENTIALS);
	struct credentials_entry e = { 0 };
	int rc = authfile_set(span_str(arg), "h", UP, &in, err);

	if (rc == 0)
		rc = credentials_in_text(span_buf(&in), "h", "x", &e, err);
	if (rc >= 0) {
		assert_string_equal(e.found.password, "p");
		rc = authfile_remove(span_buf(&in), "h", &out, err);
	}
	if (rc >= 0)
		assert_true(span_is(span_buf(&out), arg));
	credentials_entry_clear(&e);
	return rc < 0 ? -1 : 0;
}

static void test_torture(void **state)
{
	char text[] = "{ \"auths\" : {\n \"a\":{\"auth\":\"eDp5\"}\n},\"n\":1.50 }";

	(void)state;
	torture_alloc(round_trip, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_look),
		cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
