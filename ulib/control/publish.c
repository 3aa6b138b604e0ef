// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * publish.c - figures of the other areas as series.
 *
 * A table names what is taken out of a struct of statistics; a collector reads
 * the struct and carries each figure over. Counters follow, so that they go on
 * growing where the object behind them is made anew under the same name.
 */
#include "control/metrics.h"

#include <pulse-u/actor.h>
#include <pulse-u/bus.h>
#include <pulse-u/control.h>
#include <pulse-u/mailbox.h>
#include <pulse-u/pool.h>
#include <pulse-u/supervisor.h>
#include <pulse-u/ws.h>

struct figure {
	const char *name, *help;
	int type;
	uint16_t offset, bytes;
	/* A counter with a second label. */
	const char *label, *value;
};

#define FIGURE(prefix, what, member, kind, text)			\
	{ prefix #member, text, PULSE_METRIC_##kind,			\
	  offsetof(struct what, member), sizeof(((struct what *)0)->member), \
	  NULL, NULL }
#define TOTAL(prefix, what, member, text)				\
	{ prefix #member "_total", text, PULSE_METRIC_COUNTER,		\
	  offsetof(struct what, member), sizeof(((struct what *)0)->member), \
	  NULL, NULL }

/* What a kind of object shows, and how it is asked. */
struct source {
	const struct figure *figures;
	size_t nr;
	int (*read)(void *object, void *stats);
};

struct published {
	const struct source *source;
	void *object;
	struct pulse_series *series[];
};

/* ---- what there is to see --------------------------------------------------- */

#define POOL(m, t)	TOTAL("pulse_pool_", pulse_pool_stats, m, t)
#define POOL_NOW(m, t)	FIGURE("pulse_pool_", pulse_pool_stats, m, GAUGE, t)

static const struct figure pool_figures[] = {
	POOL(submitted, "Tasks given to the pool."),
	POOL(completed, "Tasks that were run."),
	POOL(cancelled, "Tasks that were dropped."),
	POOL(stolen, "Tasks that a worker took from another."),
	POOL(parks, "Times that a worker went to sleep."),
	POOL(wakes, "Times that a worker was woken."),
	POOL(jobs_shared, "Forked jobs that were offered to others."),
	POOL(jobs_taken, "Forked jobs that others ran."),
	POOL_NOW(queued, "Tasks that wait."),
	POOL_NOW(num_workers, "Workers."),
	POOL_NOW(active_workers, "Workers that do not sleep."),
};

#define BOX(m, t)	TOTAL("pulse_mailbox_", pulse_mailbox_stats, m, t)
#define BOX_NOW(m, t)	FIGURE("pulse_mailbox_", pulse_mailbox_stats, m, GAUGE, t)

static const struct figure mailbox_figures[] = {
	BOX(messages_sent, "Messages that went in."),
	BOX(messages_received, "Messages that were taken out."),
	BOX(messages_expired, "Messages whose time was over."),
	BOX(messages_dropped, "Messages that were dropped."),
	BOX(rejected, "Messages that a receiver rejected."),
	BOX(refused_full, "Sends refused for want of room."),
	BOX(refused_expired, "Sends refused because the message had expired."),
	BOX(refused_size, "Sends refused because the message was too long."),
	BOX(refused_duplicate, "Sends refused because its id was there already."),
	BOX(refused_closed, "Sends to a mailbox that was closed."),
	{ "pulse_mailbox_bytes_total", "Payload that went in.",
	  PULSE_METRIC_COUNTER,
	  offsetof(struct pulse_mailbox_stats, total_size_bytes),
	  sizeof(uint64_t), NULL, NULL },
	BOX(dead_letters, "Messages that became dead letters."),
	BOX_NOW(count, "Messages in it."),
	BOX_NOW(held_bytes, "Payload in it."),
	BOX_NOW(peak_usage, "The most messages that were in it."),
};

#define BUS(m, t)	TOTAL("pulse_bus_", pulse_bus_metrics, m, t)
#define BUS_NOW(m, t)	FIGURE("pulse_bus_", pulse_bus_metrics, m, GAUGE, t)

static const struct figure bus_figures[] = {
	BUS(published, "Events."),
	BUS(unheard, "Events without a subscriber."),
	BUS(delivered, "Events put into subscribers' queues."),
	BUS(consumed, "Events that subscribers took."),
	BUS(dropped, "Events that found no room."),
	BUS(filtered, "Events that a filter did not want."),
	BUS(timeouts, "Events that a publisher waited for in vain."),
	BUS(disconnected, "Subscribers that were too slow."),
	BUS(lost, "Events lost for want of memory."),
	BUS_NOW(queued, "Events in queues."),
	BUS_NOW(async_queued, "Events that wait to be published."),
	BUS_NOW(subscribers, "Subscribers."),
};

#define ACTORS(m, t)	TOTAL("pulse_actors_", pulse_actors_stats, m, t)

static const struct figure actors_figures[] = {
	ACTORS(spawned, "Actors that were started."),
	ACTORS(handled, "Messages that were handled."),
	ACTORS(dead_letters, "Messages whose actor had ended."),
	ACTORS(muted, "Times that a sender was muted."),
	ACTORS(rescued, "Actors taken from a worker that was long in a handler."),
	FIGURE("pulse_actors_", pulse_actors_stats, alive, GAUGE, "Actors."),
};

#define SUP(m, t)	TOTAL("pulse_sup_", pulse_sup_stats, m, t)

static const struct figure sup_figures[] = {
	{ "pulse_sup_restarts_total", "Restarts of children.",
	  PULSE_METRIC_COUNTER, offsetof(struct pulse_sup_stats, total_restarts),
	  sizeof(uint64_t), NULL, NULL },
	SUP(failures, "Ends of children that were failures."),
	SUP(kills, "Children that had to be killed."),
	SUP(abandoned, "Threads that even force did not end."),
	FIGURE("pulse_sup_", pulse_sup_stats, active_children, GAUGE,
	       "Children that run."),
	FIGURE("pulse_sup_", pulse_sup_stats, in_period, GAUGE,
	       "Restarts that count at this moment."),
	FIGURE("pulse_sup_", pulse_sup_stats, uptime_ns, GAUGE,
	       "Nanoseconds since the last start."),
};

#define WS(m, t)	TOTAL("pulse_ws_", pulse_ws_stats, m, t)
#define WS_END(which, word)						\
	{ "pulse_ws_ended_total", "Connections that ended, and how.",	\
	  PULSE_METRIC_COUNTER, offsetof(struct pulse_ws_stats, ended[which]), \
	  sizeof(uint64_t), "how", word }

static const struct figure ws_figures[] = {
	FIGURE("pulse_ws_", pulse_ws_stats, connections, GAUGE, "Connections."),
	WS(accepted, "Connections that were accepted."),
	WS(opened, "Opening handshakes that succeeded."),
	WS(messages_in, "Messages received."),
	WS(messages_out, "Messages sent."),
	WS(bytes_in, "Payload received."),
	WS(bytes_out, "Payload sent."),
	WS(reads, "Receives from the system."),
	WS(sends, "Sends to the system."),
	WS_END(PULSE_WS_END_PEER, "peer"),
	WS_END(PULSE_WS_END_LOCAL, "local"),
	WS_END(PULSE_WS_END_PROTOCOL, "protocol"),
	WS_END(PULSE_WS_END_TOO_BIG, "too_big"),
	WS_END(PULSE_WS_END_IDLE, "idle"),
	WS_END(PULSE_WS_END_SLOW, "slow"),
	WS_END(PULSE_WS_END_LOST, "lost"),
	WS_END(PULSE_WS_END_CUT, "cut"),
	WS_END(PULSE_WS_END_REFUSED, "refused"),
	WS_END(PULSE_WS_END_HTTP, "http"),
	WS(inflated, "Messages that came compressed."),
	WS(deflated, "Messages compressed for sending."),
	WS(published, "Messages published on topics that somebody had subscribed to."),
	WS(delivered, "Copies of them given to subscribers."),
	WS(aged, "Connections closed at the end of their lifetime."),
	{ "pulse_ws_topic_dropped_total", "Copies of them that found no room.",
	  PULSE_METRIC_COUNTER, offsetof(struct pulse_ws_stats, dropped),
	  sizeof(uint64_t), NULL, NULL },
};

#define CONTROL(m, t)	TOTAL("pulse_control_", pulse_control_stats, m, t)

static const struct figure control_figures[] = {
	CONTROL(reloads, "Reloads that changed something."),
	CONTROL(refused, "Reloads that were refused."),
	CONTROL(undone, "Callbacks that had to undo."),
	CONTROL(busy, "Calls refused because there were too many."),
	FIGURE("pulse_control_", pulse_control_stats, version, GAUGE,
	       "Version of the configuration."),
};

#define READER(area, what, object_type, call)				\
static int read_##area(void *object, void *stats)			\
{									\
	((struct what *)stats)->sz = sizeof(struct what);		\
	return call((object_type *)object, stats);			\
}									\
static const struct source area##_source = {				\
	area##_figures, ARRAY_SIZE(area##_figures),			\
	read_##area							\
}

READER(pool, pulse_pool_stats, struct pulse_pool, pulse_pool_stats);
READER(mailbox, pulse_mailbox_stats, struct pulse_mailbox, pulse_mailbox_stats);
READER(bus, pulse_bus_metrics, struct pulse_bus, pulse_bus_metrics);
READER(actors, pulse_actors_stats, struct pulse_actors, pulse_actors_stats);
READER(sup, pulse_sup_stats, struct pulse_sup, pulse_sup_stats);
READER(ws, pulse_ws_stats, struct pulse_ws_server, pulse_ws_server_stats);
READER(control, pulse_control_stats, struct pulse_control, pulse_control_stats);

/* ---- carrying over ---------------------------------------------------------- */

static uint64_t figure_of(const struct figure *f, const void *stats)
{
	uint64_t wide;
	uint32_t narrow;

	if (f->bytes == sizeof(wide)) {
		memcpy(&wide, (const char *)stats + f->offset, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, (const char *)stats + f->offset, sizeof(narrow));
	return narrow;
}

union stats {
	struct pulse_pool_stats pool;
	struct pulse_mailbox_stats mailbox;
	struct pulse_bus_metrics bus;
	struct pulse_actors_stats actors;
	struct pulse_sup_stats sup;
	struct pulse_ws_stats ws;
	struct pulse_control_stats control;
};

static void collect(void *arg)
{
	struct published *p = arg;
	const struct source *source = p->source;
	union stats stats;

	memset(&stats, 0, sizeof(stats));
	/* What cannot be read stays as it was. */
	if (source->read(p->object, &stats))
		return;
	for (size_t i = 0; i < source->nr; i++) {
		const struct figure *f = &source->figures[i];
		uint64_t v = figure_of(f, &stats);

		if (f->type == PULSE_METRIC_COUNTER)
			pulse_series_follow(p->series[i], v);
		else
			pulse_series_set(p->series[i], (double)v);
	}
}

static int find_series(struct pulse_metrics *m, const struct figure *f,
		       const char *name, struct pulse_series **out)
{
	const char *labels[] = { "name", f->label, NULL };
	const char *values[] = { name, f->value, NULL };
	PULSE_OPTS(pulse_metric_opts, o, .name = f->name, .help = f->help,
		   .type = f->type, .labels = labels);
	struct pulse_metric *family;
	int err = pulse_metrics_define(m, &o, &family);

	return err ? err : pulse_metric_series(family, values, out);
}

static int publish(struct pulse_metrics *m, const char *name, void *object,
		   const struct source *source)
{
	struct published *p;
	union stats stats;
	int err = 0;

	if (!m || !name || !object)
		return -EINVAL;
	p = pulse__calloc(1, sizeof(*p) + source->nr * sizeof(p->series[0]));
	if (!p)
		return -ENOMEM;
	p->source = source;
	p->object = object;
	for (size_t i = 0; i < source->nr && !err; i++)
		err = find_series(m, &source->figures[i], name, &p->series[i]);
	memset(&stats, 0, sizeof(stats));
	if (!err)
		err = source->read(object, &stats);
	for (size_t i = 0; i < source->nr && !err; i++)
		if (source->figures[i].type == PULSE_METRIC_COUNTER)
			pulse__series_anew(p->series[i],
					   figure_of(&source->figures[i], &stats));
	if (!err)
		err = pulse__metrics_collect(m, collect, p, pulse__free);
	if (err < 0)
		pulse__free(p);
	return err;
}

int pulse_metrics_add_pool(struct pulse_metrics *metrics, const char *name,
			   struct pulse_pool *pool)
{
	return publish(metrics, name, pool, &pool_source);
}

int pulse_metrics_add_mailbox(struct pulse_metrics *metrics, const char *name,
			      struct pulse_mailbox *mailbox)
{
	return publish(metrics, name, mailbox, &mailbox_source);
}

int pulse_metrics_add_bus(struct pulse_metrics *metrics, const char *name,
			  struct pulse_bus *bus)
{
	return publish(metrics, name, bus, &bus_source);
}

int pulse_metrics_add_actors(struct pulse_metrics *metrics, const char *name,
			     struct pulse_actors *actors)
{
	return publish(metrics, name, actors, &actors_source);
}

int pulse_metrics_add_sup(struct pulse_metrics *metrics, const char *name,
			  struct pulse_sup *sup)
{
	return publish(metrics, name, sup, &sup_source);
}

int pulse_metrics_add_ws(struct pulse_metrics *metrics, const char *name,
			 struct pulse_ws_server *server)
{
	return publish(metrics, name, server, &ws_source);
}

int pulse_metrics_add_control(struct pulse_metrics *metrics, const char *name,
			      struct pulse_control *control)
{
	return publish(metrics, name, control, &control_source);
}
