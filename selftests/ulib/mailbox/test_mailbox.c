// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mailboxes, one thread: order, limits, policies, expiry, dead letters, ids,
 * selective receiving, figures. FAULTS V01-V03.
 */
#include "helpers.h"

#define CAPACITY 4

static struct pulse_mailbox *mailbox(uint32_t overflow, uint32_t dead)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .capacity = CAPACITY,
		   .overflow = overflow, .dead_letters = dead,
		   .block_ns = overflow == PULSE_MAILBOX_BLOCK ? 1 : 0);
	struct pulse_mailbox *mb;

	return KT_CHECK(!pulse_mailbox_create(&opts, &mb)) ? mb : NULL;
}

KT_TEST(wrong_options_and_handles_are_refused)
{
	struct pulse_mailbox_stats s = { .sz = 4 };
	struct pulse_mailbox *mb = NULL;
	struct pulse_message *msg;

#define REFUSED(...)							\
	do {								\
		PULSE_OPTS(pulse_mailbox_opts, o, __VA_ARGS__);		\
		KT_EQ(pulse_mailbox_create(&o, &mb), -EINVAL);		\
		KT_CHECK(!mb);						\
	} while (0)
	REFUSED(.capacity = (1U << 31) + 1);
	REFUSED(.overflow = 4);
	REFUSED(.block_ns = -1, .overflow = PULSE_MAILBOX_BLOCK);
	REFUSED(.block_ns = 1);
	REFUSED(.default_ttl_ns = -1);
	REFUSED(.flags = 1U << 4);
	REFUSED(.notify_arg = &s);
	KT_EQ(pulse_mailbox_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_mailbox_destroy(NULL), -EINVAL);
	KT_EQ(pulse_mailbox_send(NULL, NULL), -EINVAL);
	KT_EQ(pulse_mailbox_receive(NULL, &msg), -EINVAL);
	KT_EQ(pulse_mailbox_count(NULL), 0);
	KT_REQUIRE(!pulse_mailbox_create(NULL, &mb));
	KT_EQ(pulse_mailbox_send(mb, NULL), -EINVAL);
	KT_EQ(pulse_mailbox_receive(mb, NULL), -EINVAL);
	KT_EQ(pulse_mailbox_receive_n(mb, &msg, 0, 0), -EINVAL);
	KT_EQ(pulse_mailbox_arm(mb), -EINVAL);
	KT_EQ(pulse_mailbox_bind(mb, NULL, 0), -EINVAL);
	KT_EQ(pulse_mailbox_select(mb, NULL, 0, &msg), -EINVAL);
	KT_EQ(pulse_mailbox_dead_each(mb, NULL, NULL), -EINVAL);
	KT_EQ(pulse_mailbox_redeliver(mb, NULL, 0), -EINVAL);
	KT_EQ(pulse_mailbox_stats(mb, &s), -EINVAL);
	KT_EQ(pulse_mailbox_reject(mb, NULL), -EINVAL);
	KT_EQ(pulse_mailbox_reopen(mb), -EALREADY);
	KT_EQ(pulse_mailbox_destroy(mb), 0);
}

KT_TEST(the_urgent_come_first_and_each_priority_in_its_order)
{
	struct pulse_mailbox *mb;

	KT_REQUIRE(!pulse_mailbox_create(NULL, &mb));
	for (uint32_t i = 0; i < 50; i++)
		KT_EQ(send_tag(mb, i, PULSE_MESSAGE_BATCH - i % 5), 0);
	for (uint32_t p = 0; p < 5; p++) {
		for (uint32_t i = 0; i < 10; i++)
			KT_EQ(next_tag(mb), i * 5 + 4 - p);
	}
	KT_EQ(next_tag(mb), -EAGAIN);
	/* Also among those that came later. */
	send_tag(mb, 1, PULSE_MESSAGE_LOW);
	send_tag(mb, 2, PULSE_MESSAGE_LOW);
	KT_EQ(next_tag(mb), 1);
	send_tag(mb, 3, PULSE_MESSAGE_CRITICAL);
	KT_EQ(next_tag(mb), 3);
	KT_EQ(next_tag(mb), 2);
	balanced(mb);
	pulse_mailbox_destroy(mb);
}

KT_TEST(one_queue_does_not_look_at_priorities)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .flags = PULSE_MAILBOX_ONE_QUEUE);
	struct pulse_mailbox *mb;

	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	for (uint32_t i = 0; i < 20; i++)
		KT_EQ(send_tag(mb, i, 1 + (i * 3) % 5), 0);
	for (uint32_t i = 0; i < 20; i++)
		KT_EQ(next_tag(mb), i);
	pulse_mailbox_destroy(mb);
}

/* V01 */
KT_TEST(a_full_mailbox_does_as_its_policy_says_and_counts)
{
	for (uint32_t policy = 0; policy <= PULSE_MAILBOX_BLOCK; policy++) {
		struct pulse_mailbox *mb = mailbox(policy, 100);
		struct pulse_mailbox_stats s;
		bool taken = policy == PULSE_MAILBOX_DROP_NEW ||
			     policy == PULSE_MAILBOX_DROP_OLD;
		int want = taken ? 0 : policy == PULSE_MAILBOX_ERROR ?
			   -EAGAIN : -ETIMEDOUT;

		KT_REQUIRE(mb);
		for (uint32_t i = 0; i < CAPACITY; i++)
			KT_EQ(send_tag(mb, i, 0), 0);
		for (uint32_t i = 0; i < 3; i++)
			KT_EQ(send_tag(mb, CAPACITY + i, 0), want);
		s = stats_of(mb);
		KT_EQ(s.count, CAPACITY);
		KT_EQ(s.peak_usage, CAPACITY);
		KT_EQ(s.dropped_new, policy == PULSE_MAILBOX_DROP_NEW ? 3 : 0);
		KT_EQ(s.dropped_old, policy == PULSE_MAILBOX_DROP_OLD ? 3 : 0);
		KT_EQ(s.messages_dropped, taken ? 3 : 0);
		KT_EQ(s.refused_full, taken ? 0 : 3);
		KT_EQ(s.dead_letters, taken ? 3 : 0);
		KT_EQ(pulse_mailbox_dead_count(mb), taken ? 3 : 0);
		KT_EQ(s.messages_sent, policy == PULSE_MAILBOX_DROP_OLD ?
		      CAPACITY + 3 : CAPACITY);
		for (uint32_t i = 0; i < CAPACITY; i++)
			KT_EQ(next_tag(mb), policy == PULSE_MAILBOX_DROP_OLD ?
			      i + 3 : i);
		KT_EQ(next_tag(mb), -EAGAIN);
		KT_EQ(send_tag(mb, 9, 0), 0);
		KT_EQ(next_tag(mb), 9);
		balanced(mb);
		pulse_mailbox_destroy(mb);
	}
}

/* V01 */
KT_TEST(what_is_dropped_as_the_oldest_is_the_least_urgent)
{
	struct pulse_mailbox *mb = mailbox(PULSE_MAILBOX_DROP_OLD, 100);
	struct pulse_message *msg;
	int reason;

	KT_REQUIRE(mb);
	send_tag(mb, 1, PULSE_MESSAGE_HIGH);
	send_tag(mb, 2, PULSE_MESSAGE_LOW);
	send_tag(mb, 3, PULSE_MESSAGE_LOW);
	send_tag(mb, 4, PULSE_MESSAGE_NORMAL);
	KT_EQ(send_tag(mb, 5, PULSE_MESSAGE_NORMAL), 0);	/* 2 goes */
	KT_EQ(send_tag(mb, 6, PULSE_MESSAGE_BATCH), 0);		/* it goes */
	KT_EQ(send_tag(mb, 7, PULSE_MESSAGE_CRITICAL), 0);	/* 3 goes */
	KT_EQ(pulse_mailbox_dead_take(mb, &msg, &reason), 0);
	KT_EQ(pulse_message_tag(msg), 2);
	KT_EQ(reason, PULSE_DEAD_DROPPED_OLD);
	pulse_message_put(msg);
	KT_EQ(pulse_mailbox_dead_take(mb, &msg, &reason), 0);
	KT_EQ(pulse_message_tag(msg), 6);
	KT_EQ(reason, PULSE_DEAD_DROPPED_NEW);
	pulse_message_put(msg);
	KT_EQ(next_tag(mb), 7);
	KT_EQ(next_tag(mb), 1);
	KT_EQ(next_tag(mb), 4);
	KT_EQ(next_tag(mb), 5);
	balanced(mb);
	pulse_mailbox_destroy(mb);
}

/* V02 */
KT_TEST(who_sends_to_the_dead_is_told_and_counted)
{
	struct pulse_mailbox *mb;
	struct pulse_message *msg = numbered(2, 0);

	KT_REQUIRE(!pulse_mailbox_create(NULL, &mb));
	KT_EQ(send_tag(mb, 1, 0), 0);
	KT_EQ(pulse_mailbox_closed(mb), 0);
	KT_EQ(pulse_mailbox_close(mb), 0);
	KT_EQ(pulse_mailbox_close(mb), -EALREADY);
	KT_EQ(pulse_mailbox_closed(mb), 1);
	KT_EQ(pulse_mailbox_send(mb, msg), -ESRCH);
	KT_EQ(pulse_mailbox_send_until(mb, msg, PULSE_FOREVER), -ESRCH);
	KT_EQ(stats_of(mb).refused_closed, 2);
	/* What was in it comes out first. */
	KT_EQ(next_tag(mb), 1);
	KT_EQ(next_tag(mb), -ESHUTDOWN);
	KT_EQ(next_tag(mb), -ESHUTDOWN);
	/* Whoever comes after the owner goes on with it. */
	KT_EQ(pulse_mailbox_reopen(mb), 0);
	KT_EQ(pulse_mailbox_send(mb, msg), 0);
	KT_EQ(next_tag(mb), 2);
	balanced(mb);
	pulse_mailbox_destroy(mb);
}

/* V03 */
KT_TEST(a_message_over_the_limit_is_refused)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .max_message_bytes = 100);
	PULSE_OPTS(pulse_message_opts, fits, .payload_bytes = 100);
	PULSE_OPTS(pulse_message_opts, over, .payload_bytes = 101);
	struct pulse_message *a, *b;
	struct pulse_mailbox *mb;

	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	KT_REQUIRE(!pulse_message_create(&fits, &a));
	KT_REQUIRE(!pulse_message_create(&over, &b));
	KT_EQ(pulse_mailbox_send(mb, b), -EMSGSIZE);
	KT_EQ(pulse_mailbox_send(mb, a), 0);
	KT_EQ(pulse_mailbox_send(mb, a), -EBUSY);
	KT_EQ(pulse_message_set_tag(a, 1), -EBUSY);
	KT_EQ(pulse_mailbox_reject(mb, a), -EBUSY);
	pulse_message_put(b);
	KT_EQ(stats_of(mb).refused_size, 1);
	KT_EQ(stats_of(mb).held_bytes, 100);
	KT_EQ(stats_of(mb).total_size_bytes, 100);
	KT_EQ(next_tag(mb), 0);
	KT_EQ(stats_of(mb).held_bytes, 0);
	KT_EQ(stats_of(mb).total_size_bytes, 100);
	pulse_mailbox_destroy(mb);
}

static int send_mortal(struct pulse_mailbox *mb, uint64_t tag, int64_t ttl_ns,
		       struct pulse_message **kept)
{
	PULSE_OPTS(pulse_message_opts, opts, .tag = tag, .ttl_ns = ttl_ns);
	struct pulse_message *msg;
	int err = pulse_message_create(&opts, &msg);

	if (err)
		return err;
	pulse_message_get(msg);
	*kept = msg;
	err = pulse_mailbox_send(mb, msg);
	if (err)
		pulse_message_put(msg);
	return err;
}

#define TTL	PULSE__NSEC_PER_SEC	/* enough to be sent in */
#define LONG	(1000 * PULSE__NSEC_PER_SEC)

/* V03 */
KT_TEST(what_has_expired_is_not_given_out)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .dead_letters = 2);
	struct pulse_message *kept[4], *msg;
	struct pulse_mailbox *mb;
	int reason;

	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	KT_EQ(send_mortal(mb, 1, TTL, &kept[0]), 0);
	KT_EQ(send_mortal(mb, 2, LONG, &kept[1]), 0);
	KT_EQ(send_mortal(mb, 3, TTL, &kept[2]), 0);
	KT_EQ(send_mortal(mb, 4, TTL, &kept[3]), 0);
	KT_CHECK(EVENTUALLY(pulse_message_expired(kept[3])));
	KT_EQ(next_tag(mb), 2);
	KT_EQ(next_tag(mb), -EAGAIN);
	KT_EQ(stats_of(mb).messages_expired, 3);
	KT_EQ(stats_of(mb).dead_letters, 3);
	KT_EQ(stats_of(mb).count, 0);
	/* The newest two are kept. */
	KT_EQ(pulse_mailbox_dead_count(mb), 2);
	KT_EQ(pulse_mailbox_dead_take(mb, &msg, &reason), 0);
	KT_CHECK(msg == kept[2] && reason == PULSE_DEAD_EXPIRED);
	/* Before it is sent already. */
	KT_EQ(pulse_mailbox_send(mb, msg), -ETIME);
	KT_EQ(stats_of(mb).refused_expired, 1);
	pulse_message_put(msg);
	balanced(mb);
	pulse_mailbox_destroy(mb);
	for (int i = 0; i < 4; i++)
		pulse_message_put(kept[i]);
}

KT_TEST(messages_without_a_time_to_live_get_the_mailboxs)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .default_ttl_ns = TTL,
		   .capacity = 3, .flags = PULSE_MAILBOX_TIMES);
	struct pulse_message_times times = { .sz = sizeof(times) };
	struct pulse_message *kept[3], *refused = numbered(9, 0);
	struct pulse_mailbox *mb;
	int64_t before = pulse_now_ns();

	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	KT_EQ(send_mortal(mb, 1, 0, &kept[0]), 0);
	KT_EQ(send_mortal(mb, 2, LONG, &kept[1]), 0);
	KT_EQ(send_mortal(mb, 3, 0, &kept[2]), 0);
	KT_EQ(pulse_message_times(kept[0], &times), 0);
	KT_CHECK(times.sent_ns >= before);
	KT_EQ(times.expires_ns, times.sent_ns + TTL);
	/* One that was refused is as it was. */
	KT_EQ(pulse_mailbox_send(mb, refused), -EAGAIN);
	KT_EQ(pulse_message_times(refused, &times), 0);
	KT_EQ(times.expires_ns, PULSE_FOREVER);
	KT_EQ(times.sent_ns, 0);
	KT_CHECK(EVENTUALLY(pulse_message_expired(kept[2])));
	/* They take up room until they are looked at. */
	KT_EQ(pulse_mailbox_send(mb, refused), -EAGAIN);
	KT_EQ(pulse_mailbox_expire(mb), 2);
	KT_EQ(pulse_mailbox_expire(mb), 0);
	KT_EQ(pulse_mailbox_send(mb, refused), 0);
	KT_EQ(next_tag(mb), 2);
	KT_EQ(pulse_message_times(kept[1], &times), 0);
	KT_CHECK(times.received_ns >= times.sent_ns);
	balanced(mb);
	pulse_mailbox_destroy(mb);
	for (int i = 0; i < 3; i++)
		pulse_message_put(kept[i]);
}

static int see(const struct pulse_message *msg, int reason, void *arg)
{
	uint64_t *sum = arg;

	*sum = *sum * 10 + pulse_message_tag(msg);
	return reason == PULSE_DEAD_REJECTED ? 0 : 7;
}

KT_TEST(dead_letters_are_looked_at_and_sent_once_more)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .dead_letters = 10,
		   .default_ttl_ns = LONG);
	struct pulse_mailbox *mb, *other;
	struct pulse_message *msg;
	uint64_t seen = 0;

	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	KT_REQUIRE(!pulse_mailbox_create(NULL, &other));
	KT_EQ(pulse_mailbox_redeliver(mb, NULL, 5), -EAGAIN);
	KT_EQ(pulse_mailbox_dead_take(mb, &msg, NULL), -EAGAIN);
	for (uint64_t i = 1; i <= 4; i++) {
		KT_EQ(send_tag(mb, i, 0), 0);
		KT_REQUIRE(!pulse_mailbox_try_receive(mb, &msg));
		KT_EQ(pulse_mailbox_reject(mb, msg), 0);
	}
	KT_EQ(pulse_mailbox_dead_each(mb, see, &seen), 0);
	KT_EQ(seen, 1234);
	KT_EQ(stats_of(mb).rejected, 4);
	KT_EQ(pulse_mailbox_redeliver(mb, NULL, 2), 2);
	KT_EQ(next_tag(mb), 1);
	KT_EQ(next_tag(mb), 2);
	KT_EQ(pulse_mailbox_redeliver(mb, other, 1), 1);
	KT_EQ(next_tag(other), 3);
	/* What cannot be sent stays, as the oldest. */
	pulse_mailbox_close(other);
	KT_EQ(pulse_mailbox_redeliver(mb, other, 9), -ESRCH);
	KT_EQ(pulse_mailbox_dead_count(mb), 1);
	KT_EQ(pulse_mailbox_redeliver(mb, NULL, 9), 1);
	KT_EQ(next_tag(mb), 4);
	KT_EQ(pulse_mailbox_dead_count(mb), 0);
	balanced(mb);
	pulse_mailbox_destroy(mb);
	pulse_mailbox_destroy(other);
}

KT_TEST(what_is_dropped_again_is_not_sent_for_ever)
{
	struct pulse_mailbox *mb = mailbox(PULSE_MAILBOX_DROP_NEW, 10);

	KT_REQUIRE(mb);
	for (uint32_t i = 0; i < CAPACITY + 3; i++)
		KT_EQ(send_tag(mb, i, 0), 0);
	KT_EQ(pulse_mailbox_redeliver(mb, NULL, INT_MAX), 3);
	KT_EQ(pulse_mailbox_dead_count(mb), 3);
	KT_EQ(stats_of(mb).dropped_new, 6);
	pulse_mailbox_destroy(mb);
}

static int send_id(struct pulse_mailbox *mb, const char *id, uint64_t tag)
{
	PULSE_OPTS(pulse_message_opts, opts, .id = id, .tag = tag);
	struct pulse_message *msg;
	int err = pulse_message_create(&opts, &msg);

	if (!err)
		err = pulse_mailbox_send(mb, msg);
	if (err)
		pulse_message_put(msg);
	return err;
}

KT_TEST(an_id_that_is_in_it_is_refused)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .flags = PULSE_MAILBOX_UNIQUE |
		   PULSE_MAILBOX_ONE_RECEIVER, .capacity = 300);
	struct pulse_mailbox *mb;
	char id[16];

	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 300; i++) {
			snprintf(id, sizeof(id), "msg_%d", i);
			KT_EQ(send_id(mb, id, (uint64_t)i), 0);
		}
		KT_EQ(send_id(mb, "msg_17", 1), -EEXIST);
		/* A full one: the id of what was refused is free again. */
		KT_EQ(send_id(mb, "other", 1), -EAGAIN);
		KT_EQ(send_id(mb, "other", 1), -EAGAIN);
		KT_EQ(next_tag(mb), 0);
		KT_EQ(send_id(mb, "msg_0", 300), 0);
		for (int i = 1; i <= 300; i++)
			KT_EQ(next_tag(mb), i);
	}
	/* Those without one are not compared. */
	KT_EQ(send_tag(mb, 1, 0), 0);
	KT_EQ(send_tag(mb, 2, 0), 0);
	KT_EQ(stats_of(mb).refused_duplicate, 2);
	balanced(mb);
	pulse_mailbox_close(mb);
	KT_EQ(send_id(mb, "late", 1), -ESRCH);
	pulse_mailbox_destroy(mb);
}

KT_TEST(several_are_taken_at_once_in_the_same_order)
{
	struct pulse_message *msgs[8];
	struct pulse_mailbox *mb;

	KT_REQUIRE(!pulse_mailbox_create(NULL, &mb));
	KT_EQ(pulse_mailbox_receive_n(mb, msgs, 8, 0), -EAGAIN);
	KT_EQ(pulse_mailbox_receive_n(mb, msgs, 8, 1), -ETIMEDOUT);
	for (uint64_t i = 0; i < 10; i++)
		send_tag(mb, i, i % 2 ? PULSE_MESSAGE_HIGH : PULSE_MESSAGE_LOW);
	KT_EQ(pulse_mailbox_receive_n(mb, msgs, 8, PULSE_FOREVER), 8);
	for (uint64_t i = 0; i < 8; i++) {
		KT_EQ(pulse_message_tag(msgs[i]), i < 5 ? 2 * i + 1 :
		      2 * (i - 5));
		pulse_message_put(msgs[i]);
	}
	KT_EQ(pulse_mailbox_receive_n(mb, msgs, 8, 0), 2);
	pulse_message_put(msgs[0]);
	pulse_message_put(msgs[1]);
	balanced(mb);
	pulse_mailbox_destroy(mb);
}

struct wanted {
	uint64_t tag;
	uint64_t looks;
};

static bool is_wanted(const struct pulse_message *msg, void *arg)
{
	struct wanted *w = arg;

	w->looks++;
	return pulse_message_tag(msg) == w->tag;
}

static int64_t select_tag(struct pulse_mailbox *mb, struct pulse_selector *sel,
			  int64_t deadline_ns)
{
	struct pulse_message *msg;
	int err = pulse_mailbox_select(mb, sel, deadline_ns, &msg);
	int64_t tag;

	if (err)
		return err;
	tag = pulse_message_priority(msg) * 1000 +
	      (int64_t)pulse_message_tag(msg);
	pulse_message_put(msg);
	return tag;
}

KT_TEST(what_is_wanted_is_taken_and_the_others_keep_their_order)
{
	struct wanted w = { .tag = 5 };
	struct pulse_selector sel = { .match = is_wanted, .arg = &w };
	struct pulse_mailbox *mb;

	KT_REQUIRE(!pulse_mailbox_create(NULL, &mb));
	KT_EQ(select_tag(mb, &sel, 0), -EAGAIN);
	KT_EQ(select_tag(mb, &sel, 1), -ETIMEDOUT);
	for (uint64_t i = 0; i < 10; i++)
		send_tag(mb, i, PULSE_MESSAGE_LOW);
	send_tag(mb, 5, PULSE_MESSAGE_HIGH);
	KT_EQ(select_tag(mb, &sel, 0), 2005);
	KT_EQ(w.looks, 1);
	KT_EQ(select_tag(mb, &sel, 0), 4005);
	KT_EQ(select_tag(mb, &sel, 0), -EAGAIN);
	KT_EQ(w.looks, 11);
	/* It does not look at those again, but at new ones. */
	send_tag(mb, 5, PULSE_MESSAGE_LOW);
	KT_EQ(select_tag(mb, &sel, 0), 4005);
	KT_EQ(w.looks, 12);
	/* Something else is wanted: from the beginning. */
	w.tag = 3;
	KT_EQ(select_tag(mb, &sel, 0), -EAGAIN);
	memset(sel.seen, 0, sizeof(sel.seen));
	KT_EQ(select_tag(mb, &sel, 0), 4003);
	KT_EQ(next_tag(mb), 0);
	KT_EQ(next_tag(mb), 1);
	KT_EQ(next_tag(mb), 2);
	KT_EQ(next_tag(mb), 4);
	KT_EQ(next_tag(mb), 6);
	pulse_mailbox_close(mb);
	KT_EQ(select_tag(mb, &sel, PULSE_FOREVER), -ESHUTDOWN);
	balanced(mb);
	pulse_mailbox_destroy(mb);
}

/* V04: counted in looks, which a clock cannot disturb. */
KT_TEST(a_hundred_thousand_that_are_not_wanted_are_looked_at_once)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .flags = PULSE_MAILBOX_ONE_RECEIVER,
		   .capacity = PULSE_MAILBOX_UNBOUNDED);
	uint64_t nr = (uint64_t)kt_scale(100000), answers = 1000, looks[2];

	for (int i = 0; i < 2; i++) {
		uint64_t others = nr << i;
		struct wanted w = { .tag = 1 };
		struct pulse_selector sel = { .match = is_wanted, .arg = &w };
		struct pulse_mailbox *mb;

		KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
		for (uint64_t k = 0; k < others; k++)
			send_tag(mb, 0, 0);
		/* Requests and their answers, past all of them. */
		for (uint64_t k = 0; k < answers; k++) {
			KT_EQ(select_tag(mb, &sel, 0), -EAGAIN);
			send_tag(mb, 0, 0);
			send_tag(mb, 1, 0);
			KT_EQ(select_tag(mb, &sel, 0), 3001);
		}
		looks[i] = w.looks;
		KT_EQ(w.looks, others + 2 * answers);
		KT_EQ(pulse_mailbox_count(mb), others + answers);
		balanced(mb);
		pulse_mailbox_destroy(mb);
	}
	KT_CHECK(looks[1] * 2 <= looks[0] * 5);
}

/* V14, of mailboxes */
KT_TEST(who_would_wait_for_itself_is_told)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .capacity = 1,
		   .overflow = PULSE_MAILBOX_BLOCK,
		   .flags = PULSE_MAILBOX_ONE_RECEIVER);
	struct pulse_mailbox *mb;

	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	KT_EQ(next_tag(mb), -EAGAIN);
	KT_EQ(send_tag(mb, 1, 0), 0);
	KT_EQ(send_tag(mb, 2, 0), -EDEADLK);
	KT_EQ(next_tag(mb), 1);
	KT_EQ(send_tag(mb, 3, 0), 0);
	KT_EQ(next_tag(mb), 3);
	pulse_mailbox_destroy(mb);
}

static void notified(struct pulse_mailbox *mb, void *arg)
{
	(void)mb;
	++*(int *)arg;
}

KT_TEST(an_armed_mailbox_notifies_once)
{
	int times = 0;
	PULSE_OPTS(pulse_mailbox_opts, opts, .notify = notified,
		   .notify_arg = &times, .flags = PULSE_MAILBOX_ONE_RECEIVER);
	struct pulse_mailbox *mb;

	KT_REQUIRE(!pulse_mailbox_create(&opts, &mb));
	send_tag(mb, 1, 0);
	KT_EQ(times, 0);
	KT_EQ(pulse_mailbox_arm(mb), -EAGAIN);
	send_tag(mb, 2, 0);
	KT_EQ(next_tag(mb), 1);
	KT_EQ(pulse_mailbox_arm(mb), -EAGAIN);
	KT_EQ(next_tag(mb), 2);
	KT_EQ(pulse_mailbox_arm(mb), 0);
	send_tag(mb, 3, 0);
	send_tag(mb, 4, 0);
	KT_EQ(times, 1);
	KT_EQ(next_tag(mb), 3);
	KT_EQ(next_tag(mb), 4);
	KT_EQ(pulse_mailbox_arm(mb), 0);
	pulse_mailbox_close(mb);
	KT_EQ(times, 2);
	KT_EQ(pulse_mailbox_arm(mb), -ESHUTDOWN);
	KT_EQ(stats_of(mb).wakeups, 2);
	pulse_mailbox_destroy(mb);
}

static void comes_back(void *payload, size_t bytes, void *arg)
{
	(void)payload;
	(void)bytes;
	++*(int *)arg;
}

KT_TEST(all_that_a_mailbox_holds_goes_with_it)
{
	int back = 0;
	PULSE_OPTS(pulse_message_opts, opts, .payload = &back,
		   .payload_bytes = 1, .flags = PULSE_MESSAGE_HAND_OVER,
		   .release = comes_back, .release_arg = &back);
	struct pulse_mailbox *mb = mailbox(PULSE_MAILBOX_DROP_OLD, 2);
	struct pulse_message *msg;

	KT_REQUIRE(mb);
	for (int i = 0; i < 10; i++) {
		KT_REQUIRE(!pulse_message_create(&opts, &msg));
		KT_EQ(pulse_mailbox_send(mb, msg), 0);
	}
	/* 4 in it, 2 dead ones kept. */
	KT_EQ(back, 4);
	KT_EQ(pulse_mailbox_get(mb), 0);
	KT_EQ(pulse_mailbox_destroy(mb), 0);
	KT_EQ(back, 4);
	KT_EQ(pulse_mailbox_closed(mb), 1);
	pulse_mailbox_put(mb);
	KT_EQ(back, 10);
}

KT_TEST(allocation_failing_anywhere_leaves_nothing_behind)
{
	PULSE_OPTS(pulse_mailbox_opts, opts, .flags = PULSE_MAILBOX_UNIQUE,
		   .dead_letters = 3);
	PULSE_OPTS(pulse_message_opts, mo, .id = "x", .payload_bytes = 10);
	bool failed = true;

	for (long n = 1; failed && n < 100; n++) {
		struct pulse_message *msg = NULL, *shared = NULL;
		struct pulse_mailbox *mb = NULL;
		int err;

		pulse__alloc_fail_at(n);
		err = pulse_mailbox_create(&opts, &mb);
		if (!err)
			err = pulse_message_create(&mo, &msg);
		if (!err)
			err = pulse_message_share(msg, &shared);
		if (!err)
			err = pulse_message_set_reply_to(shared, "y");
		if (!err) {
			KT_EQ(pulse_mailbox_send(mb, shared), 0);
			shared = NULL;
			KT_EQ(next_tag(mb), 0);
		}
		failed = pulse__alloc_failed();
		KT_EQ(err, failed ? -ENOMEM : 0);
		pulse__alloc_fail_at(0);
		pulse_message_put(shared);
		pulse_message_put(msg);
		if (mb)
			pulse_mailbox_destroy(mb);
	}
	KT_CHECK(!failed);
}

KT_TEST(an_inbox_is_a_channel_of_payloads)
{
	struct pulse_mailbox_stats s = { .sz = sizeof(s) };
	struct pulse_inbox *inbox;
	struct pulse_message *msg;

	KT_EQ(pulse_inbox_create(NULL, NULL), -EINVAL);
	KT_REQUIRE(!pulse_inbox_create(NULL, &inbox));
	KT_EQ(pulse_inbox_send(inbox, "message 1", 9), 0);
	KT_EQ(pulse_inbox_send(inbox, "message 2", 9), 0);
	KT_EQ(pulse_inbox_send(inbox, NULL, 0), 0);
	KT_EQ(pulse_inbox_send(inbox, NULL, 1), -EINVAL);
	KT_EQ(pulse_inbox_send(NULL, "x", 1), -EINVAL);
	KT_EQ(pulse_inbox_recv(inbox, &msg), 0);
	KT_STREQ(pulse_message_payload(msg, NULL), "message 1");
	pulse_message_put(msg);
	KT_EQ(pulse_inbox_recv_timeout(inbox, 1000, &msg), 0);
	KT_STREQ(pulse_message_payload(msg, NULL), "message 2");
	pulse_message_put(msg);
	KT_EQ(pulse_inbox_recv_timeout(inbox, 0, &msg), 0);
	KT_CHECK(!pulse_message_payload(msg, NULL));
	pulse_message_put(msg);
	KT_EQ(pulse_inbox_recv_timeout(inbox, 1, &msg), -ETIMEDOUT);
	KT_EQ(pulse_inbox_recv_timeout(inbox, -1, &msg), -EINVAL);
	KT_EQ(pulse_inbox_stats(inbox, &s), 0);
	KT_EQ(s.messages_received, 3);
	KT_EQ(pulse_inbox_is_closed(inbox), 0);
	KT_EQ(pulse_inbox_close(inbox), 0);
	KT_EQ(pulse_inbox_is_closed(inbox), 1);
	KT_EQ(pulse_inbox_send(inbox, "x", 1), -ESRCH);
	KT_EQ(pulse_inbox_recv(inbox, &msg), -ESHUTDOWN);
	KT_EQ(pulse_inbox_recv_timeout(inbox, INT64_MAX, &msg), -ESHUTDOWN);
	KT_EQ(pulse_mailbox_closed(pulse_inbox_mailbox(inbox)), 1);
	KT_EQ(pulse_inbox_destroy(inbox), 0);
}

KT_MAIN()
