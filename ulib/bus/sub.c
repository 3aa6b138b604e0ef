// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * sub.c - subscriptions: their life, receiving, waiting for an event.
 */
#include <pulse-u/result.h>

#include "backend/backend.h"
#include "bus/bus.h"

#define PULSE__SUB_OPTS_VER0 \
	pulse__size_to(struct pulse_bus_sub_opts, block_ns)
#define PULSE__SUB_STATS_VER0 \
	pulse__size_to(struct pulse_bus_sub_stats, most_queued)
#define PULSE__WANTS_MAX	4096
/* A pause takes 14 to 45 ns, a sleep and a wake-up about as long as 200. */
#define PULSE__SPIN_PAUSES	100
#define PULSE__SPIN_TRIES	4U
#define PULSE__SPIN_AGAIN	16U

void pulse__sub_put(struct pulse_bus_sub *sub)
{
	/* release and acquire: the last one sees all others done */
	if (__atomic_fetch_sub(&sub->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	pthread_mutex_destroy(&sub->lock);
	pulse__free(sub->slot);
	pulse__free(sub);
}

bool pulse__sub_call(struct pulse_bus_sub *sub)
{
	if (likely(!sub->waiters))
		return false;
	/* They are as good as gone: no call for each event until they run. */
	WRITE_ONCE(sub->waiters, 0);
	__atomic_fetch_add(&sub->seq, 1, __ATOMIC_RELAXED);
	return true;
}

void pulse__sub_called(struct pulse_bus_sub *sub)
{
	pulse__futex_wake(&sub->seq, INT_MAX);
}

void pulse__sub_wake(struct pulse_bus_sub *sub)
{
	if (pulse__sub_call(sub))
		pulse__sub_called(sub);
}

/* The lock orders all but the futex word itself, which says only "look". */
bool pulse__sub_sleep(struct pulse_bus_sub *sub, int64_t deadline_ns)
{
	uint32_t seq = READ_ONCE(sub->seq);
	bool over = false;

	if (deadline_ns != PULSE_FOREVER && deadline_ns <= pulse_now_ns())
		return false;
	WRITE_ONCE(sub->waiters, sub->waiters + 1);
	pthread_mutex_unlock(&sub->lock);
	over = pulse__futex_wait(&sub->seq, seq, deadline_ns) == -ETIMEDOUT;
	pthread_mutex_lock(&sub->lock);
	/* Whoever moved seq has counted us out. */
	if (READ_ONCE(sub->seq) == seq)
		WRITE_ONCE(sub->waiters, sub->waiters - 1);
	return !over;
}

uint32_t pulse__sub_take(struct pulse_bus_sub *sub,
			 struct pulse_bus_event **out, uint32_t nr)
{
	uint32_t n = 0;

	for (; n < nr && n < sub->nr; n++)
		out[n] = sub->slot[sub->head++ & (sub->room - 1)];
	/* A receiver looks without the lock. */
	WRITE_ONCE(sub->nr, sub->nr - n);
	return n;
}

bool pulse__sub_over(struct pulse_bus_sub *sub)
{
	if (sub->state != PULSE__SUB_GONE || sub->running || sub->end_called)
		return false;
	sub->end_called = true;
	return sub->on_end;
}

/* Held for some stores only: who comes meanwhile need not sleep. */
static void pulse__sub_lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

static int pulse__sub_new(struct pulse_bus *bus, const char *const *types,
			  size_t nr, const struct pulse_bus_sub_opts *opts,
			  struct pulse_bus_sub **out)
{
	struct pulse_bus_sub_opts o;
	struct pulse_bus_sub *sub;
	size_t bytes = 0;
	char *at;
	int err = pulse__opts_load(&o, sizeof(o), PULSE__SUB_OPTS_VER0, opts);

	if (err)
		return err;
	if (!types || !nr || nr > PULSE__WANTS_MAX || o.block_ns < 0 ||
	    o.buffer_size > PULSE__BUS_SIZE_MAX ||
	    o.policy < PULSE_BUS_POLICY_DEFAULT ||
	    o.policy > PULSE_BUS_DISCONNECT)
		return -EINVAL;
	for (size_t i = 0; i < nr; i++) {
		if (!types[i] || pulse__topic_check(types[i]) < 0)
			return -EINVAL;
		bytes += strlen(types[i]) + 1;
	}
	sub = pulse__calloc(1, sizeof(*sub) + nr * sizeof(sub->want[0]) + bytes);
	if (!sub)
		return -ENOMEM;
	sub->slot = pulse__malloc(PULSE__BUS_FIRST * sizeof(sub->slot[0]));
	if (!sub->slot) {
		pulse__free(sub);
		return -ENOMEM;
	}
	pulse__sub_lock_init(&sub->lock);
	sub->refs = 1;
	sub->fork_gen = pulse__fork_generation();
	sub->policy = o.policy ? (uint32_t)o.policy : bus->policy;
	sub->limit = o.buffer_size ? o.buffer_size : bus->buffer_size;
	sub->room = PULSE__BUS_FIRST;
	sub->block_ns = o.block_ns;
	sub->handler = o.handler;
	sub->filter = o.filter;
	sub->on_end = o.on_end;
	sub->arg = o.arg;
	sub->bus = bus;
	sub->nr_wants = (uint32_t)nr;
	pulse__list_init(&sub->ready);
	pulse__list_init(&sub->all);
	at = (char *)&sub->want[nr];
	for (size_t i = 0; i < nr; i++) {
		size_t len = strlen(types[i]) + 1;

		sub->want[i].pattern = memcpy(at, types[i], len);
		at += len;
	}
	*out = sub;
	return 0;
}

int pulse_bus_subscribe_multiple(struct pulse_bus *bus,
				 const char *const *types, size_t nr,
				 const struct pulse_bus_sub_opts *opts,
				 struct pulse_bus_sub **out)
{
	struct pulse_bus_sub *sub;
	int err = pulse__bus_check(bus);

	if (out)
		*out = NULL;
	if (!out)
		return -EINVAL;
	if (err)
		return err;
	err = pulse__sub_new(bus, types, nr, opts, &sub);
	if (err)
		return err;
	if (sub->handler)
		err = pulse__bus_need_pool(bus);
	pthread_mutex_lock(&bus->lock);
	if (!err && __atomic_load_n(&bus->state, __ATOMIC_SEQ_CST) !=
	    PULSE__BUS_OPEN)
		err = -ESHUTDOWN;
	if (!err && bus->nr_subs == bus->max_subscribers)
		err = -ENOSPC;
	if (!err)
		err = pulse__wants_add(bus, sub);
	if (!err) {
		pulse__list_add_tail(&bus->subs, &sub->all);
		bus->nr_subs++;
		pulse__add_relaxed(&bus->refs, 1);
	}
	pthread_mutex_unlock(&bus->lock);
	if (err)
		pulse__sub_put(sub);
	else
		*out = sub;
	return err;
}

int pulse_bus_subscribe(struct pulse_bus *bus, const char *type,
			const struct pulse_bus_sub_opts *opts,
			struct pulse_bus_sub **out)
{
	return pulse_bus_subscribe_multiple(bus, &type, 1, opts, out);
}

int pulse_bus_subscribe_filter(struct pulse_bus *bus, const char *type,
			       pulse_bus_filter_fn filter, void *arg,
			       struct pulse_bus_sub **out)
{
	struct pulse_bus_sub_opts o = { .sz = sizeof(o), .filter = filter,
					.arg = arg };

	if (out)
		*out = NULL;
	if (!filter)
		return -EINVAL;
	return pulse_bus_subscribe_multiple(bus, &type, 1, &o, out);
}

int pulse_bus_subscribe_all(struct pulse_bus *bus,
			    const struct pulse_bus_sub_opts *opts,
			    struct pulse_bus_sub **out)
{
	return pulse_bus_subscribe(bus, ">", opts, out);
}

/* What it has seen is counted for the bus from now on. Under the bus's lock. */
static void pulse__sub_fold(struct pulse_bus *bus, struct pulse_bus_sub *sub)
{
	bus->gone.delivered += sub->delivered;
	bus->gone.consumed += sub->consumed;
	bus->gone.dropped += sub->dropped;
	bus->gone.filtered += sub->filtered;
	bus->gone.timeouts += sub->timeouts;
}

int pulse_bus_unsubscribe(struct pulse_bus_sub *sub)
{
	struct pulse_bus_event *batch[PULSE__BUS_BATCH];
	struct pulse_bus *bus;
	bool forked, inside, over;
	uint32_t n;

	if (!sub)
		return -EINVAL;
	bus = sub->bus;
	forked = pulse__forked(sub->fork_gen);
	if (forked)
		goto out;
	pthread_mutex_lock(&sub->lock);
	WRITE_ONCE(sub->state, PULSE__SUB_GONE);
	inside = pulse__bus_is_inside(bus, NULL);
	/* Who waits says itself that it is over, before it returns. */
	sub->end_called = !inside;
	pulse__sub_wake(sub);
	while ((n = pulse__sub_take(sub, batch, PULSE__BUS_BATCH))) {
		sub->dropped += n;
		pthread_mutex_unlock(&sub->lock);
		while (n)
			pulse_bus_event_put(batch[--n]);
		pthread_mutex_lock(&sub->lock);
	}
	while (!inside && sub->running)
		pulse__sub_sleep(sub, PULSE_FOREVER);
	over = inside ? pulse__sub_over(sub) : sub->on_end != NULL;
	pthread_mutex_unlock(&sub->lock);

	pthread_mutex_lock(&bus->lock);
	pulse__list_del(&sub->all);
	bus->nr_subs--;
	pulse__wants_del(bus, sub, sub->nr_wants);
	pthread_mutex_lock(&sub->lock);
	pulse__sub_fold(bus, sub);
	sub->folded = true;
	pthread_mutex_unlock(&sub->lock);
	pthread_mutex_unlock(&bus->lock);
	if (over)
		sub->on_end(sub->arg);
out:
	pulse__sub_put(sub);
	pulse__bus_put(bus);
	return forked ? -EOWNERDEAD : 0;
}

/* Why there is nothing and will be nothing; 0: there may be. */
static int pulse__sub_end_of(const struct pulse_bus_sub *sub)
{
	switch (sub->state) {
	case PULSE__SUB_CUT:
		return -ECONNABORTED;
	case PULSE__SUB_ENDED:
		return -ESHUTDOWN;
	case PULSE__SUB_GONE:
		return -ECANCELED;
	default:
		return 0;
	}
}

/*
 * The next event is often nearer than a sleep takes, and costs its publisher a
 * call then. Where it was not the last times, this is tried only now and then.
 * Under the lock, which is let go meanwhile.
 */
static void pulse__sub_spin(struct pulse_bus_sub *sub)
{
	if (sub->spun_for_nothing >= PULSE__SPIN_TRIES &&
	    ++sub->sleeps % PULSE__SPIN_AGAIN)
		return;
	pthread_mutex_unlock(&sub->lock);
	for (int i = 0; i < PULSE__SPIN_PAUSES && !READ_ONCE(sub->nr); i++)
		cpu_relax();
	pthread_mutex_lock(&sub->lock);
	if (sub->nr)
		sub->spun_for_nothing = 0;
	else if (sub->spun_for_nothing < PULSE__SPIN_TRIES)
		sub->spun_for_nothing++;
}

static int pulse__sub_receive(struct pulse_bus_sub *sub, int64_t deadline_ns,
			      const struct pulse_token *token,
			      struct pulse_bus_event **out, uint32_t nr)
{
	bool spun = !deadline_ns, call = false;
	int ret = 0;

	/* Its own reference: who unsubscribes meanwhile does not wait for us. */
	pulse__add_relaxed(&sub->refs, 1);
	pthread_mutex_lock(&sub->lock);
	for (;;) {
		uint32_t n = pulse__sub_take(sub, out, nr);

		if (n) {
			sub->consumed += n;
			ret = (int)n;
			/* Publishers that wait for room get some for many. */
			if (sub->nr <= sub->limit / 2)
				call = pulse__sub_call(sub);
			break;
		}
		ret = pulse__sub_end_of(sub);
		if (!ret && token)
			ret = pulse_token_err(token);
		if (ret)
			break;
		if (!spun) {
			spun = true;
			pulse__sub_spin(sub);
			continue;
		}
		spun = false;
		if (!pulse__sub_sleep(sub, deadline_ns) && !sub->nr) {
			ret = pulse__sub_end_of(sub);
			if (!ret)
				ret = -ETIMEDOUT;
			break;
		}
	}
	pthread_mutex_unlock(&sub->lock);
	if (call)
		pulse__sub_called(sub);
	pulse__sub_put(sub);
	return ret;
}

int pulse_bus_receive_batch(struct pulse_bus_sub *sub, int64_t deadline_ns,
			    struct pulse_bus_event **out, unsigned int nr)
{
	if (!sub || !out || !nr || nr > INT_MAX || sub->handler)
		return -EINVAL;
	*out = NULL;
	if (pulse__forked(sub->fork_gen))
		return -EOWNERDEAD;
	return pulse__sub_receive(sub, deadline_ns, NULL, out, nr);
}

int pulse_bus_receive(struct pulse_bus_sub *sub, int64_t deadline_ns,
		      struct pulse_bus_event **out)
{
	int n = pulse_bus_receive_batch(sub, deadline_ns, out, 1);

	return n < 0 ? n : 0;
}

static void pulse__sub_nudge(int reason, void *arg)
{
	struct pulse_bus_sub *sub = arg;

	(void)reason;
	pthread_mutex_lock(&sub->lock);
	pulse__sub_wake(sub);
	pthread_mutex_unlock(&sub->lock);
}

int pulse_bus_wait_multiple(struct pulse_bus *bus, const char *const *types,
			    size_t nr, struct pulse_token *token,
			    int64_t deadline_ns, struct pulse_bus_event **out)
{
	struct pulse_bus_sub_opts o = { .sz = sizeof(o), .buffer_size = 1,
					.policy = PULSE_BUS_DROP_NEWEST };
	struct pulse_token_hook hook = { .fn = pulse__sub_nudge };
	struct pulse_bus_sub *sub;
	int err, set;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse_bus_subscribe_multiple(bus, types, nr, &o, &sub);
	if (err)
		return err;
	hook.arg = sub;
	set = token ? pulse_token_on(token, &hook) : -EALREADY;
	if (token && pulse_token_deadline(token) < deadline_ns)
		deadline_ns = pulse_token_deadline(token);
	err = pulse__sub_receive(sub, deadline_ns, token, out, 1);
	if (err == -ETIMEDOUT && pulse_token_err(token))
		err = pulse_token_err(token);
	if (!set)
		pulse_token_off(token, &hook);
	pulse_bus_unsubscribe(sub);
	return err < 0 ? err : 0;
}

int pulse_bus_wait(struct pulse_bus *bus, const char *type,
		   struct pulse_token *token, int64_t deadline_ns,
		   struct pulse_bus_event **out)
{
	return pulse_bus_wait_multiple(bus, &type, 1, token, deadline_ns, out);
}

int pulse_bus_sub_stats(struct pulse_bus_sub *sub,
			struct pulse_bus_sub_stats *out)
{
	struct pulse_bus_sub_stats s;
	int err = pulse__out_check(out, PULSE__SUB_STATS_VER0);

	if (err || !sub)
		return err ? err : -EINVAL;
	if (pulse__forked(sub->fork_gen))
		return -EOWNERDEAD;
	memset(&s, 0, sizeof(s));
	pthread_mutex_lock(&sub->lock);
	s.delivered = sub->delivered;
	s.consumed = sub->consumed;
	s.dropped = sub->dropped;
	s.filtered = sub->filtered;
	s.timeouts = sub->timeouts;
	s.queued = sub->nr;
	s.most_queued = sub->most;
	pthread_mutex_unlock(&sub->lock);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}
