/* SPDX-License-Identifier: Apache-2.0
 *
 * For: rpm's database as SQLite keeps it: a table of numbered headers.
 * Relies on: SQLite, told to distrust what it reads; packages_rpm.c for the headers.
 * Promises: the database is bytes in memory, nothing is written; what its schema may compute is
 * harmless and bounded in size and steps.
 */
#include "ops/packages_priv.h"

#include <sqlite3.h>

#include "base/limits.h"

#define MAGIC "SQLite format 3"
#define HEADER 100	 /* bytes of the database's own header */
#define WRITE_VERSION 18 /* offsets in it: 1 = journal, 2 = write-ahead log */
#define READ_VERSION 19
#define STEPS 10000	 /* of SQLite's machine between two looks */
#define STEPS_MAX 100000 /* of these; a database of 10,000 packages needs some 10 */

static const char VIRTUAL[] = "SELECT 1 FROM sqlite_schema WHERE sql LIKE '%VIRTUAL%'";
static const char HEADERS[] = "SELECT blob FROM Packages ORDER BY hnum";

/* Reading tables is all that our two questions need. */
static int allow(void *arg, int action, const char *a, const char *b, const char *db,
		 const char *trigger)
{
	(void)arg, (void)a, (void)db;
	if (action == SQLITE_FUNCTION)
		return b && sqlite3_stricmp(b, "like") == 0 ? SQLITE_OK : SQLITE_DENY;
	return (action == SQLITE_SELECT || action == SQLITE_READ) && !trigger ? SQLITE_OK
									      : SQLITE_DENY;
}

static int enough(void *arg)
{
	int *looks = arg;

	return ++*looks > STEPS_MAX;
}

static int refuse(sqlite3 *db, const char *what, dray_error **err)
{
	int code = db ? sqlite3_errcode(db) : SQLITE_NOMEM;

	if (code == SQLITE_NOMEM)
		return err_nomem(err);
	if (code == SQLITE_INTERRUPT)
		return err_set(err, DRAY_ERR_LIMIT, "%s: SQLite takes too many steps", what);
	if (code == SQLITE_TOOBIG)
		return err_set(err, DRAY_ERR_LIMIT,
			       "%s: more than %lld bytes (LIMIT_PACKAGE_HEADER)", what,
			       LIMIT_PACKAGE_HEADER);
	return err_set(err, DRAY_ERR_FORMAT, "%s: %s", what, sqlite3_errstr(code));
}

static bool distrust(sqlite3 *db, int *looks)
{
	static const int off[] = { SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_ENABLE_VIEW,
				   SQLITE_DBCONFIG_ENABLE_TRIGGER };

	for (size_t i = 0; i < ARRAY_LEN(off); i++)
		if (sqlite3_db_config(db, off[i], 0, NULL) != SQLITE_OK)
			return false;
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LIMIT_PACKAGE_HEADER);
	sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_progress_handler(db, STEPS, enough, looks);
	return sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) == SQLITE_OK &&
	       sqlite3_set_authorizer(db, allow, NULL) == SQLITE_OK;
}

static int prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, dray_error **err)
{
	if (sqlite3_prepare_v2(db, sql, -1, ret, NULL) == SQLITE_OK)
		return 0;
	return refuse(db, "the table of packages", err);
}

/* Tables that are programs in truth: rpm has none. */
static int check_schema(sqlite3 *db, dray_error **err)
{
	sqlite3_stmt *st = NULL;
	int rc = prepare(db, VIRTUAL, &st, err);
	int step = rc < 0 ? SQLITE_DONE : sqlite3_step(st);

	if (step == SQLITE_ROW)
		rc = err_set(err, DRAY_ERR_FORMAT, "it has virtual tables");
	else if (step != SQLITE_DONE)
		rc = refuse(db, "the schema", err);
	sqlite3_finalize(st);
	return rc;
}

static int read_row(struct package_build *b, sqlite3_stmt *st, dray_error **err)
{
	const void *blob = sqlite3_column_blob(st, 0);
	int len = sqlite3_column_bytes(st, 0);

	if (sqlite3_column_type(st, 0) != SQLITE_BLOB || !blob || len < 0)
		return err_set(err, DRAY_ERR_FORMAT, "a package that is no header");
	return rpm_header(b, span_of(blob, (size_t)len), err);
}

static int read_rows(struct package_build *b, sqlite3 *db, dray_error **err)
{
	sqlite3_stmt *st = NULL;
	int rc = prepare(db, HEADERS, &st, err);
	int step = SQLITE_DONE;

	for (size_t n = 1; rc == 0 && (step = sqlite3_step(st)) == SQLITE_ROW; n++)
		if (read_row(b, st, err) < 0)
			rc = err_ctx(err, "package %zu", n);
	if (rc == 0 && step != SQLITE_DONE)
		rc = refuse(db, "the table of packages", err);
	sqlite3_finalize(st);
	return rc;
}

/* A database in memory has no log beside it: one that asks for it is told that it has none. */
static int open_memory(struct room db, int *looks, sqlite3 **ret, dray_error **err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX;

	if (db.len < HEADER || memcmp(db.data, MAGIC, sizeof(MAGIC)) != 0)
		return err_set(err, DRAY_ERR_FORMAT, "it is no SQLite database");
	db.data[WRITE_VERSION] = db.data[READ_VERSION] = 1;
	if (sqlite3_open_v2(":memory:", ret, flags, NULL) != SQLITE_OK ||
	    sqlite3_deserialize(*ret, "main", db.data, (sqlite3_int64)db.len, (sqlite3_int64)db.len,
				SQLITE_DESERIALIZE_READONLY) != SQLITE_OK ||
	    !distrust(*ret, looks)) /* which would refuse that, too; nothing was read yet */
		return refuse(*ret, "SQLite", err);
	return 0;
}

int rpm_sqlite(struct package_build *b, struct room db, dray_error **err)
{
	sqlite3 *opened = NULL;
	int looks = 0;
	int rc = open_memory(db, &looks, &opened, err);

	if (rc == 0)
		rc = check_schema(opened, err);
	if (rc == 0)
		rc = read_rows(b, opened, err);
	sqlite3_close(opened);
	return rc;
}
