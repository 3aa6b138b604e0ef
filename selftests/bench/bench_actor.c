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
 *	big		each of 120 asks another by chance and is asked; ns an answer
 *	chameneos	a hundred meet two at a time in one place; ns a meeting
 *	fork-join	an actor spawns two, these two each, sixteen deep; each ends
 *			when it has told its parent; ns an actor
 *	idle		memory of an actor that waits; bytes each
 *
 * usage: bench_actor [rounds [CASE]]
 *	  bench_actor alone CASE WORKERS	without the peers, for a profiler
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
#define CASES		9
#define IDLE_CASE	(CASES - 1)

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

/* ---- big --------------------------------------------------------------------- */

#define ASK		0
#define ANSWER		1

static uint64_t big_ref[BIG];
static long asking;

struct asker {
	uint64_t chance;
	long left;
};

static void ask(struct asker *b)
{
	b->chance = CHANCE(b->chance);
	pulse_actor_send(sys, big_ref[b->chance % BIG], ASK, NULL, 0);
}

static void big(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct asker *b = pulse_actor_state(self);

	if (m->from && m->tag == ASK)
		pulse_actor_send(sys, m->from, ANSWER, NULL, 0);
	else if (b->left--)
		ask(b);
	else if (!__atomic_sub_fetch(&asking, 1, __ATOMIC_RELAXED))
		sem_post(&done);
}

/* ---- chameneos ------------------------------------------------------------------ */

struct place {
	uint64_t waits, colour;
	long left;
};

static uint64_t place_ref;

static void place(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct place *p = pulse_actor_state(self);

	if (!p->left)
		return;
	if (!p->waits) {
		p->waits = m->from;
		p->colour = m->tag;
		return;
	}
	pulse_actor_send(sys, p->waits, m->tag, NULL, 0);
	pulse_actor_send(sys, m->from, p->colour, NULL, 0);
	p->waits = 0;
	if (!--p->left)
		sem_post(&done);
}

/* Blue, red and yellow: equal ones stay, others become the third. */
static void creature(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	uint64_t *colour = pulse_actor_state(self);

	if (m->from && m->tag != *colour)
		*colour = 3 - *colour - m->tag;
	pulse_actor_send(sys, place_ref, *colour, NULL, 0);
}

/* ---- fork-join -------------------------------------------------------------------- */

struct forker {
	uint64_t parent, sum;
	int left;
};

static uint64_t spawn(const char *type, void *arg);

static void forks(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct forker *f = pulse_actor_state(self);

	if (!f && m->tag) {
		f = pulse_actor_alloc(self, sizeof(*f));
		if (!f || pulse_actor_set_state(self, f, NULL))
			exit(1);
		*f = (struct forker){ .parent = m->from, .sum = 1, .left = 2 };
		for (int i = 0; i < 2; i++)
			pulse_actor_send(sys, spawn("fork", NULL), m->tag - 1,
					 NULL, 0);
		return;
	}
	if (!f) {
		pulse_actor_send(sys, m->from, 1, NULL, 0);
		pulse_actor_exit(self, 0);
		return;
	}
	f->sum += m->tag;
	if (--f->left)
		return;
	if (f->parent)
		pulse_actor_send(sys, f->parent, f->sum, NULL, 0);
	else if (f->sum == FORKED)
		sem_post(&done);
	pulse_actor_exit(self, 0);
}

/* ---- all of them ------------------------------------------------------------------ */

static uint64_t spawn(const char *type, void *p)
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
		{ "flood", flood }, { "once", once }, { "big", big },
		{ "place", place }, { "creature", creature }, { "fork", forks },
	};
	PULSE_OPTS(pulse_actors_opts, o, .num_workers = (uint32_t)workers);

	sem_init(&done, 0, 0);
	if (pulse_actors_create(&o, &sys))
		exit(1);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		PULSE_OPTS(pulse_actor_type, t, .name = types[i].name, .init = keep,
			   .receive = types[i].fn,
			   /* Of flood each is a hundred messages. */
			   .budget = i == 2 ? 3 : 300);

		if (pulse_actor_register(sys, &t))
			exit(1);
	}
}

static double pulse_run(int what, int workers)
{
	static struct peer p[SENDERS + 1], ring[RING];
	static struct asker askers[BIG];
	static uint64_t colour[CREATURES];
	struct place meet = { .left = MEETINGS };
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
	case 5:
		for (int i = 0; i < BIG; i++) {
			askers[i] = (struct asker){ i + 1, BIG_ASKS };
			big_ref[i] = spawn("big", &askers[i]);
		}
		asking = BIG;
		begin = (double)pulse_now_ns();
		for (int i = 0; i < BIG; i++)
			pulse_actor_send(sys, big_ref[i], ANSWER, NULL, 0);
		per = BIG * BIG_ASKS;
		break;
	case 6:
		place_ref = spawn("place", &meet);
		for (int i = 0; i < CREATURES; i++) {
			colour[i] = (uint64_t)i % 3;
			pulse_actor_send(sys, spawn("creature", &colour[i]), 0,
					 NULL, 0);
		}
		per = MEETINGS;
		break;
	case 7:
		pulse_actor_send(sys, spawn("fork", NULL), FORK_DEPTH, NULL, 0);
		per = FORKED;
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
	"ping-pong", "mailbox", "fan-in", "ring", "spawn", "big", "chameneos",
	"fork-join", "idle",
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

	if (argc == 4 && !strcmp(argv[1], "alone")) {
		for (int c = 0; c < CASES; c++) {
			if (!strcmp(argv[2], names[c]))
				printf("%.1f\n", pulse_run(c, atoi(argv[3])));
		}
		return 0;
	}
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
		for (int w = 1; w <= 2 && (argc < 3 || !strcmp(argv[2], names[c])); w++) {
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
			       names[c], c == IDLE_CASE ? "bytes" : "ns", w, m[0], v[0][0],
			       v[0][rounds - 1], m[1], m[2], best ? m[0] / best : 0,
			       rounds);
			fflush(stdout);
		}
	}
	return 0;
}
