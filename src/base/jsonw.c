/* SPDX-License-Identifier: Apache-2.0
 *
 * For: writing JSON as Go's encoding/json writes it.
 * Relies on: span.h for the text, text.h for UTF-8.
 * Promises: valid JSON from any bytes; the first failure sticks and is reported once.
 */
#include <assert.h>
#include <stdio.h>
#include "base/jsonw.h"
#include "base/text.h"

#define ESCAPE_ROOM 8

void jsonw_init(struct jsonw *w, struct buf *out, dray_error **err)
{
	*w = (struct jsonw){ .out = out, .err = err, .first = { true } };
}

static void add(struct jsonw *w, struct span bytes)
{
	if (!w->failed && buf_add(w->out, bytes, w->err) < 0)
		w->failed = true;
}

/* What stands before a value: nothing after a key, else a comma unless it is the first. */
static void begin_value(struct jsonw *w)
{
	if (w->object[w->depth]) {
		assert(w->after_key);
		w->after_key = false;
		return;
	}
	/* A text is one value. */
	assert(w->depth > 0 || w->first[0]);
	if (!w->first[w->depth])
		add(w, SPAN_LIT(","));
	w->first[w->depth] = false;
}

static void open_level(struct jsonw *w, bool object)
{
	begin_value(w);
	assert(w->depth + 1 < JSONW_DEPTH);
	w->depth++;
	w->first[w->depth] = true;
	w->object[w->depth] = object;
	add(w, object ? SPAN_LIT("{") : SPAN_LIT("["));
}

static void close_level(struct jsonw *w, bool object)
{
	assert(w->depth > 0 && w->object[w->depth] == object && !w->after_key);
	w->object[w->depth] = false;
	w->depth--;
	add(w, object ? SPAN_LIT("}") : SPAN_LIT("]"));
}

void jsonw_object(struct jsonw *w)
{
	open_level(w, true);
}

void jsonw_array(struct jsonw *w)
{
	open_level(w, false);
}

void jsonw_end_object(struct jsonw *w)
{
	close_level(w, true);
}

void jsonw_end_array(struct jsonw *w)
{
	close_level(w, false);
}

static void add_quoted(struct jsonw *w, struct span s)
{
	if (!w->failed && json_quote(w->out, s, w->err) < 0)
		w->failed = true;
}

void jsonw_key(struct jsonw *w, const char *key)
{
	assert(w->object[w->depth] && !w->after_key);
	if (!w->first[w->depth])
		add(w, SPAN_LIT(","));
	w->first[w->depth] = false;
	add_quoted(w, span_str(key));
	add(w, SPAN_LIT(":"));
	w->after_key = true;
}

void jsonw_bytes(struct jsonw *w, struct span s)
{
	begin_value(w);
	add_quoted(w, s);
}

void jsonw_string(struct jsonw *w, const char *s)
{
	if (s)
		jsonw_bytes(w, span_str(s));
	else
		jsonw_null(w);
}

void jsonw_raw(struct jsonw *w, struct span json)
{
	begin_value(w);
	add(w, json);
}

void jsonw_int(struct jsonw *w, int64_t v)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%lld", (long long)v);

	jsonw_raw(w, span_of(text, (size_t)len));
}

void jsonw_bool(struct jsonw *w, bool v)
{
	jsonw_raw(w, v ? SPAN_LIT("true") : SPAN_LIT("false"));
}

void jsonw_null(struct jsonw *w)
{
	jsonw_raw(w, SPAN_LIT("null"));
}

void jsonw_kstring(struct jsonw *w, const char *key, const char *s)
{
	jsonw_key(w, key);
	jsonw_string(w, s);
}

void jsonw_kint(struct jsonw *w, const char *key, int64_t v)
{
	jsonw_key(w, key);
	jsonw_int(w, v);
}

void jsonw_kbool(struct jsonw *w, const char *key, bool v)
{
	jsonw_key(w, key);
	jsonw_bool(w, v);
}

int jsonw_finish(struct jsonw *w)
{
	assert(w->depth == 0 && !w->first[0]);
	return w->failed ? -1 : 0;
}

/* How Go writes the character at the start of @p s when not as it is; len 0 = as it is. */
static struct span go_escape(struct span s, size_t used, char room[ESCAPE_ROOM])
{
	uint8_t c = s.data[0];
	int len = 0;

	if (used == 0)
		return SPAN_LIT("\\ufffd");
	if (c == '"')
		return SPAN_LIT("\\\"");
	if (c == '\\')
		return SPAN_LIT("\\\\");
	if (c == '\n')
		return SPAN_LIT("\\n");
	if (c == '\r')
		return SPAN_LIT("\\r");
	if (c == '\t')
		return SPAN_LIT("\\t");
	if (c < 0x20 || c == '<' || c == '>' || c == '&')
		len = snprintf(room, ESCAPE_ROOM, "\\u%04x", c);
	else if (used == 3 && c == 0xe2 && s.data[1] == 0x80 && (s.data[2] & 0xfe) == 0xa8)
		len = snprintf(room, ESCAPE_ROOM, "\\u202%c", s.data[2] == 0xa8 ? '8' : '9');
	return span_of(room, (size_t)len);
}

int json_quote(struct buf *out, struct span s, dray_error **err)
{
	char room[ESCAPE_ROOM];
	size_t plain = 0; /* bytes before the next escape */

	if (buf_add_byte(out, '"', err) < 0)
		return -1;
	while (plain < s.len) {
		struct span rest = span_from(s, plain);
		size_t used = utf8_len(rest);
		struct span escape = go_escape(rest, used, room);
		if (escape.len == 0) {
			plain += used;
			continue;
		}
		if (buf_add(out, span_head(s, plain), err) < 0 || buf_add(out, escape, err) < 0)
			return -1;
		s = span_from(s, plain + (used ? used : 1));
		plain = 0;
	}
	if (buf_add(out, s, err) < 0)
		return -1;
	return buf_add_byte(out, '"', err);
}
