// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * time.c - messages at a time, and the message that says none came.
 *
 * Timers are counted: one reference is the timer service's while it is armed,
 * one the owner's. A timeout's timer is not moved at each message: the actor
 * notes when it last had one, and the timer looks when it expires.
 */
#include "actor/actor.h"

struct pulse_actor_timer {
	struct pulse_timer timer;
	struct pulse__list all;		/* in sys->atimers */
	struct pulse_actors *sys;
	uint32_t refs;
	uint32_t periodic;
	uint64_t target, from, tag;
	size_t bytes;
	char data[];
};

#define PULSE__TIMER_DATA	256U

static void pulse__atimer_put(struct pulse_actor_timer *t)
{
	/* release and acquire: the last one sees the other done */
	if (__atomic_fetch_sub(&t->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	pthread_mutex_lock(&t->sys->bonds);
	pulse__list_del(&t->all);
	pthread_mutex_unlock(&t->sys->bonds);
	pulse__free(t);
}

void pulse__atimers_free(struct pulse_actors *sys)
{
	struct pulse__list *at;

	while ((at = pulse__list_pop(&sys->atimers)))
		pulse__free(container_of(at, struct pulse_actor_timer, all));
}

/* False: there is nobody to be told any more. */
static bool pulse__atimer_send(struct pulse_actor_timer *t)
{
	struct pulse_actor *a = pulse__actor_of(t->sys, t->target);
	struct pulse__amsg *m;

	if (!a)
		return false;
	if (pulse__amsg_new(t->sys, t->target, PULSE_ACTOR_SEND, t->tag, t->data,
			    t->bytes, &m)) {
		pulse__warn_once("actors: no memory for a message that was due");
		return true;
	}
	m->view.from = t->from;
	if (!pulse__amsg_push(t->sys, a, m))
		return true;
	pulse__amsg_free(t->sys, m, 0);
	return false;
}

static void pulse__atimer_due(struct pulse_timer *timer, void *arg)
{
	struct pulse_actor_timer *t = arg;

	if (pulse__atimer_send(t) && t->periodic)
		return;
	/* A periodic one is armed again: who cancels it has the reference. */
	if (!t->periodic || pulse_timer_service_cancel(t->sys->timers, timer) == 1)
		pulse__atimer_put(t);
}

int pulse_actor_send_at(struct pulse_actors *sys, uint64_t ref,
			int64_t deadline_ns, int64_t period_ns, uint64_t tag,
			const void *data, size_t bytes,
			struct pulse_actor_timer **out)
{
	struct pulse_actor_timer *t;
	int err = pulse__actors_check(sys);

	if (out)
		*out = NULL;
	if (err)
		return err;
	if (deadline_ns < 0 || period_ns < 0 || (bytes && !data) ||
	    (period_ns && !out))
		return -EINVAL;
	if (bytes > PULSE__TIMER_DATA)
		return -EMSGSIZE;
	if (!pulse__actor_of(sys, ref))
		return -ESRCH;
	t = pulse__calloc(1, sizeof(*t) + bytes);
	if (!t)
		return -ENOMEM;
	t->sys = sys;
	t->refs = out ? 2 : 1;
	t->periodic = period_ns != 0;
	t->target = ref;
	t->from = pulse__actor_from(sys);
	t->tag = tag;
	t->bytes = bytes;
	if (bytes)
		memcpy(t->data, data, bytes);
	pulse_timer_init(&t->timer, pulse__atimer_due, t);
	if (out)
		*out = t;
	pthread_mutex_lock(&sys->bonds);
	pulse__list_add(&sys->atimers, &t->all);
	pthread_mutex_unlock(&sys->bonds);
	/* Nothing that could fail: it is not armed, and this is no child. */
	return pulse_timer_service_arm(sys->timers, &t->timer, deadline_ns,
				       period_ns);
}

int pulse_actor_timer_cancel(struct pulse_actor_timer *t)
{
	int ret;

	if (!t)
		return -EINVAL;
	ret = pulse_timer_service_cancel(t->sys->timers, &t->timer);
	if (ret == 1) {
		/* It is in its callback perhaps, which ends without us. */
		pulse_timer_service_cancel_sync(t->sys->timers, &t->timer);
		pulse__atimer_put(t);
	}
	pulse__atimer_put(t);
	return ret;
}

/* ---- timeouts -------------------------------------------------------------- */

struct pulse__atimeout {
	struct pulse_timer timer;
	struct pulse_actors *sys;
	uint64_t target;
	int64_t after_ns;	/* the actor writes; 0: none */
	int64_t last_ns;	/* ... when it last had a message */
	uint64_t seen;		/* ... and which; only the actor looks */
	int pending;		/* one is in the mailbox: no second one */
};

static bool pulse__timeout_send(struct pulse__atimeout *t, struct pulse_actor *a)
{
	struct pulse__amsg *m;

	if (pulse__amsg_new(t->sys, t->target, PULSE_ACTOR_TIMEOUT, 0, NULL, 0, &m))
		return false;
	if (!pulse__amsg_push(t->sys, a, m))
		return true;
	pulse__amsg_free(t->sys, m, 0);
	return false;
}

static void pulse__timeout_due(struct pulse_timer *timer, void *arg)
{
	struct pulse__atimeout *t = arg;
	struct pulse_actor *a = pulse__actor_of(t->sys, t->target);
	int64_t after = READ_ONCE(t->after_ns);
	int64_t due = pulse__deadline_after(READ_ONCE(t->last_ns), after);
	int64_t now = pulse_now_ns();

	if (!a || !after)
		return;
	if (due <= now) {
		due = pulse__deadline_after(now, after);
		if (!__atomic_exchange_n(&t->pending, 1, __ATOMIC_RELAXED) &&
		    !pulse__timeout_send(t, a))
			__atomic_store_n(&t->pending, 0, __ATOMIC_RELAXED);
	}
	pulse_timer_service_arm(t->sys->timers, timer, due, 0);
}

void pulse__timeout_active(struct pulse_actor *a)
{
	a->timeout->seen = a->handled;
	WRITE_ONCE(a->timeout->last_ns, pulse_now_ns());
}

/*
 * The actor has come to a timeout in its mailbox. It may have lain there behind
 * messages, or since before another time was set: then it is none.
 */
bool pulse__timeout_stands(struct pulse_actor *a)
{
	struct pulse__atimeout *t = a->timeout;

	__atomic_store_n(&t->pending, 0, __ATOMIC_RELAXED);
	return t->after_ns && t->seen == a->handled &&
	       pulse__deadline_after(t->last_ns, t->after_ns) <= pulse_now_ns();
}

int pulse_actor_set_timeout(struct pulse_actor *self, int64_t timeout_ns)
{
	struct pulse__atimeout *t;

	if (!self || timeout_ns < 0)
		return -EINVAL;
	t = self->timeout;
	if (!t && !timeout_ns)
		return 0;
	if (!t) {
		t = pulse__calloc(1, sizeof(*t));
		if (!t)
			return -ENOMEM;
		t->sys = self->sys;
		t->target = self->ref;
		pulse_timer_init(&t->timer, pulse__timeout_due, t);
		self->timeout = t;
	}
	pulse__timeout_active(self);
	WRITE_ONCE(t->after_ns, timeout_ns);
	if (!timeout_ns) {
		pulse_timer_service_cancel(t->sys->timers, &t->timer);
		return 0;
	}
	return pulse_timer_service_arm(t->sys->timers, &t->timer,
				       pulse__deadline_after(t->last_ns,
							     timeout_ns), 0);
}

void pulse__timeout_end(struct pulse_actor *a)
{
	struct pulse__atimeout *t = a->timeout;

	if (!t)
		return;
	a->timeout = NULL;
	pulse_timer_service_cancel_sync(t->sys->timers, &t->timer);
	pulse__free(t);
}
