/* SPDX-License-Identifier: Apache-2.0
 *
 * What "diff" found, as JSON and as text. Both walk the files once and do not keep what they
 * have told.
 */
#pragma once

#include <dray/diff.h>
#include "cli/cli.h"

/** One document; @p image and @p platform are told in it unless they are NULL. */
int diff_json(struct session *s, dray_diff *d, const char *image, const char *platform,
	      dray_error **err) MUST_CHECK;
int diff_text(struct session *s, dray_diff *d, dray_error **err) MUST_CHECK;
/** "added", "removed" or "changed". */
const char *diff_change(const void *a, const void *b);
/** The name of one bit of enum dray_diff_what by position; NULL past the last. */
const char *diff_what_name(size_t bit);
