/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "files": the names of the merged file system.
 * Relies on: dray_files().
 * Promises: one line, or one JSON object in a line, for each name.
 */
#include <dray/rootfs.h>

#include "base/number.h"
#include "cli/cli.h"
#include "cli/render.h"

struct files_flags {
	bool digest;
	const char *layer; /* a number */
};

static const struct option files_table[] = {
	{ "digest", 0, OPT_FLAG, offsetof(struct files_flags, digest),
	  .help = "the digest of each file's content too (with --json)" },
	{ "layer", 0, OPT_STRING, offsetof(struct files_flags, layer), "N",
	  .help = "only what layer N holds, 0 is the lowest, whiteouts included" },
	{ 0 },
};

struct printing {
	struct session *s;
	bool digest;
	dray_error **err;
};

static int print_json(void *arg, const struct dray_file *f)
{
	struct printing *p = arg;
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, p->err);
	render_file(&w, f, p->digest);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(&p->s->page, span_buf(&out));
	return session_pour(p->s, p->err);
}

static int print_line(void *arg, const struct dray_file *f)
{
	struct printing *p = arg;

	show_file(&p->s->page, f);
	return session_pour(p->s, p->err);
}

static int layer_number(const char *text, int64_t *ret, dray_error **err)
{
	if (!text || num_parse_u63(span_str(text), ret))
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "--layer: expected a number from 0 on");
}

static int run_files(struct session *s, dray_error **err)
{
	const struct files_flags *f = s->options;
	struct dray_files_options o = DRAY_FILES_OPTIONS_INIT;
	struct dray_select select = session_select(s);
	struct printing p = { s, f->digest, err };

	if (layer_number(f->layer, &o.layer, err) < 0 ||
	    session_check_input(s, s->args[0], err) < 0 || !session_context(s, err))
		return -1;
	o.path = s->n_args > 1 ? s->args[1] : NULL;
	o.digests = f->digest;
	if (o.digests && !s->global.json)
		return err_set(err, DRAY_ERR_USAGE, "--digest is of use with --json only");
	return dray_files(s->ctx, s->args[0], &select, &o, s->global.json ? print_json : print_line,
			  &p, err);
}

const struct command cmd_files = {
	.name = "files",
	.group = GROUP_LOOK,
	.summary = "list the files of an image, all layers merged",
	.args = "IMAGE [PATH]",
	.min_args = 1,
	.max_args = 2,
	.complete = COMPLETE_PLACE,
	.notes = "Lists what the layers of an image add up to, without unpacking them: all of it, "
		 "or PATH and what is below it. With --json each name is one object in a line. "
		 "With --layer N the entries of one layer, in the order of its tar; W and O are "
		 "its whiteouts.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_SALVAGE | FEATURE_OUTPUT |
		    FEATURE_CLOBBER,
	.all_help = HELP_ALL_ONE,
	.options = files_table,
	.options_size = sizeof(struct files_flags),
	.run = run_files,
};
