// SPDX-License-Identifier: GPL-2.0-only
/*
 * publish - each line of the input to all subscribers. A line is one message,
 * which all mailboxes share; a slow subscriber loses its oldest lines, and says
 * how many.
 *
 * usage: publish [SUBSCRIBERS [CAPACITY]] < INPUT
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <pulse-u/pulse.h>

#define MAX 64

struct subscriber {
	pthread_t thread;
	struct pulse_mailbox *mb;
	size_t lines, bytes;
};

static void *subscribe(void *arg)
{
	struct subscriber *s = arg;
	struct pulse_message *msg;
	size_t bytes;

	while (!pulse_mailbox_receive(s->mb, &msg)) {
		pulse_message_payload(msg, &bytes);
		s->lines++;
		s->bytes += bytes;
		pulse_message_put(msg);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int nr = argc > 1 ? atoi(argv[1]) : 3, capacity = argc > 2 ? atoi(argv[2]) : 1000;
	PULSE_OPTS(pulse_mailbox_opts, opts, .capacity = (uint32_t)capacity,
		   .overflow = PULSE_MAILBOX_DROP_OLD);
	struct subscriber s[MAX] = { 0 };
	struct pulse_message *line, *copy;
	char *text = NULL;
	size_t room = 0;
	ssize_t len;

	if (nr < 1 || nr > MAX || capacity < 1) {
		fprintf(stderr, "usage: publish [SUBSCRIBERS, 1 to %d [CAPACITY]] < INPUT\n", MAX);
		return 2;
	}
	for (int i = 0; i < nr; i++)
		if (pulse_mailbox_create(&opts, &s[i].mb) ||
		    pthread_create(&s[i].thread, NULL, subscribe, &s[i]))
			return 1;
	while ((len = getline(&text, &room, stdin)) > 0) {
		PULSE_OPTS(pulse_message_opts, mo, .payload = text, .payload_bytes = (size_t)len);
		if (pulse_message_create(&mo, &line))
			break;
		for (int i = 0; i < nr; i++)
			if (!pulse_message_share(line, &copy) && pulse_mailbox_send(s[i].mb, copy))
				pulse_message_put(copy);
		pulse_message_put(line);
	}
	free(text);
	for (int i = 0; i < nr; i++) {
		struct pulse_mailbox_stats st = { .sz = sizeof(st) };

		pulse_mailbox_close(s[i].mb);
		pthread_join(s[i].thread, NULL);
		pulse_mailbox_stats(s[i].mb, &st);
		printf("%d: %zu lines, %zu bytes, %llu lost\n", i, s[i].lines, s[i].bytes,
		       (unsigned long long)st.messages_dropped);
		pulse_mailbox_destroy(s[i].mb);
	}
	return 0;
}
