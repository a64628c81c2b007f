/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens of our own: that somebody proved to be a user of ours, or came without a name, a moment ago.
 */
#pragma once

#include "base/arena.h"
#include "base/span.h"

#define TICKET_SECRET 32   /* bytes, of this process */
#define TICKET_SECONDS 300 /* that one holds */

/** A text of letters, digits and dots for @p user ("" = nobody) that holds until @p until. */
const char *ticket_make(const uint8_t secret[TICKET_SECRET], const char *user, int64_t until,
			 struct arena *a, dray_error **err);
/** 1 = ours and it holds; *ret_user "" = nobody's; 0 = neither; -1 NOMEM. */
int ticket_read(const uint8_t secret[TICKET_SECRET], struct span text, int64_t now,
		 struct arena *a, const char **ret_user, dray_error **err) MUST_CHECK;
