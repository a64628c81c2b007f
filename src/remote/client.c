/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      requests with credentials, redirects and retries.
 * Relies:   on url_allowed() for every address that a server names, on auth.c for what may be shown to whom.
 * Promises: credentials go to the registry's origin only, and once a redirect has left it not again in that
 *           chain (N-02); at most LIMIT_REDIRECTS hops and LIMIT_AUTH_ROUNDS token fetches a call (N-15).
 */
#include "remote/client.h"

#include "base/limits.h"
#include "base/mem.h"
#include "remote/credentials.h"
#include "remote/refusal.h"
#include "remote/retry.h"

void answer_clear(struct answer *a)
{
	arena_clear(&a->arena);
	buf_clear(&a->body);
	*a = (struct answer){ 0 };
}

/* Where a call stands on its way through redirects and challenges. */
struct trip {
	struct client *c;
	const struct call *call;
	struct answer *a;
	bool trusted; /* our credentials may be shown at a->url */
	int hops, rounds;
	char *sent;    /* Authorization of the last request; NULL */
	char *foreign; /* token for the redirect's target alone */
};

static int64_t pull_bytes(void *arg, void *data, size_t len, dray_error **err)
{
	struct answer *a = arg;
	struct span piece = span_head(a->left, len);

	(void)err;
	if (piece.len)
		memcpy(data, piece.data, piece.len);
	a->left = span_from(a->left, piece.len);
	return (int64_t)piece.len;
}

static int pick_authorization(struct trip *t, dray_error **err)
{
	secret_free(t->sent);
	t->sent = NULL;
	if (t->trusted)
		return auth_value(t->c->auth, t->call->also_pull, &t->sent, err);
	if (!t->foreign)
		return 0;
	t->sent = mem_strdup(t->foreign);
	return t->sent ? 0 : err_nomem(err);
}

static int request(struct trip *t, struct http_exchange **ret, dray_error **err)
{
	const struct call *call = t->call;
	struct http_body bytes = { (int64_t)call->bytes.len, pull_bytes, t->a };
	struct http_request q = {
		.method = call->method,
		.url = &t->a->url,
		.accept = call->accept,
		.content_type = call->content_type,
		.content_range = call->content_range,
		.range_from = call->range_from,
		.body = call->stream	  ? call->stream
			: call->bytes.len ? &bytes
					  : NULL,
		.wait_ms = call->wait_ms,
		.farewell = call->farewell,
	};

	t->a->http.fault = HTTP_FAULT_FINAL;
	t->a->left = call->bytes;
	if (pick_authorization(t, err) < 0)
		return -1;
	q.authorization = t->sent;
	return http_begin(t->c->http, &q, &t->a->http, ret, err);
}

/* ---- 401 ---- */

/* 1 = send again, 0 = that is the answer. */
static int challenged(struct trip *t, dray_error **err)
{
	struct answer *a = t->a;
	int rc;

	if (t->rounds >= LIMIT_AUTH_ROUNDS - 1 || t->call->farewell)
		return 0;
	t->rounds++;
	a->http.fault = HTTP_FAULT_FINAL;
	if (t->trusted)
		rc = auth_renew(t->c->auth, t->call->also_pull, t->sent, &a->http, err);
	else if (t->hops && !t->call->stream && !t->foreign)
		rc = auth_foreign(t->c->auth, &a->url, &a->http, &t->foreign, err);
	else
		return 0;
	if (rc > 0 && t->call->stream) {
		a->renewed = true;
		return 0;
	}
	return rc;
}

/* ---- 3xx ---- */

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* 301, 302 and 303 may turn other methods into GET: for those they are no way to go on. */
static bool may_follow(const struct trip *t)
{
	const char *method = t->call->method;
	int status = t->a->http.status;

	if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
		return true;
	return !t->call->stream && (status == 307 || status == 308);
}

/* 1 = go there. */
static int redirected(struct trip *t, dray_error **err)
{
	struct answer *a = t->a;
	struct url to;
	bool credentials = false;

	a->http.fault = HTTP_FAULT_FINAL;
	if (!a->http.location)
		return err_set(err, DRAY_ERR_NETWORK, "%s: redirect (HTTP %d) without a Location",
			       t->call->what, a->http.status);
	if (!may_follow(t))
		return err_set(err, DRAY_ERR_NETWORK,
			       "%s: redirected (HTTP %d), which %s does not allow", t->call->what,
			       a->http.status, t->call->method);
	if (++t->hops > LIMIT_REDIRECTS)
		return err_set(err, DRAY_ERR_NETWORK, "%s: more than %d redirects", t->call->what,
			       LIMIT_REDIRECTS);
	if (url_resolve(&a->url, a->http.location, &a->arena, &to, err) < 0 ||
	    url_allowed(URL_REDIRECT, &a->url, &to, &credentials, err) < 0)
		return err_ctx(err, "%s: redirect", t->call->what);
	t->trusted = t->trusted && credentials;
	secret_free(t->foreign);
	t->foreign = NULL;
	a->url = to;
	return 1;
}

/* ---- the call ---- */

static int next_step(struct trip *t, dray_error **err)
{
	int status = t->a->http.status;

	if (status == 401)
		return challenged(t, err);
	return is_redirect(status) ? redirected(t, err) : 0;
}

static int travel(struct trip *t, struct http_exchange **ret, dray_error **err)
{
	for (;;) {
		cleanup_exchange struct http_exchange *x = NULL;
		struct buf scrap = BUF_INIT(LIMIT_HTTP_ERROR);
		int rc;

		if (request(t, &x, err) < 0)
			return -1;
		rc = next_step(t, err);
		if (rc < 0)
			return -1;
		if (rc == 0) {
			t->a->http.fault = HTTP_FAULT_NONE;
			*ret = steal_pointer(&x);
			return 0;
		}
		/* A short body read to its end keeps the connection for the next request. */
		if (http_slurp(x, true, &scrap, NULL) < 0)
			t->a->http.fault = HTTP_FAULT_NONE;
		buf_clear(&scrap);
	}
}

int client_begin(struct client *c, const struct call *call, struct answer *a,
		 struct http_exchange **ret, dray_error **err)
{
	struct trip t = { .c = c, .call = call, .a = a, .trusted = !call->anonymous };
	int rc;

	answer_clear(a);
	a->http.arena = &a->arena;
	a->url = *call->url;
	rc = travel(&t, ret, err);
	secret_free(t.sent);
	secret_free(t.foreign);
	return rc;
}

static int fill_body(const struct call *call, struct answer *a, struct http_exchange *x,
		     dray_error **err)
{
	bool good = a->http.status >= 200 && a->http.status < 300;

	a->body = BUF_INIT(good && call->max ? call->max : LIMIT_HTTP_ERROR);
	if (http_slurp(x, !(good && call->max), &a->body, err) == 0)
		return 0;
	if (a->http.fault == HTTP_FAULT_NONE)
		a->http.fault = HTTP_FAULT_FINAL;
	return err_ctx(err, "%s", call->what);
}

int client_call(struct client *c, const struct call *call, struct answer *a, dray_error **err)
{
	cleanup_exchange struct http_exchange *x = NULL;

	if (client_begin(c, call, a, &x, err) < 0)
		return -1;
	return fill_body(call, a, x, err);
}

bool client_transient(int rc, const struct answer *a)
{
	if (rc < 0)
		return a->http.fault == HTTP_FAULT_BROKEN || a->http.fault == HTTP_FAULT_CONNECT;
	return retry_status(a->http.status);
}

int client_retry(struct client *c, const struct call *call, struct answer *a, dray_error **err)
{
	for (int attempt = 0;; attempt++) {
		dray_error *why = NULL;
		int rc = client_call(c, call, a, &why);

		if (attempt < c->o->retries && client_transient(rc, a) &&
		    retry_pause(attempt, rc == 0 ? &a->http : NULL, NULL) == 0) {
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

int client_refused(struct client *c, const struct call *call, const struct answer *a,
		   dray_error **err)
{
	refusal(&a->http, span_buf(&a->body), call->what, err);
	if (a->http.status != 401 && a->http.status != 403)
		return -1;
	if (auth_has_credentials(c->auth))
		return err_hint(err,
				"the credentials are refused, or do not cover this repository");
	return err_hint(err,
			"log in with dray login, docker login or podman login, or give --creds "
			"USER:PASSWORD");
}
