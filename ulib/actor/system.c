// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * system.c - the life of a system of actors, and what it has done.
 */
#include <stdio.h>

#include "actor/actor.h"
#include "backend/backend.h"
#include "base/asym.h"
#include "mem/slab.h"
#include "pool/pool.h"

#define PULSE__ACTORS_VER0	pulse__size_to(struct pulse_actors_opts, trace_arg)
#define PULSE__ATHREAD_VER0	pulse__size_to(struct pulse_actor_thread, reserved)
#define PULSE__ACTOR_QUEUE	64U	/* in a worker's, to begin with */
#define PULSE__ACTOR_QUEUE_MAX	65536U
#define PULSE__ASTATS_VER0	pulse__size_to(struct pulse_actors_stats, actor_bytes)

static int pulse__actors_pool(struct pulse_actors *sys,
			      const struct pulse_actors_opts *o)
{
	PULSE_OPTS(pulse_pool_opts, p, .name = o->name ? o->name : "actors",
		   .num_workers = o->num_workers, .seed = o->seed,
		   .task_queue_size = 4096);
	int err = 0;

	/* Handlers may block: then there are to be more. */
	if (!o->seed)
		p.enable_adaptive_sizing = PULSE_ON;
	if (o->num_workers && !o->seed)
		p.max_workers = o->num_workers < 32 ? o->num_workers + 32 :
						      2 * o->num_workers;
	sys->pool = o->pool;
	if (!o->pool) {
		err = pulse_pool_create(&p, &sys->pool);
		sys->own_pool = !err;
	}
	if (err)
		return err;
	sys->det = sys->pool->det != NULL;
	sys->nr_runners = sys->pool->nr_workers;
	sys->follow_ns = PULSE__FOLLOW_NS;
	sys->runner = pulse__aligned_alloc(PULSE_CACHE_PAIR, sys->nr_runners *
					   sizeof(sys->runner[0]));
	if (!sys->runner)
		return -ENOMEM;
	for (uint32_t i = 0; i < sys->nr_runners && !err; i++) {
		sys->runner[i].sys = sys;
		sys->runner[i].home = (uint16_t)(i + 1);
		err = pulse__deque_init(&sys->runner[i].queue, PULSE__ACTOR_QUEUE,
					PULSE__ACTOR_QUEUE_MAX, 0);
	}
	return err;
}

static int pulse__actors_slabs(struct pulse_actors *sys)
{
	/* What one thread sends in a while, another one gives back. */
	PULSE_OPTS(pulse_slab_opts, tiny, .magazine = 256,
		   .object_bytes = sizeof(struct pulse__amsg));
	PULSE_OPTS(pulse_slab_opts, small, .magazine = 128,
		   .object_bytes = sizeof(struct pulse__amsg) + PULSE__MSG_SMALL);
	PULSE_OPTS(pulse_slab_opts, middle,
		   .object_bytes = sizeof(struct pulse__amsg) + PULSE__MSG_MIDDLE);
	int err = pulse_slab_create(&tiny, &sys->tiny);

	_Static_assert(sizeof(struct pulse__amsg) == PULSE_CACHE_LINE,
		       "see PULSE__MSG_SMALL");
	_Static_assert(sizeof(struct pulse__acall) <= sizeof(struct pulse__amsg),
		       "calls come from the tiny slab");
	if (!err)
		err = pulse_slab_create(&small, &sys->small);
	return err ? err : pulse_slab_create(&middle, &sys->middle);
}

/* All that create() made, also a part of it; nobody is inside. */
static void pulse__actors_free(struct pulse_actors *sys)
{
	struct pulse__atype *t;

	while ((t = sys->types)) {
		sys->types = t->next;
		pthread_mutex_destroy(&t->lock);
		pulse__free(t->ref);
		pulse__free(t->name);
		pulse__free(t);
	}
	pulse__atimers_free(sys);
	pulse__table_fini(sys);
	if (sys->tiny)
		pulse_slab_destroy(sys->tiny);
	if (sys->small)
		pulse_slab_destroy(sys->small);
	if (sys->middle)
		pulse_slab_destroy(sys->middle);
	for (uint32_t i = 0; sys->runner && i < sys->nr_runners; i++)
		pulse__deque_fini(&sys->runner[i].queue);
	pulse__free(sys->runner);
	pthread_mutex_destroy(&sys->lock);
	pthread_mutex_destroy(&sys->bonds);
	pthread_mutex_destroy(&sys->over_lock);
	sys->magic = PULSE__MAGIC_DEAD;
	pulse__free(sys);
}

int pulse_actors_create(const struct pulse_actors_opts *opts,
			struct pulse_actors **out)
{
	struct pulse_actors_opts o;
	struct pulse_actors *sys;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o), PULSE__ACTORS_VER0, opts);
	if (err)
		return err;
	if (o.max_actors > PULSE__ACTORS_MAX || (o.pool && o.seed))
		return -EINVAL;
	sys = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*sys));
	if (!sys)
		return -ENOMEM;
	sys->magic = PULSE__ACTORS_MAGIC;
	sys->asym = pulse__asym_local();
	sys->fork_gen = pulse__fork_generation();
	sys->max_actors = o.max_actors ? o.max_actors : PULSE__ACTORS_MAX;
	sys->trace = o.trace;
	sys->trace_arg = o.trace_arg;
	sys->over_last = &sys->over;
	pulse__list_init(&sys->atimers);
	pthread_mutex_init(&sys->lock, NULL);
	pthread_mutex_init(&sys->bonds, NULL);
	pthread_mutex_init(&sys->over_lock, NULL);
	pulse_timer_init(&sys->tick, pulse__actors_tick, sys);
	err = pulse__actors_slabs(sys);
	if (!err)
		sys->many_nodes = sys->tiny->many_nodes;
	if (!err)
		err = pulse_timer_service_create(NULL, &sys->timers);
	if (!err)
		err = pulse__actors_pool(sys, &o);
	pulse__table_init(sys);
	if (err) {
		if (sys->own_pool)
			pulse_pool_destroy(sys->pool);
		if (sys->timers)
			pulse_timer_service_destroy(sys->timers);
		pulse__actors_free(sys);
		return err;
	}
	*out = sys;
	return 0;
}

int pulse_actors_thread_add(struct pulse_actors *sys,
			    const struct pulse_actor_thread *opts)
{
	struct pulse_actor_thread o = { .sz = sizeof(o), .cpu = -1 };
	struct pulse__athread *t;
	int err = pulse__actors_check(sys);

	if (!err && opts)
		err = pulse__opts_load(&o, sizeof(o), PULSE__ATHREAD_VER0, opts);
	if (err)
		return err;
	if (o.cpu < -1 || o.reserved)
		return -EINVAL;
	t = pulse__calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	t->sys = sys;
	t->cpu = o.cpu;
	t->last = &t->first;
	pthread_mutex_lock(&sys->lock);
	t->number = (int)sys->nr_threads;
	snprintf(t->name, sizeof(t->name), "actor-%d", t->number);
	if (o.name)
		snprintf(t->name, sizeof(t->name), "%s", o.name);
	if (sys->stopping)
		err = -ESHUTDOWN;
	else if (sys->nr_threads == PULSE__ACTOR_THREADS)
		err = -ENOSPC;
	else
		err = -pthread_create(&t->thread, NULL, pulse__athread_main, t);
	if (!err)
		/* pairs with pulse__spawn_thread */
		pulse__store_release(&sys->thread[sys->nr_threads++], t);
	pthread_mutex_unlock(&sys->lock);
	if (err) {
		pthread_mutex_destroy(&t->lock);
		pulse__free(t);
		return err;
	}
	return t->number;
}

static void pulse__athreads_end(struct pulse_actors *sys)
{
	for (uint32_t i = 0; i < sys->nr_threads; i++) {
		struct pulse__athread *t = sys->thread[i];

		pthread_mutex_lock(&t->lock);
		t->stop = 1;
		__atomic_fetch_add(&t->seq, 1, __ATOMIC_RELAXED);
		pulse__futex_wake(&t->seq, 1);
		pthread_mutex_unlock(&t->lock);
		pthread_join(t->thread, NULL);
		pthread_mutex_destroy(&t->lock);
		pulse__free(t);
	}
}

/* Until the last actor is dead. */
static void pulse__actors_end(struct pulse_actors *sys)
{
	uint64_t alive, spawned;
	uint32_t used, nr;

	__atomic_store_n(&sys->stopping, 1, __ATOMIC_SEQ_CST);
	/* From here on no bin changes: see table.c. */
	pulse__table_sum(sys, &alive, &spawned);
	pthread_mutex_lock(&sys->lock);
	WRITE_ONCE(sys->nr, sys->nr + (uint32_t)alive);
	used = sys->used;
	pthread_mutex_unlock(&sys->lock);
	/* pairs with the end of spawn.c:pulse__actor_spawn */
	pulse__full_barrier();
	for (uint32_t i = 0; i < used; i++) {
		struct pulse_actor *a = pulse__actor_at(sys, i);
		uint64_t ref = pulse__load_acquire(&a->ref);

		if (ref)
			pulse_actor_stop(sys, ref, -ESHUTDOWN);
	}
	while ((nr = READ_ONCE(sys->nr))) {
		/* Somebody has to wait in the pool for it to go on at all. */
		if (sys->det)
			pulse_pool_wait(sys->pool);
		else
			pulse__futex_wait(&sys->nr, nr, PULSE_FOREVER);
	}
	/* Whoever counted the last one out is out of the lock. */
	pthread_mutex_lock(&sys->lock);
	pthread_mutex_unlock(&sys->lock);
}

int pulse_actors_destroy(struct pulse_actors *sys)
{
	int err = pulse__actors_check(sys);

	if (err && err != -EOWNERDEAD)
		return err;
	if (pulse__actor_self && pulse__actor_self->sys == sys)
		return -EDEADLK;
	if (err) {
		pulse_timer_service_destroy(sys->timers);
		if (sys->own_pool)
			pulse_pool_destroy(sys->pool);
		pulse__actors_free(sys);
		return err;
	}
	pulse__actors_end(sys);
	/* From now on nobody arms it, and it does not use the pool. */
	__atomic_store_n(&sys->ticking, 1, __ATOMIC_SEQ_CST);
	pulse_timer_service_cancel_sync(sys->timers, &sys->tick);
	if (sys->own_pool)
		pulse_pool_destroy(sys->pool);
	/* Tasks that find nothing to do any more. */
	while (pulse__load_acquire(&sys->tasks))
		sched_yield();
	pulse__athreads_end(sys);
	pulse_timer_service_destroy(sys->timers);
	pulse__actors_free(sys);
	return 0;
}

int pulse_actors_wait(struct pulse_actors *sys, int64_t deadline_ns)
{
	int err = pulse__actors_check(sys);

	if (err)
		return err;
	do {
		err = pulse_pool_wait_until(sys->pool, deadline_ns);
	} while (!err && READ_ONCE(sys->nr_over));
	return err;
}

int pulse_actors_stats(struct pulse_actors *sys, struct pulse_actors_stats *out)
{
	struct pulse_actors_stats s = { .sz = sizeof(s) };
	int err = pulse__actors_check(sys);

	if (!err)
		err = pulse__out_check(out, PULSE__ASTATS_VER0);
	if (err)
		return err;
	for (uint32_t i = 0; i < sys->nr_runners; i++)
		s.handled += READ_ONCE(sys->runner[i].handled);
	pthread_mutex_lock(&sys->lock);
	for (uint32_t i = 0; i < sys->nr_threads; i++)
		s.handled += READ_ONCE(sys->thread[i]->handled);
	pthread_mutex_unlock(&sys->lock);
	pulse__table_sum(sys, &s.alive, &s.spawned);
	if (READ_ONCE(sys->stopping))
		s.alive = READ_ONCE(sys->nr);
	s.dead_letters = READ_ONCE(sys->dead_letters);
	s.muted = READ_ONCE(sys->muted);
	s.rescued = READ_ONCE(sys->rescued);
	s.actor_bytes = sizeof(struct pulse_actor);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}
