// SPDX-License-Identifier: GPL-2.0-only
/*
 * KSTATE: what the kernel tells of a worker is what the worker does.
 */

#include "dev.h"

#define WORD	PULSE_PARK_WORD(3, PULSE_PARK_PARKING)

static struct dev d;

/* A worker that spins, or blocks in read(), on one CPU. */
struct spinner {
	pthread_t thread;
	int cpu;
	int fd;			/* >= 0: read from it instead of spinning */
	int index;
	volatile int end;
	volatile unsigned long turns;
};

static void *spinner_main(void *arg)
{
	struct spinner *s = arg;
	int index;
	char c;

	pin_to_cpu(s->cpu);
	index = worker_add(d.fd, PULSE_NODE_ANY);
	__atomic_store_n(&s->index, index, __ATOMIC_RELEASE);
	if (index < 0)
		return NULL;
	while (!s->end) {
		s->turns++;
		if (s->fd >= 0 && read(s->fd, &c, 1) != 1)
			break;
	}
	worker_del(d.fd, index);
	return NULL;
}

static bool spinner_start(struct spinner *s, int cpu, int fd)
{
	memset(s, 0, sizeof(*s));
	s->cpu = cpu;
	s->fd = fd;
	s->index = -1000;
	return !pthread_create(&s->thread, NULL, spinner_main, s) &&
	       EVENTUALLY(__atomic_load_n(&s->index, __ATOMIC_ACQUIRE) != -1000) &&
	       s->index >= 0;
}

KT_TEST(a_fresh_worker_is_running_with_its_own_numbers)
{
	struct pulse_kstate k;
	int i;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_EQ(state_of(&d, 0), PULSE_STATE_FREE);
	KT_REQUIRE(!pin_to_cpu(nr_cpus() - 1));
	i = dev_join(&d, PULSE_NODE_ANY);
	KT_REQUIRE(i == 0);
	k = kstate_read(&d, i);
	KT_EQ(k.state, PULSE_STATE_RUNNING);
	KT_EQ(k.cpu, nr_cpus() - 1);
	KT_EQ(k.tid, syscall(SYS_gettid));
	KT_EQ(k.incarnation, 1);
	KT_EQ(k.exit_code, 0);
	KT_EQ(k.n_park, 0);
	KT_CHECK(k.last_in_ns <= (__u64)now_ns());
	KT_EQ(d.hdr->nr_workers, 1);
	KT_EQ(d.hdr->generation, 1);

	KT_EQ(worker_del(d.fd, i), 0);
	KT_EQ(state_of(&d, 0), PULSE_STATE_FREE);
	KT_EQ(d.hdr->nr_workers, 0);
	KT_EQ(d.hdr->generation, 2);
	/* the slot is used again, as another incarnation, counted from zero */
	sleep_ms(1);
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	k = kstate_read(&d, 0);
	KT_EQ(k.incarnation, 2);
	KT_EQ(k.n_block + k.n_preempt <= 1, 1);
	dev_end(&d);
}

/* Changes when one of them is switched. */
static __u32 seqs_of(const struct spinner *s, int nr)
{
	__u32 sum = 0;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (int i = 0; i < nr; i++)
		sum += __atomic_load_n(&d.kstate[s[i].index].seq,
				       __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return sum;
}

KT_TEST(of_three_spinners_on_one_cpu_one_runs_and_two_are_preempted)
{
	struct spinner s[3];
	int right = 0, samples = 300;
	cpu_set_t all;

	NEED_DEVICE();
	if (nr_cpus() < 2)
		KT_SKIP("one CPU: the sampler would be among the spinners");
	KT_REQUIRE(!dev_begin(&d, 4));
	CPU_ZERO(&all);
	for (int c = 0; c < nr_cpus() - 1; c++)
		CPU_SET(c, &all);
	sched_setaffinity(0, sizeof(all), &all);
	for (int i = 0; i < 3; i++)
		KT_REQUIRE(spinner_start(&s[i], nr_cpus() - 1, -1));
	sleep_ms(50);
	for (int n = 0; n < samples; n++) {
		int running, preempted, tries = 50;

		/*
		 * One moment for all three: again if one was switched meanwhile,
		 * and if the CPU is between two tasks or has another one.
		 */
		do {
			__u32 before = seqs_of(s, 3);

			running = preempted = 0;
			for (int i = 0; i < 3; i++) {
				__u32 state = state_of(&d, s[i].index);

				running += state == PULSE_STATE_RUNNING;
				preempted += state == PULSE_STATE_PREEMPTED;
			}
			if (before == seqs_of(s, 3) && running)
				break;
			usleep(200);
		} while (tries--);
		right += running == 1 && preempted == 2;
		usleep(1000);
	}
	KT_CHECKF(right * 100 >= samples * 95, "%d of %d samples", right, samples);
	for (int i = 0; i < 3; i++) {
		struct pulse_kstate k = kstate_read(&d, s[i].index);

		KT_EQ(k.cpu, nr_cpus() - 1);
		KT_CHECK(k.n_preempt > 0);
		KT_CHECK(k.run_ns > 0);
		KT_CHECK(k.wait_ns > 0);
		s[i].end = 1;
	}
	for (int i = 0; i < 3; i++)
		pthread_join(s[i].thread, NULL);
	dev_end(&d);
}

KT_TEST(a_worker_in_read_is_blocked_and_one_in_park_is_parked)
{
	struct parker p = { .word = WORD };
	struct pulse_kstate k;
	struct spinner s;
	int fds[2];

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(!pipe(fds));
	KT_REQUIRE(spinner_start(&s, 0, fds[0]));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_CHECK(EVENTUALLY(state_of(&d, s.index) == PULSE_STATE_BLOCKED));
	for (int n = 0; n < 50; n++) {
		KT_EQ(state_of(&d, s.index), PULSE_STATE_BLOCKED);
		KT_EQ(state_of(&d, p.index), PULSE_STATE_PARKED);
		usleep(100);
	}
	k = kstate_read(&d, s.index);
	KT_EQ(k.n_park, 0);
	KT_CHECK(k.n_block >= 1);
	k = kstate_read(&d, p.index);
	KT_EQ(k.n_park, 1);
	KT_CHECK(k.last_out_ns >= k.last_in_ns);

	s.end = 1;
	KT_EQ(write(fds[1], "x", 1), 1);
	pthread_join(s.thread, NULL);
	parker_stop(&p);
	close(fds[0]);
	close(fds[1]);
	dev_end(&d);
}

KT_TEST(counters_count_what_happened)
{
	struct pulse_kstate a, b;
	long long t0;
	int i;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	pin_to_cpu(0);
	i = dev_join(&d, PULSE_NODE_ANY);
	KT_REQUIRE(i >= 0);
	set_word(&d, i, WORD);

	/* a timer may fire before the sleep that waits for it: not each counts */
	a = kstate_read(&d, i);
	for (int n = 0; n < 10; n++)
		sleep_ms(5);
	b = kstate_read(&d, i);
	KT_CHECK(b.n_block - a.n_block >= 5);
	KT_EQ(b.n_park, a.n_park);

	a = b;
	for (int n = 0; n < 10; n++)
		KT_EQ(park(d.fd, i, WORD, now_ns() + 5 * NS_PER_MS), -ETIMEDOUT);
	b = kstate_read(&d, i);
	KT_CHECK(b.n_park - a.n_park >= 5 && b.n_park - a.n_park <= 10);
	KT_CHECK(b.n_block - a.n_block >= b.n_park - a.n_park);

	/* run_ns grows with what was run, and never faster than the clock */
	a = kstate_read(&d, i);
	t0 = now_ns();
	while (now_ns() < t0 + 20 * NS_PER_MS)
		;
	KT_CHECK(EVENTUALLY(kstate_read(&d, i).last_in_ns > a.last_in_ns));
	b = kstate_read(&d, i);
	KT_CHECK(b.run_ns - a.run_ns > 0);
	KT_CHECK((long long)(b.run_ns - a.run_ns) <=
		 now_ns() - (long long)a.last_in_ns);

	a = b;
	if (nr_cpus() > 1) {
		for (int n = 0; n < 10; n++)
			pin_to_cpu(n & 1 ? 0 : nr_cpus() - 1);
		b = kstate_read(&d, i);
		KT_EQ(b.n_migrate - a.n_migrate, 10);
		KT_EQ(b.cpu, 0);
		KT_EQ(b.node, 0);
	}
	dev_end(&d);
}

KT_TEST(time_on_the_run_queue_is_counted_as_waiting)
{
	struct spinner s[2];
	struct pulse_kstate k;

	NEED_DEVICE();
	if (nr_cpus() < 2)
		KT_SKIP("one CPU");
	KT_REQUIRE(!dev_begin(&d, 4));
	for (int i = 0; i < 2; i++)
		KT_REQUIRE(spinner_start(&s[i], nr_cpus() - 1, -1));
	sleep_ms(300);
	for (int i = 0; i < 2; i++)
		s[i].end = 1;
	for (int i = 0; i < 2; i++) {
		pthread_join(s[i].thread, NULL);
		k = kstate_read(&d, s[i].index);
		/* two share a CPU: who ran for a while waited for a while */
		KT_CHECK(k.wait_ns > (__u64)NS_PER_MS);
	}
	dev_end(&d);
}

static volatile int sampler_end;
static long torn, most_tries;

/*
 * As kstate_read(), by somebody who has 32-bit loads only, and reads each word's
 * upper half first. Who is between two tries for long, for his CPU or the
 * writer's is taken away, does not count them.
 */
static struct pulse_kstate kstate_read_in_halves(const struct dev *from, int index,
						 long *tries)
{
	const volatile __u32 *half = (const void *)&from->kstate[index];
	const size_t halves = sizeof(struct pulse_kstate) / sizeof(__u32);
	union {
		struct pulse_kstate k;
		__u32 half[sizeof(struct pulse_kstate) / sizeof(__u32)];
	} copy;
	__u32 seq;

	for (*tries = 0;; ++*tries) {
		seq = __atomic_load_n(&from->kstate[index].seq, __ATOMIC_ACQUIRE);
		for (size_t i = 0; i < halves; i++)
			copy.half[i ^ 1] = half[i ^ 1];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(seq & 1) &&
		    seq == __atomic_load_n(&from->kstate[index].seq, __ATOMIC_RELAXED))
			return copy.k;
		if (*tries > 20)
			sleep_ms(1);
	}
}

static void *sampler(void *arg)
{
	while (!sampler_end) {
		struct pulse_kstate k;
		long tries;

		if (arg) {
			k = kstate_read_in_halves(&d, 0, &tries);
			if (tries > most_tries)
				most_tries = tries;
		} else {
			k = kstate_read(&d, 0);
		}
		/* whoever is off a CPU lost it after it got it */
		if (k.state >= PULSE_STATE_PREEMPTED && k.last_out_ns < k.last_in_ns)
			torn++;
		if (k.state == PULSE_STATE_RUNNING && k.last_in_ns < k.last_out_ns)
			torn++;
		if (k.n_park > k.n_block)
			torn++;
	}
	return NULL;
}

/* S10: read while it is written, by two in different ways; H10: in halves */
KT_TEST(fields_read_by_the_seq_rule_belong_together)
{
	pthread_t t[2];

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	set_word(&d, 0, WORD);
	sampler_end = 0;
	torn = most_tries = 0;
	for (int i = 0; i < 2; i++)
		KT_REQUIRE(!pthread_create(&t[i], NULL, sampler, i ? &d : NULL));
	for (int n = 0; n < 3000; n++)
		park(d.fd, 0, WORD, now_ns() + 20000);
	sampler_end = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	KT_EQ(torn, 0);
	kt_note("%ld tries at most", most_tries);
	KT_CHECK(most_tries <= 1000);
	dev_end(&d);
}

static int tid_in_namespace(void *arg)
{
	int status;
	pid_t pid;

	(void)arg;
	if (unshare(CLONE_NEWPID))
		return 100;
	pid = fork();
	if (!pid) {
		if (dev_begin(&d, 4) || dev_join(&d, PULSE_NODE_ANY) != 0)
			_exit(101);
		_exit(getpid() == 1 && kstate_read(&d, 0).tid == 1 ? 0 : 1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 102;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 103;
}

/* L11 */
KT_TEST(thread_ids_are_those_of_the_pid_namespace)
{
	NEED_DEVICE();
	KT_EQ(in_child(tid_in_namespace, NULL), 0);
}

/* More threads than a small table has room for; each is found at its switches. */
KT_TEST(of_hundreds_of_workers_each_is_told_of)
{
	enum { NR = 300 };
	static struct parker p[NR];
	struct dev many;
	int i, n;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&many, NR));
	for (int round = 0; round < 2; round++) {
		memset(p, 0, sizeof(p));
		for (n = 0; n < NR; n++) {
			p[n].word = WORD;
			KT_REQUIRE(parker_start(&p[n], &many, PULSE_NODE_ANY));
		}
		for (i = 0; i < n; i++) {
			struct pulse_kstate k = kstate_read(&many, p[i].index);

			KT_EQ(k.state, PULSE_STATE_PARKED);
			KT_EQ(k.tid, p[i].tid);
			KT_CHECK(k.n_park >= 1);
			KT_EQ(wake_one(many.fd, p[i].index), 1);
		}
		for (i = 0; i < n; i++) {
			KT_CHECK(EVENTUALLY(kstate_read(&many, p[i].index).n_park >= 2));
			KT_CHECK(parker_returns(&p[i]) >= 1);
		}
		for (i = 0; i < n; i++)
			parker_stop(&p[i]);
		KT_EQ(many.hdr->nr_workers, 0);
	}
	dev_end(&many);
}

KT_TEST(one_thread_is_told_of_in_each_of_its_contexts)
{
	struct dev more[8];

	NEED_DEVICE();
	for (int i = 0; i < 8; i++) {
		KT_REQUIRE(!dev_begin(&more[i], 2));
		KT_EQ(dev_join(&more[i], PULSE_NODE_ANY), 0);
	}
	for (int n = 0; n < 10; n++)
		sleep_ms(5);
	for (int i = 0; i < 8; i++) {
		struct pulse_kstate k = kstate_read(&more[i], 0);

		KT_EQ(k.state, PULSE_STATE_RUNNING);
		KT_CHECK(k.n_block >= 5);
	}
	/* taken away in another order than they came */
	for (int i = 0; i < 8; i++)
		dev_end(&more[i * 5 % 8]);
}

KT_MAIN()
