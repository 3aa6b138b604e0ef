// SPDX-License-Identifier: GPL-2.0-only
/*
 * HINT: a worker gets what it asks for if sched_setattr(2) would give it, and
 * keeps what it did not ask for.
 */
#include <grp.h>
#include <sys/resource.h>

#include "dev.h"

#define WORD	PULSE_PARK_WORD(6, PULSE_PARK_PARKING)

/* Policies of <linux/sched.h>, which does not go with <sched.h>. */
#define POLICY_NORMAL	0
#define POLICY_FIFO	1
#define POLICY_BATCH	3
#define POLICY_IDLE	5

struct attr {
	__u32 size;
	__u32 policy;
	__u64 flags;
	__s32 nice;
	__u32 priority;
	__u64 runtime;
	__u64 deadline;
	__u64 period;
	__u32 util_min;
	__u32 util_max;
};

static struct dev d;

static struct attr attr_of(int tid)
{
	struct attr a = { 0 };

	syscall(SYS_sched_getattr, tid, &a, sizeof(a), 0);
	return a;
}

static int hint(int index, struct pulse_hint h)
{
	h.size = sizeof(h);
	h.index = (__u32)index;
	return dev_ioctl(d.fd, PULSE_IOC_HINT, &h);
}

#define HINT(index, ...)	hint(index, (struct pulse_hint){ __VA_ARGS__ })
#define NICE(index, n)		HINT(index, .mask = PULSE_HINT_NICE, .nice = (n))
#define CLASS(index, c)		HINT(index, .mask = PULSE_HINT_CLASS, \
				     .sched_class = (c))
#define SLICE(index, ns)	HINT(index, .mask = PULSE_HINT_SLICE, \
				     .slice_ns = (ns))
#define UCLAMP(index, lo, hi)	HINT(index, .mask = PULSE_HINT_UCLAMP, \
				     .uclamp_min = (lo), .uclamp_max = (hi))
#define NODE(index, n)		HINT(index, .mask = PULSE_HINT_NODE, .node = (n))

static int begin_as_worker(void)
{
	return dev_begin(&d, 8) ? -1 : dev_join(&d, PULSE_NODE_ANY);
}

/* In a child, so that the next test begins with a fresh thread. */
#define IN_CHILD(fn, ...)						\
	KT_TEST(fn)							\
	{								\
		int got_;						\
									\
		NEED_DEVICE();						\
		got_ = in_child(fn##_, NULL);				\
		KT_CHECKF(!got_, "failed in line %d", got_);		\
	}

/* Lines fit an exit status: counted from where the tests begin. */
#define FIRST		__LINE__
enum { first_line = FIRST };
#define MUST(cond)							\
	do {								\
		if (!(cond))						\
			return __LINE__ - first_line;			\
	} while (0)

static int root_gets_nice_and_class_(void *arg)
{
	(void)arg;
	MUST(begin_as_worker() == 0);
	MUST(!NICE(0, -5));
	MUST(attr_of(0).nice == -5 && attr_of(0).policy == POLICY_NORMAL);
	MUST(!CLASS(0, PULSE_CLASS_BATCH));
	MUST(attr_of(0).nice == -5 && attr_of(0).policy == POLICY_BATCH);
	MUST(!CLASS(0, PULSE_CLASS_FIFO));
	MUST(attr_of(0).policy == POLICY_FIFO && attr_of(0).priority == 1);
	MUST(NICE(0, 3) == -EINVAL);
	MUST(!HINT(0, .mask = PULSE_HINT_CLASS | PULSE_HINT_NICE,
		   .sched_class = PULSE_CLASS_BATCH, .nice = 7));
	MUST(attr_of(0).policy == POLICY_BATCH && attr_of(0).nice == 7);
	MUST(!CLASS(0, PULSE_CLASS_IDLE));
	MUST(attr_of(0).policy == POLICY_IDLE && NICE(0, 3) == -EINVAL);
	MUST(!CLASS(0, PULSE_CLASS_NORMAL));
	MUST(attr_of(0).policy == POLICY_NORMAL && attr_of(0).nice == 7);
	MUST(!NICE(0, 19) && !NICE(0, -20) && !NICE(0, 0));
	/* reset on fork stays */
	MUST(!sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK,
				 &(struct sched_param){ 0 }));
	MUST(!NICE(0, 2));
	MUST(attr_of(0).flags & 1);
	return 0;
}
IN_CHILD(root_gets_nice_and_class)

/* S05 */
static int a_slice_is_kept_or_not_to_be_had_(void *arg)
{
	(void)arg;
	MUST(begin_as_worker() == 0);
	if (!(d.info.features & PULSE_FEAT_HINT_SLICE)) {
		MUST(SLICE(0, 1000000) == -EOPNOTSUPP);
		return 0;
	}
	MUST(!SLICE(0, 500000));
	MUST(attr_of(0).runtime == 500000);
	MUST(!NICE(0, 1));
	MUST(attr_of(0).runtime == 500000 && attr_of(0).nice == 1);
	MUST(SLICE(0, 1) == -EINVAL);
	MUST(SLICE(0, PULSE_MIN_SLICE_NS - 1) == -EINVAL);
	MUST(SLICE(0, PULSE_MAX_SLICE_NS + 1) == -EINVAL);
	MUST(SLICE(0, UINT64_MAX) == -EINVAL);
	MUST(attr_of(0).runtime == 500000);
	MUST(!SLICE(0, PULSE_MIN_SLICE_NS) && !SLICE(0, PULSE_MAX_SLICE_NS));
	MUST(!SLICE(0, 0));
	MUST(attr_of(0).runtime != PULSE_MAX_SLICE_NS);
	return 0;
}
IN_CHILD(a_slice_is_kept_or_not_to_be_had)

static int clamps_are_set_or_not_to_be_had_(void *arg)
{
	(void)arg;
	MUST(begin_as_worker() == 0);
	if (!(d.info.features & PULSE_FEAT_HINT_UCLAMP)) {
		MUST(UCLAMP(0, 0, 512) == -EOPNOTSUPP);
		return 0;
	}
	MUST(!UCLAMP(0, 100, 700));
	MUST(attr_of(0).util_min == 100 && attr_of(0).util_max == 700);
	MUST(!NICE(0, 1));
	MUST(attr_of(0).util_min == 100 && attr_of(0).util_max == 700);
	MUST(UCLAMP(0, 701, 700) == -EINVAL);
	MUST(UCLAMP(0, 0, PULSE_MAX_UCLAMP + 1) == -EINVAL);
	MUST(UCLAMP(0, UINT32_MAX, UINT32_MAX) == -EINVAL);
	MUST(attr_of(0).util_min == 100 && attr_of(0).util_max == 700);
	MUST(!UCLAMP(0, 0, PULSE_MAX_UCLAMP));
	return 0;
}
IN_CHILD(clamps_are_set_or_not_to_be_had)

static int become_nobody(rlim_t nice, rlim_t rtprio)
{
	struct rlimit n = { nice, nice }, r = { rtprio, rtprio };

	return setrlimit(RLIMIT_NICE, &n) || setrlimit(RLIMIT_RTPRIO, &r) ||
	       setgroups(0, NULL) || setgid(65534) || setuid(65534);
}

/* S03 */
static int nobody_gets_only_less_(void *arg)
{
	(void)arg;
	MUST(begin_as_worker() == 0);
	MUST(!become_nobody(0, 0));
	MUST(NICE(0, -1) == -EPERM && NICE(0, -20) == -EPERM);
	MUST(CLASS(0, PULSE_CLASS_FIFO) == -EPERM);
	MUST(attr_of(0).nice == 0 && attr_of(0).policy == POLICY_NORMAL);
	MUST(!NICE(0, 5));
	MUST(attr_of(0).nice == 5);
	MUST(NICE(0, 4) == -EPERM);
	MUST(!NICE(0, 5));
	MUST(!CLASS(0, PULSE_CLASS_BATCH) && !CLASS(0, PULSE_CLASS_NORMAL));
	MUST(!CLASS(0, PULSE_CLASS_IDLE));
	MUST(CLASS(0, PULSE_CLASS_NORMAL) == -EPERM);
	MUST(attr_of(0).policy == POLICY_IDLE && attr_of(0).nice == 5);
	return 0;
}
IN_CHILD(nobody_gets_only_less)

static int limits_give_nobody_more_(void *arg)
{
	(void)arg;
	MUST(begin_as_worker() == 0);
	MUST(!become_nobody(25, 1));
	MUST(!NICE(0, -5) && NICE(0, -6) == -EPERM);
	MUST(attr_of(0).nice == -5);
	MUST(!CLASS(0, PULSE_CLASS_IDLE) && !CLASS(0, PULSE_CLASS_NORMAL));
	MUST(!CLASS(0, PULSE_CLASS_FIFO));
	MUST(attr_of(0).policy == POLICY_FIFO && attr_of(0).priority == 1);
	MUST(!CLASS(0, PULSE_CLASS_NORMAL));
	return 0;
}
IN_CHILD(limits_give_nobody_more)

/* S06 */
static int threads_of_the_process_may_be_asked_for_(void *arg)
{
	struct parker p = { .word = WORD };

	(void)arg;
	MUST(begin_as_worker() == 0);
	MUST(parker_start(&p, &d, PULSE_NODE_ANY));
	MUST(!NICE(p.index, 4));
	MUST(attr_of(p.tid).nice == 4 && attr_of(0).nice == 0);
	/* at home is everybody by himself */
	MUST(NODE(p.index, 0) == -EPERM);
	parker_stop(&p);
	MUST(NICE(p.index, 4) == -ESRCH);
	MUST(NICE(8, 4) == -ESRCH && NICE(-1, 4) == -ESRCH);
	MUST(NODE(7, 0) == -ESRCH);
	return 0;
}
IN_CHILD(threads_of_the_process_may_be_asked_for)

static int what_is_out_of_range_is_refused_(void *arg)
{
	cpu_set_t before, after;

	(void)arg;
	MUST(begin_as_worker() == 0);
	sched_getaffinity(0, sizeof(before), &before);
	MUST(HINT(0, .mask = 0) == -EINVAL);
	for (int bit = 5; bit < 32; bit++)
		MUST(HINT(0, .mask = 1U << bit | PULSE_HINT_NICE) == -EINVAL);
	MUST(NICE(0, -21) == -EINVAL && NICE(0, 20) == -EINVAL);
	MUST(NICE(0, INT32_MIN) == -EINVAL && NICE(0, INT32_MAX) == -EINVAL);
	MUST(CLASS(0, 4) == -EINVAL && CLASS(0, UINT32_MAX) == -EINVAL);
	MUST(NODE(0, -1) == -EINVAL && NODE(0, 99) == -EINVAL);
	MUST(NODE(0, INT32_MAX) == -EINVAL);
	/* all of it or none */
	MUST(HINT(0, .mask = PULSE_HINT_NICE | PULSE_HINT_NODE, .nice = 3,
		  .node = 99) == -EINVAL);
	MUST(HINT(0, .mask = PULSE_HINT_NICE | PULSE_HINT_CLASS, .nice = 3,
		  .sched_class = PULSE_CLASS_FIFO) == -EINVAL);
	MUST(attr_of(0).nice == 0 && attr_of(0).policy == POLICY_NORMAL);
	sched_getaffinity(0, sizeof(after), &after);
	MUST(CPU_EQUAL(&before, &after));
	return 0;
}
IN_CHILD(what_is_out_of_range_is_refused)

static int the_home_node_is_where_wake_node_looks_(void *arg)
{
	(void)arg;
	MUST(begin_as_worker() == 0);
	if (d.hdr->nr_nodes < 2)
		return 0;
	set_word(&d, 0, WORD);	/* as if it were about to park */
	for (int n = 0; n < 20; n++) {
		int home = n & 1;

		MUST(!NODE(0, home));
		MUST(wake_node(d.fd, !home, 1, 0) == 0);
		MUST(wake_node(d.fd, home, 1, 0) == 1);
		MUST(!park(d.fd, 0, WORD, 0));
	}
	MUST(worker_del(d.fd, 0) == 0);
	MUST(wake_node(d.fd, 0, 1, PULSE_WAKE_SPILL) == 0);
	return 0;
}
IN_CHILD(the_home_node_is_where_wake_node_looks)

KT_MAIN()
