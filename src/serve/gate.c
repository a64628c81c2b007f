/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what each route needs, and whether this request has it.
 * Relies on guard.c to judge.
 * Promises: nothing is done for a request, and none of its body taken, before it was asked here; a
 * route that this file does not know needs as much as the catalog, and a name.
 */
#include "base/mem.h"
#include "base/text.h"
#include "serve/serve_priv.h"

#define ORIGIN_MAX 300 /* bytes of a Host field: a name of 255 and a port */

static enum guard_need need_of(const struct route *r)
{
	bool reads = r->method == METHOD_GET || r->method == METHOD_HEAD;

	switch (r->kind) {
	case ROUTE_HEALTH:
	case ROUTE_TOKEN:
	case ROUTE_ASSET: /* the page that refuses wants to look like one */
		return GUARD_FREE;
	case ROUTE_BASE:
		return GUARD_ENTER;
	case ROUTE_UPLOADS:
	case ROUTE_UPLOAD:
		return GUARD_PUSH; /* also to cancel one, and to ask how far it is */
	case ROUTE_MANIFEST:
	case ROUTE_BLOB:
		return reads ? GUARD_PULL : r->method == METHOD_DELETE ? GUARD_DELETE : GUARD_PUSH;
	case ROUTE_TAGS:
	case ROUTE_REFERRERS:
	case ROUTE_REPO:
	case ROUTE_IMAGE:
		return GUARD_PULL;
	case ROUTE_CATALOG:
	case ROUTE_HOME:
		return GUARD_CATALOG;
	default:
		return GUARD_OTHER;
	}
}

/* What stands between "//" and "/" of a URL, and needs no quotes in a field. */
static bool host_valid(const char *host)
{
	static const char chars[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "-._~:[]";

	return host && *host && strlen(host) <= ORIGIN_MAX && host[strspn(host, chars)] == 0;
}

bool gate_encrypted(const struct exchange *ex)
{
	const char *proto = ex->head.forwarded_proto;

	return ex->server->o.tls_cert || (proto && ascii_ieq(span_str(proto), "https"));
}

/* As the client calls us. */
static const char *origin_of(struct exchange *ex)
{
	const char *host = ex->head.host;

	return arena_printf(&ex->arena, "%s://%s", gate_encrypted(ex) ? "https" : "http",
			    host_valid(host) ? host : ex->server->address);
}

static int request_of(struct exchange *ex, struct guard_request *ret, dray_error **err)
{
	const struct route *r = &ex->route;

	*ret = (struct guard_request){
		.need = need_of(r),
		.repo = r->repo,
		.from = digest_set(&r->mount) ? r->from : NULL,
		.authorization = ex->head.authorization,
		.origin = origin_of(ex),
	};
	return ret->origin ? 0 : err_nomem(err);
}

int gate_check(struct exchange *ex, dray_error **err)
{
	struct guard_request q;

	if (!ex->server->o.guard)
		return 0;
	if (request_of(ex, &q, err) < 0)
		return -1;
	return guard_check(ex->server->o.guard, &q, &ex->arena, &ex->who, err);
}

enum MHD_Result answer_token(struct exchange *ex)
{
	cleanup_buf struct buf text = BUF_INIT(16 * KIB);
	cleanup_error dray_error *err = NULL;
	struct guard_request q;
	struct reply r;

	if (!guard_has_tokens(ex->server->o.guard)) {
		shelf_refuse(&err, SHELF_UNSUPPORTED, "no such route");
		err_http(&err, 404, "UNSUPPORTED");
		return reply_error(ex, &err);
	}
	if (request_of(ex, &q, &err) < 0 ||
	    guard_token(ex->server->o.guard, &q, &ex->arena, &ex->who, &text, &err) < 0)
		return reply_error(ex, &err);
	r = reply_bytes(200, "application/json; charset=utf-8", &text);
	reply_field(&r, "Cache-Control", "no-store");
	return reply_send(ex, &r);
}
