/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan of the previous image, kept.
 * Relies on components, which stay when versions and hashes change.
 * Promises that what the previous image has stays where it was, unless layers do not suffice.
 */
#include "build/layering_priv.h"

#include "base/mem.h"

/* The layer of the previous image that has the node, or LAYERING_NONE. */
static uint32_t old_layer(const struct node *n, const char *const *components,
			  const struct map *old)
{
	for (size_t i = 0; i < n->n; i++) {
		const struct map_slot *s = map_find(old, span_str(components[n->units[i]]));

		if (s)
			return (uint32_t)(uintptr_t)s->value;
	}
	return LAYERING_NONE;
}

static int read_old(struct map *old, const struct layering_options *o, dray_error **err)
{
	/* From the top, so that of twins the lowest layer counts. */
	for (size_t i = o->n_previous; i-- > 0;)
		for (size_t k = 0; k < o->previous[i].n; k++)
			if (map_put(old, span_str(o->previous[i].components[k]),
				    (void *)(uintptr_t)i, err) < 0)
				return -1;
	return 0;
}

/* Neighbours become one until there are few enough: those whose sum is least. */
static void join_neighbours(struct bins *b, const struct graph *g, int64_t *kept, size_t limit)
{
	while (b->n > limit) {
		size_t least = 0;

		for (size_t i = 1; i + 1 < b->n; i++)
			if (kept[i] + kept[i + 1] < kept[least] + kept[least + 1])
				least = i;
		kept[least] += kept[least + 1];
		b->n--;
		memmove(&kept[least + 1], &kept[least + 2], (b->n - least - 1) * sizeof(*kept));
		for (size_t i = 0; i < g->n; i++)
			if (b->of[i] != LAYERING_NONE && b->of[i] > least)
				b->of[i]--;
	}
}

int plan_previous(const struct graph *g, const char *const *components,
		  const struct layering_options *o, size_t limit, struct bins *ret, struct arena *a,
		  dray_error **err)
{
	struct map old CLEANUP(map_clear) = { 0 };
	int64_t *kept = arena_array(a, o->n_previous + 2, sizeof(*kept));
	bool any = false;

	if (!kept)
		return err_nomem(err);
	if (bins_init(ret, a, g, err) < 0 || read_old(&old, o, err) < 0)
		return -1;
	for (size_t i = 0; i < g->n; i++) {
		ret->of[i] = old_layer(&g->nodes[i], components, &old);
		any = any || ret->of[i] != LAYERING_NONE;
	}
	ret->n = any ? o->n_previous + 1 : 0;
	for (size_t i = 0; any && i < g->n; i++)
		if (ret->of[i] == LAYERING_NONE)
			ret->of[i] = (uint32_t)o->n_previous;
	if (!any)
		return 0;
	if (bins_drop_empty(ret, g, err) < 0)
		return -1;
	for (size_t i = 0; i < g->n; i++)
		if (ret->of[i] != LAYERING_NONE)
			kept[ret->of[i]] += g->nodes[i].kept;
	join_neighbours(ret, g, kept, limit);
	return 0;
}
