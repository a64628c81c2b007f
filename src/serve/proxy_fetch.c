/* SPDX-License-Identifier: Apache-2.0
 *
 * For: downloads of blobs that are to be kept: one of each, however many wait for it.
 * Relies on: an upload of the folder's, whose file can be read while it grows and after.
 * Promises: what was begun is brought to its end, whoever goes away. The last byte can be read
 * when the digest is proven, so nobody holds a wrong blob for whole; a wrong one leaves nothing.
 * Nobody waits for the disk: the blob is kept when all have it, or is not kept.
 */
#include "base/cancel.h"
#include "base/io.h"
#include "base/mem.h"
#include "serve/proxy_priv.h"

#define PIECE (64 * 1024) /* bytes that are waited for, and told of, at once */

#define FULL_MS 60000 /* for which blobs pass through when a download met a full disk */

enum fetch_state { FETCH_COMING, FETCH_WHOLE, FETCH_FAILED };

/** A blob on its way. */
struct fetch {
	/* under the proxy's lock */
	struct fetch *next;
	int users;  /* who brings it is one, until it is over */
	bool taken; /* by a thread that brings it */
	/* since it was made */
	char *repo;
	struct digest digest;
	int64_t left; /* of proxy.coming; who brings it counts */
	/* under this one */
	struct lock *lock;
	enum fetch_state state;
	int fd;		    /* of the file that grows; -1 before */
	int64_t size, have; /* as announced, -1 = it is not; and what the file has of it */
	dray_error *why;    /* it failed, or could not be kept */
};

static void fetch_free(struct fetch *f)
{
	if (!f)
		return;
	cleanup_fd_fn(&f->fd);
	dray_error_free(f->why);
	lock_free(f->lock);
	mem_free(f->repo);
	mem_free(f);
}

static struct fetch *fetch_new(const char *repo, const struct digest *digest, dray_error **err)
{
	struct fetch *f = mem_zalloc(sizeof(*f));

	if (!f) {
		err_nomem(err);
		return NULL;
	}
	f->fd = f->size = -1;
	f->digest = *digest;
	f->repo = mem_strdup(repo);
	if (!f->repo)
		err_nomem(err);
	else
		f->lock = lock_new(err);
	if (f->lock)
		return f;
	fetch_free(f);
	return NULL;
}

/* ---- those under way ---- */

/* Under the proxy's lock. */
static struct fetch **find_fetch(struct proxy *p, const char *repo, const struct digest *digest)
{
	struct fetch **at = &p->fetches;

	while (*at && !(digest_eq(&(*at)->digest, digest) && strcmp((*at)->repo, repo) == 0))
		at = &(*at)->next;
	return at;
}

/* That of this blob, which is begun if nobody did; to be left again. */
struct fetch *fetch_join(struct proxy *p, const char *repo, const struct digest *digest,
			 dray_error **err)
{
	struct fetch *fresh = fetch_new(repo, digest, err), **at, *f;

	if (!fresh)
		return NULL;
	lock_take(p->lock);
	at = find_fetch(p, repo, digest);
	f = *at;
	if (!f && atomic_load(&p->stop)) {
		err_set(err, DRAY_ERR_CANCELLED, "the server stops");
	} else if (!f) {
		*at = f = steal_pointer(&fresh);
		f->users = 1;
		lock_wake(p->lock);
	}
	if (f)
		f->users++;
	lock_drop(p->lock);
	fetch_free(fresh);
	return f;
}

void fetch_leave(struct proxy *p, struct fetch *f)
{
	bool last;

	lock_take(p->lock);
	last = --f->users == 0;
	lock_drop(p->lock);
	if (last)
		fetch_free(f);
}

/* ---- bringing ---- */

static void tell_begun(struct fetch *f, int fd, int64_t size, int64_t have)
{
	lock_take(f->lock);
	f->fd = fd;
	f->size = size;
	f->have = have;
	lock_wake(f->lock);
	lock_drop(f->lock);
}

static void tell_more(struct fetch *f, int64_t have)
{
	lock_take(f->lock);
	f->have = have;
	lock_wake(f->lock);
	lock_drop(f->lock);
}

/* It is what it should be: all of it is given, and whether it can be kept matters to nobody's answer. */
static void tell_proven(struct fetch *f)
{
	lock_take(f->lock);
	f->state = FETCH_WHOLE;
	f->size = f->have;
	lock_wake(f->lock);
	lock_drop(f->lock);
}

/* Nobody finds it any more: who comes now finds the blob in the folder, or begins anew. */
static void tell_over(struct proxy *p, struct fetch *f, dray_error *why)
{
	struct fetch **at;

	lock_take(p->lock);
	at = find_fetch(p, f->repo, &f->digest);
	*at = f->next;
	lock_drop(p->lock);
	lock_take(f->lock);
	f->why = why;
	if (f->state == FETCH_COMING)
		f->state = FETCH_FAILED;
	lock_wake(f->lock);
	lock_drop(f->lock);
	fetch_leave(p, f);
}

/* Another repository may have it: where the registry says that this one does, too, that is it. 1, 0, -1. */
static int adopt(struct proxy *p, const struct fetch *f, dray_error **err)
{
	int64_t size, there;
	int rc = depot_knows(p->depot, &f->digest, &size, err);

	if (rc <= 0)
		return rc;
	rc = p->up->ops->blob_size(p->up, f->repo, &f->digest, &there, err);
	if (rc <= 0)
		return rc < 0 ? -1 : err_set(err, DRAY_ERR_NOT_FOUND, "no such blob there");
	return depot_adopt(p->depot, f->repo, &f->digest, err);
}

/* Somebody may have brought it between the question to the folder and this one. 1, 0, -1. */
static int from_folder(struct proxy *p, struct fetch *f, dray_error **err)
{
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	cleanup_error dray_error *why = NULL;

	if (p->depot->ops->blob(p->depot, f->repo, &f->digest, true, &b, &why) == 0) {
		tell_begun(f, steal_fd(&b.fd), b.size, b.size);
		tell_proven(f);
		return 1;
	}
	if (dray_error_kind(why) == DRAY_ERR_NOT_FOUND)
		return 0;
	if (err)
		*err = steal_pointer(&why);
	return -1;
}

/* @n bytes more or less will come of @f; how many of all. */
static int64_t expect(struct proxy *p, struct fetch *f, int64_t n)
{
	int64_t ret;

	lock_take(p->lock);
	f->left += n;
	p->coming += n;
	ret = p->coming;
	lock_drop(p->lock);
	return ret;
}

static int check_room(int64_t size, int64_t have, size_t more, dray_error **err)
{
	int64_t max = size >= 0 ? size : PROXY_UNTOLD_MAX;

	if ((int64_t)more <= max - have)
		return 0;
	if (size < 0)
		return shelf_refuse(err, SHELF_NO_SPACE, "more than %lld bytes are not kept",
				    (long long)max);
	return err_set(err, DRAY_ERR_CORRUPT, "more than %lld bytes come", (long long)max);
}

/* The whole of @data into the upload, told piece by piece. */
static int pour(struct proxy *p, struct fetch *f, struct source *data, int64_t size,
		struct shelf_upload *u, dray_error **err)
{
	struct span s;

	for (;;) {
		if (cancel_check(err) < 0 || source_peek(data, PIECE, &s, err) < 0)
			return -1;
		if (s.len == 0)
			break;
		if (check_room(size, u->size, s.len, err) < 0 ||
		    p->depot->write->append(p->depot, u, s, err) < 0)
			return -1;
		source_consume(data, s.len);
		if (size > 0)
			expect(p, f, -(int64_t)s.len);
		tell_more(f, u->size);
	}
	if (size < 0 || u->size == size)
		return 0;
	return err_set(err, DRAY_ERR_CORRUPT, "%lld of %lld bytes came", (long long)u->size,
		       (long long)size);
}

static int begin_upload(struct proxy *p, struct fetch *f, int64_t size, char id[SHELF_UPLOAD_ID],
			struct shelf_upload **ret, dray_error **err)
{
	struct shelf *d = p->depot;
	int fd;

	if (d->write->begin(d, f->repo, id, err) < 0 ||
	    d->write->open(d, f->repo, id, 0, ret, err) < 0)
		return -1;
	fd = depot_upload_file(*ret, err);
	if (fd < 0) {
		d->write->close(d, *ret);
		return -1;
	}
	tell_begun(f, fd, size, 0);
	return 0;
}

/* And not the quota, which the next one may fit. */
static bool disk_said_no(const dray_error *e)
{
	return dray_error_http_status(e) == STATUS_NO_SPACE &&
	       dray_error_kind(e) == DRAY_ERR_SYSTEM;
}

static void disk_is_full(struct proxy *p)
{
	lock_take(p->lock);
	p->full_until = io_now_ms() + FULL_MS;
	lock_drop(p->lock);
}

static void is_outsized(struct proxy *p, const struct digest *d)
{
	lock_take(p->lock);
	p->outsized[p->n_outsized++ % OUTSIZED] = *d;
	lock_drop(p->lock);
}

static int take_in(struct proxy *p, struct fetch *f, struct source *data, int64_t size,
		   dray_error **err)
{
	char id[SHELF_UPLOAD_ID] = "";
	struct shelf *d = p->depot;
	struct shelf_upload *u;
	int rc = begin_upload(p, f, size, id, &u, err);

	if (rc == 0) {
		rc = pour(p, f, data, size, u, err);
		if (rc == 0)
			rc = depot_upload_prove(u, &f->digest, err);
		if (rc == 0) {
			tell_proven(f);
			return d->write->finish(d, u, &f->digest, err);
		}
		d->write->close(d, u);
	}
	if (*id)
		(void)!d->write->cancel(d, f->repo, id, NULL);
	return rc;
}

static int bring(struct proxy *p, struct fetch *f, dray_error **err)
{
	cleanup_source struct source *data = NULL;
	int64_t size = -1;
	int rc = 0;

	data = p->up->ops->blob(p->up, f->repo, &f->digest, &size, err);
	if (!data)
		return -1;
	/* Room for the others, too: two that fit one by one would break each other off. */
	if (size > 0)
		rc = depot_make_room(p->depot, expect(p, f, size), err);
	if (rc == 0)
		rc = take_in(p, f, data, size, err);
	expect(p, f, -f->left);
	if (rc < 0 && disk_said_no(*err))
		disk_is_full(p);
	else if (rc < 0 && size < 0 && dray_error_http_status(*err) == STATUS_NO_SPACE)
		is_outsized(p, &f->digest);
	return rc;
}

static void run_fetch(struct proxy *p, struct fetch *f)
{
	dray_error *why = NULL;
	int rc = from_folder(p, f, &why);

	if (rc == 0) {
		rc = adopt(p, f, &why);
		if (rc > 0)
			rc = from_folder(p, f, &why);
	}
	if (rc == 0)
		rc = bring(p, f, &why);
	if (rc < 0 && f->state == FETCH_WHOLE)
		proxy_note(p, "a blob is handed on and not kept", why);
	tell_over(p, f, why);
}

/* ---- the threads ---- */

/* Waits for one; NULL = there is none, and none will come. */
static struct fetch *next_fetch(struct proxy *p)
{
	struct fetch *f;

	lock_take(p->lock);
	for (;;) {
		f = p->fetches;
		while (f && f->taken)
			f = f->next;
		if (f || atomic_load(&p->stop))
			break;
		lock_wait(p->lock);
	}
	if (f)
		f->taken = true;
	lock_drop(p->lock);
	return f;
}

static void fetch_all(struct job *job)
{
	struct proxy *p = ((struct fetcher *)job)->p;
	struct fetch *f;

	cancel_follow(&p->stop);
	while ((f = next_fetch(p)))
		run_fetch(p, f);
	cancel_follow(NULL);
}

int fetch_begin(struct proxy *p, dray_error **err)
{
	p->fetchers = mem_alloc_array((size_t)p->o.downloads, sizeof(*p->fetchers));
	if (!p->fetchers)
		return err_nomem(err);
	p->pool = pool_new(p->o.downloads, err);
	if (!p->pool)
		return -1;
	for (int i = 0; i < p->o.downloads; i++) {
		p->fetchers[i] = (struct fetcher){ .job = { .run = fetch_all }, .p = p };
		pool_submit(p->pool, &p->fetchers[i].job);
	}
	return 0;
}

void fetch_end(struct proxy *p)
{
	pool_free(p->pool);
	mem_free(p->fetchers);
}

/* ---- those who wait for one ---- */

/* To each who waited. */
static int failed(const struct fetch *f, dray_error **err)
{
	if (dray_error_kind(f->why) == DRAY_ERR_NOMEM)
		return err_nomem(err);
	err_set(err, dray_error_kind(f->why), "blob %s: %s", f->digest.text,
		dray_error_message(f->why));
	return err_http(err, dray_error_http_status(f->why), dray_error_registry_code(f->why));
}

/* How many bytes from @off on can be given: waits for one at least. */
static int await_bytes(struct fetch *f, int64_t off, int64_t *ret, dray_error **err)
{
	int64_t end;
	int rc = 0;

	lock_take(f->lock);
	for (;;) {
		/* All but the last are given while it comes: without that one nobody has it. */
		end = f->state == FETCH_WHOLE || f->have < f->size ? f->have : f->have - 1;
		if (f->state == FETCH_FAILED)
			rc = failed(f, err);
		if (rc < 0 || end > off || f->state == FETCH_WHOLE)
			break;
		lock_wait(f->lock);
	}
	lock_drop(f->lock);
	*ret = end - off;
	return rc;
}

int64_t fetch_read(struct fetch *f, int64_t off, void *to, size_t max, dray_error **err)
{
	int64_t n;

	if (await_bytes(f, off, &n, err) < 0)
		return -1;
	if (n == 0)
		return 0;
	n = io_pread(f->fd, to, n < (int64_t)max ? (size_t)n : max, off, err);
	if (n <= 0)
		return n < 0 ? -1 : err_set(err, DRAY_ERR_CORRUPT, "a blob became shorter");
	return n;
}

static int compare_piece(struct fetch *f, struct source *again, int64_t off, size_t max,
			 dray_error **err)
{
	uint8_t was[4096];
	int64_t n = io_pread(f->fd, was, max < sizeof(was) ? max : sizeof(was), off, err);
	struct span is;

	if (n <= 0 || source_peek(again, (size_t)n, &is, err) < 0)
		return n == 0 ? err_set(err, DRAY_ERR_CORRUPT, "a blob became shorter") : -1;
	if (is.len < (size_t)n || memcmp(is.data, was, (size_t)n) != 0)
		return err_set(err, DRAY_ERR_CORRUPT, "blob %s: other bytes than before",
			       f->digest.text);
	source_consume(again, (size_t)n);
	return (int)n;
}

/* Nobody writes to it any more, and its bytes stay while its file is open. */
int fetch_compare(struct fetch *f, struct source *again, int64_t end, dray_error **err)
{
	int64_t off = 0, have;

	lock_take(f->lock);
	have = f->have < end ? f->have : end;
	lock_drop(f->lock);
	while (off < have) {
		int n = compare_piece(f, again, off, (size_t)(have - off), err);

		if (n < 0)
			return -1;
		off += n;
	}
	/* Of a range that was not reached nobody has anything. */
	return source_skip(again, end - off, err) < 0 ? -1 : 0;
}

int fetch_await_size(struct fetch *f, int64_t *ret_size, dray_error **err)
{
	int rc;

	lock_take(f->lock);
	while (f->state == FETCH_COMING && f->size <= 0 && (f->size == 0 || f->have < PIECE))
		lock_wait(f->lock);
	*ret_size = f->size;
	rc = f->state == FETCH_FAILED ? failed(f, err) : 0;
	lock_drop(f->lock);
	return rc;
}

bool fetch_is_busy(struct proxy *p, const char *repo, const struct digest *digest)
{
	int n = 0;
	bool ret;

	lock_take(p->lock);
	for (const struct fetch *f = p->fetches; f; f = f->next)
		n++;
	ret = n >= p->o.downloads && !*find_fetch(p, repo, digest);
	lock_drop(p->lock);
	return ret;
}

bool fetch_has_no_room(struct proxy *p, const struct digest *digest)
{
	bool full;

	lock_take(p->lock);
	full = io_now_ms() < p->full_until;
	for (size_t i = 0; i < OUTSIZED && i < p->n_outsized; i++)
		full = full || digest_eq(&p->outsized[i], digest);
	lock_drop(p->lock);
	return full;
}
