// SPDX-License-Identifier: GPL-2.0-only
/*
 * The netlink family "pulse": what is told is true, and told to whom it may be.
 * Requests that are wrong: test_netlink_bad.c.
 */
#include <grp.h>

#include "nl.h"

static struct nl n;

#define NEED_FAMILY()							\
	do {								\
		NEED_DEVICE();						\
		KT_REQUIRE(!nl_open(&n));				\
	} while (0)

/* What a dump told of the contexts of this process. */
struct seen {
	int total;
	int mine;
	__u32 last;		/* id of the last that was mine */
	struct { __u32 id; int times; } ctx[400];
};

static void see_ctx(const struct nl_msg *m, void *arg)
{
	__u32 id = (__u32)nl_num(m, PULSE_NL_CTX_ID);
	struct seen *s = arg;
	int i;

	s->total++;
	if (nl_num(m, PULSE_NL_CTX_PID) != (__u64)getpid())
		return;
	s->last = id;
	for (i = 0; i < s->mine && s->ctx[i].id != id; i++)
		;
	if (i == s->mine && i < 400)
		s->ctx[s->mine++].id = id;
	if (i < 400)
		s->ctx[i].times++;
}

static struct seen seen;

static int dump_contexts(void)
{
	memset(&seen, 0, sizeof(seen));
	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_DUMP);
	return nl_talk(&n, see_ctx, &seen);
}

/* The number of the context that this process has; 0: it has none, or many. */
static __u32 my_ctx(void)
{
	return dump_contexts() || seen.mine != 1 ? 0 : seen.last;
}

/* A message lies in a buffer that is used again: its numbers are copied. */
static __u64 got[NL_MAX_ATTRS];

static void keep(const struct nl_msg *m, void *arg)
{
	int *count = arg;

	for (int i = 0; i < NL_MAX_ATTRS; i++)
		got[i] = nl_num(m, i);
	(*count)++;
}

KT_TEST(a_context_is_told_as_it_was_set_up)
{
	struct dev d;
	int count = 0;
	__u32 id;

	NEED_FAMILY();
	KT_REQUIRE(!dev_begin_events(&d, 7, 8192, PULSE_CTX_SHARED));
	id = my_ctx();
	KT_REQUIRE(id);
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_ACK);
	nl_put_u32(&n, PULSE_NL_CTX_ID, id);
	KT_EQ(nl_talk(&n, keep, &count), 0);
	KT_REQUIRE(count == 1);
	KT_EQ(got[PULSE_NL_CTX_ID], id);
	KT_EQ(got[PULSE_NL_CTX_UID], getuid());
	KT_EQ(got[PULSE_NL_CTX_PID], getpid());
	KT_EQ(got[PULSE_NL_CTX_FLAGS], PULSE_CTX_SHARED);
	KT_EQ(got[PULSE_NL_CTX_MAX_WORKERS], 7);
	KT_EQ(got[PULSE_NL_CTX_WORKERS], 1);
	KT_EQ(got[PULSE_NL_CTX_NODES], d.info.nr_nodes);
	KT_EQ(got[PULSE_NL_CTX_RING_ENTRIES], 64);
	KT_EQ(got[PULSE_NL_CTX_EVENT_BYTES], 8192);
	KT_CHECK(got[PULSE_NL_CTX_PAGES] >=
		 (d.info.hdr_bytes + d.info.kstate_bytes) / 4096);
	KT_EQ(got[PULSE_NL_CTX_WATCHES], 0);
	KT_EQ(got[PULSE_NL_CTX_DROPPED], 0);
	dev_end(&d);
	KT_EQ(dump_contexts(), 0);
	KT_EQ(seen.mine, 0);
	nl_close(&n);
}

static struct { __u32 tid, pid, state, ctx; __s32 home; char comm[32]; } crew[8];

static void see_worker(const struct nl_msg *m, void *arg)
{
	__u32 i = (__u32)nl_num(m, PULSE_NL_WORKER_INDEX);
	int *count = arg;

	(*count)++;
	if (i >= 8)
		return;
	crew[i].ctx = (__u32)nl_num(m, PULSE_NL_WORKER_CTX_ID);
	crew[i].tid = (__u32)nl_num(m, PULSE_NL_WORKER_TID);
	crew[i].pid = (__u32)nl_num(m, PULSE_NL_WORKER_PID);
	crew[i].state = (__u32)nl_num(m, PULSE_NL_WORKER_STATE);
	crew[i].home = (__s32)nl_num(m, PULSE_NL_WORKER_HOME);
	snprintf(crew[i].comm, sizeof(crew[i].comm), "%s",
		 nl_str(m, PULSE_NL_WORKER_COMM));
}

static int dump_workers(__u32 ctx, int *count)
{
	*count = 0;
	memset(crew, 0, sizeof(crew));
	nl_ask(&n, PULSE_NL_CMD_WORKER_GET, NL_DUMP);
	if (ctx)
		nl_put_u32(&n, PULSE_NL_WORKER_CTX_ID, ctx);
	return nl_talk(&n, see_worker, count);
}

KT_TEST(workers_are_told_one_by_one_and_together)
{
	struct parker p[2] = { 0 };
	struct dev d;
	int count;
	__u32 id;

	NEED_FAMILY();
	KT_REQUIRE(!dev_begin(&d, 8));
	id = my_ctx();
	KT_REQUIRE(id);
	KT_EQ(dev_join(&d, 0), 0);
	for (int i = 0; i < 2; i++) {
		p[i].word = PULSE_PARK_WORD(1, PULSE_PARK_PARKING);
		KT_REQUIRE(parker_start(&p[i], &d, 0));
	}
	KT_EQ(dump_workers(id, &count), 0);
	KT_EQ(count, 3);
	KT_EQ(crew[0].tid, getpid());
	KT_EQ(crew[0].state, PULSE_STATE_RUNNING);
	KT_STREQ(crew[0].comm, "test_netlink");
	for (int i = 0; i < 2; i++) {
		KT_EQ(crew[p[i].index].tid, p[i].tid);
		KT_EQ(crew[p[i].index].pid, getpid());
		KT_EQ(crew[p[i].index].state, PULSE_STATE_PARKED);
		KT_EQ(crew[p[i].index].home, 0);
		KT_EQ(crew[p[i].index].ctx, id);
	}
	KT_EQ(dump_workers(0, &count), 0);
	KT_CHECK(count >= 3);

	count = 0;
	nl_ask(&n, PULSE_NL_CMD_WORKER_GET, NL_ACK);
	nl_put_u32(&n, PULSE_NL_WORKER_CTX_ID, id);
	nl_put_u32(&n, PULSE_NL_WORKER_INDEX, (__u32)p[1].index);
	KT_EQ(nl_talk(&n, see_worker, &count), 0);
	KT_EQ(count, 1);

	nl_ask(&n, PULSE_NL_CMD_WORKER_GET, NL_ACK);
	nl_put_u32(&n, PULSE_NL_WORKER_CTX_ID, id);
	nl_put_u32(&n, PULSE_NL_WORKER_INDEX, 7);
	KT_EQ(nl_talk(&n, NULL, NULL), -ESRCH);
	KT_CHECKF(strstr(n.text, "no such worker") || strstr(n.text, "no worker 7"),
		  "\"%s\"", n.text);
	for (int i = 0; i < 2; i++)
		parker_stop(&p[i]);
	dev_end(&d);
	nl_close(&n);
}

#define MANY	200

KT_TEST(a_dump_of_many_messages_has_each_context_once)
{
	static int fd[MANY];
	int made = 0;

	NEED_FAMILY();
	for (; made < MANY; made++) {
		fd[made] = dev_open(O_RDWR);
		KT_REQUIRE(fd[made] >= 0);
		KT_REQUIRE(!dev_setup(fd[made], 1, 2, 0));
	}
	KT_EQ(dump_contexts(), 0);
	KT_EQ(seen.mine, MANY);
	for (int i = 0; i < seen.mine; i++)
		KT_EQ(seen.ctx[i].times, 1);
	KT_CHECK(!n.intr);
	while (made--)
		close(fd[made]);
	nl_close(&n);
}

KT_TEST(what_comes_during_a_dump_marks_it)
{
	struct dev d, late;

	NEED_FAMILY();
	KT_REQUIRE(!dev_begin(&d, 1));
	/* its first message is written by the call that asks */
	memset(&seen, 0, sizeof(seen));
	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_DUMP);
	KT_REQUIRE(!nl_send(&n));
	KT_REQUIRE(!dev_begin(&late, 1));
	KT_EQ(nl_read(&n, see_ctx, &seen), 0);
	KT_CHECK(n.intr);
	/* new ones have higher numbers, so that it comes to them yet */
	KT_EQ(seen.mine, 2);
	dev_end(&late);
	KT_EQ(dump_contexts(), 0);
	KT_CHECK(!n.intr);
	dev_end(&d);
	nl_close(&n);
}

static void see_nothing(const struct nl_msg *m, void *arg)
{
	(void)m;
	(*(int *)arg)++;
}

static volatile int end;

/* @arg: counts the rounds. */
static void *come_and_go(void *arg)
{
	while (!end) {
		struct dev d;

		if (!dev_begin(&d, 4)) {
			dev_join(&d, PULSE_NODE_ANY);
			dev_end(&d);
			__atomic_add_fetch((long *)arg, 1, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

KT_TEST(dumps_while_contexts_and_workers_come_and_go)
{
	struct dev stay[2];
	pthread_t t[2];
	__u32 id[2];
	long rounds[2] = { 0 };

	NEED_FAMILY();
	for (int i = 0; i < 2; i++) {
		KT_REQUIRE(!dev_begin(&stay[i], 4));
		KT_EQ(dev_join(&stay[i], PULSE_NODE_ANY), 0);
		KT_REQUIRE(!dump_contexts());
		id[i] = seen.last;
	}
	end = 0;
	for (int i = 0; i < 2; i++)
		KT_REQUIRE(!pthread_create(&t[i], NULL, come_and_go,
					   &rounds[i]));
	for (long i = 0; i < kt_scale(2000); i++) {
		int found[2] = { 0 }, count;

		KT_EQ(dump_contexts(), 0);
		for (int k = 0; k < seen.mine; k++) {
			KT_EQ(seen.ctx[k].times, 1);
			for (int j = 0; j < 2; j++)
				found[j] += seen.ctx[k].id == id[j];
		}
		KT_CHECK(found[0] == 1 && found[1] == 1);
		KT_EQ(dump_workers(0, &count), 0);
		KT_CHECK(count >= 2);
	}
	for (int i = 0; i < 2; i++)
		KT_CHECK(EVENTUALLY(__atomic_load_n(&rounds[i], __ATOMIC_RELAXED) > 0));
	end = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 2; i++)
		dev_end(&stay[i]);
	nl_close(&n);
}

/* Asks, sets and listens on a socket of its own, until it is told to end. */
static void *asker(void *arg)
{
	struct nl *own = calloc(1, sizeof(*own));
	long bad = 0;

	if (!own || nl_open(own))
		return (void *)1;
	while (!end) {
		int count = 0, ret;

		nl_ask(own, PULSE_NL_CMD_WORKER_GET, NL_DUMP);
		bad += nl_talk(own, see_nothing, &count) != 0;
		bad += nl_knob_set(own, 0, arg, 0) != 0;
		nl_ask(own, PULSE_NL_CMD_KNOB_GET, NL_ACK);
		nl_put_str(own, PULSE_NL_KNOB_NAME, arg);
		bad += nl_talk(own, see_nothing, &count) != 0;
		nl_ask(own, PULSE_NL_CMD_CTX_GET, NL_ACK);
		nl_put_u32(own, PULSE_NL_CTX_ID, seen.last);
		ret = nl_talk(own, see_nothing, &count);
		bad += ret != 0 && ret != -ENOENT;
	}
	nl_close(own);
	free(own);
	return (void *)bad;
}

/* N07 */
KT_TEST(many_ask_at_once_while_contexts_come_and_go)
{
	pthread_t t[5];
	struct dev d;
	long rounds = 0;
	void *ret;

	NEED_FAMILY();
	KT_REQUIRE(!dev_begin(&d, 2));
	KT_REQUIRE(!dump_contexts());
	end = 0;
	KT_REQUIRE(!pthread_create(&t[0], NULL, come_and_go, &rounds));
	for (int i = 1; i < 5; i++)
		KT_REQUIRE(!pthread_create(&t[i], NULL, asker,
					   i % 2 ? "spin_us" : "wake_spill"));
	for (long i = 0; i < kt_scale(1000); i++) {
		KT_EQ(nl_knob_set(&n, seen.last, "spin_us", (__u32)i % 3), 0);
		KT_EQ(sysfs_read("spin_us"), 0);
	}
	KT_CHECK(EVENTUALLY(__atomic_load_n(&rounds, __ATOMIC_RELAXED) > 0));
	end = 1;
	pthread_join(t[0], NULL);
	for (int i = 1; i < 5; i++) {
		pthread_join(t[i], &ret);
		KT_EQ((long)ret, 0);
	}
	dev_end(&d);
	nl_close(&n);
}

/* ------------------------------------------------------------- permissions */

static __u32 roots_ctx;
static int free_fd;

/* N01; 0, or the number of what was wrong. */
static int as_somebody_else(void *arg)
{
	int count;

	(void)arg;
	if (become(4001) || nl_open(&n))
		return 99;
	/* opened by root, set up by us: ours */
	if (dev_setup(free_fd, 2, 2, 0) || worker_add(free_fd, PULSE_NODE_ANY))
		return 98;
	if (dump_contexts() || seen.total != 1 || seen.mine != 1 ||
	    seen.last == roots_ctx)
		return 1;
	if (dump_workers(0, &count) || count != 1)
		return 2;
	if (dump_workers(seen.last, &count) || count != 1)
		return 3;
	if (dump_workers(roots_ctx, &count) != -ENOENT)
		return 4;
	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_ACK);
	nl_put_u32(&n, PULSE_NL_CTX_ID, roots_ctx);
	if (nl_talk(&n, NULL, NULL) != -ENOENT)
		return 5;
	nl_ask(&n, PULSE_NL_CMD_KNOB_GET, NL_ACK);
	nl_put_u32(&n, PULSE_NL_KNOB_CTX_ID, roots_ctx);
	nl_put_str(&n, PULSE_NL_KNOB_NAME, "spin_us");
	if (nl_talk(&n, NULL, NULL) != -ENOENT)
		return 6;
	nl_ask(&n, PULSE_NL_CMD_KNOB_GET, NL_ACK);
	nl_put_str(&n, PULSE_NL_KNOB_NAME, "spin_us");
	if (nl_talk(&n, NULL, NULL))
		return 7;
	if (nl_knob_set(&n, 0, "spin_us", 1) != -EPERM)
		return 8;
	if (nl_knob_set(&n, seen.last, "spin_us", 1) != -EPERM)
		return 9;
	/* N03 */
	return nl_join(&n) != -EPERM ? 10 : 0;
}

KT_TEST(others_see_their_own_and_set_nothing)
{
	struct dev d;

	NEED_FAMILY();
	KT_REQUIRE(!dev_begin(&d, 2));
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	roots_ctx = my_ctx();
	KT_REQUIRE(roots_ctx);
	free_fd = dev_open(O_RDWR);
	KT_REQUIRE(free_fd >= 0);
	KT_EQ(in_child(as_somebody_else, NULL), 0);
	close(free_fd);
	KT_EQ(sysfs_read("spin_us"), 0);
	dev_end(&d);
	nl_close(&n);
}

/* Its opener is somebody, and then it is root who sends. */
static int with_a_strangers_socket(void *arg)
{
	(void)arg;
	if (setresuid(4001, 4001, 0) || nl_open(&n) || setresuid(0, 0, 0))
		return 99;
	if (dump_contexts() || seen.total)
		return 1;
	return nl_knob_set(&n, 0, "spin_us", 1) != -EPERM ? 2 : 0;
}

/* And the other way round. */
static int with_roots_socket(void *arg)
{
	(void)arg;
	if (nl_open(&n) || become(4001))
		return 99;
	if (dump_contexts() || seen.total)
		return 1;
	return nl_knob_set(&n, 0, "spin_us", 1) != -EPERM ? 2 : 0;
}

KT_TEST(a_socket_is_worth_what_its_opener_is)
{
	struct dev d;

	NEED_FAMILY();
	KT_REQUIRE(!dev_begin(&d, 2));
	KT_EQ(in_child(with_a_strangers_socket, NULL), 0);
	KT_EQ(in_child(with_roots_socket, NULL), 0);
	dev_end(&d);
	nl_close(&n);
}

/* N02 */
static int in_user_and_net_namespace(void *arg)
{
	(void)arg;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return 77;
	return nl_open(&n) == -ENOENT ? 0 : 1;
}

/* Every capability in a user namespace is none in the one that counts. */
static int in_user_namespace(void *arg)
{
	(void)arg;
	if (become(4001) || unshare(CLONE_NEWUSER))
		return 77;
	if (nl_open(&n))
		return 1;
	if (dump_contexts() || seen.total)
		return 2;
	if (nl_join(&n) != -EPERM)
		return 3;
	return nl_knob_set(&n, 0, "spin_us", 1) != -EPERM ? 4 : 0;
}

KT_TEST(namespaces_give_no_way_in)
{
	struct dev d;
	int ret;

	NEED_FAMILY();
	KT_REQUIRE(!dev_begin(&d, 2));
	ret = in_child(in_user_and_net_namespace, NULL);
	KT_CHECKF(ret == 0 || ret == 77, "%d", ret);
	ret = in_child(in_user_namespace, NULL);
	KT_CHECKF(ret == 0 || ret == 77, "%d", ret);
	dev_end(&d);
	nl_close(&n);
	if (ret == 77)
		KT_SKIP("this kernel makes no user namespaces");
}

static __u32 told_pid;

static void see_pid(const struct nl_msg *m, void *arg)
{
	if (nl_num(m, PULSE_NL_CTX_ID) == *(__u32 *)arg)
		told_pid = (__u32)nl_num(m, PULSE_NL_CTX_PID);
}

/* Process 1 of a pid namespace. */
static int first_of_its_own(void *arg)
{
	struct dev d;

	(void)arg;
	if (getpid() != 1 || nl_open(&n) || dev_begin(&d, 2))
		return 99;
	told_pid = 4711;
	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_DUMP);
	if (nl_talk(&n, see_pid, &roots_ctx) || told_pid != 0)
		return 1;
	if (!my_ctx())
		return 2;
	dev_end(&d);
	return 0;
}

static int in_pid_namespace(void *arg)
{
	if (unshare(CLONE_NEWPID))
		return 98;
	return in_child(first_of_its_own, arg);
}

KT_TEST(pids_are_those_of_who_asks)
{
	struct dev d;

	NEED_FAMILY();
	KT_REQUIRE(!dev_begin(&d, 2));
	roots_ctx = my_ctx();
	KT_REQUIRE(roots_ctx);
	KT_EQ(in_child(in_pid_namespace, NULL), 0);
	dev_end(&d);
	nl_close(&n);
}

/* ------------------------------------------------------------------- knobs */

static char names[16][32];
static __u32 values[16];

static void see_knob(const struct nl_msg *m, void *arg)
{
	int *count = arg;

	if (*count < 16) {
		snprintf(names[*count], sizeof(names[0]), "%s",
			 nl_str(m, PULSE_NL_KNOB_NAME));
		values[*count] = (__u32)nl_num(m, PULSE_NL_KNOB_VALUE);
	}
	(*count)++;
}

KT_TEST(knobs_are_those_of_sysfs)
{
	struct dev d;
	int count = 0;
	__u32 id;

	NEED_FAMILY();
	nl_ask(&n, PULSE_NL_CMD_KNOB_GET, NL_DUMP);
	KT_EQ(nl_talk(&n, see_knob, &count), 0);
	KT_EQ(count, 7);
	for (int i = 0; i < count; i++)
		KT_EQ(sysfs_read(names[i]), values[i]);
	KT_EQ(nl_knob_set(&n, 0, "watch_interval_ms", 77), 0);
	KT_EQ(sysfs_read("watch_interval_ms"), 77);
	KT_EQ(nl_knob_set(&n, 0, "watch_interval_ms", 100), 0);

	/* what a context begins with, and what it has of its own */
	KT_EQ(nl_knob_set(&n, 0, "spin_us", 5), 0);
	KT_REQUIRE(!dev_begin(&d, 2));
	id = my_ctx();
	KT_EQ(nl_knob_set(&n, 0, "spin_us", 0), 0);
	KT_EQ(nl_knob_set(&n, id, "wake_spill", 1), 0);
	count = 0;
	nl_ask(&n, PULSE_NL_CMD_KNOB_GET, NL_DUMP);
	nl_put_u32(&n, PULSE_NL_KNOB_CTX_ID, id);
	KT_EQ(nl_talk(&n, see_knob, &count), 0);
	KT_EQ(count, 2);
	KT_STREQ(names[0], "spin_us");
	KT_EQ(values[0], 5);
	KT_STREQ(names[1], "wake_spill");
	KT_EQ(values[1], 1);
	KT_EQ(sysfs_read("wake_spill"), 0);
	KT_EQ(nl_knob_set(&n, id, "beat_floor_us", 50), -ENOENT);
	dev_end(&d);
	KT_EQ(nl_knob_set(&n, id, "spin_us", 5), -ENOENT);
	nl_close(&n);
}

KT_MAIN()
