/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      credentials out of config.json, auth.json and helpers' answers.
 * Relies:   on nothing outside remote/credentials.h.
 * Promises: one row per key form and per source.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "remote/credentials.h"

#define UP "{\"auth\":\"dTpw\"}" /* u:p */
#define US "{\"auth\":\"djpx\"}" /* v:q */

static void test_lookup(void **state)
{
	static const struct {
		const char *text, *domain, *path;
		int rc;
		const char *user, *helper;
	} rows[] = {
		{ "{\"auths\":{\"h:5000\":" UP "}}", "h:5000", "a/b", 1, "u", NULL },
		{ "{\"auths\":{\"https://h:5000\":" UP "}}", "h:5000", "a/b", 1, "u", NULL },
		{ "{\"auths\":{\"https://h:5000/v2/\":" UP "}}", "h:5000", "a/b", 1, "u", NULL },
		{ "{\"auths\":{\"http://h:5000/v1\":" UP "}}", "h:5000", "a/b", 1, "u", NULL },
		{ "{\"auths\":{\"https://index.docker.io/v1/\":" UP "}}", "docker.io", "library/x",
		  1, "u", NULL },
		{ "{\"auths\":{\"docker.io\":" UP "}}", "docker.io", "library/x", 1, "u", NULL },
		{ "{\"auths\":{\"h\":" UP ",\"h/a\":" US "}}", "h", "a/b", 1, "v", NULL },
		{ "{\"auths\":{\"h/a\":" US ",\"h\":" UP "}}", "h", "ab/c", 1, "u", NULL },
		{ "{\"auths\":{\"h/a/b\":" US "}}", "h", "a/b", 1, "v", NULL },
		{ "{\"auths\":{\"h/a/b/c\":" US "}}", "h", "a/b", 0, NULL, NULL },
		{ "{\"auths\":{\"h:5001\":" UP "}}", "h:5000", "a", 0, NULL, NULL },
		{ "{\"auths\":{\"h\":{}}}", "h", "a", 0, NULL, NULL },
		{ "{\"auths\":{\"h\":{}},\"credsStore\":\"desktop\"}", "h", "a", 1, NULL,
		  "desktop" },
		{ "{\"auths\":{\"h\":" UP "},\"credHelpers\":{\"h\":\"ecr-login\"}}", "h", "a", 1,
		  NULL, "ecr-login" },
		{ "{\"auths\":{\"h\":" UP "},\"credHelpers\":{\"x\":\"ecr\"}}", "h", "a", 1, "u",
		  NULL },
		{ "{\"auths\":{\"h\":{\"username\":\"w\",\"password\":\"x\"}}}", "h", "a", 1, "w",
		  NULL },
		{ "{}", "h", "a", 0, NULL, NULL },
		{ "{\"auths\":[]}", "h", "a", 0, NULL, NULL },
		{ "{\"credsStore\":\"../x\"}", "h", "a", -1, NULL, NULL },
		{ "{\"credsStore\":\"a b\"}", "h", "a", -1, NULL, NULL },
		{ "{\"auths\":{\"h\":{\"auth\":\"!\"}}}", "h", "a", -1, NULL, NULL },
		{ "{\"auths\":{\"h\":{\"auth\":\"dXA=\"}}}", "h", "a", -1, NULL,
		  NULL }, /* no colon */
		{ "{\"auths\":{\"h\":{\"auth\":\"dTpwDQo=\"}}}", "h", "a", -1, NULL,
		  NULL }, /* CR LF */
		{ "{\"auths\":{\"h\":{\"auth\":7}}}", "h", "a", -1, NULL, NULL },
		{ "nonsense", "h", "a", -1, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct credentials_entry e;
		int rc = credentials_in_text(span_str(rows[i].text), rows[i].domain, rows[i].path,
					     &e, NULL);

		if (rc != rows[i].rc)
			fail_msg("row %zu: %d", i, rc);
		if (rows[i].user)
			assert_string_equal(e.found.user, rows[i].user);
		else
			assert_null(e.found.user);
		if (rows[i].helper)
			assert_string_equal(e.helper, rows[i].helper);
		else
			assert_null(e.helper);
		credentials_entry_clear(&e);
	}
}

static void test_tokens(void **state)
{
	const char *text = "{\"auths\":{\"h\":{\"auth\":\"dTo=\",\"identitytoken\":\"i\"},"
			   "\"r\":{\"registrytoken\":\"t\\u002dt\"}}}";
	struct credentials_entry e;

	(void)state;
	assert_int_equal(credentials_in_text(span_str(text), "h", "a", &e, NULL), 1);
	assert_string_equal(e.found.identity_token, "i");
	assert_string_equal(e.found.password, "");
	credentials_entry_clear(&e);
	assert_int_equal(credentials_in_text(span_str(text), "r", "a", &e, NULL), 1);
	assert_string_equal(e.found.registry_token, "t-t");
	credentials_entry_clear(&e);
}

static void test_answers(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *user, *password, *identity;
	} rows[] = {
		{ "{\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"p\"}", 1, "u", "p", NULL },
		{ "{\"Username\":\"<token>\",\"Secret\":\"p\"}", 1, NULL, NULL, "p" },
		{ "{\"Username\":\"\",\"Secret\":\"\"}", 0, NULL, NULL, NULL },
		{ "{}", 0, NULL, NULL, NULL },
		{ "{\"Username\":\"u\",\"Secret\":\"p\\n\"}", -1, NULL, NULL, NULL },
		{ "", -1, NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_credentials struct credentials c = { 0 };

		assert_int_equal(credentials_from_answer(span_str(rows[i].text), &c, NULL),
				 rows[i].rc);
		if (rows[i].user) {
			assert_string_equal(c.user, rows[i].user);
			assert_string_equal(c.password, rows[i].password);
		}
		if (rows[i].identity)
			assert_string_equal(c.identity_token, rows[i].identity);
	}
}

static void test_command_line(void **state)
{
	cleanup_credentials struct credentials c = { 0 };

	(void)state;
	assert_int_equal(credentials_parse("u:p:q", &c, NULL), 0);
	assert_string_equal(c.user, "u");
	assert_string_equal(c.password, "p:q");
	credentials_clear(&c);
	assert_int_equal(credentials_parse("nobody", &c, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_command_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
