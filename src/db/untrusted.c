/* SPDX-License-Identifier: Apache-2.0
 *
 * For: databases that lie in somebody's image.
 * Relies on: SQLite, told to distrust what it reads.
 * Promises: the database is bytes in memory, nothing is written; what its schema may compute is
 * harmless and bounded in size and steps.
 */
#include "db/db_priv.h"

#include "base/mem.h"

#define MAGIC "SQLite format 3"
#define HEADER 100	 /* bytes of the database's own header */
#define WRITE_VERSION 18 /* offsets in it: 1 = journal, 2 = write-ahead log */
#define READ_VERSION 19
#define STEPS 10000 /* of SQLite's machine between two looks */

/* Reading tables is all that a question needs. */
static int allow(void *arg, int action, const char *a, const char *b, const char *database,
		 const char *trigger)
{
	(void)arg, (void)a, (void)database;
	if (action == SQLITE_FUNCTION)
		return b && sqlite3_stricmp(b, "like") == 0 ? SQLITE_OK : SQLITE_DENY;
	return (action == SQLITE_SELECT || action == SQLITE_READ) && !trigger ? SQLITE_OK
									      : SQLITE_DENY;
}

static int enough(void *arg)
{
	struct db *db = arg;

	return ++db->looks > db->bounds.steps_max;
}

static bool distrust(struct db *db)
{
	static const int off[] = { SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_ENABLE_VIEW,
				   SQLITE_DBCONFIG_ENABLE_TRIGGER };

	for (size_t i = 0; i < ARRAY_LEN(off); i++)
		if (sqlite3_db_config(db->handle, off[i], 0, NULL) != SQLITE_OK)
			return false;
	sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, (int)db->bounds.value_max);
	sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_progress_handler(db->handle, STEPS, enough, db);
	return sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) == SQLITE_OK &&
	       sqlite3_set_authorizer(db->handle, allow, NULL) == SQLITE_OK;
}

/* A database in memory has no log beside it: one that asks for it is told that it has none. */
static int open_memory(struct db *db, struct room bytes, dray_error **err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX;
	sqlite3_int64 len = (sqlite3_int64)bytes.len;
	int code = sqlite3_open_v2(":memory:", &db->handle, flags, NULL);

	bytes.data[WRITE_VERSION] = bytes.data[READ_VERSION] = 1;
	if (code == SQLITE_OK)
		code = sqlite3_deserialize(db->handle, "main", bytes.data, len, len,
					   SQLITE_DESERIALIZE_READONLY);
	if (code == SQLITE_OK && distrust(db)) /* which would refuse that, too */
		return 0;
	db_failed(db, code == SQLITE_OK ? sqlite3_errcode(db->handle) : code, err);
	return err_ctx(err, "SQLite");
}

int db_open_untrusted(struct room bytes, const struct db_bounds *bounds, struct db **ret,
		      dray_error **err)
{
	cleanup_db struct db *db = NULL;

	if (bytes.len < HEADER || memcmp(bytes.data, MAGIC, sizeof(MAGIC)) != 0)
		return err_set(err, DRAY_ERR_FORMAT, "it is no SQLite database");
	db = mem_zalloc(sizeof(*db));
	if (!db)
		return err_nomem(err);
	db->bounds = *bounds;
	if (open_memory(db, bytes, err) < 0)
		return -1;
	*ret = steal_pointer(&db);
	return 0;
}
