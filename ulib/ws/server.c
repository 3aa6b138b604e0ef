// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * server.c - a server: its options, its threads, drain, figures.
 */
#include "ws/ws_int.h"

#include "base/thread.h"
#include "io/nets.h"
#include "io/stream.h"
#include "io/tls.h"

#include <time.h>

#define SERVER_MAGIC	0x57535256U	/* "WSRV" */

/* ---- options -------------------------------------------------------------- */

static void free_list(char **list)
{
	for (char **s = list; s && *s; s++)
		pulse__free(*s);
	pulse__free(list);
}

static int copy_list(const char *const *from, char ***to)
{
	size_t n = 0;

	*to = NULL;
	if (!from)
		return 0;
	while (from[n])
		if (++n > UINT16_MAX - 1)
			return -EINVAL;
	*to = pulse__calloc(n + 1, sizeof(**to));
	if (!*to)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		(*to)[i] = pulse__strdup(from[i]);
		if (!(*to)[i])
			return -ENOMEM;
	}
	return 0;
}

/* They are printed into heads and compared: tokens of a sane length. */
static bool names_ok(const char *const *names)
{
	for (; names && *names; names++) {
		size_t len = strlen(*names);

		if (!len || len > 200 || strcspn(*names, " \t,;\"\r\n") != len)
			return false;
	}
	return true;
}

static int set_deflate(struct pulse__ws_deflate_cfg *cfg,
		       const struct pulse_ws_deflate_opts *opts)
{
	struct pulse_ws_deflate_opts o;
	int err;

	if (!opts)
		return 0;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), reserved), opts);
	if (err)
		return err;
	if (!o.level)
		o.level = 6;
	if (!o.server_window_bits)
		o.server_window_bits = PULSE__WS_BITS_MAX;
	if (!o.client_window_bits)
		o.client_window_bits = PULSE__WS_BITS_MAX;
	if (!o.min_bytes)
		o.min_bytes = 64;
	if (o.level > 9 || o.reserved ||
	    o.flags & ~(PULSE_WS_SERVER_FORGETS | PULSE_WS_CLIENT_FORGETS) ||
	    o.server_window_bits < PULSE__WS_BITS_MIN ||
	    o.server_window_bits > PULSE__WS_BITS_MAX ||
	    o.client_window_bits < 8 ||
	    o.client_window_bits > PULSE__WS_BITS_MAX)
		return -EINVAL;
	*cfg = (struct pulse__ws_deflate_cfg){
		.on = true,
		.level = (uint8_t)o.level,
		.tx = { (uint8_t)o.server_window_bits,
			o.flags & PULSE_WS_SERVER_FORGETS },
		.rx = { (uint8_t)o.client_window_bits,
			o.flags & PULSE_WS_CLIENT_FORGETS },
		.min_bytes = o.min_bytes,
	};
	return 0;
}

static int load_opts(struct pulse_ws_opts *o, struct pulse_ws_handlers *h,
		     const struct pulse_ws_opts *opts)
{
	int err = pulse__opts_load(o, sizeof(*o),
				   pulse__size_to(typeof(*o), reserved), opts);

	if (!err)
		err = pulse__opts_load(h, sizeof(*h),
				       pulse__size_to(typeof(*h), on_http),
				       o->handlers);
	if (err)
		return err;
	if (!o->listen)
		o->listen = "127.0.0.1:0";
	if (!o->threads)
		o->threads = 1;
	if (!o->max_message_bytes)
		o->max_message_bytes = 16 << 20;
	if (!o->max_head_bytes)
		o->max_head_bytes = 512 << 10;
	if (!o->send_high_bytes)
		o->send_high_bytes = 1 << 20;
	if (!o->max_topics)
		o->max_topics = 1 << 16;
	if (!o->max_subscriptions)
		o->max_subscriptions = 1024;
	if (!o->drain_code)
		o->drain_code = PULSE_WS_GOING_AWAY;
	if (!o->send_low_bytes)
		o->send_low_bytes = o->send_high_bytes / 4;
	if (o->threads > 256 || o->reserved || o->max_head_bytes < 1024 ||
	    (h->on_chunk && h->on_message) ||
	    o->max_head_bytes > INT32_MAX || o->backlog > INT32_MAX ||
	    o->max_message_bytes > INT64_MAX || o->slow < PULSE_WS_SLOW_DROP ||
	    o->slow > PULSE_WS_SLOW_DROP_OLDEST || o->reserved2 ||
	    o->any_method < PULSE_OFF || o->any_method > PULSE_ON ||
	    o->max_body_bytes > INT32_MAX ||
	    !pulse__ws_code_valid(o->drain_code) || o->reserved4 ||
	    o->forwarded_by < PULSE_WS_FORWARDED_X ||
	    o->forwarded_by > PULSE_WS_FORWARDED_RFC7239 ||
	    o->send_low_bytes >= o->send_high_bytes || !names_ok(o->subprotocols))
		return -EINVAL;
	return 0;
}

static int set_forwarded(struct pulse__ws_cfg *cfg, const char *from)
{
	int err = from ? pulse__nets_parse(from, &cfg->forwarded_from) : 0;

	if (err)
		pulse_log(PULSE_LOG_WARN, "ws: forwarded_from: %s",
			  pulse_strerror(err));
	return err;
}

static int set_cfg(struct pulse_ws_server *server, const struct pulse_ws_opts *o,
		   const struct pulse_ws_handlers *h)
{
	struct pulse__ws_cfg *cfg = &server->cfg;

	cfg->h = *h;
	cfg->arg = o->arg;
	cfg->pool = o->pool;
	cfg->tls = o->tls ? pulse__tls_get(o->tls) : NULL;
	cfg->max_topics = o->max_topics;
	cfg->max_subscriptions = o->max_subscriptions;
	cfg->slow = o->slow;
	server->limits = (struct pulse_ws_limits){
		.sz = sizeof(server->limits),
		.max_message_bytes = o->max_message_bytes,
		.max_head_bytes = o->max_head_bytes,
		.send_high_bytes = o->send_high_bytes,
		.send_low_bytes = o->send_low_bytes,
		.handshake_timeout_ms = o->handshake_timeout_ms ?: 10000,
		.ping_interval_ms = o->ping_interval_ms ?: 30000,
		.idle_timeout_ms = o->idle_timeout_ms ?: 90000,
		.write_timeout_ms = o->write_timeout_ms ?: 30000,
		.close_timeout_ms = o->close_timeout_ms ?: 5000,
		.max_lifetime_ms = o->max_lifetime_ms ?: -1,
		.lifetime_jitter_ms = o->lifetime_jitter_ms ?: -1,
	};
	pulse__ws_limits_apply(cfg, &server->limits);
	cfg->max_connections = o->max_connections;
	cfg->max_per_address = o->max_per_address;
	cfg->max_fragments = o->max_fragments;
	cfg->max_body = o->max_body_bytes;
	cfg->any_method = o->any_method == PULSE_ON;
	cfg->drain_code = (uint16_t)o->drain_code;
	cfg->forwarded_by = o->forwarded_by;
	return set_forwarded(cfg, o->forwarded_from) ?:
	       set_deflate(&cfg->deflate, o->deflate) ?:
	       copy_list(o->subprotocols, &cfg->subprotocols) ?:
	       copy_list(o->origins, &cfg->origins);
}

/* ---- life ----------------------------------------------------------------- */

void pulse__ws_server_put(struct pulse_ws_server *server)
{
	/* release: what this holder did; acquire: what the others did */
	if (__atomic_fetch_sub(&server->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	free_list(server->cfg.subprotocols);
	free_list(server->cfg.origins);
	pulse__free(server->cfg.forwarded_from);
	if (server->cfg.tls)
		pulse__tls_put(server->cfg.tls);
	pulse__ws_hub_free(&server->hub);
	pthread_mutex_destroy(&server->guests.lock);
	pthread_cond_destroy(&server->changed);
	pthread_mutex_destroy(&server->lock);
	pulse__free(server->loops);
	pulse__free(server);
}

static int init_locks(struct pulse_ws_server *server)
{
	pthread_condattr_t attr;
	int err;

	err = pthread_mutex_init(&server->lock, NULL);
	if (err)
		return -err;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	err = pthread_cond_init(&server->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (!err) {
		err = pthread_mutex_init(&server->hub.lock, NULL);
		if (err)
			pthread_cond_destroy(&server->changed);
	}
	if (!err) {
		err = pthread_mutex_init(&server->guests.lock, NULL);
		if (err) {
			pthread_mutex_destroy(&server->hub.lock);
			pthread_cond_destroy(&server->changed);
		}
	}
	if (err)
		pthread_mutex_destroy(&server->lock);
	return -err;
}

static int make_loops(struct pulse_ws_server *server,
		      const struct pulse_ws_opts *o)
{
	const char *address = o->listen, *rest;
	bool passed;
	int err;

	server->loops = pulse__calloc(o->threads, sizeof(*server->loops));
	if (!server->loops)
		return -ENOMEM;
	pulse__carrier_of(address, &rest);
	passed = pulse__passed_name(rest);
	if (o->threads > 1 && *address) {
		err = pulse__listener_port_free(address);
		if (err)
			return err;
	}
	for (uint32_t i = 0; i < o->threads; i++) {
		err = pulse__ws_loop_create(server, o, address,
					    &server->loops[i]);
		if (err)
			return err;
		server->loops[i]->index = i;
		server->nr_loops++;
		if (!i && *address)
			pulse_listener_address(server->loops[0]->listener,
					       server->address,
					       sizeof(server->address));
		if (!passed)		/* the port that was chosen */
			address = server->address;
	}
	return 0;
}

int pulse_ws_server_create(const struct pulse_ws_opts *opts,
			   struct pulse_ws_server **out)
{
	struct pulse_ws_handlers h;
	struct pulse_ws_opts o;
	struct pulse_ws_server *server;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = load_opts(&o, &h, opts);
	if (err)
		return err;
	server = pulse__calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	err = init_locks(server);
	if (err) {
		pulse__free(server);
		return err;
	}
	server->refs = 1;
	server->magic = SERVER_MAGIC;
	server->fork_gen = pulse__fork_generation();
	err = set_cfg(server, &o, &h);
	if (!err)
		err = make_loops(server, &o);
	if (err) {
		pulse_ws_server_destroy(server);
		return err;
	}
	*out = server;
	return 0;
}

static bool called_by_handler(const struct pulse_ws_server *server)
{
	for (uint32_t i = 0; i < server->nr_loops; i++)
		if (pulse__poller_current == server->loops[i]->poller)
			return true;
	return false;
}

/* Ends the first @n loops' threads and waits for them. */
static void join_threads(struct pulse_ws_server *server, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		pulse_poller_post_task(server->loops[i]->poller,
				       &server->loops[i]->end_task);
	for (uint32_t i = 0; i < n; i++)
		pthread_join(server->loops[i]->thread, NULL);
}

/* Under the lock. */
static int start_threads(struct pulse_ws_server *server)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < server->nr_loops && !err; i++)
		err = pulse__thread_create(&server->loops[i]->thread,
					   pulse__ws_loop_thread,
					   server->loops[i]);
	if (err)
		i--;
	while (server->running < i)
		pthread_cond_wait(&server->changed, &server->lock);
	err = err ? err : server->start_err;
	if (!err)
		return 0;
	pthread_mutex_unlock(&server->lock);
	join_threads(server, i);
	pthread_mutex_lock(&server->lock);
	return err;
}

int pulse_ws_server_start(struct pulse_ws_server *server)
{
	int err = -EALREADY;

	if (!server)
		return -EINVAL;
	if (pulse__forked(server->fork_gen))
		return -EOWNERDEAD;
	pthread_mutex_lock(&server->lock);
	if (server->drained) {
		err = -ESHUTDOWN;
	} else if (!server->started) {
		err = start_threads(server);
		server->started = !err;
		server->drained = err;	/* its listeners are closed */
	}
	pthread_mutex_unlock(&server->lock);
	return err;
}

/* ---- drain ---------------------------------------------------------------- */

void pulse__ws_tell(struct pulse_ws_server *server)
{
	/* pairs with wait_for(): the count was lowered before, by a seq_cst RMW */
	if (likely(!__atomic_load_n(&server->waiting, __ATOMIC_SEQ_CST)))
		return;
	pthread_mutex_lock(&server->lock);
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

/* Under the lock: waits until a count is 0 and all loops have heard; false: late. */
static bool wait_for(struct pulse_ws_server *server, const uint64_t *count,
		     unsigned int acks, int64_t deadline_ns)
{
	struct timespec ts;

	pulse__ns_to_timespec(deadline_ns, &ts);
	/* pairs with pulse__ws_tell(): said before the count is read */
	__atomic_store_n(&server->waiting, true, __ATOMIC_SEQ_CST);
	while (server->acks < acks ||
	       __atomic_load_n(count, __ATOMIC_SEQ_CST)) {
		if (deadline_ns == PULSE_FOREVER)
			pthread_cond_wait(&server->changed, &server->lock);
		else if (pthread_cond_timedwait(&server->changed,
						&server->lock, &ts))
			return false;
	}
	return true;
}

static void post_all(struct pulse_ws_server *server, bool cut)
{
	for (uint32_t i = 0; i < server->nr_loops; i++) {
		struct pulse__ws_loop *loop = server->loops[i];

		pulse_poller_post_task(loop->poller, cut ? &loop->cut_task :
				       &loop->drain_task);
	}
}

int pulse_ws_server_drain(struct pulse_ws_server *server, int64_t deadline_ns)
{
	int err = 0;

	if (!server)
		return -EINVAL;
	if (pulse__forked(server->fork_gen))
		return -EOWNERDEAD;
	if (called_by_handler(server))
		return -EDEADLK;
	pthread_mutex_lock(&server->lock);
	if (!server->started) {
		server->drained = true;
		goto unlock;
	}
	if (!server->drained)
		post_all(server, false);
	server->drained = true;
	if (!wait_for(server, &server->live, server->nr_loops, deadline_ns)) {
		err = -ETIMEDOUT;
		wait_for(server, &(const uint64_t){ 0 }, server->nr_loops,
			 PULSE_FOREVER);
		if (!server->cut)
			post_all(server, true);
		server->cut = true;
		wait_for(server, &server->live, server->nr_loops,
			 PULSE_FOREVER);
	}
	/* on_close of the last ones, on the pool; nobody can cut a handler. */
	if (!wait_for(server, &server->strands, 0, deadline_ns))
		err = -ETIMEDOUT;
unlock:
	pthread_mutex_unlock(&server->lock);
	return err;
}

int pulse_ws_server_destroy(struct pulse_ws_server *server)
{
	bool forked;

	if (!server)
		return -EINVAL;
	pulse__obj_check(server, SERVER_MAGIC, "pulse_ws_server_destroy");
	if (called_by_handler(server))
		return -EDEADLK;
	/* A forked child has no threads to wait for; the rest is the parent's. */
	forked = pulse__forked(server->fork_gen);
	if (server->started && !forked) {
		join_threads(server, server->nr_loops);
		pthread_mutex_lock(&server->lock);
		wait_for(server, &server->strands, 0, PULSE_FOREVER);
		pthread_mutex_unlock(&server->lock);
	}
	if (!forked)
		for (uint32_t i = 0; i < server->nr_loops; i++)
			pulse__ws_loop_end(server->loops[i]);
	server->magic = PULSE__MAGIC_DEAD;
	pulse__ws_server_put(server);
	return 0;
}

/* ---- what it tells -------------------------------------------------------- */

int pulse_ws_server_address(struct pulse_ws_server *server, char *buf,
			    size_t len)
{
	if (!server || !buf || !len)
		return -EINVAL;
	if (strlen(server->address) >= len)
		return -ENOSPC;
	strcpy(buf, server->address);
	return 0;
}

int pulse_ws_server_stats(const struct pulse_ws_server *server,
			  struct pulse_ws_stats *out)
{
	struct pulse_ws_stats s = { 0 };
	int err;

	if (!server || !out)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(*out), ended));
	if (err)
		return err;
	s.connections = READ_ONCE(server->live);
	for (uint32_t i = 0; i < server->nr_loops; i++) {
		const struct pulse__ws_figures *n = &server->loops[i]->n;

		s.accepted += READ_ONCE(n->accepted);
		s.opened += READ_ONCE(n->opened);
		s.messages_in += READ_ONCE(n->messages_in);
		s.messages_out += READ_ONCE(n->messages_out);
		s.bytes_in += READ_ONCE(n->bytes_in);
		s.bytes_out += READ_ONCE(n->bytes_out);
		s.reads += READ_ONCE(n->reads);
		s.sends += READ_ONCE(n->sends);
		for (int k = 0; k < PULSE_WS_END_COUNT; k++)
			s.ended[k] += READ_ONCE(n->ended[k]);
		s.inflated += READ_ONCE(n->inflated);
		s.inflated_from += READ_ONCE(n->inflated_from);
		s.deflated += READ_ONCE(n->deflated);
		s.deflated_to += READ_ONCE(n->deflated_to);
		s.published += READ_ONCE(n->published);
		s.delivered += READ_ONCE(n->delivered);
		s.dropped += READ_ONCE(n->dropped);
		s.aged += READ_ONCE(n->aged);
	}
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}
