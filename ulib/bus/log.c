// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * log.c - the last events of a topic, and who reads them.
 *
 * A log is a subscription that nobody receives from, whose full queue drops the
 * oldest: its queue is the log. The number of an event is how many had been put
 * in with it. The subscription's lock guards the readers, too, and who waits
 * for an event sleeps as a receiver does.
 *
 * A reader has as many entries as it may have events out: one is unused, or in
 * unacked, by the time at which it comes again, and in the bucket of its number.
 */
#include <pulse-u/bus_log.h>

#include "bus/bus.h"

#define PULSE__LOG_OPTS_VER0	\
	pulse__size_to(struct pulse_bus_log_opts, max_readers)
#define PULSE__READER_OPTS_VER0	\
	pulse__size_to(struct pulse_bus_reader_opts, max_deliveries)
#define PULSE__ENTRY_VER0	pulse__size_to(struct pulse_bus_entry, dead)
#define PULSE__READER_STATS_VER0 \
	pulse__size_to(struct pulse_bus_reader_stats, dead)

#define PULSE__LOG_KEEP		1000U
#define PULSE__LOG_READERS	64U
#define PULSE__LOG_UNACKED	256U
#define PULSE__LOG_UNACKED_MAX	65536U
#define PULSE__LOG_WAIT_NS	(30 * PULSE__NSEC_PER_SEC)

struct pulse__log_entry {
	struct pulse__list link;	/* in unacked or unused */
	struct pulse__log_entry *next;	/* in its bucket */
	struct pulse_bus_event *event;	/* a reference */
	uint64_t seq;
	int64_t due_ns;
	uint32_t deliveries;
};

struct pulse_bus_log {
	struct pulse_bus_sub *sub;
	uint32_t nr_readers, max_readers;
	struct pulse__list readers;
};

struct pulse_bus_reader {
	struct pulse__list all;
	struct pulse_bus_log *log;
	char *name;			/* or NULL */
	bool open;
	uint32_t inside;		/* threads in pulse_bus_log_next() */
	uint64_t next;
	int64_t wait_ns;
	uint32_t max_deliveries, nr_unacked;
	uint32_t mask;			/* of buckets */
	uint64_t delivered, redelivered, acked, missed, dead;
	struct pulse__list unacked, unused;
	struct pulse__log_entry **bucket;
	struct pulse__log_entry entry[];
};

static int pulse__log_check(const struct pulse_bus_log *log)
{
	if (!log)
		return -EINVAL;
	return pulse__forked(log->sub->fork_gen) ? -EOWNERDEAD : 0;
}

int pulse_bus_log_create(struct pulse_bus *bus, const char *type,
			 const struct pulse_bus_log_opts *opts,
			 struct pulse_bus_log **out)
{
	PULSE_OPTS(pulse_bus_sub_opts, s, .policy = PULSE_BUS_DROP_OLDEST);
	struct pulse_bus_log_opts o;
	struct pulse_bus_log *log;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o), PULSE__LOG_OPTS_VER0, opts);
	if (err)
		return err;
	log = pulse__calloc(1, sizeof(*log));
	if (!log)
		return -ENOMEM;
	pulse__list_init(&log->readers);
	log->max_readers = o.max_readers ? o.max_readers : PULSE__LOG_READERS;
	s.buffer_size = o.keep ? o.keep : PULSE__LOG_KEEP;
	err = pulse_bus_subscribe(bus, type, &s, &log->sub);
	if (err)
		pulse__free(log);
	else
		*out = log;
	return err;
}

/* In nobody's list any more, and closed. */
static void pulse__reader_free(struct pulse_bus_reader *r)
{
	struct pulse__log_entry *e;

	pulse__list_for_each_entry(e, &r->unacked, link)
		pulse_bus_event_put(e->event);
	pulse__free(r);
}

int pulse_bus_log_destroy(struct pulse_bus_log *log)
{
	struct pulse__list *at;
	struct pulse_bus_reader *r;
	int err = pulse__log_check(log);

	if (err == -EINVAL)
		return err;
	if (!err) {
		pthread_mutex_lock(&log->sub->lock);
		pulse__list_for_each_entry(r, &log->readers, all)
			err = r->open ? -EBUSY : err;
		pthread_mutex_unlock(&log->sub->lock);
		if (err)
			return err;
	}
	while ((at = pulse__list_pop(&log->readers)))
		pulse__reader_free(container_of(at, struct pulse_bus_reader, all));
	err = pulse_bus_unsubscribe(log->sub);
	pulse__free(log);
	return err;
}

/* ---- readers ------------------------------------------------------------------- */

static int pulse__reader_new(struct pulse_bus_log *log,
			     const struct pulse_bus_reader_opts *opts,
			     uint64_t *from, struct pulse_bus_reader **out)
{
	struct pulse_bus_reader_opts o;
	struct pulse_bus_reader *r;
	size_t name, buckets;
	int err = pulse__opts_load(&o, sizeof(o), PULSE__READER_OPTS_VER0, opts);

	if (err)
		return err;
	if (o.ack_wait_ns < 0 || o.max_unacked > PULSE__LOG_UNACKED_MAX ||
	    (o.name && !*o.name))
		return -EINVAL;
	if (!o.max_unacked)
		o.max_unacked = PULSE__LOG_UNACKED;
	name = o.name ? strlen(o.name) + 1 : 0;
	buckets = pulse__pow2_up(o.max_unacked);
	r = pulse__calloc(1, sizeof(*r) + o.max_unacked * sizeof(r->entry[0]) +
			     buckets * sizeof(r->bucket[0]) + name);
	if (!r)
		return -ENOMEM;
	r->log = log;
	r->bucket = (struct pulse__log_entry **)&r->entry[o.max_unacked];
	r->mask = (uint32_t)buckets - 1;
	if (name)
		r->name = memcpy(&r->bucket[buckets], o.name, name);
	r->wait_ns = o.ack_wait_ns ? o.ack_wait_ns : PULSE__LOG_WAIT_NS;
	r->max_deliveries = o.max_deliveries;
	pulse__list_init(&r->all);
	pulse__list_init(&r->unacked);
	pulse__list_init(&r->unused);
	for (uint32_t i = 0; i < o.max_unacked; i++)
		pulse__list_add_tail(&r->unused, &r->entry[i].link);
	*from = o.from;
	*out = r;
	return 0;
}

/* All under the subscription's lock, as far as the next line like this. */

static struct pulse_bus_reader *pulse__log_find(struct pulse_bus_log *log,
						const char *name)
{
	struct pulse_bus_reader *r;

	pulse__list_for_each_entry(r, &log->readers, all) {
		if (name && r->name && !strcmp(r->name, name))
			return r;
	}
	return NULL;
}

static uint64_t pulse__log_oldest(const struct pulse_bus_log *log)
{
	return log->sub->delivered - log->sub->nr + 1;
}

/* A new one's place in the log. */
static int pulse__log_add(struct pulse_bus_log *log, struct pulse_bus_reader *r,
			  uint64_t from)
{
	uint64_t end = log->sub->delivered + 1;

	if (log->nr_readers == log->max_readers)
		return -ENOSPC;
	r->next = !from ? pulse__log_oldest(log) :
		  from == PULSE_BUS_FROM_NOW ? end : from;
	if (r->next > end)
		return -ERANGE;
	pulse__list_add_tail(&log->readers, &r->all);
	log->nr_readers++;
	return 0;
}

static void pulse__log_del(struct pulse_bus_log *log, struct pulse_bus_reader *r)
{
	pulse__list_del(&r->all);
	log->nr_readers--;
}

static struct pulse__log_entry **pulse__entry_at(struct pulse_bus_reader *r,
						 uint64_t seq)
{
	struct pulse__log_entry **at = &r->bucket[seq & r->mask];

	while (*at && (*at)->seq != seq)
		at = &(*at)->next;
	return at;
}

static int64_t pulse__entry_due(const struct pulse__list *at)
{
	return container_of(at, struct pulse__log_entry, link)->due_ns;
}

/* By the time at which it comes again: nearly always last, or among the first. */
static void pulse__entry_wait(struct pulse_bus_reader *r,
			      struct pulse__log_entry *e, int64_t due_ns)
{
	struct pulse__list *at = &r->unacked;

	e->due_ns = due_ns;
	if (!due_ns) {
		while (at->next != &r->unacked && !pulse__entry_due(at->next))
			at = at->next;
	} else {
		for (at = at->prev; at != &r->unacked &&
		     pulse__entry_due(at) > due_ns; at = at->prev)
			;
	}
	pulse__list_add(at, &e->link);
}

/* It is not waited for any more; its reference is the caller's. */
static struct pulse_bus_event *pulse__entry_done(struct pulse_bus_reader *r,
						 struct pulse__log_entry *e)
{
	struct pulse_bus_sub *sub = r->log->sub;
	struct pulse_bus_event *ev = e->event;
	bool full = pulse__list_empty(&r->unused);

	*pulse__entry_at(r, e->seq) = e->next;
	pulse__list_del(&e->link);
	pulse__list_add(&r->unused, &e->link);
	e->event = NULL;
	r->nr_unacked--;
	/* Who waits for an entry; and who waits for all to be acknowledged. */
	if (full || sub->state != PULSE__SUB_LIVE)
		pulse__sub_wake(sub);
	return ev;
}

/* One that comes again. False: none does yet. */
static bool pulse__reader_again(struct pulse_bus_reader *r,
				struct pulse_bus_entry *out, int64_t now)
{
	struct pulse__log_entry *e;

	if (pulse__list_empty(&r->unacked))
		return false;
	e = pulse__list_first_entry(&r->unacked, struct pulse__log_entry, link);
	if (e->due_ns > now)
		return false;
	out->seq = e->seq;
	out->deliveries = ++e->deliveries;
	if (r->max_deliveries && e->deliveries > r->max_deliveries) {
		out->dead = 1;
		r->dead++;
		out->event = pulse__entry_done(r, e);
		return true;
	}
	r->delivered++;
	r->redelivered++;
	out->event = pulse_bus_event_get(e->event);
	pulse__list_del(&e->link);
	pulse__entry_wait(r, e, pulse__deadline_after(now, r->wait_ns));
	return true;
}

/* One that it has not had. */
static bool pulse__reader_new_one(struct pulse_bus_reader *r,
				  struct pulse_bus_entry *out, int64_t now)
{
	struct pulse_bus_sub *sub = r->log->sub;
	uint64_t oldest = pulse__log_oldest(r->log);
	struct pulse__log_entry *e, **at;

	if (r->next > sub->delivered || pulse__list_empty(&r->unused))
		return false;
	if (r->next < oldest) {
		r->missed += oldest - r->next;
		r->next = oldest;
		if (r->next > sub->delivered)
			return false;
	}
	e = container_of(pulse__list_pop(&r->unused), struct pulse__log_entry,
			 link);
	e->seq = r->next++;
	e->deliveries = 1;
	e->event = pulse_bus_event_get(sub->slot[(sub->head + (uint32_t)(e->seq -
						  oldest)) & (sub->room - 1)]);
	at = &r->bucket[e->seq & r->mask];
	e->next = *at;
	*at = e;
	pulse__entry_wait(r, e, pulse__deadline_after(now, r->wait_ns));
	r->nr_unacked++;
	r->delivered++;
	out->event = pulse_bus_event_get(e->event);
	out->seq = e->seq;
	out->deliveries = 1;
	return true;
}

static int pulse__reader_get(struct pulse_bus_reader *r, int64_t deadline_ns,
			     struct pulse_bus_entry *out)
{
	struct pulse_bus_sub *sub = r->log->sub;

	for (;;) {
		int64_t now = pulse_now_ns(), until = deadline_ns;

		if (!r->open)
			return -ECANCELED;
		if (pulse__reader_again(r, out, now) ||
		    pulse__reader_new_one(r, out, now))
			return 0;
		if (sub->state != PULSE__SUB_LIVE && !r->nr_unacked)
			return -ESHUTDOWN;
		if (deadline_ns <= now)
			return -ETIMEDOUT;
		if (r->nr_unacked && pulse__entry_due(r->unacked.next) < until)
			until = pulse__entry_due(r->unacked.next);
		pulse__sub_sleep(sub, until);
	}
}

/* ---- not under the lock ------------------------------------------------------------ */

int pulse_bus_log_open(struct pulse_bus_log *log,
		       const struct pulse_bus_reader_opts *opts,
		       struct pulse_bus_reader **out)
{
	struct pulse_bus_reader *r, *there;
	uint64_t from;
	int err = pulse__log_check(log);

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!err)
		err = pulse__reader_new(log, opts, &from, &r);
	if (err)
		return err;
	pthread_mutex_lock(&log->sub->lock);
	there = pulse__log_find(log, r->name);
	if (!there)
		err = pulse__log_add(log, r, from);
	else if (there->open)
		err = -EBUSY;
	if (!err) {
		*out = there ? there : r;
		(*out)->open = true;
	}
	pthread_mutex_unlock(&log->sub->lock);
	if (*out != r)
		pulse__free(r);
	return err;
}

static int pulse__reader_check(const struct pulse_bus_reader *r)
{
	return r ? pulse__log_check(r->log) : -EINVAL;
}

int pulse_bus_log_close(struct pulse_bus_reader *r)
{
	struct pulse__log_entry *e;
	struct pulse_bus_log *log;
	bool gone;
	int err = pulse__reader_check(r);

	if (err)
		return err;
	log = r->log;
	pthread_mutex_lock(&log->sub->lock);
	r->open = false;
	pulse__sub_wake(log->sub);
	while (r->inside)
		pulse__sub_sleep(log->sub, PULSE_FOREVER);
	pulse__list_for_each_entry(e, &r->unacked, link)
		e->due_ns = 0;
	gone = !r->name;
	if (gone)
		pulse__log_del(log, r);
	pthread_mutex_unlock(&log->sub->lock);
	if (gone)
		pulse__reader_free(r);
	return 0;
}

int pulse_bus_log_forget(struct pulse_bus_log *log, const char *name)
{
	struct pulse_bus_reader *r;
	int err = pulse__log_check(log);

	if (err)
		return err;
	if (!name)
		return -EINVAL;
	pthread_mutex_lock(&log->sub->lock);
	r = pulse__log_find(log, name);
	if (!r)
		err = -ENOENT;
	else if (r->open)
		err = -EBUSY;
	else
		pulse__log_del(log, r);
	pthread_mutex_unlock(&log->sub->lock);
	if (!err)
		pulse__reader_free(r);
	return err;
}

int pulse_bus_log_next(struct pulse_bus_reader *r, int64_t deadline_ns,
		       struct pulse_bus_entry *out)
{
	struct pulse_bus_entry e = { .sz = sizeof(e) };
	struct pulse_bus_sub *sub;
	int err = pulse__out_check(out, PULSE__ENTRY_VER0);

	if (!err)
		err = pulse__reader_check(r);
	if (err)
		return err;
	/* Who closes the reader need not wait until we have let go of the lock. */
	sub = r->log->sub;
	pulse__add_relaxed(&sub->refs, 1);
	pthread_mutex_lock(&sub->lock);
	r->inside++;
	err = pulse__reader_get(r, deadline_ns, &e);
	r->inside--;
	if (!r->open && !r->inside)
		pulse__sub_wake(sub);
	pthread_mutex_unlock(&sub->lock);
	pulse__sub_put(sub);
	if (!err)
		pulse__out_store(out, &e, sizeof(e));
	return err;
}

int pulse_bus_log_ack(struct pulse_bus_reader *r, uint64_t seq)
{
	struct pulse_bus_event *ev = NULL;
	struct pulse__log_entry *e;
	int err = pulse__reader_check(r);

	if (err)
		return err;
	pthread_mutex_lock(&r->log->sub->lock);
	e = *pulse__entry_at(r, seq);
	if (e) {
		ev = pulse__entry_done(r, e);
		r->acked++;
	}
	pthread_mutex_unlock(&r->log->sub->lock);
	pulse_bus_event_put(ev);
	return e ? 0 : -ENOENT;
}

int pulse_bus_log_nack(struct pulse_bus_reader *r, uint64_t seq,
		       int64_t delay_ns)
{
	struct pulse__log_entry *e;
	int err = pulse__reader_check(r);

	if (err)
		return err;
	if (delay_ns < 0)
		return -EINVAL;
	pthread_mutex_lock(&r->log->sub->lock);
	e = *pulse__entry_at(r, seq);
	if (e) {
		pulse__list_del(&e->link);
		pulse__entry_wait(r, e, delay_ns ?
				  pulse__deadline_after(pulse_now_ns(),
							delay_ns) : 0);
		/* Perhaps it comes before what they wait for. */
		pulse__sub_wake(r->log->sub);
	}
	pthread_mutex_unlock(&r->log->sub->lock);
	return e ? 0 : -ENOENT;
}

int pulse_bus_log_stats(struct pulse_bus_reader *r,
			struct pulse_bus_reader_stats *out)
{
	struct pulse_bus_reader_stats s = { .sz = sizeof(s) };
	uint64_t oldest;
	int err = pulse__out_check(out, PULSE__READER_STATS_VER0);

	if (!err)
		err = pulse__reader_check(r);
	if (err)
		return err;
	pthread_mutex_lock(&r->log->sub->lock);
	oldest = pulse__log_oldest(r->log);
	s.next = r->next < oldest ? oldest : r->next;
	s.waiting = r->log->sub->delivered + 1 - s.next;
	s.missed = r->missed + s.next - r->next;
	s.unacked = r->nr_unacked;
	s.delivered = r->delivered;
	s.redelivered = r->redelivered;
	s.acked = r->acked;
	s.dead = r->dead;
	pthread_mutex_unlock(&r->log->sub->lock);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}
