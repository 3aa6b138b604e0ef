// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * event.c - events: one allocation for all that is known when they are made.
 *
 * Until it is published an event is its maker's alone. What is in it reaches
 * other threads through the lock of a queue; the last put (acq_rel) sees all
 * other readers done.
 */
#include <time.h>

#include "bus/bus.h"

#define PULSE__EVENT_OPTS_VER0 \
	pulse__size_to(struct pulse_bus_event_opts, trace_id)

/* A part of an event's memory, copied there; @at moves on. */
static char *pulse__event_place(char **at, const void *src, size_t bytes)
{
	char *to = *at;

	if (bytes)
		memcpy(to, src, bytes);
	*at += bytes;
	return to;
}

static uint64_t pulse__event_number(void)
{
	static uint64_t last;

	return pulse__add_relaxed(&last, 1) + 1;
}

int pulse_bus_event_create(const struct pulse_bus_event_opts *opts,
			   struct pulse_bus_event **out)
{
	size_t type, source, trace, copied, all;
	struct pulse_bus_event_opts o;
	struct pulse_bus_event *ev;
	struct timespec ts;
	char *at;
	int err;

	if (out)
		*out = NULL;
	if (!out || !opts)
		return -EINVAL;
	err = pulse__opts_load(&o, sizeof(o), PULSE__EVENT_OPTS_VER0, opts);
	if (err)
		return err;
	if (!o.type || pulse__topic_check(o.type) || (o.payload_bytes && !o.payload))
		return -EINVAL;
	if (!o.source)
		o.source = "";
	type = strlen(o.type) + 1;
	source = strlen(o.source) + 1;
	trace = o.trace_id ? strlen(o.trace_id) + 1 : 0;
	copied = o.payload_free ? 0 : o.payload_bytes;
	if (pulse__add_overflow(copied, sizeof(*ev) + type + source + trace, &all))
		return -ENOMEM;
	ev = pulse__malloc(all);
	if (!ev)
		return -ENOMEM;
	memset(ev, 0, sizeof(*ev));
	at = ev->data;
	if (copied)
		ev->payload = pulse__event_place(&at, o.payload, copied);
	else if (o.payload_free)
		ev->payload = (void *)(uintptr_t)o.payload;
	ev->bytes = o.payload_bytes;
	ev->payload_free = o.payload_free;
	ev->type = pulse__event_place(&at, o.type, type);
	ev->source = pulse__event_place(&at, o.source, source);
	if (trace)
		ev->trace_id = pulse__event_place(&at, o.trace_id, trace);
	ev->hash = pulse__topic_hash(ev->type);
	ev->refs = 1;
	ev->id = pulse__event_number();
	clock_gettime(CLOCK_REALTIME, &ts);
	ev->time_ns = ts.tv_sec * PULSE__NSEC_PER_SEC + ts.tv_nsec;
	*out = ev;
	return 0;
}

struct pulse_bus_event *pulse_bus_event_get(struct pulse_bus_event *ev)
{
	if (ev)
		pulse__add_relaxed(&ev->refs, 1);
	return ev;
}

void pulse_bus_event_put(struct pulse_bus_event *ev)
{
	/* release and acquire: pairs with itself, see the head */
	if (!ev || __atomic_fetch_sub(&ev->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	while (ev->meta) {
		struct pulse__meta *m = ev->meta;

		ev->meta = m->next;
		pulse__free(m);
	}
	if (ev->payload_free)
		ev->payload_free(ev->payload);
	pulse__free(ev->own_trace);
	pulse__free(ev);
}

int pulse_bus_event_with_trace_id(struct pulse_bus_event *ev,
				  const char *trace_id)
{
	char *copy;

	if (!ev || !trace_id)
		return -EINVAL;
	if (READ_ONCE(ev->published))
		return -EBUSY;
	copy = pulse__strdup(trace_id);
	if (!copy)
		return -ENOMEM;
	pulse__free(ev->own_trace);
	ev->own_trace = copy;
	ev->trace_id = copy;
	return 0;
}

int pulse_bus_event_with_metadata(struct pulse_bus_event *ev, const char *key,
				  const char *value)
{
	struct pulse__meta **at, *m, *old;
	size_t keyed, valued;

	if (!ev || !key || !*key || !value)
		return -EINVAL;
	if (READ_ONCE(ev->published))
		return -EBUSY;
	keyed = strlen(key) + 1;
	valued = strlen(value) + 1;
	m = pulse__malloc(sizeof(*m) + keyed + valued);
	if (!m)
		return -ENOMEM;
	memcpy(m->key, key, keyed);
	m->value = m->key + keyed;
	memcpy(m->value, value, valued);
	for (at = &ev->meta; *at && strcmp((*at)->key, key); at = &(*at)->next)
		;
	old = *at;
	m->next = old ? old->next : NULL;
	*at = m;
	pulse__free(old);
	return 0;
}

const char *pulse_bus_event_type(const struct pulse_bus_event *ev)
{
	return ev ? ev->type : NULL;
}

const char *pulse_bus_event_source(const struct pulse_bus_event *ev)
{
	return ev ? ev->source : NULL;
}

const char *pulse_bus_event_trace_id(const struct pulse_bus_event *ev)
{
	return ev ? ev->trace_id : NULL;
}

const char *pulse_bus_event_metadata(const struct pulse_bus_event *ev,
				     const char *key)
{
	const struct pulse__meta *m = ev && key ? ev->meta : NULL;

	while (m && strcmp(m->key, key))
		m = m->next;
	return m ? m->value : NULL;
}

int pulse_bus_event_metadata_at(const struct pulse_bus_event *ev, size_t index,
				const char **key, const char **value)
{
	const struct pulse__meta *m;

	if (!ev || !key || !value)
		return -EINVAL;
	for (m = ev->meta; m && index; index--)
		m = m->next;
	if (!m)
		return -ENOENT;
	*key = m->key;
	*value = m->value;
	return 0;
}

const void *pulse_bus_event_payload(const struct pulse_bus_event *ev,
				    size_t *bytes)
{
	if (bytes)
		*bytes = ev ? ev->bytes : 0;
	return ev ? ev->payload : NULL;
}

uint64_t pulse_bus_event_id(const struct pulse_bus_event *ev)
{
	return ev ? ev->id : 0;
}

int64_t pulse_bus_event_time(const struct pulse_bus_event *ev)
{
	return ev ? ev->time_ns : 0;
}
