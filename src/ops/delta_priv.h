/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of delta: one that is opened, the layers that bases have, what is told of one.
 * docs/architecture.md "Deltas"
 */
#pragma once

#include "ops/delta_doc.h"
#include "ops/have.h"
#include "ops/stack.h"

/* ---- a delta that is read (delta_read.c) ---- */

/** Its documents are proven, and say the same; its blobs are proven as they are read. */
struct delta {
	dray_context *ctx;
	struct place place;
	struct store *store;
	struct image **images;
	size_t n_images;
	const struct image *im; /* the artifact */
	struct delta_doc doc;
	struct buf config;	   /* of the image */
	struct manifest *manifest; /* of the image; NULL where it had none */
	struct map blobs; /* digest text -> index into the artifact's layers, counted from 1 */
	struct map kept;  /* of a pipe: digest text -> struct kept_blob */
	struct arena arena;
};
int delta_open(dray_context *ctx, const char *place, struct delta **ret,
	       dray_error **err) MUST_CHECK;
void delta_free(struct delta *d);
DEFINE_CLEANUP(struct delta, cleanup_delta_fn, delta_free)
#define cleanup_delta CLEANUP(cleanup_delta_fn)
/** What the delta holds under this digest, which layers of the description name. Thread-safe. */
struct source *delta_blob(const struct delta *d, const struct digest *digest, dray_error **err);

/* ---- layers of bases (delta_base.c) ---- */

/** Where a layer of this DiffID is. */
struct delta_where {
	struct stack *stack;
	size_t layer;
};
/** Images of bases, opened; what is read of them is proven. Zero-initialise, with ctx. */
struct delta_bases {
	dray_context *ctx;
	bool contents; /* the digests of files are wanted: see stack_options */
	struct stack **list;
	size_t n, cap;
	struct map by_diff_id; /* text -> struct delta_where */
	struct arena arena;
};
/**
 * Open the images of @p place that have layers of @p wanted (keys are digest texts; NULL = any)
 * which no base before has.
 */
int delta_bases_add(struct delta_bases *b, const char *place, const struct map *wanted,
		    dray_error **err) MUST_CHECK;
/** USAGE when standard input is @p other, "the image", read from @p place, and a base, or two of them. */
int delta_bases_check(const char *other, const char *place, const char *const *bases, size_t n,
		      dray_error **err) MUST_CHECK;
/** NULL = no base has it. */
const struct delta_where *delta_bases_find(const struct delta_bases *b, const struct digest *diff_id);
void delta_bases_clear(struct delta_bases *b);
#define cleanup_delta_bases CLEANUP(delta_bases_clear)

/* ---- what is told (delta_info.c) ---- */

/**
 * @p doc (taken over, left empty) and the image's own manifest (NULL = none) made public.
 * @p stored is the size of all blobs.
 */
int delta_tell(struct delta_doc *doc, const struct manifest *m, int64_t config_size,
	       const struct digest *artifact, int64_t stored, dray_delta **ret,
	       dray_error **err) MUST_CHECK;
