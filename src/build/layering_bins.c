/* SPDX-License-Identifier: Apache-2.0
 *
 * Bins put in order, joined where they are too small and divided where they are too big.
 * Relies on the order of nodes for ties.
 * Promises that each node stays in exactly one bin, or in none.
 */
#include "build/layering_priv.h"

#include <stdlib.h>

#include "base/mem.h"

/* ---- what is known of bins ---- */

struct bin {
	uint32_t number;
	uint32_t first; /* node */
	size_t nodes, units;
	int64_t kept;
	wide_t rank; /* the least first; then the least first node */
};

/* NULL = no memory. */
static struct bin *tally(const struct bins *b, const struct graph *g)
{
	struct bin *list = mem_zalloc((b->n + 1) * sizeof(*list));

	if (!list)
		return NULL;
	for (uint32_t i = 0; i < b->n; i++)
		list[i] = (struct bin){ .number = i, .first = LAYERING_NONE };
	for (uint32_t i = 0; i < g->n; i++) {
		struct bin *to = b->of[i] == LAYERING_NONE ? NULL : &list[b->of[i]];

		if (!to)
			continue;
		if (to->nodes++ == 0)
			to->first = i;
		to->units += g->nodes[i].n_kept;
		to->kept += g->nodes[i].kept;
	}
	return list;
}

static int by_rank(const void *a, const void *b)
{
	const struct bin *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

/* Number bins anew: @p list[i].number becomes i, of n in all. Those not in it go. */
static int renumber(struct bins *b, const struct graph *g, const struct bin *list, size_t n,
		    dray_error **err)
{
	cleanup_free uint32_t *to = mem_alloc_array(b->n + 1, sizeof(*to));

	if (!to)
		return err_nomem(err);
	memset(to, 0xff, (b->n + 1) * sizeof(*to));
	for (size_t i = 0; i < n; i++)
		to[list[i].number] = (uint32_t)i;
	for (size_t i = 0; i < g->n; i++)
		if (b->of[i] != LAYERING_NONE)
			b->of[i] = to[b->of[i]];
	b->n = n;
	return 0;
}

static int reorder(struct bins *b, const struct graph *g, struct bin *list, dray_error **err)
{
	if (b->n > 1)
		qsort(list, b->n, sizeof(*list), by_rank);
	return renumber(b, g, list, b->n, err);
}

int bins_drop_empty(struct bins *b, const struct graph *g, dray_error **err)
{
	cleanup_free struct bin *list = tally(b, g);
	size_t n = 0;

	if (!list)
		return err_nomem(err);
	for (size_t i = 0; i < b->n; i++)
		if (list[i].units > 0)
			list[n++] = list[i];
	return renumber(b, g, list, n, err);
}

/* ---- order ---- */

/* Bytes of all that nodes of bin @p number reach. */
static wide_t closure_bytes(const struct bins *b, const struct graph *g, uint32_t number,
			    uint32_t *marks, uint32_t *todo)
{
	wide_t ret = 0;

	for (uint32_t i = 0; i < g->n; i++)
		if (b->of[i] == number)
			graph_mark(&g->refs, i, marks, number + 1, todo);
	for (size_t i = 0; i < g->n; i++)
		if (marks[i] == number + 1)
			ret += (wide_t)g->nodes[i].bytes;
	return ret;
}

int bins_by_closure(struct bins *b, const struct graph *g, struct arena *a, dray_error **err)
{
	cleanup_free struct bin *list = tally(b, g);
	uint32_t *marks = arena_array(a, g->n + 1, sizeof(*marks));
	uint32_t *todo = arena_array(a, g->n + 1, sizeof(*todo));

	if (!list || !marks || !todo)
		return err_nomem(err);
	for (uint32_t i = 0; i < b->n; i++)
		list[i].rank = closure_bytes(b, g, i, marks, todo);
	return reorder(b, g, list, err);
}

int bins_by_age(struct bins *b, const struct graph *g, struct arena *a, dray_error **err)
{
	cleanup_free struct bin *list = tally(b, g);
	uint64_t *newest = arena_array(a, b->n + 1, sizeof(*newest));

	if (!list || !newest)
		return err_nomem(err);
	for (size_t i = 0; i < g->n; i++) {
		/* Times before 1970 come before 0 as they should. */
		uint64_t changed = (uint64_t)g->nodes[i].changed ^ (UINT64_C(1) << 63);

		if (b->of[i] != LAYERING_NONE && changed > newest[b->of[i]])
			newest[b->of[i]] = changed;
	}
	for (size_t i = 0; i < b->n; i++)
		list[i].rank = ((wide_t)newest[i] << 64) | (uint64_t)(INT64_MAX - list[i].kept);
	return reorder(b, g, list, err);
}

/* ---- too small ---- */

static int by_kept(const void *a, const void *b)
{
	const struct bin *x = a, *y = b;

	if (x->kept != y->kept)
		return x->kept < y->kept ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

int bins_join_small(struct bins *b, const struct graph *g, int64_t min, struct arena *a,
		    dray_error **err)
{
	cleanup_free struct bin *list = tally(b, g);
	uint32_t *to = arena_array(a, b->n + 1, sizeof(*to));
	size_t small = 0;
	int64_t kept = 0;

	if (!list || !to)
		return err_nomem(err);
	qsort(list, b->n, sizeof(*list), by_kept);
	while (small < b->n && (list[small].kept < min || (small > 0 && kept < min)))
		kept += list[small++].kept;
	if (small < 2)
		return 0;
	for (size_t i = 0; i < b->n; i++)
		to[list[i].number] = list[i < small ? small - 1 : i].number;
	for (size_t i = 0; i < g->n; i++)
		if (b->of[i] != LAYERING_NONE)
			b->of[i] = to[b->of[i]];
	/* Which of them are left does not change their order. */
	return bins_drop_empty(b, g, err);
}

/* ---- too big ---- */

struct pieces {
	int64_t *kept;
	uint32_t *bin;
	size_t n, cap;
};

static int piece_add(struct pieces *p, struct arena *a, uint32_t bin, dray_error **err)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 16;
		int64_t *kept = arena_array(a, cap, sizeof(*kept));
		uint32_t *number = arena_array(a, cap, sizeof(*number));

		if (!kept || !number)
			return err_nomem(err);
		if (p->n) {
			memcpy(kept, p->kept, p->n * sizeof(*kept));
			memcpy(number, p->bin, p->n * sizeof(*number));
		}
		*p = (struct pieces){ kept, number, p->n, cap };
	}
	p->kept[p->n] = 0;
	p->bin[p->n++] = bin;
	return 0;
}

/* The first piece with room takes the biggest node that is left. */
static int divide(struct bins *b, const struct graph *g, uint32_t bin, const uint32_t *biggest,
		  int64_t max, struct arena *a, dray_error **err)
{
	struct pieces p = { 0 };

	if (piece_add(&p, a, bin, err) < 0)
		return -1;
	for (size_t k = 0; k < g->n; k++) {
		int64_t kept = g->nodes[biggest[k]].kept;
		size_t i = 0;

		if (b->of[biggest[k]] != bin)
			continue;
		while (i < p.n && p.kept[i] > 0 && p.kept[i] + kept > max)
			i++;
		if (i == p.n && piece_add(&p, a, (uint32_t)b->n++, err) < 0)
			return -1;
		p.kept[i] += kept;
		b->of[biggest[k]] = p.bin[i];
	}
	return 0;
}

int bins_split_big(struct bins *b, const struct graph *g, int64_t max, struct arena *a,
		   dray_error **err)
{
	cleanup_free struct bin *list = tally(b, g);
	const uint32_t *biggest = graph_by_size(g, a);
	size_t n = b->n;

	if (!list || !biggest)
		return err_nomem(err);
	for (uint32_t i = 0; i < n; i++)
		if (list[i].kept > max && list[i].nodes > 1 &&
		    divide(b, g, i, biggest, max, a, err) < 0)
			return -1;
	return 0;
}
