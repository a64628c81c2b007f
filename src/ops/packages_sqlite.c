/* SPDX-License-Identifier: Apache-2.0
 *
 * For: rpm's database as SQLite keeps it: a table of numbered headers.
 * Relies on: db/ for databases that nobody vouches for; packages_rpm.c for the headers.
 * Promises: the database is bytes in memory, nothing is written; what reading costs is bounded.
 */
#include "ops/packages_priv.h"

#include "base/limits.h"
#include "db/db.h"

#define STEPS_MAX 100000 /* looks at the clock; a database of 10,000 packages needs some 10 */

static const char VIRTUAL[] = "SELECT 1 FROM sqlite_schema WHERE sql LIKE '%VIRTUAL%'";
static const char HEADERS[] = "SELECT blob FROM Packages ORDER BY hnum";

/* Whatever SQLite has against the bytes of an image, they break the format. */
static int refuse(const char *what, dray_error **err)
{
	enum dray_err_kind kind = err && *err ? dray_error_kind(*err) : DRAY_ERR_NOMEM;

	if (kind != DRAY_ERR_NOMEM && kind != DRAY_ERR_LIMIT)
		err_rekind(err, DRAY_ERR_FORMAT);
	return what ? err_ctx(err, "%s", what) : -1;
}

static int prepare(struct db *db, const char *sql, struct db_stmt **ret, dray_error **err)
{
	return db_prepare(db, sql, ret, err) < 0 ? refuse("the table of packages", err) : 0;
}

/* Tables that are programs in truth: rpm has none. */
static int check_schema(struct db *db, dray_error **err)
{
	cleanup_stmt struct db_stmt *st = NULL;
	int step;

	if (prepare(db, VIRTUAL, &st, err) < 0)
		return -1;
	step = db_step(st, err);
	if (step < 0)
		return refuse("the schema", err);
	return step > 0 ? err_set(err, DRAY_ERR_FORMAT, "it has virtual tables") : 0;
}

static int read_row(struct package_build *b, struct db_stmt *st, dray_error **err)
{
	struct span blob = db_column_blob(st, 0);

	if (!db_column_is_blob(st, 0) || !blob.data)
		return err_set(err, DRAY_ERR_FORMAT, "a package that is no header");
	return rpm_header(b, blob, err);
}

static int read_rows(struct package_build *b, struct db *db, dray_error **err)
{
	cleanup_stmt struct db_stmt *st = NULL;
	int step;

	if (prepare(db, HEADERS, &st, err) < 0)
		return -1;
	for (size_t n = 1; (step = db_step(st, err)) > 0; n++)
		if (read_row(b, st, err) < 0)
			return err_ctx(err, "package %zu", n);
	return step < 0 ? refuse("the table of packages", err) : 0;
}

int rpm_sqlite(struct package_build *b, struct room bytes, dray_error **err)
{
	const struct db_bounds bounds = { LIMIT_PACKAGE_HEADER, "LIMIT_PACKAGE_HEADER", STEPS_MAX };
	cleanup_db struct db *db = NULL;

	if (db_open_untrusted(bytes, &bounds, &db, err) < 0)
		return refuse(NULL, err);
	if (check_schema(db, err) < 0)
		return -1;
	return read_rows(b, db, err);
}
