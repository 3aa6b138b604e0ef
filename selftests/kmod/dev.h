/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dev.h - /dev/pulse for tests: the raw ABI, one short function a command.
 *
 * Functions return 0 or a value, or -errno; nothing here checks or prints.
 */
#ifndef PULSE_SELFTESTS_DEV_H
#define PULSE_SELFTESTS_DEV_H

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/pulse.h>

#include "files.h"
#include "ktap.h"
#include "until.h"

#define NS_PER_MS	1000000LL
#define NS_PER_SEC	1000000000LL
#define SYSFS_DIR	"/sys/class/misc/pulse/"

/* First line of a test that needs the module. */
#define NEED_DEVICE()							\
	do {								\
		if (access(PULSE_DEVICE_PATH, F_OK))			\
			KT_SKIP("no " PULSE_DEVICE_PATH ": the module is not loaded"); \
	} while (0)

static inline long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static inline void sleep_ms(long long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * NS_PER_MS };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* -------------------------------------------------------------- commands */

static inline int dev_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

static inline int dev_open(int flags)
{
	int fd = open(PULSE_DEVICE_PATH, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int dev_info(int fd, struct pulse_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return dev_ioctl(fd, PULSE_IOC_INFO, info);
}

static inline int dev_setup_events(int fd, __u32 workers, __u32 entries,
				   __u32 heap, __u32 events, __u32 flags)
{
	struct pulse_setup s = {
		.size = sizeof(s),
		.flags = flags,
		.max_workers = workers,
		.ring_entries = entries,
		.heap_bytes = heap,
		.event_bytes = events,
	};

	return dev_ioctl(fd, PULSE_IOC_SETUP, &s);
}

static inline int dev_setup(int fd, __u32 workers, __u32 entries, __u32 heap)
{
	return dev_setup_events(fd, workers, entries, heap, 0, 0);
}

static inline int dev_joins(int fd)
{
	struct pulse_join j = { .size = sizeof(j) };

	return dev_ioctl(fd, PULSE_IOC_JOIN, &j);
}

/* The id, or -errno. */
static inline int watch(int fd, struct pulse_watch w)
{
	int ret;

	w.size = sizeof(w);
	ret = dev_ioctl(fd, PULSE_IOC_WATCH, &w);
	return ret ? ret : (int)w.id;
}

static inline int unwatch(int fd, int id)
{
	struct pulse_unwatch u = { .size = sizeof(u), .id = (__u32)id };

	return dev_ioctl(fd, PULSE_IOC_UNWATCH, &u);
}

static inline int set_eventfd(int fd, int efd)
{
	struct pulse_eventfd e = { .size = sizeof(e), .fd = efd };

	return dev_ioctl(fd, PULSE_IOC_EVENTFD, &e);
}

/* The index, or -errno. */
static inline int worker_add(int fd, int node)
{
	struct pulse_worker_add a = { .size = sizeof(a), .node = node };
	int ret = dev_ioctl(fd, PULSE_IOC_WORKER_ADD, &a);

	return ret ? ret : (int)a.index;
}

static inline int worker_del(int fd, int index)
{
	struct pulse_worker_del d = { .size = sizeof(d), .index = (__u32)index };

	return dev_ioctl(fd, PULSE_IOC_WORKER_DEL, &d);
}

static inline int park(int fd, int index, __u32 word, long long deadline_ns)
{
	struct pulse_park p = {
		.size = sizeof(p),
		.index = (__u32)index,
		.word = word,
		.deadline_ns = deadline_ns,
	};

	return dev_ioctl(fd, PULSE_IOC_PARK, &p);
}

/* How many were woken, or -errno. */
static inline int wake_list(int fd, const __u32 *list, __u32 nr)
{
	struct pulse_wake w = {
		.size = sizeof(w),
		.indices = (__u64)(uintptr_t)list,
		.nr = nr,
	};
	int ret = dev_ioctl(fd, PULSE_IOC_WAKE, &w);

	return ret ? ret : (int)w.woken;
}

static inline int wake_one(int fd, int index)
{
	__u32 i = (__u32)index;

	return wake_list(fd, &i, 1);
}

/* How many were woken, or -errno. */
static inline int wake_node(int fd, int node, __u32 nr, __u32 flags)
{
	struct pulse_wake_node w = {
		.size = sizeof(w),
		.flags = flags,
		.node = node,
		.nr = nr,
	};
	int ret = dev_ioctl(fd, PULSE_IOC_WAKE_NODE, &w);

	return ret ? ret : (int)w.woken;
}

static inline int handoff(int fd, int index, int target, __u32 word,
			  long long deadline_ns)
{
	struct pulse_handoff h = {
		.size = sizeof(h),
		.target = (__u32)target,
		.index = (__u32)index,
		.word = word,
		.deadline_ns = deadline_ns,
	};

	return dev_ioctl(fd, PULSE_IOC_HANDOFF, &h);
}

static inline int yield_to(int fd, int index)
{
	struct pulse_yield_to y = { .size = sizeof(y), .index = (__u32)index };

	return dev_ioctl(fd, PULSE_IOC_YIELD_TO, &y);
}

static inline int beat_flags(int fd, int index, __u64 period_ns, __u32 flags)
{
	struct pulse_beat b = {
		.size = sizeof(b),
		.flags = flags,
		.index = (__u32)index,
		.period_ns = period_ns,
	};

	return dev_ioctl(fd, PULSE_IOC_BEAT, &b);
}

static inline int beat(int fd, int index, __u64 period_ns)
{
	return beat_flags(fd, index, period_ns, 0);
}

/* The mapping, or MAP_FAILED and errno. */
static inline void *dev_mmap(int fd, unsigned int region, size_t bytes, int prot)
{
	return mmap(NULL, bytes, prot, MAP_SHARED, fd,
		    (off_t)PULSE_REGION_OFFSET(region));
}

/* 0 or -errno of an mmap; what was mapped is unmapped again. */
static inline int try_mmap(size_t bytes, int prot, int flags, int fd, __u64 off)
{
	void *p = mmap(NULL, bytes, prot, flags, fd, (off_t)off);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, bytes);
	return 0;
}

/* -------------------------------------------------------------- a context */

struct dev {
	int fd;
	int self;		/* the calling thread's worker, or -1 */
	struct pulse_info info;
	const struct pulse_hdr *hdr;
	const struct pulse_kstate *kstate;
	struct pulse_uwork *uwork;
	struct pulse_evcons *evcons;
	const struct pulse_evprod *evprod;
};

static inline void dev_end(struct dev *d)
{
	if (d->fd >= 0 && d->self >= 0)
		worker_del(d->fd, d->self);
	if (d->hdr)
		munmap((void *)(uintptr_t)d->hdr, d->info.hdr_bytes);
	if (d->kstate)
		munmap((void *)(uintptr_t)d->kstate, d->info.kstate_bytes);
	if (d->uwork)
		munmap(d->uwork, d->info.uwork_bytes);
	if (d->evcons)
		munmap(d->evcons, d->info.evcons_bytes);
	if (d->evprod)
		munmap((void *)(uintptr_t)d->evprod, d->info.evprod_bytes);
	if (d->fd >= 0)
		close(d->fd);
	memset(d, 0, sizeof(*d));
	d->fd = d->self = -1;
}

/* Maps what a descriptor in d->fd has; 0 or -errno. */
static inline int dev_map(struct dev *d)
{
	void *h, *k, *u, *c, *p;
	int ret;

	ret = dev_info(d->fd, &d->info);
	if (ret) {
		dev_end(d);
		return ret;
	}
	if (d->info.event_bytes) {
		c = dev_mmap(d->fd, PULSE_REGION_EVCONS, d->info.evcons_bytes,
			     PROT_READ | PROT_WRITE);
		p = dev_mmap(d->fd, PULSE_REGION_EVPROD, d->info.evprod_bytes,
			     PROT_READ);
		ret = -errno;
		d->evcons = c == MAP_FAILED ? NULL : c;
		d->evprod = p == MAP_FAILED ? NULL : p;
		if (!d->evcons || !d->evprod) {
			dev_end(d);
			return ret;
		}
	}
	h = dev_mmap(d->fd, PULSE_REGION_HDR, d->info.hdr_bytes, PROT_READ);
	k = dev_mmap(d->fd, PULSE_REGION_KSTATE, d->info.kstate_bytes, PROT_READ);
	u = dev_mmap(d->fd, PULSE_REGION_UWORK, d->info.uwork_bytes,
		     PROT_READ | PROT_WRITE);
	ret = -errno;
	d->hdr = h == MAP_FAILED ? NULL : h;
	d->kstate = k == MAP_FAILED ? NULL : k;
	d->uwork = u == MAP_FAILED ? NULL : u;
	if (d->hdr && d->kstate && d->uwork)
		return 0;
	dev_end(d);
	return ret;
}

/* Opens, sets up and maps; 0 or -errno. */
static inline int dev_begin_events(struct dev *d, __u32 workers, __u32 events,
				   __u32 flags)
{
	int ret;

	memset(d, 0, sizeof(*d));
	d->self = -1;
	d->fd = dev_open(O_RDWR);
	if (d->fd < 0)
		return d->fd;
	ret = dev_setup_events(d->fd, workers, 64, 0, events, flags);
	if (ret) {
		dev_end(d);
		return ret;
	}
	return dev_map(d);
}

static inline int dev_begin(struct dev *d, __u32 workers)
{
	return dev_begin_events(d, workers, 0, 0);
}

/* Registers the calling thread until dev_end(); its index or -errno. */
static inline int dev_join(struct dev *d, int node)
{
	return d->self = worker_add(d->fd, node);
}

static inline __u32 state_of(const struct dev *d, int index)
{
	return __atomic_load_n(&d->kstate[index].state, __ATOMIC_ACQUIRE);
}

/* A worker's KSTATE, all fields of one moment, by the seq rule of the ABI. */
static inline struct pulse_kstate kstate_read(const struct dev *d, int index)
{
	const struct pulse_kstate *ks = &d->kstate[index];
	struct pulse_kstate copy;
	__u32 seq;

	do {
		seq = __atomic_load_n(&ks->seq, __ATOMIC_ACQUIRE);
		memcpy(&copy, (const void *)ks, sizeof(copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (seq & 1 || seq != __atomic_load_n(&ks->seq, __ATOMIC_RELAXED));
	return copy;
}

/*
 * The next event, or NULL. It stays where it is until event_done().
 */
static inline const struct pulse_event_hdr *event_next(const struct dev *d)
{
	__u64 pos = __atomic_load_n(&d->evcons->pos, __ATOMIC_RELAXED);
	const char *data = (const char *)d->evprod + d->evprod->data_off;

	if (pos == __atomic_load_n(&d->evprod->pos, __ATOMIC_ACQUIRE))
		return NULL;
	return (const void *)(data + (pos & (d->info.event_bytes - 1)));
}

static inline void event_done(struct dev *d, const struct pulse_event_hdr *hdr)
{
	__u64 len = sizeof(*hdr) + PULSE_EVENT_LEN(hdr->len);

	len = (len + PULSE_EVENT_ALIGN - 1) & ~(__u64)(PULSE_EVENT_ALIGN - 1);
	__atomic_store_n(&d->evcons->pos, d->evcons->pos + len,
			 __ATOMIC_RELEASE);
}

/* Waits for the next event and takes it; false when none came. */
static inline bool event_take(struct dev *d, __u32 type, void *out, size_t len)
{
	const struct pulse_event_hdr *hdr;

	if (!EVENTUALLY((hdr = event_next(d)) != NULL))
		return false;
	if (hdr->type != type || hdr->len < len) {
		fprintf(stderr, "# event type %u, %u bytes\n", hdr->type, hdr->len);
		event_done(d, hdr);
		return false;
	}
	memcpy(out, hdr + 1, len);
	event_done(d, hdr);
	return true;
}

static inline __u32 word_of(const struct dev *d, int index)
{
	return __atomic_load_n(&d->uwork[index].park, __ATOMIC_SEQ_CST);
}

static inline void set_word(struct dev *d, int index, __u32 word)
{
	__atomic_store_n(&d->uwork[index].park, word, __ATOMIC_SEQ_CST);
}

/* This thread as the worker of a new context, its park word @word; its index. */
static inline int dev_begin_worker(struct dev *d, __u32 workers, __u32 word)
{
	int index;

	if (dev_begin(d, workers))
		return -1;
	index = dev_join(d, PULSE_NODE_ANY);
	if (index >= 0)
		set_word(d, index, word);
	return index;
}

/* ------------------------------------------------------------------ threads */

static inline int nr_cpus(void)
{
	return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static inline int pin_to_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

/* A thread that is a worker and parks until it is told to end. */
struct parker {
	pthread_t thread;
	struct dev *d;
	int node;
	__u32 word;		/* what stands in its park word */
	long long deadline_ns;	/* of each PARK; 0: none */
	int index;		/* >= 0 when it is a worker */
	int tid;
	int end;
	int first, last;	/* what the first and the last PARK said */
	int returns;		/* how many PARKs came back */
};

static inline void *parker_main(void *arg)
{
	struct parker *p = arg;
	int index = worker_add(p->d->fd, p->node);

	p->tid = (int)syscall(SYS_gettid);
	if (index >= 0)
		set_word(p->d, index, p->word);
	__atomic_store_n(&p->index, index, __ATOMIC_RELEASE);
	if (index < 0)
		return NULL;
	do {
		p->last = park(p->d->fd, index, p->word,
			       p->deadline_ns ? p->deadline_ns : PULSE_NO_DEADLINE);
		if (!p->returns)
			p->first = p->last;
		__atomic_add_fetch(&p->returns, 1, __ATOMIC_ACQ_REL);
	} while (!__atomic_load_n(&p->end, __ATOMIC_ACQUIRE));
	worker_del(p->d->fd, index);
	return NULL;
}

static inline int parker_returns(struct parker *p)
{
	return __atomic_load_n(&p->returns, __ATOMIC_ACQUIRE);
}

/* Starts it and waits until it sleeps; true when it does. */
static inline bool parker_start(struct parker *p, struct dev *d, int node)
{
	p->d = d;
	p->node = node;
	p->index = -1000;
	if (pthread_create(&p->thread, NULL, parker_main, p))
		return false;
	return EVENTUALLY(__atomic_load_n(&p->index, __ATOMIC_ACQUIRE) != -1000) &&
	       p->index >= 0 &&
	       EVENTUALLY(state_of(d, p->index) == PULSE_STATE_PARKED);
}

static inline void parker_stop(struct parker *p)
{
	__atomic_store_n(&p->end, 1, __ATOMIC_RELEASE);
	wake_one(p->d->fd, p->index);
	pthread_join(p->thread, NULL);
}

/* How often a thread of this process gave its CPU away by itself. */
static inline long long voluntary_switches(int tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	return file_number(path, "voluntary_ctxt_switches:");
}

/* -------------------------------------------------------------------- sysfs */

static inline long long sysfs_read(const char *name)
{
	char path[256], line[64];
	long long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), SYSFS_DIR "%s", name);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fgets(line, sizeof(line), f))
		value = strtoll(line, NULL, 0);
	fclose(f);
	return value;
}

/* 0 or -errno; one write() of exactly these bytes. */
static inline int sysfs_write_bytes(const char *name, const void *bytes, size_t n)
{
	char path[256];
	ssize_t done;
	int fd, ret;

	snprintf(path, sizeof(path), SYSFS_DIR "%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	done = write(fd, bytes, n);
	ret = done < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static inline int sysfs_write(const char *name, long long value)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%lld\n", value);

	return sysfs_write_bytes(name, text, (size_t)n);
}

/* ---------------------------------------------------------------- processes */

/* fn(arg) in a forked child, which ends with the calling thread. */
static inline pid_t start(int (*fn)(void *), void *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(fn(arg));
	}
	return pid;
}

/* How a child ended: what its function returned, or -signal. */
static inline int ended(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* Another user from here on, without groups and rights; 0 if it is so. */
static inline int become(uid_t uid)
{
	return setgroups(0, NULL) || setgid(uid) || setuid(uid);
}

static inline int in_child(int (*fn)(void *), void *arg)
{
	return ended(start(fn, arg));
}

#endif /* PULSE_SELFTESTS_DEV_H */
