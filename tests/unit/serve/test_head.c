/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges, entity tags and media types of a request's head.
 */
#include "torture.h"

#include "image/mediatype.h"
#include "serve/head.h"

static void ranges(void **state)
{
	static const struct {
		const char *value;
		int64_t size;
		enum range_kind kind;
		int64_t off, len;
	} rows[] = {
		{ NULL, 10, RANGE_ALL, 0, 0 },
		{ "", 10, RANGE_ALL, 0, 0 },
		{ "bytes=0-4", 10, RANGE_PART, 0, 5 },
		{ "bytes=5-9", 10, RANGE_PART, 5, 5 },
		{ "bytes=5-10", 10, RANGE_PART, 5, 5 },
		{ "bytes=0-0", 10, RANGE_PART, 0, 1 },
		{ "bytes=0-9", 10, RANGE_PART, 0, 10 },
		{ "bytes=9-", 10, RANGE_PART, 9, 1 },
		{ "bytes=0-", 10, RANGE_PART, 0, 10 },
		{ "bytes=-3", 10, RANGE_PART, 7, 3 },
		{ "bytes=-10", 10, RANGE_PART, 0, 10 },
		{ "bytes=-11", 10, RANGE_PART, 0, 10 },
		{ "BYTES=0-4", 10, RANGE_PART, 0, 5 },
		{ "bytes= 0-4 ", 10, RANGE_PART, 0, 5 },
		{ "bytes=0-9223372036854775807", 10, RANGE_PART, 0, 10 },
		{ "bytes=10-", 10, RANGE_NONE, 0, 0 },
		{ "bytes=10-20", 10, RANGE_NONE, 0, 0 },
		{ "bytes=500-0", 10, RANGE_NONE, 0, 0 },
		{ "bytes=5-4", 10, RANGE_NONE, 0, 0 },
		{ "bytes=-0", 10, RANGE_NONE, 0, 0 },
		{ "bytes=0-", 0, RANGE_NONE, 0, 0 },
		{ "bytes=-1", 0, RANGE_NONE, 0, 0 },
		{ "bytes=0-1,3-4", 10, RANGE_ALL, 0, 0 },
		{ "bytes=", 10, RANGE_ALL, 0, 0 },
		{ "bytes=-", 10, RANGE_ALL, 0, 0 },
		{ "bytes=x-y", 10, RANGE_ALL, 0, 0 },
		{ "bytes=0-+4", 10, RANGE_ALL, 0, 0 },
		{ "bytes=99999999999999999999-", 10, RANGE_NONE, 0, 0 },
		{ "bytes=2-99999999999999999999", 10, RANGE_PART, 2, 8 },
		{ "bytes=-99999999999999999999", 10, RANGE_PART, 0, 10 },
		{ "bytes=-9999999999999999999x", 10, RANGE_ALL, 0, 0 },
		{ "items=0-4", 10, RANGE_ALL, 0, 0 },
		{ "bytes 0-4", 10, RANGE_ALL, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t off = 0, len = 0;
		enum range_kind kind = head_range(rows[i].value, rows[i].size, &off, &len);

		if (kind != rows[i].kind || off != rows[i].off || len != rows[i].len)
			fail_msg("%s: %d %lld+%lld", rows[i].value ? rows[i].value : "none",
				 (int)kind, (long long)off, (long long)len);
	}
}

static void upload_ranges(void **state)
{
	static const struct {
		const char *value;
		int64_t off, len; /* len -1 = malformed */
	} rows[] = {
		{ "0-9", 0, 10 },	{ "5-5", 5, 1 },
		{ "bytes=0-9", 0, 10 }, { "9-0", 0, -1 },
		{ "", 0, -1 },		{ "x", 0, -1 },
		{ "-5", 0, -1 },	{ "5-", 0, -1 },
		{ "0-9, 0-9", 0, -1 },	{ "0-9223372036854775807", 0, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t off, len;

		if (!head_upload_range(rows[i].value, &off, &len))
			len = -1;
		if (len != rows[i].len || (len >= 0 && off != rows[i].off))
			fail_msg("%s: %lld+%lld", rows[i].value, (long long)off, (long long)len);
	}
}

static void etags(void **state)
{
	static const struct {
		const char *value;
		bool strong, weak;
	} rows[] = {
		{ "\"a\"", true, true },
		{ "*", true, true },
		{ " \"b\" , \"a\"", true, true },
		{ "W/\"a\"", false, true },
		{ "\"b\", W/\"a\"", false, true },
		{ "\"b\"", false, false },
		{ "a", false, false },
		{ "", false, false },
		{ "\"A\"", false, false },
		{ "\"a", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		if (head_has_etag(rows[i].value, "\"a\"", false) != rows[i].strong ||
		    head_has_etag(rows[i].value, "\"a\"", true) != rows[i].weak)
			fail_msg("%s", rows[i].value);
	}
	assert_false(head_has_etag(NULL, "\"a\"", true));
}

static void accepts(void **state)
{
	static const struct {
		const char *value;
		bool oci, index;
	} rows[] = {
		{ NULL, true, true },
		{ "*/*", true, true },
		{ "text/html, */*;q=0.1", true, true },
		{ "application/json", true, true },
		{ MT_OCI_MANIFEST, true, false },
		{ MT_OCI_MANIFEST ";q=0.5, " MT_OCI_INDEX, true, true },
		{ MT_DOCKER_SCHEMA1_SIGNED, false, false },
		{ "APPLICATION/VND.OCI.IMAGE.MANIFEST.V1+JSON", true, false },
		{ MT_DOCKER_MANIFEST " , " MT_DOCKER_LIST, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		if (head_accepts(rows[i].value, MT_OCI_MANIFEST) != rows[i].oci ||
		    head_accepts(rows[i].value, MT_OCI_INDEX) != rows[i].index)
			fail_msg("%s", rows[i].value ? rows[i].value : "none");
	}
}

static void media_types(void **state)
{
	static const struct {
		const char *value, *type;
	} rows[] = {
		{ "a/b", "a/b" },
		{ " a/b ; charset=utf-8", "a/b" },
		{ "a/b+c.d-e", "a/b+c.d-e" },
		{ "a", "" },
		{ "", "" },
		{ "/b", "" },
		{ "a/b, c/d", "" },
		{ "a/b\x01", "" },
		{ "a /b", "" },
		{ "\xc3\xa4/b", "" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		if (!span_is(head_media_type(rows[i].value), rows[i].type))
			fail_msg("%s", rows[i].value);
	assert_int_equal(head_media_type(NULL).len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),  cmocka_unit_test(upload_ranges), cmocka_unit_test(etags),
		cmocka_unit_test(accepts), cmocka_unit_test(media_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
