/* SPDX-License-Identifier: Apache-2.0
 *
 * HTML made piece by piece. Literals come in by html_raw(), which takes nothing else; all
 * other text by html_text(), which is the one place that escapes.
 */
#pragma once

#include "base/span.h"

/** Failure is sticky: nothing is added any more, and html_finish() tells. */
struct html {
	struct buf *out;
	dray_error **err;
	bool failed;
};
void html_init(struct html *h, struct buf *out, dray_error **err);
int html_finish(struct html *h) MUST_CHECK;

#define html_raw(h, literal) html_bytes(h, SPAN_LIT("" literal))
void html_bytes(struct html *h, struct span markup); /* for html_raw() */
/**
 * Text, or the value of an attribute in quotes, whatever it is: "&<>" and both quotes as entities; what no
 * terminal gets to see (text_escape()) as \xNN and \u{N}, but for the ends of lines and tabs.
 */
void html_text(struct html *h, struct span s);
void html_str(struct html *h, const char *s);
/** The same of text that may be long: cut behind @p max bytes, and how many there are. */
void html_cut(struct html *h, struct span s, size_t max);
void html_int(struct html *h, int64_t n);
/** "12.3 MB", and the exact number when it is pointed at. */
void html_size(struct html *h, int64_t size);
/** part / whole as "12.34%"; 0 <= part <= whole. */
void html_share(struct html *h, int64_t part, int64_t whole);
