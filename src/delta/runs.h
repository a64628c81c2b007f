/* SPDX-License-Identifier: Apache-2.0
 *
 * The long stretches that two files have in common: found fast, so that only what is between them
 * is left for the compressor.
 */
#pragma once

#include "base/span.h"

/** So many bytes of the new one are there in the old one. */
struct run {
	size_t at, old, len;
};

/** Finds them for one pair after the other. */
struct runs {
	struct run *list; /* in the order of the new file, apart */
	size_t n, cap;
	uint32_t *table;
	size_t table_cap;
};

/** Replaces what was found before. @p old is shorter than 256 MiB. */
int runs_find(struct runs *r, struct span old, struct span new, dray_error **err) MUST_CHECK;
void runs_clear(struct runs *r);
