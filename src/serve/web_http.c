/* SPDX-License-Identifier: Apache-2.0
 *
 * For: pages as answers: who is told what, and what browsers may do with them.
 * Relies on web.h for what is on them.
 * Promises: a page runs no script but ours, loads nothing from elsewhere, and is in no frame.
 */
#include "base/mem.h"
#include "base/text.h"
#include "serve/web.h"
#include "serve/serve_priv.h"

#define HTML "text/html; charset=utf-8"

static struct reply guarded(struct reply r)
{
	reply_field(&r, "Content-Security-Policy",
		    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
		    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
	reply_field(&r, "Referrer-Policy", "no-referrer");
	reply_field(&r, "Cross-Origin-Opener-Policy", "same-origin");
	reply_field(&r, "Cross-Origin-Resource-Policy", "same-origin");
	return r;
}

static enum MHD_Result send_asset(struct exchange *ex)
{
	cleanup_buf struct buf text = BUF_INIT(WEB_PAGE_MAX);
	cleanup_error dray_error *err = NULL;
	const char *type;
	struct reply r;

	if (web_asset(ex->route.asset, &text, &type, &err) < 0)
		return reply_error(ex, &err);
	r = guarded(reply_bytes(200, type, &text));
	reply_field(&r, "Cache-Control", "max-age=300");
	return reply_send(ex, &r);
}

static enum MHD_Result send_page(struct exchange *ex)
{
	cleanup_buf struct buf page = BUF_INIT(WEB_PAGE_MAX);
	cleanup_error dray_error *err = NULL;
	struct server *s = ex->server;
	const bool encrypted = gate_encrypted(ex);
	const char *host = web_host(ex->head.host, encrypted, &ex->arena);
	const struct web_ask ask = {
		.shelf = s->shelf,
		.route = &ex->route,
		.host = host ? host : s->address,
		.encrypted = encrypted,
		.writes = s->shelf->write && !s->o.read_only,
		.tags = !guard_is_per_repository(s->o.guard),
		.look = s->o.look,
		.arg = s->o.arg,
	};
	struct reply r;

	if (web_page(&ask, &page, &err) < 0)
		return reply_error(ex, &err);
	r = guarded(reply_bytes(200, HTML, &page));
	reply_field(&r, "Cache-Control", "no-cache");
	return reply_send(ex, &r);
}

enum MHD_Result answer_web(struct exchange *ex)
{
	cleanup_error dray_error *err = NULL;

	if (ex->server->o.no_page) {
		shelf_refuse(&err, SHELF_UNSUPPORTED, "no such route");
		err_http(&err, 404, "UNSUPPORTED");
		return reply_error(ex, &err);
	}
	return ex->route.kind == ROUTE_ASSET ? send_asset(ex) : send_page(ex);
}

/* Browsers, and nobody else, say that they would read HTML. */
bool reads_pages(const struct exchange *ex)
{
	struct span target = span_str(ex->peer->target);

	return !ex->server->o.no_page && ex->head.accept && strstr(ex->head.accept, "text/html") &&
	       !span_is(target, "/v2") && !span_starts(target, "/v2/");
}

struct reply reply_refusal_page(int status, const char *text)
{
	cleanup_buf struct buf page = BUF_INIT(WEB_PAGE_MAX);

	if (web_refusal(status, text, &page, NULL) < 0)
		return (struct reply){ .failed = true };
	return guarded(reply_bytes(status, HTML, &page));
}
