// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * poller.c - the loop: its turns, its registrations, its timers and hooks.
 *
 * Its turns stand in loop.c, the system's side behind
 * struct pulse__poller_ops. See poller_int.h for who may touch what.
 */
#include "io/poller_int.h"

#include <pulse-u/backend.h>

#define POLLER_MAGIC	0x504f4c4cU	/* "POLL" */

__thread struct pulse_poller *pulse__poller_current
	__attribute__((tls_model("initial-exec")));

static int check_opts(const struct pulse_poller_opts *o)
{
	if (o->kind < PULSE_POLLER_AUTO || o->kind > PULSE_POLLER_IO_URING)
		return -EINVAL;
	if (o->reserved || o->reserved2 || o->spin_us > 1000000 ||
	    o->max_events > 4096)
		return -EINVAL;
	if (o->buffer_bytes &&
	    (o->buffer_bytes < 4096 || o->buffer_bytes > 16U << 20))
		return -EINVAL;
	return 0;
}

/* PULSE_POLLER says what "auto" is, and is heard nowhere else. */
static int kind_of_env(void)
{
	const char *name = getenv("PULSE_POLLER");

	if (!name || !*name || !strcmp(name, "auto"))
		return PULSE_POLLER_AUTO;
	if (!strcmp(name, "epoll"))
		return PULSE_POLLER_EPOLL;
	if (!strcmp(name, "io_uring"))
		return PULSE_POLLER_IO_URING;
	pulse_log(PULSE_LOG_WARN,
		  "PULSE_POLLER=%s is unknown; use auto, epoll or io_uring", name);
	return PULSE_POLLER_AUTO;
}

static const char *no_uring(int err)
{
	return err == -EPERM ?
	       "the system forbids it; see sysctl kernel.io_uring_disabled" :
	       "this kernel has none that will do; Linux 6.1 has";
}

/* What was asked for by name is that or an error; otherwise there is epoll. */
static int open_sys(struct pulse_poller *p, int kind)
{
	bool by_name = kind == PULSE_POLLER_IO_URING;
	int err;

	if (kind == PULSE_POLLER_AUTO)
		kind = kind_of_env();
	if (kind == PULSE_POLLER_IO_URING) {
		p->ops = &pulse__poller_uring;
		err = p->ops->open(p);
		if (!err)
			return 0;
		if (err != -ENOSYS && err != -EINVAL && err != -EPERM)
			return err;
		if (err == -EINVAL)	/* flags it does not know */
			err = -ENOSYS;
		pulse_log(PULSE_LOG_WARN, "no io_uring: %s%s", no_uring(err),
			  by_name ? "" : "; epoll it is");
		if (by_name)
			return err;
	}
	p->ops = &pulse__poller_epoll;
	return p->ops->open(p);
}

int pulse_poller_create(const struct pulse_poller_opts *opts,
			struct pulse_poller **out)
{
	struct pulse_poller_opts o;
	struct pulse_poller *p;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), buffer_bytes), opts);
	if (!err)
		err = check_opts(&o);
	if (err)
		return err;
	p = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->free_slot = -1;
	pulse__list_init(&p->ends);
	p->ctx = o.ctx;
	p->cookie = o.cookie;
	p->max_events = o.max_events ? o.max_events : 256;
	p->buffer_bytes = o.buffer_bytes ? o.buffer_bytes : 64 << 10;
	p->spin_ns = (int64_t)o.spin_us * PULSE__NSEC_PER_USEC;
	p->fork_gen = pulse__fork_generation();
	p->magic = POLLER_MAGIC;
	p->now_ns = pulse_now_ns();
	pulse__wheel_init(&p->wheel, p->now_ns);
	err = open_sys(p, o.kind);
	if (err) {
		pulse__free(p);
		return err;
	}
	*out = p;
	return 0;
}

int pulse_poller_destroy(struct pulse_poller *p)
{
	if (!p)
		return -EINVAL;
	pulse__obj_check(p, POLLER_MAGIC, "pulse_poller_destroy");
	if (pulse__load_acquire(&p->running) && !pulse__forked(p->fork_gen))
		return -EBUSY;
	pulse__poller_end_posts(p);
	pulse__poller_tell_ends(p);
	p->ops->close(p);
	for (uint32_t i = 0; i < p->nr_chunks; i++)
		pulse__free(p->chunks[i]);
	pulse__free(p->chunks);
	pulse__free(p->buffer_mem);
	p->magic = PULSE__MAGIC_DEAD;
	pulse__free(p);
	return 0;
}

const char *pulse_poller_name(const struct pulse_poller *p)
{
	return p ? p->ops->name : NULL;
}

/* ---- registrations ------------------------------------------------------ */

static int more_slots(struct pulse_poller *p)
{
	struct pulse__poller_slot **chunks, *chunk;
	uint32_t base = p->nr_chunks * PULSE__SLOT_CHUNK;

	if (p->nr_chunks >= INT_MAX / PULSE__SLOT_CHUNK)
		return -ENOSPC;
	/* The folder grows by doubling, the chunks never move. */
	if (pulse__is_pow2(p->nr_chunks) || !p->nr_chunks) {
		size_t room = p->nr_chunks ? p->nr_chunks * 2 : 1;

		chunks = pulse__realloc(p->chunks, room * sizeof(*chunks));
		if (!chunks)
			return -ENOMEM;
		p->chunks = chunks;
	}
	chunk = pulse__calloc(PULSE__SLOT_CHUNK, sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	for (int i = PULSE__SLOT_CHUNK - 1; i >= 0; i--) {
		chunk[i].gen = 1;
		chunk[i].fd = p->free_slot;
		p->free_slot = (int)base + i;
	}
	p->chunks[p->nr_chunks++] = chunk;
	return 0;
}

static void free_slot(struct pulse_poller *p, struct pulse__poller_slot *s,
		      uint32_t n)
{
	s->fn = NULL;
	s->fd = p->free_slot;
	if (!++s->gen)
		s->gen = 1;
	p->free_slot = (int)n;
}

int pulse_poller_add(struct pulse_poller *p, int fd, uint32_t events,
		     pulse_poller_fn fn, void *arg, uint64_t *id)
{
	struct pulse__poller_slot *s;
	uint64_t token;
	int err, next;
	uint32_t n;

	if (!p || !fn || !id || fd < 0 ||
	    events & ~(uint32_t)(PULSE_POLLER_IN | PULSE_POLLER_OUT))
		return -EINVAL;
	*id = 0;
	if (!pulse__poller_mine(p))
		return -EPERM;
	if (p->free_slot < 0) {
		err = more_slots(p);
		if (err)
			return err;
	}
	n = (uint32_t)p->free_slot;
	s = &p->chunks[n / PULSE__SLOT_CHUNK][n % PULSE__SLOT_CHUNK];
	token = (uint64_t)s->gen << 32 | n;
	next = s->fd;
	err = p->ops->add(p, fd, events, token);
	if (err) {
		s->fd = next;
		return err;
	}
	p->free_slot = next;
	s->fn = fn;
	s->arg = arg;
	s->fd = fd;
	s->events = (uint16_t)events;
	WRITE_ONCE(p->n_fds, p->n_fds + 1);
	*id = token;
	return 0;
}

int pulse_poller_mod(struct pulse_poller *p, uint64_t id, uint32_t events)
{
	struct pulse__poller_slot *s;
	int err;

	if (!p || events & ~(uint32_t)(PULSE_POLLER_IN | PULSE_POLLER_OUT))
		return -EINVAL;
	if (!pulse__poller_mine(p))
		return -EPERM;
	s = pulse__poller_slot(p, id);
	if (!s)
		return -ENOENT;
	if (s->events == events)
		return 0;
	err = p->ops->mod(p, s->fd, events, id);
	if (!err)
		s->events = (uint16_t)events;
	return err;
}

static int del_one(struct pulse_poller *p, uint64_t id)
{
	struct pulse__poller_slot *s = pulse__poller_slot(p, id);

	if (!s)
		return -ENOENT;
	p->ops->del(p, s->fd);
	free_slot(p, s, (uint32_t)id);
	WRITE_ONCE(p->n_fds, p->n_fds - 1);
	return 0;
}

int pulse_poller_del(struct pulse_poller *p, uint64_t id)
{
	int err;

	if (!p)
		return -EINVAL;
	if (!pulse__poller_mine(p))
		return -EPERM;
	err = del_one(p, id);
	if (!err && p->ops->deleted)
		p->ops->deleted(p);
	return err;
}

int pulse_poller_del_all(struct pulse_poller *p,
			 struct pulse_poller_watch *watches, size_t nr)
{
	int err = 0;

	if (!p || (nr && !watches))
		return -EINVAL;
	if (!pulse__poller_mine(p))
		return -EPERM;
	for (size_t i = 0; i < nr; i++) {
		err = del_one(p, watches[i].id) ? : err;
		watches[i].id = 0;
	}
	if (nr && p->ops->deleted)
		p->ops->deleted(p);
	return err;
}

int pulse_poller_add_all(struct pulse_poller *p,
			 struct pulse_poller_watch *watches, size_t nr)
{
	int err = 0;
	size_t n;

	if (!p || (nr && !watches))
		return -EINVAL;
	for (n = 0; n < nr && !err; n++) {
		struct pulse_poller_watch *w = &watches[n];

		err = pulse_poller_add(p, w->fd, w->events, w->fn, w->arg,
				       &w->id);
	}
	if (!err)
		return 0;
	pulse_poller_del_all(p, watches, n - 1);
	for (n--; n < nr; n++)
		watches[n].id = 0;
	return err;
}

/* ---- timers, hooks, buffer ---------------------------------------------- */

int pulse_poller_timer_arm(struct pulse_poller *p,
			   struct pulse_poller_timer *timer,
			   int64_t deadline_ns)
{
	if (!p || !timer || !timer->fn)
		return -EINVAL;
	if (!pulse__poller_mine(p))
		return -EPERM;
	if (deadline_ns == PULSE_FOREVER)
		pulse__wheel_cancel(&p->wheel, timer);
	else
		pulse__wheel_arm(&p->wheel, timer, deadline_ns);
	return 0;
}

int pulse_poller_timer_cancel(struct pulse_poller *p,
			      struct pulse_poller_timer *timer)
{
	if (!p || !timer)
		return -EINVAL;
	if (!pulse__poller_mine(p))
		return -EPERM;
	return pulse__wheel_cancel(&p->wheel, timer);
}

int pulse_poller_hook_add(struct pulse_poller *p, struct pulse_poller_hook *h)
{
	if (!p || !h || !h->fn)
		return -EINVAL;
	if (!pulse__poller_mine(p))
		return -EPERM;
	h->next = p->hooks;
	p->hooks = h;
	return 0;
}

int pulse_poller_hook_del(struct pulse_poller *p, struct pulse_poller_hook *h)
{
	if (!p || !h)
		return -EINVAL;
	if (!pulse__poller_mine(p))
		return -EPERM;
	for (struct pulse_poller_hook **at = &p->hooks; *at; at = &(*at)->next)
		if (*at == h) {
			*at = h->next;
			return 0;
		}
	return -ENOENT;
}

int64_t pulse_poller_now(const struct pulse_poller *p)
{
	return p ? p->now_ns : 0;
}

void *pulse_poller_buffer(struct pulse_poller *p, size_t *bytes)
{
	return p && bytes ? pulse__poller_buffer(p, bytes) : NULL;
}

int pulse_poller_stats(const struct pulse_poller *p,
		       struct pulse_poller_stats *out)
{
	struct pulse_poller_stats s = { 0 };
	int err;

	if (!p || !out)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(*out), fds));
	if (err)
		return err;
	s.turns = READ_ONCE(p->n_turns);
	s.events = READ_ONCE(p->n_events);
	s.posted = READ_ONCE(p->n_posted);
	s.wakes = READ_ONCE(p->n_wakes);
	s.timers = READ_ONCE(p->n_timers);
	s.fds = READ_ONCE(p->n_fds);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}
