// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * beat.c - heartbeats: a word that the worker polls instead of a clock.
 *
 * The kernel backend has the module write KSTATE. For the user backend one
 * thread of this process plays the module: it is started with the first worker
 * that beats and ends a second after the last. It knows of a worker only what the worker
 * says of itself, that is whether it parks; a worker that is blocked or waits
 * for a CPU beats on.
 *
 * A worker that listens notes in UWORK.heard which beat it has heard. As long as
 * it has not heard the last one, the next ones would tell it nothing: they come
 * after 2, 4, then 8 periods, as from the module; and here, where it has not
 * heard the one before either, up to PULSE__BEAT_DEAF_NS. When it hears again it
 * says so (pulse__beat_soon).
 *
 * All that is here, and beat_* of the slots, is written under pulse__beats.lock.
 * Lock order: ctx->lock, then this one.
 */
#include <signal.h>

#include "backend/backend.h"

/* A thread of ours can do no better; the module's floor is the same. */
#define PULSE__BEAT_FLOOR_NS	100000ULL

/* How long the thread stays without a worker that beats: to start it costs. */
#define PULSE__BEAT_STAY_NS	1000000000ULL

/* How long at most nobody looks whether a worker that parks is back. */
#define PULSE__BEAT_IDLE_NS	10000000ULL
/* From one beat to the next of one that does not listen; and is content. */
#define PULSE__BEAT_DEAF_NS	10000000ULL
#define PULSE__BEAT_ENOUGH	8

static struct {
	pthread_mutex_t lock;
	struct pulse__slot *first;	/* those that beat, by beat_next */
	uint32_t turn;			/* futex: the list changed */
	bool running;			/* there is a thread */
} pulse__beats = { .lock = PTHREAD_MUTEX_INITIALIZER };

static pthread_once_t pulse__beats_once = PTHREAD_ONCE_INIT;
static int pulse__beats_err;

static void pulse__beats_fork(void)
{
	pthread_mutex_lock(&pulse__beats.lock);
}

static void pulse__beats_parent(void)
{
	pthread_mutex_unlock(&pulse__beats.lock);
}

/* Neither the thread nor the workers came along. */
static void pulse__beats_child(void)
{
	pulse__beats.first = NULL;
	pulse__beats.running = false;
	pthread_mutex_unlock(&pulse__beats.lock);
}

static void pulse__beats_init(void)
{
	pulse__beats_err = -pthread_atfork(pulse__beats_fork,
					   pulse__beats_parent,
					   pulse__beats_child);
}

/* Twice as long each time, so that who needs no beat costs little. */
static uint64_t pulse__beat_later(struct pulse__slot *slot, uint64_t now,
				  uint64_t most)
{
	uint64_t period = slot->beat_period_ns, idle;

	idle = slot->beat_idle_ns ? slot->beat_idle_ns * 2 : period;
	if (idle > most)
		idle = period > most ? period : most;
	WRITE_ONCE(slot->beat_idle_ns, idle);
	/* In step with the others: one thread wakes for all that are due. */
	slot->beat_due_ns = now - now % idle + idle;
	return slot->beat_due_ns;
}

/* One beat, if it is due; when to look again. */
static uint64_t pulse__beat_look(struct pulse__slot *slot, uint64_t now)
{
	struct pulse_kstate *ks = &slot->ctx->kstate[slot->index];
	uint64_t period = slot->beat_period_ns, late, behind = 0;

	if (now < slot->beat_due_ns)
		return slot->beat_due_ns;
	if (READ_ONCE(ks->state) != PULSE_STATE_RUNNING) {
		slot->beat_skip = 0;
		return pulse__beat_later(slot, now, PULSE__BEAT_IDLE_NS);
	}
	late = now - slot->beat_due_ns;
	WRITE_ONCE(ks->missed,
		   ks->missed + slot->beat_skip + late / period);
	if (slot->beat_listens)
		behind = ks->beats -
			 READ_ONCE(slot->ctx->uwork[slot->index].heard);
	WRITE_ONCE(ks->beats, ks->beats + 1);
	if (behind) {
		uint64_t due = pulse__beat_later(slot, now, behind > 1 ?
						 PULSE__BEAT_DEAF_NS :
						 PULSE__BEAT_ENOUGH * period);

		/* That beat ends the last one of these periods. */
		slot->beat_skip = (due - now - 1) / period;
		return due;
	}
	slot->beat_skip = 0;
	WRITE_ONCE(slot->beat_idle_ns, 0);
	slot->beat_due_ns += (late / period + 1) * period;
	return slot->beat_due_ns;
}

static void *pulse__beats_main(void *arg)
{
	uint64_t stay = 0;

	for (;;) {
		uint64_t now, next = PULSE_FOREVER;
		uint32_t turn;

		pthread_mutex_lock(&pulse__beats.lock);
		now = (uint64_t)pulse_now_ns();
		if (pulse__beats.first) {
			stay = 0;
		} else if (!stay) {
			stay = now + PULSE__BEAT_STAY_NS;
			next = stay;
		} else if (now < stay) {
			next = stay;
		} else {
			pulse__beats.running = false;
			pthread_mutex_unlock(&pulse__beats.lock);
			return arg;
		}
		for (struct pulse__slot *s = pulse__beats.first; s;
		     s = s->beat_next) {
			uint64_t when = pulse__beat_look(s, now);

			next = when < next ? when : next;
		}
		turn = READ_ONCE(pulse__beats.turn);
		pthread_mutex_unlock(&pulse__beats.lock);
		pulse__futex_wait(&pulse__beats.turn, turn, (int64_t)next);
	}
}

/* Under the lock. With all signals blocked: they are the program's. */
static int pulse__beats_start(void)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int err;

	if (pulse__alloc_fault())
		return -ENOMEM;
	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&thread, &attr, pulse__beats_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -err;
}

/* Under the lock; the thread looks anew. */
static void pulse__beats_changed(void)
{
	WRITE_ONCE(pulse__beats.turn, pulse__beats.turn + 1);
	pulse__futex_wake(&pulse__beats.turn, 1);
}

/* Under the lock. */
static void pulse__beat_unlink(struct pulse__slot *slot)
{
	struct pulse__slot **link = &pulse__beats.first;

	while (*link && *link != slot)
		link = &(*link)->beat_next;
	if (*link)
		*link = slot->beat_next;
	slot->beat_next = NULL;
	WRITE_ONCE(slot->beat_period_ns, 0);
}

void pulse__beat_end(struct pulse__slot *slot)
{
	/* Only the owner, or whoever found it dead, ever changes it. */
	if (!READ_ONCE(slot->beat_period_ns))
		return;
	pthread_mutex_lock(&pulse__beats.lock);
	pulse__beat_unlink(slot);
	if (!pulse__beats.first)
		pulse__beats_changed();
	pthread_mutex_unlock(&pulse__beats.lock);
}

int pulse__beat_begin(struct pulse__slot *slot, uint64_t period_ns,
		      bool listens)
{
	int err = 0;

	if (period_ns < PULSE__BEAT_FLOOR_NS || period_ns > PULSE_MAX_BEAT_NS)
		return -EINVAL;
	pthread_once(&pulse__beats_once, pulse__beats_init);
	if (pulse__beats_err)
		return pulse__beats_err;

	pthread_mutex_lock(&pulse__beats.lock);
	if (!pulse__beats.running)
		err = pulse__beats_start();
	if (!err) {
		pulse__beats.running = true;
		pulse__beat_unlink(slot);
		WRITE_ONCE(slot->beat_period_ns, period_ns);
		slot->beat_due_ns = (uint64_t)pulse_now_ns() + 2 * period_ns;
		slot->beat_due_ns -= slot->beat_due_ns % period_ns;
		slot->beat_skip = 0;
		WRITE_ONCE(slot->beat_idle_ns, 0);
		slot->beat_listens = listens;
		slot->beat_next = pulse__beats.first;
		pulse__beats.first = slot;
		pulse__beats_changed();
	}
	pthread_mutex_unlock(&pulse__beats.lock);
	return err;
}

void pulse__beat_soon(struct pulse__slot *slot)
{
	uint64_t due;

	/* Else another time: whoever forks is not to wait for the thread. */
	if (pthread_mutex_trylock(&pulse__beats.lock))
		return;
	due = (uint64_t)pulse_now_ns() + slot->beat_period_ns;
	if (slot->beat_period_ns && slot->beat_idle_ns) {
		WRITE_ONCE(slot->beat_idle_ns, 0);
		if (slot->beat_due_ns > due) {
			slot->beat_skip = 0;
			slot->beat_due_ns = due - due % slot->beat_period_ns;
			pulse__beats_changed();
		}
	}
	pthread_mutex_unlock(&pulse__beats.lock);
}

static int pulse__worker_beat(struct pulse_ctx *ctx, int index,
			      uint64_t period_ns, bool listens)
{
	struct pulse__slot *slot;
	int err;

	slot = pulse__own_slot(ctx, index, &err);
	if (!slot)
		return err;
	return ctx->ops->beat(ctx, slot, period_ns, listens);
}

int pulse_worker_beat(struct pulse_ctx *ctx, int index, uint64_t period_ns)
{
	return pulse__worker_beat(ctx, index, period_ns, false);
}

int pulse__worker_listen(struct pulse_ctx *ctx, int index, uint64_t period_ns)
{
	return pulse__worker_beat(ctx, index, period_ns, true);
}

const uint64_t *pulse_worker_beats(struct pulse_ctx *ctx, int index)
{
	if (pulse__ctx_check(ctx) || index < 0 ||
	    (uint32_t)index >= ctx->max_workers)
		return NULL;
	/* __u64 of the kernel's headers is another type than uint64_t. */
	return (const uint64_t *)(const void *)&ctx->kstate[index].beats;
}
