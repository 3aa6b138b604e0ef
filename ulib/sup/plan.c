// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * plan.c - what a supervisor does: OTP's supervisor.erl, as plans that can wait.
 *
 *	start		all children in order; one fails: end
 *	restart		stop a range in reverse, then start it in order. The
 *			range is the child (one_for_one), it and those after it
 *			(rest_for_one) or all (one_for_all). A start that fails
 *			is one more failure of that child, dealt with after
 *			whatever else there is to do (OTP's try_again_restart)
 *	end		stop all in reverse, all at once in simple_one_for_one
 *
 * Whoever is temporary is forgotten as soon as it does not run. To end goes
 * before all else, also before a plan that waits. Between plans: commands,
 * then exits, then restarts to be tried again; after each one the other
 * supervisors have their turn.
 */
#include "base/usdt.h"
#include "sup/sup_int.h"

static struct pulse__entry *entry_of(struct pulse__list *l)
{
	return container_of(l, struct pulse__entry, link);
}

static bool forgets(const struct pulse__entry *en)
{
	return en->spec->s.restart == PULSE_CHILD_TEMPORARY ||
	       en->sup->o.strategy == PULSE_SIMPLE_ONE_FOR_ONE;
}

void pulse__tell(struct pulse_sup *sup, int event, const char *id,
		 const struct pulse_exit *why)
{
	struct pulse_exit copy;

	PULSE__PROBE4(sup_event, sup->name, event, id, why ? why->kind : 0);
	if (!sup->o.on_event)
		return;
	if (why)
		copy = *why;
	pthread_mutex_unlock(&sup->e->lock);
	sup->o.on_event(sup, event, id, why ? &copy : NULL, sup->o.event_arg);
	pulse__relock(sup->e);
}

static void cmd_done(struct pulse_sup *sup, struct pulse__cmd *cmd, int err)
{
	if (!cmd)
		return;
	cmd->err = err;
	cmd->done = true;
	pthread_cond_broadcast(&sup->e->changed);
}

static void forget(struct pulse__entry *en)
{
	pulse__entry_remove(en);
	pulse__entry_destroy(en);
}

/* OTP's del_child(): not running, and nobody means to change that. */
static void del_child(struct pulse__entry *en)
{
	pulse__entry_settle(en);
	if (forgets(en))
		forget(en);
}

/* ---- beginning a plan ----------------------------------------------------------- */

static struct pulse__plan *begin(struct pulse_sup *sup,
				 enum pulse__plan_kind kind,
				 struct pulse__entry *one)
{
	struct pulse__plan *p = &sup->plan;

	*p = (struct pulse__plan){ .kind = kind, .one = one };
	return p;
}

static void begin_start(struct pulse__plan *p, struct pulse_sup *sup)
{
	p->starting = true;
	if (p->single) {
		p->at = &p->one->link;
		p->end = p->one->link.next;
		return;
	}
	p->at = sup->o.strategy == PULSE_REST_FOR_ONE && p->one ?
		&p->one->link : sup->children.next;
	p->end = &sup->children;
}

/* Backwards, from the last to the one after p->end. */
static void begin_stop(struct pulse__plan *p, struct pulse_sup *sup)
{
	p->at = p->single ? &p->one->link : sup->children.prev;
	p->end = p->one && (p->single ||
			    sup->o.strategy == PULSE_REST_FOR_ONE) ?
		 p->one->link.prev : &sup->children;
}

static void begin_end(struct pulse_sup *sup)
{
	/* Of a plan that is done nothing may be touched. */
	struct pulse__cmd *cmd = sup->plan.kind ? sup->plan.cmd : NULL;
	struct pulse__plan *p;

	/* The start of a root answers when all is over. */
	if (cmd && cmd->kind != PULSE__CMD_START) {
		if (cmd->kind == PULSE__CMD_START_CHILD)
			cmd->entry = NULL;	/* it is in the list */
		cmd_done(sup, cmd, -ESHUTDOWN);
		cmd = NULL;
	}
	if (!sup->end_why.kind)
		sup->end_why.kind = PULSE_EXIT_SHUTDOWN;
	p = begin(sup, PULSE__PLAN_END, NULL);
	p->cmd = cmd;
	p->at_once = sup->o.strategy == PULSE_SIMPLE_ONE_FOR_ONE;
	begin_stop(p, sup);
	sup->state = PULSE__SUP_ENDING;
}

static void begin_restart(struct pulse_sup *sup, struct pulse__entry *en,
			  int64_t delay_ns)
{
	struct pulse__plan *p;
	bool single = sup->o.strategy == PULSE_ONE_FOR_ONE ||
		      sup->o.strategy == PULSE_SIMPLE_ONE_FOR_ONE;

	pulse__entry_settle(en);
	p = begin(sup, PULSE__PLAN_RESTART, en);
	p->single = single;
	p->delay_ns = delay_ns;
	begin_stop(p, sup);
}

/* ---- restarts -------------------------------------------------------------------- */

static void too_many(struct pulse_sup *sup, struct pulse__entry *en)
{
	pulse_log(PULSE_LOG_WARN,
		  "%s: child \"%s\" brought more than %u restarts in %u ms; ending",
		  sup->name, en->spec->s.id, sup->times_room - 1,
		  sup->o.period_ms);
	del_child(en);
	sup->end_why = (struct pulse_exit){ .kind = PULSE_EXIT_SHUTDOWN,
					    .flags = PULSE_EXIT_TOO_MANY };
	sup->want_end = true;
}

/* OTP's restart(): one more, if it may be. */
static void attempt(struct pulse_sup *sup, struct pulse__entry *en)
{
	int64_t delay;

	if (pulse__restart_too_many(sup)) {
		too_many(sup, en);
		return;
	}
	sup->total_restarts++;
	en->restarts++;
	delay = pulse__restart_delay_ns(en);
	begin_restart(sup, en, delay);
}

/* Only what is significant and ended by itself comes here. */
static void auto_shutdown(struct pulse_sup *sup)
{
	struct pulse__entry *en;

	if (sup->o.auto_shutdown == PULSE_AUTO_ALL) {
		pulse__list_for_each_entry(en, &sup->children, link) {
			if ((en->spec->s.flags & PULSE_CHILD_SIGNIFICANT) &&
			    (en->inc || en->ended ||
			     en->status == PULSE_CHILD_RESTARTING))
				return;
		}
	}
	sup->end_why = (struct pulse_exit){ .kind = PULSE_EXIT_SHUTDOWN,
					    .flags = PULSE_EXIT_AUTO };
	sup->want_end = true;
}

/* OTP's do_restart(). */
static bool next_exit(struct pulse_sup *sup)
{
	struct pulse__list *l = pulse__list_pop(&sup->exits);
	struct pulse__entry *en;
	bool failed, significant;

	if (!l)
		return false;
	en = container_of(l, struct pulse__entry, on_list);
	en->ended = false;
	failed = en->last_exit.kind != PULSE_EXIT_NORMAL &&
		 en->last_exit.kind != PULSE_EXIT_SHUTDOWN;
	if (en->spec->s.restart == PULSE_CHILD_PERMANENT ||
	    (en->spec->s.restart == PULSE_CHILD_TRANSIENT && failed)) {
		attempt(sup, en);
		return true;
	}
	significant = en->spec->s.flags & PULSE_CHILD_SIGNIFICANT;
	del_child(en);
	if (significant && sup->o.auto_shutdown != PULSE_AUTO_NEVER)
		auto_shutdown(sup);
	return true;
}

static bool next_retry(struct pulse_sup *sup)
{
	struct pulse__list *l = pulse__list_pop(&sup->retries);
	struct pulse__entry *en;

	if (!l)
		return false;
	en = container_of(l, struct pulse__entry, on_list);
	if (en->counted)	/* its delay is over */
		begin_restart(sup, en, 0);
	else
		attempt(sup, en);
	return true;
}

/* ---- ends of plans ---------------------------------------------------------------- */

static void finish_end(struct pulse_sup *sup)
{
	struct pulse__cmd *cmd = sup->plan.cmd;
	struct pulse_child *inc = sup->parent ? sup->parent->inc : NULL;
	bool asked = sup->want_end && !(sup->end_why.flags &
					(PULSE_EXIT_TOO_MANY | PULSE_EXIT_AUTO));
	struct pulse__list *l;

	pulse__timer_off(sup->e, &sup->deadline);
	sup->plan.kind = PULSE__PLAN_NONE;
	sup->want_end = sup->brutal = false;
	sup->end_why.time_ns = pulse_now_ns();
	while ((l = pulse__list_pop(&sup->cmds)))
		cmd_done(sup, container_of(l, struct pulse__cmd, link),
			 -ESHUTDOWN);
	pulse__tell(sup, PULSE_SUP_ENDED, NULL, &sup->end_why);
	sup->state = !sup->parent && !asked && !sup->start_err ?
		     PULSE__SUP_ENDED : PULSE__SUP_IDLE;
	cmd_done(sup, cmd, sup->start_err ? sup->start_err : -ECANCELED);
	pthread_cond_broadcast(&sup->e->changed);
	if (inc) {
		inc->why = sup->end_why;
		pulse__post(inc, PULSE__POST_EXIT);
		pulse__child_put(inc);	/* the reference of who ran it */
	}
}

static void finish_stop(struct pulse_sup *sup)
{
	struct pulse__plan *p = &sup->plan;
	struct pulse__entry *en = p->one;
	struct pulse__cmd *cmd = p->cmd;

	switch (p->kind) {
	case PULSE__PLAN_RESTART:
		if (!p->delay_ns) {
			begin_start(p, sup);
			return;
		}
		p->kind = PULSE__PLAN_NONE;
		pulse__entry_status(en, PULSE_CHILD_RESTARTING);
		en->counted = true;
		pulse__timer_arm(sup->e, &en->timer, p->delay_ns, 0);
		pulse__tell(sup, PULSE_SUP_CHILD_DELAYED, en->spec->s.id,
			    &en->last_exit);
		return;
	case PULSE__PLAN_STOP_ONE:
		p->kind = PULSE__PLAN_NONE;
		cmd_done(sup, cmd, 0);
		return;
	default:
		finish_end(sup);
		return;
	}
}

static void finish_start(struct pulse_sup *sup)
{
	struct pulse__plan *p = &sup->plan;
	struct pulse__cmd *cmd = p->cmd;

	if (p->kind == PULSE__PLAN_START) {
		sup->state = PULSE__SUP_RUNNING;
		sup->started_ns = pulse__engine_now(sup->e);
		if (sup->parent)
			pulse__post(sup->parent->inc, PULSE__POST_READY);
	}
	p->kind = PULSE__PLAN_NONE;
	cmd_done(sup, cmd, 0);
}

static void start_failed(struct pulse_sup *sup, struct pulse__entry *en)
{
	struct pulse__plan *p = &sup->plan;
	struct pulse__cmd *cmd = p->cmd;
	int err = en->last_exit.code;

	switch (p->kind) {
	case PULSE__PLAN_START:
		sup->start_err = err;
		sup->end_why = (struct pulse_exit){ .kind = PULSE_EXIT_START,
						    .code = err };
		begin_end(sup);
		return;
	case PULSE__PLAN_START_ONE:
		p->kind = PULSE__PLAN_NONE;
		if (cmd->kind == PULSE__CMD_START_CHILD) {
			cmd->entry = NULL;
			forget(en);
		}
		cmd_done(sup, cmd, err);
		return;
	default:
		p->kind = PULSE__PLAN_NONE;
		pulse__entry_status(en, PULSE_CHILD_RESTARTING);
		en->counted = false;
		pulse__list_add_tail(&sup->retries, &en->on_list);
		return;
	}
}

/* ---- steps: true where it went on, false where it waits ----------------------------- */

static bool step_stop(struct pulse_sup *sup)
{
	struct pulse__plan *p = &sup->plan;

	while (p->at != p->end) {
		struct pulse__entry *en = entry_of(p->at);

		if (en->inc) {
			if (en->status != PULSE_CHILD_STOPPING)
				pulse__entry_stop(en);
			if (!p->at_once)
				return false;
			p->at = p->at->prev;
			continue;
		}
		p->at = p->at->prev;
		/* The one to be restarted is not to be forgotten. */
		if (p->kind == PULSE__PLAN_RESTART && en == p->one)
			pulse__entry_settle(en);
		else
			del_child(en);
	}
	if (p->at_once) {
		if (sup->nr_live)
			return false;
		p->at_once = false;	/* once more, for what is left of them */
		begin_stop(p, sup);
		return true;
	}
	finish_stop(sup);
	return true;
}

static bool step_start(struct pulse_sup *sup)
{
	struct pulse__plan *p = &sup->plan;

	while (p->at != p->end) {
		struct pulse__entry *en = entry_of(p->at);
		int ret;

		if (en->start_failed) {
			en->start_failed = false;
			start_failed(sup, en);
			return true;
		}
		if (en->status == PULSE_CHILD_STARTING)
			return false;
		if (en->inc || en->ended) {	/* started; ended again, perhaps */
			p->at = p->at->next;
			continue;
		}
		pulse__entry_settle(en);
		ret = pulse__entry_start(en);
		if (ret == PULSE__ELSEWHERE) {
			pulse__sup_wake(sup);
			return false;
		}
		if (ret < 0) {
			start_failed(sup, en);
			return true;
		}
		if (ret == PULSE_CHILD_IGNORE) {
			p->at = p->at->next;
			if (forgets(en)) {
				if (p->cmd && p->cmd->kind == PULSE__CMD_START_CHILD)
					p->cmd->entry = NULL;
				forget(en);
			}
		}
	}
	finish_start(sup);
	return true;
}

/* ---- commands ------------------------------------------------------------------------ */

/* All children anew, from the specs of before the start. */
static int make_children(struct pulse_sup *sup)
{
	while (!pulse__list_empty(&sup->children))
		forget(entry_of(sup->children.next));
	if (sup->o.strategy == PULSE_SIMPLE_ONE_FOR_ONE)
		return 0;
	for (uint32_t i = 0; i < sup->nr_specs; i++) {
		struct pulse__entry *en = pulse__entry_create(sup, sup->specs[i]);
		int err = en ? pulse__entry_add(sup, en) : -ENOMEM;

		if (err) {
			if (en)
				pulse__entry_destroy(en);
			return err;
		}
	}
	return 0;
}

static void begin_first(struct pulse_sup *sup, struct pulse__cmd *cmd)
{
	struct pulse__plan *p;

	sup->times_nr = 0;
	sup->start_err = 0;
	sup->late = false;
	sup->end_why = (struct pulse_exit){ 0 };
	sup->state = PULSE__SUP_STARTING;
	sup->start_err = make_children(sup);
	p = begin(sup, PULSE__PLAN_START, NULL);
	p->cmd = cmd;
	begin_start(p, sup);
	if (sup->start_err) {
		sup->end_why = (struct pulse_exit){ .kind = PULSE_EXIT_START,
						    .code = sup->start_err };
		begin_end(sup);
	}
}

static int cmd_start_child(struct pulse_sup *sup, struct pulse__cmd *cmd)
{
	struct pulse__entry *en = cmd->entry;
	struct pulse__entry *old = pulse__entry_find(sup, en->spec->s.id);
	struct pulse__plan *p;
	int err;

	if (old)
		return old->inc || old->ended ? -EALREADY : -EEXIST;
	err = pulse__entry_add(sup, en);
	if (err)
		return err;
	p = begin(sup, PULSE__PLAN_START_ONE, en);
	p->single = true;
	p->cmd = cmd;
	begin_start(p, sup);
	return 1;
}

static int cmd_on_child(struct pulse_sup *sup, struct pulse__cmd *cmd)
{
	struct pulse__entry *en = pulse__entry_find(sup, cmd->id);
	struct pulse__plan *p;

	if (cmd->kind != PULSE__CMD_TERMINATE &&
	    sup->o.strategy == PULSE_SIMPLE_ONE_FOR_ONE)
		return -EOPNOTSUPP;
	if (!en)
		return -ENOENT;
	if (cmd->kind == PULSE__CMD_TERMINATE) {
		p = begin(sup, PULSE__PLAN_STOP_ONE, en);
		p->single = true;
		p->cmd = cmd;
		begin_stop(p, sup);
		return 1;
	}
	if (en->inc || en->ended)
		return -EBUSY;
	if (en->status == PULSE_CHILD_RESTARTING)
		return -EAGAIN;
	if (cmd->kind == PULSE__CMD_DELETE) {
		forget(en);
		return 0;
	}
	p = begin(sup, PULSE__PLAN_START_ONE, en);
	p->single = true;
	p->cmd = cmd;
	begin_start(p, sup);
	return 1;
}

static bool next_cmd(struct pulse_sup *sup)
{
	struct pulse__list *l = pulse__list_pop(&sup->cmds);
	struct pulse__cmd *cmd;
	int ret;

	if (!l)
		return false;
	cmd = container_of(l, struct pulse__cmd, link);
	if (cmd->kind == PULSE__CMD_START) {
		if (sup->state == PULSE__SUP_RUNNING)
			cmd_done(sup, cmd, -EALREADY);
		else
			begin_first(sup, cmd);
		return true;
	}
	if (sup->state != PULSE__SUP_RUNNING)
		ret = -ESHUTDOWN;
	else if (cmd->kind == PULSE__CMD_START_CHILD)
		ret = cmd_start_child(sup, cmd);
	else
		ret = cmd_on_child(sup, cmd);
	if (ret != 1)
		cmd_done(sup, cmd, ret);
	return true;
}

/* ---- the supervisor --------------------------------------------------------------------- */

static bool monitored(const struct pulse_sup *sup)
{
	while (sup->above)
		sup = sup->above;
	return sup->monitor;
}

/* One thing to do; false: there is none, or it waits. */
static bool one_thing(struct pulse_sup *sup)
{
	if (sup->want_start) {
		sup->want_start = false;
		begin_first(sup, NULL);
		return true;
	}
	if (sup->want_end && sup->plan.kind != PULSE__PLAN_END) {
		if (sup->state != PULSE__SUP_IDLE &&
		    sup->state != PULSE__SUP_ENDED) {
			begin_end(sup);
			return true;
		}
		sup->want_end = sup->brutal = false;
		pthread_cond_broadcast(&sup->e->changed);
	}
	if (sup->plan.kind)
		return sup->plan.starting ? step_start(sup) : step_stop(sup);
	if (next_cmd(sup))
		return true;
	if (sup->state != PULSE__SUP_RUNNING || !monitored(sup))
		return false;
	return next_exit(sup) || next_retry(sup);
}

void pulse__sup_run(struct pulse_sup *sup)
{
	if (sup->end_within_ns && sup->want_end) {
		pulse__timer_arm(sup->e, &sup->deadline, sup->end_within_ns, 0);
		sup->end_within_ns = 0;
	}
	if (one_thing(sup))
		pulse__sup_wake(sup);
}

void pulse__sup_end(struct pulse_sup *sup, bool brutal)
{
	struct pulse__entry *en;

	sup->want_end = true;
	if (brutal && !sup->brutal) {
		sup->brutal = true;
		pulse__list_for_each_entry(en, &sup->children, link) {
			if (en->inc && !en->forced &&
			    en->status == PULSE_CHILD_STOPPING)
				pulse__entry_force(en);
		}
	}
	pulse__sup_wake(sup);
}

void pulse__wake_below(struct pulse_sup *sup)
{
	struct pulse__entry *en;

	pulse__sup_wake(sup);
	pulse__list_for_each_entry(en, &sup->children, link) {
		if (en->spec->s.kind == PULSE_CHILD_SUPERVISOR)
			pulse__wake_below(en->spec->s.supervisor);
	}
}
