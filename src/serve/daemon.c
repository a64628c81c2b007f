/* SPDX-License-Identifier: Apache-2.0
 *
 * For: libmicrohttpd's side of a server: the daemon that accepts, and those before it.
 * Relies on daemons that share a socket: with another certificate comes another daemon, and the one
 * before it accepts nobody more.
 * Promises: whoever is connected keeps what he has, his certificate too, until he goes; a pair that
 * does not work changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/serve_priv.h"

#define STACK_SIZE (1024 * KIB) /* of a connection's thread; its pages cost when touched */

/* ---- begin ---- */

/* Targets reach route.c as they were sent. */
static size_t leave_escaped(void *cls, struct MHD_Connection *c, char *text)
{
	(void)cls, (void)c;
	return strlen(text);
}

/* What it has to say is about clients, who know, but for why it does not start: that comes first. */
static void listen_to(void *cls, const char *fmt, va_list args) PRINTF_LIKE(2, 0);
static void listen_to(void *cls, const char *fmt, va_list args)
{
	struct server *s = cls;

	if (atomic_load(&s->starter) == gettid() && !*s->said)
		vsnprintf(s->said, sizeof(s->said), fmt, args);
}

static int not_started(const struct server *s, int errnum, dray_error **err)
{
	size_t len = strcspn(s->said, "\n");

	if (len == 0)
		err_sys(err, errnum, "libmicrohttpd does not start");
	else if (reread_is_shortage(errnum))
		err_sys(err, errnum, "libmicrohttpd does not start: %.*s", (int)len, s->said);
	else /* then nobody set errno */
		err_set(err, DRAY_ERR_SYSTEM, "libmicrohttpd does not start: %.*s", (int)len,
			s->said);
	return s->o.tls_cert ? err_ctx(err, "%s", s->o.tls_cert) : -1;
}

/* Of all daemons, each of which knows its own limit. Their threads call this with no lock of theirs. */
static enum MHD_Result has_room(void *cls, const struct sockaddr *from, socklen_t len)
{
	struct server *s = cls;

	(void)from, (void)len;
	return server_connections(s) < (unsigned)s->o.connections ? MHD_YES : MHD_NO;
}

static struct MHD_Daemon *start(struct server *s, int fd, struct MHD_OptionItem *tls)
{
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
			 MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG |
			 (s->o.tls_cert ? MHD_USE_TLS : 0);

	return mhd()->start_daemon(
		flags, 0, has_room, s, exchange_handle, s, MHD_OPTION_EXTERNAL_LOGGER, listen_to, s,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)s->o.connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)HEAD_BYTES_MAX, MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_SIZE,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
		MHD_OPTION_URI_LOG_CALLBACK, exchange_target, s, MHD_OPTION_NOTIFY_COMPLETED,
		exchange_done, s, MHD_OPTION_NOTIFY_CONNECTION, server_notice, s,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

static void set_n(struct server *s, size_t n)
{
	s->n_daemons = n;
	atomic_store(&s->crowded, n > DAEMONS_MAX / 2);
}

/*
 * A daemon that does not start has closed the socket it was given, or has not, by what failed. By
 * now the number may be a connection's; only we make duplicates of the socket.
 */
static void take_back(const struct server *s, int fd)
{
	struct stat ours, its;

	if (fstat(s->fd, &ours) == 0 && fstat(fd, &its) == 0 && its.st_dev == ours.st_dev &&
	    its.st_ino == ours.st_ino)
		close(fd);
}

/* One more that listens, first in the list. */
static int add_daemon(struct server *s, struct tls_pair *pair, dray_error **err)
{
	static char priorities[] = TLS_PRIORITIES;
	struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, pair->cert.data },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, pair->key.data },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, priorities },
		{ MHD_OPTION_END, 0, NULL },
	};
	int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
	struct MHD_Daemon *d;

	if (fd < 0)
		return err_sys(err, errno, "the listening socket");
	*s->said = '\0';
	errno = 0;
	atomic_store(&s->starter, gettid());
	d = start(s, fd, s->o.tls_cert ? tls : none);
	atomic_store(&s->starter, 0);
	if (!d) {
		not_started(s, errno, err);
		take_back(s, fd);
		return -1;
	}
	lock_take(s->lock);
	memmove(s->daemons + 1, s->daemons, s->n_daemons * sizeof(*s->daemons));
	s->daemons[0] = d;
	set_n(s, s->n_daemons + 1);
	lock_drop(s->lock);
	return 0;
}

static int check_tls(dray_error **err)
{
	if (mhd()->is_feature_supported(MHD_FEATURE_TLS) == MHD_YES)
		return 0;
	return err_set(err, DRAY_ERR_UNSUPPORTED, "this libmicrohttpd was built without TLS");
}

int daemons_start(struct server *s, dray_error **err)
{
	cleanup_tls_pair struct tls_pair pair = { 0 };
	int rc = 0;

	if (s->o.tls_cert)
		rc = check_tls(err) < 0 ? -1 : tls_files_look(&s->tls, &pair, err);
	return rc < 0 ? -1 : add_daemon(s, &pair, err);
}

/* ---- one after the other ---- */

static unsigned connections_of(struct MHD_Daemon *d)
{
	const union MHD_DaemonInfo *i = mhd()->get_daemon_info(d,
							       MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return i ? i->num_connections : 0;
}

unsigned server_connections(struct server *s)
{
	unsigned n = 0;

	lock_take(s->lock);
	for (size_t i = 0; i < s->n_daemons; i++)
		n += connections_of(s->daemons[i]);
	lock_drop(s->lock);
	return n;
}

static void quiesce(struct MHD_Daemon *d)
{
	int fd = mhd()->quiesce_daemon(d);

	cleanup_fd_fn(&fd);
}

/* Its threads may want the lock, so it is out of the list before it ends. */
static void stop_at(struct server *s, size_t i)
{
	struct MHD_Daemon *d = s->daemons[i];

	lock_take(s->lock);
	memmove(s->daemons + i, s->daemons + i + 1, (s->n_daemons - i - 1) * sizeof(*s->daemons));
	set_n(s, s->n_daemons - 1);
	lock_drop(s->lock);
	mhd()->stop_daemon(d);
}

/* Those that nobody is connected to any more. */
static void reap(struct server *s)
{
	for (size_t i = s->n_daemons; i-- > 1;)
		if (connections_of(s->daemons[i]) == 0)
			stop_at(s, i);
}

bool daemons_part(struct server *s, struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *i;
	bool old;

	if (!atomic_load(&s->crowded))
		return false;
	i = mhd()->get_connection_info(c, MHD_CONNECTION_INFO_DAEMON);
	lock_take(s->lock);
	old = i && i->daemon != s->daemons[0];
	lock_drop(s->lock);
	return old;
}

/* Whether a certificate waits for room, said once. */
static int check_waiting(struct server *s, dray_error **err)
{
	if (s->waits || !tls_files_changed(&s->tls))
		return 0;
	s->waits = true;
	return err_set(err, DRAY_ERR_LIMIT,
		       "%s: a new certificate waits until clients go that stay connected by one of "
		       "%d older ones (DAEMONS_MAX)",
		       s->o.tls_cert, DAEMONS_MAX - 1);
}

int daemons_refresh(struct server *s, dray_error **err)
{
	cleanup_tls_pair struct tls_pair pair = { 0 };
	int rc;

	reap(s);
	if (!s->o.tls_cert)
		return 0;
	if (s->n_daemons == DAEMONS_MAX)
		return check_waiting(s, err);
	s->waits = false;
	rc = tls_files_look(&s->tls, &pair, err);
	if (rc <= 0)
		return rc;
	if (add_daemon(s, &pair, err) < 0)
		return reread_failed(&s->tls.cert, err);
	quiesce(s->daemons[1]);
	return 0;
}

void daemons_quiesce(struct server *s)
{
	if (s->n_daemons > 0)
		quiesce(s->daemons[0]);
	cleanup_fd_fn(&s->fd);
	s->fd = -1;
}

void daemons_stop(struct server *s)
{
	while (s->n_daemons > 0)
		stop_at(s, s->n_daemons - 1);
	cleanup_fd_fn(&s->fd);
	s->fd = -1;
}
