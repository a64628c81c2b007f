/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "why": are two images the same, and if not, what is the first cause.
 * Relies on: dray_why().
 * Promises: exit status 0 when nothing differs, 1 when something does.
 */
#include "cli/cli.h"

DEFINE_CLEANUP(dray_why_result, cleanup_why_fn, dray_why_free)
#define cleanup_why CLEANUP(cleanup_why_fn)

static void why_text(struct page *p, const dray_why_result *w)
{
	if (dray_why_same(w))
		page_put(p, "the same image\n");
	else if (dray_why_same_image_id(w) && dray_why_same_rootfs(w) == 1)
		page_put(p, "different, but the same image ID: an engine sees one image\n");
	else if (dray_why_same_image_id(w))
		page_put(p, "different, but the same image ID, for the config names no layers\n");
	else if (dray_why_same_rootfs(w) == 1)
		page_put(p, "different images with the same files\n");
	else
		page_put(p, "different images\n");
	for (size_t i = 0; i < dray_why_causes(w); i++) {
		const struct dray_cause *cause = dray_why_cause(w, i);

		page_put(p, "  ");
		page_safe(p, cause->code);
		page_put(p, ": ");
		page_line(p, cause->message, 4 + strlen(cause->code));
		page_put(p, "\n");
	}
}

static int why_json(struct page *p, const dray_why_result *w, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	int rootfs = dray_why_same_rootfs(w);
	struct jsonw j;

	jsonw_init(&j, &out, err);
	jsonw_object(&j);
	jsonw_kint(&j, "schema", 1);
	jsonw_kbool(&j, "same", dray_why_same(w));
	jsonw_kbool(&j, "same_image_id", dray_why_same_image_id(w));
	jsonw_key(&j, "same_rootfs");
	if (rootfs < 0)
		jsonw_null(&j);
	else
		jsonw_bool(&j, rootfs > 0);
	jsonw_key(&j, "causes");
	jsonw_array(&j);
	for (size_t i = 0; i < dray_why_causes(w); i++) {
		jsonw_object(&j);
		jsonw_kstring(&j, "code", dray_why_cause(w, i)->code);
		jsonw_kstring(&j, "message", dray_why_cause(w, i)->message);
		jsonw_end_object(&j);
	}
	jsonw_end_array(&j);
	jsonw_end_object(&j);
	if (jsonw_finish(&j) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return 0;
}

static int run_why(struct session *s, dray_error **err)
{
	cleanup_why dray_why_result *w = NULL;

	if (ref_is_stdio(s->args[0]) && ref_is_stdio(s->args[1]))
		return err_set(err, DRAY_ERR_USAGE, "only one of both can be standard input");
	if (session_check_input(s, s->args[0], err) < 0 ||
	    session_check_input(s, s->args[1], err) < 0 || !session_context(s, err) ||
	    dray_why(s->ctx, s->args[0], s->args[1], &w, err) < 0)
		return -1;
	if (!s->global.json)
		why_text(&s->page, w);
	else if (why_json(&s->page, w, err) < 0)
		return -1;
	return dray_why_same(w) ? STATUS_OK : STATUS_NEGATIVE;
}

const struct command cmd_why = {
	.name = "why",
	.group = GROUP_UNDERSTAND,
	.summary = "are two images the same, and if not, why",
	.args = "A B",
	.min_args = 2,
	.max_args = 2,
	.complete = COMPLETE_PLACE,
	.notes = "Compares two images wherever they are and names the first cause of a "
		 "difference: another config and which keys, other layers and which, the same "
		 "image compressed otherwise, another manifest type, only another tag. Exit status "
		 "0 when nothing differs, else 1.",
	.features = FEATURE_JSON | FEATURE_OUTPUT | FEATURE_CLOBBER,
	.run = run_why,
};
