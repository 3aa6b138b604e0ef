/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_NETLINK_H
#define PULSE_NETLINK_H

#include <net/genetlink.h>

/* Multicast groups, by their place in the family. */
#define PULSE_NL_EVENTS		0

extern struct genl_family pulse_nl_family;

int pulse_netlink_init(void);
void pulse_netlink_exit(void);

#endif /* PULSE_NETLINK_H */
