// SPDX-License-Identifier: GPL-2.0-only
/*
 * pulse_worker_handoff() and pulse_worker_yield_to() on whichever backend there
 * is: whoever hands off is woken again, and nobody is lost on the way.
 */
#include "helpers.h"

/* Workers in a ring; turn says whose it is. */
#define RING	3

static struct pulse_ctx *ctx;
static int ring_n;
static long ring_rounds;
static long turn;	/* whose: turn % ring_n */
static int ready;

struct player {
	pthread_t thread;
	int me;
	int index;
	long rounds;
	int fault;
};

static struct player ring[RING];

static bool my_turn(void *arg)
{
	struct player *p = arg;

	return __atomic_load_n(&turn, __ATOMIC_SEQ_CST) % ring_n == p->me;
}

static void *player_main(void *arg)
{
	struct player *p = arg;
	struct player *next = &ring[(p->me + 1) % ring_n];
	int64_t end = pulse_now_ns() + 60000000000LL;
	int ret;

	p->index = pulse_worker_register(ctx, -1, 0);
	p->fault = p->index < 0;
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < ring_n)
		nap_us(100);
	while (!p->fault && p->rounds < ring_rounds) {
		while (!my_turn(p)) {
			ret = pulse_worker_park(ctx, p->index, end, my_turn, p);
			if (ret < 0 && ret != -EINTR) {
				p->fault = ret;
				return NULL;
			}
		}
		p->rounds++;
		__atomic_fetch_add(&turn, 1, __ATOMIC_SEQ_CST);
		if (p->rounds == ring_rounds) {
			uint32_t i = (uint32_t)next->index;

			pulse_worker_wake(ctx, &i, 1);
			break;
		}
		ret = pulse_worker_handoff(ctx, p->index, next->index, end,
					   my_turn, p);
		if (ret < 0 && ret != -EINTR)
			p->fault = ret;
	}
	return NULL;
}

static void play(int n, long rounds)
{
	KT_REQUIRE(!pulse_ctx_create(NULL, &ctx));
	memset(ring, 0, sizeof(ring));
	ring_n = n;
	ring_rounds = rounds;
	turn = ready = 0;
	for (int i = 0; i < n; i++) {
		ring[i].me = i;
		KT_REQUIRE(!pthread_create(&ring[i].thread, NULL, player_main,
					   &ring[i]));
	}
	for (int i = 0; i < n; i++) {
		pthread_join(ring[i].thread, NULL);
		KT_EQ(ring[i].fault, 0);
		KT_EQ(ring[i].rounds, rounds);
	}
	KT_EQ(turn, n * rounds);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

/* P11 */
KT_TEST(two_that_hand_to_each_other_lose_nothing)
{
	play(2, kt_scale(20000));
}

KT_TEST(three_in_a_ring_lose_nothing)
{
	play(3, kt_scale(5000));
}

static bool yes(void *arg)
{
	(void)arg;
	return true;
}

KT_TEST(the_target_is_woken_also_when_there_is_work)
{
	struct sleeper s = { .node = -1 };
	int i;

	KT_REQUIRE(!pulse_ctx_create(NULL, &ctx));
	i = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(i >= 0);
	KT_REQUIRE(sleeper_start(&s, ctx));
	for (long n = 1; n <= 10; n++) {
		long was;

		KT_CHECK(EVENTUALLY(state_of(ctx, s.index) ==
				    PULSE_STATE_PARKED));
		was = __atomic_load_n(&s.returns, __ATOMIC_SEQ_CST);
		/* work was found; or a deadline that is past */
		if (n & 1)
			KT_EQ(pulse_worker_handoff(ctx, i, s.index, PULSE_FOREVER,
						   yes, NULL), 1);
		else
			KT_EQ(pulse_worker_handoff(ctx, i, s.index, 0, NULL,
						   NULL), -ETIMEDOUT);
		KT_CHECK(EVENTUALLY(__atomic_load_n(&s.returns,
						    __ATOMIC_SEQ_CST) > was));
	}
	__atomic_store_n(&s.stop, 1, __ATOMIC_SEQ_CST);
	pulse_worker_handoff(ctx, i, s.index, 0, NULL, NULL);
	pthread_join(s.thread, NULL);
	/* it is gone */
	KT_EQ(pulse_worker_handoff(ctx, i, s.index, PULSE_FOREVER, NULL, NULL),
	      -ESRCH);
	KT_EQ(pulse_worker_unregister(ctx, i), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

KT_TEST(what_cannot_be_is_refused)
{
	struct sleeper s = { .node = -1 };
	int i;

	KT_REQUIRE(!pulse_ctx_create(NULL, &ctx));
	i = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(i >= 0);
	KT_REQUIRE(sleeper_start(&s, ctx));
	KT_EQ(pulse_worker_handoff(ctx, i, i, PULSE_FOREVER, NULL, NULL), -EINVAL);
	KT_EQ(pulse_worker_handoff(ctx, i, s.index, -1, NULL, NULL), -EINVAL);
	KT_EQ(pulse_worker_handoff(ctx, i, -1, PULSE_FOREVER, NULL, NULL), -ESRCH);
	KT_EQ(pulse_worker_handoff(ctx, i, 63, PULSE_FOREVER, NULL, NULL), -ESRCH);
	KT_EQ(pulse_worker_handoff(ctx, i, 1 << 20, PULSE_FOREVER, NULL, NULL),
	      -ESRCH);
	KT_EQ(pulse_worker_handoff(ctx, s.index, i, 0, NULL, NULL), -EPERM);
	KT_EQ(pulse_worker_handoff(ctx, 63, i, 0, NULL, NULL), -ESRCH);
	KT_EQ(pulse_worker_handoff(NULL, i, s.index, 0, NULL, NULL), -EINVAL);

	KT_EQ(pulse_worker_yield_to(NULL, i), -EINVAL);
	KT_EQ(pulse_worker_yield_to(ctx, -1), -EINVAL);
	KT_EQ(pulse_worker_yield_to(ctx, i), -EINVAL);
	KT_EQ(pulse_worker_yield_to(ctx, 63), -ESRCH);
	KT_EQ(pulse_worker_yield_to(ctx, 1 << 20), -ESRCH);
	KT_CHECK(EVENTUALLY(state_of(ctx, s.index) == PULSE_STATE_PARKED));
	/* asleep: the module knows, the user backend yields to whom it may concern */
	KT_EQ(pulse_worker_yield_to(ctx, s.index), on_kernel() ? -EAGAIN : 0);

	__atomic_store_n(&s.stop, 1, __ATOMIC_SEQ_CST);
	/* it leaves, and passes a wake-up on: to this thread, if it comes in time */
	pulse_worker_handoff(ctx, i, s.index, 0, NULL, NULL);
	pthread_join(s.thread, NULL);
	KT_EQ(pulse_worker_unregister(ctx, i), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

KT_MAIN()
