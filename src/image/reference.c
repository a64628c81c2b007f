/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of images: the distribution grammar and Docker's normalisation of what users type.
 * Relies on digest/ for the part behind '@'.
 * Promises that every field of a parsed reference is within the grammar: safe in a URL or a path.
 */
#include "image/reference.h"

#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"

#define DEFAULT_DOMAIN "docker.io"
#define LEGACY_DOMAIN "index.docker.io"
#define OFFICIAL "library"
#define SHOWN 100 /* bytes of a wrong name that an error repeats */

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower(uint8_t c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(uint8_t c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_alnum(uint8_t c)
{
	return is_digit(c) || is_lower(c) || is_upper(c);
}

static bool has_upper(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (is_upper(s.data[i]))
			return true;
	return false;
}

bool reference_tag_valid(struct span tag)
{
	if (tag.len == 0 || tag.len > REFERENCE_TAG_MAX)
		return false;
	for (size_t i = 0; i < tag.len; i++) {
		uint8_t c = tag.data[i];

		if (!is_alnum(c) && c != '_' && (i == 0 || (c != '.' && c != '-')))
			return false;
	}
	return true;
}

/* Length of the separator at the start of @p s: ".", "_", "__" or dashes; 0 = none. */
static size_t separator(struct span s)
{
	size_t n = 0;

	if (s.len == 0)
		return 0;
	if (s.data[0] == '.')
		return 1;
	if (s.data[0] == '_')
		return s.len > 1 && s.data[1] == '_' ? 2 : 1;
	while (n < s.len && s.data[n] == '-')
		n++;
	return n;
}

/* [a-z0-9]+ with separators between. */
static bool component_valid(struct span s)
{
	for (;;) {
		size_t n = 0;

		while (n < s.len && (is_lower(s.data[n]) || is_digit(s.data[n])))
			n++;
		if (n == 0)
			return false;
		s = span_from(s, n);
		if (s.len == 0)
			return true;
		n = separator(s);
		if (n == 0)
			return false;
		s = span_from(s, n);
	}
}

bool reference_path_valid(struct span path)
{
	if (path.len == 0 || path.len > REFERENCE_NAME_MAX)
		return false;
	for (;;) {
		int64_t slash = span_find(path, '/');

		if (slash < 0)
			return component_valid(path);
		if (!component_valid(span_head(path, (size_t)slash)))
			return false;
		path = span_from(path, (size_t)slash + 1);
	}
}

static bool port_valid(struct span port)
{
	int64_t n;

	return port.len <= 5 && num_parse_u63(port, &n) && n >= 1 && n <= 65535;
}

static bool label_valid(struct span s)
{
	if (s.len == 0 || s.len > 63 || s.data[0] == '-' || s.data[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.data[i]) && s.data[i] != '-')
			return false;
	return true;
}

static bool labels_valid(struct span s)
{
	for (;;) {
		int64_t dot = span_find(s, '.');

		if (dot < 0)
			return label_valid(s);
		if (!label_valid(span_head(s, (size_t)dot)))
			return false;
		s = span_from(s, (size_t)dot + 1);
	}
}

/* What stands between the brackets; whether it is an address is the resolver's matter. */
static bool ipv6_valid(struct span s)
{
	bool colon = false;

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = ascii_lower((char)s.data[i]);

		if (!is_digit(c) && !(c >= 'a' && c <= 'f') && c != ':')
			return false;
		colon = colon || c == ':';
	}
	return colon;
}

static bool domain_valid(struct span s)
{
	int64_t end;

	if (s.len == 0 || s.len > REFERENCE_DOMAIN_MAX)
		return false;
	if (s.data[0] == '[') {
		end = span_find(s, ']');
		if (end < 0 || !ipv6_valid(span_of(s.data + 1, (size_t)end - 1)))
			return false;
		s = span_from(s, (size_t)end + 1);
		return s.len == 0 || (s.data[0] == ':' && port_valid(span_from(s, 1)));
	}
	end = span_find(s, ':');
	if (end < 0)
		return labels_valid(s);
	return labels_valid(span_head(s, (size_t)end)) && port_valid(span_from(s, (size_t)end + 1));
}

/* The user's text cut into its parts; still unchecked. */
struct parts {
	struct span domain, path, tag, digest;
	bool has_domain, has_tag, has_digest;
};

/* Docker's rule for what stands before the first '/'. */
static bool reads_as_domain(struct span first)
{
	return span_find(first, '.') >= 0 || span_find(first, ':') >= 0 ||
	       span_is(first, "localhost") || has_upper(first);
}

static void cut_domain(struct span text, struct parts *p, struct span *rest)
{
	int64_t slash = span_find(text, '/');
	struct span first = span_head(text, slash < 0 ? 0 : (size_t)slash);

	*rest = text;
	if (slash < 0)
		return;
	p->has_domain = reads_as_domain(first);
	if (!p->has_domain)
		return;
	p->domain = first;
	*rest = span_from(text, (size_t)slash + 1);
}

static void cut(struct span text, struct parts *p)
{
	struct span rest;
	int64_t at;

	cut_domain(text, p, &rest);
	at = span_find(rest, '@');
	if (at >= 0) {
		p->has_digest = true;
		p->digest = span_from(rest, (size_t)at + 1);
		rest = span_head(rest, (size_t)at);
	}
	at = span_find(rest, ':');
	if (at >= 0) {
		p->has_tag = true;
		p->tag = span_from(rest, (size_t)at + 1);
		rest = span_head(rest, (size_t)at);
	}
	p->path = rest;
}

/* Bytes of a "USER:PASSWORD@" that somebody put before the host; a secret is not repeated. */
static size_t secret_len(struct span text)
{
	int64_t scheme = span_find(text, ':');
	size_t from = 0;

	if (scheme > 0 && span_starts(span_from(text, (size_t)scheme), "://"))
		from = (size_t)scheme + strlen("://");
	struct span host = span_from(text, from);
	int64_t slash = span_find(host, '/');

	if (slash < 0)
		return 0;
	host = span_head(host, (size_t)slash);
	int64_t at = span_find(host, '@');
	if (at < 0 || span_find(span_head(host, (size_t)at), ':') < 0)
		return 0;
	return from + (size_t)at;
}

static int refuse(struct span text, const char *why, dray_error **err)
{
	size_t secret = secret_len(text);
	cleanup_free char *shown = text_safe(span_from(text, secret), SHOWN);

	if (!shown)
		return err_nomem(err);
	err_set(err, DRAY_ERR_USAGE, "invalid reference \"%s%s\": %s", secret ? "..." : "", shown,
		why);
	return secret ? err_hint(err, "--creds or 'dray login' tell who you are") : -1;
}

/* Why @p path is refused; NULL when it is not. @p prefix as normalisation will add it. */
static const char *path_problem(struct span path, size_t prefix)
{
	if (path.len == 0)
		return "the repository name is missing";
	if (has_upper(path))
		return "repository name must be lowercase";
	if (path.len + prefix > REFERENCE_NAME_MAX)
		return "the repository name is longer than 255 bytes";
	if (!reference_path_valid(path))
		return "a repository name is made of a-z, 0-9 and single separators between them";
	return NULL;
}

static const char *problem(struct span text, const struct parts *p, size_t prefix)
{
	const char *why;

	if (text.len == 0)
		return "it is empty";
	if (hex_is_lower(text, DIGEST_HEX_SHA256))
		return "64 hex digits are an image ID, not a name";
	if (p->has_domain && !domain_valid(p->domain))
		return "the part before the first '/' is no HOST or HOST:PORT";
	why = path_problem(p->path, prefix);
	if (why)
		return why;
	if (p->has_tag && p->tag.len > REFERENCE_TAG_MAX)
		return "the tag is longer than 128 bytes";
	if (p->has_tag && !reference_tag_valid(p->tag))
		return "a tag is made of letters, digits, '_', '.' and '-', not beginning with "
		       "'.' or '-'";
	return NULL;
}

static int take_digest(struct span text, const struct parts *p, struct digest *ret,
		       dray_error **err)
{
	cleanup_error dray_error *why = NULL;

	if (!p->has_digest || digest_parse(p->digest, ret, &why) == 0)
		return 0;
	if (why && dray_error_kind(why) == DRAY_ERR_NOMEM)
		return err_nomem(err);
	return refuse(text, "what follows '@' is no digest", err);
}

static char *span_dup(struct span s)
{
	return mem_strndup((const char *)s.data, s.len);
}

int reference_parse(struct span text, struct reference *ret, dray_error **err)
{
	cleanup_reference struct reference r = { 0 };
	struct parts p = { 0 };
	bool docker_io, official;
	const char *why;

	cut(text, &p);
	docker_io = !p.has_domain || span_is(p.domain, DEFAULT_DOMAIN) ||
		    span_is(p.domain, LEGACY_DOMAIN);
	official = docker_io && span_find(p.path, '/') < 0;
	why = problem(text, &p, official ? sizeof(OFFICIAL) : 0);
	if (why)
		return refuse(text, why, err);
	if (take_digest(text, &p, &r.digest, err) < 0)
		return -1;
	r.domain = docker_io ? mem_strdup(DEFAULT_DOMAIN) : span_dup(p.domain);
	r.path = official ? mem_printf(OFFICIAL "/%.*s", (int)p.path.len, (const char *)p.path.data)
			  : span_dup(p.path);
	if (p.has_tag)
		r.tag = span_dup(p.tag);
	if (!r.domain || !r.path || (p.has_tag && !r.tag))
		return err_nomem(err);
	r.domain_given = p.has_domain;
	*ret = r;
	r = (struct reference){ 0 };
	return 0;
}

void reference_clear(struct reference *r)
{
	if (!r)
		return;
	mem_free(r->domain);
	mem_free(r->path);
	mem_free(r->tag);
	*r = (struct reference){ 0 };
}

int reference_copy(const struct reference *r, struct reference *ret, dray_error **err)
{
	cleanup_reference struct reference c = { .digest = r->digest,
						 .domain_given = r->domain_given };

	c.domain = mem_strdup(r->domain);
	c.path = mem_strdup(r->path);
	c.tag = r->tag ? mem_strdup(r->tag) : NULL;
	if (!c.domain || !c.path || (r->tag && !c.tag))
		return err_nomem(err);
	*ret = c;
	c = (struct reference){ 0 };
	return 0;
}

int reference_default_tag(struct reference *r, dray_error **err)
{
	if (r->tag || digest_set(&r->digest))
		return 0;
	r->tag = mem_strdup("latest");
	return r->tag ? 0 : err_nomem(err);
}

static char *with_tag_and_digest(const struct reference *r, const char *domain, const char *path)
{
	bool pinned = digest_set(&r->digest);

	return mem_printf("%s%s%s%s%s%s%s", domain, *domain ? "/" : "", path, r->tag ? ":" : "",
			  r->tag ? r->tag : "", pinned ? "@" : "", pinned ? r->digest.text : "");
}

char *reference_text(const struct reference *r)
{
	return with_tag_and_digest(r, r->domain, r->path);
}

/* "docker.io/a.b/c" without its host would name another one. */
static bool needs_domain(const char *path)
{
	const char *slash = strchr(path, '/');

	return slash && reads_as_domain(span_of(path, (size_t)(slash - path)));
}

/* "library/x" says no more than "x", unless x looks like an image ID. */
static bool needs_library(const char *path)
{
	struct span name = span_str(path);

	if (!span_starts(name, OFFICIAL "/"))
		return true;
	name = span_from(name, sizeof(OFFICIAL));
	return span_find(name, '/') >= 0 || hex_is_lower(name, DIGEST_HEX_SHA256);
}

char *reference_familiar(const struct reference *r)
{
	const char *path = r->path;

	if (strcmp(r->domain, DEFAULT_DOMAIN) != 0 || needs_domain(path))
		return reference_text(r);
	if (!needs_library(path))
		path += sizeof(OFFICIAL);
	return with_tag_and_digest(r, "", path);
}
