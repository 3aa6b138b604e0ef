// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * slab_mag.c - a magazine for each thread, in which it needs no atomic
 * instruction, and out of which another can take the objects all the same.
 *
 *   its thread (A)                    another (B), under the lock of all
 *   --------------                    ----------------------------------
 *   busy = 1                          claimed = 1, of all mags
 *   light barrier                     heavy barrier: membarrier, once
 *   claimed: leave it, go on to       waits until busy is 0
 *   the lane or the node              takes the objects
 *   objects in, objects out           claimed = 0             (release)
 *   busy = 0              (release)
 *
 * A pairs with B (base/asym.h): either the thread sees claimed, or the other
 * sees busy. spin: asym_lock
 *
 * A thread's mags are given up when it ends, a slab's when it is destroyed;
 * the lock of all mags lies over both. It is held over a fork.
 */
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "mem/slab.h"

#define PULSE__MAG_PATIENCE 100		/* yields until a busy one is left be */

__thread struct pulse__slab_thread *pulse__slab_self;

static pthread_mutex_t pulse__mags_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t pulse__mags_key;
static bool pulse__mags_key_made;
static uint64_t pulse__slab_last_uid;

static void pulse__mags_fork_begin(void)
{
	pthread_mutex_lock(&pulse__mags_lock);
}

static void pulse__mags_fork_end(void)
{
	pthread_mutex_unlock(&pulse__mags_lock);
}

/* Lock of all held. */
static void pulse__mag_unlink(struct pulse__slab_mag *mag)
{
	*mag->prev = mag->next;
	if (mag->next)
		mag->next->prev = mag->prev;
	mag->slab = NULL;
}

/* To the node, with nobody else inside. */
static void pulse__mag_flush(struct pulse_slab *slab,
			     struct pulse__slab_mag *mag)
{
	if (mag->nr)
		pulse__slab_node_give(slab->nodes[mag->node], mag->obj,
				      mag->nr);
	mag->nr = 0;
}

/* A thread ends. In a forked child the nodes' locks may be held for ever. */
static void pulse__mags_thread_end(void *arg)
{
	struct pulse__slab_thread *self = arg;
	struct pulse__slab_mag *mag, *other;

	pulse__slab_self = NULL;
	pthread_mutex_lock(&pulse__mags_lock);
	for (mag = self->mags; mag; mag = other) {
		struct pulse_slab *slab = mag->slab;

		other = mag->other;
		if (slab && !pulse__forked(self->fork_gen)) {
			pulse__mag_flush(slab, mag);
			slab->old_hits += mag->hits;
			slab->old_misses += mag->misses;
			slab->old_frees += mag->frees;
		}
		if (slab)
			pulse__mag_unlink(mag);
		pulse__free(mag);
	}
	pthread_mutex_unlock(&pulse__mags_lock);
	pulse__free(self);
}

__attribute__((constructor))
static void pulse__mags_init(void)
{
	pulse__mags_key_made =
		!pthread_key_create(&pulse__mags_key, pulse__mags_thread_end) &&
		!pthread_atfork(pulse__mags_fork_begin, pulse__mags_fork_end,
				pulse__mags_fork_end);
}

/* The library goes: threads that end later have nothing to call. */
__attribute__((destructor))
static void pulse__mags_fini(void)
{
	if (pulse__mags_key_made)
		pthread_key_delete(pulse__mags_key);
}

/* More nodes than one? Where nobody says so there is one. */
static bool pulse__many_nodes(void)
{
	char text[16] = "";
	int fd = open("/sys/devices/system/node/online", O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	return n > 0 && strcmp(text, "0\n");
}

void pulse__slab_mags_init(struct pulse_slab *slab)
{
	slab->uid = pulse__add_relaxed(&pulse__slab_last_uid, 1) + 1;
	slab->many_nodes = pulse__many_nodes();
	slab->mags = slab->magazine && pulse__mags_key_made &&
		     pulse__asym_local();
}

static struct pulse__slab_thread *pulse__mags_self(void)
{
	struct pulse__slab_thread *self = pulse__slab_self;

	/* What a forked child inherits belongs to slabs that are closed to it. */
	if (self && !pulse__forked(self->fork_gen))
		return self;
	self = pulse__calloc(1, sizeof(*self));
	if (!self)
		return NULL;
	self->fork_gen = pulse__fork_generation();
	if (pthread_setspecific(pulse__mags_key, self)) {
		pulse__free(self);
		return NULL;
	}
	pulse__slab_self = self;
	return self;
}

/* The thread's mag of this slab, if there is one; drops those of dead slabs. */
static struct pulse__slab_mag *pulse__mag_find(struct pulse__slab_thread *self,
					       struct pulse_slab *slab)
{
	struct pulse__slab_mag **at = &self->mags, *found = NULL;

	pthread_mutex_lock(&pulse__mags_lock);
	while (*at) {
		struct pulse__slab_mag *mag = *at;

		if (mag->slab) {
			if (mag->slab == slab)
				found = mag;
			at = &mag->other;
			continue;
		}
		for (int i = 0; i < PULSE__MAG_SLOTS; i++) {
			if (self->slot[i].mag == mag)
				self->slot[i].uid = 0;
		}
		*at = mag->other;
		pulse__free(mag);
	}
	pthread_mutex_unlock(&pulse__mags_lock);
	return found;
}

static struct pulse__slab_mag *pulse__mag_new(struct pulse__slab_thread *self,
					      struct pulse_slab *slab)
{
	struct pulse__slab_mag *mag;
	int cpu, node;

	pulse__here(&cpu, &node);
	if (node < 0)
		node = 0;
	mag = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*mag) +
				   slab->magazine * sizeof(mag->obj[0]));
	if (!mag)
		return NULL;
	mag->cpu = cpu;
	mag->node = node;
	mag->slab = slab;
	mag->other = self->mags;
	self->mags = mag;
	pthread_mutex_lock(&pulse__mags_lock);
	mag->next = slab->mag_list;
	mag->prev = &slab->mag_list;
	if (mag->next)
		mag->next->prev = &mag->next;
	slab->mag_list = mag;
	pthread_mutex_unlock(&pulse__mags_lock);
	return mag;
}

PULSE__COLD struct pulse__slab_mag *
pulse__mag_enter_slow(struct pulse_slab *slab)
{
	struct pulse__slab_thread *self = pulse__mags_self();
	unsigned int slot = slab->uid % PULSE__MAG_SLOTS;
	struct pulse__slab_mag *mag;

	if (!self)
		return NULL;
	mag = pulse__mag_find(self, slab);
	if (!mag)
		mag = pulse__mag_new(self, slab);
	if (!mag)
		return NULL;
	self->slot[slot].mag = mag;
	self->slot[slot].uid = slab->uid;
	return pulse__mag_enter(slab);
}

PULSE__COLD void pulse__mag_moved(struct pulse_slab *slab,
				  struct pulse__slab_mag *mag, int cpu)
{
	int now, node;

	pulse__here(&now, &node);
	if (node >= 0 && node != mag->node) {
		pulse__mag_flush(slab, mag);
		mag->node = node;
	}
	mag->cpu = now < 0 ? cpu : now;
}

void pulse__slab_mags_reclaim(struct pulse_slab *slab)
{
	struct pulse__slab_mag *mag;

	if (!slab->mags)
		return;
	pthread_mutex_lock(&pulse__mags_lock);
	for (mag = slab->mag_list; mag; mag = mag->next)
		WRITE_ONCE(mag->claimed, 1);
	/* B: pairs with A in pulse__mag_enter. spin: asym_lock */
	pulse__asym_heavy(PULSE__ASYM_LOCAL);
	for (mag = slab->mag_list; mag; mag = mag->next) {
		int tries = 0;

		/* Inside for a moment only, unless it was preempted. */
		while (pulse__load_acquire(&mag->busy) &&
		       ++tries < PULSE__MAG_PATIENCE)
			sched_yield();
		if (tries < PULSE__MAG_PATIENCE)
			pulse__mag_flush(slab, mag);
		/* pairs with pulse__mag_enter: its load of claimed */
		pulse__store_release(&mag->claimed, 0);
	}
	pthread_mutex_unlock(&pulse__mags_lock);
}

void pulse__slab_mags_sum(struct pulse_slab *slab, struct pulse_slab_stats *s)
{
	pthread_mutex_lock(&pulse__mags_lock);
	s->hits += slab->old_hits;
	s->misses += slab->old_misses;
	s->frees += slab->old_frees;
	for (struct pulse__slab_mag *mag = slab->mag_list; mag;
	     mag = mag->next) {
		s->hits += READ_ONCE(mag->hits);
		s->misses += READ_ONCE(mag->misses);
		s->frees += READ_ONCE(mag->frees);
	}
	pthread_mutex_unlock(&pulse__mags_lock);
}

void pulse__slab_mags_end(struct pulse_slab *slab)
{
	pthread_mutex_lock(&pulse__mags_lock);
	while (slab->mag_list)
		pulse__mag_unlink(slab->mag_list);
	pthread_mutex_unlock(&pulse__mags_lock);
}
