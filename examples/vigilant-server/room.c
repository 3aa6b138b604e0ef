// SPDX-License-Identifier: GPL-2.0-only
/*
 * room.c - the actor of a room. All it touches is its own; the mailbox and the
 * members are the room's and are still there when it is started again.
 */
#include "room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TURN	64		/* requests before others have their turn */

void room_free(struct room *room)
{
	struct pulse_message *msg;

	while (room->inbox && !pulse_mailbox_try_receive(room->inbox, &msg)) {
		const struct request *q = pulse_message_payload(msg, NULL);

		if (q->what == ROOM_JOIN)
			pulse_ws_put(q->conn);
		pulse_message_put(msg);
	}
	pulse_mailbox_destroy(room->inbox);
	for (unsigned int i = 0; i < room->nr; i++)
		pulse_ws_put(room->members[i].conn);
	for (int i = 0; i < ROOM_LAST; i++)
		text_free(&room->last[i]);
	text_free(&room->text);
	free(room->members);
	free(room);
}

/* A member that does not read is closed: nobody misses a line and goes on. */
static void tell(struct room *room, struct pulse_ws_conn *conn,
		 const struct text *t)
{
	if (t->cut)
		return;
	if (pulse_ws_send(conn, PULSE_WS_TEXT, t->at, t->len) == -EAGAIN) {
		pulse_ws_close(conn, PULSE_WS_TRY_LATER, "too slow", 8);
		__atomic_fetch_add(&room->rooms->slow, 1, __ATOMIC_RELAXED);
	}
}

static struct member *member_of(struct room *room,
				const struct pulse_ws_conn *conn)
{
	for (unsigned int i = 0; i < room->nr; i++)
		if (room->members[i].conn == conn)
			return &room->members[i];
	return NULL;
}

/* {"event": @event, "room": ..., "who": ...; the caller goes on. */
static struct text *begin(struct room *room, const char *event, const char *who)
{
	struct text *t = &room->text;

	t->len = 0;
	t->cut = 0;
	text_add(t, "{\"event\":\"%s\",\"room\":\"%s\",\"who\":", event,
		 room->name);
	text_string(t, who, strlen(who));
	return t;
}

static void tell_all(struct room *room, struct text *t)
{
	text_add(t, "}");
	for (unsigned int i = 0; i < room->nr; i++)
		tell(room, room->members[i].conn, t);
}

static void say_members(struct room *room, const char *event, const char *who)
{
	struct text *t = begin(room, event, who);

	text_add(t, ",\"members\":%u", room->nr);
	tell_all(room, t);
}

static void join(struct room *room, const struct request *q)
{
	if (room->nr == room->size) {
		unsigned int size = room->size ? 2 * room->size : 8;
		void *more = realloc(room->members,
				     size * sizeof(*room->members));

		if (!more) {
			pulse_ws_close(q->conn, PULSE_WS_TRY_LATER, NULL, 0);
			pulse_ws_put(q->conn);
			return;
		}
		room->members = more;
		room->size = size;
	}
	for (uint64_t i = room->lines < ROOM_LAST ? 0 : room->lines - ROOM_LAST;
	     i < room->lines; i++)
		tell(room, q->conn, &room->last[i % ROOM_LAST]);
	room->members[room->nr].conn = q->conn;
	memcpy(room->members[room->nr].nick, q->nick, sizeof(q->nick));
	__atomic_store_n(&room->nr, room->nr + 1, __ATOMIC_RELAXED);
	say_members(room, "join", q->nick);
}

static void leave(struct room *room, const struct pulse_ws_conn *conn)
{
	struct member *m = member_of(room, conn), gone;

	if (!m)
		return;
	gone = *m;
	*m = room->members[room->nr - 1];
	__atomic_store_n(&room->nr, room->nr - 1, __ATOMIC_RELAXED);
	say_members(room, "leave", gone.nick);
	pulse_ws_put(gone.conn);
}

static void say(struct room *room, const struct request *q)
{
	const struct member *m = member_of(room, q->conn);
	struct rooms *r = room->rooms;
	const char *who = m ? m->nick : "?";
	struct text *t = begin(room, "say", who), swap;

	text_add(t, ",\"n\":%llu,\"text\":",
		 (unsigned long long)room->lines + 1);
	text_string(t, q->text, q->len);
	tell_all(room, t);
	swap = room->last[room->lines % ROOM_LAST];
	room->last[room->lines % ROOM_LAST] = *t;
	room->text = swap;
	__atomic_store_n(&room->lines, room->lines + 1, __ATOMIC_RELAXED);
	if (scribe_record(r->scribe, who, q->text, q->len))
		__atomic_fetch_add(&r->lost, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&r->told, 1, __ATOMIC_SEQ_CST);
}

int room_init(struct pulse_actor *self, void *arg)
{
	pulse_actor_set_state(self, arg, NULL);
	return pulse_actor_set_timeout(self, LOOK_NS);
}

void room_receive(struct pulse_actor *self, const struct pulse_actor_msg *nudge)
{
	struct room *room = pulse_actor_state(self);
	struct pulse_message *msg;
	bool fail = false;
	int n = 0;

	(void)nudge;
	for (; n < TURN && !fail; n++) {
		if (pulse_mailbox_try_receive(room->inbox, &msg))
			break;
		const struct request *q = pulse_message_payload(msg, NULL);

		switch (q->what) {
		case ROOM_JOIN:
			join(room, q);
			break;
		case ROOM_SAY:
			say(room, q);
			break;
		case ROOM_LEAVE:
			leave(room, q->conn);
			break;
		case ROOM_FAIL:
			fail = true;
		}
		pulse_message_put(msg);
	}
	if (fail)
		pulse_actor_exit(self, -EFAULT);
	else if (n == TURN)
		pulse_actor_send(pulse_actor_system(self),
				 pulse_actor_self(self), 0, NULL, 0);
}
