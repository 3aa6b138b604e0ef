// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restarts by a supervisor, beside the bare system calls of the same run.
 *
 *	process	from kill(SIGKILL) to the first instruction of the next
 *		incarnation's main(); peer: from fork() to that of an exec
 *	thread	from the return of the function to the start of the next one;
 *		peer: from pthread_create() to the start
 *	inline	from pulse_child_exited() of an inline child to its return, the
 *		next incarnation running; no peer
 *	all	the same, one_for_all over 1,000 of them, for each child
 *	actor	from the end of an actor to the init of its next incarnation;
 *		peer: Erlang, one_for_one (peer_sup.escript)
 *	seldom	the same, a millisecond after the last one
 *	actors	the same, one_for_all over 1,000 of them, to the last init, for
 *		each child
 *
 * Turn about; p50 with the 10th and 90th percentile.
 * usage: bench_sup [rounds]
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pulse-u/actor_child.h>
#include <pulse-u/backend.h>
#include <pulse-u/supervisor.h>

#include "by_value.h"

#define MAX_ROUNDS	2000
#define MANY		1000

static int said[2];		/* a pipe that execs inherit */
static char said_fd[16];
static int rounds = 200;
static const char *backend;

static int64_t heard(void)
{
	int64_t at = 0;

	if (read(said[0], &at, sizeof(at)) != sizeof(at))
		exit(1);
	return at;
}

static void say(int fd)
{
	int64_t now = pulse_now_ns();

	if (write(fd, &now, sizeof(now)) != sizeof(now))
		exit(1);
}

static void must(int err, const char *what)
{
	if (err) {
		fprintf(stderr, "bench_sup: %s: %s\n", what, pulse_strerror(err));
		exit(1);
	}
}

static struct pulse_sup *sup_of(int strategy)
{
	struct pulse_sup *sup;

	PULSE_OPTS(pulse_sup_opts, o, .max_restarts = 65535, .strategy = strategy);
	must(pulse_sup_create(&o, &sup), "create");
	return sup;
}

static void add(struct pulse_sup *sup, const struct pulse_child_spec *spec)
{
	must(pulse_sup_start_child(sup, spec, NULL), "child");
}

static void show(const char *name, const char *unit, double *a, const char *peer,
		 double *b, int n)
{
	int mid = n / 2, low = n / 10, high = n - 1 - n / 10;

	qsort(a, (size_t)n, sizeof(*a), by_value);
	printf("%-10s %9.2f %s (%.2f to %.2f)", name, a[mid], unit, a[low], a[high]);
	if (!b) {
		printf("\nJSON {\"bench\":\"sup\",\"figure\":\"%s\",\"unit\":\"%s\",\"value\":%.4f,\"low\":%.4f,\"high\":%.4f,\"rounds\":%d,\"backend\":\"%s\"}\n",
		       name, unit, a[mid], a[low], a[high], n, backend);
		return;
	}
	qsort(b, (size_t)n, sizeof(*b), by_value);
	printf("   %s %.2f %s (%.2f to %.2f)   ratio %.2f\n", peer, b[mid], unit,
	       b[low], b[high], a[mid] / b[mid]);
	printf("JSON {\"bench\":\"sup\",\"figure\":\"%s\",\"unit\":\"%s\",\"value\":%.4f,\"low\":%.4f,\"high\":%.4f,\"peer\":\"%s\",\"peer_value\":%.4f,\"peer_low\":%.4f,\"peer_high\":%.4f,\"ratio\":%.4f,\"rounds\":%d,\"backend\":\"%s\"}\n",
	       name, unit, a[mid], a[low], a[high], peer, b[mid], b[low], b[high],
	       a[mid] / b[mid], n, backend);
}

/* ---- processes -------------------------------------------------------------- */

static double bare_exec(char *const argv[])
{
	int64_t from = pulse_now_ns(), to;
	pid_t pid = fork();

	if (!pid) {
		execv(argv[0], argv);
		_exit(127);
	}
	to = heard();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return (double)(to - from) / 1000;
}

static void processes(char *self)
{
	static double ours[MAX_ROUNDS], bare[MAX_ROUNDS];
	char *const argv[] = { self, (char *)"say", said_fd, NULL };
	struct pulse_child_info info = { .sz = sizeof(info) };
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE);
	PULSE_OPTS(pulse_child_spec, spec, .id = "p", .path = self, .argv = argv,
		   .kind = PULSE_CHILD_PROCESS);

	add(sup, &spec);
	must(pulse_sup_start(sup), "start");
	heard();
	for (int i = 0; i < rounds; i++) {
		int64_t from;

		bare[i] = bare_exec(argv);
		pulse_sup_find_child(sup, "p", &info);
		from = pulse_now_ns();
		kill(info.pid, SIGKILL);
		ours[i] = (double)(heard() - from) / 1000;
		/* The pid of the new one is known a moment after it runs. */
		for (pid_t old = info.pid; info.pid == old || !info.pid;)
			pulse_sup_find_child(sup, "p", &info);
	}
	pulse_sup_destroy(sup);
	show("process", "us", ours, "fork+exec", bare, rounds);
}

/* ---- threads ----------------------------------------------------------------- */

static int64_t ended_at;
static double thread_us[MAX_ROUNDS];
static int thread_n, thread_done;

static int ends_at_once(struct pulse_child *self, void *arg)
{
	int64_t now = pulse_now_ns();

	(void)arg;
	if (ended_at)
		thread_us[thread_n++] = (double)(now - ended_at) / 1000;
	if (thread_n == rounds) {
		__atomic_store_n(&thread_done, 1, __ATOMIC_RELEASE);
		return pulse_child_wait(self, PULSE_FOREVER);
	}
	ended_at = pulse_now_ns();
	return 1;
}

static void *stamps(void *arg)
{
	*(int64_t *)arg = pulse_now_ns();
	return NULL;
}

static void threads(void)
{
	static double bare[MAX_ROUNDS];
	struct pulse_sup *sup = sup_of(PULSE_ONE_FOR_ONE);
	PULSE_OPTS(pulse_child_spec, spec, .id = "t", .fn = ends_at_once);

	add(sup, &spec);
	must(pulse_sup_start(sup), "start");
	while (!__atomic_load_n(&thread_done, __ATOMIC_ACQUIRE))
		usleep(1000);
	pulse_sup_destroy(sup);
	for (int i = 0; i < rounds; i++) {
		int64_t from = pulse_now_ns(), at;
		pthread_t t;

		if (pthread_create(&t, NULL, stamps, &at) || pthread_join(t, NULL))
			exit(1);
		bare[i] = (double)(at - from) / 1000;
	}
	show("thread", "us", thread_us, "pthread_create", bare, rounds);
}

/* ---- inline children ------------------------------------------------------------ */

static struct pulse_child *alive[MANY];

static int inline_start(struct pulse_child *self, void *arg)
{
	*(struct pulse_child **)arg = self;
	return 0;
}

static void inline_stop(struct pulse_child *self, void *arg)
{
	(void)arg;
	pulse_child_exited(self, NULL);
}

static void inlines(int many)
{
	static const struct pulse_child_ops ops = {
		.sz = sizeof(ops), .name = "bench",
		.flags = PULSE_CHILD_OPS_INLINE,
		.start = inline_start, .stop = inline_stop,
	};
	static double us[MAX_ROUNDS];
	struct pulse_sup *sup = sup_of(many > 1 ? PULSE_ONE_FOR_ALL :
				       PULSE_ONE_FOR_ONE);
	const struct pulse_exit why = { .kind = PULSE_EXIT_CODE, .code = 1 };
	char id[16];

	for (int i = 0; i < many; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		PULSE_OPTS(pulse_child_spec, spec, .id = id, .ops = &ops,
			   .arg = &alive[i], .kind = PULSE_CHILD_OPS);
		add(sup, &spec);
	}
	must(pulse_sup_start(sup), "start");
	for (int i = 0; i < rounds; i++) {
		struct pulse_child *before = alive[many / 2];
		uint64_t n = pulse_child_incarnation(before);
		int64_t from = pulse_now_ns();

		pulse_child_exited(before, &why);
		us[i] = (double)(pulse_now_ns() - from) / 1000 / many;
		if (pulse_child_incarnation(alive[many / 2]) != n + 1)
			i--;	/* another thread drove it */
	}
	pulse_sup_destroy(sup);
	show(many > 1 ? "all" : "inline", "us", us, NULL, NULL, rounds);
}

/* ---- actors ------------------------------------------------------------------------ */

static sem_t up;
static int64_t died_at, up_at;
static int not_up;

static int actor_up(struct pulse_actor *self, void *arg)
{
	(void)self;
	(void)arg;
	if (!--not_up) {
		up_at = pulse_now_ns();
		sem_post(&up);
	}
	return 0;
}

static void actor_crash(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	(void)m;
	died_at = pulse_now_ns();
	pulse_actor_exit(self, -EIO);
}

/* The peer's p50, or 0: it is not there; @v gets three figures for show(). */
static int peer_actors(const char *self, int many, int pause_ms, double *v)
{
	char cmd[1024];
	FILE *f;
	int n = 0;

	snprintf(cmd, sizeof(cmd),
		 "ERL_FLAGS='+S 1:1' escript %.*s/../../../selftests/bench/peer_sup.escript %d %d %d 2>/dev/null",
		 (int)(strrchr(self, '/') - self), self, many,
		 many > 1 ? 20 : 200, pause_ms);
	f = popen(cmd, "r");
	if (f) {
		n = fscanf(f, "%lf %lf %lf", &v[0], &v[1], &v[2]);
		pclose(f);
	}
	return n == 3;
}

static void actors(const char *self, const char *name, int many, int pause_ms)
{
	static struct pulse_actor_child *child[MANY];
	static double us[MAX_ROUNDS], peer[MAX_ROUNDS];
	PULSE_OPTS(pulse_actors_opts, o, .num_workers = 1);
	PULSE_OPTS(pulse_actor_type, t, .name = "crash", .init = actor_up,
		   .receive = actor_crash);
	PULSE_OPTS(pulse_actor_opts, a, .type = "crash");
	struct pulse_sup *sup = sup_of(many > 1 ? PULSE_ONE_FOR_ALL :
				       PULSE_ONE_FOR_ONE);
	struct pulse_actors *sys;
	double v[3];
	char id[16];

	must(pulse_actors_create(&o, &sys), "actors");
	must(pulse_actor_register(sys, &t), "type");
	sem_init(&up, 0, 0);
	not_up = many;
	for (int i = 0; i < many; i++) {
		snprintf(id, sizeof(id), "a%d", i);
		must(pulse_actor_child_create(sys, &a, &child[i]), "child");
		PULSE_OPTS(pulse_child_spec, spec, .id = id, .arg = child[i],
			   .ops = pulse_actor_child_ops(),
			   .kind = PULSE_CHILD_OPS);
		add(sup, &spec);
	}
	must(pulse_sup_start(sup), "start");
	for (int i = 0; i <= rounds; i++) {
		while (sem_wait(&up))
			;
		if (i)
			us[i - 1] = (double)(up_at - died_at) / 1000 / many;
		if (i == rounds)
			break;
		usleep((useconds_t)pause_ms * 1000);
		not_up = many;
		while (pulse_actor_send(sys, pulse_actor_child_ref(child[0]), 1,
					NULL, 0))
			;	/* it is just starting */
	}
	pulse_sup_destroy(sup);
	pulse_actors_destroy(sys);
	if (!peer_actors(self, many, pause_ms, v)) {
		printf("no erlang: scripts/setup packages bench\n");
		show(name, "us", us, NULL, NULL, rounds);
		return;
	}
	/* So that sorted they are the percentiles that it said. */
	for (int i = 0; i < rounds; i++)
		peer[i] = v[i <= rounds / 10 ? 0 : i < rounds - 1 - rounds / 10 ? 1 : 2];
	show(name, "us", us, "erlang", peer, rounds);
}

int main(int argc, char **argv)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };
	char self[256];
	ssize_t n;

	if (argc > 2 && !strcmp(argv[1], "say")) {
		say(atoi(argv[2]));
		for (;;)
			pause();
	}
	if (argc > 1)
		rounds = atoi(argv[1]);
	if (rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: bench_sup [rounds, 1 to %d]\n", MAX_ROUNDS);
		return 2;
	}
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0 || pipe(said))
		return 1;
	self[n] = 0;
	snprintf(said_fd, sizeof(said_fd), "%d", said[1]);
	pulse_backend_info(&info);
	backend = info.name;
	processes(self);
	threads();
	inlines(1);
	inlines(MANY);
	actors(self, "actor", 1, 0);
	actors(self, "seldom", 1, 1);
	actors(self, "actors", MANY, 0);
	return 0;
}
