/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VIGILANT_ROOM_H
#define VIGILANT_ROOM_H

#include <pthread.h>

#include "rooms.h"

#define ROOM_LAST	20	/* lines that who joins is shown */
#define LOOK_NS		(200 * 1000000LL)

enum { ROOM_JOIN, ROOM_SAY, ROOM_LEAVE, ROOM_FAIL };

struct request {
	int what;
	char nick[24];
	struct pulse_ws_conn *conn;	/* of a join with a reference, else a name */
	size_t len;
	char text[];
};

struct member {
	struct pulse_ws_conn *conn;	/* with a reference */
	char nick[24];
};

struct room {
	char name[ROOM_NAME];
	struct rooms *rooms;
	struct pulse_mailbox *inbox;
	struct pulse_actor_child *child;	/* the supervisor's */
	/* The actor's alone, one incarnation after the other; others read nr, lines. */
	struct member *members;
	unsigned int nr, size;
	uint64_t lines;
	struct text last[ROOM_LAST];
	struct text text;
};

struct rooms {
	struct pulse_actors *actors;
	struct pulse_sup *sup;
	struct scribe *scribe;
	pthread_mutex_t lock;
	struct room *all[ROOMS_MAX];
	int nr;
	bool closed;
	uint64_t accepted, told, lost, slow;	/* atomic */
};

int room_init(struct pulse_actor *self, void *arg);
void room_receive(struct pulse_actor *self, const struct pulse_actor_msg *msg);
void room_free(struct room *room);

#endif /* VIGILANT_ROOM_H */
