/* SPDX-License-Identifier: Apache-2.0
 *
 * A closure while its text is read: entries in the order of the text, names met so far.
 */
#pragma once

#include "base/limits.h"
#include "base/map.h"
#include "build/closure.h"

struct draft_name {
	const char *path;
	uint32_t unit; /* once it is known; UINT32_MAX: nothing describes it */
};
struct draft_entry {
	uint32_t name;
	int64_t size; /* -1 = not told */
	size_t refs, n_refs;
};
struct draft {
	struct span store;	/* without a '/' at its end */
	const char *key;	/* of the options */
	bool store_given;
	bool base_names;	/* paths may be told without the store */
	bool has_refs;
	struct arena arena;	/* paths */
	struct map by_path;	/* -> place in names + 1 */
	struct draft_name *names;
	struct draft_entry *entries;
	uint32_t *refs;		/* places in names */
	size_t n_names, cap_names, n_entries, cap_entries, n_refs, cap_refs;
};
/** The newest entry. @p size -1: not told. */
int draft_entry(struct draft *d, struct span path, int64_t size, dray_error **err) MUST_CHECK;
/** A reference of the newest entry. */
int draft_ref(struct draft *d, struct span path, dray_error **err) MUST_CHECK;

int draft_json(struct draft *d, struct span text, dray_error **err) MUST_CHECK;
int draft_text(struct draft *d, struct span text, dray_error **err) MUST_CHECK;
