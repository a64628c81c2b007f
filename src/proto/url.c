/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsing and resolving the http(s) URLs that registries hand out.
 * Relies on address.c for hosts that are numbers.
 * Promises that a parsed URL holds no byte that could break a header line (N-12).
 */
#include "proto/url.h"

#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "proto/address_priv.h"

#define HOST_MAX 255 /* bytes (DNS) */
#define SHOWN 80     /* bytes of a wrong URL that an error repeats; a query may hold secrets */

static bool is_alpha(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Without query and user: signatures, tokens and passwords live there (N-14). */
static int refuse(const char *text, const char *why, dray_error **err)
{
	struct span s = span_of(text, strcspn(text, "?#"));
	cleanup_free char *shown = NULL;

	for (int64_t at = span_find(s, '@'); at >= 0; at = span_find(s, '@'))
		s = span_from(s, (size_t)at + 1);
	shown = text_safe(s, SHOWN);
	if (!shown)
		return err_nomem(err);
	return err_set(err, DRAY_ERR_FORMAT, "URL \"%s\": %s", shown, why);
}

static const char *byte_problem(const char *text)
{
	size_t n = strlen(text);

	if (n > URL_MAX)
		return "it is longer than 16,384 bytes";
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)text[i];

		if (c < 0x20 || c == 0x7f)
			return "it holds a control character";
		if (c == ' ' || c == '\\')
			return "it holds a space or a backslash";
	}
	return NULL;
}

/* The pieces of a URL between their separators; lent. */
struct pieces {
	struct span scheme, authority, rest;
	bool has_scheme, has_authority;
};

static void cut(const char *text, struct pieces *p)
{
	struct span s = span_of(text, strcspn(text, "#"));
	size_t n = 0;

	*p = (struct pieces){ 0 };
	while (n < s.len && (is_alpha(s.data[n]) || is_digit(s.data[n]) || s.data[n] == '+' ||
			     s.data[n] == '-' || s.data[n] == '.'))
		n++;
	if (n > 0 && n < s.len && s.data[n] == ':' && is_alpha(s.data[0])) {
		p->has_scheme = true;
		p->scheme = span_head(s, n);
		s = span_from(s, n + 1);
	}
	if (span_starts(s, "//")) {
		s = span_from(s, 2);
		n = 0;
		while (n < s.len && s.data[n] != '/' && s.data[n] != '?')
			n++;
		p->has_authority = true;
		p->authority = span_head(s, n);
		s = span_from(s, n);
	}
	p->rest = s;
}

static const char *scheme_of(struct span s)
{
	if (ascii_ieq(s, "http"))
		return "http";
	return ascii_ieq(s, "https") ? "https" : NULL;
}

static bool name_valid(struct span host)
{
	if (host.len == 0 || host.len > HOST_MAX || host.data[0] == '.')
		return false;
	for (size_t i = 0; i < host.len; i++) {
		uint8_t c = host.data[i];

		if (!is_alpha(c) && !is_digit(c) && c != '.' && c != '-' && c != '_')
			return false;
		if (c == '.' && i > 0 && host.data[i - 1] == '.')
			return false;
	}
	return true;
}

static bool host_valid(struct span host)
{
	struct address unused;

	if (host.len > 0 && host.data[0] == '[')
		return address_parse(host, &unused);
	return name_valid(host) && (!host_ends_in_number(host) || address_parse(host, &unused));
}

/* "host:port" into its halves; the brackets of IPv6 stay. */
static void cut_port(struct span *host, struct span *port)
{
	int64_t colon, bracket = span_find(*host, ']');
	size_t from = bracket < 0 ? 0 : (size_t)bracket;

	*port = (struct span){ 0 };
	colon = span_find(span_from(*host, from), ':');
	if (colon < 0)
		return;
	*port = span_from(*host, from + (size_t)colon + 1);
	*host = span_head(*host, from + (size_t)colon);
}

static bool take_port(struct span port, const char *scheme, int *ret)
{
	int64_t n;

	*ret = strcmp(scheme, "https") == 0 ? 443 : 80;
	if (port.len == 0)
		return true;
	if (port.len > 5 || !num_parse_u63(port, &n) || n < 1 || n > 65535)
		return false;
	*ret = (int)n;
	return true;
}

static char *lower_dup(struct arena *a, struct span s)
{
	char *text = arena_strndup(a, (const char *)s.data, s.len);

	for (char *p = text; p && *p; p++)
		*p = ascii_lower(*p);
	return text;
}

/* The last '@' would end the user; a second one is a trick. */
static const char *cut_userinfo(struct span *authority, bool *ret)
{
	int64_t at = span_find(*authority, '@');

	*ret = at >= 0;
	if (at < 0)
		return NULL;
	*authority = span_from(*authority, (size_t)at + 1);
	return span_find(*authority, '@') >= 0 ? "it holds two '@'" : NULL;
}

static int take_authority(const char *text, struct span authority, struct arena *a, struct url *u,
			  dray_error **err)
{
	struct span port;
	const char *why = cut_userinfo(&authority, &u->has_userinfo);

	if (why)
		return refuse(text, why, err);
	cut_port(&authority, &port);
	if (!host_valid(authority))
		return refuse(text, "its host is neither a name nor an address", err);
	if (!take_port(port, u->scheme, &u->port))
		return refuse(text, "its port is no number from 1 to 65535", err);
	u->host = lower_dup(a, authority);
	return u->host ? 0 : err_nomem(err);
}

/* Path and query as they stand; an empty path is "/". */
static const char *take_rest(struct span rest, struct arena *a)
{
	bool slash = rest.len > 0 && rest.data[0] == '/';

	return arena_printf(a, "%s%.*s", slash ? "" : "/", (int)rest.len,
			    rest.len ? (const char *)rest.data : "");
}

int url_parse(const char *text, struct arena *a, struct url *ret, dray_error **err)
{
	const char *why = byte_problem(text);
	struct pieces p;
	struct url u = { 0 };

	if (why)
		return refuse(text, why, err);
	cut(text, &p);
	u.scheme = p.has_scheme ? scheme_of(p.scheme) : NULL;
	if (!u.scheme || !p.has_authority)
		return refuse(text, "it does not begin with http:// or https://", err);
	if (take_authority(text, p.authority, a, &u, err) < 0)
		return -1;
	u.rest = take_rest(p.rest, a);
	if (!u.rest)
		return err_nomem(err);
	*ret = u;
	return 0;
}

/* Drop the last segment of out[0..n), the slash before it included. */
static size_t drop_segment(const char *out, size_t n)
{
	while (n > 0 && out[n - 1] != '/')
		n--;
	return n > 0 ? n - 1 : 0;
}

/* RFC 3986 5.2.4 in place, on a path that starts with '/'. */
static void remove_dots(char *path)
{
	size_t n = 0, i = 0;

	while (path[i]) {
		size_t len = 1 + strcspn(path + i + 1, "/");
		bool last = path[i + len] == '\0';
		bool dot = len == 2 && path[i + 1] == '.';
		bool dots = len == 3 && path[i + 1] == '.' && path[i + 2] == '.';

		if (dots)
			n = drop_segment(path, n);
		if (dot || dots) {
			if (last)
				path[n++] = '/';
		} else {
			memmove(path + n, path + i, len);
			n += len;
		}
		i += len;
	}
	path[n] = '\0';
}

static char *resolve_path(const struct url *base, struct span path, struct arena *a)
{
	size_t dir = strcspn(base->rest, "?");
	char *joined;

	if (path.len > 0 && path.data[0] == '/') {
		joined = arena_strndup(a, (const char *)path.data, path.len);
	} else {
		while (dir > 0 && base->rest[dir - 1] != '/')
			dir--;
		joined = arena_printf(a, "%.*s%.*s", (int)dir, base->rest, (int)path.len,
				      (const char *)path.data);
	}
	if (joined)
		remove_dots(joined);
	return joined;
}

/* The new path and query of a reference without authority: RFC 3986 5.2.2. */
static const char *resolve_rest(const struct url *base, struct span ref, struct arena *a)
{
	int64_t mark = span_find(ref, '?');
	struct span path = mark < 0 ? ref : span_head(ref, (size_t)mark);
	struct span query = mark < 0 ? (struct span){ 0 } : span_from(ref, (size_t)mark);
	const char *resolved;

	if (ref.len == 0)
		return base->rest;
	if (path.len == 0)
		resolved = arena_strndup(a, base->rest, strcspn(base->rest, "?"));
	else
		resolved = resolve_path(base, path, a);
	if (!resolved)
		return NULL;
	return arena_printf(a, "%s%.*s", resolved, (int)query.len,
			    query.len ? (const char *)query.data : "");
}

int url_resolve(const struct url *base, const char *ref, struct arena *a, struct url *ret,
		dray_error **err)
{
	const char *why = byte_problem(ref);
	struct url u = *base;
	struct pieces p;
	char *absolute;

	if (why)
		return refuse(ref, why, err);
	cut(ref, &p);
	if (p.has_scheme)
		return url_parse(ref, a, ret, err);
	if (p.has_authority) {
		absolute = arena_printf(a, "%s:%s", base->scheme, ref);
		return absolute ? url_parse(absolute, a, ret, err) : err_nomem(err);
	}
	u.rest = resolve_rest(base, p.rest, a);
	if (!u.rest)
		return err_nomem(err);
	*ret = u;
	return 0;
}

char *url_text(const struct url *u, struct arena *a)
{
	bool usual = u->port == (strcmp(u->scheme, "https") == 0 ? 443 : 80);

	if (usual)
		return arena_printf(a, "%s://%s%s", u->scheme, u->host, u->rest);
	return arena_printf(a, "%s://%s:%d%s", u->scheme, u->host, u->port, u->rest);
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return strcmp(a->scheme, b->scheme) == 0 && strcmp(a->host, b->host) == 0 &&
	       a->port == b->port;
}

/* RFC 6761: the name and everything below it is this machine. */
static bool is_localhost(const char *host)
{
	struct span s = span_str(host);

	while (s.len > 0 && s.data[s.len - 1] == '.')
		s.len--;
	return span_is(s, "localhost") || span_ends(s, ".localhost") ||
	       span_is(s, "localhost.localdomain");
}

bool url_host_is_address(const struct url *u)
{
	struct address unused;

	return address_parse(span_str(u->host), &unused);
}

bool url_host_is_private(const struct url *u)
{
	struct address a;

	if (is_localhost(u->host))
		return true;
	return address_parse(span_str(u->host), &a) && address_is_private(&a);
}

bool url_host_is_loopback(const struct url *u)
{
	struct address a;

	if (is_localhost(u->host))
		return true;
	return address_parse(span_str(u->host), &a) && address_is_loopback(&a);
}

int url_query_escape(struct buf *b, const char *value, dray_error **err)
{
	for (const char *p = value; *p; p++) {
		uint8_t c = (uint8_t)*p;
		bool plain = is_alpha(c) || is_digit(c) || strchr("-._~", c);

		if ((plain ? buf_add_byte(b, c, err) : buf_printf(b, err, "%%%02X", c)) < 0)
			return -1;
	}
	return 0;
}
