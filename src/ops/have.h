/* SPDX-License-Identifier: Apache-2.0
 *
 * Which layers a place has, and the text that tells it elsewhere. Spec: docs/delta.md
 */
#pragma once

#include <dray/delta.h>
#include "base/map.h"
#include "ops/ops.h"

#define HAVE_FIRST_LINE "dray-have-list 1"

/** Keys are digest texts in the arena, each once; in the order of their coming. */
struct haves {
	struct arena arena;
	struct map chains, diffs;
};
void haves_clear(struct haves *h);
#define cleanup_haves CLEANUP(haves_clear)
/** What these layers are, bottom first, and their chains. Nothing of a layer without a digest. */
int haves_add(struct haves *h, const struct digest *diff_ids, size_t n,
	      dray_error **err) MUST_CHECK;
/** Those that the place of @p im has, and their chains. An image with a config. */
int haves_add_image(struct haves *h, const struct image *im, dray_error **err) MUST_CHECK;
/**
 * Whether the file begins as a have-list does, and then what it says. 1 = it does, 0 = it is
 * something else, or no file, -1: FORMAT, LIMIT.
 */
int haves_read(const char *path, struct haves *ret, dray_error **err) MUST_CHECK;
