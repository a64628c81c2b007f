/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets that listen, and how what comes from this machine is sent to.
 */
#include "torture.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/number.h"
#include "serve/listen.h"

struct algorithm {
	char name[16]; /* TCP_CA_NAME_MAX of the kernel */
};

static struct algorithm algorithm_of(int fd)
{
	struct algorithm a = { "" };
	socklen_t len = sizeof(a.name);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, a.name, &len), 0);
	return a;
}

/* What nobody has chosen anything for. */
static struct algorithm usual(int family)
{
	cleanup_fd int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return algorithm_of(fd);
}

static struct sockaddr_in number(const char *host)
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	assert_int_equal(inet_pton(AF_INET, host, &a.sin_addr), 1);
	return a;
}

static bool is_unpaced(int fd)
{
	return strcmp(algorithm_of(fd).name, "reno") == 0;
}

static bool is_usual(int fd, int family)
{
	return strcmp(algorithm_of(fd).name, usual(family).name) == 0;
}

static int must_open(const char *text, char name[80])
{
	cleanup_error dray_error *err = NULL;
	int fd = listen_open(text, true, name, 80, &err);

	if (fd < 0)
		fail_msg("%s: %s", text, dray_error_message(err));
	return fd;
}

static in_port_t port_of(const char *name)
{
	int64_t port;

	assert_true(num_parse_u63(span_str(strrchr(name, ':') + 1), &port));
	return htons((uint16_t)port);
}

/* One that has come to @p listener by @p host; *ret_near keeps it open. */
static int connection(int listener, const char *name, struct in_addr host, int *ret_near)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = port_of(name),
				  .sin_addr = host };
	int fd;

	*ret_near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*ret_near, (struct sockaddr *)&to, sizeof(to)), 0);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void loopback(void **state)
{
	static const char *const rows[] = { "127.0.0.1:0", "localhost:0", "127.0.0.2:0" };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char name[80];
		cleanup_fd int listener = must_open(rows[i], name);
		cleanup_fd int near = -1;
		struct in_addr host = number(i == 2 ? "127.0.0.2" : "127.0.0.1").sin_addr;
		cleanup_fd int fd = connection(listener, name, host, &near);

		assert_true(is_unpaced(listener));
		assert_true(is_unpaced(fd));
	}
}

static void adopted(void **state)
{
	cleanup_error dray_error *err = NULL;
	struct sockaddr_in at = number("127.0.0.1");
	cleanup_fd int theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_fd int ours = -1;
	char name[80];

	(void)state;
	assert_int_equal(bind(theirs, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(theirs, 1), 0);
	ours = listen_adopt(theirs, false, name, sizeof(name), &err);
	assert_true(ours >= 0);
	assert_true(is_unpaced(ours));
}

/* From anywhere else, it is as the machine's owner has it. */
static void everywhere(void **state)
{
	struct sockaddr_in afar = number("192.0.2.1"), at_home = number("127.0.0.1");
	struct sockaddr_in6 afar6 = { .sin6_family = AF_INET6 };
	char name[80];
	cleanup_fd int listener = must_open("0.0.0.0:0", name);
	cleanup_fd int near = -1;
	cleanup_fd int fd = connection(listener, name, at_home.sin_addr, &near);

	(void)state;
	assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &afar6.sin6_addr), 1);
	assert_true(is_usual(listener, AF_INET));
	assert_true(is_usual(fd, AF_INET));
	listen_greet(fd, (struct sockaddr *)&afar);
	listen_greet(fd, (struct sockaddr *)&afar6);
	assert_true(is_usual(fd, AF_INET));
	listen_greet(fd, (struct sockaddr *)&at_home);
	assert_true(is_unpaced(fd));
}

/* Another address of this machine's; false = it has none that answers to itself. */
static bool own_address(struct sockaddr_in *ret)
{
	struct ifaddrs *all;
	bool found = false;

	assert_int_equal(getifaddrs(&all), 0);
	for (struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
		const struct sockaddr_in *a = (const void *)i->ifa_addr;

		if (!a || a->sin_family != AF_INET || ntohl(a->sin_addr.s_addr) >> 24 == 127)
			continue;
		*ret = *a;
		found = true;
	}
	freeifaddrs(all);
	return found;
}

static void by_its_own_address(void **state)
{
	struct sockaddr_in own;
	char name[80];
	cleanup_fd int listener = must_open("0.0.0.0:0", name);
	cleanup_fd int near = -1, fd = -1;

	(void)state;
	if (!own_address(&own))
		skip();
	fd = connection(listener, name, own.sin_addr, &near);
	assert_true(is_usual(fd, AF_INET));
	listen_greet(fd, (struct sockaddr *)&own);
	assert_true(is_unpaced(fd));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loopback),
		cmocka_unit_test(adopted),
		cmocka_unit_test(everywhere),
		cmocka_unit_test(by_its_own_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
