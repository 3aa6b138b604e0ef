// SPDX-License-Identifier: GPL-2.0-only
/*
 * Actors beside CAF (peer_actor.cc) and Erlang (peer_actor.escript), where these
 * are installed: same cases, same number of schedulers, same run, turn about;
 * median of the rounds.
 *
 *	ping-pong	two actors, one message; ns a round trip
 *	mailbox		one sends to another; ns a message
 *	fan-in		twenty send to one; ns a message
 *	ring		one token through a hundred; ns a hop
 *	spawn		an actor begins, gets one message and ends; ns each
 *	idle		memory of an actor that waits; bytes each
 *
 * usage: bench_actor [rounds]
 */
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pulse-u/actor.h>

#include "bench_actor.h"
#include "by_value.h"

#define MAX_ROUNDS	31
#define CASES		6

static struct pulse_actors *sys;
static sem_t done;

struct peer {
	uint64_t next;
	long left;
};

static int keep(struct pulse_actor *self, void *arg)
{
	return pulse_actor_set_state(self, arg, NULL);
}

/* Sends on what it gets, for as long as it is told to. */
static void pass_on(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct peer *p = pulse_actor_state(self);

	if (m->tag)
		pulse_actor_send(sys, p->next, m->tag - 1, NULL, 0);
	else
		sem_post(&done);
}

static void count_down(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct peer *p = pulse_actor_state(self);

	(void)m;
	if (!--p->left)
		sem_post(&done);
}

/* A hundred, then itself again, and twenty times that in a turn. */
static void flood(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct peer *p = pulse_actor_state(self);

	(void)m;
	for (int i = 0; i < 100 && p->left; i++, p->left--)
		pulse_actor_send(sys, p->next, 1, NULL, 0);
	if (p->left)
		pulse_actor_send(sys, pulse_actor_self(self), 0, NULL, 0);
}

static void once(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct peer *p = pulse_actor_state(self);

	(void)m;
	pulse_actor_exit(self, 0);
	if (!__atomic_sub_fetch(&p->left, 1, __ATOMIC_RELAXED))
		sem_post(&done);
}

static uint64_t spawn(const char *type, struct peer *p)
{
	PULSE_OPTS(pulse_actor_opts, o, .type = type, .arg = p);
	uint64_t ref;

	if (pulse_actor_spawn(sys, &o, &ref))
		exit(1);
	return ref;
}

static double resident(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		exit(1);
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void set_up(int workers)
{
	static const struct { const char *name; pulse_actor_fn fn; } types[] = {
		{ "pass", pass_on }, { "count", count_down },
		{ "flood", flood }, { "once", once },
	};
	PULSE_OPTS(pulse_actors_opts, o, .num_workers = (uint32_t)workers);

	sem_init(&done, 0, 0);
	if (pulse_actors_create(&o, &sys))
		exit(1);
	for (int i = 0; i < 4; i++) {
		PULSE_OPTS(pulse_actor_type, t, .name = types[i].name, .init = keep,
			   .receive = types[i].fn,
			   .budget = i == 2 ? 20 : 300);

		if (pulse_actor_register(sys, &t))
			exit(1);
	}
}

static double pulse_run(int what, int workers)
{
	static struct peer p[SENDERS + 1], ring[RING];
	uint64_t ref[RING];
	double begin, per;

	set_up(workers);
	begin = (double)pulse_now_ns();
	switch (what) {
	case 0:
		ref[0] = spawn("pass", &p[0]);
		p[0].next = spawn("pass", &p[1]);
		p[1].next = ref[0];
		pulse_actor_send(sys, ref[0], 2 * PINGS, NULL, 0);
		per = PINGS;
		break;
	case 1:
		p[0] = (struct peer){ .left = MESSAGES };
		p[1] = (struct peer){ .left = MESSAGES, .next = spawn("count", &p[0]) };
		pulse_actor_send(sys, spawn("flood", &p[1]), 0, NULL, 0);
		per = MESSAGES;
		break;
	case 2:
		p[0] = (struct peer){ .left = SENDERS * FAN_MESSAGES };
		ref[0] = spawn("count", &p[0]);
		for (int i = 1; i <= SENDERS; i++) {
			p[i] = (struct peer){ .left = FAN_MESSAGES, .next = ref[0] };
			pulse_actor_send(sys, spawn("flood", &p[i]), 0, NULL, 0);
		}
		per = SENDERS * FAN_MESSAGES;
		break;
	case 3:
		for (int i = 0; i < RING; i++)
			ref[i] = spawn("pass", &ring[i]);
		for (int i = 0; i < RING; i++)
			ring[i].next = ref[(i + 1) % RING];
		begin = (double)pulse_now_ns();
		pulse_actor_send(sys, ref[0], HOPS, NULL, 0);
		per = HOPS;
		break;
	case 4:
		p[0] = (struct peer){ .left = SPAWNS };
		for (int i = 0; i < SPAWNS; i++)
			pulse_actor_send(sys, spawn("once", &p[0]), 0, NULL, 0);
		per = SPAWNS;
		break;
	default:
		per = resident();
		for (int i = 0; i < IDLE; i++)
			spawn("once", &p[0]);
		per = (resident() - per) / IDLE;
		pulse_actors_destroy(sys);
		return per;
	}
	while (sem_wait(&done))
		;
	per = ((double)pulse_now_ns() - begin) / per;
	pulse_actors_destroy(sys);
	return per;
}

static const char *const names[CASES] = {
	"ping-pong", "mailbox", "fan-in", "ring", "spawn", "idle",
};

static char here[512];

/* What a peer says; negative: it is not there. */
static double peer_run(int peer, int what, int workers)
{
	char cmd[1024], line[64] = "-1";
	FILE *f;

	if (peer == 1)
		snprintf(cmd, sizeof(cmd), "%s/peer_actor %s %d 2>/dev/null",
			 here, names[what], workers);
	else
		snprintf(cmd, sizeof(cmd),
			 "ERL_FLAGS='+S %d:%d' escript %s/../../../selftests/bench/peer_actor.escript %s 2>/dev/null",
			 workers, workers, here, names[what]);
	f = popen(cmd, "r");
	if (!f)
		return -1;
	if (!fgets(line, sizeof(line), f))
		strcpy(line, "-1");
	return pclose(f) ? -1 : atof(line);
}

int main(int argc, char **argv)
{
	static const char *const who[] = { "pulse", "caf", "erlang" };
	int rounds = argc > 1 ? atoi(argv[1]) : 5;
	static double v[3][MAX_ROUNDS];
	bool have[3] = { true };

	if (rounds < 1 || rounds > MAX_ROUNDS)
		rounds = 5;
	if (readlink("/proc/self/exe", here, sizeof(here) - 1) < 0)
		return 1;
	*strrchr(here, '/') = 0;
	for (int k = 1; k < 3; k++) {
		have[k] = peer_run(k, 0, 1) > 0;
		if (!have[k])
			printf("no %s: scripts/setup packages bench\n", who[k]);
	}
	printf("%-10s %8s %10s %10s %10s %8s\n", "", "workers", who[0], who[1],
	       who[2], "ratio");
	for (int c = 0; c < CASES; c++) {
		for (int w = 1; w <= 2; w++) {
			double m[3] = { 0 }, best = 0;

			for (int r = 0; r < rounds; r++) {
				for (int k = 0; k < 3; k++) {
					int p = (r + k) % 3;

					if (have[p])
						v[p][r] = p ? peer_run(p, c, w) :
							  pulse_run(c, w);
				}
			}
			for (int k = 0; k < 3; k++) {
				qsort(v[k], (size_t)rounds, sizeof(double), by_value);
				m[k] = have[k] ? v[k][rounds / 2] : 0;
				if (k && m[k] > 0 && (!best || m[k] < best))
					best = m[k];
			}
			printf("%-10s %8d %10.0f %10.0f %10.0f %8.2f\n", names[c], w,
			       m[0], m[1], m[2], best ? m[0] / best : 0);
			printf("JSON {\"bench\":\"actor\",\"case\":\"%s\",\"unit\":\"%s\",\"workers\":%d,\"pulse\":%.1f,\"pulse_min\":%.1f,\"pulse_max\":%.1f,\"caf\":%.1f,\"erlang\":%.1f,\"ratio\":%.3f,\"rounds\":%d}\n",
			       names[c], c == 5 ? "bytes" : "ns", w, m[0], v[0][0],
			       v[0][rounds - 1], m[1], m[2], best ? m[0] / best : 0,
			       rounds);
			fflush(stdout);
		}
	}
	return 0;
}
