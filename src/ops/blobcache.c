/* SPDX-License-Identifier: Apache-2.0
 *
 * The blob cache: DiffID -> blobs that it became, and where they were seen.
 * Relies on SQLite for locking between processes (WAL, busy timeout).
 * Promises never to fail a run: whatever goes wrong means "nothing known".
 */
#include "ops/blobcache.h"

#include <sqlite3.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/io.h"
#include "base/mem.h"
#include "flow/pool.h"

#define CACHE_FILE "blobs-1.sqlite" /* the number is the schema's version */
#define CACHE_ROWS_MAX 200000	    /* oldest rows leave first */
#define BUSY_MS 2000

struct blobcache {
	sqlite3 *db;
	sqlite3_stmt *add, *find, *forget;
	struct lock *lock; /* statements are used from several threads */
};

static const char SCHEMA[] =
	"PRAGMA journal_mode=WAL;"
	"PRAGMA synchronous=OFF;" /* losing a hint is harmless; a torn file is recreated */
	"CREATE TABLE IF NOT EXISTS blob("
	" diff_id TEXT NOT NULL, blob_digest TEXT NOT NULL, size INTEGER NOT NULL,"
	" compression INTEGER NOT NULL, encoder TEXT NOT NULL, repository TEXT NOT NULL,"
	" seen INTEGER NOT NULL, PRIMARY KEY(diff_id, blob_digest, encoder, repository)"
	") WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS blob_seen ON blob(seen);";

static const char ADD[] = "INSERT OR REPLACE INTO blob VALUES(?1,?2,?3,?4,?5,?6,?7)";
static const char FIND[] =
	"SELECT blob_digest, size, compression, encoder, repository FROM blob WHERE diff_id=?1"
	" ORDER BY substr(repository, 1, length(?2) + 1)=?2||'/' DESC, seen DESC LIMIT ?3";
static const char FORGET[] = "DELETE FROM blob WHERE blob_digest=?1 AND repository=?2";
static const char TRIM[] = "DELETE FROM blob WHERE seen < (SELECT seen FROM blob ORDER BY seen DESC"
			   " LIMIT 1 OFFSET ?1)";

/* $XDG_CACHE_HOME/dray or ~/.cache/dray, made when absent; NULL when there is no home. */
static char *cache_dir(void)
{
	const char *xdg = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	cleanup_free char *base = NULL;
	cleanup_free char *dir = NULL;

	if (xdg && xdg[0] == '/')
		base = mem_strdup(xdg);
	else if (home && home[0] == '/')
		base = mem_printf("%s/.cache", home);
	if (!base)
		return NULL;
	if (io_mkdirat(AT_FDCWD, base, 0700, true, NULL) < 0)
		return NULL;
	dir = mem_printf("%s/dray", base);
	if (!dir || io_mkdirat(AT_FDCWD, dir, 0700, true, NULL) < 0)
		return NULL;
	/* A home behind a link is fine; a link in place of the file itself is not followed. */
	return realpath(dir, NULL);
}

static int open_at(const char *path, struct blobcache *c)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		    SQLITE_OPEN_NOFOLLOW;

	if (sqlite3_open_v2(path, &c->db, flags, NULL) != SQLITE_OK)
		return -1;
	sqlite3_busy_timeout(c->db, BUSY_MS);
	if (sqlite3_exec(c->db, SCHEMA, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(c->db, ADD, -1, &c->add, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(c->db, FIND, -1, &c->find, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(c->db, FORGET, -1, &c->forget, NULL) != SQLITE_OK)
		return -1;
	return 0;
}

static void close_db(struct blobcache *c)
{
	sqlite3_finalize(c->add);
	sqlite3_finalize(c->find);
	sqlite3_finalize(c->forget);
	sqlite3_close(c->db);
	c->add = c->find = c->forget = NULL;
	c->db = NULL;
}

/* A damaged file is moved out of the way once; a second failure means no cache. */
static int open_or_recreate(const char *path, struct blobcache *c)
{
	int code;

	if (open_at(path, c) == 0)
		return 0;
	code = c->db ? sqlite3_errcode(c->db) : SQLITE_ERROR;
	close_db(c);
	if (code != SQLITE_CORRUPT && code != SQLITE_NOTADB)
		return -1;
	if (io_unlinkat(AT_FDCWD, path, NULL) < 0 || open_at(path, c) < 0) {
		close_db(c);
		return -1;
	}
	return 0;
}

struct blobcache *blobcache_open(void)
{
	cleanup_free char *dir = cache_dir();
	cleanup_free char *path = NULL;
	struct blobcache *c;

	if (!dir)
		return NULL;
	path = mem_printf("%s/" CACHE_FILE, dir);
	c = mem_zalloc(sizeof(*c));
	if (!path || !c || open_or_recreate(path, c) < 0 || !(c->lock = lock_new(NULL))) {
		blobcache_close(c);
		return NULL;
	}
	return c;
}

static void trim(struct blobcache *c)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(c->db, TRIM, -1, &st, NULL) == SQLITE_OK) {
		sqlite3_bind_int(st, 1, CACHE_ROWS_MAX);
		sqlite3_step(st);
	}
	sqlite3_finalize(st);
}

void blobcache_close(struct blobcache *c)
{
	if (!c)
		return;
	if (c->db && sqlite3_total_changes(c->db) > 0)
		trim(c);
	close_db(c);
	lock_free(c->lock);
	mem_free(c);
}

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
	sqlite3_bind_text(st, at, text, -1, SQLITE_TRANSIENT);
}

void blobcache_add(struct blobcache *c, const struct digest *diff_id,
		   const struct blobcache_entry *e)
{
	if (!c)
		return;
	lock_take(c->lock);
	bind_text(c->add, 1, diff_id->text);
	bind_text(c->add, 2, e->blob_digest.text);
	sqlite3_bind_int64(c->add, 3, e->blob_size);
	sqlite3_bind_int(c->add, 4, (int)e->compression);
	bind_text(c->add, 5, e->encoder);
	bind_text(c->add, 6, e->repository);
	sqlite3_bind_int64(c->add, 7, (sqlite3_int64)time(NULL));
	sqlite3_step(c->add);
	sqlite3_reset(c->add);
	lock_drop(c->lock);
}

/* A row into @p e; false when it is not what we would have written. */
static bool read_row(sqlite3_stmt *st, struct blobcache_entry *e)
{
	const char *digest = (const char *)sqlite3_column_text(st, 0);
	const char *encoder = (const char *)sqlite3_column_text(st, 3);
	const char *repository = (const char *)sqlite3_column_text(st, 4);
	int compression = sqlite3_column_int(st, 2);

	if (!digest || !encoder || !repository || compression < COMPRESSION_NONE ||
	    compression > COMPRESSION_ZSTD || strlen(encoder) >= sizeof(e->encoder) ||
	    strlen(repository) >= sizeof(e->repository) || sqlite3_column_int64(st, 1) < 0)
		return false;
	if (digest_parse(span_str(digest), &e->blob_digest, NULL) < 0)
		return false;
	e->blob_size = sqlite3_column_int64(st, 1);
	e->compression = (enum compression)compression;
	memcpy(e->encoder, encoder, strlen(encoder) + 1);
	memcpy(e->repository, repository, strlen(repository) + 1);
	return true;
}

size_t blobcache_find(struct blobcache *c, const struct digest *diff_id, const char *host,
		      struct blobcache_entry *ret, size_t max)
{
	size_t n = 0;

	if (!c)
		return 0;
	lock_take(c->lock);
	bind_text(c->find, 1, diff_id->text);
	bind_text(c->find, 2, host);
	sqlite3_bind_int64(c->find, 3, (sqlite3_int64)max);
	while (n < max && sqlite3_step(c->find) == SQLITE_ROW)
		if (read_row(c->find, &ret[n]))
			n++;
	sqlite3_reset(c->find);
	lock_drop(c->lock);
	return n;
}

void blobcache_forget(struct blobcache *c, const struct digest *blob_digest, const char *repository)
{
	if (!c)
		return;
	lock_take(c->lock);
	bind_text(c->forget, 1, blob_digest->text);
	bind_text(c->forget, 2, repository);
	sqlite3_step(c->forget);
	sqlite3_reset(c->forget);
	lock_drop(c->lock);
}
