// SPDX-License-Identifier: GPL-2.0-only
/*
 * The n-th allocation fails, for each n until none does, in the middle of lives
 * that go through several areas: what was begun is undone, nothing is left, and
 * who asked is told -ENOMEM, or what was asked for works without. U04
 *
 * Each area has such a test of its own; here is what those do not come to.
 */
#include <pulse-u/actor.h>
#include <pulse-u/actor_handle.h>
#include <pulse-u/app.h>
#include <pulse-u/backend.h>
#include <pulse-u/bus.h>
#include <pulse-u/context.h>
#include <pulse-u/control.h>
#include <pulse-u/debug.h>
#include <pulse-u/events.h>
#include <pulse-u/handler.h>
#include <pulse-u/link.h>
#include <pulse-u/memory.h>
#include <pulse-u/metrics.h>
#include <pulse-u/poller.h>
#include <pulse-u/pool.h>
#include <pulse-u/queue.h>
#include <pulse-u/task.h>
#include <pulse-u/testing.h>
#include <pulse-u/tracer.h>
#include <pulse-u/transport.h>

#include "lockfree/ring_inline.h"
#include "no_memory.h"

#define LATE() (pulse_now_ns() + 20000000000LL)

/* ---- what is watched, measured and controlled --------------------------------- */

static int probe(struct pulse_dump *dump, void *arg)
{
	(void)arg;
	pulse_dump_i64(dump, "one", 1);
	return 0;
}

static int agree(const struct pulse_config *now, const struct pulse_config *next,
		 char *why, size_t len, void *arg)
{
	(void)now;
	(void)next;
	(void)why;
	(void)len;
	(void)arg;
	return 0;
}

static int look_at(struct pulse_pool *pool, struct pulse_debug *debug,
		   struct pulse_metrics *metrics, struct pulse_control *control)
{
	PULSE_OPTS(pulse_knob, knob, .name = "size", .type = PULSE_KNOB_INT,
		   .min = 0, .max = 100, .value = 50);
	char reply[256], text[8192];
	int err = pulse_control_define(control, &knob);

	if (err >= 0)
		err = pulse_control_bind_pool(control, pool, "pool");
	if (err >= 0)
		err = pulse_control_on_reload(control, agree, NULL);
	if (err >= 0)
		err = pulse_control_command(control, "set size 60", reply,
					    sizeof(reply));
	if (err >= 0)
		err = pulse_debug_add(debug, "one", probe, NULL);
	if (err >= 0)
		err = pulse_debug_add_pool(debug, "pool", pool);
	if (err >= 0)
		err = pulse_metrics_add_pool(metrics, "pool", pool);
	if (err >= 0)
		err = pulse_metrics_add_control(metrics, "control", control);
	if (err >= 0 && pulse_metrics_text(metrics, text, sizeof(text)) < 0)
		err = -ENOMEM;
	if (err >= 0 && pulse_debug_dump(debug, NULL, text, sizeof(text)) < 0)
		err = -ENOMEM;
	return err < 0 ? err : 0;
}

static int life_of_lookers(void)
{
	PULSE_OPTS(pulse_pool_opts, o, .num_workers = 2,
		   .enable_predictive = PULSE_ON);
	struct pulse_control *control = NULL;
	struct pulse_metrics *metrics = NULL;
	struct pulse_debug *debug = NULL;
	struct pulse_pool *pool = NULL;
	int err;

	from_here();
	err = pulse_pool_create(&o, &pool);
	if (!err)
		err = pulse_debug_create(&debug);
	if (!err)
		err = pulse_metrics_create(&metrics);
	if (!err)
		err = pulse_control_create(NULL, &control);
	if (!err)
		err = look_at(pool, debug, metrics, control);
	if (metrics)
		KT_EQ(pulse_metrics_destroy(metrics), 0);
	if (debug)
		KT_EQ(pulse_debug_destroy(debug), 0);
	if (control)
		KT_EQ(pulse_control_destroy(control), 0);
	if (pool)
		KT_EQ(pulse_pool_destroy(pool), 0);
	return err;
}

KT_TEST(who_looks_at_others)
{
	each_may_fail("control, metrics, debug", life_of_lookers);
}

static int life_of_a_tracer(void)
{
	struct pulse_tracer *t;
	int err;

	from_here();
	err = pulse_tracer_create(NULL, &t);
	return err ? err : pulse_tracer_destroy(t);
}

KT_TEST(a_tracer)
{
	each_may_fail("a tracer", life_of_a_tracer);
}

/* ---- actors ---------------------------------------------------------------- */

/* Asks for all that an instance can ask for; the error is the answer. */
static void asks(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	struct pulse_actor_later *later = NULL;
	void *mem;
	int err;

	if (msg->kind != PULSE_ACTOR_CALL)
		return;
	mem = pulse_actor_alloc(self, 100);
	err = mem ? pulse_actor_set_timeout(self, 3600000000000LL) : -ENOMEM;
	if (!err)
		err = pulse_actor_become_over(self, asks);
	if (!err)
		err = pulse_actor_defer(self, &later);
	if (later)
		pulse_actor_answer(later, err, NULL, 0);
	else
		pulse_actor_reply_error(self, err);
}

static int life_of_actors(void)
{
	PULSE_OPTS(pulse_actor_type, type, .name = "asks", .receive = asks);
	PULSE_OPTS(pulse_actors_opts, o, .num_workers = 2);
	PULSE_OPTS(pulse_actor_opts, spawn, .type = "asks");
	struct pulse_actor_timer *timer = NULL;
	struct pulse_actors *sys = NULL;
	size_t bytes = 0;
	uint64_t ref;
	int err;

	from_here();
	err = pulse_actors_create(&o, &sys);
	if (!err)
		err = pulse_actors_thread_add(sys, NULL);
	if (err >= 0)
		err = pulse_actor_register(sys, &type);
	if (!err)
		err = pulse_actor_spawn(sys, &spawn, &ref);
	if (!err)
		err = pulse_actor_send_at(sys, ref, PULSE_FOREVER / 2, 0, 2,
					  "x", 1, &timer);
	if (timer)
		pulse_actor_timer_cancel(timer);
	if (!err)
		err = pulse_actor_call(sys, ref, 1, NULL, 0, LATE(), NULL,
				       &bytes);
	if (sys)
		KT_EQ(pulse_actors_destroy(sys), 0);
	return err;
}

KT_TEST(actors_with_threads_timers_and_late_answers)
{
	each_may_fail("actors", life_of_actors);
}

/* ---- the rest ----------------------------------------------------------------- */

static int say_twice(struct pulse_bus *bus)
{
	PULSE_OPTS(pulse_bus_event_opts, o, .type = "a.b", .source = "here");
	struct pulse_bus_event *ev = NULL;
	int err = pulse_bus_event_create(&o, &ev);

	if (!err)
		err = pulse_bus_event_with_trace_id(ev, "trace");
	if (!err)
		err = pulse_bus_event_with_metadata(ev, "key", "value");
	if (!err)
		err = pulse_bus_publish(bus, ev);
	pulse_bus_event_put(ev);
	return err < 0 ? err : 0;
}

static int life_of_a_bus(void)
{
	struct pulse_bus_sub *sub[2] = { NULL, NULL };
	struct pulse_bus *bus = NULL;
	int err;

	from_here();
	err = pulse_bus_create(NULL, &bus);
	if (!err)
		err = pulse_bus_subscribe(bus, "a.b", NULL, &sub[0]);
	if (!err)
		err = pulse_bus_subscribe(bus, "a.>", NULL, &sub[1]);
	for (int i = 0; i < 2 && !err; i++)
		err = say_twice(bus);
	for (int i = 0; i < 2; i++) {
		if (sub[i])
			KT_EQ(pulse_bus_unsubscribe(sub[i]), 0);
	}
	if (bus)
		KT_EQ(pulse_bus_destroy(bus), 0);
	return err;
}

KT_TEST(events_that_say_more)
{
	each_may_fail("a bus", life_of_a_bus);
}

static int stays(struct pulse_child *self, void *arg)
{
	void *mem = NULL;

	(void)arg;
	/* Or it goes on without. */
	if (!pulse_child_alloc(self, 100, &mem))
		KT_CHECK(mem);
	pulse_child_wait(self, PULSE_FOREVER);
	return 0;
}

static int life_of_an_app(void)
{
	struct pulse_app *app;
	int err;

	from_here();
	err = pulse_app_create(PULSE_PRESET_TESTING, &app);
	if (err)
		return err;
	err = pulse_app_worker(app, "one", stays, NULL);
	if (!err)
		err = pulse_app_worker_pool(app, "more", stays, NULL, 2);
	if (!err)
		err = pulse_app_start(app);
	KT_EQ(pulse_app_shutdown(app), 0);
	return err;
}

KT_TEST(an_application)
{
	each_may_fail("an application", life_of_an_app);
}

static int life_of_a_watch(void)
{
	PULSE_OPTS(pulse_ctx_opts, o, .event_bytes = 4096);
	struct pulse_ctx *ctx = NULL;
	int err;

	from_here();
	err = pulse_ctx_create(&o, &ctx);
	if (!err)
		err = pulse_ctx_watch_process(ctx, getpid(), NULL);
	if (ctx)
		KT_EQ(pulse_ctx_destroy(ctx), 0);
	return err < 0 ? err : 0;
}

KT_TEST(a_process_that_is_watched)
{
	each_may_fail("a watch", life_of_a_watch);
}

static int answer(struct pulse_chain_event *event, void *arg)
{
	(void)event;
	(void)arg;
	return 0;
}

static int one_key(const struct pulse_context_key *key, int scope,
		   bool inherited, void *arg)
{
	(void)key;
	(void)scope;
	(void)inherited;
	++*(int *)arg;
	return 0;
}

static int life_of_a_context(void)
{
	static const struct pulse_context_key key = { "k", PULSE_CONTEXT_STR };
	PULSE_OPTS(pulse_context_opts, o);
	PULSE_OPTS(pulse_chain_opts, chain_opts, .handler = answer);
	struct pulse_context *above = NULL, *ctx = NULL;
	struct pulse_chain *chain = NULL;
	int nr = 0, err;

	from_here();
	err = pulse_context_create(NULL, &above);
	o.parent = above;
	if (!err)
		err = pulse_context_create(&o, &ctx);
	if (!err)
		err = pulse_context_set_str(above, &key, "v", NULL);
	if (!err)
		err = pulse_context_set_str(ctx, &key, "w", NULL);
	if (!err)
		err = pulse_context_keys(ctx, one_key, &nr);
	if (!err && nr != 1)
		err = -ENOENT;
	if (!err)
		err = pulse_chain_create(&chain_opts, &chain);
	if (chain)
		KT_EQ(pulse_chain_destroy(chain), 0);
	pulse_context_put(ctx);
	pulse_context_put(above);
	return err;
}

KT_TEST(contexts_and_chains)
{
	each_may_fail("contexts", life_of_a_context);
}

static void nobody(struct pulse_listener *l, struct pulse_transport *t, void *arg)
{
	(void)l;
	(void)arg;
	pulse_transport_close(t, NULL);
}

static void no_link(struct pulse_link_hub *hub, struct pulse_transport *t,
		    void *arg)
{
	(void)hub;
	(void)arg;
	pulse_transport_close(t, NULL);
}

static int listen_everywhere(struct pulse_poller *p)
{
	char name[3][64];
	struct pulse_link_hub *hub;
	int err = 0;

	snprintf(name[0], sizeof(name[0]), "unix:/tmp/pulse-no-memory-%d",
		 getpid());
	snprintf(name[1], sizeof(name[1]), "shm:@pulse-no-memory-%d", getpid());
	snprintf(name[2], sizeof(name[2]), "udp:127.0.0.1:0");
	for (int i = 0; i < 3 && !err; i++) {
		PULSE_OPTS(pulse_listener_opts, o, .address = name[i]);
		struct pulse_listener *l;

		err = pulse_listener_open(p, &o, nobody, NULL, &l);
		if (!err)
			KT_EQ(pulse_listener_close(l), 0);
	}
	if (!err)
		err = pulse_link_hub_create(p, no_link, NULL, &hub);
	if (!err) {
		PULSE_OPTS(pulse_listener_opts, o, .address = "127.0.0.1:0");

		err = pulse_link_hub_listen(hub, &o, NULL);
		KT_EQ(pulse_link_hub_destroy(hub), 0);
	}
	return err;
}

static int life_of_listeners(int kind)
{
	PULSE_OPTS(pulse_poller_opts, o, .kind = kind);
	struct pulse_poller *p;
	int err;

	from_here();
	err = pulse_poller_create(&o, &p);
	if (err)
		return err;
	err = listen_everywhere(p);
	KT_EQ(pulse_poller_destroy(p), 0);
	return err;
}

static int life_with_epoll(void)
{
	return life_of_listeners(PULSE_POLLER_EPOLL);
}

static int life_with_uring(void)
{
	return life_of_listeners(PULSE_POLLER_IO_URING);
}

KT_TEST(listeners)
{
	struct pulse_poller *p;
	PULSE_OPTS(pulse_poller_opts, o, .kind = PULSE_POLLER_IO_URING);

	each_may_fail("listeners, epoll", life_with_epoll);
	if (pulse_poller_create(&o, &p)) {
		kt_note("no io_uring here");
		return;
	}
	KT_EQ(pulse_poller_destroy(p), 0);
	each_may_fail("listeners, io_uring", life_with_uring);
}

static int life_of_a_mock(void)
{
	struct pulse_transport *a, *b;
	struct pulse_poller *p;
	int err;

	from_here();
	err = pulse_mock_poller(&p);
	if (err)
		return err;
	err = pulse_mock_pair(p, NULL, NULL, &a, &b);
	if (!err) {
		pulse_transport_close(a, NULL);
		pulse_transport_close(b, NULL);
	}
	KT_EQ(pulse_poller_destroy(p), 0);
	return err;
}

KT_TEST(what_users_test_with)
{
	each_may_fail("mocks", life_of_a_mock);
}

static int life_of_an_inner_ring(void)
{
	struct pulse__mpmc q;
	int err;

	from_here();
	err = pulse__mpmc_init(&q, 8, 0);
	if (!err)
		pulse__mpmc_fini(&q);
	return err;
}

KT_TEST(a_ring_to_be_embedded)
{
	each_may_fail("a ring", life_of_an_inner_ring);
}

KT_MAIN()
