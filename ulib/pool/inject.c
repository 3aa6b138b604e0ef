// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * inject.c - a node's queue for a pool that is not to be lock-free.
 */
#include "pool/inject.h"

unsigned int pulse__inject_put_locked(struct pulse__inject *q,
				      const struct pulse__job *jobs,
				      unsigned int nr)
{
	unsigned int n;

	pthread_mutex_lock(&q->lock);
	n = pulse__inject_put(q, jobs, nr);
	pthread_mutex_unlock(&q->lock);
	return n;
}

bool pulse__inject_pop_locked(struct pulse__inject *q, struct pulse__job *job)
{
	bool got;

	if (!pulse__inject_ready(q))
		return false;
	pthread_mutex_lock(&q->lock);
	got = pulse__inject_pop_n(q, job, 1);
	pthread_mutex_unlock(&q->lock);
	return got;
}
