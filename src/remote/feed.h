/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a blob on their way into an upload: hashed and counted once,
 * however often they have to be sent.
 */
#pragma once

#include "remote/http.h"
#include "store/store.h"

struct feed {
	struct source *data;	/* owned */
	int64_t claimed;	/* size that the descriptor names, -1 */
	int64_t high;		/* the hash and the progress have seen [0, high) */
	int64_t total;		/* -1 until the end was seen */
	struct hash hash;
	struct tap progress;
	struct digest digest;	/* of everything; set by feed_finish() */
};

/** @p data is taken. */
int feed_init(struct feed *f, const struct blob_put *put, struct source *data,
	      dray_error **err) MUST_CHECK;
void feed_clear(struct feed *f);
/** struct http_body's pull. CORRUPT when the source ends before the claimed size. */
int64_t feed_pull(void *feed, void *data, size_t len, dray_error **err);
/** 1 = nothing is left at the current place. */
int feed_at_end(struct feed *f, dray_error **err) MUST_CHECK;
/** Go on from byte @p off. NETWORK with a hint when the source cannot. */
int feed_seek(struct feed *f, int64_t off, dray_error **err) MUST_CHECK;
/** All was sent: settle the digest and check it against @p expect (may be unset). CORRUPT. */
int feed_finish(struct feed *f, const struct digest *expect, dray_error **err) MUST_CHECK;
