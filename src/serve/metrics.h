/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server counts, and how Prometheus reads it: exposition format 0.0.4.
 *
 * Labels are routes, methods and classes of statuses only. The name of a repository, tag or client
 * is never one: clients choose these, and every value of a label costs memory in whoever collects.
 */
#pragma once

#include <stdatomic.h>

#include "base/limits.h"
#include "serve/route.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define METRICS_MAX (256 * KIB) /* bytes of the text; all there can be takes less than a quarter */
#define METRICS_STATUSES 6 /* none (the connection ended first), 1xx ... 5xx */
#define METRICS_BUCKETS 8  /* of durations; the last one has no limit */

/** Counts of one route. */
struct metrics_route {
	atomic_int_least64_t requests[METHODS + 1][METRICS_STATUSES]; /* the last: other methods */
	atomic_int_least64_t buckets[METRICS_BUCKETS];
	atomic_int_least64_t ms; /* of all together */
};

/** Counts since the start; zeroed = none. Any thread adds without a lock, and any reads. */
struct metrics {
	struct metrics_route routes[ROUTE_KINDS + 1]; /* the last: what is none */
	atomic_int_least64_t received, sent; /* bytes of bodies; of answers that arrived whole */
	atomic_int_least64_t cut;	     /* answers that did not */
};

/** A request that is over. */
struct metrics_request {
	enum route_kind kind; /* ROUTE_KINDS = none */
	enum method method;   /* METHODS = another */
	int status;	      /* 0 = it was not answered */
	bool cut;
	int64_t received, sent, ms;
};
void metrics_count(struct metrics *m, const struct metrics_request *r);

/** What is as it is at this moment. */
struct metrics_now {
	struct shelf_state shelf;
	int64_t connections, connections_max;
	int64_t started; /* seconds since 1970 */
};
/** All of it as text, with what the kernel says of this process. */
int metrics_write(struct metrics *m, const struct metrics_now *now, struct buf *ret,
		  dray_error **err) MUST_CHECK;
