// SPDX-License-Identifier: GPL-2.0-only
/*
 * service-mesh - three services, each a thread with a mailbox: web asks auth who
 * somebody is and db what he has, and answers. Requests pile up in web's mailbox
 * while it picks the answer it waits for out of them.
 *
 * usage: service-mesh [REQUESTS]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <pulse-u/pulse.h>

enum { MAIN, WEB, AUTH, DB, SERVICES };
static const char * const names[SERVICES] = { "main", "web", "auth", "db" };
static struct pulse_mailbox *box[SERVICES];

static void post(int to, int from, uint64_t nr, const char *text)
{
	PULSE_OPTS(pulse_message_opts, opts, .payload = text, .payload_bytes = strlen(text),
		   .sender = names[from], .tag = nr, .ttl_ns = 60000000000);
	struct pulse_message *msg;

	if (!pulse_message_create(&opts, &msg) && pulse_mailbox_send(box[to], msg))
		pulse_message_put(msg);
}

static bool is_from(const struct pulse_message *msg, void *arg)
{
	return !strcmp(pulse_message_sender(msg), arg);
}

static void ask(int whom, uint64_t nr, const char *text, char answer[32])
{
	struct pulse_selector sel = { .match = is_from, .arg = (void *)names[whom] };
	struct pulse_message *msg;

	post(whom, WEB, nr, text);
	if (!pulse_mailbox_select(box[WEB], &sel, PULSE_FOREVER, &msg))
		snprintf(answer, 32, "%s", (char *)pulse_message_payload(msg, NULL));
	pulse_message_put(msg);
}

static void *service(void *arg)
{
	char text[80], who[32] = "?", has[32] = "?";
	int me = (int)(intptr_t)arg;
	struct pulse_message *msg;

	while (!pulse_mailbox_receive(box[me], &msg)) {
		const char *asked = pulse_message_payload(msg, NULL);

		if (me == WEB) {
			ask(AUTH, pulse_message_tag(msg), asked, who);
			ask(DB, pulse_message_tag(msg), asked, has);
			snprintf(text, sizeof(text), "%s has %s", who, has);
		} else {
			snprintf(text, sizeof(text), me == AUTH ? "user%s" : "%s0", asked);
		}
		post(me == WEB ? MAIN : WEB, me, pulse_message_tag(msg), text);
		pulse_message_put(msg);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .capacity = PULSE_MAILBOX_UNBOUNDED);
	int nr = argc > 1 ? atoi(argv[1]) : 10;
	pthread_t thread[SERVICES];
	struct pulse_message *msg;
	char text[16];

	if (argc > 2 || nr < 1)
		return fprintf(stderr, "usage: service-mesh [REQUESTS, at least 1]\n"), 2;
	for (intptr_t i = 0; i < SERVICES; i++)
		if (pulse_mailbox_create(&opts, &box[i]))
			return 1;
	for (intptr_t i = WEB; i < SERVICES; i++)
		if (pthread_create(&thread[i], NULL, service, (void *)i))
			return 1;
	for (int i = 1; i <= nr; i++) {
		snprintf(text, sizeof(text), "%d", i);
		post(WEB, MAIN, (uint64_t)i, text);
	}
	for (int i = 1; i <= nr && !pulse_mailbox_receive(box[MAIN], &msg); i++) {
		printf("%d: %s\n", (int)pulse_message_tag(msg),
		       (char *)pulse_message_payload(msg, NULL));
		pulse_message_put(msg);
	}
	for (int i = 0; i < SERVICES; i++)
		pulse_mailbox_close(box[i]);
	for (int i = 0; i < SERVICES; i++) {
		if (i != MAIN)
			pthread_join(thread[i], NULL);
		pulse_mailbox_destroy(box[i]);
	}
	return 0;
}
