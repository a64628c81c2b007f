/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions that have cost others a CVE. Force-included into every file of
 * ours by the build, after the system headers that declare them.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Macros under _GNU_SOURCE, or with clang under _FORTIFY_SOURCE. */
#undef alloca
#undef sprintf
#undef vsprintf
#pragma GCC poison strcpy strcat strncat strncpy stpcpy sprintf vsprintf gets
#pragma GCC poison strtok strtok_r atoi atol atoll strerror alloca system popen
#pragma GCC poison tmpnam tempnam mktemp
