/* SPDX-License-Identifier: Apache-2.0
 *
 * A pipeline of operations on graphs, as nixpkgs' layeringPipeline has them (building.md 2.4):
 * its operations as read, and the values that pass through it.
 */
#pragma once

#include "build/layering_priv.h"

enum pipe_kind {
	PIPE_SPLIT_PATHS,
	PIPE_SUBCOMPONENT_OUT,
	PIPE_SUBCOMPONENT_IN,
	PIPE_OVER,
	PIPE_MAP,
	PIPE_PIPE,
	PIPE_FLATTEN,
	PIPE_POPULARITY,
	PIPE_LIMIT,
	PIPE_SPLIT_EVERY,
	PIPE_REMOVE,
	PIPE_REVERSE,
};
struct pipe_nodes {
	uint32_t *list;
	size_t n, cap;
};
struct pipe_op {
	enum pipe_kind kind;
	const char *name;
	struct pipe_nodes paths;      /* those of the graph; others mean nothing */
	struct pipe_nodes parents;    /* of split_paths: those whose references are meant */
	const char *key;	      /* of over */
	size_t count;		      /* of limit_layers and split_every */
	struct pipe_op *inner, *next; /* what over, map and pipe do; what comes after it */
};
/** @p ret lives in @p a, NULL = no operation. USAGE tells what is wrong. */
int pipe_parse(struct json pipeline, const struct graph *g, const struct roll *r, struct arena *a,
	       struct pipe_op **ret, dray_error **err) MUST_CHECK;

enum pipe_type {
	PIPE_GRAPH,
	PIPE_LIST,
	PIPE_OBJECT,
};
/** Never changed once made, so that values may share parts. */
struct pipe_value {
	enum pipe_type type;
	struct subset graph;
	const struct pipe_value **items; /* of a list or object */
	const char **keys;		 /* of an object */
	size_t n;
};

struct pipe {
	const struct graph *g;
	struct arena *a;
	uint32_t *at;	/* node -> place in the graph of the operation + 1; 0 between operations */
	uint32_t *todo;
	uint8_t *flags; /* place -> of the operation */
	uint32_t pieces; /* numbers given to pieces so far */
};
/** Run an operation that has no inner ones. */
int pipe_apply(struct pipe *p, const struct pipe_op *op, const struct pipe_value *v,
	       const struct pipe_value **ret, dray_error **err) MUST_CHECK;
/** A list of all graphs of @p v, depth first. */
int pipe_flatten(struct pipe *p, const struct pipe_value *v, const struct pipe_value **ret,
		 dray_error **err) MUST_CHECK;
/** Zeroed, with room for @p n items; NULL = no memory. */
struct pipe_value *pipe_value_new(struct pipe *p, enum pipe_type type, size_t n);
/** USAGE: the operation wants something else. Returns -1. */
int pipe_wrong_type(const struct pipe_op *op, const char *wanted, const struct pipe_value *v,
		    dray_error **err);
