// SPDX-License-Identifier: GPL-2.0-only
/*
 * PARK through io_uring: permits, deadlines, closing, dying, and what is refused.
 * On a kernel where commands cannot be cancelled each test shows that they are
 * refused, and the feature bit is clear.
 */
#include "uring.h"

#define WORD	PULSE_PARK_WORD(7, PULSE_PARK_PARKING)

static struct dev d;
static struct uring u;

/* This thread as worker 0, with a ring; its index. */
static int begin(void)
{
	if (uring_begin(&u, 0))
		return -1;
	return dev_begin_worker(&d, 8, WORD);
}

static void end(void)
{
	uring_end(&u);
	dev_end(&d);
}

static bool has_uring(void)
{
	return sysfs_read("features") & PULSE_FEAT_URING;
}

/* First line of a test: without the feature there is nothing but a refusal. */
#define NEED_URING()							\
	do {								\
		NEED_DEVICE();						\
		if (!has_uring()) {					\
			int i_ = begin();				\
									\
			KT_REQUIRE(i_ >= 0);				\
			KT_EQ(uring_one(&u, uring_park(&u, d.fd, i_, WORD, 0, 1)), \
			      -EOPNOTSUPP);				\
			end();						\
			return;						\
		}							\
	} while (0)

KT_TEST(a_wake_completes_a_park)
{
	int i;

	NEED_URING();
	i = begin();
	KT_REQUIRE(i >= 0);
	KT_CHECK(d.info.features & PULSE_FEAT_URING);
	for (__u64 n = 0; n < 20; n++) {
		uring_park(&u, d.fd, i, WORD, PULSE_NO_DEADLINE, n);
		KT_EQ(uring_submit(&u, 0), 1);
		KT_CHECK(uring_quiet(&u));
		KT_EQ(wake_one(d.fd, i), 1);
		KT_EQ(uring_result(&u, n), 0);
		KT_CHECK(uring_quiet(&u));
	}
	end();
}

static void *wake_when_parked(void *arg)
{
	int i = *(int *)arg;

	if (!EVENTUALLY(state_of(&d, i) == PULSE_STATE_PARKED))
		KT_CHECK(!"seen parked");
	KT_EQ(wake_node(d.fd, (int)d.kstate[i].node, 1, PULSE_WAKE_SPILL), 1);
	return NULL;
}

/* The park word says RUNNING: WAKE_NODE goes by what the kernel knows. */
KT_TEST(a_thread_that_waits_for_its_ring_counts_as_parked)
{
	long long parks;
	pthread_t t;
	int i;

	NEED_URING();
	i = begin();
	KT_REQUIRE(i >= 0);
	parks = sysfs_read("parks");
	set_word(&d, i, 0);
	KT_REQUIRE(!pthread_create(&t, NULL, wake_when_parked, &i));
	uring_park(&u, d.fd, i, 0, PULSE_NO_DEADLINE, 5);
	KT_EQ(uring_submit(&u, 1), 1);
	KT_EQ(uring_result(&u, 5), 0);
	pthread_join(t, NULL);
	KT_CHECK(kstate_read(&d, i).n_park >= 1);
	KT_CHECK(sysfs_read("parks") > parks);
	/* it is over: nobody chooses the worker any more */
	KT_EQ(wake_node(d.fd, (int)d.kstate[i].node, 1, PULSE_WAKE_SPILL), 0);
	end();
}

KT_TEST(a_wake_before_the_park_completes_it_at_once)
{
	int i;

	NEED_URING();
	i = begin();
	KT_REQUIRE(i >= 0);
	KT_EQ(wake_one(d.fd, i), 1);
	KT_EQ(uring_one(&u, uring_park(&u, d.fd, i, WORD, PULSE_NO_DEADLINE, 1)), 0);
	/* it took the permit */
	KT_EQ(park(d.fd, i, WORD, 0), -ETIMEDOUT);
	end();
}

/* Also where io_uring would try EAGAIN again in a thread of its own. */
KT_TEST(a_park_word_that_moved_means_eagain)
{
	int i;

	NEED_URING();
	i = begin();
	KT_REQUIRE(i >= 0);
	KT_EQ(uring_one(&u, uring_park(&u, d.fd, i, WORD + 1, PULSE_NO_DEADLINE, 1)),
	      -EAGAIN);
	KT_EQ(wake_one(d.fd, i), 1);
	KT_EQ(uring_one(&u, uring_park(&u, d.fd, i, WORD + 1, PULSE_NO_DEADLINE, 2)), 0);
	end();
}

KT_TEST(a_deadline_ends_a_park)
{
	long long deadline;
	int i;

	NEED_URING();
	i = begin();
	KT_REQUIRE(i >= 0);
	KT_EQ(uring_one(&u, uring_park(&u, d.fd, i, WORD, 0, 1)), -ETIMEDOUT);
	KT_EQ(uring_one(&u, uring_park(&u, d.fd, i, WORD, now_ns(), 2)), -ETIMEDOUT);
	deadline = now_ns() + 30 * NS_PER_MS;
	KT_EQ(uring_one(&u, uring_park(&u, d.fd, i, WORD, deadline, 3)), -ETIMEDOUT);
	KT_CHECK(now_ns() >= deadline);
	/* that of a command that is over ends no other one */
	uring_park(&u, d.fd, i, WORD, now_ns() + 30 * NS_PER_MS, 4);
	KT_EQ(uring_submit(&u, 0), 1);
	wake_one(d.fd, i);
	KT_CHECK(uring_result(&u, 4) != URING_NONE);
	while (!park(d.fd, i, WORD, 0))
		;
	uring_park(&u, d.fd, i, WORD, PULSE_NO_DEADLINE, 5);
	KT_EQ(uring_submit(&u, 0), 1);
	sleep_ms(60);
	KT_CHECK(uring_quiet(&u));
	KT_EQ(wake_one(d.fd, i), 1);
	KT_EQ(uring_result(&u, 5), 0);
	end();
}

KT_TEST(a_worker_has_one_park_at_a_time)
{
	struct pulse_hint h = {
		.size = sizeof(h),
		.mask = PULSE_HINT_NODE,
	};
	struct parker p = { .word = WORD };
	int i;

	NEED_URING();
	i = begin();
	KT_REQUIRE(i >= 0);
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	uring_park(&u, d.fd, i, WORD, PULSE_NO_DEADLINE, 1);
	KT_EQ(uring_submit(&u, 0), 1);
	KT_EQ(uring_one(&u, uring_park(&u, d.fd, i, WORD, PULSE_NO_DEADLINE, 2)), -EBUSY);
	KT_EQ(park(d.fd, i, WORD, 0), -EBUSY);
	/* nothing was done: the target has no permit */
	KT_EQ(handoff(d.fd, i, p.index, WORD, 0), -EBUSY);
	sleep_ms(20);
	KT_EQ(parker_returns(&p), 0);
	h.index = (__u32)i;
	KT_EQ(dev_ioctl(d.fd, PULSE_IOC_HINT, &h), -EBUSY);
	KT_CHECK(uring_quiet(&u));
	KT_EQ(wake_one(d.fd, i), 1);
	KT_EQ(uring_result(&u, 1), 0);
	KT_EQ(dev_ioctl(d.fd, PULSE_IOC_HINT, &h), 0);
	KT_EQ(park(d.fd, i, WORD, 0), -ETIMEDOUT);
	parker_stop(&p);
	end();
}

static void *hand_over_to(void *arg)
{
	int self = worker_add(d.fd, PULSE_NODE_ANY);

	KT_CHECK(self >= 0);
	set_word(&d, self, WORD);
	KT_EQ(handoff(d.fd, self, *(int *)arg, WORD, 0), -ETIMEDOUT);
	worker_del(d.fd, self);
	return NULL;
}

KT_TEST(a_handoff_completes_a_park)
{
	pthread_t t;
	int i;

	NEED_URING();
	i = begin();
	KT_REQUIRE(i >= 0);
	uring_park(&u, d.fd, i, WORD, PULSE_NO_DEADLINE, 1);
	KT_EQ(uring_submit(&u, 0), 1);
	KT_REQUIRE(!pthread_create(&t, NULL, hand_over_to, &i));
	KT_EQ(uring_result(&u, 1), 0);
	pthread_join(t, NULL);
	end();
}

KT_TEST(what_is_not_used_must_be_zero)
{
	struct io_uring_sqe *sqe;
	int i;

	NEED_URING();
	i = begin();
	KT_REQUIRE(i >= 0);
	KT_EQ(wake_one(d.fd, i), 1);
	KT_EQ(uring_one(&u, uring_park(&u, d.fd, i, WORD, -1, 1)), -EINVAL);
	KT_EQ(uring_one(&u, uring_park(&u, d.fd, i, WORD, INT64_MIN, 1)), -EINVAL);
	for (int n = 0; n < 7; n++) {
		sqe = uring_park(&u, d.fd, i, WORD, PULSE_NO_DEADLINE, 1);
		switch (n) {
		case 0: sqe->addr = 1; break;
		case 1: sqe->len = 1; break;
		case 2: sqe->buf_index = 1; break;
		case 3: sqe->file_index = 1; break;
		case 4: sqe->rw_flags = 1 << 5; break;
		case 5: sqe->__pad1 = 1; break;
		case 6: sqe->ioprio = 1; break;
		}
		KT_EQ(uring_one(&u, sqe), -EINVAL);
	}
	for (__u32 op = 0; op < 64; op++) {
		sqe = uring_park(&u, d.fd, i, WORD, PULSE_NO_DEADLINE, op);
		sqe->cmd_op = PULSE__URING(op, PULSE_URING_CMD_BYTES +
					       (op == 0x20));
		KT_EQ(uring_one(&u, sqe), -ENOTTY);
	}
	sqe = uring_park(&u, d.fd, i, WORD, PULSE_NO_DEADLINE, 1);
	sqe->cmd_op = PULSE_IOC_PARK;
	KT_EQ(uring_one(&u, sqe), -ENOTTY);
	/* the permit is still there */
	KT_EQ(park(d.fd, i, WORD, 0), 0);
	end();
}

KT_TEST(the_second_half_of_a_long_entry_must_be_zero)
{
	struct io_uring_sqe *sqe;
	int i;

	NEED_URING();
	KT_REQUIRE(!uring_begin(&u, IORING_SETUP_SQE128));
	i = dev_begin_worker(&d, 8, WORD);
	KT_REQUIRE(i >= 0);
	KT_EQ(uring_one(&u, uring_park(&u, d.fd, i, WORD, 0, 1)), -ETIMEDOUT);
	for (size_t at = 0; at < sizeof(*sqe); at += 21) {
		sqe = uring_park(&u, d.fd, i, WORD, 0, 1);
		((char *)(sqe + 1))[at] = 1;
		KT_EQ(uring_one(&u, sqe), -E2BIG);
	}
	end();
}

static void *park_another_one(void *arg)
{
	struct uring mine;

	if (!KT_CHECK(!uring_begin(&mine, 0)))
		return NULL;
	uring_park(&mine, d.fd, *(int *)arg, WORD, 0, 1);
	KT_EQ(uring_submit(&mine, 0), 1);
	KT_EQ(uring_result(&mine, 1), -EPERM);
	uring_end(&mine);
	return NULL;
}

KT_TEST(nobody_parks_another_thread)
{
	struct io_uring_sqe *sqe;
	pthread_t t;
	int i, status;
	pid_t pid;

	NEED_URING();
	i = begin();
	KT_REQUIRE(i >= 0);
	KT_EQ(uring_one(&u, uring_park(&u, d.fd, i + 1, WORD, 0, 1)), -ESRCH);
	KT_EQ(uring_one(&u, uring_park(&u, d.fd, 8, WORD, 0, 1)), -ESRCH);
	KT_EQ(uring_one(&u, uring_park(&u, d.fd, -1, WORD, 0, 1)), -ESRCH);
	KT_REQUIRE(!pthread_create(&t, NULL, park_another_one, &i));
	pthread_join(t, NULL);
	/* a thread of io_uring's own is another thread */
	sqe = uring_park(&u, d.fd, i, WORD, 0, 1);
	sqe->flags = IOSQE_ASYNC;
	KT_EQ(uring_one(&u, sqe), -EPERM);
	/* and a child another process */
	pid = fork();
	if (!pid) {
		struct uring mine;
		int bad = uring_begin(&mine, 0);

		if (!bad) {
			uring_park(&mine, d.fd, i, WORD, 0, 1);
			bad = uring_submit(&mine, 0) != 1 ||
			      uring_result(&mine, 1) != -EPERM;
		}
		_exit(bad ? 1 : 0);
	}
	KT_EQ(waitpid(pid, &status, 0), pid);
	KT_EQ(status, 0);
	end();
}

KT_TEST(a_context_needs_setup_and_write_access)
{
	int fd;

	NEED_URING();
	KT_REQUIRE(!uring_begin(&u, 0));
	fd = dev_open(O_RDWR);
	KT_EQ(uring_one(&u, uring_park(&u, fd, 0, WORD, 0, 1)), -ENXIO);
	KT_EQ(uring_one(&u, uring_event_wait(&u, fd, 0, 1)), -ENXIO);
	close(fd);
	fd = dev_open(O_RDONLY);
	KT_EQ(uring_one(&u, uring_park(&u, fd, 0, WORD, 0, 1)), -EBADF);
	close(fd);
	uring_end(&u);
}

KT_TEST(a_close_ends_a_park)
{
	long long contexts;
	int i;

	NEED_URING();
	contexts = sysfs_read("contexts");
	i = begin();
	KT_REQUIRE(i >= 0);
	uring_park(&u, d.fd, i, WORD, PULSE_NO_DEADLINE, 1);
	KT_EQ(uring_submit(&u, 0), 1);
	close(dup(d.fd));
	KT_EQ(uring_result(&u, 1), -ECANCELED);
	/* it took the cancellation */
	KT_EQ(park(d.fd, i, WORD, 0), -ETIMEDOUT);
	/* the last descriptor */
	uring_park(&u, d.fd, i, WORD, PULSE_NO_DEADLINE, 2);
	KT_EQ(uring_submit(&u, 0), 1);
	close(d.fd);
	d.fd = -1;
	KT_EQ(uring_result(&u, 2), -ECANCELED);
	dev_end(&d);
	uring_end(&u);
	/* the worker still holds its context */
	KT_EQ(sysfs_read("contexts"), contexts + 1);
}

KT_TEST(the_end_of_a_worker_ends_its_park)
{
	int i;

	NEED_URING();
	i = begin();
	KT_REQUIRE(i >= 0);
	for (__u64 n = 0; n < 100; n++) {
		uring_park(&u, d.fd, i, WORD,
			   n & 1 ? now_ns() + NS_PER_MS : PULSE_NO_DEADLINE, n);
		KT_EQ(uring_submit(&u, 0), 1);
		if (n % 3 == 0)
			wake_one(d.fd, i);
		KT_EQ(worker_del(d.fd, i), 0);
		KT_EQ(dev_join(&d, PULSE_NODE_ANY), i);
		if (n & 1)
			KT_CHECK(uring_result(&u, n) != URING_NONE);
		else
			KT_EQ(uring_result(&u, n), n % 3 ? -ECANCELED : 0);
		/* nothing of it is left to the next */
		KT_EQ(park(d.fd, i, WORD, 0), -ETIMEDOUT);
	}
	end();
}

KT_TEST(a_ring_that_goes_takes_its_park_along)
{
	long long contexts;
	int i;

	NEED_URING();
	contexts = sysfs_read("contexts");
	for (int n = 0; n < 20; n++) {
		i = begin();
		KT_REQUIRE(i >= 0);
		uring_park(&u, d.fd, i, WORD,
			   n & 1 ? now_ns() + 3600 * NS_PER_SEC : PULSE_NO_DEADLINE,
			   1);
		KT_EQ(uring_submit(&u, 0), 1);
		uring_end(&u);
		KT_CHECK(EVENTUALLY(park(d.fd, i, WORD, 0) == -ETIMEDOUT));
		KT_EQ(wake_one(d.fd, i), 1);
		KT_EQ(park(d.fd, i, WORD, PULSE_NO_DEADLINE), 0);
		dev_end(&d);
	}
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

static struct {
	struct uring ring;
	int index;
} dying;

static void *die_with_a_park(void *arg)
{
	(void)arg;
	dying.index = worker_add(d.fd, PULSE_NODE_ANY);
	if (dying.index < 0)
		return NULL;
	set_word(&d, dying.index, WORD);
	uring_park(&dying.ring, d.fd, dying.index, WORD, PULSE_NO_DEADLINE, 9);
	KT_EQ(uring_submit(&dying.ring, 0), 1);
	return NULL;
}

KT_TEST(a_thread_that_dies_leaves_no_park)
{
	long long contexts;
	pthread_t t;

	NEED_URING();
	contexts = sysfs_read("contexts");
	KT_REQUIRE(!dev_begin(&d, 2));
	for (int n = 0; n < 20; n++) {
		KT_REQUIRE(!uring_begin(&dying.ring, 0));
		KT_REQUIRE(!pthread_create(&t, NULL, die_with_a_park, NULL));
		pthread_join(t, NULL);
		KT_REQUIRE(dying.index >= 0);
		KT_EQ(uring_result(&dying.ring, 9), -ECANCELED);
		KT_CHECK(EVENTUALLY(state_of(&d, dying.index) ==
				    PULSE_STATE_FREE));
		uring_end(&dying.ring);
	}
	dev_end(&d);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

/* In a child: parks, and waits for events, through a ring; then as @how says. */
static void child_with_commands(char how, int ready)
{
	int i;

	if (uring_begin(&u, 0) || dev_begin_events(&d, 4, 4096, 0))
		_exit(1);
	i = dev_join(&d, PULSE_NODE_ANY);
	set_word(&d, i, WORD);
	uring_park(&u, d.fd, i, WORD, PULSE_NO_DEADLINE, 1);
	uring_event_wait(&u, d.fd, now_ns() + 3600 * NS_PER_SEC, 2);
	if (uring_submit(&u, 0) != 2 || write(ready, "", 1) != 1)
		_exit(1);
	if (how == 'e') {
		fcntl(d.fd, F_SETFD, 0);
		execl("/bin/true", "true", NULL);
	}
	if (how == 'x')
		_exit(0);
	uring_submit(&u, 1);
	_exit(2);
}

/* K20, P07: nothing stays behind of a process, however it ends. */
KT_TEST(exit_exec_and_kill_end_commands)
{
	long long contexts, workers;
	int status, fds[2];
	pid_t pid;
	char c;

	NEED_URING();
	contexts = sysfs_read("contexts");
	workers = sysfs_read("workers");
	for (int n = 0; n < 30; n++) {
		KT_REQUIRE(!pipe(fds));
		pid = fork();
		if (!pid)
			child_with_commands("xek"[n % 3], fds[1]);
		close(fds[1]);
		KT_EQ(read(fds[0], &c, 1), 1);
		close(fds[0]);
		if (n % 3 == 2)
			kill(pid, SIGKILL);
		KT_EQ(waitpid(pid, &status, 0), pid);
		KT_EQ(status, n % 3 == 2 ? SIGKILL : 0);
	}
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
	KT_CHECK(EVENTUALLY(sysfs_read("workers") == workers));
}

KT_MAIN()
