// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's own costs, beside what the kernel offers without it. For a VM
 * that counts instructions (-icount), where a nanosecond is so many of them and
 * figures repeat whatever else the machine does: selftests/bench/run-vm.
 *
 * With one CPU, where all of it is work and nothing overlaps:
 *	handoff		HANDOFF to and fro, beside FUTEX_WAKE + FUTEX_WAIT
 *	park+wake	WAKE + PARK to and fro, beside the same
 *	tax		the futex ping-pong by workers whose hearts beat, beside
 *			the same by threads that are none
 *	wake 64		WAKE_NODE of 64 parked workers, beside 64 FUTEX_WAKE
 *			calls: what the caller pays, who runs before the woken
 *	heart		plain code of a worker whose heart beats as a pool's does
 *			(BEAT_HEARD), at two periods, beside the same without
 *	heard		the same, and each beat is given as if it were heard
 *	beats		of the ideal number, at three periods; and in sleep
 * With more, threads where the scheduler puts them:
 *	handoff		as above
 *	beats		likewise; emulated CPUs run in turn here, so one that
 *			beats stands still while another has something to do
 * With "state", where CPUs run beside each other and not in turn:
 *	state		samples of KSTATE that say what is so
 *
 * Turn about, ROUNDS times each; medians, spread, the ratio of the medians.
 */
#include <linux/futex.h>
#include <sys/resource.h>

#include "by_value.h"
#include "../kmod/dev.h"

#define ROUNDS	5
#define PINGS	4000
#define SLEEPERS 64
#define WAKES	40
#define WORD	PULSE_PARK_WORD(1, PULSE_PARK_PARKING)

static struct dev d;

static void die(const char *what, int err)
{
	fprintf(stderr, "vm_kernel: %s: %s\n", what, strerror(-err));
	exit(1);
}

static double median(double *v)
{
	qsort(v, ROUNDS, sizeof(*v), by_value);
	return v[ROUNDS / 2];
}

/* @limit: the ratio that is wanted at most; 0: none. */
static void report(const char *name, double *mine, double *peer, double limit,
		   double my_switches, double peer_switches)
{
	double m = median(mine), p = median(peer);
	double spread = 100 * (mine[ROUNDS - 1] - mine[0]) / m;

	printf("%-22s %10.0f %10.0f   %5.2f  ", name, m, p, m / p);
	if (limit > 0)
		printf("(<= %.2f)", limit);
	printf("  %5.1f %%", spread);
	if (peer_switches > 0)
		printf("   %.2f / %.2f switches", my_switches, peer_switches);
	printf("\nJSON {\"bench\":\"vm_kernel\",\"name\":\"%s\",\"cpus\":%d,\"ns\":%.0f,\"peer_ns\":%.0f,\"ratio\":%.4f,\"limit\":%.2f,\"spread\":%.4f}\n",
	       name, nr_cpus(), m, p, m / p, limit, spread / 100);
}

/* ---- ping-pong --------------------------------------------------------------- */

static long futex(__u32 *word, int op, __u32 val)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, val, NULL, NULL,
		       0);
}

enum how { FUTEX, WORKERS_FUTEX, PARK_WAKE, HANDOFF };

static struct {
	pthread_barrier_t ready;
	enum how how;
	__u32 word[2] __attribute__((aligned(128)));
	int index[2];
	long switches[2];
	long long ns;
} pp;

static void ping(int me)
{
	int other = !me;

	switch (pp.how) {
	case FUTEX:
	case WORKERS_FUTEX:
		__atomic_store_n(&pp.word[other], 1, __ATOMIC_SEQ_CST);
		futex(&pp.word[other], FUTEX_WAKE, 1);
		while (!__atomic_load_n(&pp.word[me], __ATOMIC_SEQ_CST))
			futex(&pp.word[me], FUTEX_WAIT, 0);
		__atomic_store_n(&pp.word[me], 0, __ATOMIC_SEQ_CST);
		break;
	case PARK_WAKE:
		wake_one(d.fd, pp.index[other]);
		park(d.fd, pp.index[me], WORD, PULSE_NO_DEADLINE);
		break;
	case HANDOFF:
		handoff(d.fd, pp.index[me], pp.index[other], WORD,
			PULSE_NO_DEADLINE);
		break;
	}
}

static long switches(void)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	return ru.ru_nvcsw + ru.ru_nivcsw;
}

static void *ponger(void *arg)
{
	int me = (int)(intptr_t)arg;
	long before;

	if (pp.how != FUTEX) {
		pp.index[me] = worker_add(d.fd, PULSE_NODE_ANY);
		if (pp.index[me] < 0)
			die("WORKER_ADD", pp.index[me]);
		set_word(&d, pp.index[me], WORD);
		if (pp.how == WORKERS_FUTEX)
			beat(d.fd, pp.index[me], NS_PER_MS);
	}
	pthread_barrier_wait(&pp.ready);
	before = switches();
	if (me) {
		/* The second waits for the first ping. */
		if (pp.how <= WORKERS_FUTEX) {
			while (!__atomic_load_n(&pp.word[1], __ATOMIC_SEQ_CST))
				futex(&pp.word[1], FUTEX_WAIT, 0);
			__atomic_store_n(&pp.word[1], 0, __ATOMIC_SEQ_CST);
		} else {
			park(d.fd, pp.index[1], WORD, PULSE_NO_DEADLINE);
		}
	} else {
		sleep_ms(20);
		pp.ns = now_ns();
	}
	for (int i = 0; i < PINGS; i++)
		ping(me);
	pp.switches[me] = switches() - before;
	if (!me)
		pp.ns = now_ns() - pp.ns;
	/* Whoever still waits for the last pong. */
	if (pp.how <= WORKERS_FUTEX) {
		__atomic_store_n(&pp.word[!me], 1, __ATOMIC_SEQ_CST);
		futex(&pp.word[!me], FUTEX_WAKE, 1);
	} else {
		wake_one(d.fd, pp.index[!me]);
	}
	if (pp.how != FUTEX) {
		pthread_barrier_wait(&pp.ready);
		worker_del(d.fd, pp.index[me]);
	}
	return NULL;
}

/* Nanoseconds a round trip. */
static double ping_pong(enum how how, double *nr_switches)
{
	pthread_t t[2];

	memset(&pp.word, 0, sizeof(pp.word));
	pp.how = how;
	pthread_barrier_init(&pp.ready, NULL, 2);
	for (intptr_t i = 0; i < 2; i++) {
		if (pthread_create(&t[i], NULL, ponger, (void *)i))
			exit(1);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	pthread_barrier_destroy(&pp.ready);
	*nr_switches = (double)(pp.switches[0] + pp.switches[1]) / PINGS;
	return (double)pp.ns / PINGS;
}

static void ping_pongs(const char *name, enum how how, enum how peer,
		       double limit)
{
	double a[ROUNDS], b[ROUNDS], sa, sb;

	ping_pong(how, &sa);
	ping_pong(peer, &sb);
	for (int i = 0; i < ROUNDS; i++) {
		a[i] = ping_pong(how, &sa);
		b[i] = ping_pong(peer, &sb);
	}
	report(name, a, b, limit, sa, sb);
}

/* ---- waking many ------------------------------------------------------------- */

static struct {
	__u32 word[SLEEPERS][32];	/* two lines each */
	int index[SLEEPERS];
	int slept;
	int use_futex;
	int stop;
	int out;
} many;

static void *many_sleep(void *arg)
{
	int me = (int)(intptr_t)arg;

	if (!many.use_futex) {
		many.index[me] = worker_add(d.fd, 0);
		if (many.index[me] < 0)
			die("WORKER_ADD", many.index[me]);
		set_word(&d, many.index[me], WORD);
	}
	while (!__atomic_load_n(&many.stop, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&many.word[me][0], 0, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&many.slept, 1, __ATOMIC_SEQ_CST);
		if (many.use_futex) {
			while (!__atomic_load_n(&many.word[me][0],
						__ATOMIC_SEQ_CST))
				futex(&many.word[me][0], FUTEX_WAIT, 0);
		} else {
			park(d.fd, many.index[me], WORD, PULSE_NO_DEADLINE);
		}
	}
	if (!many.use_futex)
		worker_del(d.fd, many.index[me]);
	__atomic_fetch_add(&many.out, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void wake_all(void)
{
	if (!many.use_futex) {
		wake_node(d.fd, 0, SLEEPERS, PULSE_WAKE_SPILL);
		return;
	}
	for (int i = 0; i < SLEEPERS; i++) {
		__atomic_store_n(&many.word[i][0], 1, __ATOMIC_SEQ_CST);
		futex(&many.word[i][0], FUTEX_WAKE, 1);
	}
}

/* What one wake of all costs the caller, in nanoseconds. */
static double wake_many(int use_futex)
{
	pthread_t t[SLEEPERS];
	long long ns = 0, t0;

	memset(&many, 0, sizeof(many));
	many.use_futex = use_futex;
	for (intptr_t i = 0; i < SLEEPERS; i++) {
		if (pthread_create(&t[i], NULL, many_sleep, (void *)i))
			exit(1);
	}
	for (int i = 0; i < WAKES; i++) {
		while (__atomic_load_n(&many.slept, __ATOMIC_SEQ_CST) < SLEEPERS)
			sleep_ms(1);
		sleep_ms(5);
		__atomic_store_n(&many.slept, 0, __ATOMIC_SEQ_CST);
		t0 = now_ns();
		wake_all();
		ns += now_ns() - t0;
	}
	__atomic_store_n(&many.stop, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&many.out, __ATOMIC_SEQ_CST) < SLEEPERS) {
		wake_all();
		sleep_ms(1);
	}
	for (int i = 0; i < SLEEPERS; i++)
		pthread_join(t[i], NULL);
	return (double)ns / WAKES;
}

/* Nobody that it wakes runs before it is through. */
static void *wake_manys(void *arg)
{
	struct sched_param p = { .sched_priority = 1 };
	double a[ROUNDS], b[ROUNDS];

	pthread_setschedparam(pthread_self(), SCHED_FIFO, &p);
	for (int i = 0; i < ROUNDS; i++) {
		a[i] = wake_many(0);
		b[i] = wake_many(1);
	}
	report("wake 64", a, b, 0.8, 0, 0);
	return arg;
}

/* ---- plain code --------------------------------------------------------------- */

#define PLAIN_LOOPS	25000000L	/* two instructions each: 100 ms */

static double plain_code(__u64 period_ns, __u32 flags)
{
	long long t;
	int ret = beat_flags(d.fd, d.self, period_ns, flags);

	if (ret)
		die("BEAT", ret);
	t = now_ns();
	for (long i = PLAIN_LOOPS; i; i--)
		__asm__ __volatile__("" : "+r"(i));
	return (double)(now_ns() - t);
}

static void heart(const char *name, __u64 period_ns, __u32 flags, double limit)
{
	double a[ROUNDS], b[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		a[i] = plain_code(period_ns, flags);
		b[i] = plain_code(0, 0);
	}
	report(name, a, b, limit, 0, 0);
}

/* ---- beats --------------------------------------------------------------------- */

/* Beats of the worker in the middle of its sleep, as seen by this thread. */
static void *look_at_sleeper(void *arg)
{
	__u64 before;

	sleep_ms(50);
	before = kstate_read(&d, d.self).beats;
	sleep_ms(100);
	*(__u64 *)arg += kstate_read(&d, d.self).beats - before;
	return NULL;
}

static long long cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Of the ideal number, in the time that the worker ran. */
static void beats(__u64 period_ns)
{
	struct pulse_kstate a, b;
	double worst = 1, most = 0;
	__u64 slept = 0, missed = 0;
	long long away = 0;
	pthread_t t;
	int ret;

	for (int i = 0; i < ROUNDS; i++) {
		long long until, ran;
		double of;

		ret = beat(d.fd, d.self, period_ns);
		if (ret)
			die("BEAT", ret);
		a = kstate_read(&d, d.self);
		ran = cpu_ns();
		until = now_ns() + 500 * NS_PER_MS;
		while (now_ns() < until)
			;
		ran = cpu_ns() - ran;
		b = kstate_read(&d, d.self);
		of = (double)(b.beats - a.beats) * (double)period_ns /
		     (double)ran;
		missed += b.missed - a.missed;
		away += 500 * NS_PER_MS - ran;
		worst = of < worst ? of : worst;
		most = of > most ? of : most;
		if (pthread_create(&t, NULL, look_at_sleeper, &slept))
			exit(1);
		sleep_ms(200);
		pthread_join(t, NULL);
		beat(d.fd, d.self, 0);
	}
	printf("beats each %4llu us      %.2f to %.2f %% of ideal (>= 99), %llu missed, asleep %llu (%lld us away)\n",
	       (unsigned long long)period_ns / 1000, 100 * worst, 100 * most,
	       (unsigned long long)missed, (unsigned long long)slept, away / 1000);
	printf("JSON {\"bench\":\"vm_kernel\",\"name\":\"beats\",\"cpus\":%d,\"period_ns\":%llu,\"worst\":%.4f,\"asleep\":%llu}\n",
	       nr_cpus(), (unsigned long long)period_ns, worst, (unsigned long long)slept);
}

/* ---- state --------------------------------------------------------------------- */

#define SPINNERS 3

static struct {
	unsigned long turns[SPINNERS][16];
	int index[SPINNERS];
	int stop;
} spin;

static void *spinner(void *arg)
{
	int me = (int)(intptr_t)arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(nr_cpus() - 1, &set);
	sched_setaffinity(0, sizeof(set), &set);
	__atomic_store_n(&spin.index[me], worker_add(d.fd, PULSE_NODE_ANY) + 1,
			 __ATOMIC_RELEASE);
	while (!__atomic_load_n(&spin.stop, __ATOMIC_RELAXED))
		__atomic_store_n(&spin.turns[me][0], spin.turns[me][0] + 1,
				 __ATOMIC_RELAXED);
	worker_del(d.fd, spin.index[me] - 1);
	return NULL;
}

/*
 * Three spin on a CPU. A sample is right when KSTATE says of one that it runs
 * and of the others that they are preempted, and the one is the one whose count
 * moves. Samples during which the CPU went from one to another say nothing.
 */
static void accuracy(void)
{
	long samples = 0, right = 0, mixed = 0;
	pthread_t t[SPINNERS];

	memset(&spin, 0, sizeof(spin));
	for (intptr_t i = 0; i < SPINNERS; i++) {
		if (pthread_create(&t[i], NULL, spinner, (void *)i))
			exit(1);
	}
	for (int i = 0; i < SPINNERS; i++)
		while (!__atomic_load_n(&spin.index[i], __ATOMIC_ACQUIRE))
			sleep_ms(1);
	while (samples < 2000) {
		int mover = -1, movers = 0, runner = -1, runs = 0, off = 0;
		unsigned long before[SPINNERS];
		__u32 seq[SPINNERS];
		bool moved = false;

		sleep_ms(1);
		for (int i = 0; i < SPINNERS; i++) {
			struct pulse_kstate ks = kstate_read(&d, spin.index[i] - 1);

			seq[i] = ks.seq;
			before[i] = __atomic_load_n(&spin.turns[i][0],
						    __ATOMIC_RELAXED);
			if (ks.state == PULSE_STATE_RUNNING) {
				runner = i;
				runs++;
			}
			off += ks.state == PULSE_STATE_PREEMPTED;
		}
		for (long long until = now_ns() + 10 * NS_PER_MS;
		     !movers && !moved && now_ns() < until;) {
			for (int i = 0; i < SPINNERS; i++) {
				if (__atomic_load_n(&spin.turns[i][0],
						    __ATOMIC_RELAXED) != before[i]) {
					mover = i;
					movers++;
				}
				moved |= kstate_read(&d, spin.index[i] - 1).seq !=
					 seq[i];
			}
		}
		/* Nobody moved: the CPU had something else to do. */
		if (moved || !movers) {
			mixed++;
			continue;
		}
		samples++;
		right += runs == 1 && off == SPINNERS - 1 && movers == 1 &&
			 mover == runner;
	}
	__atomic_store_n(&spin.stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < SPINNERS; i++)
		pthread_join(t[i], NULL);
	printf("state                    %.2f %% of %ld samples right (>= 99); %ld more were of a change\n",
	       100. * (double)right / (double)samples, samples, mixed);
	printf("JSON {\"bench\":\"vm_kernel\",\"name\":\"state\",\"right\":%.4f}\n",
	       (double)right / (double)samples);
}

static void join_self(void)
{
	int ret = dev_join(&d, PULSE_NODE_ANY);

	if (ret < 0)
		die("WORKER_ADD", ret);
}

int main(int argc, char **argv)
{
	pthread_t t;
	int ret = dev_begin(&d, SLEEPERS + 8);

	if (ret)
		die(PULSE_DEVICE_PATH, ret);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "state")) {
		accuracy();
		dev_end(&d);
		return 0;
	}
	/* What the boot left to do, and the clock ticks. */
	sleep_ms(20000);
	printf("%d CPU%s                  pulse ns    peer ns   ratio            spread\n",
	       nr_cpus(), nr_cpus() > 1 ? "s" : " ");
	if (nr_cpus() == 1) {
		ping_pongs("handoff", HANDOFF, FUTEX, 1.0);
		ping_pongs("park+wake", PARK_WAKE, FUTEX, 1.05);
		ping_pongs("tax", WORKERS_FUTEX, FUTEX, 1.05);
		if (pthread_create(&t, NULL, wake_manys, NULL))
			return 1;
		pthread_join(t, NULL);
		join_self();
		heart("heart, 100 us", 100000, PULSE_BEAT_HEARD, 1.02);
		heart("heart, 20 us", 20000, PULSE_BEAT_HEARD, 1.05);
		heart("heard, 100 us", 100000, 0, 0);
		heart("heard, 20 us", 20000, 0, 0);
	} else {
		ping_pongs("handoff", HANDOFF, FUTEX,
			   d.info.features & PULSE_FEAT_HANDOFF_CPU ? 0.8 : 1);
		join_self();
	}
	beats(100000);
	beats(250000);
	beats(1000000);
	dev_end(&d);
	return 0;
}
