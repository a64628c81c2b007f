/* SPDX-License-Identifier: Apache-2.0
 *
 * Paths that leave an image: what patterns fit, which layers they concern, what is left.
 * Relies on the small language of layers.h.
 * Promises a row for each rule, and beside what fits what nearly does.
 */
#include "layer/prune.h"

#include "layers.h"
#include "torture.h"

/* Patterns divided by blanks. */
static int fill(struct prune_set *s, const char *patterns, dray_error **err)
{
	char *copy = strdup(patterns), *save = NULL;
	int rc = 0;

	for (char *p = strtok_r(copy, " ", &save); rc == 0 && p; p = strtok_r(NULL, " ", &save))
		rc = prune_set_add(s, p, err);
	free(copy);
	return rc;
}

static void test_fits(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *path;
		bool held;
	} rows[] = {
		{ "a", "a", true },
		{ "/a/", "a", true },
		{ "./a//b/.", "a/b", true },
		{ "a", "a/b/c", true },
		{ "a", "ab", false },
		{ "a", "b/a", false },
		{ "a/b", "a", false },
		{ "a/b", "a/c", false },
		{ "a/b", "a/b/c", true },
		{ "*", "a", true },
		{ "a/*", "a", false },
		{ "a/*", "a/b/c", true },
		{ "a*c", "a/c", false },
		{ "?b", "ab", true },
		{ "?b", "b", false },
		{ "[a-c]x", "bx/y", true },
		{ "[!a-c]x", "bx", false },
		{ "\\*", "*", true },
		{ "\\*", "a", false },
		{ "**", "a", true },
		{ "a/**", "a", false },
		{ "a/**", "a/b", true },
		{ "**/a", "a", true },
		{ "**/a", "x/y/a/z", true },
		{ "**/a", "x/y/b", false },
		{ "x/**/a", "x/a", true },
		{ "x/**/a", "x/1/2/a", true },
		{ "x/**/a", "a", false },
		{ "x/**/a", "x/1/2/b", false },
		{ "**/a/b", "a/a/b", true },
		{ "**/a/**/b", "1/a/2/b/3", true },
		{ "**/a/**/b", "1/b/2/a", false },
		{ "a/**/**/b", "a/b", true },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_prune_set struct prune_set s = { 0 };
		dray_error *err = NULL;

		assert_ok(fill(&s, rows[i].pattern, &err), err);
		assert_string_equal(prune_unused(&s), rows[i].pattern);
		if (prune_holds(&s, rows[i].path, &err) != rows[i].held)
			fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].path);
		assert_int_equal(prune_unused(&s) == NULL, rows[i].held);
	}
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"", "/", ".", "/./", "..", "a/../b", "[a", "a/[", "a\\"
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_prune_set struct prune_set s = { 0 };
		dray_error *err = NULL;

		assert_int_equal(prune_set_add(&s, rows[i], &err), -1);
		assert_err_kind(err, DRAY_ERR_USAGE);
	}
}

/* The first of several patterns that nothing fits; the others count each. */
static void test_unused(void **state)
{
	(void)state;
	cleanup_prune_set struct prune_set s = { 0 };
	dray_error *err = NULL;

	assert_ok(fill(&s, "a x b y", &err), err);
	assert_int_equal(prune_holds(&s, "a/b", &err), 1);
	assert_string_equal(prune_unused(&s), "x");
	assert_int_equal(prune_holds(&s, "x", &err), 1);
	assert_string_equal(prune_unused(&s), "b");
}

static void test_concerns(void **state)
{
	(void)state;
	static const struct {
		const char *patterns, *layer;
		bool concerned;
	} rows[] = {
		{ "a", "f a =1\n", true },
		{ "a", "f b =1\n", false },
		{ "a", "f a/b =1\n", true },
		{ "a", "f x/a =1\n", false },
		{ "a/b", "d a\n", false },
		{ "a", "f .wh.a\n", true },
		{ "a", "f .wh.b\n", false },
		{ "a", "f a/.wh.b\n", true },
		{ "a/b", "f a/.wh.b\n", true },
		{ "a/b", "f a/.wh.c\n", false },
		{ "a", "f a/.wh..wh..opq\n", true },
		{ "a/b", "f a/.wh..wh..opq\n", false },
		{ "a", "f b =1\nh c >b\n", false },
		{ "a", "f b =1\nh a >b\n", true },
		{ "b", "h c >b\n", true }, /* of a layer below */
		{ "b", "h c >b/d\n", true },
		{ "b", "l c >b\n", false }, /* it will dangle */
		{ "**/x", "f .wh..wh.orph/x\nf y =1\n", false },
		{ "c b", "f b =1\n", true },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_prune_set struct prune_set s = { 0 };
		cleanup_built struct built b = { 0 };
		dray_error *err = NULL;

		assert_ok(fill(&s, rows[i].patterns, &err), err);
		build_tars(&b, rows[i].layer);
		assert_ok(read_index(span_buf(&b.tar[0]), SIZE_MAX, &b.index[0], &err), err);
		if (prune_concerns(&s, b.index[0], &err) != rows[i].concerned)
			fail_msg("'%s' and\n%s", rows[i].patterns, rows[i].layer);
	}
}

static void test_tree(void **state)
{
	(void)state;
	static const struct {
		const char *patterns, *stack, *want;
	} rows[] = {
		{ "a", "f a =1\nf b =2\n", "f b =2\n" },
		{ "a", "d a\nd a/b\nf a/b/c =1\nf ab =1\n", "f ab =1\n" },
		{ "a/b", "d a @0700:1:2:3\nf a/b =1\n", "d a @0700:1:2:3.0\n" },
		{ "a/**", "d a\nf a/b =1\nd a/c\nf a/c/d =1\n", "d a\n" },
		{ "a", "f a =1\nh b >a\nh c >a\n", "f b =1\nh c >b\n" },
		{ "b", "f a =1\nh b >a\n", "f a =1\n" },
		{ "a b", "f a =1\nh b >a\n", "" },
		{ "a", "f a =1\nl b >a\n", "l b >a\n" },
		{ "**/x", "f x =1\nf a/x =1\nf a/y/x/z =1\nf a/y/w =1\n",
		  "d a\nd a/y\nf a/y/w =1\n" },
		{ "nope", "f a =1\n", "f a =1\n" },
		{ "**", "d ./ @0700:1:2:3\nf a =1\nf b/c =1\n", "d . @0700:1:2:3.0\n" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_prune_set struct prune_set s = { 0 };
		cleanup_built struct built b = { 0 };
		dray_error *err = NULL;

		assert_ok(fill(&s, rows[i].patterns, &err), err);
		build_stack(&b, rows[i].stack);
		assert_ok(prune_tree(&s, b.tree, &err), err);
		cleanup_buf struct buf got = show_tree(&b);
		assert_span_is(span_buf(&got), rows[i].want);
		for (const struct node *n = tree_root(b.tree); n; n = tree_next(n)) {
			cleanup_buf struct buf path = tb_new();

			assert_ok(node_path(n, &path, &err), err);
			assert_ptr_equal(tree_find(b.tree, (const char *)path.data), n);
		}
	}
}

static void test_pick(void **state)
{
	(void)state;
	static const struct {
		const char *patterns, *stack, *want;
	} rows[] = {
		{ "a", "f a =1\nf b =2\n", "f a =1\n" },
		{ "a/b", "d ./ @0700:1:2:3\nd a\nf a/b =1\nf a/c =1\n", "f b =1\n" },
		{ "a/*", "d a\nf a/b =1\nd a/c\nf a/c/d =1\n", "f b =1\nd c\nf c/d =1\n" },
		{ "**/x", "d a/x\nf a/x/x =1\nf b/y =1\n", "d x\nf x/x =1\n" },
		{ "**/l*", "f a/b =1\nh c/l1 >a/b\nh d/l2 >a/b\n", "f l1 =1\nh l2 >l1\n" },
		{ "no", "f a =1\n", "" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_prune_set struct prune_set s = { 0 };
		cleanup_built struct built b = { 0 };
		dray_error *err = NULL;

		assert_ok(fill(&s, rows[i].patterns, &err), err);
		build_stack(&b, rows[i].stack);
		assert_int_equal(prune_pick(&s, b.tree, &err) > 0, rows[i].want[0] != 0);
		cleanup_buf struct buf got = show_tree(&b);
		assert_span_is(span_buf(&got), rows[i].want);
	}
}

static void test_pick_twins(void **state)
{
	(void)state;
	cleanup_prune_set struct prune_set s = { 0 };
	cleanup_built struct built b = { 0 };
	dray_error *err = NULL;

	assert_ok(fill(&s, "*/x", &err), err);
	build_stack(&b, "f a/x =1\nf b/x =1\n");
	assert_int_equal(prune_pick(&s, b.tree, &err), -1);
	assert_err_kind(err, DRAY_ERR_USAGE);
}

static int prune_again(void *arg, dray_error **err)
{
	const struct built *from = arg;
	cleanup_prune_set struct prune_set s = { 0 };
	cleanup_built struct built b = { .n = from->n };
	int rc;

	memcpy(b.tar, from->tar, sizeof(b.tar));
	rc = build_tree(&b, SIZE_MAX, err);
	if (rc == 0)
		rc = fill(&s, "a/b **/x", err);
	if (rc == 0 && prune_concerns(&s, b.index[0], err) < 0)
		rc = -1;
	if (rc == 0)
		rc = prune_tree(&s, b.tree, err);
	if (rc == 0)
		rc = fill(&s, "d/**/i", err);
	if (rc == 0 && prune_pick(&s, b.tree, err) < 0)
		rc = -1;
	memset(b.tar, 0, sizeof(b.tar)); /* lent */
	return rc;
}

static void test_torture(void **state)
{
	(void)state;
	cleanup_built struct built b;

	build_tars(&b, "d a\nf a/b =1\nf a/.wh.x\nh c >a/b\nf d/e/f/g/h/i/j/k/x =1\n");
	torture_alloc(prune_again, &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fits),	   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_unused),	   cmocka_unit_test(test_concerns),
		cmocka_unit_test(test_tree),	   cmocka_unit_test(test_pick),
		cmocka_unit_test(test_pick_twins), cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
