/* SPDX-License-Identifier: Apache-2.0
 *
 * edit --dry-run: what would be another config, image by image.
 * Relies on a run of copy for which images are meant, opened twice: once to be left as it is.
 * Promises that nothing is written, and that no layer is read where a store need not.
 */
#include "base/mem.h"
#include "ops/copy_run.h"
#include "ops/diff_priv.h"

/* The sides of a comparison that looks at configs alone. @p im is lent. */
static struct stack *side_of(struct image *im)
{
	struct stack *s = mem_zalloc(sizeof(*s));

	if (s)
		s->im = im;
	return s;
}

static int compare(struct image *before, struct image *after, dray_diff **ret, dray_error **err)
{
	cleanup_diff dray_diff *d = mem_zalloc(sizeof(*d));

	if (!d)
		return err_nomem(err);
	d->parts = DRAY_DIFF_CONFIG;
	d->a = side_of(before);
	d->b = side_of(after);
	if (!d->a || !d->b)
		return err_nomem(err);
	if (diff_config(d, err) < 0)
		return -1;
	*ret = steal_pointer(&d);
	return 0;
}

/* What it is called: a name of it or of its index, else the digest that was asked for. */
static const char *name_of(const struct image *im)
{
	return im->n_tags ? im->tags[0] : im->config->digest.text;
}

/* @p before says which image it is: the edit may have given it other names, or another platform. */
static int tell(struct image *before, struct image *after, bool alone, dray_edit_preview_fn *each,
		void *arg, dray_error **err)
{
	const struct platform *of = before->index_platform ? before->index_platform
							   : &before->config->platform;
	bool in_index = digest_set(&before->root);
	cleanup_free char *platform = in_index ? platform_text(of) : NULL;
	cleanup_diff dray_diff *d = NULL;

	if (in_index && !platform)
		return err_nomem(err);
	if (compare(before, after, &d, err) < 0)
		return -1;
	return each(arg, alone ? NULL : name_of(before), platform, d);
}

static int open_run(struct run *r, dray_context *ctx, struct edit *e, const char *image,
		    const struct dray_copy_options *o, dray_error **err)
{
	r->edit = e;
	if (run_begin(r, ctx, o, err) < 0 || run_source(r, image, err) < 0 ||
	    run_open(r, NULL, err) < 0)
		return -1;
	if (!r->copy.forward)
		return 0;
	return err_set(err, DRAY_ERR_USAGE, "a pipe cannot be read twice");
}

int dray_edit_preview(dray_context *ctx, const char *image, const struct dray_edit_options *e,
		      const struct dray_copy_options *o, dray_edit_preview_fn *each, void *arg,
		      dray_error **err)
{
	static const struct dray_copy_options defaults = DRAY_COPY_OPTIONS_INIT;
	static const struct dray_edit_options nothing = DRAY_EDIT_OPTIONS_INIT;
	cleanup_run struct run before = { 0 }, after = { .quiet = true };
	struct edit none = { .o = &nothing }, all = { .o = e };
	int rc = 0;

	if (strcmp(image, "-") == 0)
		return err_set(err, DRAY_ERR_USAGE, "a pipe cannot be read twice");
	if (edit_check_steps(e, err) < 0 ||
	    open_run(&before, ctx, &none, image, o ? o : &defaults, err) < 0 ||
	    open_run(&after, ctx, &all, image, o ? o : &defaults, err) < 0)
		return -1;
	if (before.from.n != after.from.n)
		return err_set(err, DRAY_ERR_SYSTEM, "%s changed while it was read", image);
	for (size_t i = 0; rc == 0 && i < after.from.n; i++)
		if (edit_means(&none, before.from.images[i]))
			rc = tell(before.from.images[i], after.from.images[i],
				  before.from.n_roots == 1, each, arg, err);
	return rc;
}
