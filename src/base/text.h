/* SPDX-License-Identifier: Apache-2.0
 *
 * Text from outside, made safe to show (reliability O-01), and UTF-8.
 */
#pragma once

#include "base/span.h"

/** Length of the valid UTF-8 sequence at the start of @p s; 0 = invalid. */
size_t utf8_len(struct span s);
bool utf8_valid(struct span s);

/**
 * Append @p s with C0, C1, DEL, bidi controls and invalid UTF-8 as \xNN or \u{N},
 * so that a terminal shows it and does nothing else.
 */
int text_escape(struct buf *b, struct span s, dray_error **err) MUST_CHECK;
/** The same in new memory, cut after @p max_len bytes with "..."; NULL = no memory. */
char *text_safe(struct span s, size_t max_len) MUST_CHECK;

bool ascii_ieq(struct span a, const char *lower);	/* ASCII case-insensitive */
char ascii_lower(char c);
