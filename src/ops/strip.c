/* SPDX-License-Identifier: Apache-2.0
 *
 * strip: paths that leave every layer of an image.
 * Relies on layer/prune for what they are, on layer/change for layers without them.
 * Promises the old files less these paths, and that a layer without them keeps its bytes.
 */
#include "layer/change.h"
#include "layer/prune.h"
#include "layer/rootfs.h"
#include "ops/relayer.h"

#include "base/mem.h"
#include "base/text.h"

struct strip {
	const struct dray_strip_options *so;
	struct stack *s;
	struct prune_set paths;
	bool *concerned; /* of each layer */
	bool *left_out;
	struct change **changes; /* of each that is concerned */
	/* The pruned tree of the lowest n_below layers, as the last change left it. */
	struct tree *below;
	size_t n_below;
	struct digest expect;
	struct remake_layer *layers;
	size_t n_layers;
};

static void strip_clear(struct strip *t)
{
	for (size_t i = 0; t->changes && i < t->s->n; i++)
		change_free(t->changes[i]);
	tree_free(t->below);
	prune_set_clear(&t->paths);
	stack_free(t->s);
}
#define cleanup_strip CLEANUP(strip_clear)

/* ---- which layers ---- */

static int add_paths(struct strip *t, dray_error **err)
{
	for (size_t i = 0; i < t->so->n_paths; i++) {
		const char *path = t->so->paths[i];

		if (prune_set_add(&t->paths, path, err) < 0) {
			cleanup_free char *shown = text_safe(span_str(path), 4096);

			return err_ctx(err, "%s", shown ? shown : "");
		}
	}
	return t->so->n_paths ? 0 : err_set(err, DRAY_ERR_USAGE, "no path to strip");
}

static int check_unused(const struct strip *t, dray_error **err)
{
	const char *path = prune_unused(&t->paths);
	cleanup_free char *shown = NULL;

	if (!path || t->so->ignore_missing)
		return 0;
	shown = text_safe(span_str(path), 4096);
	err_set(err, DRAY_ERR_NOT_FOUND, "%s: no layer has %s", t->s->im->where,
		shown ? shown : "");
	return err_hint(err, "'dray files' lists what is there; --ignore-missing goes on");
}

static int find_layers(struct strip *t, dray_error **err)
{
	struct arena *a = &t->s->arena;

	t->concerned = arena_array(a, t->s->n + 1, sizeof(bool));
	t->left_out = arena_array(a, t->s->n + 1, sizeof(bool));
	t->changes = arena_array(a, t->s->n + 1, sizeof(struct change *));
	t->layers = arena_array(a, t->s->n + 1, sizeof(*t->layers));
	if (!t->concerned || !t->left_out || !t->changes || !t->layers)
		return err_nomem(err);
	for (size_t i = 0; i < t->s->n; i++) {
		int rc = prune_concerns(&t->paths, t->s->index[i], err);

		if (rc < 0)
			return -1;
		t->concerned[i] = rc > 0;
	}
	return check_unused(t, err);
}

/* ---- what they become ---- */

/* The tree of the lowest @p n layers without the paths, the caller's. */
static int pruned_tree(struct strip *t, size_t n, struct tree **ret, dray_error **err)
{
	if (t->below && t->n_below == n) {
		*ret = steal_pointer(&t->below);
		return 0;
	}
	if (stack_tree(t->s, n, ret, err) < 0)
		return -1;
	if (prune_tree(&t->paths, *ret, err) == 0)
		return 0;
	tree_free(steal_pointer(ret));
	return -1;
}

static void put_below(struct strip *t, struct tree *tree, size_t n)
{
	tree_free(t->below);
	t->below = tree;
	t->n_below = n;
}

static int change_layer(struct strip *t, size_t i, dray_error **err)
{
	cleanup_tree struct tree *lower = NULL, *upper = NULL;

	if (pruned_tree(t, i, &lower, err) < 0 || pruned_tree(t, i + 1, &upper, err) < 0 ||
	    change_find(lower, upper, &t->changes[i], err) < 0)
		return -1;
	t->left_out[i] = change_is_empty(t->changes[i]);
	put_below(t, steal_pointer(&upper), i + 1);
	return 0;
}

static int change_layers(struct strip *t, dray_error **err)
{
	cleanup_tree struct tree *all = NULL;

	for (size_t i = 0; i < t->s->n; i++)
		if (t->concerned[i] && change_layer(t, i, err) < 0)
			return -1;
	if (pruned_tree(t, t->s->n, &all, err) < 0)
		return -1;
	put_below(t, NULL, 0);
	return rootfs_id(all, true, &t->expect, err);
}

/* ---- the plan ---- */

static void plan_layers(struct strip *t)
{
	struct stack *s = t->s;
	size_t left_out = 0;

	for (size_t i = 0; i < s->n; i++)
		left_out += t->left_out[i];
	if (left_out == s->n && s->n > 0)
		t->left_out[0] = false; /* an image without layers is refused here and there */
	for (size_t i = 0; i < s->n; i++) {
		struct remake_layer l = { .stack = s, .keep = (int64_t)i };

		if (t->left_out[i])
			continue;
		if (t->concerned[i]) {
			l.keep = -1;
			l.list = change_records(t->changes[i]);
		}
		t->layers[t->n_layers++] = l;
	}
}

/* Steps of layers that are left out make none any more; one that was not told is told no more. */
static size_t mark_left_out(const struct strip *t, struct relayer_step *steps, size_t n)
{
	size_t layer = 0, kept = 0;

	for (size_t i = 0; i < n; i++) {
		struct relayer_step step = steps[i];

		if (!step.empty_layer && t->left_out[layer++]) {
			if (step.keep < 0)
				continue;
			step.empty_layer = true;
		}
		steps[kept++] = step;
	}
	return kept;
}

static int plan_history(struct strip *t, struct relayer_plan *plan, dray_error **err)
{
	struct stack *s = t->s;
	struct relayer_step *steps = arena_array(&s->arena, s->im->config->n_history + s->n + 1,
						 sizeof(*steps));
	size_t n;

	if (!steps)
		return err_nomem(err);
	n = mark_left_out(t, steps, relayer_fit_history(s->im, s->n, steps));
	steps[n++] = (struct relayer_step){ .keep = -1,
					    .created_by = "dray strip",
					    .empty_layer = true };
	plan->steps = steps;
	plan->n_steps = n;
	return 0;
}

int dray_strip(dray_context *ctx, const char *image, const struct dray_select *sel, const char *dst,
	       const struct dray_strip_options *so, const struct dray_copy_options *o,
	       dray_relayered **ret, dray_error **err)
{
	struct dray_strip_options own = DRAY_STRIP_OPTIONS_INIT;
	const struct stack_options contents = { .contents = true };
	cleanup_strip struct strip t = { .so = options_take(&own, sizeof(own), so) };
	struct relayer_plan plan = { .image = image, .expect = &t.expect };

	if (add_paths(&t, err) < 0 || stack_open(ctx, image, sel, &contents, &t.s, err) < 0 ||
	    find_layers(&t, err) < 0 || change_layers(&t, err) < 0)
		return -1;
	plan_layers(&t);
	if (plan_history(&t, &plan, err) < 0)
		return -1;
	plan.stack = t.s;
	plan.layers = t.layers;
	plan.n = t.n_layers;
	return relayer_run(&plan, dst, o, ret, err);
}
