// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PROXY protocol: headers that are one and that are none, who has to send one,
 * and whom a connection is of then.
 */
#include "tls_ends.h"

#include "io/nets.h"
#include "io/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

/* ---- whom one trusts ------------------------------------------------------------ */

static bool have(const struct pulse__nets *nets, const char *ip)
{
	struct sockaddr_storage sa = { 0 };
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&sa;
	struct sockaddr_in *sin = (struct sockaddr_in *)&sa;

	if (!strcmp(ip, "unix")) {
		sa.ss_family = AF_UNIX;
	} else if (inet_pton(AF_INET, ip, &sin->sin_addr) == 1) {
		sa.ss_family = AF_INET;
	} else {
		KT_EQ(inet_pton(AF_INET6, ip, &sin6->sin6_addr), 1);
		sa.ss_family = AF_INET6;
	}
	return pulse__nets_have(nets, &sa);
}

KT_TEST(networks_have_who_is_in_them)
{
	static const struct {
		const char *nets, *in, *out;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.0.1", "11.0.0.1" },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3" },
		{ "192.0.2.7", "192.0.2.7", "192.0.2.6" },
		{ "192.0.2.6/31", "192.0.2.7", "192.0.2.8" },
		{ "0.0.0.0/0", "1.2.3.4", "::1" },
		{ "::/0", "1.2.3.4", "unix" },
		{ "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::" },
		{ "::1", "::1", "::2" },
		{ "unix", "unix", "127.0.0.1" },
		{ " 127.0.0.1,\t::1 , unix,", "::1", "::" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pulse__nets *nets;

		KT_EQ(pulse__nets_parse(cases[i].nets, &nets), 0);
		KT_CHECKF(have(nets, cases[i].in), "%s: %s", cases[i].nets,
			  cases[i].in);
		KT_CHECKF(!have(nets, cases[i].out), "%s: %s", cases[i].nets,
			  cases[i].out);
		pulse__free(nets);
	}
}

KT_TEST(networks_that_cannot_be)
{
	static const char *const bad[] = {
		"", " , ", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/08",
		"10.0.0.0/-1", "10.0.0.0/1x", "10.0.0", "10.0.0.256", "::/129",
		"::1/127", "localhost", "unix:/a", "1.2.3.4:80", "[::1]", "/8",
		"10.0.0.0//8", "1.2.3.4;", "01.2.3.4",
		"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct pulse__nets *nets = NULL;

		KT_CHECKF(pulse__nets_parse(bad[i], &nets) == -EINVAL, "\"%s\"",
			  bad[i]);
		KT_CHECK(!nets);
	}
}

/* ---- headers ---------------------------------------------------------------------- */

/* "1.2.3.4:5", "-" for nobody; or the error. Byte by byte it is the same. */
static const char *read_head(const void *data, size_t n, ssize_t *len)
{
	static char text[PULSE_ADDRESS_MAX];
	struct pulse__addr from;
	ssize_t early = -EAGAIN;

	*len = pulse__proxy_parse(data, n, &from);
	for (size_t i = 0; i < n && early == -EAGAIN; i++) {
		/* Exactly as long as it is, so that a sanitizer sees a step beyond. */
		uint8_t *part = malloc(i + 1);
		struct pulse__addr same;

		memcpy(part, data, i + 1);
		early = pulse__proxy_parse(part, i + 1, &same);
		free(part);
		if (early > 0)
			KT_CHECK(!memcmp(&same, &from, sizeof(from)));
	}
	KT_EQ(early, *len);
	if (*len < 0)
		return *len == -EAGAIN ? "more" : "none";
	if (!from.len)
		return "-";
	KT_EQ(pulse__addr_format_len(&from.sa, from.len, text, sizeof(text)), 0);
	return text;
}

KT_TEST(headers_of_version_1)
{
	static const struct {
		const char *head, *from;
	} cases[] = {
		{ "PROXY TCP4 1.2.3.4 5.6.7.8 9 80\r\n", "1.2.3.4:9" },
		{ "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
		  "255.255.255.255:65535" },
		{ "PROXY TCP6 2001:db8::1 ::2 0 443\r\n", "[2001:db8::1]:0" },
		{ "PROXY TCP6 ffff:f:ffff:ffff:ffff:ffff:ffff:ffff "
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		  "[ffff:f:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
		{ "PROXY UNKNOWN\r\n", "-" },
		{ "PROXY UNKNOWN ffff::1 what ever\r\n", "-" },
		{ "", "more" }, { "PROXY", "more" },
		{ "PROXY TCP4 1.2.3.4 5.6.7.8 9 80\r", "more" },
		{ "GET / HTTP/1.1\r\n", "none" }, { "PROXy ", "none" },
		{ "PROXY \r\n", "none" }, { "PROXY\r\n", "none" },
		{ "PROXY TCP4 1.2.3.4 5.6.7.8 9 80\n", "none" },
		{ "PROXY TCP4 1.2.3.4 5.6.7.8 9 80 \r\n", "none" },
		{ "PROXY TCP4 1.2.3.4 5.6.7.8 9 80 1\r\n", "none" },
		{ "PROXY  TCP4 1.2.3.4 5.6.7.8 9 80\r\n", "none" },
		{ "PROXY TCP4 1.2.3.4  5.6.7.8 9 80\r\n", "none" },
		{ "PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n", "none" },
		{ "PROXY TCP4 1.2.3.4 5.6.7.8 9 65536\r\n", "none" },
		{ "PROXY TCP4 1.2.3.4 5.6.7.8 09 80\r\n", "none" },
		{ "PROXY TCP4 1.2.3.4 5.6.7.8 -9 80\r\n", "none" },
		{ "PROXY TCP4 1.2.3.04 5.6.7.8 9 80\r\n", "none" },
		{ "PROXY TCP4 1.2.3 5.6.7.8 9 80\r\n", "none" },
		{ "PROXY TCP4 1.2.3.4 ::1 9 80\r\n", "none" },
		{ "PROXY TCP6 1.2.3.4 5.6.7.8 9 80\r\n", "none" },
		{ "PROXY TCP6 ::1%lo ::1 9 80\r\n", "none" },
		{ "PROXY UDP4 1.2.3.4 5.6.7.8 9 80\r\n", "none" },
		{ "PROXY tcp4 1.2.3.4 5.6.7.8 9 80\r\n", "none" },
		{ "PROXY UNKNOWNx\r\n", "none" }, { "PROXY UNKNOWN\rx\n", "none" },
		{ "PROXY UNKNOWN a\tb\r\n", "none" },
		{ "PROXY UNKNOWN \xc3\xa9\r\n", "none" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ssize_t len;
		const char *from = read_head(cases[i].head,
					     strlen(cases[i].head), &len);

		KT_CHECKF(!strcmp(from, cases[i].from), "%s: %s",
			  cases[i].head, from);
		if (len > 0)
			KT_EQ(len, strlen(cases[i].head));
	}
}

/* 107 bytes are as long as one may be. */
KT_TEST(a_line_of_version_1_has_an_end)
{
	for (size_t n = 106; n <= 108; n++) {
		char head[128] = "PROXY UNKNOWN ";
		ssize_t len;

		memset(head + 14, 'x', n - 16);
		memcpy(head + n - 2, "\r\n", 2);
		KT_STREQ(read_head(head, n, &len), n <= 107 ? "-" : "none");
	}
}

#define SIGN	0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 'Q', 'U', 'I', 'T', 0x0a
#define V4	1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 0, 80

#define HEAD2(want, ...)						\
	do {								\
		static const uint8_t h_[] = { SIGN, __VA_ARGS__ };	\
		ssize_t len_;						\
		const char *from_ = read_head(h_, sizeof(h_), &len_);	\
									\
		KT_CHECKF(!strcmp(from_, want), "%s: %s", #__VA_ARGS__,	\
			  from_);					\
	} while (0)

KT_TEST(headers_of_version_2)
{
	uint8_t h[16 + 216] = { SIGN, 0x21, 0x31, 0, 216 };
	ssize_t len;

	HEAD2("1.2.3.4:9", 0x21, 0x11, 0, 12, V4);
	HEAD2("[102:304::]:9", 0x21, 0x21, 0, 36, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0,
	      0, 0, 0, 0, 0, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
	      0, 80);
	/* The proxy's own, and somebody unknown; whatever else they say. */
	HEAD2("-", 0x20, 0x00, 0, 0);
	HEAD2("-", 0x20, 0xff, 0, 3, 1, 2, 3);
	HEAD2("-", 0x21, 0x00, 0, 1, 1);
	/* With options: an ALPN, none. */
	HEAD2("1.2.3.4:9", 0x21, 0x11, 0, 17, V4, 1, 0, 2, 'h', '2');
	HEAD2("1.2.3.4:9", 0x21, 0x11, 0, 18, V4, 4, 0, 0, 5, 0, 0);
	HEAD2("none", 0x21, 0x11, 0, 14, V4, 1, 0);
	HEAD2("none", 0x21, 0x11, 0, 16, V4, 1, 0, 2, 'h');
	HEAD2("none", 0x21, 0x11, 0, 15, V4, 1, 0xff, 0xff);
	/* A checksum that is right, that is wrong, of a wrong size, twice. */
	HEAD2("1.2.3.4:9", 0x21, 0x11, 0, 19, V4, 3, 0, 4, 0x2f, 0x72, 0xdd, 0xd8);
	HEAD2("none", 0x21, 0x11, 0, 19, V4, 3, 0, 4, 0x2f, 0x72, 0xdd, 0xd9);
	HEAD2("none", 0x21, 0x11, 0, 18, V4, 3, 0, 3, 1, 2, 3);
	HEAD2("none", 0x21, 0x11, 0, 26, V4, 3, 0, 4, 1, 2, 3, 4, 3, 0, 4, 1, 2, 3,
	      4);
	/* Too short, of no stream, of another version, too long. */
	HEAD2("none", 0x21, 0x11, 0, 11, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 0);
	HEAD2("none", 0x21, 0x21, 0, 12, V4);
	HEAD2("none", 0x21, 0x12, 0, 12, V4);
	HEAD2("none", 0x21, 0x10, 0, 12, V4);
	HEAD2("none", 0x21, 0x41, 0, 12, V4);
	HEAD2("none", 0x22, 0x11, 0, 12, V4);
	HEAD2("none", 0x11, 0x11, 0, 12, V4);
	HEAD2("none", 0x31);
	HEAD2("none", 0x21, 0x11, 0x0f, 0xf1);
	HEAD2("more", 0x21, 0x11, 0x0f, 0xf0);
	HEAD2("more", 0x21, 0x11, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 0);
	KT_STREQ(read_head("\r\n\r\n\0\r\nQUIX\n", 12, &len), "none");
	/* Paths. */
	strcpy((char *)h + 16, "/run/a");
	KT_STREQ(read_head(h, sizeof(h), &len), "unix:/run/a");
	KT_EQ(len, sizeof(h));
	memcpy(h + 16, "\0name\0", 6);
	KT_STREQ(read_head(h, sizeof(h), &len), "unix:@name");
	memset(h + 16, 'a', 108);
	KT_EQ(strlen(read_head(h, sizeof(h), &len)), 5 + 108);
	memset(h + 16, 0, 108);
	KT_STREQ(read_head(h, sizeof(h), &len), "-");
	strcpy((char *)h + 16, "/a\nb");
	KT_STREQ(read_head(h, sizeof(h), &len), "none");
	h[15] = 215;
	KT_STREQ(read_head(h, sizeof(h) - 1, &len), "none");
}

/* ---- connections -------------------------------------------------------------------- */

static int kind_of;

static void begin_proxy(const char *address, const char *from, struct pulse_tls *tls)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = address, .tls = tls,
		   .proxy_from = from, .proxy_timeout_ms = 60000);
	PULSE_OPTS(pulse_poller_opts, po, .kind = kind_of);

	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	accepted = 0;
	KT_EQ(pulse_poller_create(&po, &poller), 0);
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, &server, &listener), 0);
	KT_EQ(pulse_listener_address(listener, where, sizeof(where)), 0);
	how = (struct pulse_connect_opts){ .sz = sizeof(how), .address = where };
}

/* Sends over a plain socket, @cut bytes at once, with turns of the loop between. */
static int say(const char *what, size_t n, size_t cut)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	bool local = !strncmp(where, "unix:@", 6);
	char *colon = strrchr(where, ':');
	int fd;

	if (local) {
		strcpy(sun.sun_path + 1, where + 6);
	} else {
		inet_pton(AF_INET, "127.0.0.1", &sin.sin_addr);
		sin.sin_port = htons((uint16_t)atoi(colon + 1));
	}
	fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	KT_EQ(local ? connect(fd, (struct sockaddr *)&sun,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
					  strlen(where + 6))) :
	      connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	for (size_t at = 0; at < n; at += cut) {
		size_t part = cut < n - at ? cut : n - at;

		if (send(fd, what + at, part, MSG_NOSIGNAL) < 0)
			break;
		for (int i = 0; i < 3; i++)
			pulse_poller_run_once(poller, 0);
	}
	return fd;
}

static struct pulse_listener_stats stats(void)
{
	struct pulse_listener_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_listener_stats(listener, &s), 0);
	return s;
}

static const char *peer_of(struct pulse_transport *t)
{
	static char text[PULSE_ADDRESS_MAX];

	KT_EQ(pulse_transport_address(t, true, text, sizeof(text)), 0);
	return text;
}

#define V1 "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"

/* What follows the header is the connection's, however all of it is cut. */
static void is_told(void)
{
	char text[sizeof(V1) + 3], small[8], own[PULSE_ADDRESS_MAX];
	int fd;

	memcpy(text, V1, sizeof(V1) - 1);
	for (int i = 0; i < 3; i++)	/* as take() wants it */
		text[sizeof(V1) - 1 + (size_t)i] = (char)i;
	for (size_t cut = 1; cut < sizeof(text); cut += 13) {
		begin_proxy("127.0.0.1:0", "127.0.0.0/8", NULL);
		fd = say(text, sizeof(V1) + 2, cut);
		UNTIL(server.t && server.got == 3);
		KT_STREQ(peer_of(server.t), "192.0.2.1:4711");
		KT_EQ(pulse_transport_address(server.t, true, small, sizeof(small)),
		      -ENOSPC);
		/* Its own is where it listens. */
		KT_EQ(pulse_transport_address(server.t, false, own, sizeof(own)),
		      0);
		KT_STREQ(own, where);
		KT_EQ(stats().failed, 0);
		close(fd);
		end();
	}
}

KT_TEST(the_address_is_what_the_proxy_says)
{
	kind_of = PULSE_POLLER_EPOLL;
	is_told();
}

KT_TEST(the_address_is_what_the_proxy_says_with_io_uring)
{
	PULSE_OPTS(pulse_poller_opts, po, .kind = PULSE_POLLER_IO_URING);
	struct pulse_poller *p;

	if (pulse_poller_create(&po, &p))
		KT_SKIP("no io_uring here");
	pulse_poller_destroy(p);
	kind_of = PULSE_POLLER_IO_URING;
	is_told();
	kind_of = 0;
}

KT_TEST(who_is_not_trusted_has_nothing_to_say)
{
	int fd;

	begin_proxy("127.0.0.1:0", "10.0.0.0/8 unix", NULL);
	/* Bytes as any others. */
	fd = say("\0\1\2", 3, 3);
	UNTIL(server.t && server.got == 3);
	KT_CHECK(!strncmp(peer_of(server.t), "127.0.0.1:", 10));
	close(fd);
	end();
	/* Of a proxy's own connection the address is its own. */
	begin_proxy("127.0.0.1:0", "127.0.0.1", NULL);
	fd = say("PROXY UNKNOWN\r\n\0\1", 17, 17);
	UNTIL(server.t && server.got == 2);
	KT_CHECK(!strncmp(peer_of(server.t), "127.0.0.1:", 10));
	close(fd);
	end();
}

KT_TEST(what_is_no_header_is_nobodys_connection)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n",
		"\r\n\r\nx", "",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int fd;

		begin_proxy("127.0.0.1:0", "127.0.0.1", NULL);
		fd = say(bad[i], strlen(bad[i]), 100);
		if (!*bad[i])
			close(fd);
		UNTIL(stats().failed);
		KT_EQ(accepted, 0);
		KT_EQ(stats().failed, 1);
		if (*bad[i])
			close(fd);
		end();
	}
}

/* Half of one, for too long, and when the listener goes. */
KT_TEST(a_header_that_does_not_come_is_not_waited_for)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = "127.0.0.1:0",
		   .proxy_from = "127.0.0.1", .proxy_timeout_ms = 100);
	int fd;

	memset(&server, 0, sizeof(server));
	begin_opts(&lo);
	fd = say("PROXY", 5, 5);
	UNTIL(stats().failed);
	KT_EQ(accepted, 0);
	close(fd);
	end();
	begin_proxy("127.0.0.1:0", "127.0.0.1", NULL);
	fd = say("PROXY", 5, 5);
	KT_EQ(stats().failed, 0);
	end();
	close(fd);
}

KT_TEST(unix_sockets_have_it_too)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "unix:@proxy-test-%d", getpid());
	begin_proxy(name, "unix", NULL);
	fd = say(V1 "\0\1", sizeof(V1) + 1, 10);
	UNTIL(server.t && server.got == 2);
	KT_STREQ(peer_of(server.t), "192.0.2.1:4711");
	close(fd);
	end();
}

/* A proxy: says it first, and then hands on what comes. */
static void proxy_opens(struct pulse_transport *t, uint32_t events, void *arg)
{
	struct iovec iov = { (char *)V1, sizeof(V1) - 1 };

	(void)arg;
	if (!(events & PULSE_TRANSPORT_OPEN))
		return;
	KT_EQ(pulse_transport_send(t, &iov, 1), sizeof(V1) - 1);
	pulse_transport_set_handler(t, pass, &relay.in);
	pulse_transport_set_handler(relay.in, pass, &relay.out);
	pulse_transport_watch(t, PULSE_TRANSPORT_READ);
	pulse_transport_watch(relay.in, PULSE_TRANSPORT_READ);
}

static void proxy_accepts(struct pulse_listener *l, struct pulse_transport *t,
			  void *arg)
{
	PULSE_OPTS(pulse_connect_opts, co, .address = relay.to);

	(void)l;
	(void)arg;
	relay.in = t;
	KT_EQ(pulse_transport_connect(poller, &co, proxy_opens, NULL,
				      &relay.out), 0);
}

KT_TEST(under_tls_it_comes_first)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = "127.0.0.1:0");
	struct pulse_tls *srv, *cli;

	NEED_TLS();
	srv = make("srv", NULL, 0, NULL);
	cli = make(NULL, "ca.pem", 0, NULL);
	relay = (struct relay){ .max = 4096, .spoil_at = -1 };
	begin_proxy("tls:127.0.0.1:0", "127.0.0.1", srv);
	strcpy(relay.to, where + 4);
	KT_EQ(pulse_listener_open(poller, &lo, proxy_accepts, NULL, &relay.l), 0);
	strcpy(where, "tls:");
	KT_EQ(pulse_listener_address(relay.l, where + 4, sizeof(where) - 4), 0);
	how.tls = cli;
	meet();
	KT_STREQ(peer_of(server.t), "tls:192.0.2.1:4711");
	KT_EQ(send_some(&client, 0, 1000), 1000);
	UNTIL(server.got == 1000);
	end_relay();
	pulse_tls_destroy(srv);
	pulse_tls_destroy(cli);
}

KT_TEST(options_that_cannot_be)
{
	static const char *const other[] = { "udp:127.0.0.1:0", "shm:@no",
					     "rdma:127.0.0.1:0" };
	PULSE_OPTS(pulse_listener_opts, lo, .address = "127.0.0.1:0",
		   .proxy_from = "localhost");
	struct pulse_listener *l;

	KT_EQ(pulse_poller_create(NULL, &poller), 0);
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &l), -EINVAL);
	lo.proxy_from = "";
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &l), -EINVAL);
	lo.proxy_from = "127.0.0.1";
	lo.reserved2 = 1;
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &l), -EINVAL);
	lo.reserved2 = 0;
	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		lo.address = other[i];
		KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &l),
		      -EOPNOTSUPP);
	}
	KT_EQ(pulse_poller_destroy(poller), 0);
}

KT_MAIN()
