/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VIGILANT_FEED_H
#define VIGILANT_FEED_H

#include <pulse-u/pulse.h>

/*
 * The figures that the live page draws, sent as one JSON text message to
 * every connection of /feed, ten times a second. Connections come and go on
 * the loops' threads, the figures go out from the main thread.
 */
struct feed;
struct web;
struct house;

/* The most workers and loops that there can be together. */
#define FEED_WORKERS (1024 + 256)

struct feed *feed_create(struct pulse_ctx *ctx, struct pulse_pool *pool,
			 const struct pulse_backend_info *backend);
void feed_destroy(struct feed *feed);
int feed_join(struct feed *feed, struct pulse_ws_conn *conn);
void feed_leave(struct feed *feed, struct pulse_ws_conn *conn);
void feed_send(struct feed *feed, const struct pulse_ws_server *server,
	       struct web *web, struct house *house);

#endif /* VIGILANT_FEED_H */
