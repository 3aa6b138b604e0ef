// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * results.c - batches of tasks, and their results in the order they come.
 *
 * Each task that ends puts itself into the queue, under r->lock, a leaf. Its
 * value lives by the handle in r->future, which is put when the reader is
 * through. References: the reader's, and one for each task.
 */
#include <time.h>

#include "pool/det.h"
#include "pool/work.h"

#define PULSE__RESULTS_MAGIC	0x53455250U	/* "PRES" */

struct pulse_results {
	uint32_t magic;
	uint32_t refs;
	uint32_t fork_gen;
	struct pulse_pool *pool;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct pulse__work *first;	/* ended, not read */
	struct pulse__work **last;
	bool closed;			/* nobody reads any more */
	size_t nr, nr_ended;
	size_t nr_read;			/* the reader's */
	struct pulse_future *future[];
};

void pulse__results_get(struct pulse_results *r)
{
	pulse__add_relaxed(&r->refs, 1);
}

void pulse__results_put(struct pulse_results *r)
{
	/* pairs with itself: the last one sees all that the others did */
	if (__atomic_fetch_sub(&r->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	pthread_cond_destroy(&r->cond);
	pthread_mutex_destroy(&r->lock);
	r->magic = PULSE__MAGIC_DEAD;
	pulse__free(r);
}

void pulse__results_push(struct pulse_results *r, struct pulse__work *work)
{
	pthread_mutex_lock(&r->lock);
	/* In the queue it lives by its handle, which the reader puts. */
	if (!r->closed) {
		work->next = NULL;
		*r->last = work;
		r->last = &work->next;
	}
	r->nr_ended++;
	pthread_cond_broadcast(&r->cond);
	pthread_mutex_unlock(&r->lock);
}

static int pulse__results_new(struct pulse_pool *pool, size_t nr,
			      struct pulse_results **out)
{
	struct pulse_results *r;
	pthread_condattr_t attr;
	size_t bytes;

	if (pulse__mul_overflow(nr, sizeof(r->future[0]), &bytes) ||
	    pulse__add_overflow(bytes, sizeof(*r), &bytes))
		return -ENOMEM;
	r = pulse__calloc(1, bytes);
	if (!r)
		return -ENOMEM;
	if (pthread_condattr_init(&attr)) {
		pulse__free(r);
		return -ENOMEM;
	}
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->cond, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&r->lock, NULL);
	r->magic = PULSE__RESULTS_MAGIC;
	r->refs = 1;
	r->fork_gen = pulse__fork_generation();
	r->pool = pool;
	r->nr = nr;
	r->last = &r->first;
	*out = r;
	return 0;
}

int pulse_pool_spawn_batch(struct pulse_pool *pool,
			   const struct pulse_work *works, size_t nr,
			   struct pulse_results **out)
{
	const char *at = (const char *)works;
	struct pulse_results *r;
	int err = pulse__pool_check(pool);

	if (out)
		*out = NULL;
	if (err)
		return err;
	if (!works || !nr || nr > UINT32_MAX || !out)
		return -EINVAL;
	err = pulse__results_new(pool, nr, &r);
	if (err)
		return err;
	for (size_t i = 0; i < nr; i++, at += works->sz) {
		size_t sz;

		memcpy(&sz, at, sizeof(sz));
		err = sz != works->sz ? -EINVAL :
		      pulse__work_spawn(pool, at, r, (uint32_t)i, &r->future[i]);
		if (err) {
			pulse_results_cancel(r, -ECANCELED);
			pulse_results_destroy(r);
			return err;
		}
	}
	*out = r;
	return 0;
}

static int pulse__results_check(const struct pulse_results *r)
{
	if (!r)
		return -EINVAL;
	pulse__obj_check(r, PULSE__RESULTS_MAGIC, "struct pulse_results");
	return pulse__forked(r->fork_gen) ? -EOWNERDEAD : 0;
}

/* Until @nr have ended, or there is one to read. 0 or -ETIMEDOUT. */
static int pulse__results_sleep(struct pulse_results *r, size_t nr,
				int64_t deadline_ns)
{
	struct timespec ts;
	int err = 0;

	pulse__ns_to_timespec(deadline_ns, &ts);
	pthread_mutex_lock(&r->lock);
	while (r->nr_ended < nr && !err) {
		err = deadline_ns == PULSE_FOREVER ?
		      pthread_cond_wait(&r->cond, &r->lock) :
		      pthread_cond_timedwait(&r->cond, &r->lock, &ts);
	}
	err = r->nr_ended < nr ? -ETIMEDOUT : 0;
	pthread_mutex_unlock(&r->lock);
	return err;
}

static size_t pulse__results_ended(struct pulse_results *r)
{
	size_t n;

	pthread_mutex_lock(&r->lock);
	n = r->nr_ended;
	pthread_mutex_unlock(&r->lock);
	return n;
}

/* Likewise, and the pool gets on where that is up to the caller. */
static int pulse__results_until(struct pulse_results *r, size_t nr,
				int64_t deadline_ns)
{
	struct pulse__worker *w = pulse__pool_self;
	int err;

	if (pulse__results_ended(r) >= nr)
		return 0;
	/* The pool may be gone where the tasks are not its own any more. */
	if (w && w->pool == r->pool && w->in_task) {
		while (pulse__results_ended(r) < nr) {
			if (deadline_ns != PULSE_FOREVER &&
			    pulse_now_ns() >= deadline_ns)
				return -ETIMEDOUT;
			if (w->pool->det)
				pulse__det_point(w);
			else if (!pulse__worker_help(w))
				return pulse__results_sleep(r, nr, deadline_ns);
		}
		return 0;
	}
	/* Not all have ended, so the pool is there. */
	if (r->pool->det)
		pulse__det_drive(r->pool, true);
	err = pulse__results_sleep(r, nr, deadline_ns);
	if (r->pool->det)
		pulse__det_drive(r->pool, false);
	return err;
}

int pulse_results_next(struct pulse_results *r, int64_t deadline_ns,
		       struct pulse_result *out, size_t *index)
{
	struct pulse__work *work;
	int err = pulse__results_check(r);

	if (err)
		return err;
	if (!out || deadline_ns < 0)
		return -EINVAL;
	if (r->nr_read == r->nr)
		return -ENODATA;
	err = pulse__results_until(r, r->nr_read + 1, deadline_ns);
	if (err)
		return err;
	pthread_mutex_lock(&r->lock);
	work = r->first;
	r->first = work->next;
	if (!r->first)
		r->last = &r->first;
	pthread_mutex_unlock(&r->lock);
	r->nr_read++;
	*out = work->promise.future.result;
	if (index)
		*index = work->index;
	return 0;
}

/* The first error in the order of the tasks; all of them have ended. */
static int pulse__results_all(struct pulse_results *r, struct pulse_result *out,
			      bool take)
{
	int err = 0;

	for (size_t i = 0; i < r->nr; i++) {
		struct pulse_future *f = r->future[i];

		if (!err)
			err = f->result.err;
		if (out && take)
			pulse__work_result(f, &out[i]);
		else if (out)
			out[i] = f->result;
	}
	return err;
}

int pulse_results_wait(struct pulse_results *r, int64_t deadline_ns,
		       struct pulse_result *out)
{
	int err = pulse__results_check(r);

	if (err)
		return err;
	if (deadline_ns < 0)
		return -EINVAL;
	err = pulse__results_until(r, r->nr, deadline_ns);
	return err ? err : pulse__results_all(r, out, false);
}

int pulse_results_cancel(struct pulse_results *r, int reason)
{
	int n = 0;

	if (!r || reason > 0)
		return -EINVAL;
	/* Backwards: a worker whose task is cancelled must not begin another. */
	for (size_t i = r->nr; i--;) {
		if (r->future[i] && !pulse__future_is_done(r->future[i])) {
			pulse_future_cancel(r->future[i], reason);
			n += n < INT_MAX;
		}
	}
	return n;
}

int pulse_results_destroy(struct pulse_results *r)
{
	if (!r)
		return -EINVAL;
	pulse__obj_check(r, PULSE__RESULTS_MAGIC, "struct pulse_results");
	pthread_mutex_lock(&r->lock);
	r->closed = true;
	pthread_mutex_unlock(&r->lock);
	for (size_t i = 0; i < r->nr; i++)
		pulse_future_put(r->future[i]);
	pulse__results_put(r);
	return 0;
}

int pulse_pool_batch_wait(struct pulse_pool *pool,
			  const struct pulse_work *works, size_t nr,
			  int64_t deadline_ns, struct pulse_result *out)
{
	struct pulse_results *r;
	int err;

	if (deadline_ns < 0)
		return -EINVAL;
	err = pulse_pool_spawn_batch(pool, works, nr, &r);
	if (err)
		return err;
	err = pulse__results_until(r, nr, deadline_ns);
	if (err)
		pulse_results_cancel(r, err);
	else
		err = pulse__results_all(r, out, true);
	pulse_results_destroy(r);
	return err;
}
