// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * nested.c - supervisors as children of supervisors: the same engine, the same
 * driver, so a start is a flag and a place in the list of who may get on.
 */
#include "sup/sup_int.h"

static int nested_start(struct pulse_child *self, void *arg)
{
	struct pulse_sup *sub = self->spec->s.supervisor;
	struct pulse__engine *e = self->e;

	(void)arg;
	pthread_mutex_lock(&e->lock);
	sub->parent = self->entry;
	sub->want_start = true;
	/* What was asked of the last life, and came too late for it. */
	sub->want_end = sub->brutal = false;
	pulse__sup_wake(sub);
	pthread_mutex_unlock(&e->lock);
	return PULSE_CHILD_PENDING;
}

static void nested_end(struct pulse_child *self, bool brutal)
{
	struct pulse__engine *e = self->e;

	pthread_mutex_lock(&e->lock);
	pulse__sup_end(self->spec->s.supervisor, brutal);
	pthread_mutex_unlock(&e->lock);
}

static void nested_stop(struct pulse_child *self, void *arg)
{
	(void)arg;
	nested_end(self, false);
}

static void nested_kill(struct pulse_child *self, void *arg)
{
	(void)arg;
	nested_end(self, true);
}

const struct pulse_child_ops pulse__nested_ops = {
	.sz = sizeof(pulse__nested_ops),
	.name = "supervisor",
	.flags = PULSE_CHILD_OPS_INLINE,
	.start = nested_start,
	.stop = nested_stop,
	.kill = nested_kill,
};
