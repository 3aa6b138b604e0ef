/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * backend.h - the one place that knows whether the kernel module is there.
 *
 * A *context* is a set of workers that can see, park and wake each other. On
 * the kernel backend it is an open of /dev/pulse; on the user backend it is a
 * memfd of the same layout and futexes. The choice is made once in a process,
 * at the first use, and said in one log line.
 *
 * A *worker* is a thread that registered itself. All calls that name the
 * calling thread's own worker must come from that thread.
 */
#ifndef PULSE_U_BACKEND_H
#define PULSE_U_BACKEND_H

#include <stdbool.h>

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum pulse_backend_kind {
	PULSE_BACKEND_AUTO = 0,		/* kernel where it can be had, else user */
	PULSE_BACKEND_KERNEL = 1,
	PULSE_BACKEND_USER = 2,
};

/**
 * struct pulse_backend_info - which backend, and why
 * @sz: sizeof(struct pulse_backend_info), set by the caller
 * @kind: PULSE_BACKEND_KERNEL or PULSE_BACKEND_USER
 * @err: 0, or the negative errno that kept the kernel backend away
 * @name: "kernel" or "user"
 * @reason: one sentence, static
 * @fix: what to do to get the kernel backend; "" when there is nothing to mend
 * @abi: the module's ABI version, 0 on the user backend
 * @features: PULSE_FEAT_* of <linux/pulse.h>, what really works here
 */
struct pulse_backend_info {
	size_t sz;
	int kind;
	int err;
	const char *name;
	const char *reason;
	const char *fix;
	uint32_t abi;
	uint32_t reserved;
	uint64_t features;
};

/**
 * pulse_backend_info() - which backend this process uses, and why
 * @info: out; its sz must be set
 *
 * Makes the choice if it was not made yet. The environment variable
 * PULSE_BACKEND (auto, kernel, user) decides where nothing else did.
 *
 * Return: 0, -EINVAL; or, where the kernel backend was demanded and cannot be
 * had, the negative errno that kept it away (@info is filled in).
 */
PULSE_API int pulse_backend_info(struct pulse_backend_info *info);

/**
 * pulse_backend_select() - demand a backend before the first use
 * @kind: enum pulse_backend_kind
 *
 * Comes before the environment variable; PULSE_BACKEND_AUTO leaves it to that
 * one. Where the kernel backend cannot be had nothing is chosen, and another
 * one may be selected.
 *
 * Return: 0; -EBUSY the choice was made already and is another one; -EINVAL;
 * or why the kernel backend cannot be had.
 */
PULSE_API int pulse_backend_select(int kind);

struct pulse_ctx;

/* pulse_ctx_opts.flags: processes of the same user may pulse_ctx_attach(). */
#define PULSE_CTX_OPT_SHARED	1U

/**
 * struct pulse_ctx_opts - a context's sizes
 * @sz: sizeof(struct pulse_ctx_opts)
 * @max_workers: worker slots, 1 to 4096; default 64
 * @ring_entries: entries of each node's ring, a power of two from 2 to 65536;
 *	default 1024
 * @heap_bytes: payload heap behind each node's ring, up to 64 MiB, rounded up
 *	to whole pages; default 0
 * @flags: PULSE_CTX_OPT_SHARED or 0
 * @event_bytes: room for events, see events.h: a power of two from 4096 to
 *	4 MiB; default 0: the context has none
 * @reserved1: 0
 */
struct pulse_ctx_opts {
	size_t sz;
	uint32_t max_workers;
	uint32_t ring_entries;
	uint32_t heap_bytes;
	uint32_t flags;
	uint32_t event_bytes;
	uint32_t reserved1;
};

/**
 * pulse_ctx_create() - make a context
 * @opts: or NULL for the defaults
 * @out: the context
 *
 * The memory of all slots and rings is taken now. On the kernel backend it
 * counts against RLIMIT_MEMLOCK.
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -EOPNOTSUPP events, and the module
 * is too old for them, or a shared context without the module; -ENOMEM; -EMFILE; -EDQUOT the
 * user's quota in the module; or why the kernel backend, where it was
 * demanded, cannot be had.
 */
PULSE_API int pulse_ctx_create(const struct pulse_ctx_opts *opts,
			       struct pulse_ctx **out);

/**
 * pulse_ctx_attach() - use a context that another process made
 * @fd: of pulse_ctx_fd() there, inherited or received by SCM_RIGHTS; it stays
 *	the caller's, the context keeps a duplicate
 * @out: the context
 *
 * It was made with PULSE_CTX_OPT_SHARED, by a process of the same user. All that
 * names workers by index or node reaches the workers of all its processes. The
 * memory outlives each of them; it counts against RLIMIT_MEMLOCK of each.
 * Events stay with the process that made the context. A forked child, which
 * cannot use what it inherited otherwise, may attach too.
 *
 * Return: 0; -EINVAL also: @fd is no context; -EBADF; -EPERM another user's, or
 * not shared; -ENXIO not set up yet; -ENOSPC 64 processes attached already;
 * -ENOMEM; -EOPNOTSUPP on the user backend.
 */
PULSE_API int pulse_ctx_attach(int fd, struct pulse_ctx **out);

/**
 * pulse_ctx_destroy() - end a context
 * @ctx: no worker may be registered any more
 *
 * Return: 0; -EINVAL; -EBUSY workers are left (nothing was done);
 * -EOWNERDEAD in a forked child (its memory is given back all the same).
 */
PULSE_API int pulse_ctx_destroy(struct pulse_ctx *ctx);

/**
 * pulse_ctx_fd() - the descriptor behind the context
 * @ctx: the context
 *
 * Who closes it ends the kernel backend's parking: pulse_worker_park() answers
 * -ECANCELED from then on, to those who are parked too. The user backend does
 * not need it.
 *
 * Return: /dev/pulse or the memfd; it stays the context's. -EINVAL;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ctx_fd(const struct pulse_ctx *ctx);

/**
 * pulse_ctx_nring() - the ring in the memory of a node
 * @ctx: the context
 * @node: a NUMA node number
 * @mem: out: struct pulse_nring_hdr, its entries, then the heap
 * @bytes: out: length of it all, may be NULL
 *
 * All zero is an empty ring; see struct pulse_nring_hdr in <linux/pulse.h> and
 * pulse_ring_attach().
 *
 * Return: 0; -EINVAL also: no such node; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ctx_nring(struct pulse_ctx *ctx, int node, void **mem,
			      size_t *bytes);

/**
 * pulse_ctx_nodes() - the nodes that have a ring
 * @ctx: the context
 * @nodes: out: up to @max node numbers
 * @max: room in @nodes
 *
 * Return: how many nodes there are; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_ctx_nodes(struct pulse_ctx *ctx, int *nodes, int max);

/**
 * pulse_worker_register() - make the calling thread a worker
 * @ctx: the context
 * @node: home node for waking by node, or -1: where it runs
 * @cookie: the caller's own, told in traces
 *
 * A thread may be a worker of several contexts, once in each. In a shared
 * context it may find the job of a dead worker in its slot, which it has in hand
 * then: pulse_worker_salvage() tells it.
 *
 * Return: the worker's index (0 or more); -EEXIST; -ENOSPC all slots taken;
 * -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_worker_register(struct pulse_ctx *ctx, int node,
				    uint64_t cookie);

/**
 * pulse_worker_unregister() - the calling thread is no worker any more
 * @ctx: the context
 * @index: what pulse_worker_register() returned to this thread
 *
 * A thread that ends without it is unregistered by the backend. A job that it
 * has in hand stays in the slot, for others to salvage.
 *
 * Return: 0; -ESRCH; -EPERM another thread's; -EINVAL; -EOWNERDEAD in a forked
 * child.
 */
PULSE_API int pulse_worker_unregister(struct pulse_ctx *ctx, int index);

/**
 * pulse_worker_begin_job() - say what the calling worker has in hand
 * @ctx: the context
 * @index: the calling worker
 * @job: not 0; it should mean something to other processes: a number, an offset
 *	in a node's ring or heap, no pointer
 *
 * A store. Should the worker die before pulse_worker_end_job(), the event of its
 * death tells the job, and another worker of a shared context finds it with
 * pulse_worker_salvage().
 *
 * Return: 0; -EINVAL; -EBUSY it has one in hand (one that it found as it
 * registered: see pulse_worker_salvage()); -ESRCH; -EPERM another thread's;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_worker_begin_job(struct pulse_ctx *ctx, int index,
				     uint64_t job);

/**
 * pulse_worker_end_job() - the job is done
 * @ctx: the context
 * @index: the calling worker
 *
 * Also counts as progress.
 *
 * Return: 0; -ENOENT it had none; -EINVAL; -ESRCH; -EPERM; -EOWNERDEAD.
 */
PULSE_API int pulse_worker_end_job(struct pulse_ctx *ctx, int index);

/**
 * pulse_worker_salvage() - take over the job of a worker that died
 * @ctx: the context, made with PULSE_CTX_OPT_SHARED
 * @index: the calling worker, with no job in hand
 * @job: out: the job, in hand now as after pulse_worker_begin_job()
 *
 * Each job of a dead worker goes to exactly one living worker, however many look
 * for it, and wherever any of them dies. Whoever waits for deaths calls this
 * after one; others call it now and then, or when they have nothing to do. It
 * looks at each slot, and waits for another worker's look to end. A dead
 * worker is one that the kernel has taken off its CPU for the last time:
 * where the death was only just told, the job may come a moment later.
 *
 * Not for use by a signal handler. A process that was stopped in its own look
 * keeps the others waiting.
 *
 * Return: 1 a job; 0 none; -EBUSY it has one in hand; -EINVAL; -ESRCH; -EPERM
 * another thread's; -EOPNOTSUPP the context is not shared; -EOWNERDEAD in a
 * forked child.
 */
PULSE_API int pulse_worker_salvage(struct pulse_ctx *ctx, int index,
				   uint64_t *job);

/**
 * typedef pulse_recheck_fn - is there work, now that everyone sees me parking?
 * @arg: as given to pulse_worker_park()
 *
 * Runs in the calling thread, while others may already be waking it: it must
 * not park, and should only look.
 *
 * Return: true to give up parking.
 */
typedef bool (*pulse_recheck_fn)(void *arg);

/**
 * pulse_worker_park() - sleep until somebody wakes this worker
 * @ctx: the context
 * @index: the calling worker
 * @deadline_ns: absolute CLOCK_MONOTONIC, or PULSE_FOREVER
 * @recheck: looks once more for work after the worker has announced that it
 *	parks; whoever published work before sees the announcement, or is seen
 *	here. NULL: nothing to look at.
 * @arg: for @recheck
 *
 * A wake is not remembered for a worker that is not parking: it is @recheck
 * that sees what was published before. Once the announcement is made, no wake
 * is lost, whether the worker sleeps already or not.
 *
 * @recheck must tell whether there is work ("is a queue not empty?"), not try
 * to take some: a pop may fail on a queue that is not empty. After a return
 * the caller's next look at its queues comes after a full barrier, also after
 * -ETIMEDOUT: who gives up looks once more.
 *
 * Return: 0 woken, spuriously perhaps; 1 @recheck found work; -ETIMEDOUT, at
 * once where the deadline is past; -EINTR a signal, on either backend only
 * where nobody woke it; -EINVAL also: a negative deadline; -ESRCH; -EPERM
 * another thread's; -ECANCELED the context's descriptor was closed;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_worker_park(struct pulse_ctx *ctx, int index,
				int64_t deadline_ns, pulse_recheck_fn recheck,
				void *arg);

/**
 * pulse_worker_handoff() - wake that worker and park this one
 * @ctx: the context
 * @index: the calling worker
 * @target: the worker to be woken, another one
 * @deadline_ns: as for pulse_worker_park()
 * @recheck: as for pulse_worker_park()
 * @arg: for @recheck
 *
 * As pulse_worker_wake() of @target, after work for it was published, and
 * pulse_worker_park(), with one system call; a @target that is not parking
 * needs no waking. On the kernel backend @target comes up on the CPU that the
 * caller leaves, where the kernel can (PULSE_FEAT_HANDOFF_CPU) and its affinity
 * allows it. @target is woken whatever becomes of the park. Priority is not
 * handed over.
 *
 * Return: as pulse_worker_park(); -ESRCH also: @target is no live worker (who
 * ended while it was called may make it return at once, too); -EINVAL also:
 * @target is @index.
 */
PULSE_API int pulse_worker_handoff(struct pulse_ctx *ctx, int index, int target,
				   int64_t deadline_ns, pulse_recheck_fn recheck,
				   void *arg);

/**
 * pulse_worker_yield_to() - let a worker run that waits for a CPU
 * @ctx: the context
 * @index: another worker, one that was preempted; see pulse_worker_state()
 *
 * For a thread that waits for what that worker holds. The caller need not be a
 * worker. Where PULSE_FEAT_YIELD_TO is not set in pulse_backend_info.features,
 * on the user backend above all, it is a sched_yield().
 *
 * Return: 0 yielded; -EAGAIN there was nothing to yield: it runs, sleeps, or has
 * a CPU of its own; -ESRCH; -EINVAL also: the calling thread's own; -EOWNERDEAD
 * in a forked child.
 */
PULSE_API int pulse_worker_yield_to(struct pulse_ctx *ctx, int index);

/**
 * pulse_worker_wake() - wake workers, after work for them was published
 * @ctx: the context
 * @indices: worker indices
 * @nr: how many
 *
 * Contains the full barrier between the caller's publishing and its look at
 * the workers' park words. Costs a system call only if one of them parks.
 * From any thread of the process.
 *
 * Return: how many were parked, or on the way, and are woken now; -EINVAL;
 * -ESRCH none of them is a live worker; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_worker_wake(struct pulse_ctx *ctx, const uint32_t *indices,
				unsigned int nr);

/**
 * pulse_worker_wake_node() - wake up to @nr parked workers of a node
 * @ctx: the context
 * @node: home node
 * @nr: how many, at least 1
 * @spill: go on with the other nodes, nearest first
 *
 * Contains the full barrier, as pulse_worker_wake() does. Two calls may choose
 * the same worker before it comes up: whoever takes work from a shared queue
 * and sees that more is left wakes one more before it runs what it took.
 *
 * Costs a system call only if a worker of the context parks. A worker whom
 * another thread wakes by its index at the same time may count for both.
 *
 * Return: how many are woken; -EINVAL also: no such node; -EOWNERDEAD in a
 * forked child.
 */
PULSE_API int pulse_worker_wake_node(struct pulse_ctx *ctx, int node,
				     unsigned int nr, bool spill);

/**
 * struct pulse_worker_state - what is known of a worker
 * @sz: sizeof(struct pulse_worker_state), set by the caller
 * @state: PULSE_STATE_* of <linux/pulse.h>; the user backend looks it up in
 *	/proc and cannot tell preempted from running
 * @tid: thread id
 * @cpu: where it runs or ran last
 * @node: that CPU's node
 * @n_preempt: times it lost the CPU while runnable
 * @n_block: times it went to sleep
 * @n_migrate: times it changed the CPU
 * @n_park: times it slept in park
 * @run_ns: time on a CPU
 * @wait_ns: time runnable without a CPU
 * @beats: heartbeats that were delivered
 * @missed: heartbeats that came too late
 *
 * Counts and times begin when the thread registered.
 */
struct pulse_worker_state {
	size_t sz;
	uint32_t state;
	int32_t tid;
	uint32_t cpu;
	int32_t node;
	uint64_t n_preempt;
	uint64_t n_block;
	uint64_t n_migrate;
	uint64_t n_park;
	uint64_t run_ns;
	uint64_t wait_ns;
	uint64_t beats;
	uint64_t missed;
};

/**
 * pulse_worker_state() - look at a worker
 * @ctx: the context
 * @index: any worker's index
 * @out: the answer; its sz must be set
 *
 * No system call on the kernel backend; four small files of /proc on the user
 * backend. From any thread. Advice: it may be stale when it is read.
 *
 * Return: 0; -ESRCH the slot is free; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_worker_state(struct pulse_ctx *ctx, int index,
				 struct pulse_worker_state *out);

/**
 * pulse_worker_beat() - let the calling worker's heart beat
 * @ctx: the context
 * @index: the calling worker
 * @period_ns: from one beat to the next, 0: no more beats. At most 60 s, at
 *	least 100 us; the module's administrator may set another floor, and
 *	with CAP_SYS_NICE the kernel backend goes down to 20 us.
 *
 * Beats are counted in the word that pulse_worker_beats() tells, while the
 * worker runs: a loop that polls the word knows that another period is over,
 * for the price of a load. On the kernel backend the time is that on a CPU, and
 * a sleeper costs nothing. On the user backend a thread of the library counts;
 * it ends a second after the last worker that beats, only sees parking, not
 * other sleeps, and after a long park the first beat may be 10 ms late.
 *
 * A beat that comes periods late is one beat, and these periods are counted in
 * pulse_worker_state.missed. Beats end with the worker.
 *
 * Return: 0; -EINVAL also: a period outside its range; -ESRCH; -EPERM another
 * thread's; -EBUSY the thread beats in 8 other contexts; -ENOMEM or -EAGAIN no
 * thread to be had; -EOPNOTSUPP the module is too old; -ECANCELED the context's
 * descriptor was closed; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_worker_beat(struct pulse_ctx *ctx, int index,
				uint64_t period_ns);

/**
 * pulse_worker_beats() - the word that counts a worker's beats
 * @ctx: the context
 * @index: any worker's index
 *
 * To be read with __atomic_load_n(..., __ATOMIC_RELAXED), from any thread,
 * until the context is destroyed. It begins with 0 when a worker registers.
 *
 * Return: its address, for reading only; NULL where @ctx or @index is wrong, or
 * in a forked child.
 */
PULSE_API const uint64_t *pulse_worker_beats(struct pulse_ctx *ctx, int index);

/**
 * pulse_state_name() - name of a PULSE_STATE_*
 * @state: the state
 *
 * Return: "free", "running", "preempted", "blocked", "parked", "dead" or
 * "unknown"; static.
 */
PULSE_API const char *pulse_state_name(uint32_t state);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_BACKEND_H */
