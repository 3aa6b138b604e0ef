// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * link.c - a client's connection that is made again whenever it ends.
 *
 * References on a link: the program's until it closes it, one of the connection
 * or the attempt under way, one of the timer while it waits. Its lock guards
 * what the program may look at; the timer is its loop's thread's.
 */
#include "ws/ws_int.h"

#include <pulse-u/ws_link.h>
#include <signal.h>
#include <sys/random.h>

struct pulse_ws_link {
	struct pulse_ws_link_opts o;
	struct pulse_ws_connect_opts to;	/* strings are the link's */
	char **fields;
	struct pulse__ws_loop *loop;		/* a reference */
	uint32_t refs;				/* any thread */
	struct pulse_poller_timer timer;
	struct pulse_poller_task again, cancel;
	int64_t up_ns;				/* since when it is open */
	uint32_t wait_ms;			/* the longest the next may be */

	pthread_mutex_t lock;			/* the words below */
	struct pulse_ws_conn *conn;		/* open; a reference */
	bool closed;
	uint32_t failures;
	uint64_t attempts, opened;
};

/* ---- life --------------------------------------------------------------------- */

static void put(struct pulse_ws_link *link)
{
	struct pulse__ws_loop *loop = link->loop;

	/* release: what this holder did; acquire: what the others did */
	if (__atomic_fetch_sub(&link->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	pthread_mutex_destroy(&link->lock);
	for (char **f = link->fields; f && *f; f++)
		pulse__free(*f);
	pulse__free(link->fields);
	pulse__free((char *)(uintptr_t)link->to.url);
	pulse__free((char *)(uintptr_t)link->to.origin);
	pulse__free(link);
	pulse__ws_loop_put(loop);
}

static void get(struct pulse_ws_link *link)
{
	__atomic_fetch_add(&link->refs, 1, __ATOMIC_RELAXED);
}

/*
 * To the link's loop, with a reference of the caller's. The task may be over, and
 * its reference and the loop be gone, before the post has woken that loop: so it
 * has one of its own.
 */
static int post(struct pulse_ws_link *link, struct pulse_poller_task *task)
{
	int err;

	get(link);
	err = pulse_poller_post_task(link->loop->poller, task);
	put(link);
	return err;
}

static bool is_closed(struct pulse_ws_link *link)
{
	bool closed;

	pthread_mutex_lock(&link->lock);
	closed = link->closed;
	pthread_mutex_unlock(&link->lock);
	return closed;
}

/* ---- attempts ------------------------------------------------------------------- */

/* Half of it, and a part of the other half that nobody can foresee. */
static uint32_t with_jitter(uint32_t ms)
{
	uint32_t r = 0;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		r = (uint32_t)pulse_now_ns();
	return ms - (uint32_t)((uint64_t)(ms / 2) * r >> 32);
}

/* An attempt is over, or a connection: what now? Puts its reference. */
static void over(struct pulse_ws_link *link, int err)
{
	bool closed, give_up;
	int32_t wait = -1;

	pthread_mutex_lock(&link->lock);
	closed = link->closed;
	if (err)
		link->failures++;
	give_up = closed || link->loop->closing || err == -ESHUTDOWN ||
		  (link->o.max_failures &&
		   link->failures >= link->o.max_failures);
	if (!err && pulse_now_ns() - link->up_ns >
	    (int64_t)link->wait_ms * PULSE__NSEC_PER_MSEC)
		link->wait_ms = link->o.wait_min_ms;
	pthread_mutex_unlock(&link->lock);
	if (!give_up) {
		wait = (int32_t)with_jitter(link->wait_ms);
		link->wait_ms = link->wait_ms > link->o.wait_max_ms / 2 ?
				link->o.wait_max_ms : 2 * link->wait_ms;
	}
	if (link->o.on_down && !closed)
		link->o.on_down(link, err, wait, link->o.arg);
	/* The timer's reference is the one the attempt had. */
	if (give_up || is_closed(link))
		put(link);
	else
		pulse_poller_timer_arm(link->loop->poller, &link->timer,
				       pulse_now_ns() +
				       wait * PULSE__NSEC_PER_MSEC);
}

/* On the link's loop: the attempt on another thread did not even begin. */
static void run_again(struct pulse_poller *poller, struct pulse_poller_task *task)
{
	struct pulse_ws_link *link = container_of(task, struct pulse_ws_link,
						  again);

	(void)poller;
	over(link, -ENXIO);
}

static void *look_up(void *arg)
{
	struct pulse_ws_conn *conn = arg;
	struct pulse_ws_link *link = conn->more->link;

	if (!pulse__ws_dial_go(conn)) {
		pulse_ws_put(conn);
		return NULL;
	}
	pulse__ws_dial_drop(conn);
	link->again.fn = run_again;
	if (post(link, &link->again))
		put(link);
	return NULL;
}

/* Signals are for the program's own threads. */
static int start_look_up(struct pulse_ws_conn *conn)
{
	sigset_t all, old;
	pthread_t t;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	err = pthread_create(&t, NULL, look_up, conn);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		pthread_detach(t);
	return -err;
}

/* The caller's reference goes with it if it begins. */
static int attempt(struct pulse_ws_link *link)
{
	struct pulse_ws_connect_opts to = link->to;
	struct pulse_ws_conn *conn;
	int err;

	to.deadline_ns = pulse_now_ns() +
			 link->o.attempt_ms * PULSE__NSEC_PER_MSEC;
	pthread_mutex_lock(&link->lock);
	link->attempts++;
	pthread_mutex_unlock(&link->lock);
	err = pulse__ws_dial_new(link->loop, &to, &conn);
	if (err)
		return err;
	err = -ENOMEM;
	if (!pulse__ws_more(conn))
		goto drop;
	conn->more->link = link;
	if (pulse__ws_dial_is_numeric(conn)) {
		err = pulse__ws_dial_go(conn);
		if (!err)
			pulse_ws_put(conn);
	} else {
		err = start_look_up(conn);
	}
	if (!err)
		return 0;
drop:
	pulse__ws_dial_drop(conn);
	return err;
}

static void timer_fired(struct pulse_poller *poller,
			struct pulse_poller_timer *timer)
{
	struct pulse_ws_link *link = container_of(timer, struct pulse_ws_link,
						  timer);
	int err;

	(void)poller;
	if (is_closed(link)) {
		put(link);
		return;
	}
	err = attempt(link);
	if (err)
		over(link, err);
}

/* ---- what its connection tells ---------------------------------------------------- */

void pulse__ws_link_up(struct pulse_ws_conn *conn)
{
	struct pulse_ws_link *link = conn->more->link;
	bool closed;

	pthread_mutex_lock(&link->lock);
	closed = link->closed;
	if (!closed)
		link->conn = pulse_ws_get(conn);
	link->opened++;
	link->failures = 0;
	pthread_mutex_unlock(&link->lock);
	link->up_ns = pulse_now_ns();
	if (closed)
		pulse_ws_close(conn, PULSE_WS_NORMAL, NULL, 0);
	else if (link->o.on_up)
		link->o.on_up(link, conn, link->o.arg);
}

static void run_over(struct pulse_poller *poller, struct pulse_poller_task *task)
{
	(void)poller;
	over(container_of(task, struct pulse_ws_link, again), 0);
}

void pulse__ws_link_down(struct pulse_ws_conn *conn)
{
	struct pulse_ws_link *link = conn->more->link;
	struct pulse_ws_conn *had;

	conn->more->link = NULL;
	pthread_mutex_lock(&link->lock);
	had = link->conn;
	link->conn = NULL;
	pthread_mutex_unlock(&link->lock);
	pulse_ws_put(had);
	if (conn->more->dial_err || conn->loop == link->loop) {
		over(link, conn->more->dial_err);
		return;
	}
	/* It has moved; the timer has not. */
	link->again.fn = run_over;
	if (post(link, &link->again))
		put(link);
}

/* ---- what programs ask for ----------------------------------------------------------- */

static int copy(struct pulse_ws_link *link, const struct pulse_ws_connect_opts *to)
{
	size_t n = 0;

	while (to->fields && to->fields[n])
		n++;
	link->to = *to;
	link->to.fields = NULL;
	link->to.url = pulse__strdup(to->url);
	link->to.origin = to->origin ? pulse__strdup(to->origin) : NULL;
	link->fields = pulse__calloc(n + 1, sizeof(*link->fields));
	if (!link->to.url || (to->origin && !link->to.origin) || !link->fields)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		link->fields[i] = pulse__strdup(to->fields[i]);
		if (!link->fields[i])
			return -ENOMEM;
	}
	link->to.fields = (const char *const *)link->fields;
	return 0;
}

static int load_opts(struct pulse_ws_link_opts *o,
		     struct pulse_ws_connect_opts *to,
		     const struct pulse_ws_link_opts *opts)
{
	int err = pulse__opts_load(o, sizeof(*o),
				   pulse__size_to(typeof(*o), max_failures),
				   opts);

	if (!err)
		err = pulse__opts_load(to, sizeof(*to),
				       pulse__size_to(typeof(*to), user),
				       o->connect);
	if (err)
		return err;
	if (!o->wait_min_ms)
		o->wait_min_ms = 250;
	if (!o->wait_max_ms)
		o->wait_max_ms = 30000;
	if (!o->attempt_ms)
		o->attempt_ms = 10000;
	return to->url && o->wait_min_ms <= o->wait_max_ms &&
	       o->wait_max_ms <= INT32_MAX && o->attempt_ms <= INT32_MAX ?
	       0 : -EINVAL;
}

static void run_cancel(struct pulse_poller *poller,
		       struct pulse_poller_task *task)
{
	struct pulse_ws_link *link = container_of(task, struct pulse_ws_link,
						  cancel);

	if (pulse_poller_timer_cancel(poller, &link->timer) == 1)
		put(link);		/* the timer's */
	put(link);
}

int pulse_ws_link_open(struct pulse_ws_server *server,
		       const struct pulse_ws_link_opts *opts,
		       struct pulse_ws_link **out)
{
	struct pulse_ws_connect_opts to;
	struct pulse_ws_link_opts o;
	struct pulse_ws_link *link;
	uint32_t n;
	int err;

	if (!server || !out)
		return -EINVAL;
	*out = NULL;
	err = load_opts(&o, &to, opts);
	if (err)
		return err;
	if (pulse__forked(server->fork_gen))
		return -EOWNERDEAD;
	link = pulse__calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	n = __atomic_fetch_add(&server->next_loop, 1, __ATOMIC_RELAXED);
	link->loop = server->loops[n % server->nr_loops];
	__atomic_fetch_add(&link->loop->refs, 1, __ATOMIC_RELAXED);
	link->o = o;
	link->wait_ms = o.wait_min_ms;
	link->timer.fn = timer_fired;
	link->cancel.fn = run_cancel;
	link->refs = 1;
	pthread_mutex_init(&link->lock, NULL);
	err = copy(link, &to);
	if (!err) {
		*out = link;	/* its functions may run before this returns */
		get(link);
		err = attempt(link);
		if (err)
			put(link);
	}
	if (err) {
		*out = NULL;
		put(link);
	}
	return err;
}

int pulse_ws_link_close(struct pulse_ws_link *link)
{
	struct pulse_ws_conn *conn;

	if (!link)
		return -EINVAL;
	pthread_mutex_lock(&link->lock);
	link->closed = true;
	conn = link->conn;
	link->conn = NULL;
	pthread_mutex_unlock(&link->lock);
	if (conn)
		pulse_ws_close(conn, PULSE_WS_NORMAL, NULL, 0);
	pulse_ws_put(conn);
	/* Its last use here: the program's reference is the task's. */
	if (post(link, &link->cancel)) {
		/* Nobody runs that loop any more. */
		if (pulse_poller_timer_cancel(link->loop->poller,
					      &link->timer) == 1)
			put(link);
		put(link);
	}
	return 0;
}

struct pulse_ws_conn *pulse_ws_link_conn(struct pulse_ws_link *link)
{
	struct pulse_ws_conn *conn;

	if (!link)
		return NULL;
	pthread_mutex_lock(&link->lock);
	conn = pulse_ws_get(link->conn);
	pthread_mutex_unlock(&link->lock);
	return conn;
}

int pulse_ws_link_send(struct pulse_ws_link *link, int opcode, const void *data,
		       size_t len)
{
	struct pulse_ws_conn *conn;
	int err;

	if (!link)
		return -EINVAL;
	conn = pulse_ws_link_conn(link);
	if (!conn)
		return -ENOTCONN;
	err = pulse_ws_send(conn, opcode, data, len);
	pulse_ws_put(conn);
	return err;
}

int pulse_ws_link_stats(struct pulse_ws_link *link,
			struct pulse_ws_link_stats *out)
{
	struct pulse_ws_link_stats s = { 0 };
	int err;

	if (!link || !out)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(*out), up));
	if (err)
		return err;
	pthread_mutex_lock(&link->lock);
	s.attempts = link->attempts;
	s.opened = link->opened;
	s.failures = link->failures;
	s.up = link->conn != NULL;
	pthread_mutex_unlock(&link->lock);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}
