/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      the arithmetic of trying again.
 * Relies:   on nothing.
 * Promises: polite and finite: a wait is never longer than RETRY_CAP_MS.
 */
#include "remote/retry.h"

bool retry_status(int status)
{
	switch (status) {
	case 408:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return true;
	default:
		return false;
	}
}

int64_t retry_wait_ms(int attempt, int64_t first_ms, int64_t asked_ms, uint32_t random)
{
	int64_t wait = first_ms << (attempt < 6 ? attempt : 6);

	if (asked_ms > RETRY_CAP_MS)
		return -1;
	if (asked_ms >= 0)
		return asked_ms;
	return wait + (int64_t)(random % 1024) * wait / 4096;
}
