// SPDX-License-Identifier: GPL-2.0-only
/* Slabs: every object once, none lost, misuse seen in debug builds. */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <pulse-u/memory.h>

#include "base/base.h"
#include "ktap.h"

static struct pulse_slab *make(size_t object_bytes, size_t max_bytes,
			       int magazine)
{
	struct pulse_slab *slab = NULL;

	PULSE_OPTS(pulse_slab_opts, opts, .object_bytes = object_bytes,
		   .max_bytes = max_bytes, .magazine = magazine);
	KT_EQ(pulse_slab_create(&opts, &slab), 0);
	return slab;
}

static struct pulse_slab_stats stats_of(struct pulse_slab *slab)
{
	struct pulse_slab_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_slab_stats(slab, &s), 0);
	return s;
}

/* U01, U02 */
KT_TEST(what_cannot_be_is_refused)
{
	static const struct pulse_slab_opts bad[] = {
		{ .sz = 0, .object_bytes = 8 },
		{ .sz = 1, .object_bytes = 8 },
		{ .sz = sizeof(bad[0]) },
		{ .sz = sizeof(bad[0]), .object_bytes = 65537 },
		{ .sz = sizeof(bad[0]), .object_bytes = SIZE_MAX },
		{ .sz = sizeof(bad[0]), .object_bytes = 8, .align = 3 },
		{ .sz = sizeof(bad[0]), .object_bytes = 8, .align = 8192 },
		{ .sz = sizeof(bad[0]), .object_bytes = 8, .magazine = -2 },
		{ .sz = sizeof(bad[0]), .object_bytes = 8, .magazine = 1025 },
		{ .sz = sizeof(bad[0]), .object_bytes = 8, .flags = 2 },
	};
	struct pulse_slab *slab;
	struct pulse_slab_stats s = { .sz = 0 };
	void *p;

	KT_EQ(pulse_slab_create(NULL, &slab), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		KT_EQ(pulse_slab_create(&bad[i], &slab), -EINVAL);
		KT_CHECK(slab == NULL);
	}
	slab = make(8, 0, 0);
	KT_REQUIRE(slab != NULL);
	KT_EQ(pulse_slab_create(&bad[2], NULL), -EINVAL);
	KT_EQ(pulse_slab_destroy(NULL), -EINVAL);
	KT_EQ(pulse_slab_alloc(NULL, &p), -EINVAL);
	KT_EQ(pulse_slab_alloc(slab, NULL), -EINVAL);
	KT_EQ(pulse_slab_alloc_on(NULL, 0, &p), -EINVAL);
	KT_EQ(pulse_slab_alloc_on(slab, 0, NULL), -EINVAL);
	KT_EQ(pulse_slab_alloc_on(slab, -2, &p), -EINVAL);
	KT_EQ(pulse_slab_alloc_on(slab, 1023, &p), -EINVAL);
	KT_EQ(pulse_slab_alloc_on(slab, INT_MAX, &p), -EINVAL);
	KT_EQ(pulse_slab_free(NULL, &p), -EINVAL);
	KT_EQ(pulse_slab_free(slab, NULL), 0);
	KT_EQ(pulse_slab_node_of(NULL, &p), -EINVAL);
	KT_EQ(pulse_slab_node_of(slab, NULL), -EINVAL);
	KT_EQ(pulse_slab_stats(NULL, &s), -EINVAL);
	KT_EQ(pulse_slab_stats(slab, NULL), -EINVAL);
	KT_EQ(pulse_slab_stats(slab, &s), -EINVAL);
	KT_EQ(pulse_slab_destroy(slab), 0);
}

KT_TEST(objects_of_every_size_are_apart_and_aligned)
{
	static const size_t sizes[] = { 1, 7, 8, 24, 63, 64, 100, 4096, 65536 };
	static const size_t aligns[] = { 0, 1, 16, 128, 4096 };

	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (size_t a = 0; a < ARRAY_SIZE(aligns); a++) {
			unsigned char *obj[100];
			struct pulse_slab *slab;
			size_t align = aligns[a];
			void *p = NULL;

			PULSE_OPTS(pulse_slab_opts, opts,
				   .object_bytes = sizes[s], .align = align);
			KT_EQ(pulse_slab_create(&opts, &slab), 0);
			if (!align)
				align = sizes[s] >= 64 ? 64 : 16;
			for (size_t i = 0; i < ARRAY_SIZE(obj); i++) {
				KT_EQ(pulse_slab_alloc(slab, &p), 0);
				KT_REQUIRE(p && pulse__is_aligned(p, align));
				obj[i] = p;
				memset(p, (int)i, sizes[s]);
			}
			for (size_t i = 0; i < ARRAY_SIZE(obj); i++) {
				KT_EQ(obj[i][0], i);
				KT_EQ(obj[i][sizes[s] - 1], i);
				KT_EQ(pulse_slab_free(slab, obj[i]), 0);
			}
			KT_EQ(pulse_slab_destroy(slab), 0);
		}
	}
}

KT_TEST(statistics_add_up)
{
	struct pulse_slab *slab = make(64, 0, 0);
	struct pulse_slab_stats s;
	void *obj[10];

	KT_REQUIRE(slab != NULL);
	s = stats_of(slab);
	KT_EQ(s.allocations | s.frees | s.in_use | s.bytes, 0);
	KT_CHECK(s.hit_percent == 0);
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 10; i++)
			KT_EQ(pulse_slab_alloc(slab, &obj[i]), 0);
		for (int i = 0; i < 10; i++)
			KT_EQ(pulse_slab_free(slab, obj[i]), 0);
	}
	KT_EQ(pulse_slab_alloc(slab, &obj[0]), 0);
	s = stats_of(slab);
	KT_EQ(s.allocations, 1001);
	KT_EQ(s.frees, 1000);
	KT_EQ(s.in_use, 1);
	KT_EQ(s.hits + s.misses, 1001);
	KT_EQ(s.failed, 0);
	KT_CHECK(s.bytes > 0);
	KT_CHECKF(s.hit_percent > 90, "hits: %.1f %%", s.hit_percent);
	/* What was never freed is counted, and gone. */
	KT_EQ(pulse_slab_destroy(slab), 1);
}

/* Takes objects until there are no more; returns how many. */
static size_t drain(struct pulse_slab *slab, void **obj, size_t max)
{
	size_t n = 0;
	int err = 0;

	while (n < max && !(err = pulse_slab_alloc(slab, &obj[n])))
		n++;
	KT_EQ(err, -ENOMEM);
	return n;
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

KT_TEST(at_the_limit_it_says_enomem_and_loses_nothing)
{
	static void *obj[2000];

	for (int magazine = PULSE_OFF; magazine <= 1024; magazine += 205) {
		struct pulse_slab *slab = make(64, 65536, magazine);
		struct pulse_slab_stats s;
		cpu_set_t before;
		size_t all;

		KT_REQUIRE(slab != NULL);
		all = drain(slab, obj, ARRAY_SIZE(obj));
		KT_CHECKF(all > 900 && all < 1024, "%zu objects", all);
		sched_getaffinity(0, sizeof(before), &before);
		/* Also what lies in the magazines of CPUs we are not on. */
		for (int cpu = 0; cpu < 4; cpu++) {
			run_on(cpu % 2);
			for (size_t i = 0; i < all; i++)
				KT_EQ(pulse_slab_free(slab, obj[i]), 0);
			run_on((cpu + 1) % 2);
			KT_EQ(drain(slab, obj, ARRAY_SIZE(obj)), all);
		}
		sched_setaffinity(0, sizeof(before), &before);
		s = stats_of(slab);
		KT_EQ(s.in_use, all);
		KT_EQ(s.failed, 5);
		KT_EQ(s.bytes, 65536);
		KT_EQ(pulse_slab_destroy(slab), (int)all);
	}
}

/* U04 */
KT_TEST(each_allocation_that_fails_is_told)
{
	struct pulse_slab *slab = NULL;
	void *p;
	long n;
	int err;

	PULSE_OPTS(pulse_slab_opts, opts, .object_bytes = 64);
	for (n = 1; n < 10; n++) {
		pulse__alloc_fail_at(n);
		err = pulse_slab_create(&opts, &slab);
		if (!pulse__alloc_failed())
			break;
		KT_EQ(err, -ENOMEM);
		KT_CHECK(slab == NULL);
	}
	KT_EQ(n, 4);
	KT_EQ(err, 0);
	/* The first object needs a node and a block. */
	for (n = 1; n < 10; n++) {
		pulse__alloc_fail_at(n);
		err = pulse_slab_alloc_on(slab, 0, &p);
		if (!pulse__alloc_failed())
			break;
		pulse__alloc_fail_at(0);
		/* Asked again, a part may have got there: that is allowed. */
		KT_CHECK(err == -ENOMEM || !err);
		KT_CHECK(!p == !!err);
		if (!err)
			KT_EQ(pulse_slab_free(slab, p), 0);
	}
	pulse__alloc_fail_at(0);
	KT_EQ(err, 0);
	KT_EQ(stats_of(slab).in_use, 1);
	KT_EQ(pulse_slab_free(slab, p), 0);
	KT_EQ(pulse_slab_destroy(slab), 0);
}

KT_TEST(objects_of_each_node_are_of_that_node)
{
	struct pulse_slab *slab = make(256, 0, 0);
	char path[64];
	void *obj[64];

	KT_REQUIRE(slab != NULL);
	for (int node = 0; node < 64; node++) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d",
			 node);
		if (node && access(path, F_OK))
			continue;
		for (int i = 0; i < 64; i++) {
			KT_EQ(pulse_slab_alloc_on(slab, node, &obj[i]), 0);
			KT_EQ(pulse_slab_node_of(slab, obj[i]), node);
		}
		for (int i = 0; i < 64; i++)
			KT_EQ(pulse_slab_free(slab, obj[i]), 0);
	}
	KT_EQ(pulse_slab_destroy(slab), 0);
}

/* ---- threads ----------------------------------------------------------- */

#define THREADS 6
#define SHELF 256
#define WORDS 12

/* Objects change hands over this shelf: freed by others than who took them. */
struct store {
	struct pulse_slab *slab;
	void *shelf[SHELF];
	uint64_t rounds;
	uint64_t stamps;	/* sum of what was written into objects */
	uint64_t checked;	/* sum of what was found in them */
};

static bool object_check(const uint64_t *obj, uint64_t *sum)
{
	for (int i = 1; i < WORDS; i++) {
		if (obj[i] != obj[0] + (uint64_t)i)
			return false;
	}
	*sum += obj[0];
	return true;
}

static void *trade(void *arg)
{
	struct store *s = arg;
	uint64_t random = (uintptr_t)&random ^ 0x9e3779b97f4a7c15ULL;
	uint64_t stamps = 0, checked = 0;

	for (uint64_t i = 0; i < s->rounds; i++) {
		uint64_t *obj;
		void *p;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		if (pulse_slab_alloc(s->slab, &p)) {
			KT_FAIL("out of memory");
			break;
		}
		obj = p;
		for (int w = 0; w < WORDS; w++)
			obj[w] = random + (uint64_t)w;
		stamps += random;
		obj = __atomic_exchange_n(&s->shelf[random % SHELF], p,
					  __ATOMIC_ACQ_REL);
		if (!obj)
			continue;
		if (!object_check(obj, &checked)) {
			KT_FAIL("somebody else wrote to the object");
			break;
		}
		pulse_slab_free(s->slab, obj);
	}
	pulse__add_relaxed(&s->stamps, stamps);
	pulse__add_relaxed(&s->checked, checked);
	return NULL;
}

static void trade_with(int magazine)
{
	static struct store s;
	pthread_t t[THREADS];
	struct pulse_slab_stats stats;
	uint64_t left = 0;

	memset(&s, 0, sizeof(s));
	s.rounds = (uint64_t)kt_scale(100000);
#ifdef PULSE__TSAN
	s.rounds /= 10;
#endif
	s.slab = make(WORDS * sizeof(uint64_t), 0, magazine);
	for (int i = 0; i < THREADS; i++)
		KT_EQ(pthread_create(&t[i], NULL, trade, &s), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < SHELF; i++) {
		if (!s.shelf[i])
			continue;
		left++;
		KT_CHECK(object_check(s.shelf[i], &s.checked));
		KT_EQ(pulse_slab_free(s.slab, s.shelf[i]), 0);
	}
	KT_EQ(s.stamps, s.checked);
	stats = stats_of(s.slab);
	KT_EQ(stats.allocations, s.rounds * THREADS);
	KT_EQ(stats.frees, s.rounds * THREADS);
	KT_EQ(stats.in_use, 0);
	/* At most the shelf, a round of each thread and the magazines. */
	KT_CHECKF(stats.bytes <= 1U << 20, "%llu bytes",
		  (unsigned long long)stats.bytes);
	kt_note("magazine %d: hits %.1f %%, %llu KiB", magazine,
		stats.hit_percent, (unsigned long long)stats.bytes >> 10);
	KT_EQ(pulse_slab_destroy(s.slab), 0);
}

KT_TEST(objects_pass_through_many_threads_unharmed)
{
	trade_with(0);
	trade_with(1);
	trade_with(PULSE_OFF);
}

KT_TEST(trim_gives_back_what_is_not_in_use)
{
	struct pulse_slab *slab = make(1024, 0, 0);
	static unsigned char *obj[500];
	uint64_t before;

	KT_REQUIRE(slab != NULL);
	KT_EQ(pulse_slab_trim(NULL), -EINVAL);
	KT_EQ(pulse_slab_trim(slab), 0);
	for (int i = 0; i < 500; i++) {
		void *p;

		KT_REQUIRE(!pulse_slab_alloc(slab, &p));
		obj[i] = p;
		memset(p, i & 0xff, 1024);
	}
	KT_EQ(pulse_slab_trim(slab), 0);
	before = stats_of(slab).bytes;
	for (int i = 0; i < 400; i++)
		KT_EQ(pulse_slab_free(slab, obj[i]), 0);
	KT_CHECK(pulse_slab_trim(slab) > 0);
	KT_CHECK(stats_of(slab).bytes < before);
	KT_CHECK(stats_of(slab).bytes >= 100 * 1024);
	/* What is in use is as it was, and there is more where it came from. */
	for (int i = 0; i < 400; i++) {
		void *p;

		KT_REQUIRE(!pulse_slab_alloc(slab, &p));
		obj[i] = p;
		memset(p, i & 0xff, 1024);
	}
	for (int i = 0; i < 500; i++) {
		KT_CHECK(obj[i][0] == (i & 0xff) && obj[i][1023] == (i & 0xff));
		KT_EQ(pulse_slab_free(slab, obj[i]), 0);
	}
	KT_CHECK(pulse_slab_trim(slab) > 0);
	KT_EQ(stats_of(slab).bytes, 0);
	KT_EQ(stats_of(slab).in_use, 0);
	KT_EQ(pulse_slab_destroy(slab), 0);
}

/* A thread takes and frees, and keeps its magazine until it is told to end. */
struct keeper {
	struct pulse_slab *slab;
	pthread_barrier_t filled, end;
};

static void *keep_a_magazine(void *arg)
{
	struct keeper *k = arg;
	void *obj[20];

	for (int i = 0; i < 20; i++)
		KT_CHECK(!pulse_slab_alloc(k->slab, &obj[i]));
	for (int i = 0; i < 20; i++)
		KT_EQ(pulse_slab_free(k->slab, obj[i]), 0);
	pthread_barrier_wait(&k->filled);
	pthread_barrier_wait(&k->end);
	return NULL;
}

KT_TEST(what_other_threads_keep_can_be_had)
{
	struct keeper k = { .slab = make(64, 65536, 0) };
	static void *obj[2000];
	struct pulse_slab_stats s;
	pthread_t t[4];
	size_t all;

	KT_REQUIRE(k.slab != NULL);
	all = drain(k.slab, obj, ARRAY_SIZE(obj));
	for (size_t i = 0; i < all; i++)
		KT_EQ(pulse_slab_free(k.slab, obj[i]), 0);
	pthread_barrier_init(&k.filled, NULL, 5);
	pthread_barrier_init(&k.end, NULL, 5);
	for (int i = 0; i < 4; i++)
		KT_EQ(pthread_create(&t[i], NULL, keep_a_magazine, &k), 0);
	pthread_barrier_wait(&k.filled);
	/* Out of the magazines of threads that are idle ... */
	KT_EQ(drain(k.slab, obj, ARRAY_SIZE(obj)), all);
	for (size_t i = 0; i < all; i++)
		KT_EQ(pulse_slab_free(k.slab, obj[i]), 0);
	pthread_barrier_wait(&k.end);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	/* ... and of those that ended, whose figures stay. */
	s = stats_of(k.slab);
	KT_EQ(s.allocations, 2 * all + 4 * 20);
	KT_EQ(s.frees, s.allocations);
	KT_EQ(drain(k.slab, obj, ARRAY_SIZE(obj)), all);
	for (size_t i = 0; i < all; i++)
		KT_EQ(pulse_slab_free(k.slab, obj[i]), 0);
	KT_EQ(pulse_slab_trim(k.slab), 65536);
	KT_EQ(pulse_slab_destroy(k.slab), 0);
	pthread_barrier_destroy(&k.filled);
	pthread_barrier_destroy(&k.end);
}

/* More slabs than a thread has short ways to, made and destroyed in turn. */
KT_TEST(a_thread_may_use_many_slabs)
{
	struct pulse_slab *slab[200];
	void *obj[200];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 200; i++) {
			slab[i] = make(16 + (size_t)i, 0, 1 + i % 40);
			KT_REQUIRE(slab[i] != NULL);
		}
		for (int pass = 0; pass < 3; pass++) {
			for (int i = 0; i < 200; i++) {
				KT_EQ(pulse_slab_alloc(slab[i], &obj[i]), 0);
				memset(obj[i], i, 16 + (size_t)i);
			}
			for (int i = 0; i < 200; i++) {
				KT_EQ(*(unsigned char *)obj[i], i);
				KT_EQ(pulse_slab_free(slab[i], obj[i]), 0);
			}
		}
		for (int i = 0; i < 200; i++)
			KT_EQ(pulse_slab_destroy(slab[i]), 0);
	}
}

static void *trim_for_ever(void *arg)
{
	struct store *s = arg;

	while (!READ_ONCE(s->checked)) {
		KT_CHECK(pulse_slab_trim(s->slab) >= 0);
		sched_yield();
	}
	return NULL;
}

KT_TEST(trim_may_come_at_any_time)
{
	struct store s = { .rounds = (uint64_t)kt_scale(30000) };
	pthread_t t[3], trimmer;
	struct store mine[3];

	s.slab = make(WORDS * sizeof(uint64_t), 0, 0);
	KT_EQ(pthread_create(&trimmer, NULL, trim_for_ever, &s), 0);
	for (int i = 0; i < 3; i++) {
		memset(&mine[i], 0, sizeof(mine[i]));
		mine[i].slab = s.slab;
		mine[i].rounds = s.rounds;
		KT_EQ(pthread_create(&t[i], NULL, trade, &mine[i]), 0);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	WRITE_ONCE(s.checked, 1);
	pthread_join(trimmer, NULL);
	for (int i = 0; i < 3; i++) {
		uint64_t sum = mine[i].checked;

		for (int n = 0; n < SHELF; n++) {
			if (!mine[i].shelf[n])
				continue;
			KT_CHECK(object_check(mine[i].shelf[n], &sum));
			KT_EQ(pulse_slab_free(s.slab, mine[i].shelf[n]), 0);
		}
		KT_EQ(sum, mine[i].stamps);
	}
	KT_CHECK(pulse_slab_trim(s.slab) >= 0);
	KT_EQ(stats_of(s.slab).bytes, 0);
	KT_EQ(pulse_slab_destroy(s.slab), 0);
}

/* ---- misuse ------------------------------------------------------------ */

#ifdef PULSE_DEBUG
/* Runs in a child that should abort with @text on standard error. */
static void expect_abort(void (*misuse)(struct pulse_slab *), const char *text)
{
	struct pulse_slab *slab;
	char seen[512] = "";
	int out[2], status = 0;
	pid_t pid;

	KT_REQUIRE(!pipe(out));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		dup2(out[1], STDERR_FILENO);
		slab = make(64, 0, 0);
		misuse(slab);
		_exit(0);
	}
	close(out[1]);
	for (size_t at = 0; at < sizeof(seen) - 1;) {
		ssize_t n = read(out[0], seen + at, sizeof(seen) - 1 - at);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	close(out[0]);
	waitpid(pid, &status, 0);
	KT_CHECKF(!(WIFEXITED(status) && !WEXITSTATUS(status)),
		  "went on after: %s", text);
	KT_CHECKF(strstr(seen, text) != NULL, "said: %s", seen);
}

static void free_twice(struct pulse_slab *slab)
{
	void *p;

	pulse_slab_alloc(slab, &p);
	pulse_slab_free(slab, p);
	pulse_slab_free(slab, p);
}

static void free_twice_through_the_node(struct pulse_slab *slab)
{
	void *obj[200];

	for (int i = 0; i < 200; i++)
		pulse_slab_alloc(slab, &obj[i]);
	for (int i = 0; i < 200; i++)
		pulse_slab_free(slab, obj[i]);
	pulse_slab_free(slab, obj[0]);
}

static void write_after_free(struct pulse_slab *slab)
{
	void *p;

	pulse_slab_alloc(slab, &p);
	pulse_slab_free(slab, p);
	((char *)p)[40] = 1;
	for (int i = 0; i < 200; i++)
		pulse_slab_alloc(slab, &p);
}

static void free_the_middle(struct pulse_slab *slab)
{
	void *p;

	pulse_slab_alloc(slab, &p);
	pulse_slab_free(slab, (char *)p + 8);
}

static void free_a_strangers(struct pulse_slab *slab)
{
	struct pulse_slab *other = make(64, 0, 0);
	void *p;

	pulse_slab_alloc(other, &p);
	pulse_slab_free(slab, p);
}
#endif

KT_TEST(debug_builds_catch_misuse)
{
#ifdef PULSE_DEBUG
	expect_abort(free_twice, "double free");
	expect_abort(free_twice_through_the_node, "double free");
	expect_abort(write_after_free, "after it was freed");
	expect_abort(free_the_middle, "middle");
	expect_abort(free_a_strangers, "not of this slab");
#else
	KT_SKIP("not a debug build (-DPULSE_DEBUG)");
#endif
}

/* U09 */
KT_TEST(a_forked_child_is_told)
{
	struct pulse_slab *slab = make(64, 0, 0);
	int status = 0;
	void *p = NULL;
	pid_t pid;

	KT_REQUIRE(slab != NULL);
	KT_EQ(pulse_slab_alloc(slab, &p), 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		void *q;
		int bad = pulse_slab_alloc(slab, &q) != -EOWNERDEAD;

		bad |= pulse_slab_alloc_on(slab, 0, &q) != -EOWNERDEAD;
		bad |= pulse_slab_free(slab, p) != -EOWNERDEAD;
		bad |= pulse_slab_trim(slab) != -EOWNERDEAD;
		bad |= pulse_slab_destroy(slab) != 1;
		_exit(bad);
	}
	waitpid(pid, &status, 0);
	KT_CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	KT_EQ(pulse_slab_free(slab, p), 0);
	KT_EQ(pulse_slab_destroy(slab), 0);
}

KT_MAIN()
