/* SPDX-License-Identifier: Apache-2.0
 *
 * Globs of specs, lines of passwd, and configs on a base.
 * Relies on tables: one row for each rule.
 * Promises beside what fits what nearly does.
 */
#include "build/match.h"

#include "base/limits.h"
#include "base/mem.h"
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

	assert_ok(spec_parse(span_str(text), "s", false, NULL, 0, &s, &err), err);
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

#define BASE_ENV "{\"config\":{\"Env\":[\"P=/b\",\"BARE\",\"Q=q=1\"]}}"

/* "${NAME}" is what the environment has by then; one that is refused is told with its place. */
static void test_environment(void **state)
{
	(void)state;
	static const struct {
		const char *env, *made; /* NULL = refused with */
		const char *said;
	} rows[] = {
		{ "{\"P\":\"/a:${P}\",\"R\":\"${P}\"}",
		  "[\"P=/a:/b\",\"BARE\",\"Q=q=1\",\"R=/a:/b\"]", NULL },
		{ "[\"A=x\",\"B=${A}${A}$A$$\",\"C=${Q}\"]",
		  "[\"P=/b\",\"BARE\",\"Q=q=1\",\"A=x\",\"B=xx$A$$\",\"C=q=1\"]", NULL },
		/* what is put in is not looked at again */
		{ "{\"A\":\"$${P}$$${P}$\",\"B\":\"${A}\"}",
		  "[\"P=/b\",\"BARE\",\"Q=q=1\",\"A=${P}$${P}$\",\"B=${P}$${P}$\"]", NULL },
		/* of two the last counts, and is all there is */
		{ "[\"P=/x:${P}\",\"P=/y:${P}\"]", "[\"P=/y:/b\",\"BARE\",\"Q=q=1\"]", NULL },
		{ "{\"P\":null,\"E\":\"\",\"F\":\"(${E})\"}",
		  "[\"BARE\",\"Q=q=1\",\"E=\",\"F=()\"]", NULL },
		{ "{\"A\":\"\\u0024{Q}\"}", "[\"P=/b\",\"BARE\",\"Q=q=1\",\"A=q=1\"]", NULL },
		{ "{\"A\":\"${B}\",\"B\":\"1\"}", NULL,
		  "s:2:12: Env \"A\": ${B} has no value here" },
		{ "{\"P\":null,\n\"A\":\"${P}\"}", NULL,
		  "s:3:5: Env \"A\": ${P} has no value here" },
		{ "{\"A\":\"${BARE}\"}", NULL, "s:2:12: Env \"A\": ${BARE} has no value here" },
		{ "[\"A=${P\"]", NULL, "s:2:8: Env \"A\": \"${\" without \"}\"" },
		{ "[\"A=${P:-x}\"]", NULL, "s:2:8: Env \"A\": expected ${NAME}" },
		{ "[\"A=${}\"]", NULL, "s:2:8: Env \"A\": expected ${NAME}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *spec = mem_printf("{\"dray\":1,\"config\":{\"expand\":true,\n\"Env\":%s}}",
					rows[i].env);
		char *made = mem_printf("{\"config\":{\"Env\":%s},\"created\":"
					"\"1970-01-01T00:00:01Z\"}",
					rows[i].made ? rows[i].made : "");
		struct buf b = BUF_INIT(LIMIT_CONFIG);
		dray_error *err = NULL;
		int rc = make(spec, BASE_ENV, &b, &err);

		if ((rc == 0) != !rows[i].said)
			fail_msg("row %zu: %s", i, err ? dray_error_message(err) : "taken");
		if (rc == 0 && !span_is(span_buf(&b), made))
			fail_msg("row %zu: %.*s", i, (int)b.len, (const char *)b.data);
		if (rc < 0 && strncmp(dray_error_message(err), rows[i].said, strlen(rows[i].said)))
			fail_msg("row %zu: %s", i, dray_error_message(err));
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_USAGE);
		buf_clear(&b);
		mem_free(made);
		mem_free(spec);
	}
}

static int tortured(void *arg, dray_error **err)
{
	struct config_make m = { .spec = arg,
				 .created = "1970-01-01T00:00:01Z",
				 .platform = { .os = "linux", .arch = "amd64" } };
	struct buf b = BUF_INIT(LIMIT_CONFIG);
	int rc = config_make(&m, &b, err);

	buf_clear(&b);
	return rc;
}

static void test_torture(void **state)
{
	struct spec *s = spec_of("{\"dray\":1,\"config\":{\"expand\":true,\"Env\":[\"A=x\","
				 "\"B=${A}$${A}\"]}}");

	(void)state;
	torture_alloc(tortured, s);
	spec_free(s);
}

/* Twice the last one: thirty names would have a gigabyte. */
static void test_environment_bounded(void **state)
{
	struct buf spec = BUF_INIT(LIMIT_SPEC), b = BUF_INIT(LIMIT_CONFIG);
	dray_error *err = NULL;

	(void)state;
	assert_ok(buf_add_str(&spec, "{\"dray\":1,\"config\":{\"expand\":true,\"Env\":[\"V0=x\"",
			      &err),
		  err);
	for (int i = 1; i <= 30; i++)
		assert_ok(buf_printf(&spec, &err, ",\"V%d=${V%d}${V%d}\"", i, i - 1, i - 1), err);
	assert_ok(buf_add_str(&spec, "]}}", &err), err);
	assert_ok(buf_add_byte(&spec, 0, &err), err);
	assert_int_equal(make((const char *)spec.data, NULL, &b, &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "Env \"V");
	buf_clear(&spec);
	buf_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_globs),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_configs),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_environment_bounded),
		cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
