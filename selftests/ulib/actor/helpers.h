/* SPDX-License-Identifier: GPL-2.0-only */
/* helpers.h - systems, types and an actor that does what it is told. */
#ifndef ACTOR_HELPERS_H
#define ACTOR_HELPERS_H

#include <pulse-u/actor.h>

#include "../pool/helpers.h"

#define SEC	1000000000LL
#define SOON()	(pulse_now_ns() + 2000000LL)
#define LATE()	(pulse_now_ns() + 20 * SEC)

static inline struct pulse_actors *actors_of(uint32_t workers)
{
	PULSE_OPTS(pulse_actors_opts, o, .num_workers = workers);
	struct pulse_actors *sys = NULL;
	int err = pulse_actors_create(&o, &sys);

	if (err)
		kt_note("pulse_actors_create: %s", pulse_strerror(err));
	return sys;
}

static inline void type_of(struct pulse_actors *sys, const char *name,
			   pulse_actor_fn receive)
{
	PULSE_OPTS(pulse_actor_type, t, .name = name, .receive = receive);

	KT_EQ(pulse_actor_register(sys, &t), 0);
}

static inline int keep_arg(struct pulse_actor *self, void *arg)
{
	return pulse_actor_set_state(self, arg, NULL);
}

/* An instance whose state is @arg, of a type with keep_arg as its init. */
static inline uint64_t spawn_on(struct pulse_actors *sys, const char *type,
				void *arg, int thread)
{
	PULSE_OPTS(pulse_actor_opts, o, .type = type, .arg = arg,
		   .thread = thread);
	uint64_t ref;
	int err = pulse_actor_spawn(sys, &o, &ref);

	if (err)
		KT_FAIL("pulse_actor_spawn: %s", pulse_strerror(err));
	return ref;
}

static inline uint64_t spawn_of(struct pulse_actors *sys, const char *type,
				void *arg)
{
	return spawn_on(sys, type, arg, 0);
}

static inline struct pulse_actors_stats seen_of(struct pulse_actors *sys)
{
	struct pulse_actors_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_actors_stats(sys, &s), 0);
	return s;
}

/* Counts in its state, a long. */
static inline void count_msg(struct pulse_actor *self,
			     const struct pulse_actor_msg *msg)
{
	(void)msg;
	ATOMIC_INC(*(long *)pulse_actor_state(self));
}

#endif /* ACTOR_HELPERS_H */
