/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a spec before it is JSON: comments, commas too many, names to be filled in.
 * Relies on nothing but the bytes.
 * Promises that what is left of the text stands where it stood.
 */
#include "build/spec_priv.h"

#include <stdarg.h>

#include "base/jsonw.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "build/spec_env.h"

void spec_text_count(struct span text, size_t from, size_t to, struct spec_at *at)
{
	for (size_t i = from; i < to && i < text.len; i++) {
		at->column = text.data[i] == '\n' ? 1 : at->column + 1;
		at->line += text.data[i] == '\n';
	}
}

int spec_text_fail(struct span text, size_t at, const char *where, dray_error **err,
		   const char *fmt, ...)
{
	struct spec_at found = { 1, 1 };
	va_list args;

	spec_text_count(text, 0, at, &found);
	va_start(args, fmt);
	cleanup_free char *what = mem_vprintf(fmt, args);
	va_end(args);
	cleanup_free char *shown = text_safe(span_str(where), 4096);
	if (!what || !shown)
		return err_nomem(err);
	return err_set(err, DRAY_ERR_USAGE, "%s:%u:%u: %s", shown, found.line, found.column, what);
}

/* Behind the string that begins at @p at; the end when it has none. */
static size_t skip_string(struct span text, size_t at)
{
	for (at++; at < text.len && text.data[at] != '"'; at++)
		at += text.data[at] == '\\';
	return at < text.len ? at + 1 : text.len;
}

static bool is_pair(struct span text, size_t at, char a, char b)
{
	return at + 1 < text.len && text.data[at] == a && text.data[at + 1] == b;
}

/* Behind the comment at @p at; 0 when it is none, SIZE_MAX when it does not end. */
static size_t skip_comment(struct span text, size_t at)
{
	if (is_pair(text, at, '/', '/')) {
		while (at < text.len && text.data[at] != '\n')
			at++;
		return at;
	}
	if (!is_pair(text, at, '/', '*'))
		return 0;
	for (at += 2; at < text.len; at++)
		if (is_pair(text, at, '*', '/'))
			return at + 2;
	return SIZE_MAX;
}

static void blank(struct buf *b, size_t from, size_t to)
{
	for (; from < to; from++)
		if (b->data[from] != '\n')
			b->data[from] = ' ';
}

int spec_text_strip(struct span text, const char *where, struct buf *ret, dray_error **err)
{
	size_t comma = SIZE_MAX, at = 0;
	bool empty = true; /* nothing yet in this list, or before the comma */

	if (buf_add(ret, text, err) < 0)
		return -1;
	while (at < text.len) {
		size_t end = skip_comment(text, at);
		uint8_t c = text.data[at];

		if (end == SIZE_MAX)
			return spec_text_fail(text, at, where, err, "a comment without an end");
		if (end > 0) {
			blank(ret, at, end);
			at = end;
			continue;
		}
		if ((c == ']' || c == '}') && comma != SIZE_MAX)
			blank(ret, comma, comma + 1);
		if (c == ',' && !empty)
			comma = at;
		else if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			comma = SIZE_MAX;
		if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			empty = c == '[' || c == '{' || c == ',';
		at = c == '"' ? skip_string(text, at) : at + 1;
	}
	return 0;
}

/* ---- names to be filled in ---- */

/* Whose name begins @p text, and a "}" follows. */
static const struct spec_define *find_define(const struct spec_define *list, size_t n,
					     struct span text)
{
	for (size_t i = n; i-- > 0;) { /* the last one counts */
		size_t len = strlen(list[i].name);

		if (span_starts(text, list[i].name) && len < text.len && text.data[len] == '}' &&
		    !strpbrk(list[i].name, "}\""))
			return &list[i];
	}
	return NULL;
}

/* What is wrong with "${" at @p at. */
static int not_defined(struct span text, size_t at, const char *where, dray_error **err)
{
	size_t end = at + 2;

	while (end < text.len && text.data[end] != '}' && text.data[end] != '"')
		end++;
	if (end == text.len || text.data[end] == '"')
		return spec_text_fail(text, at, where, err, "\"${\" without \"}\"");
	cleanup_free char *shown = text_safe(span_of(text.data + at + 2, end - at - 2), 80);
	spec_text_fail(text, at, where, err, "${%s} is not defined", shown ? shown : "");
	return err_hint(err, "--define NAME=VALUE; \"$${\" stands for \"${\" itself");
}

/* A '{' as itself, in what is looked at again: a '$' before it is of a value. */
static int keep_brace(struct span text, bool later, struct buf *ret, dray_error **err)
{
	bool is_name = later && text.len && text.data[0] == '{' && ret->len &&
		       ret->data[ret->len - 1] == '$';

	return is_name ? buf_add_byte(ret, '$', err) : 0;
}

/* The text of the value as it stands inside a string; @p later: of one that is looked at again. */
static int add_value(const struct spec_define *d, bool later, struct buf *ret, dray_error **err)
{
	cleanup_buf struct buf quoted = BUF_INIT(LIMIT_SPEC);
	struct span text;

	if (json_quote(&quoted, span_str(d->value), err) < 0)
		return -1;
	text = span_of(quoted.data + 1, quoted.len - 2);
	for (size_t i = 0; i < text.len; i++)
		if (keep_brace(span_from(text, i), later, ret, err) < 0 ||
		    buf_add_byte(ret, text.data[i], err) < 0)
			return -1;
	return 0;
}

/* "${NAME}" at @p at, whose end is *ret_end. @p later: other names are for later. */
static int fill_in(struct span text, size_t at, const char *where, bool later,
		   const struct spec_define *list, size_t n, struct buf *ret, size_t *ret_end,
		   dray_error **err)
{
	const struct spec_define *d = find_define(list, n, span_from(text, at + 2));

	if (!d && !later)
		return not_defined(text, at, where, err);
	if (!d && ret->len && ret->data[ret->len - 1] == '$')
		return spec_text_fail(text, at, where, err,
				      "\"${\" behind a value that ends with \"$\"");
	*ret_end = at + 2 + (d ? strlen(d->name) + 1 : 0);
	return d ? add_value(d, later, ret, err) : buf_add_str(ret, "${", err);
}

int spec_text_define(struct span text, const char *where, struct span env,
		     const struct spec_define *defines, size_t n, struct buf *ret, dray_error **err)
{
	size_t at = 0;

	while (at < text.len) {
		size_t end = at;
		bool later;

		while (end < text.len && text.data[end] != '$')
			end++;
		later = spec_env_holds(env, text.data + at);
		if (keep_brace(span_of(text.data + at, end - at), later, ret, err) < 0 ||
		    buf_add(ret, span_of(text.data + at, end - at), err) < 0)
			return -1;
		at = end;
		if (at >= text.len)
			break;
		later = spec_env_holds(env, text.data + at);
		if (is_pair(text, at, '$', '{')) {
			if (fill_in(text, at, where, later, defines, n, ret, &at, err) < 0)
				return -1;
			continue;
		}
		/* "$${" is "${" itself. */
		if (is_pair(text, at, '$', '$') && is_pair(text, at + 1, '$', '{')) {
			if (buf_add_str(ret, later ? "$${" : "${", err) < 0)
				return -1;
			at += 3;
			continue;
		}
		if (buf_add_byte(ret, '$', err) < 0)
			return -1;
		at++;
	}
	return 0;
}
