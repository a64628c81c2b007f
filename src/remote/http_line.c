/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      curl handles: kept with their connections, set up anew for each request.
 * Relies:   on libcurl to match TLS options when it reuses a connection.
 * Promises: nothing of an earlier request survives in a handle; private trust goes to the registry's origin
 *           only; loopback is never proxied; no cookies, no netrc, no decoding, no redirects.
 */
#include "remote/http_priv.h"

#include "base/io.h"
#include "base/mem.h"

#define UPLOAD_BUFFER (512L * 1024) /* bytes per send; fewer, larger writes */
#define DOWNLOAD_BUFFER (256L * 1024)

static void free_line(const struct curl_lib *curl, struct http_line *line)
{
	if (!line)
		return;
	if (line->easy)
		curl->easy_cleanup(line->easy);
	if (line->multi)
		curl->multi_cleanup(line->multi);
	mem_free(line);
}

struct http *http_new(const struct remote_options *o, dray_error **err)
{
	const struct curl_lib *curl = curl_lib(err);
	struct http *h = curl ? mem_zalloc(sizeof(*h)) : NULL;

	if (!h) {
		if (curl)
			err_nomem(err);
		return NULL;
	}
	h->curl = curl;
	h->o = o;
	h->stall_ms = http_env_ms("DRAY_STALL_MS", HTTP_STALL_MS);
	h->agent = o->user_agent ? o->user_agent : "dray";
	h->lock = lock_new(err);
	if (!h->lock) {
		http_free(h);
		return NULL;
	}
	return h;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	while (h->idle) {
		struct http_line *line = h->idle;

		h->idle = line->next;
		free_line(h->curl, line);
	}
	lock_free(h->lock);
	mem_free(h);
}

void http_set_engine(struct http *h, const char *path)
{
	h->engine = true;
	h->socket = path;
}

void http_set_origin(struct http *h, const struct url *origin, const struct tls_files *files)
{
	h->origin = *origin;
	h->files = files;
	h->has_origin = true;
}

struct http_line *http_line_take(struct http *h, dray_error **err)
{
	struct http_line *line;

	lock_take(h->lock);
	line = h->idle;
	if (line)
		h->idle = line->next;
	lock_drop(h->lock);
	if (line)
		return line;
	line = mem_zalloc(sizeof(*line));
	if (line) {
		line->easy = h->curl->easy_init();
		line->multi = h->curl->multi_init();
	}
	if (!line || !line->easy || !line->multi) {
		free_line(h->curl, line);
		err_nomem(err);
		return NULL;
	}
	return line;
}

void http_line_drop(struct http *h, struct http_line *line)
{
	/* Pointers into the exchange that just ended must not stay behind. */
	h->curl->easy_reset(line->easy);
	lock_take(h->lock);
	line->next = h->idle;
	h->idle = line;
	lock_drop(h->lock);
}

/* ---- the options of one request ---- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct http_exchange *x = arg;
	size_t bytes = size * n;

	x->moved_ms = io_now_ms();
	if (x->start + x->len + bytes > x->cap && x->start) {
		memmove(x->data, x->data + x->start, x->len);
		x->start = 0;
	}
	if (x->len + bytes > x->cap) {
		size_t cap = x->cap ? x->cap * 2 : 32 * 1024;
		uint8_t *more;

		/* Room for the largest peek and one piece of curl's; then the peer waits. */
		if (x->len >= SOURCE_PEEK_MAX) {
			x->paused = true;
			return CURL_WRITEFUNC_PAUSE;
		}
		while (cap < x->len + bytes)
			cap *= 2;
		more = mem_realloc(x->data, cap);
		if (!more)
			return 0;
		x->data = more;
		x->cap = cap;
	}
	memcpy(x->data + x->start + x->len, data, bytes);
	x->len += bytes;
	return bytes;
}

/* Time that the source takes is not the peer's silence (G-13). */
static size_t on_pull(char *data, size_t size, size_t n, void *arg)
{
	struct http_exchange *x = arg;
	int64_t got = 0, began_ms = io_now_ms();

	if (x->q.body)
		got = x->q.body->pull(x->q.body->arg, data, size * n, &x->inner);
	x->moved_ms = io_now_ms();
	x->own_ms += x->moved_ms - began_ms;
	if (got >= 0)
		return (size_t)got;
	x->inner_failed = true;
	return CURL_READFUNC_ABORT;
}

/* What was offered; with nothing at hand curl waits until http_offer() wakes it. */
static size_t on_offer(char *data, size_t size, size_t n, void *arg)
{
	struct http_exchange *x = arg;
	struct span piece = span_head(x->offer, size * n);

	if (!piece.len && !x->offered_all) {
		x->hungry = true;
		return CURL_READFUNC_PAUSE;
	}
	if (piece.len)
		memcpy(data, piece.data, piece.len);
	x->offer = span_from(x->offer, piece.len);
	return piece.len;
}

/* A body that was begun is not begun again behind our back: the levels above ask the registry where it stands. */
static int on_seek(void *arg, curl_off_t off, int origin)
{
	(void)arg;
	(void)off;
	(void)origin;
	return CURL_SEEKFUNC_FAIL;
}

static int add_header(struct http_exchange *x, const char *name, const char *value,
		      dray_error **err)
{
	cleanup_free char *line = NULL;
	struct curl_slist *more;

	if (!value)
		return 0;
	if (!http_value_safe(value))
		return err_set(err, DRAY_ERR_FORMAT, "%s header would hold odd characters", name);
	line = mem_printf("%s: %s", name, value);
	more = line ? x->http->curl->slist_append(x->headers, line) : NULL;
	if (line)
		explicit_bzero(line, strlen(line));
	if (!more)
		return err_nomem(err);
	x->headers = more;
	return 0;
}

static int drop_header(struct http_exchange *x, const char *name, dray_error **err)
{
	struct curl_slist *more = x->http->curl->slist_append(x->headers, name);

	if (!more)
		return err_nomem(err);
	x->headers = more;
	return 0;
}

static int set_headers(struct http_exchange *x, dray_error **err)
{
	const struct http_request *q = &x->q;
	cleanup_free char *range = NULL;

	if (q->range_from > 0) {
		range = mem_printf("bytes=%lld-", (long long)q->range_from);
		if (!range)
			return err_nomem(err);
	}
	if (add_header(x, "Authorization", q->authorization, err) < 0 ||
	    add_header(x, "Accept", q->accept ? q->accept : "*/*", err) < 0 ||
	    add_header(x, "Content-Type", q->content_type, err) < 0 ||
	    add_header(x, "Content-Range", q->content_range, err) < 0 ||
	    add_header(x, "Range", range, err) < 0 ||
	    add_header(x, "Accept-Encoding", "identity", err) < 0 ||
	    drop_header(x, "Expect:", err) < 0)
		return -1;
	x->http->curl->easy_setopt(x->line->easy, CURLOPT_HTTPHEADER, x->headers);
	return 0;
}

/* -1 = unknown: chunked. */
static int64_t body_size(const struct http_exchange *x)
{
	if (x->pushed)
		return -1;
	return x->q.body ? x->q.body->size : 0;
}

static void set_method(struct http_exchange *x)
{
	__typeof__(curl_easy_setopt) *set = x->http->curl->easy_setopt;
	CURL *easy = x->line->easy;
	const struct http_request *q = &x->q;

	if (strcmp(q->method, "HEAD") == 0) {
		set(easy, CURLOPT_NOBODY, 1L);
		return;
	}
	if (strcmp(q->method, "GET") == 0 || strcmp(q->method, "DELETE") == 0) {
		set(easy, CURLOPT_CUSTOMREQUEST, q->method);
		return;
	}
	set(easy, CURLOPT_UPLOAD, 1L);
	set(easy, CURLOPT_CUSTOMREQUEST, q->method);
	set(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)body_size(x));
	set(easy, CURLOPT_READFUNCTION, x->pushed ? on_offer : on_pull);
	set(easy, CURLOPT_READDATA, x);
	set(easy, CURLOPT_SEEKFUNCTION, on_seek);
	if (q->body || x->pushed)
		set(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
}

/* Private trust is for the registry itself: not for its token server, not for where it redirects (N-11). */
static void set_trust(struct http_exchange *x)
{
	__typeof__(curl_easy_setopt) *set = x->http->curl->easy_setopt;
	const struct http *h = x->http;
	CURL *easy = x->line->easy;

	if (!h->has_origin || !url_same_origin(&h->origin, x->q.url))
		return;
	if (h->o->tls_skip_verify) {
		set(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		set(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (h->files && h->files->only)
		set(easy, CURLOPT_CAPATH, NULL);
	if (h->files && h->files->ca.len) {
		struct curl_blob ca = { h->files->ca.data, h->files->ca.len, CURL_BLOB_NOCOPY };

		set(easy, CURLOPT_CAINFO_BLOB, &ca);
	}
	if (h->files && h->files->cert) {
		set(easy, CURLOPT_SSLCERT, h->files->cert);
		set(easy, CURLOPT_SSLKEY, h->files->key);
	}
}

static int on_loopback(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	(void)arg;
	(void)purpose;
	io_unpace(fd);
	return CURL_SOCKOPT_OK;
}

static void set_manners(struct http_exchange *x)
{
	__typeof__(curl_easy_setopt) *set = x->http->curl->easy_setopt;
	const struct http *h = x->http;
	CURL *easy = x->line->easy;
	int64_t connect = h->stall_ms < HTTP_CONNECT_MS ? h->stall_ms : HTTP_CONNECT_MS;

	if (x->q.farewell && connect > HTTP_FAREWELL_MS)
		connect = HTTP_FAREWELL_MS;
	set(easy, CURLOPT_NOSIGNAL, 1L);
	set(easy, CURLOPT_FOLLOWLOCATION, 0L);
	set(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	set(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	set(easy, CURLOPT_PATH_AS_IS, 1L);
	set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	/* One connection a worker; multiplexing would make one stalled blob stall the others. */
	set(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	set(easy, CURLOPT_BUFFERSIZE, DOWNLOAD_BUFFER);
	set(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect);
	set(easy, CURLOPT_USERAGENT, h->agent);
#if LIBCURL_VERSION_NUM >= 0x075500
	set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	set(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	if (url_host_is_loopback(x->q.url) || h->socket)
		set(easy, CURLOPT_NOPROXY, "*");
	if (h->socket)
		set(easy, CURLOPT_UNIX_SOCKET_PATH, h->socket);
	else if (url_host_is_loopback(x->q.url))
		set(easy, CURLOPT_SOCKOPTFUNCTION, on_loopback);
}

int http_line_setup(struct http_exchange *x, dray_error **err)
{
	__typeof__(curl_easy_setopt) *set = x->http->curl->easy_setopt;
	CURL *easy = x->line->easy;
	struct arena scratch = { 0 };
	char *text = url_text(x->q.url, &scratch);

	if (text)
		set(easy, CURLOPT_URL, text); /* copied */
	arena_clear(&scratch);
	if (!text)
		return err_nomem(err);
	set(easy, CURLOPT_ERRORBUFFER, x->error);
	set(easy, CURLOPT_HEADERFUNCTION, http_head_line);
	set(easy, CURLOPT_HEADERDATA, x);
	set(easy, CURLOPT_WRITEFUNCTION, on_body);
	set(easy, CURLOPT_WRITEDATA, x);
	set_manners(x);
	set_trust(x);
	set_method(x);
	return set_headers(x, err);
}
