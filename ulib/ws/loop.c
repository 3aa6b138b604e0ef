// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * loop.c - one loop of a server: its thread, its listener, the end of a turn.
 */
#include "base/usdt.h"
#include "ws/ws_int.h"

/* What one read may bring: many messages, and still in a core's own cache. */
#define READ_BYTES	(512U << 10)

static void accepted(struct pulse_listener *listener, struct pulse_transport *t,
		     void *arg)
{
	struct pulse_ws_conn *conn;
	int status;

	(void)listener;
	if (pulse__ws_conn_new(arg, t, &conn)) {
		pulse_transport_close(t, false);
		return;
	}
	PULSE__PROBE1(ws_accept, conn);
	if (unlikely(conn->loop->cfg->hook))
		conn->loop->cfg->hook(conn, PULSE_WS_HOOK_ACCEPT, 0, 0,
				      conn->loop->cfg->hook_arg);
	status = pulse__ws_come_in(conn);
	if (likely(!status))
		return;
	if (status > 0)
		pulse__ws_refuse(conn, status);
	else
		pulse__ws_doom(conn, PULSE_WS_END_CUT);
	pulse__ws_mark_dirty(conn);
}

/*
 * Before the loop waits: what handlers sent elsewhere than in their own batch
 * goes out, and who is gone and named by nobody of this loop any more is put.
 */
static void settle(struct pulse__ws_loop *loop)
{
	struct pulse__list *pos;

	while (loop->dirty) {
		struct pulse_ws_conn *conn = loop->dirty;

		loop->dirty = conn->next;
		conn->is_dirty = false;
		pulse__ws_after(conn);
	}
	while ((pos = pulse__list_pop(&loop->buried)))
		pulse_ws_put(container_of(pos, struct pulse_ws_conn, link));
}

static void before_wait(struct pulse_poller *poller,
			struct pulse_poller_hook *hook)
{
	struct pulse__ws_loop *loop = container_of(hook, struct pulse__ws_loop, hook);

	(void)poller;
	loop->hook_due = false;
	settle(loop);
}

static void stop_accepting(struct pulse__ws_loop *loop)
{
	loop->closing = true;
	if (loop->listener)
		pulse_listener_close(loop->listener);
	loop->listener = NULL;
}

static void cut_all(struct pulse__ws_loop *loop)
{
	loop->cut = true;
	while (!pulse__list_empty(&loop->conns)) {
		struct pulse_ws_conn *conn =
			pulse__list_first_entry(&loop->conns,
						struct pulse_ws_conn, link);

		if (pulse__ws_state(conn) < PULSE__WS_ENDING || !conn->shut)
			conn->end = PULSE_WS_END_CUT;
		conn->doomed = true;
		pulse__ws_bury(conn);
	}
	settle(loop);
}

/* Tells pulse_ws_server_start() how it went. */
static void started(struct pulse_ws_server *server, int err)
{
	pthread_mutex_lock(&server->lock);
	server->running++;
	if (err)
		server->start_err = err;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

/* ---- what the server posts ------------------------------------------------ */

static void run_hello(struct pulse_poller *poller, struct pulse_poller_task *task)
{
	struct pulse__ws_loop *loop = container_of(task, struct pulse__ws_loop,
						   hello_task);

	(void)poller;
	started(loop->server, 0);
}

static void run_drain(struct pulse_poller *poller, struct pulse_poller_task *task)
{
	struct pulse__ws_loop *loop = container_of(task, struct pulse__ws_loop,
						   drain_task);
	struct pulse_ws_server *server = loop->server;
	struct pulse_ws_conn *conn;

	(void)poller;
	stop_accepting(loop);
	/* Marks only; nobody is torn down before the turn's end. */
	pulse__list_for_each_entry(conn, &loop->conns, link)
		pulse__ws_conn_drain(conn);
	pthread_mutex_lock(&server->lock);
	server->acks++;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

static void run_cut(struct pulse_poller *poller, struct pulse_poller_task *task)
{
	(void)poller;
	cut_all(container_of(task, struct pulse__ws_loop, cut_task));
}

static void run_end(struct pulse_poller *poller, struct pulse_poller_task *task)
{
	struct pulse__ws_loop *loop = container_of(task, struct pulse__ws_loop,
						   end_task);

	stop_accepting(loop);
	cut_all(loop);
	pulse_poller_stop(poller);
}

void pulse__ws_choose_handler(struct pulse__ws_loop *loop)
{
	loop->on_message = loop->own.pool ? NULL : loop->own.h.on_message;
}

/* ---- life ----------------------------------------------------------------- */

void *pulse__ws_loop_thread(void *arg)
{
	struct pulse__ws_loop *loop = arg;
	int err;

	loop->poller->uncancelled = true;
	pulse_poller_post_task(loop->poller, &loop->hello_task);
	err = pulse_poller_run(loop->poller);
	if (err)	/* it did not even begin */
		started(loop->server, err);
	return NULL;
}

static uint32_t proxy_ms(const struct pulse_ws_opts *opts)
{
	return opts->handshake_timeout_ms < 0 ? INT32_MAX :
	       (uint32_t)(opts->handshake_timeout_ms ?: 10000);
}

int pulse__ws_loop_create(struct pulse_ws_server *server,
			  const struct pulse_ws_opts *opts, const char *address,
			  struct pulse__ws_loop **out)
{
	PULSE_OPTS(pulse_poller_opts, po, .ctx = opts->ctx,
		   .kind = opts->poller, .spin_us = opts->spin_us,
		   .buffer_bytes = READ_BYTES);
	PULSE_OPTS(pulse_listener_opts, lo, .address = address,
		   .backlog = opts->backlog, .keepalive_s = opts->keepalive_s,
		   .reuse_port = opts->threads > 1 ? PULSE_ON : PULSE_OFF,
		   .tls = opts->tls, .proxy_from = opts->proxy_from,
		   .proxy_timeout_ms = proxy_ms(opts));
	struct pulse__ws_loop *loop = pulse__calloc(1, sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	loop->server = server;
	loop->own = server->cfg;
	loop->cfg = &loop->own;
	loop->codec = pulse__ws_codec_get(0);
	pulse__ws_choose_handler(loop);
	loop->refs = 1;
	loop->hook.fn = before_wait;
	loop->hello_task.fn = run_hello;
	loop->drain_task.fn = run_drain;
	loop->cut_task.fn = run_cut;
	loop->end_task.fn = run_end;
	loop->tune_task.fn = pulse__ws_tune;
	loop->spare_timer.fn = pulse__ws_spare_look;
	pulse__list_init(&loop->conns);
	pulse__list_init(&loop->buried);
	err = pulse_poller_create(&po, &loop->poller);
	if (err)
		goto free_loop;
	if (*address)
		err = pulse_listener_open(loop->poller, &lo, accepted, loop,
					  &loop->listener);
	if (err)
		goto destroy_poller;
	__atomic_fetch_add(&server->refs, 1, __ATOMIC_RELAXED);
	*out = loop;
	return 0;
destroy_poller:
	pulse_poller_destroy(loop->poller);
free_loop:
	pulse__free(loop);
	return err;
}

void pulse__ws_loop_end(struct pulse__ws_loop *loop)
{
	stop_accepting(loop);
	cut_all(loop);
	pulse__poller_end_posts(loop->poller);
	settle(loop);
	pulse__ws_loop_put(loop);
}

void pulse__ws_loop_put(struct pulse__ws_loop *loop)
{
	struct pulse_ws_server *server = loop->server;

	/* release: what this holder did; acquire: what the others did */
	if (__atomic_fetch_sub(&loop->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	while (loop->spare) {
		struct pulse__ws_obuf *buf = loop->spare;

		loop->spare = buf->next;
		pulse__free(buf);
	}
	pulse__ws_spare_free(loop);
	pulse__ws_shared_free(&loop->shared);
	pulse_poller_destroy(loop->poller);
	pulse__free(loop);
	pulse__ws_server_put(server);
}
