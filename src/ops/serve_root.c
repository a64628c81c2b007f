/* SPDX-License-Identifier: Apache-2.0
 *
 * For: "serve --root": the folder, its garbage collection beside the requests, and the registry
 * whose cache it may be.
 * Relies on: serve/depot.h; the clock of the thread that waits for the end of the server.
 * Promises: one collection at a time; it never keeps the server from stopping.
 */
#include "ops/serve_root.h"

#include <stdatomic.h>

#include "base/cancel.h"
#include "base/io.h"
#include "base/mem.h"
#include "flow/pool.h"
#include "ops/serve_proxy.h"

#define GC_INTERVAL 3600 /* seconds, unless told otherwise */

struct root {
	dray_context *ctx;
	struct shelf *depot;
	struct behind *behind;	     /* with a proxy */
	struct shelf *proxy;	     /* before both of them; NULL */
	int64_t interval_ms, due_ms; /* 0 = never */
	struct pool *pool;	     /* one thread; NULL until it is first due */
	struct job job;
	bool begun;	  /* job was submitted, and not waited for */
	atomic_bool busy; /* it is running */
	atomic_bool stop;
};

static void collect(struct job *job)
{
	struct root *r = (struct root *)((char *)job - offsetof(struct root, job));
	const struct depot_gc gc = { .grace = DEPOT_GRACE };
	cleanup_error dray_error *err = NULL;
	struct depot_collected got;

	cancel_follow(&r->stop);
	if (depot_collect(r->depot, &gc, &got, &err) == 0)
		context_log(r->ctx, DRAY_LOG_INFO,
			    "gc: removed %lld blobs of %lld bytes; %lld stay, of %lld bytes",
			    (long long)got.blobs, (long long)got.bytes, (long long)got.kept,
			    (long long)got.kept_bytes);
	else if (dray_error_kind(err) != DRAY_ERR_CANCELLED)
		context_log(r->ctx, DRAY_LOG_WARNING, "gc: %s", dray_error_message(err));
	cancel_follow(NULL);
	atomic_store(&r->busy, false);
}

void root_tick(struct root *r)
{
	int64_t now = io_now_ms();

	if (!r->interval_ms || now < r->due_ms || atomic_load(&r->busy))
		return;
	r->due_ms = now + r->interval_ms;
	if (!r->pool)
		r->pool = pool_new(1, NULL);
	if (!r->pool) /* the next time, perhaps */
		return;
	if (r->begun)
		job_wait(r->pool, &r->job);
	atomic_store(&r->busy, true);
	r->job.run = collect;
	r->begun = true;
	pool_submit(r->pool, &r->job);
}

struct shelf *root_shelf(const struct root *r)
{
	return r->proxy ? r->proxy : r->depot;
}

void root_stop(struct root *r)
{
	if (r->proxy)
		proxy_stop(r->proxy);
}

void root_close(struct root *r)
{
	if (!r)
		return;
	atomic_store(&r->stop, true);
	if (r->begun)
		job_wait(r->pool, &r->job);
	if (r->pool)
		pool_free(r->pool);
	shelf_free(r->proxy);
	behind_free(r->behind);
	shelf_free(r->depot);
	mem_free(r);
}

static int open_depot(const struct dray_serve_options *o, const struct behind *behind,
		      struct shelf **ret, dray_error **err)
{
	const struct depot_options d = {
		.cache_of = behind ? behind_name(behind) : NULL,
		.cache_keep = o->proxy_keep,
		.quota = o->quota,
		.read_only = o->read_only,
		.no_delete = o->no_delete,
		.immutable_tags = o->immutable_tags,
	};

	return depot_open(o->root, &d, ret, err);
}

static int open_proxy(struct root *r, const struct dray_serve_options *o, dray_error **err)
{
	const struct proxy_options p = {
		.ttl_ms = o->proxy_ttl * 1000LL,
		.pause_ms = PROXY_PAUSE_MS,
	};

	if (behind_open(r->ctx, o->proxy, &r->behind, err) < 0 ||
	    open_depot(o, r->behind, &r->depot, err) < 0)
		return -1;
	return proxy_open(r->depot, behind_upstream(r->behind), &p, &r->proxy, err);
}

int root_open(dray_context *ctx, const struct dray_serve_options *o, struct root **ret,
	      dray_error **err)
{
	struct root *r = mem_zalloc(sizeof(*r));

	if (!r)
		return err_nomem(err);
	r->ctx = ctx;
	if ((o->proxy ? open_proxy(r, o, err) : open_depot(o, NULL, &r->depot, err)) < 0) {
		root_close(r);
		return -1;
	}
	if (o->gc_interval >= 0 && !o->read_only)
		r->interval_ms = (o->gc_interval ? o->gc_interval : GC_INTERVAL) * 1000LL;
	/* What a killed process left goes soon; then from time to time. */
	r->due_ms = io_now_ms();
	*ret = r;
	return 0;
}
