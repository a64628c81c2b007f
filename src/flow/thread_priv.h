/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting a thread the way this room does. For flow/ alone.
 */
#pragma once

#include <pthread.h>
#include <signal.h>

/** As pthread_create(), with all signals blocked; returns 0 or an errno. */
int thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg);
