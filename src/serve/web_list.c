/* SPDX-License-Identifier: Apache-2.0
 *
 * For: pages that list: repositories, and the tags of one, with what has none.
 * Relies on the shelf for pages of names in the order of their bytes.
 * Promises: one page of names is read, and a beginning of each one's, however many there are.
 */
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "proto/url.h"
#include "serve/web_priv.h"

#define TAGS_SHOWN 5			 /* of each repository, beside its name */
#define QUERY_MAX (4 * ROUTE_TARGET_MAX) /* what was asked, each byte as "%XX", and a name */

/* ---- names that begin as asked ---- */

/*
 * What sorts right before all that begin with @p prefix: no name has a byte above '~'. *ret NULL =
 * from the start.
 */
static int before_prefix(const char *prefix, struct arena *a, const char **ret, dray_error **err)
{
	size_t len = strlen(prefix);
	char *text;

	*ret = NULL;
	if (len == 0)
		return 0;
	text = arena_printf(a, "%s\x7f", prefix);
	if (!text)
		return err_nomem(err);
	text[len - 1]--;
	*ret = text;
	return 0;
}

static int list_names(struct web *w, struct shelf_page *ret, dray_error **err)
{
	const struct route *r = w->ask->route;
	struct shelf *s = web_here(w);
	struct shelf_part part = { .after = r->last, .max = WEB_NAMES };
	const char *prefix = r->prefix ? r->prefix : "", *from;
	int rc;

	if (before_prefix(prefix, &w->arena, &from, err) < 0)
		return -1;
	if (from && (!part.after || strcmp(part.after, from) < 0))
		part.after = from;
	rc = r->repo ? s->ops->tags(s, r->repo, &part, ret, err)
		     : s->ops->repositories(s, &part, ret, err);
	for (size_t i = 0; rc == 0 && i < ret->n; i++) {
		if (strncmp(ret->names[i], prefix, strlen(prefix)) == 0)
			continue;
		ret->n = i;
		ret->more = false;
	}
	return rc;
}

/* ---- around a list ---- */

static void add_search(struct web *w, const char *what)
{
	const struct route *r = w->ask->route;
	struct html *h = &w->h;

	html_raw(h, "<form role=\"search\" action=\"");
	html_str(h, r->repo ? web_repo_path(w, r->repo) : "/");
	html_raw(h, "\"><label for=\"q\">");
	html_str(h, what);
	html_raw(h, " that begin with</label> <input id=\"q\" name=\"q\" type=\"search\" "
		    "maxlength=\"255\" autocomplete=\"off\" "
		    "spellcheck=\"false\" value=\"");
	html_str(h, r->prefix ? r->prefix : "");
	html_raw(h, "\"> <button>Find</button></form>\n");
}

/* A query for the same list: from @p last on, NULL = its first page. */
static const char *query_of(struct web *w, const char *last)
{
	cleanup_buf struct buf q = BUF_INIT(QUERY_MAX);
	const char *prefix = w->ask->route->prefix;
	bool ok = true;

	if (prefix && *prefix)
		ok = buf_add_str(&q, "q=", NULL) == 0 && url_query_escape(&q, prefix, NULL) == 0;
	if (ok && last)
		ok = buf_add_str(&q, q.len ? "&last=" : "last=", NULL) == 0 &&
		     url_query_escape(&q, last, NULL) == 0;
	return web_keep(w,
			ok ? arena_strndup(&w->arena, q.len ? (char *)q.data : "", q.len) : NULL);
}

static void add_step(struct web *w, const char *last, const char *rel, const char *text)
{
	const struct route *r = w->ask->route;

	html_raw(&w->h, "<a rel=\"");
	html_str(&w->h, rel);
	html_raw(&w->h, "\" href=\"");
	html_str(&w->h, r->repo ? web_repo_path(w, r->repo) : "/");
	html_raw(&w->h, "?");
	html_str(&w->h, query_of(w, last));
	html_raw(&w->h, "\">");
	html_str(&w->h, text);
	html_raw(&w->h, "</a> ");
}

static void add_steps(struct web *w, const struct shelf_page *p)
{
	bool later = w->ask->route->last != NULL;

	if (!later && !p->more)
		return;
	html_raw(&w->h, "<nav class=\"pages\" aria-label=\"Pages\">");
	if (later)
		add_step(w, NULL, "first", "« First page");
	if (p->more && p->n > 0)
		add_step(w, p->names[p->n - 1], "next", "Next page »");
	html_raw(&w->h, "</nav>\n");
}

static bool searched(const struct web *w)
{
	const struct route *r = w->ask->route;

	return r->last || (r->prefix && *r->prefix);
}

static void add_nothing(struct web *w, const char *what)
{
	html_raw(&w->h, "<p class=\"note\">There are no ");
	html_str(&w->h, what);
	html_str(&w->h, searched(w) ? " here that begin so." : " here yet.");
	html_raw(&w->h, "</p>\n");
}

/* ---- repositories ---- */

/* The first tags, as links. A repository that is refused, or went meanwhile, shows none. */
static int add_tags(struct web *w, const char *repo, dray_error **err)
{
	cleanup_shelf_page struct shelf_page tags = { 0 };
	const struct shelf_part part = { .max = TAGS_SHOWN };
	struct shelf *s = web_here(w);
	cleanup_error dray_error *gone = NULL;

	if (s->ops->tags(s, repo, &part, &tags, &gone) < 0) {
		if (dray_error_http_status(gone) > 0)
			return 0;
		*err = steal_pointer(&gone);
		return -1;
	}
	for (size_t i = 0; i < tags.n; i++) {
		html_raw(&w->h, "<a class=\"tag\" href=\"");
		html_str(&w->h,
			 web_image_path(w, repo, &(struct shelf_ref){ .tag = tags.names[i] }));
		html_raw(&w->h, "\">");
		html_str(&w->h, tags.names[i]);
		html_raw(&w->h, "</a> ");
	}
	if (tags.more)
		html_raw(&w->h, "…");
	return 0;
}

static int add_repo(struct web *w, const char *repo, dray_error **err)
{
	html_raw(&w->h, "<tr><th scope=\"row\"><a href=\"");
	html_str(&w->h, web_repo_path(w, repo));
	html_raw(&w->h, "\">");
	html_str(&w->h, repo);
	html_raw(&w->h, "</a></th>");
	if (w->ask->tags) {
		html_raw(&w->h, "<td>");
		if (add_tags(w, repo, err) < 0)
			return -1;
		html_raw(&w->h, "</td>");
	}
	html_raw(&w->h, "</tr>\n");
	return 0;
}

static void add_push(struct web *w)
{
	struct html *h = &w->h;

	if (!w->ask->writes || searched(w))
		return;
	html_raw(h, "<p>This brings the first one:</p>\n<pre class=\"command\"><code>docker tag "
		    "IMAGE ");
	html_str(h, w->ask->host);
	html_raw(h, "/NAME:TAG\ndocker push ");
	html_str(h, w->ask->host);
	html_raw(h, "/NAME:TAG</code></pre>\n");
}

int web_home(struct web *w, dray_error **err)
{
	cleanup_shelf_page struct shelf_page repos = { 0 };

	if (list_names(w, &repos, err) < 0)
		return -1;
	web_begin(w, "Repositories");
	add_search(w, "Repositories");
	if (repos.n == 0) {
		add_nothing(w, "repositories");
		add_push(w);
	} else {
		html_raw(&w->h, "<table><thead><tr><th scope=\"col\">Repository</th>");
		if (w->ask->tags)
			html_raw(&w->h, "<th scope=\"col\">Tags</th>");
		html_raw(&w->h, "</tr></thead><tbody>\n");
		for (size_t i = 0; i < repos.n; i++)
			if (add_repo(w, repos.names[i], err) < 0)
				return -1;
		html_raw(&w->h, "</tbody></table>\n");
	}
	add_steps(w, &repos);
	web_end(w);
	return 0;
}

/* ---- tags ---- */

/* A row of what @p ref names, up to its last cell, which is open: 1, 0 = it went meanwhile, -1. */
static int begin_row(struct web *w, const struct shelf_ref *ref, struct web_summary *ret,
		     dray_error **err)
{
	if (web_summary(w, ref, ret, err) < 0)
		return -1;
	if (ret->gone)
		return 0;
	html_raw(&w->h, "<tr><th scope=\"row\">");
	web_image_link(w, ref);
	web_summary_cells(w, ret);
	return 1;
}

static int add_tag(struct web *w, const char *tag, dray_error **err)
{
	const struct shelf_ref ref = { .tag = tag };
	struct web_summary s;
	int rc = begin_row(w, &ref, &s, err);

	if (rc <= 0)
		return rc;
	if (digest_set(&s.digest))
		web_image_link(w, &(struct shelf_ref){ .digest = s.digest });
	html_raw(&w->h, "</td></tr>\n");
	return 0;
}

static int list_tags(struct web *w, const struct shelf_page *tags, dray_error **err)
{
	html_raw(&w->h, "<table><thead><tr><th scope=\"col\">Tag</th>"
			"<th scope=\"col\">What it names</th>"
			"<th scope=\"col\" class=\"number\">Size</th>"
			"<th scope=\"col\">Digest</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < tags->n; i++)
		if (add_tag(w, tags->names[i], err) < 0)
			return -1;
	html_raw(&w->h, "</tbody></table>\n");
	return 0;
}

/* ---- what no tag names ---- */

static int add_untagged(struct web *w, const struct shelf_referrer *r, dray_error **err)
{
	const struct shelf_ref ref = { .digest = r->digest };
	struct web_summary s;
	int rc = begin_row(w, &ref, &s, err);

	if (rc <= 0)
		return rc;
	html_cut(&w->h, span_str(r->media_type), WEB_TEXT);
	html_raw(&w->h, "</td></tr>\n");
	return 0;
}

static int list_untagged(struct web *w, const struct shelf_referrers *list, dray_error **err)
{
	html_raw(&w->h, "<table class=\"kinds\"><thead><tr><th scope=\"col\">Digest</th>"
			"<th scope=\"col\">What it is</th>"
			"<th scope=\"col\" class=\"number\">Size</th>"
			"<th scope=\"col\">Media type</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < list->n; i++)
		if (add_untagged(w, &list->list[i], err) < 0)
			return -1;
	html_raw(&w->h, "</tbody></table>\n");
	return 0;
}

static void add_untagged_steps(struct web *w, const struct shelf_referrers *list)
{
	const char *path = web_repo_path(w, w->ask->route->repo);
	bool alone = w->ask->route->untagged != NULL;

	if (!alone && !list->more)
		return;
	html_raw(&w->h, "<nav class=\"pages\" aria-label=\"Pages of these\">");
	if (alone) {
		html_raw(&w->h, "<a rel=\"first\" href=\"");
		html_str(&w->h, path);
		html_raw(&w->h, "\">« Tags</a> ");
	}
	if (list->more && list->n > 0) {
		html_raw(&w->h, "<a rel=\"next\" href=\"");
		html_str(&w->h, path);
		html_raw(&w->h, "?untagged=");
		html_str(&w->h, list->list[list->n - 1].digest.text);
		html_raw(&w->h, "\">More of these »</a>");
	}
	html_raw(&w->h, "</nav>\n");
}

/* Below the first tags, or alone; nothing where there are none. */
static int untagged_part(struct web *w, dray_error **err)
{
	cleanup_shelf_referrers struct shelf_referrers list = { 0 };
	const struct route *r = w->ask->route;
	const char *after = r->untagged && *r->untagged ? r->untagged : NULL;
	const struct shelf_part part = { .after = after, .max = WEB_UNTAGGED };
	struct shelf *s = web_here(w);

	if (!s->ops->untagged || (searched(w) && !r->untagged))
		return 0;
	if (s->ops->untagged(s, r->repo, &part, &list, err) < 0)
		return -1;
	if (list.n == 0 && !r->untagged)
		return 0;
	html_raw(&w->h, "<section><h2>Without a tag</h2>\n<p class=\"note\">Found by digest alone: "
			"parts of "
			"indexes, signatures and what else refers to something, images whose tag "
			"was moved or removed.</p>\n");
	if (list.n == 0)
		html_raw(&w->h, "<p class=\"note\">There are no more of them.</p>\n");
	else if (list_untagged(w, &list, err) < 0)
		return -1;
	html_raw(&w->h, "</section>\n");
	add_untagged_steps(w, &list);
	return 0;
}

/* ---- a repository ---- */

static int tags_part(struct web *w, const struct shelf_page *p, dray_error **err)
{
	add_search(w, "Tags");
	if (p->n == 0)
		add_nothing(w, "tags");
	else if (list_tags(w, p, err) < 0)
		return -1;
	add_steps(w, p);
	return 0;
}

int web_repo(struct web *w, dray_error **err)
{
	cleanup_shelf_page struct shelf_page page = { 0 };
	const struct route *r = w->ask->route;

	/* Whether there is such a repository is found out before anything is written. */
	if (list_names(w, &page, err) < 0)
		return -1;
	web_begin(w, r->repo);
	if ((!r->untagged && tags_part(w, &page, err) < 0) || untagged_part(w, err) < 0)
		return -1;
	web_end(w);
	return 0;
}
