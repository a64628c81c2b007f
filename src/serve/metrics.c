/* SPDX-License-Identifier: Apache-2.0
 *
 * For: counting requests, and the text that Prometheus reads.
 * Relies on atomics; on /proc for what the process is like, and leaves out what it does not tell.
 * Promises: to count costs a few additions; a name has its HELP and TYPE once, before its samples.
 */
#include "serve/metrics.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/io.h"
#include "base/number.h"

/* Milliseconds; a manifest takes less than the first, a large layer more than the last. */
static const int64_t BUCKETS_MS[METRICS_BUCKETS - 1] = { 5, 25, 100, 500, 2500, 10000, 60000 };
static const char *const BUCKETS_TEXT[METRICS_BUCKETS] = { "0.005", "0.025", "0.1", "0.5",
							   "2.5",   "10",    "60",  "+Inf" };

static const char *const ROUTE_TEXT[ROUTE_KINDS + 1] = {
	[ROUTE_BASE] = "base",	       [ROUTE_CATALOG] = "catalog",	[ROUTE_TAGS] = "tags",
	[ROUTE_MANIFEST] = "manifest", [ROUTE_BLOB] = "blob",		[ROUTE_UPLOADS] = "uploads",
	[ROUTE_UPLOAD] = "upload",     [ROUTE_HEALTH] = "healthz",	[ROUTE_METRICS] = "metrics",
	[ROUTE_TOKEN] = "token",       [ROUTE_REFERRERS] = "referrers", [ROUTE_HOME] = "home",
	[ROUTE_REPO] = "repository",   [ROUTE_IMAGE] = "image",		[ROUTE_ASSET] = "asset",
	[ROUTE_KINDS] = "other",
};
static const char *const METHOD_TEXT[METHODS + 1] = {
	[METHOD_GET] = "GET", [METHOD_HEAD] = "HEAD",	[METHOD_POST] = "POST",
	[METHOD_PUT] = "PUT", [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE",
	[METHODS] = "other",
};
static const char *const STATUS_TEXT[METRICS_STATUSES] = {
	"none", "1xx", "2xx", "3xx", "4xx", "5xx"
};

/* ---- counting ---- */

static size_t bucket_of(int64_t ms)
{
	size_t i = 0;

	while (i < METRICS_BUCKETS - 1 && ms > BUCKETS_MS[i])
		i++;
	return i;
}

void metrics_count(struct metrics *m, const struct metrics_request *r)
{
	struct metrics_route *route = &m->routes[r->kind];
	int status = r->status / 100;

	atomic_fetch_add(&route->requests[r->method][status < METRICS_STATUSES ? status : 0], 1);
	atomic_fetch_add(&route->buckets[bucket_of(r->ms)], 1);
	atomic_fetch_add(&route->ms, r->ms);
	atomic_fetch_add(&m->received, r->received);
	atomic_fetch_add(r->cut ? &m->cut : &m->sent, r->cut ? 1 : r->sent);
}

/* ---- the text ---- */

/* A text that grows; what went wrong first is kept. */
struct text {
	struct buf *out;
	dray_error **err;
	bool failed;
};

static void say_help(struct text *t, const char *name, const char *type, const char *help)
{
	t->failed = t->failed || buf_printf(t->out, t->err, "# HELP %s %s\n# TYPE %s %s\n", name,
					    help, name, type) < 0;
}

/* @p labels with their braces, or "". */
static void say_sample(struct text *t, const char *name, const char *labels, int64_t value)
{
	t->failed = t->failed ||
		    buf_printf(t->out, t->err, "%s%s %lld\n", name, labels, (long long)value) < 0;
}

/* Thousandths, as a number of seconds; a comma of some locale would not be one. */
static void say_ms(struct text *t, const char *name, const char *labels, int64_t ms)
{
	t->failed = t->failed || buf_printf(t->out, t->err, "%s%s %lld.%03d\n", name, labels,
					    (long long)(ms / 1000), (int)(ms % 1000)) < 0;
}

/* One value without labels; a negative one is not known, or there is nothing of the kind. */
static void say_one(struct text *t, const char *name, const char *type, const char *help,
		    int64_t value)
{
	if (value < 0)
		return;
	say_help(t, name, type, help);
	say_sample(t, name, "", value);
}

/* ---- requests ---- */

static void write_requests(struct text *t, struct metrics *m)
{
	static const char name[] = "dray_http_requests_total";
	char labels[96];

	say_help(t, name, "counter", "Requests that are over, by route, method and status.");
	for (int k = 0; k <= ROUTE_KINDS; k++)
		for (int i = 0; i < (METHODS + 1) * METRICS_STATUSES; i++) {
			int method = i / METRICS_STATUSES, status = i % METRICS_STATUSES;
			int64_t n = atomic_load(&m->routes[k].requests[method][status]);

			snprintf(labels, sizeof(labels), "{route=\"%s\",method=\"%s\",code=\"%s\"}",
				 ROUTE_TEXT[k], METHOD_TEXT[method], STATUS_TEXT[status]);
			if (n > 0)
				say_sample(t, name, labels, n);
		}
}

/* Its count is that of the last bucket, also while others count on. */
static void write_durations_of(struct text *t, const char *name, struct metrics_route *r,
			       const char *route)
{
	char full[64], labels[64];
	int64_t n = 0;

	snprintf(full, sizeof(full), "%s_bucket", name);
	for (int i = 0; i < METRICS_BUCKETS; i++) {
		n += atomic_load(&r->buckets[i]);
		snprintf(labels, sizeof(labels), "{route=\"%s\",le=\"%s\"}", route,
			 BUCKETS_TEXT[i]);
		say_sample(t, full, labels, n);
	}
	snprintf(labels, sizeof(labels), "{route=\"%s\"}", route);
	snprintf(full, sizeof(full), "%s_sum", name);
	say_ms(t, full, labels, atomic_load(&r->ms));
	snprintf(full, sizeof(full), "%s_count", name);
	say_sample(t, full, labels, n);
}

static bool was_asked(struct metrics_route *r)
{
	for (int i = 0; i < METRICS_BUCKETS; i++)
		if (atomic_load(&r->buckets[i]) > 0)
			return true;
	return false;
}

static void write_durations(struct text *t, struct metrics *m)
{
	static const char name[] = "dray_http_request_duration_seconds";

	say_help(t, name, "histogram",
		 "From the head of a request to the last byte of its answer, by route.");
	for (int k = 0; k <= ROUTE_KINDS; k++)
		if (was_asked(&m->routes[k]))
			write_durations_of(t, name, &m->routes[k], ROUTE_TEXT[k]);
}

static void write_http(struct text *t, struct metrics *m, const struct metrics_now *now)
{
	write_requests(t, m);
	write_durations(t, m);
	say_one(t, "dray_http_received_bytes_total", "counter", "Bytes of requests' bodies.",
		atomic_load(&m->received));
	say_one(t, "dray_http_sent_bytes_total", "counter",
		"Bytes of answers' bodies that arrived whole.", atomic_load(&m->sent));
	say_one(t, "dray_http_cut_total", "counter", "Requests whose answer did not arrive whole.",
		atomic_load(&m->cut));
	say_one(t, "dray_http_connections", "gauge", "Connections that are open.",
		now->connections);
	say_one(t, "dray_http_connections_max", "gauge",
		"How many may be open; further ones are turned away.", now->connections_max);
}

/* ---- what is served ---- */

static void write_shelf(struct text *t, const struct shelf_state *s)
{
	say_one(t, "dray_repositories", "gauge", "Repositories that are served.", s->repositories);
	say_one(t, "dray_manifests", "gauge", "Manifests and indexes that are served.",
		s->manifests);
	say_one(t, "dray_blobs", "gauge", "Blobs in the folder.", s->blobs);
	say_one(t, "dray_storage_bytes", "gauge",
		"Bytes of blobs, uploads and manifests in the folder.", s->bytes);
	say_one(t, "dray_storage_quota_bytes", "gauge", "How many there may be.", s->quota);
	say_one(t, "dray_uploads", "gauge", "Uploads that are open.", s->uploads);
	say_one(t, "dray_gc_runs_total", "counter", "Garbage collections that came to their end.",
		s->collections);
	say_one(t, "dray_gc_removed_blobs_total", "counter", "Blobs that they removed.",
		s->collected_blobs);
	say_one(t, "dray_gc_removed_bytes_total", "counter", "Bytes of these blobs.",
		s->collected_bytes);
}

/* ---- the process, under the names that all exporters use ---- */

static int64_t resident_bytes(void)
{
	cleanup_fd int fd = io_openat(AT_FDCWD, "/proc/self/statm", O_RDONLY, 0, NULL);
	char text[128];
	int64_t n = fd < 0 ? -1 : io_pread(fd, text, sizeof(text), 0, NULL), pages;
	struct span rest = span_of(text, n < 0 ? 0 : (size_t)n);
	int64_t blank = span_find(rest, ' ');

	rest = blank < 0 ? span_of("", 0) : span_from(rest, (size_t)blank + 1);
	blank = span_find(rest, ' ');
	if (blank < 0 || !num_parse_u63(span_head(rest, (size_t)blank), &pages))
		return -1;
	return pages * sysconf(_SC_PAGESIZE);
}

static int count_name(void *arg, const char *name, dray_error **err)
{
	int64_t *n = arg;

	(void)name, (void)err;
	++*n;
	return 0;
}

static int64_t open_fds(void)
{
	cleanup_fd int dir = io_openat(AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY, 0, NULL);
	int64_t n = 0;

	if (dir < 0 || io_each_name(dir, count_name, &n, NULL) < 0)
		return -1;
	return n;
}

static int64_t max_fds(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return -1;
	return (int64_t)limit.rlim_cur;
}

static int64_t ms_of(struct timeval t)
{
	return (int64_t)t.tv_sec * 1000 + t.tv_usec / 1000;
}

static void write_process(struct text *t, int64_t started)
{
	struct rusage used;

	if (getrusage(RUSAGE_SELF, &used) == 0) {
		say_help(t, "process_cpu_seconds_total", "counter",
			 "Processor time of the process, its own and the kernel's for it.");
		say_ms(t, "process_cpu_seconds_total", "",
		       ms_of(used.ru_utime) + ms_of(used.ru_stime));
	}
	say_one(t, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
	say_one(t, "process_open_fds", "gauge", "Open file descriptors.", open_fds());
	say_one(t, "process_max_fds", "gauge", "How many there may be.", max_fds());
	say_one(t, "process_start_time_seconds", "gauge",
		"When the server was started, in seconds since 1970.", started);
}

int metrics_write(struct metrics *m, const struct metrics_now *now, struct buf *ret,
		  dray_error **err)
{
	struct text t = { ret, err, false };

	say_help(&t, "dray_build_info", "gauge", "1; its label is the version of dray.");
	say_sample(&t, "dray_build_info", "{version=\"" DRAY_VERSION "\"}", 1);
	write_http(&t, m, now);
	write_shelf(&t, &now->shelf);
	write_process(&t, now->started);
	return t.failed ? -1 : 0;
}
