/* SPDX-License-Identifier: Apache-2.0
 *
 * The image configuration: odd ones that engines take, wrong ones that nobody should.
 */
#include "torture.h"

#include "base/limits.h"
#include "base/mem.h"
#include "image/config.h"

#define D0 "sha256:b5286b140854cb4653f40218b53726462ec0b672896cb93297143ba4e93c59e2"
#define D1 "sha256:e79c58b07c6968d04001db816dc76b71ef035a9b07b2b37ecf8f917ccadb37dd"
#define D2 "sha256:951faac18bcf391257965cda3b2a9add27b0dd22904214d734450b3a32c20a1f"
#define ROOTFS(ids) "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" ids "]}"

static int parse_text(const char *text, struct config **ret, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG + 64);

	assert_int_equal(buf_add_str(&raw, text, NULL), 0);
	int rc = config_parse(&raw, ret, err);
	assert_int_equal(raw.len, 0);
	return rc;
}

static void config_good(void **state)
{
	static const struct {
		const char *text;
		bool has_diff_ids;
		size_t layers, history;
		const char *os, *arch, *created;
	} rows[] = {
		{ "{}", false, 0, 0, NULL, NULL, NULL },
		{ " {\"os\":\"linux\" ,\"architecture\":\"amd64\"}\n", false, 0, 0, "linux",
		  "amd64", NULL },
		{ "{\"os\":\"\",\"architecture\":\"\"}", false, 0, 0, NULL, NULL, NULL },
		{ "{\"config\":null,\"created\":null,\"history\":null,\"rootfs\":null}", false, 0,
		  0, NULL, NULL, NULL },
		{ "{\"rootfs\":{}}", false, 0, 0, NULL, NULL, NULL },
		{ "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":null}}", true, 0, 0, NULL, NULL,
		  NULL },
		{ "{" ROOTFS("") "}", true, 0, 0, NULL, NULL, NULL },
		{ "{" ROOTFS("\"" D0 "\",\"" D0 "\"") ",\"created\":\"odd\"}", true, 2, 0, NULL,
		  NULL, "odd" },
		{ "{\"RootFS\":{\"Diff_IDs\":[\"" D0 "\"]},\"OS\":\"linux\"}", true, 1, 0, "linux",
		  NULL, NULL },
		{ "{\"history\":[{},{\"empty_layer\":true,\"created_by\":\"x\"}]}", false, 0, 2,
		  NULL, NULL, NULL },
		{ "{\"moby.buildkit.cache.v0\":\"x\",\"os.features\":[\"y\"]}", false, 0, 0, NULL,
		  NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_config struct config *c = NULL;
		dray_error *err = NULL;

		assert_ok(parse_text(rows[i].text, &c, &err), err);
		assert_int_equal(c->has_diff_ids, rows[i].has_diff_ids);
		assert_int_equal(c->n_diff_ids, rows[i].layers);
		assert_int_equal(c->n_history, rows[i].history);
		assert_int_equal(!c->platform.os, !rows[i].os);
		assert_int_equal(!c->platform.arch, !rows[i].arch);
		if (rows[i].created)
			assert_string_equal(c->created, rows[i].created);
		assert_span_is(span_buf(&c->raw), rows[i].text);
	}
}

static void config_bad(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "" },
		{ "[]", "" },
		{ "null", "" },
		{ "{\"created\":1}", "created" },
		{ "{\"os\":[]}", "os" },
		{ "{\"config\":[]}", "config" },
		{ "{\"rootfs\":[]}", "rootfs" },
		{ "{\"rootfs\":{\"diff_ids\":{}}}", "diff_ids" },
		{ "{" ROOTFS("\"sha256:abc\"") "}", "diff_ids[0]" },
		{ "{" ROOTFS("\"" D0 "\",null") "}", "diff_ids[1]" },
		{ "{" ROOTFS("1") "}", "diff_ids[0]" },
		{ "{\"history\":{}}", "history" },
		{ "{\"history\":[{},1]}", "history[1]" },
		{ "{\"history\":[{\"empty_layer\":\"yes\"}]}", "empty_layer" },
		{ "{\"history\":[{\"created_by\":1}]}", "created_by" },
		{ "{\"os\":\"a\",\"OS\":\"b\"}", "case" },
		{ "{\"config\":{\"Tty\":true,\"tty\":true}}", "case" },
		{ "{\"rootfs\":{\"diff_ids\":[],\"DIFF_IDS\":[]}}", "case" },
		{ "{\"history\":[{\"comment\":\"\",\"Comment\":\"\"}]}", "case" },
		{ "{} x", "" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_config struct config *c = NULL;
		dray_error *err = NULL;

		if (parse_text(rows[i].text, &c, &err) == 0)
			fail_msg("%s: accepted", rows[i].text);
		assert_err(err, DRAY_ERR_FORMAT, rows[i].says);
	}
}

static void config_history_pairs(void **state)
{
	static const int64_t want[] = { 1, 3, -1 };
	cleanup_config struct config *c = NULL;
	dray_error *err = NULL;

	(void)state;
	assert_ok(
		parse_text("{\"history\":[{\"empty_layer\":true},{\"created_by\":\"a\"},"
			   "{\"empty_layer\":true},{\"created_by\":\"b\"},{\"empty_layer\":true}]}",
			   &c, &err),
		err);
	for (size_t i = 0; i < ROWS(want); i++)
		assert_int_equal(config_history_of_layer(c, i), want[i]);
}

static void config_layer_limit(void **state)
{
	(void)state;
	for (int over = 0; over < 2; over++) {
		cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG);
		cleanup_config struct config *c = NULL;
		dray_error *err = NULL;

		assert_ok(buf_add_str(&raw, "{\"rootfs\":{\"diff_ids\":[\"" D0 "\"", &err), err);
		for (int i = 1; i < LIMIT_LAYERS + over; i++)
			assert_ok(buf_add_str(&raw, ",\"" D0 "\"", &err), err);
		assert_ok(buf_add_str(&raw, "]}}", &err), err);
		int rc = config_parse(&raw, &c, &err);
		if (over)
			assert_err(err, DRAY_ERR_LIMIT, "LIMIT_LAYERS");
		else
			assert_ok(rc, err);
	}
}

static void config_size_limit(void **state)
{
	(void)state;
	for (int over = 0; over < 2; over++) {
		cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG + 1);
		cleanup_config struct config *c = NULL;
		dray_error *err = NULL;

		assert_ok(buf_reserve(&raw, (size_t)LIMIT_CONFIG + 1, &err), err);
		memset(raw.data, ' ', (size_t)LIMIT_CONFIG + 1);
		memcpy(raw.data, "{}", 2);
		raw.len = (size_t)(LIMIT_CONFIG + over);
		int rc = config_parse(&raw, &c, &err);
		if (over)
			assert_err(err, DRAY_ERR_LIMIT, "LIMIT_CONFIG");
		else
			assert_ok(rc, err);
	}
}

/* formats.md 10 */
static void chain_id_vector(void **state)
{
	static const char *const diff_ids[] = { D0, D1, D2, D1 };
	static const char *const want[] = {
		"b5286b140854cb4653f40218b53726462ec0b672896cb93297143ba4e93c59e2",
		"148be9e2e591266295a837a2eeeac64bf780e5ee83083ada4d3ace802944c375",
		"119d990af4c96054fee218c9235d95e56bc8c47f63789ccaa70ed01a939e7b11",
		"96feffb699eda5529fd9a5ec8459ab28889e1df98c4190a9dbc78468c5eb081e",
	};
	struct digest d[4], c[4];
	dray_error *err = NULL;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_ok(digest_parse(span_str(diff_ids[i]), &d[i], &err), err);
	assert_ok(chain_ids(d, 4, c, &err), err);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(digest_hex(&c[i]), want[i]);
	assert_ok(chain_ids(d, 0, NULL, &err), err);
}

/* ---- v1 jsons into a modern config, formats.md 1.9 ---- */

static void from_v1(const struct span *jsons, size_t n, const char *want)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG);
	struct digest d[2];
	dray_error *err = NULL;

	assert_ok(digest_parse(SPAN_LIT(D0), &d[0], &err), err);
	assert_ok(digest_parse(SPAN_LIT(D1), &d[1], &err), err);
	assert_ok(config_from_v1(jsons, d, n, &out, &err), err);
	assert_span_is(span_buf(&out), want);
}

#define BOTTOM                                                                        \
	"{\"id\":\"a\",\"created\":\"2015-01-02T03:04:05.600Z\",\"author\":\"<me>\"," \
	"\"container_config\":{\"Cmd\":[\"/bin/sh\",\"-c\",\"#(nop) ADD x\"]}}"
#define HISTORY                                                                                 \
	"\"history\":[{\"created\":\"2015-01-02T03:04:05.6Z\",\"author\":\"\\u003cme\\u003e\"," \
	"\"created_by\":\"/bin/sh -c #(nop) ADD x\"},"                                          \
	"{\"created\":\"2015-01-02T03:04:06Z\",\"comment\":\"c\"}]"
#define ROOTFS2 ROOTFS("\"" D0 "\",\"" D1 "\"")
#define ZERO                                                                               \
	"{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\",\"AttachStdin\":false,"      \
	"\"AttachStdout\":false,\"AttachStderr\":false,\"Tty\":false,\"OpenStdin\":false," \
	"\"StdinOnce\":false,\"Env\":null,\"Cmd\":null,\"Image\":\"\",\"Volumes\":null,"   \
	"\"WorkingDir\":\"\",\"Entrypoint\":null,\"OnBuild\":null,\"Labels\":null}"

/* From 1.8.3 on unknown members survive, compacted and escaped, and keys are sorted. */
static void config_from_v1_raw(void **state)
{
	static const char top[] =
		"{ \"id\":\"b\", \"parent\":\"a\", \"Size\":5, \"parent_id\":1, \"layer_id\":2,"
		"\"throwaway\":true, \"zz\" : [ 1 , \"<\\u0041>\" ], \"os\":\"linux\","
		"\"docker_version\":\"1.8.3\", \"created\":\"2015-01-02T03:04:06Z\","
		"\"comment\":\"c\", \"rootfs\":\"old\" }";
	const struct span jsons[] = { SPAN_LIT(BOTTOM), SPAN_LIT(top) };

	(void)state;
	from_v1(jsons, 2,
		"{\"comment\":\"c\",\"created\":\"2015-01-02T03:04:06Z\",\"docker_version\":\"1.8."
		"3\"," HISTORY ",\"os\":\"linux\"," ROOTFS2
		",\"zz\":[1,\"\\u003c\\u0041\\u003e\"]}");
}

/* Before 1.8.3, or without a version, everything passes through Docker's struct. */
static void config_from_v1_struct(void **state)
{
	static const char *const versions[] = {
		"",
		",\"docker_version\":\"1.8.2\"",
		",\"docker_version\":\"1.8\"",
		",\"docker_version\":\"1.8.3-rc1\"",
		",\"docker_version\":\"0.11.9\"",
	};
	static const char *const kept[] = {
		"",
		"\"docker_version\":\"1.8.2\",",
		"\"docker_version\":\"1.8\",",
		"\"docker_version\":\"1.8.3-rc1\",",
		"\"docker_version\":\"0.11.9\",",
	};

	(void)state;
	for (size_t i = 0; i < ROWS(versions); i++) {
		cleanup_free char *top = mem_printf(
			"{\"id\":\"b\",\"Size\":5,\"zz\":1,\"comment\":\"c\","
			"\"created\":\"2015-01-02T03:04:06.000Z\"%s}",
			versions[i]);
		cleanup_free char *want = mem_printf(
			"{\"comment\":\"c\",\"container_config\":" ZERO
			",\"created\":\"2015-01-02T03:04:06Z\",%s" HISTORY "," ROOTFS2 "}",
			kept[i]);
		const struct span jsons[] = { SPAN_LIT(BOTTOM), span_str(top) };

		from_v1(jsons, 2, want);
	}
}

static void config_from_v1_bad(void **state)
{
	static const struct {
		const char *bottom, *top, *says;
	} rows[] = {
		{ "{}", "[]", "" },
		{ "[]", "{}", "v1 layer 0" },
		{ "{\"created\":\"yesterday\"}", "{}", "created" },
		{ "{\"container_config\":{\"Cmd\":{}}}", "{}", "Cmd" },
		{ "{}", "{\"docker_version\":1}", "docker_version" },
		{ "{}", "{\"config\":{\"Tty\":1}}", "Tty" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct span jsons[] = { span_str(rows[i].bottom), span_str(rows[i].top) };
		cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG);
		struct digest d[2] = { 0 };
		dray_error *err = NULL;

		assert_int_equal(config_from_v1(jsons, d, 2, &out, &err), -1);
		assert_err(err, DRAY_ERR_FORMAT, rows[i].says);
	}
}

static int parse_and_convert(void *arg, dray_error **err)
{
	static const char text[] =
		"{\"os\":\"linux\",\"created\":\"2015-01-02T03:04:05Z\",\"comment\":\"c\","
		"\"history\":[{\"created_by\":\"x\"}]," ROOTFS("\"" D0 "\"") "}";
	const struct span jsons[] = { SPAN_LIT(BOTTOM),
				      SPAN_LIT("{\"config\":{\"Labels\":{\"a\":\"b\"}}}") };
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_CONFIG), out = BUF_INIT(LIMIT_CONFIG);
	cleanup_config struct config *c = NULL;
	struct digest two[2];

	(void)arg;
	if (buf_add_str(&raw, text, err) < 0 || config_parse(&raw, &c, err) < 0)
		return -1;
	two[0] = two[1] = c->diff_ids[0];
	return config_from_v1(jsons, two, 2, &out, err);
}

static void config_torture(void **state)
{
	(void)state;
	torture_alloc(parse_and_convert, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_good),		cmocka_unit_test(config_bad),
		cmocka_unit_test(config_history_pairs), cmocka_unit_test(config_layer_limit),
		cmocka_unit_test(config_size_limit),	cmocka_unit_test(chain_id_vector),
		cmocka_unit_test(config_from_v1_raw),	cmocka_unit_test(config_from_v1_struct),
		cmocka_unit_test(config_from_v1_bad),	cmocka_unit_test(config_torture),
	};

	return cmocka_run_group_tests_name("image config", tests, NULL, NULL);
}
