// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * mesh_watch.c - monitors across processes.
 *
 * While the other process lives it says itself what ended. Its own death is told
 * by the events of a context (the module's, or of children, the library's) to a
 * thread that waits for them; what no event told, a look at pidfds finds.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/pulse.h>
#include <pulse-u/events.h>

#include "actor/mesh.h"

#define PULSE__MESH_WATCH_MS	200
#define PULSE__MESH_EVENT_BYTES	65536U

/* To the actor that watches: @number is down. */
static void pulse__mesh_down(struct pulse_mesh *mesh, uint64_t watcher,
			     uint64_t number, int reason,
			     const struct pulse_exit *why)
{
	struct pulse_actor *a = pulse__actor_of(mesh->sys, watcher);
	struct pulse__amsg *m;

	/* Nobody gives memory back for a message: it is tried until it comes. */
	while (a && pulse__amsg_new(mesh->sys, watcher, PULSE_ACTOR_DOWN, number,
				    why, sizeof(*why), &m) == -ENOMEM)
		usleep(1000);
	if (!a)
		return;
	m->view.from = PULSE_ACTOR_NONE;
	m->view.reason = reason;
	if (pulse__amsg_signal(a, m))
		pulse__amsg_free(mesh->sys, m, -ESRCH);
}

static struct pulse__mesh_monitor *
pulse__mesh_monitor_take(struct pulse_mesh *mesh, uint64_t number)
{
	struct pulse__mesh_monitor *m, *found = NULL;

	pthread_mutex_lock(&mesh->lock);
	pulse__list_for_each_entry(m, &mesh->monitors, link) {
		if (m->number == number) {
			found = m;
			pulse__list_del(&m->link);
			break;
		}
	}
	pthread_mutex_unlock(&mesh->lock);
	return found;
}

void pulse__mesh_on_down(struct pulse_mesh *mesh, uint64_t number, int reason)
{
	struct pulse_exit why = { .kind = PULSE_EXIT_NORMAL,
				  .code = reason, .time_ns = pulse_now_ns() };
	struct pulse__mesh_monitor *m = pulse__mesh_monitor_take(mesh, number);

	if (!m)
		return;
	if (reason == -ESHUTDOWN)
		why.kind = PULSE_EXIT_SHUTDOWN;
	else if (reason == -ESRCH)
		why.kind = PULSE_EXIT_LOST;
	else if (reason)
		why.kind = PULSE_EXIT_CODE;
	pulse__mesh_down(mesh, m->watcher, number, reason, &why);
	pulse__free(m);
}

/* The process that has this life at the place died. */
static void pulse__mesh_died(struct pulse_mesh *mesh, uint32_t place,
			     uint64_t life, const struct pulse_exit *why)
{
	struct pulse__mesh_monitor *m;
	struct pulse__list dead, *at, *next;

	/* The module may know before the pidfd does: who is told finds it so. */
	WRITE_ONCE(mesh->peer[place].dead_life, life);
	pulse__list_init(&dead);
	pthread_mutex_lock(&mesh->lock);
	pulse__list_for_each_safe(at, next, &mesh->monitors) {
		m = container_of(at, struct pulse__mesh_monitor, link);
		if (m->to.place != place || m->to.life != life)
			continue;
		pulse__list_del(at);
		pulse__list_add_tail(&dead, at);
	}
	pthread_mutex_unlock(&mesh->lock);
	while ((at = pulse__list_pop(&dead))) {
		m = container_of(at, struct pulse__mesh_monitor, link);
		pulse__mesh_down(mesh, m->watcher, m->number, -EOWNERDEAD, why);
		pulse__free(m);
	}
}

/* ---- of processes ------------------------------------------------------------------ */

static void pulse__mesh_on_event(struct pulse_mesh *mesh,
				 const struct pulse_event *ev)
{
	struct pulse_exit why = { .kind = PULSE_EXIT_LOST,
				  .time_ns = ev->time_ns };
	uint32_t place = (uint32_t)(ev->cookie >> 32);
	uint64_t life;

	if (ev->type != PULSE_EVENT_PROCESS_DEATH || place >= mesh->opts.places)
		return;
	pthread_mutex_lock(&mesh->lock);
	life = mesh->watched[place];
	if ((uint32_t)life == (uint32_t)ev->cookie)
		mesh->watched[place] = 0;
	pthread_mutex_unlock(&mesh->lock);
	if ((uint32_t)life != (uint32_t)ev->cookie)
		return;
	if (ev->signal) {
		why.kind = PULSE_EXIT_SIGNAL;
		why.signal = ev->signal;
		if (ev->exit_code != PULSE_EXIT_UNKNOWN && ev->exit_code & 0x80)
			why.flags = PULSE_EXIT_CORE;
	} else if (ev->exit_code != PULSE_EXIT_UNKNOWN) {
		why.code = ev->exit_code >> 8 & 0xff;
		why.kind = why.code ? PULSE_EXIT_CODE : PULSE_EXIT_NORMAL;
	}
	pulse__mesh_died(mesh, place, life, &why);
}

/* Who died and of whom no event comes: there is no watch on it. */
static void pulse__mesh_look(struct pulse_mesh *mesh)
{
	struct pulse_exit why = { .kind = PULSE_EXIT_LOST };
	uint64_t life[PULSE__MESH_PLACES] = { 0 };
	struct pulse__mesh_monitor *m;

	pthread_mutex_lock(&mesh->lock);
	pulse__list_for_each_entry(m, &mesh->monitors, link) {
		if (mesh->watched[m->to.place] != m->to.life)
			life[m->to.place] = m->to.life;
	}
	pthread_mutex_unlock(&mesh->lock);
	for (uint32_t i = 0; i < mesh->opts.places; i++) {
		if (!life[i] || pulse__mesh_alive(mesh, i, life[i]))
			continue;
		why.time_ns = pulse_now_ns();
		pulse__mesh_died(mesh, i, life[i], &why);
	}
}

static void *pulse__mesh_watcher_main(void *arg)
{
	struct pulse_mesh *mesh = arg;
	struct pulse_event ev = { .sz = sizeof(ev) };
	struct pollfd pf = { .events = POLLIN, .fd = -1 };

	if (mesh->events)
		pf.fd = pulse_ctx_events_fd(mesh->events);
	while (!READ_ONCE(mesh->stopping)) {
		poll(&pf, 1, PULSE__MESH_WATCH_MS);
		while (mesh->events &&
		       pulse_ctx_events_next(mesh->events, &ev) > 0)
			pulse__mesh_on_event(mesh, &ev);
		pulse__mesh_look(mesh);
	}
	return NULL;
}

/* With mesh->lock: the thread, and a watch on the process. Without: -errno. */
static int pulse__mesh_watch_begin(struct pulse_mesh *mesh)
{
	PULSE_OPTS(pulse_ctx_opts, opts, .max_workers = 1,
		   .event_bytes = PULSE__MESH_EVENT_BYTES);
	int err;

	if (mesh->watching)
		return 0;
	err = pulse_ctx_create(&opts, &mesh->events);
	if (err) {
		mesh->events = NULL;
		if (err == -ENOMEM)
			return err;
		pulse__warn_once("mesh: no context for events: %s; nobody will know how a process ended",
				 pulse_strerror(err));
	}
	err = pthread_create(&mesh->watcher, NULL, pulse__mesh_watcher_main,
			     mesh);
	if (err) {
		if (mesh->events)
			pulse_ctx_destroy(mesh->events);
		mesh->events = NULL;
		return -err;
	}
	mesh->watching = true;
	return 0;
}

static void pulse__mesh_watch_process(struct pulse_mesh *mesh,
				      const struct pulse_mesh_addr *to)
{
	uint64_t owner = READ_ONCE(mesh->shm->place[to->place].owner);
	struct pulse_watch_opts w = {
		.sz = sizeof(w),
		.cookie = (uint64_t)to->place << 32 | (uint32_t)to->life,
	};

	if (!mesh->events || mesh->watched[to->place] == to->life ||
	    pulse_ctx_watch_process(mesh->events, (int)(owner >> 32), &w) <= 0)
		return;
	mesh->watched[to->place] = to->life;
}

void pulse__mesh_watch_end(struct pulse_mesh *mesh)
{
	struct pulse__list *at;

	if (mesh->watching) {
		pthread_join(mesh->watcher, NULL);
		if (mesh->events)
			pulse_ctx_destroy(mesh->events);
	}
	mesh->watching = false;
	mesh->events = NULL;
	memset(mesh->watched, 0, sizeof(mesh->watched));
	while ((at = pulse__list_pop(&mesh->monitors)))
		pulse__free(container_of(at, struct pulse__mesh_monitor, link));
}

/* ---- ours, of actors elsewhere ------------------------------------------------------ */

int pulse_mesh_monitor(struct pulse_mesh *mesh, const struct pulse_mesh_addr *to,
		       uint64_t watcher, uint64_t *monitor)
{
	struct pulse__mesh_wire w = { .what = PULSE__MESH_WATCH };
	struct pulse__mesh_monitor *m;
	int err = pulse__mesh_check(mesh);
	bool there;

	if (err)
		return err;
	if (!to || to->place >= mesh->opts.places ||
	    to->name >= PULSE_MESH_NAMES)
		return -EINVAL;
	if (!mesh->started)
		return -ENOTCONN;
	if (pulse_actor_alive(mesh->sys, watcher) != 1)
		return -ESRCH;
	m = pulse__calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->to = *to;
	m->watcher = watcher;
	there = pulse__mesh_is(mesh, to);
	if (!there)
		m->to.life = 0;		/* nobody's death concerns it */
	pthread_mutex_lock(&mesh->lock);
	err = pulse__mesh_watch_begin(mesh);
	if (!err) {
		w.number = m->number = ++mesh->number;
		if (monitor)
			*monitor = m->number;
		pulse__list_add_tail(&mesh->monitors, &m->link);
		if (there)
			pulse__mesh_watch_process(mesh, to);
	}
	pthread_mutex_unlock(&mesh->lock);
	if (err) {
		pulse__free(m);
		return err;
	}
	/* What ends from here on is told: it says that it knows of us, or is dead. */
	w.index = to->name;
	w.publication = to->publication;
	err = there ? pulse__mesh_ask(mesh, to, &w) : -ESRCH;
	/* Here or there is no memory, and it may live: unless it is told already. */
	m = err == -ENOMEM ? pulse__mesh_monitor_take(mesh, w.number) : NULL;
	if (m) {
		pulse__free(m);
		return err;
	}
	if (err)
		pulse__mesh_on_down(mesh, w.number, -ESRCH);
	return 0;
}

int pulse_mesh_demonitor(struct pulse_mesh *mesh, uint64_t monitor)
{
	struct pulse__mesh_monitor *m;
	int err = pulse__mesh_check(mesh);

	if (err)
		return err;
	m = pulse__mesh_monitor_take(mesh, monitor);
	if (!m)
		return -ENOENT;
	pulse__free(m);
	return 0;
}

/* ---- others', of actors here ---------------------------------------------------------- */

static void pulse__mesh_say_down(struct pulse_mesh *mesh, uint32_t place,
				 uint64_t life, uint64_t number, int reason)
{
	struct pulse__mesh_wire w = { .what = PULSE__MESH_DOWN, .err = reason,
				      .number = number, .publication = life };

	pulse__mesh_put_owed(mesh, place, life, &w, NULL, 0);
}

void pulse__mesh_tell(struct pulse_mesh *mesh, struct pulse__list *watchers,
		      int reason)
{
	struct pulse__mesh_watcher *who;
	struct pulse__list *at;

	while ((at = pulse__list_pop(watchers))) {
		who = container_of(at, struct pulse__mesh_watcher, link);
		pulse__mesh_say_down(mesh, who->place, who->life, who->number,
				     reason);
		pulse__free(who);
	}
}

void pulse__mesh_on_watch(struct pulse_mesh *mesh,
			  const struct pulse__mesh_wire *w)
{
	struct pulse__mesh_watcher *who;
	int err = -ENOMEM;

	if (w->index >= PULSE_MESH_NAMES || w->from >= mesh->opts.places)
		return;
	who = pulse__calloc(1, sizeof(*who));
	if (who) {
		who->place = w->from;
		who->life = w->from_life;
		who->number = w->number;
		pthread_mutex_lock(&mesh->lock);
		err = mesh->mine[w->index].ref &&
		      mesh->mine[w->index].publication == w->publication ?
		      0 : -ESRCH;
		if (!err)
			pulse__list_add_tail(&mesh->mine[w->index].watchers,
					     &who->link);
		pthread_mutex_unlock(&mesh->lock);
	}
	if (err)
		pulse__free(who);
	pulse__mesh_reply(mesh, w->from, w->from_life, w->number, err, NULL, 0);
}
