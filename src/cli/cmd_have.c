/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "have": the layers of a place, for a delta that is made elsewhere.
 * Relies on: dray_have().
 * Promises: the same text for the same layers.
 */
#include "base/mem.h"
#include "cli/cli.h"

DEFINE_CLEANUP(dray_have_list, cleanup_have_fn, dray_have_free)
#define cleanup_have CLEANUP(cleanup_have_fn)

static void strings_json(struct jsonw *w, const char *key, const char *const *list, size_t n)
{
	jsonw_key(w, key);
	jsonw_array(w);
	for (size_t i = 0; i < n; i++)
		jsonw_string(w, list[i]);
	jsonw_end_array(w);
}

static int have_json(struct page *p, const struct dray_have_info *h, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kint(&w, "images", (int64_t)h->n_images);
	strings_json(&w, "chain_ids", h->chain_ids, h->n_chain_ids);
	strings_json(&w, "diff_ids", h->diff_ids, h->n_diff_ids);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return STATUS_OK;
}

static int run(struct session *s, dray_error **err)
{
	const struct dray_select select = session_select(s);
	cleanup_have dray_have_list *h = NULL;

	if (session_check_input(s, s->args[0], err) < 0 || !session_context(s, err) ||
	    dray_have(s->ctx, s->args[0], &select, &h, err) < 0)
		return -1;
	if (s->global.json)
		return have_json(&s->page, dray_have_get(h), err);
	page_put(&s->page, "%s", dray_have_get(h)->text);
	return STATUS_OK;
}

const struct command cmd_have = {
	.name = "have",
	.group = GROUP_MOVE,
	.summary = "list the layers that a place has, as a base for delta",
	.args = "PLACE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes = "Prints a have-list: the layers of all images of an archive, a layout, a "
		 "registry's "
		 "reference or the engine (docker-daemon:), by DiffID and by chain ID. Taken to "
		 "another machine it is a base for dray delta save, so that no machine needs to "
		 "reach the other. Only documents are read, no layer.",
	.features = FEATURE_JSON | FEATURE_IMAGE | FEATURE_OUTPUT | FEATURE_CLOBBER,
	.output_help = "write to PATH, which appears whole",
	.all_help = "every image of the place, which is the default",
	.run = run,
};
