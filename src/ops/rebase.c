/* SPDX-License-Identifier: Apache-2.0
 *
 * rebase: other layers below those of an image.
 * Relies on DiffIDs to say which layers an image has from its base.
 * Promises that no layer of either image is changed.
 */
#include "ops/rebase.h"

#include "base/limits.h"
#include "base/mem.h"
#include "image/config_edit.h"
#include "ops/relayer.h"

struct rebase {
	struct stack *s, *old_base, *new_base;
	struct manifest *like;
	struct remake_layer *layers;
	struct relayer_step *steps;
	size_t n_steps;
};

static void rebase_clear(struct rebase *r)
{
	manifest_free(r->like);
	stack_free(r->s);
	stack_free(r->old_base);
	stack_free(r->new_base);
}
#define cleanup_rebase CLEANUP(rebase_clear)

/* ---- do they fit? ---- */

static bool same_layer(const struct layer *a, const struct layer *b)
{
	if (digest_set(&a->diff_id) && digest_set(&b->diff_id))
		return digest_eq(&a->diff_id, &b->diff_id);
	return digest_set(&a->blob.digest) && digest_eq(&a->blob.digest, &b->blob.digest);
}

/* Digests of one kind, of both. */
static bool can_tell(const struct layer *a, const struct layer *b)
{
	return (digest_set(&a->diff_id) && digest_set(&b->diff_id)) ||
	       (digest_set(&a->blob.digest) && digest_set(&b->blob.digest));
}

static int not_same(const struct rebase *r, size_t i, dray_error **err)
{
	const struct image *im = r->s->im, *base = r->old_base->im;

	if (!can_tell(&im->layers[i], &base->layers[i]))
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "nothing tells whether %s stands on %s: their configs do not both "
			       "name the DiffID of layer %zu",
			       im->where, base->where, i + 1);
	return err_set(err, DRAY_ERR_USAGE,
		       "%s does not stand on %s: layer %zu of %zu is another one", im->where,
		       base->where, i + 1, r->old_base->n);
}

static int check_old(const struct rebase *r, dray_error **err)
{
	const struct image *im = r->s->im, *base = r->old_base->im;

	if (r->old_base->n > r->s->n)
		return err_set(err, DRAY_ERR_USAGE,
			       "%s does not stand on %s: it has %zu layers, the base %zu",
			       im->where, base->where, r->s->n, r->old_base->n);
	for (size_t i = 0; i < r->old_base->n; i++)
		if (!same_layer(&im->layers[i], &base->layers[i]))
			return not_same(r, i, err);
	return 0;
}

static int check_platform(const struct rebase *r, dray_error **err)
{
	const struct platform *a = &r->s->im->config->platform;
	const struct platform *b = &r->new_base->im->config->platform;
	cleanup_free char *is = NULL, *other = NULL;

	if (platform_match(a, b))
		return 0;
	is = platform_text(a);
	other = platform_text(b);
	return err_set(err, DRAY_ERR_USAGE, "%s is for %s, its new base %s for %s", r->s->im->where,
		       is ? is : "", r->new_base->im->where, other ? other : "");
}

static int open_all(struct rebase *r, dray_context *ctx, const char *image,
		    const struct dray_select *sel, const struct dray_rebase_options *ro,
		    dray_error **err)
{
	const struct stack_options so = { .contents = true,
					  .lazy = true,
					  .without = "--no-rootfs-id goes without reading it" };
	struct bases bases;

	/* Documents first: layers are worth reading only if all of it fits. */
	if (stack_open(ctx, image, sel, &so, &r->s, err) < 0 ||
	    bases_find(r->s, ro, &bases, err) < 0)
		return -1;
	if (stack_open(ctx, bases.old_base, NULL, &so, &r->old_base, err) < 0)
		return err_ctx(err, "old base");
	if (check_old(r, err) < 0)
		return -1;
	if (stack_open(ctx, bases.new_base, NULL, &so, &r->new_base, err) < 0)
		return err_ctx(err, "new base");
	if (check_platform(r, err) < 0 ||
	    bases_compare(ctx, r->old_base->im, r->new_base->im, err) < 0 ||
	    bases_annotate(r->s, r->new_base, &r->like, err) < 0)
		return -1;
	if (ro->no_rootfs_id)
		return 0;
	return stack_load_all(r->s, err) < 0 ? -1 : stack_load_all(r->new_base, err);
}

/* ---- history ---- */

/* The new base's steps, as they stand there. */
static int add_base_steps(struct rebase *r, dray_error **err)
{
	const struct image *base = r->new_base->im;
	cleanup_buf struct buf text = BUF_INIT(LIMIT_CONFIG);
	size_t n = relayer_fit_history(base, r->new_base->n, r->steps);

	for (size_t i = 0; i < n; i++) {
		struct relayer_step *step = &r->steps[i];

		if (step->keep < 0)
			continue;
		buf_reset(&text);
		if (config_history_entry(base->config, (size_t)step->keep, step->empty_layer, &text,
					 err) < 0)
			return -1;
		step->raw = arena_dup(&r->s->arena, span_buf(&text));
		if (!step->raw.data)
			return err_nomem(err);
	}
	r->n_steps = n;
	return 0;
}

/* So many of the first steps make @p layers. */
static size_t steps_for(const struct relayer_step *steps, size_t n, size_t layers)
{
	size_t at = 0;

	for (size_t made = 0; at < n && made < layers; at++)
		made += !steps[at].empty_layer;
	return at;
}

/* The image's first step of its own: behind all of the old base, steps without a layer included. */
static size_t first_own_step(const struct rebase *r, const struct relayer_step *steps, size_t n)
{
	size_t all = r->old_base->im->config->n_history,
	       least = steps_for(steps, n, r->old_base->n);

	if (all > n || all < least)
		return least;
	for (size_t i = least; i < all; i++)
		if (!steps[i].empty_layer)
			return least;
	return all;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Steps that the image has from its old base, to its own first one. */
static size_t common_steps(const struct rebase *r)
{
	const struct config *a = r->s->im->config, *b = r->old_base->im->config;
	size_t i = 0;

	while (i < a->n_history && i < b->n_history &&
	       a->history[i].empty_layer == b->history[i].empty_layer &&
	       same_text(a->history[i].created_by, b->history[i].created_by) &&
	       same_text(a->history[i].created, b->history[i].created))
		i++;
	return i;
}

/*
 * A history with fewer steps than layers may lack those of the base, and then counting takes the
 * image's own for them. Its own are all that the base does not have; too many of them make no layer,
 * the lowest first, and layers without one get one at the end, as relayer_fit_history() has it.
 */
static void add_steps_of_few(struct rebase *r)
{
	const struct config *c = r->s->im->config;
	size_t first = common_steps(r), left = r->s->n - r->old_base->n, made = 0;

	for (size_t i = first; i < c->n_history; i++)
		made += !c->history[i].empty_layer;
	for (size_t i = first; i < c->n_history; i++) {
		bool makes = !c->history[i].empty_layer && made <= left;

		made -= !c->history[i].empty_layer;
		left -= makes;
		r->steps[r->n_steps++] = (struct relayer_step){ .keep = (int64_t)i,
								.empty_layer = !makes };
	}
	for (; left > 0; left--)
		r->steps[r->n_steps++] = (struct relayer_step){ .keep = -1,
								.created_by = "",
								.comment = RELAYER_UNKNOWN_STEP };
}

static int add_own_steps(struct rebase *r, dray_error **err)
{
	const struct image *im = r->s->im;
	struct relayer_step *steps;
	size_t n;

	if (config_history_of_layer(im->config, r->s->n - 1) < 0) {
		add_steps_of_few(r);
		return 0;
	}
	steps = arena_array(&r->s->arena, im->config->n_history + r->s->n + 1, sizeof(*steps));
	if (!steps)
		return err_nomem(err);
	n = relayer_fit_history(im, r->s->n, steps);
	for (size_t i = first_own_step(r, steps, n); i < n; i++)
		r->steps[r->n_steps++] = steps[i];
	return 0;
}

static int plan_history(struct rebase *r, dray_error **err)
{
	size_t max = r->s->im->config->n_history + r->new_base->im->config->n_history + r->s->n +
		     r->new_base->n;

	r->steps = arena_array(&r->s->arena, max + 1, sizeof(*r->steps));
	if (!r->steps)
		return err_nomem(err);
	return add_base_steps(r, err) < 0 ? -1 : add_own_steps(r, err);
}

/* ---- layers ---- */

static int plan_layers(struct rebase *r, struct relayer_plan *plan, dray_error **err)
{
	size_t below = r->new_base->n, own = r->s->n - r->old_base->n;

	r->layers = arena_array(&r->s->arena, below + own + 1, sizeof(*r->layers));
	if (!r->layers)
		return err_nomem(err);
	for (size_t i = 0; i < below; i++)
		r->layers[i] = (struct remake_layer){ .stack = r->new_base, .keep = (int64_t)i };
	for (size_t i = 0; i < own; i++)
		r->layers[below + i] = (struct remake_layer){
			.stack = r->s, .keep = (int64_t)(r->old_base->n + i)
		};
	plan->stack = r->s;
	plan->layers = r->layers;
	plan->n = below + own;
	return 0;
}

int dray_rebase(dray_context *ctx, const char *image, const struct dray_select *sel,
		const char *dst, const struct dray_rebase_options *ro,
		const struct dray_copy_options *o, dray_relayered **ret, dray_error **err)
{
	struct dray_rebase_options own = DRAY_REBASE_OPTIONS_INIT;
	cleanup_rebase struct rebase r = { 0 };
	struct relayer_plan plan = { .image = image };

	ro = options_take(&own, sizeof(own), ro);
	plan.no_ids = ro->no_rootfs_id;
	if (open_all(&r, ctx, image, sel, ro, err) < 0 || plan_layers(&r, &plan, err) < 0 ||
	    plan_history(&r, err) < 0)
		return -1;
	plan.steps = r.steps;
	plan.n_steps = r.n_steps;
	plan.like = r.like;
	return relayer_run(&plan, dst, o, ret, err);
}
