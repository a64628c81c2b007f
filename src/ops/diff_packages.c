/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the packages that one of two images has, or both in other versions.
 * Relies on: ops/packages, whose lists are sorted by manager, name, architecture, version.
 * Promises: databases that nothing hints at a difference of are not read.
 */
#include "base/mem.h"
#include "ops/diff_priv.h"
#include "ops/packages.h"

static int by_key(const struct package *x, const struct package *y)
{
	int c = strcmp(x->manager, y->manager);

	c = c ? c : strcmp(x->name, y->name);
	return c ? c : strcmp(x->arch, y->arch);
}

/* What comes first of two, of which one may be missing. */
static int by_version(const struct package *x, const struct package *y)
{
	int c;

	if (!x || !y)
		return !x - !y;
	c = by_key(x, y);
	return c ? c : strcmp(x->version, y->version);
}

/* Text for the answer. */
static int keep(struct dray_diff *d, const char *text, const char **ret, dray_error **err)
{
	*ret = arena_strdup(&d->arena, text);
	return *ret ? 0 : err_nomem(err);
}

static int add_row(struct dray_diff *d, const struct package *p, dray_error **err)
{
	struct dray_diff_package row = { 0 };

	if (keep(d, p->manager, &row.manager, err) < 0 || keep(d, p->name, &row.name, err) < 0 ||
	    keep(d, p->arch, &row.arch, err) < 0)
		return -1;
	if (mem_grow(&d->packages, d->n_packages, &d->cap_packages, sizeof(*d->packages)) < 0)
		return err_nomem(err);
	d->packages[d->n_packages++] = row;
	return 0;
}

/*
 * A version that one image alone has. A package may be installed in several (kernels): those of A
 * and those of B that are left over meet in rows, of which those from *open on lack the same side.
 */
static int add_version(struct dray_diff *d, const struct package *p, bool of_a, size_t *open,
		       dray_error **err)
{
	struct dray_diff_package *row = *open < d->n_packages ? &d->packages[*open] : NULL;

	if (row && !(of_a ? row->a : row->b)) {
		++*open;
	} else {
		if (add_row(d, p, err) < 0)
			return -1;
		row = &d->packages[d->n_packages - 1];
	}
	return keep(d, p->version, of_a ? &row->a : &row->b, err);
}

static int compare(struct dray_diff *d, const struct package_set *a, const struct package_set *b,
		   dray_error **err)
{
	const struct package *last = NULL;
	size_t i = 0, k = 0, open = 0;

	while (i < a->n || k < b->n) {
		const struct package *x = i < a->n ? &a->list[i] : NULL;
		const struct package *y = k < b->n ? &b->list[k] : NULL;
		int order = by_version(x, y);
		const struct package *first = order <= 0 ? x : y;

		if (!last || by_key(last, first) != 0)
			open = d->n_packages;
		last = first;
		i += order <= 0;
		k += order >= 0;
		if (order != 0 && add_version(d, first, order < 0, &open, err) < 0)
			return -1;
	}
	return 0;
}

static int read_both(struct dray_diff *d, dray_error **err)
{
	cleanup_packages struct package_set *a = NULL;
	cleanup_packages struct package_set *b = NULL;

	if (packages_read(d->a, d->tree_a, &a, err) < 0 ||
	    packages_read(d->b, d->tree_b, &b, err) < 0)
		return -1;
	return compare(d, a, b, err);
}

/* What is wrong with a database is no reason to say nothing of all the rest. */
static bool may_do_without(const struct dray_diff *d, const dray_error *e)
{
	enum dray_err_kind kind = dray_error_kind(e);

	return !d->packages_asked &&
	       (kind == DRAY_ERR_FORMAT || kind == DRAY_ERR_LIMIT || kind == DRAY_ERR_UNSUPPORTED);
}

int diff_packages(struct dray_diff *d, dray_error **err)
{
	cleanup_error dray_error *why = NULL;

	if (!d->databases_differ || read_both(d, &why) == 0)
		return 0;
	if (may_do_without(d, why)) {
		d->n_packages = 0;
		context_log(d->a->ctx, DRAY_LOG_WARNING, "packages are not compared: %s",
			    dray_error_message(why));
		return 0;
	}
	if (err)
		*err = steal_pointer(&why);
	return -1;
}
