// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * watch.c - children that take too much memory, do not get on, or vanish; and
 * what the module tells of them.
 *
 * With the module, threads are workers of a context: it gives verdicts on them
 * and tells of their death whatever way they die. It watches processes: their
 * memory, and how they end. A pidfd tells that at once and the module in its next
 * round, so the pidfd comes first; but the module knows where nobody can be
 * waited for any more. Everything else is looked at by timers.
 */
#include <linux/pulse.h>
#include <pulse-u/events.h>

#include "backend/backend.h"
#include "sup/sup_int.h"

#define EVENT_BYTES	65536U
#define LOOKS		4	/* at the beats, within the time for one */

static struct pulse_child *by_serial(struct pulse__engine *e, uint64_t serial)
{
	struct pulse_child *inc;

	pulse__list_for_each_entry(inc, &e->watched, watched) {
		if (inc->serial == serial)
			return inc;
	}
	return NULL;
}

/* With the lock: how a process ended, in the module's words. */
static void on_process_death(struct pulse_child *inc,
			     const struct pulse_event *ev)
{
	inc->told = true;
	inc->why = (struct pulse_exit){ .kind = PULSE_EXIT_NORMAL,
					.flags = PULSE_EXIT_MODULE };
	if (ev->signal) {
		inc->why.kind = PULSE_EXIT_SIGNAL;
		inc->why.signal = ev->signal;
		if (ev->exit_code & 0x80)
			inc->why.flags |= PULSE_EXIT_CORE;
	} else if (ev->exit_code) {
		inc->why.kind = PULSE_EXIT_CODE;
		inc->why.code = ev->exit_code >> 8 & 0xff;
	}
	if (inc->unwaited)
		pulse__process_unwaited(inc);
}

static void on_event(struct pulse__engine *e, const struct pulse_event *ev)
{
	struct pulse_child *inc = by_serial(e, ev->cookie);

	if (!inc)
		return;
	switch (ev->type) {
	case PULSE_EVENT_WORKER_DEATH:
		/* Its join returns once the kernel is through with it. */
		if (inc->exited || inc->spec->s.kind != PULSE_CHILD_THREAD)
			return;
		pulse__list_del(&inc->watched);
		WRITE_ONCE(inc->worker, -1);
		inc->why.kind = PULSE_EXIT_LOST;
		pulse__post(inc, PULSE__POST_EXIT);
		pulse__child_put(inc);		/* the thread's reference */
		return;
	case PULSE_EVENT_HANG:
		inc->verdict = ev->verdict;
		pulse__post(inc, PULSE__POST_HANG);
		return;
	case PULSE_EVENT_PROCESS_DEATH:
		if (!inc->exited && ev->exit_code != PULSE_EXIT_UNKNOWN)
			on_process_death(inc, ev);
		return;
	case PULSE_EVENT_RSS:
		if (inc->entry)
			inc->entry->rss_bytes = ev->rss_bytes;
		pulse__post(inc, PULSE__POST_MEMORY);
		return;
	default:
		return;
	}
}

static void on_events(struct pulse_poller *poller, int fd, uint32_t events,
		      void *arg)
{
	struct pulse_event ev = { .sz = sizeof(ev) };
	struct pulse__engine *e = arg;

	(void)poller;
	(void)fd;
	(void)events;
	while (pulse_ctx_events_next(e->ctx, &ev) > 0) {
		pthread_mutex_lock(&e->lock);
		on_event(e, &ev);
		pthread_mutex_unlock(&e->lock);
	}
}

int pulse__watch_hangs(struct pulse_child *inc, int index)
{
	uint64_t ns = (uint64_t)inc->spec->s.hang_ms * PULSE__NSEC_PER_MSEC;
	struct pulse_watch_opts w = { .sz = sizeof(w), .cookie = inc->serial,
				      .stuck_ns = ns, .blocked_ns = ns };
	int id;

	if (!ns || !inc->e->verdicts)
		return 0;
	id = pulse_ctx_watch_worker(inc->e->ctx, index, &w);
	if (id <= 0)
		return 0;
	WRITE_ONCE(inc->hang_watch, true);
	return id;
}

/* What a process says of itself is looked up: the worker must be that process's. */
void pulse__watch_forked(struct pulse_child *inc)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };
	struct pulse__engine *e = inc->e;

	if (inc->exited || inc->worker >= 0 || !e->ctx)
		return;
	for (int i = 0; i < (int)e->ctx->max_workers; i++) {
		if (pulse_worker_state(e->ctx, i, &st) || st.tid != inc->pid)
			continue;
		inc->hang_id = pulse__watch_hangs(inc, i);
		if (!inc->hang_id)
			return;
		WRITE_ONCE(inc->worker, i);
		if (pulse__list_empty(&inc->watched))
			pulse__list_add_tail(&e->watched, &inc->watched);
		return;
	}
}

void pulse__watch_forget(struct pulse_child *inc)
{
	if (inc->hang_id)
		pulse_ctx_unwatch(inc->e->ctx, inc->hang_id);
	inc->hang_id = 0;
	WRITE_ONCE(inc->hang_watch, false);
	WRITE_ONCE(inc->worker, -1);
	pulse__list_del(&inc->watched);
}

/* A context of our own, where there is a module for it. */
static int own_ctx(struct pulse__engine *e, const struct pulse_sup_opts *o)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };
	struct pulse_ctx_opts ctx = { .sz = sizeof(ctx),
				      .max_workers = o->max_threads,
				      .event_bytes = EVENT_BYTES };
	int err;

	if (pulse_backend_info(&info) || info.kind != PULSE_BACKEND_KERNEL ||
	    !(info.features & PULSE_FEAT_EVENTS))
		return 0;
	if (info.features & PULSE_FEAT_SHARED)	/* forked children come in */
		ctx.flags = PULSE_CTX_OPT_SHARED;
	err = pulse_ctx_create(&ctx, &e->ctx);
	if (err) {
		e->ctx = NULL;
		if (err == -ENOMEM)
			return err;
		pulse__warn_once("supervisor: no context of the module: %s; threads are looked after without it",
				 pulse_strerror(err));
		return 0;
	}
	e->own_ctx = true;
	return 0;
}

int pulse__watch_open(struct pulse__engine *e, const struct pulse_sup_opts *o)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };
	int err, fd;

	if (!e->ctx) {
		if (o->ctx)
			e->ctx = o->ctx;
		err = o->ctx ? 0 : own_ctx(e, o);
		if (err || !e->ctx)
			return err;
	}
	if (e->events_id)
		return 0;
	fd = pulse_ctx_events_fd(e->ctx);
	if (fd < 0) {
		pulse_log(PULSE_LOG_ERROR,
			  "supervisor: its context has no events; make it with event_bytes");
		return fd;
	}
	pulse_backend_info(&info);
	e->verdicts = info.features & PULSE_FEAT_WATCH;
	return pulse_poller_add(e->poller, fd, PULSE_POLLER_IN, on_events, e,
				&e->events_id);
}

void pulse__watch_close(struct pulse__engine *e)
{
	if (e->events_id)
		pulse_poller_del(e->poller, e->events_id);
	e->events_id = 0;
	if (e->own_ctx)
		pulse_ctx_destroy(e->ctx);
	e->ctx = NULL;
}

/* ---- by timers ------------------------------------------------------------------ */

static void on_tick(struct pulse_timer *t, void *arg)
{
	struct pulse__entry *en = arg;
	struct pulse__engine *e = en->sup->e;
	const struct pulse_child_spec *s = &en->spec->s;
	struct pulse_child *inc = en->inc;

	(void)t;
	if (inc && inc->unwaited) {	/* the module did not tell either */
		pulse__process_unwaited(inc);
		return;
	}
	if (!inc || en->status != PULSE_CHILD_RUNNING)
		return;
	if (s->kind == PULSE_CHILD_THREAD && pulse__thread_vanished(inc))
		return;
	if (s->kind == PULSE_CHILD_PROCESS && s->max_memory_bytes && !inc->watch) {
		en->rss_bytes = pulse__process_rss(inc);
		if (en->rss_bytes > s->max_memory_bytes) {
			pulse__entry_condemn(en, PULSE_EXIT_MEMORY, 0);
			return;
		}
	}
	if (s->health && !en->checking) {
		en->checking = !pulse__health_submit(e, inc);
		if (en->checking)
			pulse__timer_arm(e, &en->check,
					 s->health_timeout_ms *
					 PULSE__NSEC_PER_MSEC, 0);
	}
}

static void on_check_late(struct pulse_timer *t, void *arg)
{
	struct pulse__entry *en = arg;
	struct pulse__engine *e = en->sup->e;

	(void)t;
	if (!en->inc || !en->checking)
		return;
	if (!pulse__health_stuck(e, en->inc)) {	/* it did not begin yet */
		pulse__timer_arm(e, &en->check, en->spec->s.health_timeout_ms *
				 PULSE__NSEC_PER_MSEC, 0);
		return;
	}
	en->checking = false;
	pulse__entry_condemn(en, PULSE_EXIT_HEALTH, 0);
}

/* It could run and has no CPU: no fault of its own. The module knows. */
static bool starves(const struct pulse_child *inc)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };
	int worker = READ_ONCE(inc->worker);

	return READ_ONCE(inc->hang_watch) && worker >= 0 &&
	       !pulse_worker_state(inc->e->ctx, worker, &st) &&
	       st.state == PULSE_STATE_PREEMPTED;
}

static void on_hang_look(struct pulse_timer *t, void *arg)
{
	struct pulse__entry *en = arg;
	struct pulse_child *inc = en->inc;
	int64_t now = pulse__engine_now(en->sup->e);
	int64_t limit = en->spec->s.hang_ms * PULSE__NSEC_PER_MSEC;
	uint64_t beats;

	(void)t;
	if (!inc || en->status != PULSE_CHILD_RUNNING)
		return;
	beats = READ_ONCE(inc->beats);
	/* The module's verdict says more, but has none on who naps on and on. */
	if (READ_ONCE(inc->hang_watch))
		limit *= 2;
	if (beats != en->beats_seen || READ_ONCE(inc->waiting) ||
	    starves(inc)) {
		en->beats_seen = beats;
		en->beats_at = now;
	} else if (now - en->beats_at >= limit) {
		pulse__entry_condemn(en, PULSE_EXIT_HANG, 0);
	}
}

void pulse__watch_init(struct pulse__entry *en)
{
	pulse_timer_init(&en->tick, on_tick, en);
	pulse_timer_init(&en->check, on_check_late, en);
	pulse_timer_init(&en->hang, on_hang_look, en);
}

void pulse__watch_begin(struct pulse__entry *en)
{
	const struct pulse_child_spec *s = &en->spec->s;
	struct pulse__engine *e = en->sup->e;
	struct pulse_child *inc = en->inc;
	int64_t every = s->health_interval_ms * PULSE__NSEC_PER_MSEC;
	bool limited = s->kind == PULSE_CHILD_PROCESS && s->max_memory_bytes;

	if (s->kind == PULSE_CHILD_PROCESS && e->verdicts) {
		struct pulse_watch_opts w = { .sz = sizeof(w),
					      .cookie = inc->serial,
					      .rss_bytes = s->max_memory_bytes };

		inc->watch = pulse_ctx_watch_process(e->ctx, inc->pid, &w);
		if (inc->watch < 0)
			inc->watch = 0;
		else if (pulse__list_empty(&inc->watched))
			pulse__list_add_tail(&e->watched, &inc->watched);
	}
	if (s->health || (limited && !inc->watch) ||
	    (s->kind == PULSE_CHILD_THREAD && !e->ctx))
		pulse__timer_arm(e, &en->tick, every, every);
	if (s->hang_ms) {
		int64_t look = s->hang_ms * PULSE__NSEC_PER_MSEC / LOOKS;

		en->beats_seen = READ_ONCE(inc->beats);
		en->beats_at = pulse__engine_now(e);
		pulse__timer_arm(e, &en->hang, look, look);
	}
}

void pulse__watch_end(struct pulse__entry *en)
{
	struct pulse__engine *e = en->sup->e;
	struct pulse_child *inc = en->inc;

	pulse__timer_off(e, &en->tick);
	pulse__timer_off(e, &en->check);
	pulse__timer_off(e, &en->hang);
	en->checking = false;
	if (inc && inc->unwaited)	/* whatever the module would tell */
		pulse__process_unwaited(inc);
	if (inc && inc->watch) {
		pulse_ctx_unwatch(e->ctx, inc->watch);
		inc->watch = 0;
		pulse__list_del(&inc->watched);
	}
}
