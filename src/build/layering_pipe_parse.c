/* SPDX-License-Identifier: Apache-2.0
 *
 * From the JSON of a pipeline to its operations.
 * Relies on json/, which bounds how deep it is.
 * Promises that all of it is judged, also what no value reaches; no recursion.
 */
#include "build/layering_pipeline.h"

#include "base/mem.h"
#include "base/nearest.h"
#include "base/text.h"

enum args {
	ARGS_NONE,
	ARGS_SPECS, /* a list of paths or {"children_of"} */
	ARGS_PATHS, /* a path or a list */
	ARGS_COUNT,
	ARGS_KEY_OP,
	ARGS_OP,
	ARGS_OPS,
};

static const struct {
	const char *name;
	enum pipe_kind kind;
	enum args args;
} table[] = {
	{ "split_paths", PIPE_SPLIT_PATHS, ARGS_SPECS },
	{ "subcomponent_out", PIPE_SUBCOMPONENT_OUT, ARGS_PATHS },
	{ "subcomponent_in", PIPE_SUBCOMPONENT_IN, ARGS_PATHS },
	{ "over", PIPE_OVER, ARGS_KEY_OP },
	{ "map", PIPE_MAP, ARGS_OP },
	{ "pipe", PIPE_PIPE, ARGS_OPS },
	{ "flatten", PIPE_FLATTEN, ARGS_NONE },
	{ "popularity_contest", PIPE_POPULARITY, ARGS_NONE },
	{ "limit_layers", PIPE_LIMIT, ARGS_COUNT },
	{ "split_every", PIPE_SPLIT_EVERY, ARGS_COUNT },
	{ "remove_paths", PIPE_REMOVE, ARGS_PATHS },
	{ "reverse", PIPE_REVERSE, ARGS_NONE },
};

/* An operation, or a list of them, that is still to be read. */
struct pending {
	struct json v;
	bool list;
	struct pipe_op **to;
};

struct parser {
	struct arena *a;
	struct arena strings;
	struct map nodes; /* name of a unit -> node + 1 */
	struct pending *todo;
	size_t n, cap;
};

static void parser_clear(struct parser *p)
{
	mem_free(p->todo);
	map_clear(&p->nodes);
	arena_clear(&p->strings);
}

static int pend(struct parser *p, struct json v, bool list, struct pipe_op **to, dray_error **err)
{
	if (mem_grow(&p->todo, p->n, &p->cap, sizeof(*p->todo)) < 0)
		return err_nomem(err);
	p->todo[p->n++] = (struct pending){ v, list, to };
	return 0;
}

/* ---- arguments ---- */

static int wrong(const struct pipe_op *op, const char *what, dray_error **err)
{
	return err_set(err, DRAY_ERR_USAGE, "%s wants %s", op->name, what);
}

static int add_path(struct parser *p, struct pipe_nodes *to, struct json v, dray_error **err)
{
	const char *path = NULL;
	uintptr_t node;

	if (json_string(v, "a path", &p->strings, &path, err) < 0)
		return -1;
	node = path ? (uintptr_t)map_get(&p->nodes, span_str(path)) : 0;
	if (node == 0)
		return 0;
	if (to->n == to->cap) {
		size_t cap = to->cap ? to->cap * 2 : 8;
		uint32_t *more = arena_array(p->a, cap, sizeof(*more));

		if (!more)
			return err_nomem(err);
		if (to->n)
			memcpy(more, to->list, to->n * sizeof(*more));
		to->list = more;
		to->cap = cap;
	}
	to->list[to->n++] = (uint32_t)(node - 1);
	return 0;
}

/* A path or a list of paths. */
static int add_paths(struct parser *p, const struct pipe_op *op, struct pipe_nodes *to,
		     struct json v, dray_error **err)
{
	if (json_type(v) == JSON_STRING)
		return add_path(p, to, v, err);
	if (json_type(v) != JSON_ARRAY)
		return wrong(op, "a path or a list of paths", err);
	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		if (json_type(it) != JSON_STRING)
			return wrong(op, "paths that are strings", err);
		if (add_path(p, to, it, err) < 0)
			return -1;
	}
	return 0;
}

static int add_specs(struct parser *p, struct pipe_op *op, struct json v, dray_error **err)
{
	if (json_type(v) != JSON_ARRAY)
		return wrong(op, "a list of paths", err);
	for (struct json it = json_first(v); json_node(it); it = json_next(it)) {
		struct json parents = json_get(it, "children_of");

		if (json_type(it) == JSON_STRING) {
			if (add_path(p, &op->paths, it, err) < 0)
				return -1;
		} else if (json_type(parents) == JSON_MISSING || json_len(it) != 1) {
			return wrong(op, "paths, or objects with \"children_of\"", err);
		} else if (add_paths(p, op, &op->parents, parents, err) < 0) {
			return -1;
		}
	}
	return 0;
}

static int read_count(struct pipe_op *op, struct json v, dray_error **err)
{
	int64_t n;

	if (json_type(v) != JSON_NUMBER || json_int(v, "count", &n, NULL) < 0 || n < 1)
		return wrong(op, "a whole number above 0", err);
	op->count = (size_t)n;
	return 0;
}

static int read_key(struct parser *p, struct pipe_op *op, struct json v, dray_error **err)
{
	if (json_type(v) != JSON_STRING)
		return wrong(op, "a key and an operation", err);
	return json_string(v, "a key", p->a, &op->key, err);
}

/* @p v: the first argument. @p n: how many there are. */
static int read_args(struct parser *p, struct pipe_op *op, enum args args, struct json v, size_t n,
		     dray_error **err)
{
	size_t want = args == ARGS_NONE ? 0 : args == ARGS_KEY_OP ? 2 : 1;

	if (n != want)
		return err_set(err, DRAY_ERR_USAGE, "%s has %zu arguments and wants %zu", op->name,
			       n, want);
	switch (args) {
	case ARGS_SPECS:
		return add_specs(p, op, v, err);
	case ARGS_PATHS:
		return add_paths(p, op, &op->paths, v, err);
	case ARGS_COUNT:
		return read_count(op, v, err);
	case ARGS_KEY_OP:
		if (read_key(p, op, v, err) < 0)
			return -1;
		return pend(p, json_next(v), false, &op->inner, err);
	case ARGS_OP:
	case ARGS_OPS:
		return pend(p, v, args == ARGS_OPS, &op->inner, err);
	default:
		return 0;
	}
}

/* ---- operations ---- */

static int unknown(const char *name, dray_error **err)
{
	struct nearest near = { .typed = name };
	cleanup_free char *safe = text_safe(span_str(name), 100);
	const char *meant;

	if (!safe)
		return err_nomem(err);
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		nearest_offer(&near, table[i].name);
	err_set(err, DRAY_ERR_USAGE, "there is no operation \"%s\"", safe);
	meant = nearest_get(&near);
	return meant ? err_hint(err, "did you mean \"%s\"?", meant) : -1;
}

static int read_op(struct parser *p, struct json v, struct pipe_op **ret, dray_error **err)
{
	struct json first = json_first(v);
	const char *name;

	if (json_type(v) != JSON_ARRAY || json_type(first) != JSON_STRING)
		return err_set(err, DRAY_ERR_USAGE,
			       "an operation is a list that begins with its name");
	if (json_string(first, "an operation", &p->strings, &name, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (strcmp(table[i].name, name) != 0)
			continue;
		*ret = arena_alloc(p->a, sizeof(**ret));
		if (!*ret)
			return err_nomem(err);
		(*ret)->kind = table[i].kind;
		(*ret)->name = table[i].name;
		return read_args(p, *ret, table[i].args, json_next(first), json_len(v) - 1, err);
	}
	return unknown(name, err);
}

static int read_pending(struct parser *p, const struct pending *in, dray_error **err)
{
	struct pipe_op **to = in->to;

	if (!in->list)
		return read_op(p, in->v, to, err);
	if (json_type(in->v) != JSON_ARRAY)
		return err_set(err, DRAY_ERR_USAGE, "a pipeline is a list of operations");
	for (struct json it = json_first(in->v); json_node(it); it = json_next(it)) {
		if (read_op(p, it, to, err) < 0)
			return -1;
		to = &(*to)->next;
	}
	return 0;
}

static int index_nodes(struct parser *p, const struct graph *g, const struct roll *r,
		       dray_error **err)
{
	for (size_t i = 0; i < g->n; i++)
		for (size_t k = 0; k < g->nodes[i].n; k++)
			if (map_put(&p->nodes, span_str(roll_unit(r, g->nodes[i].units[k])->name),
				    (void *)(i + 1), err) < 0)
				return -1;
	return 0;
}

int pipe_parse(struct json pipeline, const struct graph *g, const struct roll *r, struct arena *a,
	       struct pipe_op **ret, dray_error **err)
{
	struct parser p CLEANUP(parser_clear) = { .a = a };

	*ret = NULL;
	if (index_nodes(&p, g, r, err) < 0 || pend(&p, pipeline, true, ret, err) < 0)
		return -1;
	while (p.n > 0) {
		const struct pending in = p.todo[--p.n];

		if (read_pending(&p, &in, err) < 0)
			return -1;
	}
	return 0;
}
