// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a context is told, on whichever backend there is: deaths of workers, of
 * processes, and, where the module looks, hangs and memory.
 */
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pulse-u/events.h>

#include "../all/no_memory.h"
#include "helpers.h"
#include "backend/backend.h"

static struct pulse_ctx *ctx;
static struct pulse_event event;

static void begin(void)
{
	PULSE_OPTS(pulse_ctx_opts, opts, .max_workers = 8, .ring_entries = 16,
		   .event_bytes = 4096);

	KT_REQUIRE(!pulse_ctx_create(&opts, &ctx));
}

static int next(void)
{
	memset(&event, 0, sizeof(event));
	event.sz = sizeof(event);
	return pulse_ctx_events_next(ctx, &event);
}

static bool watches(void)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };

	pulse_backend_info(&info);
	return info.features & PULSE_FEAT_WATCH;
}

static bool readable(int ms)
{
	struct pollfd p = { .fd = pulse_ctx_events_fd(ctx), .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* U01, U02 */
KT_TEST(bad_arguments_are_refused)
{
	static const uint32_t bad[] = { 1, 4095, 4097, 12288, 8 << 20 };
	PULSE_OPTS(pulse_watch_opts, opts, .flags = 1U << 31);
	char room[sizeof(event)];
	struct pulse_event *little = (void *)room;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		PULSE_OPTS(pulse_ctx_opts, o, .event_bytes = bad[i]);

		KT_EQ(pulse_ctx_create(&o, &ctx), -EINVAL);
	}
	KT_REQUIRE(!pulse_ctx_create(NULL, &ctx));
	KT_EQ(next(), -ENODEV);
	KT_EQ(pulse_ctx_events_fd(ctx), -ENODEV);
	KT_EQ(pulse_ctx_events_signal(ctx, -1), -ENODEV);
	KT_EQ(pulse_ctx_events_dropped(ctx), -ENODEV);
	KT_EQ(pulse_ctx_watch_process(ctx, getpid(), NULL), -ENODEV);
	KT_EQ(pulse_ctx_unwatch(ctx, 1), -ENODEV);
	pulse_ctx_destroy(ctx);

	begin();
	KT_EQ(pulse_ctx_events_next(NULL, &event), -EINVAL);
	KT_EQ(pulse_ctx_events_next(ctx, NULL), -EINVAL);
	little->sz = 16;
	KT_EQ(pulse_ctx_events_next(ctx, little), -EINVAL);
	KT_EQ(pulse_ctx_events_fd(NULL), -EINVAL);
	KT_EQ(pulse_ctx_events_signal(NULL, -1), -EINVAL);
	KT_EQ(pulse_ctx_events_signal(ctx, -2), -EBADF);
	KT_EQ(pulse_ctx_events_signal(ctx, 1 << 20), -EBADF);
	KT_EQ(pulse_ctx_events_signal(ctx, pulse_ctx_events_fd(ctx)), -EINVAL);
	KT_EQ(pulse_ctx_events_signal(ctx, -1), 0);
	KT_EQ(pulse_ctx_events_dropped(NULL), -EINVAL);
	KT_EQ(pulse_ctx_watch_worker(NULL, 0, &opts), -EINVAL);
	KT_EQ(pulse_ctx_watch_worker(ctx, 0, NULL), -EINVAL);
	KT_EQ(pulse_ctx_watch_worker(ctx, -1, &opts), -EINVAL);
	KT_EQ(pulse_ctx_watch_worker(ctx, 0, &opts), -EINVAL);
	KT_EQ(pulse_ctx_watch_process(ctx, 0, NULL), -EINVAL);
	KT_EQ(pulse_ctx_watch_process(ctx, -5, NULL), -EINVAL);
	KT_EQ(pulse_ctx_watch_process(ctx, getpid(), &opts), -EINVAL);
	KT_EQ(pulse_ctx_watch_process(ctx, 0x3ffffff, NULL), -ESRCH);
	KT_EQ(pulse_ctx_unwatch(ctx, 0), -ESRCH);
	KT_EQ(pulse_ctx_unwatch(ctx, 1), -ESRCH);
	KT_EQ(next(), 0);
	KT_EQ(pulse_ctx_events_dropped(ctx), 0);
	KT_CHECK(!readable(0));
	pulse_ctx_destroy(ctx);
}

/* The sanitizers' runtimes do not survive such a thread themselves. */
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
/* A bare exit: no destructor of the library runs. */
static void *end_in_mid_job(void *arg)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };
	int index = pulse_worker_register(ctx, -1, 4711);

	if (index >= 0) {
		pulse_worker_state(ctx, index, &st);
		ctx->uwork[index].job = 99;
	}
	*(int *)arg = st.tid;
	syscall(SYS_exit, 3);
	return NULL;
}

KT_TEST(a_worker_that_dies_is_told_with_its_job)
{
	pthread_t t;
	int tid = 0;

	begin();
	KT_REQUIRE(!pthread_create(&t, NULL, end_in_mid_job, &tid));
	pthread_join(t, NULL);
	KT_REQUIRE(EVENTUALLY(next() == 1));
	KT_EQ(event.type, PULSE_EVENT_WORKER_DEATH);
	KT_EQ(event.watch, -1);
	KT_EQ(event.index, 0);
	KT_EQ(event.cookie, 4711);
	KT_EQ(event.job, 99);
	KT_EQ(event.pid, getpid());
	KT_CHECK(tid > 0 && event.tid == tid);
	KT_EQ(event.exit_code, on_kernel() ? 3 << 8 : PULSE_EXIT_UNKNOWN);
	KT_EQ(next(), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}
#endif

static void *register_and_return(void *arg)
{
	pulse_worker_register(ctx, -1, 0);
	return arg;
}

KT_TEST(a_worker_that_returns_is_no_death)
{
	pthread_t t;

	begin();
	KT_REQUIRE(!pthread_create(&t, NULL, register_and_return, NULL));
	pthread_join(t, NULL);
	nap_us(20000);
	KT_EQ(next(), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

static pid_t start(int how)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		nap_us(30000);
		if (how < 0)
			kill(getpid(), -how);
		_exit(how);
	}
	return pid;
}

KT_TEST(the_end_of_a_process_is_told_with_its_reason)
{
	static const int ways[] = { 0, 42, -SIGKILL, -SIGTERM };

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		PULSE_OPTS(pulse_watch_opts, opts, .cookie = i + 7);
		pid_t pid = start(ways[i]);
		int id = pulse_ctx_watch_process(ctx, pid, &opts), status;

		KT_REQUIRE(id > 0);
		KT_CHECK(readable(20000));
		KT_REQUIRE(EVENTUALLY(next() == 1));
		KT_EQ(event.type, PULSE_EVENT_PROCESS_DEATH);
		KT_EQ(event.watch, id);
		KT_EQ(event.cookie, i + 7);
		KT_EQ(event.pid, pid);
		KT_EQ(event.signal, ways[i] < 0 ? -ways[i] : 0);
		KT_EQ(waitpid(pid, &status, 0), pid);
		KT_EQ(event.exit_code & 0xff7f, status & 0xff7f);
		KT_EQ(pulse_ctx_unwatch(ctx, id), -ESRCH);
		KT_CHECK(!readable(0));
	}
	pulse_ctx_destroy(ctx);
}

static bool told(int efd, eventfd_t times)
{
	eventfd_t n = 0;

	for (eventfd_t sum = 0; sum < times; sum += n) {
		struct pollfd p = { .fd = efd, .events = POLLIN };

		if (poll(&p, 1, 20000) != 1 || eventfd_read(efd, &n))
			return false;
	}
	return true;
}

static bool silent(int efd)
{
	struct pollfd p = { .fd = efd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

/* Ends, and is waited for; the watch on it told of that. */
static void watch_one_end(void)
{
	pid_t pid = start(0);

	KT_CHECK(pulse_ctx_watch_process(ctx, pid, NULL) > 0);
	KT_EQ(waitpid(pid, NULL, 0), pid);
}

/* Nobody looks meanwhile: the eventfd is told by itself. */
KT_TEST(an_eventfd_is_told_of_each_event)
{
	int one = eventfd(0, EFD_NONBLOCK), other = eventfd(0, 0), copy;

	begin();
	KT_REQUIRE(one >= 0 && other >= 0);
	copy = dup(one);
	KT_EQ(pulse_ctx_events_signal(ctx, copy), 0);
	close(copy);
	for (int n = 0; n < 3; n++)
		watch_one_end();
	KT_CHECK(told(one, 3));
	for (int n = 0; n < 3; n++)
		KT_EQ(next(), 1);
	KT_EQ(next(), 0);
	/* another one takes its place */
	KT_EQ(pulse_ctx_events_signal(ctx, other), 0);
	watch_one_end();
	KT_CHECK(told(other, 1));
	KT_CHECK(silent(one));
	/* one that is full makes nobody wait */
	KT_EQ(eventfd_write(other, UINT64_MAX - 1), 0);
	watch_one_end();
	KT_CHECK(EVENTUALLY(next() == 1) && EVENTUALLY(next() == 1));
	/* none */
	KT_EQ(pulse_ctx_events_signal(ctx, one), 0);
	KT_EQ(pulse_ctx_events_signal(ctx, -1), 0);
	watch_one_end();
	KT_CHECK(EVENTUALLY(next() == 1));
	KT_CHECK(silent(one));
	KT_EQ(pulse_ctx_events_signal(ctx, one), 0);
	pulse_ctx_destroy(ctx);
	close(one);
	close(other);
}

KT_TEST(an_unwatched_process_ends_in_silence)
{
	int id, status;
	pid_t pid;

	begin();
	pid = start(0);
	id = pulse_ctx_watch_process(ctx, pid, NULL);
	KT_REQUIRE(id > 0);
	KT_EQ(pulse_ctx_unwatch(ctx, id), 0);
	KT_EQ(waitpid(pid, &status, 0), pid);
	nap_us(200000);
	KT_EQ(next(), 0);
	/* and one that is left behind goes with the context */
	pid = start(0);
	KT_CHECK(pulse_ctx_watch_process(ctx, pid, NULL) > 0);
	pulse_ctx_destroy(ctx);
	waitpid(pid, &status, 0);
}

static bool enough;

static void *spin(void *arg)
{
	int index = pulse_worker_register(ctx, -1, 0);

	__atomic_store_n((int *)arg, index, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&enough, __ATOMIC_ACQUIRE))
		;
	return NULL;
}

KT_TEST(a_hang_gets_its_verdict_where_the_module_looks)
{
	PULSE_OPTS(pulse_watch_opts, opts, .stuck_ns = 50000000);
	int index = -1000, id;
	pthread_t t;

	begin();
	enough = false;
	KT_REQUIRE(!pthread_create(&t, NULL, spin, &index));
	KT_CHECK(EVENTUALLY(__atomic_load_n(&index, __ATOMIC_ACQUIRE) != -1000));
	id = pulse_ctx_watch_worker(ctx, index, &opts);
	if (watches()) {
		KT_CHECK(id > 0);
		KT_CHECK(readable(20000));
		KT_EQ(next(), 1);
		KT_EQ(event.type, PULSE_EVENT_HANG);
		KT_EQ(event.verdict, PULSE_HANG_STUCK);
		KT_EQ(event.index, index);
		KT_CHECK(event.for_ns >= 50000000);
	} else {
		KT_EQ(id, -EOPNOTSUPP);
	}
	__atomic_store_n(&enough, true, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
	pulse_ctx_destroy(ctx);
}

static void *sleep_unparked(void *arg)
{
	int index = pulse_worker_register(ctx, -1, 0);

	__atomic_store_n((int *)arg, index, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&enough, __ATOMIC_ACQUIRE))
		nap_us(500000);
	return NULL;
}

static void to_cpu(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void *spin_there(void *arg)
{
	to_cpu(0);
	return spin(arg);
}

/* Takes that CPU from all that are no real-time tasks. */
static void *hog_there(void *arg)
{
	struct sched_param p = { .sched_priority = 1 };
	int64_t end = pulse_now_ns() + 45000000000LL;

	to_cpu(0);
	sched_setscheduler(0, SCHED_FIFO, &p);
	while (!__atomic_load_n(&enough, __ATOMIC_ACQUIRE) && pulse_now_ns() < end)
		;
	return arg;
}

/* One that hangs in another way than by spinning. */
static void verdict_on(void *(*fn)(void *), void *(*beside)(void *),
		       const struct pulse_watch_opts *opts, uint32_t verdict)
{
	int index = -1000, id;
	pthread_t t, other;

	begin();
	enough = false;
	KT_REQUIRE(!pthread_create(&t, NULL, fn, &index));
	KT_CHECK(EVENTUALLY(__atomic_load_n(&index, __ATOMIC_ACQUIRE) != -1000));
	id = pulse_ctx_watch_worker(ctx, index, opts);
	if (!watches()) {
		KT_EQ(id, -EOPNOTSUPP);
		beside = NULL;
	} else {
		KT_CHECK(id > 0);
		if (beside)
			KT_EQ(pthread_create(&other, NULL, beside, NULL), 0);
		KT_CHECK(EVENTUALLY(next() == 1));
		KT_EQ(event.type, PULSE_EVENT_HANG);
		KT_EQ(event.verdict, verdict);
		KT_EQ(event.index, index);
		KT_EQ(event.watch, id);
		KT_CHECK(event.for_ns >= 50000000);
	}
	__atomic_store_n(&enough, true, __ATOMIC_RELEASE);
	if (beside)
		pthread_join(other, NULL);
	pthread_join(t, NULL);
	pulse_ctx_destroy(ctx);
}

KT_TEST(one_that_sleeps_and_does_not_park_is_blocked)
{
	PULSE_OPTS(pulse_watch_opts, opts, .blocked_ns = 50000000);

	verdict_on(sleep_unparked, NULL, &opts, PULSE_HANG_BLOCKED);
}

KT_TEST(one_that_gets_no_cpu_is_starved)
{
	PULSE_OPTS(pulse_watch_opts, opts, .starved_ns = 50000000);

	if (watches() && (sysconf(_SC_NPROCESSORS_ONLN) < 2 || geteuid()))
		KT_SKIP("a CPU of one's own is not to be had");
	verdict_on(spin_there, hog_there, &opts, PULSE_HANG_STARVED);
}

KT_TEST(memory_over_a_limit_is_told_where_the_module_looks)
{
	PULSE_OPTS(pulse_watch_opts, opts, .rss_bytes = 4096);
	int id;

	begin();
	id = pulse_ctx_watch_process(ctx, getpid(), &opts);
	if (watches()) {
		KT_CHECK(id > 0);
		KT_CHECK(readable(20000));
		KT_EQ(next(), 1);
		KT_EQ(event.type, PULSE_EVENT_RSS);
		KT_EQ(event.limit_bytes, 4096);
		KT_CHECK(event.rss_bytes > 4096);
	} else {
		KT_EQ(id, -EOPNOTSUPP);
	}
	pulse_ctx_destroy(ctx);
}

static int use_after_fork(void *arg)
{
	(void)arg;
	return next() == -EOWNERDEAD && pulse_ctx_events_fd(ctx) == -EOWNERDEAD &&
	       pulse_ctx_events_signal(ctx, -1) == -EOWNERDEAD &&
	       pulse_ctx_watch_process(ctx, 1, NULL) == -EOWNERDEAD &&
	       pulse_ctx_destroy(ctx) == -EOWNERDEAD ? 0 : 1;
}

/* U09 */
KT_TEST(a_forked_child_has_no_events)
{
	int efd = eventfd(0, 0);

	begin();
	KT_EQ(pulse_ctx_events_signal(ctx, efd), 0);
	close(efd);
	KT_EQ(in_child(use_after_fork, NULL), 0);
	KT_EQ(next(), 0);
	pulse_ctx_destroy(ctx);
}

static int life_of_a_context(void)
{
	PULSE_OPTS(pulse_ctx_opts, opts, .max_workers = 8, .ring_entries = 16,
		   .event_bytes = 4096);
	int err;

	from_here();
	err = pulse_ctx_create(&opts, &ctx);
	if (!err)
		KT_EQ(pulse_ctx_destroy(ctx), 0);
	return err;
}

/* U04 */
KT_TEST(each_allocation_of_a_context_may_fail)
{
	each_may_fail("a context", life_of_a_context);
}

static struct pulse_ctx *shared;

static int life_of_one_that_joined(void)
{
	int err;

	from_here();
	err = pulse_ctx_attach(pulse_ctx_fd(shared), &ctx);
	if (!err)
		KT_EQ(pulse_ctx_destroy(ctx), 0);
	return err;
}

/* U04: and the one that was joined is none the worse for it */
KT_TEST(each_allocation_of_one_that_joins_may_fail)
{
	PULSE_OPTS(pulse_ctx_opts, opts, .max_workers = 8, .ring_entries = 16,
		   .flags = PULSE_CTX_OPT_SHARED);
	int index, err = pulse_ctx_create(&opts, &shared);

	if (!on_kernel()) {
		KT_EQ(err, -EOPNOTSUPP);
		return;
	}
	KT_REQUIRE(!err);
	each_may_fail("one that joins", life_of_one_that_joined);
	index = pulse_worker_register(shared, -1, 0);
	KT_CHECK(index >= 0);
	KT_EQ(pulse_worker_unregister(shared, index), 0);
	KT_EQ(pulse_ctx_destroy(shared), 0);
}

KT_TEST(an_eventfd_without_a_thread_is_refused)
{
	int efd = eventfd(0, EFD_NONBLOCK);

	begin();
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_ctx_events_signal(ctx, efd), on_kernel() ? 0 : -ENOMEM);
	pulse__alloc_fail_at(0);
	KT_EQ(pulse_ctx_events_signal(ctx, efd), 0);
	watch_one_end();
	KT_CHECK(told(efd, 1));
	pulse_ctx_destroy(ctx);
	close(efd);
}

KT_MAIN()
