/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * forwarded.h - whom a request is of that proxies have handed on, as they say in its
 * head.
 */
#ifndef PULSE__WS_FORWARDED_H
#define PULSE__WS_FORWARDED_H

#include "io/nets.h"
#include "ws/head.h"

/*
 * From the nearest, @peer, back to the first who is not trusted, or of whom what was
 * before is not said as it must be. @by: enum pulse_ws_forwarded. @peer becomes
 * that; true: it is another.
 */
bool pulse__ws_forwarded(const struct pulse__ws_head *head, int by,
			 const struct pulse__nets *trusted,
			 struct sockaddr_storage *peer);

#endif /* PULSE__WS_FORWARDED_H */
