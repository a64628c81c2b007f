/* SPDX-License-Identifier: Apache-2.0
 *
 * Error documents, ranges, links and delays as registries send them.
 */
#include "torture.h"

#include "proto/answer.h"

static void answer_errors(void **state)
{
	static const struct {
		const char *body, *code, *text;
	} rows[] = {
		{ "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"no "
		  "such\",\"detail\":{}}]}",
		  "NAME_UNKNOWN", "NAME_UNKNOWN: no such" },
		{ "{\"errors\":[{\"code\":\"A\",\"message\":\"m\",\"detail\":\"d\"},"
		  "{\"code\":\"B\"},{\"message\":\"n\"}]}",
		  "A", "A: m: d; B; n" },
		{ "{\"errors\":[]}", NULL, NULL },
		{ "{\"errors\":[1,null]}", NULL, NULL },
		{ "{\"errors\":[{\"code\":1,\"message\":[]}]}", NULL, NULL },
		{ "{\"errors\":[{\"code\":\"A B\\u001b\",\"message\":\"m\"}]}", NULL,
		  "A B\\x1b: m" },
		{ "{\"details\":\"incorrect username or password\"}", NULL,
		  "incorrect username or password" },
		{ "{\"error\":\"invalid_grant\",\"error_description\":\"expired\"}", NULL,
		  "invalid_grant: expired" },
		{ "{\"message\":\"x\"}", NULL, "x" },
		{ "", NULL, NULL },
		{ "<html>", NULL, NULL },
		{ "[]", NULL, NULL },
		{ "{\"errors\":[", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		const char *code, *text;
		dray_error *err = NULL;

		assert_ok(answer_error(span_str(rows[i].body), &a, &code, &text, &err), err);
		assert_string_equal(code ? code : "-", rows[i].code ? rows[i].code : "-");
		assert_string_equal(text ? text : "-", rows[i].text ? rows[i].text : "-");
	}
}

/* O-03: at most 1 KiB is shown. */
static void answer_error_bounded(void **state)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	cleanup_buf struct buf body = BUF_INIT(65536);
	const char *code, *text;
	dray_error *err = NULL;

	(void)state;
	assert_ok(buf_add_str(&body, "{\"errors\":[{\"message\":\"", &err), err);
	for (int i = 0; i < 30000; i++)
		assert_ok(buf_add_byte(&body, 'x', &err), err);
	assert_ok(buf_add_str(&body, "\"}]}", &err), err);
	assert_ok(answer_error(span_buf(&body), &a, &code, &text, &err), err);
	assert_in_range(strlen(text), 100, 1024 + 16);
}

static void answer_ranges(void **state)
{
	static const struct {
		const char *value;
		int64_t first, last; /* first -1 = malformed */
	} rows[] = {
		{ "0-1023", 0, 1023 },
		{ "bytes=0-1023", 0, 1023 },
		{ "0-0", 0, 0 },
		{ " 5-7 ", 5, 7 },
		{ "", -1, 0 },
		{ "-", -1, 0 },
		{ "0-", -1, 0 },
		{ "-5", -1, 0 },
		{ "7-5", -1, 0 },
		{ "0-+5", -1, 0 },
		{ "0-5-6", -1, 0 },
		{ "0x0-5", -1, 0 },
		{ "0-9223372036854775807", 0, INT64_MAX },
		{ "0-9223372036854775808", -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t first = -1, last = 0;

		assert_int_equal(answer_range(span_str(rows[i].value), &first, &last),
				 rows[i].first >= 0);
		assert_int_equal(first, rows[i].first);
		assert_int_equal(last, rows[i].last);
	}
}

static void answer_content_ranges(void **state)
{
	static const struct {
		const char *value;
		int64_t first, last, total; /* first -1 = malformed */
	} rows[] = {
		{ "bytes 0-99/1000", 0, 99, 1000 },
		{ "Bytes 5-9/*", 5, 9, -1 },
		{ "bytes  0-0/1", 0, 0, 1 },
		{ "bytes 0-99/99", -1, 0, 0 },
		{ "bytes */1000", -1, 0, 0 },
		{ "0-99/1000", -1, 0, 0 },
		{ "bytes 0-99", -1, 0, 0 },
		{ "bytes 0-99/", -1, 0, 0 },
		{ "bytes 0-99/-1", -1, 0, 0 },
		{ "bytes", -1, 0, 0 },
		{ "", -1, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t first = -1, last = 0, total = 0;

		if (answer_content_range(span_str(rows[i].value), &first, &last, &total) !=
		    (rows[i].first >= 0))
			fail_msg("%s", rows[i].value);
		assert_int_equal(first, rows[i].first);
		assert_int_equal(last, rows[i].last);
		assert_int_equal(total, rows[i].total);
	}
}

static void answer_links(void **state)
{
	static const struct {
		const char *value, *next;
	} rows[] = {
		{ "</v2/_catalog?last=a&n=1>; rel=\"next\"", "/v2/_catalog?last=a&n=1" },
		{ "<https://h/x>;rel=next", "https://h/x" },
		{ "<x>; title=\"a;rel=next,<y>\"; REL=\"NEXT\"", "x" },
		{ "<a>; rel=\"prev\", <b>; rel=\"last next\"", "b" },
		{ "<a,b;c>; rel=next", "a,b;c" },
		{ "<a>; rel=\"nextish\"", NULL },
		{ "<a>; rel=prev", NULL },
		{ "<a>", NULL },
		{ "<a; rel=next", NULL },
		{ "a; rel=next", NULL },
		{ "", NULL },
		{ "<a\r\nb>; rel=next", NULL },
		{ "<>; rel=next", "" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		const char *next = answer_link_next(span_str(rows[i].value), &a);

		assert_string_equal(next ? next : "(none)", rows[i].next ? rows[i].next : "(none)");
	}
}

static void answer_delays(void **state)
{
	static const struct {
		const char *value;
		int64_t ms;
	} rows[] = {
		{ "0", 0 },
		{ " 120 ", 120000 },
		{ "9223372036854775807", INT64_MAX },
		{ "Sun, 06 Nov 1994 08:49:47 GMT", 10000 },
		{ "Sun, 06 Nov 1994 08:49:27 GMT", 0 },
		{ "Sun, 06 Foo 1994 08:49:27 GMT", -1 },
		{ "Sun, 36 Nov 1994 08:49:27 GMT", -1 },
		{ "Sun, 06 Nov 1994 08:49:27 CET", -1 },
		{ "-1", -1 },
		{ "1.5", -1 },
		{ "", -1 },
		{ "soon", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(answer_retry_after_ms(span_str(rows[i].value), 784111777),
				 rows[i].ms);
}

static int read_error(void *arg, dray_error **err)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	const char *code, *text;

	(void)arg;
	return answer_error(SPAN_LIT("{\"errors\":[{\"code\":\"A\",\"message\":\"m\"}]}"), &a,
			    &code, &text, err);
}

static void answer_torture(void **state)
{
	(void)state;
	torture_alloc(read_error, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answer_errors),  cmocka_unit_test(answer_error_bounded),
		cmocka_unit_test(answer_ranges),  cmocka_unit_test(answer_content_ranges),
		cmocka_unit_test(answer_links),	  cmocka_unit_test(answer_delays),
		cmocka_unit_test(answer_torture),
	};

	return cmocka_run_group_tests_name("proto answer", tests, NULL, NULL);
}
