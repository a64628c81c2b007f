/* SPDX-License-Identifier: Apache-2.0
 *
 * For: text made safe to show, JSON text written.
 * Relies on: support.h, torture.h.
 * Promises: O-01 for every class of character; Go's dialect rule by rule.
 */
#include <signal.h>
#include <sys/wait.h>
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/text.h"
#include "torture.h"

static void test_O01_escape(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "plain text, \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", NULL },
		{ "\x1b[31m", "\\x1b[31m" },
		{ "a\nb\tc\rd", "a\\x0ab\\x09c\\x0dd" },
		{ "\x7f", "\\x7f" },
		{ "\xc2\x9b", "\\u{9b}" },
		{ "\xc2\x80\xc2\x9f\xc2\xa0", "\\u{80}\\u{9f}\xc2\xa0" },
		{ "\xe2\x80\xaa\xe2\x80\xae", "\\u{202a}\\u{202e}" },
		{ "\xe2\x80\xa9\xe2\x80\xaf", NULL },
		{ "\xe2\x81\xa6\xe2\x81\xa9", "\\u{2066}\\u{2069}" },
		{ "\xe2\x81\xa5\xe2\x81\xaa", NULL },
		{ "\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c", "\\u{200e}\\u{200f}\\u{61c}" },
		{ "\xe2\x80\x8d\xe2\x80\x90\xd8\x9b", NULL },
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "\xc3", "\\xc3" },
		{ "\xe2\x82", "\\xe2\\x82" },
		{ "\xe2\x82x", "\\xe2\\x82x" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
		{ "\xc0\x80", "\\xc0\\x80" },
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
		{ "", "" },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT(1000);
		dray_error *err = NULL;
		const char *want = rows[i].out ? rows[i].out : rows[i].in;
		assert_ok(text_escape(&b, span_str(rows[i].in), &err), err);
		assert_span_is(span_buf(&b), want);
		cleanup_free char *safe = text_safe(span_str(rows[i].in), 1000);
		assert_string_equal(safe, want);
	}
}

static void test_O01_cut(void **state)
{
	static const struct {
		const char *in;
		size_t max;
		const char *out;
	} rows[] = {
		{ "abcdef", 6, "abcdef" },  { "abcdef", 5, "abcde..." },
		{ "abc\xc3\xa9", 5, NULL }, { "abc\xc3\xa9", 4, "abc..." },
		{ "ab\x1b", 6, "ab\\x1b" }, { "ab\x1b", 5, "ab..." },
		{ "abc", 0, "..." },	    { "", 0, "" },
		{ "abc", SIZE_MAX, "abc" },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_free char *safe = text_safe(span_str(rows[i].in), rows[i].max);
		assert_string_equal(safe, rows[i].out ? rows[i].out : rows[i].in);
	}
}

/* Whatever two bytes come in, nothing a terminal acts on goes out. */
static void test_O01_all_pairs(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 65536; v++) {
		uint8_t in[2] = { (uint8_t)(v >> 8), (uint8_t)v };
		cleanup_free char *safe = text_safe(span_of(in, 2), 100);
		struct span out = span_str(safe);
		assert_true(utf8_valid(out));
		for (size_t i = 0; i < out.len; i++) {
			assert_true(out.data[i] >= 0x20 && out.data[i] != 0x7f);
			assert_false(out.data[i] == 0xc2 && out.data[i + 1] < 0xa0);
		}
	}
}

static void test_ascii(void **state)
{
	(void)state;
	assert_true(ascii_ieq(SPAN_LIT("Content-TYPE"), "content-type"));
	assert_false(ascii_ieq(SPAN_LIT("content-typ"), "content-type"));
	assert_false(ascii_ieq(SPAN_LIT("[ontent"), "{ontent"));
	assert_int_equal(ascii_lower('Z'), 'z');
	assert_int_equal(ascii_lower('@'), '@');
	assert_int_equal(ascii_lower('['), '[');
	assert_int_equal(ascii_lower('\xc9'), '\xc9');
}

static void test_go_quote(void **state)
{
	static const struct {
		struct span in;
		const char *out;
	} rows[] = {
		{ SPAN_LIT(""), "\"\"" },
		{ SPAN_LIT("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"" },
		{ SPAN_LIT("\n\r\t"), "\"\\n\\r\\t\"" },
		{ SPAN_LIT("\0\x01\b\f\x1f"), "\"\\u0000\\u0001\\u0008\\u000c\\u001f\"" },
		{ SPAN_LIT("<>&"), "\"\\u003c\\u003e\\u0026\"" },
		{ SPAN_LIT("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"),
		  "\"\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa\"" },
		{ SPAN_LIT("\x7f\xc3\xa9\xf0\x9f\x98\x80"), "\"\x7f\xc3\xa9\xf0\x9f\x98\x80\"" },
		{ SPAN_LIT("a\xff\xc3z"), "\"a\\ufffd\\ufffdz\"" },
		{ SPAN_LIT("\xe2\x80"), "\"\\ufffd\\ufffd\"" },
		{ SPAN_LIT("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"" },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT(1000);
		dray_error *err = NULL;
		assert_ok(json_quote(&b, rows[i].in, &err), err);
		assert_span_is(span_buf(&b), rows[i].out);
	}
}

static int write_sample(struct buf *b, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, b, err);
	jsonw_object(&w);
	jsonw_kstring(&w, "s", "x<y");
	jsonw_kstring(&w, "n", NULL);
	jsonw_kint(&w, "i", INT64_MIN);
	jsonw_kbool(&w, "b", true);
	jsonw_key(&w, "a");
	jsonw_array(&w);
	jsonw_int(&w, 1);
	jsonw_bytes(&w, SPAN_LIT("\xff"));
	jsonw_object(&w);
	jsonw_end_object(&w);
	jsonw_array(&w);
	jsonw_end_array(&w);
	jsonw_bool(&w, false);
	jsonw_null(&w);
	jsonw_raw(&w, SPAN_LIT("{\"r\": 1}"));
	jsonw_end_array(&w);
	jsonw_key(&w, "&");
	jsonw_object(&w);
	jsonw_kint(&w, "z", 0);
	jsonw_end_object(&w);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

static void test_writer(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(1000);
	dray_error *err = NULL;

	(void)state;
	assert_ok(write_sample(&b, &err), err);
	assert_span_is(
		span_buf(&b),
		"{\"s\":\"x\\u003cy\",\"n\":null,\"i\":-9223372036854775808,\"b\":true,\"a\":"
		"[1,\"\\ufffd\",{},[],false,null,{\"r\": 1}],\"\\u0026\":{\"z\":0}}");
}

static void test_writer_limit(void **state)
{
	cleanup_buf struct buf whole = BUF_INIT(1000);
	dray_error *err = NULL;

	(void)state;
	assert_ok(write_sample(&whole, &err), err);
	for (size_t max = 0; max < whole.len; max++) {
		cleanup_buf struct buf b = BUF_INIT(max);
		assert_int_equal(write_sample(&b, &err), -1);
		assert_err_kind(err, DRAY_ERR_LIMIT);
	}
	cleanup_buf struct buf exact = BUF_INIT(whole.len);
	assert_ok(write_sample(&exact, &err), err);
}

static int torture_sample(void *arg, dray_error **err)
{
	cleanup_buf struct buf b = BUF_INIT(1000);

	(void)arg;
	return write_sample(&b, err);
}

static void test_G17_torture(void **state)
{
	(void)state;
	torture_alloc(torture_sample, NULL);
}

static void value_without_key(struct jsonw *w)
{
	jsonw_object(w);
	jsonw_int(w, 1);
}

static void key_in_array(struct jsonw *w)
{
	jsonw_array(w);
	jsonw_key(w, "a");
}

static void wrong_end(struct jsonw *w)
{
	jsonw_array(w);
	jsonw_end_object(w);
}

static void left_open(struct jsonw *w)
{
	jsonw_array(w);
	(void)!jsonw_finish(w);
}

static void two_values(struct jsonw *w)
{
	jsonw_int(w, 1);
	jsonw_int(w, 2);
}

static void key_without_value(struct jsonw *w)
{
	jsonw_object(w);
	jsonw_key(w, "a");
	jsonw_end_object(w);
}

static void test_misnesting_asserts(void **state)
{
	static void (*const cases[])(struct jsonw *) = {
		value_without_key, key_in_array, wrong_end,
		left_open,	   two_values,	 key_without_value,
	};
	(void)state;
	for (size_t i = 0; i < ROWS(cases); i++) {
		int status;
		pid_t pid = fork();
		if (pid == 0) {
			struct buf b = BUF_INIT(100);
			struct jsonw w;
			signal(SIGABRT, SIG_DFL);
			if (!freopen("/dev/null", "w", stderr))
				_exit(1);
			jsonw_init(&w, &b, NULL);
			cases[i](&w);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
			fail_msg("case %zu did not assert", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_O01_escape),	   cmocka_unit_test(test_O01_cut),
		cmocka_unit_test(test_O01_all_pairs),	   cmocka_unit_test(test_ascii),
		cmocka_unit_test(test_go_quote),	   cmocka_unit_test(test_writer),
		cmocka_unit_test(test_writer_limit),	   cmocka_unit_test(test_G17_torture),
		cmocka_unit_test(test_misnesting_asserts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
