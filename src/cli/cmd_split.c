/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "split": the files of an image in other layers.
 * Relies on: dray_split(), dray_split_plan_make().
 * Promises: the rootfs id before and after, told; with --dry-run nothing but the plan.
 */
#include <dray/split.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/copied.h"
#include "cli/render.h"

#define HOLDS_MAX 60	 /* bytes of what a layer holds that a table shows */
#define COUNT_MAX 100000 /* layers; LIMIT_LAYERS has fewer */

struct split_flags {
	struct relayer_flags shared;
	struct option_list rules;
	const char *by, *rest, *previous, *max_size, *min_size;
	int max, keep_base;
	bool force, dry_run;
};

#define F(member) offsetof(struct split_flags, member)
static const struct option table[] = {
	{ "layer", 0, OPT_LIST, F(rules), "GLOB[,GLOB]...",
	  .help = "a layer of what falls under these globs, above those before (repeatable)" },
	{ "by", 0, OPT_CHOICE, F(by), "HOW",
	  "how the rest is cut: none (one layer), package, dir, size, or auto: package where there "
	  "are any, else dir (default: none with --layer, else auto); keep: as it is",
	  .choices = "none|auto|package|dir|size|keep" },
	{ "rest", 0, OPT_CHOICE, F(rest), "HOW",
	  "the same by other words: single (none), auto, or keep: what no rule takes stays in the "
	  "layer where it is",
	  .choices = "single|auto|keep" },
	{ "max", 0, OPT_INT, F(max), "N", "layers in all, at most (default: 64)", .lo = 1,
	  .hi = COUNT_MAX },
	{ "force", 0, OPT_FLAG, F(force),
	  .help = "more than 125 layers, which engines refuse, are meant" },
	{ "min-size", 0, OPT_STRING, F(min_size), "SIZE",
	  .help = "before compression, of layers that --layer does not ask for (default: 100kB)" },
	{ "max-layer-size", 0, OPT_STRING, F(max_size), "SIZE",
	  .help = "before compression (512MB, 2GiB); layers of the rest are cut to have no more, "
		  "but for a file that has" },
	{ "previous", 0, OPT_STRING, F(previous), "IMAGE", .complete = COMPLETE_PLACE,
	  .help = "keep to the layers of this image: what it has stays where it is there" },
	{ "keep-base", 0, OPT_INT, F(keep_base), "N", "the lowest N layers stay as they are",
	  .lo = 0, .hi = COUNT_MAX },
	{ "dry-run", 'n', OPT_FLAG, F(dry_run), .help = "tell the plan, write nothing" },
	RELAYER_OPTIONS(F(shared)),
	{ 0 },
};
#undef F

static int take_size(const char *option, const char *text, int64_t *ret, dray_error **err)
{
	if (!text || (option_size(text, ret) && *ret > 0))
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "%s: '%s' is no size (expected 512MB, 2GiB, ...)",
		       option, text);
}

static int split_options(const struct split_flags *f, struct dray_split_options *ret,
			 dray_error **err)
{
	*ret = (struct dray_split_options)DRAY_SPLIT_OPTIONS_INIT;
	if (f->by && f->rest)
		return err_set(err, DRAY_ERR_USAGE, "--by and --rest both say how the rest is cut");
	if (take_size("--max-layer-size", f->max_size, &ret->max_size, err) < 0 ||
	    take_size("--min-size", f->min_size, &ret->min_size, err) < 0)
		return -1;
	ret->rules = f->rules.list;
	ret->n_rules = f->rules.n;
	ret->by = f->rest && strcmp(f->rest, "single") == 0 ? "none" : f->rest ? f->rest : f->by;
	ret->previous = f->previous;
	ret->max = f->max;
	ret->keep_base = (size_t)f->keep_base;
	ret->force = f->force;
	return 0;
}

/* ---- the plan ---- */

/* The rule, or "libc6, zlib1g + 12". */
static char *holds(const struct dray_split_layer *l)
{
	if (l->kept)
		return mem_strdup("as it is");
	if (l->rule)
		return text_safe(span_str(l->rule), HOLDS_MAX);
	if (l->n_parts == 0)
		return mem_strdup("removals");
	return human_list(l->parts, l->n_parts, HOLDS_MAX);
}

/* What the previous image does not have. */
static int64_t count_resent(const struct dray_split_layer *layers, size_t n, size_t *ret_n)
{
	int64_t bytes = 0;

	*ret_n = 0;
	for (size_t i = 0; i < n; i++) {
		bytes += layers[i].resent ? layers[i].bytes : 0;
		*ret_n += layers[i].resent;
	}
	return bytes;
}

static void resent_text(struct page *p, const struct dray_split_layer *layers, size_t n)
{
	char size[HUMAN_SIZE];
	size_t resent;
	int64_t bytes = count_resent(layers, n, &resent);

	page_put(p, "%zu of %zu layers (%s before compression) are not in the previous image\n",
		 resent, n, human_size(bytes, size));
}

static void plan_text(struct page *p, const struct dray_split_layer *layers, size_t n,
		      bool compared)
{
	static const char *const heads[] = { "LAYER", "ENTRIES", "SIZE", "HOLDS", "SENT" };
	const size_t cols = ARRAY_LEN(heads) - !compared;
	cleanup_table struct table t = { .cols = cols, .right = { true, true, true } };

	for (size_t i = 0; i < cols; i++)
		table_add(&t, heads[i]);
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *what = holds(&layers[i]);
		char number[24], entries[24], size[HUMAN_SIZE];

		snprintf(number, sizeof(number), "%zu", i);
		snprintf(entries, sizeof(entries), "%lld", (long long)layers[i].entries);
		t.failed |= !what;
		table_add(&t, number);
		table_add(&t, entries);
		table_add(&t, human_size(layers[i].bytes, size));
		table_add(&t, what);
		if (compared)
			table_add(&t, layers[i].resent ? "yes" : "no");
	}
	table_print(&t, p, 0);
	if (compared)
		resent_text(p, layers, n);
}

static void layer_json(struct jsonw *w, const struct dray_split_layer *l, bool compared)
{
	jsonw_object(w);
	jsonw_kbool(w, "kept", l->kept);
	jsonw_kstring(w, "rule", l->rule);
	jsonw_key(w, "parts");
	jsonw_array(w);
	for (size_t i = 0; i < l->n_parts; i++)
		jsonw_string(w, l->parts[i]);
	jsonw_end_array(w);
	jsonw_kint(w, "entries", l->entries);
	jsonw_kint(w, "size", l->bytes);
	if (compared)
		jsonw_kbool(w, "resent", l->resent);
	jsonw_end_object(w);
}

static int plan_json(struct page *p, const struct dray_split_layer *layers, size_t n, bool compared,
		     dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;
	size_t resent;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	if (compared)
		jsonw_kint(&w, "resent_size", count_resent(layers, n, &resent));
	jsonw_key(&w, "layers");
	jsonw_array(&w);
	for (size_t i = 0; i < n; i++)
		layer_json(&w, &layers[i], compared);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return 0;
}

static int show_plan(struct session *s, const struct dray_split_options *so, dray_error **err)
{
	struct dray_select select = session_select(s);
	const struct dray_split_layer *layers;
	dray_split_plan *plan = NULL;
	int rc = STATUS_OK;
	size_t n;

	if (session_check_input(s, s->args[0], err) < 0 || !session_context(s, err) ||
	    dray_split_plan_make(s->ctx, s->args[0], &select, so, &plan, err) < 0)
		return -1;
	layers = dray_split_plan_layers(plan, &n);
	if (s->global.json)
		rc = plan_json(&s->page, layers, n, so->previous, err);
	else
		plan_text(&s->page, layers, n, so->previous);
	dray_split_plan_free(plan);
	return rc;
}

/* ---- the image ---- */

static int run(struct session *s, dray_error **err)
{
	const struct split_flags *f = s->options;
	struct dray_split_options so;
	struct dray_select select = session_select(s);
	struct dray_copy_options o;
	dray_relayered *r = NULL;
	int rc;

	if (split_options(f, &so, err) < 0)
		return -1;
	if (f->dry_run)
		return show_plan(s, &so, err);
	if (relayer_options(s, &f->shared, &o, err) < 0 ||
	    session_check_input(s, s->args[0], err) < 0 || !session_context(s, err))
		return -1;
	rc = dray_split(s->ctx, s->args[0], &select, &so, s->global.output, &o, &r, err);
	if (rc == 0)
		rc = relayer_result(s, r, err);
	dray_relayered_free(r);
	return rc;
}

const struct command cmd_split = {
	.name = "split",
	.group = GROUP_LAYERS,
	.summary = "cut the files of an image into other layers",
	.args = "IMAGE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_PLACE,
	.notes = "Makes an image with the same files and the same config, cut anew. Each --layer "
		 "makes "
		 "one, in order, from the bottom; the first that fits a path or a folder above it "
		 "wins, "
		 "and what none fits lies below them all. Globs start at the root: * and ? stay "
		 "within "
		 "a name, ** is any number of folders, [a-c] and {a,b} as in a shell.\n\n"
		 "Without --layer the cut is made by what belongs together, so that an update of "
		 "one "
		 "package changes few layers.\n\n"
		 "The new layers are read back, and nothing appears unless they give the same "
		 "rootfs "
		 "id, times included.",
	.features = RELAYER_FEATURES,
	.output_help = HELP_OUTPUT_IMAGE " without --dry-run",
	.all_help = HELP_ALL_ONE,
	.options = table,
	.options_size = sizeof(struct split_flags),
	.run = run,
};
