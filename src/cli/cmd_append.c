/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "append": tars as new layers on top of an image.
 * Relies on: dray_append().
 * Promises: the rootfs id before and after, told, unless nobody wants it.
 */
#include "cli/copied.h"

struct append_flags {
	struct relayer_flags relayer;
	const char *created_by, *comment;
	bool no_rootfs_id;
};

static const struct option table[] = {
	{ "created-by", 0, OPT_STRING, offsetof(struct append_flags, created_by), "TEXT",
	  .help = "what the history says made the layers (default: \"dray append\")" },
	{ "comment", 0, OPT_STRING, offsetof(struct append_flags, comment), "TEXT",
	  .help = "a comment beside it" },
	{ "no-rootfs-id", 0, OPT_FLAG, offsetof(struct append_flags, no_rootfs_id),
	  .help = "do not read the layers that stay: the rootfs ids are not told" },
	RELAYER_OPTIONS(offsetof(struct append_flags, relayer)),
	{ 0 },
};

static int check_inputs(struct session *s, dray_error **err)
{
	size_t piped = 0;

	for (size_t i = 0; i < s->n_args; i++) {
		piped += ref_is_stdio(s->args[i]);
		if (session_check_input(s, s->args[i], err) < 0)
			return -1;
	}
	if (piped > 1)
		return err_set(err, DRAY_ERR_USAGE, "'-' is standard input, which is read once");
	return 0;
}

static int run(struct session *s, dray_error **err)
{
	const struct append_flags *f = s->options;
	struct dray_select select = session_select(s);
	struct dray_append_options ao = DRAY_APPEND_OPTIONS_INIT;
	struct dray_copy_options o;
	dray_relayered *r = NULL;
	int rc;

	if (relayer_options(s, &f->relayer, &o, err) < 0 || check_inputs(s, err) < 0 ||
	    !session_context(s, err))
		return -1;
	ao.tars = (const char *const *)s->args + 1;
	ao.n_tars = s->n_args - 1;
	ao.created_by = f->created_by;
	ao.comment = f->comment;
	ao.no_rootfs_id = f->no_rootfs_id;
	rc = dray_append(s->ctx, s->args[0], &select, s->global.output, &ao, &o, &r, err);
	if (rc == 0)
		rc = relayer_result(s, r, err);
	dray_relayered_free(r);
	return rc;
}

const struct command cmd_append = {
	.name = "append",
	.group = GROUP_LAYERS,
	.summary = "put tars on top of an image as new layers",
	.args = "IMAGE TAR...",
	.min_args = 2,
	.max_args = SIZE_MAX,
	.complete = COMPLETE_PLACE,
	.notes =
		"Each TAR, compressed or not, becomes one layer, the last one topmost, with the "
		"bytes that it has: the DiffID is its digest. The layers below stay byte for byte. "
		"A TAR that is no sound layer is refused. '-' reads one of them from standard "
		"input.",
	.features = RELAYER_FEATURES,
	.output_help = HELP_OUTPUT_IMAGE,
	.all_help = HELP_ALL_ONE,
	.options = table,
	.options_size = sizeof(struct append_flags),
	.run = run,
};
