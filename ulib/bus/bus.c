// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * bus.c - the life of a bus, what it has done, cleaning up.
 */
#include <pulse-u/pool.h>

#include "bus/bus.h"

#define PULSE__BUS_OPTS_VER0	pulse__size_to(struct pulse_bus_opts, reserved)
#define PULSE__BUS_METRICS_VER0	\
	pulse__size_to(struct pulse_bus_metrics, reserved)

#define PULSE__BUS_BUFFER	1000U
#define PULSE__BUS_SUBS		100U
#define PULSE__BUS_SUBS_MAX	(1U << 24)
#define PULSE__BUS_TIMEOUT_NS	(10 * PULSE__NSEC_PER_MSEC)
#define PULSE__BUS_CLEANUP_NS	(30 * PULSE__NSEC_PER_SEC)
#define PULSE__BUS_ASYNC	1024U

void pulse__bus_put(struct pulse_bus *bus)
{
	/* release and acquire: the last one sees all others done */
	if (__atomic_fetch_sub(&bus->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	bus->magic = PULSE__MAGIC_DEAD;
	pthread_mutex_destroy(&bus->lock);
	pthread_mutex_destroy(&bus->run_lock);
	pulse__free(bus->async);
	pulse__free(bus);
}

static void pulse__bus_cleanup_due(struct pulse_timer *timer, void *arg)
{
	(void)timer;
	pulse_bus_cleanup(arg);
}

/* Numbers of the options, or the defaults. 0 or -EINVAL. */
static int pulse__bus_numbers(struct pulse_bus *bus,
			      const struct pulse_bus_opts *o)
{
	if (o->buffer_size > PULSE__BUS_SIZE_MAX ||
	    o->async_size > PULSE__BUS_SIZE_MAX ||
	    o->max_subscribers > PULSE__BUS_SUBS_MAX ||
	    o->publish_timeout_ns < 0 || o->reserved ||
	    o->policy < PULSE_BUS_POLICY_DEFAULT ||
	    o->policy > PULSE_BUS_DISCONNECT ||
	    o->cleanup_interval_ns < PULSE_OFF ||
	    (o->cleanup_interval_ns > 0 &&
	     o->cleanup_interval_ns < PULSE__NSEC_PER_MSEC))
		return -EINVAL;
	bus->buffer_size = o->buffer_size ? o->buffer_size : PULSE__BUS_BUFFER;
	bus->async_size = o->async_size ? o->async_size : PULSE__BUS_ASYNC;
	bus->async_room = (uint32_t)pulse__pow2_up(bus->async_size);
	bus->max_subscribers = o->max_subscribers ? o->max_subscribers :
						    PULSE__BUS_SUBS;
	bus->publish_timeout_ns = o->publish_timeout_ns ?
				  o->publish_timeout_ns : PULSE__BUS_TIMEOUT_NS;
	bus->policy = o->policy ? (uint32_t)o->policy : PULSE_BUS_BLOCK;
	bus->num_workers = o->num_workers;
	bus->pool = o->pool;
	return 0;
}

/* The timer that cleans up, and the one for a pool of others' that is full. */
static int pulse__bus_timers(struct pulse_bus *bus, int64_t interval_ns)
{
	int err;

	if (!interval_ns)
		interval_ns = PULSE__BUS_CLEANUP_NS;
	if (interval_ns < 0 && !bus->pool)
		return 0;
	err = pulse_timer_service_create(NULL, &bus->timers);
	if (err)
		return err;
	pulse_timer_init(&bus->cleanup, pulse__bus_cleanup_due, bus);
	pulse_timer_init(&bus->retry, pulse__bus_retry, bus);
	if (interval_ns < 0)
		return 0;
	return pulse_timer_service_arm(bus->timers, &bus->cleanup,
				       pulse_now_ns() + interval_ns, interval_ns);
}

int pulse_bus_create(const struct pulse_bus_opts *opts, struct pulse_bus **out)
{
	struct pulse_bus_opts o;
	struct pulse_bus *bus;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o), PULSE__BUS_OPTS_VER0, opts);
	if (err)
		return err;
	bus = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*bus));
	if (!bus)
		return -ENOMEM;
	bus->magic = PULSE__BUS_MAGIC;
	bus->fork_gen = pulse__fork_generation();
	bus->refs = 1;
	pthread_mutex_init(&bus->lock, NULL);
	pthread_mutex_init(&bus->run_lock, NULL);
	pulse__list_init(&bus->wild);
	pulse__list_init(&bus->subs);
	pulse__list_init(&bus->ready);
	pulse__list_init(&bus->async_ready);
	err = pulse__bus_numbers(bus, &o);
	if (!err)
		err = pulse__bus_timers(bus, o.cleanup_interval_ns);
	if (err) {
		if (bus->timers)
			pulse_timer_service_destroy(bus->timers);
		pulse__bus_put(bus);
		return err;
	}
	*out = bus;
	return 0;
}

int pulse_bus_destroy(struct pulse_bus *bus)
{
	int err = pulse__bus_check(bus);

	if (err && err != -EOWNERDEAD)
		return err;
	if (!err && pulse__bus_is_inside(bus, NULL))
		return -EDEADLK;
	if (!err) {
		pulse_bus_close(bus);
		pulse__bus_run_out(bus);
	}
	if (bus->timers)
		pulse_timer_service_destroy(bus->timers);
	if (bus->own_pool)
		pulse_pool_destroy(bus->pool);
	if (!err) {
		pthread_mutex_lock(&bus->lock);
		pulse__matches_drop(bus, true);
		pthread_mutex_unlock(&bus->lock);
	}
	pulse__bus_put(bus);
	return err;
}

int pulse_bus_cleanup(struct pulse_bus *bus)
{
	struct pulse_bus_event **slot, **small;
	struct pulse_bus_sub *sub;
	int n = pulse__bus_check(bus);

	if (n)
		return n;
	pthread_mutex_lock(&bus->lock);
	n = pulse__matches_drop(bus, false);
	pulse__list_for_each_entry(sub, &bus->subs, all) {
		if (READ_ONCE(sub->state) != PULSE__SUB_CUT)
			continue;
		/* Nothing is ever put in again. */
		pthread_mutex_lock(&sub->lock);
		slot = sub->nr || sub->room == PULSE__BUS_FIRST ? NULL :
		       sub->slot;
		small = slot ? pulse__malloc(PULSE__BUS_FIRST *
					     sizeof(*small)) : NULL;
		if (small) {
			sub->slot = small;
			sub->room = PULSE__BUS_FIRST;
			sub->head = 0;
			pulse__free(slot);
			n++;
		}
		pthread_mutex_unlock(&sub->lock);
	}
	pthread_mutex_unlock(&bus->lock);
	return n;
}

int pulse_bus_metrics(struct pulse_bus *bus, struct pulse_bus_metrics *out)
{
	struct pulse_bus_metrics m;
	struct pulse_bus_sub *sub;
	int err = pulse__bus_check(bus);

	if (!err)
		err = pulse__out_check(out, PULSE__BUS_METRICS_VER0);
	if (err)
		return err;
	memset(&m, 0, sizeof(m));
	for (uint32_t i = 0; i < PULSE__BUS_CELLS; i++) {
		m.unheard += READ_ONCE(bus->cell[i].unheard);
		m.published += READ_ONCE(bus->cell[i].heard);
	}
	m.published += m.unheard;
	pthread_mutex_lock(&bus->lock);
	m.delivered = bus->gone.delivered;
	m.consumed = bus->gone.consumed;
	m.dropped = bus->gone.dropped;
	m.filtered = bus->gone.filtered;
	m.timeouts = bus->gone.timeouts;
	m.subscribers = bus->nr_subs;
	pulse__list_for_each_entry(sub, &bus->subs, all) {
		pthread_mutex_lock(&sub->lock);
		m.delivered += sub->delivered;
		m.consumed += sub->consumed;
		m.dropped += sub->dropped;
		m.filtered += sub->filtered;
		m.timeouts += sub->timeouts;
		m.queued += sub->nr;
		pthread_mutex_unlock(&sub->lock);
	}
	pthread_mutex_unlock(&bus->lock);
	m.disconnected = READ_ONCE(bus->disconnected);
	pthread_mutex_lock(&bus->run_lock);
	m.async_queued = bus->async_nr;
	m.lost = READ_ONCE(bus->async_lost);
	pthread_mutex_unlock(&bus->run_lock);
	pulse__out_store(out, &m, sizeof(m));
	return 0;
}
