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

static int tell(struct image *before, struct image *after, dray_edit_preview_fn *each, void *arg,
		dray_error **err)
{
	const struct platform *of = after->index_platform ? after->index_platform
							  : &after->config->platform;
	cleanup_free char *platform = digest_set(&after->root) ? platform_text(of) : NULL;
	cleanup_diff dray_diff *d = NULL;

	if (digest_set(&after->root) && !platform)
		return err_nomem(err);
	if (compare(before, after, &d, err) < 0)
		return -1;
	return each(arg, platform, d);
}

static int open_run(struct run *r, dray_context *ctx, struct edit *e, const char *image,
		    const struct dray_copy_options *o, dray_error **err)
{
	r->edit = e;
	return run_begin(r, ctx, o, err) < 0 || run_source(r, image, err) < 0
		       ? -1
		       : run_open(r, NULL, err);
}

int dray_edit_preview(dray_context *ctx, const char *image, const struct dray_edit_options *e,
		      const struct dray_copy_options *o, dray_edit_preview_fn *each, void *arg,
		      dray_error **err)
{
	static const struct dray_copy_options defaults = DRAY_COPY_OPTIONS_INIT;
	static const struct dray_edit_options nothing = DRAY_EDIT_OPTIONS_INIT;
	cleanup_run struct run before = { 0 }, after = { 0 };
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
		if (edit_means(&all, after.from.images[i]))
			rc = tell(before.from.images[i], after.from.images[i], each, arg, err);
	return rc;
}
