/* SPDX-License-Identifier: Apache-2.0
 *
 * split: the files of an image in other layers.
 * Relies on ops/split_plan for which, on ops/relayer for the rest.
 * Promises the same rootfs id, times included.
 */
#include "ops/split.h"

#include "base/mem.h"
#include "base/text.h"
#include "ops/relayer.h"

#define STEP_MAX 1024 /* bytes of a history entry that names what its layer holds */
#define PART_MAX 200  /* of one name */

/* "a, b, c, ...", so that the plan can be read from the image. */
static int add_parts(struct buf *b, const struct dray_split_layer *l, dray_error **err)
{
	for (size_t i = 0; i < l->n_parts; i++) {
		cleanup_free char *name = text_safe(span_str(l->parts[i]), PART_MAX);

		if (!name)
			return err_nomem(err);
		if (b->len + strlen(name) + 2 > STEP_MAX)
			return buf_printf(b, err, " and %zu more", l->n_parts - i);
		if (buf_printf(b, err, "%s%s", i ? ", " : " ", name) < 0)
			return -1;
	}
	return 0;
}

/* The step of the history that made @p l. */
static int make_step(struct arena *a, const struct dray_split_layer *l, const char **ret,
		     dray_error **err)
{
	cleanup_buf struct buf b = BUF_INIT(2 * STEP_MAX);
	cleanup_free char *rule = text_safe(span_str(l->rule ? l->rule : ""), STEP_MAX);

	if (!rule)
		return err_nomem(err);
	if (buf_add_str(&b, "dray split", err) < 0 ||
	    (l->rule ? buf_printf(&b, err, " --layer %s", rule) : add_parts(&b, l, err)) < 0)
		return -1;
	*ret = arena_strndup(a, (const char *)b.data, b.len);
	return *ret ? 0 : err_nomem(err);
}

static int make_history(struct dray_split_plan *p, struct relayer_plan *ret, dray_error **err)
{
	const char **steps = arena_array(&p->arena, p->cut.n + 1, sizeof(*steps));

	if (!steps)
		return err_nomem(err);
	for (size_t i = 0; i < p->cut.n; i++)
		if (make_step(&p->arena, &p->layers[p->kept + i], &steps[i], err) < 0)
			return -1;
	return relayer_history(p->stack, p->kept, steps, p->cut.n, ret, err);
}

static int make_layers(struct dray_split_plan *p, struct relayer_plan *ret, dray_error **err)
{
	struct remake_layer *layers = arena_array(&p->arena, p->n + 1, sizeof(*layers));

	if (!layers)
		return err_nomem(err);
	for (size_t i = 0; i < p->n; i++) {
		layers[i] = (struct remake_layer){ .stack = p->stack,
						   .keep = -1,
						   .beside = stack_lies_in_files(p->stack) };
		if (i < p->kept)
			layers[i].keep = (int64_t)i;
		else
			layers[i].list = cut_records(&p->cut.list[i - p->kept]);
	}
	ret->layers = layers;
	ret->n = p->n;
	return 0;
}

int dray_split(dray_context *ctx, const char *image, const struct dray_select *sel,
	       const struct dray_split_options *so, const char *dst,
	       const struct dray_copy_options *o, dray_relayered **ret, dray_error **err)
{
	struct dray_split_options own = DRAY_SPLIT_OPTIONS_INIT;
	cleanup_split_plan struct dray_split_plan *p = NULL;
	struct relayer_plan plan = { .image = image, .same_tree = true, .apart = true };

	so = options_take(&own, sizeof(own), so);
	plan.previous = so->previous;
	if (split_plan(ctx, image, sel, so, true, &p, err) < 0 || make_history(p, &plan, err) < 0 ||
	    make_layers(p, &plan, err) < 0)
		return -1;
	plan.stack = p->stack;
	return relayer_run(&plan, dst, o, ret, err);
}

int dray_split_plan_make(dray_context *ctx, const char *image, const struct dray_select *sel,
			 const struct dray_split_options *o, dray_split_plan **ret,
			 dray_error **err)
{
	struct dray_split_options own = DRAY_SPLIT_OPTIONS_INIT;

	return split_plan(ctx, image, sel, options_take(&own, sizeof(own), o), false, ret, err);
}

const struct dray_split_layer *dray_split_plan_layers(const dray_split_plan *p, size_t *ret_n)
{
	*ret_n = p->n;
	return p->layers;
}
