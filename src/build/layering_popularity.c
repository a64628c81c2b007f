/* SPDX-License-Identifier: Apache-2.0
 *
 * How popular units are: nixpkgs' popularity contest (building.md 2.2).
 * Relies on acyclic graphs.
 * Promises the contest's order exactly while no count has more than 512 bits; more count the same.
 *
 * The contest walks all ways down from the roots and gives, at each step, one more to all that is
 * below. So a unit has as many points as there are ways from roots to any of those that need it,
 * directly or not, and to itself: counted here without walking.
 */
#include "build/layering_priv.h"

#include <stdlib.h>

#include "base/mem.h"

#define COUNT_WORDS 8
#define BLOCK_WORDS 16 /* 1,024 units above are looked at together */
#define BLOCK_BITS (64 * BLOCK_WORDS)

struct count {
	uint64_t w[COUNT_WORDS]; /* the least first */
};

static void count_add(struct count *to, const struct count *more, size_t words)
{
	unsigned char carry = 0;

	for (size_t i = 0; i < words; i++) {
		uint64_t sum, all;
		bool over = __builtin_add_overflow(to->w[i], more->w[i], &sum);

		over |= __builtin_add_overflow(sum, (uint64_t)carry, &all);
		to->w[i] = all;
		carry = over;
	}
	if (!carry)
		return;
	if (words < COUNT_WORDS)
		to->w[words]++;
	else
		memset(to, 0xff, sizeof(*to));
}

static int count_compare(const struct count *a, const struct count *b)
{
	for (size_t i = COUNT_WORDS; i-- > 0;)
		if (a->w[i] != b->w[i])
			return a->w[i] < b->w[i] ? -1 : 1;
	return 0;
}

struct contest {
	const struct graph *g;
	struct count *ways;   /* node -> from roots to it */
	struct count *points; /* node -> the result */
	size_t words;	      /* that sums may use */
	uint64_t (
		*above)[BLOCK_WORDS]; /* node -> which nodes of the block are above it, or are it */
};

static void contest_clear(struct contest *c)
{
	mem_free(c->ways);
	mem_free(c->points);
	mem_free(c->above);
}

static int contest_init(struct contest *c, const struct graph *g, dray_error **err)
{
	c->g = g;
	c->ways = mem_zalloc((g->n + 1) * sizeof(*c->ways));
	c->points = mem_zalloc((g->n + 1) * sizeof(*c->points));
	c->above = mem_zalloc((g->n + 1) * sizeof(*c->above));
	return c->ways && c->points && c->above ? 0 : err_nomem(err);
}

static void count_ways(struct contest *c)
{
	size_t used = 1;

	for (size_t k = 0; k < c->g->n; k++) {
		uint32_t i = c->g->order[k];

		if (c->g->users.start[i] == c->g->users.start[i + 1])
			c->ways[i].w[0] = 1;
		EDGES_OF(to, &c->g->refs, i)
		count_add(&c->ways[*to], &c->ways[i], COUNT_WORDS);
		for (size_t w = used; w < COUNT_WORDS; w++)
			if (c->ways[i].w[w])
				used = w + 1;
	}
	c->words = used < COUNT_WORDS ? used + 1 : COUNT_WORDS;
}

/* Add the ways to the nodes of the block to all below them. */
static void count_block(struct contest *c, size_t first)
{
	const uint32_t *order = c->g->order;

	for (size_t k = first; k < c->g->n; k++)
		memset(c->above[order[k]], 0, sizeof(*c->above));
	for (size_t k = first; k < c->g->n; k++) {
		const uint64_t *mine = c->above[order[k]];

		if (k < first + BLOCK_BITS)
			c->above[order[k]][(k - first) / 64] |= UINT64_C(1) << ((k - first) % 64);
		EDGES_OF(to, &c->g->refs, order[k])
		for (size_t w = 0; w < BLOCK_WORDS; w++)
			c->above[*to][w] |= mine[w];
		for (size_t w = 0; w < BLOCK_WORDS; w++)
			for (uint64_t bits = mine[w]; bits; bits &= bits - 1) {
				size_t at = first + w * 64 + (size_t)__builtin_ctzll(bits);

				count_add(&c->points[order[k]], &c->ways[order[at]], c->words);
			}
	}
}

/* ---- order ---- */

struct ranked {
	const struct count *points;
	const char *name; /* behind its first '-' */
	const char *full;
	uint32_t node;
};

/*
 * Names as if what stands before their first '-', the hash, stood behind them with a '-'.
 */
static int compare_names(const struct ranked *a, const struct ranked *b)
{
	size_t head_a = (size_t)(a->name - a->full), head_b = (size_t)(b->name - b->full);
	struct span x[3] = { span_str(a->name), span_of("-", head_a ? 1 : 0),
			     span_of(a->full, head_a ? head_a - 1 : 0) };
	struct span y[3] = { span_str(b->name), span_of("-", head_b ? 1 : 0),
			     span_of(b->full, head_b ? head_b - 1 : 0) };
	size_t i = 0, k = 0;

	for (;;) {
		size_t len;
		int order;

		while (i < 3 && x[i].len == 0)
			i++;
		while (k < 3 && y[k].len == 0)
			k++;
		if (i == 3 || k == 3)
			return (i < 3) - (k < 3);
		len = x[i].len < y[k].len ? x[i].len : y[k].len;
		order = memcmp(x[i].data, y[k].data, len);
		if (order)
			return order;
		x[i] = span_from(x[i], len);
		y[k] = span_from(y[k], len);
	}
}

static int by_points(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int order = count_compare(y->points, x->points);

	return order ? order : compare_names(x, y);
}

int popularity_order(const struct graph *g, uint32_t *ret, struct arena *a, dray_error **err)
{
	struct contest c CLEANUP(contest_clear) = { 0 };
	struct ranked *list = arena_array(a, g->n + 1, sizeof(*list));

	if (!list)
		return err_nomem(err);
	if (contest_init(&c, g, err) < 0)
		return -1;
	count_ways(&c);
	for (size_t first = 0; first < g->n; first += BLOCK_BITS)
		count_block(&c, first);
	for (uint32_t i = 0; i < g->n; i++) {
		const char *dash = strchr(g->nodes[i].name, '-');

		list[i] = (struct ranked){ &c.points[i], dash ? dash + 1 : g->nodes[i].name,
					   g->nodes[i].name, i };
	}
	if (g->n > 1)
		qsort(list, g->n, sizeof(*list), by_points);
	for (size_t i = 0; i < g->n; i++)
		ret[i] = list[i].node;
	return 0;
}

int plan_popularity(const struct graph *g, size_t limit, struct bins *ret, struct arena *a,
		    dray_error **err)
{
	uint32_t *order = arena_array(a, g->n + 1, sizeof(*order));

	if (!order)
		return err_nomem(err);
	if (bins_init(ret, a, g, err) < 0 || popularity_order(g, order, a, err) < 0)
		return -1;
	ret->n = g->n < limit ? g->n : limit;
	for (size_t i = 0; i < g->n; i++)
		ret->of[order[i]] = (uint32_t)(i < ret->n ? i : ret->n - 1);
	return 0;
}
