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
