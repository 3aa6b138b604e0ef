// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * wait.c - until all tasks submitted so far are done.
 *
 * Two epochs, as in sleepable RCU. A waiter flips which one new tasks belong
 * to, and waits until the other one is empty: as many done as submitted. A task
 * that a task submits belongs to its epoch, so the wait covers it. Waiters that
 * come during a flip need the next one, and share it. A submitter counts, then
 * looks whether the epoch is still the same (submit.c:pulse__follow_epoch).
 * The model: selftests/spin/pool_wait.pml.
 *
 * Empty. All counts of done are read, then all of submitted. Both only grow,
 * and a task is counted as submitted before anybody can do it, so if the sums
 * are equal there was a moment between the two when nothing was under way. (A
 * count of a submit that failed is taken back; that only ever makes the second
 * sum too large.) The acquire loads of done pair with the release of whoever
 * did the task: what it wrote is visible to the waiter.
 *
 * Who tells the waiter. A worker that has finished a task looks at pool->drain,
 * and if somebody waits, and it has no more of that epoch at hand, looks
 * whether the epoch is empty. The last one to finish must not miss the waiter:
 *
 *	worker				waiter
 *	done[epoch] = n			drain = epoch...
 *	(compiler barrier)		membarrier()
 *	look at drain			look at the sums
 *
 * membarrier() makes every thread of the process that runs pass a full barrier,
 * so that workers need none at each task. Where the kernel refuses it, workers
 * fence (pool->fence_done). Two workers that finish at once each have a full
 * barrier between their done and the sums, so at least one sees both.
 */
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <pulse-u/result.h>

#include "pool/det.h"
#include "pool/pool.h"

static int pulse__membarrier(int cmd)
{
	int saved = errno;
	int ret = (int)syscall(SYS_membarrier, cmd, 0U, 0);

	errno = saved;
	return ret;
}

int pulse__wait_init(struct pulse_pool *pool)
{
	pthread_condattr_t attr;
	int err;

	pool->fence_done = pulse__membarrier(
		MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0;
	err = pthread_condattr_init(&attr);
	if (err)
		return -err;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	err = pthread_cond_init(&pool->cond, &attr);
	pthread_condattr_destroy(&attr);
	return -err;
}

static bool pulse__epoch_empty(const struct pulse_pool *pool, uint32_t epoch)
{
	uint64_t done = pulse__load_acquire(&pool->cancelled[epoch]), sub = 0;

	for (uint32_t i = 0; i < pool->nr_workers; i++)
		done += pulse__load_acquire(&pool->worker[i]->done[epoch]);
	for (uint32_t i = 0; i < pool->nr_workers; i++)
		sub += pulse__load_acquire(&pool->worker[i]->submitted[epoch]);
	for (uint32_t i = 0; i < pool->nr_nodes; i++)
		sub += __atomic_load_n(&pool->node[i]->submitted[epoch],
				       __ATOMIC_SEQ_CST);
	return done == sub;
}

void pulse__drain_look(struct pulse_pool *pool, uint32_t drain)
{
	/* Between our count and the sums; see the head of this file. */
	pulse__full_barrier();
	if (!pulse__epoch_empty(pool, drain & 1))
		return;
	pthread_mutex_lock(&pool->lock);
	pthread_cond_broadcast(&pool->cond);
	pthread_mutex_unlock(&pool->lock);
}

/* Under the lock. */
static int pulse__pool_sleep(struct pulse_pool *pool, int64_t deadline_ns)
{
	struct timespec ts;

	if (deadline_ns == PULSE_FOREVER)
		return -pthread_cond_wait(&pool->cond, &pool->lock);
	pulse__ns_to_timespec(deadline_ns, &ts);
	return -pthread_cond_timedwait(&pool->cond, &pool->lock, &ts);
}

/* Whoever sets the word broadcasts pool->cond under the lock after it. */
static bool pulse__gave_up(const int *give_up)
{
	return give_up && READ_ONCE(*give_up);
}

/* Under the lock, as the one who leads the flip. 0 or -ETIMEDOUT. */
static int pulse__flip(struct pulse_pool *pool, int64_t deadline_ns,
		       const int *give_up)
{
	uint32_t old;
	int err = 0;

	if (pool->flips_begun == pool->flips_done) {
		pool->flips_begun++;
		__atomic_store_n(&pool->epoch, !pool->epoch, __ATOMIC_SEQ_CST);
	}
	old = !pool->epoch;
	/* Never 0, and another value each time: who looked looks again. */
	pool->drain_seq += 4;
	__atomic_store_n(&pool->drain, pool->drain_seq | 2U | old,
			 __ATOMIC_SEQ_CST);
	if (!pool->fence_done)
		pulse__membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	pulse__full_barrier();
	while (!pulse__epoch_empty(pool, old) && err != -ETIMEDOUT &&
	       !pulse__gave_up(give_up))
		err = pulse__pool_sleep(pool, deadline_ns);
	if (pulse__epoch_empty(pool, old)) {
		pool->flips_done++;
		err = 0;
	}
	__atomic_store_n(&pool->drain, 0, __ATOMIC_SEQ_CST);
	return err;
}

int pulse__pool_drain(struct pulse_pool *pool, int64_t deadline_ns,
		      const int *give_up)
{
	uint64_t mine;
	int err = 0;

	if (pool->det)
		pulse__det_drive(pool, true);
	pthread_mutex_lock(&pool->lock);
	mine = pool->flips_begun + 1;	/* one that begins after this call */
	while (pool->flips_done < mine && err != -ETIMEDOUT &&
	       !pulse__gave_up(give_up)) {
		if (pool->flip_led) {
			err = pulse__pool_sleep(pool, deadline_ns);
			continue;
		}
		pool->flip_led = true;
		err = pulse__flip(pool, deadline_ns, give_up);
		pool->flip_led = false;
		/* Others need the next flip, or somebody to lead this one. */
		pthread_cond_broadcast(&pool->cond);
	}
	err = pool->flips_done < mine ? -ETIMEDOUT : 0;
	pthread_mutex_unlock(&pool->lock);
	if (pool->det)
		pulse__det_drive(pool, false);
	return err;
}

int pulse_pool_wait_until(struct pulse_pool *pool, int64_t deadline_ns)
{
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	if (deadline_ns < 0)
		return -EINVAL;
	if (pulse__pool_self_in(pool))
		return -EDEADLK;
	return pulse__pool_drain(pool, deadline_ns, NULL);
}

int pulse_pool_wait(struct pulse_pool *pool)
{
	return pulse_pool_wait_until(pool, PULSE_FOREVER);
}

struct pulse__drain_token {
	struct pulse_token_hook hook;
	struct pulse_pool *pool;
	int given_up;
};

static void pulse__drain_give_up(int reason, void *arg)
{
	struct pulse__drain_token *t = arg;

	pthread_mutex_lock(&t->pool->lock);
	WRITE_ONCE(t->given_up, reason);
	pthread_cond_broadcast(&t->pool->cond);
	pthread_mutex_unlock(&t->pool->lock);
}

static bool pulse__pool_empty(const struct pulse_pool *pool)
{
	return pulse__epoch_empty(pool, 0) && pulse__epoch_empty(pool, 1);
}

int pulse_pool_wait_for_drain(struct pulse_pool *pool,
			      struct pulse_token *token, int64_t deadline_ns)
{
	struct pulse__drain_token t = {
		.hook = { .fn = pulse__drain_give_up, .arg = &t },
		.pool = pool,
	};
	int64_t until = deadline_ns, by_token;
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	if (deadline_ns < 0)
		return -EINVAL;
	if (pulse__pool_self_in(pool))
		return -EDEADLK;
	if (token) {
		if (pulse_token_on(token, &t.hook) == -EALREADY)
			return pulse_token_err(token);
		by_token = pulse_token_deadline(token);
		if (by_token < until)
			until = by_token;
	}
	do {
		err = pulse__pool_drain(pool, until, &t.given_up);
	} while (!err && !pulse__pool_empty(pool));
	if (token) {
		pulse_token_off(token, &t.hook);
		if (err && pulse_token_err(token))
			err = pulse_token_err(token);
	}
	return err;
}
