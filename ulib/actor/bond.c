// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * bond.c - monitors and links.
 *
 * A bond hangs on both actors. When one of them ends it takes the bond off the
 * other one and, with the message that was made together with the bond, tells
 * it: so an end needs no memory. All of it under sys->bonds but the telling, and
 * the end of an actor that has no bonds:
 *
 *	its end				who ties one, under the lock
 *	ending = 1			bonded = 1
 *	bonded? takes the lock		ending, or another one is here? -ESRCH
 *
 * All seq_cst: one of the two sees the other.
 */
#include "actor/actor.h"

struct pulse__bond_side {
	struct pulse__list link;	/* in actor->bonds */
	struct pulse_actor *actor;
	uint64_t ref;
	uint32_t side;			/* which of the two */
	bool trap;			/* its type's, once the other one ended */
};

/* side[0] asked for it; a monitor tells only that one. */
struct pulse__bond {
	struct pulse__bond_side side[2];
	struct pulse__amsg *msg;
	uint64_t monitor;		/* its number; 0: a link */
};

static struct pulse__bond *pulse__bond_of(struct pulse__list *at,
					  struct pulse__bond_side **other)
{
	struct pulse__bond_side *s = container_of(at, struct pulse__bond_side,
						  link);
	struct pulse__bond *b = container_of(s - s->side, struct pulse__bond,
					     side[0]);

	*other = &b->side[!s->side];
	return b;
}

static void pulse__bond_free(struct pulse_actors *sys, struct pulse__bond *b)
{
	pulse__list_del(&b->side[0].link);
	pulse__list_del(&b->side[1].link);
	if (b->msg)
		pulse__amsg_free(sys, b->msg, 0);
	pulse__free(b);
}

static int pulse__bond_new(struct pulse_actors *sys, struct pulse_actor *a,
			   uint64_t ref, bool monitor, struct pulse__bond **out)
{
	struct pulse__bond *b = pulse__calloc(1, sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	err = pulse__amsg_new(sys, 0, monitor ? PULSE_ACTOR_DOWN :
			      PULSE_ACTOR_EXIT, 0, NULL, 0, &b->msg);
	if (err) {
		pulse__free(b);
		return err;
	}
	for (uint32_t i = 0; i < 2; i++) {
		pulse__list_init(&b->side[i].link);
		b->side[i].side = i;
	}
	b->side[0].actor = a;
	b->side[0].ref = a->ref;
	b->side[1].ref = ref;
	*out = b;
	return 0;
}

/* The bond's message, to @to: @of ended. Its memory is spent or given back. */
static void pulse__bond_tell(struct pulse_actors *sys, struct pulse__bond *b,
			     uint64_t to, uint64_t of, int reason)
{
	struct pulse_actor *a = pulse__actor_of(sys, to);
	struct pulse__amsg *m = b->msg;

	m->target = to;
	m->view.from = of;
	m->view.tag = b->monitor;
	m->view.reason = reason;
	if (a && !pulse__amsg_signal(a, m))
		b->msg = NULL;
}

void pulse__bonds_end(struct pulse_actor *a, uint64_t ref, int reason)
{
	struct pulse_actors *sys = a->sys;
	struct pulse__bond_side *other;
	struct pulse__list ended, *at;
	struct pulse__bond *b;

	__atomic_store_n(&a->ending, 1, __ATOMIC_SEQ_CST);
	if (likely(!__atomic_load_n(&a->bonded, __ATOMIC_SEQ_CST)))
		return;
	pulse__list_init(&ended);
	pthread_mutex_lock(&sys->bonds);
	while ((at = pulse__list_pop(&a->bonds))) {
		pulse__bond_of(at, &other);
		pulse__list_del(&other->link);
		other->trap = other->actor->type->opts.flags &
			      PULSE_ACTOR_TRAP_EXIT;
		pulse__list_add_tail(&ended, at);
	}
	pthread_mutex_unlock(&sys->bonds);
	/* They are nobody else's now. Who has ended meanwhile hears nothing. */
	while ((at = pulse__list_pop(&ended))) {
		b = pulse__bond_of(at, &other);
		if (b->monitor ? !other->side : other->trap)
			pulse__bond_tell(sys, b, other->ref, ref, reason);
		else if (!b->monitor && reason)
			pulse_actor_stop(sys, other->ref, reason);
		pulse__bond_free(sys, b);
	}
}

/* Hangs it on both. Under the lock. -ESRCH: the other one is gone. */
static int pulse__bond_tie(struct pulse_actors *sys, struct pulse__bond *b)
{
	struct pulse_actor *self = b->side[0].actor;
	struct pulse_actor *other = pulse__actor_of(sys, b->side[1].ref);

	if (!other || self->ending)
		return -ESRCH;
	/* Its own thread ties it, or who spawns it. */
	WRITE_ONCE(self->bonded, 1);
	__atomic_store_n(&other->bonded, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&other->ending, __ATOMIC_SEQ_CST) ||
	    __atomic_load_n(&other->ref, __ATOMIC_SEQ_CST) != b->side[1].ref)
		return -ESRCH;
	b->side[1].actor = other;
	pulse__list_add_tail(&b->side[0].actor->bonds, &b->side[0].link);
	pulse__list_add_tail(&other->bonds, &b->side[1].link);
	return 0;
}

/* The bond between two that is a link, or the monitor of that number. */
static struct pulse__bond *pulse__bond_find(struct pulse_actor *a, uint64_t ref,
					    uint64_t monitor)
{
	struct pulse__bond_side *other;
	struct pulse__list *at;
	struct pulse__bond *b;

	pulse__list_for_each(at, &a->bonds) {
		b = pulse__bond_of(at, &other);
		if (other->ref == ref && b->monitor == monitor)
			return b;
	}
	return NULL;
}

int pulse__actor_bind(struct pulse_actor *a, uint64_t ref)
{
	struct pulse_actors *sys = a->sys;
	struct pulse_actor *other;
	struct pulse__bond *b;
	int err = pulse__bond_new(sys, a, ref, false, &b);

	if (err)
		return err;
	pthread_mutex_lock(&sys->bonds);
	other = pulse__actor_of(sys, ref);
	if (other && pulse__bond_find(a, ref, 0)) {
		pulse__bond_free(sys, b);
	} else {
		err = pulse__bond_tie(sys, b);
		if (err)
			pulse__bond_free(sys, b);
	}
	pthread_mutex_unlock(&sys->bonds);
	return err;
}

int pulse_actor_link(struct pulse_actor *self, uint64_t ref)
{
	if (!self || !ref || ref == self->ref)
		return -EINVAL;
	return pulse__actor_bind(self, ref);
}

int pulse_actor_unlink(struct pulse_actor *self, uint64_t ref)
{
	struct pulse__bond *b;

	if (!self || !ref)
		return -EINVAL;
	pthread_mutex_lock(&self->sys->bonds);
	b = pulse__bond_find(self, ref, 0);
	if (b)
		pulse__bond_free(self->sys, b);
	pthread_mutex_unlock(&self->sys->bonds);
	return b ? 0 : -ENOENT;
}

int pulse_actor_monitor(struct pulse_actor *self, uint64_t ref,
			uint64_t *monitor)
{
	struct pulse_actors *sys;
	struct pulse__bond *b;
	int err, gone;

	if (!self || !ref || ref == self->ref)
		return -EINVAL;
	sys = self->sys;
	err = pulse__bond_new(sys, self, ref, true, &b);
	if (err)
		return err;
	pthread_mutex_lock(&sys->bonds);
	b->monitor = ++sys->monitors;
	if (monitor)
		*monitor = b->monitor;
	gone = pulse__bond_tie(sys, b);
	pthread_mutex_unlock(&sys->bonds);
	if (gone) {
		pulse__bond_tell(sys, b, self->ref, ref, -ESRCH);
		pulse__bond_free(sys, b);
	}
	return 0;
}

int pulse_actor_demonitor(struct pulse_actor *self, uint64_t ref,
			  uint64_t monitor)
{
	struct pulse__bond *b;

	if (!self || !monitor)
		return -EINVAL;
	pthread_mutex_lock(&self->sys->bonds);
	b = pulse__bond_find(self, ref, monitor);
	if (b)
		pulse__bond_free(self->sys, b);
	pthread_mutex_unlock(&self->sys->bonds);
	return b ? 0 : -ENOENT;
}
