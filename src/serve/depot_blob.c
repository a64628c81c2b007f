/* SPDX-License-Identifier: Apache-2.0
 *
 * For: blobs of the folder: who may read them, how they come to be, how they are let go of.
 * Relies on: rename(2) being atomic; the writer's lock between a rename and its commit.
 * Promises: a repository reads what it was given and nothing else; the database names no
 * blob that is not on the disk; a damaged one is as if it were not there, so a push repairs it.
 */
#include "serve/depot_priv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/io.h"
#include "base/mem.h"

static void blob_folder(const struct digest *digest, char ret[BLOB_PATH])
{
	const char *hex = digest_hex(digest);
	int algo = (int)(hex - digest->text) - 1;

	snprintf(ret, BLOB_PATH, "%.*s/%.2s", algo, digest->text, hex);
}

void depot_blob_path(const struct digest *digest, char ret[BLOB_PATH])
{
	const char *hex = digest_hex(digest);
	int algo = (int)(hex - digest->text) - 1;

	snprintf(ret, BLOB_PATH, "%.*s/%.2s/%s", algo, digest->text, hex, hex);
}

static int unknown(dray_error **err)
{
	return shelf_refuse(err, SHELF_BLOB_UNKNOWN, "the repository has no such blob");
}

int depot_link_find(struct depot_side *side, const char *repo, const struct digest *digest,
		    struct link *ret, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(side, Q_LINK_FIND, err);
	int rc;

	if (!st)
		return -1;
	db_bind_text(st, 1, span_str(repo));
	db_bind_text(st, 2, span_str(digest->text));
	rc = db_step(st, err);
	if (rc <= 0)
		return rc;
	*ret = (struct link){ .repo = db_column_int(st, 0),
			      .blob = db_column_int(st, 1),
			      .size = db_column_int(st, 2),
			      .seen = db_column_int(st, 3),
			      .held = db_column_int(st, 4) != 0 };
	return 1;
}

static int read_link(struct depot *d, const char *repo, const struct digest *digest,
		     struct link *ret, dray_error **err)
{
	int rc;

	lock_take(d->reader.lock);
	rc = depot_link_find(&d->reader, repo, digest, ret, err);
	lock_drop(d->reader.lock);
	return rc;
}

int depot_blob_there(const struct depot *d, const struct digest *digest, int64_t size,
		     dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	char path[BLOB_PATH];
	struct stat st;

	depot_blob_path(digest, path);
	if (io_fstatat(d->blobs, path, AT_SYMLINK_NOFOLLOW, &st, &why) == 0)
		return S_ISREG(st.st_mode) && st.st_size == size;
	if (dray_error_kind(why) == DRAY_ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = steal_pointer(&why);
	return -1;
}

/*
 * Who asks for a blob that no manifest needs is about to push one that does: gc must know
 * . 1, 0 = gc was faster, -1.
 */
static int touch(struct depot *d, const struct link *l, dray_error **err)
{
	int64_t now = depot_now(d), before;
	const int64_t n[] = { l->repo, l->blob, now };
	bool there;

	if (d->o.read_only || l->held || (l->seen <= now && now - l->seen < DEPOT_TOUCH_AFTER))
		return 1;
	if (depot_begin(d, err) < 0)
		return -1;
	before = db_changed(d->writer.db);
	if (side_run(&d->writer, Q_LINK_TOUCH, n, ARRAY_LEN(n), err) < 0)
		return depot_abort(d);
	there = db_changed(d->writer.db) > before;
	return depot_commit(d, err) < 0 ? -1 : there;
}

static int open_blob(const struct depot *d, const struct digest *digest, struct shelf_blob *ret,
		     dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	char path[BLOB_PATH];

	depot_blob_path(digest, path);
	ret->fd = io_openat(d->blobs, path, O_RDONLY | O_NOFOLLOW, 0, &why);
	if (ret->fd >= 0)
		return 0;
	if (dray_error_kind(why) == DRAY_ERR_NOT_FOUND)
		return unknown(err);
	if (err)
		*err = steal_pointer(&why);
	return -1;
}

int depot_blob(struct shelf *s, const char *repo, const struct digest *digest, bool content,
	       struct shelf_blob *ret, dray_error **err)
{
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	struct depot *d = depot_of(s);
	struct link l;
	int rc = read_link(d, repo, digest, &l, err);

	if (rc > 0)
		rc = depot_blob_there(d, digest, l.size, err);
	if (rc > 0 && !content && !d->cache)
		rc = touch(d, &l, err);
	if (rc <= 0)
		return rc < 0 ? -1 : unknown(err);
	if (content && open_blob(d, digest, &b, err) < 0)
		return -1;
	/* Nothing depends on its staying: what cannot be noted now is the next time. */
	if (d->cache)
		(void)!touch(d, &l, NULL);
	b.size = l.size;
	*ret = b;
	b = SHELF_BLOB_INIT;
	return 0;
}

/* ---- new ones ---- */

/* The name of a folder that is the first for its blobs has to last. */
static int sync_place(const struct depot *d, const struct digest *digest, dray_error **err)
{
	char path[BLOB_PATH];

	blob_folder(digest, path);
	*strchr(path, '/') = 0;
	cleanup_fd int parent = io_openat(d->blobs, path, O_RDONLY | O_DIRECTORY, 0, err);
	return parent < 0 ? -1 : io_fsync(parent, err);
}

/* The folder of a blob, made when it is the first there. */
static int open_place(const struct depot *d, const struct digest *digest, dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	char path[BLOB_PATH];
	int fd;

	blob_folder(digest, path);
	fd = io_openat(d->blobs, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &why);
	if (fd >= 0)
		return fd;
	if (dray_error_kind(why) != DRAY_ERR_NOT_FOUND) {
		if (err)
			*err = steal_pointer(&why);
		return -1;
	}
	if (io_mkdirat(d->blobs, path, 0700, true, err) < 0)
		return -1;
	if (sync_place(d, digest, err) < 0) {
		/* Else the next push would find it, and take it for synced. */
		(void)!io_rmdirat(d->blobs, path, NULL);
		return -1;
	}
	return io_openat(d->blobs, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
}

static int move_in(const struct depot *d, const char *name, const struct digest *digest,
		   dray_error **err)
{
	cleanup_fd int place = open_place(d, digest, err);

	if (place < 0 || io_moveat(d->uploads, name, place, digest_hex(digest), false, err) < 0)
		return -1;
	return io_fsync(place, err);
}

int depot_blob_find(struct depot *d, struct depot_side *side, const struct digest *digest,
		    int64_t *ret, int64_t *ret_size, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(side, Q_BLOB_FIND, err);
	int rc;

	if (!st)
		return -1;
	db_bind_text(st, 1, span_str(digest->text));
	rc = db_step(st, err);
	if (rc <= 0)
		return rc;
	*ret = db_column_int(st, 0);
	*ret_size = db_column_int(st, 1);
	return depot_blob_there(d, digest, *ret_size, err);
}

/* 1 = it is new, 0 = it was known, -1. */
static int blob_row(struct depot *d, const struct digest *digest, int64_t size, int64_t *ret,
		    dray_error **err)
{
	cleanup_reset struct db_stmt *find = side_query(&d->writer, Q_BLOB_FIND, err);
	cleanup_reset struct db_stmt *add = NULL;
	int rc;

	if (!find)
		return -1;
	db_bind_text(find, 1, span_str(digest->text));
	rc = db_step(find, err);
	if (rc != 0) {
		if (rc > 0)
			*ret = db_column_int(find, 0);
		return rc < 0 ? -1 : 0;
	}
	add = side_query(&d->writer, Q_BLOB_ADD, err);
	if (!add)
		return -1;
	db_bind_text(add, 1, span_str(digest->text));
	db_bind_int(add, 2, size);
	if (db_run(add, err) < 0)
		return -1;
	*ret = db_last_key(d->writer.db);
	return 1;
}

int depot_link_set(struct depot *d, const char *repo, int64_t blob, dray_error **err)
{
	int64_t n[] = { 0, blob, depot_now(d) };

	if (depot_repo_need(d, repo, &n[0], err) < 0)
		return -1;
	return side_run(&d->writer, Q_LINK_SET, n, ARRAY_LEN(n), err);
}

int depot_blob_add(struct depot *d, const char *repo, const char *name, const struct digest *digest,
		   int64_t size, dray_error **err)
{
	int64_t blob;
	int is_new;

	/* Under the writer's lock, so that gc can't take what has its name and not yet its row. */
	if (depot_begin(d, err) < 0)
		return -1;
	if (move_in(d, name, digest, err) < 0) {
		depot_abort(d);
		return depot_disk_failed(err);
	}
	is_new = blob_row(d, digest, size, &blob, err);
	if (is_new < 0 || depot_link_set(d, repo, blob, err) < 0) {
		depot_abort(d);
		return depot_disk_failed(err);
	}
	return depot_commit(d, err) < 0 ? -1 : is_new;
}

/* ---- given on, let go of ---- */

/* In the transaction: 1 = done, 0 = the source has no such blob, or not whole, -1. */
static int mount(struct depot *d, const char *repo, const struct digest *digest, const char *from,
		 dray_error **err)
{
	struct link l;
	int rc = depot_link_find(&d->writer, from, digest, &l, err);

	if (rc > 0)
		rc = depot_blob_there(d, digest, l.size, err);
	if (rc > 0 && depot_link_set(d, repo, l.blob, err) < 0)
		rc = -1;
	return rc;
}

int depot_mount(struct shelf *s, const char *repo, const struct digest *digest, const char *from,
		dray_error **err)
{
	struct depot *d = depot_of(s);
	int rc;

	if (!from) /* that would tell what repositories of others have */
		return 0;
	if (depot_begin(d, err) < 0)
		return -1;
	rc = mount(d, repo, digest, from, err);
	if (rc > 0)
		return depot_commit(d, err) < 0 ? -1 : 1;
	depot_abort(d);
	return rc < 0 ? depot_disk_failed(err) : 0;
}

static int refuse_held(struct depot *d, const struct link *l, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&d->writer, Q_HOLD_WHO, err);
	struct span who;

	if (!st)
		return -1;
	db_bind_int(st, 1, l->repo);
	db_bind_int(st, 2, l->blob);
	if (db_step(st, err) < 0)
		return -1;
	who = db_column_text(st, 0);
	return shelf_refuse(err, SHELF_KEPT, "manifest %.*s needs this blob: delete that first",
			    (int)who.len, (const char *)who.data);
}

static int drop_link(struct depot *d, const char *repo, const struct digest *digest,
		     dray_error **err)
{
	struct link l;
	int rc = depot_link_find(&d->writer, repo, digest, &l, err);

	if (rc <= 0)
		return rc < 0 ? -1 : unknown(err);
	if (l.held)
		return refuse_held(d, &l, err);
	return side_run(&d->writer, Q_LINK_DROP, (int64_t[]){ l.repo, l.blob }, 2, err);
}

int depot_remove_blob(struct shelf *s, const char *repo, const struct digest *digest,
		      dray_error **err)
{
	struct depot *d = depot_of(s);

	if (d->o.no_delete)
		return shelf_refuse(err, SHELF_UNSUPPORTED, "nothing can be deleted here");
	if (depot_begin(d, err) < 0)
		return -1;
	if (drop_link(d, repo, digest, err) < 0) {
		depot_abort(d);
		return depot_disk_failed(err);
	}
	return depot_commit(d, err);
}
