/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      uploads that go on where the registry says they stopped (G-07).
 * Relies:   on upload_io for requests and on feed.c for bytes that were checked.
 * Promises: the registry is always asked, never guessed at; digest and size are checked before the PUT that
 *           commits (G-05); a session that we leave behind is cancelled if that can be done quickly.
 */
#include "remote/upload.h"

#include "base/mem.h"
#include "proto/answer.h"
#include "remote/feed.h"
#include "remote/retry.h"

#define COMMIT_BYTES_PER_MS \
	10000	      /* some registries copy and hash the whole blob before they answer the PUT */
#define DENIALS_MAX 2 /* dead tokens in a row */

enum step { STEP_OPEN, STEP_SEND, STEP_ASK, STEP_COMMIT, STEP_DONE, STEP_FAILED };

struct upload {
	const struct upload_io *io;
	const struct upload_target *to;
	const struct blob_put *put;
	struct feed feed;
	struct arena arena; /* of session */
	struct url session;
	bool open, anonymous;
	bool resumed; /* the session was appended to after a break, or counts otherwise than we do */
	bool started_over; /* because of a digest that did not fit after a resume */
	int64_t mark;	   /* the furthest that a registry confirmed */
	int attempts, denials;
	bool one_put;	  /* a small blob: no PATCH, all of it with the PUT */
	struct buf small; /* its bytes */
	struct answer a;
};

static const char *label(const struct upload *u)
{
	return u->put->label ? u->put->label : "blob";
}

static enum step fail(struct upload *u, dray_error *why, dray_error **err)
{
	err_ctx(&why, "%s", label(u));
	if (err)
		*err = why;
	else
		dray_error_free(why);
	return STEP_FAILED;
}

/* The answer is final: say what the registry said. */
static enum step refuse(struct upload *u, const struct call *call, dray_error **err)
{
	dray_error *why = NULL;

	u->io->refused(u->io->arg, call, &u->a, &why);
	return fail(u, why, err);
}

/* A try failed in a way that may pass: wait and go to @p next, or give up with what happened. */
static enum step again(struct upload *u, const struct call *call, int rc, dray_error *why,
		       enum step next, dray_error **err)
{
	dray_error *stop = NULL;

	if (u->attempts < u->to->retries &&
	    u->io->pause(u->io->arg, u->attempts, rc == 0 ? &u->a.http : NULL, &stop) == 0) {
		u->attempts++;
		dray_error_free(why);
		return next;
	}
	if (stop) {
		dray_error_free(why);
		return fail(u, stop, err);
	}
	return rc < 0 ? fail(u, why, err) : refuse(u, call, err);
}

static int call_session(struct upload *u, struct call *call, dray_error **err)
{
	call->anonymous = u->anonymous;
	return u->io->call(u->io->arg, call, &u->a, err);
}

static bool good(const struct answer *a)
{
	return a->http.status >= 200 && a->http.status <= 204;
}

/* Every answer may move the session; 0 also when it says nothing. */
static int take_location(struct upload *u, dray_error **err)
{
	struct url there;
	bool credentials = false;
	const char *location = u->a.http.location;

	if (!location)
		return 0;
	if (url_resolve(&u->a.url, location, &u->arena, &there, err) < 0 ||
	    url_allowed(URL_LOCATION, &u->to->blobs, &there, &credentials, err) < 0)
		return err_ctx(err, "upload session");
	u->session = there;
	u->session.scheme = arena_strdup(&u->arena, there.scheme);
	u->session.host = arena_strdup(&u->arena, there.host);
	u->session.rest = arena_strdup(&u->arena, there.rest);
	u->open = u->session.scheme && u->session.host && u->session.rest;
	if (!u->open)
		return err_nomem(err); /* and the half session cannot be said goodbye to */
	/* Once it has left our origin a session does not get our credentials back. */
	u->anonymous = u->anonymous || !credentials;
	return 0;
}

/* ---- OPEN ---- */

static enum step begin_session(struct upload *u, dray_error **err)
{
	dray_error *why = NULL;
	int end;

	if (!u->a.http.location) {
		err_set(&why, DRAY_ERR_NETWORK, "the registry opened an upload without a Location");
		return fail(u, why, err);
	}
	u->resumed = false;
	if (take_location(u, &why) < 0)
		return fail(u, why, err);
	if (u->one_put)
		return STEP_COMMIT;
	if (feed_seek(&u->feed, 0, &why) < 0)
		return fail(u, why, err);
	end = feed_at_end(&u->feed, &why);
	if (end < 0)
		return fail(u, why, err);
	return end ? STEP_COMMIT : STEP_SEND;
}

static enum step step_open(struct upload *u, dray_error **err)
{
	struct url url = u->to->blobs;
	struct call call = { .method = "POST", .url = &url, .what = "POST upload" };
	cleanup_free char *rest = mem_printf("%suploads/", u->to->blobs.rest);
	dray_error *why = NULL;

	u->open = u->anonymous = false;
	if (!rest) {
		err_nomem(&why);
		return fail(u, why, err);
	}
	url.rest = rest;
	int rc = u->io->call(u->io->arg, &call, &u->a, &why);
	if (client_transient(rc, &u->a))
		return again(u, &call, rc, why, STEP_OPEN, err);
	if (rc < 0)
		return fail(u, why, err);
	return u->a.http.status == 202 ? begin_session(u, err) : refuse(u, &call, err);
}

/* ---- what the registry holds ---- */

/* 1 = *ret bytes, 0 = it does not say, or says "0-0", which means none and one byte alike. */
static int held(const struct answer *a, int64_t *ret)
{
	int64_t first, last;

	if (!a->http.range || !answer_range(span_str(a->http.range), &first, &last) || first != 0 ||
	    last <= 0)
		return 0;
	*ret = last + 1;
	return 1;
}

static enum step go_on_from(struct upload *u, int64_t off, dray_error **err)
{
	dray_error *why = NULL;
	int end;

	/* More than where we stand is possible: bytes of a broken request that arrived late. */
	if (off > u->feed.high) {
		err_set(&why, DRAY_ERR_NETWORK,
			"the registry claims to hold %lld bytes of %lld sent", (long long)off,
			(long long)u->feed.high);
		return fail(u, why, err);
	}
	if (off > u->mark) {
		u->mark = off;
		u->attempts = u->denials = 0;
	}
	if (feed_seek(&u->feed, off, &why) < 0)
		return fail(u, why, err);
	u->resumed = true;
	end = feed_at_end(&u->feed, &why);
	if (end < 0)
		return fail(u, why, err);
	return end ? STEP_COMMIT : STEP_SEND;
}

/* ---- SEND ---- */

static enum step sent(struct upload *u, const struct call *call, dray_error **err)
{
	dray_error *why = NULL;
	int64_t off = -1;
	int end;

	if (take_location(u, &why) < 0)
		return fail(u, why, err);
	if (held(&u->a, &off) && off != u->feed.data->pos) {
		/* It lost some of what it took. */
		if (off <= u->mark)
			return again(u, call, 0, NULL, STEP_ASK, err);
		return go_on_from(u, off, err);
	}
	/* "0-0" after more than a byte: all of it lost, or a registry that never counts. The digest will tell. */
	if (u->a.http.range && off < 0 && u->feed.data->pos > 1)
		u->resumed = true;
	end = feed_at_end(&u->feed, &why);
	if (end < 0)
		return fail(u, why, err);
	return end ? STEP_COMMIT : again(u, call, 0, NULL, STEP_ASK, err);
}

static enum step judge_send(struct upload *u, const struct call *call, dray_error **err)
{
	int status = u->a.http.status;

	if (good(&u->a))
		return sent(u, call, err);
	if (status == 401 && u->a.renewed && ++u->denials < DENIALS_MAX)
		return STEP_ASK;
	if (status == 404)
		return again(u, call, 0, NULL, STEP_OPEN, err);
	if (status == 416 || retry_status(status))
		return again(u, call, 0, NULL, STEP_ASK, err);
	return refuse(u, call, err);
}

static enum step step_send(struct upload *u, dray_error **err)
{
	int64_t off = u->feed.data->pos, size = u->feed.claimed;
	struct http_body body = { size < 0 ? -1 : size - off, feed_pull, &u->feed };
	cleanup_free char *range = NULL;
	struct call call = {
		.method = "PATCH",
		.url = &u->session,
		.what = "PATCH upload",
		.content_type = "application/octet-stream",
		.stream = &body,
	};
	dray_error *why = NULL;

	/* Registries check it where they know it; the first piece of a stream goes without, as everyone's does. */
	if (off > 0 && size > off) {
		range = mem_printf("%lld-%lld", (long long)off, (long long)size - 1);
		call.content_range = range;
	}
	int rc = call_session(u, &call, &why);
	if (rc == 0)
		return judge_send(u, &call, err);
	if (client_transient(rc, &u->a))
		return again(u, &call, rc, why, STEP_ASK, err);
	return fail(u, why, err);
}

/* ---- ASK ---- */

static enum step step_ask(struct upload *u, dray_error **err)
{
	struct call call = { .method = "GET", .url = &u->session, .what = "GET upload" };
	dray_error *why = NULL;
	int64_t off;
	int rc = call_session(u, &call, &why);

	if (client_transient(rc, &u->a))
		return again(u, &call, rc, why, STEP_ASK, err);
	if (rc < 0)
		return fail(u, why, err);
	if (u->a.http.status == 401 || u->a.http.status == 403)
		return refuse(u, &call, err);
	if (good(&u->a) && take_location(u, &why) < 0)
		return fail(u, why, err);
	if (good(&u->a) && held(&u->a, &off))
		return go_on_from(u, off, err);
	/*
	 * Forgotten, or a registry that does not say: from the start. distribution 2.8 forgets whenever a PATCH
	 * broke in the middle: its signed state still names the offset from before. The break was counted.
	 */
	return STEP_OPEN;
}

/* ---- COMMIT ---- */

/* The answer to the PUT may have been lost: is the blob there? */
static bool is_there(struct upload *u)
{
	struct url url = u->to->blobs;
	cleanup_free char *rest = mem_printf("%s%s", url.rest, u->feed.digest.text);
	struct call call = { .method = "HEAD", .url = &url, .what = "HEAD blob" };

	url.rest = rest;
	return rest && u->io->call(u->io->arg, &call, &u->a, NULL) == 0 && u->a.http.status == 200;
}

static int commit_url(struct upload *u, const struct digest *d, struct url *ret, struct buf *rest,
		      dray_error **err)
{
	*ret = u->session;
	if (buf_printf(rest, err, "%s%cdigest=", u->session.rest,
		       strchr(u->session.rest, '?') ? '&' : '?') < 0 ||
	    url_query_escape(rest, d->text, err) < 0 || buf_add_byte(rest, '\0', err) < 0)
		return -1;
	ret->rest = (const char *)rest->data;
	return 0;
}

static int check_answer(const struct answer *a, const struct digest *expect, dray_error **err)
{
	struct digest got;

	if (a->http.digest && digest_parse(span_str(a->http.digest), &got, NULL) == 0 &&
	    got.algo == expect->algo)
		return digest_expect(expect, &got, "digest that the registry stored", err);
	if (a->http.status != 201)
		return err_set(err, DRAY_ERR_NETWORK,
			       "HTTP %d does not say that the blob is stored", a->http.status);
	return 0;
}

/* A registry that wants no PUT with a body gets the same bytes as a stream. */
static enum step stream_instead(struct upload *u, dray_error **err)
{
	dray_error *why = NULL;

	source_free(u->feed.data);
	u->feed.data = source_from_span(span_buf(&u->small), &why);
	u->one_put = false;
	return u->feed.data ? STEP_OPEN : fail(u, why, err);
}

/* Nothing that the registry said: it may have stored the blob all the same. */
static enum step commit_again(struct upload *u, const struct call *call, int rc, dray_error *why,
			      dray_error **err)
{
	bool lost = u->one_put || (rc == 0 && u->a.http.status == 404);
	enum step next = again(u, call, rc, why, lost ? STEP_OPEN : STEP_ASK, err);

	return next != STEP_FAILED && is_there(u) ? STEP_DONE : next;
}

static enum step judge_commit(struct upload *u, const struct call *call, int rc, dray_error *why,
			      dray_error **err)
{
	int status = u->a.http.status;
	bool transient = client_transient(rc, &u->a);

	if (rc < 0 && !transient)
		return fail(u, why, err);
	if (rc == 0 && good(&u->a))
		return check_answer(&u->a, &u->feed.digest, &why) < 0 ? fail(u, why, err)
								      : STEP_DONE;
	if (rc == 0 && status == 400 && u->resumed && !u->started_over) {
		/* Bytes of the broken request may have arrived after we were told the offset. */
		u->started_over = true;
		return STEP_OPEN;
	}
	if (transient || status == 416 || (status == 404 && !u->one_put))
		return commit_again(u, call, rc, why, err);
	if (u->one_put && (status == 404 || status == 405 || status == 411 || status == 413))
		return stream_instead(u, err);
	return refuse(u, call, err);
}

static enum step step_commit(struct upload *u, dray_error **err)
{
	struct buf rest = BUF_INIT(64 * 1024);
	struct url url;
	struct call call = {
		.method = "PUT",
		.url = &url,
		.what = "PUT upload",
		.content_type = "application/octet-stream",
		.wait_ms = u->feed.total / COMMIT_BYTES_PER_MS,
	};
	dray_error *why = NULL;
	enum step next;

	if (u->one_put)
		call.bytes = span_buf(&u->small);
	if (feed_finish(&u->feed, &u->put->desc.digest, &why) < 0 ||
	    commit_url(u, &u->feed.digest, &url, &rest, &why) < 0) {
		next = fail(u, why, err);
	} else {
		int rc = call_session(u, &call, &why);
		next = judge_commit(u, &call, rc, why, err);
	}
	buf_clear(&rest);
	return next;
}

/* ---- the whole ---- */

static void say_goodbye(struct upload *u)
{
	struct call call = {
		.method = "DELETE", .url = &u->session, .what = "DELETE upload", .farewell = true
	};

	if (u->open && call_session(u, &call, NULL) < 0)
		u->open = false; /* nobody there: the registry's own purge will do */
}

static int run(struct upload *u, dray_error **err)
{
	enum step step = STEP_OPEN;

	while (step != STEP_DONE && step != STEP_FAILED) {
		switch (step) {
		case STEP_OPEN:
			step = step_open(u, err);
			break;
		case STEP_SEND:
			step = step_send(u, err);
			break;
		case STEP_ASK:
			step = step_ask(u, err);
			break;
		default:
			step = step_commit(u, err);
			break;
		}
	}
	if (step == STEP_DONE)
		return 0;
	say_goodbye(u);
	return -1;
}

/* ---- small blobs ---- */

/* Small: all of it goes out with the PUT. Checked before the first request. */
static int take_small(struct upload *u, dray_error **err)
{
	int end;

	while ((end = feed_at_end(&u->feed, err)) == 0) {
		struct span s;
		int64_t n;

		if (source_peek(u->feed.data, 1, &s, err) < 0 ||
		    buf_reserve(&u->small, s.len, err) < 0)
			return -1;
		n = feed_pull(&u->feed, u->small.data + u->small.len, s.len, err);
		if (n < 0)
			return -1;
		u->small.len += (size_t)n;
	}
	if (end < 0)
		return -1;
	u->one_put = true;
	return feed_finish(&u->feed, &u->put->desc.digest, err);
}

static int prepare(struct upload *u, struct source *data, dray_error **err)
{
	const struct descriptor *d = &u->put->desc;
	bool known = digest_set(&d->digest) && d->size >= 0;
	struct span s = { 0 };

	if (feed_init(&u->feed, u->put, data, err) < 0)
		return -1;
	/* What is made as it goes tells its size by ending soon. */
	if (!known && source_peek(u->feed.data, SOURCE_PEEK_MAX, &s, err) < 0)
		return -1;
	if (known ? d->size > UPLOAD_SMALL : s.len >= SOURCE_PEEK_MAX)
		return 0;
	return take_small(u, err);
}

int upload_blob(const struct upload_io *io, const struct upload_target *to,
		const struct blob_put *put, struct source *data, struct digest *ret_digest,
		int64_t *ret_size, dray_error **err)
{
	struct upload u = { .io = io, .to = to, .put = put, .small = BUF_INIT(UPLOAD_SMALL) };
	int rc = prepare(&u, data, err);

	if (rc < 0)
		err_ctx(err, "%s", label(&u));
	else
		rc = run(&u, err);
	if (rc == 0) {
		*ret_digest = u.feed.digest;
		*ret_size = u.feed.total;
	}
	answer_clear(&u.a);
	arena_clear(&u.arena);
	buf_clear(&u.small);
	feed_clear(&u.feed);
	return rc;
}
