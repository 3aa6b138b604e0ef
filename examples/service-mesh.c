// SPDX-License-Identifier: GPL-2.0-only
/*
 * service-mesh - three services, each a type of actor with instances of its own:
 * web asks auth who somebody is and db what he has, and answers. Whoever calls a
 * service names its type; which instance answers is the system's business.
 *
 * usage: service-mesh [REQUESTS]
 */
#include <stdio.h>
#include <stdlib.h>

#include <pulse-u/pulse.h>

/* Calls a service; 0 or why there is no answer. */
static int ask(struct pulse_actors *sys, const char *service, uint64_t nr,
	       char answer[32])
{
	size_t bytes = 31;
	int err = pulse_actor_call_type(sys, service, nr, NULL, 0, PULSE_FOREVER,
					answer, &bytes);

	answer[err ? 0 : bytes] = 0;
	return err;
}

static void auth(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	char text[32];

	pulse_actor_reply(self, text, (size_t)sprintf(text, "user%llu",
			  (unsigned long long)msg->tag));
}

static void db(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	char text[32];

	pulse_actor_reply(self, text, (size_t)sprintf(text, "%llu0",
			  (unsigned long long)msg->tag));
}

static void web(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	struct pulse_actors *sys = pulse_actor_system(self);
	char text[80], who[32], has[32];
	int err = ask(sys, "auth", msg->tag, who);

	if (!err)
		err = ask(sys, "db", msg->tag, has);
	if (err)
		pulse_actor_reply_error(self, err);
	else
		pulse_actor_reply(self, text, (size_t)sprintf(text, "%s has %s", who, has));
}

int main(int argc, char **argv)
{
	const struct { const char *name; pulse_actor_fn fn; int instances; } service[] = {
		{ "web", web, 2 }, { "auth", auth, 1 }, { "db", db, 3 } };
	int nr = argc > 1 ? atoi(argv[1]) : 10, err;
	struct pulse_actors *sys;
	char text[32];

	if (argc > 2 || nr < 1)
		return fprintf(stderr, "usage: service-mesh [REQUESTS, at least 1]\n"), 2;
	err = pulse_actors_create(NULL, &sys);
	for (int i = 0; i < 3 && !err; i++) {
		PULSE_OPTS(pulse_actor_type, type, .name = service[i].name,
			   .receive = service[i].fn);
		PULSE_OPTS(pulse_actor_opts, one, .type = service[i].name);

		err = pulse_actor_register(sys, &type);
		for (int k = 0; k < service[i].instances && !err; k++)
			err = pulse_actor_spawn(sys, &one, NULL);
	}
	for (int i = 1; i <= nr && !err; i++) {
		err = ask(sys, "web", (uint64_t)i, text);
		printf("%d: %s\n", i, text);
	}
	if (err)
		fprintf(stderr, "service-mesh: %s\n", pulse_strerror(err));
	return pulse_actors_destroy(sys) || err;
}
