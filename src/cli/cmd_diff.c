/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "diff": what differs between two images, for people and as JSON.
 * Relies on: dray_diff_open() and what it hands out.
 * Promises: exit status 0 when nothing differs, 1 when something does.
 */
#include <dray/diff.h>

#include "cli/diff.h"

DEFINE_CLEANUP(dray_diff, cleanup_diff_fn, dray_diff_free)
#define cleanup_diff CLEANUP(cleanup_diff_fn)

struct diff_flags {
	bool semantic;
	const char *only;
	struct option_list ignore;
};

static const struct option diff_table[] = {
	{ "semantic", 0, OPT_FLAG, offsetof(struct diff_flags, semantic),
	  .help = "not what another build of the same changes: times, history, layer cuts" },
	{ "only", 0, OPT_STRING, offsetof(struct diff_flags, only), "PARTS",
	  .help = "compare these alone: config, layers, files, packages, divided by commas" },
	{ "ignore", 0, OPT_LIST, offsetof(struct diff_flags, ignore), "GLOB",
	  .help = "files that do not count, with all below them; may be repeated" },
	{ 0 },
};

static int part_of(struct span word, unsigned *ret, dray_error **err)
{
	static const struct {
		const char *name;
		enum dray_diff_part part;
	} parts[] = {
		{ "config", DRAY_DIFF_CONFIG },
		{ "layers", DRAY_DIFF_LAYERS },
		{ "files", DRAY_DIFF_FILES },
		{ "packages", DRAY_DIFF_PACKAGES },
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (span_is(word, parts[i].name)) {
			*ret |= parts[i].part;
			return 0;
		}
	}
	return err_set(err, DRAY_ERR_USAGE,
		       "--only: expected config, layers, files or packages, got '%.*s'",
		       (int)span_head(word, 40).len, (const char *)word.data);
}

static int read_parts(const char *text, unsigned *ret, dray_error **err)
{
	while (text) {
		size_t len = strcspn(text, ",");

		if (part_of(span_of(text, len), ret, err) < 0)
			return -1;
		text = text[len] ? text + len + 1 : NULL;
	}
	return 0;
}

static int open_diff(struct session *s, dray_diff **ret, dray_error **err)
{
	const struct diff_flags *f = s->options;
	struct dray_diff_options o = DRAY_DIFF_OPTIONS_INIT;

	if (read_parts(f->only, &o.parts, err) < 0)
		return -1;
	o.semantic = f->semantic;
	o.ignore = f->ignore.list;
	o.n_ignore = f->ignore.n;
	if (ref_is_stdio(s->args[0]) && ref_is_stdio(s->args[1]))
		return err_set(err, DRAY_ERR_USAGE, "only one of both can be standard input");
	if (session_check_input(s, s->args[0], err) < 0 ||
	    session_check_input(s, s->args[1], err) < 0 || !session_context(s, err))
		return -1;
	return dray_diff_open(s->ctx, s->args[0], s->args[1], &o, ret, err);
}

static int run_diff(struct session *s, dray_error **err)
{
	cleanup_diff dray_diff *d = NULL;
	int rc;

	if (open_diff(s, &d, err) < 0)
		return -1;
	rc = s->global.json ? diff_json(s, d, NULL, NULL, err) : diff_text(s, d, err);
	if (rc < 0)
		return -1;
	return dray_diff_same(d) ? STATUS_OK : STATUS_NEGATIVE;
}

const struct command cmd_diff = {
	.name = "diff",
	.group = GROUP_UNDERSTAND,
	.summary = "what differs between two images: config, layers, files, packages",
	.args = "A B",
	.min_args = 2,
	.max_args = 2,
	.complete = COMPLETE_PLACE,
	.notes = "Compares two images wherever they are: the members of their configs, their "
		 "layers by DiffID, the packages that dpkg, apk or rpm installed, and the files "
		 "that the layers add up to by type, content, size, mode, owner, times, links, "
		 "devices and extended attributes. How layers are compressed, manifests and tags "
		 "do not count: that is 'dray why'. Exit status 0 when nothing differs, else 1.",
	.features = FEATURE_JSON | FEATURE_OUTPUT | FEATURE_CLOBBER,
	.options = diff_table,
	.options_size = sizeof(struct diff_flags),
	.run = run_diff,
};
