// SPDX-License-Identifier: GPL-2.0-only
/*
 * W01: handshakes that are decided while peers leave, time runs out and servers end:
 * what was taken is told of once, what was not stays with who decided.
 */
#include "peer.h"

#include <pulse-u/ws_defer.h>

/* Each has a ticket, which belongs to the connection once it was accepted. */
struct ticket {
	struct pulse_ws_conn *conn;
	struct ticket *next;
};

static struct {
	pthread_mutex_t lock;
	struct ticket *first;
	bool end;
	uint32_t taken, late, opened, failed, closed, given_back;
} desk = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int queue_up(struct pulse_ws_conn *conn,
		    const struct pulse_ws_request *request,
		    struct pulse_ws_answer *answer, void *arg)
{
	struct ticket *t = calloc(1, sizeof(*t));

	(void)request, (void)answer, (void)arg;
	if (!t || pulse_ws_defer(conn)) {
		free(t);
		return 500;
	}
	t->conn = pulse_ws_get(conn);
	pthread_mutex_lock(&desk.lock);
	t->next = desk.first;
	desk.first = t;
	pthread_mutex_unlock(&desk.lock);
	return 0;
}

static void let_in(struct pulse_ws_conn *conn, void *arg)
{
	(void)arg;
	KT_CHECK(pulse_ws_conn_user(conn));
	__atomic_fetch_add(&desk.opened, 1, __ATOMIC_RELEASE);
}

static void give_back(struct pulse_ws_conn *conn)
{
	struct ticket *t = pulse_ws_conn_user(conn);

	if (t)
		__atomic_fetch_add(&desk.given_back, 1, __ATOMIC_RELEASE);
	free(t);
}

static void went_wrong(struct pulse_ws_conn *conn, int err, int status, void *arg)
{
	(void)arg, (void)status;
	KT_CHECKF(err == -ECONNRESET || err == -ETIMEDOUT || err == -ESHUTDOWN,
		  "%d", err);
	give_back(conn);
	__atomic_fetch_add(&desk.failed, 1, __ATOMIC_RELEASE);
}

static void left(struct pulse_ws_conn *conn, int code, const char *reason,
		 size_t len, void *arg)
{
	(void)code, (void)reason, (void)len, (void)arg;
	give_back(conn);
	__atomic_fetch_add(&desk.closed, 1, __ATOMIC_RELEASE);
}

static void *clerk(void *arg)
{
	(void)arg;
	for (;;) {
		struct pulse_ws_conn *conn;
		struct ticket *t;
		int err;

		pthread_mutex_lock(&desk.lock);
		t = desk.first;
		if (t)
			desk.first = t->next;
		pthread_mutex_unlock(&desk.lock);
		if (!t && __atomic_load_n(&desk.end, __ATOMIC_ACQUIRE))
			return NULL;
		if (!t) {
			peer_nap(1);
			continue;
		}
		conn = t->conn;
		{
			PULSE_OPTS(pulse_ws_accept_opts, o, .user = t);

			err = pulse_ws_accept(conn, &o);
		}
		__atomic_fetch_add(err ? &desk.late : &desk.taken, 1,
				   __ATOMIC_RELEASE);
		if (err)
			free(t);
		pulse_ws_put(conn);
	}
}

/* Peers come, and leave in every way, while others decide and the server ends. */
KT_TEST(each_decision_that_is_taken_ends_in_one_call)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_request = queue_up,
		   .on_open = let_in, .on_fail = went_wrong, .on_close = left);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .threads = 2,
		   .handshake_timeout_ms = 20);
	long rounds = kt_scale(20);

	for (long round = 0; round < rounds; round++) {
		struct pulse_ws_server *server = serve(&o);
		struct peer p[16];
		pthread_t t[2];

		memset(&desk.taken, 0, sizeof(desk) - offsetof(typeof(desk), taken));
		desk.end = false;
		for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
			p[i] = peer_connect(server);
			peer_say(&p[i], UPGRADE);
		}
		for (size_t i = 0; i < ARRAY_SIZE(t); i++)
			KT_EQ(pthread_create(&t[i], NULL, clerk, NULL), 0);
		for (size_t i = 0; i < ARRAY_SIZE(p) / 2; i++)
			if (i % 2)
				peer_reset(&p[i]);
			else
				peer_close(&p[i]);
		if (round % 2)
			pulse_ws_server_drain(server, 0);
		KT_EQ(pulse_ws_server_destroy(server), 0);
		__atomic_store_n(&desk.end, true, __ATOMIC_RELEASE);
		for (size_t i = 0; i < ARRAY_SIZE(t); i++)
			pthread_join(t[i], NULL);
		for (size_t i = 0; i < ARRAY_SIZE(p); i++)
			peer_close(&p[i]);
		KT_EQ(desk.opened, desk.closed);
		/* Every ticket that was taken has come back, and no other. */
		KT_EQ(desk.given_back, desk.taken);
		KT_EQ(desk.taken + desk.late, desk.opened + desk.failed);
	}
}

KT_MAIN()
