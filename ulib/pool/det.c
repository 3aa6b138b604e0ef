// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * det.c - the deterministic mode: same seed, same interleaving of tasks.
 *
 * Workers are threads as ever, but only the one whose *turn* it is runs. At each
 * point (a task begins, ends, submits, yields) the next one is drawn from those
 * who can go on: workers inside a task, and, where something is queued, those
 * without one. A worker without a task draws one from the most urgent lane that
 * is not empty. Nobody has the turn when nothing can go on, or no thread drives
 * (waits, from outside): so what a thread submits before it waits is all there
 * when the drawing begins, whatever the machine does meanwhile.
 *
 * det->lock, a leaf but for a worker's own condition, protects all of it.
 */
#include "pool/det.h"

#define PULSE__NOBODY_S_TURN	UINT32_MAX

struct pulse__det_lane {
	struct pulse__job *jobs;
	uint32_t nr;
};

struct pulse__det {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	uint64_t rng;
	uint32_t turn;		/* worker number */
	uint32_t driving;	/* threads that wait */
	struct pulse__det_lane lane[PULSE__LANES];
	bool busy[];		/* of each worker: it is inside a task */
};

int pulse__det_new(struct pulse_pool *pool)
{
	struct pulse__det *d;

	if (!pool->seed)
		return 0;
	d = pulse__calloc(1, sizeof(*d) + pool->nr_workers * sizeof(d->busy[0]));
	if (!d)
		return -ENOMEM;
	pool->det = d;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->cond, NULL);
	d->rng = pool->seed;
	d->turn = PULSE__NOBODY_S_TURN;
	for (int i = 0; i < PULSE__LANES; i++) {
		d->lane[i].jobs = pulse__calloc(pool->queue_size,
						sizeof(struct pulse__job));
		if (!d->lane[i].jobs)
			return -ENOMEM;
	}
	pool->odd |= PULSE__ODD_DET;
	return 0;
}

void pulse__det_free(struct pulse_pool *pool)
{
	struct pulse__det *d = pool->det;

	for (int i = 0; d && i < PULSE__LANES; i++)
		pulse__free(d->lane[i].jobs);
	pulse__free(d);
}

/* splitmix64: 0 to @nr - 1. The bias of % is nothing at these numbers. */
static uint32_t pulse__det_draw(struct pulse__det *d, uint32_t nr)
{
	uint64_t z = (d->rng += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (uint32_t)((z ^ (z >> 31)) % nr);
}

static struct pulse__det_lane *pulse__det_lane(struct pulse__det *d)
{
	for (int i = 0; i < PULSE__LANES; i++) {
		if (d->lane[i].nr)
			return &d->lane[i];
	}
	return NULL;
}

/* Whose turn is it now? Under the lock. */
static void pulse__det_next(struct pulse_pool *pool)
{
	struct pulse__det *d = pool->det;
	bool queued = pulse__det_lane(d);
	uint32_t nr = 0, pick;

	d->turn = PULSE__NOBODY_S_TURN;
	for (uint32_t i = 0; i < pool->nr_workers; i++)
		nr += queued || d->busy[i];
	if (nr && d->driving) {
		pick = pulse__det_draw(d, nr);
		for (uint32_t i = 0; i < pool->nr_workers; i++) {
			if ((queued || d->busy[i]) && !pick--) {
				d->turn = i;
				break;
			}
		}
	}
	pthread_cond_broadcast(&d->cond);
}

/* Until it is this worker's turn, or there are no turns any more. */
static void pulse__det_await(struct pulse__worker *w)
{
	struct pulse__det *d = w->pool->det;
	int old;

	/* A thread that ended in here would keep the lock. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	while (d->turn != w->number &&
	       pulse__pool_state(w->pool) < PULSE__POOL_STOPPING)
		pthread_cond_wait(&d->cond, &d->lock);
	pthread_setcancelstate(old, NULL);
}

void pulse__det_drive(struct pulse_pool *pool, bool begin)
{
	struct pulse__det *d = pool->det;

	pthread_mutex_lock(&d->lock);
	d->driving += begin ? 1U : -1U;
	if (begin && d->turn == PULSE__NOBODY_S_TURN)
		pulse__det_next(pool);
	pthread_mutex_unlock(&d->lock);
}

unsigned int pulse__det_push(struct pulse_pool *pool, enum pulse__lane lane,
			     const struct pulse__job *jobs, unsigned int nr)
{
	struct pulse__det *d = pool->det;
	struct pulse__det_lane *l = &d->lane[lane];
	unsigned int n;

	pthread_mutex_lock(&d->lock);
	n = pool->queue_size - l->nr < nr ? pool->queue_size - l->nr : nr;
	memcpy(&l->jobs[l->nr], jobs, n * sizeof(*jobs));
	l->nr += n;
	if (d->turn == PULSE__NOBODY_S_TURN)
		pulse__det_next(pool);
	pthread_mutex_unlock(&d->lock);
	return n;
}

void pulse__det_point(struct pulse__worker *w)
{
	struct pulse__det *d = w->pool->det;

	pthread_mutex_lock(&d->lock);
	if (d->turn == w->number)
		pulse__det_next(w->pool);
	pulse__det_await(w);
	pthread_mutex_unlock(&d->lock);
}

static void pulse__det_take(struct pulse__det *d, struct pulse__job *job)
{
	struct pulse__det_lane *l = pulse__det_lane(d);
	uint32_t i = pulse__det_draw(d, l->nr);

	*job = l->jobs[i];
	l->nr--;
	memmove(&l->jobs[i], &l->jobs[i + 1], (l->nr - i) * sizeof(*job));
}

bool pulse__det_loop(struct pulse__worker *w)
{
	struct pulse_pool *pool = w->pool;
	struct pulse__det *d = pool->det;
	struct pulse__job job;

	pthread_mutex_lock(&d->lock);
	for (;;) {
		pulse__det_await(w);
		if (pulse__pool_state(pool) >= PULSE__POOL_STOPPING)
			break;
		/* Somebody stopped the pool, or was faster after it. */
		if (!pulse__det_lane(d)) {
			pulse__det_next(pool);
			continue;
		}
		pulse__det_take(d, &job);
		d->busy[w->number] = true;
		pthread_mutex_unlock(&d->lock);
		pulse__job_run(w, &job);
		pulse__drain_poll(w, NULL);
		pthread_mutex_lock(&d->lock);
		d->busy[w->number] = false;
		if (d->turn == w->number)
			pulse__det_next(pool);
	}
	pthread_mutex_unlock(&d->lock);
	pulse__drain_poll(w, NULL);
	return false;
}

void pulse__det_unwound(struct pulse__worker *w)
{
	struct pulse__det *d = w->pool->det;

	pthread_mutex_lock(&d->lock);
	d->busy[w->number] = false;
	if (d->turn == w->number)
		pulse__det_next(w->pool);
	pthread_mutex_unlock(&d->lock);
	pulse__drain_poll(w, NULL);
}

uint64_t pulse__det_sweep(struct pulse_pool *pool)
{
	struct pulse__det *d = pool->det;
	struct pulse__det_lane *l;
	struct pulse__job job;
	uint64_t n = 0;

	pthread_mutex_lock(&d->lock);
	while ((l = pulse__det_lane(d))) {
		job = l->jobs[--l->nr];
		/* The hook may submit, and be refused. */
		pthread_mutex_unlock(&d->lock);
		pulse__job_cancel(pool, &job);
		n++;
		pthread_mutex_lock(&d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	return n;
}

uint64_t pulse__det_queued(const struct pulse_pool *pool)
{
	struct pulse__det *d = pool->det;
	uint64_t n = 0;

	pthread_mutex_lock(&d->lock);
	for (int i = 0; i < PULSE__LANES; i++)
		n += d->lane[i].nr;
	pthread_mutex_unlock(&d->lock);
	return n;
}

void pulse__det_wake(struct pulse_pool *pool)
{
	struct pulse__det *d = pool->det;

	pthread_mutex_lock(&d->lock);
	pthread_cond_broadcast(&d->cond);
	pthread_mutex_unlock(&d->lock);
}
