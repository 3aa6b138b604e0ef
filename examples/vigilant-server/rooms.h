/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VIGILANT_ROOMS_H
#define VIGILANT_ROOMS_H

#include "scribe.h"
#include "text.h"

/*
 * Rooms: each is an actor, and a child of a supervisor, added when the first
 * visitor asks for it. What it owns (members, the last lines, messages that
 * wait) outlives the actor: one that fails is started again and goes on.
 */
struct rooms;
struct room;

#define ROOMS_MAX	64
#define ROOM_NAME	32
#define ROOM_LINE	1000		/* the longest line, bytes */
#define ROOM_WAITING	1000		/* lines that wait for a room */

/* @sup: of the rooms, not started yet or running; outlives them as a tree. */
struct rooms *rooms_create(struct pulse_actors *actors, struct pulse_sup *sup,
			   struct scribe *scribe);
/* After the supervisor and the actors have stopped. */
void rooms_destroy(struct rooms *r);

/*
 * One visitor's part, by its own handlers, one at a time. 0; -EINVAL a name that
 * cannot be; -ENOSPC; -EAGAIN the room is behind; -ESHUTDOWN no more lines.
 */
int rooms_join(struct rooms *r, struct pulse_ws_conn *conn, const char *name,
	       const char *nick, struct room **room);
int room_say(struct room *room, struct pulse_ws_conn *conn, const char *line,
	     size_t len);
void room_leave(struct room *room, struct pulse_ws_conn *conn);
int room_order(struct room *room, const char *way);
struct room *rooms_find(struct rooms *r, const char *name);

struct rooms_figures {
	uint64_t accepted;		/* lines taken from visitors */
	uint64_t told;			/* of those, sent to all members and recorded */
	uint64_t lost;			/* the scribe could not have them */
	uint64_t slow;			/* members closed who did not read */
};
void rooms_figures(struct rooms *r, struct rooms_figures *f);
/* A JSON array. */
void rooms_text(struct rooms *r, struct text *t);
/* Lines are refused from here on; waits until all accepted ones are told. */
int rooms_finish(struct rooms *r, int64_t deadline_ns);

#endif /* VIGILANT_ROOMS_H */
