/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of a cut share.
 */
#pragma once

#include "layer/cut.h"
#include "layer/pattern.h"

struct cut_rule {
	struct path_pattern *patterns; /* any of them */
	size_t n, cap;
};

/** Goes through the records of a list that belong to a part: no whiteouts, no folders with contents. */
struct leaves {
	const struct record_list *list;
	struct record ahead;
	bool begun;
};
bool leaves_next(struct leaves *w, const struct node **ret);

/** Is @p r a folder of which @p next, the record behind it (node NULL = none), holds nothing? */
bool is_leaf(const struct record *r, const struct record *next);

/** Bytes of tar, about; those of a file with several names are divided among them. */
int64_t leaf_bytes(const struct node *n);

/** A new part; @p name is copied. */
int cut_part_add(struct cut_parts *p, const char *name, enum cut_kind kind, uint32_t *ret,
		 dray_error **err) MUST_CHECK;
/** The part @p name, made if there is none. */
int cut_part_get(struct cut_parts *p, const char *name, enum cut_kind kind, uint32_t *ret,
		 dray_error **err) MUST_CHECK;
/** The part of the first @p len bytes of a path; the buffer is used up. Begins with a '/', as owners do not. */
int cut_part_path(struct cut_parts *p, struct buf *path, size_t len, uint32_t *ret,
		  dray_error **err) MUST_CHECK;
