/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns of paths in strips and cuts.
 * Relies on the matcher of patterns.h.
 * Promises that a wrong answer names the pattern and the path.
 */
#include "layer/pattern.h"

#include "layer/cut.h"
#include "layer/prune.h"
#include "layers.h"
#include "patterns.h"

/* ---- strips ---- */

static bool strip_check(void *arg, const struct words *path)
{
	dray_error *err = NULL;
	int held = prune_holds(arg, path->text, &err);

	assert_ok(held, err);
	return held;
}

static void test_strips(void **state)
{
	struct words glob;

	(void)state;
	for (size_t i = 0; words_at(&glob, i, part_words, ROWS(part_words)); i++) {
		cleanup_prune_set struct prune_set s = { 0 };
		dray_error *err = NULL;

		assert_ok(prune_set_add(&s, glob.text, &err), err);
		hold_against(&glob, "strip", true, strip_check, &s);
	}
}

/* ---- cuts ---- */

static bool cut_check(void *arg, const struct words *path)
{
	const struct node *n = tree_root(arg);

	for (size_t i = 0; i < path->n; i++)
		for (n = n->child; strcmp(n->name, path->list[i]) != 0;)
			n = n->next;
	return n->inode->mark == 0;
}

/* All paths of PARTS_MAX names, and so all that are shorter. */
static void build_all(struct built *b)
{
	cleanup_buf struct buf text = tb_new();
	struct words path;
	dray_error *err = NULL;

	for (size_t i = 0; words_at(&path, i, name_words, ROWS(name_words)); i++)
		if (path.n == PARTS_MAX)
			tell(&text, "f %s\n", path.text);
	assert_ok(buf_add(&text, span_of("", 1), &err), err);
	build_stack(b, (const char *)text.data);
}

static void test_cuts(void **state)
{
	cleanup_built struct built b = { 0 };
	struct words glob;

	(void)state;
	build_all(&b);
	for (size_t i = 0; words_at(&glob, i, part_words, ROWS(part_words)); i++) {
		cleanup_cut_rules struct cut_rules r = { 0 };
		dray_error *err = NULL;
		size_t torn;

		assert_ok(cut_rules_add(&r, glob.text, &err), err);
		assert_ok(cut_mark(b.tree, &r, &torn, &err), err);
		hold_against(&glob, "cut", true, cut_check, b.tree);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strips),
		cmocka_unit_test(test_cuts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
