/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "blame": which layers brought, changed or deleted a path.
 * Relies on: dray_blame().
 * Promises: text and JSON tell the same steps.
 */
#include <dray/rootfs.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/render.h"

/* Steps as they come, bottom first: as members of a JSON array, and as lines. */
struct blame_view {
	struct jsonw w;
	struct buf steps; /* JSON */
	size_t width;	  /* of the terminal */
	char **line;	  /* of each step */
	size_t n, cap;
	char *path;
	int64_t layer; /* of the last step */
	char *diff_id, *created_by;
	bool failed;
};

static void view_clear(struct blame_view *v)
{
	buf_clear(&v->steps);
	for (size_t i = 0; i < v->n; i++)
		mem_free(v->line[i]);
	mem_free(v->line);
	mem_free(v->path);
	mem_free(v->diff_id);
	mem_free(v->created_by);
}

/* Keep the latest; NULL stays NULL. */
static void keep(struct blame_view *v, char **slot, const char *text)
{
	mem_free(*slot);
	*slot = text ? mem_strdup(text) : NULL;
	v->failed = v->failed || (text && !*slot);
}

static void step_json(struct jsonw *w, const struct dray_blame_step *s)
{
	jsonw_object(w);
	jsonw_kint(w, "layer", s->layer);
	jsonw_kstring(w, "diff_id", s->diff_id);
	jsonw_kstring(w, "change", s->change);
	jsonw_kstring(w, "created_by", s->created_by);
	jsonw_key(w, "file");
	if (s->file)
		render_file(w, s->file, false);
	else
		jsonw_null(w);
	jsonw_end_object(w);
}

/* One layer for people: what it did, and the entry that it has. */
static char *step_text(struct blame_view *v, const struct dray_blame_step *s)
{
	struct page p = { .text = BUF_INIT(PAGE_MAX), .width = v->width };
	char diff_id[13];
	char *text;

	page_put(&p, "layer %-3lld %-8s %-12s ", (long long)s->layer, s->change,
		 short_digest(s->diff_id, diff_id));
	page_line(&p, s->created_by ? s->created_by : "-", 32);
	page_put(&p, "\n");
	if (s->file) {
		page_put(&p, "  ");
		show_file(&p, s->file);
	}
	text = p.failed ? NULL : buf_steal_str(&p.text, NULL);
	page_clear(&p);
	return text;
}

static void on_step(void *arg, const struct dray_blame_step *s)
{
	struct blame_view *v = arg;

	step_json(&v->w, s);
	keep(v, &v->path, s->path);
	keep(v, &v->diff_id, s->diff_id);
	keep(v, &v->created_by, s->created_by);
	v->layer = s->layer;
	if (mem_grow(&v->line, v->n, &v->cap, sizeof(*v->line)) < 0) {
		v->failed = true;
		return;
	}
	v->line[v->n] = step_text(v, s);
	v->failed = v->failed || !v->line[v->n];
	v->n++;
}

static int blame_json(struct page *p, const struct blame_view *v, bool present, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(PAGE_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, err);
	jsonw_object(&w);
	jsonw_kint(&w, "schema", 1);
	render_bytes(&w, "path", v->path);
	jsonw_kbool(&w, "present", present);
	jsonw_kint(&w, "layer", v->layer);
	jsonw_kstring(&w, "diff_id", v->diff_id);
	jsonw_kstring(&w, "created_by", v->created_by);
	jsonw_key(&w, "history");
	jsonw_raw(&w, span_buf(&v->steps));
	jsonw_end_object(&w);
	if (jsonw_finish(&w) < 0)
		return -1;
	page_json(p, span_buf(&out));
	return STATUS_OK;
}

static int answer(struct session *s, struct blame_view *v, dray_error **err)
{
	struct dray_select select = session_select(s);
	cleanup_error dray_error *e = NULL;
	int present;

	jsonw_init(&v->w, &v->steps, &e);
	jsonw_array(&v->w);
	present = dray_blame(s->ctx, s->args[0], &select, s->args[1], on_step, v, err);
	if (present < 0)
		return -1;
	jsonw_end_array(&v->w);
	if (jsonw_finish(&v->w) < 0 || v->failed)
		return err_nomem(err);
	if (s->global.json)
		return blame_json(&s->page, v, present, err);
	for (size_t i = v->n; i-- > 0;)
		page_put(&s->page, "%s", v->line[i]);
	return STATUS_OK;
}

static int run_blame(struct session *s, dray_error **err)
{
	struct blame_view v = { .steps = BUF_INIT(PAGE_MAX), .width = s->page.width };
	int status;

	if (session_check_input(s, s->args[0], err) < 0 || !session_context(s, err))
		return -1;
	status = answer(s, &v, err);
	view_clear(&v);
	return status;
}

const struct command cmd_blame = {
	.name = "blame",
	.group = GROUP_UNDERSTAND,
	.summary = "tell which layers brought, changed or deleted a file",
	.args = "IMAGE PATH",
	.min_args = 2,
	.max_args = 2,
	.complete = COMPLETE_PLACE,
	.notes = "Prints each layer that did something to a path, the newest first, with the "
		 "command that made the layer and what the path was after it. A path that a later "
		 "layer deleted is found too.",
	.features = FEATURE_JSON | FEATURE_IMAGE,
	.all_help = HELP_ALL_ONE,
	.run = run_blame,
};
