/* SPDX-License-Identifier: Apache-2.0
 *
 * For: the end of a connection whose client still sends: a body that was refused.
 * Relies on: libmicrohttpd calling exchange_done() before it ends a connection, on its thread.
 * Promises: a client that reads when it has sent everything finds its answer; it costs us a thread
 * for a while and no memory.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "serve/serve_priv.h"

#define PIECE (32 * KIB)
#define LOOK_MS 200 /* how often to see whether the server is to stop */

bool is_plain_tcp(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *tls = mhd()->get_connection_info(
		c, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	return !tls || !tls->tls_session;
}

/* False at the end of what comes. */
static bool read_on(struct peer *p)
{
	struct pollfd wait = { .fd = p->fd, .events = POLLIN };
	uint8_t piece[PIECE];
	ssize_t n;

	if (poll(&wait, 1, LOOK_MS) == 0)
		return true;
	n = recv(p->fd, piece, sizeof(piece), MSG_DONTWAIT);
	if (n > 0)
		atomic_fetch_add(&p->received, n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/*
 * RFC 9112 9.6: closing a socket with unread bytes resets the connection, and the answer may be lost
 * with it. So first only our half is closed, and the rest is read: at the rate that the watch
 * asks of every body, and not for ever.
 */
void linger(struct peer *p, struct MHD_Connection *c)
{
	const struct server *s = p->server;
	int64_t end = io_now_ms() + s->o.timeout_ms * SERVE_LINGER_FACTOR;

	if (is_plain_tcp(c)) /* else that says the end of TLS, first */
		shutdown(p->fd, SHUT_WR);
	peer_enter(p, PEER_BODY);
	while (!atomic_load(&s->stopping) && io_now_ms() < end && read_on(p))
		;
}
