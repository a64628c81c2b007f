/* SPDX-License-Identifier: Apache-2.0
 *
 * One change of a config: what it does to which text, and what no image should say.
 */
#include "torture.h"

#include "base/limits.h"
#include "image/config_step.h"

#define S(...) ((struct dray_edit_step){ __VA_ARGS__ })
#define SET(field, name, value) S(DRAY_EDIT_##field, DRAY_EDIT_SET, name, value)
#define REMOVE(field, name) S(DRAY_EDIT_##field, DRAY_EDIT_REMOVE, name, NULL)
#define CLEAR(field) S(DRAY_EDIT_##field, DRAY_EDIT_CLEAR, NULL, NULL)

struct row {
	const char *before;
	struct dray_edit_step step;
	const char *after; /* NULL = before */
};

static const struct row rows[] = {
	/* Env: the first of the name takes the value, others of it go; names are whole. */
	{ "{\"config\":{\"Env\":[\"A=1\",\"AB=2\"]}}", SET(ENV, "A", "x=y"),
	  "{\"config\":{\"Env\":[\"A=x=y\",\"AB=2\"]}}" },
	{ "{\"config\":{\"Env\":[\"A=1\", \"B\" ,\"A=2\"]}}", SET(ENV, "A", "3"),
	  "{\"config\":{\"Env\":[\"A=3\", \"B\"]}}" },
	{ "{\"config\":{\"Env\":[\"A=1\"]}}", SET(ENV, "A", "1"), NULL },
	{ "{\"config\":{\"Env\":[\"\\u0041=1\"]}}", SET(ENV, "A", "1"), NULL },
	{ "{\"config\":{\"Env\":null}}", SET(ENV, "A", "1"), "{\"config\":{\"Env\":[\"A=1\"]}}" },
	{ "{\"config\":{}}", SET(ENV, "A", "<"), "{\"config\":{\"Env\":[\"A=\\u003c\"]}}" },
	{ "{\"os\":\"linux\"}", SET(ENV, "A", "1"),
	  "{\"os\":\"linux\",\"config\":{\"Env\":[\"A=1\"]}}" },
	{ "{\"config\":null}", SET(USER, NULL, "app"), "{\"config\":{\"User\":\"app\"}}" },
	{ "{\"config\":{\"Env\":[\"A=1\",\"AB=2\",\"C\"]}}", REMOVE(ENV, "A*"),
	  "{\"config\":{\"Env\":[\"C\"]}}" },
	{ "{\"config\":{\"Env\":[\"A=1\",\"AB=2\"]}}", REMOVE(ENV, "A"),
	  "{\"config\":{\"Env\":[\"AB=2\"]}}" },
	{ "{\"config\":{\"Env\":[\"A=1\"],\"x\":1e2}}", REMOVE(ENV, "*"),
	  "{\"config\":{\"x\":1e2}}" },
	{ "{\"config\":{\"Env\":[\"A=1\"]}}", REMOVE(ENV, "B"), NULL },
	{ "{\"config\":{\"Env\":[]}}", REMOVE(ENV, "*"), NULL },
	{ "{\"config\":{\"Env\":[\"A=1\"],\"x\":1}}", CLEAR(ENV), "{\"config\":{\"x\":1}}" },
	{ "{}", CLEAR(ENV), NULL },
	/* Objects of names: what is there stays as it is. */
	{ "{\"config\":{\"Volumes\":{\"/a\":{ }}}}", SET(VOLUME, "/a", NULL), NULL },
	{ "{\"config\":{\"Volumes\":{\"/a\":{}}}}", SET(VOLUME, "/b", NULL),
	  "{\"config\":{\"Volumes\":{\"/a\":{},\"/b\":{}}}}" },
	{ "{\"config\":{\"Volumes\":null}}", SET(VOLUME, "/b", NULL),
	  "{\"config\":{\"Volumes\":{\"/b\":{}}}}" },
	{ "{\"config\":{\"Volumes\":{\"/var/a\":{},\"/srv\":{}, \"/var/b\":{}}}}",
	  REMOVE(VOLUME, "/var/*"), "{\"config\":{\"Volumes\":{\"/srv\":{}}}}" },
	{ "{\"config\":{\"Volumes\":{\"/a\":{}},\"Cmd\":null}}", REMOVE(VOLUME, "/a"),
	  "{\"config\":{\"Cmd\":null}}" },
	{ "{\"config\":{\"Volumes\":{}}}", CLEAR(VOLUME), "{\"config\":{}}" },
	/* Ports: tcp when not told; a number fits every protocol. */
	{ "{\"config\":{}}", SET(EXPOSE, "80", NULL),
	  "{\"config\":{\"ExposedPorts\":{\"80/tcp\":{}}}}" },
	{ "{\"config\":{\"ExposedPorts\":{\"80/tcp\":{}}}}", SET(EXPOSE, "80", NULL), NULL },
	/* A range is written as its ports, as docker build does; it takes away those in it. */
	{ "{\"config\":{}}", SET(EXPOSE, "8000-8002/udp", NULL),
	  "{\"config\":{\"ExposedPorts\":{\"8000/udp\":{},\"8001/udp\":{},\"8002/udp\":{}}}}" },
	{ "{\"config\":{\"ExposedPorts\":{\"81/tcp\": {} }}}", SET(EXPOSE, "80-82", NULL),
	  "{\"config\":{\"ExposedPorts\":{\"81/tcp\": {},\"80/tcp\": {},\"82/tcp\": {} }}}" },
	{ "{\"config\":{\"ExposedPorts\":{\"80/tcp\":{},\"81/udp\":{},\"82\":{},\"90/tcp\":{}}}}",
	  REMOVE(EXPOSE, "80-82"), "{\"config\":{\"ExposedPorts\":{\"90/tcp\":{}}}}" },
	{ "{\"config\":{\"ExposedPorts\":{\"80/tcp\":{},\"81/udp\":{},\"82\":{}}}}",
	  REMOVE(EXPOSE, "80-82/tcp"), "{\"config\":{\"ExposedPorts\":{\"81/udp\":{}}}}" },
	{ "{\"config\":{\"ExposedPorts\":{\"80-90/tcp\":{},\"7/tcp\":{}}}}",
	  REMOVE(EXPOSE, "80-90"), "{\"config\":{\"ExposedPorts\":{\"7/tcp\":{}}}}" },
	{ "{\"config\":{\"ExposedPorts\":{\"53/tcp\":{},\"53/udp\":{},\"5353/udp\":{}}}}",
	  REMOVE(EXPOSE, "53"), "{\"config\":{\"ExposedPorts\":{\"5353/udp\":{}}}}" },
	{ "{\"config\":{\"ExposedPorts\":{\"53/tcp\":{},\"53/udp\":{}}}}", REMOVE(EXPOSE, "53/udp"),
	  "{\"config\":{\"ExposedPorts\":{\"53/tcp\":{}}}}" },
	/* Labels, whose names are data. */
	{ "{\"config\":{\"Labels\":{\"a\":\"1\",\"A\":\"2\"}}}", SET(LABEL, "A", "3"),
	  "{\"config\":{\"Labels\":{\"a\":\"1\",\"A\":\"3\"}}}" },
	{ "{\"config\":{\"Labels\":{\"a\":\"1\"}}}", SET(LABEL, "b\"", ""),
	  "{\"config\":{\"Labels\":{\"a\":\"1\",\"b\\\"\":\"\"}}}" },
	{ "{\"config\":{\"Labels\":{\"old.a\":\"1\",\"x\":\"\"}}}", REMOVE(LABEL, "old.*"),
	  "{\"config\":{\"Labels\":{\"x\":\"\"}}}" },
	/* Lists that are given as a whole. */
	{ "{\"config\":{\"Cmd\":[\"a\"]}}", SET(CMD, NULL, " b  c\t"),
	  "{\"config\":{\"Cmd\":[\"b\",\"c\"]}}" },
	{ "{\"config\":{\"Cmd\":[\"a\" , \"b\"]}}", SET(CMD, NULL, "a b"), NULL },
	{ "{\"config\":{\"Entrypoint\":null}}", SET(ENTRYPOINT, NULL, "[ \"/x y\" ]"),
	  "{\"config\":{\"Entrypoint\":[\"/x y\"]}}" },
	{ "{\"config\":{\"Cmd\":[\"a\"],\"Entrypoint\":[\"e\"]}}", CLEAR(CMD),
	  "{\"config\":{\"Entrypoint\":[\"e\"]}}" },
	{ "{\"config\":{}}", SET(CMD, NULL, "[]"), "{\"config\":{\"Cmd\":[]}}" },
	{ "{\"config\":{}}", SET(HEALTHCHECK, NULL, "NONE"),
	  "{\"config\":{\"Healthcheck\":{\"Test\":[\"NONE\"]}}}" },
	{ "{\"config\":{}}", SET(HEALTHCHECK, NULL, "{\"Test\":[],\"Interval\":1000000}"),
	  "{\"config\":{\"Healthcheck\":{\"Test\":[],\"Interval\":1000000}}}" },
	{ "{\"config\":{}}", SET(HEALTHCHECK, NULL, "{\"Test\":[\"CMD\",\"x\"],\"Retries\":3}"),
	  "{\"config\":{\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Retries\":3}}}" },
	{ "{\"config\":{\"OnBuild\":[\"RUN a\"]}}", SET(ONBUILD, "RUN b", NULL),
	  "{\"config\":{\"OnBuild\":[\"RUN a\",\"RUN b\"]}}" },
	/* Strings, of the config and of the document. */
	{ "{\"config\":{\"User\":\"root\"}}", SET(USER, NULL, "1000:1000"),
	  "{\"config\":{\"User\":\"1000:1000\"}}" },
	{ "{\"config\":{\"User\":\"\"}}", SET(USER, NULL, ""), NULL },
	{ "{\"author\":\"x\", \"os\":\"linux\"}", CLEAR(AUTHOR), "{\"os\":\"linux\"}" },
	{ "{}", SET(CREATED, NULL, "1700000000"), "{\"created\":\"2023-11-14T22:13:20Z\"}" },
	{ "{}", SET(CREATED, NULL, "2020-01-02T03:04:05.6+01:00"),
	  "{\"created\":\"2020-01-02T03:04:05.6+01:00\"}" },
	{ "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}",
	  SET(PLATFORM, NULL, "linux/amd64"), "{\"os\":\"linux\",\"architecture\":\"amd64\"}" },
	{ "{\"os\":\"linux\",\"architecture\":\"amd64\"}", SET(PLATFORM, NULL, "linux/arm64/v8"),
	  "{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}" },
	{ "{\"architecture\":\"amd64\"}", SET(ARCHITECTURE, NULL, "riscv64"),
	  "{\"architecture\":\"riscv64\"}" },
	{ "{\"history\":[{}],\"os\":\"linux\"}", CLEAR(HISTORY), "{\"os\":\"linux\"}" },
	{ "{\"layers\":[]}", SET(ANNOTATION, "a", "b"),
	  "{\"layers\":[],\"annotations\":{\"a\":\"b\"}}" },
};

static void a_step_changes_what_it_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG), again = BUF_INIT(LIMIT_CONFIG);
		const char *want = rows[i].after ? rows[i].after : rows[i].before;
		dray_error *err = NULL;

		assert_ok(config_step(span_str(rows[i].before), &rows[i].step, &out, &err), err);
		assert_span_is(span_buf(&out), want);
		if (rows[i].step.field == DRAY_EDIT_ONBUILD)
			continue; /* each adds one more */
		assert_ok(config_step(span_buf(&out), &rows[i].step, &again, &err), err);
		assert_span_is(span_buf(&again), want);
	}
}

struct bad_row {
	const char *config;
	struct dray_edit_step step;
	enum dray_err_kind kind;
	const char *why;
};

static const struct bad_row bad_rows[] = {
	{ "{}", SET(ENV, "", "1"), DRAY_ERR_USAGE, "a name is missing" },
	{ "{}", SET(ENV, NULL, "1"), DRAY_ERR_USAGE, "a name is missing" },
	{ "{}", SET(ENV, "A=B", "1"), DRAY_ERR_USAGE, "no '='" },
	{ "{}", SET(ENV, "A", NULL), DRAY_ERR_USAGE, "a value is missing" },
	{ "{}", REMOVE(ENV, "[a"), DRAY_ERR_USAGE, "env: " },
	{ "{}", REMOVE(USER, "a"), DRAY_ERR_USAGE, "cleared as a whole" },
	{ "{}", CLEAR(PLATFORM), DRAY_ERR_USAGE, "has a platform" },
	{ "{}", SET(HISTORY, NULL, "x"), DRAY_ERR_USAGE, "cleared only" },
	{ "{}", SET(EXPOSE, "0", NULL), DRAY_ERR_USAGE, "expected PORT" },
	{ "{}", SET(EXPOSE, "65536", NULL), DRAY_ERR_USAGE, "expected PORT" },
	{ "{}", SET(EXPOSE, "90-80", NULL), DRAY_ERR_USAGE, "expected PORT" },
	{ "{}", SET(EXPOSE, "80/http", NULL), DRAY_ERR_USAGE, "expected PORT" },
	{ "{}", SET(EXPOSE, "80-/tcp", NULL), DRAY_ERR_USAGE, "expected PORT" },
	{ "{}", SET(EXPOSE, "1-1025", NULL), DRAY_ERR_USAGE, "more than 1024 ports" },
	{ "{}", SET(CMD, NULL, "sh -c 'a b'"), DRAY_ERR_USAGE, "words have no quotes" },
	{ "{}", SET(CMD, NULL, "[\"a\""), DRAY_ERR_USAGE, "cmd" },
	{ "{}", SET(CMD, NULL, "[1]"), DRAY_ERR_USAGE, "each word" },
	{ "{}", SET(HEALTHCHECK, NULL, "[]"), DRAY_ERR_USAGE, "healthcheck" },
	{ "{}", SET(HEALTHCHECK, NULL, "{\"Test\":\"x\"}"), DRAY_ERR_USAGE,
	  "\"Test\": expected array" },
	{ "{}", SET(HEALTHCHECK, NULL, "{\"Test\":[\"\\u0000\"]}"), DRAY_ERR_USAGE, "holds a NUL" },
	{ "{}", SET(HEALTHCHECK, NULL, "{\"Test\":[\"\"]}"), DRAY_ERR_USAGE, "begins with NONE" },
	{ "{}", SET(HEALTHCHECK, NULL, "{\"Test\":[\"CMD-SHELL\"]}"), DRAY_ERR_USAGE,
	  "command is missing" },
	{ "{}", SET(HEALTHCHECK, NULL, "{\"Test\":null}"), DRAY_ERR_USAGE, "found null" },
	{ "{}", SET(HEALTHCHECK, NULL, "{\"Interval\":\"1h2ms\"}"), DRAY_ERR_USAGE,
	  "1h2ms are 3600002000000" },
	{ "{}", SET(HEALTHCHECK, NULL, "{\"Interval\":\"9999999h\"}"), DRAY_ERR_USAGE,
	  "expected nanoseconds: 30 seconds are" },
	{ "{}", SET(HEALTHCHECK, NULL, "{\"Interval\":\"\\u0000\"}"), DRAY_ERR_USAGE,
	  "expected nanoseconds: 30 seconds are" },
	{ "{}", SET(HEALTHCHECK, NULL, "{\"Interval\":9223372036854775808}"), DRAY_ERR_USAGE,
	  "whole nanoseconds" },
	{ "{}", SET(HEALTHCHECK, NULL, "{\"Interval\":999999}"), DRAY_ERR_USAGE, "is the least" },
	{ "{}", SET(HEALTHCHECK, NULL, "{\"retries\":1}"), DRAY_ERR_USAGE,
	  "unknown key \"retries\"" },
	{ "{}", SET(CREATED, NULL, "yesterday"), DRAY_ERR_USAGE, "created: expected" },
	{ "{}", SET(PLATFORM, NULL, "linux"), DRAY_ERR_USAGE, "linux" },
	{ "{}", S(0, DRAY_EDIT_SET, "a", "b"), DRAY_ERR_USAGE, "no such field" },
	{ "{}", S(DRAY_EDIT_ENV, 9, "a", "b"), DRAY_ERR_USAGE, "no such action" },
	{ "{\"config\":[]}", SET(ENV, "A", "1"), DRAY_ERR_FORMAT, "config.config" },
	{ "{\"config\":{\"Env\":{}}}", SET(ENV, "A", "1"), DRAY_ERR_FORMAT, "Env" },
	{ "{\"config\":{\"Env\":[1]}}", SET(ENV, "A", "1"), DRAY_ERR_FORMAT, "Env" },
	{ "{\"config\":{\"Labels\":[]}}", REMOVE(LABEL, "*"), DRAY_ERR_FORMAT, "Labels" },
	{ "{\"config\":{\"User\":1}}", SET(USER, NULL, "a"), DRAY_ERR_FORMAT, "User" },
};

static void what_no_image_should_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(bad_rows); i++) {
		cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG);
		dray_error *err = NULL;

		assert_int_equal(
			config_step(span_str(bad_rows[i].config), &bad_rows[i].step, &out, &err),
			-1);
		assert_err(err, bad_rows[i].kind, bad_rows[i].why);
	}
}

static int run(void *arg, dray_error **err)
{
	const struct row *row = arg;
	cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG);

	return config_step(span_str(row->before), &row->step, &out, err);
}

static void allocations_fail_cleanly_G17(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		torture_alloc(run, (void *)(uintptr_t)&rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_changes_what_it_names),
		cmocka_unit_test(what_no_image_should_say),
		cmocka_unit_test(allocations_fail_cleanly_G17),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
