// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench_mailbox.c - a message from one thread to another: built, sent, received
 * and given back.
 *
 * Peer: what one would write by hand, a bounded list of malloc'd messages behind
 * a mutex and two condition variables. The payload has 16 bytes everywhere.
 *
 * usage: bench_mailbox [rounds [group]]
 */
#include <stdint.h>
#include <string.h>

#include <pulse-u/mailbox.h>
#include <pulse-u/mailbox_shared.h>

#include "base/base.h"

#include "contend.h"

#define ALONE		1000000UL	/* a measurement of one thread */
#define TRANSFERS	400000UL	/* a measurement of several */
#define TURNS		20000UL		/* to and fro */
#define CAPACITY	1000U
#define SENDERS		4

static const uint64_t payload[2] = { 1, 2 };

/* One way to get a message across; two boxes of each, for to and fro. */
struct way {
	void (*send)(int box, struct pulse_slab *slab);
	void (*receive)(int box);
};

/* ---- by hand ------------------------------------------------------------- */

struct note {
	struct note *next;
	size_t bytes;
	unsigned char data[];
};

static struct by_hand {
	pthread_mutex_t lock;
	pthread_cond_t some, room;
	struct note *first, **last;
	unsigned int nr;
} hand[2];

static void hand_send(int box, struct pulse_slab *slab)
{
	struct note *n = malloc(sizeof(*n) + sizeof(payload));
	struct by_hand *q = &hand[box];

	(void)slab;
	if (!n)
		abort();
	n->next = NULL;
	n->bytes = sizeof(payload);
	memcpy(n->data, payload, sizeof(payload));
	pthread_mutex_lock(&q->lock);
	while (q->nr == CAPACITY)
		pthread_cond_wait(&q->room, &q->lock);
	*q->last = n;
	q->last = &n->next;
	if (!q->nr++)
		pthread_cond_signal(&q->some);
	pthread_mutex_unlock(&q->lock);
}

static void hand_receive(int box)
{
	struct by_hand *q = &hand[box];
	struct note *n;

	pthread_mutex_lock(&q->lock);
	while (!q->nr)
		pthread_cond_wait(&q->some, &q->lock);
	n = q->first;
	q->first = n->next;
	if (!q->first)
		q->last = &q->first;
	if (q->nr-- == CAPACITY)
		pthread_cond_broadcast(&q->room);
	pthread_mutex_unlock(&q->lock);
	free(n);
}

/* ---- mailboxes ----------------------------------------------------------- */

static struct pulse_mailbox *common[2], *single[2];
static struct pulse_slab *slab;

static void mailbox_send(struct pulse_mailbox *mb, struct pulse_slab *from)
{
	PULSE_OPTS(pulse_message_opts, opts, .payload = payload,
		   .payload_bytes = sizeof(payload), .slab = from,
		   .flags = PULSE_MESSAGE_UNTIMED);
	struct pulse_message *msg;

	if (pulse_message_create(&opts, &msg) || pulse_mailbox_send(mb, msg))
		abort();
}

static void mailbox_receive(struct pulse_mailbox *mb)
{
	struct pulse_message *msg;

	if (pulse_mailbox_receive(mb, &msg))
		abort();
	pulse_message_put(msg);
}

#define MAILBOX(name, boxes)						\
	static void name##_send(int box, struct pulse_slab *from)	\
	{								\
		mailbox_send(boxes[box], from);				\
	}								\
	static void name##_receive(int box)				\
	{								\
		mailbox_receive(boxes[box]);				\
	}
MAILBOX(common, common)
MAILBOX(single, single)

/* ---- what is measured ------------------------------------------------------ */

static double alone(const struct way *w, struct pulse_slab *from)
{
	return TIME_EACH(ALONE, (w->send(0, from), w->receive(0)));
}

struct side {
	pthread_t thread;
	const struct way *way;
	struct pulse_slab *from;
	unsigned long nr;
};

static void *send_side(void *arg)
{
	struct side *s = arg;

	for (unsigned long i = 0; i < s->nr; i++)
		s->way->send(0, s->from);
	return NULL;
}

static void *echo_side(void *arg)
{
	struct side *s = arg;

	for (unsigned long i = 0; i < s->nr; i++) {
		s->way->receive(0);
		s->way->send(1, s->from);
	}
	return NULL;
}

static double fan_in(const struct way *w, struct pulse_slab *from)
{
	struct side s[SENDERS];
	int64_t start = pulse_now_ns();

	for (int i = 0; i < SENDERS; i++) {
		s[i] = (struct side){ .way = w, .from = from,
				      .nr = TRANSFERS / SENDERS };
		if (pthread_create(&s[i].thread, NULL, send_side, &s[i]))
			abort();
	}
	for (unsigned long i = 0; i < TRANSFERS; i++)
		w->receive(0);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(s[i].thread, NULL);
	return (double)(pulse_now_ns() - start) / TRANSFERS;
}

static double to_and_fro(const struct way *w, struct pulse_slab *from)
{
	struct side s = { .way = w, .from = from, .nr = TURNS };
	int64_t start = pulse_now_ns();

	if (pthread_create(&s.thread, NULL, echo_side, &s))
		abort();
	for (unsigned long i = 0; i < TURNS; i++) {
		w->send(0, from);
		w->receive(1);
	}
	pthread_join(s.thread, NULL);
	return (double)(pulse_now_ns() - start) / TURNS;
}

#define WAY(name, stem, from)						\
	static double name##_alone(void)				\
	{								\
		return alone(&(struct way){ stem##_send,		\
					    stem##_receive }, from);	\
	}								\
	static double name##_fan_in(void)				\
	{								\
		return fan_in(&(struct way){ stem##_send,		\
					     stem##_receive }, from);	\
	}								\
	static double name##_turn(void)					\
	{								\
		return to_and_fro(&(struct way){ stem##_send,		\
						 stem##_receive }, from); \
	}
WAY(hand, hand, NULL)
WAY(heap, common, NULL)
WAY(slab, common, slab)
WAY(single, single, slab)

/* ---- between processes' memory --------------------------------------------- */

static struct pulse_shmbox *shm;
static struct pulse_shmbox_tx *shm_tx;
static struct pulse_shmbox_rx *shm_rx;

static void shm_one(struct pulse_message *out)
{
	struct pulse_message *msg;

	if (pulse_shmbox_send(shm_tx, out) ||
	    pulse_shmbox_receive(shm_rx, 0, &msg))
		abort();
	pulse_message_put(msg);
}

static double shm_alone(void)
{
	PULSE_OPTS(pulse_message_opts, opts, .payload = payload,
		   .payload_bytes = sizeof(payload));
	struct pulse_message *out;
	double ns;

	if (pulse_message_create(&opts, &out))
		abort();
	ns = TIME_EACH(ALONE / 10, shm_one(out));
	pulse_message_put(out);
	return ns;
}

static struct group groups[] = {
	{ "alone", "a message, one thread sends and receives", {
		{ .name = "pulse_mailbox", .run = heap_alone },
		{ .name = "pulse_mailbox_slab", .run = slab_alone },
		{ .name = "pulse_mailbox_single", .run = single_alone },
		{ .name = "pulse_shmbox", .run = shm_alone },
		{ .name = "mutex_condvar", .run = hand_alone, .peer = true },
	} },
	{ "fan_in", "a message, four senders and one receiver", {
		{ .name = "pulse_mailbox", .run = heap_fan_in },
		{ .name = "pulse_mailbox_slab", .run = slab_fan_in },
		{ .name = "pulse_mailbox_single", .run = single_fan_in },
		{ .name = "mutex_condvar", .run = hand_fan_in, .peer = true },
	} },
	{ "to_and_fro", "a message there and one back, two threads", {
		{ .name = "pulse_mailbox", .run = heap_turn },
		{ .name = "pulse_mailbox_slab", .run = slab_turn },
		{ .name = "pulse_mailbox_single", .run = single_turn },
		{ .name = "mutex_condvar", .run = hand_turn, .peer = true },
	} },
};

static int open_all(void)
{
	PULSE_OPTS(pulse_message_opts, one, .payload_bytes = sizeof(payload));
	PULSE_OPTS(pulse_slab_opts, so, .object_bytes =
		   pulse_message_bytes(&one));
	PULSE_OPTS(pulse_mailbox_opts, all, .capacity = CAPACITY,
		   .overflow = PULSE_MAILBOX_BLOCK);
	PULSE_OPTS(pulse_mailbox_opts, few, .capacity = CAPACITY,
		   .overflow = PULSE_MAILBOX_BLOCK,
		   .flags = PULSE_MAILBOX_ONE_RECEIVER |
			    PULSE_MAILBOX_ONE_QUEUE);

	for (int i = 0; i < 2; i++) {
		pthread_mutex_init(&hand[i].lock, NULL);
		pthread_cond_init(&hand[i].some, NULL);
		pthread_cond_init(&hand[i].room, NULL);
		hand[i].last = &hand[i].first;
		if (pulse_mailbox_create(&all, &common[i]) ||
		    pulse_mailbox_create(&few, &single[i]))
			return -1;
	}
	return pulse_slab_create(&so, &slab) ||
	       pulse_shmbox_create(NULL, &shm) ||
	       pulse_shmbox_tx_open(shm, &shm_tx) ||
	       pulse_shmbox_rx_open(shm, -1, &shm_rx) ? -1 : 0;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 7;
	const char *only = argc > 2 ? argv[2] : NULL;

	if (rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: bench_mailbox [rounds, 1 to %d [group]]\n",
			MAX_ROUNDS);
		return 2;
	}
	if (open_all()) {
		fprintf(stderr, "bench_mailbox: out of memory\n");
		return 1;
	}
	end_single_thread();
	run_rounds(groups, ARRAY_SIZE(groups), rounds, only);
	printf("median of %d (lowest to highest)\n", rounds);
	for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
		if (!only || !strcmp(only, groups[g].name))
			report("mailbox", &groups[g], rounds);
	}
	return 0;
}
