// SPDX-License-Identifier: GPL-2.0-only
/*
 * house.c - the tree of supervisors, the log of what happened in it, and both
 * as text.
 *
 * h->lock: the log. Supervisors call on_event with no lock of theirs held.
 */
#include "house.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS		24
#define CHILDREN	(ROOMS_MAX + 2)

struct house_event {
	uint64_t nr;
	int64_t at_ns;
	int what;
	char id[40], text[96];
};

struct house {
	struct pulse_app *app;
	struct pulse_sup *rooms_sup;
	struct pulse_actors *actors;
	struct scribe *scribe;
	struct rooms *rooms;
	int64_t started_ns;
	bool draining;			/* atomic */
	pthread_mutex_t lock;
	struct house_event events[EVENTS];
	uint64_t nr_events;
};

static const char *const event_names[] = {
	[PULSE_SUP_CHILD_STARTED] = "started",
	[PULSE_SUP_CHILD_ENDED] = "ended",
	[PULSE_SUP_CHILD_START_FAILED] = "not started",
	[PULSE_SUP_CHILD_DELAYED] = "waiting",
	[PULSE_SUP_CHILD_KILLED] = "killed",
	[PULSE_SUP_CHILD_ABANDONED] = "given up",
	[PULSE_SUP_ENDED] = "supervisor ended",
};

static void on_event(struct pulse_sup *sup, int what, const char *id,
		     const struct pulse_exit *why, void *arg)
{
	struct house *h = arg;
	struct house_event *e;

	(void)sup;
	pthread_mutex_lock(&h->lock);
	e = &h->events[h->nr_events % EVENTS];
	e->nr = ++h->nr_events;
	e->at_ns = pulse_now_ns();
	e->what = what;
	snprintf(e->id, sizeof(e->id), "%.39s", id ? id : "supervisor");
	e->text[0] = 0;
	if (why)
		pulse_exit_text(why, e->text, sizeof(e->text));
	pthread_mutex_unlock(&h->lock);
}

int house_create(struct pulse_pool *pool, struct house **out)
{
	/* A delay, so that people see it gone before it is back. */
	PULSE_OPTS(pulse_sup_opts, sup_opts, .name = "vigilant",
		   .max_restarts = 30, .period_ms = 10000,
		   .backoff_min_ms = 400, .backoff_max_ms = 3000,
		   .on_event = on_event);
	PULSE_OPTS(pulse_sup_opts, rooms_opts, .name = "rooms",
		   .max_restarts = 30, .period_ms = 10000,
		   .on_event = on_event);
	PULSE_OPTS(pulse_actors_opts, actors_opts, .pool = pool);
	struct house *h = calloc(1, sizeof(*h));
	int err = -ENOMEM;

	if (!h)
		return err;
	pthread_mutex_init(&h->lock, NULL);
	h->started_ns = pulse_now_ns();
	sup_opts.event_arg = h;
	rooms_opts.event_arg = h;
	h->scribe = scribe_create();
	if (!h->scribe)
		goto fail;
	err = pulse_actors_create(&actors_opts, &h->actors);
	if (!err)
		err = pulse_app_create_opts(PULSE_PRESET_PRODUCTION, &sup_opts,
					    &h->app);
	if (err)
		goto fail;
	PULSE_OPTS(pulse_child_spec, scribe, .id = "scribe");
	scribe_spec(h->scribe, &scribe);
	err = pulse_app_child(h->app, &scribe);
	if (!err)
		err = pulse_sup_create(&rooms_opts, &h->rooms_sup);
	if (err)
		goto fail;
	PULSE_OPTS(pulse_child_spec, spec, .id = "rooms",
		   .kind = PULSE_CHILD_SUPERVISOR, .supervisor = h->rooms_sup);
	err = pulse_app_child(h->app, &spec);
	if (err) {
		pulse_sup_destroy(h->rooms_sup);
		goto fail;
	}
	h->rooms = rooms_create(h->actors, h->rooms_sup, h->scribe);
	if (h->rooms) {
		*out = h;
		return 0;
	}
	err = -ENOMEM;
fail:
	house_destroy(h);
	return err;
}

void house_destroy(struct house *h)
{
	if (h->app)
		pulse_app_shutdown(h->app);
	if (h->actors)
		pulse_actors_destroy(h->actors);
	if (h->rooms)
		rooms_destroy(h->rooms);
	if (h->scribe)
		scribe_destroy(h->scribe);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

int house_start(struct house *h)
{
	return pulse_app_start(h->app);
}

struct rooms *house_rooms(struct house *h)
{
	return h->rooms;
}

bool house_ended(struct house *h)
{
	return !pulse_sup_wait(pulse_app_supervisor(h->app), 0, NULL);
}

int house_crash(struct house *h, const char *who, const char *way)
{
	struct pulse_child_info info = { .sz = sizeof(info) };
	struct room *room = rooms_find(h->rooms, who);

	if (!strcmp(who, "scribe")) {
		if (pulse_sup_find_child(pulse_app_supervisor(h->app), who,
					 &info) ||
		    info.status != PULSE_CHILD_RUNNING)
			return -EAGAIN;
		return scribe_order(h->scribe, way);
	}
	return room ? room_order(room, way) : -ENOENT;
}

int house_drain(struct house *h, int64_t deadline_ns)
{
	int err;

	__atomic_store_n(&h->draining, true, __ATOMIC_RELAXED);
	pulse_app_notify("STOPPING=1\nSTATUS=telling what was accepted");
	err = rooms_finish(h->rooms, deadline_ns);
	return err ? err : scribe_finish(h->scribe, deadline_ns);
}

int house_stop(struct house *h)
{
	return pulse_app_stop(h->app);
}

/* ---- as text ------------------------------------------------------------------- */

static const char *kind_name(const struct pulse_child_info *c)
{
	/* The rooms' are made by pulse_actor_child(). */
	return c->kind == PULSE_CHILD_OPS ? "actor" : pulse_child_kind_text(c->kind);
}

/* All children of both supervisors; the caller frees. */
static struct pulse_child_info *children(struct house *h, int *nr)
{
	struct pulse_child_info *all = calloc(CHILDREN, sizeof(*all));
	int n, m = 0;

	*nr = 0;
	if (!all)
		return NULL;
	all[0].sz = sizeof(*all);
	n = pulse_sup_which_children(pulse_app_supervisor(h->app), all, 2);
	if (n == 2) {
		all[2].sz = sizeof(*all);
		m = pulse_sup_which_children(h->rooms_sup, all + 2, ROOMS_MAX);
	}
	*nr = (n < 0 ? 0 : n) + (m < 0 ? 0 : m);
	return all;
}

const char *house_health(struct house *h)
{
	struct pulse_child_info *all;
	bool well = true;
	int nr;

	if (house_ended(h))
		return "failed";
	if (__atomic_load_n(&h->draining, __ATOMIC_RELAXED))
		return "draining";
	all = children(h, &nr);
	for (int i = 0; i < nr; i++)
		well = well && all[i].status == PULSE_CHILD_RUNNING;
	free(all);
	return all && well ? "ok" : "degraded";
}

static void say_child(const struct house *h, struct text *t,
		      const struct pulse_child_info *c)
{
	char why[96] = "";

	if (c->last_exit.kind != PULSE_EXIT_NONE)
		pulse_exit_text(&c->last_exit, why, sizeof(why));
	text_add(t, "{\"id\":\"%s\",\"kind\":\"%s\",\"status\":\"%s\","
		 "\"pid\":%d,\"life\":%llu,\"restarts\":%llu,\"ms\":%lld,"
		 "\"why\":", c->id, kind_name(c), pulse_child_status_text(c->status), c->pid,
		 (unsigned long long)c->incarnation,
		 (unsigned long long)c->restarts,
		 (long long)(c->started_ns - h->started_ns) / 1000000);
	text_string(t, why, strlen(why));
	text_add(t, "}");
}

static void say_events(struct house *h, struct text *t)
{
	uint64_t from;

	pthread_mutex_lock(&h->lock);
	from = h->nr_events > EVENTS ? h->nr_events - EVENTS : 0;
	for (uint64_t i = from; i < h->nr_events; i++) {
		const struct house_event *e = &h->events[i % EVENTS];

		text_add(t, "%s{\"nr\":%llu,\"ms\":%lld,\"id\":\"%s\","
			 "\"what\":\"%s\",\"why\":", i > from ? "," : "",
			 (unsigned long long)e->nr,
			 (long long)(e->at_ns - h->started_ns) / 1000000, e->id,
			 event_names[e->what]);
		text_string(t, e->text, strlen(e->text));
		text_add(t, "}");
	}
	pthread_mutex_unlock(&h->lock);
}

void house_text(struct house *h, struct text *t)
{
	struct rooms_figures f;
	struct scribe_book book;
	int nr;
	struct pulse_child_info *all = children(h, &nr);

	text_add(t, "\"health\":\"%s\",\"children\":[", house_health(h));
	for (int i = 0; i < nr; i++) {
		text_add(t, i ? "," : "");
		say_child(h, t, &all[i]);
	}
	free(all);
	text_add(t, "],\"events\":[");
	say_events(h, t);
	text_add(t, "],\"rooms\":");
	rooms_text(h->rooms, t);
	rooms_figures(h->rooms, &f);
	scribe_read(h->scribe, &book);
	text_add(t, ",\"accepted\":%llu,\"told\":%llu,\"lost\":%llu,"
		 "\"slow\":%llu,\"recorded\":%llu,\"words\":%llu,"
		 "\"backlog\":%zu", (unsigned long long)f.accepted,
		 (unsigned long long)f.told, (unsigned long long)f.lost,
		 (unsigned long long)f.slow, (unsigned long long)book.lines,
		 (unsigned long long)book.words, scribe_backlog(h->scribe));
}

static void metric(struct text *t, const char *type, const char *name,
		   const char *help, uint64_t value)
{
	text_add(t, "# HELP vigilant_%s %s\n# TYPE vigilant_%s %s\n"
		 "vigilant_%s %llu\n", name, help, name, type, name,
		 (unsigned long long)value);
}

void house_metrics(struct house *h, struct text *t)
{
	struct rooms_figures f;
	struct scribe_book book;
	int nr;
	struct pulse_child_info *all = children(h, &nr);

	rooms_figures(h->rooms, &f);
	scribe_read(h->scribe, &book);
	metric(t, "gauge", "up", "1 while all children run",
	       !strcmp(house_health(h), "ok"));
	metric(t, "counter", "lines_accepted_total",
	       "Lines taken from visitors", f.accepted);
	metric(t, "counter", "lines_told_total",
	       "Lines sent to all members of their room", f.told);
	metric(t, "counter", "lines_recorded_total",
	       "Lines that the scribe has counted", book.lines);
	metric(t, "counter", "lines_lost_total",
	       "Lines that the scribe could not have", f.lost);
	metric(t, "gauge", "scribe_backlog",
	       "Lines that wait for the scribe", scribe_backlog(h->scribe));
	text_add(t, "# HELP vigilant_restarts_total Restarts of a child\n"
		 "# TYPE vigilant_restarts_total counter\n");
	for (int i = 0; i < nr; i++)
		text_add(t, "vigilant_restarts_total{child=\"%s\",kind=\"%s\"} %llu\n",
			 all[i].id, kind_name(&all[i]),
			 (unsigned long long)all[i].restarts);
	free(all);
}
