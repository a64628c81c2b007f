/* SPDX-License-Identifier: Apache-2.0
 *
 * WWW-Authenticate: find the first challenge that a registry client can answer.
 * Relies on nothing but the header value; several challenges may stand in one.
 * Promises parameters without control characters, each named once (N-12).
 */
#include "proto/challenge.h"

#include "base/text.h"

static bool token_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool token68_byte(uint8_t c)
{
	return token_byte(c) || c == '/';
}

static bool is_equals(uint8_t c)
{
	return c == '=';
}

static size_t run_of(struct span s, bool (*is)(uint8_t c))
{
	size_t n = 0;

	while (n < s.len && is(s.data[n]))
		n++;
	return n;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool is_blank_or_comma(uint8_t c)
{
	return is_blank(c) || c == ',';
}

/* Servers that forget the quotes around a URL are understood. */
static bool bare_byte(uint8_t c)
{
	return !is_blank(c) && c != ',' && c != '"';
}

static void skip(struct span *s, bool (*is)(uint8_t c))
{
	*s = span_from(*s, run_of(*s, is));
}

static int malformed(const char *why, dray_error **err)
{
	return err_set(err, DRAY_ERR_FORMAT, "WWW-Authenticate: %s", why);
}

/* Does "name =" stand here? Then it is a parameter, else the next scheme begins. */
static bool at_param(struct span s)
{
	size_t n = run_of(s, token_byte);

	if (n == 0)
		return false;
	s = span_from(s, n);
	skip(&s, is_blank);
	return s.len > 0 && s.data[0] == '=';
}

/* Offset of the closing quote of the string that begins at @p s, or -1. */
static int64_t closing_quote(struct span s)
{
	for (size_t i = 1; i < s.len; i++) {
		if (s.data[i] == '"')
			return (int64_t)i;
		if (s.data[i] == '\\')
			i++;
	}
	return -1;
}

/* Between the quotes, the backslashes taken out; *s moves behind the closing quote. */
static int quoted(struct span *s, struct arena *a, const char **ret, dray_error **err)
{
	int64_t end = closing_quote(*s);
	size_t n = 0;
	char *out;

	if (end < 0)
		return malformed("a quoted string does not end", err);
	out = arena_alloc(a, (size_t)end);
	if (!out)
		return err_nomem(err);
	for (size_t i = 1; i < (size_t)end; i++) {
		if (s->data[i] == '\\')
			i++;
		out[n++] = (char)s->data[i];
	}
	out[n] = '\0';
	*ret = out;
	*s = span_from(*s, (size_t)end + 1);
	return 0;
}

static int bare(struct span *s, struct arena *a, const char **ret, dray_error **err)
{
	size_t n = run_of(*s, bare_byte);

	*ret = arena_strndup(a, (const char *)s->data, n);
	if (!*ret)
		return err_nomem(err);
	*s = span_from(*s, n);
	return 0;
}

/* Where a parameter of interest goes; NULL for the others. */
static const char **slot(struct challenge *c, struct span name)
{
	if (ascii_ieq(name, "realm"))
		return &c->realm;
	if (ascii_ieq(name, "service"))
		return &c->service;
	if (ascii_ieq(name, "scope"))
		return &c->scope;
	return ascii_ieq(name, "error") ? &c->error : NULL;
}

static int take_param(struct span *s, struct arena *a, struct challenge *c, dray_error **err)
{
	struct span name = span_head(*s, run_of(*s, token_byte));
	const char **to = slot(c, name), *value;

	*s = span_from(*s, name.len);
	skip(s, is_blank);
	*s = span_from(*s, 1); /* '=': at_param() saw it */
	skip(s, is_blank);
	if ((s->len > 0 && s->data[0] == '"' ? quoted(s, a, &value, err)
					     : bare(s, a, &value, err)) < 0)
		return -1;
	if (to && *to)
		return malformed("a parameter is there twice", err);
	if (to)
		*to = value;
	return 0;
}

static int take_params(struct span *s, struct arena *a, struct challenge *c, dray_error **err)
{
	skip(s, is_blank_or_comma);
	while (at_param(*s)) {
		if (take_param(s, a, c, err) < 0)
			return -1;
		if (s->len > 0 && !is_blank_or_comma(s->data[0]))
			return malformed("no comma after a parameter", err);
		skip(s, is_blank_or_comma);
	}
	return 0;
}

/* "Negotiate YII=": a token that is no parameter, up to the comma. */
static bool skip_token68(struct span *s)
{
	struct span rest = *s;
	size_t n;

	if (rest.len == 0 || !is_blank(rest.data[0]))
		return false;
	skip(&rest, is_blank);
	n = run_of(rest, token68_byte);
	rest = span_from(rest, n);
	skip(&rest, is_equals);
	skip(&rest, is_blank);
	if (n == 0 || (rest.len > 0 && rest.data[0] != ','))
		return false;
	*s = rest;
	return true;
}

/* One challenge, whatever its scheme; *ret_known = one that we can answer. */
static int take_challenge(struct span *s, struct arena *a, struct challenge *c, bool *ret_known,
			  dray_error **err)
{
	struct span scheme = span_head(*s, run_of(*s, token_byte));
	bool bearer = ascii_ieq(scheme, "bearer"), basic = ascii_ieq(scheme, "basic");

	if (scheme.len == 0)
		return malformed("no scheme where one should begin", err);
	*c = (struct challenge){ .scheme = bearer ? CHALLENGE_BEARER : CHALLENGE_BASIC };
	*ret_known = bearer || basic;
	*s = span_from(*s, scheme.len);
	if (s->len > 0 && !is_blank_or_comma(s->data[0]))
		return malformed("a scheme ends oddly", err);
	if (!*ret_known && skip_token68(s))
		return 0;
	return take_params(s, a, c, err);
}

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.data[i] < 0x20 && s.data[i] != '\t') || s.data[i] == 0x7f)
			return true;
	return false;
}

/* A tab may stand between parameters, never inside one. */
static bool clean(const char *text)
{
	return !text || !strchr(text, '\t');
}

int challenge_parse(struct span header, struct arena *a, struct challenge *ret, dray_error **err)
{
	struct challenge c;
	bool known = false;

	if (has_control(header))
		return malformed("it holds a control character", err);
	skip(&header, is_blank_or_comma);
	while (header.len > 0) {
		if (take_challenge(&header, a, &c, &known, err) < 0)
			return -1;
		if (known)
			break;
		skip(&header, is_blank_or_comma);
	}
	if (!known)
		return 0;
	if (!clean(c.realm) || !clean(c.service) || !clean(c.scope) || !clean(c.error))
		return malformed("a parameter holds a control character", err);
	if (c.scheme == CHALLENGE_BEARER && (!c.realm || !*c.realm))
		return malformed("a Bearer challenge without a realm", err);
	*ret = c;
	return 1;
}
