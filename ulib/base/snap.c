// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * snap.c - versions that are swapped under their readers; see snap.h.
 */
#include "base/snap.h"

#include <sched.h>

unsigned int pulse__lane(void)
{
	static unsigned int next;
	static __thread unsigned int mine;

	if (unlikely(!mine))
		mine = 1 + pulse__add_relaxed(&next, 1);
	return mine - 1;
}

int pulse__snap_init(struct pulse__snap *snap, struct pulse__version *first)
{
	memset(snap, 0, sizeof(*snap));
	snap->cur = first;
	return -pthread_mutex_init(&snap->lock, NULL);
}

void pulse__version_put(struct pulse__version *version)
{
	/* release: what this holder did; acquire: what the others did */
	if (version &&
	    __atomic_fetch_sub(&version->refs, 1, __ATOMIC_ACQ_REL) == 1)
		version->free(version);
}

void pulse__snap_end(struct pulse__snap *snap)
{
	pulse__version_put(snap->cur);
	snap->cur = NULL;
	pthread_mutex_destroy(&snap->lock);
}

struct pulse__version *pulse__snap_get(struct pulse__snap *snap)
{
	uint32_t i = __atomic_load_n(&snap->turn, __ATOMIC_SEQ_CST) & 1;
	uint32_t *inside =
		&snap->lane[pulse__lane() % PULSE__SNAP_LANES].inside[i];
	struct pulse__version *v;

	__atomic_fetch_add(inside, 1, __ATOMIC_SEQ_CST);	/* A */
	v = __atomic_load_n(&snap->cur, __ATOMIC_SEQ_CST);	/* B */
	pulse__add_relaxed(&v->refs, 1);
	/* E: pairs with outside(), so that the reference is counted */
	__atomic_fetch_sub(inside, 1, __ATOMIC_RELEASE);
	return v;
}

/* D: nobody is inside who counted there. */
static void outside(struct pulse__snap *snap, uint32_t i)
{
	for (int lane = 0; lane < PULSE__SNAP_LANES; lane++)
		while (__atomic_load_n(&snap->lane[lane].inside[i],
				       __ATOMIC_SEQ_CST))
			sched_yield();
}

void pulse__snap_swap(struct pulse__snap *snap, struct pulse__version *next)
{
	struct pulse__version *old;

	old = __atomic_exchange_n(&snap->cur, next, __ATOMIC_SEQ_CST); /* C */
	for (int phase = 0; phase < 2; phase++)
		outside(snap, __atomic_fetch_add(&snap->turn, 1,
						 __ATOMIC_SEQ_CST) & 1);
	pulse__version_put(old);
}
