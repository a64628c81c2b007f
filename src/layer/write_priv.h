/* SPDX-License-Identifier: Apache-2.0
 *
 * What write.c and write_tar.c share: records as pieces.
 */
#pragma once

#include "base/limits.h"
#include "layer/write.h"

#define HEAD_MAX (2 * LIMIT_PAX + LIMIT_SPARSE_MAP) /* bytes of one header, its extensions too */

/* Bytes of a layer. */
struct run {
	uint32_t layer;
	int64_t off, left;
};

/* What one record becomes. */
struct piece {
	bool made;		 /* with a header of ours */
	const struct node *link; /* which makes it a hard link to this name */
	struct run run;		 /* left 0 = none */
	size_t padding;		 /* zeros behind it */
};

/* Where a walk over the records stands. */
struct cursor {
	const struct record_list *list;
	struct record at;
	struct first_names firsts; /* which carry the data */
	struct buf path;
	struct tar_xattr *xattrs; /* those of an entry that are written */
	size_t n_xattrs, cap_xattrs;
};

struct cursor cursor_of(const struct record_list *l);
void cursor_clear(struct cursor *c);
#define cleanup_cursor CLEANUP(cursor_clear)

/** The next record and what it becomes: 1, 0 = end, -1. */
int next_piece(struct cursor *c, struct piece *ret, dray_error **err);
/** The header of @p p, which next_piece() made of the cursor's record, in place of *ret. */
int piece_header(struct cursor *c, const struct piece *p, struct buf *ret, dray_error **err);
