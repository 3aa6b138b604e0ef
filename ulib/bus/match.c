// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * match.c - which subscriptions an event goes to.
 *
 * Those of the very type hang on its topic; patterns stand in one list and are
 * looked through once for a type: what comes out is remembered until somebody
 * subscribes to that type or to a pattern, or is gone.
 */
#include "bus/bus.h"

static struct pulse__topic *pulse__topic_find(const struct pulse__bucket *b,
					      uint32_t hash, const char *type)
{
	struct pulse__topic *t = b->topics;

	while (t && (t->hash != hash || strcmp(t->type, type)))
		t = t->next;
	return t;
}

void pulse__match_put(struct pulse__match *m)
{
	/* release and acquire: the last one sees all walks done */
	if (__atomic_fetch_sub(&m->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	for (uint32_t i = 0; i < m->nr; i++)
		pulse__sub_put(m->sub[i]);
	pulse__free(m);
}

/* Takes it out of its bucket. A last reference is given back by the caller. */
static struct pulse__match *pulse__match_unlink(struct pulse_bus *bus,
						struct pulse__match **at)
{
	struct pulse__match *m = *at;

	*at = m->next;
	bus->nr_matches--;
	return m;
}

/*
 * Puts a chain of unlinked matches. The lock may be held: a subscription whose
 * last reference goes was unsubscribed, and its end takes no lock of the bus.
 */
static int pulse__matches_put(struct pulse__match *m)
{
	int n = 0;

	while (m) {
		struct pulse__match *next = m->next;

		pulse__match_put(m);
		m = next;
		n++;
	}
	return n;
}

int pulse__matches_drop(struct pulse_bus *bus, bool all)
{
	struct pulse__match *dropped = NULL, *m;

	for (uint32_t i = 0; i < PULSE__BUS_BUCKETS; i++) {
		struct pulse__match **at = &bus->bucket[i].matches;

		while ((m = *at)) {
			if (!all && m->used && m->wild_gen == bus->wild_gen) {
				m->used = false;
				at = &m->next;
				continue;
			}
			pulse__match_unlink(bus, at);
			m->next = dropped;
			dropped = m;
		}
	}
	return pulse__matches_put(dropped);
}

static void pulse__match_forget(struct pulse_bus *bus,
				const struct pulse__topic *t)
{
	struct pulse__match **at = &pulse__bucket(bus, t->hash)->matches;

	for (; *at; at = &(*at)->next) {
		if ((*at)->hash == t->hash && !strcmp((*at)->type, t->type)) {
			pulse__match_put(pulse__match_unlink(bus, at));
			return;
		}
	}
}

static void pulse__match_add(struct pulse_bus *bus, struct pulse__match *m,
			     struct pulse_bus_sub *sub)
{
	if (sub->mark == bus->marks)
		return;
	sub->mark = bus->marks;
	pulse__add_relaxed(&sub->refs, 1);
	m->sub[m->nr++] = sub;
}

static struct pulse__match *pulse__match_make(struct pulse_bus *bus,
					      const struct pulse_bus_event *ev)
{
	size_t bytes = strlen(ev->type) + 1;
	struct pulse__topic *t = pulse__topic_find(pulse__bucket(bus, ev->hash),
						   ev->hash, ev->type);
	size_t most = (t ? t->nr : 0) + (size_t)bus->nr_wild;
	struct pulse__match *m;
	struct pulse__want *w;

	m = pulse__malloc(sizeof(*m) + most * sizeof(m->sub[0]) + bytes);
	if (!m)
		return NULL;
	m->refs = 1;
	m->hash = ev->hash;
	m->wild_gen = bus->wild_gen;
	m->nr = 0;
	m->type = (char *)&m->sub[most];
	memcpy(&m->sub[most], ev->type, bytes);
	bus->marks++;
	if (t) {
		pulse__list_for_each_entry(w, &t->wants, link)
			pulse__match_add(bus, m, w->sub);
	}
	pulse__list_for_each_entry(w, &bus->wild, link) {
		if (pulse__topic_match(w->pattern, ev->type))
			pulse__match_add(bus, m, w->sub);
	}
	return m;
}

struct pulse__match *pulse__match_get(struct pulse_bus *bus,
				      const struct pulse_bus_event *ev)
{
	struct pulse__bucket *b = pulse__bucket(bus, ev->hash);
	struct pulse__match **at, *m, *stale = NULL;

	pthread_mutex_lock(&bus->lock);
	for (at = &b->matches; (m = *at); at = &m->next) {
		if (m->hash == ev->hash && !strcmp(m->type, ev->type))
			break;
	}
	if (m && m->wild_gen != bus->wild_gen) {
		stale = pulse__match_unlink(bus, at);
		m = NULL;
	}
	if (m) {
		pulse__add_relaxed(&m->refs, 1);
	} else {
		m = pulse__match_make(bus, ev);
		if (m && bus->nr_matches < PULSE__BUS_MATCHES) {
			m->refs = 2;
			m->next = b->matches;
			b->matches = m;
			bus->nr_matches++;
		}
	}
	if (m)
		m->used = true;
	pthread_mutex_unlock(&bus->lock);
	if (stale)
		pulse__match_put(stale);
	return m;
}

/* The topic of a want, made where it is the first. */
static struct pulse__topic *pulse__topic_get(struct pulse_bus *bus,
					     const char *type)
{
	uint32_t hash = pulse__topic_hash(type);
	struct pulse__bucket *b = pulse__bucket(bus, hash);
	struct pulse__topic *t = pulse__topic_find(b, hash, type);
	size_t bytes = strlen(type) + 1;

	if (t)
		return t;
	t = pulse__malloc(sizeof(*t) + bytes);
	if (!t)
		return NULL;
	pulse__list_init(&t->wants);
	t->hash = hash;
	t->nr = 0;
	memcpy(t->type, type, bytes);
	t->next = b->topics;
	b->topics = t;
	return t;
}

/* One more, or less (@by is -1), that publishers are to look for. */
static void pulse__want_count(struct pulse_bus *bus, struct pulse__want *w,
			      int by)
{
	uint32_t *nr = w->topic ? &pulse__bucket(bus, w->topic->hash)->wants :
				  &bus->nr_wild;

	/* seq_cst: see pulse__publish_nobody */
	__atomic_store_n(nr, *nr + (uint32_t)by, __ATOMIC_SEQ_CST);
	if (w->topic)
		w->topic->nr += (uint32_t)by;
	else
		bus->wild_gen++;
}

void pulse__wants_del(struct pulse_bus *bus, struct pulse_bus_sub *sub,
		      uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		struct pulse__want *w = &sub->want[i];
		struct pulse__topic *t = w->topic, **at;

		pulse__list_del(&w->link);
		pulse__want_count(bus, w, -1);
		if (!t)
			continue;
		pulse__match_forget(bus, t);
		if (t->nr)
			continue;
		at = &pulse__bucket(bus, t->hash)->topics;
		while (*at != t)
			at = &(*at)->next;
		*at = t->next;
		pulse__free(t);
	}
}

int pulse__wants_add(struct pulse_bus *bus, struct pulse_bus_sub *sub)
{
	for (uint32_t i = 0; i < sub->nr_wants; i++) {
		struct pulse__want *w = &sub->want[i];
		struct pulse__list *to = &bus->wild;

		w->sub = sub;
		w->topic = NULL;
		if (!pulse__topic_check(w->pattern)) {
			w->topic = pulse__topic_get(bus, w->pattern);
			if (!w->topic) {
				pulse__wants_del(bus, sub, i);
				return -ENOMEM;
			}
			to = &w->topic->wants;
			pulse__match_forget(bus, w->topic);
		}
		pulse__list_add_tail(to, &w->link);
		pulse__want_count(bus, w, 1);
	}
	return 0;
}
