// SPDX-License-Identifier: GPL-2.0-only
/*
 * news - a publisher, and subscribers that each want something else.
 *
 * Each line of the input is an event, "TOPIC TEXT". One subscriber has a handler
 * for the goals in sports, one receives warnings of any kind in a thread of its own,
 * one counts everything. What they got is printed in the end.
 *
 * usage: news < INPUT
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <pulse-u/pulse.h>

static long goals, warnings, all;

static int is_goal(const struct pulse_bus_event *event, void *arg)
{
	(void)arg;
	return strstr(pulse_bus_event_payload(event, NULL), "goal") != NULL;
}

static void count(struct pulse_bus_event *event, void *number)
{
	(void)event;
	++*(long *)number;
}

/* Until the bus is closed and all is received. */
static void *warned(void *sub)
{
	struct pulse_bus_event *event;

	while (!pulse_bus_receive(sub, PULSE_FOREVER, &event)) {
		warnings++;
		pulse_bus_event_put(event);
	}
	return NULL;
}

int main(void)
{
	PULSE_OPTS(pulse_bus_sub_opts, on_goal, .handler = count, .arg = &goals,
		   .filter = is_goal);
	PULSE_OPTS(pulse_bus_sub_opts, on_all, .handler = count, .arg = &all);
	PULSE_OPTS(pulse_bus_opts, opts, .publish_timeout_ns = PULSE_FOREVER);
	struct pulse_bus_sub *a, *b, *c;
	struct pulse_bus *bus;
	char line[1024];
	pthread_t thread;
	int bad = 0;

	if (pulse_bus_create(&opts, &bus) ||
	    pulse_bus_subscribe(bus, "sports.>", &on_goal, &a) ||
	    pulse_bus_subscribe(bus, "*.warning", NULL, &b) ||
	    pulse_bus_subscribe_all(bus, &on_all, &c) ||
	    pthread_create(&thread, NULL, warned, b))
		return 1;
	while (fgets(line, sizeof(line), stdin)) {
		char *text = strpbrk(line, " \n");

		if (text)
			*text++ = 0;
		PULSE_OPTS(pulse_bus_event_opts, e, .type = line,
			   .source = "stdin", .payload = text ? text : "",
			   .payload_bytes = text ? strlen(text) + 1 : 1);
		if (pulse_bus_publish_new(bus, &e) < 0)
			bad++;
	}
	pulse_bus_destroy(bus);
	pthread_join(thread, NULL);
	pulse_bus_unsubscribe(a);
	pulse_bus_unsubscribe(b);
	pulse_bus_unsubscribe(c);
	printf("goals %ld, warnings %ld, all %ld, no topic %d\n", goals,
	       warnings, all, bad);
	return 0;
}
