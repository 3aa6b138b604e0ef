// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring between processes: an honest peer loses nothing, a hostile one can
 * make this ring say -EPROTO and nothing worse.
 */
#include <linux/pulse.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <pulse-u/ring.h>

#include "ring_noise.h"

#define N 8U

/* A ring between two pages that fault, so that no access goes astray unseen. */
struct arena {
	unsigned char *map;
	size_t map_bytes;
	size_t bytes;			/* of the ring, to its last entry */
	struct pulse_nring_hdr *hdr;
	struct pulse_nring_entry *entry;
	struct pulse_ring *ring;
};

static bool arena_open(struct arena *a, uint32_t entries)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room;

	memset(a, 0, sizeof(*a));
	a->bytes = sizeof(*a->hdr) + entries * sizeof(*a->entry);
	room = pulse__align_up(a->bytes, page);
	a->map_bytes = room + 2 * page;
	a->map = mmap(NULL, a->map_bytes, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!KT_CHECK(a->map != MAP_FAILED))
		return false;
	mprotect(a->map, page, PROT_NONE);
	mprotect(a->map + page + room, page, PROT_NONE);
	/* Ends where the forbidden page begins, to 64 bytes. */
	a->hdr = (void *)(a->map + page + room - a->bytes);
	a->entry = (void *)(a->hdr + 1);
	KT_EQ(pulse_ring_attach(a->hdr, a->bytes, entries, &a->ring), 0);
	return a->ring != NULL;
}

static void arena_close(struct arena *a)
{
	pulse_ring_destroy(a->ring);
	munmap(a->map, a->map_bytes);
}

static int push(struct arena *a, uint64_t value)
{
	return pulse_ring_push(a->ring, &value, sizeof(value));
}

static int pop(struct arena *a, uint64_t *value)
{
	uint64_t elem[PULSE_RING_ELEM_MAX / 8];
	int err = pulse_ring_pop(a->ring, elem, NULL);

	*value = err ? 0 : elem[0];
	return err;
}

KT_TEST(only_memory_that_is_large_enough_is_taken)
{
	static uint64_t mem[4096 / 8] __attribute__((aligned(128)));
	size_t need = sizeof(struct pulse_nring_hdr) +
		      N * sizeof(struct pulse_nring_entry);
	struct pulse_ring *r;

	KT_EQ(pulse_ring_attach(NULL, 4096, N, &r), -EINVAL);
	KT_EQ(pulse_ring_attach(mem, 4096, N, NULL), -EINVAL);
	KT_EQ(pulse_ring_attach(mem, need - 1, N, &r), -EINVAL);
	KT_EQ(pulse_ring_attach(mem, 0, N, &r), -EINVAL);
	KT_EQ(pulse_ring_attach(mem + 1, need, N, &r), -EINVAL);
	KT_EQ(pulse_ring_attach(mem, need, 0, &r), -EINVAL);
	KT_EQ(pulse_ring_attach(mem, need, 6, &r), -EINVAL);
	KT_EQ(pulse_ring_attach(mem, SIZE_MAX, 1U << 31, &r), -EINVAL);
	KT_EQ(pulse_ring_attach(mem, need, UINT32_MAX, &r), -EINVAL);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_ring_attach(mem, need, N, &r), -ENOMEM);
	pulse__alloc_fail_at(0);
	KT_EQ(pulse_ring_attach(mem, need, N, &r), 0);
	KT_EQ(pulse_ring_elem_bytes(r), PULSE_RING_ELEM_MAX);
	KT_EQ(pulse_ring_destroy(r), 0);
}

KT_TEST(zeroed_memory_is_an_empty_ring_for_all_who_attach)
{
	struct pulse_ring *other;
	uint64_t value;
	struct arena a;

	KT_REQUIRE(arena_open(&a, N));
	KT_EQ(pulse_ring_attach(a.hdr, a.bytes, N, &other), 0);
	KT_EQ(pop(&a, &value), -EAGAIN);
	value = 42;
	KT_EQ(pulse_ring_push(other, &value, 8), 0);
	KT_EQ(a.entry[0].turn, 1);
	KT_EQ(pop(&a, &value), 0);
	KT_EQ(value, 42);
	KT_EQ(a.entry[0].turn, 2);
	KT_EQ(pulse_ring_count(other), 0);
	pulse_ring_destroy(other);
	arena_close(&a);
}

/* H01, H02: positions that cannot be. */
KT_TEST(impossible_positions_are_a_protocol_error_of_this_ring)
{
	static const struct {
		uint64_t enq, deq;
	} bad[] = {
		{ N + 1, 0 },			/* more than there is room for */
		{ UINT64_MAX, 0 },
		{ 0, 1 },			/* more taken than given */
		{ 0, UINT64_MAX - N },
		{ 1ULL << 63, 0 },
		{ 0, 1ULL << 63 },
		{ 100, 200 },
	};
	struct arena a, bystander;
	uint64_t value;

	KT_REQUIRE(arena_open(&bystander, N));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		KT_REQUIRE(arena_open(&a, N));
		a.hdr->enqueue = bad[i].enq;
		a.hdr->dequeue = bad[i].deq;
		KT_EQ(pop(&a, &value), -EPROTO);
		KT_EQ(pulse_ring_errors(a.ring), 1);
		/* Where only the other side lies, a push finds its entry ready. */
		KT_EQ(push(&a, 1), bad[i].enq ? -EPROTO : 0);
		KT_CHECK(pulse_ring_count(a.ring) <= N);
		KT_EQ(push(&bystander, i), 0);
		KT_EQ(pop(&bystander, &value), 0);
		KT_EQ(value, i);
		arena_close(&a);
	}
	KT_EQ(pulse_ring_errors(bystander.ring), 0);
	arena_close(&bystander);
}

/* H02 */
KT_TEST(positions_that_went_back_are_a_protocol_error)
{
	uint64_t value;
	struct arena a;

	KT_REQUIRE(arena_open(&a, N));
	for (unsigned int i = 0; i < 3 * N; i++) {
		KT_EQ(push(&a, i), 0);
		KT_EQ(pop(&a, &value), 0);
	}
	KT_EQ(push(&a, 1), 0);
	a.hdr->dequeue--;
	KT_EQ(pop(&a, &value), -EPROTO);
	a.hdr->dequeue++;
	a.hdr->enqueue--;
	KT_EQ(push(&a, 2), -EPROTO);
	a.hdr->enqueue++;
	KT_EQ(pop(&a, &value), 0);
	KT_EQ(value, 1);
	KT_EQ(pulse_ring_errors(a.ring), 2);
	arena_close(&a);
}

/* H04 for what there is to interpret in an entry: its turn. */
KT_TEST(impossible_turns_are_a_protocol_error)
{
	static const uint64_t turns[] = { 2, 3, 17, UINT64_MAX - 3, 1ULL << 63 };
	uint64_t value;
	struct arena a;

	for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
		KT_REQUIRE(arena_open(&a, N));
		a.entry[0].turn = turns[i];
		KT_EQ(push(&a, 1), -EPROTO);
		KT_EQ(pop(&a, &value), -EPROTO);
		KT_EQ(pulse_ring_errors(a.ring), 2);
		arena_close(&a);
	}
}

/* A peer that stopped in the middle, honest but dead: never a wait. */
KT_TEST(a_peer_stopped_in_the_middle_is_not_waited_for)
{
	uint64_t value;
	struct arena a;

	KT_REQUIRE(arena_open(&a, N));
	a.hdr->enqueue = 1;			/* claimed, never published */
	KT_EQ(push(&a, 7), 0);
	KT_EQ(pop(&a, &value), -EAGAIN);
	for (unsigned int i = 2; i < N; i++)
		KT_EQ(push(&a, i), 0);
	KT_EQ(push(&a, 9), -EAGAIN);
	a.entry[0].turn = 1;			/* it wakes up */
	KT_EQ(pop(&a, &value), 0);
	KT_EQ(pop(&a, &value), 0);
	KT_EQ(value, 7);
	a.hdr->dequeue++;			/* claimed, never freed */
	while (!push(&a, 1))
		;
	KT_EQ(push(&a, 1), -EAGAIN);
	KT_EQ(pulse_ring_errors(a.ring), 0);
	arena_close(&a);
}

/* H05: size and mask are the handle's own; all of the memory is noise. */
KT_TEST(noise_in_every_word_never_leads_outside)
{
	uint64_t random = 88172645463325252ULL, value, proto = 0;
	uint64_t rounds = scaled(200000);
	struct arena a;

	KT_REQUIRE(arena_open(&a, N));
	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t *words = (uint64_t *)a.hdr;
		int err;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		/* Wild values, and ones that are nearly right. */
		words[(random >> 8) % (a.bytes / 8)] =
			random & 1 ? random : (random >> 40) % 64;
		err = random & 2 ? push(&a, i) : pop(&a, &value);
		if (err != 0 && err != -EAGAIN && err != -EPROTO) {
			KT_FAIL("answered %d", err);
			break;
		}
		proto += err == -EPROTO;
	}
	KT_EQ(pulse_ring_errors(a.ring), proto);
	KT_CHECK(proto > 0);
	arena_close(&a);
}

/* H03: words flip between our look and our use; another process does it. */
KT_TEST(words_that_flip_all_the_time_never_hang_or_crash)
{
	uint64_t rounds = scaled(300000);
	struct arena a;
	int status;
	pid_t pid;

	KT_REQUIRE(arena_open(&a, N));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		uint64_t *words = (uint64_t *)a.hdr, random = 1234567;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			WRITE_ONCE(a.hdr->enqueue, random % 3 ? random % 20 :
						   random);
			WRITE_ONCE(a.hdr->dequeue, random % 5 ? random % 17 :
						   ~random);
			WRITE_ONCE(words[(random >> 9) % (a.bytes / 8)],
				   random % 7);
		}
	}
	ring_bears_noise(a.ring, rounds, N);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	kt_note("%llu of %llu calls said -EPROTO",
		(unsigned long long)pulse_ring_errors(a.ring),
		(unsigned long long)rounds);
	arena_close(&a);
}

/* Two processes on each side, a checksum over what they told each other. */
static void tell(struct arena *a, uint64_t from, uint64_t to)
{
	unsigned int misses = 0;

	for (uint64_t v = from; v < to; v++) {
		int err;

		while ((err = push(a, v)) == -EAGAIN)
			give_way(&misses);
		if (err)
			_exit(1);
	}
}

KT_TEST(two_processes_lose_nothing_on_the_way)
{
	uint64_t each = scaled(200000), value;
	struct checksum want = { 0 }, got = { 0 };
	uint64_t last[2] = { 0, each };
	unsigned int misses = 0;
	struct arena a;
	pid_t pid[2];

	KT_REQUIRE(arena_open(&a, 64));
	fflush(stdout);
	for (unsigned int p = 0; p < 2; p++) {
		pid[p] = fork();
		if (!pid[p]) {
			struct arena mine = a;

			/* The handle is the parent's; the memory is shared. */
			if (push(&a, 1) != -EOWNERDEAD ||
			    pulse_ring_attach(a.hdr, a.bytes, 64, &mine.ring))
				_exit(2);
			tell(&mine, p * each + 1, (p + 1) * each + 1);
			_exit(0);
		}
	}
	for (uint64_t v = 1; v <= 2 * each; v++)
		checksum_add(&want, v);
	while (got.nr < want.nr) {
		int err = pop(&a, &value), from = value > each;

		if (err == -EAGAIN) {
			give_way(&misses);
			continue;
		}
		if (!KT_CHECKF(!err, "pop: %d", err))
			break;
		if (value <= last[from]) {
			KT_FAIL("out of order");
			break;
		}
		last[from] = value;
		checksum_add(&got, value);
	}
	for (int p = 0; p < 2; p++) {
		int status = -1;

		waitpid(pid[p], &status, 0);
		KT_CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	}
	checksum_equal(&got, &want);
	KT_EQ(pulse_ring_errors(a.ring), 0);
	arena_close(&a);
}

KT_MAIN()
