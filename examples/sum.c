// SPDX-License-Identifier: GPL-2.0-only
/*
 * sum - adds up the squares of 1 to N, by halves down to a single number.
 *
 * No cut-off: a fork costs next to nothing, and only now and then, when the
 * worker's heart beats, half of what is left goes to another worker.
 *
 * usage: sum N [WORKERS]
 */
#include <stdio.h>
#include <stdlib.h>

#include <pulse-u/pulse.h>

struct part {
	uint64_t first, last;
	uint64_t sum;
};

static void sum(void *arg)
{
	struct part *p = arg, left, right;

	if (p->first == p->last) {
		p->sum = p->first * p->first;
		return;
	}
	left.first = p->first;
	left.last = p->first + (p->last - p->first) / 2;
	right.first = left.last + 1;
	right.last = p->last;
	pulse_join2(sum, &left, sum, &right);
	p->sum = left.sum + right.sum;
}

/* 0 where the text is no number from 1 to @max. */
static uint64_t number(const char *text, uint64_t max)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	return *end || *text == '-' || n > max ? 0 : n;
}

int main(int argc, char **argv)
{
	struct pulse_pool_stats stats = { .sz = sizeof(stats) };
	PULSE_OPTS(pulse_pool_opts, opts);
	struct part all = { 1, argc > 1 ? number(argv[1], 1000000000) : 0, 0 };
	struct pulse_pool *pool;
	int err;

	if (argc > 2)
		opts.num_workers = (uint32_t)number(argv[2], 4096);
	if (!all.last || argc > 3 || (argc == 3 && !opts.num_workers)) {
		fprintf(stderr, "usage: sum N [WORKERS], N from 1 to 1000000000, WORKERS from 1 to 4096\n");
		return 2;
	}
	err = pulse_pool_create(&opts, &pool);
	if (!err)
		err = pulse_fork_run(pool, sum, &all);
	if (err) {
		fprintf(stderr, "sum: %s\n", pulse_strerror(err));
		return 1;
	}
	printf("%llu\n", (unsigned long long)all.sum);
	pulse_pool_stats(pool, &stats);
	fprintf(stderr, "%llu jobs shared, %llu taken by other workers\n",
		(unsigned long long)stats.jobs_shared,
		(unsigned long long)stats.jobs_taken);
	pulse_pool_destroy(pool);
	return 0;
}
