/* SPDX-License-Identifier: Apache-2.0
 *
 * Databases: the only room that speaks SQLite. A connection belongs to one thread at a time
 * (its user locks); several connections and processes may have one file.
 */
#pragma once

#include "base/span.h"

struct db;
struct db_stmt;

/** What a commit is worth. */
enum db_kind {
	DB_HINTS,	/* never waits for the disk: what is lost or torn can be made again */
	DB_DURABLE,	/* a commit that returned survives a power cut */
};

/**
 * Open or make the database @p path, with a write-ahead log; there is no symbolic link in the
 * path. Who finds it locked waits up to @p busy_ms milliseconds.
 * Errors: CORRUPT the file is damaged or no database; SYSTEM, EBUSY = still locked; NOMEM.
 */
int db_open(const char *path, enum db_kind kind, int busy_ms, struct db **ret,
	    dray_error **err) MUST_CHECK;

/** What a database from outside may cost at most. */
struct db_bounds {
	int64_t value_max;	/* bytes of one value or row */
	const char *value_name;	/* of that limit, for the error: static */
	int steps_max;		/* in 10,000 operations of SQLite's machine */
};
/**
 * A database of untrusted bytes, which are lent and changed, but never written to disk. It can
 * be asked with SELECT and LIKE alone; nothing that its schema computes is called.
 * Errors: FORMAT it is none; of all that follows LIMIT, too.
 */
int db_open_untrusted(struct room bytes, const struct db_bounds *bounds, struct db **ret,
		      dray_error **err) MUST_CHECK;
/** NULL-safe; after the statements. */
void db_close(struct db *db);

/** Statements without results, one after the other. */
int db_exec(struct db *db, const char *sql, dray_error **err) MUST_CHECK;
/** The number that a program leaves in a database to know its schema by; 0 in a new one. */
int db_version(struct db *db, int64_t *ret, dray_error **err) MUST_CHECK;
/** Rows that this connection has changed since it was opened. */
int64_t db_changed(const struct db *db);
/** The key of the row that was last inserted. */
int64_t db_last_key(const struct db *db);

/** A transaction that writes: nobody else begins one before its end. */
int db_begin(struct db *db, dray_error **err) MUST_CHECK;
/** On failure nothing of it has happened, here; it is over. */
int db_commit(struct db *db, dray_error **err) MUST_CHECK;
/** Undo it. Nothing to undo is fine. */
void db_rollback(struct db *db);

int db_prepare(struct db *db, const char *sql, struct db_stmt **ret, dray_error **err) MUST_CHECK;
/** NULL-safe. */
void db_finalize(struct db_stmt *st);
/* Parameters count from 1; they are copied. What goes wrong is said by the next step. */
void db_bind_text(struct db_stmt *st, int at, struct span text);
void db_bind_blob(struct db_stmt *st, int at, struct span bytes);
void db_bind_int(struct db_stmt *st, int at, int64_t n);
void db_bind_null(struct db_stmt *st, int at);
/** 1 = a row, 0 = there is none (more), -1. */
int db_step(struct db_stmt *st, dray_error **err) MUST_CHECK;
/** For what has no rows to give. */
int db_run(struct db_stmt *st, dray_error **err) MUST_CHECK;
/** Ready for other parameters; whoever reads holds back the log until then. NULL-safe. */
void db_reset(struct db_stmt *st);

/* Columns count from 0; spans are lent until the next step or reset. NULL is 0 or empty. */
int64_t db_column_int(struct db_stmt *st, int at);
struct span db_column_text(struct db_stmt *st, int at);
struct span db_column_blob(struct db_stmt *st, int at);
bool db_column_is_blob(struct db_stmt *st, int at);

static inline void cleanup_db_fn(struct db **db)
{
	db_close(*db);
}
#define cleanup_db CLEANUP(cleanup_db_fn)
static inline void cleanup_stmt_fn(struct db_stmt **st)
{
	db_finalize(*st);
}
#define cleanup_stmt CLEANUP(cleanup_stmt_fn)
/** For statements that are kept. */
static inline void cleanup_reset_fn(struct db_stmt **st)
{
	db_reset(*st);
}
#define cleanup_reset CLEANUP(cleanup_reset_fn)

/** Version text of SQLite; static. */
const char *db_library_version(void);
