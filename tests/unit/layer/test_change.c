/* SPDX-License-Identifier: Apache-2.0
 *
 * Differences as layers: laid over the lower tree they give the upper one, and say no more than
 * they must.
 * Relies on the stacks of cases.h.
 * Promises that every pair of trees of every stack is tried, downwards too.
 */
#include "layer/change.h"

#include "cases.h"
#include "layers.h"
#include "torture.h"

/* The layer that makes of the lowest @p from layers the tree of the lowest @p to; lists it. */
static int write_change(struct built *b, size_t from, size_t to, struct buf *ret, dray_error **err)
{
	cleanup_tree struct tree *lower = tree_of(b, from, err);
	cleanup_tree struct tree *upper = lower ? tree_of(b, to, err) : NULL;
	const struct layer_feed feed = { .read = read_tars, .arg = b };
	cleanup_change struct change *c = NULL;

	if (!upper || change_find(lower, upper, &c, err) < 0)
		return -1;
	/* The records need them no more. */
	tree_free(steal_pointer(&lower));
	tree_free(steal_pointer(&upper));
	const struct record_list l = change_records(c);
	return slurp(layer_tar_source(&l, &feed, err), ret, err);
}

static void check_id(const struct tree *got, const struct tree *want, const char *what)
{
	struct digest one, two;
	dray_error *err = NULL;

	assert_ok(rootfs_id(got, true, &one, &err), err);
	assert_ok(rootfs_id(want, true, &two, &err), err);
	if (strcmp(one.text, two.text) != 0)
		fail_msg("%s: another tree", what);
}

/* An undescribed root has no header that would take back what is below. */
static bool loses_root(const struct tree *lower, const struct tree *upper)
{
	return tree_root(lower)->inode->data && !tree_root(upper)->inode->data;
}

static void check_pair(struct built *b, size_t from, size_t to, const char *name)
{
	cleanup_buf struct buf tar = tb_new();
	struct layer_index *ix = NULL;
	dray_error *err = NULL;
	cleanup_tree struct tree *got = tree_new(NULL, NULL, &err);
	cleanup_tree struct tree *lower = tree_of(b, from, &err);
	cleanup_tree struct tree *want = tree_of(b, to, &err);

	if (loses_root(lower, want))
		return;
	assert_ok(write_change(b, from, to, &tar, &err), err);
	assert_ok(read_index(span_buf(&tar), SIZE_MAX, &ix, &err), err);
	for (size_t i = 0; i < from; i++)
		assert_ok(tree_apply(got, b->index[i], &err), err);
	assert_ok(tree_apply(got, ix, &err), err);
	tree_finish(got);
	check_id(got, want, name);
	layer_index_free(ix);
}

static void test_every_pair(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(stack_cases); i++) {
		cleanup_built struct built b = { 0 };

		if (!stack_cases[i].want)
			continue;
		build_stack(&b, stack_cases[i].stack);
		for (size_t from = 0; from <= b.n; from++)
			for (size_t to = 0; to <= b.n; to++)
				check_pair(&b, from, to, stack_cases[i].name);
	}
}

/* The entries of a layer in their order; whiteouts by their names. */
static struct buf show_layer(const struct layer_index *ix)
{
	struct buf ret = tb_new();

	for (size_t i = 0; i < ix->n; i++) {
		const struct layer_entry *e = &ix->list[i];

		tell(&ret, "%c %s", "fhlcbdpSO"[e->type], e -> path[0] ? e -> path : ".");
		if (e->type == TAR_HARDLINK)
			tell(&ret, " >%s", e->link);
		if (e->type == TAR_DIR && (e->mode != 0755 || e->mtime))
			tell(&ret, " @%04o:%lld", e->mode, (long long)e->mtime);
		tell(&ret, "\n");
	}
	return ret;
}

static void test_records(void **state)
{
	(void)state;
	/* clang-format off */
	static const struct {
		const char *name, *stack;
		size_t keep; /* layers below; the rest is one difference */
		const char *want;
	} rows[] = {
		{ "nothing", "f a =1\n--\nf a =1\n", 1, "" },
		{ "from nothing", "f a =1\nd b\n", 0, "f a\nd b\n" },
		{ "content", "f a =1\nf b =1\n--\nf a =2\n", 1, "f a\n" },
		{ "size", "f a =1\n--\nf a =12\n", 1, "f a\n" },
		{ "mode", "f a =1\n--\nf a =1 @0600:0:0:0\n", 1, "f a\n" },
		{ "owner", "f a =1\n--\nf a =1 @0644:1:0:0\n", 1, "f a\n" },
		{ "group", "f a =1\n--\nf a =1 @0644:0:1:0\n", 1, "f a\n" },
		{ "time", "f a =1\n--\nf a =1 @0644:0:0:1\n", 1, "f a\n" },
		{ "part of a second", "f a =1 @0644:0:0:1\n--\nf a =1 @0644:0:0:1.5\n", 1, "f a\n" },
		{ "xattr", "f a #user.x=1\n--\nf a #user.x=2\n", 1, "f a\n" },
		{ "xattr more", "f a #user.x=1\n--\nf a #user.x=1 #user.y=1\n", 1, "f a\n" },
		{ "xattr gone", "f a #user.x=1\n--\nf a\n", 1, "f a\n" },
		{ "xattrs in another order",
		  "f a #user.x=1 #user.y=2\n--\nf a #user.y=2 #user.x=1\n", 1, "" },
		{ "notes of overlayfs", "f a #trusted.overlay.origin=1\n--\nf a #user.overlay.nlink=1\n", 1, "" },
		{ "type", "f a\n--\np a\n", 1, "p a\n" },
		{ "link", "l a >b\n--\nl a >c\n", 1, "l a\n" },
		{ "a link's mode is nobody's", "l a >b @0777:0:0:0\n--\nl a >b @0755:0:0:0\n", 1, "" },
		{ "there and back", "f a =1\n--\nf a =2\n--\nf a =1\n", 1, "" },
		{ "come and gone", "f a =1\n--\nf b =2\n--\nf .wh.b\n", 1, "" },

		{ "gone", "f a =1\nf b =1\n--\nf .wh.a\n", 1, "f .wh.a\n" },
		{ "gone with all below", "d a\nd a/b\nf a/b/c =1\n--\nf .wh.a\n", 1, "f .wh.a\n" },
		{ "gone in a folder", "d a @0700:0:0:5\nf a/b =1\n--\nf a/.wh.b\n", 1,
		  "d a @0700:5\nf a/.wh.b\n" },
		{ "whiteout of nothing is none", "f a =1\n--\nf .wh.c\n", 1, "" },
		{ "opaque, by name", "d a\nf a/x =1\nd a/y\nf a/y/z =1\n--\nf a/.wh..wh..opq\nf a/n =2\n", 1,
		  "d a\nf a/.wh.x\nf a/.wh.y\nf a/n\n" },
		{ "deleted and made again", "d a\nf a/x =1\nf a/y =1\n--\nf .wh.a\n--\nd a\nf a/y =2\n", 1,
		  "d a\nf a/.wh.x\nf a/y\n" },
		{ "in order", "f b =1\nf d =1\n--\nf .wh.d\nf .wh.b\nf c =1\nf a =1\nf e =1\n", 1,
		  "f .wh.b\nf .wh.d\nf a\nf c\nf e\n" },
		{ "whiteouts behind their folder, before all else in it",
		  "f a/0 =1\nd a/b\nf a/b/0 =1\nf a/b/x =1\nf a/y =1\nf z =1\n--\n"
		  "f a/0 =2\nf a/b/0 =2\nf a/b/.wh.x\nf a/.wh.y\nf .wh.z\n",
		  1, "f .wh.z\nd a\nf a/.wh.y\nf a/0\nd a/b\nf a/b/.wh.x\nf a/b/0\n" },

		{ "a file over a folder", "d a\nf a/b =1\n--\nf a =2\n", 1, "f a\n" },
		{ "a folder over a file", "f a =1\n--\nd a\nf a/b =2\n", 1, "d a\nf a/b\n" },
		{ "a folder by a way round", "d a\nf a/b =1\n--\nl a >c\n--\nd a\nf a/n =3\n", 1,
		  "d a\nf a/.wh.b\nf a/n\n" },
		{ "below a link", "d b\nl a >b\n--\nf a/c =2\n", 1, "d a\nf a/c\n" },

		{ "parents", "d a @0700:0:0:1\nd a/b @0701:0:0:2\nd a/c\nf a/b/x =1\nd d\n--\nf a/b/x =2\n", 1,
		  "d a @0700:1\nd a/b @0701:2\nf a/b/x\n" },
		{ "parents nobody described", "f a/b/x =1\n--\nf a/b/x =2\n", 1, "d a\nd a/b\nf a/b/x\n" },
		{ "the root", "d ./ @0700:0:0:1\nf a =1\n--\nf a =2\n", 1, "d . @0700:1\nf a\n" },
		{ "the root itself", "d ./ @0700:0:0:1\nf a =1\n--\nd ./ @0711:0:0:1\n", 1, "d . @0711:1\n" },
		{ "a folder's attributes", "d a\nf a/b =1\n--\nd a @0700:0:0:1\n", 1, "d a @0700:1\n" },

		{ "hard links stay", "f a =1\nh b >a\n--\nf c =1\n", 1, "f c\n" },
		{ "a new name: all names", "f a =1\nh b >a\n--\nh c >a\n", 1, "f a\nh b >a\nh c >a\n" },
		{ "a new name before", "f b =1\n--\nh a >b\n", 1, "f a\nh b >a\n" },
		{ "a name less", "f a =1\nh b >a\nh c >a\n--\nf .wh.a\n", 1, "f .wh.a\n" },
		{ "a name apart", "f a =1\nh b >a\nh c >a\n--\nf a =2\n", 1, "f a\n" },
		{ "a name apart, else the same", "f a =1\nh b >a\nh c >a\n--\nf a =1\n", 1, "f a\n" },
		{ "two groups of one", "f a =1\nh b >a\nh c >a\nh d >a\n--\nf a =1\nh d >a\n", 1,
		  "f a\nh d >a\n" },
		{ "one group of two", "f a =1\nf b =1\n--\nh b >a\n", 1, "f a\nh b >a\n" },
		{ "by the link's header", "f a =1\nh b >a\n--\nh b >a @0600:1:1:1\n", 1, "f a\nh b >a\n" },
		{ "written again", "f a =1\nh b >a\n--\nf a =1\nh b >a\n", 1, "" },
		{ "written again, crossed", "f a =1\nh b >a\nf c =1\nh d >c\n--\nf a =1\nf b =1\nh c >a\nh d >b\n",
		  1, "f a\nf b\nh c >a\nh d >b\n" },
	};
	/* clang-format on */

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b = { 0 };
		cleanup_buf struct buf tar = tb_new();
		struct layer_index *ix = NULL;
		dray_error *err = NULL;

		build_stack(&b, rows[i].stack);
		assert_ok(write_change(&b, rows[i].keep, b.n, &tar, &err), err);
		assert_ok(read_index(span_buf(&tar), SIZE_MAX, &ix, &err), err);
		cleanup_buf struct buf got = show_layer(ix);
		if (!span_is(span_buf(&got), rows[i].want))
			fail_msg("%s:\n%.*s", rows[i].name, (int)got.len, (const char *)got.data);
		check_pair(&b, rows[i].keep, b.n, rows[i].name);
		layer_index_free(ix);
	}
}

/* Without digests only what is the same entry is the same. */
static void test_unread(void **state)
{
	(void)state;
	struct layer_entry one = { .path = "a", .type = TAR_FILE, .size = 1 }, two = one;
	const struct inode a = { .data = &one, .attrs = &one }, b = { .data = &two, .attrs = &two };

	assert_true(inode_same(&a, &a));
	assert_false(inode_same(&a, &b));
	one.content = two.content = (const uint8_t[CONTENT_DIGEST_LEN]){ 1 };
	assert_true(inode_same(&a, &b));
	one.type = two.type = TAR_SPARSE;
	one.size = 2; /* as it is stored */
	assert_true(inode_same(&a, &b));
	one.content = NULL;
	assert_true(inode_same(&a, &a));
	assert_false(inode_same(&a, &b));
}

static void test_empty(void **state)
{
	(void)state;
	cleanup_built struct built b = { 0 };
	dray_error *err = NULL;

	build_stack(&b, "f a =1\n--\nf .wh.a\n");
	for (size_t n = 0; n <= 2; n++) {
		cleanup_tree struct tree *lower = tree_of(&b, n, &err);
		cleanup_change struct change *c = NULL;

		assert_ok(change_find(lower, b.tree, &c, &err), err);
		assert_int_equal(change_is_empty(c), n != 1);
	}
}

static int change_again(void *arg, dray_error **err)
{
	cleanup_buf struct buf tar = tb_new();

	return write_change(arg, 1, 3, &tar, err);
}

static void test_torture(void **state)
{
	(void)state;
	cleanup_built struct built b = { 0 };

	build_stack(&b,
		    "d a @0700:1:2:3 #user.x=1\nf a/b =1 #user.y=2\nl c >d\nf l =1\nh m >l\n--\n"
		    "h e >a/b @0600:1:1:1 #user.z=3\nf .wh.c\nf x/y =2\n--\nf 0 =2\nf m =1\n");
	torture_alloc(change_again, &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_pair), cmocka_unit_test(test_records),
		cmocka_unit_test(test_unread),	   cmocka_unit_test(test_empty),
		cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
