// SPDX-License-Identifier: GPL-2.0-only
/*
 * A wake-up is for the work, not for the worker that was chosen: if that one
 * leaves or ends, another gets it. The model of this is selftests/spin/leave.pml.
 */
#include <pthread.h>
#include <sched.h>

#include <pulse-u/pulse.h>

#include "ktap.h"

static struct pulse_ctx *ctx;
static int node;
static bool work;		/* "the queue": something to do */
static int sleeper_up;		/* the sleeper is about to park */
static int sleeper_got;		/* and has seen the work */

static bool has_work(void *arg)
{
	(void)arg;
	return __atomic_load_n(&work, __ATOMIC_SEQ_CST);
}

/* Parks until there is work, as a worker of a pool does. */
static void *sleeper(void *arg)
{
	int index = pulse_worker_register(ctx, node, 0);

	(void)arg;
	__atomic_store_n(&sleeper_up, 1, __ATOMIC_SEQ_CST);
	while (!has_work(NULL))
		pulse_worker_park(ctx, index, PULSE_FOREVER, has_work, NULL);
	__atomic_store_n(&sleeper_got, 1, __ATOMIC_SEQ_CST);
	pulse_worker_unregister(ctx, index);
	return NULL;
}

/* Somebody publishes work and wakes one worker: the one that parks just now. */
static bool chosen_while_parking(void *arg)
{
	(void)arg;
	__atomic_store_n(&work, true, __ATOMIC_SEQ_CST);
	pulse_worker_wake_node(ctx, node, 1, true);
	return true;
}

static void *leaves_though_chosen(void *arg)
{
	int index = pulse_worker_register(ctx, node, 0);

	pthread_barrier_wait(arg);	/* the lower index: chosen first */
	pthread_barrier_wait(arg);	/* the sleeper sleeps */
	pulse_worker_park(ctx, index, PULSE_FOREVER, chosen_while_parking,
			  NULL);
	/* Told to stop, it does not take the work. */
	pulse_worker_unregister(ctx, index);
	return NULL;
}

static bool ends_while_parking(void *arg)
{
	(void)arg;
	pthread_exit(NULL);
}

static void *ends_in_the_middle(void *arg)
{
	int index = pulse_worker_register(ctx, node, 0);

	pthread_barrier_wait(arg);
	pthread_barrier_wait(arg);
	pulse_worker_park(ctx, index, PULSE_FOREVER, ends_while_parking, NULL);
	return NULL;
}

static bool within_10_s(const int *flag)
{
	int64_t end = pulse_now_ns() + 10 * 1000000000LL;

	while (!__atomic_load_n(flag, __ATOMIC_SEQ_CST)) {
		if (pulse_now_ns() > end)
			return false;
		usleep(1000);
	}
	return true;
}

static void wait_for_state(uint32_t state)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };
	int64_t end = pulse_now_ns() + 10 * 1000000000LL;

	/* The sleeper registered second. */
	while (pulse_now_ns() < end &&
	       (pulse_worker_state(ctx, 1, &st) || st.state != state))
		usleep(1000);
	KT_EQ(st.state, state);
}

static void play(void *(*first)(void *), bool wake_after)
{
	pthread_barrier_t turn;
	pthread_t a, b;
	int nodes[1];

	work = false;
	sleeper_up = sleeper_got = 0;
	KT_REQUIRE(!pulse_ctx_create(NULL, &ctx));
	KT_REQUIRE(pulse_ctx_nodes(ctx, nodes, 1) >= 1);
	node = nodes[0];
	pthread_barrier_init(&turn, NULL, 2);
	KT_REQUIRE(!pthread_create(&a, NULL, first, &turn));
	pthread_barrier_wait(&turn);
	KT_REQUIRE(!pthread_create(&b, NULL, sleeper, NULL));
	KT_CHECK(within_10_s(&sleeper_up));
	wait_for_state(4 /* parked */);
	pthread_barrier_wait(&turn);
	pthread_join(a, NULL);
	if (wake_after) {
		__atomic_store_n(&work, true, __ATOMIC_SEQ_CST);
		pulse_worker_wake_node(ctx, node, 1, true);
	}
	if (!KT_CHECKF(within_10_s(&sleeper_got),
		       "the work lies there and the only worker sleeps")) {
		const uint32_t second = 1;

		pulse_worker_wake(ctx, &second, 1);
	}
	pthread_join(b, NULL);
	pthread_barrier_destroy(&turn);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

KT_TEST(a_wake_up_of_a_worker_that_leaves_goes_to_another)
{
	play(leaves_though_chosen, false);
}

KT_TEST(a_thread_that_ended_while_it_parked_takes_no_wake_up)
{
	play(ends_in_the_middle, true);
}

KT_MAIN()
