// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dead letters of mailboxes between processes.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include <pulse-u/mailbox_shared.h>

#include "lockfree/queue_int.h"
#include "mailbox/shmbox.h"

#include "helpers.h"

#define TTL	PULSE__NSEC_PER_SEC	/* enough to be sent in, twice */

struct post {
	struct pulse_shmbox *mb;
	struct pulse_shmbox_tx *tx;
	struct pulse_shmbox_rx *rx;
};

static bool post_open(struct post *p, uint32_t dead_letters)
{
	PULSE_OPTS(pulse_shmbox_opts, opts, .slots = 64, .slot_bytes = 256,
		   .dead_letters = dead_letters);

	memset(p, 0, sizeof(*p));
	return KT_CHECK(!pulse_shmbox_create(&opts, &p->mb)) &&
	       KT_CHECK(!pulse_shmbox_tx_open(p->mb, &p->tx)) &&
	       KT_CHECK(!pulse_shmbox_rx_open(p->mb, -1, &p->rx));
}

static void post_close(struct post *p)
{
	KT_EQ(pulse_shmbox_tx_close(p->tx), 0);
	KT_EQ(pulse_shmbox_rx_close(p->rx), 0);
	KT_EQ(pulse_shmbox_destroy(p->mb), 0);
}

static int put(struct post *p, uint64_t tag, int64_t ttl_ns)
{
	PULSE_OPTS(pulse_message_opts, opts, .tag = tag, .ttl_ns = ttl_ns,
		   .sender = "s");
	struct pulse_message *msg;
	int err = pulse_message_create(&opts, &msg);

	if (err)
		return err;
	err = pulse_shmbox_send(p->tx, msg);
	pulse_message_put(msg);
	return err;
}

/* The tag of what comes next, which is in hand then. */
static int64_t get(struct pulse_shmbox_rx *rx)
{
	struct pulse_message *msg;
	int err = pulse_shmbox_receive(rx, 0, &msg);
	int64_t tag;

	if (err)
		return err;
	tag = (int64_t)pulse_message_tag(msg);
	pulse_message_put(msg);
	return tag;
}

static struct pulse_shmbox_stats figures(const struct pulse_shmbox *mb)
{
	struct pulse_shmbox_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_shmbox_stats(mb, &s), 0);
	return s;
}

struct seen {
	uint64_t tags[64];
	int reasons[64];
	int nr, stop_at;
};

static int look(const struct pulse_message *msg, int reason, void *arg)
{
	struct seen *s = arg;

	s->tags[s->nr] = pulse_message_tag(msg);
	s->reasons[s->nr++] = reason;
	return s->nr == s->stop_at ? 7 : 0;
}

KT_TEST(what_is_rejected_or_expired_is_shown_and_taken_oldest_first)
{
	struct pulse_message *msg;
	struct seen s = { .nr = 0 };
	struct post p;
	int reason;

	KT_REQUIRE(post_open(&p, 8));
	KT_EQ(pulse_shmbox_reject(p.rx), -ENOENT);
	for (uint64_t i = 1; i <= 3; i++)
		KT_EQ(put(&p, i, i == 2 ? TTL : 0), 0);
	KT_EQ(get(p.rx), 1);
	KT_EQ(pulse_shmbox_reject(p.rx), 0);
	KT_EQ(pulse_shmbox_reject(p.rx), -ENOENT);
	usleep(TTL / 1000 + 1000);
	KT_EQ(get(p.rx), 3);
	KT_EQ(pulse_shmbox_dead_count(p.mb), 2);
	KT_EQ(pulse_shmbox_dead_each(p.mb, look, &s), 0);
	KT_EQ(s.nr, 2);
	KT_EQ(s.tags[0], 1);
	KT_EQ(s.reasons[0], PULSE_DEAD_REJECTED);
	KT_EQ(s.tags[1], 2);
	KT_EQ(s.reasons[1], PULSE_DEAD_EXPIRED);
	s = (struct seen){ .stop_at = 1 };
	KT_EQ(pulse_shmbox_dead_each(p.mb, look, &s), 7);
	KT_EQ(pulse_shmbox_dead_count(p.mb), 2);
	KT_EQ(pulse_shmbox_dead_take(p.mb, &msg, &reason), 0);
	KT_EQ(pulse_message_tag(msg), 1);
	KT_CHECK(!strcmp(pulse_message_sender(msg), "s"));
	KT_EQ(reason, PULSE_DEAD_REJECTED);
	pulse_message_put(msg);
	KT_EQ(pulse_shmbox_dead_take(p.mb, &msg, NULL), 0);
	KT_EQ(pulse_message_tag(msg), 2);
	pulse_message_put(msg);
	KT_EQ(pulse_shmbox_dead_take(p.mb, &msg, NULL), -EAGAIN);
	KT_EQ(figures(p.mb).rejected, 1);
	KT_EQ(figures(p.mb).expired, 1);
	KT_EQ(figures(p.mb).dead_letters, 2);
	post_close(&p);
}

KT_TEST(dead_letters_are_delivered_again_here_or_elsewhere)
{
	struct post p, q;

	KT_REQUIRE(post_open(&p, 8) && post_open(&q, 0));
	KT_EQ(pulse_shmbox_redeliver(p.mb, p.tx, 8), -EAGAIN);
	for (uint64_t i = 1; i <= 4; i++)
		KT_EQ(put(&p, i, i == 2 ? TTL : 0), 0);
	usleep(TTL / 1000 + 1000);
	for (uint64_t i = 1; i <= 4; i += i == 1 ? 2 : 1) {
		KT_EQ(get(p.rx), (int64_t)i);
		KT_EQ(pulse_shmbox_reject(p.rx), 0);
	}
	KT_EQ(pulse_shmbox_redeliver(p.mb, p.tx, 1), 1);
	KT_EQ(get(p.rx), 1);
	/* The expired has its whole time anew. */
	KT_EQ(pulse_shmbox_redeliver(p.mb, q.tx, 100), 3);
	KT_EQ(pulse_shmbox_count(q.mb), 3);
	KT_EQ(pulse_shmbox_dead_count(p.mb), 0);
	/* Where it is refused it stays. */
	KT_EQ(pulse_shmbox_ack(p.rx), 0);
	KT_EQ(put(&p, 9, 0), 0);
	KT_EQ(get(p.rx), 9);
	KT_EQ(pulse_shmbox_reject(p.rx), 0);
	KT_EQ(pulse_shmbox_close(q.mb), 0);
	KT_EQ(pulse_shmbox_redeliver(p.mb, q.tx, 1), -ESRCH);
	KT_EQ(pulse_shmbox_dead_count(p.mb), 1);
	post_close(&p);
	post_close(&q);
}

KT_TEST(the_oldest_dead_letters_are_kept_the_others_counted)
{
	struct seen s = { .nr = 0 };
	struct post p;

	KT_REQUIRE(post_open(&p, 4));
	/* Round the end of their queue, too. */
	for (uint64_t round = 0; round < 3; round++) {
		struct pulse_message *msg;

		for (uint64_t i = 1; i <= 7; i++) {
			KT_EQ(put(&p, 10 * round + i, 0), 0);
			KT_EQ(get(p.rx), (int64_t)(10 * round + i));
			KT_EQ(pulse_shmbox_reject(p.rx), 0);
		}
		s = (struct seen){ .nr = 0 };
		KT_EQ(pulse_shmbox_dead_each(p.mb, look, &s), 0);
		KT_EQ(s.nr, 4);
		for (uint64_t i = 0; i < 4; i++)
			KT_EQ(s.tags[i], 10 * round + i + 1);
		for (int i = 0; i < 4; i++) {
			KT_EQ(pulse_shmbox_dead_take(p.mb, &msg, NULL), 0);
			pulse_message_put(msg);
		}
	}
	KT_EQ(figures(p.mb).dead_letters, 21);
	post_close(&p);
	/* None is kept where none was asked for. */
	KT_REQUIRE(post_open(&p, 0));
	KT_EQ(put(&p, 1, 0), 0);
	KT_EQ(get(p.rx), 1);
	KT_EQ(pulse_shmbox_reject(p.rx), 0);
	KT_EQ(pulse_shmbox_dead_count(p.mb), 0);
	KT_EQ(pulse_shmbox_dead_each(p.mb, look, &s), 0);
	KT_EQ(figures(p.mb).dead_letters, 1);
	post_close(&p);
}

/* FAULTS G9: a receiver that dies in the middle of rejecting. */
KT_TEST(dead_letters_survive_the_receiver_that_is_killed)
{
	uint64_t nr = (uint64_t)kt_scale(2000), next = 1, kills = 0, again = 0;
	uint64_t *count = calloc(nr + 1, sizeof(*count));
	struct pulse_message *msg;
	struct post p;

	KT_REQUIRE(count && post_open(&p, 4096));
	pulse_shmbox_rx_close(p.rx);
	while (pulse_shmbox_dead_count(p.mb) < nr) {
		uint64_t before = pulse_shmbox_dead_count(p.mb);
		pid_t pid = fork();

		if (!pid) {
			struct pulse_shmbox *mb;

			if (pulse_shmbox_open(p.mb->own.fd, &mb) ||
			    pulse_shmbox_rx_open(mb, -1, &p.rx))
				_exit(1);
			for (;;) {
				if (get(p.rx) > 0)
					pulse_shmbox_reject(p.rx);
			}
		}
		while (pulse_shmbox_dead_count(p.mb) < before + 5 &&
		       pulse_shmbox_dead_count(p.mb) < nr)
			if (next <= nr && !put(&p, next, 0))
				next++;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		kills++;
	}
	KT_REQUIRE(!pulse_shmbox_rx_open(p.mb, -1, &p.rx));
	while (get(p.rx) > 0)
		KT_EQ(pulse_shmbox_reject(p.rx), 0);
	while (!pulse_shmbox_dead_take(p.mb, &msg, NULL)) {
		count[pulse_message_tag(msg)]++;
		pulse_message_put(msg);
	}
	for (uint64_t i = 1; i < next; i++) {
		KT_CHECK(count[i] >= 1);
		again += count[i] - 1;
	}
	KT_CHECKF(again <= kills, "%llu twice, %llu kills",
		  (unsigned long long)again, (unsigned long long)kills);
	free(count);
	post_close(&p);
}

static int call_back(const struct pulse_message *msg, int reason, void *arg)
{
	struct post *p = arg;
	struct pulse_message *other;

	(void)msg;
	(void)reason;
	KT_EQ(pulse_shmbox_dead_take(p->mb, &other, NULL), -EBUSY);
	return 0;
}

KT_TEST(wrong_calls_about_dead_letters_are_refused)
{
	struct pulse_message *msg;
	unsigned char *lane;
	struct post p;

	for (uint32_t bad = 1; bad <= 100000; bad = bad * 3 + 2) {
		PULSE_OPTS(pulse_shmbox_opts, opts, .dead_letters = bad);

		KT_EQ(pulse_shmbox_create(&opts, &p.mb),
		      bad & (bad - 1) || bad < 2 ? -EINVAL : 0);
		if (p.mb)
			pulse_shmbox_destroy(p.mb);
	}
	KT_REQUIRE(post_open(&p, 4));
	KT_EQ(pulse_shmbox_reject(NULL), -EINVAL);
	KT_EQ(pulse_shmbox_dead_count(NULL), 0);
	KT_EQ(pulse_shmbox_dead_each(NULL, look, NULL), -EINVAL);
	KT_EQ(pulse_shmbox_dead_each(p.mb, NULL, NULL), -EINVAL);
	KT_EQ(pulse_shmbox_dead_take(NULL, &msg, NULL), -EINVAL);
	KT_EQ(pulse_shmbox_dead_take(p.mb, NULL, NULL), -EINVAL);
	KT_EQ(pulse_shmbox_redeliver(p.mb, NULL, 1), -EINVAL);
	KT_EQ(pulse_shmbox_redeliver(p.mb, p.tx, 0), -EINVAL);
	for (uint64_t i = 1; i <= 2; i++) {
		KT_EQ(put(&p, i, 0), 0);
		KT_EQ(get(p.rx), (int64_t)i);
		KT_EQ(pulse_shmbox_reject(p.rx), 0);
	}
	KT_EQ(pulse_shmbox_dead_each(p.mb, call_back, &p), 0);
	/* A peer that scribbles: what is no message any more is passed over. */
	lane = p.mb->dead->data;
	memset(lane, 0xff, 80);
	KT_EQ(pulse_shmbox_dead_take(p.mb, &msg, NULL), -EPROTO);
	KT_EQ(pulse_shmbox_dead_take(p.mb, &msg, NULL), 0);
	KT_EQ(pulse_message_tag(msg), 2);
	pulse_message_put(msg);
	post_close(&p);
}

KT_MAIN()
