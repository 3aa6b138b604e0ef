// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * token.c - cancel tokens: a tree, under one lock that the root has.
 *
 * The tree's lock protects the lists of children and hooks, the state of the
 * hooks, and the step of a token from live to cancelled. It is not held while
 * a hook runs; it is a leaf. Looking (pulse_token_err()) takes no lock: reason
 * is written before the state says so.
 *
 * References: a child holds one to its parent, a set hook one to its token.
 * Lists hold none: a token whose last reference is being put may still be
 * found in its parent's list, under the lock, and is cancelled like the others;
 * it has no hooks any more.
 */
#include <pthread.h>

#include "backend/backend.h"
#include "base/list.h"

#include <pulse-u/result.h>

#define TOKEN_MAGIC	0x544f4b4eU	/* "TOKN" */
#define CANCELLED	1U
#define WAITERS		2U

enum { HOOK_OFF, HOOK_SET, HOOK_RUNNING };

struct tree {
	pthread_mutex_t lock;
	pthread_cond_t ended;		/* a hook that somebody waits for */
	unsigned int waiters;
};

struct pulse_token {
	uint32_t magic;
	uint32_t refs;
	uint32_t state;			/* futex: CANCELLED, WAITERS */
	int32_t reason;
	int64_t deadline_ns;		/* effective; constant */
	struct pulse_token *parent;
	struct tree *tree;		/* in the root */
	struct pulse__list sibling;
	struct pulse__list children;
	struct pulse_token_hook *hooks;
};

struct root {
	struct pulse_token token;
	struct tree tree;
};

/* Its address names the thread. */
static __thread char self_mark;

static bool is_cancelled(const struct pulse_token *t)
{
	/* pairs with mark: the reason is there */
	return pulse__load_acquire(&t->state) & CANCELLED;
}

static bool is_late(const struct pulse_token *t)
{
	return t->deadline_ns != PULSE_FOREVER &&
	       t->deadline_ns <= pulse_now_ns();
}

/* ---- life --------------------------------------------------------------- */

static struct pulse_token *root_new(void)
{
	struct root *r = pulse__calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	pthread_mutex_init(&r->tree.lock, NULL);
	pthread_cond_init(&r->tree.ended, NULL);
	r->token.tree = &r->tree;
	return &r->token;
}

static void token_free(struct pulse_token *t)
{
	struct root *r;

	t->magic = PULSE__MAGIC_DEAD;
	if (t->parent) {
		pulse__free(t);
		return;
	}
	r = container_of(t, struct root, token);
	pthread_mutex_destroy(&r->tree.lock);
	pthread_cond_destroy(&r->tree.ended);
	pulse__free(r);
}

int pulse_token_create(const struct pulse_token_opts *opts,
		       struct pulse_token **out)
{
	struct pulse_token_opts o;
	struct pulse_token *t, *parent;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), deadline_ns), opts);
	if (err)
		return err;
	parent = o.parent;
	t = parent ? pulse__calloc(1, sizeof(*t)) : root_new();
	if (!t)
		return -ENOMEM;
	t->magic = TOKEN_MAGIC;
	t->refs = 1;
	t->deadline_ns = o.deadline_ns ? o.deadline_ns : PULSE_FOREVER;
	pulse__list_init(&t->sibling);
	pulse__list_init(&t->children);
	if (parent) {
		pulse__obj_check(parent, TOKEN_MAGIC, "pulse_token_create");
		t->parent = pulse_token_get(parent);
		t->tree = parent->tree;
		if (parent->deadline_ns < t->deadline_ns)
			t->deadline_ns = parent->deadline_ns;
		pthread_mutex_lock(&t->tree->lock);
		pulse__list_add_tail(&parent->children, &t->sibling);
		if (is_cancelled(parent)) {
			t->reason = parent->reason;
			t->state = CANCELLED;
		}
		pthread_mutex_unlock(&t->tree->lock);
	}
	*out = t;
	return 0;
}

struct pulse_token *pulse_token_get(struct pulse_token *t)
{
	if (t) {
		pulse__obj_check(t, TOKEN_MAGIC, "pulse_token_get");
		pulse__add_relaxed(&t->refs, 1);
	}
	return t;
}

void pulse_token_put(struct pulse_token *t)
{
	struct pulse_token *parent;

	for (; t; t = parent) {
		pulse__obj_check(t, TOKEN_MAGIC, "pulse_token_put");
		/* pairs with itself: the last one sees what the others did */
		if (__atomic_fetch_sub(&t->refs, 1, __ATOMIC_ACQ_REL) != 1)
			return;
		parent = t->parent;
		if (parent) {
			pthread_mutex_lock(&t->tree->lock);
			pulse__list_del(&t->sibling);
			pthread_mutex_unlock(&t->tree->lock);
		}
		token_free(t);
	}
}

/* ---- hooks; the lock is held -------------------------------------------- */

static void hook_link(struct pulse_token_hook **head, struct pulse_token_hook *h)
{
	h->next = *head;
	h->link = head;
	if (*head)
		(*head)->link = &h->next;
	*head = h;
}

static void hook_unlink(struct pulse_token_hook *h)
{
	*h->link = h->next;
	if (h->next)
		h->next->link = h->link;
	h->next = NULL;
	h->link = NULL;
}

/* Calls the hooks of *@fire; lets go of the lock meanwhile. */
static void hooks_run(struct tree *tree, struct pulse_token_hook **fire)
{
	struct pulse_token_hook *h;
	struct pulse_token *t;

	while ((h = *fire)) {
		hook_unlink(h);
		t = h->token;
		h->state = HOOK_RUNNING;
		h->runner = &self_mark;
		pthread_mutex_unlock(&tree->lock);
		h->fn(t->reason, h->arg);
		pthread_mutex_lock(&tree->lock);
		h->token = NULL;
		h->runner = NULL;
		h->state = HOOK_OFF;
		/* From here on the hook may be gone. */
		if (tree->waiters)
			pthread_cond_broadcast(&tree->ended);
		/* Not the tree's last reference: the one who cancels has one. */
		pthread_mutex_unlock(&tree->lock);
		pulse_token_put(t);
		pthread_mutex_lock(&tree->lock);
	}
}

int pulse_token_on(struct pulse_token *t, struct pulse_token_hook *h)
{
	int err = 0;

	if (!t || !h || !h->fn)
		return -EINVAL;
	pulse__obj_check(t, TOKEN_MAGIC, "pulse_token_on");
	pthread_mutex_lock(&t->tree->lock);
	if (h->state != HOOK_OFF) {
		err = -EBUSY;
	} else if (is_cancelled(t)) {
		err = -EALREADY;
	} else {
		h->token = pulse_token_get(t);
		h->state = HOOK_SET;
		hook_link(&t->hooks, h);
	}
	pthread_mutex_unlock(&t->tree->lock);
	return err;
}

int pulse_token_off(struct pulse_token *t, struct pulse_token_hook *h)
{
	struct tree *tree;
	int ret = 0;

	if (!t || !h)
		return -EINVAL;
	pulse__obj_check(t, TOKEN_MAGIC, "pulse_token_off");
	tree = t->tree;
	pthread_mutex_lock(&tree->lock);
	if (h->state != HOOK_OFF && h->token != t) {
		ret = -EINVAL;
	} else if (h->state == HOOK_SET) {
		hook_unlink(h);
		h->token = NULL;
		h->state = HOOK_OFF;
		ret = 1;
	}
	while (!ret && h->state == HOOK_RUNNING && h->runner != &self_mark) {
		tree->waiters++;
		pthread_cond_wait(&tree->ended, &tree->lock);
		tree->waiters--;
	}
	pthread_mutex_unlock(&tree->lock);
	if (ret == 1)
		pulse_token_put(t);
	return ret;
}

/* ---- cancelling --------------------------------------------------------- */

/* One token; the lock is held. Its hooks go to *@fire. */
static void mark(struct pulse_token *t, int reason,
		 struct pulse_token_hook **fire)
{
	struct pulse_token_hook *h;
	uint32_t old;

	t->reason = is_late(t) ? -ETIMEDOUT : reason;
	/*
	 * release: pairs with is_cancelled, for the reason.
	 * The exchange pairs with pulse_token_wait, as in future.h.
	 */
	old = __atomic_exchange_n(&t->state, CANCELLED, __ATOMIC_ACQ_REL);
	if (old & WAITERS)
		pulse__futex_wake(&t->state, INT_MAX);
	while ((h = t->hooks)) {
		hook_unlink(h);
		hook_link(fire, h);
	}
}

/* What comes after @t in a walk below @top; the lock is held. */
static struct pulse_token *walk(struct pulse_token *top, struct pulse_token *t,
				bool down)
{
	if (down && !pulse__list_empty(&t->children))
		return pulse__list_first_entry(&t->children, struct pulse_token,
					       sibling);
	while (t != top) {
		if (t->sibling.next != &t->parent->children)
			return pulse__list_entry(t->sibling.next,
						 struct pulse_token, sibling);
		t = t->parent;
	}
	return NULL;
}

int pulse_token_cancel(struct pulse_token *top, int reason)
{
	struct pulse_token_hook *fire = NULL;
	struct pulse_token *t = top;
	struct tree *tree;
	bool live;

	if (!reason)
		reason = -ECANCELED;
	if (!top || reason > 0 || reason < -4095)
		return -EINVAL;
	pulse__obj_check(top, TOKEN_MAGIC, "pulse_token_cancel");
	tree = top->tree;
	pthread_mutex_lock(&tree->lock);
	if (is_cancelled(top)) {
		pthread_mutex_unlock(&tree->lock);
		return -EALREADY;
	}
	while (t) {
		live = !is_cancelled(t);
		if (live)
			mark(t, reason, &fire);
		/* Below one that was cancelled before, all are. */
		t = walk(top, t, live);
	}
	hooks_run(tree, &fire);
	pthread_mutex_unlock(&tree->lock);
	return 0;
}

int pulse_token_err(const struct pulse_token *t)
{
	if (!t)
		return 0;
	pulse__obj_check(t, TOKEN_MAGIC, "pulse_token_err");
	if (is_cancelled(t))
		return t->reason;
	return is_late(t) ? -ETIMEDOUT : 0;
}

int pulse_token_done(const struct pulse_token *t)
{
	return pulse_token_err(t) != 0;
}

int64_t pulse_token_deadline(const struct pulse_token *t)
{
	return t ? t->deadline_ns : PULSE_FOREVER;
}

int pulse_token_wait(struct pulse_token *t, int64_t deadline_ns)
{
	int64_t until = deadline_ns;
	uint32_t s;

	if (!t)
		return -EINVAL;
	pulse__obj_check(t, TOKEN_MAGIC, "pulse_token_wait");
	if (t->deadline_ns < until)
		until = t->deadline_ns;
	for (;;) {
		/* pairs with mark */
		s = pulse__load_acquire(&t->state);
		if (s & CANCELLED || is_late(t))
			return 0;
		if (deadline_ns != PULSE_FOREVER &&
		    deadline_ns <= pulse_now_ns())
			return -ETIMEDOUT;
		if (!(s & WAITERS)) {
			/* Only says that we are here, as in wait.c: relaxed. */
			if (!pulse__cas(&t->state, &s, s | WAITERS,
					__ATOMIC_RELAXED, __ATOMIC_RELAXED))
				continue;
			s |= WAITERS;
		}
		pulse__futex_wait(&t->state, s, until);
	}
}

/* ---- as something that can be cancelled --------------------------------- */

static int token_op_cancel(void *self, int reason)
{
	return pulse_token_cancel(self, reason);
}

static int token_op_done(void *self)
{
	return pulse_token_done(self);
}

static int token_op_err(void *self)
{
	int err = pulse_token_err(self);

	return err ? err : -EINPROGRESS;
}

struct pulse_cancelable pulse_token_cancelable(struct pulse_token *t)
{
	static const struct pulse_cancelable_ops ops = {
		.sz = sizeof(ops),
		.cancel = token_op_cancel,
		.done = token_op_done,
		.err = token_op_err,
	};
	struct pulse_cancelable c = { t ? &ops : NULL, t };

	return c;
}
