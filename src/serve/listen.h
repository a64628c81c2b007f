/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets that listen.
 */
#pragma once

#include "base/span.h"

struct sockaddr;

/**
 * A socket on @p text, "HOST:PORT" or "[HOST]:PORT"; no host = all. Where it listens into
 * @p ret_name. USAGE what is no address, or unless @p open one that is not loopback.
 */
int listen_open(const char *text, bool open, char *ret_name, size_t name_len,
		dray_error **err) MUST_CHECK;
/**
 * The same of @p fd, which listens already and stays the caller's: the result is another descriptor
 * for it. It does not block from here on. USAGE what is no TCP socket that listens.
 */
int listen_adopt(int fd, bool open, char *ret_name, size_t name_len, dray_error **err) MUST_CHECK;
/**
 * To be called of each connection, which @p from made: one from this machine is not paced. (What a
 * loopback address gets is so from its first packet on; here the kernel's timers stay at work.)
 */
void listen_greet(int fd, const struct sockaddr *from);
/** "127.0.0.1:5000" of @p a. */
void listen_name(const struct sockaddr *a, char *ret, size_t len);
