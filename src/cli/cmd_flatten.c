/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "flatten": an image of one layer.
 * Relies on: dray_flatten().
 * Promises: the rootfs id before and after, told.
 */
#include "cli/copied.h"

static const struct option table[] = { RELAYER_OPTIONS(0), { 0 } };

static int run(struct session *s, dray_error **err)
{
	struct dray_select select = session_select(s);
	struct dray_copy_options o;
	dray_relayered *r = NULL;
	int rc;

	if (relayer_options(s, s->options, &o, err) < 0 ||
	    session_check_input(s, s->args[0], err) < 0 || !session_context(s, err))
		return -1;
	rc = dray_flatten(s->ctx, s->args[0], &select, s->global.output, &o, &r, err);
	if (rc == 0)
		rc = relayer_result(s, r, err);
	dray_relayered_free(r);
	return rc;
}

const struct command cmd_flatten = {
	.name = "flatten",
	.group = GROUP_LAYERS,
	.summary = "make one layer of all layers of an image",
	.args = "IMAGE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes = "Makes an image with the same files and the same config, in one layer: what lower "
		 "layers hold and upper ones hide is gone. The new layer is read back, and nothing "
		 "appears unless it gives the same rootfs id, times included.",
	.features = RELAYER_FEATURES,
	.output_help = HELP_OUTPUT_IMAGE,
	.all_help = HELP_ALL_ONE,
	.options = table,
	.options_size = sizeof(struct relayer_flags),
	.run = run,
};
