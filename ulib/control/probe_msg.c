// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * probe_msg.c - probes of what sends messages and looks after it: supervisors,
 * actors, buses, mailboxes; and of the knobs of a control.
 */
#include "control/control_int.h"
#include "control/debug.h"

#include <pulse-u/actor.h>
#include <pulse-u/bus.h>
#include <pulse-u/control.h>
#include <pulse-u/mailbox.h>
#include <pulse-u/supervisor.h>

#define MOST	4096	/* children or types in one dump */

/* ---- a supervisor -------------------------------------------------------------- */

static void one_child(struct pulse_dump *d, const struct pulse_child_info *c)
{
	char why[96];

	pulse_dump_begin(d, NULL);
	pulse_dump_str(d, "id", c->id);
	pulse_dump_str(d, "kind", pulse_child_kind_text(c->kind));
	pulse_dump_str(d, "status", pulse_child_status_text(c->status));
	if (c->pid)
		pulse_dump_i64(d, "pid", c->pid);
	if (c->tid)
		pulse_dump_i64(d, "tid", c->tid);
	if (c->worker >= 0)
		pulse_dump_i64(d, "worker", c->worker);
	pulse_dump_u64(d, "incarnation", c->incarnation);
	pulse_dump_u64(d, "restarts", c->restarts);
	pulse_dump_u64(d, "memory_bytes", c->memory_bytes);
	if (c->last_exit.kind) {
		pulse_exit_text(&c->last_exit, why, sizeof(why));
		pulse_dump_str(d, "last_exit", why);
	}
	pulse_dump_end(d);
}

static int dump_sup(struct pulse_dump *d, void *sup)
{
	PULSE_OPTS(pulse_sup_stats, s);
	struct pulse_child_info *info = NULL;
	int err = pulse_sup_stats(sup, &s), n;

	if (err)
		return err;
	n = pulse_sup_which_children(sup, NULL, 0);
	if (n < 0)
		return n;
	n = n < MOST ? n : MOST;
	if (n) {
		info = pulse__calloc((size_t)n, sizeof(*info));
		if (!info)
			return -ENOMEM;
		info->sz = sizeof(*info);
		/* Some may be gone by now. */
		err = pulse_sup_which_children(sup, info, n);
		n = err < n ? err : n;
	}
	pulse_dump_i64(d, "uptime_ms", s.uptime_ns / PULSE__NSEC_PER_MSEC);
	pulse_dump_u64(d, "restarts", s.total_restarts);
	pulse_dump_u64(d, "failures", s.failures);
	pulse_dump_u64(d, "active", s.active_children);
	pulse_dump_begin_list(d, "children");
	for (int i = 0; i < n; i++)
		one_child(d, &info[i]);
	pulse_dump_end(d);
	pulse__free(info);
	return 0;
}

int pulse_debug_add_sup(struct pulse_debug *debug, const char *name,
			struct pulse_sup *sup)
{
	return sup ? pulse_debug_add(debug, name, dump_sup, sup) : -EINVAL;
}

/* ---- actors -------------------------------------------------------------------- */

static int dump_types(struct pulse_dump *d, struct pulse_actors *sys)
{
	int n = pulse_actor_types(sys, NULL, 0), have;
	const char **names;

	if (n < 0)
		return n;
	n = n < MOST ? n : MOST;
	names = pulse__calloc((size_t)n + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	have = pulse_actor_types(sys, names, n);
	n = have < n ? have : n;
	pulse_dump_begin(d, "types");
	for (int i = 0; i < n; i++)
		pulse_dump_i64(d, names[i], pulse_actor_list(sys, names[i], NULL, 0));
	pulse_dump_end(d);
	pulse__free(names);
	return 0;
}

static int dump_actors(struct pulse_dump *d, void *sys)
{
	PULSE_OPTS(pulse_actors_stats, s);
	int err = pulse_actors_stats(sys, &s);

	if (err)
		return err;
	pulse_dump_u64(d, "alive", s.alive);
	pulse_dump_u64(d, "spawned", s.spawned);
	pulse_dump_u64(d, "handled", s.handled);
	pulse_dump_u64(d, "dead_letters", s.dead_letters);
	pulse_dump_u64(d, "muted", s.muted);
	return dump_types(d, sys);
}

int pulse_debug_add_actors(struct pulse_debug *debug, const char *name,
			   struct pulse_actors *actors)
{
	return actors ? pulse_debug_add(debug, name, dump_actors, actors) :
	       -EINVAL;
}

/* ---- a bus, a mailbox ------------------------------------------------------------ */

static int dump_bus(struct pulse_dump *d, void *bus)
{
	PULSE_OPTS(pulse_bus_metrics, m);
	int err = pulse_bus_metrics(bus, &m);

	if (err)
		return err;
	pulse_dump_u64(d, "published", m.published);
	pulse_dump_u64(d, "unheard", m.unheard);
	pulse_dump_u64(d, "delivered", m.delivered);
	pulse_dump_u64(d, "consumed", m.consumed);
	pulse_dump_u64(d, "dropped", m.dropped);
	pulse_dump_u64(d, "filtered", m.filtered);
	pulse_dump_u64(d, "timeouts", m.timeouts);
	pulse_dump_u64(d, "disconnected", m.disconnected);
	pulse_dump_u64(d, "queued", m.queued);
	pulse_dump_u64(d, "async_queued", m.async_queued);
	pulse_dump_u64(d, "subscribers", m.subscribers);
	return 0;
}

int pulse_debug_add_bus(struct pulse_debug *debug, const char *name,
			struct pulse_bus *bus)
{
	return bus ? pulse_debug_add(debug, name, dump_bus, bus) : -EINVAL;
}

static int dump_mailbox(struct pulse_dump *d, void *mb)
{
	PULSE_OPTS(pulse_mailbox_stats, s);
	int err = pulse_mailbox_stats(mb, &s);

	if (err)
		return err;
	pulse_dump_bool(d, "closed", pulse_mailbox_closed(mb) == 1);
	pulse_dump_u64(d, "count", s.count);
	pulse_dump_u64(d, "held_bytes", s.held_bytes);
	pulse_dump_u64(d, "peak_usage", s.peak_usage);
	pulse_dump_u64(d, "sent", s.messages_sent);
	pulse_dump_u64(d, "received", s.messages_received);
	pulse_dump_u64(d, "expired", s.messages_expired);
	pulse_dump_u64(d, "dropped", s.messages_dropped);
	pulse_dump_u64(d, "refused", s.refused_full + s.refused_expired +
		       s.refused_size + s.refused_duplicate + s.refused_closed);
	pulse_dump_u64(d, "dead_letters", s.dead_letters);
	return 0;
}

int pulse_debug_add_mailbox(struct pulse_debug *debug, const char *name,
			    struct pulse_mailbox *mailbox)
{
	return mailbox ? pulse_debug_add(debug, name, dump_mailbox, mailbox) :
	       -EINVAL;
}

/* ---- a control ------------------------------------------------------------------- */

static int dump_control(struct pulse_dump *d, void *control)
{
	PULSE_OPTS(pulse_control_stats, s);
	int err = pulse_control_stats(control, &s);
	struct pulse_config *config;

	if (err)
		return err;
	pulse_dump_u64(d, "version", s.version);
	pulse_dump_u64(d, "reloads", s.reloads);
	pulse_dump_u64(d, "refused", s.refused);
	pulse_dump_u64(d, "undone", s.undone);
	config = pulse_control_config(control);
	pulse_dump_begin(d, "knobs");
	for (size_t i = 0; i < config->nr; i++) {
		const struct pulse__knob *k = config->control->knob[i];

		if (k->type == PULSE_KNOB_TEXT)
			pulse_dump_str(d, k->name, config->value[i].text);
		else if (k->type == PULSE_KNOB_BOOL)
			pulse_dump_bool(d, k->name, config->value[i].i);
		else
			pulse_dump_i64(d, k->name, config->value[i].i);
	}
	pulse_dump_end(d);
	pulse_config_put(config);
	return 0;
}

int pulse_debug_add_control(struct pulse_debug *debug, const char *name,
			    struct pulse_control *control)
{
	return control ? pulse_debug_add(debug, name, dump_control, control) :
	       -EINVAL;
}
