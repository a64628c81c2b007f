/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      manifests of schema 1: what is signed, the chain, the config that is made.
 * Relies on: image/schema1.h; that the image ID is Docker's is shown end to end.
 * Promises: one row per rule.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/number.h"
#include "image/schema1.h"
#include "torture.h"

#define ID(c) c c c c c c c c
#define A ID("aaaaaaaa")
#define B ID("bbbbbbbb")
#define C ID("cccccccc")
#define SUM(c) "{\"blobSum\":\"sha256:" ID(c) "\"}"
#define V1(id, rest) "{\"v1Compatibility\":\"{\\\"id\\\":\\\"" id "\\\"" rest "}\"}"
#define PARENT(id) ",\\\"parent\\\":\\\"" id "\\\""
#define DOC(layers, history) \
	"{\"schemaVersion\":1,\"name\":\"x\",\"fsLayers\":[" layers "],\"history\":[" history "]"
#define TWO                                      \
	DOC(SUM("22222222") "," SUM("11111111"), \
	    V1(A, PARENT(B) ",\\\"throwaway\\\":true,\\\"os\\\":\\\"linux\\\"") "," V1(B, ""))

static int read_text(const char *text, struct manifest **ret_m, struct schema1 *ret,
		     dray_error **err)
{
	struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	int rc = buf_add_str(&raw, text, err);

	if (rc == 0)
		rc = manifest_parse(&raw, NULL, ret_m, err);
	buf_clear(&raw);
	if (rc < 0)
		return -1;
	if (schema1_read(*ret_m, ret, err) == 0)
		return 0;
	manifest_free(*ret_m);
	return -1;
}

static void test_chain(void **state)
{
	static const struct {
		const char *text;
		size_t n, n_layers; /* n 0: FORMAT */
	} rows[] = {
		{ TWO "}", 2, 1 },
		{ DOC(SUM("11111111"), V1(A, "")) "}", 1, 1 },
		/* one that comes twice in a row is one */
		{ DOC(SUM("22222222") "," SUM("22222222") "," SUM("11111111"),
		      V1(A, PARENT(B)) "," V1(A, PARENT(B)) "," V1(B, "")) "}",
		  2, 2 },
		{ DOC("", "") "}", 0, 0 },
		{ DOC(SUM("11111111"), "") "}", 0, 0 },
		{ DOC(SUM("11111111"), V1(A, PARENT(B))) "}", 0, 0 },
		{ DOC(SUM("22222222") "," SUM("11111111"), V1(A, PARENT(C)) "," V1(B, "")) "}", 0,
		  0 },
		{ DOC(SUM("22222222") "," SUM("11111111"), V1(A, "") "," V1(B, "")) "}", 0, 0 },
		{ DOC(SUM("33333333") "," SUM("22222222") "," SUM("11111111"),
		      V1(A, PARENT(B)) "," V1(B, PARENT(A)) "," V1(A, "")) "}",
		  0, 0 },
		{ DOC(SUM("11111111"), V1("abc", "")) "}", 0, 0 },
		{ DOC(SUM("1111111x"), V1(A, "")) "}", 0, 0 },
		{ DOC("{}", V1(A, "")) "}", 0, 0 },
		{ DOC(SUM("11111111"), "{}") "}", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct manifest *m = NULL;
		struct schema1 s = { 0 };
		dray_error *err = NULL;
		int rc = read_text(rows[i].text, &m, &s, &err);

		if (rc != (rows[i].n ? 0 : -1))
			fail_msg("row %zu: %s", i, err ? dray_error_message(err) : "taken");
		if (rc < 0) {
			assert_err_kind(err, DRAY_ERR_FORMAT);
			continue;
		}
		assert_int_equal(s.n, rows[i].n);
		assert_int_equal(s.n_layers, rows[i].n_layers);
		assert_memory_equal(s.entries[0].blob.text, "sha256:11111111", 15);
		schema1_clear(&s);
		manifest_free(m);
	}
}

/* "protected" for @p length signed bytes and then "\n}". */
static char *signature(size_t length)
{
	cleanup_free char *json = mem_printf(
		"{\"formatLength\":%zu,\"formatTail\":\"Cn0\",\"time\":\"\"}", length);
	char *coded = base64_encode(span_str(json));

	for (char *p = coded; *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p;
	return coded;
}

static void test_signed(void **state)
{
	static const struct {
		int off,
			off2; /* added to the length that each signature names; off2 99 = no second */
		const char *more;
		bool good;
	} rows[] = {
		{ 0, 99, "", true },	    { 0, 0, "", true },
		{ 0, -1, "", false },	    { -1, 99, "", false },
		{ 1000000, 99, "", false }, { 0, 99, ",\"history\":[]", false },
	};
	const size_t length = strlen(TWO);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *one = signature(length + (size_t)rows[i].off);
		cleanup_free char *two = signature(length + (size_t)rows[i].off2);
		cleanup_free char *text = mem_printf(
			"%s,\"signatures\":[{\"protected\":\"%s\"}%s%s%s]%s}", TWO, one,
			rows[i].off2 == 99 ? "" : ",{\"protected\":\"",
			rows[i].off2 == 99 ? "" : two, rows[i].off2 == 99 ? "" : "\"}",
			rows[i].more);
		struct manifest *m = NULL;
		struct schema1 s = { 0 };
		dray_error *err = NULL;
		int rc = read_text(text, &m, &s, &err);

		if ((rc == 0) != rows[i].good)
			fail_msg("row %zu: %s", i, err ? dray_error_message(err) : "taken");
		if (rc < 0) {
			assert_err_kind(err, DRAY_ERR_FORMAT);
			continue;
		}
		/* The digest is of TWO and "\n}", whatever the document around it. */
		struct digest want;
		cleanup_hash struct hash h = { 0 };
		assert_ok(hash_init(&h, DIGEST_SHA256, NULL), NULL);
		hash_update(&h, span_str(TWO "\n}"));
		assert_ok(hash_finish(&h, &want, NULL), NULL);
		assert_string_equal(m->digest.text, want.text);
		assert_string_equal(m->media_type, MT_DOCKER_SCHEMA1_SIGNED);
		schema1_clear(&s);
		manifest_free(m);
	}
}

static int make_config(void *arg, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG);
	struct digest one;
	struct manifest *m = NULL;
	struct schema1 s = { 0 };
	int rc;

	if (digest_parse(span_str("sha256:" ID("12345678")), &one, err) < 0 ||
	    read_text(arg, &m, &s, err) < 0)
		return -1;
	rc = schema1_config(&s, &one, &out, err);
	schema1_clear(&s);
	manifest_free(m);
	return rc;
}

static void test_config(void **state)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_CONFIG);
	struct manifest *m = NULL;
	struct schema1 s = { 0 };
	struct digest one;
	char text[] = DOC(SUM("22222222") "," SUM("11111111"),
			  V1(A, PARENT(B) ",\\\"throwaway\\\":true,\\\"docker_"
					  "version\\\":\\\"20.10\\\""
					  ",\\\"created\\\":\\\"2020-01-02T03:04:"
					  "05Z\\\"") "," V1(B, ",\\\"created\\\":\\\"2020-"
							       "01-01T00:00:00Z\\\","
							       "\\\"container_config\\\":"
							       "{\\\"Cmd\\\":[\\\"a\\\","
							       "\\\"b\\\"]}")) "}";

	(void)state;
	assert_ok(digest_parse(span_str("sha256:" ID("12345678")), &one, NULL), NULL);
	assert_ok(read_text(text, &m, &s, NULL), NULL);
	assert_ok(schema1_config(&s, &one, &out, NULL), NULL);
	assert_true(span_is(
		span_buf(&out),
		"{\"created\":\"2020-01-02T03:04:05Z\",\"docker_version\":\"20.10\","
		"\"history\":[{\"created\":\"2020-01-01T00:00:00Z\",\"created_by\":\"a b\"},"
		"{\"created\":\"2020-01-02T03:04:05Z\",\"empty_layer\":true}],"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" ID("12345678") "\"]}}"));
	schema1_clear(&s);
	manifest_free(m);
	torture_alloc(make_config, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_signed),
		cmocka_unit_test(test_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
