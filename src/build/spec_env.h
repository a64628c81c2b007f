/* SPDX-License-Identifier: Apache-2.0
 *
 * "${NAME}" in what a spec says for Env, with "expand": what the image's environment has by then.
 */
#pragma once

#include "json/json.h"

#include <dray/error.h>

/**
 * Where in @p text, the JSON of a spec without comments, the value of Env is that is to be expanded:
 * @p expand, or the spec itself, says so. Empty when it is not. "JSON at byte N: ..." for what is no
 * JSON, and for an "expand" that says neither yes nor no.
 */
int spec_env_find(struct span text, bool expand, struct span *ret, dray_error **err) MUST_CHECK;
static inline bool spec_env_holds(struct span env, const uint8_t *at)
{
	return env.len && at >= env.data && at < env.data + env.len;
}

/** Are values of Env of the spec @p root to be expanded? */
bool spec_env_asked(struct json root, bool expand);

/** What @p name stands for; NULL = there is no such name. */
typedef const char *spec_env_value_fn(void *arg, struct span name);
/** A name of Env: "$${" is "${", and no other name stands in it. USAGE; appended. */
int spec_env_name(const char *text, struct buf *ret, dray_error **err) MUST_CHECK;
/**
 * @p text with values in place of names, appended; "$${" is "${", a "$" before anything else itself.
 * USAGE for names that have no value, and for what is no name.
 */
int spec_env_fill_in(const char *text, spec_env_value_fn *value, void *arg, struct buf *ret,
		     dray_error **err) MUST_CHECK;
