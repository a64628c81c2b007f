/* SPDX-License-Identifier: Apache-2.0
 *
 * Editing config.json and auth.json: one login goes in or out, every other byte
 * stays. Pure; formats.md 5.2.
 */
#pragma once

#include "base/span.h"

/** Where a file would have a login go. */
struct authfile_place {
	char *helper;	/* checked name; NULL = into the file itself. mem_free() */
	bool known;	/* the file has an entry for this very registry */
};
/** @p text may be empty: a file that is not there yet. FORMAT. */
int authfile_look(struct span text, const char *domain, struct authfile_place *ret,
		  dray_error **err) MUST_CHECK;

/**
 * @p text with the entry @p key of auths set to @p auth (base64 of user:password; NULL = an empty
 * entry, which docker writes beside a helper). Other spellings of the registry go. A secret:
 * wipe *ret.
 */
int authfile_set(struct span text, const char *key, const char *auth, struct buf *ret,
		 dray_error **err) MUST_CHECK;
/** @p text without what names @p domain in auths. 1 = something went, 0 = *ret is @p text, -1. */
int authfile_remove(struct span text, const char *domain, struct buf *ret,
		    dray_error **err) MUST_CHECK;
