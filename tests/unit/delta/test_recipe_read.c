/* SPDX-License-Identifier: Apache-2.0 */
/* For: recipes that lie: out of range, too much, too little, cut off, flipped.
 * Relies on: recipes made by hand, from a word per operation.
 * Promises: each refusal has a twin that is accepted.
 */
#include "delta/recipe_priv.h"
#include "recipes.h"

#define BASE_0 "0123456789"
#define BASE_1 "abcdef"

static const char *const base_texts[] = { BASE_0, BASE_1 };

static int64_t read_text(void *arg, size_t i, int64_t off, void *data, size_t len, dray_error **err)
{
	(void)arg;
	(void)err;
	assert_true(i < 2 && off >= 0 && (size_t)off <= strlen(base_texts[i]));
	assert_true(len <= strlen(base_texts[i]) - (size_t)off);
	memcpy(data, base_texts[i] + off, len);
	return (int64_t)len;
}

static const struct recipe_base base_list[] = {
	{ .size = sizeof(BASE_0) - 1 },
	{ .size = sizeof(BASE_1) - 1 },
};
static const struct recipe_bases two = { base_list, 2, read_text, NULL };

static void put(struct buf *b, uint64_t n)
{
	uint8_t raw[VARINT_MAX];

	tb_bytes(b, raw, varint_put(raw, n));
}

/* "T3 C5 R4 S-2 J1:2 X80": take, copy, refer, seek, jump; raw bytes in hex. */
static void put_word(struct buf *b, const char *word)
{
	int64_t n = strtoll(word + 1, NULL, 10);

	switch (word[0]) {
	case 'T':
		put(b, (uint64_t)n << 2 | RECIPE_TAKE);
		return;
	case 'C':
		put(b, (uint64_t)n << 2 | RECIPE_COPY);
		return;
	case 'R':
		put(b, (uint64_t)n << 2 | RECIPE_REF);
		return;
	case 'S':
		put(b, zigzag(n) << 2 | RECIPE_SEEK);
		return;
	case 'J':
		put(b, RECIPE_SEEK);
		put(b, (uint64_t)n);
		put(b, strtoull(strchr(word, ':') + 1, NULL, 10));
		return;
	case 'X':
		for (const char *p = word + 1; *p; p += 2) {
			char two_digits[3] = { p[0], p[1], 0 };

			tb_bytes(b, &(uint8_t){ (uint8_t)strtoul(two_digits, NULL, 16) }, 1);
		}
		return;
	default:
		fail_msg("what is %s?", word);
	}
}

static void put_head(struct buf *b, uint64_t version, uint64_t window, uint64_t size)
{
	tb_bytes(b, RECIPE_MAGIC, RECIPE_MAGIC_LEN);
	put(b, version);
	put(b, window);
	put(b, size);
}

/* Operations and data as they are, without zstd. */
static void put_block(struct buf *b, const char *words, const char *data)
{
	cleanup_buf struct buf ops = tb_new();
	char *copy = strdup(words), *save = NULL;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		put_word(&ops, w);
	put(b, ops.len);
	put(b, ops.len);
	put(b, strlen(data));
	if (data[0])
		put(b, strlen(data));
	tb_bytes(b, ops.data, ops.len);
	tb_bytes(b, data, strlen(data));
	free(copy);
}

static int apply(struct span recipe, int64_t size, const struct recipe_bases *bases,
		 struct buf *ret, dray_error **err)
{
	return slurp(recipe_open(source_from_span(recipe, err), bases, size, err), ret, err);
}

static int apply_block(const char *words, const char *data, int64_t size, struct buf *ret,
		       dray_error **err)
{
	cleanup_buf struct buf recipe = tb_new();

	put_head(&recipe, RECIPE_VERSION, 1024, (uint64_t)size);
	put_block(&recipe, words, data);
	put(&recipe, 0);
	return apply(span_buf(&recipe), size, &two, ret, err);
}

static const struct {
	const char *words, *data;
	const char *makes; /* NULL = refused */
	int64_t size;	   /* of the refused */
	const char *says;
} blocks[] = {
	{ "C10", "", BASE_0, 0, NULL },
	{ "C11", "", NULL, 11, "behind the end of a base" },
	{ "S9 C1", "", "9", 0, NULL },
	{ "S10 C1", "", NULL, 1, "behind the end of a base" },
	{ "S11 C1", "", NULL, 1, "outside of a base" },
	{ "C3 S-3 C3", "", "012012", 0, NULL },
	{ "C3 S-4 C3", "", NULL, 6, "outside of a base" },
	{ "S4611686018427387903 C1", "", NULL, 1, "outside of a base" },
	{ "J1:5 C1", "", "f", 0, NULL },
	{ "J1:6 T1", "x", NULL, 1, "seeks for nothing" },
	{ "J1:7 C1", "", NULL, 1, "behind the end of a base" },
	{ "J1:6 C1", "", NULL, 1, "behind the end of a base" },
	{ "J2:0 C1", "", NULL, 1, "a base that is not there" },
	{ "J1:18446744073709551615 C1", "", NULL, 1, "behind the end of a base" },
	{ "C4611686018427387903", "", NULL, 1, "behind the end of a base" },
	{ "T3", "xyz", "xyz", 0, NULL },
	{ "T3", "xy", NULL, 3, "more or less than its data" },
	{ "T2", "xyz", NULL, 2, "more or less than its data" },
	{ "T4611686018427387903", "xyz", NULL, 3, "more than the size of the layer" },
	{ "C2 T3 C2", "xyz", "01xyz56", 0, NULL },		/* data move the cursor, too */
	{ "C8 T5 S-1 C1", "vwxyz", "01234567vwxyz9", 0, NULL }, /* but not behind the end */
	{ "C8 T5 C1", "vwxyz", NULL, 14, "behind the end of a base" },
	{ "R10 T1", "x", "x", 0, NULL },
	{ "R10 R10 T1", "x", NULL, 1, "too long for its data" },
	{ "R10 C1", "", NULL, 1, "too long for its data" },
	{ "R11 T1", "x", NULL, 1, "behind the end of a base" },
	{ "C0 T1", "x", NULL, 1, "an operation of no bytes" },
	{ "S1 S1 C1", "", NULL, 1, "seeks twice" },
	{ "C1 S1", "", NULL, 1, "cut off or malformed" },
	{ "C1 X80", "", NULL, 1, "cut off or malformed" },
	{ "C1 X8500", "", NULL, 2, "cut off or malformed" },
	{ "C1 XffffffffffffffffffFF", "", NULL, 2, "cut off or malformed" },
	{ "R1", "", NULL, 0, "makes nothing" },
	{ "C5", "", NULL, 4, "more than the size of the layer" },
	{ "C5", "", NULL, 6, "less than the size of the layer" },
};

static void test_blocks(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(blocks); i++) {
		const char *makes = blocks[i].makes;
		cleanup_buf struct buf out = tb_new();
		dray_error *err = NULL;
		int rc = apply_block(blocks[i].words, blocks[i].data,
				     makes ? (int64_t)strlen(makes) : blocks[i].size, &out, &err);

		if (makes) {
			assert_ok(rc, err);
			assert_span_is(span_buf(&out), makes);
			continue;
		}
		if (rc == 0)
			fail_msg("'%s' was accepted", blocks[i].words);
		assert_err(err, DRAY_ERR_FORMAT, blocks[i].says);
	}
}

/* @p per_op bytes of each of @p n operations, in @p times blocks. */
static int apply_many(size_t n, size_t per_op, size_t times, dray_error **err)
{
	cleanup_buf struct buf recipe = tb_new(), ops = tb_new(), out = tb_new();
	uint64_t size = n * per_op * times;

	put_head(&recipe, RECIPE_VERSION, 1024, size);
	for (size_t i = 0; i < n; i++) {
		char words[32];

		snprintf(words, sizeof(words), "C%zu", per_op);
		put_word(&ops, words);
		snprintf(words, sizeof(words), "S-%zu", per_op);
		if (i + 1 < n)
			put_word(&ops, words);
	}
	for (size_t i = 0; i < times; i++) {
		put(&recipe, ops.len);
		put(&recipe, ops.len);
		put(&recipe, 0);
		tb_bytes(&recipe, ops.data, ops.len);
	}
	put(&recipe, 0);
	return apply(span_buf(&recipe), (int64_t)size, &two, &out, err);
}

static void test_many_operations(void **state)
{
	static const struct {
		size_t n, per_op, blocks;
		bool accepted;
	} rows[] = {
		{ RECIPE_OPS_FREE, 1, 1, true },
		{ 2 * RECIPE_OPS_FREE, 1, 1, false },
		{ RECIPE_OPS_FREE / 2, 1, 3, false },
		{ 20 * RECIPE_OPS_FREE, RECIPE_BYTES_PER_OP, 3, true },
		{ 20 * RECIPE_OPS_FREE, RECIPE_BYTES_PER_OP - 1, 1, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		dray_error *err = NULL;
		int rc = apply_many(rows[i].n, rows[i].per_op, rows[i].blocks, &err);

		if (rows[i].accepted)
			assert_ok(rc, err);
		else
			assert_err(err, DRAY_ERR_FORMAT, "too many operations");
	}
}

/* ---- around the operations ---- */

static const struct {
	const char *hex; /* behind the header, whose window is 1024 and size 5 */
	enum dray_err_kind kind;
	const char *says; /* NULL = accepted */
} tails[] = {
	{ "01 01 00 15 00", 0, NULL }, /* C5 */
	{ "01 01 00 15 00 00", DRAY_ERR_FORMAT, "bytes behind the end" },
	{ "01 01 00 15", DRAY_ERR_FORMAT, "truncated" },
	{ "01 01 00", DRAY_ERR_FORMAT, "truncated" },
	{ "01 01", DRAY_ERR_FORMAT, "truncated" },
	{ "", DRAY_ERR_FORMAT, "truncated" },
	{ "00", DRAY_ERR_FORMAT, "less than the size" },
	{ "01 01 05 05 14 6162636465 00", 0, NULL }, /* T5 */
	{ "01 01 05 05 14 61626364", DRAY_ERR_FORMAT, "truncated" },
	{ "01 00 00 15 00", DRAY_ERR_FORMAT, "stored in more bytes than it has, or in none" },
	{ "01 02 00 15 15 00", DRAY_ERR_FORMAT, "stored in more bytes than it has, or in none" },
	{ "81808004 01 00 15 00", DRAY_ERR_FORMAT, "longer than it may be" },
	{ "01 01 8108 01 14 61 00", DRAY_ERR_FORMAT, "longer than it may be" },
	{ "01 01 05 04 14 61626364 00", DRAY_ERR_FORMAT, "unzstd" },
	{ "8100 01 00 15 00", DRAY_ERR_FORMAT, "a number is malformed" },
};

static void put_hex(struct buf *b, const char *hex)
{
	for (; *hex; hex += hex[0] == ' ' ? 1 : 2) {
		char digits[3] = { hex[0], hex[1], 0 };

		if (hex[0] != ' ')
			tb_bytes(b, &(uint8_t){ (uint8_t)strtoul(digits, NULL, 16) }, 1);
	}
}

static void test_tails(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(tails); i++) {
		cleanup_buf struct buf recipe = tb_new(), out = tb_new();
		dray_error *err = NULL;

		put_head(&recipe, RECIPE_VERSION, 1024, 5);
		put_hex(&recipe, tails[i].hex);
		int rc = apply(span_buf(&recipe), 5, &two, &out, &err);

		if (!tails[i].says) {
			assert_ok(rc, err);
			continue;
		}
		if (rc == 0)
			fail_msg("'%s' was accepted", tails[i].hex);
		assert_err(err, tails[i].kind, tails[i].says);
	}
}

static const struct {
	const char *magic;
	uint64_t version, window, size;
	enum dray_err_kind kind;
	const char *says; /* NULL = accepted */
} heads[] = {
	{ RECIPE_MAGIC, 1, LIMIT_RECIPE_WINDOW, 5, 0, NULL },
	{ "dray-recipf\n", 1, 1024, 5, DRAY_ERR_FORMAT, "no recipe" },
	{ RECIPE_MAGIC, 2, 1024, 5, DRAY_ERR_UNSUPPORTED, "version 2" },
	{ RECIPE_MAGIC, 1, LIMIT_RECIPE_WINDOW + 1, 5, DRAY_ERR_LIMIT, "LIMIT_RECIPE_WINDOW" },
	{ RECIPE_MAGIC, 1, 1024, 6, DRAY_ERR_FORMAT, "of a layer of 6 bytes, not of 5" },
};

static void test_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(heads); i++) {
		cleanup_buf struct buf recipe = tb_new(), out = tb_new();
		dray_error *err = NULL;

		put_head(&recipe, heads[i].version, heads[i].window, heads[i].size);
		memcpy(recipe.data, heads[i].magic, RECIPE_MAGIC_LEN);
		put_block(&recipe, "C5", "");
		put(&recipe, 0);
		int rc = apply(span_buf(&recipe), 5, &two, &out, &err);

		if (!heads[i].says)
			assert_ok(rc, err);
		else
			assert_err(err, heads[i].kind, heads[i].says);
	}
}

static void test_no_bases(void **state)
{
	static const struct recipe_bases none = { .read = read_text };
	cleanup_buf struct buf recipe = tb_new(), out = tb_new();
	dray_error *err = NULL;

	(void)state;
	put_head(&recipe, RECIPE_VERSION, 1024, 1);
	put_block(&recipe, "C1", "");
	assert_int_equal(apply(span_buf(&recipe), 1, &none, &out, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "behind the end of a base");
}

/* ---- what a real one suffers ---- */

#define STACK                                                                          \
	"d a\nf a/x =some-content-that-is-long-enough-to-be-referred-to\nf y =2\n--\n" \
	"f a/x =some-content-that-is-long-enough-to-be-changed-here\nf z =2"

static void make_real(struct built *b, struct rig *r, struct buf *recipe)
{
	const struct recipe_options o = { .window = SMALL_WINDOW, .level = 3 };
	struct recipe_stats s;
	dray_error *err = NULL;

	*recipe = tb_new();
	build_tars(b, STACK);
	assert_ok(rig_make(r, b, &err), err);
	assert_ok(rig_write(r, &o, recipe, &s, &err), err);
}

static void test_cut_anywhere(void **state)
{
	cleanup_buf struct buf recipe;
	cleanup_built struct built b;
	struct rig r;

	(void)state;
	make_real(&b, &r, &recipe);
	for (size_t n = 0; n < recipe.len; n++) {
		cleanup_buf struct buf out = tb_new();
		dray_error *err = NULL;

		assert_int_equal(rig_apply(&r, span_of(recipe.data, n), SIZE_MAX, &out, &err), -1);
		assert_err_kind(err, DRAY_ERR_FORMAT);
	}
}

/* Never a crash and never a byte too many; that the bytes are right is for the DiffID to say. */
static void test_flipped_anywhere(void **state)
{
	cleanup_buf struct buf recipe;
	cleanup_built struct built b;
	struct rig r;

	(void)state;
	make_real(&b, &r, &recipe);
	for (size_t bit = 0; bit < 8 * recipe.len; bit++) {
		cleanup_buf struct buf out = tb_new();
		dray_error *err = NULL;

		recipe.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (rig_apply(&r, span_buf(&recipe), SIZE_MAX, &out, &err) == 0)
			assert_int_equal(out.len, b.tar[1].len);
		else
			assert_true(out.len <= b.tar[1].len);
		err_clear(&err);
		recipe.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks),		cmocka_unit_test(test_tails),
		cmocka_unit_test(test_heads),		cmocka_unit_test(test_no_bases),
		cmocka_unit_test(test_cut_anywhere),	cmocka_unit_test(test_flipped_anywhere),
		cmocka_unit_test(test_many_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
