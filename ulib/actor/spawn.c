// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * spawn.c - how an actor begins and ends.
 */
#include <pulse-u/affinity.h>

#include "actor/actor.h"
#include "backend/backend.h"

_Static_assert(sizeof(struct pulse_actor) <= 256, "pulse_actors_stats() and the manual say so");
_Static_assert(offsetof(struct pulse_actor, local) == PULSE_CACHE_LINE, "senders do not touch it");

/* What is in its mailbox reaches nobody. */
static void pulse__actor_drain(struct pulse_actor *a, struct pulse__amsg *m)
{
	struct pulse__amsg *next;
	uint32_t counted = 0;
	uint64_t nr = 0;

	for (; m; m = next, nr++) {
		next = m->next;
		counted += m->view.reserved & PULSE__AMSG_COUNTED;
		pulse__amsg_free(a->sys, m, -ESRCH);
	}
	if (counted)
		__atomic_fetch_sub(&a->queued, counted, __ATOMIC_SEQ_CST);
	if (nr)
		pulse__add_relaxed(&a->sys->dead_letters, nr);
}

static void pulse__actor_close(struct pulse_actor *a)
{
	uintptr_t inbox;

	/* Whoever finds its message not handled finds nobody alive. */
	__atomic_store_n(&a->ref, 0, __ATOMIC_SEQ_CST);
	inbox = __atomic_exchange_n(&a->inbox, PULSE__INBOX_CLOSED,
				    __ATOMIC_SEQ_CST);
	pulse__actor_drain(a, a->local);
	a->local = NULL;
	pulse__actor_drain(a, a->stash);
	a->stash = NULL;
	a->stashed = 0;
	if (inbox > PULSE__INBOX_CLOSED)
		pulse__actor_drain(a, (struct pulse__amsg *)inbox);
	pulse__actor_drain(a, __atomic_exchange_n(&a->urgent,
						  PULSE__URGENT_CLOSED,
						  __ATOMIC_SEQ_CST));
	pulse__actor_unlist(a);
	pulse__actor_unmute(a);
	pulse__actor_forget(a);
	pulse__table_give(a);
}

void pulse__actor_die(struct pulse_actor *a, int reason)
{
	struct pulse_child *child = a->child;
	uint64_t ref = a->ref;

	if (a->type->opts.stop)
		a->type->opts.stop(a, reason);
	pulse__timeout_end(a);
	pulse__atype_del(a->type, a);
	a->mute_on = NULL;
	pulse__bonds_end(a, ref, reason);
	pulse__actor_close(a);
	/* Its place may be another's from here on. */
	pulse__actor_self = NULL;
	if (unlikely(child))
		pulse__achild_ended(child, reason);
}

static int pulse__spawn_thread(struct pulse_actors *sys, int32_t thread,
			       struct pulse__athread **out)
{
	*out = NULL;
	if (!thread)
		return 0;
	if (thread < 0 || thread > PULSE__ACTOR_THREADS)
		return -EINVAL;
	/* pairs with pulse_actors_thread_add */
	*out = pulse__load_acquire(&sys->thread[thread - 1]);
	return *out ? 0 : -ENOENT;
}

/* Fills a place that nobody knows of yet. */
static void pulse__actor_make(struct pulse_actor *a, struct pulse__atype *t,
			      struct pulse__athread *thread, int32_t node)
{
	/* A number is not used again before 2^32 others had its place. */
	if (!++a->generation)
		a->generation = 1;
	/* pairs with type.c:pulse__atype_index */
	pulse__store_release(&a->type, t);
	WRITE_ONCE(a->thread, thread);
	WRITE_ONCE(a->node, node ? node - 1 :
			    a->sys->many_nodes ? pulse_node_current() : 0);
	a->handled = 0;
	a->ending = 0;
	WRITE_ONCE(a->bonded, 0);
	a->receive = t->opts.receive;
	a->overtook = 0;
	WRITE_ONCE(a->home, 0);
	WRITE_ONCE(a->stop, 0);
	pulse__store_release(&a->urgent, NULL);
	/* From now on it takes messages; nobody runs it before it rests. */
	pulse__store_release(&a->inbox, 0);
	/* pairs with pulse__actor_of */
	pulse__store_release(&a->ref, (uint64_t)a->generation << 32 | a->number);
}

/* Its beginning is over: it rests, or there is something to do already. */
static void pulse__actor_release(struct pulse_actor *a, uint64_t ref)
{
	uintptr_t none = 0;

	if (pulse__cas(&a->inbox, &none, PULSE__INBOX_REST, __ATOMIC_SEQ_CST,
		       __ATOMIC_RELAXED)) {
		/* As B of run.c: pairs with A in pulse__actor_nudge */
		if (pulse__actor_wanted(a, ref))
			pulse__actor_nudge(a);
		return;
	}
	pulse__actor_requeue(a, false);
}

int pulse__actor_spawn(struct pulse_actors *sys,
		       const struct pulse_actor_opts *opts,
		       struct pulse_child *child, uint64_t *ref)
{
	struct pulse_actor *a, *outer = pulse__actor_self;
	struct pulse__athread *thread;
	struct pulse_actor_opts o;
	struct pulse__atype *t;
	int err = pulse__actors_check(sys);
	uint64_t made;

	if (err)
		return err;
	if (!opts)
		return -EINVAL;
	err = pulse__opts_load(&o, sizeof(o), PULSE__ASPAWN_VER0, opts);
	if (err)
		return err;
	if (!o.type || o.node < 0)
		return -EINVAL;
	t = pulse__atype_find(sys, o.type);
	if (!t)
		return -ENOENT;
	err = pulse__spawn_thread(sys, o.thread, &thread);
	if (!err)
		err = pulse__table_take(sys, &a);
	if (err)
		return err;
	pulse__actor_make(a, t, thread, o.node);
	made = a->ref;
	a->child = child;
	if (t->opts.init) {
		pulse__actor_self = a;
		err = t->opts.init(a, o.arg);
		pulse__actor_self = outer;
	}
	a->mute_on = NULL;
	if (!err)
		err = pulse__atype_add(t, a);
	if (!err && o.link) {
		err = pulse__actor_bind(a, o.link);
		if (err)
			pulse__atype_del(t, a);
	}
	if (err > 0)
		err = -EINVAL;
	if (err) {
		pulse__timeout_end(a);
		pulse__bonds_end(a, made, err);
		pulse__actor_close(a);
		return err;
	}
	/* Before it runs, and perhaps ends. */
	__atomic_store_n(ref, made, __ATOMIC_RELEASE);
	pulse__actor_release(a, made);
	/*
	 * Who stops them all perhaps found no reference here. Ours was stored
	 * before release(), a full barrier; pairs with system.c:pulse__actors_end
	 */
	if (unlikely(__atomic_load_n(&sys->stopping, __ATOMIC_SEQ_CST)))
		pulse_actor_stop(sys, made, -ESHUTDOWN);
	return 0;
}

int pulse_actor_spawn(struct pulse_actors *sys,
		      const struct pulse_actor_opts *opts, uint64_t *ref)
{
	uint64_t made = PULSE_ACTOR_NONE;
	int err = pulse__actor_spawn(sys, opts, NULL, &made);

	if (ref)
		*ref = made;
	return err;
}

/* Of the incarnation @ref. 0; -EALREADY; -ESRCH: another one is here. */
static int pulse__actor_stop(struct pulse_actor *a, uint64_t ref, int reason)
{
	/* What one that was here before left has no meaning. */
	uint64_t old = __atomic_load_n(&a->stop, __ATOMIC_SEQ_CST);

	do {
		if (__atomic_load_n(&a->ref, __ATOMIC_SEQ_CST) != ref)
			return -ESRCH;
		if (pulse__actor_stopped(old, ref))
			return -EALREADY;
	} while (!pulse__cas(&a->stop, &old, PULSE__STOP(ref, reason),
			     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return 0;
}

int pulse_actor_stop(struct pulse_actors *sys, uint64_t ref, int reason)
{
	struct pulse_actor *a;
	int err = pulse__actors_check(sys);

	if (err)
		return err;
	if (reason > 0)
		return -EINVAL;
	a = pulse__actor_of(sys, ref);
	if (!a)
		return -ESRCH;
	err = pulse__actor_stop(a, ref, reason);
	if (!err)
		pulse__actor_nudge(a);
	return err;
}

int pulse_actor_exit(struct pulse_actor *self, int reason)
{
	if (!self || reason > 0)
		return -EINVAL;
	return pulse__actor_stop(self, self->ref, reason);
}

int pulse_actor_alive(struct pulse_actors *sys, uint64_t ref)
{
	int err = pulse__actors_check(sys);

	return err ? err : pulse__actor_of(sys, ref) != NULL;
}
