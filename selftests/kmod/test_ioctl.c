// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules that every command shares: sizes, flags, reserved fields, bad
 * addresses, unknown numbers, permissions, order. One table names the commands.
 */
#include "dev.h"

#define WORD	PULSE_PARK_WORD(1, PULSE_PARK_PARKING)

/* Room for the longest argument that any kernel will ever accept, and more. */
union arg {
	struct { __u32 size, flags; };
	struct pulse_info info;
	struct pulse_setup setup;
	struct pulse_worker_add add;
	struct pulse_worker_del del;
	struct pulse_park park;
	struct pulse_wake wake;
	struct pulse_wake_node node;
	struct pulse_handoff handoff;
	struct pulse_yield_to yield_to;
	struct pulse_beat beat;
	struct pulse_hint hint;
	struct pulse_watch watch;
	struct pulse_eventfd eventfd;
	unsigned char bytes[8192];
};

struct cmd {
	const char *name;
	unsigned long nr;
	__u32 size;		/* of the first version */
	__u32 flags;		/* those it knows */
	int reserved;		/* offset of a reserved word, or -1 */
};

static const struct cmd cmds[] = {
	{ "INFO", PULSE_IOC_INFO, PULSE_INFO_SIZE_VER0, 0, -1 },
	{ "SETUP", PULSE_IOC_SETUP, PULSE_SETUP_SIZE_VER0, PULSE_CTX_SHARED,
	  offsetof(struct pulse_setup, reserved) },
	{ "JOIN", PULSE_IOC_JOIN, PULSE_JOIN_SIZE_VER0, 0, -1 },
	{ "WORKER_ADD", PULSE_IOC_WORKER_ADD, PULSE_WORKER_ADD_SIZE_VER0, 0, -1 },
	{ "WORKER_DEL", PULSE_IOC_WORKER_DEL, PULSE_WORKER_DEL_SIZE_VER0, 0,
	  offsetof(struct pulse_worker_del, reserved) },
	{ "PARK", PULSE_IOC_PARK, PULSE_PARK_SIZE_VER0, 0, -1 },
	{ "WAKE", PULSE_IOC_WAKE, PULSE_WAKE_SIZE_VER0, 0, -1 },
	{ "WAKE_NODE", PULSE_IOC_WAKE_NODE, PULSE_WAKE_NODE_SIZE_VER0,
	  PULSE_WAKE_SPILL, offsetof(struct pulse_wake_node, reserved) },
	{ "HANDOFF", PULSE_IOC_HANDOFF, PULSE_HANDOFF_SIZE_VER0, 0,
	  offsetof(struct pulse_handoff, reserved) },
	{ "YIELD_TO", PULSE_IOC_YIELD_TO, PULSE_YIELD_TO_SIZE_VER0, 0,
	  offsetof(struct pulse_yield_to, reserved) },
	{ "HINT", PULSE_IOC_HINT, PULSE_HINT_SIZE_VER0, 0,
	  offsetof(struct pulse_hint, reserved) },
	{ "BEAT", PULSE_IOC_BEAT, PULSE_BEAT_SIZE_VER0, PULSE_BEAT_HEARD,
	  offsetof(struct pulse_beat, reserved) },
	{ "WATCH", PULSE_IOC_WATCH, PULSE_WATCH_SIZE_VER0,
	  PULSE_WATCH_KILL_HANG | PULSE_WATCH_KILL_RSS,
	  offsetof(struct pulse_watch, reserved) },
	{ "UNWATCH", PULSE_IOC_UNWATCH, PULSE_UNWATCH_SIZE_VER0, 0,
	  offsetof(struct pulse_unwatch, reserved) },
	{ "EVENTFD", PULSE_IOC_EVENTFD, PULSE_EVENTFD_SIZE_VER0, 0,
	  offsetof(struct pulse_eventfd, reserved) },
};

#define NR_CMDS (sizeof(cmds) / sizeof(cmds[0]))
#define for_each_cmd(c) for (c = cmds; c < cmds + NR_CMDS; c++)

/* Bytes that the command knows by now. */
static __u32 known(const struct cmd *c)
{
	switch (c->nr) {
	case PULSE_IOC_INFO:
		return sizeof(struct pulse_info);
	case PULSE_IOC_SETUP:
		return sizeof(struct pulse_setup);
	}
	return c->size;
}

/* An argument with which the command succeeds on what begin() made. */
static void fill(const struct cmd *c, union arg *a)
{
	static __u32 list[1];

	memset(a, 0, sizeof(*a));
	a->size = c->size;
	switch (c->nr) {
	case PULSE_IOC_SETUP:
		a->setup.max_workers = 4;
		a->setup.ring_entries = 16;
		break;
	case PULSE_IOC_WORKER_ADD:
		a->add.node = PULSE_NODE_ANY;
		break;
	case PULSE_IOC_PARK:
		a->park.word = WORD;
		a->park.deadline_ns = 0;
		break;
	case PULSE_IOC_WAKE:
		a->wake.indices = (__u64)(uintptr_t)list;
		break;
	case PULSE_IOC_WAKE_NODE:
		a->node.nr = 1;
		break;
	case PULSE_IOC_HINT:
		a->hint.mask = PULSE_HINT_NICE;
		break;
	case PULSE_IOC_HANDOFF:
		a->handoff.target = 3;
		break;
	case PULSE_IOC_YIELD_TO:
		a->yield_to.index = 3;
		break;
	case PULSE_IOC_WATCH:
		a->watch.rss_bytes = 1ULL << 60;
		break;
	case PULSE_IOC_EVENTFD:
		a->eventfd.fd = -1;
		break;
	}
}

/* What every build of the module can. */
#define FEATURES							\
	(PULSE_FEAT_KSTATE | PULSE_FEAT_PREEMPTED | PULSE_FEAT_NRING |	\
	 PULSE_FEAT_WAKE_NODE | PULSE_FEAT_DEATH | PULSE_FEAT_BEAT |	\
	 PULSE_FEAT_EVENTS |	\
	 PULSE_FEAT_HANDOFF | PULSE_FEAT_YIELD_TO | PULSE_FEAT_HINT |	\
	 PULSE_FEAT_BEAT_HEARD)

static struct dev d;

/*
 * A descriptor on which the command can be tried: fresh for SETUP, set up for
 * the others, this thread a worker where it must be one.
 */
static int begin(const struct cmd *c)
{
	memset(&d, 0, sizeof(d));
	d.fd = d.self = -1;
	if (c->nr == PULSE_IOC_SETUP)
		return d.fd = dev_open(O_RDWR);
	if (dev_begin_events(&d, 4, 4096, 0))
		return -1;
	if (c->nr == PULSE_IOC_WORKER_DEL || c->nr == PULSE_IOC_PARK ||
	    c->nr == PULSE_IOC_HANDOFF || c->nr == PULSE_IOC_BEAT ||
	    c->nr == PULSE_IOC_HINT || c->nr == PULSE_IOC_WATCH) {
		if (dev_join(&d, PULSE_NODE_ANY) != 0)
			return -1;
		set_word(&d, 0, WORD);
	}
	return d.fd;
}

/* What the command says when all is well. */
static int good(const struct cmd *c)
{
	switch (c->nr) {
	case PULSE_IOC_PARK:
		return -ETIMEDOUT;
	case PULSE_IOC_JOIN:
		return -EPERM;
	case PULSE_IOC_HANDOFF:	/* there is nobody else */
	case PULSE_IOC_YIELD_TO:
	case PULSE_IOC_UNWATCH:
		return -ESRCH;
	default:
		return 0;
	}
}

/* Whatever the command did, it is undone, so that the next can be tried. */
static void end(const struct cmd *c)
{
	if (c->nr == PULSE_IOC_WORKER_ADD)
		d.self = 0;
	dev_end(&d);
}

/* Makes one call on a fresh descriptor with what change() made of a good one. */
#define try_each(change, want)						\
	do {								\
		const struct cmd *c;					\
									\
		NEED_DEVICE();						\
		for_each_cmd(c) {					\
			static union arg a;				\
			int got_;					\
									\
			KT_REQUIRE(begin(c) >= 0);			\
			fill(c, &a);					\
			change;						\
			got_ = dev_ioctl(d.fd, c->nr, &a);		\
			KT_CHECKF(got_ == (want), "%s: %d, should be %d",\
				  c->name, got_, (want));		\
			end(c);						\
		}							\
	} while (0)

/* The kernel's log, from where it was when the program began. */
static int kmsg = -1;

__attribute__((constructor)) static void kmsg_open(void)
{
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg >= 0)
		lseek(kmsg, 0, SEEK_END);
}

KT_TEST(each_command_works_as_the_table_says)
{
	try_each((void)0, good(c));
}

/* K01 */
KT_TEST(size_zero_is_refused)
{
	try_each(a.size = 0, -EINVAL);
}

/* K02 */
KT_TEST(a_size_below_the_first_version_is_refused)
{
	try_each(a.size = c->size - 1, -EINVAL);
	try_each(a.size = 4, -EINVAL);
}

/* K03: this is the first version; its size alone is the oldest one */
KT_TEST(the_size_of_the_first_version_is_accepted)
{
	try_each(memset(a.bytes + c->size, 0xff, 256), good(c));
}

/* K04 */
KT_TEST(a_longer_argument_with_a_zero_tail_is_accepted)
{
	try_each(a.size = c->size + 8, good(c));
	try_each(a.size = c->size + 1, good(c));
	try_each(a.size = 4096, good(c));
}

/* K05 */
KT_TEST(a_longer_argument_with_something_in_its_tail_is_refused)
{
	try_each((a.size = known(c) + 8, a.bytes[known(c)] = 1), -E2BIG);
	try_each((a.size = 4096, a.bytes[4095] = 0x80), -E2BIG);
}

/* K06 */
KT_TEST(a_huge_size_is_refused)
{
	try_each(a.size = 0xffffffff, -E2BIG);
	try_each(a.size = 0x80000000, -E2BIG);
	try_each(a.size = 4097, -E2BIG);
}

/* K07 */
KT_TEST(a_reserved_field_that_is_not_zero_is_refused)
{
	try_each({
		if (c->reserved >= 0)
			a.bytes[c->reserved + 3] = 0x80;
	}, c->reserved >= 0 ? -EINVAL : good(c));
}

/* K08 */
KT_TEST(each_unknown_flag_is_refused)
{
	for (int bit = 0; bit < 32; bit++)
		try_each(a.flags = 1U << bit,
			 c->flags & 1U << bit ? good(c) : -EINVAL);
}

/* K09 */
KT_TEST(an_address_that_cannot_be_read_means_efault)
{
	const struct cmd *c;
	char *page, *wall;
	void *bad[3];

	NEED_DEVICE();
	page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	KT_REQUIRE(page != MAP_FAILED);
	wall = page + 4096;
	mprotect(wall, 4096, PROT_NONE);
	bad[0] = NULL;
	bad[1] = (void *)0xffff888000000000UL;

	for_each_cmd(c) {
		static union arg a;

		KT_REQUIRE(begin(c) >= 0);
		fill(c, &a);
		bad[2] = wall - c->size + 1;	/* its last byte is not there */
		memcpy(bad[2], &a, c->size - 1);
		for (int i = 0; i < 3; i++) {
			int got = dev_ioctl(d.fd, c->nr, bad[i]);

			KT_CHECKF(got == -EFAULT, "%s, address %d: %d",
				  c->name, i, got);
		}
		KT_EQ(dev_ioctl(d.fd, c->nr, &a), good(c));
		end(c);
	}
	munmap(page, 8192);
}

/* K09: the answer cannot be written, and nothing was done */
KT_TEST(an_address_that_cannot_be_written_changes_nothing)
{
	static struct parker p = { .word = WORD };
	struct pulse_wake_node *n;
	struct pulse_worker_add *a;
	struct pulse_wake *w;
	__u32 generation;
	char *page;

	NEED_DEVICE();
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	KT_REQUIRE(page != MAP_FAILED);
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(parker_start(&p, &d, 0));
	a = (void *)page;
	*a = (struct pulse_worker_add){ .size = sizeof(*a), .node = -1 };
	w = (void *)(a + 1);
	*w = (struct pulse_wake){ .size = sizeof(*w), .nr = 1,
				  .indices = (__u64)(uintptr_t)&p.index };
	n = (void *)(w + 1);
	*n = (struct pulse_wake_node){ .size = sizeof(*n), .nr = 1 };
	mprotect(page, 4096, PROT_READ);

	generation = d.hdr->generation;
	KT_EQ(dev_ioctl(d.fd, PULSE_IOC_WORKER_ADD, a), -EFAULT);
	KT_EQ(dev_ioctl(d.fd, PULSE_IOC_WAKE, w), -EFAULT);
	KT_EQ(dev_ioctl(d.fd, PULSE_IOC_WAKE_NODE, n), -EFAULT);
	KT_EQ(d.hdr->generation, generation);
	KT_EQ(d.hdr->nr_workers, 1);
	KT_EQ(worker_del(d.fd, 1), -ESRCH);

	/* an index list that runs into nothing wakes nobody either */
	munmap(page, 4096);
	page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	KT_REQUIRE(page != MAP_FAILED);
	mprotect(page + 4096, 4096, PROT_NONE);
	KT_EQ(wake_list(d.fd, (__u32 *)page, 1025), -EFAULT);
	KT_EQ(wake_list(d.fd, (void *)0xffff888000000000UL, 1), -EFAULT);
	sleep_ms(20);
	KT_EQ(parker_returns(&p), 0);
	KT_EQ(state_of(&d, p.index), PULSE_STATE_PARKED);
	munmap(page, 8192);
	parker_stop(&p);
	dev_end(&d);
}

/* K10 */
KT_TEST(an_unknown_number_is_enotty)
{
	const struct cmd *c;
	static union arg a;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	for (unsigned int nr = 0; nr < 256; nr++) {
		bool known = false;

		for_each_cmd(c)
			known |= _IOC_NR(c->nr) == nr;
		if (!known)
			KT_EQ(dev_ioctl(d.fd, PULSE__IOC(nr, 24), &a), -ENOTTY);
	}
	for_each_cmd(c) {
		unsigned int nr = _IOC_NR(c->nr), size = _IOC_SIZE(c->nr);

		KT_EQ(dev_ioctl(d.fd, PULSE__IOC(nr, size + 8), &a), -ENOTTY);
		KT_EQ(dev_ioctl(d.fd, PULSE__IOC(nr, size - 8), &a), -ENOTTY);
		KT_EQ(dev_ioctl(d.fd, PULSE__IOC(nr, 0), &a), -ENOTTY);
		KT_EQ(dev_ioctl(d.fd, _IOC(_IOC_READ, PULSE_IOC_MAGIC, nr, size),
				&a), -ENOTTY);
		KT_EQ(dev_ioctl(d.fd, _IOC(_IOC_WRITE, PULSE_IOC_MAGIC, nr, size),
				&a), -ENOTTY);
		KT_EQ(dev_ioctl(d.fd, _IOC(_IOC_NONE, PULSE_IOC_MAGIC, nr, size),
				&a), -ENOTTY);
		KT_EQ(dev_ioctl(d.fd, _IOC(_IOC_READ | _IOC_WRITE, 0xD6, nr, size),
				&a), -ENOTTY);
		/* the upper half of the word is not part of a command */
		KT_CHECK(dev_ioctl(d.fd, c->nr | 1UL << 40, &a) != -ENOTTY);
	}
	dev_end(&d);
}

/* K12 */
KT_TEST(setup_refuses_values_outside_their_range)
{
	static const __u32 bad_entries[] = {
		0, 1, 3, 6, 65535, 65537, 131072, 1U << 31, UINT32_MAX,
	};
	static const __u32 bad_workers[] = {
		0, PULSE_MAX_WORKERS + 1, 1U << 31, UINT32_MAX,
	};
	static const __u32 bad_heap[] = {
		PULSE_MAX_HEAP_BYTES + 1, 1U << 31, UINT32_MAX,
	};
	struct pulse_info info;
	int fd;

	NEED_DEVICE();
	fd = dev_open(O_RDWR);
	KT_REQUIRE(fd >= 0);
	for (size_t i = 0; i < sizeof(bad_entries) / 4; i++)
		KT_EQ(dev_setup(fd, 4, bad_entries[i], 0), -EINVAL);
	for (size_t i = 0; i < sizeof(bad_workers) / 4; i++)
		KT_EQ(dev_setup(fd, bad_workers[i], 16, 0), -EINVAL);
	for (size_t i = 0; i < sizeof(bad_heap) / 4; i++)
		KT_EQ(dev_setup(fd, 4, 16, bad_heap[i]), -EINVAL);
	/* refused, not half done */
	KT_EQ(dev_info(fd, &info), 0);
	KT_EQ(info.max_workers, 0);
	KT_EQ(dev_setup(fd, 1, 2, 1), 0);
	KT_EQ(dev_info(fd, &info), 0);
	KT_EQ(info.max_workers, 1);
	KT_EQ(info.ring_entries, 2);
	KT_EQ(info.heap_bytes, 4096);
	close(fd);
}

KT_TEST(info_tells_limits_before_and_sizes_after_setup)
{
	struct pulse_info info;
	int fd;

	NEED_DEVICE();
	fd = dev_open(O_RDWR);
	KT_REQUIRE(fd >= 0);
	KT_EQ(dev_info(fd, &info), 0);
	KT_EQ(info.size, sizeof(info));
	KT_EQ(info.abi, PULSE_ABI_VERSION);
	/* more may come; these are always there */
	KT_EQ(info.features & FEATURES, FEATURES);
	KT_EQ(info.limit_workers, PULSE_MAX_WORKERS);
	KT_EQ(info.limit_ring_entries, PULSE_MAX_RING_ENTRIES);
	KT_EQ(info.limit_heap_bytes, PULSE_MAX_HEAP_BYTES);
	KT_CHECK(info.nr_nodes >= 1);
	KT_EQ(info.hdr_bytes | info.kstate_bytes | info.uwork_bytes |
	      info.nring_bytes, 0);

	KT_EQ(dev_setup(fd, 100, 64, 5000), 0);
	KT_EQ(dev_info(fd, &info), 0);
	KT_EQ(info.max_workers, 100);
	KT_EQ(info.ring_entries, 64);
	KT_EQ(info.heap_bytes, 8192);
	KT_EQ(info.hdr_bytes % 4096, 0);
	KT_EQ(info.kstate_bytes, 16384);
	KT_EQ(info.uwork_bytes, 16384);
	KT_EQ(info.nring_bytes, 8192 + 8192);
	close(fd);
}

/* K13 */
KT_TEST(a_node_that_is_not_online_is_refused)
{
	static const int bad[] = { -2, 63, 1023, 1024, 4096, INT32_MAX, INT32_MIN };

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		KT_EQ(worker_add(d.fd, bad[i]), -EINVAL);
		KT_EQ(wake_node(d.fd, bad[i], 1, PULSE_WAKE_SPILL), -EINVAL);
	}
	/* "any" is for a home, not for a wake */
	KT_EQ(wake_node(d.fd, PULSE_NODE_ANY, 1, 0), -EINVAL);
	KT_EQ(wake_node(d.fd, 0, 0, 0), -EINVAL);
	KT_EQ(wake_node(d.fd, 0, PULSE_MAX_WORKERS + 1, 0), -EINVAL);
	KT_EQ(wake_node(d.fd, 0, PULSE_MAX_WORKERS, 0), 0);
	dev_end(&d);
}

/* K15 */
KT_TEST(a_second_setup_is_ebusy)
{
	int fd;

	NEED_DEVICE();
	fd = dev_open(O_RDWR);
	KT_REQUIRE(fd >= 0);
	KT_EQ(dev_setup(fd, 4, 16, 0), 0);
	KT_EQ(dev_setup(fd, 4, 16, 0), -EBUSY);
	KT_EQ(dev_setup(fd, 8, 16, 0), -EBUSY);
	close(fd);
}

/* K16 */
KT_TEST(before_setup_all_but_info_and_setup_are_enxio)
{
	const struct cmd *c;
	int fd;

	NEED_DEVICE();
	fd = dev_open(O_RDWR);
	KT_REQUIRE(fd >= 0);
	for_each_cmd(c) {
		static union arg a;

		if (c->nr == PULSE_IOC_INFO || c->nr == PULSE_IOC_SETUP)
			continue;
		fill(c, &a);
		KT_EQ(dev_ioctl(fd, c->nr, &a), -ENXIO);
	}
	KT_EQ(try_mmap(4096, PROT_READ, MAP_SHARED, fd, 0), -ENXIO);
	KT_EQ(dev_setup(fd, 4, 16, 0), 0);
	close(fd);
}

/* K17 */
KT_TEST(a_descriptor_without_write_access_may_only_ask)
{
	const struct cmd *c;
	struct pulse_info info;
	int ro, path;

	NEED_DEVICE();
	ro = dev_open(O_RDONLY);
	path = dev_open(O_PATH);
	KT_REQUIRE(ro >= 0 && path >= 0);
	KT_EQ(dev_info(ro, &info), 0);
	for_each_cmd(c) {
		static union arg a;

		fill(c, &a);
		if (c->nr != PULSE_IOC_INFO)
			KT_EQ(dev_ioctl(ro, c->nr, &a), -EBADF);
		KT_EQ(dev_ioctl(path, c->nr, &a), -EBADF);
	}
	close(ro);
	close(path);
}

KT_TEST(a_thread_is_a_worker_once_a_context_and_slots_run_out)
{
	struct dev other;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 1));
	KT_REQUIRE(!dev_begin(&other, 1));
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	KT_EQ(worker_add(d.fd, PULSE_NODE_ANY), -EEXIST);
	KT_EQ(dev_join(&other, PULSE_NODE_ANY), 0);
	KT_EQ(worker_del(d.fd, 0), 0);
	KT_EQ(worker_del(d.fd, 0), -ESRCH);
	d.self = -1;
	KT_EQ(state_of(&d, 0), PULSE_STATE_FREE);
	KT_EQ(state_of(&other, 0), PULSE_STATE_RUNNING);

	/* the only slot is another thread's: no space for this one */
	struct parker p = { .word = WORD };

	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_EQ(worker_add(d.fd, PULSE_NODE_ANY), -ENOSPC);
	parker_stop(&p);
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	dev_end(&d);
	dev_end(&other);
}

static int foreign_calls(void *arg)
{
	const struct cmd *c;
	int fd = *(int *)arg;

	for_each_cmd(c) {
		static union arg a;

		fill(c, &a);
		if (dev_ioctl(fd, c->nr, &a) != -EPERM)
			return 1;
	}
	return try_mmap(d.info.hdr_bytes, PROT_READ, MAP_SHARED, fd, 0) != -EPERM;
}

/* M10, L08 */
KT_TEST(a_process_with_another_mm_is_refused)
{
	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_EQ(in_child(foreign_calls, &d.fd), 0);
	dev_end(&d);
}

/* Last of the file: whatever a user did above, the log is silent about it. */
KT_TEST(bad_input_leaves_no_word_in_the_log)
{
	char line[8192];
	ssize_t n;

	NEED_DEVICE();
	KT_REQUIRE(kmsg >= 0);
	while ((n = read(kmsg, line, sizeof(line) - 1)) > 0) {
		line[n] = 0;
		KT_CHECKF(!strstr(line, "pulse"), "%s", line);
	}
	KT_CHECK(n < 0 && errno == EAGAIN);
}

KT_MAIN()
