/* SPDX-License-Identifier: Apache-2.0
 *
 * One flag that every long loop looks at (reliability G-18).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include "base/error.h"

/** Ask everything that runs in this process to stop soon, for good; async-signal-safe. */
void cancel_request(void);
/**
 * From here on the calling thread also stops when @p flag is set, which is lent until the thread
 * ends: whoever it works for has no use for it any more. NULL = no longer.
 */
void cancel_follow(const atomic_bool *flag);
/** Of this process, or of this thread. */
bool cancel_requested(void);
/** 0, or -1 with CANCELLED. Called by every source and sink about once per block. */
int cancel_check(dray_error **err) MUST_CHECK;
