/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      answers of token servers.
 * Relies:   on nothing outside remote/token.h.
 * Promises: one row per shape of answer.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "remote/token.h"

static void test_parse(void **state)
{
	static const struct {
		const char *body, *text; /* text NULL = refused */
		int64_t lives_ms;
		const char *refresh;
	} rows[] = {
		{ "{\"token\":\"abc\"}", "abc", 60000, NULL },
		{ "{\"access_token\":\"abc\",\"expires_in\":300}", "abc", 300000, NULL },
		{ "{\"token\":\"a\",\"access_token\":\"b\",\"expires_in\":5}", "a", 60000, NULL },
		{ "{\"token\":\"\",\"access_token\":\"b\"}", "b", 60000, NULL },
		{ "{\"token\":\"a\",\"expires_in\":null,\"refresh_token\":\"r\"}", "a", 60000,
		  "r" },
		{ "{\"token\":\"a\",\"expires_in\":\"300\"}", "a", 60000, NULL },
		{ "{\"token\":\"a\",\"expires_in\":1e3}", "a", 60000, NULL },
		{ "{\"token\":\"a\",\"expires_in\":-7}", "a", 60000, NULL },
		{ "{\"token\":\"a\",\"expires_in\":999999999999}", "a", 86400000, NULL },
		{ "{}", NULL, 0, NULL },
		{ "", NULL, 0, NULL },
		{ "<html>", NULL, 0, NULL },
		{ "{\"token\":7}", NULL, 0, NULL },
		{ "{\"token\":\"a\\r\\nX: y\"}", NULL, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct token t = { 0 };
		int rc = token_parse(span_str(rows[i].body), &t, NULL);

		assert_int_equal(rc, rows[i].text ? 0 : -1);
		if (rc < 0)
			continue;
		assert_string_equal(t.text, rows[i].text);
		assert_int_equal(t.lives_ms, rows[i].lives_ms);
		if (rows[i].refresh)
			assert_string_equal(t.refresh, rows[i].refresh);
		else
			assert_null(t.refresh);
		token_clear(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_parse) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
