// SPDX-License-Identifier: GPL-2.0-only
/* Connections that have lived for long enough. */
#include "peer.h"
#include "ws/ws_int.h"

#include <pulse-u/pool.h>
#include <pulse-u/ws_live.h>

#define OLD "lifetime is over"
#define FLEET 64
#define MINUTE (60 * PULSE__NSEC_PER_SEC)

static struct pulse_ws_server *server;
static int told_code, times_told, nr_timers, last_send;
static char told_reason[64];
static int64_t timer_ns[FLEET];

static void note_close(struct pulse_ws_conn *conn, int code, const char *reason,
		       size_t len, void *arg)
{
	(void)conn;
	(void)len;
	(void)arg;
	told_code = code;
	snprintf(told_reason, sizeof(told_reason), "%s", reason);
	__atomic_fetch_add(&times_told, 1, __ATOMIC_RELEASE);
}

static bool told(void)
{
	return __atomic_load_n(&times_told, __ATOMIC_ACQUIRE);
}

static void start(struct pulse_ws_opts *o, struct pulse_ws_handlers *h)
{
	times_told = nr_timers = last_send = 0;
	h->on_close = note_close;
	o->handlers = h;
	o->ping_interval_ms = o->idle_timeout_ms = PULSE_OFF;
	server = serve(o);
}

static void check_told(void)
{
	KT_CHECK(EVENTUALLY(told()));
	KT_EQ(told_code, PULSE_WS_GOING_AWAY);
	KT_CHECKF(!strcmp(told_reason, OLD), "%s", told_reason);
	KT_EQ(stats_of(server).aged, 1);
}

static bool close_is_for_age(struct peer *p)
{
	struct frame f;

	return peer_next(p, &f) && f.first == 0x88 &&
	       f.len == 2 + strlen(OLD) && (f.data[0] << 8 | f.data[1]) == 1001 &&
	       !memcmp(f.data + 2, OLD, strlen(OLD));
}

KT_TEST(a_connection_is_closed_at_the_end_of_its_lifetime)
{
	PULSE_OPTS(pulse_ws_handlers, h);
	PULSE_OPTS(pulse_ws_opts, o, .max_lifetime_ms = 50,
		   .lifetime_jitter_ms = 20, .close_timeout_ms = 60000);
	struct peer p;

	start(&o, &h);
	p = peer_open(server);
	KT_CHECK(close_is_for_age(&p));
	KT_CHECK(peer_send_close(&p, 1001, ""));
	KT_CHECK(peer_at_end(&p));
	check_told();
	peer_close(&p);
	KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	KT_EQ(stats_of(server).ended[PULSE_WS_END_LOCAL], 1);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* Shortens the lifetime of a connection whose message it is in the midst of. */
static void age_now(void)
{
	PULSE_OPTS(pulse_ws_limits, l, .max_lifetime_ms = 1);

	KT_EQ(pulse_ws_server_set_limits(server, &l), 0);
	KT_CHECK(EVENTUALLY(stats_of(server).aged));
}

static void answer_late(struct pulse_ws_conn *conn, int opcode, const void *data,
			size_t len, void *arg)
{
	(void)arg;
	age_now();
	KT_EQ(pulse_ws_send(conn, opcode, data, len), 0);
}

KT_TEST(what_came_before_the_end_of_a_lifetime_is_answered)
{
	PULSE_OPTS(pulse_pool_opts, po, .num_workers = 1);
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = answer_late);
	PULSE_OPTS(pulse_ws_opts, o, .close_timeout_ms = 600000);
	struct peer p;

	KT_EQ(pulse_pool_create(&po, &o.pool), 0);
	start(&o, &h);
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x81, "late", 4));
	KT_CHECK(peer_expect(&p, 0x81, "late", 4));
	KT_CHECK(close_is_for_age(&p));
	KT_CHECK(peer_send_close(&p, 1001, ""));
	check_told();
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_pool_destroy(o.pool), 0);
}

static void never_through(struct pulse_ws_conn *conn, int opcode,
			  const void *data, size_t len, void *arg)
{
	(void)arg;
	age_now();
	KT_CHECK(EVENTUALLY((last_send = pulse_ws_send(conn, opcode, data, len)) &&
			    last_send != -EAGAIN));
	KT_CHECK(last_send == -EPIPE || last_send == -ESRCH);
}

KT_TEST(a_handler_that_does_not_end_does_not_lengthen_a_lifetime)
{
	PULSE_OPTS(pulse_pool_opts, po, .num_workers = 1);
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = never_through);
	PULSE_OPTS(pulse_ws_opts, o, .close_timeout_ms = 50);
	struct peer p;

	KT_EQ(pulse_pool_create(&po, &o.pool), 0);
	start(&o, &h);
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x81, "x", 1));
	check_told();
	KT_CHECK(last_send < 0);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_pool_destroy(o.pool), 0);
}

/* On the loop: when will it be looked at; 0: never. */
static void note_timer(struct pulse_ws_conn *conn, void *arg)
{
	int i = __atomic_load_n(&nr_timers, __ATOMIC_RELAXED);
	int64_t now = (int64_t)((uint64_t)conn->born_tick << PULSE__WS_TICK_SHIFT);
	uint64_t due = conn->timer.tick << PULSE__WS_TICK_SHIFT;
	uint64_t mask = (1ULL << (32 + PULSE__WS_TICK_SHIFT)) - 1;

	(void)arg;
	if (i < FLEET)
		timer_ns[i] = conn->timer.link ?
			      (int64_t)((due - (uint64_t)now) & mask) : 0;
	__atomic_store_n(&nr_timers, i + 1, __ATOMIC_RELEASE);
}

static void fleet(int32_t jitter_ms, int64_t *least, int64_t *most)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_open = note_timer);
	PULSE_OPTS(pulse_ws_opts, o, .max_lifetime_ms = 3600000,
		   .lifetime_jitter_ms = jitter_ms);
	struct peer p[FLEET];

	start(&o, &h);
	for (int i = 0; i < FLEET; i++)
		p[i] = peer_open(server);
	KT_CHECK(EVENTUALLY(__atomic_load_n(&nr_timers, __ATOMIC_ACQUIRE) == FLEET));
	*least = INT64_MAX;
	*most = 0;
	for (int i = 0; i < FLEET; i++) {
		*least = timer_ns[i] < *least ? timer_ns[i] : *least;
		*most = timer_ns[i] > *most ? timer_ns[i] : *most;
		peer_close(&p[i]);
	}
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* Told by the timers that are set, not by waiting for them. */
KT_TEST(a_fleet_that_came_at_once_does_not_go_at_once)
{
	int64_t least, most;

	fleet(30 * 60000, &least, &most);
	KT_CHECKF(least >= 29 * MINUTE && most <= 61 * MINUTE,
		  "%lld to %lld", (long long)least, (long long)most);
	KT_CHECKF(most - least > 10 * MINUTE, "%lld to %lld", (long long)least,
		  (long long)most);
	/* No more than half of the lifetime counts. */
	fleet(INT32_MAX, &least, &most);
	KT_CHECKF(least >= 29 * MINUTE && most - least > 10 * MINUTE,
		  "%lld to %lld", (long long)least, (long long)most);
	fleet(0, &least, &most);
	KT_CHECKF(least >= 59 * MINUTE && most <= 61 * MINUTE, "%lld to %lld",
		  (long long)least, (long long)most);
}

KT_TEST(a_connection_to_another_server_has_no_lifetime)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_open = note_timer);
	PULSE_OPTS(pulse_ws_opts, o, .listen = "", .max_lifetime_ms = 3600000);
	PULSE_OPTS(pulse_ws_connect_opts, co);
	struct pulse_ws_server *other = serve_echo();
	char where[PULSE_ADDRESS_MAX], url[PULSE_ADDRESS_MAX + 8];
	struct pulse_ws_conn *conn = NULL;

	KT_EQ(pulse_ws_server_address(other, where, sizeof(where)), 0);
	snprintf(url, sizeof(url), "ws://%s/", where);
	co.url = url;
	start(&o, &h);
	KT_EQ(pulse_ws_connect(server, &co, &conn), 0);
	KT_CHECK(EVENTUALLY(__atomic_load_n(&nr_timers, __ATOMIC_ACQUIRE)));
	KT_EQ(timer_ns[0], 0);
	pulse_ws_put(conn);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_ws_server_destroy(other), 0);
}

KT_TEST(lifetimes_are_limits_like_the_others)
{
	PULSE_OPTS(pulse_ws_opts, o, .max_lifetime_ms = 3600000);
	PULSE_OPTS(pulse_ws_opts, bad, .reserved2 = 1);
	PULSE_OPTS(pulse_ws_limits, l, .lifetime_jitter_ms = 7);
	PULSE_OPTS(pulse_ws_limits, now);
	struct pulse_ws_server *none;

	KT_EQ(pulse_ws_server_create(&bad, &none), -EINVAL);
	KT_EQ(pulse_ws_server_create(&o, &server), 0);
	KT_EQ(pulse_ws_server_limits(server, &now), 0);
	KT_EQ(now.max_lifetime_ms, 3600000);
	KT_EQ(now.lifetime_jitter_ms, -1);
	KT_EQ(pulse_ws_server_set_limits(server, &l), 0);
	KT_EQ(pulse_ws_server_limits(server, &now), 0);
	KT_EQ(now.max_lifetime_ms, 3600000);
	KT_EQ(now.lifetime_jitter_ms, 7);
	l.max_lifetime_ms = -1;
	KT_EQ(pulse_ws_server_set_limits(server, &l), 0);
	KT_EQ(pulse_ws_server_limits(server, &now), 0);
	KT_EQ(now.max_lifetime_ms, -1);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()
