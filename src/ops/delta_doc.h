/* SPDX-License-Identifier: Apache-2.0
 *
 * The description of a delta: what it is of, what it needs, how each layer comes. The config of
 * the artifact that a delta is. Spec: docs/delta.md
 */
#pragma once

#include <dray/delta.h>
#include "base/arena.h"
#include "digest/digest.h"

#define DELTA_VERSION 1

/** What is needed of one base. */
struct delta_need {
	struct digest image_id; /* unset: a have-list */
	const char **tags;
	size_t n_tags;
	struct digest *diff_ids;
	size_t n;
};
/** A layer of the bases that recipes refer to, by its place in the list. */
struct delta_old {
	struct digest diff_id;
	int64_t size; /* of its tar */
	bool needed;  /* a recipe reads it */
};
struct delta_layer {
	struct digest diff_id;
	int64_t size; /* of its tar; -1 = was not read */
	enum dray_delta_from from;
	struct digest digest; /* of what the delta holds; unset for DRAY_DELTA_BASE */
	int64_t stored;	      /* bytes of that; 0 */
	/* The encoder that makes the image's blob of the tar, encode_params_text(); NULL */
	const char *encoding;
};

/** Strings live in the arena, or elsewhere while one is being made. Zero-initialise. */
struct delta_doc {
	struct arena arena;
	enum dray_delta_level level;
	struct digest image_id;
	struct digest manifest; /* of the image's own manifest; unset: none */
	bool keeps_blobs;
	const char *platform;
	const char **tags;
	size_t n_tags;
	struct delta_need *bases;
	size_t n_bases;
	struct delta_old *olds;
	size_t n_olds;
	struct delta_layer *layers;
	size_t n_layers;
};
int delta_doc_write(const struct delta_doc *d, struct buf *ret, dray_error **err) MUST_CHECK;
/** FORMAT, LIMIT; UNSUPPORTED for another version. delta_doc_clear() also on failure. */
int delta_doc_parse(struct span text, struct delta_doc *ret, dray_error **err) MUST_CHECK;
void delta_doc_clear(struct delta_doc *d);
#define cleanup_delta_doc CLEANUP(delta_doc_clear)

/** "layer" or "file". */
const char *delta_level_name(enum dray_delta_level level);
/** "base", "blob" or "recipe". */
const char *delta_from_name(enum dray_delta_from from);
