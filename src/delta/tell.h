/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps of writing a recipe: what the next bytes of the new layer are.
 */
#pragma once

#include "delta/block.h"
#include "delta/match.h"
#include "delta/runs.h"

#define HEADER_COMPARED (64 * KIB) /* a longer one is not compared with the old, but compressed */
#define DENSE_FROM (256 * KIB)	   /* of what does not shrink: less is not worth a block */

/** Where old bytes are; len 0 = nowhere. */
struct place {
	size_t base;
	int64_t off, len;
};

/** One run of recipe_write(). */
struct writer {
	const struct recipe_new *tar;
	const struct recipe_bases *bases;
	struct recipe_options options; /* complete */
	struct match *match;
	struct queue *queue;
	struct patch_encoder *taster;
	struct runs runs;
	uint8_t *new_piece, *old_piece; /* of a changed file; come with the first */
	struct recipe_stats stats;
	int64_t at; /* all before it is told */
	uint8_t fresh[HEADER_COMPARED], old[HEADER_COMPARED]; /* of few bytes */
};

static inline int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/** Of the new layer. */
int tell_read_new(struct writer *w, int64_t off, void *data, size_t len, dray_error **err) MUST_CHECK;

/* ---- each tells what lies at w->at, and moves on ---- */

/** The next @p p->len bytes are those of @p p. */
int tell_copy(struct writer *w, const struct place *p, dray_error **err) MUST_CHECK;
/** The next @p n bytes, of any number, are like nothing we know; @p dense: they do not shrink. */
int tell_new(struct writer *w, int64_t n, bool dense, dray_error **err) MUST_CHECK;
/** The next @p n bytes are a file, made of the one at @p p. */
int tell_file(struct writer *w, int64_t n, const struct place *p, bool dense,
	      dray_error **err) MUST_CHECK;
/**
 * The next @p n bytes, few, are as those at @p p where they are the same. In most headers that
 * changed only a time did, and the checksum beside it.
 */
int tell_small(struct writer *w, int64_t n, const struct place *p, dray_error **err) MUST_CHECK;
