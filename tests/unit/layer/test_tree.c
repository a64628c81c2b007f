/* SPDX-License-Identifier: Apache-2.0
 *
 * What stacks of layers mean: every row of cases.h, whole and in pieces.
 * Relies on the language of layers.h.
 * Promises that a rule of docs/layers.md that is broken names its row.
 */
#include "base/mem.h"
#include "layers.h"

#include "cases.h"
#include "torture.h"

static void expect_tree(const struct stack_case *c, const struct built *b, int rc, dray_error **err)
{
	cleanup_buf struct buf got = tb_new();

	if (!c->want) {
		if (rc == 0 || !strstr(dray_error_message(*err), c->message))
			fail_msg("%s: not refused with '%s': %s", c->name, c->message,
				 rc == 0 ? "taken" : dray_error_message(*err));
		take_err_kind(err, DRAY_ERR_FORMAT);
		return;
	}
	if (rc < 0)
		fail_msg("%s: %s", c->name, dray_error_message(*err));
	got = show_tree(b);
	if (!span_is(span_buf(&got), c->want))
		fail_msg("%s:\n%.*s-- is not\n%s", c->name, (int)got.len, (const char *)got.data,
			 c->want);
}

static void test_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(stack_cases); i++) {
		for (size_t p = 0; p < ROWS(stream_pieces); p++) {
			cleanup_built struct built b;
			dray_error *err = NULL;

			build_tars(&b, stack_cases[i].stack);
			int rc = build_tree(&b, stream_pieces[p], &err);
			expect_tree(&stack_cases[i], &b, rc, &err);
		}
	}
}

/* Another layer on top is another tree; the indexes are shared. */
static void test_lower_layers(void **state)
{
	(void)state;
	cleanup_built struct built b;
	dray_error *err = NULL;

	build_stack(&b, "f a =1\n--\nf .wh.a\nf b =2\n");
	cleanup_tree struct tree *lower = tree_of(&b, 1, &err);
	assert_non_null(lower);
	assert_int_equal(tree_count(lower), 1);
	assert_non_null(tree_find(lower, "a"));
	assert_null(tree_find(lower, "b"));
	assert_null(tree_find(b.tree, "a"));
	assert_non_null(tree_find(b.tree, "b"));
	assert_ptr_equal(tree_find(b.tree, ""), tree_root(b.tree));
	assert_int_equal(tree_layers(b.tree), 2);
}

struct seen {
	struct buf text;
};

static void on_odd(void *arg, const struct tree_oddity *o)
{
	struct seen *s = arg;

	assert_int_equal(buf_printf(&s->text, NULL, "%s %u %s\n", o->code, o->layer, o->path), 0);
}

static void test_oddities(void **state)
{
	(void)state;
	cleanup_built struct built b;
	struct seen s = { .text = tb_new() };
	dray_error *err = NULL;

	build_stack(&b, "f a =1\nf a =2\nl l >x\n--\nf .wh.none\nf l/x =1\nc whiteout-device\n");
	cleanup_tree struct tree *t = tree_new(on_odd, &s, &err);
	assert_ok(tree_apply(t, b.index[0], &err), err);
	assert_ok(tree_apply(t, b.index[1], &err), err);
	assert_span_is(span_buf(&s.text), "duplicate-entry 0 a\nwhiteout-of-nothing 1 .wh.none\n"
					  "parent-replaced 1 l/x\n"
					  "overlay-whiteout 1 whiteout-device\n");
	buf_clear(&s.text);
}

/* Of the upper layers of a stack the numbers are those of the stack. */
static void test_layers_below(void **state)
{
	(void)state;
	cleanup_built struct built b;
	struct seen s = { .text = tb_new() };
	dray_error *err = NULL;

	build_stack(&b, "f a =1\nf a =2\n--\nf a =3\nh l >a\n");
	cleanup_tree struct tree *t = tree_new(on_odd, &s, &err);
	tree_set_below(t, 3);
	assert_ok(tree_apply(t, b.index[0], &err), err);
	assert_span_is(span_buf(&s.text), "duplicate-entry 3 a\n");
	b.index[1]->list[1].link = "gone";
	assert_int_equal(tree_apply(t, b.index[1], &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "layer 5: the target of a hard link");
	buf_clear(&s.text);
}

/* More names than the table begins with, folders removed and made again between them. */
static void test_many(void **state)
{
	(void)state;
	cleanup_built struct built b = { .n = STACK_MAX };
	dray_error *err = NULL;
	char name[64];

	for (size_t layer = 0; layer < STACK_MAX; layer++) {
		b.tar[layer] = tb_new();
		if (layer % 2)
			tb_file(&b.tar[layer], ".wh.d1", "");
		for (int i = 0; i < 2000; i++) {
			snprintf(name, sizeof(name), "d%d/%zu-%d", i % 3, layer, i);
			tb_file(&b.tar[layer], name, "");
		}
		tb_end(&b.tar[layer]);
	}
	assert_ok(build_tree(&b, SIZE_MAX, &err), err);
	/* d0 and d2 have the names of 8 layers, d1 those of the last one alone. */
	assert_int_equal(tree_count(b.tree), 3 + STACK_MAX * (667 + 666) + 667);
	assert_null(tree_find(b.tree, "d1/6-1"));
	assert_non_null(tree_find(b.tree, "d1/7-1"));
	assert_non_null(tree_find(b.tree, "d0/0-0"));
}

/* ---- large ones: what grows with the square would not end ---- */

#define BROAD 250000 /* names of one folder */
#define DEEP 60	     /* paths of LIMIT_PATH_PARTS parts */

/* Entries with paths of their own, of which the caller says how each is made. */
static struct layer_index *make_index(size_t n, void (*name)(char *path, size_t i), size_t longest)
{
	struct layer_index *ix = mem_zalloc(sizeof(*ix));
	char *path = malloc(longest);

	assert_non_null(ix);
	assert_non_null(path);
	ix->list = mem_alloc_array(n, sizeof(*ix->list));
	assert_non_null(ix->list);
	for (size_t i = 0; i < n; i++) {
		name(path, i);
		ix->list[i] = (struct layer_entry){ .path = arena_strdup(&ix->arena, path),
						    .uname = "",
						    .gname = "" };
		assert_non_null(ix->list[i].path);
	}
	ix->n = n;
	free(path);
	return ix;
}

static void name_file(char *path, size_t i)
{
	snprintf(path, 32, "d/%08zu", BROAD - i);
}

static void name_whiteout(char *path, size_t i)
{
	snprintf(path, 32, "d/.wh.%08zu", i + 2);
}

static void name_deep(char *path, size_t i)
{
	for (size_t k = 0; k < LIMIT_PATH_PARTS; k++)
		memcpy(path + 2 * k, k == i ? "b/" : "a/", 2);
	path[2 * LIMIT_PATH_PARTS - 1] = 0;
}

static size_t count_names(const struct tree *t)
{
	size_t n = 0;

	for (const struct node *at = tree_next(tree_root(t)); at; at = tree_next(at)) {
		if (at->next)
			assert_true(strcmp(at->name, at->next->name) < 0);
		n++;
	}
	return n;
}

/* In the worst order for a list; then all but one deleted, one by one. */
static void test_broad(void **state)
{
	(void)state;
	cleanup_layer_index struct layer_index *files = make_index(BROAD, name_file, 32);
	cleanup_layer_index struct layer_index *gone = make_index(BROAD - 1, name_whiteout, 32);
	cleanup_tree struct tree *t = tree_new(NULL, NULL, NULL);
	dray_error *err = NULL;

	assert_non_null(t);
	assert_ok(tree_apply(t, files, &err), err);
	tree_finish(t);
	assert_int_equal(tree_count(t), BROAD + 1);
	assert_int_equal(count_names(t), BROAD + 1);
	assert_ok(tree_apply(t, gone, &err), err);
	tree_finish(t);
	assert_int_equal(count_names(t), 2);
	assert_non_null(tree_find(t, "d/00000001"));
}

static void test_deep(void **state)
{
	(void)state;
	cleanup_layer_index struct layer_index *ix = make_index(DEEP, name_deep,
								(size_t)2 * LIMIT_PATH_PARTS);
	cleanup_tree struct tree *t = tree_new(NULL, NULL, NULL);
	cleanup_buf struct buf path = tb_new();
	dray_error *err = NULL;

	assert_non_null(t);
	assert_ok(tree_apply(t, ix, &err), err);
	tree_finish(t);
	for (size_t i = 0; i < DEEP; i++) {
		const struct node *n = tree_find(t, ix->list[i].path);

		assert_non_null(n);
		assert_ok(node_path(n, &path, &err), err);
		assert_span_is(span_buf(&path), ix->list[i].path);
	}
}

struct tortured {
	struct built *from;
};

static int apply_again(void *arg, dray_error **err)
{
	const struct tortured *t = arg;
	cleanup_built struct built b = { .n = t->from->n };
	cleanup_buf struct buf merged = tb_new();
	struct digest id;
	int rc;

	memcpy(b.tar, t->from->tar, sizeof(b.tar));
	rc = build_tree(&b, SIZE_MAX, err);
	if (rc == 0)
		rc = write_merged(&b, &merged, err);
	if (rc == 0)
		rc = rootfs_id(b.tree, true, &id, err);
	memset(b.tar, 0, sizeof(b.tar)); /* lent */
	return rc;
}

static void test_torture(void **state)
{
	(void)state;
	cleanup_built struct built b;
	struct tortured t = { &b };

	build_tars(&b, "d a @0700:1:2:3 #user.x=1\nf a/b =1 #user.y=2\nl c >d\n--\n"
		       "h e >a/b @0600:1:1:1 #user.z=3\nf .wh.c\nf x/y =2\nf 0 =2\n");
	torture_alloc(apply_again, &t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),	 cmocka_unit_test(test_lower_layers),
		cmocka_unit_test(test_oddities), cmocka_unit_test(test_layers_below),
		cmocka_unit_test(test_many),	 cmocka_unit_test(test_torture),
		cmocka_unit_test(test_broad),	 cmocka_unit_test(test_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
