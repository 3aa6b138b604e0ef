// SPDX-License-Identifier: GPL-2.0-only
/* Listeners on sockets that a service manager has opened and handed over. */
#include "tls_ends.h"

#include "io/stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <pulse-u/ws.h>

#define FIRST	200	/* where they lie here */

static char tcp_is[PULSE_ADDRESS_MAX];
static char unix_is[PULSE_ADDRESS_MAX];

static void place(int fd, int at)
{
	KT_CHECK(fd >= 0);
	KT_EQ(dup2(fd, FIRST + at), FIRST + at);
	close(fd);
}

static int tcp_socket(bool listens)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	KT_EQ(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	if (listens)
		KT_EQ(listen(fd, 100), 0);
	return fd;
}

static int unix_socket(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	static int nth;
	int n = sprintf(sun.sun_path + 1, "passed-test-%d-%d", getpid(), nth++);

	snprintf(unix_is, sizeof(unix_is), "unix:@%s", sun.sun_path + 1);
	KT_EQ(bind(fd, (struct sockaddr *)&sun,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			       (size_t)n)), 0);
	KT_EQ(listen(fd, 100), 0);
	return fd;
}

/* As systemd sets them; NULL: not. */
static void environment(const char *pid, const char *nr, const char *names)
{
	pid ? setenv("LISTEN_PID", pid, 1) : unsetenv("LISTEN_PID");
	nr ? setenv("LISTEN_FDS", nr, 1) : unsetenv("LISTEN_FDS");
	names ? setenv("LISTEN_FDNAMES", names, 1) : unsetenv("LISTEN_FDNAMES");
}

static void hand_over(void)
{
	char me[16];

	snprintf(me, sizeof(me), "%d", getpid());
	pulse__passed_first = FIRST;
	place(tcp_socket(true), 0);
	place(unix_socket(), 1);
	place(socket(AF_INET, SOCK_DGRAM, 0), 2);
	place(tcp_socket(false), 3);
	place(open("/dev/null", O_RDONLY), 4);
	close(FIRST + 5);
	environment(me, "6", "http:local:data:idle:null:gone");
	KT_EQ(pulse__addr_of(FIRST, false, tcp_is, sizeof(tcp_is)), 0);
}

static void is_served(const char *address, const char *at, const char *prefix,
		      struct pulse_tls *srv, struct pulse_tls *cli)
{
	char want[PULSE_ADDRESS_MAX];
	PULSE_OPTS(pulse_listener_opts, lo, .address = address, .tls = srv);

	begin_opts(&lo);
	snprintf(want, sizeof(want), "%s%s", prefix, at);
	KT_STREQ(where, want);
	how = (struct pulse_connect_opts){ .sz = sizeof(how), .address = where,
					   .tls = cli };
	meet();
	KT_EQ(send_some(&client, 0, 1000), 1000);
	UNTIL(server.got == 1000);
	end();
}

KT_TEST(they_are_found_by_name_and_by_number)
{
	struct pulse_tls *srv, *cli;

	hand_over();
	/* Again and again: a listener that is closed leaves it as it was. */
	for (int i = 0; i < 3; i++) {
		is_served("fd:http", tcp_is, "", NULL, NULL);
		is_served("fd:0", tcp_is, "", NULL, NULL);
		is_served("fd:local", unix_is, "", NULL, NULL);
		is_served("fd:1", unix_is, "", NULL, NULL);
	}
	/* A name that looks like a number is a name. */
	setenv("LISTEN_FDNAMES", "1:0", 1);
	is_served("fd:1", tcp_is, "", NULL, NULL);
	is_served("fd:0", unix_is, "", NULL, NULL);
	/* Without names there are numbers. */
	unsetenv("LISTEN_FDNAMES");
	is_served("fd:0", tcp_is, "", NULL, NULL);
	NEED_TLS();
	srv = make("srv", NULL, 0, NULL);
	cli = make(NULL, "ca.pem", 0, NULL);
	is_served("tls:fd:0", tcp_is, "tls:", srv, cli);
	pulse_tls_destroy(srv);
	pulse_tls_destroy(cli);
}

static int refused(const char *address)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = address);
	struct pulse_listener *l = NULL;
	int err;

	KT_EQ(pulse_poller_create(NULL, &poller), 0);
	err = pulse_listener_open(poller, &lo, on_accept, NULL, &l);
	KT_CHECK(!l);
	if (l)
		pulse_listener_close(l);
	KT_EQ(pulse_poller_destroy(poller), 0);
	return err;
}

KT_TEST(what_was_not_handed_to_us_is_not_taken)
{
	static const char *const nr[] = { NULL, "", "0", "-1", "x", "1x", " 1",
					  "99999999999999999999" };
	char me[16], other[16];

	hand_over();
	snprintf(me, sizeof(me), "%d", getpid());
	snprintf(other, sizeof(other), "%d", getpid() + 1);
	KT_EQ(refused("fd:https"), -ENOENT);
	KT_EQ(refused("fd:htt"), -ENOENT);
	KT_EQ(refused("fd:"), -ENOENT);
	KT_EQ(refused("fd:6"), -ENOENT);
	KT_EQ(refused("fd:-1"), -ENOENT);
	KT_EQ(refused("fd:data"), -EINVAL);	/* of datagrams */
	KT_EQ(refused("fd:idle"), -EINVAL);	/* does not listen */
	KT_EQ(refused("fd:null"), -ENOTSOCK);
	KT_EQ(refused("fd:gone"), -EBADF);
	KT_EQ(refused("udp:fd:data"), -EINVAL);
	environment(other, "6", "http");
	KT_EQ(refused("fd:http"), -ENOENT);
	environment(NULL, "6", "http");
	KT_EQ(refused("fd:http"), -ENOENT);
	for (size_t i = 0; i < ARRAY_SIZE(nr); i++) {
		environment(me, nr[i], "http");
		KT_CHECKF(refused("fd:http") == -ENOENT, "%s", nr[i]);
	}
	/* More names than sockets. */
	environment(me, "1", "a:http");
	KT_EQ(refused("fd:http"), -ENOENT);
	environment(NULL, NULL, NULL);
	KT_EQ(refused("fd:0"), -ENOENT);
}

/* All loops of a server accept on the one that there is. */
KT_TEST(a_server_of_several_loops_shares_it)
{
	PULSE_OPTS(pulse_ws_opts, o, .listen = "fd:http", .threads = 3);
	char is[PULSE_ADDRESS_MAX], byte;
	struct pulse_ws_server *ws;

	hand_over();
	for (int round = 0; round < 2; round++) {
		KT_EQ(pulse_ws_server_create(&o, &ws), 0);
		KT_EQ(pulse_ws_server_address(ws, is, sizeof(is)), 0);
		KT_STREQ(is, tcp_is);
		KT_EQ(pulse_ws_server_start(ws), 0);
		for (int i = 0; i < 20; i++) {
			struct sockaddr_storage sa;
			socklen_t len = sizeof(sa);
			int fd = socket(AF_INET, SOCK_STREAM, 0);

			KT_EQ(getsockname(FIRST, (struct sockaddr *)&sa, &len),
			      0);
			KT_EQ(connect(fd, (struct sockaddr *)&sa, len), 0);
			KT_EQ(send(fd, "x\n\n", 3, MSG_NOSIGNAL), 3);
			KT_EQ(recv(fd, &byte, 1, 0), 1);
			KT_EQ(byte, 'H');
			close(fd);
		}
		KT_EQ(pulse_ws_server_destroy(ws), 0);
	}
}

KT_MAIN()
