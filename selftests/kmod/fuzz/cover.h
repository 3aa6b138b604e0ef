/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cover.h - what of the module ran, from KCOV: one buffer a thread of the program,
 * shared with the fuzzer. Only the module is built for it, so that each address is
 * one of its blocks. What its work items do is not seen: they are no thread of ours.
 */
#ifndef PULSE_SELFTESTS_FUZZ_COVER_H
#define PULSE_SELFTESTS_FUZZ_COVER_H

#include <fcntl.h>
#include <linux/kcov.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"

#define FUZZ_KCOV	"/sys/kernel/debug/kcov"
#define FUZZ_PCS	(16 << 10)
#define FUZZ_FUNCTIONS	512

struct fuzz_cover {
	struct {
		int fd;
		unsigned long *pc;	/* the number of them, then they */
	} thread[FUZZ_THREADS];
	/* the module's functions, by address */
	int nr;
	struct fuzz_function {
		unsigned long at;
		char name[48];
		bool seen;
	} fn[FUZZ_FUNCTIONS];
};

static inline int fuzz_fn_cmp(const void *a, const void *b)
{
	const struct fuzz_function *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

static inline void fuzz_cover_functions(struct fuzz_cover *c)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[256], name[128], type;
	unsigned long at;

	while (f && fgets(line, sizeof(line), f) && c->nr < FUZZ_FUNCTIONS) {
		/* nor what the compiler and the tracepoints made */
		if (!strstr(line, "[pulse]") ||
		    sscanf(line, "%lx %c %127s", &at, &type, name) != 3 ||
		    (type != 't' && type != 'T') || strchr(name, '.') ||
		    !strncmp(name, "_", 1) || strstr(name, "trace_"))
			continue;
		c->fn[c->nr].at = at;
		snprintf(c->fn[c->nr++].name, sizeof(c->fn[0].name), "%.47s", name);
	}
	if (f)
		fclose(f);
	qsort(c->fn, (size_t)c->nr, sizeof(c->fn[0]), fuzz_fn_cmp);
}

static inline void fuzz_cover_close(struct fuzz_cover *c)
{
	for (int i = 0; c && i < FUZZ_THREADS && c->thread[i].pc; i++) {
		munmap(c->thread[i].pc, FUZZ_PCS * sizeof(unsigned long));
		close(c->thread[i].fd);
	}
	free(c);
}

/* NULL where the kernel has no KCOV. */
static inline struct fuzz_cover *fuzz_cover_open(void)
{
	struct fuzz_cover *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	for (int i = 0; i < FUZZ_THREADS; i++) {
		int fd = open(FUZZ_KCOV, O_RDWR | O_CLOEXEC);
		void *p = MAP_FAILED;

		if (fd >= 0 && !ioctl(fd, KCOV_INIT_TRACE, FUZZ_PCS))
			p = mmap(NULL, FUZZ_PCS * sizeof(unsigned long),
				 PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED) {
			if (fd >= 0)
				close(fd);
			fuzz_cover_close(c);
			return NULL;
		}
		c->thread[i].fd = fd;
		c->thread[i].pc = p;
	}
	fuzz_cover_functions(c);
	return c;
}

static inline bool fuzz_cover_begin(struct fuzz_cover *c, uint32_t thread)
{
	return c && !ioctl(c->thread[thread].fd, KCOV_ENABLE, KCOV_TRACE_PC);
}

static inline void fuzz_cover_end(struct fuzz_cover *c, uint32_t thread)
{
	ioctl(c->thread[thread].fd, KCOV_DISABLE, 0);
}

static inline void fuzz_cover_clear(struct fuzz_cover *c)
{
	for (int i = 0; c && i < FUZZ_THREADS; i++)
		__atomic_store_n(&c->thread[i].pc[0], 0, __ATOMIC_RELAXED);
}

static inline void fuzz_cover_saw(struct fuzz_cover *c, unsigned long pc)
{
	int lo = 0, hi = c->nr;

	while (hi - lo > 1) {
		int mid = (lo + hi) / 2;

		if (c->fn[mid].at <= pc)
			lo = mid;
		else
			hi = mid;
	}
	if (c->nr && c->fn[lo].at <= pc)
		c->fn[lo].seen = true;
}

/* Tells the engine which block came after which. */
static inline void fuzz_cover_collect(struct fuzz_cover *c, struct fuzz_engine *e)
{
	for (int i = 0; c && i < FUZZ_THREADS; i++) {
		const unsigned long *pc = c->thread[i].pc;
		unsigned long n = __atomic_load_n(&pc[0], __ATOMIC_RELAXED), was = 0;

		for (unsigned long k = 1; k <= n && k < FUZZ_PCS; k++) {
			uint32_t before = e->signals;

			fuzz_signal(e, was, pc[k]);
			if (e->signals != before)
				fuzz_cover_saw(c, pc[k]);
			was = pc[k];
		}
	}
}

static inline bool fuzz_cover_has(const struct fuzz_cover *c, const char *name)
{
	for (int i = 0; c && i < c->nr; i++)
		if (!strcmp(c->fn[i].name, name))
			return c->fn[i].seen;
	return false;
}

#endif /* PULSE_SELFTESTS_FUZZ_COVER_H */
