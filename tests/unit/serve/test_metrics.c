/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server counts, and the text of it.
 */
#include "torture.h"

#include "base/mem.h"
#include "serve/metrics.h"

static void count(struct metrics *m, enum route_kind kind, enum method method, int status,
		  int64_t ms)
{
	const struct metrics_request r = {
		.kind = kind,
		.method = method,
		.status = status,
		.cut = status == 0,
		.received = 10,
		.sent = 100,
		.ms = ms,
	};

	metrics_count(m, &r);
}

/* The text, to be freed. */
static char *text_of(struct metrics *m, const struct metrics_now *now)
{
	struct buf text = BUF_INIT(METRICS_MAX);
	dray_error *err = NULL;

	assert_ok(metrics_write(m, now, &text, &err), err);
	return buf_steal_str(&text, NULL);
}

/* Whether @p line is a line of @p text. */
static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at += len)
		if ((at == text || at[-1] == '\n') && at[len] == '\n')
			return true;
	return false;
}

static void requests(void **state)
{
	static const char *const lines[] = {
		"dray_build_info{version=\"" DRAY_VERSION "\"} 1",
		"dray_http_requests_total{route=\"manifest\",method=\"GET\",code=\"2xx\"} 2",
		"dray_http_requests_total{route=\"manifest\",method=\"GET\",code=\"4xx\"} 1",
		"dray_http_requests_total{route=\"blob\",method=\"HEAD\",code=\"none\"} 1",
		"dray_http_requests_total{route=\"other\",method=\"other\",code=\"4xx\"} 1",
		/* a limit belongs to its bucket, and each bucket has those before it */
		"dray_http_request_duration_seconds_bucket{route=\"manifest\",le=\"0.005\"} 1",
		"dray_http_request_duration_seconds_bucket{route=\"manifest\",le=\"0.025\"} 2",
		"dray_http_request_duration_seconds_bucket{route=\"manifest\",le=\"60\"} 2",
		"dray_http_request_duration_seconds_bucket{route=\"manifest\",le=\"+Inf\"} 3",
		"dray_http_request_duration_seconds_sum{route=\"manifest\"} 60.012",
		"dray_http_request_duration_seconds_count{route=\"manifest\"} 3",
		"dray_http_received_bytes_total 50",
		"dray_http_sent_bytes_total 400",
		"dray_http_cut_total 1",
		"dray_http_connections 3",
		"dray_http_connections_max 9",
		"process_start_time_seconds 1700000000",
	};
	const struct metrics_now now = { SHELF_STATE_INIT, 3, 9, 1700000000 };
	struct metrics *m = mem_zalloc(sizeof(*m));

	(void)state;
	count(m, ROUTE_MANIFEST, METHOD_GET, 200, 5);
	count(m, ROUTE_MANIFEST, METHOD_GET, 206, 6);
	count(m, ROUTE_MANIFEST, METHOD_GET, 404, 60001);
	count(m, ROUTE_BLOB, METHOD_HEAD, 0, 0);
	count(m, ROUTE_KINDS, METHODS, 431, 0);

	char *text = text_of(m, &now);
	for (size_t i = 0; i < ROWS(lines); i++)
		if (!has_line(text, lines[i]))
			fail_msg("missing: %s\n%s", lines[i], text);
	assert_null(strstr(text, "route=\"tags\""));
	mem_free(text);
	mem_free(m);
}

/* What a shelf has not is left out; zero is told. */
static void shelves(void **state)
{
	struct metrics_now now = { SHELF_STATE_INIT, 0, 1, 0 };
	struct metrics *m = mem_zalloc(sizeof(*m));
	char *text = text_of(m, &now);

	(void)state;
	assert_null(strstr(text, "dray_repositories"));
	assert_null(strstr(text, "dray_storage_quota_bytes"));
	mem_free(text);

	now.shelf = (struct shelf_state){ 0, 1, 2, INT64_MAX, -1, 5, 6, 7, 8 };
	text = text_of(m, &now);
	assert_true(has_line(text, "# TYPE dray_repositories gauge"));
	assert_true(has_line(text, "dray_repositories 0"));
	assert_true(has_line(text, "dray_manifests 1"));
	assert_true(has_line(text, "dray_blobs 2"));
	assert_true(has_line(text, "dray_storage_bytes 9223372036854775807"));
	assert_null(strstr(text, "dray_storage_quota_bytes"));
	assert_true(has_line(text, "dray_uploads 5"));
	assert_true(has_line(text, "dray_gc_runs_total 6"));
	assert_true(has_line(text, "dray_gc_removed_blobs_total 7"));
	assert_true(has_line(text, "dray_gc_removed_bytes_total 8"));
	mem_free(text);
	mem_free(m);
}

/* However many series there can be, they fit. */
static void everything(void **state)
{
	const struct metrics_now now = { SHELF_STATE_INIT, 0, 1, 0 };
	struct metrics *m = mem_zalloc(sizeof(*m));

	(void)state;
	for (int k = 0; k <= ROUTE_KINDS; k++)
		for (int method = 0; method <= METHODS; method++)
			for (int status = 0; status < METRICS_STATUSES; status++)
				count(m, (enum route_kind)k, (enum method)method, status * 100,
				      INT32_MAX);
	char *text = text_of(m, &now);
	assert_true(strlen(text) < METRICS_MAX / 4);
	assert_null(strstr(text, "(null)")); /* a new route has its word */
	mem_free(text);
	mem_free(m);
}

static int write_once(void *arg, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(METRICS_MAX);
	const struct metrics_now now = { SHELF_STATE_INIT, 0, 1, 0 };

	return metrics_write(arg, &now, &text, err);
}

static void torture(void **state)
{
	struct metrics *m = mem_zalloc(sizeof(*m));

	(void)state;
	count(m, ROUTE_TAGS, METHOD_GET, 200, 1);
	torture_alloc(write_once, m);
	mem_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(shelves),
		cmocka_unit_test(everything),
		cmocka_unit_test(torture),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
