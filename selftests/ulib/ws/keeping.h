/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * keeping.h - a server that keeps its last connection and counts closes.
 */
#ifndef PULSE_SELFTESTS_WS_KEEPING_H
#define PULSE_SELFTESTS_WS_KEEPING_H

#include "peer.h"

static struct pulse_ws_conn *kept;
static int closed_codes[16], closing, closes;

static inline void keep(struct pulse_ws_conn *conn, void *arg)
{
	(void)arg;
	__atomic_store_n(&kept, pulse_ws_get(conn), __ATOMIC_RELEASE);
}

static inline struct pulse_ws_conn *kept_conn(void)
{
	return __atomic_load_n(&kept, __ATOMIC_ACQUIRE);
}

static inline void note_code(int code)
{
	int i = __atomic_fetch_add(&closing, 1, __ATOMIC_RELAXED);

	__atomic_store_n(&closed_codes[i & 15], code, __ATOMIC_RELAXED);
	__atomic_fetch_add(&closes, 1, __ATOMIC_RELEASE);
}

static inline void count_close(struct pulse_ws_conn *conn, int code,
			const char *reason, size_t len, void *arg)
{
	(void)conn;
	(void)reason;
	(void)len;
	(void)arg;
	note_code(code);
}

static inline int closed(void)
{
	return __atomic_load_n(&closes, __ATOMIC_ACQUIRE);
}

static inline struct pulse_ws_server *serve_keeping(struct pulse_ws_opts *o,
						    struct pulse_ws_handlers *h)
{
	kept = NULL;
	closing = closes = 0;
	h->on_open = keep;
	h->on_close = count_close;
	o->handlers = h;
	return serve(o);
}

#endif /* PULSE_SELFTESTS_WS_KEEPING_H */
