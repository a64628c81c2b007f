/* SPDX-License-Identifier: Apache-2.0
 *
 * Merged trees as tars: they mean the same, and what nobody changed keeps its bytes.
 * Relies on the stacks of cases.h.
 * Promises that a tar that reads back as another tree names its row.
 */
#include "layers.h"

#include "cases.h"

/* The merged tar as the only layer. */
static void rebuild(struct built *b, struct built *ret)
{
	dray_error *err = NULL;
	int64_t size = 0;
	const struct record_list all = { tree_record_next, b->tree };

	*ret = (struct built){ .n = 1, .tar = { tb_new() } };
	assert_ok(write_merged(b, &ret->tar[0], &err), err);
	assert_ok(layer_tar_size(&all, &size, &err), err);
	assert_int_equal(size, ret->tar[0].len);
	assert_ok(build_tree(ret, SIZE_MAX, &err), err);
}

static void test_same_tree(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(stack_cases); i++) {
		cleanup_built struct built b = { 0 }, again = { 0 };
		struct digest one, two;
		dray_error *err = NULL;

		if (!stack_cases[i].want)
			continue;
		build_stack(&b, stack_cases[i].stack);
		rebuild(&b, &again);
		cleanup_buf struct buf got = show_tree(&again);
		if (!span_is(span_buf(&got), stack_cases[i].want))
			fail_msg("%s: comes back as\n%.*s", stack_cases[i].name, (int)got.len,
				 (const char *)got.data);
		assert_ok(rootfs_id(b.tree, true, &one, &err), err);
		assert_ok(rootfs_id(again.tree, true, &two, &err), err);
		assert_string_equal(one.text, two.text);
		/* And written once more it is the same bytes. */
		cleanup_built struct built third = { 0 };
		rebuild(&again, &third);
		assert_span(span_buf(&third.tar[0]), span_buf(&again.tar[0]));
	}
}

/* Stacks whose merged tar is one of its layers, byte for byte. */
static void test_unchanged(void **state)
{
	(void)state;
	static const struct {
		const char *stack;
		size_t same_as; /* layer */
	} rows[] = {
		{ "d a @0700:1:2:3.25 #user.x=1\nf a/b =1 @0644:3000000:1:1\nl c >d\nc e\np f\n",
		  0 },
		{ "f a =1\nh b >a\nh c >a\n", 0 },
		{ "f a =1 #user.x=1\nh b >a\n", 0 }, /* a link that leaves attributes out */
		{ "d ./ @0700:1:2:3\nd ./a\nf ./a/b =1\n", 0 },
		{ "f /a =1\nh b >/a\n", 0 },
		{ "f x =1\n--\nf .wh.x\n--\nf y =1\n", 2 },
		{ "f x =1\n--\nf x =2\n", 1 },
		{ "f " LONG_300 " =1\n--\nd " LONG_60 "\nd " LONG_60 "/" LONG_60 "\nd " LONG_60
		  "/" LONG_60 "/" LONG_60 "\nd " LONG_60 "/" LONG_60 "/" LONG_60 "/" LONG_60
		  "\nf " LONG_300 " =2\n",
		  1 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b = { 0 };
		cleanup_buf struct buf merged = tb_new();
		dray_error *err = NULL;

		build_stack(&b, rows[i].stack);
		assert_ok(write_merged(&b, &merged, &err), err);
		if (!span_eq(span_buf(&merged), span_buf(&b.tar[rows[i].same_as])))
			fail_msg("other bytes than layer %zu of\n%s", rows[i].same_as,
				 rows[i].stack);
	}
}

/* Names that other readers take differently are written anew. */
static void test_ambiguous(void **state)
{
	(void)state;
	static const struct {
		const char *layer, *plain;
	} rows[] = {
		{ "f x/../a =1\n", "f a =1\n" },
		{ "f a =1\nh b >x/../a\n", "f a =1\nh b >a\n" },
		{ "f a/\n", "f a\n" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b = { 0 }, again = { 0 };

		build_stack(&b, rows[i].layer);
		rebuild(&b, &again);
		for (size_t k = 0; k < again.index[0]->n; k++)
			assert_false(again.index[0]->list[k].ambiguous);
		cleanup_buf struct buf got = show_tree(&again);
		assert_span_is(span_buf(&got), rows[i].plain);
	}
}

/* What overlayfs keeps its books in is in no tar that we write (formats.md 6.2); the rest of such an entry is. */
static void test_overlay_notes(void **state)
{
	(void)state;
	static const struct {
		const char *layer, *plain;
	} rows[] = {
		{ "d a @0700:1:2:3.5 #trusted.overlay.opaque=y #user.x=1\nf a/b =1\n",
		  "d a @0700:1:2:3.5 #user.x=1\nf a/b =1\n" },
		{ "f a =1 #user.overlay.metacopy=\n", "f a =1\n" },
		{ "f a =1 #trusted.overlay.origin=o\nh b >a\n", "f a =1\nh b >a\n" },
		{ "f a =1\nh b >a #trusted.overlay.origin=o\n", "f a =1\nh b >a\n" },
		{ "l a >b #trusted.overlay.redirect=/x\n", "l a >b\n" },
		{ "f a =1 #trusted.overlayfs=1\n", "f a =1 #trusted.overlayfs=1\n" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b = { 0 }, again = { 0 };

		build_stack(&b, rows[i].layer);
		rebuild(&b, &again);
		cleanup_buf struct buf got = show_tree(&again);
		if (!span_is(span_buf(&got), rows[i].plain))
			fail_msg("%sbecomes\n%.*s", rows[i].layer, (int)got.len,
				 (const char *)got.data);
	}
}

/* What layer_tar_order() foresees is what is read: forward, but for the late pieces. */
struct watch {
	struct built *b;
	const struct layer_order *orders;
	int64_t reached[STACK_MAX];
	size_t late;
};

static bool is_late(const struct layer_order *o, int64_t off)
{
	for (size_t i = 0; i < o->n_late; i++)
		if (off >= o->late[i].off && off < o->late[i].off + o->late[i].size)
			return true;
	return false;
}

static int64_t watch_read(void *arg, uint32_t layer, int64_t off, void *data, size_t len,
			  dray_error **err)
{
	struct watch *w = arg;

	if (is_late(&w->orders[layer], off)) {
		w->late++;
	} else {
		assert_true(off >= w->reached[layer]);
		w->reached[layer] = off + (int64_t)len;
	}
	return read_tars(w->b, layer, off, data, len, err);
}

static void test_order(void **state)
{
	(void)state;
	static const struct {
		const char *stack;
		size_t n_late[2];
	} rows[] = {
		{ "f a =1\nf b =2\nf c =3\n", { 0, 0 } },
		{ "f b =1\nf c =2\nf a =3\n", { 2, 0 } }, /* a is reached first */
		{ "f z =1\nf y =2\nf x =3\n--\nf 1 =1\nf 3 =1\nf 2 =1\n", { 2, 1 } },
		{ "f z =1\n--\nh a >z\n", { 0, 0 } },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b = { 0 };
		cleanup_buf struct buf merged = tb_new();
		struct layer_order orders[STACK_MAX] = { 0 };
		dray_error *err = NULL;

		build_stack(&b, rows[i].stack);
		const struct record_list all = { tree_record_next, b.tree };
		assert_ok(layer_tar_order(&all, orders, b.n, &err), err);
		for (size_t k = 0; k < b.n; k++)
			assert_int_equal(orders[k].n_late, rows[i].n_late[k]);
		struct watch w = { .b = &b, .orders = orders };
		const struct layer_feed feed = { .read = watch_read, .arg = &w };
		assert_ok(slurp(layer_tar_source(&all, &feed, &err), &merged, &err), err);
		assert_int_equal(w.late > 0, rows[i].n_late[0] + rows[i].n_late[1] > 0);
		layer_orders_clear(orders, b.n);
	}
}

/* A feed that lends some of what it is asked for: now all, now a piece, now nothing. */
struct lender {
	struct built *b;
	size_t calls, lent;
};

static int64_t lender_read(void *arg, uint32_t layer, int64_t off, void *data, size_t len,
			   dray_error **err)
{
	return read_tars(((struct lender *)arg)->b, layer, off, data, len, err);
}

static int lend_some(void *arg, uint32_t layer, int64_t off, struct span *ret, dray_error **err)
{
	struct lender *l = arg;
	size_t n = ++l->calls;

	(void)err;
	*ret = span_from(span_buf(&l->b->tar[layer]), (size_t)off);
	*ret = span_head(*ret, n % 3 ? 700001 : n % 2 ? 100 : 70001);
	if (n % 7 == 0)
		*ret = (struct span){ 0 };
	l->lent += ret->len >= 70001;
	return 0;
}

/* Puts a file of @p n bytes in front. */
static void grow_tar(struct buf *tar, const char *name, size_t n)
{
	cleanup_buf struct buf old = *tar, data = make_bytes(n, 3);

	*tar = BUF_INIT(n + (1 << 20));
	tb_file_bytes(tar, name, data.data, n);
	tb_bytes(tar, old.data, old.len);
}

/* The same bytes, however much is wanted at once and taken of it. */
static void test_lending(void **state)
{
	static const size_t wants[] = { 1, 512, 20000, SOURCE_PEEK_MAX };
	cleanup_built struct built b = { 0 };
	cleanup_buf struct buf plain = tb_new();
	dray_error *err = NULL;

	(void)state;
	build_tars(&b, "f a =1\nf z =2\n--\nf b =3\n");
	grow_tar(&b.tar[0], "big", 20000000);
	grow_tar(&b.tar[1], "also", 900001);
	assert_ok(build_tree(&b, SIZE_MAX, &err), err);
	assert_ok(write_merged(&b, &plain, &err), err);
	const struct record_list all = { tree_record_next, b.tree };
	for (size_t first = 0; first < ROWS(wants); first++) {
		struct lender l = { .b = &b };
		const struct layer_feed feed = { lender_read, &l, lend_some };
		cleanup_buf struct buf lent = BUF_INIT(plain.max);
		cleanup_source struct source *s = layer_tar_source(&all, &feed, &err);
		struct span got;
		size_t step = first;

		do { /* all of it every second time, so that nothing is left to join */
			assert_ok(source_peek(s, wants[step % ROWS(wants)], &got, &err), err);
			if (++step % 2)
				got = span_head(got, 1 + step * 7777 % 100000);
			assert_ok(buf_add(&lent, got, &err), err);
			source_consume(s, got.len);
		} while (got.len);
		assert_true(l.calls > 8 && l.lent > 4);
		assert_true(span_eq(span_buf(&lent), span_buf(&plain)));
	}
}

static int lend_fails(void *arg, uint32_t layer, int64_t off, struct span *ret, dray_error **err)
{
	(void)arg;
	(void)layer;
	(void)off;
	(void)ret;
	return err_set(err, DRAY_ERR_CORRUPT, "not twice");
}

static void test_lending_fails(void **state)
{
	cleanup_built struct built b = { 0 };
	cleanup_buf struct buf out = BUF_INIT(8 << 20);
	dray_error *err = NULL;

	(void)state;
	build_tars(&b, "f a =1\n");
	grow_tar(&b.tar[0], "big", 3000000);
	assert_ok(build_tree(&b, SIZE_MAX, &err), err);
	struct lender l = { .b = &b };
	const struct record_list all = { tree_record_next, b.tree };
	const struct layer_feed feed = { lender_read, &l, lend_fails };
	assert_int_equal(slurp(layer_tar_source(&all, &feed, &err), &out, &err), -1);
	assert_err_kind(err, DRAY_ERR_CORRUPT);
}

/* Give the first entry, if it has the content "Z", that of the sparse file below: 4096 bytes. */
static void expand_z(struct built *b)
{
	cleanup_buf struct buf old = b->tar[0];
	uint8_t data[4096] = { 0 };
	size_t head = 0;

	while (head < old.len && old.data[head] != 'Z')
		head += 512;
	b->tar[0] = tb_new();
	if (head >= old.len) {
		tb_bytes(&b->tar[0], old.data, old.len);
		return;
	}
	memcpy(data + 512, "abcdef", 6);
	tb_octal(old.data, head - 512 + 124, 12, NULL, sizeof(data));
	tb_checksum(old.data + head - 512, TB_SUM_GOOD);
	tb_bytes(&b->tar[0], old.data, head);
	tb_bytes(&b->tar[0], data, sizeof(data));
	tb_bytes(&b->tar[0], old.data + head + 512, old.len - head - 512);
}

/* A sparse file stays one, also where it needs a new header; its digest is that of all its bytes. */
static void test_sparse(void **state)
{
	(void)state;
	static const struct {
		const char *above; /* the layer over that with the sparse file "s" */
		const char *want;  /* the tree */
		const char *plain; /* the same without a sparse file, Z standing for its bytes */
	} rows[] = {
		{ "f t =1\n", "S s =abcdef\nf t =1\n", "f s =Z\nf t =1\n" },
		{ "f .wh.s\n", "", "f .wh.x\n" },
		{ "h t >s\n", "S s =abcdef\nh t >s\n", "f s =Z\nh t >s\n" },
		/* The data move to another header. */
		{ "h a >s\n", "S a =abcdef\nh s >a\n", "f a =Z\nh s >a\n" },
		{ "h t >s @0600:1:1:1\n", "S s =abcdef @0600:1:1:1.0\nh t >s\n",
		  "f s =Z @0600:1:1:1\nh t >s @0600:1:1:1\n" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b = { 0 }, plain = { 0 };
		cleanup_buf struct buf records = tb_new();
		dray_error *err = NULL;
		struct digest id, want, after;

		build_tars(&b, rows[i].above);
		b.tar[1] = b.tar[0];
		b.tar[0] = tb_new();
		b.n = 2;
		tb_record(&records, "GNU.sparse.major", "0");
		tb_record(&records, "GNU.sparse.minor", "1");
		tb_record(&records, "GNU.sparse.numblocks", "1");
		tb_record(&records, "GNU.sparse.map", "512,6");
		tb_record(&records, "GNU.sparse.size", "4096");
		tb_ext(&b.tar[0], 'x', records.data, records.len);
		tb_file(&b.tar[0], "s", "abcdef");
		tb_end(&b.tar[0]);
		assert_ok(build_tree(&b, SIZE_MAX, &err), err);
		cleanup_built struct built again = { 0 };
		rebuild(&b, &again);
		cleanup_buf struct buf got = show_tree(&again);
		assert_span_is(span_buf(&got), rows[i].want);
		build_tars(&plain, rows[i].plain);
		expand_z(&plain);
		assert_ok(build_tree(&plain, SIZE_MAX, &err), err);
		assert_ok(rootfs_id(b.tree, true, &id, &err), err);
		assert_ok(rootfs_id(plain.tree, true, &want, &err), err);
		assert_ok(rootfs_id(again.tree, true, &after, &err), err);
		assert_string_equal(id.text, want.text);
		assert_string_equal(id.text, after.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_tree), cmocka_unit_test(test_unchanged),
		cmocka_unit_test(test_ambiguous), cmocka_unit_test(test_order),
		cmocka_unit_test(test_lending),	  cmocka_unit_test(test_lending_fails),
		cmocka_unit_test(test_sparse),	  cmocka_unit_test(test_overlay_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
