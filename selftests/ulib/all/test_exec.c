// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that is begun by an exec inherits nothing of the library's: each
 * descriptor that there is, in the middle of a life, is closed by it. U09
 */
#include "certs.h"

#include "../io/ends.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>

#include <pulse-u/actor.h>
#include <pulse-u/backend.h>
#include <pulse-u/events.h>
#include <pulse-u/link.h>
#include <pulse-u/mailbox_shared.h>
#include <pulse-u/mesh.h>
#include <pulse-u/pool.h>
#include <pulse-u/queue.h>
#include <pulse-u/shared_pool.h>
#include <pulse-u/supervisor.h>
#include <pulse-u/timer.h>
#include <pulse-u/tls.h>
#include <pulse-u/ws.h>

static bool had[1024];		/* before it began: others' */

static void before(void)
{
	for (int fd = 0; fd < 1024; fd++)
		had[fd] = fcntl(fd, F_GETFD) >= 0;
}

/* How many there are by now; each would be closed. */
static int look(const char *what)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++) {
		int flags = had[fd] ? -1 : fcntl(fd, F_GETFD);
		char link[64], name[PATH_MAX] = "";

		if (flags < 0)
			continue;
		n++;
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		(void)!readlink(link, name, sizeof(name) - 1);
		KT_CHECKF(flags & FD_CLOEXEC, "%s: %s is left open", what, name);
	}
	return n;
}

/* ---- carriers --------------------------------------------------------------------- */

static void carry(int kind, const char *address)
{
	PULSE_OPTS(pulse_poller_opts, po, .kind = kind);
	char own[PULSE_ADDRESS_MAX];
	PULSE_OPTS(pulse_listener_opts, lo, .address = own);
	struct pulse_tls *tls[2] = { NULL, NULL };
	long sent = 0;

	snprintf(own, sizeof(own), address, getpid());
	before();
	if (!strncmp(address, "tls:", 4)) {
		PULSE_OPTS(pulse_tls_opts, so, .cert_file = certs_file("srv.pem"),
			   .key_file = certs_file("srv.key"),
			   .handshake_timeout_ms = 60000);
		PULSE_OPTS(pulse_tls_opts, co, .ca_file = certs_file("ca.pem"));

		if (pulse_tls_create(&so, &tls[0]) || pulse_tls_create(&co, &tls[1])) {
			kt_note("no TLS here");
			return;
		}
	}
	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	accepted = 0;
	KT_EQ(pulse_poller_create(&po, &poller), 0);
	lo.tls = tls[0];
	how.tls = tls[1];
	how.server_name = tls[1] ? "localhost" : NULL;
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, &server, &listener), 0);
	KT_EQ(pulse_listener_address(listener, where, sizeof(where)), 0);
	KT_EQ(dial(), 0);
	UNTIL(client.seen & PULSE_TRANSPORT_OPEN);
	/* The other side may not be there yet for what is sent at once. */
	UNTIL(sent == 100 || (sent += send_some(&client, sent, 100 - sent)) == 100);
	UNTIL(server.got == 100);
	if (server.got != 100)
		kt_note("%s, kind %d: sent %ld, client %d (seen %x), server %d (seen %x)",
			address, kind, sent, client.err, client.seen, server.err,
			server.seen);
	/* The loop's, the listener's, and one of each side, but for shared memory. */
	KT_CHECK(look(address) >= 3);
	end();
	for (int i = 0; i < 2; i++)
		if (tls[i])
			KT_EQ(pulse_tls_destroy(tls[i]), 0);
	KT_EQ(look(address), 0);
	how.tls = NULL;
	how.server_name = NULL;
}

KT_TEST(connections_of_each_carrier)
{
	static const char *const addresses[] = {
		"127.0.0.1:0", "unix:@pulse-exec-%d", "shm:@pulse-exec-shm-%d",
		"udp:127.0.0.1:0", "tls:127.0.0.1:0",
	};
	static const int kinds[] = { PULSE_POLLER_EPOLL, PULSE_POLLER_IO_URING };
	bool certs = !certs_make();

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		PULSE_OPTS(pulse_poller_opts, po, .kind = kinds[k]);
		struct pulse_poller *p;

		if (pulse_poller_create(&po, &p)) {
			kt_note("no io_uring here");
			continue;
		}
		KT_EQ(pulse_poller_destroy(p), 0);
		for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
			if (certs || strncmp(addresses[i], "tls:", 4))
				carry(kinds[k], addresses[i]);
	}
}

/* ---- what has threads, processes or memory that is shared --------------------------- */

KT_TEST(a_server_with_a_client_of_its_own)
{
	PULSE_OPTS(pulse_ws_handlers, h);
	PULSE_OPTS(pulse_ws_opts, so, .handlers = &h, .threads = 2);
	PULSE_OPTS(pulse_ws_opts, co, .handlers = &h, .listen = "");
	struct pulse_ws_server *s = NULL, *c = NULL;
	struct pulse_ws_conn *conn = NULL;
	char at[PULSE_ADDRESS_MAX], url[PULSE_ADDRESS_MAX + 16];
	PULSE_OPTS(pulse_ws_connect_opts, to, .url = url);
	PULSE_OPTS(pulse_ws_stats, st);
	int64_t late = pulse_now_ns() + 30 * PULSE__NSEC_PER_SEC;

	before();
	KT_EQ(pulse_ws_server_create(&so, &s), 0);
	KT_EQ(pulse_ws_server_start(s), 0);
	KT_EQ(pulse_ws_server_create(&co, &c), 0);
	KT_EQ(pulse_ws_server_start(c), 0);
	KT_EQ(pulse_ws_server_address(s, at, sizeof(at)), 0);
	snprintf(url, sizeof(url), "ws://%s/", at);
	KT_EQ(pulse_ws_connect(c, &to, &conn), 0);
	do {
		usleep(1000);
		KT_EQ(pulse_ws_server_stats(s, &st), 0);
	} while (st.opened < 1 && pulse_now_ns() < late);
	KT_EQ(st.opened, 1);
	KT_CHECK(look("a server") > 4);
	pulse_ws_put(conn);
	KT_EQ(pulse_ws_server_destroy(c), 0);
	KT_EQ(pulse_ws_server_destroy(s), 0);
	KT_EQ(look("a server"), 0);
}

static int sleeps(struct pulse_child *self, void *arg)
{
	(void)arg;
	pulse_child_wait(self, PULSE_FOREVER);
	return 0;
}

KT_TEST(a_supervisor_of_threads_and_processes)
{
	PULSE_OPTS(pulse_child_spec, thread, .id = "thread", .fn = sleeps);
	PULSE_OPTS(pulse_child_spec, process, .id = "process", .fn = sleeps,
		   .kind = PULSE_CHILD_PROCESS, .hang_ms = 100000);
	struct pulse_sup *sup = NULL;

	before();
	KT_EQ(pulse_sup_create(NULL, &sup), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(pulse_sup_start_child(sup, &thread, NULL), 0);
	KT_EQ(pulse_sup_start_child(sup, &process, NULL), 0);
	KT_CHECK(look("a supervisor") > 2);
	KT_EQ(pulse_sup_destroy(sup), 0);
	KT_EQ(look("a supervisor"), 0);
}

static void nothing(void *arg, const struct pulse_shared_run *run)
{
	(void)arg;
	(void)run;
}

KT_TEST(pools_contexts_timers_and_what_processes_share)
{
	static const struct pulse_shared_fn fns[] = { { .id = 1, .fn = nothing } };
	PULSE_OPTS(pulse_shared_pool_opts, so, .functions = fns, .nr_functions = 1);
	PULSE_OPTS(pulse_ctx_opts, ctx_opts, .event_bytes = 4096);
	struct pulse_shared_pool *shared = NULL;
	struct pulse_timer_service *timers = NULL;
	struct pulse_shmbox_tx *tx = NULL;
	struct pulse_shmbox_rx *rx = NULL;
	struct pulse_actors *actors = NULL;
	struct pulse_queue_rx *qrx = NULL;
	struct pulse_queue *q = NULL;
	struct pulse_shmbox *mb = NULL;
	struct pulse_mesh *mesh = NULL;
	struct pulse_pool *pool = NULL;
	struct pulse_ctx *ctx = NULL;

	before();
	KT_EQ(pulse_pool_create(NULL, &pool), 0);
	KT_EQ(pulse_shared_pool_create(&so, &shared), 0);
	KT_EQ(pulse_ctx_create(&ctx_opts, &ctx), 0);
	KT_CHECK(pulse_ctx_events_fd(ctx) >= 0);
	KT_CHECK(pulse_ctx_watch_process(ctx, getpid(), NULL) >= 0);
	KT_EQ(pulse_timer_service_create(NULL, &timers), 0);
	KT_EQ(pulse_queue_create(NULL, &q), 0);
	KT_EQ(pulse_queue_rx_open(q, &qrx), 0);
	KT_CHECK(pulse_queue_fd(q) >= 0);
	KT_EQ(pulse_shmbox_create(NULL, &mb), 0);
	KT_EQ(pulse_shmbox_tx_open(mb, &tx), 0);
	KT_EQ(pulse_shmbox_rx_open(mb, -1, &rx), 0);
	KT_EQ(pulse_actors_create(NULL, &actors), 0);
	KT_EQ(pulse_mesh_create(NULL, &mesh), 0);
	KT_EQ(pulse_mesh_join(mesh, actors, 0), 0);
	KT_EQ(pulse_mesh_start(mesh), 0);
	KT_CHECK(look("all of it") > 5);
	KT_EQ(pulse_mesh_destroy(mesh), 0);
	KT_EQ(pulse_actors_destroy(actors), 0);
	KT_EQ(pulse_shmbox_rx_close(rx), 0);
	KT_EQ(pulse_shmbox_tx_close(tx), 0);
	KT_EQ(pulse_shmbox_destroy(mb), 0);
	KT_EQ(pulse_queue_rx_close(qrx), 0);
	KT_EQ(pulse_queue_destroy(q), 0);
	KT_EQ(pulse_timer_service_destroy(timers), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
	KT_EQ(pulse_shared_pool_destroy(shared), 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()
