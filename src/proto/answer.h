/* SPDX-License-Identifier: Apache-2.0
 *
 * What a registry's answers say: error documents, ranges, links, delays.
 */
#pragma once

#include "base/arena.h"

/** {"errors":[...]} into "CODE: message" (escaped, bounded); HTML or nothing gives NULL. */
int answer_error(struct span body, struct arena *a, const char **ret_code, const char **ret_text,
		 dray_error **err) MUST_CHECK;
/**
 * "0-1023" or "bytes=0-1023", *ret_last inclusive; false = malformed. That "0-0" may
 * mean an empty upload is the caller's matter.
 */
bool answer_range(struct span value, int64_t *ret_first, int64_t *ret_last);
/** "bytes 0-99/1000"; total -1 for '*'. */
bool answer_content_range(struct span value, int64_t *ret_first, int64_t *ret_last,
			  int64_t *ret_total);
/** Target of rel="next" in a Link header, or NULL. */
const char *answer_link_next(struct span value, struct arena *a);
/** Retry-After, seconds or HTTP date: ms from @p now_sec, -1 = malformed. The caller caps it. */
int64_t answer_retry_after_ms(struct span value, int64_t now_sec);
