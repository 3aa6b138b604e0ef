// SPDX-License-Identifier: GPL-2.0-only
/*
 * K11: a 32-bit program gets the same answers. The calls go through int $0x80,
 * the 32-bit entry of the kernel, with arguments below 4 GiB; so the commands
 * take the compat path although this program is a 64-bit one.
 */

#include "dev.h"

#if defined(__x86_64__)

#define I386_IOCTL	54
#define I386_MMAP2	192
#define WORD		PULSE_PARK_WORD(2, PULSE_PARK_PARKING)

static long int80(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret;

	/* the sixth argument goes in ebp, which the compiler may be using */
	asm volatile("pushq %%rbp\n\t"
		     "movq %[f], %%rax\n\t"
		     "movq %%rax, %%rbp\n\t"
		     "movq %[nr], %%rax\n\t"
		     "int $0x80\n\t"
		     "popq %%rbp"
		     : "=&a"(ret)
		     : [nr] "r"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e),
		       [f] "r"(f)
		     : "memory", "cc", "r8", "r9", "r10", "r11");
	return (int)ret;
}

static long ioctl32(int fd, unsigned long cmd, void *arg)
{
	return int80(I386_IOCTL, fd, (long)cmd, (long)arg, 0, 0, 0);
}

/* Everything a 32-bit program points to lies here, below 4 GiB. */
struct low {
	union {
		struct { __u32 size, flags; };
		struct pulse_info info;
		struct pulse_setup setup;
		struct pulse_worker_add add;
		struct pulse_worker_del del;
		struct pulse_park park;
		struct pulse_wake wake;
		struct pulse_wake_node node;
	};
	__u32 list[4];
};

static struct low *low;

static bool get_low(void)
{
	if (!low)
		low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	return low != MAP_FAILED && (unsigned long)low < 1UL << 32;
}

/* -1 where the kernel was told to have no 32-bit entry. */
static bool have_int80(void)
{
	fflush(stdout);
	pid_t pid = fork();
	int status = 0;

	if (!pid)
		_exit(int80(20, 0, 0, 0, 0, 0, 0) == getpid() ? 0 : 1);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

#define clear_low(type)							\
	(memset(low, 0, sizeof(*low)), low->size = sizeof(struct type))

KT_TEST(a_32_bit_program_gets_the_same_answers)
{
	struct pulse_info wide;
	int fd, index;

	NEED_DEVICE();
	if (!have_int80())
		KT_SKIP("this kernel has no 32-bit system calls");
	KT_REQUIRE(get_low());
	fd = dev_open(O_RDWR);
	KT_REQUIRE(fd >= 0);

	clear_low(pulse_worker_add);
	KT_EQ(ioctl32(fd, PULSE_IOC_WORKER_ADD, low), -ENXIO);
	clear_low(pulse_setup);
	low->setup.max_workers = 8;
	low->setup.ring_entries = 3;
	KT_EQ(ioctl32(fd, PULSE_IOC_SETUP, low), -EINVAL);
	low->setup.ring_entries = 64;
	low->setup.heap_bytes = 4096;
	KT_EQ(ioctl32(fd, PULSE_IOC_SETUP, low), 0);
	KT_EQ(ioctl32(fd, PULSE_IOC_SETUP, low), -EBUSY);

	clear_low(pulse_info);
	KT_EQ(ioctl32(fd, PULSE_IOC_INFO, low), 0);
	KT_EQ(dev_info(fd, &wide), 0);
	KT_EQ(memcmp(&low->info, &wide, sizeof(wide)), 0);
	KT_EQ(low->info.max_workers, 8);

	clear_low(pulse_worker_add);
	low->add.node = PULSE_NODE_ANY;
	KT_EQ(ioctl32(fd, PULSE_IOC_WORKER_ADD, low), 0);
	index = (int)low->add.index;
	KT_EQ(ioctl32(fd, PULSE_IOC_WORKER_ADD, low), -EEXIST);

	clear_low(pulse_wake);
	low->list[0] = (__u32)index;
	low->list[1] = 5;
	low->wake.indices = (__u32)(uintptr_t)low->list;
	low->wake.nr = 2;
	KT_EQ(ioctl32(fd, PULSE_IOC_WAKE, low), 0);
	KT_EQ(low->wake.woken, 1);
	/* an address that a 32-bit program cannot have */
	low->wake.indices = 1ULL << 63;
	KT_EQ(ioctl32(fd, PULSE_IOC_WAKE, low), -EFAULT);

	clear_low(pulse_park);
	low->park.index = (__u32)index;
	low->park.word = WORD;
	low->park.deadline_ns = PULSE_NO_DEADLINE;
	KT_EQ(ioctl32(fd, PULSE_IOC_PARK, low), 0);
	KT_EQ(ioctl32(fd, PULSE_IOC_PARK, low), -EAGAIN);
	low->park.word = 0;
	low->park.deadline_ns = now_ns() + NS_PER_MS;
	KT_EQ(ioctl32(fd, PULSE_IOC_PARK, low), -ETIMEDOUT);
	low->park.deadline_ns = -1;
	KT_EQ(ioctl32(fd, PULSE_IOC_PARK, low), -EINVAL);

	clear_low(pulse_wake_node);
	low->node.nr = 1;
	KT_EQ(ioctl32(fd, PULSE_IOC_WAKE_NODE, low), 0);
	KT_EQ(low->node.woken, 0);
	low->flags = 2;
	KT_EQ(ioctl32(fd, PULSE_IOC_WAKE_NODE, low), -EINVAL);

	clear_low(pulse_worker_del);
	low->del.index = (__u32)index;
	KT_EQ(ioctl32(fd, PULSE_IOC_WORKER_DEL, low), 0);
	KT_EQ(ioctl32(fd, PULSE_IOC_WORKER_DEL, low), -ESRCH);
	KT_EQ(ioctl32(fd, PULSE__IOC(0x7f, 24), low), -ENOTTY);
	close(fd);
}

KT_TEST(a_32_bit_program_can_map_every_region)
{
	struct pulse_info info;
	int fd;

	NEED_DEVICE();
	if (!have_int80())
		KT_SKIP("this kernel has no 32-bit system calls");
	KT_REQUIRE(get_low());
	fd = dev_open(O_RDWR);
	KT_REQUIRE(fd >= 0);
	KT_EQ(dev_setup(fd, 8, 64, 4096), 0);
	KT_EQ(dev_info(fd, &info), 0);

	const struct { unsigned int region; __u64 bytes; int prot; } regs[] = {
		{ PULSE_REGION_HDR, info.hdr_bytes, PROT_READ },
		{ PULSE_REGION_KSTATE, info.kstate_bytes, PROT_READ },
		{ PULSE_REGION_UWORK, info.uwork_bytes, PROT_READ | PROT_WRITE },
		{ PULSE_REGION_NRING(0), info.nring_bytes, PROT_READ | PROT_WRITE },
	};

	for (int i = 0; i < 4; i++) {
		/* mmap2 counts offsets in pages: they fit into 32 bits */
		long off = (long)(PULSE_REGION_OFFSET(regs[i].region) >> 12);
		long at = int80(I386_MMAP2, 0, (long)regs[i].bytes, regs[i].prot,
				MAP_SHARED, fd, off);

		KT_CHECKF((unsigned int)at < 0xfffff000U, "region %u: %ld",
			  regs[i].region, at);
		KT_EQ(off >> 32, 0);
		if ((unsigned int)at < 0xfffff000U)
			munmap((void *)(uintptr_t)(unsigned int)at, regs[i].bytes);
	}
	close(fd);
}

#else
KT_TEST(compat_is_tested_on_x86_64_only)
{
	KT_SKIP("not x86_64");
}
#endif

KT_MAIN()
