/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "gc": the folder of a registry without what nothing needs.
 * Relies on: dray_gc().
 * Promises: what went, or would go, is told.
 */
#include <dray/gc.h>

#include "base/number.h"
#include "cli/cli.h"

struct gc_flags {
	const char *grace;
	bool untagged, dry_run;
};

#define F(field) offsetof(struct gc_flags, field)

static const struct option gc_table[] = {
	{ "grace", 0, OPT_STRING, F(grace), "DURATION",
	  .help = "what was pushed, asked for or let go of since then stays (default: 1h)" },
	{ "untagged", 0, OPT_FLAG, F(untagged),
	  .help = "also manifests that no tag, no index and no subject leads to" },
	{ "dry-run", 'n', OPT_FLAG, F(dry_run), .help = "tell what would go, remove nothing" },
	{ 0 },
};

static int gc_json(struct page *p, const struct dray_gc_result *r, bool dry_run, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kbool(&w, "dry_run", dry_run);
	jsonw_kint(&w, "manifests", r->manifests);
	jsonw_kint(&w, "blobs", r->blobs);
	jsonw_kint(&w, "bytes", r->bytes);
	jsonw_kint(&w, "strays", r->strays);
	jsonw_kint(&w, "stray_bytes", r->stray_bytes);
	jsonw_kint(&w, "kept_blobs", r->kept);
	jsonw_kint(&w, "kept_bytes", r->kept_bytes);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return STATUS_OK;
}

static void gc_text(struct page *p, const struct dray_gc_result *r, bool dry_run)
{
	const char *verb = dry_run ? "would remove" : "removed";
	char gone[HUMAN_SIZE], kept[HUMAN_SIZE];

	if (r->manifests)
		page_put(p, "%s %lld untagged manifests\n", verb, (long long)r->manifests);
	page_put(p, "%s %lld blobs, %s\n", verb, (long long)r->blobs, human_size(r->bytes, gone));
	if (r->strays)
		page_put(p, "%s %lld files of pushes that were killed, %s\n", verb,
			 (long long)r->strays, human_size(r->stray_bytes, gone));
	page_put(p, "%lld blobs stay, %s\n", (long long)r->kept, human_size(r->kept_bytes, kept));
}

static int run_gc(struct session *s, dray_error **err)
{
	const struct gc_flags *f = s->options;
	struct dray_gc_options o = DRAY_GC_OPTIONS_INIT;
	struct dray_gc_result r;
	int64_t ms;

	if (f->grace && !num_parse_duration_ms(f->grace, &ms))
		return err_set(err, DRAY_ERR_USAGE, "--grace takes 90s, 30m, 1h and the like");
	if (f->grace)
		o.grace = ms / 1000 + (ms % 1000 != 0); /* never less than was asked for */
	o.untagged = f->untagged;
	o.dry_run = f->dry_run;
	if (!session_context(s, err) || dray_gc(s->ctx, s->args[0], &o, &r, err) < 0)
		return -1;
	if (s->global.json)
		return gc_json(&s->page, &r, f->dry_run, err);
	gc_text(&s->page, &r, f->dry_run);
	return STATUS_OK;
}

const struct command cmd_gc = {
	.name = "gc",
	.group = GROUP_REGISTRY,
	.summary = "remove from the folder of a registry what nothing needs",
	.args = "DIR",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_DIR,
	.notes = "DIR is the --root of dray serve, which collects by itself while it runs; this is "
		 "for when it does not. Removes blobs that no manifest of their repositories needs "
		 "and that nobody pushed, mounted or asked for within --grace. Manifests stay, "
		 "tagged or not, unless --untagged is given.",
	.features = FEATURE_JSON,
	.options = gc_table,
	.options_size = sizeof(struct gc_flags),
	.run = run_gc,
};
