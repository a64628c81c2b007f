/* SPDX-License-Identifier: Apache-2.0
 *
 * One layer told by layers that both sides have: which of their bytes are in it, and what else is.
 * The tar that comes back is the same to the byte. Spec: docs/delta-recipe.md.
 */
#pragma once

#include "base/limits.h"
#include "flow/pool.h"
#include "flow/sink.h"
#include "layer/index.h"

/** Up to @p len bytes at @p off, 0 = there are none, -1. On the thread of who calls us. */
typedef int64_t recipe_read_fn(void *arg, size_t i, int64_t off, void *data, size_t len,
			       dray_error **err);

/** A layer that both sides have. */
struct recipe_base {
	const struct layer_index *index; /* with contents, lent; NULL when it is only read */
	struct digest diff_id; /* told in errors; may be unset */
	int64_t size;	       /* of the uncompressed tar */
};

/**
 * All of them, in an order that both sides agree on: a recipe knows them by their place in it,
 * and of two that have a path the last is looked at first.
 */
struct recipe_bases {
	const struct recipe_base *list;
	size_t n;
	recipe_read_fn *read; /* of layer i, uncompressed */
	void *arg;
};

/** The layer to be told: read with i = 0, here and there, some of it more than once. */
struct recipe_new {
	const struct layer_index *index; /* with contents; lent */
	recipe_read_fn *read;
	void *arg;
};

#define RECIPE_WINDOW (4 * MIB) /* what options->window is if it is 0 */

struct recipe_options {
	size_t window;	   /* bytes, 0 or 64 KiB to LIMIT_RECIPE_WINDOW: memory is some 15 of them */
	int level;	   /* of zstd, 1 to 19; 0 = by how much there is to be compressed */
	struct pool *pool; /* lent; NULL = in place. The bytes are the same */
};

/** What became of a layer; bytes. tar = referenced + patched + literal. */
struct recipe_stats {
	int64_t tar;
	int64_t stored;	    /* of the recipe */
	int64_t referenced; /* taken from the bases as they are */
	int64_t patched;    /* compressed beside something alike: headers, changed files */
	int64_t literal;    /* compressed alone */
	size_t files_same, files_patched, files_new;
};

/**
 * Write the recipe of @p tar into @p out (lent, not finished). The bytes depend on the layers,
 * the window, the level and the version of libzstd alone.
 *
 * Errors: USAGE for options out of range; what the reads and @p out fail with; CORRUPT when a read
 * ends before the size that was told.
 */
int recipe_write(const struct recipe_new *tar, const struct recipe_bases *b,
		 const struct recipe_options *o, struct sink *out, struct recipe_stats *ret,
		 dray_error **err) MUST_CHECK;

/**
 * The layer's tar, of @p tar_size bytes, as a source that cannot rewind. @p recipe is taken and
 * read forward to its end; @p b is lent and read here and there.
 *
 * Nothing that the recipe says is believed: all it refers to lies within the bases, and what it
 * makes is @p tar_size bytes or an error. That they are the right ones is proven by the caller,
 * who knows the DiffID. Memory: four windows of at most LIMIT_RECIPE_WINDOW, as the recipe says.
 *
 * Errors: FORMAT "recipe at byte N: ..."; UNSUPPORTED for another version; LIMIT; CORRUPT when a
 * base ends before the size that was told.
 */
struct source *recipe_open(struct source *recipe, const struct recipe_bases *b, int64_t tar_size,
			   dray_error **err);
