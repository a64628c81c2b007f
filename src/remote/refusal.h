/* SPDX-License-Identifier: Apache-2.0
 *
 * From an answer nobody wanted to an error for people, and the wait before asking again.
 */
#pragma once

#include "remote/http.h"

/**
 * "WHAT: registry says CODE: message (HTTP 400)" with status and code as fields: 401 and 403
 * DENIED, 404 NOT_FOUND, everything else NETWORK. @p body may be cut or empty. Returns -1.
 */
int refusal(const struct http_response *res, struct span body, const char *what, dray_error **err);

/**
 * Sleep before try @p attempt + 2, as Retry-After in @p res says (NULL = nothing), else with
 * backoff. -1: cancelled, or the server asked for more than we wait (then *err stays unset).
 */
int retry_pause(int attempt, const struct http_response *res, dray_error **err) MUST_CHECK;
/** Sleep, looking at the cancel flag. */
int pause_ms(int64_t ms, dray_error **err) MUST_CHECK;
/** "Basic ..." in new memory, a secret; NULL = no memory. */
char *basic_value(const char *user, const char *password);
