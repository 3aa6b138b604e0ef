// SPDX-License-Identifier: GPL-2.0-only
/*
 * remote - an actor in another process. It adds numbers up; each time it is killed
 * its successor is told how far it was, and takes what still lies in the mailbox.
 *
 * usage: remote N [KILLS]: the sum of 1 to N
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pulse-u/pulse.h>

static struct { uint64_t last, sum; } *book;	/* shared, and outlives the adder */

static void add(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	if (msg->tag == book->last + 1) {	/* not the one that came twice */
		book->sum += msg->tag;
		book->last = msg->tag;
	}
	pulse_actor_reply(self, &book->sum, sizeof(book->sum));
}

static int adder(int fd)
{
	PULSE_OPTS(pulse_actor_type, type, .name = "adder", .receive = add);
	PULSE_OPTS(pulse_actor_opts, one, .type = "adder");
	struct pulse_actors *sys;
	struct pulse_mesh *mesh;
	uint64_t ref;

	if (pulse_actors_create(NULL, &sys) || pulse_actor_register(sys, &type) ||
	    pulse_actor_spawn(sys, &one, &ref) || pulse_mesh_open(fd, &mesh) ||
	    pulse_mesh_join(mesh, sys, 1) != 1 ||
	    pulse_mesh_publish(mesh, "adder", ref) || pulse_mesh_start(mesh))
		return 1;
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	PULSE_OPTS(pulse_mesh_opts, opts, .flags = PULSE_MESH_HANDLED);
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 0, i = 1, sum = 0;
	uint64_t kills = argc > 2 ? strtoull(argv[2], NULL, 10) : 3;
	struct pulse_mesh_addr to;
	struct pulse_actors *sys;
	struct pulse_mesh *mesh;
	size_t bytes = sizeof(sum);
	int err = -ESRCH;
	pid_t pid;

	if (argc > 3 || !n || n > 10000000)
		return fprintf(stderr, "usage: remote N [KILLS]\n"), 2;
	book = mmap(NULL, sizeof(*book), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (pulse_mesh_create(&opts, &mesh) || (pid = fork()) < 0)
		return 1;
	if (!pid)
		return adder(pulse_mesh_fd(mesh));
	if (pulse_actors_create(NULL, &sys) || pulse_mesh_join(mesh, sys, 0) || pulse_mesh_start(mesh))
		return 1;
	while (i <= n) {
		err = err == -ESRCH ? pulse_mesh_lookup(mesh, "adder", &to) : 0;
		if (!err)
			err = pulse_mesh_send(mesh, &to, i, NULL, 0);
		if (err)
			usleep(100);	/* it is not there just now, or behind */
		else if (i++ % (n / (kills + 1) + 1) == n / (kills + 1)) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			if (!(pid = fork()))
				return adder(pulse_mesh_fd(mesh));
		}
	}
	while (pulse_mesh_lookup(mesh, "adder", &to) ||
	       pulse_mesh_call(mesh, &to, 0, NULL, 0, PULSE_FOREVER, &sum, &bytes))
		usleep(100);
	printf("%llu\n", (unsigned long long)sum);
	kill(pid, SIGKILL);
	return 0;
}
