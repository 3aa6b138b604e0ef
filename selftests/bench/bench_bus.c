// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bus beside a plain one: subscribers in a list under a mutex, each with a
 * queue under a mutex and a condition variable, a copy of the event for each.
 * Same threads, same run, turn about; median of the rounds and their ratio.
 *
 *	nobody		publish what nobody subscribed to
 *	one		publish to one receiver in a thread of its own
 *	fan-out		publish to 64 subscribers; they are read afterwards
 *	crowd		10,000 events to each of 10,000 handlers, once and without
 *			a peer; ns a call. A count that is not exact is an error.
 *
 * usage: bench_bus [rounds]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pulse-u/bus.h>

#include "by_value.h"

#define MAX_ROUNDS	99
#define FAN		64
#define ROOM		4096

struct plain_sub {
	pthread_mutex_t lock;
	pthread_cond_t come, gone;
	char *queue[ROOM];
	unsigned int head, nr;
	char type[32];
};

static struct plain {
	pthread_mutex_t lock;
	struct plain_sub *sub[FAN];
	int nr;
} plain = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void plain_publish(const char *type, const char *text)
{
	pthread_mutex_lock(&plain.lock);
	for (int i = 0; i < plain.nr; i++) {
		struct plain_sub *s = plain.sub[i];

		if (strcmp(s->type, type))
			continue;
		pthread_mutex_lock(&s->lock);
		while (s->nr == ROOM)
			pthread_cond_wait(&s->gone, &s->lock);
		s->queue[(s->head + s->nr++) % ROOM] = strdup(text);
		pthread_cond_signal(&s->come);
		pthread_mutex_unlock(&s->lock);
	}
	pthread_mutex_unlock(&plain.lock);
}

static void plain_receive(struct plain_sub *s)
{
	pthread_mutex_lock(&s->lock);
	while (!s->nr)
		pthread_cond_wait(&s->come, &s->lock);
	free(s->queue[s->head++ % ROOM]);
	s->nr--;
	pthread_cond_signal(&s->gone);
	pthread_mutex_unlock(&s->lock);
}

static struct pulse_bus *bus;
static struct pulse_bus_sub *subs[FAN];
static struct pulse_bus_event *event;

struct reader {
	int pulse;
	long nr;
	int which;
};

static void *read_main(void *arg)
{
	struct reader *r = arg;
	struct pulse_bus_event *ev;

	for (long i = 0; i < r->nr; i++) {
		if (!r->pulse) {
			plain_receive(plain.sub[r->which]);
			continue;
		}
		if (pulse_bus_receive(subs[r->which], PULSE_FOREVER, &ev))
			exit(1);
		pulse_bus_event_put(ev);
	}
	return NULL;
}

static void publish_all(int pulse, const char *type, long nr)
{
	for (long i = 0; i < nr; i++) {
		if (pulse)
			pulse_bus_publish(bus, event);
		else
			plain_publish(type, "text");
	}
}

static double timed(int pulse, int fan, long nr)
{
	struct reader r = { pulse, nr, 0 };
	int64_t begin = pulse_now_ns();
	pthread_t t;

	if (fan == 1 && pthread_create(&t, NULL, read_main, &r))
		exit(1);
	publish_all(pulse, fan ? "a.b" : "nobody", nr);
	if (fan == 1)
		pthread_join(t, NULL);
	begin = pulse_now_ns() - begin;
	for (r.which = 0; fan > 1 && r.which < fan; r.which++)
		read_main(&r);
	return (double)begin / (double)nr;
}

static void set_up(const char *type, int fan)
{
	PULSE_OPTS(pulse_bus_opts, o, .max_subscribers = FAN, .buffer_size = ROOM,
		   .publish_timeout_ns = PULSE_FOREVER);
	PULSE_OPTS(pulse_bus_event_opts, e, .type = type, .payload = "text",
		   .payload_bytes = 5);

	if (pulse_bus_create(&o, &bus) || pulse_bus_event_create(&e, &event))
		exit(1);
	plain.nr = fan;
	for (int i = 0; i < fan; i++) {
		plain.sub[i] = calloc(1, sizeof(struct plain_sub));
		if (!plain.sub[i] || pulse_bus_subscribe(bus, type, NULL, &subs[i]))
			exit(1);
		strcpy(plain.sub[i]->type, type);
	}
}

static void tear_down(void)
{
	for (int i = 0; i < plain.nr; i++) {
		pulse_bus_unsubscribe(subs[i]);
		free(plain.sub[i]);
	}
	pulse_bus_event_put(event);
	pulse_bus_destroy(bus);
}

#define CROWD		10000L

static void heard(struct pulse_bus_event *ev, void *arg)
{
	(void)ev;
	++*(long *)arg;
}

static void crowd(void)
{
	PULSE_OPTS(pulse_bus_opts, o, .max_subscribers = CROWD, .buffer_size = 64,
		   .publish_timeout_ns = PULSE_FOREVER);
	PULSE_OPTS(pulse_bus_event_opts, e, .type = "a.b");
	struct pulse_bus_sub **sub = calloc(CROWD, sizeof(*sub));
	long *calls = calloc(CROWD, sizeof(*calls)), wrong = 0;
	int64_t begin;

	if (!sub || !calls || pulse_bus_create(&o, &bus) ||
	    pulse_bus_event_create(&e, &event))
		exit(1);
	for (long i = 0; i < CROWD; i++) {
		PULSE_OPTS(pulse_bus_sub_opts, s, .handler = heard, .arg = &calls[i]);

		if (pulse_bus_subscribe(bus, "a.b", &s, &sub[i]))
			exit(1);
	}
	begin = pulse_now_ns();
	for (long i = 0; i < CROWD; i++)
		wrong += pulse_bus_publish(bus, event) != CROWD;
	/* Handlers have had all of it when it returns. */
	pulse_bus_event_put(event);
	pulse_bus_destroy(bus);
	begin = pulse_now_ns() - begin;
	for (long i = 0; i < CROWD; i++) {
		wrong += calls[i] != CROWD;
		pulse_bus_unsubscribe(sub[i]);
	}
	free(sub);
	free(calls);
	if (wrong) {
		fprintf(stderr, "bench_bus: crowd: %ld counts are wrong\n", wrong);
		exit(1);
	}
	printf("%-10s %10.1f\n", "crowd", (double)begin / CROWD / CROWD);
	printf("JSON {\"bench\":\"bus\",\"figure\":\"crowd\",\"unit\":\"ns\",\"value\":%.1f,\"rounds\":1}\n",
	       (double)begin / CROWD / CROWD);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int fan; long nr; } cases[] = {
		{ "nobody", 0, 1000000 }, { "one", 1, 200000 },
		{ "fan-out", FAN, 4000 },
	};
	int rounds = argc > 1 ? atoi(argv[1]) : 7;
	double v[2][MAX_ROUNDS];

	if (rounds < 1 || rounds > MAX_ROUNDS)
		rounds = 7;
	printf("%-10s %10s %10s %8s   (ns a publish)\n", "", "pulse", "plain", "ratio");
	for (int c = 0; c < 3; c++) {
		for (int r = 0; r < rounds; r++) {
			for (int k = 0; k < 2; k++) {
				int who = (r + k) & 1;

				set_up("a.b", cases[c].fan);
				v[who][r] = timed(!who, cases[c].fan, cases[c].nr);
				tear_down();
			}
		}
		for (int k = 0; k < 2; k++)
			qsort(v[k], (size_t)rounds, sizeof(double), by_value);
		printf("%-10s %10.1f %10.1f %8.2f\n", cases[c].name, v[0][rounds / 2],
		       v[1][rounds / 2], v[1][rounds / 2] / v[0][rounds / 2]);
		printf("JSON {\"bench\":\"bus\",\"case\":\"%s\",\"unit\":\"ns\",\"pulse\":%.1f,\"pulse_min\":%.1f,\"pulse_max\":%.1f,\"peer\":\"mutex+copy\",\"peer_value\":%.1f,\"ratio\":%.3f,\"rounds\":%d}\n",
		       cases[c].name, v[0][rounds / 2], v[0][0], v[0][rounds - 1],
		       v[1][rounds / 2], v[1][rounds / 2] / v[0][rounds / 2], rounds);
	}
	crowd();
	return 0;
}
