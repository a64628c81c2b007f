/* SPDX-License-Identifier: Apache-2.0
 *
 * When to try again, and after how long (reliability G-12). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RETRY_CAP_MS 60000 /* a server that asks for more is not waited for */
#define RETRY_DEFAULT 5
#define RETRY_FIRST_MS 500 /* DRAY_RETRY_MS overrides */

/** Statuses that may pass by themselves; 400, 401, 403 and 404 never do. */
bool retry_status(int status);
/**
 * Milliseconds before try number @p attempt + 2: what the server asked for
 * (@p asked_ms, -1 = nothing), else @p first_ms doubling six times at most, each lengthened by up
 * to a quarter by @p random so that clients do not march in step. -1 = the server
 * asked for more than RETRY_CAP_MS.
 */
int64_t retry_wait_ms(int attempt, int64_t first_ms, int64_t asked_ms, uint32_t random);
