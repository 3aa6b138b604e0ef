// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's fuzzer, by hand: programs of system calls made and changed by chance,
 * run in a box (fuzz/box.h); those that reach new code (KCOV, where the kernel has
 * it) or get new answers are kept and changed further. As root, inside a VM. What it
 * finds wrong itself: a process that outlives SIGKILL, a read-only region that can
 * be written, an errno that is not for user space, contexts or workers that stay.
 * The rest is the kernel's to say: selftests/vm/run reads its log.
 */
#include <getopt.h>

#include "fuzz/box.h"

static const struct option options[] = {
	{ "seed", required_argument, NULL, 's' },
	{ "seconds", required_argument, NULL, 't' },
	{ "corpus", required_argument, NULL, 'c' },
	{ "last", required_argument, NULL, 'l' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void usage(FILE *to)
{
	fprintf(to,
		"usage: fuzz_module [--seed N] [--seconds N] [--corpus FILE] [--last FILE]\n"
		"\n"
		"  --seed N       what decides (default: of the clock; it is printed)\n"
		"  --seconds N    how long (default 60)\n"
		"  --corpus FILE  run its programs first, and leave there what was kept\n"
		"  --last FILE    leave programs there before they are run: after a crash it has\n"
		"                 those that did it, and can be given as the corpus\n"
		"\n"
		"The order in which threads run decides too, so that a seed repeats the programs\n"
		"and not always what they do. Exit status: 0; 1 something is wrong; 77 it cannot\n"
		"run here.\n");
}

static unsigned long long number(const char *text)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || !*text || *end) {
		fprintf(stderr, "fuzz_module: '%s' is no number\n", text);
		exit(2);
	}
	return n;
}

static void progress(const struct fuzz_crew *crew, long long began)
{
	const struct fuzz_engine *e = crew->e;

	printf("# %3lld s: %llu programs, %u kept, %u signals",
	       (now_ns() - began) / NS_PER_SEC, (unsigned long long)e->runs, e->nr,
	       e->signals);
	if (crew->box[0].cover)
		printf(", %d of %d functions", fuzz_crew_functions_seen(crew),
		       crew->box[0].cover->nr);
	printf(", %llu killed\n", (unsigned long long)totals->killed);
	fflush(stdout);
}

static void report(const struct fuzz_crew *crew)
{
	const struct fuzz_cover *c = crew->box[0].cover;

	for (size_t i = 0; i < FUZZ_NR_CMDS; i++) {
		printf("# %-10s %8llu done %8llu refused:", fuzz_cmds[i].name,
		       (unsigned long long)totals->done[i],
		       (unsigned long long)totals->refused[i]);
		for (int err = 1; err < FUZZ_MAX_ERRNO; err++)
			if (totals->errnos[i][err])
				printf(" %s", strerrorname_np(err));
		printf("\n");
	}
	for (int i = 0; c && i < c->nr; i++)
		if (!fuzz_crew_has(crew, c->fn[i].name))
			printf("# not reached: %s\n", c->fn[i].name);
}

/* The exit status. */
static int fuzz(struct fuzz_crew *crew, long long seconds, const char *corpus)
{
	long long began = now_ns(), told = began, contexts, workers;
	int ret;

	contexts = sysfs_read("contexts");
	workers = sysfs_read("workers");
	while (now_ns() - began < seconds * NS_PER_SEC && fuzz_crew_step(crew)) {
		if (now_ns() - told < 10 * NS_PER_SEC)
			continue;
		told = now_ns();
		progress(crew, began);
	}
	fuzz_crew_end(crew);
	progress(crew, began);
	if (!EVENTUALLY(sysfs_read("contexts") == contexts &&
			sysfs_read("workers") == workers))
		fuzz_bug("%lld contexts and %lld workers stay", sysfs_read("contexts"),
			 sysfs_read("workers"));
	report(crew);
	ret = corpus ? fuzz_save(crew->e, corpus) : 0;
	if (ret)
		fprintf(stderr, "fuzz_module: %s: %s\n", corpus, strerror(-ret));
	if (totals->bug)
		printf("# WRONG: %s\n", totals->bug_text);
	ret = totals->bug || ret;
	fuzz_crew_free(crew);
	return ret;
}

int main(int argc, char **argv)
{
	const char *corpus = NULL, *last = NULL;
	unsigned long long seed = (unsigned long long)time(NULL) << 20 ^ (unsigned int)getpid();
	long long seconds = 60;
	static struct fuzz_crew crew;
	struct fuzz_engine *e;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's': seed = number(optarg); break;
		case 't': seconds = (long long)number(optarg); break;
		case 'c': corpus = optarg; break;
		case 'l': last = optarg; break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return 2;
	}
	if (access(PULSE_DEVICE_PATH, F_OK) || geteuid()) {
		fprintf(stderr, "fuzz_module: needs root and " PULSE_DEVICE_PATH "\n");
		return 77;
	}
	e = fuzz_engine_new(seed);
	ret = !e ? -ENOMEM : corpus ? fuzz_load(e, corpus) : 0;
	if (!ret)
		fuzz_plant(e);
	if (ret < 0) {
		fprintf(stderr, "fuzz_module: %s: %s\n", corpus ?: "memory", strerror(-ret));
		return 2;
	}
	ret = fuzz_crew_begin(&crew, e);
	if (ret) {
		fprintf(stderr, "fuzz_module: no box to run in: %s\n", strerror(-ret));
		return 77;
	}
	if (last) {
		crew.last_fd = open(last, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (crew.last_fd < 0) {
			fprintf(stderr, "fuzz_module: %s: %s\n", last, strerror(errno));
			return 2;
		}
	}
	printf("# seed %llu\n# coverage: %s\n", seed,
	       crew.box[0].cover ? "KCOV" : "none, only what the calls answer");
	ret = fuzz(&crew, seconds, corpus);
	free(e);
	return ret;
}
