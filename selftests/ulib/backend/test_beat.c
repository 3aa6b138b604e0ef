// SPDX-License-Identifier: GPL-2.0-only
/*
 * pulse_worker_beat() on whichever backend there is. Nothing is asserted of
 * how many beats there are: of an emulated CPU, and of a thread that plays the
 * kernel, only that they come, and that they stop.
 */
#include "helpers.h"

#include "backend/backend.h"

#define US	1000ULL

static uint64_t beats(struct pulse_ctx *ctx, int index)
{
	return __atomic_load_n(pulse_worker_beats(ctx, index), __ATOMIC_RELAXED);
}

/* Spins, without a system call that lets go of the CPU. */
static bool spin_until_beats(struct pulse_ctx *ctx, int index, uint64_t until)
{
	int64_t end = pulse_now_ns() + 20000000000LL;

	while (beats(ctx, index) < until) {
		if (pulse_now_ns() > end)
			return false;
	}
	return true;
}

static bool spin_for_beats(struct pulse_ctx *ctx, int index, uint64_t more)
{
	return spin_until_beats(ctx, index, beats(ctx, index) + more);
}

/* U04: first of all, for there is one thread that beats, begun once. */
KT_TEST(without_memory_for_who_beats_it_is_told_and_works_later)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };
	struct pulse_ctx *ctx;
	bool failed;
	int i, err;

	KT_REQUIRE(!pulse_ctx_create(NULL, &ctx));
	KT_EQ(pulse_backend_info(&info), 0);
	i = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(i >= 0);
	pulse__alloc_fail_at(1);
	err = pulse_worker_beat(ctx, i, 1000 * US);
	failed = pulse__alloc_failed();
	pulse__alloc_fail_at(0);
	KT_EQ(err, failed ? -ENOMEM : 0);
	if (info.kind == PULSE_BACKEND_USER)
		KT_CHECK(failed);
	KT_EQ(pulse_worker_beat(ctx, i, 1000 * US), 0);
	KT_CHECK(spin_for_beats(ctx, i, 2));
	KT_EQ(pulse_worker_unregister(ctx, i), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

KT_TEST(a_worker_that_polls_sees_beats_until_it_wants_no_more)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };
	struct pulse_ctx *ctx;
	uint64_t was;
	int i;

	KT_REQUIRE(!pulse_ctx_create(NULL, &ctx));
	i = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(i >= 0);
	KT_EQ(beats(ctx, i), 0);
	KT_EQ(pulse_worker_beat(ctx, i, 0), 0);
	KT_EQ(pulse_worker_beat(ctx, i, 200 * US), 0);
	KT_CHECK(spin_for_beats(ctx, i, 3));
	/* another period, on the way */
	KT_EQ(pulse_worker_beat(ctx, i, 1000 * US), 0);
	KT_CHECK(spin_for_beats(ctx, i, 3));
	KT_EQ(pulse_worker_beat(ctx, i, 0), 0);
	was = beats(ctx, i);
	nap_us(20000);
	KT_EQ(beats(ctx, i), was);
	KT_EQ(pulse_worker_state(ctx, i, &st), 0);
	KT_EQ(st.beats, was);
	KT_EQ(pulse_worker_beat(ctx, i, 200 * US), 0);
	KT_CHECK(spin_for_beats(ctx, i, 2));

	/* whoever registers next begins with none */
	KT_EQ(pulse_worker_unregister(ctx, i), 0);
	was = beats(ctx, i);
	nap_us(20000);
	KT_EQ(beats(ctx, i), was);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

/* Beats of a worker that runs for 20 ms and says each time how far it is behind. */
static uint64_t beats_behind(struct pulse_ctx *ctx, int i, uint64_t behind,
			     int64_t *took)
{
	uint64_t before = beats(ctx, i), now = before;
	int64_t start = pulse_now_ns(), end = start + 20000000;

	while (pulse_now_ns() < end) {
		if (behind < 2 && beats(ctx, i) != now) {
			now = beats(ctx, i);
			if (behind)
				pulse__beat_enough(ctx, i, now);
			else
				pulse__beat_heard(ctx, i, now);
		}
	}
	*took = pulse_now_ns() - start;
	return beats(ctx, i) - before;
}

/*
 * One that writes down what it heard: fewer beats before that. At the rate that
 * was wished for there would be a hundred in the time.
 */
KT_TEST(who_has_not_heard_the_last_beat_gets_few_more)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };
	struct pulse_ctx *ctx;
	uint64_t heard = 0;
	int i;

	KT_REQUIRE(!pulse_ctx_create(NULL, &ctx));
	KT_EQ(pulse_backend_info(&info), 0);
	i = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(i >= 0);
	pulse__beat_heard(ctx, i, heard);
	KT_EQ(pulse__worker_listen(ctx, i, 200 * US), 0);
	for (int round = 0; round < 3; round++) {
		uint64_t n;
		int64_t took;

		KT_CHECK(spin_until_beats(ctx, i, heard + 1));
		/* After 2, 4, 8, 16, 32 periods, then 10 ms each. */
		n = beats_behind(ctx, i, 2, &took);
		/* The module's own: selftests/kmod/test_beat.c. */
		if (info.kind == PULSE_BACKEND_USER)
			KT_CHECK(n <= 10 + (uint64_t)took / 5000000);
		/* After at most 8: 1.6 ms. */
		n = beats_behind(ctx, i, 1, &took);
		if (info.kind == PULSE_BACKEND_USER)
			KT_CHECK(n <= 10 + (uint64_t)took / 800000);
		/* It hears again, and is not kept waiting for what was put off. */
		heard = beats(ctx, i);
		pulse__beat_heard(ctx, i, heard);
	}
	KT_EQ(pulse_worker_unregister(ctx, i), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

struct beater {
	struct pulse_ctx *ctx;
	pthread_t thread;
	uint64_t period_ns;
	int index;
	int ready;
	int stop;
	int fault;
	bool park;	/* before it spins, until somebody wakes it */
};

static bool beater_recheck(void *arg)
{
	struct beater *b = arg;

	return __atomic_load_n(&b->stop, __ATOMIC_SEQ_CST);
}

static void *beater_main(void *arg)
{
	struct beater *b = arg;

	b->index = pulse_worker_register(b->ctx, -1, 0);
	b->fault = b->index < 0 ||
		   pulse_worker_beat(b->ctx, b->index, b->period_ns);
	__atomic_store_n(&b->ready, 1, __ATOMIC_SEQ_CST);
	if (b->fault)
		return NULL;
	if (b->park)
		pulse_worker_park(b->ctx, b->index, PULSE_FOREVER,
				  beater_recheck, b);
	while (!__atomic_load_n(&b->stop, __ATOMIC_SEQ_CST))
		;
	/* ends with beats on: the library takes them away */
	return NULL;
}

static bool beater_start(struct beater *b, struct pulse_ctx *ctx)
{
	b->ctx = ctx;
	return !pthread_create(&b->thread, NULL, beater_main, b) &&
	       EVENTUALLY(__atomic_load_n(&b->ready, __ATOMIC_SEQ_CST)) &&
	       !b->fault;
}

static void beater_stop(struct beater *b)
{
	__atomic_store_n(&b->stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(b->thread, NULL);
}

KT_TEST(who_parks_has_no_beats_and_who_is_woken_has_them_again)
{
	struct beater b = { .period_ns = 200 * US, .park = true };
	struct pulse_ctx *ctx;
	uint64_t was;

	KT_REQUIRE(!pulse_ctx_create(NULL, &ctx));
	KT_REQUIRE(beater_start(&b, ctx));
	KT_CHECK(EVENTUALLY(state_of(ctx, b.index) == PULSE_STATE_PARKED));
	was = beats(ctx, b.index);
	nap_us(100000);
	/* the park may be spurious; as it is, it spins afterwards */
	if (state_of(ctx, b.index) == PULSE_STATE_PARKED)
		KT_EQ(beats(ctx, b.index), was);
	KT_CHECK(EVENTUALLY(pulse_worker_wake(ctx, &(uint32_t){
					(uint32_t)b.index }, 1) >= 0));
	KT_CHECK(EVENTUALLY(beats(ctx, b.index) > was));
	beater_stop(&b);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

KT_TEST(several_workers_beat_each_at_its_own_period)
{
	struct beater b[4] = { { 0 } };
	struct pulse_ctx *ctx[2];

	for (long n = kt_scale(5) + 1; n--;) {
		KT_REQUIRE(!pulse_ctx_create(NULL, &ctx[0]));
		KT_REQUIRE(!pulse_ctx_create(NULL, &ctx[1]));
		for (int i = 0; i < 4; i++) {
			b[i] = (struct beater){
				.period_ns = (uint64_t)(i + 1) * 200 * US,
			};
			KT_REQUIRE(beater_start(&b[i], ctx[i & 1]));
		}
		for (int i = 0; i < 4; i++)
			KT_CHECK(EVENTUALLY(beats(b[i].ctx, b[i].index) >= 3));
		for (int i = 0; i < 4; i++)
			beater_stop(&b[i]);
		/* all ended with beats on; nothing touches the pages any more */
		KT_EQ(pulse_ctx_destroy(ctx[0]), 0);
		KT_EQ(pulse_ctx_destroy(ctx[1]), 0);
	}
}

KT_TEST(what_cannot_be_is_refused)
{
	struct sleeper s = { .node = -1 };
	struct pulse_ctx *ctx;
	int i;

	KT_REQUIRE(!pulse_ctx_create(NULL, &ctx));
	i = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(i >= 0);
	KT_EQ(pulse_worker_beat(ctx, i, 1), -EINVAL);
	KT_EQ(pulse_worker_beat(ctx, i, PULSE_MIN_BEAT_NS - 1), -EINVAL);
	KT_EQ(pulse_worker_beat(ctx, i, PULSE_MAX_BEAT_NS + 1), -EINVAL);
	KT_EQ(pulse_worker_beat(ctx, i, UINT64_MAX), -EINVAL);
	KT_EQ(pulse_worker_beat(ctx, i, PULSE_MAX_BEAT_NS), 0);
	KT_EQ(pulse_worker_beat(ctx, -1, 1000 * US), -EINVAL);
	KT_EQ(pulse_worker_beat(ctx, i + 1, 1000 * US), -ESRCH);
	KT_EQ(pulse_worker_beat(ctx, 1 << 20, 1000 * US), -ESRCH);
	KT_EQ(pulse_worker_beat(NULL, i, 1000 * US), -EINVAL);
	KT_REQUIRE(sleeper_start(&s, ctx));
	KT_EQ(pulse_worker_beat(ctx, s.index, 1000 * US), -EPERM);
	KT_CHECK(pulse_worker_beats(ctx, s.index));
	__atomic_store_n(&s.stop, 1, __ATOMIC_SEQ_CST);
	KT_CHECK(EVENTUALLY(pulse_worker_wake(ctx, &(uint32_t){
					(uint32_t)s.index }, 1) != 0));
	pthread_join(s.thread, NULL);

	KT_CHECK(!pulse_worker_beats(ctx, -1));
	KT_CHECK(!pulse_worker_beats(ctx, 1 << 20));
	KT_CHECK(!pulse_worker_beats(NULL, 0));
	KT_EQ(pulse_worker_unregister(ctx, i), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

#ifndef __SANITIZE_THREAD__	/* which allows no threads after a fork with threads */
static int beats_of_a_child(void *arg)
{
	struct pulse_ctx *theirs = arg, *ctx;
	int i;

	if (pulse_worker_beat(theirs, 0, 1000 * US) != -EOWNERDEAD ||
	    pulse_worker_beats(theirs, 0))
		return 1;
	if (pulse_ctx_create(NULL, &ctx))
		return 2;
	i = pulse_worker_register(ctx, -1, 0);
	if (i < 0 || pulse_worker_beat(ctx, i, 200 * US))
		return 3;
	if (!spin_for_beats(ctx, i, 2))
		return 4;
	if (pulse_worker_unregister(ctx, i) || pulse_ctx_destroy(ctx))
		return 5;
	return 0;
}

KT_TEST(a_forked_child_beats_for_itself)
{
	struct pulse_ctx *ctx;
	int i;

	KT_REQUIRE(!pulse_ctx_create(NULL, &ctx));
	i = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(i >= 0);
	KT_EQ(pulse_worker_beat(ctx, i, 200 * US), 0);
	KT_EQ(in_child(beats_of_a_child, ctx), 0);
	KT_CHECK(spin_for_beats(ctx, i, 2));
	KT_EQ(pulse_worker_unregister(ctx, i), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}
#endif

KT_MAIN()
