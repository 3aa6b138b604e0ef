// SPDX-License-Identifier: GPL-2.0-only
/*
 * The netlink group "events", and owners who listen without it: what happens is
 * told, in order and by number, and nobody waits for a listener who does not read.
 */
#include "nl.h"

static struct nl n;	/* listens */
static struct nl ask;	/* asks */

#define NEED_GROUP()							\
	do {								\
		NEED_DEVICE();						\
		KT_REQUIRE(!nl_open(&n));				\
		KT_REQUIRE(!nl_open(&ask));				\
		KT_REQUIRE(!nl_join(&n));				\
	} while (0)

static void end_group(void)
{
	nl_close(&n);
	nl_close(&ask);
}

static __u64 seq;	/* of the last event, 0: none yet */

/* The next event; it is of this kind, and its number follows. */
static bool expect(struct nl_msg *m, int cmd)
{
	if (!nl_event(&n, m)) {
		kt_note("no event %d came", cmd);
		return false;
	}
	if (m->cmd != cmd)
		kt_note("event %d, not %d", m->cmd, cmd);
	if (seq)
		KT_EQ(nl_num(m, PULSE_NL_EVENT_SEQ), seq + 1);
	seq = nl_num(m, PULSE_NL_EVENT_SEQ);
	KT_CHECK(nl_num(m, PULSE_NL_EVENT_TIME_NS) <= (__u64)now_ns());
	return m->cmd == cmd;
}

KT_TEST(a_life_is_told_in_order)
{
	struct nl_msg m;
	struct dev d;
	__u32 id;

	NEED_GROUP();
	seq = 0;
	KT_REQUIRE(!dev_begin(&d, 2));
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_CTX_NEW));
	id = (__u32)nl_num(&m, PULSE_NL_EVENT_CTX_ID);
	KT_CHECK(id);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_UID), getuid());
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_PID), getpid());

	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_WORKER_NEW));
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_CTX_ID), id);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_INDEX), 0);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_TID), getpid());
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_INCARNATION), d.kstate[0].incarnation);

	KT_EQ(nl_knob_set(&ask, id, "spin_us", 3), 0);
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_KNOB_CHANGED));
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_CTX_ID), id);
	KT_STREQ(nl_str(&m, PULSE_NL_EVENT_KNOB_NAME), "spin_us");
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_KNOB_VALUE), 3);

	dev_end(&d);
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_WORKER_DEL));
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_INDEX), 0);
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_CTX_DEL));
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_CTX_ID), id);
	end_group();
}

KT_TEST(a_knob_of_the_module_is_told_however_it_was_set)
{
	struct nl_msg m;

	NEED_GROUP();
	seq = 0;
	KT_EQ(sysfs_write("watch_interval_ms", 50), 0);
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_KNOB_CHANGED));
	KT_CHECK(!m.attr[PULSE_NL_EVENT_CTX_ID]);
	KT_STREQ(nl_str(&m, PULSE_NL_EVENT_KNOB_NAME), "watch_interval_ms");
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_KNOB_VALUE), 50);
	KT_EQ(sysfs_write("watch_interval_ms", 0), -ERANGE);
	KT_EQ(nl_knob_set(&ask, 0, "watch_interval_ms", 60001), -ERANGE);
	KT_EQ(nl_knob_set(&ask, 0, "watch_interval_ms", 100), 0);
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_KNOB_CHANGED));
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_KNOB_VALUE), 100);
	end_group();
}

static int tid;

static void *die_registered(void *arg)
{
	struct dev *d = arg;

	tid = (int)syscall(SYS_gettid);
	if (worker_add(d->fd, PULSE_NODE_ANY) >= 0)
		d->uwork[0].job = 42;
	return NULL;
}

KT_TEST(a_death_is_told_with_its_job)
{
	struct nl_msg m;
	pthread_t t;
	struct dev d;

	NEED_GROUP();
	seq = 0;
	KT_REQUIRE(!dev_begin(&d, 2));
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_CTX_NEW));
	KT_REQUIRE(!pthread_create(&t, NULL, die_registered, &d));
	pthread_join(t, NULL);
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_WORKER_NEW));
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_WORKER_DEATH));
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_INDEX), 0);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_TID), tid);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_PID), getpid());
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_EXIT_CODE), 0);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_SIGNAL), 0);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_JOB), 42);
	dev_end(&d);
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_CTX_DEL));
	end_group();
}

/* Sleeps, and not in PARK, until it is told to end. */
static volatile int end;

static void *blocked(void *arg)
{
	struct dev *d = arg;
	int index = worker_add(d->fd, PULSE_NODE_ANY);

	while (!end)
		sleep_ms(2000);
	if (index >= 0)
		worker_del(d->fd, index);
	return NULL;
}

KT_TEST(verdicts_of_the_watch_are_told)
{
	struct nl_msg m;
	int id, proc;
	pthread_t t;
	struct dev d;
	pid_t pid;

	NEED_GROUP();
	seq = 0;
	KT_REQUIRE(!dev_begin_events(&d, 2, 4096, 0));
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_CTX_NEW));
	end = 0;
	KT_REQUIRE(!pthread_create(&t, NULL, blocked, &d));
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_WORKER_NEW));
	id = watch(d.fd, (struct pulse_watch) { .kind = PULSE_WATCH_WORKER,
			.cookie = 9, .blocked_ns = NS_PER_MS });
	KT_REQUIRE(id > 0);
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_HANG));
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_VERDICT), PULSE_HANG_BLOCKED);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_STATE), PULSE_STATE_BLOCKED);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_WATCH), id);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_COOKIE), 9);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_INDEX), 0);
	KT_CHECK(nl_num(&m, PULSE_NL_EVENT_FOR_NS) >= (__u64)NS_PER_MS);
	KT_EQ(unwatch(d.fd, id), 0);

	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	proc = watch(d.fd, (struct pulse_watch) { .kind = PULSE_WATCH_PROCESS,
			.target = pid, .cookie = 11, .rss_bytes = 1 });
	KT_REQUIRE(proc > 0);
	/* the worker that sleeps may have been told once more meanwhile */
	do {
		KT_REQUIRE(nl_event(&n, &m));
	} while (m.cmd == PULSE_NL_CMD_HANG);
	KT_EQ(m.cmd, PULSE_NL_CMD_RSS);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_PID), pid);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_WATCH), proc);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_LIMIT_BYTES), 1);
	KT_CHECK(nl_num(&m, PULSE_NL_EVENT_RSS_BYTES) > 1);
	seq = nl_num(&m, PULSE_NL_EVENT_SEQ);

	kill(pid, SIGKILL);
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_PROCESS_DEATH));
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_PID), pid);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_SIGNAL), SIGKILL);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_COOKIE), 11);
	waitpid(pid, NULL, 0);
	end = 1;
	pthread_join(t, NULL);
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_WORKER_DEL));
	dev_end(&d);
	KT_REQUIRE(expect(&m, PULSE_NL_CMD_CTX_DEL));
	end_group();
}

/* A socket that is soon full. */
static void make_small(void)
{
	int small = 4096;

	KT_EQ(setsockopt(n.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
}

/*
 * Reads what a socket that was overrun had room for: some of @sent events, in one
 * piece. The number of the first of them, and how many in @told.
 */
static __u64 read_what_fitted(long sent, int *told)
{
	__u64 first = 0, last = 0;
	bool overrun = false;
	struct nl_msg m;

	*told = 0;
	for (;;) {
		ssize_t len = recv(n.fd, n.in, sizeof(n.in), MSG_DONTWAIT);

		if (len < 0 && errno == ENOBUFS) {
			overrun = true;
			continue;
		}
		if (len < 0)
			break;
		nl_parse(&m, (void *)n.in);
		if (!first)
			first = nl_num(&m, PULSE_NL_EVENT_SEQ);
		last = nl_num(&m, PULSE_NL_EVENT_SEQ);
		(*told)++;
	}
	KT_CHECK(overrun);
	KT_CHECKF(*told > 0 && *told < sent, "%d", *told);
	KT_EQ(last - first + 1, *told);
	return first;
}

/* N06 */
KT_TEST(a_listener_who_does_not_read_loses_events_and_holds_up_nobody)
{
	const long sets = 400;
	struct nl_msg m;
	__u64 first;
	int told;

	NEED_GROUP();
	make_small();
	for (long i = 0; i < sets; i++)
		KT_EQ(nl_knob_set(&ask, 0, "watch_interval_ms", 100), 0);
	first = read_what_fitted(sets, &told);

	/* from here on it reads, and the number says what was lost */
	KT_EQ(nl_knob_set(&ask, 0, "watch_interval_ms", 100), 0);
	KT_REQUIRE(nl_event(&n, &m));
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_SEQ), first + (__u64)sets);
	end_group();
}

KT_TEST(two_listeners_hear_the_same)
{
	static struct nl other;
	struct nl_msg m, o;

	NEED_GROUP();
	KT_REQUIRE(!nl_open(&other));
	KT_REQUIRE(!nl_join(&other));
	KT_EQ(nl_knob_set(&ask, 0, "wake_spill", 0), 0);
	KT_REQUIRE(nl_event(&n, &m));
	KT_REQUIRE(nl_event(&other, &o));
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_SEQ), nl_num(&o, PULSE_NL_EVENT_SEQ));
	nl_close(&other);
	end_group();
}

static int free_fd;

/* Someone without rights; 0, or the number of what was wrong. */
static int owner(void *arg)
{
	struct nl_msg m;
	int i;

	(void)arg;
	if (become(4001) || nl_open(&n))
		return 99;
	if (nl_join(&n) != -EPERM || nl_listen(&n) || nl_listen(&n) != -EEXIST)
		return 1;
	seq = 0;
	/* opened by root, set up by us: ours */
	if (dev_setup(free_fd, 2, 2, 0) || !expect(&m, PULSE_NL_CMD_CTX_NEW) ||
	    seq != 1)
		return 2;
	if (nl_num(&m, PULSE_NL_EVENT_UID) != 4001 ||
	    nl_num(&m, PULSE_NL_EVENT_PID) != (__u64)getpid())
		return 3;
	i = worker_add(free_fd, PULSE_NODE_ANY);
	if (i < 0 || !expect(&m, PULSE_NL_CMD_WORKER_NEW) || seq != 2)
		return 4;
	if (worker_del(free_fd, i) || !expect(&m, PULSE_NL_CMD_WORKER_DEL))
		return 5;
	/* nothing of what root did meanwhile */
	return recv(n.fd, n.in, sizeof(n.in), MSG_DONTWAIT) < 0 &&
	       errno == EAGAIN ? 0 : 6;
}

static void *root_is_busy(void *arg)
{
	struct dev d;

	while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE)) {
		if (!KT_CHECK(!dev_begin(&d, 2)))
			break;
		dev_join(&d, PULSE_NODE_ANY);
		dev_end(&d);
		sysfs_write("wake_spill", 0);
	}
	return NULL;
}

/* N01, N03: without any capability, and of his own contexts alone. */
KT_TEST(an_owner_is_told_of_his_own)
{
	struct nl_msg m;
	pthread_t t;
	int stop = 0;

	NEED_DEVICE();
	free_fd = dev_open(O_RDWR);
	KT_REQUIRE(free_fd >= 0);
	KT_REQUIRE(!pthread_create(&t, NULL, root_is_busy, &stop));
	KT_EQ(in_child(owner, NULL), 0);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(t, NULL);

	/* root, too, hears that way of root's alone: not that this one goes */
	KT_REQUIRE(!nl_open(&n));
	KT_EQ(nl_listen(&n), 0);
	close(free_fd);
	free_fd = dev_open(O_RDWR);
	KT_EQ(dev_setup(free_fd, 2, 2, 0), 0);
	KT_REQUIRE(nl_event(&n, &m));
	KT_EQ(m.cmd, PULSE_NL_CMD_CTX_NEW);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_SEQ), 1);
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_PID), getpid());
	close(free_fd);
	KT_REQUIRE(nl_event(&n, &m));
	KT_EQ(m.cmd, PULSE_NL_CMD_CTX_DEL);
	nl_close(&n);
}

/* N06, of an owner: what he loses is counted, and his numbers say how much. */
KT_TEST(an_owner_who_does_not_read_holds_up_nobody)
{
	const long events = 400;
	long long drops;
	struct nl_msg m;
	struct dev d;
	int told;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 2));
	KT_REQUIRE(!nl_open(&n));
	KT_EQ(nl_listen(&n), 0);
	make_small();
	drops = sysfs_read("netlink_drops");
	for (long i = 0; i < events / 2; i++) {
		KT_EQ(worker_add(d.fd, PULSE_NODE_ANY), 0);
		KT_EQ(worker_del(d.fd, 0), 0);
	}
	KT_EQ(read_what_fitted(events, &told), 1);
	KT_EQ(sysfs_read("netlink_drops") - drops, events - told);
	KT_EQ(worker_add(d.fd, PULSE_NODE_ANY), 0);
	KT_REQUIRE(nl_event(&n, &m));
	KT_EQ(nl_num(&m, PULSE_NL_EVENT_SEQ), events + 1);
	KT_EQ(worker_del(d.fd, 0), 0);
	nl_close(&n);
	dev_end(&d);
}

/* Its opener is somebody, and then it is root who sends. */
static int with_a_strangers_socket(void *arg)
{
	(void)arg;
	if (setresuid(4001, 4001, 0) || nl_open(&n) || setresuid(0, 0, 0))
		return 99;
	return nl_listen(&n) != -EPERM ? 1 : 0;
}

KT_TEST(who_listens_is_bounded)
{
	static struct nl sock[PULSE_NL_MAX_LISTENERS_PER_USER + 1];
	const int most = PULSE_NL_MAX_LISTENERS_PER_USER;

	NEED_DEVICE();
	for (int i = 0; i <= most; i++) {
		KT_REQUIRE(!nl_open(&sock[i]));
		KT_EQ(nl_listen(&sock[i]), i < most ? 0 : -EDQUOT);
	}
	/* a socket that is closed leaves its place */
	nl_close(&sock[0]);
	KT_EQ(nl_listen(&sock[most]), 0);
	for (int i = 1; i <= most; i++)
		nl_close(&sock[i]);

	KT_REQUIRE(!nl_open(&ask));
	nl_ask(&ask, PULSE_NL_CMD_LISTEN, NL_ACK);
	nl_put_u32(&ask, 1, 0);
	KT_EQ(nl_talk(&ask, NULL, NULL), -EINVAL);
	nl_close(&ask);
	KT_EQ(in_child(with_a_strangers_socket, NULL), 0);
}

KT_MAIN()
