// SPDX-License-Identifier: GPL-2.0-only
/* Chains: order, short cuts, errors and recovery, changes while they run. */
#include "base/base.h"
#include "ktap.h"

#include <pthread.h>

#include <pulse-u/handler.h>

static char trail[256];

static void mark(const char *what)
{
	strcat(trail, what);
}

static int wrap(struct pulse_chain_event *e, const struct pulse_next *next, void *arg)
{
	int err;

	mark("<");
	mark(arg);
	err = pulse_next_run(next, e);
	mark(arg);
	mark(">");
	return err;
}

static int cut(struct pulse_chain_event *e, const struct pulse_next *next, void *arg)
{
	(void)e;
	(void)next;
	return *(int *)arg;
}

static int handler(struct pulse_chain_event *e, void *arg)
{
	(void)e;
	mark("h");
	return arg ? *(int *)arg : 0;
}

static struct pulse_chain *make(int *answer, int (*on_error)(struct pulse_chain_event *,
							     int, const char *,
							     void *))
{
	PULSE_OPTS(pulse_chain_opts, o, .handler = handler, .arg = answer,
		   .on_error = on_error);
	struct pulse_chain *chain = NULL;

	KT_EQ(pulse_chain_create(&o, &chain), 0);
	return chain;
}

static int use(struct pulse_chain *chain, const char *name,
	       pulse_middleware_fn fn, void *arg, const char *before,
	       uint32_t flags)
{
	PULSE_OPTS(pulse_link, l, .name = name, .fn = fn, .arg = arg,
		   .flags = flags);

	return pulse_chain_use(chain, &l, before);
}

static int run(struct pulse_chain *chain)
{
	PULSE_OPTS(pulse_chain_event, e);

	trail[0] = 0;
	return pulse_chain_run(chain, &e);
}

KT_TEST(links_run_in_their_order_around_the_handler)
{
	struct pulse_chain *chain = make(NULL, NULL);

	KT_EQ(run(chain), 0);
	KT_STREQ(trail, "h");
	KT_EQ(use(chain, "b", wrap, "b", NULL, 0), 0);
	KT_EQ(use(chain, "c", wrap, "c", NULL, 0), 0);
	KT_EQ(use(chain, "a", wrap, "a", "b", 0), 0);
	KT_EQ(run(chain), 0);
	KT_STREQ(trail, "<a<b<chc>b>a>");
	KT_EQ(use(chain, "a", wrap, "a", NULL, 0), -EEXIST);
	KT_EQ(use(chain, "d", wrap, "d", "nobody", 0), -ENOENT);
	KT_EQ(pulse_chain_remove(chain, "b"), 0);
	KT_EQ(pulse_chain_remove(chain, "b"), -ENOENT);
	KT_EQ(run(chain), 0);
	KT_STREQ(trail, "<a<chc>a>");
	pulse_chain_destroy(chain);
}

KT_TEST(a_link_that_does_not_go_on_answers_itself)
{
	struct pulse_chain *chain = make(NULL, NULL);
	int answer = 5;

	use(chain, "a", wrap, "a", NULL, 0);
	use(chain, "cut", cut, &answer, NULL, 0);
	KT_EQ(run(chain), 5);
	KT_STREQ(trail, "<aa>");
	pulse_chain_destroy(chain);
}

static int thrice(struct pulse_chain_event *e, const struct pulse_next *next, void *arg)
{
	int err = -EAGAIN;

	(void)arg;
	for (int i = 0; i < 3 && err == -EAGAIN; i++)
		err = pulse_next_run(next, e);
	return err;
}

KT_TEST(a_link_may_run_the_rest_again)
{
	int answer = -EAGAIN;
	struct pulse_chain *chain = make(&answer, NULL);

	use(chain, "retry", thrice, NULL, NULL, 0);
	KT_EQ(run(chain), -EAGAIN);
	KT_STREQ(trail, "hhh");
	pulse_chain_destroy(chain);
}

static char blamed[64];
static int recovers;

static int on_error(struct pulse_chain_event *e, int err, const char *who, void *arg)
{
	(void)e;
	(void)arg;
	strcpy(blamed, who);
	return recovers ? 0 : err;
}

KT_TEST(an_error_names_who_failed_first_and_can_be_recovered)
{
	int answer = -EIO, own = -EACCES;
	struct pulse_chain *chain = make(&answer, on_error);

	recovers = 0;
	use(chain, "a", wrap, "a", NULL, 0);
	KT_EQ(run(chain), -EIO);
	KT_STREQ(blamed, "handler");
	use(chain, "guard", cut, &own, NULL, 0);
	KT_EQ(run(chain), -EACCES);
	KT_STREQ(blamed, "guard");
	KT_STREQ(trail, "<aa>");	/* those outside of it see the error */
	recovers = 1;
	KT_EQ(run(chain), 0);
	pulse_chain_destroy(chain);
}

static int fail_after(struct pulse_chain_event *e, const struct pulse_next *next,
		      void *arg)
{
	pulse_next_run(next, e);
	return *(int *)arg;
}

KT_TEST(an_optional_link_that_fails_is_as_if_it_were_not_there)
{
	PULSE_OPTS(pulse_link_stats, s);
	struct pulse_chain *chain = make(NULL, on_error);
	int own = -EIO;

	use(chain, "o", cut, &own, NULL, PULSE_LINK_OPTIONAL);
	use(chain, "a", wrap, "a", NULL, 0);
	KT_EQ(run(chain), 0);
	KT_STREQ(trail, "<aha>");
	pulse_chain_remove(chain, "o");
	/* After the rest has run it is not run once more. */
	use(chain, "p", fail_after, &own, "a", PULSE_LINK_OPTIONAL);
	KT_EQ(run(chain), 0);
	KT_STREQ(trail, "<aha>");
	KT_EQ(pulse_chain_link_stats(chain, "p", &s), 0);
	KT_EQ(s.runs, 1);
	KT_EQ(s.failed, 1);
	KT_EQ(s.skipped, 1);
	KT_EQ(pulse_chain_link_stats(chain, "o", &s), -ENOENT);
	pulse_chain_destroy(chain);
}

KT_TEST(an_optional_link_does_not_hide_the_errors_of_its_rest)
{
	int answer = -ENXIO;
	struct pulse_chain *chain = make(&answer, on_error);

	recovers = 0;
	use(chain, "o", wrap, "o", NULL, PULSE_LINK_OPTIONAL);
	KT_EQ(run(chain), -ENXIO);
	KT_STREQ(blamed, "handler");
	KT_STREQ(trail, "<oho>");
	pulse_chain_destroy(chain);
}

KT_TEST(without_a_handler_it_says_so_and_bad_links_are_refused)
{
	struct pulse_link l = { .sz = sizeof(l), .name = "", .fn = cut };
	struct pulse_chain_event short_event = { .sz = 4 };
	struct pulse_chain *chain;
	PULSE_OPTS(pulse_chain_event, e);

	KT_EQ(pulse_chain_create(NULL, &chain), 0);
	KT_EQ(pulse_chain_run(chain, &e), -ENOSYS);
	KT_EQ(pulse_chain_run(chain, &short_event), -EINVAL);
	KT_EQ(pulse_chain_run(chain, NULL), -EINVAL);
	KT_EQ(pulse_chain_use(chain, &l, NULL), -EINVAL);
	l.name = "x";
	l.flags = 1U << 9;
	KT_EQ(pulse_chain_use(chain, &l, NULL), -EINVAL);
	l.flags = 0;
	l.fn = NULL;
	KT_EQ(pulse_chain_use(chain, &l, NULL), -EINVAL);
	for (int i = 0; i < PULSE_LINKS_MAX; i++) {
		char name[8];

		sprintf(name, "l%d", i);
		KT_REQUIRE(!use(chain, name, wrap, "", NULL, 0));
	}
	KT_EQ(use(chain, "more", wrap, "", NULL, 0), -ENOSPC);
	pulse_chain_destroy(chain);
}

KT_TEST(a_batch_runs_each_event_with_the_same_links)
{
	struct pulse_chain_event e[3];
	struct pulse_chain *chain = make(NULL, NULL);
	int r[3] = { 9, 9, 9 };

	memset(e, 0, sizeof(e));
	for (int i = 0; i < 3; i++)
		e[i].sz = sizeof(e[i]);
	trail[0] = 0;
	use(chain, "a", wrap, "a", NULL, 0);
	KT_EQ(pulse_chain_run_batch(chain, e, 3, r), 3);
	KT_STREQ(trail, "<aha><aha><aha>");
	KT_EQ(r[0] | r[1] | r[2], 0);
	KT_EQ(pulse_chain_run_batch(chain, e, 0, NULL), 0);
	pulse_chain_destroy(chain);
}

/* ---- changes while it runs ------------------------------------------------- */

static int released;

static void release(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&released, 1, __ATOMIC_RELAXED);
}

static int remove_me(struct pulse_chain_event *e, const struct pulse_next *next,
		     void *arg)
{
	int before = released;

	KT_EQ(pulse_chain_remove(arg, "me"), 0);
	KT_EQ(pulse_chain_remove(arg, "later"), 0);
	KT_EQ(released, before);	/* this run still has them */
	return pulse_next_run(next, e);
}

KT_TEST(a_run_keeps_the_links_it_began_with)
{
	struct pulse_chain *chain = make(NULL, NULL);
	PULSE_OPTS(pulse_link, me, .name = "me", .fn = remove_me, .arg = chain,
		   .release = release);
	PULSE_OPTS(pulse_link, later, .name = "later", .fn = wrap, .arg = "l",
		   .release = release);

	released = 0;
	KT_EQ(pulse_chain_use(chain, &me, NULL), 0);
	KT_EQ(pulse_chain_use(chain, &later, NULL), 0);
	KT_EQ(run(chain), 0);
	KT_STREQ(trail, "<lhl>");
	KT_EQ(released, 2);
	KT_EQ(run(chain), 0);
	KT_STREQ(trail, "h");
	pulse_chain_destroy(chain);
}

struct token {
	uint64_t magic;
};

static int alive(struct pulse_chain_event *e, const struct pulse_next *next, void *arg)
{
	struct token *t = arg;
	int err;

	if (READ_ONCE(t->magic) != 0x600d)
		KT_FAIL("a link was called after its release");
	err = pulse_next_run(next, e);
	if (READ_ONCE(t->magic) != 0x600d)
		KT_FAIL("a link was released under its run");
	return err;
}

static void bury(void *arg)
{
	struct token *t = arg;

	t->magic = 0xdead;
	free(t);
	release(NULL);
}

static int quiet(struct pulse_chain_event *e, void *arg)
{
	(void)e;
	__atomic_fetch_add((long *)arg, 1, __ATOMIC_RELAXED);
	return 0;
}

static struct pulse_chain *serving;
static bool stop;

static void *runner(void *arg)
{
	long *runs = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		PULSE_OPTS(pulse_chain_event, e);

		if (pulse_chain_run(serving, &e))
			KT_FAIL("a run failed");
		++*runs;
	}
	return NULL;
}

KT_TEST(links_are_exchanged_under_running_threads_and_released_once)
{
	long handled = 0, runs[3] = { 0 }, made = 0, rounds = kt_scale(3000);
	PULSE_OPTS(pulse_chain_opts, o, .handler = quiet, .arg = &handled);
	pthread_t t[3];

	stop = false;
	released = 0;
	KT_EQ(pulse_chain_create(&o, &serving), 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, runner, &runs[i]);
	while (!__atomic_load_n(&handled, __ATOMIC_RELAXED))
		usleep(100);
	for (long i = 0; i < rounds; i++) {
		struct pulse_link l[2];

		memset(l, 0, sizeof(l));
		for (int k = 0; k < 2; k++) {
			struct token *tok = malloc(sizeof(*tok));

			tok->magic = 0x600d;
			l[k].sz = sizeof(l[k]);
			l[k].name = k ? "second" : "first";
			l[k].fn = alive;
			l[k].arg = tok;
			l[k].release = bury;
			made++;
		}
		if (pulse_chain_set(serving, l, 2))
			KT_FAIL("not set");
		if (i % 7 == 0)
			pulse_chain_remove(serving, "first");
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	pulse_chain_destroy(serving);
	KT_EQ(released, made);
	KT_EQ(handled, runs[0] + runs[1] + runs[2]);
	KT_CHECK(handled > 0);
}

KT_TEST(a_change_that_fails_for_memory_leaves_the_chain_as_it_was)
{
	bool failed = true;

	for (long n = 1; failed; n++) {
		struct pulse_chain *chain = make(NULL, NULL);
		PULSE_OPTS(pulse_link, l, .name = "b", .fn = wrap, .arg = "b",
			   .release = release);
		int err;

		use(chain, "a", wrap, "a", NULL, 0);
		released = 0;
		pulse__alloc_fail_at(n);
		err = pulse_chain_use(chain, &l, NULL);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_EQ(err, failed ? -ENOMEM : 0);
		KT_EQ(released, 0);
		run(chain);
		KT_STREQ(trail, failed ? "<aha>" : "<a<bhb>a>");
		pulse_chain_destroy(chain);
		KT_EQ(released, failed ? 0 : 1);
	}
}

KT_MAIN()
