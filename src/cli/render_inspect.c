/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what "inspect" counted in the layers, as JSON and for people.
 * Relies on: render.c for the document around it.
 * Promises: JSON has all of it; people see the worst first.
 */
#include <dray/inspect.h>

#include "cli/render.h"

#define FIGURE_MAX 48	/* bytes of a number */
#define FILES_SHOWN 20	/* to people */
#define LAYERS_SHOWN 60 /* bytes of their numbers */

/* ---- JSON ---- */

/* Millionths as a number, @p digits behind the point. */
static const char *figure(int64_t ppm, int digits, char out[FIGURE_MAX])
{
	int64_t unit = 1;

	for (int i = 0; i < digits; i++)
		unit *= 10;
	snprintf(out, FIGURE_MAX, "%lld.%0*lld", (long long)(ppm / unit), digits,
		 (long long)(ppm % unit));
	return out;
}

static void key_figure(struct jsonw *w, const char *key, int64_t ppm, int digits)
{
	char text[FIGURE_MAX];

	jsonw_key(w, key);
	jsonw_raw(w, span_str(figure(ppm, digits, text)));
}

static void render_waste(struct jsonw *w, const struct dray_waste *f)
{
	jsonw_object(w);
	render_bytes(w, "path", f->path);
	jsonw_kint(w, "wasted_bytes", f->bytes);
	jsonw_kint(w, "copies", (int64_t)f->n_copies);
	jsonw_key(w, "layers");
	jsonw_array(w);
	for (size_t i = 0; i < f->n_copies; i++)
		jsonw_int(w, f->layers[i]);
	jsonw_end_array(w);
	jsonw_kbool(w, "visible", f->visible);
	jsonw_end_object(w);
}

static void render_efficiency(struct jsonw *w, const struct dray_efficiency *e)
{
	jsonw_key(w, "efficiency");
	jsonw_object(w);
	key_figure(w, "score", e->score_ppm, 6);
	jsonw_kint(w, "file_bytes", e->file_bytes);
	jsonw_kint(w, "wasted_bytes", e->wasted_bytes);
	key_figure(w, "wasted_percent", e->wasted_ppm, 4);
	jsonw_key(w, "layers");
	jsonw_array(w);
	for (size_t i = 0; i < e->n_layers; i++) {
		jsonw_object(w);
		jsonw_kint(w, "index", (int64_t)i);
		jsonw_kint(w, "file_bytes", e->layers[i].file_bytes);
		jsonw_kint(w, "wasted_bytes", e->layers[i].wasted_bytes);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
	jsonw_key(w, "files");
	jsonw_array(w);
	for (size_t i = 0; i < e->n_files; i++)
		render_waste(w, &e->files[i]);
	jsonw_end_array(w);
	jsonw_end_object(w);
}

static void render_package(struct jsonw *w, const struct dray_package *p)
{
	jsonw_object(w);
	jsonw_kstring(w, "manager", p->manager);
	render_bytes(w, "name", p->name);
	render_bytes(w, "version", p->version);
	render_bytes(w, "arch", p->arch);
	render_bytes(w, "source", p->source);
	jsonw_kint(w, "files", p->files);
	jsonw_kint(w, "bytes", p->bytes);
	jsonw_end_object(w);
}

static void render_packages(struct jsonw *w, const dray_inspection *i)
{
	const struct dray_package *rest = dray_inspection_unpackaged(i);

	jsonw_key(w, "packages");
	jsonw_array(w);
	for (size_t k = 0; k < dray_inspection_packages(i); k++)
		render_package(w, dray_inspection_package(i, k));
	jsonw_end_array(w);
	jsonw_key(w, "unpackaged");
	jsonw_object(w);
	jsonw_kint(w, "files", rest->files);
	jsonw_kint(w, "bytes", rest->bytes);
	jsonw_end_object(w);
}

static void members(struct jsonw *w, const void *arg)
{
	const dray_inspection *i = arg;

	if (dray_inspection_efficiency(i))
		render_efficiency(w, dray_inspection_efficiency(i));
	if (dray_inspection_unpackaged(i))
		render_packages(w, i);
}

int render_inspection(struct page *p, const dray_inspection *i, dray_error **err)
{
	const struct render_more more = { members, i };

	return render_report_with(p, dray_inspection_report(i), &more, err);
}

/* ---- for people ---- */

static void add_number(struct table *t, int64_t n)
{
	char text[FIGURE_MAX];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	table_add(t, text);
}

static void add_size(struct table *t, int64_t n)
{
	char text[HUMAN_SIZE];

	table_add(t, human_size(n, text));
}

static void show_layers(struct page *p, const struct dray_efficiency *e,
			const struct dray_image_info *image)
{
	cleanup_table struct table t = { .cols = 4, .right = { true, true, true } };

	table_add(&t, "LAYER");
	table_add(&t, "FILES");
	table_add(&t, "HIDDEN");
	table_add(&t, "MADE BY");
	for (size_t i = 0; i < e->n_layers; i++) {
		add_number(&t, (int64_t)i);
		add_size(&t, e->layers[i].file_bytes);
		add_size(&t, e->layers[i].wasted_bytes);
		table_add(&t, i < image->n_layers ? image->layers[i].created_by : NULL);
	}
	table_print(&t, p, 2);
}

/* "0,3,4"; what does not fit is cut. */
static void add_layers(struct table *t, const struct dray_waste *f)
{
	char text[LAYERS_SHOWN];
	size_t len = 0;

	text[0] = 0;
	for (size_t i = 0; i < f->n_copies && len + FIGURE_MAX < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%lld", i ? "," : "",
					(long long)f->layers[i]);
	table_add(t, text);
}

static void show_files(struct page *p, const struct dray_efficiency *e)
{
	cleanup_table struct table t = { .cols = 5, .right = { true, true } };

	table_add(&t, "HIDDEN");
	table_add(&t, "COPIES");
	table_add(&t, "IN LAYERS");
	table_add(&t, "IN THE END");
	table_add(&t, "PATH");
	for (size_t i = 0; i < e->n_files && i < FILES_SHOWN; i++) {
		const struct dray_waste *f = &e->files[i];

		add_size(&t, f->bytes);
		add_number(&t, (int64_t)f->n_copies);
		add_layers(&t, f);
		table_add(&t, f->visible ? "replaced" : "deleted");
		table_add(&t, f->path);
	}
	page_put(p, "\n");
	table_print(&t, p, 2);
	if (e->n_files > FILES_SHOWN)
		page_put(p, "  and %zu more; --json has all\n", e->n_files - FILES_SHOWN);
}

static void show_efficiency(struct page *p, const dray_inspection *i)
{
	const struct dray_efficiency *e = dray_inspection_efficiency(i);
	char text[FIGURE_MAX], size[HUMAN_SIZE];

	page_put(p, "  %-16s%s%%\n", "efficiency", figure(e->score_ppm, 4, text));
	page_put(p, "  %-16s%s of ", "hidden", human_size(e->wasted_bytes, size));
	page_put(p, "%s, %s%%\n", human_size(e->file_bytes, size), figure(e->wasted_ppm, 4, text));
	show_layers(p, e, dray_report_image(dray_inspection_report(i), 0));
	if (e->n_files)
		show_files(p, e);
}

static void add_package(struct table *t, const struct dray_package *p)
{
	table_add(t, p->manager);
	table_add(t, p->name);
	table_add(t, p->version);
	table_add(t, p->arch);
	add_number(t, p->files);
	add_size(t, p->bytes);
	table_add(t, p->source);
}

static void show_packages(struct page *p, const dray_inspection *i)
{
	static const char *const heads[] = { "MANAGER", "PACKAGE", "VERSION", "ARCH",
					     "FILES",	"SIZE",	   "SOURCE" };
	const struct dray_package *rest = dray_inspection_unpackaged(i);
	cleanup_table struct table t = { .cols = ARRAY_LEN(heads),
					 .right = { [4] = true, [5] = true } };
	char size[HUMAN_SIZE];

	for (size_t k = 0; k < ARRAY_LEN(heads); k++)
		table_add(&t, heads[k]);
	for (size_t k = 0; k < dray_inspection_packages(i); k++)
		add_package(&t, dray_inspection_package(i, k));
	table_print(&t, p, 2);
	page_put(p, "  %zu packages; %lld files that none of them has, %s\n",
		 dray_inspection_packages(i), (long long)rest->files,
		 human_size(rest->bytes, size));
}

static void show_problems(struct page *p, const dray_report *r)
{
	for (size_t i = 0; i < dray_report_problems(r); i++) {
		const struct dray_finding *f = dray_report_problem(r, i);

		page_put(p, "%s  ", i ? "" : "\n");
		page_safe(p, f->message);
		page_put(p, ": ");
		page_safe(p, f->actual);
		page_put(p, ", the limit is ");
		page_safe(p, f->expected);
		page_put(p, "\n");
	}
}

void show_inspection(struct page *p, const dray_inspection *i)
{
	const dray_report *r = dray_inspection_report(i);
	const struct dray_image_info *image = dray_report_image(r, 0);

	page_heading(p, image->n_tags ? image->tags[0] : image->where ? image->where : "image");
	page_put(p, "\n");
	if (dray_inspection_efficiency(i))
		show_efficiency(p, i);
	if (dray_inspection_efficiency(i) && dray_inspection_unpackaged(i))
		page_put(p, "\n");
	if (dray_inspection_unpackaged(i))
		show_packages(p, i);
	show_problems(p, r);
}
