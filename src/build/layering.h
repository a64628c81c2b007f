/* SPDX-License-Identifier: Apache-2.0
 *
 * Which units share a layer, and which layer lies on which. Pure: units in, a plan out; the same
 * plan for the same units in any order. docs/layering.md tells what each strategy is for.
 *
 * Bottom first there are the layers of explicit groups in their order, then those of the
 * strategy, on top what changes with every version.
 */
#pragma once

#include "base/arena.h"
#include "base/limits.h"
#include "json/json.h"

#define LAYERING_NONE UINT32_MAX /* no group; no layer */
#define LAYERING_MAX 64		 /* layers of an image unless somebody says otherwise */
#define LAYERING_HARD LIMIT_ENGINE_LAYERS
#define LAYERING_SMALL 100000	 /* bytes: dozens of layers below that cost more than they save */

/** Something that stays together: a store path, a package, a source, a folder, a big file. */
struct unit {
	const char *name;      /* unique: "/nix/store/HASH-NAME", "libc6", "/usr/share" */
	const char *component; /* what stays of it from version to version; NULL = the name */
	int64_t bytes;
	size_t entries;
	const uint32_t *refs;  /* indices of units it needs; itself, twins and cycles are fine */
	size_t n_refs;
	const char *origin;    /* what it was made from: the source package; "" or NULL = unknown */
	int64_t changed;       /* latest time of its files, Unix seconds; 0 = unknown */
	uint32_t source;       /* of the spec; "per-source" goes by it */
	uint32_t group;	       /* layering_options.groups that takes it whatever its name, or LAYERING_NONE */
	bool root;	       /* nobody needs it: on top where the strategy puts roots apart */
	bool is_volatile;      /* on top, unless a group takes it */
	bool skip;	       /* the base has it: has a say in the plan, and no layer */
};

enum layering_strategy {
	LAYERING_AUTO,	     /* graph if units refer to each other, else origin if known, else size */
	LAYERING_GRAPH,	     /* who needs the biggest (nixpkgs since 2025) */
	LAYERING_POPULARITY, /* the most needed alone (nixpkgs before) */
	LAYERING_ORIGIN,     /* by source package, the biggest alone (apko) */
	LAYERING_SIZE,	     /* the biggest alone, others with such as have their size */
	LAYERING_PER_SOURCE,
	LAYERING_SINGLE,
	LAYERING_PIPELINE,   /* nixpkgs' layeringPipeline: layering_options.pipeline */
};
/**
 * "auto", "graph" ...; USAGE with the nearest name. "explicit" is "single": groups, and one layer
 * for the rest.
 */
int layering_strategy_parse(const char *text, enum layering_strategy *ret,
			    dray_error **err) MUST_CHECK;

/** Text patterns over names of units: globs by part, "**" any number of parts; '/' in front or not. */
struct layering_patterns {
	const char *const *list;
	size_t n;
};
struct layering_group {
	const char *name;
	struct layering_patterns units;
	struct layering_patterns closure_of; /* these and all they need */
	size_t max;			     /* layers; 0 = 1 */
};
/** A layer of the previous image: names of components as layering.components has them. */
struct layering_old {
	const char *const *components;
	size_t n;
};

struct layering_options {
	enum layering_strategy strategy;
	size_t max;  /* layers of the image, those of the base included; 0 = LAYERING_MAX */
	size_t base; /* layers below */
	bool force;  /* more than LAYERING_HARD */
	int64_t min_size; /* no layer of the strategy below it; < 0 = LAYERING_SMALL for auto, else none */
	int64_t max_size; /* no layer of several units above it; 0 = any */
	const struct layering_group *groups; /* the first that fits takes a unit */
	size_t n_groups;
	struct layering_patterns on_top; /* volatile */
	struct json pipeline;		 /* of LAYERING_PIPELINE */
	const struct layering_old *previous; /* its layers bottom first, those of its base left out */
	size_t n_previous;
};

enum layering_kind {
	LAYERING_OF_GROUP,
	LAYERING_OF_REST,
	LAYERING_ON_TOP,
};
struct layering_layer {
	const char *name; /* of the group, "volatile", or the component of its biggest unit */
	enum layering_kind kind;
	int64_t bytes;
	size_t units;
};
struct layering {
	struct arena arena;
	uint32_t *layer_of;	 /* of each unit; LAYERING_NONE: skipped, or removed by the pipeline */
	const char **components; /* of each unit: its component, with the version if it has twins */
	struct layering_layer *layers; /* bottom first; none is empty */
	size_t n;
};

/**
 * @p ret is to be cleared by layering_clear(), after failure too.
 *
 * LIMIT when layers do not suffice, with both numbers: for the groups, for max_size, for
 * per-source, for what the pipeline makes, or because the base has as many. USAGE for a pattern
 * or a pipeline that is none; FORMAT for twin names.
 */
int layering_plan(const struct unit *u, size_t n, const struct layering_options *o,
		  struct layering *ret, dray_error **err) MUST_CHECK;
void layering_clear(struct layering *l);
#define cleanup_layering CLEANUP(layering_clear)

/**
 * The component of a store path, in @p a: "glibc-bin" of "/nix/store/HASH-glibc-2.38-bin".
 * NULL = no memory.
 */
const char *layering_component(struct arena *a, const char *path) MUST_CHECK;
/** The same without the output: "glibc". What units of a closure take for their origin. */
const char *layering_origin(struct arena *a, const char *path) MUST_CHECK;
