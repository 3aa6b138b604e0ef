// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * run.c - handlers and asynchronous events, on the pool.
 *
 * Subscriptions with something to do stand in one list, and a few tasks of the
 * pool, the runners, take from it: no more of them than the pool has workers,
 * so a bus with ten thousand subscribers does not fill the pool's queues. A
 * subscription is in the list or with one runner, never both: its handler runs
 * in one thread at a time, and in order. After a batch it goes to the end.
 *
 * A runner counts as due until it begins, then as active. Where the pool is full
 * a timer tries again.
 */
#include <pulse-u/pool.h>

#include "backend/backend.h"
#include "bus/bus.h"

#define PULSE__BUS_RETRY_NS	PULSE__NSEC_PER_MSEC
#define PULSE__BUS_TURNS	32	/* batches before others have the worker */

__thread struct pulse__bus_frame *pulse__bus_inside
	__attribute__((tls_model("initial-exec")));

bool pulse__bus_is_inside(const struct pulse_bus *bus,
			  const struct pulse_bus_sub *sub)
{
	const struct pulse__bus_frame *f;

	for (f = pulse__bus_inside; f; f = f->prev) {
		if (f->bus == bus && (!sub || f->sub == sub))
			return true;
	}
	return false;
}

static void pulse__bus_runner(void *arg);

/* Under run_lock, which it lets go. Sees that there is a runner, if need be. */
static void pulse__bus_unlock_and_run(struct pulse_bus *bus)
{
	bool want = !pulse__list_empty(&bus->ready) &&
		    bus->active + bus->due < bus->max_runners;
	int err;

	if (want) {
		bus->due++;
		pulse__add_relaxed(&bus->refs, 1);
	}
	pthread_mutex_unlock(&bus->run_lock);
	if (!want)
		return;
	err = pulse_pool_submit(bus->pool, pulse__bus_runner, bus);
	if (likely(!err))
		return;
	pthread_mutex_lock(&bus->run_lock);
	bus->due--;
	/* Another one will come to it; without any the timer has to. */
	if (bus->timers && !(bus->active + bus->due))
		pulse_timer_service_arm(bus->timers, &bus->retry,
					pulse_now_ns() + PULSE__BUS_RETRY_NS, 0);
	pthread_mutex_unlock(&bus->run_lock);
	pulse__bus_put(bus);
}

void pulse__bus_retry(struct pulse_timer *timer, void *arg)
{
	struct pulse_bus *bus = arg;

	(void)timer;
	pthread_mutex_lock(&bus->run_lock);
	pulse__bus_unlock_and_run(bus);
}

void pulse__bus_schedule(struct pulse_bus *bus, struct pulse__list *subs)
{
	struct pulse__list *at;

	if (pulse__list_empty(subs))
		return;
	pthread_mutex_lock(&bus->run_lock);
	pulse__list_for_each(at, subs)
		container_of(at, struct pulse_bus_sub, ready)->queued = true;
	pulse__list_splice_tail(&bus->ready, subs);
	pulse__bus_unlock_and_run(bus);
}

/* Calls the handler for some; it is scheduled and in no list. */
static void pulse__bus_run_sub(struct pulse_bus *bus, struct pulse_bus_sub *sub)
{
	struct pulse__bus_frame frame = { bus, sub, pulse__bus_inside };
	struct pulse_bus_event *batch[PULSE__BUS_BATCH];
	struct pulse__list again;
	bool more, over, folded;
	uint32_t nr, done = 0;

	pthread_mutex_lock(&sub->lock);
	sub->running = true;
	nr = pulse__sub_take(sub, batch, PULSE__BUS_BATCH);
	pulse__sub_wake(sub);
	pthread_mutex_unlock(&sub->lock);

	pulse__bus_inside = &frame;
	for (uint32_t i = 0; i < nr; i++) {
		if (likely(READ_ONCE(sub->state) != PULSE__SUB_GONE)) {
			sub->handler(batch[i], sub->arg);
			done++;
		}
		pulse_bus_event_put(batch[i]);
	}
	pulse__bus_inside = frame.prev;

	pthread_mutex_lock(&sub->lock);
	sub->running = false;
	folded = sub->folded;
	sub->consumed += done;
	sub->dropped += nr - done;
	more = sub->nr && sub->state != PULSE__SUB_GONE;
	sub->scheduled = more;
	over = pulse__sub_over(sub);
	pulse__sub_wake(sub);
	pthread_mutex_unlock(&sub->lock);
	if (unlikely(folded)) {
		pthread_mutex_lock(&bus->lock);
		bus->gone.consumed += done;
		bus->gone.dropped += nr - done;
		pthread_mutex_unlock(&bus->lock);
	}
	if (over)
		sub->on_end(sub->arg);
	if (!more) {
		pulse__sub_put(sub);
		return;
	}
	pulse__list_init(&again);
	pulse__list_add_tail(&again, &sub->ready);
	pulse__bus_schedule(bus, &again);
}

/* Publishes some of what was to be published asynchronously. */
static void pulse__bus_run_async(struct pulse_bus *bus)
{
	struct pulse_bus_event *batch[PULSE__BUS_BATCH];
	uint32_t nr = 0;

	pthread_mutex_lock(&bus->run_lock);
	while (nr < PULSE__BUS_BATCH && bus->async_nr) {
		batch[nr++] = bus->async[bus->async_head++ &
					 (bus->async_room - 1)];
		bus->async_nr--;
	}
	pthread_mutex_unlock(&bus->run_lock);
	for (uint32_t i = 0; i < nr; i++) {
		/* What is accepted is published, though the bus is closed. */
		if (pulse__publish(bus, batch[i], PULSE__BUS_OWN_TIME) < 0)
			pulse__add_relaxed(&bus->async_lost, 1);
		pulse_bus_event_put(batch[i]);
		pulse__publish_leave(bus);
	}
	pthread_mutex_lock(&bus->run_lock);
	bus->async_scheduled = bus->async_nr != 0;
	if (bus->async_scheduled)
		pulse__list_add_tail(&bus->ready, &bus->async_ready);
	pulse__bus_unlock_and_run(bus);
}

/* One from the list, under run_lock, which it lets go meanwhile. False: empty. */
static bool pulse__bus_run_one(struct pulse_bus *bus)
{
	struct pulse__list *at = pulse__list_pop(&bus->ready);
	struct pulse_bus_sub *sub;

	if (!at)
		return false;
	if (at == &bus->async_ready) {
		pthread_mutex_unlock(&bus->run_lock);
		pulse__bus_run_async(bus);
	} else {
		sub = container_of(at, struct pulse_bus_sub, ready);
		sub->queued = false;
		pthread_mutex_unlock(&bus->run_lock);
		pulse__bus_run_sub(bus, sub);
	}
	pthread_mutex_lock(&bus->run_lock);
	return true;
}

static void pulse__bus_idle(struct pulse_bus *bus)
{
	if (--bus->active)
		return;
	__atomic_fetch_add(&bus->idle_seq, 1, __ATOMIC_RELEASE);
	pulse__futex_wake(&bus->idle_seq, INT_MAX);
}

static void pulse__bus_runner(void *arg)
{
	struct pulse_bus *bus = arg;
	int turns = 0;

	pthread_mutex_lock(&bus->run_lock);
	bus->due--;
	bus->active++;
	/* More to do than one can take at once? */
	pulse__bus_unlock_and_run(bus);
	pthread_mutex_lock(&bus->run_lock);
	while (turns++ < PULSE__BUS_TURNS && pulse__bus_run_one(bus))
		;
	pulse__bus_idle(bus);
	pulse__bus_unlock_and_run(bus);
	pulse__bus_put(bus);
}

bool pulse__bus_help(struct pulse_bus *bus, struct pulse_bus_sub *sub)
{
	bool mine;

	pthread_mutex_lock(&bus->run_lock);
	mine = sub->queued;
	if (mine) {
		sub->queued = false;
		pulse__list_del(&sub->ready);
	}
	pthread_mutex_unlock(&bus->run_lock);
	if (mine)
		pulse__bus_run_sub(bus, sub);
	return mine;
}

void pulse__bus_help_async(struct pulse_bus *bus)
{
	bool mine;

	pthread_mutex_lock(&bus->run_lock);
	mine = !pulse__list_empty(&bus->async_ready);
	pulse__list_del(&bus->async_ready);
	pthread_mutex_unlock(&bus->run_lock);
	if (mine)
		pulse__bus_run_async(bus);
}

void pulse__bus_run_out(struct pulse_bus *bus)
{
	uint32_t seq;

	pthread_mutex_lock(&bus->run_lock);
	for (;;) {
		while (pulse__bus_run_one(bus))
			;
		if (!bus->active)
			break;
		seq = READ_ONCE(bus->idle_seq);
		pthread_mutex_unlock(&bus->run_lock);
		pulse__futex_wait(&bus->idle_seq, seq, PULSE_FOREVER);
		pthread_mutex_lock(&bus->run_lock);
	}
	pthread_mutex_unlock(&bus->run_lock);
}

int pulse__bus_need_pool(struct pulse_bus *bus)
{
	int err = 0;

	/* pairs with the release below */
	if (__atomic_load_n(&bus->max_runners, __ATOMIC_ACQUIRE))
		return 0;
	pthread_mutex_lock(&bus->lock);
	if (!bus->pool) {
		PULSE_OPTS(pulse_pool_opts, o, .name = "pulse-bus",
			   .num_workers = bus->num_workers);

		err = pulse_pool_create(&o, &bus->pool);
		bus->own_pool = !err;
	}
	if (!err && !bus->async) {
		bus->async = pulse__calloc(bus->async_room,
					   sizeof(bus->async[0]));
		err = bus->async ? 0 : -ENOMEM;
	}
	if (!err) {
		int workers = pulse_pool_num_workers(bus->pool);

		__atomic_store_n(&bus->max_runners,
				 workers > 0 ? (uint32_t)workers : 1,
				 __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&bus->lock);
	return err;
}

int pulse__bus_async(struct pulse_bus *bus, struct pulse_bus_event *ev)
{
	pthread_mutex_lock(&bus->run_lock);
	if (bus->async_nr == bus->async_size) {
		pthread_mutex_unlock(&bus->run_lock);
		return -EAGAIN;
	}
	/* Counted as a publisher until it is published: see _run_async. */
	__atomic_fetch_add(&bus->publishing, 1, __ATOMIC_SEQ_CST);
	bus->async[(bus->async_head + bus->async_nr++) &
		   (bus->async_room - 1)] = pulse_bus_event_get(ev);
	if (!bus->async_scheduled) {
		bus->async_scheduled = true;
		pulse__list_add_tail(&bus->ready, &bus->async_ready);
	}
	pulse__bus_unlock_and_run(bus);
	return 0;
}
