/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the page of what a tag or a digest names: an image, an index, an artifact.
 * Relies on image/ to read documents, on the other web_*.c for the sections.
 * Promises: a document that cannot be read is said to be so, and the rest of its page is there.
 */
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "proto/url.h"
#include "serve/web_priv.h"

/* ---- documents ---- */

/* *ret NULL: it is none that we read. */
static int parse(struct shelf_doc *d, struct manifest **ret, dray_error **err)
{
	dray_error *told = NULL;

	*ret = NULL;
	if (manifest_parse(&d->bytes, d->media_type, ret, &told) == 0)
		return 0;
	return web_pass_over(told, err);
}

/* All of it, proven. */
static int read_blob(const struct shelf_blob *b, const struct digest *d, struct source *data,
		     struct buf *ret, dray_error **err)
{
	cleanup_source struct source *in = source_verified(data, d, b->size, "config digest", err);

	return in ? source_slurp(in, ret, err) : -1;
}

static int config_of(struct web *w, const struct descriptor *d, struct config **ret,
		     dray_error **err)
{
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	cleanup_buf struct buf raw = BUF_INIT(WEB_CONFIG_MAX);
	struct shelf *s = w->ask->shelf;
	struct source *data;

	if (d->size > WEB_CONFIG_MAX)
		return err_set(err, DRAY_ERR_LIMIT, "a config that is too large for a page");
	if (s->ops->blob(s, w->ask->route->repo, &d->digest, true, &b, err) < 0)
		return -1;
	data = shelf_blob_open(&b, err);
	if (!data || read_blob(&b, &d->digest, data, &raw, err) < 0)
		return -1;
	return config_parse(&raw, ret, err);
}

/* *ret NULL: it has none, or none that can be read. */
static int read_config(struct web *w, const struct manifest *m, struct config **ret,
		       dray_error **err)
{
	dray_error *told = NULL;

	*ret = NULL;
	if (m->kind != MANIFEST_IMAGE || manifest_is_artifact(m) ||
	    config_of(w, &m->config, ret, &told) == 0)
		return 0;
	return web_pass_over(told, err);
}

/* ---- summaries ---- */

static int64_t total_size(const struct manifest *m)
{
	int64_t sum = m->config.size;

	for (size_t i = 0; i < m->n_entries; i++)
		if (__builtin_add_overflow(sum, m->entries[i].size, &sum))
			return -1;
	return sum;
}

static const char *kind_of(const struct manifest *m)
{
	if (m->kind == MANIFEST_INDEX)
		return "index";
	if (m->kind == MANIFEST_SCHEMA1)
		return "image of an early Docker";
	return manifest_is_artifact(m) ? "artifact" : "image";
}

static int summarise(struct shelf_doc *d, struct web_summary *ret, dray_error **err)
{
	cleanup_manifest struct manifest *m = NULL;

	*ret = (struct web_summary){ .digest = d->digest, .kind = "document", .size = -1 };
	if (d->size > WEB_SUMMARY_MAX)
		return 0;
	if (parse(d, &m, err) < 0)
		return -1;
	if (!m)
		return 0;
	ret->kind = kind_of(m);
	if (m->kind == MANIFEST_IMAGE)
		ret->size = total_size(m);
	else if (m->kind == MANIFEST_INDEX)
		ret->entries = m->n_entries;
	return 0;
}

/* Its bytes only where they are to be read. */
static int small_document(struct web *w, const struct shelf_ref *ref, struct shelf_doc *ret,
			  dray_error **err)
{
	const char *repo = w->ask->route->repo;
	struct shelf *s = web_here(w);

	if (s->ops->manifest(s, repo, ref, false, ret, err) < 0)
		return -1;
	if (ret->size > WEB_SUMMARY_MAX)
		return 0;
	shelf_doc_clear(ret);
	return s->ops->manifest(s, repo, ref, true, ret, err);
}

int web_summary(struct web *w, const struct shelf_ref *ref, struct web_summary *ret,
		dray_error **err)
{
	cleanup_shelf_doc struct shelf_doc d = { 0 };
	cleanup_error dray_error *told = NULL;
	int status;

	if (small_document(w, ref, &d, &told) == 0)
		return summarise(&d, ret, err);
	status = dray_error_http_status(told);
	*ret = (struct web_summary){ .gone = status == 404, .kind = "not known", .size = -1 };
	if (status > 0)
		return 0;
	*err = steal_pointer(&told);
	return -1;
}

static void add_kind(struct web *w, const struct web_summary *s)
{
	html_str(&w->h, s->gone ? "not here" : s->kind);
	if (s->entries == 0)
		return;
	html_raw(&w->h, " of ");
	html_int(&w->h, (int64_t)s->entries);
}

void web_summary_cells(struct web *w, const struct web_summary *s)
{
	html_raw(&w->h, "</th><td>");
	add_kind(w, s);
	html_raw(&w->h, "</td><td class=\"number\">");
	if (s->size >= 0)
		html_size(&w->h, s->size);
	html_raw(&w->h, "</td><td>");
}

/* ---- what it is ---- */

static void add_term(struct web *w, const char *what)
{
	html_raw(&w->h, "<dt>");
	html_str(&w->h, what);
	html_raw(&w->h, "</dt><dd>");
}

static void add_time(struct web *w, const char *text)
{
	char utc[TIME_TEXT];
	int64_t sec;
	int32_t nsec, off;

	add_term(w, "Created");
	if (time_parse_rfc3339(span_str(text), &sec, &nsec, &off)) {
		html_raw(&w->h, "<time datetime=\"");
		html_str(&w->h, time_format_utc(sec, 0, utc));
		html_raw(&w->h, "\">");
		html_str(&w->h, utc);
		html_raw(&w->h, "</time>");
	} else {
		html_cut(&w->h, span_str(text), WEB_TEXT);
	}
	html_raw(&w->h, "</dd>\n");
}

static int add_platform(struct web *w, const struct platform *p, dray_error **err)
{
	cleanup_free char *text = platform_text(p);

	if (!text)
		return err_nomem(err);
	html_cut(&w->h, span_str(text), WEB_TEXT);
	return 0;
}

static int add_author(struct web *w, const struct config *c, dray_error **err)
{
	struct json author = json_get_fold(json_root(c->doc), "author");
	struct span text;

	if (json_type(author) != JSON_STRING)
		return 0;
	if (json_string_bytes(author, "author", &w->arena, &text, err) < 0)
		return -1;
	if (text.len == 0)
		return 0;
	add_term(w, "Author");
	html_cut(&w->h, text, WEB_TEXT);
	html_raw(&w->h, "</dd>\n");
	return 0;
}

static int add_of_config(struct web *w, const struct config *c, dray_error **err)
{
	add_term(w, "Platform");
	if (add_platform(w, &c->platform, err) < 0)
		return -1;
	html_raw(&w->h, "</dd>\n");
	if (c->created)
		add_time(w, c->created);
	return add_author(w, c, err);
}

static void add_of_manifest(struct web *w, const struct manifest *m)
{
	struct html *h = &w->h;
	int64_t size = m->kind == MANIFEST_IMAGE ? total_size(m) : -1;

	if (m->artifact_type) {
		add_term(w, "Artifact type");
		html_cut(h, span_str(m->artifact_type), WEB_TEXT);
		html_raw(h, "</dd>\n");
	}
	if (size < 0)
		return;
	add_term(w, "To download");
	html_size(h, size);
	html_raw(h, " in ");
	html_int(h, (int64_t)m->n_entries);
	html_str(h, m->n_entries == 1 ? " layer" : " layers");
	html_raw(h, "</dd>\n");
}

static int add_facts(struct web *w, const struct shelf_doc *d, const struct manifest *m,
		     const struct config *c, dray_error **err)
{
	html_raw(&w->h, "<dl class=\"facts\">\n");
	add_term(w, "What it is");
	html_str(&w->h, m ? kind_of(m) : "a document that cannot be read");
	html_raw(&w->h, "</dd>\n");
	if (c && add_of_config(w, c, err) < 0)
		return -1;
	if (m)
		add_of_manifest(w, m);
	add_term(w, "Media type");
	html_cut(&w->h, span_str(d->media_type), WEB_TEXT);
	html_raw(&w->h, "</dd>\n</dl>\n");
	return 0;
}

/* ---- digests ---- */

static void add_digest(struct web *w, const char *what, const struct digest *d, const char *link,
		       const char *meaning)
{
	struct html *h = &w->h;

	html_raw(h, "<dt>");
	html_str(h, what);
	html_raw(h, "</dt><dd>");
	web_digest(w, d);
	html_raw(h, "<p class=\"note\">");
	html_str(h, meaning);
	html_raw(h, " <a href=\"/v2/");
	html_str(h, w->ask->route->repo);
	html_raw(h, "/");
	html_str(h, link);
	html_raw(h, "/");
	html_str(h, d->text);
	html_raw(h, "\">As stored</a></p></dd>\n");
}

static int add_chain(struct web *w, const struct config *c, dray_error **err)
{
	struct digest *chain;
	size_t n = c->n_diff_ids;

	if (n == 0)
		return 0;
	chain = arena_array(&w->arena, n, sizeof(*chain));
	if (!chain)
		return err_nomem(err);
	if (chain_ids(c->diff_ids, n, chain, err) < 0)
		return -1;
	html_raw(&w->h, "<dt>ChainID</dt><dd>");
	web_digest(w, &chain[n - 1]);
	html_raw(&w->h,
		 "<p class=\"note\">Of the whole stack of layers, uncompressed: what engines "
		 "call it on their disks. Images with the same one have the same "
		 "files.</p></dd>\n");
	return 0;
}

static int add_digests(struct web *w, const struct shelf_doc *d, const struct manifest *m,
		       const struct config *c, dray_error **err)
{
	html_raw(&w->h, "<section><h2>Digests</h2>\n<dl>\n");
	add_digest(w, m && m->kind == MANIFEST_INDEX ? "Index digest" : "Manifest digest",
		   &d->digest, "manifests",
		   "Of the document that names everything else: pulling by it always brings the "
		   "same bytes.");
	if (m && m->kind == MANIFEST_IMAGE && digest_set(&m->config.digest))
		add_digest(w, c ? "Image ID" : "Config digest", &m->config.digest, "blobs",
			   c ? "Of the config. Docker and podman list images by it; it stays the "
			       "same when layers are compressed in another way."
			     : "Of what the manifest calls its config.");
	if (c && add_chain(w, c, err) < 0)
		return -1;
	html_raw(&w->h, "</dl></section>\n");
	return 0;
}

/* ---- an index ---- */

static int add_entry(struct web *w, const struct descriptor *e, dray_error **err)
{
	const struct shelf_ref ref = { .digest = e->digest };
	struct web_summary s;

	if (web_summary(w, &ref, &s, err) < 0)
		return -1;
	html_raw(&w->h, "<tr><th scope=\"row\">");
	if (descriptor_is_attestation(e))
		html_raw(&w->h, "attestation");
	else if (add_platform(w, &e->platform, err) < 0)
		return -1;
	web_summary_cells(w, &s);
	web_image_link(w, &ref);
	html_raw(&w->h, "</td></tr>\n");
	return 0;
}

static int add_entries(struct web *w, const struct manifest *m, dray_error **err)
{
	size_t shown = m->n_entries < WEB_ROWS ? m->n_entries : WEB_ROWS;

	html_raw(&w->h, "<section><h2>Platforms</h2>\n<table><thead><tr>"
			"<th scope=\"col\">Platform</th><th scope=\"col\">What it is</th>"
			"<th scope=\"col\" class=\"number\">Size</th>"
			"<th scope=\"col\">Digest</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < shown; i++)
		if (add_entry(w, &m->entries[i], err) < 0)
			return -1;
	html_raw(&w->h, "</tbody></table>\n");
	web_more(w, m->n_entries - shown, "entries");
	html_raw(&w->h, "</section>\n");
	return 0;
}

/* ---- what refers to it ---- */

/* What people call documents of these types. */
static const char *name_of_type(const char *type)
{
	static const struct {
		const char *part, *name;
	} names[] = {
		{ "cosign", "signature" },    { "notary.signature", "signature" },
		{ "sigstore", "signature" },  { "signature", "signature" },
		{ "spdx", "SBOM" },	      { "cyclonedx", "SBOM" },
		{ "syft", "SBOM" },	      { "sbom", "SBOM" },
		{ "in-toto", "attestation" },
	};

	for (size_t i = 0; type && i < sizeof(names) / sizeof(names[0]); i++)
		if (strstr(type, names[i].part))
			return names[i].name;
	return "artifact";
}

static void add_referrer(struct web *w, const struct shelf_referrer *r)
{
	html_raw(&w->h, "<tr><th scope=\"row\">");
	html_str(&w->h, name_of_type(r->artifact_type));
	html_raw(&w->h, "</th><td>");
	html_cut(&w->h, span_str(r->artifact_type ? r->artifact_type : r->media_type), WEB_TEXT);
	html_raw(&w->h, "</td><td>");
	web_image_link(w, &(struct shelf_ref){ .digest = r->digest });
	html_raw(&w->h, "</td></tr>\n");
}

static int add_referrers(struct web *w, const struct digest *subject, dray_error **err)
{
	cleanup_shelf_referrers struct shelf_referrers list = { 0 };
	const struct shelf_part part = { .max = WEB_ROWS };
	struct shelf *s = w->ask->shelf;

	if (s->ops->referrers(s, w->ask->route->repo, subject, NULL, &part, &list, err) < 0)
		return -1;
	if (list.n == 0)
		return 0;
	html_raw(&w->h,
		 "<section><h2>What refers to it</h2>\n<p class=\"note\">Signatures are shown "
		 "and not checked.</p><table><thead><tr>"
		 "<th scope=\"col\">What it is</th><th scope=\"col\">Type</th>"
		 "<th scope=\"col\">Digest</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < list.n; i++)
		add_referrer(w, &list.list[i]);
	html_raw(&w->h, "</tbody></table>\n");
	if (list.more)
		html_raw(&w->h, "<p class=\"note\">… and others</p>\n");
	html_raw(&w->h, "</section>\n");
	return 0;
}

/* ---- the page ---- */

static int add_sections(struct web *w, const struct shelf_doc *d, const struct manifest *m,
			const struct config *c, dray_error **err)
{
	if (add_facts(w, d, m, c, err) < 0)
		return -1;
	web_pull(w, m, &d->digest);
	if (m && m->kind == MANIFEST_INDEX && add_entries(w, m, err) < 0)
		return -1;
	if (m && m->kind == MANIFEST_IMAGE && web_layers(w, m, c, err) < 0)
		return -1;
	if (c && web_config(w, c, err) < 0)
		return -1;
	if (m && !c && m->kind == MANIFEST_IMAGE && !manifest_is_artifact(m))
		html_raw(&w->h,
			 "<p class=\"note\">Its config cannot be shown: it is not here, damaged, "
			 "or larger than 4 MiB.</p>\n");
	if (add_digests(w, d, m, c, err) < 0)
		return -1;
	return add_referrers(w, &d->digest, err);
}

int web_image(struct web *w, dray_error **err)
{
	cleanup_shelf_doc struct shelf_doc d = { 0 };
	cleanup_manifest struct manifest *m = NULL;
	cleanup_config struct config *c = NULL;
	const struct route *r = w->ask->route;
	struct shelf *s = w->ask->shelf;

	if (s->ops->manifest(s, r->repo, &r->ref, true, &d, err) < 0 || parse(&d, &m, err) < 0 ||
	    (m && read_config(w, m, &c, err) < 0))
		return -1;
	web_begin(w, web_keep(w, r->ref.tag ? arena_printf(&w->arena, "%s:%s", r->repo, r->ref.tag)
					    : arena_printf(&w->arena, "%s@%.19s…", r->repo,
							   r->ref.digest.text)));
	if (add_sections(w, &d, m, c, err) < 0)
		return -1;
	web_end(w);
	return 0;
}
