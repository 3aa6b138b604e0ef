// SPDX-License-Identifier: GPL-2.0-only
/* Places of actors, their instances by type, and the end of a system meanwhile. */
#include "helpers.h"

static void nothing(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	(void)self;
	(void)m;
}

/* ---- the end, while others begin ------------------------------------------------ */

static long began, ended;

static int grow_begins(struct pulse_actor *self, void *arg)
{
	(void)self;
	(void)arg;
	ATOMIC_INC(began);
	return 0;
}

static void grow_ends(struct pulse_actor *self, int reason)
{
	(void)self;
	(void)reason;
	ATOMIC_INC(ended);
}

/* Another one goes on in its place; every third of them stays where it is. */
static void grow(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	PULSE_OPTS(pulse_actor_opts, o, .type = "grow");
	uint64_t ref;

	if (pulse_actor_spawn(pulse_actor_system(self), &o, &ref))
		return;
	pulse_actor_send(pulse_actor_system(self), ref, m->tag + 1, NULL, 0);
	if (m->tag % 3)
		pulse_actor_exit(self, 0);
}

/* Each is told, and the system does not wait for one that was not. */
KT_TEST(a_system_ends_while_actors_begin_others)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "grow", .receive = grow,
		   .init = grow_begins, .stop = grow_ends);
	long rounds = kt_scale(200);

	for (long i = 0; i < rounds; i++) {
		struct pulse_actors *sys = actors_of(2);

		began = 0;
		ended = 0;
		KT_EQ(pulse_actor_register(sys, &t), 0);
		for (int k = 0; k < 4; k++)
			KT_EQ(pulse_actor_send(sys, spawn_of(sys, "grow", NULL),
					       0, NULL, 0), 0);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(began) > i));
		KT_EQ(pulse_actors_destroy(sys), 0);
		KT_CHECK(began >= 4);
		KT_EQ(ended, began);
	}
}

/* ---- who asks first ----------------------------------------------------------- */

#define CROWDS	3

struct crowd {
	struct pulse_actors *sys;
	pthread_t thread;
	long alive, odd;
	int *go;
};

static void *crowd_main(void *arg)
{
	struct crowd *c = arg;

	while (!ATOMIC_GET(*c->go))
		sched_yield();
	for (int i = 0; i < 60; i++) {
		PULSE_OPTS(pulse_actor_opts, o, .type = i & 1 ? "b" : "a");
		uint64_t ref;

		if (pulse_actor_spawn(c->sys, &o, &ref))
			c->odd++;
		/* Of every four one of each type stays. */
		else if (i & 2)
			c->odd += pulse_actor_stop(c->sys, ref, 0) != 0;
		else
			c->alive++;
	}
	return NULL;
}

static long listed(struct pulse_actors *sys, const char *type)
{
	struct pulse_actor_info info[CROWDS * 60];
	int nr;

	info[0].sz = sizeof(info[0]);
	nr = pulse_actor_list(sys, type, info, CROWDS * 60);
	for (int i = 0; i < nr; i++)
		KT_EQ(pulse_actor_alive(sys, info[i].ref), 1);
	return nr;
}

KT_TEST(instances_are_listed_whenever_somebody_asks_first)
{
	long rounds = kt_scale(100);

	for (long i = 0; i < rounds; i++) {
		struct pulse_actors *sys = actors_of(2);
		struct crowd c[CROWDS];
		int go = 0;
		uint64_t ref;
		long alive = 0;

		type_of(sys, "a", nothing);
		type_of(sys, "b", nothing);
		for (int k = 0; k < CROWDS; k++) {
			c[k] = (struct crowd){ .sys = sys, .go = &go };
			pthread_create(&c[k].thread, NULL, crowd_main, &c[k]);
		}
		__atomic_store_n(&go, 1, __ATOMIC_SEQ_CST);
		for (long k = 0; k < i % 8; k++)
			sched_yield();
		/* Some of them: which ones, nobody knows. */
		KT_CHECK(pulse_actor_list(sys, "a", NULL, 0) >= 0);
		for (int k = 0; k < CROWDS; k++) {
			pthread_join(c[k].thread, NULL);
			KT_EQ(c[k].odd, 0);
			alive += c[k].alive;
		}
		KT_CHECK(EVENTUALLY(seen_of(sys).alive == (uint64_t)alive));
		/* The one was asked for meanwhile, the other is for the first time. */
		KT_EQ(listed(sys, "a"), alive / 2);
		KT_EQ(listed(sys, "b"), alive / 2);
		KT_EQ(pulse_actor_find(sys, "b", 0, &ref), 0);
		KT_EQ(pulse_actor_alive(sys, ref), 1);
		KT_EQ(pulse_actors_destroy(sys), 0);
	}
}

/* ---- places ------------------------------------------------------------------- */

struct stale {
	struct pulse_actors *sys;
	uint64_t ref;
	long odd;
	int over;
	pthread_t thread;
};

static void *stale_main(void *arg)
{
	struct stale *s = arg;

	while (!ATOMIC_GET(s->over)) {
		int err = pulse_actor_stop(s->sys, s->ref, -EIO);

		s->odd += err && err != -ESRCH && err != -EALREADY;
	}
	return NULL;
}

/* Who stops one that ends just then does not stop the next one in its place. */
KT_TEST(a_stop_reaches_whom_it_names)
{
	PULSE_OPTS(pulse_actors_opts, so, .num_workers = 1, .max_actors = 1);
	PULSE_OPTS(pulse_actor_opts, o, .type = "n");
	struct pulse_actors *sys;
	long rounds = kt_scale(500);
	uint64_t next;

	KT_EQ(pulse_actors_create(&so, &sys), 0);
	type_of(sys, "n", nothing);
	for (long i = 0; i < rounds; i++) {
		struct stale s = { .sys = sys };

		KT_EQ(pulse_actor_spawn(sys, &o, &s.ref), 0);
		pthread_create(&s.thread, NULL, stale_main, &s);
		KT_CHECK(EVENTUALLY(!pulse_actor_spawn(sys, &o, &next)));
		KT_EQ((uint32_t)next, (uint32_t)s.ref);
		KT_CHECK(next != s.ref);
		KT_EQ(pulse_actors_wait(sys, LATE()), 0);
		KT_EQ(pulse_actor_alive(sys, next), 1);
		__atomic_store_n(&s.over, 1, __ATOMIC_SEQ_CST);
		pthread_join(s.thread, NULL);
		KT_EQ(s.odd, 0);
		KT_EQ(pulse_actor_alive(sys, next), 1);
		KT_EQ(pulse_actor_stop(sys, next, 0), 0);
		KT_CHECK(EVENTUALLY(!seen_of(sys).alive));
	}
	KT_EQ(pulse_actors_destroy(sys), 0);
}

struct all {
	struct pulse_actors *sys;
	uint64_t ref[100];
	int errs;
};

static void *all_main(void *arg)
{
	PULSE_OPTS(pulse_actor_opts, o, .type = "n");
	struct all *s = arg;

	for (int i = 0; i < 100; i++)
		s->errs += pulse_actor_spawn(s->sys, &o, &s->ref[i]) != 0;
	return NULL;
}

/* All of max_actors places are to be had, whoever had them last. */
KT_TEST(places_that_others_gave_back_are_found)
{
	PULSE_OPTS(pulse_actors_opts, so, .num_workers = 2, .max_actors = 100);
	PULSE_OPTS(pulse_actor_opts, o, .type = "n");
	struct all s = { 0 };
	uint64_t one;

	KT_EQ(pulse_actors_create(&so, &s.sys), 0);
	type_of(s.sys, "n", nothing);
	for (int round = 0; round < 20; round++) {
		pthread_t thread;

		pthread_create(&thread, NULL, all_main, &s);
		pthread_join(thread, NULL);
		KT_EQ(s.errs, 0);
		KT_EQ(seen_of(s.sys).alive, 100);
		KT_EQ(pulse_actor_spawn(s.sys, &o, &one), -ENOSPC);
		for (int i = 0; i < 100; i++)
			KT_EQ(pulse_actor_stop(s.sys, s.ref[i], 0), 0);
		KT_CHECK(EVENTUALLY(!seen_of(s.sys).alive));
	}
	KT_EQ(seen_of(s.sys).spawned, 2000);
	KT_EQ(pulse_actors_destroy(s.sys), 0);
}

KT_MAIN()
