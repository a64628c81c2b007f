/* SPDX-License-Identifier: Apache-2.0
 *
 * Which names of two trees differ, and in what: row by row.
 * Relies on the language of layers.h.
 * Promises that each row is also walked the other way round, where added is removed.
 */
#include "layer/compare.h"
#include "layers.h"

#include "torture.h"

static const char *const what_names[] = { "type",  "content", "size",	"mode",	  "owner",
					  "mtime", "link",    "device", "xattrs", "hardlink" };

static int show_changes(const struct tree *a, const struct tree *b, bool mtime, struct buf *ret,
			dray_error **err)
{
	cleanup_tree_compare struct tree_compare c;
	cleanup_buf struct buf path = tb_new();
	struct tree_change ch;
	int rc;

	tree_compare_init(&c, a, b, mtime);
	while ((rc = tree_compare_next(&c, &ch, err)) > 0) {
		if (node_path(ch.a ? ch.a : ch.b, &path, err) < 0)
			return -1;
		tell(ret, "%c %s",
		     !ch.a   ? '+'
		     : !ch.b ? '-'
			     : '~',
		     path.len ? (const char *)path.data : ".");
		assert_int_equal(ch.what == 0, !ch.a || !ch.b);
		for (size_t i = 0; i < ROWS(what_names); i++)
			if (ch.what & (1U << i))
				tell(ret, " %s", what_names[i]);
		tell(ret, "\n");
	}
	return rc;
}

static const struct {
	const char *a, *b;
	const char *want;
	bool no_mtime;
} rows[] = {
	{ "f a =1\n", "f a =1\n", "", false },
	{ "f a =1\n", "f a =2\n", "~ a content\n", false },
	{ "f a =1\n", "f a =22\n", "~ a content size\n", false },
	{ "f a =1 @644:0:0:1\n", "f a =1 @600:0:0:1\n", "~ a mode\n", false },
	{ "f a =1 @644:1:2:1\n", "f a =1 @644:1:3:1\n", "~ a owner\n", false },
	{ "f a =1 @644:0:0:1\n", "f a =1 @644:0:0:2\n", "~ a mtime\n", false },
	{ "f a =1 @644:0:0:1\n", "f a =1 @644:0:0:1.5\n", "~ a mtime\n", false },
	{ "f a =1 @644:0:0:1\n", "f a =1 @644:0:0:2\n", "", true },
	{ "f a =1 @4755:0:0:1\n", "f a =2 @755:7:7:2\n", "~ a content mode owner mtime\n", false },
	{ "l a >x\n", "l a >y\n", "~ a link\n", false },
	/* Nobody sets the mode of a symbolic link. */
	{ "l a >x @777:0:0:0\n", "l a >x @755:0:0:0\n", "", false },
	{ "c a\n", "c a\n", "", false },
	{ "c a\n", "b a\n", "~ a type\n", false },
	{ "p a\n", "f a\n", "~ a type\n", false },
	{ "f a #user.x=1 #user.y=2\n", "f a #user.y=2 #user.x=1\n", "", false },
	{ "f a #user.x=1\n", "f a #user.x=2\n", "~ a xattrs\n", false },
	{ "f a #user.x=1\n", "f a\n", "~ a xattrs\n", false },
	{ "f a #user.x=1\n", "f a #user.y=1\n", "~ a xattrs\n", false },
	/* The notes of overlayfs are no part of the tree. */
	{ "f a #trusted.overlay.opaque=y #user.x=1\n", "f a #user.x=1\n", "", false },
	/* Cuts, order and whiteouts do not show. */
	{ "f a =1\nf b =2\n", "f b =2\nf x =3\n--\nf .wh.x\nf a =1\n", "", false },
	/* Names come and go, with all below them. */
	{ "d d\nf d/a\nd d/e\nf d/e/x\nf z\n", "f z\n", "- d\n- d/a\n- d/e\n- d/e/x\n", false },
	{ "d d\nf d/b\n", "d d\nf d/a\nf d/b\nf d/c\nf e\n", "+ d/a\n+ d/c\n+ e\n", false },
	{ "d a\nf a/x\nf b\n", "d c\nf c/x\nf b\n", "- a\n- a/x\n+ c\n+ c/x\n", false },
	/* "d-" sorts before what "d" holds by bytes of the path, but behind it as a name. */
	{ "d d\nf d/x\nf d-\n", "d d\nf d/x =1\nf d- =1\n",
	  "~ d/x content size\n~ d- content size\n", false },
	/* A folder for a file and back. */
	{ "d a @755:0:0:0\nf a/x\nd a/y\nf a/y/z\nf b\n", "f a @755:0:0:0\nf b\nf c\n",
	  "~ a type\n- a/x\n- a/y\n- a/y/z\n+ c\n", false },
	/* A folder that nobody described is 0755, of root and the year 1970. */
	{ "f d/x\n", "d d @755:0:0:0\nf d/x\n", "", false },
	{ "f d/x\n", "d d @700:0:0:5\nf d/x\n", "~ d mode mtime\n", false },
	/* The root. */
	{ "d ./ @755:0:0:0\nf x\n", "f x\n", "", false },
	{ "d ./ @700:0:0:0\nf x\n", "f x\n", "~ . mode\n", false },
	{ "", "", "", false },
	{ "", "f x\n", "+ x\n", false },
	/* Names that share a file. */
	{ "f a =1\nh b >a\n", "f a =1\nh b >a\n", "", false },
	{ "f a =1\nh b >a\n", "f b =1\nh a >b\n", "", false },
	{ "f a =1\nh b >a\n", "f a =1\nf b =1\n", "~ b hardlink\n", false },
	{ "f a =1\nh b >a\nf c =1\nh d >c\n", "f a =1\nh c >a\nf b =1\nh d >b\n",
	  "~ b hardlink\n~ c hardlink\n~ d hardlink\n", false },
	{ "f a =1\nh b >a\nh c >a\n", "f b =1\nh c >b\n", "- a\n", false },
	{ "f a =1\nh b >a\nh c >a\n", "f b =1\nf c =1\n", "- a\n~ c hardlink\n", false },
	{ "f a =1\nh b >a\n", "l a >x\nf b =1\n", "~ a type\n", true },
	/* The content of a shared file differs under each of its names. */
	{ "f a =1\nh b >a\n", "f a =2\nh b >a\n", "~ a content\n~ b content\n", false },
	/* Names that are no UTF-8. */
	{ "f e\xff =1\n", "f e\xfe =1\n", "+ e\xfe\n- e\xff\n", false },
};

/* What the walk the other way round has to say. */
static void swap_signs(struct buf *b)
{
	for (size_t i = 0; i + 1 < b->len; i++)
		if ((i == 0 || b->data[i - 1] == '\n') && b->data[i] != '~')
			b->data[i] = b->data[i] == '+' ? '-' : '+';
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built a, b;
		cleanup_buf struct buf got = tb_new(), back = tb_new();
		dray_error *err = NULL;

		build_stack(&a, rows[i].a);
		build_stack(&b, rows[i].b);
		assert_ok(show_changes(a.tree, b.tree, !rows[i].no_mtime, &got, &err), err);
		if (!span_is(span_buf(&got), rows[i].want))
			fail_msg("%s-- and\n%s-- differ in\n%.*s-- and not in\n%s", rows[i].a,
				 rows[i].b, (int)got.len, (const char *)got.data, rows[i].want);
		assert_ok(show_changes(b.tree, a.tree, !rows[i].no_mtime, &back, &err), err);
		swap_signs(&back);
		assert_span(span_buf(&back), span_buf(&got));
	}
}

/* Trees over the same index have the same entries: nothing of them is looked at. */
static void test_shared_index(void **state)
{
	(void)state;
	cleanup_built struct built b;
	cleanup_buf struct buf got = tb_new();
	dray_error *err = NULL;

	build_stack(&b, "f a =1\nh b >a\nd d\nf d/x =2 #user.x=1\nl l >d\n--\nf d/x =3\n");
	cleanup_tree struct tree *lower = tree_of(&b, 1, &err);
	assert_non_null(lower);
	assert_ok(show_changes(lower, b.tree, true, &got, &err), err);
	assert_span_is(span_buf(&got), "~ d/x content xattrs\n");
}

struct tortured {
	const struct built *a, *b;
};

static int compare_again(void *arg, dray_error **err)
{
	const struct tortured *t = arg;
	cleanup_tree_compare struct tree_compare c;
	struct tree_change ch;
	int rc;

	tree_compare_init(&c, t->a->tree, t->b->tree, true);
	while ((rc = tree_compare_next(&c, &ch, err)) > 0)
		continue;
	return rc;
}

static void test_torture(void **state)
{
	(void)state;
	cleanup_built struct built a, b;
	struct tortured t = { &a, &b };

	build_stack(&a, "f a =1 #user.x=1 #user.y=1\nh b >a\nd d\nf d/x\n");
	build_stack(&b, "f a =1 #user.y=1 #user.x=1\nf b =1\nh c >b\nf d\n");
	torture_alloc(compare_again, &t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_shared_index),
		cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
