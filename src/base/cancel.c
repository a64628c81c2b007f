/* SPDX-License-Identifier: Apache-2.0
 *
 * For: asking everything in this process to stop soon.
 * Relies on: a lock-free atomic, the only thing a signal handler may touch.
 * Promises: no way back; a process that was asked to stop stops.
 */
#include "base/cancel.h"

_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2, "cancel_request() runs in signal handlers");

static atomic_bool requested;
static _Thread_local const atomic_bool *followed;

void cancel_request(void)
{
	atomic_store_explicit(&requested, true, memory_order_relaxed);
}

void cancel_follow(const atomic_bool *flag)
{
	followed = flag;
}

bool cancel_requested(void)
{
	return atomic_load_explicit(&requested, memory_order_relaxed) ||
	       (followed && atomic_load_explicit(followed, memory_order_relaxed));
}

int cancel_check(dray_error **err)
{
	if (!cancel_requested())
		return 0;
	return err_set(err, DRAY_ERR_CANCELLED, "cancelled");
}
