/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      a blob as a source that survives broken connections (G-06).
 * Relies:   on Range, and on nothing when a registry ignores it: then what we have is skipped again.
 * Promises: the bytes follow each other without gap or overlap as far as the registry's own headers tell;
 *           whether they are the right ones is for the reader's hash.
 */
#include "remote/download.h"

#include "base/mem.h"
#include "proto/answer.h"
#include "remote/refusal.h"
#include "remote/retry.h"

#define PROGRESS_MIN (64 * KIB) /* bytes; who breaks off before, again and again, is silent */

struct download {
	struct source source;
	struct client *client;
	int retries;
	struct url
		url; /* at the registry: signed addresses of redirects end too soon to resume with */
	char *url_strings[3];
	int64_t size;	 /* as the descriptor says, else as the first answer announced; -1 */
	int64_t off;	 /* in the blob, of the next byte to be consumed */
	struct buf kept; /* bytes behind off that came before the last break */
	int64_t skip;	 /* bytes of x that we had before */
	int64_t reached; /* where attempts began to count: progress since then clears them */
	bool no_range;	 /* its partial answers cannot be used */
	int attempts;
	struct answer a;
	struct http_exchange *x;
};

static void hang_up(struct download *d)
{
	http_end(d->x);
	d->x = NULL;
}

/* The first byte that has to come over the wire. */
static int64_t wanted(const struct download *d)
{
	return d->off + (int64_t)d->kept.len;
}

/* ---- opening, at the start and again ---- */

static int check_length(const struct download *d, int64_t total, dray_error **err)
{
	if (d->size < 0 || total < 0 || total == d->size)
		return 0;
	return err_set(err, DRAY_ERR_CORRUPT,
		       "the registry sends a blob of %lld bytes, its descriptor says %lld",
		       (long long)total, (long long)d->size);
}

/* 1 = these are the bytes that we asked for, 0 = ask without a range, -1. */
static int check_partial(struct download *d, dray_error **err)
{
	int64_t first, last, total;
	const char *value = d->a.http.content_range;

	if (!value || !answer_content_range(span_str(value), &first, &last, &total) ||
	    first != wanted(d))
		return 0;
	d->skip = 0;
	return check_length(d, total, err) < 0 ? -1 : 1;
}

static int judge(struct download *d, const struct call *call, dray_error **err)
{
	int status = d->a.http.status;

	if (status == 200) {
		d->skip = wanted(d);
		if (check_length(d, d->a.http.length, err) < 0)
			return -1;
		if (d->size < 0)
			d->size = d->a.http.length;
		return 1;
	}
	if (status == 206 && call->range_from > 0) {
		int rc = check_partial(d, err);

		if (rc)
			return rc;
	}
	if ((status == 206 || status == 416) && !d->no_range) {
		d->no_range = true;
		return 0;
	}
	d->a.body = BUF_INIT(LIMIT_HTTP_ERROR);
	if (http_slurp(d->x, true, &d->a.body, NULL) < 0)
		buf_reset(&d->a.body);
	return client_refused(d->client, call, &d->a, err);
}

/* 1 = there is a body to read, 0 = ask again at once, -1: d->a says whether a retry may help. */
static int open_once(struct download *d, dray_error **err)
{
	struct call call = {
		.method = "GET",
		.url = &d->url,
		.what = "GET blob",
		.range_from = d->no_range ? 0 : wanted(d),
	};

	hang_up(d);
	if (client_begin(d->client, &call, &d->a, &d->x, err) < 0)
		return -1;
	return judge(d, &call, err);
}

static bool worth_retry(const struct download *d)
{
	if (d->a.http.fault != HTTP_FAULT_NONE)
		return client_transient(-1, &d->a);
	return retry_status(d->a.http.status);
}

static int pass_on(dray_error *why, dray_error **err)
{
	if (err)
		*err = why;
	else
		dray_error_free(why);
	return -1;
}

/* Wait before another try, or hand over @p why: then -1. */
static int wait_or_fail(struct download *d, dray_error *why, dray_error **err)
{
	dray_error *stop = NULL;

	if (wanted(d) - d->reached >= PROGRESS_MIN) {
		d->attempts = 0;
		d->reached = wanted(d);
	}
	if (d->attempts < d->retries && worth_retry(d) &&
	    retry_pause(d->attempts, &d->a.http, &stop) == 0) {
		d->attempts++;
		dray_error_free(why);
		return 0;
	}
	if (!stop)
		return pass_on(why, err);
	dray_error_free(why);
	return pass_on(stop, err);
}

static int open_body(struct download *d, dray_error **err)
{
	for (;;) {
		dray_error *why = NULL;
		int rc = open_once(d, &why);

		if (rc > 0)
			return 0;
		if (rc < 0 && wait_or_fail(d, why, err) < 0)
			return -1;
	}
}

/* ---- reading ---- */

/* What we had before a registry that ignores Range began anew. */
static int drop_known(struct download *d, dray_error **err)
{
	while (d->skip > 0) {
		struct span s;

		if (http_peek(d->x, 1, &s, err) < 0)
			return -1;
		if (!s.len)
			break;
		s = span_head(s, d->skip < (int64_t)s.len ? (size_t)d->skip : s.len);
		http_consume(d->x, s.len);
		d->skip -= (int64_t)s.len;
	}
	if (d->skip > 0) {
		d->a.http.fault = HTTP_FAULT_BROKEN;
		return err_set(err, DRAY_ERR_NETWORK,
			       "the second answer is shorter than the first");
	}
	if (d->kept.len && http_unread(d->x, span_buf(&d->kept), err) < 0)
		return -1;
	buf_reset(&d->kept);
	return 0;
}

/* What has arrived stays: however short the pieces between breaks are, a large peek is met. */
static int save(struct download *d, dray_error **err)
{
	if (!d->x || d->skip > 0)
		return 0;
	return buf_add(&d->kept, http_at_hand(d->x), err);
}

/* An orderly end before the size that was promised is a break as well. */
static int check_end(struct download *d, struct span s, size_t min, dray_error **err)
{
	int64_t have = d->off + (int64_t)s.len;

	if (s.len >= min || d->size < 0 || have >= d->size)
		return 0;
	d->a.http.fault = HTTP_FAULT_BROKEN;
	return err_set(err, DRAY_ERR_NETWORK, "the answer ended after %lld of %lld bytes",
		       (long long)have, (long long)d->size);
}

static int read_once(struct download *d, size_t min, struct span *ret, dray_error **err)
{
	if (drop_known(d, err) < 0 || http_peek(d->x, min, ret, err) < 0)
		return -1;
	return check_end(d, *ret, min, err);
}

static int download_peek(struct source *s, size_t min, struct span *ret, dray_error **err)
{
	struct download *d = (struct download *)s;

	for (;;) {
		dray_error *why = NULL;

		if (read_once(d, min, ret, &why) == 0)
			return 0;
		if (save(d, NULL) < 0)
			buf_reset(&d->kept);
		hang_up(d);
		if (wait_or_fail(d, why, err) < 0 || open_body(d, err) < 0)
			return -1;
	}
}

static void download_consume(struct source *s, size_t n)
{
	struct download *d = (struct download *)s;

	http_consume(d->x, n);
	d->off += (int64_t)n;
}

static void download_free(struct source *s)
{
	struct download *d = (struct download *)s;

	hang_up(d);
	answer_clear(&d->a);
	buf_clear(&d->kept);
	for (size_t i = 0; i < ARRAY_LEN(d->url_strings); i++)
		mem_free(d->url_strings[i]);
	mem_free(d);
}

static const struct source_ops download_ops = {
	.peek = download_peek,
	.consume = download_consume,
	.free = download_free,
};

static int keep_url(struct download *d, const struct url *url, dray_error **err)
{
	d->url = *url;
	d->url.scheme = d->url_strings[0] = mem_strdup(url->scheme);
	d->url.host = d->url_strings[1] = mem_strdup(url->host);
	d->url.rest = d->url_strings[2] = mem_strdup(url->rest);
	return d->url.scheme && d->url.host && d->url.rest ? 0 : err_nomem(err);
}

struct source *download_open(struct client *c, const struct url *url, int64_t size, int64_t off,
			     dray_error **err)
{
	struct download *d = mem_zalloc(sizeof(*d));

	if (!d) {
		err_nomem(err);
		return NULL;
	}
	d->source.ops = &download_ops;
	d->client = c;
	d->retries = c->o->retries;
	d->size = size;
	d->off = d->reached = off;
	d->kept = BUF_INIT(HTTP_AT_HAND_MAX);
	if (keep_url(d, url, err) < 0 || open_body(d, err) < 0) {
		download_free(&d->source);
		return NULL;
	}
	return &d->source;
}

int64_t download_size(const struct source *s)
{
	return ((const struct download *)s)->size;
}
