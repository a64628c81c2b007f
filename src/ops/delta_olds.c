/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers of bases at random access, for recipes.
 * Relies on ops/stack, which keeps what it decodes in files.
 * Promises that bytes which are handed out were proven before.
 */
#include "base/mem.h"
#include "ops/delta_files.h"

int delta_olds_init(struct delta_olds *o, size_t n, struct arena *a, dray_error **err)
{
	*o = (struct delta_olds){
		.list = arena_array(a, n + 1, sizeof(*o->list)),
		.where = arena_array(a, n + 1, sizeof(*o->where)),
		.used = arena_array(a, n + 1, sizeof(*o->used)),
		.n = n,
	};
	return o->list && o->where && o->used ? 0 : err_nomem(err);
}

static int64_t read_old(void *arg, size_t i, int64_t off, void *data, size_t len, dray_error **err)
{
	struct delta_olds *o = arg;
	const struct delta_where *w = &o->where[i];
	struct layer_feed feed;

	if (!w->stack)
		return err_set(err, DRAY_ERR_FORMAT,
			       "a recipe reads %s, which the delta does not ask for",
			       o->list[i].diff_id.text);
	__atomic_store_n(&o->used[i], true, __ATOMIC_RELAXED);
	if (off >= o->list[i].size || len == 0)
		return 0;
	if ((uint64_t)(o->list[i].size - off) < len)
		len = (size_t)(o->list[i].size - off);
	feed = stack_feed(w->stack);
	return feed.read(feed.arg, (uint32_t)w->layer, off, data, len, err);
}

struct recipe_bases delta_recipe_bases(struct delta_olds *o)
{
	return (struct recipe_bases){ o->list, o->n, read_old, o };
}

static int load_one(void *arg, size_t i, dray_error **err)
{
	struct delta_olds *o = arg;
	const struct delta_where *w = &o->where[i];

	return w->stack ? stack_load(w->stack, w->layer, err) : 0;
}

int delta_olds_load(struct delta_olds *o, dray_context *ctx, dray_error **err)
{
	if (run_parallel(ctx->threads, o->n, load_one, o, err) < 0)
		return -1;
	for (size_t i = 0; i < o->n; i++) {
		const struct delta_where *w = &o->where[i];

		if (w->stack)
			o->list[i].index = w->stack->index[w->layer];
	}
	return 0;
}
