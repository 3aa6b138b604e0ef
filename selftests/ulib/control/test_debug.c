// SPDX-License-Identifier: GPL-2.0-only
/* Probes and their dump. */
#include "base/base.h"
#include "../ws/peer.h"

#include <pthread.h>

#include <pulse-u/actor.h>
#include <pulse-u/backend.h>
#include <pulse-u/bus.h>
#include <pulse-u/control.h>
#include <pulse-u/debug.h>
#include <pulse-u/mailbox.h>
#include <pulse-u/metrics.h>
#include <pulse-u/pool.h>
#include <pulse-u/supervisor.h>
#include <pulse-u/tracer.h>

static char json[1 << 18];

static const char *dump(struct pulse_debug *d, const char *prefix)
{
	int64_t n = pulse_debug_dump(d, prefix, json, sizeof(json));

	KT_EQ(n, strlen(json));
	return json;
}

static struct pulse_debug *make(void)
{
	struct pulse_debug *d = NULL;

	KT_EQ(pulse_debug_create(&d), 0);
	return d;
}

static int everything(struct pulse_dump *d, void *arg)
{
	(void)arg;
	pulse_dump_i64(d, "i", -5);
	pulse_dump_u64(d, "u", UINT64_MAX);
	pulse_dump_f64(d, "f", 0.1);
	pulse_dump_f64(d, "nan", __builtin_nan(""));
	pulse_dump_bool(d, "b", true);
	pulse_dump_str(d, "s\"\\", "a\n\t\x01\x7f\xc3\xa9\xff\xc3");
	pulse_dump_str(d, "none", NULL);
	pulse_dump_begin_list(d, "l");
	pulse_dump_i64(d, NULL, 1);
	pulse_dump_begin(d, NULL);
	pulse_dump_end(d);
	pulse_dump_begin_list(d, NULL);
	pulse_dump_end(d);
	pulse_dump_end(d);
	pulse_dump_i64(d, "last", 1);
	return 0;
}

KT_TEST(a_dump_is_json_whatever_is_written)
{
	struct pulse_debug *d = make();
	char small[8];

	KT_STREQ(dump(d, NULL), "{}");
	KT_EQ(pulse_debug_add(d, "all", everything, NULL), 0);
	KT_STREQ(dump(d, NULL),
		 "{\"all\":{\"i\":-5,\"u\":18446744073709551615,\"f\":0.1,\"nan\":null,"
		 "\"b\":true,\"s\\\"\\\\\":\"a\\n\\u0009\\u0001\\u007f\xc3\xa9\\ufffd\\ufffd\","
		 "\"none\":null,\"l\":[1,{},[]],\"last\":1}}");
	KT_EQ(pulse_debug_dump(d, NULL, small, sizeof(small)), strlen(json));
	KT_STREQ(small, "{\"all\":");
	KT_EQ(pulse_debug_dump(d, NULL, NULL, 0), strlen(json));
	pulse_debug_destroy(d);
}

static int fails(struct pulse_dump *d, void *arg)
{
	pulse_dump_begin(d, "half");
	pulse_dump_i64(d, "n", 1);
	return *(int *)arg;
}

static int no_key(struct pulse_dump *d, void *arg)
{
	(void)arg;
	pulse_dump_i64(d, NULL, 1);
	return 0;
}

static int key_in_list(struct pulse_dump *d, void *arg)
{
	(void)arg;
	pulse_dump_begin_list(d, "l");
	pulse_dump_i64(d, "k", 1);
	pulse_dump_end(d);
	return 0;
}

static int ends_too_much(struct pulse_dump *d, void *arg)
{
	(void)arg;
	pulse_dump_end(d);
	pulse_dump_end(d);
	return 0;
}

static int too_deep(struct pulse_dump *d, void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		pulse_dump_begin(d, "x");
	return 0;
}

KT_TEST(a_probe_that_fails_is_dumped_as_its_error_and_the_others_follow)
{
	static const pulse_probe_fn bad[] = { no_key, key_in_list, ends_too_much,
					      too_deep };
	struct pulse_debug *d = make();
	int err = -EIO;

	pulse_debug_add(d, "a", fails, &err);
	pulse_debug_add(d, "b", everything, NULL);
	KT_CHECK(strstr(dump(d, NULL), "{\"a\":{\"error\":\"") == json);
	KT_CHECK(strstr(json, "},\"b\":{\"i\":-5"));
	pulse_debug_remove(d, "a");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		KT_EQ(pulse_debug_add(d, "a", bad[i], NULL), 0);
		KT_CHECKF(strstr(dump(d, "a"), "{\"a\":{\"error\":\"") == json,
			  "%zu: %s", i, json);
		KT_EQ(json[strlen(json) - 1], '}');
		pulse_debug_remove(d, "a");
	}
	err = 0;
	pulse_debug_add(d, "a", fails, &err);		/* did not end what it began */
	KT_CHECK(strstr(dump(d, "a"), "{\"a\":{\"error\":\"") == json);
	pulse_debug_destroy(d);
}

static struct pulse_debug *inside;

static int meddles(struct pulse_dump *d, void *arg)
{
	(void)d;
	(void)arg;
	KT_EQ(pulse_debug_add(inside, "x", meddles, NULL), -EDEADLK);
	KT_EQ(pulse_debug_remove(inside, "m"), -EDEADLK);
	KT_EQ(pulse_debug_dump(inside, NULL, NULL, 0), -EDEADLK);
	return 0;
}

KT_TEST(probes_are_found_by_name_and_do_not_meddle)
{
	char longer[PULSE_PROBE_NAME_MAX + 2];

	inside = make();
	KT_EQ(pulse_debug_add(inside, "m", meddles, NULL), 0);
	KT_EQ(pulse_debug_add(inside, "m", meddles, NULL), -EEXIST);
	KT_EQ(pulse_debug_add(inside, "", meddles, NULL), -EINVAL);
	memset(longer, 'n', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	KT_EQ(pulse_debug_add(inside, longer, meddles, NULL), -EINVAL);
	KT_EQ(pulse_debug_add(inside, "n.1", everything, NULL), 0);
	KT_STREQ(dump(inside, "m"), "{\"m\":{}}");
	KT_CHECK(strstr(dump(inside, "n."), "{\"n.1\":") == json);
	KT_STREQ(dump(inside, "zzz"), "{}");
	KT_EQ(pulse_debug_remove(inside, "m"), 0);
	KT_EQ(pulse_debug_remove(inside, "m"), -ENOENT);
	pulse_debug_destroy(inside);
}

static void nothing(void *arg)
{
	(void)arg;
}

KT_TEST(the_librarys_own_probes_show_what_is_there)
{
	PULSE_OPTS(pulse_pool_opts, po, .num_workers = 2);
	struct pulse_debug *d = make();
	struct pulse_metrics *m;
	struct pulse_tracer *t;
	struct pulse_pool *pool;
	struct pulse_ctx *ctx;
	struct pulse_ws_server *server = serve_echo();
	int worker;

	KT_EQ(pulse_pool_create(&po, &pool), 0);
	KT_EQ(pulse_ctx_create(NULL, &ctx), 0);
	worker = pulse_worker_register(ctx, -1, 0);
	KT_CHECK(worker >= 0);
	KT_EQ(pulse_metrics_create(&m), 0);
	KT_EQ(pulse_tracer_create(NULL, &t), 0);
	KT_CHECK(pulse_metrics_add_pool(m, "p\"q", pool) > 0);
	KT_EQ(pulse_debug_add_threads(d, "threads"), 0);
	KT_EQ(pulse_debug_add_ctx(d, "ctx", ctx, 8), 0);
	KT_EQ(pulse_debug_add_pool(d, "pool", pool), 0);
	KT_EQ(pulse_debug_add_ws(d, "ws", server), 0);
	KT_EQ(pulse_debug_add_metrics(d, "metrics", m), 0);
	KT_EQ(pulse_debug_add_tracer(d, "tracer", t), 0);
	KT_EQ(pulse_debug_add_tracer(d, "tracer", t), -EEXIST);
	KT_EQ(pulse_pool_submit(pool, nothing, NULL), 0);
	KT_CHECK(EVENTUALLY(strstr(dump(d, "pool"), "\"completed\":1,")));
	dump(d, NULL);
	KT_CHECK(!strstr(json, "\"error\""));
	KT_CHECK(strstr(json, "\"threads\":{\"threads\":[{\"tid\":"));
	KT_CHECK(strstr(json, "\"name\":\"test_debug\""));
	KT_CHECK(strstr(json, "\"ctx\":{\"workers\":[{\"index\":"));
	KT_CHECK(strstr(json, "\"max_message_bytes\":16777216"));
	KT_CHECK(strstr(json, "\"labels\":{\"name\":\"p\\\"q\"}"));
	KT_CHECK(strstr(json, "\"tracer\":{\"started\":0"));
	pulse_debug_destroy(d);
	pulse_worker_unregister(ctx, worker);
	pulse_ctx_destroy(ctx);
	pulse_metrics_destroy(m);
	pulse_tracer_destroy(t);
	pulse_pool_destroy(pool);
	pulse_ws_server_destroy(server);
}

static void toy_receive(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	(void)self;
	(void)m;
}

static int child_runs(struct pulse_child *self, void *arg)
{
	(void)arg;
	if (pulse_child_incarnation(self) == 1)
		return 6;
	return pulse_child_wait(self, PULSE_FOREVER);
}

KT_TEST(messages_and_those_who_look_after_them_have_probes_too)
{
	PULSE_OPTS(pulse_actor_type, type, .name = "greeter",
		   .receive = toy_receive);
	PULSE_OPTS(pulse_actor_opts, ao, .type = "greeter");
	PULSE_OPTS(pulse_child_spec, spec, .id = "w\"1", .fn = child_runs);
	PULSE_OPTS(pulse_child_spec, idle, .id = "later", .fn = child_runs);
	PULSE_OPTS(pulse_bus_event_opts, ev, .type = "a.b");
	PULSE_OPTS(pulse_knob, number, .name = "size", .type = PULSE_KNOB_INT,
		   .value = 17);
	PULSE_OPTS(pulse_knob, flag, .name = "on", .type = PULSE_KNOB_BOOL,
		   .value = 1);
	PULSE_OPTS(pulse_knob, text, .name = "word", .type = PULSE_KNOB_TEXT,
		   .text = "x\ny");
	PULSE_OPTS(pulse_sup_opts, so, .max_restarts = 5);
	struct pulse_setting s = { "size", "18" };
	struct pulse_debug *d = make();
	struct pulse_control *control;
	struct pulse_message *msg;
	struct pulse_mailbox *box;
	struct pulse_actors *actors;
	struct pulse_sup *sup;
	struct pulse_bus *bus;
	uint64_t ref;

	KT_EQ(pulse_sup_create(&so, &sup), 0);
	KT_EQ(pulse_actors_create(NULL, &actors), 0);
	KT_EQ(pulse_bus_create(NULL, &bus), 0);
	KT_EQ(pulse_mailbox_create(NULL, &box), 0);
	KT_EQ(pulse_control_create(NULL, &control), 0);
	KT_EQ(pulse_debug_add_sup(d, "sup", sup), 0);
	KT_EQ(pulse_debug_add_actors(d, "actors", actors), 0);
	KT_EQ(pulse_debug_add_bus(d, "bus", bus), 0);
	KT_EQ(pulse_debug_add_mailbox(d, "box", box), 0);
	KT_EQ(pulse_debug_add_control(d, "control", control), 0);
	KT_EQ(pulse_debug_add_sup(d, "none", NULL), -EINVAL);
	KT_EQ(pulse_debug_add_actors(d, "none", NULL), -EINVAL);
	KT_EQ(pulse_debug_add_bus(d, "none", NULL), -EINVAL);
	KT_EQ(pulse_debug_add_mailbox(d, "none", NULL), -EINVAL);
	KT_EQ(pulse_debug_add_control(d, "none", NULL), -EINVAL);
	dump(d, NULL);
	KT_CHECK(strstr(json, "\"sup\":{\"uptime_ms\":0,\"restarts\":0,"
			"\"failures\":0,\"active\":0,\"children\":[]}"));
	KT_CHECK(strstr(json, "\"types\":{}"));
	KT_CHECK(strstr(json, "\"knobs\":{}"));

	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(pulse_sup_start_child(sup, &idle, NULL), 0);
	KT_CHECK(EVENTUALLY(strstr(dump(d, "sup"), "\"restarts\":2,\"failures\":2,"
				   "\"active\":2,")));
	KT_EQ(pulse_sup_terminate_child(sup, "later"), 0);
	KT_CHECK(EVENTUALLY(strstr(dump(d, "sup"), "{\"id\":\"w\\\"1\",\"kind\":\"thread\","
				   "\"status\":\"running\",\"tid\":")));
	KT_CHECK(strstr(json, "\"incarnation\":2,\"restarts\":1,\"memory_bytes\":0,"
			"\"last_exit\":\"ended with code 6\"}"));
	KT_CHECK(strstr(json, "{\"id\":\"later\",\"kind\":\"thread\","
			"\"status\":\"stopped\","));
	KT_EQ(pulse_actor_register(actors, &type), 0);
	for (int i = 0; i < 3; i++)
		KT_EQ(pulse_actor_spawn(actors, &ao, &ref), 0);
	KT_CHECK(EVENTUALLY(strstr(dump(d, "actors"), "\"types\":{\"greeter\":3}")));
	KT_CHECK(strstr(json, "\"alive\":3,\"spawned\":3,"));
	KT_EQ(pulse_bus_publish_new(bus, &ev), 0);
	KT_CHECK(strstr(dump(d, "bus"), "\"published\":1,\"unheard\":1,"));
	KT_EQ(pulse_message_create(NULL, &msg), 0);
	KT_EQ(pulse_mailbox_send(box, msg), 0);
	KT_CHECK(strstr(dump(d, "box"), "\"closed\":false,\"count\":1,"));
	pulse_mailbox_close(box);
	KT_CHECK(strstr(dump(d, "box"), "\"closed\":true,\"count\":1,"));
	KT_EQ(pulse_control_define(control, &number), 0);
	KT_EQ(pulse_control_define(control, &flag), 1);
	KT_EQ(pulse_control_define(control, &text), 2);
	KT_EQ(pulse_control_reload(control, &s, 1, NULL, 0), 0);
	dump(d, "control");
	KT_CHECK(strstr(json, "\"reloads\":1,"));
	KT_CHECKF(strstr(json, "\"knobs\":{\"size\":18,\"on\":true,"
			 "\"word\":\"x\\ny\"}"), "%s", json);
	/* One that cannot be asked says why, and the others follow. */
	for (long n = 1; n < 3; n++) {
		pulse__alloc_fail_at(n);
		dump(d, "sup");
		pulse__alloc_fail_at(0);
		KT_CHECK(strstr(json, "\"sup\":{"));
	}
	pulse_debug_destroy(d);
	pulse_control_destroy(control);
	pulse_mailbox_destroy(box);
	pulse_bus_destroy(bus);
	pulse_actors_destroy(actors);
	pulse_sup_destroy(sup);
}

static bool stop;

static int living(struct pulse_dump *d, void *arg)
{
	if (__atomic_load_n((int *)arg, __ATOMIC_RELAXED))
		KT_FAIL("a probe ran after it was taken out");
	pulse_dump_i64(d, "n", 1);
	return 0;
}

static void *dumper(void *arg)
{
	char mine[4096];

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		if (pulse_debug_dump(arg, NULL, mine, sizeof(mine)) < 2)
			KT_FAIL("no dump");
	return NULL;
}

KT_TEST(probes_come_and_go_while_others_dump)
{
	struct pulse_debug *d = make();
	long rounds = kt_scale(3000);
	pthread_t t[2];
	int gone[4] = { 0 };

	stop = false;
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, dumper, d);
	for (long i = 0; i < rounds; i++) {
		char name[8];
		int k = (int)(i % 4);

		sprintf(name, "p%d", k);
		__atomic_store_n(&gone[k], 0, __ATOMIC_RELAXED);
		KT_REQUIRE(!pulse_debug_add(d, name, living, &gone[k]));
		KT_REQUIRE(!pulse_debug_remove(d, name));
		__atomic_store_n(&gone[k], 1, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	pulse_debug_destroy(d);
}

KT_MAIN()
