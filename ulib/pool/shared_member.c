// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * shared_member.c - processes of a shared pool come and go.
 *
 * Each process that has workers has a keeper, a thread that sleeps in poll() on
 * the pidfds of all others: an idle pool costs nothing, and a death is seen at
 * once, by each of them. All of them then do the same, and none needs the
 * others to finish: strike the dead from the table, take their places back.
 *
 * Who comes draws a ticket, enters the table, raises gen and wakes all workers
 * before it touches a place; a worker that sees a gen its keeper does not know
 * rings the keeper's bell. Where all workers of a process are busy meanwhile,
 * it learns of the newcomer, and of its death, when one of them is done.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/thread.h"
#include "lockfree/queue_int.h"
#include "pool/shared.h"

#define PULSE__KEEPER_RETRY_MS	100	/* there was no descriptor to be had */

struct pulse__watched {
	uint64_t who;
	int fd;			/* pidfd, or -1 */
};

static uint64_t pulse__who(const struct pulse_shared_pool *pool, uint32_t m)
{
	return __atomic_load_n(&pool->shm->member[m].who, __ATOMIC_SEQ_CST);
}

/* As pulse__owner_pidfd(). */
static int pulse__member_pidfd(const struct pulse_shared_pool *pool, uint32_t m,
			       uint64_t who)
{
	uint64_t start = __atomic_load_n(&pool->shm->member[m].start,
					 __ATOMIC_SEQ_CST);
	uint64_t owner = (uint64_t)PULSE__WHO_PID(who) << 32;

	if (PULSE__WHO_TICKET(start) == PULSE__WHO_TICKET(who))
		owner |= start >> 32;
	return pulse__owner_pidfd(owner);
}

/* True: it was this call that struck it from the table. */
static bool pulse__member_strike(struct pulse_shared_pool *pool, uint32_t m,
				 uint64_t who)
{
	return pulse__cas(&pool->shm->member[m].who, &who, 0, __ATOMIC_SEQ_CST,
			  __ATOMIC_RELAXED);
}

static bool pulse__pidfd_ended(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

/* ---- coming and going ------------------------------------------------------ */

/* A free entry, or -ENOSPC. */
static int pulse__member_enter(struct pulse_shared_pool *pool)
{
	uint64_t self = pulse__owner_self();

	pool->ticket = 0;
	while (!pool->ticket)
		pool->ticket = __atomic_add_fetch(&pool->shm->tickets, 1,
						  __ATOMIC_SEQ_CST);
	for (uint32_t m = 0; m < PULSE_SHARED_PROCESSES_MAX; m++) {
		struct pulse__smember *member = &pool->shm->member[m];
		uint32_t top = __atomic_load_n(&pool->shm->top, __ATOMIC_SEQ_CST);
		uint64_t nobody = 0;

		/* First, so that nobody overlooks the entry. */
		while (top < m + 1 &&
		       !pulse__cas(&pool->shm->top, &top, m + 1,
				   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
		if (!pulse__cas(&member->who, &nobody,
				PULSE__WHO(self >> 32, pool->ticket),
				__ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			continue;
		__atomic_store_n(&member->start, self << 32 | pool->ticket,
				 __ATOMIC_SEQ_CST);
		__atomic_store_n(&member->sleepers, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&member->waiters, 0, __ATOMIC_SEQ_CST);
		pool->me = member;
		return 0;
	}
	return -ENOSPC;
}

int pulse__shared_join(struct pulse_shared_pool *pool)
{
	/* Once without, once with the room that the dead leave. */
	int err = pulse__member_enter(pool);
	uint32_t top = pulse__shared_top(pool);

	for (uint32_t m = 0; m < top; m++) {
		uint64_t who = pulse__who(pool, m);
		int fd;

		if (!who || &pool->shm->member[m] == pool->me)
			continue;
		fd = pulse__member_pidfd(pool, m, who);
		if (fd == -ESRCH || (fd >= 0 && pulse__pidfd_ended(fd)))
			pulse__member_strike(pool, m, who);
		if (fd >= 0)
			close(fd);
	}
	if (err)
		err = pulse__member_enter(pool);
	if (err)
		return err;
	__atomic_fetch_add(&pool->shm->gen, 1, __ATOMIC_SEQ_CST);
	/* Also wakes all, who see the new gen. */
	pulse__shared_bury(pool);
	return 0;
}

void pulse__shared_leave(struct pulse_shared_pool *pool)
{
	if (!pool->me)
		return;
	pulse__member_strike(pool, (uint32_t)(pool->me - pool->shm->member),
			     PULSE__WHO(getpid(), pool->ticket));
	pool->me = NULL;
}

bool pulse__shared_news(struct pulse_shared_pool *pool)
{
	uint32_t gen = __atomic_load_n(&pool->shm->gen, __ATOMIC_SEQ_CST);

	if (likely(gen == __atomic_load_n(&pool->seen_gen, __ATOMIC_SEQ_CST)))
		return false;
	eventfd_write(pool->bell, 1);
	return true;
}

/* ---- the keeper -------------------------------------------------------------- */

/* True: somebody is dead, and struck. */
static bool pulse__keeper_look(struct pulse_shared_pool *pool,
			       struct pulse__watched *watched, int *timeout_ms)
{
	uint32_t top;
	bool dead = false;

	*timeout_ms = -1;
	/* Before the look: who comes after it is news. */
	__atomic_store_n(&pool->seen_gen,
			 __atomic_load_n(&pool->shm->gen, __ATOMIC_SEQ_CST),
			 __ATOMIC_SEQ_CST);
	top = pulse__shared_top(pool);
	for (uint32_t m = 0; m < top; m++) {
		struct pulse__watched *w = &watched[m];
		uint64_t who = pulse__who(pool, m);

		if (w->who == who && (w->fd >= 0 || !who))
			continue;
		if (w->fd >= 0) {
			/* Struck by another, who may never come to the rest. */
			dead |= pulse__pidfd_ended(w->fd);
			close(w->fd);
		}
		*w = (struct pulse__watched){ .who = who, .fd = -1 };
		if (!who || &pool->shm->member[m] == pool->me)
			continue;
		w->fd = pulse__member_pidfd(pool, m, who);
		if (w->fd >= 0)
			continue;
		if (w->fd == -ESRCH) {
			dead |= pulse__member_strike(pool, m, who);
			w->who = 0;
		} else {
			pulse__warn_once("shared pool %s: process %u cannot be watched: %s",
					 pool->name, PULSE__WHO_PID(who),
					 pulse_strerror(w->fd));
			*timeout_ms = PULSE__KEEPER_RETRY_MS;
		}
		w->fd = -1;
	}
	return dead;
}

/* True: somebody is dead, and struck. */
static bool pulse__keeper_sleep(struct pulse_shared_pool *pool,
				struct pulse__watched *watched, int timeout_ms)
{
	struct pollfd fds[PULSE_SHARED_PROCESSES_MAX + 1];
	bool dead = false;
	eventfd_t rung;

	for (uint32_t m = 0; m < PULSE_SHARED_PROCESSES_MAX; m++)
		fds[m] = (struct pollfd){ .fd = watched[m].fd, .events = POLLIN };
	fds[PULSE_SHARED_PROCESSES_MAX] =
		(struct pollfd){ .fd = pool->bell, .events = POLLIN };
	if (poll(fds, ARRAY_SIZE(fds), timeout_ms) <= 0)
		return false;
	if (fds[PULSE_SHARED_PROCESSES_MAX].revents)
		eventfd_read(pool->bell, &rung);
	for (uint32_t m = 0; m < PULSE_SHARED_PROCESSES_MAX; m++) {
		struct pulse__watched *w = &watched[m];

		if (!(fds[m].revents & POLLIN))
			continue;
		/* Who else strikes it may die, or be stopped, before it goes on. */
		pulse__member_strike(pool, m, w->who);
		dead = true;
		close(w->fd);
		*w = (struct pulse__watched){ .fd = -1 };
	}
	return dead;
}

static void *pulse__keeper_main(void *arg)
{
	struct pulse__watched watched[PULSE_SHARED_PROCESSES_MAX];
	struct pulse_shared_pool *pool = arg;
	int timeout_ms;

	for (size_t m = 0; m < ARRAY_SIZE(watched); m++)
		watched[m] = (struct pulse__watched){ .fd = -1 };
	while (!__atomic_load_n(&pool->stop, __ATOMIC_SEQ_CST)) {
		bool dead = pulse__keeper_look(pool, watched, &timeout_ms);

		dead |= !dead && pulse__keeper_sleep(pool, watched, timeout_ms);
		if (dead)
			pulse__shared_bury(pool);
	}
	for (size_t m = 0; m < ARRAY_SIZE(watched); m++) {
		if (watched[m].fd >= 0)
			close(watched[m].fd);
	}
	return NULL;
}

int pulse__shared_keeper_start(struct pulse_shared_pool *pool)
{
	int err;

	if (pulse__alloc_fault())
		return -ENOMEM;
	pool->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->bell < 0)
		return -errno;
	err = pulse__thread_create(&pool->keeper, pulse__keeper_main, pool);
	pool->has_keeper = !err;
	return err;
}

void pulse__shared_keeper_stop(struct pulse_shared_pool *pool)
{
	if (!pool->has_keeper)
		return;
	eventfd_write(pool->bell, 1);
	pthread_join(pool->keeper, NULL);
	pool->has_keeper = false;
}
