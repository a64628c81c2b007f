/* SPDX-License-Identifier: Apache-2.0
 *
 * bbolt databases, small and made by hand: what is found in them, which of the two states counts,
 * and files that lie about their pages.
 */
#include <errno.h>
#include <stdlib.h>
#include "base/limits.h"
#include "base/mem.h"
#include "disk/bolt.h"
#include "bolt_file.h"
#include "torture.h"

static void write_out(struct bolt_file *f)
{
	assert_int_equal(ftruncate(f->fd, 0), 0);
	assert_int_equal(pwrite(f->fd, f->bytes, f->size, 0), (ssize_t)f->size);
}

/*
 * Page 3 is the top of transaction 7: "in" is a bucket inside the page, "out" one of two leaves below
 * a branch, "x" a value. Page 4 is the top of transaction 6, with "old" in it.
 */
static void fill(struct bolt_file *f)
{
	static uint8_t in[100], out[16];
	const struct element inner[] = { { .key = "k", .value = SPAN_LIT("v") } };
	size_t n = 16 + put_page(in + 16, 0, 2, inner, 1);
	const struct element top[] = {
		{ .key = "in", .value = span_of(in, n), .bucket = true },
		{ .key = "out", .value = span_of(out, sizeof(out)), .bucket = true },
		{ .key = "x", .value = SPAN_LIT("12") },
	};
	const struct element old[] = { { .key = "old", .value = SPAN_LIT("") } };
	const struct element below[] = { { .key = "a", .page = 6 }, { .key = "c", .page = 7 } };
	const struct element first[] = { { .key = "a", .value = SPAN_LIT("1") },
					 { .key = "b", .value = SPAN_LIT("2") } };
	const struct element second[] = { { .key = "c", .value = SPAN_LIT("3") } };

	memset(f->bytes, 0, sizeof(f->bytes));
	f->size = sizeof(f->bytes);
	put_int(out, 5, 8);
	put_meta(f, 0, 4, 6);
	put_meta(f, 1, 3, 7);
	put_leaf(f, 3, top, ROWS(top));
	put_leaf(f, 4, old, ROWS(old));
	put_page(f->bytes + 5 * PAGE, 5, 1, below, ROWS(below));
	put_leaf(f, 6, first, ROWS(first));
	put_leaf(f, 7, second, ROWS(second));
	write_out(f);
}

static int setup(void **state)
{
	struct bolt_file *f = calloc(1, sizeof(*f));
	FILE *temp = tmpfile();

	assert_non_null(f);
	assert_non_null(temp);
	f->fd = dup(fileno(temp));
	fclose(temp);
	fill(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct bolt_file *f = *state;

	close(f->fd);
	free(f);
	return 0;
}

/* ---- what is in it ---- */

/* "in{k=v}out{a=1 b=2 c=3}x=12 ", buckets one deep. */
static int list(struct bolt *db, const struct bolt_bucket *bucket, bool top, struct buf *ret,
		dray_error **err)
{
	struct bolt_cursor c;
	struct bolt_item item;
	int rc = bolt_begin(db, bucket, &c, err);

	while (rc == 0 && (rc = bolt_next(&c, &item, err)) > 0) {
		rc = buf_add(ret, item.key, err);
		if (rc == 0 && item.is_bucket && top) {
			rc = buf_add_str(ret, "{", err);
			rc = rc < 0 ? rc : list(db, &item.bucket, false, ret, err);
			rc = rc < 0 ? rc : buf_add_str(ret, "}", err);
		} else if (rc == 0) {
			rc = buf_add_str(ret, "=", err);
			rc = rc < 0 ? rc : buf_add(ret, item.value, err);
			rc = rc < 0 ? rc : buf_add_str(ret, " ", err);
		}
	}
	return rc;
}

static int listing(const struct bolt_file *f, struct buf *ret, dray_error **err)
{
	cleanup_bolt struct bolt db = { .fd = -1 };

	if (bolt_open(&db, f->fd, (int64_t)f->size, err) < 0)
		return -1;
	struct bolt_bucket top = bolt_top(&db);
	if (list(&db, &top, true, ret, err) < 0)
		return -1;
	int same = bolt_unchanged(&db, err);
	assert_int_not_equal(same, 0);
	return same < 0 ? -1 : 0;
}

#define WHOLE "in{k=v }out{a=1 b=2 c=3 }x=12 "

static void assert_lists(const struct bolt_file *f, const char *want)
{
	cleanup_buf struct buf out = BUF_INIT(1000);
	dray_error *err = NULL;

	assert_ok(listing(f, &out, &err), err);
	assert_span_is(span_buf(&out), want);
}

static void test_whole(void **state)
{
	struct bolt_file *f = *state;
	cleanup_bolt struct bolt db = { .fd = -1 };
	dray_error *err = NULL;
	struct bolt_item item;

	assert_lists(f, WHOLE);
	assert_ok(bolt_open(&db, f->fd, (int64_t)f->size, &err), err);
	struct bolt_bucket top = bolt_top(&db);
	assert_int_equal(bolt_find(&db, &top, "out", &item, &err), 1);
	struct bolt_bucket out = item.bucket;
	assert_int_equal(bolt_find(&db, &out, "c", &item, &err), 1);
	assert_span_is(item.value, "3");
	assert_false(item.is_bucket);
	assert_int_equal(bolt_find(&db, &out, "d", &item, &err), 0);
	assert_null(err);
}

/* A meta that was torn while it was written does not count, wherever the other one is. */
static void test_newest(void **state)
{
	struct bolt_file *f = *state;

	f->bytes[PAGE + 16 + 20] ^= 1;
	write_out(f);
	assert_lists(f, "old= ");
	fill(f);
	f->bytes[16 + 20] ^= 1;
	write_out(f);
	assert_lists(f, WHOLE);
	put_meta(f, 0, 4, 8);
	write_out(f);
	assert_lists(f, "old= ");
}

static void test_changed(void **state)
{
	struct bolt_file *f = *state;
	cleanup_bolt struct bolt db = { .fd = -1 };
	dray_error *err = NULL;

	assert_ok(bolt_open(&db, f->fd, (int64_t)f->size, &err), err);
	assert_int_equal(bolt_unchanged(&db, &err), 1);
	put_meta(f, 0, 3, 8);
	write_out(f);
	assert_int_equal(bolt_unchanged(&db, &err), 0);
	assert_null(err);
}

/* ---- what is wrong with it ---- */

static void test_damaged(void **state)
{
	static const struct {
		size_t at;
		uint64_t value;
		size_t n;
		enum dray_err_kind kind;
		const char *says;
	} rows[] = {
		{ 3 * PAGE, 4, 8, DRAY_ERR_FORMAT, "page 3: its head is damaged" },
		{ 3 * PAGE + 8, 16, 2, DRAY_ERR_FORMAT, "neither a branch nor a leaf" },
		{ 3 * PAGE + 10, 32, 2, DRAY_ERR_FORMAT, "more elements than fit" },
		{ 3 * PAGE + 12, N_PAGES - 3, 4, DRAY_ERR_FORMAT, "its head is damaged" },
		{ 3 * PAGE + 12, UINT32_MAX, 4, DRAY_ERR_FORMAT, "its head is damaged" },
		/* offset, sizes of key and value */
		{ 3 * PAGE + 16 + 4, PAGE, 4, DRAY_ERR_FORMAT, "reaches out of it" },
		{ 3 * PAGE + 16 + 4, UINT32_MAX, 4, DRAY_ERR_FORMAT, "reaches out of it" },
		{ 3 * PAGE + 16 + 8, UINT32_MAX, 4, DRAY_ERR_FORMAT, "reaches out of it" },
		{ 3 * PAGE + 16 + 12, UINT32_MAX, 4, DRAY_ERR_FORMAT, "reaches out of it" },
		/* a bucket shorter than a bucket's head, and one shorter than a page's */
		{ 3 * PAGE + 16 + 12, 15, 4, DRAY_ERR_FORMAT, "reaches out of it" },
		{ 3 * PAGE + 16 + 12, 31, 4, DRAY_ERR_FORMAT, "a bucket is cut off" },
		/* pages that a branch leads to */
		{ 5 * PAGE + 16 + 8, 1, 8, DRAY_ERR_FORMAT, "page 1: there is no such page" },
		{ 5 * PAGE + 16 + 8, N_PAGES, 8, DRAY_ERR_FORMAT, "there is no such page" },
		{ 5 * PAGE + 16 + 8, UINT64_MAX, 8, DRAY_ERR_FORMAT, "there is no such page" },
		{ 5 * PAGE + 16 + 8, 5, 8, DRAY_ERR_FORMAT, "deeper than any" },
	};
	struct bolt_file *f = *state;

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_buf struct buf out = BUF_INIT(1000);
		dray_error *err = NULL;

		fill(f);
		put_int(f->bytes + rows[i].at, rows[i].value, rows[i].n);
		write_out(f);
		assert_int_equal(listing(f, &out, &err), -1);
		assert_err(err, rows[i].kind, rows[i].says);
	}
}

static void assert_refused(struct bolt_file *f, enum dray_err_kind kind, const char *says)
{
	cleanup_buf struct buf out = BUF_INIT(1000);
	dray_error *err = NULL;

	write_out(f);
	assert_int_equal(listing(f, &out, &err), -1);
	assert_err(err, kind, says);
}

static void test_none(void **state)
{
	struct bolt_file *f = *state;

	f->size = 6 * PAGE;
	assert_refused(f, DRAY_ERR_FORMAT, "page 6: there is no such page");
	f->size = 6 * PAGE - 1;
	assert_refused(f, DRAY_ERR_FORMAT, "page 5: there is no such page");
	f->size = 40;
	assert_refused(f, DRAY_ERR_FORMAT, "no bbolt database");
	f->size = 0;
	assert_refused(f, DRAY_ERR_FORMAT, "no bbolt database");
	fill(f);
	f->bytes[16 + 4] = f->bytes[PAGE + 16 + 4] = 3;
	assert_refused(f, DRAY_ERR_UNSUPPORTED, "another version");
	put_int(f->bytes + 16, 0xEDDA0CED, 4);
	assert_refused(f, DRAY_ERR_UNSUPPORTED, "big-endian");
}

/* The file is shorter by now than it was when it was opened. */
static void test_shrunk(void **state)
{
	struct bolt_file *f = *state;
	cleanup_buf struct buf out = BUF_INIT(1000);
	dray_error *err = NULL;

	assert_int_equal(ftruncate(f->fd, 5 * PAGE + 20), 0);
	assert_int_equal(listing(f, &out, &err), -1);
	assert_err(err, DRAY_ERR_FORMAT, "page 5: the file ends in it");
}

/* Branches that lead to one page again and again. */
static void test_endless(void **state)
{
	enum { FAN = 20 };
	struct bolt_file *f = *state;
	struct element fan[FAN];

	for (size_t page = 5; page < N_PAGES; page++) {
		for (size_t i = 0; i < FAN; i++)
			fan[i] = (struct element){ .key = "", .page = page + 1 };
		memset(f->bytes + page * PAGE, 0, PAGE);
		put_page(f->bytes + page * PAGE, page, page + 1 < N_PAGES ? 1 : 2, fan,
			 page + 1 < N_PAGES ? FAN : 0);
	}
	assert_refused(f, DRAY_ERR_LIMIT, "LIMIT_BOLT");
}

/* Elements that lie on each other, and buckets that are handed out again and again, have an end. */
static void test_bounded(void **state)
{
	static uint8_t page[PAGE], value[PAGE - 100];
	const struct element e[] = { { .key = "k", .value = span_of(value, sizeof(value)) } };
	cleanup_error dray_error *err = NULL;
	cleanup_bolt struct bolt db = { .fd = -1 };
	struct bolt_file *f = *state;
	struct bolt_bucket bucket = { .inlined = span_of(page, PAGE) };
	struct bolt_item item;
	int64_t n = 0;
	int rc = 1;

	assert_ok(bolt_open(&db, f->fd, (int64_t)f->size, &err), err);
	put_page(page, 0, 2, e, 1);
	for (; rc > 0; n++) {
		struct bolt_cursor c;

		assert_ok(bolt_begin(&db, &bucket, &c, &err), err);
		rc = bolt_next(&c, &item, &err);
	}
	assert_int_equal(dray_error_kind(err), DRAY_ERR_LIMIT);
	assert_true(n <= LIMIT_BOLT / (int64_t)sizeof(value) + 1);
}

static int once(void *arg, dray_error **err)
{
	cleanup_buf struct buf out = BUF_INIT(1000);

	return listing(arg, &out, err);
}

static void test_faults(void **state)
{
	torture_alloc(once, *state);
	torture_io(once, *state, EIO, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_newest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shrunk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endless, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
