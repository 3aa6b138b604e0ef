// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * shmbox_wait.c - sleeping and waking between processes. The protocol stands in
 * shmbox.h.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "backend/backend.h"
#include "lockfree/queue_int.h"
#include "mailbox/shmbox.h"

/* Is there a bell to be answered? Contains barrier A. */
static bool pulse__bell_taken(uint32_t *bell)
{
	/* A: pairs with B. spin: asym_wake */
	pulse__full_barrier();
	return READ_ONCE(*bell) &&
	       __atomic_exchange_n(bell, 0, __ATOMIC_ACQ_REL);
}

static void pulse__bell_wake(uint32_t *bell)
{
	/* Not PRIVATE: other processes sleep on it. */
	syscall(SYS_futex, bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void pulse__bell_sleep(uint32_t *bell, int64_t until_ns)
{
	struct timespec ts;

	pulse__ns_to_timespec(until_ns, &ts);
	syscall(SYS_futex, bell, FUTEX_WAIT_BITSET, 1, &ts, NULL,
		FUTEX_BITSET_MATCH_ANY);
}

static int64_t pulse__nap_until(int64_t nap_ns, int64_t deadline_ns)
{
	int64_t until = pulse_now_ns() + nap_ns;

	return until < deadline_ns ? until : deadline_ns;
}

void pulse__shmbox_ring(struct pulse_shmbox *mb)
{
	uint32_t worker;

	if (likely(!pulse__bell_taken(&mb->shm->bell)))
		return;
	if (!mb->ctx) {
		pulse__bell_wake(&mb->shm->bell);
		return;
	}
	/* Whatever stands there: the context says who is a worker of its. */
	worker = (uint32_t)READ_ONCE(mb->shm->worker);
	pulse_worker_wake(mb->ctx, &worker, 1);
}

void pulse__shmbox_ring_room(struct pulse_shmbox *mb)
{
	if (mb->overflow == PULSE_MAILBOX_BLOCK && !mb->ctx &&
	    pulse__bell_taken(&mb->shm->room_bell))
		pulse__bell_wake(&mb->shm->room_bell);
}

/* Somebody rang, closed it, or sent without ringing, as it died. */
static bool pulse__shmbox_called(void *arg)
{
	struct pulse_shmbox *mb = arg;

	return !READ_ONCE(mb->shm->bell) || pulse__shmbox_closed(mb) ||
	       pulse_shmbox_count(mb);
}

int pulse__shmbox_sleep(struct pulse_shmbox_rx *rx, int64_t deadline_ns)
{
	struct pulse_shmbox *mb = rx->mb;
	int64_t until = pulse__nap_until(PULSE__SHMBOX_NAP_NS, deadline_ns);
	int err;

	__atomic_store_n(&mb->shm->bell, 1, __ATOMIC_SEQ_CST);
	/* B: pairs with A in pulse__bell_taken. spin: asym_wake */
	pulse__full_barrier();
	if (pulse__shmbox_called(mb))
		return 0;
	if (rx->worker < 0) {
		if (mb->ctx)
			/* No futexes, and no worker: looks now and then. */
			clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec)
					{ .tv_nsec = PULSE__SHMBOX_POLL_NS },
					NULL);
		else
			pulse__bell_sleep(&mb->shm->bell, until);
		return 0;
	}
	err = pulse_worker_park(mb->ctx, rx->worker, until,
				pulse__shmbox_called, mb);
	return err == -EINTR || err == -ETIMEDOUT || err > 0 ? 0 : err;
}

void pulse__shmbox_want_room(struct pulse_shmbox *mb)
{
	__atomic_store_n(&mb->shm->room_bell, 1, __ATOMIC_SEQ_CST);
	/* B: pairs with A in pulse__bell_taken. spin: asym_wake */
	pulse__full_barrier();
}

void pulse__shmbox_sleep_for_room(struct pulse_shmbox *mb, int64_t deadline_ns)
{
	struct timespec ts;

	if (!mb->ctx) {
		pulse__bell_sleep(&mb->shm->room_bell,
				  pulse__nap_until(PULSE__SHMBOX_NAP_NS,
						   deadline_ns));
		return;
	}
	pulse__ns_to_timespec(pulse__nap_until(PULSE__SHMBOX_POLL_NS,
					       deadline_ns), &ts);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

bool pulse__shmbox_orphaned(const struct pulse_shmbox *mb)
{
	uint64_t owner = READ_ONCE(mb->queue[0]->shm->receiver);

	return owner && pulse__owner_dead(owner);
}
