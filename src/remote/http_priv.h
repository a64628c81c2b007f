/* SPDX-License-Identifier: Apache-2.0
 *
 * What http.c, http_line.c and http_head.c share.
 */
#pragma once

#include "base/span.h"
#include "flow/pool.h"
#include "remote/curl_lib.h"
#include "remote/http.h"

/** A curl handle with connections of its own. Used by one exchange at a time. */
struct http_line {
	CURL *easy;
	CURLM *multi;
	struct http_line *next;
};

struct http {
	const struct curl_lib *curl;
	const struct remote_options *o;
	struct lock *lock;
	struct http_line *idle;	/* most recently used first: its connections are warm */
	struct url origin;
	bool has_origin;
	const struct tls_files *files;
	bool engine;		/* no registry */
	const char *socket;	/* NULL: as the URL says */
	int64_t stall_ms;
	const char *agent;
};

struct http_exchange {
	struct http *http;
	struct http_line *line;
	struct http_response *res;
	struct http_request q;
	struct http_body body;	/* q.body points here */
	struct curl_slist *headers;
	char error[CURL_ERROR_SIZE];
	uint8_t *data;		/* body bytes at hand: [start, start + len) */
	size_t start, len, cap;
	bool head_done, done, paused, added;
	bool pushed;		/* the body comes from http_offer() */
	bool hungry;		/* curl asked for more of it than was there */
	bool offered_all;
	struct span offer;	/* lent: of the piece at hand, not sent yet */
	CURLcode code;
	int64_t began_ms, moved_ms, limit_ms;
	curl_off_t moved;	/* bytes both ways when we last looked */
	int64_t own_ms;		/* of this turn, spent in the body's source */
	int64_t waited_ms;	/* on the peer, since window began to count */
	int64_t window;		/* bytes moved in that time */
	dray_error *inner;	/* of the body's source */
	bool inner_failed;
};

struct http_line *http_line_take(struct http *h, dray_error **err);
/** @p sound: its connections may be used again. */
void http_line_drop(struct http *h, struct http_line *line);
/** All options of one request. */
int http_line_setup(struct http_exchange *x, dray_error **err) MUST_CHECK;
/** curl's header callback: keeps the headers of struct http_response. */
size_t http_head_line(char *data, size_t size, size_t n, void *arg);
/** Translate x->code into an error and res->fault. Returns -1. */
int http_fail(struct http_exchange *x, dray_error **err);
