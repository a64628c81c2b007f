/* SPDX-License-Identifier: Apache-2.0
 *
 * What later layers hide, counted by hand.
 */
#include "layer/layers.h"
#include "ops/efficiency.h"
#include "torture.h"

/* "file_bytes wasted score_ppm wasted_ppm", "layer: file wasted", "bytes copies@layers state path". */
static struct buf show(const struct dray_efficiency *e)
{
	struct buf ret = tb_new();

	tell(&ret, "%lld %lld %lld %lld\n", (long long)e->file_bytes, (long long)e->wasted_bytes,
	     (long long)e->score_ppm, (long long)e->wasted_ppm);
	for (size_t i = 0; i < e->n_layers; i++)
		tell(&ret, "%zu: %lld %lld\n", i, (long long)e->layers[i].file_bytes,
		     (long long)e->layers[i].wasted_bytes);
	for (size_t i = 0; i < e->n_files; i++) {
		const struct dray_waste *f = &e->files[i];

		tell(&ret, "%lld %zu@", (long long)f->bytes, f->n_copies);
		for (size_t k = 0; k < f->n_copies; k++)
			tell(&ret, "%s%lld", k ? "," : "", (long long)f->layers[k]);
		tell(&ret, " %s %s\n", f->visible ? "replaced" : "deleted", f->path);
	}
	return ret;
}

static int count(const struct built *b, struct arena *a, struct dray_efficiency *e,
		 dray_error **err)
{
	const struct layer_index *layers[STACK_MAX];

	for (size_t i = 0; i < b->n; i++)
		layers[i] = b->index[i];
	return efficiency_count(layers, b->n, b->tree, a, e, err);
}

struct row {
	const char *stack, *want;
};

static const struct row rows[] = {
	{ "d a", "0 0 1000000 0\n0: 0 0\n" },
	{ "f a =12345", "5 0 1000000 0\n0: 5 0\n" },
	/* Replaced by more: the smaller copy is what it takes. 5/12, 5/12. */
	{ "f a =12345\n--\nf a =1234567",
	  "12 5 416666 416666\n0: 5 5\n1: 7 0\n5 1@0 replaced a\n" },
	/* By less: 3/8, and 5/8 hidden. */
	{ "f a =12345\n--\nf a =123", "8 5 375000 625000\n0: 5 5\n1: 3 0\n5 1@0 replaced a\n" },
	/* By nothing, a folder, a link. */
	{ "f a =12345\n--\nf a", "5 5 0 1000000\n0: 5 5\n1: 0 0\n5 1@0 replaced a\n" },
	{ "f a =12\nf b =12\n--\nd a\n--\nl a >b",
	  "4 2 500000 500000\n0: 4 2\n1: 0 0\n2: 0 0\n2 1@0 deleted a\n" },
	/* Three copies, then gone; the worst first, then by name. */
	{ "f a =1\nf z =4444\nf y =333\nf x =333\n--\nf a =22\n--\nf a =1\n--\nf .wh.a\nf .wh.x\nf "
	  ".wh.y\n"
	  "f keep =4444444444",
	  "24 10 583333 416666\n0: 11 7\n1: 2 2\n2: 1 1\n3: 10 0\n"
	  "4 3@0,1,2 deleted a\n3 1@0 deleted x\n3 1@0 deleted y\n" },
	/* A folder with all in it, by its name and as opaque. */
	{ "f d/a =1\nf d/e/b =22\nf k =7777777\n--\nf .wh.d",
	  "10 3 700000 300000\n0: 10 3\n1: 0 0\n2 1@0 deleted d/e/b\n1 1@0 deleted d/a\n" },
	{ "f d/a =1\n--\nf d/.wh..wh..opq\nf d/b =1",
	  "2 1 500000 500000\n0: 1 1\n1: 1 0\n1 1@0 deleted d/a\n" },
	/* Deleted and back. */
	{ "f a =22\n--\nf .wh.a\n--\nf a =22",
	  "4 2 500000 500000\n0: 2 2\n1: 0 0\n2: 2 0\n2 1@0 replaced a\n" },
	/* Hard links keep the file that their first name gave up. */
	{ "f a =22\nh b >a\n--\nf .wh.a", "2 0 1000000 0\n0: 2 0\n1: 0 0\n" },
	{ "f a =22\nh b >a\n--\nf .wh.a\nf .wh.b",
	  "2 2 0 1000000\n0: 2 2\n1: 0 0\n2 1@0 deleted a\n" },
	{ "f a =22\n--\nh b >a\nf a =333", "5 0 400000 0\n0: 2 0\n1: 3 0\n" },
	/* Twice in one layer. */
	{ "f a =1\nf a =22", "3 1 333333 333333\n0: 3 1\n1 1@0 replaced a\n" },
	/* What aufs left: seen when linked to, else for nothing. */
	{ "f .wh..wh.plnk/1 =22\nh a >.wh..wh.plnk/1\nf .wh..wh.plnk/2 =333",
	  "5 3 400000 600000\n0: 5 3\n3 1@0 deleted .wh..wh.plnk/2\n" },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b = { 0 };
		cleanup_buf struct buf got = { 0 };
		struct dray_efficiency e;
		struct arena a = { 0 };
		dray_error *err = NULL;

		build_tars(&b, rows[i].stack);
		assert_ok(build_tree(&b, 512, &err), err);
		assert_ok(count(&b, &a, &e, &err), err);
		got = show(&e);
		assert_span_is(span_buf(&got), rows[i].want);
		arena_clear(&a);
	}
}

static void test_millionths(void **state)
{
	(void)state;
	assert_int_equal(millionths(0, 0), 1000000);
	assert_int_equal(millionths(0, 7), 0);
	assert_int_equal(millionths(1, 3), 333333);
	assert_int_equal(millionths(7, 7), 1000000);
	assert_int_equal(millionths(INT64_MAX, INT64_MAX), 1000000);
	assert_int_equal(millionths(INT64_MAX / 2, INT64_MAX), 499999);
}

static int tortured(void *arg, dray_error **err)
{
	struct dray_efficiency e;
	struct arena a = { 0 };
	int rc = count(arg, &a, &e, err);

	arena_clear(&a);
	return rc;
}

static void test_torture(void **state)
{
	cleanup_built struct built b = { 0 };
	dray_error *err = NULL;

	(void)state;
	build_tars(&b, "f a =1\nf b =2\n--\nf a =3\nf .wh.b");
	assert_ok(build_tree(&b, 512, &err), err);
	torture_alloc(tortured, &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_millionths),
		cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
