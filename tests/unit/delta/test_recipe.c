/* SPDX-License-Identifier: Apache-2.0 */
/* For: layers told by others come back to the byte, whatever they are.
 * Relies on: the stacks of ../layer/layers.h.
 * Promises: nothing is left.
 */
#include "recipes.h"
#include "torture.h"

#define LOREM \
	"Lorem-ipsum-dolor-sit-amet-consectetur-adipiscing-elit-sed-do-eiusmod-tempor-incididunt"

/* ---- small stacks ---- */

static const struct {
	const char *name, *stack;
	size_t same, patched, new;
	int64_t stored_most; /* bytes; 0 = any */
} stacks[] = {
	{ "equal", "d a\nf a/x =" LOREM "\n--\nd a\nf a/x =" LOREM, 1, 0, 0, 80 },
	{ "a byte changed", "f x =" LOREM "\n--\nf x =" LOREM "!", 0, 1, 0, 0 },
	{ "moved", "f a/x =" LOREM "\n--\nf b/y =" LOREM, 1, 0, 0, 0 },
	{ "renamed and changed", "f lib.so.1.2 =" LOREM "\n--\nf lib.so.1.10 =" LOREM "!", 0, 1, 0,
	  0 },
	{ "reordered", "f a =1\nf b =22\nf c =333\n--\nf c =333\nf a =1\nf b =22", 3, 0, 0, 0 },
	{ "other times",
	  "f a =1 @644:0:0:1\nf b =2 @644:0:0:1\n--\nf a =1 @644:0:0:5\nf b =2 @644:0:0:5", 2, 0, 0,
	  0 },
	{ "other owner in a longer header", "f a =1\n--\nf a =1 @644:1:2:3.5 #user.x=y", 1, 0, 0,
	  0 },
	{ "links", "f a =" LOREM "\nh b >a\nl c >a\n--\nf a =" LOREM "\nh b >a\nl c >b\nh d >a", 1,
	  0, 0, 0 },
	{ "devices and whiteouts",
	  "c null\nb disk\np fifo\n--\nf .wh.null\nf d/.wh..wh..opq\nc null", 0, 0, 0, 0 },
	{ "a folder became a file", "d x\nd x/y\n--\nf x =" LOREM, 0, 0, 1, 0 },
	{ "a file became a folder", "f x =" LOREM "\n--\nd x\nf x/y =2", 0, 0, 1, 0 },
	{ "nothing in it", "f x =1\n--\n", 0, 0, 0, 0 },
	{ "nothing in the base", "\n--\nf x =1\nf y =2", 0, 0, 2, 0 },
	{ "nothing in common", "f x =1\n--\nf " LOREM " =aa", 0, 0, 1, 0 },
	{ "no base", "f x =1\nf y =2", 0, 0, 2, 0 },
	{ "three bases",
	  "f a =1\n--\nf b =22\nf a =0\n--\nf c =333\n--\nf a =1\nf b =22\nf c =333\nf a =0", 4, 0,
	  0, 0 },
	{ "twice the same", "f a =" LOREM "\n--\nf x =" LOREM "\nf y =" LOREM, 2, 0, 0, 0 },
};

static void test_stacks(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(stacks); i++) {
		const struct recipe_options o = { .window = SMALL_WINDOW, .level = 3 };
		cleanup_built struct built b;
		cleanup_buf struct buf recipe;

		build_tars(&b, stacks[i].stack);
		struct recipe_stats s = round_trip(&b, &o, &recipe);

		if (s.files_same != stacks[i].same || s.files_patched != stacks[i].patched ||
		    s.files_new != stacks[i].new ||
		    (stacks[i].stored_most && s.stored > stacks[i].stored_most))
			fail_msg("%s: %zu same, %zu patched, %zu new, %lld bytes", stacks[i].name,
				 s.files_same, s.files_patched, s.files_new, (long long)s.stored);
	}
}

static void test_pieces(void **state)
{
	const struct recipe_options o = { .window = SMALL_WINDOW, .level = 3 };
	cleanup_buf struct buf recipe;
	cleanup_built struct built b;
	dray_error *err = NULL;
	struct rig r;

	(void)state;
	build_tars(&b, "f a =" LOREM "\nf b =2\n--\nf b =3\nf a =" LOREM "x");
	round_trip(&b, &o, &recipe);
	for (size_t i = 0; i < b.n; i++) {
		layer_index_free(b.index[i]);
		b.index[i] = NULL;
	}
	assert_ok(rig_make(&r, &b, &err), err);
	for (size_t i = 0; i < ROWS(stream_pieces); i++) {
		cleanup_buf struct buf tar = tb_new();

		assert_ok(rig_apply(&r, span_buf(&recipe), stream_pieces[i], &tar, &err), err);
		assert_true(span_eq(span_buf(&tar), span_buf(&b.tar[1])));
	}
}

/* ---- big files ---- */

static void put_big(struct buf *tar, const char *name, struct span data)
{
	const struct tb_head h = { .name = name, .size = (int64_t)data.len };

	tb_member(tar, &h, data.data, data.len);
}

/* A base with one file, and a new layer with what @p change makes of it. */
static struct recipe_stats big_trip(size_t size, void (*change)(struct buf *b), struct pool *pool,
				    struct buf *ret)
{
	const struct recipe_options o = { .window = SMALL_WINDOW, .level = 3, .pool = pool };
	cleanup_built struct built b = { .n = 2 };
	cleanup_buf struct buf data = make_bytes(size, 7);

	data.max = SIZE_MAX;
	for (size_t i = 0; i < 2; i++) {
		b.tar[i] = tb_new();
		put_big(&b.tar[i], "big", span_buf(&data));
		put_big(&b.tar[i], "small", SPAN_LIT("small"));
		tb_end(&b.tar[i]);
		if (i == 0)
			change(&data);
	}
	return round_trip(&b, &o, ret);
}

static void flip_some(struct buf *b)
{
	for (size_t i = 100; i < b->len; i += b->len / 7)
		b->data[i] ^= 0x55;
}

static void insert_some(struct buf *b)
{
	assert_int_equal(buf_add(b, SPAN_LIT("0123456789"), NULL), 0);
	memmove(b->data + 50010, b->data + 50000, b->len - 50010);
	memcpy(b->data + 50000, "0123456789", 10);
}

static void replace_all(struct buf *b)
{
	struct buf other = make_bytes(b->len, 99);

	memcpy(b->data, other.data, b->len);
	buf_clear(&other);
}

static void shrink(struct buf *b)
{
	b->len /= 3;
}

static void noise(struct buf *b)
{
	uint64_t x = 1;

	for (size_t i = 0; i < b->len; i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		b->data[i] = (uint8_t)(x >> 56);
	}
}

static const struct {
	const char *name;
	void (*change)(struct buf *b);
	int64_t stored_most; /* bytes */
} changes[] = {
	{ "bytes flipped", flip_some, 2000 },
	{ "bytes inserted", insert_some, 2000 },
	{ "all replaced", replace_all, 3000000 },
	{ "shrunk", shrink, 2000 },
	{ "noise", noise, 10010000 },
};

static void test_big(void **state)
{
	cleanup_error dray_error *err = NULL;
	struct pool *pool = pool_new(2, &err);

	(void)state;
	assert_non_null(pool);
	for (size_t i = 0; i < ROWS(changes); i++) {
		cleanup_buf struct buf alone, together;
		struct recipe_stats s = big_trip(10000000, changes[i].change, NULL, &alone);

		if (s.stored > changes[i].stored_most)
			fail_msg("%s: %lld bytes", changes[i].name, (long long)s.stored);
		big_trip(10000000, changes[i].change, pool, &together);
		assert_true(span_eq(span_buf(&alone), span_buf(&together)));
	}
	pool_free(pool);
}

/* ---- odd tars ---- */

/* Two pieces: a block at @p first, and @p data. */
static void put_sparse(struct buf *tar, const char *name, int64_t first, const char *data)
{
	const int64_t len = (int64_t)strlen(data);
	const struct tar_extent extents[] = { { first, TAR_BLOCK }, { 102400, len } };
	const struct tar_member m = { .type = TAR_SPARSE,
				      .name = span_str(name),
				      .size = TAR_BLOCK + len,
				      .real_size = 204800,
				      .extents = extents,
				      .n_extents = 2 };

	assert_int_equal(tar_header_write(&m, tar, NULL), 0);
	tb_zeros(tar, TAR_BLOCK);
	tb_bytes(tar, data, strlen(data));
	tb_pad(tar);
}

/* The same file in other pieces has the same digest and other stored bytes. */
static void test_sparse(void **state)
{
	const struct recipe_options o = { .window = SMALL_WINDOW, .level = 3 };
	cleanup_built struct built b = { .n = 2, .tar = { tb_new(), tb_new() } };
	cleanup_buf struct buf recipe;

	(void)state;
	put_sparse(&b.tar[0], "a", 0, LOREM);
	put_sparse(&b.tar[0], "b", 0, LOREM "b");
	put_sparse(&b.tar[1], "a", 0, LOREM);
	put_sparse(&b.tar[1], "b", 1024, LOREM "b");
	tb_end(&b.tar[0]);
	tb_end(&b.tar[1]);
	struct recipe_stats s = round_trip(&b, &o, &recipe);

	assert_int_equal(s.files_same, 1);
	assert_int_equal(s.files_patched, 1);
}

/* GNU long names, what lies in the padding, and whatever follows the end marker. */
static void test_odd(void **state)
{
	const struct recipe_options o = { .window = SMALL_WINDOW, .level = 3 };
	cleanup_built struct built b = { .n = 2, .tar = { tb_new(), tb_new() } };
	cleanup_buf struct buf recipe;
	char name[301] = { 0 };

	(void)state;
	memset(name, 'n', 300);
	for (size_t i = 0; i < 2; i++) {
		tb_ext(&b.tar[i], 'L', name, sizeof(name));
		put_big(&b.tar[i], "cut", SPAN_LIT("content"));
		put_big(&b.tar[i], "padded", SPAN_LIT("content"));
		memset(b.tar[i].data + b.tar[i].len - 100, 'p' + (int)i, 100);
		tb_end(&b.tar[i]);
		tb_zeros(&b.tar[i], 10240 * i);
	}
	struct recipe_stats s = round_trip(&b, &o, &recipe);

	assert_int_equal(s.files_same, 2);
}

/* A long old header must not make a prefix that readers refuse. */
static void test_long_header(void **state)
{
	const struct recipe_options o = { .window = SMALL_WINDOW, .level = 3 };
	cleanup_built struct built b = { .n = 2, .tar = { tb_new(), tb_new() } };
	cleanup_buf struct buf recipe, value = make_bytes(300000, 5);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct tar_xattr x = { SPAN_LIT("user.x"),
					     span_head(span_buf(&value), i ? 9 : 300000) };
		const struct tar_member m = {
			.type = TAR_DIR, .name = SPAN_LIT("a/"), .xattrs = &x, .n_xattrs = 1
		};

		assert_int_equal(tar_header_write(&m, &b.tar[i], NULL), 0);
		tb_end(&b.tar[i]);
	}
	round_trip(&b, &o, &recipe);
}

/* A tar may end without padding and end marker. */
static void test_cut_off(void **state)
{
	const struct recipe_options o = { .window = SMALL_WINDOW, .level = 3 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		cleanup_built struct built b = { .n = 2, .tar = { tb_new(), tb_new() } };
		cleanup_buf struct buf recipe = { 0 };

		put_big(&b.tar[0], "x", SPAN_LIT("content"));
		put_big(&b.tar[1], "x", SPAN_LIT("content"));
		b.tar[i].len -= i ? 505 : 0;
		if (i == 0)
			tb_end(&b.tar[0]);
		dray_error *err = NULL;
		struct rig r;

		if (rig_make(&r, &b, &err) < 0) {
			/* The reader of layers refuses it: so nobody can ask. */
			err_clear(&err);
			continue;
		}
		for (size_t k = 0; k < b.n; k++) {
			layer_index_free(b.index[k]);
			b.index[k] = NULL;
		}
		assert_int_equal(round_trip(&b, &o, &recipe).files_same, 1);
	}
}

/* ---- random trees ---- */

static uint32_t roll(uint32_t *seed, uint32_t sides)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % sides;
}

static void random_layer(struct buf *tar, uint32_t *seed)
{
	for (uint32_t n = roll(seed, 12); n > 0; n--) {
		char name[64], mtime[16];
		struct buf data = make_bytes(roll(seed, 6) ? roll(seed, 3000) : roll(seed, 150000),
					     roll(seed, 5));
		const struct tb_head h = { .name = name,
					   .size = (int64_t)data.len,
					   .mtime_text = mtime };

		snprintf(name, sizeof(name), "d%u/f.%u", roll(seed, 3), roll(seed, 4));
		snprintf(mtime, sizeof(mtime), "%011o", roll(seed, 2));
		if (data.len > 0 && roll(seed, 2))
			data.data[roll(seed, (uint32_t)data.len)] ^= 1;
		tb_member(tar, &h, data.data, data.len);
		buf_clear(&data);
	}
	tb_end(tar);
}

static void test_random(void **state)
{
	uint32_t seed = 20261121;

	(void)state;
	for (int i = 0; i < 60; i++) {
		const struct recipe_options o = { .window = SMALL_WINDOW, .level = 1 + i % 9 };
		cleanup_built struct built b = { .n = 1 + roll(&seed, 4) };
		cleanup_buf struct buf recipe;

		for (size_t k = 0; k < b.n; k++) {
			b.tar[k] = tb_new();
			random_layer(&b.tar[k], &seed);
		}
		round_trip(&b, &o, &recipe);
	}
}

/* ---- failures ---- */

#define TORTURED "f a =" LOREM "\nf b =2\n--\nf c =3\nf a =" LOREM "x\nf b =2"

static int there_and_back(void *arg, dray_error **err)
{
	const struct recipe_options o = { .window = SMALL_WINDOW, .level = 1 };
	cleanup_buf struct buf recipe = tb_new(), tar = tb_new();
	struct recipe_stats s;
	struct rig *r = arg;

	if (rig_write(r, &o, &recipe, &s, err) < 0)
		return -1;
	return rig_apply(r, span_buf(&recipe), SIZE_MAX, &tar, err);
}

static void test_torture(void **state)
{
	cleanup_built struct built b;
	dray_error *err = NULL;
	struct rig r;

	(void)state;
	build_tars(&b, TORTURED);
	assert_ok(rig_make(&r, &b, &err), err);
	torture_alloc(there_and_back, &r);
}

static int64_t read_fails(void *arg, size_t i, int64_t off, void *data, size_t len,
			  dray_error **err)
{
	int *left = arg;

	(void)i;
	(void)off;
	(void)data;
	(void)len;
	return (*left)-- > 0 ? 0 : err_set(err, DRAY_ERR_NETWORK, "gone");
}

static void test_reads_fail(void **state)
{
	cleanup_buf struct buf recipe, none = tb_new();
	const struct recipe_options o = { .window = SMALL_WINDOW, .level = 3 };
	cleanup_built struct built b;
	dray_error *err = NULL;
	struct recipe_stats s;
	struct rig r;
	int left = 0;

	(void)state;
	build_tars(&b, TORTURED);
	round_trip(&b, &o, &recipe);
	for (size_t i = 0; i < b.n; i++) {
		layer_index_free(b.index[i]);
		b.index[i] = NULL;
	}
	assert_ok(rig_make(&r, &b, &err), err);
	r.bases.read = read_fails;
	r.bases.arg = &left;
	assert_int_equal(rig_apply(&r, span_buf(&recipe), SIZE_MAX, &none, &err), -1);
	assert_err(err, DRAY_ERR_NETWORK, "base layer without a DiffID: gone");
	left = 1;
	assert_int_equal(rig_apply(&r, span_buf(&recipe), SIZE_MAX, &none, &err), -1);
	assert_err(err, DRAY_ERR_CORRUPT, "it ends at byte");
	left = 1;
	assert_int_equal(rig_write(&r, &o, &none, &s, &err), -1);
	assert_err(err, DRAY_ERR_CORRUPT, "it ends at byte");
}

static void test_options(void **state)
{
	static const struct {
		struct recipe_options o;
		const char *says;
	} refused[] = {
		{ { .window = 64 * KIB - 1 }, "a window of 65535 bytes" },
		{ { .window = LIMIT_RECIPE_WINDOW + 1 }, "a window of" },
		{ { .level = 20 }, "compression level 20" },
		{ { .level = -1 }, "compression level -1" },
	};
	cleanup_buf struct buf ret = tb_new();
	cleanup_built struct built b;
	dray_error *err = NULL;
	struct recipe_stats s;
	struct rig r;

	(void)state;
	build_tars(&b, "f a =1\n--\nf a =2");
	assert_ok(rig_make(&r, &b, &err), err);
	for (size_t i = 0; i < ROWS(refused); i++) {
		assert_int_equal(rig_write(&r, &refused[i].o, &ret, &s, &err), -1);
		assert_err(err, DRAY_ERR_USAGE, refused[i].says);
	}
	assert_ok(rig_write(&r, &(struct recipe_options){ .level = 19 }, &ret, &s, &err), err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stacks),	    cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_big),	    cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_odd),	    cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_long_header), cmocka_unit_test(test_random),
		cmocka_unit_test(test_torture),	    cmocka_unit_test(test_reads_fail),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
