/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the JSON shape that four verbs share, key by key and in order.
 * Relies on: support.h.
 * Promises: an unknown value is null; times are UTC.
 */
#include "../support.h"
#include "cli/render.h"

static const struct dray_layer_info layers[] = {
	{ .index = 0,
	  .diff_id = "sha256:d0",
	  .chain_id = "sha256:c0",
	  .v1_id = "aa",
	  .v1_id_found = true,
	  .v1_id_origin = "docker",
	  .blob_digest = "sha256:b0",
	  .compression = "none",
	  .media_type = "m",
	  .path = "a/layer.tar",
	  .same_as = -1,
	  .size = 5,
	  .blob_size = 6,
	  .created_by = "COPY <a> & b" },
	{ .index = 1,
	  .link_target = "a/layer.tar",
	  .same_as = 0,
	  .size = -1,
	  .blob_size = -1,
	  .missing = true },
};
static const struct dray_history_info history[] = {
	{ .created_by = "x", .created = "2023-11-14T23:13:20.5+01:00", .layer = 0 },
	{ .created = "2023-11-14T22:13:20.500Z", .empty_layer = true, .layer = -1 },
};
static const char *const tags[] = { "test/sym:1" };

static void check_image(const struct dray_image_info *image, bool config, const char *want)
{
	cleanup_buf struct buf b = BUF_INIT(100000);
	dray_error *err = NULL;
	struct jsonw w;

	jsonw_init(&w, &b, &err);
	jsonw_object(&w);
	render_image(&w, image, config);
	jsonw_end_object(&w);
	assert_ok(jsonw_finish(&w), err);
	assert_span_is(span_buf(&b), want);
}

static void test_image(void **state)
{
	const struct dray_image_info full = {
		.tags = tags,
		.n_tags = 1,
		.image_id = "sha256:i",
		.platform = "linux/amd64",
		.created = "2023-11-14T22:13:20.123Z",
		.size = 11,
		.config_json = "{\"Env\":null}",
		.layers = layers,
		.n_layers = 2,
		.history = history,
		.n_history = 2,
		.kind = "image",
	};
	const struct dray_image_info bare = { .manifest_digest = "sha256:m",
					      .size = -1,
					      .kind = "artifact" };

	(void)state;
	check_image(
		&full, true,
		"{\"tags\":[\"test/sym:1\"],\"image_id\":\"sha256:i\",\"manifest_digest\":null,"
		"\"media_type\":null,\"platform\":\"linux/amd64\","
		"\"created\":\"2023-11-14T22:13:20.123Z\",\"size\":11,\"config\":{\"Env\":null},"
		"\"rootfs_id\":null,\"layers\":["
		"{\"index\":0,\"diff_id\":\"sha256:d0\",\"chain_id\":\"sha256:c0\",\"v1_id\":"
		"\"aa\","
		"\"blob_digest\":\"sha256:b0\",\"compression\":\"none\",\"media_type\":\"m\","
		"\"path\":\"a/layer.tar\",\"link_target\":null,\"same_as\":null,\"size\":5,"
		"\"blob_size\":6,\"created_by\":\"COPY \\u003ca\\u003e \\u0026 b\","
		"\"v1_id_found\":true,\"v1_id_origin\":\"docker\",\"missing\":false},"
		"{\"index\":1,\"diff_id\":null,\"chain_id\":null,\"v1_id\":null,"
		"\"blob_digest\":null,\"compression\":null,\"media_type\":null,\"path\":null,"
		"\"link_target\":\"a/layer.tar\",\"same_as\":0,\"size\":null,\"blob_size\":null,"
		"\"created_by\":null,\"v1_id_found\":false,\"v1_id_origin\":null,\"missing\":true}]"
		","
		"\"history\":[{\"created_by\":\"x\",\"created\":\"2023-11-14T22:13:20.5Z\","
		"\"empty_layer\":false,\"layer\":0,\"comment\":null,\"author\":null},"
		"{\"created_by\":null,\"created\":\"2023-11-14T22:13:20.500Z\","
		"\"empty_layer\":true,\"layer\":null,\"comment\":null,\"author\":null}],"
		"\"author\":null,\"index_digest\":null,\"kind\":\"image\"}");
	check_image(&bare, false,
		    "{\"tags\":[],\"image_id\":null,\"manifest_digest\":\"sha256:m\","
		    "\"media_type\":null,\"platform\":null,\"created\":null,\"size\":null,"
		    "\"rootfs_id\":null,\"layers\":[],\"history\":[],\"author\":null,"
		    "\"index_digest\":null,\"kind\":\"artifact\"}");
}

static void test_finding(void **state)
{
	const struct dray_finding f = { "diff-id-mismatch", "layer 2", "sha256:a", "sha256:b",
					"m" };
	cleanup_buf struct buf b = BUF_INIT(1000);
	dray_error *err = NULL;
	struct jsonw w;

	(void)state;
	jsonw_init(&w, &b, &err);
	jsonw_array(&w);
	render_finding(&w, &f, true);
	render_finding(&w, &f, false);
	jsonw_end_array(&w);
	assert_ok(jsonw_finish(&w), err);
	assert_span_is(span_buf(&b),
		       "[{\"code\":\"diff-id-mismatch\",\"where\":\"layer 2\","
		       "\"expected\":\"sha256:a\",\"actual\":\"sha256:b\",\"message\":\"m\"},"
		       "{\"code\":\"diff-id-mismatch\",\"where\":\"layer 2\",\"message\":\"m\"}]");
}

static void test_error(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(1000);
	dray_error *err = NULL, *e = NULL;
	struct jsonw w;

	(void)state;
	err_mismatch(&e, "sha256:a", "sha256:b", "layer 3");
	err_http(&e, 404, "BLOB_UNKNOWN");
	jsonw_init(&w, &b, &err);
	render_error(&w, e);
	assert_ok(jsonw_finish(&w), err);
	assert_span_is(
		span_buf(&b),
		"{\"code\":\"integrity\",\"message\":\"layer 3 differs (expected sha256:a, "
		"got sha256:b)\",\"expected\":\"sha256:a\",\"actual\":\"sha256:b\",\"hint\":null,"
		"\"http_status\":404,\"registry_code\":\"BLOB_UNKNOWN\"}");
	err_clear(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_finding),
		cmocka_unit_test(test_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
