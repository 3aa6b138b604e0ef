// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * wake.c - receivers sleep until there is a message, senders until there is
 * room. The protocols stand in box_inline.h and mailbox.h.
 */
#include "backend/backend.h"
#include "mailbox/mailbox.h"

/* A sender that waits looks by itself too, for the room is not told at once. */
#define PULSE__ROOM_NAP_NS	PULSE__NSEC_PER_MSEC
#define PULSE__ROOM_NAP_MAX_NS	(16 * PULSE__NSEC_PER_MSEC)

/* ---- receivers --------------------------------------------------------- */

void pulse__mailbox_wake_receivers(struct pulse_mailbox *mb, int nr)
{
	/* Noted before WAITED was set (A and B): differs now. */
	__atomic_fetch_add(&mb->seq, 1, __ATOMIC_RELEASE);
	pulse__futex_wake(&mb->seq, nr);
}

int pulse__mailbox_wake_nr(const struct pulse_mailbox *mb)
{
	return READ_ONCE(mb->choosy) ? INT_MAX : 1;
}

PULSE__COLD void pulse__mailbox_wake(struct pulse_mailbox *mb, int tags, int nr)
{
	pulse__add_relaxed(&mb->wakeups, 1);
	if (tags & (int)PULSE__BOX_WAITED) {
		if (mb->ctx)
			pulse_worker_wake(mb->ctx, &mb->worker, 1);
		else
			pulse__mailbox_wake_receivers(mb, nr);
	}
	if (tags & (int)PULSE__BOX_ARMED)
		mb->notify(mb, mb->notify_arg);
}

/* Somebody took WAITED away, and wakes this worker or has. */
static bool pulse__mailbox_called(void *arg)
{
	struct pulse_mailbox *mb = arg;

	return !(pulse__load_acquire(&mb->box.in) & PULSE__BOX_WAITED);
}

int pulse__mailbox_sleep(struct pulse_mailbox *mb, uint32_t seq,
			 int64_t deadline_ns)
{
	int err;

	if (!mb->ctx) {
		pulse__futex_wait(&mb->seq, seq, deadline_ns);
		return 0;
	}
	err = pulse_worker_park(mb->ctx, (int)mb->worker, deadline_ns,
				pulse__mailbox_called, mb);
	if (err == -ECANCELED) {
		pulse__ctx_lost_fd(mb->ctx);
		return 0;
	}
	return err == -EINTR || err == -ETIMEDOUT || err > 0 ? 0 : err;
}

/* ---- senders ----------------------------------------------------------- */

bool pulse__mailbox_full(const struct pulse_mailbox *mb)
{
	/* got first, as it never passes put. */
	uint64_t got = pulse__load_acquire(&mb->got);

	return READ_ONCE(mb->put) - got >= mb->capacity;
}

bool pulse__mailbox_room(struct pulse_mailbox *mb)
{
	uint64_t put = READ_ONCE(mb->put);

	for (;;) {
		/* Signed: got may have passed a put that is old. */
		if ((int64_t)(put - READ_ONCE(mb->got_seen)) >=
		    (int64_t)mb->capacity) {
			uint64_t got = pulse__load_acquire(&mb->got), now;

			if ((int64_t)(put - got) >= (int64_t)mb->capacity) {
				now = READ_ONCE(mb->put);
				if (now == put)
					return false;
				put = now;
				continue;
			}
			WRITE_ONCE(mb->got_seen, got);
		}
		if (likely(pulse__cas(&mb->put, &put, put + 1,
				      __ATOMIC_RELAXED, __ATOMIC_RELAXED)))
			return true;
	}
}

PULSE__COLD void pulse__mailbox_wake_senders(struct pulse_mailbox *mb)
{
	if (!__atomic_exchange_n(&mb->room_wait, 0, __ATOMIC_ACQ_REL))
		return;
	__atomic_fetch_add(&mb->room_seq, 1, __ATOMIC_RELEASE);
	pulse__futex_wake(&mb->room_seq, INT_MAX);
}

int pulse__mailbox_wait_room(struct pulse_mailbox *mb, int64_t deadline_ns)
{
	int64_t nap = PULSE__ROOM_NAP_NS;

	/* Nobody else would ever take something out. */
	if (READ_ONCE(mb->receiver) == pulse__mailbox_me() && !mb->notify)
		return -EDEADLK;
	for (;;) {
		/* Before all that is looked at: who changes it raises this. */
		uint32_t seq = pulse__load_acquire(&mb->room_seq);
		int64_t now, until;

		WRITE_ONCE(mb->room_wait, 1);
		/* E: pairs with D in pulse__mailbox_gave. spin: asym_wake */
		if (mb->light)
			pulse__asym_heavy(PULSE__ASYM_LOCAL);
		else
			pulse__full_barrier();
		if (pulse__box_closed(&mb->box))
			return -ESRCH;
		if (pulse__mailbox_room(mb))
			return 0;
		now = pulse_now_ns();
		if (deadline_ns != PULSE_FOREVER && now >= deadline_ns)
			return -ETIMEDOUT;
		pulse__add_relaxed(&mb->blocked, 1);
		until = now + nap;
		pulse__futex_wait(&mb->room_seq, seq,
				  until < deadline_ns ? until : deadline_ns);
		if (nap < PULSE__ROOM_NAP_MAX_NS)
			nap *= 2;
	}
}
