// SPDX-License-Identifier: GPL-2.0-only
/*
 * A context: the open file, its commands, its end.
 *
 * Called by the VFS. Each command goes through one table that says which number
 * it has, what it needs and how its argument is shaped; the handlers get an
 * argument that was checked for size, flags and permission.
 *
 * SETUP is claimed with a cmpxchg of the state, so that of two that race one
 * wins and the other is told EBUSY, and nothing is locked while memory is
 * allocated.
 */
#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/pid_namespace.h>
#include <linux/poll.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <linux/pulse_netlink.h>

#include "beat.h"
#include "ctx.h"
#include "event.h"
#include "handoff.h"
#include "hint.h"
#include "mmap.h"
#include "nl_event.h"
#include "node.h"
#include "park.h"
#include "quota.h"
#include "registry.h"
#include "share.h"
#include "state.h"
#include "sysfs.h"
#include "uring.h"
#include "watch.h"
#include "worker.h"

/**
 * pulse_ctx_check() - may the caller use the context
 * @ctx: the context
 *
 * Return: 0, -ENXIO before SETUP, -EPERM in an mm that neither set it up nor
 * joined.
 */
int pulse_ctx_check(struct pulse_ctx *ctx)
{
	if (!pulse_ctx_is_live(ctx))
		return -ENXIO;
	return pulse_share_has(ctx, current->mm) ? 0 : -EPERM;
}

/* What every argument begins with, and each of them. */
union pulse_arg {
	struct {
		u32 size;
		u32 flags;
	};
	struct pulse_info info;
	struct pulse_setup setup;
	struct pulse_join join;
	struct pulse_worker_add add;
	struct pulse_worker_del del;
	struct pulse_park park;
	struct pulse_wake wake;
	struct pulse_wake_node wake_node;
	struct pulse_handoff handoff;
	struct pulse_yield_to yield_to;
	struct pulse_beat beat;
	struct pulse_hint hint;
	struct pulse_watch watch;
	struct pulse_unwatch unwatch;
	struct pulse_eventfd eventfd;
};

/* One call of a command. */
struct pulse_call {
	struct pulse_ctx *ctx;
	struct file *file;
	void __user *uarg;
	size_t usize;
	union pulse_arg arg;
};

/* The answer to one field, at its place in the caller's struct. */
#define pulse_answer(call, type, field, value)				\
	put_user((value), &((struct type __user *)(call)->uarg)->field)

static int pulse_cmd_info(struct pulse_call *call)
{
	struct pulse_ctx *ctx = call->ctx;
	struct pulse_info info = {
		.size = call->usize,
		.abi = PULSE_ABI_VERSION,
		.nr_nodes = num_online_nodes(),
		.features = pulse_features(),
		.limit_workers = PULSE_MAX_WORKERS,
		.limit_ring_entries = PULSE_MAX_RING_ENTRIES,
		.limit_heap_bytes = PULSE_MAX_HEAP_BYTES,
		.limit_event_bytes = PULSE_MAX_EVENT_BYTES,
	};

	if (pulse_ctx_is_live(ctx)) {
		info.nr_nodes = ctx->nr_nodes;
		info.max_workers = ctx->max_workers;
		info.ring_entries = ctx->ring_entries;
		info.heap_bytes = ctx->heap_bytes;
		info.hdr_bytes = pulse_region_bytes(&ctx->hdr_pages);
		info.kstate_bytes = pulse_region_bytes(&ctx->kstate_pages);
		info.uwork_bytes = pulse_region_bytes(&ctx->uwork_pages);
		info.nring_bytes = pulse_region_bytes(&ctx->nodes[0].ring);
		info.event_bytes = ctx->events.bytes;
		info.evcons_bytes = pulse_region_bytes(&ctx->events.cons);
		info.evprod_bytes = pulse_region_bytes(&ctx->events.prod);
	}
	if (copy_to_user(call->uarg, &info, min(call->usize, sizeof(info))))
		return -EFAULT;
	return 0;
}

/* Undo whatever SETUP did so far; also the end of a context. */
static void pulse_ctx_clear(struct pulse_ctx *ctx)
{
	pulse_nodes_free(ctx);
	pulse_region_free(&ctx->hdr_pages);
	pulse_region_free(&ctx->kstate_pages);
	pulse_region_free(&ctx->uwork_pages);
	pulse_events_free(ctx);
	ctx->hdr = NULL;

	kvfree(ctx->workers);
	ctx->workers = NULL;
	bitmap_free(ctx->slots);
	ctx->slots = NULL;

	pulse_share_free(ctx);
	if (ctx->locked_pages)
		account_locked_vm(ctx->mm, ctx->locked_pages, false);
	ctx->locked_pages = 0;
	pulse_quota_uncharge(ctx->user, PULSE_QUOTA_PAGES, ctx->charged_pages);
	ctx->charged_pages = 0;

	put_pid(ctx->owner);
	ctx->owner = NULL;
	if (ctx->pid_ns)
		put_pid_ns(ctx->pid_ns);
	ctx->pid_ns = NULL;
	if (ctx->mm)
		mmdrop(ctx->mm);
	ctx->mm = NULL;
}

static unsigned long pulse_pages_for(u64 bytes)
{
	return DIV_ROUND_UP_ULL(bytes, PAGE_SIZE);
}

/* Charge for everything, then allocate it. Undone by pulse_ctx_clear(). */
static int pulse_ctx_alloc(struct pulse_ctx *ctx)
{
	size_t slot_bytes = (size_t)ctx->max_workers * sizeof(*ctx->workers);
	unsigned long kstate_pages, uwork_pages, hdr_pages, shared, total;
	int ret;

	ret = pulse_nodes_plan(ctx);
	if (ret)
		return ret;
	hdr_pages = pulse_pages_for(pulse_hdr_bytes(ctx));
	kstate_pages = pulse_pages_for((u64)ctx->max_workers *
				       sizeof(struct pulse_kstate));
	uwork_pages = pulse_pages_for((u64)ctx->max_workers *
				      sizeof(struct pulse_uwork));
	shared = hdr_pages + kstate_pages + uwork_pages +
		 pulse_events_pages(ctx) +
		 ctx->nr_nodes * pulse_nring_pages(ctx);
	total = shared + pulse_pages_for(slot_bytes + pulse_nodes_bytes(ctx));

	ret = pulse_quota_charge(ctx->user, PULSE_QUOTA_PAGES, total);
	if (ret)
		return ret;
	ctx->charged_pages = total;
	ret = account_locked_vm(ctx->mm, shared, true);
	if (ret)
		return ret;
	ctx->locked_pages = shared;

	ctx->slots = bitmap_zalloc(ctx->max_workers, GFP_KERNEL_ACCOUNT);
	ctx->workers = kvzalloc(slot_bytes, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!ctx->slots || !ctx->workers)
		return -ENOMEM;

	ret = pulse_region_alloc(&ctx->hdr_pages, hdr_pages, NUMA_NO_NODE) ?:
	      pulse_region_alloc(&ctx->kstate_pages, kstate_pages,
				 NUMA_NO_NODE) ?:
	      pulse_region_alloc(&ctx->uwork_pages, uwork_pages,
				 NUMA_NO_NODE) ?:
	      pulse_region_kmap(&ctx->hdr_pages) ?:
	      pulse_region_kmap(&ctx->kstate_pages) ?:
	      pulse_region_kmap(&ctx->uwork_pages) ?:
	      pulse_events_alloc(ctx) ?:
	      pulse_nodes_alloc(ctx);
	if (ret)
		return ret;

	ctx->hdr = ctx->hdr_pages.kaddr;
	pulse_hdr_fill(ctx);
	pulse_workers_prepare(ctx);
	return 0;
}

/* Let the context be seen from outside; the last step of making it. */
static int pulse_ctx_publish(struct pulse_ctx *ctx)
{
	int ret = pulse_registry_add(ctx);

	if (ret)
		return ret;
	ret = pulse_ctx_folder_add(ctx);
	if (ret)
		pulse_registry_del(ctx);
	return ret;
}

/* Nobody sees it any more when this returns. */
static void pulse_ctx_unpublish(struct pulse_ctx *ctx)
{
	pulse_nl_ctx_event(ctx, PULSE_NL_CMD_CTX_DEL);
	pulse_registry_del(ctx);
	pulse_ctx_folder_del(ctx);
}

static int pulse_cmd_setup(struct pulse_call *call)
{
	const struct pulse_setup *arg = &call->arg.setup;
	struct pulse_ctx *ctx = call->ctx;
	int ret;

	if (arg->max_workers < 1 || arg->max_workers > PULSE_MAX_WORKERS ||
	    arg->ring_entries < 2 ||
	    arg->ring_entries > PULSE_MAX_RING_ENTRIES ||
	    !is_power_of_2(arg->ring_entries) ||
	    arg->heap_bytes > PULSE_MAX_HEAP_BYTES || arg->reserved ||
	    !pulse_events_size_ok(arg->event_bytes) || arg->reserved1)
		return -EINVAL;

	if (cmpxchg(&ctx->state, PULSE_CTX_NEW, PULSE_CTX_SETTING_UP) !=
	    PULSE_CTX_NEW)
		return -EBUSY;

	mmgrab(current->mm);
	ctx->mm = current->mm;
	ctx->pid_ns = get_pid_ns(task_active_pid_ns(current));
	ctx->owner = get_pid(task_tgid(current));
	pulse_knobs_inherit(ctx);
	ctx->max_workers = arg->max_workers;
	ctx->ring_entries = arg->ring_entries;
	ctx->heap_bytes = PAGE_ALIGN(arg->heap_bytes);
	ctx->events.bytes = arg->event_bytes;

	ret = pulse_share_alloc(ctx, arg->flags & PULSE_CTX_SHARED) ?:
	      pulse_ctx_alloc(ctx) ?: pulse_ctx_publish(ctx);
	if (ret)
		pulse_ctx_clear(ctx);
	/* (G): pairs with pulse_ctx_is_live() */
	smp_store_release(&ctx->state, ret ? PULSE_CTX_NEW : PULSE_CTX_LIVE);
	if (!ret)
		pulse_nl_ctx_event(ctx, PULSE_NL_CMD_CTX_NEW);
	return ret;
}

static int pulse_cmd_join(struct pulse_call *call)
{
	return pulse_share_join(call->ctx);
}

/* The answer is written before the worker is there, so that EFAULT undoes. */
static int pulse_cmd_worker_add(struct pulse_call *call)
{
	struct pulse_worker *w;

	w = pulse_worker_reserve(call->ctx, &call->arg.add);
	if (IS_ERR(w))
		return PTR_ERR(w);
	if (pulse_answer(call, pulse_worker_add, index, w->index)) {
		pulse_worker_cancel(w);
		return -EFAULT;
	}
	pulse_worker_commit(w, call->file);
	return 0;
}

static int pulse_cmd_worker_del(struct pulse_call *call)
{
	if (call->arg.del.reserved)
		return -EINVAL;
	return pulse_worker_del(call->ctx, call->arg.del.index);
}

static int pulse_cmd_park(struct pulse_call *call)
{
	return pulse_park(call->ctx, &call->arg.park);
}

/*
 * The answer is written twice: a place that cannot be written must be found
 * before anybody is woken.
 */
static int pulse_cmd_wake(struct pulse_call *call)
{
	struct pulse_wake *arg = &call->arg.wake;
	u32 told = arg->nr == 1;	/* as it mostly turns out */
	int ret;

	/* Before anybody is woken, -EFAULT is still the whole answer. */
	if (pulse_answer(call, pulse_wake, woken, told))
		return -EFAULT;
	ret = pulse_wake(call->ctx, arg);
	if (arg->woken != told && pulse_answer(call, pulse_wake, woken, arg->woken))
		return -EFAULT;
	return ret;
}

static int pulse_cmd_wake_node(struct pulse_call *call)
{
	int ret;

	if (call->arg.wake_node.reserved)
		return -EINVAL;
	if (pulse_answer(call, pulse_wake_node, woken, 0))
		return -EFAULT;
	ret = pulse_wake_node(call->ctx, &call->arg.wake_node);
	if (!ret && pulse_answer(call, pulse_wake_node, woken,
				 call->arg.wake_node.woken))
		return -EFAULT;
	return ret;
}

static int pulse_cmd_hint(struct pulse_call *call)
{
	if (call->arg.hint.reserved)
		return -EINVAL;
	return pulse_hint(call->ctx, &call->arg.hint);
}

static int pulse_cmd_handoff(struct pulse_call *call)
{
	if (call->arg.handoff.reserved)
		return -EINVAL;
	return pulse_handoff(call->ctx, &call->arg.handoff);
}

static int pulse_cmd_yield_to(struct pulse_call *call)
{
	if (call->arg.yield_to.reserved)
		return -EINVAL;
	return pulse_yield_to(call->ctx, call->arg.yield_to.index);
}

static int pulse_cmd_beat(struct pulse_call *call)
{
	if (call->arg.beat.reserved)
		return -EINVAL;
	return pulse_beat_set(call->ctx, &call->arg.beat);
}

/* The answer is written before there is a watch, so that EFAULT undoes. */
static int pulse_cmd_watch(struct pulse_call *call)
{
	struct pulse_watched *p = pulse_watch_new(call->ctx, &call->arg.watch);

	if (IS_ERR(p))
		return PTR_ERR(p);
	if (pulse_answer(call, pulse_watch, id, call->arg.watch.id)) {
		pulse_watch_cancel(call->ctx, p);
		return -EFAULT;
	}
	pulse_watch_add(call->ctx, p);
	return 0;
}

static int pulse_cmd_unwatch(struct pulse_call *call)
{
	if (call->arg.unwatch.reserved)
		return -EINVAL;
	return pulse_watch_del(call->ctx, call->arg.unwatch.id);
}

static int pulse_cmd_eventfd(struct pulse_call *call)
{
	if (call->arg.eventfd.reserved)
		return -EINVAL;
	return pulse_events_eventfd(call->ctx, call->arg.eventfd.fd);
}

/**
 * struct pulse_cmd - one command
 * @cmd: its whole number
 * @flags: those that its argument may have
 * @size: of its argument as this kernel knows it
 * @min: of its first version
 * @new_ok: allowed before SETUP
 * @read_ok: allowed without write access
 * @other_ok: allowed in a process that may not use the context
 * @fn: does it
 */
struct pulse_cmd {
	unsigned int cmd;
	u32 flags;
	u16 size;
	u16 min;
	bool new_ok;
	bool read_ok;
	bool other_ok;
	int (*fn)(struct pulse_call *call);
};

#define PULSE_CMD(name, type, ...)					\
	[_IOC_NR(PULSE_IOC_##name)] = {					\
		.cmd = PULSE_IOC_##name,				\
		.size = sizeof(struct type),				\
		.min = _IOC_SIZE(PULSE_IOC_##name),			\
		__VA_ARGS__						\
	}

static const struct pulse_cmd pulse_cmds[] = {
	PULSE_CMD(INFO, pulse_info, .fn = pulse_cmd_info,
		  .new_ok = true, .read_ok = true),
	PULSE_CMD(SETUP, pulse_setup, .fn = pulse_cmd_setup, .new_ok = true,
		  .flags = PULSE_CTX_SHARED),
	PULSE_CMD(JOIN, pulse_join, .fn = pulse_cmd_join, .other_ok = true),
	PULSE_CMD(WORKER_ADD, pulse_worker_add, .fn = pulse_cmd_worker_add),
	PULSE_CMD(WORKER_DEL, pulse_worker_del, .fn = pulse_cmd_worker_del),
	PULSE_CMD(PARK, pulse_park, .fn = pulse_cmd_park),
	PULSE_CMD(WAKE, pulse_wake, .fn = pulse_cmd_wake),
	PULSE_CMD(WAKE_NODE, pulse_wake_node, .fn = pulse_cmd_wake_node,
		  .flags = PULSE_WAKE_SPILL),
	PULSE_CMD(HANDOFF, pulse_handoff, .fn = pulse_cmd_handoff),
	PULSE_CMD(YIELD_TO, pulse_yield_to, .fn = pulse_cmd_yield_to),
	PULSE_CMD(BEAT, pulse_beat, .fn = pulse_cmd_beat,
		  .flags = PULSE_BEAT_HEARD),
	PULSE_CMD(HINT, pulse_hint, .fn = pulse_cmd_hint),
	PULSE_CMD(WATCH, pulse_watch, .fn = pulse_cmd_watch,
		  .flags = PULSE_WATCH_KILL_HANG | PULSE_WATCH_KILL_RSS),
	PULSE_CMD(UNWATCH, pulse_unwatch, .fn = pulse_cmd_unwatch),
	PULSE_CMD(EVENTFD, pulse_eventfd, .fn = pulse_cmd_eventfd),
};

/*
 * Copy the argument in if it is as long as this kernel knows it: one copy, of a
 * size the compiler knows. If it is not, or may end where memory does, nothing
 * of what was read here is used.
 */
static __always_inline bool pulse_call_fetch_whole(struct pulse_call *call,
						   size_t size)
{
	return !copy_from_user(&call->arg, call->uarg, size) &&
	       call->arg.size == size;
}

/* Copy the argument in by the rules at the head of the ABI. */
static int pulse_call_fetch(struct pulse_call *call, const struct pulse_cmd *cmd)
{
	u32 usize;
	int ret;

	/* those that worker threads make all the time */
	static_assert(sizeof(struct pulse_park) == sizeof(struct pulse_wake));
	if (cmd->size == sizeof(struct pulse_park) ?
	    pulse_call_fetch_whole(call, sizeof(struct pulse_park)) :
	    cmd->size == sizeof(struct pulse_handoff) &&
	    pulse_call_fetch_whole(call, sizeof(struct pulse_handoff))) {
		call->usize = cmd->size;
		return call->arg.flags & ~cmd->flags ? -EINVAL : 0;
	}

	if (get_user(usize, (u32 __user *)call->uarg))
		return -EFAULT;
	if (usize < cmd->min)
		return -EINVAL;
	if (usize > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&call->arg, cmd->size, call->uarg, usize);
	if (ret)
		return ret;

	/* Checked is what was read first; the user may have changed it since. */
	call->arg.size = usize;
	call->usize = usize;
	return call->arg.flags & ~cmd->flags ? -EINVAL : 0;
}

static long pulse_ioctl(struct file *file, unsigned int nr, unsigned long uarg)
{
	/* Nobody looks at more of the argument than was copied in. */
	struct pulse_call call __uninitialized;
	const struct pulse_cmd *cmd;
	unsigned int i = _IOC_NR(nr);
	int ret;

	call.ctx = file->private_data;
	call.file = file;
	call.uarg = (void __user *)uarg;
	if (i >= ARRAY_SIZE(pulse_cmds))
		return -ENOTTY;
	cmd = &pulse_cmds[array_index_nospec(i, ARRAY_SIZE(pulse_cmds))];
	if (!cmd->fn || cmd->cmd != nr)
		return -ENOTTY;
	if (!cmd->read_ok && !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	ret = pulse_ctx_check(call.ctx);
	if (ret && !(ret == -ENXIO && cmd->new_ok) &&
	    !(ret == -EPERM && cmd->other_ok))
		return ret;
	ret = pulse_call_fetch(&call, cmd);
	if (ret)
		return ret;
	return cmd->fn(&call);
}

static int pulse_open(struct inode *inode, struct file *file)
{
	struct pulse_ctx *ctx;
	int ret;

	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return -ENOMEM;
	ctx->user = pulse_user_get(current_uid());
	if (!ctx->user) {
		ret = -ENOMEM;
		goto free_ctx;
	}
	ret = pulse_quota_charge(ctx->user, PULSE_QUOTA_CONTEXTS, 1);
	if (ret)
		goto put_user;

	ctx->state = PULSE_CTX_NEW;
	spin_lock_init(&ctx->lock);
	spin_lock_init(&ctx->events.lock);
	pulse_uring_events_prepare(&ctx->events);
	pulse_watches_prepare(ctx);
	init_waitqueue_head(&ctx->poll_wait);
	file->private_data = ctx;
	atomic_inc(&pulse_nr_contexts);
	return nonseekable_open(inode, file);

put_user:
	pulse_user_put(ctx->user);
free_ctx:
	kfree(ctx);
	return ret;
}

/*
 * A close of any descriptor: it concerns the process that closes. Process exit
 * comes here too, without an mm.
 */
static int pulse_flush(struct file *file, fl_owner_t id)
{
	struct pulse_ctx *ctx = file->private_data;

	if (!pulse_ctx_is_live(ctx) || !current->mm)
		return 0;
	pulse_uring_events_cancel(&ctx->events, current->mm);
	if (pulse_share_has(ctx, current->mm))
		pulse_cancel_parks(ctx, current->mm);
	else
		pulse_worker_execed(ctx);
	return 0;
}

/* The last reference: no descriptor, mapping, worker or call is left. */
static int pulse_release(struct inode *inode, struct file *file)
{
	struct pulse_ctx *ctx = file->private_data;

	WARN_ON_ONCE(ctx->nr_workers);
	if (pulse_ctx_is_live(ctx))
		pulse_ctx_unpublish(ctx);
	pulse_watches_end(ctx);
	pulse_uring_events_end(&ctx->events);
	pulse_ctx_clear(ctx);
	pulse_quota_uncharge(ctx->user, PULSE_QUOTA_CONTEXTS, 1);
	pulse_user_put(ctx->user);
	kfree(ctx);
	atomic_dec(&pulse_nr_contexts);
	return 0;
}

/* Readable while the event ring is not empty; without a ring it never is. */
static __poll_t pulse_poll(struct file *file, poll_table *wait)
{
	struct pulse_ctx *ctx = file->private_data;

	poll_wait(file, &ctx->poll_wait, wait);
	return pulse_events_ready(ctx) ? EPOLLIN | EPOLLRDNORM : 0;
}

static const struct file_operations pulse_fops = {
	.owner		= THIS_MODULE,
	.open		= pulse_open,
	.flush		= pulse_flush,
	.release	= pulse_release,
	.poll		= pulse_poll,
	.mmap		= pulse_mmap,
	.unlocked_ioctl	= pulse_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
#if PULSE_HAVE_URING
	.uring_cmd	= pulse_uring_cmd,
#endif
};

static struct miscdevice pulse_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= PULSE_DEVICE_NAME,
	.mode	= 0600,
	.fops	= &pulse_fops,
	.groups	= pulse_sysfs_groups,
};

/**
 * pulse_ctx_parent() - where contexts have their folders in sysfs
 *
 * misc_register() holds back open() until it is done, so that who has a context
 * finds it there.
 *
 * Return: the device's own folder.
 */
struct kobject *pulse_ctx_parent(void)
{
	return &pulse_device.this_device->kobj;
}

/**
 * pulse_ctx_init() - let the device appear
 *
 * Return: 0 or what misc_register() says.
 */
int pulse_ctx_init(void)
{
	return misc_register(&pulse_device);
}

/**
 * pulse_ctx_exit() - let the device go; nobody has it open
 */
void pulse_ctx_exit(void)
{
	misc_deregister(&pulse_device);
}
