/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the layers of an image: what made each, how large it is, what it is called, what of it is
 * hidden by later ones.
 * Relies on the config for histories and DiffIDs, on whoever runs the server for looks into layers.
 * Promises: a history that does not fit the layers is told and not shown beside them.
 */
#include "base/mem.h"
#include "base/text.h"
#include "serve/web_priv.h"

#define COLOURS 6 /* of the picture; the style has as many */

/* The layers of one image, and what is known about them. */
struct layers {
	const struct manifest *m;
	const struct config *c;	    /* NULL */
	struct digest *chain;	    /* of each layer; NULL = the config says no DiffIDs for them */
	struct serve_layer *looked; /* of each layer; NULL */
	const char *trouble;	    /* why nothing was found out; NULL */
	bool history;		    /* its entries are of these layers */
	int64_t sum;		    /* of sizes, those that the picture is of */
};

static int64_t size_of(const struct layers *l, size_t i)
{
	int64_t size = l->looked ? l->looked[i].size : l->m->entries[i].size;

	return size > 0 ? size : 0;
}

static int64_t add_sizes(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* ---- what is known ---- */

static bool history_fits(const struct config *c, size_t n_layers)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_history; i++)
		n += !c->history[i].empty_layer;
	return n == n_layers && n > 0;
}

/* What was not meant for clients is in the log, by the callback. */
static int look_failed(struct web *w, struct layers *l, dray_error *told, dray_error **err)
{
	const char *text = dray_error_http_status(told) > 0 ? dray_error_message(told)
							    : "the layers cannot be read";

	l->trouble = web_keep(w, arena_strdup(&w->arena, text));
	l->looked = NULL;
	return web_pass_over(told, err);
}

static int look(struct web *w, struct layers *l, dray_error **err)
{
	const struct web_ask *ask = w->ask;
	dray_error *told = NULL;

	if (!ask->route->look || !ask->look || !l->c || l->m->n_entries == 0)
		return 0;
	l->looked = arena_array(&w->arena, l->m->n_entries, sizeof(*l->looked));
	if (!l->looked)
		return err_nomem(err);
	if (ask->look(ask->arg, ask->route->repo, l->m, l->looked, &told) < 0)
		return look_failed(w, l, told, err);
	return 0;
}

static int know(struct web *w, struct layers *l, dray_error **err)
{
	size_t n = l->m->n_entries;

	if (l->c && l->c->n_diff_ids == n && n > 0) {
		l->chain = arena_array(&w->arena, n, sizeof(*l->chain));
		if (!l->chain)
			return err_nomem(err);
		if (chain_ids(l->c->diff_ids, n, l->chain, err) < 0)
			return -1;
	}
	l->history = l->c && history_fits(l->c, n);
	if (look(w, l, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		l->sum = add_sizes(l->sum, size_of(l, i));
	return 0;
}

/* ---- the picture ---- */

static void add_colour(struct html *h, size_t i)
{
	html_raw(h, "c");
	html_int(h, (int64_t)(i % COLOURS));
}

static void add_rect(struct web *w, const struct layers *l, size_t i, int64_t from)
{
	struct html *h = &w->h;

	html_raw(h, "<rect class=\"");
	add_colour(h, i);
	html_raw(h, "\" x=\"");
	html_share(h, from, l->sum);
	html_raw(h, "\" y=\"0\" height=\"100%\" width=\"");
	html_share(h, size_of(l, i), l->sum);
	html_raw(h, "\"><title>layer ");
	html_int(h, (int64_t)i + 1);
	html_raw(h, ": ");
	html_share(h, size_of(l, i), l->sum);
	html_raw(h, "</title></rect>");
	if (!l->looked || l->looked[i].hidden <= 0)
		return;
	html_raw(h, "<rect class=\"hidden\" x=\"");
	html_share(h, from, l->sum);
	html_raw(h, "\" y=\"55%\" height=\"45%\" width=\"");
	html_share(h, l->looked[i].hidden, l->sum);
	html_raw(h, "\"><title>hidden of layer ");
	html_int(h, (int64_t)i + 1);
	html_raw(h, "</title></rect>");
}

static void add_picture(struct web *w, const struct layers *l)
{
	struct html *h = &w->h;
	int64_t from = 0;

	if (l->sum == 0 || l->m->n_entries > WEB_LAYERS)
		return;
	html_raw(h, "<svg class=\"picture\" role=\"img\" aria-label=\"Share of each layer\">"
		    "<defs><pattern id=\"stripes\" width=\"6\" height=\"6\" "
		    "patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
		    "<rect width=\"3\" height=\"6\"/></pattern></defs>\n");
	for (size_t i = 0; i < l->m->n_entries; i++) {
		add_rect(w, l, i, from);
		from = add_sizes(from, size_of(l, i));
	}
	html_raw(h, "</svg>\n");
}

/* ---- what a look found ---- */

static void add_found(struct web *w, const struct layers *l)
{
	struct html *h = &w->h;
	int64_t files = 0, hidden = 0;

	for (size_t i = 0; i < l->m->n_entries; i++) {
		files = add_sizes(files, l->looked[i].files);
		hidden = add_sizes(hidden, l->looked[i].hidden);
	}
	html_raw(h, "<p id=\"efficiency\"><strong>");
	html_share(h, files - hidden, files ? files : 1);
	html_raw(h, "</strong> of what the files of its layers have is seen in the end. Later "
		    "layers replace or delete the rest, ");
	html_size(h, hidden);
	html_raw(h, " of ");
	html_size(h, files);
	html_raw(h, ", which is sent and stored all the same. <code>dray inspect "
		    "--efficiency</code> tells which files. The picture has the sizes of "
		    "uncompressed layers; what is hidden is striped.</p>\n");
}

/* Nothing is decoded before somebody asks for it. */
static void add_offer(struct web *w, const struct layers *l)
{
	struct html *h = &w->h;

	if (l->trouble) {
		html_raw(h, "<p id=\"efficiency\" class=\"note\">What layers hide of each other is "
			    "not known: ");
		html_str(h, l->trouble);
		html_raw(h, ".</p>\n");
	} else if (w->ask->look && l->c && l->m->n_entries > 0) {
		html_raw(h, "<p class=\"note\"><a rel=\"nofollow\" href=\"?efficiency=1"
			    "#efficiency\">Look into the layers</a>: reads ");
		html_size(h, l->sum);
		html_raw(h, ", and shows what later layers hide of earlier ones.</p>\n");
	}
}

/* ---- one step ---- */

static void add_name(struct web *w, const char *what, const struct digest *d)
{
	if (!d || !digest_set(d))
		return;
	html_raw(&w->h, "<dt>");
	html_str(&w->h, what);
	html_raw(&w->h, "</dt><dd>");
	web_digest(w, d);
	html_raw(&w->h, "</dd>");
}

static void add_names(struct web *w, const struct layers *l, size_t i)
{
	const struct descriptor *d = &l->m->entries[i];
	struct html *h = &w->h;

	html_raw(h, "<details><summary>Digests</summary><dl>");
	add_name(w, "Blob", &d->digest);
	if (l->chain) {
		add_name(w, "DiffID", &l->c->diff_ids[i]);
		add_name(w, "ChainID", &l->chain[i]);
	}
	html_raw(h, "<dt>Media type</dt><dd>");
	html_cut(h, span_str(d->media_type ? d->media_type : "none"), WEB_TEXT);
	html_raw(h, "</dd></dl></details>");
}

/* What Docker's classic builder puts before instructions that run nothing. */
static struct span instruction(const char *created_by)
{
	static const char nop[] = "/bin/sh -c #(nop) ";
	struct span s = span_str(created_by);

	if (!span_starts(s, nop))
		return s;
	s = span_from(s, strlen(nop));
	while (s.len > 0 && s.data[0] == ' ')
		s = span_from(s, 1);
	return s;
}

static void add_maker(struct web *w, const struct history *made)
{
	struct html *h = &w->h;

	if (made->created_by && *made->created_by) {
		html_raw(h, "<code class=\"step\">");
		html_cut(h, instruction(made->created_by), WEB_TEXT);
		html_raw(h, "</code>");
	}
	/* BuildKit's says of every step that BuildKit made it. */
	if (made->comment && *made->comment && !span_starts(span_str(made->comment), "buildkit.")) {
		html_raw(h, "<p class=\"note\">");
		html_cut(h, span_str(made->comment), WEB_TEXT);
		html_raw(h, "</p>");
	}
}

/* The title that artifacts give their files. */
static int add_title(struct web *w, const struct descriptor *d, dray_error **err)
{
	const char *title = NULL;
	dray_error *told = NULL;

	if (descriptor_annotation(d, "org.opencontainers.image.title", &w->arena, &title, &told) <
	    0)
		return web_pass_over(told, err);
	if (!title)
		return 0;
	html_raw(&w->h, "<code class=\"step\">");
	html_cut(&w->h, span_str(title), WEB_TEXT);
	html_raw(&w->h, "</code>");
	return 0;
}

/* A size that the picture is of, and what share of it. */
static void add_share(struct web *w, const struct layers *l, size_t i)
{
	html_size(&w->h, size_of(l, i));
	html_raw(&w->h, "<br><span class=\"note\">");
	html_share(&w->h, size_of(l, i), l->sum);
	html_raw(&w->h, "</span>");
}

static void add_sizes_of(struct web *w, const struct layers *l, size_t i)
{
	if (!l->looked) {
		add_share(w, l, i);
		return;
	}
	html_size(&w->h, l->m->entries[i].size);
	html_raw(&w->h, "</td><td class=\"number\">");
	add_share(w, l, i);
	html_raw(&w->h, "</td><td class=\"number\">");
	html_size(&w->h, l->looked[i].hidden);
}

/* @p i = the layer that @p made tells of, or -1; made may be NULL for a layer. */
static int add_step(struct web *w, const struct layers *l, const struct history *made, int64_t i,
		    dray_error **err)
{
	struct html *h = &w->h;

	html_raw(h, "<tr");
	if (i < 0) {
		html_raw(h, " class=\"empty\"><td></td><td>");
		add_maker(w, made);
		html_raw(h, "</td><td class=\"number note\">no layer</td>");
		if (l->looked)
			html_raw(h, "<td></td><td></td>");
		html_raw(h, "</tr>\n");
		return 0;
	}
	html_raw(h, "><th scope=\"row\" class=\"");
	add_colour(h, (size_t)i);
	html_raw(h, "\">");
	html_int(h, i + 1);
	html_raw(h, "</th><td>");
	if (made)
		add_maker(w, made);
	else if (add_title(w, &l->m->entries[i], err) < 0)
		return -1;
	add_names(w, l, (size_t)i);
	html_raw(h, "</td><td class=\"number\">");
	add_sizes_of(w, l, (size_t)i);
	html_raw(h, "</td></tr>\n");
	return 0;
}

/* ---- all of them ---- */

static int add_steps(struct web *w, const struct layers *l, dray_error **err)
{
	size_t n = l->history ? l->c->n_history : l->m->n_entries;
	size_t shown = n < WEB_LAYERS ? n : WEB_LAYERS;
	int64_t layer = 0;

	for (size_t i = 0; i < shown; i++) {
		const struct history *made = l->history ? &l->c->history[i] : NULL;
		bool empty = made && made->empty_layer;

		if (add_step(w, l, made, empty ? -1 : layer, err) < 0)
			return -1;
		layer += !empty;
	}
	html_raw(&w->h, "</tbody></table></div>\n");
	web_more(w, n - shown, l->history ? "steps" : "layers");
	return 0;
}

static void add_head(struct web *w, const struct layers *l)
{
	struct html *h = &w->h;

	html_raw(h, "<div class=\"wide\" role=\"region\" aria-labelledby=\"layers\" tabindex=\"0\">"
		    "<table class=\"layers");
	html_str(h, l->looked ? " looked" : "");
	html_raw(h, "\"><thead><tr><th scope=\"col\">#</th><th scope=\"col\">");
	html_str(h, l->history ? "What made it" : "Layer");
	html_raw(h, "</th><th scope=\"col\" class=\"number\">Size</th>");
	if (l->looked)
		html_raw(h, "<th scope=\"col\" class=\"number\">Uncompressed</th>"
			    "<th scope=\"col\" class=\"number\">Hidden</th>");
	html_raw(h, "</tr></thead><tbody>\n");
}

int web_layers(struct web *w, const struct manifest *m, const struct config *c, dray_error **err)
{
	struct layers l = { .m = m, .c = c };
	struct html *h = &w->h;

	if (know(w, &l, err) < 0)
		return -1;
	html_raw(h, "<section><h2 id=\"layers\">Layers</h2>\n");
	if (m->n_entries == 0) {
		html_raw(h, "<p class=\"note\">It has none.</p></section>\n");
		return 0;
	}
	add_picture(w, &l);
	if (l.looked)
		add_found(w, &l);
	else
		add_offer(w, &l);
	if (c && c->n_history > 0 && !l.history)
		html_raw(h, "<p class=\"note\">The history in its config is of another number of "
			    "layers, and is not shown.</p>\n");
	add_head(w, &l);
	if (add_steps(w, &l, err) < 0)
		return -1;
	html_raw(h, "</section>\n");
	return 0;
}
