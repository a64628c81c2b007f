/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of a server: connections, requests ("exchanges"), answers.
 *
 * A connection has a thread (libmicrohttpd's), so a handler may wait for a disk. Its state is
 * what the watch (server.c) judges by:
 *
 *	HEAD -> WORK <-> BODY        WORK <-> REPLY -> IDLE -> HEAD
 *
 * HEAD from the first byte of a request line on, and right after the connection was made; WORK
 * while our code runs, which no client is blamed for.
 */
#pragma once

#include <stdatomic.h>

#include "base/io.h"
#include "base/limits.h"
#include "flow/pool.h"
#include "serve/head.h"
#include "serve/metrics.h"
#include "serve/mhd_lib.h"
#include "serve/route.h"
#include "serve/serve.h"
#include "serve/tls.h"

#define HEAD_FIELDS_MAX 100	    /* */
#define HEAD_BYTES_MAX (64 * KIB)   /* memory of one connection, its head included; R-13 */
#define DISCARD_MAX (16 * MIB)	    /* of a refused body that is read so that the connection goes on */
#define DAEMONS_MAX 8		    /* one for each certificate that somebody still talks by */
#define REPLY_BLOCK (128 * KIB)	    /* bytes asked of a source at once */
#define UPLOAD_BLOCK (128 * KIB)    /* of an upload, gathered before the shelf has them */

enum peer_state { PEER_HEAD, PEER_BODY, PEER_WORK, PEER_REPLY, PEER_IDLE };

/** One connection. */
struct peer {
	struct peer *next, *prev; /* by the server's lock */
	struct server *server;
	int fd;		/* libmicrohttpd's */
	char name[64];	/* "127.0.0.1:40012" */
	char *target;	/* of the request at hand, as it stood in its first line; owned */
	const char *target_at; /* where that lies in the connection's memory */
	atomic_int state;
	atomic_int_least64_t since;    /* when the state was entered, io_now_ms() */
	atomic_int_least64_t received; /* bytes of bodies */
	atomic_bool untold; /* its answer has no length, and is not proven to be whole */
	/* by the server's lock: a file that is sent, and where what is sent of it ends */
	int file; /* owned; -1 */
	int64_t file_end;
	/* the watch's own */
	int64_t window_at, window_bytes;
	bool cut;
};
void peer_enter(struct peer *p, enum peer_state state);
/** From now on the end of the connection is none of its answer's; or it may be again. */
void peer_untold(struct peer *p, bool untold);
/** End the connection, so that nobody takes what came for a whole answer. */
void peer_break(struct peer *p);
/**
 * The answer is bytes of @p fd (lent) before @p end: should the file become shorter, the connection
 * is cut. libmicrohttpd asks the kernel for the rest again and again.
 */
void peer_sends(struct peer *p, int fd, int64_t end);
void peer_sent(struct peer *p);

struct server {
	struct shelf *shelf;
	struct serve_options o;
	struct MHD_Daemon *daemons[DAEMONS_MAX]; /* by the lock; the first accepts, clients of others stay */
	size_t n_daemons;
	atomic_bool crowded; /* more daemons than half of what there may be */
	bool waits;	     /* another certificate, for room among them; said */
	int fd; /* that listens; each daemon has a duplicate */
	struct tls_files tls;
	char said[256];	    /* by libmicrohttpd, first of all, to the thread that starts a daemon */
	atomic_int starter; /* which is that; 0 = none does */
	char address[80];
	struct lock *lock; /* of peers and daemons */
	struct lock *log;
	struct peer *peers;
	atomic_bool stopping;
	struct metrics metrics;
	int64_t started; /* seconds since 1970 */
};
/** How many connections are open. */
unsigned server_connections(struct server *s);

/** The fields of a head that anything asks for. Lent from the connection, or in the arena. */
struct head {
	const char *accept;	   /* all of them, joined */
	const char *if_none_match; /* likewise */
	const char *if_range, *range, *content_type, *content_range, *agent;
	const char *authorization, *host, *forwarded_proto;
	const char *origin, *fetch_site; /* of browsers */
	int64_t content_length;	   /* -1 unknown */
	bool chunked, expects;	   /* a body in chunks; "100-continue" */
	bool unclear;		   /* nobody can say where its body ends: nothing follows it */
};
/** Refuses what two readers could read in two ways. */
int head_read(struct MHD_Connection *c, struct arena *a, struct head *ret,
	      dray_error **err) MUST_CHECK;

/** What happens to the body of a request. */
enum body_use { BODY_IGNORED, BODY_UPLOAD, BODY_MANIFEST };

/** One request and its answer. */
struct exchange {
	struct server *server;
	struct peer *peer;
	struct MHD_Connection *c;
	const char *method;
	struct arena arena;
	struct head head;
	struct route route;
	const char *allow;
	struct guard_answer who;
	int64_t began_ms;
	enum body_use use;
	int64_t received;
	dray_error *refusal; /* told when the body has passed */
	struct shelf_upload *upload;
	char upload_id[SHELF_UPLOAD_ID]; /* of one that this request began */
	struct buf gathered;		 /* what the upload does not have yet */
	struct buf manifest;
	int64_t piece; /* bytes that Content-Range promises; -1 */
	int64_t whole; /* size of what a range was asked of, for a refusal; -1 */
	/* for the log */
	int status;
	int64_t sent; /* bytes of the answer's body, as announced */
	bool answered;
	bool raw;    /* ... by hand, while the body came */
	bool unread; /* its body, or the end of it: linger() */
};

/* ---- answers (reply.c): each queues one, and says what libmicrohttpd wants to hear ---- */

/** An answer that is being made; NULL response = no memory. */
struct reply {
	struct MHD_Response *response;
	int status;
	int64_t size;
	bool failed;
};
/** No body. */
struct reply reply_empty(int status);
/** @p b is taken over. */
struct reply reply_bytes(int status, const char *type, struct buf *b);
/** Only a head that announces @p size bytes; -1 = it does not say how many. */
struct reply reply_head(int status, const char *type, int64_t size);
/** @p len bytes from @p off on of @p b, which is taken over; -1 = all, and nobody knows how many. */
struct reply reply_blob(int status, struct shelf_blob *b, int64_t off, int64_t len,
			struct exchange *ex);
void reply_field(struct reply *r, const char *name, const char *value);
void reply_fieldf(struct reply *r, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum MHD_Result reply_send(struct exchange *ex, struct reply *r);
/** What *err says, which is freed; a client never reads what was not meant for it. */
enum MHD_Result reply_error(struct exchange *ex, dray_error **err);
/**
 * The same while a body still comes, when libmicrohttpd takes no answer: written to the socket,
 * as the last thing on this connection. Under TLS the connection just ends. Returns MHD_NO.
 */
enum MHD_Result reply_raw(struct exchange *ex, dray_error **err);

/* ---- the end of a connection that is still sent to (linger.c) ---- */

bool is_plain_tcp(struct MHD_Connection *c);
/** Read on for a while after the last answer, so that it arrives. */
void linger(struct peer *p, struct MHD_Connection *c);

/* ---- routes ---- */

/** Answer what only reads (read.c). */
enum MHD_Result answer_read(struct exchange *ex);
/** Answer with a page for people (web_http.c). */
enum MHD_Result answer_web(struct exchange *ex);
/** Would who asks read a refusal as a page? */
bool reads_pages(const struct exchange *ex);
struct reply reply_refusal_page(int status, const char *text);
/** Get ready for the body of what writes (write.c). Refuses. */
int write_begin(struct exchange *ex, dray_error **err) MUST_CHECK;
/** A piece of the body. */
int write_feed(struct exchange *ex, struct span bytes, dray_error **err) MUST_CHECK;
/** The body has passed: do it and answer. */
enum MHD_Result write_answer(struct exchange *ex);
/** Let go of what a broken request held. */
void write_end(struct exchange *ex);

/** Whether who sent this may have it done (gate.c). UNAUTHORIZED. */
int gate_check(struct exchange *ex, dray_error **err) MUST_CHECK;
/** The client came by TLS: to us, or to a proxy in front that says so in a field. */
bool gate_encrypted(const struct exchange *ex);
/** Answer ROUTE_TOKEN (gate.c). */
enum MHD_Result answer_token(struct exchange *ex);

/* ---- daemons (daemon.c) ---- */

/** The first one, on s->fd. Errors of tls.h; SYSTEM. */
int daemons_start(struct server *s, dray_error **err) MUST_CHECK;
/** Another one where the certificate changed; -1 = it is no good, and the one before it stays. */
int daemons_refresh(struct server *s, dray_error **err) MUST_CHECK;
/**
 * The client of @p c is to come again: he keeps a certificate alive that is not the last one, and
 * there is little room for more.
 */
bool daemons_part(struct server *s, struct MHD_Connection *c);
/** Accept nobody more. */
void daemons_quiesce(struct server *s);
void daemons_stop(struct server *s);
/** A connection began or ended (server.c). */
void server_notice(void *cls, struct MHD_Connection *c, void **slot,
		   enum MHD_ConnectionNotificationCode code);

/* ---- for libmicrohttpd (exchange.c) ---- */

enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *c, const char *url,
				const char *method, const char *version, const char *data,
				size_t *size, void **slot);
void exchange_done(void *cls, struct MHD_Connection *c, void **slot,
		   enum MHD_RequestTerminationCode code);
/** The first line of a request was read. */
void *exchange_target(void *cls, const char *target, struct MHD_Connection *c);
/** The connection's peer. */
struct peer *peer_of(struct MHD_Connection *c);

/* ---- the log (access.c) ---- */

void log_access(const struct exchange *ex, bool whole);
void log_trouble(struct server *s, const struct exchange *ex, const char *text);
