// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * queue_wait.c - sleeping and waking: receivers on rx_wait until there is an
 * element, senders on tx_wait until there is room.
 *
 *   who makes it true                 who waits
 *   -----------------                 ---------
 *   tail (or head) is moved           word |= SLEEP (or FD)
 *   light barrier          (A)        heavy barrier          (B)
 *   word != 0: take it to 0           looks at all lanes
 *   wake all, write the eventfd       nothing there: sleeps while word is as
 *                                     it was, or goes to its poll()
 *
 * A pairs with B (asym.h): not both miss. spin: asym_wake. Whether A is a light
 * one stands in the shared head, from format on; a process that was not
 * registered with membarrier uses a fence for A. One that cannot do B although
 * others have only light ones for A sleeps in short naps instead.
 *
 * The words are untrusted: a peer that scribbles over them causes needless
 * wake-ups, or lets this side sleep until its deadline.
 */
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lockfree/queue_int.h"

#define PULSE__NAP_NS	PULSE__NSEC_PER_MSEC	    /* without B */
#define PULSE__WATCH_NS	(100 * PULSE__NSEC_PER_MSEC) /* for deaths */

static void pulse__futex_wait(uint32_t *word, uint32_t seen, int64_t until_ns)
{
	struct timespec ts;

	pulse__ns_to_timespec(until_ns, &ts);
	/* Not PRIVATE: other processes wake us. The deadline is absolute. */
	syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen,
		until_ns == PULSE_FOREVER ? NULL : &ts, NULL,
		FUTEX_BITSET_MATCH_ANY);
}

/* Takes what this process can serve out of the word, and serves it. */
PULSE__COLD void pulse__queue_wake(struct pulse_queue *q, uint32_t *word)
{
	int fd = READ_ONCE(q->fd);
	uint32_t mine = PULSE__WAIT_SLEEP | (fd >= 0 ? PULSE__WAIT_FD : 0);
	uint32_t was = __atomic_fetch_and(word, ~mine, __ATOMIC_ACQ_REL) & mine;
	uint64_t one = 1;

	if (was & PULSE__WAIT_SLEEP)
		syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	/* Full (EAGAIN) is readable, which is all that is wanted. */
	if (was & PULSE__WAIT_FD && write(fd, &one, sizeof(one)) < 0 &&
	    errno != EAGAIN)
		pulse__warn_once("pulse_queue: cannot write the eventfd: %s",
				 pulse_strerror(-errno));
	if (was)
		pulse__add_relaxed(&q->signals, 1);
}

/* B. What the word is then; false: B cannot be done here. */
static bool pulse__queue_announce(struct pulse_queue *q, uint32_t *word,
				  uint32_t bit, uint32_t *seen)
{
	*seen = __atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) | bit;
	if (!q->asym) {
		pulse__full_barrier();
		return true;
	}
	if (!q->heavy)
		return false;
	pulse__asym_heavy(PULSE__ASYM_GLOBAL);
	return true;
}

/* Is there anything? 1, 0, -EPROTO. */
static int pulse__queue_any(struct pulse_queue_rx *rx)
{
	struct pulse_queue *q = rx->q;
	int err = 0;

	for (uint32_t i = 0; i < q->lanes; i++) {
		struct pulse__lane_rx *r = &rx->r[i];
		uint64_t head, ready;

		if (!q->claims) {
			int64_t n = pulse__lane_ready(r, 1);

			if (n > 0)
				return 1;
			err |= (int)n;
			continue;
		}
		/* Of many: head before tail, so that tail is not behind it. */
		head = pulse__load_acquire(&r->m.lane->head);
		ready = pulse__load_acquire(&r->m.lane->tail) - head;
		if (!ready)
			continue;
		if (ready <= q->mask + 1 ||
		    pulse__load_acquire(&r->m.lane->head) != head)
			return 1;
		err = -EPROTO;
	}
	return err;
}

int pulse_queue_wait(struct pulse_queue_rx *rx, int64_t deadline_ns)
{
	struct pulse_queue *q;
	int any;

	if (!rx)
		return -EINVAL;
	if (pulse__forked(rx->fork_gen))
		return -EOWNERDEAD;
	q = rx->q;
	for (;;) {
		int64_t until = deadline_ns;
		bool sure;
		uint32_t seen;

		any = pulse__queue_any(rx);
		if (any)
			break;
		sure = pulse__queue_announce(q, &q->shm->rx_wait,
					     PULSE__WAIT_SLEEP, &seen);
		any = pulse__queue_any(rx);
		if (any)
			break;
		if (deadline_ns != PULSE_FOREVER &&
		    pulse_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		if (!sure) {
			until = pulse_now_ns() + PULSE__NAP_NS;
			if (until > deadline_ns)
				until = deadline_ns;
		}
		pulse__futex_wait(&q->shm->rx_wait, seen, until);
	}
	return any < 0 ? pulse__queue_eproto(q) : 0;
}

static bool pulse__queue_receiver_died(struct pulse_queue *q)
{
	uint64_t owner = READ_ONCE(q->shm->receiver);

	return q->kind != PULSE_QUEUE_MPMC && owner && pulse__owner_dead(owner);
}

int pulse__queue_wait_room(struct pulse_queue_tx *tx)
{
	struct pulse_queue *q = tx->q;
	int64_t now = pulse_now_ns();
	int64_t deadline = q->block_ns ?
			   pulse__deadline_after(now, q->block_ns) :
			   PULSE_FOREVER;
	int64_t watch = now + PULSE__WATCH_NS;

	for (;;) {
		int64_t room = pulse__lane_look(&tx->t), until;
		uint32_t seen;
		bool sure;

		if (!room) {
			sure = pulse__queue_announce(q, &q->shm->tx_wait,
						     PULSE__WAIT_SLEEP, &seen);
			room = pulse__lane_look(&tx->t);
		}
		if (room)
			return room < 0 ? pulse__queue_eproto(q) : 0;
		now = pulse_now_ns();
		if (now >= deadline)
			return -ETIMEDOUT;
		if (now >= watch) {
			if (pulse__queue_receiver_died(q))
				return -EPIPE;
			watch = now + PULSE__WATCH_NS;
		}
		until = sure ? watch : now + PULSE__NAP_NS;
		pulse__futex_wait(&q->shm->tx_wait, seen,
				  until < deadline ? until : deadline);
	}
}

/* ---- the descriptor ---------------------------------------------------- */

static int pulse__queue_keep_fd(struct pulse_queue *q, int fd)
{
	int none = -1;

	if (fd < 0)
		return -errno;
	if (pulse__cas(&q->fd, &none, fd, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		return fd;
	close(fd);
	return -EEXIST;
}

int pulse_queue_fd(struct pulse_queue *q)
{
	int fd;

	if (!q)
		return -EINVAL;
	if (pulse__forked(q->fork_gen))
		return -EOWNERDEAD;
	fd = READ_ONCE(q->fd);
	if (fd >= 0)
		return fd;
	fd = pulse__queue_keep_fd(q, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	return fd == -EEXIST ? READ_ONCE(q->fd) : fd;
}

int pulse_queue_set_fd(struct pulse_queue *q, int fd)
{
	int err;

	if (!q || fd < 0)
		return -EINVAL;
	if (pulse__forked(q->fork_gen))
		return -EOWNERDEAD;
	if (READ_ONCE(q->fd) >= 0)
		return -EEXIST;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return errno == EBADF ? -EINVAL : -errno;
	err = pulse__queue_keep_fd(q, fd);
	return err < 0 ? err : 0;
}

int pulse_queue_arm(struct pulse_queue_rx *rx)
{
	struct pulse_queue *q;
	uint32_t seen;
	uint64_t count;
	int any, fd;

	if (!rx)
		return -EINVAL;
	if (pulse__forked(rx->fork_gen))
		return -EOWNERDEAD;
	q = rx->q;
	fd = READ_ONCE(q->fd);
	if (fd < 0)
		return -EINVAL;
	if (q->asym && !q->heavy)
		return -EOPNOTSUPP;
	/* The earlier signal, if there was one; EAGAIN: there was none. */
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -errno;
	any = pulse__queue_any(rx);
	if (!any) {
		pulse__queue_announce(q, &q->shm->rx_wait, PULSE__WAIT_FD,
				      &seen);
		any = pulse__queue_any(rx);
	}
	if (any < 0)
		return pulse__queue_eproto(q);
	return any ? -EAGAIN : 0;
}
