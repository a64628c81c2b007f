/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service manager passes to a program and wants to hear from it: the protocols of systemd's
 * sd_listen_fds(3) and sd_notify(3), which are a few variables and a datagram.
 */
#pragma once

#include "base/error.h"

/**
 * The socket that was passed to this process, into *ret; it is not inherited any further. -1 into *ret
 * where none was. USAGE more than one.
 */
int service_socket(int *ret, dray_error **err) MUST_CHECK;
/** Tell it @p state, "READY=1" or "STOPPING=1"; 0 also where nobody wants to know. */
int service_tell(const char *state, dray_error **err) MUST_CHECK;
