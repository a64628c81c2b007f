/* SPDX-License-Identifier: Apache-2.0
 *
 * Globs of specs, lines of passwd, and configs on a base.
 * Relies on tables: one row for each rule.
 * Promises beside what fits what nearly does.
 */
#include "build/match.h"

#include "base/limits.h"
#include "build/accounts.h"
#include "build/config_make.h"
#include "torture.h"

static void test_globs(void **state)
{
	(void)state;
	static const struct {
		const char *glob, *path;
		bool dir, fits, holds;
	} rows[] = {
		{ "/a", "a", false, true, true },
		{ "/a", "a/b", false, false, true },
		{ "/a", "b/a", false, false, false },
		{ "a", "b/a", false, true, true },
		{ "*.pyc", "x/y.pyc", false, true, true },
		{ "*.pyc", "x/y.py", false, false, false },
		{ "/*.pyc", "x/y.pyc", false, false, false },
		{ "a/b", "x/a/b", false, false, false },
		{ "**/a/b", "x/a/b", false, true, true },
		{ "**/a/b", "a/b", false, true, true },
		{ "**/cache/", "x/cache", true, true, true },
		{ "**/cache/", "x/cache", false, false, false },
		{ "**/cache/", "x/cache/f", false, false, true },
		{ "cache/", "x/cache/f", false, false, true },
		{ "/a/**", "a", true, false, false },
		{ "/a/**", "a/b", false, true, true },
		{ "/a/**", "a/b/c", false, true, true },
		{ "/a/**/z", "a/z", false, true, true },
		{ "/a/**/z", "a/b/c/z", false, true, true },
		{ "/a/**/z", "a/b/c/y", false, false, false },
		{ "/a/*", "a/b/c", false, false, true },
		{ "**", "a/b", false, true, true },
		{ "/[ab]?", "bc", false, true, true },
		{ "/[ab]?", "cc", false, false, false },
	};
	struct match_path p = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena a = { 0 };
		dray_error *err = NULL;
		struct match m;

		assert_ok(match_parse(&a, rows[i].glob, &m, &err), err);
		assert_ok(match_path_set(&p, rows[i].path, &err), err);
		if (match_fits(&m, &p, rows[i].dir) != rows[i].fits ||
		    match_holds(&m, &p, rows[i].dir) != rows[i].holds)
			fail_msg("%s on %s", rows[i].glob, rows[i].path);
		arena_clear(&a);
	}
	match_path_clear(&p);
}

static struct spec *spec_of(const char *text)
{
	struct spec *s = NULL;
	dray_error *err = NULL;

	assert_ok(spec_parse(span_str(text), "s", NULL, 0, &s, &err), err);
	return s;
}

static void test_accounts(void **state)
{
	(void)state;
	static const char text[] =
		"{\"dray\":1,\"sources\":[{\"type\":\"user\",\"name\":\"a\",\"uid\":1,\"gid\":2},"
		"{\"type\":\"group\",\"name\":\"g\",\"gid\":3}]}";
	static const struct {
		const char *old, *passwd, *group; /* NULL = refused */
	} rows[] = {
		{ "", "a:x:1:2::/:/sbin/nologin\n", "g:x:3:\na:x:2:\n" },
		{ "r:x:0:0", "r:x:0:0\na:x:1:2::/:/sbin/nologin\n", "r:x:0:0\ng:x:3:\na:x:2:\n" },
		{ "a:x:1:2:::\n", "a:x:1:2:::\n", NULL },
		{ "a:x:9:2:::\n", NULL, NULL },
		{ "b:x:2:2:::\n", "b:x:2:2:::\na:x:1:2::/:/sbin/nologin\n",
		  "b:x:2:2:::\ng:x:3:\n" },
		{ "g:x:4:\n", "g:x:4:\na:x:1:2::/:/sbin/nologin\n", NULL },
	};
	struct spec *s = spec_of(text);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (int groups = 0; groups < 2; groups++) {
			const char *want = groups ? rows[i].group : rows[i].passwd;
			struct buf b = BUF_INIT(LIMIT_SPEC);
			dray_error *err = NULL;
			int rc = (groups ? accounts_group
					 : accounts_passwd)(s, span_str(rows[i].old), &b, &err);

			if ((rc == 0) != (want != NULL) || (want && !span_is(span_buf(&b), want)))
				fail_msg("row %zu: %.*s", i, (int)b.len, (const char *)b.data);
			if (!want)
				assert_err_kind(err, DRAY_ERR_USAGE);
			buf_clear(&b);
		}
	}
	spec_free(s);
	s = spec_of("{\"dray\":1,\"sources\":[{\"type\":\"user\",\"name\":\"a:b\",\"uid\":1,"
		    "\"gid\":2}]}");
	struct buf b = BUF_INIT(LIMIT_SPEC);
	dray_error *err = NULL;
	assert_int_equal(accounts_passwd(s, span_str(""), &b, &err), -1);
	assert_err_kind(err, DRAY_ERR_USAGE);
	buf_clear(&b);
	spec_free(s);
}

static int make(const char *spec, const char *base, struct buf *ret, dray_error **err)
{
	struct config_make m = { .spec = spec_of(spec),
				 .created = "1970-01-01T00:00:01Z",
				 .platform = { .os = "linux", .arch = "amd64" } };
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);
	struct config *c = NULL;
	int rc = 0;

	if (base)
		rc = buf_add_str(&raw, base, err) < 0 ? -1 : config_parse(&raw, &c, err);
	m.base = c;
	if (rc == 0)
		rc = config_make(&m, ret, err);
	config_free(c);
	spec_free((struct spec *)(uintptr_t)m.spec);
	return rc;
}

static void test_configs(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *base, *made;
	} rows[] = {
		{ "{\"dray\":1}", NULL,
		  "{\"created\":\"1970-01-01T00:00:01Z\",\"architecture\":\"amd64\",\"os\":"
		  "\"linux\",\"config\":{},"
		  "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"history\":[]}" },
		{ "{\"dray\":1,\"config\":{\"Env\":[\"B=2\",\"C=3\"],\"Entrypoint\":[\"/x\"]}}",
		  "{\"os\":\"linux\",\"odd\":1,\"config\":{\"Env\":[\"A=1\",\"B=1\",\"A=0\"],"
		  "\"Cmd\":[\"y\"],\"OnBuild\":[\"z\"],\"New\":[1]}}",
		  "{\"os\":\"linux\",\"odd\":1,\"config\":{\"Env\":[\"A=0\",\"B=2\",\"C=3\"],"
		  "\"New\":[1],\"Entrypoint\":[\"/x\"]},"
		  "\"created\":\"1970-01-01T00:00:01Z\"}" },
		{ "{\"dray\":1,\"config\":{\"Labels\":{\"a\":null,\"c\":\"3\"},\"User\":null,"
		  "\"Cmd\":[\"n\"]}}",
		  "{\"config\":{\"User\":\"u\",\"Labels\":{\"a\":\"1\",\"b\":\"2\"},\"Cmd\":[\"y\"]"
		  "}}",
		  "{\"config\":{\"Labels\":{\"b\":\"2\",\"c\":\"3\"},\"Cmd\":[\"n\"]},\"created\":"
		  "\"1970-01-01T00:00:01Z\"}" },
		{ "{\"dray\":1,\"base\":{\"image\":\"b\",\"inherit\":[\"Env\"]}}",
		  "{\"config\":{\"User\":\"u\",\"Env\":[\"A=1\"]}}",
		  "{\"config\":{\"Env\":[\"A=1\"]},\"created\":\"1970-01-01T00:00:01Z\"}" },
		{ "{\"dray\":1}", "{\"config\":null}",
		  "{\"config\":{},\"created\":\"1970-01-01T00:00:01Z\"}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(LIMIT_CONFIG);
		dray_error *err = NULL;

		assert_ok(make(rows[i].spec, rows[i].base, &b, &err), err);
		if (!span_is(span_buf(&b), rows[i].made))
			fail_msg("row %zu: %.*s", i, (int)b.len, (const char *)b.data);
		buf_clear(&b);
	}
	struct buf b = BUF_INIT(LIMIT_CONFIG);
	dray_error *err = NULL;
	assert_int_equal(make("{\"dray\":1}", "{\"config\":{\"Env\":\"A=1\"}}", &b, &err), -1);
	assert_err_kind(err, DRAY_ERR_FORMAT);
	buf_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_globs),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_configs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
