/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * nets.h - whom one trusts, by address: "10.0.0.0/8, 192.0.2.7, 2001:db8::/32, unix".
 */
#ifndef PULSE__IO_NETS_H
#define PULSE__IO_NETS_H

#include "base/base.h"

#include <sys/socket.h>

/* IPv4 as IPv6 has it, ::ffff:a.b.c.d. */
struct pulse__net {
	uint8_t addr[16];
	uint8_t bits;
};

struct pulse__nets {
	size_t nr;
	bool sockets;		/* "unix": peers on unix sockets */
	struct pulse__net net[];
};

/*
 * Networks and addresses between commas or blanks; bits behind a network's length
 * are 0. For pulse__free(); -EINVAL; -ENOMEM.
 */
int pulse__nets_parse(const char *text, struct pulse__nets **out);
bool pulse__nets_have(const struct pulse__nets *nets,
		      const struct sockaddr_storage *sa);

#endif /* PULSE__IO_NETS_H */
