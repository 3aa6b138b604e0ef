// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * shm_loop.c - how a loop notices what is in shared memory: it looks before it
 * waits, spins for a while if there is nothing, and then lets itself be woken.
 *
 * How long it spins is learned: a spin that found something raises it to all
 * that is allowed, one that did not halves it. After a number of rounds, however
 * much there is to do, the loop gets its turn: sockets, posted functions, timers.
 */
#include "io/shm.h"

#define ROUNDS_A_TURN	64

static void nothing(struct pulse_poller *poller, struct pulse_poller_task *task)
{
	(void)poller;
	container_of(task, struct pulse__shm_loop, task)->posted = false;
}

static void do_not_sleep(struct pulse__shm_loop *loop)
{
	if (!loop->posted && !pulse_poller_post_task(loop->poller, &loop->task))
		loop->posted = true;
}

/* Serves each once; were there any with something to tell? */
static bool serve_all(struct pulse__shm_loop *loop)
{
	struct pulse__list round = PULSE__LIST_INIT(round);
	bool any = false;

	pulse__list_splice_tail(&round, &loop->awake);
	while (!pulse__list_empty(&round)) {
		struct pulse__shm *shm = pulse__list_first_entry(&round,
						struct pulse__shm, link);
		uint32_t events = pulse__shm_ready(shm);

		pulse__list_del(&shm->link);
		pulse__list_add_tail(&loop->awake, &shm->link);
		if (!events)
			continue;
		any = true;
		pulse__shm_tell(shm, events);
	}
	return any;
}

static bool any_ready(struct pulse__shm_loop *loop)
{
	struct pulse__shm *shm;

	pulse__list_for_each_entry(shm, &loop->awake, link)
		if (pulse__shm_ready(shm))
			return true;
	return false;
}

static bool wanted_elsewhere(const struct pulse__shm_loop *loop)
{
	return READ_ONCE(loop->poller->posted) || READ_ONCE(loop->poller->stop);
}

static bool spin(struct pulse__shm_loop *loop)
{
	int64_t end = 0;

	if (!loop->now_ns)
		return false;
	for (unsigned int i = 0; !wanted_elsewhere(loop); i++) {
		if (any_ready(loop)) {
			loop->now_ns = loop->max_ns;
			return true;
		}
		cpu_relax();
		if (i % 16)
			continue;
		if (!end)
			end = pulse_now_ns() + loop->now_ns;
		else if (pulse_now_ns() > end)
			break;
	}
	loop->now_ns = loop->now_ns / 2 > loop->max_ns / 16 ?
		       loop->now_ns / 2 : loop->max_ns / 16;
	return false;
}

/* From now on the peers ring, unless one of them was quicker. */
static void fall_asleep(struct pulse__shm_loop *loop)
{
	struct pulse__shm *shm;

	pulse__list_for_each_entry(shm, &loop->awake, link) {
		if (shm->watched & PULSE_TRANSPORT_READ)
			WRITE_ONCE(shm->rx->asleep, 1);	/* (E) */
		if (shm->watched & PULSE_TRANSPORT_WRITE)
			WRITE_ONCE(shm->tx->waits, 1);
	}
	/* pairs with the barriers of pulse__shm_send() and _recv() */
	pulse__full_barrier();
	if (any_ready(loop))
		return;
	while (!pulse__list_empty(&loop->awake))
		pulse__list_init(pulse__list_pop(&loop->awake));
}

static void before_wait(struct pulse_poller *poller,
			struct pulse_poller_hook *hook)
{
	struct pulse__shm_loop *loop = container_of(hook, struct pulse__shm_loop,
						    hook);
	bool served = false;

	(void)poller;
	/* Each round counts: a peer whose words flicker must not hold the loop. */
	for (int i = 0; i < ROUNDS_A_TURN && !wanted_elsewhere(loop) &&
	     !pulse__list_empty(&loop->awake); i++) {
		if (serve_all(loop))
			served = true;
		else if (!spin(loop) && !wanted_elsewhere(loop))
			fall_asleep(loop);
	}
	/* Who runs one turn is told of what was done in it: no wait after work. */
	if (served || !pulse__list_empty(&loop->awake))
		do_not_sleep(loop);
}

static void loop_goes(struct pulse__poller_end *end)
{
	struct pulse__shm_loop *loop = container_of(end, struct pulse__shm_loop,
						    end);

	pulse_poller_hook_del(loop->poller, &loop->hook);
	loop->poller->shm = NULL;
	pulse__free(loop);
}

struct pulse__shm_loop *pulse__shm_loop_get(struct pulse_poller *poller,
					    int spin_us)
{
	struct pulse__shm_loop *loop = poller->shm;
	int64_t ns = spin_us < 0 ? 0 : (spin_us ? spin_us : 50) *
		     PULSE__NSEC_PER_USEC;

	if (!loop) {
		loop = pulse__calloc(1, sizeof(*loop));
		if (!loop)
			return NULL;
		loop->poller = poller;
		loop->hook.fn = before_wait;
		loop->task.fn = nothing;
		pulse__list_init(&loop->awake);
		pulse_poller_hook_add(poller, &loop->hook);
		pulse__poller_end_add(poller, &loop->end, loop_goes);
		poller->shm = loop;
	}
	if (ns > loop->max_ns)
		loop->max_ns = loop->now_ns = ns;
	return loop;
}

void pulse__shm_wake(struct pulse__shm *shm)
{
	pulse__list_del(&shm->link);
	pulse__list_add_tail(&shm->loop->awake, &shm->link);
}

void pulse__shm_idle(struct pulse__shm *shm)
{
	pulse__list_del(&shm->link);
	pulse__list_init(&shm->link);
}
