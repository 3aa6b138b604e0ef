/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * base.h - what every area shares: errors, options, log sink, version.
 *
 * Every function returns 0 (or a count) or a negative errno; errno itself is
 * never set as a result. Every create function takes an options struct that
 * begins with its own size, or NULL for the defaults; a field left 0 means its
 * default. Handles are opaque. A function that is given a NULL handle or a
 * NULL place for a result answers -EINVAL.
 */
#ifndef PULSE_U_BASE_H
#define PULSE_U_BASE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what the shared library exports. */
#define PULSE_API __attribute__((visibility("default")))

#define PULSE_VERSION_MAJOR 0
#define PULSE_VERSION_MINOR 1
#define PULSE_VERSION_PATCH 0

#define PULSE_CACHE_LINE 64
/* Two lines: what the adjacent-line prefetcher pulls in as one. */
#define PULSE_CACHE_PAIR 128

/* For options whose default is not simply "off". */
enum pulse_switch {
	PULSE_OFF = -1,
	PULSE_DEFAULT = 0,
	PULSE_ON = 1,
};

/**
 * PULSE_OPTS() - declare an options struct with its size and some fields set
 * @TYPE: name of the struct, without the word struct
 * @NAME: name of the variable
 *
 *	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 8);
 *
 * All that is not named, padding included, is zero.
 */
#ifndef __cplusplus
#define PULSE_OPTS(TYPE, NAME, ...)					\
	struct TYPE NAME;						\
	memset(&NAME, 0, sizeof(NAME));					\
	NAME = (struct TYPE){ .sz = sizeof(struct TYPE), __VA_ARGS__ }
#endif

/**
 * pulse_version() - version of the library that is loaded
 *
 * Return: "major.minor.patch", static.
 */
PULSE_API const char *pulse_version(void);

/**
 * pulse_strerror() - the text for an error of this library
 * @err: a value that a function returned, negative or positive
 *
 * Return: a static string, never NULL. Safe from any thread.
 */
PULSE_API const char *pulse_strerror(int err);

/* Levels of the log sink. */
enum pulse_log_level {
	PULSE_LOG_ERROR = 0,
	PULSE_LOG_WARN = 1,
	PULSE_LOG_INFO = 2,
	PULSE_LOG_DEBUG = 3,
};

/**
 * typedef pulse_log_fn - receives one finished log line
 * @level: enum pulse_log_level
 * @line: the text, without a newline; valid during the call only
 * @arg: as given to pulse_log_set_sink()
 *
 * May be called by several threads at once, and must not call the library.
 */
typedef void (*pulse_log_fn)(int level, const char *line, void *arg);

/**
 * pulse_log_set_sink() - send the library's log lines elsewhere
 * @fn: the sink, or NULL for the default: standard error, one line each
 * @arg: passed to @fn
 */
PULSE_API void pulse_log_set_sink(pulse_log_fn fn, void *arg);

/**
 * pulse_log_set_level() - drop what is less important than this
 * @level: enum pulse_log_level; the default is PULSE_LOG_INFO, or what the
 *	environment variable PULSE_LOG says (error, warn, info, debug)
 *
 * Return: the level before, or -EINVAL.
 */
PULSE_API int pulse_log_set_level(int level);

/**
 * pulse_log() - write a line to the log sink
 * @level: enum pulse_log_level
 * @fmt: as for printf, without a newline at its end
 */
PULSE_API void pulse_log(int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * pulse_now_ns() - CLOCK_MONOTONIC
 *
 * Return: nanoseconds; what every deadline of the library counts in.
 */
PULSE_API int64_t pulse_now_ns(void);

/* "No deadline" wherever an absolute deadline is taken. */
#define PULSE_FOREVER INT64_MAX

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_BASE_H */
