// SPDX-License-Identifier: GPL-2.0-only
/*
 * P02: 10^6 random park and wake pairs and no lost wake-up.
 *
 * Batons go round among workers. Who has one passes it to a worker chosen by
 * chance: puts it into that one's inbox and wakes it, by its index, in a list
 * or by its node. Who has none parks. Batons are neither made nor lost, so if
 * for 5 s none moves, a wake-up was lost.
 */
#include <sched.h>

#include "helpers.h"
#include "base/base.h"

#define MAX_RUNNERS	64
#define NO_PROGRESS_NS	5000000000LL

struct runner {
	uint64_t inbox PULSE__PAIR_ALIGNED;	/* batons waiting */
	uint64_t passes;			/* by this one */
	uint64_t woken;				/* told by its wakes */
	uint64_t parks;				/* calls of park */
	uint64_t found;				/* ... that found a baton */
	uint64_t seed;
	pthread_t thread;
	struct race *race;
	int index;
	int me;
};

struct race {
	struct pulse_ctx *ctx;
	struct runner r[MAX_RUNNERS];
	pthread_barrier_t ready;
	int nr;
	int stop;
	int with_deadlines;
	int on_cpu;		/* all of them there, or -1 */
	int nodes[16];
	int nr_nodes;
};

static uint64_t draw(struct runner *r)
{
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 7;
	r->seed ^= r->seed << 17;
	return r->seed;
}

static bool look(void *arg)
{
	struct runner *r = arg;

	return __atomic_load_n(&r->inbox, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&r->race->stop, __ATOMIC_ACQUIRE);
}

static void pass(struct runner *r)
{
	struct race *race = r->race;
	struct runner *to = &race->r[draw(r) % (uint64_t)race->nr];
	uint32_t list[3] = { (uint32_t)to->index };
	int got;

	__atomic_fetch_add(&to->inbox, 1, __ATOMIC_RELEASE);
	if (draw(r) % 8 == 0) {
		/* In a list, with others who have nothing to do. */
		list[1] = (uint32_t)race->r[draw(r) % (uint64_t)race->nr].index;
		list[2] = 4000;
		got = pulse_worker_wake(race->ctx, list, 3);
	} else {
		got = pulse_worker_wake(race->ctx, list, 1);
	}
	if (got > 0)
		WRITE_ONCE(r->woken, r->woken + (uint64_t)got);
	if (race->nr_nodes && draw(r) % 32 == 0) {
		got = pulse_worker_wake_node(race->ctx,
			race->nodes[draw(r) % (uint64_t)race->nr_nodes],
			1 + (unsigned int)(draw(r) % 3), draw(r) & 1);
		if (got > 0)
			WRITE_ONCE(r->woken, r->woken + (uint64_t)got);
	}
}

static void *runner_main(void *arg)
{
	struct runner *r = arg;
	struct race *race = r->race;
	uint64_t have;
	cpu_set_t set;

	if (race->on_cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(race->on_cpu, &set);
		KT_CHECK(!sched_setaffinity(0, sizeof(set), &set));
	}
	r->index = pulse_worker_register(race->ctx, -1, 0);
	pthread_barrier_wait(&race->ready);
	while (!__atomic_load_n(&race->stop, __ATOMIC_ACQUIRE)) {
		have = __atomic_exchange_n(&r->inbox, 0, __ATOMIC_ACQUIRE);
		if (!have) {
			int64_t until = PULSE_FOREVER;
			int ret;

			if (race->with_deadlines && draw(r) % 4 == 0)
				until = pulse_now_ns() +
					(int64_t)(draw(r) % 100000);
			ret = pulse_worker_park(race->ctx, r->index, until,
						look, r);
			if (ret < 0 && ret != -ETIMEDOUT && ret != -EINTR)
				KT_FAIL("park: %s", pulse_strerror(ret));
			r->parks++;
			r->found += ret == 1;
			continue;
		}
		while (have--) {
			/* No pause: emulated, one costs as much as a wake. */
			for (volatile uint64_t i = draw(r) % 64; i; i--)
				;
			pass(r);
			WRITE_ONCE(r->passes, r->passes + 1);
		}
	}
	pulse_worker_unregister(race->ctx, r->index);
	return NULL;
}

static uint64_t passes_of(struct race *race)
{
	uint64_t sum = 0;

	for (int i = 0; i < race->nr; i++)
		sum += READ_ONCE(race->r[i].passes);
	return sum;
}

/* Pairs of a park and the wake that ended it; alone, nobody wakes anybody. */
static uint64_t pairs_of(struct race *race)
{
	uint64_t sum = 0;

	if (race->nr == 1)
		return passes_of(race);
	for (int i = 0; i < race->nr; i++)
		sum += READ_ONCE(race->r[i].woken);
	return sum;
}

static void tell_stuck(struct race *race)
{
	for (int i = 0; i < race->nr; i++)
		kt_note("worker %d: inbox %llu, state %s", i,
			(unsigned long long)READ_ONCE(race->r[i].inbox),
			pulse_state_name(state_of(race->ctx,
						  race->r[i].index)));
}

static void run_race(int threads, int batons, uint64_t goal, bool deadlines,
		     bool by_node, int on_cpu)
{
	static struct race race;
	uint64_t seen = 0, now, parks = 0, woken = 0, found = 0;
	int64_t t0, moved;

	memset(&race, 0, sizeof(race));
	race.nr = threads;
	race.with_deadlines = deadlines;
	race.on_cpu = on_cpu;
	KT_REQUIRE(pulse_ctx_create(NULL, &race.ctx) == 0);
	if (by_node)
		race.nr_nodes = pulse_ctx_nodes(race.ctx, race.nodes, 16);
	pthread_barrier_init(&race.ready, NULL, (unsigned int)threads + 1);
	for (int i = 0; i < batons; i++)
		race.r[i % threads].inbox++;
	t0 = moved = pulse_now_ns();
	for (int i = 0; i < threads; i++) {
		race.r[i].race = &race;
		race.r[i].me = i;
		race.r[i].seed = 0x9e3779b97f4a7c15ULL * (uint64_t)(i + 1);
		KT_REQUIRE(pthread_create(&race.r[i].thread, NULL, runner_main,
					  &race.r[i]) == 0);
	}
	pthread_barrier_wait(&race.ready);
	while (pairs_of(&race) < goal) {
		now = passes_of(&race);
		if (now != seen) {
			seen = now;
			moved = pulse_now_ns();
			alarm(60);	/* it moves: no hang */
		} else if (pulse_now_ns() - moved > NO_PROGRESS_NS) {
			KT_FAIL("a wake-up was lost: no baton moved for 5 s after %llu passes",
				(unsigned long long)seen);
			tell_stuck(&race);
			break;
		}
		nap_us(2000);
	}
	t0 = pulse_now_ns() - t0;
	__atomic_store_n(&race.stop, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < threads; i++) {
		uint32_t index = (uint32_t)race.r[i].index;

		pulse_worker_wake(race.ctx, &index, 1);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(race.r[i].thread, NULL);
		parks += race.r[i].parks;
		found += race.r[i].found;
		woken += race.r[i].woken;
	}
	now = passes_of(&race);
	KT_CHECKF(pairs_of(&race) >= goal, "%llu pairs, %llu wanted",
		  (unsigned long long)pairs_of(&race),
		  (unsigned long long)goal);
	/*
	 * A wake is one that ended a park, nothing else counts as one; but a
	 * wake by node may choose whom another is waking by name.
	 */
	if (!by_node)
		KT_CHECKF(woken <= parks, "%llu woken, %llu parks",
			  (unsigned long long)woken,
			  (unsigned long long)parks);
	kt_note("%s: %d threads, %d batons: %llu passes, %llu parks (%llu found work), %llu woken, %.2f us a pass",
		backend_name(), threads, batons, (unsigned long long)now,
		(unsigned long long)parks, (unsigned long long)found,
		(unsigned long long)woken, (double)t0 / 1e3 / (double)now);
	pthread_barrier_destroy(&race.ready);
	KT_EQ(pulse_ctx_destroy(race.ctx), 0);
}

/* Of 10^6 in all. */
static uint64_t pairs(long n)
{
	return (uint64_t)kt_scale(n);
}

static int cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > MAX_RUNNERS / 2 ? MAX_RUNNERS / 2 : (int)n;
}

KT_TEST(one_baton_between_two)
{
	run_race(2, 1, pairs(200000), false, false, -1);
}

/* Each wake preempts or is preempted, at whichever instruction. */
KT_TEST(one_baton_between_two_on_one_cpu)
{
	run_race(2, 1, pairs(350000), false, false, sched_getcpu());
}

KT_TEST(one_baton_among_twice_the_cpus)
{
	run_race(2 * cpus(), 1, pairs(100000), false, false, -1);
}

KT_TEST(half_as_many_batons_as_workers)
{
	run_race(2 * cpus(), cpus(), pairs(250000), false, true, -1);
}

KT_TEST(with_deadlines_that_fire_at_the_wrong_moment)
{
	run_race(2 * cpus(), 2, pairs(100000), true, true, -1);
}

KT_TEST(a_worker_alone_passes_to_itself)
{
	run_race(1, 1, pairs(50000), false, true, -1);
}

KT_MAIN()
