/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "sync": images and tag patterns of a list, mirrored.
 * Relies on: dray_sync().
 * Promises: one line on stdout per image that was copied; each failure is told on stderr, also
 * with --quiet, and the first one decides the exit status.
 */
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/render.h"

struct sync_flags {
	bool dry_run;
	const char *shard;
};

#define S(field) offsetof(struct sync_flags, field)

static const struct option sync_table[] = {
	{ "dry-run", 0, OPT_FLAG, S(dry_run),
	  .help = "print what would be copied, SOURCE -> DESTINATION, and write nothing" },
	{ "shard", 0, OPT_STRING, S(shard), "I/N",
	  .help = "only part I of N of the list, by a hash that no order changes; I counts from 0 "
		  "or from 1" },
	{ 0 },
};

struct counts {
	size_t by_status[DRAY_SYNC_FAILED + 1];
	int64_t bytes;
};

/* "I/N" */
static int parse_shard(const char *text, struct dray_sync_options *o, dray_error **err)
{
	struct span s = span_str(text);
	int64_t slash = span_find(s, '/'), i, n;

	if (slash < 0 || !num_parse_u63(span_head(s, (size_t)slash), &i) ||
	    !num_parse_u63(span_from(s, (size_t)slash + 1), &n) || n < 1 || n > 1000000 || i > n)
		return err_set(
			err, DRAY_ERR_USAGE,
			"--shard: expected I/N with I from 0 to N and N to 1000000, got %.32s",
			text);
	o->shard = (uint32_t)i;
	o->shards = (uint32_t)n;
	return 0;
}

static struct counts count(const dray_sync_result *r)
{
	struct counts c = { 0 };

	for (size_t i = 0; i < dray_sync_count(r); i++) {
		const struct dray_synced *s = dray_sync_get(r, i);

		c.by_status[s->status]++;
		c.bytes += s->bytes_sent;
	}
	return c;
}

/* ---- for people ---- */

static void tell_failure(struct session *s, const struct dray_synced *x)
{
	cleanup_free char *raw = mem_printf("%s%s%s: %s", x->source, x->destination ? " -> " : "",
					    x->destination ? x->destination : "",
					    dray_error_message(x->error));
	cleanup_free char *safe = raw ? text_safe(span_str(raw), 16 * 1024) : NULL;

	session_failure(s, safe ? safe : "out of memory");
}

static void tell(struct session *s, const struct dray_synced *x)
{
	if (x->status == DRAY_SYNC_FAILED)
		tell_failure(s, x);
	if (s->global.json || (x->status != DRAY_SYNC_COPIED && x->status != DRAY_SYNC_PLANNED))
		return;
	if (x->status == DRAY_SYNC_PLANNED) {
		page_safe(&s->page, x->source);
		page_put(&s->page, " -> ");
	}
	page_safe(&s->page, x->reference ? x->reference : x->destination);
	page_put(&s->page, "\n");
}

static void sum_up(struct session *s, const struct counts *c, bool dry)
{
	char size[HUMAN_SIZE];

	if (dry)
		session_note(s, "%zu to be copied, %zu there already, %zu failed",
			     c->by_status[DRAY_SYNC_PLANNED], c->by_status[DRAY_SYNC_UNCHANGED],
			     c->by_status[DRAY_SYNC_FAILED]);
	else
		session_note(s, "%zu copied (%s), %zu there already, %zu failed",
			     c->by_status[DRAY_SYNC_COPIED], human_size(c->bytes, size),
			     c->by_status[DRAY_SYNC_UNCHANGED], c->by_status[DRAY_SYNC_FAILED]);
}

/* ---- for programs ---- */

static void synced_json(struct jsonw *w, const struct dray_synced *s)
{
	static const char *const names[] = {
		[DRAY_SYNC_COPIED] = "copied",
		[DRAY_SYNC_UNCHANGED] = "unchanged",
		[DRAY_SYNC_PLANNED] = "planned",
		[DRAY_SYNC_FAILED] = "failed",
	};

	jsonw_object(w);
	jsonw_kstring(w, "source", s->source);
	jsonw_kstring(w, "destination", s->destination);
	jsonw_kstring(w, "status", names[s->status]);
	jsonw_kstring(w, "reference", s->reference);
	jsonw_kstring(w, "manifest_digest", s->manifest_digest);
	jsonw_kint(w, "blobs_sent", s->blobs_sent);
	jsonw_kint(w, "blobs_skipped", s->blobs_skipped);
	jsonw_kint(w, "bytes_sent", s->bytes_sent);
	if (s->error) {
		jsonw_key(w, "error");
		render_error(w, s->error);
	}
	jsonw_end_object(w);
}

static int result_json(struct page *p, const dray_sync_result *r, const struct counts *c, bool dry,
		       dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	jsonw_kbool(&w, "dry_run", dry);
	jsonw_key(&w, "images");
	jsonw_array(&w);
	for (size_t i = 0; i < dray_sync_count(r); i++)
		synced_json(&w, dray_sync_get(r, i));
	jsonw_end_array(&w);
	jsonw_kint(&w, "copied", (int64_t)c->by_status[DRAY_SYNC_COPIED]);
	jsonw_kint(&w, "unchanged", (int64_t)c->by_status[DRAY_SYNC_UNCHANGED]);
	jsonw_kint(&w, "planned", (int64_t)c->by_status[DRAY_SYNC_PLANNED]);
	jsonw_kint(&w, "failed", (int64_t)c->by_status[DRAY_SYNC_FAILED]);
	jsonw_kbool(&w, "ok", c->by_status[DRAY_SYNC_FAILED] == 0);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return 0;
}

/* ---- the verb ---- */

static int status(const dray_sync_result *r)
{
	for (size_t i = 0; i < dray_sync_count(r); i++)
		if (dray_sync_get(r, i)->error)
			return status_of(dray_sync_get(r, i)->error, 0);
	return STATUS_OK;
}

static int show(struct session *s, const dray_sync_result *r, dray_error **err)
{
	const struct sync_flags *f = s->options;
	const struct counts c = count(r);

	progress_hide(&s->progress);
	for (size_t i = 0; i < dray_sync_count(r); i++)
		tell(s, dray_sync_get(r, i));
	sum_up(s, &c, f->dry_run);
	if (s->global.json && result_json(&s->page, r, &c, f->dry_run, err) < 0)
		return -1;
	return status(r);
}

static int run_sync(struct session *s, dray_error **err)
{
	const struct sync_flags *f = s->options;
	struct dray_sync_options o = DRAY_SYNC_OPTIONS_INIT;
	dray_sync_result *r = NULL;
	int rc;

	o.dry_run = f->dry_run;
	if ((f->shard && parse_shard(f->shard, &o, err) < 0) || !session_context(s, err))
		return -1;
	rc = dray_sync(s->ctx, s->args[0], &o, &r, err);
	if (rc == 0)
		rc = show(s, r, err);
	dray_sync_free(r);
	return rc;
}

const struct command cmd_sync = {
	.name = "sync",
	.group = GROUP_MOVE,
	.summary = "mirror the images and tag patterns of a list",
	.args = "FILE",
	.min_args = 1,
	.max_args = 1,
	.complete = COMPLETE_FILE,
	.notes = "FILE is a JSON document: {\"version\": 1, \"destination\": "
		 "\"docker://mirror:5000\", \"images\": [{\"source\": "
		 "\"docker.io/library/busybox\", \"tags\": [\"1.*\", \"latest\"], \"exclude\": "
		 "[\"*-rc*\"], \"limit\": 5, \"platforms\": \"all\"}]}; dray-sync(1) tells all of "
		 "it. "
		 "Images that the destination has already are passed over. After a failure the "
		 "others go on; the exit status is the first failure's.",
	.features = FEATURE_JSON,
	.options = sync_table,
	.options_size = sizeof(struct sync_flags),
	.run = run_sync,
};
