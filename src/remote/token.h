/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetching one bearer token. Spec: distribution token and oauth2 specs.
 */
#pragma once

#include "remote/credentials.h"
#include "remote/http.h"
#include "remote/scope.h"

struct token_query {
	const struct url *from;		/* who sent us to the realm */
	const char *realm, *service;	/* service NULL = none */
	const struct scopes *scopes;
	const struct credentials *creds;	/* NULL = ask anonymously */
	bool insist;	/* with the credentials or not at all: DENIED rather than an anonymous token */
	int retries;
};

struct token {
	char *text;		/* secret */
	char *refresh;		/* a newer identity token; NULL */
	int64_t lives_ms;	/* from now */
};
void token_clear(struct token *t);

/**
 * Ask the realm, if url_allowed() lets us. Credentials go along only where that function
 * says so (N-05), else the question is anonymous and the log says why. Redirects are not
 * followed (N-07). DENIED when the realm refuses, NETWORK.
 */
int token_fetch(struct http *h, const struct token_query *q, struct token *ret,
		dray_error **err) MUST_CHECK;
/** Token, life and refresh token out of an answer. */
int token_parse(struct span body, struct token *ret, dray_error **err) MUST_CHECK;
