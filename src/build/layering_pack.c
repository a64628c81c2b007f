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

/* What one origin has of a bin. */
struct share {
	int64_t kept;
	uint32_t cluster;
};

struct offer {
	wide_t gain;  /* what it saves to divide the bin */
	size_t first; /* so many shares, the biggest, for a bin of their own */
};

struct splitter {
	const struct graph *g;
	struct bins *b;
	int64_t min;
	uint32_t *cluster;   /* node -> cluster */
	uint32_t *at;	     /* cluster -> its share + 1; 0 between uses */
	struct share *share; /* of the bin that is looked at, the biggest first */
	size_t n;
	struct offer *offers; /* of bins */
};

static int splitter_init(struct splitter *s, size_t limit, struct arena *a, dray_error **err)
{
	struct cluster *list = arena_array(a, s->g->n, sizeof(*list));
	size_t n;

	s->cluster = arena_array(a, s->g->n, sizeof(*s->cluster));
	s->at = arena_array(a, s->g->n, sizeof(*s->at));
	s->share = arena_array(a, s->g->n, sizeof(*s->share));
	s->offers = arena_array(a, limit, sizeof(*s->offers));
	if (!list || !s->cluster || !s->at || !s->share || !s->offers)
		return err_nomem(err);
	return find_clusters(s->g, list, s->cluster, &n, err);
}

static int by_kept(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	if (x->kept != y->kept)
		return x->kept > y->kept ? -1 : 1;
	return (x->cluster > y->cluster) - (x->cluster < y->cluster);
}

static void look_at(struct splitter *s, uint32_t bin)
{
	s->n = 0;
	for (size_t i = 0; i < s->g->n; i++) {
		uint32_t c = s->cluster[i];

		if (s->b->of[i] != bin)
			continue;
		if (!s->at[c]) {
			s->share[s->n++] = (struct share){ 0, c };
			s->at[c] = (uint32_t)s->n;
		}
		s->share[s->at[c] - 1].kept += s->g->nodes[i].kept;
	}
	for (size_t i = 0; i < s->n; i++)
		s->at[s->share[i].cluster] = 0;
	if (s->n > 1)
		qsort(s->share, s->n, sizeof(*s->share), by_kept);
}

/* The best way to divide a bin in two: the biggest, and the others. */
static void make_offer(struct splitter *s, uint32_t bin)
{
	struct offer best = { 0 };
	int64_t all = 0, big = 0;

	look_at(s, bin);
	for (size_t i = 0; i < s->n; i++)
		all += s->share[i].kept;
	for (size_t i = 0; i + 1 < s->n; i++) {
		wide_t gain;

		big += s->share[i].kept;
		if (big < s->min || all - big < s->min)
			continue;
		gain = (wide_t)all * s->n - (wide_t)big * (i + 1) -
		       (wide_t)(all - big) * (s->n - i - 1);
		if (gain > best.gain)
			best = (struct offer){ gain, i + 1 };
	}
	s->offers[bin] = best;
}

static void take_offer(struct splitter *s, uint32_t bin)
{
	look_at(s, bin);
	for (size_t i = 0; i < s->offers[bin].first; i++)
		s->at[s->share[i].cluster] = 1;
	for (size_t i = 0; i < s->g->n; i++)
		if (s->b->of[i] == bin && s->at[s->cluster[i]])
			s->b->of[i] = (uint32_t)s->b->n;
	for (size_t i = 0; i < s->n; i++)
		s->at[s->share[i].cluster] = 0;
	s->b->n++;
	make_offer(s, bin);
	make_offer(s, (uint32_t)s->b->n - 1);
}

int bins_split_more(struct bins *b, const struct graph *g, size_t limit, int64_t min,
		    struct arena *a, dray_error **err)
{
	struct splitter s = { .g = g, .b = b, .min = min };

	if (b->n >= limit)
		return 0;
	if (splitter_init(&s, limit, a, err) < 0)
		return -1;
	for (uint32_t i = 0; i < b->n; i++)
		make_offer(&s, i);
	while (b->n < limit) {
		uint32_t best = 0;

		for (uint32_t i = 1; i < b->n; i++)
			if (s.offers[i].gain > s.offers[best].gain)
				best = i;
		if (b->n == 0 || s.offers[best].gain == 0)
			return 0;
		take_offer(&s, best);
	}
	return 0;
}
