// SPDX-License-Identifier: GPL-2.0-only
/*
 * The types that programs agree on, each by its name on the wire; and what the
 * other tests of the bus leave aside: references of handlers, a filter in the
 * options, types that are forgotten without being asked to.
 */
#include "bus/bus.h"
#include "helpers.h"

static const struct {
	const char *type, *name;
} agreed[] = {
	{ PULSE_BUS_PROVIDER_REGISTERED, "provider.registered" },
	{ PULSE_BUS_PROVIDER_UNREGISTERED, "provider.unregistered" },
	{ PULSE_BUS_PROVIDER_HEALTH_CHANGED, "provider.health.changed" },
	{ PULSE_BUS_PROVIDER_SCORE_UPDATED, "provider.score.updated" },
	{ PULSE_BUS_MCP_SERVER_CONNECTED, "mcp.server.connected" },
	{ PULSE_BUS_MCP_SERVER_DISCONNECTED, "mcp.server.disconnected" },
	{ PULSE_BUS_MCP_SERVER_HEALTH_CHANGED, "mcp.server.health.changed" },
	{ PULSE_BUS_MCP_TOOL_EXECUTED, "mcp.tool.executed" },
	{ PULSE_BUS_MCP_TOOL_FAILED, "mcp.tool.failed" },
	{ PULSE_BUS_DEBATE_STARTED, "debate.started" },
	{ PULSE_BUS_DEBATE_ROUND_STARTED, "debate.round.started" },
	{ PULSE_BUS_DEBATE_ROUND_COMPLETED, "debate.round.completed" },
	{ PULSE_BUS_DEBATE_COMPLETED, "debate.completed" },
	{ PULSE_BUS_DEBATE_FAILED, "debate.failed" },
	{ PULSE_BUS_CACHE_HIT, "cache.hit" },
	{ PULSE_BUS_CACHE_MISS, "cache.miss" },
	{ PULSE_BUS_CACHE_INVALIDATED, "cache.invalidated" },
	{ PULSE_BUS_CACHE_EXPIRED, "cache.expired" },
	{ PULSE_BUS_SYSTEM_STARTUP, "system.startup" },
	{ PULSE_BUS_SYSTEM_SHUTDOWN, "system.shutdown" },
	{ PULSE_BUS_SYSTEM_HEALTH_CHECK, "system.health.check" },
	{ PULSE_BUS_SYSTEM_ERROR, "system.error" },
	{ PULSE_BUS_REQUEST_RECEIVED, "request.received" },
	{ PULSE_BUS_REQUEST_COMPLETED, "request.completed" },
	{ PULSE_BUS_REQUEST_FAILED, "request.failed" },
};

/* Each reaches who asked for it, its family's subscriber, and nobody else. */
KT_TEST(each_agreed_type_has_its_name_and_its_family)
{
	static const struct { const char *pattern; int nr; } families[] = {
		{ "provider.>", 4 }, { "mcp.>", 5 }, { "debate.>", 5 },
		{ "cache.*", 4 }, { "system.>", 4 }, { "request.*", 3 },
	};
	struct pulse_bus *bus = bus_of(100, 100);
	struct pulse_bus_sub *one[ARRAY_SIZE(agreed)];
	struct pulse_bus_sub *family[ARRAY_SIZE(families)];

	for (size_t i = 0; i < ARRAY_SIZE(agreed); i++) {
		KT_STREQ(agreed[i].type, agreed[i].name);
		one[i] = sub_of(bus, agreed[i].name, 0, 0, NULL, NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		family[i] = sub_of(bus, families[i].pattern, 0, 0, NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(agreed); i++)
		KT_EQ(say(bus, agreed[i].type, (long)i), 2);
	for (size_t i = 0; i < ARRAY_SIZE(agreed); i++) {
		KT_EQ(hear(one[i], 0), (long)i);
		KT_EQ(hear(one[i], 0), -ETIMEDOUT);
		KT_EQ(pulse_bus_unsubscribe(one[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		int n = 0;

		while (hear(family[i], 0) >= 0)
			n++;
		KT_EQ(n, families[i].nr);
		KT_EQ(pulse_bus_unsubscribe(family[i]), 0);
	}
	KT_EQ(pulse_bus_destroy(bus), 0);
}

/* What nobody says otherwise: as bus.h has it. */
KT_TEST(a_bus_without_options_has_its_defaults)
{
	struct pulse_bus_sub *sub[100], *more;
	struct pulse_bus *bus;

	KT_EQ(pulse_bus_create(NULL, &bus), 0);
	KT_EQ(bus->publish_timeout_ns, 10 * PULSE__NSEC_PER_MSEC);
	sub[0] = sub_of(bus, "a", 0, 0, NULL, NULL);
	for (int i = 1; i < 100; i++)
		sub[i] = sub_of(bus, "b", 0, 0, NULL, NULL);
	KT_EQ(pulse_bus_subscribe(bus, "b", NULL, &more), -ENOSPC);
	for (long i = 0; i < 1000; i++)
		KT_EQ(say(bus, "a", i), 1);
	/* It waits for its ten milliseconds, and gives up. */
	KT_EQ(say(bus, "a", 1000), 0);
	KT_EQ(metrics_of(bus).timeouts, 1);
	KT_EQ(metrics_of(bus).queued, 1000);
	for (int i = 0; i < 100; i++)
		KT_EQ(pulse_bus_unsubscribe(sub[i]), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

static struct pulse_bus_event *kept;

static void keep(struct pulse_bus_event *ev, void *arg)
{
	long *calls = arg;

	if (!ATOMIC_INC(*calls))
		__atomic_store_n(&kept, pulse_bus_event_get(ev),
				 __ATOMIC_RELEASE);
}

static int even(const struct pulse_bus_event *ev, void *arg)
{
	(void)arg;
	return !(number_of(ev) & 1);
}

KT_TEST(a_handler_keeps_an_event_and_a_filter_stands_in_the_options)
{
	struct pulse_bus *bus = bus_of(10, 100);
	long calls = 0;
	PULSE_OPTS(pulse_bus_sub_opts, o, .handler = keep, .arg = &calls,
		   .filter = even, .policy = PULSE_BUS_POLICY_DEFAULT);
	struct pulse_bus_sub *sub;

	KT_CHECK(!pulse_bus_event_get(NULL));
	KT_EQ(pulse_bus_subscribe(bus, "a", &o, &sub), 0);
	for (long i = 41; i <= 50; i++)
		KT_EQ(say(bus, "a", i), !(i & 1));
	KT_CHECK(EVENTUALLY(ATOMIC_GET(calls) == 5 &&
			    __atomic_load_n(&kept, __ATOMIC_ACQUIRE)));
	KT_EQ(metrics_of(bus).filtered, 5);
	KT_EQ(pulse_bus_unsubscribe(sub), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
	/* It outlives its bus. */
	KT_EQ(number_of(kept), 42);
	KT_STREQ(pulse_bus_event_type(kept), "a");
	pulse_bus_event_put(kept);
}

static uint32_t known(struct pulse_bus *bus)
{
	uint32_t nr;

	pthread_mutex_lock(&bus->lock);
	nr = bus->nr_matches;
	pthread_mutex_unlock(&bus->lock);
	return nr;
}

/* Types that nobody speaks of any more go by themselves, and may come again. */
KT_TEST(what_is_not_spoken_of_is_forgotten_by_itself)
{
	PULSE_OPTS(pulse_bus_opts, o, .cleanup_interval_ns = PULSE_OFF);
	struct pulse_bus_sub *sub;
	struct pulse_bus *bus;
	char type[32];

	for (int by_itself = 0; by_itself < 2; by_itself++) {
		if (by_itself)
			o.cleanup_interval_ns = 1000000;
		KT_EQ(pulse_bus_create(&o, &bus), 0);
		sub = sub_of(bus, "once.*", PULSE_BUS_DROP_OLDEST, 1, NULL, NULL);
		for (int i = 0; i < 100; i++) {
			snprintf(type, sizeof(type), "once.%d", i);
			KT_EQ(say(bus, type, i), 1);
		}
		if (by_itself)
			KT_CHECK(EVENTUALLY(!known(bus)));
		else
			KT_EQ(known(bus), 100);
		KT_EQ(say(bus, "once.7", 7), 1);
		KT_EQ(hear(sub, 0), 7);
		KT_EQ(metrics_of(bus).published, 101);
		KT_EQ(pulse_bus_unsubscribe(sub), 0);
		KT_EQ(pulse_bus_destroy(bus), 0);
	}
}

KT_MAIN()
