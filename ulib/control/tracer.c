// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tracer.c - spans, from their beginning to who takes them.
 *
 * An open span is its thread's. Finished ones wait in a ring of pointers behind
 * a mutex that is held for a few stores; when it is full the oldest goes. What
 * is not sampled never comes there.
 */
#include "base/base.h"

#include <pthread.h>
#include <sys/random.h>
#include <time.h>

#include <pulse-u/context.h>
#include <pulse-u/tracer.h>
#include <pulse-u/ws_live.h>

#define RING_DEFAULT	1024U
#define RING_MAX	65536U

struct pulse_span {
	struct pulse_tracer *tracer;
	struct pulse_span_data d;
	int64_t began_ns;		/* CLOCK_MONOTONIC */
	char *name;
	struct pulse_attr attrs[PULSE_SPAN_ATTRS_MAX];
	struct pulse_span_event events[PULSE_SPAN_EVENTS_MAX];
};

/* One that is not sampled ends before what it would record. */
#define BARE_BYTES	offsetof(struct pulse_span, attrs)

struct pulse_tracer {
	pulse_span_fn export_fn;
	void *arg;
	uint64_t sample_below;		/* of the id's last 8 bytes; see sampled() */
	bool sample_all;
	/* any thread */
	struct pulse_tracer_stats n;
	pthread_mutex_t lock;		/* the words below */
	uint64_t head, tail;		/* taken, put; modulo 2^64 */
	uint32_t mask;
	struct pulse_span *ring[];
};

static int64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * PULSE__NSEC_PER_SEC + ts.tv_nsec;
}

/* ---- the tracer ------------------------------------------------------------- */

int pulse_tracer_create(const struct pulse_tracer_opts *opts,
			struct pulse_tracer **out)
{
	struct pulse_tracer_opts o;
	struct pulse_tracer *t;
	uint32_t slots;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), arg), opts);
	if (err)
		return err;
	/* Not a number is refused too. */
	if (!(o.sample_ratio >= 0 && o.sample_ratio <= 1) ||
	    o.ring_spans > RING_MAX)
		return -EINVAL;
	slots = (uint32_t)pulse__pow2_up(o.ring_spans ? o.ring_spans : RING_DEFAULT);
	t = pulse__calloc(1, sizeof(*t) + slots * sizeof(t->ring[0]));
	if (!t)
		return -ENOMEM;
	err = -pthread_mutex_init(&t->lock, NULL);
	if (err) {
		pulse__free(t);
		return err;
	}
	t->mask = slots - 1;
	t->export_fn = o.export_fn;
	t->arg = o.arg;
	if (!o.never) {
		t->sample_all = o.sample_ratio == 0 || o.sample_ratio == 1;
		t->sample_below = (uint64_t)(o.sample_ratio * 0x1p63) * 2;
	}
	*out = t;
	return 0;
}

static void span_free(struct pulse_span *span)
{
	for (uint32_t i = 0; i < span->d.nr_attrs; i++) {
		pulse__free((char *)span->attrs[i].key);
		pulse__free((char *)span->attrs[i].str);
	}
	for (uint32_t i = 0; i < span->d.nr_events; i++)
		pulse__free((char *)span->events[i].name);
	pulse__free(span->name);
	pulse__free(span);
}

int pulse_tracer_destroy(struct pulse_tracer *t)
{
	if (!t)
		return -EINVAL;
	if (__atomic_load_n(&t->n.open, __ATOMIC_ACQUIRE))
		return -EBUSY;
	while (t->head != t->tail)
		span_free(t->ring[t->head++ & t->mask]);
	pthread_mutex_destroy(&t->lock);
	pulse__free(t);
	return 0;
}

static void keep(struct pulse_tracer *t, struct pulse_span *span)
{
	struct pulse_span *oldest = NULL;

	pthread_mutex_lock(&t->lock);
	if (t->tail - t->head > t->mask)
		oldest = t->ring[t->head++ & t->mask];
	t->ring[t->tail++ & t->mask] = span;
	pthread_mutex_unlock(&t->lock);
	if (!oldest)
		return;
	pulse__add_relaxed(&t->n.dropped, 1);
	span_free(oldest);
}

int pulse_tracer_drain(struct pulse_tracer *t, pulse_span_fn fn, void *arg,
		       unsigned int max)
{
	uint64_t end;
	int n = 0;

	if (!t || !fn)
		return -EINVAL;
	pthread_mutex_lock(&t->lock);
	end = t->tail;
	while ((int64_t)(end - t->head) > 0 && (!max || (unsigned int)n < max)) {
		struct pulse_span *span = t->ring[t->head++ & t->mask];

		pthread_mutex_unlock(&t->lock);
		fn(&span->d, arg);
		span_free(span);
		n++;
		pulse__add_relaxed(&t->n.exported, 1);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return n;
}

int pulse_tracer_stats(struct pulse_tracer *t, struct pulse_tracer_stats *out)
{
	struct pulse_tracer_stats s;
	int err;

	if (!t)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(s), waiting));
	if (err)
		return err;
	s.started = READ_ONCE(t->n.started);
	s.sampled = READ_ONCE(t->n.sampled);
	s.ended = READ_ONCE(t->n.ended);
	s.exported = READ_ONCE(t->n.exported);
	s.dropped = READ_ONCE(t->n.dropped);
	s.open = READ_ONCE(t->n.open);
	pthread_mutex_lock(&t->lock);
	s.waiting = t->tail - t->head;
	pthread_mutex_unlock(&t->lock);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}

/* ---- ids -------------------------------------------------------------------- */

/* splitmix64, seeded by the system for each thread and again after a fork. */
static uint64_t random64(void)
{
	static __thread uint64_t state;
	static __thread uint32_t gen;
	uint64_t z;

	if (unlikely(!state || gen != pulse__fork_generation())) {
		gen = pulse__fork_generation();
		if (getrandom(&state, sizeof(state), 0) != sizeof(state))
			state = (uint64_t)wall_ns() ^ (uintptr_t)&state;
	}
	z = (state += 0x9e3779b97f4a7c15ULL);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	z ^= z >> 31;
	return z ? z : 1;
}

static void new_id(uint8_t *id, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t r = random64();

		memcpy(id + i, &r, 8);
	}
}

/* By the last 8 bytes of the trace's id, big end first. */
static bool sampled(const struct pulse_tracer *t, const uint8_t *trace_id)
{
	uint64_t low = 0;

	for (int i = 8; i < 16; i++)
		low = low << 8 | trace_id[i];
	return t->sample_all || low < t->sample_below;
}

/* ---- spans ------------------------------------------------------------------ */

static void set_place(struct pulse_tracer *t, struct pulse_trace_context *tc,
		      uint8_t *parent_id,
		      const struct pulse_trace_context *above)
{
	if (above) {
		*tc = *above;
		memcpy(parent_id, above->span_id, 8);
	} else {
		memset(tc, 0, sizeof(*tc));
		memset(parent_id, 0, 8);
		new_id(tc->trace_id, 16);
		tc->sampled = sampled(t, tc->trace_id);
	}
	new_id(tc->span_id, 8);
}

int pulse_span_start(struct pulse_tracer *t, const char *name,
		     const struct pulse_span_opts *opts, struct pulse_span **out)
{
	const struct pulse_trace_context *above;
	struct pulse_trace_context tc;
	struct pulse_span_opts o;
	struct pulse_span *span;
	uint8_t parent_id[8];
	int err;

	if (!t || !name || !out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), reserved), opts);
	if (err)
		return err;
	if ((o.parent && o.remote) || o.reserved || o.kind < 0 ||
	    o.kind > PULSE_SPAN_CONSUMER)
		return -EINVAL;
	above = o.parent ? &o.parent->d.context : o.remote;
	set_place(t, &tc, parent_id, above);
	span = pulse__calloc(1, tc.sampled ? sizeof(*span) : BARE_BYTES);
	if (!span)
		return -ENOMEM;
	if (tc.sampled) {
		span->name = pulse__strdup(name);
		if (!span->name) {
			pulse__free(span);
			return -ENOMEM;
		}
		span->d.start_ns = wall_ns();
		span->began_ns = pulse_now_ns();
		span->d.attrs = span->attrs;
		span->d.events = span->events;
		pulse__add_relaxed(&t->n.sampled, 1);
	}
	span->tracer = t;
	span->d.sz = sizeof(span->d);
	span->d.name = span->name;
	span->d.context = tc;
	memcpy(span->d.parent_id, parent_id, 8);
	span->d.kind = o.kind;
	span->d.remote_parent = o.remote != NULL;
	pulse__add_relaxed(&t->n.started, 1);
	pulse__add_relaxed(&t->n.open, 1);
	*out = span;
	return 0;
}

void pulse_span_end(struct pulse_span *span)
{
	struct pulse_tracer *t;

	if (!span)
		return;
	t = span->tracer;
	pulse__add_relaxed(&t->n.ended, 1);
	if (!span->d.context.sampled) {
		span_free(span);
	} else {
		span->d.duration_ns = pulse_now_ns() - span->began_ns;
		if (t->export_fn) {
			t->export_fn(&span->d, t->arg);
			pulse__add_relaxed(&t->n.exported, 1);
			span_free(span);
		} else {
			keep(t, span);
		}
	}
	/* pairs with pulse_tracer_destroy(): nothing of it is used any more */
	__atomic_fetch_sub(&t->n.open, 1, __ATOMIC_RELEASE);
}

int pulse_span_set(struct pulse_span *span, const struct pulse_attr *attr)
{
	struct pulse_attr *a = NULL;
	char *str = NULL;

	if (!attr || !attr->key || attr->type < PULSE_ATTR_I64 ||
	    attr->type > PULSE_ATTR_STR ||
	    (attr->type == PULSE_ATTR_STR && !attr->str))
		return -EINVAL;
	if (!span || !span->d.context.sampled)
		return 0;
	for (uint32_t i = 0; i < span->d.nr_attrs; i++)
		if (!strcmp(span->attrs[i].key, attr->key))
			a = &span->attrs[i];
	if (!a && span->d.nr_attrs == PULSE_SPAN_ATTRS_MAX) {
		span->d.dropped++;
		return -ENOSPC;
	}
	if (attr->type == PULSE_ATTR_STR) {
		str = pulse__strdup(attr->str);
		if (!str)
			return -ENOMEM;
	}
	if (!a) {
		a = &span->attrs[span->d.nr_attrs];
		a->key = pulse__strdup(attr->key);
		if (!a->key) {
			pulse__free(str);
			return -ENOMEM;
		}
		span->d.nr_attrs++;
	}
	pulse__free((char *)a->str);
	a->type = attr->type;
	a->i64 = attr->type == PULSE_ATTR_BOOL ? !!attr->i64 : attr->i64;
	a->f64 = attr->f64;
	a->str = str;
	return 0;
}

int pulse_span_set_str(struct pulse_span *span, const char *key,
		       const char *value)
{
	return pulse_span_set(span, &(struct pulse_attr){
			      .key = key, .type = PULSE_ATTR_STR, .str = value });
}

int pulse_span_set_i64(struct pulse_span *span, const char *key, int64_t value)
{
	return pulse_span_set(span, &(struct pulse_attr){
			      .key = key, .type = PULSE_ATTR_I64, .i64 = value });
}

int pulse_span_event(struct pulse_span *span, const char *name)
{
	struct pulse_span_event *e;

	if (!name)
		return -EINVAL;
	if (!span || !span->d.context.sampled)
		return 0;
	if (span->d.nr_events == PULSE_SPAN_EVENTS_MAX) {
		span->d.dropped++;
		return -ENOSPC;
	}
	e = &span->events[span->d.nr_events];
	e->name = pulse__strdup(name);
	if (!e->name)
		return -ENOMEM;
	e->time_ns = wall_ns();
	span->d.nr_events++;
	return 0;
}

void pulse_span_fail(struct pulse_span *span, int err)
{
	if (span)
		span->d.err = err;
}

int pulse_span_context(const struct pulse_span *span,
		       struct pulse_trace_context *out)
{
	if (!span || !out)
		return -EINVAL;
	*out = span->d.context;
	return 0;
}

/* ---- contexts --------------------------------------------------------------- */

static const struct pulse_context_key parent_key = { "traceparent",
						     PULSE_CONTEXT_STR };
static const struct pulse_context_key state_key = { "tracestate",
						    PULSE_CONTEXT_STR };

int pulse_span_to_context(const struct pulse_span *span,
			  struct pulse_context *ctx)
{
	char parent[PULSE_TRACEPARENT_MAX];
	int err;

	if (!span || !ctx)
		return -EINVAL;
	err = pulse_trace_inject(&span->d.context, parent);
	if (!err)
		err = pulse_context_set_str(ctx, &parent_key, parent, NULL);
	if (!err)
		err = pulse_context_set_str(ctx, &state_key,
					    span->d.context.tracestate, NULL);
	return err;
}

int pulse_trace_from_context(struct pulse_context *ctx,
			     struct pulse_trace_context *out)
{
	char parent[PULSE_TRACEPARENT_MAX], state[PULSE_TRACESTATE_MAX];
	int err;

	if (!ctx || !out)
		return -EINVAL;
	err = pulse_context_get_str(ctx, &parent_key, parent, sizeof(parent));
	if (err)
		return err == -ENOENT ? err : -EBADMSG;
	if (pulse_context_get_str(ctx, &state_key, state, sizeof(state)))
		state[0] = 0;
	return pulse_trace_extract(parent, state, out);
}

/* ---- WebSocket -------------------------------------------------------------- */

static __thread struct pulse_span *message_span;

struct pulse_span *pulse_tracer_current(void)
{
	return message_span;
}

/* A span of a connection: in the peer's trace, where its handshake named one. */
static int start_ws(struct pulse_tracer *t, const char *name,
		    const struct pulse_ws_conn *conn, struct pulse_span **span)
{
	PULSE_OPTS(pulse_span_opts, o, .kind = PULSE_SPAN_SERVER);
	struct pulse_trace_context remote;
	const char *parent, *state;

	parent = pulse_ws_conn_trace(conn, &state);
	if (parent && !pulse_trace_extract(parent, state, &remote))
		o.remote = &remote;
	return pulse_span_start(t, name, &o, span);
}

/* A point of time that is a span: an accept takes as long as this call. */
static void point(struct pulse_tracer *t, const char *name,
		  const struct pulse_ws_conn *conn, uint64_t value)
{
	struct pulse_span *span;

	if (start_ws(t, name, conn, &span))
		return;
	if (value)
		(void)pulse_span_set_i64(span, "ws.code", (int64_t)value);
	pulse_span_end(span);
}

static void ws_hook(struct pulse_ws_conn *conn, int where, int opcode,
		    uint64_t value, void *arg)
{
	switch (where) {
	case PULSE_WS_HOOK_ACCEPT:
		point(arg, "ws.accept", conn, 0);
		break;
	case PULSE_WS_HOOK_OPEN:
		point(arg, "ws.open", conn, 0);
		break;
	case PULSE_WS_HOOK_MESSAGE:
		/* Without memory the message is handled, and not traced. */
		if (start_ws(arg, "ws.message", conn, &message_span))
			break;
		(void)pulse_span_set_i64(message_span, "ws.opcode", opcode);
		(void)pulse_span_set_i64(message_span, "ws.bytes", (int64_t)value);
		break;
	case PULSE_WS_HOOK_HANDLED:
		pulse_span_end(message_span);
		message_span = NULL;
		break;
	case PULSE_WS_HOOK_CLOSE:
		point(arg, "ws.close", conn, value);
		break;
	default:
		break;
	}
}

int pulse_tracer_watch_ws(struct pulse_tracer *tracer,
			  struct pulse_ws_server *server)
{
	if (!tracer || !server)
		return -EINVAL;
	return pulse_ws_server_set_hook(server, ws_hook, tracer);
}
