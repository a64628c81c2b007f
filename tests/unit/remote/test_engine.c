/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      what an engine says: documents of images, answers to a load, errors in a stream of another kind.
 * Relies:   on documents as Docker 20.10, 28 and podman 4.3 write them, cut down.
 * Promises: a row for each form that is taken, and one beside it that is refused.
 */
#include "remote/engine_priv.h"
#include "torture.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C64 "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static const char WHOLE[] =
	"{\"Id\":\"sha256:" A64 "\",\"RepoTags\":[\"app:1\",\"<none>:<none>\",\"h:5000/app:2\"],"
	"\"Created\":\"2026-11-21T11:44:37.5Z\",\"Os\":\"linux\",\"Architecture\":\"arm64\","
	"\"Variant\":\"v8\",\"Size\":1982286,\"RootFS\":{\"Type\":\"layers\",\"Layers\":["
	"\"sha256:" B64 "\",\"sha256:" C64 "\"]},\"Descriptor\":{\"digest\":\"sha256:" C64 "\"}}";

static void test_whole(void **state)
{
	struct arena a = { 0 };
	struct engine_image im;
	dray_error *err = NULL;

	(void)state;
	assert_ok(engine_image_parse(span_str(WHOLE), &a, &im, &err), err);
	assert_string_equal(im.id.text, "sha256:" A64);
	assert_string_equal(im.stored.text, "sha256:" C64);
	assert_int_equal(im.n_tags, 2);
	assert_string_equal(im.tags[0], "app:1");
	assert_string_equal(im.tags[1], "h:5000/app:2");
	assert_string_equal(im.created, "2026-11-21T11:44:37.5Z");
	assert_string_equal(im.os, "linux");
	assert_string_equal(im.arch, "arm64");
	assert_string_equal(im.variant, "v8");
	assert_int_equal(im.size, 1982286);
	assert_int_equal(im.n_diff_ids, 2);
	assert_string_equal(im.diff_ids[1].text, "sha256:" C64);
	arena_clear(&a);
}

static void test_documents(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "{\"Id\":\"sha256:" A64 "\"}", true },
		{ "{\"Id\":\"" A64 "\"}", true }, /* without its algorithm */
		{ "{\"Id\":\"sha256:" A64 "\",\"RepoTags\":null,\"Variant\":\"\"}", true },
		{ "{\"Id\":\"sha256:" A64 "\",\"RootFS\":{\"Type\":\"layers\"}}", true },
		{ "{}", false },
		{ "[]", false },
		{ "", false },
		{ "{\"Id\":7}", false },
		{ "{\"Id\":\"sha256:12\"}", false },
		{ "{\"Id\":\"../" A64 "\"}", false },
		{ "{\"Id\":\"sha256:" A64 "\",\"RepoTags\":\"app:1\"}", false },
		{ "{\"Id\":\"sha256:" A64 "\",\"RepoTags\":[1]}", false },
		{ "{\"Id\":\"sha256:" A64 "\",\"Size\":\"big\"}", false },
		{ "{\"Id\":\"sha256:" A64 "\",\"Os\":{}}", false },
		{ "{\"Id\":\"sha256:" A64 "\",\"RootFS\":{\"Layers\":[\"x\"]}}", false },
		{ "{\"Id\":\"sha256:" A64 "\",\"RootFS\":{\"Layers\":{}}}", false },
		{ "{\"Id\":\"sha256:" A64 "\",\"Id\":\"sha256:" B64 "\"}", false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct arena a = { 0 };
		struct engine_image im;
		dray_error *err = NULL;
		int rc = engine_image_parse(span_str(rows[i].text), &a, &im, &err);

		if ((rc == 0) != rows[i].good)
			fail_msg("%s: %d", rows[i].text, rc);
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_FORMAT);
		arena_clear(&a);
	}
}

static int parse_whole(void *arg, dray_error **err)
{
	struct arena a = { 0 };
	struct engine_image im;
	int rc = engine_image_parse(span_str(arg), &a, &im, err);

	arena_clear(&a);
	return rc;
}

static void test_documents_torture(void **state)
{
	char text[sizeof(WHOLE)];

	(void)state;
	memcpy(text, WHOLE, sizeof(text));
	torture_alloc(parse_whole, text);
}

static void test_load_lines(void **state)
{
	static const struct {
		const char *line, *error; /* NULL = none */
	} rows[] = {
		{ "{\"stream\":\"Loaded image: app:1\\n\"}\r\n", NULL },
		{ "{\"stream\":\"Loaded image: a:1,b:2\"}", NULL },
		{ "{\"status\":\"Loading layer\",\"progressDetail\":{\"current\":1}}\n", NULL },
		{ "\r\n", NULL },
		{ "", NULL },
		{ "{\"errorDetail\":{\"message\":\"no space left\"},\"error\":\"no space\"}\r\n",
		  "did not load it: no space left" },
		{ "{\"error\":\"bad archive\"}\n", "did not load it: bad archive" },
		{ "{\"errorDetail\":{}}", "does not say why" },
		{ "{\"error\":\"\\u001b[2J\"}", "did not load it: \\x1b[2J" },
		{ "<html>", "the engine's answer" },
		{ "{\"stream\":", "the engine's answer" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		dray_error *err = NULL;
		int rc = engine_load_line(span_str(rows[i].line), &err);

		if (!rows[i].error)
			assert_ok(rc, err);
		else
			assert_err(err, DRAY_ERR_NETWORK, rows[i].error);
	}
}

static void test_late_messages(void **state)
{
	static const struct {
		const char *tail, *message;
	} rows[] = {
		{ "{\"message\":\"disk gone\"}\n", "disk gone" },
		{ "layer bytes \x01\xff{\"message\":\"disk gone\"}\n", "disk gone" },
		{ "{\"message\":\"first\"}{\"message\":\"last\"}", "last" },
		{ "{\"message\":\"\"}", NULL },
		{ "{\"message\":\"cut off", NULL },
		{ "{\"message\":\"in the middle\"} of a layer", NULL },
		{ "{\"message\":7}", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct arena a = { 0 };
		const char *text = engine_late_message(span_str(rows[i].tail), &a);

		if (rows[i].message)
			assert_string_equal(text, rows[i].message);
		else
			assert_null(text);
		arena_clear(&a);
	}
}

static void test_refusals(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum dray_err_kind kind;
		const char *text;
	} rows[] = {
		{ 404, "{\"message\":\"no such image\"}", DRAY_ERR_NOT_FOUND, "no such image" },
		{ 403, "{\"message\":\"authorization denied\"}", DRAY_ERR_DENIED, "denied" },
		{ 500, "{\"cause\":\"x\",\"message\":\"boom\",\"response\":500}", DRAY_ERR_NETWORK,
		  "the engine says: boom" },
		{ 502, "<html>bad gateway</html>", DRAY_ERR_NETWORK, "HTTP 502" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct http_response res = { .status = rows[i].status };
		dray_error *err = NULL;

		assert_int_equal(engine_refusal(&res, span_str(rows[i].body), "x:1", &err), -1);
		assert_int_equal(dray_error_http_status(err), rows[i].status);
		assert_err(err, rows[i].kind, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_documents_torture),
		cmocka_unit_test(test_load_lines),
		cmocka_unit_test(test_late_messages),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
