/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of layering share: the units in the order of their names, and graphs of those
 * of them that are planned together.
 */
#pragma once

#include "base/limits.h"
#include "base/map.h"
#include "build/layering.h"

__extension__ typedef unsigned __int128 wide_t; /* bytes times a count of units */

/** Lists of numbers, one behind the other: those of i are to[start[i]] up to to[start[i + 1]]. */
struct edges {
	size_t *start; /* n + 1 */
	uint32_t *to;
};
#define EDGES_OF(var, e, i)                                                                        \
	for (const uint32_t *var = (e)->to + (e)->start[i];                                        \
	     var < (e)->to + (e)->start[(i) + 1]; var++)

/** All units by name. Numbers of units are places in this order, here and below. */
struct roll {
	const struct unit *units; /* as they were given */
	uint32_t *given;	  /* place -> index in units */
	size_t n;
	struct edges refs; /* each once, ascending, never itself */
};
static inline const struct unit *roll_unit(const struct roll *r, uint32_t i)
{
	return &r->units[r->given[i]];
}
/** FORMAT for twin names, LIMIT for more bytes than a number holds. */
int roll_init(struct roll *ret, struct arena *a, const struct unit *u, size_t n,
	      dray_error **err) MUST_CHECK;

/** A unit, or several that need each other. */
struct node {
	const uint32_t *units; /* of the roll, ascending */
	size_t n;
	const char *name; /* of the first */
	const char *origin;
	int64_t bytes;
	int64_t kept; /* of these, in units that are not skipped */
	size_t n_kept;
	int64_t changed;
	uint32_t source;
};
/** Some units of a roll, planned together. Nodes are ordered by name; there are no cycles. */
struct graph {
	struct node *nodes;
	size_t n;
	struct edges refs, users; /* each once, ascending, never itself */
	uint32_t *order;	  /* all nodes, each behind those that need it */
};
/** Of the units whose @p part is @p which. */
int graph_init(struct graph *ret, struct arena *a, const struct roll *r, const uint32_t *part,
	       uint32_t which, dray_error **err) MUST_CHECK;
/** Some nodes of a graph, and which of its edges are left between them. */
struct subset {
	uint32_t *nodes;
	uint32_t *pieces; /* edges are within a piece */
	bool *cut;	  /* none leads to this node */
	size_t n;
};
/** A graph of these. @p at: node -> its place in the subset + 1, 0 = it is not in it. */
int graph_sub(struct graph *ret, struct arena *a, const struct graph *g, const struct subset *s,
	      const uint32_t *at, dray_error **err) MUST_CHECK;
/** Mark what @p from reaches by @p e, itself included, with @p mark; @p todo has n numbers. */
void graph_mark(const struct edges *e, uint32_t from, uint32_t *marks, uint32_t mark,
		uint32_t *todo);
/** A permutation of the nodes: the biggest first. NULL = no memory. */
uint32_t *graph_by_size(const struct graph *g, struct arena *a);

/** Which bin each node is in; bins are numbered from the bottom. */
struct bins {
	uint32_t *of; /* LAYERING_NONE: in none */
	size_t n;
};
/** All nodes in bin 0. */
int bins_init(struct bins *ret, struct arena *a, const struct graph *g, dray_error **err) MUST_CHECK;

/* ---- strategies: at most limit > 0 bins for graphs that are not empty ---- */

int plan_graph(const struct graph *g, size_t limit, struct bins *ret, struct arena *a,
	       dray_error **err) MUST_CHECK;
int plan_popularity(const struct graph *g, size_t limit, struct bins *ret, struct arena *a,
		    dray_error **err) MUST_CHECK;
int plan_origin(const struct graph *g, size_t limit, struct bins *ret, struct arena *a,
		dray_error **err) MUST_CHECK;
int plan_size(const struct graph *g, size_t limit, struct bins *ret, struct arena *a,
	      dray_error **err) MUST_CHECK;
int plan_per_source(const struct graph *g, size_t limit, struct bins *ret, struct arena *a,
		    dray_error **err) MUST_CHECK;
int plan_pipeline(const struct graph *g, const struct roll *r, struct json pipeline, size_t limit,
		  struct bins *ret, struct arena *a, dray_error **err) MUST_CHECK;
/** @p components of all units of the roll. What the previous image has not is in the last bin. */
int plan_previous(const struct graph *g, const char *const *components,
		  const struct layering_options *o, size_t limit, struct bins *ret,
		  struct arena *a, dray_error **err) MUST_CHECK;

/** All nodes, the most popular first. */
int popularity_order(const struct graph *g, uint32_t *ret, struct arena *a,
		     dray_error **err) MUST_CHECK;

/* ---- bins made better ---- */

/** Bins of skipped units alone go. */
int bins_drop_empty(struct bins *b, const struct graph *g, dray_error **err) MUST_CHECK;
/** Bins with less than @p min kept bytes become one. */
int bins_join_small(struct bins *b, const struct graph *g, int64_t min, struct arena *a,
		    dray_error **err) MUST_CHECK;
/** While there are fewer than @p limit: the biggest origins out of a bin of several. */
int bins_split_more(struct bins *b, const struct graph *g, size_t limit, int64_t min,
		    struct arena *a, dray_error **err) MUST_CHECK;
/** No bin of several nodes with more than @p max kept bytes; may make more of them than fit. */
int bins_split_big(struct bins *b, const struct graph *g, int64_t max, struct arena *a,
		   dray_error **err) MUST_CHECK;
/** What needs little comes first: by the bytes of all that a bin's nodes reach. */
int bins_by_closure(struct bins *b, const struct graph *g, struct arena *a,
		    dray_error **err) MUST_CHECK;
/** What changed long ago comes first, then the biggest. */
int bins_by_age(struct bins *b, const struct graph *g, struct arena *a, dray_error **err) MUST_CHECK;

/* ---- names ---- */

/** @p ret, by place: of all units of the roll, unique. */
int name_components(const struct roll *r, struct arena *a, const char **ret,
		    dray_error **err) MUST_CHECK;

struct name_parts {
	const char **list;
	size_t n;
};
int name_split(struct arena *a, const char *name, struct name_parts *ret, dray_error **err) MUST_CHECK;
struct path_pattern;
/** USAGE names the pattern. */
int name_patterns_parse(struct arena *a, const struct layering_patterns *p,
			struct path_pattern **ret, dray_error **err) MUST_CHECK;
bool name_patterns_fit(const struct path_pattern *list, size_t n, const struct name_parts *name);
