// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contexts of several processes: who may join, what each may do to the others,
 * and what is found of one that crashed.
 */
#include <sys/resource.h>
#include "../lib/fdpass.h"
#include "dev.h"

#define WORD	PULSE_PARK_WORD(5, PULSE_PARK_PARKING)
#define JOBS	4000

/* Seen by all processes of a test. */
static struct board {
	int turn;
	__u64 next;		/* the next job to take */
	__u64 in_hand;		/* what the worker said before it was killed */
	int index;
	unsigned char done[JOBS + 1];
} *board;

static struct dev d, peer;

static void board_new(void)
{
	if (!board)
		board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(board, 0, sizeof(*board));
}

static void turn_set(int turn)
{
	__atomic_store_n(&board->turn, turn, __ATOMIC_SEQ_CST);
}

static int turn_get(void)
{
	return __atomic_load_n(&board->turn, __ATOMIC_SEQ_CST);
}

/* In a process that was handed a descriptor: joins and maps; 0 or -errno. */
static int peer_begin(int fd)
{
	int ret = dev_joins(fd);

	if (ret)
		return ret;
	memset(&peer, 0, sizeof(peer));
	peer.fd = fd;
	peer.self = -1;
	return dev_map(&peer);
}

static int all_refused(void *arg)
{
	struct pulse_info info;
	int want = arg ? 0 : -EPERM;

	if (worker_add(d.fd, PULSE_NODE_ANY) != -EPERM)
		return 1;
	if (wake_one(d.fd, 0) != -EPERM || dev_info(d.fd, &info) != -EPERM)
		return 2;
	if (try_mmap(d.info.hdr_bytes, PROT_READ, MAP_SHARED, d.fd, 0) != -EPERM)
		return 3;
	return dev_joins(d.fd) == want ? 0 : 4;
}

/* L08 */
KT_TEST(nobody_joins_a_context_that_is_not_shared)
{
	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_EQ(in_child(all_refused, NULL), 0);
	KT_EQ(dev_joins(d.fd), -EPERM);
	dev_end(&d);
}

static int join_twice(void *arg)
{
	int ret = all_refused(arg);

	if (ret)
		return ret;
	return dev_joins(d.fd) == -EEXIST ? 0 : 5;
}

KT_TEST(a_child_joins_once_and_may_nothing_before)
{
	NEED_DEVICE();
	KT_REQUIRE(!dev_begin_events(&d, 4, 0, PULSE_CTX_SHARED));
	KT_CHECK(d.info.features & PULSE_FEAT_SHARED);
	KT_EQ(in_child(join_twice, &d), 0);
	KT_EQ(dev_joins(d.fd), -EEXIST);
	dev_end(&d);
}

/* Receives the descriptor as somebody else; what JOIN says. */
static int sock[2];

static int receive_as(void *arg)
{
	uid_t uid = *(uid_t *)arg;
	int fd;

	if (uid && setresuid(uid, uid, uid))
		return 100;
	fd = fd_receive(sock[1], MSG_CMSG_CLOEXEC);
	if (fd < 0)
		return 101;
	if (worker_add(fd, PULSE_NODE_ANY) != -EPERM)
		return 102;
	return -dev_joins(fd);
}

/* L08: handed over by SCM_RIGHTS, to the same uid and to another */
KT_TEST(only_the_same_user_joins)
{
	static const struct {
		uid_t uid;
		__u32 flags;
		int want;
	} cases[] = {
		{ 0, PULSE_CTX_SHARED, 0 },
		{ 1000, PULSE_CTX_SHARED, EPERM },
		{ 0, 0, EPERM },
		{ 1000, 0, EPERM },
	};

	NEED_DEVICE();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pid_t pid;

		KT_REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock));
		pid = start(receive_as, (void *)(uintptr_t)&cases[i].uid);
		KT_REQUIRE(!dev_begin_events(&d, 4, 4096, cases[i].flags));
		KT_EQ(fd_send(sock[0], d.fd, 0), 0);
		KT_EQ(ended(pid), cases[i].want);
		dev_end(&d);
		close(sock[0]);
		close(sock[1]);
	}
}

/* A file that is in a socket which is in itself: only the kernel's gc ends it. */
static int leave_in_flight(void *arg)
{
	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) ||
	    dev_begin_events(&d, 4, 4096, PULSE_CTX_SHARED))
		return 1;
	KT_EQ(fd_send(sock[0], d.fd, 0), 0);
	KT_EQ(fd_send(sock[0], sock[0], 0), 0);
	KT_EQ(fd_send(sock[0], sock[1], 0), 0);
	return kt_failed ? 2 : 0;
}

/* L08 */
KT_TEST(a_descriptor_in_flight_goes_with_its_sockets)
{
	long long contexts;

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	for (int n = 0; n < 10; n++)
		KT_EQ(in_child(leave_in_flight, NULL), 0);
	/* a queue that is closed with something in it, and one in a circle */
	for (int n = 0; n < 10; n++) {
		KT_REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock));
		KT_REQUIRE(!dev_begin_events(&d, 4, 4096, PULSE_CTX_SHARED));
		KT_EQ(fd_send(sock[0], d.fd, 0), 0);
		dev_end(&d);
		close(sock[0]);
		close(sock[1]);
	}
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

static int as_user_without_memlock(void *arg)
{
	struct rlimit none = { 4096, 4096 };
	pid_t pid;

	(void)arg;
	d.fd = dev_open(O_RDWR);
	if (setresuid(1000, 1000, 1000))
		return 1;
	if (dev_setup_events(d.fd, 4, 64, 0, 0, PULSE_CTX_SHARED))
		return 2;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (setrlimit(RLIMIT_MEMLOCK, &none))
			_exit(3);
		_exit(dev_joins(d.fd) == -ENOMEM ? 0 : 4);
	}
	return ended(pid);
}

KT_TEST(who_joins_pays_with_memlock_too)
{
	NEED_DEVICE();
	KT_EQ(in_child(as_user_without_memlock, NULL), 0);
}

static int join_and_wait(void *arg)
{
	int ret = dev_joins(d.fd);

	(void)arg;
	if (ret)
		return -ret;
	__atomic_add_fetch(&board->turn, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

static int join_and_go(void *arg)
{
	(void)arg;
	return -dev_joins(d.fd);
}

KT_TEST(so_many_join_at_a_time_and_the_dead_make_room)
{
	pid_t pid[PULSE_MAX_JOINED];

	NEED_DEVICE();
	board_new();
	KT_REQUIRE(!dev_begin_events(&d, 4, 0, PULSE_CTX_SHARED));
	for (int i = 0; i < PULSE_MAX_JOINED; i++)
		pid[i] = start(join_and_wait, NULL);
	KT_CHECK(EVENTUALLY(turn_get() == PULSE_MAX_JOINED));
	KT_EQ(in_child(join_and_go, NULL), ENOSPC);
	for (int i = 0; i < PULSE_MAX_JOINED; i++) {
		kill(pid[i], SIGKILL);
		KT_EQ(ended(pid[i]), -SIGKILL);
	}
	for (int i = 0; i < 2 * PULSE_MAX_JOINED; i++)
		KT_EQ(in_child(join_and_go, NULL), 0);
	dev_end(&d);
}

/* A parker that stays in its process until it was woken once. */
static int park_in_a_process(void *arg)
{
	struct parker p = { .word = WORD };

	if (peer_begin(d.fd) || !parker_start(&p, &peer, PULSE_NODE_ANY))
		return 1;
	board->index = p.index;
	turn_set(1);
	if (!EVENTUALLY(parker_returns(&p) >= 1))
		return 2;
	if (p.last != (arg ? -ECANCELED : 0))
		return 3;
	parker_stop(&p);
	dev_end(&peer);
	return 0;
}

KT_TEST(workers_of_several_processes_wake_each_other)
{
	struct parker p = { .word = WORD };
	pid_t pid;

	NEED_DEVICE();
	board_new();
	KT_REQUIRE(!dev_begin_events(&d, 4, 4096, PULSE_CTX_SHARED));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	pid = start(park_in_a_process, NULL);
	KT_CHECK(EVENTUALLY(turn_get() == 1));
	KT_EQ(d.hdr->nr_workers, 2);
	KT_EQ(d.kstate[board->index].tid > 0, true);
	KT_EQ(wake_one(d.fd, board->index), 1);
	KT_EQ(ended(pid), 0);
	KT_CHECK(EVENTUALLY(d.hdr->nr_workers == 1));
	/* its closing of descriptors was its own affair */
	KT_EQ(parker_returns(&p), 0);
	parker_stop(&p);
	dev_end(&d);
}

static int hint_to_another_process(void *arg)
{
	struct pulse_hint h = {
		.size = sizeof(h),
		.index = *(__u32 *)arg,
		.mask = PULSE_HINT_NICE,
		.nice = 7,
	};

	if (peer_begin(d.fd))
		return 1;
	return dev_ioctl(d.fd, PULSE_IOC_HINT, &h) == -EPERM ? 0 : 2;
}

/* S06: not even root asks for a thread of another process */
KT_TEST(a_hint_is_for_threads_of_the_own_process)
{
	struct parker p = { .word = WORD };

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin_events(&d, 4, 0, PULSE_CTX_SHARED));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_EQ(in_child(hint_to_another_process, &p.index), 0);
	KT_EQ(getpriority(PRIO_PROCESS, (id_t)p.tid), 0);
	parker_stop(&p);
	dev_end(&d);
}

static int close_a_copy(void *arg)
{
	struct parker p = { .word = WORD };

	(void)arg;
	if (peer_begin(d.fd) || !parker_start(&p, &peer, PULSE_NODE_ANY))
		return 1;
	p.end = 1;
	close(dup(d.fd));
	if (!EVENTUALLY(parker_returns(&p) == 1) || p.last != -ECANCELED)
		return 2;
	pthread_join(p.thread, NULL);
	dev_end(&peer);
	return 0;
}

/* P06 */
KT_TEST(a_close_cancels_the_parks_of_its_own_process)
{
	struct parker p = { .word = WORD };

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin_events(&d, 4, 0, PULSE_CTX_SHARED));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_EQ(in_child(close_a_copy, NULL), 0);
	sleep_ms(20);
	KT_EQ(parker_returns(&p), 0);
	p.end = 1;
	close(dup(d.fd));
	KT_CHECK(EVENTUALLY(parker_returns(&p) == 1));
	KT_EQ(p.last, -ECANCELED);
	pthread_join(p.thread, NULL);
	dev_end(&d);
}

static int notify_and_die(void *arg)
{
	int index = *(int *)arg;
	__u32 word = WORD;

	if (peer_begin(d.fd) || dev_join(&peer, PULSE_NODE_ANY) < 0)
		return 1;
	__atomic_compare_exchange_n(&peer.uwork[index].park, &word,
				    PULSE_PARK_WORD(5, PULSE_PARK_NOTIFIED), false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	kill(getpid(), SIGKILL);
	return 2;
}

KT_TEST(what_a_process_owed_is_paid_when_it_is_killed)
{
	NEED_DEVICE();
	for (int n = 0; n < 10; n++) {
		struct parker p = { .word = WORD };

		KT_REQUIRE(!dev_begin_events(&d, 4, 0, PULSE_CTX_SHARED));
		KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
		KT_EQ(in_child(notify_and_die, &p.index), -SIGKILL);
		KT_CHECK(EVENTUALLY(parker_returns(&p) >= 1));
		set_word(&d, p.index, WORD);
		parker_stop(&p);
		dev_end(&d);
	}
}

static int killed_in_mid_job(void *arg)
{
	__u64 job = *(__u64 *)arg;

	if (peer_begin(d.fd) || dev_join(&peer, PULSE_NODE_ANY) < 0)
		return 1;
	__atomic_store_n(&peer.uwork[peer.self].job, job, __ATOMIC_SEQ_CST);
	board->index = peer.self;
	turn_set(1);
	for (;;)
		;
}

/* Ten of ten: the peer is told of exactly the job that was in hand. */
KT_TEST(the_job_of_a_process_that_is_killed_is_found)
{
	struct pulse_event_worker_death death;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin_events(&d, 4, 4096, PULSE_CTX_SHARED));
	for (__u64 n = 1; n <= 10; n++) {
		__u64 job = n << 32 | 0xabcd;
		pid_t pid;

		board_new();
		pid = start(killed_in_mid_job, &job);
		KT_REQUIRE(EVENTUALLY(turn_get() == 1));
		kill(pid, SIGKILL);
		KT_EQ(ended(pid), -SIGKILL);
		KT_REQUIRE(event_take(&d, PULSE_EVENT_WORKER_DEATH, &death,
				      sizeof(death)));
		KT_EQ(death.job, job);
		KT_EQ(death.pid, pid);
		KT_EQ(death.signal, SIGKILL);
		KT_EQ(death.index, board->index);
		KT_EQ(d.uwork[death.index].job, job);
		KT_CHECK(!event_next(&d));
	}
	dev_end(&d);
}

/* Takes job after job; what it has in hand is said before it is taken. */
static int work_until_killed(void *arg)
{
	struct pulse_uwork *uw;

	(void)arg;
	if (peer_begin(d.fd) || dev_join(&peer, PULSE_NODE_ANY) < 0)
		return 1;
	uw = &peer.uwork[peer.self];
	for (;;) {
		__u64 job = __atomic_load_n(&board->next, __ATOMIC_SEQ_CST);

		if (job > JOBS)
			return 0;
		__atomic_store_n(&uw->job, job, __ATOMIC_SEQ_CST);
		if (!__atomic_compare_exchange_n(&board->next, &job, job + 1, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			continue;
		for (volatile int spin = 0; spin < 2000; spin++)
			;
		board->done[job]++;
		__atomic_store_n(&uw->job, 0, __ATOMIC_SEQ_CST);
		uw->progress++;
	}
}

/* Killed at any point, again and again: no job is lost, none done twice. */
KT_TEST(no_job_is_lost_however_often_the_worker_is_killed)
{
	struct pulse_event_worker_death death;
	int salvaged = 0, kills = 0, ret;

	NEED_DEVICE();
	board_new();
	board->next = 1;
	KT_REQUIRE(!dev_begin_events(&d, 4, 4096, PULSE_CTX_SHARED));
	do {
		__u64 from = board->next;
		pid_t pid = start(work_until_killed, NULL);

		if (kills < 10 && from <= JOBS) {
			KT_REQUIRE(EVENTUALLY(board->next > from + JOBS / 40 ||
					      board->next > JOBS));
			usleep((useconds_t)(kills * 997 % 3000));
			kill(pid, SIGKILL);
			kills++;
		}
		ret = ended(pid);
		KT_REQUIRE(ret == 0 || ret == -SIGKILL);
		KT_REQUIRE(event_take(&d, PULSE_EVENT_WORKER_DEATH, &death,
				      sizeof(death)));
		/* in hand, taken, and not done: it is done here */
		if (death.job && death.job < board->next &&
		    !board->done[death.job]) {
			board->done[death.job]++;
			salvaged++;
		}
	} while (ret);
	for (int i = 1; i <= JOBS; i++)
		KT_CHECKF(board->done[i] == 1, "job %d: %d times", i,
			  board->done[i]);
	printf("# %d kills, %d jobs salvaged\n", kills, salvaged);
	dev_end(&d);
}

static int scribble_until_killed(void *arg)
{
	unsigned int seed = 3;

	(void)arg;
	if (peer_begin(d.fd) || dev_join(&peer, PULSE_NODE_ANY) < 0)
		return 1;
	turn_set(1);
	for (;;) {
		__u32 *words = (__u32 *)peer.uwork;

		words[(unsigned int)rand_r(&seed) % (peer.info.uwork_bytes / 4)] =
			(__u32)rand_r(&seed);
		peer.evcons->pos = (__u64)rand_r(&seed) * 8;
		wake_one(peer.fd, rand_r(&seed) % 8);
		wake_node(peer.fd, 0, 1, PULSE_WAKE_SPILL);
	}
}

/* H08: at worst its peers' parks return early; they go on, and it can be killed */
KT_TEST(a_hostile_peer_harms_no_more_than_its_own_context)
{
	struct dev other;
	pid_t pid;

	NEED_DEVICE();
	board_new();
	KT_REQUIRE(!dev_begin_events(&d, 8, 4096, PULSE_CTX_SHARED));
	KT_REQUIRE(!dev_begin(&other, 2));
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	pid = start(scribble_until_killed, NULL);
	KT_REQUIRE(EVENTUALLY(turn_get() == 1));
	for (int n = 0; n < 2000; n++) {
		int ret = park(d.fd, 0, word_of(&d, 0), now_ns() + 100000);

		KT_CHECKF(ret == 0 || ret == -EAGAIN || ret == -ETIMEDOUT, "%d", ret);
	}
	KT_EQ(kstate_read(&d, 0).state, PULSE_STATE_RUNNING);
	KT_EQ(dev_join(&other, PULSE_NODE_ANY), 0);
	KT_EQ(park(other.fd, 0, 0, now_ns() + 100000), -ETIMEDOUT);
	kill(pid, SIGKILL);
	KT_EQ(ended(pid), -SIGKILL);
	KT_CHECK(EVENTUALLY(d.hdr->nr_workers == 1));
	dev_end(&other);
	dev_end(&d);
}

/* The creator goes first; who joined goes on. */
static int creator(void *arg)
{
	(void)arg;
	if (dev_begin_events(&d, 4, 4096, PULSE_CTX_SHARED) ||
	    dev_join(&d, PULSE_NODE_ANY) < 0)
		return 1;
	fflush(stdout);
	if (!fork()) {
		struct pulse_event_worker_death death;
		struct parker p = { .word = WORD };
		int ok = !peer_begin(d.fd);

		turn_set(ok ? 1 : -1);
		ok = ok && event_take(&peer, PULSE_EVENT_WORKER_DEATH, &death,
				      sizeof(death)) &&
		     death.exit_code == 7 << 8 &&
		     parker_start(&p, &peer, PULSE_NODE_ANY) &&
		     wake_one(peer.fd, p.index) == 1 &&
		     EVENTUALLY(parker_returns(&p) >= 1);
		turn_set(ok ? 2 : -2);
		_exit(0);
	}
	return EVENTUALLY(turn_get() != 0) ? 7 : 2;
}

KT_TEST(a_context_goes_on_without_its_creator)
{
	long long contexts;

	NEED_DEVICE();
	board_new();
	contexts = sysfs_read("contexts");
	KT_EQ(in_child(creator, NULL), 7);
	KT_CHECK(EVENTUALLY(turn_get() == 2 || turn_get() < 0));
	KT_EQ(turn_get(), 2);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

KT_MAIN()
