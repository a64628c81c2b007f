/* SPDX-License-Identifier: Apache-2.0
 *
 * The blob cache: DiffID -> blobs that it became, and where they were seen.
 * Relies on db/ for locking between processes (write-ahead log, busy timeout).
 * Promises never to fail a run: whatever goes wrong means "nothing known".
 */
#include "ops/blobcache.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/io.h"
#include "base/mem.h"
#include "db/db.h"
#include "flow/pool.h"

#define CACHE_FILE "blobs-1.sqlite" /* the number is the schema's version */
#define CACHE_ROWS_MAX 200000	    /* oldest rows leave first */
#define BUSY_MS 2000

struct blobcache {
	struct db *db;
	struct db_stmt *add, *find, *forget;
	struct lock *lock; /* statements are used from several threads */
};

static const char SCHEMA[] =
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
static const char ANY[] = "SELECT 1 FROM blob WHERE substr(repository, 1, length(?1) + 1)=?1||'/'"
			  " LIMIT 1";
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

static int open_at(const char *path, struct blobcache *c, dray_error **err)
{
	/* Losing a hint is harmless; a torn file is recreated. */
	if (db_open(path, DB_HINTS, BUSY_MS, &c->db, err) < 0 || db_exec(c->db, SCHEMA, err) < 0 ||
	    db_prepare(c->db, ADD, &c->add, err) < 0 ||
	    db_prepare(c->db, FIND, &c->find, err) < 0 ||
	    db_prepare(c->db, FORGET, &c->forget, err) < 0)
		return -1;
	return 0;
}

static void close_db(struct blobcache *c)
{
	db_finalize(c->add);
	db_finalize(c->find);
	db_finalize(c->forget);
	db_close(c->db);
	c->add = c->find = c->forget = NULL;
	c->db = NULL;
}

/* A damaged file is moved out of the way once; a second failure means no cache. */
static int open_or_recreate(const char *path, struct blobcache *c)
{
	cleanup_error dray_error *err = NULL;

	if (open_at(path, c, &err) == 0)
		return 0;
	close_db(c);
	if (dray_error_kind(err) != DRAY_ERR_CORRUPT)
		return -1;
	if (io_unlinkat(AT_FDCWD, path, NULL) < 0 || open_at(path, c, NULL) < 0) {
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
	cleanup_stmt struct db_stmt *st = NULL;

	if (db_prepare(c->db, TRIM, &st, NULL) < 0)
		return;
	db_bind_int(st, 1, CACHE_ROWS_MAX);
	(void)!db_run(st, NULL);
}

void blobcache_close(struct blobcache *c)
{
	if (!c)
		return;
	if (c->db && db_changed(c->db) > 0)
		trim(c);
	close_db(c);
	lock_free(c->lock);
	mem_free(c);
}

static void bind_text(struct db_stmt *st, int at, const char *text)
{
	db_bind_text(st, at, span_str(text));
}

void blobcache_add(struct blobcache *c, const struct digest *diff_id,
		   const struct blobcache_entry *e)
{
	if (!c)
		return;
	lock_take(c->lock);
	bind_text(c->add, 1, diff_id->text);
	bind_text(c->add, 2, e->blob_digest.text);
	db_bind_int(c->add, 3, e->blob_size);
	db_bind_int(c->add, 4, (int)e->compression);
	bind_text(c->add, 5, e->encoder);
	bind_text(c->add, 6, e->repository);
	db_bind_int(c->add, 7, (int64_t)time(NULL));
	(void)!db_run(c->add, NULL);
	lock_drop(c->lock);
}

/* Column @p at as text into @p ret of @p size bytes; false when it does not fit or is no text. */
static bool read_text(struct db_stmt *st, int at, char *ret, size_t size)
{
	struct span text = db_column_text(st, at);

	if (!text.data || text.len >= size || memchr(text.data, 0, text.len))
		return false;
	memcpy(ret, text.data, text.len);
	ret[text.len] = 0;
	return true;
}

/* A row into @p e; false when it is not what we would have written. */
static bool read_row(struct db_stmt *st, struct blobcache_entry *e)
{
	int64_t compression = db_column_int(st, 2);

	if (compression < COMPRESSION_NONE || compression > COMPRESSION_ZSTD ||
	    db_column_int(st, 1) < 0 || !read_text(st, 3, e->encoder, sizeof(e->encoder)) ||
	    !read_text(st, 4, e->repository, sizeof(e->repository)))
		return false;
	if (digest_parse(db_column_text(st, 0), &e->blob_digest, NULL) < 0)
		return false;
	e->blob_size = db_column_int(st, 1);
	e->compression = (enum compression)compression;
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
	db_bind_int(c->find, 3, (int64_t)max);
	while (n < max && db_step(c->find, NULL) > 0)
		if (read_row(c->find, &ret[n]))
			n++;
	db_reset(c->find);
	lock_drop(c->lock);
	return n;
}

static bool any_row(struct blobcache *c, const char *host)
{
	cleanup_stmt struct db_stmt *st = NULL;

	if (db_prepare(c->db, ANY, &st, NULL) < 0)
		return false;
	bind_text(st, 1, host);
	return db_step(st, NULL) > 0;
}

bool blobcache_any(struct blobcache *c, const char *host)
{
	bool ret;

	if (!c)
		return false;
	lock_take(c->lock);
	ret = any_row(c, host);
	lock_drop(c->lock);
	return ret;
}

void blobcache_forget(struct blobcache *c, const struct digest *blob_digest, const char *repository)
{
	if (!c)
		return;
	lock_take(c->lock);
	bind_text(c->forget, 1, blob_digest->text);
	bind_text(c->forget, 2, repository);
	(void)!db_run(c->forget, NULL);
	lock_drop(c->lock);
}
