// SPDX-License-Identifier: GPL-2.0-only
/*
 * scribbler COMMAND...: runs the command, with its exit status, beside hostile peers
 * (scribble.h) who never rest, and one who works by the rules in the context that
 * they share. Whoever else uses the module is not to notice.
 */
#include "scribble.h"

#define HOSTILE	2

static struct scribble shared;
static struct scribble_orders orders[HOSTILE];

/* Works until something is said that may not be said, or it is killed. */
static int work(void *arg)
{
	struct scribble_worker w[2];

	(void)arg;
	for (;;) {
		for (int i = 0; i < 2; i++) {
			w[i] = (struct scribble_worker){
				.s = &shared, .calls = 10000,
				.rnd = (unsigned long long)now_ns() | 1,
			};
			if (pthread_create(&w[i].thread, NULL, scribble_good, &w[i]))
				return 1;
		}
		for (int i = 0; i < 2; i++)
			pthread_join(w[i].thread, NULL);
		if (shared.books->bad_errno)
			return 1;
	}
}

/* Joins the context first: it is the parent's. */
static int join_and_work(void *arg)
{
	struct scribble_books *b = shared.books;
	int fd = shared.d.fd;

	memset(&shared, 0, sizeof(shared));
	shared.d.self = -1;
	shared.d.fd = fd;
	shared.books = b;
	if (dev_joins(fd) || dev_map(&shared.d) || scribble_map_rings(&shared))
		return 1;
	return work(arg);
}

int main(int argc, char **argv)
{
	struct scribble_books *books = scribble_share();
	pid_t pids[HOSTILE + 1], command;
	int status = 0, wrong = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: scribbler COMMAND [ARGUMENT...]\n");
		return 2;
	}
	if (!books || scribble_begin(&shared, books)) {
		fprintf(stderr, "scribbler: no context: is the module loaded?\n");
		return 2;
	}
	for (int i = 0; i < HOSTILE; i++) {
		orders[i] = (struct scribble_orders){ &shared, 1234567ULL * (i + 1U) };
		pids[i] = start(scribble_hostile, &orders[i]);
	}
	pids[HOSTILE] = start(join_and_work, NULL);
	if (!EVENTUALLY(__atomic_load_n(&books->hostile, __ATOMIC_ACQUIRE) == HOSTILE)) {
		fprintf(stderr, "scribbler: the hostile ones do not begin\n");
		return 2;
	}
	command = fork();
	if (!command) {
		close(shared.d.fd);
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	waitpid(command, &status, 0);
	for (int i = 0; i <= HOSTILE; i++) {
		kill(pids[i], SIGKILL);
		if (ended(pids[i]) != -SIGKILL)
			wrong = 1;
	}
	scribble_end(&shared);
	printf("# scribbler: %lu words, %lu calls beside them\n", books->words, books->calls);
	if (wrong || !books->words || !books->calls) {
		printf("# scribbler: who was to go on until the end did not: call %d said %s\n",
		       books->bad_op, strerror(books->bad_errno));
		return 1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
