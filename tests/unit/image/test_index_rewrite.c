/* SPDX-License-Identifier: Apache-2.0
 *
 * Indexes that are rewritten: what no change is about stays byte for byte.
 */
#include "support.h"
#include "torture.h"

#include "base/limits.h"
#include "image/manifest.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEX_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define HEX_N "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
#define TYPE(t) "\"mediaType\":\"" t "\""
#define ENTRY(hex) "{" TYPE(MT_OCI_MANIFEST) ",\"digest\":\"sha256:" hex "\",\"size\":7}"
#define MOVED(hex) "{" TYPE(MT_DOCKER_MANIFEST) ",\"digest\":\"sha256:" hex "\",\"size\":99}"
/* "{}" and its digest, as the member data embeds it */
#define EMPTY_HEX "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

struct row {
	const char *text;
	const char *fates; /* 'k', 'm', 'd' for each entry */
	const char *media_type;
	const char *want;
};

static const struct row rows[] = {
	{ "{\"schemaVersion\":2,\"manifests\":[" ENTRY(HEX_A) "," ENTRY(HEX_B) "," ENTRY(
		  HEX_C) "]}",
	  "kdk", MT_OCI_INDEX,
	  "{\"schemaVersion\":2,\"manifests\":[" ENTRY(HEX_A) "," ENTRY(HEX_C) "]}" },
	{ "{\"schemaVersion\":2,\"manifests\":[" ENTRY(HEX_A) "," ENTRY(HEX_B) "]}", "dk",
	  MT_OCI_INDEX, "{\"schemaVersion\":2,\"manifests\":[" ENTRY(HEX_B) "]}" },
	{ "{\"schemaVersion\":2,\"manifests\":[" ENTRY(HEX_A) "," ENTRY(HEX_B) "]}", "kd",
	  MT_OCI_INDEX, "{\"schemaVersion\":2,\"manifests\":[" ENTRY(HEX_A) "]}" },
	{ "{\"schemaVersion\":2,\"manifests\":[" ENTRY(HEX_A) "]}", "d", MT_OCI_INDEX,
	  "{\"schemaVersion\":2,\"manifests\":[]}" },
	{ "{\"schemaVersion\":2,\"manifests\":[" ENTRY(HEX_A) "," ENTRY(HEX_B) "]}", "mk",
	  MT_OCI_INDEX, "{\"schemaVersion\":2,\"manifests\":[" MOVED(HEX_N) "," ENTRY(HEX_B) "]}" },
	/* white space, order of members and unknown members are somebody's */
	{ "{ \"x\" : [1, 2] ,\n \"manifests\": [\n  " ENTRY(HEX_A) ",\n  " ENTRY(
		  HEX_B) ",\n  " ENTRY(HEX_C) "\n ],\n \"schemaVersion\": 2, "
					      "\"annotations\":{\"a\":\"\\u003c\"} }\n",
	  "dkd", MT_OCI_INDEX,
	  "{ \"x\" : [1, 2] ,\n \"manifests\": [\n  " ENTRY(
		  HEX_B) "\n ],\n \"schemaVersion\": 2, \"annotations\":{\"a\":\"\\u003c\"} }\n" },
	{ "{\"manifests\":[{\"size\" : 7,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\"},"
	  "\"digest\": \"sha256:" HEX_A "\",\"y\":null}],\"schemaVersion\":2}",
	  "m", MT_OCI_INDEX,
	  "{\"manifests\":[{\"size\" : 99,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\"},"
	  "\"digest\": \"sha256:" HEX_N "\",\"y\":null}],\"schemaVersion\":2}" },
	/* the family changes: the member that says so is replaced, or added */
	{ "{\"schemaVersion\":2," TYPE(MT_OCI_INDEX) ",\"manifests\":[" ENTRY(HEX_A) "]}", "m",
	  MT_DOCKER_LIST,
	  "{\"schemaVersion\":2," TYPE(MT_DOCKER_LIST) ",\"manifests\":[" MOVED(HEX_N) "]}" },
	{ "{\"schemaVersion\":2,\"manifests\":[" ENTRY(HEX_A) "]," TYPE(MT_OCI_INDEX) "}", "k",
	  MT_DOCKER_LIST,
	  "{\"schemaVersion\":2,\"manifests\":[" ENTRY(HEX_A) "]," TYPE(MT_DOCKER_LIST) "}" },
	{ "{\"schemaVersion\":2,\"manifests\":[" ENTRY(HEX_A) "]}", "k", MT_DOCKER_LIST,
	  "{" TYPE(MT_DOCKER_LIST) ",\"schemaVersion\":2,\"manifests\":[" ENTRY(HEX_A) "]}" },
	/* embedded bytes were those of the old document */
	{ "{\"schemaVersion\":2,\"manifests\":[{\"data\":\"e30=\"," TYPE(
		  MT_OCI_MANIFEST) ",\"digest\":\"sha256:" EMPTY_HEX "\",\"size\":2}]}",
	  "m", MT_OCI_INDEX, "{\"schemaVersion\":2,\"manifests\":[" MOVED(HEX_N) "]}" },
	{ "{\"schemaVersion\":2,\"manifests\":[{" TYPE(
		  MT_OCI_MANIFEST) ",\"digest\":\"sha256:" EMPTY_HEX
				   "\", \"data\" : \"e30=\" ,\"size\":2},\n" ENTRY(HEX_B) "]}",
	  "mk", MT_OCI_INDEX,
	  "{\"schemaVersion\":2,\"manifests\":[{" TYPE(
		  MT_DOCKER_MANIFEST) ",\"digest\":\"sha256:" HEX_N
				      "\" ,\"size\":99},\n" ENTRY(HEX_B) "]}" },
	{ "{\"schemaVersion\":2,\"manifests\":[{" TYPE(
		  MT_OCI_MANIFEST) ",\"digest\":\"sha256:" EMPTY_HEX
				   "\",\"size\":2,\"data\":\"e30=\"}]}",
	  "k", MT_OCI_INDEX, NULL },
	/* a type that stays keeps its text, however it is spelt; without one there is none to replace */
	{ "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/"
	  "vnd.docker.distribution."
	  "m\\u0061nifest.v2+json\",\"digest\":\"sha256:" HEX_A "\",\"size\":7}]}",
	  "m", MT_OCI_INDEX,
	  "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/"
	  "vnd.docker.distribution."
	  "m\\u0061nifest.v2+json\",\"digest\":\"sha256:" HEX_N "\",\"size\":99}]}" },
	/* a name spelt with an escape is the same name */
	{ "{\"schemaVersion\":2,\"mani\\u0066ests\":[" ENTRY(HEX_A) "," ENTRY(HEX_B) "]}", "dk",
	  MT_OCI_INDEX, "{\"schemaVersion\":2,\"mani\\u0066ests\":[" ENTRY(HEX_B) "]}" },
	{ "{\"schemaVersion\":2,\"manifests\":null}", "", MT_OCI_INDEX, NULL },
	{ "{\"schemaVersion\":2,\"manifests\":[ ]}", "", MT_OCI_INDEX, NULL },
};

static struct manifest *parse(const char *text)
{
	struct buf raw = BUF_INIT(LIMIT_MANIFEST);
	struct manifest *m = NULL;
	dray_error *err = NULL;

	assert_ok(buf_add_str(&raw, text, &err), err);
	assert_ok(manifest_parse(&raw, MT_OCI_INDEX, &m, &err), err);
	return m;
}

static void fill(const struct row *row, struct entry_change *ret)
{
	for (size_t i = 0; row->fates[i]; i++) {
		ret[i] = (struct entry_change){ .size = 99, .media_type = MT_DOCKER_MANIFEST };
		ret[i].fate = row->fates[i] == 'k'   ? ENTRY_KEPT
			      : row->fates[i] == 'm' ? ENTRY_MOVED
						     : ENTRY_DROPPED;
		assert_int_equal(digest_parse(span_str("sha256:" HEX_N), &ret[i].digest, NULL), 0);
	}
}

static void rewrites(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *want = rows[i].want ? rows[i].want : rows[i].text;
		cleanup_manifest struct manifest *old = parse(rows[i].text), *new = NULL;
		struct entry_change changes[4];
		dray_error *err = NULL;

		fill(&rows[i], changes);
		assert_ok(index_rewrite(old, rows[i].media_type, changes, &new, &err), err);
		if (!span_is(span_buf(&new->raw), want))
			fail_msg("row %zu: %.*s", i, (int)new->raw.len, (char *)new->raw.data);
		assert_string_equal(new->media_type, rows[i].media_type);
	}
}

static void appends(void **state)
{
	static const char *const table[][2] = {
		{ "{\"manifests\":[],\"x\":1}", "{\"manifests\":[" ENTRY(HEX_B) "],\"x\":1}" },
		{ "{\"manifests\": null }", "{\"manifests\": [" ENTRY(HEX_B) "] }" },
		{ "{\"manifests\":[ " ENTRY(HEX_A) "\n]}",
		  "{\"manifests\":[ " ENTRY(HEX_A) "," ENTRY(HEX_B) "\n]}" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		cleanup_manifest struct manifest *old = parse(table[i][0]), *new = NULL;
		dray_error *err = NULL;

		assert_ok(index_append(old, SPAN_LIT(ENTRY(HEX_B)), &new, &err), err);
		if (!span_is(span_buf(&new->raw), table[i][1]))
			fail_msg("row %zu: %.*s", i, (int)new->raw.len, (char *)new->raw.data);
	}
}

static int rewrite_all(void *arg, dray_error **err)
{
	(void)arg;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf raw = BUF_INIT(LIMIT_MANIFEST);
		cleanup_manifest struct manifest *old = NULL, *new = NULL;
		struct entry_change changes[4];

		fill(&rows[i], changes);
		if (buf_add_str(&raw, rows[i].text, err) < 0 ||
		    manifest_parse(&raw, MT_OCI_INDEX, &old, err) < 0 ||
		    index_rewrite(old, rows[i].media_type, changes, &new, err) < 0)
			return -1;
	}
	return 0;
}

static void torture(void **state)
{
	(void)state;
	torture_alloc(rewrite_all, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rewrites),
		cmocka_unit_test(appends),
		cmocka_unit_test(torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
