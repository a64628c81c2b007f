/* SPDX-License-Identifier: Apache-2.0
 *
 * One flag that every long loop looks at (reliability G-18).
 */
#pragma once

#include <stdbool.h>
#include "base/error.h"

/** Ask everything that runs in this process to stop soon, for good; async-signal-safe. */
void cancel_request(void);
bool cancel_requested(void);
/** 0, or -1 with CANCELLED. Called by every source and sink about once per block. */
int cancel_check(dray_error **err) MUST_CHECK;
