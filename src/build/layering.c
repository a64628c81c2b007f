/* SPDX-License-Identifier: Apache-2.0
 *
 * From units to layers: groups take theirs, what is volatile goes on top, a strategy deals out the
 * rest.
 * Relies on the strategies for graphs of units.
 * Promises what layering.h says; layers that do not suffice are told with both numbers.
 */
#include "build/layering_priv.h"

#include <assert.h>

#include "base/mem.h"
#include "base/text.h"
#include "layer/pattern.h"

struct planner {
	const struct layering_options *o;
	struct arena arena; /* for the call */
	struct roll roll;
	const char **components; /* by place */
	uint32_t *part;		 /* unit -> group, or one of these two */
	uint32_t rest, top;
	size_t *kept; /* part -> units that are not skipped */
	size_t room;  /* layers that are left */
	struct layering *ret;
	size_t cap;
};

void layering_clear(struct layering *l)
{
	mem_free(l->layers);
	arena_clear(&l->arena);
	*l = (struct layering){ 0 };
}

/* ---- who takes what ---- */

/* Mark what fits @p closure_of and all it needs with @p mark. */
static int mark_closure(struct planner *p, const struct layering_patterns *closure_of,
			const struct name_parts *names, uint32_t *marks, uint32_t mark,
			dray_error **err)
{
	uint32_t *todo = arena_array(&p->arena, p->roll.n + 1, sizeof(*todo));
	struct path_pattern *list;

	if (!todo)
		return err_nomem(err);
	if (name_patterns_parse(&p->arena, closure_of, &list, err) < 0)
		return -1;
	for (uint32_t i = 0; i < p->roll.n; i++)
		if (name_patterns_fit(list, closure_of->n, &names[i]))
			graph_mark(&p->roll.refs, i, marks, mark, todo);
	return 0;
}

static int take_group(struct planner *p, uint32_t group, const struct name_parts *names,
		      uint32_t *marks, dray_error **err)
{
	const struct layering_group *g = &p->o->groups[group];
	struct path_pattern *list;

	if (name_patterns_parse(&p->arena, &g->units, &list, err) < 0 ||
	    mark_closure(p, &g->closure_of, names, marks, group + 1, err) < 0) {
		cleanup_free char *safe = text_safe(span_str(g->name), 100);

		return safe ? err_ctx(err, "group %s", safe) : -1;
	}
	for (uint32_t i = 0; i < p->roll.n; i++)
		if (p->part[i] == p->rest &&
		    (marks[i] == group + 1 || name_patterns_fit(list, g->units.n, &names[i])))
			p->part[i] = group;
	return 0;
}

static bool puts_roots_apart(enum layering_strategy s)
{
	return s == LAYERING_AUTO || s == LAYERING_ORIGIN || s == LAYERING_SIZE;
}

static int take_top(struct planner *p, const struct name_parts *names, dray_error **err)
{
	bool apart = false;
	struct path_pattern *list;

	if (name_patterns_parse(&p->arena, &p->o->on_top, &list, err) < 0)
		return -1;
	for (uint32_t i = 0; i < p->roll.n; i++)
		if (p->part[i] == p->rest && (roll_unit(&p->roll, i)->is_volatile ||
					      name_patterns_fit(list, p->o->on_top.n, &names[i])))
			p->part[i] = p->top;
	/* Where all are roots nothing is told by it. */
	for (uint32_t i = 0; i < p->roll.n; i++)
		apart = apart || (p->part[i] == p->rest && !roll_unit(&p->roll, i)->root);
	apart = apart && puts_roots_apart(p->o->strategy);
	for (uint32_t i = 0; apart && i < p->roll.n; i++)
		if (p->part[i] == p->rest && roll_unit(&p->roll, i)->root)
			p->part[i] = p->top;
	return 0;
}

static int take_all(struct planner *p, dray_error **err)
{
	struct name_parts *names = arena_array(&p->arena, p->roll.n + 1, sizeof(*names));
	uint32_t *marks = arena_array(&p->arena, p->roll.n + 1, sizeof(*marks));

	if (!names || !marks)
		return err_nomem(err);
	for (uint32_t i = 0; i < p->roll.n; i++) {
		const struct unit *u = roll_unit(&p->roll, i);

		assert(u->group == LAYERING_NONE || u->group < p->o->n_groups);
		p->part[i] = u->group == LAYERING_NONE ? p->rest : u->group;
		if (name_split(&p->arena, u->name, &names[i], err) < 0)
			return -1;
	}
	for (uint32_t i = 0; i < p->o->n_groups; i++)
		if (take_group(p, i, names, marks, err) < 0)
			return -1;
	if (take_top(p, names, err) < 0)
		return -1;
	for (uint32_t i = 0; i < p->roll.n; i++)
		p->kept[p->part[i]] += !roll_unit(&p->roll, i)->skip;
	return 0;
}

/* ---- how many layers ---- */

/* Layers that groups, the rest and the top cannot do without. */
static size_t count_needed(const struct planner *p)
{
	size_t n = p->kept[p->rest] > 0 || p->kept[p->top] > 0;

	for (size_t i = 0; i < p->o->n_groups; i++)
		n += p->kept[i] > 0;
	return n;
}

static int find_room(struct planner *p, dray_error **err)
{
	size_t max = p->o->max ? p->o->max : LAYERING_MAX, needed = count_needed(p);

	if (needed == 0)
		return 0;
	if (max > LIMIT_LAYERS)
		max = LIMIT_LAYERS;
	if (p->o->base >= max)
		return err_set(err, DRAY_ERR_LIMIT,
			       "the base has %zu layers and the image may have %zu (layers.max): "
			       "none is left",
			       p->o->base, max);
	p->room = max - p->o->base;
	if (needed > p->room)
		return err_set(err, DRAY_ERR_LIMIT,
			       "groups and the rest need %zu layers, but %zu are left (layers.max)",
			       needed, p->room);
	return 0;
}

static int check_count(const struct planner *p, dray_error **err)
{
	size_t all = p->o->base + p->ret->n;

	if (all <= LAYERING_HARD || p->o->force)
		return 0;
	err_set(err, DRAY_ERR_LIMIT, "%zu layers, but engines take %d", all, LAYERING_HARD);
	return err_hint(err, "--force makes them all the same");
}

/* ---- layers ---- */

static int add_layers(struct planner *p, const struct graph *g, const struct bins *b,
		      enum layering_kind kind, const char *name, dray_error **err)
{
	struct layering *ret = p->ret;
	size_t first = ret->n;

	for (size_t i = 0; i < b->n; i++) {
		if (mem_grow(&ret->layers, ret->n, &p->cap, sizeof(*ret->layers)) < 0)
			return err_nomem(err);
		ret->layers[ret->n++] = (struct layering_layer){ .name = name, .kind = kind };
	}
	for (size_t i = 0; i < g->n; i++) {
		const struct node *n = &g->nodes[i];

		for (size_t k = 0; b->of[i] != LAYERING_NONE && k < n->n; k++) {
			struct layering_layer *to = &ret->layers[first + b->of[i]];
			const struct unit *u = roll_unit(&p->roll, n->units[k]);

			if (u->skip)
				continue;
			ret->layer_of[p->roll.given[n->units[k]]] = (uint32_t)(first + b->of[i]);
			to->bytes += u->bytes;
			to->units++;
		}
	}
	return 0;
}

/* Layers without a name have that of their biggest unit. */
static int name_layers(struct planner *p, dray_error **err)
{
	struct layering *ret = p->ret;
	cleanup_free int64_t *most = mem_zalloc((ret->n + 1) * sizeof(*most));
	cleanup_free bool *unnamed = mem_zalloc((ret->n + 1) * sizeof(*unnamed));

	if (!most || !unnamed)
		return err_nomem(err);
	for (size_t i = 0; i < ret->n; i++)
		unnamed[i] = !ret->layers[i].name;
	for (uint32_t i = 0; i < p->roll.n; i++) {
		uint32_t layer = ret->layer_of[p->roll.given[i]];
		int64_t bytes = roll_unit(&p->roll, i)->bytes;

		if (layer == LAYERING_NONE || !unnamed[layer] ||
		    (ret->layers[layer].name && bytes <= most[layer]))
			continue;
		most[layer] = bytes;
		ret->layers[layer].name = p->components[i];
	}
	return 0;
}

/* ---- the rest ---- */

static int64_t min_size(const struct layering_options *o)
{
	if (o->min_size >= 0)
		return o->min_size;
	return o->strategy == LAYERING_AUTO ? LAYERING_SMALL : 0;
}

/* What auto begins with. */
static enum layering_strategy choose(const struct planner *p, const struct graph *g)
{
	if (p->o->strategy != LAYERING_AUTO)
		return p->o->strategy;
	if (g->refs.start[g->n] > 0)
		return LAYERING_GRAPH;
	for (size_t i = 0; i < g->n; i++)
		if (*g->nodes[i].origin)
			return LAYERING_SINGLE;
	return LAYERING_SIZE;
}

static int run_strategy(struct planner *p, const struct graph *g, enum layering_strategy s,
			size_t limit, struct bins *b, dray_error **err)
{
	switch (s) {
	case LAYERING_GRAPH:
		return plan_graph(g, limit, b, &p->arena, err);
	case LAYERING_POPULARITY:
		return plan_popularity(g, limit, b, &p->arena, err);
	case LAYERING_ORIGIN:
		return plan_origin(g, limit, b, &p->arena, err);
	case LAYERING_SIZE:
		return plan_size(g, limit, b, &p->arena, err);
	case LAYERING_PER_SOURCE:
		return plan_per_source(g, limit, b, &p->arena, err);
	case LAYERING_PIPELINE:
		return plan_pipeline(g, &p->roll, p->o->pipeline, limit, b, &p->arena, err);
	default:
		return bins_init(b, &p->arena, g, err);
	}
}

/* What auto makes better of a plan: no tiny layers, and none left unused. */
static int improve(struct planner *p, const struct graph *g, enum layering_strategy s, size_t limit,
		   struct bins *b, dray_error **err)
{
	int64_t min = min_size(p->o);

	if (min > 0 && bins_join_small(b, g, min, &p->arena, err) < 0)
		return -1;
	if (p->o->strategy != LAYERING_AUTO)
		return 0;
	if (bins_split_more(b, g, limit, min, &p->arena, err) < 0)
		return -1;
	return s == LAYERING_GRAPH ? bins_by_closure(b, g, &p->arena, err)
				   : bins_by_age(b, g, &p->arena, err);
}

static int plan_anew(struct planner *p, const struct graph *g, size_t limit, struct bins *b,
		     dray_error **err)
{
	enum layering_strategy s = choose(p, g);
	/*
	 * Half of the layers for who needs what, the other half to divide what is left together:
	 * measured, that sends least again (docs/layering.md).
	 */
	bool half = p->o->strategy == LAYERING_AUTO && s == LAYERING_GRAPH;

	if (run_strategy(p, g, s, half ? (limit + 1) / 2 : limit, b, err) < 0 ||
	    bins_drop_empty(b, g, err) < 0)
		return -1;
	return improve(p, g, s, limit, b, err);
}

/*
 * An earlier plan says where things lie, not which of them there are: what the pipeline removes is
 * in no layer. How many layers it would make is no matter, for these are not made.
 */
static int leave_out_removed(struct planner *p, const struct graph *g, struct bins *b,
			     dray_error **err)
{
	struct bins piped;

	if (plan_pipeline(g, &p->roll, p->o->pipeline, SIZE_MAX, &piped, &p->arena, err) < 0)
		return -1;
	for (size_t i = 0; i < g->n; i++)
		if (piped.of[i] == LAYERING_NONE)
			b->of[i] = LAYERING_NONE;
	return bins_drop_empty(b, g, err);
}

static int plan_once(struct planner *p, const struct graph *g, size_t limit, struct bins *b,
		     dray_error **err)
{
	b->n = 0;
	if (p->o->n_previous > 0 &&
	    plan_previous(g, p->components, p->o, limit, b, &p->arena, err) < 0)
		return -1;
	if (b->n > 0 && p->o->strategy == LAYERING_PIPELINE && leave_out_removed(p, g, b, err) < 0)
		return -1;
	return b->n > 0 ? 0 : plan_anew(p, g, limit, b, err);
}

typedef int plan_fn(struct planner *p, const struct graph *g, size_t limit, struct bins *b,
		    dray_error **err);

/* Planned with ever fewer layers until there is room for the pieces of those that are too big. */
static int plan_within(struct planner *p, const struct graph *g, size_t limit, plan_fn *plan,
		       struct bins *b, dray_error **err)
{
	for (size_t plan_for = limit;;) {
		if (plan(p, g, plan_for, b, err) < 0)
			return -1;
		if (p->o->max_size <= 0)
			return 0;
		if (bins_split_big(b, g, p->o->max_size, &p->arena, err) < 0)
			return -1;
		if (b->n <= limit)
			return 0;
		if (b->n - limit >= plan_for)
			return err_set(err, DRAY_ERR_LIMIT,
				       "%zu layers of at most %lld bytes (layers.max_size) are "
				       "needed, but %zu are left",
				       b->n, (long long)p->o->max_size, limit);
		plan_for -= b->n - limit;
	}
}

static int plan_group(struct planner *p, const struct graph *g, size_t limit, struct bins *b,
		      dray_error **err)
{
	if (plan_size(g, limit, b, &p->arena, err) < 0)
		return -1;
	return bins_drop_empty(b, g, err);
}

static int plan_top(struct planner *p, const struct graph *g, size_t limit, struct bins *b,
		    dray_error **err)
{
	(void)limit;
	return bins_init(b, &p->arena, g, err);
}

/* How many layers what is volatile takes, were there no end of them. */
static int count_top(struct planner *p, size_t *ret, dray_error **err)
{
	struct graph g;
	struct bins b;

	*ret = p->kept[p->top] > 0;
	if (*ret == 0 || p->o->max_size <= 0)
		return 0;
	if (graph_init(&g, &p->arena, &p->roll, p->part, p->top, err) < 0 ||
	    bins_init(&b, &p->arena, &g, err) < 0 ||
	    bins_split_big(&b, &g, p->o->max_size, &p->arena, err) < 0)
		return -1;
	*ret = b.n;
	return 0;
}

/* The units of @p part to at most @p limit layers. */
static int plan_part(struct planner *p, uint32_t part, size_t limit, dray_error **err)
{
	struct graph g;
	struct bins b;
	bool rest = part == p->rest;

	if (p->kept[part] == 0)
		return 0;
	if (graph_init(&g, &p->arena, &p->roll, p->part, part, err) < 0)
		return -1;
	if (part == p->top) {
		if (plan_within(p, &g, limit, plan_top, &b, err) < 0)
			return err_ctx(err, "what is volatile");
		return add_layers(p, &g, &b, LAYERING_ON_TOP, "volatile", err);
	}
	if (plan_within(p, &g, limit, rest ? plan_once : plan_group, &b, err) < 0)
		return rest ? -1 : err_ctx(err, "group %s", p->o->groups[part].name);
	return add_layers(p, &g, &b, rest ? LAYERING_OF_REST : LAYERING_OF_GROUP,
			  rest ? NULL : p->o->groups[part].name, err);
}

/* What is volatile joins the rest where no layer is left for it. */
static void join_top(struct planner *p)
{
	for (size_t i = 0; i < p->roll.n; i++)
		if (p->part[i] == p->top)
			p->part[i] = p->rest;
	p->kept[p->rest] += p->kept[p->top];
	p->kept[p->top] = 0;
}

static int plan_parts(struct planner *p, dray_error **err)
{
	size_t spare = p->room - count_needed(p), on_top = 0;

	if (p->kept[p->top] > 0 && p->kept[p->rest] > 0) {
		if (spare == 0)
			join_top(p);
		else
			spare--;
	}
	if (count_top(p, &on_top, err) < 0)
		return -1;
	if (on_top > 1 && on_top - 1 > spare)
		return err_set(err, DRAY_ERR_LIMIT,
			       "what is volatile needs %zu layers of at most %lld bytes "
			       "(layers.max_size), but %zu are left",
			       on_top, (long long)p->o->max_size, spare + 1);
	spare -= on_top > 1 ? on_top - 1 : 0;
	for (uint32_t i = 0; i < p->o->n_groups; i++) {
		size_t before = p->ret->n, most = p->o->groups[i].max ? p->o->groups[i].max : 1;

		if (most - 1 > spare)
			most = spare + 1;
		if (plan_part(p, i, most, err) < 0)
			return -1;
		spare -= p->ret->n > before ? p->ret->n - before - 1 : 0;
	}
	if (plan_part(p, p->rest, p->room - p->ret->n - on_top, err) < 0)
		return -1;
	return plan_part(p, p->top, on_top, err);
}

/* ---- all ---- */

static int prepare(struct planner *p, const struct unit *u, size_t n, dray_error **err)
{
	struct layering *ret = p->ret;

	ret->layer_of = arena_array(&ret->arena, n + 1, sizeof(*ret->layer_of));
	ret->components = arena_array(&ret->arena, n + 1, sizeof(*ret->components));
	p->components = arena_array(&p->arena, n + 1, sizeof(*p->components));
	p->part = arena_array(&p->arena, n + 1, sizeof(*p->part));
	p->kept = arena_array(&p->arena, p->o->n_groups + 2, sizeof(*p->kept));
	if (!ret->layer_of || !ret->components || !p->components || !p->part || !p->kept)
		return err_nomem(err);
	memset(ret->layer_of, 0xff, (n + 1) * sizeof(*ret->layer_of));
	p->rest = (uint32_t)p->o->n_groups;
	p->top = p->rest + 1;
	if (roll_init(&p->roll, &p->arena, u, n, err) < 0 ||
	    name_components(&p->roll, &ret->arena, p->components, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		ret->components[p->roll.given[i]] = p->components[i];
	return 0;
}

static int plan_all(struct planner *p, const struct unit *u, size_t n, dray_error **err)
{
	if (prepare(p, u, n, err) < 0 || take_all(p, err) < 0 || find_room(p, err) < 0)
		return -1;
	if (count_needed(p) == 0)
		return 0;
	if (plan_parts(p, err) < 0 || name_layers(p, err) < 0)
		return -1;
	return check_count(p, err);
}

int layering_plan(const struct unit *u, size_t n, const struct layering_options *o,
		  struct layering *ret, dray_error **err)
{
	struct planner p = { .o = o, .ret = ret };
	int rc;

	*ret = (struct layering){ 0 };
	rc = plan_all(&p, u, n, err);
	arena_clear(&p.arena);
	return rc;
}
