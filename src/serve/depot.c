/* SPDX-License-Identifier: Apache-2.0
 *
 * For: opening and closing the folder of a registry.
 * Relies on: flock(2), so that one process has it; what a killed one left is told by names.
 * Promises: a folder that is none of ours is left alone; ours is for its owner's eyes only.
 */
#include "serve/depot_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"

#define LOCK_FILE "lock"
#define BLOBS "blobs"
#define UPLOADS "uploads"
#define SCHEMA_VERSION 1
#define FOLDER_MODE 0700
#define SHOWN 512 /* bytes of a path that an error shows */

const struct shelf_write_ops DEPOT_WRITE_OPS = {
	.begin = depot_upload_begin,
	.open = depot_upload_open,
	.append = depot_upload_append,
	.close = depot_upload_close,
	.finish = depot_upload_finish,
	.status = depot_upload_status,
	.cancel = depot_upload_cancel,
	.mount = depot_mount,
	.put = depot_put,
	.remove = depot_remove,
	.remove_blob = depot_remove_blob,
};

int64_t depot_now(const struct depot *d)
{
	return d->o.now ? d->o.now() : (int64_t)time(NULL);
}

int depot_disk_failed(dray_error **err)
{
	int errnum = err && *err ? dray_error_errno(*err) : 0;

	if (errnum != ENOSPC && errnum != EDQUOT && errnum != EFBIG)
		return -1;
	err_clear(err);
	return shelf_refuse(err, SHELF_DISK_FULL, "the disk of the registry is full");
}

int depot_disk_has_room(const struct depot *d, dray_error **err)
{
	int64_t left;

	if (io_space(d->root, &left, err) < 0)
		return -1;
	if (left > DISK_RESERVE)
		return 0;
	return shelf_refuse(err, SHELF_DISK_FULL, "the disk of the registry is full");
}

static bool has_name(const struct io_names *there, const char *name)
{
	for (size_t i = 0; i < there->n; i++)
		if (strcmp(there->list[i], name) == 0)
			return true;
	return false;
}

/* The journal is SQLite's, of its first moments: a power cut may leave its name alone. */
static bool is_first_made(const char *name)
{
	static const char *const made[] = { LOCK_FILE, BLOBS, UPLOADS, DEPOT_DATABASE "-journal" };

	for (size_t i = 0; i < ARRAY_LEN(made); i++)
		if (strcmp(name, made[i]) == 0)
			return true;
	return false;
}

/*
 * An empty one is ours to take. One with a lock, which many programs call so, is ours with the
 * database, or when there is nothing but what we make before that, as a kill leaves it.
 */
static bool is_ours(const struct io_names *there)
{
	size_t made = 0;

	if (!has_name(there, LOCK_FILE))
		return there->n == 0;
	for (size_t i = 0; i < there->n; i++)
		made += is_first_made(there->list[i]);
	return has_name(there, DEPOT_DATABASE) || there->n == made;
}

static int open_lock(struct depot *d, bool *ret_new, dray_error **err)
{
	cleanup_io_names struct io_names there = { 0 };

	if (io_list(d->root, &there, err) < 0)
		return -1;
	if (!is_ours(&there))
		return err_set(err, DRAY_ERR_USAGE, "it has files, but is no folder of dray serve");
	*ret_new = !has_name(&there, DEPOT_DATABASE);
	d->lock = io_openat(d->root, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, err);
	return d->lock < 0 ? -1 : 0;
}

static int take_lock(struct depot *d, bool *ret_new, dray_error **err)
{
	int held;

	if (open_lock(d, ret_new, err) < 0)
		return -1;
	held = io_flock(d->lock, LOCK_EX | LOCK_NB, err);
	return held ? (held < 0 ? -1 : 0) : err_sys(err, EBUSY, "another process has it");
}

/* The name of a new folder has to last. Whoever may not list what it lies in did not make it. */
static int sync_parent(const struct depot *d, dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	cleanup_fd int parent = io_openat(d->root, "..", O_RDONLY | O_DIRECTORY, 0, &why);

	if (parent >= 0)
		return io_fsync(parent, err);
	if (dray_error_errno(why) == EACCES)
		return 0;
	if (err)
		*err = steal_pointer(&why);
	return -1;
}

/* The lock is on the disk before anything else is in it: without one it would be none of ours. */
static int sync_new(const struct depot *d, dray_error **err)
{
	return io_fsync(d->root, err) < 0 ? -1 : sync_parent(d, err);
}

static int keep_private(struct depot *d, dray_error **err)
{
	struct stat st;

	if (io_fstat(d->root, &st, err) < 0)
		return -1;
	return (st.st_mode & 077) ? io_fchmod(d->root, FOLDER_MODE, err) : 0;
}

static int open_folder(int at, const char *name, dray_error **err)
{
	if (io_mkdirat(at, name, FOLDER_MODE, true, err) < 0)
		return -1;
	return io_openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
}

/* No upload outlives the process that its client spoke to. What is none stays. */
static int drop_upload(void *arg, const char *name, dray_error **err)
{
	const struct depot *d = arg;

	return hex_is_lower(span_str(name), SESSION_ID) ? io_unlinkat(d->uploads, name, err) : 0;
}

/* Synced at every start: a process that made folders in it may have been killed before it did. */
static int open_algo(const struct depot *d, const char *algo, dray_error **err)
{
	cleanup_fd int fd = open_folder(d->blobs, algo, err);

	return fd < 0 ? -1 : io_fsync(fd, err);
}

static int open_folders(struct depot *d, dray_error **err)
{
	static const char *const algos[] = { "sha256", "sha512" };

	d->blobs = open_folder(d->root, BLOBS, err);
	if (d->blobs < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(algos); i++)
		if (open_algo(d, algos[i], err) < 0)
			return -1;
	d->uploads = open_folder(d->root, UPLOADS, err);
	if (d->uploads < 0)
		return -1;
	if (!d->o.leave_uploads && io_each_name(d->uploads, drop_upload, d, err) < 0)
		return -1;
	return io_fsync(d->blobs, err);
}

static int make_schema(struct depot *d, dray_error **err)
{
	if (depot_begin(d, err) < 0)
		return -1;
	if (db_exec(d->writer.db, DEPOT_SCHEMA, err) < 0 || cache_open(d, true, err) < 0)
		return depot_abort(d);
	return depot_commit(d, err);
}

static int check_schema(struct depot *d, dray_error **err)
{
	int64_t version;

	if (db_version(d->writer.db, &version, err) < 0)
		return -1;
	if (version == SCHEMA_VERSION)
		return cache_open(d, false, err);
	if (version != 0)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       DEPOT_DATABASE " is of a later dray (version %lld)",
			       (long long)version);
	return make_schema(d, err);
}

static int count_space(struct depot *d, dray_error **err)
{
	cleanup_reset struct db_stmt *st = side_query(&d->reader, Q_BLOB_TOTAL, err);

	if (!st || db_step(st, err) < 0)
		return -1;
	d->space = db_column_int(st, 0);
	return 0;
}

static int open_database(struct depot *d, const char *dir, dray_error **err)
{
	cleanup_free char *real = io_realpath(dir, err);
	cleanup_free char *path = real ? mem_printf("%s/" DEPOT_DATABASE, real) : NULL;

	if (!real)
		return -1;
	if (!path)
		return err_nomem(err);
	if (side_open(&d->writer, path, err) < 0 || check_schema(d, err) < 0 ||
	    side_open(&d->reader, path, err) < 0 || count_space(d, err) < 0)
		return err_ctx(err, DEPOT_DATABASE);
	return io_fsync(d->root, err);
}

static void depot_free(struct shelf *s)
{
	struct depot *d = depot_of(s);

	sessions_clear(d);
	side_close(&d->reader);
	side_close(&d->writer);
	cleanup_fd_fn(&d->uploads);
	cleanup_fd_fn(&d->blobs);
	cleanup_fd_fn(&d->lock);
	cleanup_fd_fn(&d->root);
	lock_free(d->evicting);
	mem_free(d);
}

static int depot_health(struct shelf *s, dray_error **err)
{
	struct depot *d = depot_of(s);
	int64_t version;
	int rc;

	lock_take(d->reader.lock);
	rc = db_version(d->reader.db, &version, err);
	lock_drop(d->reader.lock);
	return rc;
}

const struct shelf_ops DEPOT_OPS = {
	.repositories = depot_repositories,
	.tags = depot_tags,
	.manifest = depot_manifest,
	.blob = depot_blob,
	.referrers = depot_referrers,
	.untagged = depot_untagged,
	.health = depot_health,
	.state = depot_state,
	.free = depot_free,
};

static struct depot *depot_new(const struct depot_options *o, dray_error **err)
{
	struct depot *d = mem_zalloc(sizeof(*d));

	if (!d) {
		err_nomem(err);
		return NULL;
	}
	d->o = *o;
	d->o.uploads_max = o->uploads_max ? o->uploads_max : DEPOT_UPLOADS;
	d->o.upload_idle = o->upload_idle ? o->upload_idle : DEPOT_UPLOAD_IDLE;
	d->unseen = MIB; /* it was not looked at */
	d->root = d->blobs = d->uploads = d->lock = -1;
	d->shelf.ops = &DEPOT_OPS;
	d->shelf.write = o->read_only ? NULL : &DEPOT_WRITE_OPS;
	return d;
}

static int open_root(struct depot *d, const char *dir, dray_error **err)
{
	if (io_mkdirat(AT_FDCWD, dir, FOLDER_MODE, true, err) == 0)
		d->root = io_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0, err);
	if (d->root >= 0)
		return 0;
	/* Nobody named something to be found: there is no place to make it. */
	if (err && *err && dray_error_kind(*err) == DRAY_ERR_NOT_FOUND)
		err_rekind(err, DRAY_ERR_SYSTEM);
	return -1;
}

static int open_all(struct depot *d, const char *dir, dray_error **err)
{
	bool is_new = false;

	d->sessions.lock = lock_new(err);
	if (!d->sessions.lock)
		return -1;
	d->evicting = lock_new(err);
	if (!d->evicting)
		return -1;
	if (open_root(d, dir, err) < 0 || take_lock(d, &is_new, err) < 0 ||
	    (is_new && sync_new(d, err) < 0) || keep_private(d, err) < 0 ||
	    open_folders(d, err) < 0)
		return -1;
	return open_database(d, dir, err);
}

int depot_open(const char *dir, const struct depot_options *o, struct shelf **ret, dray_error **err)
{
	struct depot *d = depot_new(o, err);
	cleanup_shelf struct shelf *s = d ? &d->shelf : NULL;

	if (!s)
		return -1;
	if (open_all(d, dir, err) < 0) {
		cleanup_free char *shown = text_safe(span_str(dir), SHOWN);

		return err_ctx(err, "%s", shown ? shown : "folder");
	}
	*ret = steal_pointer(&s);
	return 0;
}
