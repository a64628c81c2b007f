/* SPDX-License-Identifier: Apache-2.0
 *
 * What one remote knows about proving who we are: the scheme that the registry
 * asked for, our credentials, tokens by scope. Thread-safe. formats.md 5.3.
 */
#pragma once

#include "remote/http.h"

struct auth;
/** @p ref and @p o lent. @p scope: what every token is asked for, "" = nothing. */
struct auth *auth_new(struct http *h, const struct remote_options *o, const struct reference *ref,
		      const char *scope, dray_error **err);
void auth_free(struct auth *x);
/** From here on a token for nobody is none: the credentials are what is being tried. */
void auth_insist(struct auth *x);
/** Where the registry is, once its scheme is known; strings lent. */
void auth_set_origin(struct auth *x, const struct url *origin);

/**
 * The Authorization value for a request to the registry: a secret owned by the
 * caller (secret_free), or NULL and success where none is needed or known.
 * @p also_pull names one more repository that the request reads, or is NULL.
 */
int auth_value(struct auth *x, const char *also_pull, char **ret, dray_error **err) MUST_CHECK;

/** The registry's first 401: learn the scheme, fetch nothing. 1 = learnt, 0 = none of ours, -1. */
int auth_learn(struct auth *x, const struct http_response *res, dray_error **err) MUST_CHECK;

/**
 * The registry answered 401 to a request that carried @p sent (NULL = nothing).
 * 1 = auth_value() has something new now, 0 = nothing more can be done, -1.
 */
int auth_renew(struct auth *x, const char *also_pull, const char *sent,
	       const struct http_response *res, dray_error **err) MUST_CHECK;

/**
 * A redirect's target @p at answered 401: an anonymous token for that host alone (N-04).
 * 1 and *ret (a secret), 0 = it asks for something else, -1.
 */
int auth_foreign(struct auth *x, const struct url *at, const struct http_response *res,
		 char **ret, dray_error **err) MUST_CHECK;
/** Are there credentials for this registry? For hints. Only meaningful after a 401. */
bool auth_has_credentials(struct auth *x);
