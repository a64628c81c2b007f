/* SPDX-License-Identifier: Apache-2.0
 *
 * Units in the order of their names, and acyclic graphs of some of them.
 * Relies on names being unique, which it checks.
 * Promises that nothing depends on the order of the units; linear time, but for sorting.
 */
#include "build/layering_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

/* ---- lists of numbers ---- */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Sort @p list and keep one of each, and not @p self. */
static size_t once(uint32_t *list, size_t n, uint32_t self)
{
	size_t kept = 0;

	if (n > 1)
		qsort(list, n, sizeof(*list), by_number);
	for (size_t i = 0; i < n; i++)
		if (list[i] != self && (kept == 0 || list[kept - 1] != list[i]))
			list[kept++] = list[i];
	return kept;
}

static int edges_alloc(struct edges *e, struct arena *a, size_t n, size_t most, dray_error **err)
{
	e->start = arena_array(a, n + 1, sizeof(*e->start));
	e->to = arena_array(a, most + 1, sizeof(*e->to));
	return e->start && e->to ? 0 : err_nomem(err);
}

/* The same edges from their other ends. */
static int edges_turn(struct edges *ret, struct arena *a, const struct edges *e, size_t n,
		      dray_error **err)
{
	if (edges_alloc(ret, a, n, e->start[n], err) < 0)
		return -1;
	for (size_t i = 0; i < e->start[n]; i++)
		ret->start[e->to[i] + 1]++;
	for (size_t i = 0; i < n; i++)
		ret->start[i + 1] += ret->start[i];
	for (uint32_t i = 0; i < n; i++)
		EDGES_OF(to, e, i)
	ret->to[ret->start[*to]++] = i;
	/* Each start has moved to where the next one was. */
	memmove(ret->start + 1, ret->start, n * sizeof(*ret->start));
	ret->start[0] = 0;
	return 0;
}

/* ---- all units ---- */

struct named {
	const char *name;
	uint32_t given;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static int twin(const char *name, dray_error **err)
{
	cleanup_free char *safe = text_safe(span_str(name), 200);

	return safe ? err_set(err, DRAY_ERR_FORMAT, "two units are called %s", safe)
		    : err_nomem(err);
}

/* @p ret_place: index in units -> place. */
static int sort_names(struct roll *r, struct arena *a, uint32_t *ret_place, dray_error **err)
{
	cleanup_free struct named *list = mem_alloc_array(r->n + 1, sizeof(*list));

	r->given = arena_array(a, r->n + 1, sizeof(*r->given));
	if (!list || !r->given)
		return err_nomem(err);
	for (size_t i = 0; i < r->n; i++)
		list[i] = (struct named){ r->units[i].name, (uint32_t)i };
	if (r->n > 1)
		qsort(list, r->n, sizeof(*list), by_name);
	for (size_t i = 0; i < r->n; i++) {
		if (i > 0 && strcmp(list[i - 1].name, list[i].name) == 0)
			return twin(list[i].name, err);
		r->given[i] = list[i].given;
		ret_place[list[i].given] = (uint32_t)i;
	}
	return 0;
}

static int sum_up(const struct unit *u, size_t n, size_t *ret_refs, dray_error **err)
{
	int64_t bytes = 0;

	*ret_refs = 0;
	if (n > LIMIT_UNITS)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d units (LIMIT_UNITS)",
			       LIMIT_UNITS);
	for (size_t i = 0; i < n; i++) {
		if (u[i].bytes < 0 || __builtin_add_overflow(bytes, u[i].bytes, &bytes))
			return err_set(err, DRAY_ERR_LIMIT, "units of more than 2^63 bytes");
		*ret_refs += u[i].n_refs;
	}
	if (*ret_refs > LIMIT_UNIT_REFS)
		return err_set(err, DRAY_ERR_LIMIT, "more than %d references (LIMIT_UNIT_REFS)",
			       LIMIT_UNIT_REFS);
	return 0;
}

int roll_init(struct roll *ret, struct arena *a, const struct unit *u, size_t n, dray_error **err)
{
	cleanup_free uint32_t *place = mem_alloc_array(n + 1, sizeof(*place));
	size_t n_refs, at = 0;

	*ret = (struct roll){ .units = u, .n = n };
	if (!place)
		return err_nomem(err);
	if (sum_up(u, n, &n_refs, err) < 0 || sort_names(ret, a, place, err) < 0 ||
	    edges_alloc(&ret->refs, a, n, n_refs, err) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		const struct unit *unit = roll_unit(ret, i);

		for (size_t k = 0; k < unit->n_refs; k++) {
			assert(unit->refs[k] < n);
			ret->refs.to[at + k] = place[unit->refs[k]];
		}
		at += once(ret->refs.to + at, unit->n_refs, i);
		ret->refs.start[i + 1] = at;
	}
	return 0;
}

/* ---- units that need each other ---- */

/* Tarjan's search with its stack made visible. */
struct search {
	const struct roll *roll;
	const uint32_t *part;
	uint32_t which;
	uint32_t *seen; /* unit -> when it was met, from 1 */
	uint32_t *low;	/* the earliest met unit of those it leads back to */
	uint32_t *ring; /* unit -> number of its ring, LAYERING_NONE = not known yet */
	uint32_t *open; /* met, and in no ring yet */
	uint32_t *path; /* the units that the search is in */
	size_t *next;	/* unit -> the reference that comes next */
	size_t n_open, n_path;
	uint32_t clock, rings;
};

static int search_alloc(struct search *s, struct arena *a, dray_error **err)
{
	size_t n = s->roll->n + 1;

	s->seen = arena_array(a, n, sizeof(*s->seen));
	s->low = arena_array(a, n, sizeof(*s->low));
	s->ring = arena_array(a, n, sizeof(*s->ring));
	s->open = arena_array(a, n, sizeof(*s->open));
	s->path = arena_array(a, n, sizeof(*s->path));
	s->next = arena_array(a, n, sizeof(*s->next));
	if (!s->seen || !s->low || !s->ring || !s->open || !s->path || !s->next)
		return err_nomem(err);
	memset(s->ring, 0xff, n * sizeof(*s->ring));
	return 0;
}

static void enter(struct search *s, uint32_t i)
{
	s->seen[i] = s->low[i] = ++s->clock;
	s->next[i] = s->roll->refs.start[i];
	s->open[s->n_open++] = i;
	s->path[s->n_path++] = i;
}

static void leave(struct search *s, uint32_t i)
{
	s->n_path--;
	if (s->n_path > 0) {
		uint32_t above = s->path[s->n_path - 1];

		if (s->low[i] < s->low[above])
			s->low[above] = s->low[i];
	}
	if (s->low[i] < s->seen[i])
		return;
	while (s->open[s->n_open - 1] != i)
		s->ring[s->open[--s->n_open]] = s->rings;
	s->ring[s->open[--s->n_open]] = s->rings++;
}

static void search_from(struct search *s, uint32_t from)
{
	enter(s, from);
	while (s->n_path > 0) {
		uint32_t i = s->path[s->n_path - 1];

		if (s->next[i] == s->roll->refs.start[i + 1]) {
			leave(s, i);
		} else {
			uint32_t to = s->roll->refs.to[s->next[i]++];

			if (s->part[to] != s->which)
				continue;
			if (!s->seen[to])
				enter(s, to);
			else if (s->ring[to] == LAYERING_NONE && s->seen[to] < s->low[i])
				s->low[i] = s->seen[to];
		}
	}
}

/* ---- graphs ---- */

/* Rings in the order of their first units. @p ret_node: unit -> node. */
static void number_nodes(const struct search *s, uint32_t *node_of_ring, uint32_t *ret_node,
			 size_t *ret_n)
{
	size_t n = 0;

	memset(node_of_ring, 0xff, s->rings * sizeof(*node_of_ring));
	for (size_t i = 0; i < s->roll->n; i++) {
		ret_node[i] = LAYERING_NONE;
		if (s->ring[i] == LAYERING_NONE)
			continue;
		if (node_of_ring[s->ring[i]] == LAYERING_NONE)
			node_of_ring[s->ring[i]] = (uint32_t)n++;
		ret_node[i] = node_of_ring[s->ring[i]];
	}
	*ret_n = n;
}

static void describe(struct node *n, const struct roll *r)
{
	const struct unit *first = roll_unit(r, n->units[0]);

	n->name = first->name;
	n->origin = first->origin ? first->origin : "";
	n->source = first->source;
	for (size_t i = 0; i < n->n; i++) {
		const struct unit *u = roll_unit(r, n->units[i]);

		n->bytes += u->bytes;
		n->kept += u->skip ? 0 : u->bytes;
		n->n_kept += !u->skip;
		if (u->changed > n->changed)
			n->changed = u->changed;
	}
}

/* The units of each node, and what is known of them. */
static int fill_nodes(struct graph *g, struct arena *a, const struct roll *r, const uint32_t *node,
		      dray_error **err)
{
	uint32_t *members = arena_array(a, r->n + 1, sizeof(*members));
	size_t at = 0;

	g->nodes = arena_array(a, g->n + 1, sizeof(*g->nodes));
	if (!members || !g->nodes)
		return err_nomem(err);
	for (size_t i = 0; i < r->n; i++)
		if (node[i] != LAYERING_NONE)
			g->nodes[node[i]].n++;
	for (size_t i = 0; i < g->n; i++) {
		g->nodes[i].units = members + at;
		at += g->nodes[i].n;
		g->nodes[i].n = 0;
	}
	for (uint32_t i = 0; i < r->n; i++)
		if (node[i] != LAYERING_NONE) {
			struct node *to = &g->nodes[node[i]];

			members[(size_t)(to->units - members) + to->n++] = i;
		}
	for (size_t i = 0; i < g->n; i++)
		describe(&g->nodes[i], r);
	return 0;
}

static int fill_edges(struct graph *g, struct arena *a, const struct roll *r, const uint32_t *node,
		      dray_error **err)
{
	size_t at = 0;

	if (edges_alloc(&g->refs, a, g->n, r->refs.start[r->n], err) < 0)
		return -1;
	for (uint32_t i = 0; i < g->n; i++) {
		const struct node *n = &g->nodes[i];
		size_t end = at;

		for (size_t k = 0; k < n->n; k++)
			EDGES_OF(to, &r->refs, n->units[k])
		if (node[*to] != LAYERING_NONE)
			g->refs.to[end++] = node[*to];
		at += once(g->refs.to + at, end - at, i);
		g->refs.start[i + 1] = at;
	}
	return 0;
}

/* From nodes and references: the users, and an order with users first. */
static int finish(struct graph *g, struct arena *a, dray_error **err)
{
	cleanup_free uint32_t *waits = mem_alloc_array(g->n + 1, sizeof(*waits));
	size_t n = 0;

	if (edges_turn(&g->users, a, &g->refs, g->n, err) < 0)
		return -1;
	g->order = arena_array(a, g->n + 1, sizeof(*g->order));
	if (!waits || !g->order)
		return err_nomem(err);
	for (uint32_t i = 0; i < g->n; i++) {
		waits[i] = (uint32_t)(g->users.start[i + 1] - g->users.start[i]);
		if (waits[i] == 0)
			g->order[n++] = i;
	}
	for (size_t i = 0; i < n; i++)
		EDGES_OF(to, &g->refs, g->order[i])
	if (--waits[*to] == 0)
		g->order[n++] = *to;
	return 0;
}

int graph_init(struct graph *ret, struct arena *a, const struct roll *r, const uint32_t *part,
	       uint32_t which, dray_error **err)
{
	struct arena scratch CLEANUP(arena_clear) = { 0 };
	struct search s = { .roll = r, .part = part, .which = which };
	uint32_t *node, *of_ring;

	*ret = (struct graph){ 0 };
	if (search_alloc(&s, &scratch, err) < 0)
		return -1;
	for (uint32_t i = 0; i < r->n; i++)
		if (part[i] == which && !s.seen[i])
			search_from(&s, i);
	node = arena_array(&scratch, r->n + 1, sizeof(*node));
	of_ring = arena_array(&scratch, r->n + 1, sizeof(*of_ring));
	if (!node || !of_ring)
		return err_nomem(err);
	number_nodes(&s, of_ring, node, &ret->n);
	if (fill_nodes(ret, a, r, node, err) < 0 || fill_edges(ret, a, r, node, err) < 0)
		return -1;
	return finish(ret, a, err);
}

int graph_sub(struct graph *ret, struct arena *a, const struct graph *g, const struct subset *s,
	      const uint32_t *at, dray_error **err)
{
	size_t most = 0, to = 0;

	*ret = (struct graph){ .n = s->n };
	for (size_t i = 0; i < s->n; i++)
		most += g->refs.start[s->nodes[i] + 1] - g->refs.start[s->nodes[i]];
	ret->nodes = arena_array(a, s->n + 1, sizeof(*ret->nodes));
	if (!ret->nodes || edges_alloc(&ret->refs, a, s->n, most, err) < 0)
		return err && *err ? -1 : err_nomem(err);
	for (size_t i = 0; i < s->n; i++) {
		ret->nodes[i] = g->nodes[s->nodes[i]];
		EDGES_OF(ref, &g->refs, s->nodes[i])
		if (at[*ref] && !s->cut[at[*ref] - 1] && s->pieces[at[*ref] - 1] == s->pieces[i])
			ret->refs.to[to++] = at[*ref] - 1;
		ret->refs.start[i + 1] = to;
	}
	return finish(ret, a, err);
}

void graph_mark(const struct edges *e, uint32_t from, uint32_t *marks, uint32_t mark,
		uint32_t *todo)
{
	size_t n = 0;

	if (marks[from] == mark)
		return;
	marks[from] = mark;
	todo[n++] = from;
	while (n > 0) {
		uint32_t at = todo[--n];

		EDGES_OF(to, e, at)
		if (marks[*to] != mark) {
			marks[*to] = mark;
			todo[n++] = *to;
		}
	}
}

/* ---- by size ---- */

struct sized {
	int64_t bytes;
	uint32_t node;
};

static int by_size(const void *a, const void *b)
{
	const struct sized *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return (x->node > y->node) - (x->node < y->node);
}

uint32_t *graph_by_size(const struct graph *g, struct arena *a)
{
	cleanup_free struct sized *list = mem_alloc_array(g->n + 1, sizeof(*list));
	uint32_t *ret = arena_array(a, g->n + 1, sizeof(*ret));

	if (!list || !ret)
		return NULL;
	for (uint32_t i = 0; i < g->n; i++)
		list[i] = (struct sized){ g->nodes[i].bytes, i };
	if (g->n > 1)
		qsort(list, g->n, sizeof(*list), by_size);
	for (size_t i = 0; i < g->n; i++)
		ret[i] = list[i].node;
	return ret;
}

int bins_init(struct bins *ret, struct arena *a, const struct graph *g, dray_error **err)
{
	*ret = (struct bins){ .of = arena_array(a, g->n + 1, sizeof(*ret->of)), .n = 1 };
	return ret->of ? 0 : err_nomem(err);
}
