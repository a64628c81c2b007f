/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps of sparse files, row T-18: all four forms, what is refused, and what we write.
 * Relies on tar_build.h.
 * Promises for each map that is refused a twin that is taken.
 */
#include "base/limits.h"
#include "stream.h"
#include "tar/tar.h"
#include "tar_build.h"
#include "torture.h"

#define PAIRS_MAX 26

/* A sparse file "s" and a file "after" behind it. */
struct sparse_case {
	const char *id;
	const char *records; /* "KEY=VALUE" lines of its pax header; NULL = the old form */
	const char *text;    /* what stands before its data */
	struct tar_extent pairs[PAIRS_MAX]; /* of the old form; ends with size 0 */
	int64_t stored, real;		    /* real: of the old form */
	char type;			    /* 0 = '0', or 'S' of the old form */
	const char *want;		    /* NULL = refused */
	enum dray_err_kind kind;
	const char *message;
};
#define REFUSED(what) .kind = DRAY_ERR_FORMAT, .message = what
#define V00 "GNU.sparse.major=0\nGNU.sparse.minor=0\n"
#define V01 "GNU.sparse.major=0\nGNU.sparse.minor=1\n"
#define V10 "GNU.sparse.major=1\nGNU.sparse.minor=0\n"
#define SIZE(n) "GNU.sparse.size=" n "\n"
#define REAL(n) "GNU.sparse.realsize=" n "\n"
#define MAP(n, list) "GNU.sparse.numblocks=" n "\nGNU.sparse.map=" list "\n"
#define PIECE(off, size) "GNU.sparse.offset=" off "\nGNU.sparse.numbytes=" size "\n"

/* clang-format off */
static const struct sparse_case cases[] = {
	{ "old", .pairs = { { 0, 512 }, { 1024, 5 }, { 4096, 0 } }, .stored = 517, .real = 4096,
		.want = "s 517/4096 0+512 1024+5" },
	{ "old, one block more", .pairs = { { 0, 512 }, { 1024, 512 }, { 2048, 512 }, { 3072, 512 }, { 4096, 512 } },
		.stored = 2560, .real = 4608, .want = "s 2560/4608 0+512 1024+512 2048+512 3072+512 4096+512" },
	{ "old, all holes", .stored = 0, .real = 1 << 20, .want = "s 0/1048576" },
	{ "old, pieces side by side", .pairs = { { 512, 512 }, { 1024, 512 } }, .stored = 1024, .real = 1536,
		.want = "s 1024/1536 512+512 1024+512" },
	{ "old, to the end", .pairs = { { 9, 1 } }, .stored = 1, .real = 10, .want = "s 1/10 9+1" },
	{ "old, past the end", .pairs = { { 10, 1 } }, .stored = 1, .real = 10, REFUSED("leaves the file") },
	{ "old, reaching past the end", .pairs = { { 0, 512 }, { 600, 2 } }, .stored = 514, .real = 601,
		REFUSED("leaves the file") },
	{ "old, not in order", .pairs = { { 1024, 512 }, { 0, 512 } }, .stored = 1024, .real = 2000,
		REFUSED("not in order") },
	{ "old, overlap", .pairs = { { 0, 512 }, { 511, 512 } }, .stored = 1024, .real = 2000, REFUSED("not in order") },
	{ "old, stores less", .pairs = { { 0, 512 } }, .stored = 511, .real = 2000, REFUSED("size that is stored") },
	{ "old, stores more", .pairs = { { 0, 512 } }, .stored = 513, .real = 2000, REFUSED("size that is stored") },
	{ "old, within a block", .pairs = { { 0, 5 }, { 1024, 512 } }, .stored = 517, .real = 2000,
		REFUSED("ends within a block") },
	{ "old, and pax", V01 SIZE("9") MAP("0", ""), .type = 'S', .stored = 0, .real = 9, REFUSED("two kinds") },

	{ "0.0", V00 SIZE("4096") "GNU.sparse.numblocks=2\n" PIECE("512", "512") PIECE("4096", "0"), .stored = 512,
		.want = "s 512/4096 512+512" },
	{ "0.0, no version", SIZE("4096") "GNU.sparse.numblocks=1\n" PIECE("512", "512"), .stored = 512,
		.want = "s 512/4096 512+512" },
	{ "0.0, size only", SIZE("4096") "GNU.sparse.numblocks=1\nGNU.sparse.numbytes=5\n", REFUSED("do not match") },
	{ "0.0, offset only", SIZE("4096") "GNU.sparse.numblocks=1\nGNU.sparse.offset=5\n", REFUSED("do not match") },
	{ "0.0, two offsets", SIZE("4096") "GNU.sparse.offset=5\n" PIECE("7", "1"), REFUSED("do not match") },
	{ "0.0, minus", SIZE("4096") "GNU.sparse.numblocks=1\n" PIECE("-1", "5"), REFUSED("do not match") },
	{ "0.0, fewer", SIZE("4096") "GNU.sparse.numblocks=2\n" PIECE("0", "5"), .stored = 5, REFUSED("numblocks") },
	{ "0.0, count missing", SIZE("4096") PIECE("0", "5"), .stored = 5, REFUSED("numblocks") },

	{ "0.1", V01 SIZE("4096") "GNU.sparse.name=s\n" MAP("2", "0,512,1024,7"), .stored = 519,
		.want = "s 519/4096 0+512 1024+7" },
	{ "0.1, empty", V01 SIZE("0") MAP("1", "0,0"), .want = "s 0/0" },
	{ "0.1, odd list", V01 SIZE("4096") MAP("1", "0,512,1024"), .stored = 512, REFUSED("no sparse map") },
	{ "0.1, one number", V01 SIZE("4096") MAP("1", "5"), .stored = 5, REFUSED("no sparse map") },
	{ "0.1, words", V01 SIZE("4096") MAP("1", "0,x"), REFUSED("no sparse map") },
	{ "0.1, blanks", V01 SIZE("4096") MAP("1", "0, 5"), .stored = 5, REFUSED("no sparse map") },
	{ "0.1, minus", V01 SIZE("4096") MAP("1", "-1,5"), .stored = 5, REFUSED("no sparse map") },
	{ "0.1, overflow", V01 SIZE("9223372036854775807") MAP("2", "512,512,9223372036854775800,512"), .stored = 1024,
		REFUSED("leaves the file") },
	{ "0.1, 8 EB of holes", V01 SIZE("9223372036854775807") MAP("1", "9223372036854775806,1"), .stored = 1,
		.want = "s 1/9223372036854775807 9223372036854775806+1" },
	{ "0.1, over 8 EB", V01 SIZE("9223372036854775808") MAP("1", "0,1"), .stored = 1, REFUSED("size is no number") },
	{ "0.1, no size", V01 MAP("1", "0,5"), .stored = 5, REFUSED("without its size") },
	{ "0.1, other key", V01 REAL("9") MAP("1", "0,5"), .stored = 5, .want = "s 5/9 0+5" },
	{ "0.1, both keys", V01 SIZE("9") REAL("9") MAP("1", "0,5"), .stored = 5, .want = "s 5/9 0+5" },
	{ "0.1, two sizes", V01 SIZE("8") REAL("9") MAP("1", "0,5"), .stored = 5, REFUSED("two sizes") },
	{ "0.1, and 0.0", V01 SIZE("9") PIECE("0", "5") MAP("1", "0,5"), .stored = 5, REFUSED("two kinds") },

	{ "1.0", V10 REAL("4096") "GNU.sparse.name=s\n", "2\n0\n512\n4096\n0\n", .stored = 1024,
		.want = "s 512/4096 0+512" },
	{ "1.0, nothing", V10 REAL("4096"), "0\n", .stored = 512, .want = "s 0/4096" },
	{ "1.0, cut", V10 REAL("4096"), "1\n0\n", .stored = 512, REFUSED("is none") },
	{ "1.0, no room", V10 REAL("4096"), "0\n", .stored = 511, REFUSED("cut short") },
	{ "1.0, empty line", V10 REAL("4096"), "1\n\n512\n", .stored = 1024, REFUSED("is none") },
	{ "1.0, long number", V10 REAL("4096"), "1\n00000000000000000000\n512\n", .stored = 1024, REFUSED("is none") },
	{ "1.0, stores less", V10 REAL("4096"), "1\n0\n512\n", .stored = 1023, REFUSED("size that is stored") },
	{ "1.0, and 0.1", V10 REAL("4096") MAP("1", "0,512"), "1\n0\n512\n", .stored = 1024, REFUSED("two kinds") },
	{ "1.0, a count that lies", V10 REAL("4096"), "9223372036854775807\n0\n0\n", .stored = 512, REFUSED("is none") },

	{ "2.0", "GNU.sparse.major=2\nGNU.sparse.minor=0\n" REAL("9"), .kind = DRAY_ERR_UNSUPPORTED,
		.message = "unknown version" },
	{ "half a version", "GNU.sparse.major=1\n" REAL("9"), .kind = DRAY_ERR_UNSUPPORTED,
		.message = "unknown version" },
	{ "no file", V01 SIZE("9") MAP("0", ""), .type = '5', REFUSED("what is no file") },
};
/* clang-format on */

static void put_pairs(uint8_t *at, const struct tar_extent *x, size_t n)
{
	for (size_t i = 0; i < n; i++, at += 24) {
		tb_octal(at, 0, 12, NULL, x[i].off);
		tb_octal(at, 12, 12, NULL, x[i].size);
	}
}

static void put_old(struct buf *b, const struct sparse_case *c)
{
	bool more = c->pairs[4].size > 0;
	uint8_t block[512], ext[512] = { 0 };

	tb_block(block,
		 &(struct tb_head){
			 .name = "s", .type = 'S', .size = c->stored, .magic = TB_MAGIC_GNU });
	put_pairs(block + 386, c->pairs, 4);
	block[482] = more;
	tb_octal(block, 483, 12, NULL, c->real);
	tb_checksum(block, TB_SUM_GOOD);
	tb_bytes(b, block, 512);
	put_pairs(ext, c->pairs + 4, 21);
	if (more)
		tb_bytes(b, ext, 512);
}

static void put_records(struct buf *b, const char *lines)
{
	cleanup_buf struct buf records = tb_new();
	char *copy = strdup(lines), *save = NULL;

	for (char *key = strtok_r(copy, "\n", &save); key; key = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(key, '=');

		*value = 0;
		tb_record(&records, key, value + 1);
	}
	tb_ext(b, 'x', records.data, records.len);
	free(copy);
}

static void build(struct buf *b, const struct sparse_case *c)
{
	size_t text = c->text ? strlen(c->text) : 0;

	if (c->records)
		put_records(b, c->records);
	if (!c->records || c->type == 'S')
		put_old(b, c);
	else
		tb_header(b, &(struct tb_head){ .name = "s", .size = c->stored, .type = c->type });
	tb_bytes(b, c->text, text);
	tb_zeros(b, (size_t)c->stored > text ? (size_t)c->stored - text : 0);
	tb_pad(b);
	tb_file(b, "after", "x");
	tb_end(b);
}

/* The first entry as text, provided that "after" comes after it. */
static int read_first(struct span tar, size_t piece, struct buf *ret, dray_error **err)
{
	cleanup_source struct source *in = torn_span(tar, piece, -1, err);
	cleanup_tar_reader struct tar_reader *r = in ? tar_reader_new(in, NULL, NULL, err) : NULL;
	const struct tar_entry *e;
	int rc = r ? tar_next(r, &e, err) : -1;

	if (rc < 0)
		return -1;
	assert_int_equal(e->type, TAR_SPARSE);
	if (buf_add(ret, e->name, err) < 0 ||
	    buf_printf(ret, err, " %lld/%lld", (long long)e->size, (long long)e->real_size) < 0)
		return -1;
	for (size_t i = 0; i < e->n_extents; i++)
		if (buf_printf(ret, err, " %lld+%lld", (long long)e->extents[i].off,
			       (long long)e->extents[i].size) < 0)
			return -1;
	rc = tar_next(r, &e, err);
	if (rc < 0)
		return -1;
	assert_true(span_is(e->name, "after") && e->type == TAR_FILE && e->n_extents == 0);
	assert_int_equal(e->real_size, 1);
	return 0;
}

static void test_maps(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(cases) * ROWS(stream_pieces); i++) {
		const struct sparse_case *c = &cases[i / ROWS(stream_pieces)];
		cleanup_buf struct buf b = tb_new(), got = tb_new();
		dray_error *err = NULL;
		int rc;

		build(&b, c);
		rc = read_first(span_buf(&b), stream_pieces[i % ROWS(stream_pieces)], &got, &err);
		if (c->want && (rc < 0 || !span_is(span_buf(&got), c->want)))
			fail_msg("%s: %.*s %s", c->id, (int)got.len, (const char *)got.data,
				 err ? dray_error_message(err) : "");
		if (c->want)
			continue;
		if (!err || !strstr(dray_error_message(err), c->message))
			fail_msg("%s: %s", c->id, err ? dray_error_message(err) : "taken");
		assert_err_kind(err, c->kind);
	}
}

static int read_case(void *arg, dray_error **err)
{
	cleanup_buf struct buf got = tb_new();
	const struct buf *b = arg;

	return read_first(span_buf(b), SIZE_MAX, &got, err);
}

static void test_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(cases); i++) {
		cleanup_buf struct buf b = tb_new();

		if (!cases[i].want)
			continue;
		build(&b, &cases[i]);
		torture_alloc(read_case, &b);
	}
}

/* Millions of pieces, or blocks of nothing but unused ones: refused early. */
static void test_limits(void **state)
{
	(void)state;
	for (int over = 0; over < 2; over++) {
		cleanup_buf struct buf b = tb_new(), text = tb_new(), got = tb_new();
		struct sparse_case c = { .records = V10 REAL("0"), .stored = 8 << 20 };
		dray_error *err = NULL;
		int rc;

		assert_int_equal(buf_printf(&text, NULL, "%d\n", LIMIT_SPARSE_EXTENTS + over), 0);
		for (int i = 0; i < LIMIT_SPARSE_EXTENTS + over; i++)
			tb_bytes(&text, "0\n0\n", 4);
		c.stored = (int64_t)(text.len + 511) / 512 * 512;
		tb_bytes(&text, "", 1);
		c.text = (const char *)text.data;
		build(&b, &c);
		rc = read_first(span_buf(&b), SIZE_MAX, &got, &err);
		if (!over)
			assert_ok(rc, err);
		else
			assert_err(err, DRAY_ERR_LIMIT, "LIMIT_SPARSE_EXTENTS");
	}
	cleanup_buf struct buf b = tb_new(), got = tb_new();
	struct sparse_case c = { .pairs = { [4] = { 0, 1 } } };
	dray_error *err = NULL;

	put_old(&b, &c);
	b.len -= 512;
	for (int i = 0; i < 50000; i++) {
		tb_zeros(&b, 504);
		tb_bytes(&b, "\1", 1);
		tb_zeros(&b, 7);
	}
	assert_int_equal(read_first(span_buf(&b), SIZE_MAX, &got, &err), -1);
	assert_err(err, DRAY_ERR_LIMIT, "LIMIT_SPARSE_EXTENTS");
}

/* ---- writing ---- */

static const struct tar_extent two[] = { { 0, 512 }, { 8192, 7 } };
static const struct tar_extent to_end[] = { { 93, 7 } };
static const struct tar_extent crossed[] = { { 512, 512 }, { 0, 7 } };

/* clang-format off */
static const struct written {
	struct tar_member m;
	const char *want; /* NULL = USAGE */
} written[] = {
	{ { .real_size = 9000, .size = 519, .extents = two, .n_extents = 2 }, "519/9000 0+512 8192+7" },
	{ { .real_size = 8199, .size = 519, .extents = two, .n_extents = 2 }, "519/8199 0+512 8192+7" },
	{ { .real_size = 100, .size = 7, .extents = to_end, .n_extents = 1 }, "7/100 93+7" },
	{ { .real_size = INT64_MAX }, "0/9223372036854775807" },
	{ { .real_size = 0 }, "0/0" },
	{ { .real_size = 99, .size = 7, .extents = to_end, .n_extents = 1 }, NULL },
	{ { .real_size = 9000, .size = 518, .extents = two, .n_extents = 2 }, NULL },
	{ { .real_size = 9000, .size = 519, .extents = crossed, .n_extents = 2 }, NULL },
	{ { .real_size = -1 }, NULL },
};
/* clang-format on */

static void test_written(void **state)
{
	static const char *const names[] = { "s", "d/\xff", NULL };
	cleanup_buf struct buf wide = tb_new();

	(void)state;
	while (wide.len < 300)
		tb_bytes(&wide, "long/", 5);
	for (size_t i = 0; i < ROWS(written) * ROWS(names); i++) {
		const struct written *w = &written[i / ROWS(names)];
		const char *name = names[i % ROWS(names)];
		cleanup_buf struct buf b = tb_new(), got = tb_new(), want = tb_new();
		struct tar_member m = w->m;
		dray_error *err = NULL;

		m.type = TAR_SPARSE;
		m.name = name ? span_str(name) : span_head(span_buf(&wide), 299);
		if (!w->want) {
			assert_int_equal(tar_header_write(&m, &b, &err), -1);
			assert_err_kind(err, DRAY_ERR_USAGE);
			continue;
		}
		assert_ok(tar_header_write(&m, &b, &err), err);
		assert_int_equal(b.len % 512, 0);
		tb_zeros(&b, (size_t)m.size);
		tb_pad(&b);
		tb_file(&b, "after", "x");
		tb_end(&b);
		assert_ok(read_first(span_buf(&b), 513, &got, &err), err);
		tb_bytes(&want, m.name.data, m.name.len);
		tb_bytes(&want, " ", 1);
		tb_bytes(&want, w->want, strlen(w->want) + 1);
		assert_span_is(span_buf(&got), (const char *)want.data);
	}
}

static int write_one(void *arg, dray_error **err)
{
	cleanup_buf struct buf b = tb_new();
	struct tar_member m = written[0].m;

	(void)arg;
	m.type = TAR_SPARSE;
	m.name = SPAN_LIT("s");
	return tar_header_write(&m, &b, err);
}

static void test_written_memory(void **state)
{
	(void)state;
	torture_alloc(write_one, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps),	       cmocka_unit_test(test_memory),
		cmocka_unit_test(test_limits),	       cmocka_unit_test(test_written),
		cmocka_unit_test(test_written_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
