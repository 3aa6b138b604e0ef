// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * entry.c - a child of a supervisor: how it starts, stops and ends.
 *
 *	STOPPED    -> STARTING -> RUNNING -> STOPPING -> STOPPED
 *	RESTARTING ->    |           |
 *	                 v           v
 *	              STOPPED     STOPPED, in sup->exits until dealt with
 *
 * All of it is the driver's, under the lock, which is given up around each
 * operation of the child's kind. What the child reports meanwhile waits in the
 * inbox, so nothing has moved when the lock is back.
 */
#include "sup/sup_int.h"

/* ---- by name ---------------------------------------------------------------- */

static uint32_t hash_of(const char *id)
{
	uint32_t h = 2166136261U;	/* FNV-1a */

	while (*id)
		h = (h ^ (unsigned char)*id++) * 16777619U;
	return h;
}

static int hash_grow(struct pulse_sup *sup)
{
	uint32_t size = sup->hash_size ? sup->hash_size * 2 : 16;
	struct pulse__entry **table, *en;

	if (sup->nr_children < sup->hash_size)
		return 0;
	table = pulse__calloc(size, sizeof(*table));
	if (!table)
		return sup->hash_size ? 0 : -ENOMEM;	/* longer chains do */
	pulse__free(sup->hash);
	sup->hash = table;
	sup->hash_size = size;
	pulse__list_for_each_entry(en, &sup->children, link) {
		struct pulse__entry **at =
			&table[hash_of(en->spec->s.id) & (size - 1)];

		en->hash_next = *at;
		*at = en;
	}
	return 0;
}

struct pulse__entry *pulse__entry_find(const struct pulse_sup *sup,
				       const char *id)
{
	struct pulse__entry *en;

	if (!sup->hash_size)
		return NULL;
	en = sup->hash[hash_of(id) & (sup->hash_size - 1)];
	while (en && strcmp(en->spec->s.id, id))
		en = en->hash_next;
	return en;
}

int pulse__entry_add(struct pulse_sup *sup, struct pulse__entry *en)
{
	struct pulse__entry **at;
	int err = hash_grow(sup);

	if (err)
		return err;
	at = &sup->hash[hash_of(en->spec->s.id) & (sup->hash_size - 1)];
	en->hash_next = *at;
	*at = en;
	pulse__list_add_tail(&sup->children, &en->link);
	sup->nr_children++;
	return 0;
}

void pulse__entry_remove(struct pulse__entry *en)
{
	struct pulse_sup *sup = en->sup;
	struct pulse__entry **at =
		&sup->hash[hash_of(en->spec->s.id) & (sup->hash_size - 1)];

	while (*at != en)
		at = &(*at)->hash_next;
	*at = en->hash_next;
	pulse__list_del(&en->link);
	sup->nr_children--;
}

/* ---- life -------------------------------------------------------------------- */

static void on_timer(struct pulse_timer *t, void *arg);

struct pulse__entry *pulse__entry_create(struct pulse_sup *sup,
					 struct pulse__spec *spec)
{
	struct pulse__entry *en = pulse__calloc(1, sizeof(*en));

	if (!en)
		return NULL;
	en->sup = sup;
	en->spec = spec;
	pulse__spec_get(spec);
	pulse__list_init(&en->link);
	pulse__list_init(&en->on_list);
	pulse_timer_init(&en->timer, on_timer, en);
	pulse__watch_init(en);
	en->state = spec->s.state;
	en->state_free = spec->s.state_free;
	return en;
}

void pulse__entry_settle(struct pulse__entry *en)
{
	pulse__timer_off(en->sup->e, &en->timer);
	pulse__list_del(&en->on_list);
	en->ended = false;
	en->counted = false;
	pulse__entry_status(en, PULSE_CHILD_STOPPED);
}

void pulse__entry_destroy(struct pulse__entry *en)
{
	struct pulse__engine *e = en->sup->e;
	void (*state_free)(void *state) = en->state_free;
	void *state = en->state;

	pulse__entry_settle(en);
	pthread_mutex_unlock(&e->lock);
	if (state && state_free)
		state_free(state);
	pulse__spec_put(en->spec);
	pulse__free(en);
	pulse__relock(e);
}

void pulse__entry_status(struct pulse__entry *en, int status)
{
	if (en->status == status)
		return;
	en->sup->nr_running += (status == PULSE_CHILD_RUNNING) -
			       (en->status == PULSE_CHILD_RUNNING);
	en->status = status;
}

/* ---- start --------------------------------------------------------------------- */

static void begun(struct pulse__entry *en)
{
	pulse__timer_off(en->sup->e, &en->timer);
	pulse__entry_status(en, PULSE_CHILD_RUNNING);
	pulse__watch_begin(en);
	pulse__tell(en->sup, PULSE_SUP_CHILD_STARTED, en->spec->s.id, NULL);
}

static void note_start_failure(struct pulse__entry *en, int err)
{
	en->last_exit = (struct pulse_exit){ .kind = PULSE_EXIT_START,
					     .code = err,
					     .time_ns = pulse_now_ns() };
	pulse__tell(en->sup, PULSE_SUP_CHILD_START_FAILED, en->spec->s.id,
		    &en->last_exit);
}

int pulse__entry_start(struct pulse__entry *en)
{
	struct pulse__engine *e = en->sup->e;
	const struct pulse_child_ops *ops = en->spec->ops;
	struct pulse_child *inc;
	int ret;

	if (!(ops->flags & PULSE_CHILD_OPS_INLINE) && !pulse__on_thread(e)) {
		e->want_thread = true;
		return PULSE__ELSEWHERE;
	}
	en->start_failed = false;
	en->verdict = 0;
	en->forced = false;
	inc = pulse__child_create(en);
	if (!inc) {
		note_start_failure(en, -ENOMEM);
		return -ENOMEM;
	}
	en->inc = inc;
	en->sup->nr_live++;
	en->number++;
	en->started_ns = pulse__engine_moment(e);
	pulse__entry_status(en, PULSE_CHILD_STARTING);
	pthread_mutex_unlock(&e->lock);
	ret = ops->start(inc, en->spec->s.arg);
	pulse__relock(e);
	if (ret < 0 || ret == PULSE_CHILD_IGNORE) {
		en->inc = NULL;
		inc->entry = NULL;
		en->sup->nr_live--;
		en->number--;
		pulse__entry_status(en, PULSE_CHILD_STOPPED);
		pulse__child_put(inc);
		pulse__child_put(inc);
		if (ret < 0)
			note_start_failure(en, ret);
		return ret;
	}
	if (ret == PULSE_CHILD_PENDING ||
	    ((en->spec->s.flags & PULSE_CHILD_READY) &&
	     en->spec->s.kind != PULSE_CHILD_SUPERVISOR)) {
		if (en->spec->s.start_timeout_ms)
			pulse__timer_arm(e, &en->timer,
					 en->spec->s.start_timeout_ms *
					 PULSE__NSEC_PER_MSEC, 0);
		return 0;
	}
	begun(en);
	return 0;
}

/* ---- stop ----------------------------------------------------------------------- */

static void give_up(struct pulse__entry *en);

/* Force, and for a while a look at what comes of it. */
void pulse__entry_force(struct pulse__entry *en)
{
	struct pulse__engine *e = en->sup->e;
	const struct pulse_child_ops *ops = en->spec->ops;
	struct pulse_child *inc = en->inc;

	en->forced = true;
	en->sup->kills++;
	pulse__store_release(&inc->stopping, PULSE__FORCED);
	pulse__timer_arm(e, &en->timer,
			 en->sup->o.kill_wait_ms * PULSE__NSEC_PER_MSEC, 0);
	pulse__tell(en->sup, PULSE_SUP_CHILD_KILLED, en->spec->s.id, NULL);
	pthread_mutex_unlock(&e->lock);
	(ops->kill ? ops->kill : ops->stop)(inc, en->spec->s.arg);
	pulse__relock(e);
}

void pulse__entry_stop(struct pulse__entry *en)
{
	struct pulse__engine *e = en->sup->e;
	struct pulse_child *inc = en->inc;
	int32_t ms = en->spec->s.shutdown_ms;

	pulse__watch_end(en);
	pulse__entry_status(en, PULSE_CHILD_STOPPING);
	if (en->forced)		/* it is condemned: its timer runs */
		return;
	pulse__timer_off(e, &en->timer);
	if (en->sup->brutal || ms == PULSE_SHUTDOWN_BRUTAL) {
		pulse__entry_force(en);
		return;
	}
	if (ms != PULSE_SHUTDOWN_INFINITY)
		pulse__timer_arm(e, &en->timer, ms * PULSE__NSEC_PER_MSEC, 0);
	pulse__store_release(&inc->stopping, PULSE__ASKED);
	pthread_mutex_unlock(&e->lock);
	en->spec->ops->stop(inc, en->spec->s.arg);
	pulse__relock(e);
}

void pulse__entry_condemn(struct pulse__entry *en, enum pulse_exit_kind why,
			  uint32_t verdict)
{
	if (!en->inc || en->verdict || en->forced ||
	    en->status == PULSE_CHILD_STOPPING)
		return;
	en->verdict = why;
	en->inc->verdict = verdict;
	pulse__watch_end(en);
	pulse__entry_force(en);
}

static void on_timer(struct pulse_timer *t, void *arg)
{
	struct pulse__entry *en = arg;
	struct pulse_sup *sup = en->sup;

	(void)t;
	switch (en->status) {
	case PULSE_CHILD_RESTARTING:
		pulse__list_del(&en->on_list);
		pulse__list_add_tail(&sup->retries, &en->on_list);
		pulse__sup_wake(sup);
		break;
	case PULSE_CHILD_STARTING:
		if (en->forced)
			give_up(en);
		else
			pulse__entry_condemn(en, PULSE_EXIT_START, 0);
		break;
	case PULSE_CHILD_RUNNING:
	case PULSE_CHILD_STOPPING:
		if (en->forced)
			give_up(en);
		else
			pulse__entry_force(en);
		break;
	default:
		break;
	}
}

/* ---- end -------------------------------------------------------------------------- */

/* What an end means, seen from who asked for it or did not. */
static void judge(struct pulse__entry *en, struct pulse_exit *why,
		  uint32_t verdict)
{
	bool asked = en->status == PULSE_CHILD_STOPPING;

	if (en->verdict) {
		why->kind = en->verdict;
		why->verdict = verdict;
		if (en->verdict == PULSE_EXIT_START)
			why->code = -ETIMEDOUT;
	} else if (asked && en->forced) {
		why->kind = PULSE_EXIT_KILLED;
	} else if (asked && (why->kind == PULSE_EXIT_NORMAL ||
			     (why->kind == PULSE_EXIT_SIGNAL &&
			      why->signal == en->spec->s.stop_signal))) {
		why->kind = PULSE_EXIT_SHUTDOWN;
	}
}

static bool is_failure(const struct pulse_exit *why)
{
	return why->kind != PULSE_EXIT_NORMAL &&
	       why->kind != PULSE_EXIT_SHUTDOWN;
}

static void ended(struct pulse__entry *en, struct pulse_exit why)
{
	struct pulse_sup *sup = en->sup;
	struct pulse_child *inc = en->inc;
	int status = en->status;

	judge(en, &why, inc->verdict);
	pulse__timer_off(sup->e, &en->timer);
	pulse__watch_end(en);
	en->inc = NULL;
	sup->nr_live--;
	en->last_exit = why;
	if (status != PULSE_CHILD_STARTING && is_failure(&why) &&
	    (status == PULSE_CHILD_RUNNING || en->verdict)) {
		sup->failures++;
		sup->last_failure_ns = why.time_ns;
	}
	switch (status) {
	case PULSE_CHILD_STARTING:
		en->start_failed = true;
		pulse__entry_status(en, PULSE_CHILD_STOPPED);
		if (en->last_exit.kind != PULSE_EXIT_START) {
			en->last_exit.kind = PULSE_EXIT_START;
			if (en->last_exit.code >= 0)
				en->last_exit.code = -ECHILD;
		}
		pulse__tell(sup, PULSE_SUP_CHILD_START_FAILED, en->spec->s.id,
			    &en->last_exit);
		break;
	case PULSE_CHILD_RUNNING:
		pulse__entry_status(en, PULSE_CHILD_STOPPED);
		en->ended = true;
		pulse__list_add_tail(&sup->exits, &en->on_list);
		pulse__tell(sup, PULSE_SUP_CHILD_ENDED, en->spec->s.id, &why);
		break;
	default:
		pulse__entry_status(en, PULSE_CHILD_STOPPED);
		pulse__tell(sup, PULSE_SUP_CHILD_ENDED, en->spec->s.id, &why);
		break;
	}
	pulse__sup_wake(sup);
	inc->entry = NULL;
	pulse__child_put(inc);
}

/*
 * Force did not help. A process will go when the kernel lets it, and a
 * supervisor when its children do; all else is left alone from here on.
 */
static void give_up(struct pulse__entry *en)
{
	struct pulse_sup *sup = en->sup;
	struct pulse_child *inc = en->inc;
	struct pulse_exit why = { .kind = PULSE_EXIT_KILLED, .code = -ETIMEDOUT,
				  .time_ns = pulse_now_ns() };

	if (en->spec->s.kind == PULSE_CHILD_PROCESS ||
	    en->spec->s.kind == PULSE_CHILD_SUPERVISOR)
		return;
	pulse_log(PULSE_LOG_WARN,
		  "%s: child \"%s\" does not end by force either; it is left to itself",
		  sup->name, en->spec->s.id);
	sup->abandoned++;
	/* What it works on is its own now. */
	inc->left = en->state;
	inc->left_free = en->state_free;
	en->state = NULL;
	en->state_free = NULL;
	if (en->spec->s.kind == PULSE_CHILD_THREAD)
		pulse__thread_reap(inc, false);
	pulse__tell(sup, PULSE_SUP_CHILD_ABANDONED, en->spec->s.id, NULL);
	pulse__child_get(inc);		/* ended() drops the entry's */
	ended(en, why);
	pulse__child_put(inc);
}

void pulse__entry_posted(struct pulse_child *inc)
{
	struct pulse__entry *en = inc->entry;
	uint32_t bits = inc->posted;

	inc->posted = 0;
	if (bits & PULSE__POST_EXIT) {
		if (inc->spec->s.kind == PULSE_CHILD_THREAD && inc->joinable)
			pulse__thread_reap(inc, true);
		if (inc->spec->s.kind == PULSE_CHILD_PROCESS)
			pulse__process_reap(inc);
	}
	/* Else it was given up before. */
	if (en && en->inc == inc) {
		if ((bits & PULSE__POST_READY) &&
		    en->status == PULSE_CHILD_STARTING && !en->forced) {
			begun(en);
			pulse__sup_wake(en->sup);
		}
		if (bits & PULSE__POST_EXIT) {
			ended(en, inc->why);
		} else {
			if (bits & PULSE__POST_HEALTH) {
				en->checking = false;
				pulse__timer_off(inc->e, &en->check);
				if (!inc->healthy)
					pulse__entry_condemn(en, PULSE_EXIT_HEALTH, 0);
			}
			if (bits & PULSE__POST_MEMORY)
				pulse__entry_condemn(en, PULSE_EXIT_MEMORY, 0);
			if (bits & PULSE__POST_HANG)
				pulse__entry_condemn(en, PULSE_EXIT_HANG,
						     inc->verdict);
		}
	}
	pulse__child_put(inc);		/* the inbox's */
}
