// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * query.c - looks at a tree: the lock, no waiting for what is under way, so also
 * allowed to operations and event functions.
 */
#include <stdio.h>

#include "sup/sup_int.h"

#define INFO_VER0	pulse__size_to(struct pulse_child_info, last_exit)
#define COUNT_VER0	pulse__size_to(struct pulse_sup_count, workers)
#define STATS_VER0	pulse__size_to(struct pulse_sup_stats, in_period)

static int check(const struct pulse_sup *sup)
{
	if (!sup)
		return -EINVAL;
	pulse__obj_check(sup, PULSE__SUP_MAGIC, "struct pulse_sup");
	return pulse__forked(sup->fork_gen) ? -EOWNERDEAD : 0;
}

static void fill(const struct pulse__entry *en, struct pulse_child_info *out)
{
	const struct pulse_child_spec *s = &en->spec->s;
	const struct pulse_child *inc = en->inc;

	memset(out, 0, sizeof(*out));
	snprintf(out->id, sizeof(out->id), "%s", s->id);
	out->kind = s->kind;
	out->status = en->status;
	out->restart = s->restart;
	out->worker = inc ? READ_ONCE(inc->worker) : -1;
	out->pid = inc ? READ_ONCE(inc->pid) : 0;
	out->tid = inc ? READ_ONCE(inc->tid) : 0;
	out->supervisor = s->kind == PULSE_CHILD_SUPERVISOR ? s->supervisor : NULL;
	out->incarnation = en->number;
	out->restarts = en->restarts;
	out->started_ns = en->started_ns;
	out->memory_bytes = s->kind == PULSE_CHILD_PROCESS ? en->rss_bytes :
			    inc ? READ_ONCE(inc->mem_bytes) : 0;
	out->last_exit = en->last_exit;
}

int pulse_sup_find_child(struct pulse_sup *sup, const char *id,
			 struct pulse_child_info *out)
{
	struct pulse_child_info info;
	struct pulse__entry *en;
	int err = check(sup);

	if (!err)
		err = id ? pulse__out_check(out, INFO_VER0) : -EINVAL;
	if (err)
		return err;
	pthread_mutex_lock(&sup->e->lock);
	en = pulse__entry_find(sup, id);
	if (en)
		fill(en, &info);
	pthread_mutex_unlock(&sup->e->lock);
	if (!en)
		return -ENOENT;
	pulse__out_store(out, &info, sizeof(info));
	return 0;
}

int pulse_sup_which_children(struct pulse_sup *sup, struct pulse_child_info *out,
			     int max)
{
	struct pulse_child_info info;
	struct pulse__entry *en;
	int n = 0, err = check(sup);

	if (!err && max)
		err = max < 0 ? -EINVAL : pulse__out_check(out, INFO_VER0);
	if (err)
		return err;
	pthread_mutex_lock(&sup->e->lock);
	pulse__list_for_each_entry(en, &sup->children, link) {
		if (n < max) {
			size_t sz = out->sz;
			char *at = (char *)out + (size_t)n * sz;

			fill(en, &info);
			memcpy(at, &sz, sizeof(sz));
			pulse__out_store(at, &info, sizeof(info));
		}
		n++;
	}
	pthread_mutex_unlock(&sup->e->lock);
	return n;
}

int pulse_sup_count_children(struct pulse_sup *sup, struct pulse_sup_count *out)
{
	struct pulse_sup_count c = { 0 };
	struct pulse__entry *en;
	int err = check(sup);

	if (!err)
		err = pulse__out_check(out, COUNT_VER0);
	if (err)
		return err;
	pthread_mutex_lock(&sup->e->lock);
	pulse__list_for_each_entry(en, &sup->children, link) {
		c.specs++;
		c.active += en->inc != NULL;
		if (en->spec->s.kind == PULSE_CHILD_SUPERVISOR)
			c.supervisors++;
		else
			c.workers++;
	}
	if (sup->o.strategy == PULSE_SIMPLE_ONE_FOR_ONE)
		c.specs = 1;
	pthread_mutex_unlock(&sup->e->lock);
	pulse__out_store(out, &c, sizeof(c));
	return 0;
}

int pulse_sup_stats(struct pulse_sup *sup, struct pulse_sup_stats *out)
{
	struct pulse_sup_stats s = { 0 };
	int err = check(sup);

	if (!err)
		err = pulse__out_check(out, STATS_VER0);
	if (err)
		return err;
	pthread_mutex_lock(&sup->e->lock);
	s.total_restarts = sup->total_restarts;
	if (sup->state == PULSE__SUP_RUNNING)
		s.uptime_ns = pulse__engine_now(sup->e) - sup->started_ns;
	s.last_failure_ns = sup->last_failure_ns;
	s.active_children = sup->nr_live;
	s.failures = sup->failures;
	s.kills = sup->kills;
	s.abandoned = sup->abandoned;
	s.in_period = pulse__restarts_in_period(sup);
	pthread_mutex_unlock(&sup->e->lock);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}
