/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "squash": the upper layers of an image in one.
 * Relies on: dray_squash().
 * Promises: the rootfs id before and after, told.
 */
#include "cli/copied.h"

struct squash_flags {
	struct relayer_flags relayer;
	int last;
	const char *from;
};

static const struct option table[] = {
	{ "last", 0, OPT_INT, offsetof(struct squash_flags, last), "N",
	  "squash the N topmost layers", .lo = 1, .hi = 100000 },
	{ "from", 0, OPT_STRING, offsetof(struct squash_flags, from), "LAYER",
	  .help = "squash this layer and all above it: its number from 0, or its DiffID (12 "
		  "digits will do)" },
	RELAYER_OPTIONS(offsetof(struct squash_flags, relayer)),
	{ 0 },
};

static int squash_options(const struct squash_flags *f, struct dray_squash_options *ret,
			  dray_error **err)
{
	*ret = (struct dray_squash_options)DRAY_SQUASH_OPTIONS_INIT;
	if (!f->last == !f->from) {
		err_set(err, DRAY_ERR_USAGE, "which layers? --last N or --from LAYER, one of both");
		return err_hint(err, "dray explain shows the layers with their numbers");
	}
	ret->last = f->last;
	ret->from = f->from;
	return 0;
}

static int run(struct session *s, dray_error **err)
{
	const struct squash_flags *f = s->options;
	struct dray_select select = session_select(s);
	struct dray_squash_options so;
	struct dray_copy_options o;
	dray_relayered *r = NULL;
	int rc;

	if (squash_options(f, &so, err) < 0 || relayer_options(s, &f->relayer, &o, err) < 0 ||
	    session_check_input(s, s->args[0], err) < 0 || !session_context(s, err))
		return -1;
	rc = dray_squash(s->ctx, s->args[0], &select, s->global.output, &so, &o, &r, err);
	if (rc == 0)
		rc = relayer_result(s, r, err);
	dray_relayered_free(r);
	return rc;
}

const struct command cmd_squash = {
	.name = "squash",
	.group = GROUP_LAYERS,
	.summary = "make one layer of the upper layers, and leave the lower ones",
	.args = "IMAGE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes = "Makes an image with the same files and the same config, whose upper layers are "
		 "one: what they held and hid is gone. The lower layers keep their bytes and their "
		 "digests. The new layer is read back, and nothing appears unless the whole gives "
		 "the same rootfs id, times included.",
	.features = RELAYER_FEATURES,
	.output_help = HELP_OUTPUT_IMAGE,
	.all_help = HELP_ALL_ONE,
	.options = table,
	.options_size = sizeof(struct squash_flags),
	.run = run,
};
