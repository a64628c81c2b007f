/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operations of a pipeline do to graphs and lists.
 * Relies on acyclic graphs.
 * Promises nixpkgs' results; each costs about as much as its graph is big.
 */
#include "build/layering_pipeline.h"

#include <stdlib.h>

#include "base/mem.h"

struct pipe_value *pipe_value_new(struct pipe *p, enum pipe_type type, size_t n)
{
	struct pipe_value *ret = arena_alloc(p->a, sizeof(*ret));

	if (!ret)
		return NULL;
	ret->type = type;
	if (type == PIPE_GRAPH) {
		ret->graph.nodes = arena_array(p->a, n + 1, sizeof(uint32_t));
		ret->graph.pieces = arena_array(p->a, n + 1, sizeof(uint32_t));
		ret->graph.cut = arena_array(p->a, n + 1, sizeof(bool));
		return ret->graph.nodes && ret->graph.pieces && ret->graph.cut ? ret : NULL;
	}
	ret->items = arena_array(p->a, n + 1, sizeof(*ret->items));
	ret->keys = arena_array(p->a, n + 1, sizeof(*ret->keys));
	return ret->items && ret->keys ? ret : NULL;
}

int pipe_wrong_type(const struct pipe_op *op, const char *wanted, const struct pipe_value *v,
		    dray_error **err)
{
	static const char *const have[] = { "a graph", "a list", "an object" };

	return err_set(err, DRAY_ERR_USAGE, "%s takes %s and is given %s", op->name, wanted,
		       have[v->type]);
}

/* ---- one graph ---- */

#define CHOSEN 1
#define REACHED 2
#define OTHERS 4 /* reached without passing what is chosen */
#define USED 8

/* Add what is at @p place of @p from. */
static void push(struct subset *s, const struct subset *from, size_t place)
{
	s->nodes[s->n] = from->nodes[place];
	s->pieces[s->n] = from->pieces[place];
	s->cut[s->n++] = from->cut[place];
}

/* Make @p s the graph of the operation. */
static void open_graph(struct pipe *p, const struct subset *s)
{
	for (size_t i = 0; i < s->n; i++) {
		p->at[s->nodes[i]] = (uint32_t)i + 1;
		p->flags[i] = 0;
	}
}

static void close_graph(struct pipe *p, const struct subset *s)
{
	for (size_t i = 0; i < s->n; i++)
		p->at[s->nodes[i]] = 0;
}

/* The place + 1 of @p node when an edge of @p e from place @p from to it is left; else 0. */
static uint32_t follow(const struct pipe *p, const struct subset *s, const struct edges *e,
		       uint32_t from, uint32_t node)
{
	uint32_t at = p->at[node];

	if (!at || s->pieces[at - 1] != s->pieces[from])
		return 0;
	return s->cut[e == &p->g->refs ? at - 1 : from] ? 0 : at;
}

/* Flag all places that @p from reaches by @p e, but not through those with a flag of @p stop. */
static void reach(struct pipe *p, const struct subset *s, const struct edges *e, uint32_t from,
		  uint8_t flag, uint8_t stop)
{
	size_t n = 0;

	if (p->flags[from] & (flag | stop))
		return;
	p->flags[from] |= flag;
	p->todo[n++] = from;
	while (n > 0) {
		uint32_t place = p->todo[--n];

		EDGES_OF(to, e, s->nodes[place])
		{
			uint32_t at = follow(p, s, e, place, *to);

			if (!at || (p->flags[at - 1] & (flag | stop)))
				continue;
			p->flags[at - 1] |= flag;
			p->todo[n++] = at - 1;
		}
	}
}

/* Choose the paths of an operation. Any? */
static bool choose(struct pipe *p, const struct pipe_op *op, const struct subset *s)
{
	bool any = false;

	for (size_t i = 0; i < op->paths.n; i++) {
		uint32_t at = p->at[op->paths.list[i]];

		if (at)
			p->flags[at - 1] |= CHOSEN;
		any = any || at;
	}
	for (size_t i = 0; i < op->parents.n; i++) {
		uint32_t parent = p->at[op->parents.list[i]];

		if (!parent)
			continue;
		EDGES_OF(to, &p->g->refs, op->parents.list[i])
		{
			uint32_t at = follow(p, s, &p->g->refs, parent - 1, *to);

			if (at)
				p->flags[at - 1] |= CHOSEN;
			any = any || at;
		}
	}
	return any;
}

/* Places of the graph whose @p flags under @p mask are @p want. */
static struct pipe_value *part_of(struct pipe *p, const struct subset *s, uint8_t mask,
				  uint8_t want)
{
	struct pipe_value *ret;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += (p->flags[i] & mask) == want;
	ret = pipe_value_new(p, PIPE_GRAPH, n);
	for (size_t i = 0; ret && i < s->n; i++)
		if ((p->flags[i] & mask) == want)
			push(&ret->graph, s, i);
	return ret;
}

/* Add a graph to an object, unless it is empty. */
static int add_part(struct pipe_value *to, const char *key, const struct pipe_value *part,
		    dray_error **err)
{
	if (!to || !part)
		return err_nomem(err);
	if (part->graph.n == 0)
		return 0;
	to->keys[to->n] = key;
	to->items[to->n++] = part;
	return 0;
}

static int only(struct pipe *p, const char *key, const struct pipe_value *v,
		const struct pipe_value **ret, dray_error **err)
{
	struct pipe_value *object = pipe_value_new(p, PIPE_OBJECT, 1);

	*ret = object;
	return add_part(object, key, v, err);
}

/* ---- splitting ---- */

/*
 * What split_paths makes of a graph has no edges to what was split off any more, not even among what
 * was: nixpkgs takes them away to see what is reached without them, and they stay away.
 */
static const struct pipe_value *split_part(struct pipe *p, const struct subset *s, uint8_t want)
{
	struct pipe_value *ret = part_of(p, s, REACHED | OTHERS, want);

	for (size_t i = 0; ret && i < ret->graph.n; i++)
		if (p->flags[p->at[ret->graph.nodes[i]] - 1] & CHOSEN)
			ret->graph.cut[i] = true;
	return ret;
}

/* Flag the users of none. Returns how many there are; of one, @p ret is its place. */
static size_t find_roots(struct pipe *p, const struct subset *s, uint32_t *ret)
{
	size_t n = 0;

	for (uint32_t i = 0; i < s->n; i++)
		EDGES_OF(to, &p->g->refs, s->nodes[i])
		{
			uint32_t at = follow(p, s, &p->g->refs, i, *to);

			if (at)
				p->flags[at - 1] |= USED;
		}
	for (uint32_t i = 0; i < s->n; i++)
		if (!(p->flags[i] & USED)) {
			*ret = i;
			n++;
		}
	return n;
}

static int split_paths(struct pipe *p, const struct pipe_op *op, const struct pipe_value *v,
		       const struct pipe_value **ret, dray_error **err)
{
	const struct subset *s = &v->graph;
	struct pipe_value *object;
	uint32_t root = 0;

	if (!choose(p, op, s))
		return only(p, "rest", v, ret, err);
	if (find_roots(p, s, &root) == 1 && (p->flags[root] & CHOSEN))
		return only(p, "main", v, ret, err);
	for (uint32_t i = 0; i < s->n; i++) {
		if (p->flags[i] & CHOSEN)
			reach(p, s, &p->g->refs, i, REACHED, 0);
		if (!(p->flags[i] & USED))
			reach(p, s, &p->g->refs, i, OTHERS, CHOSEN);
	}
	object = pipe_value_new(p, PIPE_OBJECT, 3);
	*ret = object;
	if (add_part(object, "main", split_part(p, s, REACHED), err) < 0 ||
	    add_part(object, "common", split_part(p, s, REACHED | OTHERS), err) < 0)
		return -1;
	return add_part(object, "rest", split_part(p, s, OTHERS), err);
}

static int subcomponent(struct pipe *p, const struct pipe_op *op, const struct pipe_value *v,
			const struct pipe_value **ret, dray_error **err)
{
	const struct subset *s = &v->graph;
	const struct edges *e = op->kind == PIPE_SUBCOMPONENT_OUT ? &p->g->refs : &p->g->users;
	struct pipe_value *object;

	if (!choose(p, op, s))
		return only(p, "rest", v, ret, err);
	for (uint32_t i = 0; i < s->n; i++)
		if (p->flags[i] & CHOSEN)
			reach(p, s, e, i, REACHED, 0);
	object = pipe_value_new(p, PIPE_OBJECT, 2);
	*ret = object;
	if (add_part(object, "main", part_of(p, s, REACHED, REACHED), err) < 0)
		return -1;
	return add_part(object, "rest", part_of(p, s, REACHED, 0), err);
}

static int remove_paths(struct pipe *p, const struct pipe_op *op, const struct pipe_value *v,
			const struct pipe_value **ret, dray_error **err)
{
	choose(p, op, &v->graph);
	*ret = part_of(p, &v->graph, CHOSEN, 0);
	return *ret ? 0 : err_nomem(err);
}

/* ---- from a graph to a list ---- */

static int split_every(struct pipe *p, const struct pipe_op *op, const struct pipe_value *v,
		       const struct pipe_value **ret, dray_error **err)
{
	const struct subset *s = &v->graph;
	struct pipe_value *list = pipe_value_new(p, PIPE_LIST, s->n / op->count + 1);

	for (size_t i = 0; list && i < s->n; i += op->count) {
		size_t n = s->n - i < op->count ? s->n - i : op->count;
		struct pipe_value *item = pipe_value_new(p, PIPE_GRAPH, n);

		if (!item)
			return err_nomem(err);
		for (size_t k = i; k < i + n; k++)
			push(&item->graph, s, k);
		list->items[list->n++] = item;
	}
	*ret = list;
	return list ? 0 : err_nomem(err);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The graph in the order of its nodes, which is that of their names. */
static struct subset *by_name(struct pipe *p, const struct subset *s)
{
	struct pipe_value *v = pipe_value_new(p, PIPE_GRAPH, s->n);
	struct subset *ret = v ? &v->graph : NULL;

	if (!ret || s->n == 0)
		return ret;
	memcpy(ret->nodes, s->nodes, s->n * sizeof(*ret->nodes));
	qsort(ret->nodes, s->n, sizeof(*ret->nodes), by_number);
	for (; ret->n < s->n; ret->n++) {
		uint32_t place = p->at[ret->nodes[ret->n]] - 1;

		ret->pieces[ret->n] = s->pieces[place];
		ret->cut[ret->n] = s->cut[place];
	}
	return ret;
}

static int popularity(struct pipe *p, const struct pipe_value *v, const struct pipe_value **ret,
		      dray_error **err)
{
	struct arena scratch CLEANUP(arena_clear) = { 0 };
	struct pipe_value *list = pipe_value_new(p, PIPE_LIST, v->graph.n);
	const struct subset *s = by_name(p, &v->graph);
	uint32_t *order = arena_array(&scratch, v->graph.n + 1, sizeof(*order));
	struct graph g;

	if (!list || !s || !order)
		return err_nomem(err);
	open_graph(p, s);
	if (graph_sub(&g, &scratch, p->g, s, p->at, err) < 0 ||
	    popularity_order(&g, order, &scratch, err) < 0)
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		struct pipe_value *item = pipe_value_new(p, PIPE_GRAPH, 1);

		if (!item)
			return err_nomem(err);
		push(&item->graph, s, order[i]);
		list->items[list->n++] = item;
	}
	*ret = list;
	return 0;
}

static int apply_graph(struct pipe *p, const struct pipe_op *op, const struct pipe_value *v,
		       const struct pipe_value **ret, dray_error **err)
{
	switch (op->kind) {
	case PIPE_SPLIT_PATHS:
		return split_paths(p, op, v, ret, err);
	case PIPE_REMOVE:
		return remove_paths(p, op, v, ret, err);
	case PIPE_SPLIT_EVERY:
		return split_every(p, op, v, ret, err);
	case PIPE_POPULARITY:
		return popularity(p, v, ret, err);
	default:
		return subcomponent(p, op, v, ret, err);
	}
}

/* ---- lists ---- */

/*
 * Graphs from @p from on become one. What lay in different graphs does not see each other any more
 * (igraph's sum of graphs has no edges between them), so pieces get numbers of their own.
 */
static const struct pipe_value *merge(struct pipe *p, const struct pipe_value *v, size_t from)
{
	struct pipe_value *ret;
	size_t n = 0;

	for (size_t i = from; i < v->n; i++)
		n += v->items[i]->graph.n;
	ret = pipe_value_new(p, PIPE_GRAPH, n);
	for (size_t i = from; ret && i < v->n; i++) {
		const struct subset *s = &v->items[i]->graph;

		for (size_t k = 0; k < s->n; k++) {
			p->pieces += k == 0 || s->pieces[k] != s->pieces[k - 1];
			push(&ret->graph, s, k);
			ret->graph.pieces[ret->graph.n - 1] = p->pieces;
		}
	}
	return ret;
}

static int limit_layers(struct pipe *p, const struct pipe_op *op, const struct pipe_value *v,
			const struct pipe_value **ret, dray_error **err)
{
	struct pipe_value *list = pipe_value_new(p, PIPE_LIST, v->n);

	if (!list)
		return err_nomem(err);
	for (size_t i = 0; i < v->n; i++)
		if (v->items[i]->type != PIPE_GRAPH)
			return pipe_wrong_type(op, "a list of graphs", v->items[i], err);
	for (; list->n < v->n && list->n + 1 < op->count; list->n++)
		list->items[list->n] = v->items[list->n];
	if (list->n < v->n) {
		const struct pipe_value *last = merge(p, v, list->n);

		if (!last)
			return err_nomem(err);
		list->items[list->n++] = last;
	}
	*ret = list;
	return 0;
}

static int reverse(struct pipe *p, const struct pipe_value *v, const struct pipe_value **ret,
		   dray_error **err)
{
	struct pipe_value *list = pipe_value_new(p, PIPE_LIST, v->n);

	if (!list)
		return err_nomem(err);
	for (size_t i = v->n; i-- > 0;)
		list->items[list->n++] = v->items[i];
	*ret = list;
	return 0;
}

struct stack {
	const struct pipe_value **list;
	size_t n, cap;
};

static void stack_clear(struct stack *s)
{
	mem_free(s->list);
}

static int stack_push(struct stack *s, const struct pipe_value *v, dray_error **err)
{
	if (mem_grow(&s->list, s->n, &s->cap, sizeof(*s->list)) < 0)
		return err_nomem(err);
	s->list[s->n++] = v;
	return 0;
}

int pipe_flatten(struct pipe *p, const struct pipe_value *v, const struct pipe_value **ret,
		 dray_error **err)
{
	struct stack todo CLEANUP(stack_clear) = { 0 }, done CLEANUP(stack_clear) = { 0 };
	struct pipe_value *list;

	if (stack_push(&todo, v, err) < 0)
		return -1;
	while (todo.n > 0) {
		const struct pipe_value *at = todo.list[--todo.n];

		if (at->type == PIPE_GRAPH && stack_push(&done, at, err) < 0)
			return -1;
		for (size_t i = at->n; i-- > 0;)
			if (stack_push(&todo, at->items[i], err) < 0)
				return -1;
	}
	list = pipe_value_new(p, PIPE_LIST, done.n);
	if (!list)
		return err_nomem(err);
	for (; list->n < done.n; list->n++)
		list->items[list->n] = done.list[list->n];
	*ret = list;
	return 0;
}

int pipe_apply(struct pipe *p, const struct pipe_op *op, const struct pipe_value *v,
	       const struct pipe_value **ret, dray_error **err)
{
	int rc;

	if (op->kind == PIPE_FLATTEN)
		return pipe_flatten(p, v, ret, err);
	if (op->kind == PIPE_LIMIT || op->kind == PIPE_REVERSE) {
		if (v->type != PIPE_LIST)
			return pipe_wrong_type(op, "a list", v, err);
		return op->kind == PIPE_LIMIT ? limit_layers(p, op, v, ret, err)
					      : reverse(p, v, ret, err);
	}
	if (v->type != PIPE_GRAPH)
		return pipe_wrong_type(op, "a graph", v, err);
	open_graph(p, &v->graph);
	rc = apply_graph(p, op, v, ret, err);
	close_graph(p, &v->graph);
	return rc;
}
