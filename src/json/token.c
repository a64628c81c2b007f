/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the two JSON tokens with insides: strings and numbers.
 * Relies on: base/text.h for what UTF-8 is.
 * Promises: a string that passed here decodes to valid UTF-8 without further checks.
 */
#include "base/text.h"
#include "json/json_priv.h"

static int refuse(size_t at, const char *reason, dray_error **err)
{
	return err_set(err, DRAY_ERR_FORMAT, "JSON at byte %zu: %s", at, reason);
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The unit of "\uXXXX" at the start of @p s; -1 = it is none. */
static int32_t unicode_escape(struct span s)
{
	int32_t unit = 0;

	if (!span_starts(s, "\\u") || s.len < 6)
		return -1;
	for (size_t i = 2; i < 6; i++) {
		int v = hex_value(s.data[i]);
		if (v < 0)
			return -1;
		unit = unit << 4 | v;
	}
	return unit;
}

static bool is_high(int32_t unit)
{
	return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(int32_t unit)
{
	return unit >= 0xdc00 && unit <= 0xdfff;
}

/* What the escape of one letter stands for; 0 = there is no such escape. */
static uint8_t short_escape(uint8_t letter)
{
	static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *at = letter ? strchr(letters, letter) : NULL;

	return at ? (uint8_t)values[at - letters] : 0;
}

/* Check the escape at @p pos and step over it. */
static int scan_escape(struct span text, size_t *pos, bool is_name, dray_error **err)
{
	struct span s = span_from(text, *pos);

	if (s.len >= 2 && s.data[1] != 'u') {
		if (!short_escape(s.data[1]))
			return refuse(*pos, "unknown escape", err);
		*pos += 2;
		return 0;
	}
	int32_t unit = unicode_escape(s);
	if (unit < 0)
		return refuse(*pos, "malformed escape", err);
	if (unit == 0 && is_name)
		return refuse(*pos, "NUL in a member name", err);
	if (is_low(unit) || (is_high(unit) && !is_low(unicode_escape(span_from(s, 6)))))
		return refuse(*pos, "lone surrogate", err);
	*pos += is_high(unit) ? 12 : 6;
	return 0;
}

/* Bytes of a string that stand for themselves and need no look. */
static bool is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

int json_scan_string(struct span text, size_t pos, bool is_name, size_t *ret_end, bool *ret_odd,
		     dray_error **err)
{
	*ret_odd = false;
	for (pos++; pos < text.len;) {
		uint8_t c = text.data[pos];
		if (is_plain(c)) {
			pos++;
		} else if (c == '"') {
			*ret_end = pos + 1;
			return 0;
		} else if (c == '\\') {
			*ret_odd = true;
			if (scan_escape(text, &pos, is_name, err) < 0)
				return -1;
		} else if (c < 0x20) {
			return refuse(pos, "control byte in a string", err);
		} else {
			*ret_odd = true;
			size_t n = utf8_len(span_from(text, pos));
			if (n == 0)
				return refuse(pos, "invalid UTF-8", err);
			pos += n;
		}
	}
	return refuse(pos, "text ends inside a string", err);
}

static size_t skip_digits(struct span text, size_t pos)
{
	while (pos < text.len && text.data[pos] >= '0' && text.data[pos] <= '9')
		pos++;
	return pos;
}

static bool has_byte(struct span text, size_t pos, const char *any)
{
	return pos < text.len && text.data[pos] && strchr(any, text.data[pos]);
}

int json_scan_number(struct span text, size_t pos, size_t *ret_end, dray_error **err)
{
	if (has_byte(text, pos, "-"))
		pos++;
	size_t end = skip_digits(text, pos);
	if (end == pos)
		return refuse(pos, "expected a digit", err);
	if (text.data[pos] == '0' && end > pos + 1)
		return refuse(pos, "number with a leading zero", err);
	if (has_byte(text, end, ".")) {
		pos = end + 1;
		end = skip_digits(text, pos);
		if (end == pos)
			return refuse(pos, "expected a digit", err);
	}
	if (has_byte(text, end, "eE")) {
		pos = end + (has_byte(text, end + 1, "+-") ? 2 : 1);
		end = skip_digits(text, pos);
		if (end == pos)
			return refuse(pos, "expected a digit", err);
	}
	*ret_end = end;
	return 0;
}

static size_t put_utf8(uint32_t point, uint8_t out[4])
{
	if (point < 0x80) {
		out[0] = (uint8_t)point;
		return 1;
	}
	size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	for (size_t i = len - 1; i > 0; i--, point >>= 6)
		out[i] = (uint8_t)(0x80 | (point & 0x3f));
	out[0] = (uint8_t)(0xf00U >> len | point);
	return len;
}

size_t json_unescape_one(struct span s, uint8_t out[4], size_t *ret_len)
{
	if (s.data[0] != '\\') {
		out[0] = s.data[0];
		*ret_len = 1;
		return 1;
	}
	if (s.data[1] != 'u') {
		out[0] = short_escape(s.data[1]);
		*ret_len = 1;
		return 2;
	}
	uint32_t point = (uint32_t)unicode_escape(s);
	size_t used = 6;
	if (is_high((int32_t)point)) {
		uint32_t low = (uint32_t)unicode_escape(span_from(s, 6));
		point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
		used = 12;
	}
	*ret_len = put_utf8(point, out);
	return used;
}

size_t json_unescape(struct span raw, uint8_t *out)
{
	uint8_t *start = out;
	uint8_t one[4];
	size_t used, len;

	for (; raw.len; raw = span_from(raw, used)) {
		used = json_unescape_one(raw, one, &len);
		memcpy(out, one, len);
		out += len;
	}
	return (size_t)(out - start);
}

static bool same_byte(uint8_t a, uint8_t b, bool fold)
{
	return a == b || (fold && ascii_lower((char)a) == ascii_lower((char)b));
}

bool json_text_is(struct span raw, struct span text, bool fold)
{
	uint8_t one[4];
	size_t used, len;

	for (; raw.len; raw = span_from(raw, used), text = span_from(text, len)) {
		used = json_unescape_one(raw, one, &len);
		if (len > text.len)
			return false;
		for (size_t i = 0; i < len; i++) {
			if (!same_byte(one[i], text.data[i], fold))
				return false;
		}
	}
	return text.len == 0;
}
