// SPDX-License-Identifier: GPL-2.0-only
/* Servers: several loops, drain and destroy, shortages, nonsense. */
#include "keeping.h"
#include "nofile.h"
#include "io/poller_int.h"
#include "ws/ws_int.h"

#include <pulse-u/backend.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- several loops, several connections ----------------------------------- */

struct broadcast {
	pthread_mutex_t lock;
	struct pulse_ws_conn *conns[64];
	int nr;
};

static void join_all(struct pulse_ws_conn *conn, void *arg)
{
	struct broadcast *b = arg;

	pthread_mutex_lock(&b->lock);
	b->conns[b->nr++] = pulse_ws_get(conn);
	pthread_mutex_unlock(&b->lock);
}

static void tell_all(struct pulse_ws_conn *conn, int op, const void *data,
		     size_t len, void *arg)
{
	struct broadcast *b = arg;

	(void)conn;
	pthread_mutex_lock(&b->lock);
	for (int i = 0; i < b->nr; i++)
		pulse_ws_send(b->conns[i], op, data, len);
	pthread_mutex_unlock(&b->lock);
}

static int in_broadcast(struct broadcast *b)
{
	int n;

	pthread_mutex_lock(&b->lock);
	n = b->nr;
	pthread_mutex_unlock(&b->lock);
	return n;
}

KT_TEST(a_message_to_all_over_several_loops)
{
	struct broadcast b = { .lock = PTHREAD_MUTEX_INITIALIZER };
	PULSE_OPTS(pulse_ws_handlers, h, .on_open = join_all,
		   .on_message = tell_all);
	PULSE_OPTS(pulse_ws_opts, o, .threads = 3, .handlers = &h, .arg = &b);
	struct pulse_ws_server *server = serve(&o);
	long rounds = kt_scale(50);
	struct peer p[40];

	for (int i = 0; i < 40; i++)
		p[i] = peer_open(server);
	KT_CHECK(EVENTUALLY(in_broadcast(&b) == 40));
	for (long r = 0; r < rounds; r++) {
		KT_CHECK(peer_send_frame(&p[r % 40], 0x82, &r, sizeof(r)));
		for (int i = 0; i < 40; i++)
			KT_CHECK(peer_expect(&p[i], 0x82, &r, sizeof(r)));
	}
	KT_EQ(stats_of(server).connections, 40);
	for (int i = 0; i < 40; i++) {
		peer_close(&p[i]);
		pulse_ws_put(b.conns[i]);
	}
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(several_servers_in_a_process)
{
	struct pulse_ws_server *s[5];
	struct peer p[5];

	for (int i = 0; i < 5; i++) {
		s[i] = serve_echo();
		p[i] = peer_open(s[i]);
	}
	for (int i = 0; i < 5; i++) {
		KT_CHECK(peer_send_frame(&p[i], 0x81, "x", 1));
		KT_CHECK(peer_expect(&p[i], 0x81, "x", 1));
		KT_EQ(pulse_ws_server_destroy(s[i]), 0);
		peer_close(&p[i]);
	}
}

/* ---- a context ------------------------------------------------------------ */

KT_TEST(its_threads_are_workers_of_the_context)
{
	PULSE_OPTS(pulse_ctx_opts, co, .max_workers = 2);
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .threads = 2);
	struct pulse_worker_state st = { .sz = sizeof(st) };
	struct pulse_ws_server *server;
	struct peer p;

	KT_EQ(pulse_ctx_create(&co, &o.ctx), 0);
	server = serve(&o);
	KT_EQ(pulse_worker_state(o.ctx, 0, &st), 0);
	KT_EQ(pulse_worker_state(o.ctx, 1, &st), 0);
	KT_CHECK(st.tid > 0 && st.tid != getpid());
	KT_EQ(pulse_ctx_destroy(o.ctx), -EBUSY);
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x81, "x", 1));
	KT_CHECK(peer_expect(&p, 0x81, "x", 1));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_worker_state(o.ctx, 0, &st), -ESRCH);

	/* No slot for the third: none starts, and the server says so. */
	o.threads = 3;
	KT_EQ(pulse_ws_server_create(&o, &server), 0);
	KT_EQ(pulse_ws_server_start(server), -ENOSPC);
	KT_EQ(pulse_ws_server_start(server), -ESHUTDOWN);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(pulse_ctx_destroy(o.ctx), 0);
}

/* ---- before they sleep ----------------------------------------------------- */

/* What spinning is like is the poller's, and shown there. */
KT_TEST(its_loops_spin_as_long_as_they_are_told)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .threads = 2,
		   .spin_us = 70);
	struct pulse_ws_server *server;
	struct peer p;

	for (int i = 0; i < 2; i++) {
		server = serve(&o);
		for (uint32_t l = 0; l < 2; l++)
			KT_EQ(server->loops[l]->poller->spin_ns,
			      o.spin_us * PULSE__NSEC_PER_USEC);
		p = peer_open(server);
		for (int n = 0; n < 20; n++) {
			KT_CHECK(peer_send_frame(&p, 0x81, "x", 1));
			KT_CHECK(peer_expect(&p, 0x81, "x", 1));
		}
		peer_close(&p);
		KT_EQ(pulse_ws_server_destroy(server), 0);
		o.spin_us = 0;
	}
	o.spin_us = 1000001;
	KT_EQ(pulse_ws_server_create(&o, &server), -EINVAL);
}

/* ---- drain ---------------------------------------------------------------- */

static void *drain_now(void *server)
{
	return (void *)(intptr_t)pulse_ws_server_drain(server,
			pulse_now_ns() + 20 * PULSE__NSEC_PER_SEC);
}

KT_TEST(drain_closes_each_with_1001)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .threads = 2);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p[10], half = peer_connect(server), late;
	pthread_t t, t2;
	void *rc;

	KT_CHECK(peer_say(&half, "GET / HT"));
	for (int i = 0; i < 10; i++) {
		p[i] = peer_open(server);
		KT_CHECK(peer_send_frame(&p[i], 0x81, "x", 1));
		KT_CHECK(peer_expect(&p[i], 0x81, "x", 1));
		pulse_ws_put(kept_conn());
	}
	KT_CHECK(EVENTUALLY(stats_of(server).connections == 11));
	KT_EQ(pthread_create(&t, NULL, drain_now, server), 0);
	KT_EQ(pthread_create(&t2, NULL, drain_now, server), 0);
	KT_EQ(peer_status(&half), 503);
	peer_close(&half);
	for (int i = 0; i < 10; i++) {
		KT_EQ(peer_close_code(&p[i]), 1001);
		KT_CHECK(peer_send_close(&p[i], 1001, ""));
		KT_CHECK(peer_at_end(&p[i]));
	}
	for (int i = 0; i < 10; i++)
		peer_close(&p[i]);
	pthread_join(t, &rc);
	KT_EQ((intptr_t)rc, 0);
	pthread_join(t2, &rc);
	KT_EQ((intptr_t)rc, 0);
	KT_EQ(closed(), 10);
	KT_EQ(stats_of(server).ended[PULSE_WS_END_LOCAL], 10);
	KT_EQ(pulse_ws_server_start(server), -ESHUTDOWN);
	/* Nobody listens any more. */
	late = (struct peer){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
	peer_close(&late);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(drain_closes_with_the_code_that_is_wanted)
{
	static const uint32_t bad[] = { 1, 999, 1004, 1005, 1006, 1015, 2999, 5000,
					65536 + 1000, UINT32_MAX };
	PULSE_OPTS(pulse_ws_opts, o, .drain_code = PULSE_WS_RESTART);
	struct pulse_ws_server *server = serve(&o);
	struct peer p = peer_open(server);
	pthread_t t;
	void *rc;

	KT_EQ(pthread_create(&t, NULL, drain_now, server), 0);
	KT_EQ(peer_close_code(&p), PULSE_WS_RESTART);
	KT_CHECK(peer_send_close(&p, PULSE_WS_RESTART, ""));
	KT_CHECK(peer_at_end(&p));
	pthread_join(t, &rc);
	KT_EQ((intptr_t)rc, 0);
	peer_close(&p);
	/* Again is no error. */
	KT_EQ(pulse_ws_server_drain(server, 0), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		o.drain_code = bad[i];
		KT_CHECKF(pulse_ws_server_create(&o, &server) == -EINVAL, "%u",
			  bad[i]);
	}
	o.drain_code = 0;
	o.reserved4 = 1;
	KT_EQ(pulse_ws_server_create(&o, &server), -EINVAL);
}

KT_TEST(drain_cuts_off_who_does_not_answer)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	PULSE_OPTS(pulse_ws_opts, o, .threads = 1);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_open(server);

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	KT_EQ(pulse_ws_server_drain(server, pulse_now_ns() +
				    50 * PULSE__NSEC_PER_MSEC), -ETIMEDOUT);
	KT_EQ(closed(), 1);
	KT_EQ(closed_codes[0], 1001);
	KT_EQ(stats_of(server).connections, 0);
	KT_EQ(stats_of(server).ended[PULSE_WS_END_CUT], 1);
	peer_close(&p);
	pulse_ws_put(kept);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(destroy_tells_on_close)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	PULSE_OPTS(pulse_ws_opts, o, .threads = 1);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct peer p = peer_open(server);

	KT_REQUIRE(EVENTUALLY(kept_conn()));
	KT_EQ(pulse_ws_send(kept, PULSE_WS_TEXT, "x", 1), 0);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(closed(), 1);
	KT_EQ(closed_codes[0], 1006);
	pulse_ws_put(kept);
	peer_close(&p);
}

static int from_handler[2];

static void end_from_handler(struct pulse_ws_conn *conn, int op,
			     const void *data, size_t len, void *arg)
{
	(void)op;
	(void)data;
	(void)len;
	from_handler[0] = pulse_ws_server_drain(*(void **)arg, 0);
	from_handler[1] = pulse_ws_server_destroy(*(void **)arg);
	pulse_ws_close(conn, 0, NULL, 0);
}

KT_TEST(a_handler_cannot_end_its_server)
{
	struct pulse_ws_server *server = NULL;
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = end_from_handler);
	PULSE_OPTS(pulse_ws_opts, o, .arg = &server, .handlers = &h);
	struct peer p;

	KT_EQ(pulse_ws_server_create(&o, &server), 0);
	KT_EQ(pulse_ws_server_start(server), 0);
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x81, "x", 1));
	KT_EQ(peer_close_code(&p), 1005);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	KT_EQ(from_handler[0], -EDEADLK);
	KT_EQ(from_handler[1], -EDEADLK);
}

/* ---- shortages and nonsense ----------------------------------------------- */

KT_TEST(without_descriptors_it_keeps_serving)
{
	struct pulse_ws_server *server;
	struct nofile none;
	struct peer p, q;

	KT_CHECK(nofile_begin(&none));
	server = serve_echo();
	p = peer_open(server);
	nofile_take_all(&none);
	close(none.fd[--none.nr]);	/* the last one is the peer's own end */
	q = peer_connect(server);
	KT_CHECK(peer_say(&q, UPGRADE));
	for (int i = 0; i < 50; i++) {
		KT_CHECK(peer_send_frame(&p, 0x82, &i, sizeof(i)));
		KT_CHECK(peer_expect(&p, 0x82, &i, sizeof(i)));
		peer_nap(5);
	}
	KT_EQ(stats_of(server).accepted, 1);
	nofile_end(&none);
	KT_EQ(peer_status(&q), 101);
	peer_close(&p);
	peer_close(&q);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* A life of a connection; how far it came does not matter, that it ends does. */
static bool one_life(struct pulse_ws_server *server)
{
	static uint8_t body[70000];
	struct peer p = peer_connect(server);
	struct frame f;
	bool ok = false;

	if (peer_say(&p, UPGRADE) && peer_status(&p) == 101)
		ok = peer_send_frame(&p, 0x02, body, 100) &&
		     peer_send_frame(&p, 0x00, body, 30000) &&
		     peer_send(&p, "\x89\x83\0\0\0\0p", 7) &&
		     (peer_nap(2), peer_send(&p, "in", 2)) &&
		     peer_send_frame(&p, 0x80, body, 39900) &&
		     peer_next(&p, &f) && f.len == 3 && peer_next(&p, &f) &&
		     f.len == 70000 && peer_send_close(&p, 1000, "with reason") &&
		     peer_close_code(&p) == 1000 && peer_at_end(&p);
	peer_close(&p);
	return ok;
}

KT_TEST(each_allocation_may_fail)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back,
		   .on_close = count_close);
	static const char *const subs[] = { "a", "b", NULL };
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .subprotocols = subs);
	bool failed = true;
	long n = 0;

	while (failed && n < 200) {
		struct pulse_ws_server *server = NULL;
		bool lived = false;
		int err;

		pulse__alloc_fail_at(++n);
		err = pulse_ws_server_create(&o, &server);
		if (!err)
			err = pulse_ws_server_start(server);
		if (!err) {
			lived = one_life(server);
			failed = pulse__alloc_failed();
			pulse__alloc_fail_at(0);
			/* It serves the next one all the same. */
			KT_CHECK(one_life(server));
		}
		failed = failed || pulse__alloc_failed();
		KT_CHECK(failed || lived);
		if (err)
			KT_EQ(err, -ENOMEM);
		pulse__alloc_fail_at(0);
		if (server)
			KT_EQ(pulse_ws_server_destroy(server), 0);
		if (lived)
			failed = false;
	}
	KT_CHECKF(n > 10, "%ld allocations", n - 1);
}

KT_TEST(no_descriptors_at_all)
{
	struct pulse_ws_server *server = NULL;
	struct rlimit old, low;

	KT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (rlim_t more = 0; more < 3; more++) {
		int spare = dup(0);

		low = old;
		low.rlim_cur = (rlim_t)spare + more;
		close(spare);
		KT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
		KT_EQ(pulse_ws_server_create(NULL, &server), -EMFILE);
		KT_CHECK(!server);
	}
	KT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
}

KT_TEST(ports_in_use)
{
	PULSE_OPTS(pulse_ws_opts, o, .threads = 2);
	struct pulse_ws_server *a = NULL, *b = NULL;
	char where[PULSE_ADDRESS_MAX];

	KT_EQ(pulse_ws_server_create(&o, &a), 0);
	KT_EQ(pulse_ws_server_address(a, where, sizeof(where)), 0);
	o.listen = where;
	KT_EQ(pulse_ws_server_create(&o, &b), -EADDRINUSE);
	o.threads = 1;
	KT_EQ(pulse_ws_server_create(&o, &b), -EADDRINUSE);
	KT_CHECK(!b);
	KT_EQ(pulse_ws_server_destroy(a), 0);
	KT_EQ(pulse_ws_server_create(&o, &a), 0);
	KT_EQ(pulse_ws_server_destroy(a), 0);
}

KT_TEST(a_forked_child_is_told)
{
	struct pulse_ws_server *server = serve_echo();
	struct peer p;
	int status = -1;

	if (!fork())
		_exit(pulse_ws_server_drain(server, 0) != -EOWNERDEAD ||
		      pulse_ws_server_start(server) != -EOWNERDEAD ||
		      pulse_ws_server_destroy(server));
	wait(&status);
	KT_EQ(status, 0);
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x81, "x", 1));
	KT_CHECK(peer_expect(&p, 0x81, "x", 1));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(null_and_nonsense_are_refused)
{
	static const char *const bad_subs[] = { "a, b", NULL };
	struct { struct pulse_ws_opts o; char more[64]; } big = { 0 };
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = NULL);
	struct pulse_ws_stats s = { .sz = 1 };
	struct pulse_ws_server *server;
	char buf[4];

	KT_EQ(pulse_ws_server_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_ws_server_start(NULL), -EINVAL);
	KT_EQ(pulse_ws_server_drain(NULL, 0), -EINVAL);
	KT_EQ(pulse_ws_server_destroy(NULL), -EINVAL);
	KT_EQ(pulse_ws_server_address(NULL, buf, 4), -EINVAL);
	KT_EQ(pulse_ws_server_stats(NULL, &s), -EINVAL);
	KT_CHECK(!pulse_ws_get(NULL));
	pulse_ws_put(NULL);
	KT_EQ(pulse_ws_send(NULL, PULSE_WS_TEXT, "x", 1), -EINVAL);
	KT_EQ(pulse_ws_close(NULL, 1000, NULL, 0), -EINVAL);
	KT_CHECK(!pulse_ws_conn_user(NULL));
	KT_EQ(pulse_ws_conn_set_user(NULL, NULL), -EINVAL);
	KT_CHECK(!pulse_ws_conn_subprotocol(NULL));
	KT_EQ(pulse_ws_conn_queued(NULL), 0);
	KT_EQ(pulse_ws_conn_address(NULL, buf, 4), -EINVAL);
	KT_CHECK(!pulse_ws_request_method(NULL));
	KT_CHECK(!pulse_ws_request_path(NULL));
	KT_CHECK(!pulse_ws_request_query(NULL));
	KT_CHECK(!pulse_ws_request_header(NULL, "a", 0));
	KT_EQ(pulse_ws_http_reply(NULL, 200, "a/b", NULL, 0), -EINVAL);

	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.sz = 1;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.sz = sizeof(big);
	KT_EQ(pulse_ws_server_create(&big.o, &server), 0);
	KT_EQ(pulse_ws_server_address(server, buf, 4), -ENOSPC);
	KT_EQ(pulse_ws_server_stats(server, &s), -EINVAL);
	KT_EQ(pulse_ws_server_stats(server, NULL), -EINVAL);
	KT_EQ(pulse_ws_server_start(server), 0);
	KT_EQ(pulse_ws_server_start(server), -EALREADY);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	big.more[60] = 1;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -E2BIG);
	big.o.sz = sizeof(big.o);
	h.sz = 1;
	big.o.handlers = &h;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.handlers = NULL;
	big.o.listen = "nowhere";
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.listen = NULL;
	big.o.threads = 257;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.threads = 0;
	big.o.max_head_bytes = 10;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.max_head_bytes = 0;
	big.o.send_high_bytes = 10;
	big.o.send_low_bytes = 10;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	big.o.send_low_bytes = 0;
	big.o.subprotocols = bad_subs;
	KT_EQ(pulse_ws_server_create(&big.o, &server), -EINVAL);
	/* Never started, and drained: both are fine. */
	KT_EQ(pulse_ws_server_create(NULL, &server), 0);
	KT_EQ(pulse_ws_server_drain(server, 0), 0);
	KT_EQ(pulse_ws_server_start(server), -ESHUTDOWN);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

static int bad_calls[8];

static void misuse(struct pulse_ws_conn *c, int op, const void *data, size_t len,
		   void *arg)
{
	char long_reason[124] = "";
	int *b = bad_calls;

	(void)arg;
	*b++ = pulse_ws_send(c, 3, "x", 1) != -EINVAL;
	*b++ = pulse_ws_send(c, PULSE_WS_TEXT, NULL, 1) != -EINVAL;
	*b++ = pulse_ws_send(c, PULSE_WS_PING, data, 126) != -EMSGSIZE;
	*b++ = pulse_ws_close(c, 1005, NULL, 0) != -EINVAL;
	*b++ = pulse_ws_close(c, 0, "x", 1) != -EINVAL;
	*b++ = pulse_ws_close(c, 1000, NULL, 1) != -EINVAL;
	*b++ = pulse_ws_close(c, 1000, long_reason, 124) != -EMSGSIZE;
	*b++ = pulse_ws_http_reply(c, 200, "a/b", NULL, 0) != -EINVAL;
	pulse_ws_send(c, op, data, len);
}

KT_TEST(misuse_of_a_connection_is_refused)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = misuse);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);
	struct pulse_ws_server *server = serve(&o);
	struct peer p = peer_open(server);
	uint8_t body[200] = { 1 };

	KT_CHECK(peer_send_frame(&p, 0x82, body, sizeof(body)));
	KT_CHECK(peer_expect(&p, 0x82, body, sizeof(body)));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
	for (int i = 0; i < 8; i++)
		KT_CHECKF(!bad_calls[i], "call %d", i);
}

KT_MAIN()
