/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to routes: the grammar, and every trick with it that we know of (R-01, R-02, R-08).
 */
#include "torture.h"

#include "serve/route.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX

static void requests(void **state)
{
	static const struct {
		const char *method, *target;
		enum route_kind kind;
		const char *repo, *tag, *digest, *upload;
	} rows[] = {
		{ "GET", "/v2/", ROUTE_BASE, NULL, NULL, NULL, NULL },
		{ "HEAD", "/v2", ROUTE_BASE, NULL, NULL, NULL, NULL },
		{ "GET", "/v2/?x=y", ROUTE_BASE, NULL, NULL, NULL, NULL },
		{ "GET", "/healthz", ROUTE_HEALTH, NULL, NULL, NULL, NULL },
		{ "GET", "/metrics", ROUTE_METRICS, NULL, NULL, NULL, NULL },
		{ "GET", "/v2/_catalog", ROUTE_CATALOG, NULL, NULL, NULL, NULL },
		{ "GET", "/v2/a/tags/list", ROUTE_TAGS, "a", NULL, NULL, NULL },
		{ "GET", "/v2/a/b-c/d__e/f.g/tags/list", ROUTE_TAGS, "a/b-c/d__e/f.g", NULL, NULL,
		  NULL },
		{ "PUT", "/v2/a/manifests/v1.0_x-Y", ROUTE_MANIFEST, "a", "v1.0_x-Y", NULL, NULL },
		{ "GET", "/v2/a/manifests/" DIGEST, ROUTE_MANIFEST, "a", NULL, DIGEST, NULL },
		{ "GET", "/v2/a/manifests/sha256%3A" HEX, ROUTE_MANIFEST, "a", NULL, DIGEST, NULL },
		{ "GET", "/v2/a/manifests/sha256%3a" HEX, ROUTE_MANIFEST, "a", NULL, DIGEST, NULL },
		{ "DELETE", "/v2/a/manifests/x", ROUTE_MANIFEST, "a", "x", NULL, NULL },
		{ "GET", "/v2/a/blobs/" DIGEST, ROUTE_BLOB, "a", NULL, DIGEST, NULL },
		{ "GET", "/v2/a/blobs/sha512:" HEX HEX, ROUTE_BLOB, "a", NULL, "sha512:" HEX HEX,
		  NULL },
		{ "POST", "/v2/a/blobs/uploads/", ROUTE_UPLOADS, "a", NULL, NULL, NULL },
		{ "POST", "/v2/a/blobs/uploads", ROUTE_UPLOADS, "a", NULL, NULL, NULL },
		{ "PATCH", "/v2/a/b/blobs/uploads/0aZ-9", ROUTE_UPLOAD, "a/b", NULL, NULL,
		  "0aZ-9" },
		{ "GET", "/v2/a/referrers/" DIGEST, ROUTE_REFERRERS, "a", NULL, DIGEST, NULL },
		/* names that look like routes */
		{ "GET", "/v2/a/blobs/manifests/x", ROUTE_MANIFEST, "a/blobs", "x", NULL, NULL },
		{ "GET", "/v2/a/manifests/b/tags/list", ROUTE_TAGS, "a/manifests/b", NULL, NULL,
		  NULL },
		{ "GET", "/v2/a/blobs/uploads/manifests/x", ROUTE_MANIFEST, "a/blobs/uploads", "x",
		  NULL, NULL },
		{ "GET", "/v2/tags/list/tags/list", ROUTE_TAGS, "tags/list", NULL, NULL, NULL },
		{ "GET", "/v2/a/manifests/list", ROUTE_MANIFEST, "a", "list", NULL, NULL },
		{ "GET", "/v2/v2/manifests/v2", ROUTE_MANIFEST, "v2", "v2", NULL, NULL },
		/* pages */
		{ "GET", "/", ROUTE_HOME, NULL, NULL, NULL, NULL },
		{ "HEAD", "/?q=a&last=b", ROUTE_HOME, NULL, NULL, NULL, NULL },
		{ "GET", "/a", ROUTE_REPO, "a", NULL, NULL, NULL },
		{ "GET", "/a/b?q=1", ROUTE_REPO, "a/b", NULL, NULL, NULL },
		{ "GET", "/a/b:1", ROUTE_IMAGE, "a/b", "1", NULL, NULL },
		{ "GET", "/a/b:1?efficiency=1", ROUTE_IMAGE, "a/b", "1", NULL, NULL },
		{ "GET", "/a@" DIGEST, ROUTE_IMAGE, "a", NULL, DIGEST, NULL },
		{ "GET", "/a:1@sha256%3A" HEX, ROUTE_IMAGE, "a", NULL, DIGEST, NULL },
		{ "GET", "/-/v2/a:1", ROUTE_IMAGE, "v2/a", "1", NULL, NULL },
		{ "GET", "/-/healthz", ROUTE_REPO, "healthz", NULL, NULL, NULL },
		{ "GET", "/v2x", ROUTE_REPO, "v2x", NULL, NULL, NULL },
		{ "GET", "/-style.css", ROUTE_ASSET, NULL, NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_route struct route r;
		const char *allow;
		dray_error *err = NULL;

		if (route_parse(rows[i].method, span_str(rows[i].target), &r, &allow, &err) < 0)
			fail_msg("%s: %s", rows[i].target, dray_error_message(err));
		if (r.kind != rows[i].kind)
			fail_msg("%s: kind %d", rows[i].target, (int)r.kind);
		assert_string_equal(r.repo ? r.repo : "-", rows[i].repo ? rows[i].repo : "-");
		assert_string_equal(r.ref.tag ? r.ref.tag : "-", rows[i].tag ? rows[i].tag : "-");
		assert_string_equal(r.ref.digest.text, rows[i].digest ? rows[i].digest : "");
		assert_string_equal(r.upload ? r.upload : "-",
				    rows[i].upload ? rows[i].upload : "-");
	}
}

static void refusals(void **state)
{
	static const struct {
		const char *method, *target;
		int status;
		const char *code;
	} rows[] = {
		{ "GET", "", 404, "UNSUPPORTED" },
		{ "POST", "/", 405, "UNSUPPORTED" },
		{ "PUT", "/a:1", 405, "UNSUPPORTED" },
		{ "GET", "/A", 404, "UNSUPPORTED" },
		{ "GET", "/a/", 404, "UNSUPPORTED" },
		{ "GET", "/../a", 404, "UNSUPPORTED" },
		{ "GET", "/a/%2e%2e/b", 404, "UNSUPPORTED" },
		{ "GET", "/a:", 404, "UNSUPPORTED" },
		{ "GET", "/a:.x", 404, "UNSUPPORTED" },
		{ "GET", "/a:b/c", 404, "UNSUPPORTED" },
		{ "GET", "/a:1:2", 404, "UNSUPPORTED" },
		{ "GET", "/a@", 400, "DIGEST_INVALID" },
		{ "GET", "/a@sha256:0123", 400, "DIGEST_INVALID" },
		{ "GET", "/:1", 404, "UNSUPPORTED" },
		{ "GET", "/-/", 404, "UNSUPPORTED" },
		{ "GET", "/?q=a&q=b", 400, "UNSUPPORTED" },
		{ "GET", "/?q=%0a", 400, "UNSUPPORTED" },
		{ "GET", "/v1/", 404, "UNSUPPORTED" },
		{ "GET", "/v2/a", 404, "UNSUPPORTED" },
		{ "GET", "/v2/a/b/c", 404, "UNSUPPORTED" },
		{ "GET", "/v2//", 404, "UNSUPPORTED" },
		{ "GET", "//v2/", 404, "UNSUPPORTED" },
		{ "GET", "http://x/v2/", 404, "UNSUPPORTED" },
		{ "GET", "*", 404, "UNSUPPORTED" },
		{ "GET", "/v2/../etc/passwd", 404, "UNSUPPORTED" },
		{ "GET", "/v2/a/../b/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/./manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/%2e%2e/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/a%2fb/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/a%252fb/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/A/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/_a/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/-a/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/a-/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/a..b/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/a___b/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/a//b/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2//manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/a:b/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/\xc3\xa4/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/a b/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/a\r\nX: y/manifests/x", 400, "NAME_INVALID" },
		{ "GET", "/v2/a/manifests/", 404, "MANIFEST_UNKNOWN" },
		{ "GET", "/v2/a/manifests/.x", 404, "MANIFEST_UNKNOWN" },
		{ "PUT", "/v2/a/manifests/.x", 400, "TAG_INVALID" },
		{ "PUT", "/v2/a/manifests/-x", 400, "TAG_INVALID" },
		{ "GET", "/v2/a/manifests/..", 404, "MANIFEST_UNKNOWN" },
		{ "GET", "/v2/a/manifests/%2e", 404, "MANIFEST_UNKNOWN" },
		{ "GET", "/v2/a/manifests/x%2fy", 400, "DIGEST_INVALID" },
		{ "GET", "/v2/a/manifests/sha256:../../x", 404, "UNSUPPORTED" },
		{ "GET", "/v2/a/manifests/sha256:0123", 400, "DIGEST_INVALID" },
		{ "GET", "/v2/a/manifests/" DIGEST "0", 400, "DIGEST_INVALID" },
		{ "GET", "/v2/a/blobs/x", 400, "DIGEST_INVALID" },
		{ "GET", "/v2/a/blobs/:" HEX, 400, "DIGEST_INVALID" },
		{ "GET", "/v2/a/blobs/sha256%253A" HEX, 400, "DIGEST_INVALID" },
		{ "GET", "/v2/a/blobs/sha256%3A%3A" HEX, 400, "DIGEST_INVALID" },
		{ "GET", "/v2/a/referrers/x", 400, "DIGEST_INVALID" },
		{ "GET", "/v2/a/blobs/uploads/..", 404, "BLOB_UPLOAD_UNKNOWN" },
		{ "GET", "/v2/a/blobs/uploads/x_y", 404, "BLOB_UPLOAD_UNKNOWN" },
		{ "GET", "/v2/a/blobs/uploads/" HEX, 404, "BLOB_UPLOAD_UNKNOWN" },
		{ "POST", "/v2/", 405, "UNSUPPORTED" },
		{ "", "/v2/", 405, "UNSUPPORTED" },
		{ "GE", "/v2/", 405, "UNSUPPORTED" },
		{ "get", "/v2/", 405, "UNSUPPORTED" },
		{ "PUT", "/v2/a/blobs/" DIGEST, 405, "UNSUPPORTED" },
		{ "DELETE", "/v2/a/blobs/uploads/", 405, "UNSUPPORTED" },
		{ "DELETE", "/v2/_catalog", 405, "UNSUPPORTED" },
		/* queries */
		{ "GET", "/v2/_catalog?n=-1", 400, "PAGINATION_NUMBER_INVALID" },
		{ "GET", "/v2/_catalog?n=", 400, "PAGINATION_NUMBER_INVALID" },
		{ "GET", "/v2/_catalog?n=1e3", 400, "PAGINATION_NUMBER_INVALID" },
		{ "GET", "/v2/_catalog?n=1&n=2", 400, "UNSUPPORTED" },
		{ "GET", "/v2/_catalog?last=%", 400, "UNSUPPORTED" },
		{ "GET", "/v2/_catalog?last=%0", 400, "UNSUPPORTED" },
		{ "GET", "/v2/_catalog?last=%zz", 400, "UNSUPPORTED" },
		{ "GET", "/v2/_catalog?last=%00", 400, "UNSUPPORTED" },
		{ "GET", "/v2/_catalog?last=%0d%0a", 400, "UNSUPPORTED" },
		{ "GET", "/v2/_catalog?last=%7f", 400, "UNSUPPORTED" },
		{ "POST", "/v2/a/blobs/uploads/?digest=x", 400, "DIGEST_INVALID" },
		{ "POST", "/v2/a/blobs/uploads/?mount=" DIGEST "&mount=" DIGEST, 400,
		  "UNSUPPORTED" },
		{ "POST", "/v2/a/blobs/uploads/?mount=" DIGEST "&from=../b", 400, "NAME_INVALID" },
		{ "PUT", "/v2/a/manifests/" DIGEST "?tag=.x", 400, "TAG_INVALID" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_route struct route r;
		const char *allow;
		dray_error *err = NULL;

		if (route_parse(rows[i].method, span_str(rows[i].target), &r, &allow, &err) == 0)
			fail_msg("%s %s is let in", rows[i].method, rows[i].target);
		if (dray_error_http_status(err) != rows[i].status ||
		    strcmp(dray_error_registry_code(err), rows[i].code) != 0)
			fail_msg("%s %s: %d %s", rows[i].method, rows[i].target,
				 dray_error_http_status(err), dray_error_registry_code(err));
		assert_int_equal(rows[i].status == 405, allow != NULL);
		err_clear(&err);
	}
}

/* Every repository has a page, and its address leads there. */
static void pages(void **state)
{
	static const struct {
		const char *repo, *path;
	} rows[] = {
		{ "a", "/a" },
		{ "a/b", "/a/b" },
		{ "v2", "/-/v2" },
		{ "v2/a/manifests/x", "/-/v2/a/manifests/x" },
		{ "healthz", "/-/healthz" },
		{ "healthz/a", "/healthz/a" },
		{ "style.css", "/style.css" },
		{ "v2.0", "/v2.0" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		cleanup_route struct route r;
		const char *path = route_of_repo(rows[i].repo, &a), *allow;
		dray_error *err = NULL;

		assert_string_equal(path, rows[i].path);
		assert_ok(route_parse("GET", span_str(path), &r, &allow, &err), err);
		assert_int_equal(r.kind, ROUTE_REPO);
		assert_string_equal(r.repo, rows[i].repo);
	}
}

static void queries(void **state)
{
	cleanup_route struct route r = { 0 };
	const char *allow;
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(
		route_parse("POST", SPAN_LIT("/v2/a/blobs/uploads/?_state=%zz"), &r, &allow, &err),
		-1);
	err_clear(&err); /* a value that cannot be decoded, whoever wrote it */
	route_clear(&r);
	assert_ok(route_parse("POST",
			      SPAN_LIT("/v2/a/blobs/uploads/?mount=sha256%3A" HEX
				       "&from=b%2Fc&n=x&_state=A%20b&&="),
			      &r, &allow, &err),
		  err);
	assert_string_equal(r.mount.text, DIGEST);
	assert_string_equal(r.from, "b/c");
	assert_int_equal(r.n, -1);
	route_clear(&r);
	assert_ok(
		route_parse("GET", SPAN_LIT("/v2/a/tags/list?n=10&last=a%2Bb+c"), &r, &allow, &err),
		err);
	assert_int_equal(r.n, 10);
	assert_string_equal(r.last, "a+b c");
	route_clear(&r);
	assert_ok(route_parse("GET", SPAN_LIT("/v2/a/tags/list?n=99999999999999999999999"), &r,
			      &allow, &err),
		  err);
	assert_true(r.n == INT64_MAX);
	route_clear(&r);
	assert_ok(route_parse("PUT", SPAN_LIT("/v2/a/manifests/" DIGEST "?tag=x&tag=y"), &r, &allow,
			      &err),
		  err);
	assert_int_equal(r.n_tags, 2);
	assert_string_equal(r.tags[1], "y");
	route_clear(&r);
	assert_ok(route_parse("GET",
			      SPAN_LIT("/v2/a/referrers/" DIGEST "?artifactType=a%2Fb%2Bjson"), &r,
			      &allow, &err),
		  err);
	assert_string_equal(r.artifact_type, "a/b+json");
	route_clear(&r);
	assert_ok(route_parse("GET", SPAN_LIT("/v2/a/referrers/" DIGEST "?artifactType=&n=2"), &r,
			      &allow, &err),
		  err);
	assert_null(r.artifact_type);
	assert_int_equal(r.n, 2);
}

/* 255 bytes are a name, 256 are not; so with the target, its parts and its tags. */
static void limits(void **state)
{
	char target[ROUTE_TARGET_MAX + 64];

	(void)state;
	for (int over = 0; over <= 1; over++) {
		cleanup_route struct route r = { 0 };
		const char *allow;
		dray_error *err = NULL;
		int n = snprintf(target, sizeof(target), "/v2/");

		memset(target + n, 'a', 255 + (size_t)over);
		snprintf(target + n + 255 + over, 64, "/manifests/x");
		assert_int_equal(route_parse("GET", span_str(target), &r, &allow, &err), -over);
		err_clear(&err);
		route_clear(&r);
		memset(target, 'x', sizeof(target));
		memcpy(target, "/v2/?", 5);
		target[ROUTE_TARGET_MAX + over] = '\0';
		assert_int_equal(route_parse("GET", span_str(target), &r, &allow, &err), -over);
		assert_int_equal(over ? dray_error_http_status(err) : 414, 414);
		err_clear(&err);
		route_clear(&r);
		n = snprintf(target, sizeof(target), "/v2/a/manifests/" DIGEST "?");
		for (int i = 0; i < ROUTE_TAGS_MAX + over; i++)
			n += snprintf(target + n, 16, "tag=x&");
		assert_int_equal(route_parse("PUT", span_str(target), &r, &allow, &err), -over);
		err_clear(&err);
	}
}

static void many_parts(void **state)
{
	cleanup_route struct route r = { 0 };
	char target[4096];
	const char *allow;
	dray_error *err = NULL;
	int n = snprintf(target, sizeof(target), "/v2/");

	(void)state;
	for (int i = 0; i < 1000; i++)
		n += snprintf(target + n, 4, "a/");
	assert_int_equal(route_parse("GET", span_str(target), &r, &allow, &err), -1);
	assert_int_equal(dray_error_http_status(err), 400);
	err_clear(&err);
}

static int parse_one(void *arg, dray_error **err)
{
	cleanup_route struct route r = { 0 };
	const char *allow;

	return route_parse("PUT", span_str(arg), &r, &allow, err);
}

static void no_memory(void **state)
{
	char manifest[] = "/v2/a/b/manifests/" DIGEST "?tag=x&tag=y";
	char upload[] = "/v2/a/blobs/uploads/0?digest=" DIGEST;

	(void)state;
	torture_alloc(parse_one, manifest);
	torture_alloc(parse_one, upload);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),  cmocka_unit_test(refusals),
		cmocka_unit_test(queries),   cmocka_unit_test(pages),
		cmocka_unit_test(limits),    cmocka_unit_test(many_parts),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
