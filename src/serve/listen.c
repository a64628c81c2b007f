/* SPDX-License-Identifier: Apache-2.0
 *
 * For: from "HOST:PORT" to a socket that listens.
 * Relies on the resolver for numbers and "localhost" only.
 * Promises: nobody outside this machine reaches it unless that was asked for.
 */
#include "serve/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/number.h"
#include "base/text.h"

#define BACKLOG 1024

static int bad_address(const char *text, dray_error **err)
{
	cleanup_free char *safe = text_safe(span_str(text), 128);

	err_set(err, DRAY_ERR_USAGE, "\"%s\" is no address", safe ? safe : "");
	return err_hint(err, "HOST:PORT or [HOST]:PORT with a numeric host or \"localhost\"");
}

/* *ret_host without brackets, at most 63 bytes. */
static bool split(const char *text, char host[64], char port[8])
{
	const char *colon = strrchr(text, ':');
	struct span h = span_of(text, colon ? (size_t)(colon - text) : 0);
	int64_t n;

	if (!colon || !num_parse_u63(span_str(colon + 1), &n) || n > 65535)
		return false;
	snprintf(port, 8, "%d", (int)n);
	if (h.len >= 2 && h.data[0] == '[' && h.data[h.len - 1] == ']')
		h = span_of(h.data + 1, h.len - 2);
	else if (span_find(h, ':') >= 0)
		return false;
	if (h.len >= 64)
		return false;
	memcpy(host, h.data, h.len);
	host[h.len] = '\0';
	return true;
}

static bool is_loopback(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)a;

		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	}
	const struct sockaddr_in6 *v6 = (const void *)a;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
}

static int resolve(const char *text, struct addrinfo **ret, dray_error **err)
{
	char host[64], port[8];
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };

	if (!split(text, host, port))
		return bad_address(text, err);
	if (strcmp(host, "localhost") == 0)
		snprintf(host, sizeof(host), "127.0.0.1");
	if (getaddrinfo(*host ? host : NULL, port, &hints, ret) != 0)
		return bad_address(text, err);
	return 0;
}

void listen_name(const struct sockaddr *a, char *ret, size_t len)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)a;

		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(ret, len, "%s:%d", host, ntohs(v4->sin_port));
	} else if (a->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)a;

		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(ret, len, "[%s]:%d", host, ntohs(v6->sin6_port));
	} else {
		snprintf(ret, len, "?");
	}
}

/* ---- ends on one machine ---- */

static bool same_host(const struct sockaddr *a, const struct sockaddr *b)
{
	if (a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET) {
		const struct sockaddr_in *x = (const void *)a, *y = (const void *)b;

		return x->sin_addr.s_addr == y->sin_addr.s_addr;
	}
	const struct sockaddr_in6 *x = (const void *)a, *y = (const void *)b;
	return a->sa_family == AF_INET6 && memcmp(&x->sin6_addr, &y->sin6_addr, 16) == 0;
}

void listen_greet(int fd, const struct sockaddr *from)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof(at);

	if (is_loopback(from) || (getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
				  same_host(from, (struct sockaddr *)&at)))
		io_unpace(fd);
}

/* ---- sockets ---- */

static int name_socket(int fd, char *ret, size_t len, dray_error **err)
{
	struct sockaddr_storage at;
	socklen_t at_len = sizeof(at);

	if (getsockname(fd, (struct sockaddr *)&at, &at_len) < 0)
		return err_sys(err, errno, "getsockname");
	listen_name((struct sockaddr *)&at, ret, len);
	return 0;
}

static int open_socket(const struct addrinfo *ai, const char *text, char *ret_name, size_t name_len,
		       dray_error **err)
{
	cleanup_fd int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd < 0)
		return err_sys(err, errno, "socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return err_sys(err, errno, "SO_REUSEADDR");
	if (is_loopback(ai->ai_addr))
		io_unpace(fd);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
		return err_sys(err, errno, "%s", text);
	return name_socket(fd, ret_name, name_len, err) < 0 ? -1 : steal_fd(&fd);
}

/* @p text is what @p a was called. */
static int check_reach(const struct sockaddr *a, bool open, const char *text, dray_error **err)
{
	if (open || is_loopback(a))
		return 0;
	err_set(err, DRAY_ERR_USAGE,
		"others could reach %s, and there is no TLS to keep what they send and get", text);
	return err_hint(err,
			"--tls-cert and --tls-key give it TLS; --plain-http serves them all the "
			"same; a proxy with TLS may stand in front of a loopback address");
}

int listen_open(const char *text, bool open, char *ret_name, size_t name_len, dray_error **err)
{
	struct addrinfo *ai = NULL;
	int fd = -1;

	if (resolve(text, &ai, err) < 0)
		return -1;
	if (check_reach(ai->ai_addr, open, text, err) == 0)
		fd = open_socket(ai, text, ret_name, name_len, err);
	freeaddrinfo(ai);
	return fd;
}

static bool is_listening(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

int listen_adopt(int fd, bool open, char *ret_name, size_t name_len, dray_error **err)
{
	struct sockaddr_storage at = { 0 };
	struct sockaddr *a = (struct sockaddr *)&at;
	socklen_t len = sizeof(at);
	int flags, copy;

	if (getsockname(fd, a, &len) < 0 || (a->sa_family != AF_INET && a->sa_family != AF_INET6) ||
	    !is_listening(fd))
		return err_set(err, DRAY_ERR_USAGE,
			       "what was passed is no TCP socket that listens");
	listen_name(a, ret_name, name_len);
	if (check_reach(a, open, ret_name, err) < 0)
		return -1;
	if (is_loopback(a))
		io_unpace(fd);
	/* Whose connection went before it was accepted is not to be waited for. */
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(err, errno, "%s", ret_name);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return copy < 0 ? err_sys(err, errno, "%s", ret_name) : copy;
}
