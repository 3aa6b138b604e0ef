// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * exit.c - reasons, kinds and states in words.
 */
#include <signal.h>
#include <stdio.h>

#include <linux/pulse.h>

#include "sup/sup_int.h"

static const char *hang_text(uint32_t verdict)
{
	switch (verdict) {
	case PULSE_HANG_STUCK:
		return "hung: ran without getting on";
	case PULSE_HANG_STARVED:
		return "hung: had no CPU";
	case PULSE_HANG_BLOCKED:
		return "hung: asleep, not waiting for work";
	default:
		return "hung: no beat in its time";
	}
}

int pulse_exit_text(const struct pulse_exit *why, char *buf, size_t bytes)
{
	char name[24];
	const char *abbrev;

	if (!why || !buf || !bytes)
		return -EINVAL;
	switch (why->kind) {
	case PULSE_EXIT_NONE:
		return snprintf(buf, bytes, "did not end");
	case PULSE_EXIT_NORMAL:
		return snprintf(buf, bytes, "normal");
	case PULSE_EXIT_SHUTDOWN:
		if (why->flags & PULSE_EXIT_TOO_MANY)
			return snprintf(buf, bytes,
					"shutdown: too many restarts");
		if (why->flags & PULSE_EXIT_AUTO)
			return snprintf(buf, bytes,
					"shutdown: significant children ended");
		return snprintf(buf, bytes, "shutdown");
	case PULSE_EXIT_CODE:
		return snprintf(buf, bytes, "ended with code %d", why->code);
	case PULSE_EXIT_SIGNAL:
		abbrev = sigabbrev_np(why->signal);
		if (abbrev)
			snprintf(name, sizeof(name), "SIG%s", abbrev);
		else
			snprintf(name, sizeof(name), "signal %d", why->signal);
		return snprintf(buf, bytes, "ended by %s%s", name,
				why->flags & PULSE_EXIT_CORE ?
				" (core dumped)" : "");
	case PULSE_EXIT_KILLED:
		return snprintf(buf, bytes, "ended by force");
	case PULSE_EXIT_HANG:
		return snprintf(buf, bytes, "%s", hang_text(why->verdict));
	case PULSE_EXIT_MEMORY:
		return snprintf(buf, bytes, "over its memory limit");
	case PULSE_EXIT_HEALTH:
		return snprintf(buf, bytes, "health check failed");
	case PULSE_EXIT_OOM:
		return snprintf(buf, bytes, "its cgroup ran out of memory");
	case PULSE_EXIT_START:
		return snprintf(buf, bytes, "could not be started: %s",
				pulse_strerror(why->code));
	case PULSE_EXIT_LOST:
		return snprintf(buf, bytes, "ended, nobody knows how");
	default:
		return snprintf(buf, bytes, "reason %u", why->kind);
	}
}

static const char *word(const char *const *names, size_t nr, int i)
{
	return i >= 0 && (size_t)i < nr ? names[i] : "other";
}

const char *pulse_child_kind_text(int kind)
{
	static const char *const names[] = {
		[PULSE_CHILD_THREAD] = "thread",
		[PULSE_CHILD_PROCESS] = "process",
		[PULSE_CHILD_SUPERVISOR] = "supervisor",
		[PULSE_CHILD_OPS] = "ops",
	};

	return word(names, ARRAY_SIZE(names), kind);
}

const char *pulse_child_status_text(int status)
{
	static const char *const names[] = {
		[PULSE_CHILD_STOPPED] = "stopped",
		[PULSE_CHILD_STARTING] = "starting",
		[PULSE_CHILD_RUNNING] = "running",
		[PULSE_CHILD_STOPPING] = "stopping",
		[PULSE_CHILD_RESTARTING] = "restarting",
	};

	return word(names, ARRAY_SIZE(names), status);
}
