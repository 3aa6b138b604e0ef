// SPDX-License-Identifier: GPL-2.0-only
/* The loop: descriptors, posts, timers, hooks, stop. */
#include "watch.h"

#include "backend/backend.h"
#include "io/poller_int.h"
#include "until.h"

#include <poll.h>

#include <pthread.h>

KT_TEST(a_descriptor_is_told_until_it_is_read)
{
	struct pulse_poller *p = make();
	struct watch w = { 0 };
	char c;

	KT_EQ(watch_pipe(p, &w), 0);
	KT_EQ(pulse_poller_run_once(p, 0), 0);
	ring(&w);
	KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER), 1);
	KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER), 1);
	KT_EQ(w.last, PULSE_POLLER_IN);
	KT_EQ(read(w.pipe[0], &c, 1), 1);
	KT_EQ(pulse_poller_run_once(p, 0), 0);
	KT_EQ(pulse_poller_mod(p, w.id, 0), 0);
	ring(&w);
	KT_EQ(pulse_poller_run_once(p, 0), 0);
	KT_EQ(pulse_poller_mod(p, w.id, PULSE_POLLER_IN), 0);
	KT_EQ(pulse_poller_run_once(p, 0), 1);
	KT_EQ(pulse_poller_del(p, w.id), 0);
	KT_EQ(pulse_poller_run_once(p, 0), 0);
	KT_EQ(w.calls, 3);
	KT_EQ(pulse_poller_del(p, w.id), -ENOENT);
	KT_EQ(pulse_poller_mod(p, w.id, 0), -ENOENT);
	end_pipe(&w);
	KT_EQ(pulse_poller_destroy(p), 0);
}

static void delete_other(struct pulse_poller *p, struct watch *w)
{
	/* Only the first of the two gets here; the other is gone then. */
	KT_EQ(pulse_poller_del(p, w->other->id), 0);
}

KT_TEST(a_handler_may_delete_another_whose_event_is_fetched)
{
	struct pulse_poller *p = make();
	struct watch a = { .then = delete_other }, b = { .then = delete_other };

	a.other = &b;
	b.other = &a;
	KT_EQ(watch_pipe(p, &a), 0);
	KT_EQ(watch_pipe(p, &b), 0);
	ring(&a);
	ring(&b);
	KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER), 1);
	KT_EQ(a.calls + b.calls, 1);
	end_pipe(&a);
	end_pipe(&b);
	KT_EQ(pulse_poller_destroy(p), 0);
}

static struct watch reused;

static void reuse_other(struct pulse_poller *p, struct watch *w)
{
	int fds[2] = { w->other->pipe[0], w->other->pipe[1] };

	KT_EQ(pulse_poller_del(p, w->other->id), 0);
	end_pipe(w->other);
	KT_EQ(watch_pipe(p, &reused), 0);
	KT_EQ(reused.pipe[0], fds[0]);	/* same number, same slot */
	w->other->calls += 1000;
}

KT_TEST(a_stale_event_does_not_reach_a_reused_descriptor)
{
	struct pulse_poller *p = make();
	struct watch a = { .then = reuse_other }, b = { .then = reuse_other };
	struct watch *kept;

	a.other = &b;
	b.other = &a;
	memset(&reused, 0, sizeof(reused));
	KT_EQ(watch_pipe(p, &a), 0);
	KT_EQ(watch_pipe(p, &b), 0);
	ring(&a);
	ring(&b);
	KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER), 1);
	KT_EQ(reused.calls, 0);
	KT_EQ(pulse_poller_mod(p, a.calls >= 1000 ? a.id : b.id, 0), -ENOENT);
	kept = a.calls == 1 ? &a : &b;
	kept->then = NULL;
	ring(&reused);
	KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER), 2);
	KT_EQ(reused.calls, 1);
	end_pipe(kept);
	end_pipe(&reused);
	KT_EQ(pulse_poller_destroy(p), 0);
}

static void delete_self(struct pulse_poller *p, struct watch *w)
{
	KT_EQ(pulse_poller_del(p, w->id), 0);
}

static void add_other(struct pulse_poller *p, struct watch *w)
{
	w->then = delete_self;
	KT_EQ(watch_pipe(p, w->other), 0);
	ring(w->other);
}

KT_TEST(a_handler_may_add_and_delete_itself)
{
	struct pulse_poller *p = make();
	struct watch b = { .then = delete_self };
	struct watch a = { .then = add_other, .other = &b };

	KT_EQ(watch_pipe(p, &a), 0);
	ring(&a);
	KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER), 1);
	KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER), 2);
	KT_EQ(pulse_poller_run_once(p, 0), 0);
	end_pipe(&a);
	end_pipe(&b);
	KT_EQ(pulse_poller_destroy(p), 0);
}

enum { BULK = 100 };

static struct pulse_poller_watch *bulk_of(struct watch *w)
{
	static struct pulse_poller_watch all[BULK];

	for (int i = 0; i < BULK; i++) {
		KT_EQ(pipe2(w[i].pipe, O_CLOEXEC | O_NONBLOCK), 0);
		all[i] = (struct pulse_poller_watch){
			.fd = w[i].pipe[0], .events = PULSE_POLLER_IN,
			.fn = on_event, .arg = &w[i],
		};
		ring(&w[i]);
	}
	return all;
}

static struct pulse_poller_watch *bulk;

static void delete_all(struct pulse_poller *p, struct watch *w)
{
	(void)w;
	KT_EQ(pulse_poller_del_all(p, bulk, BULK), 0);
}

/* Each is told; then the first of a turn takes all away, what was fetched too. */
KT_TEST(several_are_added_and_deleted_at_once)
{
	struct pulse_poller_stats s = { .sz = sizeof(s) };
	static struct watch w[BULK];
	struct pulse_poller *p = make();
	int calls = 0;

	memset(w, 0, sizeof(w));
	bulk = bulk_of(w);
	KT_EQ(pulse_poller_add_all(p, bulk, BULK), 0);
	pulse_poller_stats(p, &s);
	KT_EQ(s.fds, BULK);
	for (int i = 0; i < BULK; i++)
		while (!w[i].calls)
			pulse_poller_run_once(p, PULSE_FOREVER);
	for (int i = 0; i < BULK; i++) {
		w[i].calls = 0;
		w[i].then = delete_all;
	}
	pulse_poller_run_once(p, PULSE_FOREVER);
	pulse_poller_run_once(p, 0);
	for (int i = 0; i < BULK; i++) {
		calls += w[i].calls;
		KT_EQ(bulk[i].id, 0);
		end_pipe(&w[i]);
	}
	KT_EQ(calls, 1);
	pulse_poller_stats(p, &s);
	KT_EQ(s.fds, 0);
	KT_EQ(pulse_poller_destroy(p), 0);
}

KT_TEST(several_are_added_all_or_none)
{
	struct pulse_poller_stats s = { .sz = sizeof(s) };
	static struct watch w[BULK];
	struct pulse_poller *p = make();

	memset(w, 0, sizeof(w));
	bulk = bulk_of(w);
	bulk[BULK - 2].fd = bulk[0].fd;
	for (int i = 0; i < BULK; i++)
		bulk[i].id = 77;
	KT_EQ(pulse_poller_add_all(p, bulk, BULK), -EEXIST);
	for (int i = 0; i < BULK; i++)
		KT_EQ(bulk[i].id, 0);
	pulse_poller_stats(p, &s);
	KT_EQ(s.fds, 0);
	KT_EQ(pulse_poller_run_once(p, 0), 0);
	/* Those that are there go, whoever is missing between them. */
	KT_EQ(pulse_poller_add_all(p, bulk, BULK - 2), 0);
	KT_EQ(pulse_poller_del(p, bulk[5].id), 0);
	KT_EQ(pulse_poller_del_all(p, bulk, BULK - 2), -ENOENT);
	pulse_poller_stats(p, &s);
	KT_EQ(s.fds, 0);
	KT_EQ(pulse_poller_add_all(p, NULL, 0), 0);
	KT_EQ(pulse_poller_del_all(p, NULL, 0), 0);
	KT_EQ(pulse_poller_add_all(p, NULL, 1), -EINVAL);
	KT_EQ(pulse_poller_del_all(p, NULL, 1), -EINVAL);
	KT_EQ(pulse_poller_add_all(NULL, bulk, 1), -EINVAL);
	KT_EQ(pulse_poller_del_all(NULL, bulk, 1), -EINVAL);
	for (int i = 0; i < BULK; i++)
		end_pipe(&w[i]);
	KT_EQ(pulse_poller_destroy(p), 0);
}

KT_TEST(many_descriptors_fill_many_turns)
{
	PULSE_OPTS(pulse_poller_opts, o, .max_events = 16);
	enum { N = 500 };
	struct watch *w = calloc(N, sizeof(*w));
	struct pulse_poller_stats s = { .sz = sizeof(s) };
	struct pulse_poller *p;
	int n = 0;

	KT_REQUIRE(w);
	KT_EQ(pulse_poller_create(&o, &p), 0);
	for (int i = 0; i < N; i++) {
		w[i].then = delete_self;
		KT_EQ(watch_pipe(p, &w[i]), 0);
		ring(&w[i]);
	}
	KT_EQ(pulse_poller_stats(p, &s), 0);
	KT_EQ(s.fds, N);
	while (n < N)
		n += pulse_poller_run_once(p, PULSE_FOREVER);
	for (int i = 0; i < N; i++) {
		KT_EQ(w[i].calls, 1);
		end_pipe(&w[i]);
	}
	KT_EQ(pulse_poller_stats(p, &s), 0);
	KT_EQ(s.fds, 0);
	KT_CHECK(s.turns >= N / 16);
	KT_EQ(pulse_poller_destroy(p), 0);
	free(w);
}

/* ---- posting ------------------------------------------------------------ */

static void *run(void *p)
{
	KT_EQ(pulse_poller_run(p), 0);
	return NULL;
}

struct counter {
	long next[4];	/* what each thread must come with next */
	long total;
	long want;
};

struct poster {
	struct pulse_poller *p;
	struct counter *c;
	pthread_t thread;
	long index;
};

struct item {
	struct poster *from;
	long n;
};

static void count_item(struct pulse_poller *p, void *arg)
{
	struct item *it = arg;
	struct counter *c = it->from->c;

	if (it->n != c->next[it->from->index])
		KT_FAIL("poster %ld: %ld came, not %ld", it->from->index, it->n,
			c->next[it->from->index]);
	c->next[it->from->index]++;
	if (++c->total == c->want)
		pulse_poller_stop(p);
	free(it);
}

static void *post_all(void *arg)
{
	struct poster *me = arg;

	for (long i = 0; i < me->c->want / 4; i++) {
		struct item *it = malloc(sizeof(*it));

		*it = (struct item){ me, i };
		if (pulse_poller_post(me->p, count_item, it))
			KT_FAIL("post failed");
	}
	return NULL;
}

KT_TEST(posts_of_four_threads_arrive_once_and_in_order)
{
	struct counter c = { .want = 4 * kt_scale(50000) };
	struct pulse_poller_stats s = { .sz = sizeof(s) };
	struct pulse_poller *p = make();
	struct poster posters[4];
	pthread_t loop;

	KT_EQ(pthread_create(&loop, NULL, run, p), 0);
	for (long i = 0; i < 4; i++) {
		posters[i] = (struct poster){ .p = p, .c = &c, .index = i };
		KT_EQ(pthread_create(&posters[i].thread, NULL, post_all,
				     &posters[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(posters[i].thread, NULL);
	pthread_join(loop, NULL);
	KT_EQ(c.total, c.want);
	KT_EQ(pulse_poller_stats(p, &s), 0);
	KT_EQ(s.posted, c.want);
	KT_CHECKF(s.wakes <= s.posted, "%llu wakes", (unsigned long long)s.wakes);
	KT_EQ(pulse_poller_destroy(p), 0);
}

static int posted_runs;

static void posted_run(struct pulse_poller *p, void *arg)
{
	posted_runs++;
	if (arg)
		pulse_poller_post(p, posted_run, NULL);
}

KT_TEST(what_was_posted_before_the_end_is_run)
{
	struct pulse_poller_stats s = { .sz = sizeof(s) };
	struct pulse_poller *p = make();

	posted_runs = 0;
	KT_EQ(pulse_poller_post(p, posted_run, p), 0);
	KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER), 1);
	KT_EQ(posted_runs, 1);
	KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER), 1);
	KT_EQ(pulse_poller_stats(p, &s), 0);
	KT_EQ(s.wakes, 0);	/* nobody slept */
	KT_EQ(pulse_poller_post(p, posted_run, NULL), 0);
	KT_EQ(pulse_poller_destroy(p), 0);
	KT_EQ(posted_runs, 3);
}

/* ---- timers, hooks, stop ------------------------------------------------ */

struct tock {
	struct pulse_poller_timer timer;
	int fired;
	int64_t at_ns;
};

static void tock_fn(struct pulse_poller *p, struct pulse_poller_timer *t)
{
	struct tock *k = (struct tock *)t;

	k->fired++;
	k->at_ns = pulse_poller_now(p);
}

KT_TEST(a_timer_ends_the_wait_and_is_not_early)
{
	struct pulse_poller *p = make();
	struct tock a = { .timer.fn = tock_fn }, b = { .timer.fn = tock_fn };
	int64_t due = pulse_now_ns() + 20 * PULSE__NSEC_PER_MSEC;

	KT_EQ(pulse_poller_timer_arm(p, &a.timer, due), 0);
	KT_EQ(pulse_poller_timer_arm(p, &b.timer, due), 0);
	KT_EQ(pulse_poller_timer_cancel(p, &b.timer), 1);
	KT_EQ(pulse_poller_timer_cancel(p, &b.timer), 0);
	while (!a.fired)
		pulse_poller_run_once(p, PULSE_FOREVER);
	KT_CHECK(a.at_ns >= due);
	KT_EQ(b.fired, 0);
	KT_EQ(pulse_poller_timer_arm(p, &a.timer, PULSE_FOREVER), 0);
	KT_EQ(pulse_poller_timer_cancel(p, &a.timer), 0);
	KT_EQ(pulse_poller_destroy(p), 0);
}

KT_TEST(run_once_keeps_its_deadline)
{
	struct pulse_poller *p = make();
	int64_t until = pulse_now_ns() + 15 * PULSE__NSEC_PER_MSEC;

	KT_EQ(pulse_poller_run_once(p, until), 0);
	KT_CHECK(pulse_now_ns() >= until);
	KT_EQ(pulse_poller_run_once(p, until), 0);
	KT_EQ(pulse_poller_destroy(p), 0);
}

/* Waits that something else ends, so that they have one deadline in common. */
static void waits(struct pulse_poller *p, struct watch *w, int nr)
{
	char c;

	for (int i = 0; i < nr; i++) {
		ring(w);
		KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER), 1);
		KT_EQ(read(w->pipe[0], &c, 1), 1);
	}
}

static int64_t in_ms(int ms)
{
	return pulse_now_ns() + ms * PULSE__NSEC_PER_MSEC;
}

KT_TEST(a_deadline_that_stays_over_many_waits_is_kept)
{
	struct tock a = { .timer.fn = tock_fn }, b = { .timer.fn = tock_fn };
	struct pulse_poller *p = make();
	struct watch w = { 0 };
	int64_t due = in_ms(300), until;

	KT_EQ(watch_pipe(p, &w), 0);
	KT_EQ(pulse_poller_timer_arm(p, &a.timer, due), 0);
	waits(p, &w, 5);
	while (!a.fired)
		pulse_poller_run_once(p, PULSE_FOREVER);
	KT_CHECK(a.at_ns >= due);

	/* An earlier one than that of the waits before. */
	KT_EQ(pulse_poller_timer_arm(p, &a.timer, in_ms(3600000)), 0);
	waits(p, &w, 5);
	due = in_ms(200);
	KT_EQ(pulse_poller_timer_arm(p, &b.timer, due), 0);
	waits(p, &w, 5);
	while (!b.fired)
		pulse_poller_run_once(p, PULSE_FOREVER);
	KT_CHECK(b.at_ns >= due);
	KT_EQ(a.fired, 1);

	/* It is cancelled: nobody is woken for it. */
	KT_EQ(pulse_poller_timer_arm(p, &b.timer, in_ms(200)), 0);
	waits(p, &w, 5);
	KT_EQ(pulse_poller_timer_cancel(p, &b.timer), 1);
	until = in_ms(400);
	KT_EQ(pulse_poller_run_once(p, until), 0);
	KT_CHECK(pulse_now_ns() >= until);
	KT_EQ(b.fired, 1);
	KT_EQ(pulse_poller_timer_cancel(p, &a.timer), 1);
	waits(p, &w, 2);
	end_pipe(&w);
	KT_EQ(pulse_poller_destroy(p), 0);
}

struct hooked {
	struct pulse_poller_hook hook;
	int calls;
};

static void hook_fn(struct pulse_poller *p, struct pulse_poller_hook *h)
{
	(void)p;
	((struct hooked *)h)->calls++;
}

KT_TEST(hooks_run_before_each_wait)
{
	struct pulse_poller *p = make();
	struct hooked a = { .hook.fn = hook_fn }, b = { .hook.fn = hook_fn };

	KT_EQ(pulse_poller_hook_add(p, &a.hook), 0);
	KT_EQ(pulse_poller_hook_add(p, &b.hook), 0);
	pulse_poller_run_once(p, 0);
	KT_EQ(pulse_poller_hook_del(p, &a.hook), 0);
	KT_EQ(pulse_poller_hook_del(p, &a.hook), -ENOENT);
	pulse_poller_run_once(p, 0);
	KT_EQ(a.calls, 1);
	KT_EQ(b.calls, 2);
	KT_EQ(pulse_poller_destroy(p), 0);
}

KT_TEST(a_deadline_may_be_as_far_off_as_can_be_said)
{
	struct pulse_poller *p = make();
	struct watch w = { 0 };

	KT_EQ(watch_pipe(p, &w), 0);
	KT_EQ(pulse_poller_run_once(p, INT64_MIN), 0);
	KT_EQ(pulse_poller_run_once(p, -1), 0);
	KT_EQ(pulse_poller_run_once(p, 1), 0);
	ring(&w);
	KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER - 1), 1);
	KT_EQ(pulse_poller_run_once(p, (int64_t)1 << 55), 1);
	KT_EQ(pulse_poller_del(p, w.id), 0);
	end_pipe(&w);
	KT_EQ(pulse_poller_destroy(p), 0);
}

struct asked {
	struct pulse_poller_hook hook;
	const struct hooked *before;
	int calls, again, seen;
};

static void asked_fn(struct pulse_poller *p, struct pulse_poller_hook *h)
{
	struct asked *a = (struct asked *)h;

	a->calls++;
	a->seen = a->before->calls;
	if (a->again && a->again--)
		pulse__poller_hook_once(p, h);
}

KT_TEST(a_hook_that_is_asked_for_once_runs_once_behind_the_others)
{
	struct pulse_poller *p = make();
	struct hooked all = { .hook.fn = hook_fn };
	struct asked once = { .hook.fn = asked_fn, .before = &all };
	struct asked twice = { .hook.fn = asked_fn, .before = &all, .again = 1 };

	KT_EQ(pulse_poller_hook_add(p, &all.hook), 0);
	pulse__poller_hook_once(p, &once.hook);
	pulse__poller_hook_once(p, &twice.hook);
	KT_EQ(once.calls, 0);
	pulse_poller_run_once(p, 0);
	KT_EQ(once.calls, 1);
	KT_EQ(once.seen, 1);
	KT_EQ(twice.calls, 2);
	pulse_poller_run_once(p, 0);
	KT_EQ(all.calls, 2);
	KT_EQ(once.calls, 1);
	KT_EQ(twice.calls, 2);
	pulse__poller_hook_once(p, &once.hook);
	pulse_poller_run_once(p, 0);
	KT_EQ(once.calls, 2);
	KT_EQ(once.seen, 3);
	KT_EQ(pulse_poller_destroy(p), 0);
}

KT_TEST(stop_ends_a_sleeping_run_and_the_next_one)
{
	struct pulse_poller *p = make();
	pthread_t loop;

	for (long i = kt_scale(200); i; i--) {
		KT_EQ(pthread_create(&loop, NULL, run, p), 0);
		KT_EQ(pulse_poller_stop(p), 0);
		pthread_join(loop, NULL);
	}
	KT_EQ(pulse_poller_stop(p), 0);
	KT_EQ(pulse_poller_run(p), 0);
	KT_EQ(pulse_poller_destroy(p), 0);
}

static pthread_barrier_t in_loop;

static void hold(struct pulse_poller *p, void *arg)
{
	(void)arg;
	KT_EQ(pulse_poller_run_once(p, 0), -EBUSY);
	pthread_barrier_wait(&in_loop);
	pthread_barrier_wait(&in_loop);
	pulse_poller_stop(p);
}

KT_TEST(another_thread_is_told_to_keep_out)
{
	struct pulse_poller *p = make();
	struct tock k = { .timer.fn = tock_fn };
	struct watch w = { 0 };
	pthread_t loop;

	pthread_barrier_init(&in_loop, NULL, 2);
	KT_EQ(pulse_poller_post(p, hold, NULL), 0);
	KT_EQ(pthread_create(&loop, NULL, run, p), 0);
	pthread_barrier_wait(&in_loop);
	KT_EQ(watch_pipe(p, &w), -EPERM);
	KT_EQ(pulse_poller_timer_arm(p, &k.timer, 1), -EPERM);
	KT_EQ(pulse_poller_run(p), -EBUSY);
	KT_EQ(pulse_poller_destroy(p), -EBUSY);
	pthread_barrier_wait(&in_loop);
	pthread_join(loop, NULL);
	pthread_barrier_destroy(&in_loop);
	end_pipe(&w);
	KT_EQ(pulse_poller_destroy(p), 0);
}

/* ---- on another loop ------------------------------------------------------ */

static void posted_elsewhere(struct pulse_poller *p, void *arg)
{
	(void)p;
	(*(int *)arg)++;
}

static void *post_to_it(void *arg)
{
	void **what = arg;

	KT_EQ(pulse_poller_post(what[0], posted_elsewhere, what[1]), 0);
	return NULL;
}

static int readable(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, ms);
}

KT_TEST(another_loop_may_wait_for_it)
{
	struct pulse_poller *p = make();
	struct watch w = { 0 };
	int64_t deadline = 0;
	int n = 0, fd = -1;
	void *what[2] = { p, &n };
	pthread_t thread;

	KT_EQ(watch_pipe(p, &w), 0);
	KT_EQ(pulse_poller_prepare(p, &fd, &deadline), 0);
	KT_EQ(deadline, PULSE_FOREVER);
	KT_EQ(readable(fd, 0), 0);
	ring(&w);
	KT_EQ(readable(fd, 10000), 1);
	KT_EQ(pulse_poller_run_once(p, 0), 1);
	KT_EQ(w.calls, 1);
	KT_EQ(read(w.pipe[0], &fd, 1), 1);
	pulse_poller_run_once(p, 0);

	/* What others post wakes that loop. */
	KT_EQ(pulse_poller_prepare(p, &fd, &deadline), 0);
	KT_REQUIRE(!pthread_create(&thread, NULL, post_to_it, what));
	KT_EQ(readable(fd, 10000), 1);
	pthread_join(thread, NULL);
	while (!n)
		KT_CHECK(pulse_poller_run_once(p, 0) >= 0);
	KT_EQ(n, 1);

	/* What was posted before is told. */
	KT_EQ(pulse_poller_post(p, posted_elsewhere, &n), 0);
	KT_EQ(pulse_poller_prepare(p, &fd, &deadline), 1);
	KT_EQ(pulse_poller_run_once(p, 0), 1);
	KT_EQ(n, 2);
	KT_EQ(pulse_poller_prepare(NULL, &fd, &deadline), -EINVAL);
	KT_EQ(pulse_poller_prepare(p, NULL, &deadline), -EINVAL);
	KT_EQ(pulse_poller_prepare(p, &fd, NULL), -EINVAL);
	KT_EQ(pulse_poller_del(p, w.id), 0);
	end_pipe(&w);
	KT_EQ(pulse_poller_destroy(p), 0);
}

KT_TEST(a_loop_that_looks_before_it_sleeps)
{
	PULSE_OPTS(pulse_poller_opts, o, .spin_us = 2000);
	int64_t until = pulse_now_ns() + 20000000;
	struct pulse_poller *p = NULL;
	struct watch w = { 0 };
	int n = 0;

	KT_EQ(pulse_poller_create(&o, &p), 0);
	KT_EQ(watch_pipe(p, &w), 0);
	KT_EQ(pulse_poller_run_once(p, until), 0);
	KT_CHECK(pulse_now_ns() >= until);
	ring(&w);
	KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER), 1);
	KT_EQ(pulse_poller_post(p, posted_elsewhere, &n), 0);
	while (!n)
		KT_CHECK(pulse_poller_run_once(p, PULSE_FOREVER) > 0);
	KT_EQ(pulse_poller_destroy(p), 0);
	end_pipe(&w);
	o.spin_us = 1000001;
	KT_EQ(pulse_poller_create(&o, &p), -EINVAL);
	o.spin_us = 0;
	o.reserved2 = 1;
	KT_EQ(pulse_poller_create(&o, &p), -EINVAL);
}

static void *run_it(void *p)
{
	return (void *)(intptr_t)pulse_poller_run(p);
}

KT_TEST(its_thread_is_a_worker_with_the_cookie_that_was_asked_for)
{
	PULSE_OPTS(pulse_ctx_opts, co, .max_workers = 1);
	PULSE_OPTS(pulse_poller_opts, o, .cookie = 0x4711);
	struct pulse_worker_state st = { .sz = sizeof(st) };
	struct pulse_poller *p = NULL;
	pthread_t thread;
	void *ret;

	KT_REQUIRE(!pulse_ctx_create(&co, &o.ctx));
	KT_EQ(pulse_poller_create(&o, &p), 0);
	KT_EQ(pulse_worker_state(o.ctx, 0, &st), -ESRCH);
	KT_REQUIRE(!pthread_create(&thread, NULL, run_it, p));
	KT_CHECK(EVENTUALLY(!pulse_worker_state(o.ctx, 0, &st)));
	KT_CHECK(EVENTUALLY(READ_ONCE(o.ctx->uwork[0].cookie) == 0x4711));
	KT_EQ(pulse_poller_stop(p), 0);
	pthread_join(thread, &ret);
	KT_EQ((intptr_t)ret, 0);
	KT_EQ(pulse_worker_state(o.ctx, 0, &st), -ESRCH);
	KT_EQ(pulse_poller_destroy(p), 0);
	KT_EQ(pulse_ctx_destroy(o.ctx), 0);
}

KT_TEST(its_kind_is_as_asked_for)
{
	PULSE_OPTS(pulse_poller_opts, o, .kind = PULSE_POLLER_EPOLL);
	struct pulse_poller *p = NULL;

	KT_EQ(pulse_poller_create(&o, &p), 0);
	KT_STREQ(pulse_poller_name(p), "epoll");
	KT_EQ(pulse_poller_destroy(p), 0);
	o.kind = PULSE_POLLER_IO_URING;
	if (pulse_poller_create(&o, &p))	/* said in the log */
		KT_SKIP("no io_uring here");
	KT_STREQ(pulse_poller_name(p), "io_uring");
	KT_EQ(pulse_poller_destroy(p), 0);
	o.kind = PULSE_POLLER_IO_URING + 1;
	KT_EQ(pulse_poller_create(&o, &p), -EINVAL);
}

KT_MAIN()
