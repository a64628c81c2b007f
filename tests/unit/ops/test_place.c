/* SPDX-License-Identifier: Apache-2.0
 *
 * From what a user types to a place, and which image of it is meant.
 */
#include "torture.h"

#include "base/mem.h"
#include "ops/ops.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX64

/* The working directory of these tests holds these. */
static const char *const files[] = { "a.tar", "with:colon.tar", "x:1", "at@" DIGEST, "app" };
static char *dir;
static int dir_fd;

static int enter(void **state)
{
	(void)state;
	dir = temp_dir_make(&dir_fd);
	for (size_t i = 0; i < ROWS(files); i++)
		put_file(dir_fd, files[i], span_str("x"));
	assert_int_equal(mkdirat(dir_fd, "folder", 0755), 0);
	assert_int_equal(mkdirat(dir_fd, "folder.d", 0755), 0);
	return fchdir(dir_fd);
}

static int leave(void **state)
{
	(void)state;
	assert_int_equal(chdir("/"), 0);
	temp_dir_remove(dir, dir_fd);
	return 0;
}

static void assert_text(const char *typed, const char *got, const char *want)
{
	if (got != want && (!got || !want || strcmp(got, want) != 0))
		fail_msg("%s: got %s, want %s", typed, got ? got : "nothing",
			 want ? want : "nothing");
}

static void place_paths(void **state)
{
	static const struct {
		const char *typed;
		enum place_kind kind;
		const char *path, *tag;
		int64_t at; /* -1 = none */
		bool digest;
	} rows[] = {
		{ "docker-archive:a.tar", PLACE_ARCHIVE, "a.tar", NULL, -1, false },
		{ "docker-archive:a.tar:app:1", PLACE_ARCHIVE, "a.tar", "app:1", -1, false },
		{ "docker-archive:a.tar:h:5000/app:1", PLACE_ARCHIVE, "a.tar", "h:5000/app:1", -1,
		  false },
		{ "docker-archive:a.tar:@0", PLACE_ARCHIVE, "a.tar", NULL, 0, false },
		{ "docker-archive:a.tar:@12", PLACE_ARCHIVE, "a.tar", NULL, 12, false },
		{ "docker-archive:with:colon.tar", PLACE_ARCHIVE, "with:colon.tar", NULL, -1,
		  false },
		{ "docker-root:folder", PLACE_DOCKER_ROOT, "folder", NULL, -1, false },
		{ "docker-root:folder:app:1", PLACE_DOCKER_ROOT, "folder", "app:1", -1, false },
		{ "docker-root:folder:" DIGEST, PLACE_DOCKER_ROOT, "folder", NULL, -1, true },
		{ "docker-root:folder:sha256:0123456789ab", PLACE_DOCKER_ROOT, "folder",
		  "sha256:0123456789ab", -1, false },
		{ "containers-storage:", PLACE_CONTAINERS, NULL, NULL, -1, false },
		{ "containers-storage:app:1", PLACE_CONTAINERS, NULL, "app:1", -1, false },
		{ "containers-storage:[folder]", PLACE_CONTAINERS, "folder", NULL, -1, false },
		{ "containers-storage:[folder]app", PLACE_CONTAINERS, "folder", "app", -1, false },
		{ "containers-storage:[/a@b+c]app", PLACE_CONTAINERS, "/a@b+c", "app", -1, false },
		{ "containers-storage:[overlay@/d+/run:o=1]app", PLACE_CONTAINERS, "/d", "app", -1,
		  false },
		{ "containers-storage:[folder]" DIGEST, PLACE_CONTAINERS, "folder", NULL, -1,
		  true },
		{ "containers-storage:[folder]@3", PLACE_CONTAINERS, "folder", NULL, 3, false },
		{ "docker-root:folder:@12", PLACE_DOCKER_ROOT, "folder", NULL, 12, false },
		{ "containers-storage:[folder]@0123456789ab", PLACE_CONTAINERS, "folder",
		  "sha256:0123456789ab", -1, false },
		{ "docker-archive:with:colon.tar:t", PLACE_ARCHIVE, "with:colon.tar", "t", -1,
		  false },
		{ "docker-archive:x:1", PLACE_ARCHIVE, "x:1", NULL, -1, false },
		{ "docker-archive:x:1:2", PLACE_ARCHIVE, "x:1", "2", -1, false },
		{ "docker-archive:none:1:2", PLACE_ARCHIVE, "none", "1:2", -1, false },
		{ "docker-archive:-", PLACE_ARCHIVE, "-", NULL, -1, false },
		{ "docker-archive:-:app", PLACE_ARCHIVE, "-", "app", -1, false },
		{ "oci:folder", PLACE_OCI_DIR, "folder", NULL, -1, false },
		{ "oci:folder:v1", PLACE_OCI_DIR, "folder", "v1", -1, false },
		{ "oci:folder@" DIGEST, PLACE_OCI_DIR, "folder", NULL, -1, true },
		{ "oci:new/one:v1", PLACE_OCI_DIR, "new/one", "v1", -1, false },
		{ "oci:at@" DIGEST, PLACE_OCI_DIR, "at@" DIGEST, NULL, -1, false },
		{ "oci:fold@er", PLACE_OCI_DIR, "fold@er", NULL, -1, false },
		{ "oci-archive:a.tar", PLACE_OCI_ARCHIVE, "a.tar", NULL, -1, false },
		{ "oci-archive:a.tar:v1", PLACE_OCI_ARCHIVE, "a.tar", "v1", -1, false },
		{ "oci-archive:a.tar@" DIGEST, PLACE_OCI_ARCHIVE, "a.tar", NULL, -1, true },
		{ "oci-archive:a.tar:v1@" DIGEST, PLACE_OCI_ARCHIVE, "a.tar", "v1", -1, true },
		{ "a.tar", PLACE_ARCHIVE, "a.tar", NULL, -1, false },
		{ "x:1", PLACE_ARCHIVE, "x:1", NULL, -1, false },
		{ "app", PLACE_ARCHIVE, "app", NULL, -1, false },
		{ "folder", PLACE_DIRECTORY, "folder", NULL, -1, false },
		{ "./folder/", PLACE_DIRECTORY, "./folder/", NULL, -1, false },
		{ "-", PLACE_ARCHIVE, "-", NULL, -1, false },
	};

	(void)state;
	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		const char *typed = rows[i / 2].typed;
		bool disk = rows[i / 2].kind == PLACE_DOCKER_ROOT ||
			    rows[i / 2].kind == PLACE_CONTAINERS;
		cleanup_place struct place p = { 0 };
		dray_error *err = NULL;

		if (disk && i % 2 == PLACE_WRITE) {
			assert_int_equal(place_parse(typed, PLACE_WRITE, &p, &err), -1);
			assert_err(err, DRAY_ERR_UNSUPPORTED, "only read");
			continue;
		}
		assert_ok(place_parse(typed, i % 2, &p, &err), err);
		if (p.kind != rows[i / 2].kind)
			fail_msg("%s: kind %d", typed, (int)p.kind);
		assert_text(typed, p.path, rows[i / 2].path);
		assert_text(typed, p.tag, rows[i / 2].tag);
		assert_text(typed, p.text, typed);
		assert_int_equal(p.has_at ? p.at : -1, rows[i / 2].at);
		assert_int_equal(digest_set(&p.digest), rows[i / 2].digest);
	}
}

static void place_registries(void **state)
{
	static const struct {
		const char *typed, *domain, *path, *tag;
	} rows[] = {
		{ "docker://busybox", "docker.io", "library/busybox", NULL },
		{ "docker://app", "docker.io", "library/app",
		  NULL }, /* though a file has the name */
		{ "docker://h:5000/a/b:1", "h:5000", "a/b", "1" },
		{ "busybox:1.36", "docker.io", "library/busybox", "1.36" },
		{ "localhost/app", "localhost", "app", NULL },
		{ "h.example/app:1@" DIGEST, "h.example", "app", "1" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		cleanup_place struct place p = { 0 };
		dray_error *err = NULL;

		assert_ok(place_parse(rows[i / 2].typed, i % 2, &p, &err), err);
		assert_int_equal(p.kind, PLACE_REGISTRY);
		assert_null(p.path);
		assert_string_equal(p.ref.domain, rows[i / 2].domain);
		assert_string_equal(p.ref.path, rows[i / 2].path);
		assert_text(rows[i / 2].typed, p.ref.tag, rows[i / 2].tag);
	}
}

/* Names as engines show them; an ID or a digest is something to read from, not to load as. */
static void place_daemons(void **state)
{
	static const struct {
		const char *typed, *tag;
		bool digest, writing;
	} rows[] = {
		{ "docker-daemon:", NULL, false, true },
		{ "docker-daemon:app", "app:latest", false, true },
		{ "docker-daemon:app:1", "app:1", false, true },
		{ "docker-daemon:docker.io/library/app:1", "app:1", false, true },
		{ "docker-daemon:h:5000/a/app", "h:5000/a/app:latest", false, true },
		{ "docker-daemon:" DIGEST, NULL, true, false },
		{ "docker-daemon:app@" DIGEST, "app@" DIGEST, false, false },
	};

	(void)state;
	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		const char *typed = rows[i / 2].typed;
		cleanup_place struct place p = { 0 };
		dray_error *err = NULL;
		int rc = place_parse(typed, i % 2, &p, &err);

		if (i % 2 && !rows[i / 2].writing) {
			assert_int_equal(rc, -1);
			assert_err(err, DRAY_ERR_USAGE, typed);
			continue;
		}
		assert_ok(rc, err);
		assert_int_equal(p.kind, PLACE_DAEMON);
		assert_text(typed, p.tag, rows[i / 2].tag);
		assert_int_equal(digest_set(&p.digest), rows[i / 2].digest);
	}
}

static void place_refusals(void **state)
{
	static const struct {
		const char *typed;
		enum dray_err_kind reading, writing;
		const char *part;
	} rows[] = {
		{ "", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "empty" },
		{ "docker-archive:", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "path is missing" },
		{ "docker-archive::app", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "path is missing" },
		{ "docker-archive:a.tar:", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "nothing behind" },
		{ "docker-archive:a.tar:@", DRAY_ERR_USAGE, DRAY_ERR_USAGE, ":@NUMBER" },
		{ "docker-archive:a.tar:@-1", DRAY_ERR_USAGE, DRAY_ERR_USAGE, ":@NUMBER" },
		{ "docker-archive:a.tar:@1x", DRAY_ERR_USAGE, DRAY_ERR_USAGE, ":@NUMBER" },
		{ "docker-archive:a.tar:@9223372036854775808", DRAY_ERR_USAGE, DRAY_ERR_USAGE,
		  ":@NUMBER" },
		{ "oci:", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "path is missing" },
		{ "oci:@" DIGEST, DRAY_ERR_USAGE, DRAY_ERR_USAGE, "path is missing" },
		{ "oci:folder:", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "nothing behind" },
		{ "oci:folder@sha256:0123", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "is no digest" },
		{ "dir:", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "path is missing" },
		{ "docker-daemon:UPPER", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "docker-daemon:UPPER" },
		{ "docker-daemon:app:", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "docker-daemon:app:" },
		{ "docker-daemon:sha256:12", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "docker-daemon:" },
		{ "docker-root:", DRAY_ERR_USAGE, DRAY_ERR_UNSUPPORTED, "docker-root:" },
		{ "docker-root:x:", DRAY_ERR_USAGE, DRAY_ERR_UNSUPPORTED, "docker-root:" },
		{ "containers-storage:[x", DRAY_ERR_USAGE, DRAY_ERR_UNSUPPORTED, "[x" },
		{ "containers-storage:[]x", DRAY_ERR_USAGE, DRAY_ERR_UNSUPPORTED, "[]x" },
		{ "/none/app", DRAY_ERR_NOT_FOUND, DRAY_ERR_USAGE, "/none/app" },
		{ "./none", DRAY_ERR_NOT_FOUND, DRAY_ERR_USAGE, "./none" },
		{ "../none", DRAY_ERR_NOT_FOUND, DRAY_ERR_USAGE, "../none" },
		{ "none.tar.gz", DRAY_ERR_NOT_FOUND, DRAY_ERR_USAGE, "none.tar.gz" },
		{ "docker://", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "" },
		{ "docker://UPPER", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "" },
		{ "Not A Name", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "" },
		{ "a\nb", DRAY_ERR_USAGE, DRAY_ERR_USAGE, "" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * ROWS(rows); i++) {
		const char *typed = rows[i / 2].typed;
		struct place p;
		dray_error *err = NULL;

		if (place_parse(typed, i % 2, &p, &err) == 0)
			fail_msg("%s was taken", typed);
		assert_null(p.text);
		assert_err(err, i % 2 ? rows[i / 2].writing : rows[i / 2].reading,
			   rows[i / 2].part);
	}
}

/* The way out is in the hint. */
static void place_hint_when_writing(void **state)
{
	struct place p;
	dray_error *err = NULL;

	(void)state;
	assert_int_equal(place_parse("./new", PLACE_WRITE, &p, &err), -1);
	assert_string_equal(dray_error_hint(err),
			    "say docker-archive:./new, oci-archive:./new, oci:./new or dir:./new");
	assert_err_kind(err, DRAY_ERR_USAGE);
}

/* What a bare word becomes that names nothing yet. */
static void place_new(void **state)
{
	static const struct {
		const char *typed;
		enum place_use use;
		enum place_kind kind;
	} rows[] = {
		{ "new.tar", PLACE_WRITE, PLACE_ARCHIVE },
		{ "/none/x.tar", PLACE_WRITE, PLACE_ARCHIVE },
		{ "new.docker", PLACE_WRITE, PLACE_ARCHIVE },
		{ "new.tar", PLACE_OUTPUT, PLACE_ARCHIVE },
		{ "new", PLACE_OUTPUT, PLACE_ARCHIVE },
		{ "./new", PLACE_OUTPUT, PLACE_ARCHIVE },
		{ "host/app:1", PLACE_OUTPUT, PLACE_ARCHIVE },
		{ "h.example/app", PLACE_OUTPUT, PLACE_ARCHIVE },
		{ "new", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "new:1", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "host/app:1", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "h.example", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "h:5000", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "h.example/app", PLACE_OUTPUT_HOST, PLACE_REGISTRY },
		{ "h.example/a/b:1@" DIGEST, PLACE_OUTPUT_HOST, PLACE_REGISTRY },
		{ "h:5000/app:1", PLACE_OUTPUT_HOST, PLACE_REGISTRY },
		{ "127.0.0.1:5000/app", PLACE_OUTPUT_HOST, PLACE_REGISTRY },
		{ "localhost/app", PLACE_OUTPUT_HOST, PLACE_REGISTRY },
		{ "h:x/app", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "h.example/App", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "h.example/app.tar", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "h.example/app.tar.gz", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "./h.example/app", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "/h.example/app", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ ".h.example/app", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "folder/app", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "folder.d/app", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "a.tar/app", PLACE_OUTPUT_HOST, PLACE_ARCHIVE },
		{ "oci:h.example/app", PLACE_OUTPUT_HOST, PLACE_OCI_DIR },
		{ "new", PLACE_WRITE, PLACE_REGISTRY },
		{ "new", PLACE_READ, PLACE_REGISTRY },
		{ "dir:new", PLACE_WRITE, PLACE_DIR },
		{ "oci:new", PLACE_OUTPUT, PLACE_OCI_DIR },
		{ "docker://new", PLACE_OUTPUT, PLACE_REGISTRY },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_place struct place p = { 0 };
		dray_error *err = NULL;

		assert_ok(place_parse(rows[i].typed, rows[i].use, &p, &err), err);
		if (p.kind != rows[i].kind)
			fail_msg("%s: kind %d", rows[i].typed, p.kind);
	}
}

/* Whatever is typed, a terminal only shows it. */
static void place_hostile_text(void **state)
{
	static const char *const heads[] = {
		"",	"./",		"docker-daemon:", "docker-archive:",
		"oci:", "oci-archive:", "docker://",	  "dir:"
	};
	static const char *const tails[] = { "\x1b]0;x\x07", "\x80\xff",       "a:\x1b[2J",
					     "%s%n",	     "\xe2\x80\xaert", "a.tar:@\x1b",
					     "a.tar:\x1b",   "@sha256:\x1b" };

	(void)state;
	for (size_t i = 0; i < ROWS(heads) * ROWS(tails) * 2; i++) {
		cleanup_free char *typed = mem_printf("%s%s", heads[i / 2 / ROWS(tails)],
						      tails[i / 2 % ROWS(tails)]);
		cleanup_place struct place p = { 0 };
		cleanup_error dray_error *err = NULL;
		const char *shown, *hint;

		place_parse(typed, i % 2, &p, &err) < 0 ? (void)0 : (void)assert_null(err);
		shown = err ? dray_error_message(err) : p.text;
		hint = err ? dray_error_hint(err) : NULL;
		for (const char *c = shown; *c; c++)
			if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
				fail_msg("byte 0x%02x shown for row %zu", (unsigned char)*c, i);
		for (const char *c = hint ? hint : ""; *c; c++)
			if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
				fail_msg("byte 0x%02x in the hint of row %zu", (unsigned char)*c,
					 i);
	}
}

static int parse_all(void *arg, dray_error **err)
{
	cleanup_place struct place p = { 0 };

	return place_parse(arg, false, &p, err);
}

static void place_allocations(void **state)
{
	static const char *const rows[] = { "docker-archive:with:colon.tar:app:1", "a.tar",
					    "oci-archive:a.tar:v1@" DIGEST,
					    "docker://h:5000/a/b:1" };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_free char *typed = mem_strdup(rows[i]);

		torture_alloc(parse_all, typed);
	}
}

/* ---- choosing ---- */

static dray_context *context(const char *platform, bool all_platforms)
{
	struct dray_context_options o = DRAY_CONTEXT_OPTIONS_INIT;
	dray_context *ctx = NULL;
	dray_error *err = NULL;

	o.platform = platform;
	o.all_platforms = all_platforms;
	assert_ok(dray_context_new(&o, &ctx, &err), err);
	return ctx;
}

static void selector_from_both(void **state)
{
	static const struct {
		const char *place, *image;
		const char *ref;
		int64_t at; /* -1 = none */
		bool digest;
	} rows[] = {
		{ "docker-archive:a.tar", NULL, NULL, -1, false },
		{ "docker-archive:a.tar:app:1", NULL, "app:1", -1, false },
		{ "docker-archive:a.tar:@3", NULL, NULL, 3, false },
		{ "oci:folder@" DIGEST, NULL, NULL, -1, true },
		{ "a.tar", "app:1", "app:1", -1, false },
		{ "a.tar", "@0", NULL, 0, false },
		{ "a.tar", DIGEST, NULL, -1, true },
		{ "a.tar", "sha256:0123456", NULL, -1, true },
		{ "a.tar", "", "", -1, false }, /* names nothing; the store says so */
	};
	dray_context *ctx = context(NULL, false);

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_place struct place p = { 0 };
		struct arena a = { 0 };
		struct selector sel;
		dray_error *err = NULL;

		assert_ok(place_parse(rows[i].place, false, &p, &err), err);
		assert_ok(place_selector(ctx, &p, rows[i].image, false, &a, &sel, &err), err);
		assert_text(rows[i].place, sel.ref, rows[i].ref);
		assert_int_equal(sel.has_at ? sel.at : -1, rows[i].at);
		assert_int_equal(selector_by_digest(&sel), rows[i].digest);
		assert_false(sel.all || sel.all_platforms);
		arena_clear(&a);
	}
	dray_context_free(ctx);
}

static void selector_refusals(void **state)
{
	static const struct {
		const char *place, *image;
		bool all;
		enum dray_err_kind kind;
	} rows[] = {
		{ "docker-archive:a.tar:app:1", "app:2", false, DRAY_ERR_USAGE },
		{ "docker-archive:a.tar:@1", "@1", false, DRAY_ERR_USAGE },
		{ "oci:folder@" DIGEST, DIGEST, false, DRAY_ERR_USAGE },
		{ "a.tar", "app:1", true, DRAY_ERR_USAGE },
		{ "a.tar", "@", false, DRAY_ERR_USAGE },
		{ "a.tar", "@x", false, DRAY_ERR_USAGE },
		{ "a.tar", "@-1", false, DRAY_ERR_USAGE },
		{ "a.tar", "sha256:", false, DRAY_ERR_USAGE },
		{ "a.tar", "sha256:abc", false, DRAY_ERR_USAGE },
		{ "a.tar", "sha256:012345", false, DRAY_ERR_USAGE },
		{ "a.tar", "sha256:0123456789abcdeF", false, DRAY_ERR_USAGE },
		{ "a.tar", DIGEST "0", false, DRAY_ERR_USAGE },
	};
	dray_context *ctx = context(NULL, false);

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_place struct place p = { 0 };
		struct arena a = { 0 };
		struct selector sel;
		dray_error *err = NULL;

		assert_ok(place_parse(rows[i].place, false, &p, &err), err);
		if (place_selector(ctx, &p, rows[i].image, rows[i].all, &a, &sel, &err) == 0)
			fail_msg("%s %s was taken", rows[i].place, rows[i].image);
		assert_err_kind(err, rows[i].kind);
		arena_clear(&a);
	}
	dray_context_free(ctx);
}

static void selector_platform(void **state)
{
	dray_context *ctx = context("linux/aarch64/v8", true);
	cleanup_place struct place p = { 0 };
	struct arena a = { 0 };
	struct selector sel;
	dray_error *err = NULL;

	(void)state;
	assert_ok(place_parse("a.tar", false, &p, &err), err);
	assert_ok(place_selector(ctx, &p, NULL, true, &a, &sel, &err), err);
	assert_string_equal(sel.platform.os, "linux");
	assert_string_equal(sel.platform.arch, "arm64");
	assert_true(sel.all && sel.all_platforms);
	arena_clear(&a);
	dray_context_free(ctx);
}

static void context_refusals(void **state)
{
	static const struct dray_context_options rows[] = {
		{ .size = sizeof(rows[0]), .jobs = -1 },
		{ .size = sizeof(rows[0]), .jobs = 257 },
		{ .size = sizeof(rows[0]), .creds = "nobody" },
		{ .size = sizeof(rows[0]), .platform = "linux/" },
		{ .size = sizeof(rows[0]), .platform = "a/b/c/d" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		dray_context *ctx = NULL;
		dray_error *err = NULL;

		assert_int_equal(dray_context_new(&rows[i], &ctx, &err), -1);
		assert_null(ctx);
		assert_err_kind(err, DRAY_ERR_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(place_paths),
		cmocka_unit_test(place_registries),
		cmocka_unit_test(place_daemons),
		cmocka_unit_test(place_refusals),
		cmocka_unit_test(place_hint_when_writing),
		cmocka_unit_test(place_new),
		cmocka_unit_test(place_hostile_text),
		cmocka_unit_test(place_allocations),
		cmocka_unit_test(selector_from_both),
		cmocka_unit_test(selector_refusals),
		cmocka_unit_test(selector_platform),
		cmocka_unit_test(context_refusals),
	};

	return cmocka_run_group_tests_name("place", tests, enter, leave);
}
