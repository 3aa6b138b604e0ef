// SPDX-License-Identifier: GPL-2.0-only
/*
 * pipeline - turns each line of the input around, in three stages.
 *
 * Reading and writing are in order, one batch of lines after the other; turning
 * is a parallel loop over the lines of a batch. While one batch is turned and
 * written, the next is read by whoever has nothing to do: pulse_pcall() defers
 * where a worker is idle.
 *
 * usage: pipeline < INPUT > OUTPUT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <pulse-u/pulse.h>

#define LINES 256

struct batch {
	char *line[LINES];
	ssize_t len[LINES];
	size_t room[LINES];
	size_t nr;
};

static void read_lines(void *arg)
{
	struct batch *b = arg;

	for (b->nr = 0; b->nr < LINES; b->nr++) {
		size_t i = b->nr;

		b->len[i] = getline(&b->line[i], &b->room[i], stdin);
		if (b->len[i] < 0)
			break;
	}
}

static void turn_lines(void *arg, size_t begin, size_t end)
{
	struct batch *b = arg;

	for (size_t i = begin; i < end; i++) {
		char *first = b->line[i], *last = first + b->len[i] - 1;

		for (last -= *last == '\n'; first < last; first++, last--) {
			char c = *first;

			*first = *last;
			*last = c;
		}
	}
}

int main(void)
{
	static struct batch batch[2];
	struct batch *now = &batch[0], *next = &batch[1], *done;
	struct pulse_pcall *reading = NULL;
	struct pulse_pool *pool;
	int err = pulse_pool_create(NULL, &pool);

	for (read_lines(now); !err && now->nr; now = next, next = done) {
		done = now;
		reading = NULL;
		err = pulse_pcall(pool, read_lines, next, &reading);
		if (!err)
			err = pulse_parallel_for(pool, 0, now->nr, 0, turn_lines, now);
		for (size_t i = 0; i < now->nr && !err; i++)
			fwrite(now->line[i], 1, (size_t)now->len[i], stdout);
		pulse_pcall_join(reading);
	}
	for (int i = 0; i < 2 * LINES; i++)
		free(batch[i / LINES].line[i % LINES]);
	if (!err)
		err = pulse_pool_destroy(pool);
	if (err)
		fprintf(stderr, "pipeline: %s\n", pulse_strerror(err));
	return err || ferror(stdin) || fflush(stdout) ? 1 : 0;
}
