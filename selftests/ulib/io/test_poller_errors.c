// SPDX-License-Identifier: GPL-2.0-only
/* A poller's errors: nonsense, shortages, a forked child. */
#include "watch.h"

#include <sys/resource.h>
#include <sys/wait.h>

static int posted_runs;

static void posted_run(struct pulse_poller *p, void *arg)
{
	(void)p;
	(void)arg;
	posted_runs++;
}

KT_TEST(null_and_nonsense_are_refused)
{
	struct pulse_poller_stats s = { .sz = 1 };
	struct pulse_poller *p = make();
	struct { struct pulse_poller_opts o; char more[64]; } big = { 0 };
	struct watch w = { 0 };
	uint64_t id;
	size_t n;

	KT_EQ(pulse_poller_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_poller_destroy(NULL), -EINVAL);
	KT_EQ(pulse_poller_run(NULL), -EINVAL);
	KT_EQ(pulse_poller_run_once(NULL, 0), -EINVAL);
	KT_EQ(pulse_poller_stop(NULL), -EINVAL);
	KT_EQ(pulse_poller_add(NULL, 0, 0, on_event, NULL, &id), -EINVAL);
	KT_EQ(pulse_poller_add(p, 0, 0, NULL, NULL, &id), -EINVAL);
	KT_EQ(pulse_poller_add(p, 0, 0, on_event, NULL, NULL), -EINVAL);
	KT_EQ(pulse_poller_add(p, -1, 0, on_event, NULL, &id), -EINVAL);
	KT_EQ(pulse_poller_add(p, 0, 64, on_event, NULL, &id), -EINVAL);
	KT_EQ(pulse_poller_add(p, 19999, 0, on_event, NULL, &id), -EBADF);
	KT_EQ(pulse_poller_mod(NULL, 1, 0), -EINVAL);
	KT_EQ(pulse_poller_del(NULL, 1), -EINVAL);
	KT_EQ(pulse_poller_del(p, 0), -ENOENT);
	KT_EQ(pulse_poller_del(p, ~0ULL), -ENOENT);
	KT_EQ(pulse_poller_post(NULL, posted_run, NULL), -EINVAL);
	KT_EQ(pulse_poller_post(p, NULL, NULL), -EINVAL);
	KT_EQ(pulse_poller_post_task(p, NULL), -EINVAL);
	KT_EQ(pulse_poller_timer_arm(p, NULL, 1), -EINVAL);
	KT_EQ(pulse_poller_timer_cancel(NULL, NULL), -EINVAL);
	KT_EQ(pulse_poller_hook_add(p, NULL), -EINVAL);
	KT_EQ(pulse_poller_hook_del(p, NULL), -EINVAL);
	KT_EQ(pulse_poller_stats(p, NULL), -EINVAL);
	KT_EQ(pulse_poller_stats(p, &s), -EINVAL);
	KT_CHECK(!pulse_poller_buffer(NULL, &n));
	KT_EQ(pulse_poller_now(NULL), 0);
	KT_CHECK(!pulse_poller_name(NULL));
	KT_STREQ(pulse_poller_name(p), getenv("PULSE_POLLER") ?: "epoll");
	KT_EQ(watch_pipe(p, &w), 0);
	KT_EQ(pulse_poller_add(p, w.pipe[0], 0, on_event, &w, &id), -EEXIST);
	end_pipe(&w);
	KT_EQ(pulse_poller_destroy(p), 0);

	KT_EQ(pulse_poller_create(&big.o, &p), -EINVAL);
	big.o.sz = 1;
	KT_EQ(pulse_poller_create(&big.o, &p), -EINVAL);
	big.o.sz = sizeof(big);
	KT_EQ(pulse_poller_create(&big.o, &p), 0);
	KT_EQ(pulse_poller_destroy(p), 0);
	big.more[60] = 1;
	KT_EQ(pulse_poller_create(&big.o, &p), -E2BIG);
	big.o.sz = sizeof(big.o);
	big.o.buffer_bytes = 1;
	KT_EQ(pulse_poller_create(&big.o, &p), -EINVAL);
}

KT_TEST(each_allocation_may_fail)
{
	long n = 0;

	do {
		struct pulse_poller *p = NULL;
		struct watch w = { 0 };
		size_t bytes;
		int err;

		pulse__alloc_fail_at(++n);
		err = pulse_poller_create(NULL, &p);
		if (!err)
			err = watch_pipe(p, &w);
		if (!err)
			err = pulse_poller_post(p, posted_run, NULL);
		if (!err && !pulse_poller_buffer(p, &bytes))
			err = -ENOMEM;
		KT_EQ(err, pulse__alloc_failed() ? -ENOMEM : 0);
		pulse__alloc_fail_at(0);
		if (w.pipe[1])
			end_pipe(&w);
		if (p)
			KT_EQ(pulse_poller_destroy(p), 0);
		if (!err)
			break;
	} while (n < 100);
	KT_CHECKF(n > 4, "%ld allocations", n - 1);
}

KT_TEST(no_descriptor_left)
{
	struct rlimit old, none = { 0, 0 };
	struct pulse_poller *p = NULL;

	KT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	none.rlim_max = old.rlim_max;
	KT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	KT_EQ(pulse_poller_create(NULL, &p), -EMFILE);
	KT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	KT_CHECK(!p);
}

KT_TEST(a_forked_child_cannot_run_it)
{
	struct pulse_poller *p = make();
	int status;
	pid_t pid;

	KT_EQ(pulse_poller_post(p, posted_run, NULL), 0);
	posted_runs = 0;
	pid = fork();
	if (!pid) {
		int err = pulse_poller_run_once(p, 0);

		if (!err || pulse_poller_destroy(p) || posted_runs)
			_exit(1);
		_exit(err == -EOWNERDEAD ? 0 : 2);
	}
	KT_EQ(waitpid(pid, &status, 0), pid);
	KT_EQ(status, 0);
	KT_EQ(pulse_poller_run_once(p, PULSE_FOREVER), 1);
	KT_EQ(pulse_poller_destroy(p), 0);
}

KT_MAIN()
