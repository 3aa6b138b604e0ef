// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * child.c - actors as children of a supervisor.
 *
 * Each start spawns an instance that knows its incarnation; when it has ended,
 * and its place in the table is free again, the supervisor is told, in the
 * thread where it ended: a restart costs no switch of threads.
 */
#include <pulse-u/actor_child.h>

#include "actor/actor.h"

struct pulse_actor_child {
	struct pulse_actors *sys;
	struct pulse_actor_opts opts;
	char *type;
	uint64_t ref;		/* of the last incarnation; anybody reads */
};

static int pulse__achild_start(struct pulse_child *self, void *arg)
{
	struct pulse_actor_child *c = arg;

	return pulse__actor_spawn(c->sys, &c->opts, self, &c->ref);
}

static void pulse__achild_stop(struct pulse_child *self, void *arg)
{
	struct pulse_actor_child *c = arg;

	(void)self;
	pulse_actor_stop(c->sys, pulse_actor_child_ref(c), -ESHUTDOWN);
}

void pulse__achild_ended(struct pulse_child *self, int reason)
{
	struct pulse_exit why = { .kind = PULSE_EXIT_CODE, .code = reason };

	if (!reason)
		why.kind = PULSE_EXIT_NORMAL;
	else if (reason == -ESHUTDOWN)
		why.kind = PULSE_EXIT_SHUTDOWN;
	pulse_child_exited(self, &why);
}

static void pulse__achild_free(void *arg)
{
	struct pulse_actor_child *c = arg;

	pulse__free(c->type);
	pulse__free(c);
}

const struct pulse_child_ops *pulse_actor_child_ops(void)
{
	static const struct pulse_child_ops ops = {
		.sz = sizeof(ops),
		.name = "actor",
		.flags = PULSE_CHILD_OPS_INLINE,
		.start = pulse__achild_start,
		.stop = pulse__achild_stop,
		.free = pulse__achild_free,
	};

	return &ops;
}

int pulse_actor_child_create(struct pulse_actors *sys,
			     const struct pulse_actor_opts *opts,
			     struct pulse_actor_child **out)
{
	struct pulse_actor_child *c;
	int err = pulse__actors_check(sys);

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (err)
		return err;
	if (!opts)
		return -EINVAL;
	c = pulse__calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	err = pulse__opts_load(&c->opts, sizeof(c->opts), PULSE__ASPAWN_VER0,
			       opts);
	if (!err && !c->opts.type)
		err = -EINVAL;
	if (!err) {
		c->type = pulse__strdup(c->opts.type);
		if (!c->type)
			err = -ENOMEM;
	}
	if (err) {
		pulse__free(c);
		return err;
	}
	c->opts.type = c->type;
	c->sys = sys;
	*out = c;
	return 0;
}

int pulse_actor_child_destroy(struct pulse_actor_child *c)
{
	if (!c)
		return -EINVAL;
	pulse__achild_free(c);
	return 0;
}

uint64_t pulse_actor_child_ref(const struct pulse_actor_child *c)
{
	return c ? __atomic_load_n(&c->ref, __ATOMIC_ACQUIRE) :
		   PULSE_ACTOR_NONE;
}
