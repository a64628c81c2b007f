/* SPDX-License-Identifier: Apache-2.0
 *
 * One layer as a list of entries: where their bytes lie, what is refused.
 * Relies on tar_build.h.
 * Promises offsets that the tar itself confirms.
 */
#include "layers.h"

#include "torture.h"

static void test_offsets(void **state)
{
	(void)state;
	cleanup_built struct built b = { 0 };
	dray_error *err = NULL;
	struct layer_index *ix;

	build_tars(&b, "f ./a =hello @4755:1:2:-3.5 #user.x=1\nd d/\nh h >/a\nl l >a\nc c\n");
	tb_zeros(&b.tar[0], 10240); /* what GNU tar adds */
	assert_ok(read_index(span_buf(&b.tar[0]), 511, &b.index[0], &err), err);
	ix = b.index[0];
	assert_int_equal(ix->n, 5);
	assert_int_equal(ix->size, b.tar[0].len);
	assert_string_equal(ix->list[0].path, "a");
	assert_true(ix->list[0].odd_name);
	assert_false(ix->list[0].ambiguous);
	assert_int_equal(ix->list[0].header_off, 0);
	assert_int_equal(ix->list[0].data_off, 3 * 512); /* pax header, its records, header */
	assert_int_equal(ix->list[0].size, 5);
	assert_memory_equal(b.tar[0].data + ix->list[0].data_off, "hello", 5);
	assert_int_equal(ix->list[0].mtime, -4);
	assert_int_equal(ix->list[0].mtime_nsec, 500000000);
	assert_int_equal(ix->list[0].mode, 04755);
	assert_non_null(ix->list[0].content);
	assert_string_equal(ix->list[1].path, "d");
	assert_false(ix->list[1].odd_name);
	assert_int_equal(ix->list[1].header_off, 4 * 512);
	assert_string_equal(ix->list[2].link, "a");
	assert_string_equal(ix->list[3].link, "a");
	assert_int_equal(ix->list[4].dev_major, 1);
	assert_null(ix->list[4].content);
}

static void test_whiteouts(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		enum whiteout kind;
		const char *name, *target;
	} rows[] = {
		{ "a", WHITEOUT_NONE, NULL, NULL },
		{ "", WHITEOUT_NONE, NULL, NULL },
		{ ".wh.a", WHITEOUT_NAME, "a", "a" },
		{ "d/.wh.a", WHITEOUT_NAME, "a", "d/a" },
		{ "d/e/.wh.ab", WHITEOUT_NAME, "ab", "d/e/ab" },
		{ ".wh..a", WHITEOUT_NAME, ".a", ".a" },
		{ "d/.wh..wh..opq", WHITEOUT_OPAQUE, NULL, "d" },
		{ "d/e/.wh..wh..opq", WHITEOUT_OPAQUE, NULL, "d/e" },
		{ ".wh..wh..opq", WHITEOUT_OPAQUE, NULL, "" },
		{ ".wh..wh..opqx", WHITEOUT_AUFS, NULL, NULL },
		{ ".wh..wh.plnk/1.2", WHITEOUT_AUFS, NULL, NULL },
		{ "d/.wh..wh.orph/x/y", WHITEOUT_AUFS, NULL, NULL },
		{ ".whx/.WH.a", WHITEOUT_NONE, NULL, NULL },
		{ "a.wh.b", WHITEOUT_NONE, NULL, NULL },
	};
	cleanup_buf struct buf target = tb_new();
	dray_error *err = NULL;

	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *name = NULL;

		if (whiteout_of(rows[i].path, &name) != rows[i].kind)
			fail_msg("%s", rows[i].path);
		if (rows[i].name)
			assert_string_equal(name, rows[i].name);
		if (!rows[i].target)
			continue;
		assert_ok(whiteout_target(rows[i].path, name, &target, &err), err);
		assert_string_equal((const char *)target.data, rows[i].target);
		assert_int_equal(target.len, strlen(rows[i].target));
	}
}

static void test_below(void **state)
{
	(void)state;
	static const struct {
		const char *path, *folder;
		bool below;
	} rows[] = {
		{ "a/b", "a", true },  { "a/b/c", "a", true },	{ "a/b/c", "a/b", true },
		{ "a", "", true },     { "a/b", "", true },	{ "", "", false },
		{ "a", "a", false },   { "ab", "a", false },	{ "a!b", "a", false },
		{ "a", "a/b", false }, { "b/a/c", "a", false }, { "", "a", false },
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		if (path_is_below(rows[i].path, rows[i].folder) != rows[i].below)
			fail_msg("%s below %s", rows[i].path, rows[i].folder);
}

static void test_refused(void **state)
{
	(void)state;
	cleanup_buf struct buf unknown = tb_new(), many = tb_new(), few = tb_new(),
			       records = tb_new();
	cleanup_layer_index struct layer_index *ix = NULL;
	dray_error *err = NULL;
	char key[64];

	tb_header(&unknown, &(struct tb_head){ .name = "v\nw", .type = 'V' });
	tb_end(&unknown);
	assert_int_equal(read_index(span_buf(&unknown), SIZE_MAX, &ix, &err), -1);
	assert_null(strchr(dray_error_message(err), '\n')); /* bytes of the tar are never raw */
	assert_err(err, DRAY_ERR_UNSUPPORTED, "type 0x56");

	for (int i = 0; i <= LIMIT_XATTRS; i++) {
		if (i == LIMIT_XATTRS) {
			tb_ext(&few, 'x', records.data, records.len);
			tb_file(&few, "a", "");
		}
		snprintf(key, sizeof(key), "SCHILY.xattr.user.%d", i);
		tb_record(&records, key, "");
	}
	tb_ext(&many, 'x', records.data, records.len);
	tb_file(&many, "a", "");
	tb_end(&many);
	tb_end(&few);
	assert_int_equal(read_index(span_buf(&many), SIZE_MAX, &ix, &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "LIMIT_XATTRS");
	assert_ok(read_index(span_buf(&few), SIZE_MAX, &ix, &err), err);
	assert_int_equal(ix->list[0].xattrs->n, LIMIT_XATTRS);
}

/* Text is counted over all entries, wherever they have it, and what fits is read. */
static void test_text(void **state)
{
	static const struct {
		const char *stack;
		size_t text;
	} rows[] = {
		{ "f abc =12345\n", 3 },
		{ "f abc\nl de >fgh\n", 8 },
		{ "f a #user.x=12345\n", 1 + sizeof(struct tar_xattr) + 6 + 5 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_built struct built b = { 0 };
		struct layer_index_options o = { .max_text = rows[i].text };
		dray_error *err = NULL;

		build_tars(&b, rows[i].stack);
		cleanup_source struct source *in = source_from_span(span_buf(&b.tar[0]), &err);
		cleanup_source struct source *again = source_from_span(span_buf(&b.tar[0]), &err);
		assert_ok(layer_index_read(in, &o, &b.index[0], &err), err);
		assert_int_equal(b.index[0]->text, rows[i].text);
		o.max_text--;
		cleanup_layer_index struct layer_index *none = NULL;
		assert_int_equal(layer_index_read(again, &o, &none, &err), -1);
		assert_err(err, DRAY_ERR_LIMIT, "bytes of names");
	}
}

/* What a path implies grows with the square of its parts; hard links have their targets. */
static void test_depth(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		size_t parts = LIMIT_PATH_PARTS + (size_t)(i & 1);
		cleanup_buf struct buf tar = tb_new(), records = tb_new(), path = tb_new();
		cleanup_layer_index struct layer_index *ix = NULL;
		dray_error *err = NULL;
		int rc;

		for (size_t k = 1; k < parts; k++)
			tb_bytes(&path, "a//", k % 2 ? 2 : 3);
		tb_bytes(&path, "f", 2);
		tb_record(&records, i < 2 ? "path" : "linkpath", (const char *)path.data);
		tb_ext(&tar, 'x', records.data, records.len);
		tb_hardlink(&tar, "x", "y");
		tb_end(&tar);
		rc = read_index(span_buf(&tar), SIZE_MAX, &ix, &err);
		if (i & 1)
			assert_err(err, DRAY_ERR_LIMIT, "LIMIT_PATH_PARTS");
		else
			assert_ok(rc, err);
	}
}

/* Cut anywhere it is refused, or it ended at an entry's end; a failing source is not taken for an end. */
static void test_cut(void **state)
{
	(void)state;
	cleanup_built struct built b = { 0 };
	dray_error *err = NULL;

	build_tars(&b, "f a =hello #user.x=1\nd b\n");
	for (size_t len = 0; len < b.tar[0].len - 1024; len += 7) {
		cleanup_layer_index struct layer_index *ix = NULL;

		if (read_index(span_of(b.tar[0].data, len), SIZE_MAX, &ix, &err) < 0)
			err_clear(&err);
		else
			assert_int_equal(len % 512, 0);
		cleanup_source struct source *in = torn_span(span_buf(&b.tar[0]), 100, (int64_t)len,
							     &err);
		const struct layer_index_options o = { 0 };
		assert_int_equal(layer_index_read(in, &o, &ix, &err), -1);
		err_clear(&err);
	}
}

static int index_again(void *arg, dray_error **err)
{
	const struct built *b = arg;
	cleanup_layer_index struct layer_index *ix = NULL;

	return read_index(span_buf(&b->tar[0]), SIZE_MAX, &ix, err);
}

static void test_torture(void **state)
{
	(void)state;
	cleanup_built struct built b = { 0 };

	build_tars(&b, "f a =hello #user.x=1 #user.y=2\nd b\nh c >a\nl d >a\n");
	torture_alloc(index_again, &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offsets), cmocka_unit_test(test_whiteouts),
		cmocka_unit_test(test_below),	cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cut),	cmocka_unit_test(test_text),
		cmocka_unit_test(test_depth),	cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
