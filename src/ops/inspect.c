/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "inspect" where documents are not enough: what is wasted, which packages there are.
 * Relies on: ops/stack for proven layers, efficiency.c and packages.c for what is in them.
 * Promises: the image is opened once, so that a pipe will do.
 */
#include <dray/inspect.h>

#include "base/limits.h"
#include "base/mem.h"
#include "ops/efficiency.h"
#include "ops/packages.h"

#define FIGURE_MAX 80 /* bytes of a number with its unit */

struct dray_inspection {
	struct stack *s;
	struct tree *t;
	struct arena arena;
	struct dray_inspect_options o;
	struct dray_efficiency efficiency;
	struct package_set *set;
	struct dray_package *packages, rest;
};

void dray_inspection_free(dray_inspection *i)
{
	if (!i)
		return;
	tree_free(i->t);
	packages_free(i->set);
	stack_free(i->s);
	arena_clear(&i->arena);
	mem_free(i);
}
DEFINE_CLEANUP(dray_inspection, cleanup_inspection_fn, dray_inspection_free)
#define cleanup_inspection CLEANUP(cleanup_inspection_fn)

/* ---- limits ---- */

static const char *percent(int64_t ppm, char out[FIGURE_MAX])
{
	snprintf(out, FIGURE_MAX, "%lld.%04lld%%", (long long)(ppm / 10000),
		 (long long)(ppm % 10000));
	return out;
}

static const char *bytes(int64_t n, char out[FIGURE_MAX])
{
	snprintf(out, FIGURE_MAX, "%lld bytes", (long long)n);
	return out;
}

static int tell(dray_inspection *i, bool over, const char *code, const char *limit,
		const char *actual, const char *message, dray_error **err)
{
	return over ? report_problem(i->s->report, code, i->s->im->where, limit, actual, message,
				     err)
		    : 0;
}

static int check_limits(dray_inspection *i, dray_error **err)
{
	const struct dray_efficiency *e = &i->efficiency;
	const struct dray_inspect_options *o = &i->o;
	/* Rounded down, so that any part of a millionth over the limit is over. */
	int64_t useful = e->file_bytes ? millionths(e->file_bytes - e->wasted_bytes, e->file_bytes)
				       : millionths(0, 0);
	char limit[FIGURE_MAX], actual[FIGURE_MAX];

	if (tell(i, o->max_wasted_bytes >= 0 && e->wasted_bytes > o->max_wasted_bytes,
		 "wasted-bytes", bytes(o->max_wasted_bytes, limit), bytes(e->wasted_bytes, actual),
		 "later layers hide more bytes than allowed", err) < 0)
		return -1;
	if (tell(i, o->max_wasted_ppm >= 0 && useful < MILLION - o->max_wasted_ppm, "wasted-share",
		 percent(o->max_wasted_ppm, limit), percent(e->wasted_ppm, actual),
		 "later layers hide a larger share of the bytes than allowed", err) < 0)
		return -1;
	return tell(i, o->min_score_ppm >= 0 && e->score_ppm < o->min_score_ppm, "low-efficiency",
		    percent(o->min_score_ppm, limit), percent(e->score_ppm, actual),
		    "the efficiency is lower than allowed", err);
}

/* ---- packages ---- */

static void count_file(dray_inspection *i, const struct node *n, const struct package *owner)
{
	struct dray_package *p = owner ? &i->packages[owner - i->set->list] : &i->rest;
	const struct layer_entry *data = n->inode->data;

	p->files++;
	/* The name whose entry brought the bytes, of those that share them. */
	if (n->entry == data && (data->type == TAR_FILE || data->type == TAR_SPARSE))
		p->bytes += layer_entry_size(data);
}

static int count_files(dray_inspection *i, dray_error **err)
{
	cleanup_buf struct buf path = BUF_INIT(2 * LIMIT_PATH);

	for (const struct node *n = tree_next(tree_root(i->t)); n; n = tree_next(n)) {
		if (node_is_dir(n))
			continue;
		if (node_path(n, &path, err) < 0)
			return -1;
		count_file(i, n, package_of(i->set, (const char *)path.data));
	}
	return 0;
}

static int list_packages(dray_inspection *i, dray_error **err)
{
	if (packages_read(i->s, i->t, &i->set, err) < 0)
		return -1;
	i->packages = arena_array(&i->arena, i->set->n + 1, sizeof(*i->packages));
	if (!i->packages)
		return err_nomem(err);
	for (size_t k = 0; k < i->set->n; k++) {
		const struct package *p = &i->set->list[k];

		i->packages[k] = (struct dray_package){ .manager = p->manager,
							.name = p->name,
							.version = p->version,
							.arch = p->arch,
							.source = p->source };
	}
	i->rest = (struct dray_package){
		.manager = "", .name = "", .version = "", .arch = "", .source = ""
	};
	return count_files(i, err);
}

/* ---- doors ---- */

static void take_options(dray_inspection *i, const struct dray_inspect_options *o)
{
	i->o = (struct dray_inspect_options)DRAY_INSPECT_OPTIONS_INIT;
	options_take(&i->o, sizeof(i->o), o);
	if (i->o.max_wasted_bytes >= 0 || i->o.max_wasted_ppm >= 0 || i->o.min_score_ppm >= 0)
		i->o.efficiency = true;
}

int dray_inspect(dray_context *ctx, const char *image, const struct dray_select *sel,
		 const struct dray_inspect_options *o, dray_inspection **ret, dray_error **err)
{
	const struct stack_options so = { 0 };
	cleanup_inspection dray_inspection *i = mem_zalloc(sizeof(*i));

	if (!i)
		return err_nomem(err);
	take_options(i, o);
	if (stack_open(ctx, image, sel, &so, &i->s, err) < 0 ||
	    report_fill(i->s->report, NULL, err) < 0 || stack_tree(i->s, i->s->n, &i->t, err) < 0)
		return -1;
	if (i->o.efficiency &&
	    (efficiency_count(i->s->index, i->s->n, i->t, &i->arena, &i->efficiency, err) < 0 ||
	     check_limits(i, err) < 0))
		return -1;
	if (i->o.packages && list_packages(i, err) < 0)
		return -1;
	*ret = steal_pointer(&i);
	return 0;
}

const dray_report *dray_inspection_report(const dray_inspection *i)
{
	return i->s->report;
}

const struct dray_efficiency *dray_inspection_efficiency(const dray_inspection *i)
{
	return i->o.efficiency ? &i->efficiency : NULL;
}

size_t dray_inspection_packages(const dray_inspection *i)
{
	return i->set ? i->set->n : 0;
}

const struct dray_package *dray_inspection_package(const dray_inspection *i, size_t n)
{
	return n < dray_inspection_packages(i) ? &i->packages[n] : NULL;
}

const struct dray_package *dray_inspection_unpackaged(const dray_inspection *i)
{
	return i->o.packages ? &i->rest : NULL;
}
