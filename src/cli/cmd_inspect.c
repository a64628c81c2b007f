/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "inspect" and "digest": the documents of an image, and what names them.
 * Relies on: dray_explain(), which reads documents only; dray_inspect() where layers are asked about.
 * Promises: --raw and --config give exactly the stored bytes.
 */
#include <dray/inspect.h>

#include "base/number.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/render.h"

#define MILLION 1000000

struct inspect_options {
	bool raw, config, efficiency, packages;
	struct option_list max_wasted;
	const char *lowest_efficiency;
};

static const struct option inspect_table[] = {
	{ "raw", 0, OPT_FLAG, offsetof(struct inspect_options, raw),
	  .help = "print the manifest, its bytes untouched" },
	{ "config", 0, OPT_FLAG, offsetof(struct inspect_options, config),
	  .help = "print the config, its bytes untouched" },
	{ "efficiency", 0, OPT_FLAG, offsetof(struct inspect_options, efficiency),
	  .help = "count the bytes that later layers hide" },
	{ "max-wasted", 0, OPT_LIST, offsetof(struct inspect_options, max_wasted), "N%|SIZE",
	  .help = "fail when more than that is hidden; may be given twice, 5% and 20MB" },
	{ "lowest-efficiency", 0, OPT_STRING, offsetof(struct inspect_options, lowest_efficiency),
	  "N%", .help = "fail when the efficiency is lower" },
	{ "packages", 0, OPT_FLAG, offsetof(struct inspect_options, packages),
	  .help = "list the packages that dpkg, apk and rpm installed, with their sizes" },
	{ 0 },
};

static void field(struct page *p, const char *label, const char *value)
{
	if (!value)
		return;
	page_put(p, "  %-16s", label);
	page_safe(p, value);
	page_put(p, "\n");
}

static void layers_text(struct page *p, const struct dray_image_info *image)
{
	static const char *const heads[] = { "LAYER",	    "SIZE", "STORED",
					     "COMPRESSION", "BLOB", "MADE BY" };
	cleanup_table struct table t = { .cols = ARRAY_LEN(heads), .right = { true, true, true } };

	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		table_add(&t, heads[i]);
	for (size_t i = 0; i < image->n_layers; i++) {
		const struct dray_layer_info *l = &image->layers[i];
		char text[HUMAN_SIZE], digest[13];

		snprintf(text, sizeof(text), "%zu", i);
		table_add(&t, text);
		table_add(&t, human_size(l->size, text));
		table_add(&t, human_size(l->blob_size, text));
		table_add(&t, l->compression);
		table_add(&t, short_digest(l->blob_digest ? l->blob_digest : l->diff_id, digest));
		table_add(&t, l->created_by);
	}
	table_print(&t, p, 2);
}

static void inspect_image(struct page *p, const struct dray_image_info *image)
{
	char text[HUMAN_SIZE], time[HUMAN_TIME];

	page_heading(p, image->n_tags ? image->tags[0] : image->where ? image->where : "image");
	page_put(p, "\n");
	for (size_t i = 1; i < image->n_tags; i++)
		field(p, "also", image->tags[i]);
	field(p, "image ID", image->image_id);
	field(p, "manifest digest", image->manifest_digest);
	field(p, "index digest", image->index_digest);
	field(p, "media type", image->media_type);
	field(p, "platform", image->platform);
	field(p, "created", human_time(image->created, time));
	field(p, "author", image->author);
	field(p, "size", human_size(image->size, text));
	if (image->config_json) {
		page_put(p, "  %-16s", "config");
		page_pretty_json(p, image->config_json, 2);
		page_put(p, "\n");
	}
	if (image->n_layers)
		layers_text(p, image);
}

/* A document of the one image of @p r. */
static int document(struct page *p, const dray_report *r, bool config, dray_error **err)
{
	const struct dray_image_info *image = dray_report_images(r) ? dray_report_image(r, 0)
								    : NULL;

	if (dray_report_images(r) > 1) {
		err_set(err, DRAY_ERR_USAGE, "%zu images: one document was asked for",
			dray_report_images(r));
		return err_hint(err, "choose one with --image or --platform");
	}
	if (image && config && image->config_raw) {
		page_bytes(p, span_of(image->config_raw, image->config_size));
	} else if (image && !config && image->manifest_raw) {
		page_bytes(p, span_of(image->manifest_raw, image->manifest_size));
	} else {
		err_set(err, DRAY_ERR_NOT_FOUND, "this place stores no %s for the image",
			config ? "config" : "manifest");
		return config ? -1 : err_hint(err, "--config prints the config");
	}
	p->verbatim = true;
	return STATUS_OK;
}

static int read_report(struct session *s, dray_report **ret, dray_error **err)
{
	struct dray_select select = session_select(s);

	if (session_check_input(s, s->args[0], err) < 0 || !session_context(s, err) ||
	    dray_explain(s->ctx, s->args[0], &select, ret, err) < 0)
		return -1;
	session_warnings(s, *ret);
	return 0;
}

/* ---- what is in the layers ---- */

/* "5%", "2.5%"; and, where @p ratio, "0.95". */
static bool parse_percent(const char *text, bool ratio, int64_t *ret_ppm)
{
	struct span rest;

	if (option_scaled(span_str(text), MILLION / 100, ret_ppm, &rest) && span_is(rest, "%"))
		return *ret_ppm <= MILLION;
	return ratio && option_scaled(span_str(text), MILLION, ret_ppm, &rest) && rest.len == 0 &&
	       *ret_ppm <= MILLION;
}

/* The least of what was given counts. */
static void lower(int64_t *limit, int64_t value)
{
	if (*limit < 0 || value < *limit)
		*limit = value;
}

static int take_limits(const struct inspect_options *o, struct dray_inspect_options *ret,
		       dray_error **err)
{
	int64_t value;

	for (size_t i = 0; i < o->max_wasted.n; i++) {
		if (parse_percent(o->max_wasted.list[i], false, &value))
			lower(&ret->max_wasted_ppm, value);
		else if (option_size(o->max_wasted.list[i], &value))
			lower(&ret->max_wasted_bytes, value);
		else
			return err_set(err, DRAY_ERR_USAGE,
				       "--max-wasted: expected a share or a size, 5%% or 20MB");
	}
	if (!o->lowest_efficiency)
		return 0;
	if (!parse_percent(o->lowest_efficiency, true, &ret->min_score_ppm))
		return err_set(err, DRAY_ERR_USAGE,
			       "--lowest-efficiency: expected a share, 95%% or 0.95");
	return 0;
}

static int run_inspection(struct session *s, const struct inspect_options *o, dray_error **err)
{
	struct dray_inspect_options io = DRAY_INSPECT_OPTIONS_INIT;
	struct dray_select select = session_select(s);
	dray_inspection *i = NULL;
	int rc;

	io.efficiency = o->efficiency;
	io.packages = o->packages;
	if (take_limits(o, &io, err) < 0 || session_check_input(s, s->args[0], err) < 0 ||
	    !session_context(s, err) || dray_inspect(s->ctx, s->args[0], &select, &io, &i, err) < 0)
		return -1;
	session_warnings(s, dray_inspection_report(i));
	rc = dray_report_problems(dray_inspection_report(i)) ? STATUS_NEGATIVE : STATUS_OK;
	if (!s->global.json)
		show_inspection(&s->page, i);
	else if (render_inspection(&s->page, i, err) < 0)
		rc = -1;
	dray_inspection_free(i);
	return rc;
}

static int run_inspect(struct session *s, dray_error **err)
{
	const struct inspect_options *o = s->options;
	bool layers = o->efficiency || o->packages || o->max_wasted.n || o->lowest_efficiency;
	cleanup_report dray_report *r = NULL;

	if (o->raw + o->config + layers > 1)
		return err_set(err, DRAY_ERR_USAGE,
			       "--raw, --config, and what is counted: one of them");
	if (layers)
		return run_inspection(s, o, err);
	if (read_report(s, &r, err) < 0)
		return -1;
	if (o->raw || o->config)
		return document(&s->page, r, o->config, err);
	if (s->global.json)
		return render_report(&s->page, r, true, err);
	for (size_t i = 0; i < dray_report_images(r); i++) {
		page_put(&s->page, "%s", i ? "\n" : "");
		inspect_image(&s->page, dray_report_image(r, i));
	}
	return STATUS_OK;
}

const struct command cmd_inspect = {
	.name = "inspect",
	.group = GROUP_LOOK,
	.summary = "show an image's documents and sizes",
	.args = "IMAGE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes =
		"Shows what an image says about itself: identities, platform, how it is run, its "
		"layers and their sizes. --raw and --config print the stored documents, byte for "
		"byte, so that their SHA-256 is the manifest digest and the image ID. "
		"--efficiency reads the layers and tells what files of theirs nobody sees, since "
		"later layers replace or delete them; with a limit the exit status is 1 when it is "
		"passed. --packages lists what is installed.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_OUTPUT | FEATURE_CLOBBER,
	.all_help = "every image of the place; what is counted in layers, of one image only",
	.options = inspect_table,
	.options_size = sizeof(struct inspect_options),
	.run = run_inspect,
};

struct digest_options {
	bool image_id;
};

static const struct option digest_table[] = {
	{ "image-id", 0, OPT_FLAG, offsetof(struct digest_options, image_id),
	  .help = "print the image ID: the digest of the config" },
	{ 0 },
};

static int digest_json(struct page *p, const dray_report *r, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_key(&w, "images");
	jsonw_array(&w);
	for (size_t i = 0; i < dray_report_images(r); i++) {
		jsonw_object(&w);
		jsonw_kstring(&w, "image_id", dray_report_image(r, i)->image_id);
		jsonw_kstring(&w, "manifest_digest", dray_report_image(r, i)->manifest_digest);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return STATUS_OK;
}

/* Each image must have the digest that was asked for, in text and JSON alike. */
static int require_digests(const dray_report *r, bool image_id, dray_error **err)
{
	for (size_t i = 0; i < dray_report_images(r); i++) {
		const struct dray_image_info *image = dray_report_image(r, i);

		if (image_id ? image->image_id : image->manifest_digest)
			continue;
		err_set(err, DRAY_ERR_NOT_FOUND, "this place stores no %s for the image",
			image_id ? "config" : "manifest");
		return err_hint(err, "%s",
				image_id ? "an artifact has none"
					 : "--image-id prints the image ID");
	}
	return 0;
}

static int run_digest(struct session *s, dray_error **err)
{
	const struct digest_options *o = s->options;
	cleanup_report dray_report *r = NULL;

	if (read_report(s, &r, err) < 0 || require_digests(r, o->image_id, err) < 0)
		return -1;
	if (s->global.json)
		return digest_json(&s->page, r, err);
	for (size_t i = 0; i < dray_report_images(r); i++) {
		const struct dray_image_info *image = dray_report_image(r, i);

		page_put(&s->page, "%s\n", o->image_id ? image->image_id : image->manifest_digest);
	}
	return STATUS_OK;
}

const struct command cmd_digest = {
	.name = "digest",
	.group = GROUP_LOOK,
	.summary = "print the manifest digest alone",
	.args = "IMAGE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes = "Prints the manifest digest, which a registry serves the image under, or the "
		 "image ID. An archive of docker save before 25 stores no manifest: then there is "
		 "only the image ID.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_OUTPUT | FEATURE_CLOBBER,
	.options = digest_table,
	.options_size = sizeof(struct digest_options),
	.run = run_digest,
};
