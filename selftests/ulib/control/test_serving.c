// SPDX-License-Identifier: GPL-2.0-only
/*
 * A server whose limits are reloaded under load, whose figures are read while it
 * comes and goes, and which is flooded with commands.
 */
#include "base/base.h"
#include "../ws/peer.h"

#include <pulse-u/actor.h>
#include <pulse-u/bus.h>
#include <pulse-u/control.h>
#include <pulse-u/inbox.h>
#include <pulse-u/mailbox.h>
#include <pulse-u/metrics.h>
#include <pulse-u/pool.h>
#include <pulse-u/supervisor.h>
#include <pulse-u/ws_live.h>
#include <pulse-u/ws_topic.h>

#define PEERS 16

static struct pulse_control *control;
static bool stop;
static long echoes;

struct client {
	struct peer p;
	long echoed;
};

static void *client_main(void *arg)
{
	struct client *c = arg;
	char data[512];

	memset(data, 'x', sizeof(data));
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (!peer_send_frame(&c->p, 0x82, data, sizeof(data)) ||
		    !peer_expect(&c->p, 0x82, data, sizeof(data))) {
			KT_FAIL("a connection was dropped or lost a message");
			break;
		}
		c->echoed++;
		__atomic_fetch_add(&echoes, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static int set(const char *name, const char *fmt, long v)
{
	char value[32], why[PULSE_WHY_MAX];
	struct pulse_setting s = { name, value };
	int err;

	snprintf(value, sizeof(value), fmt, v);
	err = pulse_control_reload(control, &s, 1, why, sizeof(why));
	if (err && err != -EAGAIN)
		kt_note("%s", why);
	return err;
}

static void *flood(void *arg)
{
	long *refused = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		char r[128];
		int err;

		err = pulse_control_command(control, "set ws.ping_interval_ms 20000",
					    r, sizeof(r));
		if (err == -EAGAIN)
			__atomic_fetch_add(refused, 1, __ATOMIC_RELAXED);
		else if (err)
			KT_FAIL("%s", r);
		pulse_control_command(control, "list", r, sizeof(r));
		pulse_control_command(control, "gibberish \xff\x01 =", r, sizeof(r));
	}
	return NULL;
}

/* A05: nobody who is served notices reloads, nor a flood of commands. */
KT_TEST(reloads_and_a_flood_of_commands_drop_no_connection)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .threads = 2);
	PULSE_OPTS(pulse_control_opts, co, .max_waiting = 2);
	PULSE_OPTS(pulse_ws_limits, l);
	long rounds = kt_scale(400), refused = 0;
	struct client c[PEERS];
	struct pulse_ws_server *server = serve(&o);
	pthread_t t[PEERS], f[4];
	struct pulse_ws_stats s;
	int id;

	stop = false;
	echoes = 0;
	KT_EQ(pulse_control_create(&co, &control), 0);
	id = pulse_control_bind_ws(control, server, "ws");
	KT_CHECK(id > 0);
	for (int i = 0; i < PEERS; i++)
		c[i] = (struct client){ .p = peer_open(server) };
	for (int i = 0; i < PEERS; i++)
		pthread_create(&t[i], NULL, client_main, &c[i]);
	for (int i = 0; i < 4; i++)
		pthread_create(&f[i], NULL, flood, &refused);
	for (long i = 0; i < rounds; i++) {
		int err;

		do {
			err = set(i & 1 ? "ws.max_message_bytes" :
				  "ws.send_high_bytes", i & 1 ? "%ldK" : "%ld",
				  i & 1 ? 1 + i % 64 : 300000 + i);
		} while (err == -EAGAIN);
		KT_REQUIRE(!err);
		peer_nap(1);
	}
	KT_CHECK(EVENTUALLY(__atomic_load_n(&echoes, __ATOMIC_RELAXED) > PEERS * 10));
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < PEERS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(f[i], NULL);
	for (int i = 0; i < PEERS; i++)
		KT_CHECK(c[i].echoed > 0);
	s = stats_of(server);
	KT_EQ(s.connections, PEERS);
	for (int k = 0; k < PULSE_WS_END_COUNT; k++)
		KT_EQ(s.ended[k], 0);
	KT_EQ(s.messages_in, s.messages_out);
	/* What holds is what was set last. */
	KT_EQ(pulse_ws_server_limits(server, &l), 0);
	KT_EQ(l.ping_interval_ms, 20000);
	KT_CHECK(l.max_message_bytes >= 1024 && l.max_message_bytes <= 65536);
	for (int i = 0; i < PEERS; i++)
		peer_close(&c[i].p);
	KT_EQ(pulse_control_off_reload(control, id), 0);
	pulse_control_destroy(control);
	pulse_ws_server_destroy(server);
	kt_note("%ld commands were refused", refused);
}

KT_TEST(a_new_limit_holds_for_connections_that_are_open)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);
	struct pulse_ws_server *server = serve(&o);
	struct peer p = peer_open(server), q = peer_open(server);
	char big[4096], why[PULSE_WHY_MAX];
	struct pulse_setting bad = { "ws.send_low_bytes", "4G" };
	int64_t v;

	memset(big, 'b', sizeof(big));
	KT_EQ(pulse_control_create(NULL, &control), 0);
	KT_CHECK(pulse_control_bind_ws(control, server, "ws") > 0);
	KT_CHECK(pulse_control_bind_ws(control, server, "ws") == -EEXIST);
	KT_CHECK(peer_send_frame(&p, 0x82, big, sizeof(big)));
	KT_CHECK(peer_expect(&p, 0x82, big, sizeof(big)));
	/* Half of a message is there when the limit falls below it. */
	KT_CHECK(peer_send_frame(&q, 0x02, big, sizeof(big)));
	KT_CHECK(peer_send_frame(&q, 0x89, "", 0));
	KT_CHECK(peer_expect(&q, 0x8a, "", 0));
	KT_EQ(set("ws.max_message_bytes", "%ld", 1000), 0);
	{
		struct pulse_ws_stats s;

		/* A turn of the loop later it holds: small ones still pass. */
		KT_CHECK(peer_send_frame(&p, 0x82, "s", 1));
		KT_CHECK(peer_expect(&p, 0x82, "s", 1));
		KT_CHECK(peer_send_frame(&p, 0x82, big, sizeof(big)));
		KT_EQ(peer_close_code(&p), 1009);
		KT_CHECK(peer_send_frame(&q, 0x80, "", 0));
		KT_EQ(peer_close_code(&q), 1009);
		s = stats_of(server);
		KT_EQ(s.ended[PULSE_WS_END_PROTOCOL], 0);
	}
	/* A value that the server does not have is refused and undone. */
	KT_EQ(pulse_control_reload(control, &bad, 1, why, sizeof(why)), -ERANGE);
	bad.value = "2M";
	KT_EQ(pulse_control_reload(control, &bad, 1, why, sizeof(why)), -EINVAL);
	KT_CHECKF(strstr(why, "ws.send_low_bytes: 2097152 is not less than ws.send_high_bytes, which is 1048576") == why, "%s", why);
	{
		struct pulse_config *config = pulse_control_config(control);

		KT_EQ(pulse_config_int(config, "ws.send_low_bytes", &v), 0);
		KT_EQ(v, 262144);
		pulse_config_put(config);
	}
	peer_close(&p);
	peer_close(&q);
	pulse_control_destroy(control);
	pulse_ws_server_destroy(server);
}

KT_TEST(a_shorter_idle_time_ends_who_is_silent_already)
{
	struct pulse_ws_server *server = serve_echo();
	struct peer p = peer_open(server);
	PULSE_OPTS(pulse_ws_limits, l, .idle_timeout_ms = 50,
		   .ping_interval_ms = -1);
	PULSE_OPTS(pulse_ws_limits, bad, .max_head_bytes = 10);

	KT_EQ(pulse_ws_server_set_limits(server, &bad), -EINVAL);
	KT_EQ(pulse_ws_server_set_limits(server, &l), 0);
	KT_EQ(peer_close_code(&p), 1001);
	peer_close(&p);
	pulse_ws_server_destroy(server);
}

KT_TEST(a_lifetime_that_is_set_ends_who_is_old_already)
{
	struct pulse_ws_server *server = serve_echo();
	struct peer p = peer_open(server);

	KT_EQ(pulse_control_create(NULL, &control), 0);
	KT_CHECK(pulse_control_bind_ws(control, server, "ws") > 0);
	KT_EQ(set("ws.lifetime_jitter_ms", "%ld", 1), 0);
	KT_CHECK(peer_send_frame(&p, 0x81, "x", 1));
	KT_CHECK(peer_expect(&p, 0x81, "x", 1));
	KT_EQ(set("ws.max_lifetime_ms", "%ld", 1), 0);
	KT_EQ(peer_close_code(&p), 1001);
	KT_EQ(stats_of(server).aged, 1);
	peer_close(&p);
	pulse_control_destroy(control);
	pulse_ws_server_destroy(server);
}

KT_TEST(a_pools_heartbeat_is_a_knob)
{
	PULSE_OPTS(pulse_pool_opts, o, .num_workers = 2);
	struct pulse_pool *pool;
	char why[PULSE_WHY_MAX];
	struct pulse_setting s = { "pool.heartbeat_us", "5" };

	KT_EQ(pulse_control_create(NULL, &control), 0);
	KT_EQ(pulse_pool_create(&o, &pool), 0);
	KT_CHECK(pulse_control_bind_pool(control, pool, "pool") > 0);
	KT_EQ(pulse_control_reload(control, &s, 1, why, sizeof(why)), -EINVAL);
	KT_CHECKF(strstr(why, "pool.heartbeat_us: 5 us was refused"), "%s", why);
	KT_EQ(set("pool.heartbeat_us", "%ld", 500), 0);
	pulse_control_destroy(control);
	pulse_pool_destroy(pool);
}

/* ---- metrics ------------------------------------------------------------------ */

static double last_accepted;
static long scrapes;
static char page[1 << 18];

/* The counter of a text; -1: it is not there. */
static double value_in(const char *text, const char *series)
{
	const char *at = strstr(text, series);

	return at ? atof(at + strlen(series)) : -1;
}

static void *scrape(void *arg)
{
	struct pulse_metrics *m = arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		double v;

		if (pulse_metrics_text(m, page, sizeof(page)) < 0)
			KT_FAIL("not read");
		v = value_in(page, "pulse_ws_accepted_total{name=\"edge\"} ");
		if (v < last_accepted)
			KT_FAIL("a counter went back from %g to %g", last_accepted, v);
		if (v > last_accepted)
			last_accepted = v;
		__atomic_fetch_add(&scrapes, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* A04: reading goes on while servers end; counters never go back. */
KT_TEST(figures_are_read_while_servers_come_and_go)
{
	long rounds = kt_scale(20), total = 0;
	struct pulse_metrics *m;
	pthread_t t;

	stop = false;
	last_accepted = -1;
	KT_EQ(pulse_metrics_create(&m), 0);
	pthread_create(&t, NULL, scrape, m);
	for (long i = 0; i < rounds; i++) {
		long before = __atomic_load_n(&scrapes, __ATOMIC_RELAXED);
		struct pulse_ws_server *server = serve_echo();
		int id = pulse_metrics_add_ws(m, "edge", server);
		struct peer p[3];

		KT_REQUIRE(id > 0);
		for (int k = 0; k < 3; k++) {
			p[k] = peer_open(server);
			total++;
		}
		KT_CHECK(EVENTUALLY(__atomic_load_n(&scrapes,
						    __ATOMIC_RELAXED) > before));
		for (int k = 0; k < 3; k++)
			peer_close(&p[k]);
		if (i & 1)
			pulse_ws_server_drain(server, 0);
		KT_EQ(pulse_metrics_remove(m, id), 0);
		pulse_ws_server_destroy(server);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	KT_CHECK(pulse_metrics_text(m, page, sizeof(page)) > 0);
	KT_EQ(value_in(page, "pulse_ws_accepted_total{name=\"edge\"} "), total);
	KT_EQ(value_in(page, "pulse_ws_opened_total{name=\"edge\"} "), total);
	pulse_metrics_destroy(m);
}

static void nothing(void *arg)
{
	(void)arg;
}

KT_TEST(pool_mailbox_bus_and_actors_are_published)
{
	struct pulse_metrics *m;
	struct pulse_pool *pool;
	struct pulse_mailbox *box;
	struct pulse_bus *bus;
	struct pulse_actors *actors;
	int id[4];

	KT_EQ(pulse_metrics_create(&m), 0);
	KT_EQ(pulse_pool_create(NULL, &pool), 0);
	KT_EQ(pulse_mailbox_create(NULL, &box), 0);
	KT_EQ(pulse_bus_create(NULL, &bus), 0);
	KT_EQ(pulse_actors_create(NULL, &actors), 0);
	id[0] = pulse_metrics_add_pool(m, "p", pool);
	id[1] = pulse_metrics_add_mailbox(m, "m", box);
	id[2] = pulse_metrics_add_bus(m, "b", bus);
	id[3] = pulse_metrics_add_actors(m, "a", actors);
	for (int i = 0; i < 4; i++)
		KT_CHECK(id[i] > 0);
	for (int i = 0; i < 10; i++)
		KT_EQ(pulse_pool_submit(pool, nothing, NULL), 0);
	KT_CHECK(EVENTUALLY(pulse_metrics_text(m, page, sizeof(page)) > 0 &&
			    value_in(page, "pulse_pool_completed_total{name=\"p\"} ") == 10));
	KT_EQ(value_in(page, "pulse_pool_submitted_total{name=\"p\"} "), 10);
	KT_EQ(value_in(page, "pulse_mailbox_count{name=\"m\"} "), 0);
	KT_EQ(value_in(page, "pulse_bus_published_total{name=\"b\"} "), 0);
	KT_EQ(value_in(page, "pulse_actors_alive{name=\"a\"} "), 0);
	KT_EQ(pulse_metrics_add_pool(m, "bad\xff", pool), -EILSEQ);
	for (int i = 0; i < 4; i++)
		KT_EQ(pulse_metrics_remove(m, id[i]), 0);
	pulse_actors_destroy(actors);
	pulse_bus_destroy(bus);
	pulse_mailbox_destroy(box);
	pulse_pool_destroy(pool);
	pulse_metrics_destroy(m);
}

static int ends_or_waits(struct pulse_child *self, void *arg)
{
	(void)arg;
	if (pulse_child_incarnation(self) < 3)
		return 1;
	return pulse_child_wait(self, PULSE_FOREVER);
}

static void subscribe_to_t(struct pulse_ws_conn *conn, void *arg)
{
	(void)arg;
	KT_EQ(pulse_ws_subscribe(conn, "t"), 0);
	KT_EQ(pulse_ws_send(conn, PULSE_WS_TEXT, "on", 2), 0);
}

/* What is refused at a mailbox's door, restarts, and what topics lose. */
KT_TEST(supervisors_topics_and_refused_messages_are_published)
{
	PULSE_OPTS(pulse_child_spec, spec, .id = "w", .fn = ends_or_waits);
	PULSE_OPTS(pulse_sup_opts, so, .max_restarts = 5);
	PULSE_OPTS(pulse_mailbox_opts, bo, .max_message_bytes = 3);
	PULSE_OPTS(pulse_ws_handlers, h, .on_open = subscribe_to_t);
	PULSE_OPTS(pulse_ws_opts, wo, .handlers = &h);
	struct pulse_ws_server *server = serve(&wo);
	struct pulse_inbox *inbox;
	struct pulse_metrics *m;
	struct pulse_sup *sup;
	struct peer p[2];
	int id[3];

	KT_EQ(pulse_metrics_create(&m), 0);
	KT_EQ(pulse_sup_create(&so, &sup), 0);
	KT_EQ(pulse_inbox_create(&bo, &inbox), 0);
	id[0] = pulse_metrics_add_sup(m, "s", sup);
	id[1] = pulse_metrics_add_mailbox(m, "m", pulse_inbox_mailbox(inbox));
	id[2] = pulse_metrics_add_ws(m, "w", server);
	for (int i = 0; i < 3; i++)
		KT_CHECK(id[i] > 0);
	KT_EQ(pulse_metrics_add_sup(m, "s", NULL), -EINVAL);
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_CHECK(EVENTUALLY(pulse_metrics_text(m, page, sizeof(page)) > 0 &&
			    value_in(page, "pulse_sup_restarts_total{name=\"s\"} ") == 2));
	KT_EQ(value_in(page, "pulse_sup_failures_total{name=\"s\"} "), 2);
	KT_CHECK(EVENTUALLY(pulse_metrics_text(m, page, sizeof(page)) > 0 &&
			    value_in(page, "pulse_sup_active_children{name=\"s\"} ") == 1));
	KT_CHECK(value_in(page, "pulse_sup_uptime_ns{name=\"s\"} ") > 0);
	for (int i = 0; i < 2; i++) {
		p[i] = peer_open(server);
		KT_CHECK(peer_expect(&p[i], 0x81, "on", 2));
	}
	for (int i = 0; i < 5; i++)
		KT_EQ(pulse_ws_publish(server, "t", NULL, PULSE_WS_TEXT, "x", 1), 2);
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < 5; k++)
			KT_CHECK(peer_expect(&p[i], 0x81, "x", 1));
		peer_close(&p[i]);
	}
	KT_EQ(pulse_inbox_send(inbox, "long", 4), -EMSGSIZE);
	KT_EQ(pulse_inbox_send(inbox, "abc", 3), 0);
	pulse_inbox_close(inbox);
	KT_EQ(pulse_inbox_send(inbox, "abc", 3), -ESRCH);
	KT_EQ(pulse_inbox_send(inbox, "abc", 3), -ESRCH);
	KT_CHECK(pulse_metrics_text(m, page, sizeof(page)) > 0);
	KT_EQ(value_in(page, "pulse_mailbox_refused_size_total{name=\"m\"} "), 1);
	KT_EQ(value_in(page, "pulse_mailbox_refused_closed_total{name=\"m\"} "), 2);
	KT_EQ(value_in(page, "pulse_mailbox_refused_expired_total{name=\"m\"} "), 0);
	KT_EQ(value_in(page, "pulse_mailbox_refused_duplicate_total{name=\"m\"} "), 0);
	KT_EQ(value_in(page, "pulse_mailbox_bytes_total{name=\"m\"} "), 3);
	KT_EQ(value_in(page, "pulse_ws_published_total{name=\"w\"} "), 5);
	KT_EQ(value_in(page, "pulse_ws_delivered_total{name=\"w\"} "), 10);
	KT_EQ(value_in(page, "pulse_ws_topic_dropped_total{name=\"w\"} "), 0);
	for (int i = 0; i < 3; i++)
		KT_EQ(pulse_metrics_remove(m, id[i]), 0);
	pulse_inbox_destroy(inbox);
	pulse_sup_destroy(sup);
	pulse_ws_server_destroy(server);
	pulse_metrics_destroy(m);
}

/* ---- hooks -------------------------------------------------------------------- */

static int hooked[5];
static __thread int in_message;

static void hook(struct pulse_ws_conn *conn, int where, int opcode,
		 uint64_t value, void *arg)
{
	KT_CHECK(conn && arg == hooked);
	if (where == PULSE_WS_HOOK_MESSAGE) {
		KT_EQ(opcode, PULSE_WS_TEXT);
		KT_EQ(value, 5);
		KT_EQ(in_message++, 0);
	} else if (where == PULSE_WS_HOOK_HANDLED) {
		KT_EQ(--in_message, 0);
	} else if (where == PULSE_WS_HOOK_CLOSE) {
		KT_EQ(value, 1000);
	}
	__atomic_fetch_add(&hooked[where], 1, __ATOMIC_RELAXED);
}

static void hooks_of(struct pulse_pool *pool)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .pool = pool);
	struct pulse_ws_server *server;
	struct peer p;

	memset(hooked, 0, sizeof(hooked));
	KT_EQ(pulse_ws_server_create(&o, &server), 0);
	KT_EQ(pulse_ws_server_set_hook(server, hook, hooked), 0);
	KT_EQ(pulse_ws_server_start(server), 0);
	KT_EQ(pulse_ws_server_set_hook(server, NULL, NULL), -EBUSY);
	p = peer_open(server);
	for (int i = 0; i < 3; i++) {
		KT_CHECK(peer_send_frame(&p, 0x81, "hello", 5));
		KT_CHECK(peer_expect(&p, 0x81, "hello", 5));
	}
	KT_CHECK(peer_send_close(&p, 1000, ""));
	KT_EQ(peer_close_code(&p), 1000);
	peer_close(&p);
	KT_CHECK(EVENTUALLY(__atomic_load_n(&hooked[PULSE_WS_HOOK_CLOSE],
					    __ATOMIC_RELAXED)));
	pulse_ws_server_destroy(server);
	KT_EQ(hooked[PULSE_WS_HOOK_ACCEPT], 1);
	KT_EQ(hooked[PULSE_WS_HOOK_OPEN], 1);
	KT_EQ(hooked[PULSE_WS_HOOK_MESSAGE], 3);
	KT_EQ(hooked[PULSE_WS_HOOK_HANDLED], 3);
	KT_EQ(hooked[PULSE_WS_HOOK_CLOSE], 1);
}

KT_TEST(a_hook_is_told_of_each_place_on_loops_and_on_a_pool)
{
	struct pulse_pool *pool;

	hooks_of(NULL);
	KT_EQ(pulse_pool_create(NULL, &pool), 0);
	hooks_of(pool);
	pulse_pool_destroy(pool);
}

KT_MAIN()
