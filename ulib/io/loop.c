// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * loop.c - the turns of a poller, and how other threads reach it.
 *
 * Posting is a push on a list; the loop takes the whole list. Nobody is woken
 * but a loop that sleeps, by the store-then-look of both sides:
 *
 *	poster				loop
 *	push onto posted   (A)		asleep = 1	 (C)
 *	asleep == 1 ? wake (B)		posted empty ? wait (D)
 *
 * All four are seq_cst, so either B sees C or D sees A. The one poster that
 * takes asleep from 1 to 0 writes the eventfd: one wake for many posts.
 */
#include "io/poller_int.h"

#include <pulse-u/backend.h>

/* Stands in p->posted when nothing may be posted any more. */
static struct pulse_poller_task posts_ended;

struct call {
	struct pulse_poller_task task;
	pulse_poller_task_fn fn;
	void *arg;
};

static void wake(struct pulse_poller *p)
{
	/* (B), pairs with (C) in turn() */
	if (!__atomic_load_n(&p->asleep, __ATOMIC_SEQ_CST) ||
	    !__atomic_exchange_n(&p->asleep, 0, __ATOMIC_SEQ_CST))
		return;
	pulse__add_relaxed(&p->n_wakes, 1);
	p->ops->wake(p);
}

int pulse_poller_post_task(struct pulse_poller *p,
			   struct pulse_poller_task *task)
{
	struct pulse_poller_task *head;

	if (!p || !task || !task->fn)
		return -EINVAL;
	head = READ_ONCE(p->posted);
	do {
		if (head == &posts_ended)
			return -ESHUTDOWN;
		task->next = head;
		/* (A), pairs with (D) in turn(); publishes the task */
	} while (!pulse__cas(&p->posted, &head, task, __ATOMIC_SEQ_CST,
			     __ATOMIC_RELAXED));
	wake(p);
	return 0;
}

static void run_call(struct pulse_poller *p, struct pulse_poller_task *task)
{
	struct call *c = container_of(task, struct call, task);
	struct call copy = *c;

	pulse__free(c);
	copy.fn(p, copy.arg);
}

int pulse_poller_post(struct pulse_poller *p, pulse_poller_task_fn fn,
		      void *arg)
{
	struct call *c;
	int err;

	if (!p || !fn)
		return -EINVAL;
	c = pulse__malloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	*c = (struct call){ .task.fn = run_call, .fn = fn, .arg = arg };
	err = pulse_poller_post_task(p, &c->task);
	if (err)
		pulse__free(c);
	return err;
}

/* Runs a list that was taken off, oldest first. */
static unsigned int run_tasks(struct pulse_poller *p,
			      struct pulse_poller_task *newest)
{
	struct pulse_poller_task *oldest = NULL;
	unsigned int n = 0;

	while (newest) {
		struct pulse_poller_task *t = newest;

		newest = t->next;
		t->next = oldest;
		oldest = t;
	}
	while (oldest) {
		struct pulse_poller_task *t = oldest;

		oldest = t->next;
		t->fn(p, t);
		n++;
	}
	return n;
}

static PULSE__NOINLINE unsigned int run_posted(struct pulse_poller *p)
{
	struct pulse_poller_task *head = READ_ONCE(p->posted);
	unsigned int n;

	if (head == &posts_ended)
		return 0;
	/* pairs with (A): the tasks' content */
	head = __atomic_exchange_n(&p->posted, NULL, __ATOMIC_ACQUIRE);
	n = run_tasks(p, head);
	WRITE_ONCE(p->n_posted, p->n_posted + n);
	return n;
}

void pulse__poller_end_posts(struct pulse_poller *p)
{
	struct pulse_poller_task *head;

	head = __atomic_exchange_n(&p->posted, &posts_ended, __ATOMIC_ACQ_REL);
	/* A forked child inherited them, but they are the parent's to run. */
	if (head != &posts_ended && !pulse__forked(p->fork_gen))
		run_tasks(p, head);
}

static PULSE__NOINLINE bool is_task(const struct pulse_poller_task *head)
{
	return head != &posts_ended;
}

static inline bool something_posted(const struct pulse_poller *p)
{
	/* (D), pairs with (A) in pulse_poller_post_task() */
	const struct pulse_poller_task *head =
		__atomic_load_n(&p->posted, __ATOMIC_SEQ_CST);

	return (unlikely(head) && is_task(head)) ||
	       __atomic_load_n(&p->stop, __ATOMIC_SEQ_CST);
}

/*
 * Looks without sleeping; posters find it awake and wake nobody, and so are
 * looked for here. Returns what was handled, 0: nothing came in time.
 */
static int spin(struct pulse_poller *p, int64_t deadline_ns)
{
	int64_t until = pulse_now_ns() + p->spin_ns;
	int n;

	if (until > deadline_ns)
		until = deadline_ns;
	do {
		n = p->ops->wait(p, 0);
	} while (!n && !something_posted(p) && p->now_ns < until);
	return n;
}

static PULSE__NOINLINE void call_hooks(struct pulse_poller *p)
{
	for (struct pulse_poller_hook *h = p->hooks, *next; h; h = next) {
		next = h->next;
		h->fn(p, h);
	}
	while (p->due) {
		struct pulse_poller_hook *h = p->due;

		p->due = h->next;
		h->fn(p, h);
	}
}

static inline bool has_hooks(const struct pulse_poller *p)
{
	return (uintptr_t)p->hooks | (uintptr_t)p->due;
}

static PULSE__INLINE unsigned int turn(struct pulse_poller *p,
				       int64_t deadline_ns)
{
	unsigned int posted, timers;
	int64_t due;
	int events;

	/* worker.c calls them before it parks */
	if (unlikely(has_hooks(p)) && !p->worker)
		call_hooks(p);
	due = pulse__wheel_next(&p->wheel);
	if (deadline_ns > due)
		deadline_ns = due;
	if (p->spin_ns && deadline_ns > 0) {
		events = spin(p, deadline_ns);
		if (events)
			goto handled;
	}
	do {
		if (deadline_ns > 0) {
			/* (C), pairs with (B) in wake() */
			__atomic_store_n(&p->asleep, 1, __ATOMIC_SEQ_CST);
			if (something_posted(p))
				deadline_ns = 0;
		}
		events = p->ops->wait(p, deadline_ns);
	} while (unlikely(events == PULSE__POLLER_AGAIN));
handled:
	posted = unlikely(READ_ONCE(p->posted)) ? run_posted(p) : 0;
	timers = pulse__wheel_advance(&p->wheel, p->now_ns, p);
	pulse__add_own(&p->n_turns, 1);
	pulse__add_own(&p->n_events, (unsigned int)events);
	if (unlikely(timers))
		pulse__add_own(&p->n_timers, timers);
	return (unsigned int)events + posted + timers;
}

static int enter(struct pulse_poller *p)
{
	int free_now = 0, err;

	if (pulse__forked(p->fork_gen))
		return -EOWNERDEAD;
	if (pulse__poller_current)
		return pulse__poller_current == p ? -EBUSY : -EDEADLK;
	if (!pulse__cas(&p->running, &free_now, 1, __ATOMIC_ACQUIRE,
			__ATOMIC_RELAXED))
		return -EBUSY;
	pulse__poller_current = p;
	err = p->ops->begin ? p->ops->begin(p) : 0;
	if (unlikely(err)) {
		pulse__poller_current = NULL;
		pulse__store_release(&p->running, 0);
	}
	return err;
}

static void leave(struct pulse_poller *p)
{
	if (p->ops->leave)
		p->ops->leave(p);
	pulse__poller_current = NULL;
	/* pairs with enter() and pulse__poller_mine() of the next user */
	pulse__store_release(&p->running, 0);
}

int pulse_poller_run_once(struct pulse_poller *p, int64_t deadline_ns)
{
	unsigned int n;
	int err;

	if (!p)
		return -EINVAL;
	err = enter(p);
	if (err)
		return err;
	n = turn(p, deadline_ns);
	__atomic_store_n(&p->stop, 0, __ATOMIC_RELAXED);
	leave(p);
	return n > INT_MAX ? INT_MAX : (int)n;
}

int pulse_poller_prepare(struct pulse_poller *p, int *fd, int64_t *deadline_ns)
{
	int err;

	if (!p || !fd || !deadline_ns)
		return -EINVAL;
	err = enter(p);
	if (err)
		return err;
	call_hooks(p);
	*fd = p->ops->fd(p);
	*deadline_ns = pulse__wheel_next(&p->wheel);
	/* (C), pairs with (B) in wake() */
	__atomic_store_n(&p->asleep, 1, __ATOMIC_SEQ_CST);
	err = something_posted(p);
	leave(p);
	return err;
}

int pulse_poller_run(struct pulse_poller *p)
{
	int worker = -1;
	int err;

	if (!p)
		return -EINVAL;
	err = enter(p);
	if (err)
		return err;
	if (p->ctx) {
		worker = pulse_worker_register(p->ctx, -1, p->cookie);
		if (worker < 0) {
			leave(p);
			return worker;
		}
	}
	while (likely(!READ_ONCE(p->stop)) ||
	       !__atomic_exchange_n(&p->stop, 0, __ATOMIC_ACQUIRE))
		turn(p, PULSE_FOREVER);
	if (worker >= 0)
		pulse_worker_unregister(p->ctx, worker);
	leave(p);
	return 0;
}

int pulse_poller_stop(struct pulse_poller *p)
{
	if (!p)
		return -EINVAL;
	/* takes the place of (A) */
	__atomic_store_n(&p->stop, 1, __ATOMIC_SEQ_CST);
	wake(p);
	return 0;
}

/* ---- for worker.c --------------------------------------------------------- */

int pulse__poller_enter(struct pulse_poller *p)
{
	return enter(p);
}

void pulse__poller_leave(struct pulse_poller *p)
{
	leave(p);
}

void pulse__poller_hooks(struct pulse_poller *p)
{
	call_hooks(p);
}

unsigned int pulse__poller_turn(struct pulse_poller *p, int64_t deadline_ns)
{
	return turn(p, deadline_ns);
}

bool pulse__poller_posted(const struct pulse_poller *p)
{
	return something_posted(p);
}
