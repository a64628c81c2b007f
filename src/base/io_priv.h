/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of system calls share.
 */
#pragma once

#include "base/io.h"

/** Every system call passes here first: true, with errno set, when a test wants it to fail. */
bool io_refused(void);
/** As err_sys(), naming the file; what does not exist is NOT_FOUND. Returns -1. */
int io_path_failed(int errnum, const char *verb, const char *path, dray_error **err);
