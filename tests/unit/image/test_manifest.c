/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifests and indexes: kinds, ambiguity, embedded data, sizes (reliability 2.2), writing.
 */
#include "torture.h"

#include "base/limits.h"
#include "base/mem.h"
#include "image/manifest.h"

#define EMPTY "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define D0 "sha256:b5286b140854cb4653f40218b53726462ec0b672896cb93297143ba4e93c59e2"
#define SHA512_EMPTY                                                                              \
	"sha512:27c74670adb75075fad058d5ceaf7b20c4e7786c83bae8a32f626f9782af34c9a33c2046ef60fd2a" \
	"7878d378e29fec851806bbd9a67878f3a9f1cda4830763fd"
#define DESC(mt, digest, size) \
	"{\"mediaType\":\"" mt "\",\"digest\":\"" digest "\",\"size\":" size "}"
#define OCI_CONFIG_DESC DESC(MT_OCI_CONFIG, EMPTY, "2")
#define LAYER_DESC DESC(MT_OCI_LAYER_GZIP, D0, "7")
#define TYPE(mt) "\"mediaType\":\"" mt "\","
#define IMAGE(more) \
	"{\"schemaVersion\":2," more "\"config\":" OCI_CONFIG_DESC ",\"layers\":[" LAYER_DESC "]}"
#define INDEX(more) "{\"schemaVersion\":2," more "\"manifests\":[" LAYER_DESC "]}"
#define CONFIG_IS(desc) "{\"schemaVersion\":2,\"config\":" desc ",\"layers\":[]}"
#define SCHEMA1 "{\"schemaVersion\":1,\"name\":\"x\",\"fsLayers\":[],\"history\":[]}"

static int parse_text(const char *text, const char *given, struct manifest **ret, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST + 64);

	assert_int_equal(buf_add_str(&raw, text, NULL), 0);
	int rc = manifest_parse(&raw, given, ret, err);
	assert_int_equal(raw.len, 0);
	return rc;
}

static void manifest_kinds(void **state)
{
	static const struct {
		const char *text, *given;
		enum manifest_kind kind;
		const char *media_type;
		size_t entries;
	} rows[] = {
		{ IMAGE(TYPE(MT_OCI_MANIFEST)), NULL, MANIFEST_IMAGE, MT_OCI_MANIFEST, 1 },
		{ IMAGE(TYPE(MT_OCI_MANIFEST)), MT_OCI_MANIFEST, MANIFEST_IMAGE, MT_OCI_MANIFEST,
		  1 },
		{ IMAGE(TYPE(MT_DOCKER_MANIFEST)), NULL, MANIFEST_IMAGE, MT_DOCKER_MANIFEST, 1 },
		{ IMAGE(""), MT_DOCKER_MANIFEST "; charset=utf-8", MANIFEST_IMAGE,
		  MT_DOCKER_MANIFEST, 1 },
		{ IMAGE(""), NULL, MANIFEST_IMAGE, MT_OCI_MANIFEST, 1 },
		{ IMAGE(""), "application/json", MANIFEST_IMAGE, MT_OCI_MANIFEST, 1 },
		{ CONFIG_IS(DESC(MT_DOCKER_CONFIG, EMPTY, "2")), NULL, MANIFEST_IMAGE,
		  MT_DOCKER_MANIFEST, 0 },
		{ "{\"schemaVersion\":2,\"config\":" OCI_CONFIG_DESC ",\"layers\":null}", NULL,
		  MANIFEST_IMAGE, MT_OCI_MANIFEST, 0 },
		{ "{\"config\":" OCI_CONFIG_DESC ",\"layers\":[]}", NULL, MANIFEST_IMAGE,
		  MT_OCI_MANIFEST, 0 },
		{ INDEX(""), NULL, MANIFEST_INDEX, MT_OCI_INDEX, 1 },
		{ INDEX(TYPE(MT_DOCKER_LIST)), NULL, MANIFEST_INDEX, MT_DOCKER_LIST, 1 },
		{ "{\"schemaVersion\":2,\"manifests\":[]}", MT_OCI_INDEX, MANIFEST_INDEX,
		  MT_OCI_INDEX, 0 },
		{ SCHEMA1, NULL, MANIFEST_SCHEMA1, MT_DOCKER_SCHEMA1, 0 },
		{ SCHEMA1, MT_DOCKER_SCHEMA1_SIGNED, MANIFEST_SCHEMA1, MT_DOCKER_SCHEMA1_SIGNED,
		  0 },
		{ "{\"schemaVersion\":1,\"fsLayers\":[],\"signatures\":[]}", "application/json",
		  MANIFEST_SCHEMA1, MT_DOCKER_SCHEMA1_SIGNED, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_manifest struct manifest *m = NULL;
		dray_error *err = NULL;

		assert_ok(parse_text(rows[i].text, rows[i].given, &m, &err), err);
		assert_int_equal(m->kind, rows[i].kind);
		assert_string_equal(m->media_type, rows[i].media_type);
		assert_int_equal(m->n_entries, rows[i].entries);
		assert_span_is(span_buf(&m->raw), rows[i].text);
	}
}

#define WITH(member) IMAGE(member ",")
#define LAYERED(desc) "{\"config\":" OCI_CONFIG_DESC ",\"layers\":[" desc "]}"

struct bad {
	const char *id, *text, *given;
	enum dray_err_kind kind;
	const char *says;
};

static const struct bad bad[] = {
	{ "M-08 announced otherwise", IMAGE(TYPE(MT_OCI_MANIFEST)), MT_OCI_INDEX, DRAY_ERR_FORMAT,
	  "ambiguous" },
	{ "M-08 other family", IMAGE(TYPE(MT_OCI_MANIFEST)), MT_DOCKER_MANIFEST, DRAY_ERR_FORMAT,
	  "ambiguous" },
	{ "M-08 manifests in an image", WITH("\"manifests\":[]"), NULL, DRAY_ERR_FORMAT,
	  "ambiguous" },
	{ "M-08 manifests null", WITH("\"manifests\":null"), MT_OCI_MANIFEST, DRAY_ERR_FORMAT,
	  "ambiguous" },
	{ "M-08 layers in an index", INDEX("\"layers\":[],"), MT_OCI_INDEX, DRAY_ERR_FORMAT,
	  "ambiguous" },
	{ "M-08 config in an index", INDEX("\"config\":{},"), MT_OCI_INDEX, DRAY_ERR_FORMAT,
	  "ambiguous" },
	{ "M-08 fsLayers in an index", INDEX("\"fsLayers\":[],"), NULL, DRAY_ERR_FORMAT,
	  "ambiguous" },
	{ "M-08 history in an index", INDEX("\"history\":[],"), NULL, DRAY_ERR_FORMAT,
	  "ambiguous" },
	{ "M-08 fsLayers in an image", WITH("\"fsLayers\":[]"), NULL, DRAY_ERR_FORMAT,
	  "ambiguous" },
	{ "M-08 case variant", INDEX("\"Layers\":[],"), NULL, DRAY_ERR_FORMAT, "case" },
	{ "M-08 escaped case variant", INDEX("\"\\u004cayers\":[],"), NULL, DRAY_ERR_FORMAT,
	  "case" },
	{ "M-08 case variant in an image", WITH("\"Manifests\":[]"), NULL, DRAY_ERR_FORMAT,
	  "case" },
	{ "M-08 case of mediaType", WITH("\"MediaType\":\"x\""), NULL, DRAY_ERR_FORMAT, "case" },
	{ "M-08 case in a descriptor",
	  LAYERED("{\"Digest\":\"" D0 "\",\"size\":1,\"digest\":\"" EMPTY "\"}"), NULL,
	  DRAY_ERR_FORMAT, "" },
	{ "M-10 twin", WITH("\"layers\":[]"), NULL, DRAY_ERR_FORMAT, "" },
	{ "neither", "{}", NULL, DRAY_ERR_FORMAT, "neither" },
	{ "no object", "[]", NULL, DRAY_ERR_FORMAT, "" },
	{ "no JSON", "<html>", NULL, DRAY_ERR_FORMAT, "" },
	{ "nothing", "", NULL, DRAY_ERR_FORMAT, "" },
	{ "index without manifests", "{\"schemaVersion\":2}", MT_OCI_INDEX, DRAY_ERR_FORMAT,
	  "manifests" },
	{ "image without layers", "{\"config\":" OCI_CONFIG_DESC "}", MT_OCI_MANIFEST,
	  DRAY_ERR_FORMAT, "layers" },
	{ "image without config", "{\"layers\":[]}", MT_OCI_MANIFEST, DRAY_ERR_FORMAT, "config" },
	{ "image in the role of schema 1", IMAGE(""), MT_DOCKER_SCHEMA1, DRAY_ERR_FORMAT, "" },
	{ "wrong version", "{\"schemaVersion\":3,\"manifests\":[]}", NULL, DRAY_ERR_FORMAT,
	  "schemaVersion" },
	{ "version no number", "{\"schemaVersion\":\"2\",\"manifests\":[]}", NULL, DRAY_ERR_FORMAT,
	  "schemaVersion" },
	{ "other type given", IMAGE(""), "application/vnd.oci.artifact.manifest.v1+json",
	  DRAY_ERR_UNSUPPORTED, "artifact" },
	{ "other type inside", IMAGE(TYPE("application/x\\u001b[1m")), NULL, DRAY_ERR_UNSUPPORTED,
	  "application/x" },
	{ "M-07 negative size", LAYERED(DESC(MT_OCI_LAYER, D0, "-1")), NULL, DRAY_ERR_FORMAT,
	  "layers[0]: negative size" },
	{ "M-07 size over int64", LAYERED(DESC(MT_OCI_LAYER, D0, "9223372036854775808")), NULL,
	  DRAY_ERR_FORMAT, "size" },
	{ "size missing", LAYERED("{\"digest\":\"" D0 "\"}"), NULL, DRAY_ERR_FORMAT, "size" },
	{ "size a string", LAYERED(DESC(MT_OCI_LAYER, D0, "\"7\"")), NULL, DRAY_ERR_FORMAT,
	  "size" },
	{ "digest missing", LAYERED("{\"size\":1}"), NULL, DRAY_ERR_FORMAT, "digest" },
	{ "M-05 digest is a path", LAYERED(DESC(MT_OCI_LAYER, "sha256:../../x", "1")), NULL,
	  DRAY_ERR_FORMAT, "" },
	{ "layer no object", LAYERED("7"), NULL, DRAY_ERR_FORMAT, "layers[0]" },
	{ "layers no array", "{\"config\":" OCI_CONFIG_DESC ",\"layers\":{}}", NULL,
	  DRAY_ERR_FORMAT, "layers" },
	{ "urls hold a number", LAYERED("{\"digest\":\"" D0 "\",\"size\":1,\"urls\":[1]}"), NULL,
	  DRAY_ERR_FORMAT, "urls" },
	{ "annotations no object", WITH("\"annotations\":[]"), NULL, DRAY_ERR_FORMAT,
	  "annotations" },
	{ "subject broken", WITH("\"subject\":{\"size\":1}"), NULL, DRAY_ERR_FORMAT, "subject" },
	{ "M-04 data of another size",
	  LAYERED("{\"digest\":\"" EMPTY "\",\"size\":3,\"data\":\"e30=\"}"), NULL,
	  DRAY_ERR_CORRUPT, "data" },
	{ "M-04 data of another digest",
	  LAYERED("{\"digest\":\"" EMPTY "\",\"size\":2,\"data\":\"W10=\"}"), NULL,
	  DRAY_ERR_CORRUPT, "data" },
	{ "M-04 data no base64", LAYERED("{\"digest\":\"" EMPTY "\",\"size\":2,\"data\":\"!\"}"),
	  NULL, DRAY_ERR_FORMAT, "data" },
	{ "M-06 data of an unknown algorithm",
	  LAYERED("{\"digest\":\"blake9:0123456789abcdef0123456789abcdef\",\"size\":2,"
		  "\"data\":\"e30=\"}"),
	  NULL, DRAY_ERR_UNSUPPORTED, "" },
};

static void manifest_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++) {
		cleanup_manifest struct manifest *m = NULL;
		dray_error *err = NULL;

		if (parse_text(bad[i].text, bad[i].given, &m, &err) == 0)
			fail_msg("%s: accepted", bad[i].id);
		if (dray_error_kind(err) != bad[i].kind)
			fail_msg("%s: %s", bad[i].id, dray_error_message(err));
		assert_err(err, bad[i].kind, bad[i].says);
	}
}

#define FULL                                                                                      \
	"{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_MANIFEST "\",\"artifactType\":\"a/b\","    \
	"\"config\":" DESC(MT_OCI_EMPTY, EMPTY,                                                   \
			   "2") ",\"layers\":["                                                   \
				"{\"digest\":\"" EMPTY                                            \
				"\",\"size\":2,\"data\":\"e30=\",\"urls\":[\"https://x/y\"],"     \
				"\"annotations\":{\"k\":\"v\"},\"unknown\":[1,2]},"               \
				"{\"digest\":\"" SHA512_EMPTY "\",\"size\":2,\"data\":\"e30=\"}," \
				"{\"digest\":\"blake9:0123456789abcdef0123456789abcdef\","        \
				"\"size\":4611686018427387904}],"                                 \
				"\"subject\":" DESC(MT_OCI_MANIFEST, D0,                          \
						    "9") ",\"annotations\":{\"a\":\"b\"}}"

static void manifest_members(void **state)
{
	cleanup_manifest struct manifest *m = NULL;
	CLEANUP(arena_clear) struct arena a = { 0 };
	dray_error *err = NULL;
	const char *v;

	(void)state;
	assert_ok(parse_text(FULL, NULL, &m, &err), err);
	assert_true(manifest_is_artifact(m));
	assert_string_equal(m->artifact_type, "a/b");
	assert_string_equal(m->subject.digest.text, D0);
	assert_int_equal(m->n_entries, 3);
	assert_true(m->entries[0].has_data);
	assert_span_is(m->entries[0].data, "{}");
	assert_int_equal(json_len(m->entries[0].urls), 1);
	assert_true(m->entries[1].has_data);
	assert_int_equal(m->entries[2].digest.algo, DIGEST_OTHER);
	assert_int_equal(m->entries[2].size, (int64_t)1 << 62);
	assert_ok(descriptor_annotation(&m->entries[0], "k", &a, &v, &err), err);
	assert_string_equal(v, "v");
	assert_ok(descriptor_annotation(&m->entries[0], "none", &a, &v, &err), err);
	assert_null(v);
	assert_ok(descriptor_annotation(&m->entries[1], "k", &a, &v, &err), err);
	assert_null(v);
}

static void manifest_artifacts(void **state)
{
	static const struct {
		const char *text;
		bool artifact;
	} rows[] = {
		{ CONFIG_IS(DESC(MT_OCI_CONFIG, EMPTY, "2")), false },
		{ CONFIG_IS(DESC(MT_DOCKER_CONFIG, EMPTY, "2")), false },
		{ CONFIG_IS(DESC("application/octet-stream", EMPTY, "2")), false },
		{ CONFIG_IS("{\"digest\":\"" EMPTY "\",\"size\":2}"), false },
		{ CONFIG_IS(DESC(MT_OCI_EMPTY, EMPTY, "2")), true },
		{ CONFIG_IS(DESC("application/vnd.cncf.helm.config.v1+json", EMPTY, "2")), true },
		{ CONFIG_IS(DESC("application/vnd.docker.plugin.v1+json", EMPTY, "2")), true },
		{ IMAGE("\"artifactType\":\"a/b\","), false },
		{ INDEX("\"artifactType\":\"a/b\","), false },
		{ "{\"artifactType\":\"a/b\",\"config\":" DESC("application/json", EMPTY,
							       "2") ",\"layers\":[]}",
		  true },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_manifest struct manifest *m = NULL;
		dray_error *err = NULL;

		assert_ok(parse_text(rows[i].text, NULL, &m, &err), err);
		if (manifest_is_artifact(m) != rows[i].artifact)
			fail_msg("row %zu", i);
	}
}

static void manifest_attestation(void **state)
{
	static const char text[] = "{\"annotations\":{\"A\":\"\",\"a\":\"\"},"
				   "\"manifests\":[{\"digest\":\"" D0
				   "\",\"size\":1,\"platform\":{\"os\":\"linux\","
				   "\"architecture\":\"arm64\",\"variant\":\"v8\"}},"
				   "{\"digest\":\"" D0
				   "\",\"size\":1,\"platform\":{\"os\":\"unknown\","
				   "\"architecture\":\"unknown\"},\"annotations\":{"
				   "\"vnd.docker.reference.type\":\"attestation-manifest\"}}]}";
	cleanup_manifest struct manifest *m = NULL;
	dray_error *err = NULL;

	(void)state;
	assert_ok(parse_text(text, NULL, &m, &err), err);
	assert_true(m->entries[0].has_platform);
	assert_string_equal(m->entries[0].platform.variant, "v8");
	assert_false(descriptor_is_attestation(&m->entries[0]));
	assert_true(descriptor_is_attestation(&m->entries[1]));
}

/* Limits: at the limit fine, one more is LIMIT and names it. */
static void manifest_limits(void **state)
{
	static const char entry[] = ",{\"digest\":\"" D0 "\",\"size\":1}";

	(void)state;
	for (int over = 0; over < 2; over++) {
		cleanup_buf struct buf raw = BUF_INIT(2 * LIMIT_MANIFEST);
		cleanup_manifest struct manifest *m = NULL;
		dray_error *err = NULL;

		assert_ok(buf_add_str(&raw, "{\"manifests\":[{\"digest\":\"" D0 "\",\"size\":1}",
				      &err),
			  err);
		for (int i = 1; i < LIMIT_INDEX_ENTRIES + over; i++)
			assert_ok(buf_add_str(&raw, entry, &err), err);
		assert_ok(buf_add_str(&raw, "]}", &err), err);
		int rc = manifest_parse(&raw, NULL, &m, &err);
		if (over) {
			assert_int_equal(rc, -1);
			assert_err(err, DRAY_ERR_LIMIT, "LIMIT_INDEX_ENTRIES");
			continue;
		}
		assert_ok(rc, err);
		assert_int_equal(m->n_entries, LIMIT_INDEX_ENTRIES);
	}
}

static void manifest_size_limit(void **state)
{
	(void)state;
	for (int over = 0; over < 2; over++) {
		cleanup_buf struct buf raw = BUF_INIT(2 * LIMIT_MANIFEST);
		cleanup_manifest struct manifest *m = NULL;
		dray_error *err = NULL;

		assert_ok(buf_add_str(&raw, INDEX(""), &err), err);
		while (raw.len < (size_t)(LIMIT_MANIFEST + over))
			assert_ok(buf_add_byte(&raw, ' ', &err), err);
		int rc = manifest_parse(&raw, NULL, &m, &err);
		if (over)
			assert_err(err, DRAY_ERR_LIMIT, "LIMIT_MANIFEST");
		else
			assert_ok(rc, err);
	}
}

#define LAYER_URLS                                                     \
	"{\"mediaType\":\"" MT_DOCKER_LAYER_GZIP "\",\"digest\":\"" D0 \
	"\",\"size\":7,\"urls\": [ \"https://x/a?b=1\" ],\"annotations\":{ \"k\":\"v\" }}"

static void manifest_writing(void **state)
{
	static const char docker[] = "{\"schemaVersion\":2,\"mediaType\":\"" MT_DOCKER_MANIFEST
				     "\",\"config\":"
				     "{\"mediaType\":\"" MT_OCI_CONFIG
				     "\",\"size\":2,\"digest\":\"" EMPTY "\"},"
				     "\"layers\":[{\"mediaType\":\"" MT_DOCKER_LAYER_GZIP
				     "\",\"size\":7,\"digest\":\"" D0
				     "\",\"urls\":[\"https://x/a?b=1\"]}]}";
	static const char oci[] =
		"{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_MANIFEST "\",\"config\":"
		"{\"mediaType\":\"" MT_OCI_CONFIG "\",\"digest\":\"" EMPTY "\",\"size\":2},"
		"\"layers\":[{\"mediaType\":\"" MT_DOCKER_LAYER_GZIP "\",\"digest\":\"" D0
		"\",\"size\":7,\"urls\":[\"https://x/a?b=1\"],\"annotations\":{\"k\":\"v\"}}]}";
	cleanup_manifest struct manifest *m = NULL;
	cleanup_buf struct buf a = BUF_INIT(4096), b = BUF_INIT(4096);
	dray_error *err = NULL;

	(void)state;
	assert_ok(parse_text(LAYERED(LAYER_URLS), NULL, &m, &err), err);
	assert_ok(manifest_write(true, &m->config, m->entries, 1, NULL, &a, &err), err);
	assert_span_is(span_buf(&a), docker);
	assert_ok(manifest_write(false, &m->config, m->entries, 1, NULL, &b, &err), err);
	assert_span_is(span_buf(&b), oci);
}

#define SPEAKING(annotations)                                                       \
	"{\"mediaType\":\"" MT_OCI_LAYER_GZIP "\",\"digest\":\"" D0 "\",\"size\":7" \
	",\"urls\":[\"https://x/\"],\"annotations\":{" annotations "}}"
#define OF_BYTES                                                         \
	"\"containerd.io/snapshot/stargz/toc.digest\":\"a\","            \
	"\"io.github.containers.zstd-chunked.manifest-position\":\"b\"," \
	"\"containerd.io\\/snapshot\\/nydus-blob\":\"c\""

/* What another manifest says beside its layers; of a layer in other bytes what holds for them. */
static void manifest_writing_like(void **state)
{
	static const char docker[] = "{\"schemaVersion\":2,\"mediaType\":\"" MT_DOCKER_MANIFEST
				     "\",\"config\":{\"mediaType\":\"" MT_OCI_EMPTY
				     "\",\"size\":2,\"digest\":\"" EMPTY "\"},\"layers\":[]}";
	static const char like[] =
		"{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_MANIFEST
		"\",\"artifactType\":\"a/b\","
		"\"config\":" DESC(MT_OCI_EMPTY, EMPTY, "2") ",\"layers\":[],\"subject\":" DESC(
			MT_OCI_MANIFEST, D0, "9") ","
						  "\"annotations\":{\"a\":\"b\"}}";
	static const struct {
		const char *said, *written;
	} rows[] = {
		{ OF_BYTES, "" },
		{ "\"k\":\"v\"," OF_BYTES ",\"e\":\"\"",
		  ",\"annotations\":{\"k\":\"v\",\"e\":\"\"}" },
		{ "\"containerd.io/uncompressed\":\"x\"",
		  ",\"annotations\":{\"containerd.io/uncompressed\":\"x\"}" },
		{ "", "" },
	};
	cleanup_manifest struct manifest *m = NULL;
	cleanup_buf struct buf a = BUF_INIT(4096), b = BUF_INIT(4096);
	dray_error *err = NULL;

	(void)state;
	assert_ok(parse_text(FULL, NULL, &m, &err), err);
	assert_ok(manifest_write(true, &m->config, NULL, 0, m, &a, &err), err);
	assert_span_is(span_buf(&a), docker);
	assert_ok(manifest_write(false, &m->config, NULL, 0, m, &b, &err), err);
	assert_span_is(span_buf(&b), like);
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_manifest struct manifest *l = NULL;
		cleanup_buf struct buf text = BUF_INIT(4096), out = BUF_INIT(4096);
		char want[1000];

		assert_ok(buf_printf(&text, &err, LAYERED(SPEAKING("%s")), rows[i].said), err);
		assert_ok(manifest_parse(&text, NULL, &l, &err), err);
		l->entries[0].recoded = true;
		assert_ok(manifest_write(false, &l->config, l->entries, 1, NULL, &out, &err), err);
		snprintf(want, sizeof(want), "\"size\":7%s}]}", rows[i].written);
		assert_true(span_ends(span_buf(&out), want));
	}
}

static int parse_and_write(void *arg, dray_error **err)
{
	cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST), out = BUF_INIT(LIMIT_MANIFEST);
	cleanup_manifest struct manifest *m = NULL;

	(void)arg;
	if (buf_add_str(&raw, FULL, err) < 0 || manifest_parse(&raw, NULL, &m, err) < 0)
		return -1;
	m->entries[0].recoded = true;
	return manifest_write(false, &m->config, m->entries, m->n_entries, m, &out, err);
}

static void manifest_torture(void **state)
{
	(void)state;
	torture_alloc(parse_and_write, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifest_kinds),	 cmocka_unit_test(manifest_bad),
		cmocka_unit_test(manifest_members),	 cmocka_unit_test(manifest_artifacts),
		cmocka_unit_test(manifest_attestation),	 cmocka_unit_test(manifest_limits),
		cmocka_unit_test(manifest_size_limit),	 cmocka_unit_test(manifest_writing),
		cmocka_unit_test(manifest_writing_like), cmocka_unit_test(manifest_torture),
	};

	return cmocka_run_group_tests_name("image manifest", tests, NULL, NULL);
}
