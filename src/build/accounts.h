/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and groups as lines of passwd(5) and group(5). Pure.
 */
#pragma once

#include "build/spec.h"

/** Does the spec ask for some? */
bool accounts_any(const struct spec *s);
/**
 * @p old with the users that the spec asks for, appended to @p ret. One that is there already
 * with the same numbers is left as it is; with others it is USAGE.
 */
int accounts_passwd(const struct spec *s, struct span old, struct buf *ret,
		    dray_error **err) MUST_CHECK;
/** The same for groups; a user whose group nobody has gets one of its own name. */
int accounts_group(const struct spec *s, struct span old, struct buf *ret,
		   dray_error **err) MUST_CHECK;
