/* SPDX-License-Identifier: Apache-2.0
 *
 * For: showing text from outside without doing what it says.
 * Relies on: span.h.
 * Promises: the output is valid UTF-8 without controls, whatever came in.
 */
#include <stdio.h>
#include "base/mem.h"
#include "base/text.h"

#define ESCAPE_MAX 16 /* room for what one input character can become: "\u{10ffff}" */

static bool in_range(uint32_t c, uint32_t lo, uint32_t hi)
{
	return c >= lo && c <= hi;
}

/* The lowest code point that needs a sequence of this many bytes. */
static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };

/* Decode the sequence at the start of @p s; 0 = invalid. */
static size_t utf8_decode(struct span s, uint32_t *ret)
{
	if (s.len == 0)
		return 0;
	uint8_t c = s.data[0];
	if (c < 0x80) {
		*ret = c;
		return 1;
	}
	size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (c < 0xc2 || c > 0xf4 || s.len < len)
		return 0;

	uint32_t point = c & (0xffU >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((s.data[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (s.data[i] & 0x3fU);
	}
	if (point < lowest[len] || point > 0x10ffff || in_range(point, 0xd800, 0xdfff))
		return 0;
	*ret = point;
	return len;
}

size_t utf8_len(struct span s)
{
	uint32_t point;

	return utf8_decode(s, &point);
}

bool utf8_valid(struct span s)
{
	while (s.len) {
		size_t n = utf8_len(s);
		if (n == 0)
			return false;
		s = span_from(s, n);
	}
	return true;
}

/* Marks that reorder what follows: text can be made to read as something else. */
static bool is_bidi_control(uint32_t c)
{
	return in_range(c, 0x202a, 0x202e) || in_range(c, 0x2066, 0x2069) || c == 0x200e ||
	       c == 0x200f || c == 0x061c;
}

static bool is_harmless(uint32_t c)
{
	return c >= 0x20 && !in_range(c, 0x7f, 0x9f) && !is_bidi_control(c);
}

/* What the first character of @p s is shown as; *used = bytes of it. */
static struct span show_one(struct span s, char room[ESCAPE_MAX], size_t *used)
{
	uint32_t point;
	size_t n = utf8_decode(s, &point);
	int len;

	*used = n ? n : 1;
	if (n && is_harmless(point))
		return span_head(s, n);
	if (n > 1)
		len = snprintf(room, ESCAPE_MAX, "\\u{%x}", (unsigned)point);
	else
		len = snprintf(room, ESCAPE_MAX, "\\x%02x", s.data[0]);
	return span_of(room, (size_t)len);
}

int text_escape(struct buf *b, struct span s, dray_error **err)
{
	char room[ESCAPE_MAX];
	size_t used;

	for (; s.len; s = span_from(s, used)) {
		if (buf_add(b, show_one(s, room, &used), err) < 0)
			return -1;
	}
	return 0;
}

char *text_safe(struct span s, size_t max_len)
{
	static const char cut[] = "...";
	size_t limit = max_len > SIZE_MAX - sizeof(cut) ? SIZE_MAX - sizeof(cut) : max_len;
	cleanup_buf struct buf b = BUF_INIT(limit + sizeof(cut));
	char room[ESCAPE_MAX];
	size_t used;

	for (; s.len; s = span_from(s, used)) {
		struct span shown = show_one(s, room, &used);
		if (shown.len > limit - b.len) {
			if (buf_add_str(&b, cut, NULL) < 0)
				return NULL;
			break;
		}
		if (buf_add(&b, shown, NULL) < 0)
			return NULL;
	}
	return buf_steal_str(&b, NULL);
}

char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool ascii_ieq(struct span a, const char *lower)
{
	if (a.len != strlen(lower))
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (ascii_lower((char)a.data[i]) != lower[i])
			return false;
	}
	return true;
}
