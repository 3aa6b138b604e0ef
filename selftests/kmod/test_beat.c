// SPDX-License-Identifier: GPL-2.0-only
/*
 * BEAT: hearts beat as long as their workers have a CPU, and no longer.
 *
 * An emulated CPU may stand still for many periods, so what is compared is
 * beats and missed together, with the time on a CPU as KSTATE tells it. Both
 * are settled when the worker loses its CPU, so a worker that is blocked shows
 * two numbers of the same moment.
 */
#include <grp.h>

#include "dev.h"

#define US	1000ULL

static struct dev d;

/* A worker that spins between two reads of its gates. */
struct spinner {
	pthread_t thread;
	struct dev *dev[2];	/* the second one may be NULL */
	__u64 period_ns[2];
	int index[2];
	__u32 flags;		/* of BEAT */
	int cpu;
	int tid;
	int gate[2];		/* a pipe */
	int fault;
	volatile int end;
	volatile int hears;	/* notes each beat in UWORK.heard */
	volatile __u64 turns;
};

static __u64 beats_of(const struct dev *dev, int index)
{
	return __atomic_load_n(&dev->kstate[index].beats, __ATOMIC_ACQUIRE);
}

static void hear(const struct dev *dev, int index)
{
	__atomic_store_n(&dev->uwork[index].heard, beats_of(dev, index),
			 __ATOMIC_RELAXED);
}

static void *spinner_main(void *arg)
{
	struct spinner *s = arg;
	char c;

	pin_to_cpu(s->cpu);
	for (int i = 0; i < 2 && s->dev[i]; i++) {
		s->index[i] = worker_add(s->dev[i]->fd, PULSE_NODE_ANY);
		s->fault |= s->index[i] < 0 ||
			    beat_flags(s->dev[i]->fd, s->index[i],
				       s->period_ns[i], s->flags);
	}
	s->fault |= read(s->gate[0], &c, 1) != 1;
	while (!s->end) {
		if (s->hears)
			hear(s->dev[0], s->index[0]);
		s->turns++;
	}
	s->fault |= read(s->gate[0], &c, 1) != 1;
	for (int i = 0; i < 2 && s->dev[i]; i++)
		s->fault |= worker_del(s->dev[i]->fd, s->index[i]);
	return NULL;
}

static bool at_gate(const struct spinner *s)
{
	return __atomic_load_n(&s->tid, __ATOMIC_ACQUIRE) &&
	       state_of(s->dev[0], s->index[0]) == PULSE_STATE_BLOCKED;
}

static void *spinner_entry(void *arg)
{
	struct spinner *s = arg;

	__atomic_store_n(&s->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	return spinner_main(s);
}

/* Leaves it blocked at its first gate, with beats on. */
static bool spinner_start(struct spinner *s, struct dev *dev, __u64 period_ns,
			  int cpu)
{
	s->dev[0] = dev;
	s->period_ns[0] = period_ns;
	s->cpu = cpu;
	s->index[0] = -1;
	if (pipe(s->gate) ||
	    pthread_create(&s->thread, NULL, spinner_entry, s))
		return false;
	return EVENTUALLY(__atomic_load_n(&s->index[0], __ATOMIC_ACQUIRE) >= 0 &&
			  at_gate(s)) &&
	       !s->fault;
}

static void spinner_go(struct spinner *s)
{
	s->fault |= write(s->gate[1], "x", 1) != 1;
}

/* Lets it come to its second gate; true when it is there. */
static bool spinner_rest(struct spinner *s)
{
	s->end = 1;
	return EVENTUALLY(at_gate(s));
}

/* 0 when all that it did went well. */
static int spinner_stop(struct spinner *s)
{
	spinner_go(s);
	pthread_join(s->thread, NULL);
	close(s->gate[0]);
	close(s->gate[1]);
	return s->fault;
}

/*
 * Are beats and missed what the time on a CPU gave between two looks, but for
 * the periods that are left out now and will be paid with the next beat?
 */
static bool adds_up_but(const struct pulse_kstate *a,
			const struct pulse_kstate *b, __u64 period_ns,
			__s64 left_out)
{
	__s64 ideal = (__s64)((b->run_ns - a->run_ns) / period_ns);
	__s64 got = (__s64)(b->beats + b->missed - a->beats - a->missed);

	kt_note("%llu us: %lld periods, %llu beats, %llu missed",
		(unsigned long long)(period_ns / US), (long long)ideal,
		(unsigned long long)(b->beats - a->beats),
		(unsigned long long)(b->missed - a->missed));
	/* a clock that is read twice, and the periods that began before */
	return got >= ideal - 2 - ideal / 100 - left_out &&
	       got <= ideal + 2 + ideal / 100 + left_out;
}

static bool adds_up(const struct pulse_kstate *a, const struct pulse_kstate *b,
		    __u64 period_ns)
{
	return adds_up_but(a, b, period_ns, 0);
}

static int last_cpu(void)
{
	return nr_cpus() - 1;
}

KT_TEST(the_feature_is_told)
{
	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 1));
	KT_CHECK(d.info.features & PULSE_FEAT_BEAT);
	dev_end(&d);
}

KT_TEST(beats_and_missed_are_the_time_on_a_cpu_in_periods)
{
	static const __u64 periods[] = { 100 * US, 250 * US, 1000 * US };

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	for (int i = 0; i < 3; i++) {
		struct pulse_kstate a, b;
		struct spinner s = { 0 };

		KT_REQUIRE(spinner_start(&s, &d, periods[i], last_cpu()));
		a = kstate_read(&d, s.index[0]);
		spinner_go(&s);
		sleep_ms(300);
		KT_CHECK(spinner_rest(&s));
		b = kstate_read(&d, s.index[0]);
		KT_CHECK(b.beats > a.beats);
		KT_CHECK(adds_up(&a, &b, periods[i]));
		KT_EQ(spinner_stop(&s), 0);
	}
	dev_end(&d);
}

/* Beats and missed of a worker that spins for @ms: are they its time on a CPU? */
static bool beats_in(int ms, bool hears, __u32 flags, __u64 *beats, __u64 *missed)
{
	struct spinner s = { .hears = hears, .flags = flags };
	bool listens = flags & PULSE_BEAT_HEARD;
	struct pulse_kstate a, b;

	*beats = *missed = 0;
	if (!KT_CHECK(spinner_start(&s, &d, 4000 * US, last_cpu())))
		return false;
	a = kstate_read(&d, s.index[0]);
	spinner_go(&s);
	sleep_ms(ms);
	KT_CHECK(spinner_rest(&s));
	b = kstate_read(&d, s.index[0]);
	*beats = b.beats - a.beats;
	*missed = b.missed - a.missed;
	KT_EQ(spinner_stop(&s), 0);
	return adds_up_but(&a, &b, 4000 * US, listens && !hears ? 7 : 0);
}

/*
 * The periods left out are missed ones, so that the sum stays the time. Nobody
 * hears: beats after 1, 2, 4, 8, 16, 24... periods.
 */
KT_TEST(beats_that_nobody_hears_come_less_often)
{
	__u64 beats, missed;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_CHECK(beats_in(600, false, PULSE_BEAT_HEARD, &beats, &missed));
	KT_CHECK(beats && beats * 8 <= beats + missed + 24);
	dev_end(&d);
}

/*
 * None is left out but what an emulated CPU makes late, which may be most of
 * them for a while: often enough it is not.
 */
KT_TEST(beats_that_are_heard_come_each_time)
{
	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	for (int listens = 0; listens < 2; listens++) {
		bool often = false;

		for (int i = 0; i < 60 && !often; i++) {
			__u64 beats, missed;

			KT_CHECK(beats_in(200, listens,
					  listens ? PULSE_BEAT_HEARD : 0,
					  &beats, &missed));
			often = beats * 4 > beats + missed;
		}
		KT_CHECK(often);
	}
	dev_end(&d);
}

/* The calling worker spins: does it see its beats go on? */
static bool five_more(int index)
{
	__u64 first = beats_of(&d, index);

	for (long long end = now_ns() + 10 * NS_PER_SEC;
	     beats_of(&d, index) < first + 5 && now_ns() < end;)
		;
	return beats_of(&d, index) >= first + 5;
}

/* UWORK.heard is anybody's to write: beats come all the same. */
KT_TEST(whatever_is_heard_beats_go_on)
{
	static const __u64 words[] = { 0, 1, UINT64_MAX, 1ULL << 63 };
	int i;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	i = dev_join(&d, PULSE_NODE_ANY);
	KT_REQUIRE(i >= 0);
	KT_EQ(beat_flags(d.fd, i, 100 * US, PULSE_BEAT_HEARD), 0);
	for (size_t n = 0; n < sizeof(words) / sizeof(words[0]); n++) {
		__atomic_store_n(&d.uwork[i].heard, words[n], __ATOMIC_RELAXED);
		KT_CHECK(five_more(i));
	}
	dev_end(&d);
}

KT_TEST(a_worker_that_polls_the_word_sees_it_move)
{
	int i;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	i = dev_join(&d, PULSE_NODE_ANY);
	KT_REQUIRE(i >= 0);
	KT_EQ(beats_of(&d, i), 0);
	KT_EQ(beat(d.fd, i, 100 * US), 0);
	KT_CHECK(five_more(i));
	dev_end(&d);
}

/* S02: a timer only while the worker is on a CPU */
KT_TEST(whoever_sleeps_has_no_beats)
{
	struct spinner s = { 0 };
	struct pulse_kstate a, b;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(spinner_start(&s, &d, 100 * US, last_cpu()));
	a = kstate_read(&d, s.index[0]);
	sleep_ms(200);
	b = kstate_read(&d, s.index[0]);
	KT_EQ(b.beats, a.beats);
	KT_EQ(b.missed, a.missed);
	spinner_go(&s);
	KT_CHECK(EVENTUALLY(beats_of(&d, s.index[0]) > a.beats));
	KT_CHECK(spinner_rest(&s));
	KT_EQ(spinner_stop(&s), 0);
	dev_end(&d);
}

/*
 * Timers of the kernel that are queued and are this module's; -1: not told. One
 * that is queued anew while the list is read may stand there twice.
 */
static int queued_timers(void)
{
	char seen[64][32] = { "" }, line[256];
	FILE *f = fopen("/proc/timer_list", "re");
	int nr = 0;

	if (!f)
		return -1;
	while (nr < 64 && fgets(line, sizeof(line), f)) {
		const char *at = strchr(line, '<');
		int i = 0;

		if (!at || !strstr(at, "pulse_beat_timer"))
			continue;
		snprintf(seen[nr], sizeof(seen[nr]), "%.*s",
			 (int)strcspn(at, ">"), at);
		while (strcmp(seen[i], seen[nr]))
			i++;
		nr += i == nr;
	}
	fclose(f);
	return nr;
}

/* S02 */
KT_TEST(however_many_beat_there_is_a_timer_a_cpu_and_none_for_sleepers)
{
	enum { EACH = 3 };
	struct spinner *s = calloc((size_t)nr_cpus() * EACH, sizeof(*s));
	int nr = nr_cpus() * EACH, most = 0, i;

	NEED_DEVICE();
	KT_REQUIRE(s);
	if (queued_timers() < 0)
		KT_SKIP("no /proc/timer_list");
	KT_REQUIRE(!dev_begin(&d, (__u32)nr));
	for (i = 0; i < nr; i++)
		KT_REQUIRE(spinner_start(&s[i], &d, PULSE_MIN_BEAT_NS, i % nr_cpus()));
	/* all of them blocked: what is still queued finds nobody and stops */
	KT_CHECK(EVENTUALLY(queued_timers() == 0));
	for (i = 0; i < nr; i++)
		spinner_go(&s[i]);
	for (i = 0; i < 50; i++) {
		int now = queued_timers();

		most = now > most ? now : most;
		sleep_ms(2);
	}
	kt_note("%d workers on %d CPUs, %d timers", nr, nr_cpus(), most);
	KT_CHECK(most > 0 && most <= nr_cpus());
	for (i = 0; i < nr; i++)
		KT_CHECK(spinner_rest(&s[i]));
	KT_CHECK(EVENTUALLY(queued_timers() == 0));
	for (i = 0; i < nr; i++)
		KT_EQ(spinner_stop(&s[i]), 0);
	dev_end(&d);
	free(s);
}

KT_TEST(two_periods_on_one_cpu_are_kept_apart)
{
	static const __u64 periods[] = { 100 * US, 1000 * US, 330 * US };
	struct pulse_kstate a[3], b[3];
	struct spinner s[3] = { 0 };

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	for (int i = 0; i < 3; i++) {
		KT_REQUIRE(spinner_start(&s[i], &d, periods[i], last_cpu()));
		a[i] = kstate_read(&d, s[i].index[0]);
	}
	for (int i = 0; i < 3; i++)
		spinner_go(&s[i]);
	sleep_ms(500);
	for (int i = 0; i < 3; i++)
		KT_CHECK(spinner_rest(&s[i]));
	for (int i = 0; i < 3; i++) {
		b[i] = kstate_read(&d, s[i].index[0]);
		KT_CHECK(b[i].beats > a[i].beats);
		KT_CHECK(adds_up(&a[i], &b[i], periods[i]));
		KT_EQ(spinner_stop(&s[i]), 0);
	}
	dev_end(&d);
}

/* Switches that come faster than beats starve nobody. */
KT_TEST(short_sleeps_do_not_keep_beats_away)
{
	struct pulse_kstate a, b;
	int i;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	pin_to_cpu(last_cpu());
	i = dev_join(&d, PULSE_NODE_ANY);
	KT_REQUIRE(i >= 0);
	KT_EQ(beat(d.fd, i, 1000 * US), 0);
	sleep_ms(1);
	a = kstate_read(&d, i);
	for (int n = 0; n < 300; n++) {
		for (long long t = now_ns() + 100 * (long long)US; now_ns() < t;)
			;
		usleep(50);
	}
	b = kstate_read(&d, i);
	KT_CHECK(b.beats > a.beats);
	KT_CHECK(b.n_block - a.n_block > 100);
	dev_end(&d);
}

KT_TEST(one_thread_beats_in_each_of_its_contexts)
{
	struct dev other, more[PULSE_MAX_BEATS + 1];
	struct pulse_kstate a[2], b[2];
	struct spinner s = { 0 };

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(!dev_begin(&other, 4));
	s.dev[1] = &other;
	s.period_ns[1] = 370 * US;
	KT_REQUIRE(spinner_start(&s, &d, 1000 * US, last_cpu()));
	a[0] = kstate_read(&d, s.index[0]);
	a[1] = kstate_read(&other, s.index[1]);
	spinner_go(&s);
	sleep_ms(300);
	KT_CHECK(spinner_rest(&s));
	b[0] = kstate_read(&d, s.index[0]);
	b[1] = kstate_read(&other, s.index[1]);
	KT_CHECK(b[0].beats > a[0].beats && b[1].beats > a[1].beats);
	KT_CHECK(adds_up(&a[0], &b[0], 1000 * US));
	KT_CHECK(adds_up(&a[1], &b[1], 370 * US));
	KT_EQ(spinner_stop(&s), 0);
	dev_end(&other);
	dev_end(&d);

	for (int i = 0; i <= PULSE_MAX_BEATS; i++) {
		KT_REQUIRE(!dev_begin(&more[i], 2));
		KT_EQ(dev_join(&more[i], PULSE_NODE_ANY), 0);
		KT_EQ(beat(more[i].fd, 0, NS_PER_MS),
		      i < PULSE_MAX_BEATS ? 0 : -EBUSY);
	}
	/* one that beats may change its period, one less makes room */
	KT_EQ(beat(more[3].fd, 0, 2 * NS_PER_MS), 0);
	KT_EQ(beat(more[3].fd, 0, 0), 0);
	KT_EQ(beat(more[PULSE_MAX_BEATS].fd, 0, NS_PER_MS), 0);
	KT_EQ(beat(more[3].fd, 0, NS_PER_MS), -EBUSY);
	for (int i = 0; i <= PULSE_MAX_BEATS; i++)
		dev_end(&more[(i * 5) % (PULSE_MAX_BEATS + 1)]);
}

KT_TEST(a_period_of_nought_ends_them)
{
	__u64 was;
	int i;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	i = dev_join(&d, PULSE_NODE_ANY);
	KT_REQUIRE(i >= 0);
	KT_EQ(beat(d.fd, i, 0), 0);
	KT_EQ(beat(d.fd, i, 100 * US), 0);
	while (!beats_of(&d, i))
		;
	KT_EQ(beat(d.fd, i, 0), 0);
	was = beats_of(&d, i);
	for (long long end = now_ns() + 20 * NS_PER_MS; now_ns() < end;)
		;
	KT_EQ(beats_of(&d, i), was);

	/* likewise when the worker goes, and the next one begins with none */
	KT_EQ(beat(d.fd, i, 100 * US), 0);
	KT_EQ(worker_del(d.fd, i), 0);
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), i);
	for (long long end = now_ns() + 20 * NS_PER_MS; now_ns() < end;)
		;
	KT_EQ(beats_of(&d, i), 0);
	dev_end(&d);
}

/* S01 */
KT_TEST(a_period_outside_its_range_is_refused)
{
	static const __u64 bad[] = {
		1, 999, PULSE_MIN_BEAT_NS - 1, PULSE_MAX_BEAT_NS + 1,
		1ULL << 63, UINT64_MAX,
	};
	int i;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	i = dev_join(&d, PULSE_NODE_ANY);
	KT_REQUIRE(i >= 0);
	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++)
		KT_EQ(beat(d.fd, i, bad[n]), -EINVAL);
	/* this is root */
	KT_EQ(beat(d.fd, i, PULSE_MIN_BEAT_NS), 0);
	KT_EQ(beat(d.fd, i, PULSE_MAX_BEAT_NS), 0);
	KT_EQ(beat(d.fd, i, bad[0]), -EINVAL);
	dev_end(&d);
}

static int somebody_else(void *arg)
{
	int floor_us = *(int *)arg, i;

	if (dev_begin(&d, 2))
		return 90;
	if (setgroups(0, NULL) || setgid(4001) || setuid(4001))
		return 91;
	i = dev_join(&d, PULSE_NODE_ANY);
	if (i < 0)
		return 92;
	if (beat(d.fd, i, (__u64)floor_us * US - 1) != -EINVAL)
		return 1;
	if (beat(d.fd, i, (__u64)floor_us * US))
		return 2;
	if (sysfs_write("beat_floor_us", 20) != -EACCES)
		return 3;
	dev_end(&d);
	return 0;
}

KT_TEST(the_floor_is_a_knob_and_root_is_below_it)
{
	static const char *const einval[] = {
		"-1", "+50", "0x64", " 100", "100 ", "1e3", "floor", "100\n\n",
	};
	static const char *const erange[] = { "0", "19", "1000001", "4294967296" };
	int floor_us;

	NEED_DEVICE();
	floor_us = (int)sysfs_read("beat_floor_us");
	KT_REQUIRE(floor_us >= 20);
	KT_EQ(in_child(somebody_else, &floor_us), 0);
	for (size_t n = 0; n < sizeof(einval) / sizeof(einval[0]); n++)
		KT_EQ(sysfs_write_bytes("beat_floor_us", einval[n],
					strlen(einval[n])), -EINVAL);
	for (size_t n = 0; n < sizeof(erange) / sizeof(erange[0]); n++)
		KT_EQ(sysfs_write_bytes("beat_floor_us", erange[n],
					strlen(erange[n])), -ERANGE);
	KT_EQ(sysfs_read("beat_floor_us"), floor_us);
	for (int us = 20; us <= 1000000; us *= 50) {
		KT_EQ(sysfs_write("beat_floor_us", us), 0);
		KT_EQ(sysfs_read("beat_floor_us"), us);
		KT_EQ(in_child(somebody_else, &us), 0);
	}
	KT_REQUIRE(!dev_begin(&d, 2));
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	KT_EQ(beat(d.fd, 0, PULSE_MIN_BEAT_NS), 0);
	dev_end(&d);
	KT_EQ(sysfs_write("beat_floor_us", floor_us), 0);
}

KT_TEST(only_the_worker_itself_may_ask)
{
	struct parker p = { .word = PULSE_PARK_WORD(2, PULSE_PARK_PARKING) };

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_EQ(beat(d.fd, p.index, NS_PER_MS), -EPERM);
	KT_EQ(beat(d.fd, p.index + 1, NS_PER_MS), -ESRCH);
	KT_EQ(beat(d.fd, 4, NS_PER_MS), -ESRCH);
	KT_EQ(beat(d.fd, -1, NS_PER_MS), -ESRCH);
	parker_stop(&p);
	dev_end(&d);
}

static void *beat_and_end(void *arg)
{
	int i = worker_add(d.fd, PULSE_NODE_ANY);

	if (i < 0 || beat(d.fd, i, 100 * US))
		return (void *)1;
	while (!beats_of(&d, i))
		;
	return arg;
}

KT_TEST(threads_die_with_beats_on)
{
	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	for (long n = kt_scale(60); n--;) {
		pthread_t t[3];
		void *fault;

		for (int i = 0; i < 3; i++)
			KT_REQUIRE(!pthread_create(&t[i], NULL, beat_and_end,
						   NULL));
		for (int i = 0; i < 3; i++) {
			pthread_join(t[i], &fault);
			KT_CHECK(!fault);
		}
		KT_CHECK(EVENTUALLY(!d.hdr->nr_workers));
	}
	dev_end(&d);
}

static int spin_until_killed(void *arg)
{
	(void)arg;
	if (dev_begin(&d, 2) || dev_join(&d, PULSE_NODE_ANY) != 0 ||
	    beat(d.fd, 0, 100 * US))
		return 1;
	while (beats_of(&d, 0) < 3)
		;
	kill(getpid(), SIGKILL);
	return 2;
}

KT_TEST(processes_are_killed_with_beats_on)
{
	long long workers;

	NEED_DEVICE();
	workers = sysfs_read("workers");
	for (long n = kt_scale(10); n--;)
		KT_EQ(in_child(spin_until_killed, NULL), -SIGKILL);
	KT_CHECK(EVENTUALLY(sysfs_read("workers") == workers));
}

static int exec_spinning(void *arg)
{
	(void)arg;
	if (dev_begin(&d, 2) || dev_join(&d, PULSE_NODE_ANY) != 0 ||
	    beat(d.fd, 0, 100 * US))
		return 1;
	fcntl(d.fd, F_SETFD, 0);
	execl("/bin/sh", "sh", "-c",
	      "i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done", NULL);
	return 2;
}

/* The descriptor stays open, so that only the notifier can find out. */
KT_TEST(exec_ends_them)
{
	long long workers;

	NEED_DEVICE();
	workers = sysfs_read("workers");
	for (int n = 0; n < 5; n++)
		KT_EQ(in_child(exec_spinning, NULL), 0);
	KT_CHECK(EVENTUALLY(sysfs_read("workers") == workers));
}

static int put_online(int cpu, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	return file_put(path, text);
}

/* S07 */
KT_TEST(a_cpu_goes_and_comes_back)
{
	int cpu = last_cpu();
	struct spinner s = { 0 };
	struct pulse_kstate a, b;
	cpu_set_t set;

	NEED_DEVICE();
	if (cpu < 1)
		KT_SKIP("one CPU");
	if (put_online(cpu, "1"))
		KT_SKIP("CPUs cannot be taken offline here");
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(spinner_start(&s, &d, 200 * US, cpu));
	a = kstate_read(&d, s.index[0]);
	spinner_go(&s);
	KT_CHECK(EVENTUALLY(beats_of(&d, s.index[0]) > a.beats));
	for (long n = kt_scale(200); n--;) {
		__u64 was;

		KT_EQ(put_online(cpu, "0"), 0);
		was = beats_of(&d, s.index[0]);
		KT_CHECK(EVENTUALLY(beats_of(&d, s.index[0]) > was + 5));
		KT_EQ(put_online(cpu, "1"), 0);
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		KT_EQ(sched_setaffinity(s.tid, sizeof(set), &set), 0);
		KT_CHECK(EVENTUALLY(kstate_read(&d, s.index[0]).cpu ==
				    (__u32)cpu));
		was = beats_of(&d, s.index[0]);
		KT_CHECK(EVENTUALLY(beats_of(&d, s.index[0]) > was + 5));
	}
	KT_CHECK(spinner_rest(&s));
	b = kstate_read(&d, s.index[0]);
	KT_CHECK(adds_up(&a, &b, 200 * US));
	KT_EQ(spinner_stop(&s), 0);
	dev_end(&d);
}

KT_MAIN()
