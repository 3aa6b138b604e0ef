/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine.h - the search: programs that did something new are kept, and most new
 * programs are changed old ones. What "new" is, the caller's run function says by
 * marking signals: blocks of the module's code, answers of its calls.
 */
#ifndef PULSE_SELFTESTS_FUZZ_ENGINE_H
#define PULSE_SELFTESTS_FUZZ_ENGINE_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "prog.h"

#define FUZZ_SIGNALS	(1U << 18)
#define FUZZ_CORPUS	512

struct fuzz_engine {
	uint64_t rnd;
	bool blind;		/* nothing is kept: for comparison */
	uint32_t nr;		/* programs that were kept */
	uint32_t again;		/* the first of these were loaded and wait to be run */
	uint64_t runs;
	uint32_t signals;	/* different ones that were seen */
	uint32_t fresh;		/* of these, since the last program was learnt from */
	struct fuzz_prog kept[FUZZ_CORPUS];
	uint8_t seen[FUZZ_SIGNALS / 8];
};

static inline struct fuzz_engine *fuzz_engine_new(uint64_t seed)
{
	struct fuzz_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	/* neighbouring seeds are to have nothing in common */
	e->rnd = (seed ^ 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL | 1;
	return e;
}

/* Something happened: a block after another one, an answer. */
static inline void fuzz_signal(struct fuzz_engine *e, uint64_t from, uint64_t to)
{
	uint64_t h = (from * 0x9e3779b97f4a7c15ULL) ^ to;
	uint32_t bit;

	h *= 0xbf58476d1ce4e5b9ULL;
	bit = (uint32_t)(h >> 40) % FUZZ_SIGNALS;
	if (e->seen[bit / 8] & (1U << bit % 8))
		return;
	e->seen[bit / 8] |= (uint8_t)(1U << bit % 8);
	e->signals++;
	e->fresh++;
}

static inline void fuzz_keep(struct fuzz_engine *e, const struct fuzz_prog *p)
{
	uint32_t at = e->nr < FUZZ_CORPUS ? e->nr++ : fuzz_roll(&e->rnd, FUZZ_CORPUS);

	e->kept[at] = *p;
}

/* The next program to run. */
static inline void fuzz_choose(struct fuzz_engine *e, struct fuzz_prog *p)
{
	uint32_t newest, any;

	if (e->again) {
		*p = e->kept[--e->again];
		return;
	}
	if (!e->nr || !fuzz_roll(&e->rnd, 6)) {
		fuzz_make(&e->rnd, p);
		return;
	}
	/* what came last is looked at more often */
	newest = e->nr - 1 - fuzz_roll(&e->rnd, e->nr < 16 ? e->nr : 16);
	any = fuzz_roll(&e->rnd, e->nr);
	*p = e->kept[fuzz_roll(&e->rnd, 2) ? newest : any];
	fuzz_mutate(&e->rnd, p, &e->kept[any]);
}

/* @p was run, and its signals were given. */
static inline void fuzz_learn(struct fuzz_engine *e, const struct fuzz_prog *p)
{
	e->runs++;
	if (e->fresh && !e->blind)
		fuzz_keep(e, p);
	e->fresh = 0;
}

/* ------------------------------------------------------------------- a file */

/* How many programs there were, which run first, or -errno. No file: none. */
static inline int fuzz_load(struct fuzz_engine *e, const char *path)
{
	FILE *f = fopen(path, "re");
	int ret = 0;

	if (!f)
		return errno == ENOENT ? 0 : -errno;
	e->nr = 0;
	while (e->nr < FUZZ_CORPUS && fread(&e->kept[e->nr], sizeof(e->kept[0]), 1, f) == 1) {
		if (!fuzz_prog_ok(&e->kept[e->nr])) {
			ret = -EINVAL;
			break;
		}
		e->nr++;
	}
	fclose(f);
	e->again = e->nr;
	return ret ?: (int)e->nr;
}

/* 0 or -errno; the file is the old or the new one, whatever happens. */
static inline int fuzz_save(const struct fuzz_engine *e, const char *path)
{
	char aside[4096];
	FILE *f;
	int ret = 0;

	if (snprintf(aside, sizeof(aside), "%s.new", path) >= (int)sizeof(aside))
		return -ENAMETOOLONG;
	f = fopen(aside, "we");
	if (!f)
		return -errno;
	if (fwrite(e->kept, sizeof(e->kept[0]), e->nr, f) != e->nr)
		ret = -EIO;
	if (fclose(f))
		ret = -errno;
	if (!ret && rename(aside, path))
		ret = -errno;
	if (ret)
		unlink(aside);
	return ret;
}

#endif /* PULSE_SELFTESTS_FUZZ_ENGINE_H */
