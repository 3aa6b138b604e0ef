// SPDX-License-Identifier: GPL-2.0-only
/*
 * Actors in other processes: names, messages, calls, monitors, back-pressure,
 * and kill -9 of either side. In a memfd; the context's memory at the end.
 */
#include "mesh_helpers.h"

/* A mesh that this process has place 0 of, started; a watcher; a peer at 1. */
struct scene {
	struct pulse_actors *sys;
	struct pulse_mesh *mesh;
	struct pulse_ctx *ctx;
	struct board *board;
	int fd, board_fd;
	pid_t pid;
	int place;			/* of the peer */
	struct pulse_mesh_addr to;
	uint64_t watcher;
	/* What the watcher saw. */
	int downs, reason;
	uint64_t tag;
	struct pulse_exit why;
};

static void watch(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	struct scene *s = pulse_actor_state(self);

	if (msg->kind != PULSE_ACTOR_DOWN)
		return;
	s->reason = msg->reason;
	s->tag = msg->tag;
	if (KT_EQ(msg->bytes, sizeof(s->why)))
		memcpy(&s->why, msg->data, sizeof(s->why));
	ATOMIC_INC(s->downs);
}

static bool scene_open(struct scene *s, const struct pulse_mesh_opts *opts,
		       struct pulse_ctx *ctx)
{
	memset(s, 0, sizeof(*s));
	s->ctx = ctx;
	s->place = 1;
	s->sys = actors_of(2);
	s->board = board_new(&s->board_fd);
	if (!s->sys || !s->board ||
	    !KT_EQ(ctx ? pulse_mesh_format_on(ctx, 0, opts, &s->mesh) :
			 pulse_mesh_create(opts, &s->mesh), 0) ||
	    !KT_EQ(pulse_mesh_join(s->mesh, s->sys, 0), 0) ||
	    !KT_EQ(pulse_mesh_start(s->mesh), 0))
		return false;
	s->fd = ctx ? pulse_ctx_fd(ctx) : pulse_mesh_fd(s->mesh);
	PULSE_OPTS(pulse_actor_type, t, .name = "watcher", .init = keep_arg,
		   .receive = watch);
	KT_EQ(pulse_actor_register(s->sys, &t), 0);
	s->watcher = spawn_of(s->sys, "watcher", s);
	return true;
}

static void scene_peer(struct scene *s, const char *what)
{
	s->pid = peer_begin(what, s->fd, s->board_fd, s->board, s->place);
	if (strcmp(what, "send"))
		KT_EQ(pulse_mesh_lookup(s->mesh, "peer", &s->to), 0);
}

static void scene_close(struct scene *s)
{
	if (s->pid)
		peer_end(s->pid);
	KT_EQ(pulse_mesh_destroy(s->mesh), 0);
	KT_EQ(pulse_actors_destroy(s->sys), 0);
	munmap(s->board, sizeof(*s->board));
	close(s->board_fd);
}

static int tell(struct scene *s, uint64_t what)
{
	return pulse_mesh_send(s->mesh, &s->to, what, NULL, 0);
}

static int count(struct scene *s, uint64_t n)
{
	return pulse_mesh_send(s->mesh, &s->to, DO_COUNT, &n, sizeof(n));
}

static int add(struct scene *s, uint64_t n, uint64_t *sum)
{
	size_t bytes;
	int err;

	do {
		bytes = sizeof(*sum);
		err = pulse_mesh_call(s->mesh, &s->to, DO_ADD, &n, sizeof(n),
				      LATE(), sum, &bytes);
	} while (err == -EAGAIN && !usleep(100));
	return err;
}

static void messages_and_calls(struct scene *s)
{
	uint64_t sum = 0, nr = (uint64_t)kt_scale(2000);

	scene_peer(s, "obey");
	for (uint64_t i = 0; i < nr; i++) {
		int err;

		while ((err = count(s, i)) == -EAGAIN)
			usleep(100);
		KT_EQ(err, 0);
		if (i % 10)
			continue;
		KT_EQ(add(s, i, &sum), 0);
		KT_EQ(sum, i + 1);
		/* A call comes after what was sent before. */
		KT_EQ(ATOMIC_GET(s->board->received), i + 1);
	}
	EVENTUALLY(ATOMIC_GET(s->board->received) == nr);
	KT_EQ(s->board->repeats, 0);
}

KT_TEST(messages_and_calls_reach_an_actor_in_another_process)
{
	struct scene s;

	KT_REQUIRE(scene_open(&s, NULL, NULL));
	messages_and_calls(&s);
	scene_close(&s);
}

KT_TEST(a_call_that_has_no_answer_says_why)
{
	char small[4], large[1000] = "";
	size_t bytes = sizeof(small);
	uint64_t n = 1;
	struct scene s;

	KT_REQUIRE(scene_open(&s, NULL, NULL));
	scene_peer(&s, "obey");
	KT_EQ(pulse_mesh_call(s.mesh, &s.to, DO_NOTHING, NULL, 0, LATE(), NULL,
			      NULL), -ENOMSG);
	KT_EQ(pulse_mesh_call(s.mesh, &s.to, DO_ERROR, NULL, 0, LATE(), NULL,
			      NULL), -EDOM);
	KT_EQ(pulse_mesh_call(s.mesh, &s.to, DO_NEVER, NULL, 0, SOON(), NULL,
			      NULL), -ETIMEDOUT);
	KT_EQ(pulse_mesh_call(s.mesh, &s.to, DO_ADD, &n, sizeof(n), LATE(),
			      small, &bytes), -EMSGSIZE);
	KT_EQ(bytes, sizeof(n));
	KT_EQ(pulse_mesh_send(s.mesh, &s.to, DO_COUNT, large, sizeof(large)),
	      -EMSGSIZE);
	/* The actor ends while it has the call: nobody will answer. */
	KT_EQ(pulse_mesh_call(s.mesh, &s.to, DO_END, NULL, 0, LATE(), NULL,
			      NULL), -ESRCH);
	EVENTUALLY(tell(&s, DO_COUNT) == -ESRCH);
	KT_EQ(add(&s, 1, &n), -ESRCH);
	scene_close(&s);
}

/* The reason of an end, to a watcher and to who waits for an answer. */
static void ends(struct scene *s, uint64_t what, int sig, int reason,
		 uint32_t kind, int code, int signal)
{
	uint64_t monitor = 0, n;
	int downs = ATOMIC_GET(s->downs);

	scene_peer(s, "obey");
	KT_EQ(pulse_mesh_monitor(s->mesh, &s->to, s->watcher, &monitor), 0);
	if (sig)
		kill(s->pid, sig);
	else
		KT_EQ(tell(s, what), 0);
	EVENTUALLY(ATOMIC_GET(s->downs) > downs);
	KT_EQ(ATOMIC_GET(s->downs), downs + 1);
	KT_EQ(s->tag, monitor);
	KT_EQ(s->reason, reason);
	KT_EQ(s->why.kind, kind);
	KT_EQ(s->why.code, code);
	KT_EQ(s->why.signal, signal);
	KT_EQ(pulse_mesh_demonitor(s->mesh, monitor), -ENOENT);
	/* The address is dead, whatever comes after. */
	KT_EQ(tell(s, DO_COUNT), -ESRCH);
	KT_EQ(add(s, 1, &n), -ESRCH);
	KT_EQ(pulse_mesh_lookup(s->mesh, "peer", &s->to), -ESRCH);
	KT_EQ(pulse_mesh_monitor(s->mesh, &s->to, s->watcher, &monitor), 0);
	EVENTUALLY(ATOMIC_GET(s->downs) > downs + 1);
	KT_EQ(s->tag, monitor);
	KT_EQ(s->reason, -ESRCH);
	peer_end(s->pid);
	s->pid = 0;
	/* What ended it was in hand, and would end the next one there. */
	s->place++;
}

static void all_ends(struct scene *s)
{
	ends(s, 0, SIGKILL, -EOWNERDEAD, PULSE_EXIT_SIGNAL, 0, SIGKILL);
	ends(s, DO_EXIT, 0, -EOWNERDEAD, PULSE_EXIT_CODE, 7, 0);
	ends(s, DO_CRASH, 0, -EOWNERDEAD, PULSE_EXIT_SIGNAL, 0, SIGSEGV);
	ends(s, DO_END, 0, -EIO, PULSE_EXIT_CODE, -EIO, 0);
	ends(s, DO_UNPUBLISH, 0, -ENOENT, PULSE_EXIT_CODE, -ENOENT, 0);
	ends(s, DO_LEAVE, 0, -ESHUTDOWN, PULSE_EXIT_SHUTDOWN, -ESHUTDOWN, 0);
}

KT_TEST(a_monitor_says_exactly_how_an_actor_or_its_process_ended)
{
	struct scene s;

	KT_REQUIRE(scene_open(&s, NULL, NULL));
	all_ends(&s);
	scene_close(&s);
}

static void *kill_soon(void *arg)
{
	struct scene *s = arg;

	usleep(20000);
	kill(s->pid, SIGKILL);
	return NULL;
}

KT_TEST(who_waits_for_an_answer_of_a_process_that_dies_is_told)
{
	struct scene s;
	pthread_t t;

	KT_REQUIRE(scene_open(&s, NULL, NULL));
	scene_peer(&s, "obey");
	pthread_create(&t, NULL, kill_soon, &s);
	KT_EQ(pulse_mesh_call(s.mesh, &s.to, DO_NEVER, NULL, 0, PULSE_FOREVER,
			      NULL, NULL), -ESRCH);
	pthread_join(t, NULL);
	scene_close(&s);
}

KT_TEST(a_process_that_is_behind_holds_its_senders_back)
{
	PULSE_OPTS(pulse_mesh_opts, opts, .slots = 8, .places = 2);
	struct scene s;
	uint64_t n = 0;

	KT_REQUIRE(scene_open(&s, &opts, NULL));
	scene_peer(&s, "idle");		/* takes nothing */
	while (!count(&s, n))
		n++;
	KT_EQ(n, 8);
	KT_EQ(count(&s, n), -EAGAIN);
	/* Nothing is lost with it: who comes next at that place has all of it. */
	KT_EQ(peer_end(s.pid), SIGKILL);
	KT_EQ(count(&s, n), -ESRCH);
	scene_peer(&s, "obey");
	EVENTUALLY(ATOMIC_GET(s.board->received) == 8);
	KT_EQ(s.board->repeats, 0);
	KT_EQ(count(&s, n), 0);
	scene_close(&s);
}

/*
 * FAULTS G9: a receiver that is killed anywhere. What was sent comes, and at most
 * what was in hand comes twice.
 */
static void killed_receiver(struct scene *s)
{
	uint64_t nr = (uint64_t)kt_scale(3000), kills = 0, next;

	scene_peer(s, "obey");
	for (uint64_t n = 0; n < nr;) {
		int err = count(s, n);

		if (!err)
			n++;
		else if (err == -EAGAIN)
			usleep(100);
		else if (!KT_EQ(err, -ESRCH))
			break;
		next = kills * nr / 10;
		if (n < next || err == -ESRCH)
			continue;
		KT_EQ(peer_end(s->pid), SIGKILL);
		kills++;
		scene_peer(s, "obey");
	}
	EVENTUALLY(!pulse_shmbox_count(s->mesh->peer[1].inbox));
	for (uint64_t i = 0; i < nr; i++)
		KT_EQ(ATOMIC_GET(s->board->seen[i]), 1);
	KT_CHECKF(s->board->repeats <= kills, "%llu twice, %llu kills",
		  (unsigned long long)s->board->repeats,
		  (unsigned long long)kills);
}

KT_TEST(nothing_is_lost_when_the_receiver_is_killed)
{
	PULSE_OPTS(pulse_mesh_opts, opts, .flags = PULSE_MESH_HANDLED);
	struct scene s;

	KT_REQUIRE(scene_open(&s, &opts, NULL));
	killed_receiver(&s);
	scene_close(&s);
}

/* FAULTS G9: a sender that is killed anywhere: what it was told is sent comes. */
KT_TEST(nothing_is_lost_when_the_sender_is_killed)
{
	struct scene s;
	uint64_t ref, last = 0;

	KT_REQUIRE(scene_open(&s, NULL, NULL));
	peer.board = s.board;
	type_of(s.sys, "counter", obey);
	ref = spawn_of(s.sys, "counter", NULL);
	KT_EQ(pulse_mesh_publish(s.mesh, "counter", ref), 0);
	for (long round = 0; round < kt_scale(10); round++) {
		scene_peer(&s, "send");
		EVENTUALLY(ATOMIC_GET(s.board->sent) > last + 50);
		usleep(500 * (unsigned int)(round % 7));
		KT_EQ(peer_end(s.pid), SIGKILL);
		last = ATOMIC_GET(s.board->sent);
	}
	s.pid = 0;
	EVENTUALLY(!pulse_shmbox_count(pulse_mesh_box(s.mesh)));
	KT_EQ(pulse_actors_wait(s.sys, LATE()), 0);
	for (uint64_t i = 0; i < last; i++)
		KT_EQ(ATOMIC_GET(s.board->seen[i]), 1);
	/* It may have died between the send and its note of it. */
	KT_CHECK(s.board->repeats <= (uint64_t)kt_scale(10));
	scene_close(&s);
}

/* ---- two handles in one process ------------------------------------------------- */

static struct pulse_mesh *second(struct scene *s, int place)
{
	struct pulse_mesh *mesh = NULL;

	KT_EQ(pulse_mesh_open(s->fd, &mesh), 0);
	KT_EQ(pulse_mesh_join(mesh, s->sys, place), place);
	return mesh;
}

KT_TEST(what_comes_for_nobody_is_a_dead_letter_and_can_be_sent_again)
{
	struct pulse_shmbox_tx *again;
	struct pulse_mesh *other;
	uint64_t ref, n = 5;
	struct scene s;
	size_t dead;

	KT_REQUIRE(scene_open(&s, NULL, NULL));
	peer.board = s.board;
	type_of(s.sys, "counter", obey);
	ref = spawn_of(s.sys, "counter", NULL);
	other = second(&s, 1);
	KT_EQ(pulse_mesh_publish(other, "late", ref), 0);
	KT_EQ(pulse_mesh_lookup(s.mesh, "late", &s.to), 0);
	KT_EQ(count(&s, n), 0);
	KT_EQ(pulse_mesh_unpublish(other, "late"), 0);
	KT_EQ(count(&s, n), -ESRCH);
	KT_EQ(pulse_mesh_start(other), 0);
	EVENTUALLY(pulse_shmbox_dead_count(pulse_mesh_box(other)) == 1);
	KT_EQ(ATOMIC_GET(s.board->received), 0);
	KT_EQ(pulse_mesh_publish(other, "late", ref), 0);
	KT_EQ(pulse_shmbox_tx_open(pulse_mesh_box(other), &again), 0);
	KT_EQ(pulse_shmbox_redeliver(pulse_mesh_box(other), again, 10), 1);
	EVENTUALLY(ATOMIC_GET(s.board->received) == 1);
	KT_EQ(ATOMIC_GET(s.board->seen[5]), 1);
	/* The old address is dead all the same. */
	KT_EQ(count(&s, n), -ESRCH);
	dead = pulse_shmbox_dead_count(pulse_mesh_box(other));
	KT_EQ(dead, 0);
	pulse_shmbox_tx_close(again);
	KT_EQ(pulse_mesh_destroy(other), 0);
	scene_close(&s);
}

KT_TEST(names_are_found_in_turn_and_end_with_their_actors)
{
	char name[16], longest[PULSE_MESH_NAME_MAX + 2];
	struct pulse_mesh_addr a, b;
	struct pulse_mesh *other;
	struct scene s;
	uint64_t ref;
	int n;

	KT_REQUIRE(scene_open(&s, NULL, NULL));
	other = second(&s, 3);
	KT_EQ(pulse_mesh_lookup(s.mesh, "both", &a), -ESRCH);
	KT_EQ(pulse_mesh_publish(s.mesh, "both", s.watcher), 0);
	KT_EQ(pulse_mesh_publish(s.mesh, "both", s.watcher), -EEXIST);
	KT_EQ(pulse_mesh_publish(other, "both", s.watcher), 0);
	memset(&a, 0, sizeof(a));
	b = a;
	for (n = 0; n < 16 && a.place == b.place; n++) {
		KT_EQ(pulse_mesh_lookup(s.mesh, "both", &a), 0);
		KT_EQ(pulse_mesh_lookup(s.mesh, "both", &b), 0);
		pulse_mesh_lookup(s.mesh, "none", &b);
	}
	KT_CHECK(n < 16);
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	KT_EQ(pulse_mesh_publish(s.mesh, longest, s.watcher), -ENAMETOOLONG);
	longest[sizeof(longest) - 2] = 0;
	KT_EQ(pulse_mesh_publish(s.mesh, longest, s.watcher), 0);
	KT_EQ(pulse_mesh_lookup(other, longest, &a), 0);
	for (n = 2; n < PULSE_MESH_NAMES; n++) {
		snprintf(name, sizeof(name), "%d", n);
		KT_EQ(pulse_mesh_publish(s.mesh, name, s.watcher), 0);
	}
	KT_EQ(pulse_mesh_publish(s.mesh, "one more", s.watcher), -ENOSPC);
	KT_EQ(pulse_mesh_unpublish(s.mesh, "7"), 0);
	KT_EQ(pulse_mesh_unpublish(s.mesh, "7"), -ENOENT);
	ref = spawn_of(s.sys, "watcher", &s);
	KT_EQ(pulse_mesh_publish(s.mesh, "short-lived", ref), 0);
	KT_EQ(pulse_mesh_lookup(other, "short-lived", &a), 0);
	KT_EQ(pulse_actor_stop(s.sys, ref, 0), 0);
	EVENTUALLY(pulse_mesh_lookup(other, "short-lived", &a) == -ESRCH);
	EVENTUALLY(pulse_mesh_publish(s.mesh, "short-lived", ref) == -ESRCH);
	KT_EQ(pulse_mesh_destroy(other), 0);
	scene_close(&s);
}

KT_TEST(places_belong_to_who_lives)
{
	PULSE_OPTS(pulse_mesh_opts, opts, .places = 2);
	struct pulse_mesh *third;
	struct scene s;

	KT_REQUIRE(scene_open(&s, &opts, NULL));
	KT_EQ(pulse_mesh_join(s.mesh, s.sys, 1), -EALREADY);
	KT_EQ(pulse_mesh_start(s.mesh), -EALREADY);
	scene_peer(&s, "obey");
	KT_EQ(pulse_mesh_open(s.fd, &third), 0);
	KT_EQ(pulse_mesh_join(third, s.sys, -1), -EBUSY);
	KT_EQ(pulse_mesh_join(third, s.sys, 1), -EBUSY);
	KT_EQ(pulse_mesh_join(third, s.sys, 2), -EINVAL);
	KT_EQ(pulse_mesh_start(third), -ENOTCONN);
	KT_EQ(pulse_mesh_send(third, &s.to, DO_COUNT, NULL, 0), -ENOTCONN);
	KT_EQ(pulse_mesh_publish(third, "x", s.watcher), -ENOTCONN);
	KT_EQ(pulse_mesh_leave(third), -ENOTCONN);
	KT_CHECK(!pulse_mesh_box(third));
	/* It need not be joined to look. */
	KT_EQ(pulse_mesh_lookup(third, "peer", &s.to), 0);
	peer_end(s.pid);
	s.pid = 0;
	KT_EQ(pulse_mesh_join(third, s.sys, -1), 1);
	KT_EQ(pulse_mesh_leave(third), 0);
	KT_EQ(pulse_mesh_join(third, s.sys, 1), 1);
	KT_EQ(pulse_mesh_destroy(third), 0);
	scene_close(&s);
}

KT_TEST(wrong_options_handles_and_bytes_are_refused)
{
	PULSE_OPTS(pulse_mesh_opts, places, .places = 65);
	PULSE_OPTS(pulse_mesh_opts, slots, .slots = 3);
	PULSE_OPTS(pulse_mesh_opts, bytes, .slot_bytes = 511);
	PULSE_OPTS(pulse_mesh_opts, flags, .flags = 2);
	PULSE_OPTS(pulse_mesh_opts, dead, .dead_letters = 3);
	const struct pulse_mesh_opts *bad[] = { &places, &slots, &bytes, &flags,
						&dead };
	struct pulse_mesh *mesh;
	struct scene s;
	int fd;

	for (int i = 0; i < 5; i++) {
		KT_EQ(pulse_mesh_create(bad[i], &mesh), -EINVAL);
		KT_CHECK(!mesh);
		KT_EQ(pulse_mesh_bytes(bad[i]), 0);
	}
	KT_EQ(pulse_mesh_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_mesh_open(-1, &mesh), -EINVAL);
	KT_EQ(pulse_mesh_destroy(NULL), -EINVAL);
	KT_EQ(pulse_mesh_fd(NULL), -EINVAL);
	fd = memfd_create("none", MFD_ALLOW_SEALING);
	KT_EQ(ftruncate(fd, 1 << 20), 0);
	KT_EQ(pulse_mesh_open(fd, &mesh), -EPERM);
	KT_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	KT_EQ(pulse_mesh_open(fd, &mesh), -EPROTO);
	close(fd);

	KT_REQUIRE(scene_open(&s, NULL, NULL));
	KT_EQ(pulse_mesh_publish(s.mesh, "", s.watcher), -EINVAL);
	KT_EQ(pulse_mesh_publish(s.mesh, NULL, s.watcher), -EINVAL);
	KT_EQ(pulse_mesh_lookup(s.mesh, NULL, &s.to), -EINVAL);
	KT_EQ(pulse_mesh_send(s.mesh, NULL, 0, NULL, 0), -EINVAL);
	KT_EQ(pulse_mesh_send(s.mesh, &s.to, 0, NULL, 1), -EINVAL);
	KT_EQ(pulse_mesh_send(s.mesh, &s.to, 0, NULL, 0), -ESRCH);
	s.to.place = 8;
	KT_EQ(pulse_mesh_send(s.mesh, &s.to, 0, NULL, 0), -EINVAL);
	s.to.place = 0;
	s.to.name = PULSE_MESH_NAMES;
	KT_EQ(pulse_mesh_send(s.mesh, &s.to, 0, NULL, 0), -EINVAL);
	KT_EQ(pulse_mesh_monitor(s.mesh, &s.to, s.watcher, NULL), -EINVAL);
	s.to.name = 0;
	KT_EQ(pulse_mesh_monitor(s.mesh, &s.to, 12345, NULL), -ESRCH);
	KT_EQ(pulse_mesh_call(s.mesh, &s.to, 0, NULL, 0, -1, NULL, NULL),
	      -EINVAL);
	scene_close(&s);
}

/* A peer that writes anything anywhere in what it may write. */
KT_TEST(a_hostile_peer_hurts_nobody_but_itself)
{
	unsigned int seed = 3;
	struct pulse_mesh_addr a;
	struct scene s;

	KT_REQUIRE(scene_open(&s, NULL, NULL));
	KT_EQ(pulse_mesh_publish(s.mesh, "watcher", s.watcher), 0);
	for (long i = 0; i < kt_scale(3000); i++) {
		struct pulse__mesh_place *p = &s.mesh->shm->place[1];
		struct pulse__mesh_wire w;
		unsigned char *at = (unsigned char *)&w;

		for (size_t k = 0; k < sizeof(w); k++)
			at[k] = (unsigned char)rand_r(&seed);
		w.what %= 6;
		if (i % 2)
			w.publication = s.mesh->life;
		pulse__mesh_put(s.mesh, 0, &w, &w, i % 3 ? 0 : sizeof(w));
		at = (unsigned char *)p;
		at[rand_r(&seed) % sizeof(*p)] = (unsigned char)rand_r(&seed);
		pulse_mesh_lookup(s.mesh, "nobody", &a);
		a.place = 1;
		a.name = (uint32_t)rand_r(&seed) % PULSE_MESH_NAMES;
		a.life = p->life;
		a.publication = p->name[a.name].publication;
		pulse_mesh_send(s.mesh, &a, 0, NULL, 0);
	}
	EVENTUALLY(!pulse_shmbox_count(s.mesh->peer[0].inbox) &&
		   !pulse_shmbox_count(s.mesh->peer[0].desk));
	KT_EQ(pulse_mesh_lookup(s.mesh, "watcher", &a), 0);
	KT_EQ(pulse_mesh_send(s.mesh, &a, 0, NULL, 0), 0);
	memset(&s.mesh->shm->place[1], 0, sizeof(s.mesh->shm->place[1]));
	scene_close(&s);
}

/* ---- in the memory of a context --------------------------------------------------- */

KT_TEST(all_of_it_in_the_modules_memory)
{
	PULSE_OPTS(pulse_mesh_opts, opts, .places = 8, .slots = 8,
		   .slot_bytes = 512, .dead_letters = PULSE_OFF,
		   .flags = PULSE_MESH_HANDLED);
	PULSE_OPTS(pulse_ctx_opts, ctx_opts, .max_workers = 32,
		   .ring_entries = 2, .flags = PULSE_CTX_OPT_SHARED);
	struct pulse_ctx *ctx;
	struct scene s;
	int err;

	ctx_opts.heap_bytes = (uint32_t)pulse_mesh_bytes(&opts);
	err = pulse_ctx_create(&ctx_opts, &ctx);
	if (err == -EOPNOTSUPP)
		KT_SKIP("no contexts of several processes here");
	KT_REQUIRE(!err);
	KT_REQUIRE(scene_open(&s, &opts, ctx));
	killed_receiver(&s);
	peer_end(s.pid);
	memset(s.board, 0, sizeof(*s.board));
	messages_and_calls(&s);
	peer_end(s.pid);
	all_ends(&s);
	scene_close(&s);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

MESH_MAIN()
