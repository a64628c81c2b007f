/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      one exchange: send, wait for the head, hand out the body piece by piece.
 * Relies:   on curl's multi interface, driven here only while somebody waits for bytes.
 * Promises: never waits on a silent peer longer than the stall rule; a cancel is seen within POLL_MS; what
 *           the body's source said went wrong is what is reported; logs name no secrets.
 */
#include "remote/http_priv.h"

#include <stdarg.h>

#include "base/cancel.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text.h"

#define POLL_MS 200
#define LOG_LINE 1024

void http_log(const struct http *h, const char *fmt, ...)
{
	char line[LOG_LINE];
	va_list args;

	if (!h->o->log)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	h->o->log(h->o->log_arg, line);
}

/* Queries hold signatures and sessions: never shown. */
static void log_exchange(const struct http_exchange *x)
{
	const struct url *u = x->q.url;

	if (x->http->o->verbose < 1)
		return;
	if (x->http->socket) {
		http_log(x->http, "%s unix:%.300s %.*s %d %lld ms", x->q.method, x->http->socket,
			 (int)strcspn(u->rest, "?"), u->rest, x->res->status,
			 (long long)(io_now_ms() - x->began_ms));
		return;
	}
	http_log(x->http, "%s %s://%s:%d%.*s %d %lld ms", x->q.method, u->scheme, u->host, u->port,
		 (int)strcspn(u->rest, "?"), u->rest, x->res->status,
		 (long long)(io_now_ms() - x->began_ms));
}

/* ---- driving ---- */

/* Bytes that moved since we last looked start the clock anew. */
static void watch_moves(struct http_exchange *x)
{
	curl_off_t up = 0, down = 0;

	x->http->curl->easy_getinfo(x->line->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	x->http->curl->easy_getinfo(x->line->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	if (up + down == x->moved)
		return;
	x->window += up + down - x->moved;
	x->moved = up + down;
	x->moved_ms = io_now_ms();
}

static void collect(struct http_exchange *x)
{
	CURLMsg *msg;
	int left;

	while ((msg = x->http->curl->multi_info_read(x->line->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		x->done = true;
		x->code = msg->data.result;
	}
}

/* A peer that keeps itself alive with a byte now and then is as good as silent. */
static bool trickles(struct http_exchange *x, int64_t waited_ms)
{
	x->waited_ms += waited_ms;
	if (x->waited_ms < x->limit_ms)
		return false;
	if (x->window < x->waited_ms) /* 1 byte per ms: 1 KiB/s */
		return true;
	x->waited_ms = 0;
	x->window = 0;
	return false;
}

struct peer_name {
	char text[320];
};

/* Who is at the other end, for messages. */
static struct peer_name peer_name(const struct http_exchange *x)
{
	struct peer_name n;

	if (x->http->socket)
		snprintf(n.text, sizeof(n.text), "%.300s", x->http->socket);
	else
		snprintf(n.text, sizeof(n.text), "%.300s:%d", x->q.url->host, x->q.url->port);
	return n;
}

static int stalled(struct http_exchange *x, dray_error **err)
{
	x->res->fault = HTTP_FAULT_BROKEN;
	x->done = true;
	x->code = CURLE_OPERATION_TIMEDOUT;
	return err_set(err, DRAY_ERR_NETWORK, "%s was silent, or nearly so, for %lld s",
		       peer_name(x).text, (long long)((x->limit_ms + 999) / 1000));
}

/* One turn: let curl work, then wait until it can work again. */
static int turn(struct http_exchange *x, dray_error **err)
{
	const struct curl_lib *curl = x->http->curl;
	int64_t left, began_ms = io_now_ms();
	int running = 0;

	x->own_ms = 0;
	if (curl->multi_perform(x->line->multi, &running) != CURLM_OK) {
		x->res->fault = HTTP_FAULT_FINAL;
		return err_set(err, DRAY_ERR_NETWORK, "libcurl failed");
	}
	collect(x);
	watch_moves(x);
	if (x->done || x->paused)
		return 0;
	if (!x->q.farewell && cancel_check(err) < 0) {
		x->res->fault = HTTP_FAULT_FINAL;
		return -1;
	}
	left = x->limit_ms - (io_now_ms() - x->moved_ms);
	if (left <= 0)
		return stalled(x, err);
	curl->multi_poll(x->line->multi, NULL, 0, (int)(left < POLL_MS ? left : POLL_MS), NULL);
	return trickles(x, io_now_ms() - began_ms - x->own_ms) ? stalled(x, err) : 0;
}

static int drive_to_head(struct http_exchange *x, dray_error **err)
{
	while (!x->head_done && !x->done) {
		if (turn(x, err) < 0)
			return -1;
	}
	/* What breaks off behind its head is told to whoever reads it, who has what came before. */
	if (x->done && x->code != CURLE_OK && (!x->head_done || x->q.body))
		return http_fail(x, err);
	return 0;
}

/* ---- begin, read, end ---- */

static int start(struct http_exchange *x, dray_error **err)
{
	x->line = http_line_take(x->http, err);
	if (!x->line || http_line_setup(x, err) < 0)
		return -1;
	if (x->http->curl->multi_add_handle(x->line->multi, x->line->easy) != CURLM_OK)
		return err_nomem(err);
	x->added = true;
	x->began_ms = x->moved_ms = io_now_ms();
	return 0;
}

static int open_exchange(struct http *h, const struct http_request *q, bool pushed,
			 struct http_response *res, struct http_exchange **ret, dray_error **err)
{
	struct arena *arena = res->arena;
	cleanup_exchange struct http_exchange *x = mem_zalloc(sizeof(*x));

	*res = (struct http_response){ .arena = arena, .length = -1, .fault = HTTP_FAULT_FINAL };
	if (!x)
		return err_nomem(err);
	x->http = h;
	x->q = *q;
	x->pushed = pushed;
	if (q->body) {
		x->body = *q->body;
		x->q.body = &x->body;
	}
	x->res = res;
	x->limit_ms = q->wait_ms > h->stall_ms ? q->wait_ms : h->stall_ms;
	if (q->farewell && x->limit_ms > HTTP_FAREWELL_MS)
		x->limit_ms = HTTP_FAREWELL_MS;
	if (start(x, err) < 0)
		return -1;
	res->fault = HTTP_FAULT_NONE;
	*ret = steal_pointer(&x);
	return 0;
}

int http_begin(struct http *h, const struct http_request *q, struct http_response *res,
	       struct http_exchange **ret, dray_error **err)
{
	cleanup_exchange struct http_exchange *x = NULL;

	if (open_exchange(h, q, false, res, &x, err) < 0)
		return -1;
	int rc = drive_to_head(x, err);
	log_exchange(x);
	if (rc < 0)
		return -1;
	*ret = steal_pointer(&x);
	return 0;
}

static void unpause(struct http_exchange *x)
{
	if (!x->paused)
		return;
	x->paused = false;
	x->http->curl->easy_pause(x->line->easy, CURLPAUSE_CONT);
}

/* ---- a body that is pushed ---- */

int http_push(struct http *h, const struct http_request *q, struct http_response *res,
	      struct http_exchange **ret, dray_error **err)
{
	return open_exchange(h, q, true, res, ret, err);
}

/* Curl asked for bytes that were not there, and waits to be told that they are. */
static void feed_again(struct http_exchange *x)
{
	if (!x->hungry)
		return;
	x->hungry = false;
	x->http->curl->easy_pause(x->line->easy, CURLPAUSE_CONT);
}

int http_offer(struct http_exchange *x, struct span bytes, dray_error **err)
{
	x->moved_ms = io_now_ms(); /* as in http_peek() */
	x->offer = bytes;
	while (x->offer.len && !x->done) {
		feed_again(x);
		if (turn(x, err) < 0)
			return -1;
		if (x->paused) { /* an answer of that size before the end is no answer */
			x->res->fault = HTTP_FAULT_FINAL;
			return err_set(err, DRAY_ERR_NETWORK, "%s talks before it has listened",
				       peer_name(x).text);
		}
	}
	if (!x->offer.len)
		return 1;
	x->offer = (struct span){ 0 };
	if (x->code != CURLE_OK && !x->head_done)
		return http_fail(x, err);
	return 0;
}

int http_offer_end(struct http_exchange *x, dray_error **err)
{
	x->offered_all = true;
	x->moved_ms = io_now_ms();
	feed_again(x);
	while (!x->head_done && !x->done) {
		if (turn(x, err) < 0)
			return -1;
	}
	log_exchange(x);
	/* A head that is here counts even if the sending broke: it says why. */
	if (!x->head_done && x->code != CURLE_OK)
		return http_fail(x, err);
	return 0;
}

int http_peek(struct http_exchange *x, size_t min, struct span *ret, dray_error **err)
{
	/* While nobody asked for bytes the peer could not be late. */
	x->moved_ms = io_now_ms();
	while (x->len < min && !x->done) {
		unpause(x);
		if (turn(x, err) < 0)
			return -1;
	}
	if (x->len < min && x->code != CURLE_OK)
		return http_fail(x, err);
	*ret = http_at_hand(x);
	return 0;
}

void http_consume(struct http_exchange *x, size_t n)
{
	x->start += n;
	x->len -= n;
	if (!x->len)
		x->start = 0;
}

struct span http_at_hand(const struct http_exchange *x)
{
	return span_of(x->data ? x->data + x->start : NULL, x->len);
}

int http_unread(struct http_exchange *x, struct span bytes, dray_error **err)
{
	size_t len = x->len + bytes.len;
	uint8_t *data = mem_alloc(len);

	if (!data)
		return err_nomem(err);
	memcpy(data, bytes.data, bytes.len);
	if (x->len)
		memcpy(data + bytes.len, x->data + x->start, x->len);
	mem_free(x->data);
	x->data = data;
	x->start = 0;
	x->len = x->cap = len;
	return 0;
}

int http_slurp(struct http_exchange *x, bool cut, struct buf *ret, dray_error **err)
{
	for (;;) {
		struct span s;

		if (http_peek(x, 1, &s, err) < 0)
			return -1;
		if (!s.len)
			return 0;
		if (cut)
			s = span_head(s, ret->max - ret->len);
		if (buf_add(ret, s, err) < 0)
			return -1;
		if (cut && ret->len == ret->max)
			return 0;
		http_consume(x, s.len);
	}
}

void http_end(struct http_exchange *x)
{
	if (!x)
		return;
	if (x->added)
		x->http->curl->multi_remove_handle(x->line->multi, x->line->easy);
	if (x->line)
		http_line_drop(x->http, x->line);
	if (x->headers) {
		for (struct curl_slist *s = x->headers; s; s = s->next)
			explicit_bzero(s->data, strlen(s->data));
		x->http->curl->slist_free_all(x->headers);
	}
	dray_error_free(x->inner);
	mem_free(x->data);
	mem_free(x);
}

/* ---- what went wrong ---- */

static const struct {
	CURLcode code;
	enum http_fault fault;
} faults[] = {
	{ CURLE_COULDNT_CONNECT, HTTP_FAULT_CONNECT },
	{ CURLE_COULDNT_RESOLVE_HOST, HTTP_FAULT_CONNECT },
	{ CURLE_COULDNT_RESOLVE_PROXY, HTTP_FAULT_CONNECT },
	{ CURLE_SSL_CONNECT_ERROR, HTTP_FAULT_TLS },
	{ CURLE_GOT_NOTHING, HTTP_FAULT_BROKEN },
	{ CURLE_SEND_ERROR, HTTP_FAULT_BROKEN },
	{ CURLE_RECV_ERROR, HTTP_FAULT_BROKEN },
	{ CURLE_PARTIAL_FILE, HTTP_FAULT_BROKEN },
	{ CURLE_SEND_FAIL_REWIND, HTTP_FAULT_BROKEN },
	{ CURLE_OPERATION_TIMEDOUT, HTTP_FAULT_BROKEN },
};

static enum http_fault fault_of(const struct http_exchange *x)
{
	/* TLS 1.3 servers say that they wanted another client certificate after the handshake. */
	if (x->code == CURLE_RECV_ERROR && strstr(x->error, "alert "))
		return HTTP_FAULT_FINAL;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		if (faults[i].code == x->code)
			return faults[i].fault;
	}
	return HTTP_FAULT_FINAL;
}

static bool certificate_trouble(const struct http_exchange *x)
{
	switch (x->code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return true;
	default:
		return strstr(x->error, "alert ") != NULL;
	}
}

static int explain_engine(struct http_exchange *x, dray_error **err)
{
	if (certificate_trouble(x))
		return err_hint(err, "DOCKER_CERT_PATH is the folder of ca.pem, cert.pem and "
				     "key.pem for this engine");
	if (x->code == CURLE_SSL_CONNECT_ERROR)
		return err_hint(err, "if the engine speaks no TLS, unset DOCKER_TLS_VERIFY");
	return -1;
}

static int explain(struct http_exchange *x, dray_error **err)
{
	long connect_code = 0;

	x->http->curl->easy_getinfo(x->line->easy, CURLINFO_HTTP_CONNECTCODE, &connect_code);
	if (connect_code == 407)
		return err_hint(err, "the proxy wants a login: set it in https_proxy "
				     "(http://USER:PASSWORD@HOST:PORT)");
	if (certificate_trouble(x))
		return err_hint(err, "name the registry's CA and client certificate with "
				     "--cert-dir, or do not verify with --tls-verify=false");
	if (x->code == CURLE_SSL_CONNECT_ERROR)
		return err_hint(err, "if the registry speaks no TLS, use --plain-http");
	return -1;
}

int http_fail(struct http_exchange *x, dray_error **err)
{
	const char *why = *x->error ? x->error : x->http->curl->easy_strerror(x->code);

	if (x->http->socket && x->code == CURLE_COULDNT_CONNECT) /* not "localhost port 80" */
		why = "nobody listens at this socket";
	cleanup_free char *safe = NULL;

	if (x->inner_failed) {
		x->res->fault = HTTP_FAULT_FINAL;
		if (err)
			*err = steal_pointer(&x->inner);
		return -1;
	}
	if (x->res->fault == HTTP_FAULT_NONE)
		x->res->fault = fault_of(x);
	if (x->code == CURLE_OUT_OF_MEMORY)
		return err_nomem(err);
	safe = text_safe(span_str(why), 300);
	err_set(err, DRAY_ERR_NETWORK, "%s: %s", peer_name(x).text,
		safe ? safe : "connection failed");
	return x->http->engine ? explain_engine(x, err) : explain(x, err);
}
