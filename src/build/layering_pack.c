/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans that need no references: by size, by origin, by source.
 * Relies on the order of nodes, which is that of their names.
 * Promises the same bins for the same nodes: sorts are total, costs are whole numbers.
 */
#include "build/layering_priv.h"

#include <stdlib.h>

#include "base/mem.h"

/* ---- by size ---- */

#define SIZE_BINS 128 /* that are weighed against each other; of more, the biggest are alone */

/*
 * What an update re-sends when every unit is as likely to change as any other: the bytes of a bin
 * times the number of units in it. Of units in the order of their size, the best bins are runs.
 */
struct runs {
	const int64_t *sum; /* bytes of the first i units */
	size_t n;
	wide_t *cost, *next; /* of the first i units in so many bins, and in one more */
	uint32_t *first;     /* [bins][i]: where the last bin begins */
};

/* For these units the best begin of the last bin lies between these. */
struct range {
	size_t from, to; /* units, the last included */
	size_t low, high;
};

static wide_t run_cost(const struct runs *r, size_t from, size_t to)
{
	return (wide_t)(r->sum[to] - r->sum[from]) * (to - from);
}

static uint32_t best_begin(struct runs *r, const struct range *in, size_t at)
{
	size_t high = in->high < at - 1 ? in->high : at - 1, best = in->low;
	wide_t least = r->cost[best] + run_cost(r, best, at);

	for (size_t i = in->low + 1; i <= high; i++) {
		wide_t cost = r->cost[i] + run_cost(r, i, at);

		if (cost < least) {
			least = cost;
			best = i;
		}
	}
	r->next[at] = least;
	return (uint32_t)best;
}

/*
 * With one bin more, for all numbers of units from @p bins on. Best begins ascend with the number
 * of units, so each found one halves the search for those on both sides.
 */
static void one_more(struct runs *r, size_t bins, uint32_t *first)
{
	struct range todo[64] = { { bins, r->n, bins - 1, r->n - 1 } };
	size_t n = 1;

	while (n > 0) {
		struct range in = todo[--n];
		size_t mid = in.from + (in.to - in.from) / 2;

		first[mid] = best_begin(r, &in, mid);
		if (in.from < mid)
			todo[n++] = (struct range){ in.from, mid - 1, in.low, first[mid] };
		if (mid < in.to)
			todo[n++] = (struct range){ mid + 1, in.to, first[mid], in.high };
	}
}

static void best_runs(struct runs *r, size_t bins)
{
	for (size_t i = 0; i <= r->n; i++)
		r->cost[i] = run_cost(r, 0, i);
	for (size_t k = 2; k <= bins; k++) {
		wide_t *swap = r->cost;

		one_more(r, k, r->first + (k - 1) * (r->n + 1));
		r->cost = r->next;
		r->next = swap;
	}
}

/* Cut @p list, the biggest first, into @p bins runs, numbered from @p from. */
static int cut_runs(const struct graph *g, const uint32_t *list, size_t n, size_t bins, size_t from,
		    struct bins *b, dray_error **err)
{
	struct arena scratch CLEANUP(arena_clear) = { 0 };
	int64_t *sum = arena_array(&scratch, n + 1, sizeof(*sum));
	struct runs r = { .sum = sum, .n = n };
	size_t end = n;

	r.cost = arena_array(&scratch, n + 1, sizeof(*r.cost));
	r.next = arena_array(&scratch, n + 1, sizeof(*r.next));
	r.first = arena_array(&scratch, (n + 1) * bins, sizeof(*r.first));
	if (!sum || !r.cost || !r.next || !r.first)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		sum[i + 1] = sum[i] + g->nodes[list[i]].bytes;
	best_runs(&r, bins);
	for (size_t k = bins; k-- > 0;) {
		size_t begin = r.first[k * (n + 1) + end];

		for (size_t i = begin; i < end; i++)
			b->of[list[i]] = (uint32_t)(from + k);
		end = begin;
	}
	return 0;
}

int plan_size(const struct graph *g, size_t limit, struct bins *ret, struct arena *a,
	      dray_error **err)
{
	const uint32_t *list = graph_by_size(g, a);
	size_t alone;

	if (!list)
		return err_nomem(err);
	if (bins_init(ret, a, g, err) < 0)
		return -1;
	ret->n = g->n < limit ? g->n : limit;
	alone = g->n <= limit ? g->n : limit > SIZE_BINS ? limit - SIZE_BINS : 0;
	for (size_t i = 0; i < alone; i++)
		ret->of[list[i]] = (uint32_t)i;
	if (alone < g->n &&
	    cut_runs(g, list + alone, g->n - alone, ret->n - alone, alone, ret, err) < 0)
		return -1;
	return bins_by_age(ret, g, a, err);
}

/* ---- by origin ---- */

struct cluster {
	int64_t bytes;
	uint32_t first; /* node */
	uint32_t bin;
};

/* Nodes of one origin belong together. @p ret_of: node -> cluster. */
static int find_clusters(const struct graph *g, struct cluster *list, uint32_t *ret_of,
			 size_t *ret_n, dray_error **err)
{
	struct map by_origin CLEANUP(map_clear) = { 0 };
	size_t n = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		const char *origin = g->nodes[i].origin;
		const struct map_slot *s = *origin ? map_find(&by_origin, span_str(origin)) : NULL;

		if (s) {
			ret_of[i] = (uint32_t)(uintptr_t)s->value;
		} else {
			if (*origin &&
			    map_put(&by_origin, span_str(origin), (void *)(uintptr_t)n, err) < 0)
				return -1;
			list[n] = (struct cluster){ .first = i };
			ret_of[i] = (uint32_t)n++;
		}
		list[ret_of[i]].bytes += g->nodes[i].bytes;
	}
	*ret_n = n;
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	const struct cluster *x = *(struct cluster *const *)a, *y = *(struct cluster *const *)b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

int plan_origin(const struct graph *g, size_t limit, struct bins *ret, struct arena *a,
		dray_error **err)
{
	struct cluster *list = arena_array(a, g->n, sizeof(*list));
	struct cluster **order = arena_array(a, g->n, sizeof(*order));
	uint32_t *of = arena_array(a, g->n, sizeof(*of));
	size_t n;

	if (!list || !order || !of)
		return err_nomem(err);
	if (bins_init(ret, a, g, err) < 0 || find_clusters(g, list, of, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		order[i] = &list[i];
	if (n > 1)
		qsort(order, n, sizeof(*order), by_bytes);
	ret->n = n < limit ? n : limit;
	for (size_t i = 0; i < n; i++)
		order[i]->bin = (uint32_t)(i < ret->n ? i : ret->n - 1);
	for (size_t i = 0; i < g->n; i++)
		ret->of[i] = list[of[i]].bin;
	return 0;
}

/* ---- by source ---- */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int plan_per_source(const struct graph *g, size_t limit, struct bins *ret, struct arena *a,
		    dray_error **err)
{
	uint32_t *list = arena_array(a, g->n + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return err_nomem(err);
	if (bins_init(ret, a, g, err) < 0)
		return -1;
	for (size_t i = 0; i < g->n; i++)
		list[i] = g->nodes[i].source;
	qsort(list, g->n, sizeof(*list), by_number);
	for (size_t i = 0; i < g->n; i++)
		if (i == 0 || list[n - 1] != list[i])
			list[n++] = list[i];
	if (n > limit)
		return err_set(err, DRAY_ERR_LIMIT,
			       "a layer for each of %zu sources, but only %zu layers are left "
			       "(layers.max)",
			       n, limit);
	for (size_t i = 0; i < g->n; i++) {
		const uint32_t *at = bsearch(&g->nodes[i].source, list, n, sizeof(*list),
					     by_number);

		ret->of[i] = (uint32_t)(at - list);
	}
	ret->n = n;
	return 0;
}

/* ---- more layers for what is left together ---- */

/* The nodes bin by bin, and what one origin has of a bin. */
struct shares {
	uint32_t *cluster; /* node -> cluster */
	int64_t *bytes;	   /* cluster -> of the bin that is looked at */
	uint32_t *list;	   /* nodes, bin by bin */
	size_t *start;	   /* bin -> its first */
	size_t n;	   /* clusters */
};

static int shares_init(struct shares *s, const struct graph *g, size_t limit, struct arena *a,
		       dray_error **err)
{
	struct cluster *list = arena_array(a, g->n, sizeof(*list));

	s->cluster = arena_array(a, g->n, sizeof(*s->cluster));
	s->bytes = arena_array(a, g->n, sizeof(*s->bytes));
	s->list = arena_array(a, g->n, sizeof(*s->list));
	s->start = arena_array(a, limit + 2, sizeof(*s->start));
	if (!list || !s->cluster || !s->bytes || !s->list || !s->start)
		return err_nomem(err);
	return find_clusters(g, list, s->cluster, &s->n, err);
}

static void shares_sort(struct shares *s, const struct graph *g, const struct bins *b)
{
	memset(s->start, 0, (b->n + 2) * sizeof(*s->start));
	for (size_t i = 0; i < g->n; i++)
		if (b->of[i] != LAYERING_NONE)
			s->start[b->of[i] + 2]++;
	for (size_t i = 0; i < b->n; i++)
		s->start[i + 2] += s->start[i + 1];
	for (uint32_t i = 0; i < g->n; i++)
		if (b->of[i] != LAYERING_NONE)
			s->list[s->start[b->of[i] + 1]++] = i;
}

/* What it saves to have one cluster out of a bin. */
struct offer {
	wide_t gain;
	uint32_t bin, cluster;
};

static void weigh(struct shares *s, const struct graph *g, uint32_t bin, int64_t min,
		  struct offer *best)
{
	size_t from = s->start[bin], to = s->start[bin + 1], m = 0;
	uint32_t biggest = LAYERING_NONE;
	int64_t all = 0, big;
	wide_t gain;

	for (size_t i = from; i < to; i++)
		s->bytes[s->cluster[s->list[i]]] = -1;
	for (size_t i = from; i < to; i++) {
		uint32_t c = s->cluster[s->list[i]];

		if (s->bytes[c] < 0) {
			s->bytes[c] = 0;
			m++;
		}
		s->bytes[c] += g->nodes[s->list[i]].kept;
		all += g->nodes[s->list[i]].kept;
		if (biggest == LAYERING_NONE || s->bytes[c] > s->bytes[biggest])
			biggest = c;
	}
	big = m > 1 ? s->bytes[biggest] : 0;
	if (m < 2 || big < min || all - big < min)
		return;
	gain = (wide_t)all * m - (wide_t)big - (wide_t)(all - big) * (m - 1);
	if (gain > best->gain)
		*best = (struct offer){ gain, bin, biggest };
}

int bins_split_more(struct bins *b, const struct graph *g, size_t limit, int64_t min,
		    struct arena *a, dray_error **err)
{
	struct shares s = { 0 };

	if (b->n >= limit)
		return 0;
	if (limit > g->n)
		limit = g->n;
	if (shares_init(&s, g, limit, a, err) < 0)
		return -1;
	while (b->n < limit) {
		struct offer best = { 0 };

		shares_sort(&s, g, b);
		for (uint32_t i = 0; i < b->n; i++)
			weigh(&s, g, i, min, &best);
		if (best.gain == 0)
			return 0;
		for (size_t i = s.start[best.bin]; i < s.start[best.bin + 1]; i++)
			if (s.cluster[s.list[i]] == best.cluster)
				b->of[s.list[i]] = (uint32_t)b->n;
		b->n++;
	}
	return 0;
}
