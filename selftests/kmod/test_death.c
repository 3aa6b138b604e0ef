// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers that end without saying so: exit, death, exec, fork, in any order;
 * and what they owed to others.
 */

#include "dev.h"

#define WORD	PULSE_PARK_WORD(5, PULSE_PARK_PARKING)

static struct dev d;

static bool slot_free(int index)
{
	return state_of(&d, index) == PULSE_STATE_FREE;
}

static void *add_and_exit(void *arg)
{
	*(int *)arg = worker_add(d.fd, PULSE_NODE_ANY);
	return NULL;
}

/* P07 */
KT_TEST(the_slot_of_a_thread_that_ended_is_reclaimed)
{
	long long deaths, workers;
	pthread_t t;
	int index;

	NEED_DEVICE();
	deaths = sysfs_read("deaths");
	workers = sysfs_read("workers");
	KT_REQUIRE(!dev_begin(&d, 2));
	for (int n = 1; n <= 50; n++) {
		KT_REQUIRE(!pthread_create(&t, NULL, add_and_exit, &index));
		pthread_join(t, NULL);
		KT_REQUIRE(index >= 0 && index < 2);
		KT_CHECK(EVENTUALLY(slot_free(index)));
		KT_EQ(wake_one(d.fd, index), -ESRCH);
		KT_EQ(kstate_read(&d, index).exit_code, 0);
	}
	KT_CHECK(EVENTUALLY(d.hdr->nr_workers == 0));
	KT_EQ(d.hdr->generation, 100);
	KT_EQ(sysfs_read("deaths"), deaths + 50);
	KT_EQ(sysfs_read("workers"), workers);
	dev_end(&d);
}

static void *exit_with_code(void *arg)
{
	*(int *)arg = worker_add(d.fd, PULSE_NODE_ANY);
	syscall(SYS_exit, 42);
	return NULL;
}

KT_TEST(the_exit_code_stays_until_the_slot_is_used_again)
{
	pthread_t t;
	int index = -1;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 1));
	KT_REQUIRE(!pthread_create(&t, NULL, exit_with_code, &index));
	pthread_join(t, NULL);
	KT_EQ(index, 0);
	KT_CHECK(EVENTUALLY(slot_free(0)));
	KT_EQ(kstate_read(&d, 0).exit_code, 42 << 8);
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	KT_EQ(kstate_read(&d, 0).exit_code, 0);
	KT_EQ(kstate_read(&d, 0).incarnation, 2);
	dev_end(&d);
}

/* 3. of the proof: a waker dies between its cmpxchg and its WAKE */
static void *notify_and_die(void *arg)
{
	struct parker *p = arg;
	__u32 word = WORD;

	if (worker_add(d.fd, PULSE_NODE_ANY) < 0)
		return NULL;
	__atomic_compare_exchange_n(&d.uwork[p->index].park, &word,
				    PULSE_PARK_WORD(5, PULSE_PARK_NOTIFIED), false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return NULL;
}

KT_TEST(the_permit_that_a_dead_waker_owed_is_given)
{
	struct parker p = { .word = WORD }, other = { .word = WORD };
	pthread_t t;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_REQUIRE(parker_start(&other, &d, PULSE_NODE_ANY));
	KT_REQUIRE(!pthread_create(&t, NULL, notify_and_die, &p));
	pthread_join(t, NULL);
	KT_CHECK(EVENTUALLY(parker_returns(&p) >= 1));
	/* who was not notified has at most what may be passed on */
	sleep_ms(20);
	KT_CHECK(parker_returns(&other) <= 1);
	set_word(&d, p.index, WORD);
	parker_stop(&p);
	parker_stop(&other);
	dev_end(&d);
}

static void *park_for_ever(void *arg)
{
	int index = worker_add(d.fd, PULSE_NODE_ANY);

	(void)arg;
	set_word(&d, index, WORD);
	for (;;)
		park(d.fd, index, WORD, PULSE_NO_DEADLINE);
	return NULL;
}

/* Workers that park, spin, block; then the process ends as it is told. */
static int end_as_told(void *arg)
{
	int how = *(int *)arg;
	pthread_t t;

	if (dev_begin(&d, 8) || dev_join(&d, PULSE_NODE_ANY) < 0)
		return 200;
	for (int i = 0; i < 3; i++)
		pthread_create(&t, NULL, park_for_ever, NULL);
	if (!EVENTUALLY(d.hdr->nr_workers == 4))
		return 201;
	if (how < 0)
		kill(getpid(), -how);
	return how;
}

KT_TEST(a_process_that_ends_takes_its_workers_with_it)
{
	static const int ways[] = { 0, 7, -SIGKILL, -SIGSEGV, -SIGTERM, -SIGABRT };
	long long workers, contexts, deaths;

	NEED_DEVICE();
	workers = sysfs_read("workers");
	contexts = sysfs_read("contexts");
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		deaths = sysfs_read("deaths");
		KT_EQ(in_child(end_as_told, (void *)(uintptr_t)&ways[i]), ways[i]);
		KT_CHECK(EVENTUALLY(sysfs_read("workers") == workers));
		KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
		KT_EQ(sysfs_read("deaths"), deaths + 4);
	}
}

/* L09 */
KT_TEST(a_process_killed_at_any_point_leaves_nothing)
{
	long long workers, contexts;

	NEED_DEVICE();
	workers = sysfs_read("workers");
	contexts = sysfs_read("contexts");
	for (int n = 0; n < 40; n++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			for (;;) {
				pthread_t t[3];

				if (dev_begin(&d, 8))
					_exit(1);
				dev_join(&d, PULSE_NODE_ANY);
				for (int i = 0; i < 3; i++) {
					static int index[3];

					pthread_create(&t[i], NULL, add_and_exit,
						       &index[i]);
				}
				for (int i = 0; i < 3; i++)
					pthread_join(t[i], NULL);
				dev_end(&d);
			}
		}
		usleep((useconds_t)(n * 997 % 20000));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		KT_CHECKF(WIFSIGNALED(status), "status %#x", status);
	}
	KT_CHECK(EVENTUALLY(sysfs_read("workers") == workers));
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

/* After exec: told by arguments what to look at. */
static int after_exec(int argc, char **argv)
{
	long long workers = atoll(argv[2]), contexts = atoll(argv[3]);
	int fd = argc > 4 ? atoi(argv[4]) : -1;

	if (!EVENTUALLY(sysfs_read("workers") == workers))
		return 3;
	if (fd < 0)
		return EVENTUALLY(sysfs_read("contexts") == contexts) ? 0 : 4;
	/* the descriptor came along; the context is the old program's */
	if (worker_add(fd, PULSE_NODE_ANY) != -EPERM)
		return 5;
	if (wake_one(fd, 0) != -EPERM)
		return 6;
	close(fd);
	return EVENTUALLY(sysfs_read("contexts") == contexts) ? 0 : 7;
}

struct exec_args {
	bool cloexec, thread;
	long long workers, contexts;
};

static void *exec_self(void *arg)
{
	struct exec_args *e = arg;
	int i = worker_add(d.fd, PULSE_NODE_ANY);
	char w[32], c[32], f[32];

	/* the thread that calls exec is a worker, and so is a parked one */
	if (i < 0 || beat(d.fd, i, 100000))
		_exit(101);
	snprintf(w, sizeof(w), "%lld", e->workers);
	snprintf(c, sizeof(c), "%lld", e->contexts);
	snprintf(f, sizeof(f), "%d", d.fd);
	if (!e->cloexec)
		fcntl(d.fd, F_SETFD, 0);
	execl("/proc/self/exe", "test_death", "--after-exec", w, c,
	      e->cloexec ? NULL : f, NULL);
	_exit(102);
}

static int exec_child(void *arg)
{
	struct exec_args *e = arg;
	pthread_t t;

	if (dev_begin(&d, 8))
		return 100;
	pthread_create(&t, NULL, park_for_ever, NULL);
	if (!EVENTUALLY(d.hdr->nr_workers == 1))
		return 103;
	if (!e->thread)
		exec_self(e);
	pthread_create(&t, NULL, exec_self, e);
	for (;;)
		pause();
}

/* P08 */
KT_TEST(exec_in_a_worker_unregisters_it)
{
	NEED_DEVICE();
	for (int i = 0; i < 4; i++) {
		struct exec_args e = {
			.cloexec = i & 1,
			.thread = i & 2,
			.workers = sysfs_read("workers"),
			.contexts = sysfs_read("contexts"),
		};
		int got = in_child(exec_child, &e);

		KT_CHECKF(got == 0, "cloexec %d, from a thread %d: %d", e.cloexec,
			  e.thread, got);
		KT_CHECK(EVENTUALLY(sysfs_read("contexts") == e.contexts));
	}
}

static int child_is_no_worker(void *arg)
{
	(void)arg;
	if (worker_del(d.fd, 0) != -EPERM || park(d.fd, 0, WORD, 0) != -EPERM)
		return 1;
	sleep_ms(5);
	return 0;
}

KT_TEST(a_forked_child_is_no_worker)
{
	struct pulse_kstate a, b;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	a = kstate_read(&d, 0);
	KT_EQ(in_child(child_is_no_worker, NULL), 0);
	b = kstate_read(&d, 0);
	KT_EQ(b.tid, a.tid);
	KT_EQ(b.state, PULSE_STATE_RUNNING);
	KT_EQ(d.hdr->nr_workers, 1);
	dev_end(&d);
}

/* The parent goes first, then the child that has only the descriptor. */
KT_TEST(a_context_whose_process_is_gone_ends_with_its_last_descriptor)
{
	long long contexts;
	int fds[2], status;
	pid_t pid;
	char c;

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	KT_REQUIRE(!pipe(fds));
	pid = fork();
	KT_REQUIRE(pid >= 0);
	if (!pid) {
		if (dev_begin(&d, 4) || dev_join(&d, PULSE_NODE_ANY) < 0)
			_exit(1);
		if (!fork()) {
			close(fds[1]);
			/* ends when the test says so */
			(void)!read(fds[0], &c, 1);
			_exit(0);
		}
		_exit(0);
	}
	close(fds[0]);
	KT_EQ(waitpid(pid, &status, 0), pid);
	KT_EQ(WEXITSTATUS(status), 0);
	sleep_ms(50);
	KT_EQ(sysfs_read("contexts"), contexts + 1);
	close(fds[1]);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

/* A worker that announces that it parks, is chosen, and does not come. */
struct chosen {
	struct dev *d;
	pthread_barrier_t turn;
	int index;
	bool die;
};

static void *chosen_main(void *arg)
{
	struct chosen *c = arg;

	c->index = worker_add(c->d->fd, 0);
	if (c->index >= 0)
		set_word(c->d, c->index, WORD);
	pthread_barrier_wait(&c->turn);		/* it is there */
	pthread_barrier_wait(&c->turn);		/* it was chosen, or not */
	if (!c->die && c->index >= 0)
		c->index = worker_del(c->d->fd, c->index);
	return NULL;
}

/* Was the other worker woken when the chosen one left? As asked for? */
static void leave_and_look(bool choose, bool die, bool pass)
{
	struct chosen c = { .d = &d, .die = die };
	struct parker p = { .word = WORD };
	pthread_t t;

	pthread_barrier_init(&c.turn, NULL, 2);
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(!pthread_create(&t, NULL, chosen_main, &c));
	pthread_barrier_wait(&c.turn);
	KT_EQ(c.index, 0);		/* the lowest index: chosen first */
	KT_REQUIRE(parker_start(&p, &d, 0));
	if (choose)
		KT_EQ(wake_node(d.fd, 0, 1, 0), 1);
	KT_EQ(parker_returns(&p), 0);
	pthread_barrier_wait(&c.turn);
	pthread_join(t, NULL);
	if (pass)
		KT_CHECK(EVENTUALLY(parker_returns(&p) >= 1));
	else
		KT_EQ(parker_returns(&p), 0);
	/* the next owner of the slot has no permit left over */
	KT_CHECK(EVENTUALLY(slot_free(0)));
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	set_word(&d, 0, WORD);
	KT_EQ(park(d.fd, 0, WORD, 0), -ETIMEDOUT);
	parker_stop(&p);
	dev_end(&d);
	pthread_barrier_destroy(&c.turn);
}

KT_TEST(a_permit_of_a_worker_that_leaves_goes_on_to_another)
{
	NEED_DEVICE();
	leave_and_look(true, false, true);
	leave_and_look(false, false, false);
}

KT_TEST(a_worker_that_dies_wakes_another_of_its_node)
{
	NEED_DEVICE();
	leave_and_look(true, true, true);
	leave_and_look(false, true, true);
}

static void *churn(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (int n = 0; n < 150; n++) {
		int index = worker_add(d.fd, PULSE_NODE_ANY);

		if (index < 0) {
			if (index != -ENOSPC)
				return (void *)1;
			sched_yield();
			continue;
		}
		if (rand_r(&seed) & 1)
			park(d.fd, index, word_of(&d, index), now_ns() + 50000);
		if (worker_del(d.fd, index))
			return (void *)2;
	}
	/* and one that it does not give back */
	worker_add(d.fd, PULSE_NODE_ANY);
	return NULL;
}

KT_TEST(adding_deleting_and_dying_at_once_keeps_the_books)
{
	pthread_t t[8];
	void *bad;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 6));
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 8; i++)
			KT_REQUIRE(!pthread_create(&t[i], NULL, churn,
						   (void *)(uintptr_t)(i + 1)));
		for (int i = 0; i < 8; i++) {
			pthread_join(t[i], &bad);
			KT_EQ((long)bad, 0);
		}
		KT_CHECK(EVENTUALLY(d.hdr->nr_workers == 0));
	}
	for (int i = 0; i < 6; i++)
		KT_CHECK(slot_free(i));
	/* all slots are there again */
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	dev_end(&d);
}

int main(int argc, char **argv)
{
	if (argc > 3 && !strcmp(argv[1], "--after-exec"))
		return after_exec(argc, argv);
	return kt_main(argc, argv);
}
