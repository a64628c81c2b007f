/* SPDX-License-Identifier: Apache-2.0
 *
 * What a build remembers: found again by all that stat(2) says or not at all, read back whole or
 * not at all.
 */
#include "build/memo.h"

#include <errno.h>

#include "base/limits.h"
#include "torture.h"

#define BEGUN 1000000

/* A file of the host that changed at @p sec and @p nsec. */
static struct content file_at(const char *path, int64_t sec, long nsec)
{
	struct content c = { .kind = CONTENT_FILE, .size = 5, .path = path };

	c.seen = (struct seen){ .dev = 7, .ino = 8, .mtime = 1000, .mtime_nsec = 1 };
	c.seen.ctime = sec;
	c.seen.ctime_nsec = (uint32_t)nsec;
	return c;
}

static const uint8_t *look(const struct memo *m, const struct content *c)
{
	const uint8_t *ret = NULL;
	dray_error *err = NULL;
	int rc = memo_find(m, c, &ret, &err);

	assert_ok(rc, err);
	assert_int_equal(rc, ret != NULL);
	return ret;
}

static void add(struct memo *m, const struct content *c, uint8_t byte)
{
	uint8_t sha256[CONTENT_DIGEST_LEN];
	dray_error *err = NULL;

	memset(sha256, byte, sizeof(sha256));
	assert_ok(memo_add(m, c, sha256, &err), err);
}

static void memo_identity(void **state)
{
	cleanup_memo struct memo m = { .begun = { BEGUN, 0 } };
	const struct content c = file_at("a", 10, 5);
	struct content other[8];

	(void)state;
	for (size_t i = 0; i < ROWS(other); i++)
		other[i] = c;
	other[0].seen.dev++;
	other[1].seen.ino++;
	other[2].seen.mtime++;
	other[3].seen.mtime_nsec++;
	other[4].seen.ctime++;
	other[5].seen.ctime_nsec++;
	other[6].path = "b";
	other[7].size++;
	assert_null(look(&m, &c));
	add(&m, &c, 1);
	assert_int_equal(look(&m, &c)[0], 1);
	for (size_t i = 0; i < ROWS(other); i++)
		if (look(&m, &other[i]))
			fail_msg("row %zu is the same file", i);
}

/* Only what lies in a file that has a name is found by it. */
static void memo_parts(void **state)
{
	cleanup_memo struct memo m = { .begun = { BEGUN, 0 } };
	struct content tar = file_at("x.tar", 10, 5), bytes = file_at("a", 10, 5), spool = tar;
	struct content next;

	(void)state;
	tar.kind = CONTENT_EXTENT;
	tar.off = 512;
	next = tar;
	next.off = 2048;
	bytes.kind = CONTENT_BYTES;
	spool.kind = CONTENT_EXTENT;
	spool.path = NULL;
	assert_true(memo_takes(&tar) && !memo_takes(&bytes) && !memo_takes(&spool));
	add(&m, &tar, 1);
	add(&m, &next, 2);
	add(&m, &bytes, 3);
	add(&m, &spool, 4);
	assert_int_equal(look(&m, &tar)[0], 1);
	assert_int_equal(look(&m, &next)[0], 2);
	assert_null(look(&m, &bytes));
	assert_null(look(&m, &spool));
	assert_int_equal(m.files.len, 2);
}

static void memo_late(void **state)
{
	static const struct {
		int64_t sec;
		long nsec;
		bool kept;
	} rows[] = {
		{ BEGUN - 1, 990000001, false }, /* half a tick before the beginning */
		{ BEGUN - 1, 979999999, true },	 /* more than a tick */
		{ BEGUN, 1, false },		 /* after it */
		{ BEGUN + 86400, 1, false },	 /* of the future */
		{ BEGUN - 2, 0, false },	 /* a clock of two seconds, perhaps */
		{ BEGUN - 3, 0, false },	 /* as late as that can be told */
		{ BEGUN - 4, 0, true },
		{ BEGUN - 2, 1, true },
		{ 0, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_memo struct memo m = { .begun = { BEGUN, 0 } };
		struct content c = file_at("a", rows[i].sec, rows[i].nsec);

		add(&m, &c, 1);
		if ((look(&m, &c) != NULL) != rows[i].kept)
			fail_msg("row %zu, by ctime", i);
		c = file_at("b", 10, 5);
		c.seen.mtime = rows[i].sec;
		c.seen.mtime_nsec = (uint32_t)rows[i].nsec;
		add(&m, &c, 1);
		if ((look(&m, &c) != NULL) != rows[i].kept)
			fail_msg("row %zu, by mtime", i);
	}
}

static const char odd_name[] = "a b\n%\x01\xff\"";

static int fill(struct memo *m, dray_error **err)
{
	static const uint8_t sha256[CONTENT_DIGEST_LEN + 1] = { 1, 2, 3 };
	const struct content c = file_at(odd_name, 10, 5), d = file_at("d", 11, 5);
	struct memo_blob b = { .encoder = "gzip/1;x", .size = 9 };
	struct digest key, diff_id;
	struct memo_layer *l;

	if (digest_of(SPAN_LIT("key"), &key, err) < 0 ||
	    digest_of(SPAN_LIT("tar"), &diff_id, err) < 0 || memo_add(m, &c, sha256, err) < 0 ||
	    memo_add(m, &d, sha256 + 1, err) < 0)
		return -1;
	l = memo_add_layer(m, &key, &diff_id, 1024, err);
	b.digest = key;
	if (!l || memo_add_blob(m, l, &b, err) < 0)
		return -1;
	b.digest = diff_id;
	if (memo_add_blob(m, l, &b, err) < 0) /* in place of the first */
		return -1;
	b = (struct memo_blob){ .digest = diff_id, .size = 1024 };
	return memo_add_blob(m, l, &b, err);
}

static void check_filled(const struct memo *m)
{
	const struct content c = file_at(odd_name, 10, 5);
	struct digest key, diff_id;
	const struct memo_layer *l;
	dray_error *err = NULL;

	assert_ok(digest_of(SPAN_LIT("key"), &key, &err), err);
	assert_ok(digest_of(SPAN_LIT("tar"), &diff_id, &err), err);
	assert_int_equal(look(m, &c)[2], 3);
	assert_int_equal(m->files.len, 2);
	l = memo_layer(m, &key);
	assert_non_null(l);
	assert_true(digest_eq(&l->diff_id, &diff_id) && l->size == 1024);
	assert_string_equal(l->blobs->encoder, "gzip/1;x");
	assert_true(digest_eq(&l->blobs->digest, &diff_id) && l->blobs->size == 9);
	assert_string_equal(l->blobs->next->encoder, "");
	assert_null(l->blobs->next->next);
	assert_null(memo_layer(m, &diff_id));
}

static void memo_round(void **state)
{
	cleanup_memo struct memo m = { .begun = { BEGUN, 0 } }, again = { 0 };
	dray_error *err = NULL;
	int fd;
	char *dir = temp_dir_make(&fd);

	(void)state;
	assert_int_equal(memo_load(&again, dir, &err), -1);
	assert_err_kind(err, DRAY_ERR_NOT_FOUND);
	assert_ok(fill(&m, &err), err);
	assert_ok(memo_save(&m, dir, &err), err);
	assert_ok(memo_load(&again, dir, &err), err);
	check_filled(&again);
	temp_dir_remove(dir, fd);
}

static void write_file(int fd, struct span bytes)
{
	int out = openat(fd, MEMO_NAME, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	assert_true(out >= 0);
	assert_int_equal(write(out, bytes.data, bytes.len), (long long)bytes.len);
	close(out);
}

static void refused(int fd, const char *dir, struct span bytes)
{
	cleanup_memo struct memo m = { 0 };
	dray_error *err = NULL;

	write_file(fd, bytes);
	assert_int_equal(memo_load(&m, dir, &err), -1);
	if (dray_error_kind(err) != DRAY_ERR_FORMAT && dray_error_kind(err) != DRAY_ERR_UNSUPPORTED)
		fail_msg("%s", dray_error_message(err));
	err_clear(&err);
	assert_int_equal(m.files.len + m.layers.len, 0);
}

/* Every byte counts. */
static void memo_damaged(void **state)
{
	cleanup_memo struct memo m = { .begun = { BEGUN, 0 } };
	cleanup_buf struct buf text = BUF_INIT(KIB * 64);
	dray_error *err = NULL;
	int fd;
	char *dir = temp_dir_make(&fd);

	(void)state;
	assert_ok(fill(&m, &err), err);
	assert_ok(memo_save(&m, dir, &err), err);
	assert_ok(io_read_file(fd, MEMO_NAME, 64 * KIB, &text, &err), err);
	for (size_t i = 0; i < text.len; i++) {
		text.data[i] ^= 1;
		refused(fd, dir, span_buf(&text));
		text.data[i] ^= 1;
	}
	for (size_t i = 0; i < text.len; i++)
		refused(fd, dir, span_head(span_buf(&text), i));
	write_file(fd, span_buf(&text));
	memo_clear(&m);
	assert_ok(memo_load(&m, dir, &err), err);
	check_filled(&m);
	temp_dir_remove(dir, fd);
}

static int save_and_load(void *arg, dray_error **err)
{
	cleanup_memo struct memo m = { .begun = { BEGUN, 0 } }, again = { 0 };

	if (fill(&m, err) < 0 || memo_save(&m, arg, err) < 0 || memo_load(&again, arg, err) < 0)
		return -1;
	assert_int_equal(again.files.len, 2);
	assert_int_equal(again.layers.len, 1);
	return 0;
}

static void memo_torture(void **state)
{
	int fd;
	char *dir = temp_dir_make(&fd);

	(void)state;
	torture_alloc(save_and_load, dir);
	torture_io(save_and_load, dir, ENOSPC, NULL);
	temp_dir_remove(dir, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memo_identity), cmocka_unit_test(memo_parts),
		cmocka_unit_test(memo_late),	 cmocka_unit_test(memo_round),
		cmocka_unit_test(memo_damaged),	 cmocka_unit_test(memo_torture),
	};

	return cmocka_run_group_tests_name("build memo", tests, NULL, NULL);
}
