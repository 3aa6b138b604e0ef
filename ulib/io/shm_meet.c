// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * shm_meet.c - how two sides of a shared-memory transport come together: who
 * connects sends a sealed memfd over a unix socket, who listens checks it and
 * says yes with one byte, or goes away.
 */
#include "io/shm.h"

#include <stdio.h>
#include <unistd.h>

#define KNOCK_NS	(5 * PULSE__NSEC_PER_MSEC)
#define MEET_NS		(10 * PULSE__NSEC_PER_SEC)

/* ---- connect -------------------------------------------------------------- */

struct pulse__shm_dial {
	struct pulse_poller_timer timer;
	struct pulse__shm *shm;
	int64_t deadline_ns;
	int memfd;
	struct pulse__addr addr;
};

void pulse__shm_drop_dial(struct pulse__shm *shm)
{
	if (!shm->dial)
		return;
	pulse_poller_timer_cancel(shm->t.poller, &shm->dial->timer);
	if (shm->dial->memfd >= 0)
		close(shm->dial->memfd);
	pulse__free(shm->dial);
	shm->dial = NULL;
}

static void dial_failed(struct pulse__shm *shm, int err)
{
	shm->err = err;
	pulse_poller_timer_cancel(shm->t.poller, &shm->dial->timer);
	if (shm->id)
		pulse_poller_del(shm->t.poller, shm->id);
	shm->id = 0;
	pulse__shm_tell(shm, PULSE_TRANSPORT_ERROR);
}

void pulse__shm_dialled(struct pulse__shm *shm, bool answered)
{
	if (!answered) {
		if (shm->hup)	/* it went without saying yes */
			dial_failed(shm, -ECONNREFUSED);
		return;
	}
	pulse__shm_drop_dial(shm);
	if (shm->watched)
		pulse__shm_wake(shm);
	pulse__shm_tell(shm, PULSE_TRANSPORT_OPEN);
}

/* 0; -EAGAIN knock again; or why it cannot be. */
static int knock(struct pulse__shm_dial *dial)
{
	struct pulse__shm *shm = dial->shm;
	struct pulse__shm_hello hello = {
		.magic = PULSE__SHM_MAGIC, .version = 1,
		.ring_bytes = shm->size,
	};
	int err;

	if (connect(shm->fd, (const struct sockaddr *)&dial->addr.sa,
		    dial->addr.len))
		return errno == EINTR ? -EAGAIN : -errno;
	err = pulse__shm_send_fd(shm->fd, &hello, dial->memfd);
	if (err)
		return err == -EAGAIN ? -EIO : err;
	close(dial->memfd);
	dial->memfd = -1;
	return pulse__shm_watch_socket(shm);
}

static int arm_dial(struct pulse__shm_dial *dial)
{
	int64_t at = dial->deadline_ns;

	if (!dial->shm->id) {
		int64_t again = pulse_now_ns() + KNOCK_NS;

		at = again < at ? again : at;
	}
	return pulse_poller_timer_arm(dial->shm->t.poller, &dial->timer, at);
}

static void dial_late(struct pulse_poller *poller,
		      struct pulse_poller_timer *timer)
{
	struct pulse__shm_dial *dial = container_of(timer,
						    struct pulse__shm_dial,
						    timer);
	int err = -EAGAIN;

	(void)poller;
	if (!dial->shm->id && pulse_now_ns() < dial->deadline_ns) {
		err = knock(dial);
		if (!err || err == -EAGAIN)
			err = arm_dial(dial);
		if (!err)
			return;
	}
	dial_failed(dial->shm, err == -EAGAIN ? -ETIMEDOUT : err);
}

static int open_socket(const char *address, struct pulse__addr *addr)
{
	char text[PULSE_ADDRESS_MAX];
	int err, fd;

	err = pulse__addr_rename(address, "shm:", "unix:", text, sizeof(text));
	if (err)
		return err == -ENOSPC ? -ENAMETOOLONG : err;
	err = pulse__addr_parse(text, addr);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int shm_connect(struct pulse_poller *poller,
		       const struct pulse_connect_opts *o,
		       pulse_transport_fn fn, void *arg,
		       struct pulse_transport **out)
{
	uint32_t ring_bytes = o->ring_bytes ? o->ring_bytes : 256 << 10;
	struct pulse__shm_map map = { 0 };
	struct pulse__shm_dial *dial;
	struct pulse__addr addr;
	struct pulse__shm *shm;
	int fd, memfd, err;

	if (!pulse__is_pow2(ring_bytes) || ring_bytes < PULSE__SHM_RING_MIN ||
	    ring_bytes > PULSE__SHM_RING_MAX)
		return -EINVAL;
	fd = open_socket(o->address, &addr);
	if (fd < 0)
		return fd;
	memfd = pulse__shm_make(ring_bytes, &map);
	err = memfd < 0 ? memfd : 0;
	if (err)
		goto close_socket;
	err = pulse__shm_adopt(poller, fd, &map, true, o->spin_us, &shm);
	if (err)
		goto unmap;
	pulse_transport_set_handler(&shm->t, fn, arg);
	dial = pulse__calloc(1, sizeof(*dial));
	if (!dial) {
		close(memfd);
		pulse_transport_close(&shm->t, false);
		return -ENOMEM;
	}
	*dial = (struct pulse__shm_dial){
		.timer.fn = dial_late, .shm = shm, .memfd = memfd,
		.deadline_ns = o->deadline_ns, .addr = addr,
	};
	shm->dial = dial;
	err = knock(dial);
	if (!err || err == -EAGAIN)
		err = arm_dial(dial);
	if (err) {
		pulse_transport_close(&shm->t, false);
		return err;
	}
	*out = &shm->t;
	return 0;
unmap:
	pulse__shm_unmap(&map);
	close(memfd);
close_socket:
	close(fd);
	return err;
}

/* ---- listen --------------------------------------------------------------- */

struct shm_listener {
	struct pulse_listener l;
	struct pulse__list meeting;
	int spin_us;
};

/* Somebody who has connected, and has not said hello yet. */
struct guest {
	struct pulse__list link;
	struct pulse_poller_timer timer;
	struct shm_listener *of;
	uint64_t id;
	int fd;
};

/* The socket is closed unless it has gone to a transport (@fd is -1). */
static void guest_over(struct guest *g)
{
	struct pulse_poller *poller = g->of->l.poller;

	pulse_poller_timer_cancel(poller, &g->timer);
	if (g->id)
		pulse_poller_del(poller, g->id);
	pulse__list_del(&g->link);
	if (g->fd >= 0)
		close(g->fd);
	pulse__free(g);
}

static void guest_late(struct pulse_poller *poller,
		       struct pulse_poller_timer *timer)
{
	struct guest *g = container_of(timer, struct guest, timer);
	struct pulse_listener *l = &g->of->l;

	(void)poller;
	guest_over(g);
	pulse__listener_lost(l);
}

/* The memory is as it should be: a transport, and the peer is told. */
static int welcome(struct guest *g, const struct pulse__shm_map *map,
		   struct pulse__shm **out)
{
	char yes = 1;
	int err, fd = g->fd;

	pulse_poller_del(g->of->l.poller, g->id);
	g->id = 0;
	err = pulse__shm_adopt(g->of->l.poller, fd, map, false, g->of->spin_us,
			       out);
	if (err)
		return err;
	g->fd = -1;
	if (send(fd, &yes, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
		return 0;
	pulse_transport_close(&(*out)->t, false);
	return 1;		/* the map is gone with it */
}

static void guest_speaks(struct pulse_poller *poller, int fd, uint32_t events,
			 void *arg)
{
	struct pulse__shm_map map = { 0 };
	struct pulse__shm_hello hello;
	struct guest *g = arg;
	struct pulse_listener *l = &g->of->l;
	struct pulse__shm *shm = NULL;
	int err, memfd;

	(void)poller;
	(void)events;
	err = pulse__shm_recv_fd(fd, &hello, &memfd);
	if (err == -EAGAIN)
		return;
	if (!err) {
		err = pulse__shm_take(memfd, hello.ring_bytes, &map);
		close(memfd);
	}
	if (!err) {
		err = welcome(g, &map, &shm);
		if (err < 0)
			pulse__shm_unmap(&map);
	}
	guest_over(g);
	if (err) {
		if (err == -EPROTO)
			pulse__warn_once("shm: a peer was refused: its memory is not a sealed memfd of the right size");
		pulse__listener_lost(l);
		return;
	}
	pulse__listener_hand_out(l, &shm->t);
}

static void accepted_fd(struct pulse_listener *l, int fd)
{
	struct shm_listener *sl = container_of(l, struct shm_listener, l);
	struct guest *g = pulse__calloc(1, sizeof(*g));

	if (!g) {
		close(fd);
		pulse__listener_lost(l);
		return;
	}
	g->of = sl;
	g->fd = fd;
	g->timer.fn = guest_late;
	pulse__list_add_tail(&sl->meeting, &g->link);
	if (pulse_poller_add(l->poller, fd, PULSE_POLLER_IN, guest_speaks, g,
			     &g->id) ||
	    pulse_poller_timer_arm(l->poller, &g->timer,
				   pulse_now_ns() + MEET_NS)) {
		guest_over(g);
		pulse__listener_lost(l);
	}
}

static void listener_close(struct pulse_listener *l)
{
	struct shm_listener *sl = container_of(l, struct shm_listener, l);

	while (!pulse__list_empty(&sl->meeting))
		guest_over(pulse__list_first_entry(&sl->meeting, struct guest,
						   link));
	pulse__free(sl);
}

static const struct pulse__listener_ops listener_ops = {
	.accepted_fd = accepted_fd, .close = listener_close,
	.own = "unix:", .prefix = "shm:",
};

static int shm_listen(struct pulse_poller *poller,
		      const struct pulse_listener_opts *o, pulse_accept_fn fn,
		      void *arg, struct pulse_listener **out)
{
	char text[PULSE_ADDRESS_MAX];
	struct shm_listener *sl;
	int err;

	err = pulse__addr_rename(o->address, "shm:", "unix:", text, sizeof(text));
	if (err)
		return err == -ENOSPC ? -ENAMETOOLONG : err;
	sl = pulse__calloc(1, sizeof(*sl));
	if (!sl)
		return -ENOMEM;
	sl->l.ops = &listener_ops;
	sl->spin_us = o->spin_us;
	pulse__list_init(&sl->meeting);
	err = pulse__listener_begin(&sl->l, poller, o, text, fn, arg);
	if (err)
		pulse__free(sl);
	else
		*out = &sl->l;
	return err;
}

const struct pulse__carrier pulse__carrier_shm = {
	.name = "shm", .connect = shm_connect, .listen = shm_listen,
};
