// SPDX-License-Identifier: GPL-2.0-only
/* The bus with many threads: handlers, order, ends, counts that are exact. */
#include "bus/bus.h"
#include "helpers.h"

#define MANY	4

struct told {
	long calls, ends, last[MANY], wrong;
	struct pulse_bus_sub *sub, *other;
	struct pulse_bus *bus;
	sem_t inside, go;
};

static void note_end(void *arg)
{
	ATOMIC_INC(((struct told *)arg)->ends);
}

static struct pulse_bus_sub *told_sub(struct pulse_bus *bus, const char *type,
				      uint32_t buffer, pulse_bus_handler_fn fn,
				      struct told *t)
{
	PULSE_OPTS(pulse_bus_sub_opts, o, .handler = fn, .arg = t,
		   .on_end = note_end, .buffer_size = buffer);
	struct pulse_bus_sub *sub;

	t->bus = bus;
	KT_EQ(pulse_bus_subscribe(bus, type, &o, &sub), 0);
	return sub;
}

/* ---- V15: ends ------------------------------------------------------------- */

static void leave_at_third(struct pulse_bus_event *ev, void *arg)
{
	struct told *t = arg;

	(void)ev;
	if (ATOMIC_INC(t->calls) == 2) {
		KT_EQ(pulse_bus_unsubscribe(t->sub), 0);
		/* Still inside: nobody has said that it is over. */
		KT_EQ(ATOMIC_GET(t->ends), 0);
	}
}

KT_TEST(unsubscribes_inside_its_own_callback)
{
	struct pulse_bus *bus = bus_of(4, 100);
	struct pulse_bus_metrics m;
	struct told t = { 0 };

	t.sub = told_sub(bus, "a", 0, leave_at_third, &t);
	for (long i = 0; i < 20; i++)
		KT_CHECK(say(bus, "a", i) >= 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(t.ends) == 1));
	KT_EQ(ATOMIC_GET(t.calls), 3);
	KT_EQ(say(bus, "a", 0), 0);
	KT_EQ(pulse_bus_close(bus), 0);
	m = metrics_of(bus);
	KT_EQ(m.subscribers, 0);
	KT_EQ(m.consumed, 3);
	KT_EQ(m.delivered, m.consumed + m.dropped);
	KT_EQ(pulse_bus_destroy(bus), 0);
	KT_EQ(t.ends, 1);
}

static void gated(struct pulse_bus_event *ev, void *arg)
{
	struct told *t = arg;

	(void)ev;
	sem_post(&t->inside);
	sem_wait_all(&t->go, 1);
	ATOMIC_INC(t->calls);
}

static void *unsubscribe_main(void *arg)
{
	struct told *t = arg;

	pulse_bus_unsubscribe(t->sub);
	/* The handler has come back. */
	KT_EQ(ATOMIC_GET(t->calls), 1);
	KT_EQ(ATOMIC_GET(t->ends), 1);
	return NULL;
}

KT_TEST(unsubscribe_waits_for_the_handler_of_another_thread)
{
	struct pulse_bus *bus = bus_of(4, 100);
	struct told t = { 0 };
	pthread_t thread;

	sem_init(&t.inside, 0, 0);
	sem_init(&t.go, 0, 0);
	t.sub = told_sub(bus, "a", 0, gated, &t);
	for (long i = 0; i < 10; i++)
		KT_EQ(say(bus, "a", i), 1);
	sem_wait_all(&t.inside, 1);
	pthread_create(&thread, NULL, unsubscribe_main, &t);
	KT_CHECK(EVENTUALLY(READ_ONCE(t.sub->state) == PULSE__SUB_GONE));
	nap_us(2000);
	KT_EQ(ATOMIC_GET(t.ends), 0);
	sem_post(&t.go);
	pthread_join(thread, NULL);
	KT_EQ(t.calls, 1);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

static void unsubscribe_other(struct pulse_bus_event *ev, void *arg)
{
	struct told *t = arg;

	(void)ev;
	if (!ATOMIC_INC(t->calls)) {
		sem_post(&t->inside);
		sem_wait_all(&t->go, 1);
		KT_EQ(pulse_bus_unsubscribe(t->other), 0);
	}
}

KT_TEST(two_handlers_may_unsubscribe_each_other)
{
	struct pulse_bus *bus = bus_of(4, 100);
	struct told a = { 0 }, b = { 0 };

	sem_init(&a.inside, 0, 0);
	sem_init(&a.go, 0, 0);
	sem_init(&b.inside, 0, 0);
	sem_init(&b.go, 0, 0);
	a.sub = b.other = told_sub(bus, "a", 0, unsubscribe_other, &a);
	b.sub = a.other = told_sub(bus, "b", 0, unsubscribe_other, &b);
	KT_EQ(say(bus, "a", 0), 1);
	KT_EQ(say(bus, "b", 0), 1);
	sem_wait_all(&a.inside, 1);
	sem_wait_all(&b.inside, 1);
	sem_post(&a.go);
	sem_post(&b.go);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(a.ends) == 1 && ATOMIC_GET(b.ends) == 1));
	KT_EQ(pulse_bus_destroy(bus), 0);
	KT_EQ(a.calls, 1);
	KT_EQ(b.calls, 1);
}

static void destroy_bus(struct pulse_bus_event *ev, void *arg)
{
	struct told *t = arg;

	(void)ev;
	KT_EQ(pulse_bus_destroy(t->bus), -EDEADLK);
	KT_EQ(pulse_bus_close(t->bus), 0);
	KT_EQ(pulse_bus_publish(t->bus, ev), -ESHUTDOWN);
	ATOMIC_INC(t->calls);
}

KT_TEST(a_handler_may_close_but_not_destroy)
{
	struct pulse_bus *bus = bus_of(4, 100);
	struct told t = { 0 };

	t.sub = told_sub(bus, "a", 0, destroy_bus, &t);
	KT_EQ(say(bus, "a", 0), 1);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(t.calls) == 1));
	KT_EQ(pulse_bus_unsubscribe(t.sub), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

/* ---- handlers that publish --------------------------------------------------- */

static void publish_on(struct pulse_bus_event *ev, void *arg)
{
	struct told *t = arg;
	long nr = number_of(ev);

	/* Both handlers and one queue of one: it has to lend a hand. */
	KT_EQ(say(t->bus, "b", nr), 1);
	ATOMIC_INC(t->calls);
}

static void in_order(struct pulse_bus_event *ev, void *arg)
{
	struct told *t = arg;
	long nr = number_of(ev);

	if (nr != t->last[0] + 1)
		ATOMIC_INC(t->wrong);
	t->last[0] = nr;
	ATOMIC_INC(t->calls);
}

KT_TEST(a_handler_that_waits_for_another_runs_it)
{
	PULSE_OPTS(pulse_bus_opts, o, .num_workers = 1, .buffer_size = 64,
		   .publish_timeout_ns = PULSE_FOREVER);
	struct told a = { 0 }, b = { 0 };
	long nr = kt_scale(5000);
	struct pulse_bus *bus;

	KT_EQ(pulse_bus_create(&o, &bus), 0);
	a.sub = told_sub(bus, "a", 0, publish_on, &a);
	b.sub = told_sub(bus, "b", 1, in_order, &b);
	for (long i = 1; i <= nr; i++)
		KT_EQ(say(bus, "a", i), 1);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(b.calls) == nr));
	KT_EQ(a.calls, nr);
	KT_EQ(b.wrong, 0);
	KT_EQ(pulse_bus_unsubscribe(a.sub), 0);
	KT_EQ(pulse_bus_unsubscribe(b.sub), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

static void publish_to_self(struct pulse_bus_event *ev, void *arg)
{
	struct told *t = arg;

	if (ATOMIC_INC(t->calls))
		return;
	KT_EQ(pulse_bus_publish(t->bus, ev), 1);
	KT_EQ(pulse_bus_publish(t->bus, ev), 1);
	/* Full, and nobody but itself could make room. */
	KT_EQ(pulse_bus_publish(t->bus, ev), 0);
}

KT_TEST(a_handler_does_not_wait_for_itself)
{
	struct pulse_bus *bus = bus_of(4, 100);
	struct told t = { 0 };

	t.sub = told_sub(bus, "a", 2, publish_to_self, &t);
	KT_EQ(say(bus, "a", 1), 1);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(t.calls) == 3));
	KT_EQ(pulse_bus_unsubscribe(t.sub), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

/* ---- order and counts ---------------------------------------------------------- */

struct publisher {
	struct pulse_bus *bus;
	const char *type;
	long id, nr, said, refused;
	bool async, until_shut;
	pthread_t thread;
};

static void *publish_main(void *arg)
{
	struct publisher *p = arg;

	for (long i = 1; p->until_shut || i <= p->nr; i++) {
		struct pulse_bus_event *ev = event_of(p->type, p->id << 32 | i);
		int n;

		while ((n = p->async ? pulse_bus_publish_async(p->bus, ev) :
				       pulse_bus_publish(p->bus, ev)) == -EAGAIN)
			sched_yield();
		pulse_bus_event_put(ev);
		if (n < 0) {
			p->refused = n;
			break;
		}
		p->said += p->async ? 1 : n;
	}
	return NULL;
}

static void publishers_start(struct publisher *p, struct pulse_bus *bus,
			     const char *type, long nr, bool async)
{
	for (int i = 0; i < MANY; i++) {
		p[i] = (struct publisher){ .bus = bus, .type = type, .id = i,
					   .nr = nr, .async = async,
					   .until_shut = !nr };
		pthread_create(&p[i].thread, NULL, publish_main, &p[i]);
	}
}

static void publishers_join(struct publisher *p)
{
	for (int i = 0; i < MANY; i++)
		pthread_join(p[i].thread, NULL);
}

static void in_order_each(struct pulse_bus_event *ev, void *arg)
{
	struct told *t = arg;
	long nr = number_of(ev), id = nr >> 32;

	nr &= 0xffffffff;
	if (nr != t->last[id] + 1)
		t->wrong++;
	t->last[id] = nr;
	ATOMIC_INC(t->calls);
}

static void order_test(bool async)
{
	struct pulse_bus *bus = bus_of(10, 16);
	struct told t[3] = { { 0 } };
	struct publisher p[MANY];
	long nr = kt_scale(3000);

	for (int i = 0; i < 3; i++)
		t[i].sub = told_sub(bus, i ? "a.*" : "a.b", 0, in_order_each,
				    &t[i]);
	publishers_start(p, bus, "a.b", nr, async);
	publishers_join(p);
	KT_EQ(pulse_bus_close(bus), 0);
	for (int i = 0; i < 3; i++) {
		KT_CHECK(EVENTUALLY(ATOMIC_GET(t[i].calls) == nr * MANY));
		KT_EQ(pulse_bus_unsubscribe(t[i].sub), 0);
		KT_EQ(t[i].wrong, 0);
		KT_EQ(t[i].ends, 1);
	}
	KT_EQ(metrics_of(bus).dropped, 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

KT_TEST(what_a_thread_publishes_comes_in_order)
{
	order_test(false);
}

KT_TEST(what_a_thread_publishes_asynchronously_comes_in_order)
{
	order_test(true);
}

/* V15: publish during shutdown */
KT_TEST(counts_are_exact_when_it_closes_under_publishers)
{
	for (int round = 0; round < kt_scale(20); round++) {
		struct pulse_bus *bus = bus_of(10, 64);
		struct pulse_bus_sub *pull = sub_of(bus, ">", PULSE_BUS_DROP_OLDEST,
						    0, NULL, NULL);
		struct publisher p[MANY];
		struct told t = { 0 };
		struct pulse_bus_metrics m;
		long said = 0, heard = 0;

		t.sub = told_sub(bus, "a", 0, in_order_each, &t);
		publishers_start(p, bus, "a", 0, round & 1);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(t.calls) > 100));
		KT_EQ(pulse_bus_close(bus), 0);
		publishers_join(p);
		for (int i = 0; i < MANY; i++) {
			said += p[i].said;
			KT_EQ(p[i].refused, -ESHUTDOWN);
		}
		if (round & 1)
			said *= 2;	/* counted by event there */
		while (hear(pull, PULSE_FOREVER) >= 0)
			heard++;
		KT_CHECK(EVENTUALLY(ATOMIC_GET(t.calls) == said / 2));
		KT_EQ(pulse_bus_unsubscribe(t.sub), 0);
		m = metrics_of(bus);
		KT_EQ(t.wrong, 0);
		KT_EQ(m.delivered, said);
		KT_EQ(m.published, said / 2);
		KT_EQ(m.consumed, t.calls + heard);
		KT_EQ(m.delivered, m.consumed + m.dropped);
		KT_EQ(pulse_bus_unsubscribe(pull), 0);
		KT_EQ(pulse_bus_destroy(bus), 0);
	}
}

KT_TEST(close_lets_go_of_a_publisher_that_waits_for_a_receiver)
{
	struct pulse_bus *bus = bus_of(10, 1);
	struct pulse_bus_sub *sub = sub_of(bus, "a", 0, 0, NULL, NULL);
	struct publisher p = { .bus = bus, .type = "a", .until_shut = true };

	pthread_create(&p.thread, NULL, publish_main, &p);
	KT_CHECK(EVENTUALLY(READ_ONCE(sub->waiters)));
	KT_EQ(pulse_bus_close(bus), 0);
	pthread_join(p.thread, NULL);
	KT_EQ(p.said, 1);
	KT_EQ(hear(sub, 0), 1);
	KT_EQ(hear(sub, 0), -ESHUTDOWN);
	KT_EQ(pulse_bus_unsubscribe(sub), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

KT_TEST(what_is_to_be_published_later_has_a_limit_and_is_not_lost)
{
	PULSE_OPTS(pulse_bus_opts, o, .num_workers = 1, .async_size = 5,
		   .publish_timeout_ns = PULSE_FOREVER);
	struct pulse_bus_event *ev = event_of("a", 1);
	struct pulse_bus *bus;
	struct told t = { 0 };
	long calls = 0;
	struct pulse_bus_sub *sub;

	KT_EQ(pulse_bus_create(&o, &bus), 0);
	sem_init(&t.inside, 0, 0);
	sem_init(&t.go, 0, 0);
	t.sub = told_sub(bus, "gate", 0, gated, &t);
	sub = sub_of(bus, "a", 0, 0, count_event, &calls);
	KT_EQ(say(bus, "gate", 0), 1);
	sem_wait_all(&t.inside, 1);
	for (int i = 0; i < 5; i++)
		KT_EQ(pulse_bus_publish_async(bus, ev), 0);
	KT_EQ(pulse_bus_publish_async(bus, ev), -EAGAIN);
	KT_EQ(metrics_of(bus).async_queued, 5);
	/* The only worker is busy, so the closer publishes them. */
	KT_EQ(pulse_bus_close(bus), 0);
	KT_EQ(pulse_bus_publish_async(bus, ev), -ESHUTDOWN);
	KT_EQ(metrics_of(bus).async_queued, 0);
	sem_post(&t.go);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(calls) == 5));
	pulse_bus_event_put(ev);
	KT_EQ(pulse_bus_unsubscribe(sub), 0);
	KT_EQ(pulse_bus_unsubscribe(t.sub), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

KT_TEST(a_pool_of_others_may_be_full_for_a_while)
{
	PULSE_OPTS(pulse_bus_opts, o, .pool = pool_of(1, 2),
		   .cleanup_interval_ns = PULSE_OFF);
	struct pulse_bus *bus;
	struct pulse_bus_sub *sub;
	struct gate gate;
	long calls = 0, fill = 0;

	KT_EQ(pulse_bus_create(&o, &bus), 0);
	sub = sub_of(bus, "a", 0, 0, count_event, &calls);
	KT_CHECK(gate_close(&gate, o.pool));
	while (!pulse_pool_submit(o.pool, count_task, &fill))
		;
	for (long i = 0; i < 10; i++)
		KT_EQ(say(bus, "a", i), 1);
	nap_us(5000);
	KT_EQ(ATOMIC_GET(calls), 0);
	gate_open(&gate, o.pool);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(calls) == 10));
	KT_EQ(pulse_bus_unsubscribe(sub), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
	KT_EQ(pulse_pool_destroy(o.pool), 0);
}

/* V15: with PULSE_TEST_SCALE=1000 it is 10^4 subscribers and 10^4 events */
KT_TEST(many_subscribers_times_many_events_are_exact)
{
	long side = kt_scale(1000), *calls, wrong = 0;
	struct pulse_bus *bus = bus_of((uint32_t)side, 64);
	struct pulse_bus_sub **sub;
	struct pulse_bus_metrics m;

	calls = calloc((size_t)side, sizeof(*calls));
	sub = calloc((size_t)side, sizeof(*sub));
	KT_REQUIRE(calls && sub);
	for (long i = 0; i < side; i++)
		sub[i] = sub_of(bus, "a", 0, 0, count_event, &calls[i]);
	for (long i = 0; i < side; i++)
		wrong += say(bus, "a", i) != side;
	KT_EQ(wrong, 0);
	while (metrics_of(bus).consumed < (uint64_t)(side * side))
		nap_us(1000);
	m = metrics_of(bus);
	KT_EQ(m.delivered, side * side);
	KT_EQ(m.consumed, side * side);
	KT_EQ(m.dropped, 0);
	KT_EQ(m.published, side);
	for (long i = 0; i < side; i++) {
		KT_EQ(pulse_bus_unsubscribe(sub[i]), 0);
		wrong += calls[i] != side;
	}
	KT_EQ(wrong, 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
	free(calls);
	free(sub);
}

struct churn {
	struct pulse_bus *bus;
	int stop;
	long done;
	pthread_t thread;
};

static void *churn_main(void *arg)
{
	struct churn *c = arg;

	while (!ATOMIC_GET(c->stop)) {
		struct told t = { 0 };
		struct pulse_bus_sub *a, *b;

		a = told_sub(c->bus, c->done & 1 ? "a" : "*", 0, in_order_each, &t);
		b = sub_of(c->bus, c->done & 1 ? ">" : "a", PULSE_BUS_DROP_NEWEST,
			   4, NULL, NULL);
		nap_us(50);
		KT_EQ(pulse_bus_unsubscribe(a), 0);
		KT_EQ(pulse_bus_unsubscribe(b), 0);
		KT_EQ(t.ends, 1);
		c->done++;
	}
	return NULL;
}

KT_TEST(subscribers_come_and_go_under_publishers)
{
	struct pulse_bus *bus = bus_of(100, 1000);
	struct churn c[2] = { { .bus = bus }, { .bus = bus } };
	struct publisher p[MANY];
	struct pulse_bus_metrics m;
	struct told t = { 0 };
	long nr = kt_scale(5000);

	t.sub = told_sub(bus, "a", 0, in_order_each, &t);
	for (int i = 0; i < 2; i++)
		pthread_create(&c[i].thread, NULL, churn_main, &c[i]);
	KT_CHECK(EVENTUALLY(metrics_of(bus).subscribers > 1));
	publishers_start(p, bus, "a", nr, false);
	publishers_join(p);
	for (int i = 0; i < 2; i++) {
		ATOMIC_SET(c[i].stop, 1);
		pthread_join(c[i].thread, NULL);
		KT_CHECK(c[i].done > 0);
	}
	KT_CHECK(EVENTUALLY(ATOMIC_GET(t.calls) == nr * MANY));
	KT_EQ(t.wrong, 0);
	KT_EQ(pulse_bus_unsubscribe(t.sub), 0);
	m = metrics_of(bus);
	KT_EQ(m.queued, 0);
	KT_EQ(m.subscribers, 0);
	KT_EQ(m.published, nr * MANY);
	KT_CHECK(m.delivered <= m.consumed + m.dropped);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

KT_MAIN()
