/* SPDX-License-Identifier: Apache-2.0
 *
 * For: answers: their heads, and bodies from memory, from files and from sources.
 * Relies on libmicrohttpd to send; on the kernel (sendfile) where bytes lie in a file.
 * Promises: an answer has the length that it announced, or is cut short; one that announces none
 * ends when its source does, and not when that fails.
 */
#include <errno.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "base/jsonw.h"
#include "base/mem.h"
#include "base/text.h"
#include "serve/serve_priv.h"

#define ERROR_TYPE "application/json; charset=utf-8"
#define ERROR_MAX (64 * KIB) /* bytes of an error document */
#define FIELD_MAX (16 * KIB) /* bytes of a field that we write */

/* ---- with and without a body ---- */

static struct reply made(struct MHD_Response *response, int status, int64_t size)
{
	return (struct reply){ response, status, size, !response };
}

struct reply reply_empty(int status)
{
	return made(mhd()->create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT), status, 0);
}

struct reply reply_bytes(int status, const char *type, struct buf *b)
{
	struct reply r = made(
		mhd()->create_response_from_buffer_with_free_callback(b->len, b->data, mem_free),
		status, (int64_t)b->len);

	if (r.failed)
		buf_clear(b);
	*b = (struct buf){ .max = b->max };
	reply_field(&r, "Content-Type", type);
	return r;
}

/* Never called: of an answer to HEAD no body is sent. */
static ssize_t no_bytes(void *cls, uint64_t pos, char *to, size_t max)
{
	(void)cls, (void)pos, (void)to, (void)max;
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

struct reply reply_head(int status, const char *type, int64_t size)
{
	struct reply r = made(
		mhd()->create_response_from_callback((uint64_t)size, 1, no_bytes, NULL, NULL),
		status, size);

	reply_field(&r, "Content-Type", type);
	return r;
}

/* ---- blobs ---- */

/* A source that becomes the body of an answer; its trouble is told when it comes. */
struct stream {
	struct source *data;
	struct peer *peer;
	struct exchange *untold; /* where bytes are counted that nobody announced; NULL */
};

/* The source may wait for somebody else, for which the client is not to be blamed. */
static int64_t read_on_behalf(struct stream *s, char *to, size_t max, dray_error **err)
{
	int64_t n;

	atomic_store(&s->peer->state, PEER_WORK);
	n = source_read(s->data, to, max, err);
	atomic_store(&s->peer->state, PEER_REPLY);
	return n;
}

static ssize_t stream_read(void *cls, uint64_t pos, char *to, size_t max)
{
	struct stream *s = cls;
	cleanup_error dray_error *err = NULL;
	int64_t n = read_on_behalf(s, to, max, &err);

	(void)pos;
	if (n > 0 && s->untold)
		s->untold->sent += n;
	if (n > 0)
		return (ssize_t)n;
	if (n == 0 && s->untold) {
		peer_untold(s->peer, false);
		return MHD_CONTENT_READER_END_OF_STREAM;
	}
	log_trouble(s->peer->server, NULL, n < 0 ? dray_error_message(err) : "a blob is too short");
	if (s->untold)
		peer_break(s->peer);
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

static void stream_free(void *cls)
{
	struct stream *s = cls;

	source_free(s->data);
	mem_free(s);
}

static struct MHD_Response *from_source(struct shelf_blob *b, int64_t off, int64_t len,
					struct exchange *ex)
{
	cleanup_error dray_error *err = NULL;
	struct stream *s = mem_alloc(sizeof(*s));
	struct MHD_Response *r;

	if (!s)
		return NULL;
	*s = (struct stream){ shelf_blob_open(b, &err), ex->peer, len < 0 ? ex : NULL };
	if (!s->data || source_skip(s->data, off, &err) != off) {
		log_trouble(ex->server, ex, err ? dray_error_message(err) : "a blob is too short");
		stream_free(s);
		return NULL;
	}
	/* -1 is MHD_SIZE_UNKNOWN: in chunks. */
	r = mhd()->create_response_from_callback((uint64_t)len, REPLY_BLOCK, stream_read, s,
						 stream_free);
	if (!r)
		stream_free(s);
	else if (len < 0)
		peer_untold(ex->peer, true);
	return r;
}

struct reply reply_blob(int status, struct shelf_blob *b, int64_t off, int64_t len,
			struct exchange *ex)
{
	struct MHD_Response *r;

	if (len == 0)
		r = mhd()->create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	else if (b->fd < 0)
		r = from_source(b, off, len, ex);
	else
		r = mhd()->create_response_from_fd_at_offset64((uint64_t)len, b->fd,
							       (uint64_t)(b->off + off));
	if (r && len > 0 && b->fd >= 0) {
		peer_sends(ex->peer, b->fd, b->off + off + len);
		b->fd = -1; /* the response closes it */
	}
	shelf_blob_clear(b);

	struct reply reply = made(r, status, len);
	reply_field(&reply, "Content-Type", "application/octet-stream");
	return reply;
}

/* ---- fields ---- */

void reply_field(struct reply *r, const char *name, const char *value)
{
	if (!r->failed && mhd()->add_response_header(r->response, name, value) != MHD_YES)
		r->failed = true;
}

void reply_fieldf(struct reply *r, const char *name, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	cleanup_free char *value = mem_vprintf(fmt, args);
	va_end(args);
	if (value && strlen(value) <= FIELD_MAX)
		reply_field(r, name, value);
	else
		r->failed = true;
}

enum MHD_Result reply_send(struct exchange *ex, struct reply *r)
{
	enum MHD_Result done = MHD_NO;

	reply_field(r, "Docker-Distribution-Api-Version", "registry/2.0");
	reply_field(r, "X-Content-Type-Options", "nosniff");
	if (atomic_load(&ex->server->stopping) || ex->head.unclear ||
	    daemons_part(ex->server, ex->c))
		reply_field(r, "Connection", "close");
	ex->status = r->status;
	ex->sent = ex->route.method == METHOD_HEAD || r->size < 0 ? 0 : r->size;
	ex->answered = true;
	peer_enter(ex->peer, PEER_REPLY);
	/* Without memory for a head the connection ends, which is an answer, too. */
	if (!r->failed)
		done = mhd()->queue_response(ex->c, (unsigned)r->status, r->response);
	if (r->response)
		mhd()->destroy_response(r->response);
	return done;
}

/* ---- refusals ---- */

struct refusal {
	int status;
	const char *code;
	char *text;
};

/* What was not meant for clients goes to the log; they read that, and whether to come again. */
static struct refusal refusal_of(struct exchange *ex, const dray_error *e)
{
	struct refusal r = { dray_error_http_status(e), dray_error_registry_code(e), NULL };
	int no = dray_error_errno(e);

	if (r.status > 0) {
		r.text = text_safe(span_str(dray_error_message(e)), 1024);
		return r;
	}
	log_trouble(ex->server, ex, dray_error_message(e));
	if (no == ENOSPC || no == EDQUOT)
		return (struct refusal){ 507, "UNAVAILABLE", mem_strdup("no space left") };
	return (struct refusal){ 500, "UNKNOWN", mem_strdup("internal error") };
}

static int write_errors(const struct refusal *r, struct buf *ret, dray_error **err)
{
	struct jsonw w;

	jsonw_init(&w, ret, err);
	jsonw_object(&w);
	jsonw_key(&w, "errors");
	jsonw_array(&w);
	jsonw_object(&w);
	jsonw_kstring(&w, "code", r->code ? r->code : "UNKNOWN");
	jsonw_kstring(&w, "message", r->text ? r->text : "");
	jsonw_end_object(&w);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return jsonw_finish(&w);
}

/* The document for *err, which is freed; its status, or -1. */
static int refuse_with(struct exchange *ex, dray_error **err, struct buf *ret)
{
	cleanup_error dray_error *e = steal_pointer(err);
	struct refusal r = refusal_of(ex, e);
	int rc = write_errors(&r, ret, NULL);

	mem_free(r.text);
	return rc < 0 ? -1 : r.status;
}

static struct reply refusal_reply(struct exchange *ex, const struct refusal *r)
{
	cleanup_buf struct buf text = BUF_INIT(ERROR_MAX);

	if (reads_pages(ex))
		return reply_refusal_page(r->status, r->text ? r->text : "");
	if (write_errors(r, &text, NULL) < 0)
		return (struct reply){ .failed = true };
	return reply_bytes(r->status, ERROR_TYPE, &text);
}

enum MHD_Result reply_error(struct exchange *ex, dray_error **err)
{
	cleanup_error dray_error *e = steal_pointer(err);
	struct refusal r = refusal_of(ex, e);
	struct reply reply = refusal_reply(ex, &r);

	mem_free(r.text);
	if (r.status == 401 && ex->who.challenge)
		reply_field(&reply, "WWW-Authenticate", ex->who.challenge);
	if (r.status == 405)
		reply_field(&reply, "Allow", ex->allow ? ex->allow : "GET, HEAD");
	if (r.status == 416 && ex->whole >= 0)
		reply_fieldf(&reply, "Content-Range", "bytes */%lld", (long long)ex->whole);
	return reply_send(ex, &reply);
}

/* ---- by hand ---- */

/* Little enough for the socket's buffer, which has nothing else to send. */
static bool send_all(int fd, struct span bytes)
{
	ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);

	return n >= 0 && (size_t)n == bytes.len;
}

enum MHD_Result reply_raw(struct exchange *ex, dray_error **err)
{
	cleanup_buf struct buf text = BUF_INIT(ERROR_MAX), all = BUF_INIT(ERROR_MAX + KIB);
	int status = refuse_with(ex, err, &text);

	if (status < 0 || !is_plain_tcp(ex->c) ||
	    buf_printf(&all, NULL,
		       "HTTP/1.1 %d %s\r\nContent-Type: " ERROR_TYPE "\r\nContent-Length: %zu\r\n"
		       "Connection: close\r\n\r\n",
		       status, mhd()->get_reason_phrase_for((unsigned)status), text.len) < 0 ||
	    buf_add(&all, span_buf(&text), NULL) < 0)
		return MHD_NO;
	ex->status = status;
	ex->sent = (int64_t)text.len;
	ex->answered = ex->raw = send_all(ex->peer->fd, span_buf(&all));
	return MHD_NO;
}
