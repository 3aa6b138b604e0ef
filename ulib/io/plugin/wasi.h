/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * wasi.h - the part of WASI (snapshot preview1) that modules find: what they write
 * to standard output and error is logged by lines, there are clocks, random bytes,
 * an end, and neither arguments nor environment, nor files. What is not here
 * answers PULSE__WASI_NOSYS.
 *
 * Used by what pulse-wasm-cc makes and by the runtime; includes nothing of either.
 */
#ifndef PULSE__WASI_H
#define PULSE__WASI_H

#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
	PULSE__WASI_OK = 0, PULSE__WASI_BADF = 8, PULSE__WASI_FAULT = 21,
	PULSE__WASI_INVAL = 28, PULSE__WASI_IO = 29, PULSE__WASI_NOSYS = 52,
};

struct pulse__wasi_line {
	uint32_t len;
	char text[508];
};

/* Of an instance; zeroed, but for the functions. */
struct pulse__wasi {
	void *arg;
	/* @len bytes of the module's memory; NULL: there are not so many. */
	uint8_t *(*memory)(void *arg, uint32_t at, uint32_t len);
	/* @level: enum pulse_log_level */
	void (*log)(void *arg, int level, const char *text, size_t len);
	struct pulse__wasi_line out, err;
};

static inline int pulse__wasi_put32(const struct pulse__wasi *w, uint32_t at,
				    uint32_t v)
{
	uint8_t *p = w->memory(w->arg, at, 4);

	for (int i = 0; p && i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
	return p ? PULSE__WASI_OK : PULSE__WASI_FAULT;
}

static inline int pulse__wasi_get32(const struct pulse__wasi *w, uint32_t at,
				    uint32_t *v)
{
	const uint8_t *p = w->memory(w->arg, at, 4);

	*v = 0;
	for (int i = 0; p && i < 4; i++)
		*v |= (uint32_t)p[i] << 8 * i;
	return p ? PULSE__WASI_OK : PULSE__WASI_FAULT;
}

static inline void pulse__wasi_say(struct pulse__wasi *w,
				   struct pulse__wasi_line *line)
{
	if (line->len)
		w->log(w->arg, line == &w->err ? 1 : 2, line->text, line->len);
	line->len = 0;
}

/* A run is over: what has no end of line yet is a line as well. */
static inline void pulse__wasi_flush(struct pulse__wasi *w)
{
	pulse__wasi_say(w, &w->out);
	pulse__wasi_say(w, &w->err);
}

static inline void pulse__wasi_write(struct pulse__wasi *w,
				     struct pulse__wasi_line *line,
				     const uint8_t *p, uint32_t n)
{
	for (; n; p++, n--) {
		if (*p == '\n' || line->len == sizeof(line->text))
			pulse__wasi_say(w, line);
		if (*p != '\n')
			line->text[line->len++] = (char)*p;
	}
}

/* Of one call, which is not to take long: who has more calls again. */
#define PULSE__WASI_WRITE_MAX	65536U

static inline uint32_t pulse__wasi_fd_write(struct pulse__wasi *w, uint32_t fd,
					    uint32_t iovs, uint32_t nr, uint32_t out)
{
	uint32_t total = 0, at, len;

	if (fd != 1 && fd != 2)
		return PULSE__WASI_BADF;
	if (nr > 1024)
		return PULSE__WASI_INVAL;
	for (uint32_t i = 0; i < nr && total < PULSE__WASI_WRITE_MAX; i++) {
		const uint8_t *p;

		if (pulse__wasi_get32(w, iovs + 8 * i, &at) ||
		    pulse__wasi_get32(w, iovs + 8 * i + 4, &len))
			return PULSE__WASI_FAULT;
		p = w->memory(w->arg, at, len);
		if (!p)
			return PULSE__WASI_FAULT;
		if (len > PULSE__WASI_WRITE_MAX - total)
			len = PULSE__WASI_WRITE_MAX - total;
		pulse__wasi_write(w, fd == 1 ? &w->out : &w->err, p, len);
		total += len;
	}
	return (uint32_t)pulse__wasi_put32(w, out, total);
}

static inline uint32_t pulse__wasi_clock_time_get(struct pulse__wasi *w,
						  uint32_t id, uint64_t precision,
						  uint32_t out)
{
	struct timespec ts;
	uint64_t ns;

	(void)precision;
	if (id > 1)
		return PULSE__WASI_INVAL;
	clock_gettime(id ? CLOCK_MONOTONIC : CLOCK_REALTIME, &ts);
	ns = (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
	/* Both halves or none. */
	if (!w->memory(w->arg, out, 8))
		return PULSE__WASI_FAULT;
	pulse__wasi_put32(w, out, (uint32_t)ns);
	return (uint32_t)pulse__wasi_put32(w, out + 4, (uint32_t)(ns >> 32));
}

static inline uint32_t pulse__wasi_random_get(struct pulse__wasi *w, uint32_t at,
					      uint32_t len)
{
	uint8_t *p = w->memory(w->arg, at, len);

	if (!p)
		return PULSE__WASI_FAULT;
	if (len > PULSE__WASI_WRITE_MAX)
		return PULSE__WASI_INVAL;
	for (uint32_t n = 0; len; p += n, len -= n) {
		n = len < 256 ? len : 256;	/* comes whole */
		if (getrandom(p, n, 0) != (ssize_t)n)
			return PULSE__WASI_IO;
	}
	return PULSE__WASI_OK;
}

/* args_sizes_get, environ_sizes_get: none. */
static inline uint32_t pulse__wasi_none(struct pulse__wasi *w, uint32_t nr,
					uint32_t bytes)
{
	int err = pulse__wasi_put32(w, nr, 0);

	return (uint32_t)(err ? err : pulse__wasi_put32(w, bytes, 0));
}

/* Standard output and error are terminals to be written to: C writes by lines. */
static inline uint32_t pulse__wasi_fd_fdstat_get(struct pulse__wasi *w,
						 uint32_t fd, uint32_t out)
{
	uint8_t *p;

	if (fd != 1 && fd != 2)
		return PULSE__WASI_BADF;
	p = w->memory(w->arg, out, 24);
	if (!p)
		return PULSE__WASI_FAULT;
	memset(p, 0, 24);
	p[0] = 2;			/* a character device */
	p[8] = 1 << 6;			/* fd_write */
	return PULSE__WASI_OK;
}

/* name, its parameters (i: 32 bits, I: 64 bits); all of them but proc_exit answer i */
#define PULSE__WASI_CALLS(X)						\
	X(fd_write, "iiii")						\
	X(fd_fdstat_get, "ii")						\
	X(fd_prestat_get, "ii")						\
	X(clock_time_get, "iIi")					\
	X(random_get, "ii")						\
	X(args_sizes_get, "ii")						\
	X(args_get, "ii")						\
	X(environ_sizes_get, "ii")					\
	X(environ_get, "ii")

/* fd_prestat_get: no folder was opened for it. */
#define PULSE__WASI_NO_FOLDERS	PULSE__WASI_BADF

#endif /* PULSE__WASI_H */
