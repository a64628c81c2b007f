/* SPDX-License-Identifier: Apache-2.0
 *
 * For: values as C knows them, with errors that name the field.
 * Relies on: the scanner having checked every string and number.
 * Promises: *ret is set on success only.
 */
#include "base/number.h"
#include "json/json_priv.h"

static int wrong_type(struct json v, const char *wanted, const char *what, dray_error **err)
{
	if (json_type(v) == JSON_MISSING)
		return err_set(err, DRAY_ERR_FORMAT, "%s: missing, expected %s", what, wanted);
	return err_set(err, DRAY_ERR_FORMAT, "%s: %s, expected %s", what,
		       json_type_name(json_type(v)), wanted);
}

int json_want(struct json v, enum json_type t, bool optional, const char *what, dray_error **err)
{
	if (json_type(v) != t && !(optional && !json_present(v)))
		return wrong_type(v, json_type_name(t), what, err);
	if (v.node && v.doc->nodes[v.node].case_twins &&
	    json_refuse_case_twins(v.doc, v.node, err) < 0)
		return err_ctx(err, "%s", what);
	return 0;
}

int json_want_map(struct json v, bool optional, const char *what, dray_error **err)
{
	if (json_type(v) == JSON_OBJECT || (optional && !json_present(v)))
		return 0;
	return wrong_type(v, json_type_name(JSON_OBJECT), what, err);
}

/* Decode what stands between quotes; NULL = no memory. One more byte, a NUL, follows. */
static uint8_t *decode(struct span raw, struct arena *a, size_t *ret_len)
{
	size_t size;
	uint8_t *text = __builtin_add_overflow(raw.len, (size_t)1, &size) ? NULL
									  : arena_alloc(a, size);

	if (text)
		*ret_len = json_unescape(raw, text);
	return text;
}

int json_name(struct json v, struct arena *a, const char **ret, dray_error **err)
{
	size_t len;
	uint8_t *text = decode(json_name_raw(v), a, &len);

	if (!text)
		return err_nomem(err);
	*ret = (const char *)text;
	return 0;
}

int json_string_bytes(struct json v, const char *what, struct arena *a, struct span *ret,
		      dray_error **err)
{
	struct span raw = json_raw(v);
	size_t len;

	if (!json_present(v)) {
		*ret = span_of(NULL, 0);
		return 0;
	}
	if (json_want(v, JSON_STRING, false, what, err) < 0)
		return -1;
	uint8_t *text = decode(span_of(raw.data + 1, raw.len - 2), a, &len);
	if (!text)
		return err_nomem(err);
	*ret = span_of(text, len);
	return 0;
}

int json_string(struct json v, const char *what, struct arena *a, const char **ret,
		dray_error **err)
{
	struct span text;

	if (json_string_bytes(v, what, a, &text, err) < 0)
		return -1;
	if (span_find(text, 0) >= 0)
		return err_set(err, DRAY_ERR_FORMAT, "%s: NUL in a string", what);
	*ret = (const char *)text.data;
	return 0;
}

/* True when the number is written without fraction and exponent. */
static bool is_whole(struct span raw)
{
	return span_find(raw, '.') < 0 && span_find(raw, 'e') < 0 && span_find(raw, 'E') < 0;
}

int json_int(struct json v, const char *what, int64_t *ret, dray_error **err)
{
	struct span raw = json_raw(v);

	if (json_type(v) != JSON_NUMBER)
		return wrong_type(v, "integer", what, err);
	if (!is_whole(raw))
		return err_set(err, DRAY_ERR_FORMAT, "%s: not a whole number", what);
	if (!num_parse_i64(raw, ret))
		return err_set(err, DRAY_ERR_FORMAT, "%s: number out of range (64 bits)", what);
	return 0;
}

int json_bool(struct json v, const char *what, bool fallback, bool *ret, dray_error **err)
{
	enum json_type t = json_type(v);

	if (t != JSON_TRUE && t != JSON_FALSE && json_present(v))
		return wrong_type(v, "true or false", what, err);
	*ret = json_present(v) ? t == JSON_TRUE : fallback;
	return 0;
}

/* What Go's RawMessage writes for the byte or character at the start of @p s; len 0 = as it is. */
static struct span go_escape(struct span s, size_t *used)
{
	*used = 1;
	switch (s.data[0]) {
	case '<':
		return SPAN_LIT("\\u003c");
	case '>':
		return SPAN_LIT("\\u003e");
	case '&':
		return SPAN_LIT("\\u0026");
	case 0xe2:
		if (!span_starts(s, "\xe2\x80\xa8") && !span_starts(s, "\xe2\x80\xa9"))
			return span_of(NULL, 0);
		*used = 3;
		return s.data[2] == 0xa8 ? SPAN_LIT("\\u2028") : SPAN_LIT("\\u2029");
	default:
		return span_of(NULL, 0);
	}
}

/* A string with its quotes; escapes stay as they were written. */
static int compact_string(struct span s, struct buf *ret, dray_error **err)
{
	size_t plain = 0, used;

	while (plain < s.len) {
		struct span escape = go_escape(span_from(s, plain), &used);
		if (escape.len == 0) {
			plain++;
			continue;
		}
		if (buf_add(ret, span_head(s, plain), err) < 0 || buf_add(ret, escape, err) < 0)
			return -1;
		s = span_from(s, plain + used);
		plain = 0;
	}
	return buf_add(ret, s, err);
}

/* Length of the string at the start of @p s, quotes included. */
static size_t string_len(struct span s)
{
	size_t len = 1;

	while (s.data[len] != '"')
		len += s.data[len] == '\\' ? 2 : 1;
	return len + 1;
}

/* Length of the token at the start of @p s, up to white space or a string. */
static size_t token_len(struct span s)
{
	size_t len = 0;

	while (len < s.len && s.data[len] > ' ' && s.data[len] != '"')
		len++;
	return len;
}

int json_compact(struct json v, struct buf *ret, dray_error **err)
{
	size_t len;

	for (struct span s = json_raw(v); s.len; s = span_from(s, len)) {
		int rc = 0;

		if (s.data[0] == '"') {
			len = string_len(s);
			rc = compact_string(span_head(s, len), ret, err);
		} else if (s.data[0] > ' ') {
			len = token_len(s);
			rc = buf_add(ret, span_head(s, len), err);
		} else {
			len = 1;
		}
		if (rc < 0)
			return -1;
	}
	return 0;
}
