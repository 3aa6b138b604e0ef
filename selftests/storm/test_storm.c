// SPDX-License-Identifier: GPL-2.0-only
/*
 * The storm: processes that use the module in every way at once (crowd.h), while
 * they are killed and stopped at random, CPUs go and come, cgroups squeeze, and
 * the module is told to go. Rounds of ten seconds, on a kernel with fault
 * injection every other one with failing allocations and copies; after each
 * nobody may be left in the module's books, and it is unloaded while the last of
 * them are reaped.
 *
 *	PULSE_STORM_SECONDS	how long, 120 if not said; 3600 for an hour
 *	PULSE_STORM_SEED	what decides; told in the output. The order of
 *				events still depends on the scheduler.
 *
 * CPUs, cgroups and fault injection are left alone outside a VM.
 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "crowd.h"

#define PROCESSES	6
#define ROUND_NS	(10 * NS_PER_SEC)

static unsigned long long seed;
static pid_t crowd[PROCESSES];
static unsigned long kills, stops, unplugs, squeezes, unloads, busy;
static const char *bad_end;
static int bad_status;

static void set_cpu(int cpu, const char *value)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	file_put(path, value);
}

static void set_cpus(const char *value)
{
	for (int cpu = 1; in_vm() && cpu < 8; cpu++)
		set_cpu(cpu, value);
}

/* ------------------------------------------------------------------- cgroups */

#define CGROUPS	"/sys/fs/cgroup"

static bool have_cgroups;

static void cgroups_begin(void)
{
	static const char *const wanted[] = { "+cpu", "+memory", "+cpuset", "+pids" };

	if (!in_vm())
		return;
	if (access(CGROUPS "/cgroup.procs", W_OK) &&
	    mount("none", CGROUPS, "cgroup2", 0, NULL))
		return;
	for (int i = 0; i < 4; i++)
		file_put(CGROUPS "/cgroup.subtree_control", wanted[i]);
	mkdir(CGROUPS "/storm0", 0755);
	mkdir(CGROUPS "/storm1", 0755);
	/*
	 * A limit that stays: with the first one and the last one the kernel
	 * patches its scheduler, which the emulator does not bear for long
	 * (selftests/vm/README).
	 */
	mkdir(CGROUPS "/storm_limited", 0755);
	file_put(CGROUPS "/storm_limited/cpu.max", "50000 100000");
	have_cgroups = !access(CGROUPS "/storm0/cgroup.procs", W_OK);
}

/* Puts a process into one of two groups, and gives that another limit. */
static void squeeze(pid_t pid)
{
	static const char *const limits[][2] = {
		{ "cpu.max", "5000 50000" }, { "cpu.max", "max" },
		{ "cpu.weight", "1" }, { "cpu.weight", "10000" },
		{ "memory.max", "2M" }, { "memory.max", "8M" },
		{ "memory.max", "max" }, { "cpuset.cpus", "0-1" },
		{ "cpuset.cpus", "2-3" }, { "cpuset.mems", "0" },
		{ "cpuset.mems", "0-1" }, { "pids.max", "4" },
		{ "pids.max", "max" }, { "cgroup.freeze", "1" },
		{ "cgroup.freeze", "0" }, { "cgroup.freeze", "0" },
	};
	unsigned int group = roll(&seed, 2), i = roll(&seed, 16);
	char path[96], text[16];

	if (!have_cgroups)
		return;
	snprintf(path, sizeof(path), CGROUPS "/storm%u/cgroup.procs", group);
	snprintf(text, sizeof(text), "%d", pid);
	file_put(path, text);
	snprintf(path, sizeof(path), CGROUPS "/storm%u/%s", group, limits[i][0]);
	squeezes += !file_put(path, limits[i][1]);
}

/* Who is to end needs time and memory for it. */
static void cgroups_release(void)
{
	static const char *const free[][2] = {
		{ "cgroup.freeze", "0" }, { "cpu.max", "max" }, { "memory.max", "max" },
	};
	char path[96];

	for (unsigned int i = 0; have_cgroups && i < 6; i++) {
		snprintf(path, sizeof(path), CGROUPS "/storm%u/%s", i & 1,
			 free[i / 2][0]);
		file_put(path, free[i / 2][1]);
	}
}

/* -------------------------------------------------------------------- faults */

#define DEBUGFS	"/sys/kernel/debug"

/*
 * One allocation and copy in a hundred is to fail for tasks that ask for it.
 * Slab caches of its own are spared: what kmemleak remembers lies in one.
 */
static bool faults_begin(void)
{
	static const char *const what[] = {
		"failslab", "fail_page_alloc", "fail_usercopy",
	};
	static const char *const knobs[][2] = {
		{ "verbose", "0" }, { "task-filter", "Y" }, { "ignore-gfp-wait", "N" },
		{ "ignore-gfp-highmem", "N" }, { "min-order", "0" },
		{ "cache-filter", "Y" }, { "interval", "1" }, { "times", "-1" },
		{ "probability", "1" },
	};
	char path[128];

	if (!in_vm() || access(DEBUGFS "/failslab/probability", W_OK))
		return false;
	for (int size = 8; size <= 8192; size *= 2) {
		static const char *const kinds[] = { "kmalloc", "kmalloc-cg" };

		for (int i = 0; i < 2; i++) {
			snprintf(path, sizeof(path), "/sys/kernel/slab/%s-%d%s/failslab",
				 kinds[i], size < 1024 ? size : size / 1024,
				 size < 1024 ? "" : "k");
			file_put(path, "1");
		}
	}
	for (int i = 0; i < 3; i++)
		for (size_t k = 0; k < sizeof(knobs) / sizeof(knobs[0]); k++) {
			snprintf(path, sizeof(path), DEBUGFS "/%s/%s", what[i],
				 knobs[k][0]);
			file_put(path, knobs[k][1]);
		}
	return true;
}

/* ----------------------------------------------------------------- processes */

static void look_at(int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == CROWD_BAD) {
		bad_end = "a command said what it never says";
		bad_status = status;
	}
}

static void reap(bool all)
{
	int status;

	for (int i = 0; i < PROCESSES; i++) {
		if (crowd[i] <= 0 ||
		    waitpid(crowd[i], &status, all ? 0 : WNOHANG) != crowd[i])
			continue;
		look_at(status);
		crowd[i] = 0;
	}
}

static void fill(void)
{
	for (int i = 0; i < PROCESSES; i++) {
		unsigned long long s;

		if (crowd[i])
			continue;
		s = seed * 2862933555777941757ULL + 3037000493ULL + (unsigned int)i;
		roll(&seed, 2);
		fflush(stdout);
		crowd[i] = fork();
		if (!crowd[i])
			crowd_main(s | 1);
		if (crowd[i] < 0)	/* tried again next time */
			crowd[i] = 0;
	}
}

/* What the programs after exec are, and whatever children are left, go too. */
static void kill_all(void)
{
	cgroups_release();
	for (int i = 0; i < PROCESSES; i++)
		if (crowd[i] > 0)
			kill(crowd[i], SIGKILL);
}

static void disturb(void)
{
	int i = (int)roll(&seed, PROCESSES);

	switch (roll(&seed, 12)) {
	case 0:
	case 1:
		if (crowd[i] > 0 && !kill(crowd[i], SIGKILL))
			kills++;
		break;
	case 2:
		if (crowd[i] > 0 && !kill(crowd[i], SIGSTOP)) {
			usleep(roll(&seed, 20000));
			kill(crowd[i], SIGCONT);
			stops++;
		}
		break;
	case 3:
		if (!roll(&seed, 8) && in_vm()) {
			int cpu = 1 + (int)roll(&seed, 3);

			set_cpu(cpu, "0");
			usleep(roll(&seed, 20000));
			set_cpu(cpu, "1");
			unplugs++;
		}
		break;
	case 4:
	case 5:
		if (crowd[i] > 0)
			squeeze(crowd[i]);
		break;
	case 6:
		busy += syscall(SYS_delete_module, "pulse", O_NONBLOCK) < 0;
		break;
	default:
		break;
	}
}

/* -------------------------------------------------------------------- module */

static char parameters[128];

static int load(void)
{
	int fd = open(getenv("PULSE_VM_MODULE") ?: "", O_RDONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, parameters, 0) ? -errno : 0;
	close(fd);
	return ret;
}

/*
 * It goes while the last ones are being reaped. With one CPU: the emulator loses
 * patches that are made beside another (selftests/vm/README).
 */
static void unload_and_load(void)
{
	int ret;

	set_cpus("0");
	kill_all();
	while ((ret = syscall(SYS_delete_module, "pulse", O_NONBLOCK) ?
			-errno : 0) == -EWOULDBLOCK) {
		busy++;
		reap(false);
		crowd_drain();
		usleep(roll(&seed, 500));	/* they need the CPU, too */
	}
	KT_EQ(ret, 0);
	unloads++;
	ret = load();
	set_cpus("1");
	KT_REQUIRE(ret == 0);
}

static void one_round(long long end, bool last)
{
	int hold = dev_open(O_RDONLY);

	/* While this is open the module stays, whatever it is told. */
	KT_REQUIRE(hold >= 0);
	while (now_ns() < end && !bad_end) {
		fill();
		usleep(500 + roll(&seed, 15000));
		reap(false);
		disturb();
	}
	close(hold);
	if (getenv("PULSE_VM_MODULE") && !last) {
		unload_and_load();
	} else {
		kill_all();
		crowd_drain();
	}
	reap(true);
	crowd_drain();
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == 0));
	KT_CHECK(EVENTUALLY(sysfs_read("workers") == 0));
}

static void tell(void)
{
	unsigned long ops = 0, refused = 0;

	for (int i = 0; i < NR_OPS; i++) {
		ops += books->ops[i];
		refused += books->refused[i];
	}
	kt_note("%lu commands, %lu refused; contexts: %lu own, %lu joined", ops,
		refused, books->own, books->joined);
	kt_note("%lu kills, %lu crashes, %lu exits, %lu execs, %lu forks, %lu stops",
		kills, books->crashes, books->exits, books->execs, books->forks, stops);
	kt_note("%lu CPUs unplugged, %lu limits, %lu unloads, %lu refused", unplugs,
		squeezes, unloads, busy);
}

static long long number(const char *name, long long other)
{
	const char *text = getenv(name);

	return text && *text ? strtoll(text, NULL, 0) : other;
}

KT_TEST(whatever_happens_the_books_are_empty_after_it)
{
	long long seconds = number("PULSE_STORM_SECONDS", 120);
	long long begin = now_ns(), end = begin + seconds * NS_PER_SEC;
	bool faults;
	FILE *f;

	NEED_DEVICE();
	if (sysfs_read("contexts") || sysfs_read("workers"))
		KT_SKIP("somebody else uses the module");
	seed = (unsigned long long)number("PULSE_STORM_SEED",
					  now_ns() ^ (long long)getpid() << 32);
	seed |= 1;
	kt_note("PULSE_STORM_SEED=%llu PULSE_STORM_SECONDS=%lld", seed, seconds);
	alarm(0);		/* how long it takes is said above */
	books = mmap(NULL, sizeof(*books), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	KT_REQUIRE(books != MAP_FAILED);
	KT_REQUIRE(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, crowd_mail));
	f = fopen("/sys/module/pulse/parameters/state_source", "re");
	if (f) {
		char source[32];

		if (fscanf(f, "%31s", source) == 1)
			snprintf(parameters, sizeof(parameters), "state_source=%s",
				 source);
		fclose(f);
	}
	set_cpus("0");
	cgroups_begin();
	set_cpus("1");
	faults = faults_begin();
	for (int round = 1; now_ns() < end && !bad_end; round++) {
		long long until = now_ns() + ROUND_NS;

		books->faults = faults && round % 2 == 0;
		one_round(until < end ? until : end, until >= end);
		kt_note("round %d%s, %lld s", round,
			books->faults ? " with faults" : "",
			(now_ns() - begin) / NS_PER_SEC);
	}
	tell();
	KT_CHECKF(!bad_end, "%s: operation %d: %s; descriptor %d, flags %o, phase %d",
		  bad_end, books->bad_op, strerror(books->bad_errno),
		  books->bad_fd, books->bad_flags, books->bad_phase);
	/* it was a storm, and not a calm */
	KT_CHECK(books->own > 0 && books->joined > 0 && kills > 0);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--storm-exec")) {
		usleep((useconds_t)atoi(argv[2]) * 1000);
		return 0;
	}
	return kt_main(argc, argv);
}
