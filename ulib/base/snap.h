/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * snap.h - one current version of something that many read and few replace.
 *
 * A version is counted and never changes. A reader takes a reference to the
 * current one without a lock and without waiting for anybody; a writer puts a
 * new one in its place and waits only for readers that are between reading the
 * pointer and counting their reference: a few instructions.
 *
 *   reader                            writer, under the lock
 *   ------                            ------
 *   i = turn & 1                      old = xchg(cur, new)           (C)
 *   inside[i]++               (A)     twice:
 *   v = cur                   (B)         i = turn & 1; turn++
 *   v->refs++                             until inside[i] is 0       (D)
 *   inside[i]--, release      (E)     put(old)
 *
 * All are seq_cst but E. A reader whose B read the old version did A before C
 * in the one order of them all, so D, which follows C for either counter, sees
 * A, and then E with the reference. The turn keeps readers that come later from
 * holding the writer up: they count in the other place. Source: the two phases
 * of sleepable RCU (P. McKenney, "Sleepable RCU", 2006). spin: snap.
 *
 * The counters are spread over lines by thread.
 */
#ifndef PULSE__SNAP_H
#define PULSE__SNAP_H

#include "base/base.h"

#include <pthread.h>

#define PULSE__SNAP_LANES 8

/* What a version begins with. */
struct pulse__version {
	uint64_t refs;
	void (*free)(struct pulse__version *version);
};

struct pulse__snap {
	struct pulse__version *cur;
	uint32_t turn;
	pthread_mutex_t lock;		/* writers */
	struct {
		uint32_t inside[2];
	} PULSE__PAIR_ALIGNED lane[PULSE__SNAP_LANES];
};

/* The first version, whose reference becomes the snap's. */
int pulse__snap_init(struct pulse__snap *snap, struct pulse__version *first);
/* Nobody reads any more; references that were taken go on. */
void pulse__snap_end(struct pulse__snap *snap);

/* A reference to the current version; any thread, any time. */
struct pulse__version *pulse__snap_get(struct pulse__snap *snap);
void pulse__version_put(struct pulse__version *version);

/*
 * A writer holds the lock from reading the current version, of which it makes
 * the next one, to its swap. The swap puts the old version.
 */
static inline void pulse__snap_lock(struct pulse__snap *snap)
{
	pthread_mutex_lock(&snap->lock);
}

static inline void pulse__snap_unlock(struct pulse__snap *snap)
{
	pthread_mutex_unlock(&snap->lock);
}

void pulse__snap_swap(struct pulse__snap *snap, struct pulse__version *next);

/* A small number for the calling thread, spread over threads. */
unsigned int pulse__lane(void);

#endif /* PULSE__SNAP_H */
