/* SPDX-License-Identifier: Apache-2.0
 *
 * The merged tree as a tar.
 * Relies on ops/stack for proven layers, on layer/write for the tar, on layer/once to decode the
 * biggest layer once only where that can be.
 * Promises the same bytes either way, and an output that appears whole or not at all.
 */
#include <fcntl.h>
#include <unistd.h>

#include "layer/once.h"
#include "ops/stack.h"

static void tell_windows(const struct stack *s)
{
	if (stack_is_windows(s))
		context_log(s->ctx, DRAY_LOG_WARNING,
			    "%s is a Windows image: no engine imports the tar of its files",
			    s->im->where);
}

/* ---- in two passes: what is where, then the bytes ---- */

static int write_tree(struct stack *s, struct sink *k, dray_error **err)
{
	cleanup_tree struct tree *t = NULL;
	cleanup_source struct source *tar = NULL;

	if (stack_load_all(s, err) < 0 || stack_tree(s, s->n, &t, err) < 0)
		return -1;

	const struct record_list all = { tree_record_next, t };
	const struct layer_feed feed = stack_feed(s);

	if (stack_prepare(s, &all, err) < 0)
		return -1;
	tar = layer_tar_source(&all, &feed, err);
	return !tar || pump(tar, k, err) < 0 ? -1 : stack_feed_finish(s, err);
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

struct passing {
	struct stack *s;
	struct once *once;
};

static int pass(void *arg, struct source *tar, struct layer_index **ret, dray_error **err)
{
	const struct passing *p = arg;

	return once_write(p->once, tar, ret, err);
}

static int write_passing(struct stack *s, size_t passing, struct tree *others, struct sink *k,
			 struct once **ret, dray_error **err)
{
	const struct record_list list = { tree_record_next, others };
	const struct once_plan plan = { .index = s->index,
					.n = s->n,
					.passing = (uint32_t)passing,
					.others = others,
					.feed = stack_feed(s),
					.out = k };
	struct passing p = { .s = s };
	int rc;

	if (stack_prepare(s, &list, err) < 0)
		return -1;
	p.once = *ret = once_new(&plan, err);
	rc = p.once ? stack_load_by(s, passing, pass, &p, err) : -1;
	return rc > 0 && stack_feed_finish(s, err) < 0 ? -1 : rc;
}

static int is_right(const struct stack *s, const struct once *once, dray_error **err)
{
	cleanup_tree struct tree *t = NULL;

	if (stack_tree(s, s->n, &t, err) < 0)
		return -1;

	const struct record_list all = { tree_record_next, t };

	return once_holds(once, &all, err);
}

/* Without the layer that passes there may be no tree: then the ordinary way says more. */
static int merge_others(const struct stack *s, struct tree **ret, dray_error **err)
{
	cleanup_error dray_error *failure = NULL;

	if (stack_tree_of_others(s, ret, &failure) == 0)
		return 1;
	if (dray_error_kind(failure) != DRAY_ERR_NOMEM)
		return 0;
	*err = steal_pointer(&failure);
	return -1;
}

/* 1, 0 = it has to be done in two passes, -1. */
static int write_once(struct stack *s, struct sink *k, dray_error **err)
{
	cleanup_tree struct tree *others = NULL;
	cleanup_once struct once *once = NULL;
	size_t passing;
	int rc;

	if (!find_passing(s, &passing))
		return 0;
	if (stack_load_others(s, passing, err) < 0)
		return -1;
	rc = merge_others(s, &others, err);
	if (rc > 0)
		rc = write_passing(s, passing, others, k, &once, err);
	tree_free(steal_pointer(&others)); /* before the one of all is made */
	if (rc > 0)
		rc = is_right(s, once, err);
	if (rc == 0)
		context_log(s->ctx, DRAY_LOG_INFO, "layer %zu of %zu is decoded twice", passing + 1,
			    s->n);
	return rc;
}

/* ---- export ---- */

static struct sink *open_output(const char *output, bool no_clobber, dray_error **err)
{
	return strcmp(output, "-") == 0 ? sink_to_fd(STDOUT_FILENO, false, err)
					: sink_to_file(AT_FDCWD, output, no_clobber, err);
}

int dray_export(dray_context *ctx, const char *image, const struct dray_select *sel,
		const char *output, bool no_clobber, int64_t *ret_size, dray_error **err)
{
	const struct stack_options o = { .lazy = true };
	cleanup_sink struct sink *k = open_output(output, no_clobber, err);
	cleanup_stack struct stack *s = NULL;
	int rc;

	if (!k || stack_open(ctx, image, sel, &o, &s, err) < 0)
		return -1;
	rc = sink_is_hidden(k) ? write_once(s, k, err) : 0;
	if (rc == 0 && k->pos > 0) {
		sink_free(k);
		k = open_output(output, no_clobber, err);
	}
	if (rc < 0 || !k || (rc == 0 && write_tree(s, k, err) < 0))
		return -1;
	tell_windows(s);
	if (ret_size)
		*ret_size = k->pos;
	return sink_finish(k, err);
}
