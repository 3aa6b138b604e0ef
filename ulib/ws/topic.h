/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * topic.h - topics inside: what topic.c keeps, topic_move.c moves, and
 * topic_late.c hands out later.
 */
#ifndef PULSE__WS_TOPIC_H
#define PULSE__WS_TOPIC_H

#include "ws/ws_int.h"

/* Of one loop. */
struct pulse__ws_place {
	struct pulse__list subs;	/* the loop's thread's */
	uint32_t interest;		/* hub lock */
};

struct pulse__ws_topic {
	struct pulse__ws_topic *next;	/* hub lock: in the bucket */
	uint32_t refs;			/* hub lock: subscriptions, messages */
	uint32_t subscribers;		/* hub lock */
	uint64_t hash;
	uint64_t seq;			/* hub lock: of the last message */
	uint64_t published;		/* hub lock */
	uint64_t delivered, dropped;	/* any thread adds */
	char *name;
	struct pulse__ws_place at[];
};

/* One connection's on one topic; the loop's thread's. */
struct pulse__ws_sub {
	struct pulse__list in_topic, in_conn;
	struct pulse__ws_topic *topic;
	struct pulse_ws_conn *conn;
	uint64_t seq;			/* of the last message it has seen */
	/* Left behind by one that has moved: sends on what is on its way. */
	bool ghost;
	uint64_t until;			/* ... up to this one */
};

/* topic.c: gives a reference back; under the hub's lock. */
void pulse__ws_topic_put(struct pulse__ws_hub *hub, struct pulse__ws_topic *t);
/* topic_move.c: for a connection that has moved; 0 or -errno. */
int pulse__ws_topic_send_on(struct pulse_ws_conn *conn,
			    struct pulse_ws_prepared *msg);

/* topic_late.c: instead of sending it now; 0 or -ENOMEM. */
int pulse__ws_late_put(struct pulse_ws_conn *conn, struct pulse__ws_topic *topic,
		       struct pulse_ws_prepared *msg);

#endif /* PULSE__WS_TOPIC_H */
