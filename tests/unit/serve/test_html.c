/* SPDX-License-Identifier: Apache-2.0
 *
 * The one place where text becomes HTML.
 */
#include "torture.h"

#include "serve/html.h"

static void check(struct buf *out, const char *want)
{
	if (!span_is(span_buf(out), want))
		fail_msg("%.*s, not %s", (int)out->len, (const char *)out->data, want);
}

static void escaping(void **state)
{
	static const struct {
		struct span in;
		const char *out;
	} rows[] = {
		{ SPAN_LIT(""), "" },
		{ SPAN_LIT("plain"), "plain" },
		{ SPAN_LIT("&<>\"'"), "&amp;&lt;&gt;&quot;&#39;" },
		{ SPAN_LIT("<script>x</script>"), "&lt;script&gt;x&lt;/script&gt;" },
		{ SPAN_LIT("&amp;"), "&amp;amp;" },
		{ SPAN_LIT("a\nb\tc"), "a\nb\tc" },
		{ SPAN_LIT("\n\n"), "\n\n" },
		{ SPAN_LIT("a\0b\r\x1b[0m\x7f"), "a\\x00b\\x0d\\x1b[0m\\x7f" },
		{ SPAN_LIT("\xff<\xc3"), "\\xff&lt;\\xc3" },
		{ SPAN_LIT("\xc0\xbcscript\xc0\xbe"), "\\xc0\\xbcscript\\xc0\\xbe" },
		{ SPAN_LIT("\xe2\x80\xae"
			   "x"),
		  "\\u{202e}x" },
		{ SPAN_LIT("\xc2\x85"), "\\u{85}" },
		{ SPAN_LIT("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f" },
		{ SPAN_LIT("\xed\xa0\x80"), "\\xed\\xa0\\x80" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf out = BUF_INIT(1024);
		dray_error *err = NULL;
		struct html h;

		html_init(&h, &out, &err);
		html_text(&h, rows[i].in);
		assert_ok(html_finish(&h), err);
		check(&out, rows[i].out);
	}
}

static void cutting(void **state)
{
	static const struct {
		const char *in;
		size_t max;
		const char *out;
	} rows[] = {
		{ "abc", 3, "abc" },
		{ "abcd", 3, "abc<span class=\"more\">\xe2\x80\xa6 4 bytes in all</span>" },
		{ "<<<<", 1, "&lt;<span class=\"more\">\xe2\x80\xa6 4 bytes in all</span>" },
		{ "a\xc3\xbcx", 2, "a<span class=\"more\">\xe2\x80\xa6 4 bytes in all</span>" },
		{ "\x80\x80\x80", 2, "<span class=\"more\">\xe2\x80\xa6 3 bytes in all</span>" },
		{ "", 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf out = BUF_INIT(1024);
		dray_error *err = NULL;
		struct html h;

		html_init(&h, &out, &err);
		html_cut(&h, span_str(rows[i].in), rows[i].max);
		assert_ok(html_finish(&h), err);
		check(&out, rows[i].out);
	}
}

static void shares(void **state)
{
	static const struct {
		int64_t part, whole;
		const char *out;
	} rows[] = {
		{ 0, 1, "0.00%" },
		{ 1, 1, "100.00%" },
		{ 1, 3, "33.33%" },
		{ 1, 100000, "0.00%" },
		{ 0, 0, "0.00%" },
		{ INT64_MAX, INT64_MAX, "100.00%" },
		{ INT64_MAX / 2, INT64_MAX, "49.99%" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf out = BUF_INIT(1024);
		dray_error *err = NULL;
		struct html h;

		html_init(&h, &out, &err);
		html_share(&h, rows[i].part, rows[i].whole);
		assert_ok(html_finish(&h), err);
		check(&out, rows[i].out);
	}
}

/* The first failure is told, and nothing behind it is written. */
static void too_much(void **state)
{
	cleanup_buf struct buf out = BUF_INIT(8);
	dray_error *err = NULL;
	struct html h;

	(void)state;
	html_init(&h, &out, &err);
	html_raw(&h, "<p>");
	html_str(&h, "<<");
	html_raw(&h, "</p>");
	assert_int_equal(html_finish(&h), -1);
	assert_err_kind(err, DRAY_ERR_LIMIT);
	check(&out, "<p>&lt;");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escaping),
		cmocka_unit_test(cutting),
		cmocka_unit_test(shares),
		cmocka_unit_test(too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
