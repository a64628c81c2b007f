/* SPDX-License-Identifier: Apache-2.0
 *
 * For: a server from its socket to its end, and the watch over its connections.
 * Relies on libmicrohttpd for a thread per connection; exchange.c is called by them.
 * Promises: a client that is slow on purpose costs a connection for a while and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "serve/listen.h"
#include "serve/serve_priv.h"

#define TLS_HANDSHAKE 0x16 /* RFC 8446 5.1: the first byte of whoever wants TLS */
#define TICK_MIN_MS 20
#define TICK_MAX_MS 1000

/* ---- connections ---- */

void peer_enter(struct peer *p, enum peer_state state)
{
	atomic_store(&p->since, io_now_ms());
	atomic_store(&p->state, (int)state);
}

static void link_peer(struct server *s, struct peer *p)
{
	lock_take(s->lock);
	p->next = s->peers;
	if (p->next)
		p->next->prev = p;
	s->peers = p;
	lock_drop(s->lock);
}

static void unlink_peer(struct server *s, struct peer *p)
{
	lock_take(s->lock);
	if (p->next)
		p->next->prev = p->prev;
	if (p->prev)
		p->prev->next = p->next;
	else
		s->peers = p->next;
	lock_drop(s->lock);
}

static struct peer *peer_new(struct server *s, struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *fd = mhd()->get_connection_info(
		c, MHD_CONNECTION_INFO_CONNECTION_FD);
	const union MHD_ConnectionInfo *at = mhd()->get_connection_info(
		c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct peer *p = fd && at ? mem_zalloc(sizeof(*p)) : NULL;

	if (!p)
		return NULL;
	p->server = s;
	p->fd = fd->connect_fd;
	p->window_at = -1;
	p->file = -1;
	listen_name(at->client_addr, p->name, sizeof(p->name));
	listen_greet(p->fd, at->client_addr);
	peer_enter(p, PEER_HEAD);
	return p;
}

/*
 * Clients that try HTTPS first go on without it when they are answered in plain HTTP, and only
 * then. libmicrohttpd answers, waits, or ends the connection, by where a line happens to end in
 * the first bytes of TLS. These are here already: see defer_accept().
 */
static void answer_tls(const struct server *s, int fd)
{
	static const char answer[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
				     "Content-Type: text/plain\r\nContent-Length: 35\r\n\r\n"
				     "This server speaks HTTP, not HTTPS\n";
	uint8_t first;

	if (s->o.tls_cert || recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1 ||
	    first != TLS_HANDSHAKE)
		return;
	if (send(fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		shutdown(fd, SHUT_WR);
}

/* A connection without memory for its peer is answered nothing: exchange_handle() ends it. */
void server_notice(void *cls, struct MHD_Connection *c, void **slot,
		   enum MHD_ConnectionNotificationCode code)
{
	struct server *s = cls;
	struct peer *p = *slot;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		p = peer_new(s, c);
		*slot = p;
		if (p) {
			link_peer(s, p);
			answer_tls(s, p->fd);
		}
		return;
	}
	if (!p)
		return;
	unlink_peer(s, p);
	cleanup_fd_fn(&p->file);
	mem_free(p->target);
	mem_free(p);
	*slot = NULL;
}

/* ---- answers without a length ---- */

/*
 * HTTP/1.0 knows no chunks: where no length was announced, the end of the connection says "this was
 * all". So until it was all, the connection has no orderly end; not by our own end, either.
 */
void peer_untold(struct peer *p, bool untold)
{
	const struct linger at_close = { .l_onoff = untold };

	(void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &at_close, sizeof(at_close));
	atomic_store(&p->untold, untold);
}

/* libmicrohttpd ends by shutdown(), which is orderly; this is how one resets. */
void peer_break(struct peer *p)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	if (!atomic_load(&p->untold) || connect(p->fd, &none, sizeof(none)) < 0)
		shutdown(p->fd, SHUT_RDWR);
}

/* ---- files that are sent ---- */

/* Without a descriptor to spare nobody looks after this one but the watch over its rate. */
void peer_sends(struct peer *p, int fd, int64_t end)
{
	lock_take(p->server->lock);
	p->file = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	p->file_end = end;
	lock_drop(p->server->lock);
}

void peer_sent(struct peer *p)
{
	if (p->file < 0)
		return;
	lock_take(p->server->lock);
	cleanup_fd_fn(&p->file);
	p->file = -1;
	lock_drop(p->server->lock);
}

/* By the lock, so that peer_sent(), and with it another request's target, has to wait. */
static bool lost_its_file(const struct peer *p)
{
	struct stat st;

	return p->file >= 0 && io_fstat(p->file, &st, NULL) == 0 && st.st_size < p->file_end;
}

static void tell_lost(const struct peer *p)
{
	cleanup_free char *text = mem_printf("%s: the file became shorter while it was sent",
					     p->target);

	log_trouble(p->server, NULL, text ? text : "a file became shorter while it was sent");
}

/* ---- the watch ---- */

/* Bytes that the client has confirmed, or sent us. */
static int64_t moved(const struct peer *p, int state)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (state == PEER_BODY)
		return atomic_load(&p->received);
	if (getsockopt(p->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
	    len < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
		return INT64_MAX; /* cannot tell: not to be blamed */
	return (int64_t)info.tcpi_bytes_acked;
}

/* Whether less than SERVE_RATE_MIN moved over a whole window. */
static bool too_slow(struct peer *p, int state, int64_t since, int64_t window, int64_t now)
{
	int64_t have = moved(p, state);
	bool slow;

	if (p->window_at < since) {
		p->window_at = now;
		p->window_bytes = have;
		return false;
	}
	if (now - p->window_at < window)
		return false;
	slow = have != INT64_MAX && have - p->window_bytes < window * SERVE_RATE_MIN / 1000;
	p->window_at = now;
	p->window_bytes = have;
	return slow;
}

static bool overdue(struct peer *p, const struct serve_options *o, int64_t now)
{
	int state = atomic_load(&p->state);
	int64_t since = atomic_load(&p->since);

	switch (state) {
	case PEER_HEAD:
		return now - since > o->timeout_ms;
	case PEER_IDLE:
		return now - since > o->timeout_ms * SERVE_IDLE_FACTOR;
	case PEER_BODY:
		return too_slow(p, state, since, o->timeout_ms * SERVE_BODY_FACTOR, now);
	case PEER_REPLY:
		return too_slow(p, state, since, o->timeout_ms * SERVE_IDLE_FACTOR, now);
	default:
		p->window_at = -1;
		return false;
	}
}

/* Its thread notices, and ends the connection as if the client had. */
static void cut(struct peer *p)
{
	if (!p->cut)
		peer_break(p);
	p->cut = true;
}

static void watch(struct server *s, bool stopping)
{
	int64_t now = io_now_ms();

	lock_take(s->lock);
	for (struct peer *p = s->peers; p; p = p->next) {
		bool lost = !p->cut && lost_its_file(p);

		if (lost)
			tell_lost(p);
		if (lost || overdue(p, &s->o, now) ||
		    (stopping && atomic_load(&p->state) == PEER_IDLE))
			cut(p);
	}
	lock_drop(s->lock);
}

/* ---- begin ---- */

static void set_defaults(struct serve_options *o)
{
	o->addr = o->addr ? o->addr : SERVE_ADDR;
	o->timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : SERVE_TIMEOUT_MS;
	o->grace_ms = o->grace_ms > 0 ? o->grace_ms : SERVE_GRACE_MS;
	o->connections = o->connections > 0 ? o->connections : SERVE_CONNECTIONS;
}

static int open_socket(struct server *s, dray_error **err)
{
	const struct serve_options *o = &s->o;
	bool open = o->open || o->tls_cert;

	if (o->fd >= 0)
		return listen_adopt(o->fd, open, s->address, sizeof(s->address), err);
	return listen_open(o->addr, open, s->address, sizeof(s->address), err);
}

/*
 * A connection is there when its first bytes are, or after a second. Where the kernel does not do
 * that, it is there at once.
 */
static void defer_accept(int fd)
{
	int seconds = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
}

int server_start(struct shelf *shelf, const struct serve_options *o, struct server **ret,
		 dray_error **err)
{
	struct server *s = mem_zalloc(sizeof(*s));

	if (!s)
		return err_nomem(err);
	s->shelf = shelf;
	s->o = *o;
	s->fd = -1;
	s->started = time(NULL);
	s->tls.cert.path = o->tls_cert;
	s->tls.key.path = o->tls_key;
	set_defaults(&s->o);
	s->lock = mhd_load(err) < 0 ? NULL : lock_new(err);
	s->log = s->lock ? lock_new(err) : NULL;
	if (s->log)
		s->fd = open_socket(s, err);
	if (s->fd >= 0)
		defer_accept(s->fd);
	if (s->fd < 0 || daemons_start(s, err) < 0) {
		server_free(s);
		return -1;
	}
	*ret = s;
	return 0;
}

const char *server_address(const struct server *s)
{
	return s->address;
}

/* ---- run, end ---- */

static int tick(const struct server *s)
{
	int64_t ms = s->o.timeout_ms / 8;

	return (int)(ms < TICK_MIN_MS ? TICK_MIN_MS : ms > TICK_MAX_MS ? TICK_MAX_MS : ms);
}

/* What others change on the disk while we run. */
static void refresh(struct server *s)
{
	cleanup_error dray_error *tls = NULL, *users = NULL;

	if (daemons_refresh(s, &tls) < 0)
		log_trouble(s, NULL, dray_error_message(tls));
	if (s->o.guard && guard_refresh(s->o.guard, &users) < 0)
		log_trouble(s, NULL, dray_error_message(users));
}

int server_run(struct server *s, int stop_fd, dray_error **err)
{
	struct pollfd wait[] = { { .fd = stop_fd, .events = POLLIN },
				 { .fd = s->o.on_look ? s->o.look_fd : -1, .events = POLLIN } };

	while (!cancel_requested()) {
		int n = poll(wait, ARRAY_LEN(wait), tick(s));

		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "poll");
		if (n > 0 && wait[0].revents)
			return 0;
		if (n > 0)
			s->o.on_look(s->o.arg);
		watch(s, false);
		refresh(s);
		if (s->o.on_tick)
			s->o.on_tick(s->o.arg);
	}
	return 0;
}

void server_drain(struct server *s)
{
	int64_t end = io_now_ms() + s->o.grace_ms;

	atomic_store(&s->stopping, true);
	daemons_quiesce(s);
	while (!cancel_requested() && server_connections(s) > 0 && io_now_ms() < end) {
		watch(s, true);
		poll(NULL, 0, TICK_MIN_MS);
	}
}

/* libmicrohttpd's end of a connection would be that of a blob. */
static void break_untold(struct server *s)
{
	lock_take(s->lock);
	for (struct peer *p = s->peers; p; p = p->next)
		if (atomic_load(&p->untold))
			cut(p);
	lock_drop(s->lock);
}

void server_free(struct server *s)
{
	if (!s)
		return;
	if (s->lock)
		break_untold(s);
	daemons_stop(s);
	lock_free(s->log);
	lock_free(s->lock);
	mem_free(s);
}
