/* SPDX-License-Identifier: Apache-2.0
 *
 * Databases: what is committed stays, what failed never was, and errors have our kinds.
 */
#include "db_faults.h"

#include "base/mem.h"
#include "db/db.h"
#include "torture.h"

#define FILE_NAME "a.sqlite"

struct place {
	char *dir, *path;
	int fd;
};

static int setup(void **state)
{
	static struct place p;

	p.dir = temp_dir_make(&p.fd);
	assert_true(asprintf(&p.path, "%s/" FILE_NAME, p.dir) > 0);
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	free(p->path);
	temp_dir_remove(p->dir, p->fd);
	return 0;
}

#define db_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static struct db *open_db(const struct place *p, enum db_kind kind)
{
	dray_error *err = NULL;
	struct db *db = NULL;

	assert_ok(db_open(p->path, kind, 0, &db, &err), err);
	assert_ok(db_exec(db, "CREATE TABLE IF NOT EXISTS t(n INTEGER, s TEXT, b BLOB)", &err),
		  err);
	return db;
}

static int insert(struct db *db, int64_t n, const char *s, dray_error **err)
{
	cleanup_stmt struct db_stmt *st = NULL;

	if (db_prepare(db, "INSERT INTO t VALUES(?1, ?2, ?3)", &st, err) < 0)
		return -1;
	db_bind_int(st, 1, n);
	db_bind_text(st, 2, span_str(s));
	db_bind_blob(st, 3, SPAN_LIT("\0\1\2"));
	return db_run(st, err);
}

static int64_t count(struct db *db)
{
	cleanup_stmt struct db_stmt *st = NULL;
	dray_error *err = NULL;

	assert_ok(db_prepare(db, "SELECT count(*) FROM t", &st, &err), err);
	assert_int_equal(db_step(st, &err), 1);
	return db_column_int(st, 0);
}

static void values_come_back(void **state)
{
	cleanup_db struct db *db = open_db(*state, DB_DURABLE);
	cleanup_stmt struct db_stmt *st = NULL;
	dray_error *err = NULL;

	assert_ok(insert(db, INT64_MIN, "h\xc3\xa9", &err), err);
	assert_int_equal(db_changed(db), 1);
	assert_int_equal(db_last_key(db), 1);
	assert_ok(db_prepare(db, "SELECT n, s, b, NULL, '' FROM t WHERE n<?1", &st, &err), err);
	db_bind_int(st, 1, 0);
	assert_int_equal(db_step(st, &err), 1);
	assert_true(db_column_int(st, 0) == INT64_MIN);
	assert_span_is(db_column_text(st, 1), "h\xc3\xa9");
	assert_span(db_column_blob(st, 2), SPAN_LIT("\0\1\2"));
	assert_true(db_column_is_blob(st, 2) && !db_column_is_blob(st, 1));
	assert_int_equal(db_column_text(st, 3).len, 0);
	assert_int_equal(db_step(st, &err), 0);
	/* the same statement again, with another parameter */
	db_reset(st);
	db_bind_int(st, 1, INT64_MIN);
	assert_int_equal(db_step(st, &err), 0);
}

/* An empty text is no NULL. */
static void empty_is_not_null(void **state)
{
	cleanup_db struct db *db = open_db(*state, DB_HINTS);
	cleanup_stmt struct db_stmt *st = NULL;
	dray_error *err = NULL;

	assert_ok(db_prepare(db, "SELECT ?1 IS NULL, ?2 IS NULL, ?3 IS NULL", &st, &err), err);
	db_bind_text(st, 1, span_of(NULL, 0));
	db_bind_blob(st, 2, span_of(NULL, 0));
	db_bind_null(st, 3);
	assert_int_equal(db_step(st, &err), 1);
	assert_int_equal(db_column_int(st, 0), 0);
	assert_int_equal(db_column_int(st, 1), 0);
	assert_int_equal(db_column_int(st, 2), 1);
}

static void transactions(void **state)
{
	cleanup_db struct db *db = open_db(*state, DB_DURABLE);
	cleanup_db struct db *other = open_db(*state, DB_DURABLE);
	dray_error *err = NULL;

	assert_ok(db_begin(db, &err), err);
	assert_ok(insert(db, 1, "a", &err), err);
	assert_int_equal(count(other), 0);
	assert_int_equal(db_begin(other, &err), -1);
	assert_int_equal(dray_error_errno(err), EBUSY);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	assert_ok(db_commit(db, &err), err);
	assert_int_equal(count(other), 1);

	assert_ok(db_begin(db, &err), err);
	assert_ok(insert(db, 2, "b", &err), err);
	db_rollback(db);
	db_rollback(db); /* nothing to undo */
	assert_int_equal(count(db), 1);
	assert_ok(db_begin(other, &err), err);
	assert_ok(db_commit(other, &err), err);
}

static void version_and_kinds_of_errors(void **state)
{
	const struct place *p = *state;
	cleanup_db struct db *db = open_db(p, DB_DURABLE);
	cleanup_stmt struct db_stmt *st = NULL;
	struct db *none = NULL;
	dray_error *err = NULL;
	int64_t version = -1;

	assert_ok(db_version(db, &version, &err), err);
	assert_int_equal(version, 0);
	assert_ok(db_exec(db, "PRAGMA user_version=7", &err), err);
	assert_ok(db_version(db, &version, &err), err);
	assert_int_equal(version, 7);

	assert_int_equal(db_prepare(db, "SELECT nothing FROM nowhere", &st, &err), -1);
	assert_err_kind(err, DRAY_ERR_FORMAT);
	assert_ok(db_prepare(db, "SELECT ?1", &st, &err), err);
	db_bind_int(st, 2,
		    1); /* there is no second: the next step says so, the one after is well */
	assert_int_equal(db_step(st, &err), -1);
	assert_err_kind(err, DRAY_ERR_FORMAT);
	assert_int_equal(db_step(st, &err), 1);

	assert_int_equal(db_open("/nonexistent/x", DB_HINTS, 0, &none, &err), -1);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	put_file(p->fd, "bad",
		 span_str("this is a text, and longer than the hundred bytes that "
			  "the header of a database has, so it is looked at as one"));
	assert_true(symlinkat(FILE_NAME, p->fd, "link") == 0);
	cleanup_free char *bad = mem_printf("%s/bad", p->dir);
	cleanup_free char *link = mem_printf("%s/link", p->dir);
	assert_int_equal(db_open(bad, DB_HINTS, 0, &none, &err), -1);
	assert_err_kind(err, DRAY_ERR_CORRUPT);
	assert_int_equal(db_open(link, DB_HINTS, 0, &none, &err), -1);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
}

/* A full disk is ENOSPC, and what was committed before stays. */
static void full_disk(void **state)
{
	const struct place *p = *state;
	struct db *db = open_db(p, DB_DURABLE);
	dray_error *err = NULL;

	assert_ok(insert(db, 1, "a", &err), err);
	fault_arm(FAULT_IO, 1, ENOSPC);
	assert_int_equal(insert(db, 2, "b", &err), -1);
	fault_arm(FAULT_IO, 0, 0);
	assert_int_equal(dray_error_errno(err), ENOSPC);
	assert_err_kind(err, DRAY_ERR_SYSTEM);
	assert_ok(insert(db, 3, "c", &err), err);
	db_close(db);
	db = open_db(p, DB_DURABLE);
	assert_int_equal(count(db), 2);
	db_close(db);
}

/* One transaction of two rows: both are there after success, none after a failure. */
static int pair(void *arg, dray_error **err)
{
	struct place *p = arg;
	cleanup_db struct db *db = NULL;

	if (db_open(p->path, DB_DURABLE, 0, &db, err) < 0 || db_begin(db, err) < 0)
		return -1;
	if (insert(db, 1, "a", err) < 0 || insert(db, 2, "b", err) < 0) {
		db_rollback(db);
		return -1;
	}
	return db_commit(db, err);
}

static void check_pairs(void *arg, bool failed)
{
	static int64_t before;
	cleanup_db struct db *db = open_db(arg, DB_DURABLE);
	int64_t now = count(db);

	/* What failed may turn out to have happened all the same, but never half of it. */
	assert_true(now % 2 == 0);
	if (!failed)
		assert_true(now >= before + 2);
	before = now;
}

static void torture_transactions(void **state)
{
	db_close(open_db(*state, DB_DURABLE));
	torture_io(pair, *state, EIO, check_pairs);
	torture_io(pair, *state, ENOSPC, check_pairs);
}

/* SQLite can do without some of its memory: an error is NOMEM, success is success. */
static void torture_memory(void **state)
{
	int rc;
	bool reached;

	db_close(open_db(*state, DB_DURABLE));
	for (uint64_t nth = 1;; nth++) {
		dray_error *err = NULL;

		reached = torture_once(FAULT_ALLOC, nth, 0, pair, *state, &rc, &err);
		if (rc < 0)
			assert_err_kind(err, DRAY_ERR_NOMEM);
		check_pairs(*state, rc < 0);
		if (!reached)
			break;
	}
	assert_int_equal(rc, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		db_test(values_come_back), db_test(empty_is_not_null),
		db_test(transactions),	   db_test(version_and_kinds_of_errors),
		db_test(full_disk),	   db_test(torture_transactions),
		db_test(torture_memory),
	};

	db_faults();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
