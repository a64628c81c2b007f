/* SPDX-License-Identifier: Apache-2.0
 *
 * For: blobs that are brought while they are given out: one download, however many wait for it.
 * Relies on: an upload of the folder's, whose file can be read while it grows and after.
 * Promises: what was begun is brought to its end, whoever goes away. The last byte is given out
 * when the digest is proven, so nobody holds a wrong blob for whole; a wrong one leaves nothing.
 * Nobody waits for the disk: the blob is kept when all have it, or is not kept; nor for blobs that others asked for.
 */
#include "base/cancel.h"
#include "base/io.h"
#include "base/mem.h"
#include "serve/proxy_priv.h"

#define PIECE (64 * 1024) /* bytes that are waited for, and told of, at once */

#define STATUS_NO_SPACE 507 /* of what the folder refuses for want of room */
#define FULL_MS 60000	    /* for which blobs pass through when a download met a full disk */

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
static struct fetch *join(struct proxy *p, const char *repo, const struct digest *digest,
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

static void leave(struct proxy *p, struct fetch *f)
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
	leave(p, f);
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

static bool is_full(struct proxy *p)
{
	bool full;

	lock_take(p->lock);
	full = io_now_ms() < p->full_until;
	lock_drop(p->lock);
	return full;
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

/* ---- following ---- */

/** The bytes of a fetch as they come. */
struct follower {
	struct source source;
	struct proxy *p;
	struct fetch *f;   /* joined */
	int64_t size, off; /* of the byte behind those in piece */
	size_t at, len;	   /* of piece: what was not consumed yet */
	uint8_t piece[SOURCE_PEEK_MAX];
};

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
		end = f->state == FETCH_WHOLE || f->have < f->size ? f->have : f->size - 1;
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

static int follow_more(struct follower *w, dray_error **err)
{
	size_t room = sizeof(w->piece) - w->len;
	int64_t n;

	if (await_bytes(w->f, w->off, &n, err) < 0)
		return -1;
	n = io_pread(w->f->fd, w->piece + w->len, n < (int64_t)room ? (size_t)n : room, w->off,
		     err);
	if (n <= 0)
		return n < 0 ? -1 : err_set(err, DRAY_ERR_CORRUPT, "a blob became shorter");
	w->len += (size_t)n;
	w->off += n;
	return 0;
}

static int follow_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct follower *w = (struct follower *)s;

	if (w->at > 0 && w->len - w->at < min) {
		memmove(w->piece, w->piece + w->at, w->len - w->at);
		w->len -= w->at;
		w->at = 0;
	}
	while (w->len - w->at < min && w->off < w->size)
		if (follow_more(w, err) < 0)
			return -1;
	*ret = span_of(w->piece + w->at, w->len - w->at);
	return 0;
}

static void follow_consume(struct source *s, size_t n)
{
	((struct follower *)s)->at += n;
}

/* What is skipped need not have come yet. */
static int64_t follow_skip(struct source *s, int64_t n, dray_error **err)
{
	struct follower *w = (struct follower *)s;
	int64_t at_hand = (int64_t)(w->len - w->at), left = at_hand + w->size - w->off;

	(void)err;
	n = n < left ? n : left;
	if (n <= at_hand) {
		w->at += (size_t)n;
	} else {
		w->off += n - at_hand;
		w->at = w->len = 0;
	}
	return n;
}

static void follow_free(struct source *s)
{
	struct follower *w = (struct follower *)s;

	leave(w->p, w->f);
	mem_free(w);
}

static const struct source_ops FOLLOW_OPS = {
	.peek = follow_peek,
	.consume = follow_consume,
	.skip = follow_skip,
	.free = follow_free,
};

/* Until its size is known; of what has none, to its end. */
static int await_begin(struct fetch *f, int64_t *ret_size, dray_error **err)
{
	int rc;

	lock_take(f->lock);
	while (f->state == FETCH_COMING && f->size <= 0)
		lock_wait(f->lock);
	*ret_size = f->size;
	rc = f->state == FETCH_FAILED ? failed(f, err) : 0;
	lock_drop(f->lock);
	return rc;
}

/* @f is taken over. */
static int follow(struct proxy *p, struct fetch *f, int64_t size, struct shelf_blob *ret,
		  dray_error **err)
{
	struct follower *w = mem_zalloc(sizeof(*w));

	if (!w) {
		leave(p, f);
		return err_nomem(err);
	}
	w->source.ops = &FOLLOW_OPS;
	w->p = p;
	w->f = f;
	w->size = ret->size = size;
	ret->data = &w->source;
	return 0;
}

/* ---- passing on ---- */

/** A download that one client alone reads, until the proxy stops. */
struct passing {
	struct source source;
	struct proxy *p;
	struct source *in;
};

static int passing_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct passing *x = (struct passing *)s;
	int rc;

	cancel_follow(&x->p->stop);
	rc = source_peek(x->in, min, ret, err);
	cancel_follow(NULL);
	return rc;
}

static void passing_consume(struct source *s, size_t n)
{
	source_consume(((struct passing *)s)->in, n);
}

static void passing_free(struct source *s)
{
	struct passing *x = (struct passing *)s;

	source_free(x->in);
	mem_free(x);
}

static const struct source_ops PASSING_OPS = {
	.peek = passing_peek,
	.consume = passing_consume,
	.free = passing_free,
};

/* @in is taken over. */
static struct source *until_stopped(struct proxy *p, struct source *in, dray_error **err)
{
	struct passing *x = in ? mem_zalloc(sizeof(*x)) : NULL;

	if (!in)
		return NULL;
	if (!x) {
		source_free(in);
		err_nomem(err);
		return NULL;
	}
	x->source.ops = &PASSING_OPS;
	x->p = p;
	x->in = in;
	return &x->source;
}

/* What is not kept goes through, and is proven on its way. */
static int pass_on(struct proxy *p, const char *repo, const struct digest *digest,
		   struct shelf_blob *ret, dray_error **err)
{
	int64_t size = -1;
	cleanup_source struct source *s = p->up->ops->blob(p->up, repo, digest, &size, err);

	if (s && size < 0)
		return err_set(err, DRAY_ERR_NETWORK, "blob %s comes without a size", digest->text);
	s = source_verified(until_stopped(p, steal_pointer(&s), err), digest, size, "blob digest",
			    err);
	/* Nobody reads the end of what has no bytes, where it is proven. */
	if (!s || (size == 0 && source_drain(s, err) < 0))
		return -1;
	ret->data = steal_pointer(&s);
	ret->size = size;
	return 0;
}

/* ---- who asks ---- */

/* Whether it would have to wait until another has come. */
static bool is_busy(struct proxy *p, const char *repo, const struct digest *digest)
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

static int fetch_or_pass(struct proxy *p, const char *repo, const struct digest *digest,
			 struct shelf_blob *ret, dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	struct fetch *f;
	int64_t size;

	if (is_full(p) || is_busy(p, repo, digest))
		return pass_on(p, repo, digest, ret, err);
	f = join(p, repo, digest, err);
	if (!f)
		return -1;
	if (await_begin(f, &size, &why) == 0)
		return follow(p, f, size, ret, err);
	leave(p, f);
	if (dray_error_http_status(why) == STATUS_NO_SPACE)
		return pass_on(p, repo, digest, ret, err);
	if (err)
		*err = steal_pointer(&why);
	return -1;
}

int fetch_blob(struct proxy *p, const char *repo, const struct digest *digest,
	       struct shelf_blob *ret, dray_error **err)
{
	dray_error *why = NULL;

	if (fetch_or_pass(p, repo, digest, ret, &why) == 0)
		return 0;
	return proxy_refuse(p, why, SHELF_BLOB_UNKNOWN, err);
}
