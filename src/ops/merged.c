/* SPDX-License-Identifier: Apache-2.0
 *
 * The tar of a merged tree, or those into which it is cut.
 * Relies on ops/stack for proven layers, on layer/write for the tar, on layer/once for one that is
 * foreseen.
 * Promises the same bytes either way.
 */
#include "ops/merged.h"

void merged_clear(struct merged *m)
{
	once_free(steal_pointer(&m->once));
	tree_free(steal_pointer(&m->others));
	tree_free(steal_pointer(&m->tree));
}

/* ---- in two passes: what is where, then the bytes ---- */

int merged_load(struct merged *m, dray_error **err)
{
	if (m->tree)
		return 0;
	if (stack_load_all(m->stack, err) < 0)
		return -1;
	return stack_tree(m->stack, m->stack->n, &m->tree, err);
}

int merged_write(struct merged *m, struct sink *k, dray_error **err)
{
	const struct record_list all = { tree_record_next, m->tree };
	const struct layer_feed feed = stack_feed(m->stack);
	cleanup_source struct source *tar = NULL;

	if (stack_prepare(m->stack, &all, err) < 0)
		return -1;
	stack_spend_tars(m->stack);
	tar = layer_tar_source(&all, &feed, err);
	return !tar || pump(tar, k, err) < 0 ? -1 : stack_feed_finish(m->stack, err);
}

/* ---- in one, of the biggest layer ---- */

static bool is_shared(const struct stack *s, size_t layer)
{
	size_t users = 0;

	for (size_t i = 0; i < s->n; i++)
		users += s->which[i] == s->which[layer];
	return users > 1;
}

/* A layer that is worth it: the others, which are read twice, are smaller together. */
static bool find_passing(const struct stack *s, size_t *ret)
{
	const struct layer *l = s->im->layers;
	int64_t all = 0;

	*ret = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (l[i].blob.size < 0 || __builtin_add_overflow(all, l[i].blob.size, &all))
			return false;
		*ret = l[i].blob.size > l[*ret].blob.size ? i : *ret;
	}
	return s->n > 0 && l[*ret].blob.size > all / 2 && !is_shared(s, *ret);
}

/* Without the layer that passes there may be no tree: then the ordinary way says more. */
static int merge_others(struct merged *m, dray_error **err)
{
	cleanup_error dray_error *failure = NULL;

	if (stack_tree_of_others(m->stack, &m->others, &failure) == 0)
		return 1;
	if (dray_error_kind(failure) != DRAY_ERR_NOMEM)
		return 0;
	if (err)
		*err = steal_pointer(&failure);
	return -1;
}

int merged_foresee(struct merged *m, dray_error **err)
{
	if (!find_passing(m->stack, &m->passing))
		return 0;
	if (stack_load_others(m->stack, m->passing, err) < 0)
		return -1;
	return merge_others(m, err);
}

static int pass(void *arg, struct source *tar, struct layer_index **ret, dray_error **err)
{
	const struct merged *m = arg;

	return once_write(m->once, tar, ret, err);
}

static void tell_again(const struct merged *m)
{
	context_log(m->stack->ctx, DRAY_LOG_INFO, "layer %zu of %zu is decoded twice",
		    m->passing + 1, m->stack->n);
}

static int write_passing(struct merged *m, const struct once_plan *plan, dray_error **err)
{
	struct stack *s = m->stack;
	const struct record_list list = { tree_record_next, m->others };
	int rc;

	if (stack_prepare(s, &list, err) < 0)
		return err_ctx(err, "%s", s->im->where);
	m->once = once_new(plan, err);
	rc = m->once ? stack_load_by(s, m->passing, pass, m, err) : -1;
	if (rc > 0 && stack_feed_finish(s, err) < 0)
		return err_ctx(err, "%s", s->im->where);
	return rc;
}

int merged_pass(struct merged *m, struct sink *const *out, size_t n, const struct once_cut *cut,
		dray_error **err)
{
	struct stack *s = m->stack;
	const struct once_plan plan = { .index = s->index,
					.n = s->n,
					.passing = (uint32_t)m->passing,
					.others = m->others,
					.feed = stack_feed(s),
					.out = out,
					.n_out = n,
					.cut = cut,
					.contents = s->o.contents };
	int rc = write_passing(m, &plan, err);

	tree_free(steal_pointer(&m->others)); /* before the one of all is made */
	if (rc == 0)
		tell_again(m);
	return rc;
}

int merged_holds(const struct merged *m, size_t tar, const struct record_list *l, dray_error **err)
{
	int rc = once_holds(m->once, tar, l, err);

	if (rc == 0)
		tell_again(m);
	return rc;
}

static int is_right(struct merged *m, dray_error **err)
{
	if (merged_load(m, err) < 0)
		return -1;

	const struct record_list all = { tree_record_next, m->tree };

	return merged_holds(m, 0, &all, err);
}

int merged_write_once(struct merged *m, struct sink *k, dray_error **err)
{
	int rc = merged_foresee(m, err);

	if (rc > 0)
		rc = merged_pass(m, &k, 1, NULL, err);
	if (rc <= 0)
		return rc;
	rc = is_right(m, err);
	once_free(steal_pointer(&m->once));
	if (rc > 0)
		tree_free(steal_pointer(&m->tree)); /* which nobody asked for */
	return rc;
}
