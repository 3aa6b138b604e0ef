// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * wheel.c - the hierarchical timing wheel itself: filing timers, moving them
 * down, taking what is due. The scheme stands in timer.h. The caller locks.
 */
#include "timer/timer.h"

#define SLOT_MASK	(PULSE__TIMERS_SLOTS - 1)
/* A list of up to so many is searched for its first timer. */
#define LOOK_AT		8

/* ---- lists -------------------------------------------------------------- */

static void list_init(struct pulse_timer_node *head)
{
	head->next = head;
	head->prev = head;
}

static bool list_empty(const struct pulse_timer_node *head)
{
	return head->next == head;
}

static void list_append(struct pulse_timer_node *head,
			struct pulse_timer_node *n)
{
	n->next = head;
	n->prev = head->prev;
	head->prev->next = n;
	head->prev = n;
}

static void list_unlink(struct pulse_timer_node *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = NULL;
	n->prev = NULL;
}

/* All of @from to the end of @to. */
static void list_splice(struct pulse_timer_node *to,
			struct pulse_timer_node *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

static struct pulse_timer *timer_of(struct pulse_timer_node *n)
{
	return container_of(n, struct pulse_timer, node);
}

/* ---- ticks -------------------------------------------------------------- */

/* The first tick that is not before @ns: a timer is never early. */
static uint64_t tick_up(const struct pulse_timers *w, int64_t ns)
{
	if (ns <= 0)
		return 0;
	return (uint64_t)(ns - 1) / (uint64_t)w->resolution_ns + 1;
}

static uint64_t tick_down(const struct pulse_timers *w, int64_t ns)
{
	return ns > 0 ? (uint64_t)ns / (uint64_t)w->resolution_ns : 0;
}

int pulse__timers_setup(struct pulse_timers *w,
			const struct pulse_timers_opts *opts)
{
	struct pulse_timers_opts o = *opts;

	if (!o.resolution_ns)
		o.resolution_ns = PULSE__NSEC_PER_MSEC;
	if (!o.batch)
		o.batch = PULSE__TIMERS_BATCH;
	if (o.resolution_ns < PULSE__NSEC_PER_USEC ||
	    o.resolution_ns > PULSE__NSEC_PER_SEC || o.batch > 1000000 ||
	    o.reserved)
		return -EINVAL;
	memset(w, 0, sizeof(*w));
	w->magic = PULSE__TIMERS_MAGIC;
	w->batch = o.batch;
	w->resolution_ns = o.resolution_ns;
	w->now = o.now;
	w->now_arg = o.now_arg;
	list_init(&w->due);
	list_init(&w->late);
	list_init(&w->moving);
	for (unsigned int i = 0; i < PULSE__TIMERS_LEVELS; i++) {
		for (unsigned int j = 0; j < PULSE__TIMERS_SLOTS; j++)
			list_init(&w->slot[i][j]);
	}
	w->tick = tick_down(w, pulse__timers_clock(w));
	return 0;
}

/* ---- filing ------------------------------------------------------------- */

/* @past: the list for a timer whose tick has been dealt with. */
static void file(struct pulse_timers *w, struct pulse_timer *t,
		 struct pulse_timer_node *past)
{
	unsigned int level, i;

	if (t->tick <= w->tick) {
		t->place = PULSE__TIMER_LISTED;
		list_append(past, &t->node);
		return;
	}
	level = (63U - (unsigned int)__builtin_clzll(t->tick ^ w->tick)) /
		PULSE__TIMERS_BITS;
	i = (t->tick >> (PULSE__TIMERS_BITS * level)) & SLOT_MASK;
	t->place = 1 + level * PULSE__TIMERS_SLOTS + i;
	list_append(&w->slot[level][i], &t->node);
	w->used[level] |= 1ULL << i;
	w->levels |= 1U << level;
}

static void slot_unused(struct pulse_timers *w, unsigned int level,
			unsigned int i)
{
	w->used[level] &= ~(1ULL << i);
	if (!w->used[level])
		w->levels &= ~(1U << level);
}

static void unfile(struct pulse_timers *w, struct pulse_timer *t)
{
	unsigned int at = t->place - 1, level = at / PULSE__TIMERS_SLOTS;
	unsigned int i = at & SLOT_MASK;

	list_unlink(&t->node);
	/*
	 * A timer whose slot's turn has come is in another list and still says
	 * this place: that the slot is empty is then true as well.
	 */
	if (t->place != PULSE__TIMER_LISTED && list_empty(&w->slot[level][i]))
		slot_unused(w, level, i);
	t->place = 0;
	w->armed--;
}

int pulse__timers_arm(struct pulse_timers *w, struct pulse_timer *t,
		      int64_t deadline_ns, int64_t period_ns)
{
	if (t->place) {
		if (t->owner != w)
			return -EBUSY;
		unfile(w, t);
	}
	t->owner = w;
	t->deadline_ns = deadline_ns;
	t->period_ns = period_ns;
	t->tick = tick_up(w, deadline_ns);
	file(w, t, &w->late);
	w->armed++;
	return 0;
}

int pulse__timers_cancel(struct pulse_timers *w, struct pulse_timer *t)
{
	if (!t->place)
		return 0;
	if (t->owner != w)
		return -EINVAL;
	unfile(w, t);
	w->cancelled++;
	return 1;
}

/* ---- expiry ------------------------------------------------------------- */

/* The slot whose turn comes next, and the tick it begins at; false: none. */
static bool next_slot(const struct pulse_timers *w, unsigned int *level,
		      unsigned int *i, uint64_t *tick)
{
	unsigned int shift;

	if (!w->levels)
		return false;
	*level = (unsigned int)__builtin_ctz(w->levels);
	*i = (unsigned int)__builtin_ctzll(w->used[*level]);
	shift = PULSE__TIMERS_BITS * *level;
	/* The wheel's digits above, this slot's digit, zeros below. */
	*tick = (w->tick >> shift >> PULSE__TIMERS_BITS << PULSE__TIMERS_BITS |
		 *i) << shift;
	return true;
}

int64_t pulse_timers_next(const struct pulse_timers *w)
{
	const struct pulse_timer_node *n, *head;
	uint64_t tick, first = UINT64_MAX;
	unsigned int level, i, seen = 0;
	int64_t ns;

	if (!w)
		return PULSE_FOREVER;
	if (!list_empty(&w->due) || !list_empty(&w->late) ||
	    !list_empty(&w->moving))
		return 0;
	if (!next_slot(w, &level, &i, &tick))
		return PULSE_FOREVER;
	head = &w->slot[level][i];
	for (n = head->next; level && n != head && seen < LOOK_AT; n = n->next) {
		const struct pulse_timer *t =
			container_of(n, const struct pulse_timer, node);

		if (t->tick < first)
			first = t->tick;
		seen++;
	}
	/* Looked at all of them: the very tick. Else the slot's first one. */
	if (level && n == head)
		tick = first;
	if (tick > INT64_MAX ||
	    __builtin_mul_overflow((int64_t)tick, w->resolution_ns, &ns))
		return PULSE_FOREVER;
	return ns;
}

/* The next deadline of a periodic timer that is called for at @now_ns. */
static void next_period(struct pulse_timers *w, struct pulse_timer *t,
			int64_t now_ns)
{
	int64_t next, left_out;

	if (__builtin_add_overflow(t->deadline_ns, t->period_ns, &next)) {
		next = PULSE_FOREVER;
	} else if (next <= now_ns) {
		uint64_t behind = (uint64_t)now_ns - (uint64_t)next;
		uint64_t n = behind / (uint64_t)t->period_ns + 1;

		t->missed += n;
		w->missed += n;
		left_out = t->period_ns -
			   (int64_t)(behind % (uint64_t)t->period_ns);
		if (__builtin_add_overflow(now_ns, left_out, &next))
			next = PULSE_FOREVER;
	}
	t->deadline_ns = next;
	t->tick = tick_up(w, next);
	/* Later than now_ns, thus later than any tick that is due. */
	file(w, t, &w->late);
	w->armed++;
}

void pulse__timers_begin(struct pulse_timers *w)
{
	list_splice(&w->due, &w->late);
}

struct pulse_timer *pulse__timers_pop(struct pulse_timers *w, int64_t now_ns,
				      unsigned int *moves)
{
	uint64_t now = tick_down(w, now_ns), tick;
	struct pulse_timer *t;
	unsigned int level, i;

	for (;;) {
		while (!list_empty(&w->moving)) {
			if (!*moves)
				return NULL;
			--*moves;
			t = timer_of(w->moving.next);
			list_unlink(&t->node);
			file(w, t, &w->due);
			w->moved++;
		}
		if (!list_empty(&w->due))
			break;
		if (!next_slot(w, &level, &i, &tick) || tick > now) {
			/* No slot begins in between: none is jumped over. */
			if (w->tick < now)
				w->tick = now;
			return NULL;
		}
		w->tick = tick;
		list_splice(level ? &w->moving : &w->due, &w->slot[level][i]);
		slot_unused(w, level, i);
	}
	t = timer_of(w->due.next);
	unfile(w, t);
	w->fired++;
	if (t->period_ns)
		next_period(w, t, now_ns);
	return t;
}

struct pulse_timer *pulse__timers_drain(struct pulse_timers *w)
{
	struct pulse_timer *t;
	unsigned int level, i;
	uint64_t tick;

	list_splice(&w->due, &w->late);
	list_splice(&w->due, &w->moving);
	if (list_empty(&w->due)) {
		if (!next_slot(w, &level, &i, &tick))
			return NULL;
		list_splice(&w->due, &w->slot[level][i]);
		slot_unused(w, level, i);
	}
	t = timer_of(w->due.next);
	unfile(w, t);
	return t;
}

void pulse__timers_sum(const struct pulse_timers *w,
		       struct pulse_timers_stats *s)
{
	memset(s, 0, sizeof(*s));
	s->armed = w->armed;
	s->fired = w->fired;
	s->cancelled = w->cancelled;
	s->missed = w->missed;
	s->moved = w->moved;
}
