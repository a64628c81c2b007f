/* SPDX-License-Identifier: Apache-2.0
 *
 * For: connections, transactions and statements, with errors in our terms.
 * Relies on: SQLite 3.31 or later (NOFOLLOW).
 * Promises: no code of SQLite's leaves this room; a statement that failed is ready for the next use.
 */
#include "db/db_priv.h"

#include <assert.h>
#include <errno.h>

#include "base/mem.h"

struct db_stmt {
	sqlite3_stmt *handle;
	const struct db *db;
	int refused; /* code of the first bind that failed; 0 = none */
};

static const char HINTS[] = "PRAGMA journal_mode=WAL;"
			    "PRAGMA synchronous=OFF;";
static const char DURABLE[] = "PRAGMA journal_mode=WAL;"
			      "PRAGMA synchronous=FULL;"
			      "PRAGMA foreign_keys=ON;";

const char *db_library_version(void)
{
	return sqlite3_libversion();
}

static int failed_system(const struct db *db, int fallback, dray_error **err)
{
	int errnum = db->handle ? sqlite3_system_errno(db->handle) : 0;

	return err_sys(err, errnum ? errnum : fallback, "database");
}

int db_failed(const struct db *db, int code, dray_error **err)
{
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return err_nomem(err);
	case SQLITE_INTERRUPT:
		return err_set(err, DRAY_ERR_LIMIT, "SQLite takes too many steps");
	case SQLITE_TOOBIG:
		return err_set(err, DRAY_ERR_LIMIT, "more than %lld bytes (%s)",
			       (long long)db->bounds.value_max,
			       db->bounds.value_name ? db->bounds.value_name : "SQLite's limit");
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set(err, DRAY_ERR_CORRUPT, "%s", sqlite3_errstr(code));
	case SQLITE_FULL:
		return err_sys(err, ENOSPC, "database");
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return err_sys(err, EBUSY, "database");
	case SQLITE_READONLY:
		return err_sys(err, EROFS, "database");
	case SQLITE_IOERR:
		return failed_system(db, EIO, err);
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return failed_system(db, EACCES, err);
	default:
		return err_set(err, DRAY_ERR_FORMAT, "%s", sqlite3_errstr(code));
	}
}

static int open_handle(struct db *db, const char *path, enum db_kind kind, int busy_ms,
		       dray_error **err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		    SQLITE_OPEN_NOFOLLOW;
	int code = sqlite3_open_v2(path, &db->handle, flags, NULL);

	if (code != SQLITE_OK)
		return db_failed(db, code, err);
	sqlite3_busy_timeout(db->handle, busy_ms);
	return db_exec(db, kind == DB_DURABLE ? DURABLE : HINTS, err);
}

int db_open(const char *path, enum db_kind kind, int busy_ms, struct db **ret, dray_error **err)
{
	cleanup_db struct db *db = mem_zalloc(sizeof(*db));

	if (!db)
		return err_nomem(err);
	if (open_handle(db, path, kind, busy_ms, err) < 0)
		return -1;
	*ret = steal_pointer(&db);
	return 0;
}

void db_close(struct db *db)
{
	int saved = errno;

	if (!db)
		return;
	sqlite3_close(db->handle);
	mem_free(db);
	errno = saved;
}

int db_exec(struct db *db, const char *sql, dray_error **err)
{
	int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : db_failed(db, code, err);
}

int db_version(struct db *db, int64_t *ret, dray_error **err)
{
	cleanup_stmt struct db_stmt *st = NULL;

	if (db_prepare(db, "PRAGMA user_version", &st, err) < 0 || db_step(st, err) < 0)
		return -1;
	*ret = db_column_int(st, 0);
	return 0;
}

int64_t db_changed(const struct db *db)
{
	return sqlite3_total_changes64(db->handle);
}

int64_t db_last_key(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

int db_begin(struct db *db, dray_error **err)
{
	return db_exec(db, "BEGIN IMMEDIATE", err);
}

int db_commit(struct db *db, dray_error **err)
{
	if (db_exec(db, "COMMIT", err) == 0)
		return 0;
	db_rollback(db);
	return -1;
}

void db_rollback(struct db *db)
{
	/* Some failures have undone it already; there is none that leaves it half done. */
	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

int db_prepare(struct db *db, const char *sql, struct db_stmt **ret, dray_error **err)
{
	struct db_stmt *st = mem_zalloc(sizeof(*st));
	int code;

	if (!st)
		return err_nomem(err);
	st->db = db;
	code = sqlite3_prepare_v2(db->handle, sql, -1, &st->handle, NULL);
	if (code != SQLITE_OK) {
		mem_free(st);
		return db_failed(db, code, err);
	}
	*ret = st;
	return 0;
}

void db_finalize(struct db_stmt *st)
{
	if (!st)
		return;
	sqlite3_finalize(st->handle);
	mem_free(st);
}

static void bound(struct db_stmt *st, int code)
{
	if (code != SQLITE_OK && !st->refused)
		st->refused = code;
}

void db_bind_text(struct db_stmt *st, int at, struct span text)
{
	/* An empty text has an address: without one SQLite would take it for NULL. */
	bound(st, sqlite3_bind_text64(st->handle, at, text.len ? (const char *)text.data : "",
				      text.len, SQLITE_TRANSIENT, SQLITE_UTF8));
}

void db_bind_blob(struct db_stmt *st, int at, struct span bytes)
{
	bound(st, sqlite3_bind_blob64(st->handle, at, bytes.len ? bytes.data : (const void *)"",
				      bytes.len, SQLITE_TRANSIENT));
}

void db_bind_int(struct db_stmt *st, int at, int64_t n)
{
	bound(st, sqlite3_bind_int64(st->handle, at, n));
}

void db_bind_null(struct db_stmt *st, int at)
{
	bound(st, sqlite3_bind_null(st->handle, at));
}

int db_step(struct db_stmt *st, dray_error **err)
{
	int code = st->refused ? st->refused : sqlite3_step(st->handle);

	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE)
		return 0;
	db_failed(st->db, code, err);
	db_reset(st);
	return -1;
}

int db_run(struct db_stmt *st, dray_error **err)
{
	int rc = db_step(st, err);

	assert(rc <= 0);
	db_reset(st);
	return rc;
}

void db_reset(struct db_stmt *st)
{
	if (!st)
		return;
	sqlite3_reset(st->handle);
	st->refused = 0;
}

int64_t db_column_int(struct db_stmt *st, int at)
{
	return sqlite3_column_int64(st->handle, at);
}

struct span db_column_text(struct db_stmt *st, int at)
{
	const unsigned char *text = sqlite3_column_text(st->handle, at);

	return span_of(text, text ? (size_t)sqlite3_column_bytes(st->handle, at) : 0);
}

struct span db_column_blob(struct db_stmt *st, int at)
{
	const void *blob = sqlite3_column_blob(st->handle, at);

	return span_of(blob, blob ? (size_t)sqlite3_column_bytes(st->handle, at) : 0);
}

bool db_column_is_blob(struct db_stmt *st, int at)
{
	return sqlite3_column_type(st->handle, at) == SQLITE_BLOB;
}
