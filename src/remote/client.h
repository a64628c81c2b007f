/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls to a registry: one request with its credentials, its redirects and its
 * second chance after a 401; and the same again until it works or it is enough.
 */
#pragma once

#include "remote/auth.h"
#include "remote/http.h"

/** A call. Zero-initialise; everything is lent for the call. */
struct call {
	const char *method;
	const struct url *url;
	const char *what;	/* for messages: "PUT manifest 1.2" */
	bool anonymous;		/* @p url is somebody else's: no credentials of ours */
	const char *accept, *content_type, *content_range;
	int64_t range_from;
	struct span bytes;	/* a body that can be sent again */
	const struct http_body *stream;	/* one that cannot; excludes bytes */
	const char *also_pull;	/* repository that is read besides ours (mount) */
	int64_t wait_ms;
	bool farewell;		/* best effort, even when cancelled, soon given up */
	size_t max;		/* bytes of the answer that are wanted; 0 = LIMIT_HTTP_ERROR, cut */
};

/** What came. Clear with answer_clear(); usable for the next call after that. */
struct answer {
	struct arena arena;	/* owns the strings of both below */
	struct http_response http;
	struct url url;		/* that answered */
	struct buf body;
	struct span left;	/* of call->bytes, not sent yet */
	bool renewed;		/* 401 to a stream: there is a new token, send the stream again */
};
void answer_clear(struct answer *a);
#define cleanup_answer CLEANUP(answer_clear)

struct client {
	struct http *http;
	struct auth *auth;
	const struct remote_options *o;
};

/** Until the head of the final answer; the body is read through *ret. */
int client_begin(struct client *c, const struct call *call, struct answer *a,
		 struct http_exchange **ret, dray_error **err) MUST_CHECK;
/** With the body in a->body. Any status is success; -1 = no answer, a->http.fault says why. */
int client_call(struct client *c, const struct call *call, struct answer *a,
		dray_error **err) MUST_CHECK;
/** client_call() while a retry may help (G-12). For calls that may be sent twice. */
int client_retry(struct client *c, const struct call *call, struct answer *a,
		 dray_error **err) MUST_CHECK;
/** Turn a->http.status into an error; says how to log in where that is the matter. Returns -1. */
int client_refused(struct client *c, const struct call *call, const struct answer *a,
		   dray_error **err);
/** Would trying again help? @p rc as client_call() returned it. */
bool client_transient(int rc, const struct answer *a);
