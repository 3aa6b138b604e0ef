/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * helpers.h - children for the supervisor's tests: toys, which live and die at
 * the test's word, and a record of what happened in which order.
 */
#ifndef SUP_HELPERS_H
#define SUP_HELPERS_H

#include <dirent.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

#include <pulse-u/app.h>
#include <pulse-u/supervisor.h>

#include "base/base.h"
#include "ktap.h"
#include "until.h"

static inline void nap_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

#define GET(x)		__atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define SET(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)
#define INC(x)		__atomic_fetch_add(&(x), 1, __ATOMIC_SEQ_CST)

/* ---- the record ------------------------------------------------------------ */

static pthread_mutex_t record_lock = PTHREAD_MUTEX_INITIALIZER;
static char record_text[8192];

__attribute__((format(printf, 1, 2)))
static inline void record(const char *fmt, ...)
{
	va_list ap;
	size_t n;

	pthread_mutex_lock(&record_lock);
	n = strlen(record_text);
	va_start(ap, fmt);
	vsnprintf(record_text + n, sizeof(record_text) - n, fmt, ap);
	va_end(ap);
	pthread_mutex_unlock(&record_lock);
}

/* What was recorded since the last call; valid until the next one. */
static inline const char *recorded(void)
{
	static char text[sizeof(record_text)];

	pthread_mutex_lock(&record_lock);
	memcpy(text, record_text, sizeof(text));
	record_text[0] = 0;
	pthread_mutex_unlock(&record_lock);
	return text;
}

/* ---- toys ------------------------------------------------------------------- */

struct toy {
	const char *id;
	struct pulse_child *self;	/* alive */
	int starts;
	int fail;			/* so many starts fail, after ... */
	int fail_after;			/* ... so many */
	bool hang_start;		/* pending until toy_ready() */
	bool deaf;			/* does not hear stop */
	bool immortal;			/* nor force */
	bool ignore;
};

static inline void toy_end(struct toy *t, uint32_t kind, int code)
{
	struct pulse_exit why = { .kind = kind, .code = code };
	struct pulse_child *self = __atomic_exchange_n(&t->self, NULL,
						       __ATOMIC_SEQ_CST);

	if (self)
		pulse_child_exited(self, &why);
}

static inline int toy_start(struct pulse_child *self, void *arg)
{
	struct toy *t = arg;
	int n = INC(t->starts);

	if (n >= t->fail_after && GET(t->fail) > 0) {
		__atomic_fetch_sub(&t->fail, 1, __ATOMIC_SEQ_CST);
		record("!%s ", t->id);
		return -EIO;
	}
	if (GET(t->ignore))
		return PULSE_CHILD_IGNORE;
	record("+%s ", t->id);
	SET(t->self, self);
	return GET(t->hang_start) ? PULSE_CHILD_PENDING : 0;
}

static inline void toy_stop(struct pulse_child *self, void *arg)
{
	struct toy *t = arg;

	(void)self;
	record("-%s ", t->id);
	if (!GET(t->deaf))
		toy_end(t, PULSE_EXIT_SHUTDOWN, 0);
}

static inline void toy_kill(struct pulse_child *self, void *arg)
{
	struct toy *t = arg;

	(void)self;
	record("x%s ", t->id);
	if (!GET(t->immortal))
		toy_end(t, PULSE_EXIT_CODE, 9);
}

static const struct pulse_child_ops toy_ops = {
	.sz = sizeof(toy_ops), .name = "toy", .flags = PULSE_CHILD_OPS_INLINE,
	.start = toy_start, .stop = toy_stop, .kill = toy_kill,
};

#define TOY_SPEC(NAME, TOY, ...)					\
	PULSE_OPTS(pulse_child_spec, NAME, .id = (TOY)->id,		\
		   .kind = PULSE_CHILD_OPS, .ops = &toy_ops,		\
		   .arg = (TOY), ##__VA_ARGS__)

static inline int add_toy(struct pulse_sup *sup, struct toy *t, int restart)
{
	TOY_SPEC(spec, t, .restart = restart);
	return pulse_sup_start_child(sup, &spec, NULL);
}

static inline int status_of(struct pulse_sup *sup, const char *id)
{
	struct pulse_child_info info = { .sz = sizeof(info) };
	int err = pulse_sup_find_child(sup, id, &info);

	return err ? err : info.status;
}

static inline struct pulse_child_info info_of(struct pulse_sup *sup,
					      const char *id)
{
	struct pulse_child_info info = { .sz = sizeof(info) };

	pulse_sup_find_child(sup, id, &info);
	return info;
}

static inline struct pulse_sup_stats stats_of(struct pulse_sup *sup)
{
	struct pulse_sup_stats s = { .sz = sizeof(s) };

	pulse_sup_stats(sup, &s);
	return s;
}

/* ---- the process ------------------------------------------------------------- */

static inline int count_dir(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

#define OPEN_FDS()	count_dir("/proc/self/fd")
#define THREADS()	count_dir("/proc/self/task")

/* A clock of the test's own, in milliseconds. */
static int64_t fake_ms = 1000;
static int fake_looks;		/* at the clock, by anybody */

static inline int64_t fake_now(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&fake_looks, 1, __ATOMIC_SEQ_CST);
	return GET(fake_ms) * 1000000;
}

static inline void fake_pass(struct pulse_sup *sup, int64_t ms)
{
	__atomic_fetch_add(&fake_ms, ms, __ATOMIC_SEQ_CST);
	pulse_sup_kick(sup);
}

#endif /* SUP_HELPERS_H */
