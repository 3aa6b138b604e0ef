// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * publish.c - from a publisher into the queues of all who subscribed.
 */
#include "backend/backend.h"
#include "base/usdt.h"
#include "bus/bus.h"

/* Who waits for room looks by itself so often. */
#define PULSE__ROOM_NAP_NS	PULSE__NSEC_PER_MSEC

/* One event on its way. */
struct pulse__way {
	struct pulse_bus *bus;
	struct pulse_bus_event *ev;
	int64_t deadline_ns;		/* or PULSE__BUS_OWN_TIME */
	struct pulse__list ready;	/* subscriptions that are to run */
};

int pulse__bus_check(const struct pulse_bus *bus)
{
	if (unlikely(!bus))
		return -EINVAL;
	pulse__obj_check(bus, PULSE__BUS_MAGIC, "struct pulse_bus");
	return pulse__forked(bus->fork_gen) ? -EOWNERDEAD : 0;
}

/* Nobody is inside any more: receivers may be told. See the head of bus.h. */
static PULSE__COLD void pulse__bus_end(struct pulse_bus *bus)
{
	uint32_t closing = PULSE__BUS_CLOSING;
	struct pulse_bus_sub *sub;

	if (!pulse__cas(&bus->state, &closing, PULSE__BUS_ENDED,
			__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	pthread_mutex_lock(&bus->lock);
	pulse__list_for_each_entry(sub, &bus->subs, all) {
		pthread_mutex_lock(&sub->lock);
		if (sub->state == PULSE__SUB_LIVE)
			WRITE_ONCE(sub->state, PULSE__SUB_ENDED);
		pulse__sub_wake(sub);
		pthread_mutex_unlock(&sub->lock);
	}
	pthread_mutex_unlock(&bus->lock);
	pulse__futex_wake(&bus->state, INT_MAX);
}

int pulse__publish_enter(struct pulse_bus *bus)
{
	__atomic_fetch_add(&bus->publishing, 1, __ATOMIC_SEQ_CST);
	if (likely(__atomic_load_n(&bus->state, __ATOMIC_SEQ_CST) ==
		   PULSE__BUS_OPEN))
		return 0;
	pulse__publish_leave(bus);
	return -ESHUTDOWN;
}

void pulse__publish_leave(struct pulse_bus *bus)
{
	if (__atomic_fetch_sub(&bus->publishing, 1, __ATOMIC_SEQ_CST) == 1 &&
	    unlikely(__atomic_load_n(&bus->state, __ATOMIC_SEQ_CST) ==
		     PULSE__BUS_CLOSING))
		pulse__bus_end(bus);
}

/* Who waits for room in a queue looks again. */
static void pulse__bus_nudge(struct pulse_bus *bus)
{
	struct pulse_bus_sub *sub;

	pthread_mutex_lock(&bus->lock);
	pulse__list_for_each_entry(sub, &bus->subs, all) {
		pthread_mutex_lock(&sub->lock);
		pulse__sub_wake(sub);
		pthread_mutex_unlock(&sub->lock);
	}
	pthread_mutex_unlock(&bus->lock);
}

int pulse_bus_close(struct pulse_bus *bus)
{
	uint32_t state = PULSE__BUS_OPEN;
	int err = pulse__bus_check(bus);

	if (err)
		return err;
	if (pulse__cas(&bus->state, &state, PULSE__BUS_CLOSING,
		       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		pulse__bus_nudge(bus);
	if (!__atomic_load_n(&bus->publishing, __ATOMIC_SEQ_CST))
		pulse__bus_end(bus);
	/* A handler may be inside of a publisher that it would wait for. */
	if (pulse__bus_is_inside(bus, NULL))
		return 0;
	/* Perhaps on the only worker of the pool: so it lends a hand. */
	while (__atomic_load_n(&bus->state, __ATOMIC_SEQ_CST) ==
	       PULSE__BUS_CLOSING) {
		pulse__bus_help_async(bus);
		pulse__futex_wait(&bus->state, PULSE__BUS_CLOSING,
				  pulse_now_ns() + PULSE__NSEC_PER_MSEC);
	}
	return 0;
}

/* Room in the array for one more? */
static bool pulse__sub_grow(struct pulse_bus_sub *sub)
{
	uint32_t room = sub->room * 2;
	struct pulse_bus_event **slot;

	if (sub->nr < sub->room)
		return true;
	slot = pulse__malloc(room * sizeof(*slot));
	if (!slot)
		return false;
	for (uint32_t i = 0; i < sub->nr; i++)
		slot[i] = sub->slot[(sub->head + i) & (sub->room - 1)];
	pulse__free(sub->slot);
	sub->slot = slot;
	sub->room = room;
	sub->head = 0;
	return true;
}

static bool pulse__sub_has_room(struct pulse_bus_sub *sub)
{
	return sub->nr < sub->limit && pulse__sub_grow(sub);
}

/*
 * Until there is room, under the subscription's lock, which is let go
 * meanwhile. False: given up, or it is not live any more.
 */
static bool pulse__way_wait(struct pulse__way *way, struct pulse_bus_sub *sub)
{
	struct pulse_bus *bus = way->bus;
	int64_t until = way->deadline_ns, nap;

	/* Nobody but this very thread could make room. */
	if (pulse__bus_is_inside(bus, sub))
		return false;
	if (until == PULSE__BUS_OWN_TIME)
		until = pulse__deadline_after(pulse_now_ns(), sub->block_ns ?
					      sub->block_ns :
					      bus->publish_timeout_ns);
	do {
		bool helped = false;

		pthread_mutex_unlock(&sub->lock);
		/* Those that wait for this thread first, lest it sleeps on them. */
		pulse__bus_schedule(bus, &way->ready);
		if (pulse__bus_is_inside(bus, NULL))
			helped = pulse__bus_help(bus, sub);
		pthread_mutex_lock(&sub->lock);
		if (sub->state != PULSE__SUB_LIVE)
			return false;
		if (pulse__sub_has_room(sub))
			return true;
		/* Under the lock, which pulse__bus_nudge takes after it. */
		if (READ_ONCE(bus->state) != PULSE__BUS_OPEN && !sub->handler)
			return false;
		if (helped)
			continue;
		/* A receiver calls only when there is room for many. */
		nap = pulse__deadline_after(pulse_now_ns(), PULSE__ROOM_NAP_NS);
		if (!pulse__sub_sleep(sub, nap < until ? nap : until) &&
		    nap >= until)
			return sub->state == PULSE__SUB_LIVE &&
			       pulse__sub_has_room(sub);
	} while (sub->state == PULSE__SUB_LIVE && !pulse__sub_has_room(sub));
	return sub->state == PULSE__SUB_LIVE;
}

/*
 * Makes room in a full queue, as its policy says. @pushed_out: an event that
 * the caller gives back. True: there is room.
 */
static bool pulse__way_make_room(struct pulse__way *way,
				 struct pulse_bus_sub *sub,
				 struct pulse_bus_event **pushed_out)
{
	switch (sub->policy) {
	case PULSE_BUS_BLOCK:
		if (pulse__way_wait(way, sub))
			return true;
		if (sub->state != PULSE__SUB_LIVE)
			return false;
		sub->timeouts++;
		break;
	case PULSE_BUS_DROP_OLDEST:
		pulse__sub_take(sub, pushed_out, 1);
		PULSE__PROBE2(bus_drop, (*pushed_out)->type, sub->policy);
		sub->dropped++;
		return true;
	case PULSE_BUS_DISCONNECT:
		WRITE_ONCE(sub->state, PULSE__SUB_CUT);
		pulse__add_relaxed(&way->bus->disconnected, 1);
		pulse__sub_wake(sub);
		break;
	}
	PULSE__PROBE2(bus_drop, way->ev->type, sub->policy);
	sub->dropped++;
	return false;
}

/* Into one queue. True: it is in. */
static bool pulse__way_give(struct pulse__way *way, struct pulse_bus_sub *sub)
{
	struct pulse_bus_event *pushed_out = NULL;
	bool in = false, call = false;

	pthread_mutex_lock(&sub->lock);
	if (sub->state != PULSE__SUB_LIVE)
		goto out;
	if (sub->filter && !sub->filter(way->ev, sub->arg)) {
		sub->filtered++;
		goto out;
	}
	if (unlikely(!pulse__sub_has_room(sub)) &&
	    !pulse__way_make_room(way, sub, &pushed_out))
		goto out;
	sub->slot[(sub->head + sub->nr) & (sub->room - 1)] = way->ev;
	WRITE_ONCE(sub->nr, sub->nr + 1);
	sub->delivered++;
	if (sub->nr > sub->most)
		sub->most = sub->nr;
	in = true;
	if (!sub->handler) {
		call = pulse__sub_call(sub);
	} else if (!sub->scheduled) {
		sub->scheduled = true;
		pulse__add_relaxed(&sub->refs, 1);
		/* Not on any list: scheduled was false. */
		pulse__list_add_tail(&way->ready, &sub->ready);
	}
out:
	pthread_mutex_unlock(&sub->lock);
	/* Who is woken needs the lock; the match has a reference. */
	if (call)
		pulse__sub_called(sub);
	pulse_bus_event_put(pushed_out);
	return in;
}

/* Counted where few others count. */
static void pulse__publish_count(struct pulse_bus *bus, bool heard)
{
	uintptr_t self = (uintptr_t)pthread_self();
	struct pulse__bus_cell *cell =
		&bus->cell[(self >> 12 ^ self >> 20) & (PULSE__BUS_CELLS - 1)];

	pulse__add_relaxed(heard ? &cell->heard : &cell->unheard, 1);
}

int pulse__publish(struct pulse_bus *bus, struct pulse_bus_event *ev,
		   int64_t deadline_ns)
{
	struct pulse__match *m = pulse__match_get(bus, ev);
	struct pulse__way way = { .bus = bus, .ev = ev,
				  .deadline_ns = deadline_ns };
	uint32_t n = 0;

	if (!m)
		return -ENOMEM;
	PULSE__PROBE2(bus_publish, ev->type, m->nr);
	pulse__publish_count(bus, m->nr != 0);
	if (m->nr) {
		pulse__list_init(&way.ready);
		/* All at once; those that were too many are given back below. */
		pulse__add_relaxed(&ev->refs, m->nr);
		for (uint32_t i = 0; i < m->nr; i++)
			n += pulse__way_give(&way, m->sub[i]);
		if (m->nr - n)
			__atomic_fetch_sub(&ev->refs, m->nr - n,
					   __ATOMIC_RELEASE);
		pulse__bus_schedule(bus, &way.ready);
	}
	pulse__match_put(m);
	return (int)n;
}

/*
 * Not even a lock where no subscription could want it. What was subscribed
 * before in this thread, or before something that this thread has seen, is
 * seen here; who subscribes at the same time may come too late.
 */
static bool pulse__publish_nobody(struct pulse_bus *bus,
				  const struct pulse_bus_event *ev)
{
	return !__atomic_load_n(&pulse__bucket(bus, ev->hash)->wants,
				__ATOMIC_SEQ_CST) &&
	       !__atomic_load_n(&bus->nr_wild, __ATOMIC_SEQ_CST);
}

static PULSE__INLINE int pulse__publish_by(struct pulse_bus *bus,
					   struct pulse_bus_event *ev,
					   int64_t deadline_ns)
{
	int err = pulse__bus_check(bus), n;

	if (unlikely(err))
		return err;
	if (unlikely(!ev))
		return -EINVAL;
	if (unlikely(!READ_ONCE(ev->published)))
		WRITE_ONCE(ev->published, true);
	if (pulse__publish_nobody(bus, ev)) {
		if (unlikely(READ_ONCE(bus->state) != PULSE__BUS_OPEN))
			return -ESHUTDOWN;
		pulse__publish_count(bus, false);
		return 0;
	}
	err = pulse__publish_enter(bus);
	if (unlikely(err))
		return err;
	n = pulse__publish(bus, ev, deadline_ns);
	pulse__publish_leave(bus);
	return n;
}

int pulse_bus_publish(struct pulse_bus *bus, struct pulse_bus_event *ev)
{
	return pulse__publish_by(bus, ev, PULSE__BUS_OWN_TIME);
}

int pulse_bus_publish_until(struct pulse_bus *bus, struct pulse_bus_event *ev,
			    int64_t deadline_ns)
{
	if (deadline_ns < 0)
		return -EINVAL;
	return pulse__publish_by(bus, ev, deadline_ns);
}

int pulse_bus_publish_async(struct pulse_bus *bus, struct pulse_bus_event *ev)
{
	int err = pulse__bus_check(bus);

	if (err)
		return err;
	if (!ev)
		return -EINVAL;
	err = pulse__bus_need_pool(bus);
	if (err)
		return err;
	err = pulse__publish_enter(bus);
	if (err)
		return err;
	WRITE_ONCE(ev->published, true);
	err = pulse__bus_async(bus, ev);
	pulse__publish_leave(bus);
	return err;
}

int pulse_bus_publish_new(struct pulse_bus *bus,
			  const struct pulse_bus_event_opts *opts)
{
	struct pulse_bus_event *ev;
	int n = pulse__bus_check(bus);

	if (n)
		return n;
	n = pulse_bus_event_create(opts, &ev);
	if (n)
		return n;
	n = pulse_bus_publish(bus, ev);
	pulse_bus_event_put(ev);
	return n;
}
