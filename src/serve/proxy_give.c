/* SPDX-License-Identifier: Apache-2.0
 *
 * For: giving out a blob that the folder does not have: from its download, or past the folder.
 * Relies on: proxy_fetch.c for downloads; a table of questions to the registry.
 * Promises: whatever way it comes it is proven before its last byte goes out, or before its end is
 * told where nobody knows its size; nobody waits for blobs that others asked for.
 */
#include "base/cancel.h"
#include "base/mem.h"
#include "serve/proxy_priv.h"

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

	s = source_verified(until_stopped(p, steal_pointer(&s), err), digest, size, "blob digest",
			    err);
	/* Nobody reads the end of what has no bytes, where it is proven. */
	if (!s || (size == 0 && source_drain(s, err) < 0))
		return -1;
	ret->data = steal_pointer(&s);
	ret->size = size;
	return 0;
}

/* ---- following ---- */

/** The bytes of a fetch as they come. */
struct follower {
	struct source source;
	struct proxy *p;
	struct fetch *f; /* joined */
	char *repo;
	struct digest digest;
	struct source *past; /* the folder had no room: the same blob again, from off on; NULL */
	int64_t size, off;   /* -1 = not known; of the byte behind those in piece */
	size_t at, len;	     /* of piece: what was not consumed yet */
	bool ended;	     /* there is nothing behind off */
	uint8_t piece[SOURCE_PEEK_MAX];
};

/* What the folder had no room for comes once more, for this client alone. */
static int go_past(struct follower *w, dray_error **err)
{
	cleanup_shelf_blob struct shelf_blob b = SHELF_BLOB_INIT;
	int rc;

	cancel_follow(&w->p->stop);
	rc = pass_on(w->p, w->repo, &w->digest, &b, err);
	if (rc == 0 && w->size >= 0 && b.size != w->size)
		rc = err_set(err, DRAY_ERR_CORRUPT, "blob %s: another size than before",
			     w->digest.text);
	if (rc == 0)
		rc = fetch_compare(w->f, b.data, w->off, err);
	cancel_follow(NULL);
	if (rc == 0)
		w->past = steal_pointer(&b.data);
	return rc;
}

static int64_t read_fetch(struct follower *w, void *to, size_t max, dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	int64_t n = fetch_read(w->f, w->off, to, max, &why);

	if (n >= 0)
		return n;
	if (dray_error_http_status(why) != STATUS_NO_SPACE)
		return proxy_hand_on(&why, err);
	return go_past(w, err) < 0 ? -1 : source_read(w->past, to, max, err);
}

static int follow_more(struct follower *w, dray_error **err)
{
	uint8_t *to = w->piece + w->len;
	size_t room = sizeof(w->piece) - w->len;
	int64_t n = w->past ? source_read(w->past, to, room, err) : read_fetch(w, to, room, err);

	if (n < 0)
		return -1;
	w->ended = n == 0;
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
	while (w->len - w->at < min && w->off != w->size && !w->ended)
		if (follow_more(w, err) < 0)
			return -1;
	*ret = span_of(w->piece + w->at, w->len - w->at);
	return 0;
}

static void follow_consume(struct source *s, size_t n)
{
	((struct follower *)s)->at += n;
}

/* What is skipped need not have come yet; of what has no size nothing is. */
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

	source_free(w->past);
	fetch_leave(w->p, w->f);
	mem_free(w->repo);
	mem_free(w);
}

static const struct source_ops FOLLOW_OPS = {
	.peek = follow_peek,
	.consume = follow_consume,
	.skip = follow_skip,
	.free = follow_free,
};

static const struct source_ops FOLLOW_UNTOLD_OPS = {
	.peek = follow_peek,
	.consume = follow_consume,
	.free = follow_free,
};

/* @f is taken over. */
static int follow(struct proxy *p, struct fetch *f, const char *repo, const struct digest *digest,
		  struct shelf_blob *ret, dray_error **err)
{
	struct follower *w = mem_zalloc(sizeof(*w));

	if (w)
		w->repo = mem_strdup(repo);
	if (!w || !w->repo) {
		mem_free(w);
		fetch_leave(p, f);
		return err_nomem(err);
	}
	w->source.ops = ret->size < 0 ? &FOLLOW_UNTOLD_OPS : &FOLLOW_OPS;
	w->p = p;
	w->f = f;
	w->digest = *digest;
	w->size = ret->size;
	ret->data = &w->source;
	return 0;
}

/* ---- who asks ---- */

static int fetch_or_pass(struct proxy *p, const char *repo, const struct digest *digest,
			 struct shelf_blob *ret, dray_error **err)
{
	cleanup_error dray_error *why = NULL;
	struct fetch *f;

	if (fetch_has_no_room(p, digest) || fetch_is_busy(p, repo, digest))
		return pass_on(p, repo, digest, ret, err);
	f = fetch_join(p, repo, digest, err);
	if (!f)
		return -1;
	if (fetch_await_size(f, &ret->size, &why) == 0)
		return follow(p, f, repo, digest, ret, err);
	fetch_leave(p, f);
	if (dray_error_http_status(why) == STATUS_NO_SPACE)
		return pass_on(p, repo, digest, ret, err);
	if (err)
		*err = steal_pointer(&why);
	return -1;
}

int proxy_give_blob(struct proxy *p, const char *repo, const struct digest *digest,
		    struct shelf_blob *ret, dray_error **err)
{
	dray_error *why = NULL;

	if (fetch_or_pass(p, repo, digest, ret, &why) == 0)
		return 0;
	return proxy_refuse(p, why, SHELF_BLOB_UNKNOWN, err);
}
