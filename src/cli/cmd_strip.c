/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "strip": an image without some of its files, in any layer.
 * Relies on: dray_strip().
 * Promises: the rootfs id before and after, told.
 */
#include "cli/copied.h"

struct strip_flags {
	struct relayer_flags relayer;
	bool ignore_missing;
};

static const struct option table[] = { { "ignore-missing", 0, OPT_FLAG,
					 offsetof(struct strip_flags, ignore_missing),
					 .help = "go on though no layer has one of the paths" },
				       RELAYER_OPTIONS(offsetof(struct strip_flags, relayer)),
				       { 0 } };

static int run(struct session *s, dray_error **err)
{
	const struct strip_flags *f = s->options;
	struct dray_select select = session_select(s);
	struct dray_strip_options so = DRAY_STRIP_OPTIONS_INIT;
	struct dray_copy_options o;
	dray_relayered *r = NULL;
	int rc;

	if (relayer_options(s, &f->relayer, &o, err) < 0 ||
	    session_check_input(s, s->args[0], err) < 0 || !session_context(s, err))
		return -1;
	so.paths = (const char *const *)s->args + 1;
	so.n_paths = s->n_args - 1;
	so.ignore_missing = f->ignore_missing;
	rc = dray_strip(s->ctx, s->args[0], &select, s->global.output, &so, &o, &r, err);
	if (rc == 0)
		rc = relayer_result(s, r, err);
	dray_relayered_free(r);
	return rc;
}

const struct command cmd_strip = {
	.name = "strip",
	.group = GROUP_LAYERS,
	.summary = "take paths out of every layer of an image",
	.args = "IMAGE PATH...",
	.min_args = 2,
	.max_args = SIZE_MAX,
	.complete = COMPLETE_PLACE,
	.notes = "Makes an image without PATH and all below it: not hidden by one more layer, but "
		 "gone. Each layer that has some of it, or hides some of it, is made anew; the "
		 "others stay byte for byte. PATH may have * ? [a-c] in its names and ** for any "
		 "number of folders. The new layers are read back, and nothing appears unless they "
		 "give the old files less these paths.",
	.features = RELAYER_FEATURES,
	.output_help = HELP_OUTPUT_IMAGE,
	.all_help = HELP_ALL_ONE,
	.options = table,
	.options_size = sizeof(struct strip_flags),
	.run = run,
};
