/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      the conversation with a token server.
 * Relies:   on url_allowed() for where credentials may go.
 * Promises: no redirect is followed; nothing but a printable token of bounded length comes back.
 */
#include "remote/token.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "json/json.h"
#include "remote/refusal.h"
#include "remote/retry.h"

#define TOKEN_LIFE_S 60 /* when the answer names none, or less */
#define TOKEN_LIFE_MAX_S 86400
#define QUERY_MAX (64 * KIB)
#define CLIENT_ID "dray"

void token_clear(struct token *t)
{
	secret_free(t->text);
	secret_free(t->refresh);
	*t = (struct token){ 0 };
}

/* ---- the answer ---- */

static int take_text(struct json root, const char *name, struct arena *a, char **ret,
		     dray_error **err)
{
	const char *text;

	if (json_string(json_get(root, name), name, a, &text, err) < 0)
		return -1;
	if (!text || !*text)
		return 0;
	if (!http_value_safe(text))
		return err_set(err, DRAY_ERR_FORMAT, "%s holds odd characters", name);
	*ret = mem_strdup(text);
	return *ret ? 0 : err_nomem(err);
}

static int take_answer(struct json root, struct arena *a, struct token *ret, dray_error **err)
{
	struct json life = json_get(root, "expires_in");
	int64_t seconds = 0;

	if (take_text(root, "token", a, &ret->text, err) < 0)
		return -1;
	if (!ret->text && take_text(root, "access_token", a, &ret->text, err) < 0)
		return -1;
	if (take_text(root, "refresh_token", a, &ret->refresh, err) < 0)
		return -1;
	if (json_type(life) == JSON_NUMBER && json_int(life, "expires_in", &seconds, NULL) < 0)
		seconds = 0;
	if (seconds < TOKEN_LIFE_S)
		seconds = TOKEN_LIFE_S;
	ret->lives_ms = (seconds < TOKEN_LIFE_MAX_S ? seconds : TOKEN_LIFE_MAX_S) * 1000;
	return ret->text ? 0 : err_set(err, DRAY_ERR_NETWORK, "the answer holds no token");
}

int token_parse(struct span body, struct token *ret, dray_error **err)
{
	cleanup_json struct json_doc *doc = NULL;
	struct arena a = { 0 };
	int rc;

	*ret = (struct token){ 0 };
	if (json_parse(body, &doc, err) < 0)
		return -1;
	rc = take_answer(json_root(doc), &a, ret, err);
	arena_clear(&a);
	if (rc < 0)
		token_clear(ret);
	return rc;
}

/* ---- the question ---- */

struct question {
	struct url realm;
	const struct credentials *creds; /* NULL when they may not go there */
	struct buf query;		 /* of a GET */
	struct buf form;		 /* of a POST */
	size_t sent;			 /* of the form */
	char *basic;
};

static int add_param(struct buf *b, const char *name, const char *value, dray_error **err)
{
	if (!value)
		return 0;
	if (buf_printf(b, err, "%s%s=", b->len ? "&" : "", name) < 0)
		return -1;
	return url_query_escape(b, value, err);
}

static int build_query(const struct token_query *q, struct question *ask, dray_error **err)
{
	if (add_param(&ask->query, "service", q->service, err) < 0)
		return -1;
	for (size_t i = 0; i < q->scopes->n; i++) {
		const struct scope *s = &q->scopes->list[i];
		cleanup_free char *text = mem_printf("%s:%s", s->resource, s->actions);

		if (!text)
			return err_nomem(err);
		if (add_param(&ask->query, "scope", text, err) < 0)
			return -1;
	}
	return add_param(&ask->query, "account", ask->creds ? ask->creds->user : NULL, err);
}

static int build_form(const struct token_query *q, struct question *ask, dray_error **err)
{
	cleanup_buf struct buf scopes = BUF_INIT(QUERY_MAX);
	cleanup_free char *joined = NULL;

	for (size_t i = 0; i < q->scopes->n; i++) {
		const struct scope *s = &q->scopes->list[i];

		if (buf_printf(&scopes, err, "%s%s:%s", i ? " " : "", s->resource, s->actions) < 0)
			return -1;
	}
	joined = buf_steal_str(&scopes, err);
	if (!joined || add_param(&ask->form, "grant_type", "refresh_token", err) < 0 ||
	    add_param(&ask->form, "service", q->service, err) < 0 ||
	    add_param(&ask->form, "scope", *joined ? joined : NULL, err) < 0 ||
	    add_param(&ask->form, "client_id", CLIENT_ID, err) < 0)
		return -1;
	return add_param(&ask->form, "refresh_token", ask->creds->identity_token, err);
}

static int64_t pull_form(void *arg, void *data, size_t len, dray_error **err)
{
	struct question *ask = arg;
	size_t n = ask->form.len - ask->sent;

	(void)err;
	if (n > len)
		n = len;
	memcpy(data, ask->form.data + ask->sent, n);
	ask->sent += n;
	return (int64_t)n;
}

struct reply {
	struct arena arena;
	struct http_response http;
	struct buf body;
};

static void reply_clear(struct reply *r)
{
	arena_clear(&r->arena);
	buf_wipe(&r->body);
	*r = (struct reply){ .body = BUF_INIT(LIMIT_HTTP_BODY) };
}

static int ask_once(struct http *h, struct question *ask, bool post, struct reply *r,
		    dray_error **err)
{
	struct http_body form = { (int64_t)ask->form.len, pull_form, ask };
	struct url url = ask->realm;
	struct http_request q = { .method = "GET", .url = &url, .accept = "application/json" };
	cleanup_exchange struct http_exchange *x = NULL;

	reply_clear(r);
	r->http.arena = &r->arena;
	if (post) {
		q.method = "POST";
		q.content_type = "application/x-www-form-urlencoded";
		q.body = &form;
		ask->sent = 0;
	} else {
		url.rest = arena_printf(&r->arena, "%s%c%.*s", url.rest,
					strchr(url.rest, '?') ? '&' : '?', (int)ask->query.len,
					ask->query.data ? (const char *)ask->query.data : "");
		q.authorization = ask->basic;
		if (!url.rest)
			return err_nomem(err);
	}
	if (http_begin(h, &q, &r->http, &x, err) < 0)
		return -1;
	return http_slurp(x, r->http.status != 200, &r->body, err);
}

static bool worth_retry(int rc, const struct reply *r)
{
	if (rc == 0)
		return retry_status(r->http.status);
	return r->http.fault == HTTP_FAULT_BROKEN || r->http.fault == HTTP_FAULT_CONNECT;
}

static int ask_patiently(struct http *h, struct question *ask, bool post, int retries,
			 struct reply *r, dray_error **err)
{
	for (int attempt = 0;; attempt++) {
		dray_error *why = NULL;
		int rc = ask_once(h, ask, post, r, &why);

		if (attempt < retries && worth_retry(rc, r) &&
		    retry_pause(attempt, rc == 0 ? &r->http : NULL, NULL) == 0) {
			dray_error_free(why);
			continue;
		}
		if (rc < 0 && err)
			*err = why;
		else
			dray_error_free(why);
		return rc;
	}
}

static int judge(const struct question *ask, const struct reply *r, struct token *ret,
		 dray_error **err)
{
	int status = r->http.status;

	if (status == 200)
		return token_parse(span_buf(&r->body), ret, err);
	if (status >= 300 && status < 400)
		return err_set(err, DRAY_ERR_NETWORK,
			       "it answered with a redirect (HTTP %d), which is not followed",
			       status);
	refusal(&r->http, span_buf(&r->body), "GET token", err);
	if (status == 401 || status == 403)
		return err_hint(err, ask->creds ? "the credentials were refused"
						: "log in with docker login or podman login, "
						  "or give --creds USER:PASSWORD");
	return -1;
}

static int converse(struct http *h, const struct token_query *q, struct question *ask,
		    struct token *ret, dray_error **err)
{
	bool post = ask->creds && ask->creds->identity_token;
	struct reply r = { .body = BUF_INIT(LIMIT_HTTP_BODY) };
	int rc;

	if (build_query(q, ask, err) < 0 || (post && build_form(q, ask, err) < 0))
		return -1;
	rc = ask_patiently(h, ask, post, q->retries, &r, err);
	/* Servers without the POST form take an identity token as a password. */
	if (rc == 0 && post && (r.http.status == 404 || r.http.status == 405))
		rc = ask_patiently(h, ask, false, q->retries, &r, err);
	if (rc == 0)
		rc = judge(ask, &r, ret, err);
	reply_clear(&r);
	return rc;
}

static int make_basic(struct question *ask, dray_error **err)
{
	const struct credentials *c = ask->creds;

	if (!c || (!c->user && !c->identity_token))
		return 0;
	ask->basic = basic_value(c->user ? c->user : "<token>",
				 c->identity_token ? c->identity_token : c->password);
	return ask->basic ? 0 : err_nomem(err);
}

static int prepare(struct http *h, const struct token_query *q, struct arena *a,
		   struct question *ask, dray_error **err)
{
	bool may = false;

	if (url_parse(q->realm, a, &ask->realm, err) < 0 ||
	    url_allowed(URL_REALM, q->from, &ask->realm, &may, err) < 0)
		return -1;
	if (q->insist && !may)
		return err_set(err, DRAY_ERR_DENIED,
			       "the token server %s:%d is another site than %s:%d: the "
			       "credentials are not sent there",
			       ask->realm.host, ask->realm.port, q->from->host, q->from->port);
	ask->creds = q->creds && credentials_set(q->creds) && may ? q->creds : NULL;
	if (q->creds && credentials_set(q->creds) && !may)
		http_log(h,
			 "asking %s:%d for an anonymous token: it is another site than %s:%d, "
			 "so the credentials stay here",
			 ask->realm.host, ask->realm.port, q->from->host, q->from->port);
	return make_basic(ask, err);
}

int token_fetch(struct http *h, const struct token_query *q, struct token *ret, dray_error **err)
{
	struct question ask = { .query = BUF_INIT(QUERY_MAX), .form = BUF_INIT(QUERY_MAX) };
	struct arena a = { 0 };
	int rc = prepare(h, q, &a, &ask, err);

	*ret = (struct token){ 0 };
	if (rc == 0)
		rc = converse(h, q, &ask, ret, err);
	if (rc < 0)
		err_ctx(err, "token server of %s:%d", q->from->host, q->from->port);
	secret_free(ask.basic);
	buf_wipe(&ask.form);
	buf_clear(&ask.query);
	arena_clear(&a);
	return rc;
}
