// SPDX-License-Identifier: GPL-2.0-only
/* The timer wheel against a clock of the test's own. */
#include "io/wheel.h"
#include "ktap.h"

#define TICK	(1LL << PULSE__WHEEL_TICK_SHIFT)

struct alarm {
	struct pulse_poller_timer timer;
	int64_t due;		/* not before this tick */
	int64_t fired_at;	/* tick of the advance that fired it, -1 */
};

static int64_t clock_tick;
static int order_broken;
static uint64_t last_tick;
static struct pulse__wheel wheel;

static void fired(struct pulse_poller *poller, struct pulse_poller_timer *t)
{
	struct alarm *a = (struct alarm *)t;

	(void)poller;
	a->fired_at = clock_tick;
	if (t->tick < last_tick)
		order_broken++;
	last_tick = t->tick;
}

static void begin(int64_t tick)
{
	memset(&wheel, 0, sizeof(wheel));
	clock_tick = tick;
	last_tick = 0;
	order_broken = 0;
	pulse__wheel_init(&wheel, tick * TICK);
}

static void arm(struct alarm *a, int64_t tick)
{
	a->timer.fn = fired;
	a->due = tick;
	a->fired_at = -1;
	pulse__wheel_arm(&wheel, &a->timer, tick * TICK);
}

static unsigned int go_to(int64_t tick)
{
	clock_tick = tick;
	return pulse__wheel_advance(&wheel, tick * TICK, NULL);
}

KT_TEST(fires_at_its_tick_and_not_before)
{
	static const int64_t delays[] = {
		1, 2, 63, 64, 65, 127, 128, 4095, 4096, 4097, 5000, 262143,
		262144, 262145, 300000, 16777215, 16777216, 16777217, 40000000,
	};

	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		for (int64_t start = 0; start < 3; start++) {
			struct alarm a = { 0 };
			int64_t now = start * 4095 + 61;

			begin(now);
			arm(&a, now + delays[i]);
			KT_EQ(go_to(now + delays[i] - 1), 0);
			KT_EQ(a.fired_at, -1);
			KT_EQ(go_to(now + delays[i]), 1);
			KT_EQ(a.fired_at, now + delays[i]);
			KT_EQ(wheel.armed, 0);
		}
	}
}

KT_TEST(next_is_never_late_and_ends)
{
	struct alarm a = { 0 };
	int steps = 0;

	begin(1000);
	KT_EQ(pulse__wheel_next(&wheel), PULSE_FOREVER);
	arm(&a, 1000 + 300000);
	while (a.fired_at < 0 && steps++ < 10) {
		int64_t next = pulse__wheel_next(&wheel) / TICK;

		KT_CHECK(next > clock_tick && next <= a.due);
		go_to(next);
	}
	KT_EQ(a.fired_at, a.due);
	KT_CHECKF(steps <= 4, "%d steps", steps);
	KT_EQ(pulse__wheel_next(&wheel), PULSE_FOREVER);
}

/* What is next is kept, and found anew where its slot has become empty. */
KT_TEST(a_cancelled_timer_is_not_waited_for)
{
	struct alarm a = { 0 }, b = { 0 }, c = { 0 };

	begin(1000);
	arm(&a, 1010);
	arm(&b, 1050);
	KT_EQ(pulse__wheel_next(&wheel) / TICK, 1010);
	KT_CHECK(pulse__wheel_cancel(&wheel, &a.timer));
	KT_EQ(pulse__wheel_next(&wheel) / TICK, 1050);
	arm(&c, 1020);
	KT_EQ(pulse__wheel_next(&wheel) / TICK, 1020);
	arm(&c, 1060);			/* moved away */
	KT_EQ(pulse__wheel_next(&wheel) / TICK, 1050);
	KT_EQ(go_to(1050), 1);
	KT_EQ(b.fired_at, 1050);
	KT_EQ(pulse__wheel_next(&wheel) / TICK, 1060);
	KT_CHECK(pulse__wheel_cancel(&wheel, &c.timer));
	KT_EQ(pulse__wheel_next(&wheel), PULSE_FOREVER);
	KT_EQ(wheel.armed, 0);
}

KT_TEST(the_past_fires_next)
{
	struct alarm a = { 0 };

	begin(500);
	arm(&a, 3);
	KT_EQ(go_to(501), 1);
	KT_EQ(a.fired_at, 501);
}

KT_TEST(cancel_leaves_no_trace)
{
	struct alarm a[3] = { 0 };

	begin(7);
	for (int i = 0; i < 3; i++)
		arm(&a[i], 100);
	KT_CHECK(pulse__wheel_cancel(&wheel, &a[1].timer));
	KT_CHECK(!pulse__wheel_cancel(&wheel, &a[1].timer));
	KT_CHECK(pulse__wheel_cancel(&wheel, &a[2].timer));
	KT_CHECK(pulse__wheel_cancel(&wheel, &a[0].timer));
	KT_EQ(wheel.armed, 0);
	for (int i = 0; i < PULSE__WHEEL_LEVELS; i++)
		KT_EQ(wheel.used[i], 0);
	KT_EQ(go_to(200), 0);
}

static struct alarm partner;

static void cancels_partner(struct pulse_poller *poller,
			    struct pulse_poller_timer *t)
{
	pulse__wheel_cancel(&wheel, &partner.timer);
	fired(poller, t);
}

static void arms_again(struct pulse_poller *poller, struct pulse_poller_timer *t)
{
	fired(poller, t);
	pulse__wheel_arm(&wheel, t, (clock_tick + 10) * TICK);
}

KT_TEST(a_timer_may_cancel_and_arm_while_it_fires)
{
	struct alarm a = { 0 };

	begin(0);
	memset(&partner, 0, sizeof(partner));
	arm(&partner, 50);
	arm(&a, 50);		/* filed in front: fires first */
	a.timer.fn = cancels_partner;
	KT_EQ(go_to(60), 1);
	KT_EQ(partner.fired_at, -1);
	KT_EQ(a.fired_at, 60);

	arm(&a, 70);
	a.timer.fn = arms_again;
	KT_EQ(go_to(70), 1);
	KT_EQ(wheel.armed, 1);
	KT_EQ(go_to(79), 0);
	KT_EQ(go_to(80), 1);
	pulse__wheel_cancel(&wheel, &a.timer);
}

static uint64_t seed = 88172645463325252ULL;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

KT_TEST(a_thousand_random_timers_keep_time)
{
	enum { N = 1000 };
	struct alarm *a = calloc(N, sizeof(*a));
	int64_t now = 12345;
	long left = N, rounds = kt_scale(20000);

	KT_REQUIRE(a);
	begin(now);
	for (int i = 0; i < N; i++)
		arm(&a[i], now + 1 + (int64_t)(rnd() % (1ULL << (rnd() % 23))));
	for (int i = 0; i < N; i += 7)
		left -= pulse__wheel_cancel(&wheel, &a[i].timer);
	while (rounds-- && wheel.armed) {
		int64_t next = pulse__wheel_next(&wheel) / TICK;

		/* Sometimes on time, sometimes late. */
		now = rnd() % 4 ? next : next + (int64_t)(rnd() % 5000);
		last_tick = 0;
		left -= go_to(now);
	}
	for (int i = 0; i < N; i++)
		if (a[i].fired_at >= 0)
			KT_CHECK(a[i].fired_at >= a[i].due);
	KT_EQ(wheel.armed, left);
	KT_EQ(order_broken, 0);
	free(a);
}

KT_MAIN()
