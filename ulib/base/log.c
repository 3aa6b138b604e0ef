// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * log.c - the log sink, one of the few process-wide things.
 *
 * A sink and its argument are published together, as one pointer to one of a
 * few slots that are never freed, so that a line under way in another thread
 * never sees the one with the other's argument.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"

#define PULSE__LOG_LINE 1024

struct pulse__sink {
	pulse_log_fn fn;
	void *arg;
};

static struct pulse__sink *pulse__sink;		/* NULL: standard error */
static pthread_mutex_t pulse__sink_lock = PTHREAD_MUTEX_INITIALIZER;
static int pulse__log_level = -1;		/* -1: PULSE_LOG not read yet */

static const char *const pulse__level_names[] = {
	[PULSE_LOG_ERROR] = "error",
	[PULSE_LOG_WARN] = "warn",
	[PULSE_LOG_INFO] = "info",
	[PULSE_LOG_DEBUG] = "debug",
};

static int pulse__level(void)
{
	int level = READ_ONCE(pulse__log_level);
	const char *env;
	int unset = -1;

	if (likely(level >= 0))
		return level;
	level = PULSE_LOG_INFO;
	env = getenv("PULSE_LOG");
	for (size_t i = 0; env && i < ARRAY_SIZE(pulse__level_names); i++) {
		if (!strcmp(env, pulse__level_names[i]))
			level = (int)i;
	}
	/* Whoever set a level meanwhile knows better: then take that one. */
	if (pulse__cas(&pulse__log_level, &unset, level, __ATOMIC_RELAXED,
		       __ATOMIC_RELAXED))
		return level;
	return unset;
}

bool pulse__log_wanted(int level)
{
	return level <= pulse__level();
}

int pulse_log_set_level(int level)
{
	if (level < PULSE_LOG_ERROR || level > PULSE_LOG_DEBUG)
		return -EINVAL;
	pulse__level();		/* or else there is no level before */
	return __atomic_exchange_n(&pulse__log_level, level, __ATOMIC_RELAXED);
}

void pulse_log_set_sink(pulse_log_fn fn, void *arg)
{
	/*
	 * Old slots are kept: a line under way may still hold one. Sinks are
	 * changed a handful of times in a process, the same pair is reused.
	 */
	static struct slot {
		struct pulse__sink sink;
		struct slot *next;
	} *slots;
	struct slot *s = NULL;

	pthread_mutex_lock(&pulse__sink_lock);
	if (fn) {
		for (s = slots; s; s = s->next) {
			if (s->sink.fn == fn && s->sink.arg == arg)
				break;
		}
		if (!s) {
			s = malloc(sizeof(*s));
			if (s) {
				s->sink.fn = fn;
				s->sink.arg = arg;
				s->next = slots;
				slots = s;
			}
		}
	}
	/* Without memory for a slot: standard error, rather than silence. */
	pulse__store_release(&pulse__sink, s ? &s->sink : NULL);
	pthread_mutex_unlock(&pulse__sink_lock);
}

static void pulse__log_stderr(int level, const char *line)
{
	char out[PULSE__LOG_LINE + 32];
	int n = snprintf(out, sizeof(out), "pulse: %s: %s\n",
			 pulse__level_names[level], line);

	/* One write, so that lines of several threads do not mix. */
	if (n > 0 && write(STDERR_FILENO, out, (size_t)n) < 0)
		return;
}

static void pulse__log_emit(int level, const char *line)
{
	/* pairs with pulse_log_set_sink: the slot is filled in before */
	struct pulse__sink *sink = pulse__load_acquire(&pulse__sink);

	if (sink)
		sink->fn(level, line, sink->arg);
	else
		pulse__log_stderr(level, line);
}

void pulse_log(int level, const char *fmt, ...)
{
	char line[PULSE__LOG_LINE];
	int saved = errno;
	va_list ap;

	if (!fmt || level < PULSE_LOG_ERROR || !pulse__log_wanted(level))
		return;
	if (level > PULSE_LOG_DEBUG)
		level = PULSE_LOG_DEBUG;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	pulse__log_emit(level, line);
	errno = saved;
}

void pulse__bug(const char *fmt, ...)
{
	char line[PULSE__LOG_LINE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (pulse__load_acquire(&pulse__sink))
		pulse__log_emit(PULSE_LOG_ERROR, line);
	pulse__log_stderr(PULSE_LOG_ERROR, line);
	abort();
}
