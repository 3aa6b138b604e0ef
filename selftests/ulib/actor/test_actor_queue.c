// SPDX-License-Identifier: GPL-2.0-only
/* Where an actor waits until it is run, and that nobody is forgotten there. */
#include "actor/actor.h"
#include "helpers.h"

#define CROWD	300

struct crowd {
	uint64_t ref[CROWD];
	sem_t inside;
	int stop;
	long count;
	unsigned long workers;		/* a bit each */
	bool stays;
};

/* Sends to all of them from inside, then perhaps does not come back. */
static void send_to_all(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct crowd *c = pulse_actor_state(self);

	(void)m;
	for (int i = 0; i < CROWD; i++)
		KT_EQ(pulse_actor_send(pulse_actor_system(self), c->ref[i], 0,
				       NULL, 0), 0);
	sem_post(&c->inside);
	while (c->stays && !ATOMIC_GET(c->stop))
		nap_us(500);
}

static void one_of_many(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct pulse_actor_context x = { .sz = sizeof(x) };
	struct crowd *c = pulse_actor_state(self);

	(void)m;
	KT_EQ(pulse_actor_context(self, &x), 0);
	__atomic_fetch_or(&c->workers, 1UL << (x.thread_id - PULSE__ACTOR_THREADS),
			  __ATOMIC_RELAXED);
	if (!c->stays)
		nap_us(100);
	ATOMIC_INC(c->count);
}

static struct pulse_actors *crowd_of(uint32_t workers, struct crowd *c,
				     bool stays, uint64_t *first)
{
	PULSE_OPTS(pulse_actor_type, one, .name = "one", .receive = one_of_many,
		   .init = keep_arg);
	PULSE_OPTS(pulse_actor_type, all, .name = "all", .receive = send_to_all,
		   .init = keep_arg);
	struct pulse_actors *sys = actors_of(workers);

	*c = (struct crowd){ .stays = stays };
	sem_init(&c->inside, 0, 0);
	KT_EQ(pulse_actor_register(sys, &one), 0);
	KT_EQ(pulse_actor_register(sys, &all), 0);
	for (int i = 0; i < CROWD; i++)
		c->ref[i] = spawn_of(sys, "one", c);
	*first = spawn_of(sys, "all", c);
	return sys;
}

/* V14: they stand in the slot and the queue of a worker that does not come. */
static void stays_test(uint32_t workers)
{
	struct crowd c;
	uint64_t first;
	struct pulse_actors *sys = crowd_of(workers, &c, true, &first);

	KT_EQ(pulse_actor_send(sys, first, 0, NULL, 0), 0);
	sem_wait_all(&c.inside, 1);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(c.count) == CROWD));
	ATOMIC_SET(c.stop, 1);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

KT_TEST(those_behind_a_handler_that_stays_are_run_by_another)
{
	stays_test(2);
}

KT_TEST(also_where_there_was_one_worker_only)
{
	stays_test(1);
}

KT_TEST(what_piles_up_at_one_worker_reaches_the_other)
{
	struct crowd c;
	uint64_t first;
	struct pulse_actors *sys = crowd_of(2, &c, false, &first);
	int64_t until = LATE();
	long rounds = 0;

	while (__builtin_popcountl(c.workers) < 2 && pulse_now_ns() < until) {
		KT_EQ(pulse_actor_send(sys, first, 0, NULL, 0), 0);
		rounds++;
		KT_CHECK(EVENTUALLY(ATOMIC_GET(c.count) == rounds * CROWD));
	}
	KT_CHECK(__builtin_popcountl(c.workers) >= 2);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

/* ---- turns -------------------------------------------------------------------- */

struct turns {
	uint64_t busy, other;
	long handled, seen;
};

static void begin_turns(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct pulse_actors *sys = pulse_actor_system(self);
	struct turns *t = pulse_actor_state(self);

	(void)m;
	KT_EQ(pulse_actor_send(sys, t->other, 0, NULL, 0), 0);
	for (int i = 0; i < 40; i++)
		KT_EQ(pulse_actor_send(sys, t->busy, 0, NULL, 0), 0);
}

static void take_turn(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct turns *t = pulse_actor_state(self);

	(void)m;
	nap_us(300);
	ATOMIC_INC(t->handled);
}

static void see_turn(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct turns *t = pulse_actor_state(self);

	(void)m;
	ATOMIC_SET(t->seen, ATOMIC_GET(t->handled));
}

KT_TEST(who_has_many_long_ones_does_two_budgets_before_others)
{
	PULSE_OPTS(pulse_actor_type, busy, .name = "busy", .receive = take_turn,
		   .init = keep_arg, .budget = 4);
	PULSE_OPTS(pulse_actor_type, other, .name = "other", .receive = see_turn,
		   .init = keep_arg);
	PULSE_OPTS(pulse_actor_type, begin, .name = "begin",
		   .receive = begin_turns, .init = keep_arg);

	for (long i = 0; i < kt_scale(20); i++) {
		struct pulse_actors *sys = actors_of(1);
		struct turns t = { .seen = -1 };

		KT_EQ(pulse_actor_register(sys, &busy), 0);
		KT_EQ(pulse_actor_register(sys, &other), 0);
		KT_EQ(pulse_actor_register(sys, &begin), 0);
		t.busy = spawn_of(sys, "busy", &t);
		t.other = spawn_of(sys, "other", &t);
		KT_EQ(pulse_actor_send(sys, spawn_of(sys, "begin", &t), 0, NULL,
				       0), 0);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(t.seen) >= 0));
		KT_CHECK(t.seen <= 8);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(t.handled) == 40));
		KT_EQ(pulse_actors_destroy(sys), 0);
	}
}

/* ---- notes of those who were here before ------------------------------------------ */

struct heirs {
	long rounds, same, handled, astray;
	int thread;
	sem_t over;
};

static void inherits(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct pulse_actor_context x = { .sz = sizeof(x) };
	struct heirs *h = pulse_actor_state(self);

	KT_EQ(pulse_actor_context(self, &x), 0);
	if (x.thread_id != h->thread)
		ATOMIC_INC(h->astray);
	ATOMIC_INC(h->handled);
	if (m->tag)
		pulse_actor_exit(self, 0);
}

static void leaves(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	(void)m;
	pulse_actor_reply(self, NULL, 0);
	pulse_actor_exit(self, 0);
}

/*
 * Who is called is run at once and ends, but still stands in the slot; its place
 * is that of an actor of a thread by the time that the slot is looked at.
 */
static void bequeath(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct pulse_actors *sys = pulse_actor_system(self);
	struct heirs *h = pulse_actor_state(self);
	uint64_t gone = spawn_of(sys, "leaves", NULL), heir;

	KT_EQ(pulse_actor_call(sys, gone, 0, NULL, 0, LATE(), NULL, NULL), 0);
	KT_CHECK(EVENTUALLY(!pulse_actor_alive(sys, gone)));
	heir = spawn_on(sys, "inherits", h, h->thread + 1);
	h->same += (uint32_t)heir == (uint32_t)gone;
	for (int i = 3; i >= 0; i--)
		KT_EQ(pulse_actor_send(sys, heir, !i, NULL, 0), 0);
	if (m->tag)
		pulse_actor_send(sys, pulse_actor_self(self), m->tag - 1, NULL, 0);
	else
		sem_post(&h->over);
}

/* ---- who goes where its messages go --------------------------------------------- */

#define FLOOD	100
#define TURNS	20
#define FLOODS	8

struct sink {
	uint64_t ref;
	int stays, inside;
	long got, turns;
};

static void sinks(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct sink *s = pulse_actor_state(self);

	if (!m->tag) {
		ATOMIC_SET(s->inside, 1);
		while (ATOMIC_GET(s->stays))
			nap_us(200);
		return;
	}
	ATOMIC_INC(s->got);
}

/* A hundred messages, then itself again: a turn, as its budget is one. */
static void floods(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct pulse_actors *sys = pulse_actor_system(self);
	struct sink *s = pulse_actor_state(self);

	for (int i = 0; i < FLOOD; i++)
		KT_EQ(pulse_actor_send(sys, s->ref, 1, NULL, 0), 0);
	if (m->tag > 1)
		KT_EQ(pulse_actor_send(sys, pulse_actor_self(self), m->tag - 1,
				       NULL, 0), 0);
	ATOMIC_INC(s->turns);
}

/* However slow this machine is: who may follow does. */
static struct pulse_actors *following(void)
{
	PULSE_OPTS(pulse_actor_type, sink, .name = "sink", .receive = sinks,
		   .init = keep_arg);
	PULSE_OPTS(pulse_actor_type, flood, .name = "flood", .receive = floods,
		   .init = keep_arg, .budget = 1);
	struct pulse_actors *sys = actors_of(2);

	sys->follow_ns = SEC;
	KT_EQ(pulse_actor_register(sys, &sink), 0);
	KT_EQ(pulse_actor_register(sys, &flood), 0);
	return sys;
}

static uint32_t given(const struct pulse_actors *sys)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sys->nr_runners; i++)
		n += READ_ONCE(sys->runner[i].gift_at);
	return n;
}

KT_TEST(who_was_given_to_a_worker_that_stays_in_a_handler_is_run_by_another)
{
	struct sink s = { .stays = 1 };
	struct pulse_actors *sys = following();
	uint64_t ref;

	s.ref = spawn_of(sys, "sink", &s);
	KT_EQ(pulse_actor_send(sys, s.ref, 0, NULL, 0), 0);
	KT_REQUIRE(EVENTUALLY(ATOMIC_GET(s.inside)));
	ref = spawn_of(sys, "flood", &s);
	KT_EQ(pulse_actor_send(sys, ref, TURNS, NULL, 0), 0);
	/* All the while its messages go to a worker that does not come for it. */
	KT_CHECK(EVENTUALLY(ATOMIC_GET(s.turns) == TURNS));
	KT_CHECK(given(sys) > 0);
	ATOMIC_SET(s.stays, 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(s.got) == FLOOD * TURNS));
	KT_EQ(pulse_actors_destroy(sys), 0);
}

KT_TEST(senders_that_follow_their_messages_lose_none)
{
	struct sink s[2] = { { .got = 0 } };
	struct pulse_actors *sys = following();
	uint64_t ref;

	for (int i = 0; i < 2; i++)
		s[i].ref = spawn_of(sys, "sink", &s[i]);
	for (int i = 0; i < FLOODS; i++) {
		ref = spawn_of(sys, "flood", &s[i % 2]);
		KT_EQ(pulse_actor_send(sys, ref, TURNS * 10, NULL, 0), 0);
	}
	for (int i = 0; i < 2; i++)
		KT_CHECK(EVENTUALLY(ATOMIC_GET(s[i].got) ==
				    FLOOD * TURNS * 10 * FLOODS / 2));
	KT_EQ(pulse_actors_destroy(sys), 0);
}

KT_TEST(an_actor_of_a_thread_stays_there_whoever_had_its_place)
{
	PULSE_OPTS(pulse_actor_type, i, .name = "inherits", .receive = inherits,
		   .init = keep_arg);
	PULSE_OPTS(pulse_actor_type, b, .name = "bequeath", .receive = bequeath,
		   .init = keep_arg);
	struct pulse_actors *sys = actors_of(2);
	struct heirs h = { .rounds = kt_scale(5000) };

	sem_init(&h.over, 0, 0);
	KT_EQ(pulse_actor_register(sys, &i), 0);
	KT_EQ(pulse_actor_register(sys, &b), 0);
	type_of(sys, "leaves", leaves);
	h.thread = pulse_actors_thread_add(sys, NULL);
	KT_CHECK(h.thread >= 0);
	KT_EQ(pulse_actor_send(sys, spawn_of(sys, "bequeath", &h),
			       (uint64_t)h.rounds - 1, NULL, 0), 0);
	sem_wait_all(&h.over, 1);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(h.handled) == 4 * h.rounds));
	KT_EQ(h.astray, 0);
	KT_CHECK(h.same > 0);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

KT_MAIN()
