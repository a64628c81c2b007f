/* SPDX-License-Identifier: Apache-2.0
 *
 * For: numbers, times and binary data as text.
 * Relies on: nothing of the C library that knows a locale or a time zone.
 * Promises: what is not exactly the grammar is refused; nothing overflows.
 */
#include <stdio.h>
#include "base/mem.h"
#include "base/number.h"

#define DAY 86400
#define NSEC_DIGITS 9
#define YEAR_END 1000000000000 /* int64 seconds do not reach it, which a compiler cannot see */

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Digits as a number of at most @p max. */
static bool parse_digits(struct span text, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!is_digit(text.data[i]))
			return false;
		if (__builtin_mul_overflow(value, 10ULL, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value))
			return false;
	}
	*ret = value;
	return value <= max;
}

bool num_parse_u63(struct span text, int64_t *ret)
{
	uint64_t value;

	if (!parse_digits(text, INT64_MAX, &value))
		return false;
	*ret = (int64_t)value;
	return true;
}

bool num_parse_i64(struct span text, int64_t *ret)
{
	bool negative = text.len && text.data[0] == '-';
	struct span digits = negative ? span_from(text, 1) : text;
	uint64_t value;

	if (digits.len > 1 && digits.data[0] == '0')
		return false;
	if (!parse_digits(digits, (uint64_t)INT64_MAX + (negative ? 1 : 0), &value))
		return false;
	*ret = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

bool num_parse_duration_ms(const char *text, int64_t *ret)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "", 1000 } };
	struct span rest = span_str(text);
	size_t digits = 0;
	int64_t value;

	while (digits < rest.len && is_digit(rest.data[digits]))
		digits++;
	if (!num_parse_u63(span_head(rest, digits), &value))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (span_is(span_from(rest, digits), units[i].unit))
			return !__builtin_mul_overflow(value, units[i].ms, ret);
	}
	return false;
}

/* Take @p n digits off *text as a number in lo..hi. */
static bool take_number(struct span *text, size_t n, int lo, int hi, int *ret)
{
	uint64_t value;

	if (text->len < n || !parse_digits(span_head(*text, n), (uint64_t)hi, &value))
		return false;
	*text = span_from(*text, n);
	*ret = (int)value;
	return *ret >= lo;
}

/* Take one byte off *text that is one of @p any; 0 = it is not. */
static char take_one(struct span *text, const char *any)
{
	if (text->len == 0 || text->data[0] == 0 || !strchr(any, text->data[0]))
		return 0;
	char c = (char)text->data[0];
	*text = span_from(*text, 1);
	return c;
}

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int64_t year, int month)
{
	static const int8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0 ? 1 : 0);
}

/* Days from 1970-01-01 to the first of January of @p year. */
static int64_t days_before_year(int64_t year)
{
	int64_t y = year - 1;

	return 365 * (year - 1970) + (floor_div(y, 4) - 492) - (floor_div(y, 100) - 19) +
	       (floor_div(y, 400) - 4);
}

static int64_t days_of_date(int year, int month, int day)
{
	int64_t days = days_before_year(year);

	for (int m = 1; m < month; m++)
		days += month_days(year, m);
	return days + day - 1;
}

/* "2006-01-02" as days since 1970. */
static bool take_date(struct span *text, int64_t *ret_days)
{
	int year, month, day;

	if (!take_number(text, 4, 0, 9999, &year) || !take_one(text, "-") ||
	    !take_number(text, 2, 1, 12, &month) || !take_one(text, "-") ||
	    !take_number(text, 2, 1, month_days(year, month), &day))
		return false;
	*ret_days = days_of_date(year, month, day);
	return true;
}

/* "15:04:05" as seconds since midnight. */
static bool take_clock(struct span *text, int64_t *ret_sec)
{
	int hour, minute, second;

	if (!take_number(text, 2, 0, 23, &hour) || !take_one(text, ":") ||
	    !take_number(text, 2, 0, 59, &minute) || !take_one(text, ":") ||
	    !take_number(text, 2, 0, 59, &second))
		return false;
	*ret_sec = hour * 3600 + minute * 60 + second;
	return true;
}

/* An optional ".999": as many digits as there are, nine of them count. */
static bool take_fraction(struct span *text, int32_t *ret_nsec)
{
	size_t digits = 0;

	*ret_nsec = 0;
	if (!take_one(text, "."))
		return true;
	for (; text->len && is_digit(text->data[0]); digits++) {
		if (digits < NSEC_DIGITS)
			*ret_nsec = *ret_nsec * 10 + (text->data[0] - '0');
		*text = span_from(*text, 1);
	}
	for (size_t i = digits; i < NSEC_DIGITS; i++)
		*ret_nsec *= 10;
	return digits > 0;
}

static bool take_offset(struct span *text, int32_t *ret_min)
{
	int hour, minute;

	*ret_min = 0;
	if (take_one(text, "Zz"))
		return true;
	char sign = take_one(text, "+-");
	if (!sign || !take_number(text, 2, 0, 23, &hour) || !take_one(text, ":") ||
	    !take_number(text, 2, 0, 59, &minute))
		return false;
	*ret_min = (hour * 60 + minute) * (sign == '-' ? -1 : 1);
	return true;
}

bool time_parse_rfc3339(struct span text, int64_t *ret_sec, int32_t *ret_nsec, int32_t *ret_off_min)
{
	int64_t days, clock;
	int32_t nsec, off_min;

	if (!take_date(&text, &days) || !take_one(&text, "Tt") || !take_clock(&text, &clock) ||
	    !take_fraction(&text, &nsec) || !take_offset(&text, &off_min) || text.len)
		return false;
	*ret_sec = days * DAY + clock - off_min * 60;
	*ret_nsec = nsec;
	*ret_off_min = off_min;
	return true;
}

/* Days since 1970 as a date. */
static void date_of_days(int64_t days, int64_t *year, int *month, int *day)
{
	/* 400 years are always 146,097 days; a guess from that is off by one year at most. */
	int64_t y = 1970 + floor_div(days, 146097) * 400;

	y += (days - days_before_year(y)) / 366;
	while (days >= days_before_year(y + 1))
		y++;
	*day = (int)(days - days_before_year(y));
	for (*month = 1; *day >= month_days(y, *month); (*month)++)
		*day -= month_days(y, *month);
	++*day;
	*year = y;
}

/* ".6" for 600,000,000; nothing for 0. */
static void format_fraction(int32_t nsec, char out[NSEC_DIGITS + 2])
{
	int len = nsec > 0 ? snprintf(out, NSEC_DIGITS + 2, ".%09d", nsec % 1000000000) : 0;

	while (len > 0 && out[len - 1] == '0')
		len--;
	out[len] = '\0';
}

const char *time_format_go(int64_t sec, int32_t nsec, int32_t off_min, char out[TIME_TEXT])
{
	char fraction[NSEC_DIGITS + 2], offset[sizeof("+hh:mm")] = "Z";
	unsigned off = (unsigned)(off_min < 0 ? -off_min : off_min);
	int64_t local, year;
	int month, day;

	/* Only within minutes of the ends of int64: there UTC has to do. */
	if (__builtin_add_overflow(sec, (int64_t)off_min * 60, &local)) {
		local = sec;
		off_min = 0;
	}
	date_of_days(floor_div(local, DAY), &year, &month, &day);
	unsigned clock = (unsigned)(local - floor_div(local, DAY) * DAY);
	format_fraction(nsec, fraction);
	if (off_min)
		snprintf(offset, sizeof(offset), "%c%02u:%02u", off_min < 0 ? '-' : '+',
			 off / 60 % 100, off % 60);
	snprintf(out, TIME_TEXT, "%04lld-%02u-%02uT%02u:%02u:%02u%s%s", (long long)year % YEAR_END,
		 (unsigned)month % 100, (unsigned)day % 100, clock / 3600 % 24, clock / 60 % 60,
		 clock % 60, fraction, offset);
	return out;
}

const char *time_format_utc(int64_t sec, int32_t nsec, char out[TIME_TEXT])
{
	return time_format_go(sec, nsec, 0, out);
}

const char *human_size(int64_t size, char out[HUMAN_SIZE])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	size_t unit = 0;
	int64_t whole = size, tenths = 0;

	if (size < 0) {
		snprintf(out, HUMAN_SIZE, "?");
		return out;
	}
	while (whole >= 1000) {
		tenths = whole % 1000 / 100;
		whole /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(out, HUMAN_SIZE, "%d B", (int)whole);
	else
		snprintf(out, HUMAN_SIZE, "%d.%d %s", (int)whole, (int)tenths, units[unit]);
	return out;
}

void hex_encode(const uint8_t *data, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[data[i] >> 4];
		*out++ = digits[data[i] & 15];
	}
	*out = '\0';
}

static uint8_t hex_value(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

void hex_decode(const char *hex, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++, hex += 2)
		out[i] = (uint8_t)(hex_value(hex[0]) << 4 | hex_value(hex[1]));
}

bool hex_is_lower(struct span s, size_t digits)
{
	if (s.len != digits)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!is_digit(s.data[i]) && (s.data[i] < 'a' || s.data[i] > 'f'))
			return false;
	}
	return true;
}
