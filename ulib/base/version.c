// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* version.c - who we are, what went wrong, and what time it is. */
#include <time.h>

#include "base/base.h"

#define PULSE__STR_(x)	#x
#define PULSE__STR(x)	PULSE__STR_(x)

const char *pulse_version(void)
{
	return PULSE__STR(PULSE_VERSION_MAJOR) "."
	       PULSE__STR(PULSE_VERSION_MINOR) "."
	       PULSE__STR(PULSE_VERSION_PATCH);
}

const char *pulse_strerror(int err)
{
	const char *text;

	/* Where our meaning is narrower than the system's words. */
	switch (err < 0 ? -(unsigned int)err : (unsigned int)err) {
	case 0:
		return "success";
	case EOWNERDEAD:
		return "object of a parent process, used after fork";
	case EPROTO:
		return "shared memory or peer breaks the protocol";
	case ESHUTDOWN:
		return "is shutting down";
	case E2BIG:
		return "options of a newer version, or too big";
	case INT_MIN:
		return "unknown error";
	}
	/* glibc 2.32 and later: static, not translated, no shared buffer. */
	text = strerrordesc_np(err < 0 ? -err : err);
	return text ? text : "unknown error";
}

int64_t pulse_now_ns(void)
{
	return pulse__now_ns();
}

void pulse__ns_to_timespec(int64_t ns, struct timespec *ts)
{
	if (ns < 0)
		ns = 0;
	ts->tv_sec = ns / PULSE__NSEC_PER_SEC;
	ts->tv_nsec = ns % PULSE__NSEC_PER_SEC;
}
