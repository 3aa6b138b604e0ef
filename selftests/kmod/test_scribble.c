// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that share a context with one who stores anything into every word that
 * it may write (scribble.h), from threads that race with every look the kernel takes.
 */
#include "scribble.h"

static struct scribble_books *books;
static struct scribble shared;
static pid_t hostile[2];

/* A context, and two hostile peers in it who have begun. */
static bool scribbled_begin(void)
{
	static struct scribble_orders orders[2];

	if (!books)
		books = scribble_share();
	if (!books)
		return false;
	memset(books, 0, sizeof(*books));
	if (scribble_begin(&shared, books))
		return false;
	for (int i = 0; i < 2; i++) {
		orders[i] = (struct scribble_orders){ &shared, 77 + (unsigned int)i };
		hostile[i] = start(scribble_hostile, &orders[i]);
	}
	return EVENTUALLY(__atomic_load_n(&books->hostile, __ATOMIC_ACQUIRE) == 2);
}

static void hostile_end(void)
{
	for (int i = 0; i < 2; i++) {
		if (!hostile[i])
			continue;
		kill(hostile[i], SIGKILL);
		KT_EQ(ended(hostile[i]), -SIGKILL);
		hostile[i] = 0;
	}
}

static void *add_and_end(void *arg)
{
	struct dev *d = arg;

	return (void *)(intptr_t)worker_add(d->fd, PULSE_NODE_ANY);
}

/* A worker dies, which is told, whole and as the next thing. */
static void a_death_is_told(struct dev *d)
{
	struct pulse_event_worker_death death;
	pthread_t t;
	void *index;

	KT_REQUIRE(!pthread_create(&t, NULL, add_and_end, d));
	pthread_join(t, &index);
	KT_CHECK(event_take(d, PULSE_EVENT_WORKER_DEATH, &death, sizeof(death)));
	KT_EQ(death.index, (intptr_t)index);
	KT_EQ(death.pid, getpid());
}

/* H01, H02, H03, H06 */
KT_TEST(every_call_comes_back_with_an_answer_that_it_may_give)
{
	struct scribble_worker w[3];
	int started = 0;

	NEED_DEVICE();
	KT_REQUIRE(scribbled_begin());
	for (int i = 0; i < 3; i++) {
		w[i] = (struct scribble_worker){
			.s = &shared, .rnd = 1000003ULL * (i + 1U), .calls = kt_scale(4000),
		};
		if (!KT_EQ(pthread_create(&w[i].thread, NULL, scribble_good, &w[i]), 0))
			break;
		started++;
	}
	while (started)
		pthread_join(w[--started].thread, NULL);
	KT_CHECK(books->calls > 0);
	KT_CHECK(books->words > 0);
	KT_EQ(books->bad_errno, 0);
	kt_note("%lu calls, %lu words, bad: call %d", books->calls, books->words,
		books->bad_op);
	hostile_end();
	scribble_end(&shared);
}

static int sleep_in_scribbled(void *arg)
{
	struct scribble s = { .d.fd = shared.d.fd, .d.self = -1, .books = books };
	int index;

	(void)arg;
	if (dev_joins(s.d.fd) || dev_map(&s.d))
		return 1;
	index = worker_add(s.d.fd, PULSE_NODE_ANY);
	for (;;) {
		__u32 word = word_of(&s.d, index);

		if (park(s.d.fd, index, word, PULSE_NO_DEADLINE) == -ESRCH)
			return 2;
	}
}

/* H08, P03 */
KT_TEST(who_sleeps_among_bad_words_can_be_killed)
{
	NEED_DEVICE();
	KT_REQUIRE(scribbled_begin());
	for (long n = kt_scale(50); n; n--) {
		__u32 before = shared.d.hdr->nr_workers;
		pid_t pid = start(sleep_in_scribbled, NULL);

		KT_CHECK(EVENTUALLY(shared.d.hdr->nr_workers > before));
		sleep_ms(n % 3);
		kill(pid, SIGKILL);
		KT_EQ(ended(pid), -SIGKILL);
		KT_CHECK(EVENTUALLY(shared.d.hdr->nr_workers == before));
	}
	hostile_end();
	scribble_end(&shared);
}

/* H01, H02: it costs events of that context, each of which is counted */
KT_TEST(deaths_are_told_or_counted_as_lost)
{
	struct dev *d = &shared.d;
	unsigned long long told, dropped;
	long deaths = kt_scale(100);

	NEED_DEVICE();
	KT_REQUIRE(scribbled_begin());
	told = d->evprod->pos;
	dropped = d->evprod->dropped;
	for (long n = deaths; n; n--) {
		pid_t pid = start(sleep_in_scribbled, NULL);

		KT_CHECK(EVENTUALLY(d->hdr->nr_workers == 1));
		kill(pid, SIGKILL);
		KT_EQ(ended(pid), -SIGKILL);
		KT_CHECK(EVENTUALLY(d->hdr->nr_workers == 0));
	}
	/* the kernel's own positions do not follow what is written beside them */
	told = (d->evprod->pos - told) /
	       (sizeof(struct pulse_event_hdr) + sizeof(struct pulse_event_worker_death));
	KT_CHECK(EVENTUALLY(told + d->evprod->dropped - dropped == (unsigned long long)deaths));
	kt_note("%llu told, %llu lost", told, d->evprod->dropped - dropped);
	hostile_end();
	scribble_end(&shared);
}

/* H05: what the kernel says about its sizes it does not ask the pages for */
KT_TEST(sizes_and_places_stay_what_they_are)
{
	struct pulse_info before, info;
	struct dev again;

	NEED_DEVICE();
	KT_REQUIRE(scribbled_begin());
	KT_EQ(dev_info(shared.d.fd, &before), 0);
	for (long n = kt_scale(500); n; n--) {
		KT_EQ(dev_info(shared.d.fd, &info), 0);
		KT_CHECK(!memcmp(&info, &before, sizeof(info)));
		memset(&again, 0, sizeof(again));
		again.self = -1;
		again.fd = dup(shared.d.fd);
		KT_EQ(dev_map(&again), 0);
		KT_EQ(again.hdr->magic, PULSE_HDR_MAGIC);
		KT_EQ(again.hdr->max_workers, SCRIBBLE_WORKERS);
		KT_EQ(again.evprod->data_bytes, SCRIBBLE_EVENTS);
		dev_end(&again);
	}
	hostile_end();
	scribble_end(&shared);
}

/* H06: as many as live, whatever the words say */
KT_TEST(no_more_are_woken_than_there_are)
{
	struct parker p = { .word = PULSE_PARK_PARKING };
	int woken;

	NEED_DEVICE();
	KT_REQUIRE(scribbled_begin());
	p.deadline_ns = 1;	/* long past: it comes and goes */
	p.d = &shared.d;
	p.node = PULSE_NODE_ANY;
	p.index = -1000;
	KT_REQUIRE(!pthread_create(&p.thread, NULL, parker_main, &p));
	KT_CHECK(EVENTUALLY(__atomic_load_n(&p.index, __ATOMIC_ACQUIRE) >= 0));
	for (long n = kt_scale(5000); n; n--) {
		woken = wake_node(shared.d.fd, 0, PULSE_MAX_WORKERS, PULSE_WAKE_SPILL);
		if (woken != 0 && woken != 1)
			break;
	}
	KT_CHECKF(woken == 0 || woken == 1, "%d of 1 were woken", woken);
	parker_stop(&p);
	hostile_end();
	scribble_end(&shared);
}

/* H08: another context of the same process does not notice */
KT_TEST(a_context_beside_it_works_as_ever)
{
	struct parker p = { .word = PULSE_PARK_PARKING };
	struct scribble_worker noise = { .s = &shared, .rnd = 5, .calls = kt_scale(4000) };
	struct dev d;

	NEED_DEVICE();
	KT_REQUIRE(scribbled_begin());
	KT_REQUIRE(!dev_begin_events(&d, 2, 4096, 0));
	KT_REQUIRE(!pthread_create(&noise.thread, NULL, scribble_good, &noise));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	for (int n = 1; n <= kt_scale(1000); n++) {
		KT_EQ(wake_one(d.fd, p.index), 1);
		KT_REQUIRE(EVENTUALLY(parker_returns(&p) == n));
		KT_EQ(p.last, 0);
		KT_REQUIRE(EVENTUALLY(state_of(&d, p.index) == PULSE_STATE_PARKED));
		KT_EQ(word_of(&d, p.index), PULSE_PARK_PARKING);
	}
	pthread_join(noise.thread, NULL);
	parker_stop(&p);
	a_death_is_told(&d);
	KT_CHECK(!event_next(&d));
	KT_EQ(d.evprod->dropped, 0);
	dev_end(&d);
	hostile_end();
	scribble_end(&shared);
}

/* H08: what was bad is over when it is over */
KT_TEST(set_right_the_context_serves_again)
{
	struct parker p = { .word = PULSE_PARK_PARKING };
	struct dev *d = &shared.d;

	NEED_DEVICE();
	KT_REQUIRE(scribbled_begin());
	sleep_ms(50);
	hostile_end();
	memset(d->uwork, 0, d->info.uwork_bytes);
	__atomic_store_n(&d->evcons->pos, d->evprod->pos, __ATOMIC_RELEASE);
	KT_REQUIRE(parker_start(&p, d, PULSE_NODE_ANY));
	KT_EQ(wake_one(d->fd, p.index), 1);
	KT_CHECK(EVENTUALLY(parker_returns(&p) == 1));
	KT_EQ(p.last, 0);
	parker_stop(&p);
	a_death_is_told(d);
	scribble_end(&shared);
}

KT_MAIN()
