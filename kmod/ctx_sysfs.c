// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/class/misc/pulse/ctx<id>/: a context, for its owner and for root. Described
 * in Documentation/ABI/testing/sysfs-class-misc-pulse.
 *
 * The folder comes with SETUP, when all that it tells of is there, and goes in the
 * context's release. kobject_del() waits for attributes that are being read, and
 * the completion for whoever else holds the kobject, so that it can be a part of
 * the context.
 *
 * Files belong to the uid that set the context up and are for him alone. A file
 * that is open tells the pids of whoever reads it.
 */
#include <linux/kobject.h>
#include <linux/pid_namespace.h>
#include <linux/sysfs.h>
#include <linux/user_namespace.h>

#include "compat.h"
#include "ctx.h"
#include "ctx_sysfs.h"
#include "knob.h"

static struct pulse_ctx *pulse_folder_ctx(const struct kobject *kobj)
{
	return container_of(kobj, struct pulse_ctx, folder.kobj);
}

/* One file, one number. */
#define PULSE_CTX_FIGURE(name, format, value)				\
static ssize_t name##_show(struct kobject *kobj,			\
			   struct kobj_attribute *attr, char *buf)	\
{									\
	struct pulse_ctx *ctx = pulse_folder_ctx(kobj);			\
									\
	return sysfs_emit(buf, format "\n", value);			\
}									\
static struct kobj_attribute pulse_ctx_##name =				\
	__ATTR(name, 0400, name##_show, NULL)

PULSE_CTX_FIGURE(uid, "%u", from_kuid_munged(current_user_ns(), ctx->share.uid));
PULSE_CTX_FIGURE(pid, "%d", pid_nr_ns(ctx->owner, task_active_pid_ns(current)));
PULSE_CTX_FIGURE(shared, "%d", ctx->share.shared);
PULSE_CTX_FIGURE(workers, "%u", READ_ONCE(ctx->nr_workers));
PULSE_CTX_FIGURE(max_workers, "%u", ctx->max_workers);
PULSE_CTX_FIGURE(nodes, "%u", ctx->nr_nodes);
PULSE_CTX_FIGURE(ring_entries, "%u", ctx->ring_entries);
PULSE_CTX_FIGURE(heap_bytes, "%u", ctx->heap_bytes);
PULSE_CTX_FIGURE(event_bytes, "%u", ctx->events.bytes);
PULSE_CTX_FIGURE(events_dropped, "%llu", READ_ONCE(ctx->events.dropped));
PULSE_CTX_FIGURE(pages, "%lu", ctx->charged_pages);
PULSE_CTX_FIGURE(watches, "%u", READ_ONCE(ctx->watches.nr));

static ssize_t pulse_ctx_knob_show(struct kobject *kobj,
				   struct kobj_attribute *attr, char *buf)
{
	int id = pulse_knob_find(attr->attr.name, true);

	return sysfs_emit(buf, "%u\n",
			  pulse_knob_get(pulse_folder_ctx(kobj), id));
}

static ssize_t pulse_ctx_knob_store(struct kobject *kobj,
				    struct kobj_attribute *attr,
				    const char *buf, size_t count)
{
	int id = pulse_knob_find(attr->attr.name, true);
	unsigned int value;
	int ret = pulse_knob_parse(buf, count, &value);

	if (!ret)
		ret = pulse_knob_set(pulse_folder_ctx(kobj), id, value);
	return ret ?: count;
}

#define PULSE_CTX_KNOB(name)						\
static struct kobj_attribute pulse_ctx_##name =				\
	__ATTR(name, 0600, pulse_ctx_knob_show, pulse_ctx_knob_store)

PULSE_CTX_KNOB(spin_us);
PULSE_CTX_KNOB(wake_spill);

static struct attribute *pulse_ctx_attrs[] = {
	&pulse_ctx_uid.attr,
	&pulse_ctx_pid.attr,
	&pulse_ctx_shared.attr,
	&pulse_ctx_workers.attr,
	&pulse_ctx_max_workers.attr,
	&pulse_ctx_nodes.attr,
	&pulse_ctx_ring_entries.attr,
	&pulse_ctx_heap_bytes.attr,
	&pulse_ctx_event_bytes.attr,
	&pulse_ctx_events_dropped.attr,
	&pulse_ctx_pages.attr,
	&pulse_ctx_watches.attr,
	&pulse_ctx_spin_us.attr,
	&pulse_ctx_wake_spill.attr,
	NULL,
};
ATTRIBUTE_GROUPS(pulse_ctx);

static void pulse_folder_ownership(pulse_kobj_const struct kobject *kobj,
				   kuid_t *uid, kgid_t *gid)
{
	*uid = pulse_folder_ctx(kobj)->share.uid;
	*gid = GLOBAL_ROOT_GID;
}

static void pulse_folder_release(struct kobject *kobj)
{
	complete(&pulse_folder_ctx(kobj)->folder.gone);
}

static const struct kobj_type pulse_ctx_ktype = {
	.release	= pulse_folder_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= pulse_ctx_groups,
	.get_ownership	= pulse_folder_ownership,
};

static void pulse_folder_put(struct pulse_ctx *ctx)
{
	kobject_put(&ctx->folder.kobj);
	wait_for_completion(&ctx->folder.gone);
}

/**
 * pulse_ctx_folder_add() - let the folder appear
 * @ctx: being set up, and has its number
 *
 * Return: 0 or -ENOMEM.
 */
int pulse_ctx_folder_add(struct pulse_ctx *ctx)
{
	int ret;

	/* A SETUP that failed before may have left its traces. */
	memset(&ctx->folder, 0, sizeof(ctx->folder));
	init_completion(&ctx->folder.gone);
	ret = kobject_init_and_add(&ctx->folder.kobj, &pulse_ctx_ktype,
				   pulse_ctx_parent(), "ctx%u", ctx->id);
	if (ret)
		pulse_folder_put(ctx);
	return ret;
}

/**
 * pulse_ctx_folder_del() - let it go; nobody reads in it when this returns
 * @ctx: from pulse_ctx_folder_add()
 */
void pulse_ctx_folder_del(struct pulse_ctx *ctx)
{
	kobject_del(&ctx->folder.kobj);
	pulse_folder_put(ctx);
}
