/* SPDX-License-Identifier: Apache-2.0
 *
 * Destinations: what appears, when, and what is left when something goes wrong
 * (reliability G-01, G-02, G-05, G-10, G-19, A-03).
 */
#include "dest_box.h"
#include <errno.h>
#include <sys/wait.h>
#include "flow/pool.h"
#include "torture.h"

/* ---- index.json ---- */

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define D3 "sha256:3333333333333333333333333333333333333333333333333333333333333333"
#define ENTRY(d, tag)                                                             \
	"{\"mediaType\":\"" MT_OCI_MANIFEST "\",\"digest\":\"" d "\",\"size\":7," \
	"\"annotations\":{\"org.opencontainers.image.ref.name\":\"" tag "\"}}"
#define NAMED(d, full, tag)                                                       \
	"{\"mediaType\":\"" MT_OCI_MANIFEST "\",\"digest\":\"" d "\",\"size\":7," \
	"\"annotations\":{\"io.containerd.image.name\":\"" full "\","             \
	"\"org.opencontainers.image.ref.name\":\"" tag "\"}}"
#define UNTAGGED(d) "{\"mediaType\":\"" MT_OCI_MANIFEST "\",\"digest\":\"" d "\",\"size\":7}"
#define INDEX(list) "{\"schemaVersion\":2,\"manifests\":[" list "]}"

/* clang-format off */
static const struct {
	const char *old, *want;	/* want NULL: FORMAT */
	struct {
		const char *digest, *tag, *child;
	} puts[3];
} index_cases[] = {
	{ INDEX(""), INDEX(ENTRY(D1, "a")), { { .digest = D1, .tag = "a" } } },
	{ INDEX(""), INDEX(ENTRY(D1, "a") "," ENTRY(D1, "b")), { { .digest = D1, .tag = "a" }, { .digest = D1, .tag = "b" } } },
	{ INDEX(""), INDEX(ENTRY(D2, "a")), { { .digest = D1, .tag = "a" }, { .digest = D2, .tag = "a" } } },
	{ INDEX(""), INDEX(UNTAGGED(D1)), { { .digest = D1 }, { .digest = D1 } } },
	{ INDEX(""), INDEX(ENTRY(D1, "a")), { { .digest = D1 }, { .digest = D1, .tag = "a" } } },
	{ INDEX(""), INDEX(ENTRY(D2, "a")), { { .digest = D1 }, { .digest = D2, .tag = "a", .child = D1 } } },
	{ INDEX(""), INDEX(ENTRY(D2, "a")), { { .digest = D2, .tag = "a", .child = D1 }, { .digest = D1 } } },
	{ INDEX(UNTAGGED(D1)), INDEX(UNTAGGED(D1)), { { .digest = D1 } } },
	{ INDEX(ENTRY(D1, "a")), INDEX(ENTRY(D1, "a")), { { .digest = D1, .tag = "a" } } },
	{ INDEX(ENTRY(D1, "a")), INDEX(ENTRY(D2, "a")), { { .digest = D2, .tag = "a" } } },
	{ INDEX(ENTRY(D1, "a") "," ENTRY(D3, "c")), INDEX(ENTRY(D3, "c") "," ENTRY(D2, "a")),
	  { { .digest = D2, .tag = "a" } } },
	{ " { \"x\" : [1, 2] , \"manifests\" : [ {\"digest\" : \"" D1 "\" , \"y\":1.0e5} ] ,"
	  "\"annotations\":{\"k\":\"\\u0041\"} } \n",
	  " { \"x\" : [1, 2] , \"manifests\" : [ {\"digest\" : \"" D1 "\" , \"y\":1.0e5}," ENTRY(D2, "b")
	  " ] ,\"annotations\":{\"k\":\"\\u0041\"} } \n", { { .digest = D2, .tag = "b" } } },
	/* What stands between entries stays, and is what stands in front of a new one. */
	{ INDEX("\n  " ENTRY(D1, "a") " ,\n  " ENTRY(D2, "b") "\n"),
	  INDEX("\n  " ENTRY(D1, "a") " ,\n  " ENTRY(D2, "b") " ,\n  " ENTRY(D3, "c") "\n"), { { .digest = D3, .tag = "c" } } },
	{ INDEX("\n  " ENTRY(D1, "a") " ,\n  " ENTRY(D2, "b") "\n"),
	  INDEX("\n  " ENTRY(D2, "b") " ,\n  " ENTRY(D3, "a") "\n"), { { .digest = D3, .tag = "a" } } },
	{ INDEX("\n  " ENTRY(D1, "a") " ,\n" ENTRY(D1, "b") ",  " ENTRY(D2, "c") "\n"),
	  INDEX("\n  " ENTRY(D1, "a") ",  " ENTRY(D2, "c") " ,\n" ENTRY(D3, "b") "\n"), { { .digest = D3, .tag = "b" } } },
	{ INDEX("\n  " ENTRY(D1, "a") "\n"), INDEX("\n  " ENTRY(D2, "a") "\n"), { { .digest = D2, .tag = "a" } } },
	{ INDEX(" \n"), INDEX(ENTRY(D1, "a") " \n"), { { .digest = D1, .tag = "a" } } },
	{ "{\"manifests\":null}", "{\"manifests\":[" ENTRY(D1, "a") "]}", { { .digest = D1, .tag = "a" } } },
	{ INDEX(""), INDEX(ENTRY(D1, "\\\"\\n")), { { .digest = D1, .tag = "\"\n" } } },
	/* A name that an engine may look for, unless its text is not how that one shows it. */
	{ INDEX(""), INDEX(NAMED(D1, "docker.io/library/a:1", "a:1")), { { .digest = D1, .tag = "a:1" } } },
	{ INDEX(""), INDEX(NAMED(D1, "h:5/a/b:1", "h:5/a/b:1")), { { .digest = D1, .tag = "h:5/a/b:1" } } },
	{ INDEX(""), INDEX(ENTRY(D1, "a/b")), { { .digest = D1, .tag = "a/b" } } },
	{ INDEX(""), INDEX(ENTRY(D1, "docker.io/library/a:1")), { { .digest = D1, .tag = "docker.io/library/a:1" } } },
	{ INDEX(""), INDEX(ENTRY(D1, "A:B:C")), { { .digest = D1, .tag = "A:B:C" } } },
	{ INDEX(ENTRY(D1, "a:1")), INDEX(NAMED(D2, "docker.io/library/a:1", "a:1")), { { .digest = D2, .tag = "a:1" } } },
	{ INDEX(NAMED(D1, "docker.io/library/a:1", "a:1")), INDEX(NAMED(D2, "docker.io/library/a:1", "a:1")),
	  { { .digest = D2, .tag = "a:1" } } },
	/* As containerd and buildx have it: what it is called there is its name here. */
	{ INDEX(NAMED(D1, "docker.io/library/a:1", "1")), INDEX(NAMED(D2, "docker.io/library/a:1", "a:1")),
	  { { .digest = D2, .tag = "a:1" } } },
	{ INDEX(NAMED(D1, "docker.io/library/a:1", "1")), INDEX(NAMED(D1, "docker.io/library/a:1", "1")),
	  { { .digest = D1, .tag = "a:1" } } },
	{ INDEX(NAMED(D1, "docker.io/library/a:1", "1") "," NAMED(D3, "docker.io/library/b:1", "1")),
	  INDEX(NAMED(D3, "docker.io/library/b:1", "1") "," NAMED(D2, "docker.io/library/a:1", "a:1")), { { .digest = D2, .tag = "a:1" } } },
	{ "", NULL, { { .digest = D1, .tag = "a" } } },
	{ "{\"manifests\":[", NULL, { { .digest = D1, .tag = "a" } } },
	{ "[]", NULL, { { .digest = D1, .tag = "a" } } },
	{ "{}", NULL, { { .digest = D1, .tag = "a" } } },
	{ "{\"manifests\":{}}", NULL, { { .digest = D1, .tag = "a" } } },
	{ "{\"manifests\":[7]}", NULL, { { .digest = D1, .tag = "a" } } },
	{ "{\"manifests\":[{\"annotations\":7}]}", NULL, { { .digest = D1, .tag = "a" } } },
};

/* clang-format on */
static void test_index(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(index_cases); i++) {
		cleanup_buf struct buf got = BUF_INIT(LIMIT_MANIFEST);
		struct dest_index x = { 0 };
		dray_error *err = NULL;

		for (size_t k = 0; k < 3 && index_cases[i].puts[k].digest; k++) {
			const char *child = index_cases[i].puts[k].child;
			struct descriptor entry = { 0 };
			struct manifest m = { .kind = child ? MANIFEST_INDEX : MANIFEST_IMAGE,
					      .media_type = MT_OCI_MANIFEST,
					      .raw = { .len = 7 },
					      .entries = &entry,
					      .n_entries = 1 };
			assert_int_equal(digest_parse(span_str(index_cases[i].puts[k].digest),
						      &m.digest, NULL),
					 0);
			if (child)
				assert_int_equal(digest_parse(span_str(child), &entry.digest, NULL),
						 0);
			assert_int_equal(dest_index_add(&x, &m, index_cases[i].puts[k].tag, NULL),
					 0);
		}
		int rc = dest_index_write(&x, span_str(index_cases[i].old), &got, &err);
		dest_index_clear(&x);
		if (index_cases[i].want) {
			assert_ok(rc, err);
			assert_span_is(span_buf(&got), index_cases[i].want);
		} else {
			assert_int_equal(rc, -1);
			assert_err(err, DRAY_ERR_FORMAT, "index.json");
		}
	}
}

/* An entry that led to what was edited leads to the result; all else that it says stays. */
#define SAID(d, size, more)                                                                       \
	"{ \"x\":[1.0e5 ] ,\"digest\": \"" d "\" , \"size\":" size "," more "\"annotations\" : {" \
	"\"k\":\"\\u0041\",\"io.containerd.image.name\":\"docker.io/library/a:1\","               \
	"\"org.opencontainers.image.ref.name\":\"1\"}}"
#define ZAP(d) NAMED(d, "docker.io/library/zap:1", "1")
/* clang-format off */
static const struct moved {
	const char *tag, *old, *want;
	bool other_platform, same;
} moved_rows[] = {
	{ "a:1", INDEX(" " SAID(D1, "401", "") " , " UNTAGGED(D3)),
	  INDEX(" " SAID(D2, "7", "") " , " UNTAGGED(D3)), false, false },
	/* By the tag alone, where nobody is called so; else by what readers call it. */
	{ "1", INDEX(SAID(D1, "401", "")), INDEX(SAID(D2, "7", "")), false, false },
	{ "1", INDEX(SAID(D1, "401", "") "," ZAP(D1)), INDEX(SAID(D2, "7", "") "," ZAP(D2)), false, false },
	{ "a:1", INDEX(ZAP(D1) "," SAID(D1, "401", "") "," ZAP(D3)),
	  INDEX(ZAP(D1) "," SAID(D2, "7", "") "," ZAP(D3)), false, false },
	{ "1", INDEX(SAID(D1, "401", "") "," ENTRY(D1, "1")),
	  INDEX(SAID(D1, "401", "") "," ENTRY(D2, "1")), false, false },
	/* One of two of this name: the other one is something else. */
	{ "a", INDEX(ENTRY(D3, "a") "," ENTRY(D1, "a")),
	  INDEX(ENTRY(D3, "a") "," ENTRY(D2, "a")), false, false },
	/* Somebody else was faster: as a copy does. */
	{ "a:1", INDEX(SAID(D3, "401", "") "," ZAP(D1)),
	  INDEX(ZAP(D1) "," NAMED(D2, "docker.io/library/a:1", "a:1")), false, false },
	{ "b:1", INDEX(SAID(D1, "401", "")),
	  INDEX(SAID(D1, "401", "") "," NAMED(D2, "docker.io/library/b:1", "b:1")), false, false },
	/* The type where it is another one; the old document goes, and a platform may. */
	{ "a:1", INDEX(SAID(D1, "401", "\"mediaType\":\"" MT_DOCKER_MANIFEST "\",")),
	  INDEX(SAID(D2, "7", "\"mediaType\":\"" MT_OCI_MANIFEST "\",")), false, false },
	{ "a:1", INDEX(SAID(D1, "401", "\"data\":\"AAAA\",\"platform\" :{\"os\":1},")),
	  INDEX(SAID(D2, "7", "\"platform\" :{\"os\":1},")), false, false },
	{ "a:1", INDEX(SAID(D1, "401", "\"data\":\"AAAA\",\"platform\" :{\"os\":1},")),
	  INDEX(SAID(D2, "7", "")), true, false },
	/* Nothing changed. */
	{ "a:1", INDEX(SAID(D2, "0", "\"data\":\"AAAA\",")),
	  INDEX(SAID(D2, "0", "\"data\":\"AAAA\",")), true, true },
};

/* clang-format on */
static int put_moved(const struct moved *r, bool no_clobber, struct buf *ret, dray_error **err)
{
	struct dest_index x = { .no_clobber = no_clobber,
				.origin.other_platform = r->other_platform };
	struct manifest m = { .media_type = MT_OCI_MANIFEST, .raw = { .len = 7 } };
	int rc;

	assert_int_equal(digest_parse(span_str(r->same ? D2 : D1), &x.origin.digest, NULL), 0);
	assert_int_equal(digest_parse(span_str(D2), &m.digest, NULL), 0);
	rc = dest_index_add(&x, &m, r->tag, err);
	if (rc == 0)
		rc = dest_index_write(&x, span_str(r->old), ret, err);
	dest_index_clear(&x);
	return rc;
}

static int put_any(void *arg, dray_error **err)
{
	cleanup_buf struct buf got = BUF_INIT(LIMIT_MANIFEST);

	return put_moved(arg, false, &got, err);
}

static void test_index_moved(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(moved_rows); i++) {
		cleanup_buf struct buf got = BUF_INIT(LIMIT_MANIFEST),
				       none = BUF_INIT(LIMIT_MANIFEST);
		const struct moved *r = &moved_rows[i];
		dray_error *err = NULL;

		assert_ok(put_moved(r, false, &got, &err), err);
		assert_span_is(span_buf(&got), r->want);
		if (strcmp(r->tag, "b:1") != 0) {
			assert_int_equal(put_moved(r, true, &none, &err), -1);
			assert_err(err, DRAY_ERR_USAGE, "tag");
		}
		torture_alloc(put_any, (void *)(uintptr_t)r);
	}
}

/* With no_clobber a tag that is there stays, and is told; others join it. */
static void test_index_no_clobber(void **state)
{
	static const struct {
		const char *old, *tag;
		bool refused;
	} rows[] = {
		{ INDEX(ENTRY(D1, "a")), "a", true },
		{ INDEX(ENTRY(D2, "a")), "a", true },
		{ INDEX(ENTRY(D2, "a")), "b", false },
		{ INDEX(NAMED(D2, "docker.io/library/a:1", "1")), "a:1", true },
		{ INDEX(NAMED(D2, "docker.io/library/a:1", "1")), "b:1", false },
		{ INDEX(ENTRY(D2, "a")), NULL, false },
		{ INDEX(""), "a", false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf got = BUF_INIT(LIMIT_MANIFEST);
		struct dest_index x = { .no_clobber = true };
		struct manifest m = { .media_type = MT_OCI_MANIFEST, .raw = { .len = 7 } };
		dray_error *err = NULL;
		int rc;

		assert_int_equal(digest_parse(span_str(D1), &m.digest, NULL), 0);
		assert_int_equal(dest_index_add(&x, &m, rows[i].tag, NULL), 0);
		rc = dest_index_write(&x, span_str(rows[i].old), &got, &err);
		dest_index_clear(&x);
		if (rows[i].refused) {
			assert_int_equal(rc, -1);
			assert_err(err, DRAY_ERR_USAGE, "tag");
		} else {
			assert_ok(rc, err);
		}
	}
}

/* As many tags as an index holds, over themselves: no byte changes, and it takes no time to notice. */
static void test_index_many(void **state)
{
	enum { TAGS = 15000 };
	struct manifest m = { .media_type = MT_OCI_MANIFEST, .raw = { .len = 7 } };
	cleanup_buf struct buf once = BUF_INIT(LIMIT_MANIFEST), again = BUF_INIT(LIMIT_MANIFEST);
	struct dest_index x = { 0 };
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(digest_parse(span_str(D1), &m.digest, NULL), 0);
	for (int i = 0; i < TAGS; i++) {
		char tag[16];

		snprintf(tag, sizeof(tag), "v%d", i);
		assert_int_equal(dest_index_add(&x, &m, tag, NULL), 0);
	}
	assert_ok(dest_index_write(&x, SPAN_LIT(INDEX("")), &once, &err), err);
	assert_ok(dest_index_write(&x, span_buf(&once), &again, &err), err);
	assert_span(span_buf(&again), span_buf(&once));
	dest_index_clear(&x);
}

/* ---- a folder ---- */

static void test_dir_new(void **state)
{
	cleanup_place struct place p = place_make("layout");
	cleanup_made struct made m = make_image(1);
	dray_error *err = NULL;

	(void)state;
	cleanup_dest struct dest *d = dest_oci_dir(p.path, &err);
	assert_ok(d ? 0 : -1, err);
	assert_int_equal(dest_has_blob(d, &m.descs[0], NULL), 0);
	assert_ok(put_image(d, &m, "v1", &err), err);
	assert_int_equal(dest_has_blob(d, &m.descs[0], NULL), 1);
	assert_false(exists(p.fd, "layout/index.json"));
	assert_ok(dest_finish(d, &err), err);
	assert_file_is(p.fd, "layout/oci-layout", OCI_LAYOUT_TEXT);
	assert_int_equal(count(p.path, "blobs/sha256"), 4);
	assert_int_equal(count(p.path, "."), 3);
	assert_blob(p.path, &m.descs[0], m.config);
	assert_blob(p.path, &m.descs[2], m.layer[1]);
	cleanup_buf struct buf index = index_of(p.path);
	assert_non_null(memmem(index.data, index.len, m.manifest->digest.text, 71));
}

/* The second copy of the same image changes no byte of the layout. */
static void test_dir_twice(void **state)
{
	cleanup_place struct place p = place_make("layout");
	cleanup_made struct made m = make_image(1);
	struct buf before = BUF_INIT(0);
	dray_error *err = NULL;

	(void)state;
	for (int round = 0; round < 2; round++) {
		cleanup_dest struct dest *d = dest_oci_dir(p.path, &err);
		assert_ok(d ? 0 : -1, err);
		assert_ok(put_image(d, &m, "v1", &err), err);
		assert_ok(dest_finish(d, &err), err);
		struct buf now = index_of(p.path);
		if (round)
			assert_span(span_buf(&now), span_buf(&before));
		buf_clear(&before);
		before = now;
	}
	buf_clear(&before);
	assert_int_equal(count(p.path, "blobs/sha256"), 4);
}

static void test_dir_wrong_bytes(void **state)
{
	cleanup_place struct place p = place_make("layout");
	struct descriptor good = describe("good", MT_OCI_LAYER), bad_size = good, short_unset;
	dray_error *err = NULL;
	struct digest got;

	(void)state;
	bad_size.size = 5;
	short_unset = (struct descriptor){ .size = 3 };
	{
		cleanup_dest struct dest *d = dest_oci_dir(p.path, &err);
		assert_ok(d ? 0 : -1, err);
		assert_int_equal(put(d, "evil", &good, &got, &err), -1);
		assert_err(err, DRAY_ERR_CORRUPT, "layer 1/2");
		assert_int_equal(put(d, "good", &bad_size, &got, &err), -1);
		assert_err_kind(err, DRAY_ERR_CORRUPT);
		assert_int_equal(put(d, "good", &short_unset, &got, &err), -1);
		assert_err_kind(err, DRAY_ERR_CORRUPT);
		assert_int_equal(count(p.path, "blobs/sha256"), 0);
	}
	assert_false(exists(p.fd, "layout"));
}

/* A blob that a power cut left short is written again; one that is whole is not. */
static void test_dir_short_blob(void **state)
{
	cleanup_place struct place p = place_make("layout");
	struct descriptor good = describe("good", MT_OCI_LAYER);
	cleanup_free char *name = dest_blob_path(&good.digest);
	struct stat before, after;
	dray_error *err = NULL;
	struct digest got;

	(void)state;
	cleanup_dest struct dest *d = dest_oci_dir(p.path, &err);
	assert_ok(d ? 0 : -1, err);
	cleanup_free char *path = mem_printf("layout/%s", name);
	put_file(p.fd, path, SPAN_LIT("goo"));
	assert_int_equal(dest_has_blob(d, &good, NULL), 0);
	assert_ok(put(d, "good", &good, &got, &err), err);
	assert_file_is(p.fd, path, "good");
	assert_int_equal(fstatat(p.fd, path, &before, 0), 0);
	assert_ok(put(d, "good", &good, &got, &err), err);
	assert_int_equal(put(d, "evil", &good, &got, &err), -1);
	assert_err_kind(err, DRAY_ERR_CORRUPT);
	assert_int_equal(fstatat(p.fd, path, &after, 0), 0);
	assert_true(before.st_ino == after.st_ino);
}

/* A blob that rotted is healed by fresh bytes, told or not, and never removed: others name it. */
static void test_dir_damaged_blob(void **state)
{
	static const char *const found[] = { "gaad", "goo" };

	(void)state;
	for (size_t i = 0; i < 2 * ROWS(found); i++) {
		cleanup_place struct place p = place_make("layout");
		struct descriptor good = describe("good", MT_OCI_LAYER);
		const struct descriptor unknown = { .size = -1 };
		cleanup_free char *name = dest_blob_path(&good.digest);
		cleanup_free char *path = mem_printf("layout/%s", name);
		dray_error *err = NULL;
		struct digest got;

		struct dest *d = dest_oci_dir(p.path, &err);
		assert_ok(d ? 0 : -1, err);
		put_file(p.fd, path, span_str(found[i / 2]));
		assert_ok(put(d, "good", i % 2 ? &good : &unknown, &got, &err), err);
		assert_file_is(p.fd, path, "good");
		dest_free(d);
		assert_file_is(p.fd, path, "good");
	}
}

static void test_dir_refused(void **state)
{
	static const struct {
		const char *file, *text; /* text NULL: a fifo */
		int kind;
		const char *message;
	} cases[] = {
		{ "other", "x", DRAY_ERR_USAGE, "not empty" },
		{ "oci-layout", "{}", DRAY_ERR_FORMAT, "imageLayoutVersion" },
		{ "oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}", DRAY_ERR_FORMAT, "1.0.0" },
		{ "oci-layout", "", DRAY_ERR_FORMAT, "oci-layout" },
		{ "oci-layout", NULL, DRAY_ERR_FORMAT, "no regular file" },
		{ "index.json", "{\"manifests\":7}", DRAY_ERR_FORMAT, "index.json" },
		{ "index.json", "junk", DRAY_ERR_FORMAT, "index.json" },
		{ "index.json", NULL, DRAY_ERR_FORMAT, "no regular file" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(cases); i++) {
		cleanup_place struct place p = place_make("layout");
		cleanup_free char *path = mem_printf("layout/%s", cases[i].file);
		dray_error *err = NULL;

		assert_int_equal(mkdirat(p.fd, "layout", 0755), 0);
		if (i > 4)
			put_file(p.fd, "layout/oci-layout", SPAN_LIT(OCI_LAYOUT_TEXT));
		if (cases[i].text)
			put_file(p.fd, path, span_str(cases[i].text));
		else
			assert_int_equal(mkfifoat(p.fd, path, 0644), 0);
		size_t before = count(p.path, ".");
		assert_null(dest_oci_dir(p.path, &err));
		assert_err(err, (enum dray_err_kind)cases[i].kind, cases[i].message);
		assert_int_equal(count(p.path, "."), before);
		if (cases[i].text)
			assert_file_is(p.fd, path, cases[i].text);
	}
}

static void test_dir_no_parent(void **state)
{
	cleanup_place struct place p = place_make("a/b");
	dray_error *err = NULL;

	(void)state;
	assert_null(dest_oci_dir(p.path, &err));
	assert_err_kind(err, DRAY_ERR_NOT_FOUND);
}

/* Damage that appears while we copy: nothing is changed, and our blobs go again. */
static void test_dir_damaged_later(void **state)
{
	cleanup_place struct place p = place_make("layout");
	cleanup_made struct made m = make_image(1);
	dray_error *err = NULL;

	(void)state;
	cleanup_dest struct dest *d = dest_oci_dir(p.path, &err);
	assert_ok(put_image(d, &m, "v1", &err), err);
	put_file(p.fd, "layout/index.json", SPAN_LIT("junk"));
	assert_int_equal(dest_finish(d, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "index.json");
	assert_file_is(p.fd, "layout/index.json", "junk");
}

static void test_dir_abandoned(void **state)
{
	cleanup_place struct place p = place_make("layout");
	cleanup_made struct made one = make_image(1), two = make_image(2);
	dray_error *err = NULL;

	(void)state;
	/* A layout that we made goes as a whole. */
	struct dest *d = dest_oci_dir(p.path, &err);
	assert_ok(put_image(d, &one, "v1", &err), err);
	dest_free(d);
	assert_false(exists(p.fd, "layout"));

	/* In a layout that was there only what we wrote goes. */
	d = dest_oci_dir(p.path, &err);
	assert_ok(put_image(d, &one, "v1", &err), err);
	assert_ok(dest_finish(d, &err), err);
	dest_free(d);
	d = dest_oci_dir(p.path, &err);
	assert_ok(put_image(d, &two, "v2", &err), err);
	assert_int_equal(count(p.path, "blobs/sha256"), 7);
	dest_free(d);
	assert_int_equal(count(p.path, "blobs/sha256"), 4);
	assert_blob(p.path, &one.descs[1], one.layer[0]);
}

/* Another writer may count on what we wrote: then it stays. */
static void test_dir_abandoned_in_company(void **state)
{
	cleanup_place struct place p = place_make("layout");
	cleanup_made struct made one = make_image(1), two = make_image(2);
	dray_error *err = NULL;

	(void)state;
	struct dest *a = dest_oci_dir(p.path, &err);
	assert_ok(put_image(a, &one, "v1", &err), err);
	struct dest *b = dest_oci_dir(p.path, &err);
	assert_int_equal(dest_has_blob(b, &one.descs[1], NULL), 1);
	dest_free(a);
	assert_blob(p.path, &one.descs[1], one.layer[0]);
	assert_ok(put_image(b, &two, "v2", &err), err);
	a = dest_oci_dir(p.path, &err);
	assert_ok(put(a, "extra", &(struct descriptor){ .size = -1 }, &(struct digest){ 0 }, &err),
		  err);
	assert_ok(dest_finish(b, &err), err);
	dest_free(b);
	/* b has gone, but index.json is not the one that a knew. */
	dest_free(a);
	struct descriptor extra = describe("extra", MT_OCI_LAYER);
	assert_blob(p.path, &extra, "extra");
	assert_blob(p.path, &two.descs[1], two.layer[0]);
}

/* G-10 */
static void test_dir_processes(void **state)
{
	enum { PROCESSES = 16 };
	cleanup_place struct place p = place_make("layout");
	pid_t child[PROCESSES];
	size_t n = 0;

	(void)state;
	for (int i = 0; i < PROCESSES; i++) {
		child[i] = fork();
		if (child[i] == 0) {
			struct made m = make_image(i % 4);
			char tag[16];
			dray_error *err = NULL;

			snprintf(tag, sizeof(tag), "tag%d", i);
			struct dest *d = dest_oci_dir(p.path, &err);
			_exit(d && put_image(d, &m, tag, &err) == 0 && dest_finish(d, &err) == 0
				      ? 0
				      : 1);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		assert_int_equal(waitpid(child[i], &status, 0), child[i]);
		assert_int_equal(status, 0);
	}
	cleanup_buf struct buf index = index_of(p.path);
	for (struct span s = span_buf(&index); (s.data = memmem(s.data, s.len, "ref.name", 8)); n++)
		s = span_of(s.data + 1, (size_t)(index.data + index.len - s.data - 1));
	assert_int_equal(n, PROCESSES);
	/* Shared layer, then 4 each of config, layer, manifest. */
	assert_int_equal(count(p.path, "blobs/sha256"), 1 + 3 * 4);
}

static int put_some(void *arg, size_t i, dray_error **err)
{
	char text[32];
	struct digest got;

	snprintf(text, sizeof(text), "blob %zu", i % 5);
	return put(arg, text, &(struct descriptor){ .size = -1 }, &got, err);
}

static void test_threads(void **state)
{
	(void)state;
	for (int tar = 0; tar <= 1; tar++) {
		cleanup_place struct place p = place_make("out");
		dray_error *err = NULL;
		cleanup_dest struct dest *d = tar ? dest_oci_tar(p.path, NULL, false, &err)
						  : dest_oci_dir(p.path, &err);

		assert_ok(d ? 0 : -1, err);
		assert_ok(run_parallel(8, 40, put_some, d, &err), err);
		assert_ok(dest_finish(d, &err), err);
		if (!tar)
			assert_int_equal(count(p.path, "blobs/sha256"), 5);
	}
}

/* ---- faults ---- */

struct scenario {
	struct place p;
	struct made m;
	bool tar;
};

static int run_scenario(void *arg, dray_error **err)
{
	const struct scenario *s = arg;

	remove_tree(s->p.path);
	cleanup_dest struct dest *d = s->tar ? dest_oci_tar(s->p.path, NULL, false, err)
					     : dest_oci_dir(s->p.path, err);
	if (!d || put_image(d, &s->m, "v1", err) < 0)
		return -1;
	return dest_finish(d, err);
}

/* What is there is whole: an archive, or a layout whose index.json leads to blobs. */
static void check_whole(void *arg, bool failed)
{
	const struct scenario *s = arg;
	cleanup_buf struct buf b = BUF_INIT(0);

	if (s->tar && exists(s->p.fd, "out")) {
		slurp(s->p.fd, "out", &b);
		cleanup_free char *names = list_archive(span_buf(&b));
		assert_string_equal(names, WHOLE);
	} else if (!s->tar && exists(s->p.fd, "out/index.json")) {
		assert_blob(s->p.path, &s->m.descs[0], s->m.config);
		assert_blob(s->p.path, &s->m.descs[1], s->m.layer[0]);
		assert_blob(s->p.path, &s->m.descs[2], s->m.layer[1]);
	} else {
		assert_true(failed);
	}
}

static void test_faults(void **state)
{
	(void)state;
	for (int tar = 0; tar <= 1; tar++) {
		struct scenario s = { .p = place_make("out"), .tar = tar };

		s.m = make_image(1);

		torture_alloc(run_scenario, &s);
		torture_io(run_scenario, &s, ENOSPC, check_whole);
		made_clear(&s.m);
		place_clear(&s.p);
	}
}

/* G-02: killed at any system call. */
static void test_crash(void **state)
{
	(void)state;
	for (int tar = 0; tar <= 1; tar++) {
		struct scenario s = { .p = place_make("out"), .tar = tar };

		s.m = make_image(1);
		int status = 1;

		for (uint64_t nth = 1; status != 0; nth++) {
			pid_t child = fork();

			if (child == 0) {
				fault_arm(FAULT_CRASH, nth, 0);
				_exit(run_scenario(&s, NULL) < 0);
			}
			assert_int_equal(waitpid(child, &status, 0), child);
			assert_true(status == 0 || WEXITSTATUS(status) == 99);
			check_whole(&s, status != 0);
		}
		made_clear(&s.m);
		place_clear(&s.p);
	}
}

/* ---- memory ---- */

static void test_memory(void **state)
{
	cleanup_made struct made m = make_image(1);
	const struct selector all = { .all = true };
	cleanup_buf struct buf b = BUF_INIT(LIMIT_CONFIG);
	dray_error *err = NULL;
	struct image **images;
	size_t n;

	(void)state;
	cleanup_store struct store *st = store_memory_new(&err);
	cleanup_dest struct dest *d = dest_memory(st, &err);
	assert_ok(put_image(d, &m, "v1", &err), err);
	assert_int_equal(dest_has_blob(d, &m.descs[1], NULL), 1);
	assert_ok(store_images(st, &all, &images, &n, &err), err);
	assert_int_equal(n, 0);
	images_free(images, n);
	assert_ok(dest_finish(d, &err), err);
	assert_ok(store_images(st, &all, &images, &n, &err), err);
	assert_int_equal(n, 1);
	assert_string_equal(images[0]->tags[0], "v1");
	assert_int_equal(images[0]->n_layers, 2);
	cleanup_source struct source *s = store_open_layer(st, images[0], 1, &err);
	assert_ok(source_slurp(s, &b, &err), err);
	assert_span_is(span_buf(&b), m.layer[1]);
	images_free(images, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_index_moved),
		cmocka_unit_test(test_index_no_clobber),
		cmocka_unit_test(test_index_many),
		cmocka_unit_test(test_dir_new),
		cmocka_unit_test(test_dir_twice),
		cmocka_unit_test(test_dir_wrong_bytes),
		cmocka_unit_test(test_dir_short_blob),
		cmocka_unit_test(test_dir_damaged_blob),
		cmocka_unit_test(test_dir_refused),
		cmocka_unit_test(test_dir_no_parent),
		cmocka_unit_test(test_dir_damaged_later),
		cmocka_unit_test(test_dir_abandoned),
		cmocka_unit_test(test_dir_abandoned_in_company),
		cmocka_unit_test(test_dir_processes),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
