/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * link_int.h - a link inside, and how it moves from one carrier to another.
 *
 * All that goes over a carrier stands in frames: a head, and @len bytes. To move,
 * with c who connected and h the hub, "old" and "new" the carriers:
 *
 *	c -> h, new: JOIN, the link's name
 *	h -> c, new: READY
 *	c -> h, old: SWITCH	what c sends after it goes over new
 *	h -> c, old: SWITCH	what h sends after it goes over new
 *
 * Each side reads old up to SWITCH and nothing of what is on new before: the
 * order of the stream is that of the two carriers, one after the other. Until
 * its SWITCH c can give up, and nobody has moved; after it, new is the link's.
 */
#ifndef PULSE__IO_LINK_INT_H
#define PULSE__IO_LINK_INT_H

#include "base/list.h"
#include "io/poller_int.h"

#include <pulse-u/link.h>

enum pulse__link_type {
	PULSE__LINK_OPEN = 1, PULSE__LINK_JOIN, PULSE__LINK_READY,
	PULSE__LINK_DATA, PULSE__LINK_SWITCH, PULSE__LINK_END,
};

#define PULSE__LINK_NAME	16

/* Little-endian. */
struct pulse__link_head {
	uint32_t len;
	uint32_t type;
};

struct pulse__link_hello {
	struct pulse__link_head head;
	unsigned char name[PULSE__LINK_NAME];
};

struct pulse__link {
	struct pulse_transport t;
	struct pulse_transport *rx, *tx;	/* the same but while it moves */
	struct pulse_transport *next;		/* where it moves to */
	unsigned char name[PULSE__LINK_NAME];
	/* In: a head that is not whole yet, then the rest of its frame. */
	struct pulse__link_head in;
	uint32_t in_have, in_left;
	/* Out: what the carrier has not taken, or not given back yet. */
	unsigned char *out;
	size_t out_at, out_len, out_room;
	uint32_t watched, calls;
	int rx_err, tx_err, swap_err;
	bool flying;			/* the carrier has @out */
	bool connects, connecting, moving, want_switch, switch_put, want_end;
	bool rx_end, shut, closed, lingers, posted, told_err, swap_told;
	/* The answer of @next. */
	struct pulse__link_head next_in;
	uint32_t next_have;
	struct pulse_poller_timer swap_timer;
	pulse_link_swap_fn swap_fn;
	void *swap_arg;
	struct pulse_poller_task again;
	struct pulse_poller_timer timer;
	struct pulse__poller_end end;
	struct pulse__list hub_link;	/* or of nothing */
};

/* ---- link.c --------------------------------------------------------------- */

int pulse__link_new(struct pulse_poller *poller, struct pulse_transport *lower,
		    const unsigned char *name, struct pulse__link **out);
void pulse__link_lower_event(struct pulse_transport *lower, uint32_t events,
			     void *arg);
/* Queues bytes of a frame; 0 or -ENOMEM. */
int pulse__link_put(struct pulse__link *link, const void *frame, size_t len);
int pulse__link_flush(struct pulse__link *link);
void pulse__link_settle(struct pulse__link *link);
void pulse__link_post(struct pulse__link *link);
bool pulse__link_fits(const struct pulse_transport *lower);

/* ---- link_swap.c ---------------------------------------------------------- */

/* Of the carrier it moves to, before it has got there. */
void pulse__link_next_event(struct pulse__link *link, uint32_t events);
/* All before it is out: the switch, and then the other carrier. */
void pulse__link_try_switch(struct pulse__link *link);
/* The peer has switched; 0 or -EPROTO. */
int pulse__link_peer_switched(struct pulse__link *link);
void pulse__link_swap_failed(struct pulse__link *link, int err);
/* The hub's: a carrier that asks for this link. */
void pulse__link_joined(struct pulse__link *link,
			struct pulse_transport *lower);

#endif /* PULSE__IO_LINK_INT_H */
