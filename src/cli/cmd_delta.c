/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "delta save", "delta load" and "delta inspect": only the difference.
 * Relies on: dray_delta_save(), dray_delta_load(), dray_delta_inspect().
 * Promises: an option that a word behind "delta" has no use for is refused.
 */
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "cli/copied.h"

struct delta_flags {
	struct relayer_flags relayer;
	struct option_list bases;
	const char *level_name, *window;
};
#define D(field) offsetof(struct delta_flags, field)

/* clang-format off */
static const struct option table[] = {
	{ "base", 0, OPT_LIST, D(bases), "PLACE|FILE", "what the other side has: images, or (save) a file of dray have; may be repeated", .complete = COMPLETE_PLACE },
	{ "level", 0, OPT_STRING, D(level_name), "layer|file|N", .help = "save: leave out whole layers (default), or also the parts of files inside them; load: of a compression, 1 to 22" },
	{ "window", 0, OPT_STRING, D(window), "SIZE", .help = "save --level file: bytes of old files that are compared at once, as 4M; memory grows with it" },
	{ "format", 0, OPT_CHOICE, D(relayer.format), "FORMAT", "load: manifest format, docker (schema 2) or oci (default: the image's)", .choices = "docker|oci" },
	{ "compression", 0, OPT_CHOICE, D(relayer.compression), "HOW", "load: of layers: gzip, gzip-single (one member), zstd or none (default: as the image had them)", .choices = "gzip|gzip-single|zstd|none" },
	{ 0 },
};
/* clang-format on */

DEFINE_CLEANUP(dray_delta, cleanup_delta_fn, dray_delta_free)
#define cleanup_delta CLEANUP(cleanup_delta_fn)

/* ---- what was asked ---- */

static int refuse(bool given, const char *option, const char *word, dray_error **err)
{
	return given ? err_set(err, DRAY_ERR_USAGE, "%s says nothing to delta %s", option, word)
		     : 0;
}

/* "4194304", "4096K", "4M" */
static int parse_size(const char *text, int64_t *ret, dray_error **err)
{
	struct span digits = span_str(text);
	int shift = span_ends(digits, "K") ? 10 : span_ends(digits, "M") ? 20 : 0;

	digits.len -= shift > 0;
	if (num_parse_u63(digits, ret) && *ret > 0 && *ret <= INT64_MAX >> shift) {
		*ret <<= shift;
		return 0;
	}
	return err_set(err, DRAY_ERR_USAGE, "--window: expected bytes, as 65536, 64K or 4M");
}

static int output_named(const struct session *s, dray_error **err)
{
	if (s->global.output)
		return check_output(s->global.output, err);
	err_set(err, DRAY_ERR_USAGE, "where the result goes is missing");
	return err_hint(err, "dray delta %s %s -o %s", s->args[0], s->args[1],
			strcmp(s->args[0], "save") == 0 ? "DELTA" : "DST");
}

/* ---- what is told of a delta ---- */

static const char *level_name(const struct dray_delta_info *i)
{
	return i->level == DRAY_DELTA_FILE ? "file" : "layer";
}

static const char *from_name(enum dray_delta_from from)
{
	return from == DRAY_DELTA_BASE ? "base" : from == DRAY_DELTA_BLOB ? "blob" : "recipe";
}

static void strings_json(struct jsonw *w, const char *key, const char *const *list, size_t n)
{
	jsonw_key(w, key);
	jsonw_array(w);
	for (size_t i = 0; i < n; i++)
		jsonw_string(w, list[i]);
	jsonw_end_array(w);
}

static void size_json(struct jsonw *w, const char *key, int64_t size)
{
	jsonw_key(w, key);
	if (size < 0)
		jsonw_null(w);
	else
		jsonw_int(w, size);
}

static void layer_json(struct jsonw *w, const struct dray_delta_layer *l)
{
	jsonw_object(w);
	jsonw_kstring(w, "diff_id", l->diff_id);
	jsonw_kstring(w, "from", from_name(l->from));
	size_json(w, "size", l->size);
	size_json(w, "blob_size", l->blob_size);
	jsonw_kstring(w, "digest", l->digest);
	jsonw_kint(w, "stored", l->stored);
	jsonw_end_object(w);
}

static void bases_json(struct jsonw *w, const struct dray_delta_info *i)
{
	jsonw_key(w, "bases");
	jsonw_array(w);
	for (size_t k = 0; k < i->n_bases; k++) {
		const struct dray_delta_base *b = &i->bases[k];

		jsonw_object(w);
		jsonw_kstring(w, "image_id", b->image_id);
		strings_json(w, "tags", b->tags, b->n_tags);
		strings_json(w, "diff_ids", b->diff_ids, b->n_diff_ids);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

static int delta_json(struct page *p, const struct dray_delta_info *i, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_key(&w, "delta");
	jsonw_object(&w);
	jsonw_kstring(&w, "level", level_name(i));
	jsonw_kstring(&w, "image_id", i->image_id);
	jsonw_kstring(&w, "manifest_digest", i->manifest_digest);
	jsonw_kbool(&w, "keeps_blobs", i->keeps_blobs);
	jsonw_kstring(&w, "platform", i->platform);
	strings_json(&w, "tags", i->tags, i->n_tags);
	jsonw_kstring(&w, "artifact_digest", i->artifact_digest);
	jsonw_kint(&w, "stored", i->stored);
	size_json(&w, "image_size", i->image_size);
	bases_json(&w, i);
	jsonw_key(&w, "layers");
	jsonw_array(&w);
	for (size_t k = 0; k < i->n_layers; k++)
		layer_json(&w, &i->layers[k]);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return STATUS_OK;
}

/* What comes back at the other side. */
static const char *restores(const struct dray_delta_info *i)
{
	if (!i->manifest_digest)
		return "the image ID and all DiffIDs (the source had no manifest)";
	return i->keeps_blobs ? "the manifest, all blobs and DiffIDs"
			      : "the image ID and all DiffIDs; not the manifest, since some layers "
				"were compressed by another program";
}

static void bases_text(struct page *p, const struct dray_delta_info *i)
{
	for (size_t k = 0; k < i->n_bases; k++) {
		const struct dray_delta_base *b = &i->bases[k];

		page_put(p, "base:      ");
		if (b->image_id)
			page_safe(p, b->image_id);
		else
			page_put(p, "a have-list");
		for (size_t t = 0; t < b->n_tags; t++) {
			page_put(p, " ");
			page_safe(p, b->tags[t]);
		}
		page_put(p, ", %zu layer%s\n", b->n_diff_ids, b->n_diff_ids == 1 ? "" : "s");
	}
	if (i->n_bases == 0)
		page_put(p, "base:      none is needed\n");
}

static void layers_text(struct page *p, const struct dray_delta_info *i)
{
	static const char *const heads[] = {
		"LAYER", "DIFF ID", "SIZE", "FROM", "STORED", "SAVED"
	};
	cleanup_table struct table t = { .cols = ARRAY_LEN(heads),
					 .right = { [2] = true, [4] = true, [5] = true } };

	for (size_t k = 0; k < ARRAY_LEN(heads); k++)
		table_add(&t, heads[k]);
	for (size_t k = 0; k < i->n_layers; k++) {
		const struct dray_delta_layer *l = &i->layers[k];
		int64_t whole = l->blob_size >= 0 ? l->blob_size : l->size;
		char number[24], id[13], size[HUMAN_SIZE];

		snprintf(number, sizeof(number), "%zu", k);
		table_add(&t, number);
		table_add(&t, short_digest(l->diff_id, id));
		table_add(&t, human_size(whole, size));
		table_add(&t, from_name(l->from));
		table_add(&t, human_size(l->stored, size));
		table_add(&t, human_size(whole > l->stored ? whole - l->stored
					 : whole < 0	   ? -1
							   : 0,
					 size));
	}
	table_print(&t, p, 0);
}

static void delta_text(struct page *p, const struct dray_delta_info *i)
{
	char stored[HUMAN_SIZE], whole[HUMAN_SIZE];

	page_put(p, "delta:     level %s, %s", level_name(i), human_size(i->stored, stored));
	if (i->image_size >= 0)
		page_put(p, " of %s", human_size(i->image_size, whole));
	page_put(p, "\nimage:     ");
	page_safe(p, i->image_id);
	for (size_t k = 0; k < i->n_tags; k++) {
		page_put(p, " ");
		page_safe(p, i->tags[k]);
	}
	page_put(p, "\nplatform:  ");
	page_safe(p, i->platform);
	page_put(p, "\nmanifest:  ");
	page_safe(p, i->manifest_digest);
	page_put(p, "\nrestores:  %s\n", restores(i));
	bases_text(p, i);
	page_put(p, "\n");
	layers_text(p, i);
}

/* ---- the verbs ---- */

static int save_options(const struct session *s, struct dray_delta_options *ret, dray_error **err)
{
	const struct delta_flags *f = s->options;

	*ret = (struct dray_delta_options)DRAY_DELTA_OPTIONS_INIT;
	ret->image = s->global.image;
	ret->no_clobber = s->global.no_clobber;
	ret->level = DRAY_DELTA_LAYER;
	if (f->level_name && strcmp(f->level_name, "file") == 0)
		ret->level = DRAY_DELTA_FILE;
	else if (f->level_name && strcmp(f->level_name, "layer") != 0)
		return err_set(err, DRAY_ERR_USAGE, "--level: expected layer or file");
	if (f->window && parse_size(f->window, &ret->window, err) < 0)
		return -1;
	if (f->window && ret->level != DRAY_DELTA_FILE)
		return err_set(err, DRAY_ERR_USAGE, "--window is for --level file");
	if (refuse(f->relayer.format, "--format", "save", err) < 0 ||
	    refuse(f->relayer.compression, "--compression", "save", err) < 0)
		return -1;
	return refuse(s->global.all, "--all", "save", err);
}

static void tell_saved(struct session *s, const struct dray_delta_info *i)
{
	char stored[HUMAN_SIZE], whole[HUMAN_SIZE];
	size_t from_base = 0;

	for (size_t k = 0; k < i->n_layers; k++)
		from_base += i->layers[k].from == DRAY_DELTA_BASE;
	session_note(s, "%zu of %zu layers are in the base; %s in the delta%s%s", from_base,
		     i->n_layers, human_size(i->stored, stored),
		     i->image_size >= 0 ? ", the image has " : "",
		     i->image_size >= 0 ? human_size(i->image_size, whole) : "");
	if (i->manifest_digest && !i->keeps_blobs)
		session_note(s, "restores %s", restores(i));
}

static int run_save(struct session *s, dray_error **err)
{
	const struct delta_flags *f = s->options;
	cleanup_delta dray_delta *d = NULL;
	struct dray_delta_options o;
	bool taken;

	if (save_options(s, &o, err) < 0 || output_named(s, err) < 0 ||
	    session_check_input(s, s->args[1], err) < 0 || !session_context(s, err) ||
	    dray_delta_save(s->ctx, s->args[1], f->bases.list, f->bases.n, s->global.output, &o, &d,
			    err) < 0)
		return -1;
	taken = ref_is_stdio(s->global.output);
	progress_hide(&s->progress);
	tell_saved(s, dray_delta_get(d));
	if (taken)
		return STATUS_OK;
	if (s->global.json)
		return delta_json(&s->page, dray_delta_get(d), err);
	cleanup_free char *name = text_safe(span_str(s->global.output), 4096);
	page_put(&s->page, "%s@%s\n", name ? name : "", dray_delta_get(d)->image_id);
	return STATUS_OK;
}

static int load_options(const struct session *s, struct dray_copy_options *ret, dray_error **err)
{
	const struct delta_flags *f = s->options;
	int64_t level = 0;

	*ret = (struct dray_copy_options)DRAY_COPY_OPTIONS_INIT;
	if (refuse(f->window, "--window", "load", err) < 0 ||
	    refuse(s->global.image || s->global.all, "--image", "load", err) < 0)
		return -1;
	if (f->level_name &&
	    (!num_parse_u63(span_str(f->level_name), &level) || level < 1 || level > 22))
		return err_set(err, DRAY_ERR_USAGE, "--level: expected a number from 1 to 22");
	ret->format = f->relayer.format;
	ret->compression = f->relayer.compression;
	ret->level = (int)level;
	ret->no_clobber = s->global.no_clobber;
	ret->dst_is_path = ret->dst_may_be_host = true;
	return 0;
}

static int run_load(struct session *s, dray_error **err)
{
	const struct delta_flags *f = s->options;
	struct dray_copy_options o;
	dray_copy_result *r = NULL;
	int rc;

	if (load_options(s, &o, err) < 0 || output_named(s, err) < 0 ||
	    session_check_input(s, s->args[1], err) < 0 || !session_context(s, err) ||
	    dray_delta_load(s->ctx, s->args[1], f->bases.list, f->bases.n, s->global.output, &o, &r,
			    err) < 0)
		return -1;
	rc = copied_result(s, r, ref_is_stdio(s->global.output), err);
	dray_copy_free(r);
	return rc;
}

static int run_inspect(struct session *s, dray_error **err)
{
	const struct delta_flags *f = s->options;
	cleanup_delta dray_delta *d = NULL;

	if (refuse(f->bases.n, "--base", "inspect", err) < 0 ||
	    refuse(f->level_name, "--level", "inspect", err) < 0 ||
	    refuse(f->window, "--window", "inspect", err) < 0 ||
	    refuse(f->relayer.format, "--format", "inspect", err) < 0 ||
	    refuse(f->relayer.compression, "--compression", "inspect", err) < 0 ||
	    refuse(s->global.output, "--output", "inspect", err) < 0 ||
	    refuse(s->global.image || s->global.all, "--image", "inspect", err) < 0 ||
	    session_check_input(s, s->args[1], err) < 0 || !session_context(s, err) ||
	    dray_delta_inspect(s->ctx, s->args[1], &d, err) < 0)
		return -1;
	if (s->global.json)
		return delta_json(&s->page, dray_delta_get(d), err);
	delta_text(&s->page, dray_delta_get(d));
	return STATUS_OK;
}

static int run(struct session *s, dray_error **err)
{
	if (strcmp(s->args[0], "save") == 0)
		return run_save(s, err);
	return strcmp(s->args[0], "load") == 0 ? run_load(s, err) : run_inspect(s, err);
}

const struct command cmd_delta = {
	.name = "delta",
	.group = GROUP_MOVE,
	.summary = "send only what the other side lacks: save, load, inspect",
	.args = "save|load|inspect IMAGE|DELTA",
	.min_args = 2,
	.max_args = 2,
	.words = "save|load|inspect",
	.complete = COMPLETE_PLACE,
	.notes =
		"delta save --base B IMAGE -o DELTA writes what IMAGE has and B lacks. What it "
		"leaves out by whole layers, docker load takes on an engine that has B. delta load "
		"DELTA --base B -o DST makes the image again anywhere, to the byte, or refuses; "
		"without --base the destination has to have the layers. delta inspect DELTA tells "
		"what is in it and what it needs.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_CLOBBER | FEATURE_OUTPUT |
		    FEATURE_PRODUCT,
	.output_help = "save: the file, or -; load: the destination",
	.all_help = "refused: a delta is of one image",
	.options = table,
	.options_size = sizeof(struct delta_flags),
	.run = run,
};
