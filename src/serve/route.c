/* SPDX-License-Identifier: Apache-2.0
 *
 * For: which of the API's requests a first line of HTTP is.
 * Relies on image/reference.h and digest/ for the grammar.
 * Promises: no allocation but in the route's arena, no step but forward, no name outside the grammar.
 */
#include "serve/route.h"

#include "base/number.h"
#include "image/reference.h"

#define SEGMENTS_MAX 160 /* of a path: a name has at most 128 components */

static const char *const METHOD_NAMES[METHODS] = {
	[METHOD_GET] = "GET", [METHOD_HEAD] = "HEAD",	[METHOD_POST] = "POST",
	[METHOD_PUT] = "PUT", [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE",
};

static const struct {
	const char *allow;
	bool listed; /* its query is "n" and "last" */
} ROUTES[ROUTE_KINDS] = {
	[ROUTE_BASE] = { "GET, HEAD", false },
	[ROUTE_CATALOG] = { "GET, HEAD", true },
	[ROUTE_TAGS] = { "GET, HEAD", true },
	[ROUTE_MANIFEST] = { "GET, HEAD, PUT, DELETE", false },
	[ROUTE_BLOB] = { "GET, HEAD, DELETE", false },
	[ROUTE_UPLOADS] = { "POST", false },
	[ROUTE_UPLOAD] = { "GET, HEAD, PATCH, PUT, DELETE", false },
	[ROUTE_REFERRERS] = { "GET, HEAD", true },
	[ROUTE_HEALTH] = { "GET, HEAD", false },
	[ROUTE_METRICS] = { "GET, HEAD", false },
	[ROUTE_TOKEN] = { "GET, HEAD", false },
	[ROUTE_HOME] = { "GET, HEAD", false },
	[ROUTE_REPO] = { "GET, HEAD", false },
	[ROUTE_IMAGE] = { "GET, HEAD", false },
	[ROUTE_ASSET] = { "GET, HEAD", false },
};

void route_clear(struct route *r)
{
	arena_clear(&r->arena);
	*r = (struct route){ 0 };
}

/* ---- the path of the API ---- */

struct path {
	struct span text;		    /* behind "/v2/" */
	struct span segments[SEGMENTS_MAX]; /* of it */
	size_t n;
};

static int not_there(dray_error **err)
{
	shelf_refuse(err, SHELF_UNSUPPORTED, "no such route");
	return err_http(err, 404, "UNSUPPORTED");
}

static int split_path(struct span text, struct path *ret, dray_error **err)
{
	struct span rest = text;

	ret->text = text;
	ret->n = 0;
	for (;;) {
		int64_t slash = span_find(rest, '/');

		if (ret->n == SEGMENTS_MAX)
			return shelf_refuse(err, SHELF_NAME_INVALID,
					    "the name has too many components");
		ret->segments[ret->n++] = slash < 0 ? rest : span_head(rest, (size_t)slash);
		if (slash < 0)
			return 0;
		rest = span_from(rest, (size_t)slash + 1);
	}
}

/* The @p back-th segment from the end, 0 = the last; empty where there is none. */
static struct span segment(const struct path *p, size_t back)
{
	return back < p->n ? p->segments[p->n - 1 - back] : span_of("", 0);
}

/* What stands before the last @p n segments is the repository. */
static int take_repo(const struct path *p, size_t n, struct route *r, dray_error **err)
{
	size_t len = p->n > n ? (size_t)(p->segments[p->n - n].data - p->text.data) - 1 : 0;
	struct span name = span_head(p->text, len);

	if (!reference_path_valid(name))
		return shelf_refuse(err, SHELF_NAME_INVALID,
				    "the repository's name does not fit the grammar");
	r->repo = arena_strndup(&r->arena, (const char *)name.data, name.len);
	return r->repo ? 0 : err_nomem(err);
}

/* Clients that escape too much write the colon of a digest as %3A. */
static int take_digest(struct span text, struct digest *ret, dray_error **err)
{
	char plain[DIGEST_TEXT];
	int64_t at = span_find(text, '%');

	if (at > 0 && text.len < sizeof(plain) &&
	    (span_starts(span_from(text, (size_t)at), "%3A") ||
	     span_starts(span_from(text, (size_t)at), "%3a"))) {
		memcpy(plain, text.data, (size_t)at);
		plain[at] = ':';
		memcpy(plain + at + 1, text.data + at + 3, text.len - (size_t)at - 3);
		text = span_of(plain, text.len - 2);
	}
	if (digest_parse(text, ret, NULL) == 0)
		return 0;
	return shelf_refuse(err, SHELF_DIGEST_INVALID, "the digest is malformed");
}

static int take_reference(struct span text, struct route *r, dray_error **err)
{
	if (reference_tag_valid(text)) {
		r->ref.tag = arena_strndup(&r->arena, (const char *)text.data, text.len);
		return r->ref.tag ? 0 : err_nomem(err);
	}
	if (span_find(text, ':') >= 0 || span_find(text, '%') > 0)
		return take_digest(text, &r->ref.digest, err);
	if (r->method == METHOD_PUT)
		return shelf_refuse(err, SHELF_TAG_INVALID, "the tag does not fit the grammar");
	return shelf_refuse(err, SHELF_MANIFEST_UNKNOWN, "no tag has such a name");
}

static bool upload_id_valid(struct span s)
{
	if (s.len == 0 || s.len >= SHELF_UPLOAD_ID)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    c != '-')
			return false;
	}
	return true;
}

static int take_upload(struct span id, struct route *r, dray_error **err)
{
	if (!upload_id_valid(id))
		return shelf_refuse(err, SHELF_BLOB_UPLOAD_UNKNOWN, "no such upload");
	r->upload = arena_strndup(&r->arena, (const char *)id.data, id.len);
	return r->upload ? 0 : err_nomem(err);
}

/*
 * The last segments decide, for a repository may be named "a/blobs" or "a/manifests/b"; no
 * reference, digest or id holds a slash, so there is one reading at most.
 */
static int parse_api(const struct path *p, struct route *r, dray_error **err)
{
	struct span last = segment(p, 0), before = segment(p, 1);

	if (p->n == 1 && last.len == 0) {
		r->kind = ROUTE_BASE;
		return 0;
	}
	if (p->n == 1 && span_is(last, "_catalog")) {
		r->kind = ROUTE_CATALOG;
		return 0;
	}
	if (span_is(before, "tags") && span_is(last, "list")) {
		r->kind = ROUTE_TAGS;
		return take_repo(p, 2, r, err);
	}
	if (span_is(before, "manifests")) {
		r->kind = ROUTE_MANIFEST;
		return take_repo(p, 2, r, err) < 0 ? -1 : take_reference(last, r, err);
	}
	if (span_is(before, "referrers")) {
		r->kind = ROUTE_REFERRERS;
		return take_repo(p, 2, r, err) < 0 ? -1 : take_digest(last, &r->ref.digest, err);
	}
	if (span_is(before, "uploads") && span_is(segment(p, 2), "blobs")) {
		r->kind = last.len ? ROUTE_UPLOAD : ROUTE_UPLOADS;
		if (take_repo(p, 3, r, err) < 0)
			return -1;
		return last.len ? take_upload(last, r, err) : 0;
	}
	if (span_is(before, "blobs")) {
		bool uploads = span_is(last, "uploads");

		r->kind = uploads ? ROUTE_UPLOADS : ROUTE_BLOB;
		if (take_repo(p, 2, r, err) < 0)
			return -1;
		return uploads ? 0 : take_digest(last, &r->ref.digest, err);
	}
	return not_there(err);
}

/* ---- pages for people ---- */

/* No repository's name begins with a hyphen. */
static int take_asset(struct span name, struct route *r, dray_error **err)
{
	r->kind = ROUTE_ASSET;
	r->asset = arena_strndup(&r->arena, (const char *)name.data, name.len);
	return r->asset ? 0 : err_nomem(err);
}

/*
 * What a client would pull, behind the server's address: no name has an '@' or a colon in it. A
 * tag beside a digest says nothing.
 */
static int parse_web(struct span text, struct route *r, dray_error **err)
{
	int64_t at = span_find(text, '@');
	struct span tagged = at < 0 ? text : span_head(text, (size_t)at);
	int64_t colon = span_find(tagged, ':');
	struct span name = colon < 0 ? tagged : span_head(tagged, (size_t)colon);
	struct span tag = colon < 0 ? span_of("", 0) : span_from(tagged, (size_t)colon + 1);

	if (!reference_path_valid(name) || (colon >= 0 && !reference_tag_valid(tag)))
		return not_there(err);
	r->kind = at < 0 && colon < 0 ? ROUTE_REPO : ROUTE_IMAGE;
	r->repo = arena_strndup(&r->arena, (const char *)name.data, name.len);
	if (!r->repo)
		return err_nomem(err);
	if (at >= 0)
		return take_digest(span_from(text, (size_t)at + 1), &r->ref.digest, err);
	return colon < 0 ? 0 : take_reference(tag, r, err);
}

/* ---- the path ---- */

/* Bytes that a target never has; a server that lets them in lets them into its log and headers. */
static bool target_clean(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] <= ' ' || s.data[i] >= 0x7f)
			return false;
	return true;
}

static const struct {
	const char *path;
	enum route_kind kind;
} FIXED[] = {
	{ "/", ROUTE_HOME },	       { "/v2", ROUTE_BASE },	  { "/healthz", ROUTE_HEALTH },
	{ "/metrics", ROUTE_METRICS }, { "/token", ROUTE_TOKEN },
};

/* The kind of a route that has one path only; ROUTE_KINDS = it is none of them. */
static enum route_kind fixed_kind(struct span path)
{
	for (size_t i = 0; i < sizeof(FIXED) / sizeof(FIXED[0]); i++)
		if (span_is(path, FIXED[i].path))
			return FIXED[i].kind;
	return ROUTE_KINDS;
}

static int parse_path(struct span text, struct route *r, dray_error **err)
{
	struct path p;

	r->kind = fixed_kind(text);
	if (r->kind != ROUTE_KINDS)
		return 0;
	if (span_starts(text, "/v2/"))
		return split_path(span_from(text, strlen("/v2/")), &p, err) < 0
			       ? -1
			       : parse_api(&p, r, err);
	if (span_starts(text, "/-/"))
		return parse_web(span_from(text, strlen("/-/")), r, err);
	if (span_starts(text, "/-"))
		return take_asset(span_from(text, strlen("/-")), r, err);
	return span_starts(text, "/") ? parse_web(span_from(text, 1), r, err) : not_there(err);
}

const char *route_of_repo(const char *name, struct arena *a)
{
	const char *path = arena_printf(a, "/%s", name);

	if (!path ||
	    (fixed_kind(span_str(path)) == ROUTE_KINDS && !span_starts(span_str(path), "/v2/")))
		return path;
	return arena_printf(a, "/-%s", path);
}

/* ---- the query ---- */

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One value, decoded once; what decodes to a control is refused. NULL with *err. */
static const char *decode_value(struct span s, struct arena *a, dray_error **err)
{
	char *out = arena_alloc(a, s.len + 1);
	size_t n = 0;

	if (!out) {
		err_nomem(err);
		return NULL;
	}
	for (size_t i = 0; i < s.len; i++) {
		int c = s.data[i] == '+' ? ' ' : s.data[i];

		if (c == '%') {
			int high = i + 2 < s.len ? hex_value(s.data[i + 1]) : -1;
			int low = i + 2 < s.len ? hex_value(s.data[i + 2]) : -1;

			c = high < 0 || low < 0 ? -1 : high * 16 + low;
			i += 2;
		}
		if (c < ' ' || c == 0x7f) {
			shelf_refuse(err, SHELF_UNSUPPORTED, "the query is malformed");
			err_http(err, 400, "UNSUPPORTED");
			return NULL;
		}
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return out;
}

static int twice(const char *name, dray_error **err)
{
	shelf_refuse(err, SHELF_UNSUPPORTED, "the query has \"%s\" twice", name);
	return err_http(err, 400, "UNSUPPORTED");
}

static int set_text(const char *name, const char *value, const char **ret, dray_error **err)
{
	if (*ret)
		return twice(name, err);
	*ret = value;
	return 0;
}

static int set_digest(const char *name, const char *value, struct digest *ret, dray_error **err)
{
	if (digest_set(ret))
		return twice(name, err);
	if (digest_parse(span_str(value), ret, NULL) == 0)
		return 0;
	return shelf_refuse(err, SHELF_DIGEST_INVALID, "the digest of \"%s\" is malformed", name);
}

/* Too many digits are more than anybody has; everything else that is no number is told. */
static int set_count(const char *value, struct route *r, dray_error **err)
{
	struct span text = span_str(value);

	if (r->n >= 0)
		return twice("n", err);
	if (num_parse_u63(text, &r->n))
		return 0;
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < '0' || text.data[i] > '9')
			text.len = 0;
	if (text.len == 0)
		return shelf_refuse(err, SHELF_PAGINATION_INVALID, "\"n\" is not a number");
	r->n = INT64_MAX;
	return 0;
}

static int set_from(const char *value, struct route *r, dray_error **err)
{
	if (!reference_path_valid(span_str(value)))
		return shelf_refuse(err, SHELF_NAME_INVALID,
				    "\"from\" does not fit the grammar of names");
	return set_text("from", value, &r->from, err);
}

static int add_tag(const char *value, struct route *r, dray_error **err)
{
	if (!reference_tag_valid(span_str(value)))
		return shelf_refuse(err, SHELF_TAG_INVALID, "\"tag\" does not fit the grammar");
	if (r->n_tags == ROUTE_TAGS_MAX)
		return shelf_refuse(err, SHELF_TAG_INVALID, "more than %d tags at once",
				    ROUTE_TAGS_MAX);
	r->tags[r->n_tags++] = value;
	return 0;
}

static int set_web_parameter(struct span name, const char *value, struct route *r, dray_error **err)
{
	if (r->kind == ROUTE_IMAGE) {
		r->look = r->look || span_is(name, "efficiency");
		return 0;
	}
	if (span_is(name, "last"))
		return set_text("last", value, &r->last, err);
	if (r->kind == ROUTE_REPO && span_is(name, "untagged"))
		return set_text("untagged", value, &r->untagged, err);
	return span_is(name, "q") ? set_text("q", value, &r->prefix, err) : 0;
}

/* What a route does not know is some proxy's or some client's own, and passed over. */
static int set_parameter(struct span name, const char *value, struct route *r, dray_error **err)
{
	if (r->repo && span_is(name, "ns"))
		return set_text("ns", value, &r->ns, err);
	if (ROUTES[r->kind].listed && span_is(name, "n"))
		return set_count(value, r, err);
	if (ROUTES[r->kind].listed && span_is(name, "last"))
		return set_text("last", value, &r->last, err);
	/* An empty one filters nothing: some clients send what they were not given. */
	if (r->kind == ROUTE_REFERRERS && span_is(name, "artifactType"))
		return *value ? set_text("artifactType", value, &r->artifact_type, err) : 0;
	if (r->kind == ROUTE_HOME || r->kind == ROUTE_REPO || r->kind == ROUTE_IMAGE)
		return set_web_parameter(name, value, r, err);
	if (r->kind == ROUTE_MANIFEST && r->method == METHOD_PUT && span_is(name, "tag"))
		return add_tag(value, r, err);
	if (r->kind != ROUTE_UPLOADS && r->kind != ROUTE_UPLOAD)
		return 0;
	if (span_is(name, "digest"))
		return set_digest("digest", value, &r->digest, err);
	if (r->kind == ROUTE_UPLOADS && span_is(name, "mount"))
		return set_digest("mount", value, &r->mount, err);
	if (r->kind == ROUTE_UPLOADS && span_is(name, "from"))
		return set_from(value, r, err);
	return 0;
}

static int parse_query(struct span query, struct route *r, dray_error **err)
{
	while (query.len > 0) {
		int64_t end = span_find(query, '&');
		struct span one = end < 0 ? query : span_head(query, (size_t)end);
		int64_t is = span_find(one, '=');
		struct span name = is < 0 ? one : span_head(one, (size_t)is);
		const char *value = decode_value(
			is < 0 ? span_of("", 0) : span_from(one, (size_t)is + 1), &r->arena, err);

		if (!value || set_parameter(name, value, r, err) < 0)
			return -1;
		query = end < 0 ? span_of("", 0) : span_from(query, (size_t)end + 1);
	}
	return 0;
}

/* ---- the request ---- */

static bool has_method(const char *allow, const char *method)
{
	size_t len = strlen(method);

	for (const char *at = allow; (at = strstr(at, method)); at += len)
		if ((at == allow || at[-1] == ' ') && (!at[len] || at[len] == ','))
			return true;
	return false;
}

static int check_method(const struct route *r, const char **ret_allow, dray_error **err)
{
	const char *allow = ROUTES[r->kind].allow;

	if (r->method < METHODS && has_method(allow, METHOD_NAMES[r->method]))
		return 0;
	*ret_allow = allow;
	return shelf_refuse(err, SHELF_UNSUPPORTED, "this method is not allowed here");
}

int route_parse(const char *method, struct span target, struct route *ret, const char **ret_allow,
		dray_error **err)
{
	int64_t mark = span_find(target, '?');
	struct span path = mark < 0 ? target : span_head(target, (size_t)mark);
	struct span query = mark < 0 ? span_of("", 0) : span_from(target, (size_t)mark + 1);

	*ret = (struct route){ .n = -1, .kind = ROUTE_KINDS, .method = METHODS };
	*ret_allow = NULL;
	for (int m = 0; m < METHODS; m++)
		if (strcmp(method, METHOD_NAMES[m]) == 0)
			ret->method = (enum method)m;
	if (target.len > ROUTE_TARGET_MAX || !target_clean(target)) {
		shelf_refuse(err, SHELF_NAME_INVALID, "the request's target is malformed");
		return err_http(err, target.len > ROUTE_TARGET_MAX ? 414 : 400, "NAME_INVALID");
	}
	if (parse_path(path, ret, err) < 0 || check_method(ret, ret_allow, err) < 0)
		return -1;
	return parse_query(query, ret, err);
}
