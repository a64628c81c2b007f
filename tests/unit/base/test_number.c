/* SPDX-License-Identifier: Apache-2.0
 *
 * For: numbers, times, hex and base64 as text.
 * Relies on: support.h, torture.h; gmtime_r(3) as the oracle for dates.
 * Promises: each refused text has an accepted neighbour.
 */
#include <time.h>
#include "base/mem.h"
#include "base/number.h"
#include "torture.h"

static void test_u63(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t value;
	} rows[] = {
		{ "0", true, 0 },
		{ "007", true, 7 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "9223372036854775808", false, 0 },
		{ "18446744073709551617", false, 0 },
		{ "99999999999999999999999", false, 0 },
		{ "", false, 0 },
		{ "-1", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "0x1", false, 0 },
		{ "1\n", false, 0 },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t v = 0;
		assert_int_equal(num_parse_u63(span_str(rows[i].text), &v), rows[i].ok);
		assert_true(!rows[i].ok || v == rows[i].value);
	}
}

static void test_i64(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t value;
	} rows[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "-12", true, -12 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "9223372036854775808", false, 0 },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "-9223372036854775809", false, 0 },
		{ "01", false, 0 },
		{ "-01", false, 0 },
		{ "-", false, 0 },
		{ "--1", false, 0 },
		{ "", false, 0 },
		{ "1.0", false, 0 },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t v = 0;
		assert_int_equal(num_parse_i64(span_str(rows[i].text), &v), rows[i].ok);
		assert_true(!rows[i].ok || v == rows[i].value);
	}
}

static void test_duration(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t ms;
	} rows[] = {
		{ "10", true, 10000 },
		{ "10s", true, 10000 },
		{ "5m", true, 300000 },
		{ "1h", true, 3600000 },
		{ "250ms", true, 250 },
		{ "0", true, 0 },
		{ "", false, 0 },
		{ "s", false, 0 },
		{ "-1s", false, 0 },
		{ "1.5s", false, 0 },
		{ "1 s", false, 0 },
		{ "1d", false, 0 },
		{ "1S", false, 0 },
		{ "1h5m", false, 0 },
		{ "2562047788015h", true, 2562047788015 * 3600000 },
		{ "2562047788016h", false, 0 },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t ms = 0;
		assert_int_equal(num_parse_duration_ms(rows[i].text, &ms), rows[i].ok);
		assert_true(!rows[i].ok || ms == rows[i].ms);
	}
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		int64_t sec;
		int32_t nsec, off;
		const char *go; /* NULL = as it came in */
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0, 0, 0, NULL },
		{ "2026-11-20T22:34:47Z", 1795214087, 0, 0, NULL },
		{ "2026-11-20t22:34:47z", 1795214087, 0, 0, "2026-11-20T22:34:47Z" },
		{ "2000-02-29T12:00:00Z", 951825600, 0, 0, NULL },
		{ "0001-01-01T00:00:00Z", -62135596800, 0, 0, NULL },
		{ "0000-01-01T00:00:00Z", -62167219200, 0, 0, NULL },
		{ "9999-12-31T23:59:59.999999999Z", 253402300799, 999999999, 0, NULL },
		{ "1970-01-01T00:00:00.6Z", 0, 600000000, 0, NULL },
		{ "1970-01-01T00:00:00.600Z", 0, 600000000, 0, "1970-01-01T00:00:00.6Z" },
		{ "1970-01-01T00:00:00.000Z", 0, 0, 0, "1970-01-01T00:00:00Z" },
		{ "1970-01-01T00:00:00.1234567899999Z", 0, 123456789, 0,
		  "1970-01-01T00:00:00.123456789Z" },
		{ "1970-01-01T01:00:00+01:00", 0, 0, 60, NULL },
		{ "1969-12-31T18:30:00-05:30", 0, 0, -330, NULL },
		{ "1970-01-01T00:00:00+00:00", 0, 0, 0, "1970-01-01T00:00:00Z" },
		{ "1970-01-01T23:59:00+23:59", 0, 0, 1439, NULL },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char out[TIME_TEXT];
		int64_t sec;
		int32_t nsec, off;
		assert_true(time_parse_rfc3339(span_str(rows[i].text), &sec, &nsec, &off));
		assert_true(sec == rows[i].sec);
		assert_int_equal(nsec, rows[i].nsec);
		assert_int_equal(off, rows[i].off);
		assert_string_equal(time_format_go(sec, nsec, off, out),
				    rows[i].go ? rows[i].go : rows[i].text);
	}
}

static void test_bad_times(void **state)
{
	static const char *const rows[] = {
		"",
		"1970-01-01",
		"1970-01-01T00:00:00",
		"1970-01-01 00:00:00Z",
		"1970-1-01T00:00:00Z",
		"970-01-01T00:00:00Z",
		"10000-01-01T00:00:00Z",
		"-001-01-01T00:00:00Z",
		"1970-00-01T00:00:00Z",
		"1970-13-01T00:00:00Z",
		"1970-01-00T00:00:00Z",
		"1970-01-32T00:00:00Z",
		"1970-04-31T00:00:00Z",
		"1971-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2000-02-30T00:00:00Z",
		"1970-01-01T24:00:00Z",
		"1970-01-01T00:60:00Z",
		"1970-01-01T00:00:60Z",
		"1970-01-01T0:00:00Z",
		"1970-01-01T00:00Z",
		"1970-01-01T00:00:00.Z",
		"1970-01-01T00:00:00,5Z",
		"1970-01-01T00:00:00+24:00",
		"1970-01-01T00:00:00+01:60",
		"1970-01-01T00:00:00+0100",
		"1970-01-01T00:00:00+01",
		"1970-01-01T00:00:00ZZ",
		"1970-01-01T00:00:00Z ",
		" 1970-01-01T00:00:00Z",
		"+970-01-01T00:00:00Z",
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t sec;
		int32_t nsec, off;
		if (time_parse_rfc3339(span_str(rows[i]), &sec, &nsec, &off))
			fail_msg("accepted '%s'", rows[i]);
	}
	int64_t sec;
	int32_t nsec, off;
	assert_false(time_parse_rfc3339(SPAN_LIT("1970-01-01\0"
						 "00:00:00Z"),
					&sec, &nsec, &off));
}

/* Every date of a thousand years around the two kinds of century, and both ways. */
static void test_dates_against_libc(void **state)
{
	(void)state;
	for (int64_t sec = -28000000000; sec < 28000000000; sec += 86400 * 3 + 4711) {
		time_t t = (time_t)sec;
		struct tm tm;
		char want[32], got[TIME_TEXT];
		int64_t back;
		int32_t nsec, off;
		gmtime_r(&t, &tm);
		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%SZ", &tm);
		assert_string_equal(time_format_utc(sec, 0, got), want);
		assert_true(time_parse_rfc3339(span_str(got), &back, &nsec, &off));
		assert_true(back == sec);
	}
}

static void test_times_at_the_ends(void **state)
{
	char out[TIME_TEXT];

	(void)state;
	assert_string_equal(time_format_utc(INT64_MAX, 0, out), "292277026596-12-04T15:30:07Z");
	assert_string_equal(time_format_utc(INT64_MIN, 999999999, out),
			    "-292277022657-01-27T08:29:52.999999999Z");
	assert_string_equal(time_format_go(INT64_MAX, 0, 60, out), "292277026596-12-04T15:30:07Z");
	assert_string_equal(time_format_go(INT64_MIN, 1, 1439, out),
			    "-292277022657-01-28T08:28:52.000000001+23:59");
}

static void test_hex(void **state)
{
	char out[7];

	(void)state;
	hex_encode((const uint8_t *)"\x00\xa5\xff", 3, out);
	assert_string_equal(out, "00a5ff");
	assert_true(hex_is_lower(SPAN_LIT("00a5ff"), 6));
	assert_false(hex_is_lower(SPAN_LIT("00A5ff"), 6));
	assert_false(hex_is_lower(SPAN_LIT("00a5fg"), 6));
	assert_false(hex_is_lower(SPAN_LIT("00a5f"), 6));
	assert_false(hex_is_lower(SPAN_LIT("00a5ff0"), 6));
}

static void test_base64(void **state)
{
	static const struct {
		struct span bytes;
		const char *text;
	} rows[] = {
		{ SPAN_LIT(""), "" },
		{ SPAN_LIT("f"), "Zg==" },
		{ SPAN_LIT("fo"), "Zm8=" },
		{ SPAN_LIT("foo"), "Zm9v" },
		{ SPAN_LIT("foob"), "Zm9vYg==" },
		{ SPAN_LIT("fooba"), "Zm9vYmE=" },
		{ SPAN_LIT("foobar"), "Zm9vYmFy" },
		{ SPAN_LIT("\xfb\xff\xfe\0"), "+//+AA==" },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT(rows[i].bytes.len);
		dray_error *err = NULL;
		cleanup_free char *text = base64_encode(rows[i].bytes);
		assert_string_equal(text, rows[i].text);
		assert_ok(base64_decode(span_str(text), &b, &err), err);
		assert_span(span_buf(&b), rows[i].bytes);
	}
}

static void test_bad_base64(void **state)
{
	static const char *const rows[] = {
		"Z",	"Zg",	    "Zg=",	"Zh==",	  "Zm9=", "====", "=m9v",
		"Z===", "Zg==Zg==", "Zm8=Zm9v", "Zm9v\n", "Zm 9", "Zm-_", "Zm9v====",
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT(100);
		dray_error *err = NULL;
		if (base64_decode(span_str(rows[i]), &b, &err) == 0)
			fail_msg("accepted '%s'", rows[i]);
		assert_err(err, DRAY_ERR_FORMAT, "base64");
	}
	cleanup_buf struct buf tight = BUF_INIT(2);
	dray_error *err = NULL;
	assert_int_equal(base64_decode(SPAN_LIT("Zm9v"), &tight, &err), -1);
	assert_err_kind(err, DRAY_ERR_LIMIT);
}

/* The other alphabet, and no padding. */
static void test_base64url(void **state)
{
	static const struct {
		const char *text, *bytes; /* NULL = malformed */
	} rows[] = {
		{ "", "" },
		{ "Zg", "f" },
		{ "Zm8", "fo" },
		{ "Zm9v", "foo" },
		{ "-_-_", "\xfb\xff\xbf" },
		{ "+/+/", NULL },
		{ "Zg==", NULL },
		{ "Z", NULL },
		{ "Zh", NULL },
		{ "Zm9vZ", NULL },
		{ "Zm9v\n", NULL },
		{ "Zm.v", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf b = BUF_INIT(64);
		int rc = base64url_decode(span_str(rows[i].text), &b, NULL);

		assert_int_equal(rc, rows[i].bytes ? 0 : -1);
		if (rows[i].bytes)
			assert_span_is(span_buf(&b), rows[i].bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u63),
		cmocka_unit_test(test_i64),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_bad_times),
		cmocka_unit_test(test_dates_against_libc),
		cmocka_unit_test(test_times_at_the_ends),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_bad_base64),
		cmocka_unit_test(test_base64url),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
