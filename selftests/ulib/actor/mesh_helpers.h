/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mesh_helpers.h - a peer: another process of a mesh, this very program started
 * anew, with an actor that does what it is told; and what is told.
 */
#ifndef MESH_HELPERS_H
#define MESH_HELPERS_H

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <pulse-u/backend.h>
#include <pulse-u/mesh.h>

#include "actor/mesh.h"

#include "helpers.h"

enum {
	DO_COUNT,		/* a number: is written on the board */
	DO_ADD,			/* a call: the number and one */
	DO_NOTHING,
	DO_ERROR,
	DO_NEVER,		/* a call that is never answered */
	DO_END,			/* the actor ends with -EIO */
	DO_EXIT,		/* the process exits with 7 */
	DO_CRASH,		/* it dies of SIGSEGV */
	DO_UNPUBLISH,
	DO_LEAVE,
};

#define MOST	200000

/* Shared with the peers. */
struct board {
	uint64_t up;			/* peers that have published */
	uint64_t received, repeats;
	uint64_t sent;			/* by a peer that sends */
	uint8_t seen[MOST];
};

struct peer {
	struct board *board;
	struct pulse_mesh *mesh;
	struct pulse_actors *sys;
	int started;
};

static struct peer peer;

static void *do_leave(void *arg)
{
	(void)arg;
	EVENTUALLY(ATOMIC_GET(peer.started));
	pulse_mesh_leave(peer.mesh);
	return NULL;
}

static void obey(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	struct pulse_actor_later *never;
	uint64_t n = 0;
	pthread_t t;

	if (msg->bytes == sizeof(n))
		memcpy(&n, msg->data, sizeof(n));
	switch (msg->tag) {
	case DO_COUNT:
		ATOMIC_INC(peer.board->received);
		if (n < MOST && __atomic_exchange_n(&peer.board->seen[n], 1,
						    __ATOMIC_SEQ_CST))
			ATOMIC_INC(peer.board->repeats);
		break;
	case DO_ADD:
		n++;
		pulse_actor_reply(self, &n, sizeof(n));
		break;
	case DO_ERROR:
		pulse_actor_reply_error(self, -EDOM);
		break;
	case DO_NEVER:
		pulse_actor_defer(self, &never);
		break;
	case DO_END:
		pulse_actor_exit(self, -EIO);
		break;
	case DO_EXIT:
		_exit(7);
	case DO_CRASH:
		signal(SIGSEGV, SIG_DFL);
		kill(getpid(), SIGSEGV);
		break;
	case DO_UNPUBLISH:
		pulse_mesh_unpublish(peer.mesh, "peer");
		break;
	case DO_LEAVE:
		pthread_create(&t, NULL, do_leave, NULL);
		pthread_detach(t);
		break;
	}
}

static inline struct board *board_new(int *fd)
{
	struct board *b = MAP_FAILED;

	*fd = memfd_create("board", 0);
	if (!KT_CHECK(*fd >= 0) ||
	    !KT_EQ(ftruncate(*fd, sizeof(*b)), 0))
		return NULL;
	b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	return KT_CHECK(b != MAP_FAILED) ? b : NULL;
}

static void send_for_ever(struct pulse_mesh *mesh, struct board *b)
{
	struct pulse_mesh_addr to;
	uint64_t n = b->sent;
	int err = -ESRCH;

	while (n < MOST) {
		if (err == -ESRCH)
			err = pulse_mesh_lookup(mesh, "counter", &to);
		if (!err)
			err = pulse_mesh_send(mesh, &to, DO_COUNT, &n, sizeof(n));
		if (!err)
			__atomic_store_n(&b->sent, ++n, __ATOMIC_SEQ_CST);
		else
			usleep(100);
	}
}

/* program --peer WHAT FD BOARD PLACE: WHAT is obey, idle or send. */
static int peer_main(char **argv)
{
	PULSE_OPTS(pulse_actors_opts, o, .num_workers = 1);
	struct rlimit no_core = { 0 };
	int fd = atoi(argv[3]), err;
	struct pulse_ctx *ctx;
	uint64_t ref;

	setrlimit(RLIMIT_CORE, &no_core);
	peer.board = mmap(NULL, sizeof(*peer.board), PROT_READ | PROT_WRITE,
			  MAP_SHARED, atoi(argv[4]), 0);
	if (peer.board == MAP_FAILED || pulse_actors_create(&o, &peer.sys))
		return 20;
	err = pulse_mesh_open(fd, &peer.mesh);
	if (err)	/* no memfd: it is a context */
		err = pulse_ctx_attach(fd, &ctx) ? -EINVAL :
		      pulse_mesh_attach_on(ctx, 0, &peer.mesh);
	if (err || pulse_mesh_join(peer.mesh, peer.sys, atoi(argv[5])) < 0)
		return 21;
	type_of(peer.sys, "obey", obey);
	ref = spawn_of(peer.sys, "obey", NULL);
	if (strcmp(argv[2], "send") &&
	    pulse_mesh_publish(peer.mesh, "peer", ref))
		return 22;
	if (strcmp(argv[2], "idle") && pulse_mesh_start(peer.mesh))
		return 23;
	ATOMIC_SET(peer.started, 1);
	ATOMIC_INC(peer.board->up);
	if (!strcmp(argv[2], "send"))
		send_for_ever(peer.mesh, peer.board);
	for (;;)
		pause();
}

/* Waits until it is up, too. */
static pid_t peer_begin(const char *what, int fd, int board_fd,
			struct board *b, int place)
{
	uint64_t up = ATOMIC_GET(b->up);
	char text[3][16];
	pid_t pid;

	snprintf(text[0], 16, "%d", fd);
	snprintf(text[1], 16, "%d", board_fd);
	snprintf(text[2], 16, "%d", place);
	pid = fork();
	if (!pid) {
		char *argv[] = { "peer", "--peer", (char *)what, text[0],
				 text[1], text[2], NULL };

		fcntl(fd, F_SETFD, 0);
		execv("/proc/self/exe", argv);
		_exit(99);
	}
	while (ATOMIC_GET(b->up) == up && !waitpid(pid, NULL, WNOHANG))
		usleep(200);
	KT_EQ(ATOMIC_GET(b->up), up + 1);
	return pid;
}

static inline int peer_end(pid_t pid)
{
	int status = -1;

	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return status;
}

#define MESH_MAIN()							\
	int main(int argc, char **argv)					\
	{								\
		if (argc == 6 && !strcmp(argv[1], "--peer"))		\
			return peer_main(argv);				\
		return kt_main(argc, argv);				\
	}

#endif /* MESH_HELPERS_H */
