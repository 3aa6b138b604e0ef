// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring with PULSE_RING_NO_STALL: who is stopped or killed in the middle of a
 * push or a pop holds up nobody.
 */
#include <linux/pulse.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <pulse-u/ring.h>

#include "ring_noise.h"

#define N	 8U
#define PUSHERS	 2
#define POPPERS	 2

static const struct pulse_ring_opts words = {
	.sz = sizeof(words), .entries = N, .flags = PULSE_RING_NO_STALL,
};

/* A ring in shared memory, whose words the test may write. */
struct arena {
	struct pulse_nring_hdr *hdr;
	struct pulse_nring_entry *entry;
	size_t bytes;
	struct pulse_ring *ring;
};

#define NEEDS_WORDS()							\
	do {								\
		struct pulse_ring *ring_;				\
		int err_ = pulse_ring_create(&words, &ring_);		\
									\
		if (err_ == -EOPNOTSUPP)				\
			KT_SKIP("this CPU has no exchange of 16 bytes");\
		KT_EQ(err_, 0);						\
		pulse_ring_destroy(ring_);				\
	} while (0)

static bool arena_open(struct arena *a, uint32_t overflow)
{
	struct pulse_ring_opts opts = words;

	memset(a, 0, sizeof(*a));
	opts.overflow = overflow;
	a->bytes = sizeof(*a->hdr) + N * sizeof(*a->entry);
	a->hdr = mmap(NULL, a->bytes, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!KT_CHECK(a->hdr != MAP_FAILED))
		return false;
	a->entry = (void *)(a->hdr + 1);
	KT_EQ(pulse_ring_attach_opts(a->hdr, a->bytes, &opts, &a->ring), 0);
	return a->ring != NULL;
}

static void arena_close(struct arena *a)
{
	pulse_ring_destroy(a->ring);
	munmap(a->hdr, a->bytes);
}

static int push(struct pulse_ring *r, uint64_t value)
{
	return pulse_ring_push(r, &value, sizeof(value));
}

static int pop(struct pulse_ring *r, uint64_t *value)
{
	return pulse_ring_pop(r, value, NULL);
}

KT_TEST(what_cannot_be_with_it_is_refused)
{
	struct pulse_ring_opts opts = words;
	struct pulse_ring_span span;
	struct pulse_ring *r;
	struct arena a;

	NEEDS_WORDS();
	opts.elem_bytes = 9;
	KT_EQ(pulse_ring_create(&opts, &r), -EINVAL);
	KT_CHECK(r == NULL);
	KT_REQUIRE(arena_open(&a, PULSE_RING_ERROR));
	opts = words;
	KT_EQ(pulse_ring_attach_opts(NULL, a.bytes, &opts, &r), -EINVAL);
	KT_EQ(pulse_ring_attach_opts(a.hdr, a.bytes, &opts, NULL), -EINVAL);
	KT_EQ(pulse_ring_attach_opts(a.hdr, a.bytes - 1, &opts, &r), -EINVAL);
	opts.start = 1;
	KT_EQ(pulse_ring_attach_opts(a.hdr, a.bytes, &opts, &r), -EINVAL);
	opts = words;
	opts.flags |= PULSE_RING_ON_NODE;
	KT_EQ(pulse_ring_attach_opts(a.hdr, a.bytes, &opts, &r), -EINVAL);
	opts = words;
	opts.sz = 1;
	KT_EQ(pulse_ring_attach_opts(a.hdr, a.bytes, &opts, &r), -EINVAL);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_ring_attach_opts(a.hdr, a.bytes, &words, &r), -ENOMEM);
	pulse__alloc_fail_at(0);
	/* A place that is reserved is a place that can be stopped with. */
	KT_EQ(pulse_ring_reserve(a.ring, 1, &span), -EOPNOTSUPP);
	KT_EQ(span.nr, 0);
	arena_close(&a);
}

/* H09, U10 */
KT_TEST(words_come_out_in_order_wherever_positions_start)
{
	static const uint64_t starts[] = {
		0, 1, 7, (1ULL << 32) - 9, UINT64_MAX - 8, UINT64_MAX,
		(1ULL << 63) - 5,
	};

	NEEDS_WORDS();
	for (size_t s = 0; s < ARRAY_SIZE(starts); s++) {
		for (uint32_t entries = 2; entries <= 16; entries *= 2) {
			struct pulse_ring_opts opts = words;
			uint64_t in = 0, out = 0, elem;
			struct pulse_ring *r;

			opts.entries = entries;
			opts.start = starts[s];
			KT_EQ(pulse_ring_create(&opts, &r), 0);
			KT_REQUIRE(r != NULL);
			for (int round = 0; round < 50; round++) {
				for (uint32_t i = 0; i < entries; i++)
					KT_EQ(push(r, ++in), 0);
				KT_EQ(push(r, 1), -EAGAIN);
				KT_EQ(pulse_ring_count(r), entries);
				for (uint32_t i = 0; i < entries; i++) {
					KT_EQ(pop(r, &elem), 0);
					KT_EQ(elem, ++out);
				}
				KT_EQ(pop(r, &elem), -EAGAIN);
				KT_EQ(pulse_ring_count(r), 0);
			}
			KT_EQ(pulse_ring_errors(r), 0);
			pulse_ring_destroy(r);
		}
	}
}

KT_TEST(short_words_batches_and_drops_are_as_in_other_rings)
{
	struct pulse_ring_opts opts = words;
	uint16_t in[12], out[12];
	struct pulse_ring *r;

	NEEDS_WORDS();
	opts.elem_bytes = 2;
	for (uint16_t i = 0; i < 12; i++)
		in[i] = (uint16_t)(i * 0x1234);
	KT_EQ(pulse_ring_create(&opts, &r), 0);
	KT_REQUIRE(r != NULL);
	KT_EQ(pulse_ring_pop_n(r, out, 12), -EAGAIN);
	KT_EQ(pulse_ring_push_n(r, in, 5), 5);
	KT_EQ(pulse_ring_push_n(r, in + 5, 7), 3);
	KT_EQ(pulse_ring_push_n(r, in, 1), -EAGAIN);
	KT_EQ(pulse_ring_push(r, in, 3), -EMSGSIZE);
	KT_EQ(pulse_ring_pop_n(r, out, UINT32_MAX), 8);
	KT_EQ(memcmp(in, out, 16), 0);
	KT_EQ(pulse_ring_push(r, "a", 1), 0);
	KT_EQ(pulse_ring_pop(r, out, NULL), 0);
	KT_EQ(memcmp(out, "a", 2), 0);
	pulse_ring_destroy(r);

	for (int old = 0; old < 2; old++) {
		opts.overflow = old ? PULSE_RING_DROP_OLD : PULSE_RING_DROP_NEW;
		KT_EQ(pulse_ring_create(&opts, &r), 0);
		KT_REQUIRE(r != NULL);
		for (int i = 0; i < 12; i++)
			KT_EQ(pulse_ring_push(r, &in[i], 2), 0);
		KT_EQ(pulse_ring_dropped(r), 4);
		KT_EQ(pulse_ring_pop_n(r, out, 12), 8);
		KT_EQ(memcmp(in + (old ? 4 : 0), out, 16), 0);
		KT_EQ(pulse_ring_errors(r), 0);
		pulse_ring_destroy(r);
	}
}

/* What a push and a pop leave that are stopped between their two exchanges. */
KT_TEST(one_stopped_after_its_exchange_is_helped)
{
	uint64_t value;
	struct arena a;

	NEEDS_WORDS();
	for (int lap = 0; lap < 3; lap++) {
		KT_REQUIRE(arena_open(&a, PULSE_RING_ERROR));
		for (uint64_t i = 0; i < N * (unsigned int)lap; i++) {
			KT_EQ(push(a.ring, i), 0);
			KT_EQ(pop(a.ring, &value), 0);
		}
		/* The push is in, its position is not moved: it comes out. */
		KT_EQ(push(a.ring, 11), 0);
		a.hdr->enqueue--;
		KT_EQ(pop(a.ring, &value), 0);
		KT_EQ(value, 11);
		KT_EQ(pop(a.ring, &value), -EAGAIN);
		KT_EQ(pulse_ring_count(a.ring), 0);
		KT_EQ(push(a.ring, 12), 0);
		a.hdr->enqueue--;
		for (uint64_t i = 1; i < N; i++)
			KT_EQ(push(a.ring, 12 + i), 0);
		KT_EQ(push(a.ring, 99), -EAGAIN);
		/* The same of a pop: the next one, and a push into its place. */
		KT_EQ(pop(a.ring, &value), 0);
		KT_EQ(value, 12);
		a.hdr->dequeue--;
		KT_EQ(push(a.ring, 12 + N), 0);
		KT_EQ(push(a.ring, 99), -EAGAIN);
		KT_CHECK(pulse_ring_count(a.ring) <= N);
		for (uint64_t i = 1; i <= N; i++) {
			KT_EQ(pop(a.ring, &value), 0);
			KT_EQ(value, 12 + i);
		}
		KT_EQ(pop(a.ring, &value), -EAGAIN);
		KT_EQ(a.hdr->enqueue, a.hdr->dequeue);
		KT_EQ(pulse_ring_errors(a.ring), 0);
		arena_close(&a);
	}
}

/* H01, H02, H04 */
KT_TEST(words_that_cannot_be_are_a_protocol_error)
{
	static const uint64_t turns[] = { 3, 17, UINT64_MAX - 3, 1ULL << 63 };
	uint64_t value;
	struct arena a;

	NEEDS_WORDS();
	for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
		KT_REQUIRE(arena_open(&a, PULSE_RING_ERROR));
		a.entry[0].turn = turns[i];
		KT_EQ(push(a.ring, 1), -EPROTO);
		if (turns[i] != 3)	/* to a pop: two behind its position */
			KT_EQ(pop(a.ring, &value), -EPROTO);
		KT_CHECK(pulse_ring_errors(a.ring) > 0);
		arena_close(&a);
	}
	KT_REQUIRE(arena_open(&a, PULSE_RING_ERROR));
	a.hdr->enqueue = 2;			/* one may lag by one, and that is all */
	a.hdr->dequeue = 4;
	KT_EQ(pop(a.ring, &value), -EPROTO);
	a.hdr->enqueue = N + 6;
	KT_EQ(pop(a.ring, &value), -EPROTO);
	arena_close(&a);
}

/* H03, H05: the other process writes anything anywhere, all the time. */
KT_TEST(noise_in_every_word_neither_hangs_nor_leads_outside)
{
	uint64_t rounds = scaled(200000);
	struct arena a;
	int status;
	pid_t pid;

	NEEDS_WORDS();
	KT_REQUIRE(arena_open(&a, PULSE_RING_DROP_OLD));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		uint64_t *word = (uint64_t *)a.hdr, random = 1234567;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			WRITE_ONCE(word[(random >> 9) % (a.bytes / 8)],
				   random & 1 ? random : (random >> 40) % 32);
		}
	}
	ring_bears_noise(a.ring, rounds, N);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	arena_close(&a);
}

/* ---- threads ----------------------------------------------------------- */

struct side {
	struct pulse_ring *ring;
	uint64_t *popped;		/* by all; atomic */
	uint64_t who, nr, all;
	struct checksum sum;
	bool disorder;
	pthread_t thread;
};

static void *pusher(void *arg)
{
	struct side *s = arg;
	unsigned int misses = 0;

	for (uint64_t i = 1; i <= s->nr; i++) {
		uint64_t value = i * PUSHERS + s->who;

		while (push(s->ring, value))
			give_way(&misses);
		checksum_add(&s->sum, value);
	}
	return NULL;
}

static void *popper(void *arg)
{
	uint64_t last[PUSHERS] = { 0 }, value;
	struct side *s = arg;
	unsigned int misses = 0;

	while (__atomic_load_n(s->popped, __ATOMIC_RELAXED) < s->all) {
		if (pop(s->ring, &value)) {
			give_way(&misses);
			continue;
		}
		pulse__add_relaxed(s->popped, 1);
		s->disorder |= value <= last[value % PUSHERS];
		last[value % PUSHERS] = value;
		checksum_add(&s->sum, value);
	}
	return NULL;
}

KT_TEST(two_pushers_two_poppers_lose_nothing)
{
	uint64_t each = scaled(20000), popped = 0;
	struct pulse_ring_opts opts = words;
	struct side in[PUSHERS], out[POPPERS];
	struct checksum want = { 0 }, got = { 0 };
	struct pulse_ring *r;

	NEEDS_WORDS();
	opts.entries = 256;
	KT_EQ(pulse_ring_create(&opts, &r), 0);
	KT_REQUIRE(r != NULL);
	memset(in, 0, sizeof(in));
	memset(out, 0, sizeof(out));
	for (unsigned int i = 0; i < POPPERS; i++) {
		out[i].ring = r;
		out[i].popped = &popped;
		out[i].all = PUSHERS * each;
		KT_EQ(pthread_create(&out[i].thread, NULL, popper, &out[i]), 0);
	}
	for (unsigned int i = 0; i < PUSHERS; i++) {
		in[i].ring = r;
		in[i].who = i;
		in[i].nr = each;
		KT_EQ(pthread_create(&in[i].thread, NULL, pusher, &in[i]), 0);
	}
	for (unsigned int i = 0; i < PUSHERS; i++) {
		pthread_join(in[i].thread, NULL);
		checksum_merge(&want, &in[i].sum);
	}
	for (unsigned int i = 0; i < POPPERS; i++) {
		pthread_join(out[i].thread, NULL);
		checksum_merge(&got, &out[i].sum);
		KT_CHECK(!out[i].disorder);
	}
	checksum_equal(&got, &want);
	KT_EQ(pulse_ring_errors(r), 0);
	pulse_ring_destroy(r);
}

/* ---- processes that are killed ----------------------------------------- */

/* Pushes, and takes what others pushed where there is no room. */
static void peer(struct arena *a)
{
	struct arena mine = *a;
	unsigned int misses = 0;
	uint64_t value;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (pulse_ring_attach_opts(a->hdr, a->bytes, &words, &mine.ring))
		_exit(1);
	for (uint64_t i = 1;; i++) {
		while (push(mine.ring, i) == -EAGAIN) {
			if (pop(mine.ring, &value) == -EPROTO)
				_exit(2);
			give_way(&misses);
		}
	}
}

/* Others push @nr elements more. */
static void see_pushed(struct arena *a, uint64_t nr)
{
	uint64_t from = READ_ONCE(a->hdr->enqueue);
	unsigned int misses = 0;

	while (READ_ONCE(a->hdr->enqueue) - from < nr)
		give_way(&misses);
}

KT_TEST(peers_that_are_killed_anywhere_hold_up_nobody)
{
	unsigned int rounds = (unsigned int)kt_scale(8);
	struct arena a;

	NEEDS_WORDS();
	KT_REQUIRE(arena_open(&a, PULSE_RING_ERROR));
	fflush(stdout);
	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t value = 0;
		pid_t pid[2];
		int status;

		for (unsigned int p = 0; p < 2; p++) {
			pid[p] = fork();
			if (!pid[p])
				peer(&a);
			KT_REQUIRE(pid[p] > 0);
		}
		/* Wherever the first is, the other goes on when it is killed... */
		see_pushed(&a, 1 + i * 7 % 100);
		kill(pid[0], SIGKILL);
		waitpid(pid[0], &status, 0);
		KT_CHECK(WIFSIGNALED(status));
		see_pushed(&a, 2 * N);
		kill(pid[1], SIGKILL);
		waitpid(pid[1], &status, 0);
		KT_CHECK(WIFSIGNALED(status));
		/* ... and without either the ring has its whole size. */
		while (!pop(a.ring, &value))
			;
		for (uint64_t n = 0; n < N; n++)
			KT_EQ(push(a.ring, n), 0);
		KT_EQ(push(a.ring, N), -EAGAIN);
		for (uint64_t n = 0; n < N; n++) {
			KT_EQ(pop(a.ring, &value), 0);
			KT_EQ(value, n);
		}
		KT_EQ(pop(a.ring, &value), -EAGAIN);
	}
	KT_EQ(pulse_ring_errors(a.ring), 0);
	arena_close(&a);
}

KT_MAIN()
