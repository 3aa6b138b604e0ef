// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mailboxes between threads: order under 8 senders, each message once, nobody
 * who waits is forgotten, counts exact under every policy. FAULTS V01, V03.
 */
#include <sys/wait.h>

#include "helpers.h"

#define SENDERS		8
#define PRIORITIES	PULSE_MESSAGE_PRIORITIES

static long messages(long nr)
{
#ifdef PULSE__TSAN
	nr /= 5;
#endif
	return kt_scale(nr);
}

struct sender {
	pthread_t thread;
	struct pulse_mailbox *mb;
	uint32_t me;
	long nr;
	uint32_t fixed;			/* a priority for all, or 0: all in turn */
	int err;			/* what the first failure said */
	long sent;
};

/* Numbered in each priority; the tag says sender, priority and number. */
static void *send_all(void *arg)
{
	struct sender *s = arg;
	uint64_t number[PRIORITIES] = { 0 };

	for (long i = 0; i < s->nr; i++) {
		uint32_t p = s->fixed ? s->fixed :
			     1 + (uint32_t)(i * 7 + s->me) % PRIORITIES;
		int err = send_tag(s->mb, (uint64_t)s->me << 40 |
				   (uint64_t)p << 32 | number[p - 1]++, p);

		if (err) {
			s->err = err;
			break;
		}
		s->sent++;
	}
	return NULL;
}

static void start(struct sender *s, int nr, struct pulse_mailbox *mb, long each)
{
	for (int i = 0; i < nr; i++) {
		s[i] = (struct sender){ .mb = mb, .me = (uint32_t)i, .nr = each };
		KT_EQ(pthread_create(&s[i].thread, NULL, send_all, &s[i]), 0);
	}
}

static void finish(struct sender *s, int nr)
{
	for (int i = 0; i < nr; i++) {
		pthread_join(s[i].thread, NULL);
		KT_EQ(s[i].err, 0);
	}
}

struct orders {
	uint64_t next[SENDERS][PRIORITIES];
	uint64_t nr;
	bool bad;
};

/* Its place in its sender's order of that priority. */
static int in_order(struct orders *o, struct pulse_message *msg)
{
	uint64_t tag = pulse_message_tag(msg);
	unsigned int who = (unsigned int)(tag >> 40);
	unsigned int p = (unsigned int)(tag >> 32 & 0xff);

	if (who >= SENDERS || (int)p != pulse_message_priority(msg) ||
	    o->next[who][p - 1]++ != (uint32_t)tag)
		o->bad = true;
	o->nr++;
	pulse_message_put(msg);
	return (int)p;
}

/* V03 */
KT_TEST(eight_senders_keep_their_order_in_each_priority_while_they_send)
{
	for (uint32_t flags = 0; flags <= PULSE_MAILBOX_ONE_RECEIVER; flags +=
	     PULSE_MAILBOX_ONE_RECEIVER) {
		PULSE_OPTS(pulse_mailbox_opts, opts, .capacity = 100,
			   .overflow = PULSE_MAILBOX_BLOCK, .flags = flags);
		struct sender s[SENDERS];
		struct orders o = { .nr = 0 };
		long each = messages(20000);
		struct pulse_message *msg;
		struct pulse_mailbox *mb;

		KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
		start(s, SENDERS, mb, each);
		while (o.nr < (uint64_t)(SENDERS * each)) {
			KT_REQUIRE(!pulse_mailbox_receive(mb, &msg));
			in_order(&o, msg);
		}
		finish(s, SENDERS);
		KT_CHECK(!o.bad);
		KT_EQ(next_tag(mb), -EAGAIN);
		KT_CHECK(stats_of(mb).peak_usage <= 100);
		KT_EQ(stats_of(mb).messages_sent, SENDERS * each);
		balanced(mb);
		pulse_mailbox_destroy(mb);
	}
}

/* V03 */
KT_TEST(what_eight_senders_left_comes_out_by_priority)
{
	PULSE_OPTS(pulse_mailbox_opts, opts,
		   .capacity = PULSE_MAILBOX_UNBOUNDED);
	struct sender s[SENDERS];
	struct orders o = { .nr = 0 };
	long each = messages(10000);
	struct pulse_message *msg;
	struct pulse_mailbox *mb;
	int last = 1;

	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	start(s, SENDERS, mb, each);
	finish(s, SENDERS);
	KT_EQ(stats_of(mb).peak_usage, SENDERS * each);
	while (!pulse_mailbox_try_receive(mb, &msg)) {
		int p = in_order(&o, msg);

		o.bad |= p < last;
		last = p;
	}
	KT_CHECK(!o.bad);
	KT_EQ(last, PULSE_MESSAGE_BATCH);
	KT_EQ(o.nr, SENDERS * each);
	pulse_mailbox_destroy(mb);
}

struct receiver {
	pthread_t thread;
	struct pulse_mailbox *mb;
	uint64_t nr, sum;
	int how;
	int end;			/* what it ended with */
};

static bool every_second(const struct pulse_message *msg, void *arg)
{
	(void)arg;
	return pulse_message_tag(msg) % 2;
}

static int receive_somehow(struct receiver *r, struct pulse_selector *sel,
			   struct pulse_message **msgs)
{
	int err;

	switch (r->how % 4) {
	case 0:
		err = pulse_mailbox_receive(r->mb, msgs);
		return err ? err : 1;
	case 1:
		return pulse_mailbox_receive_n(r->mb, msgs, 4, PULSE_FOREVER);
	case 2:
		err = pulse_mailbox_receive_until(r->mb, ms_from_now(1), msgs);
		return err == -ETIMEDOUT ? 0 : err ? err : 1;
	default:
		err = pulse_mailbox_select(r->mb, sel, PULSE_FOREVER, msgs);
		return err ? err : 1;
	}
}

static void *receive_all(void *arg)
{
	struct pulse_selector sel = { .match = every_second };
	struct receiver *r = arg;
	struct pulse_message *msgs[4];

	for (;;) {
		int n = receive_somehow(r, &sel, msgs);

		if (n < 0) {
			r->end = n;
			return NULL;
		}
		for (int i = 0; i < n; i++) {
			r->nr++;
			r->sum += pulse_message_tag(msgs[i]);
			pulse_message_put(msgs[i]);
		}
	}
}

KT_TEST(with_many_receivers_each_message_comes_once)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .capacity = 64,
		   .overflow = PULSE_MAILBOX_BLOCK);
	struct receiver r[8] = { 0 };
	struct sender s[4];
	long each = messages(10000);
	uint64_t nr = 0, sum = 0, want = 0;
	struct pulse_mailbox *mb;

	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	for (int i = 0; i < 8; i++) {
		r[i] = (struct receiver){ .mb = mb, .how = i };
		KT_EQ(pthread_create(&r[i].thread, NULL, receive_all, &r[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		s[i] = (struct sender){ .mb = mb, .me = (uint32_t)i, .nr = each,
					.fixed = PULSE_MESSAGE_NORMAL };
		KT_EQ(pthread_create(&s[i].thread, NULL, send_all, &s[i]), 0);
	}
	finish(s, 4);
	pulse_mailbox_close(mb);
	for (int i = 0; i < 8; i++) {
		pthread_join(r[i].thread, NULL);
		KT_EQ(r[i].end, -ESHUTDOWN);
		nr += r[i].nr;
		sum += r[i].sum;
	}
	for (uint64_t i = 0; i < 4; i++) {
		for (uint64_t k = 0; k < (uint64_t)each; k++)
			want += i << 40 | (uint64_t)PULSE_MESSAGE_NORMAL << 32 | k;
	}
	KT_EQ(nr, 4 * each);
	KT_EQ(sum, want);
	balanced(mb);
	pulse_mailbox_destroy(mb);
}

KT_TEST(close_wakes_all_who_wait_and_says_so)
{
	for (int round = 0; round < (int)messages(100); round++) {
		PULSE_OPTS(pulse_mailbox_opts, opts, .capacity = 1,
			   .overflow = PULSE_MAILBOX_BLOCK);
		struct receiver r[8] = { 0 };
		struct sender s[3];
		struct pulse_mailbox *empty, *full;

		KT_REQUIRE(!pulse_mailbox_create(NULL, &empty));
		KT_REQUIRE(!pulse_mailbox_create(&opts, &full));
		KT_EQ(send_tag(full, 1, 0), 0);
		for (int i = 0; i < 8; i++) {
			r[i] = (struct receiver){ .mb = empty, .how = i };
			KT_EQ(pthread_create(&r[i].thread, NULL, receive_all,
					     &r[i]), 0);
		}
		start(s, 3, full, 1);
		/* Every other time all of them sleep. */
		if (round % 2)
			KT_CHECK(EVENTUALLY(stats_of(empty).waits >= 8 &&
				   stats_of(full).blocked >= 3));
		KT_EQ(pulse_mailbox_close(empty), 0);
		KT_EQ(pulse_mailbox_close(full), 0);
		for (int i = 0; i < 8; i++) {
			pthread_join(r[i].thread, NULL);
			KT_EQ(r[i].end, -ESHUTDOWN);
		}
		for (int i = 0; i < 3; i++) {
			pthread_join(s[i].thread, NULL);
			KT_EQ(s[i].err, -ESRCH);
		}
		KT_EQ(stats_of(full).refused_closed, 3);
		KT_EQ(next_tag(full), 1);
		pulse_mailbox_destroy(empty);
		pulse_mailbox_destroy(full);
	}
}

static void *receive_one(void *arg)
{
	struct receiver *r = arg;
	struct pulse_message *msg;

	r->end = pulse_mailbox_receive(r->mb, &msg);
	if (!r->end)
		pulse_message_put(msg);
	return NULL;
}

KT_TEST(as_many_sleepers_wake_as_there_are_messages)
{
	for (int round = 0; round < (int)messages(200); round++) {
		struct receiver r[6] = { 0 };
		struct pulse_mailbox *mb;

		KT_REQUIRE(!pulse_mailbox_create(NULL, &mb));
		for (int i = 0; i < 6; i++) {
			r[i] = (struct receiver){ .mb = mb };
			KT_EQ(pthread_create(&r[i].thread, NULL, receive_one,
					     &r[i]), 0);
		}
		if (round % 2)
			KT_CHECK(EVENTUALLY(stats_of(mb).waits >= 6));
		/* Each takes one and goes: nobody comes again for the rest. */
		for (int i = 0; i < 4; i++)
			KT_EQ(send_tag(mb, (uint64_t)i, 0), 0);
		KT_CHECK(EVENTUALLY(stats_of(mb).messages_received == 4));
		pulse_mailbox_close(mb);
		for (int i = 0; i < 6; i++)
			pthread_join(r[i].thread, NULL);
		balanced(mb);
		pulse_mailbox_destroy(mb);
	}
}

static void *destroy_soon(void *arg)
{
	struct pulse_mailbox *mb = arg;

	KT_CHECK(EVENTUALLY(stats_of(mb).waits));
	pulse_mailbox_destroy(mb);
	return NULL;
}

KT_TEST(a_mailbox_may_go_while_somebody_waits_in_it)
{
	struct pulse_message *msg;
	struct pulse_mailbox *mb;
	pthread_t thread;

	KT_REQUIRE(!pulse_mailbox_create(NULL, &mb));
	/* The waiter's call is all that keeps it. */
	KT_EQ(pthread_create(&thread, NULL, destroy_soon, mb), 0);
	KT_EQ(pulse_mailbox_receive(mb, &msg), -ESHUTDOWN);
	pthread_join(thread, NULL);
}

/* V01 */
KT_TEST(under_many_senders_the_counts_of_each_policy_are_exact)
{
	for (uint32_t policy = 0; policy <= PULSE_MAILBOX_BLOCK; policy++) {
		PULSE_OPTS(pulse_mailbox_opts, opts, .capacity = 16,
			   .overflow = policy, .dead_letters = 8);
		struct receiver r = { 0 };
		struct sender s[4];
		struct pulse_mailbox_stats st;
		long each = messages(5000);
		uint64_t sent = 0, errors = 0;
		struct pulse_mailbox *mb;

		KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
		r.mb = mb;
		KT_EQ(pthread_create(&r.thread, NULL, receive_all, &r), 0);
		start(s, 4, mb, each);
		for (int i = 0; i < 4; i++) {
			pthread_join(s[i].thread, NULL);
			sent += (uint64_t)s[i].sent;
			errors += s[i].err != 0;
			KT_EQ(s[i].err, policy == PULSE_MAILBOX_ERROR &&
			      s[i].err ? -EAGAIN : 0);
		}
		pulse_mailbox_close(mb);
		pthread_join(r.thread, NULL);
		st = stats_of(mb);
		KT_EQ(st.messages_received, r.nr);
		KT_EQ(r.nr + st.messages_dropped, sent);
		KT_EQ(st.messages_sent + st.dropped_new, sent);
		KT_EQ(st.refused_full, errors);
		KT_EQ(st.dead_letters, st.messages_dropped);
		KT_EQ(st.count, 0);
		KT_CHECK(st.peak_usage <= 16);
		balanced(mb);
		pulse_mailbox_destroy(mb);
	}
}

KT_TEST(who_waits_for_room_waits_no_longer_than_it_said)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .capacity = 1);
	struct pulse_message *msg = numbered(2, 0);
	struct pulse_mailbox *mb;
	int64_t until = ms_from_now(5);

	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	KT_EQ(send_tag(mb, 1, 0), 0);
	KT_EQ(pulse_mailbox_send_until(mb, msg, until), -ETIMEDOUT);
	KT_CHECK(pulse_now_ns() >= until);
	KT_EQ(pulse_mailbox_send_until(mb, msg, 0), -ETIMEDOUT);
	KT_EQ(pulse_mailbox_send(mb, msg), -EAGAIN);
	KT_EQ(stats_of(mb).refused_full, 3);
	KT_EQ(next_tag(mb), 1);
	KT_EQ(pulse_mailbox_send_until(mb, msg, 0), 0);
	KT_EQ(next_tag(mb), 2);
	pulse_mailbox_destroy(mb);
}

static void *send_same(void *arg)
{
	struct sender *s = arg;
	char id[24];

	for (long i = 0; i < s->nr; i++) {
		PULSE_OPTS(pulse_message_opts, opts, .id = id);
		struct pulse_message *msg;
		int err;

		snprintf(id, sizeof(id), "%ld", i);
		err = pulse_message_create(&opts, &msg);
		if (!err)
			err = pulse_mailbox_send(s->mb, msg);
		if (!err)
			s->sent++;
		else
			pulse_message_put(msg);
		if (err && err != -EEXIST)
			s->err = err;
	}
	return NULL;
}

KT_TEST(of_many_who_send_one_id_one_succeeds)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .flags = PULSE_MAILBOX_UNIQUE,
		   .capacity = PULSE_MAILBOX_UNBOUNDED);
	struct sender s[4];
	long each = messages(2000), sent = 0;
	struct pulse_mailbox *mb;

	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	for (int i = 0; i < 4; i++) {
		s[i] = (struct sender){ .mb = mb, .nr = each };
		KT_EQ(pthread_create(&s[i].thread, NULL, send_same, &s[i]), 0);
	}
	finish(s, 4);
	for (int i = 0; i < 4; i++)
		sent += s[i].sent;
	KT_EQ(sent, each);
	KT_EQ(stats_of(mb).refused_duplicate, 3 * each);
	KT_EQ(stats_of(mb).count, each);
	pulse_mailbox_destroy(mb);
}

/* ---- who receives ------------------------------------------------------ */

KT_TEST(a_worker_that_waits_for_messages_is_parked)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .capacity = 8,
		   .overflow = PULSE_MAILBOX_BLOCK,
		   .flags = PULSE_MAILBOX_ONE_RECEIVER);
	struct pulse_worker_state state = { .sz = sizeof(state) };
	struct orders o = { .nr = 0 };
	struct sender s[4];
	long each = messages(5000);
	struct pulse_message *msg;
	struct pulse_mailbox *mb;
	struct pulse_ctx *ctx;
	int me;

	KT_REQUIRE(!pulse_ctx_create(NULL, &ctx));
	me = pulse_worker_register(ctx, -1, 0);
	KT_REQUIRE(me >= 0);
	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	KT_EQ(pulse_mailbox_bind(mb, ctx, -1), -EINVAL);
	KT_EQ(pulse_mailbox_bind(mb, ctx, me), 0);
	/* Where the machine is slow the deadline may be past before it parks. */
	do {
		KT_REQUIRE(pulse_mailbox_receive_until(mb, ms_from_now(5),
						       &msg) == -ETIMEDOUT);
		KT_EQ(pulse_worker_state(ctx, me, &state), 0);
	} while (!state.n_park);
	start(s, 4, mb, each);
	while (o.nr < (uint64_t)(4 * each)) {
		KT_REQUIRE(!pulse_mailbox_receive(mb, &msg));
		in_order(&o, msg);
	}
	finish(s, 4);
	KT_CHECK(!o.bad);
	KT_EQ(pulse_mailbox_bind(mb, NULL, 0), 0);
	KT_EQ(pulse_mailbox_receive_until(mb, 1, &msg), -ETIMEDOUT);
	pulse_mailbox_destroy(mb);
	KT_EQ(pulse_worker_unregister(ctx, me), 0);
	KT_EQ(pulse_ctx_destroy(ctx), 0);
}

/* One that others run: a count of how many runs are owed, never over 1. */
struct scheduled {
	int owed;
	bool twice;
};

static void schedule(struct pulse_mailbox *mb, void *arg)
{
	struct scheduled *s = arg;

	(void)mb;
	if (__atomic_exchange_n(&s->owed, 1, __ATOMIC_ACQ_REL))
		WRITE_ONCE(s->twice, true);
}

KT_TEST(who_is_run_by_others_is_called_once_and_never_forgotten)
{
	struct scheduled sched = { 0 };
	PULSE_OPTS(pulse_mailbox_opts, opts, .notify = schedule,
		   .notify_arg = &sched, .flags = PULSE_MAILBOX_ONE_RECEIVER,
		   .capacity = PULSE_MAILBOX_UNBOUNDED);
	struct orders o = { .nr = 0 };
	struct sender s[4];
	long each = messages(20000);
	struct pulse_message *msg;
	struct pulse_mailbox *mb;

	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	KT_EQ(pulse_mailbox_arm(mb), 0);
	start(s, 4, mb, each);
	while (o.nr < (uint64_t)(4 * each)) {
		/* Nothing but the call tells that there is something. */
		if (!__atomic_exchange_n(&sched.owed, 0, __ATOMIC_ACQ_REL)) {
			sched_yield();
			continue;
		}
		do {
			while (!pulse_mailbox_try_receive(mb, &msg))
				in_order(&o, msg);
		} while (pulse_mailbox_arm(mb) == -EAGAIN);
	}
	finish(s, 4);
	KT_CHECK(!o.bad);
	KT_CHECK(!sched.twice);
	pulse_mailbox_destroy(mb);
}

static void *echo(void *arg)
{
	struct pulse_mailbox **mb = arg;
	struct pulse_message *msg;

	while (!pulse_mailbox_receive(mb[0], &msg)) {
		if (pulse_mailbox_send(mb[1], msg))
			pulse_message_put(msg);
	}
	return NULL;
}

KT_TEST(one_message_goes_to_and_fro)
{
	struct pulse_message *msg = numbered(7, 0), *back;
	struct pulse_mailbox *mb[2];
	long rounds = messages(20000);
	pthread_t thread;

	KT_REQUIRE(!pulse_mailbox_create(NULL, &mb[0]));
	KT_REQUIRE(!pulse_mailbox_create(NULL, &mb[1]));
	KT_EQ(pthread_create(&thread, NULL, echo, mb), 0);
	for (long i = 0; i < rounds; i++) {
		KT_REQUIRE(!pulse_mailbox_send(mb[0], msg));
		KT_REQUIRE(!pulse_mailbox_receive(mb[1], &back));
		KT_REQUIRE(back == msg);
	}
	pulse_message_put(msg);
	pulse_mailbox_close(mb[0]);
	pthread_join(thread, NULL);
	KT_EQ(stats_of(mb[1]).messages_received, rounds);
	pulse_mailbox_destroy(mb[0]);
	pulse_mailbox_destroy(mb[1]);
}

KT_TEST(a_forked_child_is_told_that_the_mailbox_is_not_its_own)
{
	struct pulse_message *msg = numbered(1, 0), *got;
	struct pulse_mailbox *mb;
	int status = -1;
	pid_t pid;

	KT_REQUIRE(!pulse_mailbox_create(NULL, &mb));
	KT_EQ(send_tag(mb, 2, 0), 0);
	pid = fork();
	if (!pid) {
		bool ok = pulse_mailbox_send(mb, msg) == -EOWNERDEAD &&
			  pulse_mailbox_receive(mb, &got) == -EOWNERDEAD &&
			  pulse_mailbox_close(mb) == -EOWNERDEAD &&
			  pulse_mailbox_destroy(mb) == 0;

		pulse_message_put(msg);
		_exit(ok ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	KT_EQ(status, 0);
	KT_EQ(pulse_mailbox_send(mb, msg), 0);
	KT_EQ(next_tag(mb), 2);
	KT_EQ(next_tag(mb), 1);
	pulse_mailbox_destroy(mb);
}

KT_MAIN()
