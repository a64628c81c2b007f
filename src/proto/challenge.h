/* SPDX-License-Identifier: Apache-2.0
 *
 * WWW-Authenticate challenges. Spec: RFC 9110 11.6.1; distribution token spec.
 */
#pragma once

#include "base/arena.h"

enum challenge_scheme { CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
	enum challenge_scheme scheme;
	const char *realm, *service, *scope, *error; /* NULL when absent */
};
/** The first Bearer or Basic challenge of a header value. 1 = found, 0 = none, -1 (FORMAT). */
int challenge_parse(struct span header, struct arena *a, struct challenge *ret,
		    dray_error **err) MUST_CHECK;
