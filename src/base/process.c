/* SPDX-License-Identifier: Apache-2.0
 *
 * For: running other programs and talking with them.
 * Relies on: posix_spawn(3); io.h for reads, writes and the clock; cancel.h to leave a wait.
 * Promises: no shell; descriptors reach a program only when handed over; killed means reaped too.
 */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/fault.h"
#include "base/io.h"

#define FIRST_FREE_FD 3
#define REAP_SLICE_MS 5
#define GATHER_STEP 16384

extern char **environ;

/* As in io.c: true when a test wants this call to fail. */
static bool refused(void)
{
	if (!fault_hit(FAULT_IO))
		return false;
	errno = fault_errno();
	return true;
}

/* ---- starting ---- */

/* A program that ignores SIGPIPE hands that down; others expect the default. */
static int default_signals(posix_spawnattr_t *attr)
{
	sigset_t pipe;
	int e;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigaddset(&pipe, SIGXFSZ);
	e = posix_spawnattr_setsigdefault(attr, &pipe);
	return e ? e : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGDEF);
}

static int hand_over(posix_spawn_file_actions_t *fa, const struct process_fds *fds)
{
	const int standard[] = { fds->in, fds->out, fds->errors };
	int e = 0;

	for (int i = 0; i < (int)ARRAY_LEN(standard) && !e; i++)
		e = standard[i] >= 0 ? posix_spawn_file_actions_adddup2(fa, standard[i], i)
				     : posix_spawn_file_actions_addopen(fa, i, "/dev/null",
									i ? O_WRONLY : O_RDONLY, 0);
	/* A descriptor duplicated to itself loses its close-on-exec flag. */
	for (size_t i = 0; i < fds->n_keep && !e; i++)
		e = posix_spawn_file_actions_adddup2(fa, fds->keep[i], fds->keep[i]);
	return e;
}

static int spawn(struct process *p, const char *const *argv, const struct process_fds *fds)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	int e = posix_spawn_file_actions_init(&fa);

	if (e)
		return e;
	e = posix_spawnattr_init(&attr);
	if (!e) {
		e = default_signals(&attr);
		if (!e)
			e = hand_over(&fa, fds);
		if (!e)
			e = posix_spawnp(&p->pid, argv[0], &fa, &attr,
					 (char *const *)(uintptr_t)argv, environ);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&fa);
	return e;
}

int process_start(struct process *p, const char *const *argv, const struct process_fds *fds,
		  dray_error **err)
{
	int e = refused() ? errno : spawn(p, argv, fds);

	if (!e)
		return 0;
	p->pid = -1;
	return err_sys(err, e, "cannot run %s", argv[0]);
}

/* ---- ending ---- */

int process_end(struct process *p, int64_t deadline_ms)
{
	bool killed = false;
	int status = -1;

	while (p->pid >= 0) {
		pid_t got = waitpid(p->pid, &status, killed ? 0 : WNOHANG);

		if (got == p->pid || (got < 0 && errno != EINTR)) {
			p->pid = -1;
			return got < 0 ? -1 : status;
		}
		if (got == 0 && (cancel_requested() || io_now_ms() >= deadline_ms)) {
			kill(p->pid, SIGKILL);
			killed = true;
		} else if (got == 0) {
			poll(NULL, 0, REAP_SLICE_MS);
		}
	}
	return -1;
}

bool process_exited(const struct process *p)
{
	siginfo_t info = { .si_pid = 0 };

	return p->pid < 0 || waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	       info.si_pid != 0;
}

void process_clear(struct process *p)
{
	int saved = errno;

	process_end(p, 0);
	errno = saved;
}

/* ---- talking ---- */

/* The host of the library may have closed its standard descriptors. */
static int lift(int *fd, dray_error **err)
{
	if (*fd >= FIRST_FREE_FD)
		return 0;

	cleanup_fd int low = *fd;
	*fd = fcntl(low, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	return *fd < 0 ? err_sys(err, errno, "descriptor") : 0;
}

static int lift_both(int ret[2], dray_error **err)
{
	if (lift(&ret[0], err) == 0 && lift(&ret[1], err) == 0)
		return 0;
	cleanup_fd_fn(&ret[0]);
	cleanup_fd_fn(&ret[1]);
	ret[0] = ret[1] = -1;
	return -1;
}

int process_pipe(int ret[2], dray_error **err)
{
	if ((refused() ? -1 : pipe2(ret, O_CLOEXEC)) < 0)
		return err_sys(err, errno, "pipe");
	return lift_both(ret, err);
}

int process_socket(int ret[2], dray_error **err)
{
	if ((refused() ? -1 : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret)) < 0)
		return err_sys(err, errno, "socket");
	return lift_both(ret, err);
}

int process_gather(int fd, struct buf *ret, dray_error **err)
{
	uint8_t piece[GATHER_STEP];
	int64_t n = io_read(fd, piece, sizeof(piece), err);

	if (n <= 0)
		return (int)n;
	if ((size_t)n > ret->max - ret->len)
		n = (int64_t)(ret->max - ret->len);
	return buf_add(ret, span_of(piece, (size_t)n), err) < 0 ? -1 : 1;
}

int64_t process_feed(int fd, struct span bytes, bool *ret_gone, dray_error **err)
{
	ssize_t n = refused() ? -1 : send(fd, bytes.data, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0)
		return n;
	*ret_gone = errno == EPIPE || errno == ECONNRESET;
	if (*ret_gone || errno == EAGAIN || errno == EINTR)
		return 0;
	return err_sys(err, errno, "write");
}

int process_poll(struct pollfd *fds, size_t n, int wait_ms, dray_error **err)
{
	int got = refused() ? -1 : poll(fds, n, wait_ms);

	if (cancel_check(err) < 0)
		return -1;
	if (got < 0 && errno != EINTR)
		return err_sys(err, errno, "poll");
	if (got > 0)
		return got;
	for (size_t i = 0; i < n; i++)
		fds[i].revents = 0;
	return 0;
}

int process_memory(struct span bytes, dray_error **err)
{
	cleanup_fd int fd = refused() ? -1 : memfd_create("dray", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "memory file");
	if (lift(&fd, err) < 0 || io_pwrite_all(fd, bytes, 0, err) < 0)
		return -1;
	return steal_fd(&fd);
}
