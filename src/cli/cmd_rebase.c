/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "rebase": an image on another base.
 * Relies on: dray_rebase().
 * Promises: the rootfs id before and after, told, unless nobody wants it.
 */
#include "cli/copied.h"

struct rebase_flags {
	struct relayer_flags relayer;
	const char *old_base, *new_base;
	bool no_rootfs_id;
};

static const struct option table[] = {
	{ "old-base", 0, OPT_STRING, offsetof(struct rebase_flags, old_base), "IMAGE",
	  .help = "the base that IMAGE stands on (default: as its annotations say)" },
	{ "new-base", 0, OPT_STRING, offsetof(struct rebase_flags, new_base), "IMAGE",
	  .help = "the base that it gets (default: what the base's name leads to today)" },
	{ "no-rootfs-id", 0, OPT_FLAG, offsetof(struct rebase_flags, no_rootfs_id),
	  .help = "do not read the layers that stay: the rootfs ids are not told" },
	RELAYER_OPTIONS(offsetof(struct rebase_flags, relayer)),
	{ 0 },
};

static int check_inputs(struct session *s, const struct rebase_flags *f, dray_error **err)
{
	const char *const places[] = { s->args[0], f->old_base, f->new_base };
	size_t piped = 0;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (!places[i])
			continue;
		piped += ref_is_stdio(places[i]);
		if (session_check_input(s, places[i], err) < 0)
			return -1;
	}
	if (piped > 1)
		return err_set(err, DRAY_ERR_USAGE, "'-' is standard input, which is read once");
	return 0;
}

static int run(struct session *s, dray_error **err)
{
	const struct rebase_flags *f = s->options;
	struct dray_select select = session_select(s);
	struct dray_rebase_options ro = DRAY_REBASE_OPTIONS_INIT;
	struct dray_copy_options o;
	dray_relayered *r = NULL;
	int rc;

	if (relayer_options(s, &f->relayer, &o, err) < 0 || check_inputs(s, f, err) < 0 ||
	    !session_context(s, err))
		return -1;
	ro.old_base = f->old_base;
	ro.new_base = f->new_base;
	ro.no_rootfs_id = f->no_rootfs_id;
	rc = dray_rebase(s->ctx, s->args[0], &select, s->global.output, &ro, &o, &r, err);
	if (rc == 0)
		rc = relayer_result(s, r, err);
	dray_relayered_free(r);
	return rc;
}

const struct command cmd_rebase = {
	.name = "rebase",
	.group = GROUP_LAYERS,
	.summary = "replace the layers that an image has from its base",
	.args = "IMAGE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes = "The lowest layers of IMAGE must be those of the old base; those of the new base "
		 "take their place. All layers stay byte for byte, and so does the config of IMAGE "
		 "but for its history. Without options the annotations "
		 "org.opencontainers.image.base.name and .digest say what the bases are.",
	.features = RELAYER_FEATURES,
	.output_help = HELP_OUTPUT_IMAGE,
	.all_help = HELP_ALL_ONE,
	.options = table,
	.options_size = sizeof(struct rebase_flags),
	.run = run,
};
