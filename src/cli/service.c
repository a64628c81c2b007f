/* SPDX-License-Identifier: Apache-2.0
 *
 * For: being started by a service manager, with its socket.
 * Relies on the environment: LISTEN_PID, LISTEN_FDS, NOTIFY_SOCKET.
 * Promises: variables that were meant for another process are none; nobody there is no failure.
 */
#include "cli/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/number.h"

#define FIRST_PASSED 3 /* SD_LISTEN_FDS_START */

/* A number in the environment; -1 = there is none. */
static int64_t env_number(const char *name)
{
	const char *text = getenv(name);
	int64_t n;

	return text && num_parse_u63(span_str(text), &n) ? n : -1;
}

int service_socket(int *ret, dray_error **err)
{
	int64_t n = env_number("LISTEN_FDS");

	*ret = -1;
	if (n <= 0 || env_number("LISTEN_PID") != getpid())
		return 0;
	if (n > 1) {
		err_set(err, DRAY_ERR_USAGE, "%lld sockets were passed, and one is taken",
			(long long)n);
		return err_hint(err, "one ListenStream= in the socket unit");
	}
	if (fcntl(FIRST_PASSED, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(err, errno, "the socket that was passed");
	*ret = FIRST_PASSED;
	return 0;
}

/* A name that begins with '@' is of the abstract kind: a NUL stands there, and none at its end. */
static socklen_t set_address(const char *name, struct sockaddr_un *ret)
{
	size_t len = strlen(name);

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(ret->sun_path))
		return 0;
	memcpy(ret->sun_path, name, len);
	if (name[0] == '@')
		ret->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

int service_tell(const char *state, dray_error **err)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un at;
	socklen_t len = name ? set_address(name, &at) : 0;

	if (!name)
		return 0;
	if (!len)
		return err_set(err, DRAY_ERR_UNSUPPORTED,
			       "NOTIFY_SOCKET is no address of a socket");

	cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&at, len) < 0)
		return err_sys(err, errno, "NOTIFY_SOCKET");
	return 0;
}
