// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * addr.c - addresses as texts: "1.2.3.4:80", "[::1]:80", "localhost:80", "*:80",
 * "unix:/path", "unix:@abstract".
 */
#include "io/stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

/* The digits after the last colon: 0 to 65535, nothing else. */
static int parse_port(const char *text, in_port_t *port)
{
	unsigned int value = 0;

	if (!*text || strlen(text) > 5)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (unsigned int)(*text - '0');
	}
	if (value > 65535)
		return -EINVAL;
	*port = htons((uint16_t)value);
	return 0;
}

static void set_v4(struct pulse__addr *addr, struct in_addr ip, in_port_t port)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)&addr->sa;

	sin->sin_family = AF_INET;
	sin->sin_addr = ip;
	sin->sin_port = port;
	addr->len = sizeof(*sin);
}

static void set_v6(struct pulse__addr *addr, struct in6_addr ip, in_port_t port)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&addr->sa;

	sin6->sin6_family = AF_INET6;
	sin6->sin6_addr = ip;
	sin6->sin6_port = port;
	addr->len = sizeof(*sin6);
}

static int set_unix(struct pulse__addr *addr, const char *path)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&addr->sa;
	size_t len = strlen(path);

	if (!len || (len == 1 && *path == '@'))
		return -EINVAL;
	/* A path keeps its final 0 within, an abstract name has none. */
	if (len + (*path != '@') > sizeof(sun->sun_path))
		return -ENAMETOOLONG;
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, path, len);
	if (*path == '@')
		sun->sun_path[0] = 0;
	addr->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
				(*path != '@'));
	return 0;
}

int pulse__addr_parse(const char *text, struct pulse__addr *addr)
{
	char host[INET6_ADDRSTRLEN + 2];
	struct in6_addr ip6;
	struct in_addr ip4;
	const char *colon;
	in_port_t port;
	size_t len;

	memset(addr, 0, sizeof(*addr));
	if (!text)
		return -EINVAL;
	if (!strncmp(text, "unix:", 5))
		return set_unix(addr, text + 5);
	if (!strncmp(text, "tcp:", 4))
		text += 4;
	colon = strrchr(text, ':');
	len = colon ? (size_t)(colon - text) : 0;
	if (!len || len >= sizeof(host) || parse_port(colon + 1, &port))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = 0;
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = 0;
		if (inet_pton(AF_INET6, host + 1, &ip6) != 1)
			return -EINVAL;
		set_v6(addr, ip6, port);
	} else if (!strcmp(host, "*")) {
		addr->any = true;
		set_v6(addr, in6addr_any, port);
	} else if (!strcmp(host, "localhost")) {
		ip4.s_addr = htonl(INADDR_LOOPBACK);
		set_v4(addr, ip4, port);
	} else if (inet_pton(AF_INET, host, &ip4) == 1) {
		set_v4(addr, ip4, port);
	} else {
		return -EINVAL;
	}
	return 0;
}

/* A name that is not text is cut at its first 0, as a path is. */
static int format_unix(const struct sockaddr_un *sun, socklen_t salen,
		       char *buf, size_t len)
{
	size_t base = offsetof(struct sockaddr_un, sun_path);
	size_t room = salen > base ? salen - base : 0;
	bool abstract = room && !sun->sun_path[0];
	const char *name = sun->sun_path + abstract;
	size_t chars = room ? strnlen(name, room - abstract) : 0;
	int n = snprintf(buf, len, "unix:%s%.*s", abstract ? "@" : "",
			 (int)chars, name);

	return (size_t)n < len ? 0 : -ENOSPC;
}

int pulse__addr_format_len(const struct sockaddr_storage *sa, socklen_t salen,
			   char *buf, size_t len)
{
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)sa;
	const struct sockaddr_in *sin = (const struct sockaddr_in *)sa;
	char host[INET6_ADDRSTRLEN];
	int n;

	if (sa->ss_family == AF_UNIX) {
		return format_unix((const struct sockaddr_un *)sa, salen, buf,
				   len);
	} else if (sa->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &sin6->sin6_addr, host, sizeof(host));
		n = snprintf(buf, len, "[%s]:%u", host, ntohs(sin6->sin6_port));
	} else if (sa->ss_family == AF_INET) {
		inet_ntop(AF_INET, &sin->sin_addr, host, sizeof(host));
		n = snprintf(buf, len, "%s:%u", host, ntohs(sin->sin_port));
	} else {
		n = snprintf(buf, len, "unknown");
	}
	return (size_t)n < len ? 0 : -ENOSPC;
}

int pulse__addr_format(const struct sockaddr_storage *sa, char *buf, size_t len)
{
	return pulse__addr_format_len(sa, sizeof(*sa), buf, len);
}

int pulse__addr_of(int fd, bool peer, char *buf, size_t len)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t salen = sizeof(sa);
	int err;

	err = peer ? getpeername(fd, (struct sockaddr *)&sa, &salen) :
		     getsockname(fd, (struct sockaddr *)&sa, &salen);
	return err ? -errno : pulse__addr_format_len(&sa, salen, buf, len);
}

int pulse__addr_rename(const char *text, const char *what, const char *with,
		       char *buf, size_t len)
{
	size_t n = strlen(what);
	int full;

	if (strncmp(text, what, n))
		return -EINVAL;
	full = snprintf(buf, len, "%s%s", with, text + n);
	return (size_t)full < len ? 0 : -ENOSPC;
}
