/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_CTX_SYSFS_H
#define PULSE_CTX_SYSFS_H

#include <linux/completion.h>
#include <linux/kobject.h>

struct pulse_ctx;

/**
 * struct pulse_ctx_folder - what a context has in sysfs
 * @kobj: ctx<id>
 * @gone: nobody holds @kobj any more
 */
struct pulse_ctx_folder {
	struct kobject kobj;
	struct completion gone;
};

int pulse_ctx_folder_add(struct pulse_ctx *ctx);
void pulse_ctx_folder_del(struct pulse_ctx *ctx);

#endif /* PULSE_CTX_SYSFS_H */
