/* SPDX-License-Identifier: Apache-2.0
 *
 * What a step of an edit may say, and values that are more than a string.
 */
#pragma once

#include <dray/edit.h>
#include "base/span.h"

/** USAGE, with the option's name, unless the step says something sensible. */
int step_check(const struct dray_edit_step *s, dray_error **err) MUST_CHECK;
/** "80", "8000-8010", each with "/tcp", "/udp" or "/sctp" behind it. */
bool config_port_valid(const char *text);
/** The JSON of @p text as the value of @p field, appended. */
int config_value(enum dray_edit_field field, const char *text, struct buf *ret,
		 dray_error **err) MUST_CHECK;
