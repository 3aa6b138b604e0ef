// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * proxy_head.c - the header of the PROXY protocol, taken strictly: what is not one
 * as the text has it is refused, for whoever sent it is trusted.
 *
 *	"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"		version 1
 *	12 bytes, version and command, family, length,
 *	addresses, options					version 2
 */
#include "io/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#define V1_MAX		107	/* with its \r\n */
#define V2_HEAD		16
#define UNIX_BYTES	108	/* of a path in version 2 */
#define OPT_CRC32C	0x03

static const uint8_t v2_sign[12] = "\r\n\r\n\0\r\nQUIT\n";

/* ---- version 1 ------------------------------------------------------------- */

/* The next word, with one blank or the end before it; NULL. */
static char *word(char **at)
{
	char *begin = *at, *end = strchr(begin, ' ');

	if (!*begin || end == begin)
		return NULL;
	if (end)
		*end++ = 0;
	*at = end ? end : begin + strlen(begin);
	return begin;
}

static int port_of(const char *text, in_port_t *port)
{
	unsigned int value = 0;

	if (!text || !*text || strlen(text) > 5 || (*text == '0' && text[1]))
		return -EPROTO;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EPROTO;
		value = value * 10 + (unsigned int)(*text - '0');
	}
	if (value > 65535)
		return -EPROTO;
	*port = htons((uint16_t)value);
	return 0;
}

static void set_ip(struct pulse__addr *from, int family, const void *ip,
		   in_port_t port)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&from->sa;
	struct sockaddr_in *sin = (struct sockaddr_in *)&from->sa;

	from->sa.ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		memcpy(&sin->sin_addr, ip, 4);
		sin->sin_port = port;
		from->len = sizeof(*sin);
	} else {
		memcpy(&sin6->sin6_addr, ip, 16);
		sin6->sin6_port = port;
		from->len = sizeof(*sin6);
	}
}

/* What stands behind "PROXY ", without the end of the line. */
static int v1_line(char *line, struct pulse__addr *from)
{
	const char *kind, *source, *target, *source_port, *target_port;
	unsigned char ip[16], other[16];
	in_port_t port, other_port;
	char *at = line;
	int family;

	if (!strcmp(line, "UNKNOWN") || !strncmp(line, "UNKNOWN ", 8))
		return 0;
	kind = word(&at);
	source = word(&at);
	target = word(&at);
	source_port = word(&at);
	target_port = at;
	if (!kind || !source || !target || !source_port ||
	    strchr(target_port, ' '))
		return -EPROTO;
	family = !strcmp(kind, "TCP4") ? AF_INET :
		 !strcmp(kind, "TCP6") ? AF_INET6 : 0;
	if (!family || inet_pton(family, source, ip) != 1 ||
	    inet_pton(family, target, other) != 1 ||
	    port_of(source_port, &port) || port_of(target_port, &other_port))
		return -EPROTO;
	set_ip(from, family, ip, port);
	return 0;
}

static ssize_t parse_v1(const uint8_t *p, size_t n, struct pulse__addr *from)
{
	static const char begin[] = "PROXY ";
	size_t most = n < V1_MAX ? n : V1_MAX, len;
	char line[V1_MAX];

	for (len = 0; len < most && p[len] != '\n'; len++) {
		if (len < sizeof(begin) - 1 && p[len] != (uint8_t)begin[len])
			return -EPROTO;
		/* A \r is the last but one. */
		if (len && p[len - 1] == '\r')
			return -EPROTO;
		if (p[len] != '\r' && (p[len] < 0x20 || p[len] > 0x7e))
			return -EPROTO;
	}
	if (len == most)
		return most == V1_MAX ? -EPROTO : -EAGAIN;
	if (len < sizeof(begin) || p[len - 1] != '\r')
		return -EPROTO;
	memcpy(line, p, len - 1);
	line[len - 1] = 0;
	if (v1_line(line + sizeof(begin) - 1, from))
		return -EPROTO;
	return (ssize_t)len + 1;
}

/* ---- version 2 ------------------------------------------------------------- */

/* RFC 3720, a bit at a time: a header is short, and few have it. */
static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
	for (; n; n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (0x82f63b78U & (0U - (crc & 1)));
	}
	return crc;
}

/* Options fill what is left, and one may be a checksum of all of it. */
static bool options_ok(const uint8_t *p, size_t at, size_t len)
{
	static const uint8_t zero[4];
	size_t sum = 0, n;
	uint32_t crc;

	for (; at < len; at += 3 + n) {
		if (len - at < 3)
			return false;
		n = (size_t)p[at + 1] << 8 | p[at + 2];
		if (n > len - at - 3)
			return false;
		if (p[at] != OPT_CRC32C)
			continue;
		if (n != 4 || sum)
			return false;
		sum = at + 3;
	}
	if (!sum)
		return true;
	crc = crc32c(0xffffffffU, p, sum);
	crc = crc32c(crc, zero, sizeof(zero));
	crc = ~crc32c(crc, p + sum + 4, len - sum - 4);
	return crc == ((uint32_t)p[sum] << 24 | (uint32_t)p[sum + 1] << 16 |
		       (uint32_t)p[sum + 2] << 8 | p[sum + 3]);
}

/* A path, or an abstract name; what would spoil a line of a log is none. */
static bool set_unix(struct pulse__addr *from, const uint8_t *path)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&from->sa;
	size_t skip = !path[0], len;

	len = skip + strnlen((const char *)path + skip, UNIX_BYTES - skip);
	for (size_t i = skip; i < len; i++)
		if (path[i] < 0x20 || path[i] == 0x7f)
			return false;
	if (len == skip)
		return true;	/* it has no name */
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, path, len);
	from->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return true;
}

/* How many bytes of addresses there are; -EPROTO: none that a stream has. */
static int v2_address(uint8_t family, const uint8_t *a, size_t len,
		      struct pulse__addr *from)
{
	in_port_t port;

	switch (family) {
	case 0x00:		/* somebody of whom nothing is said */
		return 0;
	case 0x11:
		if (len < 12)
			return -EPROTO;
		memcpy(&port, a + 8, 2);
		set_ip(from, AF_INET, a, port);
		return 12;
	case 0x21:
		if (len < 36)
			return -EPROTO;
		memcpy(&port, a + 32, 2);
		set_ip(from, AF_INET6, a, port);
		return 36;
	case 0x31:
		return len < 2 * UNIX_BYTES || !set_unix(from, a) ? -EPROTO :
		       2 * UNIX_BYTES;
	default:
		return -EPROTO;
	}
}

static ssize_t parse_v2(const uint8_t *p, size_t n, struct pulse__addr *from)
{
	size_t len, sign = n < sizeof(v2_sign) ? n : sizeof(v2_sign);
	int at;

	if (memcmp(p, v2_sign, sign))
		return -EPROTO;
	/* Each is looked at as soon as it is there. */
	if (n > 12 && p[12] != 0x20 && p[12] != 0x21)
		return -EPROTO;
	if (n < V2_HEAD)
		return -EAGAIN;
	len = (size_t)p[14] << 8 | p[15];
	if (V2_HEAD + len > PULSE__PROXY_MAX)
		return -EPROTO;
	if (n < V2_HEAD + len)
		return -EAGAIN;
	len += V2_HEAD;
	if (p[12] == 0x20)	/* the proxy itself, which may say anything */
		return (ssize_t)len;
	at = v2_address(p[13], p + V2_HEAD, len - V2_HEAD, from);
	if (at < 0)
		return at;
	/* Behind addresses of which nothing is known nothing is. */
	if (p[13] && !options_ok(p, V2_HEAD + (size_t)at, len))
		return -EPROTO;
	return (ssize_t)len;
}

ssize_t pulse__proxy_parse(const uint8_t *p, size_t n, struct pulse__addr *from)
{
	ssize_t ret;

	memset(from, 0, sizeof(*from));
	if (!n)
		return -EAGAIN;
	ret = p[0] == v2_sign[0] ? parse_v2(p, n, from) : parse_v1(p, n, from);
	if (ret < 0)
		memset(from, 0, sizeof(*from));
	return ret;
}
