/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what all pages have: their frame, links, names of the server.
 * Relies on html.c to escape, on proto/url.h for what a host is.
 * Promises: a page names nothing outside of its server, and needs no script.
 */
#include "base/mem.h"
#include "image/reference.h"
#include "proto/url.h"
#include "serve/web_priv.h"

#define SHORT_DIGEST 12 /* hex digits, as engines show them */

/* ---- the frame ---- */

const char *web_keep(struct web *w, const char *text)
{
	if (!text && !w->h.failed) {
		err_nomem(w->h.err);
		w->h.failed = true;
	}
	return text ? text : "";
}

int web_pass_over(dray_error *told, dray_error **err)
{
	bool nomem = dray_error_kind(told) == DRAY_ERR_NOMEM;

	dray_error_free(told);
	return nomem ? err_nomem(err) : 0;
}

struct shelf *web_here(const struct web *w)
{
	struct shelf *s = w->ask->shelf;

	return s->ops->here ? s->ops->here(s) : s;
}

/* The way from the server's first page to this one. */
static void add_way(struct web *w)
{
	struct html *h = &w->h;
	const struct route *r = w->ask ? w->ask->route : NULL;

	html_raw(h, "<nav aria-label=\"You are here\"><ol><li><a href=\"/\">");
	html_str(h, r ? w->ask->host : "Repositories");
	html_raw(h, "</a></li>");
	if (r && r->repo) {
		html_raw(h, "<li><a href=\"");
		html_str(h, web_repo_path(w, r->repo));
		html_raw(h, "\">");
		html_str(h, r->repo);
		html_raw(h, "</a></li>");
	}
	if (r && r->kind == ROUTE_IMAGE) {
		html_raw(h, "<li>");
		web_image_link(w, &r->ref);
		html_raw(h, "</li>");
	}
	html_raw(h, "</ol></nav>");
}

void web_begin(struct web *w, const char *title)
{
	struct html *h = &w->h;

	html_raw(h, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		    "<meta name=\"robots\" content=\"noindex, nofollow\">\n<title>");
	html_str(h, title);
	if (w->ask && w->ask->route->repo) {
		html_raw(h, " – ");
		html_str(h, w->ask->host);
	}
	html_raw(h, "</title>\n<link rel=\"icon\" href=\"/-icon.svg\" type=\"image/svg+xml\">\n"
		    "<link rel=\"stylesheet\" href=\"/-style.css\">\n"
		    "<script src=\"/-page.js\" defer></script>\n</head>\n<body>\n"
		    "<a class=\"skip\" href=\"#main\">To the contents</a>\n<header>");
	add_way(w);
	html_raw(h, "</header>\n<main id=\"main\">\n<h1>");
	html_str(h, title);
	html_raw(h, "</h1>\n");
}

void web_end(struct web *w)
{
	html_raw(&w->h, "</main>\n<footer><p>Served by dray, a registry for container images. "
			"Clients use <a href=\"/v2/\"><code>/v2/</code></a>.</p></footer>\n"
			"</body>\n</html>\n");
}

/* ---- pieces ---- */

const char *web_repo_path(struct web *w, const char *repo)
{
	return web_keep(w, route_of_repo(repo, &w->arena));
}

const char *web_image_path(struct web *w, const char *repo, const struct shelf_ref *ref)
{
	const char *path = web_repo_path(w, repo);

	return web_keep(w, ref->tag ? arena_printf(&w->arena, "%s:%s", path, ref->tag)
				    : arena_printf(&w->arena, "%s@%s", path, ref->digest.text));
}

void web_image_link(struct web *w, const struct shelf_ref *ref)
{
	const char *hex = ref->tag ? "" : digest_hex(&ref->digest);

	html_raw(&w->h, "<a href=\"");
	html_str(&w->h, web_image_path(w, w->ask->route->repo, ref));
	if (ref->tag) {
		html_raw(&w->h, "\">");
		html_str(&w->h, ref->tag);
	} else {
		html_raw(&w->h, "\" title=\"");
		html_str(&w->h, ref->digest.text);
		html_raw(&w->h, "\"><code>");
		html_text(&w->h, span_head(span_str(hex), SHORT_DIGEST));
		html_raw(&w->h, "</code>");
	}
	html_raw(&w->h, "</a>");
}

void web_more(struct web *w, size_t n, const char *what)
{
	if (n == 0)
		return;
	html_raw(&w->h, "<p class=\"note\">… and ");
	html_int(&w->h, (int64_t)n);
	html_raw(&w->h, " more ");
	html_str(&w->h, what);
	html_raw(&w->h, "</p>\n");
}

void web_digest(struct web *w, const struct digest *d)
{
	html_raw(&w->h, "<code class=\"whole\">");
	html_str(&w->h, d->text);
	html_raw(&w->h, "</code>");
}

/* ---- the host ---- */

/* "app" alone would be read as a part of the repository's name. */
static bool reads_as_host(const char *host)
{
	return strpbrk(host, ".:") || strcmp(host, "localhost") == 0;
}

const char *web_host(const char *host, bool encrypted, struct arena *a)
{
	const char *text = host ? arena_printf(a, "http://%s/", host) : NULL;
	size_t len = host ? strlen(host) : 0;
	struct url u;

	if (!text || len > REFERENCE_DOMAIN_MAX || url_parse(text, a, &u, NULL) < 0 ||
	    u.has_userinfo || strcmp(u.rest, "/") != 0)
		return NULL;
	/* With nothing behind the host but a port: what it was parsed to is as long as it was. */
	if (strlen(u.host) != len)
		return arena_printf(a, "%s:%d", u.host, u.port);
	return reads_as_host(u.host) ? u.host
				     : arena_printf(a, "%s:%d", u.host, encrypted ? 443 : 80);
}

/* ---- pages ---- */

int web_page(const struct web_ask *ask, struct buf *ret, dray_error **err)
{
	struct web w = { .ask = ask };
	int rc;

	html_init(&w.h, ret, err);
	if (ask->route->kind == ROUTE_HOME)
		rc = web_home(&w, err);
	else
		rc = ask->route->kind == ROUTE_REPO ? web_repo(&w, err) : web_image(&w, err);
	if (rc == 0)
		rc = html_finish(&w.h);
	arena_clear(&w.arena);
	return rc;
}

static const char *title_of(int status)
{
	switch (status) {
	case 401:
		return "Please log in";
	case 403:
		return "Not allowed";
	case 404:
		return "Not here";
	case 405:
		return "Not done here";
	case 429:
		return "Too many requests";
	default:
		return status < 500 ? "Not understood" : "Something went wrong";
	}
}

int web_refusal(int status, const char *text, struct buf *ret, dray_error **err)
{
	struct web w = { 0 };

	html_init(&w.h, ret, err);
	web_begin(&w, title_of(status));
	html_raw(&w.h, "<p class=\"lead\">");
	html_str(&w.h, text);
	html_raw(&w.h, "</p>\n<p class=\"note\">Status ");
	html_int(&w.h, status);
	html_raw(&w.h, "</p>\n<p><a href=\"/\">All repositories</a></p>\n");
	web_end(&w);
	arena_clear(&w.arena);
	return html_finish(&w.h);
}
