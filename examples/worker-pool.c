// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * worker-pool.c - four workers under a supervisor. Some of them fail in the
 * middle of their work, are started again, and find what they had counted so far.
 *
 * usage: worker-pool [FAILURES], one a worker at most
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pulse-u/pulse.h>

#define SHARE	1000		/* steps for each worker */

static int failures = 3, done;

static int worker(struct pulse_child *self, void *arg)
{
	long *count = pulse_child_state(self);

	(void)arg;
	if (!count) {
		count = calloc(1, sizeof(*count));
		if (!count || pulse_child_keep(self, count, free))
			return -ENOMEM;
	}
	while (*count < SHARE) {
		++*count;
		if (*count == SHARE / 2 &&
		    __atomic_fetch_sub(&failures, 1, __ATOMIC_RELAXED) > 0)
			return 1;	/* a failure: it is started again */
	}
	__atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
	return pulse_child_wait(self, PULSE_FOREVER);
}

static void tell(struct pulse_sup *sup, int event, const char *id,
		 const struct pulse_exit *why, void *arg)
{
	char text[80];

	(void)sup;
	(void)arg;
	if (event == PULSE_SUP_CHILD_ENDED && why->kind == PULSE_EXIT_CODE) {
		pulse_exit_text(why, text, sizeof(text));
		printf("%s: %s\n", id, text);
	}
}

int main(int argc, char **argv)
{
	PULSE_OPTS(pulse_sup_opts, opts, .on_event = tell);
	struct pulse_sup_stats stats = { .sz = sizeof(stats) };
	struct pulse_app *app;
	int err;

	if (argc > 1)
		failures = atoi(argv[1]);
	if (argc > 2 || (argc == 2 && strspn(argv[1], "0123456789") !=
				      strlen(argv[1])) || failures < 0)
		return fprintf(stderr, "usage: worker-pool [FAILURES, 0 or more]\n"), 2;
	err = pulse_app_create_opts(PULSE_PRESET_DEVELOPMENT, &opts, &app);
	if (!err)
		err = pulse_app_worker_pool(app, "worker", worker, NULL, 4);
	if (!err)
		err = pulse_app_start(app);
	if (err) {
		fprintf(stderr, "worker-pool: %s\n", pulse_strerror(err));
		return 1;
	}
	/* Until the work is done, or there were too many failures. */
	while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < 4 && err != -EINTR)
		err = pulse_sup_wait(pulse_app_supervisor(app),
				     pulse_now_ns() + 1000000, NULL) ? 0 : -EINTR;
	pulse_sup_stats(pulse_app_supervisor(app), &stats);
	printf("%d of 4 workers done, %llu restarts\n", done,
	       (unsigned long long)stats.total_restarts);
	return pulse_app_shutdown(app) ? 1 : 0;
}
