// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages that overtake others, and what an actor becomes. An actor is kept in its
 * first message until all that is to be looked at waits in its mailbox.
 */
#include <pulse-u/actor_handle.h>

#include "helpers.h"

#define HOLD	(1ULL << 60)
#define AGAIN	(1ULL << 61)
#define END	(1ULL << 62)
#define URGENT	(1ULL << 32)
#define SEEN	200000

struct log {
	int held, go;
	uint64_t nr;
	uint64_t *seen;
};

static struct log *log_new(void)
{
	struct log *l = calloc(1, sizeof(*l));

	l->seen = calloc(SEEN, sizeof(*l->seen));
	return l;
}

static void log_free(struct log *l)
{
	free(l->seen);
	free(l);
}

static void note(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	struct log *l = pulse_actor_state(self);
	uint64_t me = pulse_actor_self(self);

	if (msg->tag == HOLD) {
		ATOMIC_SET(l->held, 1);
		while (!ATOMIC_GET(l->go))
			nap_us(100);
		return;
	}
	if (msg->tag == END) {
		pulse_actor_exit(self, -EIO);
		return;
	}
	if (l->nr < SEEN)
		l->seen[l->nr] = msg->kind == PULSE_ACTOR_DOWN ? URGENT : msg->tag;
	ATOMIC_INC(l->nr);
	if (msg->tag & AGAIN) {
		for (uint64_t i = 0; i < 3; i++)
			KT_EQ(pulse_actor_send_urgent(pulse_actor_system(self),
						      me, URGENT | (100 + i),
						      NULL, 0), 0);
	}
	if (msg->kind == PULSE_ACTOR_CALL)
		pulse_actor_reply(self, &msg->tag, sizeof(msg->tag));
}

/* One that is held in its first message. */
static struct pulse_actors *held(struct log *l, uint32_t limit, int thread,
				 uint64_t *ref)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "note", .receive = note,
		   .init = keep_arg, .mailbox_limit = limit);
	struct pulse_actors *sys = actors_of(2);

	if (thread)
		KT_EQ(pulse_actors_thread_add(sys, NULL), 0);
	KT_EQ(pulse_actor_register(sys, &t), 0);
	*ref = spawn_on(sys, "note", l, thread);
	KT_EQ(pulse_actor_send(sys, *ref, HOLD, NULL, 0), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(l->held)));
	return sys;
}

static void plain(struct pulse_actors *sys, uint64_t ref, uint64_t tag)
{
	KT_EQ(pulse_actor_send(sys, ref, tag, NULL, 0), 0);
}

static void urgent(struct pulse_actors *sys, uint64_t ref, uint64_t tag)
{
	KT_EQ(pulse_actor_send_urgent(sys, ref, URGENT | tag, NULL, 0), 0);
}

static void overtake(int thread)
{
	struct log *l = log_new();
	struct pulse_actors *sys;
	uint64_t ref, at = 0;

	sys = held(l, 0, thread, &ref);
	for (uint64_t i = 0; i < 300; i++)
		plain(sys, ref, i);
	for (uint64_t i = 0; i < 5; i++)
		urgent(sys, ref, i);
	ATOMIC_SET(l->go, 1);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(l->nr) == 305));
	for (uint64_t i = 0; i < 5; i++)
		KT_EQ(l->seen[at++], URGENT | i);
	for (uint64_t i = 0; i < 300; i++)
		KT_EQ(l->seen[at++], i);
	KT_EQ(pulse_actors_destroy(sys), 0);
	log_free(l);
}

KT_TEST(urgent_ones_overtake_those_that_wait_and_keep_their_order)
{
	overtake(0);
}

KT_TEST(likewise_on_a_thread_of_the_system)
{
	overtake(PULSE_ACTOR_ON(0));
}

KT_TEST(after_eight_of_them_one_that_waits_has_its_turn)
{
	struct log *l = log_new();
	struct pulse_actors *sys;
	uint64_t ref, at = 0, next = 0;

	sys = held(l, 0, 0, &ref);
	for (uint64_t i = 0; i < 20; i++)
		plain(sys, ref, i);
	/* The last one sends three more, which come too late for their row. */
	for (uint64_t i = 0; i < 40; i++)
		urgent(sys, ref, i == 39 ? AGAIN | i : i);
	ATOMIC_SET(l->go, 1);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(l->nr) == 63));
	for (uint64_t i = 0; i < 40; i++) {
		if (i && !(i % 8))
			KT_EQ(l->seen[at++], next++);
		KT_EQ(l->seen[at++] & ~AGAIN, URGENT | i);
	}
	KT_EQ(l->seen[at++], next++);
	for (uint64_t i = 100; i < 103; i++)
		KT_EQ(l->seen[at++], URGENT | i);
	while (next < 20)
		KT_EQ(l->seen[at++], next++);
	KT_EQ(pulse_actors_destroy(sys), 0);
	log_free(l);
}

KT_TEST(a_full_mailbox_takes_urgent_ones_up_to_twice_its_limit)
{
	struct log *l = log_new();
	struct pulse_actors *sys;
	uint64_t ref, took = 0, more = 0;

	sys = held(l, 8, 0, &ref);
	while (took < 100 && !pulse_actor_send(sys, ref, took, NULL, 0))
		took++;
	KT_EQ(pulse_actor_send(sys, ref, took, NULL, 0), -EAGAIN);
	while (more < 100 &&
	       !pulse_actor_send_urgent(sys, ref, URGENT | more, NULL, 0))
		more++;
	KT_EQ(pulse_actor_send_urgent(sys, ref, URGENT, NULL, 0), -EAGAIN);
	/* The one in hand counts until it is done. */
	KT_EQ(took, 7U);
	KT_EQ(more, 8U);
	ATOMIC_SET(l->go, 1);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(l->nr) == took + more));
	KT_EQ(l->seen[0], URGENT);
	KT_EQ(pulse_actors_destroy(sys), 0);
	log_free(l);
}

struct caller {
	pthread_t thread;
	struct pulse_actors *sys;
	uint64_t ref, got;
	int err;
};

static void *calls(void *arg)
{
	struct caller *c = arg;
	size_t bytes = sizeof(c->got);

	c->err = pulse_actor_call_urgent(c->sys, c->ref, URGENT | 7, NULL, 0,
					 PULSE_FOREVER, &c->got, &bytes);
	return NULL;
}

static uint64_t queued_of(struct pulse_actors *sys, const char *type)
{
	struct pulse_actor_info info = { .sz = sizeof(info) };

	return pulse_actor_list(sys, type, &info, 1) == 1 ? info.queued : 0;
}

KT_TEST(an_urgent_call_is_answered_first_or_its_caller_told_of_the_end)
{
	struct caller c;
	struct log *l;

	for (int end = 0; end < 2; end++) {
		l = log_new();
		c.sys = held(l, 100, 0, &c.ref);
		for (uint64_t i = 0; i < 20; i++)
			plain(c.sys, c.ref, i);
		if (end)
			KT_EQ(pulse_actor_stop(c.sys, c.ref, -EIO), 0);
		KT_REQUIRE(!pthread_create(&c.thread, NULL, calls, &c));
		KT_CHECK(EVENTUALLY(queued_of(c.sys, "note") == 22));
		ATOMIC_SET(l->go, 1);
		pthread_join(c.thread, NULL);
		KT_EQ(c.err, end ? -ESRCH : 0);
		if (!end) {
			KT_EQ(c.got, URGENT | 7);
			KT_EQ(l->seen[0], URGENT | 7);
		}
		KT_CHECK(EVENTUALLY(seen_of(c.sys).dead_letters ==
				    (end ? 21U : 0U)));
		KT_EQ(pulse_actors_destroy(c.sys), 0);
		log_free(l);
	}
}

KT_TEST(what_nobody_can_send_urgently)
{
	struct pulse_actors *sys = actors_of(1);
	uint64_t ref;
	long nr = 0;

	PULSE_OPTS(pulse_actor_type, t, .name = "n", .receive = count_msg,
		   .init = keep_arg);

	KT_EQ(pulse_actor_register(sys, &t), 0);
	ref = spawn_of(sys, "n", &nr);
	KT_EQ(pulse_actor_send_urgent(NULL, ref, 0, NULL, 0), -EINVAL);
	KT_EQ(pulse_actor_send_urgent(sys, ref, 0, NULL, 8), -EINVAL);
	KT_EQ(pulse_actor_send_urgent(sys, ref, 0, &nr, 1UL << 31), -EMSGSIZE);
	KT_EQ(pulse_actor_send_urgent(sys, PULSE_ACTOR_NONE, 0, NULL, 0), -ESRCH);
	KT_EQ(pulse_actor_call_urgent(sys, ref, 0, NULL, 0, -1, NULL, NULL),
	      -EINVAL);
	/* It rests, and is woken by one. */
	for (long i = 1; i <= 100; i++) {
		KT_EQ(pulse_actor_send_urgent(sys, ref, 0, NULL, 0), 0);
		KT_REQUIRE(EVENTUALLY(ATOMIC_GET(nr) == i));
	}
	KT_EQ(pulse_actor_stop(sys, ref, 0), 0);
	KT_CHECK(EVENTUALLY(pulse_actor_alive(sys, ref) == 0));
	KT_EQ(pulse_actor_send_urgent(sys, ref, 0, NULL, 0), -ESRCH);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

/* Several threads, each its own numbers of both kinds, in order. */
#define THREADS	4
#define EACH	5000

struct writer {
	pthread_t thread;
	struct pulse_actors *sys;
	uint64_t ref, who;
};

static void *writes(void *arg)
{
	struct writer *w = arg;

	for (uint64_t i = 0; i < EACH; i++) {
		if ((i * 2654435761U >> 7) & 1)
			urgent(w->sys, w->ref, w->who << 20 | i);
		else
			plain(w->sys, w->ref, w->who << 20 | i);
	}
	return NULL;
}

KT_TEST(none_is_lost_and_each_sender_finds_both_of_its_kinds_in_order)
{
	uint64_t last[2][THREADS] = { 0 };
	struct writer w[THREADS];
	struct pulse_actors *sys;
	struct log *l = log_new();
	uint64_t ref;

	sys = held(l, 0, 0, &ref);
	for (uint64_t i = 0; i < THREADS; i++) {
		w[i] = (struct writer){ .sys = sys, .ref = ref, .who = i };
		KT_REQUIRE(!pthread_create(&w[i].thread, NULL, writes, &w[i]));
	}
	ATOMIC_SET(l->go, 1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(w[i].thread, NULL);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(l->nr) == THREADS * EACH));
	KT_EQ(pulse_actors_destroy(sys), 0);
	for (uint64_t i = 0; i < l->nr; i++) {
		uint64_t *at = &last[l->seen[i] & URGENT ? 1 : 0]
				    [l->seen[i] >> 20 & (THREADS - 1)];
		uint64_t nr = (l->seen[i] & 0xfffff) + 1;

		if (nr <= *at)
			KT_FAIL("%llu after %llu", (unsigned long long)nr,
				(unsigned long long)*at);
		*at = nr;
	}
	log_free(l);
}

/* Actors that end while urgent messages come: all are handled or dead letters. */
static void ends(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	ATOMIC_INC(*(long *)pulse_actor_state(self));
	if (msg->tag % 8 == 7)
		pulse_actor_exit(self, 0);
}

KT_TEST(urgent_messages_to_actors_that_end_are_handled_or_dead_letters)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "ends", .receive = ends,
		   .init = keep_arg);
	struct pulse_actors *sys = actors_of(2);
	long nr = 0, sent = 0, gone = 0;

	KT_EQ(pulse_actor_register(sys, &t), 0);
	for (int round = 0; round < 500; round++) {
		uint64_t ref = spawn_of(sys, "ends", &nr);

		for (uint64_t i = 0; i < 40; i++) {
			int err = i % 3 ? pulse_actor_send_urgent(sys, ref, i, NULL, 0) :
					  pulse_actor_send(sys, ref, i, NULL, 0);

			sent += !err;
			gone += err == -ESRCH;
		}
	}
	KT_EQ(sent + gone, 500 * 40);
	KT_CHECK(EVENTUALLY(seen_of(sys).alive == 0));
	KT_CHECK(EVENTUALLY(ATOMIC_GET(nr) +
			    (long)seen_of(sys).dead_letters == sent));
	KT_EQ(pulse_actors_destroy(sys), 0);
}

static uint64_t watched;

static void watches(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	if (msg->tag == HOLD)
		KT_EQ(pulse_actor_monitor(self, watched, NULL), 0);
	note(self, msg);
}

KT_TEST(the_news_of_an_end_comes_first_where_the_type_wants_it)
{
	for (uint32_t first = 0; first < 2; first++) {
		PULSE_OPTS(pulse_actor_type, t, .name = "watch",
			   .receive = watches, .init = keep_arg,
			   .flags = first ? PULSE_ACTOR_SIGNALS_FIRST : 0);
		PULSE_OPTS(pulse_actor_type, n, .name = "note", .receive = note);
		struct pulse_actors *sys = actors_of(2);
		struct log *l = log_new();
		uint64_t ref;

		KT_EQ(pulse_actor_register(sys, &t), 0);
		KT_EQ(pulse_actor_register(sys, &n), 0);
		watched = spawn_of(sys, "note", NULL);
		ref = spawn_of(sys, "watch", l);
		plain(sys, ref, HOLD);
		KT_REQUIRE(EVENTUALLY(ATOMIC_GET(l->held)));
		for (uint64_t i = 0; i < 10; i++)
			plain(sys, ref, i);
		plain(sys, watched, END);
		KT_CHECK(EVENTUALLY(seen_of(sys).alive == 1));
		ATOMIC_SET(l->go, 1);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(l->nr) == 11));
		KT_EQ(l->seen[first ? 0 : 10], URGENT);
		KT_EQ(pulse_actors_destroy(sys), 0);
		log_free(l);
	}
}

/* ---- what it becomes ------------------------------------------------------------ */

enum { KNOCK, OPEN, SHUT, DEEPER, UP, ASK };

struct door {
	long inside, refused, deep;
	int errs[64];
};

static void shut(struct pulse_actor *self, const struct pulse_actor_msg *msg);

static void open_door(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	struct door *d = pulse_actor_state(self);

	if (msg->tag == SHUT)
		KT_EQ(pulse_actor_unbecome(self), 0);
	else
		d->inside++;
}

static void shut(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	struct door *d = pulse_actor_state(self);

	switch (msg->tag) {
	case OPEN:
		KT_EQ(pulse_actor_become(self, open_door), 0);
		pulse_actor_unstash(self);
		break;
	case ASK:
		pulse_actor_reply(self, d, sizeof(*d));
		break;
	case SHUT:
		KT_EQ(pulse_actor_unbecome(self), -EALREADY);
		break;
	default:
		d->refused++;
		KT_EQ(pulse_actor_stash(self), 0);
	}
}

static struct door ask_door(struct pulse_actors *sys, uint64_t ref)
{
	struct door d = { 0 };
	size_t bytes = sizeof(d);

	KT_EQ(pulse_actor_call(sys, ref, ASK, NULL, 0, LATE(), &d, &bytes), 0);
	return d;
}

KT_TEST(an_actor_becomes_something_else_and_itself_again)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "door", .receive = shut,
		   .init = keep_arg);
	struct pulse_actors *sys = actors_of(2);
	struct door d = { 0 }, seen;
	uint64_t ref;

	KT_EQ(pulse_actor_register(sys, &t), 0);
	ref = spawn_of(sys, "door", &d);
	for (int i = 0; i < 100; i++) {
		plain(sys, ref, KNOCK);		/* put aside */
		plain(sys, ref, SHUT);
		plain(sys, ref, OPEN);		/* ... and let in */
		plain(sys, ref, KNOCK);
		plain(sys, ref, SHUT);
	}
	seen = ask_door(sys, ref);
	KT_EQ(seen.refused, 100);
	KT_EQ(seen.inside, 200);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

static void level(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	struct door *d = pulse_actor_state(self);

	switch (msg->tag) {
	case DEEPER:
		d->errs[d->deep++] = pulse_actor_become_over(self, level);
		break;
	case UP:
		KT_EQ(pulse_actor_unbecome(self), 0);
		break;
	default:
		d->inside++;
	}
}

static void ground(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	if (msg->tag == DEEPER || msg->tag == KNOCK)
		level(self, msg);
	else
		shut(self, msg);
}

KT_TEST(what_lies_under_it_is_kept_up_to_a_depth)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "deep", .receive = ground,
		   .init = keep_arg);
	struct pulse_actors *sys = actors_of(1);
	struct door d = { 0 }, seen;
	uint64_t ref;

	KT_EQ(pulse_actor_register(sys, &t), 0);
	ref = spawn_of(sys, "deep", &d);
	for (int i = 0; i < 40; i++)
		plain(sys, ref, DEEPER);
	for (int i = 0; i < 32; i++)
		plain(sys, ref, UP);
	/* Only the type's own answers. */
	seen = ask_door(sys, ref);
	KT_EQ(seen.deep, 40);
	for (int i = 0; i < 40; i++)
		KT_EQ(seen.errs[i], i < 32 ? 0 : -ENOSPC);
	/* What is left of it goes with the actor. */
	for (int i = 0; i < 5; i++)
		plain(sys, ref, DEEPER);
	KT_EQ(pulse_actors_wait(sys, LATE()), 0);
	KT_EQ(pulse_actors_destroy(sys), 0);
	KT_EQ(pulse_actor_become(NULL, level), -EINVAL);
	KT_EQ(pulse_actor_become_over(NULL, level), -EINVAL);
	KT_EQ(pulse_actor_unbecome(NULL), -EINVAL);
}

static long batched, single;

static void one_at_a_time(struct pulse_actor *self,
			  const struct pulse_actor_msg *msg)
{
	single++;
	if (msg->tag == SHUT)
		KT_EQ(pulse_actor_unbecome(self), 0);
}

static void many(struct pulse_actor *self,
		 const struct pulse_actor_msg *const *msgs, unsigned int nr)
{
	(void)msgs;
	(void)self;
	batched += nr;
}

static int begins_single(struct pulse_actor *self, void *arg)
{
	(void)arg;
	KT_EQ(pulse_actor_become(self, NULL), -EINVAL);
	KT_EQ(pulse_actor_become_over(self, NULL), -EINVAL);
	return pulse_actor_become(self, one_at_a_time);
}

KT_TEST(one_that_became_something_gets_its_messages_one_at_a_time)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "b", .receive = count_msg,
		   .receive_batch = many, .init = begins_single);
	struct pulse_actors *sys = actors_of(1);
	uint64_t ref;

	KT_EQ(pulse_actor_register(sys, &t), 0);
	ref = spawn_of(sys, "b", NULL);
	for (int i = 0; i < 100; i++)
		plain(sys, ref, KNOCK);
	plain(sys, ref, SHUT);
	for (int i = 0; i < 100; i++)
		plain(sys, ref, KNOCK);
	KT_EQ(pulse_actors_wait(sys, LATE()), 0);
	KT_EQ(pulse_actors_destroy(sys), 0);
	KT_EQ(single, 101);
	KT_EQ(batched, 100);
}

KT_MAIN()
