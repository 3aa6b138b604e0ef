// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages that an actor puts aside: they come again, all of them, in their
 * order, or their senders are told.
 */
#include "helpers.h"

enum { WORK, OPEN, SHUT, END, ASK };

#define SEEN	4096

struct door {
	bool open;
	int stash_errs, unstashed;
	long nr;
	uint64_t seen[SEEN];
};

/* Lets WORK and ASK in while it is open; the tag's upper half is a number. */
static void door(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	struct door *d = pulse_actor_state(self);
	uint64_t nr = msg->tag >> 32;

	switch ((uint32_t)msg->tag) {
	case OPEN:
		d->open = true;
		d->unstashed += pulse_actor_unstash(self);
		break;
	case SHUT:
		d->open = false;
		break;
	case END:
		pulse_actor_exit(self, 0);
		break;
	default:
		if (!d->open) {
			if (pulse_actor_stash(self)) {
				d->stash_errs++;
				break;
			}
			/* In no hand any more, but still there. */
			KT_EQ(pulse_actor_stash(self), -ENOMSG);
			KT_EQ(pulse_actor_reply(self, NULL, 0), -ENOTCONN);
			KT_EQ(msg->tag >> 32, nr);
			break;
		}
		if (d->nr < SEEN)
			d->seen[d->nr] = nr;
		ATOMIC_INC(d->nr);
		if (msg->kind == PULSE_ACTOR_CALL)
			pulse_actor_reply(self, &nr, sizeof(nr));
	}
}

static struct pulse_actors *door_of(uint32_t limit, struct door *d, int thread,
				    uint64_t *ref)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "door", .receive = door,
		   .init = keep_arg, .mailbox_limit = limit);
	struct pulse_actors *sys = actors_of(2);

	if (thread)
		KT_EQ(pulse_actors_thread_add(sys, NULL), 0);
	KT_EQ(pulse_actor_register(sys, &t), 0);
	*ref = spawn_on(sys, "door", d, thread);
	return sys;
}

static void say(struct pulse_actors *sys, uint64_t ref, uint64_t nr, int what)
{
	KT_EQ(pulse_actor_send(sys, ref, nr << 32 | (uint32_t)what, NULL, 0), 0);
}

static void comes_again(int thread)
{
	struct door d = { 0 };
	struct pulse_actors *sys;
	uint64_t ref, nr = 0;

	sys = door_of(0, &d, thread, &ref);
	/* More than a turn's budget, and twice over. */
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 500; i++)
			say(sys, ref, nr++, WORK);
		say(sys, ref, 0, OPEN);
		for (int i = 0; i < 500; i++)
			say(sys, ref, nr++, WORK);
		say(sys, ref, 0, SHUT);
	}
	KT_CHECK(EVENTUALLY(ATOMIC_GET(d.nr) == (long)nr));
	for (uint64_t i = 0; i < nr; i++)
		KT_EQ(d.seen[i], i);
	KT_EQ(pulse_actors_destroy(sys), 0);
	KT_EQ(d.unstashed, 1000);
	KT_EQ(d.stash_errs, 0);
}

KT_TEST(what_is_put_aside_comes_again_first_and_in_its_order)
{
	comes_again(0);
}

KT_TEST(likewise_on_a_thread_of_the_system)
{
	comes_again(PULSE_ACTOR_ON(0));
}

struct asker {
	pthread_t thread;
	struct pulse_actors *sys;
	uint64_t ref, nr, got;
	int err;
};

static void *asks(void *arg)
{
	struct asker *a = arg;
	size_t bytes = sizeof(a->got);

	a->err = pulse_actor_call(a->sys, a->ref, a->nr << 32 | ASK, NULL, 0,
				  PULSE_FOREVER, &a->got, &bytes);
	return NULL;
}

KT_TEST(who_called_waits_until_it_is_taken_up_or_is_told_of_the_end)
{
	struct asker a[4];
	struct door d = { 0 };
	struct pulse_actors *sys;
	uint64_t ref;

	for (int end = 0; end < 2; end++) {
		memset(&d, 0, sizeof(d));
		sys = door_of(0, &d, 0, &ref);
		for (int i = 0; i < 4; i++) {
			a[i] = (struct asker){ .sys = sys, .ref = ref,
					       .nr = 7 + (uint64_t)i };
			KT_REQUIRE(!pthread_create(&a[i].thread, NULL, asks, &a[i]));
		}
		/* All are aside. */
		KT_CHECK(EVENTUALLY(seen_of(sys).handled >= 4));
		say(sys, ref, 0, end ? END : OPEN);
		for (int i = 0; i < 4; i++) {
			pthread_join(a[i].thread, NULL);
			KT_EQ(a[i].err, end ? -ESRCH : 0);
			if (!end)
				KT_EQ(a[i].got, a[i].nr);
		}
		KT_CHECK(EVENTUALLY(seen_of(sys).dead_letters ==
				    (end ? 4U : 0U)));
		KT_EQ(pulse_actors_destroy(sys), 0);
	}
}

KT_TEST(no_more_are_put_aside_than_the_mailbox_may_hold)
{
	struct door d = { 0 };
	struct pulse_actors *sys;
	uint64_t ref;

	sys = door_of(8, &d, 0, &ref);
	for (int i = 0; i < 20; i++) {
		int err;

		/* What is aside takes no room in the mailbox. */
		while ((err = pulse_actor_send(sys, ref, WORK, NULL, 0)) == -EAGAIN)
			nap_us(100);
		KT_EQ(err, 0);
	}
	KT_CHECK(EVENTUALLY(seen_of(sys).handled == 20));
	while (pulse_actor_send(sys, ref, OPEN, NULL, 0) == -EAGAIN)
		nap_us(100);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(d.nr) == 8));
	KT_EQ(pulse_actors_destroy(sys), 0);
	KT_EQ(d.stash_errs, 12);
}

static long batches;

static void batch(struct pulse_actor *self,
		  const struct pulse_actor_msg *const *msgs, unsigned int nr)
{
	(void)msgs;
	KT_EQ(pulse_actor_stash(self), -EINVAL);
	KT_EQ(pulse_actor_unstash(self), -EINVAL);
	__atomic_fetch_add(&batches, nr, __ATOMIC_SEQ_CST);
}

static int begins(struct pulse_actor *self, void *arg)
{
	(void)arg;
	KT_EQ(pulse_actor_stash(self), -ENOMSG);
	KT_EQ(pulse_actor_unstash(self), 0);
	return 0;
}

KT_TEST(where_there_is_no_message_to_put_aside)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "b", .receive = count_msg,
		   .receive_batch = batch, .init = begins);
	struct pulse_actors *sys = actors_of(1);
	uint64_t ref;

	KT_EQ(pulse_actor_stash(NULL), -EINVAL);
	KT_EQ(pulse_actor_unstash(NULL), -EINVAL);
	KT_EQ(pulse_actor_register(sys, &t), 0);
	ref = spawn_of(sys, "b", NULL);
	for (int i = 0; i < 100; i++)
		KT_EQ(pulse_actor_send(sys, ref, 0, NULL, 0), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(batches) == 100));
	KT_EQ(pulse_actors_destroy(sys), 0);
}

KT_MAIN()
