/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what reaches stdout: sizes, times, tables, wrapping, JSON, documents.
 * Relies on: support.h.
 * Promises: O-01: nothing from outside acts on a terminal, and JSON stays valid.
 */
#include "../support.h"
#include "cli/page.h"

static void test_sizes(void **state)
{
	static const struct {
		int64_t size;
		const char *want;
	} rows[] = {
		{ -1, "?" },
		{ 0, "0 B" },
		{ 999, "999 B" },
		{ 1000, "1.0 kB" },
		{ 1099, "1.0 kB" },
		{ 1100, "1.1 kB" },
		{ 999999, "999.9 kB" },
		{ 1000000, "1.0 MB" },
		{ 1234567890, "1.2 GB" },
		{ INT64_MAX, "9.2 EB" },
	};
	char text[HUMAN_SIZE];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_string_equal(human_size(rows[i].size, text), rows[i].want);
}

static void test_times_and_digests(void **state)
{
	char text[HUMAN_TIME], digest[13];

	(void)state;
	assert_string_equal(human_time("2023-11-14T23:13:20.5+01:00", text),
			    "2023-11-14T22:13:20Z");
	assert_string_equal(human_time("yesterday", text), "yesterday");
	assert_null(human_time(NULL, text));
	assert_string_equal(short_digest("sha256:0123456789abcdef", digest), "0123456789ab");
	assert_string_equal(short_digest("0123456789abcdef", digest), "0123456789ab");
	assert_string_equal(short_digest(NULL, digest), "-");
}

static void test_O01_lines(void **state)
{
	static const struct {
		const char *in;
		size_t width, used;
		const char *want;
	} rows[] = {
		{ "plain", 0, 0, "plain" },
		{ "  a\n\t b  ", 0, 0, "a b" },
		{ "\033[31mred", 0, 0, "\\x1b[31mred" },
		{ "\xc2\x9b"
		  "1A",
		  0, 0, "\\u{9b}1A" },
		{ "0123456789", 40, 30, "0123456789" },
		{ "0123456789a", 40, 30, "0123456..." },
		{ "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 46, 40,
		  "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9" },
		{ "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 46, 40,
		  "\xc3\xa9\xc3\xa9\xc3\xa9..." },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct page p = { .text = BUF_INIT(PAGE_MAX), .width = rows[i].width };

		page_line(&p, rows[i].in, rows[i].used);
		assert_span_is(span_buf(&p.text), rows[i].want);
		page_clear(&p);
	}
}

static void test_wrap(void **state)
{
	struct page p = { .text = BUF_INIT(PAGE_MAX) };

	(void)state;
	page_wrap(&p,
		  "aaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbb cccccccccccccccccccc ddddddddddddddd "
		  "eeeee\nf",
		  2, 2);
	assert_span_is(span_buf(&p.text),
		       "aaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbb cccccccccccccccccccc "
		       "ddddddddddddddd\n  eeeee\n  f");
	page_clear(&p);
}

static void test_O01_json(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "{\"a\":\"\xc3\xa9\"}", "{\"a\":\"\xc3\xa9\"}\n" },
		{ "{\"a\":\"\x7f\"}", "{\"a\":\"\\u007f\"}\n" },
		{ "{\"a\":\"\xc2\x9b\"}", "{\"a\":\"\\u009b\"}\n" },
		{ "{\"a\":\"\xe2\x80\xae\"}", "{\"a\":\"\\u202e\"}\n" },
		{ "{\"a\":\"\xff\"}", "{\"a\":\"\\ufffd\"}\n" },
		{ "{\n\t\"a\":\r\n1}", "{\"a\":1}\n" },
		{ "\"\xf0\x9f\x98\x80\"", "\"\xf0\x9f\x98\x80\"\n" },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct page p = { .text = BUF_INIT(PAGE_MAX) };

		page_json(&p, span_str(rows[i].in));
		assert_span_is(span_buf(&p.text), rows[i].want);
		page_clear(&p);
	}
}

static void test_pretty_json(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "{}", "{}" },
		{ " [ ] ", "[]" },
		{ "{\"a\":1,\"b\":[true,null]}",
		  "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    null\n  ]\n}" },
		{ "{\"a{,\\\"}\":\"[\"}", "{\n  \"a{,\\\"}\": \"[\"\n}" },
		{ "{\"a\":{},\"b\":[]}", "{\n  \"a\": {},\n  \"b\": []\n}" },
		{ "[\"\xc3\xa9\x7f\"]", "[\n  \"\xc3\xa9\\x7f\"\n]" },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct page p = { .text = BUF_INIT(PAGE_MAX) };

		page_pretty_json(&p, rows[i].in, 0);
		assert_span_is(span_buf(&p.text), rows[i].want);
		page_clear(&p);
	}
}

static void test_table(void **state)
{
	struct table t = { .cols = 3, .right = { [1] = true } };
	struct page p = { .text = BUF_INIT(PAGE_MAX) };
	static const char *const cells[] = { "NAME",
					     "SIZE",
					     "BY",
					     "a",
					     "1.0 MB",
					     "x\ny",
					     "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9",
					     "2 B",
					     NULL };

	(void)state;
	for (size_t i = 0; i < ROWS(cells); i++)
		table_add(&t, cells[i]);
	table_print(&t, &p, 0);
	assert_span_is(span_buf(&p.text), "NAME     SIZE  BY\n"
					  "a      1.0 MB  x y\n"
					  "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9     2 B  -\n");
	table_clear(&t);
	page_clear(&p);
}

/* What @p document looks like in a file and on a terminal. */
static void check_document(const char *document, bool tty, const char *want)
{
	struct page p = { .text = BUF_INIT(PAGE_MAX), .verbatim = true };
	dray_error *err = NULL;
	int dir;
	char *path = temp_dir_make(&dir);
	int fd = openat(dir, "out", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	page_bytes(&p, span_str(document));
	assert_ok(page_write(&p, fd, tty, &err), err);
	assert_file_is(dir, "out", want);
	close(fd);
	temp_dir_remove(path, dir);
	page_clear(&p);
}

static void test_O01_documents(void **state)
{
	(void)state;
	check_document("{\n\t\"a\": \"\xc2\x9b\x1b\"}\n", false, "{\n\t\"a\": \"\xc2\x9b\x1b\"}\n");
	check_document("{\n\t\"a\": \"\xc2\x9b\x1b\"}\n", true, "{\n\t\"a\": \"\\u{9b}\\x1b\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),	  cmocka_unit_test(test_times_and_digests),
		cmocka_unit_test(test_O01_lines), cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_O01_json),  cmocka_unit_test(test_pretty_json),
		cmocka_unit_test(test_table),	  cmocka_unit_test(test_O01_documents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
