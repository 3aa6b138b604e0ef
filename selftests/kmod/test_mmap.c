// SPDX-License-Identifier: GPL-2.0-only
/*
 * What may be mapped, how, and what becomes of it.
 */
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/uio.h>

#include "dev.h"

static struct dev d;

struct reg {
	const char *name;
	unsigned int region;
	bool writable;
	size_t bytes;
};

static struct reg regs[6];

/* A context with a heap, its regions in regs[]. */
static int begin(void)
{
	int ret;

	memset(&d, 0, sizeof(d));
	d.self = -1;
	d.fd = dev_open(O_RDWR);
	if (d.fd < 0)
		return d.fd;
	ret = dev_setup_events(d.fd, 100, 64, 8192, 8192, 0);
	if (!ret)
		ret = dev_info(d.fd, &d.info);
	regs[0] = (struct reg){ "HDR", PULSE_REGION_HDR, false, d.info.hdr_bytes };
	regs[1] = (struct reg){ "KSTATE", PULSE_REGION_KSTATE, false,
				d.info.kstate_bytes };
	regs[2] = (struct reg){ "UWORK", PULSE_REGION_UWORK, true,
				d.info.uwork_bytes };
	regs[3] = (struct reg){ "NRING(0)", PULSE_REGION_NRING(0), true,
				d.info.nring_bytes };
	regs[4] = (struct reg){ "EVCONS", PULSE_REGION_EVCONS, true,
				d.info.evcons_bytes };
	regs[5] = (struct reg){ "EVPROD", PULSE_REGION_EVPROD, false,
				d.info.evprod_bytes };
	return ret;
}

#define for_each_reg(r) for (struct reg *r = regs; r < regs + 6; r++)

static int prot_of(const struct reg *r)
{
	return r->writable ? PROT_READ | PROT_WRITE : PROT_READ;
}

static void *map(const struct reg *r)
{
	return dev_mmap(d.fd, r->region, r->bytes, prot_of(r));
}

/* M01 */
KT_TEST(only_what_users_write_can_be_mapped_for_writing)
{
	NEED_DEVICE();
	KT_REQUIRE(!begin());
	for_each_reg(r) {
		__u64 off = PULSE_REGION_OFFSET(r->region);

		KT_EQ(try_mmap(r->bytes, PROT_READ, MAP_SHARED, d.fd, off), 0);
		KT_EQ(try_mmap(r->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, d.fd,
			       off), r->writable ? 0 : -EPERM);
		KT_EQ(try_mmap(r->bytes, PROT_WRITE, MAP_SHARED, d.fd, off),
		      r->writable ? 0 : -EPERM);
	}
	dev_end(&d);
}

/* M02 */
KT_TEST(nothing_can_be_mapped_for_execution)
{
	NEED_DEVICE();
	KT_REQUIRE(!begin());
	for_each_reg(r) {
		__u64 off = PULSE_REGION_OFFSET(r->region);

		KT_EQ(try_mmap(r->bytes, PROT_READ | PROT_EXEC, MAP_SHARED, d.fd,
			       off), -EPERM);
		KT_EQ(try_mmap(r->bytes, PROT_EXEC, MAP_SHARED, d.fd, off), -EPERM);
		KT_EQ(try_mmap(r->bytes, PROT_READ | PROT_WRITE | PROT_EXEC,
			       MAP_SHARED, d.fd, off), -EPERM);
	}
	dev_end(&d);
}

/* M03 */
KT_TEST(a_private_mapping_is_refused)
{
	NEED_DEVICE();
	KT_REQUIRE(!begin());
	for_each_reg(r) {
		__u64 off = PULSE_REGION_OFFSET(r->region);

		KT_EQ(try_mmap(r->bytes, PROT_READ, MAP_PRIVATE, d.fd, off), -EINVAL);
		KT_EQ(try_mmap(r->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, d.fd,
			       off), -EINVAL);
	}
	dev_end(&d);
}

/* M04 */
KT_TEST(an_offset_that_is_no_region_is_refused)
{
	static const __u64 bad[] = {
		4096, 8192, PULSE_REGION_OFFSET(0) + (1ULL << 31),
		PULSE_REGION_OFFSET(5), PULSE_REGION_OFFSET(15),
		PULSE_REGION_OFFSET(PULSE_REGION_NRING(63)),
		PULSE_REGION_OFFSET(PULSE_REGION_NRING(1023)),
		PULSE_REGION_OFFSET(PULSE_REGION_NRING(1024)),
		PULSE_REGION_OFFSET(PULSE_REGION_UWORK) + 4096,
		PULSE_REGION_OFFSET(0x7fffffff),
	};
	int got;

	NEED_DEVICE();
	KT_REQUIRE(!begin());
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for_each_reg(r)
			KT_EQ(try_mmap(r->bytes, PROT_READ, MAP_SHARED, d.fd,
				       bad[i]), -EINVAL);
	/* the end of all offsets: the kernel's own check may come first */
	got = try_mmap(d.info.hdr_bytes, PROT_READ, MAP_SHARED, d.fd,
		       0xfffffffffffff000ULL);
	KT_CHECKF(got == -EINVAL || got == -EOVERFLOW, "%d", got);
	dev_end(&d);
}

/* M05 */
KT_TEST(a_length_that_is_not_exact_is_refused)
{
	NEED_DEVICE();
	KT_REQUIRE(!begin());
	for_each_reg(r) {
		__u64 off = PULSE_REGION_OFFSET(r->region);

		if (r->bytes > 4096)
			KT_EQ(try_mmap(r->bytes - 4096, PROT_READ, MAP_SHARED,
				       d.fd, off), -EINVAL);
		KT_EQ(try_mmap(r->bytes + 4096, PROT_READ, MAP_SHARED, d.fd, off),
		      -EINVAL);
		KT_EQ(try_mmap(r->bytes * 64, PROT_READ, MAP_SHARED, d.fd, off),
		      -EINVAL);
	}
	KT_EQ(try_mmap(0, PROT_READ, MAP_SHARED, d.fd, 0), -EINVAL);
	dev_end(&d);
}

/* M06, M07 */
KT_TEST(mprotect_gives_no_more_than_mmap)
{
	NEED_DEVICE();
	KT_REQUIRE(!begin());
	for_each_reg(r) {
		void *p = map(r);

		KT_REQUIRE(p != MAP_FAILED);
		if (!r->writable) {
			KT_CHECK(mprotect(p, r->bytes, PROT_READ | PROT_WRITE) &&
				 errno == EACCES);
			KT_CHECK(mprotect(p, r->bytes, PROT_WRITE) &&
				 errno == EACCES);
		}
		KT_CHECK(mprotect(p, r->bytes, PROT_READ | PROT_EXEC) &&
			 errno == EACCES);
		KT_CHECK(mprotect(p, r->bytes, PROT_EXEC) && errno == EACCES);
		KT_EQ(mprotect(p, r->bytes, PROT_NONE), 0);
		KT_EQ(mprotect(p, r->bytes, prot_of(r)), 0);
		munmap(p, r->bytes);
	}
	dev_end(&d);
}

/* M06: nor for a descriptor that was opened for reading only */
KT_TEST(mprotect_gives_no_more_than_the_descriptor)
{
	struct pulse_setup s = { .size = sizeof(s), .max_workers = 4,
				 .ring_entries = 16 };
	int ro;

	NEED_DEVICE();
	KT_REQUIRE(!begin());
	ro = dev_open(O_RDONLY);
	KT_REQUIRE(ro >= 0);
	/* it cannot be set up, so there is nothing to map either */
	KT_EQ(dev_ioctl(ro, PULSE_IOC_SETUP, &s), -EBADF);
	KT_EQ(try_mmap(4096, PROT_READ, MAP_SHARED, ro, 0), -ENXIO);
	close(ro);
	dev_end(&d);
}

/* Ways into memory that do not go through a store of this program's own. */

static int by_store(void *p, const void *bytes)
{
	memcpy(p, bytes, sizeof(__u64));
	return 0;
}

static int by_proc_mem(void *p, const void *bytes)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ssize_t n = pwrite(mem, bytes, sizeof(__u64), (off_t)(uintptr_t)p);

	close(mem);
	return n == sizeof(__u64) ? 0 : 1;
}

static int by_another_process(void *p, const void *bytes)
{
	struct iovec from = { (void *)(uintptr_t)bytes, sizeof(__u64) };
	struct iovec to = { p, sizeof(__u64) };

	return process_vm_writev(getpid(), &from, 1, &to, 1, 0) > 0 ? 0 : 1;
}

static int by_read(void *p, const void *bytes)
{
	int fds[2];
	ssize_t n;

	if (pipe(fds) || write(fds[1], bytes, sizeof(__u64)) != sizeof(__u64))
		return 2;
	n = read(fds[0], p, sizeof(__u64));
	close(fds[0]);
	close(fds[1]);
	return n > 0 ? 0 : errno == EFAULT ? 1 : 3;
}

static int by_populate(void *p, const void *bytes)
{
	(void)bytes;
	return madvise(p, 4096, 23 /* MADV_POPULATE_WRITE */) ? 1 : 0;
}

static const struct way {
	const char *name;
	int (*fn)(void *p, const void *bytes);
	int want;		/* in a child: what fn returns, or -signal */
} ways[] = {
	{ "a store", by_store, -SIGSEGV },
	{ "/proc/self/mem", by_proc_mem, 1 },
	{ "process_vm_writev", by_another_process, 1 },
	{ "read(2) into it", by_read, 1 },
	{ "MADV_POPULATE_WRITE", by_populate, 1 },
};

static const struct way *way;
static unsigned int way_region;

/* On a context of its own, as mappings are not inherited. */
static int go_that_way(void *arg)
{
	static const __u64 bytes = 0x5a5a5a5a5a5a5a5aULL;
	char *p, before[256];
	int ret;

	(void)arg;
	if (begin())
		return 100;
	p = map(&regs[way_region]);
	if (p == MAP_FAILED)
		return 101;
	memcpy(before, p, sizeof(before));
	ret = way->fn(p, &bytes);
	return memcmp(before, p, sizeof(before)) ? 102 : ret;
}

/* H07: what only the kernel writes is written by no user, whichever way */
KT_TEST(what_the_kernel_writes_is_written_by_nobody_else)
{
	NEED_DEVICE();
	for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		for (unsigned int r = 0; r < 6; r++) {
			int got;

			way = &ways[w];
			way_region = r;
			if (r == 2 || r == 3 || r == 4)	/* the user's own */
				continue;
			got = in_child(go_that_way, NULL);
			KT_CHECKF(got == way->want, "%s, region %u: %d", way->name,
				  r, got);
		}
	}
	/* the kernel writes its answers to a system call there as little */
	KT_REQUIRE(!begin());
	for (unsigned int r = 0; r < 6; r++) {
		void *p = map(&regs[r]);

		KT_REQUIRE(p != MAP_FAILED);
		KT_EQ(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, p),
		      regs[r].writable ? 0 : -1);
		munmap(p, regs[r].bytes);
	}
	dev_end(&d);
}

/* M09 */
KT_TEST(a_mapping_cannot_be_grown_doubled_or_split)
{
	NEED_DEVICE();
	KT_REQUIRE(!begin());
	for_each_reg(r) {
		char *p = map(r);

		KT_REQUIRE(p != MAP_FAILED);
		KT_CHECK(mremap(p, r->bytes, r->bytes * 2, MREMAP_MAYMOVE) ==
			 MAP_FAILED && errno == EFAULT);
		KT_CHECK(mremap(p, 0, r->bytes, MREMAP_MAYMOVE) == MAP_FAILED);
		if (r->bytes > 4096) {
			KT_CHECK(munmap(p, 4096) && errno == EINVAL);
			KT_CHECK(munmap(p + r->bytes - 4096, 4096) &&
				 errno == EINVAL);
			KT_CHECK(mprotect(p, 4096, PROT_NONE) && errno == EINVAL);
			KT_CHECK(mremap(p, r->bytes, 4096, 0) == MAP_FAILED);
		}
		/* moving it as a whole harms nobody */
		if (r->writable)
			p[r->bytes - 1] = 0x5a;
		p = mremap(p, r->bytes, r->bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
			   mmap(NULL, r->bytes, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		KT_CHECK(p != MAP_FAILED);
		KT_EQ(p[r->bytes - 1], r->writable ? 0x5a : 0);
		KT_EQ(munmap(p, r->bytes), 0);
	}
	dev_end(&d);
}

static int touch(void *arg)
{
	return *(volatile char *)arg;
}

/* M10 */
KT_TEST(a_forked_child_has_no_mappings)
{
	NEED_DEVICE();
	KT_REQUIRE(!begin());
	for_each_reg(r) {
		void *p = map(r);

		KT_REQUIRE(p != MAP_FAILED);
		KT_EQ(in_child(touch, p), -SIGSEGV);
		munmap(p, r->bytes);
	}
	dev_end(&d);
}

/* M11, M12 */
KT_TEST(pages_live_until_the_last_mapping_goes)
{
	long long contexts;
	void *p[4];

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	KT_REQUIRE(!begin());
	for (int i = 0; i < 4; i++)
		KT_REQUIRE((p[i] = map(&regs[i])) != MAP_FAILED);
	strcpy((char *)p[2] + 64, "still there");
	strcpy((char *)p[3] + regs[3].bytes - 16, "here too");
	close(d.fd);
	d.fd = -1;
	KT_EQ(((struct pulse_hdr *)p[0])->magic, PULSE_HDR_MAGIC);
	KT_EQ(((struct pulse_kstate *)p[1])->state, PULSE_STATE_FREE);
	KT_STREQ((char *)p[2] + 64, "still there");
	KT_STREQ((char *)p[3] + regs[3].bytes - 16, "here too");
	for (int i = 0; i < 4; i++) {
		KT_EQ(sysfs_read("contexts"), contexts + 1);
		munmap(p[i], regs[i].bytes);
	}
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
	dev_end(&d);
}

/* A disk of memory as swap; false where that cannot be had. */
static bool swap_begin(void)
{
	return in_vm() && !system("modprobe zram num_devices=1 2>/dev/null") &&
	       !file_put("/sys/block/zram0/disksize", "16M") &&
	       !system("mkswap /dev/zram0 >/dev/null 2>&1") &&
	       !swapon("/dev/zram0", 0);
}

/* M15: swap is looked for in every page table when it is taken away */
KT_TEST(swap_comes_and_goes_and_takes_no_page)
{
	unsigned char *p[6];

	NEED_DEVICE();
	if (!swap_begin())
		KT_SKIP("no swap in this kernel, or not a machine of its own");
	KT_REQUIRE(!begin());
	for (int i = 0; i < 6; i++) {
		KT_REQUIRE((p[i] = map(&regs[i])) != MAP_FAILED);
		if (regs[i].writable)
			memset(p[i], 0x5a, regs[i].bytes);
		madvise(p[i], regs[i].bytes, MADV_PAGEOUT);
	}
	KT_EQ(swapoff("/dev/zram0"), 0);
	for (int i = 0; i < 6; i++) {
		for (size_t b = 0; regs[i].writable && b < regs[i].bytes; b += 512)
			KT_EQ(p[i][b], 0x5a);
		munmap(p[i], regs[i].bytes);
	}
	dev_end(&d);
}

static volatile int remap_end;

static void *remap_uwork(void *arg)
{
	(void)arg;
	while (!remap_end) {
		void *p = map(&regs[2]);

		if (p != MAP_FAILED) {
			memset(p, 0, regs[2].bytes);
			munmap(p, regs[2].bytes);
		}
	}
	return NULL;
}

/* M13: the kernel has its own mapping of what the user unmaps */
KT_TEST(unmapping_beside_park_and_wake_harms_nobody)
{
	pthread_t t;
	int i;

	NEED_DEVICE();
	KT_REQUIRE(!begin());
	i = dev_join(&d, PULSE_NODE_ANY);
	KT_REQUIRE(i >= 0);
	remap_end = 0;
	KT_REQUIRE(!pthread_create(&t, NULL, remap_uwork, NULL));
	for (int n = 0; n < 2000; n++) {
		int ret = park(d.fd, i, 0, now_ns() + 1000);

		KT_CHECKF(ret == -ETIMEDOUT || ret == 0, "%d", ret);
		KT_CHECK(wake_node(d.fd, 0, 4, PULSE_WAKE_SPILL) >= 0);
	}
	remap_end = 1;
	pthread_join(t, NULL);
	dev_end(&d);
}

static int crash(void *arg)
{
	(void)arg;
	abort();
}

static int last_byte(void *arg)
{
	return *(unsigned char *)arg;
}

/* M15 */
KT_TEST(madvise_migration_core_dumps_and_smaps_meet_no_surprise)
{
	struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY };
	unsigned long all = 3;
	char line[512];
	int dontdump = 0;
	bool shared;
	FILE *smaps;

	NEED_DEVICE();
	KT_REQUIRE(!begin());
	for_each_reg(r) {
		unsigned char *p = map(r);

		KT_REQUIRE(p != MAP_FAILED);
		/* thrown out of the page table: the same page comes back */
		if (r->writable)
			p[r->bytes - 1] = 0x5a;
		madvise(p, r->bytes, MADV_DONTNEED);
		KT_EQ(p[r->bytes - 1], r->writable ? 0x5a : 0);
		madvise(p, r->bytes, MADV_MERGEABLE);
		madvise(p, r->bytes, MADV_HUGEPAGE);
		madvise(p, r->bytes, MADV_PAGEOUT);
		KT_CHECK(madvise(p, r->bytes, MADV_REMOVE) < 0);
		KT_CHECK(madvise(p, r->bytes, MADV_DODUMP) < 0);
		/*
		 * Whoever asks for it shares it with a child, where the kernel
		 * lets him ask: from 7.x on it is refused for each mapping that
		 * is not to be merged or moved (VM_SPECIAL).
		 */
		shared = !madvise(p, r->bytes, MADV_DOFORK);
		KT_CHECK(shared || errno == EINVAL);
		KT_EQ(in_child(last_byte, p + r->bytes - 1),
		      !shared ? -SIGSEGV : r->writable ? 0x5a : 0);
		mlock(p, r->bytes);
		munlock(p, r->bytes);
		KT_EQ(p[r->bytes - 1], r->writable ? 0x5a : 0);
	}
	syscall(SYS_migrate_pages, 0, 8 * sizeof(all), &all, &all);
	smaps = fopen("/proc/self/smaps", "re");
	KT_REQUIRE(smaps);
	while (fgets(line, sizeof(line), smaps))
		if (!strncmp(line, "VmFlags:", 8) && strstr(line, " dd "))
			dontdump++;
	fclose(smaps);
	KT_CHECK(dontdump >= 4);
	setrlimit(RLIMIT_CORE, &core);
	KT_EQ(in_child(crash, NULL), -SIGABRT);
	dev_end(&d);
}

/* M15: a core dump by a process that has the mappings itself */
static int map_and_crash(void *arg)
{
	struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY };

	(void)arg;
	if (begin())
		return 1;
	for_each_reg(r)
		map(r);
	setrlimit(RLIMIT_CORE, &core);
	if (chdir("/tmp"))
		return 1;
	abort();
}

KT_TEST(a_process_with_mappings_can_dump_core)
{
	NEED_DEVICE();
	KT_EQ(in_child(map_and_crash, NULL), -SIGABRT);
	unlink("/tmp/core");
}

/* M16 */
static int map_without_end(void *arg)
{
	int n = 0;

	(void)arg;
	if (begin())
		return 1;
	while (map(&regs[0]) != MAP_FAILED)
		if (++n > 100000)
			return 2;
	return errno == ENOMEM ? 0 : 3;
}

KT_TEST(mappings_are_bounded_and_given_back)
{
	long long contexts;

	NEED_DEVICE();
	contexts = sysfs_read("contexts");
	KT_EQ(in_child(map_without_end, NULL), 0);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

/* Bytes of a region that are not zero behind those that mean something. */
static size_t not_zero_behind(const struct reg *r, size_t used)
{
	const unsigned char *p = map(r);
	size_t bad = 0, page = used < 4096 ? 4096 : r->bytes;

	if (p == MAP_FAILED)
		return r->bytes;
	for (size_t b = used; b < page; b++)
		bad += p[b] != 0;
	munmap((void *)(uintptr_t)p, r->bytes);
	return bad;
}

/* Of HDR: where its last table ends. */
static size_t hdr_used(void)
{
	const struct pulse_hdr *h = map(&regs[0]);
	size_t used = 0;

	if (h == MAP_FAILED)
		return 0;
	used = h->idle_off + (size_t)h->nr_nodes * h->idle_words * sizeof(__u64);
	munmap((void *)(uintptr_t)h, regs[0].bytes);
	return used;
}

/* M17: the memory was filled with a pattern before */
KT_TEST(fresh_pages_are_zero_in_every_byte)
{
	NEED_DEVICE();
	for (int round = 0; round < 20; round++) {
		char *dirt = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		size_t bad = 0;

		KT_REQUIRE(dirt != MAP_FAILED);
		memset(dirt, 0xa5, 8 << 20);
		munmap(dirt, 8 << 20);
		KT_REQUIRE(!begin());
		/* HDR and EVPROD are not fresh: the kernel wrote them */
		for (int i = 1; i < 5; i++) {
			unsigned char *p = map(&regs[i]);

			KT_REQUIRE(p != MAP_FAILED);
			for (size_t b = 0; b < regs[i].bytes; b++)
				bad += p[b] != 0;
			if (regs[i].writable)
				memset(p, 0x5a, regs[i].bytes);
			munmap(p, regs[i].bytes);
		}
		KT_EQ(bad, 0);
		KT_EQ(not_zero_behind(&regs[0], hdr_used()), 0);
		KT_EQ(not_zero_behind(&regs[5], sizeof(struct pulse_evprod)), 0);
		dev_end(&d);
	}
}

/* The kernel pins what it maps: a vmsplice or an O_DIRECT write may hold it. */
KT_TEST(pages_that_somebody_holds_outlive_the_context)
{
	int fds[2];
	char *p, back[4096];

	NEED_DEVICE();
	KT_REQUIRE(!begin());
	KT_REQUIRE(!pipe(fds));
	p = map(&regs[2]);
	KT_REQUIRE(p != MAP_FAILED);
	memset(p, 0x77, 4096);
	struct iovec { void *base; size_t len; } iov = { p, 4096 };

	KT_EQ(syscall(SYS_vmsplice, fds[1], &iov, 1, 0), 4096);
	munmap(p, regs[2].bytes);
	dev_end(&d);
	sleep_ms(20);
	KT_EQ(read(fds[0], back, sizeof(back)), 4096);
	KT_EQ(back[0], 0x77);
	KT_EQ(back[4095], 0x77);
	close(fds[0]);
	close(fds[1]);
}

KT_MAIN()
