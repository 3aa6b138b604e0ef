// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load and unload: a list of parts, begun in its order, ended backwards. The
 * device comes last, so that nobody gets in before everything is there.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>

#include "beat.h"
#include "ctx.h"
#include "knob.h"
#include "netlink.h"
#include "quota.h"
#include "state.h"
#include "watch.h"
#include "worker.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

struct pulse_part {
	int (*init)(void);
	void (*exit)(void);
};

static const struct pulse_part pulse_parts[] = {
	{ pulse_knob_init,	NULL },
	{ pulse_beat_init,	pulse_beat_exit },
	{ pulse_state_init,	pulse_state_exit },
	{ NULL,			pulse_worker_exit },
	{ pulse_watch_init,	pulse_watch_exit },
	{ pulse_netlink_init,	pulse_netlink_exit },
	{ pulse_ctx_init,	pulse_ctx_exit },
};

static void pulse_end(int n)
{
	while (n--)
		if (pulse_parts[n].exit)
			pulse_parts[n].exit();
}

static int __init pulse_init(void)
{
	int i, ret;

	for (i = 0; i < ARRAY_SIZE(pulse_parts); i++) {
		ret = pulse_parts[i].init ? pulse_parts[i].init() : 0;
		if (ret) {
			pulse_end(i);
			return ret;
		}
	}
	return 0;
}

static void __exit pulse_exit(void)
{
	pulse_end(ARRAY_SIZE(pulse_parts));
}

module_init(pulse_init);
module_exit(pulse_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("Pulse");
MODULE_DESCRIPTION("Worker threads: state, parking, wake-ups and rings by NUMA node");
