/* SPDX-License-Identifier: GPL-2.0-only */
/* helpers.h - buses, events with a number, receivers. */
#ifndef BUS_HELPERS_H
#define BUS_HELPERS_H

#include <pulse-u/bus.h>

#include "../pool/helpers.h"

static inline struct pulse_bus *bus_of(uint32_t subs, uint32_t buffer)
{
	PULSE_OPTS(pulse_bus_opts, o, .max_subscribers = subs,
		   .buffer_size = buffer, .num_workers = 2,
		   .publish_timeout_ns = PULSE_FOREVER);
	struct pulse_bus *bus = NULL;
	int err = pulse_bus_create(&o, &bus);

	if (err)
		kt_note("pulse_bus_create: %s", pulse_strerror(err));
	return bus;
}

static inline struct pulse_bus_event *event_of(const char *type, long nr)
{
	PULSE_OPTS(pulse_bus_event_opts, o, .type = type, .source = "test",
		   .payload = &nr, .payload_bytes = sizeof(nr));
	struct pulse_bus_event *ev = NULL;

	pulse_bus_event_create(&o, &ev);
	return ev;
}

static inline long number_of(const struct pulse_bus_event *ev)
{
	return *(const long *)pulse_bus_event_payload(ev, NULL);
}

/* Publishes a new event; what pulse_bus_publish() says. */
static inline int say(struct pulse_bus *bus, const char *type, long nr)
{
	PULSE_OPTS(pulse_bus_event_opts, o, .type = type,
		   .payload = &nr, .payload_bytes = sizeof(nr));

	return pulse_bus_publish_new(bus, &o);
}

/* The number of the next event; or the error. */
static inline long hear(struct pulse_bus_sub *sub, int64_t deadline_ns)
{
	struct pulse_bus_event *ev;
	long nr = pulse_bus_receive(sub, deadline_ns, &ev);

	if (!nr) {
		nr = number_of(ev);
		pulse_bus_event_put(ev);
	}
	return nr;
}

/* A subscription of a handler or, where that is NULL, a receiver. */
static inline struct pulse_bus_sub *sub_of(struct pulse_bus *bus,
					   const char *type, int policy,
					   uint32_t buffer,
					   pulse_bus_handler_fn fn, void *arg)
{
	PULSE_OPTS(pulse_bus_sub_opts, o, .policy = policy, .handler = fn,
		   .arg = arg, .buffer_size = buffer);
	struct pulse_bus_sub *sub;

	KT_EQ(pulse_bus_subscribe(bus, type, &o, &sub), 0);
	return sub;
}

static inline struct pulse_bus_metrics metrics_of(struct pulse_bus *bus)
{
	struct pulse_bus_metrics m = { .sz = sizeof(m) };

	KT_EQ(pulse_bus_metrics(bus, &m), 0);
	return m;
}

static inline void count_event(struct pulse_bus_event *ev, void *arg)
{
	(void)ev;
	ATOMIC_INC(*(long *)arg);
}

#endif /* BUS_HELPERS_H */
