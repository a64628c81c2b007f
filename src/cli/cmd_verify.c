/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "verify": do all bytes match the digests that name them.
 * Relies on: dray_verify(), which reads everything once.
 * Promises: exit status 1 when there is a problem; each problem is told.
 */
#include "cli/cli.h"
#include "cli/render.h"

/* Bytes of the distinct layers as stored. */
static int64_t checked_bytes(const struct dray_image_info *image)
{
	int64_t sum = (int64_t)image->config_size;

	for (size_t i = 0; i < image->n_layers; i++) {
		const struct dray_layer_info *l = &image->layers[i];
		int64_t size = l->blob_size >= 0 ? l->blob_size : l->size;
		if (l->same_as < 0 && size > 0 && __builtin_add_overflow(sum, size, &sum))
			return -1;
	}
	return sum;
}

static void image_line(struct page *p, const struct dray_image_info *image, bool ok)
{
	char size[HUMAN_SIZE];

	if (image->n_tags || image->image_id) {
		page_safe(p, image->n_tags ? image->tags[0] : image->image_id);
		page_put(p, ": ");
	}
	page_put(p, "%s%zu layer%s, %s checked\n", ok ? "ok: " : "", image->n_layers,
		 image->n_layers == 1 ? "" : "s", human_size(checked_bytes(image), size));
}

static void problem_line(struct page *p, const struct dray_finding *f)
{
	page_put(p, "problem: ");
	page_safe(p, f->code);
	page_put(p, ": ");
	if (f->where) {
		page_safe(p, f->where);
		page_put(p, ": ");
	}
	page_safe(p, f->message);
	/* Some messages carry both values already. */
	if (f->expected && f->actual && !strstr(f->message, f->actual)) {
		page_put(p, " (expected ");
		page_safe(p, f->expected);
		page_put(p, ", got ");
		page_safe(p, f->actual);
		page_put(p, ")");
	}
	page_put(p, "\n");
}

static void verify_text(struct page *p, const dray_report *r)
{
	size_t problems = dray_report_problems(r);

	for (size_t i = 0; i < dray_report_images(r); i++)
		image_line(p, dray_report_image(r, i), problems == 0);
	for (size_t i = 0; i < problems; i++)
		problem_line(p, dray_report_problem(r, i));
	if (problems)
		page_put(p, "%zu problem%s\n", problems, problems == 1 ? "" : "s");
}

static int run_verify(struct session *s, dray_error **err)
{
	struct dray_select select = session_select(s);
	cleanup_report dray_report *r = NULL;

	if (session_check_input(s, s->args[0], err) < 0 || !session_context(s, err) ||
	    dray_verify(s->ctx, s->args[0], &select, &r, err) < 0)
		return -1;
	progress_hide(&s->progress);
	session_warnings(s, r);
	if (!s->global.json)
		verify_text(&s->page, r);
	else if (render_report(&s->page, r, false, err) < 0)
		return -1;
	return dray_report_problems(r) ? STATUS_NEGATIVE : STATUS_OK;
}

const struct command cmd_verify = {
	.name = "verify",
	.group = GROUP_UNDERSTAND,
	.summary = "read everything and recompute every digest",
	.args = "IMAGE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes = "Reads every byte of an image once and recomputes what names it: config digest, "
		 "DiffIDs, blob digests, sizes, counts. Exit status 1 when something does not "
		 "match, 6 when the place can't be read as an image at all.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_OUTPUT | FEATURE_CLOBBER,
	.run = run_verify,
};
