// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* nets.c - sets of networks; see nets.h. */
#include "io/nets.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define BETWEEN		", \t"

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* Digits, no more than @max; -1: something else. */
static int number(const char *text, int max)
{
	int value = 0;

	if (!*text || strlen(text) > 3 || (*text == '0' && text[1]))
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (*text - '0');
	}
	return value <= max ? value : -1;
}

/* Is all behind the first @bits 0? */
static bool tail_is_zero(const uint8_t *addr, int bits)
{
	for (int i = bits; i < 128; i++)
		if (addr[i / 8] & (0x80 >> i % 8))
			return false;
	return true;
}

static bool parse_one(char *text, struct pulse__net *net)
{
	char *slash = strchr(text, '/');
	int bits = 128, most = 128;

	if (slash)
		*slash = 0;
	if (inet_pton(AF_INET, text, net->addr + 12) == 1) {
		memcpy(net->addr, mapped, sizeof(mapped));
		most = 32;
	} else if (inet_pton(AF_INET6, text, net->addr) != 1) {
		return false;
	}
	if (slash) {
		bits = number(slash + 1, most);
		if (bits < 0)
			return false;
		bits += 128 - most;
	}
	net->bits = (uint8_t)bits;
	return tail_is_zero(net->addr, bits);
}

int pulse__nets_parse(const char *text, struct pulse__nets **out)
{
	char one[INET6_ADDRSTRLEN + 4];
	struct pulse__nets *nets;
	size_t nr = 1, len;

	for (const char *c = text; *c; c++)
		nr += strchr(BETWEEN, *c) != NULL;
	nets = pulse__calloc(1, sizeof(*nets) + nr * sizeof(nets->net[0]));
	if (!nets)
		return -ENOMEM;
	for (text += strspn(text, BETWEEN); *text; text += strspn(text, BETWEEN)) {
		len = strcspn(text, BETWEEN);
		if (len >= sizeof(one))
			goto bad;
		memcpy(one, text, len);
		one[len] = 0;
		if (!strcmp(one, "unix"))
			nets->sockets = true;
		else if (!parse_one(one, &nets->net[nets->nr++]))
			goto bad;
		text += len;
	}
	if (!nets->nr && !nets->sockets)
		goto bad;
	*out = nets;
	return 0;
bad:
	pulse__free(nets);
	return -EINVAL;
}

static bool within(const struct pulse__net *net, const uint8_t *addr)
{
	int whole = net->bits / 8, rest = net->bits % 8;

	return !memcmp(net->addr, addr, (size_t)whole) &&
	       (!rest || !((net->addr[whole] ^ addr[whole]) >> (8 - rest)));
}

bool pulse__nets_have(const struct pulse__nets *nets,
		      const struct sockaddr_storage *sa)
{
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)sa;
	const struct sockaddr_in *sin = (const struct sockaddr_in *)sa;
	uint8_t addr[16];

	if (sa->ss_family == AF_UNIX)
		return nets->sockets;
	if (sa->ss_family == AF_INET) {
		memcpy(addr, mapped, sizeof(mapped));
		memcpy(addr + 12, &sin->sin_addr, 4);
	} else if (sa->ss_family == AF_INET6) {
		memcpy(addr, &sin6->sin6_addr, 16);
	} else {
		return false;
	}
	for (size_t i = 0; i < nets->nr; i++)
		if (within(&nets->net[i], addr))
			return true;
	return false;
}
