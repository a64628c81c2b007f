/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists to mirror: patterns, versions, templates, shards, and what is wrong with a list.
 */
#include "ops/syncplan.h"
#include "base/mem.h"
#include "ops_box.h"
#include "torture.h"

/* ---- versions ---- */

static void test_versions(void **state)
{
	static const char *const sorted[] = {
		"1",
		"1.2",
		"1.9",
		"1.10",
		"1.10-rc1",
		"1.10.0",
		"1.010.1",
		"2.0",
		"v2.0",
		"3",
		"v10",
		"20260101",
		"99999999999999999999999999",
		"alpha",
		"edge-1",
		"edge-2",
		"edge-10",
		"latest",
	};

	(void)state;
	for (size_t i = 0; i < ROWS(sorted); i++)
		for (size_t k = 0; k < ROWS(sorted); k++) {
			int order = version_compare(sorted[i], sorted[k]);

			if ((order > 0) - (order < 0) != (i > k) - (i < k))
				fail_msg("%s and %s: %d", sorted[i], sorted[k], order);
		}
}

/* ---- where images go ---- */

static void test_destination(void **state)
{
	static const char digest[] =
		"@sha256:1111111111111111111111111111111111111111111111111111111111111111";
	static const struct {
		const char *template;
		bool whole;
		const char *source, *tag, *want; /* source NULL: no registry; want NULL: USAGE */
	} rows[] = {
		{ "docker://m:5000", true, "busybox", "1", "docker://m:5000/library/busybox:1" },
		{ "m:5000/p", true, "q.io/a/b", "1", "docker://m:5000/p/a/b:1" },
		{ "m:5000/p", false, "q.io/a/b", "1", "docker://m:5000/p:1" },
		{ "m:5000/p:fixed", false, "q.io/a/b", "1", "docker://m:5000/p:fixed" },
		{ "m:5000/p:{tag}-x", false, "q.io/a/b", "1", "docker://m:5000/p:1-x" },
		{ "m:5000/{host}/{name}", true, "q.io/a/b", "1", "docker://m:5000/q.io/b:1" },
		{ "m:5000/{path}", true, "q.io/a/b", NULL, "docker://m:5000/a/b" },
		{ "oci:/x/l", true, "q.io/a/b", "1", "oci:/x/l:a/b:1" },
		{ "oci:/x/l", false, "q.io/a/b", "1", "oci:/x/l:1" },
		{ "oci:/x/{name}", true, "q.io/a/b", "1", "oci:/x/b:1" },
		{ "oci:/x/l:t", false, "q.io/a/b", "1", "oci:/x/l:t" },
		{ "oci:/x/l", false, NULL, NULL, "oci:/x/l" },
		{ "oci-archive:/x/{name}-{tag}.tar", true, "q.io/a/b", "1",
		  "oci-archive:/x/b-1.tar" },
		{ "oci-archive:/x.tar", false, "q.io/a/b", "1", "oci-archive:/x.tar" },
		{ "oci-archive:/x.tar", true, "q.io/a/b", "1", NULL },
		{ "oci:/x/l", true, NULL, "1", NULL },
		{ "m:5000/{path}", false, NULL, "1", NULL },
		{ "m:5000/p:{tag}", false, "q.io/a/b", NULL, NULL },
		{ "m:5000/{nothing}", false, "q.io/a/b", "1", NULL },
		{ "m:5000/{path", false, "q.io/a/b", "1", NULL },
		{ "m:5000/}{path}", false, "q.io/a/b", "1", NULL },
		{ "m:5000/UPPER", false, "q.io/a/b", "1", NULL },
		{ "docker://", true, "q.io/a/b", "1", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_reference struct reference ref = { 0 };
		cleanup_free char *got = NULL;
		dray_error *err = NULL;

		if (rows[i].source)
			assert_ok(reference_parse(span_str(rows[i].source), &ref, &err), err);
		int rc = sync_destination(rows[i].template, rows[i].whole,
					  rows[i].source ? &ref : NULL, rows[i].tag, &got, &err);
		if (!rows[i].want) {
			assert_int_equal(rc, -1);
			assert_err_kind(err, DRAY_ERR_USAGE);
			continue;
		}
		assert_ok(rc, err);
		assert_string_equal(got, rows[i].want);
	}

	cleanup_reference struct reference pinned = { 0 };
	cleanup_free char *name = mem_printf("q.io/a/b%s", digest), *got = NULL;
	cleanup_free char *want = mem_printf("docker://m:5000/a/b%s", digest);
	dray_error *err = NULL;
	assert_ok(reference_parse(span_str(name), &pinned, &err), err);
	assert_ok(sync_destination("m:5000", true, &pinned, NULL, &got, &err), err);
	assert_string_equal(got, want);
}

/* Published: who splits a list elsewhere has to come to the same parts. */
static void test_shard(void **state)
{
	uint32_t got;

	(void)state;
	/* printf 'docker://q.io/a:1 -> docker://m/a:1' | sha256sum */
	assert_int_equal(sync_shard("docker://q.io/a:1", "docker://m/a:1", 1000000, &got, NULL), 0);
	assert_int_equal(got, 345922);
	assert_int_equal(sync_shard("docker://q.io/a:1", "docker://m/a:1", 1, &got, NULL), 0);
	assert_int_equal(got, 0);
}

/* ---- lists ---- */

#define LIST                                                                                    \
	"{\"version\":1,\"destination\":\"m:5000\",\"images\":["                                \
	"{\"source\":\"q.io/a\",\"tags\":[\"2\",\"1\",\"x\",\"1\"],\"exclude\":[\"x*\"]},"      \
	"{\"source\":\"q.io/b:1\",\"platforms\":[\"linux/arm64\"],\"destination\":\"oci:/b\"}," \
	"{\"source\":\"q.io/a:2\"},{\"source\":\"oci:/l:t\",\"destination\":\"m:5000/l\"}]}"

static int plan_list(void *arg, dray_error **err)
{
	struct box *b = arg;
	cleanup_sync_file struct sync_file f = { 0 };
	cleanup_sync_plan struct sync_plan p = { 0 };
	static const char *const want[][2] = {
		{ "docker://q.io/a:1", "docker://m:5000/a:1" },
		{ "docker://q.io/a:2", "docker://m:5000/a:2" },
		{ "docker://q.io/b:1", "oci:/b:1" },
		{ "oci:/l:t", "docker://m:5000/l:t" },
	};

	if (sync_file_parse(SPAN_LIT(LIST), &f, err) < 0 || sync_plan_make(b->ctx, &f, &p, err) < 0)
		return -1;
	assert_int_equal(p.n, ROWS(want));
	for (size_t i = 0; i < p.n; i++) {
		assert_string_equal(p.items[i].source, want[i][0]);
		assert_string_equal(p.items[i].destination, want[i][1]);
		assert_null(p.items[i].error);
	}
	assert_int_equal(f.entries[1].platforms, SYNC_PLATFORMS_LIST);
	assert_string_equal(f.entries[1].list[0].arch, "arm64");
	return 0;
}

static void test_list(void **state)
{
	dray_error *err = NULL;

	assert_ok(plan_list(*state, &err), err);
}

static void test_list_torture_G17(void **state)
{
	torture_alloc(plan_list, *state);
}

static void test_wrong_lists(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "", "JSON" },
		{ "[]", "expected object" },
		{ "{}", "version" },
		{ "{\"version\":\"1\"}", "version" },
		{ "{\"version\":1,\"images\":[7]}", "images[0]" },
		{ "{\"version\":1,\"images\":[],\"imagez\":1}", "imagez" },
		{ "{\"version\":1,\"destination\":\"\",\"images\":[]}", "empty" },
		{ "{\"version\":1,\"destination\":\"m\",\"images\":[{\"source\":\"a\",\"tags\":["
		  "null]}]}",
		  "null" },
		{ "{\"version\":1,\"destination\":\"m\",\"images\":[{\"source\":\"a\",\"tags\":["
		  "\"\"]}]}",
		  "empty" },
		{ "{\"version\":1,\"destination\":\"m\",\"images\":[{\"source\":\"a:1\","
		  "\"platforms\":[]}]}",
		  "platforms" },
		{ "{\"version\":1,\"destination\":\"m\",\"images\":[{\"source\":\"a:1\","
		  "\"platforms\":[\"x/y/z/w\"]}]}",
		  "platforms" },
		{ "{\"version\":1,\"destination\":\"m\",\"images\":[{\"source\":\"a:1\",\"limit\":"
		  "1.5}]}",
		  "limit" },
		{ "{\"version\":1,\"destination\":\"m\",\"images\":[{\"source\":\"a:1\",\"Source\":"
		  "\"b:1\"}]}",
		  "ource" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct sync_file f;
		dray_error *err = NULL;

		assert_int_equal(sync_file_parse(span_str(rows[i].text), &f, &err), -1);
		assert_err(err, DRAY_ERR_USAGE, rows[i].message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_destination),
		cmocka_unit_test(test_shard),
		cmocka_unit_test_setup_teardown(test_list, box_setup, box_teardown),
		cmocka_unit_test_setup_teardown(test_list_torture_G17, box_setup, box_teardown),
		cmocka_unit_test(test_wrong_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
