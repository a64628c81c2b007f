/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and links inside an archive: T-21.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/limits.h"
#include "tar/tar.h"

#define LEAVES NULL

static const struct clean_case {
	const char *name, *want; /* LEAVES: refused */
	unsigned quirks;
} clean_cases[] = {
	{ "a", "a", 0 },
	{ "a/b.c/..d", "a/b.c/..d", 0 },
	{ "", "", 0 },
	{ "./a", "a", TAR_NAME_DOT },
	{ "a/", "a", TAR_NAME_TRAILING_SLASH },
	{ "/a", "a", TAR_NAME_ABSOLUTE },
	{ "a//b", "a/b", TAR_NAME_EMPTY_PART },
	{ "a/./b", "a/b", TAR_NAME_DOT },
	{ "a/../b", "b", TAR_NAME_DOTDOT },
	{ "a/b/..", "a", TAR_NAME_DOTDOT },
	{ "a/..", "", TAR_NAME_DOTDOT },
	{ ".", "", TAR_NAME_DOT },
	{ "./", "", TAR_NAME_DOT | TAR_NAME_TRAILING_SLASH },
	{ "/", "", TAR_NAME_ABSOLUTE },
	{ "///", "", TAR_NAME_ABSOLUTE | TAR_NAME_TRAILING_SLASH | TAR_NAME_EMPTY_PART },
	{ "..", LEAVES, TAR_NAME_DOTDOT },
	{ "../a", LEAVES, TAR_NAME_DOTDOT },
	{ "a/../../b", LEAVES, TAR_NAME_DOTDOT },
	{ "/..", LEAVES, TAR_NAME_ABSOLUTE | TAR_NAME_DOTDOT },
	{ "\xff\xfe/\x01", "\xff\xfe/\x01", 0 },
};

static void expect(int rc, const struct buf *got, size_t start, const char *want, dray_error *err)
{
	if (want) {
		assert_int_equal(rc, 0);
		assert_true(span_is(span_from(span_buf(got), start), want));
	} else {
		assert_int_equal(rc, -1);
		assert_int_equal(dray_error_kind(err), DRAY_ERR_FORMAT);
	}
}

static void test_clean(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(clean_cases); i++) {
		const struct clean_case *c = &clean_cases[i];
		cleanup_buf struct buf got = BUF_INIT(LIMIT_PATH);
		cleanup_error dray_error *err = NULL;

		/* Appended: what is in the buffer already is no part of the name. */
		assert_int_equal(buf_add_str(&got, "x/y", NULL), 0);
		int rc = tar_name_clean(span_str(c->name), &got, &err);
		expect(rc, &got, 3, c->want, err);
		assert_int_equal(tar_name_quirks(span_str(c->name)), c->quirks);
	}
}

static const struct link_case {
	const char *from, *target, *want;
} link_cases[] = {
	{ "0a/layer.tar", "../1b/layer.tar", "1b/layer.tar" },
	{ "0a/layer.tar", "layer2.tar", "0a/layer2.tar" },
	{ "./0a/layer.tar", "/blobs/x", "blobs/x" },
	{ "a", "b", "b" },
	{ "a/b/c", "./../d/", "a/d" },
	{ "a", "/", "" },
	{ "a", "", "" },
	{ "a", "../b", LEAVES },
	{ "a/b", "/../b", LEAVES },
	{ "", "b", LEAVES },
	{ "../a", "b", LEAVES },
};

static void test_link(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(link_cases); i++) {
		const struct link_case *c = &link_cases[i];
		cleanup_buf struct buf got = BUF_INIT(LIMIT_PATH);
		cleanup_error dray_error *err = NULL;

		assert_int_equal(buf_add_str(&got, "zz", NULL), 0);
		int rc = tar_link_resolve(span_str(c->from), span_str(c->target), &got, &err);
		expect(rc, &got, 2, c->want, err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
