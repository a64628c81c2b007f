/* SPDX-License-Identifier: Apache-2.0
 *
 * One request and its answer over libcurl, run on the calling thread. No
 * redirects, no credentials of its own, no retries: the levels above decide.
 * Answers stream; what is not read is cut off with its connection.
 */
#pragma once

#include "base/arena.h"
#include "proto/url.h"
#include "remote/remote.h"
#include "remote/tls.h"

#define HTTP_STALL_MS 60000	/* silence of the peer (G-11); DRAY_STALL_MS overrides */
#define HTTP_CONNECT_MS 15000	/* name, TCP, TLS */
#define HTTP_FAREWELL_MS 1000	/* for requests that clean up after a failure */
#define HTTP_CHALLENGES 8	/* WWW-Authenticate lines kept of one answer */

/** The connections of one remote. Thread-safe. */
struct http;
struct http *http_new(const struct remote_options *o, dray_error **err);
void http_free(struct http *h);
/** From here on @p origin and nobody else gets @p files and tls_skip_verify. All lent. */
void http_set_origin(struct http *h, const struct url *origin, const struct tls_files *files);
/**
 * The peer is an engine, and errors say so; with @p path (lent) every request goes to this unix
 * socket, whatever host its URL names.
 */
void http_set_engine(struct http *h, const char *path);

/** A request body that is pulled. */
struct http_body {
	int64_t size;	/* -1 = unknown: chunked */
	int64_t (*pull)(void *arg, void *data, size_t len, dray_error **err);	/* 0 = end, -1 */
	void *arg;
};

struct http_request {
	const char *method;
	const struct url *url;
	const char *authorization;	/* the header's value; NULL */
	const char *accept, *content_type, *content_range;	/* NULL = not sent */
	int64_t range_from;		/* over 0: "Range: bytes=N-" */
	const struct http_body *body;	/* NULL: none; POST, PUT and PATCH say length 0 */
	int64_t wait_ms;		/* more patience than the stall rule's; 0 = the rule */
	bool farewell;			/* goes out though we were cancelled, and soon gives up */
};

/** What went wrong with an exchange that failed, for those who retry. */
enum http_fault {
	HTTP_FAULT_NONE,
	HTTP_FAULT_CONNECT,	/* no connection: refused, no such name, no answer */
	HTTP_FAULT_TLS,		/* the peer speaks no TLS */
	HTTP_FAULT_BROKEN,	/* reset, closed or silent in the middle */
	HTTP_FAULT_FINAL,	/* trying again will not help */
};

/** The head of an answer. Strings live in @p arena; NULL when absent. */
struct http_response {
	struct arena *arena;
	enum http_fault fault;
	int status;
	int64_t length;	/* Content-Length, -1 */
	const char *location, *content_type, *content_range, *range, *digest, *retry_after,
		*warning, *link, *subject;
	const char *challenge[HTTP_CHALLENGES];
	size_t n_challenges;
};

struct http_exchange;
/**
 * Begin a request whose body the caller has piece by piece: http_offer(), http_offer_end(), then
 * as after http_begin(). @p q names no body; it goes out chunked.
 */
int http_push(struct http *h, const struct http_request *q, struct http_response *res,
	      struct http_exchange **ret, dray_error **err) MUST_CHECK;
/**
 * Send @p bytes, waiting as long as the peer reads. 1 = all taken, 0 = the answer came before
 * the body was over: nothing more is read, look at it instead; -1.
 */
int http_offer(struct http_exchange *x, struct span bytes, dray_error **err) MUST_CHECK;
/** That was all; wait for the head of the answer. */
int http_offer_end(struct http_exchange *x, dray_error **err) MUST_CHECK;
/**
 * Send and wait for the head of the final answer. @p res->arena is set by the caller. @p q
 * and its body are copied; url, pull's arg and @p res are lent until http_end().
 */
int http_begin(struct http *h, const struct http_request *q, struct http_response *res,
	       struct http_exchange **ret, dray_error **err) MUST_CHECK;
/** As source_peek(): at least @p min bytes of the body unless it ends. -1 sets res->fault. */
int http_peek(struct http_exchange *x, size_t min, struct span *ret, dray_error **err) MUST_CHECK;
void http_consume(struct http_exchange *x, size_t n);
#define HTTP_AT_HAND_MAX (1024 * 1024) /* more than an exchange ever buffers */
/** Bytes that have arrived and were not consumed. */
struct span http_at_hand(const struct http_exchange *x);
/** Put bytes in front of those at hand. */
int http_unread(struct http_exchange *x, struct span bytes, dray_error **err) MUST_CHECK;
/** Give the connection back, or cut it when the answer was not read to its end. NULL-safe. */
void http_end(struct http_exchange *x);
/** The body into @p ret (its max applies). Over it: LIMIT, or with @p cut just less. */
int http_slurp(struct http_exchange *x, bool cut, struct buf *ret, dray_error **err) MUST_CHECK;

static inline void cleanup_exchange_fn(struct http_exchange **x)
{
	http_end(*x);
}
#define cleanup_exchange CLEANUP(cleanup_exchange_fn)

/** A line for people through the options' log; secrets are the caller's duty. */
void http_log(const struct http *h, const char *fmt, ...) PRINTF_LIKE(2, 3);
/** A time from the environment, for tests and odd networks: 1 ms to 1 h, else @p fallback. */
int64_t http_env_ms(const char *name, int64_t fallback);
/** May @p value stand in a header line? Printable ASCII and spaces. */
bool http_value_safe(const char *value);
