/* SPDX-License-Identifier: Apache-2.0
 *
 * split: the files of an image in other layers.
 * Relies on ops/split_plan for which, on ops/split_once for those that can be told before, on
 * ops/relayer for the rest.
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

/* ---- the run ---- */

struct splitting {
	struct dray_split_plan *p;
	const struct dray_split_options *o;
	struct split_once once;
	struct relayer_plan plan;
};

static void splitting_clear(struct splitting *s)
{
	split_once_clear(&s->once);
	dray_split_plan_free(s->p);
}

/* Layers that are made one by one. */
static int plan_layers(struct splitting *s, dray_error **err)
{
	if (stack_load_all(s->p->stack, err) < 0 ||
	    (!s->p->tree && split_make(s->p, s->o, err) < 0) || stack_spool(s->p->stack, err) < 0)
		return -1;
	return make_history(s->p, &s->plan, err) < 0 || make_layers(s->p, &s->plan, err) < 0 ? -1
											     : 0;
}

static int plan_later(void *arg, const struct remake_layer **ret, size_t *ret_n, dray_error **err)
{
	struct splitting *s = arg;

	if (plan_layers(s, err) < 0)
		return -1;
	*ret = s->plan.layers;
	*ret_n = s->plan.n;
	return 0;
}

static int write_once(void *arg, struct sink *const *out, dray_error **err)
{
	struct splitting *s = arg;
	int rc = split_once_write(&s->once, out, err);

	if (rc > 0 && make_history(s->p, &s->plan, err) < 0)
		return -1;
	return rc;
}

/* Of the layers nothing is known but how many there are. */
static int foresee_layers(struct splitting *s, dray_error **err)
{
	size_t n = split_once_layers(&s->once);
	struct remake_layer *layers = arena_array(&s->p->arena, n, sizeof(*layers));

	if (!layers)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		layers[i] = (struct remake_layer){ .stack = s->p->stack, .keep = -1 };
	s->once.p = s->p;
	s->plan.layers = layers;
	s->plan.n = n;
	return 0;
}

int dray_split(dray_context *ctx, const char *image, const struct dray_select *sel,
	       const struct dray_split_options *so, const char *dst,
	       const struct dray_copy_options *o, dray_relayered **ret, dray_error **err)
{
	struct dray_split_options own = DRAY_SPLIT_OPTIONS_INIT;
	struct splitting s CLEANUP(
		splitting_clear) = { .plan = { .image = image, .same_tree = true, .apart = true } };
	const struct together together = { write_once, plan_later, &s };
	bool foreseen;

	s.o = s.once.o = so = options_take(&own, sizeof(own), so);
	s.plan.previous = so->previous;
	if (split_once_begin(&s.once, &foreseen, err) < 0 ||
	    split_open(ctx, image, sel, so, foreseen ? SPLIT_FORESEEN : SPLIT_WRITTEN, &s.p, err) <
		    0)
		return -1;
	s.plan.stack = s.p->stack;
	s.plan.together = foreseen ? &together : NULL;
	if ((foreseen ? foresee_layers(&s, err) : plan_layers(&s, err)) < 0)
		return -1;
	return relayer_run(&s.plan, dst, o, ret, err);
}

int dray_split_plan_make(dray_context *ctx, const char *image, const struct dray_select *sel,
			 const struct dray_split_options *o, dray_split_plan **ret,
			 dray_error **err)
{
	struct dray_split_options own = DRAY_SPLIT_OPTIONS_INIT;
	cleanup_split_plan struct dray_split_plan *p = NULL;

	o = options_take(&own, sizeof(own), o);
	if (split_open(ctx, image, sel, o, SPLIT_SHOWN, &p, err) < 0 || split_make(p, o, err) < 0 ||
	    (o->previous && split_compare(p, err) < 0))
		return -1;
	*ret = steal_pointer(&p);
	return 0;
}

const struct dray_split_layer *dray_split_plan_layers(const dray_split_plan *p, size_t *ret_n)
{
	*ret_n = p->n;
	return p->layers;
}
