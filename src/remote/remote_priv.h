/* SPDX-License-Identifier: Apache-2.0
 *
 * One repository of one registry, as the files of this room see it.
 */
#pragma once

#include "flow/pool.h"
#include "remote/client.h"
#include "remote/upload.h"

struct remote {
	struct remote_options o;	/* strings lent */
	struct reference ref;		/* domain is as the user named it */
	char *name;			/* "HOST/NAME" */
	struct client client;
	struct tls_files files;
	struct arena arena;		/* of base */
	struct lock *lock;		/* ready, base while they are not */
	bool ready;			/* GET /v2/ was answered: base and auth are settled */
	struct url base;		/* scheme, host and port of the API; rest "/" */
};

/** Before the first request: find the scheme, learn how to log in. Thread-safe, done once. */
int remote_ready(struct remote *r, dray_error **err) MUST_CHECK;
/** URL of /v2/NAME/ and @p fmt, in @p a. */
int remote_url(const struct remote *r, struct arena *a, struct url *ret, dray_error **err,
	       const char *fmt, ...) PRINTF_LIKE(5, 6) MUST_CHECK;
