// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue of lanes between processes: killed anywhere, nothing that was
 * pushed is lost, nothing comes twice, nobody is held up; a hostile peer can
 * make it say -EPROTO and nothing worse.
 */
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <pulse-u/queue.h>

#include "lockfree/queue_int.h"
#include "threads.h"

#define SENDERS 3

/* Shared memory that each process maps where it likes. */
struct arena {
	int fd;
	size_t bytes;
	void *mem;
	struct pulse_queue *q;
};

static void *map(const struct arena *a)
{
	return mmap(NULL, a->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd,
		    0);
}

static bool arena_open(struct arena *a, uint32_t kind, uint32_t overflow,
		       uint32_t entries, uint32_t elem_bytes)
{
	PULSE_OPTS(pulse_queue_opts, opts, .kind = kind, .overflow = overflow,
		   .entries = entries, .elem_bytes = elem_bytes,
		   .lanes = kind == PULSE_QUEUE_SPSC ? 1 : SENDERS);
	a->fd = memfd_create("queue", MFD_CLOEXEC);
	a->bytes = pulse_queue_bytes(&opts);
	if (!KT_CHECK(a->fd >= 0 && a->bytes &&
		      !ftruncate(a->fd, (off_t)a->bytes)))
		return false;
	a->mem = map(a);
	return KT_CHECK(a->mem != MAP_FAILED) &&
	       KT_CHECK(!pulse_queue_format(a->mem, a->bytes, &opts, &a->q));
}

/* In a child: the same queue at another address. */
static void arena_again(struct arena *a)
{
	void *before = a->mem;

	a->mem = map(a);
	if (a->mem == MAP_FAILED || a->mem == before ||
	    pulse_queue_attach(a->mem, a->bytes, &a->q))
		_exit(90);
	munmap(before, a->bytes);
}

static void arena_close(struct arena *a)
{
	KT_EQ(pulse_queue_destroy(a->q), 0);
	munmap(a->mem, a->bytes);
	close(a->fd);
}

static bool ended_well(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	kt_note("child: status %#x", (unsigned int)status);
	return false;
}

/* An element that shows whether it is whole. */
#define WORDS 8
struct message {
	uint64_t nr, sender, life, rest[WORDS - 3];
};

static void fill(struct message *m, uint64_t sender, uint64_t life, uint64_t nr)
{
	m->nr = nr;
	m->sender = sender;
	m->life = life;
	for (int i = 0; i < WORDS - 3; i++)
		m->rest[i] = nr * 31 + sender + life * 7 + (uint64_t)i;
}

static bool whole(const struct message *m)
{
	struct message want;

	fill(&want, m->sender, m->life, m->nr);
	return !memcmp(&want, m, sizeof(want));
}

KT_TEST(only_a_queue_that_fits_is_attached)
{
	struct pulse_queue *q;
	struct arena a;
	struct pulse__queue_shm *shm, good;

	KT_REQUIRE(arena_open(&a, PULSE_QUEUE_MPSC, 0, 16, 24));
	shm = a.mem;
	memcpy(&good, shm, sizeof(good));
	KT_EQ(pulse_queue_attach(a.mem, a.bytes, &q), 0);
	KT_EQ(pulse_queue_elem_bytes(q), 24);
	KT_EQ(pulse_queue_capacity(q), 16);
	pulse_queue_destroy(q);
	KT_EQ(pulse_queue_attach(a.mem, a.bytes - 1, &q), -EPROTO);
	KT_EQ(pulse_queue_attach(a.mem, 8, &q), -EPROTO);
	KT_EQ(pulse_queue_attach((char *)a.mem + 64, a.bytes, &q), -EINVAL);
#define BAD(field, value)						\
	do {								\
		shm->field = (value);					\
		KT_EQ(pulse_queue_attach(a.mem, a.bytes, &q), -EPROTO);	\
		KT_CHECK(q == NULL);					\
		memcpy(shm, &good, sizeof(good));			\
	} while (0)
	BAD(magic, 0);
	BAD(magic, good.magic + 1);
	BAD(kind, 3);
	BAD(kind, PULSE_QUEUE_SPSC);		/* which has one lane */
	BAD(overflow, 4);
	BAD(entries, 0);
	BAD(entries, 15);
	BAD(entries, 32);
	BAD(entries, 1U << 31);
	BAD(elem_bytes, 0);
	BAD(elem_bytes, 25);
	BAD(elem_bytes, UINT32_MAX);
	BAD(lanes, 0);
	BAD(lanes, SENDERS + 1);
	BAD(lanes, UINT32_MAX);
	BAD(block_ns, -1);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_queue_attach(a.mem, a.bytes, &q), -ENOMEM);
	pulse__alloc_fail_at(0);
	arena_close(&a);
}

/* ---- killed anywhere --------------------------------------------------- */

struct tally {
	uint64_t pushed[SENDERS];	/* by the life that is, published */
	uint64_t life[SENDERS];
	uint64_t taken;
};

/*
 * Pushes until it is killed. "pushed" is raised after the push: of what it
 * counts all must come out, and no more than one burst beyond it.
 */
static void send_for_ever(struct arena *a, struct tally *t, unsigned int me,
			  bool in_place)
{
	struct pulse_queue_tx *tx;
	struct message msgs[4];
	uint64_t life = READ_ONCE(t->life[me]), nr = 1;

	arena_again(a);
	if (pulse_queue_tx_open(a->q, &tx))
		_exit(91);
	for (;;) {
		void *room = msgs;
		int n = 3;

		if (in_place)
			n = pulse_queue_reserve(tx, 3, &room);
		for (int i = 0; i < n; i++)
			fill((struct message *)room + i, me, life,
			     nr + (unsigned int)i);
		if (in_place && n > 0)
			pulse_queue_commit(tx, (unsigned int)n);
		else if (!in_place)
			n = pulse_queue_push_n(tx, msgs, 3);
		if (n > 0) {
			nr += (unsigned int)n;
			__atomic_store_n(&t->pushed[me], nr - 1,
					 __ATOMIC_RELEASE);
		} else if (n == -EAGAIN) {
			sched_yield();
		} else {
			_exit(92);
		}
	}
}

struct ledger {
	uint64_t last[SENDERS];		/* of the life it is in */
	uint64_t life[SENDERS];
	uint64_t nr;
};

static bool enter(struct ledger *l, const struct message *m)
{
	if (!whole(m) || m->sender >= SENDERS) {
		KT_FAIL("half an element");
		return false;
	}
	if (m->life != l->life[m->sender]) {
		l->life[m->sender] = m->life;
		l->last[m->sender] = 0;
	}
	if (m->nr != l->last[m->sender] + 1) {
		KT_FAIL("sender %llu: %llu after %llu",
			(unsigned long long)m->sender, (unsigned long long)m->nr,
			(unsigned long long)l->last[m->sender]);
		return false;
	}
	l->last[m->sender] = m->nr;
	l->nr++;
	return true;
}

static void kill_senders(uint32_t kind, bool in_place)
{
	int nr = kind == PULSE_QUEUE_SPSC ? 1 : SENDERS, status;
	long kills = (long)scaled(30);
	struct pulse_queue_stats s = { .sz = sizeof(s) };
	uint64_t random = 88172645463325252ULL;
	struct ledger ledger = { .nr = 0 };
	struct pulse_queue_rx *rx;
	struct message msgs[8];
	pid_t pid[SENDERS];
	struct tally *t;
	struct arena a;

	KT_REQUIRE(arena_open(&a, kind, 0, 64, sizeof(struct message)));
	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	KT_REQUIRE(t != MAP_FAILED);
	KT_REQUIRE(!pulse_queue_rx_open(a.q, &rx));
	fflush(stdout);
	for (int i = 0; i < nr; i++) {
		pid[i] = fork();
		if (!pid[i])
			send_for_ever(&a, t, (unsigned int)i, in_place);
	}
	for (long k = 0; k < kills; k++) {
		int victim = (int)(k % nr);
		uint64_t before, pushed, others = ledger.nr;
		int n;

		/* Let it get somewhere, a random number of elements far. */
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		before = ledger.last[victim] + 1 + random % 300;
		while (ledger.life[victim] != t->life[victim] ||
		       ledger.last[victim] < before) {
			n = pulse_queue_pop_n(rx, msgs, 8);
			if (n < 0 && !KT_CHECKF(n == -EAGAIN, "pop: %d", n))
				goto out;
			for (int i = 0; i < n; i++) {
				if (!enter(&ledger, &msgs[i]))
					goto out;
			}
		}
		kill(pid[victim], SIGKILL);
		waitpid(pid[victim], &status, 0);
		KT_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		pushed = __atomic_load_n(&t->pushed[victim], __ATOMIC_ACQUIRE);
		/* All that it pushed comes out, and the others go on. */
		for (others = ledger.nr; ledger.last[victim] < pushed ||
		     (nr > 1 && ledger.nr < others + 200);) {
			n = pulse_queue_pop_n(rx, msgs, 8);
			if (n < 0 && !KT_CHECKF(n == -EAGAIN, "pop: %d", n))
				goto out;
			for (int i = 0; i < n; i++) {
				if (!enter(&ledger, &msgs[i]))
					goto out;
			}
		}
		KT_CHECKF(ledger.last[victim] <= pushed + 3,
			  "%llu came out, %llu were pushed",
			  (unsigned long long)ledger.last[victim],
			  (unsigned long long)pushed);
		/* The next one takes its lane. */
		t->pushed[victim] = 0;
		t->life[victim]++;
		pid[victim] = fork();
		if (!pid[victim])
			send_for_ever(&a, t, (unsigned int)victim, in_place);
	}
out:
	for (int i = 0; i < nr; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], &status, 0);
		KT_CHECKF(WIFSIGNALED(status), "sender: status %#x",
			  (unsigned int)status);
	}
	KT_EQ(pulse_queue_stats(a.q, &s), 0);
	/*
	 * The last ones may have been killed before they opened, or may have
	 * opened when the first of them was killed already.
	 */
	KT_CHECKF(s.takeovers + (uint64_t)nr >= (uint64_t)kills &&
		  s.takeovers <= (uint64_t)(kills + nr), "%llu takeovers",
		  (unsigned long long)s.takeovers);
	KT_EQ(s.errors, 0);
	kt_note("%ld killed, %llu elements", kills,
		(unsigned long long)ledger.nr);
	KT_EQ(pulse_queue_rx_close(rx), 0);
	arena_close(&a);
	munmap(t, sizeof(*t));
}

KT_TEST(a_sender_killed_anywhere_loses_nothing_and_holds_up_nobody)
{
	kill_senders(PULSE_QUEUE_MPSC, false);
	kill_senders(PULSE_QUEUE_SPSC, false);
	kill_senders(PULSE_QUEUE_SPSC, true);
	kill_senders(PULSE_QUEUE_MPMC, false);
}

/* A receiver that takes and is killed; what it took stands in shared memory. */
static void receive_for_ever(struct arena *a, struct tally *t)
{
	struct pulse_queue_rx *rx;
	struct message msg;
	unsigned int misses = 0;

	arena_again(a);
	if (pulse_queue_rx_open(a->q, &rx))
		_exit(93);
	for (;;) {
		int err = pulse_queue_pop(rx, &msg, NULL);

		if (!err && !whole(&msg))
			_exit(94);
		if (!err)
			pulse__add_relaxed(&t->taken, 1);
		else if (err == -EAGAIN)
			give_way(&misses);
		else
			_exit(95);
	}
}

static void kill_receivers(uint32_t kind)
{
	long kills = (long)scaled(20);
	uint64_t nr = 0, random = 88172645463325252ULL;
	struct pulse_queue_tx *tx;
	struct message msg;
	struct tally *t;
	struct arena a;
	int status;

	KT_REQUIRE(arena_open(&a, kind, 0, 64, sizeof(struct message)));
	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	KT_REQUIRE(t != MAP_FAILED);
	KT_REQUIRE(!pulse_queue_tx_open(a.q, &tx));
	fflush(stdout);
	for (long k = 0; k < kills; k++) {
		uint64_t until = READ_ONCE(t->taken);
		pid_t pid = fork();

		if (!pid)
			receive_for_ever(&a, t);
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		until += 1 + random % 500;
		while (READ_ONCE(t->taken) < until) {
			fill(&msg, 0, 0, nr + 1);
			if (!pulse_queue_push(tx, &msg, sizeof(msg)))
				nr++;
			else
				sched_yield();
		}
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		KT_CHECKF(WIFSIGNALED(status), "receiver: status %#x",
			  (unsigned int)status);
	}
	/*
	 * Each one killed may have had one element in hand that it did not
	 * count; the only one of its kind may have counted one and not moved
	 * on, which its successor then had again.
	 */
	{
		struct pulse_queue_rx *rx;

		KT_REQUIRE(!pulse_queue_rx_open(a.q, &rx));
		while (!pulse_queue_pop(rx, &msg, NULL)) {
			KT_CHECK(whole(&msg));
			t->taken++;
		}
		KT_EQ(pulse_queue_rx_close(rx), 0);
	}
	KT_CHECKF(t->taken <= nr + (uint64_t)kills &&
		  t->taken + (uint64_t)kills >= nr,
		  "%llu taken of %llu, %ld killed",
		  (unsigned long long)t->taken, (unsigned long long)nr, kills);
	KT_EQ(pulse_queue_tx_close(tx), 0);
	arena_close(&a);
	munmap(t, sizeof(*t));
}

KT_TEST(a_receiver_killed_anywhere_is_followed_by_the_next)
{
	kill_receivers(PULSE_QUEUE_SPSC);
	kill_receivers(PULSE_QUEUE_MPMC);
}

/* Stopped, not dead: its lane is its own, the others' elements come. */
KT_TEST(a_stopped_sender_holds_up_nobody)
{
	struct pulse_queue_tx *tx, *more;
	struct pulse_queue_rx *rx;
	uint64_t v, status;
	struct arena a;
	int go[2];
	pid_t pid;

	KT_REQUIRE(arena_open(&a, PULSE_QUEUE_MPSC, 0, 4, 8));
	KT_REQUIRE(!pipe(go));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		void *room;

		arena_again(&a);
		if (pulse_queue_tx_open(a.q, &tx) ||
		    pulse_queue_reserve(tx, 1, &room) != 1)
			_exit(1);
		(void)!write(go[1], "", 1);
		for (;;)		/* in the middle of a push, for ever */
			pause();
	}
	KT_EQ(read(go[0], &status, 1), 1);
	KT_EQ(pulse_queue_rx_open(a.q, &rx), 0);
	KT_EQ(pulse_queue_tx_open(a.q, &tx), 0);
	for (int i = 0; i < 100; i++) {
		v = (uint64_t)i;
		KT_EQ(pulse_queue_push(tx, &v, 8), 0);
		v = 1000;
		KT_EQ(pulse_queue_pop(rx, &v, NULL), 0);
		KT_EQ(v, i);
	}
	KT_EQ(pulse_queue_tx_open(a.q, &more), 0);	/* the third lane */
	KT_EQ(pulse_queue_tx_close(more), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	KT_EQ(pulse_queue_pop(rx, &v, NULL), -EAGAIN);
	pulse_queue_tx_close(tx);
	pulse_queue_rx_close(rx);
	close(go[0]);
	close(go[1]);
	arena_close(&a);
}

KT_TEST(a_blocked_sender_hears_of_its_receivers_death)
{
	struct pulse_queue_tx *tx;
	uint64_t v = 1;
	struct arena a;
	pid_t pid;

	KT_REQUIRE(arena_open(&a, PULSE_QUEUE_SPSC, PULSE_QUEUE_BLOCK, 2, 8));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct pulse_queue_rx *rx;

		arena_again(&a);
		_exit(pulse_queue_rx_open(a.q, &rx) ? 1 : 0);	/* not closed */
	}
	KT_CHECK(ended_well(pid));
	KT_EQ(pulse_queue_tx_open(a.q, &tx), 0);
	KT_EQ(pulse_queue_push(tx, &v, 8), 0);
	KT_EQ(pulse_queue_push(tx, &v, 8), 0);
	KT_EQ(pulse_queue_push(tx, &v, 8), -EPIPE);
	pulse_queue_tx_close(tx);
	arena_close(&a);
}

/* Both sides sleep in turn; neither is forgotten. */
KT_TEST(sleepers_in_other_processes_are_woken)
{
	uint64_t each = scaled(20000), v, sum = 0;
	struct pulse_queue_rx *rx;
	struct arena a;
	pid_t pid[SENDERS];

	KT_REQUIRE(arena_open(&a, PULSE_QUEUE_MPSC, PULSE_QUEUE_BLOCK, 4, 8));
	KT_EQ(pulse_queue_rx_open(a.q, &rx), 0);
	fflush(stdout);
	for (int p = 0; p < SENDERS; p++) {
		pid[p] = fork();
		if (!pid[p]) {
			struct pulse_queue_tx *tx;

			arena_again(&a);
			if (pulse_queue_tx_open(a.q, &tx))
				_exit(1);
			for (v = 1; v <= each; v++) {
				if (pulse_queue_push(tx, &v, 8))
					_exit(2);
			}
			_exit(pulse_queue_tx_close(tx) ? 3 : 0);
		}
	}
	for (uint64_t n = 0; n < each * SENDERS;) {
		int err = pulse_queue_pop(rx, &v, NULL);

		if (err == -EAGAIN)
			err = pulse_queue_wait(rx, PULSE_FOREVER);
		else if (!err)
			n++, sum += v;
		if (!KT_CHECK(!err))
			break;
	}
	KT_EQ(sum, SENDERS * (each * (each + 1) / 2));
	for (int p = 0; p < SENDERS; p++)
		KT_CHECK(ended_well(pid[p]));
	pulse_queue_rx_close(rx);
	arena_close(&a);
}

KT_TEST(a_descriptor_is_signalled_from_another_process)
{
	uint64_t rounds = scaled(5000), v, got = 0;
	struct pulse_queue_rx *rx;
	struct arena a;
	int fd;
	pid_t pid;

	KT_REQUIRE(arena_open(&a, PULSE_QUEUE_SPSC, 0, 64, 8));
	KT_EQ(pulse_queue_rx_open(a.q, &rx), 0);
	fd = pulse_queue_fd(a.q);
	KT_REQUIRE(fd >= 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct pulse_queue_tx *tx;

		arena_again(&a);
		if (pulse_queue_set_fd(a.q, fd) || pulse_queue_tx_open(a.q, &tx))
			_exit(1);
		for (v = 0; v < rounds;) {
			int err = pulse_queue_push(tx, &v, 8);

			if (!err)
				v++;
			else if (err != -EAGAIN)
				_exit(2);
			if (err || v % 7 == 0)
				sched_yield();
		}
		_exit(pulse_queue_tx_close(tx) ? 3 : 0);
	}
	while (got < rounds) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int err = pulse_queue_pop(rx, &v, NULL);

		if (!err) {
			KT_EQ(v, got);
			got++;
			continue;
		}
		err = pulse_queue_arm(rx);
		if (err == -EOPNOTSUPP)
			KT_SKIP("membarrier is refused");
		if (!err)
			KT_EQ(poll(&p, 1, -1), 1);
		else
			KT_EQ(err, -EAGAIN);
	}
	KT_CHECK(ended_well(pid));
	pulse_queue_rx_close(rx);
	arena_close(&a);
}

/* ---- hostile ----------------------------------------------------------- */

/* H01, H02, H05: every word is noise; two pages that fault stand around it. */
KT_TEST(noise_in_every_word_never_leads_outside)
{
	for (uint32_t mode = 0; mode < 6; mode++) {
		PULSE_OPTS(pulse_queue_opts, opts, .kind = mode % 3,
			   .overflow = mode < 3 ? PULSE_QUEUE_ERROR :
						  PULSE_QUEUE_DROP_OLD,
			   .entries = 8, .elem_bytes = 24, .lanes = 2);
		uint64_t random = 88172645463325252ULL, rounds = scaled(100000);
		size_t page = (size_t)sysconf(_SC_PAGESIZE), need, room;
		uint64_t elem[8 * 3], proto = 0, *words;
		struct pulse_queue_stats s = { .sz = sizeof(s) };
		struct pulse_queue_tx *tx;
		struct pulse_queue_rx *rx;
		struct pulse_queue *q;
		unsigned char *mem;

		if (opts.kind == PULSE_QUEUE_SPSC)
			opts.lanes = 0;
		need = pulse_queue_bytes(&opts);
		KT_REQUIRE(need && need % 64 == 0);
		need = pulse__align_up(need, PULSE_CACHE_PAIR);
		room = pulse__align_up(need, page);
		mem = mmap(NULL, room + 2 * page, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		KT_REQUIRE(mem != MAP_FAILED);
		mprotect(mem, page, PROT_NONE);
		mprotect(mem + page + room, page, PROT_NONE);
		words = (void *)(mem + page + room - need);
		KT_REQUIRE(!pulse_queue_format(words, need, &opts, &q));
		KT_REQUIRE(!pulse_queue_tx_open(q, &tx));
		KT_REQUIRE(!pulse_queue_rx_open(q, &rx));
		for (uint64_t i = 0; i < rounds; i++) {
			const void *look;
			void *in;
			int err = 0;

			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			words[(random >> 8) % (need / 8)] =
				random & 1 ? random : (random >> 40) % 64;
			switch ((random >> 3) % 7) {
			case 0:
				err = pulse_queue_push(tx, elem, 24);
				break;
			case 1:
				err = pulse_queue_push_n(tx, elem, 8);
				break;
			case 2:
				err = pulse_queue_reserve(tx, 8, &in);
				if (err > 0) {
					memset(in, 1, (size_t)err * 24);
					err = pulse_queue_commit(tx, 1);
				}
				break;
			case 3:
				err = pulse_queue_pop(rx, elem, NULL);
				break;
			case 4:
				err = pulse_queue_pop_n(rx, elem, 8);
				break;
			case 5:
				err = pulse_queue_peek(rx, 8, &look);
				if (err > 0) {
					memcpy(elem, look, (size_t)err * 24);
					err = pulse_queue_release(rx, 1);
				}
				break;
			case 6:
				err = pulse_queue_wait(rx, 0);
				KT_CHECK(pulse_queue_count(q) <= 16);
				break;
			}
			if (err < 0 && err != -EAGAIN && err != -EPROTO &&
			    err != -ETIMEDOUT && err != -EOPNOTSUPP) {
				KT_FAIL("answered %d", err);
				break;
			}
			proto += err == -EPROTO;
		}
		KT_EQ(pulse_queue_stats(q, &s), 0);
		KT_EQ(s.errors, proto);
		KT_CHECK(proto > 0);
		pulse_queue_tx_close(tx);
		pulse_queue_rx_close(rx);
		KT_EQ(pulse_queue_destroy(q), 0);
		munmap(mem, room + 2 * page);
	}
}

/* H03: words flip between our look and our use; another process does it. */
KT_TEST(words_that_flip_all_the_time_never_hang_or_crash)
{
	for (uint32_t kind = 0; kind < 3; kind++) {
		uint64_t rounds = scaled(100000), elem[8];
		struct pulse_queue_tx *tx;
		struct pulse_queue_rx *rx;
		struct arena a;
		pid_t pid;

		KT_REQUIRE(arena_open(&a, kind, PULSE_QUEUE_DROP_OLD, 8, 8));
		KT_REQUIRE(!pulse_queue_tx_open(a.q, &tx));
		KT_REQUIRE(!pulse_queue_rx_open(a.q, &rx));
		fflush(stdout);
		pid = fork();
		if (!pid) {
			struct pulse__queue_shm *shm = a.mem;
			uint64_t random = 1234567;

			for (;;) {
				random ^= random << 13;
				random ^= random >> 7;
				random ^= random << 17;
				WRITE_ONCE(shm->lane[0].tail, random % 3 ?
					   random % 20 : random);
				WRITE_ONCE(shm->lane[0].head, random % 5 ?
					   random % 17 : ~random);
				WRITE_ONCE(shm->rx_wait, (uint32_t)random);
				WRITE_ONCE(shm->lane[0].owner, random);
			}
		}
		for (uint64_t i = 0; i < rounds; i++) {
			int err = i & 1 ? pulse_queue_push_n(tx, elem, 3) :
				  pulse_queue_pop_n(rx, elem, 8);

			if (err < 0 && err != -EAGAIN && err != -EPROTO) {
				KT_FAIL("answered %d", err);
				break;
			}
		}
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		pulse_queue_tx_close(tx);
		pulse_queue_rx_close(rx);
		arena_close(&a);
	}
}

KT_TEST(who_lives_is_not_taken_for_dead)
{
	uint64_t self = pulse__owner_self();
	pid_t pid;

	KT_CHECK(self != 0);
	KT_EQ(self >> 32, getpid());
	KT_CHECK(!pulse__owner_dead(self));
	KT_CHECK(!pulse__owner_dead(0));
	KT_CHECK(!pulse__owner_dead(1ULL << 32));	/* init, start unknown */
	KT_CHECK(!pulse__owner_dead(1ULL << 63));	/* no such pid can be */
	/* The same pid, started at another time: somebody else. */
	KT_CHECK(!(uint32_t)self || pulse__owner_dead(self ^ 0x10000));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	KT_CHECK(!pulse__owner_dead((uint64_t)pid << 32));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	KT_CHECK(pulse__owner_dead((uint64_t)pid << 32));
}

KT_MAIN()
