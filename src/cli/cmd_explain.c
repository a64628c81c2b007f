/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "explain": every identity of an image and its layers, and how each is derived.
 * Relies on: dray_explain() and dray_explain_hash().
 * Promises: says of each hash what it is a hash of, and why a layer is a link.
 */
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/render.h"

#define LABEL 18 /* columns of a label and what stands before it */

static void label(struct page *p, const char *text)
{
	page_put(p, "    %-*s", LABEL - 4, text);
}

/* Identities and names are never cut: half a digest is of no use. */
static void row(struct page *p, const char *name, const char *value)
{
	label(p, name);
	page_safe(p, value);
	page_put(p, "\n");
}

/* Where a v1 id comes from. */
static const char *v1_origin(const struct dray_layer_info *l)
{
	static const struct {
		const char *origin, *words;
	} known[] = {
		{ "docker", "derived as Docker 17.04 and later do" },
		{ "docker-1.10", "derived as Docker 1.10 to 1.12 did" },
		{ "docker-1.13", "derived as Docker 1.13 to 17.03 did" },
		{ "skopeo", "derived as skopeo and podman do" },
		{ "chain-id", "the ChainID itself, as older skopeo and podman did" },
	};

	size_t len = l->v1_id_origin ? strcspn(l->v1_id_origin, "@") : 0;

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (len && strlen(known[i].origin) == len &&
		    strncmp(known[i].origin, l->v1_id_origin, len) == 0)
			return known[i].words;
	}
	return "derived by no rule that is known here";
}

/* Docker stamps layers with time zero as the daemon's zone writes it: "docker@UTC-05:00". */
static void zone_words(struct page *p, const struct dray_layer_info *l)
{
	const char *at = l->v1_id_origin ? strchr(l->v1_id_origin, '@') : NULL;

	if (at)
		page_put(p, ", on a host at %s", at + 1);
}

static void v1_row(struct page *p, const struct dray_layer_info *l)
{
	if (!l->v1_id)
		return;
	row(p, "v1 id", l->v1_id);
	label(p, "");
	page_put(p, "%s; %s", l->v1_id_found ? "found in the archive" : "not stored here",
		 v1_origin(l));
	zone_words(p, l);
	page_put(p, "\n");
}

/* The layer whose bytes a link names: an equal one below, else the one at its target.
 * -1: it is another image's. */
static int64_t linked_layer(const struct dray_image_info *image, const struct dray_layer_info *l)
{
	if (l->same_as >= 0)
		return l->same_as;
	for (size_t i = 0; i < image->n_layers; i++) {
		const struct dray_layer_info *other = &image->layers[i];
		if (other != l && other->path && strcmp(other->path, l->link_target) == 0)
			return other->index;
	}
	return -1;
}

static void link_rows(struct page *p, const struct dray_image_info *image,
		      const struct dray_layer_info *l)
{
	const char *base = l->path ? strrchr(l->path, '/') : NULL;
	int64_t other = linked_layer(image, l);

	label(p, "");
	page_safe(p, base ? base + 1 : l->path);
	page_put(p, " is a link to ");
	page_safe(p, l->link_target);
	if (other >= 0)
		page_put(p, ": both are layer %lld's bytes, same DiffID\n", (long long)other);
	else
		page_put(p, ": both are the same bytes, same DiffID\n");
	label(p, "");
	page_put(p, "(docker save of 1.12 to 24 writes equal layers once, and a link for each "
		    "further one)\n");
}

static void size_row(struct page *p, const struct dray_layer_info *l)
{
	char tar[HUMAN_SIZE], stored[HUMAN_SIZE];

	label(p, "size");
	page_put(p, "%s", human_size(l->size, tar));
	if (l->blob_size >= 0 && l->blob_size != l->size)
		page_put(p, ", stored %s", human_size(l->blob_size, stored));
	page_put(p, "\n");
}

static void explain_layer(struct page *p, const struct dray_image_info *image, size_t i)
{
	const struct dray_layer_info *l = &image->layers[i];

	page_put(p, "  layer %zu%s%s\n", i, i == 0 ? " (bottom)" : "",
		 l->missing ? " (its bytes are not in this place)" : "");
	row(p, "DiffID", l->diff_id);
	if (l->same_as >= 0) {
		label(p, "");
		page_put(p, "the same as layer %lld\n", (long long)l->same_as);
	}
	row(p, "ChainID", l->chain_id);
	v1_row(p, l);
	row(p, "blob digest", l->blob_digest);
	label(p, "");
	page_put(p, "compression: ");
	page_safe(p, l->compression ? l->compression : "not known");
	page_put(p, "\n");
	size_row(p, l);
	if (l->path)
		row(p, "member", l->path);
	if (l->link_target)
		link_rows(p, image, l);
	if (!l->created_by)
		return;
	label(p, "made by");
	page_line(p, l->created_by, LABEL);
	page_put(p, "\n");
}

static void explain_head(struct page *p, const struct dray_image_info *image, const char *store)
{
	char size[HUMAN_SIZE], created[HUMAN_TIME];

	page_heading(p, image->n_tags ? image->tags[0] : image->where ? image->where : "image");
	page_put(p, "\n");
	for (size_t i = 1; i < image->n_tags; i++)
		row(p, "also", image->tags[i]);
	row(p, "image ID", image->image_id);
	if (image->image_id) {
		label(p, "");
		page_put(p, "the SHA-256 of the config bytes%s", image->config_path ? ", in " : "");
		page_safe(p, image->config_path ? image->config_path : "");
		page_put(p, "\n");
	}
	label(p, "manifest");
	if (image->manifest_digest)
		page_safe(p, image->manifest_digest);
	else
		page_put(p, "none: this %s stores no manifest; a push makes one", store);
	page_put(p, "\n");
	if (image->index_digest)
		row(p, "index", image->index_digest);
	row(p, "platform", image->platform);
	row(p, "created", human_time(image->created, created));
	row(p, "size", human_size(image->size, size));
}

static void legend(struct page *p)
{
	static const char *const lines[][2] = {
		{ "image ID", "the config document's bytes" },
		{ "manifest", "the manifest's bytes as a registry serves them: changes with "
			      "compression, media types and white space, not with the name" },
		{ "DiffID", "the uncompressed layer tar, to its last byte" },
		{ "ChainID",
		  "the text \"CHAINID-BELOW DIFFID\"; the bottom layer's is its DiffID" },
		{ "v1 id", "a JSON text of the ChainID, the v1 id below and, on top, the config" },
		{ "blob digest", "the layer as stored here, compressed or not" },
	};

	page_put(p, "\n");
	page_heading(p, "What each hash is a hash of");
	page_put(p, "\n");
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		label(p, lines[i][0]);
		page_wrap(p, lines[i][1], LABEL, LABEL);
		page_put(p, "\n");
	}
}

static int explain_image(struct session *s, dray_error **err)
{
	struct dray_select select = session_select(s);
	cleanup_report dray_report *r = NULL;
	const char *store;

	if (dray_explain(s->ctx, s->args[0], &select, &r, err) < 0)
		return -1;
	session_warnings(s, r);
	if (s->global.json)
		return render_report(&s->page, r, false, err);
	store = strstr(dray_report_store(r), "archive") ? "archive" : "place";
	for (size_t i = 0; i < dray_report_images(r); i++) {
		const struct dray_image_info *image = dray_report_image(r, i);
		page_put(&s->page, "%s", i ? "\n" : "");
		explain_head(&s->page, image, store);
		for (size_t k = 0; k < image->n_layers; k++)
			explain_layer(&s->page, image, k);
	}
	legend(&s->page);
	return STATUS_OK;
}

static int matches_json(struct page *p, const char *hash, const dray_matches *m, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kstring(&w, "hash", hash);
	jsonw_key(&w, "matches");
	jsonw_array(&w);
	for (size_t i = 0; i < dray_matches_count(m); i++) {
		const struct dray_match *match = dray_matches_get(m, i);

		jsonw_object(&w);
		jsonw_kstring(&w, "kind", match->kind);
		jsonw_kstring(&w, "image", match->image);
		jsonw_key(&w, "layer");
		if (match->layer >= 0)
			jsonw_int(&w, match->layer);
		else
			jsonw_null(&w);
		jsonw_kstring(&w, "how", match->how);
		jsonw_kstring(&w, "value", match->value);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return 0;
}

static void match_text(struct page *p, const struct dray_match *m)
{
	page_heading(p, m->kind);
	page_put(p, " ");
	page_safe(p, m->value);
	page_put(p, "\n  of image ");
	page_safe(p, m->image);
	if (m->layer >= 0)
		page_put(p, ", layer %lld", (long long)m->layer);
	page_put(p, "\n  ");
	page_line(p, m->how, 2);
	page_put(p, "\n");
}

static int explain_hash(struct session *s, dray_error **err)
{
	struct dray_select select = session_select(s);
	dray_matches *m = NULL;
	size_t n;
	int rc = 0;

	if (dray_explain_hash(s->ctx, s->args[0], s->args[1], &select, &m, err) < 0)
		return -1;
	n = dray_matches_count(m);
	if (s->global.json)
		rc = matches_json(&s->page, s->args[0], m, err);
	for (size_t i = 0; i < n && !s->global.json; i++)
		match_text(&s->page, dray_matches_get(m, i));
	dray_matches_free(m);
	if (rc == 0 && n == 0 && !s->global.json)
		return err_set(err, DRAY_ERR_NOT_FOUND, "%s is no identity of %s or its layers",
			       s->args[0], s->args[1]);
	return rc < 0 ? -1 : n ? STATUS_OK : STATUS_NOT_FOUND;
}

static int run_explain(struct session *s, dray_error **err)
{
	const char *image = s->args[s->n_args - 1];

	if (session_check_input(s, image, err) < 0 || !session_context(s, err))
		return -1;
	return s->n_args == 2 ? explain_hash(s, err) : explain_image(s, err);
}

const struct command cmd_explain = {
	.name = "explain",
	.group = GROUP_UNDERSTAND,
	.summary = "every hash of an image and how it is derived; or what a hash is",
	.args = "[HASH] IMAGE",
	.min_args = 1,
	.max_args = 2,
	.complete = COMPLETE_PLACE,
	.notes = "Shows the identities of an image and its layers: image ID, manifest digest, "
		 "DiffID, ChainID, v1 id, blob digest, and why layer.tar is a link. With HASH, or "
		 "its first digits, tells which of them it is; exit status 3 when it is none.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_OUTPUT | FEATURE_CLOBBER,
	.run = run_explain,
};
