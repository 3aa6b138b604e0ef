// SPDX-License-Identifier: GPL-2.0-only
/*
 * rooms.c - the rooms, and what visitors ask of them.
 *
 * A request is a message in the room's mailbox, and a nudge to its actor, which
 * takes all there is. A nudge that finds the actor dead is lost; the next one
 * looks when it begins and every LOOK_NS after.
 *
 * r->lock: the table; taken alone.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "room.h"

static const struct pulse_actor_type room_type = {
	.sz = sizeof(room_type),
	.name = "room",
	.init = room_init,
	.receive = room_receive,
};

struct rooms *rooms_create(struct pulse_actors *actors, struct pulse_sup *sup,
			   struct scribe *scribe)
{
	struct rooms *r = calloc(1, sizeof(*r));

	if (!r || pulse_actor_register(actors, &room_type)) {
		free(r);
		return NULL;
	}
	pthread_mutex_init(&r->lock, NULL);
	r->actors = actors;
	r->sup = sup;
	r->scribe = scribe;
	return r;
}

void rooms_destroy(struct rooms *r)
{
	for (int i = 0; i < r->nr; i++)
		room_free(r->all[i]);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* With r->lock. */
static struct room *find(struct rooms *r, const char *name)
{
	for (int i = 0; i < r->nr; i++)
		if (!strcmp(r->all[i]->name, name))
			return r->all[i];
	return NULL;
}

struct room *rooms_find(struct rooms *r, const char *name)
{
	struct room *room;

	pthread_mutex_lock(&r->lock);
	room = find(r, name);
	pthread_mutex_unlock(&r->lock);
	return room;
}

/* With r->lock, so that there is one of each name. */
static int open_room(struct rooms *r, const char *name, struct room **out)
{
	PULSE_OPTS(pulse_mailbox_opts, box,
		   .capacity = PULSE_MAILBOX_UNBOUNDED,
		   .flags = PULSE_MAILBOX_ONE_RECEIVER);
	struct room *room;
	int err;

	if (r->nr == ROOMS_MAX)
		return -ENOSPC;
	room = calloc(1, sizeof(*room));
	if (!room)
		return -ENOMEM;
	PULSE_OPTS(pulse_actor_opts, actor, .type = room_type.name,
		   .arg = room);
	strcpy(room->name, name);
	room->rooms = r;
	err = pulse_mailbox_create(&box, &room->inbox);
	if (!err)
		err = pulse_actor_child_create(r->actors, &actor, &room->child);
	if (!err) {
		PULSE_OPTS(pulse_child_spec, spec, .id = room->name,
			   .kind = PULSE_CHILD_OPS, .arg = room->child,
			   .ops = pulse_actor_child_ops());

		err = pulse_sup_start_child(r->sup, &spec, NULL);
		if (err)
			pulse_actor_child_destroy(room->child);
	}
	if (err) {
		room_free(room);
		return err;
	}
	r->all[r->nr++] = room;
	*out = room;
	return 0;
}

/* ---- what visitors ask --------------------------------------------------------- */

/* Letters, digits, "-" and "_": it is an id of a child, too. */
static bool good_name(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' &&
		    name[i] != '_')
			return false;
	return n && n < ROOM_NAME;
}

static int ask(struct room *room, struct request *q, const char *text,
	       size_t len)
{
	PULSE_OPTS(pulse_message_opts, opts, .payload_bytes = sizeof(*q) + len);
	struct pulse_message *msg;
	struct request *copy;
	int err = pulse_message_create(&opts, &msg);

	if (err)
		return err;
	copy = pulse_message_payload(msg, NULL);
	*copy = *q;
	if (len)
		memcpy(copy->text, text, len);
	err = pulse_mailbox_send(room->inbox, msg);
	if (err) {
		pulse_message_put(msg);
		return err;
	}
	pulse_actor_send(room->rooms->actors,
			 pulse_actor_child_ref(room->child), 0, NULL, 0);
	return 0;
}

int rooms_join(struct rooms *r, struct pulse_ws_conn *conn, const char *name,
	       const char *nick, struct room **out)
{
	struct request q = { .what = ROOM_JOIN };
	struct room *room;
	int err = 0;

	if (!good_name(name) || !*nick || strlen(nick) >= sizeof(q.nick))
		return -EINVAL;
	if (__atomic_load_n(&r->closed, __ATOMIC_SEQ_CST))
		return -ESHUTDOWN;
	pthread_mutex_lock(&r->lock);
	room = find(r, name);
	if (!room)
		err = open_room(r, name, &room);
	pthread_mutex_unlock(&r->lock);
	if (err)
		return err;
	strcpy(q.nick, nick);
	q.conn = pulse_ws_get(conn);
	err = ask(room, &q, NULL, 0);
	if (err)
		pulse_ws_put(conn);
	else
		*out = room;
	return err;
}

/*
 * Accepted is counted before the look at closed, and rooms_finish closes before
 * it looks at the counts (all of it SEQ_CST): a line is refused or waited for.
 */
int room_say(struct room *room, struct pulse_ws_conn *conn, const char *line,
	     size_t len)
{
	struct request q = { .what = ROOM_SAY, .conn = conn, .len = len };
	struct rooms *r = room->rooms;
	int err = -ESHUTDOWN;

	if (!len || len > ROOM_LINE)
		return -EINVAL;
	if (pulse_mailbox_count(room->inbox) >= ROOM_WAITING)
		return -EAGAIN;
	__atomic_fetch_add(&r->accepted, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&r->closed, __ATOMIC_SEQ_CST))
		err = ask(room, &q, line, len);
	if (err)
		__atomic_fetch_sub(&r->accepted, 1, __ATOMIC_SEQ_CST);
	return err;
}

/* There is always room for it: lines have a limit, it has none. */
void room_leave(struct room *room, struct pulse_ws_conn *conn)
{
	struct request q = { .what = ROOM_LEAVE, .conn = conn };

	ask(room, &q, NULL, 0);
}

int room_order(struct room *room, const char *way)
{
	struct request q = { .what = ROOM_FAIL };

	return strcmp(way, "fail") ? -EINVAL : ask(room, &q, NULL, 0);
}

/* ---- figures, the end ------------------------------------------------------------ */

void rooms_figures(struct rooms *r, struct rooms_figures *f)
{
	f->told = __atomic_load_n(&r->told, __ATOMIC_SEQ_CST);
	f->accepted = __atomic_load_n(&r->accepted, __ATOMIC_SEQ_CST);
	f->lost = __atomic_load_n(&r->lost, __ATOMIC_RELAXED);
	f->slow = __atomic_load_n(&r->slow, __ATOMIC_RELAXED);
}

void rooms_text(struct rooms *r, struct text *t)
{
	text_add(t, "[");
	pthread_mutex_lock(&r->lock);
	for (int i = 0; i < r->nr; i++) {
		const struct room *room = r->all[i];

		text_add(t, "%s{\"name\":\"%s\",\"members\":%u,\"lines\":%llu,"
			 "\"waiting\":%zu}", i ? "," : "", room->name,
			 __atomic_load_n(&room->nr, __ATOMIC_RELAXED),
			 (unsigned long long)
			 __atomic_load_n(&room->lines, __ATOMIC_RELAXED),
			 pulse_mailbox_count(room->inbox));
	}
	pthread_mutex_unlock(&r->lock);
	text_add(t, "]");
}

int rooms_finish(struct rooms *r, int64_t deadline_ns)
{
	struct rooms_figures f;

	__atomic_store_n(&r->closed, true, __ATOMIC_SEQ_CST);
	for (rooms_figures(r, &f); f.told < f.accepted; rooms_figures(r, &f)) {
		if (pulse_now_ns() > deadline_ns)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return 0;
}
