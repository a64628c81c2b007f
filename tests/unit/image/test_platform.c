/* SPDX-License-Identifier: Apache-2.0
 *
 * Platforms and media types: words, aliases, matching.
 */
#include "torture.h"

#include "base/mem.h"
#include "image/mediatype.h"
#include "image/platform.h"

static void platform_words(void **state)
{
	static const struct {
		const char *text, *shown; /* NULL = USAGE */
	} rows[] = {
		{ "linux/amd64", "linux/amd64" },
		{ "linux/arm64/v8", "linux/arm64/v8" },
		{ "Linux/AMD64", "linux/amd64" },
		{ "linux/x86_64", "linux/amd64" },
		{ "linux/aarch64", "linux/arm64" },
		{ "linux/armhf", "linux/arm/v7" },
		{ "linux/armhf/v6", "linux/arm/v6" },
		{ "windows/amd64", "windows/amd64" },
		{ "linux", NULL },
		{ "", NULL },
		{ "linux/", NULL },
		{ "/amd64", NULL },
		{ "linux/arm/v7/x", NULL },
		{ "linux/am d", NULL },
		{ "linux/\033[1m", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		CLEANUP(arena_clear) struct arena a = { 0 };
		struct platform p;
		dray_error *err = NULL;
		int rc = platform_parse(rows[i].text, &a, &p, &err);

		if (!rows[i].shown) {
			assert_int_equal(rc, -1);
			assert_err_kind(err, DRAY_ERR_USAGE);
			continue;
		}
		assert_ok(rc, err);
		cleanup_free char *text = platform_text(&p);
		assert_string_equal(text, rows[i].shown);
	}
}

static void platform_matching(void **state)
{
	static const struct {
		struct platform want, have;
		bool match;
	} rows[] = {
		{ { "linux", "amd64", NULL, NULL }, { "linux", "amd64", NULL, NULL }, true },
		{ { "linux", "amd64", NULL, NULL }, { "linux", "arm64", NULL, NULL }, false },
		{ { "linux", "amd64", NULL, NULL }, { "windows", "amd64", NULL, NULL }, false },
		{ { "linux", "arm64", "v8", NULL }, { "linux", "arm64", NULL, NULL }, true },
		{ { "linux", "arm64", NULL, NULL }, { "linux", "arm64", "v8", NULL }, true },
		{ { "linux", "arm64", "8", NULL }, { "linux", "arm64", "v8", NULL }, true },
		{ { "linux", "arm", "v7", NULL }, { "linux", "arm", "7", NULL }, true },
		{ { "linux", "arm", "v7", NULL }, { "linux", "arm", "v6", NULL }, false },
		{ { "linux", "amd64", NULL, NULL }, { NULL, "amd64", NULL, NULL }, false },
		{ { NULL, NULL, NULL, NULL }, { NULL, NULL, NULL, NULL }, true },
		{ { "windows", "amd64", NULL, NULL }, { "windows", "amd64", NULL, "10.0" }, true },
		{ { "windows", "amd64", NULL, "10.0" }, { "windows", "amd64", NULL, "6" }, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		if (platform_match(&rows[i].want, &rows[i].have) != rows[i].match)
			fail_msg("row %zu", i);
}

static void platform_shown_safely(void **state)
{
	const struct platform odd = { "\033[31mred", NULL, NULL, NULL };
	cleanup_free char *text = platform_text(&odd);

	(void)state;
	assert_non_null(text);
	assert_null(strchr(text, '\033'));
	assert_non_null(strstr(text, "/unknown"));
}

static void platform_of_host(void **state)
{
	struct platform p;

	(void)state;
	platform_host(&p);
	assert_string_equal(p.os, "linux");
	assert_non_null(p.arch);
}

enum family {
	MANIFEST = 1,
	INDEX = 2,
	SCHEMA1 = 4,
	DOCKER = 8,
	CONFIG = 16,
	LAYER = 32,
	FOREIGN = 64,
	GENERIC = 128
};

static void mediatype_families(void **state)
{
	static const struct {
		const char *mt;
		int is;
	} rows[] = {
		{ MT_DOCKER_MANIFEST, MANIFEST | DOCKER },
		{ MT_OCI_MANIFEST, MANIFEST },
		{ "Application/VND.oci.image.manifest.v1+JSON ; charset=utf-8", MANIFEST },
		{ MT_DOCKER_LIST, INDEX | DOCKER },
		{ MT_OCI_INDEX, INDEX },
		{ MT_DOCKER_SCHEMA1, SCHEMA1 | DOCKER },
		{ MT_DOCKER_SCHEMA1_SIGNED, SCHEMA1 | DOCKER },
		{ MT_DOCKER_CONFIG, CONFIG | DOCKER },
		{ MT_OCI_CONFIG, CONFIG },
		{ MT_DOCKER_LAYER, LAYER | DOCKER },
		{ MT_DOCKER_LAYER_GZIP, LAYER | DOCKER },
		{ MT_DOCKER_LAYER_ZSTD, LAYER | DOCKER },
		{ MT_DOCKER_FOREIGN_GZIP, LAYER | FOREIGN | DOCKER },
		{ MT_OCI_LAYER, LAYER },
		{ MT_OCI_LAYER_GZIP, LAYER },
		{ MT_OCI_LAYER_ZSTD, LAYER },
		{ "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", LAYER | FOREIGN },
		{ "application/vnd.oci.image.layer.v1.tar+gzip+encrypted", 0 },
		{ MT_OCI_EMPTY, 0 },
		{ "application/json", GENERIC },
		{ "application/octet-stream", GENERIC },
		{ "", GENERIC },
		{ NULL, GENERIC },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *mt = rows[i].mt;
		int is = mediatype_is_manifest(mt) * MANIFEST | mediatype_is_index(mt) * INDEX |
			 mediatype_is_schema1(mt) * SCHEMA1 | mediatype_is_docker(mt) * DOCKER |
			 mediatype_is_image_config(mt) * CONFIG | mediatype_is_layer(mt) * LAYER |
			 mediatype_is_foreign(mt) * FOREIGN | mediatype_is_generic(mt) * GENERIC;

		if (is != rows[i].is)
			fail_msg("%s: %d, expected %d", mt, is, rows[i].is);
	}
}

static int parse_one(void *arg, dray_error **err)
{
	CLEANUP(arena_clear) struct arena a = { 0 };
	struct platform p;

	(void)arg;
	if (platform_parse("linux/arm64/v8", &a, &p, err) < 0)
		return -1;
	cleanup_free char *text = platform_text(&p);
	return text ? 0 : err_nomem(err);
}

static void platform_torture(void **state)
{
	(void)state;
	torture_alloc(parse_one, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(platform_words),	 cmocka_unit_test(platform_matching),
		cmocka_unit_test(platform_shown_safely), cmocka_unit_test(platform_of_host),
		cmocka_unit_test(mediatype_families),	 cmocka_unit_test(platform_torture),
	};

	return cmocka_run_group_tests_name("image platform", tests, NULL, NULL);
}
