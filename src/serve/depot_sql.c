/* SPDX-License-Identifier: Apache-2.0
 *
 * For: what the folder's database holds, and every question to it.
 * Relies on: db/; one connection for reading, one for writing, a lock for each.
 * Promises: readers never wait for a commit; a transaction is one request.
 */
#include "serve/depot_priv.h"

/*
 * link: this repository may hand out that blob. hold: for it a manifest there needs it,
 * so a hold never is without its link. part: what an index is made of. origin: of a cache, the
 * registry that all this comes from.
 */
const char DEPOT_SCHEMA[] =
	"CREATE TABLE repository(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	"CREATE TABLE blob(id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE,"
	" size INTEGER NOT NULL);"
	"CREATE TABLE link(repository INTEGER NOT NULL REFERENCES repository(id),"
	" blob INTEGER NOT NULL REFERENCES blob(id), seen INTEGER NOT NULL,"
	" PRIMARY KEY(repository, blob)) WITHOUT ROWID;"
	"CREATE INDEX link_blob ON link(blob);"
	"CREATE TABLE manifest(id INTEGER PRIMARY KEY,"
	" repository INTEGER NOT NULL REFERENCES repository(id), digest TEXT NOT NULL,"
	" type TEXT NOT NULL, size INTEGER NOT NULL, subject TEXT, artifact_type TEXT,"
	" annotations TEXT, seen INTEGER NOT NULL, bytes BLOB NOT NULL,"
	" UNIQUE(repository, digest));"
	"CREATE INDEX manifest_subject ON manifest(repository, subject, digest);"
	"CREATE TABLE hold(repository INTEGER NOT NULL, blob INTEGER NOT NULL,"
	" manifest INTEGER NOT NULL REFERENCES manifest(id) ON DELETE CASCADE,"
	" PRIMARY KEY(repository, blob, manifest),"
	" FOREIGN KEY(repository, blob) REFERENCES link(repository, blob)) WITHOUT ROWID;"
	"CREATE INDEX hold_manifest ON hold(manifest);"
	"CREATE TABLE part(whole INTEGER NOT NULL REFERENCES manifest(id) ON DELETE CASCADE,"
	" part INTEGER NOT NULL REFERENCES manifest(id), PRIMARY KEY(whole, part)) WITHOUT ROWID;"
	"CREATE INDEX part_part ON part(part);"
	"CREATE TABLE tag(repository INTEGER NOT NULL REFERENCES repository(id),"
	" name TEXT NOT NULL, manifest INTEGER NOT NULL REFERENCES manifest(id) ON DELETE CASCADE,"
	" PRIMARY KEY(repository, name)) WITHOUT ROWID;"
	"CREATE INDEX tag_manifest ON tag(manifest);"
	"CREATE TABLE origin(name TEXT NOT NULL);"
	"PRAGMA user_version=1;";

#define IS_HELD \
	"EXISTS(SELECT 1 FROM hold h WHERE h.repository=link.repository AND h.blob=link.blob)"
#define IS_LOOSE                                                              \
	"m.seen<=?1 AND NOT EXISTS(SELECT 1 FROM tag WHERE manifest=m.id)"    \
	" AND NOT EXISTS(SELECT 1 FROM part WHERE part=m.id) AND NOT EXISTS(" \
	"SELECT 1 FROM manifest s WHERE s.repository=m.repository AND s.digest=m.subject)"
#define MANIFEST_COLUMNS "SELECT m.digest, m.type, m.size, m.bytes, m.id, m.seen FROM repository r"

static const char *const SQL[Q_COUNT] = {
	[Q_REPO_FIND] = "SELECT id FROM repository WHERE name=?1",
	[Q_REPO_ADD] = "INSERT INTO repository(name) VALUES(?1)",
	[Q_REPO_LIST] = "SELECT name FROM repository r WHERE name>?1"
			" AND (EXISTS(SELECT 1 FROM manifest WHERE repository=r.id)"
			" OR EXISTS(SELECT 1 FROM link WHERE repository=r.id))"
			" ORDER BY name LIMIT ?2",
	[Q_BLOB_FIND] = "SELECT id, size FROM blob WHERE digest=?1",
	[Q_BLOB_ADD] = "INSERT INTO blob(digest, size) VALUES(?1, ?2)",
	[Q_COUNTS] = "SELECT (SELECT count(*) FROM repository), (SELECT count(*) FROM manifest),"
		     " (SELECT count(*) FROM blob)",
	[Q_ORIGIN] = "SELECT name FROM origin",
	[Q_ORIGIN_SET] = "INSERT INTO origin VALUES(?1)",
	[Q_REPO_TIDY] = "DELETE FROM repository"
			" WHERE NOT EXISTS(SELECT 1 FROM manifest WHERE repository=repository.id)"
			" AND NOT EXISTS(SELECT 1 FROM link WHERE repository=repository.id)",
	[Q_BLOB_WINDOW] = "SELECT id, digest, size, EXISTS(SELECT 1 FROM link WHERE blob=blob.id)"
			  " FROM blob WHERE id>?1 ORDER BY id LIMIT ?2",
	[Q_BLOB_DROP] = "DELETE FROM blob WHERE id=?1"
			" AND NOT EXISTS(SELECT 1 FROM link WHERE blob=?1)",
	[Q_BLOB_TOTAL] =
		"SELECT (SELECT total(size) FROM blob) + (SELECT total(size) FROM manifest)",
	[Q_LINK_FIND] = "SELECT link.repository, link.blob, b.size, link.seen, " IS_HELD
			" FROM repository r JOIN link ON link.repository=r.id"
			" JOIN blob b ON b.id=link.blob WHERE r.name=?1 AND b.digest=?2",
	[Q_LINK_SET] = "INSERT INTO link VALUES(?1, ?2, ?3)"
		       " ON CONFLICT DO UPDATE SET seen=excluded.seen",
	[Q_LINK_TOUCH] = "UPDATE link SET seen=?3 WHERE repository=?1 AND blob=?2",
	[Q_LINK_DROP] = "DELETE FROM link WHERE repository=?1 AND blob=?2",
	[Q_LINK_WINDOW] = "SELECT repository, blob, seen, " IS_HELD
			  " FROM link WHERE (repository, blob)>(?1, ?2)"
			  " ORDER BY repository, blob LIMIT ?3",
	[Q_LINK_EXPIRE] = "DELETE FROM link WHERE repository=?1 AND blob=?2 AND seen<=?3"
			  " AND NOT " IS_HELD,
	[Q_HOLD_ADD] = "INSERT OR IGNORE INTO hold VALUES(?1, ?2, ?3)",
	[Q_HOLD_WHO] = "SELECT m.digest FROM hold h JOIN manifest m ON m.id=h.manifest"
		       " WHERE h.repository=?1 AND h.blob=?2 LIMIT 1",
	[Q_LINK_LET_GO] = "UPDATE link SET seen=?2 WHERE (repository, blob) IN"
			  " (SELECT repository, blob FROM hold WHERE manifest=?1)",
	[Q_MANIFEST_BY_TAG] = MANIFEST_COLUMNS " JOIN tag t ON t.repository=r.id"
					       " JOIN manifest m ON m.id=t.manifest"
					       " WHERE r.name=?1 AND t.name=?2",
	[Q_MANIFEST_BY_DIGEST] = MANIFEST_COLUMNS " JOIN manifest m ON m.repository=r.id"
						  " WHERE r.name=?1 AND m.digest=?2",
	[Q_MANIFEST_FIND] = "SELECT id, size FROM manifest WHERE repository=?1 AND digest=?2",
	[Q_MANIFEST_ADD] = "INSERT INTO manifest(repository, digest, type, size, subject,"
			   " artifact_type, annotations, seen, bytes)"
			   " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[Q_MANIFEST_AGAIN] = "UPDATE manifest SET type=?2, seen=?3 WHERE id=?1",
	[Q_MANIFEST_DROP] = "DELETE FROM manifest WHERE id=?1",
	[Q_MANIFEST_LOOSE] = "SELECT m.id, m.size FROM manifest m WHERE m.id>?2 AND " IS_LOOSE
			     " ORDER BY m.id LIMIT ?3",
	[Q_MANIFEST_LOOSE_DROP] = "DELETE FROM manifest AS m WHERE m.id=?2 AND " IS_LOOSE,
	[Q_MANIFEST_TOUCH] = "UPDATE manifest SET seen=?2 WHERE id=?1",
	[Q_MANIFEST_OLD] = "SELECT id, size FROM manifest WHERE seen<=?1 AND id>?2"
			   " ORDER BY id LIMIT ?3",
	[Q_MANIFEST_OLD_DROP] = "DELETE FROM manifest WHERE seen<=?1 AND id=?2",
	[Q_USES] = "SELECT link.seen, b.size FROM link JOIN blob b ON b.id=link.blob"
		   " UNION ALL SELECT seen, size FROM manifest ORDER BY 1",
	[Q_PART_ADD] = "INSERT OR IGNORE INTO part VALUES(?1, ?2)",
	[Q_PART_WHO] = "SELECT m.digest FROM part p JOIN manifest m ON m.id=p.whole"
		       " WHERE p.part=?1 LIMIT 1",
	[Q_TAG_SET] = "INSERT INTO tag VALUES(?1, ?2, ?3)"
		      " ON CONFLICT DO UPDATE SET manifest=excluded.manifest",
	[Q_TAG_FIND] = "SELECT manifest FROM tag WHERE repository=?1 AND name=?2",
	[Q_TAG_WHO] = "SELECT name FROM tag WHERE manifest=?1 LIMIT 1",
	[Q_TAG_DROP] = "DELETE FROM tag WHERE repository=?1 AND name=?2",
	[Q_TAG_LIST] = "SELECT name FROM tag WHERE repository=?1 AND name>?2"
		       " ORDER BY name LIMIT ?3",
	/* Which they are is found in indexes alone; only those of the page are read. */
	[Q_UNTAGGED] = "SELECT digest, type, size, artifact_type FROM manifest WHERE id IN"
		       " (SELECT m.id FROM manifest m WHERE m.repository=?1"
		       " AND NOT EXISTS(SELECT 1 FROM tag WHERE manifest=m.id)"
		       " AND (?2 IS NULL OR m.id<coalesce((SELECT id FROM manifest"
		       " WHERE repository=?1 AND digest=?2), 9223372036854775807))"
		       " ORDER BY +m.id DESC LIMIT ?3) ORDER BY id DESC",
	[Q_REFERRERS] = "SELECT m.digest, m.type, m.size, m.artifact_type, m.annotations"
			" FROM repository r JOIN manifest m ON m.repository=r.id"
			" WHERE r.name=?1 AND m.subject=?2 AND m.digest>?4"
			" AND (?3 IS NULL OR m.artifact_type=?3) ORDER BY m.digest LIMIT ?5",
};

int side_open(struct depot_side *side, const char *path, dray_error **err)
{
	/* Nobody else may have it open, so nobody is waited for. */
	side->lock = lock_new(err);
	return side->lock ? db_open(path, DB_DURABLE, 0, &side->db, err) : -1;
}

void side_close(struct depot_side *side)
{
	for (size_t i = 0; i < ARRAY_LEN(side->st); i++)
		db_finalize(side->st[i]);
	db_close(side->db);
	lock_free(side->lock);
}

struct db_stmt *side_query(struct depot_side *side, enum depot_query q, dray_error **err)
{
	if (!side->st[q] && db_prepare(side->db, SQL[q], &side->st[q], err) < 0)
		return NULL;
	return side->st[q];
}

int side_run(struct depot_side *side, enum depot_query q, const int64_t *n, size_t len,
	     dray_error **err)
{
	struct db_stmt *st = side_query(side, q, err);

	if (!st)
		return -1;
	for (size_t i = 0; i < len; i++)
		db_bind_int(st, (int)i + 1, n[i]);
	return db_run(st, err);
}

int depot_begin(struct depot *d, dray_error **err)
{
	lock_take(d->writer.lock);
	if (db_begin(d->writer.db, err) == 0)
		return 0;
	lock_drop(d->writer.lock);
	return depot_disk_failed(err);
}

int depot_commit(struct depot *d, dray_error **err)
{
	int rc = db_commit(d->writer.db, err);

	lock_drop(d->writer.lock);
	return rc < 0 ? depot_disk_failed(err) : 0;
}

int depot_abort(struct depot *d)
{
	db_rollback(d->writer.db);
	lock_drop(d->writer.lock);
	return -1;
}

int depot_repo_find(struct depot_side *side, const char *repo, int64_t *ret, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(side, Q_REPO_FIND, err);
	int rc;

	if (!st)
		return -1;
	db_bind_text(st, 1, span_str(repo));
	rc = db_step(st, err);
	if (rc > 0)
		*ret = db_column_int(st, 0);
	return rc;
}

int depot_repo_need(struct depot *d, const char *repo, int64_t *ret, dray_error **err)
{
	int rc = depot_repo_find(&d->writer, repo, ret, err);
	struct db_stmt *st;

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	st = side_query(&d->writer, Q_REPO_ADD, err);
	if (!st)
		return -1;
	db_bind_text(st, 1, span_str(repo));
	if (db_run(st, err) < 0)
		return -1;
	*ret = db_last_key(d->writer.db);
	return 0;
}
