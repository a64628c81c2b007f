/* SPDX-License-Identifier: Apache-2.0
 *
 * For: uploads under way, from the first request about them to the last.
 * Relies on: the kernel's random numbers for names nobody guesses; one lock for the table.
 * Promises: one request holds an upload at a time, others are refused at once; whoever
 * comes by another repository finds nothing. An upload that nobody holds has no open file.
 */
#include "serve/depot_priv.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/number.h"

#define EVICT_AFTER 60 /* seconds: who waited this long may have to go for others, or their bytes */
#define READ_STEP (256 * 1024)

static struct session *session_of(struct shelf_upload *u)
{
	return (struct session *)u;
}

/* ---- space ---- */

static bool take_space(struct depot *d, int64_t bytes)
{
	bool fits;

	lock_take(d->sessions.lock);
	fits = !d->o.quota || bytes <= d->o.quota - d->space;
	if (fits)
		d->space += bytes;
	lock_drop(d->sessions.lock);
	return fits;
}

int depot_over_quota(const struct depot *d, dray_error **err)
{
	return shelf_refuse(err, SHELF_NO_SPACE, "the registry may hold %lld bytes, and does",
			    (long long)d->o.quota);
}

int depot_take_space(struct depot *d, int64_t bytes, dray_error **err)
{
	if (take_space(d, bytes))
		return 0;
	if (d->cache && cache_evict(d, bytes, err) < 0)
		return -1;
	if (d->cache && take_space(d, bytes))
		return 0;
	return depot_over_quota(d, err);
}

void depot_give_space(struct depot *d, int64_t bytes)
{
	lock_take(d->sessions.lock);
	d->space -= bytes;
	lock_drop(d->sessions.lock);
}

/* ---- the table; all under its lock ---- */

static struct session **bucket_of(struct sessions *t, const char *id)
{
	uint8_t first[2];

	/* The ids are random numbers: so are their first digits. */
	hex_decode(id, first, sizeof(first));
	return &t->bucket[(first[0] << 8 | first[1]) % SESSION_BUCKETS];
}

static struct session *table_find(struct sessions *t, const char *repo, const char *id)
{
	struct session *u;

	if (!hex_is_lower(span_str(id), SESSION_ID))
		return NULL;
	u = *bucket_of(t, id);
	while (u && strcmp(u->id, id) != 0)
		u = u->next;
	return u && strcmp(u->repo, repo) == 0 ? u : NULL;
}

static void table_remove(struct sessions *t, struct session *u)
{
	struct session **at = bucket_of(t, u->id);

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	t->n--;
}

static void idle_push(struct sessions *t, struct session *u)
{
	u->older = t->newest;
	u->newer = NULL;
	*(t->newest ? &t->newest->newer : &t->oldest) = u;
	t->newest = u;
}

static void idle_remove(struct sessions *t, struct session *u)
{
	*(u->older ? &u->older->newer : &t->oldest) = u->newer;
	*(u->newer ? &u->newer->older : &t->newest) = u->older;
}

static void session_free(struct session *u)
{
	if (!u)
		return;
	hash_clear(&u->hash);
	cleanup_fd_fn(&u->fd);
	mem_free(u->repo);
	mem_free(u);
}

/* One that nobody holds. */
static void session_drop(struct depot *d, struct session *u)
{
	idle_remove(&d->sessions, u);
	table_remove(&d->sessions, u);
	d->space -= u->base.size;
	/* A file that stays is swept when the folder is next opened. */
	(void)!io_unlinkat(d->uploads, u->id, NULL);
	session_free(u);
}

static void expire(struct depot *d, int64_t now)
{
	struct sessions *t = &d->sessions;

	while (t->oldest && now - t->oldest->used >= d->o.upload_idle)
		session_drop(d, t->oldest);
}

void sessions_expire(struct depot *d)
{
	lock_take(d->sessions.lock);
	expire(d, depot_now(d));
	lock_drop(d->sessions.lock);
}

void sessions_clear(struct depot *d)
{
	while (d->sessions.oldest)
		session_drop(d, d->sessions.oldest);
	lock_free(d->sessions.lock);
}

static int table_add(struct depot *d, struct session *u, dray_error **err)
{
	struct sessions *t = &d->sessions;
	struct session **at = bucket_of(t, u->id);

	expire(d, u->used);
	if (t->n >= d->o.uploads_max) {
		if (!t->oldest || u->used - t->oldest->used < EVICT_AFTER)
			return shelf_refuse(err, SHELF_TOOMANYREQUESTS, "%zu uploads are open",
					    t->n);
		session_drop(d, t->oldest);
	}
	u->next = *at;
	*at = u;
	idle_push(t, u);
	t->n++;
	return 0;
}

/* ---- begin, open, append, close ---- */

static struct session *session_new(struct depot *d, const char *repo, dray_error **err)
{
	struct session *u = mem_zalloc(sizeof(*u));
	uint8_t id[SESSION_ID / 2];

	if (!u) {
		err_nomem(err);
		return NULL;
	}
	u->fd = -1;
	u->repo = mem_strdup(repo);
	if (!u->repo)
		err_nomem(err);
	if (!u->repo || io_random(id, sizeof(id), err) < 0) {
		session_free(u);
		return NULL;
	}
	hex_encode(id, sizeof(id), u->id);
	u->used = depot_now(d);
	return u;
}

int depot_upload_begin(struct shelf *s, const char *repo, char ret[SHELF_UPLOAD_ID],
		       dray_error **err)
{
	struct depot *d = depot_of(s);
	struct session *u = session_new(d, repo, err);
	int rc;

	if (!u)
		return -1;
	snprintf(ret, SHELF_UPLOAD_ID, "%s", u->id);
	lock_take(d->sessions.lock);
	rc = table_add(d, u, err);
	lock_drop(d->sessions.lock);
	if (rc < 0)
		session_free(u);
	return rc;
}

static int unknown(dray_error **err)
{
	return shelf_refuse(err, SHELF_BLOB_UPLOAD_UNKNOWN, "the repository has no such upload");
}

/* Under the lock. */
static struct session *hold(struct depot *d, const char *repo, const char *id, int64_t off,
			    dray_error **err)
{
	struct session *u;

	expire(d, depot_now(d));
	u = table_find(&d->sessions, repo, id);
	if (!u) {
		unknown(err);
		return NULL;
	}
	if (u->held) {
		shelf_refuse(err, SHELF_RANGE_INVALID, "another request holds this upload");
		return NULL;
	}
	if (off >= 0 && off != u->base.size) {
		shelf_refuse(err, SHELF_RANGE_INVALID, "the upload has %lld bytes, not %lld",
			     (long long)u->base.size, (long long)off);
		return NULL;
	}
	idle_remove(&d->sessions, u);
	u->held = true;
	return u;
}

/* Nobody holds it from now on; what was cancelled meanwhile goes. */
static void let_go(struct depot *d, struct session *u)
{
	cleanup_fd_fn(&u->fd);
	u->fd = -1;
	lock_take(d->sessions.lock);
	u->held = false;
	u->used = depot_now(d);
	if (u->gone) {
		d->space -= u->base.size;
		session_free(u);
	} else {
		idle_push(&d->sessions, u);
	}
	lock_drop(d->sessions.lock);
}

/* Under the lock; @p u is held: whoever holds it finds out, its bytes go with the open file. */
static void disown_locked(struct depot *d, struct session *u)
{
	u->gone = true;
	table_remove(&d->sessions, u);
	(void)!io_unlinkat(d->uploads, u->id, NULL);
}

static void disown(struct depot *d, struct session *u)
{
	lock_take(d->sessions.lock);
	if (!u->gone)
		disown_locked(d, u);
	lock_drop(d->sessions.lock);
}

/*
 * 1, 0 = the bytes that its hash has seen are not there, -1. Only what has none yet is made: a new
 * file in the place of a lost one would be a blob of zeros under the digest of what was sent.
 */
static int open_file(const struct depot *d, struct session *u, dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	int make = u->base.size ? 0 : O_CREAT;
	struct stat st;

	u->fd = io_openat(d->uploads, u->id, O_RDWR | O_NOFOLLOW | make, 0600, &why);
	if (u->fd >= 0)
		return io_fstat(u->fd, &st, err) < 0 ? -1 : st.st_size >= u->base.size;
	if (dray_error_kind(why) == DRAY_ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = steal_pointer(&why);
	return -1;
}

int depot_upload_open(struct shelf *s, const char *repo, const char *id, int64_t off,
		      struct shelf_upload **ret, dray_error **err)
{
	struct depot *d = depot_of(s);
	struct session *u;
	int rc;

	lock_take(d->sessions.lock);
	u = hold(d, repo, id, off, err);
	lock_drop(d->sessions.lock);
	if (!u)
		return -1;
	rc = open_file(d, u, err);
	if (rc > 0 && !u->hash.ctx && hash_init(&u->hash, DIGEST_SHA256, err) < 0)
		rc = -1;
	if (rc > 0) {
		*ret = &u->base;
		return 0;
	}
	if (rc == 0)
		disown(d, u);
	let_go(d, u);
	return rc < 0 ? depot_disk_failed(err) : unknown(err);
}

/* Bytes are there, or there may be: what the client may count on. 0 = it was cancelled. */
static bool grow(struct depot *d, struct session *u, int64_t n)
{
	bool gone;

	lock_take(d->sessions.lock);
	gone = u->gone;
	if (!gone)
		u->base.size += n;
	lock_drop(d->sessions.lock);
	return !gone;
}

/* Whether a MiB has come since the disk was looked at. */
static bool has_unseen(struct depot *d, int64_t more)
{
	bool ret;

	lock_take(d->sessions.lock);
	d->unseen += more;
	ret = d->unseen >= MIB;
	lock_drop(d->sessions.lock);
	return ret;
}

/* Some file systems take their time to say; one that is full is asked each time. */
static int check_disk(struct depot *d, int64_t more, dray_error **err)
{
	if (!has_unseen(d, more))
		return 0;
	if (depot_disk_has_room(d, err) < 0)
		return -1;
	lock_take(d->sessions.lock);
	d->unseen = 0;
	lock_drop(d->sessions.lock);
	return 0;
}

static int take_room(struct depot *d, int64_t more, dray_error **err)
{
	return check_disk(d, more, err) < 0 ? -1 : depot_take_space(d, more, err);
}

/* Whether any upload that nobody went on with has made room. */
static bool evict(struct depot *d)
{
	struct sessions *t = &d->sessions;
	int64_t now = depot_now(d);
	size_t before;
	bool any;

	lock_take(t->lock);
	before = t->n;
	while (t->oldest && now - t->oldest->used >= EVICT_AFTER)
		session_drop(d, t->oldest);
	any = t->n < before;
	lock_drop(t->lock);
	return any;
}

static int make_room(struct depot *d, int64_t more, dray_error **err)
{
	cleanup_error dray_error *why = NULL;

	if (take_room(d, more, &why) == 0)
		return 0;
	if (evict(d))
		return take_room(d, more, err);
	if (err)
		*err = steal_pointer(&why);
	return -1;
}

int depot_upload_append(struct shelf *s, struct shelf_upload *up, struct span bytes,
			dray_error **err)
{
	struct depot *d = depot_of(s);
	struct session *u = session_of(up);
	int64_t n = (int64_t)bytes.len;

	if (d->o.blob_max && n > d->o.blob_max - up->size)
		return shelf_refuse(err, SHELF_SIZE_INVALID, "a blob may have %lld bytes",
				    (long long)d->o.blob_max);
	if (make_room(d, n, err) < 0)
		return -1;
	if (io_pwrite_all(u->fd, bytes, up->size, err) < 0) {
		depot_give_space(d, n);
		return depot_disk_failed(err);
	}
	if (!grow(d, u, n)) {
		depot_give_space(d, n);
		return unknown(err);
	}
	hash_update(&u->hash, bytes);
	io_writeback(u->fd, &u->begun, up->size);
	return 0;
}

void depot_upload_close(struct shelf *s, struct shelf_upload *up)
{
	let_go(depot_of(s), session_of(up));
}

/* ---- finish ---- */

static int shorter(dray_error **err)
{
	return err_set(err, DRAY_ERR_CORRUPT, "an upload has become shorter");
}

/* The hash that ran along is sha256: what is to be another is read again. */
static int hash_file(const struct session *u, enum digest_algo algo, struct digest *ret,
		     dray_error **err)
{
	cleanup_hash struct hash h = { 0 };
	cleanup_free uint8_t *piece = mem_alloc(READ_STEP);

	if (!piece)
		return err_nomem(err);
	if (hash_init(&h, algo, err) < 0)
		return -1;
	for (int64_t off = 0; off < u->base.size;) {
		int64_t left = u->base.size - off;
		int64_t n = io_pread(u->fd, piece, left < READ_STEP ? (size_t)left : READ_STEP, off,
				     err);

		if (n < 0)
			return -1;
		if (n == 0)
			return shorter(err);
		hash_update(&h, span_of(piece, (size_t)n));
		off += n;
	}
	return hash_finish(&h, ret, err);
}

static int prove(struct session *u, const struct digest *want, dray_error **err)
{
	struct digest got;
	int rc;

	if (digest_set(&u->proven) && digest_eq(&u->proven, want))
		return 0;
	if (want->algo != DIGEST_SHA256 && want->algo != DIGEST_SHA512)
		return shelf_refuse(err, SHELF_DIGEST_INVALID, "sha256 and sha512 are stored here");
	rc = want->algo == DIGEST_SHA256 ? hash_finish(&u->hash, &got, err)
					 : hash_file(u, want->algo, &got, err);
	if (rc < 0)
		return -1;
	if (!digest_eq(&got, want))
		return shelf_refuse(err, SHELF_DIGEST_INVALID, "the %lld bytes sent are %s",
				    (long long)u->base.size, got.text);
	u->proven = got;
	return 0;
}

int depot_upload_prove(struct shelf_upload *u, const struct digest *digest, dray_error **err)
{
	return prove(session_of(u), digest, err);
}

/* What a write that failed has left behind the end is no part of the blob. */
static int settle(struct session *u, dray_error **err)
{
	struct stat st;

	if (io_fstat(u->fd, &st, err) < 0)
		return -1;
	if (st.st_size < u->base.size) /* truncating would fill it with zeros */
		return shorter(err);
	if (io_ftruncate(u->fd, u->base.size, err) < 0 || io_fsync(u->fd, err) < 0 ||
	    io_close(steal_fd(&u->fd), err) < 0)
		return depot_disk_failed(err);
	return 0;
}

/* Out of the table, with whatever it still has. */
static void consume(struct depot *d, struct session *u, bool moved)
{
	if (!moved)
		(void)!io_unlinkat(d->uploads, u->id, NULL);
	lock_take(d->sessions.lock);
	if (!u->gone)
		table_remove(&d->sessions, u);
	lock_drop(d->sessions.lock);
	session_free(u);
}

int depot_upload_finish(struct shelf *s, struct shelf_upload *up, const struct digest *digest,
			dray_error **err)
{
	struct depot *d = depot_of(s);
	struct session *u = session_of(up);
	int64_t size = up->size;
	int added = -1;

	if (!grow(d, u, 0))
		unknown(err);
	else if (prove(u, digest, err) == 0 && settle(u, err) == 0)
		added = depot_blob_add(d, u->repo, u->id, digest, size, err);
	/* A new blob keeps the space that its upload took. */
	if (added <= 0)
		depot_give_space(d, size);
	consume(d, u, added >= 0);
	return added < 0 ? -1 : 0;
}

/* ---- asked about, cancelled ---- */

int depot_upload_status(struct shelf *s, const char *repo, const char *id, int64_t *ret_size,
			dray_error **err)
{
	struct depot *d = depot_of(s);
	struct session *u;

	lock_take(d->sessions.lock);
	u = table_find(&d->sessions, repo, id);
	if (u)
		*ret_size = u->base.size;
	lock_drop(d->sessions.lock);
	return u ? 0 : unknown(err);
}

int depot_upload_cancel(struct shelf *s, const char *repo, const char *id, dray_error **err)
{
	struct depot *d = depot_of(s);
	struct session *u;

	lock_take(d->sessions.lock);
	u = table_find(&d->sessions, repo, id);
	if (u && u->held)
		disown_locked(d, u);
	else if (u)
		session_drop(d, u);
	lock_drop(d->sessions.lock);
	return u ? 0 : unknown(err);
}
