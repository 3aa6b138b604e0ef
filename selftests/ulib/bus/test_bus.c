// SPDX-License-Identifier: GPL-2.0-only
/* The bus: who gets what, full queues, waiting, the process's bus. */
#include <pulse-u/result.h>

#include "bus/bus.h"
#include "helpers.h"

#define SOON()	(pulse_now_ns() + 1000000LL)
#define LATE()	(pulse_now_ns() + 20000000000LL)

/* U01 */
KT_TEST(missing_handles_are_refused)
{
	struct pulse_bus_metrics m = { .sz = sizeof(m) };
	struct pulse_bus_event *ev = event_of("a", 0);
	struct pulse_bus *bus = bus_of(4, 4);
	struct pulse_bus_sub *sub = (void *)1;
	const char *key;

	KT_EQ(pulse_bus_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_bus_close(NULL), -EINVAL);
	KT_EQ(pulse_bus_destroy(NULL), -EINVAL);
	KT_EQ(pulse_bus_publish(NULL, ev), -EINVAL);
	KT_EQ(pulse_bus_publish(bus, NULL), -EINVAL);
	KT_EQ(pulse_bus_publish_until(bus, ev, -1), -EINVAL);
	KT_EQ(pulse_bus_publish_async(bus, NULL), -EINVAL);
	KT_EQ(pulse_bus_publish_new(bus, NULL), -EINVAL);
	KT_EQ(pulse_bus_subscribe(NULL, "a", NULL, &sub), -EINVAL);
	KT_CHECK(!sub);
	KT_EQ(pulse_bus_subscribe(bus, NULL, NULL, &sub), -EINVAL);
	KT_EQ(pulse_bus_subscribe(bus, "a", NULL, NULL), -EINVAL);
	KT_EQ(pulse_bus_subscribe_multiple(bus, NULL, 1, NULL, &sub), -EINVAL);
	KT_EQ(pulse_bus_subscribe_filter(bus, "a", NULL, NULL, &sub), -EINVAL);
	KT_EQ(pulse_bus_unsubscribe(NULL), -EINVAL);
	KT_EQ(pulse_bus_receive(NULL, 0, &ev), -EINVAL);
	KT_EQ(pulse_bus_wait(bus, "a", NULL, 0, NULL), -EINVAL);
	KT_EQ(pulse_bus_metrics(bus, NULL), -EINVAL);
	KT_EQ(pulse_bus_metrics(NULL, &m), -EINVAL);
	KT_EQ(pulse_bus_cleanup(NULL), -EINVAL);
	KT_EQ(pulse_bus_sub_stats(NULL, NULL), -EINVAL);
	KT_EQ(pulse_bus_emit(NULL), -EINVAL);
	KT_EQ(pulse_bus_event_with_metadata(ev, "", "x"), -EINVAL);
	KT_EQ(pulse_bus_event_metadata_at(ev, 0, &key, NULL), -EINVAL);
	KT_CHECK(!pulse_bus_event_type(NULL) && !pulse_bus_event_payload(NULL, NULL));
	pulse_bus_event_put(NULL);
	pulse_bus_event_put(ev);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

/* U02 */
KT_TEST(bad_options_are_refused)
{
	struct pulse_bus_opts bad[] = {
		{ .sz = 1 }, { .sz = sizeof(bad[0]), .buffer_size = 1 << 21 },
		{ .sz = sizeof(bad[0]), .publish_timeout_ns = -1 },
		{ .sz = sizeof(bad[0]), .cleanup_interval_ns = 1 },
		{ .sz = sizeof(bad[0]), .policy = 5 },
		{ .sz = sizeof(bad[0]), .reserved = 1 },
	};
	struct pulse_bus_sub_opts worse[] = {
		{ .sz = 1 }, { .sz = sizeof(worse[0]), .policy = -1 },
		{ .sz = sizeof(worse[0]), .block_ns = -1 },
		{ .sz = sizeof(worse[0]), .buffer_size = 1 << 21 },
	};
	struct pulse_bus *bus = (void *)1;
	struct pulse_bus_sub *sub;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		KT_EQ(pulse_bus_create(&bad[i], &bus), -EINVAL);
		KT_CHECK(!bus);
	}
	KT_EQ(pulse_bus_create(NULL, &bus), 0);
	for (size_t i = 0; i < ARRAY_SIZE(worse); i++)
		KT_EQ(pulse_bus_subscribe(bus, "a", &worse[i], &sub), -EINVAL);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

KT_TEST(types_and_patterns_are_checked_and_matched)
{
	static const struct { const char *p; int want; } checks[] = {
		{ "a", 0 }, { "cache.hit", 0 }, { "a.b.c-d_e", 0 }, { "*", 1 },
		{ ">", 1 }, { "a.*", 1 }, { "a.*.>", 1 }, { "*.b", 1 },
		{ "", -EINVAL }, { ".", -EINVAL }, { "a.", -EINVAL },
		{ ".a", -EINVAL }, { "a..b", -EINVAL }, { "a b", -EINVAL },
		{ "a.>.b", -EINVAL }, { "a*", -EINVAL }, { "a.b>", -EINVAL },
		{ "a\n", -EINVAL },
	};
	static const struct { const char *p, *t; bool want; } matches[] = {
		{ "a.b", "a.b", true }, { "a.b", "a.c", false },
		{ "a.b", "a", false }, { "a", "a.b", false },
		{ "a", "ab", false }, { "ab", "a", false },
		{ "*", "a", true }, { "*", "a.b", false },
		{ "a.*", "a.b", true }, { "a.*", "a", false },
		{ "a.*", "a.b.c", false }, { "a.*.c", "a.b.c", true },
		{ "a.*.c", "a.b.d", false }, { ">", "a.b.c", true },
		{ "a.>", "a.b", true }, { "a.>", "a.b.c", true },
		{ "a.>", "a", false }, { "a.*.>", "a.b.c.d", true },
		{ "a.*.>", "a.b", false }, { "*.*", "a.b", true },
	};
	char big[PULSE_BUS_TYPE_MAX + 2];

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		KT_CHECKF(pulse__topic_check(checks[i].p) == checks[i].want,
			  "\"%s\"", checks[i].p);
	for (size_t i = 0; i < ARRAY_SIZE(matches); i++)
		KT_CHECKF(pulse__topic_match(matches[i].p, matches[i].t) ==
			  matches[i].want, "%s %s", matches[i].p, matches[i].t);
	memset(big, 'x', sizeof(big));
	big[PULSE_BUS_TYPE_MAX + 1] = 0;
	KT_EQ(pulse__topic_check(big), -EINVAL);
	big[PULSE_BUS_TYPE_MAX] = 0;
	KT_EQ(pulse__topic_check(big), 0);
}

static int freed;

static void free_payload(void *p)
{
	freed++;
	free(p);
}

KT_TEST(an_event_says_all_and_stands_still_once_published)
{
	PULSE_OPTS(pulse_bus_event_opts, o, .type = "a.b", .source = "me",
		   .payload = "12345", .payload_bytes = 6, .trace_id = "t0");
	struct pulse_bus *bus = bus_of(4, 4);
	struct pulse_bus_event *ev, *other;
	const char *key, *value;
	size_t bytes;

	KT_EQ(pulse_bus_event_create(&o, &ev), 0);
	KT_STREQ(pulse_bus_event_type(ev), "a.b");
	KT_STREQ(pulse_bus_event_source(ev), "me");
	KT_STREQ(pulse_bus_event_trace_id(ev), "t0");
	KT_STREQ(pulse_bus_event_payload(ev, &bytes), "12345");
	KT_EQ(bytes, 6);
	KT_EQ((uintptr_t)pulse_bus_event_payload(ev, NULL) % 16, 0);
	KT_CHECK(pulse_bus_event_time(ev) > 1500000000LL * 1000000000LL);
	KT_EQ(pulse_bus_event_with_trace_id(ev, "trace-123"), 0);
	KT_STREQ(pulse_bus_event_trace_id(ev), "trace-123");
	KT_EQ(pulse_bus_event_with_metadata(ev, "version", "1.0"), 0);
	KT_EQ(pulse_bus_event_with_metadata(ev, "k", "v"), 0);
	KT_EQ(pulse_bus_event_with_metadata(ev, "version", "2.0"), 0);
	KT_STREQ(pulse_bus_event_metadata(ev, "version"), "2.0");
	KT_CHECK(!pulse_bus_event_metadata(ev, "none"));
	KT_EQ(pulse_bus_event_metadata_at(ev, 1, &key, &value), 0);
	KT_STREQ(key, "k");
	KT_STREQ(value, "v");
	KT_EQ(pulse_bus_event_metadata_at(ev, 2, &key, &value), -ENOENT);
	KT_EQ(pulse_bus_publish(bus, ev), 0);
	KT_EQ(pulse_bus_event_with_metadata(ev, "k", "w"), -EBUSY);
	KT_EQ(pulse_bus_event_with_trace_id(ev, "w"), -EBUSY);

	o.payload = malloc(100);
	o.payload_bytes = 100;
	o.payload_free = free_payload;
	o.trace_id = o.source = NULL;
	KT_EQ(pulse_bus_event_create(&o, &other), 0);
	KT_CHECK(pulse_bus_event_payload(other, NULL) == o.payload);
	KT_CHECK(pulse_bus_event_id(other) != pulse_bus_event_id(ev));
	KT_CHECK(!pulse_bus_event_trace_id(other));
	KT_STREQ(pulse_bus_event_source(other), "");
	KT_EQ(freed, 0);
	pulse_bus_event_put(other);
	KT_EQ(freed, 1);
	pulse_bus_event_put(ev);
	o.type = "a.*";
	o.payload = malloc(100);
	KT_EQ(pulse_bus_event_create(&o, &other), -EINVAL);
	KT_EQ(freed, 1);
	free((void *)(uintptr_t)o.payload);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

static int odd(const struct pulse_bus_event *ev, void *arg)
{
	(void)arg;
	return number_of(ev) & 1;
}

KT_TEST(type_filter_multiple_pattern_and_all_get_what_they_asked_for)
{
	const char *types[] = { PULSE_BUS_CACHE_HIT, "cache.*", "system.>" };
	struct pulse_bus_sub *hit, *few, *multi, *all;
	struct pulse_bus *bus = bus_of(10, 100);
	struct pulse_bus_metrics m;

	KT_EQ(pulse_bus_subscribe(bus, PULSE_BUS_CACHE_HIT, NULL, &hit), 0);
	KT_EQ(pulse_bus_subscribe_filter(bus, PULSE_BUS_CACHE_HIT, odd, NULL,
					 &few), 0);
	KT_EQ(pulse_bus_subscribe_multiple(bus, types, 3, NULL, &multi), 0);
	KT_EQ(pulse_bus_subscribe_all(bus, NULL, &all), 0);
	KT_EQ(say(bus, PULSE_BUS_CACHE_HIT, 1), 4);
	KT_EQ(say(bus, PULSE_BUS_CACHE_HIT, 2), 3);
	KT_EQ(say(bus, PULSE_BUS_CACHE_MISS, 3), 2);
	KT_EQ(say(bus, PULSE_BUS_SYSTEM_HEALTH_CHECK, 4), 2);
	KT_EQ(say(bus, "request.received", 5), 1);
	KT_EQ(hear(hit, 0), 1);
	KT_EQ(hear(hit, 0), 2);
	KT_EQ(hear(hit, 0), -ETIMEDOUT);
	KT_EQ(hear(few, 0), 1);
	KT_EQ(hear(few, SOON()), -ETIMEDOUT);
	for (long i = 1; i <= 4; i++)
		KT_EQ(hear(multi, 0), i);
	KT_EQ(hear(multi, 0), -ETIMEDOUT);
	for (long i = 1; i <= 5; i++)
		KT_EQ(hear(all, 0), i);
	m = metrics_of(bus);
	KT_EQ(m.published, 5);
	KT_EQ(m.delivered, 12);
	KT_EQ(m.consumed, 12);
	KT_EQ(m.filtered, 1);
	KT_EQ(m.subscribers, 4);
	KT_EQ(pulse_bus_unsubscribe(all), 0);
	KT_EQ(pulse_bus_unsubscribe(multi), 0);
	KT_EQ(say(bus, PULSE_BUS_CACHE_MISS, 6), 0);
	KT_EQ(say(bus, PULSE_BUS_CACHE_HIT, 8), 1);
	m = metrics_of(bus);
	KT_EQ(m.unheard, 1);
	KT_EQ(m.published, 7);
	KT_EQ(m.delivered, 13);
	KT_CHECK(pulse_bus_cleanup(bus) >= 0);
	KT_EQ(pulse_bus_cleanup(bus), 1);	/* cache.hit: not since then */
	KT_EQ(say(bus, PULSE_BUS_CACHE_HIT, 9), 2);
	KT_EQ(pulse_bus_unsubscribe(hit), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
	/* Outlives the bus, with what it had. */
	KT_EQ(hear(few, PULSE_FOREVER), 9);
	KT_EQ(hear(few, PULSE_FOREVER), -ESHUTDOWN);
	KT_EQ(pulse_bus_unsubscribe(few), 0);
}

KT_TEST(no_more_subscribers_than_allowed)
{
	struct pulse_bus *bus = bus_of(2, 4);
	struct pulse_bus_sub *a, *b, *c;
	struct pulse_bus_event *ev;

	KT_EQ(pulse_bus_subscribe(bus, "a", NULL, &a), 0);
	KT_EQ(pulse_bus_subscribe(bus, "a", NULL, &b), 0);
	KT_EQ(pulse_bus_subscribe(bus, "a", NULL, &c), -ENOSPC);
	KT_EQ(pulse_bus_wait(bus, "a", NULL, 0, &ev), -ENOSPC);
	KT_EQ(pulse_bus_unsubscribe(a), 0);
	KT_EQ(pulse_bus_subscribe(bus, "a", NULL, &c), 0);
	KT_EQ(pulse_bus_unsubscribe(b), 0);
	KT_EQ(pulse_bus_unsubscribe(c), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

/* V15: a slow subscriber meets its own policy and nobody else's */
KT_TEST(a_full_queue_does_what_its_policy_says)
{
	struct pulse_bus_sub_stats st = { .sz = sizeof(st) };
	struct pulse_bus *bus = bus_of(10, 100);
	struct pulse_bus_sub *oldest, *newest, *cut, *block, *quick;
	PULSE_OPTS(pulse_bus_sub_opts, o, .policy = PULSE_BUS_BLOCK,
		   .buffer_size = 3, .block_ns = 1000000);
	struct pulse_bus_metrics m;

	oldest = sub_of(bus, "a", PULSE_BUS_DROP_OLDEST, 3, NULL, NULL);
	newest = sub_of(bus, "a", PULSE_BUS_DROP_NEWEST, 3, NULL, NULL);
	cut = sub_of(bus, "a", PULSE_BUS_DISCONNECT, 3, NULL, NULL);
	KT_EQ(pulse_bus_subscribe(bus, "a", &o, &block), 0);
	quick = sub_of(bus, "a", 0, 0, NULL, NULL);
	for (long i = 0; i < 5; i++)
		KT_EQ(say(bus, "a", i), i < 3 ? 5 : 2);
	for (long i = 0; i < 3; i++) {
		KT_EQ(hear(oldest, 0), i + 2);
		KT_EQ(hear(newest, 0), i);
		KT_EQ(hear(cut, 0), i);
		KT_EQ(hear(block, 0), i);
	}
	KT_EQ(hear(oldest, 0), -ETIMEDOUT);
	KT_EQ(hear(newest, 0), -ETIMEDOUT);
	KT_EQ(hear(cut, PULSE_FOREVER), -ECONNABORTED);
	KT_EQ(hear(block, 0), -ETIMEDOUT);
	for (long i = 0; i < 5; i++)
		KT_EQ(hear(quick, 0), i);
	KT_EQ(pulse_bus_sub_stats(block, &st), 0);
	KT_EQ(st.timeouts, 2);
	KT_EQ(st.dropped, 2);
	KT_EQ(st.most_queued, 3);
	m = metrics_of(bus);
	KT_EQ(m.disconnected, 1);
	KT_EQ(m.timeouts, 2);
	KT_EQ(m.dropped, 2 + 2 + 1 + 2);
	KT_EQ(m.delivered, 3 * 4 + 2 + 5);
	/* Nothing for who is cut, though it is still there. */
	KT_EQ(say(bus, "a", 9), 4);
	KT_EQ(pulse_bus_unsubscribe(oldest), 0);
	KT_EQ(pulse_bus_unsubscribe(newest), 0);
	KT_EQ(pulse_bus_unsubscribe(cut), 0);
	KT_EQ(pulse_bus_unsubscribe(block), 0);
	KT_EQ(pulse_bus_unsubscribe(quick), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

/* V15: ... and without one of its own, the bus's */
KT_TEST(a_subscription_without_a_policy_has_the_buss)
{
	static const int policies[] = {
		PULSE_BUS_DROP_OLDEST, PULSE_BUS_DROP_NEWEST, PULSE_BUS_DISCONNECT,
	};
	static const long second[] = { 2, 1, 1 }, after[] = {
		-ETIMEDOUT, -ETIMEDOUT, -ECONNABORTED,
	};

	for (int i = 0; i < 3; i++) {
		PULSE_OPTS(pulse_bus_opts, o, .policy = policies[i], .buffer_size = 2);
		struct pulse_bus *bus = NULL;
		struct pulse_bus_sub *sub;

		KT_EQ(pulse_bus_create(&o, &bus), 0);
		KT_EQ(pulse_bus_subscribe(bus, "a", NULL, &sub), 0);
		for (long n = 0; n < 3; n++)
			say(bus, "a", n);
		KT_EQ(hear(sub, 0), second[i] - 1);
		KT_EQ(hear(sub, 0), second[i]);
		KT_EQ(hear(sub, 0), after[i]);
		KT_EQ(pulse_bus_unsubscribe(sub), 0);
		KT_EQ(pulse_bus_destroy(bus), 0);
	}
}

KT_TEST(publish_until_waits_as_long_as_it_says)
{
	struct pulse_bus *bus = bus_of(10, 1);	/* blocks for ever */
	struct pulse_bus_sub *sub = sub_of(bus, "a", 0, 0, NULL, NULL);
	struct pulse_bus_event *ev = event_of("a", 7);

	KT_EQ(pulse_bus_publish_until(bus, ev, 0), 1);
	KT_EQ(pulse_bus_publish_until(bus, ev, 0), 0);
	KT_EQ(pulse_bus_publish_until(bus, ev, SOON()), 0);
	KT_EQ(hear(sub, 0), 7);
	KT_EQ(pulse_bus_publish_until(bus, ev, 0), 1);
	pulse_bus_event_put(ev);
	KT_EQ(pulse_bus_unsubscribe(sub), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

struct waiter {
	struct pulse_bus *bus;
	struct pulse_token *token;
	const char *types[2];
	int64_t deadline;
	long got;
	pthread_t thread;
};

static void *wait_main(void *arg)
{
	struct waiter *w = arg;
	struct pulse_bus_event *ev;

	w->got = w->types[1] ?
		 pulse_bus_wait_multiple(w->bus, w->types, 2, w->token,
					 w->deadline, &ev) :
		 pulse_bus_wait(w->bus, w->types[0], w->token, w->deadline, &ev);
	if (!w->got) {
		w->got = number_of(ev);
		pulse_bus_event_put(ev);
	}
	return NULL;
}

static bool waits(struct waiter *w)
{
	uint32_t before = metrics_of(w->bus).subscribers;

	KT_EQ(pthread_create(&w->thread, NULL, wait_main, w), 0);
	return EVENTUALLY(metrics_of(w->bus).subscribers == before + 1);
}

KT_TEST(wait_and_wait_multiple)
{
	struct pulse_bus *bus = bus_of(10, 4);
	struct waiter one = { .bus = bus, .types = { "a.b" },
			      .deadline = PULSE_FOREVER };
	struct waiter many = { .bus = bus, .types = { "x", "y.>" },
			       .deadline = LATE() };
	struct waiter token = one, shut = one;
	struct pulse_bus_event *ev;

	KT_EQ(pulse_bus_wait(bus, "a", NULL, 0, &ev), -ETIMEDOUT);
	KT_EQ(pulse_bus_wait(bus, "a", NULL, SOON(), &ev), -ETIMEDOUT);
	KT_EQ(pulse_bus_wait(bus, "a..", NULL, SOON(), &ev), -EINVAL);
	KT_EQ(pulse_token_create(NULL, &token.token), 0);
	KT_CHECK(waits(&one) && waits(&many) && waits(&token));
	KT_EQ(say(bus, "a.c", 1), 0);
	KT_EQ(say(bus, "y.z", 2), 1);
	pulse_token_cancel(token.token, -EINTR);
	pthread_join(many.thread, NULL);
	pthread_join(token.thread, NULL);
	KT_EQ(many.got, 2);
	KT_EQ(token.got, -EINTR);
	KT_EQ(say(bus, "a.b", 3), 1);
	pthread_join(one.thread, NULL);
	KT_EQ(one.got, 3);
	/* Cancelled before. */
	KT_EQ(pulse_bus_wait(bus, "a", token.token, PULSE_FOREVER, &ev), -EINTR);
	pulse_token_put(token.token);
	KT_CHECK(waits(&shut));
	KT_EQ(pulse_bus_close(bus), 0);
	pthread_join(shut.thread, NULL);
	KT_EQ(shut.got, -ESHUTDOWN);
	KT_EQ(pulse_bus_wait(bus, "a", NULL, 0, &ev), -ESHUTDOWN);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

static void *receive_main(void *arg)
{
	struct pulse_bus_event *ev;

	return (void *)(intptr_t)pulse_bus_receive(arg, PULSE_FOREVER, &ev);
}

KT_TEST(a_receiver_that_waits_is_told_of_the_end)
{
	struct pulse_bus *bus = bus_of(10, 4);
	struct pulse_bus_sub *sub = sub_of(bus, "a", 0, 0, NULL, NULL);
	pthread_t t;
	void *ret;

	pthread_create(&t, NULL, receive_main, sub);
	KT_CHECK(EVENTUALLY(__atomic_load_n(&sub->waiters, __ATOMIC_RELAXED)));
	KT_EQ(pulse_bus_unsubscribe(sub), 0);
	pthread_join(t, &ret);
	KT_EQ((intptr_t)ret, -ECANCELED);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

KT_TEST(batches_are_received_at_once)
{
	struct pulse_bus *bus = bus_of(10, 100);
	struct pulse_bus_sub *sub = sub_of(bus, ">", 0, 0, NULL, NULL);
	struct pulse_bus_event *evs[64];
	int n;

	for (long i = 0; i < 70; i++)
		KT_EQ(say(bus, i & 1 ? "a" : "b.c", i), 1);
	n = pulse_bus_receive_batch(sub, 0, evs, 64);
	KT_EQ(n, 64);
	for (int i = 0; i < n; i++) {
		KT_EQ(number_of(evs[i]), i);
		pulse_bus_event_put(evs[i]);
	}
	n = pulse_bus_receive_batch(sub, PULSE_FOREVER, evs, 64);
	KT_EQ(n, 6);
	for (int i = 0; i < n; i++)
		pulse_bus_event_put(evs[i]);
	KT_EQ(pulse_bus_receive_batch(sub, 0, evs, 64), -ETIMEDOUT);
	KT_EQ(pulse_bus_unsubscribe(sub), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

KT_TEST(the_bus_of_the_process)
{
	struct pulse_bus_event *ev = event_of(PULSE_BUS_SYSTEM_STARTUP, 5);
	struct pulse_bus *old = NULL, *mine = bus_of(4, 4);
	struct pulse_bus_sub *sub;

	KT_EQ(pulse_bus_emit(ev), 0);
	KT_EQ(pulse_bus_emit_async(ev), 0);
	KT_EQ(pulse_bus_on(PULSE_BUS_SYSTEM_STARTUP, NULL, &sub), 0);
	KT_EQ(pulse_bus_global_init(NULL), -EALREADY);
	KT_EQ(pulse_bus_emit(ev), 1);
	KT_EQ(hear(sub, 0), 5);
	KT_EQ(pulse_bus_emit_async(ev), 0);
	KT_EQ(hear(sub, LATE()), 5);
	KT_EQ(pulse_bus_unsubscribe(sub), 0);
	KT_EQ(pulse_bus_global_set(mine, NULL), -EINVAL);
	KT_EQ(pulse_bus_global_set(mine, &old), 0);
	KT_CHECK(old && old != mine);
	KT_EQ(pulse_bus_destroy(old), 0);
	KT_EQ(pulse_bus_on("system.*", NULL, &sub), 0);
	KT_EQ(pulse_bus_emit(ev), 1);
	KT_EQ(pulse_bus_unsubscribe(sub), 0);
	KT_EQ(pulse_bus_global_set(NULL, &old), 0);
	KT_CHECK(old == mine);
	KT_EQ(pulse_bus_destroy(old), 0);
	KT_EQ(pulse_bus_global_init(NULL), 0);
	KT_EQ(pulse_bus_global_set(NULL, &old), 0);
	KT_EQ(pulse_bus_destroy(old), 0);
	pulse_bus_event_put(ev);
}

/* U04: every way out of memory leaves all as it was */
KT_TEST(each_allocation_may_fail)
{
	const char *types[] = { "a.b", "a.*", "c" };
	PULSE_OPTS(pulse_bus_sub_opts, o);
	long n, calls = 0, steps = 0;

	o.handler = count_event;
	o.arg = &calls;
	for (n = 1; n < 1000; n++) {
		struct pulse_bus_sub *sub = NULL, *pull = NULL;
		struct pulse_bus *bus = NULL;
		int err, said = 0;

		pulse__alloc_fail_at(n);
		err = pulse_bus_create(NULL, &bus);
		if (!err)
			err = pulse_bus_subscribe_multiple(bus, types, 3, &o, &sub);
		if (!err)
			err = pulse_bus_subscribe_all(bus, NULL, &pull);
		for (int i = 0; i < 20 && !err; i++) {
			said = say(bus, "a.b", i);
			err = said < 0 ? said : 0;
		}
		steps += !pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_CHECKF(!err || err == -ENOMEM, "%ld: %d", n, err);
		if (pull)
			KT_EQ(pulse_bus_unsubscribe(pull), 0);
		if (sub)
			KT_EQ(pulse_bus_unsubscribe(sub), 0);
		if (bus)
			KT_EQ(pulse_bus_destroy(bus), 0);
		if (steps)
			break;
	}
	KT_CHECK(n > 10 && n < 1000);
	kt_note("%ld allocations", n - 1);
}

static int use_in_child(void *arg)
{
	struct pulse_bus *bus = arg;
	struct pulse_bus_event *ev = event_of("a", 1);
	struct pulse_bus_sub *sub;

	if (pulse_bus_publish(bus, ev) != -EOWNERDEAD)
		return 1;
	if (pulse_bus_subscribe(bus, "a", NULL, &sub) != -EOWNERDEAD)
		return 2;
	if (pulse_bus_publish_async(bus, ev) != -EOWNERDEAD)
		return 3;
	return pulse_bus_destroy(bus) == -EOWNERDEAD ? 0 : 4;
}

KT_TEST(a_forked_child_is_told)
{
	struct pulse_bus *bus = bus_of(4, 4);
	long calls = 0;
	struct pulse_bus_sub *sub = sub_of(bus, "a", 0, 0, count_event, &calls);

	KT_EQ(in_child(use_in_child, bus), 0);
	KT_EQ(say(bus, "a", 1), 1);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(calls) == 1));
	KT_EQ(pulse_bus_unsubscribe(sub), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

KT_MAIN()
