/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VIGILANT_WEB_H
#define VIGILANT_WEB_H

#include "feed.h"
#include "house.h"

/*
 * What the port serves: / the page, /health, /metrics, and as WebSockets /echo,
 * /feed (figures; takes orders to crash) and /room (chat). A visitor is an
 * object from a pool, given back when its connection has ended.
 */
struct web;

struct web *web_create(struct feed *feed, struct house *house,
		       unsigned int max_visitors);
void web_destroy(struct web *w);
const struct pulse_ws_handlers *web_handlers(void);
void web_figures(struct web *w, struct text *t);

#endif /* VIGILANT_WEB_H */
