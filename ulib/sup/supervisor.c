// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * supervisor.c - the calls that make, start, change and end supervisors.
 *
 * A call on a tree that runs is a command on its caller's stack: it is put into
 * the supervisor's list, and waited for. An operation of a child must not wait
 * for the driver that it runs in.
 */
#include <stdio.h>

#include "sup/sup_int.h"

#define OPTS_VER0	pulse__size_to(struct pulse_sup_opts, reserved)
#define STOP_MS		5000
#define ALL_FLAGS	(PULSE_SUP_SHARED_BUDGET | PULSE_SUP_NO_MONITOR)
#define MAX_PERIOD_MS	(1U << 30)

#define REFUSE(...)							\
	({								\
		pulse_log(PULSE_LOG_ERROR, "supervisor: " __VA_ARGS__);	\
		-EINVAL;						\
	})

static int check_opts(struct pulse_sup_opts *o)
{
	if (o->strategy < PULSE_ONE_FOR_ONE ||
	    o->strategy > PULSE_SIMPLE_ONE_FOR_ONE)
		return REFUSE("strategy is %d; use PULSE_ONE_FOR_ONE or another",
			      o->strategy);
	if (o->max_restarts < PULSE_OFF || o->max_restarts > PULSE__MAX_RESTARTS)
		return REFUSE("max_restarts is %d; use 1 to %d or PULSE_OFF",
			      o->max_restarts, PULSE__MAX_RESTARTS);
	if (o->period_ms > MAX_PERIOD_MS)
		return REFUSE("period_ms is %u; at most %u", o->period_ms,
			      MAX_PERIOD_MS);
	if (o->auto_shutdown < PULSE_AUTO_NEVER || o->auto_shutdown > PULSE_AUTO_ALL)
		return REFUSE("auto_shutdown is %d; use a PULSE_AUTO_*",
			      o->auto_shutdown);
	if ((o->flags & ~ALL_FLAGS) || o->reserved)
		return REFUSE("unknown flags %#x", o->flags & ~ALL_FLAGS);
	if (o->backoff_jitter > 100)
		return REFUSE("backoff_jitter is %u per cent; at most 100",
			      o->backoff_jitter);
	if (o->backoff_max_ms && o->backoff_max_ms < o->backoff_min_ms)
		return REFUSE("backoff_max_ms is %u, under backoff_min_ms, %u",
			      o->backoff_max_ms, o->backoff_min_ms);
	if (o->max_threads > 4096)
		return REFUSE("max_threads is %u; at most 4096", o->max_threads);
	if (!o->max_restarts)
		o->max_restarts = 1;
	else if (o->max_restarts == PULSE_OFF)
		o->max_restarts = 0;
	if (!o->period_ms)
		o->period_ms = 5000;
	if (!o->backoff_max_ms)
		o->backoff_max_ms = o->backoff_min_ms;
	if (!o->backoff_reset_ms)
		o->backoff_reset_ms = o->period_ms > o->backoff_max_ms ?
				      o->period_ms : o->backoff_max_ms;
	if (!o->max_threads)
		o->max_threads = 256;
	if (!o->kill_wait_ms)
		o->kill_wait_ms = 1000;
	if (!o->seed)
		o->seed = (uint64_t)pulse_now_ns() | 1;
	return 0;
}

/* The time of a shutdown is over. */
static void on_deadline(struct pulse_timer *t, void *arg)
{
	struct pulse_sup *sup = arg;

	(void)t;
	sup->late = true;
	pulse__sup_end(sup, true);
}

int pulse_sup_create(const struct pulse_sup_opts *opts, struct pulse_sup **out)
{
	struct pulse_sup_opts o;
	struct pulse_sup *sup;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o), OPTS_VER0, opts);
	if (!err)
		err = check_opts(&o);
	if (err)
		return err;
	sup = pulse__calloc(1, sizeof(*sup));
	if (!sup)
		return -ENOMEM;
	sup->times_room = (uint32_t)o.max_restarts + 1;
	sup->times = pulse__calloc(sup->times_room, sizeof(*sup->times));
	err = sup->times ? pulse__engine_create(&o, &sup->own) : -ENOMEM;
	if (err) {
		pulse__free(sup->times);
		pulse__free(sup);
		return err;
	}
	snprintf(sup->name, sizeof(sup->name), "%s",
		 o.name ? o.name : "supervisor");
	o.name = NULL;
	sup->magic = PULSE__SUP_MAGIC;
	sup->fork_gen = pulse__fork_generation();
	sup->e = sup->own;
	sup->o = o;
	sup->rng = o.seed;
	sup->monitor = !(o.flags & PULSE_SUP_NO_MONITOR);
	pulse__list_init(&sup->run_link);
	pulse__list_init(&sup->cmds);
	pulse__list_init(&sup->children);
	pulse__list_init(&sup->exits);
	pulse__list_init(&sup->retries);
	pulse_timer_init(&sup->deadline, on_deadline, sup);
	*out = sup;
	return 0;
}

/* Called with no lock held, by the last who knows it; nothing of it runs. */
void pulse__sup_free(struct pulse_sup *sup)
{
	while (!pulse__list_empty(&sup->children)) {
		struct pulse__entry *en = container_of(sup->children.next,
						       struct pulse__entry, link);

		pulse__list_del(&en->link);
		pulse__list_del(&en->on_list);
		if (en->state && en->state_free)
			en->state_free(en->state);
		pulse__spec_put(en->spec);
		pulse__free(en);
	}
	for (uint32_t i = 0; i < sup->nr_specs; i++)
		pulse__spec_put(sup->specs[i]);
	pulse__free(sup->specs);
	pulse__free(sup->hash);
	pulse__free(sup->times);
	pulse__engine_put(sup->own);
	sup->magic = PULSE__MAGIC_DEAD;
	pulse__free(sup);
}

/* ---- commands --------------------------------------------------------------------- */

static int sup_check(const struct pulse_sup *sup)
{
	if (!sup)
		return -EINVAL;
	pulse__obj_check(sup, PULSE__SUP_MAGIC, "struct pulse_sup");
	return pulse__forked(sup->fork_gen) ? -EOWNERDEAD : 0;
}

/* Is this thread one that the tree waits for? Under the lock. */
static bool would_deadlock(const struct pulse__engine *e)
{
	return pulse__in_driver(e) || pulse__on_thread(e);
}

static int command(struct pulse_sup *sup, struct pulse__cmd *cmd)
{
	struct pulse__engine *e = sup->e;

	pthread_mutex_lock(&e->lock);
	if (would_deadlock(e)) {
		cmd->err = -EDEADLK;
	} else if (!e->thread_up) {
		cmd->err = -ESHUTDOWN;
	} else {
		pulse__list_add_tail(&sup->cmds, &cmd->link);
		pulse__sup_wake(sup);
		pulse__drive(e);
		while (!cmd->done)
			pthread_cond_wait(&e->changed, &e->lock);
	}
	pthread_mutex_unlock(&e->lock);
	return cmd->err;
}

static int command_by_id(struct pulse_sup *sup, enum pulse__cmd_kind kind,
			 const char *id)
{
	struct pulse__cmd cmd = { .kind = kind, .id = id };
	int err = sup_check(sup);

	if (err)
		return err;
	return id ? command(sup, &cmd) : -EINVAL;
}

int pulse_sup_terminate_child(struct pulse_sup *sup, const char *id)
{
	return command_by_id(sup, PULSE__CMD_TERMINATE, id);
}

int pulse_sup_delete_child(struct pulse_sup *sup, const char *id)
{
	return command_by_id(sup, PULSE__CMD_DELETE, id);
}

int pulse_sup_restart_child(struct pulse_sup *sup, const char *id)
{
	return command_by_id(sup, PULSE__CMD_RESTART, id);
}

/* ---- children ----------------------------------------------------------------------- */

/* A supervisor moves into a tree, or back, with all that is below it. */
static void move_to(struct pulse_sup *sub, struct pulse_sup *above)
{
	sub->above = above;
	sub->adopted = above;
	sub->e = above ? above->e : sub->own;
	for (uint32_t i = 0; i < sub->nr_specs; i++) {
		if (sub->specs[i]->s.kind == PULSE_CHILD_SUPERVISOR)
			move_to(sub->specs[i]->s.supervisor, sub);
	}
}

static bool is_below(const struct pulse_sup *sup, const struct pulse_sup *top)
{
	for (; sup; sup = sup->above) {
		if (sup == top)
			return true;
	}
	return false;
}

static int adopt(struct pulse_sup *sup, struct pulse__spec *spec)
{
	struct pulse_sup *sub = spec->s.supervisor;

	if (spec->s.kind != PULSE_CHILD_SUPERVISOR)
		return 0;
	if (sub->adopted || sub->own->thread_up || is_below(sup, sub) ||
	    sub->o.ctx || sub->o.now)
		return REFUSE("%s cannot be a child: it is one already, was started, is above, or has a context or clock of a root",
			      sub->name);
	move_to(sub, sup);
	return 0;
}

/* Before the start: one more spec for it. */
static int add_spec(struct pulse_sup *sup, struct pulse__spec *spec)
{
	for (uint32_t i = 0; i < sup->nr_specs; i++) {
		if (!strcmp(sup->specs[i]->s.id, spec->s.id))
			return -EEXIST;
	}
	if (sup->nr_specs && sup->o.strategy == PULSE_SIMPLE_ONE_FOR_ONE)
		return REFUSE("%s is simple_one_for_one: it has one spec only",
			      sup->name);
	if (sup->nr_specs == sup->specs_room) {
		uint32_t room = sup->specs_room ? sup->specs_room * 2 : 8;
		struct pulse__spec **more =
			pulse__realloc(sup->specs, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		sup->specs = more;
		sup->specs_room = room;
	}
	sup->specs[sup->nr_specs++] = spec;
	return 0;
}

void pulse__sup_forget_last(struct pulse_sup *sup)
{
	pulse__spec_put(sup->specs[--sup->nr_specs]);
}

static int start_now(struct pulse_sup *sup, struct pulse__spec *spec,
		     const char **id)
{
	struct pulse__cmd cmd = { .kind = PULSE__CMD_START_CHILD };
	struct pulse__entry *en = pulse__entry_create(sup, spec);
	int err;

	if (!en)
		return -ENOMEM;
	cmd.entry = en;
	err = command(sup, &cmd);
	if (!err && id)
		*id = cmd.entry ? spec->s.id : NULL;
	if (err && cmd.entry) {		/* it was never in the list */
		pulse__spec_put(en->spec);
		pulse__free(en);
	}
	return err;
}

static bool is_idle(struct pulse_sup *sup)
{
	bool idle;

	pthread_mutex_lock(&sup->e->lock);
	idle = sup->state == PULSE__SUP_IDLE && !sup->e->thread_up;
	pthread_mutex_unlock(&sup->e->lock);
	return idle;
}

int pulse_sup_start_child(struct pulse_sup *sup,
			  const struct pulse_child_spec *from, const char **id)
{
	struct pulse__spec *spec;
	int err = sup_check(sup);
	bool idle, adopted;

	if (err)
		return err;
	if (id)
		*id = NULL;
	idle = is_idle(sup);
	if (!idle && sup->o.strategy == PULSE_SIMPLE_ONE_FOR_ONE) {
		if (!from || !sup->nr_specs)
			return -EINVAL;
		err = pulse__spec_derive(sup->specs[0],
					 pulse__add_relaxed(&sup->dyn_serial, 1),
					 from->arg, &spec);
	} else {
		err = pulse__spec_create(sup, from, &spec);
	}
	if (err)
		return err;
	err = adopt(sup, spec);
	adopted = !err && spec->s.kind == PULSE_CHILD_SUPERVISOR;
	/* It may be over before we look again. */
	spec->owns_arg = !(idle && sup->o.strategy == PULSE_SIMPLE_ONE_FOR_ONE);
	if (!err)
		err = idle ? add_spec(sup, spec) : start_now(sup, spec, id);
	if (err) {
		if (adopted)
			move_to(spec->s.supervisor, NULL);
		spec->owns_arg = false;
		pulse__spec_put(spec);
		return err;
	}
	if (idle && id)
		*id = spec->s.id;
	if (!idle)
		pulse__spec_put(spec);	/* the entry has its own */
	return 0;
}

/* ---- start and end --------------------------------------------------------------------- */

int pulse_sup_start(struct pulse_sup *sup)
{
	struct pulse__cmd cmd = { .kind = PULSE__CMD_START };
	int err = sup_check(sup);

	if (err)
		return err;
	if (sup->adopted)
		return -EPERM;
	err = pulse__engine_up(sup->e, &sup->o);
	return err ? err : command(sup, &cmd);
}

static bool at_rest(const struct pulse_sup *sup)
{
	return (sup->state == PULSE__SUP_IDLE ||
		sup->state == PULSE__SUP_ENDED) && !sup->plan.kind &&
	       pulse__list_empty(&sup->cmds);
}

int pulse_sup_shutdown(struct pulse_sup *sup, int64_t timeout_ms)
{
	struct pulse__engine *e;
	int err = sup_check(sup);

	if (err)
		return err;
	if (sup->adopted)
		return -EPERM;
	e = sup->e;
	pthread_mutex_lock(&e->lock);
	if (would_deadlock(e)) {
		pthread_mutex_unlock(&e->lock);
		return -EDEADLK;
	}
	if (!at_rest(sup)) {
		if (timeout_ms >= 0)
			sup->end_within_ns = timeout_ms > MAX_PERIOD_MS ?
				(int64_t)MAX_PERIOD_MS * PULSE__NSEC_PER_MSEC :
				timeout_ms * PULSE__NSEC_PER_MSEC + 1;
		for (;;) {
			/* Again, should a start have come in between. */
			sup->want_end = true;
			pulse__sup_wake(sup);
			pulse__drive(e);
			if (at_rest(sup))
				break;
			pthread_cond_wait(&e->changed, &e->lock);
		}
		sup->want_end = false;
	}
	if (sup->late)
		err = -ETIMEDOUT;
	else if (sup->end_why.flags & PULSE_EXIT_TOO_MANY)
		err = -ENOTRECOVERABLE;
	sup->late = false;
	sup->state = PULSE__SUP_IDLE;
	pthread_mutex_unlock(&e->lock);
	return err;
}

int pulse_sup_stop(struct pulse_sup *sup)
{
	return pulse_sup_shutdown(sup, STOP_MS);
}

int pulse_sup_wait(struct pulse_sup *sup, int64_t deadline_ns,
		   struct pulse_exit *why)
{
	struct timespec until;
	int err = sup_check(sup);

	if (err)
		return err;
	if (deadline_ns < 0 || sup->adopted)
		return -EINVAL;
	pulse__ns_to_timespec(deadline_ns, &until);
	pthread_mutex_lock(&sup->e->lock);
	if (would_deadlock(sup->e))
		err = -EDEADLK;
	while (!err && !at_rest(sup)) {
		if (deadline_ns == PULSE_FOREVER)
			pthread_cond_wait(&sup->e->changed, &sup->e->lock);
		else
			err = -pthread_cond_timedwait(&sup->e->changed,
						      &sup->e->lock, &until);
	}
	if (!err && why)
		*why = sup->end_why;
	pthread_mutex_unlock(&sup->e->lock);
	return err;
}

int pulse_sup_destroy(struct pulse_sup *sup)
{
	int err = sup_check(sup);

	if (err == -EINVAL)
		return err;
	if (sup->adopted)
		return -EBUSY;
	if (err) {	/* a forked child: nothing of it runs here */
		pulse__free(sup->times);
		pulse__free(sup->hash);
		pulse__free(sup->specs);
		pulse__free(sup);
		return err;
	}
	if (pulse_sup_stop(sup) == -EDEADLK)
		return -EDEADLK;
	pulse__engine_down(sup->e);
	pulse__sup_free(sup);
	return 0;
}

/* ---- monitoring --------------------------------------------------------------------------- */

static int set_monitor(struct pulse_sup *sup, bool on)
{
	int err = sup_check(sup);

	if (err)
		return err;
	if (sup->adopted)
		return -EINVAL;
	pthread_mutex_lock(&sup->e->lock);
	if (sup->monitor == on) {
		err = -EALREADY;
	} else {
		sup->monitor = on;
		pulse__wake_below(sup);
		pulse__drive(sup->e);
	}
	pthread_mutex_unlock(&sup->e->lock);
	return err;
}

int pulse_sup_start_monitoring(struct pulse_sup *sup)
{
	return set_monitor(sup, true);
}

int pulse_sup_stop_monitoring(struct pulse_sup *sup)
{
	return set_monitor(sup, false);
}

int pulse_sup_kick(struct pulse_sup *sup)
{
	int err = sup_check(sup);

	if (err)
		return err;
	pthread_mutex_lock(&sup->e->lock);
	sup->e->kicked = true;
	pulse__drive(sup->e);
	pulse__engine_kick(sup->e);
	pthread_mutex_unlock(&sup->e->lock);
	return 0;
}
