// SPDX-License-Identifier: GPL-2.0-only
/* Cancel tokens: once, downwards, with deadlines; hooks and their races. */
#include <pthread.h>
#include <time.h>

#include "base/base.h"
#include "ktap.h"

#include <pulse-u/result.h>

#define MS	1000000LL

static struct pulse_token *below(struct pulse_token *parent, int64_t deadline)
{
	struct pulse_token *t = NULL;
	PULSE_OPTS(pulse_token_opts, o, .parent = parent,
		   .deadline_ns = deadline);

	KT_EQ(pulse_token_create(&o, &t), 0);
	return t;
}

static void nap(int64_t ns)
{
	struct timespec ts;

	pulse__ns_to_timespec(ns, &ts);
	nanosleep(&ts, NULL);
}

struct probe {
	struct pulse_token_hook hook;
	struct pulse_token *token;
	int calls;
	int reason;
	int off;	/* what off said from inside */
};

static void probe_fn(int reason, void *arg)
{
	struct probe *p = arg;

	p->calls++;
	p->reason = reason;
	if (p->token)
		p->off = pulse_token_off(p->token, &p->hook);
}

static void probe_init(struct probe *p)
{
	memset(p, 0, sizeof(*p));
	p->hook.fn = probe_fn;
	p->hook.arg = p;
}

/* U01, U02, U04 */
KT_TEST(bad_arguments_and_no_memory_are_answered)
{
	struct { struct pulse_token_opts o; uint64_t more; } big = {
		.o.sz = sizeof(big) };
	struct pulse_token *t = (void *)1, *root;
	PULSE_OPTS(pulse_token_opts, o);
	struct pulse_cancelable c;
	struct probe p;

	probe_init(&p);
	KT_EQ(pulse_token_create(NULL, NULL), -EINVAL);
	o.sz = 0;
	KT_EQ(pulse_token_create(&o, &t), -EINVAL);
	KT_CHECK(!t);
	o.sz = SIZE_MAX;
	KT_EQ(pulse_token_create(&o, &t), -E2BIG);
	big.more = 1;
	KT_EQ(pulse_token_create(&big.o, &t), -E2BIG);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_token_create(NULL, &t), -ENOMEM);
	root = below(NULL, 0);
	o.sz = sizeof(o);
	o.parent = root;
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_token_create(&o, &t), -ENOMEM);
	pulse__alloc_fail_at(0);
	KT_CHECK(!t);
	KT_EQ(pulse_token_cancel(NULL, 0), -EINVAL);
	KT_EQ(pulse_token_cancel(root, 1), -EINVAL);
	KT_EQ(pulse_token_cancel(root, -9999), -EINVAL);
	KT_EQ(pulse_token_wait(NULL, 0), -EINVAL);
	KT_EQ(pulse_token_on(NULL, &p.hook), -EINVAL);
	KT_EQ(pulse_token_on(root, NULL), -EINVAL);
	p.hook.fn = NULL;
	KT_EQ(pulse_token_on(root, &p.hook), -EINVAL);
	KT_EQ(pulse_token_off(NULL, &p.hook), -EINVAL);
	KT_EQ(pulse_token_off(root, NULL), -EINVAL);
	KT_EQ(pulse_token_err(NULL), 0);
	KT_EQ(pulse_token_done(NULL), 0);
	KT_EQ(pulse_token_deadline(NULL), PULSE_FOREVER);
	KT_CHECK(!pulse_token_get(NULL));
	pulse_token_put(NULL);
	c = pulse_token_cancelable(NULL);
	KT_EQ(pulse_cancelable_cancel(&c, 0), -EINVAL);
	KT_EQ(pulse_token_err(root), 0);
	pulse_token_put(root);
}

/* The Cancelable contract: cancel once, done after. */
KT_TEST(a_token_is_cancelled_once)
{
	struct pulse_token *t = below(NULL, 0);
	struct pulse_cancelable c = pulse_token_cancelable(t);

	KT_EQ(pulse_cancelable_done(&c), 0);
	KT_EQ(pulse_cancelable_err(&c), -EINPROGRESS);
	KT_EQ(pulse_cancelable_cancel(&c, -EINTR), 0);
	KT_EQ(pulse_cancelable_done(&c), 1);
	KT_EQ(pulse_cancelable_err(&c), -EINTR);
	KT_EQ(pulse_cancelable_cancel(&c, 0), -EALREADY);
	KT_EQ(pulse_token_cancel(t, -EIO), -EALREADY);
	KT_EQ(pulse_token_err(t), -EINTR);
	KT_EQ(pulse_token_wait(t, 0), 0);
	pulse_token_put(t);
	t = below(NULL, 0);
	KT_EQ(pulse_token_cancel(t, 0), 0);
	KT_EQ(pulse_token_err(t), -ECANCELED);
	pulse_token_put(t);
}

KT_TEST(a_parent_cancels_all_below_and_nothing_above)
{
	struct pulse_token *root = below(NULL, 0);
	struct pulse_token *a = below(root, 0), *b = below(root, 0);
	struct pulse_token *aa = below(a, 0), *ab = below(a, 0);
	struct pulse_token *aaa = below(aa, 0), *late;

	/* One below that was cancelled before keeps its own reason. */
	KT_EQ(pulse_token_cancel(ab, -EIO), 0);
	KT_EQ(pulse_token_cancel(a, -EINTR), 0);
	KT_EQ(pulse_token_err(a), -EINTR);
	KT_EQ(pulse_token_err(aa), -EINTR);
	KT_EQ(pulse_token_err(aaa), -EINTR);
	KT_EQ(pulse_token_err(ab), -EIO);
	KT_EQ(pulse_token_err(b), 0);
	KT_EQ(pulse_token_err(root), 0);
	late = below(aa, 0);
	KT_EQ(pulse_token_err(late), -EINTR);
	KT_EQ(pulse_token_cancel(late, 0), -EALREADY);
	/* Parents live as long as somebody is below them. */
	pulse_token_put(root);
	pulse_token_put(a);
	pulse_token_put(aa);
	pulse_token_put(ab);
	KT_EQ(pulse_token_err(b), 0);
	KT_EQ(pulse_token_cancel(b, 0), 0);
	pulse_token_put(b);
	pulse_token_put(aaa);
	pulse_token_put(late);
}

KT_TEST(a_deep_tree_needs_no_stack)
{
	long depth = kt_scale(200000);
	struct pulse_token *root = below(NULL, 0), *at = root, *next;

	for (long i = 0; i < depth; i++) {
		next = below(at, 0);
		if (at != root)
			pulse_token_put(at);
		at = next;
	}
	KT_EQ(pulse_token_cancel(root, 0), 0);
	KT_EQ(pulse_token_err(at), -ECANCELED);
	pulse_token_put(root);
	pulse_token_put(at);
}

KT_TEST(the_earliest_deadline_up_to_the_root_counts)
{
	int64_t now = pulse_now_ns();
	struct pulse_token *root = below(NULL, now + 3600000 * MS);
	struct pulse_token *sooner = below(root, now + 3 * MS);
	struct pulse_token *wider = below(sooner, now + 7200000 * MS);
	struct probe p;

	KT_EQ(pulse_token_deadline(root), now + 3600000 * MS);
	KT_EQ(pulse_token_deadline(wider), now + 3 * MS);
	probe_init(&p);
	KT_EQ(pulse_token_on(wider, &p.hook), 0);
	/* Nobody cancels it: its own deadline ends the wait. */
	KT_EQ(pulse_token_wait(wider, PULSE_FOREVER), 0);
	KT_CHECK(pulse_now_ns() >= now + 3 * MS);
	KT_EQ(pulse_token_err(wider), -ETIMEDOUT);
	KT_EQ(pulse_token_done(sooner), 1);
	KT_EQ(pulse_token_err(root), 0);
	KT_EQ(p.calls, 0);
	/* What a timer would do; the reason does not change any more. */
	KT_EQ(pulse_token_cancel(sooner, -EIO), 0);
	KT_EQ(p.calls, 1);
	KT_EQ(p.reason, -ETIMEDOUT);
	KT_EQ(pulse_token_err(wider), -ETIMEDOUT);
	KT_EQ(pulse_token_wait(root, pulse_now_ns() + MS), -ETIMEDOUT);
	KT_EQ(pulse_token_wait(root, 0), -ETIMEDOUT);
	pulse_token_put(root);
	pulse_token_put(sooner);
	pulse_token_put(wider);
}

/* ---- hooks --------------------------------------------------------------- */

KT_TEST(hooks_are_called_once_or_taken_off)
{
	struct pulse_token *root = below(NULL, 0), *t = below(root, 0);
	struct probe p[4];

	for (int i = 0; i < 4; i++) {
		probe_init(&p[i]);
		KT_EQ(pulse_token_on(i & 1 ? t : root, &p[i].hook), 0);
		KT_EQ(pulse_token_on(t, &p[i].hook), -EBUSY);
	}
	KT_EQ(pulse_token_off(root, &p[1].hook), -EINVAL);
	KT_EQ(pulse_token_off(t, &p[1].hook), 1);
	KT_EQ(pulse_token_off(t, &p[1].hook), 0);
	KT_EQ(pulse_token_cancel(root, -EINTR), 0);
	for (int i = 0; i < 4; i++) {
		KT_EQ(p[i].calls, i != 1);
		KT_EQ(p[i].reason, i != 1 ? -EINTR : 0);
		KT_EQ(pulse_token_off(i & 1 ? t : root, &p[i].hook), 0);
	}
	KT_EQ(pulse_token_on(t, &p[1].hook), -EALREADY);
	KT_EQ(p[1].calls, 0);
	pulse_token_put(root);
	pulse_token_put(t);
}

KT_TEST(a_hook_may_take_itself_off_and_cancel_others)
{
	struct pulse_token *t = below(NULL, 0);
	struct probe p;

	probe_init(&p);
	p.token = t;
	p.off = 9;
	KT_EQ(pulse_token_on(t, &p.hook), 0);
	KT_EQ(pulse_token_cancel(t, 0), 0);
	KT_EQ(p.calls, 1);
	KT_EQ(p.off, 0);
	pulse_token_put(t);
}

KT_TEST(a_set_hook_keeps_its_token)
{
	struct pulse_token *root = below(NULL, 0), *t = below(root, 0);
	struct probe p;

	probe_init(&p);
	KT_EQ(pulse_token_on(t, &p.hook), 0);
	pulse_token_put(t);
	KT_EQ(pulse_token_cancel(root, 0), 0);
	KT_EQ(p.calls, 1);
	pulse_token_put(root);
}

struct slow {
	struct pulse_token_hook hook;
	int entered;
	int left;
};

static void slow_fn(int reason, void *arg)
{
	struct slow *s = arg;

	(void)reason;
	__atomic_store_n(&s->entered, 1, __ATOMIC_RELEASE);
	nap(20 * MS);
	s->left = 1;
}

static void *cancel_main(void *arg)
{
	KT_EQ(pulse_token_cancel(arg, 0), 0);
	return NULL;
}

KT_TEST(off_waits_for_a_hook_that_runs)
{
	struct pulse_token *t = below(NULL, 0);
	struct slow *s = calloc(1, sizeof(*s));
	pthread_t thread;

	KT_REQUIRE(s != NULL);
	s->hook.fn = slow_fn;
	s->hook.arg = s;
	KT_EQ(pulse_token_on(t, &s->hook), 0);
	KT_REQUIRE(!pthread_create(&thread, NULL, cancel_main, t));
	while (!__atomic_load_n(&s->entered, __ATOMIC_ACQUIRE))
		sched_yield();
	KT_EQ(pulse_token_off(t, &s->hook), 0);
	KT_EQ(s->left, 1);
	free(s);
	pthread_join(thread, NULL);
	pulse_token_put(t);
}

KT_TEST(cancelling_wakes_those_who_wait)
{
	for (long i = kt_scale(500); i > 0; i--) {
		struct pulse_token *root = below(NULL, 0), *t = below(root, 0);
		pthread_t thread;

		KT_REQUIRE(!pthread_create(&thread, NULL, cancel_main, root));
		KT_EQ(pulse_token_wait(t, PULSE_FOREVER), 0);
		KT_EQ(pulse_token_err(t), -ECANCELED);
		pthread_join(thread, NULL);
		pulse_token_put(root);
		pulse_token_put(t);
	}
}

/* ---- races --------------------------------------------------------------- */

static struct pulse_token *race_root;
static long race_rounds;

/* Tokens come and go below a root that somebody cancels meanwhile. */
static void *race_main(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (long i = 0; i < race_rounds; i++) {
		struct pulse_token *root = pulse_token_get(
			__atomic_load_n(&race_root, __ATOMIC_ACQUIRE));
		struct pulse_token *t = below(root, 0), *u = below(t, 0);
		struct probe p;
		int on, off;

		probe_init(&p);
		on = pulse_token_on(u, &p.hook);
		KT_CHECK(!on || on == -EALREADY);
		if (rand_r(&seed) % 4 == 0)
			pulse_token_cancel(rand_r(&seed) & 1 ? root : t, 0);
		off = pulse_token_off(u, &p.hook);
		KT_EQ(off + p.calls, !on);
		if (p.calls)
			KT_CHECK(pulse_token_done(u));
		pulse_token_put(root);
		pulse_token_put(t);
		pulse_token_put(u);
	}
	return NULL;
}

KT_TEST(a_hook_is_called_or_taken_off_and_never_both)
{
	struct pulse_token *roots[64];
	pthread_t t[3];

	for (int i = 0; i < 64; i++)
		roots[i] = below(NULL, 0);
	race_root = roots[0];
	race_rounds = kt_scale(20000);
	for (long i = 0; i < 3; i++)
		KT_REQUIRE(!pthread_create(&t[i], NULL, race_main,
					   (void *)(i + 1)));
	for (int i = 1; i < 64; i++) {
		nap(MS / 2);
		__atomic_store_n(&race_root, roots[i], __ATOMIC_RELEASE);
		pulse_token_cancel(roots[i - 1], -EINTR);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 64; i++)
		pulse_token_put(roots[i]);
}

KT_MAIN()
