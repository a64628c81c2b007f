/* SPDX-License-Identifier: Apache-2.0
 *
 * What registries answer: error documents, ranges, links to the next page, delays.
 * Relies on json/ for documents and on base/number.h for strict numbers.
 * Promises texts that are safe to show, and "nothing" for whatever is not what it claims.
 */
#include "proto/answer.h"

#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "json/json.h"

#define TEXT_MAX 1024 /* bytes of an error body that are shown (O-03) */
#define CODE_MAX 64
#define ERRORS_SHOWN 5

/* A string member that may be missing or of another type; only lack of memory fails. */
static int soft_string(struct json v, struct arena *a, const char **ret, dray_error **err)
{
	cleanup_error dray_error *why = NULL;

	*ret = NULL;
	if (json_type(v) != JSON_STRING || json_string(v, "error", a, ret, &why) == 0)
		return 0;
	*ret = NULL;
	return why && dray_error_kind(why) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
}

/* Codes are words; anything else is not repeated as one. */
static const char *sane_code(const char *code)
{
	size_t n = code ? strlen(code) : 0;

	if (n == 0 || n > CODE_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		char c = ascii_lower(code[i]);

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-')
			return NULL;
	}
	return code;
}

static int add_text(struct buf *b, const char *before, const char *text, dray_error **err)
{
	if (!text || !*text)
		return 0;
	if (b->len > 0 && buf_add_str(b, before, err) < 0)
		return -1;
	return buf_add_str(b, text, err);
}

/* "CODE: message: detail" of one element. */
static int add_error(struct buf *b, struct json e, struct arena *a, const char **ret_code,
		     dray_error **err)
{
	const char *code, *message, *detail;
	const char *join = b->len > 0 ? "; " : "";

	if (soft_string(json_get(e, "code"), a, &code, err) < 0 ||
	    soft_string(json_get(e, "message"), a, &message, err) < 0 ||
	    soft_string(json_get(e, "detail"), a, &detail, err) < 0)
		return -1;
	if (!*ret_code)
		*ret_code = sane_code(code);
	if (add_text(b, join, code, err) < 0 ||
	    add_text(b, code && *code ? ": " : join, message, err) < 0)
		return -1;
	return add_text(b, ": ", detail, err);
}

/* Token servers have shapes of their own: {"details":...}, {"message":...}, OAuth's pair. */
static int add_other(struct buf *b, struct json root, struct arena *a, dray_error **err)
{
	static const char *const names[] = { "error", "error_description", "details", "message" };
	const char *text;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (soft_string(json_get(root, names[i]), a, &text, err) < 0 ||
		    add_text(b, ": ", text, err) < 0)
			return -1;
	return 0;
}

static int collect(struct json root, struct arena *a, struct buf *b, const char **ret_code,
		   dray_error **err)
{
	struct json errors = json_get(root, "errors");
	int n = 0;

	if (json_type(errors) != JSON_ARRAY)
		return add_other(b, root, a, err);
	for (struct json e = json_first(errors); json_node(e) && n < ERRORS_SHOWN; n++) {
		if (add_error(b, e, a, ret_code, err) < 0)
			return -1;
		e = json_next(e);
	}
	return 0;
}

int answer_error(struct span body, struct arena *a, const char **ret_code, const char **ret_text,
		 dray_error **err)
{
	/* The parts come from a body that is bounded already; joining adds little. */
	cleanup_buf struct buf b = BUF_INIT(2 * body.len + 64);
	cleanup_error dray_error *why = NULL;
	cleanup_json struct json_doc *doc = NULL;
	cleanup_free char *shown = NULL;

	*ret_code = *ret_text = NULL;
	if (json_parse(body, &doc, &why) < 0)
		return why && dray_error_kind(why) == DRAY_ERR_NOMEM ? err_nomem(err) : 0;
	if (collect(json_root(doc), a, &b, ret_code, err) < 0)
		return -1;
	if (b.len == 0)
		return 0;
	shown = text_safe(span_buf(&b), TEXT_MAX);
	if (!shown)
		return err_nomem(err);
	*ret_text = arena_strdup(a, shown);
	return *ret_text ? 0 : err_nomem(err);
}

static struct span trim(struct span s)
{
	while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
		s = span_from(s, 1);
	while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* "0-1023" */
static bool first_and_last(struct span s, int64_t *ret_first, int64_t *ret_last)
{
	int64_t dash = span_find(s, '-'), first, last;

	if (dash < 0 || !num_parse_u63(span_head(s, (size_t)dash), &first) ||
	    !num_parse_u63(span_from(s, (size_t)dash + 1), &last) || last < first)
		return false;
	*ret_first = first;
	*ret_last = last;
	return true;
}

bool answer_range(struct span value, int64_t *ret_first, int64_t *ret_last)
{
	value = trim(value);
	if (span_starts(value, "bytes="))
		value = span_from(value, 6);
	return first_and_last(value, ret_first, ret_last);
}

bool answer_content_range(struct span value, int64_t *ret_first, int64_t *ret_last,
			  int64_t *ret_total)
{
	int64_t slash, first, last, total = -1;

	value = trim(value);
	if (value.len < 6 || !ascii_ieq(span_head(value, 6), "bytes "))
		return false;
	value = trim(span_from(value, 6));
	slash = span_find(value, '/');
	if (slash < 0 || !first_and_last(span_head(value, (size_t)slash), &first, &last))
		return false;
	value = span_from(value, (size_t)slash + 1);
	if (!span_is(value, "*") && (!num_parse_u63(value, &total) || last >= total))
		return false;
	*ret_first = first;
	*ret_last = last;
	*ret_total = total;
	return true;
}

/* Length of the parameter at the start of @p s, a quoted part counted whole. */
static size_t param_len(struct span s, const char *stop)
{
	bool inside = false;

	for (size_t i = 0; i < s.len; i++) {
		if (inside && s.data[i] == '\\')
			i++;
		else if (s.data[i] == '"')
			inside = !inside;
		else if (!inside && s.data[i] && strchr(stop, s.data[i]))
			return i;
	}
	return s.len;
}

/* One of the words of rel="prev next" is "next". */
static bool has_next(struct span words)
{
	while (words.len > 0) {
		int64_t blank = span_find(words, ' ');
		struct span word = blank < 0 ? words : span_head(words, (size_t)blank);

		if (ascii_ieq(word, "next"))
			return true;
		words = span_from(words, blank < 0 ? words.len : (size_t)blank + 1);
	}
	return false;
}

/* "rel=next" or "rel=\"next\"", without the ';' before it. */
static bool is_rel_next(struct span param)
{
	int64_t eq = span_find(param, '=');
	struct span value;

	if (eq < 0 || !ascii_ieq(trim(span_head(param, (size_t)eq)), "rel"))
		return false;
	value = trim(span_from(param, (size_t)eq + 1));
	if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
		value = span_of(value.data + 1, value.len - 2);
	return has_next(value);
}

/* The parameters behind <target>, up to the comma before the next link. */
static bool params_say_next(struct span params)
{
	while (params.len > 0 && params.data[0] == ';') {
		size_t n;

		params = span_from(params, 1);
		n = param_len(params, ";");
		if (is_rel_next(span_head(params, n)))
			return true;
		params = span_from(params, n);
	}
	return false;
}

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] < 0x20 || s.data[i] == 0x7f)
			return true;
	return false;
}

const char *answer_link_next(struct span value, struct arena *a)
{
	for (;;) {
		struct span target;
		int64_t end;
		size_t n;

		value = trim(value);
		if (value.len == 0 || value.data[0] != '<')
			return NULL;
		end = span_find(value, '>');
		if (end < 0)
			return NULL;
		target = span_of(value.data + 1, (size_t)end - 1);
		value = trim(span_from(value, (size_t)end + 1));
		n = param_len(value, ",");
		if (params_say_next(span_head(value, n)) && !has_control(target))
			return arena_strndup(a, (const char *)target.data, target.len);
		if (n == value.len)
			return NULL;
		value = span_from(value, n + 1);
	}
}

static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";

static bool take_month(struct span s, int64_t *ret)
{
	for (size_t i = 0; i < 12; i++) {
		char name[4] = { months[3 * i], months[3 * i + 1], months[3 * i + 2], '\0' };

		if (!ascii_ieq(s, name))
			continue;
		*ret = (int64_t)i + 1;
		return true;
	}
	return false;
}

static bool take_number(struct span s, size_t off, size_t len, int64_t *ret)
{
	return num_parse_u63(span_of(s.data + off, len), ret);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", rewritten so that one reader of times is enough. */
static bool parse_http_date(struct span s, int64_t *ret)
{
	int64_t day, month, year, hour, min, sec;
	int32_t nsec, off;
	char text[64];
	int len;

	if (s.len != 29 || !span_ends(s, " GMT") || s.data[3] != ',' || s.data[19] != ':' ||
	    s.data[22] != ':' || !take_number(s, 5, 2, &day) ||
	    !take_month(span_of(s.data + 8, 3), &month) || !take_number(s, 12, 4, &year) ||
	    !take_number(s, 17, 2, &hour) || !take_number(s, 20, 2, &min) ||
	    !take_number(s, 23, 2, &sec))
		return false;
	len = snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)year, (int)month,
		       (int)day, (int)hour, (int)min, (int)sec);
	return time_parse_rfc3339(span_of(text, (size_t)len), ret, &nsec, &off);
}

int64_t answer_retry_after_ms(struct span value, int64_t now_sec)
{
	int64_t seconds, at, ms;

	value = trim(value);
	if (!num_parse_u63(value, &seconds)) {
		if (!parse_http_date(value, &at) || __builtin_sub_overflow(at, now_sec, &seconds))
			return -1;
		if (seconds < 0)
			seconds = 0;
	}
	return __builtin_mul_overflow(seconds, 1000, &ms) ? INT64_MAX : ms;
}
