// SPDX-License-Identifier: GPL-2.0-only
/*
 * pipeline - turns each line of the input around, in three stages.
 *
 * Reading and writing are in order, one batch of lines after the other; turning
 * is a parallel loop over the lines of a batch. While one batch is turned, the
 * next is read and the one before is written, by whoever has nothing to do:
 * pulse_pcall() defers where a worker is idle.
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

static void write_lines(void *arg)
{
	struct batch *b = arg;

	for (size_t i = 0; i < b->nr; i++)
		fwrite(b->line[i], 1, (size_t)b->len[i], stdout);
}

int main(void)
{
	static struct batch batch[3];
	struct batch *next = &batch[0], *now = &batch[1], *last = &batch[2];
	struct pulse_pcall *reading, *writing;
	struct pulse_pool *pool;
	int err = pulse_pool_create(NULL, &pool);

	read_lines(next);
	while (!err && (next->nr || now->nr)) {
		struct batch *turned = last;

		last = now;
		now = next;
		next = turned;
		err = pulse_pcall(pool, write_lines, last, &writing);
		if (err)
			break;
		err = pulse_pcall(pool, read_lines, next, &reading);
		if (!err)
			err = pulse_parallel_for(pool, 0, now->nr, 0, turn_lines, now);
		pulse_pcall_join(reading);
		pulse_pcall_join(writing);
	}
	for (int i = 0; i < 3 * LINES; i++)
		free(batch[i / LINES].line[i % LINES]);
	if (!err)
		err = pulse_pool_destroy(pool);
	if (err)
		fprintf(stderr, "pipeline: %s\n", pulse_strerror(err));
	return err || ferror(stdin) || fflush(stdout) ? 1 : 0;
}
