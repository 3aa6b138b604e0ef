// SPDX-License-Identifier: GPL-2.0-only
/*
 * One context in several processes: parking and waking across them, and the job
 * of a process that was killed. On the user backend it is refused, in words.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "helpers.h"

#define WORKERS	4		/* processes that work */

/* What all processes of a test see, whoever dies. */
struct board {
	int fd;			/* of the context, inherited */
	int stop;
	int ready[WORKERS + 1];
	int index[WORKERS + 1];
	int got;		/* what a child wants to tell */
	uint32_t ended[WORKERS];	/* generations that were sent SIGKILL */
	uint64_t next;
	uint64_t nr;
	uint64_t salvaged;
	struct {
		uint32_t begun;
		uint32_t ran;
		uint32_t runner;	/* slot + 8 * generation; 0 nobody */
		uint32_t twice;		/* two that live, at once */
	} jobs[];
};

static struct board *b;
static struct pulse_ctx *ctx;

static struct pulse_ctx *shared_ctx(void)
{
	PULSE_OPTS(pulse_ctx_opts, opts, .max_workers = WORKERS + 2,
		   .flags = PULSE_CTX_OPT_SHARED);
	struct pulse_ctx *made;
	int err = pulse_ctx_create(&opts, &made);

	if (on_kernel())
		KT_EQ(err, 0);
	else
		KT_EQ(err, -EOPNOTSUPP);
	return made;
}

/* False on the user backend: then it was shown that it is refused. */
static bool begin(uint64_t nr_jobs)
{
	size_t bytes = sizeof(*b) + nr_jobs * sizeof(b->jobs[0]);

	ctx = shared_ctx();
	if (!ctx)
		return false;
	b = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		 -1, 0);
	if (b == MAP_FAILED)
		return false;
	b->fd = pulse_ctx_fd(ctx);
	b->nr = nr_jobs;
	return true;
}

static void end(void)
{
	KT_EQ(pulse_ctx_destroy(ctx), 0);
	munmap(b, sizeof(*b) + b->nr * sizeof(b->jobs[0]));
}

static pid_t child(int (*fn)(int me), int me)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(fn(me));
	return pid;
}

static int status_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/*
 * In a child: its own view of the context, and its worker. The slots of those
 * who were killed are given out again when they have been reaped.
 */
static int enter(int me)
{
	int index, err;

	EVENTUALLY((err = pulse_ctx_attach(b->fd, &ctx)) != -ENOSPC);
	if (err)
		return -1;
	EVENTUALLY((index = pulse_worker_register(ctx, -1, (uint64_t)me)) != -ENOSPC);
	__atomic_store_n(&b->index[me], index, __ATOMIC_RELAXED);
	__atomic_store_n(&b->ready[me], 1, __ATOMIC_RELEASE);
	return index;
}

static bool ready(int me)
{
	return __atomic_load_n(&b->ready[me], __ATOMIC_ACQUIRE);
}

/* ---- attaching ------------------------------------------------------------ */

static int attach_and_leave(int me)
{
	struct pulse_ctx *inherited = ctx;
	int index = enter(me);

	if (index < 0 || pulse_ctx_fd(ctx) == b->fd)
		return 1;
	/* What was inherited is of no use but for this. */
	if (pulse_ctx_fd(inherited) != -EOWNERDEAD)
		return 2;
	if (pulse_ctx_destroy(ctx) != -EBUSY)
		return 3;
	if (pulse_worker_unregister(ctx, index) || pulse_ctx_destroy(ctx))
		return 4;
	/* Once more, in the same process. */
	index = enter(me);
	return index < 0 || pulse_worker_unregister(ctx, index) ||
	       pulse_ctx_destroy(ctx) ? 5 : 0;
}

KT_TEST(a_process_attaches_and_leaves)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };

	if (!begin(0))
		return;
	KT_EQ(status_of(child(attach_and_leave, 0)), 0);
	KT_EQ(pulse_worker_state(ctx, b->index[0], &st), -ESRCH);
	end();
}

static int attach_to_a_private_one(int me)
{
	struct pulse_ctx *mine;

	return pulse_ctx_attach(me, &mine) == -EPERM && !mine ? 0 : 1;
}

KT_TEST(what_is_no_shared_context_is_refused)
{
	struct pulse_ctx *out = (void *)1;
	int fds[2];

	KT_EQ(pulse_ctx_attach(0, NULL), -EINVAL);
	KT_EQ(pulse_ctx_attach(-1, &out), -EBADF);
	KT_CHECK(!out);
	KT_EQ(pipe(fds), 0);
	KT_EQ(pulse_ctx_attach(fds[0], &out),
	      on_kernel() ? -EINVAL : -EOPNOTSUPP);
	close(fds[1]);
	KT_EQ(pulse_ctx_create(NULL, &ctx), 0);
	if (on_kernel()) {
		KT_EQ(pulse_ctx_attach(1000000, &out), -EBADF);
		KT_EQ(pulse_ctx_attach(pulse_ctx_fd(ctx), &out), -EPERM);
		KT_EQ(status_of(child(attach_to_a_private_one,
				      pulse_ctx_fd(ctx))), 0);
	}
	close(fds[0]);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

/* ---- parking and waking ---------------------------------------------------- */

static bool told_to_stop(void *arg)
{
	(void)arg;
	return __atomic_load_n(&b->stop, __ATOMIC_SEQ_CST);
}

static int park_until_stop(int me)
{
	int index = enter(me), err = 0;

	while (index >= 0 && !told_to_stop(NULL) && err >= 0)
		err = pulse_worker_park(ctx, index,
					pulse_now_ns() + 60000000000LL,
					told_to_stop, NULL);
	return err < 0 || index < 0;
}

static bool parked(int me)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };

	return ready(me) && !pulse_worker_state(ctx, b->index[me], &st) &&
	       st.state == PULSE_STATE_PARKED;
}

KT_TEST(a_worker_of_another_process_is_woken_by_index)
{
	uint32_t index;
	pid_t pid;

	if (!begin(0))
		return;
	pid = child(park_until_stop, 0);
	KT_CHECK(EVENTUALLY(parked(0)));
	index = (uint32_t)b->index[0];
	__atomic_store_n(&b->stop, 1, __ATOMIC_SEQ_CST);
	KT_EQ(pulse_worker_wake(ctx, &index, 1), 1);
	KT_EQ(status_of(pid), 0);
	KT_CHECK(EVENTUALLY(pulse_worker_wake(ctx, &index, 1) == -ESRCH));
	end();
}

KT_TEST(workers_of_other_processes_are_woken_by_node)
{
	pid_t pid[WORKERS];
	int nodes[1], woken = 0;

	if (!begin(0))
		return;
	for (int i = 0; i < WORKERS; i++)
		pid[i] = child(park_until_stop, i);
	for (int i = 0; i < WORKERS; i++)
		KT_CHECK(EVENTUALLY(parked(i)));
	__atomic_store_n(&b->stop, 1, __ATOMIC_SEQ_CST);
	KT_CHECK(pulse_ctx_nodes(ctx, nodes, 1) >= 1);
	woken = pulse_worker_wake_node(ctx, nodes[0], WORKERS, true);
	/* One that came back by itself just then has seen that it is over. */
	KT_CHECK(woken >= 1 && woken <= WORKERS);
	for (int i = 0; i < WORKERS; i++)
		KT_EQ(status_of(pid[i]), 0);
	KT_EQ(pulse_worker_wake_node(ctx, nodes[0], WORKERS, true), 0);
	end();
}

/* ---- jobs ------------------------------------------------------------------- */

KT_TEST(a_job_is_in_hand_until_it_is_done)
{
	uint64_t job = 5;
	int index;

	KT_EQ(pulse_ctx_create(NULL, &ctx), 0);
	index = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(index >= 0);
	KT_EQ(pulse_worker_end_job(ctx, index), -ENOENT);
	KT_EQ(pulse_worker_begin_job(ctx, index, 0), -EINVAL);
	KT_EQ(pulse_worker_begin_job(ctx, index, 7), 0);
	KT_EQ(pulse_worker_begin_job(ctx, index, 8), -EBUSY);
	KT_EQ(pulse_worker_salvage(ctx, index, &job), -EOPNOTSUPP);
	KT_EQ(pulse_worker_end_job(ctx, index), 0);
	KT_EQ(pulse_worker_end_job(ctx, index), -ENOENT);
	KT_EQ(pulse_worker_begin_job(ctx, index + 1, 7), -ESRCH);
	KT_EQ(pulse_worker_begin_job(NULL, index, 7), -EINVAL);
	KT_EQ(pulse_worker_end_job(NULL, index), -EINVAL);
	KT_EQ(pulse_worker_salvage(NULL, index, &job), -EINVAL);
	KT_EQ(pulse_worker_salvage(ctx, index, NULL), -EINVAL);
	KT_EQ(pulse_worker_unregister(ctx, index), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

static int take_a_job_and_hang(int me)
{
	int index = enter(WORKERS);

	if (index < 0 || pulse_worker_begin_job(ctx, index, (uint64_t)me))
		return 1;
	__atomic_store_n(&b->got, me, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

static bool took(int job)
{
	return __atomic_load_n(&b->got, __ATOMIC_ACQUIRE) == job;
}

/* Ten crashes out of ten: the peer finds exactly the job that was in hand. */
KT_TEST(the_job_of_a_killed_process_is_found_each_time)
{
	uint64_t job;
	int index;

	if (!begin(0))
		return;
	index = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(index >= 0);
	for (int i = 1; i <= 10; i++) {
		pid_t pid = child(take_a_job_and_hang, 1000 + i);

		KT_CHECK(EVENTUALLY(took(1000 + i)));
		/* It lives, and so its job is its own. */
		KT_EQ(pulse_worker_salvage(ctx, index, &job), 0);
		kill(pid, SIGKILL);
		KT_EQ(status_of(pid), -SIGKILL);
		KT_CHECK(EVENTUALLY(pulse_worker_salvage(ctx, index, &job) == 1));
		KT_EQ(job, (uint64_t)(1000 + i));
		KT_EQ(pulse_worker_salvage(ctx, index, &job), -EBUSY);
		KT_EQ(pulse_worker_begin_job(ctx, index, 1), -EBUSY);
		KT_EQ(pulse_worker_end_job(ctx, index), 0);
		KT_EQ(pulse_worker_salvage(ctx, index, &job), 0);
	}
	KT_EQ(pulse_worker_unregister(ctx, index), 0);
	end();
}

static int adopt_a_job(int me)
{
	uint64_t job = 0;
	int index = enter(WORKERS);

	if (index != b->index[0])
		return 1;
	if (pulse_worker_begin_job(ctx, index, 1) != -EBUSY ||
	    pulse_worker_end_job(ctx, index) != -ENOENT)
		return 2;
	if (pulse_worker_salvage(ctx, index, &job) != 1 || job != (uint64_t)me)
		return 3;
	if (pulse_worker_salvage(ctx, index, &job) != -EBUSY)
		return 4;
	return pulse_worker_end_job(ctx, index) ||
	       pulse_worker_salvage(ctx, index, &job) ? 5 : 0;
}

KT_TEST(who_gets_the_slot_of_the_dead_gets_its_job)
{
	pid_t pid;

	if (!begin(0))
		return;
	pid = child(take_a_job_and_hang, 77);
	KT_CHECK(EVENTUALLY(took(77)));
	b->index[0] = b->index[WORKERS];
	kill(pid, SIGKILL);
	KT_EQ(status_of(pid), -SIGKILL);
	/* The lowest free slot is given out next, once it is free. */
	KT_CHECK(EVENTUALLY(status_of(child(adopt_a_job, 77)) == 0));
	end();
}

/* ---- a storm of kills ------------------------------------------------------- */

static void run_job(uint64_t j, uint32_t id)
{
	uint32_t was = __atomic_exchange_n(&b->jobs[j].runner, id,
					   __ATOMIC_SEQ_CST);

	/* Whoever had it before has been sent its end. */
	if (was && __atomic_load_n(&b->ended[was % 8], __ATOMIC_SEQ_CST) < was / 8)
		__atomic_store_n(&b->jobs[j].twice, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2000; i++)
		__asm__ volatile("" ::: "memory");
	__atomic_fetch_add(&b->jobs[j].ran, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&b->jobs[j].runner, 0, __ATOMIC_SEQ_CST);
}

/* Job numbers begin with 1. */
static int work(int me)
{
	uint32_t id = (uint32_t)me + 8 * (b->ended[me] + 1);
	int index = enter(me);
	uint64_t job;

	if (index < 0)
		return 1;
	for (long n = 0; !__atomic_load_n(&b->stop, __ATOMIC_SEQ_CST); n++) {
		int err = n % 8 ? 0 : pulse_worker_salvage(ctx, index, &job);

		if (err < 0)
			return 2;
		if (err)
			__atomic_fetch_add(&b->salvaged, 1, __ATOMIC_RELAXED);
		if (!err) {
			job = __atomic_add_fetch(&b->next, 1, __ATOMIC_SEQ_CST);
			if (job > b->nr) {
				nap_us(200);
				n = 7;
				continue;
			}
			if (pulse_worker_begin_job(ctx, index, job))
				return 3;
			__atomic_store_n(&b->jobs[job - 1].begun, 1,
					 __ATOMIC_SEQ_CST);
		}
		run_job(job - 1, id);
		if (pulse_worker_end_job(ctx, index))
			return 4;
	}
	return 0;
}

static bool all_ran(void)
{
	for (uint64_t j = 0; j < b->nr; j++) {
		if (__atomic_load_n(&b->jobs[j].begun, __ATOMIC_SEQ_CST) &&
		    !__atomic_load_n(&b->jobs[j].ran, __ATOMIC_SEQ_CST))
			return false;
	}
	return __atomic_load_n(&b->next, __ATOMIC_SEQ_CST) >= b->nr;
}

KT_TEST(no_job_is_lost_or_in_two_hands_while_processes_are_killed)
{
	uint64_t lost = 0, twice = 0, again = 0;
	pid_t pid[WORKERS];
	unsigned int seed = 1;

	if (!begin((uint64_t)kt_scale(100000)))
		return;
	for (int i = 0; i < WORKERS; i++)
		pid[i] = child(work, i);
	for (int kills = 0; kills < 20; kills++) {
		int i = rand_r(&seed) % WORKERS;

		/* All along the work, and then at any moment. */
		KT_CHECK(EVENTUALLY(__atomic_load_n(&b->next, __ATOMIC_RELAXED) >
				    b->nr / 22 * (uint64_t)kills));
		nap_us(rand_r(&seed) % 1000);
		__atomic_fetch_add(&b->ended[i], 1, __ATOMIC_SEQ_CST);
		kill(pid[i], SIGKILL);
		KT_EQ(status_of(pid[i]), -SIGKILL);
		pid[i] = child(work, i);
	}
	KT_CHECK(EVENTUALLY(all_ran()));
	__atomic_store_n(&b->stop, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < WORKERS; i++)
		KT_EQ(status_of(pid[i]), 0);
	for (uint64_t j = 0; j < b->nr; j++) {
		lost += b->jobs[j].begun && !b->jobs[j].ran;
		twice += b->jobs[j].twice;
		again += b->jobs[j].ran > 1;
	}
	KT_EQ(lost, 0);
	KT_EQ(twice, 0);
	KT_CHECK(again <= 20);
	kt_note("%llu jobs, %llu salvaged, %llu done again",
		(unsigned long long)b->nr, (unsigned long long)b->salvaged,
		(unsigned long long)again);
	end();
}

KT_MAIN()
