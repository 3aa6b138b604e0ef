// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contexts and workers: arguments, sizes, registering, ending in each way, and
 * what is told of a worker. On whichever backend there is.
 */
#include <sys/mman.h>

#include "helpers.h"
#include "base/base.h"

static struct pulse_ctx *ctx_of(uint32_t max_workers)
{
	PULSE_OPTS(pulse_ctx_opts, opts, .max_workers = max_workers,
		   .ring_entries = 16);
	struct pulse_ctx *ctx = NULL;
	int err = pulse_ctx_create(&opts, &ctx);

	if (err)
		kt_note("pulse_ctx_create: %s", pulse_strerror(err));
	return ctx;
}

KT_TEST(which_backend)
{
	kt_note("backend: %s", backend_name());
	KT_CHECK(on_kernel() || !strcmp(backend_name(), "user"));
}

/* U01 */
KT_TEST(null_handles_and_results_are_refused)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };
	uint32_t index = 0;
	void *mem;
	struct pulse_ctx *ctx = ctx_of(4);

	KT_REQUIRE(ctx);
	KT_EQ(pulse_ctx_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_ctx_destroy(NULL), -EINVAL);
	KT_EQ(pulse_ctx_fd(NULL), -EINVAL);
	KT_EQ(pulse_ctx_nring(NULL, 0, &mem, NULL), -EINVAL);
	KT_EQ(pulse_ctx_nring(ctx, 0, NULL, NULL), -EINVAL);
	KT_EQ(pulse_ctx_nodes(NULL, NULL, 0), -EINVAL);
	KT_EQ(pulse_ctx_nodes(ctx, NULL, 1), -EINVAL);
	KT_EQ(pulse_ctx_nodes(ctx, NULL, -1), -EINVAL);
	KT_EQ(pulse_worker_register(NULL, -1, 0), -EINVAL);
	KT_EQ(pulse_worker_register(ctx, -2, 0), -EINVAL);
	KT_EQ(pulse_worker_unregister(NULL, 0), -EINVAL);
	KT_EQ(pulse_worker_unregister(ctx, -1), -EINVAL);
	KT_EQ(pulse_worker_park(NULL, 0, 1, NULL, NULL), -EINVAL);
	KT_EQ(pulse_worker_wake(NULL, &index, 1), -EINVAL);
	KT_EQ(pulse_worker_wake(ctx, NULL, 1), -EINVAL);
	KT_EQ(pulse_worker_wake(ctx, NULL, 0), 0);
	KT_EQ(pulse_worker_wake_node(NULL, 0, 1, true), -EINVAL);
	KT_EQ(pulse_worker_wake_node(ctx, 0, 0, true), -EINVAL);
	KT_EQ(pulse_worker_wake_node(ctx, -1, 1, true), -EINVAL);
	KT_EQ(pulse_worker_wake_node(ctx, 1023, 1, true), -EINVAL);
	KT_EQ(pulse_worker_state(NULL, 0, &st), -EINVAL);
	KT_EQ(pulse_worker_state(ctx, 0, NULL), -EINVAL);
	KT_EQ(pulse_worker_state(ctx, -1, &st), -EINVAL);
	KT_EQ(pulse_worker_state(ctx, 4, &st), -EINVAL);
	KT_EQ(pulse_worker_state(ctx, 3, &st), -ESRCH);
	st.sz = 0;
	KT_EQ(pulse_worker_state(ctx, 3, &st), -EINVAL);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

/* U02 */
KT_TEST(options_of_each_size_and_value)
{
	struct { struct pulse_ctx_opts opts; uint64_t tail[4]; } big = { 0 };
	static const struct { uint32_t workers, entries, heap; } bad[] = {
		{ 4097, 0, 0 }, { UINT32_MAX, 0, 0 }, { 0, 1, 0 }, { 0, 3, 0 },
		{ 0, 1000, 0 }, { 0, 131072, 0 }, { 0, 1U << 31, 0 },
		{ 0, 0, (64U << 20) + 1 }, { 0, 0, UINT32_MAX },
	};
	struct pulse_ctx *ctx;

	big.opts.sz = 0;
	KT_EQ(pulse_ctx_create(&big.opts, &ctx), -EINVAL);
	big.opts.sz = 1;
	KT_EQ(pulse_ctx_create(&big.opts, &ctx), -EINVAL);
	big.opts.sz = (size_t)-1;
	KT_EQ(pulse_ctx_create(&big.opts, &ctx), -E2BIG);
	big.opts.sz = sizeof(big);
	KT_EQ(pulse_ctx_create(&big.opts, &ctx), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
	big.tail[3] = 1;
	KT_EQ(pulse_ctx_create(&big.opts, &ctx), -E2BIG);
	KT_CHECK(!ctx);
	big.opts.sz = sizeof(big.opts);
	big.opts.flags = 2;
	KT_EQ(pulse_ctx_create(&big.opts, &ctx), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		PULSE_OPTS(pulse_ctx_opts, opts, .max_workers = bad[i].workers,
			   .ring_entries = bad[i].entries,
			   .heap_bytes = bad[i].heap);

		KT_CHECKF(pulse_ctx_create(&opts, &ctx) == -EINVAL,
			  "case %zu", i);
	}
	KT_EQ(pulse_ctx_create(NULL, &ctx), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

/* U04; the library's own allocations and mappings */
KT_TEST(create_survives_each_failing_allocation)
{
	for (long i = 1; i < 200; i++) {
		struct pulse_ctx *ctx;
		int err;

		pulse__alloc_fail_at(i);
		err = pulse_ctx_create(NULL, &ctx);
		if (!pulse__alloc_failed()) {
			pulse__alloc_fail_at(0);
			KT_EQ(err, 0);
			KT_EQ(pulse_ctx_destroy(ctx), 0);
			kt_note("%ld places that can fail", i - 1);
			break;
		}
		KT_EQ(err, -ENOMEM);
		KT_CHECK(!ctx);
	}
}

/* U05 */
KT_TEST(create_without_descriptors_says_emfile)
{
	struct pulse_ctx *ctx;
	int fds[4096], n = 0, err;

	backend_name();
	while (n < 4096 && (fds[n] = dup(0)) >= 0)
		n++;
	err = n < 4096 ? pulse_ctx_create(NULL, &ctx) : -EMFILE;
	while (n)
		close(fds[--n]);
	KT_EQ(err, -EMFILE);
	ctx = ctx_of(1);
	KT_CHECK(ctx);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

KT_TEST(node_rings_are_there_zeroed_and_of_their_size)
{
	PULSE_OPTS(pulse_ctx_opts, opts, .ring_entries = 64,
		   .heap_bytes = 5000);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes, want;
	struct pulse_ctx *ctx;
	int nodes[64], n;

	KT_REQUIRE(pulse_ctx_create(&opts, &ctx) == 0);
	n = pulse_ctx_nodes(ctx, nodes, 64);
	KT_CHECK(n >= 1 && n <= 64);
	KT_EQ(pulse_ctx_nodes(ctx, NULL, 0), n);
	want = pulse__align_up(sizeof(struct pulse_nring_hdr) + 64 * 64, page) +
	       pulse__align_up(5000, page);
	for (int i = 0; i < n; i++) {
		unsigned char *mem, sum = 0;
		void *p;

		KT_REQUIRE(pulse_ctx_nring(ctx, nodes[i], &p, &bytes) == 0);
		KT_EQ(bytes, want);
		mem = p;
		for (size_t k = 0; k < bytes; k++)
			sum |= mem[k];
		KT_EQ(sum, 0);
		memset(mem, 0xff, bytes);
	}
	KT_EQ(pulse_ctx_nring(ctx, 1000, (void *[]){ NULL }, NULL), -EINVAL);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

KT_TEST(a_thread_is_a_worker_once_in_each_context)
{
	struct pulse_ctx *a = ctx_of(2), *b = ctx_of(2);
	int i, j;

	KT_REQUIRE(a && b);
	i = pulse_worker_register(a, -1, 7);
	j = pulse_worker_register(b, 0, 8);
	KT_CHECK(i >= 0 && i < 2 && j >= 0 && j < 2);
	KT_EQ(pulse_worker_register(a, -1, 7), -EEXIST);
	KT_EQ(pulse_worker_register(b, -1, 7), -EEXIST);
	KT_EQ(pulse_ctx_destroy(a), -EBUSY);
	KT_EQ(pulse_worker_unregister(a, !i), -ESRCH);
	KT_EQ(pulse_worker_unregister(a, i), 0);
	KT_EQ(pulse_worker_unregister(a, i), -ESRCH);
	KT_EQ(pulse_ctx_destroy(a), 0);
	KT_EQ(pulse_worker_unregister(b, j), 0);
	KT_EQ(pulse_ctx_destroy(b), 0);
}

KT_TEST(a_home_node_that_does_not_exist_is_refused)
{
	struct pulse_ctx *ctx = ctx_of(2);

	KT_REQUIRE(ctx);
	KT_EQ(pulse_worker_register(ctx, 1000, 0), -EINVAL);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

static void *meddler(void *arg)
{
	struct pulse_ctx *ctx = arg;

	KT_EQ(pulse_worker_park(ctx, 0, 1, NULL, NULL), -EPERM);
	KT_EQ(pulse_worker_unregister(ctx, 0), -EPERM);
	KT_EQ(pulse_worker_register(ctx, -1, 0), -ENOSPC);
	return NULL;
}

KT_TEST(another_threads_worker_is_not_mine)
{
	struct pulse_ctx *ctx = ctx_of(1);
	pthread_t t;

	KT_REQUIRE(ctx);
	KT_EQ(pulse_worker_register(ctx, -1, 0), 0);
	KT_REQUIRE(pthread_create(&t, NULL, meddler, ctx) == 0);
	pthread_join(t, NULL);
	KT_EQ(pulse_worker_unregister(ctx, 0), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

static void *ends_registered(void *arg)
{
	return (void *)(intptr_t)pulse_worker_register(arg, -1, 0);
}

/* P07 */
KT_TEST(a_thread_that_ends_without_unregistering_frees_its_slot)
{
	struct pulse_ctx *ctx = ctx_of(1);
	struct pulse_worker_state st = { .sz = sizeof(st) };
	uint32_t index = 0;
	pthread_t t;

	KT_REQUIRE(ctx);
	for (int round = 0; round < 20; round++) {
		void *got;

		KT_REQUIRE(pthread_create(&t, NULL, ends_registered, ctx) == 0);
		pthread_join(t, &got);
		KT_EQ((intptr_t)got, 0);
		KT_EQ(pulse_worker_wake(ctx, &index, 1), -ESRCH);
		KT_EQ(pulse_worker_state(ctx, 0, &st), -ESRCH);
	}
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

/* The sanitizers' runtimes do not survive such a thread themselves. */
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
static void *exits_by_system_call(void *arg)
{
	pulse_worker_register(arg, -1, 0);
	syscall(SYS_exit, 0);
	return NULL;
}

KT_TEST(a_thread_that_ends_by_a_bare_system_call_is_found)
{
	struct pulse_ctx *ctx = ctx_of(2);
	pthread_t t;

	KT_REQUIRE(ctx);
	for (int round = 0; round < 6; round++) {
		KT_REQUIRE(pthread_create(&t, NULL, exits_by_system_call,
					  ctx) == 0);
		pthread_join(t, NULL);
	}
	/* It can be joined a moment before the kernel is done with it. */
	KT_CHECK(EVENTUALLY(pulse_ctx_destroy(ctx) != -EBUSY));
}
#endif

KT_TEST(indices_that_name_nobody_are_esrch)
{
	struct pulse_ctx *ctx = ctx_of(4);
	uint32_t nobody[] = { 0, 3, 4, 4096, UINT32_MAX };
	uint32_t some[] = { 77, 0 };

	KT_REQUIRE(ctx);
	KT_EQ(pulse_worker_wake(ctx, nobody, 5), -ESRCH);
	some[1] = (uint32_t)pulse_worker_register(ctx, -1, 0);
	KT_EQ(pulse_worker_wake(ctx, some, 2), 0);
	KT_EQ(pulse_worker_unregister(ctx, (int)some[1]), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

struct crowd {
	struct pulse_ctx *ctx;
	pthread_barrier_t all;
	int seen[256];
	int full;
};

static void *crowd_main(void *arg)
{
	struct crowd *c = arg;
	int i = pulse_worker_register(c->ctx, -1, 0);

	if (i >= 0)
		__atomic_fetch_add(&c->seen[i], 1, __ATOMIC_RELAXED);
	else if (i == -ENOSPC)
		__atomic_fetch_add(&c->full, 1, __ATOMIC_RELAXED);
	pthread_barrier_wait(&c->all);
	if (i >= 0)
		KT_EQ(pulse_worker_unregister(c->ctx, i), 0);
	return NULL;
}

KT_TEST(indices_are_given_out_once_until_there_are_no_more)
{
	enum { THREADS = 48, SLOTS = 40 };
	static struct crowd c;
	pthread_t t[THREADS];

	memset(&c, 0, sizeof(c));
	c.ctx = ctx_of(SLOTS);
	KT_REQUIRE(c.ctx);
	pthread_barrier_init(&c.all, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		KT_REQUIRE(pthread_create(&t[i], NULL, crowd_main, &c) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < SLOTS; i++)
		KT_EQ(c.seen[i], 1);
	KT_EQ(c.full, THREADS - SLOTS);
	pthread_barrier_destroy(&c.all);
	KT_EQ(pulse_ctx_destroy(c.ctx), 0);
}

KT_TEST(the_state_of_a_worker_is_told)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };
	struct sleeper s = { .node = -1 };
	struct pulse_ctx *ctx = ctx_of(2);
	uint32_t index;
	int me;

	KT_REQUIRE(ctx);
	me = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(me >= 0);
	KT_EQ(pulse_worker_state(ctx, me, &st), 0);
	KT_EQ(st.state, PULSE_STATE_RUNNING);
	KT_EQ(st.tid, syscall(SYS_gettid));
	KT_EQ(st.n_park, 0);

	KT_REQUIRE(sleeper_start(&s, ctx));
	KT_CHECK(sleeper_parked(&s));
	index = (uint32_t)s.index;
	for (int i = 0; i < 10; i++) {
		KT_EQ(pulse_worker_wake(ctx, &index, 1), 1);
		KT_CHECK(EVENTUALLY(__atomic_load_n(&s.returns,
						    __ATOMIC_SEQ_CST) > i));
		KT_CHECK(sleeper_parked(&s));
	}
	KT_EQ(pulse_worker_state(ctx, s.index, &st), 0);
	KT_CHECKF(st.n_park >= 10, "n_park %llu",
		  (unsigned long long)st.n_park);
	KT_CHECKF(st.n_block >= 10, "n_block %llu",
		  (unsigned long long)st.n_block);
	sleeper_end(&s);
	KT_EQ(pulse_worker_state(ctx, (int)index, &st), -ESRCH);
	KT_EQ(pulse_worker_unregister(ctx, me), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

static struct pulse_ctx *inherited;
static int inherited_index;

static int child_of_a_worker(void *arg)
{
	struct pulse_worker_state st = { .sz = sizeof(st) };
	struct pulse_ctx *ctx = inherited, *own;
	uint32_t index = (uint32_t)inherited_index;
	int i = inherited_index, nodes[4], bad = 0;
	void *mem;

	(void)arg;
	bad += pulse_worker_park(ctx, i, 1, NULL, NULL) != -EOWNERDEAD;
	bad += pulse_worker_wake(ctx, &index, 1) != -EOWNERDEAD;
	bad += pulse_worker_wake_node(ctx, 0, 1, true) != -EOWNERDEAD;
	bad += pulse_worker_state(ctx, i, &st) != -EOWNERDEAD;
	bad += pulse_worker_register(ctx, -1, 0) != -EOWNERDEAD;
	bad += pulse_worker_unregister(ctx, i) != -EOWNERDEAD;
	bad += pulse_ctx_fd(ctx) != -EOWNERDEAD;
	bad += pulse_ctx_nodes(ctx, nodes, 4) != -EOWNERDEAD;
	bad += pulse_ctx_nring(ctx, 0, &mem, NULL) != -EOWNERDEAD;
	bad += pulse_ctx_destroy(ctx) != -EOWNERDEAD;
	/* And the child may begin anew. */
	bad += pulse_ctx_create(NULL, &own) != 0;
	i = pulse_worker_register(own, -1, 0);
	bad += i < 0;
	bad += pulse_worker_park(own, i, 1, NULL, NULL) != -ETIMEDOUT;
	bad += pulse_worker_unregister(own, i) != 0;
	bad += pulse_ctx_destroy(own) != 0;
	return bad;
}

/* U09, M10 */
KT_TEST(a_forked_child_gets_eownerdead_and_can_begin_anew)
{
	struct sleeper s = { .node = -1 };

	inherited = ctx_of(4);
	KT_REQUIRE(inherited);
	inherited_index = pulse_worker_register(inherited, -1, 0);
	KT_CHECK(inherited_index >= 0);
	KT_EQ(in_child(child_of_a_worker, NULL), 0);
	/* The parent's context is none the worse for it. */
	KT_REQUIRE(sleeper_start(&s, inherited));
	KT_CHECK(sleeper_parked(&s));
	sleeper_end(&s);
	KT_EQ(pulse_worker_unregister(inherited, inherited_index), 0);
	KT_EQ(pulse_ctx_destroy(inherited), 0);
}

KT_TEST(descriptors_are_not_inherited_by_exec)
{
	struct pulse_ctx *ctx = ctx_of(1);
	char cmd[64];

	KT_REQUIRE(ctx);
	snprintf(cmd, sizeof(cmd), "test ! -e /proc/self/fd/%d",
		 pulse_ctx_fd(ctx));
	KT_EQ(system(cmd), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

KT_TEST(states_have_names)
{
	KT_STREQ(pulse_state_name(PULSE_STATE_FREE), "free");
	KT_STREQ(pulse_state_name(PULSE_STATE_PARKED), "parked");
	KT_STREQ(pulse_state_name(PULSE_STATE_DEAD), "dead");
	KT_STREQ(pulse_state_name(PULSE_STATE_DEAD + 1), "unknown");
	KT_STREQ(pulse_state_name(UINT32_MAX), "unknown");
}

#ifdef PULSE_DEBUG
static int destroys_twice(void *arg)
{
	struct pulse_ctx *ctx;

	(void)arg;
	if (!freopen("/dev/null", "w", stderr))
		return 0;
	ctx = ctx_of(1);
	pulse_ctx_destroy(ctx);
	pulse_ctx_destroy(ctx);
	return 0;
}

/* U03 */
KT_TEST(a_second_destroy_aborts_a_debug_build)
{
	KT_CHECK(in_child(destroys_twice, NULL) != 0);
}
#endif

KT_MAIN()
