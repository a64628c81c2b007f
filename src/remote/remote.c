/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      one repository of one registry: opening it, and finding out how it is spoken to.
 * Relies:   on a reference that was validated, so that no request text can be broken by a name (N-13).
 * Promises: nothing goes over the wire before the first question is asked; https unless the user said
 *           otherwise or the registry is on this machine and speaks no TLS.
 */
#include "remote/remote_priv.h"

#include <stdarg.h>

#include "base/limits.h"
#include "base/mem.h"
#include "remote/credentials.h"
#include "remote/refusal.h"
#include "remote/retry.h"

#define HUB "docker.io"
#define HUB_API "registry-1.docker.io"

void remote_free(struct remote *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_mirrors; i++)
		remote_free(r->mirrors[i]);
	mem_free(r->mirrors);
	auth_free(r->client.auth);
	http_free(r->client.http);
	tls_clear(&r->files);
	reference_clear(&r->ref);
	lock_free(r->lock);
	arena_clear(&r->arena);
	mem_free(r->name);
	mem_free(r);
}

/* The token scope of everything that a remote asks; NULL = no memory. */
static char *scope_of(const struct reference *ref, enum remote_purpose purpose)
{
	switch (purpose) {
	case REMOTE_PULL:
		return mem_printf("repository:%s:pull", ref->path);
	case REMOTE_PUSH:
		return mem_printf("repository:%s:pull,push", ref->path);
	case REMOTE_DELETE:
		return mem_printf("repository:%s:pull,delete", ref->path);
	case REMOTE_CATALOG:
		return mem_strdup("registry:catalog:*");
	case REMOTE_LOGIN:
		break;
	}
	return mem_strdup("");
}

static int init(struct remote *r, const struct reference *ref, const char *name,
		enum remote_purpose purpose, dray_error **err)
{
	cleanup_free char *scope = scope_of(ref, purpose);

	if (!scope)
		return err_nomem(err);
	if (reference_copy(ref, &r->ref, err) < 0)
		return -1;
	r->name = mem_strdup(name);
	if (!r->name)
		return err_nomem(err);
	r->lock = lock_new(err);
	if (!r->lock || tls_load(r->o.cert_dir, r->ref.domain, &r->files, err) < 0)
		return -1;
	r->client.o = &r->o;
	r->client.http = http_new(&r->o, err);
	if (!r->client.http)
		return -1;
	r->client.auth = auth_new(r->client.http, &r->o, &r->ref, scope, err);
	return r->client.auth ? 0 : -1;
}

int remote_make(const struct reference *ref, const char *name, enum remote_purpose purpose,
		const struct remote_options *o, bool insecure, struct remote **ret,
		dray_error **err)
{
	cleanup_remote struct remote *r = mem_zalloc(sizeof(*r));

	if (!r)
		return err_nomem(err);
	r->o = *o;
	if (r->o.retries < 0)
		r->o.retries = RETRY_DEFAULT;
	r->insecure = insecure;
	r->o.tls_skip_verify = r->o.tls_skip_verify || insecure;
	if (init(r, ref, name, purpose, err) < 0)
		return -1;
	*ret = steal_pointer(&r);
	return 0;
}

int remote_open(const struct reference *ref, bool for_push, const struct remote_options *o,
		struct remote **ret, dray_error **err)
{
	return remote_open_for(ref, for_push ? REMOTE_PUSH : REMOTE_PULL, o, ret, err);
}

const char *remote_name(const struct remote *r)
{
	return r->name;
}

/* ---- the first question ---- */

static int make_base(struct remote *r, const char *scheme, dray_error **err)
{
	const char *host = strcmp(r->ref.domain, HUB) == 0 ? HUB_API : r->ref.domain;
	char *text = arena_printf(&r->arena, "%s://%s/", scheme, host);

	if (!text)
		return err_nomem(err);
	if (url_parse(text, &r->arena, &r->base, err) < 0)
		return -1;
	http_set_origin(r->client.http, &r->base, &r->files);
	auth_set_origin(r->client.auth, &r->base);
	return 0;
}

/* A name that is wrong or a registry that is down: said at once. What breaks in the middle is tried again. */
static bool worth_retry(int rc, const struct http_response *res)
{
	if (rc < 0)
		return res->fault == HTTP_FAULT_BROKEN;
	return retry_status(res->status);
}

/* GET /v2/ without credentials: 200 and 401 are both good news. */
static int ping_once(struct remote *r, struct answer *a, dray_error **err)
{
	struct url url = r->base;
	struct http_request q = { .method = "GET", .url = &url };
	cleanup_exchange struct http_exchange *x = NULL;

	answer_clear(a);
	a->http.arena = &a->arena;
	a->body = BUF_INIT(LIMIT_HTTP_ERROR);
	url.rest = "/v2/";
	if (http_begin(r->client.http, &q, &a->http, &x, err) < 0)
		return -1;
	return http_slurp(x, true, &a->body, err);
}

static int ping(struct remote *r, struct answer *a, dray_error **err)
{
	for (int attempt = 0;; attempt++) {
		dray_error *why = NULL;
		int rc = ping_once(r, a, &why);

		if (attempt < r->o.retries && worth_retry(rc, &a->http) &&
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

/*
 * Only on this machine or where registries.conf allows it, and only when there is no TLS at all: a certificate
 * that does not verify is no reason.
 */
static bool may_fall_back(const struct remote *r, const struct answer *a)
{
	if (r->o.plain_http || !(r->insecure || url_host_is_loopback(&r->base)))
		return false;
	if (a->http.fault == HTTP_FAULT_TLS || a->http.fault == HTTP_FAULT_BROKEN)
		return true;
	/* Without a port in the name https and http are different places. */
	return a->http.fault == HTTP_FAULT_CONNECT && r->base.port == 443;
}

static int find_scheme(struct remote *r, struct answer *a, dray_error **err)
{
	dray_error *why = NULL;
	int rc;

	if (make_base(r, r->o.plain_http ? "http" : "https", err) < 0)
		return -1;
	rc = (r->insecure || url_host_is_loopback(&r->base)) && !r->o.plain_http
		     ? ping_once(r, a, &why)
		     : ping(r, a, &why);
	if (rc < 0 && may_fall_back(r, a)) {
		dray_error_free(why);
		if (make_base(r, "http", err) < 0)
			return -1;
		return ping(r, a, err);
	}
	if (rc == 0 && retry_status(a->http.status))
		return ping(r, a, err);
	if (rc < 0 && err)
		*err = why;
	else
		dray_error_free(why);
	return rc;
}

static int settle(struct remote *r, dray_error **err)
{
	struct call call = { .what = "GET /v2/" };
	cleanup_answer struct answer a = { 0 };
	int rc = find_scheme(r, &a, err);

	if (rc == 0 && a.http.status == 401) {
		rc = auth_learn(r->client.auth, &a.http, err);
		if (rc == 0)
			rc = client_refused(&r->client, &call, &a, err);
	} else if (rc == 0 && a.http.status != 200) {
		rc = client_refused(&r->client, &call, &a, err);
	}
	if (rc < 0)
		return err_ctx(err, "%s", r->ref.domain);
	r->ready = true;
	return 0;
}

int remote_ready(struct remote *r, dray_error **err)
{
	int rc = 0;

	lock_take(r->lock);
	if (!r->ready)
		rc = settle(r, err);
	lock_drop(r->lock);
	return rc;
}

int remote_check_login(struct remote *r, dray_error **err)
{
	struct url url;
	struct call call = { .method = "GET", .url = &url, .what = "login" };
	cleanup_answer struct answer a = { 0 };
	char *sent = NULL;
	int rc = remote_ready(r, err);

	auth_insist(r->client.auth);
	if (rc == 0)
		rc = auth_value(r->client.auth, NULL, &sent, err);
	if (rc == 0 && !sent)
		return 0;
	secret_free(sent);
	url = r->base;
	url.rest = "/v2/";
	if (rc == 0)
		rc = client_retry(&r->client, &call, &a, err);
	if (rc == 0 && a.http.status != 200)
		rc = client_refused(&r->client, &call, &a, err);
	return rc < 0 ? err_ctx(err, "%s", r->name) : 1;
}

int remote_url(const struct remote *r, struct arena *a, struct url *ret, dray_error **err,
	       const char *fmt, ...)
{
	char text[1024]; /* two digests and a repository path fit */
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(text))
		return err_set(err, DRAY_ERR_USAGE, "name too long for a request");
	*ret = r->base;
	ret->rest = arena_printf(a, "/v2/%s/%s", r->ref.path, text);
	return ret->rest ? 0 : err_nomem(err);
}
