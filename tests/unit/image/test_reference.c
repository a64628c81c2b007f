/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of images: grammar and normalisation (formats.md 5.1, reliability N-13).
 */
#include "torture.h"

#include <regex.h>

#include "base/mem.h"
#include "image/reference.h"

#define HEX "b5286b140854cb4653f40218b53726462ec0b672896cb93297143ba4e93c59e2"
#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10
#define X120 X60 X60

struct good {
	const char *text, *full, *familiar;
	bool domain_given;
};

static const struct good good[] = {
	{ "busybox", "docker.io/library/busybox", "busybox", false },
	{ "busybox:1", "docker.io/library/busybox:1", "busybox:1", false },
	{ "me/app", "docker.io/me/app", "me/app", false },
	{ "library/app", "docker.io/library/app", "app", false },
	{ "a/b/c", "docker.io/a/b/c", "a/b/c", false },
	{ "library/b/c", "docker.io/library/b/c", "library/b/c", false },
	{ "docker.io/busybox", "docker.io/library/busybox", "busybox", true },
	{ "index.docker.io/busybox", "docker.io/library/busybox", "busybox", true },
	{ "docker.io/me/app:1", "docker.io/me/app:1", "me/app:1", true },
	{ "localhost/x", "localhost/x", "localhost/x", true },
	{ "localhost:5000/x", "localhost:5000/x", "localhost:5000/x", true },
	{ "127.0.0.1:5000/x/y:t", "127.0.0.1:5000/x/y:t", "127.0.0.1:5000/x/y:t", true },
	{ "Registry/x", "Registry/x", "Registry/x", true },
	{ "REG.example.com/x", "REG.example.com/x", "REG.example.com/x", true },
	{ "[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x", true },
	{ "[fe80::A]/x", "[fe80::A]/x", "[fe80::A]/x", true },
	{ "x:UPPER-Tag_1.0", "docker.io/library/x:UPPER-Tag_1.0", "x:UPPER-Tag_1.0", false },
	{ "x:_", "docker.io/library/x:_", "x:_", false },
	{ "a.b/c", "a.b/c", "a.b/c", true },
	{ "a_b/c__d/e---f.g", "docker.io/a_b/c__d/e---f.g", "a_b/c__d/e---f.g", false },
	{ "x@sha256:" HEX, "docker.io/library/x@sha256:" HEX, "x@sha256:" HEX, false },
	{ "h:1/x:t@sha256:" HEX, "h:1/x:t@sha256:" HEX, "h:1/x:t@sha256:" HEX, true },
	{ "x:" X120 "xxxxxxxx", "docker.io/library/x:" X120 "xxxxxxxx", "x:" X120 "xxxxxxxx",
	  false },
	{ "h:1/" X120 X120 X10 "xxxxx", "h:1/" X120 X120 X10 "xxxxx", "h:1/" X120 X120 X10 "xxxxx",
	  true },
	{ "me/" HEX, "docker.io/me/" HEX, "me/" HEX, false },
	/* without docker.io/ or library/ these would name something else */
	{ "docker.io/a.b/c", "docker.io/a.b/c", "docker.io/a.b/c", true },
	{ "docker.io/localhost/c", "docker.io/localhost/c", "docker.io/localhost/c", true },
	{ "library/" HEX, "docker.io/library/" HEX, "library/" HEX, false },
};

static void reference_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(good); i++) {
		cleanup_reference struct reference r = { 0 }, copy = { 0 }, again = { 0 };
		dray_error *err = NULL;

		assert_ok(reference_parse(span_str(good[i].text), &r, &err), err);
		assert_ok(reference_copy(&r, &copy, &err), err);
		cleanup_free char *full = reference_text(&copy);
		cleanup_free char *familiar = reference_familiar(&copy);
		assert_string_equal(full, good[i].full);
		assert_string_equal(familiar, good[i].familiar);
		assert_int_equal(copy.domain_given, good[i].domain_given);
		/* What we print parses to the same. */
		assert_ok(reference_parse(span_str(familiar), &again, &err), err);
		cleanup_free char *twice = reference_text(&again);
		assert_string_equal(twice, full);
	}
}

struct bad {
	const char *text, *says;
};

static const struct bad bad[] = {
	{ "", "empty" },
	{ "Busybox", "must be lowercase" },
	{ "me/App", "must be lowercase" },
	{ "h:1/X/y", "must be lowercase" },
	{ HEX, "image ID" },
	{ "/x", "repository name" },
	{ "x/", "repository name" },
	{ "localhost/", "missing" },
	{ "a//b", "repository name" },
	{ "x:", "tag" },
	{ "x:-a", "tag" },
	{ "x:.a", "tag" },
	{ "x:a b", "tag" },
	{ "x:" X120 "xxxxxxxxx", "128" },
	{ X120 X120 X10 "xxxxxx", "255" },
	{ X120 X120 "xxxxxxxx", "255" }, /* "library/" counts */
	{ "x@", "digest" },
	{ "x@sha256:abc", "digest" },
	{ "x@sha256:" HEX "0", "digest" },
	{ "x@sha256:../../../etc/passwd", "HOST" },
	{ "h.x/x@sha256:../../../etc/passwd", "digest" },
	{ "-x", "separators" },
	{ "x-", "separators" },
	{ "x..y", "separators" },
	{ "x___y", "separators" },
	{ "x\r\ny", "separators" },
	{ "x y", "separators" },
	{ "h_h:1/x", "HOST" },
	{ "-h.x/x", "HOST" },
	{ "h.x-/x", "HOST" },
	{ "h..x/x", "HOST" },
	{ "h:/x", "HOST" },
	{ "h:0/x", "HOST" },
	{ "h:65536/x", "HOST" },
	{ "h:99999999999999999999/x", "HOST" },
	{ "h:1a/x", "HOST" },
	{ "[::1/x", "HOST" },
	{ "[]:5/x", "HOST" },
	{ "[::g]/x", "HOST" },
	{ "[::1]x/x", "HOST" },
	{ "http://h/x", "HOST" },
	{ "user@h.x/x", "HOST" },
	{ "h.x%2f/x", "HOST" },
};

/* A password before the host is refused, and not repeated. */
static void reference_secret(void **state)
{
	static const char *const rows[] = { "me:s3cret@h.x/x", "https://me:s3cret@h.x/x",
					    "docker://me:s3cret@h.x:5/x:1" };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_reference struct reference r = { 0 };
		dray_error *err = NULL;

		assert_int_equal(reference_parse(span_str(rows[i]), &r, &err), -1);
		assert_null(strstr(dray_error_message(err), "s3cret"));
		assert_non_null(strstr(dray_error_message(err), "@h.x"));
		assert_non_null(strstr(dray_error_hint(err), "login"));
		assert_err_kind(err, DRAY_ERR_USAGE);
	}
}

static void reference_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++) {
		cleanup_reference struct reference r = { 0 };
		dray_error *err = NULL;

		if (reference_parse(span_str(bad[i].text), &r, &err) == 0)
			fail_msg("\"%s\" was accepted", bad[i].text);
		assert_err(err, DRAY_ERR_USAGE, bad[i].says);
	}
}

/* N-13: no byte outside the grammar anywhere, NUL included. */
static void reference_any_byte(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char text[] = "h:1/xa/y:ta";
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		dray_error *err = NULL;

		text[5] = (char)c;
		text[10] = (char)c;
		cleanup_reference struct reference r = { 0 };
		int rc = reference_parse(span_of(text, sizeof(text) - 1), &r, &err);
		if (plain)
			assert_ok(rc, err);
		else
			assert_err_kind(err, DRAY_ERR_USAGE);
	}
}

static void reference_default_tag_rules(void **state)
{
	static const struct {
		const char *text, *full;
	} rows[] = {
		{ "x", "docker.io/library/x:latest" },
		{ "x:1", "docker.io/library/x:1" },
		{ "x@sha256:" HEX, "docker.io/library/x@sha256:" HEX },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_reference struct reference r = { 0 };
		dray_error *err = NULL;

		assert_ok(reference_parse(span_str(rows[i].text), &r, &err), err);
		assert_ok(reference_default_tag(&r, &err), err);
		cleanup_free char *full = reference_text(&r);
		assert_string_equal(full, rows[i].full);
	}
}

static int parse_all(void *arg, dray_error **err)
{
	cleanup_reference struct reference r = { 0 }, copy = { 0 };

	(void)arg;
	if (reference_parse(SPAN_LIT("h:1/x:t@sha256:" HEX), &r, err) < 0 ||
	    reference_copy(&r, &copy, err) < 0)
		return -1;
	cleanup_free char *text = reference_text(&copy);
	return text ? 0 : err_nomem(err);
}

static void reference_torture(void **state)
{
	(void)state;
	torture_alloc(parse_all, NULL);
}

/*
 * The expressions of the distribution-spec 1.1 ("Pulling manifests"), which POSIX reads as Go does.
 * Every text of up to six of the bytes that matter to them, and each byte in the midst of a name.
 */
static bool (*const valid[])(struct span) = { reference_path_valid, reference_tag_valid };
static const char *const expressions[] = {
	"^[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*$",
	"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$",
};

static void check_against(size_t which, const regex_t *re, const char *text)
{
	bool want = regexec(re, text, 0, NULL, 0) == 0;

	if (valid[which](span_str(text)) != want)
		fail_msg("'%s' should%s match %s", text, want ? "" : " not", expressions[which]);
}

static void check_texts(size_t which, const regex_t *re)
{
	static const char bytes[] = "a0._-/A";
	char text[7];

	for (int len = 0, count = 1; len <= 6; len++, count *= 7)
		for (int n = 0; n < count; n++) {
			for (int i = 0, rest = n; i < len; i++, rest /= 7)
				text[i] = bytes[rest % 7];
			text[len] = 0;
			check_against(which, re, text);
		}
}

static void reference_as_the_spec_says(void **state)
{
	char text[140];

	(void)state;
	for (size_t i = 0; i < ROWS(expressions); i++) {
		regex_t re;

		assert_int_equal(regcomp(&re, expressions[i], REG_EXTENDED | REG_NOSUB), 0);
		check_texts(i, &re);
		for (int c = 1; c < 256; c++) {
			snprintf(text, sizeof(text), "a%cb", c);
			check_against(i, &re, text);
		}
		for (size_t len = 126; len < 131; len++) {
			memset(text, 'a', len);
			text[len] = 0;
			if (i == 1)
				check_against(i, &re, text);
		}
		regfree(&re);
	}
	assert_false(reference_path_valid(SPAN_LIT("a\0b")));
	assert_false(reference_tag_valid(SPAN_LIT("a\0b")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reference_good),
		cmocka_unit_test(reference_bad),
		cmocka_unit_test(reference_secret),
		cmocka_unit_test(reference_any_byte),
		cmocka_unit_test(reference_default_tag_rules),
		cmocka_unit_test(reference_as_the_spec_says),
		cmocka_unit_test(reference_torture),
	};

	return cmocka_run_group_tests_name("image reference", tests, NULL, NULL);
}
