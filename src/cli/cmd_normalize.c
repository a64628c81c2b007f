/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "normalize": the canonical archive of images.
 * Relies on: dray_normalize().
 * Promises: one line per image, on stdout unless the archive itself goes there.
 */
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"

#define NAME_SHOWN 4096 /* bytes */

struct normalize_flags {
	bool untagged;
	struct option_list tags;
};

#define N(field) offsetof(struct normalize_flags, field)

static const struct option normalize_table[] = {
	{ "untagged", 0, OPT_FLAG, N(untagged),
	  .help = "leave names out: the bytes that a signature covers" },
	{ "tag", 0, OPT_LIST, N(tags), "NAME",
	  .help = "name the image so, not as the source does; may be given several times" },
	{ 0 },
};

/* Into a pipe or a file of the shell without a word about it: ... | gpg --verify SIG - */
static void default_output(struct session *s)
{
	if (!s->global.output && !isatty(STDOUT_FILENO))
		s->global.output = "-";
}

static int check(struct session *s, const struct normalize_flags *f, dray_error **err)
{
	if (!s->global.output) {
		err_set(err, DRAY_ERR_USAGE, "where shall the archive go?");
		return err_hint(err, "dray normalize IN -o OUT");
	}
	if (f->untagged && f->tags.n > 0)
		return err_set(err, DRAY_ERR_USAGE, "--untagged and --tag: one of both");
	if (strcmp(s->global.output, "-") == 0 && isatty(STDOUT_FILENO)) {
		err_set(err, DRAY_ERR_USAGE,
			"'-' writes an archive to standard output, which is a terminal");
		return err_hint(err, "name a file, or pipe it somewhere");
	}
	return session_check_input(s, s->args[0], err);
}

static void image_json(struct jsonw *w, const struct dray_normalized *im)
{
	jsonw_object(w);
	jsonw_kstring(w, "reference", im->reference);
	jsonw_kstring(w, "image_id", im->image_id);
	jsonw_kstring(w, "manifest_digest", im->manifest_digest);
	jsonw_key(w, "tags");
	jsonw_array(w);
	for (size_t i = 0; i < im->n_names; i++)
		jsonw_string(w, im->names[i]);
	jsonw_end_array(w);
	jsonw_end_object(w);
}

static int result_json(struct page *p, const char *path, const dray_normalize_result *r,
		       dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;
	int64_t spooled;
	int64_t size = dray_normalize_size(r, &spooled);

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kstring(&w, "path", path);
	jsonw_kstring(&w, "digest", dray_normalize_digest(r));
	jsonw_kint(&w, "size", size);
	jsonw_kint(&w, "spooled", spooled);
	jsonw_key(&w, "images");
	jsonw_array(&w);
	for (size_t i = 0; i < dray_normalize_count(r); i++)
		image_json(&w, dray_normalize_get(r, i));
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return 0;
}

/* @p taken: stdout carries the archive itself. */
static void result_text(struct session *s, const dray_normalize_result *r, bool taken)
{
	for (size_t i = 0; i < dray_normalize_count(r); i++) {
		const struct dray_normalized *im = dray_normalize_get(r, i);
		cleanup_free char *name = text_safe(span_str(im->reference), NAME_SHOWN);

		if (taken)
			session_note(s, "%s", name ? name : "");
		else
			page_put(&s->page, "%s\n", name ? name : "");
	}
	if (dray_normalize_digest(r))
		session_note(s, "archive %s", dray_normalize_digest(r));
}

static int result(struct session *s, const char *path, const dray_normalize_result *r,
		  dray_error **err)
{
	bool taken = strcmp(path, "-") == 0;
	char size[HUMAN_SIZE];
	int64_t spooled;

	progress_hide(&s->progress);
	(void)dray_normalize_size(r, &spooled);
	if (spooled > 0)
		session_note(s,
			     "%s of layers waited in temporary files, since their size comes "
			     "first in an archive",
			     human_size(spooled, size));
	if (s->global.json && !taken)
		return result_json(&s->page, path, r, err);
	result_text(s, r, taken);
	return STATUS_OK;
}

static int run_normalize(struct session *s, dray_error **err)
{
	const struct normalize_flags *f = s->options;
	struct dray_normalize_options o = DRAY_NORMALIZE_OPTIONS_INIT;
	dray_normalize_result *r = NULL;
	int rc;

	default_output(s);
	if (check(s, f, err) < 0 || !session_context(s, err))
		return -1;
	o.image = s->global.image;
	o.all = s->global.all;
	o.no_clobber = s->global.no_clobber;
	o.untagged = f->untagged;
	o.tags = f->tags.list;
	o.n_tags = f->tags.n;
	/* A second hash over everything: for who asks, and for a pipe, which nobody can read again. */
	o.digest = s->global.json || s->global.verbose > 0 || strcmp(s->global.output, "-") == 0;
	rc = dray_normalize(s->ctx, s->args[0], s->global.output, &o, &r, err);
	if (rc == 0)
		rc = result(s, s->global.output, r, err);
	dray_normalize_free(r);
	return rc;
}

const struct command cmd_normalize = {
	.name = "normalize",
	.group = GROUP_MOVE,
	.summary = "write the canonical archive: the same bytes for the same images",
	.args = "IN",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes = "Writes an archive that depends on nothing but the images and their names, "
		 "whichever tool made IN: configs with their own bytes, layers uncompressed. It "
		 "loads with docker load, podman load, skopeo and ctr. Takes every image of a "
		 "file or folder unless one is chosen. Prints PATH@IMAGE-ID for each; with --json "
		 "also the archive's own digest.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_SALVAGE | FEATURE_OUTPUT |
		    FEATURE_CLOBBER | FEATURE_PRODUCT,
	.options = normalize_table,
	.options_size = sizeof(struct normalize_flags),
	.run = run_normalize,
};
