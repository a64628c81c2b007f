/* SPDX-License-Identifier: Apache-2.0
 *
 * The strings of TOML: basic and literal, on one line and on several.
 * Relies on the text being valid UTF-8. Promises no NUL and no stray control in a result.
 */
#include "base/mem.h"
#include "base/text.h"
#include "proto/toml_priv.h"

struct quote {
	char sign;  /* '"' or '\'' */
	bool multi; /* three of them */
};

static bool closes(const struct toml_reader *r, const struct quote *q)
{
	size_t n = q->multi ? 3 : 1;

	if (r->text.len - r->at < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (r->text.data[r->at + i] != (uint8_t)q->sign)
			return false;
	}
	return true;
}

static int hex_digits(struct toml_reader *r, int n, uint32_t *ret, dray_error **err)
{
	uint32_t v = 0;

	for (int i = 0; i < n; i++) {
		int c = toml_here(r), digit;

		digit = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (digit < 0)
			return toml_wrong(r, err, "\\u wants 4 hex digits and \\U wants 8");
		v = v * 16 + (uint32_t)digit;
		r->at++;
	}
	*ret = v;
	return 0;
}

static int add_rune(struct toml_reader *r, struct buf *b, uint32_t c, dray_error **err)
{
	uint8_t out[4];
	size_t n = 0;

	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return toml_wrong(r, err, "an escape that is no character of a text");
	if (c < 0x80) {
		out[n++] = (uint8_t)c;
	} else if (c < 0x800) {
		out[n++] = (uint8_t)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		out[n++] = (uint8_t)(0xe0 | c >> 12);
		out[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	} else {
		out[n++] = (uint8_t)(0xf0 | c >> 18);
		out[n++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		out[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		out[n++] = (uint8_t)(0x80 | (c & 0x3f));
	return buf_add(b, span_of(out, n), err);
}

/* A backslash at the end of a line swallows all white space up to the next word. */
static bool swallow_lines(struct toml_reader *r)
{
	size_t at = r->at;

	while (at < r->text.len && (r->text.data[at] == ' ' || r->text.data[at] == '\t'))
		at++;
	if (at < r->text.len && r->text.data[at] == '\r')
		at++;
	if (at >= r->text.len || r->text.data[at] != '\n')
		return false;
	while (at < r->text.len && r->text.data[at] && strchr(" \t\r\n", r->text.data[at])) {
		r->line += r->text.data[at] == '\n';
		at++;
	}
	r->at = at;
	return true;
}

/* Behind the backslash. */
static int escape(struct toml_reader *r, const struct quote *q, struct buf *b, dray_error **err)
{
	static const char signs[] = "btnfr\"\\", means[] = "\b\t\n\f\r\"\\";
	int c = toml_here(r);
	const char *p = c > 0 ? strchr(signs, c) : NULL;
	uint32_t rune = 0;

	if (q->multi && swallow_lines(r))
		return 0;
	if (c != 'u' && c != 'U') {
		if (!p)
			return toml_wrong(r, err, "an escape that TOML does not have");
		r->at++;
		return buf_add_byte(b, (uint8_t)means[p - signs], err);
	}
	r->at++;
	if (hex_digits(r, c == 'u' ? 4 : 8, &rune, err) < 0)
		return -1;
	return add_rune(r, b, rune, err);
}

/* One byte of the string, or one escape. */
static int take(struct toml_reader *r, const struct quote *q, struct buf *b, dray_error **err)
{
	int c = toml_here(r);

	if (c < 0 || (c == '\n' && !q->multi))
		return toml_wrong(r, err, "a string without an end");
	r->at++;
	if (c == '\\' && q->sign == '"')
		return escape(r, q, b, err);
	if (c == '\r' && q->multi && toml_here(r) == '\n')
		return 0;
	if ((c < ' ' && c != '\t' && c != '\n') || c == 0x7f)
		return toml_wrong(r, err, "a control character in a string");
	r->line += c == '\n';
	return buf_add_byte(b, (uint8_t)c, err);
}

int toml_string(struct toml_reader *r, bool multi, const char **ret, dray_error **err)
{
	struct quote q = { .sign = (char)toml_here(r) };
	cleanup_buf struct buf b = BUF_INIT(r->text.len + 1);

	q.multi = toml_at(r, q.sign == '"' ? "\"\"\"" : "'''");
	if (q.multi && !multi)
		return toml_wrong(r, err, "a key of several lines");
	r->at += q.multi ? 3 : 1;
	/* A line break right behind the quotes does not count. */
	if (q.multi && (toml_at(r, "\n") || toml_at(r, "\r\n"))) {
		r->at += toml_here(r) == '\r' ? 2 : 1;
		r->line++;
	}
	while (!closes(r, &q)) {
		if (take(r, &q, &b, err) < 0)
			return -1;
	}
	/* Up to two quotes may stand before the three that close. */
	for (int i = 0; q.multi && i < 2 && r->at + 3 < r->text.len &&
			r->text.data[r->at + 3] == (uint8_t)q.sign;
	     i++) {
		r->at++;
		if (buf_add_byte(&b, (uint8_t)q.sign, err) < 0)
			return -1;
	}
	r->at += q.multi ? 3 : 1;
	*ret = arena_strndup(r->arena, b.data ? (const char *)b.data : "", b.len);
	return *ret ? 0 : err_nomem(err);
}
