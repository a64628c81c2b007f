/* SPDX-License-Identifier: Apache-2.0
 *
 * What a step of an edit may say, and values that are more than a string.
 */
#pragma once

#include <dray/edit.h>
#include "base/span.h"

/** USAGE, with the option's name, unless the step says something sensible. */
int step_check(const struct dray_edit_step *s, dray_error **err) MUST_CHECK;

#define CONFIG_PORTS_MAX 1024	/* ports that one range may name: each becomes a member */

/** What "80" and "8000-8010" name, each with "/tcp", "/udp" or "/sctp" behind it or nothing. */
struct config_ports {
	int64_t from, to;
	const char *protocol;	/* in the text, with the slash; "" = not told */
};
bool config_ports_parse(const char *text, struct config_ports *ret);
/** Is the member @p name of ExposedPorts, as "8001/tcp", one of them? Any protocol if none is told. */
bool config_ports_have(const struct config_ports *p, const char *name);
/** The JSON of @p text as the value of @p field, appended. */
int config_value(enum dray_edit_field field, const char *text, struct buf *ret,
		 dray_error **err) MUST_CHECK;
