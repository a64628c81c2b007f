/* SPDX-License-Identifier: Apache-2.0
 *
 * edit --dry-run: what would be another config, image by image.
 * Relies on a run of copy for which images are meant, which changes none of them by itself.
 * Promises that nothing is written, and that no layer is read where a store need not.
 */
#include "base/limits.h"
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
	d->layers_same = after->n_layers; /* an edit leaves all of them */
	d->a = side_of(before);
	d->b = side_of(after);
	if (!d->a || !d->b)
		return err_nomem(err);
	if (diff_config(d, err) < 0)
		return -1;
	*ret = steal_pointer(&d);
	return 0;
}

/* What it is called: a name of it or of its index, else its image ID. The edit frees both. */
static char *name_of(const struct image *im)
{
	return mem_strdup(im->n_tags ? im->tags[0] : im->config->digest.text);
}

/* @p before says which image it is: the edit may have given it other names, or another platform. */
static int tell(struct image *before, struct image *after, const char *name,
		dray_edit_preview_fn *each, void *arg, dray_error **err)
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
	return each(arg, name, platform, d);
}

/* Edit @p im and tell what became of it; @p alone: nobody has to be told which it is. */
static int preview(struct edit *e, struct image *im, bool alone, dray_edit_preview_fn *each,
		   void *arg, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);
	cleanup_free char *name = alone ? NULL : name_of(im);
	struct image before =
		*im; /* with a config of its own, and no more than that is looked at */
	int rc;

	if (!alone && !name)
		return err_nomem(err);
	if (buf_add(&text, span_buf(&im->config->raw), err) < 0 ||
	    config_parse(&text, &before.config, err) < 0)
		return -1;
	rc = edit_image(e, im, err);
	if (rc == 0)
		rc = tell(&before, im, name, each, arg, err);
	config_free(before.config);
	return rc;
}

/* As whoever writes it there; @p dst NULL = the place that it came from. */
static int look_there(struct edit *e, const struct run *r, const char *dst, dray_error **err)
{
	cleanup_place struct place to = { 0 };
	enum place_use how = place_use_of(r->copy.wishes.o);

	if (dst && place_parse(dst, how, &to, err) < 0)
		return -1;
	e->whole_names = dst ? to.kind == PLACE_ARCHIVE || to.kind == PLACE_DAEMON
			     : r->copy.store->kind == STORE_DOCKER_ARCHIVE;
	e->to_oci = e->to_oci || (dst && run_makes_oci(r, place_is_oci(&to)));
	return edit_check_tags(e, err);
}

int dray_edit_preview(dray_context *ctx, const char *image, const char *dst,
		      const struct dray_edit_options *e, const struct dray_copy_options *o,
		      dray_edit_preview_fn *each, void *arg, dray_error **err)
{
	struct dray_copy_options own = DRAY_COPY_OPTIONS_INIT;
	struct dray_edit_options own_edit = DRAY_EDIT_OPTIONS_INIT;
	static const struct dray_edit_options nothing = DRAY_EDIT_OPTIONS_INIT;
	cleanup_edit struct edit all = { .o = options_take(&own_edit, sizeof(own_edit), e) };
	struct edit none = { .o = &nothing };
	cleanup_run struct run r = { .edit = &none };
	int rc = 0;

	if (edit_check_steps(all.o, err) < 0 ||
	    run_begin(&r, ctx, options_take(&own, sizeof(own), o), err) < 0 ||
	    run_source(&r, image, err) < 0 || run_open(&r, NULL, err) < 0)
		return -1;
	all.which = none.which;
	all.to_oci = none.to_oci;
	if (look_there(&all, &r, dst, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < r.from.n; i++)
		if (edit_means(&none, r.from.images[i]))
			rc = preview(&all, r.from.images[i], r.from.n_roots == 1, each, arg, err);
	return rc;
}
