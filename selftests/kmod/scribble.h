/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * scribble.h - a hostile peer: a process that has joined a shared context and stores
 * what it likes into every word that it may write, at any time: the park words, jobs
 * and the rest of UWORK, the reader's position of the event ring, heads, turns and
 * payload of the node rings. Beside it works one that keeps to the rules.
 */
#ifndef PULSE_SELFTESTS_SCRIBBLE_H
#define PULSE_SELFTESTS_SCRIBBLE_H

#include "dev.h"

#define SCRIBBLE_RINGS		8
#define SCRIBBLE_WORKERS	8
#define SCRIBBLE_EVENTS		4096

/* Shared by all that take part. */
struct scribble_books {
	unsigned long words;	/* that were scribbled */
	unsigned long calls;	/* of the good ones */
	int hostile;		/* processes that have joined and begun */
	int bad_op, bad_errno;	/* what no call may say */
};

struct scribble {
	struct dev d;
	struct pulse_nring_hdr *ring[SCRIBBLE_RINGS];
	int nr_rings;
	struct scribble_books *books;
};

static inline unsigned int scribble_roll(unsigned long long *rnd, unsigned int n)
{
	*rnd ^= *rnd << 13;
	*rnd ^= *rnd >> 7;
	*rnd ^= *rnd << 17;
	return (unsigned int)(*rnd >> 20) % n;
}

static inline struct scribble_books *scribble_share(void)
{
	void *p = mmap(NULL, sizeof(struct scribble_books), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Maps the node rings of what is in s->d; 0 or -errno. */
static inline int scribble_map_rings(struct scribble *s)
{
	const struct pulse_hdr *h = s->d.hdr;
	const __s32 *nodes = (const void *)((const char *)h + h->nodes_off);

	for (__u32 i = 0; i < h->nr_nodes && s->nr_rings < SCRIBBLE_RINGS; i++) {
		void *p = dev_mmap(s->d.fd, PULSE_REGION_NRING((__u32)nodes[i]),
				   s->d.info.nring_bytes, PROT_READ | PROT_WRITE);

		if (p == MAP_FAILED)
			return -errno;
		s->ring[s->nr_rings++] = p;
	}
	return 0;
}

/* A shared context with everything that can be scribbled on; 0 or -errno. */
static inline int scribble_begin(struct scribble *s, struct scribble_books *books)
{
	int ret = dev_begin_events(&s->d, SCRIBBLE_WORKERS, SCRIBBLE_EVENTS,
				   PULSE_CTX_SHARED);

	s->nr_rings = 0;
	s->books = books;
	return ret ? ret : scribble_map_rings(s);
}

/* The rings are unmapped with the rest of it, by the end of the process. */
static inline void scribble_end(struct scribble *s)
{
	while (s->nr_rings)
		munmap(s->ring[--s->nr_rings], s->d.info.nring_bytes);
	dev_end(&s->d);
}

/* ------------------------------------------------------------- the hostile one */

/* A value made of what stands there, or of what would be right. */
static inline __u64 scribble_value(unsigned long long *rnd, __u64 is, __u64 right,
				   __u64 span)
{
	switch (scribble_roll(rnd, 12)) {
	case 0: return 0;
	case 1: return ~0ULL;
	case 2: return is - 1;
	case 3: return is + 1;
	case 4: return right + span + 1;
	case 5: return right - span - 1;
	case 6: return right + 8 * scribble_roll(rnd, 600);
	case 7: return right - 8 * scribble_roll(rnd, 600);
	case 8: return right | 1;
	case 9: return 1ULL << scribble_roll(rnd, 64);
	case 10: return right;
	default: return *rnd;
	}
}

static inline void scribble_store(struct scribble *s, volatile __u64 *word, __u64 value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->books->words, 1, __ATOMIC_RELAXED);
}

static inline void scribble_ring(struct scribble *s, unsigned long long *rnd)
{
	struct pulse_nring_hdr *r = s->ring[scribble_roll(rnd, (unsigned int)s->nr_rings)];
	__u64 *words = (__u64 *)r, n = s->d.info.ring_entries;
	unsigned int nr = (unsigned int)(s->d.info.nring_bytes / 8);

	switch (scribble_roll(rnd, 4)) {
	case 0:
		scribble_store(s, &r->enqueue, scribble_value(rnd, r->enqueue, r->dequeue, n));
		break;
	case 1:
		scribble_store(s, &r->dequeue, scribble_value(rnd, r->dequeue, r->enqueue, n));
		break;
	default:
		scribble_store(s, &words[scribble_roll(rnd, nr)], *rnd);
	}
}

/* One word, anywhere. */
static inline void scribble_word(struct scribble *s, unsigned long long *rnd)
{
	struct pulse_uwork *u = &s->d.uwork[scribble_roll(rnd, SCRIBBLE_WORKERS)];
	__u64 *words = (__u64 *)u, prod = s->d.evprod->pos;
	unsigned int at;

	switch (scribble_roll(rnd, 5)) {
	case 0:
		scribble_store(s, &s->d.evcons->pos,
			       scribble_value(rnd, s->d.evcons->pos, prod, SCRIBBLE_EVENTS));
		break;
	case 1:
		scribble_ring(s, rnd);
		break;
	case 2:
		at = scribble_roll(rnd, sizeof(*u) / 8);
		scribble_store(s, &words[at], scribble_value(rnd, words[at], words[at], 1));
		break;
	default:
		/* the states, those that are none, epochs backwards and forwards */
		__atomic_store_n(&u->park, PULSE_PARK_WORD(scribble_roll(rnd, 3) - 1,
							   scribble_roll(rnd, 5)),
				 __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&s->books->words, 1, __ATOMIC_RELAXED);
	}
}

/* Each word of it goes back and forth faster than anybody can look twice. */
static inline void *scribble_flip(void *arg)
{
	struct scribble *s = arg;
	__u64 right = s->d.evprod->pos;

	for (unsigned int i = 0;; i++) {
		struct pulse_uwork *u = &s->d.uwork[i / 1024 % SCRIBBLE_WORKERS];

		__atomic_store_n(&u->park, i & 1 ? PULSE_PARK_PARKING : 0xffffffffU,
				 __ATOMIC_RELAXED);
		__atomic_store_n(&s->d.evcons->pos, i & 1 ? right : ~0ULL, __ATOMIC_RELAXED);
		if (!(i & 4095)) {
			right = s->d.evprod->pos;
			sched_yield();
		}
	}
	return NULL;
}

struct scribble_orders {
	struct scribble *s;
	unsigned long long seed;
};

/* For start(): joins the context of its parent and scribbles until it is killed. */
static inline int scribble_hostile(void *arg)
{
	const struct scribble_orders *o = arg;
	struct scribble s = { .d.fd = o->s->d.fd, .d.self = -1, .books = o->s->books };
	unsigned long long rnd = o->seed | 1;
	pthread_t t;

	if (dev_joins(s.d.fd) || dev_map(&s.d) || scribble_map_rings(&s))
		return 1;
	if (pthread_create(&t, NULL, scribble_flip, &s))
		return 1;
	__atomic_add_fetch(&s.books->hostile, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 1;; i++) {
		scribble_word(&s, &rnd);
		/* in bursts: others are to get a CPU, too */
		if (!(i & 255))
			usleep(200);
	}
}

/* ---------------------------------------------------------------- the good one */

/* An errno of which the ABI says that the call may give it. */
static inline bool scribble_may_say(int err)
{
	static const int known[] = {
		0, ESRCH, EAGAIN, ETIMEDOUT, EINTR, EINVAL, EEXIST, ENOSPC, EBUSY,
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == err)
			return true;
	return false;
}

/* One call by the rules, of a worker of @d. */
static inline int scribble_call(struct dev *d, int index, unsigned int op,
				unsigned long long *rnd)
{
	__u32 word = PULSE_PARK_WORD(scribble_roll(rnd, 100), PULSE_PARK_PARKING);
	int other = (int)scribble_roll(rnd, SCRIBBLE_WORKERS);
	long long soon = now_ns() + 1000LL * scribble_roll(rnd, 3000);
	const struct pulse_event_hdr *hdr;
	struct pulse_watch w = {
		.target = index,
		.stuck_ns = 1 + scribble_roll(rnd, 50000000),
		.blocked_ns = 1 + scribble_roll(rnd, 50000000),
	};
	int ret;

	switch (op) {
	case 0:
	case 1:
		set_word(d, index, word);
		return park(d->fd, index, word, soon);
	case 2:
		return wake_one(d->fd, other);
	case 3:
		return wake_node(d->fd, d->info.nr_nodes > 1 ? (int)scribble_roll(rnd, 2) : 0,
				 1 + scribble_roll(rnd, 8), PULSE_WAKE_SPILL);
	case 4:
		set_word(d, index, word);
		return other == index ? 0 : handoff(d->fd, index, other, word, soon);
	case 5:
		return beat(d->fd, index, 1000000ULL * scribble_roll(rnd, 3));
	case 6:
		ret = watch(d->fd, w);
		return ret < 0 ? ret : unwatch(d->fd, ret);
	case 7:
		/* takes an event as the ABI says; a position that is none ends it */
		hdr = d->evcons->pos <= d->evprod->pos ? event_next(d) : NULL;
		if (hdr && PULSE_EVENT_LEN(hdr->len) < SCRIBBLE_EVENTS)
			event_done(d, hdr);
		return 0;
	default:
		ret = worker_del(d->fd, index);
		return ret ? ret : worker_add(d->fd, PULSE_NODE_ANY);
	}
}

#define SCRIBBLE_CALLS	9

struct scribble_worker {
	pthread_t thread;
	struct scribble *s;
	unsigned long long rnd;
	long calls;		/* how many it makes */
};

static inline void *scribble_good(void *arg)
{
	struct scribble_worker *w = arg;
	struct scribble_books *books = w->s->books;
	int index = worker_add(w->s->d.fd, PULSE_NODE_ANY);

	while (index >= 0 && w->calls--) {
		unsigned int op = scribble_roll(&w->rnd, SCRIBBLE_CALLS);
		int ret = scribble_call(&w->s->d, index, op, &w->rnd);

		__atomic_add_fetch(&books->calls, 1, __ATOMIC_RELAXED);
		if (op == SCRIBBLE_CALLS - 1)
			index = ret;
		if (ret < 0 && !scribble_may_say(-ret)) {
			books->bad_op = (int)op;
			books->bad_errno = -ret;
			break;
		}
	}
	if (index >= 0)
		worker_del(w->s->d.fd, index);
	return NULL;
}

#endif /* PULSE_SELFTESTS_SCRIBBLE_H */
