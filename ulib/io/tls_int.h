/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tls_int.h - a TLS transport inside: what tls.c (its life, its handshake, what it is
 * told) and tls_carry.c (what is sent and received) share.
 */
#ifndef PULSE__IO_TLS_INT_H
#define PULSE__IO_TLS_INT_H

#include "io/chunks.h"
#include "io/tls.h"

struct pulse__tls_end;

/* A task of the poller; of nobody once what posted it has moved. */
struct pulse__tls_again {
	struct pulse_poller_task task;
	struct pulse__tls_end *tls;
};

struct pulse__tls_end {
	struct pulse_transport t;
	struct pulse_transport *lower;
	struct pulse__tls_rules *rules;
	void *session;
	struct pulse__chunks out;
	struct pulse__tls_again *again;
	struct pulse_poller_timer timer;	/* handshake, then lingering */
	struct pulse__list link;		/* of the listener */
	struct pulse__poller_end end;
	uint32_t watched;
	uint32_t calls;		/* handlers and lower calls under way */
	bool *moved;		/* of the handler that is under way */
	int err;		/* why it is broken; as it was told */
	bool connecting, shaking, told_err;
	bool flying;		/* the lower transport has our memory */
	bool dry;		/* the session has nothing until the lower reads */
	bool unreadable;	/* a read has failed: no other one may find more */
	bool shut, shut_done;
	bool posted, lingers, closed;
	bool kernel_sends, kernel_receives;
};

static inline struct pulse__tls_end *pulse__tls_of(struct pulse_transport *t)
{
	return container_of(t, struct pulse__tls_end, t);
}

static inline const struct pulse__tls_engine *
pulse__tls_eng(const struct pulse__tls_end *tls)
{
	return tls->rules->engine;
}

/* ---- tls.c ---------------------------------------------------------------- */

void pulse__tls_drop_lower(struct pulse__tls_end *tls, bool reset);
/* Unless somebody is in it, or it lingers. */
void pulse__tls_maybe_free(struct pulse__tls_end *tls);
/* 0 all is out; -EAGAIN; broken. */
int pulse__tls_flush(struct pulse__tls_end *tls);
/* Follows every change of what is wanted, and of what is left to do. */
void pulse__tls_settle(struct pulse__tls_end *tls);
/* Nothing can come of it any more; its owner is told once. */
void pulse__tls_broken(struct pulse__tls_end *tls, int err);
struct pulse__tls_again *pulse__tls_again_of(struct pulse__tls_end *tls);

/* ---- tls_carry.c ---------------------------------------------------------- */

extern const struct pulse_transport_ops pulse__tls_over_tcp;
extern const struct pulse_transport_ops pulse__tls_over_unix;

#endif /* PULSE__IO_TLS_INT_H */
