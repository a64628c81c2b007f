/* SPDX-License-Identifier: Apache-2.0
 *
 * Docker's first registry manifest, which is read and never written. formats.md 4.1.
 */
#pragma once

#include "image/manifest.h"

struct schema1_entry {
	struct digest blob;
	struct span v1;	 /* v1Compatibility, decoded: a JSON text */
	bool throwaway;	 /* it made no layer; its blob is an empty tar */
};

/** What a manifest of schema 1 lists, bottom first; equal neighbours are one (as Docker does). */
struct schema1 {
	struct arena arena;
	struct schema1_entry *entries;
	size_t n;
	size_t n_layers; /* of them not thrown away */
};
/** @p m is of kind MANIFEST_SCHEMA1 and outlives *ret. FORMAT when its IDs are no chain. */
int schema1_read(const struct manifest *m, struct schema1 *ret, dray_error **err) MUST_CHECK;
void schema1_clear(struct schema1 *s);
#define cleanup_schema1 CLEANUP(schema1_clear)

/**
 * The bytes that the signatures of @p text sign, in @p a: what its digest is of. Without
 * signatures @p text itself. The signatures are not verified: their keys are nobody's.
 */
int schema1_payload(struct span text, struct json root, struct arena *a, struct span *ret,
		    dray_error **err) MUST_CHECK;

/** The config that Docker makes of it; @p diff_ids one per layer, bottom first. */
int schema1_config(const struct schema1 *s, const struct digest *diff_ids, struct buf *ret,
		   dray_error **err) MUST_CHECK;
