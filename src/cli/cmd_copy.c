/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "push" and "copy": images from one place to another.
 * Relies on: dray_push() and dray_copy().
 * Promises: one line on stdout per image that arrived, its reference with its digest.
 */
#include <unistd.h>

#include "base/text.h"
#include "base/mem.h"
#include "cli/cli.h"

struct copy_flags {
	const char *format, *compression, *gzip, *reuse, *holes;
	int level;
	bool no_reuse, no_cache, referrers, canonical;
};

#define C(field) offsetof(struct copy_flags, field)

/* The first is for copy alone: push goes to registries. */
static const struct option copy_table[] = {
	{ "canonical", 0, OPT_FLAG, C(canonical),
	  .help = "write the canonical archive, as normalize does" },
	{ "format", 0, OPT_CHOICE, C(format), "FORMAT",
	  "manifest format: docker (schema 2) or oci (default: the source's; docker for archives)",
	  .choices = "docker|oci" },
	{ "compression", 0, OPT_CHOICE, C(compression), "HOW",
	  "of layers: gzip, gzip-single (one member), zstd or none (default: keep what is "
	  "compressed, gzip the rest for a registry)",
	  .choices = "gzip|gzip-single|zstd|none" },
	{ "gzip", 0, OPT_CHOICE, C(gzip), "HOW",
	  "single or blocks: the same as --compression gzip-single or gzip",
	  .choices = "single|blocks" },
	{ "level", 0, OPT_INT, C(level), "N", "compression level (default: chosen by measurement)",
	  .lo = 1, .hi = 22 },
	{ "reuse", 0, OPT_STRING, C(reuse), "REF",
	  "keep the blobs of REF for layers it has too (default: the tag that is overwritten)",
	  .complete = COMPLETE_PLACE },
	{ "no-reuse", 0, OPT_FLAG, C(no_reuse),
	  .help = "do not look at what the overwritten tag holds" },
	{ "holes", 0, OPT_CHOICE, C(holes), "HOW",
	  "images that an index names and the source lacks: drop them from the index (default), "
	  "keep them named, or fail",
	  .choices = "drop|keep|fail" },
	{ "referrers", 0, OPT_FLAG, C(referrers),
	  .help = "take along what refers to the images: signatures, SBOMs, attestations" },
	{ "no-cache", 0, OPT_FLAG, C(no_cache),
	  .help = "do not use what is remembered about blobs pushed before" },
	{ 0 },
};

static int copy_options(const struct session *s, struct dray_copy_options *ret, dray_error **err)
{
	const struct copy_flags *f = s->options;

	*ret = (struct dray_copy_options)DRAY_COPY_OPTIONS_INIT;
	if (f->gzip && f->compression)
		return err_set(err, DRAY_ERR_USAGE, "--gzip and --compression: one of both");
	if (f->reuse && f->no_reuse)
		return err_set(err, DRAY_ERR_USAGE, "--reuse and --no-reuse: one of both");
	ret->image = s->global.image;
	ret->all = s->global.all;
	ret->format = f->format;
	ret->compression = f->compression;
	if (f->gzip)
		ret->compression = strcmp(f->gzip, "single") == 0 ? "gzip-single" : "gzip";
	ret->level = f->level;
	ret->canonical = f->canonical;
	ret->reuse = f->reuse;
	ret->no_reuse = f->no_reuse;
	ret->no_clobber = s->global.no_clobber;
	ret->holes = f->holes;
	ret->referrers = f->referrers;
	return 0;
}

static void copied_json(struct jsonw *w, const struct dray_copied *c)
{
	jsonw_object(w);
	jsonw_kstring(w, "reference", c->reference);
	jsonw_kstring(w, "tagged", c->tagged);
	jsonw_kstring(w, "manifest_digest", c->manifest_digest);
	jsonw_kstring(w, "image_id", c->image_id);
	jsonw_key(w, "changes");
	jsonw_array(w);
	for (size_t i = 0; i < c->n_changes; i++)
		jsonw_string(w, c->changes[i]);
	jsonw_end_array(w);
	jsonw_kint(w, "blobs_sent", c->blobs_sent);
	jsonw_kint(w, "blobs_skipped", c->blobs_skipped);
	jsonw_kint(w, "bytes_sent", c->bytes_sent);
	jsonw_kstring(w, "kind", c->kind);
	jsonw_kint(w, "manifests", (int64_t)c->n_manifests);
	jsonw_kint(w, "referrers", (int64_t)c->n_referrers);
	jsonw_end_object(w);
}

static int result_json(struct page *p, const dray_copy_result *r, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_key(&w, "copied");
	jsonw_array(&w);
	for (size_t i = 0; i < dray_copy_count(r); i++)
		copied_json(&w, dray_copy_get(r, i));
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return 0;
}

/* What happened, for people, on stderr. */
static void tell(struct session *s, const struct dray_copied *c)
{
	char size[HUMAN_SIZE];
	cleanup_free char *name = text_safe(span_str(c->tagged ? c->tagged : c->reference), 4096);

	for (size_t i = 0; i < c->n_changes; i++) {
		cleanup_free char *change = text_safe(span_str(c->changes[i]), 4096);
		session_note(s, "%s: changed: %s", name ? name : "", change ? change : "");
	}
	if (c->n_referrers)
		session_note(s, "%s: %zu referrer%s came along", name ? name : "", c->n_referrers,
			     c->n_referrers == 1 ? "" : "s");
	session_note(s, "%s: %lld blob%s sent (%s), %lld already there", name ? name : "",
		     (long long)c->blobs_sent, c->blobs_sent == 1 ? "" : "s",
		     human_size(c->bytes_sent, size), (long long)c->blobs_skipped);
}

/* @p taken: stdout carries the image itself. */
static int result(struct session *s, const dray_copy_result *r, bool taken, dray_error **err)
{
	progress_hide(&s->progress);
	for (size_t i = 0; i < dray_copy_count(r); i++) {
		const struct dray_copied *c = dray_copy_get(r, i);
		cleanup_free char *name = text_safe(span_str(c->reference), 4096);

		tell(s, c);
		if (taken)
			session_note(s, "%s", name ? name : "");
		else if (!s->global.json)
			page_put(&s->page, "%s\n", name ? name : "");
	}
	return s->global.json && !taken ? result_json(&s->page, r, err) : STATUS_OK;
}

static int check_output(const char *dst, dray_error **err)
{
	if (!ref_is_stdio(dst) || !isatty(STDOUT_FILENO))
		return 0;
	err_set(err, DRAY_ERR_USAGE,
		"'-' writes an archive to standard output, which is a terminal");
	return err_hint(err, "name a file, or pipe it somewhere");
}

/* @p push: args[1] may be left out. */
static int move(struct session *s, bool push, dray_error **err)
{
	const char *dst = s->n_args > 1 ? s->args[1] : NULL;
	struct dray_copy_options o;
	dray_copy_result *r = NULL;
	int rc;

	s->no_cache = ((const struct copy_flags *)s->options)->no_cache;
	if (copy_options(s, &o, err) < 0 || session_check_input(s, s->args[0], err) < 0 ||
	    (!push && check_output(dst, err) < 0) || !session_context(s, err))
		return -1;
	rc = push ? dray_push(s->ctx, s->args[0], dst, &o, &r, err)
		  : dray_copy(s->ctx, s->args[0], dst, &o, &r, err);
	if (rc == 0)
		rc = result(s, r, !push && ref_is_stdio(dst), err);
	dray_copy_free(r);
	return rc;
}

static int run_push(struct session *s, dray_error **err)
{
	return move(s, true, err);
}

static int run_copy(struct session *s, dray_error **err)
{
	return move(s, false, err);
}

const struct command cmd_push = {
	.name = "push",
	.group = GROUP_MOVE,
	.summary = "send an archive's images to a registry, also from a pipe",
	.args = "ARCHIVE [REF]",
	.min_args = 1,
	.max_args = 2,
	.complete = COMPLETE_PLACE,
	.notes = "Sends images to a registry, for example: docker save app | dray push - "
		 "HOST/app:1. Layers that the registry has already are not sent. Without REF each "
		 "image goes to the registry that its own tags name. Prints HOST/NAME@DIGEST for "
		 "each image; what had to be changed is told on standard error.",
	.features = FEATURE_JSON | FEATURE_IMAGE,
	.options = copy_table + 1,
	.options_size = sizeof(struct copy_flags),
	.run = run_push,
};

const struct command cmd_copy = {
	.name = "copy",
	.group = GROUP_MOVE,
	.summary = "copy images from any place to any other",
	.args = "SRC DST",
	.min_args = 2,
	.max_args = 2,
	.complete = COMPLETE_PLACE,
	.notes = "Copies images. Digests are preserved unless a conversion was asked for or the "
		 "destination can't hold the source as it is; then standard error says what "
		 "changed. Prints the result's reference with its digest.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_CLOBBER,
	.options = copy_table,
	.options_size = sizeof(struct copy_flags),
	.run = run_copy,
};
