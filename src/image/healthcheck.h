/* SPDX-License-Identifier: Apache-2.0
 *
 * What engines take for a check of health: the config's Healthcheck.
 */
#pragma once

#include "json/json.h"

struct health_flaw {
	struct json at;	  /* the value that is wrong; of an unknown name the member */
	const char *key;  /* whose it is; NULL = the name is unknown */
	const char *near; /* what an unknown name may have meant; NULL */
	char problem[160];
};
/**
 * Is the object @p v one? As Docker's own builder makes them: Test is empty or begins with NONE, CMD or
 * CMD-SHELL, times are nanoseconds, 0 or a millisecond at least. 0 = it is, 1 = @p ret tells what is
 * wrong first, -1 = NOMEM.
 */
int health_check(struct json v, struct health_flaw *ret, dray_error **err) MUST_CHECK;
