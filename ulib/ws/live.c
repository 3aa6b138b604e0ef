// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * live.c - limits that are changed, and hooks that are told, while serving.
 *
 * The server's limits are under its lock. Each loop has a copy of its own, which
 * its thread brings up to date in a task that was posted; others read single
 * words of it (READ_ONCE). A task that is posted already will see what was
 * written before its flag was found set.
 *
 * Hooks cost nothing where there are none: with one, functions of ours stand in
 * the place of the program's handlers.
 */
#include "ws/ws_int.h"

#include <pulse-u/ws_live.h>

/* ---- limits --------------------------------------------------------------- */

static uint32_t ticks(int32_t ms)
{
	if (ms < 0)
		return 0;
	return (uint32_t)(((int64_t)ms * PULSE__NSEC_PER_MSEC >>
			   PULSE__WS_TICK_SHIFT) + 1);
}

void pulse__ws_limits_apply(struct pulse__ws_cfg *cfg,
			    const struct pulse_ws_limits *l)
{
	uint32_t life, jitter;

	WRITE_ONCE(cfg->max_message, l->max_message_bytes);
	WRITE_ONCE(cfg->max_head, l->max_head_bytes);
	WRITE_ONCE(cfg->high, l->send_high_bytes);
	WRITE_ONCE(cfg->low, l->send_low_bytes);
	WRITE_ONCE(cfg->handshake_ticks, ticks(l->handshake_timeout_ms));
	WRITE_ONCE(cfg->ping_ticks, ticks(l->ping_interval_ms));
	WRITE_ONCE(cfg->idle_ticks, ticks(l->idle_timeout_ms));
	WRITE_ONCE(cfg->write_ticks, ticks(l->write_timeout_ms));
	WRITE_ONCE(cfg->close_ticks, ticks(l->close_timeout_ms));
	life = ticks(l->max_lifetime_ms);
	jitter = ticks(l->lifetime_jitter_ms);
	WRITE_ONCE(cfg->life_ticks, life);
	WRITE_ONCE(cfg->jitter_ticks, jitter < life / 2 ? jitter : life / 2);
}

int pulse__ws_limits_check(const struct pulse_ws_limits *l)
{
	const char *what = NULL;

	if (l->max_head_bytes < 1024 || l->max_head_bytes > INT32_MAX)
		what = "max_head_bytes is to be 1024 to 2147483647";
	else if (l->max_message_bytes > INT64_MAX)
		what = "max_message_bytes is to be less than 2^63";
	else if (l->send_low_bytes >= l->send_high_bytes)
		what = "send_low_bytes is to be less than send_high_bytes";
	else if (l->reserved || l->reserved2)
		what = "a reserved field is not 0";
	if (!what)
		return 0;
	pulse_log(PULSE_LOG_WARN,
		  "ws: limits refused: %s (head %u, message %llu, high %u, low %u)",
		  what, l->max_head_bytes,
		  (unsigned long long)l->max_message_bytes, l->send_high_bytes,
		  l->send_low_bytes);
	return -EINVAL;
}

void pulse__ws_tune(struct pulse_poller *poller, struct pulse_poller_task *task)
{
	struct pulse__ws_loop *loop = container_of(task, struct pulse__ws_loop,
						   tune_task);
	struct pulse_ws_server *server = loop->server;
	struct pulse_ws_conn *conn;

	(void)poller;
	/* pairs with post_tune(): what is set after this posts again */
	__atomic_store_n(&loop->tune_posted, 0, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&server->lock);
	pulse__ws_limits_apply(&loop->own, &server->limits);
	pthread_mutex_unlock(&server->lock);
	pulse__list_for_each_entry(conn, &loop->conns, link)
		pulse__ws_arm(conn);
}

static void post_tune(struct pulse__ws_loop *loop)
{
	/* pairs with pulse__ws_tune() */
	if (!__atomic_exchange_n(&loop->tune_posted, 1, __ATOMIC_SEQ_CST))
		(void)pulse_poller_post_task(loop->poller, &loop->tune_task);
}

int pulse_ws_server_limits(struct pulse_ws_server *server,
			   struct pulse_ws_limits *out)
{
	int err;

	if (!server)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(*out), reserved2));
	if (err)
		return err;
	pthread_mutex_lock(&server->lock);
	pulse__out_store(out, &server->limits, sizeof(server->limits));
	pthread_mutex_unlock(&server->lock);
	return 0;
}

#define TAKE(field)	(n.field = l.field ? l.field : n.field)

int pulse_ws_server_set_limits(struct pulse_ws_server *server,
			       const struct pulse_ws_limits *limits)
{
	struct pulse_ws_limits l, n;
	int err;

	if (!server || !limits)
		return -EINVAL;
	if (pulse__forked(server->fork_gen))
		return -EOWNERDEAD;
	err = pulse__opts_load(&l, sizeof(l),
			       pulse__size_to(typeof(l), reserved2), limits);
	if (err)
		return err;
	pthread_mutex_lock(&server->lock);
	n = server->limits;
	TAKE(max_message_bytes);
	TAKE(max_head_bytes);
	TAKE(send_high_bytes);
	TAKE(send_low_bytes);
	TAKE(handshake_timeout_ms);
	TAKE(ping_interval_ms);
	TAKE(idle_timeout_ms);
	TAKE(write_timeout_ms);
	TAKE(close_timeout_ms);
	TAKE(reserved);
	TAKE(reserved2);
	TAKE(max_lifetime_ms);
	TAKE(lifetime_jitter_ms);
	err = pulse__ws_limits_check(&n);
	if (!err) {
		server->limits = n;
		for (uint32_t i = 0; i < server->nr_loops; i++)
			post_tune(server->loops[i]);
	}
	pthread_mutex_unlock(&server->lock);
	return err;
}

/* ---- a connection's own --------------------------------------------------- */

struct marks {
	struct pulse__ws_item item;
	uint64_t marks;
};

static int set_marks(struct pulse_ws_conn *conn, uint64_t marks)
{
	struct pulse__ws_more *more = pulse__ws_more(conn);

	if (!more)
		return -ENOMEM;
	WRITE_ONCE(more->marks, marks);
	pulse__ws_marks_changed(conn);
	return 0;
}

static void run_marks(struct pulse__ws_item *item, bool drop)
{
	struct marks *m = container_of(item, struct marks, item);

	if (!drop && pulse__ws_state(item->conn) == PULSE__WS_OPEN &&
	    set_marks(item->conn, m->marks))
		pulse_log(PULSE_LOG_WARN,
			  "ws: no memory for a connection's own marks");
	pulse__free(m);
}

int pulse_ws_conn_set_marks(struct pulse_ws_conn *conn, uint32_t high,
			    uint32_t low)
{
	struct marks *m;
	uint64_t marks;
	uint8_t state;

	if (!conn || (low >= high && (low || high)))
		return -EINVAL;
	marks = (uint64_t)high << 32 | (low ? low : high / 4);
	state = pulse__ws_state(conn);
	if (state != PULSE__WS_OPEN)
		return state == PULSE__WS_GONE ? -ESRCH : -EPIPE;
	if (pulse__ws_mine(conn))
		return set_marks(conn, marks);
	m = pulse__malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	*m = (struct marks){ .item = { .run = run_marks, .cost = sizeof(*m) },
			     .marks = marks };
	return pulse__ws_inbox_put(conn, &m->item);
}

/* ---- hooks ---------------------------------------------------------------- */

static void hooked_open(struct pulse_ws_conn *conn, void *arg)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;

	cfg->hook(conn, PULSE_WS_HOOK_OPEN, 0, 0, cfg->hook_arg);
	if (cfg->program.on_open)
		cfg->program.on_open(conn, arg);
}

static void hooked_message(struct pulse_ws_conn *conn, int opcode,
			   const void *data, size_t len, void *arg)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;

	cfg->hook(conn, PULSE_WS_HOOK_MESSAGE, opcode, len, cfg->hook_arg);
	cfg->program.on_message(conn, opcode, data, len, arg);
	cfg->hook(conn, PULSE_WS_HOOK_HANDLED, opcode, len, cfg->hook_arg);
}

static void hooked_close(struct pulse_ws_conn *conn, int code,
			 const char *reason, size_t len, void *arg)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;

	if (cfg->program.on_close)
		cfg->program.on_close(conn, code, reason, len, arg);
	cfg->hook(conn, PULSE_WS_HOOK_CLOSE, 0, (uint64_t)code, cfg->hook_arg);
}

static void set_hook(struct pulse__ws_cfg *cfg, pulse_ws_hook_fn fn, void *arg)
{
	if (!cfg->hook)
		cfg->program = cfg->h;
	cfg->h = cfg->program;
	cfg->hook = fn;
	cfg->hook_arg = arg;
	if (!fn)
		return;
	cfg->h.on_open = hooked_open;
	cfg->h.on_close = hooked_close;
	if (cfg->program.on_message)
		cfg->h.on_message = hooked_message;
}

int pulse_ws_server_set_hook(struct pulse_ws_server *server,
			     pulse_ws_hook_fn fn, void *arg)
{
	int err = 0;

	if (!server)
		return -EINVAL;
	pthread_mutex_lock(&server->lock);
	if (server->started || server->drained) {
		err = -EBUSY;
	} else {
		set_hook(&server->cfg, fn, arg);
		for (uint32_t i = 0; i < server->nr_loops; i++) {
			set_hook(&server->loops[i]->own, fn, arg);
			pulse__ws_choose_handler(server->loops[i]);
		}
	}
	pthread_mutex_unlock(&server->lock);
	return err;
}

const char *pulse_ws_conn_trace(const struct pulse_ws_conn *conn,
				const char **tracestate)
{
	/* pairs with pulse__ws_more() */
	const struct pulse__ws_more *more =
		conn ? pulse__load_acquire(&conn->more) : NULL;
	const char *parent = more ? more->trace : NULL;

	if (tracestate)
		*tracestate = parent ? parent + strlen(parent) + 1 : "";
	return parent;
}
