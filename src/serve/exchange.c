/* SPDX-License-Identifier: Apache-2.0
 *
 * For: one request from its first line to its last byte, as libmicrohttpd calls us.
 * Relies on route.c for what it asks; read.c and write.c for what is done.
 * Promises: every request gets one answer or loses its connection; what it held is let go of.
 */
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "serve/serve_priv.h"

/* ---- the head ---- */

struct head_fields {
	struct head *head;
	struct arena *arena;
	int lengths, encodings;
	bool odd;    /* malformed length, another encoding */
	bool broken; /* a field that another reader of this head would take for another one */
	bool nomem;
};

/* Several fields of one name are one list. */
static void join(struct head_fields *f, const char **have, const char *more)
{
	*have = *have ? arena_printf(f->arena, "%s, %s", *have, more) : more;
	f->nomem = f->nomem || !*have;
}

/* RFC 9110 5.6.2 */
static bool is_token(const char *name)
{
	static const char chars[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return *name && name[strspn(name, chars)] == 0;
}

/*
 * libmicrohttpd leaves a blank before the colon in the name, and adds a line that continues a field to
 * its name and not to its value. A name that was added to lies elsewhere; else the value follows
 * it in the connection's memory, behind the NUL in place of the colon and blanks.
 */
static bool is_plain(const char *key, const char *value)
{
	uintptr_t end = (uintptr_t)key + strlen(key), at = (uintptr_t)value;

	return is_token(key) && at > end && at - end <= HEAD_BYTES_MAX;
}

static enum MHD_Result take_field(void *cls, enum MHD_ValueKind kind, const char *key,
				  const char *value)
{
	struct head_fields *f = cls;
	struct span name = span_str(key);
	struct head *h = f->head;

	(void)kind;
	f->broken = f->broken || !value || !is_plain(key, value);
	value = value ? value : "";
	if (ascii_ieq(name, "accept"))
		join(f, &h->accept, value);
	else if (ascii_ieq(name, "if-none-match"))
		join(f, &h->if_none_match, value);
	else if (ascii_ieq(name, "range"))
		join(f, &h->range, value); /* two make a list, and several are passed over */
	else if (ascii_ieq(name, "if-range"))
		h->if_range = value;
	else if (ascii_ieq(name, "content-type"))
		h->content_type = value;
	else if (ascii_ieq(name, "content-range"))
		join(f, &h->content_range, value);
	else if (ascii_ieq(name, "user-agent"))
		h->agent = value;
	else if (ascii_ieq(name, "host")) {
		f->broken = f->broken || h->host; /* RFC 9112 3.2 */
		h->host = value;
	} else if (ascii_ieq(name, "origin"))
		h->origin = value;
	else if (ascii_ieq(name, "sec-fetch-site"))
		join(f, &h->fetch_site, value);
	else if (ascii_ieq(name, "x-forwarded-proto"))
		h->forwarded_proto = value;
	else if (ascii_ieq(name, "authorization")) {
		f->broken = f->broken || h->authorization; /* which of two is meant? */
		h->authorization = value;
	} else if (ascii_ieq(name, "expect"))
		h->expects = true;
	else if (ascii_ieq(name, "content-length")) {
		f->lengths++;
		f->odd = f->odd || !num_parse_u63(span_str(value), &h->content_length);
	} else if (ascii_ieq(name, "transfer-encoding")) {
		f->encodings++;
		f->odd = f->odd || !ascii_ieq(span_str(value), "chunked");
		h->chunked = true;
	}
	return MHD_YES;
}

static int malformed(dray_error **err, int status, const char *text)
{
	shelf_refuse(err, SHELF_UNSUPPORTED, "%s", text);
	return err_http(err, status, "UNSUPPORTED");
}

int head_read(struct MHD_Connection *c, struct arena *a, struct head *ret, dray_error **err)
{
	struct head_fields f = { .head = ret, .arena = a };
	int n;

	*ret = (struct head){ .content_length = -1 };
	n = mhd()->get_connection_values(c, MHD_HEADER_KIND, take_field, &f);
	if (f.nomem)
		return err_nomem(err);
	ret->unclear = n > HEAD_FIELDS_MAX || f.broken || f.odd || f.lengths > 1 ||
		       f.encodings > 1 || (f.lengths && f.encodings);
	if (n > HEAD_FIELDS_MAX)
		return malformed(err, 431, "the request has too many header fields");
	if (f.broken)
		return malformed(err, 400, "a field of the request's head is malformed");
	if (ret->unclear)
		return malformed(err, 400, "the length of the request's body is ambiguous");
	return 0;
}

/* ---- a request ---- */

struct peer *peer_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *i = mhd()->get_connection_info(
		c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i ? i->socket_context : NULL;
}

void *exchange_target(void *cls, const char *target, struct MHD_Connection *c)
{
	struct peer *p = peer_of(c);

	(void)cls;
	if (!p)
		return NULL;
	mem_free(p->target);
	p->target = mem_strdup(target);
	p->target_at = target;
	peer_enter(p, PEER_HEAD);
	return NULL;
}

static struct exchange *exchange_new(struct server *s, struct MHD_Connection *c, const char *method)
{
	struct peer *p = peer_of(c);
	struct exchange *ex = p && p->target ? mem_zalloc(sizeof(*ex)) : NULL;

	if (!ex)
		return NULL;
	ex->server = s;
	ex->peer = p;
	ex->c = c;
	ex->began_ms = io_now_ms();
	ex->manifest = BUF_INIT(LIMIT_MANIFEST);
	ex->gathered = BUF_INIT(UPLOAD_BLOCK);
	ex->piece = -1;
	ex->whole = -1;
	ex->route.kind = ROUTE_KINDS;
	ex->route.method = METHODS;
	ex->method = arena_strdup(&ex->arena, method);
	if (ex->method)
		return ex;
	mem_free(ex);
	return NULL;
}

static void exchange_free(struct exchange *ex)
{
	write_end(ex);
	dray_error_free(ex->refusal);
	buf_clear(&ex->manifest);
	buf_clear(&ex->gathered);
	route_clear(&ex->route);
	arena_clear(&ex->arena);
	mem_free(ex);
}

static bool writes(const struct route *r)
{
	return r->method != METHOD_GET && r->method != METHOD_HEAD;
}

/*
 * A target with a NUL in it reaches us cut short. The version follows it in the same line, so how far
 * that is tells.
 */
static int check_whole(const struct peer *p, const char *version, dray_error **err)
{
	uintptr_t at = (uintptr_t)p->target_at, end = (uintptr_t)version;

	if (end <= at || end - at > HEAD_BYTES_MAX || end - at == strlen(p->target) + 1)
		return 0;
	return malformed(err, 400, "the request's target is malformed");
}

static int check_ns(const struct exchange *ex, dray_error **err)
{
	const struct shelf *s = ex->server->shelf;
	const char *ns = ex->route.ns;

	if (!ns || !s->ops->stands_for || s->ops->stands_for(s, ns))
		return 0;
	return shelf_refuse(err, SHELF_NAME_UNKNOWN, "this is the mirror of another registry");
}

/*
 * A browser sends what any page tells it to, with the user's password, or from where everybody may
 * do everything; but it says so. Clients of registries send neither field.
 */
static int check_browser(const struct exchange *ex, dray_error **err)
{
	const struct head *h = &ex->head;
	struct span site = span_str(h->fetch_site ? h->fetch_site : "none");

	if (!writes(&ex->route) ||
	    (!h->origin && (ascii_ieq(site, "none") || ascii_ieq(site, "same-origin"))))
		return 0;
	return shelf_refuse(err, SHELF_DENIED, "pages of browsers change nothing here");
}

/* Everything that can be decided before the body comes. */
static int begin(struct exchange *ex, dray_error **err)
{
	if (head_read(ex->c, &ex->arena, &ex->head, err) < 0 ||
	    route_parse(ex->method, span_str(ex->peer->target), &ex->route, &ex->allow, err) < 0 ||
	    check_browser(ex, err) < 0 || gate_check(ex, err) < 0 || check_ns(ex, err) < 0)
		return -1;
	return writes(&ex->route) ? write_begin(ex, err) : 0;
}

static bool has_body(const struct exchange *ex)
{
	return ex->head.chunked || ex->head.content_length > 0;
}

/*
 * A refused body is read to its end where that is cheap, and the connection goes on. Whoever asked
 * before sending, has much, or does not say how much, is told at once.
 */
static bool refuse_now(const struct exchange *ex)
{
	return ex->head.unclear || ex->head.chunked ||
	       (has_body(ex) && (ex->head.expects || ex->head.content_length > DISCARD_MAX));
}

static enum MHD_Result refuse(struct exchange *ex)
{
	return reply_error(ex, &ex->refusal);
}

/* libmicrohttpd takes no answer in the middle of a body; nothing follows this one. */
static enum MHD_Result refuse_in_body(struct exchange *ex)
{
	if (!ex->refusal)
		malformed(&ex->refusal, 413, "this request needs no such body");
	ex->unread = true;
	return reply_raw(ex, &ex->refusal);
}

static enum MHD_Result first_call(struct exchange *ex, const char *version)
{
	int rc = check_whole(ex->peer, version, &ex->refusal);

	if (rc == 0)
		rc = begin(ex, &ex->refusal);
	if (rc < 0 && refuse_now(ex)) {
		ex->unread = true;
		return refuse(ex);
	}
	if (ex->head.content_length < 0 && !ex->head.chunked)
		return MHD_YES; /* no body: the next call answers */
	peer_enter(ex->peer, PEER_BODY);
	return MHD_YES;
}

static enum MHD_Result body_call(struct exchange *ex, const char *data, size_t *size)
{
	struct span bytes = span_of(data, *size);

	ex->received += (int64_t)bytes.len;
	atomic_fetch_add(&ex->peer->received, (int64_t)bytes.len);
	*size = 0;
	if (!ex->refusal && write_feed(ex, bytes, &ex->refusal) < 0)
		write_end(ex);
	if ((ex->refusal || ex->use == BODY_IGNORED) && ex->received > DISCARD_MAX)
		return refuse_in_body(ex);
	atomic_store(&ex->peer->state, PEER_BODY);
	return MHD_YES;
}

static enum MHD_Result last_call(struct exchange *ex)
{
	if (ex->refusal)
		return refuse(ex);
	return writes(&ex->route) ? write_answer(ex) : answer_read(ex);
}

enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *c, const char *url,
				const char *method, const char *version, const char *data,
				size_t *size, void **slot)
{
	struct exchange *ex = *slot;

	(void)url;
	if (!ex) {
		ex = exchange_new(cls, c, method);
		*slot = ex;
		if (!ex)
			return MHD_NO;
		peer_enter(ex->peer, PEER_WORK);
		return first_call(ex, version);
	}
	atomic_store(&ex->peer->state, PEER_WORK);
	return *size > 0 ? body_call(ex, data, size) : last_call(ex);
}

static void count_request(const struct exchange *ex, bool whole)
{
	const struct metrics_request r = {
		.kind = ex->route.kind,
		.method = ex->route.method,
		.status = ex->status,
		.cut = !whole,
		.received = ex->received,
		.sent = ex->sent,
		.ms = io_now_ms() - ex->began_ms,
	};

	metrics_count(&ex->server->metrics, &r);
}

void exchange_done(void *cls, struct MHD_Connection *c, void **slot,
		   enum MHD_RequestTerminationCode code)
{
	struct exchange *ex = *slot;
	bool whole;

	(void)cls;
	if (!ex)
		return;
	whole = ex->answered && (ex->raw || code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	log_access(ex, whole);
	count_request(ex, whole);
	if (ex->unread && ex->answered)
		linger(ex->peer, c);
	peer_sent(ex->peer);
	peer_enter(ex->peer, PEER_IDLE);
	exchange_free(ex);
	*slot = NULL;
}
