// SPDX-License-Identifier: GPL-2.0-only
/*
 * A connection over transports of every mood gives the same answers, leaves
 * memory in flight alone, and stays within its bounds.
 */
#include "mock.h"
#include "peer.h"

#define INPUT_MAX (1 << 20)

static uint8_t input[INPUT_MAX];
static size_t input_len;

/*
 * A request and messages of many sizes, whole and in fragments, and a close.
 * Those over @max are left out.
 */
static void make_input(size_t max)
{
	static const size_t sizes[] = { 0, 1, 20, 125, 126, 500, 4095, 4096,
					20000, 66000, 70000, 3, 17000, 9 };
	static uint8_t body[70000];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(input, UPGRADE, strlen(UPGRADE));
	n = strlen(UPGRADE);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t half = sizes[i] / 3;

		if (sizes[i] > max)
			continue;
		n += peer_frame(input + n, 0x82, body, sizes[i]);
		n += peer_frame(input + n, 0x02, body, half);
		n += peer_frame(input + n, 0x89, "in between", 10);
		n += peer_frame(input + n, 0x80, body + half, sizes[i] - half);
	}
	n += peer_frame(input + n, 0x88, "\x03\xe8", 2);
	input_len = n;
}

static struct pulse_ws_server *idle_server(uint32_t high)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .send_high_bytes = high,
		   .handshake_timeout_ms = PULSE_OFF,
		   .ping_interval_ms = PULSE_OFF, .idle_timeout_ms = PULSE_OFF,
		   .write_timeout_ms = PULSE_OFF, .close_timeout_ms = PULSE_OFF);
	struct pulse_ws_server *server = NULL;

	KT_EQ(pulse_ws_server_create(&o, &server), 0);
	return server;
}

static struct mock run_mood(struct pulse_ws_server *server, struct mock mood)
{
	struct mock m = mood;

	m.in = input;
	m.in_len = input_len;
	KT_EQ(mock_connect(&m, server), 0);
	mock_run(&m);
	KT_CHECK(!m.broken);
	KT_CHECK(m.closed);
	return m;
}

/* Reads and sends of each of these sizes, six ways. */
static void compare_moods(const size_t *limits, size_t nr)
{
	struct pulse_ws_server *server = idle_server(1 << 20);
	struct pulse_ws_server *tight = idle_server(1000);
	struct mock plain = run_mood(server, (struct mock){ 0 });

	KT_CHECK(plain.out_len > input_len / 2);
	KT_CHECK(plain.out && memmem(plain.out, plain.out_len, ACCEPT,
				     strlen(ACCEPT)));
	for (size_t i = 0; i < nr * nr * 6; i++) {
		size_t k = i / (nr * nr);
		struct mock m = {
			.read_max = limits[i % nr],
			.send_max = limits[i / nr % nr],
			.refuse = k % 3 == 1 ? 3 : 0,
			.async = k % 3 == 2,
		};

		m = run_mood(k < 3 ? server : tight, m);
		KT_CHECKF(m.out_len == plain.out_len &&
			  !memcmp(m.out, plain.out, m.out_len),
			  "reads %zu, sends %zu, mood %zu", m.read_max,
			  m.send_max, k);
		free(m.out);
	}
	free(plain.out);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_ws_server_destroy(tight), 0);
}

KT_TEST(every_mood_gives_the_same_answers)
{
	static const size_t large[] = { 0, 1000, 1449, 65536 };
	static const size_t small[] = { 0, 1, 2, 7 };

	make_input(SIZE_MAX);
	compare_moods(large, ARRAY_SIZE(large));
	make_input(500);
	compare_moods(small, ARRAY_SIZE(small));
}

KT_TEST(it_may_end_at_each_byte)
{
	struct pulse_ws_server *server = idle_server(1 << 20);
	size_t whole = input_len;

	make_input(SIZE_MAX);
	whole = input_len;
	for (size_t end = 0; end < 3000; end++) {
		struct mock m = { .read_max = end % 5 ? 0 : 100,
				  .async = end % 3 == 1 };

		input_len = end;
		m = run_mood(server, m);
		free(m.out);
	}
	input_len = whole;
	KT_EQ(stats_of(server).connections, 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- a peer that is slow, and one that is not there ------------------------- */

/* One that has said @len bytes and takes nothing more than @m gives it. */
static struct pulse_ws_conn *slow_conn(struct pulse_ws_server *server,
				       struct mock *m, size_t len)
{
	struct pulse__ws_loop *loop = server->loops[0];
	struct pulse_ws_conn *conn;

	m->in = input;
	m->in_len = len;
	m->keep_open = true;
	KT_EQ(mock_connect(m, server), 0);
	conn = container_of(loop->conns.prev, struct pulse_ws_conn, link);
	mock_run(m);
	return conn;
}

/* As above, with nothing said but the handshake. */
static struct pulse_ws_conn *slow_open(struct pulse_ws_server *server,
				       struct mock *m)
{
	size_t len = strlen(UPGRADE);

	memcpy(input, UPGRADE, len);
	return slow_conn(server, m, len);
}

#define HOUR_MS		3600000
/* Longer than an hour, in ticks. */
#define LATE		((uint32_t)(4000LL * 1000000000 >> PULSE__WS_TICK_SHIFT))

/* As if so much time had passed with nothing told. */
static void late(struct pulse_ws_conn *conn, uint32_t ticks)
{
	pulse_poller_run_once(conn->loop->poller, 0);
	conn->heard_tick -= ticks;
	conn->moved_tick -= ticks;
	conn->timer.fn(conn->loop->poller, &conn->timer);
}

/* Who takes a little each time stays; who takes nothing more does not. */
static void stays_while_it_takes(struct pulse_ws_conn *conn, struct mock *m)
{
	for (int i = 0; i < 20; i++) {
		m->unsent--;
		late(conn, LATE);
		KT_CHECKF(!m->closed, "round %d", i);
	}
	late(conn, LATE);
	KT_CHECK(m->closed);
}

static struct pulse_ws_server *strict_server(struct pulse_ws_opts *o)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	struct pulse_ws_server *server = NULL;

	o->handlers = &h;
	KT_EQ(pulse_ws_server_create(o, &server), 0);
	return server;
}

/* W03: what a socket holds may sink for long before it says that it has room. */
KT_TEST(a_slow_peer_is_waited_for_as_long_as_it_takes_something)
{
	PULSE_OPTS(pulse_ws_opts, o, .write_timeout_ms = HOUR_MS,
		   .idle_timeout_ms = PULSE_OFF, .ping_interval_ms = PULSE_OFF);
	struct pulse_ws_server *server = strict_server(&o);
	struct mock m = { .unsent = 1000 };
	struct pulse_ws_conn *conn;

	conn = slow_open(server, &m);
	KT_CHECK(!m.closed && m.out_len);
	m.refuse = 1;			/* from now on it takes nothing */
	KT_EQ(pulse__ws_put(conn, PULSE_WS_BINARY, input, 100), 0);
	pulse__ws_after(conn);
	KT_CHECK(conn->blocked);
	stays_while_it_takes(conn, &m);
	KT_EQ(stats_of(server).ended[PULSE_WS_END_SLOW], 1);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	free(m.out);
}

/* A ping is behind what it still takes; that its system took it says nothing. */
KT_TEST(a_peer_that_still_takes_is_not_idle)
{
	PULSE_OPTS(pulse_ws_opts, o, .write_timeout_ms = PULSE_OFF,
		   .idle_timeout_ms = HOUR_MS, .ping_interval_ms = HOUR_MS / 2);
	struct pulse_ws_server *server = strict_server(&o);
	struct mock m = { .unsent = 1000 };
	struct pulse_ws_conn *conn;

	conn = slow_open(server, &m);
	late(conn, LATE / 2);
	KT_CHECK(conn->pinged);
	for (int i = 0; i < 20; i++) {
		m.unsent--;
		late(conn, LATE);
		KT_EQ(pulse__ws_state(conn), PULSE__WS_OPEN);
	}
	m.unsent = 0;			/* all is there, and still no pong */
	late(conn, LATE);
	KT_EQ(pulse__ws_state(conn), PULSE__WS_CLOSING);
	late(conn, LATE);
	KT_CHECK(m.closed);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	free(m.out);
}

/* The end of a connection waits for what is before it. */
KT_TEST(closing_waits_for_a_peer_that_still_takes)
{
	PULSE_OPTS(pulse_ws_opts, o, .close_timeout_ms = HOUR_MS);
	struct pulse_ws_server *server = strict_server(&o);
	struct mock m = { .unsent = 1000 };
	struct pulse_ws_conn *conn;

	conn = slow_open(server, &m);
	m.refuse = 1;
	KT_EQ(pulse__ws_put(conn, PULSE_WS_BINARY, input, 100), 0);
	pulse__ws_after(conn);
	KT_EQ(pulse__ws_start_close(conn, PULSE_WS_NORMAL, NULL, 0,
				    PULSE_WS_END_LOCAL), 0);
	pulse__ws_after(conn);
	stays_while_it_takes(conn, &m);
	KT_EQ(stats_of(server).ended[PULSE_WS_END_CUT], 1);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	free(m.out);
}

KT_TEST(an_idle_connection_is_small)
{
	struct pulse_ws_server *server = idle_server(1 << 20);
	struct pulse__ws_loop *loop = server->loops[0];
	struct mock m = { .keep_open = true };
	struct pulse_ws_conn *conn;

	make_input(SIZE_MAX);
	m.in = input;
	m.in_len = strlen(UPGRADE);
	KT_EQ(mock_connect(&m, server), 0);
	mock_run(&m);
	conn = pulse__list_first_entry(&loop->conns, struct pulse_ws_conn, link);
	KT_EQ(pulse__ws_state(conn), PULSE__WS_OPEN);
	/* No buffers; with transport (80) and slot (32) under 400 bytes. */
	KT_CHECK(!conn->msg && !conn->more && !conn->stash && !conn->head &&
		 !conn->out_first && !conn->strand);
	KT_CHECKF(sizeof(*conn) <= 264, "%zu bytes", sizeof(*conn));
	kt_note("%zu bytes", sizeof(*conn));
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_CHECK(m.closed);
	free(m.out);
}

KT_MAIN()
