/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a pipeline over a graph: what passes from operation to operation, and into inner ones.
 * Relies on layering_pipe_parse.c and layering_pipe_ops.c.
 * Promises no recursion: where to go on is kept in a list.
 */
#include "build/layering_pipeline.h"

#include "base/mem.h"

/* What is to be done with a result. */
struct frame {
	const struct pipe_op
		*op; /* over and map: it gave the value; else the operation that follows */
	const struct pipe_value *whole; /* over: the object; map: the list */
	struct pipe_value *made;	/* the new object or list */
	size_t at;			/* which item comes back */
};

struct run {
	struct pipe *p;
	struct frame *frames;
	size_t n, cap;
	const struct pipe_op *next; /* NULL = hand the value to the last frame */
	const struct pipe_value *value;
};

static int frame_push(struct run *r, struct frame f, dray_error **err)
{
	if (mem_grow(&r->frames, r->n, &r->cap, sizeof(*r->frames)) < 0)
		return err_nomem(err);
	r->frames[r->n++] = f;
	return 0;
}

static struct pipe_value *copy_items(struct pipe *p, const struct pipe_value *v)
{
	struct pipe_value *ret = pipe_value_new(p, v->type, v->n);

	if (!ret)
		return NULL;
	ret->n = v->n;
	if (v->n) {
		memcpy(ret->items, v->items, v->n * sizeof(*ret->items));
		memcpy(ret->keys, v->keys, v->n * sizeof(*ret->keys));
	}
	return ret;
}

static int enter(struct run *r, const struct pipe_op *op, size_t at, dray_error **err)
{
	struct frame f = {
		.op = op, .whole = r->value, .made = copy_items(r->p, r->value), .at = at
	};

	if (!f.made)
		return err_nomem(err);
	r->value = f.whole->items[at];
	r->next = op->inner;
	return frame_push(r, f, err);
}

/* An absent key is no error: the part that it names is empty. */
static int enter_over(struct run *r, const struct pipe_op *op, dray_error **err)
{
	if (r->value->type != PIPE_OBJECT)
		return pipe_wrong_type(op, "an object", r->value, err);
	for (size_t i = 0; i < r->value->n; i++)
		if (strcmp(r->value->keys[i], op->key) == 0)
			return enter(r, op, i, err);
	return 0;
}

static int enter_map(struct run *r, const struct pipe_op *op, dray_error **err)
{
	if (r->value->type != PIPE_LIST)
		return pipe_wrong_type(op, "a list", r->value, err);
	return r->value->n > 0 ? enter(r, op, 0, err) : 0;
}

/* Do one operation, or go into it. */
static int run_op(struct run *r, const struct pipe_op *op, dray_error **err)
{
	r->next = NULL;
	if (op->next && frame_push(r, (struct frame){ .op = op->next }, err) < 0)
		return -1;
	switch (op->kind) {
	case PIPE_OVER:
		return enter_over(r, op, err);
	case PIPE_MAP:
		return enter_map(r, op, err);
	case PIPE_PIPE:
		r->next = op->inner;
		return 0;
	default:
		return pipe_apply(r->p, op, r->value, &r->value, err);
	}
}

/* Hand the value to who waits for it. */
static void come_back(struct run *r)
{
	struct frame *f = &r->frames[r->n - 1];

	if (!f->made) {
		r->next = f->op;
		r->n--;
		return;
	}
	f->made->items[f->at++] = r->value;
	if (f->op->kind == PIPE_MAP && f->at < f->made->n) {
		r->value = f->whole->items[f->at];
		r->next = f->op->inner;
		return;
	}
	r->value = f->made;
	r->n--;
}

static int run_all(struct run *r, dray_error **err)
{
	while (r->next || r->n > 0) {
		if (!r->next)
			come_back(r);
		else if (run_op(r, r->next, err) < 0)
			return -1;
	}
	return 0;
}

/* All nodes, the smallest first. */
static const struct pipe_value *whole_graph(struct pipe *p)
{
	const uint32_t *biggest = graph_by_size(p->g, p->a);
	struct pipe_value *ret = pipe_value_new(p, PIPE_GRAPH, p->g->n);
	size_t n = p->g->n;

	if (!biggest || !ret)
		return NULL;
	/* Of the same size in the order of their names, as in every list here. */
	for (size_t end = n; end > 0;) {
		size_t from = end - 1;

		while (from > 0 &&
		       p->g->nodes[biggest[from - 1]].bytes == p->g->nodes[biggest[end - 1]].bytes)
			from--;
		for (size_t i = from; i < end; i++)
			ret->graph.nodes[ret->graph.n++] = biggest[i];
		end = from;
	}
	return ret;
}

static int fill_bins(struct bins *b, const struct graph *g, const struct pipe_value *list,
		     size_t limit, dray_error **err)
{
	b->n = 0;
	memset(b->of, 0xff, g->n * sizeof(*b->of));
	for (size_t i = 0; i < list->n; i++) {
		const struct subset *s = &list->items[i]->graph;

		for (size_t k = 0; k < s->n; k++)
			b->of[s->nodes[k]] = (uint32_t)b->n;
		b->n += s->n > 0;
	}
	if (b->n > limit)
		return err_set(err, DRAY_ERR_LIMIT,
			       "it makes %zu layers, but %zu are left (layers.max)", b->n, limit);
	return 0;
}

static int run_pipeline(struct run *r, const struct roll *roll, struct json pipeline, size_t limit,
			struct bins *ret, dray_error **err)
{
	struct pipe *p = r->p;
	struct pipe_op *ops;

	p->at = arena_array(p->a, p->g->n + 1, sizeof(*p->at));
	p->todo = arena_array(p->a, p->g->n + 1, sizeof(*p->todo));
	p->flags = arena_array(p->a, p->g->n + 1, sizeof(*p->flags));
	r->value = whole_graph(p);
	if (!p->at || !p->todo || !p->flags || !r->value)
		return err_nomem(err);
	if (pipe_parse(pipeline, p->g, roll, p->a, &ops, err) < 0)
		return -1;
	r->next = ops;
	if (run_all(r, err) < 0 || pipe_flatten(p, r->value, &r->value, err) < 0)
		return -1;
	return fill_bins(ret, p->g, r->value, limit, err);
}

int plan_pipeline(const struct graph *g, const struct roll *r, struct json pipeline, size_t limit,
		  struct bins *ret, struct arena *a, dray_error **err)
{
	struct arena scratch CLEANUP(arena_clear) = { 0 };
	struct pipe p = { .g = g, .a = &scratch };
	struct run run = { .p = &p };
	int rc;

	if (bins_init(ret, a, g, err) < 0)
		return -1;
	rc = run_pipeline(&run, r, pipeline, limit, ret, err);
	mem_free(run.frames);
	return rc < 0 ? err_ctx(err, "layers.pipeline") : 0;
}
