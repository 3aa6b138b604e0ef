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

struct text { char s[80]; };

/* Calls a service; 0 or why there is no answer. */
static int ask(struct pulse_actors *sys, const char *service, uint64_t nr,
	       struct text *answer)
{
	size_t bytes = sizeof(*answer);

	return pulse_actor_call_type(sys, service, nr, NULL, 0, PULSE_FOREVER,
				     answer, &bytes);
}

static void auth(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	struct text t;

	sprintf(t.s, "user%llu", (unsigned long long)msg->tag);
	pulse_actor_reply(self, &t, sizeof(t));
}

static void db(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	struct text t;

	sprintf(t.s, "%llu0", (unsigned long long)msg->tag);
	pulse_actor_reply(self, &t, sizeof(t));
}

static void web(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	struct pulse_actors *sys = pulse_actor_system(self);
	struct text t, who, has;

	if (ask(sys, "auth", msg->tag, &who) || ask(sys, "db", msg->tag, &has))
		return;		/* who asked is told that there is no answer */
	snprintf(t.s, sizeof(t.s), "%.30s has %.30s", who.s, has.s);
	pulse_actor_reply(self, &t, sizeof(t));
}

int main(int argc, char **argv)
{
	const struct { const char *name; pulse_actor_fn fn; int instances; } service[] = {
		{ "web", web, 2 }, { "auth", auth, 1 }, { "db", db, 3 } };
	int nr = argc > 1 ? atoi(argv[1]) : 10, err;
	struct pulse_actors *sys;
	struct text t;

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
		err = ask(sys, "web", (uint64_t)i, &t);
		if (!err)
			printf("%d: %s\n", i, t.s);
	}
	if (err)
		fprintf(stderr, "service-mesh: %s\n", pulse_strerror(err));
	return pulse_actors_destroy(sys) || err;
}
