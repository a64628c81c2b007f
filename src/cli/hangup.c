/* SPDX-License-Identifier: Apache-2.0
 *
 * For: SIGHUP, by which service managers and logrotate tell a server to look again.
 * Relies on /proc for the name of the file that standard error is.
 * Promises: no line of the log is lost: the descriptors always lead to one of the files.
 */
#include "cli/hangup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

#define STDERR_LINK "/proc/self/fd/2"

static bool has_terminal(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (isatty(fd))
			return true;
	return false;
}

/* Where it cannot be found out there is none to open anew. */
static char *log_name(void)
{
	cleanup_buf struct buf name = BUF_INIT(PATH_MAX);
	struct stat st;

	if (io_fstat(STDERR_FILENO, &st, NULL) < 0 || !S_ISREG(st.st_mode) ||
	    io_readlinkat(AT_FDCWD, STDERR_LINK, &name, NULL) < 0)
		return NULL;
	return buf_steal_str(&name, NULL);
}

bool hangup_is_ignored(void)
{
	struct sigaction now;

	return sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

int hangup_take(struct hangup *h, dray_error **err)
{
	sigset_t signals;

	if (has_terminal())
		return 0;
	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0)
		return err_set(err, DRAY_ERR_SYSTEM, "signals cannot be held");
	h->fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (h->fd < 0)
		return err_sys(err, errno, "signalfd");
	h->log = log_name();
	return 0;
}

/* As of "2>&1": it would hold the old file, and its space, for ever. */
static bool is_stdout(const struct stat *log)
{
	struct stat st;

	return io_fstat(STDOUT_FILENO, &st, NULL) == 0 && st.st_dev == log->st_dev &&
	       st.st_ino == log->st_ino;
}

/*
 * A new one has the modes of the old, of which nothing else is known, whatever the umask. What
 * somebody made may be anything: a named pipe without a reader must hold nobody.
 */
static int open_log(const char *log, mode_t mode, dray_error **err)
{
	const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
	cleanup_error dray_error *e = NULL;
	cleanup_fd int fd = io_openat(AT_FDCWD, log, flags | O_EXCL, mode, &e);
	struct stat st;

	if (fd >= 0) {
		(void)!io_fchmod(fd, mode, NULL);
		return steal_fd(&fd);
	}
	fd = io_openat(AT_FDCWD, log, flags | O_NONBLOCK, mode, err);
	if (fd < 0 || io_fstat(fd, &st, err) < 0)
		return -1;
	if (!S_ISREG(st.st_mode))
		return err_set(err, DRAY_ERR_SYSTEM, "%s is no regular file", log);
	return steal_fd(&fd);
}

static int reopen(const char *log, dray_error **err)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (io_fstat(STDERR_FILENO, &st, err) < 0)
		return -1;
	fd = open_log(log, st.st_mode & 0777, err);
	if (fd < 0)
		return -1;
	if ((is_stdout(&st) && dup2(fd, STDOUT_FILENO) < 0) || dup2(fd, STDERR_FILENO) < 0)
		return err_sys(err, errno, "%s", log);
	return 0;
}

int hangup_answer(struct hangup *h, dray_error **err)
{
	struct signalfd_siginfo told;

	if (io_read(h->fd, &told, sizeof(told), err) < 0)
		return -1;
	return h->log ? reopen(h->log, err) : 0;
}

void hangup_end(struct hangup *h)
{
	cleanup_fd_fn(&h->fd);
	mem_free(h->log);
}
