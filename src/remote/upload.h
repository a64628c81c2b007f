/* SPDX-License-Identifier: Apache-2.0
 *
 * Pushing one blob: a small state machine over calls that a test can fake.
 *
 *	       POST                PATCH                 PUT ?digest=
 *	OPEN --------> SEND ------------------> COMMIT ---------------> DONE
 *	  ^             | broken, 5xx, 401,       |  broken, 5xx
 *	  | 404, no     v 416, short              v
 *	  | Range      ASK (GET session) <--------+
 *	  +-------------+  offset: back to SEND, or to COMMIT when all is there
 */
#pragma once

#include "remote/client.h"
#include "store/store.h"

#define UPLOAD_SMALL (1LL << 20) /* up to here a blob of known size is sent in one PUT */

/** What an upload needs of the world. */
struct upload_io {
	int (*call)(void *arg, const struct call *call, struct answer *a, dray_error **err);
	/** As retry_pause(). */
	int (*pause)(void *arg, int attempt, const struct http_response *res, dray_error **err);
	/** As client_refused(). */
	int (*refused)(void *arg, const struct call *call, const struct answer *a,
		       dray_error **err);
	void *arg;
};

struct upload_target {
	struct url blobs;	/* ".../v2/NAME/blobs/" */
	int retries;		/* without any progress in between */
};

/** See remote_put_blob(). @p data is consumed. */
int upload_blob(const struct upload_io *io, const struct upload_target *to,
		const struct blob_put *put, struct source *data, struct digest *ret_digest,
		int64_t *ret_size, dray_error **err) MUST_CHECK;
