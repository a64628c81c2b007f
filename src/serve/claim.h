/* SPDX-License-Identifier: Apache-2.0
 *
 * The field Authorization. Pure. Spec: RFC 7235, 7617 (Basic), 6750 (Bearer).
 */
#pragma once

#include "base/span.h"

#define CLAIM_BASIC_MAX 4096 /* bytes of user and password in base64 */

enum claim_kind {
	CLAIM_NONE,   /* also no user and no password: so says containers/image that it has none */
	CLAIM_BASIC,
	CLAIM_BEARER,
	CLAIM_OTHER,  /* another scheme, or malformed */
};

/** What a client says of itself. Zeroed is NONE. */
struct claim {
	enum claim_kind kind;
	const char *user, *password; /* of BASIC; owned by secret */
	struct span token;	     /* of BEARER; lent from the field */
	struct buf secret;
};
void claim_clear(struct claim *c);
#define cleanup_claim CLEANUP(claim_clear)

/** @p field is lent; NULL = there is none. Fails for want of memory only. */
int claim_read(const char *field, struct claim *ret, dray_error **err) MUST_CHECK;
