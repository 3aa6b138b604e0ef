// SPDX-License-Identifier: GPL-2.0-only
/*
 * What supervisors know from the module and from nobody else; without it, what
 * they say in its place. Each test names who told.
 */
#include <linux/pulse.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <pulse-u/events.h>

#include "backend/backend.h"

#include "helpers.h"

static bool with_module(void)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };

	KT_EQ(pulse_backend_info(&info), 0);
	return info.kind == PULSE_BACKEND_KERNEL;
}

static struct pulse_sup *sup_with(struct pulse_child_spec *spec)
{
	PULSE_OPTS(pulse_sup_opts, o, .max_restarts = 1000, .period_ms = 600000);
	struct pulse_sup *sup = NULL;

	KT_EQ(pulse_sup_create(&o, &sup), 0);
	if (sup) {
		KT_EQ(pulse_sup_start_child(sup, spec, NULL), 0);
		KT_EQ(pulse_sup_start(sup), 0);
	}
	return sup;
}

static struct pulse_child_info look(struct pulse_sup *sup, const char *id)
{
	struct pulse_child_info info = { .sz = sizeof(info) };

	KT_EQ(pulse_sup_find_child(sup, id, &info), 0);
	return info;
}

/* Shared with the processes: who is to exit with 9. */
static pid_t *whose_end;

__attribute__((constructor)) static void share(void)
{
	whose_end = mmap(NULL, sizeof(*whose_end), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static int process(struct pulse_child *self, void *arg)
{
	(void)arg;
	while (GET(*whose_end) != getpid())
		if (!pulse_child_wait(self, pulse_now_ns() + 5000000))
			return -ESHUTDOWN;
	_exit(9);
}

/*
 * With SIGCHLD ignored the kernel throws exit statuses away: who waits gets
 * nothing. The module knows them all the same.
 */
KT_TEST(the_module_tells_the_reason_of_a_process_that_cannot_be_waited_for)
{
	PULSE_OPTS(pulse_child_spec, spec, .id = "p",
		   .kind = PULSE_CHILD_PROCESS, .fn = process);
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	bool module = with_module();
	struct pulse_child_info info;
	struct pulse_sup *sup;
	uint64_t life;

	KT_REQUIRE(!sigaction(SIGCHLD, &ignore, &before));
	sup = sup_with(&spec);
	KT_REQUIRE(sup);
	for (int i = 0; i < 3; i++) {
		info = look(sup, "p");
		life = info.incarnation;
		KT_EQ(kill(info.pid, i == 1 ? SIGUSR1 : SIGKILL), 0);
		KT_CHECK(EVENTUALLY(look(sup, "p").incarnation > life &&
				    look(sup, "p").status ==
				    PULSE_CHILD_RUNNING));
		info = look(sup, "p");
		KT_EQ(info.last_exit.kind,
		      module ? PULSE_EXIT_SIGNAL : PULSE_EXIT_LOST);
		KT_EQ(info.last_exit.signal, !module ? 0 :
		      i == 1 ? SIGUSR1 : SIGKILL);
		KT_EQ(info.last_exit.flags & PULSE_EXIT_MODULE,
		      module ? PULSE_EXIT_MODULE : 0);
	}
	/* Exit codes too. */
	life = look(sup, "p").incarnation;
	SET(*whose_end, look(sup, "p").pid);
	KT_CHECK(EVENTUALLY(look(sup, "p").incarnation > life));
	info = look(sup, "p");
	KT_EQ(info.last_exit.kind, module ? PULSE_EXIT_CODE : PULSE_EXIT_LOST);
	KT_EQ(info.last_exit.code, module ? 9 : 0);
	KT_EQ(pulse_sup_destroy(sup), 0);
	sigaction(SIGCHLD, &before, NULL);
}

/* Where it can be waited for, that is who tells: it is at once. */
KT_TEST(a_process_that_can_be_waited_for_is)
{
	PULSE_OPTS(pulse_child_spec, spec, .id = "p",
		   .kind = PULSE_CHILD_PROCESS, .fn = process);
	struct pulse_sup *sup = sup_with(&spec);
	struct pulse_child_info info;

	KT_REQUIRE(sup);
	kill(look(sup, "p").pid, SIGKILL);
	KT_CHECK(EVENTUALLY(look(sup, "p").incarnation == 2));
	info = look(sup, "p");
	KT_EQ(info.last_exit.kind, PULSE_EXIT_SIGNAL);
	KT_EQ(info.last_exit.signal, SIGKILL);
	KT_EQ(info.last_exit.flags & PULSE_EXIT_MODULE, 0);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

/*
 * On a machine that is busy enough the supervisor's own clock may come first, or the
 * thread may be starved and not stuck: it hangs this often.
 */
#define HANGS	10

static int stuck(struct pulse_child *self, void *arg)
{
	if (pulse_child_incarnation(self) <= HANGS) {
		while (!pulse_child_stopping(self) && !arg)
			;
		while (!pulse_child_stopping(self))
			nap_ms(60000);	/* asleep, and not parked */
	}
	return pulse_child_wait(self, PULSE_FOREVER);
}

KT_TEST(the_verdict_on_a_thread_that_hangs_is_the_modules)
{
	bool module = with_module();

#ifdef PULSE__TSAN
	KT_SKIP("ThreadSanitizer does not follow a thread that is cancelled");
#endif
	for (int asleep = 0; asleep < 2; asleep++) {
		PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = stuck,
			   .arg = asleep ? &spec : NULL, .hang_ms = 300,
			   .flags = PULSE_CHILD_CANCEL);
		uint32_t want = !module ? 0 : asleep ? PULSE_HANG_BLOCKED : PULSE_HANG_STUCK;
		struct pulse_sup *sup = sup_with(&spec);
		struct pulse_child_info info = { 0 };

		KT_REQUIRE(sup);
		for (uint64_t n = 2; n <= HANGS + 1; n++) {
			KT_CHECK(EVENTUALLY(look(sup, "t").incarnation >= n));
			info = look(sup, "t");
			KT_EQ(info.last_exit.kind, PULSE_EXIT_HANG);
			if (info.last_exit.verdict == want)
				break;
			kt_note("verdict %u, not %u", info.last_exit.verdict, want);
		}
		KT_EQ(info.last_exit.verdict, want);
		KT_EQ(pulse_sup_destroy(sup), 0);
	}
}

static bool hangs_asleep(const struct pulse_child *self)
{
	return !strcmp(pulse_child_id(self), "asleep");
}

/* As stuck(), in a process, which nobody asks: it is killed. */
static int process_stuck(struct pulse_child *self, void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++) {
		pulse_child_beat(self);
		nap_ms(1);
	}
	while (pulse_child_incarnation(self) <= HANGS) {
		if (hangs_asleep(self))
			nap_ms(60000);
	}
	return pulse_child_wait(self, PULSE_FOREVER);
}

KT_TEST(the_verdict_on_a_forked_process_that_hangs_is_the_modules)
{
	static const char *const how[] = { "on a CPU", "asleep" };
	bool module = with_module();

	for (int asleep = 0; asleep < 2; asleep++) {
		PULSE_OPTS(pulse_child_spec, spec, .id = how[asleep],
			   .kind = PULSE_CHILD_PROCESS, .fn = process_stuck,
			   .hang_ms = 300);
		uint32_t want = !module ? 0 : asleep ? PULSE_HANG_BLOCKED : PULSE_HANG_STUCK;
		struct pulse_sup *sup = sup_with(&spec);
		struct pulse_child_info info = { 0 };

		KT_REQUIRE(sup);
		for (uint64_t n = 2; n <= HANGS + 1; n++) {
			KT_CHECK(EVENTUALLY(look(sup, spec.id).incarnation >= n));
			info = look(sup, spec.id);
			KT_EQ(info.last_exit.kind, PULSE_EXIT_HANG);
			KT_EQ(info.last_exit.signal, SIGKILL);
			if (info.last_exit.verdict == want)
				break;
			kt_note("verdict %u, not %u", info.last_exit.verdict, want);
		}
		KT_EQ(info.last_exit.verdict, want);
		KT_EQ(pulse_sup_destroy(sup), 0);
	}
}

/* With the module it is a worker while it lives, and none once it is gone. */
KT_TEST(a_forked_process_is_a_worker_only_while_it_lives)
{
	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .fn = process,
		   .kind = PULSE_CHILD_PROCESS, .hang_ms = 3600000);
	bool module = with_module();
	struct pulse_sup *sup;

	/* More lives than the context has places. */
	PULSE_OPTS(pulse_sup_opts, o, .max_restarts = 1000, .period_ms = 600000,
		   .max_threads = 4);
	KT_REQUIRE(!pulse_sup_create(&o, &sup));
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	for (uint64_t n = 1; n <= 12; n++) {
		KT_CHECK(EVENTUALLY(look(sup, "p").incarnation == n &&
				    look(sup, "p").status == PULSE_CHILD_RUNNING));
		if (module)
			KT_CHECK(EVENTUALLY(look(sup, "p").worker >= 0));
		else
			KT_EQ(look(sup, "p").worker, -1);
		KT_EQ(kill(look(sup, "p").pid, SIGKILL), 0);
	}
	KT_CHECK(EVENTUALLY(look(sup, "p").incarnation == 13));
	KT_EQ(pulse_sup_terminate_child(sup, "p"), 0);
	KT_EQ(look(sup, "p").worker, -1);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

static int priority_of[2];

static int tell_priority(struct pulse_child *self, void *arg)
{
	(void)arg;
	priority_of[0] = getpriority(PRIO_PROCESS, 0);
	SET(priority_of[1], sched_getscheduler(0) + 1);
	return pulse_child_wait(self, PULSE_FOREVER);
}

KT_TEST(priorities_of_threads_are_hints_of_the_module)
{
	PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = tell_priority,
		   .priority = PULSE_CHILD_PRIO_BATCH);
	bool module = with_module();
	struct pulse_ctx *ctx;
	struct pulse_sup *sup;
	int me, before = getpriority(PRIO_PROCESS, 0);

	/* What the supervisor calls. */
	KT_REQUIRE(!pulse_ctx_create(NULL, &ctx));
	me = pulse_worker_register(ctx, -1, 0);
	KT_CHECK(me >= 0);
	KT_EQ(pulse__worker_hint(ctx, me, before + 1, PULSE_CLASS_BATCH),
	      module ? 0 : -EOPNOTSUPP);
	KT_EQ(getpriority(PRIO_PROCESS, 0), module ? before + 1 : before);
	KT_EQ(sched_getscheduler(0), module ? SCHED_BATCH : SCHED_OTHER);
	KT_EQ(pulse__worker_hint(ctx, me, 20, PULSE_CLASS_NORMAL),
	      module ? -EINVAL : -EOPNOTSUPP);
	KT_EQ(pulse__worker_hint(ctx, -1, 0, PULSE_CLASS_NORMAL), -EINVAL);
	KT_EQ(pulse__worker_hint(NULL, 0, 0, PULSE_CLASS_NORMAL), -EINVAL);
	pulse__worker_hint(ctx, me, before, PULSE_CLASS_NORMAL);
	pulse_worker_unregister(ctx, me);
	KT_EQ(pulse_ctx_destroy(ctx), 0);

	sup = sup_with(&spec);
	KT_REQUIRE(sup);
	KT_CHECK(EVENTUALLY(GET(priority_of[1])));
	KT_EQ(priority_of[0], 19);
	KT_EQ(GET(priority_of[1]), SCHED_BATCH + 1);
	KT_EQ(pulse_sup_destroy(sup), 0);
}

KT_MAIN()
