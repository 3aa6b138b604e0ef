/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * udp.h - the UDP carrier inside.
 */
#ifndef PULSE__IO_UDP_H
#define PULSE__IO_UDP_H

#include "base/list.h"
#include "io/stream.h"

extern const struct pulse__carrier pulse__carrier_udp;

#endif /* PULSE__IO_UDP_H */
