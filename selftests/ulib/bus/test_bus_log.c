// SPDX-License-Identifier: GPL-2.0-only
/*
 * Logs of a bus: the last events for who comes late, again what was not
 * acknowledged, at least once.
 */
#include <pulse-u/bus_log.h>

#include "helpers.h"

#define MS	1000000LL
#define LATE()	(pulse_now_ns() + 20000 * MS)

static struct pulse_bus_log *log_of(struct pulse_bus *bus, const char *type,
				    uint32_t keep)
{
	PULSE_OPTS(pulse_bus_log_opts, o, .keep = keep, .max_readers = 4);
	struct pulse_bus_log *log = NULL;

	KT_EQ(pulse_bus_log_create(bus, type, &o, &log), 0);
	return log;
}

static struct pulse_bus_reader *reader_of(struct pulse_bus_log *log,
					  const char *name, int64_t wait_ns,
					  uint32_t unacked)
{
	PULSE_OPTS(pulse_bus_reader_opts, o, .name = name,
		   .ack_wait_ns = wait_ns, .max_unacked = unacked);
	struct pulse_bus_reader *r = NULL;

	KT_EQ(pulse_bus_log_open(log, &o, &r), 0);
	return r;
}

/* The number in the next event; or the error. */
static long next_of(struct pulse_bus_reader *r, int64_t deadline_ns,
		    struct pulse_bus_entry *e)
{
	long nr;

	*e = (struct pulse_bus_entry){ .sz = sizeof(*e) };
	nr = pulse_bus_log_next(r, deadline_ns, e);
	if (!nr) {
		nr = number_of(e->event);
		pulse_bus_event_put(e->event);
	}
	return nr;
}

static void expect(struct pulse_bus_reader *r, long from, long to, bool ack)
{
	struct pulse_bus_entry e;

	for (long i = from; i <= to; i++) {
		KT_EQ(next_of(r, LATE(), &e), i);
		if (ack)
			KT_EQ(pulse_bus_log_ack(r, e.seq), 0);
	}
}

static struct pulse_bus_reader_stats stats_log(struct pulse_bus_reader *r)
{
	struct pulse_bus_reader_stats s = { .sz = sizeof(s) };

	KT_EQ(pulse_bus_log_stats(r, &s), 0);
	return s;
}

static void say_all(struct pulse_bus *bus, const char *type, long from, long to)
{
	for (long i = from; i <= to; i++)
		KT_EQ(say(bus, type, i), 1);
}

KT_TEST(who_comes_late_gets_the_last_events_in_their_order)
{
	struct pulse_bus *bus = bus_of(8, 8);
	struct pulse_bus_log *log = log_of(bus, "news.>", 100);
	PULSE_OPTS(pulse_bus_reader_opts, first, .from = 1);
	PULSE_OPTS(pulse_bus_reader_opts, some, .from = 201);
	PULSE_OPTS(pulse_bus_reader_opts, now, .from = PULSE_BUS_FROM_NOW);
	struct pulse_bus_reader *oldest, *all, *late, *new;
	struct pulse_bus_entry e;

	say_all(bus, "news.a", 1, 250);
	KT_EQ(say(bus, "other", 0), 0);
	oldest = reader_of(log, NULL, PULSE_FOREVER, 0);
	KT_EQ(pulse_bus_log_open(log, &first, &all), 0);
	KT_EQ(pulse_bus_log_open(log, &some, &late), 0);
	KT_EQ(pulse_bus_log_open(log, &now, &new), 0);
	KT_EQ(stats_log(all).waiting, 100U);
	KT_EQ(stats_log(all).missed, 150U);
	expect(oldest, 151, 250, true);
	expect(all, 151, 250, true);
	expect(late, 201, 250, true);
	KT_EQ(next_of(new, 0, &e), -ETIMEDOUT);
	say_all(bus, "news.b", 251, 260);
	expect(oldest, 251, 260, true);
	expect(all, 251, 260, true);
	expect(late, 251, 260, true);
	expect(new, 251, 260, true);
	KT_EQ(next_of(new, 0, &e), -ETIMEDOUT);
	KT_EQ(e.sz, sizeof(e));
	KT_EQ(stats_log(oldest).missed, 0U);
	KT_EQ(stats_log(all).missed, 150U);
	KT_EQ(stats_log(late).acked, 60U);
	KT_EQ(stats_log(new).next, 261U);
	/* One that falls behind is told how many it has not had. */
	say_all(bus, "news.c", 261, 460);
	expect(new, 361, 460, true);
	KT_EQ(stats_log(new).missed, 100U);
	pulse_bus_log_close(oldest);
	pulse_bus_log_close(all);
	pulse_bus_log_close(late);
	pulse_bus_log_close(new);
	KT_EQ(pulse_bus_log_destroy(log), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

KT_TEST(who_comes_again_goes_on_where_it_was)
{
	struct pulse_bus *bus = bus_of(8, 8);
	struct pulse_bus_log *log = log_of(bus, "a", 100);
	struct pulse_bus_reader *r = reader_of(log, "one", PULSE_FOREVER, 0);
	struct pulse_bus_entry e;

	say_all(bus, "a", 1, 20);
	expect(r, 1, 10, true);
	expect(r, 11, 15, false);
	KT_EQ(pulse_bus_log_ack(r, 13), 0);
	KT_EQ(pulse_bus_log_ack(r, 13), -ENOENT);
	KT_EQ(pulse_bus_log_close(r), 0);
	say_all(bus, "a", 21, 25);
	r = reader_of(log, "one", 1, 1);
	/* First what was out, and it is known that it comes again. */
	for (long i = 11; i <= 15; i++) {
		if (i == 13)
			continue;
		KT_EQ(next_of(r, LATE(), &e), i);
		KT_EQ(e.seq, (uint64_t)i);
		KT_EQ(e.deliveries, 2U);
		KT_EQ(e.dead, 0U);
	}
	expect(r, 16, 25, true);
	KT_EQ(next_of(r, 0, &e), -ETIMEDOUT);
	KT_EQ(stats_log(r).redelivered, 4U);
	KT_EQ(stats_log(r).unacked, 4U);
	KT_EQ(pulse_bus_log_close(r), 0);
	KT_EQ(pulse_bus_log_forget(log, "one"), 0);
	KT_EQ(pulse_bus_log_forget(log, "one"), -ENOENT);
	/* It is a new one. */
	r = reader_of(log, "one", PULSE_FOREVER, 0);
	expect(r, 1, 25, false);
	KT_EQ(pulse_bus_log_close(r), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
	KT_EQ(pulse_bus_log_destroy(log), 0);
}

KT_TEST(what_is_not_acknowledged_in_time_comes_again_until_it_is)
{
	struct pulse_bus *bus = bus_of(8, 8);
	struct pulse_bus_log *log = log_of(bus, "a", 4);
	struct pulse_bus_reader *r = reader_of(log, "r", MS, 1);
	struct pulse_bus_entry e;

	say_all(bus, "a", 1, 2);
	for (uint32_t i = 1; i <= 5; i++) {
		/* The second one does not come before the first is done. */
		KT_EQ(next_of(r, LATE(), &e), 1);
		KT_EQ(e.deliveries, i);
		/* Not even when the log has forgotten it. */
		say_all(bus, "a", 3, 6);
	}
	KT_EQ(pulse_bus_log_ack(r, 1), 0);
	KT_EQ(next_of(r, LATE(), &e), 3);
	KT_EQ(e.seq, 19U);
	KT_EQ(pulse_bus_log_ack(r, e.seq), 0);
	KT_EQ(stats_log(r).missed, 17U);
	KT_EQ(pulse_bus_log_close(r), 0);
	KT_EQ(pulse_bus_log_destroy(log), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

KT_TEST(what_is_refused_comes_again_at_once_or_later)
{
	struct pulse_bus *bus = bus_of(8, 8);
	struct pulse_bus_log *log = log_of(bus, "a", 100);
	struct pulse_bus_reader *r = reader_of(log, "r", PULSE_FOREVER, 0);
	struct pulse_bus_entry e;
	int64_t begin;

	say_all(bus, "a", 1, 5);
	expect(r, 1, 3, false);
	KT_EQ(pulse_bus_log_nack(r, 3, 0), 0);
	KT_EQ(pulse_bus_log_nack(r, 1, 0), 0);
	KT_EQ(pulse_bus_log_nack(r, 4, 0), -ENOENT);
	KT_EQ(pulse_bus_log_nack(r, 1, -1), -EINVAL);
	KT_EQ(next_of(r, 0, &e), 3);
	KT_EQ(next_of(r, 0, &e), 1);
	expect(r, 4, 5, false);
	begin = pulse_now_ns();
	KT_EQ(pulse_bus_log_nack(r, 5, 2 * MS), 0);
	KT_EQ(pulse_bus_log_nack(r, 2, 5 * MS), 0);
	KT_EQ(next_of(r, LATE(), &e), 5);
	KT_EQ(next_of(r, LATE(), &e), 2);
	KT_CHECK(pulse_now_ns() - begin >= 5 * MS);
	KT_EQ(next_of(r, 0, &e), -ETIMEDOUT);
	KT_EQ(pulse_bus_log_close(r), 0);
	KT_EQ(pulse_bus_log_destroy(log), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

KT_TEST(what_nobody_can_do_is_a_dead_letter_in_the_end)
{
	struct pulse_bus *bus = bus_of(8, 8);
	struct pulse_bus_log *log = log_of(bus, "a", 100);
	PULSE_OPTS(pulse_bus_reader_opts, o, .ack_wait_ns = MS,
		   .max_deliveries = 3);
	struct pulse_bus_reader *r;
	struct pulse_bus_entry e;

	KT_EQ(pulse_bus_log_open(log, &o, &r), 0);
	say_all(bus, "a", 1, 1);
	for (uint32_t i = 1; i <= 4; i++) {
		KT_EQ(next_of(r, LATE(), &e), 1);
		KT_EQ(e.deliveries, i);
		KT_EQ(e.dead, i == 4 ? 1U : 0U);
	}
	KT_EQ(pulse_bus_log_ack(r, 1), -ENOENT);
	KT_EQ(next_of(r, pulse_now_ns() + 3 * MS, &e), -ETIMEDOUT);
	KT_EQ(stats_log(r).dead, 1U);
	KT_EQ(stats_log(r).delivered, 3U);
	KT_EQ(stats_log(r).unacked, 0U);
	KT_EQ(pulse_bus_log_close(r), 0);
	KT_EQ(pulse_bus_log_destroy(log), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

struct waiter {
	pthread_t thread;
	struct pulse_bus_reader *r;
	int64_t until;
	long got;
	uint64_t seq;
	int done;
};

static void *waits(void *arg)
{
	struct waiter *w = arg;
	struct pulse_bus_entry e;

	w->got = next_of(w->r, w->until, &e);
	w->seq = e.seq;
	ATOMIC_SET(w->done, 1);
	return NULL;
}

static void wait_begin(struct waiter *w, struct pulse_bus_reader *r)
{
	*w = (struct waiter){ .r = r, .until = PULSE_FOREVER };
	KT_REQUIRE(!pthread_create(&w->thread, NULL, waits, w));
}

KT_TEST(who_waits_is_woken_by_an_event_an_acknowledgement_the_close)
{
	struct pulse_bus *bus = bus_of(8, 8);
	struct pulse_bus_log *log = log_of(bus, "a", 100);
	struct pulse_bus_reader *r = reader_of(log, "r", PULSE_FOREVER, 1);
	struct waiter w[3];

	wait_begin(&w[0], r);
	nap_us(1000);
	say_all(bus, "a", 1, 2);
	pthread_join(w[0].thread, NULL);
	KT_EQ(w[0].got, 1);
	wait_begin(&w[0], r);
	nap_us(1000);
	KT_EQ(ATOMIC_GET(w[0].done), 0);
	KT_EQ(pulse_bus_log_ack(r, 1), 0);
	pthread_join(w[0].thread, NULL);
	KT_EQ(w[0].got, 2);
	/* By a refusal, too. */
	wait_begin(&w[0], r);
	nap_us(1000);
	KT_EQ(pulse_bus_log_nack(r, 2, 0), 0);
	pthread_join(w[0].thread, NULL);
	KT_EQ(w[0].got, 2);
	for (int i = 0; i < 3; i++)
		wait_begin(&w[i], r);
	nap_us(1000);
	KT_EQ(pulse_bus_log_destroy(log), -EBUSY);
	KT_EQ(pulse_bus_log_forget(log, "r"), -EBUSY);
	KT_EQ(pulse_bus_log_close(r), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(w[i].thread, NULL);
		KT_EQ(w[i].got, -ECANCELED);
	}
	KT_EQ(pulse_bus_log_destroy(log), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

KT_TEST(a_closed_bus_is_told_once_all_is_acknowledged)
{
	struct pulse_bus *bus = bus_of(8, 8);
	struct pulse_bus_log *log = log_of(bus, "a", 100);
	struct pulse_bus_reader *r = reader_of(log, "r", PULSE_FOREVER, 0);
	struct pulse_bus_entry e;
	struct waiter w;

	say_all(bus, "a", 1, 2);
	KT_EQ(pulse_bus_close(bus), 0);
	expect(r, 1, 1, true);
	expect(r, 2, 2, false);
	wait_begin(&w, r);
	nap_us(1000);
	KT_EQ(ATOMIC_GET(w.done), 0);
	KT_EQ(pulse_bus_log_ack(r, 2), 0);
	pthread_join(w.thread, NULL);
	KT_EQ(w.got, -ESHUTDOWN);
	KT_EQ(next_of(r, LATE(), &e), -ESHUTDOWN);
	KT_EQ(pulse_bus_log_close(r), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
	/* There is nothing new to come, but what there was. */
	r = reader_of(log, NULL, PULSE_FOREVER, 0);
	expect(r, 1, 2, true);
	KT_EQ(next_of(r, LATE(), &e), -ESHUTDOWN);
	KT_EQ(pulse_bus_log_close(r), 0);
	KT_EQ(pulse_bus_log_destroy(log), 0);
}

/* Threads that publish, threads that share a reader and sometimes do nothing. */
#define WRITERS	2
#define READERS	3
#define EACH	4000

static uint8_t had[WRITERS][EACH];
static long acked, given_free;

static void count_free(void *payload)
{
	free(payload);
	ATOMIC_INC(given_free);
}

struct worker {
	pthread_t thread;
	struct pulse_bus *bus;
	struct pulse_bus_reader *r;
	long who;
};

static void *publishes(void *arg)
{
	struct worker *w = arg;

	for (long i = 0; i < EACH; i++) {
		long *nr = malloc(sizeof(*nr));
		PULSE_OPTS(pulse_bus_event_opts, o, .type = "a", .payload = nr,
			   .payload_bytes = sizeof(*nr),
			   .payload_free = count_free);

		*nr = w->who * EACH + i;
		KT_EQ(pulse_bus_publish_new(w->bus, &o), 1);
	}
	return NULL;
}

static void *shares(void *arg)
{
	struct worker *w = arg;
	struct pulse_bus_entry e;
	long nr;

	while ((nr = next_of(w->r, PULSE_FOREVER, &e)) >= 0) {
		/* It is lost now and then, and comes again. */
		if (e.deliveries == 1 && nr % 7 == w->who)
			continue;
		if (e.deliveries == 1 && nr % 11 == w->who) {
			pulse_bus_log_nack(w->r, e.seq, 0);
			continue;
		}
		ATOMIC_INC(had[nr / EACH][nr % EACH]);
		if (!pulse_bus_log_ack(w->r, e.seq))
			ATOMIC_INC(acked);
	}
	KT_EQ(nr, -ESHUTDOWN);
	return NULL;
}

KT_TEST(each_event_is_acknowledged_once_however_often_it_came)
{
	struct pulse_bus *bus = bus_of(8, 8);
	struct pulse_bus_log *log = log_of(bus, "a", WRITERS * EACH);
	struct pulse_bus_reader *r = reader_of(log, "r", 2 * MS, 64);
	struct worker w[WRITERS + READERS];
	struct pulse_bus_reader_stats s;

	for (int i = 0; i < WRITERS + READERS; i++) {
		w[i] = (struct worker){ .bus = bus, .r = r,
					.who = i < WRITERS ? i : i - WRITERS };
		KT_REQUIRE(!pthread_create(&w[i].thread, NULL,
					   i < WRITERS ? publishes : shares,
					   &w[i]));
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(w[i].thread, NULL);
	KT_EQ(pulse_bus_close(bus), 0);
	for (int i = 0; i < READERS; i++)
		pthread_join(w[WRITERS + i].thread, NULL);
	KT_EQ(acked, WRITERS * EACH);
	for (long i = 0; i < WRITERS * EACH; i++)
		KT_CHECK(had[i / EACH][i % EACH] >= 1);
	s = stats_log(r);
	KT_EQ(s.acked, WRITERS * EACH);
	KT_EQ(s.missed, 0U);
	KT_EQ(s.unacked, 0U);
	KT_EQ(s.delivered - s.redelivered, WRITERS * EACH);
	KT_EQ(pulse_bus_log_close(r), 0);
	KT_EQ(pulse_bus_log_destroy(log), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
	KT_EQ(given_free, WRITERS * EACH);
}

KT_TEST(bad_arguments_are_refused)
{
	struct pulse_bus_log_opts big = { .sz = sizeof(big), .keep = 1 << 21 };
	struct pulse_bus_reader_opts bad[] = {
		{ .sz = 1 }, { .sz = sizeof(bad[0]), .ack_wait_ns = -1 },
		{ .sz = sizeof(bad[0]), .max_unacked = 65537 },
		{ .sz = sizeof(bad[0]), .name = "" },
	};
	PULSE_OPTS(pulse_bus_reader_opts, past, .from = 2);
	struct pulse_bus *bus = bus_of(1, 8);
	struct pulse_bus_reader *r, *more[4];
	struct pulse_bus_entry e = { .sz = 1 };
	struct pulse_bus_log *log;

	KT_EQ(pulse_bus_log_create(NULL, "a", NULL, &log), -EINVAL);
	KT_EQ(pulse_bus_log_create(bus, NULL, NULL, &log), -EINVAL);
	KT_EQ(pulse_bus_log_create(bus, "a..b", NULL, &log), -EINVAL);
	KT_EQ(pulse_bus_log_create(bus, "a", &big, &log), -EINVAL);
	KT_EQ(pulse_bus_log_create(bus, "a", NULL, NULL), -EINVAL);
	KT_EQ(pulse_bus_log_create(bus, "a", NULL, &log), 0);
	KT_EQ(pulse_bus_log_destroy(log), 0);
	log = log_of(bus, "a", 0);
	KT_EQ(pulse_bus_log_create(bus, "a", NULL, &(struct pulse_bus_log *){ 0 }),
	      -ENOSPC);
	KT_EQ(pulse_bus_log_open(NULL, NULL, &r), -EINVAL);
	KT_EQ(pulse_bus_log_open(log, NULL, NULL), -EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r = (void *)1;
		KT_EQ(pulse_bus_log_open(log, &bad[i], &r), -EINVAL);
		KT_CHECK(!r);
	}
	KT_EQ(pulse_bus_log_open(log, &past, &r), -ERANGE);
	for (int i = 0; i < 4; i++)
		more[i] = reader_of(log, i ? NULL : "r", 0, 0);
	KT_EQ(pulse_bus_log_open(log, NULL, &r), -ENOSPC);
	KT_EQ(pulse_bus_log_open(log, &(struct pulse_bus_reader_opts){
			.sz = sizeof(bad[0]), .name = "r" }, &r), -EBUSY);
	KT_EQ(pulse_bus_log_next(NULL, 0, &e), -EINVAL);
	KT_EQ(pulse_bus_log_next(more[0], 0, &e), -EINVAL);
	KT_EQ(pulse_bus_log_next(more[0], 0, NULL), -EINVAL);
	KT_EQ(pulse_bus_log_ack(NULL, 1), -EINVAL);
	KT_EQ(pulse_bus_log_ack(more[0], 1), -ENOENT);
	KT_EQ(pulse_bus_log_nack(NULL, 1, 0), -EINVAL);
	KT_EQ(pulse_bus_log_forget(NULL, "r"), -EINVAL);
	KT_EQ(pulse_bus_log_forget(log, NULL), -EINVAL);
	KT_EQ(pulse_bus_log_stats(more[0], NULL), -EINVAL);
	KT_EQ(pulse_bus_log_stats(NULL, NULL), -EINVAL);
	for (int i = 0; i < 4; i++)
		KT_EQ(pulse_bus_log_close(more[i]), 0);
	KT_EQ(pulse_bus_log_close(NULL), -EINVAL);
	KT_EQ(pulse_bus_log_destroy(NULL), -EINVAL);
	KT_EQ(pulse_bus_log_destroy(log), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

static struct pulse_bus_reader *of_parent;

static int of_the_child(void *arg)
{
	struct pulse_bus_entry e = { .sz = sizeof(e) };

	return pulse_bus_log_next(of_parent, 0, &e) == -EOWNERDEAD &&
	       pulse_bus_log_ack(of_parent, 1) == -EOWNERDEAD &&
	       pulse_bus_log_close(of_parent) == -EOWNERDEAD &&
	       pulse_bus_log_destroy(arg) == -EOWNERDEAD ? 0 : 1;
}

KT_TEST(a_forked_child_has_no_log)
{
	struct pulse_bus *bus = bus_of(4, 8);
	struct pulse_bus_log *log = log_of(bus, "a", 8);

	of_parent = reader_of(log, "r", 0, 0);
	say_all(bus, "a", 1, 2);
	expect(of_parent, 1, 1, false);
	KT_EQ(in_child(of_the_child, log), 0);
	expect(of_parent, 2, 2, true);
	KT_EQ(pulse_bus_log_close(of_parent), 0);
	KT_EQ(pulse_bus_log_destroy(log), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
}

KT_MAIN()
