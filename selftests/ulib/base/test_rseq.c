// SPDX-License-Identifier: GPL-2.0-only
/* A store while a gate is open: none comes after the fence. */
#include <pthread.h>
#include <sched.h>

#include "base/rseq.h"
#include "ktap.h"

#define ROUNDS	20000

struct gate {
	uint32_t open PULSE__PAIR_ALIGNED;
	uint64_t word PULSE__PAIR_ALIGNED;
	uint64_t stored PULSE__PAIR_ALIGNED;	/* by the hot side */
	uint64_t shut;				/* it found it so, or was sent back */
	uint32_t over;
};

static void *hot(void *arg)
{
	struct gate *g = arg;

	while (!READ_ONCE(g->over)) {
		if (pulse__rseq_store(&g->open, &g->word, 1))
			WRITE_ONCE(g->stored, g->stored + 1);
		else
			WRITE_ONCE(g->shut, g->shut + 1);
	}
	return NULL;
}

/* The hot side gets to work, in whichever state the gate is. */
static void turn(const uint64_t *count)
{
	uint64_t before = READ_ONCE(*count);

	for (unsigned int i = 1; READ_ONCE(*count) == before; i++) {
		if (i % 64)
			cpu_relax();
		else
			sched_yield();
	}
}

KT_TEST(what_is_stored_through_a_gate_is_stored_before_it_is_shut)
{
	struct gate g = { .open = 1 };
	uint64_t late = 0, refused = 0;
	pthread_t t;

	if (!pulse__rseq_ready())
		KT_SKIP("no rseq(2), or no membarrier(2) for it");
	KT_REQUIRE(!pthread_create(&t, NULL, hot, &g));
	turn(&g.stored);
	for (long i = kt_scale(ROUNDS); i >= 0; i--) {
		/* Every now and then it is surely at it. */
		if (!(i % 256))
			turn(&g.stored);
		WRITE_ONCE(g.open, 0);
		refused += pulse__rseq_fence() != 0;
		WRITE_ONCE(g.word, 2);
		if (!(i % 256))
			turn(&g.shut);
		for (int k = 0; k < 20; k++)
			cpu_relax();
		late += READ_ONCE(g.word) != 2;
		__atomic_store_n(&g.open, 1, __ATOMIC_SEQ_CST);
	}
	WRITE_ONCE(g.over, 1);
	pthread_join(t, NULL);
	KT_EQ(refused, 0);
	KT_EQ(late, 0);
}

KT_TEST(nothing_is_stored_through_a_shut_gate)
{
	uint32_t open = 0;
	uint64_t word = 5;

	if (!pulse__rseq_ready())
		KT_SKIP("no rseq(2), or no membarrier(2) for it");
	KT_CHECK(!pulse__rseq_store(&open, &word, 6));
	KT_EQ(word, 5);
	open = 1;
	/* One that is interrupted says so, and stores nothing. */
	while (!pulse__rseq_store(&open, &word, 6))
		KT_EQ(word, 5);
	KT_EQ(word, 6);
}

KT_MAIN()
