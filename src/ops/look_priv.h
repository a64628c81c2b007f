/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries as the public API tells them.
 */
#pragma once

#include <dray/rootfs.h>

#include "ops/look.h"

#define LOOK_DIGEST (sizeof("sha256:") + (size_t)2 * CONTENT_DIGEST_LEN)

/** One dray_file and the memory that it lends; begin with zeroes. */
struct teller {
	struct dray_file file;
	struct dray_xattr *xattrs;
	size_t cap_xattrs;
	char digest[LOOK_DIGEST];
};
void teller_clear(struct teller *t);
#define cleanup_teller CLEANUP(teller_clear)

/**
 * Fill t->file: attributes of @p attrs (NULL = those of a folder that nobody described), content
 * of @p data (may be NULL). Path and layer are the caller's.
 */
int teller_set(struct teller *t, const struct layer_entry *data, const struct layer_entry *attrs,
	       dray_error **err) MUST_CHECK;
/** An entry of one layer by itself; a whiteout's path is made in @p room. */
int teller_set_entry(struct teller *t, const struct layer_entry *e, size_t layer, struct buf *room,
		     dray_error **err) MUST_CHECK;
