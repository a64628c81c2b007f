/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      what a registry lists: walking its pages, gathering tags and repositories.
 * Relies:   on url_allowed() for where the next page may be, on client_retry() for manners.
 * Promises: a listing that goes in circles or nowhere ends with an error (N-10); pages, bytes and names are
 *           bounded; an entry that comes twice is kept once.
 */
#include "remote/listing.h"

#include "base/limits.h"
#include "base/mem.h"
#include "json/json.h"
#include "proto/answer.h"
#include "remote/refusal.h"
#include "remote/remote_priv.h"

#define PAGE_SIZE 1000	 /* entries asked for; registries refuse more */
#define IDLE_PAGES_MAX 8 /* pages in a row without an entry, as registries that filter have them */

/* ---- from page to page ---- */

struct walk {
	struct remote *r;
	const struct listing *q;
	struct arena arena; /* of url and of the keys of seen */
	struct url url;
	struct map seen; /* pages by their path and query */
	int pages, idle;
};

static void walk_clear(struct walk *w)
{
	map_clear(&w->seen);
	arena_clear(&w->arena);
}

static int remember(struct walk *w, dray_error **err)
{
	struct span key = span_str(w->url.rest);

	if (map_find(&w->seen, key))
		return err_set(err, DRAY_ERR_NETWORK, "%s: the pages go in a circle", w->q->what);
	if (++w->pages > LIMIT_PAGES)
		return err_set(err, DRAY_ERR_LIMIT, "%s: more than %d pages (LIMIT_PAGES)",
			       w->q->what, LIMIT_PAGES);
	return map_put(&w->seen, key, w, err);
}

/* 1 = w->url is the next page, 0 = that was the last one. */
static int next_page(struct walk *w, const struct answer *a, dray_error **err)
{
	const char *link = a->http.link ? answer_link_next(span_str(a->http.link), &w->arena)
					: NULL;
	struct url to;
	bool credentials = false;

	if (!link)
		return 0;
	if (url_resolve(&w->url, link, &w->arena, &to, err) < 0 ||
	    url_allowed(URL_LINK, &w->r->base, &to, &credentials, err) < 0)
		return err_ctx(err, "%s", w->q->what);
	w->url = to;
	return remember(w, err) < 0 ? -1 : 1;
}

/* A page that is followed by others has to bring the listing on. */
static int judge(struct walk *w, const struct listing_gain *gain, int page, dray_error **err)
{
	w->idle = gain->fresh ? 0 : w->idle + 1;
	if (gain->fresh || (gain->entries == 0 && w->idle <= IDLE_PAGES_MAX))
		return 0;
	return err_set(err, DRAY_ERR_NETWORK, "%s: page %d holds nothing new, and names another",
		       w->q->what, page);
}

static int take_page(struct walk *w, struct call *call, struct answer *a, dray_error **err)
{
	struct listing_gain gain = { 0 };
	int page = w->pages, more;

	if (a->http.status != 200)
		return client_refused(&w->r->client, call, a, err);
	if (w->q->page(w->q->arg, &a->http, span_buf(&a->body), &gain, err) < 0)
		return err_ctx(err, "%s: page %d", w->q->what, page);
	more = next_page(w, a, err);
	if (more > 0 && judge(w, &gain, page, err) < 0)
		return -1;
	return more;
}

static int first_url(struct walk *w, const char *rest, dray_error **err)
{
	w->url = w->r->base;
	w->url.rest = arena_strdup(&w->arena, rest);
	return w->url.rest ? remember(w, err) : err_nomem(err);
}

/* 1 = there is another page. */
static int one_page(struct walk *w, dray_error **err)
{
	struct call call = {
		.method = "GET",
		.url = &w->url,
		.what = w->q->what,
		.accept = w->q->accept,
		.max = w->q->max ? w->q->max : LIMIT_HTTP_BODY,
	};
	cleanup_answer struct answer a = { 0 };
	int rc = client_retry(&w->r->client, &call, &a, err);

	if (rc == 0 && a.http.status == 400 && w->pages == 1 && w->q->plain)
		return first_url(w, w->q->plain, err) < 0 ? -1 : 1;
	return rc < 0 ? rc : take_page(w, &call, &a, err);
}

int listing_walk(struct remote *r, const struct listing *q, dray_error **err)
{
	struct walk w = { .r = r, .q = q };
	int rc = remote_ready(r, err);

	if (rc == 0)
		rc = first_url(&w, q->rest, err);
	if (rc == 0)
		rc = 1;
	while (rc > 0)
		rc = one_page(&w, err);
	walk_clear(&w);
	return rc < 0 ? err_ctx(err, "%s", r->name) : 0;
}

/* ---- tags and repositories ---- */

void remote_names_clear(struct remote_names *n)
{
	mem_free(n->list);
	map_clear(&n->seen);
	arena_clear(&n->arena);
	*n = (struct remote_names){ 0 };
}

int remote_names_add(struct remote_names *n, const char *name, dray_error **err)
{
	struct span key = span_str(name);
	char *copy;

	if (map_find(&n->seen, key))
		return 0;
	n->bytes += key.len + 1;
	if (n->bytes > LIMIT_LISTING)
		return err_set(err, DRAY_ERR_LIMIT, "more than %lld bytes of names (LIMIT_LISTING)",
			       (long long)LIMIT_LISTING);
	copy = arena_strdup(&n->arena, name);
	if (!copy || mem_grow(&n->list, n->n, &n->cap, sizeof(*n->list)) < 0)
		return err_nomem(err);
	if (map_put(&n->seen, span_str(copy), copy, err) < 0)
		return -1;
	n->list[n->n++] = copy;
	return 1;
}

struct gather {
	struct remote_names *names;
	const char *member; /* "tags" */
};

static int take_names(const struct gather *g, struct json list, struct listing_gain *gain,
		      dray_error **err)
{
	struct arena scratch = { 0 };
	int rc = 0;

	for (struct json it = json_first(list); json_node(it) && rc >= 0; it = json_next(it)) {
		const char *name = NULL;

		rc = json_string(it, g->member, &scratch, &name, err);
		if (rc == 0 && name)
			rc = remote_names_add(g->names, name, err);
		gain->entries++;
		gain->fresh += rc > 0;
	}
	arena_clear(&scratch);
	return rc < 0 ? -1 : 0;
}

static int names_page(void *arg, const struct http_response *head, struct span body,
		      struct listing_gain *gain, dray_error **err)
{
	const struct gather *g = arg;
	cleanup_json struct json_doc *doc = NULL;
	struct json list;

	(void)head;
	if (json_parse(body, &doc, err) < 0 ||
	    json_want(json_root(doc), JSON_OBJECT, false, "listing", err) < 0)
		return -1;
	/* Registries write null for an empty list. */
	list = json_get(json_root(doc), g->member);
	return json_want(list, JSON_ARRAY, true, g->member, err) < 0
		       ? -1
		       : take_names(g, list, gain, err);
}

/* As the specification has it; distribution 2.8 gives them as its disk does. */
static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int gather(struct remote *r, const char *plain, const char *what, const char *member,
		  struct remote_names *ret, dray_error **err)
{
	struct gather g = { ret, member };
	cleanup_free char *rest = mem_printf("%s?n=%d", plain, PAGE_SIZE);
	struct listing q = { .rest = rest,
			     .plain = plain,
			     .what = what,
			     .accept = "application/json",
			     .page = names_page,
			     .arg = &g };

	*ret = (struct remote_names){ 0 };
	if (!rest)
		return err_nomem(err);
	if (listing_walk(r, &q, err) < 0) {
		remote_names_clear(ret);
		return -1;
	}
	if (ret->n)
		qsort(ret->list, ret->n, sizeof(*ret->list), by_bytes);
	return 0;
}

int remote_tags(struct remote *r, struct remote_names *ret, dray_error **err)
{
	cleanup_free char *plain = mem_printf("/v2/%s/tags/list", r->ref.path);

	return plain ? gather(r, plain, "list tags", "tags", ret, err) : err_nomem(err);
}

int remote_catalog(struct remote *r, struct remote_names *ret, dray_error **err)
{
	return gather(r, "/v2/_catalog", "list repositories", "repositories", ret, err);
}
