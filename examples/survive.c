// SPDX-License-Identifier: GPL-2.0-only
/*
 * survive - tasks that outlive the processes that run them.
 *
 * Two worker processes share a pool; one after the other is killed with SIGKILL
 * and replaced, KILLS times, while N tasks are submitted. Each task marks its
 * own number: done twice is no harm, and at the end all are marked.
 *
 * usage: survive N [KILLS]
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pulse-u/pulse.h>

static unsigned char *marks;

static void mark(void *arg, const struct pulse_shared_run *run)
{
	uint32_t i;

	(void)arg;
	memcpy(&i, run->payload, sizeof(i));
	usleep(i % 64 ? 0 : 200);	/* some take a while */
	marks[i] = 1;
}

static const struct pulse_shared_fn table[] = { { .fn = mark, .id = 1 } };

static pid_t worker(int fd)
{
	PULSE_OPTS(pulse_shared_pool_opts, opts, .functions = table,
		   .nr_functions = 1, .num_workers = 2);
	struct pulse_shared_pool *pool;
	pid_t pid = fork();

	if (pid)
		return pid;
	if (pulse_shared_pool_attach(fd, &opts, &pool))
		_exit(1);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	PULSE_OPTS(pulse_shared_pool_opts, opts, .functions = table,
		   .nr_functions = 1, .num_workers = PULSE_OFF);
	uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0, done = 0;
	uint32_t kills = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 10;
	struct pulse_shared_task t = { .sz = sizeof(t), .id = 1, .bytes = sizeof(n) };
	struct pulse_shared_pool *pool;
	pid_t pid[2];
	int err;

	if (argc > 3 || !n || n > 100000000)
		return fprintf(stderr, "usage: survive N [KILLS]\n"), 2;
	marks = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	err = marks == MAP_FAILED ? -errno : pulse_shared_pool_create(&opts, &pool);
	if (err)
		return fprintf(stderr, "survive: no pool: %s\n", pulse_strerror(err)), 1;
	pid[0] = worker(pulse_shared_pool_fd(pool));
	pid[1] = worker(pulse_shared_pool_fd(pool));
	for (uint32_t i = 0, k = 0; i < n; i++) {
		t.payload = &i;
		while ((err = pulse_shared_pool_submit(pool, &t)) == -EAGAIN)
			usleep(100);
		if (k < kills && i >= (uint64_t)n * k / kills) {
			kill(pid[k % 2], SIGKILL);
			waitpid(pid[k % 2], NULL, 0);
			pid[k++ % 2] = worker(pulse_shared_pool_fd(pool));
		}
	}
	err = pulse_shared_pool_wait(pool, PULSE_FOREVER);
	for (uint32_t i = 0; i < n; i++)
		done += marks[i];
	printf("%u of %u tasks done\n", done, n);
	kill(pid[0], SIGKILL);
	kill(pid[1], SIGKILL);
	pulse_shared_pool_destroy(pool);
	return err || done != n;
}
