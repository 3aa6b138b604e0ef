// SPDX-License-Identifier: GPL-2.0-only
/* Actors under a supervisor. */
#include <pulse-u/actor_child.h>
#include <pulse-u/supervisor.h>

#include "actor/actor.h"
#include "helpers.h"

struct life {
	long starts, ends, handled;
	int reason;
};

static int begin(struct pulse_actor *self, void *arg)
{
	ATOMIC_INC(((struct life *)arg)->starts);
	return pulse_actor_set_state(self, arg, NULL);
}

static void live(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct life *l = pulse_actor_state(self);

	ATOMIC_INC(l->handled);
	if (m->tag)
		pulse_actor_exit(self, -(int)m->tag);
}

static void end(struct pulse_actor *self, int reason)
{
	struct life *l = pulse_actor_state(self);

	l->reason = reason;
	ATOMIC_INC(l->ends);
}

static struct pulse_actors *lives(void)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "life", .init = begin,
		   .receive = live, .stop = end);
	struct pulse_actors *sys = actors_of(2);

	KT_EQ(pulse_actor_register(sys, &t), 0);
	return sys;
}

static struct pulse_actor_child *child_of(struct pulse_sup *sup,
					  struct pulse_actors *sys,
					  const char *id, struct life *l)
{
	PULSE_OPTS(pulse_actor_opts, o, .type = "life", .arg = l);
	PULSE_OPTS(pulse_child_spec, spec, .id = id, .kind = PULSE_CHILD_OPS,
		   .ops = pulse_actor_child_ops());
	struct pulse_actor_child *c;

	KT_EQ(pulse_actor_child_create(sys, &o, &c), 0);
	spec.arg = c;
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	return c;
}

KT_TEST(an_actor_that_fails_is_started_again)
{
	PULSE_OPTS(pulse_sup_opts, so, .max_restarts = 60000);
	long rounds = kt_scale(500);
	struct pulse_actors *sys = lives();
	struct life a = { 0 }, b = { 0 };
	struct pulse_actor_child *ca, *cb;
	struct pulse_child_info info = { .sz = sizeof(info) };
	struct pulse_sup *sup;
	uint64_t ref, other;

	KT_REQUIRE(!pulse_sup_create(&so, &sup));
	ca = child_of(sup, sys, "a", &a);
	cb = child_of(sup, sys, "b", &b);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(a.starts, 1);
	other = pulse_actor_child_ref(cb);
	for (long i = 1; i <= rounds; i++) {
		ref = pulse_actor_child_ref(ca);
		KT_EQ(pulse_actor_send(sys, ref, EIO, NULL, 0), 0);
		KT_CHECK(EVENTUALLY(pulse_actor_child_ref(ca) != ref));
		KT_CHECK(EVENTUALLY(ATOMIC_GET(a.starts) == i + 1));
	}
	KT_EQ(ATOMIC_GET(a.ends), rounds);
	KT_EQ(a.reason, -EIO);
	/* The other one is the one that it was. */
	KT_EQ(pulse_actor_child_ref(cb), other);
	KT_EQ(b.starts, 1);
	KT_CHECK(EVENTUALLY(!pulse_sup_find_child(sup, "a", &info) &&
			    info.restarts == (uint64_t)rounds));
	KT_EQ(info.last_exit.kind, PULSE_EXIT_CODE);
	KT_EQ(info.last_exit.code, -EIO);
	KT_EQ(pulse_sup_destroy(sup), 0);
	KT_EQ(b.reason, -ESHUTDOWN);
	KT_EQ(seen_of(sys).alive, 0);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

KT_TEST(one_for_all_starts_all_actors_again)
{
	PULSE_OPTS(pulse_sup_opts, so, .strategy = PULSE_ONE_FOR_ALL,
		   .max_restarts = 100);
	struct pulse_actors *sys = lives();
	struct life l[20];
	struct pulse_actor_child *c[20];
	struct pulse_sup *sup;
	char id[8];

	memset(l, 0, sizeof(l));
	KT_EQ(pulse_sup_create(&so, &sup), 0);
	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "%d", i);
		c[i] = child_of(sup, sys, id, &l[i]);
	}
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(pulse_actor_send(sys, pulse_actor_child_ref(c[7]), EIO, NULL, 0), 0);
	for (int i = 0; i < 20; i++) {
		KT_CHECK(EVENTUALLY(ATOMIC_GET(l[i].starts) == 2));
		KT_EQ(l[i].reason, i == 7 ? -EIO : -ESHUTDOWN);
	}
	KT_EQ(pulse_sup_destroy(sup), 0);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

KT_TEST(a_child_that_nobody_takes_is_given_back)
{
	PULSE_OPTS(pulse_actor_opts, o, .type = "life");
	struct pulse_actors *sys = lives();
	struct pulse_actor_child *c;

	KT_EQ(pulse_actor_child_create(NULL, &o, &c), -EINVAL);
	KT_EQ(pulse_actor_child_create(sys, NULL, &c), -EINVAL);
	KT_EQ(pulse_actor_child_create(sys, &o, NULL), -EINVAL);
	KT_EQ(pulse_actor_child_destroy(NULL), -EINVAL);
	for (int n = 1; n < 3; n++) {
		pulse__alloc_fail_at(n);
		KT_EQ(pulse_actor_child_create(sys, &o, &c), -ENOMEM);
	}
	pulse__alloc_fail_at(0);
	KT_EQ(pulse_actor_child_create(sys, &o, &c), 0);
	KT_EQ(pulse_actor_child_ref(c), PULSE_ACTOR_NONE);
	KT_EQ(pulse_actor_child_ref(NULL), PULSE_ACTOR_NONE);
	KT_EQ(pulse_actor_child_destroy(c), 0);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

KT_MAIN()
