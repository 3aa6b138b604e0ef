// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * msg.c - buffers of messages that come in parts, and those a loop keeps.
 */
#include "ws/ws_int.h"

/* How often what lies there in vain is given back. */
#define LOOK_NS		(10 * PULSE__NSEC_PER_SEC)
/* Kept buffers that are looked at for one of the right size. */
#define TRIES		64

static void look_again(struct pulse__ws_loop *loop)
{
	loop->spare_unused = loop->spare_bytes;
	if (loop->spare_bytes > PULSE__WS_SPARE_MAX)
		pulse_poller_timer_arm(loop->poller, &loop->spare_timer,
				       pulse_poller_now(loop->poller) + LOOK_NS);
}

/* What nobody has needed since the last look is freed, that used longest ago first. */
void pulse__ws_spare_look(struct pulse_poller *poller,
			  struct pulse_poller_timer *timer)
{
	struct pulse__ws_loop *loop = container_of(timer, struct pulse__ws_loop,
						   spare_timer);
	size_t keep = loop->spare_bytes - loop->spare_unused, kept = 0;
	struct pulse__ws_msg **at = &loop->spare_msgs;

	(void)poller;
	if (keep < PULSE__WS_SPARE_MAX)
		keep = PULSE__WS_SPARE_MAX;
	while (*at) {
		struct pulse__ws_msg *msg = *at;

		if (kept + msg->room <= keep) {
			kept += msg->room;
			at = &msg->next;
		} else {
			*at = msg->next;
			pulse__free(msg);
		}
	}
	loop->spare_bytes = kept;
	look_again(loop);
}

void pulse__ws_msg_free(struct pulse__ws_loop *loop, struct pulse__ws_msg *msg)
{
	if (likely(!msg))
		return;
	if (msg->room < PULSE__WS_SPARE_MIN) {
		pulse__free(msg);
		return;
	}
	msg->next = loop->spare_msgs;
	loop->spare_msgs = msg;
	loop->spare_bytes += msg->room;
	if (unlikely(loop->spare_bytes > PULSE__WS_SPARE_MAX &&
		     !loop->spare_timer.link))
		look_again(loop);
}

/* A kept buffer that fits and is not far too large, or a new one. */
static struct pulse__ws_msg *msg_new(struct pulse__ws_loop *loop, uint64_t room)
{
	struct pulse__ws_msg **at, *msg;
	int tries = TRIES;

	for (at = &loop->spare_msgs;
	     room >= PULSE__WS_SPARE_MIN / 2 && *at && tries--; at = &(*at)->next) {
		msg = *at;
		if (msg->room < room || msg->room / 4 > room)
			continue;
		*at = msg->next;
		loop->spare_bytes -= msg->room;
		if (loop->spare_unused > loop->spare_bytes)
			loop->spare_unused = loop->spare_bytes;
		msg->len = 0;
		msg->skip = 0;
		return msg;
	}
	msg = room < SIZE_MAX / 2 ? pulse__malloc(sizeof(*msg) + room) : NULL;
	if (!msg)
		return NULL;
	msg->len = 0;
	msg->skip = 0;
	msg->room = room;
	return msg;
}

void pulse__ws_spare_free(struct pulse__ws_loop *loop)
{
	while (loop->spare_msgs) {
		struct pulse__ws_msg *msg = loop->spare_msgs;

		loop->spare_msgs = msg->next;
		pulse__free(msg);
	}
	loop->spare_bytes = 0;
}

bool pulse__ws_msg_grow(struct pulse__ws_loop *loop, struct pulse__ws_msg **msg,
			uint64_t more, bool last)
{
	struct pulse__ws_msg *m = *msg;
	uint64_t room;

	if (!m) {
		*msg = msg_new(loop, more);
		return *msg;
	}
	room = m->len + more;
	if (m->room >= room)
		return true;
	/* Of a message whose end is not in sight, more will come. */
	if (!last)
		room += room / 2;
	m = room < SIZE_MAX / 2 ? pulse__realloc(m, sizeof(*m) + room) : NULL;
	if (!m)
		return false;
	m->room = room;
	*msg = m;
	return true;
}
